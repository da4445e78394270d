/*
 * sketch.c
 *		Sketches: four bits an element, for the walk.
 *
 * A walk is bound by the cache lines it touches, and nearly all that it meets
 * is far away.  So it compares by sketches, which take half the lines of the
 * codes; only the best it met are then compared by their codes, which bracket
 * the true distance (code.c), and the best of these by the vectors themselves.
 *
 * An element is scale * (code - 7.5).  The step is the one of a few that loses
 * least; the scale is then the one by which the estimated product of the vector
 * with itself is right.  The same correction makes the estimates of RaBitQ (Gao
 * & Long 2024) unbiased: what the code lost is then about perpendicular to the
 * vector, and a query near it sees little of it.
 *
 * Sums stay within 32 bits: 2 * 15 * 127 * 16000.
 */
#include "code.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 64
#define CODE_MAX 15
#define CODE_MIDDLE 7.5
#define QUERY_MAX 127
#define SHARES 6 /* steps that are tried */

static uint32_t
sketch_blocks(uint32_t dim)
{
	return ((dim + 1) / 2 + BLOCK - 1) / BLOCK;
}

uint32_t
hnsw_sketch_stride(HnswCode code, uint32_t dim)
{
	uint32_t bytes = hnsw_sketch_tail(dim) + 2 * (uint32_t) sizeof(float);

	return code == HNSW_CODE_SQ8 ? (bytes + BLOCK - 1) / BLOCK * BLOCK : 0;
}

static float
bounded(double x)
{
	return x < FLT_MAX ? (float) x : FLT_MAX;
}

/* To the nearest integer; see code.c. */
static inline double
nearest(double x)
{
	const double shift = 0x1.8p52;

	return (x + shift) - shift;
}

static inline double
code_of(double x)
{
	double code = nearest(x + CODE_MIDDLE);

	code = code < CODE_MAX ? code : CODE_MAX;
	return code > 0 ? code : 0;
}

static double
largest(const float *vector, uint32_t dim)
{
	float max = 0;

	for (uint32_t i = 0; i < dim; i++)
	{
		float size = fabsf(vector[i]);

		max = size > max ? size : max;
	}
	return max;
}

/* One divided by the step that loses least, for a vector that is not zero. */
static double
choose_inverse(const float *vector, uint32_t dim, double max)
{
	static const double shares[SHARES] = {1, 0.9, 0.8, 0.7, 0.6, 0.5};
	double inverse[SHARES];
	double lost[SHARES] = {0};
	double best = 0;
	double least = INFINITY;

	for (int s = 0; s < SHARES; s++)
		inverse[s] = CODE_MIDDLE / (shares[s] * max);

	/* all at once: no sum has to wait for itself */
	for (uint32_t i = 0; i < dim; i++)
		for (int s = 0; s < SHARES; s++)
		{
			double x = vector[i] * inverse[s];
			double off = x - (code_of(x) - CODE_MIDDLE);

			lost[s] += off * off;
		}
	for (int s = 0; s < SHARES; s++)
	{
		lost[s] *= shares[s] * shares[s];
		if (lost[s] < least)
		{
			least = lost[s];
			best = inverse[s];
		}
	}
	return best;
}

void
hnsw_sketch_encode(HnswMetric metric, const float *vector, uint32_t dim, void *sketch)
{
	uint8_t *bytes = sketch;
	uint32_t half = (dim + 1) / 2;
	double square = hnsw_kernels()->exact_dot(vector, vector, dim);
	double max = largest(vector, dim);
	double inverse = max > 0 ? choose_inverse(vector, dim, max) : 0;
	double along = 0; /* the product of the vector and its code */
	double scale = 0;
	float tail[2];

	memset(bytes, 0, hnsw_sketch_stride(HNSW_CODE_SQ8, dim));
	for (uint32_t i = 0; i < dim; i++)
	{
		double code = code_of(vector[i] * inverse);

		along += vector[i] * (code - CODE_MIDDLE);
		if (i < half)
			bytes[i] = (uint8_t) code;
		else
			bytes[i - half] |= (uint8_t) ((int) code << 4);
	}
	if (along > 0)
		scale = (metric == HNSW_COSINE ? sqrt(square) : square) / along;
	tail[0] = bounded(scale);
	tail[1] = bounded(square);
	memcpy(bytes + hnsw_sketch_tail(dim), tail, sizeof tail);
}

bool
hnsw_probe_sketch_init(HnswProbe *probe)
{
	probe->sketch_blocks = sketch_blocks(probe->dim);
	probe->sketch = aligned_alloc(BLOCK, (size_t) probe->sketch_blocks * 2 * BLOCK);
	if (probe->sketch == NULL)
		return false;
	memset(probe->sketch, 0, (size_t) probe->sketch_blocks * 2 * BLOCK);
	return true;
}

/*
 * Elements in the order in which the kernel meets their codes; those beyond the
 * last stay zero, so that whatever follows the codes counts for nothing.
 */
void
hnsw_probe_sketch_set(HnswProbe *probe, const float *vector, double unit)
{
	uint32_t half = (probe->dim + 1) / 2;
	double max = largest(vector, probe->dim);
	double inverse = max > 0 ? QUERY_MAX / max : 0;
	int32_t sum = 0;

	for (uint32_t i = 0; i < probe->dim; i++)
	{
		uint32_t byte = i < half ? i : i - half;
		int8_t code = (int8_t) nearest(vector[i] * inverse);

		probe->sketch[byte / BLOCK * 2 * BLOCK + (i < half ? 0 : BLOCK) + byte % BLOCK] = code;
		sum += code;
	}

	/* the kernel's sum is doubled, and so is the middle */
	probe->sketch_sum = CODE_MAX * sum;
	probe->sketch_scale = bounded(max / QUERY_MAX / unit / 2);
}
