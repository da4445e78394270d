/*
 * save.c
 *		hnsw_save([table]) and hnsw_rebuild([table]): merges on request.
 *
 * Both wait for the merge and return how many vectors the graph holds.  They
 * run it on a second connection, so the caller's must not hold a transaction
 * that this one would wait for.  They are DIRECTONLY: nothing in a schema may
 * start such work.
 */
#include "sqlite_bridge/bridge_int.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define BUSY_MS 30000  /* for the database, like a patient busy_timeout */
#define LOCK_MS 600000 /* for another merge of the same index */

/*
 * The caller of a merge.  Its connection may be asked for an interrupt only on
 * the caller's own thread; the threads of the build see what that has seen.
 */
typedef struct Caller
{
	BridgeConnection *connection;
	pthread_t thread;
	_Atomic bool stopped;
} Caller;

static bool
caller_cancelled(void *arg)
{
	Caller *caller = arg;
	const BridgeHost *host = &caller->connection->host;

	if (atomic_load_explicit(&caller->stopped, memory_order_relaxed))
		return true;
	if (pthread_equal(pthread_self(), caller->thread) ? bridge_cancelled(caller->connection)
													  : host->cancelled != NULL && host->cancelled(host->arg))
		atomic_store_explicit(&caller->stopped, true, memory_order_relaxed);
	return atomic_load_explicit(&caller->stopped, memory_order_relaxed);
}

static void
report_progress(void *arg, BridgePhase phase, uint64_t done, uint64_t total)
{
	const BridgeConnection *connection = ((Caller *) arg)->connection;

	connection->host.progress(connection->host.arg, bridge_phase_name(phase), done, total);
}

/*
 * Statements of this connection that are still reading would keep a merge in a
 * rollback-journal database from ever committing.
 */
static int
check_idle(sqlite3 *db, const char *schema, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql;
	bool wal;
	int rc;

	if (!sqlite3_get_autocommit(db))
		return bridge_error(err, SQLITE_ERROR, "not inside a transaction: COMMIT or ROLLBACK first");
	if (sqlite3_txn_state(db, schema) == SQLITE_TXN_NONE)
		return SQLITE_OK;
	sql = sqlite3_mprintf("PRAGMA \"%w\".journal_mode", schema);
	rc = sql ? sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;
	wal = rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW &&
		  sqlite3_stricmp((const char *) sqlite3_column_text(stmt, 0), "wal") == 0;
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	if (rc != SQLITE_OK)
		return bridge_error_db(err, db, "reading the journal mode");
	if (!wal)
		return bridge_error(err, SQLITE_BUSY,
							"this connection is still reading; finish its statements first");
	return SQLITE_OK;
}

/* Triggers as they should be today: unique indexes come and go. */
static int
refresh_triggers(BridgeConnection *connection, const BridgeIndex *index, const BridgeStore *store,
				 BridgeError *err)
{
	char *sql = NULL;
	int rc;

	if (store->params.content == NULL)
		return SQLITE_OK;
	rc = bridge_content_missing(connection->db, index->schema, index->table, &store->params, &sql, err);
	if (rc == SQLITE_OK && sql != NULL)
	{
		rc = bridge_exec(connection->db, err, "SAVEPOINT hnsw_rebuild; %s; RELEASE hnsw_rebuild", sql);
		if (rc != SQLITE_OK)
			sqlite3_exec(connection->db, "ROLLBACK TO hnsw_rebuild; RELEASE hnsw_rebuild", NULL, NULL, NULL);
	}
	sqlite3_free(sql);
	return rc;
}

