/*
 * fuzz_functions.c
 *		libFuzzer target: the functions that SQLite calls for the wrapper
 *		(fdw/sqlfn/), with any arguments.
 *
 * Two bytes choose the function; arguments follow, each a byte of its kind and its
 * bytes.  Beyond crashes it looks for answers that contradict each other, by 0 and
 * 1 in place of a function:
 *
 *	numbers compare by vss_numeric() as they are, and its text reads back to it
 *	a time's text reads back to the time
 */
#include "postgres.h"

#include <math.h>
#include <sqlite3.h>

#include "fdw/sqlfn/sqlfn.h"
#include "fuzz.h"

#define MAX_STATEMENTS 400

/* Words that no mutation would find. */
static const char *const words[] = {"year",          "isoyear",      "century",
									"millennium",    "decade",       "quarter",
									"month",         "week",         "day",
									"dow",           "isodow",       "doy",
									"hour",          "minute",       "second",
									"epoch",         "julian",       "timezone",
									"microseconds",  "milliseconds", "infinity",
									"-infinity",     "NaN",          "Infinity",
									"true",          "off",          "now",
									"24:00:00",      "0001-01-01",   "9999-12-31 23:59:59.999999Z",
									"4714-11-24 BC", "294276-12-31", "1e16383",
									"-1e-16383",     "{\"a\": 1}",   "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"};

static sqlite3 *db;
static sqlite3_stmt *statements[MAX_STATEMENTS];
static int count;

static sqlite3_stmt *numeric, *numeric_text, *greater;

static sqlite3_stmt *
prepare(const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK)
		must(false, sqlite3_errmsg(db));
	return stmt;
}

/* A statement for each function that the wrapper has brought, and number of arguments. */
static void
prepare_all(void)
{
	sqlite3_stmt *list = prepare("SELECT name, type, narg FROM pragma_function_list WHERE NOT builtin");

	while (sqlite3_step(list) == SQLITE_ROW)
	{
		const char *name = (const char *) sqlite3_column_text(list, 0);
		bool scalar = sqlite3_column_text(list, 1)[0] == 's';
		int declared = sqlite3_column_int(list, 2);
		int least = declared >= 0 ? declared : 1;
		int most = declared >= 0 ? declared : 3;

		if (strncmp(name, "vss_", 4) != 0 && strncasecmp(name, "ST_", 3) != 0)
			continue;
		for (int n = least; n <= most; n++)
		{
			const char *call = scalar ? "SELECT %s(%.*s)"
									  : "SELECT %s(%.*s) FROM (SELECT ?1 AS a, ?2 AS b, ?3 AS c"
										" UNION ALL SELECT ?4, ?2, ?3 UNION ALL SELECT ?5, ?2, ?3)";
			int written = (scalar ? 3 : 2) * n - 1;
			char *sql = sqlite3_mprintf(call, name, Max(written, 0), scalar ? "?1,?2,?3,?4,?5" : "a,b,c");

			must(count < MAX_STATEMENTS, "more functions than expected");
			statements[count++] = prepare(sql);
			sqlite3_free(sql);
		}
	}
	sqlite3_finalize(list);
	must(count > 50, "no functions");
}

/* ---------- arguments ---------- */

typedef struct Input
{
	const uint8_t *data;
	size_t size;
} Input;

/* The next length bytes, zero beyond the end. */
static uint64
number(Input *input, size_t length)
{
	uint64 value = 0;

	for (size_t i = 0; i < length; i++)
	{
		value = value << 8 | (input->size > 0 ? *input->data : 0);
		if (input->size > 0)
			input->data++, input->size--;
	}
	return value;
}

static void
bind(sqlite3_stmt *stmt, int place, Input *input)
{
	int kind = (int) number(input, 1);
	size_t length;

	switch (kind % 8)
	{
		case 0:
			sqlite3_bind_null(stmt, place);
			return;
		case 1:
			sqlite3_bind_int64(stmt, place, (int64) number(input, 8));
			return;
		case 2:
			sqlite3_bind_int64(stmt, place, (int8) number(input, 1));
			return;
		case 3:
		{
			uint64 bits = number(input, 8);
			double value;

			memcpy(&value, &bits, sizeof(value));
			sqlite3_bind_double(stmt, place, value);
			return;
		}
		case 4:
			sqlite3_bind_text(stmt, place, words[number(input, 1) % lengthof(words)], -1, SQLITE_STATIC);
			return;
	}
	length = number(input, 1);
	length = Min(length, input->size);
	/* copied, so that its end is the end of readable memory */
	if (kind % 8 == 5)
		sqlite3_bind_blob(stmt, place, input->data, (int) length, SQLITE_TRANSIENT);
	else
		sqlite3_bind_text(stmt, place, (const char *) input->data, (int) length, SQLITE_TRANSIENT);
	input->data += length;
	input->size -= length;
}

/* ---------- what must agree ---------- */

