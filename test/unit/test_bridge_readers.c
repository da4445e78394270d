/*
 * test_bridge_readers.c
 *		What a connection remembers between queries (graph, changes since) against
 *		rollbacks, other writers, merges and reconnects; and that it remembers
 *		no more as queries go on.
 */
#define _GNU_SOURCE
#include "bridge_support.h"

#include <malloc.h>

#ifdef __SANITIZE_ADDRESS__
#define MANY_QUERIES 3000
#else
#define MANY_QUERIES 100000
#endif

enum
{
	CONNECTIONS = 3,
	STEPS = 600
};

typedef struct Players
{
	char *folder;
	sqlite3 *db[CONNECTIONS];
	int depth[CONNECTIONS]; /* 0: autocommit, 1: BEGIN, more: savepoints */
	bool wal;
	Random random;
} Players;

static int
pick(Players *p, int n)
{
	return (int) (random_bits(&p->random) % (uint64_t) n);
}

/* One write of one kind; BUSY is refused politely. */
static void
write_something(Players *p, int who)
{
	sqlite3 *db = p->db[who];
	int row = pick(p, 40) + 1;
	int rc;

	switch (pick(p, 5))
	{
		case 0:
			rc = try_sql(db, "DELETE FROM vss WHERE rowid = %d", row);
			break;
		case 1:
			rc = try_sql(db, "UPDATE vss SET embedding = '[%d,%d]' WHERE rowid = %d", pick(p, 9), pick(p, 9),
						 row);
			break;
		case 2:
			rc = try_sql(db, "SELECT hnsw_add(%d, '[%d,%d]')", row, pick(p, 9), pick(p, 9));
			break;
		case 3:
			rc = try_sql(db, "UPDATE vss SET embedding = NULL WHERE rowid = %d", row);
			break;
		default:
			rc = try_sql(
				db, "INSERT OR REPLACE INTO vss(rowid, embedding) VALUES(%d, '[%d,%d]'), (%d, '[%d,%d]')",
				row, pick(p, 9), pick(p, 9), row + 1, pick(p, 9), pick(p, 9));
			break;
	}
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_LOCKED)
		fail_msg("%s", sqlite3_errmsg(db));
	if (sqlite3_get_autocommit(db))
		p->depth[who] = 0;
}

static void
move_transaction(Players *p, int who)
{
	sqlite3 *db = p->db[who];

	if (p->depth[who] == 0)
	{
		run_sql(db, "BEGIN");
		p->depth[who] = 1;
		return;
	}
	switch (pick(p, 5))
	{
		case 0:
			if (try_sql(db, "COMMIT") == SQLITE_OK)
				p->depth[who] = 0;
			break;
		case 1:
			run_sql(db, "ROLLBACK");
			p->depth[who] = 0;
			break;
		case 2:
			run_sql(db, "SAVEPOINT s%d", p->depth[who]++);
			break;
		case 3:
			if (p->depth[who] > 1)
				run_sql(db, "ROLLBACK TO s%d", 1 + pick(p, p->depth[who] - 1));
			/* later savepoints are gone; the counting needs no more precision */
			if (p->depth[who] > 1)
			{
				run_sql(db, "ROLLBACK");
				p->depth[who] = 0;
			}
			break;
		default:
			if (p->depth[who] > 1)
				run_sql(db, "RELEASE s%d", --p->depth[who]);
	}
}

/* Merge on one connection; those that would keep it waiting end their transactions first. */
static void
merge(Players *p, int who)
{
	for (int i = 0; i < CONNECTIONS; i++)
	{
		int state = sqlite3_txn_state(p->db[i], "main");

		if (p->depth[i] > 0 && (i == who || state == SQLITE_TXN_WRITE || !p->wal))
		{
			if (pick(p, 2) == 0 || try_sql(p->db[i], "COMMIT") != SQLITE_OK)
				run_sql(p->db[i], "ROLLBACK");
			p->depth[i] = 0;
		}
	}
	run_sql(p->db[who], "SELECT hnsw_save()");
}

/*
 * Three connections write, roll back, merge and change the schema in any
 * order; after each step each of them finds by index what it finds by
 * reading the vectors.
 */
