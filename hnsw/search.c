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

/* Codes of what the walk found that are asked for before they are needed. */
#define REFINE_AHEAD 4

/*
 * A candidate need not be looked at when it would be among the k nearest only if
 * its sketch were wrong by so many standard deviations, as measured in the same
 * search on so many others.
 */
#define SURE_DEVIATIONS 5
#define DIFFERENCES_MIN 16

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

/*
 * The keys by which the walk compares a batch, whose first c->ahead records have
 * been asked for; false when one is not sound.
 */
static bool
batch_keys(const HnswCursor *c, HnswBatch *batch)
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
				if (!code_key(c, batch->links[i], &batch->keys[i]))
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
	if (!hnsw_heap_reserve(&c->rest, batch->count))
		return HNSW_NOMEM;
	if (!batch_keys(c, batch))
		return HNSW_CORRUPT;
	if (hnsw_pool_put(&c->pool, batch->keys, batch->links, batch->count, &c->rest))
		prefetch_links(c, c->pool.entries[c->pool.next].node);
	return poll_interrupt(c, batch->count);
}

/*
 * Walk down from the entry point to layer 1's nearest node.  Every node met on
 * the way is as good a find as on layer 0, and goes to the pool.
 */
static HnswStatus
descend(HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	HnswBatch *batch = &c->batch[0];
	uint32_t node = 0;
	float best;

	batch->links[0] = 0;
	batch->count = 1;
	hnsw_visited_insert(&c->visited, 0);
	if (!batch_keys(c, batch))
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
static HnswStatus
walk(HnswCursor *c)
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
		bool more = hnsw_pool_pop(&c->pool, &at);

		ahead->count = 0;
		if (more)
			status = unmet_links(c, hnsw_links0(s, at.node), s->links0_words, s->count, ahead);
		else if (now->count == 0)
			break;

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

/* The pool of the next round: the entry point, or the best of the rest. */
static HnswStatus
begin_round(HnswCursor *c)
{
	hnsw_pool_clear(&c->pool);
	c->refined = 0;
	if (!c->started)
	{
		c->started = true;
		return descend(c);
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

/* Whether the filter admits the node; HNSW_DONE when it does not. */
static HnswStatus
admit(HnswCursor *c, uint32_t node)
{
	const int64_t *label;

	if (c->options.admit == NULL)
		return HNSW_OK;
	label = hnsw_label(c->snapshot, node);
	if (!hnsw_touch(c->snapshot, label, sizeof *label))
		return HNSW_CORRUPT;
	if (c->options.admit(c->options.admit_arg, *label))
		return HNSW_OK;
	c->stats.rejected++;
	return HNSW_DONE;
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

		if (i + REFINE_AHEAD < pool->count)
			hnsw_prefetch(hnsw_label(c->snapshot, pool->entries[i + REFINE_AHEAD].node), sizeof(int64_t),
						  HNSW_LINE);
		status = admit(c, pool->entries[i].node);

		if (status == HNSW_OK)
			pool->entries[count++] = pool->entries[i];
		else if (status != HNSW_DONE)
			return status;
	}
	pool->count = count;
	return HNSW_OK;
}

/* The node is pending under the least key it may truly have; *code: the key by its code. */
static HnswStatus
pend(HnswCursor *c, uint32_t node, float *code, float *slack)
{
	if (!hnsw_heap_reserve(&c->pending, 1))
		return HNSW_NOMEM;
	if (c->probe.code == HNSW_CODE_F32)
	{
		/* nothing is known of floats' errors: the vector has to be read again in any case */
		hnsw_heap_push(&c->pending, -INFINITY, node);
		return HNSW_OK;
	}
	if (!code_key(c, node, code))
		return HNSW_CORRUPT;
	*slack = hnsw_probe_slack(&c->probe, hnsw_code(c->snapshot, node), *code);
	hnsw_heap_push(&c->pending, (double) *code - *slack, node);
	return HNSW_OK;
}

/* Keep the k least of the keys that are told. */
static HnswStatus
note_nearest(HnswCursor *c, double key)
{
	if (c->nearest.count == c->k)
	{
		if (key >= -c->nearest.entries[0].key)
			return HNSW_OK;
		hnsw_heap_pop(&c->nearest);
	}
	if (!hnsw_heap_reserve(&c->nearest, 1))
		return HNSW_NOMEM;
	hnsw_heap_push(&c->nearest, -key, 0);
	return HNSW_OK;
}

/* How far keys by codes are from those by sketches, so far. */
typedef struct Differences
{
	uint32_t n;
	double sum;
	double squares;
} Differences;

/* Whether a node of this key by its sketch, and all that are farther, are not among the k nearest. */
static bool
surely_farther(const HnswCursor *c, const Differences *d, float key)
{
	double mean;
	double deviation;

	if (d->n < DIFFERENCES_MIN || c->nearest.count < c->k)
		return false;
	mean = d->sum / d->n;
	deviation = sqrt(fmax(0, d->squares / d->n - mean * mean));
	return key + mean - SURE_DEVIATIONS * deviation > -c->nearest.entries[0].key;
}

HnswStatus
hnsw_search_refine(HnswCursor *c, bool all)
{
	const HnswPool *pool = &c->pool;
	Differences d = {0};
	HnswStatus status = HNSW_OK;

	all = all || c->k >= pool->count || c->probe.code == HNSW_CODE_F32;
	c->nearest.count = 0;
	for (uint32_t i = c->refined; i < pool->count && i < c->refined + REFINE_AHEAD; i++)
		prefetch_code(c, pool->entries[i].node);
	for (; c->refined < pool->count && status == HNSW_OK; c->refined++)
	{
		const HnswPoolEntry *entry = &pool->entries[c->refined];
		float code = 0;
		float slack = 0;

		if (!all && surely_farther(c, &d, entry->key))
			break;
		if (c->refined + REFINE_AHEAD < pool->count)
			prefetch_code(c, entry[REFINE_AHEAD].node);
		status = pend(c, entry->node, &code, &slack);
		c->stats.distances_computed += c->probe.code != HNSW_CODE_F32;
		if (!all && status == HNSW_OK)
		{
			double difference = (double) code - entry->key;

			d.n++;
			d.sum += difference;
			d.squares += difference * difference;
			status = note_nearest(c, (double) code + slack);
		}
	}
	return status;
}

/* Add the finds of one more round to the pool, which has been refined. */
static HnswStatus
run_round(HnswCursor *c)
{
	HnswStatus status = begin_round(c);

	if (status == HNSW_OK)
		status = walk(c);
	return status == HNSW_OK ? admit_pool(c) : status;
}

static HnswStatus
admit_and_pend(HnswCursor *c, uint32_t node)
{
	HnswStatus status = admit(c, node);
	float code;
	float slack;

	if (status == HNSW_DONE)
		return HNSW_OK;
	return status == HNSW_OK ? pend(c, node, &code, &slack) : status;
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
