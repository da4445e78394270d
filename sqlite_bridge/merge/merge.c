/*
 * merge.c
 *		From truth and delta to a new graph, or to its recent segment.
 *
 * A merge runs on a connection of its own.  It notes the number S of the last
 * committed change, makes the graph of the truth as of S (build.c), and hands it
 * to publish.c.  Changes up to S stay in the delta meanwhile, because only a
 * merger removes them and there is only one (lock.c).
 *
 * Of a content table with a journal, the merge first looks at the evidence that it was followed.
 * Where that fails it makes triggers and journal anew, in one transaction, and finds the changes by
 * comparing the table with the graph; the same after each change of the schema.  What happens to
 * the table while it works shows when it publishes: then it starts over.
 */
#include "sqlite_bridge/merge/merge.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

/*
 * When merging is worth while.  Computing 2,000 exact distances costs about
 * as much as one graph search at the default settings (both about 1,000 to
 * 2,000 distances), so below that a graph gains nothing.  Above it the delta
 * may also grow to a fifth of the recent segment before that is written anew,
 * which bounds this writing at about 6 times the changes, however long the base
 * stays (build.c).
 */
#define DUE_ROWS 2000
#define DUE_SHARE 5

#define LAST_PAUSE_MS 100
#define STARTS 3        /* before a merge gives way to whoever rebuilds the table */
#define HURRIED_MS 1000 /* the longest wait for locks of one who is in a hurry */

bool
bridge_merge_is_due(int64_t recent, int64_t pending)
{
	return pending > DUE_ROWS && (recent < 0 || pending > recent / DUE_SHARE);
}

const char *
bridge_phase_name(BridgePhase phase)
{
	static const char *const names[] = {"reading", "repairing", "writing"};

	return names[phase];
}

/* ---------- the task as seen from below ---------- */

bool
bridge_merge_cancelled(const BridgeMergeTask *task)
{
	return task->cancelled != NULL && task->cancelled(task->arg);
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000 + 1; /* never 0 */
}

void
bridge_merge_wait_as_one(BridgeMergeTask *task)
{
	task->since = now_ms();
}

bool
bridge_merge_waits(const BridgeMergeTask *task, int waited_ms)
{
	if (task->since > 0)
		waited_ms = (int) (now_ms() - task->since);
	if (waited_ms >= HURRIED_MS && task->hurried != NULL && task->hurried(task->arg))
		return false;
	return waited_ms < task->busy_ms && !bridge_merge_cancelled(task);
}

static bool
work_cancelled(void *arg)
{
	return bridge_merge_cancelled(arg);
}

static void
work_progress(void *arg, uint64_t done, uint64_t total)
{
	BridgeMergeTask *task = arg;

	if (task->progress != NULL)
		task->progress(task->arg, task->phase, done, total);
}

HnswTask
bridge_merge_work(BridgeMergeTask *task, BridgePhase phase)
{
	HnswTask work = {0};

	task->phase = phase;
	work.cancelled = work_cancelled;
	/* The builder counts the vectors of one call; build.c counts rows across them. */
	work.progress = phase == BRIDGE_READING ? NULL : work_progress;
	work.arg = task;
	work.threads = task->threads;
	return work;
}

/* ---------- one merge ---------- */

/* The graph that the merge starts from; NULL where there is none to be used. */
static int
open_current(const BridgeMergeTask *task, BridgeStore *store, const BridgeState *state, BridgeSnapshot **out,
			 BridgeError *err)
{
	char reason[240];

	*out = NULL;
	if (task->rebuild || (task->distrusts && bridge_state_names(state, task->distrusted)))
		return SQLITE_OK;
	return bridge_snapshot_open(task->files, store, state, NULL, reason, sizeof(reason), out, err);
}

/* Whether the state calls for a merge, without counting more than needed. */
static int
is_due(BridgeStore *store, const BridgeState *state, const BridgeSnapshot *current, bool *due,
	   BridgeError *err)
{
	int64_t rows = 0;
	int rc;

	if (current != NULL)
	{
		*due =
			bridge_merge_is_due((int64_t) bridge_snapshot_recent(current), state->counter - state->position);
		return SQLITE_OK;
	}
	rc = bridge_store_truth_count(store, DUE_ROWS + 1, &rows, err);
	*due = bridge_merge_is_due(-1, rows);
	return rc;
}

