/*
 * select.c
 *		The choice of neighbours: Malkov & Yashunin 2016, algorithm 4, with
 *		pruned candidates kept.
 *
 * A candidate is passed over when it is nearer to one already chosen than to
 * the node itself: the way there leads over the chosen one.  So links point in
 * different directions.  Places left at the end go to the nearest of those
 * passed over.
 *
 * Equal vectors need one rule more.  Among copies of one vector every distance
 * ties, nothing would be passed over, and a node in a crowd of copies would
 * have no link out of it.  So of equal vectors only the first is chosen; the
 * others wait among those passed over.
 */
#include "builder.h"

#include <assert.h>

/* Whether two nodes hold the same vector, as far as keys can tell. */
static bool
same_vector(const HnswBuilder *b, uint32_t x, uint32_t y)
{
	if (b->code == HNSW_CODE_F32)
		return memcmp(hnsw_node_vector(b, x), hnsw_node_vector(b, y), b->params.dim * sizeof(float)) == 0;
	return memcmp(hnsw_node_code(b, x), hnsw_node_code(b, y), b->code_stride) == 0;
}

static bool
passed_over(const HnswBuilder *b, const HnswProbe *probe, HnswCandidate c, const uint32_t *chosen,
			uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
	{
		float key = hnsw_node_pair_key(b, probe, c.node, chosen[i]);

		if (key < c.key || (key == c.key && same_vector(b, c.node, chosen[i])))
			return true;
	}
	return false;
}

uint32_t
hnsw_select(const HnswBuilder *b, const HnswProbe *probe, HnswCandidate *candidates, uint32_t count,
			uint32_t max, uint32_t *chosen)
{
	uint32_t kept = 0;
	uint32_t left = 0;

	for (uint32_t i = 1; i < count; i++)
		assert(candidates[i - 1].key <= candidates[i].key);
	if (count <= max)
	{
		for (uint32_t i = 0; i < count; i++)
			chosen[i] = candidates[i].node;
		return count;
	}
	for (uint32_t i = 0; i < count && kept < max; i++)
	{
		if (passed_over(b, probe, candidates[i], chosen, kept))
			candidates[left++] = candidates[i];
		else
			chosen[kept++] = candidates[i].node;
	}
	for (uint32_t i = 0; i < left && kept < max; i++)
		chosen[kept++] = candidates[i].node;
	return kept;
}

static int
compare(const void *x, const void *y)
{
	const HnswCandidate *a = x;
	const HnswCandidate *b = y;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->node < b->node ? -1 : a->node > b->node;
}

void
hnsw_sort_candidates(HnswCandidate *candidates, uint32_t count)
{
	/* lists are short or nearly sorted, where insertion wins over qsort's calls */
	if (count > 256)
	{
		qsort(candidates, count, sizeof *candidates, compare);
		return;
	}
	for (uint32_t i = 1; i < count; i++)
	{
		HnswCandidate c = candidates[i];
		uint32_t j = i;

		for (; j > 0 && compare(&candidates[j - 1], &c) > 0; j--)
			candidates[j] = candidates[j - 1];
		candidates[j] = c;
	}
}
