/*
 * test_bridge_keys.c
 *		content= over WITHOUT ROWID tables: rows are known by their keys.
 *
 * Keys are texts of either case beside numbers, blobs and numbers that look like texts, in one
 * column or several, with collations and affinities.  After each step the index, read as a stream to
 * its end, has the keys and distances of the table, and joins with it by key.
 * test/campaign/follow.c does the same with migrations and restored copies.
 */
#define _GNU_SOURCE
#include "bridge_folder.h"

typedef struct Table
{
	const char *columns;
	int keys;
	const char *names[8];
} Table;

static const Table tables[] = {
	{"(a TEXT PRIMARY KEY, n INT UNIQUE, v) WITHOUT ROWID", 1, {"a"}},
	{"(a TEXT COLLATE NOCASE, b, n INT UNIQUE, v, PRIMARY KEY(a, b)) WITHOUT ROWID", 2, {"a", "b"}},
	{"(v, b NUMERIC, a BLOB, n INT, PRIMARY KEY(a DESC, b)) WITHOUT ROWID", 2, {"a", "b"}},
	{"(a, \"b \"\"x\"\"\" REAL, n INT, v, PRIMARY KEY(\"b \"\"x\"\"\", a COLLATE RTRIM)) WITHOUT ROWID",
	 2,
	 {"b \"x\"", "a"}},
	{"(a INTEGER PRIMARY KEY, n INT UNIQUE, v) WITHOUT ROWID", 1, {"a"}},
};

#define TABLES ((int) (sizeof(tables) / sizeof(tables[0])))

static Random dice;

static int
pick(int n)
{
	return (int) (random_bits(&dice) % (uint64_t) n);
}

static void
add_key(sqlite3_str *sql, bool integer)
{
	static const char *const texts[] = {"'k%d'",   "'K%d'", "'k%d '", "%d",    "'%d'",
										"x'%02d'", "%d.0",  "%d.5",   "'k%d'", "'  %d'"};

	sqlite3_str_appendf(sql, integer ? "%d" : texts[pick(10)], 1 + pick(9));
}

static void
add_vector(sqlite3_str *sql)
{
	if (pick(12) == 0)
		sqlite3_str_appendall(sql, pick(2) ? "NULL" : "'nonsense'");
	else
		sqlite3_str_appendf(sql, "'[%d,%d]'", pick(7) - 3, pick(9));
}

/* One statement of any kind. */
static char *
make_statement(const Table *table)
{
	static const char *const clauses[] = {"", "OR REPLACE ", "OR IGNORE ", "OR REPLACE "};
	sqlite3_str *sql = sqlite3_str_new(NULL);
	bool integer = strstr(table->columns, "INTEGER PRIMARY") != NULL;

	switch (pick(8))
	{
		case 0:
			sqlite3_str_appendf(sql, "DELETE FROM d WHERE n = %d", pick(20));
			break;
		case 1:
			sqlite3_str_appendf(sql, "UPDATE %sd SET v = ", clauses[pick(4)]);
			add_vector(sql);
			sqlite3_str_appendf(sql, " WHERE n %% 5 = %d", pick(5));
			break;
		case 2:
			sqlite3_str_appendf(sql, "UPDATE %sd SET \"%w\" = ", clauses[pick(4)],
								table->names[pick(table->keys)]);
			add_key(sql, integer);
			sqlite3_str_appendf(sql, " WHERE n = %d", pick(20));
			break;
		case 3:
			sqlite3_str_appendf(sql, "UPDATE %sd SET n = %d WHERE n = %d", clauses[pick(4)], pick(20),
								pick(20));
			break;
		default:
			sqlite3_str_appendf(sql, "INSERT %sINTO d(n, v", clauses[pick(4)]);
			for (int i = 0; i < table->keys; i++)
				sqlite3_str_appendf(sql, ", \"%w\"", table->names[i]);
			sqlite3_str_appendf(sql, ") VALUES (%d, ", pick(20));
			add_vector(sql);
			for (int i = 0; i < table->keys; i++)
			{
				sqlite3_str_appendall(sql, ", ");
				add_key(sql, integer);
			}
			sqlite3_str_appendall(sql, ")");
	}
	return sqlite3_str_finish(sql);
}

