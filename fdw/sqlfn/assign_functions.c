/*
 * assign_functions.c
 *		SQL functions that compute a new value of UPDATE, for SQLite.
 *
 * vss_add(x, y, type), vss_subtract, vss_multiply, vss_divide, vss_modulo:
 * arithmetic as PostgreSQL's of the type: 'smallint', 'integer', 'bigint' or
 * 'double precision'.  Overflow, underflow and division by zero are
 * PostgreSQL's errors.
 *
 * vss_fit(x, type): x, when PostgreSQL would accept it from a column of the
 * type; an integer out of the type's range is the error of the cast.
 *
 * They may fail, unlike those of functions.c, which stand in conditions: a new
 * value is computed for the rows that are changed, and for no others.
 *
 * Called by SQLite: nothing of PostgreSQL may be used below.
 */
#include "postgres.h"

#include <math.h>

#include "common/int.h"

#include "fdw/sqlfn/sqlfn.h"

static void
fail(sqlite3_context *context, int rc, const char *message)
{
	sqlite3_result_error(context, message, -1);
	sqlite3_result_error_code(context, rc);
}

static void
fail_unfit(sqlite3_context *context, sqlite3_value *value, const char *type)
{
	static const char *const kinds[] = {"INTEGER", "REAL", "TEXT", "BLOB", "NULL"};
	char message[100];

	snprintf(message, sizeof(message), "a value that SQLite stores as %s does not fit type %s",
			 kinds[sqlite3_value_type(value) - SQLITE_INTEGER], type);
	fail(context, VSS_RC_UNFIT, message);
}

/* The name of a type, which the planner writes; never NULL. */
static const char *
type_name(sqlite3_value *value)
{
	const char *name = (const char *) sqlite3_value_text(value);

	return name != NULL ? name : "";
}

/* The result, when the type holds it. */
static void
set_integer(sqlite3_context *context, int64 value, bool overflow, const char *type)
{
	char message[40];

	if (strcmp(type, "smallint") == 0)
		overflow |= value < PG_INT16_MIN || value > PG_INT16_MAX;
	else if (strcmp(type, "integer") == 0)
		overflow |= value < PG_INT32_MIN || value > PG_INT32_MAX;
	if (!overflow)
	{
		sqlite3_result_int64(context, value);
		return;
	}
	snprintf(message, sizeof(message), "%s out of range", type);
	fail(context, VSS_RC_OUT_OF_RANGE, message);
}

typedef enum Operation
{
	OPERATION_ADD,
	OPERATION_SUBTRACT,
	OPERATION_MULTIPLY,
	OPERATION_DIVIDE,
	OPERATION_MODULO
} Operation;

static void
integer_arithmetic(sqlite3_context *context, Operation operation, sqlite3_value **argv, const char *type)
{
	int64 operands[2];
	int64 result = 0;
	bool overflow = false;

	for (int i = 0; i < 2; i++)
	{
		if (!vssfdw_value_integer(argv[i], &operands[i]))
		{
			fail_unfit(context, argv[i], type);
			return;
		}
	}
	if (operation >= OPERATION_DIVIDE && operands[1] == 0)
	{
		fail(context, VSS_RC_DIVISION_BY_ZERO, "division by zero");
		return;
	}
	switch (operation)
	{
		case OPERATION_ADD:
			overflow = pg_add_s64_overflow(operands[0], operands[1], &result);
			break;
		case OPERATION_SUBTRACT:
			overflow = pg_sub_s64_overflow(operands[0], operands[1], &result);
			break;
		case OPERATION_MULTIPLY:
			overflow = pg_mul_s64_overflow(operands[0], operands[1], &result);
			break;
		case OPERATION_DIVIDE:
			/* the least integer has no positive counterpart, and the processor traps */
			if (operands[1] == -1)
				overflow = pg_sub_s64_overflow(0, operands[0], &result);
			else
				result = operands[0] / operands[1];
			break;
		case OPERATION_MODULO:
			result = operands[1] == -1 ? 0 : operands[0] % operands[1];
			break;
	}
	set_integer(context, result, overflow, type);
}

