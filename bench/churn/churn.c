/*
 * churn.c
 *		Steady writing to a large index: bytes of graph files written for each changed
 *		row, beside writing the base each time that the delta fills; and what churn
 *		leaves of recall and size.
 *
 *	churn <hnsw.so> <folder> <rows> <dim> <changes>
 *
 * Rows are updated at random, a commit each 500; after each commit a merge is
 * made where one is due, as the automatic ones are.  Every merge writes one file,
 * whose size is counted, and the list of hidden rows.  The comparison is the size of the
 * base once for each 2,000 changes, at which number the delta counts as full.
 * Prints TSV: name, value.
 */
#define _GNU_SOURCE
#include <math.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DELTA_FULL 2000 /* changes that a merge waits for */
#define COMMIT_ROWS 500
#define QUERIES 200
#define MAX_DIM 2048

static uint64_t seed = 1;

static uint32_t
draw(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) (seed >> 33);
}

static void
draw_vector(float *out, int dim)
{
	for (int i = 0; i < dim; i++)
		out[i] = (float) (draw() % 20001) / 10000.0f - 1.0f;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
fail(sqlite3 *db, const char *what)
{
	fprintf(stderr, "churn: %s: %s\n", what, sqlite3_errmsg(db));
	exit(1);
}

static void
run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail(db, sql);
}

static int64_t
number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t result;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW)
		fail(db, sql);
	/* NULL: no merge was due */
	result = sqlite3_column_type(stmt, 0) == SQLITE_NULL ? -1 : sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return result;
}

static void
put(sqlite3 *db, sqlite3_stmt *stmt, int64_t id, int dim)
{
	float vector[MAX_DIM];

	draw_vector(vector, dim);
	sqlite3_bind_int64(stmt, 1, id);
	sqlite3_bind_blob(stmt, 2, vector, (int) sizeof(float) * dim, SQLITE_STATIC);
	if (sqlite3_step(stmt) != SQLITE_DONE)
		fail(db, "writing a row");
	sqlite3_reset(stmt);
}

