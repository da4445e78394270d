/*
 * support_words.h
 *		The words data set of test/data as float vectors, and exact search
 *		over it as the oracle for recall.
 */
#ifndef SUPPORT_WORDS_H
#define SUPPORT_WORDS_H

#include "hnsw/hnsw.h"

#define WORDS_DIM 100

typedef struct Words
{
	uint32_t count;
	float *vectors;  /* count x WORDS_DIM */
	int64_t *labels; /* 1, 2, ... */
} Words;

/* Read test/data/words.i8; at most limit words (0: all).  Exits when it cannot. */
Words *words_load(uint32_t limit);
void words_free(Words *words);

/*
 * The distance of the k-th nearest word, by looking at all.  A hit is right
 * when it is no farther: equal vectors make the k nearest ambiguous.
 */
double words_kth_distance(const Words *words, HnswMetric metric, const float *query, uint32_t k);

#endif /* SUPPORT_WORDS_H */
