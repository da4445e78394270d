/*
 * test_bridge_search.c
 *		One KNN scan: which strategy answers, what it costs, and that the answer
 *		is right, with brute force in SQL as the oracle.
 */
#define _GNU_SOURCE
#include "bridge_support.h"
#include "sqlite_bridge/index/index.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

enum
{
	ROWS = 10000,
	DIM = 16,
	QUERIES = 40,
	SHAPE = 7
};

typedef struct State
{
	char *folder;
	sqlite3 *db;
	Set *queries;
} State;

static void
insert_set(sqlite3 *db, const char *table, const Set *set, int64_t first)
{
	char *sql = sqlite3_mprintf("INSERT OR REPLACE INTO %s(rowid, embedding) VALUES(?1, ?2)", table);
	sqlite3_stmt *stmt;

	run_sql(db, "BEGIN");
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	sqlite3_free(sql);
	for (size_t i = 0; i < set->count; i++)
	{
		sqlite3_bind_int64(stmt, 1, first + (int64_t) i);
		sqlite3_bind_blob(stmt, 2, set_vector(set, i), (int) (sizeof(float) * set->dim), SQLITE_STATIC);
		assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	run_sql(db, "COMMIT");
}

static int
setup(void **state)
{
	State *s = calloc(1, sizeof(*s));
	/* one thread: the same graph every time, whatever damage_under_a_stream() will hit */
	BridgeHost host = {.build_threads = 1, .file_mode = -1};
	Set *rows = set_clustered(ROWS, DIM, SHAPE, 1);

	s->folder = make_folder();
	s->db = open_database(s->folder, "a.db", &host);
	s->queries = set_clustered(QUERIES, DIM, SHAPE, 2);
	run_sql(s->db,
			"PRAGMA journal_mode = WAL;"
			"CREATE VIRTUAL TABLE vss USING hnsw(dim = 16, metric = l2, m = 12, ef = 64, ef_search = 40);"
			"CREATE TEMP TABLE listed(id INTEGER PRIMARY KEY)");
	insert_set(s->db, "vss", rows, 1);
	run_sql(s->db, "SELECT hnsw_save()");
	set_free(rows);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	State *s = *state;

	close_database(s->db);
	set_free(s->queries);
	remove_folder(s->folder);
	free(s);
	return 0;
}

/*
 * Rows of SQL whose ?1 is the query, ?2 k, ?3 the statistics, at most
 * capacity of them.
 */
static int
ask(sqlite3 *db, const char *sql, const float *query, int64_t k, BridgeStats *stats, Near *out, int capacity)
{
	sqlite3_stmt *stmt;
	int n = 0;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_bind_blob(stmt, 1, query, DIM * sizeof(float), SQLITE_STATIC);
	if (k > 0)
		sqlite3_bind_int64(stmt, 2, k);
	sqlite3_bind_pointer(stmt, 3, stats, BRIDGE_STATS_POINTER, NULL);
	while (n < capacity && sqlite3_step(stmt) == SQLITE_ROW)
	{
		out[n].rowid = sqlite3_column_int64(stmt, 0);
		out[n++].distance = sqlite3_column_double(stmt, 1);
	}
	if (sqlite3_finalize(stmt) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	return n;
}

#define NEAREST "SELECT rowid, distance FROM vss(?1, ?2, NULL, NULL, ?3)"
#define AMONG NEAREST " WHERE rowid IN (SELECT id FROM listed)"
#define AMONG_10                                                                                             \
	"SELECT rowid, distance FROM vss(?1, ?2, 10, NULL, ?3) WHERE rowid IN (SELECT id FROM listed)"
#define ORACLE "SELECT rowid, l2_distance(embedding, ?1) AS d FROM vss"

/* The k nearest of all rows, or of those listed, by measuring them in SQL. */
static int
oracle(sqlite3 *db, const float *query, int k, bool listed, Near *out)
{
	BridgeStats unused = {0};

	return ask(db,
			   listed ? ORACLE
				   " WHERE embedding IS NOT NULL AND rowid IN (SELECT id FROM listed) AND ?3 IS NULL "
				   "ORDER BY d, rowid LIMIT ?2"
					  : ORACLE " WHERE embedding IS NOT NULL AND ?3 IS NULL ORDER BY d, rowid LIMIT ?2",
			   query, k, &unused, out, k);
}

/* How many of found are as near as the k-th of expected; and all distances are true. */
static int
count_right(const Near *found, int n, const Near *expected, int k)
{
	int right = 0;

	for (int i = 0; i < n; i++)
	{
		right += found[i].distance <= expected[k - 1].distance;
		assert_true(i == 0 || found[i - 1].distance <= found[i].distance);
		for (int j = 0; j < k; j++)
			if (expected[j].rowid == found[i].rowid)
				assert_true(expected[j].distance == found[i].distance);
	}
	return right;
}

/* ---------- the graph ---------- */

static void
graph_answers(void **state)
{
	State *s = *state;
	int right = 0;

	for (int i = 0; i < QUERIES; i++)
	{
		const float *query = set_vector(s->queries, i);
		BridgeStats stats = {0};
		Near found[10], expected[10];

		assert_int_equal(ask(s->db, NEAREST, query, 10, &stats, found, 10), 10);
		assert_int_equal(oracle(s->db, query, 10, false, expected), 10);
		right += count_right(found, 10, expected, 10);
		assert_string_equal(stats.strategy, "graph");
		assert_true(stats.distances_computed > 0 && stats.distances_computed < ROWS / 10);
		assert_true(stats.nodes_visited > 0 && stats.nodes_visited <= stats.distances_computed);
		assert_int_equal(stats.k, 10);
		assert_int_equal(stats.ef, 40);
		assert_int_equal(stats.delta_rows, 0);
		assert_int_equal(stats.rows_returned, 10);
	}
	assert_true(right >= 0.97 * QUERIES * 10);
}

static void
exact_answers(void **state)
{
	State *s = *state;

	for (int i = 0; i < 10; i++)
	{
		const float *query = set_vector(s->queries, i);
		BridgeStats stats = {0};
		Near found[10], expected[10];

		assert_int_equal(ask(s->db, "SELECT rowid, distance FROM vss(?1, ?2, NULL, 'exact', ?3)", query, 10,
							 &stats, found, 10),
						 10);
		oracle(s->db, query, 10, false, expected);
		assert_memory_equal(found, expected, sizeof(found));
		assert_string_equal(stats.strategy, "exact");
		assert_int_equal(stats.distances_computed, ROWS);
	}
}

/* A stream: the work grows with what is read, and read to its end it gives every row once. */
static void
stream_gives_all(void **state)
{
	State *s = *state;
	const float *query = set_vector(s->queries, 0);
	static Near found[ROWS + 1];
	static bool seen[ROWS + 1];
	BridgeStats few = {0}, all = {0};

	assert_int_equal(ask(s->db, NEAREST, query, -1, &few, found, 10), 10);
	assert_string_equal(few.strategy, "graph");
	assert_true(few.distances_computed < ROWS / 10);
	assert_int_equal(few.k, -1);

	assert_int_equal(ask(s->db, NEAREST, query, -1, &all, found, ROWS + 1), ROWS);
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < ROWS; i++)
	{
		assert_true(found[i].rowid >= 1 && found[i].rowid <= ROWS && !seen[found[i].rowid]);
		seen[found[i].rowid] = true;
	}
}

static void
pull_limit_ends_scan(void **state)
{
	State *s = *state;
	const float *query = set_vector(s->queries, 1);
	BridgeStats stats = {.pull_limit = 7};
	Near found[100];

	assert_int_equal(ask(s->db, NEAREST, query, -1, &stats, found, 100), 7);
	assert_true(stats.pull_limit_hit);
	assert_int_equal(stats.pull_limit, 7);
	stats.pull_limit = 20;
	assert_int_equal(ask(s->db, NEAREST, query, 20, &stats, found, 100), 20);
	assert_false(stats.pull_limit_hit);
}

/* Where it is known how many rows will be read, the graph does no more than those take. */
static void
knowing_k_saves_work(void **state)
{
	static const char sql[] =
		"SELECT rowid, distance FROM wide((SELECT embedding FROM wide WHERE rowid = 7), ?2, 100, NULL, ?3)";
	State *s = *state;
	Set *rows = set_clustered(2000, 48, SHAPE, 1);
	BridgeStats stream = {0}, expected = {.expected = 10}, nearest = {0};
	Near found[3][10];

	run_sql(s->db, "CREATE VIRTUAL TABLE wide USING hnsw(dim = 48, metric = l2)");
	insert_set(s->db, "wide", rows, 1);
	run_sql(s->db, "SELECT hnsw_save('wide')");
	assert_int_equal(ask(s->db, sql, set_vector(s->queries, 0), -1, &stream, found[0], 10), 10);
	assert_int_equal(ask(s->db, sql, set_vector(s->queries, 0), -1, &expected, found[1], 10), 10);
	assert_int_equal(ask(s->db, sql, set_vector(s->queries, 0), 10, &nearest, found[2], 10), 10);
	assert_memory_equal(found[1], found[0], sizeof(found[0]));
	assert_memory_equal(found[2], found[0], sizeof(found[0]));
	assert_int_equal(expected.expected, 10);
	assert_true(expected.distances_computed + 40 < stream.distances_computed);
	assert_int_equal(nearest.distances_computed, expected.distances_computed);
	run_sql(s->db, "DROP TABLE wide");
	set_free(rows);
}

/* All rows within a distance are all of them, whatever the graph would find. */
static void
range_is_exact(void **state)
{
	State *s = *state;

	for (int i = 0; i < 5; i++)
	{
		const float *query = set_vector(s->queries, i);
		static Near found[ROWS], expected[ROWS];
		BridgeStats stats = {0};
		int n = oracle(s->db, query, 2000, false, expected);
		int m = ask(s->db,
					NEAREST " WHERE distance <= 1e9 AND distance < "
							"(SELECT max(distance) FROM vss(?1, 1500, NULL, 'exact'))",
					query, -1, &stats, found, ROWS);

		assert_int_equal(n, 2000);
		assert_int_equal(m, 1499);
		assert_string_equal(stats.strategy, "exact");
		assert_memory_equal(found, expected, sizeof(Near) * 1499);
	}
}

/* ---------- IN lists ---------- */

static void
list_random(State *s, int count, uint64_t seed)
{
	Random random = {seed};

	run_sql(s->db, "DELETE FROM listed");
	while (get_number(s->db, "SELECT count(*) FROM listed") < count)
		run_sql(s->db, "INSERT OR IGNORE INTO listed VALUES(%d)", (int) (random_bits(&random) % ROWS) + 1);
}

static void
assert_listed(State *s, const Near *found, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(
			atoi(get_text(s->db, "SELECT count(*) FROM listed WHERE id = %lld", (long long) found[i].rowid)),
			1);
}

/* Few listed rows: each is measured, nothing else. */
static void
short_list_is_exact(void **state)
{
	State *s = *state;

	list_random(s, 50, 3);
	for (int i = 0; i < 10; i++)
	{
		const float *query = set_vector(s->queries, i);
		BridgeStats stats = {0};
		Near found[60], expected[60];

		assert_int_equal(ask(s->db, AMONG, query, 10, &stats, found, 60), 10);
		oracle(s->db, query, 10, true, expected);
		assert_memory_equal(found, expected, sizeof(Near) * 10);
		assert_string_equal(stats.strategy, "exact");
		assert_int_equal(stats.distances_computed, 50);
		/* with k beyond the list, and without k: the whole list */
		assert_int_equal(ask(s->db, AMONG, query, 1000, &stats, found, 60), 50);
		assert_int_equal(ask(s->db, AMONG, query, -1, &stats, found, 60), 50);
	}
}

/* A list of a third of all rows: the graph, under the list, and never fewer than k rows. */
static void
long_list_uses_graph(void **state)
{
	State *s = *state;
	int right = 0;

	run_sql(s->db, "DELETE FROM listed; INSERT INTO listed SELECT rowid FROM vss WHERE rowid %% 3 = 1");
	for (int i = 0; i < QUERIES; i++)
	{
		const float *query = set_vector(s->queries, i);
		BridgeStats stats = {0};
		Near found[20], expected[10];

		assert_int_equal(ask(s->db, AMONG, query, 10, &stats, found, 20), 10);
		oracle(s->db, query, 10, true, expected);
		right += count_right(found, 10, expected, 10);
		assert_listed(s, found, 10);
		assert_string_equal(stats.strategy, "prefilter");
		assert_true(stats.rows_filtered > 0);
		assert_true(stats.distances_computed < 2 * ROWS); /* at worst a scan of the codes, then the vectors */
	}
	assert_true(right >= 0.97 * QUERIES * 10);
}

/*
 * Forced, as a test of the wrapper would: the graph even for a list of one in
 * a hundred, and still k rows.
 */
static void
forced_prefilter(void **state)
{
	State *s = *state;
	int right = 0;

	list_random(s, 100, 5);
	for (int i = 0; i < 10; i++)
	{
		const float *query = set_vector(s->queries, i);
		BridgeStats stats = {0};
		Near found[20], expected[10];

		assert_int_equal(ask(s->db,
							 "SELECT rowid, distance FROM vss(?1, ?2, NULL, 'prefilter', ?3) "
							 "WHERE rowid IN (SELECT id FROM listed)",
							 query, 10, &stats, found, 20),
						 10);
		oracle(s->db, query, 10, true, expected);
		right += count_right(found, 10, expected, 10);
		assert_listed(s, found, 10);
		assert_string_equal(stats.strategy, "prefilter");
	}
	assert_true(right >= 90);
}

/*
 * A list of the farthest ninth: the search under it has to wade through all
 * that is near, gives up when that costs more than measuring the list, and the answer is exact.
 */
static void
hopeless_search_turns_exact(void **state)
{
	State *s = *state;
	int turned = 0;

	for (int i = 0; i < 10; i++)
	{
		const float *query = set_vector(s->queries, i);
		BridgeStats stats = {0};
		sqlite3_stmt *stmt;
		Near found[1100], expected[1100];

		run_sql(s->db, "DELETE FROM listed");
		sqlite3_prepare_v2(
			s->db,
			"INSERT INTO listed SELECT rowid FROM vss ORDER BY l2_distance(embedding, ?1) DESC LIMIT 1100",
			-1, &stmt, NULL);
		sqlite3_bind_blob(stmt, 1, query, DIM * sizeof(float), SQLITE_STATIC);
		assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
		sqlite3_finalize(stmt);

		assert_int_equal(ask(s->db, AMONG_10, query, 10, &stats, found, 1100), 10);
		if (strcmp(stats.strategy, "exact") == 0)
		{
			oracle(s->db, query, 10, true, expected);
			assert_memory_equal(found, expected, sizeof(Near) * 10);
			turned++;
		}
		assert_true(stats.distances_computed <= ROWS / 2);
		/* read to the end, whatever happens on the way: each once */
		assert_int_equal(ask(s->db, AMONG_10, query, -1, &stats, found, 1100), 1100);
		qsort(found, 1100, sizeof(Near), compare_near);
		oracle(s->db, query, 1100, true, expected);
		assert_memory_equal(found, expected, sizeof(Near) * 1100);
	}
	assert_int_equal(turned, 10);
}

/* ---------- changes since the graph ---------- */

static void
changes_are_seen(void **state)
{
	State *s = *state;
	Set *more = set_clustered(60, DIM, SHAPE, 9);
	int right = 0;

	run_sql(s->db, "BEGIN");
	run_sql(s->db, "DELETE FROM vss WHERE rowid BETWEEN 1 AND 100");
	run_sql(s->db, "UPDATE vss SET embedding = (SELECT embedding FROM vss WHERE rowid = 5000) WHERE rowid "
				   "BETWEEN 101 AND 150");
	run_sql(s->db, "UPDATE vss SET embedding = NULL WHERE rowid BETWEEN 151 AND 160");
	for (size_t i = 0; i < more->count; i++)
	{
		char *text = sqlite3_malloc(16 * DIM + 3);

		text[bridge_vector_format(set_vector(more, i), DIM, text)] = '\0';
		run_sql(s->db, "INSERT INTO vss(rowid, embedding) VALUES(%d, %Q)", 20001 + (int) i, text);
		sqlite3_free(text);
	}
	for (int i = 0; i < QUERIES; i++)
	{
		const float *query = set_vector(s->queries, i);
		BridgeStats stats = {0};
		Near found[10], expected[10];

		assert_int_equal(ask(s->db, NEAREST, query, 10, &stats, found, 10), 10);
		oracle(s->db, query, 10, false, expected);
		right += count_right(found, 10, expected, 10);
		assert_string_equal(stats.strategy, "graph");
		assert_int_equal(stats.delta_rows, 100 + 50 + 10 + 60);
		for (int j = 0; j < 10; j++)
			assert_true(found[j].rowid > 100 && (found[j].rowid <= 150 || found[j].rowid > 160));
	}
	assert_true(right >= 0.97 * QUERIES * 10);

	/* exact at no distance: fifty equal rows and their model come before all others */
	{
		BridgeStats stats = {0};
		sqlite3_stmt *stmt;
		Near found[60];

		sqlite3_prepare_v2(s->db, "SELECT embedding FROM vss WHERE rowid = 5000", -1, &stmt, NULL);
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
		assert_int_equal(ask(s->db, NEAREST, sqlite3_column_blob(stmt, 0), 51, &stats, found, 60), 51);
		sqlite3_finalize(stmt);
		for (int i = 0; i < 51; i++)
			assert_true(found[i].distance == 0);
	}

	/* lists are answered from graph and changes together */
	run_sql(s->db, "DELETE FROM listed; INSERT INTO listed SELECT rowid FROM vss WHERE rowid %% 100 < 5 OR "
				   "rowid > 20000");
	for (int i = 0; i < 10; i++)
	{
		const float *query = set_vector(s->queries, i);
		BridgeStats stats = {0};
		Near found[10], expected[10];

		assert_int_equal(ask(s->db, AMONG, query, 10, &stats, found, 10), 10);
		oracle(s->db, query, 10, true, expected);
		assert_memory_equal(found, expected, sizeof(found));
		assert_string_equal(stats.strategy, "exact");
	}
	run_sql(s->db, "ROLLBACK");
	graph_answers(state);
	set_free(more);
}

/* More changes than are cached: the same answers, from the tables. */
static void
large_delta(void **state)
{
	enum
	{
		WIDE = 1100,
		CHANGES = 2200
	};
	BridgeHost host = {.file_mode = -1};
	sqlite3 *db = open_database(NULL, ":memory:", &host);
	Set *rows = set_normal(CHANGES, WIDE, 4);
	sqlite3_stmt *stmt;

	run_sql(db, "CREATE VIRTUAL TABLE vss USING hnsw(dim = 1100, metric = l2, ef = 20)");
	sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO vss(rowid, embedding) VALUES(?1, ?2)", -1, &stmt, NULL);
	for (int i = 0; i < CHANGES + 300; i++)
	{
		/* rows 1 to 300 first; then all, the first ones with other vectors */
		int row = i < 300 ? i : i - 300;

		sqlite3_bind_int64(stmt, 1, row + 1);
		sqlite3_bind_blob(stmt, 2, set_vector(rows, i < 300 ? CHANGES - 1 - row : row), WIDE * sizeof(float),
						  SQLITE_STATIC);
		assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
		sqlite3_reset(stmt);
		if (i == 299)
			run_sql(db, "SELECT hnsw_save()");
	}
	sqlite3_finalize(stmt);
	run_sql(db, "DELETE FROM vss WHERE rowid BETWEEN 50 AND 60");
	assert_true((size_t) CHANGES * WIDE * sizeof(float) > BRIDGE_DELTA_CACHE_BYTES);

	for (int i = 0; i < 3; i++)
	{
		BridgeStats stats = {0};
		Near found[10], expected[10];

		sqlite3_prepare_v2(db, "SELECT rowid, distance FROM vss(?1, 10, NULL, NULL, ?2)", -1, &stmt, NULL);
		sqlite3_bind_blob(stmt, 1, set_vector(rows, 700 * i), WIDE * sizeof(float), SQLITE_STATIC);
		sqlite3_bind_pointer(stmt, 2, &stats, BRIDGE_STATS_POINTER, NULL);
		for (int j = 0; j < 10; j++)
		{
			assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
			found[j] = (Near){sqlite3_column_int64(stmt, 0), sqlite3_column_double(stmt, 1)};
		}
		assert_string_equal(stats.strategy, "graph");
		assert_int_equal(stats.delta_rows, CHANGES);
		sqlite3_finalize(stmt);
		sqlite3_prepare_v2(db, ORACLE " ORDER BY d, rowid LIMIT 10", -1, &stmt, NULL);
		sqlite3_bind_blob(stmt, 1, set_vector(rows, 700 * i), WIDE * sizeof(float), SQLITE_STATIC);
		for (int j = 0; j < 10; j++)
		{
			assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
			expected[j] = (Near){sqlite3_column_int64(stmt, 0), sqlite3_column_double(stmt, 1)};
		}
		sqlite3_finalize(stmt);
		assert_memory_equal(found, expected, sizeof(found));
	}
	set_free(rows);
	close_database(db);
}

/* ---------- damage and interruption ---------- */

/* Change one byte in every block of the graph file from the given share on. */
static void
damage(const char *folder, double from)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int files = 0;

	while ((entry = readdir(dir)) != NULL)
	{
		char path[512];
		struct stat st;
		int fd;

		if (strstr(entry->d_name, ".hnsw") == NULL || strstr(entry->d_name, "-lock") != NULL)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		fd = open(path, O_RDWR);
		assert_true(fd >= 0 && fstat(fd, &st) == 0);
		/* the token's name and the plain one lead to one file: damage it once */
		if (st.st_nlink > 1 && files++ > 0)
		{
			close(fd);
			continue;
		}
		for (off_t at = (off_t) ((double) st.st_size * from) / 4096 * 4096 + 100; at < st.st_size; at += 4096)
		{
			uint8_t byte;

			assert_int_equal(pread(fd, &byte, 1, at), 1);
			byte ^= 0x10;
			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		}
		close(fd);
	}
	closedir(dir);
}

