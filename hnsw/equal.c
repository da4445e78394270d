/*
 * equal.c
 *		Equal vectors are one node, which has a label for each of them.
 *
 * Equal means bit for bit: what a caller gets back is what was stored.  Nodes are
 * found by a hash of their vectors.  Should two different vectors have the same
 * one, the second is not noted, and copies of it are nodes of their own.
 */
#include "builder.h"

#include <assert.h>

static bool
has_vector(const HnswBuilder *b, uint32_t id, const float *vector)
{
	return memcmp(hnsw_node_vector(b, id), vector, b->params.dim * sizeof *vector) == 0;
}

uint32_t
hnsw_equal_node(const HnswBuilder *b, uint64_t hash, const float *vector)
{
	uint32_t id = hnsw_table_get(&b->equals, (int64_t) hash);

	return id != HNSW_NO_NODE && has_vector(b, id, vector) ? id : HNSW_NO_NODE;
}

void
hnsw_equal_note(HnswBuilder *b, uint64_t hash, uint32_t id)
{
	if (hnsw_table_get(&b->equals, (int64_t) hash) == HNSW_NO_NODE)
		hnsw_table_put(&b->equals, (int64_t) hash, id);
}

void
hnsw_give_label(HnswBuilder *b, int64_t label, uint32_t id)
{
	uint32_t old = hnsw_table_get(&b->labels, label);

	assert(id < atomic_load_explicit(&b->slots, memory_order_relaxed) && !hnsw_node_dead(b, id));
	hnsw_table_put(&b->labels, label, id);
	atomic_store_explicit(&b->live, b->labels.count, memory_order_relaxed);
	hnsw_node_rest(b, id)->labels++;
	if (old != HNSW_NO_NODE)
		hnsw_drop_label(b, old);
}

void
hnsw_drop_label(HnswBuilder *b, uint32_t id)
{
	int64_t hash;

	assert(hnsw_node_rest(b, id)->labels > 0 && !hnsw_node_dead(b, id));
	if (--hnsw_node_rest(b, id)->labels > 0)
		return;
	hash = (int64_t) hnsw_vector_hash(hnsw_node_vector(b, id), b->params.dim);
	if (hnsw_table_get(&b->equals, hash) == id)
		hnsw_table_delete(&b->equals, hash);
	atomic_store_explicit(&hnsw_node(b, id)->dead, 1, memory_order_relaxed);
	atomic_store_explicit(&b->has_dead, true, memory_order_relaxed);
}
