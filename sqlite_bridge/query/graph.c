/*
 * graph.c
 *		The graph files as sources of a KNN scan, a stream each.
 *
 * A cursor of the graph library has memory in proportion to the graph, so one
 * a segment is kept with the index and used again while graph and ef are the same.  Its
 * callbacks reach the scan they work for through the searcher.
 */
#include "sqlite_bridge/query/query.h"

#include <string.h>

typedef struct GraphSearcher
{
	BridgeSearcher kept;
	int segment; /* which one of the query's snapshot it is */
	int ef;
	double margin;
	bool masked;        /* admit is asked */
	BridgeQuery *query; /* the scan it works for, NULL while idle */
	HnswStats counted;  /* how much of the cursor's work is in the scan's statistics */
	uint64_t budget;    /* distances after which the scan is broken off; 0: never */
	bool costly;        /* that happened */
} GraphSearcher;

static bool
admit(void *arg, int64_t label)
{
	const GraphSearcher *searcher = arg;
	const BridgeQuery *query = searcher->query;

	return bridge_delta_find(query->mask, label) < 0 &&
		   !bridge_snapshot_hides(query->snapshot, searcher->segment, label) &&
		   bridge_query_wants(query, label);
}

/*
 * Whether measuring the listed rows one by one is cheaper than to go on.  A
 * graph search that finds too little ends in a scan of all codes, each of
 * which costs about an eighth of looking up a listed row.
 */
static bool
is_costly(const GraphSearcher *searcher)
{
	const BridgeQuery *query = searcher->query;
	HnswStats now;

	hnsw_search_stats(searcher->kept.cursor, &now);
	if (now.exhausted)
		return (uint64_t) query->only_count * 8 < hnsw_snapshot_info(searcher->kept.graph->map)->nodes;
	return now.distances_computed > searcher->budget;
}

static bool
interrupted(void *arg)
{
	GraphSearcher *searcher = arg;

	/* Not while the cursor is being made. */
	if (searcher->budget > 0 && searcher->kept.cursor != NULL && !searcher->costly)
		searcher->costly = is_costly(searcher);
	return searcher->costly || bridge_cancelled(searcher->query->index->connection);
}

/* How many rows a graph may have to give; 0: as many as are asked for. */
static uint32_t
rows_wanted(const BridgeQuery *query)
{
	int64_t wanted = query->need >= 0 ? query->need : query->stats->expected;

	if (query->floored)
		return 0; /* those too near come first */
	return wanted <= HNSW_MAX_EF ? (uint32_t) wanted : 0;
}

static int
make_searcher(BridgeQuery *query, int segment, bool masked, GraphSearcher **out, BridgeError *err)
{
	GraphSearcher *searcher = sqlite3_malloc64(sizeof(*searcher));
	HnswSearchOptions options = {.ef = (uint32_t) query->ef,
								 .margin = (float) query->margin,
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
	searcher->margin = query->margin;
	searcher->masked = masked;
	searcher->segment = segment;
	searcher->kept.graph = query->snapshot->graphs[segment];
	bridge_graph_hold(searcher->kept.graph);
	status = hnsw_search_begin(searcher->kept.graph->map, query->vector.data, rows_wanted(query), &options,
							   &searcher->kept.cursor, &error);
	if (status != HNSW_OK)
	{
		searcher->kept.cursor = NULL;
		bridge_searcher_free(&searcher->kept);
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

static int
begin_one(BridgeQuery *query, int segment, BridgeError *err)
{
	BridgeIndex *index = query->index;
	BridgeStream *stream = &query->streams[segment];
	GraphSearcher *searcher = (GraphSearcher *) index->searchers[segment];
	bool masked = query->mask->count > 0 || query->has_only || query->has_range ||
				  (segment == 0 && query->snapshot->hidden_count > 0);
	HnswError error = {0};
	HnswStatus status;
	int rc;

	index->searchers[segment] = NULL;
	if (searcher != NULL && searcher->kept.graph == query->snapshot->graphs[segment] &&
		searcher->ef == query->ef && searcher->margin == query->margin && searcher->masked == masked)
	{
		searcher->query = query;
		status = hnsw_search_again(searcher->kept.cursor, query->vector.data, rows_wanted(query), &error);
		if (status != HNSW_OK)
		{
			bridge_searcher_free(&searcher->kept);
			return bridge_error_hnsw(err, status, &error, "%s: searching the graph", index->table);
		}
	}
	else
	{
		if (searcher != NULL)
			bridge_searcher_free(&searcher->kept);
		rc = make_searcher(query, segment, masked, &searcher, err);
		if (rc != SQLITE_OK)
			return rc;
	}
	memset(&searcher->counted, 0, sizeof(searcher->counted));
	searcher->budget = budget_of(query);
	searcher->costly = false;
	stream->searcher = &searcher->kept;
	stream->ready = false;
	return SQLITE_OK;
}

int
bridge_graph_begin(BridgeQuery *query, BridgeError *err)
{
	int rc = SQLITE_OK;

	for (int i = 0; i < query->snapshot->count && rc == SQLITE_OK; i++)
		rc = begin_one(query, i, err);
	return rc;
}

HnswStatus
bridge_graph_next(BridgeQuery *query, int segment, bool *costly)
{
	BridgeStream *stream = &query->streams[segment];
	GraphSearcher *searcher = (GraphSearcher *) stream->searcher;
	BridgeStats *stats = query->stats;
	HnswStatus status = hnsw_search_next(searcher->kept.cursor, &stream->hit);
	HnswStats now;

	hnsw_search_stats(searcher->kept.cursor, &now);
	stats->nodes_visited += now.nodes_visited - searcher->counted.nodes_visited;
	stats->distances_computed += now.distances_computed - searcher->counted.distances_computed;
	stats->rows_filtered += now.rejected - searcher->counted.rejected;
	searcher->counted = now;
	*costly = searcher->costly;
	return status;
}

void
bridge_graph_end_one(BridgeQuery *query, int segment)
{
	BridgeIndex *index = query->index;
	BridgeStream *stream = &query->streams[segment];
	GraphSearcher *searcher = (GraphSearcher *) stream->searcher;

	if (searcher == NULL)
		return;
	stream->searcher = NULL;
	stream->ready = false;
	searcher->query = NULL;
	/* Not one of a graph that has been replaced: it would keep the file mapped. */
	if (index->searchers[segment] == NULL && index->snapshot != NULL &&
		index->snapshot->graphs[segment] == searcher->kept.graph)
		index->searchers[segment] = &searcher->kept;
	else
		bridge_searcher_free(&searcher->kept);
}

void
bridge_graph_end(BridgeQuery *query)
{
	for (int i = 0; i < BRIDGE_MAX_SEGMENTS; i++)
		bridge_graph_end_one(query, i);
}