/* The file goes bad while a stream is being read: it goes on, and gives each row once. */
static void
damage_under_a_stream(void **state)
{
	State *s = *state;
	BridgeHost host = {.file_mode = -1};
	sqlite3 *db = open_database(s->folder, "a.db", &host);
	static bool seen[ROWS + 1];
	BridgeStats stats = {0};
	sqlite3_stmt *stmt;
	Near found[10], expected[10];
	int n = 0;

	sqlite3_prepare_v2(db, NEAREST, -1, &stmt, NULL);
	sqlite3_bind_blob(stmt, 1, set_vector(s->queries, 3), DIM * sizeof(float), SQLITE_STATIC);
	sqlite3_bind_pointer(stmt, 3, &stats, BRIDGE_STATS_POINTER, NULL);
	memset(seen, 0, sizeof(seen));
	while (sqlite3_step(stmt) == SQLITE_ROW)
	{
		int64_t rowid = sqlite3_column_int64(stmt, 0);

		if (n == 3)
		{
			assert_string_equal(stats.strategy, "graph");
			damage(s->folder, 0.1);
		}
		assert_true(rowid >= 1 && rowid <= ROWS && !seen[rowid]);
		seen[rowid] = true;
		n++;
	}
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(n, ROWS);
	assert_string_equal(stats.strategy, "exact");

	/* this connection has learnt; a new one finds out; both are exact, and a merge mends it */
	assert_int_equal(ask(db, NEAREST, set_vector(s->queries, 4), 10, &stats, found, 10), 10);
	assert_string_equal(stats.strategy, "exact");
	oracle(db, set_vector(s->queries, 4), 10, false, expected);
	assert_memory_equal(found, expected, sizeof(found));
	close_database(db);
	db = open_database(s->folder, "a.db", &host);
	assert_int_equal(ask(db, NEAREST, set_vector(s->queries, 4), 10, &stats, found, 10), 10);
	assert_memory_equal(found, expected, sizeof(found));
	run_sql(db, "SELECT hnsw_save()");
	assert_int_equal(ask(db, NEAREST, set_vector(s->queries, 4), 10, &stats, found, 10), 10);
	assert_string_equal(stats.strategy, "graph");
	close_database(db);
}

