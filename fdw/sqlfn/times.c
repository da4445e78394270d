/*
 * times.c
 *		Dates and times in SQLite's forms: text (ISO 8601), Julian day numbers
 *		and Unix seconds, or whatever else a column's numbers count.
 *
 * SQLite's clock is UTC: a text without a zone, CURRENT_TIMESTAMP's for one,
 * is UTC, and so it is read into timestamptz whatever the session's TimeZone
 * says.  Texts are read by a grammar of our own: PostgreSQL's input would take
 * "now" and depend on DateStyle.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "common/int.h"
#include "pgtime.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "fdw/sqlfn/sqlfn.h"

/* Milliseconds of Julian day 2451544.5, 2000-01-01 00:00, PostgreSQL's epoch. */
#define EPOCH_JULIAN_MS INT64CONST(211813444800000)
#define EPOCH_UNIX_SECONDS (INT64CONST(10957) * SECS_PER_DAY)

/* Where SQLite's own day numbers end, 9999-12-31; beyond, a REAL is Unix time. */
#define JULIAN_END 5373484.5

/* What a text says; absent parts are zero. */
typedef struct ParsedTime
{
	bool has_date;
	bool has_time;
	bool has_zone;
	int year; /* astronomical: 0 is 1 BC */
	int month;
	int day;
	int64 time;   /* microseconds since midnight, 24:00:00 allowed */
	int zone;     /* seconds east of UTC */
	int infinite; /* -1, 1, else 0 */
} ParsedTime;

/* ---------- text ---------- */

/* Not isspace(), which asks the locale. */
static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* low..high digits at *p as a number, or -1. */
static int
digits(const char **p, int low, int high)
{
	int value = 0;
	int count = 0;

	while (count < high && isdigit((unsigned char) **p))
	{
		value = value * 10 + (**p - '0');
		(*p)++;
		count++;
	}
	return count < low ? -1 : value;
}

static bool
parse_date(const char **p, ParsedTime *out)
{
	out->year = digits(p, 4, 7);
	if (out->year < 0 || *(*p)++ != '-')
		return false;
	out->month = digits(p, 2, 2);
	if (out->month < 1 || out->month > 12 || *(*p)++ != '-')
		return false;
	out->day = digits(p, 2, 2);
	out->has_date = true;
	return out->day >= 1;
}

/* Whether the month has the day; of years BC only their astronomical number tells. */
static bool
day_exists(const ParsedTime *time)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return time->day <= days[time->month - 1] + (time->month == 2 && isleap(time->year));
}

/* HH:MM[:SS[.fraction]], then Z or +-HH[:MM]. */
static bool
parse_clock(const char **p, ParsedTime *out)
{
	int hour = digits(p, 2, 2);
	int minute;
	int second = 0;
	int64 micros = 0;

	if (hour < 0 || hour > 24 || *(*p)++ != ':')
		return false;
	minute = digits(p, 2, 2);
	if (minute < 0 || minute > 59)
		return false;
	if (**p == ':')
	{
		(*p)++;
		second = digits(p, 2, 2);
		if (second < 0 || second > 59)
			return false;
		if (**p == '.')
		{
			int64 unit = 100000;
			bool any = false;

			for ((*p)++; isdigit((unsigned char) **p); (*p)++, unit /= 10)
			{
				if (unit > 0)
					micros += (**p - '0') * unit;
				else if (!any && **p >= '5')
					micros++; /* the seventh digit rounds */
				any = any || unit == 0;
			}
		}
	}
	out->time = ((hour * INT64CONST(60) + minute) * 60 + second) * USECS_PER_SEC + micros;
	out->has_time = true;
	if (out->time > USECS_PER_DAY)
		return false;

	while (**p == ' ')
		(*p)++;
	if (**p == 'Z' || **p == 'z')
	{
		(*p)++;
		out->has_zone = true;
	}
	else if (**p == '+' || **p == '-')
	{
		int sign = *(*p)++ == '-' ? -1 : 1;
		int zone_hour = digits(p, 2, 2);
		int zone_minute = 0;

		if (**p == ':')
			(*p)++;
		if (isdigit((unsigned char) **p))
			zone_minute = digits(p, 2, 2);
		if (zone_hour < 0 || zone_hour > 15 || zone_minute < 0 || zone_minute > 59)
			return false;
		out->zone = sign * (zone_hour * SECS_PER_HOUR + zone_minute * SECS_PER_MINUTE);
		out->has_zone = true;
		/* Go adds the zone's name: "+0000 UTC" */
		if (**p == ' ' && isupper((unsigned char) (*p)[1]) && strcmp(*p, " BC") != 0)
		{
			for ((*p)++; isupper((unsigned char) **p);)
				(*p)++;
		}
	}
	return true;
}

