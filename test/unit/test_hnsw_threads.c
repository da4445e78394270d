/*
 * test_hnsw_threads.c
 *		Building and searching from several threads; meant for ThreadSanitizer.
 */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define N 3000
#define DIM 40
#define THREADS 4

static void
add_many_on_threads(void **state)
{
	Set *set = set_clustered(N, DIM, 1, 1);
	Set *queries = set_clustered(60, DIM, 1, 2);
	HnswParams params = {.dim = DIM, .metric = HNSW_COSINE, .m = 10, .ef_construction = 60, .seed = 1};
	HnswTask task = {.threads = THREADS};
	HnswBuilder *builder;
	HnswSnapshot *snapshot;
	HnswError err;

	(void) state;
	assert_ok(hnsw_builder_create(&params, 0, &builder, &err));
	assert_ok(hnsw_builder_add_many(builder, N, set->labels, set->vectors, &task, &err));
	assert_int_equal(hnsw_builder_count(builder), N);
	snapshot = set_snapshot(builder);
	assert_true(set_recall(snapshot, set, NULL, queries, 10, 60, NULL) >= 0.97);
	hnsw_snapshot_close(snapshot);

	/* repair on threads */
	for (size_t i = 0; i < N; i += 2)
		assert_ok(hnsw_builder_remove(builder, set->labels[i]));
	assert_ok(hnsw_builder_repair(builder, &task, &err));
	snapshot = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(snapshot)->count, N / 2);
	hnsw_builder_free(builder);

	/* loading on threads, and more added */
	assert_ok(hnsw_builder_load(snapshot, &task, &builder, &err));
	assert_ok(hnsw_builder_add_many(builder, N, set->labels, set->vectors, &task, &err));
	assert_int_equal(hnsw_builder_count(builder), N);
	hnsw_snapshot_close(set_snapshot(builder));
	hnsw_builder_free(builder);
	hnsw_snapshot_close(snapshot);
	set_free(queries);
	set_free(set);
}

typedef struct Adder
{
	HnswBuilder *builder;
	const Set *set;
	int number;
} Adder;

/* All threads add the same labels: each is there once in the end. */
static void *
add_same_labels(void *arg)
{
	Adder *adder = arg;
	HnswError err;

	for (size_t i = 0; i < 500; i++)
		if (hnsw_builder_add(adder->builder, (int64_t) i,
							 set_vector(adder->set, i * THREADS + (size_t) adder->number), &err) != HNSW_OK)
			return (void *) 1;
	return NULL;
}

static void
same_labels_from_all_threads(void **state)
{
	Set *set = set_clustered(500 * THREADS, DIM, 2, 1);
	HnswParams params = {.dim = DIM, .metric = HNSW_L2, .m = 8, .ef_construction = 40, .seed = 1};
	HnswBuilder *builder;
	HnswSnapshot *snapshot;
	pthread_t threads[THREADS];
	Adder adders[THREADS];
	HnswError err;

	(void) state;
	assert_ok(hnsw_builder_create(&params, 0, &builder, &err));
	for (int t = 0; t < THREADS; t++)
	{
		adders[t] = (Adder){builder, set, t};
		assert_int_equal(pthread_create(&threads[t], NULL, add_same_labels, &adders[t]), 0);
	}
	for (int t = 0; t < THREADS; t++)
	{
		void *failed;

		pthread_join(threads[t], &failed);
		assert_null(failed);
	}
	assert_int_equal(hnsw_builder_count(builder), 500);
	snapshot = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(snapshot)->count, 500);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(set);
}

/* All threads add rows of the same few vectors: each vector becomes one node. */
static void *
add_equal_vectors(void *arg)
{
	Adder *adder = arg;
	HnswError err;

	for (size_t i = 0; i < 500; i++)
		if (hnsw_builder_add(adder->builder, (int64_t) (i * THREADS + (size_t) adder->number),
							 set_vector(adder->set, i % 50), &err) != HNSW_OK)
			return (void *) 1;
	return NULL;
}

