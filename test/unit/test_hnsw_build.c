/*
 * test_hnsw_build.c
 *		Building: recall of what comes out, determinism, bounds, failures.
 *
 * Every snapshot made here has passed the validator (set_snapshot).
 */
#include "support.h"
#include "support_words.h"

#include "hnsw/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------- every nth allocation fails ---------- */

/*
 * The library calls the C library's allocator directly; these stand in front of
 * it.  Sanitizers bring their own, so there the test is left out.
 */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CAN_FAIL_ALLOCATIONS 1

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static long allocations_left = -1; /* negative: never fail */

static bool
fails(void)
{
	if (allocations_left < 0)
		return false;
	if (allocations_left > 0)
	{
		allocations_left--;
		return false;
	}
	return true;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}
#endif

/* ---------- recall ---------- */

static void
check_recall(HnswMetric metric, uint32_t dim, double wanted)
{
	const size_t n = 6000;
	Set *set = set_clustered(n, dim, 11, 1);
	Set *queries = set_clustered(100, dim, 11, 2);
	HnswBuilder *builder = set_graph(set, 0, n, metric, 16, 100);
	HnswSnapshot *snapshot = set_snapshot(builder);
	HnswStats stats;
	double recall = set_recall(snapshot, set, NULL, queries, 10, 64, &stats);

	if (recall < wanted)
		fail_msg("%s, dim %u: recall %.4f, wanted %.4f", hnsw_metric_name(metric), dim, recall, wanted);

	/* the graph answered, not a scan */
	assert_false(stats.exhausted);
	assert_true(stats.distances_computed / queries->count < n / 4);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(queries);
	set_free(set);
}

static void
recall_cosine(void **state)
{
	(void) state;
	check_recall(HNSW_COSINE, 96, 0.99);
	check_recall(HNSW_COSINE, 384, 0.99);
	check_recall(HNSW_COSINE, 24, 0.99); /* no codes */
}

static void
recall_l2(void **state)
{
	(void) state;
	check_recall(HNSW_L2, 96, 0.99);
	check_recall(HNSW_L2, 24, 0.99);
}

static void
recall_ip(void **state)
{
	(void) state;
	check_recall(HNSW_IP, 96, 0.97);
	check_recall(HNSW_IP, 24, 0.97);
}

static void
recall_words(void **state)
{
	Words *words = words_load(0);
	Set set = {WORDS_DIM, words->count, words->vectors, words->labels};
	HnswBuilder *builder = set_graph(&set, 0, set.count, HNSW_COSINE, 16, 200);
	HnswSnapshot *snapshot = set_snapshot(builder);
	const int queries = 200;
	uint64_t distances = 0;
	int found = 0;
	HnswHit hits[10];
	HnswStats stats;

	(void) state;
	for (int q = 0; q < queries; q++)
	{
		const float *query = set_vector(&set, (size_t) q * (set.count / queries));
		double kth = words_kth_distance(words, HNSW_COSINE, query, 10);
		int n = set_search(snapshot, &set, query, 10, 100, hits, &stats);

		for (int i = 0; i < n; i++)
			found += hits[i].distance <= kth;
		distances += stats.distances_computed;
	}
	print_message("# words: recall@10 %.4f, %.0f distances a query\n", found / (10.0 * queries),
				  (double) distances / queries);
	assert_true(found >= 0.99 * 10 * queries);
	assert_true(distances / queries < set.count / 5);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	words_free(words);
}

/* ---------- shapes ---------- */

static void
empty_graph(void **state)
{
	Set *set = set_normal(1, 8, 1);
	HnswBuilder *builder = set_graph(set, 0, 0, HNSW_L2, 8, 50);
	HnswSnapshot *snapshot = set_snapshot(builder);
	HnswHit hit;

	(void) state;
	assert_int_equal(hnsw_builder_count(builder), 0);
	assert_int_equal(hnsw_builder_remove(builder, 1), HNSW_NOTFOUND);
	assert_int_equal(set_search(snapshot, set, set->vectors, 1, 10, &hit, NULL), 0);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(set);
}

