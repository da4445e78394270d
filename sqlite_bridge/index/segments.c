/*
 * segments.c
 *		The graph of one state: usually one file, the base, and behind it perhaps
 *		a small one of what changed since.
 *
 * The base is too large to be written each time that a few thousand rows have
 * changed.  Those rows get a graph file of their own, the recent segment, which
 * each merge writes anew until it is worth while to write the base.  Some nodes of
 * the base are no longer true by then: rows that were updated (their vector is in the
 * recent segment) or deleted (it is nowhere).  Their labels are hidden:
 *
 *	rows of the graph = base without hidden labels + recent segment
 *
 * Both kinds are in one sorted list, in the row `hidden` of the config table.
 * It belongs to the database and not to a file because it must be exchanged
 * together with the names of the files, which is what a transaction is for.
 *
 * With a single segment the list is empty, and nothing here is special to it.
 */
#include "sqlite_bridge/index/index.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------- life ---------- */

void
bridge_graph_hold(BridgeGraph *graph)
{
	assert(graph->references > 0);
	graph->references++;
}

void
bridge_graph_release(BridgeGraph *graph)
{
	assert(graph == NULL || graph->references > 0);
	if (graph == NULL || --graph->references > 0)
		return;
	hnsw_snapshot_close(graph->map);
	sqlite3_free(graph);
}

/* Takes the map over, also when it fails (NULL). */
static BridgeGraph *
graph_make(HnswSnapshot *map, const uint8_t token[HNSW_TOKEN_BYTES])
{
	BridgeGraph *graph = sqlite3_malloc64(sizeof(*graph));

	if (graph == NULL)
	{
		hnsw_snapshot_close(map);
		return NULL;
	}
	graph->map = map;
	memcpy(graph->token, token, HNSW_TOKEN_BYTES);
	graph->references = 1;
	return graph;
}

static BridgeSnapshot *
snapshot_make(void)
{
	BridgeSnapshot *snapshot = sqlite3_malloc64(sizeof(*snapshot));

	if (snapshot != NULL)
	{
		memset(snapshot, 0, sizeof(*snapshot));
		snapshot->references = 1;
	}
	return snapshot;
}

BridgeSnapshot *
bridge_snapshot_single(HnswSnapshot *map, const uint8_t token[HNSW_TOKEN_BYTES])
{
	BridgeSnapshot *snapshot = snapshot_make();

	if (snapshot == NULL)
	{
		hnsw_snapshot_close(map);
		return NULL;
	}
	snapshot->graphs[0] = graph_make(map, token);
	if (snapshot->graphs[0] == NULL)
	{
		bridge_snapshot_release(snapshot);
		return NULL;
	}
	snapshot->count = 1;
	return snapshot;
}

void
bridge_snapshot_release(BridgeSnapshot *snapshot)
{
	if (snapshot == NULL || --snapshot->references > 0)
		return;
	for (int i = 0; i < BRIDGE_MAX_SEGMENTS; i++)
		bridge_graph_release(snapshot->graphs[i]);
	sqlite3_free(snapshot->hidden);
	sqlite3_free(snapshot);
}

/* ---------- what it holds ---------- */

bool
bridge_snapshot_is_of(const BridgeSnapshot *snapshot, const BridgeState *state)
{
	if (snapshot == NULL || snapshot->count != state->segment_count)
		return false;
	for (int i = 0; i < snapshot->count; i++)
		if (memcmp(snapshot->graphs[i]->token, state->segments[i].token, HNSW_TOKEN_BYTES) != 0)
			return false;
	return true;
}

uint64_t
bridge_snapshot_rows(const BridgeSnapshot *snapshot)
{
	uint64_t rows = 0;

	for (int i = 0; i < snapshot->count; i++)
		rows += hnsw_snapshot_info(snapshot->graphs[i]->map)->count;
	return rows > snapshot->hidden_count ? rows - snapshot->hidden_count : 0;
}

uint64_t
bridge_snapshot_recent(const BridgeSnapshot *snapshot)
{
	uint64_t rows = 0;

	for (int i = 1; i < snapshot->count; i++)
		rows += hnsw_snapshot_info(snapshot->graphs[i]->map)->count;
	return rows;
}

static int
compare_labels(const void *a, const void *b)
{
	int64_t x = *(const int64_t *) a;
	int64_t y = *(const int64_t *) b;

	return (x > y) - (x < y);
}

void
bridge_labels_sort(int64_t *labels, size_t count)
{
	if (count > 1) /* without any there may be no array */
		qsort(labels, count, sizeof(*labels), compare_labels);
}

bool
bridge_labels_have(const int64_t *sorted, size_t count, int64_t label)
{
	size_t low = 0;

	if (count == 0)
		return false;
	while (count > 1)
	{
		size_t half = count / 2;

		if (sorted[low + half] <= label)
			low += half;
		count -= half;
	}
	return sorted[low] == label;
}

bool
bridge_snapshot_hides(const BridgeSnapshot *snapshot, int segment, int64_t label)
{
	return segment == 0 && bridge_labels_have(snapshot->hidden, snapshot->hidden_count, label);
}

