/*
 * search.h
 *		A search in progress.  Private to search.c, cursor.c.
 *
 * Nodes pass through the cursor in this order, each at most once:
 *
 *	unknown -> pool    found, its key by its sketch computed; the best ef and a
 *	                   few more are kept sorted, the best ef are expanded
 *	        -> rest    found, but not among the best of its round
 *	        -> gone    the round is over, the filter does not admit it
 *	pool    -> pending its key by its code is known, which brackets the true
 *	                   distance; not before it may be among the k nearest
 *	pending -> ready   exact distance computed
 *	ready   -> caller
 *
 * A round is the paper's search with ef; the next round starts from rest, when
 * the pool has been emptied.
 */
#ifndef HNSW_SEARCH_H
#define HNSW_SEARCH_H

#include "code.h"
#include "distance.h"
#include "heap.h"
#include "pool.h"
#include "visited.h"

/* Nodes just met, not compared yet. */
typedef struct HnswBatch
{
	uint32_t count; /* of all three; room for 2m + 1 */
	uint32_t *links;
	const uint8_t **records; /* their sketches, where there are any */
	float *keys;
} HnswBatch;

struct HnswCursor
{
	const HnswSnapshot *snapshot;
	HnswSearchOptions options;
	HnswStats stats;
	HnswStatus status; /* HNSW_OK, or what every further call returns */
	bool started;
	bool scanned;
	uint32_t k;          /* results that will be read, 0: not known */
	uint32_t given;      /* results so far */
	uint32_t since_poll; /* distances since the interrupt callback was asked */

	float *query; /* owned */
	HnswProbe probe;
	HnswReference reference; /* of query */

	HnswVisited visited; /* nodes that are not unknown */
	HnswPool pool;
	uint32_t refined; /* entries of the pool that have left it, the first ones */
	HnswHeap rest;    /* by key; a heap only after hnsw_heap_build */
	HnswHeap nearest; /* minus the greatest true keys there can be of at most k pending: the farthest first */
	HnswHeap pending; /* by the least true key there can be */
	HnswHeap ready;   /* by exact distance */
	HnswBatch batch[2];
	uint32_t ahead; /* records to be asked for before they are needed, > 0 */
};

/*
 * Run the rounds that it takes, so that at least one more result is pending, and
 * all of the pool that may come next; or HNSW_DONE.
 */
HnswStatus hnsw_search_more(HnswCursor *c);

/* What is still in the pool becomes pending: all of it, or what may be among the k nearest. */
HnswStatus hnsw_search_refine(HnswCursor *c, bool all);

#endif /* HNSW_SEARCH_H */