static void
play(const char *journal, uint64_t seed)
{
	Players p = {.random = {seed}, .folder = make_folder(), .wal = strcmp(journal, "WAL") == 0};
	BridgeHost host = {.file_mode = -1, .build_threads = 1};
	int merges = 0;

	for (int i = 0; i < CONNECTIONS; i++)
	{
		p.db[i] = open_database(p.folder, "a.db", &host);
		sqlite3_busy_timeout(p.db[i], 0);
		if (i == 0)
			run_sql(p.db[0],
					"PRAGMA journal_mode = %s; CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2, m = "
					"4, ef = 20)",
					journal);
		run_sql(p.db[i], "PRAGMA synchronous = OFF");
	}
	for (int step = 0; step < STEPS; step++)
	{
		int who = pick(&p, CONNECTIONS);
		int what = pick(&p, 40);

		if (what < 20)
			write_something(&p, who);
		else if (what < 36)
			move_transaction(&p, who);
		else if (what < 38)
		{
			merge(&p, who);
			merges++;
		}
		else if (what == 38)
			try_sql(p.db[who], "CREATE TABLE IF NOT EXISTS t%d(x); DROP TABLE t%d", step, step);
		else if (p.depth[who] == 0)
			try_sql(p.db[who], "VACUUM");

		for (int i = 0; i < CONNECTIONS; i++)
		{
			int rc = try_sql(p.db[i], "SELECT count(*) FROM vss");

			if ((rc & 0xff) == SQLITE_BUSY)
				continue; /* a writer without WAL is committing */
			if (!index_equals(p.db[i], "vss", "l2_distance", "[4,4]", "vss", "rowid", "embedding"))
				fail_msg("seed %llu, step %d, connection %d", (unsigned long long) seed, step, i);
		}
	}
	assert_true(merges > 3);
	for (int i = 0; i < CONNECTIONS; i++)
		close_database(p.db[i]);
	remove_folder(p.folder);
}

static void
random_play_wal(void **state)
{
	for (uint64_t seed = 1; seed <= 4; seed++)
		play("WAL", seed);
}

static void
random_play_rollback_journal(void **state)
{
	for (uint64_t seed = 11; seed <= 12; seed++)
		play("DELETE", seed);
}

/* ---------- one thing at a time ---------- */

static const char *
nearest(sqlite3 *db)
{
	return get_text(db, "SELECT group_concat(rowid) FROM vss('[0,0]', 3)");
}

/*
 * The very case of repeated sequence numbers: rows cached, rolled back, and
 * others of the same numbers committed by another connection.
 */
static void
rolled_back_then_another_writer(void **state)
{
	char *folder = make_folder();
	sqlite3 *a = open_database(folder, "a.db", NULL);
	sqlite3 *b = open_database(folder, "a.db", NULL);

	run_sql(a, "PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2);"
			   "INSERT INTO vss(rowid, embedding) VALUES (1, '[5,0]'), (2, '[6,0]'), (3, '[7,0]'); SELECT "
			   "hnsw_save()");
	assert_string_equal(nearest(a), "1,2,3");
	assert_string_equal(nearest(b), "1,2,3");
	run_sql(a, "BEGIN; INSERT INTO vss(rowid, embedding) VALUES (10, '[1,0]'), (11, '[2,0]')");
	assert_string_equal(nearest(a), "10,11,1");
	run_sql(a, "ROLLBACK");
	run_sql(b, "INSERT INTO vss(rowid, embedding) VALUES (20, '[1,0]'), (21, '[2,0]')");
	assert_int_equal(get_number(a, "SELECT max(seq) FROM vss_delta"), 5);
	assert_string_equal(nearest(a), "20,21,1");
	/* the last number again with another tag, the one before it unchanged */
	run_sql(a, "BEGIN; SAVEPOINT s; INSERT INTO vss(rowid, embedding) VALUES (12, '[0,0]')");
	assert_string_equal(nearest(a), "12,20,21");
	run_sql(a, "ROLLBACK TO s; DELETE FROM vss WHERE rowid = 20");
	assert_string_equal(nearest(a), "21,1,2");
	assert_string_equal(nearest(b), "20,21,1");
	run_sql(a, "COMMIT");
	assert_string_equal(nearest(b), "21,1,2");
	close_database(a);
	close_database(b);
	remove_folder(folder);
}