static void
small_graphs_are_exact(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 7, 33, 100};
	static const uint32_t dims[] = {1, 2, 3, 31, 32, 33, 100};

	(void) state;
	for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
		for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
			for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_IP; metric++)
			{
				size_t n = sizes[s];
				Set *set = set_normal(n, dims[d], 5 + n);
				HnswBuilder *builder = set_graph(set, 0, n, metric, 4, 20);
				HnswSnapshot *snapshot = set_snapshot(builder);
				HnswHit hits[200];
				double truth[200];
				const float *query = set_vector(set, n / 2);

				/* k beyond n: all of them, and with ef >= n in the true order */
				assert_int_equal(set_search(snapshot, set, query, 200, 200, hits, NULL), n);
				exact_nearest(set, NULL, metric, query, (int) n, truth);
				for (size_t i = 0; i < n; i++)
					assert_true(hits[i].distance == truth[i]);
				hnsw_snapshot_close(snapshot);
				hnsw_builder_free(builder);
				set_free(set);
			}
}

static void
widest_vectors(void **state)
{
	Set *set = set_clustered(300, HNSW_MAX_DIM, 3, 4);
	Set *queries = set_clustered(5, HNSW_MAX_DIM, 3, 5);

	(void) state;
	for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_IP; metric++)
	{
		HnswBuilder *builder = set_graph(set, 0, set->count, metric, 8, 40);
		HnswSnapshot *snapshot = set_snapshot(builder);

		assert_true(set_recall(snapshot, set, NULL, queries, 10, 60, NULL) >= 0.96);
		hnsw_snapshot_close(snapshot);
		hnsw_builder_free(builder);
	}
	set_free(queries);
	set_free(set);
}

/* Labels for which the level generator gives layer 0 only. */
static void
one_layer(void **state)
{
	const size_t n = 500;
	Set *all = set_clustered(2 * n, 48, 9, 9);
	HnswParams params = {.dim = 48, .metric = HNSW_L2, .m = 16, .ef_construction = 60, .seed = 1};
	HnswBuilder *builder;
	HnswSnapshot *snapshot;
	HnswError err;
	size_t used = 0;

	(void) state;
	assert_ok(hnsw_builder_create(&params, 0, &builder, &err));
	for (size_t i = 0; i < all->count && used < n; i++)
	{
		assert_ok(hnsw_builder_add(builder, all->labels[i], set_vector(all, i), &err));
		if (hnsw_builder_level(builder, (uint32_t) used) > 0)
		{
			/* take it out again: every node that stays is on layer 0 alone */
			assert_ok(hnsw_builder_remove(builder, all->labels[i]));
			assert_ok(hnsw_builder_repair(builder, NULL, &err));
		}
		else
			used++;
	}
	assert_int_equal(hnsw_builder_count(builder), n);
	snapshot = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(snapshot)->layers, 1);
	{
		HnswHit hits[10];

		assert_int_equal(set_search(snapshot, all, set_vector(all, 0), 10, 50, hits, NULL), 10);
	}
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(all);
}

/*
 * A crowd of equal vectors between a query and its true neighbours: the search
 * must come out of the crowd again, and every copy must be in reach.
 */
