/*
 * check.c
 *		The validator: is a graph file what a builder could have written?
 *
 * Unlike a search it reads everything, trusts no earlier verification and goes
 * on after a finding, so that one run tells the whole extent of a damage.
 * Values from the file are range-checked before they lead anywhere, as in all
 * of hnsw/.
 */
#include "hnsw/internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Items between two looks at the caller's wish to stop. */
#define POLL_EVERY 1024

typedef struct Check
{
	const HnswSnapshot *s;
	const HnswTask *task;
	HnswReport report; /* NULL once the caller has heard enough */
	void *arg;
	uint64_t problems;
	uint64_t done; /* items: blocks, and each node once a pass */
	uint64_t total;
	bool stopped;
} Check;

static void finding(Check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
finding(Check *c, const char *format, ...)
{
	char line[240];
	va_list args;

	c->problems++;
	if (c->report == NULL)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (!c->report(c->arg, line))
		c->report = NULL;
}

/* One item is done; false when the caller wants to stop. */
static bool
step(Check *c)
{
	if (c->stopped)
		return false;
	if (++c->done % POLL_EVERY != 0 || c->task == NULL)
		return true;
	if (c->task->progress != NULL)
		c->task->progress(c->task->arg, c->done, c->total);
	if (c->task->cancelled != NULL && c->task->cancelled(c->task->arg))
		c->stopped = true;
	return !c->stopped;
}

/* ---------- blocks ---------- */

static void
check_blocks(Check *c)
{
	static const char *const names[HNSW_SECTIONS] = {"links of layer 0", "upper links", "basis",
													 "sketches",         "codes",       "vectors",
													 "labels",           "order",       "sums"};
	const HnswSnapshot *s = c->s;
	const uint64_t *sums = (const uint64_t *) s->section[HNSW_SUMS];
	uint64_t end = s->header.section_offset[HNSW_SUMS] / HNSW_BLOCK;
	int section = 0;

	if (memcmp(s->base, &s->header, sizeof(s->header)) != 0)
		finding(c, "the header changed after the file was opened");
	for (uint64_t block = 1; block < end && step(c); block++)
	{
		while (block * HNSW_BLOCK >= s->header.section_offset[section + 1])
			section++;
		if (hnsw_block_sum(s->base + block * HNSW_BLOCK, block) != sums[block - 1])
		{
			hnsw_set_corrupt(s);
			finding(c, "block %llu (%s) has a wrong checksum", (unsigned long long) block, names[section]);
		}
	}
}

/* ---------- links ---------- */

static int
compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *) a;
	uint32_t y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

/* Rows are short, nearly always: then this beats qsort by far. */
static void
sort_row(uint32_t *row, uint32_t n)
{
	if (n > 64)
	{
		qsort(row, n, sizeof(*row), compare_ids);
		return;
	}
	for (uint32_t i = 1; i < n; i++)
	{
		uint32_t value = row[i];
		uint32_t j = i;

		for (; j > 0 && row[j - 1] > value; j--)
			row[j] = row[j - 1];
		row[j] = value;
	}
}

static void
check_row(Check *c, uint32_t node, uint32_t layer, const uint32_t *links, uint32_t slots)
{
	uint64_t members = c->s->header.layer_count[layer];
	uint32_t row[2 * HNSW_MAX_M];
	uint32_t n = 0;
	bool ended = false;

	for (uint32_t i = 0; i < slots; i++)
	{
		uint32_t to = hnsw_read_link(&links[i]);

		if (to == HNSW_NO_NODE)
		{
			ended = true;
			continue;
		}
		if (ended)
		{
			finding(c, "node %u, layer %u: a link follows an unused slot", node, layer);
			ended = false;
		}
		if (to >= members)
			finding(c, "node %u, layer %u: link to node %u, but the layer has %llu", node, layer, to,
					(unsigned long long) members);
		else if (to == node)
			finding(c, "node %u, layer %u: link to itself", node, layer);
		else
			row[n++] = to;
	}
	sort_row(row, n);
	for (uint32_t i = 1; i < n; i++)
		if (row[i] == row[i - 1])
			finding(c, "node %u, layer %u: two links to node %u", node, layer, row[i]);
}

