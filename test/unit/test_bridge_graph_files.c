/*
 * test_bridge_graph_files.c
 *		Graph files that are not what they were: deleted, damaged, foreign, older,
 *		or somebody else's.
 *
 * Whatever happens to the files, a stream over the index read to its end gives
 * the rows and distances of the table, and the next merge brings the graph back.
 */
#define _GNU_SOURCE
#include "merge_support.h"

#define ROWS 3000

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
		damage_file(in_folder("a.db.idx"), at);
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
	damage_file(in_folder("a.db.idx"), size / 2);
	close_database(db);
	db = open_database(folder, "a.db", NULL);
	assert_int_equal(save(db), ROWS);
	check_graph_used(db);
	/* So does one that builds on it. */
	damage_file(in_folder("a.db.idx"), size / 2);
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

/* Another file is renamed over the database, again and again: what is left of the former ones goes. */
static void
database_replaced(void **unused)
{
	char name[300];
	sqlite3 *a = make_database("a.db", 100);
	/* before the others go, so that it and its graph have the inode of none of them */
	sqlite3 *b = make_database("b.db", 50);

	save(b);
	save(a);
	for (int i = 0; i < 6; i++)
	{
		close_database(a);
		shell("cp %s/a.db %s/new.db && mv %s/new.db %s/a.db", folder, folder, folder, folder);
		a = open_database(folder, "a.db", NULL);
		add_rows(a, 1000 + i, 1000 + i);
		save(a);
		check_graph_used(a);
		/* both names of the graph, the one before, the lock */
		assert_true(count_files("a.db.idx") <= 4);
		assert_true(get_number(a, "SELECT hnsw_info('vss') ->> '$.graph.old_files'") <= 1);
	}
	check_answers(a);

	/* That of a database which is there stays, under whatever name; without it, it goes. */
	snprintf(name, sizeof(name), "a.db.idx-%s", get_info(b, "$.graph.token"));
	shell("mv %s %s/%s", token_file(b, "b.db"), folder, name);
	add_rows(a, 2000, 2000);
	save(a);
	assert_int_equal(access(in_folder(name), F_OK), 0);
	assert_int_equal(get_number(a, "SELECT hnsw_info('vss') ->> '$.graph.old_files'"), 2);
	assert_true(get_number(a, "SELECT hnsw_info('vss') ->> '$.graph.old_bytes'") > 0);
	close_database(b);
	shell("rm %s/b.db*", folder);
	add_rows(a, 2001, 2001);
	save(a);
	assert_int_not_equal(access(in_folder(name), F_OK), 0);
	check_graph_used(a);
	close_database(a);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FOLDER_TEST(file_deleted),      FOLDER_TEST(file_damaged),   FOLDER_TEST(database_copied),
		FOLDER_TEST(files_swapped),     FOLDER_TEST(older_restored), FOLDER_TEST(strangers_file),
		FOLDER_TEST(database_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
