/*
 * recall.c
 *		hnsw_recall(k [, samples [, table [, ef]]]): how good are the answers?
 *
 * Asks for the k nearest of stored vectors, once as any search does (graph and
 * delta) and once exactly, and returns the mean share of the k that the search
 * found.  A row counts as found if it is no farther than the true k-th nearest, so
 * of two rows at the same distance either will do.  The vector asked about is left
 * out on both sides, since finding it is no merit.  NULL without vectors.
 *
 * The sample is every n-th row, so the result repeats.  Exact search is one walk
 * over the truth that measures each row against all samples, which costs
 * (rows x samples) distances and a decoding of each vector.
 *
 * Everything happens in one snapshot of the database.
 */
#include "sqlite_bridge/module/module.h"

#include <math.h>
#include <string.h>

#define DEFAULT_SAMPLES 100
#define MAX_SAMPLES 100000
#define MAX_K 10000
#define MAX_BYTES (INT64_C(1) << 30) /* of vectors and distances kept */

typedef struct Recall
{
	BridgeIndex *index;
	BridgeStore *store;
	int64_t k;
	int64_t samples; /* asked for, then taken */
	int64_t ef;      /* 0: the index's */
	int64_t measured;

	int64_t *rowids; /* samples of them */
	float *vectors;  /* samples * dim */
	/* The k smallest distances to each sample so far: max-heaps, k slots each. */
	double *nearest;
	int64_t *counts;
} Recall;

static int
poll_cancel(Recall *recall, BridgeError *err)
{
	if (bridge_cancelled(recall->index->connection))
		return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
	return SQLITE_OK;
}

/* ---------- the sample ---------- */

