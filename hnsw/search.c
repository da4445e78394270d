/*
 * search.c
 *		Walking the graph of a snapshot: Malkov & Yashunin 2016, algorithms 2
 *		and 5, made resumable.
 *
 * What is read from the map is not trusted: records are verified before they
 * are read, and a neighbour's number is checked against the number of nodes.
 * Each node is found once, so a graph with loops or repeated links ends like
 * any other.
 */
#include "search.h"

#define POLL_EVERY 256

/* The kernels take sketches by fours. */
#define KEYS_AT_ONCE 4

/* Lists that are asked for before their nodes are expanded. */
#define LISTS_AHEAD 2

static HnswStatus
corrupt(const HnswCursor *c)
{
	/* the flag is the snapshot's own memory, only pointed at through const */
	atomic_store_explicit(&((HnswSnapshot *) c->snapshot)->corrupt, true, memory_order_relaxed);
	return HNSW_CORRUPT;
}

HnswStatus
hnsw_search_poll(HnswCursor *c, uint32_t distances)
{
	c->stats.distances_computed += distances;
	c->since_poll += distances > 0 ? distances : 1;
	if (c->since_poll < POLL_EVERY)
		return HNSW_OK;
	c->since_poll = 0;
	if (c->options.interrupted != NULL && c->options.interrupted(c->options.interrupt_arg))
		return HNSW_INTERRUPTED;
	return HNSW_OK;
}

/* What node_key() will read. */
static inline void
prefetch_node(const HnswCursor *c, uint32_t node)
{
	if (c->probe.code == HNSW_CODE_F32)
		hnsw_prefetch(hnsw_vector(c->snapshot, node), c->probe.dim * sizeof(float), 1024);
	else
		hnsw_prefetch(hnsw_sketch(c->snapshot, node), c->snapshot->sketch_stride, 1024);
}

static inline void
prefetch_links(const HnswCursor *c, uint32_t node)
{
	hnsw_prefetch(hnsw_links0(c->snapshot, node), c->snapshot->links0_words * sizeof(uint32_t), 256);
}

bool
hnsw_search_code_key(const HnswCursor *c, uint32_t node, float *key)
{
	const HnswSnapshot *s = c->snapshot;
	const uint8_t *record = hnsw_code(s, node);
	const float *vector = NULL;

	if (!hnsw_touch(s, record, c->probe.stride))
		return false;
	if (c->probe.code == HNSW_CODE_F32)
	{
		vector = hnsw_vector(s, node);
		if (!hnsw_touch(s, vector, c->probe.dim * sizeof(float)))
			return false;
	}
	*key = hnsw_probe_key(&c->probe, vector, record);
	return true;
}

bool
hnsw_search_keys(const HnswCursor *c, HnswBatch *batch)
{
	for (uint32_t from = 0; from < batch->count; from += KEYS_AT_ONCE)
	{
		uint32_t to = from + KEYS_AT_ONCE < batch->count ? from + KEYS_AT_ONCE : batch->count;

		for (uint32_t i = from + c->ahead; i < to + c->ahead && i < batch->count; i++)
			prefetch_node(c, batch->links[i]);
		for (uint32_t i = from; i < to; i++)
		{
			if (c->probe.code == HNSW_CODE_F32)
			{
				if (!hnsw_search_code_key(c, batch->links[i], &batch->keys[i]))
					return false;
				continue;
			}
			batch->records[i] = hnsw_sketch(c->snapshot, batch->links[i]);
			if (!hnsw_touch(c->snapshot, batch->records[i], c->snapshot->sketch_stride))
				return false;
		}
		if (c->probe.code != HNSW_CODE_F32)
			hnsw_probe_sketch_keys(&c->probe, batch->records + from, to - from, batch->keys + from);
	}
	return true;
}

/*
 * Read a list of at most max links, all to nodes below members; those not met
 * before go to the batch, marked, and the first of them are asked for.
 */
