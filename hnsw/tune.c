/*
 * tune.c
 *		How far searches of a graph must go on.
 *
 * No single margin (stages.c) suits all data: word vectors want twice that of
 * text embeddings.  So it is measured, on the graph itself.
 *
 * Stored vectors make poor sample queries: each lies in the graph, linked to
 * what is near it, and is found more easily than a vector that comes from
 * outside.  But any stored vector is a fair sample of what else might be asked,
 * so each one asked here is left out of its own search: the walk passes over
 * its node, as if it had never been added.  Its neighbours are a little worse
 * connected without it than in a graph that never had it, so the answer errs
 * towards a wider margin.
 *
 * The truth is a search with so many candidates that it misses next to nothing.
 */
#include "search.h"

#include <inttypes.h>

#define SAMPLES 256
#define TRUTH_EF 1200

/*
 * Of the true neighbours that may be missed, the samples may miss this share, so
 * that new queries do not miss more: the sample's mean is near that of the data, and
 * questions are often farther from what is stored than stored vectors are.
 */
#define SAMPLES_MISS 0.6

/* Below so many nodes the default margin finds all there is to find. */
#define LEAST_NODES 5000

/* Each about a tenth or two more than the one before. */
static const float ladder[] = {0.12F, 0.14F, 0.16F, 0.18F, 0.20F, 0.22F, 0.25F, 0.28F,
							   0.31F, 0.35F, 0.40F, 0.46F, 0.53F, 0.62F, 0.75F, 1.0F};
#define STEPS (sizeof ladder / sizeof ladder[0])

typedef struct Tuning
{
	const HnswSnapshot *snapshot;
	HnswSearchOptions options;
	HnswError *err;
	double farthest[SAMPLES]; /* distance of the last true neighbour */
	uint32_t may_miss;        /* true neighbours, of all samples */
	uint32_t misses;
	uint64_t visits;
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
	{
		hnsw_visited_insert(&(*cursor)->visited, node);
		(*cursor)->one_a_node = true;
	}
	return status;
}

/*
 * Ask the samples as the options say: for the truth, or how many true neighbours
 * are not found, until there are more than may be.  By distance: of vectors that
 * are equally far any is as good.
 */
static HnswStatus
ask(Tuning *t, bool truth)
{
	HnswCursor *cursor = NULL;
	HnswStatus status = HNSW_OK;

	t->misses = 0;
	t->visits = 0;
	for (uint32_t i = 0; i < SAMPLES && status == HNSW_OK && t->misses <= t->may_miss; i++)
	{
		HnswHit hit = {0};
		HnswStats stats;

		status = begin_without(t, sample_node(t->snapshot, i), &cursor);
		for (int k = 0; k < HNSW_TUNED_K && status == HNSW_OK; k++)
		{
			status = hnsw_search_next(cursor, &hit);
			if (status != HNSW_OK)
				status = fail(t, status);
			else if (!truth)
				t->misses += hit.distance > t->farthest[i];
		}
		if (truth)
			t->farthest[i] = hit.distance;
		if (status == HNSW_OK)
		{
			hnsw_search_stats(cursor, &stats);
			t->visits += stats.nodes_visited;
		}
	}
	hnsw_search_end(cursor);
	return status;
}

HnswStatus
hnsw_snapshot_tune(const HnswSnapshot *snapshot, double recall, const HnswTask *task, HnswTuned *out,
				   HnswError *err)
{
	Tuning t = {.snapshot = snapshot, .err = err};
	HnswStatus status;

	if (err != NULL)
		*err = (HnswError){0};
	*out = (HnswTuned){(float) HNSW_DEFAULT_MARGIN, HNSW_DEFAULT_VISITS};
	if (snapshot->count < LEAST_NODES)
		return HNSW_OK;
	if (task != NULL)
	{
		t.options.interrupted = task->cancelled;
		t.options.interrupt_arg = task->arg;
	}
	t.may_miss = (uint32_t) (SAMPLES * HNSW_TUNED_K * (1 - recall) * SAMPLES_MISS);
	t.options.ef = TRUTH_EF;
	status = ask(&t, true);
	for (size_t step = 0; step < STEPS && status == HNSW_OK; step++)
	{
		t.options.margin = ladder[step];
		status = ask(&t, false);
		out->margin = ladder[step];
		out->visits = (uint32_t) (t.visits / SAMPLES) + 1;
		if (t.misses <= t.may_miss)
			break;
	}
	return status;
}
