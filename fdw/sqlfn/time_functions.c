/*
 * time_functions.c
 *		SQL functions over times that were read (readers.c), for SQLite.
 *
 * vss_date_start(day)			the timestamp that a day begins with
 * vss_date_start_local(day)	the same in the session's time zone, as timestamptz
 * vss_from_local(timestamp)	a timestamp in the session's time zone, likewise
 * vss_to_local(timestamptz)	the timestamp that a clock in it shows
 * vss_to_date(timestamp)		its day; vss_to_date_local(timestamptz)
 * vss_to_time(timestamp)		its time of day; vss_to_time_local(timestamptz)
 * vss_trunc(unit, timestamp)	date_trunc(); vss_trunc_local(unit, timestamptz)
 * vss_date_text(day), vss_timestamp_text(t), vss_time_text(t)	results, to be read back
 *
 * A session's time zone stays what it is while a statement runs, so all of them
 * are deterministic to SQLite.
 *
 * What comes out of a type's range counts as less or more than all but the
 * infinite ones.  So PostgreSQL's own operators do that compare a day or
 * timestamp with what cannot hold it.  Its casts and date_trunc() fail instead;
 * here the failure waits until such a result is wanted, so that a row fails no
 * more often than in PostgreSQL, whatever the order in which SQLite tests
 * conditions.
 *
 * Called by SQLite: no error of PostgreSQL's may be raised below, and nothing
 * palloc'd.
 */
#include "postgres.h"

#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "fdw/sqlfn/sqlfn.h"

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

/* user data: whether in the session's time zone */
static void
date_start(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int64 day = sqlite3_value_int64(argv[0]);
	int overflow = 0;
	Timestamp result;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	if (!DATE_NOT_FINITE(day) && !IS_VALID_DATE(day))
		result = clamped(0, day < 0 ? -1 : 1);
	else if (sqlite3_user_data(context) != NULL)
		result = VSS_CAST_TIME(date2timestamptz, (DateADT) day, &overflow);
	else
		result = VSS_CAST_TIME(date2timestamp, (DateADT) day, &overflow);
	sqlite3_result_int64(context, clamped(result, overflow));
}

static void
from_local(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	Timestamp timestamp = sqlite3_value_int64(argv[0]);
	int overflow = 0;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	if (IS_VALID_TIMESTAMP(timestamp))
	{
		timestamp = VSS_CAST_TIME(timestamp2timestamptz, timestamp, &overflow);
		timestamp = clamped(timestamp, overflow);
	}
	sqlite3_result_int64(context, timestamp);
}

/* What a clock shows: a day of PostgreSQL's count, and microseconds since it began. */
typedef struct Clock
{
	int64 day;
	int64 time;
	int zone; /* seconds west of UTC */
} Clock;

/* A valid timestamp as a clock shows it, in the session's time zone or without one; false where no clock can. */
static bool
read_clock(Timestamp timestamp, bool local, Clock *out)
{
	struct pg_tm tm;
	fsec_t fraction;

	if (local)
	{
		if (timestamp2tm(timestamp, &out->zone, &tm, &fraction, NULL, NULL) != 0)
			return false;
		out->day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE;
		out->time = ((tm.tm_hour * MINS_PER_HOUR + tm.tm_min) * SECS_PER_MINUTE + tm.tm_sec) * USECS_PER_SEC +
					fraction;
		return true;
	}
	out->zone = 0;
	out->time = timestamp % USECS_PER_DAY;
	if (out->time < 0)
		out->time += USECS_PER_DAY;
	out->day = (timestamp - out->time) / USECS_PER_DAY;
	return true;
}

/* The timestamp of a clock; clamped where it is none, which is near the ends of the range alone. */
static Timestamp
from_clock(const Clock *clock)
{
	Timestamp result = clock->day * USECS_PER_DAY + clock->time + clock->zone * USECS_PER_SEC;

	return IS_VALID_TIMESTAMP(result) ? result : clamped(0, result < 0 ? -1 : 1);
}

static void
to_local(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	Timestamp timestamp = sqlite3_value_int64(argv[0]);
	Clock clock;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	if (IS_VALID_TIMESTAMP(timestamp) && read_clock(timestamp, true, &clock))
	{
		clock.zone = 0;
		timestamp = from_clock(&clock);
	}
	sqlite3_result_int64(context, timestamp);
}

