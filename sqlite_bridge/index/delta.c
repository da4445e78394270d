/*
 * delta.c
 *		What changed since the snapshot, in memory and ready to be scanned.
 *
 * The cache belongs to the connection and outlives transactions.  It is right
 * exactly as long as the last row it read is still there with the same tag: the
 * delta is only ever appended to, so that row's presence means that all before
 * it are unchanged, and what is new comes after it.  If the row is gone, it or
 * a predecessor was rolled back, and everything is read anew.
 *
 * Of a journal the vectors come from the content table.  The same last row means that
 * they are unchanged, too, because a statement that changes one appends a row; but only
 * between statements.  While one is at work, as around a search in a trigger, a row may be
 * in the journal before the table has it: then what is read is the query's alone.
 */
#include "sqlite_bridge/index/index.h"

#include <assert.h>
#include <string.h>

#define EMPTY_SLOT 0

static size_t
slot_of(const BridgeDelta *delta, int64_t label)
{
	uint64_t hash = (uint64_t) label * UINT64_C(0x9E3779B97F4A7C15);

	return (size_t) (hash >> 32) & (delta->slot_count - 1);
}

int64_t
bridge_delta_find(const BridgeDelta *delta, int64_t label)
{
	if (delta->slot_count == 0)
		return -1;
	for (size_t s = slot_of(delta, label);; s = (s + 1) & (delta->slot_count - 1))
	{
		if (delta->slots[s] == EMPTY_SLOT)
			return -1;
		if (delta->labels[delta->slots[s] - 1] == label)
			return (int64_t) delta->slots[s] - 1;
	}
}

static void
enter(BridgeDelta *delta, size_t entry)
{
	size_t s = slot_of(delta, delta->labels[entry]);

	/* a look-up ends at an empty slot */
	assert(delta->count < delta->slot_count && (delta->slot_count & (delta->slot_count - 1)) == 0);
	while (delta->slots[s] != EMPTY_SLOT)
		s = (s + 1) & (delta->slot_count - 1);
	delta->slots[s] = (uint32_t) entry + 1;
}

/* Room for one more entry; the table of slots stays at most half full. */
static bool
grow(BridgeDelta *delta, int dim)
{
	size_t capacity = delta->capacity < 64 ? 64 : 2 * delta->capacity;
	void *p;

	if (delta->count < delta->capacity)
		return true;
	if (capacity > UINT32_MAX / 2)
		return false;
	if ((p = sqlite3_realloc64(delta->labels, capacity * sizeof(*delta->labels))) == NULL)
		return false;
	delta->labels = p;
	if ((p = sqlite3_realloc64(delta->live, capacity * sizeof(*delta->live))) == NULL)
		return false;
	delta->live = p;
	if (dim > 0)
	{
		if ((p = sqlite3_realloc64(delta->vectors, capacity * (size_t) dim * sizeof(float))) == NULL)
			return false;
		delta->vectors = p;
	}
	else
	{
		if ((p = sqlite3_realloc64(delta->distances, capacity * sizeof(*delta->distances))) == NULL)
			return false;
		delta->distances = p;
	}
	if ((p = sqlite3_malloc64(2 * capacity * sizeof(*delta->slots))) == NULL)
		return false;
	sqlite3_free(delta->slots);
	delta->slots = p;
	delta->slot_count = 2 * capacity;
	delta->capacity = capacity;
	memset(delta->slots, 0, delta->slot_count * sizeof(*delta->slots));
	for (size_t i = 0; i < delta->count; i++)
		enter(delta, i);
	return true;
}

/* The entry of label, made if need be; -1 when memory is short. */
static int64_t
entry_for(BridgeDelta *delta, int dim, int64_t label)
{
	int64_t entry = bridge_delta_find(delta, label);

	if (entry >= 0)
		return entry;
	if (!grow(delta, dim))
		return -1;
	delta->labels[delta->count] = label;
	enter(delta, delta->count);
	return (int64_t) delta->count++;
}

void
bridge_delta_clear(BridgeDelta *delta)
{
	sqlite3_free(delta->labels);
	sqlite3_free(delta->vectors);
	sqlite3_free(delta->distances);
	sqlite3_free(delta->live);
	sqlite3_free(delta->slots);
	memset(delta, 0, sizeof(*delta));
}

typedef struct CacheFill
{
	BridgeIndex *index;
	int dim;
	unsigned polls;
} CacheFill;

static int
cache_row(void *arg, int64_t seq, int64_t tag, int64_t rowid, const float *vector, BridgeError *err)
{
	CacheFill *fill = arg;
	BridgeDelta *delta = fill->index->delta;
	int64_t entry;

	if ((++fill->polls & 255) == 0 && bridge_cancelled(fill->index->connection))
		return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
	entry = entry_for(delta, fill->dim, rowid);
	if (entry < 0)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	delta->live[entry] = vector != NULL;
	if (vector != NULL)
		memcpy(delta->vectors + (size_t) entry * (size_t) fill->dim, vector,
			   sizeof(float) * (size_t) fill->dim);
	delta->last_seq = seq;
	delta->last_tag = tag;
	if (delta->count * (size_t) fill->dim * sizeof(float) > BRIDGE_DELTA_CACHE_BYTES)
	{
		delta->too_large = true;
		return SQLITE_DONE; /* ends the walk; no error */
	}
	return SQLITE_OK;
}

