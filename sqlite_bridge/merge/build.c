/*
 * build.c
 *		The graph of the truth as of a change, as a builder.
 *
 * Three ways lead there, by the number of rows that differ from the base:
 *
 *	recent		few: the base stays; the recent segment, or an empty graph, plus the
 *				changes after it
 *	base		more: base and recent segment become one, plus the changes
 *	truth		many: the truth itself, in batches.  Rows that change between the noted
 *				change and their batch may enter the graph in their newer form or
 *				not at all; each has a later change in the delta, which masks it
 *
 * changes.c says which rows differ.  Every batch is a read transaction of its own that ends before
 * building goes on (stage.c), so no lock of SQLite is held while distances are computed, and the WAL
 * can be checkpointed.
 */
#include "sqlite_bridge/merge/merge.h"

#include <string.h>

/*
 * A graph that changes of a third of its rows would go through is made from
 * scratch: replacing a node costs about twice as much as adding one (its
 * neighbours are relinked), and a fresh build also finds the better links.
 */
#define INCREMENTAL_SHARE 3

/*
 * The base stays until a sixteenth of its rows differ, and it is written at most
 * that often: each changed row costs 16 rows of writing the base.  The recent segment is
 * written anew whenever a fifth of it has changed (merge.c), which costs about 6.  Where
 * a search costs no less than measuring every row, two segments are one too many.
 */
#define RECENT_SHARE 16
#define BASE_ALONE 2000

/* The level generator; fixed, so that one truth gives one single-threaded graph. */
#define LEVEL_SEED 0x76737320686e7377

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
	char *sql =
		store->keys.count > 0 ? bridge_store_expand(store, "SELECT min(label), max(label) FROM %1.%2_keys%")
		: p->content != NULL  ? sqlite3_mprintf("SELECT min(\"%w\"), max(\"%w\") FROM \"%w\".\"%w\"",
												p->content_rowid, p->content_rowid, store->schema, p->content)
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
	BridgeStage *stage = arg;

	stage->last = rowid;
	return vector != NULL ? bridge_stage_push(stage, rowid, vector, err)
						  : bridge_stage_unplaced(stage, rowid, err);
}

/* All of the truth into the builder. */
static int
build_from_truth(BridgeStage *stage, BridgeError *err)
{
	BridgeMergeTask *task = stage->task;
	RowidRange range;
	int64_t from = INT64_MIN;
	int rc = stage->store->keys.count > 0 ? bridge_label_table(stage, err) : SQLITE_OK;

	if (rc == SQLITE_OK)
		rc = truth_range(stage->store, &range, err);

	stage->unplaced_known = true;
	stage->unplaced_count = 0;
	if (rc == SQLITE_OK && range.known)
		stage->total = (uint64_t) range.last - (uint64_t) range.first;
	while (rc == SQLITE_OK)
	{
		int64_t count = 0;
		int64_t batch = bridge_stage_rows(stage);

		if (bridge_merge_cancelled(task))
			return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
		rc = bridge_stage_begin(stage, err);
		if (rc == SQLITE_OK)
			rc = bridge_store_truth(stage->store, from, batch, visit_truth, stage, &count, err);
		bridge_stage_end(stage);
		if (rc != SQLITE_OK)
			break;
		/* Rows may have come beyond the range since it was looked at. */
		if (count > 0 && stage->last >= range.first && stage->last <= range.last)
			stage->read = (uint64_t) stage->last - (uint64_t) range.first;
		else
			stage->read = stage->total;
		if (count < batch || stage->last == INT64_MAX)
			return bridge_stage_flush(stage, err);
		from = stage->last + 1;
		if (bridge_stage_is_full(stage))
			rc = bridge_stage_flush(stage, err);
	}
	return rc;
}

/* ---------- from the segments ---------- */

int
bridge_graph_is_damaged(BridgeError *err)
{
	return bridge_error(err, SQLITE_CORRUPT_VTAB, "the graph file is damaged");
}

