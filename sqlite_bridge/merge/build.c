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
 * Of the changes each rowid's last one counts.  Those of a journal are rowids only, whose
 * vectors are read from the content table when they are needed.  Such a vector may be newer than
 * the noted change; then the journal has the row again, after it.
 *
 * What no trigger has seen is found by comparing the table with the graph, bit for bit: where the
 * evidence failed (merge.c), and whenever a base is made.  Nodes whose row REPLACE removed are
 * found with it.  So a table that was rebuilt or vacuumed costs a reading, and no new graph.
 *
 * Every batch is a read transaction of its own that ends before building goes
 * on, so no lock of SQLite is held while distances are computed, and the WAL
 * can be checkpointed.
 */
#include "sqlite_bridge/merge/merge.h"

#include <stdlib.h>
#include <string.h>

/*
 * A graph that a third of its nodes' changes would go through is made from
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

/* The changes since the graph. */
typedef struct Changes
{
	Stage *stage;
	size_t count, capacity;
	Change *list; /* one entry a rowid after keep_last() */
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
	(void) hnsw_builder_remove(changes->stage->builder, rowid); /* it may have come and gone since */
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

/* The noted changes, into the builder. */
static int
apply_changes(Changes *changes, int64_t after, int64_t upto, BridgeError *err)
{
	Stage *stage = changes->stage;

	stage->built = stage->read = 0;
	stage->total = (uint64_t) (upto - after);
	return walk_changes(changes, after, upto, visit_apply, err);
}

/* ---------- from the segments ---------- */

static int
damaged(BridgeError *err)
{
	return bridge_error(err, SQLITE_CORRUPT_VTAB, "the graph file is damaged");
}

static int
is_in(HnswSnapshot *map, int64_t label, bool *present, BridgeError *err)
{
	HnswStatus status = hnsw_snapshot_vector(map, label, NULL);

	*present = status == HNSW_OK;
	return status == HNSW_CORRUPT ? damaged(err) : SQLITE_OK;
}

static HnswSnapshot *
recent_of(const BridgeSnapshot *current)
{
	return current->count > 1 ? current->graphs[1]->map : NULL;
}

/* How many rows differ from what the base says of them. */
static int
count_differing(const BridgeSnapshot *current, const Changes *changes, uint64_t *count, BridgeError *err)
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
	Stage *stage;
	BridgeError *err;
	int rc;
} NodeWalk;

static bool
visit_node(void *arg, int64_t label, const float *vector)
{
	NodeWalk *walk = arg;

	walk->rc = stage_push(walk->stage, label, vector, walk->err);
	if (walk->rc == SQLITE_OK && stage_is_full(walk->stage))
		walk->rc = stage_flush(walk->stage, walk->err);
	return walk->rc == SQLITE_OK;
}

/* The base is in the builder: take out what it hides, put in what is recent. */
static int
fold_recent(Stage *stage, const BridgeSnapshot *current, BridgeError *err)
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
		return damaged(err);
	return walk.rc == SQLITE_OK ? stage_flush(stage, err) : walk.rc;
}

/* What the base hides from now on: what it hid, and what has changed since. */
static int
hide(const BridgeSnapshot *current, const Changes *changes, BridgeBuilt *out, BridgeError *err)
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

/* ---------- from a content table with a journal ---------- */

static int
note_label(Changes *changes, int64_t label, BridgeError *err)
{
	return visit_note(changes, 0, 0, label, NULL, err);
}

