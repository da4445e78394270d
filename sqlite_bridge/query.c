/*
 * query.c
 *		One KNN scan: graph, delta and exact search as one ordered stream.
 *
 * Each scan reads counter and current segment inside its own statement, so
 * that it sees the index as of that statement's snapshot of the database.
 * With a usable graph the rows come from two sources merged by distance: the
 * graph's cursor, which a mask keeps from returning rows that changed since,
 * and the changed rows themselves, all of them measured.  Without one every
 * row of the truth is measured.
 *
 * Should the graph prove corrupt on the way, the scan starts over exactly and
 * leaves out what it has given already: nothing read from a bad block was
 * handed out, and nothing comes twice.
 *
 * Rows whose distance does not exist (no vector; length zero under cosine) are
 * never returned, and a query without direction returns nothing.
 */
#include "sqlite_bridge/bridge_int.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#pragma weak bridge_merge_request

enum
{
	STRATEGY_AUTO,
	STRATEGY_GRAPH,
	STRATEGY_PREFILTER,
	STRATEGY_EXACT
};

/*
 * Up to so many candidates of an IN list are measured one by one without
 * asking the graph: about the work of one search.
 */
#define FEW_CANDIDATES 1000

static const char *const strategy_names[] = {"auto", "graph", "prefilter", "exact"};

/* ---------- what is asked ---------- */

