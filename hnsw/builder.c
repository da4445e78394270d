/*
 * builder.c
 *		The builder: its memory, its nodes, what the writer reads of it.
 *
 * Insertion has two halves.  The first, here, takes all the memory and fills
 * in the node, and may fail; the second (insert.c) links it and cannot.
 */
#include "builder.h"
#include "distance.h"
#include "rng.h"

#include <inttypes.h>

/* Below this many dimensions the vectors are no larger than a cache line or two: no codes. */
#define CODE_MIN_DIM 32

static HnswStatus
check_params(const HnswParams *p, HnswError *err)
{
	if (p->dim < 1 || p->dim > HNSW_MAX_DIM)
		return hnsw_fail(err, HNSW_INVALID, "dim is %" PRIu32 ", it must be 1 to %d", p->dim, HNSW_MAX_DIM);
	if (p->metric < HNSW_COSINE || p->metric > HNSW_IP)
		return hnsw_fail(err, HNSW_INVALID, "unknown metric %d", (int) p->metric);
	if (p->m < HNSW_MIN_M || p->m > HNSW_MAX_M)
		return hnsw_fail(err, HNSW_INVALID, "m is %" PRIu32 ", it must be %d to %d", p->m, HNSW_MIN_M,
						 HNSW_MAX_M);
	if (p->ef_construction < 1 || p->ef_construction > HNSW_MAX_EF)
		return hnsw_fail(err, HNSW_INVALID, "ef_construction is %" PRIu32 ", it must be 1 to %d",
						 p->ef_construction, HNSW_MAX_EF);
	return HNSW_OK;
}

/*
 * Room for a quarter more than max links, and for what then remains of the
 * last cache line; before is what stands there before the list.
 */
static uint32_t
list_room(uint32_t max, size_t before)
{
	size_t bytes = before + (1 + (size_t) max + max / 4) * sizeof(HnswList);

	bytes = (bytes + HNSW_LINE - 1) / HNSW_LINE * HNSW_LINE;
	return (uint32_t) ((bytes - before) / sizeof(HnswList)) - 1;
}

HnswStatus
hnsw_builder_create(const HnswParams *params, uint64_t capacity, HnswBuilder **out, HnswError *err)
{
	HnswStatus status = check_params(params, err);
	HnswBuilder *b;

	*out = NULL;
	if (status != HNSW_OK)
		return status;
	b = calloc(1, sizeof *b);
	if (b == NULL)
		return hnsw_fail(err, HNSW_NOMEM, "out of memory for an empty graph");
	b->params = *params;
	b->code = hnsw_choose_code(params->dim);
	b->code_stride = hnsw_code_stride(b->code, params->dim);
	b->room0 = list_room(2 * params->m, sizeof(HnswNode));
	b->room = list_room(params->m, 0);
	b->nodes.size = sizeof(HnswNode) + (1 + (size_t) b->room0) * sizeof(HnswList);
	b->rest.size = sizeof(HnswNodeRest);
	b->vectors.size = params->dim * sizeof(float);
	b->codes.size = b->code_stride;
	b->basis = hnsw_basis_at(NULL, params->dim, 0);
	b->sketches.size = hnsw_sketch_stride(b->code, params->dim);
	b->walk_bytes = (uint32_t) (b->code == HNSW_CODE_F32 ? b->vectors.size : b->sketches.size);
	atomic_init(&b->entry, ENTRY_NONE);
	pthread_mutex_init(&b->entry_lock, NULL);
	pthread_mutex_init(&b->alloc_lock, NULL);

	/* only a hint: what cannot be had now may be had when it is needed */
	if (capacity > 0 && capacity < HNSW_MAX_NODES)
		(void) (hnsw_table_reserve(&b->labels, capacity) && hnsw_table_reserve(&b->equals, capacity));
	*out = b;
	return HNSW_OK;
}

HnswCode
hnsw_choose_code(uint32_t dim)
{
	return dim < CODE_MIN_DIM ? HNSW_CODE_F32 : HNSW_CODE_SQ8;
}

static void
scratch_free(HnswScratch *s)
{
	hnsw_probe_free(&s->probe);
	hnsw_visited_free(&s->visited);
	free(s->pool.entries);
	free(s->candidates);
	free(s->links);
	free(s->chosen);
	free(s->records);
	free(s->keys);
	free(s);
}

