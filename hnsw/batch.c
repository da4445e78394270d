/*
 * batch.c
 *		Many vectors at once: in which order, and on how many threads.
 *
 * A walk reads some half a megabyte of sketches and lists.  The walk for a
 * vector near by reads mostly the same, so vectors are inserted in an order in
 * which near ones follow one another: then most of it is still in the second
 * cache of the processor.  The order is that of the nodes which a descent
 * through the layers above the lowest ends at; the insertion then begins there.
 *
 * A graph to which whole regions came one after the other would be a poorer
 * one.  So a portion that is put in order is a quarter of the graph it goes to
 * at most; larger ones lost recall.
 */
#include "builder.h"
#include "distance.h"

/* The least that is worth it. */
#define LEAST_PORTION 1000

/* Where a vector goes. */
typedef struct Route
{
	uint32_t above; /* the nearest node on layer 2, or 0 */
	uint32_t start; /* on layer 1, or HNSW_NO_NODE */
	uint32_t row;
} Route;

typedef struct Batch
{
	HnswBuilder *b;
	const int64_t *labels;
	const float *vectors;
	uint64_t n;
	bool any_order;       /* no label comes twice */
	const HnswTask *task; /* the caller's, who is told of all n */

	uint64_t first; /* row of the portion at hand */
	Route *routes;  /* its rows in the order of their places; NULL: as they are */
} Batch;

static void
find_route(HnswBuilder *b, HnswScratch *s, const float *vector, Route *route)
{
	uint64_t entry = atomic_load_explicit(&b->entry, memory_order_acquire);

	route->above = 0;
	route->start = HNSW_NO_NODE;
	if (entry == ENTRY_NONE || ENTRY_LEVEL(entry) == 0)
		return;
	hnsw_probe_set(&s->probe, vector);
	route->start = ENTRY_NODE(entry);
	for (uint32_t layer = ENTRY_LEVEL(entry); layer >= 1; layer--)
	{
		route->above = layer == 1 ? route->start : 0;
		route->start = hnsw_descend(b, s, route->start, layer);
	}
}

static HnswStatus
route_one(void *arg, HnswScratch *s, uint64_t i, HnswError *err)
{
	const Batch *batch = arg;
	uint64_t row = batch->first + i;
	const float *vector = batch->vectors + row * batch->b->params.dim;
	Route *route = &batch->routes[i];

	(void) err;
	*route = (Route){0, HNSW_NO_NODE, (uint32_t) i};

	/* what cannot be inserted has no place; inserting it will say so */
	if (hnsw_vector_usable(batch->b->params.metric, vector, batch->b->params.dim))
		find_route(batch->b, s, vector, route);
	return HNSW_OK;
}

static HnswStatus
add_one(void *arg, HnswScratch *s, uint64_t i, HnswError *err)
{
	const Batch *batch = arg;
	uint64_t row = batch->first + (batch->routes != NULL ? batch->routes[i].row : i);
	uint32_t start = batch->routes != NULL ? batch->routes[i].start : HNSW_NO_NODE;

	return hnsw_add_node(batch->b, s, batch->labels[row], batch->vectors + row * batch->b->params.dim, start,
						 err);
}

static int
compare_routes(const void *x, const void *y)
{
	const Route *a = x;
	const Route *b = y;

	if (a->above != b->above)
		return a->above < b->above ? -1 : 1;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

static uint64_t
next_portion(const Batch *batch)
{
	uint64_t portion = hnsw_builder_count(batch->b) / 4;
	uint64_t left = batch->n - batch->first;

	if (portion < LEAST_PORTION)
		portion = LEAST_PORTION;
	return batch->any_order && portion < left ? portion : left;
}

/* Make batch->routes, unless the rows should stay as they are. */
static HnswStatus
put_in_order(Batch *batch, uint64_t portion, const HnswTask *task, HnswError *err)
{
	HnswStatus status;

	if (!batch->any_order || hnsw_builder_count(batch->b) < LEAST_PORTION)
		return HNSW_OK;

	/* it only serves speed, so without memory the rows just keep their order */
	batch->routes = malloc(portion * sizeof *batch->routes);
	if (batch->routes == NULL)
		return HNSW_OK;
	status = hnsw_parallel(batch->b, portion, route_one, batch, task, err);
	if (status == HNSW_OK)
		qsort(batch->routes, portion, sizeof *batch->routes, compare_routes);
	return status;
}

/* Labels usually rise; then none comes twice. */
static bool
rising(const int64_t *labels, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (labels[i] <= labels[i - 1])
			return false;
	return true;
}

static bool
cancelled(void *arg)
{
	const Batch *batch = arg;

	return batch->task->cancelled(batch->task->arg);
}

static void
progress(void *arg, uint64_t done, uint64_t total)
{
	const Batch *batch = arg;

	(void) total;
	batch->task->progress(batch->task->arg, batch->first + done, batch->n);
}

HnswStatus
hnsw_builder_add_many(HnswBuilder *b, size_t n, const int64_t *labels, const float *vectors,
					  const HnswTask *task, HnswError *err)
{
	Batch batch = {
		.b = b, .labels = labels, .vectors = vectors, .n = n, .any_order = rising(labels, n), .task = task};
	HnswTask work = {.arg = &batch, .threads = task != NULL ? task->threads : 0};
	HnswStatus status = hnsw_builder_learn(b, n, vectors, task, err);

	if (task != NULL && task->cancelled != NULL)
		work.cancelled = cancelled;
	for (uint64_t portion; batch.first < n && status == HNSW_OK; batch.first += portion)
	{
		portion = next_portion(&batch);
		work.progress = NULL;
		status = put_in_order(&batch, portion, &work, err);
		if (task != NULL && task->progress != NULL)
			work.progress = progress;
		if (status == HNSW_OK)
			status = hnsw_parallel(b, portion, add_one, &batch, &work, err);
		free(batch.routes);
		batch.routes = NULL;
	}
	return status;
}
