/*
 * number.c
 *		The order in which nodes stand in a graph file.
 *
 * Nodes are numbered by falling top layer, because then the members of each
 * layer are a prefix and need no list.  Within a layer the order is free, and a
 * search is faster when nodes that are visited together lie together: they are
 * numbered in the order in which a breadth-first walk over the links of layer
 * 0, begun at the entry point, meets them.
 *
 * The order is a function of the graph alone, so that equal graphs become
 * equal files.
 */
#include "hnsw/internal.h"

#include <stdlib.h>
#include <string.h>

/* How many nodes are walked between two looks at the caller's wish to stop. */
#define POLL_EVERY 65536

static bool
is_cancelled(const HnswTask *task)
{
	return task != NULL && task->cancelled != NULL && task->cancelled(task->arg);
}

/* A builder may keep more layers than a file; the uppermost are dropped. */
static uint32_t
top_layer(const HnswBuilder *builder, uint32_t id)
{
	uint32_t level = hnsw_builder_level(builder, id);

	return level < HNSW_MAX_LAYERS ? level : HNSW_MAX_LAYERS - 1;
}

/* The builder's entry point, or where that is not fit, the first that is. */
static uint32_t
entry_point(const HnswBuilder *builder, uint32_t slots)
{
	uint32_t entry = hnsw_builder_entry(builder);
	uint32_t best = HNSW_NO_NODE;

	for (uint32_t id = 0; id < slots; id++)
		if (hnsw_builder_live(builder, id) &&
			(best == HNSW_NO_NODE || top_layer(builder, id) > top_layer(builder, best)))
			best = id;
	if (best != HNSW_NO_NODE && entry < slots && hnsw_builder_live(builder, entry) &&
		top_layer(builder, entry) == top_layer(builder, best))
		return entry;
	return best;
}

/*
 * Breadth-first over layer 0 into walk; what no link reaches follows in the
 * order of its ids, each with what it reaches.  node[] marks what was met: it
 * is HNSW_NO_NODE before.
 */
static HnswStatus
walk_layer0(const HnswBuilder *builder, uint32_t entry, uint32_t slots, uint32_t *walk, uint32_t *node,
			uint32_t *count, const HnswTask *task)
{
	uint32_t tail = 0;
	uint32_t head = 0;
	uint32_t next = 0; /* lowest id that may still start a walk */

	if (entry != HNSW_NO_NODE)
	{
		node[entry] = 0;
		walk[tail++] = entry;
	}
	for (;;)
	{
		const uint32_t *links;
		uint32_t n;

		if (head == tail)
		{
			while (next < slots && (!hnsw_builder_live(builder, next) || node[next] != HNSW_NO_NODE))
				next++;
			if (next == slots)
				break;
			node[next] = 0;
			walk[tail++] = next;
		}
		if (head % POLL_EVERY == 0 && is_cancelled(task))
			return HNSW_INTERRUPTED;
		n = hnsw_builder_links(builder, walk[head++], 0, &links);
		for (uint32_t i = 0; i < n; i++)
			if (links[i] < slots && node[links[i]] == HNSW_NO_NODE && hnsw_builder_live(builder, links[i]))
			{
				node[links[i]] = 0;
				walk[tail++] = links[i];
			}
	}
	*count = tail;
	return HNSW_OK;
}

/* Stable by falling top layer; also counts the members of each layer. */
static void
sort_by_layer(const HnswBuilder *builder, const uint32_t *walk, HnswNumbering *out)
{
	uint32_t place[HNSW_MAX_LAYERS] = {0};

	for (uint32_t i = 0; i < out->count; i++)
		place[top_layer(builder, walk[i])]++;
	for (uint32_t l = HNSW_MAX_LAYERS, before = 0; l-- > 0;)
	{
		uint32_t here = place[l];

		place[l] = before;
		before += here;
		out->layer_count[l] = before;
	}
	for (uint32_t i = 0; i < out->count; i++)
	{
		uint32_t node = place[top_layer(builder, walk[i])]++;

		out->builder_id[node] = walk[i];
		out->node[walk[i]] = node;
	}
}

HnswStatus
hnsw_number(const HnswBuilder *builder, const HnswTask *task, HnswNumbering *out, HnswError *err)
{
	uint32_t slots = hnsw_builder_slots(builder);
	uint32_t *walk;
	HnswStatus status;

	memset(out, 0, sizeof(*out));
	/* One more than needed: malloc(0) may be NULL. */
	walk = malloc(((size_t) slots + 1) * sizeof(*walk));
	out->builder_id = malloc(((size_t) slots + 1) * sizeof(*out->builder_id));
	out->node = malloc(((size_t) slots + 1) * sizeof(*out->node));
	if (walk == NULL || out->builder_id == NULL || out->node == NULL)
	{
		free(walk);
		return hnsw_fail(err, HNSW_NOMEM, "out of memory while numbering %u nodes", slots);
	}
	memset(out->node, 0xff, (size_t) slots * sizeof(*out->node));

	status = walk_layer0(builder, entry_point(builder, slots), slots, walk, out->node, &out->count, task);
	if (status == HNSW_OK)
		sort_by_layer(builder, walk, out);
	else
		hnsw_fail(err, status, "writing the graph was stopped");
	free(walk);
	return status;
}

void
hnsw_numbering_free(HnswNumbering *numbering)
{
	free(numbering->builder_id);
	free(numbering->node);
	memset(numbering, 0, sizeof(*numbering));
}
