/*
 * measure.c
 *		Rows measured one by one: the exact half of every answer.
 *
 * The truth can be read from the tables (slow where vectors are JSON text, but it
 * needs no graph) or, the same rows, from snapshot and delta.
 */
#include "sqlite_bridge/query/query.h"

bool
bridge_query_within(const BridgeQuery *query, double distance)
{
	return !query->bounded || distance < query->bound || (query->bound_inclusive && distance == query->bound);
}

bool
bridge_query_far_enough(const BridgeQuery *query, double distance)
{
	return !query->floored || distance > query->floor || (query->floor_inclusive && distance == query->floor);
}

bool
bridge_query_wants(const BridgeQuery *query, int64_t rowid)
{
	if (query->has_range)
		return rowid >= query->low && rowid <= query->high;
	return !query->has_only || bridge_labels_have(query->only, query->only_count, rowid);
}

static int
poll_cancel(BridgeQuery *query, BridgeError *err)
{
	if ((++query->polls & 255) == 0 && bridge_cancelled(query->index->connection))
		return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
	return SQLITE_OK;
}

int
bridge_query_row_exists(BridgeQuery *query, int64_t rowid, bool *exists, BridgeError *err)
{
	int rc = bridge_store_truth_exists(bridge_index_store(query->index), rowid, exists, err);

	if (rc == SQLITE_OK && !*exists)
		query->index->ghosts = true;
	return rc;
}

static int
add_hit(BridgeQuery *query, int64_t rowid, double distance, BridgeError *err)
{
	bool exists = true;
	int rc = SQLITE_OK;

	query->stats->distances_computed++;
	if (!bridge_query_within(query, distance) || !bridge_query_far_enough(query, distance))
		return SQLITE_OK;
	/* Only those that would take another's place. */
	if (query->checks_rows && bridge_hits_admits(&query->hits, rowid, distance))
		rc = bridge_query_row_exists(query, rowid, &exists, err);
	if (rc != SQLITE_OK || !exists)
		return rc;
	return bridge_hits_add(&query->hits, rowid, distance, err);
}

static int
measure(BridgeQuery *query, int64_t rowid, const float *vector, BridgeError *err)
{
	return add_hit(
		query, rowid,
		hnsw_distance(query->index->metric, query->vector.data, vector, (uint32_t) query->index->dim), err);
}

static bool
was_given(const BridgeQuery *query, int64_t rowid)
{
	return bridge_labels_have(query->given, query->given_count, rowid);
}

/* Rows that are still to come, for the size of hits. */
static size_t
rows_to_come(const BridgeQuery *query)
{
	uint64_t left;

	if (query->need < 0)
		return SIZE_MAX;
	left = (uint64_t) query->need - query->stats->rows_returned;
	return left >= SIZE_MAX ? SIZE_MAX : (size_t) left;
}

/* From here on hits are everything; what was given must not come again. */
static void
begin_exact(BridgeQuery *query)
{
	query->exact = true;
	query->stats->strategy = bridge_strategy_name(BRIDGE_EXACT);
	bridge_labels_sort(query->given, query->given_count);
	bridge_hits_reset(&query->hits, rows_to_come(query));
}

/* ---------- the truth ---------- */

static int
measure_row(void *arg, int64_t rowid, const float *vector, BridgeError *err)
{
	BridgeQuery *query = arg;
	int rc = poll_cancel(query, err);

	if (rc != SQLITE_OK || vector == NULL || was_given(query, rowid) || !bridge_query_wants(query, rowid))
		return rc;
	return measure(query, rowid, vector, err);
}

static int
measure_listed(BridgeQuery *query, BridgeStore *store, BridgeError *err)
{
	int rc = SQLITE_OK;

	for (size_t i = 0; i < query->only_count && rc == SQLITE_OK; i++)
	{
		const float *vector;
		bool present;

		rc = bridge_store_truth_get(store, query->only[i], &store->scratch, &present, err);
		vector = store->scratch.data;
		if (rc == SQLITE_OK && present)
			rc = measure_row(query, query->only[i], bridge_indexable(&store->params, vector) ? vector : NULL,
							 err);
	}
	return rc;
}

int
bridge_measure_truth(BridgeQuery *query, BridgeStore *store, BridgeError *err)
{
	uint64_t before = query->stats->distances_computed;
	int rc;

	begin_exact(query);
	query->checks_rows = false;
	if (query->has_only)
		rc = measure_listed(query, store, err);
	else
		rc = bridge_store_truth(store, INT64_MIN, -1, measure_row, query, NULL, err);
	if (rc == SQLITE_OK)
		bridge_hits_order(&query->hits);
	if (rc == SQLITE_OK && query->snapshot == NULL && !query->has_only && query->strategy != BRIDGE_EXACT &&
		bridge_merge_is_due(-1, (int64_t) (query->stats->distances_computed - before)))
		query->index->merge_due = true;
	return rc;
}

