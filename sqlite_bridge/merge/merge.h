/*
 * merge.h
 *		From truth and changes to a published graph, and who begins that.
 */
#ifndef BRIDGE_MERGE_H
#define BRIDGE_MERGE_H

#include "sqlite_bridge/content/content.h"
#include "sqlite_bridge/index/index.h"

#include <sys/stat.h>

/* ---------- lock.c: one merger an index ---------- */

typedef struct BridgeLock
{
	int fd; /* -1: not held */
} BridgeLock;

/* Who may do what with a new file: the database's own. */
typedef struct BridgeAccess
{
	int mode;
	int64_t group; /* -1: whatever it is */
	int64_t owner; /* likewise; only root can give a file away */
} BridgeAccess;

/*
 * Take the merger's lock, waiting up to wait_ms.  SQLITE_BUSY when another
 * process or thread keeps it.  access is for a new lock file.
 */
int bridge_lock_take(const BridgeFiles *files, const BridgeAccess *access, int wait_ms,
					 bool (*cancelled)(void *arg), void *arg, BridgeLock *lock, BridgeError *err);
void bridge_lock_drop(BridgeLock *lock);

/* ---------- merge.c: from truth and delta to a new graph ---------- */

typedef enum BridgePhase
{
	BRIDGE_READING, /* and building; in rows, or in shares of the rowid range */
	BRIDGE_REPAIRING,
	BRIDGE_WRITING
} BridgePhase;

const char *bridge_phase_name(BridgePhase phase);

/* What a merge is asked to do, and whom it tells. */
typedef struct BridgeMergeTask
{
	const BridgeFiles *files;
	const char *table;
	uint64_t id;      /* of the index, as in BridgeStore */
	int host_mode;    /* as BridgeHost.file_mode */
	int threads;      /* 0: one per processor */
	int busy_ms;      /* how long to wait for the database's locks */
	int lock_ms;      /* how long to wait for another merge */
	bool checkpoints; /* the merge's connection may be the last to close, and is to do what that one does */
	bool rebuild;     /* start from the truth whatever there is */
	bool if_due;      /* end at once where a merge is not worth while */
	bool verify;      /* with if_due: a graph that is missing or not sound is reason enough */
	bool ghosts;      /* searches met nodes whose row is gone */
	bool distrusts;   /* the graph of this token proved damaged */
	uint8_t distrusted[HNSW_TOKEN_BYTES];

	/* Called from every thread of the build; may be NULL. */
	bool (*cancelled)(void *arg);
	/* Whether others' locks are not worth a long wait any more; may be NULL. */
	bool (*hurried)(void *arg);
	/* Called from the merging thread; may be NULL. */
	void (*progress)(void *arg, BridgePhase phase, uint64_t done, uint64_t total);
	/*
	 * Around what the merging thread does without SQLite; both or neither.  Between them
	 * another thread may call bridge_merge_suspend(), if closable; enter returns whether one did.
	 */
	void (*leave)(void *arg, bool closable);
	bool (*enter)(void *arg);
	void *arg;

	/* Set by the merge. */
	BridgePhase phase;
	bool compares; /* the changes are found by comparing the content table with the graph */
	int file_mode;
	int64_t file_group;
	int64_t file_owner;
	bool committing; /* the busy handler is to wait commit_ms at most */
	int commit_ms;
	int64_t since; /* milliseconds: all waits from then on count as one; 0: each for itself */
	const char *vfs;
	sqlite3 *db; /* the merge's own; NULL before it is opened and while it is suspended */
	BridgeStore *store;
	BridgeLock lock;
} BridgeMergeTask;

typedef struct BridgeMergeResult
{
	bool merged;      /* a new graph was published */
	bool incremental; /* made from the previous one */
	bool locked_out;  /* nothing was done: another merge of the index runs */
	uint64_t rows;    /* of the current graph, all segments */
	int64_t seq;
	char *warning; /* sqlite3_free; or NULL */
} BridgeMergeResult;

/*
 * Merge an index of the main database of `database` on a connection of its
 * own, opened through the named VFS.  Calls nothing of the host but the task's
 * callbacks.  Safe on any thread.
 */
int bridge_merge_run(BridgeMergeTask *task, const char *vfs, BridgeMergeResult *result, BridgeError *err);

/* The same on the store's own connection, into memory, for databases without a file. */
int bridge_merge_memory(BridgeMergeTask *task, BridgeIndex *index, BridgeMergeResult *result,
						BridgeError *err);

/*
 * Whether a merge is worth while.  recent: nodes behind the base of a graph that can be
 * used, -1 without one.  pending: changes since then, or the rows of the truth where
 * there is no graph.
 */
bool bridge_merge_is_due(int64_t recent, int64_t pending);

/*
 * That no other index of the schema has these graph files: two would remove
 * each other's.
 */
int bridge_merge_check_path(sqlite3 *db, const char *schema, const char *table, const char *path,
							BridgeError *err);

/* For build.c and tuning.c, of a merge that runs. */
bool bridge_merge_cancelled(const BridgeMergeTask *task);

