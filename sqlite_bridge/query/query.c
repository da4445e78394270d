/*
 * query.c
 *		One KNN scan: graph, delta and exact search as one ordered stream.
 *
 * Each scan takes counter and current segments from its own statement's snapshot
 * of the database, so that it sees the index as of that.
 * With a usable graph the rows come from sources merged by distance: a cursor
 * over each of its segments, which a mask keeps from returning rows that changed
 * since, and the changed rows themselves, all of them measured.  Without one every
 * row of the truth is measured.
 *
 * Should the graph prove corrupt on the way, the scan starts over exactly and
 * leaves out what it has given already: nothing read from a bad block was
 * handed out, and nothing comes twice.
 *
 * Rows whose distance does not exist (no vector; length zero under cosine) are
 * never returned, and a query without direction returns nothing; but for the
 * strategy that asks for just these rows (unplaced.c).
 */
#include "sqlite_bridge/query/query.h"

#include <math.h>
#include <string.h>

/*
 * An IN list of so few rows is measured without asking the graph.  A search
 * among a share p of the rows has to pass 1/p times as many nodes, about
 * DISTANCES_A_NODE new ones each, where it keeps ef candidates.  Where it stops when
 * it is sure, it passes k/p nodes; both cost about the same at sqrt(k n) rows
 * of n.
 */
#define FEW_CANDIDATES 1000
#define DISTANCES_A_NODE 8
#define LEAST_WANTED 10

/* ---------- sources ---------- */

/* Whether the tables shall be read and nothing else. */
static bool
wants_truth(const BridgeQuery *query)
{
	return query->strategy == BRIDGE_EXACT || (query->one_row && query->strategy != BRIDGE_UNPLACED);
}

/* Whether every candidate shall be measured, though there is a graph. */
static bool
wants_all_measured(const BridgeQuery *query)
{
	double nodes = (double) bridge_snapshot_rows(query->snapshot);
	double listed = (double) query->only_count;

	if (query->strategy != BRIDGE_AUTO)
		return false;
	/* All rows within a distance, however many: only measuring finds them all. */
	if (query->bounded && query->need < 0 && query->stats->pull_limit <= 0)
		return true;
	if (!query->has_only || listed <= FEW_CANDIDATES)
		return query->has_only;
	if (query->margin > 0)
		return listed <= sqrt(fmax((double) query->need, LEAST_WANTED) * nodes);
	return listed <= sqrt(DISTANCES_A_NODE * (double) query->visits * nodes);
}

/* The graph proved corrupt: what it gave before was sound; go on without it. */
static int
fall_back(BridgeQuery *query, const BridgeGraph *damaged, BridgeError *err)
{
	bridge_graph_end(query);
	bridge_index_reject(query->index, damaged->token, "the graph file is damaged");
	bridge_snapshot_release(query->snapshot);
	query->snapshot = NULL;
	bridge_error_clear(err);
	return bridge_measure_truth(query, bridge_index_store(query->index), err);
}

/* The same after rc, if a graph file is to blame for it. */
static int
without_damaged(BridgeQuery *query, int rc, BridgeError *err)
{
	const BridgeGraph *damaged = bridge_snapshot_damaged(query->snapshot);

	return damaged != NULL ? fall_back(query, damaged, err) : rc;
}

/*
 * State and tag as of this statement, into store->seen.  While SQLite says that
 * the database is still the one that the last query saw, nothing is read.  It
 * says so through a number that a change makes another one as soon as a
 * transaction that can see the change begins; only the connection's own changes
 * do not count before they are committed, and so a transaction that has
 * written always reads.
 */
static int
see_state(BridgeStore *store, int64_t tag_seq, BridgeError *err)
{
	BridgeSeen *seen = &store->seen;
	unsigned version = 0;
	bool numbered =
		sqlite3_txn_state(store->db, store->schema) == SQLITE_TXN_READ &&
		sqlite3_file_control(store->db, store->schema, SQLITE_FCNTL_DATA_VERSION, &version) == SQLITE_OK;
	int rc;

	if (seen->known && numbered && seen->version == version && seen->tag_seq == tag_seq)
		return SQLITE_OK;
	rc = bridge_content_state(store, &seen->state, tag_seq, &seen->tag, &seen->found, err);
	seen->known = numbered && rc == SQLITE_OK;
	seen->version = version;
	seen->tag_seq = tag_seq;
	return rc;
}

/* Whether only a merge can make the graph fit to be used, or the index of format 1 follow plain writers. */
static bool
wants_merge(const BridgeStore *store, const BridgeState *state)
{
	if (store->params.content == NULL)
		return false;
	return !store->journal || state->verdict != BRIDGE_FOLLOWED;
}

