/*
 * sample.c
 *		What the columns of a SQLite table hold, by a sample of both its ends, and
 *		which type of PostgreSQL's reads all of it.
 *
 * A declared type binds SQLite to nothing: a DATE may be text, seconds or
 * milliseconds, a BOOLEAN 't'.  The import takes the declared type where all of
 * the sample can be read as it, else the type that reads what is there.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"

#include "fdw/admin/admin.h"

/*
 * Rows looked at from either end, and for how long: a view may take for ever to
 * give its first.
 */
#define SAMPLE_ROWS 1000
#define SAMPLE_MS 500

/*
 * Where a unit's numbers of 2000 to 2099 lie (Core Data's: of 2004 to 2030).  No
 * two overlap, so that numbers which all lie in one tell their unit.
 */
static const struct
{
	double low;
	double high;
} windows[] = {
	[VSS_TIME_S] = {946684800, 4102444800},
	[VSS_TIME_MS] = {946684800e3, 4102444800e3},
	[VSS_TIME_US] = {946684800e6, 4102444800e6},
	[VSS_TIME_NS] = {946684800e9, 4102444800e9},
	[VSS_TIME_JULIAN] = {2451544.5, 2488069.5},
	[VSS_TIME_COREDATA] = {1e8, 946684799},
	[VSS_TIME_WEBKIT] = {12591158400e6, 15746918400e6},
	[VSS_TIME_TICKS] = {63082281600e7, 66238041600e7},
};
StaticAssertDecl(lengthof(windows) == VSS_TIME_TICKS + 1, "windows of the units of times");

static ValueKind
time_kind(const char *type)
{
	if (strcmp(type, "date") == 0)
		return VALUE_DATE;
	if (strcmp(type, "time without time zone") == 0)
		return VALUE_TIME;
	if (strcmp(type, "time with time zone") == 0)
		return VALUE_TIMETZ;
	if (strcmp(type, "timestamp without time zone") == 0)
		return VALUE_TIMESTAMP;
	if (strcmp(type, "timestamp with time zone") == 0)
		return VALUE_TIMESTAMPTZ;
	return VALUE_OTHER;
}

/* ---------- one value ---------- */

static void
count_number(VssSample *sample, ValueKind kind, bool whole, int64 integer, double number)
{
	Datum unused;
	TimeTzADT zoned;

	if (whole ? integer != 0 && integer != 1 : true)
		sample->no_bool++;
	sample->addresses +=
		whole && (strcmp(sample->type, "macaddr8") == 0 || (integer >= 0 && integer < INT64CONST(1) << 48));
	if (!whole && (number != rint(number) || !FLOAT8_FITS_IN_INT64(number)))
		sample->fractions++;
	if (kind == VALUE_OTHER || number == 0)
		return;
	sample->instants++;
	for (VssTimeUnit unit = VSS_TIME_ANY; unit <= VSS_TIME_TICKS; unit++)
	{
		bool fits = whole ? vssfdw_time_from_integer(kind, -1, unit, integer, &unused, &zoned)
						  : vssfdw_time_from_real(kind, -1, unit, number, &unused, &zoned);

		if (unit != VSS_TIME_ANY)
			fits = fits && number >= windows[unit].low && number < windows[unit].high;
		sample->in_unit[unit] += fits;
	}
}

/* 32 digits in hexadecimal, hyphens and braces aside. */
static bool
looks_like_uuid(const char *text)
{
	int digits = 0;

	for (; *text != '\0'; text++)
	{
		if (isxdigit((unsigned char) *text))
			digits++;
		else if (strchr("-{}", *text) == NULL)
			return false;
	}
	return digits == 32;
}

/* Of types that are read from text alone: whether it looks like one of theirs. */
static bool
looks_right(const char *type, const char *text)
{
	Datum unused;

	if (strncmp(type, "json", 4) == 0)
		return text[0] != '\0'; /* SQLite has looked */
	if (strcmp(type, "inet") == 0 || strcmp(type, "cidr") == 0)
		return strpbrk(text, ".:") != NULL && strspn(text, "0123456789abcdefABCDEF.:/") == strlen(text);
	if (strncmp(type, "macaddr", 7) == 0)
	{
		int digits = 0;

		for (const char *p = text; *p != '\0'; p++)
			digits += isxdigit((unsigned char) *p) != 0;
		return strspn(text, "0123456789abcdefABCDEF.:-") == strlen(text) &&
			   (digits == 12 || (digits == 16 && type[7] == '8'));
	}
	/* interval */
	return text[0] != '\0' && strchr("P@+-0123456789", text[0]) != NULL &&
		   (strchr(text, ':') != NULL || strpbrk(text, "DHMSWYdhmswy") != NULL) &&
		   !vssfdw_time_from_text(VALUE_TIMESTAMP, -1, text, &unused, NULL);
}

/* Bytes that a BLOB has which the type reads; of JSON, such as SQLite has found to be so (sample_ends). */
static int
right_length(const char *type)
{
	return strcmp(type, "uuid") == 0       ? 16
		   : strcmp(type, "macaddr") == 0  ? 6
		   : strcmp(type, "macaddr8") == 0 ? 8
		   : strncmp(type, "json", 4) == 0 ? 1
										   : -1;
}