static void
equal_vectors_from_all_threads(void **state)
{
	Set *set = set_clustered(50, DIM, 2, 1);
	HnswParams params = {.dim = DIM, .metric = HNSW_L2, .m = 8, .ef_construction = 40, .seed = 1};
	HnswBuilder *builder;
	HnswSnapshot *snapshot;
	pthread_t threads[THREADS];
	Adder adders[THREADS];
	HnswError err;

	(void) state;
	assert_ok(hnsw_builder_create(&params, 0, &builder, &err));
	for (int t = 0; t < THREADS; t++)
	{
		adders[t] = (Adder){builder, set, t};
		assert_int_equal(pthread_create(&threads[t], NULL, add_equal_vectors, &adders[t]), 0);
	}
	for (int t = 0; t < THREADS; t++)
	{
		void *failed;

		pthread_join(threads[t], &failed);
		assert_null(failed);
	}
	snapshot = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(snapshot)->count, 500 * THREADS);
	assert_int_equal(hnsw_snapshot_info(snapshot)->nodes, 50);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(set);
}

typedef struct Searcher
{
	const HnswSnapshot *snapshot;
	const Set *queries;
	int64_t *labels; /* of the nearest, by query */
} Searcher;

static void *
search_all(void *arg)
{
	Searcher *s = arg;
	HnswSearchOptions options = {.ef = 30};
	HnswCursor *cursor;
	HnswError err;
	HnswHit hit;

	if (hnsw_search_begin(s->snapshot, s->queries->vectors, 0, &options, &cursor, &err) != HNSW_OK)
		return (void *) 1;
	for (size_t q = 0; q < s->queries->count; q++)
	{
		if (hnsw_search_again(cursor, set_vector(s->queries, q), 0, &err) != HNSW_OK ||
			hnsw_search_next(cursor, &hit) != HNSW_OK)
			return (void *) 1;
		s->labels[q] = hit.label;
	}
	hnsw_search_end(cursor);
	return NULL;
}

/* One snapshot, fresh, so that the threads also race to verify its blocks. */
static void
search_one_snapshot_from_all_threads(void **state)
{
	Set *set = set_clustered(N, DIM, 3, 1);
	Set *queries = set_clustered(100, DIM, 3, 2);
	HnswBuilder *builder = set_graph(set, 0, N, HNSW_COSINE, 8, 40);
	HnswWriteOptions options = {.mode = -1, .group = -1};
	HnswSnapshot *snapshot;
	pthread_t threads[THREADS];
	Searcher searchers[THREADS];
	HnswError err;

	(void) state;
	assert_ok(hnsw_builder_snapshot(builder, &options, &snapshot, &err));
	for (int t = 0; t < THREADS; t++)
	{
		searchers[t] = (Searcher){snapshot, queries, malloc(queries->count * sizeof(int64_t))};
		assert_int_equal(pthread_create(&threads[t], NULL, search_all, &searchers[t]), 0);
	}
	for (int t = 0; t < THREADS; t++)
	{
		void *failed;

		pthread_join(threads[t], &failed);
		assert_null(failed);
		assert_memory_equal(searchers[t].labels, searchers[0].labels, queries->count * sizeof(int64_t));
	}
	for (int t = 0; t < THREADS; t++)
		free(searchers[t].labels);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(queries);
	set_free(set);
}

static _Atomic int questions;

static bool
stop_soon(void *arg)
{
	(void) arg;
	return atomic_fetch_add(&questions, 1) > 8;
}

static void
cancel_stops_all_threads(void **state)
{
	Set *set = set_clustered(N, DIM, 4, 1);
	HnswParams params = {.dim = DIM, .metric = HNSW_L2, .m = 8, .ef_construction = 40, .seed = 1};
	HnswTask task = {.cancelled = stop_soon, .threads = THREADS};
	HnswBuilder *builder;
	HnswError err;

	(void) state;
	assert_ok(hnsw_builder_create(&params, 0, &builder, &err));
	assert_int_equal(hnsw_builder_add_many(builder, N, set->labels, set->vectors, &task, &err),
					 HNSW_INTERRUPTED);
	assert_true(hnsw_builder_count(builder) < N);
	hnsw_snapshot_close(set_snapshot(builder));
	hnsw_builder_free(builder);
	set_free(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_many_on_threads),
		cmocka_unit_test(same_labels_from_all_threads),
		cmocka_unit_test(equal_vectors_from_all_threads),
		cmocka_unit_test(search_one_snapshot_from_all_threads),
		cmocka_unit_test(cancel_stops_all_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
