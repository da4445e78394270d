/*
 * thread.c
 *		Automatic merges on a thread of the process.
 *
 * Searches and commits say that a merge is due; a thread then merges on a
 * connection of its own, so it touches nothing of the user's connection and
 * needs none of its locks.  There is at most one thread a database file; requests that come
 * while it runs are dropped, because the next search will ask again.
 *
 * The thread works as long as any connection that asked for it is open.  When the last one closes, a
 * merge that is nearly done is waited for, unless it waits for others itself.  Any other is parked:
 * its connection is closed, so that the file is nobody's, but what it has built stays in memory. It
 * goes on when a connection asks again, and is given up after PARK_S.  So programs whose connections
 * live for moments get their graph, too.
 *
 * The gate tells when the thread is within SQLite: others may close its connection only while it
 * is outside, and so may a fork() come only then, or SQLite's locks would stay held in the child.
 * The child forgets the mergers of its parent, leaking a few hundred bytes: it has no thread.
 */
#include "sqlite_bridge/merge/merge.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUSY_MS 60000
#define FIRST_PAUSE_S 1 /* after a failed or idle run; doubles */
#define LAST_PAUSE_S 300
#define PARK_S 20

/* Waited for when the last connection closes: this share of the rows is done. */
#define NEARLY_DONE(done, total) ((total) > 0 && (done) >= (total) / 10 * 9)

/* What merges the indexes of one database file in this process. */
typedef struct FileMerger
{
	/* Guarded by `process`. */
	struct FileMerger *next;
	uint64_t device, inode;
	char *database; /* its name: the inode of a removed file may be another's by now */
	int connections;
	bool running; /* there is a thread */
	int awaiting; /* who closed and waits for its end; the last one frees this */
	time_t not_before;
	int pause;

	/* The job: the thread's from its start to its end. */
	BridgeMergeTask task;
	BridgeFiles files;
	char *table;
	char *vfs;

	_Atomic bool cancel;
	_Atomic bool closing; /* no connection is left */

	/* The gate, and what the thread reports.  Guarded by gate. */
	pthread_mutex_t gate;
	pthread_cond_t changed;
	bool inside;    /* the thread is within SQLite */
	bool closable;  /* while it is not: its connection may be closed */
	bool suspended; /* it was */
	bool parked;    /* the thread waits for a connection, */
	bool turn;      /* and there is one, which does not close before the thread was inside */
	int wanting;    /* others that want it outside */
	BridgeMergeReport report;
} FileMerger;

/* What a connection holds, one for each file. */
struct BridgeMerger
{
	BridgeMerger *next;
	FileMerger *file;
	pid_t pid; /* the process that has the thread */
};

static pthread_mutex_t process = PTHREAD_MUTEX_INITIALIZER; /* taken before any gate */
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;     /* a thread that is awaited */
static FileMerger *mergers;

/* ---------- fork ---------- */

/* Take the gate while the thread is outside; the holder has the mutex then. */
static void
hold_outside(FileMerger *merger)
{
	pthread_mutex_lock(&merger->gate);
	merger->wanting++;
	while (merger->inside || merger->turn)
		pthread_cond_wait(&merger->changed, &merger->gate);
}

static void
let_in(FileMerger *merger)
{
	merger->wanting--;
	pthread_cond_broadcast(&merger->changed);
	pthread_mutex_unlock(&merger->gate);
}

static void
before_fork(void)
{
	pthread_mutex_lock(&process);
	for (FileMerger *merger = mergers; merger != NULL; merger = merger->next)
		hold_outside(merger);
}

static void
after_fork_in_parent(void)
{
	for (FileMerger *merger = mergers; merger != NULL; merger = merger->next)
		let_in(merger);
	pthread_mutex_unlock(&process);
}

static void
after_fork_in_child(void)
{
	mergers = NULL;
	pthread_mutex_unlock(&process);
}

static int watching_forks;

static void
watch_forks(void)
{
	watching_forks = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
}

/* ---------- on the thread ---------- */

static bool
merger_cancelled(void *arg)
{
	return atomic_load_explicit(&((FileMerger *) arg)->cancel, memory_order_relaxed);
}

static bool
merger_hurried(void *arg)
{
	return atomic_load_explicit(&((FileMerger *) arg)->closing, memory_order_relaxed);
}

