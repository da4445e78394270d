/*
 * forms.c
 *		How the texts of a sample spell times and booleans, for the option
 *		text_form.
 */
#include "postgres.h"

#include <ctype.h>

#include "utils/builtins.h"

#include "fdw/admin/admin.h"

/* ---------- times ---------- */

/* Digits in a row from text on. */
static size_t
count_digits(const char *text)
{
	return strspn(text, "0123456789");
}

/* The text with letters for what varies; false when it is no time of this kind in UTC. */
static bool
read_form(ValueKind kind, const char *text, char *form, int *digits, bool *zeros)
{
	char again[VSS_TIME_FORM_SIZE];
	const char *p = text;
	char *out = form;
	Datum value;

	*digits = 0;
	*zeros = false;
	if (kind == VALUE_TIMETZ || strlen(text) >= VSS_TIME_FORM_SIZE ||
		!vssfdw_time_from_text(kind, -1, text, &value, NULL))
		return false;
	if (count_digits(p) == 4)
	{
		out += sprintf(out, "%s", kind == VALUE_TIME ? "2000-01-01" : "YYYY-MM-DD");
		p += 10;
		if (*p == 'T' || *p == ' ')
			*out++ = *p++;
	}
	if (count_digits(p) == 2 && p[2] == ':')
	{
		out += sprintf(out, "HH:MM");
		p += 5;
		if (*p == ':')
		{
			out += sprintf(out, ":SS");
			p += 3;
		}
		if (*p == '.')
		{
			*digits = (int) count_digits(p + 1);
			*zeros = strspn(p + 1, "0") == (size_t) *digits;
			*out++ = '.';
			memset(out, 'S', *digits);
			out += *digits;
			p += 1 + *digits;
		}
	}
	strcpy(out, p);
	/* a zone of its own, digits beyond microseconds, blanks: not written so again */
	return vssfdw_time_to_form(kind, value, form, again, sizeof(again)) && strcmp(again, text) == 0;
}

/* The form without its fraction, which begins at *at. */
static void
cut_fraction(char *form, size_t *at)
{
	char *dot = strchr(form, '.');
	const char *seconds = strstr(form, ":SS");

	if (dot != NULL)
	{
		*at = dot - form;
		memmove(dot, dot + 1 + strspn(dot + 1, "S"), strlen(dot + 1 + strspn(dot + 1, "S")) + 1);
	}
	else
		*at = seconds != NULL ? (size_t) (seconds + 3 - form) : 0;
}

void
vssfdw_note_time_form(VssTimeForms *forms, ValueKind kind, const char *text)
{
	char form[VSS_TIME_FORM_SIZE * 2];
	int digits;
	bool zeros;
	size_t at;

	/* infinities are spelled in one way */
	if (forms->mixed || !isdigit((unsigned char) text[0]))
		return;
	if (!read_form(kind, text, form, &digits, &zeros))
	{
		forms->mixed = true;
		return;
	}
	cut_fraction(form, &at);
	if (forms->count++ == 0)
	{
		strlcpy(forms->form, form, sizeof(forms->form));
		forms->fraction_at = at;
	}
	else if (strcmp(forms->form, form) != 0)
		forms->mixed = true;
	if (digits == 0)
		forms->without = true;
	else if (digits < 3)
		forms->varied = true; /* zeros at the end are left out */
	else if (forms->digits == 0)
		forms->digits = digits;
	else if (forms->digits != digits)
		forms->varied = true;
	forms->zeros = forms->zeros || zeros;
}

const char *
vssfdw_time_form(const VssTimeForms *forms, ValueKind kind)
{
	StringInfoData form;
	const char *usual = kind == VALUE_DATE   ? "YYYY-MM-DD"
						: kind == VALUE_TIME ? "HH:MM:SS"
											 : "YYYY-MM-DD HH:MM:SS";

	if (forms->mixed || forms->count == 0)
		return NULL;
	/* what is written without being told */
	if (strcmp(forms->form, usual) == 0 && (forms->digits == 0 || forms->varied))
		return NULL;

	initStringInfo(&form);
	appendBinaryStringInfo(&form, forms->form, (int) forms->fraction_at);
	if (forms->varied || (forms->digits == 0 && forms->fraction_at > 0 && kind != VALUE_DATE))
		appendStringInfoString(&form, ".*");
	else if (forms->digits > 0)
	{
		bool optional = forms->without && !forms->zeros;

		appendStringInfo(&form, optional ? "[.%.*s]" : ".%.*s", forms->digits, "SSSSSSSSSSSSSSSS");
	}
	appendStringInfoString(&form, forms->form + forms->fraction_at);
	/* of timestamps that are days */
	return vssfdw_is_time_form(kind, form.data) ? form.data : NULL;
}

/* ---------- booleans ---------- */

/* The first is how PostgreSQL writes them, and so needs no option; "1/0" is of numbers. */
static const char *const pairs[] = {"t/f",    "true/false", "T/F",    "TRUE/FALSE", "True/False",
									"Y/N",    "y/n",        "yes/no", "YES/NO",     "Yes/No",
									"on/off", "ON/OFF",     "1/0"};

StaticAssertDecl(lengthof(pairs) == VSS_BOOLEAN_FORMS, "one count for each spelling");

void
vssfdw_note_boolean_form(int *counts, const char *text)
{
	size_t length = strlen(text);

	for (int i = 0; i < lengthof(pairs); i++)
	{
		const char *no = strchr(pairs[i], '/') + 1;

		if (strcmp(no, text) == 0 ||
			(length == (size_t) (no - 1 - pairs[i]) && strncmp(pairs[i], text, length) == 0))
		{
			counts[i]++;
			return;
		}
	}
}

const char *
vssfdw_boolean_form(const int *counts, int integers)
{
	int best = 0;

	for (int i = 1; i < lengthof(pairs); i++)
	{
		int count = counts[i] + (i == lengthof(pairs) - 1 ? integers : 0);

		if (count > counts[best] + (best == lengthof(pairs) - 1 ? integers : 0))
			best = i;
	}
	return best == 0 ? NULL : pairs[best];
}
