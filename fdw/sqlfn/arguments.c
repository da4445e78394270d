/*
 * arguments.c
 *		The ground of the SQL functions: what they read their arguments with, and
 *		how they fail.
 *
 * Called by SQLite: nothing of PostgreSQL may be used below that raises errors
 * or allocates.
 */
#include "postgres.h"

#include <math.h>

#include "fdw/sqlfn/sqlfn.h"

bool
vssfdw_value_integer(sqlite3_value *value, int64 *out)
{
	double real;

	switch (sqlite3_value_type(value))
	{
		case SQLITE_INTEGER:
			*out = sqlite3_value_int64(value);
			return true;
		case SQLITE_FLOAT:
			real = sqlite3_value_double(value);
			*out = sqlite3_value_int64(value);
			return real == rint(real) && FLOAT8_FITS_IN_INT64(real);
		default:
			return false;
	}
}

bool
vssfdw_small_argument(sqlite3_context *context, int argc, sqlite3_value **argv, int i, int least, int most,
					  int *out)
{
	sqlite3_int64 value;

	if (i >= argc)
		return true;
	value = sqlite3_value_int64(argv[i]);
	if (value < least || value > most)
	{
		vssfdw_result_failure(context, SQLITE_ERROR, "an argument of a function of vss_fdw is out of range");
		return false;
	}
	*out = (int) value;
	return true;
}

/*
 * The value is not shown: a condition may be asked of rows that a
 * security-barrier view keeps from the one who asks.
 */
void
vssfdw_result_misfit(sqlite3_context *context, sqlite3_value *value, const char *type, const char *reason)
{
	static const char *const names[] = {
		[SQLITE_INTEGER] = "INTEGER", [SQLITE_FLOAT] = "REAL", [SQLITE_TEXT] = "TEXT",
		[SQLITE_BLOB] = "BLOB",       [SQLITE_NULL] = "NULL",
	};
	StaticAssertStmt(lengthof(names) == SQLITE_NULL + 1, "names of SQLite's types");
	char *message =
		sqlite3_mprintf("a value stored as %s does not fit type %s%s%s", names[sqlite3_value_type(value)],
						type, reason != NULL ? ": " : "", reason != NULL ? reason : "");

	if (message == NULL)
		sqlite3_result_error_nomem(context);
	else
	{
		sqlite3_result_error(context, message, -1);
		sqlite3_result_error_code(context, SQLITE_MISMATCH);
	}
	sqlite3_free(message);
}

void
vssfdw_result_failure(sqlite3_context *context, int rc, const char *message)
{
	sqlite3_result_error(context, message, -1);
	sqlite3_result_error_code(context, rc);
}
