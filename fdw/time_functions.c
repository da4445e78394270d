/*
 * time_functions.c
 *		SQL functions over times that were read (readers.c), for SQLite.
 *
 * vss_date_start(day)			the timestamp that a day begins with
 * vss_date_start_local(day)	the same in the session's time zone, as timestamptz
 * vss_from_local(timestamp)	a timestamp in the session's time zone, likewise
 * vss_to_date(timestamp)		its day
 * vss_trunc(unit, timestamp)	date_trunc()
 * vss_date_text(day), vss_timestamp_text(t), vss_time_text(t)	results, to be read back
 *
 * A session's time zone stays what it is while a statement runs, so all of them
 * are deterministic to SQLite.
 *
 * The first three are for comparisons.  Where PostgreSQL's own operators find a
 * day or timestamp to lie beyond the range of what it is compared with, it
 * counts as less or more than all but the infinite ones, and so it does here.
 *
 * Called by SQLite: no error of PostgreSQL's may be raised below, and nothing
 * palloc'd.
 */
#include "postgres.h"

#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "fdw/types.h"

/* What came out of range: beyond all finite timestamps. */
static int64
clamped(int64 value, int overflow)
{
	if (overflow > 0)
		return DT_NOEND - 1;
	if (overflow < 0)
		return DT_NOBEGIN + 1;
	return value;
}

static void
date_start(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int overflow = 0;
	Timestamp result;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	result = date2timestamp_opt_overflow((DateADT) sqlite3_value_int64(argv[0]), &overflow);
	sqlite3_result_int64(context, clamped(result, overflow));
}

static void
date_start_local(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int overflow = 0;
	TimestampTz result;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	result = date2timestamptz_opt_overflow((DateADT) sqlite3_value_int64(argv[0]), &overflow);
	sqlite3_result_int64(context, clamped(result, overflow));
}

static void
from_local(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int overflow = 0;
	TimestampTz result;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	result = timestamp2timestamptz_opt_overflow(sqlite3_value_int64(argv[0]), &overflow);
	sqlite3_result_int64(context, clamped(result, overflow));
}

/* The day that a finite timestamp lies in, and in *time the microseconds since it began. */
static int64
split(Timestamp timestamp, int64 *time)
{
	*time = timestamp % USECS_PER_DAY;
	if (*time < 0)
		*time += USECS_PER_DAY;
	return (timestamp - *time) / USECS_PER_DAY;
}

static void
to_date(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	Timestamp timestamp = sqlite3_value_int64(argv[0]);
	int64 time;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	if (TIMESTAMP_IS_NOBEGIN(timestamp))
		sqlite3_result_int64(context, DATEVAL_NOBEGIN);
	else if (TIMESTAMP_IS_NOEND(timestamp))
		sqlite3_result_int64(context, DATEVAL_NOEND);
	else
		sqlite3_result_int64(context, split(timestamp, &time));
}

/* ---------- date_trunc ---------- */

typedef struct TruncUnit
{
	const char *name;
	int64 micros; /* of a part of a day, else 0 */
	int years;    /* of whole years, else 0 */
	int months;   /* of months, else 0 */
} TruncUnit;

static const TruncUnit units[] = {
	{"microseconds", 1, 0, 0},
	{"milliseconds", 1000, 0, 0},
	{"second", USECS_PER_SEC, 0, 0},
	{"minute", USECS_PER_MINUTE, 0, 0},
	{"hour", USECS_PER_HOUR, 0, 0},
	{"day", USECS_PER_DAY, 0, 0},
	{"week", 0, 0, 0},
	{"month", 0, 0, 1},
	{"quarter", 0, 0, 3},
	{"year", 0, 1, 0},
	{"decade", 0, 10, 0},
	{"century", 0, 100, 0},
	{"millennium", 0, 1000, 0},
};

static const TruncUnit *
find_unit(const char *name)
{
	for (int i = 0; i < lengthof(units); i++)
		if (strcmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

bool
vssfdw_is_trunc_unit(const char *name)
{
	return find_unit(name) != NULL;
}

/* The first day of the unit, as a Julian day; year is astronomical. */
static int
first_day(const TruncUnit *unit, int day)
{
	int year;
	int month;
	int mday;

	/* of a week, its Monday */
	if (unit->years == 0 && unit->months == 0)
		return day - (j2day(day) + 6) % 7;
	j2date(day, &year, &month, &mday);
	if (unit->months > 0)
		return date2j(year, month - (month - 1) % unit->months, 1);
	/* decades begin with years that end in 0, centuries and millennia with those that end in 1 */
	if (unit->years >= 100)
		year--;
	year -= ((year % unit->years) + unit->years) % unit->years;
	if (unit->years >= 100)
		year++;
	return date2j(year, 1, 1);
}

static void
trunc_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const char *name = (const char *) sqlite3_value_text(argv[0]);
	const TruncUnit *unit = name != NULL ? find_unit(name) : NULL;
	Timestamp timestamp = sqlite3_value_int64(argv[1]);
	int64 time;
	int64 day;

	if (sqlite3_value_type(argv[1]) == SQLITE_NULL)
		return;
	if (TIMESTAMP_NOT_FINITE(timestamp))
	{
		sqlite3_result_int64(context, timestamp);
		return;
	}
	day = split(timestamp, &time);
	if (unit == NULL)
	{
		sqlite3_result_error(context, "unknown unit of time", -1);
		return;
	}
	if (unit->micros > 0)
	{
		sqlite3_result_int64(context, timestamp - time % unit->micros);
		return;
	}
	timestamp = (first_day(unit, (int) day + POSTGRES_EPOCH_JDATE) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	/* of the first month that there is, which began before the first timestamp */
	if (!IS_VALID_TIMESTAMP(timestamp))
		sqlite3_result_error(context, "timestamp out of range", -1);
	else
		sqlite3_result_int64(context, timestamp);
}

/* ---------- results ---------- */

/* user data: the kind */
static void
time_writer(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const ValueKind *kind = sqlite3_user_data(context);
	sqlite3_int64 value = sqlite3_value_int64(argv[0]);
	char buffer[64];

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	if (vssfdw_time_to_text(*kind,
							*kind == VALUE_DATE ? DateADTGetDatum((DateADT) value) : Int64GetDatum(value),
							buffer, sizeof(buffer)))
		sqlite3_result_text(context, buffer, -1, SQLITE_TRANSIENT);
}

int
vssfdw_register_time_functions(sqlite3 *db)
{
	static const ValueKind date = VALUE_DATE;
	static const ValueKind timestamp = VALUE_TIMESTAMP;
	static const ValueKind time = VALUE_TIME;
	static const struct
	{
		const char *name;
		int nargs;
		void (*function)(sqlite3_context *, int, sqlite3_value **);
		const ValueKind *kind;
	} functions[] = {
		{"vss_date_start", 1, date_start, NULL},
		{"vss_date_start_local", 1, date_start_local, NULL},
		{"vss_from_local", 1, from_local, NULL},
		{"vss_to_date", 1, to_date, NULL},
		{"vss_trunc", 2, trunc_function, NULL},
		{"vss_date_text", 1, time_writer, &date},
		{"vss_timestamp_text", 1, time_writer, &timestamp},
		{"vss_time_text", 1, time_writer, &time},
	};
	int rc = SQLITE_OK;

	for (int i = 0; i < lengthof(functions) && rc == SQLITE_OK; i++)
		rc = sqlite3_create_function_v2(db, functions[i].name, functions[i].nargs,
										SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
										(void *) functions[i].kind, functions[i].function, NULL, NULL, NULL);
	return rc;
}
