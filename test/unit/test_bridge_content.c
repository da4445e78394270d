/*
 * test_bridge_content.c
 *		content=: names, keys, schemas that change, what the evidence of triggers
 *		finds, and what former versions left.  test_bridge_content_random.c writes
 *		at random.
 */
#define _GNU_SOURCE
#include "bridge_support.h"

/* Every kind of name is quoted. */
static void
odd_names(void **unused)
{
	sqlite3 *db = open_database(NULL, ":memory:", NULL);

	run_sql(db, "CREATE TABLE \"a \"\"b\"\" ' table\"(\"select\" INTEGER PRIMARY KEY, \"x'y\"\"z\" TEXT,"
				" \"c\" INT UNIQUE, \"group by\" INT, UNIQUE(\"c\", \"group by\"))");
	run_sql(db, "CREATE VIRTUAL TABLE \"my \"\"index\"\" 'x\" USING hnsw(dim=2, content='a \"b\" '' table',"
				" content_rowid=\"select\", content_vector='x''y\"z')");
	run_sql(db, "INSERT INTO \"a \"\"b\"\" ' table\" VALUES(1, '[1,2]', 5, 6), (2, '[2,1]', 6, 6)");
	run_sql(db, "INSERT OR REPLACE INTO \"a \"\"b\"\" ' table\" VALUES(3, '[3,1]', 5, 7)");
	run_sql(db, "UPDATE \"a \"\"b\"\" ' table\" SET \"select\" = 9 WHERE \"select\" = 2");
	assert_true(index_equals(db, "my \"index\" 'x", "cosine_distance", "[1,1]", "a \"b\" ' table", "select",
							 "x'y\"z"));
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	run_sql(db, "ALTER TABLE \"my \"\"index\"\" 'x\" RENAME TO \"other; DROP TABLE x --\"");
	run_sql(db, "INSERT OR REPLACE INTO \"a \"\"b\"\" ' table\" VALUES(4, '[4,1]', 5, 8)");
	assert_true(index_equals(db, "other; DROP TABLE x --", "cosine_distance", "[1,1]", "a \"b\" ' table",
							 "select", "x'y\"z"));
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	run_sql(db, "DROP TABLE \"other; DROP TABLE x --\"");
	assert_int_equal(get_number(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'"), 0);
	run_sql(db, "INSERT OR REPLACE INTO \"a \"\"b\"\" ' table\" VALUES(4, 'whatever', 5, 8)");
	close_database(db);
}

/* A unique index made later is noticed, and the next merge follows it. */
static void
later_unique_index(void **unused)
{
	char *folder = make_folder();
	sqlite3 *db = open_database(folder, "t.db", NULL);
	sqlite3 *plain = open_plain(folder, "t.db");

	run_sql(db, "CREATE TABLE d(id INTEGER PRIMARY KEY, u INT, v TEXT);"
				"CREATE VIRTUAL TABLE x USING hnsw(dim=2, content=d, content_vector=v);"
				"INSERT INTO d VALUES(1, 10, '[1,2]'), (2, 20, '[2,2]'); SELECT hnsw_save();");
	run_sql(plain, "CREATE UNIQUE INDEX late ON d(u); INSERT OR REPLACE INTO d VALUES(3, 10, '[3,2]');"
				   "UPDATE OR REPLACE d SET u = 10 WHERE id = 2");
	assert_true(index_equals(db, "x", "cosine_distance", "[1,1]", "d", "id", "v"));
	assert_non_null(strstr(get_text(db, "SELECT hnsw_check()"), "triggers_missing"));
	run_sql(db, "SELECT hnsw_save()");
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	run_sql(plain, "INSERT OR REPLACE INTO d VALUES(4, 10, '[4,2]')");
	assert_true(index_equals(db, "x", "cosine_distance", "[1,1]", "d", "id", "v"));
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	close_database(plain);
	close_database(db);
	remove_folder(folder);
}

/* Counts what SQLite looks at within views: the authorizer hears of the innermost view. */
static int
count_views(void *counter, int action, const char *a, const char *b, const char *schema, const char *view)
{
	if (view != NULL)
		++*(int *) counter;
	return SQLITE_OK;
}

/* A table's kind is found without working out what views of the database select. */
static void
no_view_is_expanded(void **unused)
{
	sqlite3 *db = open_database(NULL, ":memory:", NULL);
	int looks = 0;

	run_sql(db, "CREATE TABLE d(id INTEGER PRIMARY KEY, v TEXT);"
				"CREATE VIEW v0 AS SELECT id FROM d; CREATE VIEW v1 AS SELECT a.id FROM v0 a JOIN v0 b;"
				"CREATE VIEW v2 AS SELECT a.id FROM v1 a JOIN v1 b");
	sqlite3_set_authorizer(db, count_views, &looks);
	run_sql(db, "CREATE VIRTUAL TABLE x USING hnsw(dim=2, content=d, content_vector=v)");
	assert_int_equal(looks, 0);
	assert_int_equal(get_number(db, "SELECT count(*) FROM v2"), 0);
	assert_true(looks > 0);
	sqlite3_set_authorizer(db, NULL, NULL);
	close_database(db);
}

/* What SQLite itself says of the table, at its price. */
static void
check_kind(sqlite3 *db, const char *name)
{
	BridgeTableKind kind;
	char *told;

	assert_int_equal(bridge_table_kind(db, "main", name, &kind), SQLITE_OK);
	assert_non_null(kind.name);
	told = sqlite3_mprintf("%s|%s|%d|%d", kind.name,
						   kind.is_view      ? "view"
						   : kind.is_virtual ? "virtual"
											 : "table",
						   kind.without_rowid, kind.strict);
	assert_string_equal(told, get_text(db,
									   "SELECT name || '|' || type || '|' || wr || '|' || strict"
									   " FROM pragma_table_list(%Q) WHERE schema = 'main'",
									   name));
	sqlite3_free(told);
	sqlite3_free(kind.name);
}

static void
kinds_of_tables(void **unused)
{
	static const char *const names[] = {"plain",       "PLAIN", "s",    "w", "sw", "ws", "strict",
										"a(b) strict", "c",     "made", "v", "x",  "q",  "sqlite_master"};
	sqlite3 *db = open_database(NULL, ":memory:", NULL);
	BridgeTableKind kind;

	run_sql(db, "CREATE TABLE Plain(a, strict TEXT DEFAULT (') STRICT'), CHECK (a <> ')'));"
				"CREATE TABLE s(a INT) strict;"
				"CREATE TABLE w(a PRIMARY KEY)WITHOUT ROWID;"
				"CREATE TABLE sw(a INT PRIMARY KEY) STRICT/**/,-- )\nWITHOUT\nROWID;"
				"CREATE TABLE ws(a INT PRIMARY KEY) /* strict ( */ without/* */rowid , Strict;"
				"CREATE TABLE strict(without TEXT);"
				"CREATE TABLE \"a(b) strict\"([x) strict] INT, `y) without` INT) -- STRICT\n;"
				"CREATE TABLE c(a CHECK (a IN ((1), (2))), FOREIGN KEY(a) REFERENCES s(a));"
				"CREATE TABLE made AS SELECT 1 AS strict, 2 AS [)];"
				"CREATE VIEW v AS SELECT 1 AS a;"
				"CREATE VIRTUAL TABLE x USING hnsw(dim=2);"
				"CREATE TABLE q(a TEXT DEFAULT 'it''s ) strict', b BLOB DEFAULT x'29') /* ) STRICT");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_kind(db, names[i]);
	assert_int_equal(bridge_table_kind(db, "main", "none", &kind), SQLITE_OK);
	assert_null(kind.name);
	assert_int_equal(bridge_table_kind(db, "nowhere", "s", &kind), SQLITE_ERROR);
	assert_null(kind.name);
	close_database(db);
}

static const char *
follow(sqlite3 *db)
{
	return get_text(db, "SELECT hnsw_info() ->> 'follow'");
}

static const char *
graph_token(sqlite3 *db)
{
	return get_text(db, "SELECT hnsw_info() ->> '$.graph.token'");
}

/* What the evidence finds, in a session that goes on with its prepared statement. */
static void
evidence(void **unused)
{
	static const struct
	{
		const char *what, *verdict;
		bool same_graph; /* the next merge needs no new one */
	} cases[] = {
		{"CREATE TABLE n(id INTEGER PRIMARY KEY, u INT, v TEXT); INSERT INTO n SELECT * FROM d;"
		 "DROP TABLE d; ALTER TABLE n RENAME TO d",
		 "triggers_missing", true},
		{"CREATE TABLE n(id INTEGER PRIMARY KEY, u INT, v TEXT);"
		 "INSERT INTO n SELECT id, u, CASE id WHEN 2 THEN '[7,7]' ELSE v END FROM d WHERE id <> 3;"
		 "DROP TABLE d; ALTER TABLE n RENAME TO d; INSERT INTO d VALUES (9, 9, '[9,1]')",
		 "triggers_missing", false},
		{"ALTER TABLE d RENAME TO old; CREATE TABLE d(id INTEGER PRIMARY KEY, u INT, v TEXT);"
		 "INSERT INTO d SELECT * FROM old WHERE id > 1",
		 "triggers_missing", false},
		{"DROP TRIGGER x_changes_au; UPDATE d SET v = '[5,4]' WHERE id = 1", "triggers_missing", false},
		{"VACUUM", "followed", true},
		{"CREATE INDEX di ON d(u)", "followed", true},
		{"DELETE FROM x_changes", "journal_lost", true},
		{"DELETE FROM x_changes; INSERT INTO x_changes VALUES (1, 1, NULL)", "journal_lost", true},
		{"UPDATE d SET v = '[5,4]' WHERE id = 1; DELETE FROM x_changes WHERE seq = (SELECT max(seq) FROM "
		 "x_changes);"
		 "INSERT INTO x_changes(seq, tag) VALUES (9223372036854775807, 1)",
		 "journal_lost", false},
		{"CREATE TRIGGER later AFTER INSERT ON d WHEN NEW.u > 100 BEGIN SELECT RAISE(IGNORE); END;"
		 "INSERT INTO d VALUES (11, 101, '[3,8]')",
		 "overtaken", false},
		{"CREATE TABLE few(a UNIQUE); CREATE TRIGGER later AFTER INSERT ON d BEGIN INSERT INTO few VALUES "
		 "(NEW.u / 100);"
		 " END; INSERT INTO d VALUES (11, 12, '[3,8]'); INSERT OR FAIL INTO d VALUES (12, 13, '[3,9]')",
		 "overtaken", false},
		{"DROP TRIGGER x_mark", "triggers_missing", true},
		{"CREATE TABLE other(a); DROP TABLE other", "followed", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char *folder = make_folder();
		sqlite3 *db = open_database(folder, "t.db", NULL);
		sqlite3 *plain = open_plain(folder, "t.db");
		sqlite3_stmt *stmt;
		char token[20];

		run_sql(
			db,
			"CREATE TABLE d(id INTEGER PRIMARY KEY, u INT, v TEXT);"
			"CREATE VIRTUAL TABLE x USING hnsw(dim=2, metric=l2, content=d, content_vector=v);"
			"INSERT INTO d VALUES(1, 10, '[1,2]'), (2, 20, '[2,2]'), (3, 30, '[3,2]'); SELECT hnsw_save();");
		assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM x('[1,1]')", -1, &stmt, NULL),
						 SQLITE_OK);
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
		sqlite3_reset(stmt);
		snprintf(token, sizeof(token), "%s", graph_token(db));
		/* what OR FAIL refuses is meant to be */
		if (try_sql(plain, "%s", cases[i].what) != SQLITE_OK)
			assert_non_null(strstr(cases[i].what, "OR FAIL"));
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
		assert_int_equal(sqlite3_column_int64(stmt, 0), get_number(db, "SELECT count(*) FROM d"));
		sqlite3_finalize(stmt);
		assert_string_equal(follow(db), cases[i].verdict);
		assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "d", "id", "v"));
		if (strcmp(cases[i].verdict, "followed") != 0)
			assert_non_null(strstr(get_text(db, "SELECT hnsw_check()"), cases[i].verdict));
		run_sql(db, "SELECT hnsw_save()");
		assert_string_equal(follow(db), "followed");
		assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
		assert_int_equal(strcmp(graph_token(db), token) == 0, cases[i].same_graph);
		assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "d", "id", "v"));
		/* and it is followed from here on */
		run_sql(plain, "UPDATE d SET v = '[8,1]' WHERE id = 2; INSERT INTO d VALUES (50, 550, '[1,6]');"
					   "INSERT INTO d VALUES (51, 251, '[1,7]')");
		assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "d", "id", "v"));
		assert_string_equal(follow(db), "followed");
		close_database(plain);
		close_database(db);
		remove_folder(folder);
	}
}

