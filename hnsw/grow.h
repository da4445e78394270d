/*
 * grow.h
 *		An array that grows without moving.
 *
 * Elements live in chunks of doubling size, so that a pointer to one stays
 * good while other threads append, and memory that is not used yet is at most
 * as much as is used (and untouched, so the system has not handed it out).
 * Elements whose size is a multiple of 64 begin at cache lines.
 *
 * Growing needs the owner's lock.  Whoever learns an index by way of a lock or
 * an acquire load may reach the element without one.
 */
#ifndef HNSW_GROW_H
#define HNSW_GROW_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GROW_FIRST_BITS 10
#define GROW_CHUNKS (33 - GROW_FIRST_BITS)

typedef struct HnswGrow
{
	size_t size; /* of an element */
	size_t capacity;
	uint8_t *chunks[GROW_CHUNKS];
} HnswGrow;

static inline uint8_t *
hnsw_grow_at(const HnswGrow *g, uint32_t index)
{
	uint64_t place = (uint64_t) index + (1u << GROW_FIRST_BITS);
	int top = 63 - __builtin_clzll(place);

	assert(g->chunks[top - GROW_FIRST_BITS] != NULL);
	return g->chunks[top - GROW_FIRST_BITS] + (place - ((uint64_t) 1 << top)) * g->size;
}

/* Make room for indexes below count.  New elements are zero. */
bool hnsw_grow_reserve(HnswGrow *g, uint64_t count);
void hnsw_grow_free(HnswGrow *g);

#endif /* HNSW_GROW_H */