/* user data: whether in the session's time zone */
static void
to_date(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	Timestamp timestamp = sqlite3_value_int64(argv[0]);
	Clock clock;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	if (TIMESTAMP_IS_NOBEGIN(timestamp))
		sqlite3_result_int64(context, DATEVAL_NOBEGIN);
	else if (TIMESTAMP_IS_NOEND(timestamp))
		sqlite3_result_int64(context, DATEVAL_NOEND);
	else if (IS_VALID_TIMESTAMP(timestamp) &&
			 read_clock(timestamp, sqlite3_user_data(context) != NULL, &clock))
		sqlite3_result_int64(context, clock.day);
	else
		sqlite3_result_int64(context, timestamp < 0 ? DATEVAL_NOBEGIN + 1 : DATEVAL_NOEND - 1);
}

/* user data: whether in the session's time zone; of an infinite one NULL */
static void
to_time(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	Timestamp timestamp = sqlite3_value_int64(argv[0]);
	Clock clock;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL || TIMESTAMP_NOT_FINITE(timestamp))
		return;
	if (IS_VALID_TIMESTAMP(timestamp) && read_clock(timestamp, sqlite3_user_data(context) != NULL, &clock))
		sqlite3_result_int64(context, clock.time);
	else
		vssfdw_result_failure(context, VSS_RC_TIME_RANGE, "timestamp out of range");
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

/* The day that the unit begins with in which a Julian day lies. */
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

/* Back to where the unit began; hours and less keep the offset from UTC that they have. */
static void
truncate_clock(const TruncUnit *unit, bool local, Clock *clock)
{
	struct pg_tm tm;

	if (unit->micros > 0)
		clock->time -= clock->time % unit->micros;
	else
	{
		clock->day = first_day(unit, (int) clock->day + POSTGRES_EPOCH_JDATE) - POSTGRES_EPOCH_JDATE;
		clock->time = 0;
	}
	if (!local || (unit->micros > 0 && unit->micros < USECS_PER_DAY))
		return;
	memset(&tm, 0, sizeof(tm));
	j2date((int) clock->day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	clock->zone = DetermineTimeZoneOffset(&tm, session_timezone);
}

/* user data: whether in the session's time zone */
static void
trunc_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const char *name = (const char *) sqlite3_value_text(argv[0]);
	const TruncUnit *unit = name != NULL ? find_unit(name) : NULL;
	Timestamp timestamp = sqlite3_value_int64(argv[1]);
	bool local = sqlite3_user_data(context) != NULL;
	Clock clock;

	if (sqlite3_value_type(argv[1]) == SQLITE_NULL)
		return;
	if (unit == NULL)
	{
		sqlite3_result_error(context, "unknown unit of time", -1);
		return;
	}
	if (IS_VALID_TIMESTAMP(timestamp) && read_clock(timestamp, local, &clock))
	{
		truncate_clock(unit, local, &clock);
		timestamp = from_clock(&clock);
	}
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
	if ((*kind == VALUE_TIMESTAMP && !TIMESTAMP_NOT_FINITE(value) && !IS_VALID_TIMESTAMP(value)) ||
		(*kind == VALUE_DATE && !DATE_NOT_FINITE(value) && !IS_VALID_DATE(value)))
	{
		vssfdw_result_failure(context, VSS_RC_TIME_RANGE,
							  *kind == VALUE_DATE ? "date out of range" : "timestamp out of range");
		return;
	}
	if (vssfdw_time_to_text(*kind,
							*kind == VALUE_DATE ? DateADTGetDatum((DateADT) value) : Int64GetDatum(value),
							buffer, sizeof(buffer)))
		sqlite3_result_text(context, buffer, -1, SQLITE_TRANSIENT);
}

const VssSqlFunction vssfdw_time_functions[] = {
	{"vss_date_start", 1, date_start},
	{"vss_date_start_local", 1, date_start, VSS_SQL_FLAG},
	{"vss_from_local", 1, from_local},
	{"vss_to_local", 1, to_local},
	{"vss_to_date", 1, to_date},
	{"vss_to_date_local", 1, to_date, VSS_SQL_FLAG},
	{"vss_to_time", 1, to_time},
	{"vss_to_time_local", 1, to_time, VSS_SQL_FLAG},
	{"vss_trunc", 2, trunc_function},
	{"vss_trunc_local", 2, trunc_function, VSS_SQL_FLAG},
	{"vss_date_text", 1, time_writer, &(const ValueKind){VALUE_DATE}},
	{"vss_timestamp_text", 1, time_writer, &(const ValueKind){VALUE_TIMESTAMP}},
	{"vss_time_text", 1, time_writer, &(const ValueKind){VALUE_TIME}},
	{NULL},
};