/* Triggers that were dropped and made again, word for word. */
static void
made_again(void **unused)
{
	char *folder = make_folder();
	sqlite3 *db = open_database(folder, "t.db", NULL);
	sqlite3 *plain = open_plain(folder, "t.db");
	char *triggers;

	run_sql(db, "CREATE TABLE d(id INTEGER PRIMARY KEY, v TEXT);"
				"CREATE VIRTUAL TABLE x USING hnsw(dim=2, metric=l2, content=d, content_vector=v);"
				"INSERT INTO d VALUES(1, '[1,2]'), (2, '[2,2]'); SELECT hnsw_save();");
	triggers =
		sqlite3_mprintf("%s", get_text(plain, "SELECT group_concat(sql, ';') FROM sqlite_schema WHERE type ="
											  " 'trigger' AND tbl_name = 'd'"));
	run_sql(plain,
			"DROP TRIGGER x_changes_ai; DROP TRIGGER x_changes_ad; DROP TRIGGER x_changes_au;"
			"UPDATE d SET v = '[0,9]'; %s",
			triggers);
	sqlite3_free(triggers);
	assert_string_equal(follow(db), "triggers_made_anew");
	assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "d", "id", "v"));
	run_sql(db, "SELECT hnsw_save()");
	assert_string_equal(follow(db), "followed");
	assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "d", "id", "v"));
	close_database(plain);
	close_database(db);
	remove_folder(folder);
}

