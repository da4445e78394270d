/*
 * launch.c
 *		Queueing a merge that is due, and starting a background worker.
 *
 * Searches and commits of SQLite say so while they run (BridgeHost.merge_due);
 * it is noted, and at the end of PostgreSQL's transaction, after SQLite has
 * committed, the merge is queued.  Nobody waits for it.
 *
 * At most vss_fdw.merge_workers workers have a place.  Who queues a merge and finds a
 * place free starts a worker; who gives a place back and finds merges queued starts the next
 * one.  Each looks after having done its part, so one of the two sees the other's, and no merge is
 * forgotten.
 *
 * Should it be in vain, because there is no free process slot or because the
 * merge fails, the next transaction that finds the merge due tries again, after a
 * pause that doubles.
 */
#include "fdw/admin/admin.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

bool vssfdw_auto_merge = true;

#define FIRST_PAUSE_S 1
#define LAST_PAUSE_S 60

/* An index of some server that was due at least once.  From malloc(): see vssfdw_note_merge. */
typedef struct Due
{
	dlist_node node;
	Oid serverid;
	BridgeMergeDue index; /* index.index is ours */
	bool pending;
	uint64_t launched_at;   /* index.graph then */
	int pause;              /* seconds; 0: never launched */
	TimestampTz not_before; /* and not again until then */
} Due;

static dlist_head dues = DLIST_STATIC_INIT(dues);
static bool any_pending = false;

/* ---------- noting ---------- */

static Due *
find_due(Oid serverid, uint64_t id)
{
	dlist_iter iter;

	dlist_foreach(iter, &dues)
	{
		Due *due = dlist_container(Due, node, iter.cur);

		if (due->serverid == serverid && due->index.id == id)
			return due;
	}
	return NULL;
}

void
vssfdw_note_merge(void *arg, const BridgeMergeDue *found)
{
	Oid serverid = ((const VssConnection *) arg)->serverid;
	Due *due;
	char *name;

	if (!vssfdw_auto_merge)
		return;
	due = find_due(serverid, found->id);
	if (due == NULL)
	{
		due = calloc(1, sizeof(Due));
		if (due == NULL)
			return; /* the next search says so again */
		due->serverid = serverid;
		dlist_push_tail(&dues, &due->node);
	}
	name = strdup(found->index);
	if (name == NULL)
	{
		due->pending = false;
		return;
	}
	free((char *) due->index.index); /* renamed, perhaps */
	due->index = *found;
	due->index.index = name;
	due->pending = true;
	any_pending = true;
}

/* ---------- launching ---------- */

/*
 * The session's user sees and may cancel the worker.  Where the worker could not
 * log in as that user, it is the server's own.
 */
static Oid
worker_user(void)
{
	Oid userid = GetAuthenticatedUserId();
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(userid));
	bool fit = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_authid role = (Form_pg_authid) GETSTRUCT(tuple);

		fit = role->rolcanlogin && (role->rolconnlimit < 0 || role->rolsuper);
		ReleaseSysCache(tuple);
	}
	return fit ? userid : InvalidOid;
}

static uint64
lock_key(const BridgeMergeDue *index)
{
	const uint64_t parts[] = {index->id, index->device, index->inode};

	return hash_bytes_extended((const unsigned char *) parts, sizeof(parts), 0) | VSS_INDEX_KEY;
}

/* The job, in a segment that outlives this process's mapping of it. */
static dsm_segment *
write_job(const VssConnection *conn, const Due *due)
{
	const char *extensions = conn->options->extensions;
	const char *const strings[] = {conn->servername, conn->options->database,
								   extensions != NULL ? extensions : "", due->index.index};
	Size size = offsetof(VssMergeJob, strings);
	dsm_segment *segment;
	VssMergeJob *job;
	char *end;

	for (int i = 0; i < lengthof(strings); i++)
		size += strlen(strings[i]) + 1;
	segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (segment == NULL)
		return NULL;
	job = dsm_segment_address(segment);
	job->userid = worker_user();
	job->cache_size = conn->options->cache_size;
	job->damaged = due->index.damaged;
	end = job->strings;
	for (int i = 0; i < lengthof(strings); i++)
	{
		strcpy(end, strings[i]);
		end += strlen(strings[i]) + 1;
	}
	return segment;
}