/*
 * Whether a merge that has waited so long for a lock of the database waits on.
 * After bridge_merge_wait_as_one(), until task->since is 0 again, what counts is the time
 * since that call.
 */
bool bridge_merge_waits(const BridgeMergeTask *task, int waited_ms);
void bridge_merge_wait_as_one(BridgeMergeTask *task);

/*
 * Around what needs no database.  closable: no transaction is open, and what the merge knows
 * of the database is looked at again before it is used (bridge_merge_same_history).  Return fails where the
 * database was taken away meanwhile and cannot be opened again; then there is none.
 */
void bridge_merge_leave(BridgeMergeTask *task, bool closable);
int bridge_merge_return(BridgeMergeTask *task, BridgeError *err);

/* From another thread, between leave and enter: close the database and let go of the merger's lock. */
void bridge_merge_suspend(BridgeMergeTask *task);

/* Wait a little for somebody else's lock. */
void bridge_merge_nap(BridgeMergeTask *task, int ms);

/* Read the files of a graph whole. */
int bridge_merge_verify(BridgeMergeTask *task, const BridgeSnapshot *graph, bool *sound, BridgeError *err);

/* The task as the graph library takes it, in this phase.  It refers to task. */
HnswTask bridge_merge_work(BridgeMergeTask *task, BridgePhase phase);

/*
 * Whether the database is still the file under its name, which st then describes;
 * else SQLITE_READONLY_DBMOVED.
 */
int bridge_merge_check_place(const BridgeFiles *files, struct stat *st, BridgeError *err);

/* ---------- stage.c: what a merge reads, on its way to the builder ---------- */

/* The last change that a state of the database has. */
typedef struct BridgeMark
{
	int64_t seq, tag;
} BridgeMark;

typedef struct BridgeStage
{
	BridgeMergeTask *task;
	BridgeStore *store;
	HnswBuilder *builder;
	const BridgeState *before; /* the state that the merge started from */
	BridgeMark seen;           /* by the last batch */
	bool began;                /* a transaction of this batch */
	size_t dim;
	size_t count, capacity;
	int64_t *labels;
	float *vectors;
	int64_t last; /* rowid (truth) or seq (delta) of the last row read */

	/* Rows met that belong in no graph, in any order, some twice; known: with those not met, all. */
	bool unplaced_known;
	size_t unplaced_count, unplaced_capacity;
	int64_t *unplaced;

	/* How far the merge is, in rowids or changes: built, and read, of total; 0: not known. */
	uint64_t built, read, total;
} BridgeStage;

/*
 * Whether the database, in the present transaction, is what has become of the one that had seen's
 * change last, with the graph of before; else SQLITE_BUSY_SNAPSHOT.  Then *seen is its own last change.
 */
int bridge_merge_same_history(BridgeStore *store, const BridgeState *before, BridgeMark *seen,
							  BridgeError *err);

/* Around what is read as one batch.  Nothing is open after a begin that failed. */
int bridge_stage_begin(BridgeStage *stage, BridgeError *err);
void bridge_stage_end(BridgeStage *stage);

/* How many rows a batch has. */
int64_t bridge_stage_rows(const BridgeStage *stage);

int bridge_stage_push(BridgeStage *stage, int64_t label, const float *vector, BridgeError *err);
bool bridge_stage_is_full(const BridgeStage *stage);

/* A row without a vector that the graph could take. */
int bridge_stage_unplaced(BridgeStage *stage, int64_t label, BridgeError *err);

/* Between batches: let the builder have what was read. */
int bridge_stage_flush(BridgeStage *stage, BridgeError *err);
void bridge_stage_free(BridgeStage *stage);

/* ---------- label.c: labels for the keys of a table without rowids ---------- */

/* Keys that the journal names after < seq <= upto; those of the table's rows. */
int bridge_label_journal(BridgeStage *stage, int64_t after, int64_t upto, BridgeError *err);
int bridge_label_table(BridgeStage *stage, BridgeError *err);

/* Labels whose rows are gone, once a base without them is current.  Stopping early is no failure. */
void bridge_label_trim(BridgeStore *store, BridgeMergeTask *task);

/* ---------- changes.c: the rows that may differ from the graph ---------- */

typedef struct BridgeChange
{
	int64_t rowid;
	int64_t seq;
} BridgeChange;

typedef struct BridgeChanges
{
	BridgeStage *stage;
	size_t count, capacity;
	BridgeChange *list; /* one entry a rowid, the last one; sqlite3_free */
} BridgeChanges;

/* Fill the list, from delta or journal, or by comparing where the task says so. */
int bridge_changes_note(BridgeChanges *changes, const BridgeSnapshot *current, const BridgeState *state,
						BridgeError *err);

/* Add every row of a content table that the graph has otherwise. */
int bridge_changes_compare(BridgeChanges *changes, const BridgeSnapshot *current, BridgeError *err);

/* What those rows are now, into the stage's builder. */
int bridge_changes_apply(BridgeChanges *changes, const BridgeState *state, BridgeError *err);

/* ---------- build.c ---------- */

