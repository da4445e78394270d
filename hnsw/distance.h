/*
 * distance.h
 *		Exact distances from one vector to many.  Private to hnsw/.
 */
#ifndef HNSW_DISTANCE_H
#define HNSW_DISTANCE_H

#include "internal.h"

#include <math.h>

/* One side of hnsw_distance(), with what depends on it alone. */
typedef struct HnswReference
{
	const HnswKernels *kernels;
	HnswMetric metric;
	uint32_t dim;
	const float *vector; /* the caller's, not copied */
	double square;       /* of its length; cosine only */
} HnswReference;

void hnsw_reference_set(HnswReference *reference, HnswMetric metric, const float *vector, uint32_t dim);

/* hnsw_distance(metric, reference->vector, x, dim), to the same bits. */
double hnsw_reference_distance(const HnswReference *reference, const float *x);

/* Finite and, for cosine, not all zero. */
bool hnsw_vector_usable(HnswMetric metric, const float *vector, uint32_t dim);

#endif /* HNSW_DISTANCE_H */
