/*
 * extract.c
 *		extract() and date_part() for SQLite, over times that were read (readers.c).
 *
 * vss_extract_date(field, day), vss_extract_timestamp(field, timestamp),
 * vss_extract_timestamptz(field, timestamp), vss_extract_time(field, time):
 *			extract(), as a number that compares (decimal.c)
 * vss_part_date and its like:		date_part(), a REAL
 * vss_whole_date and its like:		extract()::integer
 *
 * Fields of a timestamptz are taken in the session's time zone.  An infinite time
 * has two kinds of fields, as in PostgreSQL: those that repeat (month, hour) are
 * NULL, and those that only grow (year, epoch) are infinite.  The latter have no
 * integer; vss_whole_* then gives PostgreSQL's error.
 *
 * A field is written as extract() has it in the parse tree, in lower case and
 * without the other names that PostgreSQL takes ("years", "mon"); see
 * vssfdw_is_time_field for which a type has.  Left out are the Julian day of
 * what has a time of day, a quotient that is rounded, and the time zone.
 *
 * Called by SQLite: no error of PostgreSQL's may be raised below, and nothing
 * palloc'd.
 */
#include "postgres.h"

#include <math.h>

#include "datatype/timestamp.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "fdw/sqlfn/sqlfn.h"

typedef enum FieldCode
{
	FIELD_MICROSECONDS,
	FIELD_MILLISECONDS,
	FIELD_SECOND,
	FIELD_MINUTE,
	FIELD_HOUR,
	FIELD_DAY,
	FIELD_WEEK,
	FIELD_MONTH,
	FIELD_QUARTER,
	FIELD_YEAR,
	FIELD_DECADE,
	FIELD_CENTURY,
	FIELD_MILLENNIUM,
	FIELD_ISOYEAR,
	FIELD_DOW,
	FIELD_ISODOW,
	FIELD_DOY,
	FIELD_EPOCH,
	FIELD_JULIAN
} FieldCode;

typedef struct Field
{
	const char *name;
	FieldCode code;
	int scale;  /* digits after the point, of other types than date */
	int bytes;  /* of the least integer type that holds all its values, 0: may have a fraction */
	bool grows; /* of infinite times infinite, else NULL */
	bool of_date;
	bool of_timestamp;
	bool of_time;
} Field;

static const Field fields[] = {
	{"microseconds", FIELD_MICROSECONDS, 0, 4, false, false, true, true},
	{"milliseconds", FIELD_MILLISECONDS, 3, 0, false, false, true, true},
	{"second", FIELD_SECOND, 6, 0, false, false, true, true},
	{"minute", FIELD_MINUTE, 0, 2, false, false, true, true},
	{"hour", FIELD_HOUR, 0, 2, false, false, true, true},
	{"day", FIELD_DAY, 0, 2, false, true, true, false},
	{"week", FIELD_WEEK, 0, 2, false, true, true, false},
	{"month", FIELD_MONTH, 0, 2, false, true, true, false},
	{"quarter", FIELD_QUARTER, 0, 2, false, true, true, false},
	{"year", FIELD_YEAR, 0, 4, true, true, true, false},
	{"decade", FIELD_DECADE, 0, 4, true, true, true, false},
	{"century", FIELD_CENTURY, 0, 4, true, true, true, false},
	{"millennium", FIELD_MILLENNIUM, 0, 4, true, true, true, false},
	{"isoyear", FIELD_ISOYEAR, 0, 4, true, true, true, false},
	{"dow", FIELD_DOW, 0, 2, false, true, true, false},
	{"isodow", FIELD_ISODOW, 0, 2, false, true, true, false},
	{"doy", FIELD_DOY, 0, 2, false, true, true, false},
	{"epoch", FIELD_EPOCH, 6, 0, true, true, true, true},
	{"julian", FIELD_JULIAN, 0, 4, true, true, false, false},
};
StaticAssertDecl(lengthof(fields) == FIELD_JULIAN + 1, "fields of times");