static int
is_in(HnswSnapshot *map, int64_t label, bool *present, BridgeError *err)
{
	HnswStatus status = hnsw_snapshot_vector(map, label, NULL);

	*present = status == HNSW_OK;
	return status == HNSW_CORRUPT ? bridge_graph_is_damaged(err) : SQLITE_OK;
}

static HnswSnapshot *
recent_of(const BridgeSnapshot *current)
{
	return current->count > 1 ? current->graphs[1]->map : NULL;
}

/* How many rows differ from what the base says of them. */
static int
count_differing(const BridgeSnapshot *current, const BridgeChanges *changes, uint64_t *count,
				BridgeError *err)
{
	HnswSnapshot *recent = recent_of(current);
	bool known = false;
	int rc = SQLITE_OK;

	*count = bridge_snapshot_recent(current);
	for (size_t i = 0; recent != NULL && i < current->hidden_count && rc == SQLITE_OK; i++)
	{
		rc = is_in(recent, current->hidden[i], &known, err);
		*count += !known;
	}
	for (size_t i = 0; i < changes->count && rc == SQLITE_OK; i++)
	{
		known = bridge_snapshot_hides(current, 0, changes->list[i].rowid);
		if (!known && recent != NULL)
			rc = is_in(recent, changes->list[i].rowid, &known, err);
		*count += !known;
	}
	return rc;
}

typedef struct NodeWalk
{
	BridgeStage *stage;
	BridgeError *err;
	int rc;
} NodeWalk;

static bool
visit_node(void *arg, int64_t label, const float *vector)
{
	NodeWalk *walk = arg;

	walk->rc = bridge_stage_push(walk->stage, label, vector, walk->err);
	if (walk->rc == SQLITE_OK && bridge_stage_is_full(walk->stage))
		walk->rc = bridge_stage_flush(walk->stage, walk->err);
	return walk->rc == SQLITE_OK;
}

/* The base is in the builder: take out what it hides, put in what is recent. */
static int
fold_recent(BridgeStage *stage, const BridgeSnapshot *current, BridgeError *err)
{
	HnswSnapshot *recent = recent_of(current);
	NodeWalk walk = {stage, err, SQLITE_OK};

	if (recent == NULL)
		return SQLITE_OK;
	for (size_t i = 0; i < current->hidden_count; i++)
	{
		bool replaced;
		int rc = is_in(recent, current->hidden[i], &replaced, err);

		if (rc != SQLITE_OK)
			return rc;
		if (!replaced)
			(void) hnsw_builder_remove(stage->builder, current->hidden[i]);
	}
	if (hnsw_snapshot_each(recent, visit_node, &walk) == HNSW_CORRUPT)
		return bridge_graph_is_damaged(err);
	return walk.rc == SQLITE_OK ? bridge_stage_flush(stage, err) : walk.rc;
}