/* How often the connection's stores have read counter and segments. */
static int
state_reads(sqlite3 *db)
{
	int reads = 0;

	for (sqlite3_stmt *stmt = sqlite3_next_stmt(db, NULL); stmt != NULL; stmt = sqlite3_next_stmt(db, stmt))
		if (strstr(sqlite3_sql(stmt), "key = 'current'), (SELECT tag") != NULL)
			reads += sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_RUN, false);
	return reads;
}

/* A database that has not changed is not asked again; one that has, by whomever, is. */
static void
look_after(const char *journal)
{
	char *folder = make_folder();
	sqlite3 *a = open_database(folder, "a.db", NULL);
	sqlite3 *b = open_database(folder, "a.db", NULL);
	int reads;

	run_sql(a,
			"PRAGMA journal_mode = %s; CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2);"
			"INSERT INTO vss(rowid, embedding) VALUES (1, '[5,0]'), (2, '[6,0]'), (3, '[7,0]'); SELECT "
			"hnsw_save(); INSERT INTO vss(rowid, embedding) VALUES (4, '[4,0]')",
			journal);
	for (int i = 0; i < 2; i++)
		assert_string_equal(nearest(a), "4,1,2");
	reads = state_reads(a);
	assert_true(reads > 0);
	for (int i = 0; i < 5; i++)
		assert_string_equal(nearest(a), "4,1,2");
	run_sql(a, "BEGIN");
	assert_string_equal(nearest(a), "4,1,2");
	run_sql(a, "COMMIT");
	assert_int_equal(state_reads(a), reads);

	run_sql(b, "UPDATE vss SET embedding = '[9,0]' WHERE rowid = 4");
	assert_string_equal(nearest(a), "1,2,3");
	assert_true(state_reads(a) > reads);
	run_sql(a, "INSERT INTO vss(rowid, embedding) VALUES (5, '[1,0]')");
	assert_string_equal(nearest(a), "5,1,2");
	run_sql(b, "SELECT hnsw_save()");
	assert_string_equal(nearest(a), "5,1,2");
	run_sql(a, "BEGIN; DELETE FROM vss WHERE rowid = 5");
	assert_string_equal(nearest(a), "1,2,3");
	run_sql(a, "SAVEPOINT s; DELETE FROM vss WHERE rowid = 1");
	assert_string_equal(nearest(a), "2,3,4");
	run_sql(a, "ROLLBACK TO s");
	assert_string_equal(nearest(a), "1,2,3");
	run_sql(a, "ROLLBACK");
	assert_string_equal(nearest(a), "5,1,2");

	/* the same name and table in another file, on a connection that knew the first */
	run_sql(b,
			"ATTACH '%s/other.db' AS o; CREATE VIRTUAL TABLE o.v USING hnsw(dim = 2, metric = l2);"
			"INSERT INTO o.v(rowid, embedding) VALUES (1, '[1,0]'); SELECT hnsw_save('o.v'); DETACH o",
			folder);
	run_sql(b,
			"ATTACH '%s/third.db' AS o; CREATE VIRTUAL TABLE o.v USING hnsw(dim = 2, metric = l2);"
			"INSERT INTO o.v(rowid, embedding) VALUES (2, '[1,0]'); SELECT hnsw_save('o.v'); DETACH o",
			folder);
	for (int i = 0; i < 4; i++)
	{
		run_sql(a, "ATTACH '%s/%s.db' AS o", folder, i % 2 == 0 ? "other" : "third");
		for (int j = 0; j < 3; j++)
			assert_int_equal(get_number(a, "SELECT rowid FROM o.v('[0,0]', 1)"), 1 + i % 2);
		run_sql(a, "DETACH o");
	}
	close_database(a);
	close_database(b);
	remove_folder(folder);
}

static void
unchanged_is_not_read(void **state)
{
	look_after("WAL");
	look_after("DELETE");
}