/* The table, its columns and the index under other names. */
static void
renamed(void **unused)
{
	char *folder = make_folder();
	sqlite3 *db = open_database(folder, "t.db", NULL);
	sqlite3 *plain = open_plain(folder, "t.db");

	run_sql(db, "CREATE TABLE d(id INTEGER PRIMARY KEY, v TEXT);"
				"CREATE VIRTUAL TABLE x USING hnsw(dim=2, metric=l2, content=d, content_vector=v);"
				"INSERT INTO d VALUES(1, '[1,2]'), (2, '[2,2]'); SELECT hnsw_save();");
	run_sql(
		plain,
		"ALTER TABLE d RENAME TO \"the documents\"; ALTER TABLE \"the documents\" RENAME v TO \"a \"\"b\";"
		"ALTER TABLE \"the documents\" RENAME id TO key; UPDATE \"the documents\" SET \"a \"\"b\" = '[0,1]'"
		" WHERE key = 1");
	assert_string_equal(follow(db), "followed");
	assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "the documents", "key", "a \"b"));
	assert_string_equal(get_text(db, "SELECT content || content_rowid || content_vector FROM hnsw_indexes"),
						"the documentskeya \"b");
	run_sql(db, "ALTER TABLE x RENAME TO y");
	run_sql(plain, "INSERT INTO \"the documents\" VALUES (7, '[4,4]')");
	assert_string_equal(follow(db), "followed");
	assert_true(index_equals(db, "y", "l2_distance", "[1,1]", "the documents", "key", "a \"b"));
	run_sql(db, "SELECT hnsw_save()");
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	run_sql(db, "DROP TABLE y");
	assert_int_equal(get_number(db, "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'the%'"), 0);
	close_database(plain);
	close_database(db);
	remove_folder(folder);
}

