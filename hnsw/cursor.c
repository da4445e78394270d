/*
 * cursor.c
 *		The search as its caller sees it: results one by one, in order.
 *
 * The walk (search.c) works on keys, which bracket the true distances.  Here
 * the vectors themselves are read, exactly as far as order demands: a result
 * is given once nothing pending can be nearer than it.
 */
#include "search.h"

#include <inttypes.h>

/*
 * Sketches are inexact: of the nodes that are just beyond the ef-th by their
 * sketches, some belong before it.  So many more than ef are compared by their
 * codes, too; they are not expanded.  Four make up for nearly all that four
 * bits lose where ef is as small as the number of results.
 */
#define SPARE 4
#define SPARE_SHARE 8

/*
 * Lines asked for before they are needed: about as many as a core can wait for
 * at once; more would push out what was asked for first.
 */
#define LINES_AHEAD 16

/* Entries of the pool of stages: to begin with, and kept for the next query. */
#define POOL_BEGINS 512
#define POOL_STAYS 65536

static bool
batch_init(HnswBatch *batch, size_t links)
{
	batch->links = malloc((links + 1) * sizeof *batch->links);
	batch->records = malloc((links + 1) * sizeof *batch->records);
	batch->keys = malloc((links + 1) * sizeof *batch->keys);
	return batch->links != NULL && batch->records != NULL && batch->keys != NULL;
}

static void
batch_free(HnswBatch *batch)
{
	free(batch->links);
	free(batch->records);
	free(batch->keys);
}

/* How many of the records that the walk compares by have LINES_AHEAD lines. */
static uint32_t
records_ahead(const HnswSnapshot *s)
{
	uint32_t bytes =
		s->header.code == HNSW_CODE_F32 ? s->header.dim * (uint32_t) sizeof(float) : s->sketch_stride;
	uint32_t ahead = LINES_AHEAD * HNSW_LINE / bytes;

	return ahead > 0 ? ahead : 1;
}

static void
set_pool(HnswCursor *c)
{
	uint32_t ef = c->options.ef;

	if (c->adaptive)
	{
		c->pool.expandable = UINT32_MAX;
		c->pool.capacity = POOL_BEGINS;
		c->pool.least = HNSW_LEAST_KEPT;
		return;
	}
	c->pool.expandable = ef;
	c->pool.capacity = ef + (c->snapshot->header.code == HNSW_CODE_F32 ? 0 : ef / SPARE_SHARE + SPARE);
}

HnswStatus
hnsw_search_begin(const HnswSnapshot *snapshot, const float *query, uint32_t k,
				  const HnswSearchOptions *options, HnswCursor **out, HnswError *err)
{
	const HnswHeader *header = &snapshot->header;
	HnswMetric metric = (HnswMetric) header->metric;
	HnswBasis basis;
	HnswCursor *c;
	HnswStatus status;

	*out = NULL;
	if (options->margin == 0 && (options->ef < 1 || options->ef > HNSW_MAX_EF))
		return hnsw_fail(err, HNSW_INVALID, "ef is %" PRIu32 ", it must be 1 to %d", options->ef,
						 HNSW_MAX_EF);
	if (!(options->margin >= 0 && options->margin <= HNSW_MAX_MARGIN))
		return hnsw_fail(err, HNSW_INVALID, "the margin is %g, it must be 0 to %g", (double) options->margin,
						 HNSW_MAX_MARGIN);
	if (!hnsw_snapshot_basis(snapshot, &basis))
		return hnsw_fail(err, HNSW_CORRUPT, "the graph file is damaged");
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return hnsw_fail(err, HNSW_NOMEM, "out of memory for a search");
	c->snapshot = snapshot;
	c->options = *options;
	c->adaptive = options->margin > 0;
	set_pool(c);
	c->pool.entries = malloc(((size_t) c->pool.capacity + snapshot->links0_words) * sizeof *c->pool.entries);
	c->ahead = records_ahead(snapshot);
	c->query = malloc(header->dim * sizeof *c->query);
	if (c->pool.entries == NULL || c->query == NULL || !batch_init(&c->batch[0], snapshot->links0_words) ||
		!batch_init(&c->batch[1], snapshot->links0_words) ||
		!hnsw_probe_init(&c->probe, (HnswCode) header->code, metric, &basis) ||
		!hnsw_visited_reserve(&c->visited, snapshot->count))
		status =
			hnsw_fail(err, HNSW_NOMEM, "out of memory for a search among %" PRIu32 " nodes", snapshot->count);
	else if (c->adaptive && !hnsw_stages_measure(c))
		status = hnsw_fail(err, HNSW_CORRUPT, "the graph file is damaged");
	else
		status = hnsw_search_again(c, query, k, err);
	if (status != HNSW_OK)
	{
		hnsw_search_end(c);
		return status;
	}
	*out = c;
	return HNSW_OK;
}

/* A pool that grew very large is not kept. */
static void
shrink_pool(HnswCursor *c)
{
	HnswPool *pool = &c->pool;
	HnswPoolEntry *entries;

	if (!c->adaptive || pool->capacity <= POOL_STAYS)
		return;
	entries = realloc(pool->entries, (POOL_STAYS + c->snapshot->links0_words) * sizeof *entries);
	if (entries == NULL)
		return;
	pool->entries = entries;
	pool->capacity = POOL_STAYS;
}

