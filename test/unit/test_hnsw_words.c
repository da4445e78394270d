/*
 * test_hnsw_words.c
 *		Recall and cost on real data, the words of test/data, at the default
 *		settings of an hnsw table.
 *
 * Two kinds of queries: words of the set themselves, and sums of two words,
 * which lie between the data as users' queries do and cost a little more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <cmocka.h>

#include "support_words.h"

#define K 10
#define QUERIES 500
#define DEFAULT_M 16
#define DEFAULT_EF 200
#define DEFAULT_EF_SEARCH 64

static Words *words;
static HnswSnapshot *snapshots[HNSW_IP + 1];

/* The graph of a metric, built once for all tests. */
static HnswSnapshot *
graph(HnswMetric metric)
{
	HnswParams params = {
		.dim = WORDS_DIM, .metric = metric, .m = DEFAULT_M, .ef_construction = DEFAULT_EF, .seed = 1};
	HnswWriteOptions options = {.mode = -1, .group = -1};
	HnswBuilder *builder;
	HnswError err;

	if (snapshots[metric])
		return snapshots[metric];
	assert_int_equal(hnsw_builder_create(&params, words->count, &builder, &err), HNSW_OK);
	assert_int_equal(hnsw_builder_add_many(builder, words->count, words->labels, words->vectors, NULL, &err),
					 HNSW_OK);
	assert_int_equal(hnsw_builder_snapshot(builder, &options, &snapshots[metric], &err), HNSW_OK);
	hnsw_builder_free(builder);
	return snapshots[metric];
}

static void
query_member(uint32_t i, float *query)
{
	const float *word = words->vectors + (size_t) (i * 19 % words->count) * WORDS_DIM;

	for (int j = 0; j < WORDS_DIM; j++)
		query[j] = word[j];
}

static void
query_sum(uint32_t i, float *query)
{
	const float *a = words->vectors + (size_t) (i * 19 % words->count) * WORDS_DIM;
	const float *b = words->vectors + (size_t) (i * 7 % words->count + 1) * WORDS_DIM;

	for (int j = 0; j < WORDS_DIM; j++)
		query[j] = a[j] + b[j];
}

static void
measure(HnswMetric metric, void (*make_query)(uint32_t i, float *query), double *recall,
		double *distances_computed)
{
	HnswSearchOptions options = {.ef = DEFAULT_EF_SEARCH};
	HnswSnapshot *snapshot = graph(metric);
	uint64_t right = 0;
	uint64_t computed = 0;

	for (uint32_t i = 0; i < QUERIES; i++)
	{
		float query[WORDS_DIM];
		double farthest;
		double previous = -INFINITY;
		HnswCursor *cursor;
		HnswStats stats;
		HnswError err;

		make_query(i, query);
		farthest = words_kth_distance(words, metric, query, K);
		assert_int_equal(hnsw_search_begin(snapshot, query, K, &options, &cursor, &err), HNSW_OK);
		for (int n = 0; n < K; n++)
		{
			HnswHit hit;

			assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_OK);
			assert_true(hit.distance >= previous);
			/* the distance told is that of the row told, to the bit */
			assert_true(hit.distance == hnsw_distance(metric, query,
													  words->vectors + (hit.label - 1) * WORDS_DIM,
													  WORDS_DIM));
			previous = hit.distance;
			right += hit.distance <= farthest;
		}
		hnsw_search_stats(cursor, &stats);
		assert_false(stats.exhausted);
		computed += stats.distances_computed;
		hnsw_search_end(cursor);
	}
	*recall = (double) right / (QUERIES * K);
	*distances_computed = (double) computed / QUERIES;
	print_message("# %s: recall@%d %.4f, %.0f distances a query\n", hnsw_metric_name(metric), K, *recall,
				  *distances_computed);
}

static void
cosine_members(void **state)
{
	double recall, computed;

	measure(HNSW_COSINE, query_member, &recall, &computed);
	assert_true(recall >= 0.99);
	assert_true(computed < words->count / 10.0);
}

static void
cosine_sums(void **state)
{
	double recall, computed;

	measure(HNSW_COSINE, query_sum, &recall, &computed);
	assert_true(recall >= 0.99);
	assert_true(computed < words->count / 8.0);
}

static void
l2_members(void **state)
{
	double recall, computed;

	measure(HNSW_L2, query_member, &recall, &computed);
	assert_true(recall >= 0.99);
	assert_true(computed < words->count / 8.0);
}

static int
load(void **state)
{
	words = words_load(0);
	return 0;
}

static int
unload(void **state)
{
	for (int i = 0; i <= HNSW_IP; i++)
		if (snapshots[i])
			hnsw_snapshot_close(snapshots[i]);
	words_free(words);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cosine_members),
		cmocka_unit_test(cosine_sums),
		cmocka_unit_test(l2_members),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
