/*
 * connection.c
 *		The SQLite connections of this backend: one a server, found by its OID,
 *		opened when first needed, closed when the server changes.
 *
 * A connection outlives transactions (unless keep_connections is false).  It
 * is closed only while nothing runs on it: at the end of the transaction, or
 * before its next use.
 */
#include "postgres.h"

#include <time.h>

#include "catalog/pg_foreign_server.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "fdw/remote/remote.h"

#include <sys/stat.h>

/*
 * Instructions of SQLite's virtual machine between two looks at the interrupt
 * flags.  A thousand take microseconds to some milliseconds (on disk reads).
 */
#define PROGRESS_INSTRUCTIONS 1000

/* Longest nap of the busy handler, so that a cancel is noticed at once. */
#define BUSY_NAP_MS 20

VssListener vssfdw_listener = {NULL};

static HTAB *connections = NULL;
static dlist_head touched = DLIST_STATIC_INIT(touched);

/* ---------- called by SQLite: flags only, nothing of PostgreSQL ---------- */

bool
vssfdw_cancelled(void *arg)
{
	/*
	 * While interrupts are held off, as in an abort, they could not be served
	 * after we return: then the work (a ROLLBACK) must finish.
	 */
	if (!InterruptPending || !INTERRUPTS_CAN_BE_PROCESSED())
		return false;
	return QueryCancelPending || ProcDiePending || VSS_TRANSACTION_TIMEOUT;
}

int64
vssfdw_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64CONST(1000) + now.tv_nsec / 1000000;
}

bool
vssfdw_must_stop(const VssConnection *conn)
{
	return vssfdw_cancelled(NULL) || (conn->give_up_at != 0 && vssfdw_clock() >= conn->give_up_at);
}

static int
progress_callback(void *arg)
{
	return vssfdw_must_stop(arg);
}

/* When the wait that vssfdw_wait_busy is in began. */
static int64 busy_since;

bool
vssfdw_wait_busy(const VssConnection *conn, int count)
{
	int64 now = vssfdw_clock();
	int64 waited;
	int64 nap;

	if (count == 0)
		busy_since = now;
	waited = now - busy_since;
	if (vssfdw_cancelled(NULL) || waited >= conn->options->busy_timeout)
		return false;
	nap = Min(Min(count + 1, BUSY_NAP_MS), conn->options->busy_timeout - waited);
	pg_usleep(nap * 1000L);
	return true;
}

/* Called again and again while another process holds the lock; 0 gives up. */
static int
busy_callback(void *arg, int count)
{
	return vssfdw_wait_busy(arg, count);
}

static bool
bridge_cancelled(void *arg)
{
	return vssfdw_cancelled(NULL);
}

/* ---------- opening and closing ---------- */

/*
 * A cache that holds the whole database saves every read; one that holds a part
 * saves random look-ups little, and costs scans the processor's caches.
 */
#define WHOLE_DATABASE_KIB (64 * 1024)
#define PART_OF_DATABASE_KIB (8 * 1024)

/* As PRAGMA cache_size has it. */
static int
choose_cache_size(sqlite3 *db)
{
	const char *path = sqlite3_db_filename(db, "main");
	struct stat file;

	if (path != NULL && stat(path, &file) == 0 && file.st_size > (off_t) WHOLE_DATABASE_KIB * 1024)
		return -PART_OF_DATABASE_KIB;
	return -WHOLE_DATABASE_KIB;
}

void
vssfdw_configure(sqlite3 *db, VssConnection *conn, const BridgeHost *host, const char *servername,
				 const VssServerOptions *options)
{
	int cache_size = options->cache_size;
	char pragma[64];
	char *message = NULL;
	int rc;

	vssfdw_guard(db, conn);
	vssfdw_load_extensions(db, servername, options->extensions);
	rc = bridge_attach(db, host, &message);
	if (rc != SQLITE_OK)
	{
		char *copy = pstrdup(message != NULL ? message : sqlite3_errstr(rc));

		sqlite3_free(message);
		vssfdw_report_message(ERROR, rc, copy, servername, NULL);
	}

	rc = vssfdw_register_functions(db);
	if (rc == SQLITE_OK)
		rc = vssfdw_stand_in_for_collations(db);
	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, db, servername, NULL);

	if (cache_size == VSS_CACHE_BY_SIZE)
		cache_size = choose_cache_size(db);
	/* cell_size_check notices damaged pages before they can mislead. */
	snprintf(pragma, sizeof(pragma), "PRAGMA cache_size = %d; PRAGMA cell_size_check = 1", cache_size);
	rc = sqlite3_exec(db, pragma, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, db, servername, pragma);
}

static void
configure(VssConnection *conn)
{
	const BridgeHost host = {.cancelled = bridge_cancelled,
							 .progress = vssfdw_listener.progress,
							 .merge_due = vssfdw_listener.merge_due,
							 .arg = conn,
							 .file_mode = -1};

	sqlite3_busy_handler(conn->db, busy_callback, conn);
	sqlite3_progress_handler(conn->db, PROGRESS_INSTRUCTIONS, progress_callback, conn);
	vssfdw_configure(conn->db, conn, &host, conn->servername, conn->options);
}

