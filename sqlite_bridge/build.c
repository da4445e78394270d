/*
 * build.c
 *		The graph of the truth as of a change, as a builder.
 *
 * Two ways lead there:
 *
 *	incremental	the current graph plus the changes after it; each rowid's last change
 *				counts
 *	full		the truth itself, in batches.  Rows that change between the noted
 *				change and their batch may enter the graph in their newer form or
 *				not at all; each has a later change in the delta, which masks it
 *
 * Every batch is a read transaction of its own that ends before building goes
 * on, so no lock of SQLite is held while distances are computed, and the WAL
 * can be checkpointed.
 */
#include "sqlite_bridge/bridge_int.h"

#include <stdlib.h>
#include <string.h>

/*
 * A graph that a third of its nodes' changes would go through is made from
 * scratch: replacing a node costs about twice as much as adding one (its
 * neighbours are relinked), and a fresh build also finds the better links.
 */
#define INCREMENTAL_SHARE 3

#define BATCH_BYTES (1 << 20)  /* read in one transaction */
#define BUILD_BYTES (16 << 20) /* handed to the builder at once */

/* The level generator; fixed, so that one truth gives one single-threaded graph. */
#define LEVEL_SEED 0x76737320686e7377

/* ---------- between reader and builder ---------- */

/* Vectors on their way from a batch to the builder. */
typedef struct Stage
{
	BridgeMergeTask *task;
	BridgeStore *store;
	HnswBuilder *builder;
	size_t dim;
	size_t count, capacity;
	int64_t *labels;
	float *vectors;
	int64_t last; /* rowid (truth) or seq (delta) of the last row read */

	/* How far the merge is, in rowids or changes: built, and read, of total; 0: not known. */
	uint64_t built, read, total;
} Stage;

static void
stage_free(Stage *stage)
{
	sqlite3_free(stage->labels);
	sqlite3_free(stage->vectors);
}

static int
stage_push(Stage *stage, int64_t label, const float *vector, BridgeError *err)
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

static bool
stage_cancelled(void *arg)
{
	return bridge_merge_cancelled(((Stage *) arg)->task);
}

/* The builder has done so many of the staged vectors. */
static void
stage_progress(void *arg, uint64_t done, uint64_t count)
{
	const Stage *stage = arg;
	const BridgeMergeTask *task = stage->task;
	double share = (double) done / (double) count;

	if (task->progress != NULL && stage->total > 0 && stage->read <= stage->total)
		task->progress(task->arg, BRIDGE_READING,
					   stage->built + (uint64_t) (share * (double) (stage->read - stage->built)),
					   stage->total);
}

/* Outside of any transaction: let the builder have what was read. */
static int
stage_flush(Stage *stage, BridgeError *err)
{
	HnswTask work = bridge_merge_work(stage->task, BRIDGE_READING);
	HnswError hnsw = {0};
	HnswStatus status;

	if (stage->count == 0)
		return SQLITE_OK;
	work.cancelled = stage_cancelled;
	work.progress = stage_progress;
	work.arg = stage;
	status = hnsw_builder_add_many(stage->builder, stage->count, stage->labels, stage->vectors, &work, &hnsw);
	stage->count = 0;
	stage->built = stage->read;
	return status == HNSW_OK ? SQLITE_OK : bridge_error_hnsw(err, status, &hnsw, "building the graph");
}

static bool
stage_is_full(const Stage *stage)
{
	return stage->count * stage->dim * sizeof(float) >= BUILD_BYTES;
}

static int64_t
batch_rows(const Stage *stage)
{
	int64_t rows = (int64_t) (BATCH_BYTES / (stage->dim * sizeof(float)));

	return rows > 16 ? rows : 16;
}

/* ---------- from the truth ---------- */

/* Share of the rowids behind us, which costs nothing to know. */
typedef struct RowidRange
{
	bool known;
	int64_t first, last;
} RowidRange;

