/*
 * bound_functions.c
 *		SQL functions that say where in SQLite's order the stored forms of a
 *		value lie: bounds for its indexes.
 *
 * A column that is compared through a reader has its stored forms in the index.
 * All forms of the times between two instants lie in a few ranges of SQLite's
 * order, and so do all spellings of a uuid; a condition that names these ranges
 * lets no match out and can use the index.  The reader's own condition decides
 * about the rows within.  See bounds.c for the conditions.
 *
 * vss_low('text', from, to), vss_high('text', from, to): the ends of the range of
 * text between two times, given as microseconds.  They are generous by days:
 * text may name a zone, a precision rounds.  Text is in order in the years 1 to
 * 9999 after Christ alone, and there only what has four digits for the year:
 * where an end is not within, the range is all text.
 *
 * vss_low('unix', from), vss_high('unix', to), and the same with 'julian' or
 * another time_unit: ends of the ranges of numbers.
 *
 * vss_since(from, table, column): the low end of text that has no high one.
 * A year of five digits is text between those of four, so it is looked whether
 * the column has any, by a lookup for each year that it has.
 *
 * vss_uuid_low(uuid, i), vss_uuid_high(uuid, i): the range of spellings that
 * begin with the first three digits, the bits of i telling which of them are
 * capitals; NULL where one is no letter.
 *
 * Called by SQLite: no error of PostgreSQL's may be raised below, and nothing
 * palloc'd.
 */
#include "postgres.h"

#include <ctype.h>

#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "fdw/sqlfn/sqlfn.h"

/*
 * How far a stored form may lie from its instant: less than a day of clock
 * (24:00), 16 hours of zone in the text, as much in the session, a second of
 * rounding.
 */
#define MARGIN (4 * USECS_PER_DAY)

/* Bounds within which text is in order; the margin stays in the years 1 to 9999. */
#define FIRST_YEAR 2
#define LAST_YEAR 9998

/* Lookups of vss_since() before it gives up. */
#define MAX_YEARS 1000

/* "YYYY-MM-DD" of a time moved by some days; false out of the years where text is in order. */
static bool
day_text(Timestamp timestamp, int days, char *text, size_t size)
{
	int year;
	int month;
	int mday;
	int64 day;

	if (TIMESTAMP_NOT_FINITE(timestamp) || !IS_VALID_TIMESTAMP(timestamp))
		return false;
	day = timestamp / USECS_PER_DAY + days;
	j2date((int) (day + POSTGRES_EPOCH_JDATE), &year, &month, &mday);
	if (year < FIRST_YEAR || year > LAST_YEAR)
		return false;
	snprintf(text, size, "%04d-%02d-%02d", year, month, mday);
	return true;
}

/* user data: whether the high end is wanted */
static void
text_end(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	bool high = sqlite3_user_data(context) != NULL;
	int days = (int) (MARGIN / USECS_PER_DAY) + 1;
	char low_text[40];
	char high_text[40];

	if (sqlite3_value_type(argv[1]) == SQLITE_NULL || sqlite3_value_type(argv[2]) == SQLITE_NULL)
		return; /* NULL, as the comparison is */
	if (day_text(sqlite3_value_int64(argv[1]), -days, low_text, sizeof(low_text)) &&
		day_text(sqlite3_value_int64(argv[2]), days, high_text, sizeof(high_text)))
		sqlite3_result_text(context, high ? high_text : low_text, -1, SQLITE_TRANSIENT);
	else if (high)
		sqlite3_result_zeroblob(context, 0); /* after all text */
	else
		sqlite3_result_text(context, "", 0, SQLITE_STATIC);
}

