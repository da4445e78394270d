/*
 * commit.c
 *		Committing what was written in SQLite, so that it stays only if
 *		PostgreSQL commits too.
 *
 * SQLite has no two-phase commit, and PostgreSQL tells nobody when nothing more
 * can go wrong: after XACT_EVENT_PRE_COMMIT it still runs ON COMMIT actions,
 * enters notifications into a queue that may be full, and looks for
 * serialization failures.  So everything that can refuse is asked before the
 * first COMMIT, while all can still be rolled back:
 *
 * 1. Each database that was written: is its file still the one under that
 *	  name, do its deferred constraints hold, can all readers be kept out.
 *	  Where there are several, their pages are written as well, so that a full
 *	  disk shows.
 * 2. PostgreSQL: the three above, by calling it.  What it does a second time
 *	  afterwards finds nothing left to do, or the same answer.
 * 3. COMMIT, by rising OID of server.
 *
 * From the first COMMIT until PostgreSQL has committed no interrupt is served.
 * What remains is told in docs/reference.md: crashes, and failures of the disk
 * or of memory between the first COMMIT and the record of PostgreSQL's.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "catalog/pg_database.h"
#include "commands/async.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "utils/fmgrprotos.h"

#include "fdw/remote/remote.h"

/* Interrupts are held for a transaction that SQLite has committed. */
static bool interrupts_held = false;

/* ---------- what SQLite can refuse ---------- */

static void
check_in_place(const VssConnection *conn)
{
	if (vssfdw_file_moved(conn))
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("SQLite database \"%s\" of server \"%s\" was replaced or removed while this "
							   "transaction wrote to it",
							   conn->options->database, conn->servername),
						errhint("Run the transaction again: it will find the new file.")));
}

/*
 * Virtual tables such as FTS5 keep changes in memory until COMMIT; a savepoint
 * makes them write these to their tables.
 */
static int
write_virtual_tables(VssConnection *conn)
{
	int rc = vssfdw_exec_quiet(conn, "SAVEPOINT vss_commit", false);

	return rc == SQLITE_OK ? vssfdw_exec_quiet(conn, "RELEASE vss_commit", false) : rc;
}

/* COMMIT would fail on a foreign key that was deferred to it. */
static void
check_foreign_keys(VssConnection *conn)
{
	int violated = 0;
	int highest;

	if (sqlite3_db_status(conn->db, SQLITE_DBSTATUS_DEFERRED_FKS, &violated, &highest, 0) == SQLITE_OK &&
		violated != 0)
		vssfdw_report_message(ERROR, SQLITE_CONSTRAINT_FOREIGNKEY, "FOREIGN KEY constraint failed",
							  conn->servername, "COMMIT");
}

/* With a rollback journal: whether a page has changed, so that the journal is open. */
static bool
has_journal(VssConnection *conn)
{
	sqlite3_file *journal = NULL;

	return sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &journal) == SQLITE_OK &&
		   journal != NULL && journal->pMethods != NULL;
}

/*
 * With a rollback journal COMMIT has to wait until nobody reads any more; do it
 * now, as SQLite's pager would.  Its lock goes with the transaction, whichever
 * way that ends.  A WAL database has all its locks since BEGIN IMMEDIATE; its
 * file is then merely share-locked.
 */
static int
keep_readers_out(VssConnection *conn)
{
	int state = SQLITE_LOCK_NONE;
	sqlite3_file *file = NULL;
	int rc;

	if (sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_LOCKSTATE, &state) != SQLITE_OK ||
		state < SQLITE_LOCK_RESERVED || !has_journal(conn))
		return SQLITE_OK;
	rc = sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	if (rc != SQLITE_OK || file == NULL || file->pMethods == NULL)
		return rc;
	for (int count = 0;; count++)
	{
		rc = file->pMethods->xLock(file, SQLITE_LOCK_EXCLUSIVE);
		if ((rc & 0xff) != SQLITE_BUSY || !vssfdw_wait_busy(conn, count))
			return rc;
	}
}

