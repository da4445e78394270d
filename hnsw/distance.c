/*
 * distance.c
 *		The distances that users see, and the metrics' names.
 *
 * Everything here is double precision over the exact kernels, so the result
 * does not depend on processor, compiler or host.  Sums of squares of float32
 * stay far inside double's range (at most 1.9e81, at least 1.9e-90 unless
 * zero), also when two of them are multiplied: nothing overflows.
 */
#include "distance.h"

#include <float.h>
#include <string.h>

double
hnsw_distance(HnswMetric metric, const float *a, const float *b, uint32_t dim)
{
	HnswReference reference;

	hnsw_reference_set(&reference, metric, a, dim);
	return hnsw_reference_distance(&reference, b);
}

double
hnsw_norm(const float *a, uint32_t dim)
{
	return sqrt(hnsw_kernels()->exact_dot(a, a, dim));
}

void
hnsw_reference_set(HnswReference *reference, HnswMetric metric, const float *vector, uint32_t dim)
{
	reference->kernels = hnsw_kernels();
	reference->metric = metric;
	reference->vector = vector;
	reference->dim = dim;
	reference->square = metric == HNSW_COSINE ? reference->kernels->exact_dot(vector, vector, dim) : 0;
}

/*
 * For cosine, sqrt(na * nb) is exactly na where a and b are the same vector
 * (in radix 2 the root of a rounded square is the number itself), so that the
 * distance of a vector to itself is 0 and not 1e-16; so it is to its multiples
 * by powers of two.
 */
double
hnsw_reference_distance(const HnswReference *reference, const float *x)
{
	const HnswKernels *k = reference->kernels;

	if (reference->metric == HNSW_COSINE)
	{
		double square = k->exact_dot(x, x, reference->dim);
		double length = sqrt(reference->square * square);
		double cosine;

		if (!(length > 0))
			return (double) NAN;
		cosine = k->exact_dot(reference->vector, x, reference->dim) / length;
		if (cosine > 1)
			cosine = 1;
		if (cosine < -1)
			cosine = -1;
		return 1 - cosine;
	}
	if (reference->metric == HNSW_L2)
		return sqrt(k->exact_l2sq(reference->vector, x, reference->dim));

	/* subtracted from zero, so that orthogonal vectors have 0 and not -0 */
	return 0.0 - k->exact_dot(reference->vector, x, reference->dim);
}

bool
hnsw_vector_usable(HnswMetric metric, const float *vector, uint32_t dim)
{
	int finite = 1;
	int zero = 1;

	/* without a way out, so that the compiler takes several at a time */
	for (uint32_t i = 0; i < dim; i++)
	{
		finite &= fabsf(vector[i]) <= FLT_MAX;
		zero &= vector[i] == 0;
	}
	return finite && !(zero && metric == HNSW_COSINE);
}

const char *
hnsw_metric_name(HnswMetric metric)
{
	switch (metric)
	{
		case HNSW_COSINE:
			return "cosine";
		case HNSW_L2:
			return "l2";
		case HNSW_IP:
			return "ip";
	}
	return "unknown";
}

HnswMetric
hnsw_metric_parse(const char *name)
{
	for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_IP; metric++)
		if (strcmp(name, hnsw_metric_name(metric)) == 0)
			return metric;
	return (HnswMetric) 0;
}
