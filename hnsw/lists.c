/*
 * lists.c
 *		Which labels a node has: in a file, and for a file.
 *
 * LABELS has the labels of node 0, then those of node 1, and so on.  Where there
 * are no equal vectors, a node's label is at the place of its number.  Else the
 * places where nodes begin are behind them.
 */
#include "builder.h"

/* ---------- in a file ---------- */

bool
hnsw_places_of_list(const HnswSnapshot *s, uint32_t node, uint32_t *place, uint32_t *end)
{
	const uint32_t *starts = s->starts + node;

	if (!hnsw_touch(s, starts, 2 * sizeof *starts))
		return false;
	*place = hnsw_read_link(starts);
	*end = hnsw_read_link(starts + 1);
	if (*place < *end && *end <= s->label_count)
		return true;
	hnsw_set_corrupt(s);
	return false;
}

bool
hnsw_count_places(const HnswSnapshot *s, uint32_t places, uint64_t *sum)
{
	*sum += places;
	if (*sum <= s->label_count)
		return true;
	hnsw_set_corrupt(s);
	return false;
}

bool
hnsw_node_at(const HnswSnapshot *s, uint32_t place, uint32_t *node)
{
	uint32_t low = 0;
	uint32_t high = s->count;
	uint32_t first;
	uint32_t end;

	*node = place;
	if (s->starts == NULL)
		return true;
	/* the last node that begins at the place or before it */
	while (high - low > 1)
	{
		uint32_t middle = low + (high - low) / 2;

		if (!hnsw_places_of_list(s, middle, &first, &end))
			return false;
		if (first <= place)
			low = middle;
		else
			high = middle;
	}
	*node = low;
	if (!hnsw_places_of_list(s, low, &first, &end))
		return false;
	if (first <= place && place < end)
		return true;
	hnsw_set_corrupt(s);
	return false;
}

/* ---------- for a file ---------- */

typedef struct Bearer
{
	int64_t label;
	uint32_t node; /* of the file */
} Bearer;

static int
compare_bearers(const void *x, const void *y)
{
	const Bearer *a = x;
	const Bearer *b = y;

	return (a->label > b->label) - (a->label < b->label);
}

/* All labels in rising order. */
static void
gather(const HnswBuilder *b, const HnswNumbering *numbering, Bearer *bearers)
{
	const HnswTable *table = &b->labels;
	uint64_t count = 0;

	for (uint64_t i = 0; count < table->count; i++)
		if (table->slots[i].node != HNSW_NO_NODE)
			bearers[count++] = (Bearer){table->slots[i].key, numbering->node[table->slots[i].node]};
	qsort(bearers, count, sizeof *bearers, compare_bearers);
}

HnswStatus
hnsw_lists(const HnswBuilder *builder, const HnswNumbering *numbering, HnswLists *out, HnswError *err)
{
	size_t count = builder->labels.count;
	size_t nodes = numbering->count;
	Bearer *bearers = malloc((count + 1) * sizeof *bearers);

	*out = (HnswLists){.count = (uint32_t) count,
					   .starts = calloc(nodes + 2, sizeof *out->starts),
					   .labels = malloc((count + 1) * sizeof *out->labels),
					   .order = malloc((count + 1) * sizeof *out->order)};
	if (bearers == NULL || out->starts == NULL || out->labels == NULL || out->order == NULL)
	{
		free(bearers);
		return hnsw_fail(err, HNSW_NOMEM, "out of memory for %zu labels", count);
	}
	gather(builder, numbering, bearers);

	/* starts[node + 1] is where the node's next label goes; when all are placed, where the node ends */
	for (size_t i = 0; i < count; i++)
		out->starts[bearers[i].node + 2]++;
	for (size_t node = 1; node < nodes; node++)
		out->starts[node + 1] += out->starts[node];
	for (size_t i = 0; i < count; i++)
	{
		uint32_t place = out->starts[bearers[i].node + 1]++;

		out->labels[place] = bearers[i].label;
		out->order[i] = place;
	}
	free(bearers);
	return HNSW_OK;
}

void
hnsw_lists_free(HnswLists *lists)
{
	free(lists->starts);
	free(lists->labels);
	free(lists->order);
	memset(lists, 0, sizeof *lists);
}