/*
 * What COMMIT appends to the -wal or -journal file after all else has been
 * written: one page and headers.  Room for a few of the largest pages will do.
 */
#define LAST_BYTES (3 * 65536)

/*
 * Have the disk blocks of a file's end allocated in advance.  Its size stays, so
 * that doing it again and again takes no more.  Opening and closing these
 * files does no harm: SQLite's locks are on others.
 */
static int
reserve_room(const char *path)
{
	int rc = SQLITE_OK;
#ifdef FALLOC_FL_KEEP_SIZE
	int fd =
		path != NULL && path[0] != '\0' ? open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
	off_t end;

	if (fd < 0)
		return SQLITE_OK; /* no such journal */
	end = lseek(fd, 0, SEEK_END);
	if (end >= 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, end, LAST_BYTES) != 0 &&
		(errno == ENOSPC || errno == EDQUOT))
		rc = SQLITE_FULL;
	close(fd);
#endif
	return rc;
}

/* Page 1 alone, which SQLite always holds, remains to be written by COMMIT. */
static int
write_pages(VssConnection *conn)
{
	const char *database = sqlite3_db_filename(conn->db, "main");
	int rc = sqlite3_db_cacheflush(conn->db);

	if (rc == SQLITE_OK)
		rc = reserve_room(sqlite3_filename_wal(database));
	if (rc == SQLITE_OK)
		rc = reserve_room(sqlite3_filename_journal(database));
	return rc;
}

/* Everything but COMMIT itself.  Throws where SQLite cannot commit. */
static void
prepare(VssConnection *conn, bool alone)
{
	int rc;

	vssfdw_detach_statements(conn, 0);
	vssfdw_settle(conn);
	if (conn->poisoned)
		ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
						errmsg("connection to server \"%s\" is in an unknown state, cannot commit",
							   conn->servername)));
	check_in_place(conn);

	/* begun for writing, or by a scan, and then nothing was written */
	if (sqlite3_txn_state(conn->db, NULL) != SQLITE_TXN_WRITE)
		return;
	check_foreign_keys(conn);
	rc = write_virtual_tables(conn);
	if (rc == SQLITE_OK)
		rc = keep_readers_out(conn);
	if (rc == SQLITE_OK && !alone)
		rc = write_pages(conn);
	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, conn->db, conn->servername, "COMMIT");
}

/* ---------- what PostgreSQL can refuse ---------- */

/*
 * Whether the transaction has called NOTIFY or LISTEN.  Nothing tells but the
 * check that PREPARE TRANSACTION makes; no more than its error is to be undone.
 */
static bool
has_notifications(void)
{
	MemoryContext context = CurrentMemoryContext;
	uint32 holdoff = InterruptHoldoffCount;
	volatile bool found = false;

	PG_TRY();
	{
		AtPrepare_Notify();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		InterruptHoldoffCount = holdoff; /* an error has set it to 0 */
		found = true;
	}
	PG_END_TRY();
	return found;
}

/* A share of the queue, which has 8 GB unless max_notify_queue_pages says otherwise. */
#define ROOM_FOR_NOTIFICATIONS (1.0 / 16)

/*
 * PostgreSQL is about to enter notifications into their queue.  Take the lock
 * that it takes for that, so that nobody else fills the queue meanwhile, and so
 * that waiting for it happens here, where it can be cancelled.
 */
static void
check_notifications(void)
{
	double used;

	if (!has_notifications())
		return;
	LockSharedObject(DatabaseRelationId, InvalidOid, 0, AccessExclusiveLock);
	used = DatumGetFloat8(DirectFunctionCall1(pg_notification_queue_usage, (Datum) 0));
	if (used > 1 - ROOM_FOR_NOTIFICATIONS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many notifications in the NOTIFY queue"),
				 errdetail("A transaction that has written to SQLite needs a part of the queue to be free."),
				 errhint("End the transactions of sessions that listen and do not read.")));
}