static int
take_vector(BridgeQuery *query, const BridgeStore *store, sqlite3_value *value, bool *usable,
			BridgeError *err)
{
	BridgeVector *scratch = (BridgeVector *) &store->scratch;
	const BridgeParams *p = &store->params;
	int rc = bridge_vector_read(value, scratch, err);

	*usable = false;
	if (rc != SQLITE_OK)
		return bridge_error_prefix(err, "%s: the query vector", store->table);
	if (scratch->data == NULL)
		return SQLITE_OK;
	if (scratch->dim != p->dim)
		return bridge_error(err, SQLITE_MISMATCH, "%s: the query vector has %d dimensions, the index has %d",
							store->table, scratch->dim, p->dim);
	rc = bridge_index_check_model((BridgeStore *) store, scratch->data, "the query vector", err);
	if (rc != SQLITE_OK)
		return rc;
	if (query->vector_capacity < p->dim)
	{
		float *vector = sqlite3_realloc64(query->vector, sizeof(float) * (uint64_t) p->dim);

		if (vector == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		query->vector = vector;
		query->vector_capacity = p->dim;
	}
	memcpy(query->vector, scratch->data, sizeof(float) * (size_t) p->dim);
	*usable = bridge_indexable(p, query->vector);
	return SQLITE_OK;
}

/* A whole number from min on, NULL giving absent. */
static int
take_integer(const BridgeStore *store, sqlite3_value *value, const char *name, int64_t min, int64_t max,
			 int64_t absent, int64_t *out, BridgeError *err)
{
	*out = absent;
	if (value == NULL || sqlite3_value_type(value) == SQLITE_NULL)
		return SQLITE_OK;
	if (sqlite3_value_numeric_type(value) == SQLITE_INTEGER)
		*out = sqlite3_value_int64(value);
	if (sqlite3_value_numeric_type(value) != SQLITE_INTEGER || *out < min || *out > max)
	{
		if (max == INT64_MAX)
			return bridge_error(err, SQLITE_MISMATCH, "%s: %s = %s: expected a whole number, at least %lld",
								store->table, name, sqlite3_value_text(value), (sqlite3_int64) min);
		return bridge_error(err, SQLITE_MISMATCH, "%s: %s = %s: expected a whole number from %lld to %lld",
							store->table, name, sqlite3_value_text(value), (sqlite3_int64) min,
							(sqlite3_int64) max);
	}
	return SQLITE_OK;
}

static int
take_strategy(BridgeQuery *query, const BridgeStore *store, sqlite3_value *value, BridgeError *err)
{
	const char *name;

	query->strategy = STRATEGY_AUTO;
	if (value == NULL || sqlite3_value_type(value) == SQLITE_NULL)
		return SQLITE_OK;
	name = (const char *) sqlite3_value_text(value);
	for (int i = 0; name != NULL && i < 4; i++)
		if (strcmp(name, strategy_names[i]) == 0)
		{
			query->strategy = i;
			return SQLITE_OK;
		}
	return bridge_error(err, SQLITE_MISMATCH, "%s: strategy = %s: expected auto, graph, prefilter or exact",
						store->table, name == NULL ? "" : name);
}

/* rowid compares as an integer: 2, 2.0 and '2' are one, 2.5 and 'x' none. */
static bool
as_rowid(sqlite3_value *value, int64_t *rowid)
{
	int type = sqlite3_value_numeric_type(value);

	if (type == SQLITE_INTEGER)
		*rowid = sqlite3_value_int64(value);
	else if (type == SQLITE_FLOAT)
	{
		double number = sqlite3_value_double(value);

		if (!(number >= -9223372036854775808.0 && number < 9223372036854775808.0) || floor(number) != number)
			return false;
		*rowid = (int64_t) number;
	}
	else
		return false;
	return true;
}

static int
add_only(BridgeQuery *query, int64_t rowid, BridgeError *err)
{
	if (query->only_count == query->only_capacity)
	{
		size_t capacity = query->only_capacity < 64 ? 64 : 2 * query->only_capacity;
		int64_t *only = sqlite3_realloc64(query->only, capacity * sizeof(*only));

		if (only == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		query->only = only;
		query->only_capacity = capacity;
	}
	query->only[query->only_count++] = rowid;
	return SQLITE_OK;
}

static int
compare_rowids(const void *a, const void *b)
{
	int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;

	return (x > y) - (x < y);
}

static int
take_rowids(BridgeQuery *query, sqlite3_value *one, sqlite3_value *list, BridgeError *err)
{
	sqlite3_value *value;
	int64_t rowid;
	size_t kept = 0;
	int rc;

	query->only_count = 0;
	query->has_only = one != NULL || list != NULL;
	if (one != NULL)
		return as_rowid(one, &rowid) ? add_only(query, rowid, err) : SQLITE_OK;
	if (list == NULL)
		return SQLITE_OK;
	for (rc = sqlite3_vtab_in_first(list, &value); rc == SQLITE_OK && value != NULL;
		 rc = sqlite3_vtab_in_next(list, &value))
		if (as_rowid(value, &rowid) && add_only(query, rowid, err) != SQLITE_OK)
			return err->code;
	if (rc != SQLITE_OK && rc != SQLITE_DONE)
		return bridge_error(err, rc, "hnsw: reading the list of rowids: %s", sqlite3_errstr(rc));
	if (query->only_count > 0)
		qsort(query->only, query->only_count, sizeof(*query->only), compare_rowids);
	for (size_t i = 0; i < query->only_count; i++)
		if (i == 0 || query->only[i] != query->only[kept - 1])
			query->only[kept++] = query->only[i];
	query->only_count = kept;
	return SQLITE_OK;
}

/* distance < x; comparing with NULL is never true, with text always. */
static void
take_bound(BridgeQuery *query, sqlite3_value *value, bool inclusive, bool *usable)
{
	int type;

	query->bounded = false;
	if (value == NULL)
		return;
	type = sqlite3_value_numeric_type(value);
	if (type == SQLITE_NULL)
		*usable = false;
	if (type != SQLITE_INTEGER && type != SQLITE_FLOAT)
		return;
	query->bounded = true;
	query->bound_inclusive = inclusive;
	query->bound = sqlite3_value_double(value);
}

/* k and LIMIT + OFFSET, whichever is less. */
static int
take_limits(BridgeQuery *query, const BridgeStore *store, int plan, sqlite3_value **argv, BridgeError *err)
{
	sqlite3_value *limit_value = bridge_plan_value(plan, PLAN_LIMIT, argv);
	sqlite3_value *offset_value = bridge_plan_value(plan, PLAN_OFFSET, argv);
	int64_t ef;
	int rc =
		take_integer(store, bridge_plan_value(plan, PLAN_K, argv), "k", 1, INT64_MAX, -1, &query->k, err);

	if (rc == SQLITE_OK)
		rc = take_integer(store, bridge_plan_value(plan, PLAN_EF, argv), "ef", 1, HNSW_MAX_EF,
						  store->params.ef_search, &ef, err);
	if (rc != SQLITE_OK)
		return rc;
	query->need = query->k;
	if (limit_value != NULL)
	{
		int64_t limit = sqlite3_value_int64(limit_value);
		int64_t offset = offset_value == NULL ? 0 : sqlite3_value_int64(offset_value);

		if (offset < 0)
			offset = 0;
		if (limit >= 0 && limit <= INT64_MAX - offset && (query->need < 0 || limit + offset < query->need))
			query->need = limit + offset;
	}
	if (query->need > ef)
		ef = query->need < HNSW_MAX_EF ? query->need : HNSW_MAX_EF;
	query->ef = (int) ef;
	return SQLITE_OK;
}

/* ---------- measuring ---------- */

static bool
within_bound(const BridgeQuery *query, double distance)
{
	return !query->bounded || distance < query->bound || (query->bound_inclusive && distance == query->bound);
}

static bool
is_among(const int64_t *sorted, size_t count, int64_t rowid)
{
	size_t low = 0;

	while (count > 0)
	{
		size_t half = count / 2;

		if (sorted[low + half] < rowid)
		{
			low += half + 1;
			count -= half + 1;
		}
		else
			count = half;
	}
	return sorted[low] == rowid;
}

static bool
is_wanted(const BridgeQuery *query, int64_t rowid)
{
	return !query->has_only || (query->only_count > 0 && query->only[query->only_count - 1] >= rowid &&
								is_among(query->only, query->only_count, rowid));
}

static int
poll_cancel(BridgeQuery *query, BridgeError *err)
{
	if ((++query->polls & 255) == 0 && bridge_cancelled(query->index->connection))
		return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
	return SQLITE_OK;
}

/* Measure one candidate into hits. */
static int
consider(BridgeQuery *query, int64_t rowid, const float *vector, BridgeError *err)
{
	double distance =
		hnsw_distance(query->index->metric, query->vector, vector, (uint32_t) query->index->dim);

	query->stats->distances_computed++;
	if (!within_bound(query, distance))
		return SQLITE_OK;
	return bridge_hits_add(&query->hits, rowid, distance, err);
}

static int
consider_truth(void *arg, int64_t rowid, const float *vector, BridgeError *err)
{
	BridgeQuery *query = arg;
	int rc = poll_cancel(query, err);

	if (rc != SQLITE_OK || vector == NULL)
		return rc;
	if (query->given_count > 0 && is_among(query->given, query->given_count, rowid))
		return SQLITE_OK;
	return consider(query, rowid, vector, err);
}

/* Rows that are still to come, for the size of hits. */
static size_t
rows_to_come(const BridgeQuery *query)
{
	uint64_t left;

	if (query->need < 0)
		return SIZE_MAX;
	left = (uint64_t) query->need - query->stats->rows_returned;
	/* A heap that keeps everything is cheaper than one of a size never reached. */
	return left > SIZE_MAX / 2 ? SIZE_MAX : (size_t) left;
}

/*
 * Measure the listed rows one by one: from the graph's vectors where it is
 * there, which costs no parsing, else from the truth.
 */
static int
measure_listed(BridgeQuery *query, BridgeStore *store, BridgeError *err)
{
	for (size_t i = 0; i < query->only_count; i++)
	{
		bool present;
		int rc = bridge_store_truth_get(store, query->only[i], &store->scratch, &present, err);

		if (rc == SQLITE_OK && present)
			rc = consider_truth(
				query, query->only[i],
				bridge_indexable(&store->params, store->scratch.data) ? store->scratch.data : NULL, err);
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

/* Everything that can be returned, measured; leaves out what was given. */
static int
measure_all(BridgeQuery *query, BridgeStore *store, BridgeError *err)
{
	uint64_t before = query->stats->distances_computed;
	int rc;

	query->exact = true;
	query->stats->strategy = strategy_names[STRATEGY_EXACT];
	if (query->given_count > 0)
		qsort(query->given, query->given_count, sizeof(*query->given), compare_rowids);
	bridge_hits_reset(&query->hits, rows_to_come(query));
	if (query->has_only)
		rc = measure_listed(query, store, err);
	else
	{
		rc = bridge_store_truth(store, INT64_MIN, -1, consider_truth, query, NULL, err);
		if (query->stats->distances_computed - before > BRIDGE_MERGE_SCAN)
			query->index->merge_due = true;
	}
	if (rc == SQLITE_OK)
		bridge_hits_order(&query->hits);
	return rc;
}

/* ---------- the graph and the delta ---------- */

static bool
admit(void *arg, int64_t label)
{
	const BridgeQuery *query = arg;

	return bridge_delta_find(query->mask, label) < 0 && is_wanted(query, label);
}

static bool
interrupted(void *arg)
{
	const BridgeQuery *query = arg;

	return bridge_cancelled(query->index->connection);
}

static int
measure_delta(BridgeQuery *query, BridgeStore *store, const BridgeState *state, BridgeError *err)
{
	const BridgeDelta *delta = &query->index->delta;
	int rc = SQLITE_OK;

	if (delta->too_large)
	{
		rc = bridge_delta_measure(query->index, store, state, query->vector, &query->own_delta, err);
		delta = &query->own_delta;
	}
	query->mask = delta;
	bridge_hits_reset(&query->hits, rows_to_come(query));
	for (size_t i = 0; rc == SQLITE_OK && i < delta->count; i++)
	{
		query->stats->delta_rows++;
		if (!delta->live[i])
			continue;
		if (!is_wanted(query, delta->labels[i]))
			query->stats->rows_filtered++;
		else if (delta->distances != NULL)
		{
			query->stats->distances_computed++;
			if (within_bound(query, delta->distances[i]))
				rc = bridge_hits_add(&query->hits, delta->labels[i], delta->distances[i], err);
		}
		else
			rc = consider(query, delta->labels[i], delta->vectors + i * (size_t) query->index->dim, err);
		if (rc == SQLITE_OK)
			rc = poll_cancel(query, err);
	}
	bridge_hits_order(&query->hits);
	return rc;
}

static int
begin_graph(BridgeQuery *query, BridgeError *err)
{
	bool masked = query->mask->count > 0 || query->has_only;
	HnswSearchOptions options = {.ef = (uint32_t) query->ef,
								 .admit = masked ? admit : NULL,
								 .admit_arg = query,
								 .interrupted = interrupted,
								 .interrupt_arg = query};
	HnswError error = {0};
	HnswStatus status =
		hnsw_search_begin(query->snapshot->graph, query->vector, &options, &query->graph, &error);

	if (status == HNSW_OK)
		return SQLITE_OK;
	query->graph = NULL;
	return bridge_error_hnsw(err, status, &error, "%s: searching the graph", query->index->table);
}

/* The graph's work so far joins the scan's; the delta's part stays. */
static void
add_graph_stats(BridgeQuery *query)
{
	HnswStats now;

	if (query->graph == NULL)
		return;
	hnsw_search_stats(query->graph, &now);
	query->stats->nodes_visited += now.nodes_visited - query->counted.nodes_visited;
	query->stats->distances_computed += now.distances_computed - query->counted.distances_computed;
	query->stats->rows_filtered += now.rejected - query->counted.rejected;
	query->counted = now;
}

/* Leaves the statistics alone: the caller's may be gone when a scan is closed. */
static void
end_graph(BridgeQuery *query)
{
	if (query->graph == NULL)
		return;
	hnsw_search_end(query->graph);
	query->graph = NULL;
	query->graph_hit_ready = false;
}

/* Corrupt: nothing of it was handed out since; carry on without it. */
static int
fall_back(BridgeQuery *query, BridgeError *err)
{
	BridgeStore *store = bridge_index_store(query->index);

	end_graph(query);
	bridge_index_reject(query->index, query->snapshot->token, "the graph file is damaged");
	bridge_snapshot_release(query->snapshot);
	query->snapshot = NULL;
	bridge_error_clear(err);
	return measure_all(query, store, err);
}

/* Make sure that graph_hit is the graph's next row, or that graph is NULL. */
static int
fetch_graph(BridgeQuery *query, BridgeError *err)
{
	HnswStatus status;

	if (query->graph == NULL || query->graph_hit_ready)
		return SQLITE_OK;
	status = hnsw_search_next(query->graph, &query->graph_hit);
	add_graph_stats(query);
	if (status == HNSW_OK)
		query->graph_hit_ready = true;
	else if (status == HNSW_DONE)
		end_graph(query);
	else if (status == HNSW_CORRUPT)
		return fall_back(query, err);
	else if (status == HNSW_INTERRUPTED)
		return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
	else
		return bridge_error_hnsw(err, status, NULL, "%s: searching the graph", query->index->table);
	return SQLITE_OK;
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

/* ---------- the scan ---------- */

/* Whether the graph shall be asked at all. */
static bool
prefers_exact(const BridgeQuery *query, int plan)
{
	if (query->strategy == STRATEGY_EXACT || (plan & PLAN_ROWID) != 0)
		return true;
	/* All rows within a distance, however many: only measuring finds them all. */
	if (query->bounded && query->need < 0 && query->stats->pull_limit <= 0)
		return true;
	return query->strategy == STRATEGY_AUTO && query->has_only && query->only_count <= FEW_CANDIDATES;
}

static int
start_sources(BridgeQuery *query, BridgeStore *store, int plan, BridgeError *err)
{
	BridgeIndex *index = query->index;
	BridgeState state;
	int64_t tag;
	bool found;
	int rc;

	if (prefers_exact(query, plan))
		return measure_all(query, store, err);
	rc = bridge_store_state(store, &state, index->delta.last_seq, &tag, &found, err);
	if (rc == SQLITE_OK)
		rc = bridge_index_snapshot(index, &state, &query->snapshot, err);
	if (rc != SQLITE_OK)
		return rc;
	if (query->snapshot == NULL)
		return measure_all(query, store, err);

	query->stats->strategy = strategy_names[query->has_only ? STRATEGY_PREFILTER : STRATEGY_GRAPH];
	rc = bridge_delta_refresh(index, store, &state, found && tag == index->delta.last_tag, err);
	if (rc == SQLITE_OK)
		rc = measure_delta(query, store, &state, err);
	if (rc == SQLITE_OK)
		rc = begin_graph(query, err);
	if (rc == SQLITE_CORRUPT_VTAB && hnsw_snapshot_is_corrupt(query->snapshot->graph))
		rc = fall_back(query, err);
	return rc;
}

int
bridge_query_start(BridgeQuery *query, BridgeIndex *index, int plan, sqlite3_value **argv, BridgeError *err)
{
	BridgeStore *store = bridge_index_store(index);
	sqlite3_value *stats = bridge_plan_value(plan, PLAN_STATS, argv);
	sqlite3_value *below = bridge_plan_value(plan, PLAN_BELOW, argv);
	sqlite3_value *upto = bridge_plan_value(plan, PLAN_UPTO, argv);
	int64_t pull_limit;
	bool usable;
	int rc;

	bridge_query_finish(query);
	query->index = index;
	query->eof = true;
	query->exact = false;
	query->given_count = 0;
	memset(&query->counted, 0, sizeof(query->counted));
	query->stats = stats == NULL ? NULL : sqlite3_value_pointer(stats, BRIDGE_STATS_POINTER);
	if (query->stats == NULL)
	{
		query->stats = &query->own_stats;
		query->own_stats.pull_limit = 0;
	}
	pull_limit = query->stats->pull_limit;
	memset(query->stats, 0, sizeof(*query->stats));
	query->stats->pull_limit = pull_limit;
	query->stats->strategy = strategy_names[STRATEGY_EXACT];

	rc = take_vector(query, store, bridge_plan_value(plan, PLAN_QUERY, argv), &usable, err);
	if (rc == SQLITE_OK)
		rc = take_limits(query, store, plan, argv, err);
	if (rc == SQLITE_OK)
		rc = take_strategy(query, store, bridge_plan_value(plan, PLAN_STRATEGY, argv), err);
	if (rc == SQLITE_OK)
		rc = take_rowids(query, bridge_plan_value(plan, PLAN_ROWID, argv),
						 bridge_plan_value(plan, PLAN_ROWID_IN, argv), err);
	if (rc != SQLITE_OK)
		return rc;
	take_bound(query, below != NULL ? below : upto, below == NULL, &usable);
	query->stats->k = query->k;
	query->stats->ef = query->ef;
	if (!usable || query->need == 0 || (query->has_only && query->only_count == 0))
		return SQLITE_OK;
	rc = start_sources(query, store, plan, err);
	if (rc != SQLITE_OK)
		return rc;
	query->eof = false;
	return bridge_query_next(query, err);
}

/* The nearest row of the sources, NULL when there is none; not taken yet. */
static int
nearest(BridgeQuery *query, const HnswHit **hit, BridgeError *err)
{
	const HnswHit *measured;
	int rc = fetch_graph(query, err);

	*hit = NULL;
	if (rc != SQLITE_OK)
		return rc;
	measured = bridge_hits_peek(&query->hits);
	if (query->graph != NULL && (measured == NULL || bridge_hit_before(&query->graph_hit, measured)))
		*hit = &query->graph_hit;
	else
		*hit = measured;
	return SQLITE_OK;
}

/* A search whose delta costs more than its graph would be helped by a merge. */
static void
end_of_rows(BridgeQuery *query)
{
	BridgeStats *stats = query->stats;

	query->eof = true;
	if (!query->exact && stats->delta_rows > BRIDGE_MERGE_DELTA &&
		2 * stats->delta_rows > stats->distances_computed)
		query->index->merge_due = true;
}

int
bridge_query_next(BridgeQuery *query, BridgeError *err)
{
	BridgeStats *stats = query->stats;
	const HnswHit *hit;
	int rc;

	if (query->eof)
		return SQLITE_OK;
	if (query->need >= 0 && stats->rows_returned >= (uint64_t) query->need)
	{
		end_of_rows(query);
		return SQLITE_OK;
	}
	rc = nearest(query, &hit, err);
	if (rc != SQLITE_OK)
		return rc;
	if (hit == NULL || !within_bound(query, hit->distance))
	{
		end_of_rows(query);
		return SQLITE_OK;
	}
	if (stats->pull_limit > 0 && stats->rows_returned >= (uint64_t) stats->pull_limit)
	{
		stats->pull_limit_hit = true;
		end_of_rows(query);
		return SQLITE_OK;
	}
	query->row = *hit;
	stats->rows_returned++;
	if (hit == &query->graph_hit)
		query->graph_hit_ready = false;
	else
		bridge_hits_take(&query->hits);
	return query->exact ? SQLITE_OK : remember(query, query->row.label, err);
}

void
bridge_query_finish(BridgeQuery *query)
{
	end_graph(query);
	bridge_snapshot_release(query->snapshot);
	query->snapshot = NULL;
	bridge_delta_clear(&query->own_delta);
	query->mask = NULL;
	bridge_hits_reset(&query->hits, 0);
	if (query->index != NULL && query->index->merge_due)
		if (bridge_merge_request != NULL)
			bridge_merge_request(query->index);
	query->index = NULL;
	query->eof = true;
}

void
bridge_query_free(BridgeQuery *query)
{
	bridge_query_finish(query);
	bridge_hits_free(&query->hits);
	sqlite3_free(query->vector);
	sqlite3_free(query->only);
	sqlite3_free(query->given);
	memset(query, 0, sizeof(*query));
}