HnswStatus
hnsw_search_again(HnswCursor *c, const float *query, uint32_t k, HnswError *err)
{
	const HnswHeader *header = &c->snapshot->header;
	HnswMetric metric = (HnswMetric) header->metric;

	if (!hnsw_vector_usable(metric, query, header->dim))
		return hnsw_fail(err, HNSW_INVALID,
						 "the query vector is not finite, or has length zero under cosine");
	memcpy(c->query, query, header->dim * sizeof *query);
	hnsw_probe_set(&c->probe, c->query);
	hnsw_reference_set(&c->reference, metric, c->query, header->dim);
	memset(&c->stats, 0, sizeof c->stats);
	c->status = HNSW_OK;
	c->started = false;
	c->scanned = false;
	c->since_poll = 0;
	c->k = k;
	c->given = 0;
	c->opened = 0;
	c->asked = 0;
	c->ties.count = 0;
	hnsw_visited_clear(&c->visited);
	shrink_pool(c);
	hnsw_pool_clear(&c->pool);
	hnsw_stages_begin(c);
	c->refined = 0;
	c->rest.count = 0;
	c->pending.count = 0;
	c->ready.count = 0;
	return HNSW_OK;
}

/* The vectors that settle() will probably want next; the hardware follows the rest of each. */
static inline void
prefetch_pending(const HnswCursor *c)
{
	for (size_t i = 0; i < 3 && i < c->pending.count; i++)
		hnsw_prefetch(hnsw_vector(c->snapshot, c->pending.entries[i].node),
					  c->snapshot->header.dim * sizeof(float), 512);
}

/* Compute the exact distance of the pending node that may be nearest. */
static HnswStatus
settle(HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	HnswHeapEntry e = hnsw_heap_pop(&c->pending);
	const float *vector = hnsw_vector(s, e.node);
	double distance;

	prefetch_pending(c);
	if (!hnsw_touch(s, vector, s->header.dim * sizeof *vector))
		return HNSW_CORRUPT;
	distance = hnsw_reference_distance(&c->reference, vector);
	c->stats.distances_computed++;

	/* cannot be, of a vector that the builder has admitted: the file is damaged */
	if (!isfinite(distance))
	{
		atomic_store_explicit(&((HnswSnapshot *) s)->corrupt, true, memory_order_relaxed);
		return HNSW_CORRUPT;
	}
	if (!hnsw_heap_reserve(&c->ready, 1))
		return HNSW_NOMEM;
	hnsw_heap_push(&c->ready, distance, e.node);
	return HNSW_OK;
}

static bool
may_be_nearer(const HnswCursor *c)
{
	if (c->pending.count == 0)
		return false;
	return c->ready.count == 0 ||
		   c->pending.entries[0].key <= hnsw_key_of_distance(c->reference.metric, c->ready.entries[0].key);
}

/* Whether what is pending or ready holds the next result. */
static bool
has_next(const HnswCursor *c)
{
	if (c->adaptive && c->given >= c->goal)
		return false;
	return c->pending.count > 0 || c->ready.count > 0;
}

/* Find out what is nearest of all that was not given, and open it. */
static HnswStatus
open_nearest(HnswCursor *c)
{
	HnswStatus status = HNSW_OK;

	if (c->k > 0 && c->given >= c->k)
		status = hnsw_search_refine(c, true);
	if (status == HNSW_OK && !has_next(c))
		status = c->adaptive ? hnsw_stages_more(c) : hnsw_rounds_more(c);
	while (status == HNSW_OK && may_be_nearer(c))
		status = settle(c);
	return status == HNSW_OK ? hnsw_ties_open(c) : status;
}

static HnswStatus
next(HnswCursor *c, HnswHit *hit)
{
	HnswStatus status = hnsw_ties_next(c, hit);

	while (status == HNSW_DONE)
	{
		status = open_nearest(c);
		if (status != HNSW_OK)
			return status;
		status = hnsw_ties_next(c, hit);
	}
	/* a fault under the map may have been met anywhere above */
	return status == HNSW_OK && hnsw_snapshot_is_corrupt(c->snapshot) ? HNSW_CORRUPT : status;
}

HnswStatus
hnsw_search_next(HnswCursor *c, HnswHit *hit)
{
	if (c->status == HNSW_OK)
		c->status = hnsw_snapshot_is_corrupt(c->snapshot) ? HNSW_CORRUPT : next(c, hit);
	return c->status;
}

void
hnsw_search_stats(const HnswCursor *c, HnswStats *stats)
{
	*stats = c->stats;
}

void
hnsw_search_end(HnswCursor *c)
{
	if (c == NULL)
		return;
	hnsw_probe_free(&c->probe);
	hnsw_visited_free(&c->visited);
	free(c->pool.entries);
	free(c->rest.entries);
	free(c->nearest.entries);
	free(c->pending.entries);
	free(c->ready.entries);
	free(c->ties.entries);
	free(c->admitted.entries);
	batch_free(&c->batch[0]);
	batch_free(&c->batch[1]);
	free(c->query);
	free(c);
}