/* A number; NaN, which SQLite has not, is bound as text (scan.c). */
static bool
get_double(sqlite3_value *value, double *out)
{
	switch (sqlite3_value_type(value))
	{
		case SQLITE_INTEGER:
		case SQLITE_FLOAT:
			*out = sqlite3_value_double(value);
			return true;
		case SQLITE_TEXT:
			*out = NAN;
			return strcmp((const char *) sqlite3_value_text(value), "NaN") == 0;
		default:
			return false;
	}
}

/* As float8_pl() and its like: what is neither infinite nor zero must not become so. */
static void
double_arithmetic(sqlite3_context *context, Operation operation, sqlite3_value **argv, const char *type)
{
	double x;
	double y;
	double result;
	bool underflow = false;

	if (!get_double(argv[0], &x) || !get_double(argv[1], &y))
	{
		fail_unfit(context, argv[get_double(argv[0], &x) ? 1 : 0], type);
		return;
	}
	switch (operation)
	{
		case OPERATION_ADD:
			result = x + y;
			break;
		case OPERATION_SUBTRACT:
			result = x - y;
			break;
		case OPERATION_MULTIPLY:
			result = x * y;
			underflow = result == 0.0 && x != 0.0 && y != 0.0;
			break;
		default:
			if (y == 0.0 && !isnan(x))
			{
				fail(context, VSS_RC_DIVISION_BY_ZERO, "division by zero");
				return;
			}
			result = x / y;
			underflow = result == 0.0 && x != 0.0 && !isinf(y);
			break;
	}
	if (isinf(result) && !isinf(x) && (operation == OPERATION_DIVIDE || !isinf(y)))
		fail(context, VSS_RC_OUT_OF_RANGE, "value out of range: overflow");
	else if (underflow)
		fail(context, VSS_RC_OUT_OF_RANGE, "value out of range: underflow");
	else if (isnan(result))
		fail(context, VSS_RC_UNFIT, "SQLite cannot store the number NaN");
	else
		sqlite3_result_double(context, result);
}

/* user data: a pointer to the Operation */
static void
arithmetic_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	Operation operation = *(const Operation *) sqlite3_user_data(context);
	const char *type = type_name(argv[2]);

	for (int i = 0; i < 2; i++)
	{
		if (sqlite3_value_type(argv[i]) == SQLITE_NULL)
			return; /* NULL */
	}
	if (strcmp(type, "double precision") == 0)
		double_arithmetic(context, operation, argv, type);
	else
		integer_arithmetic(context, operation, argv, type);
}

/* See types.c for what a column of the type accepts. */
static void
fit_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const char *type = type_name(argv[1]);
	int stored = sqlite3_value_type(argv[0]);
	int64 integer;
	bool fits;

	if (stored == SQLITE_NULL)
		return;
	if (strcmp(type, "smallint") == 0 || strcmp(type, "integer") == 0 || strcmp(type, "bigint") == 0)
	{
		if (vssfdw_value_integer(argv[0], &integer))
			set_integer(context, integer, false, type);
		else
			fail_unfit(context, argv[0], type);
		return;
	}
	if (strcmp(type, "boolean") == 0)
		fits = vssfdw_value_integer(argv[0], &integer) && (integer == 0 || integer == 1);
	else if (strcmp(type, "double precision") == 0)
		fits = stored == SQLITE_FLOAT || stored == SQLITE_INTEGER;
	else if (strcmp(type, "bytea") == 0)
		fits = stored == SQLITE_BLOB;
	else
		fits = stored == SQLITE_TEXT;
	if (fits)
		sqlite3_result_value(context, argv[0]);
	else
		fail_unfit(context, argv[0], type);
}

const VssSqlFunction vssfdw_assign_functions[] = {
	{"vss_fit", 2, fit_function},
	{"vss_add", 3, arithmetic_function, &(const Operation){OPERATION_ADD}},
	{"vss_subtract", 3, arithmetic_function, &(const Operation){OPERATION_SUBTRACT}},
	{"vss_multiply", 3, arithmetic_function, &(const Operation){OPERATION_MULTIPLY}},
	{"vss_divide", 3, arithmetic_function, &(const Operation){OPERATION_DIVIDE}},
	{"vss_modulo", 3, arithmetic_function, &(const Operation){OPERATION_MODULO}},
	{NULL},
};
