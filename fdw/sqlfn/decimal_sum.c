/*
 * decimal_sum.c
 *		Exact sums of numerics, for SQLite.
 *
 * vss_numeric_sum(x [, precision, scale]): the sum as text, with the most digits
 * after the point that a summand shows, as sum(numeric) has.
 * vss_numeric_avg(...): the sum, a blank, the count: the division is numeric's.
 *
 * The sum is kept as limbs of nine digits each, which are not carried while
 * there is room for more: a limb takes some nine milliards of summands.
 *
 * Called by SQLite: nothing of PostgreSQL may be used below.
 */
#include "postgres.h"

#include "fdw/sqlfn/sqlfn.h"

#define LIMB_DIGITS 9
#define LIMB_BASE INT64CONST(1000000000)

/* Sums of limbs are carried after this many additions. */
#define MAX_UNCARRIED INT64CONST(4000000000)

/*
 * The value is the sum of limbs[i] * 10^(9 * (low + i)) over all i.  Zeroed memory
 * is a valid sum without terms.
 */
typedef struct DecimalSum
{
	int64 *limbs; /* sqlite3_malloc'd */
	int count;    /* of limbs */
	int low;
	int dscale;
	int64 uncarried;
	int64 numbers; /* NULLs left out */
	int64 nans;
	int64 infinities;
	int64 minus_infinities;
} DecimalSum;

/* The limb that holds the digit before 10^exponent's place is reached: floor(exponent / 9). */
static int
limb_of(int exponent)
{
	return exponent >= 0 ? exponent / LIMB_DIGITS : -((-exponent + LIMB_DIGITS - 1) / LIMB_DIGITS);
}

/* Have limbs low to high; false without memory. */
static bool
make_room(DecimalSum *sum, int low, int high)
{
	int new_low = sum->count > 0 ? Min(sum->low, low) : low;
	int new_high = sum->count > 0 ? Max(sum->low + sum->count - 1, high) : high;
	int64 *limbs;

	if (sum->count > 0 && new_low == sum->low && new_high == sum->low + sum->count - 1)
		return true;
	limbs = sqlite3_malloc64((sqlite3_uint64) (new_high - new_low + 1) * sizeof(int64));
	if (limbs == NULL)
		return false;
	memset(limbs, 0, (new_high - new_low + 1) * sizeof(int64));
	if (sum->count > 0)
		memcpy(limbs + (sum->low - new_low), sum->limbs, sum->count * sizeof(int64));
	sqlite3_free(sum->limbs);
	sum->limbs = limbs;
	sum->low = new_low;
	sum->count = new_high - new_low + 1;
	return true;
}

/* Bring all limbs but the highest within 0 .. LIMB_BASE - 1; the highest has the sign. */
static bool
carry(DecimalSum *sum)
{
	int64 over = 0;

	/* room for what the highest gives */
	if (sum->count > 0 && !make_room(sum, sum->low, sum->low + sum->count + 1))
		return false;
	for (int i = 0; i < sum->count - 1; i++)
	{
		int64 value = sum->limbs[i] + over;
		int64 rest = value % LIMB_BASE;

		if (rest < 0)
			rest += LIMB_BASE;
		over = (value - rest) / LIMB_BASE;
		sum->limbs[i] = rest;
	}
	if (sum->count > 0)
		sum->limbs[sum->count - 1] += over;
	sum->uncarried = 0;
	return true;
}

/* false without memory */
static bool
add(DecimalSum *sum, const Decimal *decimal)
{
	static const int powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
	int sign = decimal->negative ? -1 : 1;

	sum->dscale = Max(sum->dscale, decimal->dscale);
	if (decimal->ndigits == 0)
		return true;
	if (!make_room(sum, limb_of(decimal->weight - decimal->ndigits), limb_of(decimal->weight - 1)))
		return false;
	if (++sum->uncarried >= MAX_UNCARRIED && !carry(sum))
		return false;
	for (int i = 0; i < decimal->ndigits; i++)
	{
		int exponent = decimal->weight - 1 - i;
		int limb = limb_of(exponent);

		sum->limbs[limb - sum->low] +=
			(int64) sign * decimal->digits[i] * powers[exponent - limb * LIMB_DIGITS];
	}
	return true;
}