void
hnsw_builder_free(HnswBuilder *b)
{
	uint32_t slots;

	if (b == NULL)
		return;
	slots = hnsw_builder_slots(b);
	for (uint32_t id = 0; id < slots; id++)
		free(hnsw_node_rest(b, id)->upper);
	while (b->scratch != NULL)
	{
		HnswScratch *next = b->scratch->next;

		scratch_free(b->scratch);
		b->scratch = next;
	}
	hnsw_grow_free(&b->nodes);
	hnsw_grow_free(&b->rest);
	hnsw_grow_free(&b->vectors);
	hnsw_grow_free(&b->codes);
	hnsw_grow_free(&b->sketches);
	hnsw_table_free(&b->labels);
	hnsw_table_free(&b->equals);
	free(b->learnt);
	free(b->free_slots);
	pthread_mutex_destroy(&b->entry_lock);
	pthread_mutex_destroy(&b->alloc_lock);
	free(b);
}

uint64_t
hnsw_builder_count(const HnswBuilder *b)
{
	return atomic_load_explicit(&b->live, memory_order_relaxed);
}

static HnswScratch *
scratch_create(const HnswBuilder *b)
{
	HnswScratch *s = calloc(1, sizeof *s);
	size_t degree = b->room0 > b->room ? b->room0 : b->room;
	uint32_t ef = b->params.ef_construction;

	if (s == NULL)
		return NULL;

	/* a pool wide enough for m neighbours whatever ef_construction is */
	if (ef < b->params.m + 1)
		ef = b->params.m + 1;
	s->pool.capacity = ef;
	s->pool.expandable = ef;
	s->candidate_capacity = ef + 16 * b->params.m + (uint32_t) degree;
	s->pool.entries = malloc(((size_t) ef + degree) * sizeof *s->pool.entries);
	s->candidates = malloc(s->candidate_capacity * sizeof *s->candidates);
	s->links = malloc(degree * sizeof *s->links);
	s->chosen = malloc(degree * sizeof *s->chosen);
	s->records = malloc(degree * sizeof *s->records);
	s->keys = malloc(degree * sizeof *s->keys);
	if (!hnsw_probe_init(&s->probe, b->code, b->params.metric, &b->basis) || s->pool.entries == NULL ||
		s->candidates == NULL || s->links == NULL || s->chosen == NULL || s->records == NULL ||
		s->keys == NULL)
	{
		scratch_free(s);
		return NULL;
	}
	return s;
}

HnswScratch *
hnsw_scratch_take(HnswBuilder *b)
{
	HnswScratch *s;

	pthread_mutex_lock(&b->alloc_lock);
	s = b->scratch;
	if (s != NULL)
		b->scratch = s->next;
	pthread_mutex_unlock(&b->alloc_lock);
	return s != NULL ? s : scratch_create(b);
}

void
hnsw_scratch_give(HnswBuilder *b, HnswScratch *s)
{
	pthread_mutex_lock(&b->alloc_lock);
	s->next = b->scratch;
	b->scratch = s;
	pthread_mutex_unlock(&b->alloc_lock);
}

bool
hnsw_scratch_fit(const HnswBuilder *b, HnswScratch *s)
{
	size_t slots = hnsw_builder_slots(b);

	if (slots < s->visited.nodes)
		return true;
	return hnsw_visited_reserve(&s->visited, slots + slots / 4 + 1024);
}

/* ---------- adding ---------- */

/*
 * A free slot with memory for everything, or HNSW_NO_NODE.  alloc_lock is
 * held.  A slot that is given up again goes to the free list.
 */
static uint32_t
take_slot(HnswBuilder *b)
{
	uint32_t id = atomic_load_explicit(&b->slots, memory_order_relaxed);

	if (b->free_count > 0)
		return b->free_slots[--b->free_count];
	if (id == HNSW_NO_NODE || !hnsw_grow_reserve(&b->nodes, (uint64_t) id + 1) ||
		!hnsw_grow_reserve(&b->rest, (uint64_t) id + 1) ||
		!hnsw_grow_reserve(&b->vectors, (uint64_t) id - b->base_count + 1) ||
		!hnsw_grow_reserve(&b->codes, (uint64_t) id - b->base_count + 1) ||
		(b->sketches.size > 0 && !hnsw_grow_reserve(&b->sketches, (uint64_t) id - b->base_count + 1)))
		return HNSW_NO_NODE;

	/* dead until it is linked */
	atomic_store_explicit(&hnsw_node(b, id)->dead, 1, memory_order_relaxed);
	atomic_store_explicit(&b->slots, id + 1, memory_order_release);
	return id;
}

/*
 * Room for every slot in the free list, made before a slot is taken so that
 * giving one up cannot fail.  alloc_lock is held.
 */
