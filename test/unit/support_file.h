/*
 * support_file.h
 *		Graphs and graph files for the tests of hnsw/.
 *
 * Everything asserts by cmocka, so a test that calls these needs no error
 * handling of its own.  All randomness comes from the seed that is given.
 */
#ifndef SUPPORT_FILE_H
#define SUPPORT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hnsw/internal.h"

/* A small generator (xorshift64*); state must not be 0. */
uint64_t sample_random(uint64_t *state);

/* n x dim floats in [-1, 1), to be freed.  No row is zero. */
float *sample_vectors(size_t n, uint32_t dim, uint64_t seed);

/* The labels used by sample_build: neither dense nor in order, and negative too. */
int64_t sample_label(size_t i);

/* Insert vectors one by one, in one thread, with sample_label's labels. */
HnswBuilder *sample_build(HnswMetric metric, uint32_t dim, uint32_t m, size_t n, const float *vectors);

/* Write builder to path with a fixed identity. */
void sample_write(HnswBuilder *builder, const char *path);

/* sample_vectors, sample_build and sample_write in one, with seed 1. */
void sample_make_file(const char *path, HnswMetric metric, uint32_t dim, uint32_t m, size_t n);

HnswSnapshot *sample_open(const char *path);

/* Whole files; the bytes are to be freed. */
uint8_t *file_read(const char *path, size_t *size);
void file_write(const char *path, const void *bytes, size_t size);

/* How many entries of folder have a name that ends so. */
int folder_count(const char *folder, const char *suffix);

/*
 * Make the checksums right for whatever now stands in the bytes of a graph
 * file, as somebody would who wants to be believed.  The header first: its
 * layout says where the sums are; where that lies outside, only the header's
 * sum is set.
 */
void sample_refit(uint8_t *bytes, size_t size);

/*
 * The k nearest; the number found is the result, HNSW_OK or HNSW_DONE or the
 * error that ended it is *status.
 */
size_t sample_search(const HnswSnapshot *snapshot, const float *query, uint32_t ef, size_t k, HnswHit *hits,
					 HnswStatus *status);

/* Problems that hnsw_snapshot_check counts. */
uint64_t sample_problems(const HnswSnapshot *snapshot);

#endif /* SUPPORT_FILE_H */
