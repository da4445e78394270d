/*
 * insert.c
 *		Linking a node into the graph: Malkov & Yashunin 2016, algorithm 1.
 *
 * Everything that can fail has been done before (builder.c), so that a failed
 * insertion leaves no trace.
 *
 * While many threads insert, a node's own list may have got links from others
 * before its owner writes it: the two are merged.  hnsw.h says what else differs
 * from the paper.
 */
#include "builder.h"

#include <assert.h>

/* How many of a crowd of equal vectors are asked for their other neighbours. */
#define CROWD_SAMPLE 8

/* Codes asked for before they are needed. */
#define CODES_AHEAD 4

uint32_t
hnsw_copy_links(const HnswBuilder *b, uint32_t id, uint32_t layer, uint32_t *links)
{
	const HnswList *list = hnsw_node_list(b, id, layer);
	uint32_t count = hnsw_list_count(list);

	for (uint32_t i = 0; i < count; i++)
		links[i] = hnsw_list_at(list, i);
	return count;
}

static inline float
probe_key(const HnswBuilder *b, const HnswScratch *s, uint32_t id)
{
	return hnsw_probe_key(&s->probe, hnsw_node_vector(b, id), hnsw_node_code(b, id));
}

/* The key by which a walk compares: by the sketch, where there is one. */
static inline float
walk_key(const HnswBuilder *b, const HnswScratch *s, uint32_t id)
{
	return b->code == HNSW_CODE_F32 ? probe_key(b, s, id)
									: hnsw_probe_sketch_key(&s->probe, hnsw_node_sketch(b, id));
}

/* What walk_key() will read. */
static inline const uint8_t *
walk_record(const HnswBuilder *b, uint32_t id)
{
	return b->code == HNSW_CODE_F32 ? (const uint8_t *) hnsw_node_vector(b, id) : hnsw_node_sketch(b, id);
}

/* The list of a node that will probably be read next. */
static inline void
prefetch_list(const HnswBuilder *b, uint32_t id, uint32_t layer)
{
	if (layer == 0)
		hnsw_prefetch(hnsw_node(b, id), b->nodes.size, 256);
}

/*
 * Links of a node that were not visited yet, now marked, into s->links, and
 * where their records are, which are asked for.  Nodes younger than the visited
 * set are left out.  Nobody can foretell which are new, so nothing branches on
 * it.
 */
static uint32_t
meet_links(const HnswBuilder *b, HnswScratch *s, uint32_t id, uint32_t layer)
{
	const HnswList *list = hnsw_node_list(b, id, layer);
	uint32_t links = hnsw_list_count(list);
	uint32_t count = 0;

	for (uint32_t i = 0; i < links; i++)
	{
		uint32_t to = hnsw_list_at(list, i);

		s->links[count] = to;
		if (to < s->visited.nodes)
			count += hnsw_visited_insert(&s->visited, to);
	}
	for (uint32_t i = 0; i < count; i++)
	{
		s->records[i] = walk_record(b, s->links[i]);
		hnsw_prefetch(s->records[i], b->walk_bytes, 1024);
	}
	return count;
}

/* The keys of what meet_links() found. */
static void
walk_keys(const HnswBuilder *b, HnswScratch *s, uint32_t count)
{
	if (b->code != HNSW_CODE_F32)
		hnsw_probe_sketch_keys(&s->probe, s->records, count, s->keys);
	else
		for (uint32_t i = 0; i < count; i++)
			s->keys[i] = probe_key(b, s, s->links[i]);
}

/* Give what the walk found the keys of codes, and the order of these. */
static void
compare_by_codes(const HnswBuilder *b, HnswScratch *s)
{
	HnswPoolEntry *entries = s->pool.entries;

	if (b->code == HNSW_CODE_F32)
		return;
	for (uint32_t i = 0; i < s->pool.count; i++)
	{
		HnswPoolEntry e = entries[i];
		uint32_t j = i;

		if (i + CODES_AHEAD < s->pool.count)
			hnsw_prefetch(hnsw_node_code(b, entries[i + CODES_AHEAD].node), b->code_stride, 1024);
		e.key = probe_key(b, s, e.node);
		for (; j > 0 && entries[j - 1].key > e.key; j--)
			entries[j] = entries[j - 1];
		entries[j] = e;
	}
}

