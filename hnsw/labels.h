/*
 * labels.h
 *		Which node bears a label.  Private to the builder.
 */
#ifndef HNSW_LABELS_H
#define HNSW_LABELS_H

#include "internal.h"

/* Open addressing, linear probing; never more than two thirds full. */
typedef struct HnswLabels
{
	struct HnswLabelSlot
	{
		int64_t label;
		uint32_t node; /* HNSW_NO_NODE: never used */
	} * slots;
	uint64_t mask; /* slots - 1; 0 while there are none */
	uint64_t count;
} HnswLabels;

/* Make room for one more label, so that hnsw_labels_put cannot fail. */
bool hnsw_labels_reserve(HnswLabels *labels, uint64_t count);
uint32_t hnsw_labels_get(const HnswLabels *labels, int64_t label);
void hnsw_labels_put(HnswLabels *labels, int64_t label, uint32_t node);
void hnsw_labels_delete(HnswLabels *labels, int64_t label);
void hnsw_labels_free(HnswLabels *labels);

#endif /* HNSW_LABELS_H */
