/*
 * stage.c
 *		What a merge reads, on its way from the database to the builder.
 *
 * A merge reads in batches, each a read transaction of its own.  So it sees the database at several
 * moments, and must make sure that these are moments of one history: somebody may put an older copy in
 * its place in between.  Journal and delta are only appended to, and each row has a random tag.  So a
 * state that has the last row of the state before has everything that led to that one, and a
 * change in between has a row after it.  Each batch asks for the last row that the batch before saw, and
 * publishing for that of the last batch.
 *
 * No transaction is open while the builder works.
 */
#include "sqlite_bridge/merge/merge.h"

#include <string.h>

#define BATCH_BYTES (1 << 20)  /* read in one transaction */
#define BUILD_BYTES (16 << 20) /* handed to the builder at once */

/* ---------- one history ---------- */

int
bridge_merge_same_history(BridgeStore *store, const BridgeState *before, BridgeMark *seen, BridgeError *err)
{
	BridgeState now;
	int64_t tag = 0;
	bool found = false;
	int rc = bridge_content_state(store, &now, seen->seq, &tag, &found, err);

	if (rc != SQLITE_OK)
		return rc;
	if (now.segment_count != before->segment_count ||
		memcmp(now.segments, before->segments, sizeof(now.segments[0]) * (size_t) now.segment_count) != 0)
		return bridge_error(err, SQLITE_BUSY_SNAPSHOT, "another merge has published meanwhile");
	/*
	 * The delta of an index with vectors of its own has no rows up to the graph's position: there the
	 * graph itself, named above, stands for them.
	 */
	if (store->journal || seen->seq > before->position ? !found || tag != seen->tag : now.counter < seen->seq)
		return bridge_error(err, SQLITE_BUSY_SNAPSHOT, "the database has been restored during the merge");
	if (store->follow.verdict != BRIDGE_FOLLOWED)
		return bridge_error(err, SQLITE_BUSY_SNAPSHOT,
							"table %s has been rebuilt or vacuumed during the merge", store->params.content);
	seen->seq = now.counter;
	seen->tag = now.last_tag;
	return SQLITE_OK;
}

/* A database without a file is merged by its own connection, beside which there is none. */
int
bridge_stage_begin(BridgeStage *stage, BridgeError *err)
{
	int rc;

	/* Whoever waits for this moment goes first. */
	bridge_merge_leave(stage->task, true);
	rc = bridge_merge_return(stage->task, err);
	if (rc != SQLITE_OK)
		return rc;
	stage->began = stage->task->files != NULL;
	if (stage->began)
		rc = bridge_exec(stage->store->db, err, "BEGIN");
	if (rc == SQLITE_OK)
		rc = bridge_merge_same_history(stage->store, stage->before, &stage->seen, err);
	if (rc != SQLITE_OK)
		bridge_stage_end(stage);
	return rc;
}

void
bridge_stage_end(BridgeStage *stage)
{
	if (stage->began && !sqlite3_get_autocommit(stage->store->db))
		sqlite3_exec(stage->store->db, "ROLLBACK", NULL, NULL, NULL); /* it has only read */
	stage->began = false;
}

/* ---------- between reader and builder ---------- */

void
bridge_stage_free(BridgeStage *stage)
{
	sqlite3_free(stage->labels);
	sqlite3_free(stage->vectors);
	sqlite3_free(stage->unplaced);
}

int
bridge_stage_push(BridgeStage *stage, int64_t label, const float *vector, BridgeError *err)
{
	if (stage->count == stage->capacity)
	{
		size_t capacity = stage->capacity ? stage->capacity * 2 : 256;
		int64_t *labels = sqlite3_realloc64(stage->labels, capacity * sizeof(*labels));
		float *vectors;

		if (labels == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		stage->labels = labels;
		vectors = sqlite3_realloc64(stage->vectors, capacity * stage->dim * sizeof(*vectors));
		if (vectors == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		stage->vectors = vectors;
		stage->capacity = capacity;
	}
	stage->labels[stage->count] = label;
	memcpy(stage->vectors + stage->count * stage->dim, vector, stage->dim * sizeof(float));
	stage->count++;
	return SQLITE_OK;
}

int
bridge_stage_unplaced(BridgeStage *stage, int64_t label, BridgeError *err)
{
	if (!stage->unplaced_known)
		return SQLITE_OK;
	if (stage->unplaced_count == stage->unplaced_capacity)
	{
		size_t capacity = stage->unplaced_capacity ? stage->unplaced_capacity * 2 : 64;
		int64_t *list = sqlite3_realloc64(stage->unplaced, capacity * sizeof(*list));

		if (list == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		stage->unplaced = list;
		stage->unplaced_capacity = capacity;
	}
	stage->unplaced[stage->unplaced_count++] = label;
	return SQLITE_OK;
}

static bool
stage_cancelled(void *arg)
{
	return bridge_merge_cancelled(((BridgeStage *) arg)->task);
}

/* The builder has done so many of the staged vectors. */
static void
stage_progress(void *arg, uint64_t done, uint64_t count)
{
	const BridgeStage *stage = arg;
	const BridgeMergeTask *task = stage->task;
	double share = (double) done / (double) count;

	if (task->progress != NULL && stage->total > 0 && stage->read <= stage->total)
		task->progress(task->arg, BRIDGE_READING,
					   stage->built + (uint64_t) (share * (double) (stage->read - stage->built)),
					   stage->total);
}

int
bridge_stage_flush(BridgeStage *stage, BridgeError *err)
{
	HnswTask work = bridge_merge_work(stage->task, BRIDGE_READING);
	HnswError hnsw = {0};
	HnswStatus status;
	int rc;

	if (stage->count == 0)
		return SQLITE_OK;
	work.cancelled = stage_cancelled;
	work.progress = stage_progress;
	work.arg = stage;
	bridge_merge_leave(stage->task, true);
	status = hnsw_builder_add_many(stage->builder, stage->count, stage->labels, stage->vectors, &work, &hnsw);
	rc = bridge_merge_return(stage->task, err);
	stage->count = 0;
	stage->built = stage->read;
	if (rc == SQLITE_OK && status != HNSW_OK)
		rc = bridge_error_hnsw(err, status, &hnsw, "building the graph");
	return rc;
}

bool
bridge_stage_is_full(const BridgeStage *stage)
{
	return stage->count * stage->dim * sizeof(float) >= BUILD_BYTES;
}

int64_t
bridge_stage_rows(const BridgeStage *stage)
{
	int64_t rows = (int64_t) (BATCH_BYTES / (stage->dim * sizeof(float)));

	return rows > 16 ? rows : 16;
}
