/*
 * test_hnsw_kernels.c
 *		Every set of kernels gives the same bits, and the right ones.
 */
#include "support.h"

#include "hnsw/code.h"
#include "hnsw/internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DIM 300

static const HnswKernel others[] = {HNSW_KERNEL_AVX2, HNSW_KERNEL_AVX512, HNSW_KERNEL_NEON};

static int
restore_kernel(void **state)
{
	(void) state;
	return hnsw_set_kernel(HNSW_KERNEL_AUTO) == HNSW_OK ? 0 : -1;
}

/* Ordinary numbers, and those at the edges of float32. */
static float
awkward(Random *r)
{
	static const float extremes[] = {1e38f,         -1e38f,      FLT_MAX, -FLT_MAX, FLT_MIN, FLT_TRUE_MIN,
									 -FLT_TRUE_MIN, 1.2345e-40f, 0.0f,    -0.0f,    1.0f,    1e-20f};
	uint64_t bits = random_bits(r);

	if (bits % 4 != 0)
		return (float) random_normal(r);
	return extremes[bits / 4 % (sizeof extremes / sizeof *extremes)];
}

static void
exact_kernels_agree_to_the_bit(void **state)
{
	Random r = {1};
	float a[MAX_DIM + 1];
	float b[MAX_DIM + 1];
	int compared = 0;

	(void) state;
	for (uint32_t dim = 1; dim <= MAX_DIM; dim++)
		for (int round = 0; round < 4; round++)
		{
			/* also from an address that is not aligned to 16 bytes */
			float *x = a + round % 2;
			float *y = b + round % 2;
			double want[5];

			for (uint32_t i = 0; i < dim; i++)
			{
				x[i] = round < 2 ? (float) random_normal(&r) : awkward(&r);
				y[i] = round < 2 ? (float) random_normal(&r) : awkward(&r);
			}
			x[0] += x[0] == 0;
			y[0] += y[0] == 0;
			assert_ok(hnsw_set_kernel(HNSW_KERNEL_PORTABLE));
			for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_IP; metric++)
				want[metric - 1] = hnsw_distance(metric, x, y, dim);
			want[3] = hnsw_norm(x, dim);
			want[4] = hnsw_norm(y, dim);
			for (size_t k = 0; k < sizeof others / sizeof *others; k++)
			{
				double got[5];

				if (hnsw_set_kernel(others[k]) != HNSW_OK)
					continue;
				for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_IP; metric++)
					got[metric - 1] = hnsw_distance(metric, x, y, dim);
				got[3] = hnsw_norm(x, dim);
				got[4] = hnsw_norm(y, dim);
				assert_memory_equal(want, got, sizeof want);
				compared++;
			}
		}
#if defined(__x86_64__) || defined(__aarch64__)
	assert_true(compared > 0 || hnsw_set_kernel(HNSW_KERNEL_AVX2) == HNSW_INVALID);
#endif
}

static void
exact_kernels_are_right(void **state)
{
	Random r = {2};
	float a[MAX_DIM];
	float b[MAX_DIM];

	(void) state;
	for (uint32_t dim = 1; dim <= MAX_DIM; dim += 7)
	{
		long double dot = 0;
		long double l2 = 0;
		long double aa = 0;
		long double bb = 0;

		for (uint32_t i = 0; i < dim; i++)
		{
			a[i] = (float) random_normal(&r);
			b[i] = (float) random_normal(&r);
			dot += (long double) a[i] * b[i];
			aa += (long double) a[i] * a[i];
			bb += (long double) b[i] * b[i];
			l2 += ((long double) a[i] - b[i]) * ((long double) a[i] - b[i]);
		}
		assert_true(fabsl(hnsw_distance(HNSW_IP, a, b, dim) + dot) < 1e-12);
		assert_true(fabsl(hnsw_distance(HNSW_L2, a, b, dim) - sqrtl(l2)) < 1e-12);
		assert_true(fabsl(hnsw_distance(HNSW_COSINE, a, b, dim) - (1 - dot / sqrtl(aa * bb))) < 1e-14);
		assert_true(fabsl(hnsw_norm(a, dim) - sqrtl(aa)) < 1e-13);
	}
}

