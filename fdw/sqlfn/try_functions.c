/*
 * try_functions.c
 *		Arithmetic that may fail, for conditions that PostgreSQL tests again.
 *
 * vss_try(operation, type, x, y): x + y and its like as PostgreSQL computes them
 * in the type, NULL where PostgreSQL would raise an error: overflow, division by
 * zero.  A row for which a condition is NULL is handed over, and PostgreSQL
 * decides about it, error and all.
 *
 * operation: + - * / %; "abs" and "cast" of x alone.  type: smallint, integer,
 * bigint, double precision; days, of dates that are not infinite.
 *
 * Called by SQLite: nothing of PostgreSQL may be used below.
 */
#include "postgres.h"

#include <math.h>

#include "common/int.h"
#include "utils/date.h"

#include "fdw/sqlfn/sqlfn.h"

/* NULL where the result is out of range, as PostgreSQL defines it for each operation. */
static void
try_floats(sqlite3_context *context, char operation, double x, double y)
{
	double result;
	bool failed;

	switch (operation)
	{
		case '+':
		case '-':
			result = operation == '+' ? x + y : x - y;
			failed = isinf(result) && !isinf(x) && !isinf(y);
			break;
		case '*':
			result = x * y;
			failed = (isinf(result) && !isinf(x) && !isinf(y)) || (result == 0 && x != 0 && y != 0);
			break;
		default:
			failed = y == 0;
			result = failed ? 0 : x / y;
			failed |= (isinf(result) && !isinf(x)) || (result == 0 && x != 0 && !isinf(y));
			break;
	}
	/* NaN is NULL to SQLite, and so handed over, too */
	if (!failed)
		sqlite3_result_double(context, result);
}

static void
try_integers(sqlite3_context *context, const char *operation, const char *type, int64 x, int64 y)
{
	int64 result = x;
	bool failed = false;

	switch (operation[0])
	{
		case '+':
			failed = pg_add_s64_overflow(x, y, &result);
			break;
		case '-':
			failed = pg_sub_s64_overflow(x, y, &result);
			break;
		case '*':
			failed = pg_mul_s64_overflow(x, y, &result);
			break;
		case '/':
			/* the least integer has no positive counterpart, and the processor traps */
			if (y == -1)
				failed = pg_sub_s64_overflow(0, x, &result);
			else if (y != 0)
				result = x / y;
			failed |= y == 0;
			break;
		case '%':
			failed = y == 0;
			result = y == 0 || y == -1 ? 0 : x % y;
			break;
		case 'a':
			if (x < 0)
				failed = pg_sub_s64_overflow(0, x, &result);
			break;
		default:
			break;
	}
	if (strcmp(type, "smallint") == 0)
		failed |= result < PG_INT16_MIN || result > PG_INT16_MAX;
	else if (strcmp(type, "integer") == 0)
		failed |= result < PG_INT32_MIN || result > PG_INT32_MAX;
	if (!failed)
		sqlite3_result_int64(context, result);
}

static bool
is_number(sqlite3_value *value)
{
	return sqlite3_value_type(value) == SQLITE_INTEGER || sqlite3_value_type(value) == SQLITE_FLOAT;
}

static bool
is_finite_date(int64 day)
{
	return !DATE_NOT_FINITE(day) && IS_VALID_DATE(day);
}

/* Values that do not fit give NULL as well: the row is fetched, which is an error. */
static void
try_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const char *operation = (const char *) sqlite3_value_text(argv[0]);
	const char *type = (const char *) sqlite3_value_text(argv[1]);
	int64 x;
	int64 y;

	if (operation == NULL || type == NULL)
		sqlite3_result_error_nomem(context);
	else if (strcmp(type, "days") == 0)
	{
		if (vssfdw_value_integer(argv[2], &x) && vssfdw_value_integer(argv[3], &y) && is_finite_date(x) &&
			is_finite_date(y))
			sqlite3_result_int64(context, x - y);
	}
	else if (type[0] == 'd')
	{
		if (is_number(argv[2]) && is_number(argv[3]))
			try_floats(context, operation[0], sqlite3_value_double(argv[2]), sqlite3_value_double(argv[3]));
	}
	else if (vssfdw_value_integer(argv[2], &x) && vssfdw_value_integer(argv[3], &y))
		try_integers(context, operation, type, x, y);
}

const VssSqlFunction vssfdw_try_functions[] = {
	{"vss_try", 4, try_function},
	{NULL},
};
