/*
 * types.c
 *		Values from SQLite to PostgreSQL.
 *
 * SQLite types values, not columns: each value arrives as INTEGER, REAL, TEXT
 * or BLOB and is converted by what it is.  What would not survive the way
 * unchanged is an error that says where it lies.  The reverse is bind.c.
 *
 * TEXT in a column of a number or a boolean is refused unless the option
 * column_type says TEXT, because SQLite would compare it as text: a condition
 * sent there would mean something else than here.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodes.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

#include "fdw/values/values.h"

/* Values are shown in messages up to this many bytes. */
#define SHOWN_BYTES 60

/* One value on its way, for messages. */
typedef struct Place
{
	const VssColumn *column;
	VssStatement *statement;
	int i;
	int stored; /* SQLITE_INTEGER ..., before any conversion */
	const char *tablename;
} Place;

/* ---------- how a column is converted ---------- */

bool
vssfdw_is_vector(Oid type)
{
	const VssOids *oids = vssfdw_oids();

	return OidIsValid(type) && (type == oids->vector || type == oids->pgvector);
}

static ValueKind
kind_of(Oid type, int32 typmod)
{
	switch (type)
	{
		case BOOLOID:
			return VALUE_BOOL;
		case INT2OID:
			return VALUE_INT2;
		case INT4OID:
			return VALUE_INT4;
		case INT8OID:
			return VALUE_INT8;
		case FLOAT4OID:
			return VALUE_FLOAT4;
		case FLOAT8OID:
			return VALUE_FLOAT8;
		case NUMERICOID:
			return VALUE_NUMERIC;
		case TEXTOID:
			return VALUE_TEXT;
		case VARCHAROID:
			return typmod < 0 ? VALUE_TEXT : VALUE_VARCHAR;
		case BPCHAROID:
		case NAMEOID:
			return VALUE_VARCHAR;
		case BYTEAOID:
			return VALUE_BYTEA;
		case UUIDOID:
			return VALUE_UUID;
		case DATEOID:
			return VALUE_DATE;
		case TIMEOID:
			return VALUE_TIME;
		case TIMETZOID:
			return VALUE_TIMETZ;
		case TIMESTAMPOID:
			return VALUE_TIMESTAMP;
		case TIMESTAMPTZOID:
			return VALUE_TIMESTAMPTZ;
		case INTERVALOID:
			return VALUE_INTERVAL;
		case JSONOID:
		case JSONBOID:
			return VALUE_JSON;
		case MACADDROID:
			return VALUE_MACADDR;
		case MACADDR8OID:
			return VALUE_MACADDR8;
		default:
			if (vssfdw_is_vector(type))
				return VALUE_VECTOR;
			if (type_is_array(type))
				return VALUE_ARRAY;
			return VALUE_OTHER;
	}
}

void
vssfdw_column_init_type(VssColumn *column, Oid type, int32 typmod)
{
	Oid function;
	bool varlena;

	memset(column, 0, sizeof(VssColumn));
	column->type = type;
	column->typmod = typmod;
	column->stored = VSS_STORED_NATURAL;

	/* A domain is converted as its base type and checked afterwards. */
	column->base = type;
	column->base_typmod = typmod;
	if (get_typtype(type) == TYPTYPE_DOMAIN)
	{
		column->base = getBaseTypeAndTypmod(type, &column->base_typmod);
		column->domain_cache = palloc0(sizeof(void *));
	}
	column->kind = kind_of(column->base, column->base_typmod);
	if (column->kind == VALUE_ARRAY)
		column->element = get_base_element_type(column->base);

	getTypeInputInfo(column->base, &function, &column->ioparam);
	fmgr_info(function, &column->input);
	getTypeOutputInfo(column->base, &function, &varlena);
	fmgr_info(function, &column->output);
	column->hidden = !superuser(); /* an expression's value, of columns that are not known here */
}

/* ---------- messages ---------- */

static const char *
storage_name(int stored)
{
	switch (stored)
	{
		case SQLITE_INTEGER:
			return "INTEGER";
		case SQLITE_FLOAT:
			return "REAL";
		case SQLITE_TEXT:
			return "TEXT";
		case SQLITE_BLOB:
			return "BLOB";
		default:
			return "NULL";
	}
}

/*
 * A row that holds the same value in the same column: the offending one or its
 * twin.  Found by asking, as the scan does not fetch rowids it does not need.
 */
