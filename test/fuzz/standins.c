/*
 * standins.c
 *		What fdw/sqlfn/ calls of the server, for fuzz targets, which are no
 *		server: its calendar, and a clock of a time zone with a summer.
 *
 * The calendar is the same; the zone is a made-up one, three and a half hours
 * west of UTC, from April to September an hour less.  Comes with whatever else
 * of the server's a target needs to be linked.
 */
#include "postgres.h"

#include <limits.h>

#include "common/int.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "pgtime.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#define WINTER_WEST (3 * SECS_PER_HOUR + 30 * SECS_PER_MINUTE)
#define SUMMER_WEST (2 * SECS_PER_HOUR + 30 * SECS_PER_MINUTE)

pg_tz *session_timezone = NULL;

const int day_tab[2][13] = {{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0},
							{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0}};

/* ---------- days ---------- */

/* Julian day of a date, whose month may be any and whose day may be out of it. */
int
date2j(int year, int month, int day)
{
	/* years from March on, of 4801 BC, which makes the leap day the last */
	int64 years = (int64) year + 4800 - (month < 3);
	int64 months = month < 3 ? month + 9 : month - 3;

	return (int) (day + (153 * months + 2) / 5 + 365 * years + years / 4 - years / 100 + years / 400 - 32045);
}

void
j2date(int jd, int *year, int *month, int *day)
{
	int64 rest = (int64) jd + 32044;
	int64 centuries = (4 * rest + 3) / 146097;
	int64 years;
	int64 months;

	rest -= 146097 * centuries / 4;
	years = (4 * rest + 3) / 1461;
	rest -= 1461 * years / 4;
	months = (5 * rest + 2) / 153;
	*day = (int) (rest - (153 * months + 2) / 5 + 1);
	*month = (int) (months < 10 ? months + 3 : months - 9);
	*year = (int) (100 * centuries + years - 4800 + months / 10);
}

int
j2day(int jd)
{
	return (int) ((((int64) jd + 1) % 7 + 7) % 7);
}

/* The Monday of week 1: of the week with January 4. */
static int
first_monday(int year)
{
	int fourth = date2j(year, 1, 4);

	return fourth - j2day(fourth - 1);
}

int
date2isoyear(int year, int month, int day)
{
	int jd = date2j(year, month, day);

	return jd >= first_monday(year + 1) ? year + 1 : jd < first_monday(year) ? year - 1 : year;
}

int
date2isoweek(int year, int month, int day)
{
	return (date2j(year, month, day) - first_monday(date2isoyear(year, month, day))) / 7 + 1;
}

/* ---------- instants ---------- */

static int
west_of(int month)
{
	return month >= 4 && month <= 9 ? SUMMER_WEST : WINTER_WEST;
}

static int
split(Timestamp timestamp, struct pg_tm *tm, fsec_t *fraction)
{
	int64 days = timestamp / USECS_PER_DAY;
	int64 rest = timestamp % USECS_PER_DAY;

	if (rest < 0)
	{
		rest += USECS_PER_DAY;
		days--;
	}
	days += POSTGRES_EPOCH_JDATE;
	if (days < 0 || days > INT_MAX)
		return -1;
	j2date((int) days, &tm->tm_year, &tm->tm_mon, &tm->tm_mday);
	tm->tm_hour = (int) (rest / USECS_PER_HOUR);
	tm->tm_min = (int) (rest % USECS_PER_HOUR / USECS_PER_MINUTE);
	tm->tm_sec = (int) (rest % USECS_PER_MINUTE / USECS_PER_SEC);
	*fraction = (fsec_t) (rest % USECS_PER_SEC);
	tm->tm_isdst = 0;
	tm->tm_gmtoff = 0;
	tm->tm_zone = NULL;
	return 0;
}

int
timestamp2tm(Timestamp timestamp, int *zone, struct pg_tm *tm, fsec_t *fraction, const char **name,
			 pg_tz *attimezone)
{
	if (split(timestamp, tm, fraction) != 0)
		return -1;
	if (zone == NULL)
		return 0;
	*zone = west_of(tm->tm_mon);
	return pg_sub_s64_overflow(timestamp, *zone * USECS_PER_SEC, &timestamp) ? -1
																			 : split(timestamp, tm, fraction);
}

