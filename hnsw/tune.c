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
 *
 * Questions are often unlike what is stored, and a caller who has some may have them
 * asked instead.  They may be so far away that no search is to be trusted with the
 * truth, so every vector is measured.
 */
#include "distance.h"
#include "search.h"

#include <inttypes.h>

#define SAMPLES HNSW_MAX_QUESTIONS
#define TRUTH_EF 1200
#define POLL_EVERY 64 /* nodes, each measured against all questions */

/*
 * Of the true neighbours that may be missed, the samples may miss this share, so
 * that new queries do not miss more: the sample's mean is near that of the data, and
 * questions are often farther from what is stored than stored vectors are.  The
 * caller's questions are what will be asked; there the share is for their small number.
 */
#define SAMPLES_MISS 0.6
#define QUESTIONS_MISS 0.8

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
	const float *questions;   /* NULL: stored vectors */
	uint32_t samples;         /* how many of either are asked */
	uint32_t k;               /* for how many nearest */
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

/* Ask sample i: a question, or the vector of a node, with that node left out of the search. */
static HnswStatus
begin(Tuning *t, uint32_t i, HnswCursor **cursor)
{
	const HnswSnapshot *s = t->snapshot;
	uint32_t node = sample_node(s, i);
	const float *vector =
		t->questions != NULL ? t->questions + (size_t) i * s->header.dim : hnsw_vector(s, node);
	HnswStatus status;

	if (t->questions == NULL && !hnsw_touch(s, vector, s->header.dim * sizeof *vector))
		return fail(t, HNSW_CORRUPT);
	status = *cursor == NULL ? hnsw_search_begin(s, vector, t->k, &t->options, cursor, t->err)
							 : hnsw_search_again(*cursor, vector, t->k, t->err);
	/* a vector that cannot be searched for was never written */
	if (status == HNSW_INVALID && t->questions == NULL)
		return fail(t, HNSW_CORRUPT);
	if (status != HNSW_OK)
		return status;
	(*cursor)->one_a_node = true;
	if (t->questions == NULL)
		hnsw_visited_insert(&(*cursor)->visited, node);
	return HNSW_OK;
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
	for (uint32_t i = 0; i < t->samples && status == HNSW_OK && t->misses <= t->may_miss; i++)
	{
		HnswHit hit = {0};
		HnswStats stats;

		status = begin(t, i, &cursor);
		for (uint32_t k = 0; k < t->k && status == HNSW_OK; k++)
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

/* ---------- the truth about questions ---------- */

/* Keep the k least distances of a question, in order. */
static void
note_distance(double *nearest, uint32_t *count, uint32_t k, double distance)
{
	uint32_t i;

	if (*count == k && distance >= nearest[k - 1])
		return;
	i = *count < k ? (*count)++ : k - 1;
	for (; i > 0 && nearest[i - 1] > distance; i--)
		nearest[i] = nearest[i - 1];
	nearest[i] = distance;
}

static HnswStatus
measure_all(Tuning *t, HnswReference *references, double (*nearest)[HNSW_TUNED_K])
{
	const HnswSnapshot *s = t->snapshot;
	uint32_t counts[SAMPLES] = {0};

	for (uint32_t i = 0; i < t->samples; i++)
		hnsw_reference_set(&references[i], (HnswMetric) s->header.metric,
						   t->questions + (size_t) i * s->header.dim, s->header.dim);
	for (uint32_t node = 0; node < s->count; node++)
	{
		const float *vector = hnsw_vector(s, node);

		if (node % POLL_EVERY == 0 && t->options.interrupted != NULL &&
			t->options.interrupted(t->options.interrupt_arg))
			return fail(t, HNSW_INTERRUPTED);
		if (!hnsw_touch(s, vector, s->header.dim * sizeof *vector))
			return fail(t, HNSW_CORRUPT);
		for (uint32_t i = 0; i < t->samples; i++)
			note_distance(nearest[i], &counts[i], t->k, hnsw_reference_distance(&references[i], vector));
	}
	for (uint32_t i = 0; i < t->samples; i++)
		t->farthest[i] = nearest[i][t->k - 1];
	return HNSW_OK;
}

static HnswStatus
learn_truth(Tuning *t)
{
	HnswReference *references;
	double(*nearest)[HNSW_TUNED_K];
	HnswStatus status;

	if (t->questions == NULL)
	{
		t->options.ef = TRUTH_EF;
		return ask(t, true);
	}
	references = malloc(t->samples * sizeof *references);
	nearest = malloc(t->samples * sizeof *nearest);
	status =
		references != NULL && nearest != NULL ? measure_all(t, references, nearest) : fail(t, HNSW_NOMEM);
	free(references);
	free(nearest);
	return status;
}

/* ---------- which margin ---------- */

HnswStatus
hnsw_snapshot_tune(const HnswSnapshot *snapshot, double recall, const HnswQuestions *questions,
				   const HnswTask *task, HnswTuned *out, HnswError *err)
{
	bool own = questions == NULL || questions->count == 0;
	Tuning t = {.snapshot = snapshot,
				.err = err,
				.questions = own ? NULL : questions->vectors,
				.samples = own ? SAMPLES : questions->count,
				.k = snapshot->count < HNSW_TUNED_K ? snapshot->count : HNSW_TUNED_K};
	double wanted;
	HnswStatus status;

	if (err != NULL)
		*err = (HnswError){0};
	*out = (HnswTuned){(float) HNSW_DEFAULT_MARGIN, HNSW_DEFAULT_VISITS, 0};
	if (t.samples > SAMPLES)
		return hnsw_fail(err, HNSW_INVALID, "%" PRIu32 " questions are more than %d", t.samples, SAMPLES);
	if (snapshot->count < (own ? LEAST_NODES : 1))
		return HNSW_OK;
	if (task != NULL)
	{
		t.options.interrupted = task->cancelled;
		t.options.interrupt_arg = task->arg;
	}
	wanted = (double) t.samples * t.k;
	t.may_miss = UINT32_MAX; /* the truth has no misses */
	status = learn_truth(&t);
	t.may_miss = (uint32_t) (wanted * (1 - recall) * (own ? SAMPLES_MISS : QUESTIONS_MISS));
	for (size_t step = 0; step < STEPS && status == HNSW_OK; step++)
	{
		/* the last one is asked to the end, so that it is known what it finds */
		t.options.margin = ladder[step];
		if (step + 1 == STEPS)
			t.may_miss = UINT32_MAX;
		status = ask(&t, false);
		*out = (HnswTuned){ladder[step], (uint32_t) (t.visits / t.samples) + 1, 1 - t.misses / wanted};
		if (t.misses <= t.may_miss)
			break;
	}
	return status;
}
