/*
 * worker.c
 *		The background worker that takes a merge from the queue, does it, and ends.
 *
 * It knows a file and the name of an index, and connects to no PostgreSQL
 * database, so none is kept from being dropped.  The file is opened with the
 * checks and settings of a backend's connection.
 *
 * One job a process, since a process counts as one user's, who may cancel it, and gives
 * back all memory as it ends.  Whichever way it ends, where merges wait it has started the
 * next worker.  Only where there is no slot for that (its own is taken until it is gone) it
 * goes on itself.
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

/* A job that was taken from the queue: a copy, and the segment until it is clear that it is done here. */
typedef struct Taken
{
	uint64 key;
	dsm_handle handle;
	VssMergeJob *job;
} Taken;

/* before_shmem_exit, after locks were let go: the next one's turn. */
static bool passes_on = true;

static void
pass_on(int code, Datum arg)
{
	if (passes_on && !vssfdw_queue_is_empty())
		(void) vssfdw_start_worker();
}

/* False where none waits. */
static bool
take_job(Taken *taken)
{
	while (vssfdw_queue_take(&taken->key, &taken->handle))
	{
		dsm_segment *segment = dsm_attach(taken->handle);
		Size size;

		if (segment == NULL)
			continue; /* not without a restart of the server, which empties the queue */
		size = dsm_segment_map_length(segment);
		taken->job = MemoryContextAlloc(TopMemoryContext, size);
		memcpy(taken->job, dsm_segment_address(segment), size);
		dsm_detach(segment);
		return true;
	}
	return false;
}

static void
give_back(Taken *taken)
{
	if (!vssfdw_queue_put(taken->key, taken->handle))
		dsm_unpin_segment(taken->handle); /* full: searches say so again */
	pfree(taken->job);
	taken->job = NULL;
}

/* The launching transaction looks at an index's lock for a moment. */
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

static void
unlock(uint64 key)
{
	LOCKTAG tag;

	vssfdw_merge_lock(&tag, key);
	LockRelease(&tag, ExclusiveLock, true);
}

/* One of the vss_fdw.merge_workers places; 0 where all are taken. */
static int
take_place(void)
{
	for (int i = 1; i <= vssfdw_merge_workers; i++)
	{
		LOCKTAG tag;

		vssfdw_merge_lock(&tag, (uint64) i);
		if (LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
			return i;
	}
	return 0;
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

/* The job of a worker that has a place. */
static void
do_job(Taken *taken)
{
	const char *server = taken->job->strings;
	char *database = taken->job->strings + strlen(server) + 1;
	char *extensions = database + strlen(database) + 1;
	const VssServerOptions options = {
		.database = database, .cache_size = taken->job->cache_size, .extensions = extensions};

	dsm_unpin_segment(taken->handle);
	merge.index = extensions + strlen(extensions) + 1;
	merge.when = taken->job->damaged ? "damaged" : "due";
	merge.merged = false;
	atomic_store(&merge.finished, false);
	pgstat_report_activity(STATE_RUNNING,
						   psprintf("vss_fdw: merging index \"%s\" of server \"%s\"", merge.index, server));

	merge.db = open_database(server, &options);
	vssfdw_start_progress(InvalidOid, false);
	merge.running = bridge_thread_start(&merge.thread, merge_main, NULL);
	if (!merge.running)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not start a thread: %m")));
	wait_for_thread();
	vssfdw_end_progress();
	tell_outcome(server);
	sqlite3_close_v2(merge.db);
	merge.db = NULL;
}

void
vss_merge_worker_main(Datum arg)
{
	Taken taken;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "vss_fdw merge");
	before_shmem_exit(pass_on, (Datum) 0);
	if (!take_job(&taken))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(InvalidOid, taken.job->userid, 0);
	pgstat_report_appname("vss_fdw");
	before_shmem_exit(stop_thread, (Datum) 0);

	for (;;)
	{
		int place = take_place();

		if (place == 0)
		{
			give_back(&taken);
			/* Whoever had the places may have looked for merges while this one was not in the queue. */
			place = take_place();
			if (place == 0)
			{
				elog(DEBUG1, "vss_fdw.merge_workers merges are running already");
				passes_on = false; /* they will */
				proc_exit(0);
			}
			if (!take_job(&taken))
				proc_exit(0);
		}
		if (lock_index(taken.key))
		{
			do_job(&taken);
			unlock(taken.key);
		}
		else
			dsm_unpin_segment(taken.handle); /* another one is at it */
		unlock((uint64) place);
		if (vssfdw_queue_is_empty())
			proc_exit(0);
		if (vssfdw_start_worker())
		{
			passes_on = false;
			proc_exit(0);
		}
		if (!take_job(&taken))
			proc_exit(0);
	}
}
