/*
 * code.c
 *		Codes: what a traversal reads instead of the vectors.
 *
 * HNSW_CODE_SQ8 keeps eight bits an element, symmetric about zero, with a
 * scale of each vector's own: nothing has to be learnt from the data before
 * the first vector is coded, data that drifts or has outliers loses nothing,
 * and a dot product of two codes is one integer sum and one multiplication.
 * The query is kept in sixteen bits, which costs no time and makes its own
 * rounding vanish beside the code's.
 *
 * Sums stay within 32 bits: codes are at most 127 in size, and the query's are
 * held below 2^31 / (127 * dim); two codes give at most 127 * 127 * 16000.
 *
 * Each record knows the length of what it lost, so that by Cauchy-Schwarz the
 * true distance is bracketed: the search re-ranks with the vectors themselves
 * exactly as far as the bracket demands.
 */
#include "code.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CODE_MAX 127

/* Relative error allowed for the few float operations around an integer sum. */
#define ROUNDING 1e-6f

uint32_t
hnsw_code_stride(HnswCode code, uint32_t dim)
{
	switch (code)
	{
		case HNSW_CODE_F32:
			return sizeof(float);
		case HNSW_CODE_SQ8:
			/* records begin at line boundaries: none touches a line more than it must */
			return (dim + (uint32_t) sizeof(HnswSq8Tail) + HNSW_LINE - 1) / HNSW_LINE * HNSW_LINE;
	}
	return 0;
}

static double
square_of(const float *vector, uint32_t dim)
{
	return hnsw_kernels()->exact_dot(vector, vector, dim);
}

static float
bounded(double x)
{
	return x < FLT_MAX ? (float) x : FLT_MAX;
}

float
hnsw_largest(const float *vector, uint32_t dim)
{
	float max = 0;

	for (uint32_t i = 0; i < dim; i++)
	{
		float size = fabsf(vector[i]);

		max = size > max ? size : max;
	}
	return max;
}

/*
 * To the nearest integer, ties to even, for |x| < 2^51: adding 1.5 * 2^52 leaves
 * no bits for a fraction.  Unlike nearbyint() it is two additions everywhere.
 */
static inline double
nearest(double x)
{
	const double shift = 0x1.8p52;

	return (x + shift) - shift;
}

static void
encode_sq8(HnswMetric metric, const float *vector, uint32_t dim, uint8_t *record)
{
	int8_t *codes = (int8_t *) record;
	double square = square_of(vector, dim);
	double length = sqrt(square);
	double max = hnsw_largest(vector, dim);
	double step = max / CODE_MAX;
	double inverse = max > 0 ? CODE_MAX / max : 0;
	double lost = 0;
	HnswSq8Tail tail;

	for (uint32_t i = 0; i < dim; i++)
	{
		double exact = vector[i] * inverse;
		double code = nearest(exact);

		codes[i] = (int8_t) code;
		lost += (exact - code) * (exact - code);
	}
	lost = sqrt(lost) * step;
	if (metric == HNSW_COSINE && length > 0)
	{
		step /= length;
		lost /= length;
	}
	tail.scale = bounded(step);
	tail.error = bounded(lost * (1 + ROUNDING));
	tail.square = bounded(square);
	memcpy(record + dim, &tail, sizeof tail);
}

void
hnsw_code_encode(HnswCode code, HnswMetric metric, const float *vector, uint32_t dim, void *record)
{
	memset(record, 0, hnsw_code_stride(code, dim));
	if (code == HNSW_CODE_SQ8)
		encode_sq8(metric, vector, dim, record);
	else if (code == HNSW_CODE_F32)
	{
		double length = metric == HNSW_COSINE ? sqrt(square_of(vector, dim)) : 1;
		float inverse = length > 0 ? bounded(1 / length) : 0;

		memcpy(record, &inverse, sizeof inverse);
	}
}

bool
hnsw_probe_init(HnswProbe *probe, HnswCode code, HnswMetric metric, const HnswBasis *basis)
{
	uint32_t dim = basis->dim;
	size_t size =
		(((size_t) dim * (code == HNSW_CODE_SQ8 ? sizeof(int16_t) : sizeof(float))) + 63) & ~(size_t) 63;

	memset(probe, 0, sizeof *probe);
	probe->code = code;
	probe->metric = metric;
	probe->dim = dim;
	probe->basis = *basis;
	probe->stride = hnsw_code_stride(code, dim);
	probe->kernels = hnsw_kernels();
	if (code == HNSW_CODE_SQ8)
		return (probe->codes = aligned_alloc(64, size)) != NULL && hnsw_probe_sketch_init(probe);
	return (probe->vector = aligned_alloc(64, size)) != NULL;
}

