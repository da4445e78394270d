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

/*
 * Records asked for before they are needed.  Where the map is on huge pages, 4
 * or a whole list make no difference; on small pages more than 8 are slower,
 * and so is expanding two nodes together.
 */
#define PREFETCH_AHEAD 8

/* The same for the codes of what the walk found. */
#define ADMIT_AHEAD 4

/* Past this share of the nodes, reading the rest in order is cheaper. */
#define SCAN_SHARE 20

static HnswStatus
corrupt(const HnswCursor *c)
{
	/* the flag is the snapshot's own memory, only pointed at through const */
	atomic_store_explicit(&((HnswSnapshot *) c->snapshot)->corrupt, true, memory_order_relaxed);
	return HNSW_CORRUPT;
}

static HnswStatus
poll_interrupt(HnswCursor *c, uint32_t distances)
{
	c->stats.distances_computed += distances;
	c->since_poll += distances;
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
prefetch_code(const HnswCursor *c, uint32_t node)
{
	if (c->probe.code != HNSW_CODE_F32)
		hnsw_prefetch(hnsw_code(c->snapshot, node), c->probe.stride, 1024);
}

static inline void
prefetch_links(const HnswCursor *c, uint32_t node)
{
	hnsw_prefetch(hnsw_links0(c->snapshot, node), c->snapshot->links0_words * sizeof(uint32_t), 256);
}

/* The key of a node by its code; false when the record is not sound. */
static inline bool
code_key(const HnswCursor *c, uint32_t node, float *key)
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

/* The key by which the walk compares; false when the record is not sound. */
static inline bool
node_key(const HnswCursor *c, uint32_t node, float *key)
{
	const uint8_t *sketch = hnsw_sketch(c->snapshot, node);

	if (c->probe.code == HNSW_CODE_F32)
		return code_key(c, node, key);
	if (!hnsw_touch(c->snapshot, sketch, c->snapshot->sketch_stride))
		return false;
	*key = hnsw_probe_sketch_key(&c->probe, sketch);
	return true;
}

static inline void
found(HnswCursor *c, float key, uint32_t node)
{
	HnswPoolEntry dropped;

	if (!hnsw_pool_accepts(&c->pool, key))
	{
		c->rest.entries[c->rest.count++] = (HnswHeapEntry){key, node};
		return;
	}
	if (hnsw_pool_insert(&c->pool, key, node, &dropped))
		c->rest.entries[c->rest.count++] = (HnswHeapEntry){dropped.key, dropped.node};
}

/*
 * Read a list of at most max links, all to nodes below members; those not met
 * before go to c->links, marked.
 */
static HnswStatus
unmet_links(HnswCursor *c, const uint32_t *links, size_t max, uint64_t members, uint32_t *count)
{
	*count = 0;
	if (!hnsw_touch(c->snapshot, links, max * sizeof *links))
		return HNSW_CORRUPT;
	for (size_t i = 0; i < max; i++)
	{
		uint32_t to = hnsw_read_link(&links[i]);

		if (to == HNSW_NO_NODE)
			break;
		if (to >= members)
			return corrupt(c);
		if (hnsw_visited_insert(&c->visited, to))
			c->links[(*count)++] = to;
	}
	c->stats.nodes_visited++;
	return hnsw_heap_reserve(&c->rest, *count) ? HNSW_OK : HNSW_NOMEM;
}

/*
 * Walk down from the entry point to layer 1's nearest node.  Every node met on
 * the way is as good a find as on layer 0, and goes to the pool.
 */
static HnswStatus
descend(HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	uint32_t node = 0;
	float best;

	if (!node_key(c, 0, &best))
		return HNSW_CORRUPT;
	if (!hnsw_heap_reserve(&c->rest, 1))
		return HNSW_NOMEM;
	c->stats.distances_computed++;
	hnsw_visited_insert(&c->visited, 0);
	found(c, best, 0);
	for (uint32_t layer = s->layers - 1; layer > 0; layer--)
	{
		uint32_t from;

		do
		{
			const uint32_t *links = hnsw_links_upper(s, layer, node);
			uint32_t count;
			HnswStatus status = unmet_links(c, links, s->header.m, s->header.layer_count[layer], &count);

			from = node;
			for (uint32_t i = 0; i < count && status == HNSW_OK; i++)
				prefetch_node(c, c->links[i]);
			for (uint32_t i = 0; i < count && status == HNSW_OK; i++)
			{
				float key;

				if (!node_key(c, c->links[i], &key))
					return HNSW_CORRUPT;
				found(c, key, c->links[i]);
				if (key < best)
				{
					best = key;
					node = c->links[i];
				}
			}
			if (status == HNSW_OK)
				status = poll_interrupt(c, count);
			if (status != HNSW_OK)
				return status;
		} while (node != from);
	}
	return HNSW_OK;
}

/* Read a node's links and find its neighbours. */
static HnswStatus
expand(HnswCursor *c, uint32_t node)
{
	const HnswSnapshot *s = c->snapshot;
	uint32_t count;
	HnswStatus status = unmet_links(c, hnsw_links0(s, node), s->links0_words, s->count, &count);

	if (status != HNSW_OK)
		return status;
	for (uint32_t i = 0; i < count && i < PREFETCH_AHEAD; i++)
		prefetch_node(c, c->links[i]);

	/* unless something nearer is found now, this list is the next to be read */
	if (c->pool.next < c->pool.count)
		prefetch_links(c, c->pool.entries[c->pool.next].node);
	for (uint32_t i = 0; i < count; i++)
	{
		float key;

		if (i + PREFETCH_AHEAD < count)
			prefetch_node(c, c->links[i + PREFETCH_AHEAD]);
		if (!node_key(c, c->links[i], &key))
			return HNSW_CORRUPT;
		found(c, key, c->links[i]);
		if (c->pool.next < c->pool.count && c->pool.entries[c->pool.next].node == c->links[i])
			prefetch_links(c, c->links[i]);
	}
	return poll_interrupt(c, count);
}

/* The pool of the next round: the entry point, or the best of the rest. */
static HnswStatus
begin_round(HnswCursor *c)
{
	HnswPoolEntry dropped;

	hnsw_pool_clear(&c->pool);
	if (!c->started)
	{
		c->started = true;
		return descend(c);
	}
	hnsw_heap_build(&c->rest);
	while (c->rest.count > 0 && !hnsw_pool_full(&c->pool))
	{
		HnswHeapEntry e = hnsw_heap_pop(&c->rest);

		hnsw_pool_insert(&c->pool, (float) e.key, e.node, &dropped);
	}
	return HNSW_OK;
}

/* Ask the filter; what it admits is pending, under the least key it may truly have. */
static HnswStatus
admit(HnswCursor *c, uint32_t node)
{
	const HnswSnapshot *s = c->snapshot;
	float key;
	float slack;

	if (c->options.admit != NULL)
	{
		const int64_t *label = hnsw_label(s, node);

		if (!hnsw_touch(s, label, sizeof *label))
			return HNSW_CORRUPT;
		if (!c->options.admit(c->options.admit_arg, *label))
		{
			c->stats.rejected++;
			return HNSW_OK;
		}
	}
	if (!hnsw_heap_reserve(&c->pending, 1))
		return HNSW_NOMEM;
	if (c->probe.code == HNSW_CODE_F32)
	{
		/* nothing is known of floats' errors: the vector has to be read again in any case */
		hnsw_heap_push(&c->pending, -INFINITY, node);
		return HNSW_OK;
	}
	if (!code_key(c, node, &key))
		return HNSW_CORRUPT;
	slack = hnsw_probe_slack(&c->probe, hnsw_code(s, node), key);
	hnsw_heap_push(&c->pending, (double) key - slack, node);
	return HNSW_OK;
}

static HnswStatus
run_round(HnswCursor *c)
{
	HnswCandidate at;
	HnswStatus status = begin_round(c);

	while (status == HNSW_OK && hnsw_pool_pop(&c->pool, &at))
		status = expand(c, at.node);
	for (uint32_t i = 0; i < c->pool.count && i < ADMIT_AHEAD; i++)
		prefetch_code(c, c->pool.entries[i].node);
	for (uint32_t i = 0; i < c->pool.count && status == HNSW_OK; i++)
	{
		if (i + ADMIT_AHEAD < c->pool.count)
			prefetch_code(c, c->pool.entries[i + ADMIT_AHEAD].node);
		status = admit(c, c->pool.entries[i].node);
	}
	return status;
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
		status = admit(c, c->rest.entries[i].node);
	c->rest.count = 0;
	for (uint32_t node = 0; node < s->count && status == HNSW_OK; node++)
	{
		if (!hnsw_visited_insert(&c->visited, node))
			continue;
		status = admit(c, node);
		if (status == HNSW_OK)
			status = poll_interrupt(c, 1);
	}
	return status;
}

HnswStatus
hnsw_search_more(HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	HnswStatus status = HNSW_OK;

	if (s->count == 0 || c->scanned)
		return HNSW_DONE;
	while (status == HNSW_OK && c->pending.count < c->options.ef)
	{
		bool exhausted = c->started && c->rest.count == 0;
		bool costly = c->started && c->stats.distances_computed > s->count / SCAN_SHARE;

		if (exhausted || costly || s->count <= c->options.ef)
		{
			status = scan(c);
			break;
		}
		status = run_round(c);
	}
	if (status == HNSW_OK && c->pending.count == 0)
		status = HNSW_DONE;
	return status;
}