static void
sum_step(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	DecimalSum *sum;
	Decimal decimal;

	if (vssfdw_decimal_read(context, argc, argv, &decimal))
	{
		sum = sqlite3_aggregate_context(context, sizeof(*sum));
		if (sum == NULL || (decimal.kind == DECIMAL_FINITE && !add(sum, &decimal)))
			sqlite3_result_error_nomem(context);
		else
		{
			sum->numbers++;
			sum->nans += decimal.kind == DECIMAL_NAN;
			sum->infinities += decimal.kind == DECIMAL_INFINITY;
			sum->minus_infinities += decimal.kind == DECIMAL_MINUS_INFINITY;
		}
	}
	vssfdw_decimal_free(&decimal);
}

/* The limb of these nine digits, zero where there is none. */
static int64
limb_at(const DecimalSum *sum, int limb)
{
	return limb < sum->low || limb >= sum->low + sum->count ? 0 : sum->limbs[limb - sum->low];
}

/* Of a sum that is carried. */
static bool
is_negative(const DecimalSum *sum)
{
	return sum->count > 0 && sum->limbs[sum->count - 1] < 0;
}

/*
 * A finite sum as text, sqlite3_malloc'd, NULL without memory.  Only zeros lie
 * beyond dscale.
 */
static char *
finite_text(DecimalSum *sum)
{
	bool negative;
	int high;
	int low = -((sum->dscale + LIMB_DIGITS - 1) / LIMB_DIGITS);
	sqlite3_str *text = sqlite3_str_new(NULL);
	int surplus = -low * LIMB_DIGITS - sum->dscale;

	if (!carry(sum))
	{
		sqlite3_free(sqlite3_str_finish(text));
		return NULL;
	}
	negative = is_negative(sum);
	if (negative)
	{
		for (int i = 0; i < sum->count; i++)
			sum->limbs[i] = -sum->limbs[i];
		if (!carry(sum))
		{
			sqlite3_free(sqlite3_str_finish(text));
			return NULL;
		}
		sqlite3_str_appendchar(text, 1, '-');
	}
	high = sum->count > 0 ? Max(sum->low + sum->count - 1, 0) : 0;
	while (high > 0 && limb_at(sum, high) == 0)
		high--;
	sqlite3_str_appendf(text, "%lld", (long long) limb_at(sum, high));
	for (int i = high - 1; i >= low; i--)
	{
		if (i == -1)
			sqlite3_str_appendchar(text, 1, '.');
		if (i == low && surplus > 0)
		{
			int64 value = limb_at(sum, i);

			for (int j = 0; j < surplus; j++)
				value /= 10;
			sqlite3_str_appendf(text, "%0*lld", LIMB_DIGITS - surplus, (long long) value);
		}
		else
			sqlite3_str_appendf(text, "%0*lld", LIMB_DIGITS, (long long) limb_at(sum, i));
	}
	return sqlite3_str_finish(text);
}

/* user data: whether the count is wanted, too */
static void
sum_final(sqlite3_context *context)
{
	DecimalSum *sum = sqlite3_aggregate_context(context, 0);
	char *text = NULL;
	char *result;
	const char *shown;

	if (sum == NULL)
		return; /* NULL */
	if (sum->numbers > 0)
	{
		if (sum->nans > 0 || (sum->infinities > 0 && sum->minus_infinities > 0))
			shown = "NaN";
		else if (sum->infinities > 0)
			shown = "Infinity";
		else if (sum->minus_infinities > 0)
			shown = "-Infinity";
		else
			shown = text = finite_text(sum);
		if (shown != NULL && sqlite3_user_data(context) != NULL)
			result = sqlite3_mprintf("%s %lld", shown, (long long) sum->numbers);
		else
			result = shown != NULL ? sqlite3_mprintf("%s", shown) : NULL;
		if (result == NULL)
			sqlite3_result_error_nomem(context);
		else
			sqlite3_result_text(context, result, -1, sqlite3_free);
		sqlite3_free(text);
	}
	sqlite3_free(sum->limbs);
	sum->limbs = NULL;
}

const VssSqlFunction vssfdw_decimal_sums[] = {
	{"vss_numeric_sum", 1, .step = sum_step, .final = sum_final},
	{"vss_numeric_avg", 1, .data = VSS_SQL_FLAG, .step = sum_step, .final = sum_final},
	{"vss_numeric_sum", 3, .step = sum_step, .final = sum_final},
	{"vss_numeric_avg", 3, .data = VSS_SQL_FLAG, .step = sum_step, .final = sum_final},
	{NULL},
};