void
hnsw_probe_free(HnswProbe *probe)
{
	free(probe->vector);
	free(probe->codes);
	free(probe->sketch);
	probe->sketch = NULL;
	probe->vector = NULL;
	probe->codes = NULL;
}

void
hnsw_probe_set(HnswProbe *probe, const float *vector)
{
	double square = square_of(vector, probe->dim);
	double length = sqrt(square);
	double unit = probe->metric == HNSW_COSINE && length > 0 ? length : 1;

	probe->kernels = hnsw_kernels();
	if (probe->code == HNSW_CODE_SQ8)
	{
		double max = hnsw_largest(vector, probe->dim);
		double limit = (double) INT32_MAX / ((double) CODE_MAX * probe->dim);
		double largest_code = limit < INT16_MAX ? floor(limit) : INT16_MAX;
		double step = max / largest_code;
		double inverse = max > 0 ? largest_code / max : 0;
		double lost = 0;

		for (uint32_t i = 0; i < probe->dim; i++)
		{
			double exact = vector[i] * inverse;
			double code = nearest(exact);

			probe->codes[i] = (int16_t) code;
			lost += (exact - code) * (exact - code);
		}
		probe->scale = bounded(step / unit);
		probe->error = bounded(sqrt(lost) * step / unit * (1 + ROUNDING));
		probe->square = bounded(square / (unit * unit));
		probe->length = bounded(length / unit);
		hnsw_probe_sketch_set(probe, vector, unit);
	}
	else
		for (uint32_t i = 0; i < probe->dim; i++)
			probe->vector[i] = (float) (vector[i] / unit);
}

/*
 * q . x = (q' + f) . (x' + e) with codes q', x' and losses f, e, so the codes'
 * product is off by at most |q| |e| + |f| |x'|, and |x'| <= |x| + |e|.
 */
float
hnsw_probe_slack(const HnswProbe *probe, const uint8_t *record, float key)
{
	HnswSq8Tail tail;
	double length;
	double off;

	if (probe->code != HNSW_CODE_SQ8 || fabsf(key) >= FLT_MAX)
		return INFINITY;
	memcpy(&tail, record + probe->dim, sizeof tail);

	/* below this, floats have lost the relative precision that is assumed here */
	if (tail.scale < FLT_MIN || tail.square < FLT_MIN || probe->scale < FLT_MIN || probe->square < FLT_MIN)
		return INFINITY;
	if (probe->metric == HNSW_COSINE)
		length = 1;
	else
		length = sqrt((double) tail.square);
	off = (double) probe->length * tail.error + probe->error * (length + tail.error);
	off += ROUNDING * probe->length * (length + tail.error);
	if (probe->metric == HNSW_L2)
		off = 2 * off + ROUNDING * ((double) probe->square + tail.square);
	return off < FLT_MAX ? (float) off * 1.0001f : INFINITY;
}

float
hnsw_pair_key(const HnswProbe *probe, const float *vector_a, const uint8_t *record_a, const float *vector_b,
			  const uint8_t *record_b)
{
	const HnswKernels *k = probe->kernels;
	uint32_t dim = probe->dim;
	float key;

	if (probe->code == HNSW_CODE_SQ8)
	{
		HnswSq8Tail a;
		HnswSq8Tail b;
		float dot = (float) k->code_pair((const int8_t *) record_a, (const int8_t *) record_b, dim);

		memcpy(&a, record_a + dim, sizeof a);
		memcpy(&b, record_b + dim, sizeof b);
		dot *= a.scale * b.scale;
		if (probe->metric == HNSW_COSINE)
			key = 1 - dot;
		else if (probe->metric == HNSW_IP)
			key = -dot;
		else
			key = a.square + b.square - 2 * dot;
	}
	else if (probe->metric == HNSW_L2)
		key = k->l2sq(vector_a, vector_b, dim);
	else
	{
		key = k->dot(vector_a, vector_b, dim);
		if (probe->metric == HNSW_COSINE)
			key = 1 - key * hnsw_load_float(record_a) * hnsw_load_float(record_b);
		else
			key = -key;
	}
	return hnsw_key_clamp(key);
}

double
hnsw_key_of_distance(HnswMetric metric, double distance)
{
	return metric == HNSW_L2 ? distance * distance : distance;
}
