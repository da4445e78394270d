/*
 * test_bridge_segments.c
 *		The second, small graph file: what it saves, that base, hidden labels,
 *		recent segment and delta together say what the table says, and what becomes of
 *		them when a file or the list of hidden labels is damaged or a merge is killed.
 */
#define _GNU_SOURCE
#include "merge_support.h"

#define ROWS 3200 /* the base stays for 200 of them */

static uint64_t seed;

static int
draw(int below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (int) ((seed >> 33) % (uint64_t) below);
}

/* A vector that no other call of this row and version gets. */
static const char *
vector_of(int id, int version)
{
	static char text[128];

	snprintf(text, sizeof(text), "[%d,%d,%d,%d]", id * 7919 % 1009 - 500, (id * 31 + version * 77) % 1013,
			 (id * 104729 + version * 13) % 997, id % 17 + version);
	return text;
}

/* With vectors of version 0, and merged. */
static sqlite3 *
make_merged(int rows)
{
	sqlite3 *db = open_database(folder, "a.db", NULL);

	run_sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
	run_sql(db, "CREATE TABLE documents(id INTEGER PRIMARY KEY, embedding TEXT)");
	run_sql(db, "CREATE VIRTUAL TABLE vss USING hnsw(dim = 4, metric = l2, m = 8, ef = 40, path = 'a.idx',"
				" content = documents, content_vector = embedding)");
	run_sql(db, "BEGIN");
	for (int i = 1; i <= rows; i++)
		run_sql(db, "INSERT INTO documents VALUES(%d, '%s')", i, vector_of(i, 0));
	run_sql(db, "COMMIT");
	assert_int_equal(save(db), rows);
	return db;
}

static void
update_rows(sqlite3 *db, int first, int last, int version)
{
	run_sql(db, "BEGIN");
	for (int i = first; i <= last; i++)
		run_sql(db, "INSERT OR REPLACE INTO documents VALUES(%d, '%s')", i, vector_of(i, version));
	run_sql(db, "COMMIT");
}

static int64_t
segments(sqlite3 *db)
{
	return get_number(db, "SELECT json_array_length(hnsw_info(), '$.graph.segments')");
}

/* And nothing is left beside the graph; the three numbers of rows agree as well. */
static void
check_merged(sqlite3 *db)
{
	check_graph_used(db);
	assert_string_equal(get_info(db, "$.delta_rows"), "0");
	assert_string_equal(get_info(db, "$.delta_stored"), "0");
	assert_int_equal(get_number(db, "SELECT count(*) FROM vss_changes"), 1);
	assert_int_equal(get_number(db, "SELECT hnsw_info() ->> '$.graph.rows'"),
					 get_number(db, "SELECT count(*) FROM documents"));
	assert_int_equal(get_number(db, "SELECT hnsw_info() ->> '$.graph.rows'"),
					 get_number(db, "SELECT (SELECT sum(value ->> 'rows') FROM json_each(hnsw_info(), "
									"'$.graph.segments')) - (hnsw_info() ->> '$.graph.hidden')"));
	assert_int_equal(get_number(db, "SELECT hnsw_info() ->> '$.graph.bytes'"),
					 get_number(db, "SELECT sum(value ->> 'bytes') FROM json_each(hnsw_info(), "
									"'$.graph.segments')"));
}

static void
reopen(sqlite3 **db)
{
	close_database(*db);
	*db = open_database(folder, "a.db", NULL);
}

/* The path of a segment's file. */
static const char *
segment_file(sqlite3 *db, int segment)
{
	static char path[600];
	char key[64];

	snprintf(key, sizeof(key), "$.graph.segments[%d].token", segment);
	snprintf(path, sizeof(path), "%s/a.idx-%s", folder, get_info(db, key));
	return path;
}

static char *
base_token(sqlite3 *db)
{
	return strdup(get_info(db, "$.graph.token"));
}

/* ---------- */

