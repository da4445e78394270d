/*
 * connect.c
 *		Every node within reach of the entry point.
 *
 * Choosing neighbours by the heuristic can leave a node that no list leads to.
 * Such nodes are rare, but they would be lost to every search.  A breadth-first
 * walk over layer 0 gives a tree of the nodes in reach.  Each node beyond it is
 * linked from the nearest node in reach that has a place free, or a link that
 * is not part of the tree: dropping that one puts nothing out of reach.  Lists
 * have been cut to their final length before.
 */
#include "builder.h"

typedef struct Walk
{
	HnswBuilder *b;
	uint32_t *parent; /* in the tree; HNSW_NO_NODE: not reached */
	uint32_t *queue;
	uint32_t read;
	uint32_t written;
} Walk;

static void
reach(Walk *w, uint32_t id, uint32_t parent)
{
	w->parent[id] = parent;
	w->queue[w->written++] = id;
}

/* Follow the queue to its end. */
static void
walk_on(Walk *w)
{
	while (w->read < w->written)
	{
		uint32_t id = w->queue[w->read++];
		const uint32_t *links;
		uint32_t count = hnsw_builder_links(w->b, id, 0, &links);

		for (uint32_t i = 0; i < count; i++)
			if (w->parent[links[i]] == HNSW_NO_NODE)
				reach(w, links[i], id);
	}
}

/* Link from -> id if a place is free or can be had; from is in reach. */
static bool
attach(Walk *w, uint32_t from, uint32_t id)
{
	HnswList *list = hnsw_node(w->b, from)->list;
	uint32_t place = hnsw_list_count(list);

	assert(w->parent[from] != HNSW_NO_NODE && w->parent[id] == HNSW_NO_NODE);
	if (place < hnsw_max_links(w->b, 0))
		hnsw_list_append(list, id);
	else
	{
		while (place > 0 && w->parent[hnsw_list_at(list, place - 1)] == from)
			place--;
		if (place == 0)
			return false;
		hnsw_list_put(list, place - 1, id);
	}
	reach(w, id, from);
	return true;
}

/* Bring one node into reach.  Some node always has a place: leaves of the tree do. */
static void
rescue(Walk *w, HnswScratch *s, uint32_t id)
{
	HnswBuilder *b = w->b;

	hnsw_probe_set(&s->probe, hnsw_node_vector(b, id));
	hnsw_search_layer(b, s, hnsw_builder_entry(b), 0, id);
	for (uint32_t i = 0; i < s->pool.count; i++)
		if (w->parent[s->pool.entries[i].node] != HNSW_NO_NODE && attach(w, s->pool.entries[i].node, id))
			return;
	for (uint32_t i = w->written; i > 0; i--)
		if (attach(w, w->queue[i - 1], id))
			return;
}

HnswStatus
hnsw_connect(HnswBuilder *b, const HnswTask *task, HnswError *err)
{
	uint32_t slots = hnsw_builder_slots(b);
	uint32_t entry = hnsw_builder_entry(b);
	HnswScratch *s = hnsw_scratch_take(b);
	Walk w = {.b = b};
	HnswStatus status = HNSW_OK;

	if (entry == HNSW_NO_NODE || s == NULL)
		goto done;
	w.parent = malloc(slots * sizeof *w.parent);
	w.queue = malloc(slots * sizeof *w.queue);
	if (w.parent == NULL || w.queue == NULL || !hnsw_scratch_fit(b, s))
	{
		status = hnsw_fail(err, HNSW_NOMEM, "out of memory for checking that all nodes are in reach");
		goto done;
	}
	memset(w.parent, 0xff, slots * sizeof *w.parent);
	reach(&w, entry, entry);
	walk_on(&w);
	for (uint32_t id = 0; id < slots; id++)
	{
		if (w.parent[id] != HNSW_NO_NODE || hnsw_node_dead(b, id))
			continue;
		if (task != NULL && task->cancelled != NULL && task->cancelled(task->arg))
		{
			status = hnsw_fail(err, HNSW_INTERRUPTED, "interrupted");
			goto done;
		}
		rescue(&w, s, id);
		walk_on(&w);
	}
done:
	free(w.parent);
	free(w.queue);
	if (s != NULL)
		hnsw_scratch_give(b, s);
	else
		status = hnsw_fail(err, HNSW_NOMEM, "out of memory for checking the graph");
	return status;
}
