/*
 * bind.c
 *		Values from PostgreSQL to SQLite: parameters of statements.
 *
 * The form is the one types.c reads back, and that the column stores: see
 * VssStored.
 */
#include "postgres.h"

#include <ctype.h>
#include <float.h>
#include <math.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "fdw/values/values.h"

static void
check_bind(VssStatement *statement, int rc)
{
	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, statement->conn->db, statement->conn->servername, statement->sql);
}

/* length in bytes, the server's encoding; lives as long as the value. */
static int
bind_text(VssStatement *statement, int i, const char *text, int length)
{
	char *utf8 = pg_server_to_any(text, length, PG_UTF8);

	if (utf8 != text)
		length = (int) strlen(utf8);
	return sqlite3_bind_text64(statement->stmt, i, utf8, length, SQLITE_STATIC, SQLITE_UTF8);
}

static int
bind_float(VssStatement *statement, int i, double value)
{
	if (isnan(value))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE), errmsg("SQLite cannot store the number NaN"),
				 errhint("Use NULL, or store the column as text with the option column_type 'TEXT'.")));
	return sqlite3_bind_double(statement->stmt, i, value);
}

/*
 * The type's own text, in the form that does not depend on the session's
 * settings and is read back to the same value.
 */
static int
bind_output(VssStatement *statement, int i, const VssColumn *column, Datum value)
{
	int date_style = DateStyle;
	int interval_style = IntervalStyle;
	int float_digits = extra_float_digits;
	char *text;

	PG_TRY();
	{
		DateStyle = USE_ISO_DATES;
		IntervalStyle = INTSTYLE_ISO_8601;
		extra_float_digits = 3;
		text = OutputFunctionCall((FmgrInfo *) &column->output, value);
	}
	PG_FINALLY();
	{
		DateStyle = date_style;
		IntervalStyle = interval_style;
		extra_float_digits = float_digits;
	}
	PG_END_TRY();
	return bind_text(statement, i, text, (int) strlen(text));
}

pg_noreturn static void
unstorable(const VssColumn *column, Datum value, const char *form)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
		 errmsg("value %s of type %s cannot be stored in SQLite as %s",
				OutputFunctionCall((FmgrInfo *) &column->output, value), format_type_be(column->type), form),
		 column->name != NULL
			 ? errdetail("The column's option column_type says so for column \"%s\".", column->name)
			 : 0,
		 errhint("Store it as text, which keeps microseconds and infinities: column_type 'TEXT'.")));
}

static int
bind_time(VssStatement *statement, int i, const VssColumn *column, Datum value)
{
	char buffer[64];
	double julian;
	int64 seconds;

	switch (column->stored)
	{
		case VSS_STORED_INTEGER:
			if (!vssfdw_time_to_unix(column->kind, value, &seconds))
				unstorable(column, value, "Unix seconds");
			return sqlite3_bind_int64(statement->stmt, i, seconds);
		case VSS_STORED_REAL:
			if (!vssfdw_time_to_julian(column->kind, value, &julian))
				unstorable(column, value, "a Julian day");
			return sqlite3_bind_double(statement->stmt, i, julian);
		default:
			if (!vssfdw_time_to_text(column->kind, value, buffer, sizeof(buffer)))
				unstorable(column, value, "ISO 8601 text");
			return bind_text(statement, i, pstrdup(buffer), (int) strlen(buffer));
	}
}

/* Digits that count, without leading and trailing zeros. */
static int
significant_digits(const char *number)
{
	int count = 0;
	int zeros = 0;

	for (const char *p = number; *p != '\0'; p++)
	{
		if (!isdigit((unsigned char) *p))
			continue;
		if (*p == '0')
			zeros += count > 0;
		else
		{
			count += zeros + 1;
			zeros = 0;
		}
	}
	return count;
}

/*
 * A column of numeric affinity makes a REAL of every decimal, and a REAL keeps
 * 15 digits.  More would be lost without a word.
 */
