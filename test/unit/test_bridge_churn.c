/*
 * test_bridge_churn.c
 *		What is left of an index after all of its rows were replaced ten times over:
 *		it finds as much as a fresh build, its files are not larger, its tables are empty.
 *
 * Everything is seeded and built by one thread, so that a run is like the last.
 */
#define _GNU_SOURCE
#include "bridge_support.h"

#define DIM 16
#define ROWS 2400 /* the base stays for 150 of them */
#define STEP 110  /* changes before each merge */
#define ROUNDS 10
#define CLUSTERS 12
#define QUERIES 250

typedef enum Order
{
	RANDOM,
	CLUSTERED,
	OLDEST_FIRST
} Order;

static char *folder;
static uint64_t seed;

static int
setup(void **state)
{
	folder = make_folder();
	seed = 7;
	return 0;
}

static int
teardown(void **state)
{
	remove_folder(folder);
	return 0;
}

static uint32_t
draw(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) ((seed >> 33) % below);
}

/* Somewhere around a centre that cluster and round determine. */
static void
draw_vector(int cluster, int round, float out[DIM])
{
	for (int i = 0; i < DIM; i++)
	{
		uint32_t centre = (uint32_t) (cluster * 7919 + round * 104729 + i * 1299709) * 2654435761u;

		out[i] = (float) (centre >> 20) / 4096.0f + (float) draw(1000) / 1500.0f;
	}
}

typedef struct Churn
{
	sqlite3 *db;
	sqlite3_stmt *put;
	sqlite3_stmt *del;
	int pending;
	int two; /* how many merges left a second segment */
} Churn;

static void
step(sqlite3_stmt *stmt)
{
	assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
	sqlite3_reset(stmt);
}

static void
merge(Churn *churn)
{
	run_sql(churn->db, "COMMIT");
	get_number(churn->db, "SELECT hnsw_save()");
	churn->two += get_number(churn->db, "SELECT json_array_length(hnsw_info(), '$.graph.segments')") == 2;
	assert_int_equal(get_number(churn->db, "SELECT count(*) FROM vss_delta"), 0);
	run_sql(churn->db, "BEGIN");
	churn->pending = 0;
}

static void
put(Churn *churn, int id, int cluster, int round)
{
	float vector[DIM];

	draw_vector(cluster, round, vector);
	sqlite3_bind_int(churn->put, 1, id);
	sqlite3_bind_blob(churn->put, 2, vector, sizeof(vector), SQLITE_STATIC);
	step(churn->put);
	if (++churn->pending == STEP)
		merge(churn);
}

static void
drop(Churn *churn, int id)
{
	sqlite3_bind_int(churn->del, 1, id);
	step(churn->del);
	if (++churn->pending == STEP)
		merge(churn);
}

