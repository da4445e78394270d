/*
 * literals.c
 *		Values from PostgreSQL in the form in which SQLite compares them: as
 *		literals of a statement, as its parameters, as elements of an array.
 *
 * The class of a value decides about the form (column_class.c): a date is the
 * number of its day, a uuid a BLOB.  A time is written as a call of its reader,
 * vss_date('2024-02-29'), so that people can read the statement; SQLite computes
 * the call once.
 *
 * A value is written as a literal where the text says exactly the value, and
 * bound otherwise: SQLite's conversion of decimal digits to a double is not
 * always the nearest one.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "fdw/ship/ship.h"

#define MAX_TEXT_LITERAL 200 /* bytes */

/* The kind of a type of times that compare as integers, else VALUE_OTHER. */
static ValueKind
time_kind(Oid type)
{
	switch (type)
	{
		case DATEOID:
			return VALUE_DATE;
		case TIMESTAMPOID:
			return VALUE_TIMESTAMP;
		case TIMESTAMPTZOID:
			return VALUE_TIMESTAMPTZ;
		case TIMEOID:
			return VALUE_TIME;
		default:
			return VALUE_OTHER;
	}
}

static int64
time_number(Oid type, Datum value)
{
	return type == DATEOID ? DatumGetDateADT(value) : DatumGetInt64(value);
}

/* Bytes of a text that count in comparisons. */
static int
compared_length(Oid type, const text *t)
{
	return type == BPCHAROID ? bpchartruelen(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t)) : VARSIZE_ANY_EXHDR(t);
}

/* ---------- literals ---------- */

/* In the server's encoding, as all SQL until vssfdw_prepare. */
static void
put_text(StringInfo buf, const char *text, int length)
{
	const char *p;

	appendStringInfoChar(buf, '\'');
	for (p = text; p < text + length; p++)
	{
		if (*p == '\'')
			appendStringInfoChar(buf, '\'');
		appendStringInfoChar(buf, *p);
	}
	appendStringInfoChar(buf, '\'');
}

char *
vssfdw_quote_literal(const char *text)
{
	StringInfoData buf;

	initStringInfo(&buf);
	put_text(&buf, text, (int) strlen(text));
	return buf.data;
}

/* vss_date('2024-02-29'); false for what has no text that is read back. */
static bool
put_time(StringInfo buf, Oid type, Datum value)
{
	ValueKind kind = time_kind(type);
	char text[64];
	Datum back;

	if (!vssfdw_time_to_text(kind, value, text, sizeof(text)) ||
		!vssfdw_time_from_text(kind, -1, text, &back, NULL) ||
		time_number(type, back) != time_number(type, value))
		return false;
	appendStringInfo(buf, "%s('%s')",
					 kind == VALUE_DATE   ? "vss_date"
					 : kind == VALUE_TIME ? "vss_time"
										  : "vss_timestamp",
					 text);
	return true;
}

bool
vssfdw_put_literal(StringInfo buf, Oid type, Datum value, bool isnull)
{
	if (isnull)
	{
		appendStringInfoString(buf, "NULL");
		return true;
	}
	switch (type)
	{
		case INT2OID:
			appendStringInfo(buf, "%d", DatumGetInt16(value));
			return true;
		case INT4OID:
			appendStringInfo(buf, "%d", DatumGetInt32(value));
			return true;
		case INT8OID:
			/* the digits of the least integer alone would be a double */
			if (DatumGetInt64(value) == PG_INT64_MIN)
				appendStringInfoString(buf, "(-9223372036854775807 - 1)");
			else
				appendStringInfo(buf, INT64_FORMAT, DatumGetInt64(value));
			return true;
		case BOOLOID:
			appendStringInfoString(buf, DatumGetBool(value) ? "1" : "0");
			return true;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		{
			text *t = DatumGetTextPP(value);
			int length = compared_length(type, t);

			if (length > MAX_TEXT_LITERAL)
				return false;
			put_text(buf, VARDATA_ANY(t), length);
			return true;
		}
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case TIMEOID:
			return put_time(buf, type, value);
		case NUMERICOID:
		{
			char *text = DatumGetCString(DirectFunctionCall1(numeric_out, value));

			if (strlen(text) > MAX_TEXT_LITERAL)
				return false;
			appendStringInfo(buf, "vss_numeric('%s')", text);
			return true;
		}
		case UUIDOID:
			appendStringInfo(buf, "vss_uuid('%s')", DatumGetCString(DirectFunctionCall1(uuid_out, value)));
			return true;
		default:
			return false;
	}
}

/* ---------- parameters ---------- */

