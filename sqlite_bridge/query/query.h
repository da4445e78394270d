/*
 * query.h
 *		A KNN scan, from its plan to its rows.
 */
#ifndef BRIDGE_QUERY_H
#define BRIDGE_QUERY_H

#include "sqlite_bridge/merge/merge.h"

/* ---------- plan.c: xBestIndex of vss and of vss_knn ---------- */

/*
 * What a scan may be asked.  Bit i of idxNum says that argument i is in argv, in this order.  From
 * ARG_ROWID_ABOVE to ARG_FROM are those that may come from a joined table (plan.c).
 */
typedef enum BridgeArgument
{
	ARG_QUERY,
	ARG_K,
	ARG_EF,
	ARG_TABLE,
	ARG_STRATEGY,
	ARG_STATS,
	ARG_ROWID,        /* rowid = value */
	ARG_ROWID_IN,     /* rowid IN (list), whole */
	ARG_ROWID_IN_TOO, /* a second list */
	ARG_ROWID_ABOVE,  /* rowid > value */
	ARG_ROWID_FROM,   /* rowid >= value */
	ARG_ROWID_BELOW,  /* rowid < value */
	ARG_ROWID_UPTO,   /* rowid <= value */
	ARG_ABOVE,        /* distance > value */
	ARG_FROM,         /* distance >= value */
	ARG_BELOW,        /* distance < value */
	ARG_UPTO,         /* distance <= value */
	ARG_LIMIT,
	ARG_OFFSET,
	ARG_COUNT
} BridgeArgument;

/* Each argument, NULL where it is not asked. */
typedef struct BridgeArguments
{
	sqlite3_value *value[ARG_COUNT];
} BridgeArguments;

/* Column numbers; -1 where the table has no such column. */
typedef struct BridgeColumns
{
	int distance, query, k, ef, table, strategy, stats;
} BridgeColumns;

int bridge_plan(const BridgeColumns *columns, sqlite3_index_info *info);

/* What xFilter was given, by the plan that idxNum stands for. */
BridgeArguments bridge_plan_arguments(int plan, sqlite3_value **argv);

/* ---------- hits.c: results in order of distance, then rowid ---------- */

typedef struct BridgeHits
{
	HnswHit *items;
	size_t count, capacity;
	size_t next;  /* first not taken yet, once ordered */
	size_t limit; /* keep only so many nearest; SIZE_MAX: all */
	bool ordered;
} BridgeHits;

void bridge_hits_reset(BridgeHits *hits, size_t limit);
int bridge_hits_add(BridgeHits *hits, int64_t label, double distance, BridgeError *err);
/* No more additions: from here on peek and take give the nearest. */
void bridge_hits_order(BridgeHits *hits);
/* Whether one at this distance would be kept. */
bool bridge_hits_admits(const BridgeHits *hits, int64_t label, double distance);
const HnswHit *bridge_hits_peek(const BridgeHits *hits);
void bridge_hits_take(BridgeHits *hits);
void bridge_hits_free(BridgeHits *hits);
bool bridge_hit_before(const HnswHit *a, const HnswHit *b);

/* ---------- query.c: one KNN scan ---------- */

/* The rows of one graph file in order of distance. */
typedef struct BridgeStream
{
	BridgeSearcher *searcher; /* NULL: none, or read to its end */
	HnswHit hit;              /* the next one, if ready */
	bool ready;
} BridgeStream;

typedef struct BridgeQuery
{
	/* asked (request.c) */
	BridgeVector vector;
	int64_t k;    /* as asked, -1: stream */
	int64_t need; /* rows to give at most, -1: until exhausted */
	bool bounded, bound_inclusive;
	double bound; /* only distances below (or equal) */
	bool floored, floor_inclusive;
	double floor; /* only distances above (or equal) */
	int asked_ef; /* 0: the index's */
	int ef;       /* kept, 0: by margin; these are final once the state is read */
	double margin;
	int visits; /* nodes that a search for ten visits, about */
	int strategy;
	int64_t *only; /* the rowids of IN or =, sorted, owned */
	size_t only_count, only_capacity;
	bool has_only;
	bool has_range; /* only rowids from low to high; never with has_only */
	int64_t low, high;
	bool one_row;       /* rowid = */
	bool placeless;     /* rows without a distance are asked for, and no row has one */
	BridgeStats *stats; /* the caller's or own_stats */
	BridgeStats own_stats;

	/* sources, merged by distance */
	BridgeIndex *index; /* NULL: not started, or nothing to give */
	BridgeHits hits;    /* of the delta, or everything where the scan is exact */
	BridgeSnapshot *snapshot;
	BridgeStream streams[BRIDGE_MAX_SEGMENTS];
	BridgeDelta *delta;      /* held; NULL: none, or own_delta */
	BridgeDelta own_delta;   /* of this query, where it is too large for the cache */
	const BridgeDelta *mask; /* one of the two: its entries hide the snapshot's rows */
	bool exact;              /* hits are all there is */
	int64_t pending;         /* changes that the graph lacks, several of a row counted each */
	bool checks_rows;        /* a row of graph or delta may be gone without an entry in the delta */

	/* what was handed out, should the scan have to start over */
	int64_t *given;
	size_t given_count, given_capacity;

	HnswHit row; /* the present one */
	bool eof;
	unsigned polls;
} BridgeQuery;

