/*
 * test_bridge_merge.c
 *		Merges and graph files: what is published, what damaged, foreign, older or
 *		missing files do, what an interrupted merge leaves.
 *
 * Whatever happens to the files, a stream over the index read to its end gives
 * the rows and distances of the table, and the next merge brings the graph back.
 */
#define _GNU_SOURCE
#include "bridge_support.h"
#include "sqlite_bridge/merge_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define ROWS 3000

static char *folder;

static int
setup(void **state)
{
	folder = make_folder();
	return 0;
}

static int
teardown(void **state)
{
	remove_folder(folder);
	return 0;
}

/* ---------- helpers ---------- */

static const char *
in_folder(const char *name)
{
	static char path[4][512];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
	return path[turn];
}

static void
add_rows(sqlite3 *db, int first, int last)
{
	if (first > last)
		return;
	run_sql(db,
			"WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
			" INSERT OR REPLACE INTO documents SELECT i, printf('[%%d,%%d,%%d,%%d]', i * 7919 %% 1009 - 500,"
			" i * i * 31 %% 1013, i * 104729 %% 997, i %% 17) FROM n",
			first, last);
}

/* documents and its index vss, with a path of its own. */
static sqlite3 *
make_database(const char *name, int rows)
{
	sqlite3 *db = open_database(folder, name, NULL);

	run_sql(db, "PRAGMA synchronous = OFF; CREATE TABLE documents(id INTEGER PRIMARY KEY, embedding TEXT)");
	run_sql(db,
			"CREATE VIRTUAL TABLE vss USING hnsw(dim = 4, metric = l2, path = '%s.idx', content = documents,"
			" content_vector = embedding)",
			name);
	add_rows(db, 1, rows);
	return db;
}

static void
check_answers(sqlite3 *db)
{
	assert_true(index_equals(db, "vss", "l2_distance", "[10,500,300,7]", "documents", "id", "embedding"));
}

static void
check_state(sqlite3 *db, const char *state)
{
	assert_string_equal(get_info(db, "$.graph.state"), state);
}

/* Right answers, sound structure, and a search really asks the graph. */
static void
check_graph_used(sqlite3 *db)
{
	sqlite3_stmt *stmt;
	BridgeStats stats = {0};

	check_answers(db);
	assert_string_equal(get_text(db, "SELECT hnsw_check('vss')"), "ok");
	check_state(db, "used");
	assert_int_equal(
		sqlite3_prepare_v2(db, "SELECT rowid FROM vss('[10,500,300,7]', 10, NULL, NULL, ?)", -1, &stmt, NULL),
		SQLITE_OK);
	sqlite3_bind_pointer(stmt, 1, &stats, BRIDGE_STATS_POINTER, NULL);
	for (int i = 0; i < 10; i++)
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal(stats.strategy, "graph");
	sqlite3_finalize(stmt);
}

static int64_t
save(sqlite3 *db)
{
	return get_number(db, "SELECT hnsw_save('vss')");
}

/* How many files of the folder contain this in their name. */
static int
count_files(const char *part)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		n += strstr(entry->d_name, part) != NULL;
	closedir(dir);
	return n;
}

/* "<name>.idx-<current token>" */
static const char *
token_file(sqlite3 *db, const char *name)
{
	char file[300];

	snprintf(file, sizeof(file), "%s.idx-%s", name, get_info(db, "$.graph.token"));
	return in_folder(file);
}

static void
shell(const char *format, ...)
{
	va_list args;
	char *command;

	va_start(args, format);
	assert_true(vasprintf(&command, format, args) > 0);
	va_end(args);
	if (system(command) != 0)
		fail_msg("%s", command);
	free(command);
}

/* Write bytes into the middle of a file, keeping its inode. */
static void
overwrite(const char *path, off_t offset, const char *bytes, size_t length)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, length, offset), (ssize_t) length);
	close(fd);
}

