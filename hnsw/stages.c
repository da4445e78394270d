/*
 * stages.c
 *		Searches that stop when they are sure, not after a number of candidates.
 *
 * A walk expands best first.  It may stop when nothing that is left to expand
 * can be expected to lead to a result: when the nearest of it is farther than
 * the results found by a margin in proportion to their distance.  (Distance
 * adaptive beam search: Al-Jazzazi et al. 2025, arXiv:2505.15636.)  So an easy
 * question ends soon and a hard one, far from all that is stored, goes on.
 *
 * With d the key of the goal-th best admitted find, r its rank among all finds,
 * and keys counted from where a distance would be zero, the walk stops when the
 * nearest unexpanded key is above
 *
 *		d + |d| * margin * (10 / r)^(1/4)
 *
 * The margin falls with the rank, since the more finds are nearer than d, the
 * more ways led to each of its neighbours: one margin, measured for ten results
 * (tune.c), serves a thousand, and filters.
 *
 * A stage is a walk with one goal: as many nodes as k labels usually are of, where
 * the caller told k; then, or else from 10 on, twice the last, as results are taken.  All stages work on one pool, so that nothing is
 * computed again.  A filter is asked of nodes as they are expanded.
 */
#include "search.h"

/* The least goal; and the rank for which margins are measured. */
#define LEAST_GOAL HNSW_TUNED_K

/* So many finds must be nearer than what is not expanded: near keys are too noisy to be trusted alone. */
#define LEAST_NEARER (HNSW_LEAST_KEPT - 4)

/*
 * Sketches are inexact: of the finds beyond the last that is expanded, by this
 * share of d, some belong before it.
 */
#define KEPT_SHARE 0.03F

/* A pool grows up to this. */
#define MOST_KEPT (1U << 20)

/*
 * A walk that has compared one node in so many gives way to reading all in order,
 * which is a few times faster a node: the whole costs at most twice what the
 * cheaper way would have cost.
 */
#define SCAN_SHARE 4

/*
 * Under a filter: expansions before its share of nodes is judged, distances that a
 * find costs, and the share of the nodes above which to ask the filter of every
 * node, and to compare only those admitted, is cheaper.
 */
#define POPS_TO_JUDGE 64
#define DISTANCES_A_FIND 17
#define ASK_SHARE 20

/* A scan whose admitted nodes are so few refines them all. */
#define FEW_SCANNED 64

/* Vectors whose lengths say where the zero of inner products lies. */
#define LENGTHS 64

/* ---------- where the walk stops ---------- */

bool
hnsw_stages_measure(HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	double longest = 0;

	if (s->header.metric != HNSW_IP || s->count == 0)
		return true;
	for (uint32_t i = 0; i < LENGTHS; i++)
	{
		const float *vector = hnsw_vector(s, (uint32_t) ((uint64_t) i * s->count / LENGTHS));
		double square = 0;

		if (!hnsw_touch(s, vector, s->header.dim * sizeof *vector))
			return false;
		for (uint32_t j = 0; j < s->header.dim; j++)
			square += (double) vector[j] * vector[j];
		longest = fmax(longest, sqrt(square));
	}
	c->longest = longest;
	return true;
}

void
hnsw_stages_begin(HnswCursor *c)
{
	double square = 0;

	c->goal = 0;
	c->zero = 0;
	c->popped = 0;
	c->popped_admitted = 0;
	if (c->snapshot->header.metric != HNSW_IP)
		return;
	/* no vector of that length is nearer than one in the query's direction */
	for (uint32_t i = 0; i < c->snapshot->header.dim; i++)
		square += (double) c->query[i] * c->query[i];
	c->zero = (float) fmax(-c->longest * sqrt(square), -FLT_MAX);
}

/* d is the goal-th best admitted find, the rank-th of all. */
static void
set_limit(HnswCursor *c, float d, uint32_t rank)
{
	float span = fabsf(d - c->zero);

	if (d == c->farthest && rank == c->rank)
		return;
	c->farthest = d;
	c->rank = rank;
	c->limit = d + span * c->options.margin * sqrtf(sqrtf((float) LEAST_GOAL / (float) rank));
	c->pool.limit = c->limit + span * KEPT_SHARE;
}

/* What is surely not expanded nor refined any more goes to the rest, where there is room for all of it. */
static bool
trim(HnswCursor *c)
{
	HnswPool *pool = &c->pool;
	uint32_t count = pool->count;

	while (count > pool->least && pool->entries[count - 1].key >= pool->limit &&
		   pool->entries[count - 1].marks == 0)
		count--;
	if (!hnsw_heap_reserve(&c->rest, pool->count - count))
		return false;
	while (pool->count > count)
	{
		const HnswPoolEntry *e = &pool->entries[--pool->count];

		hnsw_pool_leave(&c->rest, e->key, e->node);
	}
	return true;
}