/* A reader in an old snapshot keeps its view, graph included, while others merge. */
static void
old_view_during_merges(void **state)
{
	char *folder = make_folder();
	sqlite3 *a = open_database(folder, "a.db", NULL);
	sqlite3 *b = open_database(folder, "a.db", NULL);

	run_sql(a, "PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2);"
			   "INSERT INTO vss(rowid, embedding) VALUES (1, '[5,0]'), (2, '[6,0]'), (3, '[7,0]'); SELECT "
			   "hnsw_save();"
			   "INSERT INTO vss(rowid, embedding) VALUES (4, '[1,0]')");
	run_sql(a, "BEGIN");
	assert_string_equal(nearest(a), "4,1,2");
	run_sql(b, "DELETE FROM vss WHERE rowid = 4; INSERT INTO vss(rowid, embedding) VALUES (5, '[0,1]')");
	run_sql(b, "SELECT hnsw_save()");
	run_sql(b, "UPDATE vss SET embedding = '[0,0]' WHERE rowid = 3; SELECT hnsw_save()");
	assert_string_equal(nearest(b), "3,5,1");
	assert_string_equal(nearest(a), "4,1,2");
	run_sql(a, "COMMIT");
	assert_string_equal(nearest(a), "3,5,1");
	close_database(a);
	close_database(b);
	remove_folder(folder);
}

/* Writes and a merge on the connection itself while one of its scans is under way. */
static void
changes_under_a_scan(void **state)
{
	sqlite3 *db = open_database(NULL, ":memory:", NULL);
	sqlite3_stmt *stmt;
	int count = 0;

	run_sql(db, "CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2);"
				"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
				"INSERT INTO vss(rowid, embedding) SELECT i, '[' || i || ',0]' FROM n; SELECT hnsw_save();"
				"DELETE FROM vss WHERE rowid <= 5");
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT rowid FROM vss('[0,0]')", -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW)
	{
		if (++count == 1)
			assert_int_equal(sqlite3_column_int(stmt, 0), 6);
		if (count % 50 == 0)
		{
			run_sql(db, "INSERT INTO vss(rowid, embedding) VALUES (%d, '[9,9]')", 1000 + count);
			assert_true(get_number(db, "SELECT count(*) FROM vss('[0,0]')") > 495);
			try_sql(db, "SELECT hnsw_save()");
		}
		/* what was deleted before the scan must not come back under it */
		assert_true(sqlite3_column_int(stmt, 0) > 5);
	}
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_true(count >= 495);
	close_database(db);
}

/*
 * A statement that is not run keeps an old virtual table alive while newer ones
 * come and go, and while an index of the same name takes the place of its own.
 */
static void
recreated_behind_a_statement(void **state)
{
	char *folder = make_folder();
	sqlite3 *a = open_database(folder, "a.db", NULL);
	sqlite3 *b = open_database(folder, "a.db", NULL);
	const char *make = "CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2);"
					   "INSERT INTO vss(rowid, embedding) VALUES (1, '[5,0]')";

	run_sql(a, "%s", make);
	assert_int_equal(get_number(a, "SELECT rowid FROM vss_knn('[0,0]', 1)"), 1);
	/* from now on vss_knn has a statement on the table at hand */
	run_sql(b, "CREATE TABLE x(y)");
	assert_int_equal(get_number(a, "SELECT count(*) FROM vss"), 1);
	run_sql(b, "DROP TABLE vss; %s", make);
	assert_int_equal(get_number(a, "SELECT count(*) FROM vss"), 1);
	run_sql(b, "DROP TABLE vss; %s", make);
	assert_int_equal(get_number(a, "SELECT count(*) FROM vss"), 1);
	assert_int_equal(get_number(a, "SELECT rowid FROM vss_knn('[0,0]', 1)"), 1);
	close_database(a);
	close_database(b);
	remove_folder(folder);
}