void
vssfdw_close(VssConnection *conn)
{
	vssfdw_drop_statements(conn);
	vssfdw_forget_catalog(conn);
	if (conn->db != NULL)
	{
		vssfdw_remember_wal(conn);
		sqlite3_close_v2(conn->db);
	}
	conn->db = NULL;
	conn->xact_depth = 0;
	conn->undo_level = 0;
	conn->wrote = false;
	conn->lost = false;
	conn->poisoned = false;
	conn->invalidated = false;
}

static void
open_connection(VssConnection *conn)
{
	ForeignServer *server = GetForeignServer(conn->serverid);
	MemoryContext old;

	if (conn->memory == NULL)
		conn->memory = AllocSetContextCreate(TopMemoryContext, "vss_fdw connection", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(conn->memory);
	old = MemoryContextSwitchTo(conn->memory);
	conn->servername = pstrdup(server->servername);
	conn->options = vssfdw_server_options(server);
	MemoryContextSwitchTo(old);

	conn->invalidated = false;
	conn->poisoned = false;
	conn->db = vssfdw_open(conn->servername, conn->options);
	vssfdw_note_file(conn);
	PG_TRY();
	{
		vssfdw_refuse_left_wal(conn);
		configure(conn);
	}
	PG_CATCH();
	{
		vssfdw_close(conn);
		PG_RE_THROW();
	}
	PG_END_TRY();
	conn->generation++;
	conn->looked_changes = 0;
}

/* ---------- the registry ---------- */

void
vssfdw_touch(VssConnection *conn)
{
	if (conn->is_touched)
		return;
	dlist_push_tail(&touched, &conn->touched);
	conn->is_touched = true;
}

/*
 * ALTER SERVER, DROP SERVER, or a change of the wrapper: take the new options
 * as soon as the connection is idle.
 */
static void
invalidate_server(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS scan;
	VssConnection *conn;

	hash_seq_init(&scan, connections);
	while ((conn = hash_seq_search(&scan)) != NULL)
		if (conn->db != NULL &&
			(hashvalue == 0 || cacheid == FOREIGNDATAWRAPPEROID || conn->server_hash == hashvalue))
		{
			conn->invalidated = true;
			vssfdw_touch(conn);
		}
}

static void
create_registry(void)
{
	HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(VssConnection)};

	connections = hash_create("vss_fdw connections", 8, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, invalidate_server, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, invalidate_server, (Datum) 0);
	vssfdw_register_transaction_callbacks();
}

void
vssfdw_each_connection(void (*callback)(VssConnection *conn, void *arg), void *arg)
{
	HASH_SEQ_STATUS scan;
	VssConnection *conn;

	if (connections == NULL)
		return;
	hash_seq_init(&scan, connections);
	while ((conn = hash_seq_search(&scan)) != NULL)
		callback(conn, arg);
}

void
vssfdw_each_touched(void (*callback)(VssConnection *conn, void *arg), void *arg)
{
	dlist_iter iter;

	dlist_foreach(iter, &touched) callback(dlist_container(VssConnection, touched, iter.cur), arg);
}

void
vssfdw_finish_touched(void (*callback)(VssConnection *conn, void *arg), void *arg)
{
	while (!dlist_is_empty(&touched))
	{
		VssConnection *conn = dlist_container(VssConnection, touched, dlist_pop_head_node(&touched));

		conn->is_touched = false;
		callback(conn, arg);
	}
}

/*
 * A backup may have been moved into the file's place.  SQLite would go on with
 * the old one for ever.
 */
static bool
look_for_move(VssConnection *conn)
{
	int64 now = vssfdw_clock();
	int lost = 0;

	/* once a millisecond is enough, and looking costs as much as finding a row */
	if (conn->looked_at == now)
		return false;
	conn->looked_at = now;
	if (vssfdw_file_moved(conn))
		return true;
	return sqlite3_file_control(conn->db, "main", VSS_FCNTL_LOST, &lost) == SQLITE_OK && lost != 0;
}

VssConnection *
vssfdw_connect(Oid serverid)
{
	VssConnection *conn;
	bool found;

	if (connections == NULL)
		create_registry();
	vssfdw_guard_forget_refusal();

	conn = hash_search(connections, &serverid, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) conn + sizeof(Oid), 0, sizeof(VssConnection) - sizeof(Oid));
		dlist_init(&conn->holds);
		dlist_init(&conn->statements);
		conn->server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID, ObjectIdGetDatum(serverid));
	}
	vssfdw_touch(conn);

	if (conn->db != NULL && conn->xact_depth == 0 && conn->in_use == 0 && dlist_is_empty(&conn->statements) &&
		(conn->poisoned || conn->invalidated || look_for_move(conn)))
		vssfdw_close(conn);
	if (conn->db == NULL)
		open_connection(conn);
	else if (conn->poisoned)
		ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
						errmsg("connection to server \"%s\" is in an unknown state", conn->servername),
						errhint("Roll the transaction back; the next one opens the database anew.")));
	return conn;
}