static void
check_digits(VssStatement *statement, const VssColumn *column, const char *number)
{
	const VssTableInfo *info;
	ListCell *lc;

	if (!OidIsValid(column->relid) || significant_digits(number) <= DBL_DIG)
		return;
	info = vssfdw_table_info(statement->conn, vssfdw_table_options(column->relid)->table);
	foreach (lc, info->columns)
	{
		const VssColumnInfo *stored = lfirst(lc);

		if (pg_strcasecmp(stored->name, column->name) == 0 && stored->affinity != VSS_AFFINITY_TEXT &&
			stored->affinity != VSS_AFFINITY_BLOB)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
					 errmsg("value %s has more digits than SQLite keeps in column \"%s\" of table \"%s\"",
							number, stored->name, info->name),
					 errdetail("The column is declared %s there, which stores %d digits.", stored->declared,
							   DBL_DIG),
					 errhint("Round the value, declare the column TEXT in SQLite to keep all digits, or set "
							 "its option "
							 "column_type to REAL to let them go.")));
	}
}

/* Whole numbers as INTEGER, others as text, of which SQLite makes what the column stores. */
static int
bind_numeric(VssStatement *statement, int i, const VssColumn *column, Datum value)
{
	char *text = OutputFunctionCall((FmgrInfo *) &column->output, value);
	char *end;
	int64 integer;

	if (column->stored == VSS_STORED_REAL)
		return bind_float(statement, i, strtod(text, NULL));
	errno = 0;
	integer = strtoll(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0')
		return sqlite3_bind_int64(statement->stmt, i, integer);
	check_digits(statement, column, text);
	return bind_text(statement, i, text, (int) strlen(text));
}

void
vssfdw_bind(VssStatement *statement, int i, const VssColumn *column, Datum value, bool isnull)
{
	sqlite3_stmt *stmt = statement->stmt;
	int rc;

	if (isnull)
	{
		check_bind(statement, sqlite3_bind_null(stmt, i));
		return;
	}
	if (column->stored == VSS_STORED_TEXT && column->kind >= VALUE_BOOL && column->kind <= VALUE_NUMERIC)
	{
		check_bind(statement, bind_output(statement, i, column, value));
		return;
	}

	switch ((ValueKind) column->kind)
	{
		case VALUE_BOOL:
			rc = sqlite3_bind_int(stmt, i, DatumGetBool(value));
			break;
		case VALUE_INT2:
			rc = sqlite3_bind_int(stmt, i, DatumGetInt16(value));
			break;
		case VALUE_INT4:
			rc = sqlite3_bind_int(stmt, i, DatumGetInt32(value));
			break;
		case VALUE_INT8:
			rc = sqlite3_bind_int64(stmt, i, DatumGetInt64(value));
			break;
		case VALUE_FLOAT4:
			rc = bind_float(statement, i, DatumGetFloat4(value));
			break;
		case VALUE_FLOAT8:
			rc = bind_float(statement, i, DatumGetFloat8(value));
			break;
		case VALUE_TEXT:
		{
			text *packed = DatumGetTextPP(value);

			rc = bind_text(statement, i, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
			break;
		}
		case VALUE_BYTEA:
		{
			bytea *packed = DatumGetByteaPP(value);

			rc = sqlite3_bind_blob64(stmt, i, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed), SQLITE_STATIC);
			break;
		}
		case VALUE_UUID:
			if (column->stored == VSS_STORED_BLOB)
				rc = sqlite3_bind_blob(stmt, i, DatumGetUUIDP(value)->data, UUID_LEN, SQLITE_STATIC);
			else
				rc = bind_output(statement, i, column, value);
			break;
		case VALUE_VECTOR:
			if (column->stored == VSS_STORED_BLOB)
			{
				VssVector *vector = DatumGetVssVector(value);

				rc = sqlite3_bind_blob(stmt, i, vector->x, sizeof(float) * vector->dim, SQLITE_STATIC);
			}
			else
				rc = bind_output(statement, i, column, value);
			break;
		case VALUE_NUMERIC:
			rc = bind_numeric(statement, i, column, value);
			break;
		case VALUE_DATE:
		case VALUE_TIME:
		case VALUE_TIMETZ:
		case VALUE_TIMESTAMP:
		case VALUE_TIMESTAMPTZ:
			rc = bind_time(statement, i, column, value);
			break;
		case VALUE_ARRAY:
		{
			char *json = vssfdw_array_to_json(value);

			rc = bind_text(statement, i, json, (int) strlen(json));
			break;
		}
		case VALUE_VARCHAR:
		case VALUE_INTERVAL:
		case VALUE_JSON:
		case VALUE_OTHER:
		default:
			rc = bind_output(statement, i, column, value);
			break;
	}
	check_bind(statement, rc);
}
