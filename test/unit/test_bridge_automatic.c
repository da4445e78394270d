/*
 * test_bridge_automatic.c
 *		Merges that nobody asked for: the thread that a host lets the process have,
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

/* As check_graph_used, of many rows. */
static void
check_used(sqlite3 *db)
{
	check_state(db, "used");
	assert_string_equal(get_text(db, "SELECT hnsw_check('vss')"), "ok");
}

/* What a program with a pool does: each query has a connection of its own, and there are moments without any. */
static void
short_connections(void **unused)
{
	BridgeHost host = {.merge_thread = true, .build_threads = 1, .file_mode = -1};
	bool used = false;
	int connections = 0;

	close_database(make_database("a.db", 20000));
	while (!used && connections < 15000)
	{
		sqlite3 *db = open_database(folder, "a.db", &host);

		run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
		used = strcmp(get_info(db, "$.graph.state"), "used") == 0;
		if (used)
			check_used(db);
		close_database(db);
		usleep(1000);
		connections++;
	}
	print_message("%d connections\n", connections);
	assert_true(used);
	assert_true(connections > 10);
	assert_int_equal(count_files(".tmp"), 0);
}

/* A merge that was interrupted by closing keeps no file and no lock, and finds what has changed meanwhile. */
static void
parked(void **unused)
{
	BridgeHost host = {.merge_thread = true, .build_threads = 1, .file_mode = -1};
	sqlite3 *db = make_database("a.db", 30000);

	run_sql(db, "PRAGMA journal_mode = WAL");
	close_database(db);
	db = open_database(folder, "a.db", &host);
	run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
	wait_for_merge(db);
	usleep(100000);
	close_database(db);
	assert_int_equal(count_files("-wal"), 0);
	/* it goes on with rows that were changed and removed, some before and some after it had read them */
	db = open_database(folder, "a.db", NULL);
	run_sql(db, "PRAGMA synchronous = OFF; DELETE FROM documents WHERE id %% 7 = 0;"
				"UPDATE documents SET embedding = '[9,8,7,6]' WHERE id %% 5000 = 1");
	close_database(db);
	db = open_database(folder, "a.db", &host);
	wait_for_state(db, "used");
	check_used(db);
	close_database(db);
	/* others may merge while it is parked; it then finds that done */
	db = open_database(folder, "a.db", NULL);
	run_sql(db, "PRAGMA synchronous = OFF");
	add_rows(db, 1, 30000);
	close_database(db);
	db = open_database(folder, "a.db", &host);
	run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
	wait_for_merge(db);
	close_database(db);
	db = open_database(folder, "a.db", NULL);
	assert_true(save(db) > 0);
	close_database(db);
	db = open_database(folder, "a.db", &host);
	add_rows(db, 70001, 70001 + ROWS);
	for (int i = 0; i < 15000 && strcmp(get_info(db, "$.delta_rows"), "0") != 0; i++)
	{
		run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
		usleep(20000);
	}
	assert_string_equal(get_info(db, "$.delta_rows"), "0");
	assert_string_equal(get_info(db, "$.merge.error"), "");
	check_used(db);
	close_database(db);
}

/* One of two connections closes: the merge is the other's, too. */
static void
outlives_connection(void **unused)
{
	BridgeHost host = {.merge_thread = true, .build_threads = 1, .file_mode = -1};
	sqlite3 *first, *second;

	close_database(make_database("a.db", 30000));
	first = open_database(folder, "a.db", &host);
	second = open_database(folder, "a.db", &host);
	run_sql(first, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
	wait_for_merge(first);
	run_sql(second, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
	wait_for_merge(second);
	close_database(first);
	assert_string_equal(get_info(second, "$.merge.running"), "1");
	wait_for_state(second, "used");
	/* the graph is used before its merge has ended */
	for (int i = 0; i < 15000 && strcmp(get_info(second, "$.merge.running"), "0") != 0; i++)
		usleep(10000);
	assert_string_equal(get_info(second, "$.merge.merges"), "1");
	assert_string_equal(get_info(second, "$.merge.cancelled"), "0");
	check_used(second);
	close_database(second);
}

static void
switched_off(void **unused)
{
	BridgeHost host = {.merge_thread = true, .file_mode = -1};
	sqlite3 *db;

	close_database(make_database("a.db", ROWS));
	db = open_database(folder, "a.db", &host);
	assert_string_equal(get_text(db, "SELECT hnsw_config('merge')"), "on");
	assert_string_equal(get_info(db, "$.merge.why"), "not_asked");
	assert_string_equal(get_text(db, "SELECT hnsw_config('merge', 'off')"), "off");
	run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
	assert_string_equal(get_info(db, "$.merge.running"), "0");
	assert_string_equal(get_info(db, "$.merge.why"), "off");
	assert_int_equal(try_sql(db, "SELECT hnsw_config('merge', 'perhaps')"), SQLITE_ERROR);
	assert_int_equal(try_sql(db, "SELECT hnsw_config('colour')"), SQLITE_ERROR);
	assert_string_equal(get_text(db, "SELECT hnsw_config('merge', 'ON')"), "on");
	wait_for_state(db, "used");
	assert_string_equal(get_info(db, "$.merge.why"), "");
	close_database(db);

	/* A host that has no thread cannot be given one. */
	db = open_database(folder, "a.db", NULL);
	assert_string_equal(get_text(db, "SELECT hnsw_config('merge', 'on')"), "off");
	close_database(db);
}

/* Children may open the database for themselves, whatever the thread was at when they were born. */
static void
forked_children_work(void **unused)
{
	BridgeHost host = {.merge_thread = true, .build_threads = 1, .file_mode = -1};
	sqlite3 *db;
	int children = 0;

	close_database(make_database("a.db", 60000));
	db = open_database(folder, "a.db", &host);
	for (int i = 0; i < 100; i++)
	{
		pid_t child;
		int status;

		run_sql(db, "SELECT * FROM vss_knn('[1,2,3,4]', 1)");
		if (strcmp(get_info(db, "$.merge.running"), "1") != 0)
			break;
		child = fork();
		assert_true(child >= 0);
		if (child == 0)
		{
			sqlite3 *own;

			alarm(120); /* a hang ends as a signal */
			own = open_database(folder, "a.db", &host);
			_exit(get_number(own, "SELECT count(*) FROM documents") == 60000 ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("child %d ended with status %x", children, (unsigned) status);
		children++;
	}
	print_message("%d children\n", children);
	assert_true(children > 5);
	close_database(db);
}

/* A child of fork() has no thread to wait for and must not hang. */
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
		FOLDER_TEST(short_connections),
		FOLDER_TEST(parked),
		FOLDER_TEST(outlives_connection),
		FOLDER_TEST(switched_off),
		FOLDER_TEST(forked_child_closes),
		FOLDER_TEST(forked_children_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