/* Tables without an integer key: rows are known by their rowid, until VACUUM. */
static void
other_keys(void **unused)
{
	static const char *const tables[] = {
		"d(name TEXT PRIMARY KEY COLLATE NOCASE, v TEXT)", "d(name TEXT, v TEXT)",
		"d(name INT, rowid TEXT, v TEXT, _rowid_ INT)", "d(name INTEGER PRIMARY KEY DESC, v TEXT)"};
	static const char *const rows[] = {"rowid", "rowid", "oid", "rowid"};

	for (int i = 0; i < 4; i++)
	{
		char *folder = make_folder();
		sqlite3 *db = open_database(folder, "t.db", NULL);
		sqlite3 *plain = open_plain(folder, "t.db");

		run_sql(db,
				"CREATE TABLE %s; CREATE VIRTUAL TABLE x USING hnsw(dim=2, metric=l2, content=d, "
				"content_vector=v);",
				tables[i]);
		run_sql(plain, "INSERT INTO d(name, v) VALUES (1, '[1,1]'), (2, '[2,2]'), (3, '[3,3]'), (4, NULL), "
					   "(5, '[5,5]')");
		run_sql(db, "SELECT hnsw_save()");
		run_sql(plain,
				"DELETE FROM d WHERE name = 2; INSERT OR REPLACE INTO d(name, v) VALUES (3, '[9,3]');"
				"UPDATE d SET v = '[0,3]' WHERE name = 4; UPDATE d SET %s = 40 WHERE name = 5",
				rows[i]);
		assert_string_equal(follow(db), "followed");
		assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "d", rows[i], "v"));
		run_sql(plain, "VACUUM");
		assert_string_equal(follow(db), "vacuumed");
		assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "d", rows[i], "v"));
		run_sql(db, "SELECT hnsw_save()");
		assert_string_equal(follow(db), "followed");
		assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
		assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "d", rows[i], "v"));
		close_database(plain);
		close_database(db);
		remove_folder(folder);
	}
}

