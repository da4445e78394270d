/*
 * recall.c
 *		hnsw_recall(k [, samples [, table [, ef [, questions]]]]): how good are the answers?
 *
 * Asks for the k nearest different vectors, once as any search does (graph and
 * delta) and once exactly, and returns the mean share of the k that the search
 * found.  Rows at the same distance count as one vector, so that a crowd of copies,
 * which is found or not as a whole, does not decide.  NULL without vectors.
 *
 * Questions are
 *
 *	stored	stored vectors; such a vector and its copies are left out on both sides,
 *			since finding them is no merit
 *	near	means of a stored vector and its two nearest others: unlike what is stored, and
 *			close to it
 *	far		means of two stored vectors that have nothing to do with one another
 *
 * Of the rows with a vector the sample is every n-th, so the result repeats.  Exact
 * search is one walk over the truth that measures each row against all samples, which costs
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

typedef enum Kind
{
	STORED,
	NEAR,
	FAR,
	KINDS
} Kind;

static const char *const kind_names[KINDS] = {"stored", "near", "far"};

/* The least distances of a question, each once, rising; and how many rows have them. */
typedef struct Nearest
{
	double *distances; /* room for k */
	int64_t *rows;     /* likewise */
	int64_t count;
	double own;       /* distance of a stored vector to itself: left out, */
	int64_t own_rows; /* and how many rows that is */
} Nearest;

