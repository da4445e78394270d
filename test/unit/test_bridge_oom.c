/*
 * test_bridge_oom.c
 *		Every allocation through SQLite fails once: the statement ends in
 *		SQLITE_NOMEM or succeeds, nothing crashes, nothing leaks, and the next
 *		statement works.
 *
 * The allocator is SQLite's own behind a counter, so it is installed before
 * SQLite starts.  Allocations of the graph library are not counted here.
 */
#define _GNU_SOURCE
#include "bridge_support.h"

#ifdef __SANITIZE_ADDRESS__
#define STEP 11 /* of all allocations only every eleventh, for time's sake */
#else
#define STEP 1
#endif

static sqlite3_mem_methods real;
static long countdown; /* 0: never fail */
static bool failed;

static bool
fails(void)
{
	if (countdown > 0 && --countdown == 0)
		return failed = true;
	return false;
}

static void *
counted_malloc(int size)
{
	return fails() ? NULL : real.xMalloc(size);
}

static void *
counted_realloc(void *old, int size)
{
	return fails() ? NULL : real.xRealloc(old, size);
}

static int
install(void **state)
{
	sqlite3_mem_methods counted;

	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real), SQLITE_OK);
	counted = real;
	counted.xMalloc = counted_malloc;
	counted.xRealloc = counted_realloc;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &counted), SQLITE_OK);
	/* lookaside would hide small allocations */
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK);
	return 0;
}

/* Right results go to *answer; returns the code of what failed first. */
static int
query(sqlite3 *db, const char *sql, int64_t *answer)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	*answer = -1;
	if (rc == SQLITE_OK)
	{
		if (sqlite3_step(stmt) == SQLITE_ROW)
		{
			const char *text = (const char *) sqlite3_column_text(stmt, 0);

			if (text != NULL)
				*answer = strtoll(text, NULL, 10);
			sqlite3_step(stmt);
		}
		rc = sqlite3_finalize(stmt);
	}
	return rc;
}

/* Statements one after another, each tried again once without failures when it ran out of memory. */
static const struct
{
	const char *sql;
	int64_t answer;
} script[] = {
	{"CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2, ef = 20, path = 'x')", -1},
	{"INSERT INTO vss(rowid, embedding) VALUES (1, '[1,0]'), (2, '[2,0]'), (3, '[3,0]'), (4, '[4,0]')", -1},
	{"SELECT group_concat(rowid, '') FROM vss('[0,0]', 3)", 123},
	{"SELECT hnsw_save()", 4},
	{"SELECT group_concat(rowid, '') FROM vss('[0,0]', 3)", 123},
	{"UPDATE vss SET embedding = '[0,1]' WHERE rowid = 4", -1},
	{"DELETE FROM vss WHERE rowid = 2", -1},
	{"SELECT hnsw_add(5, '[9,9]')", 5},
	{"SELECT group_concat(rowid, '') FROM (SELECT rowid FROM vss('[0,0.1]', 3))", 413},
	{"SELECT group_concat(rowid, '') FROM vss_knn('[0,0.1]', 9)", 4135},
	{"SELECT group_concat(rowid, '') FROM vss('[0,0.1]') WHERE rowid IN (SELECT value FROM "
	 "json_each('[3,4,2]'))",
	 43},
	{"SELECT group_concat(rowid, '') FROM vss('[0,0.1]') WHERE distance < 4", 413},
	{"SELECT group_concat(rowid, '') FROM vss('[0,0.1]', 9, NULL, 'exact')", 4135},
	{"SELECT group_concat(rowid, '') FROM vss", 1345},
	{"ALTER TABLE vss RENAME TO knn", -1},
	{"SELECT group_concat(rowid, '') FROM knn('[0,0.1]', 9)", 4135},
	{"DROP TABLE knn", -1},
};

enum
{
	STATEMENTS = sizeof(script) / sizeof(script[0])
};

/* Statement which has its nth allocation fail; returns whether there were that many. */
static bool
run_script(int which, long n)
{
	BridgeHost host = {.file_mode = -1, .build_threads = 1};
	sqlite3 *db = open_database(NULL, ":memory:", &host);
	bool reached = false;

	/* what the failing statement may have spoilt shows in the next few */
	for (int i = 0; i < STATEMENTS && (which < 0 || i <= which + 4); i++)
	{
		int64_t answer;
		int rc;

		failed = false;
		countdown = i == which ? n : 0;
		rc = query(db, script[i].sql, &answer);
		countdown = 0;
		if (i == which)
			reached = failed;
		if (rc != SQLITE_OK)
		{
			if (!failed || (rc & 0xff) != SQLITE_NOMEM)
				fail_msg("%s with allocation %ld failing: %d, %s", script[i].sql, failed ? n : 0, rc,
						 sqlite3_errmsg(db));
			rc = query(db, script[i].sql, &answer);
			if (rc != SQLITE_OK)
				fail_msg("%s again after allocation %ld failed: %s", script[i].sql, n, sqlite3_errmsg(db));
		}
		if (answer != script[i].answer)
			fail_msg("%s gives %lld, not %lld, after allocation %ld of statement %d failed", script[i].sql,
					 (long long) answer, (long long) script[i].answer, n, which);
	}
	close_database(db);
	return reached;
}

static void
every_allocation_fails_once(void **state)
{
	long total = 0;
	sqlite3_int64 before;

	run_script(-1, 0);
	before = sqlite3_memory_used();
	for (int which = 0; which < STATEMENTS; which++)
	{
		long n = 1;

		while (run_script(which, n))
		{
			if (sqlite3_memory_used() != before)
				fail_msg("%s leaks when allocation %ld fails", script[which].sql, n);
			n += STEP;
		}
		total += n / STEP;
	}
	print_message("%ld allocations failed\n", total);
	assert_true(total > 5000 / STEP);
}

/* The same for joining a connection. */
static void
attach_fails(void **state)
{
	bool reached = true;
	sqlite3_int64 before = 0;

	for (long n = 1; reached; n++)
	{
		sqlite3 *db;
		char *message = NULL;
		int rc;

		assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
		failed = false;
		countdown = n;
		rc = bridge_attach(db, NULL, &message);
		countdown = 0;
		reached = failed;
		sqlite3_free(message);
		if (rc != SQLITE_OK && ((rc & 0xff) != SQLITE_NOMEM || !failed))
			fail_msg("allocation %ld: %d, %s", n, rc, sqlite3_errmsg(db));
		close_database(db);
		if (n == 1)
			before = sqlite3_memory_used(); /* what the process keeps */
		assert_int_equal(sqlite3_memory_used(), before);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_fails_once),
		cmocka_unit_test(attach_fails),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, install, NULL);
}