/* A table of several batches that a merge compares with the graph: every row differs, the last of a batch, too. */
static void
compared_in_batches(void **unused)
{
	char *folder = make_folder();
	sqlite3 *db = open_database(folder, "t.db", NULL);

	run_sql(db,
			"CREATE TABLE d(id INTEGER PRIMARY KEY, v BLOB);"
			"CREATE VIRTUAL TABLE x USING hnsw(dim=4096, metric=l2, m=4, ef=8, content=d, content_vector=v);"
			"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)"
			" INSERT INTO d SELECT i, zeroblob(4 * i) || x'0000803f' || zeroblob(4 * (4095 - i)) FROM n;"
			"SELECT hnsw_save();"
			"CREATE TABLE other(a); DROP TRIGGER x_changes_au; UPDATE d SET v = zeroblob(4 * 4096)");
	run_sql(db, "SELECT hnsw_save()");
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	assert_string_equal(get_text(db, "SELECT hnsw_info() ->> '$.graph.state'"), "used");
	close_database(db);
	remove_folder(folder);
}

/* Rows that hold no vector of the index's kind. */
static void
bad_rows(void **unused)
{
	char *folder = make_folder();
	sqlite3 *db = open_database(folder, "t.db", NULL);
	sqlite3 *plain = open_plain(folder, "t.db");

	run_sql(db, "CREATE TABLE d(id INTEGER PRIMARY KEY, v); INSERT INTO d VALUES (1, '[1,2]'), (2, 'what'), "
				"(3, x'00')");
	assert_int_equal(try_sql(db, "CREATE VIRTUAL TABLE x USING hnsw(dim=2, content=d, content_vector=v)"),
					 SQLITE_MISMATCH);
	run_sql(db,
			"CREATE VIRTUAL TABLE x USING hnsw(dim=2, metric=l2, content=d, content_vector=v, bad_rows=skip);"
			"SELECT hnsw_save()");
	assert_string_equal(get_text(db, "SELECT hnsw_info() ->> 'bad_rows'"), "2");
	run_sql(plain, "INSERT INTO d VALUES (4, '[1,2,3]'), (5, '[0,1]'); UPDATE d SET v = 3.5 WHERE id = 1");
	assert_string_equal(get_text(db, "SELECT group_concat(rowid) FROM x('[0,0]')"), "5");
	assert_string_equal(get_text(db, "SELECT group_concat(rowid) FROM x('[0,0]', 9, NULL, 'exact')"), "5");
	run_sql(db, "SELECT hnsw_save()");
	assert_string_equal(get_text(db, "SELECT group_concat(rowid) FROM x('[0,0]')"), "5");
	assert_non_null(strstr(get_text(db, "SELECT hnsw_check()"), "row 4: the vector has 3 dimensions"));
	run_sql(db, "DROP TABLE x; DELETE FROM d");
	run_sql(db, "CREATE VIRTUAL TABLE x USING hnsw(dim=2, content=d, content_vector=v, strict=1)");
	assert_int_equal(try_sql(plain, "INSERT INTO d VALUES (1, x'0011')"), SQLITE_CONSTRAINT_TRIGGER);
	run_sql(plain, "INSERT INTO d VALUES (1, x'0000803f0000803f'), (2, '[1,1]')");
	assert_int_equal(try_sql(plain, "UPDATE d SET v = x'00'"), SQLITE_CONSTRAINT_TRIGGER);
	close_database(plain);
	close_database(db);
	remove_folder(folder);
}