static bool
parse_time(const char *p, ParsedTime *out)
{
	memset(out, 0, sizeof(ParsedTime));
	while (is_blank(*p))
		p++;
	if (pg_strcasecmp(p, "infinity") == 0 || pg_strcasecmp(p, "-infinity") == 0)
	{
		out->infinite = *p == '-' ? -1 : 1;
		return true;
	}
	if (strcspn(p, ":") > 2 || strchr(p, ':') == NULL)
	{
		if (!parse_date(&p, out))
			return false;
		if (*p == 'T' || *p == 't' || (*p == ' ' && isdigit((unsigned char) p[1])))
		{
			p++;
			if (!parse_clock(&p, out))
				return false;
		}
	}
	else if (!parse_clock(&p, out))
		return false;

	while (is_blank(*p))
		p++;
	if (out->has_date && pg_strcasecmp(p, "BC") == 0)
	{
		if (out->year < 1)
			return false;
		out->year = 1 - out->year;
		p += 2;
	}
	return *p == '\0' && (!out->has_date || day_exists(out));
}

/* ---------- from a point in time to the type ---------- */

/* Of kind VALUE_TIME or VALUE_TIMETZ. */
static Datum
time_datum(ValueKind kind, TimeADT time, int32 zone, TimeTzADT *zoned)
{
	if (kind != VALUE_TIMETZ)
		return TimeADTGetDatum(time);
	zoned->time = time;
	zoned->zone = zone;
	return TimeTzADTPGetDatum(zoned);
}

/* micros since 2000-01-01 00:00 UTC, finite. */
static bool
from_micros(ValueKind kind, int32 typmod, int64 micros, Datum *result, TimeTzADT *zoned)
{
	int64 of_day = micros % USECS_PER_DAY;
	int64 day;

	if (of_day < 0)
		of_day += USECS_PER_DAY;
	day = (micros - of_day) / USECS_PER_DAY;

	switch (kind)
	{
		case VALUE_DATE:
			/* a time of day would be lost */
			if (of_day != 0 || !IS_VALID_DATE(day))
				return false;
			*result = DateADTGetDatum((DateADT) day);
			return true;
		case VALUE_TIMESTAMP:
		case VALUE_TIMESTAMPTZ:
		{
			Timestamp timestamp = micros;

			if (!IS_VALID_TIMESTAMP(timestamp))
				return false;
			if (typmod >= 0 && typmod < MAX_TIMESTAMP_PRECISION)
				VSS_ROUND_TIMESTAMP(&timestamp, typmod);
			*result = TimestampGetDatum(timestamp);
			return true;
		}
		case VALUE_TIME:
		case VALUE_TIMETZ:
		default:
		{
			TimeADT time = of_day;

			if (typmod >= 0)
				AdjustTimeForTypmod(&time, typmod);
			*result = time_datum(kind, time, 0, zoned);
			return true;
		}
	}
}