/* In PostgreSQL's own order. */
static void
check_postgres(void)
{
	PreCommit_on_commit_actions();
	check_notifications();
	PreCommit_CheckForSerializationFailure();
}

/* ---------- committing ---------- */

static void
collect(VssConnection *conn, void *arg)
{
	List **writers = arg;

	if (conn->db == NULL || conn->xact_depth == 0)
		return;
	if (conn->wrote)
		*writers = lappend(*writers, conn);
	else
		vssfdw_end_transaction(conn); /* readers first: they may be in the way of a COMMIT of ours */
}

static int
by_server(const ListCell *a, const ListCell *b)
{
	const VssConnection *left = lfirst(a);
	const VssConnection *right = lfirst(b);

	return (left->serverid > right->serverid) - (left->serverid < right->serverid);
}

/* The names of the first few, for a message. */
static char *
server_names(List *connections, int count)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < count; i++)
		appendStringInfo(&names, "%s\"%s\"", i > 0 ? ", " : "",
						 ((const VssConnection *) list_nth(connections, i))->servername);
	return names.data;
}

static void
commit_one(List *writers, int i)
{
	VssConnection *conn = list_nth(writers, i);
	int rc;

	/* subtransactions have ended, and it comes in its order */
	Assert(conn->xact_depth == 1 && conn->undo_level == 0 && conn->wrote);
	Assert(i == 0 || ((const VssConnection *) list_nth(writers, i - 1))->serverid < conn->serverid);
	rc = vssfdw_exec_quiet(conn, "COMMIT", false);

	if (rc != SQLITE_OK)
	{
		/* SQLite's message, before anything else is said */
		char *message = pstrdup(sqlite3_errmsg(conn->db));

		if (i > 0)
			ereport(WARNING,
					(errmsg("a transaction is committed on server %s, but not on server \"%s\"",
							server_names(writers, i), conn->servername),
					 errhint("Look at the rows that the transaction has written, and remove them.")));
		vssfdw_report_message(ERROR, sqlite3_extended_errcode(conn->db), message, conn->servername, "COMMIT");
	}
	conn->xact_depth = 0;
	conn->wrote = false;
}

/* So many changes of SQLite's, several of them a row, make it worth while to look for merges. */
#define CHANGES_PER_LOOK 1000

/*
 * Writes to a table that an index follows tell nobody that a merge is due: ask, after
 * about as many as make one.  What goes wrong is the next search's to find.
 */
static void
look_for_merges(VssConnection *conn)
{
	int64 changes = sqlite3_total_changes(conn->db);

	if (changes - conn->looked_changes < CHANGES_PER_LOOK && changes >= conn->looked_changes)
		return;
	conn->looked_changes = changes;
	(void) vssfdw_exec_quiet(conn, "SELECT hnsw_due()", true);
}

void
vssfdw_commit(void)
{
	List *writers = NIL;
	ListCell *cell;

	vssfdw_each_touched(collect, &writers);
	if (writers == NIL)
		return;
	list_sort(writers, by_server);
	foreach (cell, writers)
		prepare(lfirst(cell), list_length(writers) == 1);
	check_postgres();

	/* waiting for locks may have taken a while */
	foreach (cell, writers)
		check_in_place(lfirst(cell));
	for (int i = 0; i < list_length(writers); i++)
	{
		commit_one(writers, i);
		if (i > 0)
			continue;
		/* while it committed, the file may have gone, and with it what was committed */
		check_in_place(linitial(writers));
		HOLD_INTERRUPTS();
		interrupts_held = true;
	}
	foreach (cell, writers)
		look_for_merges(lfirst(cell));
	list_free(writers);
}

void
vssfdw_after_commit(void)
{
	/* an error that somebody caught has set the count to 0; PostgreSQL has added one since */
	if (interrupts_held && InterruptHoldoffCount > 1)
		RESUME_INTERRUPTS();
	interrupts_held = false;
}

void
vssfdw_after_abort(void)
{
	interrupts_held = false; /* and the error has set PostgreSQL's count to 0 */
}
