/*
 * test_bridge_unplaced.c
 *		Rows without a distance, asked for with strategy 'unplaced': they are those of the
 *		table whatever happened to it, and found by the list that merges keep.
 */
#define _GNU_SOURCE
#include "merge_support.h"

#include <stdarg.h>

#define ROWS 2600 /* the base stays for 160 of them */
#define ZERO "[0,0,0,0]"

/* SQL with names filled in; the last four stay valid. */
static const char *
text_of(const char *format, ...)
{
	static char text[4][512];
	static int turn;
	va_list args;

	turn = (turn + 1) % 4;
	va_start(args, format);
	vsnprintf(text[turn], sizeof(text[turn]), format, args);
	va_end(args);
	return text[turn];
}

static uint64_t seed;

static int
draw(int below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (int) ((seed >> 33) % (uint64_t) below);
}

/* A vector, NULL or zero, as an SQL literal. */
static const char *
some_vector(int id)
{
	static char text[96];

	switch (draw(6))
	{
		case 0:
			return "NULL";
		case 1:
			return "'" ZERO "'";
		default:
			snprintf(text, sizeof(text), "'[%d,%d,%d,%d]'", id * 7919 % 1009 - 500, draw(1000), draw(1000),
					 id % 17);
			return text;
	}
}

static void
change_rows(sqlite3 *db, const char *table, const char *key, int count)
{
	run_sql(db, "BEGIN");
	for (int i = 0; i < count; i++)
	{
		int id = 1 + draw(ROWS + ROWS / 20);

		if (draw(5) == 0)
			run_sql(db, "DELETE FROM %s WHERE %s = %d", table, key, id);
		else if (get_number(db, text_of("SELECT count(*) FROM %s WHERE %s = %d", table, key, id)) > 0)
			run_sql(db, "UPDATE %s SET embedding = %s WHERE %s = %d", table, some_vector(id), key, id);
		else
			run_sql(db, "INSERT INTO %s(%s, embedding) VALUES(%d, %s)", table, key, id, some_vector(id));
	}
	run_sql(db, "COMMIT");
}

/* The rows asked for are the table's, for a query with a direction and for one without. */
static void
check_unplaced(sqlite3 *db, const char *truth, const char *unplaced)
{
	char *expected;

	expected = strdup(get_text(
		db, text_of("SELECT coalesce(group_concat(id), '') FROM (SELECT id FROM (%s) WHERE %s ORDER BY id)",
					truth, unplaced)));
	assert_string_equal(get_text(db, "SELECT coalesce(group_concat(rowid), '') FROM (SELECT rowid FROM"
									 " vss('[1,2,3,4]', NULL, NULL, 'unplaced') ORDER BY rowid)"),
						expected);
	free(expected);
	expected = strdup(get_text(db, text_of("SELECT count(*) || ' ' || total(id) FROM (%s)", truth)));
	assert_string_equal(
		get_text(db, "SELECT count(*) || ' ' || total(rowid) FROM vss(NULL, NULL, NULL, 'unplaced')"),
		expected);
	free(expected);
}

static int64_t
listed(sqlite3 *db)
{
	return get_number(
		db, "SELECT coalesce((SELECT length(value) / 8 - 1 FROM vss_config WHERE key = 'unplaced'), -1)");
}

static const char content_truth[] = "SELECT id, embedding FROM documents";
static const char zero_or_null[] = "embedding IS NULL OR embedding = '" ZERO "'";

static sqlite3 *
make_content(const char *metric)
{
	sqlite3 *db = open_database(folder, "a.db", NULL);

	run_sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
	run_sql(db, "CREATE TABLE documents(id INTEGER PRIMARY KEY, embedding TEXT)");
	run_sql(db,
			"CREATE VIRTUAL TABLE vss USING hnsw(dim = 4, metric = %s, m = 8, ef = 40, content = documents,"
			" content_vector = embedding)",
			metric);
	return db;
}

static void
random_changes(void **unused)
{
	sqlite3 *db = make_content("cosine");

	seed = 1;
	change_rows(db, "documents", "id", 2 * ROWS);
	check_unplaced(db, content_truth, zero_or_null);
	assert_int_equal(listed(db), -1); /* no merge has listed them */
	for (int round = 0; round < 12; round++)
	{
		/* a recent segment, a new base, and the truth */
		static const int sizes[] = {30, 60, 500, 2000};

		save(db);
		check_unplaced(db, content_truth, zero_or_null);
		assert_int_equal(listed(db),
						 get_number(db, text_of("SELECT count(*) FROM documents WHERE %s", zero_or_null)));
		assert_string_equal(get_text(db, "SELECT hnsw_check('vss')"), "ok");
		change_rows(db, "documents", "id", sizes[round % 4]);
		check_unplaced(db, content_truth, zero_or_null);
		assert_string_equal(get_text(db, "SELECT hnsw_check('vss')"), "ok");
	}
	close_database(db);
}