bool
hnsw_stage_goes_on(HnswCursor *c)
{
	HnswPool *pool = &c->pool;

	if (c->hopeless || !hnsw_pool_peek(pool))
		return false;
	if (c->options.admit == NULL && pool->count >= c->goal)
		set_limit(c, pool->entries[c->goal - 1].key, c->goal);
	return pool->next < LEAST_NEARER || pool->entries[pool->next].key <= c->limit;
}

/* Keep the goal least keys of what the filter admits. */
static HnswStatus
note_admitted(HnswCursor *c, float key)
{
	if (!hnsw_heap_reserve(&c->admitted, 1))
		return HNSW_NOMEM;
	if (c->admitted.count == c->goal)
	{
		if (key >= -c->admitted.entries[0].key)
			return HNSW_OK;
		hnsw_heap_pop(&c->admitted);
	}
	hnsw_heap_push(&c->admitted, -key, 0);
	return HNSW_OK;
}

static void
limit_admitted(HnswCursor *c)
{
	float d;

	if (c->admitted.count < c->goal)
		return;
	d = (float) -c->admitted.entries[0].key;
	set_limit(c, d, hnsw_pool_place(c->pool.entries, c->pool.count, d));
}

/* Ask the filter, once; its answer is a mark of the entry. */
static HnswStatus
ask(HnswCursor *c, HnswPoolEntry *entry)
{
	HnswStatus status;

	if (c->options.admit == NULL || entry->marks & (HNSW_ADMITTED | HNSW_LEFT))
		return HNSW_OK;
	status = hnsw_search_admit(c, entry->node);
	if (status != HNSW_OK && status != HNSW_DONE)
		return status;
	entry->marks |= status == HNSW_OK ? HNSW_ADMITTED : HNSW_LEFT;
	return status == HNSW_OK ? note_admitted(c, entry->key) : HNSW_OK;
}

HnswStatus
hnsw_stage_popped(HnswCursor *c)
{
	HnswPoolEntry *entry = &c->pool.entries[c->pool.next - 1];
	HnswStatus status = ask(c, entry);

	c->popped++;
	if (c->options.admit == NULL || status != HNSW_OK)
		return status;
	c->popped_admitted += (entry->marks & HNSW_ADMITTED) != 0;
	limit_admitted(c);
	if (c->popped >= POPS_TO_JUDGE && c->admitted.count < c->goal)
	{
		double share = fmax(c->popped_admitted, 0.5) / c->popped;

		c->hopeless = DISTANCES_A_FIND * (double) c->goal / share > (double) c->snapshot->count / ASK_SHARE;
	}
	return HNSW_OK;
}

bool
hnsw_search_room(HnswCursor *c, uint32_t more)
{
	HnswPool *pool = &c->pool;
	uint32_t capacity = pool->capacity;
	HnswPoolEntry *entries;

	if (!c->adaptive)
		return true;
	if (pool->limit < INFINITY && !trim(c))
		return false;
	while (capacity < pool->count + more && capacity < MOST_KEPT)
		capacity *= 2;
	if (capacity == pool->capacity)
		return true;
	entries = realloc(pool->entries, ((size_t) capacity + c->snapshot->links0_words) * sizeof *entries);
	if (entries == NULL)
		return false;
	pool->entries = entries;
	pool->capacity = capacity;
	return true;
}

/* ---------- stages ---------- */

/* So many results are of about so many nodes, where there are equal vectors. */
static uint32_t
first_goal(const HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	uint64_t nodes = ((uint64_t) c->k * s->count + s->label_count - 1) / s->label_count;

	return nodes > LEAST_GOAL ? (uint32_t) nodes : LEAST_GOAL;
}

/* The next goal; what is known of finds so far says how far the walk must go for it. */
static HnswStatus
raise_goal(HnswCursor *c)
{
	HnswPool *pool = &c->pool;

	if (c->goal == 0)
		c->goal = first_goal(c);
	else
		do
			c->goal = c->goal <= MOST_KEPT ? 2 * c->goal : UINT32_MAX;
		while (c->goal <= c->given);
	c->farthest = INFINITY;
	c->limit = INFINITY;
	pool->limit = INFINITY;
	c->refined = 0;
	c->admitted.count = 0;
	c->hopeless = false;
	pool->next = 0;
	if (c->options.admit == NULL && pool->count >= c->goal)
		set_limit(c, pool->entries[c->goal - 1].key, c->goal);
	for (uint32_t i = 0; i < pool->count && c->options.admit != NULL; i++)
		if (pool->entries[i].marks & HNSW_ADMITTED && note_admitted(c, pool->entries[i].key) != HNSW_OK)
			return HNSW_NOMEM;
	limit_admitted(c);
	return HNSW_OK;
}

