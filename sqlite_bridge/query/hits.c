/*
 * hits.c
 *		Results of an exact scan, in order of distance and then of rowid.
 *
 * With a limit the array is a heap whose top is the farthest kept, so that a
 * scan of any size needs memory for the limit only; it is sorted once at the
 * end.  Without one everything is kept and becomes a heap with the nearest on
 * top, which costs no more order than the reader takes.
 */
#include "sqlite_bridge/query/query.h"

#include <string.h>

bool
bridge_hit_before(const HnswHit *a, const HnswHit *b)
{
	return a->distance < b->distance || (a->distance == b->distance && a->label < b->label);
}

void
bridge_hits_reset(BridgeHits *hits, size_t limit)
{
	hits->count = 0;
	hits->next = 0;
	hits->limit = limit;
	hits->ordered = false;
}

/* farthest: the heap's top is its last element in order, else its first. */
static bool
above(const HnswHit *a, const HnswHit *b, bool farthest)
{
	return farthest ? bridge_hit_before(b, a) : bridge_hit_before(a, b);
}

static void
sift_down(HnswHit *items, size_t count, size_t i, bool farthest)
{
	HnswHit moving = items[i];

	for (;;)
	{
		size_t child = 2 * i + 1;

		if (child >= count)
			break;
		if (child + 1 < count && above(&items[child + 1], &items[child], farthest))
			child++;
		if (!above(&items[child], &moving, farthest))
			break;
		items[i] = items[child];
		i = child;
	}
	items[i] = moving;
}

static void
sift_up(HnswHit *items, size_t i, bool farthest)
{
	HnswHit moving = items[i];

	while (i > 0 && above(&moving, &items[(i - 1) / 2], farthest))
	{
		items[i] = items[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	items[i] = moving;
}

bool
bridge_hits_admits(const BridgeHits *hits, int64_t label, double distance)
{
	HnswHit hit = {label, distance};

	if (hits->limit == 0)
		return false;
	return hits->count < hits->limit || bridge_hit_before(&hit, &hits->items[0]);
}

int
bridge_hits_add(BridgeHits *hits, int64_t label, double distance, BridgeError *err)
{
	HnswHit hit = {label, distance};

	if (hits->limit == 0)
		return SQLITE_OK;
	if (hits->count == hits->limit)
	{
		if (bridge_hit_before(&hit, &hits->items[0]))
		{
			hits->items[0] = hit;
			sift_down(hits->items, hits->count, 0, true);
		}
		return SQLITE_OK;
	}
	if (hits->count == hits->capacity)
	{
		size_t capacity = hits->capacity < 16 ? 16 : 2 * hits->capacity;
		HnswHit *items = sqlite3_realloc64(hits->items, capacity * sizeof(*items));

		if (items == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		hits->items = items;
		hits->capacity = capacity;
	}
	hits->items[hits->count++] = hit;
	if (hits->limit != SIZE_MAX)
		sift_up(hits->items, hits->count - 1, true);
	return SQLITE_OK;
}

void
bridge_hits_order(BridgeHits *hits)
{
	if (hits->limit == SIZE_MAX)
	{
		for (size_t i = hits->count / 2; i-- > 0;)
			sift_down(hits->items, hits->count, i, false);
	}
	else
	{
		for (size_t n = hits->count; n > 1; n--)
		{
			HnswHit top = hits->items[0];

			hits->items[0] = hits->items[n - 1];
			hits->items[n - 1] = top;
			sift_down(hits->items, n - 1, 0, true);
		}
	}
	hits->next = 0;
	hits->ordered = true;
}

const HnswHit *
bridge_hits_peek(const BridgeHits *hits)
{
	return hits->next < hits->count ? &hits->items[hits->next] : NULL;
}

void
bridge_hits_take(BridgeHits *hits)
{
	if (hits->limit != SIZE_MAX)
		hits->next++;
	else if (--hits->count > 0)
	{
		hits->items[0] = hits->items[hits->count];
		sift_down(hits->items, hits->count, 0, false);
	}
}

void
bridge_hits_free(BridgeHits *hits)
{
	sqlite3_free(hits->items);
	memset(hits, 0, sizeof(*hits));
}
