/*
 * tune.c
 *		How many candidates searches of a graph must keep.
 *
 * No single ef suits all data: where ten nearest of 100,000 text embeddings are
 * found with 64 candidates, as many word vectors may need several hundred.  So
 * it is measured, on the graph itself.
 *
 * Stored vectors make poor sample queries: each lies in the graph, linked to
 * what is near it, and is found more easily than a vector that comes from
 * outside.  But any stored vector is a fair sample of what else might be asked,
 * so each one asked here is left out of its own search: the walk passes over
 * its node, as if it had never been added.  Its neighbours are a little worse
 * connected without it than in a graph that never had it, so the answer errs
 * towards more candidates: by 0.001 to 0.012 of recall on the data sets of bench/search.
 *
 * The truth is a search with so many candidates that it misses next to nothing.
 */
#include "search.h"

#include <inttypes.h>

#define SAMPLES 256
#define TRUTH_EF 1200

/*
 * Of the samples' true neighbours one in 40 may be missed, so that of new queries'
 * three in 100 are not: the sample's mean is within about 0.01 of the data's.
 */
#define MISSES (SAMPLES * HNSW_TUNED_K / 40)

/* Below so many nodes HNSW_TUNED_MIN_EF finds all there is to find. */
#define LEAST_NODES 5000

/* Each about a quarter more than the one before. */
static const uint32_t ladder[] = {HNSW_TUNED_MIN_EF, 80, 100, 128, 160, 200, 256, 320, 400, 512,
								  HNSW_TUNED_MAX_EF};
#define STEPS (sizeof ladder / sizeof ladder[0])

typedef struct Tuning
{
	const HnswSnapshot *snapshot;
	HnswSearchOptions options;
	HnswError *err;
	double farthest[SAMPLES]; /* distance of the last true neighbour */
} Tuning;

/* Evenly spaced; never node 0, which every search begins with. */
static uint32_t
sample_node(const HnswSnapshot *s, uint32_t i)
{
	return (uint32_t) ((2 * (uint64_t) i + 1) * s->count / (2 * SAMPLES));
}

static HnswStatus
fail(const Tuning *t, HnswStatus status)
{
	if (status == HNSW_INTERRUPTED)
		return hnsw_fail(t->err, status, "interrupted");
	if (status == HNSW_CORRUPT || status == HNSW_DONE)
		return hnsw_fail(t->err, status, "the graph file is damaged");
	return hnsw_fail(t->err, status, "out of memory for a search among %" PRIu32 " nodes",
					 t->snapshot->count);
}

/* The vector of a node, with that node left out of the search. */
static HnswStatus
begin_without(Tuning *t, uint32_t node, HnswCursor **cursor)
{
	const HnswSnapshot *s = t->snapshot;
	const float *vector = hnsw_vector(s, node);
	HnswStatus status;

	if (!hnsw_touch(s, vector, s->header.dim * sizeof *vector))
		return fail(t, HNSW_CORRUPT);
	status = *cursor == NULL ? hnsw_search_begin(s, vector, HNSW_TUNED_K, &t->options, cursor, t->err)
							 : hnsw_search_again(*cursor, vector, HNSW_TUNED_K, t->err);
	/* a vector that cannot be searched for was never written */
	if (status == HNSW_INVALID)
		return fail(t, HNSW_CORRUPT);
	if (status == HNSW_OK)
		hnsw_visited_insert(&(*cursor)->visited, node);
	return status;
}

/*
 * Ask the samples with ef candidates: for the truth, or (misses not NULL) how many
 * true neighbours are not found, until there are more than MISSES of them.  By
 * distance: of vectors that are equally far any is as good.
 */
static HnswStatus
ask(Tuning *t, uint32_t ef, uint32_t *misses)
{
	HnswCursor *cursor = NULL;
	HnswStatus status = HNSW_OK;

	t->options.ef = ef;
	for (uint32_t i = 0; i < SAMPLES && status == HNSW_OK && (misses == NULL || *misses <= MISSES); i++)
	{
		HnswHit hit = {0};

		status = begin_without(t, sample_node(t->snapshot, i), &cursor);
		for (int k = 0; k < HNSW_TUNED_K && status == HNSW_OK; k++)
		{
			status = hnsw_search_next(cursor, &hit);
			if (status != HNSW_OK)
				status = fail(t, status);
			else if (misses != NULL)
				*misses += hit.distance > t->farthest[i];
		}
		if (misses == NULL)
			t->farthest[i] = hit.distance;
	}
	hnsw_search_end(cursor);
	return status;
}

HnswStatus
hnsw_snapshot_tune(const HnswSnapshot *snapshot, const HnswTask *task, uint32_t *ef, HnswError *err)
{
	Tuning t = {.snapshot = snapshot, .err = err};
	HnswStatus status;

	if (err != NULL)
		*err = (HnswError){0};
	*ef = HNSW_TUNED_MIN_EF;
	if (snapshot->count < LEAST_NODES)
		return HNSW_OK;
	if (task != NULL)
	{
		t.options.interrupted = task->cancelled;
		t.options.interrupt_arg = task->arg;
	}
	status = ask(&t, TRUTH_EF, NULL);
	for (size_t step = 0; step < STEPS && status == HNSW_OK; step++)
	{
		uint32_t misses = 0;

		*ef = ladder[step];
		status = ask(&t, *ef, &misses);
		if (misses <= MISSES)
			break;
	}
	return status;
}