HnswStatus
bridge_snapshot_vector(const BridgeSnapshot *snapshot, int64_t label, float *vector)
{
	for (int i = snapshot->count - 1; i >= 0; i--)
	{
		HnswStatus status;

		if (bridge_snapshot_hides(snapshot, i, label))
			continue;
		status = hnsw_snapshot_vector(snapshot->graphs[i]->map, label, vector);
		if (status != HNSW_NOTFOUND)
			return status;
	}
	return HNSW_NOTFOUND;
}

const BridgeGraph *
bridge_snapshot_damaged(const BridgeSnapshot *snapshot)
{
	for (int i = 0; i < snapshot->count; i++)
		if (hnsw_snapshot_is_corrupt(snapshot->graphs[i]->map))
			return snapshot->graphs[i];
	return NULL;
}

/* ---------- opening ---------- */

typedef struct Opening
{
	const BridgeFiles *files;
	const BridgeParams *params;
	char *reason; /* the caller's, reason_size bytes */
	size_t reason_size;
} Opening;

/* Whether the opened file is the image that the database speaks of. */
static bool
is_ours(const Opening *opening, HnswSnapshot *map, const BridgeSegment *segment, const char **reason)
{
	const HnswSnapshotInfo *info = hnsw_snapshot_info(map);
	const BridgeParams *p = opening->params;

	if (memcmp(info->identity.token, segment->token, HNSW_TOKEN_BYTES) != 0)
		*reason = "the graph file is not the current one";
	else if (info->identity.database_device != opening->files->device ||
			 info->identity.database_inode != opening->files->inode)
		*reason = "the graph file belongs to another database file (a copy?)";
	else if (info->identity.seq != segment->seq || info->params.dim != (uint32_t) p->dim ||
			 info->params.metric != p->metric || info->params.m != (uint32_t) p->m ||
			 info->params.ef_construction != (uint32_t) p->ef_construction)
		*reason = "the graph file's header contradicts the database";
	else
		return true;
	return false;
}

static HnswSnapshot *
open_name(const Opening *opening, const char *path, const BridgeSegment *segment)
{
	HnswSnapshot *map = NULL;
	HnswError error = {0};
	const char *reason = NULL;
	HnswStatus status = hnsw_snapshot_open(path, &map, &error);

	if (status == HNSW_OK && is_ours(opening, map, segment, &reason))
		return map;
	if (status == HNSW_OK)
		hnsw_snapshot_close(map);
	else if (status == HNSW_NOTFOUND)
		reason = "there is no graph file";
	else
		reason = error.message[0] != '\0' ? error.message : hnsw_status_name(status);
	/* That the second name does not exist says less than what the first one was. */
	if (status != HNSW_NOTFOUND || opening->reason[0] == '\0')
		snprintf(opening->reason, opening->reason_size, "%s", reason);
	return NULL;
}

/* A segment's file: by its own name, the base also by <path>.  NULL in *out: not to be had. */
static int
open_segment(const Opening *opening, const BridgeState *state, int segment, BridgeGraph **out,
			 BridgeError *err)
{
	const BridgeSegment *wanted = &state->segments[segment];
	char *name = bridge_files_token_path(opening->files, wanted->token);
	HnswSnapshot *map;

	*out = NULL;
	if (name == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	map = open_name(opening, name, wanted);
	if (map == NULL && segment == 0)
		map = open_name(opening, opening->files->path, wanted);
	sqlite3_free(name);
	if (map == NULL)
		return SQLITE_OK;
	*out = graph_make(map, wanted->token);
	return *out == NULL ? bridge_error(err, SQLITE_NOMEM, "out of memory") : SQLITE_OK;
}

int
bridge_snapshot_open(const BridgeFiles *files, BridgeStore *store, const BridgeState *state,
					 const BridgeSnapshot *previous, char *reason, size_t reason_size, BridgeSnapshot **out,
					 BridgeError *err)
{
	Opening opening = {files, &store->params, reason, reason_size};
	BridgeSnapshot *snapshot = snapshot_make();
	bool sound = true;
	int rc = SQLITE_OK;

	*out = NULL;
	reason[0] = '\0';
	if (snapshot == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	for (int i = 0; i < state->segment_count && rc == SQLITE_OK && sound; i++)
	{
		BridgeGraph *known = previous != NULL && i < previous->count ? previous->graphs[i] : NULL;

		if (known != NULL && memcmp(known->token, state->segments[i].token, HNSW_TOKEN_BYTES) == 0)
		{
			bridge_graph_hold(known);
			snapshot->graphs[i] = known;
		}
		else
			rc = open_segment(&opening, state, i, &snapshot->graphs[i], err);
		sound = snapshot->graphs[i] != NULL;
		snapshot->count += sound;
	}
	if (rc == SQLITE_OK && sound && state->segment_count > 1)
	{
		rc = bridge_store_hidden(store, &snapshot->hidden, &snapshot->hidden_count, &sound, err);
		if (rc == SQLITE_OK && !sound)
			snprintf(reason, reason_size, "the list of the base's hidden rows is damaged");
	}
	if (rc == SQLITE_OK && sound && snapshot->count > 0)
		*out = snapshot;
	else
		bridge_snapshot_release(snapshot);
	return rc;
}