/* What an earlier stage left out and this one may expand. */
static HnswStatus
take_back(HnswCursor *c)
{
	hnsw_heap_build(&c->rest);
	while (c->rest.count > 0 && c->rest.entries[0].key < c->pool.limit)
	{
		HnswHeapEntry e;
		float key;

		if (!hnsw_search_room(c, 1))
			return HNSW_NOMEM;
		if (hnsw_pool_full(&c->pool))
			break;
		e = hnsw_heap_pop(&c->rest);
		key = (float) e.key;
		hnsw_pool_put(&c->pool, &key, &e.node, 1, NULL);
		if (c->options.admit == NULL && c->pool.count >= c->goal)
			set_limit(c, c->pool.entries[c->goal - 1].key, c->goal);
	}
	return HNSW_OK;
}

static HnswStatus
walk_stage(HnswCursor *c)
{
	HnswStatus status;

	if (!c->started)
	{
		c->started = true;
		hnsw_pool_clear(&c->pool);
		status = hnsw_search_descend(c);
	}
	else
		status = take_back(c);
	if (status == HNSW_OK)
		status = hnsw_search_walk(c);
	if (status == HNSW_OK && !trim(c))
		status = HNSW_NOMEM;
	for (uint32_t i = 0; i < c->pool.count && status == HNSW_OK; i++)
		status = ask(c, &c->pool.entries[i]);
	return status;
}

/* The rest keeps what the filter admits. */
static HnswStatus
admit_rest(HnswCursor *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->rest.count; i++)
	{
		HnswStatus status =
			c->options.admit == NULL ? HNSW_OK : hnsw_search_admit(c, c->rest.entries[i].node);

		if (status == HNSW_OK)
			c->rest.entries[kept++] = c->rest.entries[i];
		else if (status != HNSW_DONE)
			return status;
	}
	c->rest.count = kept;
	return HNSW_OK;
}

static HnswStatus
leave_batch(HnswCursor *c, HnswBatch *batch)
{
	if (!hnsw_heap_reserve(&c->rest, batch->count))
		return HNSW_NOMEM;
	if (!hnsw_search_keys(c, batch))
		return HNSW_CORRUPT;
	for (uint32_t i = 0; i < batch->count; i++)
		hnsw_pool_leave(&c->rest, batch->keys[i], batch->links[i]);
	return HNSW_OK;
}

/* Everything else that the filter admits is found, by its sketch, and is in the rest. */
static HnswStatus
scan(HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	HnswBatch *batch = &c->batch[0];
	HnswStatus status = admit_rest(c);

	c->scanned = true;
	c->stats.exhausted = true;
	batch->count = 0;
	for (uint32_t node = 0; node < s->count && status == HNSW_OK; node++)
	{
		if (!hnsw_visited_insert(&c->visited, node))
			continue;
		status = hnsw_search_admit(c, node);
		if (status == HNSW_OK)
			batch->links[batch->count++] = node;
		if (status == HNSW_OK || status == HNSW_DONE)
			status = hnsw_search_poll(c, status == HNSW_OK ? 1 : 0);
		if (status == HNSW_OK && batch->count == s->links0_words)
		{
			status = leave_batch(c, batch);
			batch->count = 0;
		}
	}
	if (status == HNSW_OK)
		status = leave_batch(c, batch);
	hnsw_heap_build(&c->rest);
	return status;
}

/* After a scan: of the rest what may be among the next results is pending. */
static HnswStatus
refine_rest(HnswCursor *c)
{
	HnswRefining refining = hnsw_refining(c, c->rest.count <= FEW_SCANNED ? 0 : c->goal - c->given);
	HnswStatus status = HNSW_OK;

	while (c->rest.count > 0 && !hnsw_refining_ends(&refining, c->rest.entries[0].key) && status == HNSW_OK)
	{
		HnswHeapEntry e = hnsw_heap_pop(&c->rest);

		status = hnsw_refining_pend(&refining, e.node, e.key);
		if (status == HNSW_OK)
			status = hnsw_search_poll(c, 0);
	}
	return status;
}

HnswStatus
hnsw_stages_more(HnswCursor *c)
{
	const HnswSnapshot *s = c->snapshot;
	bool is_first = !c->started;
	HnswStatus status = HNSW_OK;

	if (s->count == 0)
		return HNSW_DONE;
	if (!c->scanned || c->rest.count > 0)
		status = raise_goal(c);
	if (status == HNSW_OK && !c->scanned)
	{
		bool costly = !is_first && c->stats.distances_computed > s->count / SCAN_SHARE;

		if (!costly)
			status = walk_stage(c);
		if (status == HNSW_OK)
		{
			uint64_t found = c->options.admit == NULL ? c->pool.count : c->admitted.count;

			if (costly || c->hopeless || found < c->goal)
				status = scan(c);
		}
	}
	if (status == HNSW_OK && c->scanned)
	{
		status = refine_rest(c);
		if (c->rest.count == 0)
			c->goal = UINT32_MAX;
	}
	if (status == HNSW_OK)
		status = hnsw_search_refine(c, c->given >= c->k || c->scanned);
	if (status == HNSW_OK && c->pending.count == 0 && c->ready.count == 0)
		status = HNSW_DONE;
	return status;
}
