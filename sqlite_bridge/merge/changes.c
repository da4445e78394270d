/*
 * changes.c
 *		What has changed since the graph, and what those rows are now.
 *
 * Of the changes each rowid's last one counts.  Those of a journal are rowids only, whose
 * vectors are read from the content table when they are needed.  Such a vector may be newer than
 * the noted change; then the journal has the row again, after it.
 *
 * What no trigger has seen is found by comparing the table with the graph, bit for bit: where the
 * evidence failed (merge.c), and whenever a base is made.  Nodes whose row REPLACE removed are
 * found with it.  So a table that was rebuilt or vacuumed costs a reading, and no new graph.
 */
#include "sqlite_bridge/merge/merge.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_A_TRANSACTION 256 /* looked up one by one */

/* ---------- noting ---------- */

static int
compare_changes(const void *a, const void *b)
{
	const BridgeChange *x = a;
	const BridgeChange *y = b;

	if (x->rowid != y->rowid)
		return x->rowid < y->rowid ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void
keep_last(BridgeChanges *changes)
{
	size_t kept = 0;

	if (changes->count > 1)
		qsort(changes->list, changes->count, sizeof(BridgeChange), compare_changes);
	for (size_t i = 0; i < changes->count; i++)
	{
		if (kept > 0 && changes->list[kept - 1].rowid == changes->list[i].rowid)
			kept--;
		changes->list[kept++] = changes->list[i];
	}
	changes->count = kept;
}

static int
note(BridgeChanges *changes, int64_t rowid, int64_t seq, BridgeError *err)
{
	if (changes->count == changes->capacity)
	{
		size_t capacity = changes->capacity ? changes->capacity * 2 : 1024;
		BridgeChange *list = sqlite3_realloc64(changes->list, capacity * sizeof(*list));

		if (list == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		changes->list = list;
		changes->capacity = capacity;
	}
	changes->list[changes->count].rowid = rowid;
	changes->list[changes->count++].seq = seq;
	return SQLITE_OK;
}

static int
visit_note(void *arg, int64_t seq, int64_t tag, int64_t rowid, const float *vector, BridgeError *err)
{
	BridgeChanges *changes = arg;

	changes->stage->last = seq;
	return note(changes, rowid, seq, err);
}

static int
visit_apply(void *arg, int64_t seq, int64_t tag, int64_t rowid, const float *vector, BridgeError *err)
{
	BridgeChanges *changes = arg;
	BridgeChange key = {rowid, seq};
	bool present;
	int rc;

	changes->stage->last = seq;
	if (changes->count == 0 ||
		bsearch(&key, changes->list, changes->count, sizeof(BridgeChange), compare_changes) == NULL)
		return SQLITE_OK; /* a later change of this row follows */
	if (vector != NULL)
		return bridge_stage_push(changes->stage, rowid, vector, err);
	(void) hnsw_builder_remove(changes->stage->builder, rowid); /* it may have come and gone since */
	rc = bridge_store_truth_exists(changes->stage->store, rowid, &present, err);
	return rc == SQLITE_OK && present ? bridge_stage_unplaced(changes->stage, rowid, err) : rc;
}

/* Walk the changes after < seq <= upto in batches. */
static int
walk_changes(BridgeChanges *changes, int64_t after, int64_t upto, BridgeDeltaVisit visit, BridgeError *err)
{
	BridgeStage *stage = changes->stage;
	BridgeMergeTask *task = stage->task;
	const int64_t first = after;
	int64_t batch = bridge_stage_rows(stage);

	for (;;)
	{
		int64_t count = 0;
		int rc;

		if (bridge_merge_cancelled(task))
			return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
		rc = bridge_stage_begin(stage, err);
		if (rc == SQLITE_OK)
			rc = bridge_store_delta(stage->store, after, upto, batch, visit, changes, &count, err);
		bridge_stage_end(stage);
		stage->read = (uint64_t) (count < batch ? upto - first : stage->last - first);
		if (rc == SQLITE_OK && (count < batch || bridge_stage_is_full(stage)))
			rc = bridge_stage_flush(stage, err);
		if (rc != SQLITE_OK || count < batch)
			return rc;
		after = stage->last;
	}
}

/* The noted changes, into the builder. */
static int
apply_changes(BridgeChanges *changes, int64_t after, int64_t upto, BridgeError *err)
{
	BridgeStage *stage = changes->stage;

	stage->built = stage->read = 0;
	stage->total = (uint64_t) (upto - after);
	return walk_changes(changes, after, upto, visit_apply, err);
}

/* ---------- from a content table with a journal ---------- */

/* The rowids that the journal names after < seq <= upto. */
static int
note_journal(BridgeChanges *changes, int64_t after, int64_t upto, BridgeError *err)
{
	BridgeStage *stage = changes->stage;
	sqlite3_stmt *stmt = NULL;
	bool keyed = stage->store->keys.count > 0;
	char *sql;
	int rc = keyed ? bridge_label_journal(stage, after, upto, err) : SQLITE_OK;

	if (rc == SQLITE_OK)
		rc = bridge_stage_begin(stage, err);
	if (rc != SQLITE_OK)
		return rc;
	sql = bridge_store_expand(
		stage->store,
		keyed ? "SELECT DISTINCT m.label FROM %1.%2_changes% AS c CROSS JOIN %1.%2_keys% AS m ON %6c"
				" WHERE c.seq > ?1 AND c.seq <= ?2"
			  : "SELECT DISTINCT coalesce(key, 0) FROM %1.%2_changes% WHERE seq > ?1 AND seq <= ?2");
	if (rc == SQLITE_OK)
		rc = sql ? sqlite3_prepare_v2(stage->store->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;
	sqlite3_free(sql);
	if (rc == SQLITE_OK)
	{
		sqlite3_bind_int64(stmt, 1, after);
		sqlite3_bind_int64(stmt, 2, upto);
		while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
			if (note(changes, sqlite3_column_int64(stmt, 0), 0, err) != SQLITE_OK)
				break;
	}
	if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else if (err->code == SQLITE_OK)
		rc = bridge_error_db(err, stage->store->db, "reading the changes");
	else
		rc = err->code;
	sqlite3_finalize(stmt);
	bridge_stage_end(stage);
	return rc;
}

/* A comparison of table and graph. */
typedef struct Comparison
{
	BridgeChanges *changes;
	const BridgeSnapshot *current;
	float *vector;     /* scratch */
	uint64_t matching; /* rows that the graph has, too */
	int segment;       /* whose nodes are visited */
	uint64_t visited;
	BridgeError *err;
	int rc;
} Comparison;

static int
compare_row(void *arg, int64_t rowid, const float *vector, BridgeError *err)
{
	Comparison *c = arg;
	BridgeStage *stage = c->changes->stage;
	HnswStatus status = bridge_snapshot_vector(c->current, rowid, c->vector);

	stage->last = rowid;
	if (status != HNSW_OK && status != HNSW_NOTFOUND)
		return bridge_graph_is_damaged(err);
	c->matching += status == HNSW_OK;
	if (vector == NULL && bridge_stage_unplaced(stage, rowid, err) != SQLITE_OK)
		return err->code;
	if (vector == NULL ? status == HNSW_NOTFOUND
					   : status == HNSW_OK && memcmp(vector, c->vector, stage->dim * sizeof(float)) == 0)
		return SQLITE_OK;
	return note(c->changes, rowid, 0, err);
}

/* A node that the walk of the table did not meet, or met. */
static bool
compare_node(void *arg, int64_t label, const float *vector)
{
	Comparison *c = arg;
	BridgeStage *stage = c->changes->stage;
	bool present = true;

	if (bridge_snapshot_hides(c->current, c->segment, label))
		return true;
	if (++c->visited % ROWS_A_TRANSACTION == 0)
	{
		bridge_stage_end(stage);
		c->rc = bridge_merge_cancelled(stage->task) ? bridge_error(c->err, SQLITE_INTERRUPT, "interrupted")
													: bridge_stage_begin(stage, c->err);
	}
	if (c->rc == SQLITE_OK)
		c->rc = bridge_store_truth_exists(stage->store, label, &present, c->err);
	if (c->rc == SQLITE_OK && !present)
		c->rc = note(c->changes, label, 0, c->err);
	return c->rc == SQLITE_OK;
}

/* Rows of the graph that the table has not. */
static int
note_ghosts(Comparison *c, BridgeError *err)
{
	HnswStatus status = HNSW_OK;

	c->err = err;
	c->rc = bridge_stage_begin(c->changes->stage, err);
	for (; c->segment < c->current->count && status == HNSW_OK && c->rc == SQLITE_OK; c->segment++)
		status = hnsw_snapshot_each(c->current->graphs[c->segment]->map, compare_node, c);
	bridge_stage_end(c->changes->stage);
	return c->rc != SQLITE_OK ? c->rc : status == HNSW_OK ? SQLITE_OK : bridge_graph_is_damaged(err);
}

int
bridge_changes_compare(BridgeChanges *changes, const BridgeSnapshot *current, BridgeError *err)
{
	BridgeStage *stage = changes->stage;
	Comparison c = {.changes = changes, .current = current};
	int64_t from = INT64_MIN;
	int64_t batch = bridge_stage_rows(stage);
	int64_t count;
	int rc = stage->store->keys.count > 0 ? bridge_label_table(stage, err) : SQLITE_OK;

	if (rc != SQLITE_OK)
		return rc;
	c.vector = sqlite3_malloc64(stage->dim * sizeof(float));
	if (c.vector == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	stage->store->bad_rows = 0;
	stage->unplaced_known = true;
	stage->unplaced_count = 0;
	do
	{
		if (bridge_merge_cancelled(stage->task))
			rc = bridge_error(err, SQLITE_INTERRUPT, "interrupted");
		else
			rc = bridge_stage_begin(stage, err);
		if (rc == SQLITE_OK)
			rc = bridge_store_truth(stage->store, from, batch, compare_row, &c, &count, err);
		bridge_stage_end(stage);
		from = stage->last + 1;
	} while (rc == SQLITE_OK && count == batch && stage->last < INT64_MAX);
	if (rc == SQLITE_OK && c.matching != bridge_snapshot_rows(current))
		rc = note_ghosts(&c, err);
	sqlite3_free(c.vector);
	keep_last(changes);
	return rc;
}

/* Nodes without a row, where searches met some: the rows' numbers alone tell. */
static int
note_met_ghosts(BridgeChanges *changes, const BridgeSnapshot *current, BridgeError *err)
{
	Comparison c = {.changes = changes, .current = current};

	return note_ghosts(&c, err);
}

/* Those that the noted rowids are now, into the builder. */
static int
apply_rows(BridgeChanges *changes, BridgeError *err)
{
	BridgeStage *stage = changes->stage;
	BridgeStore *store = stage->store;
	size_t i = 0;
	int rc = SQLITE_OK;

	stage->built = stage->read = 0;
	stage->total = changes->count;
	while (i < changes->count && rc == SQLITE_OK)
	{
		if (bridge_merge_cancelled(stage->task))
			return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
		rc = bridge_stage_begin(stage, err);
		do
		{
			int64_t rowid = changes->list[i].rowid;
			bool present = false;

			if (rc == SQLITE_OK)
				rc = bridge_store_truth_get(store, rowid, &store->scratch, &present, err);
			if (rc != SQLITE_OK)
				break;
			if (present && bridge_indexable(&store->params, store->scratch.data))
				rc = bridge_stage_push(stage, rowid, store->scratch.data, err);
			else
			{
				(void) hnsw_builder_remove(stage->builder, rowid);
				rc = present ? bridge_stage_unplaced(stage, rowid, err) : SQLITE_OK;
			}
		} while (++i < changes->count && i % ROWS_A_TRANSACTION != 0);
		bridge_stage_end(stage);
		stage->read = i;
		if (rc == SQLITE_OK && bridge_stage_is_full(stage))
			rc = bridge_stage_flush(stage, err);
	}
	return rc == SQLITE_OK ? bridge_stage_flush(stage, err) : rc;
}

/* ---------- either ---------- */

int
bridge_changes_note(BridgeChanges *changes, const BridgeSnapshot *current, const BridgeState *state,
					BridgeError *err)
{
	const BridgeMergeTask *task = changes->stage->task;
	int rc;

	if (!changes->stage->store->journal)
		rc = walk_changes(changes, state->position, state->counter, visit_note, err);
	else if (task->compares)
		rc = bridge_changes_compare(changes, current, err);
	else
		rc = note_journal(changes, state->position, state->counter, err);
	if (rc == SQLITE_OK && changes->stage->store->journal && !task->compares && task->ghosts)
		rc = note_met_ghosts(changes, current, err);
	if (rc == SQLITE_OK)
		keep_last(changes);
	return rc;
}

int
bridge_changes_apply(BridgeChanges *changes, const BridgeState *state, BridgeError *err)
{
	if (changes->stage->store->journal)
		return apply_rows(changes, err);
	return apply_changes(changes, state->position, state->counter, err);
}