int
tm2timestamp(struct pg_tm *tm, fsec_t fraction, int *zone, Timestamp *result)
{
	int64 days;

	if (!IS_VALID_JULIAN(tm->tm_year, tm->tm_mon, tm->tm_mday))
		return -1;
	days = date2j(tm->tm_year, tm->tm_mon, tm->tm_mday) - POSTGRES_EPOCH_JDATE;
	if (pg_mul_s64_overflow(days, USECS_PER_DAY, result) ||
		pg_add_s64_overflow(*result,
							((tm->tm_hour * INT64CONST(60) + tm->tm_min) * 60 + tm->tm_sec) * USECS_PER_SEC +
								fraction,
							result))
		return -1;
	if (zone != NULL && pg_add_s64_overflow(*result, *zone * USECS_PER_SEC, result))
		return -1;
	return IS_VALID_TIMESTAMP(*result) ? 0 : -1;
}

int
DetermineTimeZoneOffset(struct pg_tm *tm, pg_tz *tzp)
{
	return west_of(tm->tm_mon);
}

/* ---------- conversions ---------- */

/* Day to instant; like the server: infinite stays, too far is infinite with overflow set. */
static Timestamp
day_start(DateADT day, int west, int *overflow)
{
	Timestamp result;

	*overflow = 0;
	if (DATE_IS_NOBEGIN(day))
		return DT_NOBEGIN;
	if (DATE_IS_NOEND(day))
		return DT_NOEND;
	if (pg_mul_s64_overflow(day, USECS_PER_DAY, &result) ||
		pg_add_s64_overflow(result, west * USECS_PER_SEC, &result) || !IS_VALID_TIMESTAMP(result))
	{
		*overflow = day < 0 ? -1 : 1;
		return day < 0 ? DT_NOBEGIN : DT_NOEND;
	}
	return result;
}

Timestamp
date2timestamp_opt_overflow(DateADT day, int *overflow)
{
	return day_start(day, 0, overflow);
}

TimestampTz
date2timestamptz_opt_overflow(DateADT day, int *overflow)
{
	int year = 0;
	int month = 1;
	int of_month;

	if (!DATE_NOT_FINITE(day) && day >= -POSTGRES_EPOCH_JDATE && day < INT_MAX - POSTGRES_EPOCH_JDATE)
		j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &of_month);
	return day_start(day, west_of(month), overflow);
}

TimestampTz
timestamp2timestamptz_opt_overflow(Timestamp timestamp, int *overflow)
{
	struct pg_tm tm;
	fsec_t fraction;
	Timestamp result;

	*overflow = 0;
	if (TIMESTAMP_NOT_FINITE(timestamp))
		return timestamp;
	if (split(timestamp, &tm, &fraction) != 0 ||
		pg_add_s64_overflow(timestamp, west_of(tm.tm_mon) * USECS_PER_SEC, &result) ||
		!IS_VALID_TIMESTAMP(result))
	{
		*overflow = timestamp < 0 ? -1 : 1;
		return timestamp < 0 ? DT_NOBEGIN : DT_NOEND;
	}
	return result;
}

/* To so many digits of a second, halves away from zero. */
static void
round_to(int64 *value, int32 typmod)
{
	int64 unit = 1;

	if (typmod < -1 || typmod > MAX_TIMESTAMP_PRECISION)
		abort(); /* the server would raise an error, through SQLite */
	if (typmod == -1)
		return;
	for (int32 digit = MAX_TIMESTAMP_PRECISION; digit > typmod; digit--)
		unit *= 10;
	*value = (*value + (*value >= 0 ? unit / 2 : -(unit / 2))) / unit * unit;
}

void
AdjustTimeForTypmod(TimeADT *time, int32 typmod)
{
	round_to(time, typmod);
}

#if PG_VERSION_NUM >= 160000
bool
AdjustTimestampForTypmod(Timestamp *time, int32 typmod, Node *escontext)
#else
void
AdjustTimestampForTypmod(Timestamp *time, int32 typmod)
#endif
{
	if (!TIMESTAMP_NOT_FINITE(*time))
		round_to(time, typmod);
#if PG_VERSION_NUM >= 160000
	return true;
#endif
}

/* ---------- text ---------- */

/* UTF-8: no long forms, no surrogates, nothing beyond U+10FFFF, no zero byte. */
bool
pg_verify_mbstr(int encoding, const char *text, int length, bool no_error)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + length;

	while (p < end)
	{
		int more = *p < 0x80                 ? 0
				   : *p >= 0xc2 && *p < 0xe0 ? 1
				   : *p >= 0xe0 && *p < 0xf0 ? 2
				   : *p >= 0xf0 && *p < 0xf5 ? 3
											 : -1;

		if (*p == 0 || more < 0 || end - p <= more)
			return false;
		if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
			(*p == 0xf4 && p[1] > 0x8f))
			return false;
		for (p++; more > 0; more--, p++)
			if ((*p & 0xc0) != 0x80)
				return false;
	}
	return true;
}
