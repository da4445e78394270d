/*
 * sketch.c
 *		Sketches: four bits a coordinate, for the walk.
 *
 * A walk is bound by the cache lines it touches, and nearly all that it meets
 * is far away.  So it compares by sketches: four bits each of the coordinates
 * along a few directions (basis.c), or of the elements where no few directions
 * suffice.  Only the best it met are then compared by their codes, which bracket
 * the true distance (code.c), and the best of these by the vectors themselves.
 *
 * A coordinate is scale * (code - 7.5).  The step is the one of a few that loses
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

#define CODE_MAX 15
#define CODE_MIDDLE 7.5
#define QUERY_MAX 127
#define SHARES 6 /* steps that are tried */

static uint32_t
coordinates_of(const HnswBasis *basis)
{
	return basis->rank > 0 ? basis->rank : basis->dim;
}

static uint32_t
sketch_blocks(uint32_t coordinates)
{
	return ((coordinates + 1) / 2 + HNSW_LINE - 1) / HNSW_LINE;
}

uint32_t
hnsw_sketch_stride(HnswCode code, uint32_t coordinates)
{
	uint32_t bytes = hnsw_sketch_tail(coordinates) + 2 * (uint32_t) sizeof(float);

	return code == HNSW_CODE_SQ8 ? (bytes + HNSW_LINE - 1) / HNSW_LINE * HNSW_LINE : 0;
}

uint32_t
hnsw_sketch_room(uint32_t lines)
{
	return 2 * (lines * HNSW_LINE - 2 * (uint32_t) sizeof(float));
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

/*
 * The vector's part of the key goes to the tail; see hnsw_probe_sketch_set.
 */
void
hnsw_sketch_encode(HnswMetric metric, const HnswBasis *basis, const float *vector, void *sketch)
{
	const HnswKernels *k = hnsw_kernels();
	uint32_t n = coordinates_of(basis);
	uint32_t half = (n + 1) / 2;
	uint8_t *bytes = sketch;
	float projected[HNSW_BASIS_RANK_MAX];
	const float *x = vector;
	double square = k->exact_dot(vector, vector, basis->dim);
	double unit = metric == HNSW_COSINE ? 1 / sqrt(square) : 1;
	double part = metric == HNSW_L2 ? square : 0;
	double max;
	double inverse;
	double along = 0; /* the product of the coordinates and their code */
	double scale = 0;
	float tail[2];

	if (basis->rank > 0)
	{
		double by_mean = hnsw_basis_project(basis, vector, unit, projected);

		part -= (metric == HNSW_L2 ? 2 : 1) * (by_mean - basis->mean_square);
		x = projected;
		square = k->exact_dot(x, x, n);
		unit = 1;
	}
	max = hnsw_largest(x, n);
	inverse = max > 0 ? choose_inverse(x, n, max) : 0;
	memset(bytes, 0, hnsw_sketch_stride(HNSW_CODE_SQ8, n));
	for (uint32_t i = 0; i < n; i++)
	{
		double code = code_of(x[i] * inverse);

		along += x[i] * (code - CODE_MIDDLE);
		if (i < half)
			bytes[i] = (uint8_t) code;
		else
			bytes[i - half] |= (uint8_t) ((int) code << 4);
	}
	if (along > 0)
		scale = unit * square / along;
	tail[0] = bounded(scale);
	tail[1] = bounded(part);
	memcpy(bytes + hnsw_sketch_tail(n), tail, sizeof tail);
}

bool
hnsw_probe_sketch_init(HnswProbe *probe)
{
	probe->sketch_tail = hnsw_sketch_tail(coordinates_of(&probe->basis));
	probe->sketch_blocks = sketch_blocks(coordinates_of(&probe->basis));
	probe->sketch = aligned_alloc(HNSW_LINE, (size_t) probe->sketch_blocks * 2 * HNSW_LINE);
	if (probe->sketch == NULL)
		return false;
	memset(probe->sketch, 0, (size_t) probe->sketch_blocks * 2 * HNSW_LINE);
	return true;
}

/*
 * With the mean m, q . x = q . m + (q - m) . (x - m) + m . (x - m): the first
 * term is the query's, the last the vector's, and the coordinates of a sketch
 * stand for the middle one.
 *
 * Coordinates go where the kernel meets their codes; those beyond the last stay
 * zero, so that whatever follows the codes counts for nothing.
 */
void
hnsw_probe_sketch_set(HnswProbe *probe, const float *vector, double unit)
{
	const HnswBasis *basis = &probe->basis;
	uint32_t n = coordinates_of(basis);
	uint32_t half = (n + 1) / 2;
	float projected[HNSW_BASIS_RANK_MAX];
	const float *x = vector;
	double factor = probe->metric == HNSW_L2 ? 2 : 1;
	double by_mean = 0;
	double max;
	double inverse;
	int32_t sum = 0;

	if (basis->rank > 0)
	{
		by_mean = hnsw_basis_project_fast(basis, vector, 1 / unit, projected);
		x = projected;
		unit = 1;
	}
	max = hnsw_largest(x, n);
	inverse = max > 0 ? QUERY_MAX / max : 0;
	for (uint32_t i = 0; i < n; i++)
	{
		uint32_t byte = i < half ? i : i - half;
		int8_t code = (int8_t) nearest(x[i] * inverse);

		probe->sketch[byte / HNSW_LINE * 2 * HNSW_LINE + (i < half ? 0 : HNSW_LINE) + byte % HNSW_LINE] =
			code;
		sum += code;
	}

	/* the kernel's sum is doubled, and so is the middle */
	probe->sketch_sum = CODE_MAX * sum;
	probe->sketch_scale = bounded(factor * max / QUERY_MAX / unit / 2);
	probe->sketch_base = -(float) (factor * by_mean);
	if (probe->metric == HNSW_COSINE)
		probe->sketch_base += 1;
	else if (probe->metric == HNSW_L2)
		probe->sketch_base += probe->square;
}