void
hnsw_search_layer(HnswBuilder *b, HnswScratch *s, uint32_t start, uint32_t layer, uint32_t exclude)
{
	HnswCandidate at;
	float key;

	hnsw_pool_clear(&s->pool);
	hnsw_visited_clear(&s->visited);
	if (exclude < s->visited.nodes)
		hnsw_visited_insert(&s->visited, exclude);
	if (start >= s->visited.nodes || !hnsw_visited_insert(&s->visited, start))
		return;
	key = walk_key(b, s, start);
	hnsw_pool_put(&s->pool, &key, &start, 1, NULL);
	while (hnsw_pool_pop(&s->pool, &at))
	{
		uint32_t count = meet_links(b, s, at.node, layer);

		/* unless something nearer is found now, this list is the next to be read */
		if (s->pool.next < s->pool.count)
			prefetch_list(b, s->pool.entries[s->pool.next].node, layer);
		walk_keys(b, s, count);
		if (hnsw_pool_put(&s->pool, s->keys, s->links, count, NULL))
			prefetch_list(b, s->pool.entries[s->pool.next].node, layer);
	}
	compare_by_codes(b, s);
}

uint32_t
hnsw_descend(HnswBuilder *b, HnswScratch *s, uint32_t start, uint32_t layer)
{
	float best = walk_key(b, s, start);
	bool moved = true;

	while (moved)
	{
		uint32_t count = hnsw_copy_links(b, start, layer, s->links);

		moved = false;
		for (uint32_t i = 0; i < count; i++)
			hnsw_prefetch(walk_record(b, s->links[i]), b->walk_bytes, 1024);
		for (uint32_t i = 0; i < count; i++)
		{
			float key = walk_key(b, s, s->links[i]);

			if (key < best)
			{
				best = key;
				start = s->links[i];
				moved = true;
			}
		}
	}
	return start;
}

/* Keep the best of a node's links on a layer.  The node is locked. */
static void
reselect(HnswBuilder *b, HnswScratch *s, uint32_t from, uint32_t layer)
{
	HnswList *list = hnsw_node_list(b, from, layer);
	uint32_t links = hnsw_copy_links(b, from, layer, s->links);
	uint32_t count = 0;

	for (uint32_t i = 0; i < links; i++)
	{
		uint32_t id = s->links[i];

		if (i + CODES_AHEAD < links)
			hnsw_prefetch(hnsw_node_code(b, s->links[i + CODES_AHEAD]), b->code_stride, 1024);
		if (!hnsw_node_dead(b, id))
			s->candidates[count++] = (HnswCandidate){hnsw_node_pair_key(b, &s->probe, from, id), id};
	}
	hnsw_sort_candidates(s->candidates, count);
	count = hnsw_select(b, &s->probe, s->candidates, count, hnsw_max_links(b, layer), s->links);
	assert(count <= hnsw_max_links(b, layer));
	hnsw_list_set(list, s->links, count);
}

/* hnsw_link_add, with the node locked. */
static void
add_locked(HnswBuilder *b, HnswScratch *s, uint32_t from, uint32_t to, uint32_t layer)
{
	HnswList *list = hnsw_node_list(b, from, layer);

	if (hnsw_list_contains(list, to))
		return;
	if (hnsw_list_count(list) == hnsw_list_room(b, layer))
		reselect(b, s, from, layer);
	assert(to != from && hnsw_list_count(list) < hnsw_list_room(b, layer));
	hnsw_list_append(list, to);
}

void
hnsw_link_add(HnswBuilder *b, HnswScratch *s, uint32_t from, uint32_t to, uint32_t layer)
{
	HnswNode *node = hnsw_node(b, from);

	hnsw_node_lock(node);
	add_locked(b, s, from, to, layer);
	hnsw_node_unlock(node);
}

