/*
 * affinity.c
 *		What SQLite makes of a value that it stores, and whether it comes back
 *		the same.
 *
 * The affinity of a column turns values into others: text that looks like a
 * number becomes one ('007' is 7), a whole REAL becomes INTEGER, an INTEGER in a
 * column of REAL affinity is rounded to a double, a number in a column of TEXT
 * affinity becomes text.  Often it is the same value when it is read again, and
 * sometimes it is not.  bind.c shows every value here before it is stored; one
 * that would be read differently, or not at all, is an error.
 *
 * The same means: equal for numbers (1.50 and 1.5), to the letter for all else.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "fdw/sqlfn/sqlfn.h"
#include "fdw/values/values.h"

bool
vssfdw_makes_numbers(VssAffinity affinity)
{
	return affinity == VSS_AFFINITY_NUMERIC || affinity == VSS_AFFINITY_INTEGER ||
		   affinity == VSS_AFFINITY_REAL;
}

/* ---------- what SQLite makes of it ---------- */

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
		p++;
	return p;
}

static const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* Text that an affinity turns into a number: [+-]digits[.digits][e[+-]digits], blanks around it. */
static bool
looks_like_number(const char *text, size_t length)
{
	const char *end = text + length;
	const char *p = skip_blanks(text, end);
	const char *start;
	size_t count;

	if (p < end && (*p == '+' || *p == '-'))
		p++;
	start = p;
	p = skip_digits(p, end);
	count = p - start;
	if (p < end && *p == '.')
	{
		start = p + 1;
		p = skip_digits(start, end);
		count += p - start;
	}
	if (count == 0)
		return false;
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		start = p;
		p = skip_digits(p, end);
		if (p == start)
			return false;
	}
	return skip_blanks(p, end) == end;
}

/* The number that SQLite reads in such text.  Versions round differently, so it is asked. */
static void
read_number(VssConnection *conn, const VssBound *text, VssBound *out)
{
	VssStatement *statement = vssfdw_prepare(conn, "SELECT ?1 + 0", CurrentMemoryContext);

	sqlite3_bind_text64(statement->stmt, 1, text->bytes, text->length, SQLITE_STATIC, SQLITE_UTF8);
	(void) vssfdw_step(statement);
	out->form = sqlite3_column_type(statement->stmt, 0);
	out->integer = sqlite3_column_int64(statement->stmt, 0);
	out->real = sqlite3_column_double(statement->stmt, 0);
	vssfdw_done(statement);
}

/* *out: what a column of that affinity holds when it is given *in. */
static void
apply_affinity(VssConnection *conn, VssAffinity affinity, const VssBound *in, VssBound *out)
{
	*out = *in;
	if (affinity == VSS_AFFINITY_TEXT && (in->form == SQLITE_INTEGER || in->form == SQLITE_FLOAT))
		out->form = SQLITE_TEXT;
	if (!vssfdw_makes_numbers(affinity))
		return;
	if (in->form == SQLITE_TEXT && looks_like_number(in->bytes, in->length))
		read_number(conn, in, out);
	if (affinity == VSS_AFFINITY_REAL && out->form == SQLITE_INTEGER)
	{
		out->form = SQLITE_FLOAT;
		out->real = (double) out->integer;
	}
	else if (affinity != VSS_AFFINITY_REAL && out->form == SQLITE_FLOAT && out->real == rint(out->real) &&
			 FLOAT8_FITS_IN_INT64(out->real) && (int64) out->real > PG_INT64_MIN &&
			 (int64) out->real < PG_INT64_MAX)
	{
		out->form = SQLITE_INTEGER;
		out->integer = (int64) out->real;
	}
}

/* ---------- whether it comes back the same ---------- */

/* A number as types.c gives it to input functions. */
static char *
number_text(const VssBound *number)
{
	char *text = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);

	if (number->form == SQLITE_INTEGER)
		snprintf(text, DOUBLE_SHORTEST_DECIMAL_LEN, INT64_FORMAT, number->integer);
	else
		double_to_shortest_decimal_buf(number->real, text);
	return text;
}

static bool
is_same_integer(const VssColumn *column, int64 value, const VssBound *held)
{
	switch (held->form)
	{
		case SQLITE_INTEGER:
			return held->integer == value;
		case SQLITE_FLOAT:
			return column->kind != VALUE_BOOL && FLOAT8_FITS_IN_INT64(held->real) &&
				   (int64) held->real == value && (double) value == held->real;
		default:
			return column->stored == VSS_STORED_TEXT;
	}
}

static bool
is_same_double(const VssColumn *column, double value, const VssBound *held)
{
	switch (held->form)
	{
		case SQLITE_INTEGER:
			return (double) held->integer == value;
		case SQLITE_FLOAT:
			return (column->kind == VALUE_FLOAT4 ? (float) held->real : held->real) == value;
		default:
			return column->stored == VSS_STORED_TEXT;
	}
}

static bool
is_same_numeric(const VssColumn *column, Datum value, const VssBound *bound, const VssBound *held)
{
	Datum read;

	/* whoever says REAL wants a double, if only there is one of this size */
	if (column->stored == VSS_STORED_REAL)
	{
		if (!isfinite(bound->real))
			return numeric_is_inf(DatumGetNumeric(value));
		return bound->real != 0 ||
			   DatumGetBool(DirectFunctionCall2(numeric_eq, value, NumericGetDatum(int64_to_numeric(0))));
	}
	/* all digits */
	if (held->form == SQLITE_TEXT)
		return true;
	if (held->form == SQLITE_FLOAT && !isfinite(held->real))
		return false;
	read = InputFunctionCall((FmgrInfo *) &column->input, number_text(held), column->ioparam, -1);
	return DatumGetBool(DirectFunctionCall2(numeric_eq, value, read));
}