static bool
infinite_datum(ValueKind kind, int sign, Datum *result)
{
	if (kind == VALUE_DATE)
		*result = DateADTGetDatum(sign < 0 ? DATEVAL_NOBEGIN : DATEVAL_NOEND);
	else if (kind == VALUE_TIMESTAMP || kind == VALUE_TIMESTAMPTZ)
		*result = TimestampGetDatum(sign < 0 ? DT_NOBEGIN : DT_NOEND);
	else
		return false;
	return true;
}

bool
vssfdw_time_from_text(ValueKind kind, int32 typmod, const char *text, Datum *result, TimeTzADT *zoned)
{
	ParsedTime parsed;
	int64 micros;

	if (!parse_time(text, &parsed))
		return false;
	if (parsed.infinite != 0)
		return infinite_datum(kind, parsed.infinite, result);

	if (kind == VALUE_TIME || kind == VALUE_TIMETZ)
	{
		TimeADT time = parsed.time;

		/* Rails writes times of day as those of 2000-01-01 */
		if (!parsed.has_time || (kind == VALUE_TIME && parsed.zone != 0) ||
			(parsed.has_date && !(parsed.year == 2000 && parsed.month == 1 && parsed.day == 1)))
			return false;
		if (typmod >= 0)
			AdjustTimeForTypmod(&time, typmod);
		/* PostgreSQL counts zones westwards */
		*result = time_datum(kind, time, -parsed.zone, zoned);
		return true;
	}

	if (!parsed.has_date || !IS_VALID_JULIAN(parsed.year, parsed.month, parsed.day))
		return false;
	micros = date2j(parsed.year, parsed.month, parsed.day) - POSTGRES_EPOCH_JDATE;
	if (kind == VALUE_DATE)
		return parsed.time == 0 && parsed.zone == 0 && IS_VALID_DATE(micros) &&
			   ((*result = DateADTGetDatum((DateADT) micros)), true);
	if (pg_mul_s64_overflow(micros, USECS_PER_DAY, &micros) ||
		pg_add_s64_overflow(micros, parsed.time - parsed.zone * USECS_PER_SEC, &micros))
		return false;
	return from_micros(kind, typmod, micros, result, zoned);
}

/* ---------- numbers ---------- */

/* Numbers are of the years 1 to 9999. */
#define FIRST_MICROS (INT64CONST(-63082281600) * USECS_PER_SEC)
#define END_MICROS (INT64CONST(252455616000) * USECS_PER_SEC)

/* By VssTimeUnit: microseconds of one, or how many are one; and its zero, in seconds since 2000. */
static const struct
{
	const char *name;
	int64 micros;
	int64 in_micro;
	int64 origin;
} units[] = {
	[VSS_TIME_ANY] = {"unix", USECS_PER_SEC, 1, -EPOCH_UNIX_SECONDS},
	[VSS_TIME_S] = {"s", USECS_PER_SEC, 1, -EPOCH_UNIX_SECONDS},
	[VSS_TIME_MS] = {"ms", 1000, 1, -EPOCH_UNIX_SECONDS},
	[VSS_TIME_US] = {"us", 1, 1, -EPOCH_UNIX_SECONDS},
	[VSS_TIME_NS] = {"ns", 1, 1000, -EPOCH_UNIX_SECONDS},
	[VSS_TIME_JULIAN] = {"julian", USECS_PER_DAY, 1, -EPOCH_JULIAN_MS / 1000},
	[VSS_TIME_COREDATA] = {"coredata", USECS_PER_SEC, 1, INT64CONST(366) * SECS_PER_DAY},
	[VSS_TIME_WEBKIT] = {"webkit", 1, 1, INT64CONST(-12591158400)},
	[VSS_TIME_TICKS] = {"ticks", 1, 10, INT64CONST(-63082281600)},
};
StaticAssertDecl(lengthof(units) == VSS_TIME_TICKS + 1, "units of times");

