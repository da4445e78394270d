/*
 * kernels_portable.c
 *		Distance kernels in plain C, the definition that the others must match.
 */
#include "kernels.h"

static float
dot(const float *a, const float *b, uint32_t n)
{
	float lane[16] = {0};
	uint32_t i = 0;

	for (; i + 16 <= n; i += 16)
		for (int j = 0; j < 16; j++)
			lane[j] += a[i + j] * b[i + j];
	for (int j = 0; i < n; i++, j++)
		lane[j] += a[i] * b[i];
	for (int width = 8; width > 0; width /= 2)
		for (int j = 0; j < width; j++)
			lane[j] += lane[j + width];
	return lane[0];
}

static float
l2sq(const float *a, const float *b, uint32_t n)
{
	float lane[16] = {0};
	uint32_t i = 0;

	for (; i + 16 <= n; i += 16)
		for (int j = 0; j < 16; j++)
		{
			float d = a[i + j] - b[i + j];

			lane[j] += d * d;
		}
	for (int j = 0; i < n; i++, j++)
	{
		float d = a[i] - b[i];

		lane[j] += d * d;
	}
	for (int width = 8; width > 0; width /= 2)
		for (int j = 0; j < width; j++)
			lane[j] += lane[j + width];
	return lane[0];
}

/*
 * Lanes start at +0.0 and so never become -0.0, which is why a set that adds
 * zeros to unused lanes at the end still returns the same bits.
 */
static double
exact_dot(const float *a, const float *b, uint32_t n)
{
	double lane[16] = {0};
	uint32_t i = 0;

	for (; i + 16 <= n; i += 16)
		for (int j = 0; j < 16; j++)
			lane[j] += (double) a[i + j] * (double) b[i + j];
	for (int j = 0; i < n; i++, j++)
		lane[j] += (double) a[i] * (double) b[i];
	for (int width = 8; width > 0; width /= 2)
		for (int j = 0; j < width; j++)
			lane[j] += lane[j + width];
	return lane[0];
}

static double
exact_l2sq(const float *a, const float *b, uint32_t n)
{
	double lane[16] = {0};
	uint32_t i = 0;

	for (; i + 16 <= n; i += 16)
		for (int j = 0; j < 16; j++)
		{
			double d = (double) a[i + j] - (double) b[i + j];
			double square = d * d;

			lane[j] += square;
		}
	for (int j = 0; i < n; i++, j++)
	{
		double d = (double) a[i] - (double) b[i];
		double square = d * d;

		lane[j] += square;
	}
	for (int width = 8; width > 0; width /= 2)
		for (int j = 0; j < width; j++)
			lane[j] += lane[j + width];
	return lane[0];
}

static int32_t
code_dot(const int16_t *q, const int8_t *c, uint32_t n)
{
	int32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (int32_t) q[i] * c[i];
	return sum;
}

static int32_t
code_pair(const int8_t *a, const int8_t *b, uint32_t n)
{
	int32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (int32_t) a[i] * b[i];
	return sum;
}

static int32_t
sketch_dot(const int8_t *q, const uint8_t *c, uint32_t blocks)
{
	int32_t sum = 0;

	for (; blocks > 0; blocks--, q += 128, c += 64)
		for (int i = 0; i < 64; i++)
			sum += (c[i] & 15) * q[i] + (c[i] >> 4) * q[64 + i];
	return sum;
}

static void
sketch_dot4(const int8_t *q, const uint8_t *const c[4], uint32_t blocks, int32_t sums[4])
{
	for (int i = 0; i < 4; i++)
		sums[i] = sketch_dot(q, c[i], blocks);
}

const HnswKernels hnsw_kernels_portable = {"portable", dot,       l2sq,       exact_dot,  exact_l2sq,
										   code_dot,   code_pair, sketch_dot, sketch_dot4};
