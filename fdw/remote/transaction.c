/*
 * transaction.c
 *		SQLite transactions that follow PostgreSQL's.
 *
 * Under READ COMMITTED SQLite's read transaction lives while some scan holds
 * it and nothing was written; from REPEATABLE READ up, and once written, it
 * lives as long as PostgreSQL's.  Savepoints mirror subtransactions, but only
 * once something is written: reads need none.  SQLite commits in PRE_COMMIT,
 * where an error still aborts PostgreSQL's transaction (commit.c).
 *
 * xact_depth counts what SQLite has open: 1 for BEGIN, then one for each
 * savepoint; savepoint s<n> belongs to nesting level n of PostgreSQL.
 *
 * Nested subtransactions abort one after the other, the innermost first, and
 * each ROLLBACK TO replays all that has happened since its savepoint.  So an
 * abort only notes its level in undo_level, and the next use of the connection
 * rolls back to the outermost of them, once; often there is none, since the
 * whole transaction goes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "fdw/remote/remote.h"

struct VssHold
{
	VssConnection *conn; /* NULL once released */
	int level;           /* subtransaction that took it */
	dlist_node node;
	MemoryContextCallback callback;
};

/*
 * What is always so between two calls.  SQLite may end its transaction by itself,
 * so that xact_depth can be behind; ahead it can never be.
 */
static void
check_state(VssConnection *conn)
{
#ifdef USE_ASSERT_CHECKING
	int holds = 0;
	dlist_iter iter;

	dlist_foreach(iter, &conn->holds) holds++;
	Assert(conn->in_use == holds);
	Assert(conn->undo_level >= 0 && conn->undo_level <= conn->xact_depth);
	Assert(conn->undo_level != 1); /* that is the whole transaction */
	Assert(conn->xact_depth <= GetCurrentTransactionNestLevel());
	Assert(conn->xact_depth <= 1 || conn->wrote);
	Assert(conn->xact_depth > 0 || !conn->wrote);
	Assert(conn->db != NULL || conn->xact_depth == 0);
	Assert(conn->is_touched || (conn->xact_depth == 0 && holds == 0 && dlist_is_empty(&conn->statements)));
	if (conn->db != NULL && conn->xact_depth == 0 && !conn->poisoned)
		Assert(sqlite3_get_autocommit(conn->db));
#endif
}

/* ---------- ending: quiet, safe in error cleanup ---------- */

/* End SQLite's transaction without keeping anything; poison if even that fails. */
static void
roll_back(VssConnection *conn)
{
	if (conn->xact_depth > 0 && !sqlite3_get_autocommit(conn->db) &&
		vssfdw_exec_quiet(conn, "ROLLBACK", true) != SQLITE_OK)
		conn->poisoned = true;
	conn->xact_depth = 0;
	conn->undo_level = 0;
	conn->wrote = false;
	conn->lost = false;
	/* what failed may have been the file: look at it before it is used again */
	conn->looked_at = 0;
}

/* The last hold is gone under READ COMMITTED: let other processes write. */
static void
end_read(VssConnection *conn)
{
	if (conn->db == NULL || conn->xact_depth == 0 || conn->wrote || conn->in_use > 0 ||
		IsolationUsesXactSnapshot())
		return;
	roll_back(conn);
}

static void
release(VssHold *hold)
{
	VssConnection *conn = hold->conn;

	if (conn == NULL)
		return;
	Assert(conn->in_use > 0);
	hold->conn = NULL;
	dlist_delete(&hold->node);
	conn->in_use--;
	end_read(conn);
}

static void
hold_context_reset(void *arg)
{
	release((VssHold *) arg);
}

/* ---------- beginning ---------- */

