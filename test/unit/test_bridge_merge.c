/*
 * test_bridge_merge.c
 *		A merge: what it publishes, when it must not begin or gives up, and what one
 *		that is killed leaves.
 *
 * Whatever a merge does or leaves undone, a stream over the index read to its end
 * gives the rows and distances of the table.
 */
#define _GNU_SOURCE
#include "merge_support.h"
#include "sqlite_bridge/merge/merge.h"

#define ROWS 3000

/* ---------- what a merge publishes ---------- */

static void
publishes(void **unused)
{
	sqlite3 *db = make_database("a.db", ROWS);
	char *first;

	check_answers(db);
	check_state(db, "none");
	assert_string_equal(get_info(db, "$.merge_due"), "1");
	assert_int_equal(save(db), ROWS);
	check_graph_used(db);
	assert_string_equal(get_info(db, "$.merge_due"), "0");
	assert_string_equal(get_info(db, "$.graph.reason"), "");
	assert_string_equal(get_info(db, "$.delta_rows"), "0");
	assert_string_equal(get_info(db, "$.delta_stored"), "0");
	assert_int_equal(file_inode(in_folder("a.db.idx")), file_inode(token_file(db, "a.db")));
	assert_int_equal(count_files("a.db.idx-"), 2); /* it and the lock */

	/* Nothing changed: nothing is made. */
	first = strdup(token_file(db, "a.db"));
	assert_int_equal(save(db), ROWS);
	assert_string_equal(token_file(db, "a.db"), first);

	/* Changes of all kinds, merged on top of it; the old file stays for slow readers, ... */
	run_sql(db, "DELETE FROM documents WHERE id %% 50 = 1; UPDATE documents SET embedding = '[1,2,3,4]' "
				"WHERE id %% 50"
				" = 2; UPDATE documents SET id = id + 10000 WHERE id %% 50 = 3");
	add_rows(db, ROWS + 1, ROWS + 100);
	check_graph_used(db);
	assert_int_equal(save(db), ROWS + 100 - ROWS / 50);
	check_graph_used(db);
	assert_string_equal(get_info(db, "$.delta_stored"), "0");
	assert_string_not_equal(token_file(db, "a.db"), first);
	assert_int_equal(access(first, F_OK), 0);
	/* ... and the next merger takes it away. */
	run_sql(db, "DELETE FROM documents WHERE id = 4");
	save(db);
	assert_int_equal(access(first, F_OK), -1);
	assert_int_equal(count_files("a.db.idx-"), 3);
	check_graph_used(db);
	free(first);
	close_database(db);

	db = open_database(folder, "a.db", NULL);
	check_graph_used(db);
	run_sql(db, "DROP TABLE vss");
	assert_int_equal(count_files("a.db.idx"), 1); /* the lock is never removed */
	close_database(db);
}

/* An index emptied and filled again; rows without a place in the graph. */
static void
publishes_little(void **unused)
{
	sqlite3 *db = make_database("a.db", 0);

	assert_int_equal(save(db), 0);
	check_answers(db);
	run_sql(db,
			"INSERT INTO documents VALUES(1, NULL), (-5, '[0,0,0,0]'), (9223372036854775807, '[1,1,1,1]'),"
			" (-9223372036854775808, '[1,2,3,4]')");
	assert_int_equal(save(db), 3);
	check_answers(db);
	assert_string_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	run_sql(db, "DELETE FROM documents");
	assert_int_equal(save(db), 0);
	check_answers(db);
	assert_int_equal(get_number(db, "SELECT hnsw_rebuild()"), 0);
	close_database(db);
}