static bool
find_rowid(const Place *place, sqlite3_int64 *rowid)
{
	sqlite3 *db = place->statement->conn->db;
	sqlite3_stmt *stmt = NULL;
	bool found = false;
	char *sql;

	if (place->tablename == NULL || place->column->name == NULL)
		return false;
	sql = sqlite3_mprintf("SELECT rowid FROM \"%w\" WHERE \"%w\" IS ?1 COLLATE BINARY LIMIT 1",
						  vssfdw_to_utf8(place->tablename), vssfdw_to_utf8(place->column->name));
	if (sql != NULL && vssfdw_compile(db, sql, strlen(sql), 0, &stmt, NULL) == SQLITE_OK &&
		sqlite3_bind_value(stmt, 1, sqlite3_column_value(place->statement->stmt, place->i)) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_INTEGER)
	{
		*rowid = sqlite3_column_int64(stmt, 0);
		found = true;
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return found;
}

/* "server "s", table "t", column "c", rowid 7, stored as TEXT" */
static char *
describe_place(const Place *place)
{
	StringInfoData text;
	sqlite3_int64 rowid;

	initStringInfo(&text);
	appendStringInfo(&text, "server \"%s\"", place->statement->conn->servername);
	if (place->tablename != NULL)
		appendStringInfo(&text, ", table \"%s\"", place->tablename);
	if (place->column->name != NULL)
		appendStringInfo(&text, ", column \"%s\"", place->column->name);
	if (find_rowid(place, &rowid))
		appendStringInfo(&text, ", rowid %lld", (long long) rowid);
	appendStringInfo(&text, ", stored as %s", storage_name(place->stored));
	return text.data;
}

/* The value as a user would recognise it, cut to a readable length. */
static char *
shown_value(const Place *place)
{
	sqlite3_stmt *stmt = place->statement->stmt;
	const char *bytes;
	int length;
	int clipped;

	if (place->stored == SQLITE_BLOB)
		return psprintf("%d bytes", sqlite3_column_bytes(stmt, place->i));
	if (place->stored == SQLITE_FLOAT)
		return float8out_internal(sqlite3_column_double(stmt, place->i));
	bytes = (const char *) sqlite3_column_text(stmt, place->i);
	length = sqlite3_column_bytes(stmt, place->i);
	if (bytes == NULL)
		return pstrdup("");
	if (!pg_verify_mbstr(PG_UTF8, bytes, length, true))
		return pstrdup("text that is not valid UTF-8");
	clipped = length > SHOWN_BYTES ? pg_encoding_mbcliplen(PG_UTF8, bytes, length, SHOWN_BYTES) : length;
	bytes = pg_any_to_server(pnstrdup(bytes, clipped), clipped, PG_UTF8);
	return psprintf(clipped < length ? "\"%s...\"" : place->stored == SQLITE_TEXT ? "\"%s\"" : "%s", bytes);
}

static const char *
misfit_hint(const Place *place)
{
	ValueKind kind = place->column->kind;
	bool number = kind >= VALUE_BOOL && kind <= VALUE_NUMERIC;

	if (kind >= VALUE_DATE && kind <= VALUE_TIMESTAMPTZ &&
		(place->stored == SQLITE_INTEGER || place->stored == SQLITE_FLOAT))
		return place->column->unit == VSS_TIME_ANY
				   ? "If the column's numbers count something else, such as milliseconds, say so by its "
					 "option "
					 "time_unit; or declare the foreign column as bigint or double precision."
				   : "If the column's numbers count different things, declare the foreign column as bigint "
					 "or "
					 "double precision; else correct the value or the option time_unit.";
	if (kind == VALUE_VECTOR && (place->stored == SQLITE_TEXT || place->stored == SQLITE_BLOB))
		return "Correct the value in SQLite, or declare the foreign column with the dimensions that its "
			   "vectors have.";
	switch (place->stored)
	{
		case SQLITE_TEXT:
			return number ? "Correct the value in SQLite, declare the foreign column as text, or, if the "
							"column is "
							"stored as text on purpose, set its option column_type to TEXT."
						  : "Correct the value in SQLite, or declare the foreign column as text.";
		case SQLITE_BLOB:
			return "Correct the value in SQLite, or declare the foreign column as bytea.";
		case SQLITE_FLOAT:
			return "Correct the value in SQLite, or declare the foreign column as double precision or "
				   "numeric.";
		case SQLITE_INTEGER:
			return number ? "Correct the value in SQLite, or declare the foreign column with a type that "
							"holds it, such "
							"as bigint or numeric."
						  : "Correct the value in SQLite, or declare the foreign column as bigint.";
		default:
			return "Correct the value in SQLite, or declare the foreign column with a type that allows NULL.";
	}
}

pg_noreturn static void
misfit(const Place *place, const char *reason)
{
	const char *type = format_type_with_typemod(place->column->type, place->column->typmod);
	const char *of = reason != NULL ? ": " : "";

	if (reason == NULL)
		reason = "";
	if (place->column->hidden)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
						errmsg("SQLite value stored as %s does not fit type %s%s%s",
							   storage_name(place->stored), type, of, reason),
						errdetail("The value is not shown to users without the right to read the column."),
						errhint("%s", misfit_hint(place))));
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
			 errmsg("SQLite value %s does not fit type %s%s%s", shown_value(place), type, of, reason),
			 errdetail("The value is in %s.", describe_place(place)), errhint("%s", misfit_hint(place))));
}