void
bridge_delta_release(BridgeDelta *delta)
{
	if (delta == NULL || --delta->references > 0)
		return;
	bridge_delta_clear(delta);
	sqlite3_free(delta);
}

/* An empty delta after the given change in place of the cached one. */
static int
start_anew(BridgeIndex *index, int64_t after, int64_t last_label, BridgeError *err)
{
	BridgeDelta *delta = sqlite3_malloc64(sizeof(*delta));

	bridge_delta_release(index->delta);
	index->delta = delta;
	if (delta == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	memset(delta, 0, sizeof(*delta));
	delta->references = 1;
	delta->after = delta->last_seq = after;
	delta->last_label = last_label;
	return SQLITE_OK;
}

/* Keep only the knowledge that it is too large, and since which row. */
static int
give_up_cache(BridgeIndex *index, BridgeError *err)
{
	int64_t after = index->delta->after;
	int64_t last_seq = index->delta->last_seq;
	int64_t last_tag = index->delta->last_tag;
	int rc = start_anew(index, after, index->delta->last_label, err);

	if (rc == SQLITE_OK)
	{
		index->delta->last_seq = last_seq;
		index->delta->last_tag = last_tag;
		index->delta->too_large = true;
	}
	return rc;
}

/*
 * Bring index->delta up to the store's present view.  One that others hold is appended to, but
 * never emptied: it is replaced by a new one.
 */
static int
refresh(BridgeIndex *index, BridgeStore *store, const BridgeState *state, bool same_tag, BridgeError *err)
{
	const BridgeDelta *delta = index->delta;
	int64_t after = state->position;
	CacheFill fill = {index, store->params.dim, 0};
	int rc = SQLITE_OK;

	if (delta != NULL && delta->after == after && delta->last_label == state->last_label &&
		(delta->last_seq == after || same_tag))
	{
		if (delta->last_seq == state->counter || delta->too_large)
			return SQLITE_OK;
	}
	else
		rc = start_anew(index, after, state->last_label, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_delta(store, index->delta->last_seq, state->counter, -1, cache_row, &fill, NULL,
								err);
	if (rc == SQLITE_OK && store->journal && state->counter > after)
	{
		index->delta->last_seq = state->counter;
		index->delta->last_tag = state->last_tag;
	}
	if (rc == SQLITE_OK && index->delta->too_large)
		rc = give_up_cache(index, err);
	if (rc != SQLITE_OK)
	{
		/* Half an update must not pass for a whole one. */
		bridge_delta_release(index->delta);
		index->delta = NULL;
	}
	return rc;
}

/* Whether a statement of the connection is writing, which this search is part of. */
static bool
is_writing(sqlite3 *db, const char *schema)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_txn_state(db, schema) != SQLITE_TXN_WRITE)
		return false;
	while ((stmt = sqlite3_next_stmt(db, stmt)) != NULL)
		if (sqlite3_stmt_busy(stmt) && !sqlite3_stmt_readonly(stmt))
			return true;
	return false;
}

int
bridge_delta_get(BridgeIndex *index, BridgeStore *store, const BridgeState *state, bool same_tag,
				 BridgeDelta **out, BridgeError *err)
{
	BridgeDelta *cached = index->delta;
	int rc;

	*out = NULL;
	if (store->journal && is_writing(store->db, store->schema) &&
		!(cached != NULL && cached->after == state->position && cached->last_label == state->last_label &&
		  cached->last_seq == state->counter && (cached->last_seq == cached->after || same_tag)))
	{
		index->delta = NULL;
		rc = refresh(index, store, state, false, err);
		*out = index->delta;
		index->delta = cached;
		return rc;
	}
	rc = refresh(index, store, state, same_tag, err);
	if (rc == SQLITE_OK)
	{
		*out = index->delta;
		(*out)->references++;
	}
	return rc;
}

typedef struct DistanceFill
{
	BridgeIndex *index;
	BridgeDelta *out;
	const float *query;
	HnswMetric metric;
	int dim;
	uint64_t rows;
} DistanceFill;

static int
distance_row(void *arg, int64_t seq, int64_t tag, int64_t rowid, const float *vector, BridgeError *err)
{
	DistanceFill *fill = arg;
	int64_t entry;

	if ((++fill->rows & 255) == 0 && bridge_cancelled(fill->index->connection))
		return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
	entry = entry_for(fill->out, 0, rowid);
	if (entry < 0)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	fill->out->live[entry] = vector != NULL;
	if (vector != NULL)
		fill->out->distances[entry] = hnsw_distance(fill->metric, fill->query, vector, (uint32_t) fill->dim);
	return SQLITE_OK;
}

int
bridge_delta_measure(BridgeIndex *index, BridgeStore *store, const BridgeState *state, const float *query,
					 BridgeDelta *out, BridgeError *err)
{
	DistanceFill fill = {index, out, query, store->params.metric, store->params.dim, 0};

	bridge_delta_clear(out);
	return bridge_store_delta(store, state->position, state->counter, -1, distance_row, &fill, NULL, err);
}