static const Field *
find_field(const char *name)
{
	for (int i = 0; i < lengthof(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

bool
vssfdw_is_time_field(const char *name, VssClass class, VssTimeField *out)
{
	const Field *field = find_field(name);

	if (field == NULL)
		return false;
	out->scale = class == VSS_CLASS_DATE ? 0 : field->scale;
	out->bytes = field->bytes;
	out->grows = field->grows;
	switch (class)
	{
		case VSS_CLASS_DATE:
			return field->of_date;
		case VSS_CLASS_TIMESTAMP:
		case VSS_CLASS_TIMESTAMPTZ:
			return field->of_timestamp;
		case VSS_CLASS_TIME:
			return field->of_time;
		default:
			return false;
	}
}

/* ---------- the fields ---------- */

/* A point in time, or a time of day. */
typedef struct Moment
{
	int infinite; /* -1, 1, else 0 */
	int year;     /* astronomical: 0 is 1 BC */
	int month;
	int mday;
	int day;      /* Julian */
	int64 time;   /* microseconds since midnight */
	int64 micros; /* the epoch's field, from PostgreSQL's epoch; of a time of day, from midnight */
} Moment;

/* False when the value is beyond the type's range. */
static bool
read_moment(ValueKind kind, int64 value, Moment *out)
{
	struct pg_tm tm;
	fsec_t fraction;
	int zone;

	memset(out, 0, sizeof(*out));
	switch (kind)
	{
		case VALUE_TIME:
			out->time = out->micros = value;
			return true;
		case VALUE_DATE:
			if (DATE_NOT_FINITE(value))
			{
				out->infinite = DATE_IS_NOBEGIN(value) ? -1 : 1;
				return true;
			}
			if (!IS_VALID_DATE(value))
				return false;
			out->day = (int) value + POSTGRES_EPOCH_JDATE;
			break;
		default:
			if (TIMESTAMP_NOT_FINITE(value))
			{
				out->infinite = TIMESTAMP_IS_NOBEGIN(value) ? -1 : 1;
				return true;
			}
			if (!IS_VALID_TIMESTAMP(value) || timestamp2tm(value, kind == VALUE_TIMESTAMPTZ ? &zone : NULL,
														   &tm, &fraction, NULL, NULL) != 0)
				return false;
			out->micros = value;
			out->year = tm.tm_year;
			out->month = tm.tm_mon;
			out->mday = tm.tm_mday;
			out->day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday);
			out->time =
				((tm.tm_hour * MINS_PER_HOUR + tm.tm_min) * SECS_PER_MINUTE + tm.tm_sec) * USECS_PER_SEC +
				fraction;
			return true;
	}
	j2date(out->day, &out->year, &out->month, &out->mday);
	return true;
}

/*
 * The number of the century or the like (n years) that a year is in.  Number 1
 * begins with the year 1, number -1 ends with 1 BC.
 */
static int
count_years(int year, int n)
{
	return year > 0 ? (year + n - 1) / n : -((n - 1 - (year - 1)) / n);
}

/* A field of the calendar or clock that is a whole number. */
static int64
whole_field(FieldCode code, const Moment *moment)
{
	int year = moment->year;

	switch (code)
	{
		case FIELD_MICROSECONDS:
		case FIELD_MILLISECONDS:
		case FIELD_SECOND:
			return moment->time % USECS_PER_MINUTE;
		case FIELD_MINUTE:
			return moment->time / USECS_PER_MINUTE % MINS_PER_HOUR;
		case FIELD_HOUR:
			return moment->time / USECS_PER_HOUR;
		case FIELD_DAY:
			return moment->mday;
		case FIELD_WEEK:
			return date2isoweek(year, moment->month, moment->mday);
		case FIELD_MONTH:
			return moment->month;
		case FIELD_QUARTER:
			return (moment->month - 1) / 3 + 1;
		case FIELD_ISOYEAR:
			year = date2isoyear(year, moment->month, moment->mday);
			__attribute__((fallthrough));
		case FIELD_YEAR:
			/* there is no year 0 */
			return year > 0 ? year : year - 1;
		case FIELD_DECADE:
			return year >= 0 ? year / 10 : -((8 - (year - 1)) / 10);
		case FIELD_CENTURY:
			return count_years(year, 100);
		case FIELD_MILLENNIUM:
			return count_years(year, 1000);
		case FIELD_DOW:
			return j2day(moment->day);
		case FIELD_ISODOW:
			return (j2day(moment->day) + 6) % 7 + 1;
		case FIELD_DOY:
			return moment->day - date2j(year, 1, 1) + 1;
		case FIELD_JULIAN:
			return moment->day;
		case FIELD_EPOCH:
			break;
	}
	return 0;
}

#define UNIX_EPOCH_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* extract() */
static void
result_number(sqlite3_context *context, ValueKind kind, const Field *field, const Moment *moment)
{
	int64 value;

	if (field->code != FIELD_EPOCH)
	{
		value = whole_field(field->code, moment);
		vssfdw_decimal_result(context, value < 0, value < 0 ? -(uint64) value : (uint64) value, field->scale);
	}
	else if (kind == VALUE_DATE)
	{
		value = ((int64) moment->day - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
		vssfdw_decimal_result(context, value < 0, value < 0 ? -(uint64) value : (uint64) value, 0);
	}
	else
	{
		/* of the latest timestamps the sum does not fit 63 bits */
		uint64 sum = (uint64) moment->micros;
		bool negative;

		if (kind != VALUE_TIME)
			sum += UNIX_EPOCH_DAYS * (uint64) USECS_PER_DAY;
		negative = moment->micros < 0 && (int64) sum < 0;
		vssfdw_decimal_result(context, negative, negative ? -sum : sum, field->scale);
	}
}

/*
 * date_part(), by the same operations on doubles as PostgreSQL's.  A date is in
 * the range of timestamps, which is what date_part() makes of it.
 */
static double
part(ValueKind kind, const Field *field, const Moment *moment)
{
	int64 value = whole_field(field->code, moment);
	int64 micros = moment->micros;
	const int64 epoch = -UNIX_EPOCH_DAYS * USECS_PER_DAY;

	switch (field->code)
	{
		case FIELD_MILLISECONDS:
			return (double) (value / USECS_PER_SEC) * 1000.0 + (double) (value % USECS_PER_SEC) / 1000.0;
		case FIELD_SECOND:
			return (double) (value / USECS_PER_SEC) + (double) (value % USECS_PER_SEC) / 1000000.0;
		case FIELD_EPOCH:
			if (kind == VALUE_TIME)
				return (double) micros / 1000000.0;
			if (kind == VALUE_DATE)
				micros = ((int64) moment->day - POSTGRES_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC;
			return micros < PG_INT64_MAX + epoch ? (double) (micros - epoch) / 1000000.0
												 : ((double) micros - (double) epoch) / 1000000.0;
		default:
			return (double) value;
	}
}

/* ---------- for SQLite ---------- */

/* What a function gives. */
typedef enum Form
{
	FORM_NUMBER,
	FORM_PART,
	FORM_WHOLE
} Form;

typedef struct Extractor
{
	ValueKind kind;
	Form form;
} Extractor;

static void
result_infinite(sqlite3_context *context, Form form, const Field *field, int sign)
{
	if (!field->grows)
		return; /* NULL */
	if (form == FORM_NUMBER)
		vssfdw_decimal_infinite(context, sign);
	else if (form == FORM_PART)
		sqlite3_result_double(context, sign * HUGE_VAL);
	else
		vssfdw_result_failure(context, VSS_RC_INFINITE, "cannot convert infinity to integer");
}

/* user data: an Extractor */
static void
extract_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const Extractor *extractor = sqlite3_user_data(context);
	const char *name = (const char *) sqlite3_value_text(argv[0]);
	const Field *field = name != NULL ? find_field(name) : NULL;
	Moment moment;

	if (sqlite3_value_type(argv[1]) == SQLITE_NULL)
		return;
	if (field == NULL)
		sqlite3_result_error(context, "unknown field of a time", -1);
	else if (!read_moment(extractor->kind, sqlite3_value_int64(argv[1]), &moment))
		vssfdw_result_failure(context, VSS_RC_TIME_RANGE, "timestamp out of range");
	else if (moment.infinite != 0)
		result_infinite(context, extractor->form, field, moment.infinite);
	else if (extractor->form == FORM_PART && moment.day >= TIMESTAMP_END_JULIAN)
		vssfdw_result_failure(context, VSS_RC_TIME_RANGE, "date out of range for timestamp");
	else if (extractor->form == FORM_NUMBER)
		result_number(context, extractor->kind, field, &moment);
	else if (extractor->form == FORM_PART)
		sqlite3_result_double(context, part(extractor->kind, field, &moment));
	else
		sqlite3_result_int64(context, whole_field(field->code, &moment));
}

const VssSqlFunction vssfdw_extract_functions[] = {
	{"vss_extract_date", 2, extract_function, &(const Extractor){VALUE_DATE, FORM_NUMBER}},
	{"vss_extract_timestamp", 2, extract_function, &(const Extractor){VALUE_TIMESTAMP, FORM_NUMBER}},
	{"vss_extract_timestamptz", 2, extract_function, &(const Extractor){VALUE_TIMESTAMPTZ, FORM_NUMBER}},
	{"vss_extract_time", 2, extract_function, &(const Extractor){VALUE_TIME, FORM_NUMBER}},
	{"vss_part_date", 2, extract_function, &(const Extractor){VALUE_DATE, FORM_PART}},
	{"vss_part_timestamp", 2, extract_function, &(const Extractor){VALUE_TIMESTAMP, FORM_PART}},
	{"vss_part_timestamptz", 2, extract_function, &(const Extractor){VALUE_TIMESTAMPTZ, FORM_PART}},
	{"vss_part_time", 2, extract_function, &(const Extractor){VALUE_TIME, FORM_PART}},
	{"vss_whole_date", 2, extract_function, &(const Extractor){VALUE_DATE, FORM_WHOLE}},
	{"vss_whole_timestamp", 2, extract_function, &(const Extractor){VALUE_TIMESTAMP, FORM_WHOLE}},
	{"vss_whole_timestamptz", 2, extract_function, &(const Extractor){VALUE_TIMESTAMPTZ, FORM_WHOLE}},
	{"vss_whole_time", 2, extract_function, &(const Extractor){VALUE_TIME, FORM_WHOLE}},
	{NULL},
};
