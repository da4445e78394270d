/*
 * rounds.c
 *		Searches that keep ef candidates: a round expands the best ef, the next
 *		goes on from what the round found and did not keep.
 */
#include "search.h"

/* Past this share of the nodes, reading the rest in order is cheaper. */
#define SCAN_SHARE 20

/* Labels that are asked for before the filter wants them. */
#define LABELS_AHEAD 4

/* The pool of the next round: the entry point, or the best of the rest. */
static HnswStatus
begin_round(HnswCursor *c)
{
	hnsw_pool_clear(&c->pool);
	c->refined = 0;
	if (!c->started)
	{
		c->started = true;
		return hnsw_search_descend(c);
	}
	hnsw_heap_build(&c->rest);
	while (c->rest.count > 0 && !hnsw_pool_full(&c->pool))
	{
		HnswHeapEntry e = hnsw_heap_pop(&c->rest);
		float key = (float) e.key;

		hnsw_pool_put(&c->pool, &key, &e.node, 1, NULL);
	}
	return HNSW_OK;
}

/* Of the pool only what the filter admits stays. */
static HnswStatus
admit_pool(HnswCursor *c)
{
	HnswPool *pool = &c->pool;
	uint32_t count = 0;

	if (c->options.admit == NULL)
		return HNSW_OK;
	for (uint32_t i = 0; i < pool->count; i++)
	{
		HnswStatus status;

		if (i + LABELS_AHEAD < pool->count)
			hnsw_prefetch_labels(c->snapshot, pool->entries[i + LABELS_AHEAD].node);
		status = hnsw_search_admit(c, pool->entries[i].node);

		if (status == HNSW_OK)
			pool->entries[count++] = pool->entries[i];
		else if (status != HNSW_DONE)
			return status;
	}
	pool->count = count;
	return HNSW_OK;
}

/* Add the finds of one more round to the pool, which has been refined. */
static HnswStatus
run_round(HnswCursor *c)
{
	HnswStatus status = begin_round(c);

	if (status == HNSW_OK)
		status = hnsw_search_walk(c);
	return status == HNSW_OK ? admit_pool(c) : status;
}

static HnswStatus
admit_and_pend(HnswCursor *c, uint32_t node)
{
	HnswStatus status = hnsw_search_admit(c, node);
	float code;
	float slack;

	if (status == HNSW_DONE)
		return HNSW_OK;
	return status == HNSW_OK ? hnsw_search_pend(c, node, &code, &slack) : status;
}

/* Everything that no round has settled: the rest, and what was never found. */
static HnswStatus
scan(HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	HnswStatus status = HNSW_OK;

	c->scanned = true;
	c->stats.exhausted = true;
	for (size_t i = 0; i < c->rest.count && status == HNSW_OK; i++)
		status = admit_and_pend(c, c->rest.entries[i].node);
	c->rest.count = 0;
	for (uint32_t node = 0; node < s->count && status == HNSW_OK; node++)
	{
		if (!hnsw_visited_insert(&c->visited, node))
			continue;
		status = admit_and_pend(c, node);
		if (status == HNSW_OK)
			status = hnsw_search_poll(c, 1);
	}
	return status;
}

HnswStatus
hnsw_rounds_more(HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	HnswStatus status = HNSW_OK;

	if (s->count == 0 || c->scanned)
		return HNSW_DONE;
	while (status == HNSW_OK && !c->scanned && c->pending.count + c->pool.count - c->refined < c->options.ef)
	{
		bool exhausted = c->started && c->rest.count == 0;
		bool costly = c->started && c->stats.distances_computed > s->count / SCAN_SHARE;

		status = hnsw_search_refine(c, true);
		if (status == HNSW_OK)
			status = exhausted || costly || s->count <= c->options.ef ? scan(c) : run_round(c);
	}
	if (status == HNSW_OK)
		status = hnsw_search_refine(c, c->given >= c->k);
	if (status == HNSW_OK && c->pending.count == 0)
		status = HNSW_DONE;
	return status;
}