static void
takes_mode_of_database(void **unused)
{
	sqlite3 *db = make_database("a.db", 10);
	struct stat st;
	mode_t before = umask(077);

	assert_int_equal(chmod(in_folder("a.db"), 0664), 0);
	save(db);
	umask(before);
	assert_int_equal(stat(in_folder("a.db.idx"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0664);
	assert_int_equal(stat(in_folder("a.db.idx-lock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0664);
	close_database(db);
}

static void
works_in_memory(void **unused)
{
	sqlite3 *db = open_database(NULL, ":memory:", NULL);

	run_sql(
		db,
		"CREATE TABLE documents(id INTEGER PRIMARY KEY, embedding TEXT);"
		"CREATE VIRTUAL TABLE vss USING hnsw(dim=4, metric=l2, content=documents, content_vector=embedding)");
	add_rows(db, 1, ROWS);
	assert_int_equal(save(db), ROWS);
	check_graph_used(db);
	run_sql(
		db,
		"DELETE FROM documents WHERE id < 100; UPDATE documents SET embedding = '[5,5,5,5]' WHERE id = 200");
	check_graph_used(db);
	assert_int_equal(save(db), ROWS - 99);
	check_graph_used(db);
	close_database(db);
}

/* ---------- when it must not ---------- */

static void
refuses_inside_transaction(void **unused)
{
	sqlite3 *db = make_database("a.db", 10);
	sqlite3_stmt *stmt;

	run_sql(db, "BEGIN");
	assert_int_equal(try_sql(db, "SELECT hnsw_save()"), SQLITE_ERROR);
	assert_non_null(strstr(sqlite3_errmsg(db), "not inside a transaction"));
	run_sql(db, "COMMIT");

	/* In rollback-journal mode a half-read statement of the same connection would keep the commit out for ever. */
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT * FROM documents", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_int_equal(try_sql(db, "SELECT hnsw_save()"), SQLITE_BUSY);
	assert_non_null(strstr(sqlite3_errmsg(db), "still reading"));
	sqlite3_finalize(stmt);
	assert_int_equal(save(db), 10);

	/* A connection that may not write does not have others write for it. */
	{
		sqlite3 *reader;
		char *path = sqlite3_mprintf("%s/a.db", folder);

		run_sql(db, "DELETE FROM documents WHERE id = 1; INSERT INTO documents VALUES(1, '[9,9,9,9]')");
		assert_int_equal(sqlite3_open_v2(path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
		assert_int_equal(bridge_attach(reader, NULL, NULL), SQLITE_OK);
		assert_int_equal(try_sql(reader, "SELECT hnsw_save()"), SQLITE_READONLY);
		check_answers(reader);
		close_database(reader);
		sqlite3_free(path);
	}

	/* In WAL mode a reader keeps nobody out. */
	run_sql(db, "PRAGMA journal_mode = WAL");
	run_sql(db, "INSERT INTO documents VALUES(100, '[1,1,1,1]')");
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT * FROM documents", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_int_equal(save(db), 11);
	sqlite3_finalize(stmt);
	check_answers(db);
	close_database(db);
}

static bool
always(void *arg)
{
	return true;
}

static void
cancels(void **unused)
{
	BridgeHost host = {.cancelled = always, .file_mode = -1};
	sqlite3 *db = make_database("a.db", ROWS);
	sqlite3 *stopped;

	close_database(db);
	stopped = open_database(folder, "a.db", &host);
	assert_int_equal(try_sql(stopped, "SELECT hnsw_save()"), SQLITE_INTERRUPT);
	close_database(stopped);
	assert_int_equal(count_files(".tmp"), 0);
	db = open_database(folder, "a.db", NULL);
	check_state(db, "none");
	check_answers(db);
	assert_int_equal(save(db), ROWS);
	close_database(db);
}

static void
fill_task(sqlite3 *db, BridgeFiles *files, BridgeMergeTask *task)
{
	BridgeError err = {0};
	BridgeStore *store;

	assert_int_equal(bridge_store_open(db, "main", "vss", &store, &err), SQLITE_OK);
	assert_int_equal(bridge_files_locate(db, "main", "vss", store->params.path, files, &err), SQLITE_OK);
	memset(task, 0, sizeof(*task));
	task->files = files;
	task->table = "vss";
	task->id = store->id;
	task->host_mode = -1;
	task->busy_ms = 200;
	bridge_store_close(store);
}

static void
one_merger_at_a_time(void **unused)
{
	const BridgeAccess access = {0600, -1, -1};
	sqlite3 *db = make_database("a.db", 100);
	BridgeMergeTask task;
	BridgeMergeResult result;
	BridgeFiles files;
	BridgeError err = {0};
	BridgeLock lock;
	BridgeLock second;

	fill_task(db, &files, &task);
	assert_int_equal(bridge_lock_take(&files, &access, 0, NULL, NULL, &lock, &err), SQLITE_OK);
	assert_int_equal(bridge_lock_take(&files, &access, 60, NULL, NULL, &second, &err), SQLITE_BUSY);
	bridge_error_clear(&err);
	assert_int_equal(bridge_merge_run(&task, NULL, &result, &err), SQLITE_BUSY);
	bridge_error_clear(&err);
	assert_int_equal(bridge_lock_take(&files, &access, 60000, always, NULL, &second, &err), SQLITE_INTERRUPT);
	bridge_error_clear(&err);

	/* A lock on a file that somebody removed locks nobody out. */
	assert_int_equal(unlink(in_folder("a.db.idx-lock")), 0);
	assert_int_equal(bridge_merge_run(&task, NULL, &result, &err), SQLITE_OK);
	assert_true(result.merged);
	bridge_lock_drop(&lock);

	/* A lock that cannot be one. */
	assert_int_equal(unlink(in_folder("a.db.idx-lock")), 0);
	assert_int_equal(mkdir(in_folder("a.db.idx-lock"), 0700), 0);
	assert_int_equal(bridge_merge_run(&task, NULL, &result, &err), SQLITE_CANTOPEN);
	assert_non_null(strstr(err.message, "a.db.idx-lock"));
	bridge_error_clear(&err);
	bridge_files_free(&files);
	check_answers(db);
	close_database(db);
}

/* A writer holds the database: wait, then give up leaving nothing behind. */
static void
gives_up_on_busy(void **unused)
{
	sqlite3 *db = make_database("a.db", 100);
	sqlite3 *writer = open_database(folder, "a.db", NULL);
	BridgeMergeTask task;
	BridgeMergeResult result;
	BridgeFiles files;
	BridgeError err = {0};
	struct timespec begin;

	fill_task(db, &files, &task);
	task.busy_ms = 600;
	run_sql(writer, "BEGIN IMMEDIATE");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(bridge_merge_run(&task, NULL, &result, &err) & 0xff, SQLITE_BUSY);
	/* the time it was given, once and not with each of about ten tries */
	assert_true(milliseconds_since(&begin) >= 600);
	assert_true((double) milliseconds_since(&begin) < 2400 * load_factor());
	assert_non_null(strstr(err.message, "the database stays locked by others"));
	bridge_error_clear(&err);
	assert_false(result.merged);
	assert_int_equal(count_files("a.db.idx"), 1); /* the lock */
	run_sql(writer, "ROLLBACK");
	assert_int_equal(bridge_merge_run(&task, NULL, &result, &err), SQLITE_OK);
	assert_true(result.merged);
	/* A table made anew under the name is another index. */
	run_sql(writer, "DROP TABLE vss; CREATE VIRTUAL TABLE vss USING hnsw(dim = 4, path = 'a.db.idx')");
	assert_int_equal(bridge_merge_run(&task, NULL, &result, &err), SQLITE_SCHEMA);
	bridge_error_clear(&err);
	bridge_files_free(&files);
	close_database(writer);
	close_database(db);
}

static void
refuses_shared_path(void **unused)
{
	sqlite3 *db = make_database("a.db", 10);

	save(db);
	assert_int_equal(try_sql(db, "CREATE VIRTUAL TABLE other USING hnsw(dim = 4, path = 'a.db.idx')"),
					 SQLITE_ERROR);
	assert_non_null(strstr(sqlite3_errmsg(db), "is that of table vss already"));
	assert_int_equal(try_sql(db, "CREATE VIRTUAL TABLE other USING hnsw(dim = 4, path = 'b.db.idx')"),
					 SQLITE_OK);
	/* Smuggled in, it is refused when files would be made. */
	run_sql(db, "PRAGMA writable_schema = 1; UPDATE other_config SET value = 'a.db.idx' WHERE key = 'path'");
	close_database(db);
	db = open_database(folder, "a.db", NULL);
	assert_int_equal(try_sql(db, "SELECT hnsw_save('other')"), SQLITE_ERROR);
	assert_non_null(strstr(sqlite3_errmsg(db), "is that of table vss already"));
	check_graph_used(db);
	close_database(db);
}

/* ---------- a merge that ends in the middle ---------- */

static void
killed_at_each_step(void **unused)
{
	static const char *const steps[] = {"1", "1+", "2", "2+", "3", "3+", "4", "4+"};
	sqlite3 *db = make_database("a.db", ROWS);
	int segments;

	for (int wal = 0; wal < 2; wal++)
	{
		run_sql(db, "PRAGMA journal_mode = %s", wal ? "WAL" : "DELETE");
		run_sql(db, "DELETE FROM documents WHERE id = %d", 500 + wal);
		close_database(db);
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		{
			if (!merge_and_die(steps[i]))
				fail_msg("a merge came past step %s", steps[i]);
			db = open_database(folder, "a.db", NULL);
			check_answers(db);
			/* from step 2 on it is the index's */
			if (steps[i][0] > '2' || strcmp(steps[i], "2+") == 0)
				check_graph_used(db);
			/* rows that come after a crash, on top of what it left */
			run_sql(db, "UPDATE documents SET embedding = '[%d,1,1,1]' WHERE id %% 100 = %d", (int) i,
					(int) i + 8 * wal);
			check_answers(db);
			close_database(db);
		}
		db = open_database(folder, "a.db", NULL);
		save(db);
		run_sql(db, "DELETE FROM documents WHERE id = %d", 1000 + wal);
		save(db);
		check_graph_used(db);
		assert_string_equal(get_info(db, "$.delta_stored"), "0");
		/* the current ones, at most one from before, and the lock */
		segments = (int) get_number(db, "SELECT json_array_length(hnsw_info(), '$.graph.segments')");
		assert_in_range(count_files("a.db.idx-"), segments + 1, segments + 2);
		assert_int_equal(count_files(".tmp"), 0);
	}
	close_database(db);
}

/* Another file is renamed over the database while the merge is about to publish. */
static void
replaced_before_publishing(void **unused)
{
	for (int wal = 0; wal < 2; wal++)
	{
		sqlite3 *db = make_database("a.db", ROWS);
		int status;
		pid_t child;

		run_sql(db, "PRAGMA journal_mode = %s", wal ? "WAL" : "DELETE");
		close_database(db);
		shell("cp %s/a.db %s/new.db && cp %s/a.db %s/kept.db", folder, folder, folder, folder);
		child = fork();
		assert_true(child >= 0);
		if (child == 0)
		{
			char *path = sqlite3_mprintf("%s/a.db", folder);

			setenv("HNSW_PUBLISH_STOP", "2?", 1);
			if (sqlite3_open(path, &db) != SQLITE_OK || bridge_attach(db, NULL, NULL) != SQLITE_OK)
				_exit(99);
			_exit(sqlite3_exec(db, "SELECT hnsw_save()", NULL, NULL, NULL));
		}
		assert_int_equal(waitpid(child, &status, WUNTRACED), child);
		assert_true(WIFSTOPPED(status));
		shell("rm -f %s/a.db-wal %s/a.db-shm && mv %s/new.db %s/a.db", folder, folder, folder, folder);
		assert_int_equal(kill(child, SIGCONT), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), SQLITE_READONLY);
		/* the lock alone, and no journal beside the new file */
		assert_int_equal(count_files("a.db.idx"), 1);
		assert_int_equal(count_files("a.db-"), 0);
		shell("cmp -s %s/a.db %s/kept.db", folder, folder);
		db = open_database(folder, "a.db", NULL);
		save(db);
		check_graph_used(db);
		close_database(db);
		shell("rm %s/*", folder);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FOLDER_TEST(publishes),
		FOLDER_TEST(publishes_little),
		FOLDER_TEST(takes_mode_of_database),
		FOLDER_TEST(works_in_memory),
		FOLDER_TEST(refuses_inside_transaction),
		FOLDER_TEST(cancels),
		FOLDER_TEST(one_merger_at_a_time),
		FOLDER_TEST(gives_up_on_busy),
		FOLDER_TEST(refuses_shared_path),
		FOLDER_TEST(killed_at_each_step),
		FOLDER_TEST(replaced_before_publishing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
