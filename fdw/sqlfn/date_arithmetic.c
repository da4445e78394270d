/*
 * date_arithmetic.c
 *		Sums of dates and times, for SQLite, over those that were read (readers.c).
 *
 * vss_add_days(day, n)		a date plus n days
 * vss_add_interval(timestamp, months, days, microseconds)
 *							a timestamp plus an interval
 * vss_add_interval_local	the same of a timestamptz, by clocks of the session's time zone
 *
 * An interval is added in its three parts, as PostgreSQL does: the months, by the
 * calendar and to the month's last day at most, then the days, then the time,
 * and each of these results must be a timestamp.  What comes out of range is
 * beyond all finite values, and an error when it is fetched (time_functions.c).
 *
 * Called by SQLite: no error of PostgreSQL's may be raised below, and nothing
 * palloc'd.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "fdw/sqlfn/sqlfn.h"

static bool
any_null(int argc, sqlite3_value **argv)
{
	for (int i = 0; i < argc; i++)
	{
		if (sqlite3_value_type(argv[i]) == SQLITE_NULL)
			return true;
	}
	return false;
}

static void
add_days(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int64 day = sqlite3_value_int64(argv[0]);
	int64 days;

	if (any_null(argc, argv))
		return;
	if (!vssfdw_value_integer(argv[1], &days))
	{
		vssfdw_result_misfit(context, argv[1], "integer", NULL);
		return;
	}
	if (!DATE_NOT_FINITE(day))
	{
		if (pg_add_s64_overflow(day, days, &day) || !IS_VALID_DATE(day))
			day = days < 0 ? DATEVAL_NOBEGIN + 1 : DATEVAL_NOEND - 1;
	}
	sqlite3_result_int64(context, day);
}

/* ---------- intervals ---------- */

/* The parts of an interval. */
typedef struct Span
{
	int64 months;
	int64 days;
	int64 micros;
} Span;

/* Move a date by whole months. */
static bool
add_months(struct pg_tm *tm, int64 months)
{
	int64 month = (int64) tm->tm_year * MONTHS_PER_YEAR + tm->tm_mon - 1;
	int64 year;

	if (pg_add_s64_overflow(month, months, &month))
		return false;
	year = month / MONTHS_PER_YEAR;
	month %= MONTHS_PER_YEAR;
	if (month < 0)
	{
		month += MONTHS_PER_YEAR;
		year--;
	}
	if (year < JULIAN_MINYEAR || year > JULIAN_MAXYEAR)
		return false;
	tm->tm_year = (int) year;
	tm->tm_mon = (int) month + 1;
	tm->tm_mday = Min(tm->tm_mday, day_tab[isleap(tm->tm_year)][tm->tm_mon - 1]);
	return true;
}

static bool
add_calendar_days(struct pg_tm *tm, int64 days)
{
	int64 day;

	if (pg_add_s64_overflow(days, date2j(tm->tm_year, tm->tm_mon, tm->tm_mday), &day) || day < 0 ||
		day > PG_INT32_MAX)
		return false;
	j2date((int) day, &tm->tm_year, &tm->tm_mon, &tm->tm_mday);
	return true;
}

/* Add one part to the calendar's date of a timestamp, whose time of day stays; false when it comes out of range. */
static bool
move(Timestamp *timestamp, bool local, bool (*add)(struct pg_tm *, int64), int64 n)
{
	struct pg_tm tm;
	fsec_t fraction;
	int zone;

	if (n == 0)
		return true;
	if (timestamp2tm(*timestamp, local ? &zone : NULL, &tm, &fraction, NULL, NULL) != 0 || !add(&tm, n))
		return false;
	if (local)
		zone = DetermineTimeZoneOffset(&tm, session_timezone);
	return tm2timestamp(&tm, fraction, local ? &zone : NULL, timestamp) == 0;
}

/* user data: whether in the session's time zone */
static void
add_interval(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	Timestamp timestamp = sqlite3_value_int64(argv[0]);
	Span span = {sqlite3_value_int64(argv[1]), sqlite3_value_int64(argv[2]), sqlite3_value_int64(argv[3])};
	bool local = sqlite3_user_data(context) != NULL;

	if (any_null(argc, argv))
		return;
	/* infinite ones, and those that are out of range already, stay what they are */
	if (IS_VALID_TIMESTAMP(timestamp) &&
		!(move(&timestamp, local, add_months, span.months) &&
		  move(&timestamp, local, add_calendar_days, span.days) &&
		  !pg_add_s64_overflow(timestamp, span.micros, &timestamp) && IS_VALID_TIMESTAMP(timestamp)))
		timestamp = (span.months != 0 ? span.months
					 : span.days != 0 ? span.days
									  : span.micros) < 0
						? DT_NOBEGIN + 1
						: DT_NOEND - 1;
	sqlite3_result_int64(context, timestamp);
}

const VssSqlFunction vssfdw_date_functions[] = {
	{"vss_add_days", 2, add_days},
	{"vss_add_interval", 4, add_interval},
	{"vss_add_interval_local", 4, add_interval, VSS_SQL_FLAG},
	{NULL},
};
