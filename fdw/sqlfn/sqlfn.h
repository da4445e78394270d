/*
 * sqlfn.h
 *		The functions that SQLite calls for the wrapper: readers that make a
 *		column's values comparable, and what PostgreSQL's functions mean.
 *
 * They run below SQLite's frames, so that nothing here may raise an error of
 * PostgreSQL's, allocate from its memory contexts or look into its catalogues:
 * failures are results of the function.
 */
#ifndef VSS_SQLFN_H
#define VSS_SQLFN_H

#include "postgres.h"

#include "utils/date.h"

#include "fdw/compat.h"
#include "sqlite_bridge/bridge.h"

/* ---------- register.c ---------- */

/*
 * A function or aggregate as SQLite gets it.  All are deterministic; a file's
 * table ends with a name of NULL.
 */
typedef struct VssSqlFunction
{
	const char *name;
	int nargs; /* -1: any number */
	void (*function)(sqlite3_context *, int, sqlite3_value **);
	const void *data; /* sqlite3_user_data() */
	void (*step)(sqlite3_context *, int, sqlite3_value **);
	void (*final)(sqlite3_context *);
	bool direct_only; /* not for triggers and views */
} VssSqlFunction;

/* User data of a function that only asks whether it has any. */
#define VSS_SQL_FLAG ((const void *) "")

/* Register all functions of the wrapper's; returns SQLite's result code. */
int vssfdw_register_functions(sqlite3 *db);

/* ---------- arguments.c ---------- */

/* An integer, also one that SQLite keeps as a REAL: what a column of integers may hold; false for all else. */
bool vssfdw_value_integer(sqlite3_value *value, int64 *out);

/*
 * Argument i, an integer from least to most; out is left alone where there is
 * none.  The planner writes it, but so can anybody's view: false, with the error
 * as the function's result, where it is another.
 */
bool vssfdw_small_argument(sqlite3_context *context, int argc, sqlite3_value **argv, int i, int least,
						   int most, int *out);

/* Fail because the value does not fit the type; reason may be NULL. */
void vssfdw_result_misfit(sqlite3_context *context, sqlite3_value *value, const char *type,
						  const char *reason);

/*
 * Results of our own SQL functions, for errors that are PostgreSQL's: with
 * these vssfdw_report gives the message as it is, under PostgreSQL's SQLSTATE.
 * SQLite's own extended codes of SQLITE_ERROR are far below.
 */
#define VSS_RC_OUT_OF_RANGE (SQLITE_ERROR | (200 << 8))
#define VSS_RC_DIVISION_BY_ZERO (SQLITE_ERROR | (201 << 8))
#define VSS_RC_UNFIT (SQLITE_ERROR | (202 << 8))
#define VSS_RC_TIME_RANGE (SQLITE_ERROR | (203 << 8))
#define VSS_RC_INFINITE (SQLITE_ERROR | (204 << 8))

/* Of a function of SQLite's: fail with an error of PostgreSQL's, rc being one of VSS_RC_*. */
void vssfdw_result_failure(sqlite3_context *context, int rc, const char *message);

/* ---------- text_functions.c ---------- */

extern const VssSqlFunction vssfdw_text_functions[];

/* ---------- readers.c ---------- */

/*
 * How a SQLite value compares.  Two operands of one class compare in SQLite as
 * in PostgreSQL; see column_class.c for what a column must be to have a class.
 */
typedef enum VssClass
{
	VSS_CLASS_NONE, /* do not compare in SQLite */
	VSS_CLASS_INTEGER,
	VSS_CLASS_FLOAT,
	VSS_CLASS_BOOLEAN,
	VSS_CLASS_TEXT,
	VSS_CLASS_BPCHAR, /* text without the blanks at its end */
	VSS_CLASS_BYTES,
	VSS_CLASS_DATE,        /* days since 2000-01-01 */
	VSS_CLASS_TIMESTAMP,   /* microseconds since then */
	VSS_CLASS_TIMESTAMPTZ, /* likewise, in UTC */
	VSS_CLASS_TIME,        /* microseconds since midnight */
	VSS_CLASS_NUMERIC,     /* BLOB, see decimal.c */
	VSS_CLASS_UUID         /* BLOB of 16 bytes */
} VssClass;

extern const VssSqlFunction vssfdw_readers[];

/* ---------- value_functions.c ---------- */

extern const VssSqlFunction vssfdw_value_functions[];

/* ---------- try_functions.c ---------- */

extern const VssSqlFunction vssfdw_try_functions[];

/* ---------- geopackage.c ---------- */

/* What the triggers of a GeoPackage call. */
extern const VssSqlFunction vssfdw_geopackage_functions[];

/* ---------- assign_functions.c ---------- */

extern const VssSqlFunction vssfdw_assign_functions[];

/* ---------- null_value.c: what a column stores for NULL ---------- */

/* Whether all of the text is a whole number of 64 bits. */
bool vssfdw_whole_number(const char *text, sqlite3_int64 *number);

/*
 * Whether a stored value stands for NULL where the column's option null_value is
 * this text: text of the same bytes, or a number equal to the whole number that
 * it is.  type is SQLITE_INTEGER, ...; text and length are of TEXT.
 */
bool vssfdw_is_null_value(const char *null_value, int type, const char *text, int length,
						  sqlite3_int64 integer, double real);

extern const VssSqlFunction vssfdw_null_functions[];

/* ---------- bound_functions.c ---------- */

extern const VssSqlFunction vssfdw_bound_functions[];

/* ---------- aggregates.c ---------- */

extern const VssSqlFunction vssfdw_sum_functions[];

/* ---------- decimal.c: numbers as PostgreSQL's numeric reads them, digit by digit ---------- */

