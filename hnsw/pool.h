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

#include "heap.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* So many entries are looked through one by one for the place of a node. */
#define HNSW_POOL_NEAR 64

typedef struct HnswCandidate
{
	float key;
	uint32_t node;
} HnswCandidate;

/* What has happened to an entry. */
enum
{
	HNSW_EXPANDED = 1 << 0,
	HNSW_ADMITTED = 1 << 1, /* the filter was asked */
	HNSW_LEFT = 1 << 2      /* it is pending, or the filter does not admit it */
};

typedef struct HnswPoolEntry
{
	float key;
	uint32_t node;
	uint8_t marks;
} HnswPoolEntry;

typedef struct HnswPool
{
	HnswPoolEntry *entries; /* capacity of them; behind, room for as many as are put in at once */
	uint32_t capacity;
	uint32_t expandable; /* entries from this place on are kept, but not expanded; <= capacity */
	uint32_t count;
	uint32_t next;  /* first entry not expanded, or count */
	float limit;    /* keys from here on are not kept, */
	uint32_t least; /* unless there are fewer entries than this */
} HnswPool;

static inline void
hnsw_pool_clear(HnswPool *pool)
{
	pool->count = 0;
	pool->next = 0;
	pool->limit = INFINITY;
}

static inline bool
hnsw_pool_full(const HnswPool *pool)
{
	return pool->count == pool->capacity;
}

static inline void
hnsw_pool_leave(HnswHeap *rest, float key, uint32_t node)
{
	assert(rest == NULL || rest->count < rest->capacity);
	if (rest != NULL)
		rest->entries[rest->count++] = (HnswHeapEntry){key, node};
}

/* For assertions: keys do not fall, and what comes before next has been expanded; looked at in front. */
static inline bool
hnsw_pool_is_sound(const HnswPool *pool)
{
	if (pool->count > pool->capacity || pool->next > pool->count)
		return false;
	for (uint32_t i = 0; i < pool->count && i < HNSW_POOL_NEAR; i++)
		if ((i > 0 && pool->entries[i - 1].key > pool->entries[i].key) ||
			(i < pool->next && (pool->entries[i].marks & HNSW_EXPANDED) == 0))
			return false;
	return true;
}

/* How many of the first count entries are no farther than key. */
static inline uint32_t
hnsw_pool_place(const HnswPoolEntry *entries, uint32_t count, float key)
{
	uint32_t place = 0;

	for (uint32_t n = count; n > 0; n /= 2)
	{
		uint32_t half = (n + 1) / 2;

		if (entries[place + half - 1].key <= key)
			place += half;
	}
	return place;
}

/* The least key that is not kept. */
static inline float
hnsw_pool_limit(const HnswPool *pool)
{
	const HnswPoolEntry *entries = pool->entries;
	float limit = pool->limit;

	if (limit < INFINITY && pool->least > 0)
	{
		if (pool->count < pool->least)
			limit = INFINITY;
		else if (entries[pool->least - 1].key > limit)
			limit = entries[pool->least - 1].key;
	}
	if (hnsw_pool_full(pool) && entries[pool->count - 1].key < limit)
		limit = entries[pool->count - 1].key;
	return limit;
}

/*
 * Put in n nodes and keep the best; among equal keys the earlier stays in front.
 * What is not kept goes to the rest, in no order, where there is one, with room
 * for n.  True when the next to be expanded is another.
 */
static inline bool
hnsw_pool_put(HnswPool *pool, const float *keys, const uint32_t *nodes, uint32_t n, HnswHeap *rest)
{
	HnswPoolEntry *entries = pool->entries;
	HnswPoolEntry *fresh = entries + pool->capacity;
	uint32_t count = pool->count;
	float limit = hnsw_pool_limit(pool);
	uint32_t more = 0;

	assert(hnsw_pool_is_sound(pool));
	/* sort those that will stay, a few of many */
	for (uint32_t i = 0; i < n; i++)
	{
		uint32_t place = more;

		if (keys[i] >= limit)
		{
			hnsw_pool_leave(rest, keys[i], nodes[i]);
			continue;
		}
		for (; place > 0 && fresh[place - 1].key > keys[i]; place--)
			fresh[place] = fresh[place - 1];
		fresh[place] = (HnswPoolEntry){keys[i], nodes[i], 0};
		more++;
	}
	while (count + more > pool->capacity)
	{
		bool old = count > 0 && entries[count - 1].key > fresh[more - 1].key;
		const HnswPoolEntry *last = old ? &entries[--count] : &fresh[--more];

		hnsw_pool_leave(rest, last->key, last->node);
	}
	pool->count = count + more;
	if (more == 0)
		return false;

	/* merge from behind: each entry moves at most once */
	for (; more > 0; more--)
	{
		HnswPoolEntry e = fresh[more - 1];
		uint32_t near = count > HNSW_POOL_NEAR ? count - HNSW_POOL_NEAR : 0;

		for (; count > near && entries[count - 1].key > e.key; count--)
			entries[count + more - 1] = entries[count - 1];
		if (count == near)
		{
			uint32_t place = hnsw_pool_place(entries, count, e.key);

			memmove(entries + place + more, entries + place, (count - place) * sizeof *entries);
			count = place;
		}
		entries[count + more - 1] = e;
	}
	if (count > pool->next)
		return false;
	pool->next = count;
	return true;
}

/* Find the nearest entry not expanded; false when there is none. */
static inline bool
hnsw_pool_peek(HnswPool *pool)
{
	while (pool->next < pool->count && pool->entries[pool->next].marks & HNSW_EXPANDED)
		pool->next++;
	return pool->next < pool->count && pool->next < pool->expandable;
}

/* Mark and return it. */
static inline bool
hnsw_pool_pop(HnswPool *pool, HnswCandidate *out)
{
	if (!hnsw_pool_peek(pool))
		return false;
	pool->entries[pool->next].marks |= HNSW_EXPANDED;
	*out = (HnswCandidate){pool->entries[pool->next].key, pool->entries[pool->next].node};
	pool->next++;
	return true;
}

#endif /* HNSW_POOL_H */
