/*
 * builder.h
 *		A graph in memory that changes.  Private to hnsw/.
 *
 * Locks, in the order in which they are taken:
 *
 *	entry_lock	held while a node above the top layer is linked, so that two such
 *				nodes find each other
 *	alloc_lock	slots, labels, equal vectors, free list, scratch list, and growing the arrays
 *	node->lock	who changes a node's lists; a spinlock, held for an addition or a
 *				selection, and never two at once
 *
 * Lists are read without a lock.  A writer stores links one by one and the
 * count last, so a reader may meet a list halfway between two states: a link
 * twice, or one missing, but never a number that was not a link.  For a walk
 * that is as good as either state.
 *
 * A node is filled in by one thread before its number is put in any list, and
 * numbers are stored with release and loaded with acquire: who finds one may
 * read vector, code, sketch and level without a lock.  Its vector is there before
 * alloc_lock is given back, so that others find that theirs is equal.
 */
#ifndef HNSW_BUILDER_H
#define HNSW_BUILDER_H

#include "code.h"
#include "grow.h"
#include "pool.h"
#include "table.h"
#include "visited.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>

/* A list of links: their number, then room for hnsw_list_room() of them. */
typedef _Atomic uint32_t HnswList;

/* What a search or an insertion reads of a node. */
typedef struct HnswNode
{
	_Atomic uint8_t lock;
	_Atomic uint8_t dead; /* passed through, never linked to anew */
	uint8_t level;
	uint8_t pad;
	HnswList list[]; /* of layer 0 */
} HnswNode;

typedef struct HnswNodeRest
{
	uint32_t labels; /* how many have its vector; under alloc_lock */
	HnswList *upper; /* one for each of the layers 1 .. level; owned */
} HnswNodeRest;

/* One thread's working memory. */
typedef struct HnswScratch
{
	struct HnswScratch *next;
	HnswProbe probe;
	HnswVisited visited;
	HnswPool pool;             /* capacity is ef_construction */
	HnswCandidate *candidates; /* candidate_capacity of them */
	uint32_t candidate_capacity;

	/* as many of each as the longest list may have */
	uint32_t *links;
	uint32_t *chosen;
	const uint8_t **records; /* of links: what walk_key() reads */
	float *keys;             /* likewise */
} HnswScratch;

struct HnswBuilder
{
	HnswParams params;
	HnswCode code;
	uint32_t code_stride;
	uint32_t room0;       /* hnsw_list_room() on layer 0 */
	uint32_t room;        /* and above */
	uint32_t walk_bytes;  /* of a record that the walk compares by */
	HnswBasis basis;      /* of its sketches; in the base, in learnt, or none */
	float *learnt;        /* owned */
	uint32_t basis_nodes; /* how many vectors it was learnt from */

	/* the nodes of a snapshot, in place; they are the builder's first ones */
	const HnswSnapshot *base;
	uint32_t base_count;

	HnswGrow nodes;    /* HnswNode with its links */
	HnswGrow rest;     /* HnswNodeRest */
	HnswGrow vectors;  /* of nodes from base_count on */
	HnswGrow codes;    /* likewise */
	HnswGrow sketches; /* likewise; size 0 where the code has none */

	pthread_mutex_t entry_lock;
	pthread_mutex_t alloc_lock;
	HnswTable labels; /* their nodes */
	HnswTable equals; /* live nodes by hnsw_vector_hash(); of different vectors with one hash, one of them */
	uint32_t *free_slots; /* repaired dead slots, to be used again */
	uint32_t free_count;
	uint32_t free_capacity;
	HnswScratch *scratch; /* idle ones */

	_Atomic uint32_t slots;
	_Atomic uint64_t live;  /* labels.count */
	_Atomic uint64_t entry; /* level << 32 | node; node HNSW_NO_NODE when empty */
	_Atomic bool has_dead;  /* links may lead to dead nodes */
	_Atomic bool changed;   /* nodes may be out of reach */
};

#define ENTRY_OF(level, node) ((uint64_t) (level) << 32 | (node))
#define ENTRY_NODE(entry) ((uint32_t) (entry))
#define ENTRY_LEVEL(entry) ((uint32_t) ((entry) >> 32))
#define ENTRY_NONE ENTRY_OF(0, HNSW_NO_NODE)