/* The error of a graph that cannot be built upon. */
int bridge_graph_is_damaged(BridgeError *err);

/* What a merge makes, to be published. */
typedef struct BridgeBuilt
{
	BridgeMark seen;      /* what publishing must find */
	HnswBuilder *builder; /* NULL: the graph stays, it is the image of the state as well */
	bool incremental;     /* from the graph before and the changes since */
	bool recent;          /* goes behind the base, which stays; else a new base, which is all */
	int64_t *hidden;      /* with recent: labels of the base that do not count, sorted */
	size_t hidden_count;
	int64_t *unplaced; /* labels of rows that the graph has no place for, sorted; NULL: not known */
	size_t unplaced_count;
	bool read_all;    /* every row of the content table was looked at: */
	int64_t bad_rows; /* those that hold no vector of the index's kind */
} BridgeBuilt;

/*
 * The truth as of state->counter.  current: the graph as of state->position, or NULL; it must outlive
 * what is built.  SQLITE_CORRUPT_VTAB where current cannot be built upon: it is to be done without.
 * Free with bridge_built_free, also after a failure.
 */
int bridge_build(BridgeMergeTask *task, BridgeStore *store, const BridgeSnapshot *current,
				 const BridgeState *state, BridgeBuilt *out, BridgeError *err);
void bridge_built_free(BridgeBuilt *built);

/* ---------- publish.c ---------- */

/*
 * A write transaction of the merge's own connection, tried again while others keep the database
 * locked; commit_ms bounds each commit's waiting for readers.
 */
typedef int (*BridgeWork)(BridgeStore *store, const void *arg, BridgeError *err);
int bridge_merge_transact(BridgeStore *store, BridgeMergeTask *task, BridgeWork work, const void *arg,
						  int commit_ms, BridgeError *err);

/*
 * Make what was built current, as of change before->counter.  before: the state the merge
 * started from; another merge's publishing since then, or a content table that is not followed
 * any more, is SQLITE_BUSY_SNAPSHOT.  *warning (sqlite3_free) tells of what went wrong without harm.
 */
int bridge_publish(BridgeStore *store, BridgeMergeTask *task, const BridgeBuilt *built,
				   const BridgeState *before, char **warning, BridgeError *err);

/* Finish what an interrupted merge left undone after its graph became current. */
void bridge_publish_finish(BridgeStore *store, BridgeMergeTask *task, const BridgeState *state,
						   char **warning);

/* Unlink what earlier merges left; the caller holds the lock. */
void bridge_publish_sweep(const BridgeFiles *files, const BridgeState *state);

/* Graph files under the index's name that state does not name, whosever they are; files->path is not NULL. */
void bridge_publish_left(const BridgeFiles *files, const BridgeState *state, int64_t *count, int64_t *bytes);

/* Unlink this database's graph files of a dropped index; never fails. */
void bridge_publish_unlink(const BridgeFiles *files);

/* Whether the file path + ending is a graph file of this database. */
bool bridge_publish_owns(const BridgeFiles *files, const char *ending);

/* ---------- tuning.c: the ef of indexes whose owner named none ---------- */

/*
 * Whether the graph that was built is to be measured: the first one, one made from
 * the truth, or one half as large again as that which was measured last.
 */
bool bridge_tuning_is_due(const BridgeStore *store, const BridgeState *state, const BridgeBuilt *built);

/* Measure it, by the user's questions where the store has any.  *tuned stays as it is where memory is out. */
int bridge_tune(BridgeMergeTask *task, BridgeStore *store, const HnswSnapshot *graph, BridgeTuned *tuned,
				BridgeError *err);

/* The same of the graph in a file. */
int bridge_tune_file(BridgeMergeTask *task, BridgeStore *store, const char *path, BridgeTuned *tuned,
					 BridgeError *err);

/* ---------- orphans.c ---------- */

/*
 * Unlink graph files of this database that are named after tables it has not.
 * db: the merge's own connection, in no transaction.
 */
void bridge_orphans_sweep(sqlite3 *db, const BridgeFiles *files);

/* Whether a graph file is of a database that was in this one's folder, and is not there any more. */
bool bridge_orphans_is_gone(const BridgeFiles *files, const HnswIdentity *identity);

/* ---------- thread.c: automatic merges ---------- */

/*
 * index->merge_due was set and a statement ends or a transaction commits: start the thread
 * of the process for this file if the host wants one, or tell the host.  Cheap; never waits.
 */
void bridge_merge_request(BridgeIndex *index);

/* How automatic merges of the index's file go in this process, for hnsw_info. */
typedef struct BridgeMergeReport
{
	bool running;
	BridgePhase phase;
	uint64_t done, total;
	uint64_t merges;    /* published since a connection that asked for a merge is open */
	uint64_t cancelled; /* ended before they were done, likewise */
	char error[240];    /* of the last one that failed, "" after success */
	const char *why;    /* why none runs: static text, module/info.c; NULL: one runs */
} BridgeMergeReport;

void bridge_merge_report(const BridgeIndex *index, BridgeMergeReport *report);

#endif /* BRIDGE_MERGE_H */
