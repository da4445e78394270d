/*
 * test_hnsw_remove.c
 *		Removal and repair: what is gone is gone, and the graph is as good as one
 *		that never held it.
 */
#include "support.h"

#include "hnsw/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERIES 150
#define EF 40

/* Rows that are not dead, by a fresh build. */
static double
fresh_recall(const Set *set, const bool *dead, const Set *queries, HnswMetric metric)
{
	HnswBuilder *builder = set_graph(set, 0, 0, metric, 12, 80);
	HnswSnapshot *snapshot;
	HnswError err;
	double recall;

	for (size_t i = 0; i < set->count; i++)
		if (!dead[i])
			assert_ok(hnsw_builder_add(builder, set->labels[i], set_vector(set, i), &err));
	snapshot = set_snapshot(builder);
	recall = set_recall(snapshot, set, dead, queries, 10, EF, NULL);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	return recall;
}

static void
removed_is_gone(void **state)
{
	Set *set = set_clustered(800, 48, 5, 1);
	HnswBuilder *builder = set_graph(set, 0, 800, HNSW_COSINE, 8, 50);
	HnswSnapshot *snapshot;
	HnswHit *hits = malloc(800 * sizeof *hits);
	HnswError err;

	(void) state;
	for (size_t i = 0; i < 800; i += 3)
	{
		assert_ok(hnsw_builder_remove(builder, set->labels[i]));
		assert_int_equal(hnsw_builder_remove(builder, set->labels[i]), HNSW_NOTFOUND);
	}
	assert_int_equal(hnsw_builder_count(builder), 800 - 267);

	/* adding in between, before any repair, links to nothing dead */
	assert_ok(hnsw_builder_add(builder, 5000, set_vector(set, 0), &err));
	assert_ok(hnsw_builder_remove(builder, 5000));
	assert_ok(hnsw_builder_repair(builder, NULL, &err));
	for (uint32_t id = 0; id < hnsw_builder_slots(builder); id++)
		if (hnsw_builder_live(builder, id))
			for (uint32_t layer = 0; layer <= hnsw_builder_level(builder, id); layer++)
			{
				const uint32_t *links;
				uint32_t count = hnsw_builder_links(builder, id, layer, &links);

				for (uint32_t i = 0; i < count; i++)
				{
					assert_true(hnsw_builder_live(builder, links[i]));
					assert_true(hnsw_builder_level(builder, links[i]) >= layer);
				}
			}
	snapshot = set_snapshot(builder);
	assert_int_equal(set_search(snapshot, set, set_vector(set, 0), 800, 20, hits, NULL), 800 - 267);
	for (int i = 0; i < 800 - 267; i++)
		assert_true((hits[i].label - 1) % 3 != 0);
	free(hits);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(set);
}

static void
everything_removed_and_begun_again(void **state)
{
	Set *set = set_clustered(300, 40, 6, 1);
	HnswBuilder *builder = set_graph(set, 0, 300, HNSW_L2, 8, 50);
	HnswSnapshot *snapshot;
	HnswHit hits[300];
	HnswError err;

	(void) state;
	for (size_t i = 0; i < 300; i++)
		assert_ok(hnsw_builder_remove(builder, set->labels[i]));
	assert_int_equal(hnsw_builder_count(builder), 0);

	/* without a repair first: the new ones find none alive but themselves */
	for (size_t i = 0; i < 100; i++)
		assert_ok(hnsw_builder_add(builder, set->labels[i], set_vector(set, i), &err));
	snapshot = set_snapshot(builder);
	assert_int_equal(set_search(snapshot, set, set_vector(set, 5), 300, 30, hits, NULL), 100);
	assert_int_equal(hits[0].label, set->labels[5]);
	hnsw_snapshot_close(snapshot);

	for (size_t i = 0; i < 100; i++)
		assert_ok(hnsw_builder_remove(builder, set->labels[i]));
	snapshot = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(snapshot)->count, 0);
	hnsw_snapshot_close(snapshot);
	assert_ok(hnsw_builder_add(builder, 1, set_vector(set, 0), &err));
	snapshot = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(snapshot)->count, 1);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(set);
}

typedef enum Order
{
	AT_RANDOM,
	BY_CLUSTER, /* whole regions vanish */
	OLDEST_FIRST
} Order;