/* SQLite gave up the transaction on its own; nothing of it can be kept. */
static void
check_lost(VssConnection *conn)
{
	if (conn->xact_depth > 0 && sqlite3_get_autocommit(conn->db))
		conn->lost = true;
	if (!conn->lost)
		return;
	if (!conn->wrote && !IsolationUsesXactSnapshot() && conn->in_use == 0)
	{
		roll_back(conn);
		return;
	}
	ereport(ERROR, (errcode(ERRCODE_TRANSACTION_ROLLBACK),
					errmsg("SQLite rolled back its transaction on server \"%s\"", conn->servername),
					errhint("Roll this transaction back and run it again.")));
}

void
vssfdw_settle(VssConnection *conn)
{
	char sql[64];

	check_lost(conn);
	if (conn->undo_level == 0)
		return;
	snprintf(sql, sizeof(sql), "ROLLBACK TO s%d; RELEASE s%d", conn->undo_level, conn->undo_level);
	conn->xact_depth = conn->undo_level - 1;
	conn->undo_level = 0;
	if (vssfdw_exec_quiet(conn, sql, true) == SQLITE_OK)
		return;
	/* what was rolled back in PostgreSQL may still be there: nothing of it may be read or committed */
	conn->poisoned = true;
	ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
					errmsg("could not roll back to a savepoint on server \"%s\": %s", conn->servername,
						   sqlite3_errmsg(conn->db)),
					errhint("Roll the transaction back; the next one opens the database anew.")));
}

static void
begin(VssConnection *conn, const char *sql)
{
	int rc;

	Assert(conn->xact_depth == 0 && conn->undo_level == 0 && !conn->wrote);
	vssfdw_touch(conn);
	rc = vssfdw_exec_quiet(conn, sql, false);
	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, conn->db, conn->servername, sql);
	conn->xact_depth = 1;
}

VssHold *
vssfdw_hold(VssConnection *conn, MemoryContext context)
{
	VssHold *hold = MemoryContextAllocZero(context, sizeof(VssHold));

	vssfdw_settle(conn);
	if (conn->xact_depth == 0)
		begin(conn, "BEGIN");

	hold->conn = conn;
	hold->level = GetCurrentTransactionNestLevel();
	hold->callback.func = hold_context_reset;
	hold->callback.arg = hold;
	dlist_push_head(&conn->holds, &hold->node);
	conn->in_use++;
	MemoryContextRegisterResetCallback(context, &hold->callback);
	check_state(conn);
	return hold;
}

void
vssfdw_release(VssHold *hold)
{
	if (hold != NULL)
		release(hold);
}

void
vssfdw_end_read(VssConnection *conn)
{
	if (conn->db != NULL && conn->xact_depth == 1 && !conn->wrote && conn->in_use == 0)
		roll_back(conn);
}

void
vssfdw_forget_read(VssConnection *conn)
{
	if (conn->xact_depth != 1 || conn->wrote || sqlite3_txn_state(conn->db, "main") != SQLITE_TXN_READ)
		return;
	roll_back(conn);
	begin(conn, "BEGIN");
}

void
vssfdw_begin_write(VssConnection *conn)
{
	int level = GetCurrentTransactionNestLevel();

	vssfdw_settle(conn);

	/*
	 * A read transaction that has not read yet is started anew for writing,
	 * so that waiting for the lock is possible.  One that has read can only be
	 * upgraded by the write itself, and fails if the database has changed.
	 */
	if (conn->xact_depth == 1 && !conn->wrote && sqlite3_txn_state(conn->db, "main") == SQLITE_TXN_NONE)
		roll_back(conn);
	if (conn->xact_depth == 0)
		begin(conn, "BEGIN IMMEDIATE");
	conn->wrote = true;

	while (conn->xact_depth < level)
	{
		char sql[64];
		int rc;

		snprintf(sql, sizeof(sql), "SAVEPOINT s%d", conn->xact_depth + 1);
		rc = vssfdw_exec_quiet(conn, sql, false);
		if (rc != SQLITE_OK)
			vssfdw_report(ERROR, rc, conn->db, conn->servername, sql);
		conn->xact_depth++;
	}
	Assert(conn->xact_depth == level);
	check_state(conn);
}

/* ---------- PostgreSQL's transaction ends ---------- */