/* What the merge needs of the index, copied: DDL elsewhere may take the index away. */
static int
merge_file(BridgeConnection *connection, const BridgeIndex *index, BridgeMergeTask *task,
		   BridgeMergeResult *result, BridgeError *err)
{
	sqlite3_vfs *vfs = NULL;
	BridgeFiles files = index->files;
	char *table = sqlite3_mprintf("%s", index->table);
	int rc;

	files.path = sqlite3_mprintf("%s", index->files.path);
	files.database = sqlite3_mprintf("%s", index->files.database);
	sqlite3_file_control(connection->db, index->schema, SQLITE_FCNTL_VFS_POINTER, &vfs);
	task->files = &files;
	task->table = table;
	if (table == NULL || files.path == NULL || files.database == NULL)
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	else
		rc = bridge_merge_run(task, vfs ? vfs->zName : NULL, result, err);
	bridge_files_free(&files);
	sqlite3_free(table);
	return rc;
}

static int
merge(BridgeConnection *connection, const char *name, bool rebuild, BridgeMergeResult *result,
	  BridgeError *err)
{
	Caller caller = {.connection = connection, .thread = pthread_self()};
	BridgeMergeTask task = {0};
	BridgeIndex *index;
	int rc = bridge_find_index(connection, name, &index, err);

	if (rc == SQLITE_OK)
		rc = check_idle(connection->db, index->schema, err);
	if (rc == SQLITE_OK && rebuild)
		rc = refresh_triggers(connection, index, bridge_index_store(index), err);
	if (rc == SQLITE_OK && rebuild) /* new triggers may have made SQLite connect the table anew */
		rc = bridge_find_index(connection, name, &index, err);
	if (rc != SQLITE_OK)
		return rc;

	task.id = index->id;
	task.host_mode = connection->host.file_mode;
	task.threads = connection->host.build_threads;
	task.busy_ms = BUSY_MS;
	task.lock_ms = LOCK_MS;
	task.rebuild = rebuild;
	task.distrusts = index->rejected;
	memcpy(task.distrusted, index->rejected_token, HNSW_TOKEN_BYTES);
	task.cancelled = caller_cancelled;
	task.progress = connection->host.progress != NULL ? report_progress : NULL;
	task.arg = &caller;
	if (index->files.path == NULL)
		rc = bridge_merge_memory(&task, index, result, err);
	else
		rc = merge_file(connection, index, &task, result, err);
	if (rc == SQLITE_OK && bridge_find_index(connection, name, &index, err) == SQLITE_OK)
		index->merge_due = false;
	return rc;
}

static void
run(sqlite3_context *context, const char *function, int argc, sqlite3_value **argv, bool rebuild)
{
	BridgeMergeResult result = {0};
	BridgeError err = {0};
	const char *name = argc > 0 ? (const char *) sqlite3_value_text(argv[0]) : NULL;
	int rc = merge(sqlite3_user_data(context), name, rebuild, &result, &err);

	if (result.warning != NULL)
		sqlite3_log(SQLITE_WARNING, "%s: %s", function, result.warning);
	sqlite3_free(result.warning);
	if (rc == SQLITE_OK)
	{
		bridge_error_clear(&err);
		sqlite3_result_int64(context, (sqlite3_int64) result.nodes);
		return;
	}
	bridge_error_prefix(&err, "%s", function);
	bridge_error_result(context, &err);
}

static void
save_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	run(context, "hnsw_save", argc, argv, false);
}

static void
rebuild_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	run(context, "hnsw_rebuild", argc, argv, true);
}

int
bridge_merge_register(BridgeConnection *connection, BridgeError *err)
{
	for (int arguments = 0; arguments <= 1; arguments++)
	{
		const int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
		int rc = sqlite3_create_function_v2(connection->db, "hnsw_save", arguments, flags,
											bridge_connection_hold(connection), save_function, NULL, NULL,
											bridge_connection_release);

		if (rc == SQLITE_OK)
			rc = sqlite3_create_function_v2(connection->db, "hnsw_rebuild", arguments, flags,
											bridge_connection_hold(connection), rebuild_function, NULL, NULL,
											bridge_connection_release);
		if (rc != SQLITE_OK)
			return bridge_error_db(err, connection->db, "registering hnsw_save");
	}
	return SQLITE_OK;
}