/* ---------- snapshot and delta ---------- */

static int
measure_entry(BridgeQuery *query, const BridgeDelta *delta, size_t entry, BridgeError *err)
{
	if (!delta->live[entry])
		return SQLITE_OK;
	if (delta->distances != NULL)
		return add_hit(query, delta->labels[entry], delta->distances[entry], err);
	return measure(query, delta->labels[entry], delta->vectors + entry * (size_t) query->index->dim, err);
}

int
bridge_measure_delta(BridgeQuery *query, BridgeStore *store, const BridgeState *state, BridgeError *err)
{
	const BridgeDelta *delta = query->delta;
	int rc = SQLITE_OK;

	if (delta->too_large)
	{
		rc = bridge_delta_measure(query->index, store, state, query->vector.data, &query->own_delta, err);
		delta = &query->own_delta;
	}
	query->mask = delta;
	bridge_hits_reset(&query->hits, rows_to_come(query));
	for (size_t i = 0; rc == SQLITE_OK && i < delta->count; i++)
	{
		query->stats->delta_rows++;
		if (bridge_query_wants(query, delta->labels[i]))
			rc = measure_entry(query, delta, i, err);
		else
			query->stats->rows_filtered++;
		if (rc == SQLITE_OK)
			rc = poll_cancel(query, err);
	}
	bridge_hits_order(&query->hits);
	return rc;
}

/* The listed rows, each looked up by label. */
static int
measure_listed_labels(BridgeQuery *query, float *vector, HnswStatus *status, BridgeError *err)
{
	int rc = SQLITE_OK;

	for (size_t i = 0; i < query->only_count && rc == SQLITE_OK; i++)
	{
		int64_t rowid = query->only[i];
		int64_t entry = bridge_delta_find(query->mask, rowid);

		rc = poll_cancel(query, err);
		if (rc != SQLITE_OK || was_given(query, rowid))
			continue;
		if (entry >= 0)
		{
			rc = measure_entry(query, query->mask, (size_t) entry, err);
			continue;
		}
		*status = bridge_snapshot_vector(query->snapshot, rowid, vector);
		if (*status == HNSW_OK)
			rc = measure(query, rowid, vector, err);
		else if (*status != HNSW_NOTFOUND)
			return SQLITE_OK;
	}
	*status = HNSW_OK;
	return rc;
}

typedef struct NodeVisit
{
	BridgeQuery *query;
	BridgeError *err;
	int segment;
	int rc;
} NodeVisit;

static bool
measure_node(void *arg, int64_t label, const float *vector)
{
	NodeVisit *visit = arg;
	BridgeQuery *query = visit->query;

	visit->rc = poll_cancel(query, visit->err);
	if (visit->rc == SQLITE_OK && bridge_query_wants(query, label) &&
		bridge_delta_find(query->mask, label) < 0 &&
		!bridge_snapshot_hides(query->snapshot, visit->segment, label) && !was_given(query, label))
		visit->rc = measure(query, label, vector, visit->err);
	return visit->rc == SQLITE_OK;
}

static int
measure_nodes(BridgeQuery *query, HnswStatus *status, BridgeError *err)
{
	NodeVisit visit = {query, err, 0, SQLITE_OK};

	for (size_t i = 0; i < query->mask->count && visit.rc == SQLITE_OK; i++)
		if (bridge_query_wants(query, query->mask->labels[i]) && !was_given(query, query->mask->labels[i]))
			visit.rc = measure_entry(query, query->mask, i, err);
	*status = HNSW_OK;
	for (; visit.segment < query->snapshot->count && visit.rc == SQLITE_OK && *status == HNSW_OK;
		 visit.segment++)
		*status = hnsw_snapshot_each(query->snapshot->graphs[visit.segment]->map, measure_node, &visit);
	return visit.rc;
}

int
bridge_measure_snapshot(BridgeQuery *query, BridgeError *err)
{
	HnswStatus status = HNSW_OK;
	int rc;

	begin_exact(query);
	if (query->has_only)
	{
		float *vector = sqlite3_malloc64(sizeof(float) * (uint64_t) query->index->dim);

		if (vector == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		rc = measure_listed_labels(query, vector, &status, err);
		sqlite3_free(vector);
	}
	else
		rc = measure_nodes(query, &status, err);
	if (rc != SQLITE_OK)
		return rc;
	if (status != HNSW_OK || bridge_snapshot_damaged(query->snapshot) != NULL)
		return bridge_error_hnsw(err, status == HNSW_OK ? HNSW_CORRUPT : status, NULL,
								 "%s: reading the graph file", query->index->table);
	bridge_hits_order(&query->hits);
	return SQLITE_OK;
}
