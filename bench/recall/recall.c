/*
 * recall.c
 *		Recall of searches that stop by a margin, by kind of question, filter and number
 *		of results, and what they cost beside the best fixed ef.
 *
 *	recall STORED.fvecs QUESTIONS.fvecs GRAPH
 *
 * Cosine; default build settings; GRAPH is made where it is missing.  Kinds:
 *
 *	own		the questions of the file
 *	tuned	the second half of them, with the margin that the first half asks for
 *	near	means of a stored vector and one near it
 *	far		means of two stored vectors that have nothing to do with one another
 *
 * A filter admits so many of a hundred rows, at random.  Prints TSV: recall, that of the
 * worst tenth of the questions, the CPU time of a query, the least ef that finds as much, its
 * time, and the ratio of the two.
 */
#include "hnsw/hnsw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_QUESTIONS 400 /* of a kind */
#define TARGET 0.97

typedef struct Vectors
{
	float *data;
	size_t count;
} Vectors;

static int dim;
static Vectors stored;
static HnswSnapshot *snapshot;
static int percent; /* that the filter admits */

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "recall: %s: %s\n", what, why);
	exit(2);
}

static void *
get(size_t bytes)
{
	void *p = malloc(bytes + 1);

	if (p == NULL)
		die("memory", "there is not enough");
	return p;
}

static Vectors
read_vectors(const char *path)
{
	FILE *file = fopen(path, "rb");
	Vectors out;
	int32_t n;

	if (file == NULL)
		die(path, "cannot be opened; bench/data/embed-glosses makes it");
	if (fread(&n, sizeof n, 1, file) != 1 || (dim != 0 && n != dim))
		die(path, "has no vectors, or others than the first file");
	dim = n;
	fseek(file, 0, SEEK_END);
	out.count = (size_t) ftell(file) / (sizeof n + sizeof(float) * (size_t) dim);
	out.data = get(out.count * (size_t) dim * sizeof(float));
	rewind(file);
	for (size_t i = 0; i < out.count; i++)
		if (fread(&n, sizeof n, 1, file) != 1 || n != dim ||
			fread(out.data + i * (size_t) dim, sizeof(float), (size_t) dim, file) != (size_t) dim)
			die(path, "is cut off");
	fclose(file);
	return out;
}

static bool
admit(void *arg, int64_t label)
{
	(void) arg;
	return (int) ((uint64_t) label * UINT64_C(0x9e3779b97f4a7c15) >> 40) % 100 < percent;
}

static int
ascending(const void *x, const void *y)
{
	double a = *(const double *) x;
	double b = *(const double *) y;

	return (a > b) - (a < b);
}

/* The distance of the k-th nearest admitted row, by question; *k: as many as there are. */
static double *
truth(const Vectors *questions, size_t k)
{
	double *farthest = get(questions->count * sizeof *farthest);
	double *all = get(stored.count * sizeof *all);

	for (size_t q = 0; q < questions->count; q++)
	{
		size_t n = 0;

		for (size_t i = 0; i < stored.count; i++)
			if (percent == 100 || admit(NULL, (int64_t) i + 1))
				all[n++] = hnsw_distance(HNSW_COSINE, questions->data + q * (size_t) dim,
										 stored.data + i * (size_t) dim, (uint32_t) dim);
		qsort(all, n, sizeof *all, ascending);
		farthest[q] = n >= k ? all[k - 1] : INFINITY;
	}
	free(all);
	return farthest;
}

typedef struct Outcome
{
	double recall;
	double worst; /* of a tenth of the questions */
	double us;
} Outcome;

static Outcome
ask(const Vectors *questions, size_t k, const double *farthest, HnswSearchOptions options)
{
	double *found = get(questions->count * sizeof *found);
	size_t tenth = questions->count < 10 ? 1 : questions->count / 10;
	Outcome out = {0};
	HnswCursor *cursor = NULL;
	HnswError err;

	options.admit = percent < 100 ? admit : NULL;
	/* the first round warms */
	for (int round = 0; round < 2; round++)
	{
		struct timespec from;
		struct timespec to;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		for (size_t q = 0; q < questions->count; q++)
		{
			const float *question = questions->data + q * (size_t) dim;
			HnswStatus status =
				cursor ? hnsw_search_again(cursor, question, (uint32_t) k, &err)
					   : hnsw_search_begin(snapshot, question, (uint32_t) k, &options, &cursor, &err);
			size_t right = 0;
			HnswHit hit;

			if (status != HNSW_OK)
				die("search", err.message);
			for (size_t i = 0; i < k && hnsw_search_next(cursor, &hit) == HNSW_OK; i++)
				right += hit.distance <= farthest[q];
			found[q] = (double) right / (double) k;
		}
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		out.us = ((double) (to.tv_sec - from.tv_sec) * 1e9 + (double) (to.tv_nsec - from.tv_nsec)) / 1e3 /
				 (double) questions->count;
	}
	hnsw_search_end(cursor);
	qsort(found, questions->count, sizeof *found, ascending);
	for (size_t q = 0; q < questions->count; q++)
		out.recall += found[q] / (double) questions->count;
	for (size_t q = 0; q < tenth; q++)
		out.worst += found[q] / (double) tenth;
	free(found);
	return out;
}