typedef struct Recall
{
	BridgeIndex *index;
	BridgeStore *store;
	int64_t k;
	int64_t samples; /* asked for, then taken */
	int64_t ef;      /* 0: the index's */
	Kind kind;
	int64_t measured;

	float *vectors;   /* samples * dim; of stored vectors, then of the questions */
	Nearest *nearest; /* samples */
	double *distances;
	int64_t *rows;
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

	if ((int64_t) (n * (dim * sizeof(float) + (size_t) recall->k * (sizeof(double) + sizeof(int64_t)))) >
		MAX_BYTES)
		return bridge_error(err, SQLITE_TOOBIG,
							"%lld samples with k = %lld take too much memory; ask for fewer", (long long) n,
							(long long) recall->k);
	recall->vectors = sqlite3_malloc64(n * dim * sizeof(float));
	recall->nearest = sqlite3_malloc64(n * sizeof(Nearest));
	recall->distances = sqlite3_malloc64(n * (size_t) recall->k * sizeof(double));
	recall->rows = sqlite3_malloc64(n * (size_t) recall->k * sizeof(int64_t));
	if (recall->vectors == NULL || recall->nearest == NULL || recall->distances == NULL ||
		recall->rows == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		recall->nearest[i] = (Nearest){.distances = recall->distances + i * (size_t) recall->k,
									   .rows = recall->rows + i * (size_t) recall->k};
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
		rc = bridge_store_vector_count(recall->store, &rows, err);
	if (rc == SQLITE_OK && recall->samples > rows)
		recall->samples = rows;
	if (rc != SQLITE_OK || rows == 0)
		return rc;
	rc = allocate(recall, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_truth_select(recall->store, &stmt, err);
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

/* ---------- questions ---------- */

/* Add a row's vector, or nothing where it has none any more, to sum. */
static int
add_row(Recall *recall, int64_t rowid, float *sum, int *added, BridgeError *err)
{
	BridgeVector vector = {0};
	bool present;
	int rc = bridge_store_truth_get(recall->store, rowid, &vector, &present, err);

	if (rc == SQLITE_OK && present && vector.data != NULL && vector.dim == recall->index->dim)
	{
		for (int d = 0; d < vector.dim; d++)
			sum[d] += vector.data[d];
		++*added;
	}
	bridge_vector_free(&vector);
	return rc;
}

/* The mean of a sample and the two others that are nearest to it, in place of it. */
static int
mean_with_nearest(Recall *recall, sqlite3_stmt *stmt, float *vector, BridgeError *err)
{
	size_t bytes = (size_t) recall->index->dim * sizeof(float);
	float *sum = sqlite3_malloc64(bytes);
	double last = -INFINITY;
	int added = 1;
	int step = SQLITE_DONE;
	int rc = SQLITE_OK;

	if (sum == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	memcpy(sum, vector, bytes);
	sqlite3_bind_blob64(stmt, 1, vector, bytes, SQLITE_STATIC);
	for (int i = 0; added < 3 && rc == SQLITE_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW; i++)
	{
		double distance = sqlite3_column_double(stmt, 1);

		/* the first is the sample, or its equal */
		if (i > 0 && distance > last)
			rc = add_row(recall, sqlite3_column_int64(stmt, 0), sum, &added, err);
		last = distance;
	}
	if (rc == SQLITE_OK && step != SQLITE_ROW && step != SQLITE_DONE)
		rc = bridge_error_db(err, recall->store->db, "searching table %s", recall->store->table);
	sqlite3_reset(stmt);
	for (int d = 0; d < recall->index->dim; d++)
		vector[d] = sum[d] / (float) added;
	sqlite3_free(sum);
	return rc;
}

static int
ask_near(Recall *recall, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT rowid, distance FROM \"%w\".\"%w\"(?)", recall->store->schema,
								recall->store->table);
	int rc = sql ? sqlite3_prepare_v2(recall->store->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	if (rc != SQLITE_OK)
		rc = bridge_error_db(err, recall->store->db, "searching table %s", recall->store->table);
	for (int64_t i = 0; i < recall->samples && rc == SQLITE_OK; i++)
	{
		rc = mean_with_nearest(recall, stmt, recall->vectors + i * recall->index->dim, err);
		if (rc == SQLITE_OK)
			rc = poll_cancel(recall, err);
	}
	sqlite3_finalize(stmt);
	return rc;
}

/* Each with the one half the sample on; the second half is used up. */
static void
ask_far(Recall *recall)
{
	int64_t half = recall->samples / 2;
	int dim = recall->index->dim;

	for (int64_t i = 0; i < half * dim; i++)
		recall->vectors[i] = (recall->vectors[i] + recall->vectors[half * dim + i]) / 2;
	recall->samples = half;
}

/* From stored vectors to what is asked; what has no direction then is not asked. */
static int
make_questions(Recall *recall, BridgeError *err)
{
	size_t dim = (size_t) recall->index->dim;
	int64_t kept = 0;
	int rc = recall->kind == NEAR ? ask_near(recall, err) : SQLITE_OK;

	if (recall->kind == FAR)
		ask_far(recall);
	for (int64_t i = 0; i < recall->samples && rc == SQLITE_OK; i++)
	{
		float *vector = recall->vectors + (size_t) i * dim;

		if (!bridge_indexable(&recall->store->params, vector))
			continue;
		memmove(recall->vectors + (size_t) kept * dim, vector, dim * sizeof(float));
		recall->nearest[kept].own =
			recall->kind != STORED
				? NAN
				: bridge_distance((BridgeMetric) recall->index->metric, vector, vector, recall->index->dim);
		kept++;
	}
	recall->samples = kept;
	return rc;
}

/* ---------- exact search ---------- */

/* A row is at this distance. */
static void
note(Nearest *nearest, int64_t k, double distance)
{
	int64_t low = 0;
	int64_t high = nearest->count;
	int64_t after;

	if (distance == nearest->own)
	{
		nearest->own_rows++;
		return;
	}
	while (low < high)
	{
		int64_t middle = low + (high - low) / 2;

		if (nearest->distances[middle] < distance)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < nearest->count && nearest->distances[low] == distance)
	{
		nearest->rows[low]++;
		return;
	}
	if (low == k)
		return;
	nearest->count += nearest->count < k;
	after = nearest->count - 1 - low;
	memmove(nearest->distances + low + 1, nearest->distances + low, (size_t) after * sizeof(double));
	memmove(nearest->rows + low + 1, nearest->rows + low, (size_t) after * sizeof(int64_t));
	nearest->distances[low] = distance;
	nearest->rows[low] = 1;
}

/* A row of the truth, against all samples. */
static int
measure(void *arg, int64_t rowid, const float *vector, BridgeError *err)
{
	Recall *recall = arg;
	int dim = recall->index->dim;
	BridgeMetric metric = (BridgeMetric) recall->index->metric;

	(void) rowid;
	if (vector == NULL)
		return SQLITE_OK;
	for (int64_t i = 0; i < recall->samples; i++)
	{
		Nearest *nearest = &recall->nearest[i];
		double distance;

		if (recall->measured++ % 4096 == 0 && poll_cancel(recall, err) != SQLITE_OK)
			return err->code;
		distance = bridge_distance(metric, recall->vectors + i * dim, vector, dim);
		if (nearest->count < recall->k || distance <= nearest->distances[recall->k - 1] ||
			distance == nearest->own)
			note(nearest, recall->k, distance);
	}
	return SQLITE_OK;
}

/* ---------- the search that is judged ---------- */

/* How many of the nearest of question i the search finds, asked for as many rows as they have. */
static int
search(Recall *recall, sqlite3_stmt *stmt, int64_t i, int64_t *found, BridgeError *err)
{
	const size_t bytes = (size_t) recall->index->dim * sizeof(float);
	const Nearest *nearest = &recall->nearest[i];
	int64_t rows = nearest->own_rows;
	double last = NAN;
	int step = SQLITE_DONE;

	*found = 0;
	for (int64_t j = 0; j < nearest->count; j++)
		rows += nearest->rows[j];
	sqlite3_bind_blob64(stmt, 1, recall->vectors + i * recall->index->dim, bytes, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, rows);
	if (recall->ef > 0)
		sqlite3_bind_int64(stmt, 3, recall->ef);
	while ((step = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		double distance = sqlite3_column_double(stmt, 1);

		if (distance == nearest->own || distance == last)
			continue;
		last = distance;
		*found += distance <= nearest->distances[nearest->count - 1];
	}
	if (step != SQLITE_DONE)
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

		if (recall->nearest[i].count == 0) /* the only vector has no neighbours */
			continue;
		rc = search(recall, stmt, i, &found, err);
		if (rc != SQLITE_OK)
			break;
		sum += (double) found / (double) recall->nearest[i].count;
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
		rc = make_questions(recall, err);
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

static int
read_kind(sqlite3_value *value, Kind *kind, BridgeError *err)
{
	const char *name = (const char *) sqlite3_value_text(value);

	for (*kind = STORED; name != NULL && *kind < KINDS; ++*kind)
		if (sqlite3_stricmp(name, kind_names[*kind]) == 0)
			return SQLITE_OK;
	return bridge_error(err, SQLITE_ERROR, "questions must be 'stored', 'near' or 'far', not %s",
						name != NULL ? name : "NULL");
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
	if (rc == SQLITE_OK && argc > 4)
		rc = read_kind(argv[4], &recall.kind, &err);
	if (rc == SQLITE_OK)
		rc = bridge_find_index(connection, name, &recall.index, &err);
	if (rc == SQLITE_OK)
	{
		recall.store = bridge_index_store(recall.index);
		rc = measure_recall(&recall, &mean, &judged, &err);
	}
	sqlite3_free(recall.vectors);
	sqlite3_free(recall.nearest);
	sqlite3_free(recall.distances);
	sqlite3_free(recall.rows);
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
	for (int arguments = 1; arguments <= 5; arguments++)
	{
		int rc = sqlite3_create_function_v2(
			connection->db, "hnsw_recall", arguments, SQLITE_UTF8 | SQLITE_DIRECTONLY,
			bridge_connection_hold(connection), recall_function, NULL, NULL, bridge_connection_release);

		if (rc != SQLITE_OK)
			return bridge_error_db(err, connection->db, "registering hnsw_recall");
	}
	return SQLITE_OK;
}