/* Begin (again); a query that cannot have rows is at its end at once. */
int bridge_query_start(BridgeQuery *query, BridgeIndex *index, const BridgeArguments *asked,
					   BridgeError *err);
int bridge_query_next(BridgeQuery *query, BridgeError *err);
/* Let go of snapshot and cursor; the memory is kept for the next start. */
void bridge_query_finish(BridgeQuery *query);
void bridge_query_free(BridgeQuery *query);

/* ---------- request.c: the arguments of a KNN scan ---------- */

typedef enum BridgeStrategy
{
	BRIDGE_AUTO,
	BRIDGE_GRAPH,
	BRIDGE_PREFILTER,
	BRIDGE_EXACT,
	BRIDGE_UNPLACED, /* not the nearest, but the rows without a distance */
	BRIDGE_STRATEGIES
} BridgeStrategy;

/* "auto", "graph", ...: static text. */
const char *bridge_strategy_name(int strategy);

/*
 * Read everything asked.  *usable is false where no row can match: a query of
 * NULL or without direction, a comparison with NULL.
 */
int bridge_request_read(BridgeQuery *query, BridgeStore *store, const BridgeArguments *asked, bool *usable,
						BridgeError *err);

/* How far its search goes, by what the state says was found: query->ef, margin, visits. */
void bridge_request_settle_ef(BridgeQuery *query, const BridgeStore *store, const BridgeTuned *tuned);

/* ---------- measure.c: candidates measured one by one, into query->hits ---------- */

/* The whole truth, or the listed rows of it; leaves out what was given. */
int bridge_measure_truth(BridgeQuery *query, BridgeStore *store, BridgeError *err);

/*
 * The same rows from snapshot and delta, which needs no decoding.
 * SQLITE_CORRUPT_VTAB when the graph file turns out damaged.
 */
int bridge_measure_snapshot(BridgeQuery *query, BridgeError *err);

/* The changed rows; sets query->mask. */
int bridge_measure_delta(BridgeQuery *query, BridgeStore *store, const BridgeState *state, BridgeError *err);

/* Not beyond the upper bound; and not beyond the lower one. */
bool bridge_query_within(const BridgeQuery *query, double distance);
bool bridge_query_far_enough(const BridgeQuery *query, double distance);
bool bridge_query_wants(const BridgeQuery *query, int64_t rowid);

/* Whether the content table has the row now; one that it has not is remembered as a ghost. */
int bridge_query_row_exists(BridgeQuery *query, int64_t rowid, bool *exists, BridgeError *err);

/* ---------- unplaced.c: the rows without a distance, into query->hits ---------- */

/* By the list that merges keep and the changes since, where query->snapshot is there; else by a walk. */
int bridge_find_unplaced(BridgeQuery *query, BridgeStore *store, const BridgeState *state, BridgeError *err);

/* ---------- graph.c: the graph as a source of rows ---------- */

/* A stream for each segment of query->snapshot. */
int bridge_graph_begin(BridgeQuery *query, BridgeError *err);

/*
 * The next row of a stream into its hit: HNSW_OK, HNSW_DONE or a failure.  *costly:
 * the search was broken off (HNSW_INTERRUPTED) because measuring the listed rows one by one is cheaper.
 */
HnswStatus bridge_graph_next(BridgeQuery *query, int segment, bool *costly);

/*
 * End one stream, or all.  Searchers are kept for the next query; the caller's
 * statistics are not touched.
 */
void bridge_graph_end_one(BridgeQuery *query, int segment);
void bridge_graph_end(BridgeQuery *query);

#endif /* BRIDGE_QUERY_H */