/* Keys as they are stored and distances, of the index and of the table. */
static void
check(sqlite3 *db, const char *index, const Table *table, const char *arguments, const char *log)
{
	sqlite3_str *found = sqlite3_str_new(NULL);
	sqlite3_str *expected = sqlite3_str_new(NULL);
	sqlite3_str *join = sqlite3_str_new(NULL);
	char *texts[3];
	char *sql;

	for (int i = 0; i < table->keys; i++)
	{
		/* 3 and 3.0 are one key */
		sqlite3_str_appendf(
			found, "quote(CASE typeof(k%d) WHEN 'integer' THEN k%d + 0.0 ELSE k%d END) || ' ' || ", i, i, i);
		sqlite3_str_appendf(
			expected,
			"quote(CASE typeof(\"%w\") WHEN 'integer' THEN \"%w\" + 0.0 ELSE \"%w\" END) || ' ' || ",
			table->names[i], table->names[i], table->names[i]);
		sqlite3_str_appendf(join, "%sd.\"%w\" = k.k%d", i > 0 ? " AND " : "", table->names[i], i);
	}
	texts[0] = sqlite3_str_finish(found);
	texts[1] = sqlite3_str_finish(expected);
	texts[2] = sqlite3_str_finish(join);
	sql = sqlite3_mprintf(
		"WITH f AS (SELECT %s printf('%%.6f', distance) AS x FROM \"%w\"('[1,2]'%s)), e AS (SELECT %s"
		" printf('%%.6f', l2_distance(v, '[1,2]')) AS x FROM d WHERE v LIKE '[%%'),"
		" j AS (SELECT d.n FROM \"%w\"('[1,2]'%s) AS k CROSS JOIN d ON %s)"
		" SELECT (SELECT count(*) FROM f) || ' ' || (SELECT count(*) FROM j) || ' ' || (SELECT count(*) FROM "
		"e)"
		" || ' ' || coalesce((SELECT group_concat(x, '; ') FROM (SELECT x FROM f EXCEPT SELECT x FROM e)), "
		"'') || '/'"
		" || coalesce((SELECT group_concat(x, '; ') FROM (SELECT x FROM e EXCEPT SELECT x FROM f)), '')",
		texts[0], index, arguments, texts[1], index, arguments, texts[2]);
	{
		char answer[2000];
		int n = (int) get_number(db, "SELECT count(*) FROM d WHERE v LIKE '[%'");
		char wanted[64];

		snprintf(answer, sizeof(answer), "%s", get_text(db, "%s", sql));
		snprintf(wanted, sizeof(wanted), "%d %d %d /", n, n, n);
		if (strcmp(answer, wanted) != 0)
			fail_msg("%s: %s, not %s\n%s", table->columns, answer, wanted, log);
	}
	for (int i = 0; i < 3; i++)
		sqlite3_free(texts[i]);
	sqlite3_free(sql);
}