static void
merger_progress(void *arg, BridgePhase phase, uint64_t done, uint64_t total)
{
	FileMerger *merger = arg;

	pthread_mutex_lock(&merger->gate);
	merger->report.phase = phase;
	merger->report.done = done;
	merger->report.total = total;
	pthread_mutex_unlock(&merger->gate);
}

static void
merger_leave(void *arg, bool closable)
{
	FileMerger *merger = arg;

	pthread_mutex_lock(&merger->gate);
	merger->inside = false;
	merger->closable = closable;
	pthread_cond_broadcast(&merger->changed);
	pthread_mutex_unlock(&merger->gate);
}

/* Parked while no connection is left. */
static bool
merger_enter(void *arg)
{
	FileMerger *merger = arg;
	struct timespec until;
	bool suspended;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PARK_S;
	pthread_mutex_lock(&merger->gate);
	for (;;)
	{
		merger->parked = merger->suspended && atomic_load(&merger->closing) && !merger_cancelled(merger);
		if (merger->turn || (merger->wanting == 0 && !merger->parked))
			break;
		if (pthread_cond_timedwait(&merger->changed, &merger->gate, &until) != 0 && merger->parked &&
			!merger->turn)
			atomic_store(&merger->cancel, true);
	}
	merger->parked = merger->turn = false;
	merger->inside = true;
	suspended = merger->suspended;
	merger->suspended = false;
	pthread_mutex_unlock(&merger->gate);
	return suspended;
}

static void
forget_job(FileMerger *merger)
{
	bridge_files_free(&merger->files);
	sqlite3_free(merger->table);
	sqlite3_free(merger->vfs);
	merger->table = merger->vfs = NULL;
}

/* With `process` locked. */
static void
free_merger(FileMerger *merger)
{
	FileMerger **link = &mergers;

	while (*link != merger)
		link = &(*link)->next;
	*link = merger->next;
	pthread_cond_destroy(&merger->changed);
	pthread_mutex_destroy(&merger->gate);
	sqlite3_free(merger->database);
	sqlite3_free(merger);
}

/* What the run came to; somebody else's merge serves as well, and a cancel is no failure. */
static void
note_outcome(FileMerger *merger, int rc, const BridgeMergeResult *result, const BridgeError *err)
{
	const char *text = err->message ? err->message : sqlite3_errstr(rc);
	bool cancelled = (rc & 0xff) == SQLITE_INTERRUPT;

	if (rc == SQLITE_OK && result->warning != NULL)
		text = result->warning;
	merger->report.merges += result->merged;
	merger->report.cancelled += cancelled;
	if (rc == SQLITE_BUSY || cancelled || (rc == SQLITE_OK && result->warning == NULL))
		merger->report.error[0] = '\0';
	else
		sqlite3_snprintf(sizeof(merger->report.error), merger->report.error, "%s", text);
	merger->report.running = false;
}

static time_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void *
merger_main(void *arg)
{
	FileMerger *merger = arg;
	BridgeMergeResult result = {0};
	BridgeError err = {0};
	int rc;

	pthread_detach(pthread_self());
	(void) merger_enter(merger);
	rc = bridge_merge_run(&merger->task, merger->vfs, &result, &err);
	forget_job(merger);
	pthread_mutex_lock(&merger->gate);
	note_outcome(merger, rc, &result, &err);
	pthread_mutex_unlock(&merger->gate);
	sqlite3_free(result.warning);
	bridge_error_clear(&err);
	merger_leave(merger, false);

	pthread_mutex_lock(&process);
	merger->running = false;
	merger->pause = result.merged || merger->pause == 0 ? FIRST_PAUSE_S : merger->pause * 2;
	if (merger->pause > LAST_PAUSE_S)
		merger->pause = LAST_PAUSE_S;
	merger->not_before = now() + (result.merged ? 0 : merger->pause);
	if (merger->awaiting > 0)
		pthread_cond_broadcast(&ended);
	else if (merger->connections == 0)
		free_merger(merger);
	pthread_mutex_unlock(&process);
	return NULL;
}

/* ---------- the last connection of a file closes ---------- */

