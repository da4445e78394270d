/*
 * readers.c
 *		SQL functions that read a stored value as the foreign table does, for
 *		SQLite's comparisons.
 *
 * A column's reader (column_class.c) turns every stored form of a value into
 * the one that compares, and fails where fetching the value would:
 *
 * vss_date(x)			days since 2000-01-01
 * vss_timestamp(x [, p])	microseconds since 2000-01-01 00:00 UTC, rounded to p
 *						digits of a second
 * vss_time(x [, p])	microseconds since midnight
 *						(of all three: with p, -1 for none, and a VssTimeUnit, numbers
 *						are of that unit)
 * vss_float4(x), vss_float8(x)	the number as REAL
 * vss_text(x)			text, numbers as their digits
 * vss_varchar(x, n)	text of at most n characters, blanks beyond them dropped
 * vss_char(x [, n])	the same without blanks at its end
 * vss_uuid(x)			a BLOB of 16 bytes
 *
 * Infinite times are the least and the greatest integer of their PostgreSQL
 * type.
 *
 * Called by SQLite: no error of PostgreSQL's may be raised below, and nothing
 * palloc'd.  times.c raises none for the precisions that a type can have.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "utils/date.h"
#include "utils/uuid.h"

#include "fdw/sqlfn/sqlfn.h"

/* The text without its length's doubts: false when it holds a zero byte. */
static bool
is_whole(const char *text, int length)
{
	return memchr(text, '\0', length) == NULL;
}

/* ---------- times ---------- */

/* What a reader of times is of. */
typedef struct TimeType
{
	ValueKind kind;
	const char *name;
	const char *reason;
} TimeType;

#define TIME_FORMS "ISO 8601 text, a Julian day or Unix seconds"

static const TimeType time_types[] = {
	{VALUE_DATE, "date", "a date is " TIME_FORMS ", at midnight"},
	{VALUE_TIMESTAMP, "timestamp", "a time is " TIME_FORMS},
	{VALUE_TIME, "time", "a time is " TIME_FORMS},
};

static void
time_reader(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const TimeType *type = sqlite3_user_data(context);
	int precision = -1;
	int number = VSS_TIME_ANY;
	VssTimeUnit unit;
	const char *text;
	Datum result = 0;
	bool fits = false;

	if (!vssfdw_small_argument(context, argc, argv, 1, -1, MAX_TIMESTAMP_PRECISION, &precision) ||
		!vssfdw_small_argument(context, argc, argv, 2, VSS_TIME_ANY, VSS_TIME_TICKS, &number))
		return;
	unit = (VssTimeUnit) number;
	switch (sqlite3_value_type(argv[0]))
	{
		case SQLITE_NULL:
			return;
		case SQLITE_TEXT:
			text = (const char *) sqlite3_value_text(argv[0]);
			if (text == NULL)
			{
				sqlite3_result_error_nomem(context);
				return;
			}
			fits = is_whole(text, sqlite3_value_bytes(argv[0])) &&
				   vssfdw_time_from_text(type->kind, precision, text, &result, NULL);
			break;
		case SQLITE_INTEGER:
			fits = vssfdw_time_from_integer(type->kind, precision, unit, sqlite3_value_int64(argv[0]),
											&result, NULL);
			break;
		case SQLITE_FLOAT:
			fits = vssfdw_time_from_real(type->kind, precision, unit, sqlite3_value_double(argv[0]), &result,
										 NULL);
			break;
	}
	if (!fits)
		vssfdw_result_misfit(context, argv[0], type->name, type->reason);
	else if (type->kind == VALUE_DATE)
		sqlite3_result_int64(context, DatumGetDateADT(result));
	else
		sqlite3_result_int64(context, DatumGetInt64(result));
}

/* ---------- numbers ---------- */

/* user data: whether of type real */
static void
float_reader(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	bool single = sqlite3_user_data(context) != NULL;
	int type = sqlite3_value_type(argv[0]);
	double value = sqlite3_value_double(argv[0]);

	if (type == SQLITE_NULL)
		return;
	if (type != SQLITE_INTEGER && type != SQLITE_FLOAT)
		vssfdw_result_misfit(context, argv[0], single ? "real" : "double precision", NULL);
	else if (single && isfinite(value) && isinf((float) value))
		vssfdw_result_misfit(context, argv[0], "real", "out of range");
	else
		sqlite3_result_double(context, single ? (float) value : value);
}

/* ---------- text ---------- */

