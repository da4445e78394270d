/*
 * test_bridge_merge_threads.c
 *		Merges beside writers and readers: several connections, each on its own
 *		thread, in both journal modes, also under ThreadSanitizer.
 *
 * A reader holds one snapshot of the database while it compares the index with
 * brute force over the table, so every commit and every publishing must leave
 * the two equal in every snapshot.
 */
#define _GNU_SOURCE
#include "bridge_support.h"

#include <pthread.h>
#include <stdatomic.h>

/* ThreadSanitizer makes everything ten times slower. */
#ifdef __SANITIZE_THREAD__
#define MERGES 10
#else
#define MERGES 40
#endif

typedef struct Shared
{
	const char *folder;
	bool wal;
	_Atomic bool stop;
	_Atomic int commits;
	_Atomic int reads;
	_Atomic int wrong;
	_Atomic int errors; /* other than BUSY */
} Shared;

/* cmocka's failures are for its own thread: the others count theirs. */
static void
count_error(Shared *shared, sqlite3 *db, int rc)
{
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
		return;
	fprintf(stderr, "%s\n", sqlite3_errmsg(db));
	shared->errors++;
}

static void *
write_rows(void *arg)
{
	Shared *shared = arg;
	sqlite3 *db = open_database(shared->folder, "t.db", NULL);
	Random random = {77};

	try_sql(db, "PRAGMA synchronous = OFF");
	while (!shared->stop)
	{
		int first = (int) (random_bits(&random) % 1500);
		int rc = try_sql(db, "BEGIN IMMEDIATE");

		if (rc == SQLITE_OK)
			rc = try_sql(
				db,
				"WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
				" INSERT OR REPLACE INTO documents SELECT i, i %% 700, printf('[%%d,%%d,%%d]', i %% 31, i *"
				" %d %% 97, %d) FROM n",
				first, first + 20, first, first % 13);
		if (rc == SQLITE_OK)
			rc = try_sql(db, "DELETE FROM documents WHERE id %% 50 = %d", first % 50);
		if (rc == SQLITE_OK)
			rc = try_sql(db, random_bits(&random) % 4 ? "COMMIT" : "ROLLBACK");
		shared->commits += rc == SQLITE_OK;
		count_error(shared, db, rc);
		if (!sqlite3_get_autocommit(db))
			try_sql(db, "ROLLBACK");
		usleep(1000);
	}
	sqlite3_close(db);
	return NULL;
}

static void *
read_rows(void *arg)
{
	Shared *shared = arg;
	sqlite3 *db = open_database(shared->folder, "t.db", NULL);

	while (!shared->stop)
	{
		if (try_sql(db, "BEGIN; SELECT count(*) FROM documents") == SQLITE_OK)
		{
			if (!index_equals(db, "vss", "l2_distance", "[3,40,5]", "documents", "id", "embedding"))
				shared->wrong++;
			shared->reads++;
		}
		if (!sqlite3_get_autocommit(db))
			try_sql(db, "COMMIT");
		usleep(2000);
	}
	sqlite3_close(db);
	return NULL;
}

static void
run_together(bool wal)
{
	char *folder = make_folder();
	Shared shared = {.folder = folder, .wal = wal};
	sqlite3 *db = open_database(folder, "t.db", NULL);
	pthread_t threads[3];
	int merges = 0;

	run_sql(db, "PRAGMA journal_mode = %s", wal ? "WAL" : "DELETE");
	run_sql(db,
			"PRAGMA synchronous = OFF; CREATE TABLE documents(id INTEGER PRIMARY KEY, u INT UNIQUE, "
			"embedding TEXT);"
			"CREATE VIRTUAL TABLE vss USING hnsw(dim = 3, metric = l2, m = 8, ef = 40, content = documents,"
			" content_vector = embedding)");
	pthread_create(&threads[0], NULL, write_rows, &shared);
	pthread_create(&threads[1], NULL, read_rows, &shared);
	pthread_create(&threads[2], NULL, read_rows, &shared);
	for (int i = 0; i < MERGES; i++)
	{
		int rc = try_sql(db, i % 10 == 9 ? "SELECT hnsw_rebuild()" : "SELECT hnsw_save()");

		merges += rc == SQLITE_OK;
		count_error(&shared, db, rc);
		usleep(20000);
	}
	shared.stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	print_message("%d merges, %d commits, %d reads\n", merges, shared.commits, shared.reads);
	assert_int_equal(shared.wrong, 0);
	assert_int_equal(shared.errors, 0);
	assert_true(merges >= MERGES / 2 && shared.commits > 10 && shared.reads > 10);
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	close_database(db);
	remove_folder(folder);
}

static void
together_with_wal(void **unused)
{
	run_together(true);
}

static void
together_with_journal(void **unused)
{
	run_together(false);
}

/* The thread of one connection while other threads write and read through theirs. */
static void
automatic_merges(void **unused)
{
	BridgeHost host = {.merge_thread = true, .file_mode = -1};
	char *folder = make_folder();
	sqlite3 *db = open_database(folder, "t.db", &host);
	int64_t merges = 0;

	run_sql(db, "PRAGMA journal_mode = WAL");
	run_sql(db,
			"PRAGMA synchronous = OFF; CREATE TABLE documents(id INTEGER PRIMARY KEY, u INT, embedding TEXT);"
			"CREATE VIRTUAL TABLE vss USING hnsw(dim = 3, metric = l2, m = 8, ef = 40, content = documents,"
			" content_vector = embedding)");
	for (int round = 0; round < 30 && merges < 2; round++)
	{
		run_sql(db,
				"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
				" INSERT OR REPLACE INTO documents SELECT i, 0, printf('[%%d,%%d,%%d]', i %% 31, i %% 97, "
				"%d) FROM n",
				round);
		assert_true(index_equals(db, "vss", "l2_distance", "[3,40,5]", "documents", "id", "embedding"));
		usleep(100000);
		merges = get_number(db, "SELECT json_extract(hnsw_info(), '$.merge.merges')");
	}
	assert_true(merges >= 2);
	assert_string_equal(get_text(db, "SELECT json_extract(hnsw_info(), '$.merge.error')"), "");
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	close_database(db);
	remove_folder(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(together_with_wal),
		cmocka_unit_test(together_with_journal),
		cmocka_unit_test(automatic_merges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
