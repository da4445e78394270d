/*
 * visited.h
 *		A set of node numbers that is emptied in time of what was put in.
 *
 * A bitmap of one bit a node, so that it stays in the first caches for graphs
 * of a million nodes, with a list of the words that were dirtied.
 */
#ifndef HNSW_VISITED_H
#define HNSW_VISITED_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct HnswVisited
{
	uint64_t *words;
	uint32_t *dirty; /* numbers of words with a bit set; room for all and one */
	size_t nodes;    /* capacity */
	size_t dirty_count;
} HnswVisited;

static inline void
hnsw_visited_free(HnswVisited *v)
{
	free(v->words);
	free(v->dirty);
	memset(v, 0, sizeof *v);
}

/* Make room for node numbers below nodes; empties the set when it grows. */
static inline bool
hnsw_visited_reserve(HnswVisited *v, size_t nodes)
{
	size_t count = (nodes + 63) / 64;
	uint64_t *words;
	uint32_t *dirty;

	if (nodes <= v->nodes)
		return true;
	words = calloc(count, sizeof *words);
	dirty = malloc((count + 1) * sizeof *dirty);
	if (words == NULL || dirty == NULL)
	{
		free(words);
		free(dirty);
		return false;
	}
	hnsw_visited_free(v);
	v->words = words;
	v->dirty = dirty;
	v->nodes = nodes;
	v->dirty_count = 0;
	return true;
}

static inline bool
hnsw_visited_has(const HnswVisited *v, uint32_t node)
{
	assert(node < v->nodes);
	return v->words[node / 64] >> (node % 64) & 1;
}

/* True when node was not in the set; it is now. */
static inline bool
hnsw_visited_insert(HnswVisited *v, uint32_t node)
{
	uint64_t *word = &v->words[node / 64];
	uint64_t before = *word;

	assert(node < v->nodes);
	/* nobody can foretell what is in, so this does without branches */
	v->dirty[v->dirty_count] = node / 64;
	v->dirty_count += before == 0;
	*word = before | (uint64_t) 1 << (node % 64);
	return (before >> (node % 64) & 1) == 0;
}

static inline void
hnsw_visited_clear(HnswVisited *v)
{
	for (size_t i = 0; i < v->dirty_count; i++)
		v->words[v->dirty[i]] = 0;
	v->dirty_count = 0;
}

#endif /* HNSW_VISITED_H */