static void
random_dml(int which, bool file, uint64_t seed)
{
	const Table *table = &tables[which];
	sqlite3 *db = open_database(file ? folder : NULL, file ? "t.db" : ":memory:", NULL);
	sqlite3 *plain = file ? open_plain(folder, "t.db") : db;
	char log[3000] = "";
	int done = 0;

	dice = (Random){seed};
	run_sql(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL; CREATE TABLE d%s", table->columns);
	run_sql(db, "CREATE VIRTUAL TABLE x USING hnsw(dim = 2, metric = l2, content = d, content_vector = v)");
	run_sql(plain, "PRAGMA synchronous = OFF");
	for (int step = 0; step < 400; step++)
	{
		sqlite3 *writer = pick(3) == 0 ? plain : db;
		char *sql = make_statement(table);
		int kind = pick(40);

		if (sqlite3_get_autocommit(db) == 0 && kind < 8)
			run_sql(db, kind < 4 ? "COMMIT" : "ROLLBACK");
		else if (kind == 0 && sqlite3_get_autocommit(db))
			run_sql(db, "BEGIN");
		else if (kind < 4 && sqlite3_get_autocommit(db))
			run_sql(db, kind == 1 ? "SELECT hnsw_rebuild()" : "SELECT hnsw_save()");
		if (!sqlite3_get_autocommit(db))
			writer = db;
		if (strlen(log) > 2600)
			memmove(log, log + 800, strlen(log) - 800 + 1);
		snprintf(log + strlen(log), sizeof(log) - strlen(log), "%d: %s;\n", kind, sql);
		done += try_sql(writer, "%s", sql) == SQLITE_OK;
		sqlite3_free(sql);
		check(db, "x", table, pick(4) == 0 ? ", NULL, NULL, 'exact'" : "", log);
		if (step % 20 == 0 && strstr(get_text(db, "SELECT hnsw_check()"), "index") != NULL)
			fail_msg("%s\n%s", get_text(db, "SELECT hnsw_check()"), log);
	}
	assert_true(done > 100);
	if (!sqlite3_get_autocommit(db))
		run_sql(db, "COMMIT");
	if (file)
	{
		run_sql(db, "ALTER TABLE x RENAME TO \"y z\"");
		/* nobody holds what is gone for ever */
		run_sql(db, "SELECT hnsw_rebuild()");
		assert_true(get_number(db, "SELECT count(*) FROM \"y z_keys\"") <=
					1 + get_number(db, "SELECT count(*) FROM d"));
		check(db, "y z", table, "", log);
		run_sql(db, "DROP TABLE \"y z\"");
		assert_int_equal(get_number(db, "SELECT count(*) FROM sqlite_schema WHERE sql IS NOT NULL"), 1);
		close_database(plain);
	}
	close_database(db);
}

static void
random_dml_in_memory(void **unused)
{
	for (int i = 0; i < TABLES; i++)
		random_dml(i, false, (uint64_t) (100 + i));
}

static void
random_dml_in_a_file(void **unused)
{
	for (int i = 0; i < TABLES; i++)
	{
		setup_folder(NULL);
		random_dml(i, true, (uint64_t) (200 + i));
		teardown_folder(NULL);
	}
}

/* What there is to a row: its rowid, key and vector, before and after a merge; conditions on them; long keys. */
static void
rows(void **unused)
{
	sqlite3 *db = open_database(folder, "t.db", NULL);
	const char *list = "SELECT group_concat(hnsw_label('x', a)) FROM d WHERE a IN ('b', 'c')";

	run_sql(db, "CREATE TABLE d(a TEXT PRIMARY KEY, v) WITHOUT ROWID;"
				"INSERT INTO d VALUES ('a', '[0,1]'), ('b', '[0,2]'), ('c', '[0,3]');"
				"INSERT INTO d VALUES (replace(hex(zeroblob(100000)), '00', 'long'), '[0,4]');"
				"CREATE VIRTUAL TABLE x USING hnsw(dim = 2, metric = l2, content = d, content_vector = v)");
	for (int merged = 0; merged < 3; merged++)
	{
		if (merged == 1)
			run_sql(db, "SELECT hnsw_save()");
		if (merged == 2)
			run_sql(db, "INSERT OR REPLACE INTO d VALUES ('b', '[0,2]'), ('e', '[0,5]')");
		assert_string_equal(get_text(db, "SELECT group_concat(substr(k0, 1, 1), '') FROM x('[0,0]', 4)"),
							"abcl");
		assert_int_equal(get_number(db, "SELECT max(length(k0)) FROM vss_knn('[0,0]', 4)"), 400000);
		assert_string_equal(get_text(db,
									 "SELECT group_concat(k0, '') FROM x('[0,0]', 9) WHERE rowid IN (SELECT "
									 "hnsw_label('x', a) FROM d WHERE a IN ('b', 'c', 'none'))"),
							"bc");
		assert_string_equal(get_text(db, "SELECT group_concat(k0, '') FROM x('[0,0]') WHERE rowid IN (SELECT "
										 "hnsw_label('x', a) FROM d WHERE a = 'c')"),
							"c");
		assert_string_equal(get_text(db, "SELECT embedding FROM x WHERE rowid = hnsw_label('x', 'b')"),
							"[0,2]");
		assert_string_equal(get_text(db, "SELECT k0 FROM x WHERE rowid = hnsw_label('x', 'b')"), "b");
		assert_string_equal(get_text(db, "SELECT embedding FROM x('[0,0]', 9) WHERE k0 = 'c'"), "[0,3]");
		assert_int_equal(get_number(db, "SELECT count(*) FROM x AS s JOIN x AS t ON s.rowid = t.rowid"),
						 merged == 2 ? 5 : 4);
		assert_string_equal(get_text(db,
									 "SELECT group_concat(r) FROM (SELECT rowid = max(rowid) OVER (ORDER BY "
									 "rowid) AS r FROM x ORDER BY rowid)"),
							merged == 2 ? "1,1,1,1,1" : "1,1,1,1");
		assert_string_equal(get_text(db, "SELECT hnsw_recall(3, 3, 'x')"), "1.0");
		assert_true(strlen(get_text(db, "%s", list)) > 2);
	}
	assert_int_equal(try_sql(db, "SELECT hnsw_label('x')"), SQLITE_ERROR);
	assert_int_equal(try_sql(db, "SELECT hnsw_label('x', 1, 2)"), SQLITE_ERROR);
	close_database(db);
}

/* The table is made anew, with the same key, with another, and with rowids. */
static void
migrated(void **unused)
{
	static const Table first = {"", 1, {"a"}};
	static const Table second = {"", 2, {"a", "n"}};
	sqlite3 *db = open_database(folder, "t.db", NULL);
	sqlite3 *plain = open_plain(folder, "t.db");

	run_sql(
		db,
		"CREATE TABLE d(a TEXT PRIMARY KEY, n, v) WITHOUT ROWID;"
		"CREATE VIRTUAL TABLE x USING hnsw(dim = 2, metric = l2, content = d, content_vector = v);"
		"INSERT INTO d VALUES ('a', 1, '[0,1]'), ('b', 2, '[0,2]'), ('c', 3, '[0,3]'); SELECT hnsw_save()");
	run_sql(plain, "CREATE TABLE e(a TEXT PRIMARY KEY, n, v) WITHOUT ROWID; INSERT INTO e SELECT * FROM d;"
				   "DROP TABLE d; ALTER TABLE e RENAME TO d; UPDATE d SET v = '[7,7]' WHERE a = 'b'");
	check(db, "x", &first, "", "");
	assert_string_equal(get_text(db, "SELECT hnsw_info() ->> 'follow'"), "triggers_missing");
	run_sql(db, "SELECT hnsw_save()");
	assert_string_equal(get_text(db, "SELECT hnsw_info() ->> 'follow'"), "followed");
	check(db, "x", &first, "", "");

	run_sql(plain,
			"CREATE TABLE e(a TEXT, n, v, PRIMARY KEY(a, n)) WITHOUT ROWID; INSERT INTO e SELECT * FROM d;"
			"DROP TABLE d; ALTER TABLE e RENAME TO d; INSERT INTO d VALUES ('b', 7, '[7,8]')");
	check(db, "x", &second, "", "");
	run_sql(db, "SELECT hnsw_save()");
	assert_string_equal(get_text(db, "SELECT hnsw_info() ->> 'follow'"), "followed");
	check(db, "x", &second, "", "");
	run_sql(plain, "UPDATE d SET n = 8 WHERE n = 7");
	check(db, "x", &second, "", "");

	run_sql(plain, "CREATE TABLE e(a TEXT PRIMARY KEY, n, v); INSERT OR REPLACE INTO e SELECT * FROM d;"
				   "DROP TABLE d; ALTER TABLE e RENAME TO d");
	for (int merged = 0; merged < 2; merged++)
	{
		assert_true(index_equals(db, "x", "l2_distance", "[1,2]", "d", "rowid", "v"));
		run_sql(db, "SELECT hnsw_save()");
		assert_string_equal(get_text(db, "SELECT hnsw_info() ->> 'follow'"), "followed");
		assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	}
	assert_int_equal(get_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'x_keys'"), 0);

	run_sql(plain, "CREATE TABLE e(a TEXT PRIMARY KEY, n, v) WITHOUT ROWID; INSERT INTO e SELECT * FROM d;"
				   "DROP TABLE d; ALTER TABLE e RENAME TO d; UPDATE d SET v = '[7,7]' WHERE a = 'a'");
	check(db, "x", &first, "", "");
	run_sql(db, "SELECT hnsw_save()");
	assert_string_equal(get_text(db, "SELECT hnsw_info() ->> 'follow'"), "followed");
	check(db, "x", &first, "", "");
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	close_database(plain);
	close_database(db);
}

/* Rows that got a label while a reader knew them by one of its own, and enough of them for several batches. */
static void
labelled_later(void **unused)
{
	sqlite3 *db = open_database(folder, "t.db", NULL);
	sqlite3 *other = open_database(folder, "t.db", NULL);
	const char *add =
		"WITH RECURSIVE i(n) AS (SELECT %d UNION ALL SELECT n + 1 FROM i WHERE n < %d) INSERT INTO d"
		" SELECT 'key ' || n, n %% 7, n, '[' || (n %% 83) || ',' || (n %% 61) || ']' FROM i";
	static const Table table = {"", 2, {"a", "b"}};

	run_sql(db, "PRAGMA journal_mode = WAL; CREATE TABLE d(a, b, n INT, v, PRIMARY KEY(a, b)) WITHOUT ROWID;"
				"CREATE VIRTUAL TABLE x USING hnsw(dim = 2, metric = l2, m = 4, ef = 20, content = d, "
				"content_vector = v)");
	run_sql(db, add, 1, 5000);
	run_sql(other, "SELECT hnsw_save()");
	check(db, "x", &table, "", "");
	for (int i = 0; i < 6; i++)
	{
		run_sql(db, add, 5001 + 10 * i, 5010 + 10 * i);
		check(db, "x", &table, "", "");
		/* labels and no graph: what a merge leaves that is killed before it publishes */
		run_sql(db, "INSERT INTO x_keys SELECT NULL, a, b FROM d WHERE n = %d", 5001 + 10 * i);
		run_sql(db, "UPDATE d SET v = '[0,0]' WHERE n = %d", 5001 + 10 * i);
		check(db, "x", &table, "", "");
		if (i % 2)
			run_sql(other, "SELECT hnsw_save()");
		run_sql(db, "DELETE FROM d WHERE n = %d", 100 * i + 3);
		check(db, "x", &table, "", "");
	}
	run_sql(other, "DELETE FROM d WHERE n > 2500; SELECT hnsw_save()");
	check(db, "x", &table, "", "");
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	assert_true(get_number(db, "SELECT count(*) FROM x_keys") <= 2501);
	close_database(other);
	close_database(db);
}

static int
compare_backwards(void *unused, int a_length, const void *a, int b_length, const void *b)
{
	int order = memcmp(b, a, (size_t) (a_length < b_length ? a_length : b_length));

	return order != 0 ? order : b_length - a_length;
}

/* A merge's connection has no collation of the owner's: rows with rowids need none, nor do databases without a file. */
static void
refuses_collations(void **unused)
{
	for (int file = 0; file < 2; file++)
	{
		sqlite3 *db = file ? open_database(folder, "t.db", NULL) : open_database(NULL, ":memory:", NULL);

		assert_int_equal(sqlite3_create_collation(db, "LOCALIZED", SQLITE_UTF8, NULL, compare_backwards),
						 SQLITE_OK);
		run_sql(db,
				"CREATE TABLE own(a TEXT COLLATE LOCALIZED, b, v, PRIMARY KEY(b, a)) WITHOUT ROWID;"
				"CREATE TABLE named(a TEXT, v, PRIMARY KEY(a COLLATE LOCALIZED)) WITHOUT ROWID;"
				"CREATE TABLE known(a TEXT COLLATE nocase, b TEXT COLLATE rtrim, v, PRIMARY KEY(a, b)) "
				"WITHOUT ROWID;"
				"CREATE TABLE numbered(a TEXT COLLATE LOCALIZED PRIMARY KEY, v);"
				"INSERT INTO own VALUES ('a', 'b', '[1,2]'); INSERT INTO named VALUES ('a', '[1,2]');"
				"INSERT INTO known VALUES ('a', 'b', '[1,2]'); INSERT INTO numbered VALUES ('a', '[1,2]')");
		for (int i = 0; i < 4; i++)
		{
			static const char *const tables[] = {"own", "named", "known", "numbered"};
			char sql[200];

			snprintf(sql, sizeof(sql),
					 "CREATE VIRTUAL TABLE y USING hnsw(dim = 2, content = %s, content_vector = v)",
					 tables[i]);
			if (file && i < 2)
			{
				assert_int_equal(try_sql(db, sql), SQLITE_ERROR);
				assert_non_null(strstr(sqlite3_errmsg(db), "has collation LOCALIZED"));
				continue;
			}
			run_sql(db, sql);
			assert_int_equal(get_number(db, "SELECT hnsw_save('y')"), 1);
			run_sql(db, "DROP TABLE y");
		}
		close_database(db);
	}
}

static void
refused(void **unused)
{
	sqlite3 *db = open_database(NULL, ":memory:", NULL);

	run_sql(
		db,
		"CREATE TABLE d(a, b, c, d, e, f, g, h, i, v, PRIMARY KEY(a, b, c, d, e, f, g, h, i)) WITHOUT ROWID;"
		"CREATE TABLE e(a PRIMARY KEY, v) WITHOUT ROWID");
	assert_int_equal(
		try_sql(db, "CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = d, content_vector = v)"),
		SQLITE_ERROR);
	assert_non_null(strstr(sqlite3_errmsg(db), "9 columns"));
	assert_int_equal(
		try_sql(db, "CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = e, content_vector = a)"),
		SQLITE_ERROR);
	assert_int_equal(
		try_sql(
			db,
			"CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = e, content_vector = v, content_rowid = v)"),
		SQLITE_ERROR);
	run_sql(db,
			"CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = e, content_vector = v, content_rowid = a)");
	assert_int_equal(try_sql(db, "INSERT INTO x(rowid, embedding) VALUES (1, '[1,2]')"),
					 SQLITE_CONSTRAINT_VTAB);
	run_sql(db, "INSERT INTO e VALUES ('a', '[1,2]'); SELECT hnsw_save(); UPDATE x SET embedding = '[2,2]'");
	assert_string_equal(get_text(db, "SELECT k0 FROM x('[2,2]')"), "a");
	close_database(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FOLDER_TEST(rows),
		FOLDER_TEST(migrated),
		FOLDER_TEST(labelled_later),
		cmocka_unit_test(refused),
		FOLDER_TEST(refuses_collations),
		cmocka_unit_test(random_dml_in_memory),
		cmocka_unit_test(random_dml_in_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
