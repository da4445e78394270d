/*
 * graph.c
 *		The graph as one source of a KNN scan.
 *
 * A cursor of the graph library has memory in proportion to the graph, so one
 * is kept with the index and used again while graph and ef are the same.  Its
 * callbacks reach the scan they work for through the searcher.
 */
#include "sqlite_bridge/bridge_int.h"

#include <string.h>

struct BridgeSearcher
{
	HnswCursor *cursor;
	BridgeSnapshot *snapshot; /* held */
	int ef;
	bool masked;        /* admit is asked */
	BridgeQuery *query; /* the scan it works for, NULL while idle */
	HnswStats counted;  /* how much of the cursor's work is in the scan's statistics */
	uint64_t budget;    /* distances after which the scan is broken off; 0: never */
	bool costly;        /* that happened */
};

static bool
admit(void *arg, int64_t label)
{
	const BridgeQuery *query = ((BridgeSearcher *) arg)->query;

	return bridge_delta_find(query->mask, label) < 0 && bridge_query_wants(query, label);
}

/*
 * Whether measuring the listed rows one by one is cheaper than to go on.  A
 * graph search that finds too little ends in a scan of all codes, each of
 * which costs about an eighth of looking up a listed row.
 */
static bool
is_costly(const BridgeSearcher *searcher)
{
	const BridgeQuery *query = searcher->query;
	HnswStats now;

	hnsw_search_stats(searcher->cursor, &now);
	if (now.exhausted)
		return (uint64_t) query->only_count * 8 < hnsw_snapshot_info(searcher->snapshot->graph)->count;
	return now.distances_computed > searcher->budget;
}

static bool
interrupted(void *arg)
{
	BridgeSearcher *searcher = arg;

	/* Not while the cursor is being made. */
	if (searcher->budget > 0 && searcher->cursor != NULL && !searcher->costly)
		searcher->costly = is_costly(searcher);
	return searcher->costly || bridge_cancelled(searcher->query->index->connection);
}

void
bridge_searcher_free(BridgeSearcher *searcher)
{
	if (searcher == NULL)
		return;
	if (searcher->cursor != NULL)
		hnsw_search_end(searcher->cursor);
	bridge_snapshot_release(searcher->snapshot);
	sqlite3_free(searcher);
}

static int
make_searcher(BridgeQuery *query, bool masked, BridgeSearcher **out, BridgeError *err)
{
	BridgeSearcher *searcher = sqlite3_malloc64(sizeof(*searcher));
	HnswSearchOptions options = {.ef = (uint32_t) query->ef,
								 .admit = masked ? admit : NULL,
								 .admit_arg = searcher,
								 .interrupted = interrupted,
								 .interrupt_arg = searcher};
	HnswError error = {0};
	HnswStatus status;

	*out = NULL;
	if (searcher == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	memset(searcher, 0, sizeof(*searcher));
	searcher->query = query;
	searcher->ef = query->ef;
	searcher->masked = masked;
	searcher->snapshot = query->snapshot;
	searcher->snapshot->references++;
	status = hnsw_search_begin(query->snapshot->graph, query->vector, &options, &searcher->cursor, &error);
	if (status != HNSW_OK)
	{
		searcher->cursor = NULL;
		bridge_searcher_free(searcher);
		return bridge_error_hnsw(err, status, &error, "%s: searching the graph", query->index->table);
	}
	*out = searcher;
	return SQLITE_OK;
}

/* An IN list is searched under the graph only as long as that is cheaper than measuring its rows. */
static uint64_t
budget_of(const BridgeQuery *query)
{
	return query->has_only && query->strategy == BRIDGE_AUTO ? 2 * (uint64_t) query->only_count + 1000 : 0;
}

int
bridge_graph_begin(BridgeQuery *query, BridgeError *err)
{
	BridgeIndex *index = query->index;
	BridgeSearcher *searcher = index->searcher;
	bool masked = query->mask->count > 0 || query->has_only;
	HnswError error = {0};
	HnswStatus status;
	int rc;

	index->searcher = NULL;
	if (searcher != NULL && searcher->snapshot == query->snapshot && searcher->ef == query->ef &&
		searcher->masked == masked)
	{
		searcher->query = query;
		status = hnsw_search_again(searcher->cursor, query->vector, &error);
		if (status != HNSW_OK)
		{
			bridge_searcher_free(searcher);
			return bridge_error_hnsw(err, status, &error, "%s: searching the graph", index->table);
		}
	}
	else
	{
		bridge_searcher_free(searcher);
		rc = make_searcher(query, masked, &searcher, err);
		if (rc != SQLITE_OK)
			return rc;
	}
	memset(&searcher->counted, 0, sizeof(searcher->counted));
	searcher->budget = budget_of(query);
	searcher->costly = false;
	query->searcher = searcher;
	query->graph_hit_ready = false;
	return SQLITE_OK;
}

HnswStatus
bridge_graph_next(BridgeQuery *query, bool *costly)
{
	BridgeSearcher *searcher = query->searcher;
	BridgeStats *stats = query->stats;
	HnswStatus status = hnsw_search_next(searcher->cursor, &query->graph_hit);
	HnswStats now;

	hnsw_search_stats(searcher->cursor, &now);
	stats->nodes_visited += now.nodes_visited - searcher->counted.nodes_visited;
	stats->distances_computed += now.distances_computed - searcher->counted.distances_computed;
	stats->rows_filtered += now.rejected - searcher->counted.rejected;
	searcher->counted = now;
	*costly = searcher->costly;
	return status;
}

void
bridge_graph_end(BridgeQuery *query)
{
	BridgeSearcher *searcher = query->searcher;

	if (searcher == NULL)
		return;
	query->searcher = NULL;
	query->graph_hit_ready = false;
	searcher->query = NULL;
	/* Not one of a graph that has been replaced: it would keep the file mapped. */
	if (query->index->searcher == NULL && query->index->snapshot == searcher->snapshot)
		query->index->searcher = searcher;
	else
		bridge_searcher_free(searcher);
}