/* For errors that PostgreSQL's own input functions raise. */
static void
place_context(void *arg)
{
	const Place *place = arg;

	errcontext("value in %s", describe_place(place));
	errhint("%s", misfit_hint(place));
}

static Datum
call_input(const Place *place, char *text)
{
	ErrorContextCallback callback = {
		.callback = place_context, .arg = (void *) place, .previous = error_context_stack};
	Datum result;

	error_context_stack = &callback;
	result = InputFunctionCall((FmgrInfo *) &place->column->input, text, place->column->ioparam,
							   place->column->base_typmod);
	error_context_stack = callback.previous;
	return result;
}

/* ---------- the value's text, in the server's encoding ---------- */

/* SQLite's bytes, verified; they stay SQLite's. */
static const char *
utf8_text(const Place *place, int *length)
{
	sqlite3_stmt *stmt = place->statement->stmt;
	const char *text = (const char *) sqlite3_column_text(stmt, place->i);

	if (text == NULL)
		vssfdw_report(ERROR, SQLITE_NOMEM, NULL, place->statement->conn->servername, place->statement->sql);
	*length = sqlite3_column_bytes(stmt, place->i);
	if (memchr(text, '\0', *length) != NULL)
		misfit(place, "PostgreSQL text cannot hold the zero byte");
	if (!pg_verify_mbstr(PG_UTF8, text, *length, true))
		misfit(place, "the text is not valid UTF-8");
	return text;
}

/* In the server's encoding; text that has no equal there is an error that says where. */
static char *
in_server_encoding(const Place *place, const char *utf8, int length)
{
	ErrorContextCallback callback = {
		.callback = place_context, .arg = (void *) place, .previous = error_context_stack};
	char *text;

	error_context_stack = &callback;
	text = pg_any_to_server(utf8, length, PG_UTF8);
	error_context_stack = callback.previous;
	return text;
}

/* A zero-terminated string: SQLite's where no conversion is needed, else palloc'd. */
static char *
server_text(const Place *place)
{
	int length;
	const char *text;

	/* SQLite shows 15 digits of a REAL; the shortest exact form is better, whatever extra_float_digits says. */
	if (place->stored == SQLITE_FLOAT)
	{
		char *digits = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);

		double_to_shortest_decimal_buf(sqlite3_column_double(place->statement->stmt, place->i), digits);
		return digits;
	}
	text = utf8_text(place, &length);
	if (GetDatabaseEncoding() == PG_UTF8)
		return (char *) text;
	return in_server_encoding(place, text, length);
}

static Datum
text_value(const Place *place)
{
	int length;
	const char *text;

	if (place->stored == SQLITE_FLOAT || GetDatabaseEncoding() != PG_UTF8)
		return PointerGetDatum(cstring_to_text(server_text(place)));
	text = utf8_text(place, &length);
	return PointerGetDatum(cstring_to_text_with_len(text, length));
}

/* ---------- one conversion a kind ---------- */

/* A whole number within low..high. */
static int64
integer_value(const Place *place, int64 low, int64 high)
{
	sqlite3_stmt *stmt = place->statement->stmt;
	int64 value;

	if (place->stored == SQLITE_INTEGER)
		value = sqlite3_column_int64(stmt, place->i);
	else if (place->stored == SQLITE_FLOAT)
	{
		double real = sqlite3_column_double(stmt, place->i);

		if (real != rint(real) || !FLOAT8_FITS_IN_INT64(real))
			misfit(place, NULL);
		value = (int64) real;
	}
	else
		misfit(place, NULL);
	if (value < low || value > high)
		misfit(place, "out of range");
	return value;
}

