/*
 * aggregates.c
 *		SQL functions with PostgreSQL's meaning, for SQLite.
 *
 * vss_sum(x): the sum of integers without overflow, an integer where it fits 64
 * bits and decimal digits as text otherwise; NULL over no rows.  SQLite's own
 * sum() fails on overflow where PostgreSQL's sum(bigint) is numeric.  A value
 * that is no integer is an error, as it is where rows are fetched.
 *
 * vss_avg(x): sum and count of the same as text, "sum count"; NULL over no rows.
 * PostgreSQL divides them, by its own rules of numeric.
 *
 * Called by SQLite: nothing of PostgreSQL may be used below.
 */
#include "postgres.h"

#include "fdw/sqlfn/sqlfn.h"

typedef struct IntegerSum
{
	int128 sum; /* aligned to 8 bytes, as SQLite aligns its memory */
	int64 count;
} IntegerSum;

static void
sum_step(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	IntegerSum *state;
	int64 value;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	if (!vssfdw_value_integer(argv[0], &value))
	{
		sqlite3_result_error(context, "a value among those to be summed is not an integer", -1);
		return;
	}
	state = sqlite3_aggregate_context(context, sizeof(*state));
	if (state == NULL)
	{
		sqlite3_result_error_nomem(context);
		return;
	}
	state->sum += value;
	state->count++;
}

/* The decimal digits, written to end before this; returns where they begin. */
static char *
put_digits(char *end, int128 value)
{
	uint128 rest = value < 0 ? -(uint128) value : (uint128) value;

	do
		*--end = '0' + (char) (rest % 10);
	while ((rest /= 10) > 0);
	if (value < 0)
		*--end = '-';
	return end;
}

static void
average_final(sqlite3_context *context)
{
	IntegerSum *state = sqlite3_aggregate_context(context, 0);
	char text[80];
	char *end = text + sizeof(text);
	char *p;

	if (state == NULL || state->count == 0)
		return; /* NULL */
	p = put_digits(end, state->count);
	*--p = ' ';
	p = put_digits(p, state->sum);
	sqlite3_result_text(context, p, (int) (end - p), SQLITE_TRANSIENT);
}

static void
sum_final(sqlite3_context *context)
{
	IntegerSum *state = sqlite3_aggregate_context(context, 0);
	char digits[48];
	char *p;

	if (state == NULL || state->count == 0)
		return; /* NULL */
	if (state->sum >= INT64_MIN && state->sum <= INT64_MAX)
	{
		sqlite3_result_int64(context, (int64) state->sum);
		return;
	}
	p = put_digits(digits + sizeof(digits), state->sum);
	sqlite3_result_text(context, p, (int) (digits + sizeof(digits) - p), SQLITE_TRANSIENT);
}

const VssSqlFunction vssfdw_sum_functions[] = {
	{"vss_sum", 1, .step = sum_step, .final = sum_final},
	{"vss_avg", 1, .step = sum_step, .final = average_final},
	{NULL},
};