/* Updates, deletions, insertions, and all of them of rows that are recent already. */
static void
base_stays(void **unused)
{
	sqlite3 *db = make_merged(ROWS);
	char *token = base_token(db);
	struct stat before;
	struct stat after;

	assert_int_equal(segments(db), 1);
	assert_int_equal(stat(segment_file(db, 0), &before), 0);
	update_rows(db, 101, 140, 1);
	run_sql(db, "DELETE FROM documents WHERE id BETWEEN 1 AND 40");
	update_rows(db, 5001, 5040, 1);
	assert_int_equal(save(db), ROWS);
	assert_int_equal(segments(db), 2);
	assert_string_equal(get_info(db, "$.graph.hidden"), "80");
	assert_string_equal(get_info(db, "$.graph.segments[1].rows"), "80");
	check_merged(db);
	/* again, behind the same base, from a connection that knows nothing */
	reopen(&db);
	check_merged(db);
	update_rows(db, 101, 110, 2);                                      /* recent: replaced once more */
	run_sql(db, "DELETE FROM documents WHERE id IN (111, 112, 5001)"); /* recent: gone */
	update_rows(db, 1, 5, 2);                                          /* gone: back */
	update_rows(db, 201, 220, 2);
	check_graph_used(db);
	assert_int_equal(save(db), ROWS + 5 - 3);
	assert_int_equal(segments(db), 2);
	assert_string_equal(get_info(db, "$.graph.hidden"), "100");
	assert_string_equal(get_info(db, "$.graph.token"), token);
	check_merged(db);
	assert_int_equal(stat(segment_file(db, 0), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	/* what differs passes a sixteenth: one file again, and no list */
	update_rows(db, 1001, 1100, 3);
	save(db);
	assert_int_equal(segments(db), 1);
	assert_string_not_equal(get_info(db, "$.graph.token"), token);
	assert_int_equal(get_number(db, "SELECT count(*) FROM vss_config WHERE key = 'hidden'"), 0);
	check_merged(db);
	/* a rebuild makes one of two */
	update_rows(db, 7, 9, 4);
	save(db);
	assert_int_equal(segments(db), 2);
	get_number(db, "SELECT hnsw_rebuild()");
	assert_int_equal(segments(db), 1);
	check_merged(db);
	close_database(db);
	free(token);
}

/* Every kind of query with a limit, a list or a bound, against the table. */
static void
check_queries(sqlite3 *db)
{
	const char *q = "[10,500,300,7]";
	char *expected;

	for (int rows = 3; rows <= 300; rows *= 10)
	{
		/* strategies that must agree; the graph asked wide enough to be exact */
		expected =
			strdup(get_text(db,
							"SELECT group_concat(distance) FROM (SELECT l2_distance(embedding, %Q)"
							" AS distance FROM documents WHERE embedding IS NOT NULL ORDER BY 1 LIMIT %d)",
							q, rows));
		assert_string_equal(
			get_text(db, "SELECT group_concat(distance) FROM (SELECT distance FROM vss(%Q, %d, 4000))", q,
					 rows),
			expected);
		free(expected);
	}
	for (int step = 2; step <= 50; step *= 5)
		for (int all = 0; all < 2; all++)
		{
			expected = strdup(
				get_text(db,
						 "SELECT group_concat(distance) FROM (SELECT l2_distance(embedding, %Q) AS distance"
						 " FROM documents WHERE id %% %d = 1 AND embedding IS NOT NULL ORDER BY 1 LIMIT 20)",
						 q, step));
			assert_string_equal(
				get_text(db,
						 "SELECT group_concat(distance) FROM (SELECT distance FROM vss(%Q, 20, 4000, %Q)"
						 " WHERE rowid IN (SELECT id FROM documents WHERE id %% %d = 1))",
						 q, all ? "auto" : "prefilter", step),
				expected);
			free(expected);
		}
	expected =
		strdup(get_text(db, "SELECT count(*) FROM documents WHERE l2_distance(embedding, %Q) < 400", q));
	assert_string_equal(get_text(db, "SELECT count(*) FROM vss(%Q) WHERE distance < 400", q), expected);
	free(expected);
}

static void
random_changes(void **unused)
{
	sqlite3 *db = make_merged(ROWS);
	int two = 0;
	int one = 0;

	seed = 20240229;
	for (int step = 0; step < 60; step++)
	{
		int n = 1 + draw(60);

		run_sql(db, "BEGIN");
		for (int i = 0; i < n; i++)
		{
			int id = 1 + draw(draw(2) ? ROWS + 200 : 150); /* some rows again and again */

			if (draw(3) == 0)
				run_sql(db, "DELETE FROM documents WHERE id = %d", id);
			else if (draw(20) == 0)
				run_sql(db, "INSERT OR REPLACE INTO documents VALUES(%d, NULL)", id);
			else
				run_sql(db, "INSERT OR REPLACE INTO documents VALUES(%d, '%s')", id, vector_of(id, step + 1));
		}
		run_sql(db, draw(5) == 0 ? "ROLLBACK" : "COMMIT");
		if (draw(2) == 0)
			save(db);
		if (draw(6) == 0)
			reopen(&db);
		check_graph_used(db);
		if (step % 6 == 0)
			check_queries(db);
		two += segments(db) == 2;
		one += segments(db) == 1;
	}
	/* both have been seen, and many times */
	assert_true(two > 10 && one > 2);
	close_database(db);
}

/* A reader in a transaction keeps what it saw, through merges behind the base and of it. */
static void
older_view(void **unused)
{
	sqlite3 *db = make_merged(ROWS);
	sqlite3 *reader;
	char *before;

	update_rows(db, 1, 50, 1);
	save(db);
	reader = open_database(folder, "a.db", NULL);
	run_sql(reader, "BEGIN");
	before = strdup(get_text(reader, "SELECT group_concat(rowid || ':' || distance) FROM (SELECT * FROM"
									 " vss('[1,2,3,4]', 400, 4000))"));
	update_rows(db, 30, 90, 2);
	save(db);
	assert_int_equal(segments(db), 2);
	check_graph_used(reader);
	assert_string_equal(get_text(reader, "SELECT group_concat(rowid || ':' || distance) FROM (SELECT * FROM"
										 " vss('[1,2,3,4]', 400, 4000))"),
						before);
	update_rows(db, 300, 700, 3);
	save(db);
	assert_int_equal(segments(db), 1);
	check_graph_used(reader);
	run_sql(reader, "COMMIT");
	check_merged(reader);
	check_merged(db);
	close_database(reader);
	close_database(db);
	free(before);
}

/* Two segments, of which one is then lost; exact until the next merge. */
static void
file_lost(void **unused)
{
	sqlite3 *db = make_merged(ROWS);

	for (int damage = 0; damage < 6; damage++)
	{
		const char *file;

		update_rows(db, 1, 60, damage + 1);
		run_sql(db, "DELETE FROM documents WHERE id = %d", 3000 + damage);
		save(db);
		assert_int_equal(segments(db), 2);
		file = segment_file(db, damage < 4 ? 1 : 0);
		if (damage == 0)
			assert_int_equal(unlink(file), 0);
		else if (damage == 1)
			assert_int_equal(truncate(file, 4096), 0);
		else
			damage_file(file, damage == 2 ? 20 : 4096 + 100);
		update_rows(db, 70, 75, damage + 1);
		reopen(&db);
		check_answers(db);
		check_answers(db);
		if (damage != 5) /* here the merge itself comes across it first */
			assert_string_not_equal(get_text(db, "SELECT hnsw_check()"), "ok");
		assert_int_equal(save(db), ROWS - damage - 1);
		assert_int_equal(segments(db), 1);
		check_merged(db);
	}
	close_database(db);
}

/* The list of hidden labels: lost, impossible, and one that contradicts the files. */
static void
list_damaged(void **unused)
{
	static const char *const damages[] = {
		"DELETE FROM vss_config WHERE key = 'hidden'",
		"UPDATE vss_config SET value = x'00112233445566' WHERE key = 'hidden'",
		"UPDATE vss_config SET value = x'02000000000000000100000000000000' WHERE key = 'hidden'",
		"UPDATE vss_config SET value = 'text' WHERE key = 'hidden'",
	};
	sqlite3 *db = make_merged(ROWS);

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++)
	{
		update_rows(db, 1, 60, (int) i + 1);
		save(db);
		assert_int_equal(segments(db), 2);
		run_sql(db, "%s", damages[i]);
		reopen(&db);
		check_answers(db);
		assert_string_equal(get_info(db, "$.graph.state"), "corrupt");
		assert_non_null(strstr(get_text(db, "SELECT hnsw_check()"), "hidden rows is damaged"));
		assert_int_equal(save(db), ROWS);
		check_merged(db);
	}
	/* row 2 no more hidden: it would come twice */
	update_rows(db, 1, 2, 9);
	save(db);
	run_sql(db, "UPDATE vss_config SET value = x'0100000000000000' WHERE key = 'hidden'");
	reopen(&db);
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "row 2: twice in the index");
	/* row 3 hidden, which nothing replaces */
	run_sql(db, "UPDATE vss_config SET value = x'010000000000000002000000000000000300000000000000'"
				" WHERE key = 'hidden'");
	reopen(&db);
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "row 3: not in the index");
	/* a row that the base never had */
	run_sql(db, "UPDATE vss_config SET value = x'01000000000000000200000000000000ffffff0000000000'"
				" WHERE key = 'hidden'");
	reopen(&db);
	assert_string_equal(get_text(db, "SELECT hnsw_check()"),
						"graph: row 16777215 is hidden in the base, which does not hold it");
	get_number(db, "SELECT hnsw_rebuild()");
	check_merged(db);
	close_database(db);
}

