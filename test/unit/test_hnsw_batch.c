/*
 * test_hnsw_batch.c
 *		Many vectors at once: they may be inserted in another order, and nobody
 *		may notice but by the clock.
 */
#include "hnsw/internal.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N 6000
#define DIM 40

static const HnswParams params = {
	.dim = DIM, .metric = HNSW_COSINE, .m = 10, .ef_construction = 60, .seed = 1};

static HnswBuilder *
add_all(const Set *set, int threads)
{
	HnswTask task = {.threads = threads};
	HnswBuilder *builder;
	HnswError err;

	assert_ok(hnsw_builder_create(&params, 0, &builder, &err));
	assert_ok(hnsw_builder_add_many(builder, set->count, set->labels, set->vectors, &task, &err));
	assert_int_equal(hnsw_builder_count(builder), set->count);
	return builder;
}

/* Each label has its own vector in a snapshot. */
static void
check_vectors(const HnswSnapshot *snapshot, const Set *set)
{
	float vector[DIM];

	for (size_t i = 0; i < set->count; i++)
	{
		assert_ok(hnsw_snapshot_vector(snapshot, set->labels[i], vector));
		assert_memory_equal(vector, set_vector(set, i), sizeof vector);
	}
}

/* A graph of many at once finds as much as one of the same rows one by one. */
static void
as_good_as_one_by_one(void **state)
{
	Set *set = set_clustered(N, DIM, 1, 1);
	Set *queries = set_clustered(200, DIM, 1, 2);
	HnswBuilder *one_by_one = set_graph(set, 0, N, params.metric, params.m, params.ef_construction);
	HnswSnapshot *snapshot = set_snapshot(one_by_one);
	double want = set_recall(snapshot, set, NULL, queries, 10, 20, NULL);

	(void) state;
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(one_by_one);
	for (int threads = 1; threads <= 2; threads++)
	{
		HnswBuilder *builder = add_all(set, threads);
		double recall;

		snapshot = set_snapshot(builder);
		check_vectors(snapshot, set);
		recall = set_recall(snapshot, set, NULL, queries, 10, 20, NULL);
		if (recall < want - 0.01)
			fail_msg("%d threads: recall %.4f, one by one %.4f", threads, recall, want);
		hnsw_snapshot_close(snapshot);
		hnsw_builder_free(builder);
	}
	set_free(queries);
	set_free(set);
}

/* Near vectors do follow one another: what the order is for. */
static void
near_ones_come_together(void **state)
{
	Set *set = set_clustered(N, DIM, 2, 1);
	HnswBuilder *builder = add_all(set, 1);
	double jumps = 0;
	double jumps_before = 0;

	(void) state;

	/* builder ids count in order of insertion; rows from 1000 on are put in order, in portions */
	for (uint32_t id = N - N / 8; id < N; id++)
	{
		jumps += hnsw_distance(HNSW_COSINE, hnsw_builder_vector(builder, id - 1),
							   hnsw_builder_vector(builder, id), DIM);
		jumps_before += hnsw_distance(HNSW_COSINE, set_vector(set, id - 1), set_vector(set, id), DIM);
	}
	assert_true(jumps < 0.5 * jumps_before);
	hnsw_builder_free(builder);
	set_free(set);
}

static void
one_thread_is_deterministic(void **state)
{
	Set *set = set_clustered(N, DIM, 3, 1);
	HnswBuilder *a = add_all(set, 1);
	HnswBuilder *b = add_all(set, 1);

	(void) state;
	for (uint32_t id = 0; id < N; id++)
	{
		const uint32_t *x;
		const uint32_t *y;
		uint32_t count = hnsw_builder_links(a, id, 0, &x);

		assert_memory_equal(hnsw_builder_vector(a, id), hnsw_builder_vector(b, id), DIM * sizeof(float));
		assert_int_equal(hnsw_builder_links(b, id, 0, &y), count);
		assert_memory_equal(x, y, count * sizeof *x);
	}
	hnsw_builder_free(a);
	hnsw_builder_free(b);
	set_free(set);
}

