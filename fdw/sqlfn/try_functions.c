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
#include "utils/fmgroids.h"

bool
vssfdw_find_attempt(Oid function, VssAttempt *out)
{
	static const struct
	{
		Oid function;
		VssAttempt attempt;
	} attempts[] = {
#define INTEGERS(a, b, c, d, e, f, g, h, i, sign)                                                            \
	{a, {sign, "smallint"}}, {b, {sign, "integer"}}, {c, {sign, "bigint"}}, {d, {sign, "integer"}},          \
		{e, {sign, "integer"}}, {f, {sign, "bigint"}}, {g, {sign, "bigint"}}, {h, {sign, "bigint"}},         \
	{                                                                                                        \
		i,                                                                                                   \
		{                                                                                                    \
			sign, "bigint"                                                                                   \
		}                                                                                                    \
	}
		INTEGERS(F_INT2PL, F_INT4PL, F_INT8PL, F_INT24PL, F_INT42PL, F_INT28PL, F_INT82PL, F_INT48PL,
				 F_INT84PL, "+"),
		INTEGERS(F_INT2MI, F_INT4MI, F_INT8MI, F_INT24MI, F_INT42MI, F_INT28MI, F_INT82MI, F_INT48MI,
				 F_INT84MI, "-"),
		INTEGERS(F_INT2MUL, F_INT4MUL, F_INT8MUL, F_INT24MUL, F_INT42MUL, F_INT28MUL, F_INT82MUL, F_INT48MUL,
				 F_INT84MUL, "*"),
		INTEGERS(F_INT2DIV, F_INT4DIV, F_INT8DIV, F_INT24DIV, F_INT42DIV, F_INT28DIV, F_INT82DIV, F_INT48DIV,
				 F_INT84DIV, "/"),
#undef INTEGERS
		{F_INT2MOD, {"%", "smallint"}},
		{F_INT4MOD, {"%", "integer"}},
		{F_INT8MOD, {"%", "bigint"}},
		{F_INT2UM, {"-", "smallint"}},
		{F_INT4UM, {"-", "integer"}},
		{F_INT8UM, {"-", "bigint"}},
		{F_INT2ABS, {"abs", "smallint"}},
		{F_INT4ABS, {"abs", "integer"}},
		{F_INT8ABS, {"abs", "bigint"}},
		{F_ABS_INT2, {"abs", "smallint"}},
		{F_ABS_INT4, {"abs", "integer"}},
		{F_ABS_INT8, {"abs", "bigint"}},
		{F_INT2_INT4, {"cast", "smallint"}},
		{F_INT2_INT8, {"cast", "smallint"}},
		{F_INT4_INT8, {"cast", "integer"}},
		{F_DATE_MI, {"-", "days"}},
		{F_FLOAT8PL, {"+", "double precision"}},
		{F_FLOAT8MI, {"-", "double precision"}},
		{F_FLOAT8MUL, {"*", "double precision"}},
		{F_FLOAT8DIV, {"/", "double precision"}},
	};

	for (int i = 0; i < lengthof(attempts); i++)
	{
		if (attempts[i].function == function)
		{
			*out = attempts[i].attempt;
			return true;
		}
	}
	return false;
}

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

int
vssfdw_register_attempts(sqlite3 *db)
{
	return sqlite3_create_function_v2(db, "vss_try", 4, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
									  NULL, try_function, NULL, NULL, NULL);
}
