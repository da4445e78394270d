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
	uint64_t *hashes; /* of the vectors */
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
	load->hashes[node] = hnsw_vector_hash(hnsw_vector(s, node), b->params.dim);
	return HNSW_OK;
}

/*
 * Labels, and which vectors are equal.  Files of version 3 have nodes of equal
 * vectors; all but the first of them die here.
 */
static HnswStatus
load_labels(const Load *load, HnswError *err)
{
	HnswBuilder *b = load->b;
	const HnswSnapshot *s = load->s;

	for (uint32_t node = 0; node < s->count; node++)
	{
		uint32_t first = hnsw_equal_node(b, load->hashes[node], hnsw_vector(s, node));
		uint32_t place;
		uint32_t end;

		if (!hnsw_places(s, node, &place, &end))
			return hnsw_fail(err, HNSW_CORRUPT, "the graph file is damaged at node %u", node);
		if (first == HNSW_NO_NODE)
			hnsw_equal_note(b, load->hashes[node], node);
		else
		{
			atomic_store(&hnsw_node(b, node)->dead, 1);
			atomic_store(&b->has_dead, true);
		}
		for (; place < end; place++)
		{
			int64_t label;

			if (!hnsw_read_label(s, place, &label))
				return hnsw_fail(err, HNSW_CORRUPT, "the graph file is damaged at node %u", node);
			if (hnsw_table_get(&b->labels, label) != HNSW_NO_NODE)
				return hnsw_fail(err, HNSW_CORRUPT, "the graph file has label %lld twice", (long long) label);
			hnsw_give_label(b, label, first == HNSW_NO_NODE ? node : first);
		}
	}
	return HNSW_OK;
}

static HnswStatus
load_all(Load *load, const HnswTask *task, HnswError *err)
{
	HnswBuilder *b = load->b;
	const HnswSnapshot *s = load->s;
	HnswStatus status;

	load->hashes = malloc(s->count * sizeof *load->hashes);
	if (load->hashes == NULL || !hnsw_grow_reserve(&b->nodes, s->count) ||
		!hnsw_grow_reserve(&b->rest, s->count) || !hnsw_table_reserve(&b->labels, s->label_count) ||
		!hnsw_table_reserve(&b->equals, s->count))
		return hnsw_fail(err, HNSW_NOMEM, "out of memory for a graph of %u nodes", s->count);
	atomic_store(&b->slots, s->count);
	status = hnsw_parallel(b, s->count, load_node, load, task, err);
	return status == HNSW_OK ? load_labels(load, err) : status;
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
	load = (Load){b, s, NULL};
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
	else if (s->count > 0)
		status = load_all(&load, task, err);
	free(load.hashes);
	if (status == HNSW_OK && hnsw_snapshot_is_corrupt(s))
		status = hnsw_fail(err, HNSW_CORRUPT, "the graph file is damaged");
	if (status != HNSW_OK)
	{
		hnsw_builder_free(b);
		return status;
	}
	if (s->count > 0)
		atomic_store(&b->entry, ENTRY_OF(s->layers - 1, 0));
	*out = b;
	return HNSW_OK;
}