static off_t
file_size(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static ino_t
file_inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

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
	sqlite3 *db = make_database("a.db", 100);
	BridgeMergeTask task;
	BridgeMergeResult result;
	BridgeFiles files;
	BridgeError err = {0};
	BridgeLock lock;
	BridgeLock second;

	fill_task(db, &files, &task);
	assert_int_equal(bridge_lock_take(&files, 0600, -1, 0, NULL, NULL, &lock, &err), SQLITE_OK);
	assert_int_equal(bridge_lock_take(&files, 0600, -1, 60, NULL, NULL, &second, &err), SQLITE_BUSY);
	bridge_error_clear(&err);
	assert_int_equal(bridge_merge_run(&task, NULL, &result, &err), SQLITE_BUSY);
	bridge_error_clear(&err);
	assert_int_equal(bridge_lock_take(&files, 0600, -1, 60000, always, NULL, &second, &err),
					 SQLITE_INTERRUPT);
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

	fill_task(db, &files, &task);
	run_sql(writer, "BEGIN IMMEDIATE");
	assert_int_equal(bridge_merge_run(&task, NULL, &result, &err) & 0xff, SQLITE_BUSY);
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

/* ---------- files that are not what they were ---------- */

static void
file_deleted(void **unused)
{
	sqlite3 *db = make_database("a.db", ROWS);

	save(db);
	/* One of the two names is enough, and the other comes back. */
	assert_int_equal(unlink(token_file(db, "a.db")), 0);
	close_database(db);
	db = open_database(folder, "a.db", NULL);
	check_graph_used(db);
	save(db);
	assert_int_equal(access(token_file(db, "a.db"), F_OK), 0);
	assert_int_equal(unlink(in_folder("a.db.idx")), 0);
	close_database(db);
	db = open_database(folder, "a.db", NULL);
	check_graph_used(db);
	save(db);
	assert_int_equal(access(in_folder("a.db.idx"), F_OK), 0);

	shell("rm %s/a.db.idx*", folder);
	close_database(db);
	db = open_database(folder, "a.db", NULL);
	check_answers(db);
	check_state(db, "missing");
	assert_non_null(strstr(get_text(db, "SELECT hnsw_check()"), "exact until the next merge"));
	assert_int_equal(save(db), ROWS);
	check_graph_used(db);
	close_database(db);
}

/* Any block of the file, as a reader that maps it anew finds it. */
static void
file_damaged(void **unused)
{
	sqlite3 *db = make_database("a.db", ROWS);
	off_t size;

	save(db);
	size = file_size(in_folder("a.db.idx"));
	for (int i = 0; i < 12; i++)
	{
		off_t at = i == 0 ? 20 : size / 12 * i + 100;

		close_database(db);
		overwrite(in_folder("a.db.idx"), at, "damaged!", 8);
		db = open_database(folder, "a.db", NULL);
		check_answers(db);
		assert_int_equal(save(db), ROWS);
		check_graph_used(db);
	}
	/* Cut short, empty, and grown. */
	for (int i = 0; i < 3; i++)
	{
		close_database(db);
		assert_int_equal(truncate(in_folder("a.db.idx"), i == 0 ? size / 2 : i == 1 ? 0 : 2 * size), 0);
		db = open_database(folder, "a.db", NULL);
		check_answers(db);
		assert_int_equal(save(db), ROWS);
		check_graph_used(db);
	}
	/* Without anybody asking the graph first, the merge finds out by itself. */
	overwrite(in_folder("a.db.idx"), size / 2, "damaged!", 8);
	close_database(db);
	db = open_database(folder, "a.db", NULL);
	assert_int_equal(save(db), ROWS);
	check_graph_used(db);
	/* So does one that builds on it. */
	overwrite(in_folder("a.db.idx"), size / 2, "damaged!", 8);
	close_database(db);
	db = open_database(folder, "a.db", NULL);
	add_rows(db, 9001, 9010);
	assert_int_equal(save(db), ROWS + 10);
	check_graph_used(db);
	close_database(db);
}

/* A copy of the database, with the graph files: each keeps its own. */
static void
database_copied(void **unused)
{
	sqlite3 *db = make_database("a.db", ROWS);
	sqlite3 *copy;
	ino_t original;

	save(db);
	original = file_inode(in_folder("a.db.idx"));
	shell("cp %s/a.db %s/copy.db", folder, folder);
	copy = open_database(folder, "copy.db", NULL);
	check_answers(copy);
	check_state(copy, "foreign");
	run_sql(copy, "UPDATE documents SET embedding = '[9,9,9,9]' WHERE id < 50");
	check_answers(copy);
	assert_int_equal(save(copy), ROWS);
	check_graph_used(copy);
	run_sql(copy, "DELETE FROM documents WHERE id > 2900");
	save(copy);
	save(copy);
	check_graph_used(copy);
	/* The path is the original's, and its file is as it was. */
	assert_int_equal(file_inode(in_folder("a.db.idx")), original);
	check_graph_used(db);
	run_sql(db, "DELETE FROM documents WHERE id = 1");
	save(db);
	check_graph_used(db);
	check_graph_used(copy);
	run_sql(copy, "DROP TABLE vss");
	check_graph_used(db);
	assert_int_equal(access(in_folder("a.db.idx"), F_OK), 0);
	close_database(copy);

	/* VACUUM INTO, into a folder of its own, without any file. */
	shell("mkdir %s/else", folder);
	run_sql(db, "VACUUM INTO '%q/else/v.db'", folder);
	copy = open_database(in_folder("else"), "v.db", NULL);
	check_answers(copy);
	check_state(copy, "missing");
	save(copy);
	check_graph_used(copy);
	close_database(copy);
	close_database(db);
}

static void
files_swapped(void **unused)
{
	sqlite3 *a = make_database("a.db", ROWS);
	sqlite3 *b = make_database("b.db", ROWS);

	run_sql(b, "UPDATE documents SET embedding = '[7,7,7,7]' WHERE id %% 2");
	save(a);
	save(b);
	shell("cd %s && mv a.db.idx x && mv b.db.idx a.db.idx && mv x b.db.idx", folder);
	shell("cd %s && a=$(ls a.db.idx-* | grep -v lock) && b=$(ls b.db.idx-* | grep -v lock) && mv $a x && mv "
		  "$b $a"
		  " && mv x $b",
		  folder);
	close_database(a);
	close_database(b);
	a = open_database(folder, "a.db", NULL);
	b = open_database(folder, "b.db", NULL);
	check_answers(a);
	check_answers(b);
	check_state(a, "foreign");
	check_state(b, "foreign");
	save(a);
	save(b);
	check_graph_used(a);
	check_graph_used(b);
	close_database(a);
	close_database(b);
}

/* An older graph under the current names; an older database beside a newer graph. */
static void
older_restored(void **unused)
{
	sqlite3 *db = make_database("a.db", ROWS);
	char *old_state;

	save(db);
	run_sql(db, "DELETE FROM documents WHERE id %% 3 = 0");
	close_database(db);
	shell("cp %s/a.db %s/backup", folder, folder);
	shell("cp %s/a.db.idx %s/old.graph", folder, folder);

	db = open_database(folder, "a.db", NULL);
	run_sql(db, "UPDATE documents SET embedding = '[1,2,3,4]' WHERE id %% 3 = 1");
	save(db);
	old_state = strdup(token_file(db, "a.db"));
	close_database(db);
	shell("cat %s/old.graph > %s/a.db.idx", folder, folder);
	db = open_database(folder, "a.db", NULL);
	check_answers(db);
	check_state(db, "older");
	save(db);
	check_graph_used(db);
	add_rows(db, 5000, 5100);
	save(db);
	close_database(db);
	assert_int_equal(access(old_state, F_OK), -1);
	free(old_state);

	/* In place, so that the inode speaks for it; the counter goes back with it. */
	shell("cat %s/backup > %s/a.db", folder, folder);
	db = open_database(folder, "a.db", NULL);
	check_answers(db);
	run_sql(db, "UPDATE documents SET embedding = '[4,3,2,1]' WHERE id %% 3 = 2");
	check_answers(db);
	save(db);
	check_graph_used(db);
	close_database(db);
}

/* What lies at the path and is not ours stays as it is. */
static void
strangers_file(void **unused)
{
	sqlite3 *db = make_database("a.db", ROWS);

	shell("echo 'precious notes' > %s/a.db.idx", folder);
	assert_int_equal(save(db), ROWS);
	check_graph_used(db);
	run_sql(db, "DELETE FROM documents WHERE id = 1");
	save(db);
	shell("grep -q 'precious notes' %s/a.db.idx", folder);
	assert_non_null(strstr(get_info(db, "$.graph.reason"), "not ours"));
	/* and nobody's files with names like ours, while those that look dead are ours to take */
	shell("echo 'a letter' > %s/a.db.idx-0123456789abcdef; touch "
		  "%s/a.db.idx-0123456789abcdef.0123456789abcdef.tmp",
		  folder, folder);
	run_sql(db, "DELETE FROM documents WHERE id = 2");
	save(db);
	shell("grep -q 'a letter' %s/a.db.idx-0123456789abcdef", folder);
	assert_int_equal(count_files(".tmp"), 0);
	check_graph_used(db);
	run_sql(db, "DROP TABLE vss");
	shell("grep -q 'precious notes' %s/a.db.idx && grep -q 'a letter' %s/a.db.idx-0123456789abcdef", folder,
		  folder);
	close_database(db);

	/* A folder, and a symbolic link to somewhere else. */
	db = make_database("b.db", 100);
	shell("ln -s %s/victim %s/b.db.idx; echo victim > %s/victim", folder, folder, folder);
	save(db);
	shell("test -L %s/b.db.idx && grep -q victim %s/victim", folder, folder);
	check_graph_used(db);
	close_database(db);
}

/* ---------- a merge that ends in the middle ---------- */

/* Merge in a child that dies at a step of publish.c; true when it died there. */
static bool
merge_and_die(const char *step)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
	{
		sqlite3 *db;
		char *path = sqlite3_mprintf("%s/a.db", folder);

		setenv("HNSW_PUBLISH_STOP", step, 1);
		if (sqlite3_open(path, &db) != SQLITE_OK || bridge_attach(db, NULL, NULL) != SQLITE_OK)
			_exit(2);
		sqlite3_exec(db, "SELECT hnsw_save()", NULL, NULL, NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

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

/* ---------- automatic merges ---------- */

static void
wait_for_state(sqlite3 *db, const char *state)
{
	for (int i = 0; i < 1000; i++)
	{
		run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
		if (strcmp(get_info(db, "$.graph.state"), state) == 0)
			return;
		usleep(20000);
	}
	fail_msg("the graph is %s, not %s; %s", get_info(db, "$.graph.state"), state, get_info(db, "$.merge"));
}

static void
merges_by_itself(void **unused)
{
	BridgeHost host = {.merge_thread = true, .file_mode = -1};
	sqlite3 *db;

	close_database(make_database("a.db", 100));
	db = open_database(folder, "a.db", &host);
	run_sql(db, "PRAGMA synchronous = OFF");
	/* Too few rows for a graph to help. */
	run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
	usleep(50000);
	check_state(db, "none");
	add_rows(db, 1, ROWS);
	wait_for_state(db, "used");
	check_graph_used(db);
	assert_string_equal(get_info(db, "$.merge.error"), "");
	close_database(db);

	/* A load without a search is merged, too. */
	db = open_database(folder, "a.db", &host);
	run_sql(db, "PRAGMA synchronous = OFF");
	add_rows(db, 10001, 10001 + ROWS);
	for (int i = 0; i < 500 && get_number(db, "SELECT json_extract(hnsw_info('vss'), '$.merge.merges')") == 0;
		 i++)
		usleep(20000);
	assert_string_equal(get_info(db, "$.delta_rows"), "0");
	check_graph_used(db);
	close_database(db);

	/* A damaged file comes back by itself once somebody has come across the damage. */
	overwrite(in_folder("a.db.idx"), file_size(in_folder("a.db.idx")) / 2, "damaged!", 8);
	db = open_database(folder, "a.db", &host);
	check_answers(db);
	assert_string_not_equal(get_text(db, "SELECT hnsw_check()"), "ok");
	check_state(db, "corrupt");
	wait_for_state(db, "used");
	check_graph_used(db);
	close_database(db);
}

/* Closing does not wait for a merge that has just begun. */
static void
closing_cancels(void **unused)
{
	BridgeHost host = {.merge_thread = true, .build_threads = 1, .file_mode = -1};
	struct timespec begin;
	struct timespec end;
	sqlite3 *db;

	close_database(make_database("a.db", 60000));
	db = open_database(folder, "a.db", &host);
	run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
	usleep(100000);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	close_database(db);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 < 2000);
	assert_int_equal(count_files(".tmp"), 0);
}

/*
 * A child of fork() has no thread to join and must not hang.  The fork comes
 * while the thread builds: SQLite's own locks are no safer than ever if it comes
 * while another thread is within SQLite.
 */
static void
forked_child_closes(void **unused)
{
	BridgeHost host = {.merge_thread = true, .build_threads = 1, .file_mode = -1};
	sqlite3 *db;
	pid_t child;
	int status;

	close_database(make_database("a.db", 60000));
	db = open_database(folder, "a.db", &host);
	run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
	usleep(400000);
	assert_string_equal(get_info(db, "$.merge.running"), "1");
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
	{
		alarm(20); /* a hang ends as a signal */
		sqlite3_close(db);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("the child ended with status %x", (unsigned) status);
	close_database(db);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(publishes),
		TEST(publishes_little),
		TEST(takes_mode_of_database),
		TEST(works_in_memory),
		TEST(refuses_inside_transaction),
		TEST(cancels),
		TEST(one_merger_at_a_time),
		TEST(gives_up_on_busy),
		TEST(refuses_shared_path),
		TEST(file_deleted),
		TEST(file_damaged),
		TEST(database_copied),
		TEST(files_swapped),
		TEST(older_restored),
		TEST(strangers_file),
		TEST(killed_at_each_step),
		TEST(merges_by_itself),
		TEST(closing_cancels),
		TEST(forked_child_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