int
bridge_merge_verify(BridgeMergeTask *task, const BridgeSnapshot *graph, bool *sound, BridgeError *err)
{
	HnswTask work = bridge_merge_work(task, BRIDGE_READING);

	*sound = true;
	for (int i = 0; i < graph->count && *sound; i++)
	{
		uint64_t problems = 0;
		HnswStatus status;
		int rc;

		bridge_merge_leave(task, true);
		status = hnsw_snapshot_check(graph->graphs[i]->map, &work, NULL, NULL, &problems);
		rc = bridge_merge_return(task, err);
		if (rc != SQLITE_OK)
			return rc;
		*sound = problems == 0 && status != HNSW_CORRUPT;
		if (status != HNSW_OK && status != HNSW_CORRUPT)
			return bridge_error_hnsw(err, status, NULL, "verifying the graph");
	}
	return SQLITE_OK;
}

/* Build and publish. */
static int
make_graph(BridgeMergeTask *task, BridgeStore *store, const BridgeState *state, const BridgeSnapshot *current,
		   BridgeMergeResult *result, BridgeError *err)
{
	BridgeBuilt built;
	int rc = bridge_build(task, store, current, state, &built, err);

	if (rc == SQLITE_OK)
		rc = bridge_publish(store, task, &built, state, &result->warning, err);
	if (rc == SQLITE_OK && built.builder == NULL)
	{
		result->rows = bridge_snapshot_rows(current);
		result->seq = state->counter;
	}
	else if (rc == SQLITE_OK)
	{
		result->merged = true;
		result->incremental = built.incremental;
		result->rows = hnsw_builder_count(built.builder);
		if (built.recent)
			result->rows += hnsw_snapshot_info(current->graphs[0]->map)->count - built.hidden_count;
		result->seq = state->counter;
	}
	bridge_built_free(&built);
	return rc;
}

/*
 * Whether there is nothing to do but what an interrupted merge left undone.  A
 * graph that is not sound is released; an automatic merge trusts it, unless
 * somebody came across a damaged block.
 */
static int
is_done(BridgeMergeTask *task, const BridgeState *state, BridgeSnapshot **current, bool due, bool *done,
		BridgeError *err)
{
	bool settled = !due || (state->position == state->counter && !task->compares);
	bool sound = true;
	int rc = SQLITE_OK;

	if (*current != NULL && settled && (!task->if_due || task->verify))
		rc = bridge_merge_verify(task, *current, &sound, err);
	if (rc == SQLITE_OK && !sound)
	{
		bridge_snapshot_release(*current);
		*current = NULL;
	}
	*done = *current != NULL && settled && !(due && task->ghosts);
	return rc;
}

/* With lock, store and state in hand. */
static int
merge_locked(BridgeMergeTask *task, BridgeStore *store, const BridgeState *state, BridgeMergeResult *result,
			 BridgeError *err)
{
	BridgeSnapshot *current;
	bool due = true;
	bool done = false;
	int rc = open_current(task, store, state, &current, err);

	task->compares =
		store->journal && (state->verdict != BRIDGE_FOLLOWED ||
						   (state->position > 0 && state->merged_cookie != store->follow.cookie));
	/* Who asks for a merge need not know that there are any. */
	task->ghosts = (task->ghosts || !task->if_due) && store->follow.replaces;
	if (rc == SQLITE_OK && task->if_due && !task->rebuild &&
		(current == NULL || state->verdict == BRIDGE_FOLLOWED))
		rc = is_due(store, state, current, &due, err);
	if (task->verify && current == NULL && state->segment_count > 0)
		due = true; /* however few rows: or every process would find the damage anew */
	if (rc == SQLITE_OK && (current != NULL || due))
		rc = is_done(task, state, &current, due, &done, err);
	else
		done = true; /* without a graph, and not worth one */
	if (rc == SQLITE_OK && done && current != NULL)
	{
		result->rows = bridge_snapshot_rows(current);
		result->seq = state->position;
		bridge_publish_finish(store, task, state, &result->warning);
	}
	if (rc == SQLITE_OK && !done)
	{
		rc = make_graph(task, store, state, current, result, err);
		/* The old graph may prove damaged only while it is read: then do without it. */
		if (rc != SQLITE_OK && current != NULL && task->db != NULL &&
			((rc & 0xff) == SQLITE_CORRUPT || bridge_snapshot_damaged(current) != NULL))
		{
			bridge_error_clear(err);
			rc = make_graph(task, store, state, NULL, result, err);
		}
	}
	bridge_snapshot_release(current);
	return rc;
}