/* What the base hides from now on: what it hid, and what has changed since. */
static int
hide(const BridgeSnapshot *current, const BridgeChanges *changes, BridgeBuilt *out, BridgeError *err)
{
	size_t next = 0;
	int rc = SQLITE_OK;

	out->hidden = sqlite3_malloc64((current->hidden_count + changes->count + 1) * sizeof(*out->hidden));
	if (out->hidden == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	for (size_t i = 0; i < changes->count && rc == SQLITE_OK; i++)
	{
		int64_t label = changes->list[i].rowid;
		bool present;

		while (next < current->hidden_count && current->hidden[next] < label)
			out->hidden[out->hidden_count++] = current->hidden[next++];
		if (next < current->hidden_count && current->hidden[next] == label)
			continue;
		rc = is_in(current->graphs[0]->map, label, &present, err);
		if (rc == SQLITE_OK && present)
			out->hidden[out->hidden_count++] = label;
	}
	while (next < current->hidden_count)
		out->hidden[out->hidden_count++] = current->hidden[next++];
	return rc;
}

/* ---------- rows without a place ---------- */

/* Begin with those that the graph lacked before, but for the changed ones, which will be looked at. */
static int
recall_unplaced(BridgeStage *stage, const BridgeState *state, const BridgeChanges *changes, BridgeError *err)
{
	size_t kept = 0;
	size_t next = 0;
	int rc;

	if (stage->unplaced_known)
		return SQLITE_OK; /* a comparison has found them all */
	rc = bridge_store_unplaced(stage->store, state->position, &stage->unplaced, &stage->unplaced_count,
							   &stage->unplaced_known, err);
	stage->unplaced_capacity = stage->unplaced_count;
	for (size_t i = 0; i < stage->unplaced_count; i++)
	{
		while (next < changes->count && changes->list[next].rowid < stage->unplaced[i])
			next++;
		if (next == changes->count || changes->list[next].rowid != stage->unplaced[i])
			stage->unplaced[kept++] = stage->unplaced[i];
	}
	stage->unplaced_count = kept;
	return rc;
}

/* The stage's, sorted, each once. */
static int
take_unplaced(BridgeStage *stage, BridgeBuilt *out, BridgeError *err)
{
	size_t kept = 0;

	if (!stage->unplaced_known)
		return SQLITE_OK;
	bridge_labels_sort(stage->unplaced, stage->unplaced_count);
	for (size_t i = 0; i < stage->unplaced_count; i++)
		if (kept == 0 || stage->unplaced[kept - 1] != stage->unplaced[i])
			stage->unplaced[kept++] = stage->unplaced[i];
	out->unplaced = stage->unplaced != NULL ? stage->unplaced : sqlite3_malloc64(sizeof(int64_t));
	out->unplaced_count = kept;
	stage->unplaced = NULL;
	return out->unplaced != NULL ? SQLITE_OK : bridge_error(err, SQLITE_NOMEM, "out of memory");
}

/* ---------- any ---------- */

typedef enum Way
{
	NOTHING, /* the graph is as it should be */
	FROM_TRUTH,
	NEW_BASE,
	NEW_RECENT
} Way;

/* *way, and the changes noted where they are needed. */
static int
choose(BridgeMergeTask *task, const BridgeSnapshot *current, const BridgeState *state, BridgeChanges *changes,
	   Way *way, BridgeError *err)
{
	bool journal = changes->stage->store->journal;
	uint64_t rows;
	uint64_t differing;
	int rc;

	*way = FROM_TRUTH;
	if (task->rebuild || current == NULL || (!task->compares && state->counter < state->position))
		return SQLITE_OK;
	rc = bridge_changes_note(changes, current, state, err);
	if (rc == SQLITE_OK)
		rc = count_differing(current, changes, &differing, err);
	if (rc != SQLITE_OK)
		return rc;
	rows = hnsw_snapshot_info(current->graphs[0]->map)->count;
	if (journal && changes->count == 0)
		*way = NOTHING;
	else if (rows > BASE_ALONE && differing <= rows / RECENT_SHARE)
		*way = NEW_RECENT;
	else if (differing <= rows / INCREMENTAL_SHARE)
		*way = NEW_BASE;
	/* What nobody saw, such as writes into an open BLOB, heals here at the latest. */
	if (*way == NEW_BASE && journal && !task->compares)
		rc = bridge_changes_compare(changes, current, err);
	return rc == SQLITE_OK && *way != FROM_TRUTH ? recall_unplaced(changes->stage, state, changes, err) : rc;
}

/* The graph that the builder begins with: *from's, or none. */
static int
start(BridgeStage *stage, const HnswSnapshot *from, uint64_t capacity, BridgeError *err)
{
	const BridgeParams *p = &stage->store->params;
	HnswParams params = {(uint32_t) p->dim, p->metric, (uint32_t) p->m, (uint32_t) p->ef_construction,
						 LEVEL_SEED};
	HnswTask work = bridge_merge_work(stage->task, BRIDGE_READING);
	HnswError hnsw = {0};
	HnswStatus status = from != NULL ? hnsw_builder_load(from, &work, &stage->builder, &hnsw)
									 : hnsw_builder_create(&params, capacity, &stage->builder, &hnsw);

	return status == HNSW_OK ? SQLITE_OK : bridge_error_hnsw(err, status, &hnsw, "building the graph");
}

static int
build_base(BridgeStage *stage, const BridgeSnapshot *current, BridgeChanges *changes,
		   const BridgeState *state, BridgeError *err)
{
	int rc = start(stage, current->graphs[0]->map, 0, err);

	if (rc == SQLITE_OK)
		rc = fold_recent(stage, current, err);
	return rc == SQLITE_OK ? bridge_changes_apply(changes, state, err) : rc;
}

static int
build_recent(BridgeStage *stage, const BridgeSnapshot *current, BridgeChanges *changes,
			 const BridgeState *state, BridgeBuilt *out, BridgeError *err)
{
	bool sound = true;
	int rc = SQLITE_OK;

	/* Nothing else reads the base whole, which who asks for a merge may rely on. */
	if (!stage->task->if_due || stage->task->verify)
		rc = bridge_merge_verify(stage->task, current, &sound, err);
	if (rc == SQLITE_OK && !sound)
		rc = bridge_graph_is_damaged(err);
	if (rc == SQLITE_OK)
		rc = start(stage, recent_of(current), changes->count, err);
	if (rc == SQLITE_OK)
		rc = bridge_changes_apply(changes, state, err);
	return rc == SQLITE_OK ? hide(current, changes, out, err) : rc;
}

void
bridge_built_free(BridgeBuilt *built)
{
	if (built->builder != NULL)
		hnsw_builder_free(built->builder);
	sqlite3_free(built->hidden);
	sqlite3_free(built->unplaced);
	memset(built, 0, sizeof(*built));
}

int
bridge_build(BridgeMergeTask *task, BridgeStore *store, const BridgeSnapshot *current,
			 const BridgeState *state, BridgeBuilt *out, BridgeError *err)
{
	BridgeStage stage = {.task = task,
						 .store = store,
						 .dim = (size_t) store->params.dim,
						 .before = state,
						 .seen = {state->counter, state->last_tag}};
	BridgeChanges changes = {&stage, 0, 0, NULL};
	Way way;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = choose(task, current, state, &changes, &way, err);
	if (rc == SQLITE_OK && way == NEW_RECENT)
		rc = build_recent(&stage, current, &changes, state, out, err);
	else if (rc == SQLITE_OK && way == NEW_BASE)
		rc = build_base(&stage, current, &changes, state, err);
	else if (rc == SQLITE_OK && way == FROM_TRUTH)
	{
		store->bad_rows = 0;
		rc = start(&stage, NULL, current != NULL ? bridge_snapshot_rows(current) : 0, err);
		if (rc == SQLITE_OK)
			rc = build_from_truth(&stage, err);
	}
	if (rc == SQLITE_OK && way != NOTHING)
	{
		HnswTask work = bridge_merge_work(task, BRIDGE_REPAIRING);
		HnswError hnsw = {0};
		HnswStatus status;

		bridge_merge_leave(task, true);
		status = hnsw_builder_repair(stage.builder, &work, &hnsw);
		rc = bridge_merge_return(task, err);
		if (rc == SQLITE_OK && status != HNSW_OK)
			rc = bridge_error_hnsw(err, status, &hnsw, "building the graph");
	}
	if (rc == SQLITE_OK)
		rc = take_unplaced(&stage, out, err);
	bridge_stage_free(&stage);
	sqlite3_free(changes.list);
	out->builder = stage.builder;
	out->seen = stage.seen;
	out->incremental = way != FROM_TRUTH;
	out->read_all = store->journal && (way == FROM_TRUTH || way == NEW_BASE || task->compares);
	out->bad_rows = (int64_t) store->bad_rows;
	out->recent = way == NEW_RECENT;
	return rc;
}