/* Bytes of the text's first n characters. */
static int
clipped_length(const unsigned char *text, int length, int n)
{
	for (int i = 0; i < length; i++)
	{
		/* a character begins where no continuation byte 10xxxxxx is */
		if ((text[i] & 0xC0) == 0x80)
			continue;
		if (n <= 0)
			return i;
		n--;
	}
	return length;
}

static void
text_reader(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	bool padded = sqlite3_user_data(context) != NULL;
	const char *name = padded ? "character" : argc > 1 ? "character varying" : "text";
	char digits[DOUBLE_SHORTEST_DECIMAL_LEN];
	const char *text;
	int length;
	int end;

	switch (sqlite3_value_type(argv[0]))
	{
		case SQLITE_NULL:
			return;
		case SQLITE_BLOB:
			vssfdw_result_misfit(context, argv[0], name, NULL);
			return;
		case SQLITE_FLOAT:
			/* SQLite shows 15 digits of a REAL */
			length = double_to_shortest_decimal_buf(sqlite3_value_double(argv[0]), digits);
			text = digits;
			break;
		default:
			text = (const char *) sqlite3_value_text(argv[0]);
			length = sqlite3_value_bytes(argv[0]);
			break;
	}
	if (text == NULL)
	{
		sqlite3_result_error_nomem(context);
		return;
	}
	if (!is_whole(text, length) || !pg_verify_mbstr(PG_UTF8, text, length, true))
	{
		vssfdw_result_misfit(context, argv[0], name, "the text is not valid UTF-8, or has a zero byte");
		return;
	}
	end =
		argc > 1 ? clipped_length((const unsigned char *) text, length, sqlite3_value_int(argv[1])) : length;
	for (int i = end; i < length; i++)
	{
		if (text[i] != ' ')
		{
			vssfdw_result_misfit(context, argv[0], name, "it is too long");
			return;
		}
	}
	while (padded && end > 0 && text[end - 1] == ' ')
		end--;
	sqlite3_result_text(context, text, end, SQLITE_TRANSIENT);
}

/* ---------- uuid ---------- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* PostgreSQL's spellings: 32 digits, perhaps a hyphen after every fourth, perhaps in braces. */
static bool
parse_uuid(const char *p, unsigned char *out)
{
	bool braces = *p == '{';

	if (braces)
		p++;
	for (int i = 0; i < UUID_LEN; i++)
	{
		int high = hex_digit(p[0]);
		int low = high >= 0 ? hex_digit(p[1]) : -1;

		if (low < 0)
			return false;
		out[i] = (unsigned char) (high << 4 | low);
		p += 2;
		if (*p == '-' && i % 2 == 1 && i < UUID_LEN - 1)
			p++;
	}
	if (braces && *p++ != '}')
		return false;
	return *p == '\0';
}

static void
uuid_reader(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	unsigned char bytes[UUID_LEN];
	const char *text;

	switch (sqlite3_value_type(argv[0]))
	{
		case SQLITE_NULL:
			return;
		case SQLITE_BLOB:
			if (sqlite3_value_bytes(argv[0]) == UUID_LEN)
			{
				sqlite3_result_value(context, argv[0]);
				return;
			}
			break;
		case SQLITE_TEXT:
			text = (const char *) sqlite3_value_text(argv[0]);
			if (text == NULL)
			{
				sqlite3_result_error_nomem(context);
				return;
			}
			if (is_whole(text, sqlite3_value_bytes(argv[0])) && parse_uuid(text, bytes))
			{
				sqlite3_result_blob(context, bytes, UUID_LEN, SQLITE_TRANSIENT);
				return;
			}
			break;
	}
	vssfdw_result_misfit(context, argv[0], "uuid", "a uuid is TEXT or a BLOB of 16 bytes");
}

const VssSqlFunction vssfdw_readers[] = {
	{"vss_date", 1, time_reader, &time_types[0]},
	{"vss_date", 3, time_reader, &time_types[0]},
	{"vss_timestamp", 3, time_reader, &time_types[1]},
	{"vss_time", 3, time_reader, &time_types[2]},
	{"vss_timestamp", 1, time_reader, &time_types[1]},
	{"vss_timestamp", 2, time_reader, &time_types[1]},
	{"vss_time", 1, time_reader, &time_types[2]},
	{"vss_time", 2, time_reader, &time_types[2]},
	{"vss_float4", 1, float_reader, VSS_SQL_FLAG},
	{"vss_float8", 1, float_reader},
	{"vss_text", 1, text_reader},
	{"vss_varchar", 2, text_reader},
	{"vss_char", 1, text_reader, VSS_SQL_FLAG},
	{"vss_char", 2, text_reader, VSS_SQL_FLAG},
	{"vss_uuid", 1, uuid_reader},
	{NULL},
};
