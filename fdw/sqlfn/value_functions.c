/*
 * value_functions.c
 *		More SQL functions with PostgreSQL's meaning, for SQLite.
 *
 * vss_greatest(x, ...), vss_least(x, ...): NULLs do not count; of equals the
 * first.  Text compares by bytes.
 * vss_left(x, n), vss_right(x, n): the first or last n characters, or with a
 * negative n all but as many at the other end.
 * vss_reverse(x), vss_starts_with(x, prefix), vss_octet_length(x).
 * vss_integer_text(x): an integer's digits.  vss_bit_and(x, y), vss_bit_or, vss_bit_xor.
 * vss_div(x, y), vss_mod(x, y): of integers, by what is neither 0 nor -1.
 * vss_abs(x), vss_negative(x), vss_sign(x), vss_floor(x), vss_ceil(x),
 * vss_trunc_float(x), vss_round(x): of double precision.
 *
 * None of them can fail but for lack of memory, and for a value of another kind
 * than the column's, as where rows are fetched.
 *
 * Called by SQLite: nothing of PostgreSQL may be used below.
 */
#include "postgres.h"

#include <math.h>

#include "fdw/sqlfn/sqlfn.h"

/* ---------- greatest, least ---------- */

/* Both are not NULL, and of one class. */
static int
compare_values(sqlite3_value *a, sqlite3_value *b)
{
	int type_a = sqlite3_value_type(a);
	int type_b = sqlite3_value_type(b);
	bool number_a = type_a == SQLITE_INTEGER || type_a == SQLITE_FLOAT;
	bool number_b = type_b == SQLITE_INTEGER || type_b == SQLITE_FLOAT;
	const void *bytes_a;
	const void *bytes_b;
	int length_a;
	int length_b;
	int order;

	if (type_a == SQLITE_INTEGER && type_b == SQLITE_INTEGER)
	{
		int64 x = sqlite3_value_int64(a);
		int64 y = sqlite3_value_int64(b);

		return (x > y) - (x < y);
	}
	if (number_a && number_b)
	{
		double x = sqlite3_value_double(a);
		double y = sqlite3_value_double(b);

		return (x > y) - (x < y);
	}
	/* NaN comes as text, and is the greatest number */
	if (number_a != number_b)
		return number_a ? -1 : 1;
	bytes_a = type_a == SQLITE_TEXT ? sqlite3_value_text(a) : sqlite3_value_blob(a);
	bytes_b = type_b == SQLITE_TEXT ? sqlite3_value_text(b) : sqlite3_value_blob(b);
	length_a = sqlite3_value_bytes(a);
	length_b = sqlite3_value_bytes(b);
	order = Min(length_a, length_b) > 0 ? memcmp(bytes_a, bytes_b, Min(length_a, length_b)) : 0;
	return order != 0 ? order : (length_a > length_b) - (length_a < length_b);
}

/* user data: whether the least is wanted */
static void
extreme_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int sign = sqlite3_user_data(context) != NULL ? -1 : 1;
	sqlite3_value *best = NULL;

	for (int i = 0; i < argc; i++)
	{
		if (sqlite3_value_type(argv[i]) == SQLITE_NULL)
			continue;
		if (best == NULL || sign * compare_values(argv[i], best) > 0)
			best = argv[i];
	}
	if (best != NULL)
		sqlite3_result_value(context, best);
}

/* ---------- text ---------- */

/* A text argument; NULL when the result is NULL or an error, which is set. */
static const unsigned char *
get_text(sqlite3_context *context, sqlite3_value *value, int *length)
{
	const unsigned char *text;

	if (sqlite3_value_type(value) == SQLITE_NULL)
		return NULL;
	if (sqlite3_value_type(value) != SQLITE_TEXT)
	{
		vssfdw_result_misfit(context, value, "text", NULL);
		return NULL;
	}
	text = sqlite3_value_text(value);
	*length = sqlite3_value_bytes(value);
	if (text == NULL)
		sqlite3_result_error_nomem(context);
	return text;
}

/* Whether a character begins with this byte: continuation bytes are 10xxxxxx. */
static bool
begins_character(unsigned char c)
{
	return (c & 0xC0) != 0x80;
}

/* Where character n begins, or the text's end. */
static int
offset_of(const unsigned char *text, int length, int64 n)
{
	int i = 0;

	for (; i < length; i++)
	{
		if (begins_character(text[i]) && n-- == 0)
			break;
	}
	return i;
}

/* user data: whether the right end is wanted */
static void
side_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	bool right = sqlite3_user_data(context) != NULL;
	int length = 0;
	const unsigned char *text = get_text(context, argv[0], &length);
	int64 n = sqlite3_value_int64(argv[1]);
	int64 count = 0;
	int cut;

	if (text == NULL || sqlite3_value_type(argv[1]) == SQLITE_NULL)
		return;
	n = Max(Min(n, PG_INT32_MAX), -PG_INT32_MAX); /* no text is as long */
	/* the left part's length in characters */
	if (right ? n >= 0 : n < 0)
	{
		for (int i = 0; i < length; i++)
			count += begins_character(text[i]);
		n = Max(count - (right ? n : -n), 0);
	}
	else if (right)
		n = -n;
	cut = offset_of(text, length, n);
	if (right)
		sqlite3_result_text(context, (const char *) text + cut, length - cut, SQLITE_TRANSIENT);
	else
		sqlite3_result_text(context, (const char *) text, cut, SQLITE_TRANSIENT);
}