static void
crowd_of_equal_vectors(void **state)
{
	const size_t crowd = 5000;
	const size_t others = 3000;

	(void) state;
	for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_L2; metric++)
		for (uint32_t dim = 16; dim <= 64; dim += 48)
		{
			Set *set = set_clustered(crowd + others, dim, 21, 1);
			Set *queries = set_clustered(60, dim, 21, 2);
			HnswBuilder *builder;
			HnswSnapshot *snapshot;
			double recall;

			/* the crowd comes in between the others */
			for (size_t i = 1000; i < 1000 + crowd; i++)
				memcpy(set_vector(set, i), set_vector(set, 0), dim * sizeof(float));

			/* half of the queries begin inside the crowd and look a little aside */
			for (size_t q = 0; q < 30; q++)
				for (uint32_t d = 0; d < dim; d++)
					set_vector(queries, q)[d] =
						0.7f * set_vector(set, 0)[d] + 0.3f * set_vector(queries, q)[d];
			builder = set_graph(set, 0, set->count, metric, 16, 100);
			snapshot = set_snapshot(builder);
			recall = set_recall(snapshot, set, NULL, queries, 10, 64, NULL);
			if (recall < 0.98)
				fail_msg("%s, dim %u: recall %.4f around a crowd", hnsw_metric_name(metric), dim, recall);
			hnsw_snapshot_close(snapshot);
			hnsw_builder_free(builder);
			set_free(queries);
			set_free(set);
		}
}

/* ---------- behaviour ---------- */

static uint64_t
hash_of_graph(const HnswBuilder *b)
{
	uint64_t h = hnsw_builder_entry(b);

	for (uint32_t id = 0; id < hnsw_builder_slots(b); id++)
		for (uint32_t layer = 0; layer <= hnsw_builder_level(b, id); layer++)
		{
			const uint32_t *links;
			uint32_t count = hnsw_builder_links(b, id, layer, &links);

			for (uint32_t i = 0; i < count; i++)
				h = h * 6364136223846793005u + links[i] + 1;
		}
	return h;
}

/* The most links that any list has beyond its final length. */
static int
longest_excess(const HnswBuilder *b, uint32_t m)
{
	int excess = -2 * (int) m;

	for (uint32_t id = 0; id < hnsw_builder_slots(b); id++)
		for (uint32_t layer = 0; layer <= hnsw_builder_level(b, id); layer++)
		{
			const uint32_t *links;
			int over = (int) hnsw_builder_links(b, id, layer, &links) - (int) (layer == 0 ? 2 * m : m);

			excess = over > excess ? over : excess;
		}
	return excess;
}

/* Lists may grow longer than in the file, and are cut before it is written. */
static void
lists_are_cut_to_length(void **state)
{
	static const uint32_t ms[] = {2, 5, 16};
	Set *set = set_clustered(1500, 40, 32, 1);

	(void) state;
	for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
	{
		HnswBuilder *builder = set_graph(set, 0, set->count, HNSW_L2, ms[i], 60);
		HnswError err;

		assert_true(longest_excess(builder, ms[i]) > 0);
		assert_ok(hnsw_builder_repair(builder, NULL, &err));
		assert_int_equal(longest_excess(builder, ms[i]), 0);
		hnsw_builder_free(builder);
	}
	set_free(set);
}

static void
same_input_same_graph(void **state)
{
	Set *set = set_clustered(2000, 64, 31, 1);
	uint64_t want = 0;

	(void) state;
	for (int kernel = HNSW_KERNEL_PORTABLE; kernel <= HNSW_KERNEL_NEON; kernel++)
	{
		HnswBuilder *builder;

		if (hnsw_set_kernel((HnswKernel) kernel) != HNSW_OK)
			continue;
		builder = set_graph(set, 0, set->count, HNSW_COSINE, 12, 80);

		/* codes are integers: not even the kernel makes a difference */
		if (want == 0)
			want = hash_of_graph(builder);
		assert_true(hash_of_graph(builder) == want);
		hnsw_builder_free(builder);
	}
	assert_ok(hnsw_set_kernel(HNSW_KERNEL_AUTO));
	set_free(set);
}

static void
levels_follow_the_paper(void **state)
{
	const size_t n = 20000;
	Set *set = set_normal(n, 1, 1);
	HnswBuilder *builder = set_graph(set, 0, n, HNSW_L2, 10, 10);
	size_t above[4] = {0};

	(void) state;
	for (uint32_t id = 0; id < n; id++)
		for (uint32_t l = 0; l < 4 && l <= hnsw_builder_level(builder, id); l++)
			above[l]++;

	/* one in ten, one in a hundred: within four deviations */
	assert_true(fabs((double) above[1] - 2000) < 4 * sqrt(2000 * 0.9));
	assert_true(fabs((double) above[2] - 200) < 4 * sqrt(200));
	assert_true(above[3] > 0 && above[3] < 60);
	hnsw_builder_free(builder);
	set_free(set);
}

