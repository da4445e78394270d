/*
 * worker.c
 *		The background worker that merges one index, and ends.
 *
 * It knows a file and the name of an index, and connects to no PostgreSQL
 * database, so none is kept from being dropped.  The file is opened with the
 * checks and settings of a backend's connection.
 *
 * The merge itself is `SELECT hnsw_save(index, 'due')` on a thread, which calls
 * nothing of PostgreSQL and takes no signals.  The process's own thread
 * stays with PostgreSQL: it takes cancels and shutdowns, absorbs barriers (DROP
 * DATABASE waits for all processes to do so), and reports progress.  Whichever way the
 * process exits, the thread is told to stop and waited for.
 *
 * Killing the worker harms nothing but makes the server restart, as the
 * killing of any of its processes does: until a graph is published, the former
 * one with all changes since is what searches read.
 */
#include "fdw/admin/admin.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

int vssfdw_merge_workers = 2;
int vssfdw_merge_threads = 2;

/* How often the process looks at its thread. */
#define LOOK_MS 50

/* The transaction that launched the worker is at its very end, but may not have let go of the lock. */
#define LOCK_TRIES 100
#define LOCK_NAP_MS 20

PGDLLEXPORT void vss_merge_worker_main(Datum arg);

typedef struct Merge
{
	/* Set before the thread starts. */
	sqlite3 *db; /* the thread's while it runs */
	const char *index;
	const char *when;

	/* The process's. */
	pthread_t thread;
	bool running;

	_Atomic bool cancel;
	_Atomic bool finished;

	pthread_mutex_t mutex; /* guards the progress */
	char phase[32];
	uint64_t done, total;

	/* The outcome: the thread's until finished. */
	int rc;
	bool merged;
	int64_t nodes;
	char message[512];
} Merge;

static Merge merge = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---------- on the thread: nothing of PostgreSQL ---------- */

static bool
merge_cancelled(void *arg)
{
	return atomic_load_explicit(&merge.cancel, memory_order_relaxed);
}

static int
stop_statement(void *arg)
{
	return merge_cancelled(NULL);
}

static void
note_progress(void *arg, const char *phase, uint64_t done, uint64_t total)
{
	pthread_mutex_lock(&merge.mutex);
	sqlite3_snprintf(sizeof(merge.phase), merge.phase, "%s", phase);
	merge.done = done;
	merge.total = total;
	pthread_mutex_unlock(&merge.mutex);
}

static void *
merge_main(void *arg)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(merge.db, "SELECT hnsw_save(?, ?)", -1, &stmt, NULL);

	if (rc == SQLITE_OK)
	{
		sqlite3_bind_text(stmt, 1, merge.index, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 2, merge.when, -1, SQLITE_STATIC);
		if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		{
			merge.merged = true;
			merge.nodes = sqlite3_column_int64(stmt, 0);
		}
		rc = sqlite3_reset(stmt);
	}
	if (rc != SQLITE_OK)
		sqlite3_snprintf(sizeof(merge.message), merge.message, "%s", sqlite3_errmsg(merge.db));
	sqlite3_finalize(stmt);
	merge.rc = rc;
	atomic_store(&merge.finished, true);
	return NULL;
}

/* ---------- starting and stopping it ---------- */

/* before_shmem_exit: the process must not go while its thread works. */
static void
stop_thread(int code, Datum arg)
{
	if (!merge.running)
		return;
	atomic_store(&merge.cancel, true);
	pthread_join(merge.thread, NULL);
	merge.running = false;
	sqlite3_close_v2(merge.db);
	merge.db = NULL;
}

static void
report_progress(void)
{
	char phase[sizeof(merge.phase)];
	uint64_t done;
	uint64_t total;

	pthread_mutex_lock(&merge.mutex);
	memcpy(phase, merge.phase, sizeof(phase));
	done = merge.done;
	total = merge.total;
	pthread_mutex_unlock(&merge.mutex);
	if (total > 0)
		vssfdw_progress(NULL, phase, done, total);
}

