/*
 * pool.h
 *		The best candidates of a search so far, sorted by key.
 *
 * A best-first search that keeps ef results never expands anything beyond the
 * ef-th, so one sorted array serves as both queues of the paper: entries carry
 * a mark when they are expanded, and `next` is the first that is not.
 */
#ifndef HNSW_POOL_H
#define HNSW_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct HnswCandidate
{
	float key;
	uint32_t node;
} HnswCandidate;

typedef struct HnswPoolEntry
{
	float key;
	uint32_t node;
	bool expanded;
} HnswPoolEntry;

typedef struct HnswPool
{
	HnswPoolEntry *entries; /* capacity of them */
	uint32_t capacity;
	uint32_t expandable; /* entries from this place on are kept, but not expanded; <= capacity */
	uint32_t count;
	uint32_t next; /* first entry not expanded, or count */
} HnswPool;

static inline void
hnsw_pool_clear(HnswPool *pool)
{
	pool->count = 0;
	pool->next = 0;
}

static inline bool
hnsw_pool_full(const HnswPool *pool)
{
	return pool->count == pool->capacity;
}

/* True if a node of this key would be kept. */
static inline bool
hnsw_pool_accepts(const HnswPool *pool, float key)
{
	return pool->count < pool->capacity || key < pool->entries[pool->count - 1].key;
}

/*
 * Keep a node; among equal keys the earlier stays in front.  A full pool drops
 * its last entry into *dropped and returns true.  hnsw_pool_accepts() holds.
 */
static inline bool
hnsw_pool_insert(HnswPool *pool, float key, uint32_t node, HnswPoolEntry *dropped)
{
	uint32_t low = 0;
	bool drops = pool->count == pool->capacity;

	/* a binary search without branches, for nobody could foretell them */
	for (uint32_t n = pool->count; n > 0; n /= 2)
	{
		uint32_t half = (n + 1) / 2;

		low += pool->entries[low + half - 1].key <= key ? half : 0;
	}
	if (drops)
		*dropped = pool->entries[--pool->count];
	memmove(pool->entries + low + 1, pool->entries + low, (pool->count - low) * sizeof *pool->entries);
	pool->entries[low] = (HnswPoolEntry){key, node, false};
	pool->count++;
	if (low < pool->next)
		pool->next = low;
	return drops;
}

/* Mark and return the nearest entry not expanded; false when there is none. */
static inline bool
hnsw_pool_pop(HnswPool *pool, HnswCandidate *out)
{
	while (pool->next < pool->count && pool->entries[pool->next].expanded)
		pool->next++;
	if (pool->next >= pool->count || pool->next >= pool->expandable)
		return false;
	pool->entries[pool->next].expanded = true;
	*out = (HnswCandidate){pool->entries[pool->next].key, pool->entries[pool->next].node};
	pool->next++;
	return true;
}

#endif /* HNSW_POOL_H */