bool
vssfdw_time_unit(const char *name, VssTimeUnit *unit)
{
	for (int i = VSS_TIME_S; i < lengthof(units); i++)
		if (pg_strcasecmp(units[i].name, name) == 0)
		{
			*unit = (VssTimeUnit) i;
			return true;
		}
	return false;
}

const char *
vssfdw_time_unit_name(VssTimeUnit unit)
{
	return units[unit].name;
}

double
vssfdw_time_in_unit(int64 micros, VssTimeUnit unit)
{
	return ((double) micros - (double) units[unit].origin * USECS_PER_SEC) / units[unit].micros *
		   units[unit].in_micro;
}

/* A number's microseconds, if they are of a year that numbers are of. */
static bool
from_number(ValueKind kind, int32 typmod, VssTimeUnit unit, int64 micros, Datum *result, TimeTzADT *zoned)
{
	int64 first = unit == VSS_TIME_JULIAN ? units[VSS_TIME_JULIAN].origin * USECS_PER_SEC : FIRST_MICROS;

	return micros >= first && micros < END_MICROS && from_micros(kind, typmod, micros, result, zoned);
}

/* Quotient, rounded, halves upwards; divisor above 0. */
static int64
rounded_quotient(int64 number, int64 divisor)
{
	int64 quotient = number / divisor;
	int64 rest = number % divisor;

	if (rest < 0)
	{
		rest += divisor;
		quotient--;
	}
	return quotient + (rest * 2 >= divisor);
}

bool
vssfdw_time_from_integer(ValueKind kind, int32 typmod, VssTimeUnit unit, int64 number, Datum *result,
						 TimeTzADT *zoned)
{
	int64 micros;

	if (units[unit].in_micro > 1)
		micros = rounded_quotient(number, units[unit].in_micro);
	else if (pg_mul_s64_overflow(number, units[unit].micros, &micros))
		return false;
	return !pg_add_s64_overflow(micros, units[unit].origin * USECS_PER_SEC, &micros) &&
		   from_number(kind, typmod, unit, micros, result, zoned);
}

bool
vssfdw_time_from_real(ValueKind kind, int32 typmod, VssTimeUnit unit, double number, Datum *result,
					  TimeTzADT *zoned)
{
	double micros;

	/* Doubles of this size resolve 40 microseconds; SQLite rounds to milliseconds, too. */
	if (unit == VSS_TIME_JULIAN || (unit == VSS_TIME_ANY && number >= 0 && number < JULIAN_END))
		return number >= 0 && number < JULIAN_END &&
			   from_micros(kind, typmod, ((int64) (number * 86400000.0 + 0.5) - EPOCH_JULIAN_MS) * 1000,
						   result, zoned);

	/* No day number: seconds with a fraction, as programs' clocks give them. */
	if (unit == VSS_TIME_ANY)
		micros = rint(number * 1000.0) * 1000;
	else
		micros = rint(number / units[unit].in_micro * units[unit].micros);
	if (!(fabs(micros) < 1e18))
		return false;
	return from_number(kind, typmod, unit, (int64) micros + units[unit].origin * USECS_PER_SEC, result,
					   zoned);
}

/* ---------- the way back ---------- */

static char *
append_clock(char *p, char *end, int64 time)
{
	int fraction = time % USECS_PER_SEC;
	int seconds = time / USECS_PER_SEC;

	p += snprintf(p, end - p, "%02d:%02d:%02d", seconds / SECS_PER_HOUR, seconds / SECS_PER_MINUTE % 60,
				  seconds % 60);
	if (fraction != 0)
	{
		p += snprintf(p, end - p, ".%06d", fraction);
		while (p[-1] == '0')
			*--p = '\0';
	}
	return p;
}

