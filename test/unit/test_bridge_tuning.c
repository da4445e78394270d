/*
 * test_bridge_tuning.c
 *		How far searches go where the owner of an index named no ef: measured by
 *		merges, kept beside the graph's token, and used.  Margins are in thousandths.
 */
#define _GNU_SOURCE
#include "bridge_folder.h"

#include <math.h>

#define DIM 32
#define N 8000
#define K 10

/* Vectors without structure, which need far more than the default. */
static void
fill(sqlite3 *db, const char *table, int first, int count)
{
	Set *set = set_normal(count, DIM, 7 + first);
	char *sql = sqlite3_mprintf("INSERT INTO %s(rowid, embedding) VALUES(?1, ?2)", table);
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	run_sql(db, "BEGIN");
	for (int i = 0; i < count; i++)
	{
		sqlite3_bind_int(stmt, 1, first + i);
		sqlite3_bind_blob(stmt, 2, set_vector(set, i), DIM * sizeof(float), SQLITE_STATIC);
		assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
		sqlite3_reset(stmt);
	}
	run_sql(db, "COMMIT");
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	set_free(set);
}

/* An empty index vss, in memory where there is no folder. */
static sqlite3 *
make_index(const char *where, const char *options)
{
	sqlite3 *db = open_database(where, where != NULL ? "a.db" : ":memory:", NULL);

	run_sql(db, "CREATE VIRTUAL TABLE vss USING hnsw(dim = %d, metric = l2, %s)", DIM, options);
	return db;
}

static const float *
some_query(int i)
{
	static Set *queries;

	if (queries == NULL)
		queries = set_normal(60, DIM, 4711);
	return set_vector(queries, i);
}

#define DEFAULT_MARGIN 280
#define MOST_MARGIN 1000

