/*
 * ties.c
 *		From nodes to labels.
 *
 * A node has a label for each of its equal vectors, and several nodes may be at the
 * same distance.  All labels of one distance are given in rising order.  Lists are
 * read and the filter is asked no farther than the caller reads.
 */
#include "search.h"

HnswStatus
hnsw_search_label(HnswCursor *c, uint32_t *place, uint32_t end, int64_t *label)
{
	HnswStatus status = HNSW_OK;

	for (; *place < end && status == HNSW_OK; ++*place)
	{
		if (!hnsw_read_label(c->snapshot, *place, label))
			return HNSW_CORRUPT;
		if (c->options.admit == NULL || c->options.admit(c->options.admit_arg, *label))
			return HNSW_OK;
		if (*place + 1 < end)
			status = hnsw_search_poll(c, 0);
	}
	return status == HNSW_OK ? HNSW_DONE : status;
}

/* ---------- a heap of nodes by their next label ---------- */

static void
sink(HnswTies *ties)
{
	HnswTie moving = ties->entries[0];
	size_t i = 0;

	for (;;)
	{
		size_t child = 2 * i + 1;

		if (child + 1 < ties->count && ties->entries[child + 1].label < ties->entries[child].label)
			child++;
		if (child >= ties->count || ties->entries[child].label >= moving.label)
			break;
		ties->entries[i] = ties->entries[child];
		i = child;
	}
	ties->entries[i] = moving;
}

static HnswStatus
push(HnswTies *ties, HnswTie tie)
{
	size_t i = ties->count;

	if (ties->count == ties->capacity)
	{
		size_t capacity = 2 * ties->capacity + 16;
		HnswTie *entries = realloc(ties->entries, capacity * sizeof *entries);

		if (entries == NULL)
			return HNSW_NOMEM;
		ties->entries = entries;
		ties->capacity = capacity;
	}
	for (ties->count++; i > 0 && ties->entries[(i - 1) / 2].label > tie.label; i = (i - 1) / 2)
		ties->entries[i] = ties->entries[(i - 1) / 2];
	ties->entries[i] = tie;
	return HNSW_OK;
}

/* The first one is done with. */
static void
remove_first(HnswTies *ties)
{
	ties->entries[0] = ties->entries[--ties->count];
	if (ties->count > 1)
		sink(ties);
}

/* ---------- nodes at one distance ---------- */

static HnswStatus
open_node(HnswCursor *c, uint32_t node)
{
	HnswTie tie = {.given = false};
	HnswStatus status = HNSW_OK;
	uint32_t first;

	if (!hnsw_places(c->snapshot, node, &first, &tie.end) ||
		!hnsw_count_places(c->snapshot, tie.end - first, &c->opened))
		return HNSW_CORRUPT;
	tie.place = first;
	/* a filter that admits the node has been asked about a label that is alone */
	if (tie.end - first == 1)
		status = hnsw_read_label(c->snapshot, first, &tie.label) ? HNSW_OK : HNSW_CORRUPT;
	else
		status = hnsw_search_label(c, &tie.place, tie.end, &tie.label);
	c->stats.rejected += tie.place - first;
	return status == HNSW_OK ? push(&c->ties, tie) : status == HNSW_DONE ? HNSW_OK : status;
}

HnswStatus
hnsw_ties_open(HnswCursor *c)
{
	HnswStatus status = HNSW_OK;

	c->ties.distance = c->ready.entries[0].key;
	while (c->ready.count > 0 && c->ready.entries[0].key == c->ties.distance && status == HNSW_OK)
	{
		c->given++;
		status = open_node(c, hnsw_heap_pop(&c->ready).node);
	}
	return status;
}

/* The first one has been given: on to its next label. */
static HnswStatus
advance(HnswCursor *c)
{
	HnswTie *tie = &c->ties.entries[0];
	uint32_t from = ++tie->place;
	HnswStatus status = c->one_a_node ? HNSW_DONE : hnsw_search_label(c, &tie->place, tie->end, &tie->label);

	c->stats.rejected += tie->place - from;
	tie->given = false;
	if (status == HNSW_OK)
		sink(&c->ties);
	else if (status == HNSW_DONE)
		remove_first(&c->ties);
	return status == HNSW_DONE ? HNSW_OK : status;
}

HnswStatus
hnsw_ties_next(HnswCursor *c, HnswHit *hit)
{
	HnswTies *ties = &c->ties;
	HnswStatus status = HNSW_OK;

	if (ties->count > 0 && ties->entries[0].given)
		status = advance(c);
	if (status != HNSW_OK || ties->count == 0)
		return status == HNSW_OK ? HNSW_DONE : status;
	ties->entries[0].given = true;
	*hit = (HnswHit){ties->entries[0].label, ties->distance};
	return HNSW_OK;
}