/* Close the merge's connection and park it; false where it is to be waited for, cancelled or not. */
static bool
park(FileMerger *merger)
{
	const BridgeMergeReport *report = &merger->report;
	bool parked = false;

	atomic_store(&merger->closing, true);
	hold_outside(merger);
	if (merger->suspended)
		parked = true; /* it has not come to want its connection back */
	else if (!report->running || report->phase != BRIDGE_READING || NEARLY_DONE(report->done, report->total))
		parked = false;
	else if (merger->closable)
	{
		bridge_merge_suspend(&merger->task);
		merger->suspended = parked = true;
	}
	else
		atomic_store(&merger->cancel, true); /* it waits for somebody's lock */
	let_in(merger);
	return parked;
}

static void
leave_file(FileMerger *merger)
{
	pthread_mutex_lock(&process);
	if (--merger->connections > 0 || (merger->running && park(merger)))
	{
		pthread_mutex_unlock(&process);
		return;
	}
	merger->awaiting++;
	while (merger->running && merger->connections == 0)
		pthread_cond_wait(&ended, &process);
	if (--merger->awaiting == 0 && merger->connections == 0)
		free_merger(merger);
	pthread_mutex_unlock(&process);
}

/* BridgeConnection.stop_merger. */
static void
stop_merger(BridgeConnection *connection)
{
	BridgeMerger *next;

	for (BridgeMerger *held = connection->merger; held != NULL; held = next)
	{
		next = held->next;
		if (held->pid == getpid())
			leave_file(held->file);
		sqlite3_free(held);
	}
	connection->merger = NULL;
}

/* ---------- asking for a merge ---------- */

static bool
take_job(FileMerger *merger, const BridgeIndex *index)
{
	const BridgeConnection *connection = index->connection;
	sqlite3_vfs *vfs = NULL;
	int keep_wal = 1;

	sqlite3_db_config(connection->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, -1, &keep_wal);
	sqlite3_file_control(connection->db, index->schema, SQLITE_FCNTL_VFS_POINTER, &vfs);
	merger->files = index->files;
	merger->files.path = sqlite3_mprintf("%s", index->files.path);
	merger->files.database = sqlite3_mprintf("%s", index->files.database);
	merger->table = sqlite3_mprintf("%s", index->table);
	merger->vfs = vfs ? sqlite3_mprintf("%s", vfs->zName) : NULL;
	memset(&merger->task, 0, sizeof(merger->task));
	merger->task.files = &merger->files;
	merger->task.table = merger->table;
	merger->task.id = index->id;
	merger->task.host_mode = connection->host.file_mode;
	merger->task.threads = connection->host.build_threads;
	merger->task.busy_ms = BUSY_MS;
	merger->task.lock_ms = 0;
	merger->task.checkpoints = keep_wal == 0;
	merger->task.ghosts = index->ghosts;
	merger->task.distrusts = index->rejected;
	memcpy(merger->task.distrusted, index->rejected_token, HNSW_TOKEN_BYTES);
	merger->task.if_due = true;
	merger->task.cancelled = merger_cancelled;
	merger->task.hurried = merger_hurried;
	merger->task.progress = merger_progress;
	merger->task.leave = merger_leave;
	merger->task.enter = merger_enter;
	merger->task.arg = merger;
	return merger->files.path && merger->files.database && merger->table && merger->vfs;
}

/* With `process` locked; NULL where there is none. */
static FileMerger *
find_merger(const BridgeIndex *index)
{
	FileMerger *merger = mergers;

	while (merger != NULL && (merger->device != index->files.device || merger->inode != index->files.inode ||
							  strcmp(merger->database, index->files.database) != 0))
		merger = merger->next;
	return merger;
}

static FileMerger *
make_merger(const BridgeIndex *index)
{
	FileMerger *merger = sqlite3_malloc64(sizeof(*merger));

	if (merger == NULL)
		return NULL;
	memset(merger, 0, sizeof(*merger));
	merger->database = sqlite3_mprintf("%s", index->files.database);
	if (merger->database == NULL)
	{
		sqlite3_free(merger);
		return NULL;
	}
	merger->device = index->files.device;
	merger->inode = index->files.inode;
	pthread_mutex_init(&merger->gate, NULL);
	pthread_cond_init(&merger->changed, NULL);
	merger->next = mergers;
	mergers = merger;
	return merger;
}