static void
reverse_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int length = 0;
	const unsigned char *text = get_text(context, argv[0], &length);
	char *out;
	int end = length;

	if (text == NULL)
		return;
	out = sqlite3_malloc64((sqlite3_uint64) length + 1);
	if (out == NULL)
	{
		sqlite3_result_error_nomem(context);
		return;
	}
	for (int i = 0; i < length;)
	{
		int next = i + 1;

		while (next < length && !begins_character(text[next]))
			next++;
		end -= next - i;
		memcpy(out + end, text + i, next - i);
		i = next;
	}
	sqlite3_result_text(context, out, length, sqlite3_free);
}

static void
starts_with_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int length = 0;
	int prefix_length = 0;
	const unsigned char *text = get_text(context, argv[0], &length);
	const unsigned char *prefix = text != NULL ? get_text(context, argv[1], &prefix_length) : NULL;

	if (prefix != NULL)
		sqlite3_result_int(context, prefix_length <= length && memcmp(text, prefix, prefix_length) == 0);
}

static void
octet_length_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int length = 0;

	if (get_text(context, argv[0], &length) != NULL)
		sqlite3_result_int(context, length);
}

/* ---------- integers ---------- */

/* An integer argument; false when the result is NULL or an error, which is set. */
static bool
get_integer(sqlite3_context *context, sqlite3_value *value, int64 *out)
{
	if (sqlite3_value_type(value) == SQLITE_NULL)
		return false;
	if (vssfdw_value_integer(value, out))
		return true;
	vssfdw_result_misfit(context, value, "bigint", NULL);
	return false;
}

static void
integer_text_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	char digits[24];
	int64 value;

	if (!get_integer(context, argv[0], &value))
		return;
	snprintf(digits, sizeof(digits), "%lld", (long long) value);
	sqlite3_result_text(context, digits, -1, SQLITE_TRANSIENT);
}

/* user data: the operator's sign */
static void
integer_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const char *sign = sqlite3_user_data(context);
	int64 x;
	int64 y;

	if (!get_integer(context, argv[0], &x) || !get_integer(context, argv[1], &y))
		return;
	switch (*sign)
	{
		case '&':
			sqlite3_result_int64(context, x & y);
			break;
		case '|':
			sqlite3_result_int64(context, x | y);
			break;
		case '#':
			sqlite3_result_int64(context, x ^ y);
			break;
		default:
			/* the planner sends neither */
			if (y == 0 || y == -1)
				sqlite3_result_error(context, "division by 0 or -1", -1);
			else
				sqlite3_result_int64(context, *sign == '/' ? x / y : x % y);
			break;
	}
}

/* ---------- double precision ---------- */

static double
negative(double x)
{
	return -x;
}

static double
sign(double x)
{
	return (x > 0) - (x < 0);
}

typedef struct FloatFunction
{
	double (*function)(double);
} FloatFunction;

/* user data: a FloatFunction */
static void
float_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const FloatFunction *user = sqlite3_user_data(context);

	switch (sqlite3_value_type(argv[0]))
	{
		case SQLITE_NULL:
			return;
		case SQLITE_INTEGER:
		case SQLITE_FLOAT:
			sqlite3_result_double(context, user->function(sqlite3_value_double(argv[0])));
			return;
		case SQLITE_TEXT:
			/* NaN, which is what all of them make of it */
			if (strcmp((const char *) sqlite3_value_text(argv[0]), "NaN") == 0)
			{
				sqlite3_result_value(context, argv[0]);
				return;
			}
			break;
	}
	vssfdw_result_misfit(context, argv[0], "double precision", NULL);
}

const VssSqlFunction vssfdw_value_functions[] = {
	{"vss_greatest", -1, extreme_function},
	{"vss_least", -1, extreme_function, VSS_SQL_FLAG},
	{"vss_left", 2, side_function},
	{"vss_right", 2, side_function, VSS_SQL_FLAG},
	{"vss_reverse", 1, reverse_function},
	{"vss_starts_with", 2, starts_with_function},
	{"vss_octet_length", 1, octet_length_function},
	{"vss_integer_text", 1, integer_text_function},
	{"vss_bit_and", 2, integer_function, "&"},
	{"vss_bit_or", 2, integer_function, "|"},
	{"vss_bit_xor", 2, integer_function, "#"},
	{"vss_div", 2, integer_function, "/"},
	{"vss_mod", 2, integer_function, "%"},
	{"vss_abs", 1, float_function, &(const FloatFunction){fabs}},
	{"vss_negative", 1, float_function, &(const FloatFunction){negative}},
	{"vss_sign", 1, float_function, &(const FloatFunction){sign}},
	{"vss_floor", 1, float_function, &(const FloatFunction){floor}},
	{"vss_ceil", 1, float_function, &(const FloatFunction){ceil}},
	{"vss_trunc_float", 1, float_function, &(const FloatFunction){trunc}},
	/* rint() rounds halves to even, as the server does */
	{"vss_round", 1, float_function, &(const FloatFunction){rint}},
	{NULL},
};