static void
count_text(VssSample *sample, ValueKind kind, const char *text)
{
	bool boolean;
	bool plain;
	Datum unused;
	TimeTzADT zoned;
	unsigned char *scratch = palloc(strlen(text) + 1);

	sample->right += looks_right(sample->type, text);

	sample->bools += parse_bool(text, &boolean);
	vssfdw_note_boolean_form(sample->boolean_forms, text);
	plain = vssfdw_is_plain_number(text, scratch);
	pfree(scratch);
	if (plain)
	{
		const char *word = text + strspn(text, " +-");

		sample->numbers++;
		sample->specials += isalpha((unsigned char) *word) != 0;
	}
	sample->times += kind != VALUE_OTHER && vssfdw_time_from_text(kind, -1, text, &unused, &zoned);
	if (kind != VALUE_OTHER)
		vssfdw_note_time_form(&sample->time_forms, kind, text);
	sample->uuids += looks_like_uuid(text);
}

static void
count_value(VssSample *sample, ValueKind kind, sqlite3_stmt *stmt, int i)
{
	const char *text;

	switch (sqlite3_column_type(stmt, i))
	{
		case SQLITE_INTEGER:
			sample->integers++;
			count_number(sample, kind, true, sqlite3_column_int64(stmt, i), sqlite3_column_double(stmt, i));
			break;
		case SQLITE_FLOAT:
			sample->reals++;
			count_number(sample, kind, false, 0, sqlite3_column_double(stmt, i));
			break;
		case SQLITE_TEXT:
			sample->texts++;
			text = (const char *) sqlite3_column_text(stmt, i);
			if (text != NULL)
				count_text(sample, kind, text);
			break;
		case SQLITE_BLOB:
			sample->blobs++;
			sample->right_blobs += sqlite3_column_bytes(stmt, i) == right_length(sample->type);
			break;
	}
}

/* ---------- the table ---------- */

/* False when SQLite cannot give the rows; its message is the connection's. */
static bool
sample_rows(VssConnection *conn, const char *sql, List *samples)
{
	const char *utf8 = vssfdw_to_utf8(sql);
	sqlite3_stmt *stmt = NULL;
	int rc = vssfdw_compile(conn->db, utf8, strlen(utf8), 0, &stmt, NULL);

	conn->give_up_at = vssfdw_clock() + SAMPLE_MS;
	while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		ListCell *lc;

		foreach (lc, samples)
		{
			VssSample *sample = lfirst(lc);

			count_value(sample, time_kind(sample->type), stmt, foreach_current_index(lc));
		}
		rc = SQLITE_OK;
	}
	conn->give_up_at = 0;
	sqlite3_finalize(stmt);
	CHECK_FOR_INTERRUPTS();
	vssfdw_forget_missed_collation();
	if (rc == SQLITE_NOMEM)
		vssfdw_report(ERROR, rc, conn->db, conn->servername, sql);
	return rc == SQLITE_DONE || rc == SQLITE_INTERRUPT;
}

/* Both ends of the table. */
static bool
sample_ends(VssConnection *conn, const VssTableInfo *info, List *samples)
{
	StringInfoData sql;
	ListCell *lc;

	initStringInfo(&sql);
	foreach (lc, samples)
	{
		const char *name = vssfdw_quote_identifier(((VssSample *) lfirst(lc))->name);
		bool json = strncmp(((VssSample *) lfirst(lc))->type, "json", 4) == 0;

		const char *length = !json ? psprintf("min(length(%s), 17)", name)
							 : sqlite3_libversion_number() < VSS_VERSION_WITH_JSONB
								 ? "0"
								 : psprintf("json_valid(%s, 8)", name);

		/* no more of long values than is looked at */
		appendStringInfo(&sql,
						 "%s CASE typeof(%s) WHEN 'blob' THEN zeroblob(%s) WHEN 'text' THEN "
						 "substr(%s, 1, %s) ELSE %s END",
						 lc == list_head(samples) ? "SELECT" : ",", name, length, name,
						 json ? psprintf("json_valid(%s)", name) : "80", name);
	}
	appendStringInfo(&sql, " FROM %s", vssfdw_quote_identifier(info->name));
	if (!sample_rows(conn, psprintf("%s LIMIT %d", sql.data, SAMPLE_ROWS), samples))
		return false;
	return !info->has_rowid || info->is_virtual || info->rowid_name == NULL ||
		   sample_rows(conn,
					   psprintf("%s ORDER BY %s DESC LIMIT %d", sql.data, info->rowid_name, SAMPLE_ROWS),
					   samples);
}

/* ---------- the type ---------- */

