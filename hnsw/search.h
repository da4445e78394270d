/*
 * search.h
 *		A search in progress.  Private to search.c, cursor.c.
 *
 * Nodes pass through the cursor in this order, each at most once:
 *
 *	unknown -> pool    found, its key by its sketch computed; the best ef and a
 *	                   few more are kept sorted, the best ef are expanded
 *	        -> rest    found, but not among the best of its round
 *	pool    -> pending the round is over, the node is admitted; only its key by
 *	                   its code is known, which brackets the true distance
 *	pending -> ready   exact distance computed
 *	ready   -> caller
 *
 * A round is the paper's search with ef; the next round starts from rest.
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
	uint32_t since_poll; /* distances since the interrupt callback was asked */

	float *query; /* owned */
	HnswProbe probe;
	HnswReference reference; /* of query */

	HnswVisited visited; /* nodes that are not unknown */
	HnswPool pool;
	HnswHeap rest;    /* by key; a heap only after hnsw_heap_build */
	HnswHeap pending; /* by the least true key there can be */
	HnswHeap ready;   /* by exact distance */
	HnswBatch batch[2];
	uint32_t ahead; /* records to be asked for before they are needed, > 0 */
};

/*
 * Run one round and the rounds that the filter makes necessary, so that at
 * least one more result is pending; or HNSW_DONE.
 */
HnswStatus hnsw_search_more(HnswCursor *c);

#endif /* HNSW_SEARCH_H */