/* Without a content table; the changes of deleted and empty rows look alike. */
static void
own_vectors(void **unused)
{
	static const char truth[] = "SELECT rowid AS id, vector FROM vss_vectors";
	static const char unplaced[] = "vector IS NULL OR vector = zeroblob(16)";
	sqlite3 *db = open_database(folder, "b.db", NULL);

	run_sql(db, "PRAGMA synchronous = OFF; CREATE VIRTUAL TABLE vss USING hnsw(dim = 4, m = 8, ef = 40)");
	seed = 2;
	change_rows(db, "vss", "rowid", 2 * ROWS);
	for (int round = 0; round < 4; round++)
	{
		save(db);
		check_unplaced(db, truth, unplaced);
		assert_int_equal(listed(db),
						 get_number(db, text_of("SELECT count(*) FROM vss_vectors WHERE %s", unplaced)));
		change_rows(db, "vss", "rowid", round % 2 == 0 ? 40 : 300);
		check_unplaced(db, truth, unplaced);
		assert_string_equal(get_text(db, "SELECT hnsw_check('vss')"), "ok");
	}
	close_database(db);
}

/* Vectors of length zero have a Euclidean distance. */
static void
by_metric(void **unused)
{
	sqlite3 *db = make_content("l2");

	seed = 3;
	change_rows(db, "documents", "id", ROWS);
	save(db);
	check_unplaced(db, content_truth, "embedding IS NULL");
	assert_int_equal(listed(db), get_number(db, "SELECT count(*) FROM documents WHERE embedding IS NULL"));
	close_database(db);
}

/* What no trigger saw is found by comparing. */
static void
unseen_changes(void **unused)
{
	sqlite3 *db = make_content("cosine");
	sqlite3 *plain;

	seed = 4;
	change_rows(db, "documents", "id", ROWS);
	save(db);
	run_sql(db, "CREATE TABLE copy(id INTEGER PRIMARY KEY, embedding TEXT)");
	run_sql(db, "INSERT INTO copy SELECT id, CASE id %% 50 WHEN 0 THEN NULL WHEN 1 THEN '" ZERO
				"' ELSE embedding END FROM documents");
	close_database(db);
	plain = open_plain(folder, "a.db");
	run_sql(plain, "DROP TABLE documents; ALTER TABLE copy RENAME TO documents");
	close_database(plain);
	db = open_database(folder, "a.db", NULL);
	check_unplaced(db, content_truth, zero_or_null);
	save(db);
	check_unplaced(db, content_truth, zero_or_null);
	assert_int_equal(listed(db),
					 get_number(db, text_of("SELECT count(*) FROM documents WHERE %s", zero_or_null)));
	close_database(db);
}

/* The list is asked, and only where it is of this graph; hnsw_check knows what it should have. */
static void
list_is_used(void **unused)
{
	sqlite3 *db = make_content("cosine");

	seed = 5;
	change_rows(db, "documents", "id", ROWS);
	save(db);
	assert_true(listed(db) > 100);
	assert_int_equal(get_number(db, "SELECT count(*) FROM vss('[1,2,3,4]', 7, NULL, 'unplaced')"), 7);
	assert_int_equal(
		get_number(db,
				   "SELECT count(*) FROM vss('[1,2,3,4]', NULL, NULL, 'unplaced') WHERE distance IS NULL"),
		listed(db));
	assert_int_equal(
		get_number(db, "SELECT count(*) FROM vss('[1,2,3,4]', NULL, NULL, 'unplaced') WHERE distance < 1"),
		0);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	run_sql(db, "CREATE TABLE kept AS SELECT value FROM vss_config WHERE key = 'unplaced'");
	/* a list without labels, of the same position: nothing else is looked at */
	run_sql(db, "UPDATE vss_config SET value = CAST(substr(value, 1, 8) AS BLOB) WHERE key = 'unplaced'");
	assert_int_equal(get_number(db, "SELECT count(*) FROM vss('[1,2,3,4]', NULL, NULL, 'unplaced')"), 0);
	assert_non_null(
		strstr(get_text(db, "SELECT hnsw_check('vss')"), "not in the list of rows without a vector"));
	/* of another position, damaged, or gone: the table is walked */
	run_sql(db, "UPDATE vss_config SET value = CAST(x'0000000000000001' AS BLOB) WHERE key = 'unplaced'");
	check_unplaced(db, content_truth, zero_or_null);
	run_sql(db, "UPDATE vss_config SET value = x'00' WHERE key = 'unplaced'");
	check_unplaced(db, content_truth, zero_or_null);
	run_sql(db, "DELETE FROM vss_config WHERE key = 'unplaced'");
	check_unplaced(db, content_truth, zero_or_null);
	assert_string_equal(get_text(db, "SELECT hnsw_check('vss')"), "ok");
	close_database(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FOLDER_TEST(random_changes), FOLDER_TEST(own_vectors),  FOLDER_TEST(by_metric),
		FOLDER_TEST(unseen_changes), FOLDER_TEST(list_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
