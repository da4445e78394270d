/*
 * test_hnsw_basis.c
 *		Bases: what is learnt, where none is, and sketches made with one.
 */
#include "support.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hnsw/code.h"
#include "hnsw/internal.h"
#include "support_file.h"

#define DIM 384
#define N 2000

static const float *
row(void *arg, uint32_t i)
{
	return set_vector((const Set *) arg, i);
}

/* The basis of a set; *data is to be freed. */
static HnswBasis
learn(const Set *set, HnswMetric metric, float **data)
{
	uint32_t rank;

	assert_ok(hnsw_basis_learn(metric, set->dim, (uint32_t) set->count, row, (void *) set, NULL, data, &rank,
							   NULL));
	assert_true((*data == NULL) == (rank == 0));
	return hnsw_basis_at(*data, set->dim, rank);
}

/*
 * Vectors near a surface of 12 dimensions: one line, rows perpendicular, fresh
 * vectors keep nearly all of what makes them differ, and no coordinate has more
 * than a few times its share.
 */
static void
few_directions_are_found(void **state)
{
	Set *set = set_clustered(N, DIM, 1, 2);
	Set *fresh = set_clustered(300, DIM, 1, 3);
	float *data;
	float *again;
	HnswBasis basis = learn(set, HNSW_L2, &data);
	double kept = 0;
	double all = 0;
	double most = 0;
	double *each = calloc(basis.rank, sizeof *each);

	(void) state;
	assert_int_equal(basis.rank, hnsw_sketch_room(1));
	for (uint32_t i = 0; i < basis.rank; i++)
		for (uint32_t j = 0; j <= i; j++)
		{
			double product = 0;

			for (uint32_t d = 0; d < DIM; d++)
				product += (double) basis.rows[i * DIM + d] * basis.rows[j * DIM + d];
			if (fabs(product - (i == j)) > 1e-3)
				fail_msg("rows %u and %u have product %g", i, j, product);
		}
	for (size_t v = 0; v < fresh->count; v++)
	{
		float out[HNSW_BASIS_RANK_MAX];

		hnsw_basis_project(&basis, set_vector(fresh, v), 1, out);
		for (uint32_t d = 0; d < DIM; d++)
			all += pow(set_vector(fresh, v)[d] - basis.mean[d], 2);
		for (uint32_t i = 0; i < basis.rank; i++)
		{
			kept += pow(out[i], 2);
			each[i] += pow(out[i], 2);
		}
	}
	assert_true(kept > 0.95 * all && kept < 1.001 * all);
	for (uint32_t i = 0; i < basis.rank; i++)
		most = each[i] > most ? each[i] : most;
	if (most > 6 * kept / basis.rank)
		fail_msg("one coordinate has %.1f times its share", most * basis.rank / kept);

	/* the same vectors, the same basis */
	learn(set, HNSW_L2, &again);
	assert_memory_equal(data, again, hnsw_basis_floats(DIM, basis.rank) * sizeof *data);
	free(each);
	free(data);
	free(again);
	set_free(set);
	set_free(fresh);
}

/* Too few vectors; directions that are all alike; sketches of one line; numbers too large. */
static void
no_basis_where_none_helps(void **state)
{
	static const struct
	{
		size_t count;
		uint32_t dim;
	} normal[] = {{1000, DIM}, {6000, DIM}, {N, 100}, {N, 32}, {11000, 1536}};
	float *data;
	Set *set;

	(void) state;
	for (size_t i = 0; i < sizeof normal / sizeof *normal; i++)
	{
		set = set_normal(normal[i].count, normal[i].dim, 4);
		assert_int_equal(learn(set, HNSW_COSINE, &data).rank, 0);
		set_free(set);
	}
	set = set_clustered(N, DIM, 1, 2);
	for (size_t i = 0; i < set->count * DIM; i++)
		set->vectors[i] *= 1e37f;
	assert_int_equal(learn(set, HNSW_L2, &data).rank, 0);

	/* for cosine they are as good as any; ones that no graph takes do no harm */
	for (int i = 0; i < DIM; i++)
	{
		set_vector(set, 0)[i] = NAN;
		set_vector(set, 1)[i] = 0;
		set_vector(set, 2)[i] = INFINITY;
	}
	assert_int_equal(learn(set, HNSW_COSINE, &data).rank, hnsw_sketch_room(1));
	free(data);
	set_free(set);
}

/* True from the so many-th question on. */
static bool
enough(void *arg)
{
	int *left = arg;

	return --*left <= 0;
}