static void
traversal_kernels_are_close(void **state)
{
	Random r = {3};
	float a[MAX_DIM + 16];
	float b[MAX_DIM + 16];
	int8_t c[MAX_DIM + 16];
	int8_t d[MAX_DIM + 16];
	int16_t q[MAX_DIM + 16];

	(void) state;
	for (HnswKernel kernel = HNSW_KERNEL_PORTABLE; kernel <= HNSW_KERNEL_NEON; kernel++)
	{
		const HnswKernels *k;

		if (hnsw_set_kernel(kernel) != HNSW_OK)
			continue;
		k = hnsw_kernels();
		for (uint32_t dim = 1; dim <= MAX_DIM; dim++)
		{
			int64_t dot = 0;
			int64_t pair = 0;
			double size = 0;

			/* what lies behind the end must not matter */
			for (uint32_t i = 0; i < dim + 16; i++)
			{
				a[i] = i < dim ? (float) random_normal(&r) : NAN;
				b[i] = i < dim ? (float) random_normal(&r) : NAN;
				c[i] = (int8_t) (dim % 3 == 0 ? 127 : (int) (random_bits(&r) % 255) - 127);
				d[i] = (int8_t) (dim % 3 == 0 ? -127 : (int) (random_bits(&r) % 255) - 127);
				q[i] = (int16_t) (dim % 3 == 0 ? 32767 : (int) (random_bits(&r) % 65535) - 32767);
				if (i < dim)
				{
					dot += (int64_t) q[i] * c[i];
					pair += (int64_t) c[i] * d[i];
					size += fabs(a[i] * b[i]);
				}
			}
			assert_true(fabs(k->dot(a, b, dim) - k->exact_dot(a, b, dim)) <= 1e-6 * size);
			assert_true(fabs(k->l2sq(a, b, dim) - k->exact_l2sq(a, b, dim)) <=
						1e-6 * k->exact_l2sq(a, b, dim));
			assert_int_equal(k->code_dot(q, c, dim), dot);
			assert_int_equal(k->code_pair(c, d, dim), pair);
		}
	}
}

static void
distance_of_a_vector_to_itself_is_zero(void **state)
{
	Random r = {4};
	float a[MAX_DIM];
	float b[MAX_DIM];

	(void) state;
	for (uint32_t dim = 1; dim <= MAX_DIM; dim++)
	{
		for (uint32_t i = 0; i < dim; i++)
		{
			a[i] = (float) random_normal(&r);
			b[i] = 4 * a[i];
		}
		assert_true(hnsw_distance(HNSW_COSINE, a, a, dim) == 0);
		assert_true(hnsw_distance(HNSW_COSINE, a, b, dim) == 0);
		assert_true(hnsw_distance(HNSW_L2, a, a, dim) == 0);
	}
}

static void
edges_of_the_metrics(void **state)
{
	const float zero[3] = {0, 0, 0};
	const float x[3] = {1, 0, 0};
	const float y[3] = {0, 1, 0};
	const float minus_x[3] = {-2, 0, 0};
	const float tiny[3] = {FLT_TRUE_MIN, 0, 0};
	const float huge[3] = {FLT_MAX, FLT_MAX, FLT_MAX};
	const float minus_huge[3] = {-FLT_MAX, -FLT_MAX, -FLT_MAX};

	(void) state;
	assert_true(isnan(hnsw_distance(HNSW_COSINE, zero, x, 3)));
	assert_true(isnan(hnsw_distance(HNSW_COSINE, x, zero, 3)));
	assert_true(isnan(hnsw_distance(HNSW_COSINE, zero, zero, 3)));
	assert_true(hnsw_distance(HNSW_COSINE, x, minus_x, 3) == 2);
	assert_true(hnsw_distance(HNSW_COSINE, x, y, 3) == 1);
	assert_true(hnsw_distance(HNSW_COSINE, tiny, x, 3) == 0);
	assert_true(hnsw_distance(HNSW_COSINE, tiny, tiny, 3) == 0);
	assert_true(hnsw_distance(HNSW_COSINE, huge, minus_huge, 3) == 2);
	assert_true(isfinite(hnsw_distance(HNSW_L2, huge, minus_huge, 3)));
	assert_true(isfinite(hnsw_distance(HNSW_IP, huge, minus_huge, 3)));
	assert_true(hnsw_distance(HNSW_IP, x, y, 3) == 0 && !signbit(hnsw_distance(HNSW_IP, x, y, 3)));
	assert_true(hnsw_distance(HNSW_IP, minus_x, x, 3) == 2);
	for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_IP; metric++)
		assert_int_equal(hnsw_metric_parse(hnsw_metric_name(metric)), metric);
	assert_int_equal(hnsw_metric_parse("manhattan"), 0);
}