bool
vssfdw_time_to_text(ValueKind kind, Datum value, char *buffer, size_t size)
{
	char *end = buffer + size;
	char *p = buffer;
	int64 day;
	int64 time = 0;
	int year;
	int month;
	int mday;

	switch (kind)
	{
		case VALUE_TIME:
			append_clock(p, end, DatumGetTimeADT(value));
			return true;
		case VALUE_TIMETZ:
		{
			TimeTzADT *timetz = DatumGetTimeTzADTP(value);
			int zone = abs(timetz->zone);

			/* seconds in a zone have no ISO form */
			if (zone % SECS_PER_MINUTE != 0)
				return false;
			p = append_clock(p, end, timetz->time);
			snprintf(p, end - p, "%c%02d:%02d", timetz->zone > 0 ? '-' : '+', zone / SECS_PER_HOUR,
					 zone / SECS_PER_MINUTE % 60);
			return true;
		}
		case VALUE_DATE:
			day = DatumGetDateADT(value);
			if (DATE_NOT_FINITE(day))
			{
				snprintf(p, size, DATE_IS_NOBEGIN(day) ? "-infinity" : "infinity");
				return true;
			}
			break;
		default:
		{
			Timestamp timestamp = DatumGetTimestamp(value);

			if (TIMESTAMP_NOT_FINITE(timestamp))
			{
				snprintf(p, size, TIMESTAMP_IS_NOBEGIN(timestamp) ? "-infinity" : "infinity");
				return true;
			}
			time = timestamp % USECS_PER_DAY;
			if (time < 0)
				time += USECS_PER_DAY;
			day = (timestamp - time) / USECS_PER_DAY;
			break;
		}
	}

	j2date((int) (day + POSTGRES_EPOCH_JDATE), &year, &month, &mday);
	p += snprintf(p, end - p, "%04d-%02d-%02d", year > 0 ? year : 1 - year, month, mday);
	if (kind != VALUE_DATE)
	{
		*p++ = ' ';
		p = append_clock(p, end, time);
	}
	if (year <= 0)
		snprintf(p, end - p, " BC");
	return true;
}

/* The instant in microseconds of PostgreSQL's epoch; false for infinities and times of day. */
static bool
to_micros(ValueKind kind, Datum value, int64 *micros)
{
	if (kind == VALUE_DATE)
	{
		DateADT day = DatumGetDateADT(value);

		return !DATE_NOT_FINITE(day) && !pg_mul_s64_overflow(day, USECS_PER_DAY, micros);
	}
	if (kind == VALUE_TIME)
	{
		*micros = DatumGetTimeADT(value) + EPOCH_UNIX_SECONDS * -USECS_PER_SEC;
		return true;
	}
	if (kind != VALUE_TIMESTAMP && kind != VALUE_TIMESTAMPTZ)
		return false;
	*micros = DatumGetTimestamp(value);
	return !TIMESTAMP_NOT_FINITE(*micros);
}

bool
vssfdw_time_to_integer(ValueKind kind, Datum value, VssTimeUnit unit, int64 *number)
{
	int64 micros;

	if (!to_micros(kind, value, &micros) ||
		pg_sub_s64_overflow(micros, units[unit].origin * USECS_PER_SEC, &micros) ||
		micros % units[unit].micros != 0)
		return false;
	return !pg_mul_s64_overflow(micros / units[unit].micros, units[unit].in_micro, number);
}

bool
vssfdw_time_to_real(ValueKind kind, Datum value, VssTimeUnit unit, double *number)
{
	int64 micros;

	if (unit == VSS_TIME_ANY)
		unit = VSS_TIME_JULIAN;
	if ((unit == VSS_TIME_JULIAN && kind == VALUE_TIME) || !to_micros(kind, value, &micros))
		return false;
	if (unit != VSS_TIME_JULIAN)
	{
		*number = vssfdw_time_in_unit(micros, unit);
		return true;
	}
	*number = ((double) (micros / 1000) + (double) EPOCH_JULIAN_MS) / 86400000.0;
	return *number >= 0 && *number < JULIAN_END;
}