/* What one search says: the ef that it kept, else its margin; extra: the arguments after k. */
static int
used(sqlite3 *db, const char *table, const char *extra)
{
	char *sql = sqlite3_mprintf("SELECT count(*) FROM %s(?1, %d%s)", table, K, extra);
	BridgeStats stats = {0};
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	sqlite3_bind_blob(stmt, 1, some_query(0), DIM * sizeof(float), SQLITE_STATIC);
	assert_int_equal(sqlite3_bind_pointer(stmt, 2, &stats, BRIDGE_STATS_POINTER, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(stmt, 0), K);
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	assert_string_equal(stats.strategy, "graph");
	assert_int_equal(stats.ef > 0, stats.margin == 0);
	return stats.ef > 0 ? (int) stats.ef : (int) lround(1000 * stats.margin);
}

#define SEARCHED(db, table) used(db, table, ", NULL, 'graph', ?2")

/* The share of the nearest that searches without any ef find. */
static double
recall(sqlite3 *db, const char *table)
{
	char *sql = sqlite3_mprintf("SELECT sum(rowid IN (SELECT rowid FROM %s(?1, %d, NULL, 'exact'))) "
								"FROM %s(?1, %d, NULL, 'graph')",
								table, K, table, K);
	sqlite3_stmt *stmt;
	int right = 0;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	for (int i = 0; i < 60; i++)
	{
		sqlite3_bind_blob(stmt, 1, some_query(i), DIM * sizeof(float), SQLITE_STATIC);
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
		right += sqlite3_column_int(stmt, 0);
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return (double) right / (60 * K);
}

/* All that tell of it say the same. */
static void
assert_told(sqlite3 *db, const char *table, int ef, int margin)
{
	char *sql =
		sqlite3_mprintf("SELECT printf('%%d %%d, %%d %%d, %%d', hnsw_info(%Q) ->> '$.ef_search', "
						"round(1000 * (hnsw_info(%Q) ->> '$.margin')), ef_search, round(1000 * margin), "
						"round(1000 * hnsw_margin(%Q))) FROM hnsw_indexes WHERE name = %Q",
						table, table, table, table);
	char *expected = sqlite3_mprintf("%d %d, %d %d, %d", ef, margin, ef, margin, margin);

	assert_string_equal(get_text(db, "%s", sql), expected);
	sqlite3_free(expected);
	sqlite3_free(sql);
}

static int
found(sqlite3 *db)
{
	return (int) get_number(db,
							"SELECT CAST(substr(value, 8) AS INTEGER) FROM vss_config WHERE key = 'tuned'");
}

static int64_t
measured_nodes(sqlite3 *db)
{
	return get_number(db, "SELECT CAST(substr(value, length(rtrim(value, '0123456789')) + 1) AS INTEGER) "
						  "FROM vss_config WHERE key = 'tuned'");
}

static void
a_merge_finds_it_and_searches_use_it(void **state)
{
	sqlite3 *db = make_index(folder, "m = 6, ef = 40");
	sqlite3 *other;
	int margin;

	assert_told(db, "vss", 0, DEFAULT_MARGIN);
	fill(db, "vss", 1, N);
	other = open_database(folder, "a.db", NULL);
	assert_told(other, "vss", 0, DEFAULT_MARGIN);

	run_sql(db, "SELECT hnsw_save()");
	margin = found(db);
	assert_in_range(margin, DEFAULT_MARGIN + 1, MOST_MARGIN);
	assert_int_equal(measured_nodes(db), N);
	assert_int_equal(SEARCHED(db, "vss"), margin);
	assert_told(db, "vss", 0, margin);
	assert_true(recall(db, "vss") >= 0.95); /* 600 neighbours; at the default about 0.8 */

	/* another connection, which was open before, and one that comes later */
	assert_int_equal(SEARCHED(other, "vss"), margin);
	assert_told(other, "vss", 0, margin);
	close_database(other);
	close_database(db);
	db = open_database(folder, "a.db", NULL);
	assert_int_equal(SEARCHED(db, "vss"), margin);
	assert_told(db, "vss", 0, margin);

	/* whoever names one has it */
	assert_int_equal(used(db, "vss", ", 33, 'graph', ?2"), 33);
	close_database(db);
}

static void
one_given_stays(void **state)
{
	sqlite3 *db = make_index(folder, "m = 6, ef = 40, ef_search = 64");

	fill(db, "vss", 1, N);
	run_sql(db, "SELECT hnsw_save()");
	assert_int_equal(SEARCHED(db, "vss"), 64);
	assert_int_equal(get_number(db, "SELECT count(*) FROM vss_config WHERE key = 'tuned'"), 0);
	assert_told(db, "vss", 64, 0);
	close_database(db);
}

/* What the database holds decides, and anything odd in it counts as nothing. */
static void
databases_without_it_search_with_the_default(void **state)
{
	static const char *const odd[] = {"''",
									  "'x'",
									  "'80 8000'",
									  "'margin 0 9 9'",
									  "'margin 16001 9 9'",
									  "NULL",
									  "x'00'",
									  "'margin -5 1 1'",
									  "'margin 200'",
									  "'margin 200 0 9'",
									  "'margin x 9 9'"};
	sqlite3 *db = make_index(folder, "m = 6, ef = 40");

	fill(db, "vss", 1, N);
	run_sql(db, "SELECT hnsw_save()");
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
	{
		run_sql(db, "UPDATE vss_config SET value = %s WHERE key = 'tuned'", odd[i]);
		assert_int_equal(SEARCHED(db, "vss"), DEFAULT_MARGIN);
	}
	/* as written before there was any: ef_search always stood there */
	run_sql(db, "DELETE FROM vss_config WHERE key = 'tuned'; INSERT INTO vss_config VALUES('ef_search', 64)");
	close_database(db);
	db = open_database(folder, "a.db", NULL);
	assert_int_equal(SEARCHED(db, "vss"), 64);
	assert_told(db, "vss", 64, 0);
	close_database(db);
}

static void
it_is_measured_again_when_it_is_worth_while(void **state)
{
	sqlite3 *db = make_index(folder, "m = 6, ef = 40");

	fill(db, "vss", 1, N);
	run_sql(db, "SELECT hnsw_save()");
	assert_in_range(found(db), DEFAULT_MARGIN + 1, MOST_MARGIN);

	/* a mark that a measurement would remove: it stays while the graph grows a little */
	run_sql(db, "UPDATE vss_config SET value = 'margin 77 20 %d' WHERE key = 'tuned'", N);
	fill(db, "vss", N + 1, N / 8);
	run_sql(db, "SELECT hnsw_save()");
	assert_int_equal(found(db), 77);
	assert_int_equal(SEARCHED(db, "vss"), 77);

	/* by half */
	fill(db, "vss", N + N / 8 + 1, N * 3 / 8);
	run_sql(db, "SELECT hnsw_save()");
	assert_in_range(found(db), 100, MOST_MARGIN);
	assert_int_equal(measured_nodes(db), N + N / 2);

	/* and when all is made anew */
	run_sql(db, "UPDATE vss_config SET value = 'margin 77 20 %d' WHERE key = 'tuned'", N + N / 2);
	run_sql(db, "SELECT hnsw_rebuild()");
	assert_in_range(found(db), 100, MOST_MARGIN);
	close_database(db);
}

/* Two segments are searched with what the base needs. */
static void
a_second_segment_takes_the_bases(void **state)
{
	sqlite3 *db = make_index(folder, "m = 3, ef = 10");
	int margin;

	fill(db, "vss", 1, N);
	run_sql(db, "SELECT hnsw_save()");
	margin = found(db);
	assert_in_range(margin, DEFAULT_MARGIN + 1, MOST_MARGIN);
	fill(db, "vss", 30000, N / 20); /* too little to write the base anew */
	run_sql(db, "SELECT hnsw_save()");
	assert_int_equal(get_number(db, "SELECT json_array_length(hnsw_info(), '$.graph.segments')"), 2);
	assert_int_equal(measured_nodes(db), N);
	assert_int_equal(SEARCHED(db, "vss"), margin);
	close_database(db);
}

static void
databases_in_memory_have_it_too(void **state)
{
	sqlite3 *db = make_index(NULL, "m = 6, ef = 40");

	fill(db, "vss", 1, N);
	run_sql(db, "SELECT hnsw_save()");
	assert_in_range(found(db), DEFAULT_MARGIN + 1, MOST_MARGIN);
	assert_int_equal(SEARCHED(db, "vss"), found(db));
	assert_told(db, "vss", 0, found(db));
	close_database(db);
}

/* The pair of token and ef is of one transaction: a reader's snapshot has both or neither. */
static void
it_comes_with_the_graph(void **state)
{
	sqlite3 *db = make_index(folder, "m = 6, ef = 40");
	sqlite3 *reader;

	run_sql(db, "PRAGMA journal_mode = wal");
	fill(db, "vss", 1, N);
	reader = open_database(folder, "a.db", NULL);
	run_sql(reader, "BEGIN");
	assert_int_equal(get_number(reader, "SELECT count(*) FROM vss_config WHERE key = 'tuned'"), 0);
	assert_int_equal(get_number(reader, "SELECT length(value) FROM vss_config WHERE key = 'current'"), 0);
	run_sql(db, "SELECT hnsw_save()");
	assert_told(reader, "vss", 0, DEFAULT_MARGIN);
	assert_int_equal(get_number(reader, "SELECT length(value) FROM vss_config WHERE key = 'current'"), 0);
	run_sql(reader, "COMMIT");
	assert_told(reader, "vss", 0, found(db));
	close_database(reader);
	close_database(db);
}

/* Questions in a table: so many means of two vectors that have nothing to do with one another. */
static void
make_questions(sqlite3 *db, int count)
{
	Set *set = set_normal(2 * (size_t) count, DIM, 99);
	sqlite3_stmt *stmt;

	run_sql(db, "DROP TABLE IF EXISTS questions; CREATE TABLE questions(q BLOB)");
	assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO questions VALUES(?1)", -1, &stmt, NULL), SQLITE_OK);
	run_sql(db, "BEGIN");
	for (int i = 0; i < count; i++)
	{
		float *question = set_vector(set, 2 * (size_t) i);

		for (int d = 0; d < DIM; d++)
			question[d] = (question[d] + question[DIM + d]) / 2;
		sqlite3_bind_blob(stmt, 1, question, DIM * sizeof(float), SQLITE_STATIC);
		assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
		sqlite3_reset(stmt);
	}
	run_sql(db, "COMMIT");
	sqlite3_finalize(stmt);
	set_free(set);
}

/* Asked by the user's own questions, it is what these need; they are kept, and later merges ask them. */
static void
a_users_questions_count(void **unused)
{
	sqlite3 *db = make_index(folder, "recall = 0.95");
	char before[100];
	char asked[200];
	int own;

	make_questions(db, 1000);
	fill(db, "vss", 1, N);
	run_sql(db, "SELECT hnsw_save()");
	own = found(db);
	snprintf(before, sizeof(before), "%s", get_text(db, "SELECT value FROM vss_config WHERE key = 'tuned'"));
	assert_string_equal(get_info(db, "$.questions"), "0");

	snprintf(asked, sizeof(asked), "%s", get_text(db, "SELECT hnsw_tune('vss', q) FROM questions"));
	assert_int_equal(found(db), lround(1000 * atof(get_text(db, "SELECT %Q ->> '$.margin'", asked))));
	assert_true(found(db) != own);
	assert_told(db, "vss", 0, found(db));
	assert_int_equal(SEARCHED(db, "vss"), found(db));
	assert_true(atof(get_text(db, "SELECT %Q ->> '$.recall'", asked)) >= 0.95);
	/* of a thousand, evenly, as many as are worth asking */
	assert_string_equal(get_text(db, "SELECT %Q ->> '$.questions'", asked), "256");
	assert_string_equal(get_info(db, "$.questions"), "256");
	assert_string_equal(get_text(db, "SELECT hnsw_tune('vss', q) FROM questions"), asked);

	/* another connection knows, and a merge that measures anew asks them */
	own = found(db);
	close_database(db);
	db = open_database(folder, "a.db", NULL);
	assert_int_equal(SEARCHED(db, "vss"), own);
	run_sql(db, "SELECT hnsw_rebuild()");
	assert_true(abs(found(db) - own) <= own / 4);
	assert_string_equal(get_info(db, "$.questions"), "256");

	/* forgotten, everything is as it was */
	assert_string_equal(get_text(db, "SELECT hnsw_tune('vss') ->> '$.questions'"), "0");
	assert_string_equal(get_info(db, "$.questions"), "0");
	run_sql(db, "SELECT hnsw_rebuild()");
	assert_int_equal(get_number(db, "SELECT count(*) FROM vss_config WHERE key = 'questions'"), 0);
	assert_true(found(db) != own);
	close_database(db);
}

static void
assert_refused(sqlite3 *db, const char *sql, const char *why)
{
	assert_int_not_equal(try_sql(db, "%s", sql), SQLITE_OK);
	if (strstr(sqlite3_errmsg(db), why) == NULL)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

/* What cannot be measured says why, and leaves everything as it was. */
static void
questions_that_will_not_do(void **unused)
{
	sqlite3 *db = make_index(folder, "m = 8");

	make_questions(db, 40);
	assert_refused(db, "SELECT hnsw_tune('vss', q) FROM questions", "no graph");
	fill(db, "vss", 1, 3000);
	run_sql(db, "SELECT hnsw_save()");
	assert_refused(db, "SELECT hnsw_tune('vss', q) FROM questions WHERE false", "no questions");
	assert_refused(db, "SELECT hnsw_tune('vss', q) FROM (SELECT q FROM questions LIMIT 29)", "too few");
	assert_refused(db, "SELECT hnsw_tune('vss', NULL) FROM questions", "too few");
	assert_refused(db, "SELECT hnsw_tune('vss', '[1,2,3]') FROM questions", "3 dimensions, expected 32");
	assert_refused(db, "SELECT hnsw_tune('vss', 'what is a cat?') FROM questions", "hnsw_tune");
	assert_refused(db, "SELECT hnsw_tune('nothing', q) FROM questions", "nothing");
	assert_string_equal(get_info(db, "$.questions"), "0");
	run_sql(db, "CREATE VIRTUAL TABLE other USING hnsw(dim = 32, ef_search = 50)");
	assert_refused(db, "SELECT hnsw_tune('other', q) FROM questions", "ef_search = 50");
	run_sql(db, "DROP TABLE other");

	/* within a transaction it goes with it */
	run_sql(db, "BEGIN; SELECT hnsw_tune('vss', q) FROM questions");
	assert_string_equal(get_info(db, "$.questions"), "40");
	run_sql(db, "ROLLBACK");
	assert_string_equal(get_info(db, "$.questions"), "0");

	/* what somebody else wrote there counts as nothing */
	run_sql(db, "INSERT INTO vss_config VALUES('questions', x'0011')");
	assert_string_equal(get_info(db, "$.questions"), "0");
	run_sql(db, "UPDATE vss_config SET value = zeroblob(128 * 300) WHERE key = 'questions'");
	assert_string_equal(get_info(db, "$.questions"), "0");
	run_sql(db, "SELECT hnsw_rebuild()");
	close_database(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FOLDER_TEST(a_merge_finds_it_and_searches_use_it),
		FOLDER_TEST(one_given_stays),
		FOLDER_TEST(databases_without_it_search_with_the_default),
		FOLDER_TEST(it_is_measured_again_when_it_is_worth_while),
		FOLDER_TEST(a_second_segment_takes_the_bases),
		FOLDER_TEST(databases_in_memory_have_it_too),
		FOLDER_TEST(it_comes_with_the_graph),
		FOLDER_TEST(a_users_questions_count),
		FOLDER_TEST(questions_that_will_not_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
