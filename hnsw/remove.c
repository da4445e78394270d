/*
 * remove.c
 *		Taking nodes out, and mending the graph around the holes.
 *
 * A removed node is only marked: searches still pass through it, nothing new
 * is linked to it.  Repair then gives each node that has links to removed ones
 * a new choice among the neighbours it has left and those that the removed
 * ones led to (after Singh et al. 2021, arXiv:2105.09613, section 4.2), and
 * frees the removed nodes' slots.
 */
#include "builder.h"

HnswStatus
hnsw_builder_remove(HnswBuilder *b, int64_t label)
{
	uint32_t id = hnsw_table_get(&b->labels, label);

	if (id == HNSW_NO_NODE)
		return HNSW_NOTFOUND;
	hnsw_table_delete(&b->labels, label);
	atomic_store_explicit(&b->live, b->labels.count, memory_order_relaxed);
	hnsw_drop_label(b, id);
	return HNSW_OK;
}

static bool
has_dead_link(const HnswBuilder *b, const HnswList *list)
{
	uint32_t count = hnsw_list_count(list);

	for (uint32_t i = 0; i < count; i++)
		if (hnsw_node_dead(b, hnsw_list_at(list, i)))
			return true;
	return false;
}

/*
 * Collect live nodes at or behind the links of from; dead ones are passed
 * through, breadth first, until there are candidates enough.
 */
static uint32_t
collect(HnswBuilder *b, HnswScratch *s, uint32_t id, uint32_t layer)
{
	HnswCandidate *found = s->candidates;
	uint32_t capacity = s->candidate_capacity;
	uint32_t count = 0;
	uint32_t dead = 0; /* dead ones wait at the end of the array, read ones included */
	uint32_t read = 0;
	uint32_t from = id;

	hnsw_visited_clear(&s->visited);
	hnsw_visited_insert(&s->visited, id);
	for (;;)
	{
		uint32_t links = hnsw_copy_links(b, from, layer, s->links);

		for (uint32_t i = 0; i < links && count + dead < capacity; i++)
		{
			uint32_t to = s->links[i];

			if (!hnsw_visited_insert(&s->visited, to))
				continue;
			if (hnsw_node_dead(b, to))
				found[capacity - ++dead] = (HnswCandidate){0, to};
			else
				found[count++] = (HnswCandidate){hnsw_node_pair_key(b, &s->probe, id, to), to};
		}
		if (read == dead || count + dead == capacity)
			return count;
		from = found[capacity - ++read].node;
	}
}

static void
repair_layer(HnswBuilder *b, HnswScratch *s, uint32_t id, uint32_t layer)
{
	HnswNode *node = hnsw_node(b, id);
	HnswList *list = hnsw_node_list(b, id, layer);
	uint32_t before;
	uint32_t count;
	uint32_t chosen;

	if (!has_dead_link(b, list))
		return;
	before = hnsw_list_count(list);
	if (before > hnsw_max_links(b, layer))
		before = hnsw_max_links(b, layer);
	count = collect(b, s, id, layer);
	hnsw_sort_candidates(s->candidates, count);
	chosen = hnsw_select(b, &s->probe, s->candidates, count, before, s->chosen);

	assert(chosen <= before);

	/* what others linked here meanwhile is found again among the dead ones' neighbours or by connect */
	hnsw_node_lock(node);
	hnsw_list_set(list, s->chosen, chosen);
	hnsw_node_unlock(node);
	for (uint32_t i = 0; i < chosen; i++)
		hnsw_link_add(b, s, s->chosen[i], id, layer);
}

static HnswStatus
repair_node(void *arg, HnswScratch *s, uint64_t i, HnswError *err)
{
	HnswBuilder *b = arg;
	uint32_t id = (uint32_t) i;

	if (hnsw_node_dead(b, id))
		return HNSW_OK;
	if (!hnsw_scratch_fit(b, s))
		return hnsw_fail(err, HNSW_NOMEM, "out of memory for repairing the graph");
	for (uint32_t layer = 0; layer <= hnsw_node(b, id)->level; layer++)
		repair_layer(b, s, id, layer);
	return HNSW_OK;
}

static HnswStatus
trim_node(void *arg, HnswScratch *s, uint64_t i, HnswError *err)
{
	(void) err;
	hnsw_trim_lists(arg, s, (uint32_t) i);
	return HNSW_OK;
}

/* The entry point must be live, on the highest layer there is. */
static void
choose_entry(HnswBuilder *b)
{
	uint64_t entry = atomic_load_explicit(&b->entry, memory_order_relaxed);
	uint32_t slots = hnsw_builder_slots(b);

	if (entry == ENTRY_NONE || !hnsw_node_dead(b, ENTRY_NODE(entry)))
		return;
	entry = ENTRY_NONE;
	for (uint32_t id = 0; id < slots; id++)
	{
		uint32_t level = hnsw_node(b, id)->level;

		if (!hnsw_node_dead(b, id) && (entry == ENTRY_NONE || level > ENTRY_LEVEL(entry)))
			entry = ENTRY_OF(level, id);
	}
	atomic_store_explicit(&b->entry, entry, memory_order_release);
}

/* Take the memory of dead nodes back; no list leads to them any more. */
static void
free_dead(HnswBuilder *b)
{
	uint32_t slots = hnsw_builder_slots(b);
	uint32_t dead = 0;
	uint32_t *list;

	for (uint32_t id = b->base_count; id < slots; id++)
		dead += hnsw_node_dead(b, id);
	list = dead > 0 ? malloc(dead * sizeof *list) : NULL;
	if (list != NULL)
	{
		/* without memory for the list the slots just stay unused */
		free(b->free_slots);
		b->free_slots = list;
		b->free_capacity = dead;
		b->free_count = 0;
	}
	for (uint32_t id = 0; id < slots; id++)
	{
		HnswNodeRest *rest = hnsw_node_rest(b, id);

		if (!hnsw_node_dead(b, id))
			continue;
		free(rest->upper);
		rest->upper = NULL;
		hnsw_node(b, id)->level = 0;
		hnsw_list_set(hnsw_node(b, id)->list, NULL, 0);
		if (list != NULL && id >= b->base_count)
			b->free_slots[b->free_count++] = id;
	}
}

HnswStatus
hnsw_builder_repair(HnswBuilder *b, const HnswTask *task, HnswError *err)
{
	HnswStatus status = HNSW_OK;

	if (atomic_load_explicit(&b->has_dead, memory_order_relaxed))
	{
		status = hnsw_parallel(b, hnsw_builder_slots(b), repair_node, b, task, err);
		if (status != HNSW_OK)
			return status;
		choose_entry(b);
		free_dead(b);
		atomic_store_explicit(&b->has_dead, false, memory_order_relaxed);
		atomic_store_explicit(&b->changed, true, memory_order_relaxed);
	}
	if (atomic_load_explicit(&b->changed, memory_order_relaxed))
	{
		status = hnsw_parallel(b, hnsw_builder_slots(b), trim_node, b, task, err);
		if (status == HNSW_OK)
			status = hnsw_connect(b, task, err);
		if (status == HNSW_OK)
			atomic_store_explicit(&b->changed, false, memory_order_relaxed);
	}
	return status;
}