static int
allocate(Recall *recall, BridgeError *err)
{
	size_t dim = (size_t) recall->index->dim;
	size_t n = (size_t) recall->samples;

	if ((int64_t) (n * (dim * sizeof(float) + (size_t) recall->k * sizeof(double))) > MAX_BYTES)
		return bridge_error(err, SQLITE_TOOBIG,
							"%lld samples with k = %lld take too much memory; ask for fewer", (long long) n,
							(long long) recall->k);
	recall->rowids = sqlite3_malloc64(n * sizeof(int64_t));
	recall->vectors = sqlite3_malloc64(n * dim * sizeof(float));
	recall->nearest = sqlite3_malloc64(n * (size_t) recall->k * sizeof(double));
	recall->counts = sqlite3_malloc64(n * sizeof(int64_t));
	if (recall->rowids == NULL || recall->vectors == NULL || recall->nearest == NULL ||
		recall->counts == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	memset(recall->counts, 0, n * sizeof(int64_t));
	return SQLITE_OK;
}

/*
 * Of the rows with a vector every (rows / samples)-th, or the next whose vector
 * belongs in a graph.
 */
static int
take_samples(Recall *recall, BridgeError *err)
{
	size_t dim = (size_t) recall->index->dim;
	BridgeVector vector = {0};
	sqlite3_stmt *stmt = NULL;
	int64_t rows;
	int64_t i = 0;
	int64_t taken = 0;
	int step = SQLITE_DONE;
	int rc = bridge_content_look(recall->store, err);

	if (rc == SQLITE_OK)
		rc = bridge_store_truth_count(recall->store, true, &rows, err);
	if (rc == SQLITE_OK && recall->samples > rows)
		recall->samples = rows;
	if (rc != SQLITE_OK || rows == 0)
		return rc;
	rc = allocate(recall, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_truth_select(recall->store, false, &stmt, err);
	while (rc == SQLITE_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		if (sqlite3_column_type(stmt, 1) == SQLITE_NULL)
			continue;
		i++;
		/* in double, since the product may not fit; the share is what matters */
		if ((double) taken >= floor((double) i * (double) recall->samples / (double) rows))
			continue;
		rc = poll_cancel(recall, err);
		if (rc == SQLITE_OK)
			rc = bridge_vector_read(sqlite3_column_value(stmt, 1), &vector, err);
		/* With a journal such rows may be there; no search finds them. */
		if (rc == SQLITE_MISMATCH && recall->store->journal)
		{
			bridge_error_clear(err);
			rc = SQLITE_OK;
			continue;
		}
		if (rc != SQLITE_OK || vector.data == NULL || (size_t) vector.dim != dim ||
			taken == recall->samples || !bridge_indexable(&recall->store->params, vector.data))
			continue;
		recall->rowids[taken] = sqlite3_column_int64(stmt, 0);
		memcpy(recall->vectors + (size_t) taken * dim, vector.data, dim * sizeof(float));
		taken++;
	}
	if (rc == SQLITE_OK && step != SQLITE_DONE)
		rc = bridge_error_db(err, recall->store->db, "table %s", recall->store->table);
	sqlite3_finalize(stmt);
	bridge_vector_free(&vector);
	recall->samples = taken;
	return rc;
}

/* ---------- exact search ---------- */

static void
sift_down(double *heap, int64_t count)
{
	double value = heap[0];
	int64_t at = 0;

	for (;;)
	{
		int64_t child = at * 2 + 1;

		if (child + 1 < count && heap[child + 1] > heap[child])
			child++;
		if (child >= count || heap[child] <= value)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = value;
}

static void
sift_up(double *heap, int64_t at)
{
	double value = heap[at];

	while (at > 0 && heap[(at - 1) / 2] < value)
	{
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = value;
}

/* A row of the truth, against all samples. */
static int
measure(void *arg, int64_t rowid, const float *vector, BridgeError *err)
{
	Recall *recall = arg;
	int dim = recall->index->dim;
	BridgeMetric metric = (BridgeMetric) recall->index->metric;

	if (vector == NULL)
		return SQLITE_OK;
	for (int64_t i = 0; i < recall->samples; i++)
	{
		double *heap = recall->nearest + i * recall->k;
		double distance;

		if (recall->rowids[i] == rowid)
			continue;
		if (recall->measured++ % 4096 == 0 && poll_cancel(recall, err) != SQLITE_OK)
			return err->code;
		distance = bridge_distance(metric, recall->vectors + (size_t) i * (size_t) dim, vector, dim);
		if (recall->counts[i] < recall->k)
		{
			heap[recall->counts[i]] = distance;
			sift_up(heap, recall->counts[i]++);
		}
		else if (distance < heap[0])
		{
			heap[0] = distance;
			sift_down(heap, recall->k);
		}
	}
	return SQLITE_OK;
}

/* ---------- the search that is judged ---------- */

/* How many of the k nearest of sample i the search finds. */
static int
search(Recall *recall, sqlite3_stmt *stmt, int64_t i, int64_t *found, BridgeError *err)
{
	const size_t bytes = (size_t) recall->index->dim * sizeof(float);
	const float *query = recall->vectors + (size_t) i * (size_t) recall->index->dim;
	int64_t others = 0;
	int step = SQLITE_DONE;

	*found = 0;
	sqlite3_bind_blob64(stmt, 1, query, bytes, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, recall->k + 1);
	if (recall->ef > 0)
		sqlite3_bind_int64(stmt, 3, recall->ef);
	while (others < recall->k && (step = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		if (sqlite3_column_int64(stmt, 0) == recall->rowids[i])
			continue;
		others++;
		*found += sqlite3_column_double(stmt, 1) <= recall->nearest[i * recall->k];
	}
	if (step != SQLITE_ROW && step != SQLITE_DONE)
		return bridge_error_db(err, recall->store->db, "searching table %s", recall->store->table);
	sqlite3_reset(stmt);
	return poll_cancel(recall, err);
}

static int
judge(Recall *recall, double *mean, int64_t *judged, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT rowid, distance FROM \"%w\".\"%w\"(?, ?, ?)", recall->store->schema,
								recall->store->table);
	double sum = 0;
	int rc = sql ? sqlite3_prepare_v2(recall->store->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

	*judged = 0;
	if (rc != SQLITE_OK)
		rc = bridge_error_db(err, recall->store->db, "searching table %s", recall->store->table);
	for (int64_t i = 0; i < recall->samples && rc == SQLITE_OK; i++)
	{
		int64_t found;

		if (recall->counts[i] == 0) /* the only vector has no neighbours */
			continue;
		rc = search(recall, stmt, i, &found, err);
		if (rc != SQLITE_OK)
			break;
		sum += (double) found / (double) recall->counts[i];
		++*judged;
	}
	if (*judged > 0)
		*mean = sum / (double) *judged;
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc;
}

/* ---------- all of it ---------- */

static int
measure_recall(Recall *recall, double *mean, int64_t *judged, BridgeError *err)
{
	sqlite3_stmt *hold = NULL;
	int rc = bridge_hold_view(recall->store, &hold, err);

	*judged = 0;
	if (rc == SQLITE_OK)
		rc = take_samples(recall, err);
	if (rc == SQLITE_OK && recall->samples > 0)
		rc = bridge_store_truth(recall->store, INT64_MIN, -1, measure, recall, NULL, err);
	if (rc == SQLITE_OK && recall->samples > 0)
		rc = judge(recall, mean, judged, err);
	sqlite3_finalize(hold);
	return rc;
}

static int
whole_number(sqlite3_value *value, const char *name, int64_t most, int64_t *out, BridgeError *err)
{
	if (!bridge_whole_number(value, out) || *out < 1 || *out > most)
		return bridge_error(err, SQLITE_ERROR, "%s must be a whole number from 1 to %lld", name,
							(long long) most);
	return SQLITE_OK;
}

static void
recall_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	BridgeConnection *connection = sqlite3_user_data(context);
	const char *name = argc > 2 ? (const char *) sqlite3_value_text(argv[2]) : NULL;
	Recall recall = {.samples = DEFAULT_SAMPLES};
	BridgeError err = {0};
	int64_t judged = 0;
	double mean = 0;
	int rc = whole_number(argv[0], "k", MAX_K, &recall.k, &err);

	if (rc == SQLITE_OK && argc > 1)
		rc = whole_number(argv[1], "samples", MAX_SAMPLES, &recall.samples, &err);
	if (rc == SQLITE_OK && argc > 3 && sqlite3_value_type(argv[3]) != SQLITE_NULL)
		rc = whole_number(argv[3], "ef", INT32_MAX, &recall.ef, &err);
	if (rc == SQLITE_OK)
		rc = bridge_find_index(connection, name, &recall.index, &err);
	if (rc == SQLITE_OK)
	{
		recall.store = bridge_index_store(recall.index);
		rc = measure_recall(&recall, &mean, &judged, &err);
	}
	sqlite3_free(recall.rowids);
	sqlite3_free(recall.vectors);
	sqlite3_free(recall.nearest);
	sqlite3_free(recall.counts);
	if (rc != SQLITE_OK)
	{
		bridge_error_prefix(&err, "hnsw_recall");
		bridge_error_result(context, &err);
	}
	else if (judged > 0)
		sqlite3_result_double(context, mean);
}

int
bridge_recall_register(BridgeConnection *connection, BridgeError *err)
{
	for (int arguments = 1; arguments <= 4; arguments++)
	{
		int rc = sqlite3_create_function_v2(
			connection->db, "hnsw_recall", arguments, SQLITE_UTF8 | SQLITE_DIRECTONLY,
			bridge_connection_hold(connection), recall_function, NULL, NULL, bridge_connection_release);

		if (rc != SQLITE_OK)
			return bridge_error_db(err, connection->db, "registering hnsw_recall");
	}
	return SQLITE_OK;
}