static bool
is_same_time(const VssColumn *column, Datum value, const VssBound *held)
{
	Datum read;
	TimeTzADT zoned;

	switch (held->form)
	{
		case SQLITE_TEXT:
			/* text of a time looks like no number, and a number as text like no time */
			return held->bytes != NULL;
		case SQLITE_INTEGER:
			if (!vssfdw_time_from_integer(column->kind, column->base_typmod, column->unit, held->integer,
										  &read, &zoned))
				return false;
			break;
		default:
			if (!vssfdw_time_from_real(column->kind, column->base_typmod, column->unit, held->real, &read,
									   &zoned))
				return false;
			break;
	}
	if (column->kind == VALUE_TIMETZ)
		return DatumGetBool(DirectFunctionCall2(timetz_eq, value, read));
	if (column->kind == VALUE_DATE)
		return DatumGetDateADT(value) == DatumGetDateADT(read);
	return DatumGetInt64(value) == DatumGetInt64(read);
}

/* Of a type that is read through its text. */
static bool
is_same_text(const VssColumn *column, const VssBound *bound, const VssBound *held)
{
	size_t length = bound->length;
	char *text;

	if (held->form == SQLITE_TEXT || held->form == SQLITE_BLOB)
		return true;
	/* the blanks of char(n) come back */
	while (column->base == BPCHAROID && length > 0 && bound->bytes[length - 1] == ' ')
		length--;
	text = number_text(held);
	return strlen(text) == length && memcmp(text, bound->bytes, length) == 0;
}

static bool
is_same(const VssColumn *column, Datum value, const VssBound *bound, const VssBound *held)
{
	switch ((ValueKind) column->kind)
	{
		case VALUE_BOOL:
			return is_same_integer(column, DatumGetBool(value), held);
		case VALUE_INT2:
			return is_same_integer(column, DatumGetInt16(value), held);
		case VALUE_INT4:
			return is_same_integer(column, DatumGetInt32(value), held);
		case VALUE_INT8:
			return is_same_integer(column, DatumGetInt64(value), held);
		case VALUE_FLOAT4:
			return is_same_double(column, DatumGetFloat4(value), held);
		case VALUE_FLOAT8:
			return is_same_double(column, DatumGetFloat8(value), held);
		case VALUE_NUMERIC:
			return is_same_numeric(column, value, bound, held);
		case VALUE_MACADDR:
		case VALUE_MACADDR8:
			/* a double has not all bits of eight bytes, and text of a number is no address */
			return held->form == bound->form;
		case VALUE_DATE:
		case VALUE_TIME:
		case VALUE_TIMETZ:
		case VALUE_TIMESTAMP:
		case VALUE_TIMESTAMPTZ:
			return is_same_time(column, value, held);
		default:
			return is_same_text(column, bound, held);
	}
}

/* ---------- the check ---------- */

static const char *
advice(const VssColumn *column, VssAffinity affinity)
{
	if (column->kind == VALUE_NUMERIC && affinity != VSS_AFFINITY_TEXT)
		return "Round the value, declare the column TEXT in SQLite to keep all digits, or set its option "
			   "column_type to REAL to let them go.";
	if (affinity == VSS_AFFINITY_TEXT)
		return "Set the option column_type of the foreign column to TEXT.";
	return "Declare the column with another type in SQLite: TEXT keeps text, INTEGER whole numbers, BLOB all "
		   "values as they are.";
}

/* Whether the column reads what it holds as NULL. */
static bool
is_read_as_null(const VssColumn *column, const VssBound *bound, const VssBound *held)
{
	VssBound text = *held;

	/* of a number that became text */
	if (held->form == SQLITE_TEXT && bound->form != SQLITE_TEXT)
	{
		text.bytes = number_text(bound);
		text.length = strlen(text.bytes);
	}
	return vssfdw_stands_for_null(column, &text);
}

pg_noreturn static void
report_null_value(const VssColumn *column, Datum value, bool isnull)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
			 isnull ? errmsg("NULL would not come back the same from column \"%s\"", column->name)
					: errmsg("value \"%s\" would come back as NULL from column \"%s\"",
							 OutputFunctionCall((FmgrInfo *) &column->output, value), column->name),
			 errdetail("The column's option null_value is \"%s\".", vssfdw_from_utf8(column->null_value)),
			 isnull
				 ? errhint("Set null_value to what the column holds: SQLite makes numbers of text in some.")
				 : errhint("Write NULL, or change the option.")));
}

void
vssfdw_check_kept(VssStatement *statement, const VssColumn *column, Datum value, bool isnull,
				  const VssBound *bound)
{
	VssBound held;
	const VssColumnInfo *stored;
	const VssTableInfo *info;

	if (column->is_stored)
		apply_affinity(statement->conn, column->affinity, bound, &held);
	else
		held = *bound;
	if (isnull != is_read_as_null(column, bound, &held))
		report_null_value(column, value, isnull);
	if (isnull || !column->is_stored || is_same(column, value, bound, &held))
		return;
	info = vssfdw_table_info(statement->conn, vssfdw_table_options(column->relid)->table);
	stored = vssfdw_find_column(info, column->name);
	ereport(
		ERROR,
		(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
		 errmsg("value %s of type %s would not come back the same from column \"%s\" of SQLite table \"%s\"",
				OutputFunctionCall((FmgrInfo *) &column->output, value), format_type_be(column->type),
				column->name, info->name),
		 errdetail("The column is declared \"%s\", so SQLite would store %s.", stored->declared,
				   held.form == SQLITE_TEXT ? "text" : number_text(&held)),
		 errhint("%s", advice(column, column->affinity))));
}