static bool
reserve_free_list(HnswBuilder *b)
{
	uint32_t *bigger;
	uint32_t need = b->free_count + 64;

	if (b->free_capacity >= need)
		return true;
	bigger = realloc(b->free_slots, (size_t) need * 2 * sizeof *bigger);
	if (bigger == NULL)
		return false;
	b->free_slots = bigger;
	b->free_capacity = need * 2;
	return true;
}

/* What others may ask of a node that is linked to nothing yet.  alloc_lock is held. */
static void
begin_node(HnswBuilder *b, uint32_t id, uint32_t level, HnswList *upper, const float *vector)
{
	HnswNode *node = hnsw_node(b, id);
	HnswNodeRest *rest = hnsw_node_rest(b, id);

	memcpy(hnsw_grow_at(&b->vectors, id - b->base_count), vector, b->vectors.size);
	node->level = (uint8_t) level;
	atomic_store_explicit(node->list, 0, memory_order_relaxed);
	rest->labels = 0;
	rest->upper = upper;
	atomic_store_explicit(&node->dead, 0, memory_order_relaxed);
}

/* The rest of what a walk compares by, which takes time. */
static void
encode_node(HnswBuilder *b, uint32_t id, const float *vector)
{
	hnsw_code_encode(b->code, b->params.metric, vector, b->params.dim,
					 hnsw_grow_at(&b->codes, id - b->base_count));
	if (b->sketches.size > 0)
		hnsw_sketch_encode(b->params.metric, &b->basis, vector,
						   hnsw_grow_at(&b->sketches, id - b->base_count));
}

/*
 * The node that shall bear a label: *id, which is new unless *upper stays.  It takes
 * upper, room for the links of so many levels, over.  alloc_lock is held.
 */
static HnswStatus
place_label(HnswBuilder *b, HnswScratch *s, int64_t label, const float *vector, uint32_t level,
			HnswList **upper, uint32_t *id, bool *fresh, HnswError *err)
{
	uint64_t hash = hnsw_vector_hash(vector, b->params.dim);

	*fresh = false;
	if (b->labels.count >= HNSW_MAX_NODES || !reserve_free_list(b) ||
		!hnsw_table_reserve(&b->labels, b->labels.count + 1) ||
		!hnsw_table_reserve(&b->equals, b->equals.count + 1))
		return hnsw_fail(err, HNSW_NOMEM, "out of memory for a graph of %" PRIu64 " vectors",
						 hnsw_builder_count(b) + 1);
	*id = hnsw_equal_node(b, hash, vector);
	if (*id == HNSW_NO_NODE)
	{
		*id = take_slot(b);
		if (*id == HNSW_NO_NODE)
			return hnsw_fail(err, HNSW_NOMEM, "out of memory for a graph of %" PRIu64 " vectors",
							 hnsw_builder_count(b) + 1);
		if (!hnsw_scratch_fit(b, s))
		{
			b->free_slots[b->free_count++] = *id;
			return hnsw_fail(err, HNSW_NOMEM, "out of memory for a search among %" PRIu64 " vectors",
							 hnsw_builder_count(b) + 1);
		}
		begin_node(b, *id, level, *upper, vector);
		*upper = NULL;
		*fresh = true;
		hnsw_equal_note(b, hash, *id);
	}
	hnsw_give_label(b, label, *id);
	return HNSW_OK;
}

/*
 * The first half of an insertion.  *id is a filled-in node that bears label, linked
 * to nothing; or HNSW_NO_NODE where one that is there already has the vector.
 */
static HnswStatus
prepare(HnswBuilder *b, HnswScratch *s, int64_t label, const float *vector, uint32_t *id, HnswError *err)
{
	uint32_t level = hnsw_level(b->params.seed, label, b->params.m);
	HnswList *upper = NULL;
	HnswStatus status;
	bool fresh;

	if (level > 0)
	{
		upper = calloc((size_t) level * (1 + b->room), sizeof *upper);
		if (upper == NULL)
			return hnsw_fail(err, HNSW_NOMEM, "out of memory for the links of a node");
	}
	pthread_mutex_lock(&b->alloc_lock);
	status = place_label(b, s, label, vector, level, &upper, id, &fresh, err);
	pthread_mutex_unlock(&b->alloc_lock);
	free(upper);
	if (status != HNSW_OK)
		return status;
	if (fresh)
		encode_node(b, *id, vector);
	else
		*id = HNSW_NO_NODE;
	return HNSW_OK;
}

