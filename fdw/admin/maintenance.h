/*
 * maintenance.h
 *		Shared by maintenance.c, create_index.c, connection.c and worker.c: running the
 *		SQLite side's merges.
 */
#ifndef VSS_MAINTENANCE_H
#define VSS_MAINTENANCE_H

#include "fdw/fdw.h"

/*
 * BridgeHost.progress of every connection: told how far a merge is, it feeds
 * pg_stat_progress_create_index between vssfdw_start_progress and _end_progress.  Never throws.
 */
void vssfdw_progress(void *arg, const char *phase, uint64_t done, uint64_t total);

/* Around a merge, in the process's own report; relid is the foreign table, or InvalidOid. */
void vssfdw_start_progress(Oid relid, bool creates);
void vssfdw_end_progress(void);

/*
 * Run hnsw_save or hnsw_rebuild (function) on an index, with progress reported
 * for the foreign table relid.  The connection must be idle.
 */
void vssfdw_run_merge(VssConnection *conn, const char *function, const char *index, Oid relid, bool creates);

#endif /* VSS_MAINTENANCE_H */