/* Returns when the merge has ended by itself; exits when told to. */
static void
wait_for_thread(void)
{
	while (!atomic_load(&merge.finished))
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		report_progress();
	}
	pthread_join(merge.thread, NULL);
	merge.running = false;
}

/* ---------- the process ---------- */

/* The job, copied; the segment goes. */
static VssMergeJob *
read_job(dsm_handle handle)
{
	dsm_segment *segment;
	VssMergeJob *job;
	Size size;

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "vss_fdw merge");
	segment = dsm_attach(handle);
	if (segment == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("could not map dynamic shared memory segment")));
	size = dsm_segment_map_length(segment);
	job = MemoryContextAlloc(TopMemoryContext, size);
	memcpy(job, dsm_segment_address(segment), size);
	dsm_unpin_segment(handle);
	dsm_detach(segment);
	return job;
}

/* One worker an index. */
static bool
lock_index(uint64 key)
{
	LOCKTAG tag;

	vssfdw_merge_lock(&tag, key);
	for (int i = 0; i < LOCK_TRIES; i++)
	{
		if (LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
			return true;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_NAP_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

/* One of the vss_fdw.merge_workers places.  Key 1, 2, ... are no index's but by an unlikely chance. */
static bool
take_place(void)
{
	for (int i = 1; i <= vssfdw_merge_workers; i++)
	{
		LOCKTAG tag;

		vssfdw_merge_lock(&tag, (uint64) i);
		if (LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
			return true;
	}
	return false;
}

static sqlite3 *
open_database(const char *server, const VssServerOptions *options)
{
	const BridgeHost host = {.cancelled = merge_cancelled,
							 .progress = note_progress,
							 .build_threads = vssfdw_merge_threads,
							 .file_mode = -1};
	sqlite3 *db = vssfdw_open(server, options);

	sqlite3_progress_handler(db, 1000, stop_statement, NULL);
	vssfdw_configure(db, NULL, &host, server, options);
	return db;
}

static void
tell_outcome(const char *server)
{
	if (merge.rc != SQLITE_OK)
		ereport(LOG, (errmsg("merging index \"%s\" of server \"%s\": %s", merge.index, server, merge.message),
					  errhint("Answers stay right. Searches are slower than they could be until a merge "
							  "succeeds; try vss_merge().")));
	else if (merge.merged)
		ereport(DEBUG1, (errmsg_internal("index \"%s\" of server \"%s\" has a graph of %lld vectors now",
										 merge.index, server, (long long) merge.nodes)));
	else
		ereport(DEBUG1,
				(errmsg_internal("index \"%s\" of server \"%s\" needed no merge", merge.index, server)));
}

void
vss_merge_worker_main(Datum arg)
{
	VssMergeJob *job = read_job(DatumGetUInt32(arg));
	const char *server = job->strings;
	char *database = job->strings + strlen(server) + 1;
	char *extensions = database + strlen(database) + 1;
	const VssServerOptions options = {
		.database = database, .cache_size = job->cache_size, .extensions = extensions};
	char *activity;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(InvalidOid, job->userid, 0);

	if (!lock_index(job->key))
		proc_exit(0);
	if (!take_place())
	{
		elog(DEBUG1, "vss_fdw.merge_workers merges are running already");
		proc_exit(0);
	}

	merge.index = extensions + strlen(extensions) + 1;
	merge.when = job->damaged ? "damaged" : "due";
	activity = psprintf("vss_fdw: merging index \"%s\" of server \"%s\"", merge.index, server);
	pgstat_report_appname("vss_fdw");
	pgstat_report_activity(STATE_RUNNING, activity);

	before_shmem_exit(stop_thread, (Datum) 0);
	merge.db = open_database(server, &options);
	vssfdw_start_progress(InvalidOid, false);
	merge.running = bridge_thread_start(&merge.thread, merge_main, NULL);
	if (!merge.running)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not start a thread: %m")));
	wait_for_thread();
	vssfdw_end_progress();
	tell_outcome(server);
	sqlite3_close_v2(merge.db);
	proc_exit(0);
}