HnswStatus
hnsw_add_node(HnswBuilder *b, HnswScratch *s, int64_t label, const float *vector, uint32_t start,
			  HnswError *err)
{
	HnswStatus status;
	uint32_t id = HNSW_NO_NODE;

	if (!hnsw_vector_usable(b->params.metric, vector, b->params.dim))
		return hnsw_fail(err, HNSW_INVALID,
						 "the vector of label %" PRId64 " is not finite, or has length zero under cosine",
						 label);
	status = prepare(b, s, label, vector, &id, err);
	if (status != HNSW_OK || id == HNSW_NO_NODE)
		return status;
	hnsw_probe_set(&s->probe, vector);
	hnsw_link_node(b, s, id, start);
	atomic_store_explicit(&b->changed, true, memory_order_relaxed);
	return HNSW_OK;
}

HnswStatus
hnsw_builder_add(HnswBuilder *b, int64_t label, const float *vector, HnswError *err)
{
	HnswScratch *s = hnsw_scratch_take(b);
	HnswStatus status;

	if (s == NULL)
		return hnsw_fail(err, HNSW_NOMEM, "out of memory for an insertion");
	status = hnsw_add_node(b, s, label, vector, HNSW_NO_NODE, err);
	hnsw_scratch_give(b, s);
	return status;
}

/* ---------- what sketches have coordinates of ---------- */

typedef struct Rows
{
	const float *vectors;
	uint32_t dim;
} Rows;

static const float *
row_at(void *arg, uint32_t i)
{
	const Rows *rows = arg;

	return rows->vectors + (size_t) i * rows->dim;
}

HnswStatus
hnsw_builder_learn(HnswBuilder *b, size_t n, const float *vectors, const HnswTask *task, HnswError *err)
{
	Rows rows = {vectors, b->params.dim};
	uint32_t count = n < HNSW_MAX_NODES ? (uint32_t) n : HNSW_MAX_NODES;
	uint32_t rank;
	HnswStatus status;

	if (hnsw_builder_slots(b) > 0 || b->code != HNSW_CODE_SQ8 || b->basis.rank > 0)
		return HNSW_OK;
	status =
		hnsw_basis_learn(b->params.metric, b->params.dim, count, row_at, &rows, task, &b->learnt, &rank, err);
	if (status != HNSW_OK)
		return status;
	b->basis_nodes = count;
	if (rank == 0)
		return HNSW_OK;
	b->basis = hnsw_basis_at(b->learnt, b->params.dim, rank);
	b->sketches.size = hnsw_sketch_stride(b->code, rank);
	b->walk_bytes = (uint32_t) b->sketches.size;

	/* made for other sketches, and idle: nothing is in the builder yet */
	while (b->scratch != NULL)
		scratch_free(hnsw_scratch_take(b));
	return HNSW_OK;
}

/* ---------- what the writer reads ---------- */

const HnswParams *
hnsw_builder_params(const HnswBuilder *b)
{
	return &b->params;
}

uint32_t
hnsw_builder_slots(const HnswBuilder *b)
{
	return atomic_load_explicit(&b->slots, memory_order_acquire);
}

bool
hnsw_builder_live(const HnswBuilder *b, uint32_t id)
{
	return !hnsw_node_dead(b, id);
}

uint32_t
hnsw_builder_level(const HnswBuilder *b, uint32_t id)
{
	return hnsw_node(b, id)->level;
}

uint32_t
hnsw_builder_entry(const HnswBuilder *b)
{
	return ENTRY_NODE(atomic_load_explicit(&b->entry, memory_order_acquire));
}

const float *
hnsw_builder_vector(const HnswBuilder *b, uint32_t id)
{
	return hnsw_node_vector(b, id);
}

/* Nobody writes any more, so atomic words are read as the plain ones they are. */
_Static_assert(sizeof(HnswList) == sizeof(uint32_t), "a list is read as uint32_t");

uint32_t
hnsw_builder_links(const HnswBuilder *b, uint32_t id, uint32_t layer, const uint32_t **links)
{
	const HnswList *list = hnsw_node_list(b, id, layer);

	*links = (const uint32_t *) (list + 1);
	return hnsw_list_count(list);
}

const uint8_t *
hnsw_builder_code_record(const HnswBuilder *b, uint32_t id)
{
	return hnsw_node_code(b, id);
}

const uint8_t *
hnsw_builder_sketch(const HnswBuilder *b, uint32_t id)
{
	return hnsw_node_sketch(b, id);
}

HnswCode
hnsw_builder_code(const HnswBuilder *b)
{
	return b->code;
}

const HnswSnapshot *
hnsw_builder_base(const HnswBuilder *b)
{
	return b->base;
}

const HnswBasis *
hnsw_builder_basis(const HnswBuilder *b, uint32_t *nodes)
{
	*nodes = b->basis_nodes;
	return &b->basis;
}