static int
truth_range(BridgeStore *store, RowidRange *range, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	const BridgeParams *p = &store->params;
	char *sql = p->content != NULL
					? sqlite3_mprintf("SELECT min(\"%w\"), max(\"%w\") FROM \"%w\".\"%w\"", p->content_rowid,
									  p->content_rowid, store->schema, p->content)
					: sqlite3_mprintf("SELECT min(rowid), max(rowid) FROM \"%w\".\"%w_vectors\"",
									  store->schema, store->table);
	int rc = sql ? sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

	memset(range, 0, sizeof(*range));
	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		range->known = sqlite3_column_type(stmt, 0) == SQLITE_INTEGER;
		range->first = sqlite3_column_int64(stmt, 0);
		range->last = sqlite3_column_int64(stmt, 1);
		rc = SQLITE_OK;
	}
	else
		rc = bridge_error_db(err, store->db, "reading the vectors");
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc;
}

static int
visit_truth(void *arg, int64_t rowid, const float *vector, BridgeError *err)
{
	Stage *stage = arg;

	stage->last = rowid;
	return vector != NULL ? stage_push(stage, rowid, vector, err) : SQLITE_OK;
}

/* All of the truth into the builder. */
static int
build_from_truth(Stage *stage, BridgeError *err)
{
	BridgeMergeTask *task = stage->task;
	RowidRange range;
	int64_t from = INT64_MIN;
	int rc = truth_range(stage->store, &range, err);

	if (rc == SQLITE_OK && range.known)
		stage->total = (uint64_t) range.last - (uint64_t) range.first;
	while (rc == SQLITE_OK)
	{
		int64_t count = 0;
		int64_t batch = batch_rows(stage);

		if (bridge_merge_cancelled(task))
			return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
		rc = bridge_store_truth(stage->store, from, batch, visit_truth, stage, &count, err);
		if (rc != SQLITE_OK)
			break;
		/* Rows may have come beyond the range since it was looked at. */
		if (count > 0 && stage->last >= range.first && stage->last <= range.last)
			stage->read = (uint64_t) stage->last - (uint64_t) range.first;
		else
			stage->read = stage->total;
		if (count < batch || stage->last == INT64_MAX)
			return stage_flush(stage, err);
		from = stage->last + 1;
		if (stage_is_full(stage))
			rc = stage_flush(stage, err);
	}
	return rc;
}

/* ---------- from the changes ---------- */

/* A change, to find out which is the last of its rowid. */
typedef struct Change
{
	int64_t rowid;
	int64_t seq;
} Change;

/* The changes between two graphs. */
typedef struct Changes
{
	Stage *stage;
	size_t count, capacity;
	Change *list; /* one entry a rowid after keep_last() */
	uint64_t removed;
} Changes;

