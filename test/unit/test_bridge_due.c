/*
 * test_bridge_due.c
 *		BridgeHost.merge_due and hnsw_save(table, when): how a host that merges
 *		elsewhere learns that a merge is due, and what it then runs.
 */
#define _GNU_SOURCE
#include "bridge_support.h"

#include <sys/stat.h>

static char *folder;

/* What the host was told. */
static struct
{
	int calls;
	char index[64];
	BridgeMergeDue last;
} told;

static void
hear(void *arg, const BridgeMergeDue *due)
{
	assert_ptr_equal(arg, &told);
	told.calls++;
	told.last = *due;
	snprintf(told.index, sizeof(told.index), "%s", due->index);
}

static const BridgeHost host = {.merge_due = hear, .arg = &told, .file_mode = -1};

static int
setup(void **state)
{
	folder = make_folder();
	memset(&told, 0, sizeof(told));
	return 0;
}

static int
teardown(void **state)
{
	remove_folder(folder);
	return 0;
}

/* In memory where there is no folder. */
static sqlite3 *
make_database(const char *where)
{
	sqlite3 *db = open_database(where, where != NULL ? "a.db" : ":memory:", &host);

	run_sql(db, "PRAGMA synchronous = OFF; CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2)");
	return db;
}

static void
add_rows(sqlite3 *db, int first, int last)
{
	run_sql(db,
			"WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
			" INSERT INTO vss(rowid, embedding) SELECT i, printf('[%%d,%%d]', i, i * 7919 %% 1009) FROM n",
			first, last);
}

static void
commits_tell(void **state)
{
	sqlite3 *db = make_database(folder);
	char path[512];
	struct stat st;

	add_rows(db, 1, 1500);
	assert_int_equal(told.calls, 0);
	run_sql(db, "BEGIN");
	add_rows(db, 1501, 4000);
	assert_int_equal(told.calls, 0); /* not before the commit */
	run_sql(db, "ROLLBACK");
	assert_int_equal(told.calls, 0);
	add_rows(db, 1501, 2100); /* with the 1,500 before */
	assert_int_equal(told.calls, 1);
	assert_string_equal(told.index, "vss");
	assert_false(told.last.damaged);
	snprintf(path, sizeof(path), "%s/a.db", folder);
	assert_int_equal(stat(path, &st), 0);
	assert_true(told.last.device == (uint64_t) st.st_dev && told.last.inode == (uint64_t) st.st_ino);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
searches_tell(void **state)
{
	sqlite3 *db = make_database(folder);
	sqlite3 *reader;
	uint64_t id;

	add_rows(db, 1, 3000);
	id = told.last.id;
	told.calls = 0;
	reader = open_database(folder, "a.db", &host);
	assert_string_equal(get_text(reader, "SELECT group_concat(rowid) FROM vss('[5,251]', 1)"), "5");
	assert_int_equal(told.calls, 1);
	assert_true(told.last.id == id);

	/* merged elsewhere: nothing is due until much has changed */
	assert_string_equal(get_text(db, "SELECT hnsw_save('vss', 'due')"), "3000");
	assert_string_equal(get_text(db, "SELECT hnsw_save('vss', 'due') IS NULL"), "1");
	get_text(reader, "SELECT group_concat(rowid) FROM vss('[5,251]', 1)");
	assert_int_equal(told.calls, 1);
	add_rows(db, 3001, 5100);
	told.calls = 0;
	get_text(reader, "SELECT group_concat(rowid) FROM vss('[5,251]', 1)");
	assert_int_equal(told.calls, 1);
	assert_true(told.last.graph != 0);

	/* a search that is left before its last row */
	told.calls = 0;
	assert_string_equal(get_text(reader, "SELECT rowid FROM vss('[5,251]') LIMIT 1"), "5");
	assert_int_equal(told.calls, 1);
	assert_int_equal(sqlite3_close(reader), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Databases that nobody else could merge. */
static void
others_do_not(void **state)
{
	sqlite3 *db = make_database(NULL);
	sqlite3 *writer;

	add_rows(db, 1, 3000);
	get_text(db, "SELECT group_concat(rowid) FROM vss('[5,251]', 1)");
	assert_string_equal(get_text(db, "SELECT hnsw_save('vss', 'due') IS NULL"), "1");
	assert_int_equal(told.calls, 0);
	sqlite3_close(db);

	writer = make_database(folder);
	add_rows(writer, 1, 3000);
	assert_int_equal(told.calls, 1);
	run_sql(writer, "ATTACH '%s/b.db' AS b", folder);
	run_sql(writer, "CREATE VIRTUAL TABLE b.other USING hnsw(dim = 2)");
	run_sql(writer, "INSERT INTO b.other(rowid, embedding) SELECT rowid, embedding FROM vss");
	assert_int_equal(told.calls, 1); /* not of an attached database */
	sqlite3_close(writer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(commits_tell, setup, teardown),
		cmocka_unit_test_setup_teardown(searches_tell, setup, teardown),
		cmocka_unit_test_setup_teardown(others_do_not, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