/* ---------- the merge's own connection ---------- */

/* Waiting for other connections, never past the time given or a cancel. */
static int
wait_busy(void *arg, int count)
{
	BridgeMergeTask *task = arg;
	int pause = count < 20 ? count * 5 + 1 : LAST_PAUSE_MS;
	/* the sum of the pauses so far */
	int waited = count < 20 ? count * (count - 1) * 5 / 2 + count : 970 + (count - 20) * LAST_PAUSE_MS;

	if ((task->committing && waited >= task->commit_ms) || !bridge_merge_waits(task, waited))
		return 0;
	bridge_merge_nap(task, pause);
	return 1;
}

static int
stop_statement(void *arg)
{
	return bridge_merge_cancelled(arg);
}

int
bridge_merge_check_place(const BridgeFiles *files, struct stat *st, BridgeError *err)
{
	if (stat(files->database, st) == 0 && (uint64_t) st->st_dev == files->device &&
		(uint64_t) st->st_ino == files->inode)
		return SQLITE_OK;
	return bridge_error(err, SQLITE_READONLY_DBMOVED, "the file of database %s has been replaced",
						files->database);
}

/*
 * Open the database once more.  No setting of the user's connection is needed:
 * the journal mode is the database's (WAL) or does not matter (a journal is
 * deleted at commit); checkpoints are left to the others, who may have reasons
 * to do none.
 */
static int
open_connection(BridgeMergeTask *task, const char *vfs, sqlite3 **out, BridgeError *err)
{
	const BridgeFiles *files = task->files;
	sqlite3 *db = NULL;
	struct stat st;
	int rc = sqlite3_open_v2(files->database, &db,
							 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, vfs);

	*out = db;
	if (rc != SQLITE_OK)
		return bridge_error_db(err, db, "opening %s", files->database);
	rc = bridge_merge_check_place(files, &st, err);
	if (rc != SQLITE_OK)
		return rc;
	if (sqlite3_db_readonly(db, "main") == 1)
		return bridge_error(err, SQLITE_READONLY, "database %s is read-only", files->database);
	task->file_mode = task->host_mode >= 0 ? task->host_mode : (int) (st.st_mode & 0666);
	task->file_group = (int64_t) st.st_gid;
	task->file_owner = (int64_t) st.st_uid;

	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_handler(db, wait_busy, task);
	/* without it a statement is stopped between rows */
	if (BRIDGE_HAS(sqlite3_progress_handler))
		sqlite3_progress_handler(db, 1000, stop_statement, task);
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !task->checkpoints, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	if (BRIDGE_HAS(sqlite3_wal_autocheckpoint))
		sqlite3_wal_autocheckpoint(db, 0);
	/* for generated columns of a content table */
	return bridge_arithmetic_register(db, err);
}

static int
lock_index(BridgeMergeTask *task, BridgeError *err)
{
	const BridgeAccess access = {task->file_mode, task->file_group, task->file_owner};

	return bridge_lock_take(task->files, &access, task->lock_ms, task->cancelled, task->arg, &task->lock,
							err);
}

/* ---------- without the database for a while ---------- */

void
bridge_merge_leave(BridgeMergeTask *task, bool closable)
{
	if (task->leave != NULL)
		task->leave(task->arg, closable);
}

void
bridge_merge_suspend(BridgeMergeTask *task)
{
	if (task->store != NULL)
	{
		bridge_store_release(task->store);
		task->store->db = NULL;
	}
	sqlite3_close(task->db);
	task->db = NULL;
	bridge_lock_drop(&task->lock);
}

int
bridge_merge_return(BridgeMergeTask *task, BridgeError *err)
{
	sqlite3 *db = NULL;
	int rc;

	if (task->enter == NULL || !task->enter(task->arg))
		return SQLITE_OK;
	if (bridge_merge_cancelled(task))
		return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
	rc = open_connection(task, task->vfs, &db, err);
	if (rc == SQLITE_OK)
		rc = lock_index(task, err);
	if (rc != SQLITE_OK)
	{
		sqlite3_close(db);
		return rc;
	}
	task->db = task->store->db = db;
	task->store->follow.judged = task->store->seen.known = false;
	return SQLITE_OK;
}

/* Outside SQLite as far as a fork() is concerned, but not to be closed: a statement is under way. */
void
bridge_merge_nap(BridgeMergeTask *task, int ms)
{
	const struct timespec nap = {ms / 1000, (long) (ms % 1000) * 1000000};

	bridge_merge_leave(task, false);
	nanosleep(&nap, NULL);
	if (task->enter != NULL)
		(void) task->enter(task->arg);
}

