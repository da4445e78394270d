/*
 * index_lookup.h
 *		From what a user names to the hnsw index meant; for the functions that
 *		take an index.
 */
#ifndef VSS_TARGET_H
#define VSS_TARGET_H

#include "fdw/fdw.h"

/* An hnsw index reached through a foreign table. */
typedef struct VssTarget
{
	Oid relid; /* the foreign table it was named by */
	Oid serverid;
	char *index; /* its name in SQLite */
} VssTarget;

/* Names of indexes (VssIndexInfo) as "a", "b", "c". */
char *vssfdw_list_indexes(List *indexes);

/*
 * The index behind a foreign table: the table itself where it is an imported
 * hnsw table, else the one index that the table feeds.  Errors say which
 * there are.  The caller has locked the relation and checked privileges.
 */
VssTarget *vssfdw_relation_target(Oid relid);

/*
 * The foreign table of ours that a name means, as regclass reads names.  Locks
 * it for the transaction; demands SELECT on it; refuses where row-level
 * security applies to the user.
 */
Oid vssfdw_named_table(text *name);

/*
 * The only index that the user can name without a schema and may read.
 * Imported index tables count first; where there are none, the tables that
 * feed an index.  None, or several, are errors; several are listed.
 */
VssTarget *vssfdw_only_target(void);

/*
 * For work that SQLite must do outside of any transaction, in the name of
 * function: the connection of the foreign table's server, idle.  An error
 * where the transaction uses the server already, and where relid is no foreign
 * table of ours.
 */
VssConnection *vssfdw_idle_connection(Oid relid, const char *function);

#endif /* VSS_TARGET_H */
