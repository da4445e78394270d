/*
 * test_bridge_restored.c
 *		An older copy of the database put in its place while a merge is at work.
 *
 * The merge asks now and then whether to go on.  At its nth question others write to every
 * row, some questions later the copy comes back, and perhaps the newer state after it.  Whenever that is,
 * the index afterwards gives the rows and distances of the table.
 */
#define _GNU_SOURCE
#include "bridge_folder.h"
#include "sqlite_bridge/merge/merge.h"

#define DIM 2048 /* a batch of a merge is 128 rows */
#define ROWS 260

typedef struct Event
{
	int question; /* not before this one */
	const char *copy;
	bool done;
} Event;

/* What happens while the merge works, in this order. */
typedef struct Meanwhile
{
	sqlite3 *db;
	bool own; /* the index has vectors of its own */
	int questions;
	Event events[3];
	pthread_t thread;
} Meanwhile;

/* Vectors that differ between versions in every row. */
static int
write_rows(sqlite3 *db, bool own, int version)
{
	static float vector[DIM];
	sqlite3_stmt *stmt;
	int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		return rc;
	assert_int_equal(
		sqlite3_prepare_v2(db,
						   own ? "SELECT hnsw_add(?1, ?2)"
							   : "INSERT INTO d VALUES (?1, ?2) ON CONFLICT DO UPDATE SET v = excluded.v",
						   -1, &stmt, NULL),
		SQLITE_OK);
	for (int i = 1; i <= ROWS; i++)
	{
		vector[0] = (float) (i * 37 % 101);
		vector[i] = (float) version;
		sqlite3_bind_int(stmt, 1, i);
		sqlite3_bind_blob(stmt, 2, vector, sizeof(vector), SQLITE_STATIC);
		while (sqlite3_step(stmt) == SQLITE_ROW)
			;
		assert_int_equal(sqlite3_reset(stmt), SQLITE_OK);
		vector[i] = 0;
	}
	sqlite3_finalize(stmt);
	rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

/* All pages from one database into the other; false where somebody reads it. */
static bool
copy(sqlite3 *to, sqlite3 *from)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	int rc;

	assert_non_null(backup);
	rc = sqlite3_backup_step(backup, -1);
	assert_true(rc == SQLITE_DONE || (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED);
	sqlite3_backup_finish(backup);
	return rc == SQLITE_DONE;
}

static void
keep_copy(sqlite3 *db, const char *name)
{
	sqlite3 *to = open_plain(folder, name);

	run_sql(to, "PRAGMA synchronous = OFF");
	assert_true(copy(to, db));
	close_database(to);
}

static bool
restore(sqlite3 *db, const char *name)
{
	sqlite3 *from = open_plain(folder, name);
	bool done = copy(db, from);

	close_database(from);
	return done;
}

/* A file with another schema of the same version is copied over the database under an open session. */
static void
copied_over(void **unused)
{
	static const char *const losses[] = {
		"DROP TRIGGER vss_changes_ai",
		"DROP TRIGGER vss_changes_au; CREATE TRIGGER vss_changes_au BEFORE UPDATE ON d WHEN 0 BEGIN SELECT "
		"1; END",
		"CREATE TRIGGER late AFTER INSERT ON d BEGIN SELECT 1; END",
		"CREATE TABLE d2 AS SELECT * FROM d; DROP TABLE d; CREATE TABLE d(id INTEGER PRIMARY KEY, v TEXT); "
		"INSERT "
		"INTO d SELECT * FROM d2",
	};

	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++)
	{
		char command[900];
		sqlite3 *db = open_database(folder, "live.db", NULL);
		sqlite3 *copy;
		int64_t version;

		run_sql(db, "DROP TABLE IF EXISTS vss; DROP TABLE IF EXISTS d; DROP TABLE IF EXISTS d2;"
					"CREATE TABLE d(id INTEGER PRIMARY KEY, v TEXT);"
					"INSERT INTO d VALUES (1, '[1,0]'), (2, '[0,1]'), (3, '[1,1]');"
					"CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, content = d, content_vector = v)");
		assert_int_equal(get_number(db, "SELECT hnsw_save()"), 3);
		close_database(db);
		snprintf(command, sizeof(command), "cp %s/live.db %s/copy.db", folder, folder);
		assert_int_equal(system(command), 0);

		db = open_database(folder, "live.db", NULL);
		assert_string_equal(get_info(db, "$.follow"), "followed");
		assert_int_equal(get_number(db, "SELECT rowid FROM vss('[-1,0.1]', 1)"), 2);
		copy = open_plain(folder, "copy.db");
		version = get_number(copy, "PRAGMA schema_version");
		run_sql(copy, "%s", losses[i]);
		run_sql(copy, "INSERT INTO d VALUES (9, '[-1,0.1]')");
		snprintf(command, sizeof(command), "PRAGMA schema_version = %lld", (long long) version);
		run_sql(copy, "%s", command);
		close_database(copy);
		snprintf(command, sizeof(command), "cat %s/copy.db > %s/live.db", folder, folder);
		assert_int_equal(system(command), 0);

		assert_int_equal(get_number(db, "SELECT rowid FROM vss('[-1,0.1]', 1)"), 9);
		assert_string_not_equal(get_info(db, "$.follow"), "followed");
		close_database(db);
	}
}

