/*
 * load.c
 *		The graph of a snapshot as a builder.
 *
 * Vectors and codes stay in the map, which the caller keeps open; links are
 * copied, since they will change.  Every block is verified on the way, and
 * every number checked, so that the builder need not distrust anything.
 */
#include "builder.h"

typedef struct Load
{
	HnswBuilder *b;
	const HnswSnapshot *s;
} Load;

/* Copy a list that ends at HNSW_NO_NODE; false: a number out of range, doubled or its own. */
static bool
copy_list(HnswList *list, const uint32_t *links, uint32_t max, uint64_t members, uint32_t self)
{
	for (uint32_t i = 0; i < max; i++)
	{
		uint32_t to = hnsw_read_link(&links[i]);

		if (to == HNSW_NO_NODE)
			break;
		if (to >= members || to == self || hnsw_list_contains(list, to))
			return false;
		hnsw_list_append(list, to);
	}
	return true;
}

static uint32_t
level_of(const HnswSnapshot *s, uint32_t node)
{
	uint32_t level = 0;

	while (level + 1 < s->layers && node < s->header.layer_count[level + 1])
		level++;
	return level;
}

static HnswStatus
load_node(void *arg, HnswScratch *scratch, uint64_t i, HnswError *err)
{
	const Load *load = arg;
	const HnswSnapshot *s = load->s;
	HnswBuilder *b = load->b;
	uint32_t node = (uint32_t) i;
	uint32_t m = b->params.m;
	uint32_t level = level_of(s, node);
	const uint32_t *links = hnsw_links0(s, node);
	HnswNodeRest *rest = hnsw_node_rest(b, node);
	bool sound;

	(void) scratch;
	if (level > 0)
	{
		rest->upper = calloc((size_t) level * (1 + b->room), sizeof *rest->upper);
		if (rest->upper == NULL)
			return hnsw_fail(err, HNSW_NOMEM, "out of memory for the links of a node");
	}
	hnsw_node(b, node)->level = (uint8_t) level;
	sound = hnsw_touch(s, links, 2 * (size_t) m * sizeof *links) &&
			copy_list(hnsw_node(b, node)->list, links, 2 * m, s->count, node) &&
			hnsw_touch(s, hnsw_label(s, node), sizeof(int64_t)) &&
			hnsw_touch(s, hnsw_vector(s, node), b->params.dim * sizeof(float)) &&
			hnsw_touch(s, hnsw_code(s, node), b->code_stride) &&
			(s->sketch_stride == 0 || hnsw_touch(s, hnsw_sketch(s, node), s->sketch_stride));
	for (uint32_t layer = 1; layer <= level && sound; layer++)
	{
		links = hnsw_links_upper(s, layer, node);
		sound = hnsw_touch(s, links, m * sizeof *links) &&
				copy_list(hnsw_node_list(b, node, layer), links, m, s->header.layer_count[layer], node);
	}
	if (!sound)
		return hnsw_fail(err, HNSW_CORRUPT, "the graph file is damaged at node %u", node);
	rest->label = *hnsw_label(s, node);
	return HNSW_OK;
}

static HnswStatus
load_labels(HnswBuilder *b, const HnswSnapshot *s, HnswError *err)
{
	for (uint32_t node = 0; node < s->count; node++)
	{
		int64_t label = hnsw_node_rest(b, node)->label;

		if (hnsw_labels_get(&b->labels, label) != HNSW_NO_NODE)
			return hnsw_fail(err, HNSW_CORRUPT, "the graph file has label %lld twice", (long long) label);
		hnsw_labels_put(&b->labels, label, node);
	}
	return HNSW_OK;
}

HnswStatus
hnsw_builder_load(const HnswSnapshot *s, const HnswTask *task, HnswBuilder **out, HnswError *err)
{
	HnswBuilder *b;
	Load load;
	HnswStatus status = hnsw_builder_create(&s->info.params, 0, &b, err);

	*out = NULL;
	if (status != HNSW_OK)
		return status;
	load = (Load){b, s};
	b->base = s;
	b->base_count = s->count;
	b->code = (HnswCode) s->header.code;
	b->code_stride = s->header.code_stride;
	b->codes.size = b->code_stride;
	b->sketches.size = s->sketch_stride;
	b->walk_bytes = (uint32_t) (b->code == HNSW_CODE_F32 ? b->vectors.size : b->sketches.size);
	b->basis_nodes = s->header.sketch_nodes;
	if (!hnsw_snapshot_basis(s, &b->basis))
		status = hnsw_fail(err, HNSW_CORRUPT, "the graph file is damaged before its first node");
	else if (s->count > 0 &&
			 (!hnsw_grow_reserve(&b->nodes, s->count) || !hnsw_grow_reserve(&b->rest, s->count) ||
			  !hnsw_labels_reserve(&b->labels, s->count)))
		status = hnsw_fail(err, HNSW_NOMEM, "out of memory for a graph of %u nodes", s->count);
	else if (s->count > 0)
	{
		atomic_store(&b->slots, s->count);
		status = hnsw_parallel(b, s->count, load_node, &load, task, err);
	}
	if (status == HNSW_OK && s->count > 0)
		status = load_labels(b, s, err);
	if (status == HNSW_OK && hnsw_snapshot_is_corrupt(s))
		status = hnsw_fail(err, HNSW_CORRUPT, "the graph file is damaged");
	if (status != HNSW_OK)
	{
		hnsw_builder_free(b);
		return status;
	}
	atomic_store(&b->live, s->count);
	if (s->count > 0)
		atomic_store(&b->entry, ENTRY_OF(s->layers - 1, 0));
	*out = b;
	return HNSW_OK;
}