/* A failure that lies with the table and not with the system. */
static bool
is_broken(int rc)
{
	return (rc & 0xff) == SQLITE_ERROR || (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_MISMATCH;
}

int
bridge_merge_check_path(sqlite3 *db, const char *schema, const char *table, const char *path,
						BridgeError *err)
{
	char **names;
	int count;
	int rc = bridge_index_names(db, schema, &names, &count, err);

	for (int i = 0; i < count && rc == SQLITE_OK; i++)
	{
		BridgeStore *other = NULL;
		BridgeFiles files = {0};
		BridgeError why = {0};

		if (sqlite3_stricmp(names[i], table) == 0)
			continue;
		rc = bridge_store_open(db, schema, names[i], &other, &why);
		if (rc == SQLITE_OK)
			rc = bridge_files_locate(db, schema, names[i], other->params.path, &files, &why);
		if (rc == SQLITE_OK && files.path != NULL && strcmp(files.path, path) == 0)
			rc = bridge_error(err, SQLITE_ERROR,
							  "hnsw: path = %s is that of table %s already; give %s another", files.path,
							  names[i], table);
		/* A broken table is no obstacle.  After anything else SQLite may have rolled back. */
		else if (is_broken(rc))
			rc = SQLITE_OK;
		else if (rc != SQLITE_OK)
			rc = bridge_error(err, rc, "%s", why.message ? why.message : sqlite3_errstr(rc));
		bridge_error_clear(&why);
		bridge_files_free(&files);
		bridge_store_close(other);
	}
	bridge_index_names_free(names, count);
	return rc;
}

/* ---------- content tables ---------- */

/* What the merge finds when it begins, in a write transaction: a journal that can be trusted from here on. */
static int
settle(BridgeStore *store, const void *arg, BridgeError *err)
{
	BridgeState *state = *(BridgeState *const *) arg;
	int rc = bridge_content_state(store, state, 0, NULL, NULL, err);

	if (rc != SQLITE_OK || (state->verdict == BRIDGE_FOLLOWED && state->counter > 0))
		return rc;
	if (state->verdict != BRIDGE_JOURNAL_LOST || state->counter < 1 || state->counter > BRIDGE_LAST_SEQ)
		rc = bridge_content_repair(store, err);
	if (rc == SQLITE_OK)
		rc = bridge_content_state(store, state, 0, NULL, NULL, err);
	return rc;
}

static int
migrate(BridgeStore *store, const void *arg, BridgeError *err)
{
	return bridge_content_migrate(store, err);
}

/* Open the store; an index of format 1 gets its journal. */
static int
open_store(BridgeMergeTask *task, sqlite3 *db, BridgeStore **store, BridgeError *err)
{
	int rc = bridge_store_open(db, "main", task->table, store, err);

	if (rc == SQLITE_OK && (*store)->id != task->id)
		rc = bridge_error(err, SQLITE_SCHEMA, "table %s has been made anew", task->table);
	if (rc == SQLITE_OK && (*store)->params.content != NULL && !(*store)->journal)
	{
		rc = bridge_merge_transact(*store, task, migrate, NULL, 0, err);
		bridge_store_close(*store);
		*store = NULL;
		if (rc == SQLITE_OK)
			rc = bridge_store_open(db, "main", task->table, store, err);
	}
	return rc;
}

/* The state to start from.  Nothing is written where the journal has been good. */
static int
begin(BridgeMergeTask *task, BridgeStore *store, BridgeState *state, BridgeError *err)
{
	BridgeState *const out = state;
	int rc = bridge_content_state(store, state, 0, NULL, NULL, err);

	if (rc != SQLITE_OK || !store->journal || (state->verdict == BRIDGE_FOLLOWED && state->counter > 0))
		return rc;
	return bridge_merge_transact(store, task, settle, &out, 0, err);
}

int
bridge_merge_run(BridgeMergeTask *task, const char *vfs, BridgeMergeResult *result, BridgeError *err)
{
	BridgeState state;
	int rc;

	memset(result, 0, sizeof(*result));
	task->vfs = vfs;
	task->store = NULL;
	task->lock.fd = -1;
	rc = open_connection(task, vfs, &task->db, err);
	if (rc == SQLITE_OK)
	{
		rc = lock_index(task, err);
		result->locked_out = rc == SQLITE_BUSY;
	}
	if (rc == SQLITE_OK)
		rc = open_store(task, task->db, &task->store, err);
	if (rc == SQLITE_OK)
		rc = bridge_merge_check_path(task->db, "main", task->table, task->files->path, err);
	for (int i = 0; rc == SQLITE_OK; i++)
	{
		rc = begin(task, task->store, &state, err);
		if (rc == SQLITE_OK && i == 0)
		{
			bridge_publish_sweep(task->files, &state);
			bridge_orphans_sweep(task->db, task->files);
		}
		if (rc == SQLITE_OK)
			rc = merge_locked(task, task->store, &state, result, err);
		if (rc != SQLITE_BUSY_SNAPSHOT || i + 1 == STARTS)
			break;
		bridge_error_clear(err);
		rc = SQLITE_OK;
	}
	bridge_store_close(task->store);
	bridge_lock_drop(&task->lock);
	sqlite3_close(task->db);
	return rc;
}

/* ---------- databases without a file ---------- */

/* Nobody else writes here, and every row is read anew: what counts is that it is followed from now on. */
static int
settle_memory(BridgeStore *store, BridgeState *state, BridgeError *err)
{
	BridgeState *const out = state;
	int rc = bridge_content_state(store, state, 0, NULL, NULL, err);

	if (rc != SQLITE_OK || !store->journal || (state->verdict == BRIDGE_FOLLOWED && state->counter > 0))
		return rc;
	rc = bridge_exec(store->db, err, "BEGIN");
	if (rc == SQLITE_OK)
		rc = settle(store, &out, err);
	if (rc == SQLITE_OK)
		rc = bridge_exec(store->db, err, "COMMIT");
	if (!sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int
bridge_merge_memory(BridgeMergeTask *task, BridgeIndex *index, BridgeMergeResult *result, BridgeError *err)
{
	BridgeStore *store = bridge_index_store(index);
	BridgeBuilt built = {0};
	BridgeSnapshot *snapshot = NULL;
	HnswSnapshot *graph = NULL;
	HnswWriteOptions options = {.mode = -1, .group = -1};
	HnswError hnsw = {0};
	BridgeSegment segment;
	BridgeState state;
	BridgeTuned tuned = {0};
	bool tunes;
	int64_t removed;
	HnswStatus status;
	int rc;

	memset(result, 0, sizeof(*result));
	rc = settle_memory(store, &state, err);
	if (rc == SQLITE_OK)
		rc = bridge_build(task, store, NULL, &state, &built, err);
	if (rc != SQLITE_OK)
	{
		bridge_built_free(&built);
		return rc;
	}
	sqlite3_randomness(sizeof(segment.token), segment.token);
	segment.seq = state.counter;
	memcpy(options.identity.token, segment.token, sizeof(segment.token));
	options.identity.seq = segment.seq;
	result->rows = hnsw_builder_count(built.builder);
	result->seq = segment.seq;
	tunes = bridge_tuning_is_due(store, &state, &built);
	status = hnsw_builder_snapshot(built.builder, &options, &graph, &hnsw);
	if (status == HNSW_OK)
		rc = bridge_store_set_unplaced(store, segment.seq, built.unplaced, built.unplaced_count, err);
	else
		rc = bridge_error_hnsw(err, status, &hnsw, "building the graph");
	bridge_built_free(&built);
	if (status != HNSW_OK)
		return rc;
	snapshot = bridge_snapshot_single(graph, segment.token);
	if (snapshot == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	if (rc == SQLITE_OK && tunes)
		rc = bridge_tune(task, store, graph, &tuned, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_set_current(store, &segment, 1, NULL, 0, err);
	if (rc == SQLITE_OK && store->journal)
		rc = bridge_store_set_position(store, state.counter, state.last_tag, err);
	if (rc == SQLITE_OK && store->journal)
		rc = bridge_store_set_config(store, "bad_rows", NULL, (int64_t) store->bad_rows, err);
	if (rc == SQLITE_OK && tuned.margin > 0)
		rc = bridge_store_set_tuned(store, &tuned, err);
	if (rc != SQLITE_OK)
	{
		bridge_snapshot_release(snapshot);
		return rc;
	}
	bridge_index_adopt(index, snapshot);
	rc = bridge_store_delta_trim(store, segment.seq, -1, &removed, err);
	result->merged = rc == SQLITE_OK;
	return rc;
}