/* Statements prepared before the schema changed, tables made anew, and many cursors at once. */
static void
reconnects(void **state)
{
	char *folder = make_folder();
	sqlite3 *a = open_database(folder, "a.db", NULL);
	sqlite3 *b = open_database(folder, "a.db", NULL);
	sqlite3_stmt *stmt, *knn;

	run_sql(a, "PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2);"
			   "INSERT INTO vss(rowid, embedding) VALUES (1, '[5,0]'), (2, '[6,0]'), (3, '[7,0]'); SELECT "
			   "hnsw_save()");
	sqlite3_prepare_v2(a, "SELECT group_concat(rowid) FROM vss('[0,0]', 3)", -1, &stmt, NULL);
	sqlite3_prepare_v2(a, "SELECT group_concat(rowid) FROM vss_knn('[0,0]', 3)", -1, &knn, NULL);
	for (int i = 0; i < 5; i++)
	{
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
		assert_string_equal((const char *) sqlite3_column_text(stmt, 0), i < 4 ? "1,2,3" : "7");
		assert_int_equal(sqlite3_step(knn), SQLITE_ROW);
		assert_string_equal((const char *) sqlite3_column_text(knn, 0), i < 4 ? "1,2,3" : "7");
		sqlite3_reset(stmt);
		sqlite3_reset(knn);
		if (i == 0)
			run_sql(b, "CREATE TABLE x(y)");
		else if (i == 1)
			run_sql(a, "VACUUM");
		else if (i == 2)
			run_sql(a, "ATTACH ':memory:' AS m; DETACH m");
		else
			run_sql(b,
					"DROP TABLE vss; CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2);"
					"INSERT INTO vss(rowid, embedding) VALUES (%s)",
					i == 3 ? "7, '[7,7]'" : "8, '[8,8]'");
	}
	sqlite3_finalize(stmt);
	sqlite3_finalize(knn);

	/* the schema changes on the connection itself while vss_knn is being read */
	sqlite3_prepare_v2(a, "SELECT rowid FROM vss_knn('[0,0]')", -1, &knn, NULL);
	assert_int_equal(sqlite3_step(knn), SQLITE_ROW);
	run_sql(a, "CREATE TABLE z(y)");
	assert_int_equal(try_sql(a, "DROP TABLE vss"), SQLITE_LOCKED);
	assert_int_equal(sqlite3_step(knn), SQLITE_DONE);
	sqlite3_finalize(knn);
	close_database(a);
	close_database(b);
	remove_folder(folder);
}

/* The table that vss_knn and hnsw_add choose follows every change of any schema. */
static void
names_follow_schemas(void **state)
{
	char *folder = make_folder();
	sqlite3 *a = open_database(folder, "a.db", NULL);
	sqlite3 *b = open_database(folder, "a.db", NULL);
	sqlite3 *c = open_database(folder, "c.db", NULL);
	sqlite3_stmt *stmt;

#define MAKE                                                                                                 \
	"CREATE VIRTUAL TABLE %s USING hnsw(dim = 1, metric = l2); INSERT INTO %s(rowid, embedding) VALUES "     \
	"(%d, '[1]')"
#define FOUND(expected)                                                                                      \
	do                                                                                                       \
	{                                                                                                        \
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);                                                    \
		assert_int_equal(sqlite3_column_int(stmt, 0), expected);                                             \
		sqlite3_reset(stmt);                                                                                 \
		assert_int_equal(get_number(a, "SELECT hnsw_add(rowid, '[1]') FROM vss_knn('[1]', 1)"), expected);   \
	} while (0)
#define AMBIGUOUS()                                                                                          \
	do                                                                                                       \
	{                                                                                                        \
		assert_int_equal(sqlite3_step(stmt), SQLITE_ERROR);                                                  \
		assert_non_null(strstr(sqlite3_errmsg(a), "several hnsw tables"));                                   \
		sqlite3_reset(stmt);                                                                                 \
		assert_int_equal(try_sql(a, "SELECT hnsw_add(1, '[1]')"), SQLITE_ERROR);                             \
	} while (0)

	run_sql(a, "PRAGMA journal_mode = WAL");
	run_sql(a, MAKE, "one", "one", 1);
	run_sql(c, MAKE, "two", "two", 2);
	assert_int_equal(sqlite3_prepare_v2(a, "SELECT rowid FROM vss_knn('[1]', 1)", -1, &stmt, NULL),
					 SQLITE_OK);
	FOUND(1);
	FOUND(1);
	run_sql(a, "ATTACH '%s/c.db' AS c", folder);
	AMBIGUOUS();
	run_sql(a, "DROP TABLE one");
	FOUND(2);
	run_sql(b, MAKE, "three", "three", 3); /* another connection, another database than the one in use */
	AMBIGUOUS();
	run_sql(c, "DROP TABLE two");
	FOUND(3);
	run_sql(a, MAKE, "temp.four", "four", 4);
	AMBIGUOUS();
	run_sql(b, "DROP TABLE three");
	FOUND(4);
	run_sql(a, "DROP TABLE four; DETACH c");
	assert_int_equal(sqlite3_step(stmt), SQLITE_ERROR);
	assert_non_null(strstr(sqlite3_errmsg(a), "no hnsw table"));
	sqlite3_finalize(stmt);
	close_database(a);
	close_database(b);
	close_database(c);
	remove_folder(folder);