/* The rowids that the journal names after < seq <= upto. */
static int
note_journal(Changes *changes, int64_t after, int64_t upto, BridgeError *err)
{
	Stage *stage = changes->stage;
	sqlite3_stmt *stmt = NULL;
	char *sql = bridge_store_expand(
		stage->store, "SELECT DISTINCT coalesce(key, 0) FROM %1.%2_changes% WHERE seq > ?1 AND seq <= ?2");
	int rc = sql ? sqlite3_prepare_v2(stage->store->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	if (rc == SQLITE_OK)
	{
		sqlite3_bind_int64(stmt, 1, after);
		sqlite3_bind_int64(stmt, 2, upto);
		while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
			if (note_label(changes, sqlite3_column_int64(stmt, 0), err) != SQLITE_OK)
				break;
	}
	if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else if (err->code == SQLITE_OK)
		rc = bridge_error_db(err, stage->store->db, "reading the changes");
	else
		rc = err->code;
	sqlite3_finalize(stmt);
	return rc;
}

/* A comparison of table and graph. */
typedef struct Comparison
{
	Changes *changes;
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
	Stage *stage = c->changes->stage;
	HnswStatus status = bridge_snapshot_vector(c->current, rowid, c->vector);

	stage->last = rowid;
	if (status != HNSW_OK && status != HNSW_NOTFOUND)
		return damaged(err);
	c->matching += status == HNSW_OK;
	if (vector == NULL ? status == HNSW_NOTFOUND
					   : status == HNSW_OK && memcmp(vector, c->vector, stage->dim * sizeof(float)) == 0)
		return SQLITE_OK;
	return note_label(c->changes, rowid, err);
}

/* A node that the walk of the table did not meet, or met. */
static bool
compare_node(void *arg, int64_t label, const float *vector)
{
	Comparison *c = arg;
	Stage *stage = c->changes->stage;
	bool present = true;

	if (bridge_snapshot_hides(c->current, c->segment, label))
		return true;
	if ((++c->visited & 1023) == 0 && bridge_merge_cancelled(stage->task))
		c->rc = bridge_error(c->err, SQLITE_INTERRUPT, "interrupted");
	if (c->rc == SQLITE_OK)
		c->rc = bridge_store_truth_exists(stage->store, label, &present, c->err);
	if (c->rc == SQLITE_OK && !present)
		c->rc = note_label(c->changes, label, c->err);
	return c->rc == SQLITE_OK;
}

/* Rows of the graph that the table has not. */
static int
note_ghosts(Comparison *c, BridgeError *err)
{
	HnswStatus status = HNSW_OK;

	c->err = err;
	for (; c->segment < c->current->count && status == HNSW_OK && c->rc == SQLITE_OK; c->segment++)
		status = hnsw_snapshot_each(c->current->graphs[c->segment]->map, compare_node, c);
	return c->rc != SQLITE_OK ? c->rc : status == HNSW_OK ? SQLITE_OK : damaged(err);
}

/* Every row that the graph has otherwise than the table, added to the changes. */
static int
note_differences(Changes *changes, const BridgeSnapshot *current, BridgeError *err)
{
	Stage *stage = changes->stage;
	Comparison c = {.changes = changes, .current = current};
	int64_t from = INT64_MIN;
	int64_t batch = batch_rows(stage);
	int64_t count;
	int rc = SQLITE_OK;

	c.vector = sqlite3_malloc64(stage->dim * sizeof(float));
	if (c.vector == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	stage->store->bad_rows = 0;
	do
	{
		if (bridge_merge_cancelled(stage->task))
			rc = bridge_error(err, SQLITE_INTERRUPT, "interrupted");
		else
			rc = bridge_store_truth(stage->store, from, batch, compare_row, &c, &count, err);
		from = stage->last + 1;
	} while (rc == SQLITE_OK && count == batch && stage->last < INT64_MAX);
	if (rc == SQLITE_OK && c.matching != bridge_snapshot_rows(current))
		rc = note_ghosts(&c, err);
	sqlite3_free(c.vector);
	return rc;
}

/* Nodes without a row, where searches met some: the rows' numbers alone tell. */
static int
note_met_ghosts(Changes *changes, const BridgeSnapshot *current, BridgeError *err)
{
	Comparison c = {.changes = changes, .current = current};

	return note_ghosts(&c, err);
}

/* Those that the noted rowids are now, into the builder. */
static int
apply_rows(Changes *changes, BridgeError *err)
{
	Stage *stage = changes->stage;
	BridgeStore *store = stage->store;
	int rc = SQLITE_OK;

	stage->built = stage->read = 0;
	stage->total = changes->count;
	for (size_t i = 0; i < changes->count && rc == SQLITE_OK; i++)
	{
		int64_t rowid = changes->list[i].rowid;
		bool present;

		if (i % 256 == 0 && bridge_merge_cancelled(stage->task))
			return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
		rc = bridge_store_truth_get(store, rowid, &store->scratch, &present, err);
		if (rc != SQLITE_OK)
			break;
		if (present && bridge_indexable(&store->params, store->scratch.data))
			rc = stage_push(stage, rowid, store->scratch.data, err);
		else
			(void) hnsw_builder_remove(stage->builder, rowid);
		stage->read = i + 1;
		if (rc == SQLITE_OK && stage_is_full(stage))
			rc = stage_flush(stage, err);
	}
	return rc == SQLITE_OK ? stage_flush(stage, err) : rc;
}

/* ---------- any ---------- */

typedef enum Way
{
	NOTHING, /* the graph is as it should be */
	FROM_TRUTH,
	NEW_BASE,
	NEW_RECENT
} Way;

/* The rows that may differ from the graph. */
static int
note_changes(const BridgeMergeTask *task, const BridgeSnapshot *current, const BridgeState *state,
			 Changes *changes, BridgeError *err)
{
	int rc;

	if (!changes->stage->store->journal)
		rc = walk_changes(changes, state->position, state->counter, visit_note, err);
	else if (task->compares)
		rc = note_differences(changes, current, err);
	else
		rc = note_journal(changes, state->position, state->counter, err);
	if (rc == SQLITE_OK && changes->stage->store->journal && !task->compares && task->ghosts)
		rc = note_met_ghosts(changes, current, err);
	if (rc == SQLITE_OK)
		keep_last(changes);
	return rc;
}

/* *way, and the changes noted where they are needed. */
static int
choose(BridgeMergeTask *task, const BridgeSnapshot *current, const BridgeState *state, Changes *changes,
	   Way *way, BridgeError *err)
{
	bool journal = changes->stage->store->journal;
	uint64_t nodes;
	uint64_t differing;
	int rc;

	*way = FROM_TRUTH;
	if (task->rebuild || current == NULL || (!task->compares && state->counter < state->position))
		return SQLITE_OK;
	rc = note_changes(task, current, state, changes, err);
	if (rc == SQLITE_OK)
		rc = count_differing(current, changes, &differing, err);
	if (rc != SQLITE_OK)
		return rc;
	nodes = hnsw_snapshot_info(current->graphs[0]->map)->count;
	if (journal && changes->count == 0)
		*way = NOTHING;
	else if (nodes > BASE_ALONE && differing <= nodes / RECENT_SHARE)
		*way = NEW_RECENT;
	else if (differing <= nodes / INCREMENTAL_SHARE)
		*way = NEW_BASE;
	/* What nobody saw, such as writes into an open BLOB, heals here at the latest. */
	if (*way == NEW_BASE && journal && !task->compares)
	{
		rc = note_differences(changes, current, err);
		keep_last(changes);
	}
	return rc;
}

/* The graph that the builder begins with: *from's, or none. */
static int
start(Stage *stage, const HnswSnapshot *from, uint64_t capacity, BridgeError *err)
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
apply(Changes *changes, const BridgeState *state, BridgeError *err)
{
	if (changes->stage->store->journal)
		return apply_rows(changes, err);
	return apply_changes(changes, state->position, state->counter, err);
}

static int
build_base(Stage *stage, const BridgeSnapshot *current, Changes *changes, const BridgeState *state,
		   BridgeError *err)
{
	int rc = start(stage, current->graphs[0]->map, 0, err);

	if (rc == SQLITE_OK)
		rc = fold_recent(stage, current, err);
	return rc == SQLITE_OK ? apply(changes, state, err) : rc;
}

static int
build_recent(Stage *stage, const BridgeSnapshot *current, Changes *changes, const BridgeState *state,
			 BridgeBuilt *out, BridgeError *err)
{
	bool sound = true;
	int rc = SQLITE_OK;

	/* Nothing else reads the base whole, which who asks for a merge may rely on. */
	if (!stage->task->if_due || stage->task->verify)
		rc = bridge_merge_verify(stage->task, current, &sound, err);
	if (rc == SQLITE_OK && !sound)
		rc = damaged(err);
	if (rc == SQLITE_OK)
		rc = start(stage, recent_of(current), changes->count, err);
	if (rc == SQLITE_OK)
		rc = apply(changes, state, err);
	return rc == SQLITE_OK ? hide(current, changes, out, err) : rc;
}

void
bridge_built_free(BridgeBuilt *built)
{
	if (built->builder != NULL)
		hnsw_builder_free(built->builder);
	sqlite3_free(built->hidden);
	memset(built, 0, sizeof(*built));
}

int
bridge_build(BridgeMergeTask *task, BridgeStore *store, const BridgeSnapshot *current,
			 const BridgeState *state, BridgeBuilt *out, BridgeError *err)
{
	Stage stage = {.task = task, .store = store, .dim = (size_t) store->params.dim};
	Changes changes = {&stage, 0, 0, NULL};
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
		HnswStatus status = hnsw_builder_repair(stage.builder, &work, &hnsw);

		if (status != HNSW_OK)
			rc = bridge_error_hnsw(err, status, &hnsw, "building the graph");
	}
	stage_free(&stage);
	sqlite3_free(changes.list);
	out->builder = stage.builder;
	out->incremental = way != FROM_TRUTH;
	out->read_all = store->journal && (way == FROM_TRUTH || way == NEW_BASE || task->compares);
	out->bad_rows = (int64_t) store->bad_rows;
	out->recent = way == NEW_RECENT;
	return rc;
}