/* The text in SQLite's encoding, in the current context. */
static char *
utf8_copy(const char *text, int length)
{
	char *converted = pg_server_to_any(text, length, PG_UTF8);

	return converted != text ? converted : pnstrdup(text, length);
}

const char *
vssfdw_param_reader(Oid type)
{
	return type == NUMERICOID ? "vss_numeric" : NULL;
}

const char *
vssfdw_element_reader(Oid type)
{
	return type == UUIDOID ? "vss_uuid" : vssfdw_param_reader(type);
}

/* An array as JSON; a NULL array as [null], which compares as NULL does. */
static char *
array_as_json(Datum value, bool isnull)
{
	StringInfoData buf;
	ArrayType *array;
	Oid type;
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *elements;
	bool *nulls;
	int n;

	if (isnull)
		return pstrdup("[null]");
	array = DatumGetArrayTypeP(value);
	type = ARR_ELEMTYPE(array);
	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	deconstruct_array(array, type, typlen, typbyval, typalign, &elements, &nulls, &n);

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '[');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(&buf, ',');
		if (nulls[i])
			appendStringInfoString(&buf, "null");
		else if (type == INT2OID)
			appendStringInfo(&buf, "%d", DatumGetInt16(elements[i]));
		else if (type == INT4OID)
			appendStringInfo(&buf, "%d", DatumGetInt32(elements[i]));
		else if (type == INT8OID)
			appendStringInfo(&buf, INT64_FORMAT, DatumGetInt64(elements[i]));
		else if (time_kind(type) != VALUE_OTHER)
			appendStringInfo(&buf, INT64_FORMAT, time_number(type, elements[i]));
		else if (type == NUMERICOID)
			escape_json(&buf, DatumGetCString(DirectFunctionCall1(numeric_out, elements[i])));
		else if (type == UUIDOID)
			escape_json(&buf, DatumGetCString(DirectFunctionCall1(uuid_out, elements[i])));
		else
		{
			text *t = DatumGetTextPP(elements[i]);

			escape_json(&buf, pnstrdup(VARDATA_ANY(t), compared_length(type, t)));
		}
	}
	appendStringInfoChar(&buf, ']');
	return utf8_copy(buf.data, buf.len);
}

int
vssfdw_bind_compared(sqlite3_stmt *stmt, int number, Oid type, Datum value, bool isnull)
{
	if (type_is_array(type))
		return sqlite3_bind_text(stmt, number, array_as_json(value, isnull), -1, SQLITE_STATIC);
	if (isnull)
		return sqlite3_bind_null(stmt, number);
	switch (type)
	{
		case INT2OID:
			return sqlite3_bind_int64(stmt, number, DatumGetInt16(value));
		case INT4OID:
			return sqlite3_bind_int64(stmt, number, DatumGetInt32(value));
		case INT8OID:
			return sqlite3_bind_int64(stmt, number, DatumGetInt64(value));
		case BOOLOID:
			return sqlite3_bind_int(stmt, number, DatumGetBool(value) ? 1 : 0);
		case FLOAT4OID:
		case FLOAT8OID:
		{
			double real = type == FLOAT4OID ? DatumGetFloat4(value) : DatumGetFloat8(value);

			/*
			 * SQLite knows no NaN, but it sorts text after all numbers, as
			 * PostgreSQL does NaN.
			 */
			if (isnan(real))
				return sqlite3_bind_text(stmt, number, "NaN", -1, SQLITE_STATIC);
			return sqlite3_bind_double(stmt, number, real);
		}
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		{
			text *t = DatumGetTextPP(value);
			char *utf8 = utf8_copy(VARDATA_ANY(t), compared_length(type, t));

			return sqlite3_bind_text(stmt, number, utf8, -1, SQLITE_STATIC);
		}
		case BYTEAOID:
		{
			bytea *bytes = (bytea *) PG_DETOAST_DATUM_COPY(value);

			return sqlite3_bind_blob(stmt, number, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ, SQLITE_STATIC);
		}
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case TIMEOID:
			return sqlite3_bind_int64(stmt, number, time_number(type, value));
		case NUMERICOID:
			return sqlite3_bind_text(stmt, number, DatumGetCString(DirectFunctionCall1(numeric_out, value)),
									 -1, SQLITE_STATIC);
		case UUIDOID:
			return sqlite3_bind_blob(stmt, number, DatumGetUUIDP(value)->data, UUID_LEN, SQLITE_TRANSIENT);
		default:
			elog(ERROR, "a value of type %s cannot be bound", format_type_be(type));
	}
}