/* A probe's key and its slack bracket the true key, whatever the numbers look like. */
static void
codes_bracket_the_truth(void **state)
{
	static const uint32_t dims[] = {32, 33, 100, 384, 517, 1000};
	Random r = {5};

	(void) state;
	for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
		for (int round = 0; round < 60; round++)
			for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_IP; metric++)
			{
				uint32_t dim = dims[d];
				HnswBasis plain = hnsw_basis_at(NULL, dim, 0);
				uint32_t stride = hnsw_code_stride(HNSW_CODE_SQ8, dim);
				float *a = malloc(dim * sizeof *a);
				float *b = malloc(dim * sizeof *b);
				uint8_t *record = malloc(stride);
				uint8_t *again = malloc(stride);
				HnswProbe probe;
				double key;
				double truth;
				double slack;

				for (uint32_t i = 0; i < dim; i++)
				{
					a[i] = (float) random_normal(&r);
					b[i] = 0.5f * a[i] + (float) random_normal(&r);

					/* outliers, offsets, wide scales, neighbours that differ by little */
					if (round % 4 == 1 && i % 50 == 0)
						b[i] *= 100;
					if (round % 4 == 2)
						b[i] += 20;
					if (round % 4 == 3)
						b[i] = a[i] * 1.001f;
					if (round % 5 == 4)
						a[i] *= 1e10f;
				}
				assert_ok(hnsw_set_kernel(HNSW_KERNEL_AUTO));
				hnsw_code_encode(HNSW_CODE_SQ8, metric, b, dim, record);
				assert_true(hnsw_probe_init(&probe, HNSW_CODE_SQ8, metric, &plain));
				hnsw_probe_set(&probe, a);
				key = hnsw_probe_key(&probe, NULL, record);
				slack = hnsw_probe_slack(&probe, record, (float) key);
				truth = hnsw_key_of_distance(metric, hnsw_distance(metric, a, b, dim));
				if (fabs(key - truth) > slack)
					fail_msg("%s, dim %u, round %d: key %g, truth %g, slack %g", hnsw_metric_name(metric),
							 dim, round, key, truth, slack);

				/* and the bracket is worth having */
				if (metric == HNSW_COSINE && round % 4 == 0)
					assert_true(slack < 0.02);

				/* a code does not depend on the kernel */
				assert_ok(hnsw_set_kernel(HNSW_KERNEL_PORTABLE));
				hnsw_code_encode(HNSW_CODE_SQ8, metric, b, dim, again);
				assert_memory_equal(record, again, stride);
				hnsw_probe_free(&probe);
				free(a);
				free(b);
				free(record);
				free(again);
			}
}

/*
 * Every kernel's sum over half-bytes is the integer sum, to the extremes, and
 * nothing beyond the blocks is read into it.
 */
static void
sketch_kernels_are_exact(void **state)
{
	enum
	{
		BLOCKS = 20
	};
	Random r = {6};
	int8_t q[128 * (BLOCKS + 1)];
	uint8_t c[64 * (BLOCKS + 1)];

	(void) state;
	for (int round = 0; round < 40; round++)
	{
		for (size_t i = 0; i < sizeof q; i++)
			q[i] = (int8_t) (round == 0 ? 127 : round == 1 ? -127 : (int) (random_bits(&r) % 255) - 127);
		for (size_t i = 0; i < sizeof c; i++)
			c[i] = (uint8_t) (round < 2 ? 255 : random_bits(&r));
		for (uint32_t blocks = 0; blocks <= BLOCKS; blocks++)
		{
			int64_t sum = 0;

			for (uint32_t i = 0; i < 64 * blocks; i++)
				sum += (c[i] & 15) * q[i / 64 * 128 + i % 64] + (c[i] >> 4) * q[i / 64 * 128 + 64 + i % 64];
			for (HnswKernel kernel = HNSW_KERNEL_PORTABLE; kernel <= HNSW_KERNEL_NEON; kernel++)
				if (hnsw_set_kernel(kernel) == HNSW_OK)
				{
					const uint8_t *records[4] = {c, c, c, c};
					int32_t sums[4];

					assert_int_equal(hnsw_kernels()->sketch_dot(q, c, blocks), sum);

					/* four at once: each its own, wherever it stands */
					records[round % 4] = c + 64;
					hnsw_kernels()->sketch_dot4(q, records, blocks, sums);
					for (int i = 0; i < 4; i++)
						assert_int_equal(sums[i], hnsw_kernels()->sketch_dot(q, records[i], blocks));
				}
		}
	}
}

/*
 * Keys of sketches: the same under every kernel, near the true key, and right on
 * the average over many vectors (a plain four-bit code, whose length is not
 * corrected, would be short by about a hundredth of the product).
 */