/* One row of the table, for each number of results that the filter leaves enough rows for. */
static void
measure(const char *kind, const Vectors *questions, double margin)
{
	static const size_t ks[] = {1, 10, 100, 1000};

	for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
	{
		size_t k = ks[i];
		HnswSearchOptions options = {.margin = (float) margin};
		Outcome mine;
		Outcome fixed = {0};
		double *farthest;
		uint32_t ef;

		if (k * 2 * 100 / (size_t) percent > stored.count)
			break;
		farthest = truth(questions, k);
		mine = ask(questions, k, farthest, options);
		for (ef = k < 10 ? 10 : (uint32_t) k; ef <= stored.count && ef <= HNSW_MAX_EF; ef += ef / 8 + 1)
		{
			fixed = ask(questions, k, farthest, (HnswSearchOptions){.ef = ef});
			if (fixed.recall >= mine.recall)
				break;
		}
		printf("%s\t%d\t%zu\t%.2f\t%.4f\t%.3f\t%.1f\t%u\t%.1f\t%.2f\n", kind, percent, k, margin, mine.recall,
			   mine.worst, mine.us, ef, fixed.us, mine.us / fixed.us);
		fflush(stdout);
		free(farthest);
	}
}

static void
build(const char *path)
{
	HnswParams params = {.dim = (uint32_t) dim, .metric = HNSW_COSINE, .m = 16, .ef_construction = 200};
	HnswWriteOptions options = {.mode = -1, .group = -1, .owner = -1};
	int64_t *labels = get(stored.count * sizeof *labels);
	HnswBuilder *builder;
	HnswError err;

	for (size_t i = 0; i < stored.count; i++)
		labels[i] = (int64_t) i + 1;
	if (hnsw_builder_create(&params, stored.count, &builder, &err) != HNSW_OK ||
		hnsw_builder_add_many(builder, stored.count, labels, stored.data, NULL, &err) != HNSW_OK ||
		hnsw_builder_write(builder, path, &options, NULL, &err) != HNSW_OK)
		die(path, err.message);
	hnsw_builder_free(builder);
	free(labels);
}

/* Of each stored vector asked about, and its fifth nearest or another that is anywhere, the mean. */
static Vectors
means(bool near)
{
	Vectors out = {get(MAX_QUESTIONS * (size_t) dim * sizeof(float)), MAX_QUESTIONS};
	HnswSearchOptions options = {.ef = 100};
	HnswCursor *cursor = NULL;
	HnswError err;

	for (size_t q = 0; q < out.count; q++)
	{
		const float *a = stored.data + (q * 7919 + 13) % stored.count * (size_t) dim;
		const float *b = stored.data + (q * 104729 + 5) % stored.count * (size_t) dim;
		HnswHit hit = {1, 0};

		if ((cursor ? hnsw_search_again(cursor, a, 6, &err)
					: hnsw_search_begin(snapshot, a, 6, &options, &cursor, &err)) != HNSW_OK)
			die("search", err.message);
		for (int i = 0; i < 6 && hnsw_search_next(cursor, &hit) == HNSW_OK; i++)
			;
		if (near)
			b = stored.data + (size_t) (hit.label - 1) * (size_t) dim;
		for (int d = 0; d < dim; d++)
			out.data[q * (size_t) dim + (size_t) d] = (a[d] + b[d]) / 2;
	}
	hnsw_search_end(cursor);
	return out;
}

int
main(int argc, char **argv)
{
	static const int filters[] = {100, 50, 10, 1};
	HnswTuned own;
	HnswTuned asked;
	HnswError err;
	Vectors questions;
	Vectors first;
	Vectors second;
	Vectors near;
	Vectors far;

	if (argc != 4)
		die("usage", "recall STORED.fvecs QUESTIONS.fvecs GRAPH");
	stored = read_vectors(argv[1]);
	questions = read_vectors(argv[2]);
	if (access(argv[3], R_OK) != 0)
		build(argv[3]);
	if (hnsw_snapshot_open(argv[3], &snapshot, &err) != HNSW_OK)
		die(argv[3], err.message);
	if (hnsw_snapshot_info(snapshot)->count != stored.count)
		die(argv[3], "is of other vectors; remove it");
	if (questions.count > MAX_QUESTIONS)
		questions.count = MAX_QUESTIONS;
	if (questions.count < 20)
		die(argv[2], "has too few questions");
	first = (Vectors){questions.data, questions.count / 2};
	second = (Vectors){questions.data + first.count * (size_t) dim, questions.count - first.count};
	if (first.count > HNSW_MAX_QUESTIONS)
		first.count = HNSW_MAX_QUESTIONS;
	if (hnsw_snapshot_tune(snapshot, TARGET, NULL, NULL, &own, &err) != HNSW_OK ||
		hnsw_snapshot_tune(snapshot, TARGET, &(HnswQuestions){first.data, (uint32_t) first.count}, NULL,
						   &asked, &err) != HNSW_OK)
		die("tuning", err.message);
	near = means(true);
	far = means(false);
	fprintf(stderr, "%zu vectors, %zu questions, kernel %s\n", stored.count, questions.count,
			hnsw_kernel_name());
	printf("kind\tpercent\tk\tmargin\trecall\tworst_tenth\tus\tbest_ef\tits_us\tratio\n");
	for (size_t f = 0; f < sizeof filters / sizeof *filters; f++)
	{
		percent = filters[f];
		measure("own", &questions, (double) own.margin);
		measure("tuned", &second, (double) asked.margin);
		measure("near", &near, (double) own.margin);
		measure("far", &far, (double) own.margin);
	}
	hnsw_snapshot_close(snapshot);
	free(stored.data);
	free(questions.data);
	free(near.data);
	free(far.data);
	return 0;
}