void
vssfdw_end_transaction(VssConnection *conn)
{
	vssfdw_detach_statements(conn, 0);
	roll_back(conn);
}

static void
end_reading(VssConnection *conn, void *arg)
{
	if (conn->db != NULL && !conn->wrote)
		vssfdw_end_transaction(conn);
}

static void
refuse_prepare(VssConnection *conn, void *arg)
{
	if (conn->db != NULL && conn->wrote)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot PREPARE a transaction that has written to SQLite server \"%s\"",
							   conn->servername),
						errhint("SQLite has no two-phase commit. Use COMMIT.")));
}

/* After commit or abort: nothing may throw.  Leave the connection idle, or closed. */
static void
finish(VssConnection *conn, void *arg)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &conn->holds)
	{
		VssHold *hold = dlist_container(VssHold, node, iter.cur);

		dlist_delete(&hold->node);
		hold->conn = NULL;
	}
	vssfdw_forget_missed_collation();
	conn->in_use = 0;
	conn->rowids = NULL; /* went with TopTransactionContext */
	if (conn->db == NULL)
		return;
	vssfdw_detach_statements(conn, 0);
	roll_back(conn);
	vssfdw_forget_retired_catalogs(conn);
	if (conn->poisoned || conn->invalidated || !conn->options->keep_connections)
		vssfdw_close(conn);
	Assert(conn->xact_depth == 0 && !conn->wrote && dlist_is_empty(&conn->statements));
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			vssfdw_commit();
			if (vssfdw_listener.committed != NULL)
				vssfdw_listener.committed();
			break;
		case XACT_EVENT_PRE_PREPARE:
			vssfdw_each_touched(refuse_prepare, NULL);
			vssfdw_each_touched(end_reading, NULL);
			break;
		case XACT_EVENT_PARALLEL_PRE_COMMIT: /* a worker writes nothing */
			vssfdw_each_touched(end_reading, NULL);
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PREPARE:
			vssfdw_finish_touched(finish, NULL);
			vssfdw_after_commit();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			vssfdw_after_abort();
			vssfdw_finish_touched(finish, NULL);
			break;
	}
}

/* ---------- a subtransaction ends ---------- */

/* level: of the subtransaction that ends.  May throw. */
static void
commit_sub(VssConnection *conn, void *arg)
{
	int level = *(int *) arg;
	dlist_iter iter;

	vssfdw_reparent_statements(conn, level);
	dlist_foreach(iter, &conn->holds)
	{
		VssHold *hold = dlist_container(VssHold, node, iter.cur);

		if (hold->level >= level)
			hold->level = level - 1;
	}
	if (conn->db != NULL && conn->xact_depth >= level)
	{
		char sql[64];
		int rc;

		vssfdw_settle(conn);
		if (conn->xact_depth < level)
			return;
		snprintf(sql, sizeof(sql), "RELEASE s%d", level);
		rc = vssfdw_exec_quiet(conn, sql, false);
		if (rc != SQLITE_OK)
			vssfdw_report(ERROR, rc, conn->db, conn->servername, sql);
		conn->xact_depth = level - 1;
	}
}

/* Must not throw. */
static void
abort_sub(VssConnection *conn, void *arg)
{
	int level = *(int *) arg;
	dlist_mutable_iter iter;

	vssfdw_detach_statements(conn, level);
	dlist_foreach_modify(iter, &conn->holds)
	{
		VssHold *hold = dlist_container(VssHold, node, iter.cur);

		if (hold->level >= level)
			release(hold);
	}
	if (conn->db == NULL || conn->xact_depth < level)
		return;
	if (sqlite3_get_autocommit(conn->db))
	{
		conn->lost = true;
		conn->xact_depth = level - 1;
		conn->undo_level = 0;
	}
	else
		conn->undo_level = level; /* further out than any before it */
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_PRE_COMMIT_SUB)
		vssfdw_each_touched(commit_sub, &level);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		vssfdw_each_touched(abort_sub, &level);
}

void
vssfdw_register_transaction_callbacks(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