/* The connection holds the merger of the index's file from now on; NULL when memory is short. */
static FileMerger *
hold_merger(BridgeIndex *index)
{
	BridgeConnection *connection = index->connection;
	FileMerger *merger = find_merger(index);
	BridgeMerger *held = connection->merger;

	while (held != NULL && (held->file != merger || held->pid != getpid()))
		held = held->next;
	if (held != NULL)
		return merger;
	held = sqlite3_malloc64(sizeof(*held));
	if (held != NULL && merger == NULL)
		merger = make_merger(index);
	if (held == NULL || merger == NULL)
	{
		sqlite3_free(held);
		return NULL;
	}
	held->next = connection->merger;
	held->file = merger;
	held->pid = getpid();
	connection->merger = held;
	connection->stop_merger = stop_merger;
	if (merger->connections++ == 0)
	{
		pthread_mutex_lock(&merger->gate);
		atomic_store(&merger->closing, false);
		merger->turn = merger->parked;
		pthread_cond_broadcast(&merger->changed);
		pthread_mutex_unlock(&merger->gate);
		pthread_cond_broadcast(&ended);
	}
	return merger;
}

/* False where it could not be started. */
static bool
start_thread(FileMerger *merger, const BridgeIndex *index)
{
	pthread_t thread;

	if (!take_job(merger, index))
	{
		forget_job(merger);
		return false;
	}
	atomic_store(&merger->cancel, false);
	pthread_mutex_lock(&merger->gate);
	merger->report.running = true;
	merger->report.phase = BRIDGE_READING;
	merger->report.done = merger->report.total = 0;
	merger->suspended = merger->closable = false;
	pthread_mutex_unlock(&merger->gate);
	merger->running = hnsw_thread_start(&thread, merger_main, merger);
	if (!merger->running)
	{
		merger->report.running = false;
		forget_job(merger);
	}
	return merger->running;
}

/* Nothing but the host's own memory is touched by what is called here. */
static void
tell_host(BridgeIndex *index)
{
	const BridgeHost *host = &index->connection->host;
	BridgeMergeDue due = {.index = index->table,
						  .id = index->id,
						  .device = index->files.device,
						  .inode = index->files.inode,
						  .damaged = index->rejected};

	if (sqlite3_stricmp(index->schema, "main") != 0)
		return;
	if (index->snapshot != NULL)
		memcpy(&due.graph, index->snapshot->graphs[index->snapshot->count - 1]->token, sizeof(due.graph));
	host->merge_due(host->arg, &due);
	index->merge_due = false; /* searches say so again while it is true */
}

/* Why this connection starts no thread for the index, whatever is due; or NULL. */
static const char *
no_thread(const BridgeIndex *index)
{
	const BridgeConnection *connection = index->connection;

	if (index->files.path == NULL)
		return "in_memory";
	if (sqlite3_db_readonly(connection->db, index->schema) == 1)
		return "read_only";
	if (!connection->host.merge_thread)
		return "host";
	if (connection->merge_off)
		return "off";
	return sqlite3_threadsafe() ? NULL : "no_threads";
}

void
bridge_merge_request(BridgeIndex *index)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	FileMerger *merger;

	if (index->connection->host.merge_due != NULL && index->files.path != NULL &&
		sqlite3_db_readonly(index->connection->db, index->schema) != 1)
		tell_host(index);
	if (no_thread(index) != NULL)
		return;
	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&process);
	merger = watching_forks ? hold_merger(index) : NULL;
	if (merger != NULL && !merger->running && now() >= merger->not_before && start_thread(merger, index))
		index->merge_due = false; /* searches say so again while it is true */
	pthread_mutex_unlock(&process);
}

void
bridge_merge_report(const BridgeIndex *index, BridgeMergeReport *report)
{
	FileMerger *merger;

	memset(report, 0, sizeof(*report));
	report->why = no_thread(index);
	pthread_mutex_lock(&process);
	merger = index->files.database != NULL ? find_merger(index) : NULL;
	if (merger != NULL)
	{
		const char *why = report->why;

		pthread_mutex_lock(&merger->gate);
		*report = merger->report;
		pthread_mutex_unlock(&merger->gate);
		report->why = why != NULL                  ? why
					  : report->running            ? NULL
					  : now() < merger->not_before ? "pause"
												   : "not_asked";
	}
	else if (report->why == NULL)
		report->why = "not_asked";
	pthread_mutex_unlock(&process);
}