static bool
meanwhile(void *arg)
{
	Meanwhile *m = arg;

	if (!pthread_equal(pthread_self(), m->thread))
		return false;
	m->questions++;
	for (size_t i = 0; i < sizeof(m->events) / sizeof(m->events[0]); i++)
	{
		Event *event = &m->events[i];

		if (event->done)
			continue;
		if (m->questions < event->question)
			break;
		/* a merge that reads keeps others out: then at its next question */
		if (event->copy == NULL)
			event->done = write_rows(m->db, m->own, 2) == SQLITE_OK;
		else
			event->done = restore(m->db, event->copy);
		break;
	}
	return false;
}

/* A merge, while this happens; the number of its questions. */
static int
merge(sqlite3 *db, Meanwhile *m)
{
	BridgeFiles files;
	BridgeStore *store;
	BridgeError err = {0};
	BridgeMergeResult result;
	BridgeMergeTask task = {
		.files = &files, .table = "x", .host_mode = -1, .threads = 1, .cancelled = meanwhile, .arg = m};
	int rc;

	assert_int_equal(bridge_store_open(db, "main", "x", &store, &err), SQLITE_OK);
	assert_int_equal(bridge_files_locate(db, "main", "x", NULL, &files, &err), SQLITE_OK);
	task.id = store->id;
	bridge_store_close(store);
	rc = bridge_merge_run(&task, NULL, &result, &err) & 0xff;
	if (rc != SQLITE_OK && rc != SQLITE_BUSY)
		fail_msg("%s", err.message);
	bridge_error_clear(&err);
	sqlite3_free(result.warning);
	bridge_files_free(&files);
	return m->questions;
}

/* Rows of one side that the other has not. */
static int
count_beyond(sqlite3 *db, bool own, bool index)
{
	static float question[DIM];
	sqlite3_stmt *stmt;
	const char *sides[] = {"SELECT rowid, distance FROM x(?1)",
						   own ? "SELECT rowid, l2_distance(vector, ?1) FROM x_vectors"
							   : "SELECT id, l2_distance(v, ?1) FROM d"};
	char *sql = sqlite3_mprintf("SELECT count(*) FROM (%s EXCEPT %s)", sides[!index], sides[index]);
	int count;

	question[0] = 50;
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	sqlite3_bind_blob(stmt, 1, question, sizeof(question), SQLITE_STATIC);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	count = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return count;
}

static void
check_index(sqlite3 *db, bool own)
{
	assert_int_equal(count_beyond(db, own, true), 0);
	assert_int_equal(count_beyond(db, own, false), 0);
	assert_string_equal(get_text(db, "SELECT hnsw_check('x')"), "ok");
}

/* merged: the merge begins with a graph.  again: the newer state comes back in the end. */
static void
restored(bool own, bool merged, bool again, bool wal)
{
	static const BridgeHost quiet = {.file_mode = -1};
	int questions = 1;
	int happened = 0;

	/* all of a short merge's, and some of a long one's */
	for (int at = 1; at <= questions + 1; at += 1 + questions / 8)
	{
		Meanwhile m = {.own = own, .thread = pthread_self()};
		sqlite3 *db;

		setup_folder(NULL);
		db = open_database(folder, "t.db", &quiet);
		run_sql(db,
				"PRAGMA journal_mode = %s; PRAGMA synchronous = OFF;"
				"CREATE TABLE d(id INTEGER PRIMARY KEY, v BLOB);"
				"CREATE VIRTUAL TABLE x USING hnsw(dim = %d, metric = l2, m = 4, ef = 8%s)",
				wal ? "WAL" : "DELETE", DIM, own ? "" : ", content = d, content_vector = v");
		assert_int_equal(write_rows(db, own, 1), SQLITE_OK);
		if (merged)
		{
			run_sql(db, "SELECT hnsw_save()");
			assert_int_equal(write_rows(db, own, 3), SQLITE_OK);
		}
		keep_copy(db, "old.db");
		m.db = open_database(folder, "t.db", &quiet);
		sqlite3_busy_timeout(m.db, 0);
		run_sql(m.db, "PRAGMA synchronous = OFF");
		m.events[1] = (Event){at, "old.db", false};
		m.events[2] = (Event){again ? at + 2 : INT32_MAX, "new.db", false};
		if (again)
		{
			/* what others will write, known beforehand */
			assert_int_equal(write_rows(db, own, 2), SQLITE_OK);
			keep_copy(db, "new.db");
			assert_true(restore(db, "old.db"));
			m.events[0] = (Event){1, "new.db", false};
		}
		questions = merge(db, &m);
		happened += m.events[1].done;
		check_index(db, own);
		run_sql(db, "SELECT hnsw_save()");
		check_index(db, own);
		close_database(m.db);
		close_database(db);
		teardown_folder(NULL);
	}
	assert_true(happened > 3);
}

static void
content(void **unused)
{
	for (int i = 0; i < 8; i++)
		restored(false, i & 1, i & 2, i & 4);
}

static void
own_vectors(void **unused)
{
	for (int i = 0; i < 8; i++)
		restored(true, i & 1, i & 2, i & 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content),
		cmocka_unit_test(own_vectors),
		FOLDER_TEST(copied_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