static HnswStatus
unmet_links(HnswCursor *c, const uint32_t *links, size_t max, uint64_t members, HnswBatch *batch)
{
	uint32_t count = 0;

	batch->count = 0;
	if (!hnsw_touch(c->snapshot, links, max * sizeof *links))
		return HNSW_CORRUPT;
	for (size_t i = 0; i < max; i++)
	{
		uint32_t to = hnsw_read_link(&links[i]);

		if (to == HNSW_NO_NODE)
			break;
		if (to >= members)
			return corrupt(c);
		batch->links[count] = to;
		count += hnsw_visited_insert(&c->visited, to);
	}
	batch->count = count;
	for (uint32_t i = 0; i < count && i < c->ahead; i++)
		prefetch_node(c, batch->links[i]);
	c->stats.nodes_visited++;
	return HNSW_OK;
}

/* Find the nodes of a batch: to the pool with them, or the rest. */
static HnswStatus
find(HnswCursor *c, HnswBatch *batch)
{
	if (!hnsw_search_room(c, batch->count) || !hnsw_heap_reserve(&c->rest, batch->count))
		return HNSW_NOMEM;
	if (!hnsw_search_keys(c, batch))
		return HNSW_CORRUPT;
	if (hnsw_pool_put(&c->pool, batch->keys, batch->links, batch->count, &c->rest))
		prefetch_links(c, c->pool.entries[c->pool.next].node);
	return hnsw_search_poll(c, batch->count);
}

/*
 * Walk down from the entry point to layer 1's nearest node.  Every node met on
 * the way is as good a find as on layer 0, and goes to the pool.
 */
HnswStatus
hnsw_search_descend(HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	HnswBatch *batch = &c->batch[0];
	uint32_t node = 0;
	float best;

	batch->links[0] = 0;
	batch->count = 1;
	hnsw_visited_insert(&c->visited, 0);
	if (!hnsw_search_keys(c, batch))
		return HNSW_CORRUPT;
	if (!hnsw_heap_reserve(&c->rest, 1))
		return HNSW_NOMEM;
	c->stats.distances_computed++;
	best = batch->keys[0];
	hnsw_pool_put(&c->pool, &best, batch->links, 1, &c->rest);
	for (uint32_t layer = s->layers - 1; layer > 0; layer--)
	{
		uint32_t from;

		do
		{
			HnswStatus status = unmet_links(c, hnsw_links_upper(s, layer, node), s->header.m,
											s->header.layer_count[layer], batch);

			if (status == HNSW_OK)
				status = find(c, batch);
			if (status != HNSW_OK)
				return status;
			from = node;
			for (uint32_t i = 0; i < batch->count; i++)
				if (batch->keys[i] < best)
				{
					best = batch->keys[i];
					node = batch->links[i];
				}
		} while (node != from);
	}
	return HNSW_OK;
}

/*
 * Expand what there is to expand.  The neighbours of one node are compared while
 * those of the next are on their way from memory; so the next node is chosen one
 * step early, which costs a few expansions and saves most of the waiting.
 */
HnswStatus
hnsw_search_walk(HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	HnswBatch *now = &c->batch[0];
	HnswBatch *ahead = &c->batch[1];
	HnswStatus status = HNSW_OK;

	now->count = 0;
	while (status == HNSW_OK)
	{
		HnswBatch *swap = now;
		HnswCandidate at;
		bool more = (!c->adaptive || hnsw_stage_goes_on(c)) && hnsw_pool_pop(&c->pool, &at);

		ahead->count = 0;
		if (more)
			status = unmet_links(c, hnsw_links0(s, at.node), s->links0_words, s->count, ahead);
		else if (now->count == 0)
			break;
		if (status == HNSW_OK && more && c->adaptive)
			status = hnsw_stage_popped(c);

		/* unless something nearer is found now, these lists are the next to be read */
		for (uint32_t i = c->pool.next; i < c->pool.next + LISTS_AHEAD && i < c->pool.count; i++)
			prefetch_links(c, c->pool.entries[i].node);
		if (status == HNSW_OK)
			status = find(c, now);
		now = ahead;
		ahead = swap;
	}
	return status;
}