static void
sketches_estimate_without_bias(void **state)
{
	static const uint32_t dims[] = {32, 33, 100, 101, 384, 517};
	enum
	{
		ROUNDS = 400
	};
	Random r = {7};

	(void) state;
	for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
		for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_IP; metric++)
		{
			uint32_t dim = dims[d];
			HnswBasis plain = hnsw_basis_at(NULL, dim, 0);
			uint32_t stride = hnsw_sketch_stride(HNSW_CODE_SQ8, dim);
			float *a = malloc(dim * sizeof *a);
			float *b = malloc(dim * sizeof *b);
			uint8_t *sketch = malloc(stride);
			uint8_t *again = malloc(stride);
			double bias = 0;
			double squares = 0;
			HnswProbe probe;

			assert_true(stride % 64 == 0);
			assert_true(hnsw_probe_init(&probe, HNSW_CODE_SQ8, metric, &plain));
			for (int round = 0; round < ROUNDS; round++)
			{
				double unit;
				double off;
				float key;

				for (uint32_t i = 0; i < dim; i++)
				{
					a[i] = (float) random_normal(&r);
					b[i] = a[i] + 0.5f * (float) random_normal(&r);
				}

				/* errors are measured in products of lengths, which all metrics share */
				unit = metric == HNSW_COSINE ? 1 : hnsw_norm(a, dim) * hnsw_norm(b, dim);
				unit *= metric == HNSW_L2 ? 2 : 1;
				assert_ok(hnsw_set_kernel(HNSW_KERNEL_PORTABLE));
				hnsw_sketch_encode(metric, &plain, b, again);
				hnsw_probe_set(&probe, a);
				key = hnsw_probe_sketch_key(&probe, again);
				assert_ok(hnsw_set_kernel(HNSW_KERNEL_AUTO));
				hnsw_sketch_encode(metric, &plain, b, sketch);
				assert_memory_equal(sketch, again, stride);
				hnsw_probe_set(&probe, a);
				assert_true(hnsw_probe_sketch_key(&probe, sketch) == key);

				off = (key - hnsw_key_of_distance(metric, hnsw_distance(metric, a, b, dim))) / unit;
				bias += off / ROUNDS;
				squares += off * off / ROUNDS;
			}
			if (fabs(bias) > 0.0015 || sqrt(squares) > 0.08 / sqrt(dim))
				fail_msg("%s, dim %u: off by %g on the average, by %g at random", hnsw_metric_name(metric),
						 dim, bias, sqrt(squares));
			hnsw_probe_free(&probe);
			free(a);
			free(b);
			free(sketch);
			free(again);
		}
}

/* Vectors at the edge of what there is have sketches, too, and keys that are numbers. */
static void
sketches_of_odd_vectors(void **state)
{
	static const float values[] = {0, FLT_TRUE_MIN, FLT_MIN, 1, 1e30f, FLT_MAX};
	enum
	{
		DIM = 33
	};
	float a[DIM];
	float b[DIM];
	uint8_t sketch[64];
	HnswBasis plain = hnsw_basis_at(NULL, DIM, 0);
	HnswProbe probe;

	(void) state;
	assert_int_equal(hnsw_sketch_stride(HNSW_CODE_SQ8, DIM), sizeof sketch);
	assert_int_equal(hnsw_sketch_stride(HNSW_CODE_F32, DIM), 0);
	for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_IP; metric++)
	{
		assert_true(hnsw_probe_init(&probe, HNSW_CODE_SQ8, metric, &plain));
		for (size_t x = 0; x < sizeof values / sizeof *values; x++)
			for (size_t y = 0; y < sizeof values / sizeof *values; y++)
			{
				for (int i = 0; i < DIM; i++)
				{
					a[i] = i == 7 ? values[x] : 0;
					b[i] = i % 2 ? values[y] : -values[y];
				}
				hnsw_sketch_encode(metric, &plain, b, sketch);
				hnsw_probe_set(&probe, a);
				assert_true(isfinite(hnsw_probe_sketch_key(&probe, sketch)));

				/* and whatever bytes a file may have there */
				memset(sketch, 0xff, sizeof sketch);
				assert_true(isfinite(hnsw_probe_sketch_key(&probe, sketch)));
			}
		hnsw_probe_free(&probe);
	}
}

static void
kernels_can_be_forced(void **state)
{
	(void) state;
	assert_ok(hnsw_set_kernel(HNSW_KERNEL_PORTABLE));
	assert_string_equal(hnsw_kernel_name(), "portable");
#ifdef __x86_64__
	assert_int_equal(hnsw_set_kernel(HNSW_KERNEL_NEON), HNSW_INVALID);
	assert_string_equal(hnsw_kernel_name(), "portable");
#endif
	assert_int_equal(hnsw_set_kernel((HnswKernel) 99), HNSW_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(exact_kernels_agree_to_the_bit, restore_kernel),
		cmocka_unit_test_teardown(exact_kernels_are_right, restore_kernel),
		cmocka_unit_test_teardown(traversal_kernels_are_close, restore_kernel),
		cmocka_unit_test_teardown(codes_bracket_the_truth, restore_kernel),
		cmocka_unit_test_teardown(sketch_kernels_are_exact, restore_kernel),
		cmocka_unit_test_teardown(sketches_estimate_without_bias, restore_kernel),
		cmocka_unit_test(sketches_of_odd_vectors),
		cmocka_unit_test(distance_of_a_vector_to_itself_is_zero),
		cmocka_unit_test(edges_of_the_metrics),
		cmocka_unit_test_teardown(kernels_can_be_forced, restore_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
