/*
 * recall_words.c
 *		Recall@10 against exact search, cost and speed, by ef_search, on all
 *		341,479 word vectors at the default build settings.
 *
 *	recall_words FILE.fvecs GRAPH [QUERIES]
 *
 * Queries are sums of two words far apart in frequency, so none is a stored
 * vector.  GRAPH is made where it is missing and used again.  Prints TSV, the row
 * of the margin that an index finds for itself last; the exit status is 0 only if that
 * reaches recall 0.97 and some ef_search <= 200 reaches 0.95.
 */
#include "hnsw/hnsw.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DIM 100
#define K 10

static float *vectors;
static size_t count;
static float *queries;
static size_t query_count;
static double *farthest; /* distance of the K-th nearest, by query */

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "recall_words: %s: %s\n", what, why);
	exit(2);
}

static double
seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
read_vectors(const char *path)
{
	FILE *file = fopen(path, "rb");
	long size;
	struct
	{
		int32_t dim;
		float x[DIM];
	} record;

	if (!file)
		die(path, "cannot be opened; bench/data/fetch-words makes it");
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	count = (size_t) size / sizeof(record);
	vectors = malloc(count * sizeof(float) * DIM);
	if (!vectors || count < 100000)
		die(path, "is not the words data set");
	for (size_t i = 0; i < count; i++)
	{
		if (fread(&record, sizeof(record), 1, file) != 1 || record.dim != DIM)
			die(path, "is not the words data set");
		memcpy(vectors + i * DIM, record.x, sizeof(record.x));
	}
	fclose(file);
}

/*
 * The K nearest by looking at all, a share of the queries a thread.
 */
static void *
exact_share(void *arg)
{
	size_t share = (size_t) arg;
	size_t threads = (size_t) sysconf(_SC_NPROCESSORS_ONLN);

	for (size_t q = share; q < query_count; q += threads)
	{
		double best[K] = {0};
		int n = 0;

		for (size_t i = 0; i < count; i++)
		{
			double d = hnsw_distance(HNSW_COSINE, queries + q * DIM, vectors + i * DIM, DIM);
			int at;

			if (n == K && d >= best[K - 1])
				continue;
			for (at = n < K ? n++ : K - 1; at > 0 && best[at - 1] > d; at--)
				best[at] = best[at - 1];
			best[at] = d;
		}
		farthest[q] = best[K - 1];
	}
	return NULL;
}

static void
exact(void)
{
	size_t threads = (size_t) sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t *ids = calloc(threads, sizeof(*ids));

	for (size_t t = 0; t < threads; t++)
		if (pthread_create(&ids[t], NULL, exact_share, (void *) t) != 0)
			die("threads", "cannot be started");
	for (size_t t = 0; t < threads; t++)
		pthread_join(ids[t], NULL);
	free(ids);
}

