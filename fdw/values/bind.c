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

static VssBound
bound_integer(int64 value)
{
	return (VssBound){.form = SQLITE_INTEGER, .integer = value};
}

static VssBound
bound_real(double value)
{
	if (isnan(value))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE), errmsg("SQLite cannot store the number NaN"),
				 errhint("Use NULL, or store the column as text with the option column_type 'TEXT'.")));
	return (VssBound){.form = SQLITE_FLOAT, .real = value};
}

static VssBound
bound_blob(const void *bytes, size_t length)
{
	return (VssBound){.form = SQLITE_BLOB, .bytes = bytes, .length = length};
}

/* length in bytes, the server's encoding; lives as long as the value. */
static VssBound
bound_text(const char *text, int length)
{
	char *utf8 = pg_server_to_any(text, length, PG_UTF8);

	return (VssBound){
		.form = SQLITE_TEXT, .bytes = utf8, .length = utf8 != text ? strlen(utf8) : (size_t) length};
}

/* Bytes of a column that holds both: TEXT where they are text. */
static VssBound
bound_mixed(const char *bytes, int length)
{
	VssBound bound = bound_blob(bytes, length);

	if (memchr(bytes, '\0', length) == NULL && pg_verify_mbstr(PG_UTF8, bytes, length, true))
		bound.form = SQLITE_TEXT;
	return bound;
}

/*
 * The type's own text, in the form that does not depend on the session's
 * settings and is read back to the same value.
 */
static VssBound
bound_output(const VssColumn *column, Datum value)
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
	return bound_text(text, (int) strlen(text));
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

pg_noreturn static void
unformable(const VssColumn *column, Datum value)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
			 errmsg("value %s of type %s has no text of the form \"%s\"",
					OutputFunctionCall((FmgrInfo *) &column->output, value), format_type_be(column->type),
					column->form),
			 errdetail("The option text_form of column \"%s\" says how its text looks.", column->name),
			 errhint("Change the option, or write a value that has nothing in the parts that it lacks.")));
}

/* The word that the column has for it. */
static VssBound
bound_boolean(const VssColumn *column, Datum value)
{
	const char *slash = strchr(column->form, '/');

	if (DatumGetBool(value))
		return bound_text(column->form, (int) (slash - column->form));
	return bound_text(slash + 1, (int) strlen(slash + 1));
}

static VssBound
bound_time(const VssColumn *column, Datum value)
{
	char buffer[64];
	double real;
	int64 integer;

	switch (column->stored)
	{
		case VSS_STORED_INTEGER:
			if (!vssfdw_time_to_integer(column->kind, value, column->unit, &integer))
				unstorable(column, value,
						   column->unit == VSS_TIME_ANY ? "Unix seconds"
														: psprintf("a whole number of time_unit %s",
																   vssfdw_time_unit_name(column->unit)));
			return bound_integer(integer);
		case VSS_STORED_REAL:
			if (!vssfdw_time_to_real(column->kind, value, column->unit, &real))
				unstorable(column, value,
						   column->unit == VSS_TIME_ANY
							   ? "a Julian day"
							   : psprintf("a number of time_unit %s", vssfdw_time_unit_name(column->unit)));
			return bound_real(real);
		default:
			if (column->form != NULL)
			{
				if (!vssfdw_time_to_form(column->kind, value, column->form, buffer, sizeof(buffer)))
					unformable(column, value);
			}
			else if (!vssfdw_time_to_text(column->kind, value, buffer, sizeof(buffer)))
				unstorable(column, value, "ISO 8601 text");
			return bound_text(pstrdup(buffer), (int) strlen(buffer));
	}
}

/*
 * Whole numbers as INTEGER; others as text, which keeps all digits, but as REAL
 * where the column would make one of the text.
 */