void
hnsw_trim_lists(HnswBuilder *b, HnswScratch *s, uint32_t id)
{
	HnswNode *node = hnsw_node(b, id);

	hnsw_node_lock(node);
	for (uint32_t layer = 0; layer <= node->level; layer++)
		if (hnsw_list_count(hnsw_node_list(b, id, layer)) > hnsw_max_links(b, layer))
			reselect(b, s, id, layer);
	hnsw_node_unlock(node);
}

/*
 * In a crowd of equal vectors the pool holds nothing but them.  Add what some
 * of them have for other neighbours, so that the new one too gets a way out.
 */
static uint32_t
look_beyond_crowd(HnswBuilder *b, HnswScratch *s, uint32_t layer, uint32_t count)
{
	const HnswPool *pool = &s->pool;
	float tie = pool->entries[0].key;
	uint32_t before = count;

	if (!hnsw_pool_full(pool) || pool->entries[pool->count - 1].key != tie)
		return count;
	for (uint32_t i = 0; i < CROWD_SAMPLE && i < pool->count; i++)
	{
		uint32_t links = hnsw_copy_links(b, pool->entries[i].node, layer, s->links);

		for (uint32_t j = 0; j < links && count < s->candidate_capacity; j++)
		{
			float key = probe_key(b, s, s->links[j]);
			bool known = key == tie || hnsw_node_dead(b, s->links[j]);

			for (uint32_t c = before; c < count && !known; c++)
				known = s->candidates[c].node == s->links[j];
			if (!known)
				s->candidates[count++] = (HnswCandidate){key, s->links[j]};
		}
	}
	return count;
}

/* Choose neighbours from the pool, and link both ways. */
static void
link_layer(HnswBuilder *b, HnswScratch *s, uint32_t id, uint32_t layer)
{
	HnswNode *node = hnsw_node(b, id);
	uint32_t count = 0;
	uint32_t chosen;

	if (s->pool.count == 0)
		return;
	for (uint32_t i = 0; i < s->pool.count; i++)
		if (!hnsw_node_dead(b, s->pool.entries[i].node))
			s->candidates[count++] = (HnswCandidate){s->pool.entries[i].key, s->pool.entries[i].node};
	count = look_beyond_crowd(b, s, layer, count);
	hnsw_sort_candidates(s->candidates, count);
	chosen = hnsw_select(b, &s->probe, s->candidates, count, b->params.m, s->chosen);

	/* others may have linked to this node on this layer already, and it back */
	hnsw_node_lock(node);
	for (uint32_t i = 0; i < chosen; i++)
		add_locked(b, s, id, s->chosen[i], layer);
	hnsw_node_unlock(node);
	for (uint32_t i = 0; i < chosen; i++)
		hnsw_link_add(b, s, s->chosen[i], id, layer);
}

void
hnsw_link_node(HnswBuilder *b, HnswScratch *s, uint32_t id, uint32_t start)
{
	uint32_t level = hnsw_node(b, id)->level;
	uint64_t entry = atomic_load_explicit(&b->entry, memory_order_acquire);
	bool locked = false;
	uint32_t at;
	uint32_t top;

	if (level == 0 && start != HNSW_NO_NODE)
		entry = ENTRY_OF(0, start);
	else if (entry == ENTRY_NONE || level > ENTRY_LEVEL(entry))
	{
		pthread_mutex_lock(&b->entry_lock);
		locked = true;
		entry = atomic_load_explicit(&b->entry, memory_order_acquire);
	}
	if (entry != ENTRY_NONE)
	{
		at = ENTRY_NODE(entry);
		top = ENTRY_LEVEL(entry);
		for (uint32_t layer = top; layer > level; layer--)
			at = hnsw_descend(b, s, at, layer);
		for (uint32_t layer = level < top ? level : top;; layer--)
		{
			hnsw_search_layer(b, s, at, layer, id);
			if (s->pool.count > 0)
				at = s->pool.entries[0].node;
			link_layer(b, s, id, layer);
			if (layer == 0)
				break;
		}
	}
	if (locked)
	{
		if (entry == ENTRY_NONE || level > ENTRY_LEVEL(entry))
			atomic_store_explicit(&b->entry, ENTRY_OF(level, id), memory_order_release);
		pthread_mutex_unlock(&b->entry_lock);
	}
}
