/*
 * types.h
 *		Private to types.c, bind.c and times.c: which conversion a type takes.
 */
#ifndef VSS_TYPES_H
#define VSS_TYPES_H

#include "fdw/fdw.h"

typedef enum ValueKind
{
	VALUE_OTHER, /* through the type's input and output functions */
	VALUE_BOOL,
	VALUE_INT2,
	VALUE_INT4,
	VALUE_INT8,
	VALUE_FLOAT4,
	VALUE_FLOAT8,
	VALUE_NUMERIC,
	VALUE_TEXT,    /* text and varchar without length */
	VALUE_VARCHAR, /* varchar(n), char(n), name: length checked */
	VALUE_BYTEA,
	VALUE_UUID,
	VALUE_DATE,
	VALUE_TIME,
	VALUE_TIMETZ,
	VALUE_TIMESTAMP,
	VALUE_TIMESTAMPTZ,
	VALUE_JSON, /* json and jsonb */
	VALUE_INTERVAL,
	VALUE_ARRAY,
	VALUE_VECTOR /* vss_vector and pgvector's vector */
} ValueKind;

/* ---------- times.c ---------- */

/*
 * From SQLite's forms of a time: text (ISO 8601), Julian day, Unix seconds.
 * False when the value is none that the type can hold.
 */
bool vssfdw_time_from_text(ValueKind kind, int32 typmod, const char *text, Datum *result);
bool vssfdw_time_from_julian(ValueKind kind, int32 typmod, double julian, Datum *result);
bool vssfdw_time_from_unix(ValueKind kind, int32 typmod, int64 seconds, Datum *result);

/* And to them; false for what has no such form (infinity, out of range). */
bool vssfdw_time_to_text(ValueKind kind, Datum value, char *buffer, size_t size);
bool vssfdw_time_to_julian(ValueKind kind, Datum value, double *julian);
bool vssfdw_time_to_unix(ValueKind kind, Datum value, int64 *seconds);

/* ---------- readers.c ---------- */

/* Of a function of SQLite's: fail because the value does not fit the type; reason may be NULL. */
void vssfdw_result_misfit(sqlite3_context *context, sqlite3_value *value, const char *type,
						  const char *reason);

/* ---------- time_functions.c ---------- */

/* Of a function of SQLite's: fail with an error of PostgreSQL's, rc being one of VSS_RC_*. */
void vssfdw_result_failure(sqlite3_context *context, int rc, const char *message);

/* ---------- decimal.c ---------- */

/* Whether the text is a number in decimal digits, NaN or infinite: what numeric reads in all versions. */
bool vssfdw_is_plain_number(const char *text);

/* ---------- arrays.c ---------- */

/* False for text that is JSON but no array of the column's kind; not JSON at all is an error. */
bool vssfdw_array_from_json(const VssColumn *column, const char *text, Datum *result);
char *vssfdw_array_to_json(Datum array);

#endif /* VSS_TYPES_H */
