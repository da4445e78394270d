/*
 * heap.h
 *		Binary min-heaps of nodes by a double or float, in arrays of the caller.
 */
#ifndef HNSW_HEAP_H
#define HNSW_HEAP_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct HnswHeapEntry
{
	double key;
	uint32_t node;
} HnswHeapEntry;

typedef struct HnswHeap
{
	HnswHeapEntry *entries;
	size_t count;
	size_t capacity;
} HnswHeap;

/* Ties go to the lower node number, so that results do not depend on history. */
static inline bool
hnsw_heap_less(const HnswHeapEntry *a, const HnswHeapEntry *b)
{
	return a->key < b->key || (a->key == b->key && a->node < b->node);
}

/* Make room for more entries; false: no memory, nothing changed. */
static inline bool
hnsw_heap_reserve(HnswHeap *h, size_t more)
{
	size_t need = h->count + more;
	HnswHeapEntry *entries;

	if (need <= h->capacity)
		return true;
	need += need / 2 + 64;
	entries = realloc(h->entries, need * sizeof *entries);
	if (entries == NULL)
		return false;
	h->entries = entries;
	h->capacity = need;
	return true;
}

static inline void
hnsw_heap_sink(HnswHeap *h, size_t i)
{
	HnswHeapEntry moving = h->entries[i];

	for (;;)
	{
		size_t child = 2 * i + 1;

		if (child >= h->count)
			break;
		if (child + 1 < h->count && hnsw_heap_less(&h->entries[child + 1], &h->entries[child]))
			child++;
		if (!hnsw_heap_less(&h->entries[child], &moving))
			break;
		h->entries[i] = h->entries[child];
		i = child;
	}
	h->entries[i] = moving;
}

/* Put in an entry; room has been reserved. */
static inline void
hnsw_heap_push(HnswHeap *h, double key, uint32_t node)
{
	HnswHeapEntry moving = {key, node};
	size_t i = h->count++;

	assert(h->count <= h->capacity);
	while (i > 0 && hnsw_heap_less(&moving, &h->entries[(i - 1) / 2]))
	{
		h->entries[i] = h->entries[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	h->entries[i] = moving;
}

/* Take the smallest out; the heap is not empty. */
static inline HnswHeapEntry
hnsw_heap_pop(HnswHeap *h)
{
	HnswHeapEntry top = h->entries[0];

	h->entries[0] = h->entries[--h->count];
	if (h->count > 1)
		hnsw_heap_sink(h, 0);
	return top;
}

/* Entries were appended without order: make it a heap. */
static inline void
hnsw_heap_build(HnswHeap *h)
{
	for (size_t i = h->count / 2; i > 0; i--)
		hnsw_heap_sink(h, i - 1);
}

#endif /* HNSW_HEAP_H */
