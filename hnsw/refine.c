/*
 * refine.c
 *		From what a walk found, by its sketch, to what may be a result, by its
 *		code: the filter is asked, and the true key bracketed.
 *
 * Codes are read only of candidates that may be among the k results, where the
 * caller told k.
 */
#include "search.h"

/* Codes of what the walk found that are asked for before they are needed. */
#define REFINE_AHEAD 4

/*
 * A candidate need not be looked at when it would be among the k nearest only if
 * its sketch were wrong by so many standard deviations, as measured in the same
 * search on so many others.
 */
#define SURE_DEVIATIONS 5
#define DIFFERENCES_MIN 16

static inline void
prefetch_code(const HnswCursor *c, uint32_t node)
{
	if (c->probe.code != HNSW_CODE_F32)
		hnsw_prefetch(hnsw_code(c->snapshot, node), c->probe.stride, 1024);
}

HnswStatus
hnsw_search_admit(HnswCursor *c, uint32_t node)
{
	HnswStatus status;
	uint32_t first;
	uint32_t place;
	uint32_t end;
	int64_t label;

	if (c->options.admit == NULL)
		return HNSW_OK;
	if (!hnsw_places(c->snapshot, node, &place, &end) ||
		!hnsw_count_places(c->snapshot, end - place, &c->asked))
		return HNSW_CORRUPT;
	first = place;
	status = hnsw_search_label(c, &place, end, &label);
	if (status == HNSW_DONE)
		c->stats.rejected += end - first;
	return status;
}

HnswStatus
hnsw_search_pend(HnswCursor *c, uint32_t node, float *code, float *slack)
{
	if (!hnsw_heap_reserve(&c->pending, 1))
		return HNSW_NOMEM;
	if (c->probe.code == HNSW_CODE_F32)
	{
		/* nothing is known of floats' errors: the vector has to be read again in any case */
		hnsw_heap_push(&c->pending, -INFINITY, node);
		return HNSW_OK;
	}
	if (!hnsw_search_code_key(c, node, code))
		return HNSW_CORRUPT;
	*slack = hnsw_probe_slack(&c->probe, hnsw_code(c->snapshot, node), *code);
	hnsw_heap_push(&c->pending, (double) *code - *slack, node);
	return HNSW_OK;
}

/* Keep the k least of the keys that are told. */
static HnswStatus
note_nearest(HnswRefining *r, double key)
{
	HnswHeap *nearest = r->nearest;

	if (nearest->count == r->k)
	{
		if (key >= -nearest->entries[0].key)
			return HNSW_OK;
		hnsw_heap_pop(nearest);
	}
	if (!hnsw_heap_reserve(nearest, 1))
		return HNSW_NOMEM;
	hnsw_heap_push(nearest, -key, 0);
	return HNSW_OK;
}

HnswRefining
hnsw_refining(HnswCursor *c, uint32_t k)
{
	c->nearest.count = 0;
	return (HnswRefining){.c = c, .nearest = &c->nearest, .k = c->probe.code == HNSW_CODE_F32 ? 0 : k};
}

bool
hnsw_refining_ends(const HnswRefining *r, double key)
{
	double mean;
	double deviation;

	if (r->k == 0 || r->n < DIFFERENCES_MIN || r->nearest->count < r->k)
		return false;
	mean = r->sum / r->n;
	deviation = sqrt(fmax(0, r->squares / r->n - mean * mean));
	return key + mean - SURE_DEVIATIONS * deviation > -r->nearest->entries[0].key;
}

HnswStatus
hnsw_refining_pend(HnswRefining *r, uint32_t node, double key)
{
	HnswCursor *c = r->c;
	float code = 0;
	float slack = 0;
	HnswStatus status = hnsw_search_pend(c, node, &code, &slack);
	double difference = (double) code - key;

	c->stats.distances_computed += c->probe.code != HNSW_CODE_F32;
	if (status != HNSW_OK || r->k == 0)
		return status;
	r->n++;
	r->sum += difference;
	r->squares += difference * difference;
	return note_nearest(r, (double) code + slack);
}

HnswStatus
hnsw_search_refine(HnswCursor *c, bool all)
{
	const HnswPool *pool = &c->pool;
	HnswRefining refining = hnsw_refining(c, all || c->k >= pool->count ? 0 : c->k);
	HnswStatus status = HNSW_OK;

	for (uint32_t i = c->refined; i < pool->count && i < c->refined + REFINE_AHEAD; i++)
		prefetch_code(c, pool->entries[i].node);
	for (; c->refined < pool->count && status == HNSW_OK; c->refined++)
	{
		HnswPoolEntry *entry = &pool->entries[c->refined];

		if (entry->marks & HNSW_LEFT)
			continue;
		if (hnsw_refining_ends(&refining, entry->key))
			break;
		if (c->refined + REFINE_AHEAD < pool->count)
			prefetch_code(c, entry[REFINE_AHEAD].node);
		entry->marks |= HNSW_LEFT;
		status = hnsw_refining_pend(&refining, entry->node, entry->key);
	}
	return status;
}