static double
float_value(const Place *place)
{
	if (place->stored != SQLITE_INTEGER && place->stored != SQLITE_FLOAT)
		misfit(place, NULL);
	return sqlite3_column_double(place->statement->stmt, place->i);
}

static Datum
numeric_value(const Place *place)
{
	char *text;
	unsigned char *scratch;
	bool plain;

	if (place->stored == SQLITE_INTEGER && place->column->base_typmod < 0)
		return NumericGetDatum(int64_to_numeric(sqlite3_column_int64(place->statement->stmt, place->i)));
	if (place->stored == SQLITE_BLOB)
		misfit(place, NULL);
	text = server_text(place);
	/* newer versions read other notations, too, which decimal.c does not know */
	scratch = palloc(strlen(text) + 1);
	plain = vssfdw_is_plain_number(text, scratch);
	pfree(scratch);
	if (!plain)
		misfit(place, "a number is written in decimal digits");
	return call_input(place, text);
}

static Datum
bytea_value(const Place *place)
{
	sqlite3_stmt *stmt = place->statement->stmt;
	const void *bytes;
	int length;
	bytea *result;

	if (place->stored != SQLITE_BLOB && place->column->stored == VSS_STORED_NATURAL)
		misfit(place, NULL);
	if (place->stored == SQLITE_FLOAT)
	{
		bytes = server_text(place); /* ASCII, in any encoding */
		length = (int) strlen(bytes);
	}
	else
	{
		bytes = place->stored == SQLITE_BLOB ? sqlite3_column_blob(stmt, place->i)
											 : (const void *) sqlite3_column_text(stmt, place->i);
		length = sqlite3_column_bytes(stmt, place->i);
	}
	result = palloc(VARHDRSZ + length);
	SET_VARSIZE(result, VARHDRSZ + length);
	if (length > 0)
		memcpy(VARDATA(result), bytes, length);
	return PointerGetDatum(result);
}

static Datum
uuid_value(const Place *place)
{
	pg_uuid_t *uuid;

	if (place->stored == SQLITE_TEXT)
		return call_input(place, server_text(place));
	if (place->stored != SQLITE_BLOB || sqlite3_column_bytes(place->statement->stmt, place->i) != UUID_LEN)
		misfit(place, "a uuid is TEXT or a BLOB of 16 bytes");
	uuid = palloc(sizeof(pg_uuid_t));
	memcpy(uuid->data, sqlite3_column_blob(place->statement->stmt, place->i), UUID_LEN);
	return UUIDPGetDatum(uuid);
}

static Datum
vector_value(const Place *place)
{
	sqlite3_stmt *stmt = place->statement->stmt;
	int bytes;
	int dim;
	VssVector *vector;

	if (place->stored == SQLITE_TEXT)
		return call_input(place, server_text(place));
	if (place->stored != SQLITE_BLOB)
		misfit(place, "a vector is JSON text or a BLOB of float32");
	bytes = sqlite3_column_bytes(stmt, place->i);
	dim = bytes / (int) sizeof(float);
	if (bytes == 0 || bytes % sizeof(float) != 0 || dim > BRIDGE_MAX_DIM)
		misfit(place, "its length is not that of 1 to 16000 float32 numbers");
	if (place->column->base_typmod > 0 && dim != place->column->base_typmod)
		misfit(place, psprintf("it has %d dimensions", dim));
	vector = vssfdw_vector_make(dim);
	memcpy(vector->x, sqlite3_column_blob(stmt, place->i), bytes);
	for (int j = 0; j < dim; j++)
		if (!isfinite(vector->x[j]))
			misfit(place, "it contains NaN or infinity");
	return PointerGetDatum(vector);
}

#define NOT_BINARY_JSON "a BLOB is read as JSON if it is binary JSON and SQLite is 3.45 or later"

