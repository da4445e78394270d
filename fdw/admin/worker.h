/*
 * worker.h
 *		Merging in the background: launch.c, in the backend that finds a merge
 *		due, and worker.c, the process that merges.
 */
#ifndef VSS_WORKER_H
#define VSS_WORKER_H

#include "fdw/fdw.h"
#include "storage/lock.h"

/* ---------- settings, in vss_fdw.c ---------- */

extern bool vssfdw_auto_merge;   /* vss_fdw.auto_merge: start workers */
extern int vssfdw_merge_workers; /* vss_fdw.merge_workers: at once in the server */
extern int vssfdw_merge_threads; /* vss_fdw.merge_threads: of each; 0: one per processor */

/* ---------- launch.c ---------- */

/*
 * BridgeHost.merge_due; arg is the VssConnection.  Called with SQLite on the
 * stack: notes it in memory of its own, and no more.
 */
void vssfdw_note_merge(void *arg, const BridgeMergeDue *due);

/*
 * Start workers for what was noted.  In PRE_COMMIT, once SQLite has committed:
 * whatever goes wrong is logged, never thrown.
 */
void vssfdw_launch_merges(void);

/*
 * What the worker is told, in a dynamic shared memory segment that stays
 * until the worker has read it: a struct, then three strings, each with its zero byte.
 */
typedef struct VssMergeJob
{
	Oid userid;     /* whose work it counts as; InvalidOid: the server's */
	uint64 key;     /* names the index in vssfdw_merge_lock */
	int cache_size; /* the server's option */
	bool damaged;
	char strings[FLEXIBLE_ARRAY_MEMBER]; /* server, database, index (UTF-8) */
} VssMergeJob;

/*
 * The lock that whoever starts a worker, and then the worker, holds: one
 * worker an index, whichever PostgreSQL database its server is defined in.  It
 * shows in pg_locks as an advisory lock, with objsubid 22099, which no SQL
 * function can take.
 */
static inline void
vssfdw_merge_lock(LOCKTAG *tag, uint64 key)
{
	SET_LOCKTAG_ADVISORY(*tag, InvalidOid, (uint32) (key >> 32), (uint32) key, 22099);
}

/* ---------- worker.c ---------- */

#define VSS_WORKER_TYPE "vss_fdw merge"
#define VSS_WORKER_FUNCTION "vss_merge_worker_main"

#endif /* VSS_WORKER_H */