typedef enum DecimalKind
{
	DECIMAL_MINUS_INFINITY,
	DECIMAL_FINITE,
	DECIMAL_INFINITY,
	DECIMAL_NAN
} DecimalKind;

/*
 * The number is 0.d0 d1 d2 ... times 10 to the power of weight.  The first
 * digit and the last are not zero; zero has no digits.
 */
typedef struct Decimal
{
	DecimalKind kind;
	bool negative;
	int ndigits;
	int weight;
	int dscale;            /* digits after the point that numeric shows */
	unsigned char *digits; /* 0 to 9 */
	unsigned char local[64];
} Decimal;

/*
 * Read argument 0 of a function, rounded to the precision and scale that
 * arguments 1 and 2 may give.  False for NULL, and after an error that is set
 * as the function's result.  vssfdw_decimal_free must follow in any case.
 */
bool vssfdw_decimal_read(sqlite3_context *context, int argc, sqlite3_value **argv, Decimal *out);
void vssfdw_decimal_free(Decimal *decimal);

/* The result of a function as vss_numeric() gives it: magnitude / 10^scale, or an infinite number. */
void vssfdw_decimal_result(sqlite3_context *context, bool negative, uint64 magnitude, int scale);
void vssfdw_decimal_infinite(sqlite3_context *context, int sign);

/*
 * Whether the text is a number in decimal digits, NaN or infinite: what numeric
 * reads in all versions.  scratch has as many bytes as the text.
 */
bool vssfdw_is_plain_number(const char *text, unsigned char *scratch);

extern const VssSqlFunction vssfdw_decimal_functions[];

/* ---------- decimal_sum.c ---------- */

extern const VssSqlFunction vssfdw_decimal_sums[];

/* ---------- times.c ---------- */

/* Which conversion a type takes. */
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
	VALUE_MACADDR,
	VALUE_MACADDR8,
	VALUE_INTERVAL,
	VALUE_ARRAY,
	VALUE_VECTOR /* vss_vector and pgvector's vector */
} ValueKind;

/* What the numbers of a column of times count: option time_unit. */
typedef enum VssTimeUnit
{
	VSS_TIME_ANY, /* not said: an INTEGER is Unix seconds, a REAL a Julian day */
	VSS_TIME_S,   /* since 1970 */
	VSS_TIME_MS,
	VSS_TIME_US,
	VSS_TIME_NS,
	VSS_TIME_JULIAN,   /* days since noon of 4714-11-24 BC */
	VSS_TIME_COREDATA, /* seconds since 2001 */
	VSS_TIME_WEBKIT,   /* microseconds since 1601 */
	VSS_TIME_TICKS     /* of .NET: 100 ns since year 1 */
} VssTimeUnit;

/* By the name that the option has; false for none. */
bool vssfdw_time_unit(const char *name, VssTimeUnit *unit);
const char *vssfdw_time_unit_name(VssTimeUnit unit);

/* Where in the unit's numbers an instant, in microseconds since 2000, lies. */
double vssfdw_time_in_unit(int64 micros, VssTimeUnit unit);

/*
 * From SQLite's forms of a time: text (ISO 8601), numbers.  False when the value
 * is none that the type can hold.  Numbers are of the years 1 to 9999, Julian
 * days from 0 on: one beyond most likely counts something else.  A result of kind
 * VALUE_TIMETZ is a pointer to *zoned, which may be NULL for the other kinds.
 */
bool vssfdw_time_from_text(ValueKind kind, int32 typmod, const char *text, Datum *result, TimeTzADT *zoned);
bool vssfdw_time_from_integer(ValueKind kind, int32 typmod, VssTimeUnit unit, int64 number, Datum *result,
							  TimeTzADT *zoned);
bool vssfdw_time_from_real(ValueKind kind, int32 typmod, VssTimeUnit unit, double number, Datum *result,
						   TimeTzADT *zoned);

/* And to them; false for what has no such form (infinity, out of range). */
bool vssfdw_time_to_text(ValueKind kind, Datum value, char *buffer, size_t size);
bool vssfdw_time_to_integer(ValueKind kind, Datum value, VssTimeUnit unit, int64 *number);
bool vssfdw_time_to_real(ValueKind kind, Datum value, VssTimeUnit unit, double *number);

/* ---------- time_form.c ---------- */

/* No time takes more bytes, the zero among them. */
#define VSS_TIME_FORM_SIZE 48

/* Whether times of the kind can be written so: option text_form. */
bool vssfdw_is_time_form(ValueKind kind, const char *form);

/* A time as text in this form; false where the text would be another time, and for VALUE_TIMETZ. */
bool vssfdw_time_to_form(ValueKind kind, Datum value, const char *form, char *buffer, size_t size);

/* ---------- time_functions.c ---------- */

/* Whether vss_trunc() knows this unit. */
bool vssfdw_is_trunc_unit(const char *name);

extern const VssSqlFunction vssfdw_time_functions[];

/* ---------- extract.c ---------- */

/* A field of dates and times. */
typedef struct VssTimeField
{
	int scale;  /* digits after the point */
	int bytes;  /* of the least integer type that holds all its values, 0: may have a fraction */
	bool grows; /* of an infinite time it is infinite, else NULL */
} VssTimeField;

/* Whether times of the class have the field, and SQLite extracts it exactly. */
bool vssfdw_is_time_field(const char *name, VssClass class, VssTimeField *out);

extern const VssSqlFunction vssfdw_extract_functions[];

/* ---------- date_arithmetic.c ---------- */

extern const VssSqlFunction vssfdw_date_functions[];

#endif /* VSS_SQLFN_H */
