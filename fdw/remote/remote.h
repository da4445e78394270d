/*
 * remote.h
 *		What connection.c, open.c, transaction.c, statement.c and catalog.c
 *		share among themselves about a SQLite connection.
 */
#ifndef VSS_REMOTE_H
#define VSS_REMOTE_H

#include "fdw/fdw.h"

/* ---------- open.c ---------- */

/*
 * Open the database file of a server: never creates one, refuses files that
 * are missing, unreadable or no database, and databases whose own application
 * we would lock out.  Errors are reported; the handle is then closed.
 */
sqlite3 *vssfdw_open(const char *servername, const VssServerOptions *options);

/* ---------- connection.c ---------- */

/* Call back for every connection that has ever been opened. */
void vssfdw_each_connection(void (*callback)(VssConnection *conn, void *arg), void *arg);

/*
 * The connections that the transaction's end concerns: connected to, begun on,
 * given a statement or invalidated since the last one ended.  The others have
 * nothing to commit, roll back or close.  vssfdw_finish_touched forgets each
 * before it calls back.
 */
void vssfdw_touch(VssConnection *conn);
void vssfdw_each_touched(void (*callback)(VssConnection *conn, void *arg), void *arg);
void vssfdw_finish_touched(void (*callback)(VssConnection *conn, void *arg), void *arg);

/*
 * Settings of a connection to a database that is not trusted, and the bridge
 * with this host.  Errors are reported; db stays the caller's to close.
 */
void vssfdw_configure(sqlite3 *db, const BridgeHost *host, const char *servername, int cache_size);

/* Let cancel and timeouts stop SQLite while it prepares; replaces any other authorizer. */
void vssfdw_watch_compiling(VssConnection *conn);

/*
 * Finalize all statements and close.  Neither throws nor allocates from
 * PostgreSQL, so it may run in error cleanup.
 */
void vssfdw_close(VssConnection *conn);

/* ---------- transaction.c ---------- */

void vssfdw_register_transaction_callbacks(void);

/* ---------- statement.c ---------- */

/*
 * Run SQL without parameters whose rows do not matter; returns SQLite's code.
 * Never throws, does not let a cancel stop it when uninterruptible.
 */
int vssfdw_exec_quiet(VssConnection *conn, const char *sql, bool uninterruptible);

/* Reset and take back every statement of subtransaction level >= level. */
void vssfdw_detach_statements(VssConnection *conn, int level);

/* Statements of a subtransaction that committed now belong to its parent. */
void vssfdw_reparent_statements(VssConnection *conn, int level);

/* Finalize everything that is cached, free the cache. */
void vssfdw_drop_statements(VssConnection *conn);

/* ---------- catalog.c ---------- */

/* Forget what was read of the schema; called when the connection closes. */
void vssfdw_forget_catalog(VssConnection *conn);

/* At the end of a transaction: descriptions of earlier schemas are unused now. */
void vssfdw_forget_retired_catalogs(VssConnection *conn);

#endif /* VSS_REMOTE_H */
