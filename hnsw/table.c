/*
 * table.c
 *		Which node belongs to a number: a hash table.
 *
 * Deleting moves later entries of the run back instead of leaving tombstones,
 * so lookups do not slow down with churn.
 */
#include "table.h"
#include "rng.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
home(const HnswTable *table, int64_t key)
{
	return hnsw_mix((uint64_t) key) & table->mask;
}

bool
hnsw_table_reserve(HnswTable *table, uint64_t count)
{
	uint64_t need = 64;
	HnswTable bigger = {NULL, 0, 0};

	if (table->slots != NULL && count <= table->mask - table->mask / 3)
		return true;
	while (need - need / 3 <= count)
		need *= 2;
	bigger.slots = malloc(need * sizeof *bigger.slots);
	if (bigger.slots == NULL)
		return false;
	bigger.mask = need - 1;
	for (uint64_t i = 0; i < need; i++)
		bigger.slots[i].node = HNSW_NO_NODE;
	for (uint64_t i = 0; table->slots != NULL && i <= table->mask; i++)
		if (table->slots[i].node != HNSW_NO_NODE)
			hnsw_table_put(&bigger, table->slots[i].key, table->slots[i].node);
	free(table->slots);
	*table = bigger;
	return true;
}

/* The slot of a key, or the empty one where it would go. */
static struct HnswTableSlot *
slot_of(const HnswTable *table, int64_t key)
{
	uint64_t i = home(table, key);

	while (table->slots[i].node != HNSW_NO_NODE && table->slots[i].key != key)
		i = (i + 1) & table->mask;
	return &table->slots[i];
}

uint32_t
hnsw_table_get(const HnswTable *table, int64_t key)
{
	return table->slots == NULL ? HNSW_NO_NODE : slot_of(table, key)->node;
}

void
hnsw_table_put(HnswTable *table, int64_t key, uint32_t node)
{
	struct HnswTableSlot *slot = slot_of(table, key);

	assert(node != HNSW_NO_NODE);
	table->count += slot->node == HNSW_NO_NODE;
	slot->key = key;
	slot->node = node;
	/* a look-up ends at an empty slot */
	assert(table->count <= table->mask);
}

void
hnsw_table_delete(HnswTable *table, int64_t key)
{
	uint64_t hole;

	if (table->slots == NULL || slot_of(table, key)->node == HNSW_NO_NODE)
		return;
	hole = (uint64_t) (slot_of(table, key) - table->slots);
	table->count--;
	for (uint64_t i = (hole + 1) & table->mask; table->slots[i].node != HNSW_NO_NODE;
		 i = (i + 1) & table->mask)
	{
		/* an entry may fill the hole unless its home lies between hole and it */
		uint64_t from_home = (i - home(table, table->slots[i].key)) & table->mask;
		uint64_t from_hole = (i - hole) & table->mask;

		if (from_home >= from_hole)
		{
			table->slots[hole] = table->slots[i];
			hole = i;
		}
	}
	table->slots[hole].node = HNSW_NO_NODE;
}

void
hnsw_table_free(HnswTable *table)
{
	free(table->slots);
	memset(table, 0, sizeof *table);
}
