/*
 * search.h
 *		A search in progress.  Private to the files that are named here.
 *
 * Nodes pass through the cursor in this order, each at most once:
 *
 *	unknown -> pool    found, its key by its sketch computed; the best are kept
 *	                   sorted, the best of these are expanded
 *	        -> rest    found, but not among the best of its round or stage
 *	        -> gone    the filter does not admit it
 *	pool    -> pending its key by its code is known, which brackets the true
 *	                   distance; not before it may be among the k nearest
 *	pending -> ready   exact distance computed
 *	ready   -> ties    nothing is nearer: its labels are given to the caller
 *
 * Who names ef gets rounds (rounds.c): the paper's search with ef; the next round
 * starts from rest, when the pool has been emptied.  Who names a margin gets
 * stages (stages.c), which go on with the same pool.
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

/* A node whose labels are being given. */
typedef struct HnswTie
{
	int64_t label; /* the next one, or the last one given */
	bool given;
	uint32_t place; /* of label in LABELS */
	uint32_t end;
} HnswTie;

/* Nodes at one distance: a heap by label. */
typedef struct HnswTies
{
	HnswTie *entries;
	size_t count;
	size_t capacity;
	double distance;
} HnswTies;

/* Of stages: so many finds are kept, refined and (but for the last four) expanded in any case. */
#define HNSW_LEAST_KEPT 52

struct HnswCursor
{
	const HnswSnapshot *snapshot;
	HnswSearchOptions options;
	HnswStats stats;
	HnswStatus status; /* HNSW_OK, or what every further call returns */
	bool started;
	bool scanned;
	bool one_a_node;     /* give one label of each node */
	uint32_t k;          /* results that will be read, 0: not known */
	uint32_t given;      /* nodes so far, for k results k of them at most */
	uint64_t opened;     /* their labels, */
	uint64_t asked;      /* and those of nodes that the filter was asked about */
	uint32_t since_poll; /* distances since the interrupt callback was asked */

	float *query; /* owned */
	HnswProbe probe;
	HnswReference reference; /* of query */

	HnswVisited visited; /* nodes that are not unknown */
	HnswPool pool;
	uint32_t refined; /* entries of the pool that have left it, the first ones */
	HnswHeap rest;    /* by key; a heap only after hnsw_heap_build */
	HnswHeap nearest; /* HnswRefining's */
	HnswHeap pending; /* by the least true key there can be */
	HnswHeap ready;   /* by exact distance */
	HnswTies ties;    /* the nearest ones */
	HnswBatch batch[2];
	uint32_t ahead; /* records to be asked for before they are needed, > 0 */

	/* stages */
	bool adaptive;
	bool hopeless;     /* the filter admits too little for a walk */
	uint32_t goal;     /* results that the stage is to find; 0: before the first */
	float longest;     /* length of the longest vector seen; of inner products only */
	float zero;        /* the key that nothing can be nearer than, from where keys are counted */
	float farthest;    /* key of the goal-th best admitted find, */
	uint32_t rank;     /* its rank among all finds, */
	float limit;       /* and what is beyond this is not expanded */
	HnswHeap admitted; /* under a filter: minus the goal least keys admitted */
	uint32_t popped;   /* expanded */
	uint32_t popped_admitted;
};

/* ---------- search.c: the walk ---------- */

/* Go down from the entry point to layer 0; all that is met on the way is a find. */
HnswStatus hnsw_search_descend(HnswCursor *c);

/* Expand what there is to expand. */
HnswStatus hnsw_search_walk(HnswCursor *c);

/*
 * The keys by which the walk compares a batch, whose first c->ahead records have
 * been asked for; false when one is not sound.
 */
bool hnsw_search_keys(const HnswCursor *c, HnswBatch *batch);

/* The key of a node by its code; false when the record is not sound. */
bool hnsw_search_code_key(const HnswCursor *c, uint32_t node, float *key);

/* Count distances, and ask the interrupt callback now and then. */
HnswStatus hnsw_search_poll(HnswCursor *c, uint32_t distances);

/* ---------- refine.c ---------- */

/* Whether the filter admits a label of the node; HNSW_DONE when it does not. */
HnswStatus hnsw_search_admit(HnswCursor *c, uint32_t node);

/* The node is pending under the least key it may truly have; *code: the key by its code. */
HnswStatus hnsw_search_pend(HnswCursor *c, uint32_t node, float *code, float *slack);

/*
 * Candidates in order of their keys by sketches become pending until, by all that
 * was seen of how far keys by codes are from these, no later one is among the k
 * nearest of them.  k 0: all of them do.
 */
typedef struct HnswRefining
{
	HnswCursor *c;
	HnswHeap *nearest; /* minus the greatest true keys there can be of at most k: the farthest first */
	uint32_t k;
	uint32_t n; /* differences, their sum, and that of their squares */
	double sum;
	double squares;
} HnswRefining;

HnswRefining hnsw_refining(HnswCursor *c, uint32_t k);
bool hnsw_refining_ends(const HnswRefining *refining, double key);
HnswStatus hnsw_refining_pend(HnswRefining *refining, uint32_t node, double key);

/* What is still in the pool becomes pending: all of it, or what may be among the k nearest. */
HnswStatus hnsw_search_refine(HnswCursor *c, bool all);

/* ---------- ties.c ---------- */

/*
 * From *place on, before end, the first place of a label that the filter admits,
 * and the label; HNSW_DONE without any.
 */
HnswStatus hnsw_search_label(HnswCursor *c, uint32_t *place, uint32_t end, int64_t *label);

/* The nearest of what is ready, of which there is some, is to be given. */
HnswStatus hnsw_ties_open(HnswCursor *c);

/* The next label of what was opened, or HNSW_DONE. */
HnswStatus hnsw_ties_next(HnswCursor *c, HnswHit *hit);

/* ---------- rounds.c ---------- */

/*
 * Run the rounds that it takes, so that at least one more result is pending, and
 * all of the pool that may come next; or HNSW_DONE.
 */
HnswStatus hnsw_rounds_more(HnswCursor *c);

/* ---------- stages.c ---------- */

/* What is asked of the snapshot once; false when it is not sound. */
bool hnsw_stages_measure(HnswCursor *c);

/* Before a query's first stage. */
void hnsw_stages_begin(HnswCursor *c);

/* The same as rounds_more: results up to the next goal are pending or ready. */
HnswStatus hnsw_stages_more(HnswCursor *c);

/* For the walk: whether the nearest unexpanded entry is to be expanded; and that it was chosen. */
bool hnsw_stage_goes_on(HnswCursor *c);
HnswStatus hnsw_stage_popped(HnswCursor *c);

/* Room in the pool for more finds; false: no memory. */
bool hnsw_search_room(HnswCursor *c, uint32_t more);

#endif /* HNSW_SEARCH_H */
