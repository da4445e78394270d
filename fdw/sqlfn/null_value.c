/*
 * null_value.c
 *		The value that a column stores for NULL: option null_value.
 *
 * vss_nullif(x, null_value): NULL where x is what the column has for NULL, else x.
 *
 * Programs that write no NULL have an empty text, -1 or N/A for it.  SQLite's
 * nullif() would compare by the column's collation, and knows either text or a
 * number.
 *
 * Called by SQLite: nothing of PostgreSQL may be used below.
 */
#include "postgres.h"

#include "fdw/sqlfn/sqlfn.h"

bool
vssfdw_whole_number(const char *text, sqlite3_int64 *number)
{
	const char *digits = text + (text[0] == '-');
	char *end;

	if (digits[0] < '0' || digits[0] > '9')
		return false;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0';
}

bool
vssfdw_is_null_value(const char *null_value, int type, const char *text, int length, sqlite3_int64 integer,
					 double real)
{
	sqlite3_int64 number;

	switch (type)
	{
		case SQLITE_TEXT:
			return text != NULL && strlen(null_value) == (size_t) length &&
				   memcmp(null_value, text, length) == 0;
		case SQLITE_INTEGER:
			return vssfdw_whole_number(null_value, &number) && number == integer;
		case SQLITE_FLOAT:
			return vssfdw_whole_number(null_value, &number) && (double) number == real;
		default:
			return type == SQLITE_NULL;
	}
}

static void
nullif_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const char *null_value = (const char *) sqlite3_value_text(argv[1]);
	int type = sqlite3_value_type(argv[0]);
	const char *text = type == SQLITE_TEXT ? (const char *) sqlite3_value_text(argv[0]) : NULL;

	if (null_value == NULL || (type == SQLITE_TEXT && text == NULL))
		sqlite3_result_error_nomem(context);
	else if (!vssfdw_is_null_value(null_value, type, text, sqlite3_value_bytes(argv[0]),
								   sqlite3_value_int64(argv[0]), sqlite3_value_double(argv[0])))
		sqlite3_result_value(context, argv[0]);
}

const VssSqlFunction vssfdw_null_functions[] = {
	{"vss_nullif", 2, nullif_function},
	{NULL},
};