static int calls_left;

static bool
stop_after_calls(void *arg)
{
	return calls_left > 0 && --calls_left == 0;
}

static bool
interrupt_after_calls(void *arg)
{
	if (calls_left > 0 && --calls_left == 0)
		sqlite3_interrupt(*(sqlite3 **) arg);
	return false;
}

/* The host's callback, and sqlite3_interrupt(), end every kind of scan; the next one works. */
static void
interrupts(void **state)
{
	State *s = *state;
	static const char *const strategies[] = {"exact", "graph", "prefilter"};

	for (int way = 0; way < 2; way++)
	{
		sqlite3 *db = NULL;
		BridgeHost host = {
			.cancelled = way == 0 ? stop_after_calls : interrupt_after_calls, .arg = &db, .file_mode = -1};

		calls_left = 0;
		db = open_database(s->folder, "a.db", &host);
		for (int i = 0; i < 3; i++)
		{
			char *sql =
				sqlite3_mprintf("SELECT max(distance) FROM vss((SELECT embedding FROM vss WHERE rowid = 9), "
								"NULL, NULL, %Q)",
								strategies[i]);

			calls_left = 3;
			assert_int_equal(try_sql(db, "%s", sql), SQLITE_INTERRUPT);
			assert_int_equal(calls_left, 0);
			run_sql(db, "%s", sql);
			sqlite3_free(sql);
		}
		close_database(db);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(graph_answers),
		cmocka_unit_test(exact_answers),
		cmocka_unit_test(stream_gives_all),
		cmocka_unit_test(pull_limit_ends_scan),
		cmocka_unit_test(knowing_k_saves_work),
		cmocka_unit_test(range_is_exact),
		cmocka_unit_test(short_list_is_exact),
		cmocka_unit_test(long_list_uses_graph),
		cmocka_unit_test(forced_prefilter),
		cmocka_unit_test(hopeless_search_turns_exact),
		cmocka_unit_test(changes_are_seen),
		cmocka_unit_test(large_delta),
		cmocka_unit_test(interrupts),
		cmocka_unit_test(damage_under_a_stream), /* the last: it changes the file */
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, setup, teardown);
}