/* Cached delta and snapshot as of this statement; query->snapshot stays NULL where there is none to use. */
static int
read_state(BridgeQuery *query, BridgeStore *store, BridgeState *state, BridgeError *err)
{
	BridgeIndex *index = query->index;
	const BridgeDelta *cached = index->delta;
	int rc = see_state(store, cached == NULL ? 0 : cached->last_seq, err);
	bool same_tag = cached != NULL && store->seen.found && store->seen.tag == cached->last_tag;

	*state = store->seen.state;
	if (rc == SQLITE_OK)
		rc = bridge_index_snapshot(index, state, &query->snapshot, err);
	query->stats->bad_rows = state->bad_rows;
	if (rc == SQLITE_OK && wants_merge(store, state))
		index->merge_due = true;
	if (rc == SQLITE_OK && state->verdict != BRIDGE_FOLLOWED)
		query->stats->behind = bridge_verdict_name(state->verdict);
	else if (rc == SQLITE_OK && query->snapshot == NULL && state->segment_count > 0)
		query->stats->behind = index->rejected && bridge_state_names(state, index->rejected_token)
								   ? BRIDGE_GRAPH_DAMAGED
								   : BRIDGE_GRAPH_MISSING;
	if (rc != SQLITE_OK || query->snapshot == NULL)
		return rc;
	query->pending = state->counter - state->position;
	query->checks_rows = store->journal && store->follow.replaces;
	return bridge_delta_get(index, store, state, same_tag, &query->delta, err);
}

static int
start_sources(BridgeQuery *query, BridgeStore *store, BridgeError *err)
{
	BridgeState state;
	int rc;

	if (wants_truth(query))
		return bridge_measure_truth(query, store, err);
	rc = read_state(query, store, &state, err);
	if (rc != SQLITE_OK)
		return rc;
	if (query->strategy == BRIDGE_UNPLACED)
		return bridge_find_unplaced(query, store, &state, err);
	if (query->snapshot == NULL)
		return bridge_measure_truth(query, store, err);
	bridge_request_settle_ef(query, store, &state.tuned);
	query->stats->ef = query->ef;
	query->stats->margin = query->margin;

	query->stats->strategy = bridge_strategy_name(query->has_only ? BRIDGE_PREFILTER : BRIDGE_GRAPH);
	rc = bridge_measure_delta(query, store, &state, err);
	if (rc == SQLITE_OK && wants_all_measured(query))
		rc = bridge_measure_snapshot(query, err);
	else if (rc == SQLITE_OK)
		rc = bridge_graph_begin(query, err);
	return rc == SQLITE_CORRUPT_VTAB ? without_damaged(query, rc, err) : rc;
}

int
bridge_query_start(BridgeQuery *query, BridgeIndex *index, const BridgeArguments *asked, BridgeError *err)
{
	BridgeStore *store = bridge_index_store(index);
	bool usable;
	int rc;

	bridge_query_finish(query);
	query->index = index;
	bridge_index_read(index);
	query->exact = false;
	query->given_count = 0;
	rc = bridge_request_read(query, store, asked, &usable, err);
	if (rc == SQLITE_OK && usable)
		rc = bridge_content_look(store, err);
	if (rc != SQLITE_OK || !usable)
		return rc;
	query->checks_rows = false;
	rc = start_sources(query, store, err);
	if (rc != SQLITE_OK)
		return rc;
	query->eof = false;
	return bridge_query_next(query, err);
}

/* ---------- rows ---------- */

/* Make sure that the stream's hit is its next row, or that it has no searcher. */
static int
fetch(BridgeQuery *query, int segment, BridgeError *err)
{
	BridgeStream *stream = &query->streams[segment];
	HnswStatus status;
	bool costly;
	int rc;

	if (stream->searcher == NULL || stream->ready)
		return SQLITE_OK;
	status = bridge_graph_next(query, segment, &costly);
	switch (status)
	{
		case HNSW_OK:
			stream->ready = true;
			return SQLITE_OK;
		case HNSW_DONE:
			bridge_graph_end_one(query, segment);
			return SQLITE_OK;
		case HNSW_CORRUPT:
			return fall_back(query, query->snapshot->graphs[segment], err);
		case HNSW_INTERRUPTED:
			if (!costly)
				return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
			bridge_graph_end(query);
			rc = bridge_measure_snapshot(query, err);
			return rc == SQLITE_CORRUPT_VTAB ? without_damaged(query, rc, err) : rc;
		default:
			return bridge_error_hnsw(err, status, NULL, "%s: searching the graph", query->index->table);
	}
}