static VssBound
bound_numeric(const VssColumn *column, Datum value)
{
	char *text = OutputFunctionCall((FmgrInfo *) &column->output, value);
	char *end;
	int64 integer;

	if (column->stored == VSS_STORED_REAL)
		return bound_real(strtod(text, NULL));
	errno = 0;
	integer = strtoll(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0')
		return bound_integer(integer);
	if (vssfdw_makes_numbers(column->affinity) && isdigit((unsigned char) text[strlen(text) - 1]))
		return bound_real(strtod(text, NULL));
	return bound_text(text, (int) strlen(text));
}

/* Whether a number of a column that keeps them as text is a number there all the same: the column makes one of it. */
static bool
becomes_number(const VssColumn *column, Datum value)
{
	if (!vssfdw_makes_numbers(column->affinity))
		return false;
	switch ((ValueKind) column->kind)
	{
		case VALUE_FLOAT4:
			return isfinite(DatumGetFloat4(value));
		case VALUE_FLOAT8:
			return isfinite(DatumGetFloat8(value));
		case VALUE_BOOL:
			return false;
		default:
			return true;
	}
}

/* The address's bytes, which its text has as pairs of digits, or the number that they are. */
static VssBound
bound_macaddr(const VssColumn *column, Datum value)
{
	const char *text = OutputFunctionCall((FmgrInfo *) &column->output, value);
	unsigned char *bytes = palloc(8);
	uint64 number = 0;
	int length = 0;

	for (; length < 8 && isxdigit((unsigned char) text[0]); length++)
	{
		bytes[length] = (unsigned char) strtoul(text, NULL, 16);
		number = number << 8 | bytes[length];
		text += text[2] == ':' ? 3 : 2;
	}
	return column->stored == VSS_STORED_BLOB ? bound_blob(bytes, length) : bound_integer((int64) number);
}

/* In the form that the column stores. */
static VssBound
make_bound(const VssColumn *column, Datum value)
{
	if (column->kind == VALUE_BOOL && column->form != NULL)
		return bound_boolean(column, value);
	if (column->stored == VSS_STORED_TEXT && column->kind >= VALUE_BOOL && column->kind <= VALUE_NUMERIC &&
		!becomes_number(column, value))
		return bound_output(column, value);

	switch ((ValueKind) column->kind)
	{
		case VALUE_BOOL:
			return bound_integer(DatumGetBool(value));
		case VALUE_INT2:
			return bound_integer(DatumGetInt16(value));
		case VALUE_INT4:
			return bound_integer(DatumGetInt32(value));
		case VALUE_INT8:
			return bound_integer(DatumGetInt64(value));
		case VALUE_FLOAT4:
			return bound_real(DatumGetFloat4(value));
		case VALUE_FLOAT8:
			return bound_real(DatumGetFloat8(value));
		case VALUE_NUMERIC:
			return bound_numeric(column, value);
		case VALUE_TEXT:
		{
			text *packed = DatumGetTextPP(value);

			return bound_text(VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
		}
		case VALUE_BYTEA:
		{
			bytea *packed = DatumGetByteaPP(value);

			return column->stored == VSS_STORED_TEXT
					   ? bound_mixed(VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed))
					   : bound_blob(VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
		}
		case VALUE_UUID:
			if (column->stored == VSS_STORED_BLOB)
				return bound_blob(DatumGetUUIDP(value)->data, UUID_LEN);
			break;
		case VALUE_VECTOR:
			if (column->stored == VSS_STORED_BLOB)
			{
				VssVector *vector = DatumGetVssVector(value);

				return bound_blob(vector->x, sizeof(float) * vector->dim);
			}
			break;
		case VALUE_DATE:
		case VALUE_TIME:
		case VALUE_TIMETZ:
		case VALUE_TIMESTAMP:
		case VALUE_TIMESTAMPTZ:
			return bound_time(column, value);
		case VALUE_ARRAY:
		{
			char *json = vssfdw_array_to_json(value);

			return bound_text(json, (int) strlen(json));
		}
		case VALUE_MACADDR:
		case VALUE_MACADDR8:
			if (column->stored == VSS_STORED_BLOB || column->stored == VSS_STORED_INTEGER)
				return bound_macaddr(column, value);
			break;
		case VALUE_VARCHAR:
		case VALUE_INTERVAL:
		case VALUE_JSON:
		case VALUE_OTHER:
			break;
	}
	return bound_output(column, value);
}

/* What the column has for NULL: a number where it is one, in a column that keeps numbers. */
static VssBound
bound_null(const VssColumn *column)
{
	bool numbers =
		column->stored == VSS_STORED_INTEGER || column->stored == VSS_STORED_REAL ||
		(column->stored == VSS_STORED_NATURAL && column->kind >= VALUE_BOOL && column->kind <= VALUE_NUMERIC);
	sqlite3_int64 number;

	if (column->null_value == NULL)
		return (VssBound){.form = SQLITE_NULL};
	if (numbers && vssfdw_whole_number(column->null_value, &number))
		return bound_integer(number);
	return (VssBound){.form = SQLITE_TEXT, .bytes = column->null_value, .length = strlen(column->null_value)};
}

bool
vssfdw_stands_for_null(const VssColumn *column, const VssBound *stored)
{
	return column->null_value != NULL &&
		   vssfdw_is_null_value(column->null_value, stored->form, stored->bytes, (int) stored->length,
								stored->integer, stored->real);
}

void
vssfdw_bind(VssStatement *statement, int i, const VssColumn *column, Datum value, bool isnull)
{
	sqlite3_stmt *stmt = statement->stmt;
	VssBound bound = isnull ? bound_null(column) : make_bound(column, value);
	int rc;

	if (bound.form != SQLITE_NULL && (column->is_stored || column->null_value != NULL))
		vssfdw_check_kept(statement, column, value, isnull, &bound);
	switch (bound.form)
	{
		case SQLITE_INTEGER:
			rc = sqlite3_bind_int64(stmt, i, bound.integer);
			break;
		case SQLITE_FLOAT:
			rc = sqlite3_bind_double(stmt, i, bound.real);
			break;
		case SQLITE_TEXT:
			rc = sqlite3_bind_text64(stmt, i, bound.bytes, bound.length, SQLITE_STATIC, SQLITE_UTF8);
			break;
		case SQLITE_BLOB:
			rc = sqlite3_bind_blob64(stmt, i, bound.bytes, bound.length, SQLITE_STATIC);
			break;
		default:
			rc = sqlite3_bind_null(stmt, i);
			break;
	}
	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, statement->conn->db, statement->conn->servername, statement->sql);
}
