/*
 * support.h
 *		What the unit tests of hnsw/ share: cmocka, reproducible vectors, graphs
 *		made of them, exact search as the oracle.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

/* cmocka wants these first */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hnsw/hnsw.h"

#include <stdbool.h>

/* Vectors with labels 1, 2, ...; row i has label i + 1 unless a test changes it. */
typedef struct Set
{
	uint32_t dim;
	size_t count;
	float *vectors;
	int64_t *labels;
} Set;

/* Numbers that depend on the seed alone. */
typedef struct Random
{
	uint64_t state;
} Random;

/* How many want each processor, on average, and at least 1: limits of time are multiplied by it. */
double load_factor(void);

uint64_t random_bits(Random *r);
double random_unit(Random *r);   /* 0 <= x < 1 */
double random_normal(Random *r); /* mean 0, deviation 1 */

/* Independent normal elements. */
Set *set_normal(size_t count, uint32_t dim, uint64_t seed);

/*
 * Points around 32 centres on a surface of 12 dimensions, as real embeddings
 * are.  sets with the same shape have the same centres, so that one can serve
 * as queries to the other.
 */
Set *set_clustered(size_t count, uint32_t dim, uint64_t shape, uint64_t seed);
void set_free(Set *set);

static inline float *
set_vector(const Set *set, size_t i)
{
	return set->vectors + i * set->dim;
}

/* A graph of the rows from first on, added in order by one thread. */
HnswBuilder *set_graph(const Set *set, size_t first, size_t count, HnswMetric metric, uint32_t m,
					   uint32_t ef);

/* Its snapshot in memory; the validator has found nothing. */
HnswSnapshot *set_snapshot(HnswBuilder *builder);

/* Print findings and count them. */
uint64_t set_problems(const HnswSnapshot *snapshot);

/* The distances of the k nearest rows (fewer rows: the last ones are infinite). */
void exact_nearest(const Set *set, const bool *dead, HnswMetric metric, const float *query, int k,
				   double *out);

/*
 * Search for k with ef; the hits' distances are checked against hnsw_distance
 * where set is given (labels count from 1), and their order.  Returns how many came.
 */
int set_search(const HnswSnapshot *snapshot, const Set *set, const float *query, int k, uint32_t ef,
			   HnswHit *hits, HnswStats *stats);

/* The same as the options say; the k are told to a search with a margin, and all come in order. */
int set_search_as(const HnswSnapshot *snapshot, const Set *set, const float *query, int k,
				  const HnswSearchOptions *options, HnswHit *hits, HnswStats *stats);

/* The share of the k nearest that a search finds, by distance, over all queries. */
double set_recall(const HnswSnapshot *snapshot, const Set *set, const bool *dead, const Set *queries, int k,
				  uint32_t ef, HnswStats *total);
double set_recall_as(const HnswSnapshot *snapshot, const Set *set, const bool *dead, const Set *queries,
					 int k, const HnswSearchOptions *options, HnswStats *total);

#define assert_ok(call) assert_int_equal((call), HNSW_OK)

#endif /* SUPPORT_H */
