/*
 * test_bridge_automatic.c
 *		Merges that nobody asked for: the thread that a host lets a connection have,
 *		when it merges, and how it ends.
 */
#define _GNU_SOURCE
#include "merge_support.h"

#define ROWS 3000

static void
wait_for_state(sqlite3 *db, const char *state)
{
	for (int i = 0; i < 15000; i++)
	{
		run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
		if (strcmp(get_info(db, "$.graph.state"), state) == 0)
			return;
		usleep(20000);
	}
	fail_msg("the graph is %s, not %s; %s", get_info(db, "$.graph.state"), state, get_info(db, "$.merge"));
}

/* Until the thread is at work. */
static void
wait_for_merge(sqlite3 *db)
{
	for (int i = 0; i < 15000 && strcmp(get_info(db, "$.merge.running"), "1") != 0; i++)
		usleep(10000);
	assert_string_equal(get_info(db, "$.merge.running"), "1");
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

	/* A load without a search is merged, too, where its host asks. */
	db = open_database(folder, "a.db", &host);
	run_sql(db, "PRAGMA synchronous = OFF");
	add_rows(db, 10001, 10001 + ROWS);
	assert_int_equal(get_number(db, "SELECT hnsw_due()"), 1);
	for (int i = 0;
		 i < 15000 && get_number(db, "SELECT json_extract(hnsw_info('vss'), '$.merge.merges')") == 0; i++)
		usleep(20000);
	assert_string_equal(get_info(db, "$.delta_rows"), "0");
	check_graph_used(db);
	close_database(db);

	/* A damaged file comes back by itself once somebody has come across the damage. */
	damage_file(in_folder("a.db.idx"), file_size(in_folder("a.db.idx")) / 2);
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
	sqlite3 *db;

	close_database(make_database("a.db", 60000));
	db = open_database(folder, "a.db", &host);
	run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
	wait_for_merge(db);
	close_database(db);
	assert_int_equal(count_files(".tmp"), 0);
	db = open_database(folder, "a.db", NULL);
	check_state(db, "none");
	close_database(db);
}

/* Nor for a lock that another connection keeps. */
static void
closing_waits_for_no_lock(void **unused)
{
	BridgeHost host = {.merge_thread = true, .build_threads = 1, .file_mode = -1};
	sqlite3 *writer = make_database("a.db", ROWS);
	struct timespec begin;
	sqlite3 *db;

	run_sql(writer, "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE");
	db = open_database(folder, "a.db", &host);
	run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
	for (int i = 0; i < 15000 && strcmp(get_info(db, "$.merge.phase"), "writing") != 0; i++)
		usleep(10000);
	usleep(200000);
	assert_string_equal(get_info(db, "$.merge.phase"), "writing");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	close_database(db);
	/* it would wait for a minute, of a machine with nothing else to do */
	assert_true((double) milliseconds_since(&begin) < 10000 * load_factor());
	assert_int_equal(count_files("a.db.idx"), 1); /* the lock */
	run_sql(writer, "COMMIT");
	check_state(writer, "none");
	check_answers(writer);
	close_database(writer);
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
	wait_for_merge(db);
	usleep(400000);
	assert_string_equal(get_info(db, "$.merge.running"), "1");
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
	{
		alarm(120); /* a hang ends as a signal */
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
	const struct CMUnitTest tests[] = {
		FOLDER_TEST(merges_by_itself),
		FOLDER_TEST(closing_cancels),
		FOLDER_TEST(closing_waits_for_no_lock),
		FOLDER_TEST(forked_child_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