/* A trigger of the user's searches while the row is being written. */
static void
search_in_trigger(void **unused)
{
	sqlite3 *db = open_database(NULL, ":memory:", NULL);

	run_sql(db,
			"CREATE TABLE d(id INTEGER PRIMARY KEY, u INT UNIQUE, v TEXT); CREATE TABLE seen(n, at);"
			"CREATE VIRTUAL TABLE x USING hnsw(dim=2, metric=l2, content=d, content_vector=v);"
			"INSERT INTO d VALUES (1, 1, '[1,1]'), (2, 2, '[2,2]'), (3, 3, '[3,3]'); SELECT hnsw_save();"
			"CREATE TRIGGER b BEFORE UPDATE ON d BEGIN INSERT INTO seen SELECT count(*), min(distance) FROM"
			" vss_knn('[0,0]', 10); END;"
			"CREATE TRIGGER a AFTER UPDATE ON d BEGIN INSERT INTO seen SELECT count(*), min(distance) FROM"
			" vss_knn('[0,0]', 10); END");
	run_sql(db, "UPDATE d SET v = '[0,' || id || ']'");
	assert_string_equal(get_text(db, "SELECT group_concat(round(at, 2), ' ') FROM seen"),
						"1.41 1.0 1.0 1.0 1.0 1.0");
	assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "d", "id", "v"));
	run_sql(db, "UPDATE OR REPLACE d SET u = 3 WHERE id = 1");
	assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "d", "id", "v"));
	assert_string_equal(get_text(db, "SELECT count(*) FROM x('[0,0]', 10)"), "2");
	close_database(db);
}

/* What a former version left: triggers that write to the virtual table, and a delta. */
static void
make_format_1(sqlite3 *plain)
{
	run_sql(
		plain,
		"DROP TRIGGER x_changes_ai; DROP TRIGGER x_changes_ad; DROP TRIGGER x_changes_au; DROP TABLE "
		"x_changes;"
		"CREATE TABLE x_delta(seq INTEGER PRIMARY KEY, tag INTEGER NOT NULL, label INTEGER NOT NULL, vector "
		"BLOB,"
		" UNIQUE(label, seq));"
		"UPDATE x_config SET value = 1 WHERE key = 'format';"
		"INSERT INTO x_config SELECT 'counter', CAST(substr(value, 18) AS INTEGER) FROM x_config WHERE key ="
		" 'current';"
		"UPDATE x_config SET value = 'rowid' WHERE key = 'content_rowid';"
		"DELETE FROM x_config WHERE key IN ('position', 'cookie', 'bad_rows');"
		"CREATE TRIGGER x_content_ai AFTER INSERT ON d BEGIN INSERT INTO x(command, rowid) VALUES ('changed',"
		" NEW.id); END;"
		"CREATE TRIGGER x_content_ad AFTER DELETE ON d BEGIN INSERT INTO x(command, rowid) VALUES ('changed',"
		" OLD.id); END;"
		"CREATE TRIGGER x_content_au AFTER UPDATE ON d BEGIN INSERT INTO x(command, rowid) SELECT 'changed', "
		"OLD.id"
		" WHERE OLD.id IS NOT NEW.id; INSERT INTO x(command, rowid) VALUES ('changed', NEW.id); END;"
		"CREATE TRIGGER x_content_bi BEFORE INSERT ON d BEGIN INSERT INTO x(command, rowid) SELECT "
		"'conflict', c.id"
		" FROM d AS c WHERE c.u = NEW.u; END");
}