/* A merge behind the base, of one behind it, and of both into a new base. */
static void
killed_at_each_step(void **unused)
{
	static const char *const steps[] = {"1", "1+", "2", "2+", "3", "3+", "4", "4+"};
	sqlite3 *db = make_merged(ROWS);

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		for (int round = 0; round < 3; round++)
		{
			bool done = steps[i][0] > '2' || strcmp(steps[i], "2+") == 0;
			char *token = base_token(db);

			update_rows(db, round < 2 ? 1 : 1000, round < 2 ? 60 : 1300, (int) i * 3 + round + 1);
			run_sql(db, "DELETE FROM documents WHERE id = %d", 2000 + (int) i * 3 + round);
			close_database(db);
			if (!merge_and_die(steps[i]))
				fail_msg("a merge came past step %s", steps[i]);
			db = open_database(folder, "a.db", NULL);
			check_graph_used(db);
			if (done)
			{
				assert_string_equal(get_info(db, "$.delta_rows"), "0");
				assert_int_equal(segments(db), round < 2 ? 2 : 1);
			}
			assert_true((strcmp(get_info(db, "$.graph.token"), token) == 0) == (round < 2 || !done));
			save(db);
			check_merged(db);
			assert_int_equal(segments(db), round < 2 ? 2 : 1);
			free(token);
		}
	/* <path>, base and recent, what was current before, and the lock */
	save(db);
	update_rows(db, 1, 1, 99);
	save(db);
	update_rows(db, 1, 1, 100);
	save(db);
	assert_int_equal(count_files("a.idx"), 5);
	close_database(db);
}

static void
renamed_and_dropped(void **unused)
{
	sqlite3 *db = make_merged(ROWS);

	run_sql(db, "DROP TABLE vss");
	assert_int_equal(count_files("a.idx"), 1); /* the lock's */
	run_sql(db, "CREATE VIRTUAL TABLE vss USING hnsw(dim = 4, metric = l2, content = documents,"
				" content_vector = embedding)");
	save(db);
	update_rows(db, 1, 60, 1);
	save(db);
	assert_int_equal(segments(db), 2);
	run_sql(db, "ALTER TABLE vss RENAME TO other");
	reopen(&db);
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	assert_string_equal(get_text(db, "SELECT hnsw_info() ->> '$.graph.state'"), "used");
	assert_int_equal(segments(db), 2);
	assert_true(index_equals(db, "other", "l2_distance", "[10,500,300,7]", "documents", "id", "embedding"));
	close_database(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FOLDER_TEST(base_stays),          FOLDER_TEST(random_changes), FOLDER_TEST(older_view),
		FOLDER_TEST(file_lost),           FOLDER_TEST(list_damaged),   FOLDER_TEST(killed_at_each_step),
		FOLDER_TEST(renamed_and_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