/* SQLite's own binary form, which its json() makes text of. */
static Datum
binary_json_value(const Place *place)
{
	VssConnection *conn = place->statement->conn;
	VssStatement *statement;
	Datum result;

	if (sqlite3_libversion_number() < VSS_VERSION_WITH_JSONB)
		misfit(place, NOT_BINARY_JSON);
	statement =
		vssfdw_prepare(conn, "SELECT CASE WHEN json_valid(?1, 8) THEN json(?1) END", CurrentMemoryContext);
	if (sqlite3_bind_value(statement->stmt, 1, sqlite3_column_value(place->statement->stmt, place->i)) !=
		SQLITE_OK)
		vssfdw_report(ERROR, SQLITE_NOMEM, NULL, conn->servername, statement->sql);
	if (!vssfdw_step(statement) || sqlite3_column_type(statement->stmt, 0) != SQLITE_TEXT)
		misfit(place, NOT_BINARY_JSON);
	result = call_input(place, vssfdw_from_utf8((const char *) sqlite3_column_text(statement->stmt, 0)));
	vssfdw_done(statement);
	return result;
}

static Datum
json_value(const Place *place)
{
	if (place->stored == SQLITE_BLOB)
		return binary_json_value(place);
	return call_input(place, server_text(place));
}

/* Text, a BLOB of the address's bytes, or the number that they are. */
static Datum
macaddr_value(const Place *place, int length)
{
	sqlite3_stmt *stmt = place->statement->stmt;
	char digits[2 * 8 + 1];

	if (place->stored == SQLITE_BLOB && sqlite3_column_bytes(stmt, place->i) == length)
	{
		const unsigned char *bytes = sqlite3_column_blob(stmt, place->i);

		for (int i = 0; i < length; i++)
			snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
		return call_input(place, digits);
	}
	if (place->stored == SQLITE_INTEGER)
	{
		int64 number = sqlite3_column_int64(stmt, place->i);

		if (length == 8 || (number >= 0 && number < INT64CONST(1) << 48))
		{
			snprintf(digits, sizeof(digits), length == 8 ? "%016llx" : "%012llx",
					 (unsigned long long) number);
			return call_input(place, digits);
		}
	}
	if (place->stored != SQLITE_TEXT)
		misfit(place, length == 8 ? "an address is TEXT, a BLOB of 8 bytes, or an INTEGER"
								  : "an address is TEXT, a BLOB of 6 bytes, or an INTEGER of 48 bits");
	return call_input(place, server_text(place));
}

static Datum
bool_value(const Place *place)
{
	sqlite3_stmt *stmt = place->statement->stmt;

	if (place->stored == SQLITE_INTEGER)
	{
		int64 value = sqlite3_column_int64(stmt, place->i);

		if (value != 0 && value != 1)
			misfit(place, "a boolean is stored as 0 or 1");
		return BoolGetDatum(value == 1);
	}
	misfit(place, "a boolean is stored as 0 or 1");
}

static Datum
time_value(const Place *place)
{
	const VssColumn *column = place->column;
	sqlite3_stmt *stmt = place->statement->stmt;
	TimeTzADT *zoned = column->kind == VALUE_TIMETZ ? palloc(sizeof(TimeTzADT)) : NULL;
	Datum result;
	bool fits = false;

	switch (place->stored)
	{
		case SQLITE_TEXT:
			fits =
				vssfdw_time_from_text(column->kind, column->base_typmod, server_text(place), &result, zoned);
			break;
		case SQLITE_INTEGER:
			fits = vssfdw_time_from_integer(column->kind, column->base_typmod, column->unit,
											sqlite3_column_int64(stmt, place->i), &result, zoned);
			break;
		case SQLITE_FLOAT:
			fits = vssfdw_time_from_real(column->kind, column->base_typmod, column->unit,
										 sqlite3_column_double(stmt, place->i), &result, zoned);
			break;
	}
	if (!fits)
		misfit(place, place->column->unit != VSS_TIME_ANY && place->stored != SQLITE_TEXT
						  ? psprintf("numbers are of time_unit %s and of the years 1 to 9999",
									 vssfdw_time_unit_name(place->column->unit))
					  : column->kind == VALUE_DATE
						  ? "a date is ISO 8601 text, a Julian day or Unix seconds, at midnight"
						  : "a time is ISO 8601 text, a Julian day or Unix seconds");
	return result;
}

static Datum
array_value(const Place *place)
{
	ErrorContextCallback callback = {
		.callback = place_context, .arg = (void *) place, .previous = error_context_stack};
	char *text;
	const char *start;
	Datum result;

	if (place->stored != SQLITE_TEXT)
		misfit(place, "an array is stored as JSON text");
	text = server_text(place);
	start = text + strspn(text, " \t\r\n");
	if (*start != '[')
		return call_input(place, text);

	error_context_stack = &callback;
	if (!vssfdw_array_from_json(place->column, text, &result))
		misfit(place, "nested arrays must have equal lengths, and elements must be scalars");
	error_context_stack = callback.previous;
	return result;
}