/* Share of the true ten nearest that the graph finds; equal distances are equally good. */
static double
recall(sqlite3 *db)
{
	sqlite3_stmt *stmt;
	int found = 0;
	uint64_t kept = seed;

	seed = 4711;
	assert_int_equal(
		sqlite3_prepare_v2(db,
						   "SELECT count(*) FROM vss(?1, 10, 14, 'graph') WHERE distance <="
						   " (SELECT max(distance) FROM (SELECT distance FROM vss(?1, 10, NULL, 'exact')))",
						   -1, &stmt, NULL),
		SQLITE_OK);
	for (int i = 0; i < QUERIES; i++)
	{
		float query[DIM];

		draw_vector((int) draw(CLUSTERS), ROUNDS + 1, query);
		sqlite3_bind_blob(stmt, 1, query, sizeof(query), SQLITE_STATIC);
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
		found += sqlite3_column_int(stmt, 0);
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	seed = kept;
	return found / (10.0 * QUERIES);
}

static void
shuffle(int *ids, int n)
{
	for (int i = n - 1; i > 0; i--)
	{
		int j = (int) draw((uint32_t) i + 1);
		int id = ids[i];

		ids[i] = ids[j];
		ids[j] = id;
	}
}

/* The rows of one round in the order in which they are replaced. */
static void
replace_all(Churn *churn, Order order, int round, int *first)
{
	static int ids[ROWS];

	for (int i = 0; i < ROWS; i++)
		ids[i] = i;
	if (order == RANDOM)
		shuffle(ids, ROWS);
	for (int i = 0; i < ROWS; i++)
		if (order == OLDEST_FIRST)
		{
			drop(churn, *first);
			put(churn, *first + ROWS, *first % CLUSTERS, round);
			++*first;
		}
		else if (order == CLUSTERED) /* a whole cluster moves elsewhere, then the next */
			put(churn, ids[i], i / (ROWS / CLUSTERS), round);
		else
			put(churn, ids[i], ids[i] % CLUSTERS, round);
}

/* One merge with enough changes that the base is written, by writing rows as they are. */
static void
fold(sqlite3 *db)
{
	run_sql(db,
			"UPDATE vss SET embedding = embedding WHERE rowid IN (SELECT rowid FROM vss_vectors LIMIT 300)");
	get_number(db, "SELECT hnsw_save()");
	assert_int_equal(get_number(db, "SELECT json_array_length(hnsw_info(), '$.graph.segments')"), 1);
}

static void
churn_in_order(Order order)
{
	BridgeHost host = {.build_threads = 1, .file_mode = -1};
	Churn churn = {.db = open_database(folder, "a.db", &host)};
	int64_t bytes;
	int64_t folded_bytes;
	int64_t fresh_bytes;
	double worn;
	double folded;
	double fresh;
	int first = 0;

	run_sql(churn.db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
	run_sql(churn.db, "CREATE VIRTUAL TABLE vss USING hnsw(dim = %d, metric = l2, m = 8, ef = 60)", DIM);
	assert_int_equal(sqlite3_prepare_v2(churn.db, "INSERT OR REPLACE INTO vss(rowid, embedding) VALUES(?, ?)",
										-1, &churn.put, NULL),
					 SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(churn.db, "DELETE FROM vss WHERE rowid = ?", -1, &churn.del, NULL),
					 SQLITE_OK);
	run_sql(churn.db, "BEGIN");
	for (int i = 0; i < ROWS; i++)
	{
		put(&churn, i, i % CLUSTERS, 0);
		churn.pending = 0;
	}
	merge(&churn);
	for (int round = 1; round <= ROUNDS; round++)
		replace_all(&churn, order, round, &first);
	for (int i = 0; i < ROWS / 2; i++)
		drop(&churn, first + (order == RANDOM ? 2 * i : i));
	for (int i = 0; i < ROWS / 2; i++)
		put(&churn, first + (order == RANDOM ? 2 * i : i), i % CLUSTERS, ROUNDS + 1);
	merge(&churn);
	run_sql(churn.db, "COMMIT");
	sqlite3_finalize(churn.put);
	sqlite3_finalize(churn.del);

	/* second segments came and went on the way */
	assert_in_range(churn.two, ROUNDS, ROUNDS * ROWS * 2 / STEP);
	assert_string_equal(get_text(churn.db, "SELECT hnsw_check()"), "ok");
	worn = recall(churn.db);
	bytes = get_number(churn.db, "SELECT hnsw_info() ->> '$.graph.bytes'");
	/* and all in one file, whose every node was replaced many times */
	fold(churn.db);
	folded = recall(churn.db);
	folded_bytes = get_number(churn.db, "SELECT hnsw_info() ->> '$.graph.bytes'");
	assert_int_equal(get_number(churn.db, "SELECT hnsw_rebuild()"), ROWS);
	fresh = recall(churn.db);
	fresh_bytes = get_number(churn.db, "SELECT hnsw_info() ->> '$.graph.bytes'");
	print_message("recall %.4f, in one file %.4f, fresh %.4f; bytes %.3f and %.3f of fresh;"
				  " %d merges left two segments\n",
				  worn, folded, fresh, (double) bytes / (double) fresh_bytes,
				  (double) folded_bytes / (double) fresh_bytes, churn.two);
	/* two measurements of 0.94 over so few questions differ by as much */
	assert_true(worn >= fresh - 0.01);
	assert_true(folded >= fresh - 0.01);
	assert_true((double) bytes <= 1.1 * (double) fresh_bytes);
	assert_true((double) folded_bytes <= 1.1 * (double) fresh_bytes);
	/* or the comparison would say nothing */
	assert_true(fresh < 0.999);
	close_database(churn.db);
}

static void
in_random_order(void **unused)
{
	churn_in_order(RANDOM);
}

static void
by_clusters(void **unused)
{
	churn_in_order(CLUSTERED);
}

static void
oldest_first(void **unused)
{
	churn_in_order(OLDEST_FIRST);
}

/* 384 dimensions and m = 16: the links and codes are cheap beside the vectors. */
static void
space(void **unused)
{
	enum
	{
		N = 1500,
		WIDE = 384
	};
	BridgeHost host = {.build_threads = 1, .file_mode = -1};
	sqlite3 *db = open_database(folder, "a.db", &host);
	sqlite3_stmt *stmt;
	float vector[WIDE];

	run_sql(db, "PRAGMA synchronous = OFF; CREATE VIRTUAL TABLE vss USING hnsw(dim = %d, m = 16, ef = 24)",
			WIDE);
	assert_int_equal(
		sqlite3_prepare_v2(db, "INSERT INTO vss(rowid, embedding) VALUES(?, ?)", -1, &stmt, NULL), SQLITE_OK);
	run_sql(db, "BEGIN");
	for (int i = 0; i < N; i++)
	{
		for (int j = 0; j < WIDE; j++)
			vector[j] = (float) draw(2001) - 1000.0f;
		sqlite3_bind_int(stmt, 1, i);
		sqlite3_bind_blob(stmt, 2, vector, sizeof(vector), SQLITE_STATIC);
		step(stmt);
	}
	sqlite3_finalize(stmt);
	run_sql(db, "COMMIT");
	assert_int_equal(get_number(db, "SELECT hnsw_save()"), N);
	assert_in_range(get_number(db, "SELECT hnsw_info() ->> '$.graph.bytes'"), N * sizeof(vector),
					N * sizeof(vector) * 16 / 10);
	assert_int_equal(get_number(db, "SELECT count(*) FROM vss_delta"), 0);
	close_database(db);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {TEST(in_random_order), TEST(by_clusters), TEST(oldest_first),
									   TEST(space)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