static const uint32_t *
row_of(const HnswSnapshot *s, uint32_t layer, uint32_t node)
{
	return layer == 0 ? hnsw_links0(s, node) : hnsw_links_upper(s, layer, node);
}

static uint32_t
slots_of(const HnswSnapshot *s, uint32_t layer)
{
	return layer == 0 ? 2 * s->header.m : s->header.m;
}

static void
check_links(Check *c)
{
	const HnswSnapshot *s = c->s;

	for (uint32_t layer = 0; layer < s->layers; layer++)
		for (uint32_t node = 0; node < s->header.layer_count[layer] && step(c); node++)
			check_row(c, node, layer, row_of(s, layer, node), slots_of(s, layer));
}

/* ---------- vectors, codes, labels ---------- */

static void
check_vectors(Check *c, void *code)
{
	const HnswSnapshot *s = c->s;
	const HnswHeader *h = &s->header;

	HnswBasis basis;

	(void) hnsw_snapshot_basis(s, &basis);
	for (uint32_t node = 0; node < s->count && step(c); node++)
	{
		const float *vector = hnsw_vector(s, node);
		double norm = hnsw_norm(vector, h->dim);

		if (!isfinite(norm))
			finding(c, "node %u: its vector is not finite", node);
		else if (norm == 0 && h->metric == HNSW_COSINE)
			finding(c, "node %u: its vector is zero, which has no cosine", node);
		else
		{
			hnsw_code_encode((HnswCode) h->code, (HnswMetric) h->metric, vector, h->dim, code);
			if (memcmp(code, hnsw_code(s, node), h->code_stride) != 0)
				finding(c, "node %u: its code is not that of its vector", node);
			if (s->sketch_stride == 0)
				continue;
			hnsw_sketch_encode((HnswMetric) h->metric, &basis, vector, code);
			if (memcmp(code, hnsw_sketch(s, node), s->sketch_stride) != 0)
				finding(c, "node %u: its sketch is not that of its vector", node);
		}
	}
}

/* Lists follow one another without a gap, and their labels rise. */
static void
check_lists(Check *c)
{
	const HnswSnapshot *s = c->s;

	if (s->starts == NULL)
		return;
	if (hnsw_read_link(s->starts) != 0 || hnsw_read_link(s->starts + s->count) != s->label_count)
		finding(c, "the lists of labels do not begin at 0 and end at %u", s->label_count);
	for (uint32_t node = 0; node < s->count && step(c); node++)
	{
		uint32_t place = hnsw_read_link(s->starts + node);
		uint32_t end = hnsw_read_link(s->starts + node + 1);

		if (place >= end || end > s->label_count)
		{
			finding(c, "node %u: its labels are at %u to %u of %u", node, place, end, s->label_count);
			continue;
		}
		for (; place + 1 < end; place++)
			if (*hnsw_label(s, place) >= *hnsw_label(s, place + 1))
				finding(c, "node %u: label %lld after %lld", node, (long long) *hnsw_label(s, place + 1),
						(long long) *hnsw_label(s, place));
	}
}

/*
 * As many places in range as there are, whose labels rise strictly, are all
 * different, so this proves ORDER a permutation and the labels unique.
 */
static void
check_order(Check *c)
{
	const HnswSnapshot *s = c->s;
	const uint32_t *order = (const uint32_t *) s->section[HNSW_ORDER];
	bool have_last = false;
	int64_t last = 0;

	for (uint32_t i = 0; i < s->label_count && step(c); i++)
	{
		uint32_t place = hnsw_read_link(&order[i]);
		int64_t label;

		if (place >= s->label_count)
		{
			finding(c, "order, place %u: label number %u, but there are %u", i, place, s->label_count);
			continue;
		}
		label = *hnsw_label(s, place);
		if (have_last && label == last)
			finding(c, "order, place %u: label %lld a second time", i, (long long) label);
		else if (have_last && label < last)
			finding(c, "order, place %u: label %lld after %lld", i, (long long) label, (long long) last);
		last = label;
		have_last = true;
	}
}