/* The unit of a time's numbers; false when they are of none, or of several. */
static bool
choose_unit(const VssSample *sample, VssTimeUnit *unit)
{
	int seen = 0;

	*unit = VSS_TIME_ANY;
	for (VssTimeUnit u = VSS_TIME_S; u <= VSS_TIME_TICKS; u++)
	{
		if (sample->in_unit[u] == 0)
			continue;
		seen++;
		if (sample->in_unit[u] == sample->instants)
			*unit = u;
	}
	/* what is so without being said: Unix seconds as INTEGER, Julian days as REAL */
	if ((*unit == VSS_TIME_S && sample->reals == 0) || (*unit == VSS_TIME_JULIAN && sample->integers == 0))
		*unit = VSS_TIME_ANY;
	if (*unit != VSS_TIME_ANY)
		return true;
	return sample->in_unit[VSS_TIME_ANY] == sample->instants &&
		   (seen < 2 || (seen == 2 && sample->reals > 0));
}

static bool
fits(const VssSample *sample, VssTimeUnit *unit)
{
	const char *type = sample->type;
	int numbers = sample->integers + sample->reals;
	int count = numbers + sample->texts + sample->blobs;

	*unit = VSS_TIME_ANY;
	if (count == 0)
		return true;
	if (strcmp(type, "bytea") == 0)
		return sample->blobs == count;
	if (sample->blobs > sample->right_blobs)
		return false;
	if (strcmp(type, "uuid") == 0)
		return numbers == 0 && sample->texts == sample->uuids;
	if (strncmp(type, "macaddr", 7) == 0)
		return sample->texts == sample->right && numbers == sample->addresses;
	if (strcmp(type, "boolean") == 0)
		return sample->no_bool == 0 && sample->texts == sample->bools;
	if (strcmp(type, "bigint") == 0)
		return sample->texts == 0 && sample->fractions == 0;
	if (strcmp(type, "double precision") == 0)
		return sample->texts == sample->specials;
	if (strcmp(type, "numeric") == 0)
		return sample->texts == sample->numbers;
	if (time_kind(type) != VALUE_OTHER)
		return sample->texts == sample->times && choose_unit(sample, unit);
	if (strcmp(type, "text") == 0)
		return true;
	/* JSON may be a number, inet, interval and their like may not */
	return sample->texts == sample->right && (numbers == 0 || strncmp(type, "json", 4) == 0);
}

bool
vssfdw_sample(VssConnection *conn, const VssTableInfo *info, List *samples)
{
	List *dates = NIL;
	ListCell *lc;

	if (!sample_ends(conn, info, samples))
		return false;
	/* dates with a time of day are timestamps, if they are times at all */
	foreach (lc, samples)
	{
		VssSample *sample = lfirst(lc);
		VssTimeUnit unused;

		if (strcmp(sample->type, "date") == 0 && !fits(sample, &unused))
		{
			*sample = (VssSample){.name = sample->name, .type = "timestamp without time zone"};
			dates = lappend(dates, sample);
		}
	}
	return dates == NIL || sample_ends(conn, info, dates);
}

/* The type that reads all of it. */
static const char *
widest(const VssSample *sample, VssSampledOptions *options)
{
	if (sample->blobs > 0)
	{
		int others = sample->texts + sample->integers + sample->reals;

		/* written as most of them are; one odd row does not decide */
		if (others > 0)
			options->stored = sample->blobs > others ? "BLOB" : "TEXT";
		return "bytea";
	}
	if (sample->texts > 0)
		return "text";
	return sample->reals == 0 ? "bigint" : "double precision";
}

const char *
vssfdw_sampled_type(const VssSample *sample, VssSampledOptions *options)
{
	bool number = strcmp(sample->type, "boolean") == 0 || strcmp(sample->type, "double precision") == 0;
	int count = sample->integers + sample->reals + sample->texts + sample->blobs;
	VssTimeUnit found;

	*options = (VssSampledOptions){NULL};
	if (count == 0)
		return sample->type;
	if (sample->undeclared || !fits(sample, &found))
		return widest(sample, options);
	/* numbers beside words: 't' and 0, 'Infinity' and 1.5 */
	if (number && sample->texts > 0)
	{
		options->stored = "TEXT";
		if (strcmp(sample->type, "boolean") == 0)
			options->form = vssfdw_boolean_form(sample->boolean_forms, sample->integers);
	}
	else if (strcmp(sample->type, "uuid") == 0 || strncmp(sample->type, "macaddr", 7) == 0)
		options->stored = sample->blobs == count ? "BLOB" : sample->integers == count ? "INTEGER" : NULL;
	else if (time_kind(sample->type) != VALUE_OTHER)
	{
		/* units with a fraction are written as REAL, of which a column makes INTEGER where it can */
		if (found == VSS_TIME_COREDATA || found == VSS_TIME_JULIAN)
			options->stored = NULL;
		else if (sample->integers == count)
			options->stored = "INTEGER";
		else if (sample->reals == count)
			options->stored = "REAL";
		else if (sample->texts == count)
			options->form = vssfdw_time_form(&sample->time_forms, time_kind(sample->type));
		if (found != VSS_TIME_ANY)
			options->unit = vssfdw_time_unit_name(found);
	}
	return sample->type;
}