static void
known_label_is_replaced(void **state)
{
	Set *set = set_clustered(400, 40, 41, 1);
	HnswBuilder *builder = set_graph(set, 0, 200, HNSW_L2, 8, 50);
	HnswSnapshot *snapshot;
	HnswError err;
	HnswHit hit;

	(void) state;
	for (size_t i = 0; i < 200; i++)
		assert_ok(hnsw_builder_add(builder, set->labels[i], set_vector(set, i + 200), &err));
	assert_int_equal(hnsw_builder_count(builder), 200);
	snapshot = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(snapshot)->count, 200);
	for (size_t i = 0; i < 200; i++)
	{
		assert_int_equal(set_search(snapshot, NULL, set_vector(set, i + 200), 1, 50, &hit, NULL), 1);
		assert_int_equal(hit.label, set->labels[i]);
		assert_true(hit.distance == 0);
	}
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(set);
}

static void
bad_arguments(void **state)
{
	const HnswParams good = {.dim = 2, .metric = HNSW_COSINE, .m = 8, .ef_construction = 50};
	const float zero[2] = {0, 0};
	const float nan_vector[2] = {1, NAN};
	const float infinite[2] = {1, INFINITY};
	HnswBuilder *builder;
	HnswError err;
	HnswParams p;

	(void) state;
#define REFUSED(field, value)                                                                                \
	do                                                                                                       \
	{                                                                                                        \
		p = good;                                                                                            \
		p.field = (value);                                                                                   \
		assert_int_equal(hnsw_builder_create(&p, 0, &builder, &err), HNSW_INVALID);                          \
		assert_null(builder);                                                                                \
		assert_true(strlen(err.message) > 0);                                                                \
	} while (0)
	REFUSED(dim, 0);
	REFUSED(dim, HNSW_MAX_DIM + 1);
	REFUSED(m, HNSW_MIN_M - 1);
	REFUSED(m, HNSW_MAX_M + 1);
	REFUSED(ef_construction, 0);
	REFUSED(ef_construction, HNSW_MAX_EF + 1);
	REFUSED(metric, (HnswMetric) 0);
	REFUSED(metric, (HnswMetric) 4);
	assert_ok(hnsw_builder_create(&good, 0, &builder, &err));
	assert_int_equal(hnsw_builder_add(builder, 5, zero, &err), HNSW_INVALID);
	assert_non_null(strstr(err.message, "5"));
	assert_int_equal(hnsw_builder_add(builder, 5, nan_vector, &err), HNSW_INVALID);
	assert_int_equal(hnsw_builder_add(builder, 5, infinite, &err), HNSW_INVALID);
	assert_int_equal(hnsw_builder_count(builder), 0);
	hnsw_builder_free(builder);
}

typedef struct Watch
{
	int stop_after; /* calls of cancelled; negative: never */
	uint64_t last_done;
	uint64_t total;
} Watch;

static bool
watch_cancelled(void *arg)
{
	Watch *watch = arg;

	return watch->stop_after >= 0 && watch->stop_after-- == 0;
}

static void
watch_progress(void *arg, uint64_t done, uint64_t total)
{
	Watch *watch = arg;

	assert_true(done >= watch->last_done && done <= total);
	watch->last_done = done;
	watch->total = total;
}