/* ---------- reachability ---------- */

/*
 * Descend as a search does, but following every link: what was reached on a
 * layer starts the walk on the one below.  queue has room for all nodes, met
 * one bit for each.
 */
static void
check_reachable(Check *c, uint32_t *queue, uint64_t *met)
{
	const HnswSnapshot *s = c->s;
	uint32_t tail = 0;

	if (s->count == 0)
		return;
	met[0] |= 1;
	queue[tail++] = 0;
	for (uint32_t layer = s->layers; layer-- > 0;)
	{
		uint32_t slots = slots_of(s, layer);

		/* The queue keeps what was reached above: all of it is on this layer. */
		for (uint32_t head = 0; head < tail; head++)
		{
			const uint32_t *links = row_of(s, layer, queue[head]);

			if (layer == 0 && !step(c))
				return;
			for (uint32_t i = 0; i < slots; i++)
			{
				uint32_t to = hnsw_read_link(&links[i]);

				if (to == HNSW_NO_NODE)
					break;
				if (to >= s->header.layer_count[layer] || met[to / 64] >> (to % 64) & 1)
					continue;
				met[to / 64] |= UINT64_C(1) << (to % 64);
				queue[tail++] = to;
			}
		}
	}
	for (uint32_t node = 0; tail < s->count && node < s->count; node++)
	{
		uint32_t place = s->starts == NULL ? node : hnsw_read_link(s->starts + node);

		if (!(met[node / 64] >> (node % 64) & 1))
			finding(c, "node %u (label %lld) cannot be reached from the entry point", node,
					place < s->label_count ? (long long) *hnsw_label(s, place) : 0LL);
	}
}

HnswStatus
hnsw_snapshot_check(const HnswSnapshot *snapshot, const HnswTask *task, HnswReport report, void *arg,
					uint64_t *problems)
{
	const HnswSnapshot *s = snapshot;
	Check check = {.s = s, .task = task, .report = report, .arg = arg};
	bool was_corrupt = hnsw_snapshot_is_corrupt(s);
	uint32_t *queue = malloc(((size_t) s->count + 1) * sizeof(*queue));
	uint64_t *met = calloc((size_t) s->count / 64 + 1, sizeof(*met));
	void *code = malloc((size_t) s->header.code_stride + s->sketch_stride);
	HnswStatus status = HNSW_OK;

	*problems = 0;
	if (queue == NULL || met == NULL || code == NULL)
	{
		status = HNSW_NOMEM;
		goto cleanup;
	}

	check.total = s->header.section_offset[HNSW_SUMS] / HNSW_BLOCK - 1 + 2 * (uint64_t) s->count +
				  s->label_count + (s->starts != NULL ? s->count : 0);
	for (uint32_t layer = 0; layer < s->layers; layer++)
		check.total += s->header.layer_count[layer];

	check_blocks(&check);
	if (!check.stopped)
		check_links(&check);
	if (!check.stopped)
		check_vectors(&check, code);
	if (!check.stopped)
		check_lists(&check);
	if (!check.stopped)
		check_order(&check);
	if (!check.stopped)
		check_reachable(&check, queue, met);
	if (check.stopped)
		status = HNSW_INTERRUPTED;

	/* Zeros in place of a truncated file look sound here and there. */
	if (hnsw_snapshot_is_corrupt(s) && check.problems == 0)
		finding(&check, was_corrupt ? "the file was found corrupt by an earlier read"
									: "the file changed while it was being checked");
	*problems = check.problems;

cleanup:
	free(queue);
	free(met);
	free(code);
	return status;
}