/* Remove half, put as many new ones in. */
static void
churn(HnswMetric metric, Order order)
{
	const size_t half = 2500;
	Set *set = set_clustered(3 * half, 64, 7, 1);
	Set *queries = set_clustered(QUERIES, 64, 7, 2);
	HnswBuilder *builder = set_graph(set, 0, 2 * half, metric, 12, 80);
	HnswSnapshot *snapshot;
	bool *dead = calloc(3 * half, sizeof *dead);
	HnswError err;
	Random r = {3};
	size_t removed = 0;
	double recall;
	double fresh;

	while (removed < half)
	{
		size_t victim = removed;

		if (order == AT_RANDOM)
			victim = random_bits(&r) % (2 * half);
		else if (order == BY_CLUSTER)
		{
			/* the nearest living one to a point that moves on now and then */
			const float *centre = set_vector(queries, removed / 250);
			double best = 1e300;

			for (size_t i = 0; i < 2 * half; i++)
				if (!dead[i] && hnsw_distance(HNSW_L2, centre, set_vector(set, i), 64) < best)
				{
					best = hnsw_distance(HNSW_L2, centre, set_vector(set, i), 64);
					victim = i;
				}
		}
		if (dead[victim])
			continue;
		dead[victim] = true;
		removed++;
		assert_ok(hnsw_builder_remove(builder, set->labels[victim]));
	}
	assert_ok(hnsw_builder_repair(builder, NULL, &err));
	for (size_t i = 2 * half; i < 3 * half; i++)
		assert_ok(hnsw_builder_add(builder, set->labels[i], set_vector(set, i), &err));

	/* freed slots were used again */
	assert_true(hnsw_builder_slots(builder) <= 2 * half + 64);
	snapshot = set_snapshot(builder);
	recall = set_recall(snapshot, set, dead, queries, 10, EF, NULL);
	fresh = fresh_recall(set, dead, queries, metric);
	print_message("# churn, %s, order %d: recall %.4f, fresh build %.4f\n", hnsw_metric_name(metric), order,
				  recall, fresh);
	assert_true(recall >= fresh - 0.005);
	free(dead);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(queries);
	set_free(set);
}

static void
churn_at_random(void **state)
{
	(void) state;
	churn(HNSW_COSINE, AT_RANDOM);
	churn(HNSW_L2, AT_RANDOM);
}

static void
churn_by_cluster(void **state)
{
	(void) state;
	churn(HNSW_COSINE, BY_CLUSTER);
}

static void
churn_oldest_first(void **state)
{
	(void) state;
	churn(HNSW_L2, OLDEST_FIRST);
}

/* Through snapshots, as merges do: a tenth replaced, twenty times over. */
static void
many_generations(void **state)
{
	const size_t n = 2000;
	const size_t step = n / 10;
	const int generations = 20;
	Set *set = set_clustered(n + step * (size_t) generations, 48, 8, 1);
	Set *queries = set_clustered(QUERIES, 48, 8, 2);
	bool *dead = calloc(set->count, sizeof *dead);
	HnswBuilder *builder = set_graph(set, 0, n, HNSW_COSINE, 12, 80);
	HnswSnapshot *snapshot = set_snapshot(builder);
	HnswError err;
	double recall;
	double fresh;

	(void) state;
	hnsw_builder_free(builder);
	for (size_t i = n; i < set->count; i++)
		dead[i] = true;
	for (int g = 0; g < generations; g++)
	{
		HnswTask task = {.threads = 1};
		HnswSnapshot *next;

		assert_ok(hnsw_builder_load(snapshot, &task, &builder, &err));
		assert_int_equal(hnsw_builder_count(builder), n);
		for (size_t i = 0; i < step; i++)
		{
			size_t old = step * (size_t) g + i;
			size_t new = n + old;

			assert_ok(hnsw_builder_remove(builder, set->labels[old]));
			assert_ok(hnsw_builder_add(builder, set->labels[new], set_vector(set, new), &err));
			dead[old] = true;
			dead[new] = false;
		}
		next = set_snapshot(builder);
		hnsw_builder_free(builder);
		hnsw_snapshot_close(snapshot);
		snapshot = next;
	}
	recall = set_recall(snapshot, set, dead, queries, 10, EF, NULL);
	fresh = fresh_recall(set, dead, queries, HNSW_COSINE);
	print_message("# %d generations: recall %.4f, fresh build %.4f\n", generations, recall, fresh);
	assert_true(recall >= fresh - 0.005);
	hnsw_snapshot_close(snapshot);
	free(dead);
	set_free(queries);
	set_free(set);
}

/* A loaded graph that nobody changes is written as the same graph. */
static void
load_changes_nothing(void **state)
{
	Set *set = set_clustered(1000, 40, 9, 1);
	HnswBuilder *builder = set_graph(set, 0, 1000, HNSW_IP, 8, 50);
	HnswSnapshot *first = set_snapshot(builder);
	HnswSnapshot *second;
	HnswError err;

	(void) state;
	hnsw_builder_free(builder);
	assert_ok(hnsw_builder_load(first, NULL, &builder, &err));
	second = set_snapshot(builder);
	assert_int_equal(first->size, second->size);
	for (size_t q = 0; q < 50; q++)
	{
		HnswHit a[20];
		HnswHit b[20];

		assert_int_equal(set_search(first, set, set_vector(set, q), 20, 30, a, NULL), 20);
		assert_int_equal(set_search(second, set, set_vector(set, q), 20, 30, b, NULL), 20);
		for (int i = 0; i < 20; i++)
			assert_true(a[i].label == b[i].label && a[i].distance == b[i].distance);
	}
	hnsw_builder_free(builder);
	hnsw_snapshot_close(second);
	hnsw_snapshot_close(first);
	set_free(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(removed_is_gone),      cmocka_unit_test(everything_removed_and_begun_again),
		cmocka_unit_test(churn_at_random),      cmocka_unit_test(churn_by_cluster),
		cmocka_unit_test(churn_oldest_first),   cmocka_unit_test(many_generations),
		cmocka_unit_test(load_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