static Datum
convert(const Place *place)
{
	const VssColumn *column = place->column;
	int stored = place->stored;
	double real;

	/* Numbers kept as text on purpose: whatever PostgreSQL reads as one. */
	if (stored == SQLITE_TEXT && column->stored == VSS_STORED_TEXT && column->kind >= VALUE_BOOL &&
		column->kind <= VALUE_NUMERIC)
		return call_input(place, server_text(place));

	switch ((ValueKind) column->kind)
	{
		case VALUE_BOOL:
			return bool_value(place);
		case VALUE_INT2:
			return Int16GetDatum((int16) integer_value(place, PG_INT16_MIN, PG_INT16_MAX));
		case VALUE_INT4:
			return Int32GetDatum((int32) integer_value(place, PG_INT32_MIN, PG_INT32_MAX));
		case VALUE_INT8:
			return Int64GetDatum(integer_value(place, PG_INT64_MIN, PG_INT64_MAX));
		case VALUE_FLOAT4:
			real = float_value(place);
			if (isfinite(real) && isinf((float) real))
				misfit(place, "out of range");
			return Float4GetDatum((float) real);
		case VALUE_FLOAT8:
			return Float8GetDatum(float_value(place));
		case VALUE_NUMERIC:
			return numeric_value(place);
		case VALUE_TEXT:
			if (stored == SQLITE_BLOB)
				misfit(place, NULL);
			return text_value(place);
		case VALUE_BYTEA:
			return bytea_value(place);
		case VALUE_UUID:
			return uuid_value(place);
		case VALUE_JSON:
			return json_value(place);
		case VALUE_MACADDR:
			return macaddr_value(place, 6);
		case VALUE_MACADDR8:
			return macaddr_value(place, 8);
		case VALUE_VECTOR:
			return vector_value(place);
		case VALUE_DATE:
		case VALUE_TIME:
		case VALUE_TIMETZ:
		case VALUE_TIMESTAMP:
		case VALUE_TIMESTAMPTZ:
			return time_value(place);
		case VALUE_ARRAY:
			return array_value(place);
		case VALUE_INTERVAL:
			if (stored != SQLITE_TEXT)
				misfit(place, "an interval is stored as text");
			break;
		case VALUE_VARCHAR:
		case VALUE_OTHER:
			break;
	}
	if (stored == SQLITE_BLOB)
		misfit(place, NULL);
	return call_input(place, server_text(place));
}

/* Input functions of PostgreSQL show the value as well. */
static Datum
convert_hidden(const Place *place)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum result;

	PG_TRY();
	{
		result = convert(place);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		misfit(place, NULL);
	}
	PG_END_TRY();
	return result;
}

/* Whether what is stored stands for NULL. */
static bool
is_null_value(const Place *place)
{
	sqlite3_stmt *stmt = place->statement->stmt;
	VssBound value = {.form = place->stored};

	if (value.form == SQLITE_TEXT)
	{
		value.bytes = (const char *) sqlite3_column_text(stmt, place->i);
		value.length = sqlite3_column_bytes(stmt, place->i);
	}
	else if (value.form == SQLITE_FLOAT)
		value.real = sqlite3_column_double(stmt, place->i);
	else if (value.form == SQLITE_INTEGER)
		value.integer = sqlite3_column_int64(stmt, place->i);
	return vssfdw_stands_for_null(place->column, &value);
}

Datum
vssfdw_column_datum(const VssColumn *column, VssStatement *statement, int i, const char *tablename,
					bool *isnull)
{
	Place place = {column, statement, i, sqlite3_column_type(statement->stmt, i), tablename};
	Datum result = (Datum) 0;

	*isnull = place.stored == SQLITE_NULL || (column->null_value != NULL && is_null_value(&place));
	if (!*isnull)
		result = column->hidden ? convert_hidden(&place) : convert(&place);
	if (column->domain_cache != NULL)
	{
		ErrorContextCallback callback = {
			.callback = place_context, .arg = &place, .previous = error_context_stack};

		error_context_stack = &callback;
		domain_check(result, *isnull, column->type, column->domain_cache, CurrentMemoryContext);
		error_context_stack = callback.previous;
	}
	return result;
}