/* Whenever it is told to, it stops, and the builder can be used as before. */
static void
learning_stops(void **state)
{
	Set *set = set_clustered(N, DIM, 1, 2);
	HnswParams params = {.dim = DIM, .metric = HNSW_COSINE, .m = 8, .ef_construction = 60, .seed = 7};

	(void) state;
	for (int asked = 1; asked < 300; asked += 60)
	{
		int left = asked;
		HnswTask task = {.cancelled = enough, .arg = &left, .threads = 1};
		HnswError err = {0};
		HnswBuilder *builder;
		float *data;
		uint32_t rank;

		assert_int_equal(hnsw_basis_learn(HNSW_L2, DIM, N, row, set, &task, &data, &rank, &err),
						 HNSW_INTERRUPTED);
		assert_null(data);
		assert_int_equal(rank, 0);

		left = asked;
		assert_ok(hnsw_builder_create(&params, 0, &builder, NULL));
		assert_int_equal(hnsw_builder_add_many(builder, N, set->labels, set->vectors, &task, &err),
						 HNSW_INTERRUPTED);
		assert_int_equal(hnsw_builder_count(builder), 0);
		assert_ok(hnsw_builder_add(builder, 1, set->vectors, &err));
		hnsw_builder_free(builder);
	}
	set_free(set);
}

/* Keys by such sketches: the same under every kernel, near the true key, unbiased. */
static void
keys_are_near(void **state)
{
	Set *set = set_clustered(N, DIM, 1, 2);
	Set *fresh = set_clustered(200, DIM, 1, 5);
	uint8_t sketch[HNSW_LINE];
	uint8_t again[HNSW_LINE];

	(void) state;
	for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_IP; metric++)
	{
		float *data;
		HnswBasis basis = learn(set, metric, &data);
		HnswProbe probe;
		double bias = 0;
		double squares = 0;
		int count = 0;

		assert_true(hnsw_probe_init(&probe, HNSW_CODE_SQ8, metric, &basis));
		for (size_t q = 0; q < fresh->count; q++)
		{
			const float *a = set_vector(fresh, q);

			hnsw_probe_set(&probe, a);
			for (size_t v = q; v < N; v += 100)
			{
				const float *b = set_vector(set, v);
				double unit = metric == HNSW_COSINE ? 1 : hnsw_norm(a, DIM) * hnsw_norm(b, DIM);
				double off;

				assert_ok(hnsw_set_kernel(HNSW_KERNEL_PORTABLE));
				hnsw_sketch_encode(metric, &basis, b, again);
				assert_ok(hnsw_set_kernel(HNSW_KERNEL_AUTO));
				hnsw_sketch_encode(metric, &basis, b, sketch);
				assert_memory_equal(sketch, again, sizeof sketch);
				off = hnsw_probe_sketch_key(&probe, sketch) -
					  hnsw_key_of_distance(metric, hnsw_distance(metric, a, b, DIM));
				off /= metric == HNSW_L2 ? 2 * unit : unit;
				bias += off;
				squares += off * off;
				count++;
			}
		}
		if (fabs(bias / count) > 0.002 || sqrt(squares / count) > 0.02)
			fail_msg("%s: off by %g on the average, by %g at random", hnsw_metric_name(metric), bias / count,
					 sqrt(squares / count));
		hnsw_probe_free(&probe);
		free(data);
	}
	set_free(set);
	set_free(fresh);
}

/* The graph of a set, added at once. */
static HnswBuilder *
graph_of(const Set *set, size_t count)
{
	HnswParams params = {.dim = set->dim, .metric = HNSW_COSINE, .m = 8, .ef_construction = 60, .seed = 7};
	HnswTask one = {.threads = 1};
	HnswBuilder *builder;

	assert_ok(hnsw_builder_create(&params, 0, &builder, NULL));
	assert_ok(hnsw_builder_add_many(builder, count, set->labels, set->vectors, &one, NULL));
	return builder;
}

/*
 * A graph with a basis finds what one without finds, in a smaller file; a merge
 * keeps the basis until there are four times as many vectors, and learns anew then.
 */
