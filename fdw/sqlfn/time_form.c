/*
 * time_form.c
 *		How a column spells its times: option text_form.
 *
 * Programs write times as text in their own ways, and read, compare and sort
 * them in these.  A form is an example of letters:
 *
 * YYYY-MM-DD	the date
 * HH:MM		hours and minutes
 * :SS			seconds
 * .SSS			their fraction, as many digits or more where it has more
 * [.SSS]		the same, or nothing where the fraction is zero
 * .*			the digits that the fraction has, or nothing
 *
 * All else stands for itself: a T, Z, +00:00, the 2000-01-01 before Rails' times
 * of day.  Times are written as of UTC.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "fdw/sqlfn/sqlfn.h"

/* What text is written to; end is behind its last byte but the zero. */
typedef struct Out
{
	char *p;
	char *end;
} Out;

static void
put(Out *out, const char *text, size_t length)
{
	length = Min(length, (size_t) (out->end - out->p));
	memcpy(out->p, text, length);
	out->p += length;
	*out->p = '\0';
}

/* The microseconds, at least so many digits. */
static void
put_fraction(Out *out, const char *micros, size_t digits)
{
	size_t needed = 6;

	while (needed > 0 && micros[needed - 1] == '0')
		needed--;
	digits = Max(digits, needed);
	if (digits > 0)
		put(out, ".", 1);
	put(out, micros, Min(digits, 6));
	for (size_t i = 6; i < digits; i++)
		put(out, "0", 1);
}

static bool
begins(const char *form, const char *element)
{
	return strncmp(form, element, strlen(element)) == 0;
}

/*
 * What the element at the form's beginning is of the time (plain text, in ISO
 * 8601, and its microseconds); returns the element's length.
 */
static size_t
put_element(Out *out, const char *form, const char *date, const char *clock, const char *micros)
{
	size_t digits;

	if (begins(form, "YYYY-MM-DD") && date != NULL)
	{
		put(out, date, 10);
		return 10;
	}
	if (begins(form, "HH:MM"))
	{
		put(out, clock, 5);
		return 5;
	}
	if (begins(form, ":SS"))
	{
		put(out, clock + 5, 3);
		return 3;
	}
	if (begins(form, ".*"))
	{
		put_fraction(out, micros, 0);
		return 2;
	}
	if (begins(form, ".S"))
	{
		digits = strspn(form + 1, "S");
		put_fraction(out, micros, digits);
		return 1 + digits;
	}
	if (begins(form, "[.S"))
	{
		digits = strspn(form + 2, "S");
		if (form[2 + digits] == ']')
		{
			if (strcmp(micros, "000000") != 0)
				put_fraction(out, micros, digits);
			return 3 + digits;
		}
	}
	put(out, form, 1);
	return 1;
}

/* "12:34:56" or "12:34:56.5" as the eight first letters and six digits. */
static void
split_clock(const char *text, char *clock, char *micros)
{
	const char *fraction = strchr(text, '.');

	memcpy(clock, text, 8);
	clock[8] = '\0';
	memset(micros, '0', 6);
	micros[6] = '\0';
	if (fraction != NULL)
		memcpy(micros, fraction + 1, Min(strspn(fraction + 1, "0123456789"), 6));
}

bool
vssfdw_time_to_form(ValueKind kind, Datum value, const char *form, char *buffer, size_t size)
{
	char plain[64];
	char clock[9] = "00:00:00";
	char micros[7] = "000000";
	const char *date = kind == VALUE_TIME ? NULL : plain;
	Out out = {.p = buffer, .end = buffer + size - 1};
	Datum again;

	if (kind == VALUE_TIMETZ || !vssfdw_time_to_text(kind, value, plain, sizeof(plain)))
		return false;
	/* infinities, and years that have not four digits, have one spelling */
	if (kind == VALUE_TIME)
		split_clock(plain, clock, micros);
	else if (strspn(plain, "0123456789") != 4 || strstr(plain, "BC") != NULL)
	{
		put(&out, plain, strlen(plain));
		return true;
	}
	else if (kind != VALUE_DATE)
		split_clock(plain + 11, clock, micros);

	buffer[0] = '\0';
	while (*form != '\0')
		form += put_element(&out, form, date, clock, micros);
	/* a form that lacks a part loses what is not zero in it */
	return vssfdw_time_from_text(kind, -1, buffer, &again, NULL) &&
		   (kind == VALUE_DATE ? DatumGetDateADT(again) == DatumGetDateADT(value)
							   : DatumGetInt64(again) == DatumGetInt64(value));
}

bool
vssfdw_is_time_form(ValueKind kind, const char *form)
{
	/* 2001-02-03 04:05:00 and its parts */
	static const int64 instant = (399 * INT64CONST(86400) + 4 * 3600 + 5 * 60) * USECS_PER_SEC;
	char buffer[VSS_TIME_FORM_SIZE];
	Datum value;

	if (strlen(form) >= sizeof(buffer))
		return false;
	switch (kind)
	{
		case VALUE_DATE:
			value = DateADTGetDatum(399);
			break;
		case VALUE_TIME:
			value = TimeADTGetDatum(instant % USECS_PER_DAY);
			break;
		case VALUE_TIMESTAMP:
		case VALUE_TIMESTAMPTZ:
			value = TimestampGetDatum(instant);
			break;
		default:
			return false;
	}
	return vssfdw_time_to_form(kind, value, form, buffer, sizeof(buffer));
}