/* Run f(value) and give its value, which lasts until f's statement is used again; NULL for an error or NULL. */
static sqlite3_value *
call(sqlite3_stmt *stmt, sqlite3_value *value)
{
	sqlite3_reset(stmt);
	sqlite3_bind_value(stmt, 1, value);
	if (sqlite3_step(stmt) != SQLITE_ROW || sqlite3_column_type(stmt, 0) == SQLITE_NULL)
		return NULL;
	return sqlite3_column_value(stmt, 0);
}

static sqlite3_value *
copied(sqlite3_value *value)
{
	return value != NULL ? sqlite3_value_dup(value) : NULL;
}

static int
compare_blobs(sqlite3_value *a, sqlite3_value *b)
{
	int x = sqlite3_value_bytes(a);
	int y = sqlite3_value_bytes(b);
	int order = memcmp(sqlite3_value_blob(a), sqlite3_value_blob(b), (size_t) Min(x, y));

	return order != 0 ? order : x - y;
}

static void
check_numbers(Input input)
{
	sqlite3_value *values[2];
	sqlite3_value *keys[2];

	for (int i = 0; i < 2; i++)
	{
		bind(greater, i + 1, &input);
		keys[i] = NULL;
	}
	if (sqlite3_step(greater) != SQLITE_ROW)
		return;
	for (int i = 0; i < 2; i++)
	{
		sqlite3_value *text;

		values[i] = sqlite3_value_dup(sqlite3_column_value(greater, i));
		keys[i] = copied(call(numeric, values[i]));
		if (keys[i] == NULL)
			continue;
		text = call(numeric_text, keys[i]);
		must(text != NULL, "a number without a text");
		text = copied(text);
		must(call(numeric, text) != NULL && compare_blobs(sqlite3_column_value(numeric, 0), keys[i]) == 0,
			 "a number's text is another number");
		sqlite3_value_free(text);
	}
	if (keys[0] != NULL && keys[1] != NULL &&
		sqlite3_value_type(values[0]) == sqlite3_value_type(values[1]) &&
		(sqlite3_value_type(values[0]) == SQLITE_INTEGER || sqlite3_value_type(values[0]) == SQLITE_FLOAT))
	{
		int order = compare_blobs(keys[0], keys[1]);

		must((order > 0) == (sqlite3_column_int(greater, 2) == 1) &&
				 (order < 0) == (sqlite3_column_int(greater, 3) == 1),
			 "numbers compare otherwise than their keys");
	}
	for (int i = 0; i < 2; i++)
	{
		sqlite3_value_free(values[i]);
		sqlite3_value_free(keys[i]);
	}
	sqlite3_reset(greater);
	sqlite3_reset(numeric);
	sqlite3_reset(numeric_text);
}

static void
check_times(Input input)
{
	static const ValueKind kinds[] = {VALUE_DATE, VALUE_TIME, VALUE_TIMETZ, VALUE_TIMESTAMP,
									  VALUE_TIMESTAMPTZ};
	ValueKind kind = kinds[number(&input, 1) % lengthof(kinds)];
	int32 precision = (int32) (number(&input, 1) % 8) - 1;
	char text[256];
	char again[256];
	TimeTzADT zoned[2];
	Datum value;
	Datum other;
	size_t length = Min(input.size, sizeof(text) - 1);

	memcpy(text, input.data, length);
	text[length] = '\0';
	if (!vssfdw_time_from_text(kind, precision, text, &value, &zoned[0]) ||
		!vssfdw_time_to_text(kind, value, again, sizeof(again)))
		return;
	must(vssfdw_time_from_text(kind, precision, again, &other, &zoned[1]), "a time's text is none");
	if (kind == VALUE_TIMETZ)
		must(zoned[0].time == zoned[1].time && zoned[0].zone == zoned[1].zone,
			 "a time's text is another time");
	else
		must(value == other, "a time's text is another time");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = {data, size};
	int which;

	fuzz_begin();
	if (db == NULL)
	{
		must(sqlite3_open(":memory:", &db) == SQLITE_OK && vssfdw_register_functions(db) == SQLITE_OK,
			 "no database");
		sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 20);
		prepare_all();
		numeric = prepare("SELECT vss_numeric(?1)");
		numeric_text = prepare("SELECT vss_numeric_text(?1)");
		greater = prepare("SELECT ?1, ?2, ?1 > ?2, ?1 < ?2");
	}
	if (size < 2)
		return 0;
	which = (int) number(&input, 2) % (count + 2);
	if (which == 0)
		check_numbers(input);
	else if (which == 1)
		check_times(input);
	else
	{
		sqlite3_stmt *stmt = statements[which - 2];

		for (int i = 1; i <= sqlite3_bind_parameter_count(stmt); i++)
			bind(stmt, i, &input);
		if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_TEXT)
			must(strlen((const char *) sqlite3_column_text(stmt, 0)) <=
					 (size_t) sqlite3_column_bytes(stmt, 0),
				 "a text without an end");
		sqlite3_reset(stmt);
	}
	return 0;
}