/* Remember a row from the graph's stream, lest it come again after a fall back. */
static int
remember(BridgeQuery *query, int64_t rowid, BridgeError *err)
{
	if (query->given_count == query->given_capacity)
	{
		size_t capacity = query->given_capacity < 64 ? 64 : 2 * query->given_capacity;
		int64_t *given = sqlite3_realloc64(query->given, capacity * sizeof(*given));

		if (given == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		query->given = given;
		query->given_capacity = capacity;
	}
	query->given[query->given_count++] = rowid;
	return SQLITE_OK;
}

/* The nearest row of the sources, NULL when there is none; not taken yet.  *stream: NULL if measured. */
static int
nearest(BridgeQuery *query, const HnswHit **hit, BridgeStream **stream, BridgeError *err)
{
	*stream = NULL;
	*hit = NULL;
	/* All of them first: one may put an end to the others. */
	for (int i = 0; i < BRIDGE_MAX_SEGMENTS; i++)
	{
		int rc = fetch(query, i, err);

		if (rc != SQLITE_OK)
			return rc;
	}
	*hit = bridge_hits_peek(&query->hits);
	for (int i = 0; i < BRIDGE_MAX_SEGMENTS; i++)
	{
		BridgeStream *candidate = &query->streams[i];

		if (candidate->searcher != NULL && (*hit == NULL || bridge_hit_before(&candidate->hit, *hit)))
		{
			*stream = candidate;
			*hit = &candidate->hit;
		}
	}
	return SQLITE_OK;
}

/*
 * Pass over hits of the graph that are too near, and those whose row REPLACE has removed, which
 * no trigger sees.  Measured ones have been looked at (measure.c).
 */
static int
nearest_wanted(BridgeQuery *query, const HnswHit **hit, BridgeStream **stream, BridgeError *err)
{
	bool wanted;
	int rc;

	do
	{
		rc = nearest(query, hit, stream, err);
		if (rc != SQLITE_OK || *stream == NULL)
			return rc;
		wanted = bridge_query_far_enough(query, (*hit)->distance);
		if (wanted && query->checks_rows)
			rc = bridge_query_row_exists(query, (*hit)->label, &wanted, err);
		if (rc == SQLITE_OK && !wanted)
			(*stream)->ready = false;
	} while (rc == SQLITE_OK && !wanted);
	return rc;
}

int
bridge_query_next(BridgeQuery *query, BridgeError *err)
{
	BridgeStats *stats = query->stats;
	BridgeStream *stream;
	const HnswHit *hit;
	int rc;

	if (query->eof)
		return SQLITE_OK;
	if (query->need >= 0 && stats->rows_returned >= (uint64_t) query->need)
	{
		query->eof = true;
		return SQLITE_OK;
	}
	rc = nearest_wanted(query, &hit, &stream, err);
	if (rc != SQLITE_OK)
		return rc;
	if (hit == NULL || !bridge_query_within(query, hit->distance))
	{
		query->eof = true;
		return SQLITE_OK;
	}
	if (stats->pull_limit > 0 && stats->rows_returned >= (uint64_t) stats->pull_limit)
	{
		stats->pull_limit_hit = true;
		query->eof = true;
		return SQLITE_OK;
	}
	query->row = *hit;
	stats->rows_returned++;
	if (stream != NULL)
		stream->ready = false;
	else
		bridge_hits_take(&query->hits);
	return query->exact ? SQLITE_OK : remember(query, query->row.label, err);
}

/*
 * Whether the next search would be helped by a merge.  Asked when a query is
 * over, however it ends: with LIMIT, SQLite leaves it before the last row.
 */
static void
look_for_due_merge(BridgeQuery *query)
{
	if (query->index != NULL && query->snapshot != NULL && !query->exact &&
		bridge_merge_is_due((int64_t) bridge_snapshot_recent(query->snapshot), query->pending))
		query->index->merge_due = true;
}

void
bridge_query_finish(BridgeQuery *query)
{
	look_for_due_merge(query);
	bridge_graph_end(query);
	bridge_snapshot_release(query->snapshot);
	query->snapshot = NULL;
	bridge_delta_release(query->delta);
	query->delta = NULL;
	bridge_delta_clear(&query->own_delta);
	query->mask = NULL;
	bridge_hits_reset(&query->hits, 0);
	if (query->index != NULL && query->index->merge_due)
		bridge_merge_request(query->index);
	if (query->index != NULL)
		bridge_index_read_end(query->index);
	query->index = NULL;
	query->eof = true;
}

void
bridge_query_free(BridgeQuery *query)
{
	bridge_query_finish(query);
	bridge_hits_free(&query->hits);
	bridge_vector_free(&query->vector);
	sqlite3_free(query->only);
	sqlite3_free(query->given);
	memset(query, 0, sizeof(*query));
}