/* Recall@10 by distance; the same queries each time. */
static double
recall(sqlite3 *db, int dim)
{
	const char *sql = "SELECT count(*) FROM vss(?1, 10, NULL, 'graph') WHERE distance <="
					  " (SELECT max(distance) FROM (SELECT distance FROM vss(?1, 10, NULL, 'exact')))";
	uint64_t kept = seed;
	sqlite3_stmt *stmt;
	int64_t found = 0;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail(db, "preparing");
	seed = 99;
	for (int i = 0; i < QUERIES; i++)
	{
		float vector[MAX_DIM];

		draw_vector(vector, dim);
		sqlite3_bind_blob(stmt, 1, vector, (int) sizeof(float) * dim, SQLITE_STATIC);
		if (sqlite3_step(stmt) != SQLITE_ROW)
			fail(db, "searching");
		found += sqlite3_column_int64(stmt, 0);
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	seed = kept;
	return (double) found / (10.0 * QUERIES);
}

typedef struct Totals
{
	uint64_t merges, base_merges;
	double written, if_base; /* bytes of graph files */
	char token[20];          /* of the file written last */
} Totals;

/* Whether the graph has another newest file than the one we know. */
static int
is_new(sqlite3 *db, Totals *totals)
{
	sqlite3_stmt *stmt;
	int differs;

	if (sqlite3_prepare_v2(db, "SELECT hnsw_info() ->> '$.graph.segments[#-1].token'", -1, &stmt, NULL) !=
			SQLITE_OK ||
		sqlite3_step(stmt) != SQLITE_ROW)
		fail(db, "hnsw_info");
	differs = strcmp(totals->token, (const char *) sqlite3_column_text(stmt, 0)) != 0;
	snprintf(totals->token, sizeof(totals->token), "%s", (const char *) sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	return differs;
}

/* A merge where it is due, by the connection's thread or here; what it wrote. */
static void
merge(sqlite3 *db, Totals *totals)
{
	int64_t files;

	while (number(db, "SELECT hnsw_save('vss', 'due')") < 0 &&
		   number(db, "SELECT hnsw_info() ->> '$.merge.running'") == 1)
		sqlite3_sleep(2);
	if (!is_new(db, totals))
		return;
	files = number(db, "SELECT json_array_length(hnsw_info(), '$.graph.segments')");
	totals->merges++;
	totals->base_merges += files == 1;
	totals->written += (double) number(db, "SELECT hnsw_info() ->> '$.graph.segments[#-1].bytes'");
	totals->written += 8.0 * (double) number(db, "SELECT hnsw_info() ->> '$.graph.hidden'");
}

int
main(int argc, char **argv)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	Totals totals = {0};
	char *sql;
	char *error = NULL;
	double start = now();
	double base;

	if (argc != 6 || atoi(argv[4]) < 1 || atoi(argv[4]) > MAX_DIM)
	{
		fprintf(stderr, "usage: churn hnsw.so folder rows dim changes\n");
		return 2;
	}
	const int64_t rows = atoll(argv[3]);
	const int dim = atoi(argv[4]);
	const int64_t changes = atoll(argv[5]);

	setvbuf(stdout, NULL, _IOLBF, 0);
	sql = sqlite3_mprintf("%s/churn.db", argv[2]);
	if (sqlite3_open(sql, &db) != SQLITE_OK)
		fail(db, sql);
	sqlite3_free(sql);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
	if (sqlite3_load_extension(db, argv[1], NULL, &error) != SQLITE_OK)
		fail(db, error);
	run(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
	/* the vectors come first, then the index, lest a merge begins by itself meanwhile */
	run(db, "CREATE TABLE rows(id INTEGER PRIMARY KEY, vector BLOB); BEGIN");
	if (sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO rows VALUES(?, ?)", -1, &stmt, NULL) != SQLITE_OK)
		fail(db, "preparing");
	for (int64_t i = 0; i < rows; i++)
		put(db, stmt, i, dim);
	run(db, "COMMIT");
	sqlite3_finalize(stmt);
	sql = sqlite3_mprintf("CREATE VIRTUAL TABLE vss USING hnsw(dim = %d, metric = l2, m = 16, ef = 64,"
						  " content = rows, content_vector = vector)",
						  dim);
	run(db, sql);
	sqlite3_free(sql);
	number(db, "SELECT hnsw_save()");
	base = (double) number(db, "SELECT hnsw_info() ->> '$.graph.bytes'");
	printf("rows\t%lld\ndim\t%d\nbase_bytes\t%.0f\nbuild_seconds\t%.1f\n", (long long) rows, dim, base,
		   now() - start);

	start = now();
	is_new(db, &totals);
	if (sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO rows VALUES(?, ?)", -1, &stmt, NULL) != SQLITE_OK)
		fail(db, "preparing");
	for (int64_t done = 0; done < changes; done += COMMIT_ROWS)
	{
		run(db, "BEGIN");
		for (int i = 0; i < COMMIT_ROWS; i++)
			put(db, stmt, (int64_t) (draw() % (uint64_t) rows), dim);
		run(db, "COMMIT");
		merge(db, &totals);
	}
	sqlite3_finalize(stmt);
	totals.if_base = base * (double) changes / DELTA_FULL;
	printf("changes\t%lld\nchurn_seconds\t%.1f\nmerges\t%llu\nmerges_of_the_base\t%llu\n",
		   (long long) changes, now() - start, (unsigned long long) totals.merges,
		   (unsigned long long) totals.base_merges);
	printf("bytes_a_changed_row\t%.0f\nbytes_a_changed_row_base_alone\t%.0f\nfactor\t%.1f\n",
		   totals.written / (double) changes, totals.if_base / (double) changes,
		   totals.if_base / totals.written);

	base = (double) number(db, "SELECT hnsw_info() ->> '$.graph.bytes'");
	printf("recall_after\t%.4f\n", recall(db, dim));
	number(db, "SELECT hnsw_rebuild()");
	printf("recall_fresh\t%.4f\nbytes_of_fresh\t%.3f\n", recall(db, dim),
		   base / (double) number(db, "SELECT hnsw_info() ->> '$.graph.bytes'"));
	sqlite3_close(db);
	return 0;
}
