/*
 * grow.c
 *		Memory for arrays that grow without moving.
 *
 * Large chunks are maps of their own, on huge pages where the system has them:
 * a build reads records at random, and would miss the translation buffer on
 * nearly each.  Fresh maps are zero and take no memory before they are touched.
 */
#include "grow.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CACHE_LINE 64
#define HUGE_PAGE ((size_t) 2 << 20)
#define MAP_FROM (2 * HUGE_PAGE)

static size_t
chunk_bytes(const HnswGrow *g, int chunk)
{
	size_t bytes = ((size_t) 1 << (chunk + GROW_FIRST_BITS)) * g->size;

	return (bytes + CACHE_LINE - 1) & ~(size_t) (CACHE_LINE - 1);
}

/* A map that begins at a huge page's boundary; NULL: no memory. */
static uint8_t *
map_chunk(size_t bytes)
{
	size_t whole = bytes + HUGE_PAGE;
	uint8_t *start = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *chunk;
	size_t before;

	if (start == MAP_FAILED)
		return NULL;
	before = (HUGE_PAGE - ((uintptr_t) start & (HUGE_PAGE - 1))) & (HUGE_PAGE - 1);
	chunk = start + before;
	if (before > 0)
		munmap(start, before);
	munmap(chunk + bytes, whole - before - bytes);
#ifdef MADV_HUGEPAGE
	madvise(chunk, bytes, MADV_HUGEPAGE);
#endif
	return chunk;
}

/* munmap works on whole pages, so the length of a map is rounded to them. */
static size_t
map_bytes(size_t bytes)
{
	return (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
}

bool
hnsw_grow_reserve(HnswGrow *g, uint64_t count)
{
	while (g->capacity < count)
	{
		uint64_t place = (uint64_t) g->capacity + (1u << GROW_FIRST_BITS);
		int chunk = 63 - __builtin_clzll(place) - GROW_FIRST_BITS;
		size_t bytes = chunk_bytes(g, chunk);

		if (bytes >= MAP_FROM)
			g->chunks[chunk] = map_chunk(map_bytes(bytes));
		else if ((g->chunks[chunk] = aligned_alloc(CACHE_LINE, bytes)) != NULL)
			memset(g->chunks[chunk], 0, bytes);
		if (g->chunks[chunk] == NULL)
			return false;
		g->capacity += (size_t) 1 << (chunk + GROW_FIRST_BITS);
	}
	return true;
}

void
hnsw_grow_free(HnswGrow *g)
{
	for (int i = 0; i < GROW_CHUNKS; i++)
	{
		if (g->chunks[i] == NULL)
			continue;
		if (chunk_bytes(g, i) >= MAP_FROM)
			munmap(g->chunks[i], map_bytes(chunk_bytes(g, i)));
		else
			free(g->chunks[i]);
		g->chunks[i] = NULL;
	}
	g->capacity = 0;
}