static int
compare_changes(const void *a, const void *b)
{
	const Change *x = a;
	const Change *y = b;

	if (x->rowid != y->rowid)
		return x->rowid < y->rowid ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void
keep_last(Changes *changes)
{
	size_t kept = 0;

	if (changes->count > 1)
		qsort(changes->list, changes->count, sizeof(Change), compare_changes);
	for (size_t i = 0; i < changes->count; i++)
	{
		if (kept > 0 && changes->list[kept - 1].rowid == changes->list[i].rowid)
			kept--;
		changes->list[kept++] = changes->list[i];
	}
	changes->count = kept;
}

static int
visit_note(void *arg, int64_t seq, int64_t tag, int64_t rowid, const float *vector, BridgeError *err)
{
	Changes *changes = arg;

	if (changes->count == changes->capacity)
	{
		size_t capacity = changes->capacity ? changes->capacity * 2 : 1024;
		Change *list = sqlite3_realloc64(changes->list, capacity * sizeof(*list));

		if (list == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		changes->list = list;
		changes->capacity = capacity;
	}
	changes->list[changes->count].rowid = rowid;
	changes->list[changes->count++].seq = seq;
	changes->stage->last = seq;
	return SQLITE_OK;
}

static int
visit_apply(void *arg, int64_t seq, int64_t tag, int64_t rowid, const float *vector, BridgeError *err)
{
	Changes *changes = arg;
	Change key = {rowid, seq};

	changes->stage->last = seq;
	if (changes->count == 0 ||
		bsearch(&key, changes->list, changes->count, sizeof(Change), compare_changes) == NULL)
		return SQLITE_OK; /* a later change of this row follows */
	if (vector != NULL)
		return stage_push(changes->stage, rowid, vector, err);
	if (hnsw_builder_remove(changes->stage->builder, rowid) == HNSW_OK)
		changes->removed++;
	return SQLITE_OK;
}

/* Walk the changes after < seq <= upto in batches. */
static int
walk_changes(Changes *changes, int64_t after, int64_t upto, BridgeDeltaVisit visit, BridgeError *err)
{
	Stage *stage = changes->stage;
	BridgeMergeTask *task = stage->task;
	const int64_t first = after;
	int64_t batch = batch_rows(stage);

	for (;;)
	{
		int64_t count = 0;
		int rc;

		if (bridge_merge_cancelled(task))
			return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
		rc = bridge_store_delta(stage->store, after, upto, batch, visit, changes, &count, err);
		stage->read = (uint64_t) (count < batch ? upto - first : stage->last - first);
		if (rc == SQLITE_OK && (count < batch || stage_is_full(stage)))
			rc = stage_flush(stage, err);
		if (rc != SQLITE_OK || count < batch)
			return rc;
		after = stage->last;
	}
}

static int
apply_changes(Stage *stage, int64_t after, int64_t upto, BridgeError *err)
{
	Changes changes = {stage, 0, 0, NULL, 0};
	int rc = walk_changes(&changes, after, upto, visit_note, err);

	if (rc == SQLITE_OK)
	{
		keep_last(&changes);
		stage->total = (uint64_t) (upto - after);
		rc = walk_changes(&changes, after, upto, visit_apply, err);
	}
	sqlite3_free(changes.list);
	return rc;
}

/* ---------- either ---------- */

int
bridge_build(BridgeMergeTask *task, BridgeStore *store, HnswSnapshot **current, int64_t after, int64_t upto,
			 HnswBuilder **out, bool *incremental, BridgeError *err)
{
	const BridgeParams *p = &store->params;
	HnswParams params = {(uint32_t) p->dim, p->metric, (uint32_t) p->m, (uint32_t) p->ef_construction,
						 LEVEL_SEED};
	Stage stage = {.task = task, .store = store, .dim = (size_t) p->dim};
	HnswTask work = bridge_merge_work(task, BRIDGE_READING);
	HnswError hnsw = {0};
	HnswStatus status = HNSW_CORRUPT;
	int rc = SQLITE_OK;

	*incremental = !task->rebuild && *current != NULL && upto >= after &&
				   (uint64_t) (upto - after) <= hnsw_snapshot_info(*current)->count / INCREMENTAL_SHARE;
	if (*incremental)
	{
		status = hnsw_builder_load(*current, &work, &stage.builder, &hnsw);
		if (status == HNSW_OK)
			rc = apply_changes(&stage, after, upto, err);
		else if (status == HNSW_CORRUPT)
		{
			*incremental = false;
			hnsw_snapshot_close(*current);
			*current = NULL;
		}
	}
	if (!*incremental)
	{
		status = hnsw_builder_create(&params, *current != NULL ? hnsw_snapshot_info(*current)->count : 0,
									 &stage.builder, &hnsw);
		if (status == HNSW_OK)
			rc = build_from_truth(&stage, err);
	}
	if (status == HNSW_OK && rc == SQLITE_OK)
	{
		work = bridge_merge_work(task, BRIDGE_REPAIRING);
		status = hnsw_builder_repair(stage.builder, &work, &hnsw);
	}
	stage_free(&stage);
	if (status != HNSW_OK)
		rc = bridge_error_hnsw(err, status, &hnsw, "building the graph");
	if (rc == SQLITE_OK)
		*out = stage.builder;
	else if (stage.builder != NULL)
		hnsw_builder_free(stage.builder);
	return rc;
}