/* False where there is no room for another merge that waits. */
static bool
enqueue(const VssConnection *conn, const Due *due, uint64 key)
{
	dsm_segment *segment = write_job(conn, due);
	bool queued;

	if (segment == NULL)
		return false;
	dsm_pin_segment(segment);
	queued = vssfdw_queue_put(key, dsm_segment_handle(segment));
	if (!queued)
		dsm_unpin_segment(dsm_segment_handle(segment));
	dsm_detach(segment);
	return queued;
}

bool
vssfdw_start_worker(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "vss_fdw");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), VSS_WORKER_FUNCTION);
	snprintf(worker.bgw_type, sizeof(worker.bgw_type), VSS_WORKER_TYPE);
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), VSS_WORKER_TYPE);
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

/* Whether another worker would find a place. */
static bool
place_is_free(void)
{
	for (int i = 1; i <= vssfdw_merge_workers; i++)
	{
		LOCKTAG tag;

		vssfdw_merge_lock(&tag, (uint64) i);
		if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
			continue;
		LockRelease(&tag, ExclusiveLock, false);
		return true;
	}
	return false;
}

static void
try_launch(const VssConnection *conn, Due *due)
{
	uint64 key = lock_key(&due->index);
	LOCKTAG tag;
	bool queued;

	vssfdw_merge_lock(&tag, key);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		due->pending = false; /* one is at it; should it be in vain, searches say so again */
		return;
	}
	queued = vssfdw_queue_has(key) || enqueue(conn, due, key);
	LockRelease(&tag, ExclusiveLock, false);
	if (!queued)
		ereport(LOG,
				(errmsg("no room to queue a merge of index \"%s\" of server \"%s\"", due->index.index,
						conn->servername),
				 errhint("It is tried again. Too many merges are due at once, or too many dynamic shared "
						 "memory segments are in use.")));
	else if (place_is_free() && !vssfdw_start_worker())
		ereport(LOG, (errmsg("no background worker is free to merge index \"%s\" of server \"%s\"",
							 due->index.index, conn->servername),
					  errhint("It is tried again. You might need to increase max_worker_processes.")));
	else
	{
		due->pending = false;
		elog(DEBUG1, "queued a merge of index \"%s\" of server \"%s\"", due->index.index, conn->servername);
	}
}

/*
 * Whatever is thrown ends here: SQLite has committed, and PostgreSQL must too.
 * Nothing that try_launch calls leaves more behind than lightweight locks, of which
 * the caller has none, and what the transaction's end releases, so no
 * subtransaction is needed.  A cancel that arrives meanwhile is served later.
 */
static void
launch(const VssConnection *conn, Due *due)
{
	MemoryContext context = CurrentMemoryContext;
	uint32 holdoff = InterruptHoldoffCount;

	HOLD_INTERRUPTS();
	PG_TRY();
	{
		try_launch(conn, due);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		LWLockReleaseAll();
		error = CopyErrorData();
		FlushErrorState();
		ereport(LOG, (errmsg("could not start a merge of index \"%s\" of server \"%s\": %s", due->index.index,
							 conn->servername, error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	InterruptHoldoffCount = holdoff; /* as RESUME_INTERRUPTS; an error has set it to 0 */
}

/* Whether the last launch was long enough ago; if so, the next pause. */
static bool
is_time(Due *due, TimestampTz now)
{
	if (due->pause > 0 && now < due->not_before)
		return false;
	if (due->pause == 0 || due->index.graph != due->launched_at ||
		now > TimestampTzPlusMilliseconds(due->not_before, due->pause * INT64CONST(1000)))
		due->pause = FIRST_PAUSE_S; /* the last one was of use, or this is another occasion */
	else
		due->pause = Min(due->pause * 2, LAST_PAUSE_S);
	due->launched_at = due->index.graph;
	due->not_before = TimestampTzPlusMilliseconds(now, due->pause * INT64CONST(1000));
	return true;
}

static void
launch_for_connection(VssConnection *conn, void *arg)
{
	TimestampTz now = GetCurrentTimestamp();
	dlist_iter iter;

	if (conn->db == NULL || conn->options->read_only)
		return;
	dlist_foreach(iter, &dues)
	{
		Due *due = dlist_container(Due, node, iter.cur);

		if (!due->pending || due->serverid != conn->serverid)
			continue;
		if (is_time(due, now))
			launch(conn, due);
		any_pending = any_pending || due->pending;
	}
}

void
vssfdw_launch_merges(void)
{
	if (!any_pending || !vssfdw_auto_merge || vssfdw_merge_workers == 0 || IsInParallelMode() ||
		RecoveryInProgress())
		return;
	any_pending = false;
	vssfdw_each_connection(launch_for_connection, NULL);
}
