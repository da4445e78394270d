/*
 * thread.c
 *		Automatic merges on a thread of the connection.
 *
 * Searches and commits say that a merge is due; the thread then merges on a
 * connection of its own, so it touches nothing of the user's connection and
 * needs none of its locks.  At most one thread a connection; requests that come
 * while it runs are dropped, because the next search will ask again.
 *
 * Closing the connection ends the thread: a merge that is nearly done is waited
 * for, unless it waits for others itself, any other is cancelled and costs nothing
 * but its work.
 *
 * After fork() the child has the structure but no thread; it must neither
 * join it nor use the mutex, which the thread may have held.  So it forgets the
 * structure, leaking a few hundred bytes.
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

/* Waited for when the connection closes: this share of the rows is done. */
#define NEARLY_DONE(done, total) ((total) > 0 && (done) >= (total) / 10 * 9)

struct BridgeMerger
{
	pid_t pid; /* the process that has the thread */

	/* The connection's, no lock. */
	pthread_t thread;
	bool joinable;
	time_t not_before;
	int pause;

	/* The job: the thread's from its start to its end. */
	BridgeMergeTask task;
	BridgeFiles files;
	char *table;
	char *vfs;

	_Atomic bool cancel;
	_Atomic bool closing;
	pthread_mutex_t mutex; /* guards report */
	BridgeMergeReport report;
	bool published; /* by the last run */
};

static bool
merger_cancelled(void *arg)
{
	return atomic_load_explicit(&((BridgeMerger *) arg)->cancel, memory_order_relaxed);
}

static bool
merger_hurried(void *arg)
{
	return atomic_load_explicit(&((BridgeMerger *) arg)->closing, memory_order_relaxed);
}

static void
merger_progress(void *arg, BridgePhase phase, uint64_t done, uint64_t total)
{
	BridgeMerger *merger = arg;

	pthread_mutex_lock(&merger->mutex);
	merger->report.phase = phase;
	merger->report.done = done;
	merger->report.total = total;
	pthread_mutex_unlock(&merger->mutex);
}

static void *
merger_main(void *arg)
{
	BridgeMerger *merger = arg;
	BridgeMergeResult result = {0};
	BridgeError err = {0};
	int rc = bridge_merge_run(&merger->task, merger->vfs, &result, &err);
	const char *text = err.message ? err.message : sqlite3_errstr(rc);

	if (rc == SQLITE_OK && result.warning != NULL)
		text = result.warning;
	pthread_mutex_lock(&merger->mutex);
	merger->published = result.merged;
	merger->report.merges += result.merged;
	/* Somebody else's merge serves as well, and a cancel is no failure. */
	if (rc == SQLITE_BUSY || (rc & 0xff) == SQLITE_INTERRUPT || (rc == SQLITE_OK && result.warning == NULL))
		merger->report.error[0] = '\0';
	else
		sqlite3_snprintf(sizeof(merger->report.error), merger->report.error, "%s", text);
	merger->report.running = false;
	pthread_mutex_unlock(&merger->mutex);
	sqlite3_free(result.warning);
	bridge_error_clear(&err);
	return NULL;
}

static void
forget_job(BridgeMerger *merger)
{
	bridge_files_free(&merger->files);
	sqlite3_free(merger->table);
	sqlite3_free(merger->vfs);
	merger->table = merger->vfs = NULL;
}

static bool
take_job(BridgeMerger *merger, const BridgeIndex *index)
{
	const BridgeConnection *connection = index->connection;
	sqlite3_vfs *vfs = NULL;

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
	merger->task.ghosts = index->ghosts;
	merger->task.distrusts = index->rejected;
	memcpy(merger->task.distrusted, index->rejected_token, HNSW_TOKEN_BYTES);
	merger->task.if_due = true;
	merger->task.cancelled = merger_cancelled;
	merger->task.hurried = merger_hurried;
	merger->task.progress = merger_progress;
	merger->task.arg = merger;
	return merger->files.path && merger->files.database && merger->table && merger->vfs;
}

static time_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* BridgeConnection.stop_merger. */
static void
stop_merger(BridgeConnection *connection)
{
	BridgeMerger *merger = connection->merger;

	connection->merger = NULL;
	if (merger == NULL || merger->pid != getpid())
		return;
	if (merger->joinable)
	{
		atomic_store(&merger->closing, true);
		pthread_mutex_lock(&merger->mutex);
		if (merger->report.running && merger->report.phase == BRIDGE_READING &&
			!NEARLY_DONE(merger->report.done, merger->report.total))
			atomic_store(&merger->cancel, true);
		pthread_mutex_unlock(&merger->mutex);
		pthread_join(merger->thread, NULL);
		forget_job(merger);
	}
	pthread_mutex_destroy(&merger->mutex);
	sqlite3_free(merger);
}

/* The connection's merger in this process; NULL when memory is short. */
static BridgeMerger *
own_merger(BridgeConnection *connection)
{
	BridgeMerger *merger = connection->merger;

	if (merger != NULL && merger->pid == getpid())
		return merger;
	merger = sqlite3_malloc64(sizeof(*merger));
	if (merger == NULL)
		return NULL;
	memset(merger, 0, sizeof(*merger));
	merger->pid = getpid();
	merger->pause = FIRST_PAUSE_S;
	pthread_mutex_init(&merger->mutex, NULL);
	connection->merger = merger;
	connection->stop_merger = stop_merger;
	return merger;
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

void
bridge_merge_request(BridgeIndex *index)
{
	BridgeConnection *connection = index->connection;
	BridgeMerger *merger;
	bool running;
	bool published;

	if (index->files.path == NULL || sqlite3_db_readonly(connection->db, index->schema) == 1)
		return;
	if (connection->host.merge_due != NULL)
		tell_host(index);
	if (!connection->host.merge_thread || !sqlite3_threadsafe() || (merger = own_merger(connection)) == NULL)
		return;
	pthread_mutex_lock(&merger->mutex);
	running = merger->report.running;
	published = merger->published;
	pthread_mutex_unlock(&merger->mutex);
	if (running)
		return;
	if (merger->joinable)
	{
		pthread_join(merger->thread, NULL); /* it has nothing left to do */
		merger->joinable = false;
		forget_job(merger);
		merger->pause = published ? FIRST_PAUSE_S : merger->pause * 2;
		if (merger->pause > LAST_PAUSE_S)
			merger->pause = LAST_PAUSE_S;
		merger->not_before = now() + (published ? 0 : merger->pause);
	}
	if (now() < merger->not_before)
		return;
	if (take_job(merger, index))
	{
		merger->report.running = true;
		merger->report.phase = BRIDGE_READING;
		merger->report.done = merger->report.total = 0;
		atomic_store(&merger->cancel, false);
		merger->published = false;
		merger->joinable = hnsw_thread_start(&merger->thread, merger_main, merger);
		merger->report.running = merger->joinable;
	}
	if (merger->joinable)
		index->merge_due = false; /* searches say so again while it is true */
	else
		forget_job(merger);
}

void
bridge_merge_report(BridgeConnection *connection, BridgeMergeReport *report)
{
	BridgeMerger *merger = connection->merger;

	memset(report, 0, sizeof(*report));
	if (merger == NULL || merger->pid != getpid())
		return;
	pthread_mutex_lock(&merger->mutex);
	*report = merger->report;
	pthread_mutex_unlock(&merger->mutex);
}
