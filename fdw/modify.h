/*
 * modify.h
 *		What the files that write share: rowid.c, modify.c, direct_modify.c,
 *		truncate.c.
 */
#ifndef VSS_MODIFY_H
#define VSS_MODIFY_H

#include "fdw/fdw.h"

#include "foreign/fdwapi.h"
#include "storage/itemptr.h"

/* ---------- rowid.c: a row's address as PostgreSQL carries it ---------- */

/*
 * SQLite's rowids have 64 bits, the ctid that the executor carries for every
 * row has 48.  The usual rowids fit; for the others a table of the
 * connection's, kept until the transaction ends, gives a number that does.
 */
void vssfdw_rowid_to_tid(VssConnection *conn, int64 rowid, ItemPointer tid);
int64 vssfdw_tid_to_rowid(VssConnection *conn, ItemPointer tid);

/* ---------- modify.c, direct_modify.c, truncate.c ---------- */

/* Whether SQLite computes the column: it takes no value then. */
bool vssfdw_is_generated(const VssTableInfo *info, const char *name);

/* The columns of relation relid whose stored values PostgreSQL wants back, as an IntList. */
List *vssfdw_returned_attributes(Relation rel, Index relid, CmdType operation, List *returning,
								 List *check_options);

void vssfdw_modify_routine(FdwRoutine *routine);
void vssfdw_direct_modify_routine(FdwRoutine *routine);
void vssExecForeignTruncate(List *rels, DropBehavior behavior, bool restart_seqs);

#endif /* VSS_MODIFY_H */
