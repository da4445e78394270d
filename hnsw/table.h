/*
 * table.h
 *		Which node belongs to a number: a label, or the hash of a vector.  Private to
 *		the builder.
 */
#ifndef HNSW_TABLE_H
#define HNSW_TABLE_H

#include "internal.h"

/* Open addressing, linear probing; never more than two thirds full. */
typedef struct HnswTable
{
	struct HnswTableSlot
	{
		int64_t key;
		uint32_t node; /* HNSW_NO_NODE: never used */
	} * slots;
	uint64_t mask; /* slots - 1; 0 while there are none */
	uint64_t count;
} HnswTable;

/* Make room for so many keys, so that hnsw_table_put cannot fail. */
bool hnsw_table_reserve(HnswTable *table, uint64_t count);
uint32_t hnsw_table_get(const HnswTable *table, int64_t key); /* HNSW_NO_NODE: it is not there */
void hnsw_table_put(HnswTable *table, int64_t key, uint32_t node);
void hnsw_table_delete(HnswTable *table, int64_t key);
void hnsw_table_free(HnswTable *table);

#endif /* HNSW_TABLE_H */