static void
build(const char *path)
{
	HnswParams params = {.dim = DIM, .metric = HNSW_COSINE, .m = 16, .ef_construction = 200, .seed = 1};
	HnswWriteOptions options = {.mode = -1, .group = -1};
	int64_t *labels = malloc(sizeof(int64_t) * count);
	HnswBuilder *builder;
	HnswError err;
	double wall = seconds(CLOCK_MONOTONIC);
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);

	for (size_t i = 0; i < count; i++)
		labels[i] = (int64_t) i + 1;
	if (hnsw_builder_create(&params, count, &builder, &err) != HNSW_OK ||
		hnsw_builder_add_many(builder, count, labels, vectors, NULL, &err) != HNSW_OK ||
		hnsw_builder_write(builder, path, &options, NULL, &err) != HNSW_OK)
		die(path, err.message);
	hnsw_builder_free(builder);
	free(labels);
	fprintf(stderr, "built and written in %.1f s, %.1f s of CPU\n", seconds(CLOCK_MONOTONIC) - wall,
			seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

int
main(int argc, char **argv)
{
	static const uint32_t efs[] = {10, 20, 40, 64, 100, 140, 200, 300, 400};
	HnswSnapshot *snapshot;
	HnswError err;
	bool reached = false;
	HnswTuned tuned;
	double start;

	if (argc < 3)
		die("usage", "recall_words FILE.fvecs GRAPH [QUERIES]");
	read_vectors(argv[1]);
	query_count = argc > 3 ? (size_t) atol(argv[3]) : 500;
	queries = malloc(sizeof(float) * DIM * query_count);
	farthest = malloc(sizeof(double) * query_count);
	for (size_t q = 0; q < query_count; q++)
	{
		const float *a = vectors + (q * 31 + 11) % 20000 * DIM;
		const float *b = vectors + (q * 641 + 20011) % count * DIM;

		for (int j = 0; j < DIM; j++)
			queries[q * DIM + j] = a[j] + b[j];
	}
	exact();
	if (access(argv[2], R_OK) != 0)
		build(argv[2]);

	start = seconds(CLOCK_MONOTONIC);
	if (hnsw_snapshot_open(argv[2], &snapshot, &err) != HNSW_OK)
		die(argv[2], err.message);
	fprintf(stderr, "%zu vectors, %zu queries, kernel %s; file of %.0f MB mapped in %.3f ms\n", count,
			query_count, hnsw_kernel_name(), (double) hnsw_snapshot_info(snapshot)->file_bytes / 1e6,
			(seconds(CLOCK_MONOTONIC) - start) * 1e3);

	start = seconds(CLOCK_PROCESS_CPUTIME_ID);
	if (hnsw_snapshot_tune(snapshot, 0.97, NULL, NULL, &tuned, &err) != HNSW_OK)
		die(argv[2], err.message);
	fprintf(stderr, "margin %.2f found in %.2f s of CPU\n", (double) tuned.margin,
			seconds(CLOCK_PROCESS_CPUTIME_ID) - start);

	printf("ef\trecall@%d\tdistances\tnodes\tus_per_query\n", K);
	for (size_t e = 0; e <= sizeof(efs) / sizeof(efs[0]); e++)
	{
		bool last = e == sizeof(efs) / sizeof(efs[0]);
		HnswSearchOptions options = {.ef = last ? 0 : efs[e], .margin = last ? tuned.margin : 0};
		double recall;
		HnswCursor *cursor = NULL;
		uint64_t right = 0, distances = 0, nodes = 0;
		double cpu = 0;

		/* the first round warms; both count for recall, so it is a mean of equals */
		for (int round = 0; round < 2; round++)
		{
			cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
			for (size_t q = 0; q < query_count; q++)
			{
				HnswStats stats;
				HnswHit hit;
				HnswStatus status =
					cursor ? hnsw_search_again(cursor, queries + q * DIM, K, &err)
						   : hnsw_search_begin(snapshot, queries + q * DIM, K, &options, &cursor, &err);

				if (status != HNSW_OK)
					die("search", err.message);
				for (int k = 0; k < K && hnsw_search_next(cursor, &hit) == HNSW_OK; k++)
					right += hit.distance <= farthest[q];
				hnsw_search_stats(cursor, &stats);
				distances += stats.distances_computed;
				nodes += stats.nodes_visited;
			}
			cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
		}
		hnsw_search_end(cursor);
		recall = (double) right / (double) (2 * query_count * K);
		printf("%u\t%.4f\t%.0f\t%.0f\t%.1f\n", options.ef, recall,
			   (double) distances / (double) (2 * query_count), (double) nodes / (double) (2 * query_count),
			   cpu / (double) query_count * 1e6);
		fflush(stdout);
		if (!last && options.ef <= 200 && recall >= 0.95)
			reached = true;
		if (last && recall < 0.97)
			reached = false;
	}
	hnsw_snapshot_close(snapshot);
	free(vectors);
	free(queries);
	free(farthest);
	return reached ? 0 : 1;
}