static void
progress_and_cancel(void **state)
{
	Set *set = set_clustered(3000, 32, 51, 1);
	HnswParams params = {.dim = 32, .metric = HNSW_L2, .m = 8, .ef_construction = 40};
	Watch watch = {.stop_after = -1};
	HnswTask task = {watch_cancelled, watch_progress, &watch, 1};
	HnswBuilder *builder;
	HnswError err;

	(void) state;
	assert_ok(hnsw_builder_create(&params, 0, &builder, &err));
	assert_ok(hnsw_builder_add_many(builder, 3000, set->labels, set->vectors, &task, &err));
	assert_int_equal(watch.last_done, 3000);
	assert_int_equal(watch.total, 3000);
	hnsw_builder_free(builder);

	assert_ok(hnsw_builder_create(&params, 0, &builder, &err));
	watch = (Watch){.stop_after = 3};
	assert_int_equal(hnsw_builder_add_many(builder, 3000, set->labels, set->vectors, &task, &err),
					 HNSW_INTERRUPTED);
	assert_true(hnsw_builder_count(builder) > 0 && hnsw_builder_count(builder) < 1000);

	/* what is in is a graph like any other */
	hnsw_snapshot_close(set_snapshot(builder));
	hnsw_builder_free(builder);
	set_free(set);
}

static void
failed_allocations_change_nothing(void **state)
{
	(void) state;
#ifdef CAN_FAIL_ALLOCATIONS
	{
		Set *set = set_clustered(1400, 40, 61, 1);
		HnswParams params = {.dim = 40, .metric = HNSW_COSINE, .m = 6, .ef_construction = 30, .seed = 3};
		long failures = 0;

		/* create: each allocation in turn */
		for (long n = 0;; n++)
		{
			HnswBuilder *builder;
			HnswError err;
			HnswStatus status;

			allocations_left = n;
			status = hnsw_builder_create(&params, 100, &builder, &err);
			allocations_left = -1;
			if (status == HNSW_OK)
			{
				hnsw_builder_free(builder);
				break;
			}
			assert_int_equal(status, HNSW_NOMEM);
			failures++;
		}
		assert_true(failures > 0);

		/* add, over the places where arrays grow */
		{
			HnswBuilder *builder = set_graph(set, 0, 0, HNSW_COSINE, 6, 30);
			HnswError err;

			failures = 0;
			for (size_t i = 0; i < set->count; i++)
				for (long n = 0;; n++)
				{
					uint64_t before = hash_of_graph(builder);
					HnswStatus status;

					allocations_left = n;
					status = hnsw_builder_add(builder, set->labels[i], set_vector(set, i), &err);
					allocations_left = -1;
					if (status == HNSW_OK)
						break;
					assert_int_equal(status, HNSW_NOMEM);
					assert_int_equal(hnsw_builder_count(builder), i);
					assert_true(hash_of_graph(builder) == before);
					failures++;
				}
			assert_true(failures > 20);
			hnsw_snapshot_close(set_snapshot(builder));

			/* remove and repair */
			for (size_t i = 0; i < set->count; i += 2)
				assert_ok(hnsw_builder_remove(builder, set->labels[i]));
			failures = 0;
			for (long n = 0;; n++)
			{
				HnswTask one = {.threads = 1};
				HnswStatus status;

				allocations_left = n;
				status = hnsw_builder_repair(builder, &one, &err);
				allocations_left = -1;
				if (status == HNSW_OK)
					break;
				assert_int_equal(status, HNSW_NOMEM);
				failures++;
			}
			assert_true(failures > 0);
			hnsw_snapshot_close(set_snapshot(builder));
			hnsw_builder_free(builder);
		}
		set_free(set);
	}
#else
	skip();
#endif
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recall_cosine),
		cmocka_unit_test(recall_l2),
		cmocka_unit_test(recall_ip),
		cmocka_unit_test(recall_words),
		cmocka_unit_test(empty_graph),
		cmocka_unit_test(small_graphs_are_exact),
		cmocka_unit_test(widest_vectors),
		cmocka_unit_test(one_layer),
		cmocka_unit_test(crowd_of_equal_vectors),
		cmocka_unit_test(lists_are_cut_to_length),
		cmocka_unit_test(same_input_same_graph),
		cmocka_unit_test(levels_follow_the_paper),
		cmocka_unit_test(known_label_is_replaced),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(progress_and_cancel),
		cmocka_unit_test(failed_allocations_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
