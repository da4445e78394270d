/*
 * code.h
 *		Codes of vectors and distances to them.  Private to hnsw/.
 *
 * Traversal compares by "key": smaller is nearer, in the order of the metric
 * but not its value, and approximate.
 *
 *	cosine	1 - cos		l2	the squared distance		ip	minus the product
 *
 * A key is never NaN or infinite, whatever the bytes behind it are.
 */
#ifndef HNSW_CODE_H
#define HNSW_CODE_H

#include "internal.h"

#include <float.h>

/*
 * What follows the dim bytes of an SQ8 record, unaligned.  An element is
 * scale * code (for cosine, of the vector brought to length one).
 */
typedef struct HnswSq8Tail
{
	float scale;
	float error;  /* length of what the code lost */
	float square; /* of the vector's length */
} HnswSq8Tail;

/* A vector made ready to be compared with many codes. */
typedef struct HnswProbe
{
	const HnswKernels *kernels;
	HnswCode code;
	HnswMetric metric;
	uint32_t dim;
	uint32_t stride;
	float *vector;  /* HNSW_CODE_F32: the vector, for cosine of length one */
	int16_t *codes; /* HNSW_CODE_SQ8 */
	float scale;    /* an element is scale * codes[i] */
	float square;   /* of the length */
	float length;
	float error; /* length of what codes lost */

	/* HNSW_CODE_SQ8: the same for sketches, in eight bits; see sketch.c */
	HnswBasis basis;
	int8_t *sketch;
	uint32_t sketch_blocks;
	uint32_t sketch_tail;
	float sketch_base;
	float sketch_scale;
	int32_t sketch_sum;
} HnswProbe;

/* The largest absolute value of an element, 0 without any. */
float hnsw_largest(const float *vector, uint32_t dim);

/* basis: rank 0 for none; what it points at must outlive the probe. */
bool hnsw_probe_init(HnswProbe *probe, HnswCode code, HnswMetric metric, const HnswBasis *basis);
void hnsw_probe_free(HnswProbe *probe);

/* vector: finite, for cosine not zero; not kept. */
void hnsw_probe_set(HnswProbe *probe, const float *vector);

static inline float
hnsw_key_clamp(float key)
{
	/* written so that NaN becomes the farthest */
	key = key < FLT_MAX ? key : FLT_MAX;
	return key > -FLT_MAX ? key : -FLT_MAX;
}

static inline float
hnsw_load_float(const void *p)
{
	float f;

	__builtin_memcpy(&f, p, sizeof f);
	return f;
}

/* The key of a stored vector; vector is read for HNSW_CODE_F32 only. */
static inline float
hnsw_probe_key(const HnswProbe *p, const float *vector, const uint8_t *record)
{
	float key;

	if (p->code == HNSW_CODE_SQ8)
	{
		float dot = (float) p->kernels->code_dot(p->codes, (const int8_t *) record, p->dim);
		const uint8_t *tail = record + p->dim;

		dot *= p->scale * hnsw_load_float(tail);
		if (p->metric == HNSW_COSINE)
			key = 1 - dot;
		else if (p->metric == HNSW_IP)
			key = -dot;
		else
			key = p->square + hnsw_load_float(tail + offsetof(HnswSq8Tail, square)) - 2 * dot;
	}
	else if (p->metric == HNSW_L2)
		key = p->kernels->l2sq(p->vector, vector, p->dim);
	else
	{
		key = p->kernels->dot(p->vector, vector, p->dim);
		key = p->metric == HNSW_COSINE ? 1 - key * hnsw_load_float(record) : -key;
	}
	return hnsw_key_clamp(key);
}

static inline uint32_t
hnsw_sketch_tail(uint32_t coordinates)
{
	return ((coordinates + 1) / 2 + 3) & ~3u;
}

/* The key that the kernel's sum over a sketch stands for. */
static inline float
hnsw_sketch_key(const HnswProbe *p, const uint8_t *sketch, int32_t sum)
{
	const uint8_t *tail = sketch + p->sketch_tail;
	float dot = (float) (2 * sum - p->sketch_sum) * p->sketch_scale * hnsw_load_float(tail);

	return hnsw_key_clamp(p->sketch_base + hnsw_load_float(tail + sizeof(float)) - dot);
}

/* The key of a stored vector by its sketch: about hnsw_probe_key(), unbiased, of no known error. */
static inline float
hnsw_probe_sketch_key(const HnswProbe *p, const uint8_t *sketch)
{
	return hnsw_sketch_key(p, sketch, p->kernels->sketch_dot(p->sketch, sketch, p->sketch_blocks));
}

/* The same for many of them. */
static inline void
hnsw_probe_sketch_keys(const HnswProbe *p, const uint8_t *const *sketches, uint32_t count, float *keys)
{
	uint32_t i = 0;

	for (; i + 4 <= count; i += 4)
	{
		int32_t sums[4];

		p->kernels->sketch_dot4(p->sketch, sketches + i, p->sketch_blocks, sums);
		for (uint32_t j = 0; j < 4; j++)
			keys[i + j] = hnsw_sketch_key(p, sketches[i + j], sums[j]);
	}
	for (; i < count; i++)
		keys[i] = hnsw_probe_sketch_key(p, sketches[i]);
}

/* ---------- sketch.c, for code.c ---------- */

bool hnsw_probe_sketch_init(HnswProbe *probe);
void hnsw_probe_sketch_set(HnswProbe *probe, const float *vector, double unit);

/* ---------- code.c ---------- */

/*
 * How far the key of this record can be from the true one: never too small,
 * infinite where nothing is known.
 */
float hnsw_probe_slack(const HnswProbe *probe, const uint8_t *record, float key);

/* The key of two stored vectors. */
float hnsw_pair_key(const HnswProbe *probe, const float *vector_a, const uint8_t *record_a,
					const float *vector_b, const uint8_t *record_b);

/* The true key that an exact distance stands for, rounded down a little. */
double hnsw_key_of_distance(HnswMetric metric, double distance);

#endif /* HNSW_CODE_H */