/* An index of format 1 works as it did, and its first merge gives it a journal. */
static void
format_1(void **unused)
{
	for (int changed = 0; changed < 3; changed++)
	{
		static const BridgeHost quiet = {.file_mode = -1};
		char *folder = make_folder();
		sqlite3 *db = open_database(folder, "t.db", &quiet);
		sqlite3 *plain = open_plain(folder, "t.db");
		sqlite3 *reader;
		char path[300];
		char token[20];
		char *error;

		run_sql(
			db,
			"CREATE TABLE d(id INTEGER PRIMARY KEY, u INT UNIQUE, v TEXT);"
			"CREATE VIRTUAL TABLE x USING hnsw(dim=2, metric=l2, content=d, content_vector=v);"
			"INSERT INTO d VALUES(1, 10, '[1,2]'), (2, 20, '[2,2]'), (3, 30, '[3,2]'); SELECT hnsw_save();");
		snprintf(token, sizeof(token), "%s", graph_token(db));
		close_database(db);
		make_format_1(plain);
		db = open_database(folder, "t.db", &quiet);
		if (changed)
			run_sql(db,
					"UPDATE d SET v = '[0,7]' WHERE id = 2; INSERT OR REPLACE INTO d VALUES (4, 10, '[4,4]');"
					"DELETE FROM d WHERE id = 3");
		assert_true(index_equals(db, "x", "l2_distance", "[1,1]", "d", "id", "v"));
		assert_string_equal(get_text(db, "SELECT hnsw_info() ->> '$.graph.state'"), "used");
		assert_string_equal(follow(db), "format_1");
		assert_non_null(strstr(get_text(db, "SELECT hnsw_check()"), "format 1"));
		assert_int_equal(try_sql(plain, "UPDATE d SET v = '[0,8]'"), SQLITE_ERROR);

		/* where nobody may write */
		snprintf(path, sizeof(path), "%s/t.db", folder);
		assert_int_equal(sqlite3_open_v2(path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
		assert_int_equal(bridge_attach(reader, &quiet, &error), SQLITE_OK);
		assert_true(index_equals(reader, "x", "l2_distance", "[1,1]", "d", "id", "v"));
		sqlite3_close(reader);

		if (changed == 2)
			assert_int_equal(try_sql(db, "ALTER TABLE x RENAME TO y"), SQLITE_ERROR);
		run_sql(db, "SELECT hnsw_save()");
		assert_string_equal(follow(db), "followed");
		if (changed == 0)
			assert_string_equal(graph_token(db), token);
		if (changed == 2)
			run_sql(db, "ALTER TABLE x RENAME TO y");
		/* SQLite keeps to the schema it knows where a module is missing, until it reads */
		assert_true(get_number(plain, "SELECT count(*) FROM d") > 0);
		run_sql(plain,
				"UPDATE d SET v = '[0,9]' WHERE id = 1; INSERT OR REPLACE INTO d VALUES (7, 20, '[7,7]')");
		assert_true(index_equals(db, changed == 2 ? "y" : "x", "l2_distance", "[1,1]", "d", "id", "v"));
		run_sql(db, "SELECT hnsw_save()");
		assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
		assert_int_equal(
			get_number(db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%content%' OR name LIKE"
						   " '%delta%'"),
			0);
		assert_true(index_equals(db, changed == 2 ? "y" : "x", "l2_distance", "[1,1]", "d", "id", "v"));
		close_database(plain);
		close_database(db);
		remove_folder(folder);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_names),
		cmocka_unit_test(later_unique_index),
		cmocka_unit_test(no_view_is_expanded),
		cmocka_unit_test(kinds_of_tables),
		cmocka_unit_test(evidence),
		cmocka_unit_test(made_again),
		cmocka_unit_test(renamed),
		cmocka_unit_test(other_keys),
		cmocka_unit_test(compared_in_batches),
		cmocka_unit_test(bad_rows),
		cmocka_unit_test(search_in_trigger),
		cmocka_unit_test(format_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
