/*
 * unplaced.c
 *		Rows without a distance: their vector is NULL, or of length zero under cosine,
 *		or the query's is.
 *
 * A graph has no node for such rows, and to look for them reads every vector of the
 * table.  So merges list them (store/labels.c).  What has changed since is in the delta.  Each
 * candidate is looked at in the table, because a list may have too many.
 */
#include "sqlite_bridge/query/query.h"

/* A row of the truth. */
static int
visit_row(void *arg, int64_t rowid, const float *vector, BridgeError *err)
{
	BridgeQuery *query = arg;

	if ((++query->polls & 255) == 0 && bridge_cancelled(query->index->connection))
		return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
	if ((vector != NULL && !query->placeless) || !bridge_query_wants(query, rowid))
		return SQLITE_OK;
	return bridge_hits_add(&query->hits, rowid, 0, err);
}

static int
look_at(BridgeQuery *query, BridgeStore *store, int64_t label, BridgeError *err)
{
	const float *vector = NULL;
	bool present;
	int rc = bridge_store_truth_get(store, label, &store->scratch, &present, err);

	if (rc != SQLITE_OK || !present)
		return rc;
	if (bridge_indexable(&store->params, store->scratch.data))
		vector = store->scratch.data;
	return visit_row(query, label, vector, err);
}

/* Changed rows that the graph would have no place for, or that are gone. */
static int
look_at_changes(BridgeQuery *query, BridgeStore *store, const BridgeDelta *delta, BridgeError *err)
{
	int rc = SQLITE_OK;

	for (size_t i = 0; i < delta->count && rc == SQLITE_OK; i++)
		if (!delta->live[i])
			rc = look_at(query, store, delta->labels[i], err);
	return rc;
}

/* The listed rows that have not changed, and the changed ones. */
static int
look_at_listed(BridgeQuery *query, BridgeStore *store, const BridgeState *state, const int64_t *list,
			   size_t count, BridgeError *err)
{
	const BridgeDelta *delta = query->delta;
	int rc = SQLITE_OK;

	if (delta->too_large)
	{
		rc = bridge_delta_measure(query->index, store, state, query->vector.data, &query->own_delta, err);
		delta = &query->own_delta;
	}
	for (size_t i = 0; i < count && rc == SQLITE_OK; i++)
		if (bridge_delta_find(delta, list[i]) < 0)
			rc = look_at(query, store, list[i], err);
	return rc == SQLITE_OK ? look_at_changes(query, store, delta, err) : rc;
}

int
bridge_find_unplaced(BridgeQuery *query, BridgeStore *store, const BridgeState *state, BridgeError *err)
{
	int64_t *list = NULL;
	size_t count = 0;
	bool known = false;
	int rc = SQLITE_OK;

	query->exact = true;
	bridge_hits_reset(&query->hits, query->need < 0 ? SIZE_MAX : (size_t) query->need);
	if (query->snapshot != NULL && !query->placeless)
		rc = bridge_store_unplaced(store, state->position, &list, &count, &known, err);
	if (rc == SQLITE_OK && known)
		rc = look_at_listed(query, store, state, list, count, err);
	else if (rc == SQLITE_OK)
		rc = bridge_store_truth(store, INT64_MIN, -1, visit_row, query, NULL, err);
	sqlite3_free(list);
	bridge_hits_order(&query->hits);
	return rc;
}