static inline HnswNode *
hnsw_node(const HnswBuilder *b, uint32_t id)
{
	return (HnswNode *) hnsw_grow_at(&b->nodes, id);
}

static inline HnswNodeRest *
hnsw_node_rest(const HnswBuilder *b, uint32_t id)
{
	return (HnswNodeRest *) hnsw_grow_at(&b->rest, id);
}

static inline const float *
hnsw_node_vector(const HnswBuilder *b, uint32_t id)
{
	return id < b->base_count ? hnsw_vector(b->base, id)
							  : (const float *) hnsw_grow_at(&b->vectors, id - b->base_count);
}

static inline const uint8_t *
hnsw_node_code(const HnswBuilder *b, uint32_t id)
{
	return id < b->base_count ? hnsw_code(b->base, id) : hnsw_grow_at(&b->codes, id - b->base_count);
}

static inline const uint8_t *
hnsw_node_sketch(const HnswBuilder *b, uint32_t id)
{
	return id < b->base_count ? hnsw_sketch(b->base, id) : hnsw_grow_at(&b->sketches, id - b->base_count);
}

/* A node's links on a layer it is on. */
static inline HnswList *
hnsw_node_list(const HnswBuilder *b, uint32_t id, uint32_t layer)
{
	if (layer == 0)
		return hnsw_node(b, id)->list;
	assert(layer <= hnsw_node(b, id)->level);
	return hnsw_node_rest(b, id)->upper + (size_t) (layer - 1) * (1 + b->room);
}

/* How many links a node has in the end. */
static inline uint32_t
hnsw_max_links(const HnswBuilder *b, uint32_t layer)
{
	return layer == 0 ? 2 * b->params.m : b->params.m;
}

/*
 * How many it may have until then.  A list that is full is cut down to
 * hnsw_max_links(); so the choice, which is what an addition costs, is made
 * once for many additions.  hnsw_builder_repair() makes it for the last time.
 */
static inline uint32_t
hnsw_list_room(const HnswBuilder *b, uint32_t layer)
{
	return layer == 0 ? b->room0 : b->room;
}

static inline uint32_t
hnsw_list_count(const HnswList *list)
{
	return atomic_load_explicit(list, memory_order_acquire);
}

static inline uint32_t
hnsw_list_at(const HnswList *list, uint32_t i)
{
	return atomic_load_explicit(list + 1 + i, memory_order_acquire);
}

/* Replace a link.  The node is locked, or nobody else sees it. */
static inline void
hnsw_list_put(HnswList *list, uint32_t i, uint32_t id)
{
	atomic_store_explicit(list + 1 + i, id, memory_order_release);
}

/* Add a link where there is room, likewise. */
static inline void
hnsw_list_append(HnswList *list, uint32_t id)
{
	uint32_t count = atomic_load_explicit(list, memory_order_relaxed);

	hnsw_list_put(list, count, id);
	atomic_store_explicit(list, count + 1, memory_order_release);
}

/* Replace all links, likewise. */
static inline void
hnsw_list_set(HnswList *list, const uint32_t *ids, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		hnsw_list_put(list, i, ids[i]);
	atomic_store_explicit(list, count, memory_order_release);
}

static inline bool
hnsw_list_contains(const HnswList *list, uint32_t id)
{
	uint32_t count = hnsw_list_count(list);

	for (uint32_t i = 0; i < count; i++)
		if (hnsw_list_at(list, i) == id)
			return true;
	return false;
}

static inline void
hnsw_node_lock(HnswNode *node)
{
	int spins = 0;

	while (atomic_exchange_explicit(&node->lock, 1, memory_order_acquire))
		if (++spins % 64 == 0)
			sched_yield();
}

static inline void
hnsw_node_unlock(HnswNode *node)
{
	assert(atomic_load_explicit(&node->lock, memory_order_relaxed) == 1);
	atomic_store_explicit(&node->lock, 0, memory_order_release);
}

static inline bool
hnsw_node_dead(const HnswBuilder *b, uint32_t id)
{
	return atomic_load_explicit(&hnsw_node(b, id)->dead, memory_order_relaxed);
}

static inline float
hnsw_node_pair_key(const HnswBuilder *b, const HnswProbe *probe, uint32_t x, uint32_t y)
{
	return hnsw_pair_key(probe, hnsw_node_vector(b, x), hnsw_node_code(b, x), hnsw_node_vector(b, y),
						 hnsw_node_code(b, y));
}