/* Likewise. */
static void
number_end(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int sign = sqlite3_user_data(context) != NULL ? 1 : -1;
	const char *form = (const char *) sqlite3_value_text(argv[0]);
	Timestamp end = sqlite3_value_int64(argv[1]);
	VssTimeUnit unit;

	if (form == NULL || sqlite3_value_type(argv[1]) == SQLITE_NULL)
		return;
	/* numbers are of finite times */
	if (end < MIN_TIMESTAMP)
		end = MIN_TIMESTAMP;
	else if (end >= END_TIMESTAMP)
		end = END_TIMESTAMP - 1;
	if (!vssfdw_time_unit(form, &unit))
		sqlite3_result_int64(context, end / USECS_PER_SEC +
										  (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY +
										  sign * (MARGIN / USECS_PER_SEC));
	else
		sqlite3_result_double(context,
							  vssfdw_time_in_unit(end, unit) +
								  sign * (vssfdw_time_in_unit(MARGIN, unit) - vssfdw_time_in_unit(0, unit)));
}

/* Whether the column has a year of more than four digits, or something that cannot be told from one. */
static bool
has_far_years(sqlite3_stmt *stmt)
{
	char after[8] = "0~";
	int years = 0;

	while (years++ < MAX_YEARS)
	{
		const char *text;
		int length;

		if (sqlite3_reset(stmt) != SQLITE_OK ||
			sqlite3_bind_text(stmt, 1, after, -1, SQLITE_TRANSIENT) != SQLITE_OK)
			return true;
		switch (sqlite3_step(stmt))
		{
			case SQLITE_DONE:
				return false;
			case SQLITE_ROW:
				break;
			default:
				return true;
		}
		/* BLOBs come after all text */
		if (sqlite3_column_type(stmt, 0) != SQLITE_TEXT)
			return sqlite3_column_type(stmt, 0) != SQLITE_BLOB;
		text = (const char *) sqlite3_column_text(stmt, 0);
		length = sqlite3_column_bytes(stmt, 0);
		if (text == NULL)
			return true;
		/* past the digits: infinity, and what is no time */
		if ((unsigned char) text[0] > '9')
			return false;
		/* on to the next year, which follows all "YYYY-..." */
		if (length < 5 || text[4] != '-')
			return true;
		snprintf(after, sizeof(after), "%.4s/~", text);
	}
	return true;
}

static void
since_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	char text[40];
	char *sql;
	sqlite3_stmt *stmt = NULL;
	bool far;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return; /* NULL, as the comparison is */
	if (!day_text(sqlite3_value_int64(argv[0]), -(int) (MARGIN / USECS_PER_DAY) - 1, text, sizeof(text)))
	{
		sqlite3_result_text(context, "", 0, SQLITE_STATIC);
		return;
	}
	sql = sqlite3_mprintf("SELECT \"%w\" FROM \"main\".\"%w\" WHERE \"%w\" > ?1 ORDER BY \"%w\" LIMIT 1",
						  sqlite3_value_text(argv[2]), sqlite3_value_text(argv[1]),
						  sqlite3_value_text(argv[2]), sqlite3_value_text(argv[2]));
	/* whatever goes wrong, all text is a right answer */
	far = sql == NULL ||
		  sqlite3_prepare_v2(sqlite3_context_db_handle(context), sql, -1, &stmt, NULL) != SQLITE_OK ||
		  has_far_years(stmt);
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	sqlite3_result_text(context, far ? "" : text, -1, SQLITE_TRANSIENT);
}

/* user data: whether the high end is wanted */
static void
uuid_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	static const char digits[] = "0123456789abcdef";
	bool high = sqlite3_user_data(context) != NULL;
	const unsigned char *uuid = sqlite3_value_blob(argv[0]);
	int capitals = sqlite3_value_int(argv[1]);
	char text[5];

	if (uuid == NULL || sqlite3_value_bytes(argv[0]) != UUID_LEN)
		return; /* NULL */
	text[0] = digits[uuid[0] >> 4];
	text[1] = digits[uuid[0] & 15];
	text[2] = digits[uuid[1] >> 4];
	for (int i = 0; i < 3; i++)
	{
		if ((capitals & (1 << i)) == 0)
			continue;
		if (text[i] < 'a')
			return;
		text[i] = (char) (text[i] - 'a' + 'A');
	}
	/* a fourth digit follows in any spelling; these are no numbers, which a column would make of "123" */
	text[3] = high ? 'g' : '-';
	text[4] = '\0';
	sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

const VssSqlFunction vssfdw_bound_functions[] = {
	{"vss_low", 3, text_end},
	{"vss_high", 3, text_end, VSS_SQL_FLAG},
	{"vss_low", 2, number_end},
	{"vss_high", 2, number_end, VSS_SQL_FLAG},
	{"vss_since", 3, since_function, .direct_only = true},
	{"vss_uuid_low", 2, uuid_function},
	{"vss_uuid_high", 2, uuid_function, VSS_SQL_FLAG},
	{NULL},
};