#undef MAKE
#undef FOUND
#undef AMBIGUOUS
}

/* ---------- memory ---------- */

static void
run_queries(sqlite3 *db, int count, const Set *queries)
{
	static const char *const texts[] = {
		"SELECT rowid, distance FROM vss(?1, 10)",
		"SELECT rowid, distance FROM vss_knn(?1, 10, NULL, 'vss')",
		"SELECT rowid, distance FROM vss(?1, 5) WHERE rowid IN (1, 7, 50, 400)",
		"SELECT rowid, distance FROM vss(?1) LIMIT 3",
	};
	sqlite3_stmt *stmts[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(sqlite3_prepare_v2(db, texts[i], -1, &stmts[i], NULL), SQLITE_OK);
	for (int i = 0; i < count; i++)
	{
		sqlite3_stmt *stmt = stmts[i % 4];
		int rows = 0;

		sqlite3_bind_blob(stmt, 1, set_vector(queries, i % queries->count),
						  (int) (queries->dim * sizeof(float)), SQLITE_STATIC);
		while (sqlite3_step(stmt) == SQLITE_ROW)
			rows++;
		assert_true(rows >= 3);
		assert_int_equal(sqlite3_reset(stmt), SQLITE_OK);
		if (i % 1000 == 999)
			run_sql(db, "UPDATE vss SET embedding = embedding WHERE rowid = %d", i % 500 + 1);
	}
	for (int i = 0; i < 4; i++)
		sqlite3_finalize(stmts[i]);
}

/* 100,000 queries of every form on one connection: not a byte more than after the first ones. */
static void
queries_leak_nothing(void **state)
{
	Set *rows = set_clustered(500, 8, 1, 1);
	Set *queries = set_clustered(50, 8, 1, 2);
	sqlite3 *db = open_database(NULL, ":memory:", NULL);
	sqlite3_stmt *stmt;
	sqlite3_int64 before, after;
	size_t heap_before, heap_after;

	run_sql(db, "CREATE VIRTUAL TABLE vss USING hnsw(dim = 8, ef_search = 20)");
	sqlite3_prepare_v2(db, "INSERT INTO vss(rowid, embedding) VALUES(?1, ?2)", -1, &stmt, NULL);
	for (size_t i = 0; i < rows->count; i++)
	{
		sqlite3_bind_int64(stmt, 1, (int64_t) i + 1);
		sqlite3_bind_blob(stmt, 2, set_vector(rows, i), 8 * sizeof(float), SQLITE_STATIC);
		assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	run_sql(db, "SELECT hnsw_save()");
	/* all rows have changed once, so that the cache has its full size */
	run_sql(db, "UPDATE vss SET embedding = embedding");
	run_queries(db, 2000, queries);
	run_sql(db, "SELECT hnsw_save()");
	run_sql(db, "UPDATE vss SET embedding = embedding");
	run_queries(db, 2000, queries);
	run_sql(db, "PRAGMA shrink_memory");
	before = sqlite3_memory_used();
	heap_before = mallinfo2().uordblks;
	run_queries(db, MANY_QUERIES, queries);
	run_sql(db, "PRAGMA shrink_memory");
	after = sqlite3_memory_used();
	heap_after = mallinfo2().uordblks;
	print_message("memory of SQLite %lld -> %lld, of the heap %zu -> %zu\n", (long long) before,
				  (long long) after, heap_before, heap_after);
	/* the delta in the in-memory database grew by a row each 1000 queries */
	assert_true(after - before < 100 * 1024);
	assert_true(heap_after < heap_before + 128 * 1024);
	close_database(db);
	set_free(rows);
	set_free(queries);
	assert_int_equal(sqlite3_memory_used(), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rolled_back_then_another_writer),
		cmocka_unit_test(unchanged_is_not_read),
		cmocka_unit_test(old_view_during_merges),
		cmocka_unit_test(changes_under_a_scan),
		cmocka_unit_test(recreated_behind_a_statement),
		cmocka_unit_test(reconnects),
		cmocka_unit_test(names_follow_schemas),
		cmocka_unit_test(queries_leak_nothing),
		cmocka_unit_test(random_play_wal),
		cmocka_unit_test(random_play_rollback_journal),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