/* ---------- builder.c ---------- */

/* Take a thread's memory from the builder, and give it back; NULL: no memory. */
HnswScratch *hnsw_scratch_take(HnswBuilder *b);
void hnsw_scratch_give(HnswBuilder *b, HnswScratch *s);

/* Make its visited set large enough for all slots; false: no memory. */
bool hnsw_scratch_fit(const HnswBuilder *b, HnswScratch *s);

/*
 * hnsw_builder_add with a thread's own memory.  start is a node near by on
 * layer 1, or HNSW_NO_NODE.
 */
HnswStatus hnsw_add_node(HnswBuilder *b, HnswScratch *s, int64_t label, const float *vector, uint32_t start,
						 HnswError *err);

/*
 * The first vectors of an empty builder decide how it sketches; of one that is
 * not empty nothing changes.  Those that cannot be in a graph do no harm.
 */
HnswStatus hnsw_builder_learn(HnswBuilder *b, size_t n, const float *vectors, const HnswTask *task,
							  HnswError *err);

/* The code of new graphs. */
HnswCode hnsw_choose_code(uint32_t dim);

/* ---------- equal.c: equal vectors, one node; all under alloc_lock ---------- */

/* The live node of a vector, whose hash is told; or HNSW_NO_NODE. */
uint32_t hnsw_equal_node(const HnswBuilder *b, uint64_t hash, const float *vector);

/* A node's vector is there, and equal to no other: later ones will find it.  There is room for one more. */
void hnsw_equal_note(HnswBuilder *b, uint64_t hash, uint32_t id);

/* The label belongs to this node from now on, and to no other.  There is room for one more. */
void hnsw_give_label(HnswBuilder *b, int64_t label, uint32_t id);

/* One label less belongs to the node, which is dead without any. */
void hnsw_drop_label(HnswBuilder *b, uint32_t id);

/* ---------- insert.c ---------- */

/*
 * Link a filled-in node into every layer it belongs to.  Cannot fail.  A start
 * other than HNSW_NO_NODE is where the search on layer 0 may begin.
 */
void hnsw_link_node(HnswBuilder *b, HnswScratch *s, uint32_t id, uint32_t start);

/* Walk to the nearest node to the probe on a layer, from start; returns it. */
uint32_t hnsw_descend(HnswBuilder *b, HnswScratch *s, uint32_t start, uint32_t layer);

/* Copy a node's links on a layer it is on; room for hnsw_list_room(). */
uint32_t hnsw_copy_links(const HnswBuilder *b, uint32_t id, uint32_t layer, uint32_t *links);

/* Put a link into a node's list; in a full one the heuristic decides. */
void hnsw_link_add(HnswBuilder *b, HnswScratch *s, uint32_t from, uint32_t to, uint32_t layer);

/* Cut a node's lists down to hnsw_max_links(). */
void hnsw_trim_lists(HnswBuilder *b, HnswScratch *s, uint32_t id);

/* The best nodes near the probe on one layer go to s->pool, begun at start. */
void hnsw_search_layer(HnswBuilder *b, HnswScratch *s, uint32_t start, uint32_t layer, uint32_t exclude);

/* ---------- select.c ---------- */

/*
 * Choose at most max of the candidates (sorted by key, distinct) as neighbours
 * of the node whose keys they carry.
 */
uint32_t hnsw_select(const HnswBuilder *b, const HnswProbe *probe, HnswCandidate *candidates, uint32_t count,
					 uint32_t max, uint32_t *chosen);

void hnsw_sort_candidates(HnswCandidate *candidates, uint32_t count);

/* ---------- connect.c ---------- */

/* Make every live node reachable on layer 0, given that no list leads to a dead one. */
HnswStatus hnsw_connect(HnswBuilder *b, const HnswTask *task, HnswError *err);

/* ---------- parallel.c ---------- */

/*
 * Call work(arg, scratch, i) for each i below n, on the task's threads.  It
 * stops at the first status that is not HNSW_OK, and when the task is cancelled.
 */
typedef HnswStatus (*HnswWork)(void *arg, HnswScratch *scratch, uint64_t i, HnswError *err);
HnswStatus hnsw_parallel(HnswBuilder *b, uint64_t n, HnswWork work, void *arg, const HnswTask *task,
						 HnswError *err);

#endif /* HNSW_BUILDER_H */