/* The last of several vectors with one label stays, wherever the others are. */
static void
last_of_a_label_stays(void **state)
{
	Set *set = set_clustered(N, DIM, 4, 1);
	HnswTask task = {.threads = 1};
	HnswBuilder *builder;
	HnswSnapshot *snapshot;
	HnswError err;
	float vector[DIM];

	(void) state;

	/* labels 1 .. N / 2 twice, the second time backwards */
	for (size_t i = 0; i < N; i++)
		set->labels[i] = i < N / 2 ? (int64_t) i + 1 : (int64_t) (N - i);
	assert_ok(hnsw_builder_create(&params, 0, &builder, &err));
	assert_ok(hnsw_builder_add_many(builder, N, set->labels, set->vectors, &task, &err));
	assert_int_equal(hnsw_builder_count(builder), N / 2);
	snapshot = set_snapshot(builder);
	for (size_t i = N / 2; i < N; i++)
	{
		assert_ok(hnsw_snapshot_vector(snapshot, set->labels[i], vector));
		assert_memory_equal(vector, set_vector(set, i), sizeof vector);
	}
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(set);
}

/* Labels that are there already are replaced, in whatever order. */
static void
known_labels_are_replaced(void **state)
{
	Set *set = set_clustered(N, DIM, 5, 1);
	Set *later = set_clustered(N, DIM, 5, 2);
	HnswBuilder *builder = add_all(set, 1);
	HnswTask task = {.threads = 2};
	HnswSnapshot *snapshot;
	HnswError err;

	(void) state;
	assert_ok(hnsw_builder_add_many(builder, N, later->labels, later->vectors, &task, &err));
	assert_int_equal(hnsw_builder_count(builder), N);
	snapshot = set_snapshot(builder);
	check_vectors(snapshot, later);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(later);
	set_free(set);
}

static void
bad_vector_is_named(void **state)
{
	Set *set = set_clustered(N, DIM, 6, 1);
	HnswTask task = {.threads = 1};
	HnswBuilder *builder;
	HnswSnapshot *snapshot;
	HnswError err;

	(void) state;
	set_vector(set, 4321)[7] = NAN;
	assert_ok(hnsw_builder_create(&params, 0, &builder, &err));
	assert_int_equal(hnsw_builder_add_many(builder, N, set->labels, set->vectors, &task, &err), HNSW_INVALID);
	assert_non_null(strstr(err.message, "label 4322"));

	/* those that are in are a graph like any other */
	assert_true(hnsw_builder_count(builder) >= 4000 && hnsw_builder_count(builder) < N);
	snapshot = set_snapshot(builder);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(set);
}

static bool
stop_late(void *arg)
{
	return --*(int *) arg < 0;
}

/* Every question that is asked can be the last, those while looking for places too. */
static void
cancel_at_any_time(void **state)
{
	Set *set = set_clustered(N / 2, DIM, 7, 1);
	bool finished = false;

	(void) state;
	for (int after = 0; !finished; after++)
	{
		int left = after;
		HnswTask task = {.cancelled = stop_late, .arg = &left, .threads = 1};
		HnswBuilder *builder;
		HnswError err;
		HnswStatus status;

		assert_ok(hnsw_builder_create(&params, 0, &builder, &err));
		status = hnsw_builder_add_many(builder, set->count, set->labels, set->vectors, &task, &err);
		finished = status == HNSW_OK;
		if (!finished)
		{
			assert_int_equal(status, HNSW_INTERRUPTED);
			assert_true(hnsw_builder_count(builder) < set->count);
		}
		hnsw_builder_free(builder);
		after += 6;
	}
	set_free(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_good_as_one_by_one),       cmocka_unit_test(near_ones_come_together),
		cmocka_unit_test(one_thread_is_deterministic), cmocka_unit_test(last_of_a_label_stays),
		cmocka_unit_test(known_labels_are_replaced),   cmocka_unit_test(bad_vector_is_named),
		cmocka_unit_test(cancel_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