static void
graphs_have_one(void **state)
{
	Set *set = set_clustered(5 * N, DIM, 1, 2);
	Set *queries = set_clustered(100, DIM, 1, 6);
	HnswBuilder *builder = graph_of(set, N);
	HnswBuilder *plain = set_graph(set, 0, 900, HNSW_COSINE, 8, 60);
	HnswSnapshot *first = set_snapshot(builder);
	HnswSnapshot *without = set_snapshot(plain);
	HnswSnapshot *second;
	HnswSnapshot *third;
	HnswTask one = {.threads = 1};
	Set part = {.dim = DIM, .count = N, .vectors = set->vectors, .labels = set->labels};
	double recall;

	(void) state;
	assert_int_equal(first->header.sketch_rank, hnsw_sketch_room(1));
	assert_int_equal(first->header.sketch_nodes, N);
	assert_int_equal(first->sketch_stride, HNSW_LINE);
	assert_int_equal(without->header.sketch_rank, 0);
	assert_int_equal(without->sketch_stride, 4 * HNSW_LINE);
	recall = set_recall(first, &part, NULL, queries, 10, 60, NULL);
	if (recall < 0.97)
		fail_msg("recall is %g", recall);
	hnsw_builder_free(builder);
	hnsw_builder_free(plain);
	hnsw_snapshot_close(without);

	assert_ok(hnsw_builder_load(first, NULL, &builder, NULL));
	assert_ok(hnsw_builder_add_many(builder, N, set->labels + N, set_vector(set, N), &one, NULL));
	second = set_snapshot(builder);
	assert_int_equal(second->header.sketch_nodes, N);
	assert_memory_equal(second->section[HNSW_BASIS], first->section[HNSW_BASIS],
						hnsw_basis_floats(DIM, first->header.sketch_rank) * sizeof(float));
	part.count = 2 * N;
	assert_true(set_recall(second, &part, NULL, queries, 10, 60, NULL) > 0.97);

	assert_ok(hnsw_builder_add_many(builder, 3 * N, set->labels + 2 * N, set_vector(set, 2 * N), &one, NULL));
	third = set_snapshot(builder);
	assert_int_equal(third->header.sketch_nodes, 5 * N);
	assert_memory_not_equal(third->section[HNSW_BASIS], first->section[HNSW_BASIS], DIM * sizeof(float));
	assert_true(set_recall(third, set, NULL, queries, 10, 60, NULL) > 0.97);
	hnsw_builder_free(builder);
	hnsw_snapshot_close(first);
	hnsw_snapshot_close(second);
	hnsw_snapshot_close(third);
	set_free(set);
	set_free(queries);
}

/* A flipped bit in the basis is noticed before it is used; a basis of nonsense does no harm. */
static void
damage_is_noticed(void **state)
{
	static const float nonsense[] = {NAN, INFINITY, -FLT_MAX, 1e30f};
	const char *path = "basis.hnsw";
	Set *set = set_clustered(N, DIM, 1, 2);
	HnswBuilder *builder = graph_of(set, N);
	HnswSnapshot *snapshot;
	HnswStatus status;
	HnswHit hits[10];
	HnswHeader header;
	uint8_t *bytes;
	size_t size;
	float *basis;

	(void) state;
	sample_write(builder, path);
	hnsw_builder_free(builder);
	bytes = file_read(path, &size);
	memcpy(&header, bytes, sizeof header);
	basis = (float *) (bytes + header.section_offset[HNSW_BASIS]);
	bytes[header.section_offset[HNSW_BASIS] + 70001] ^= 1;
	file_write(path, bytes, size);
	snapshot = sample_open(path);
	{
		HnswSearchOptions options = {.ef = 20};
		HnswCursor *cursor;
		HnswError err;

		assert_int_equal(hnsw_search_begin(snapshot, set->vectors, 0, &options, &cursor, &err), HNSW_CORRUPT);
		assert_null(cursor);
		assert_true(hnsw_snapshot_is_corrupt(snapshot));
		assert_int_equal(hnsw_builder_load(snapshot, NULL, &builder, &err), HNSW_CORRUPT);
	}
	hnsw_snapshot_close(snapshot);

	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
	{
		for (size_t j = i; j < hnsw_basis_floats(DIM, header.sketch_rank); j += 7)
			basis[j] = nonsense[i];
		sample_refit(bytes, size);
		file_write(path, bytes, size);
		snapshot = sample_open(path);
		for (size_t q = 0; q < 20; q++)
			assert_int_equal(sample_search(snapshot, set_vector(set, q), 20, 10, hits, &status), 10);
		assert_true(sample_problems(snapshot) > 0);
		hnsw_snapshot_close(snapshot);
	}
	free(bytes);
	set_free(set);
}

static int
restore_kernel(void **state)
{
	(void) state;
	return hnsw_set_kernel(HNSW_KERNEL_AUTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_directions_are_found), cmocka_unit_test(no_basis_where_none_helps),
		cmocka_unit_test(learning_stops),           cmocka_unit_test_teardown(keys_are_near, restore_kernel),
		cmocka_unit_test(graphs_have_one),          cmocka_unit_test(damage_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
