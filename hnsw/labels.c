/*
 * labels.c
 *		Which node bears a label: a hash table.
 *
 * Deleting moves later entries of the run back instead of leaving tombstones,
 * so lookups do not slow down with churn.
 */
#include "labels.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

static uint64_t
home(const HnswLabels *labels, int64_t label)
{
	return hnsw_mix((uint64_t) label) & labels->mask;
}

bool
hnsw_labels_reserve(HnswLabels *labels, uint64_t count)
{
	uint64_t need = 64;
	HnswLabels bigger = {NULL, 0, 0};

	if (labels->slots != NULL && count <= labels->mask - labels->mask / 3)
		return true;
	while (need - need / 3 <= count)
		need *= 2;
	bigger.slots = malloc(need * sizeof *bigger.slots);
	if (bigger.slots == NULL)
		return false;
	bigger.mask = need - 1;
	for (uint64_t i = 0; i < need; i++)
		bigger.slots[i].node = HNSW_NO_NODE;
	for (uint64_t i = 0; labels->slots != NULL && i <= labels->mask; i++)
		if (labels->slots[i].node != HNSW_NO_NODE)
			hnsw_labels_put(&bigger, labels->slots[i].label, labels->slots[i].node);
	free(labels->slots);
	*labels = bigger;
	return true;
}

/* The slot of a label, or the empty one where it would go. */
static struct HnswLabelSlot *
slot_of(const HnswLabels *labels, int64_t label)
{
	uint64_t i = home(labels, label);

	while (labels->slots[i].node != HNSW_NO_NODE && labels->slots[i].label != label)
		i = (i + 1) & labels->mask;
	return &labels->slots[i];
}

uint32_t
hnsw_labels_get(const HnswLabels *labels, int64_t label)
{
	return labels->slots == NULL ? HNSW_NO_NODE : slot_of(labels, label)->node;
}

void
hnsw_labels_put(HnswLabels *labels, int64_t label, uint32_t node)
{
	struct HnswLabelSlot *slot = slot_of(labels, label);

	labels->count += slot->node == HNSW_NO_NODE;
	slot->label = label;
	slot->node = node;
}

void
hnsw_labels_delete(HnswLabels *labels, int64_t label)
{
	uint64_t hole;

	if (labels->slots == NULL || slot_of(labels, label)->node == HNSW_NO_NODE)
		return;
	hole = (uint64_t) (slot_of(labels, label) - labels->slots);
	labels->count--;
	for (uint64_t i = (hole + 1) & labels->mask; labels->slots[i].node != HNSW_NO_NODE;
		 i = (i + 1) & labels->mask)
	{
		/* an entry may fill the hole unless its home lies between hole and it */
		uint64_t from_home = (i - home(labels, labels->slots[i].label)) & labels->mask;
		uint64_t from_hole = (i - hole) & labels->mask;

		if (from_home >= from_hole)
		{
			labels->slots[hole] = labels->slots[i];
			hole = i;
		}
	}
	labels->slots[hole].node = HNSW_NO_NODE;
}

void
hnsw_labels_free(HnswLabels *labels)
{
	free(labels->slots);
	memset(labels, 0, sizeof *labels);
}
