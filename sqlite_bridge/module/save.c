/*
 * save.c
 *		hnsw_save([table [, when]]) and hnsw_rebuild([table]): merges on request; hnsw_due():
 *		whether one is due.
 *
 * Both wait for the merge and return how many vectors the graph holds.
 * hnsw_save(table, 'due') does what the merge thread would do: nothing, and
 * NULL, where no merge is due or where somebody is at it already; 'damaged'
 * is the same after somebody found the graph file damaged, and so verifies it.
 *
 * They run it on a second connection, so the caller's must not hold a
 * transaction that this one would wait for.  They are DIRECTONLY: nothing in a
 * schema may start such work.
 */
#include "sqlite_bridge/module/module.h"

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

	if (sqlite3_db_readonly(db, schema) == 1)
		return bridge_error(err, SQLITE_READONLY, "this connection has the database open read-only");
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

typedef enum Occasion
{
	NOW,
	IF_DUE,
	IF_DAMAGED, /* or due */
	REBUILD
} Occasion;

static int
merge(BridgeConnection *connection, const char *name, Occasion occasion, BridgeMergeResult *result,
	  BridgeError *err)
{
	Caller caller = {.connection = connection, .thread = pthread_self()};
	bool rebuild = occasion == REBUILD;
	BridgeMergeTask task = {0};
	BridgeIndex *index;
	int rc = bridge_find_index(connection, name, &index, err);

	if (rc == SQLITE_OK)
		rc = check_idle(connection->db, index->schema, err);
	if (rc != SQLITE_OK)
		return rc;

	task.id = index->id;
	task.host_mode = connection->host.file_mode;
	task.threads = connection->host.build_threads;
	task.busy_ms = BUSY_MS;
	task.if_due = occasion == IF_DUE || occasion == IF_DAMAGED;
	task.verify = occasion == IF_DAMAGED;
	task.lock_ms = task.if_due ? 0 : LOCK_MS;
	task.rebuild = rebuild;
	task.ghosts = index->ghosts || !task.if_due;
	task.distrusts = index->rejected;
	memcpy(task.distrusted, index->rejected_token, HNSW_TOKEN_BYTES);
	task.cancelled = caller_cancelled;
	task.progress = connection->host.progress != NULL ? report_progress : NULL;
	task.arg = &caller;
	if (index->files.path == NULL && task.if_due)
		return SQLITE_OK; /* nobody merges these but on request */
	if (index->files.path == NULL)
		rc = bridge_merge_memory(&task, index, result, err);
	else
		rc = merge_file(connection, index, &task, result, err);
	if (rc == SQLITE_OK && bridge_find_index(connection, name, &index, err) == SQLITE_OK)
		index->merge_due = index->ghosts = false;
	return rc;
}

/* The second argument of hnsw_save. */
static int
read_occasion(sqlite3_value *value, Occasion *occasion, BridgeError *err)
{
	const char *when = (const char *) sqlite3_value_text(value);

	if (when != NULL && sqlite3_stricmp(when, "due") == 0)
		*occasion = IF_DUE;
	else if (when != NULL && sqlite3_stricmp(when, "damaged") == 0)
		*occasion = IF_DAMAGED;
	else
		return bridge_error(err, SQLITE_ERROR, "the second argument must be 'due' or 'damaged', not %s",
							when ? when : "NULL");
	return SQLITE_OK;
}

static void
run(sqlite3_context *context, const char *function, int argc, sqlite3_value **argv, Occasion occasion)
{
	BridgeMergeResult result = {0};
	BridgeError err = {0};
	const char *name = argc > 0 ? (const char *) sqlite3_value_text(argv[0]) : NULL;
	int rc = argc > 1 ? read_occasion(argv[1], &occasion, &err) : SQLITE_OK;
	bool optional = rc == SQLITE_OK && (occasion == IF_DUE || occasion == IF_DAMAGED);

	if (rc == SQLITE_OK)
		rc = merge(sqlite3_user_data(context), name, occasion, &result, &err);
	if (result.warning != NULL)
		sqlite3_log(SQLITE_WARNING, "%s: %s", function, result.warning);
	sqlite3_free(result.warning);
	if (rc == SQLITE_OK)
	{
		bridge_error_clear(&err);
		if (result.merged || !optional)
			sqlite3_result_int64(context, (sqlite3_int64) result.rows);
		return;
	}
	if (optional && result.locked_out)
	{
		bridge_error_clear(&err);
		return;
	}
	bridge_error_prefix(&err, "%s", function);
	bridge_error_result(context, &err);
}

static void
save_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	run(context, "hnsw_save", argc, argv, NOW);
}

static void
rebuild_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	run(context, "hnsw_rebuild", argc, argv, REBUILD);
}

/*
 * hnsw_due(): asks for the merges that are due of indexes of the main database that follow
 * a content table, as a search of them would, and returns how many there are.  For hosts that
 * write such tables and search seldom: its triggers tell nobody.
 */
static void
due_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	BridgeConnection *connection = sqlite3_user_data(context);
	BridgeError err = {0};
	char **names;
	int count;
	int due = 0;
	int rc = bridge_index_names(connection->db, "main", &names, &count, &err);

	for (int i = 0; i < count && rc == SQLITE_OK; i++)
	{
		char *name = sqlite3_mprintf("main.%s", names[i]);
		BridgeIndex *index;
		BridgeState state;
		BridgeTable *held;

		if (name == NULL)
			rc = bridge_error(&err, SQLITE_NOMEM, "out of memory");
		else
			rc = bridge_find_index(connection, name, &index, &err);
		sqlite3_free(name);
		if (rc != SQLITE_OK)
			break;
		held = bridge_table_hold(index->connected);
		if (held->store->params.content != NULL)
		{
			rc = bridge_content_state(held->store, &state, 0, NULL, NULL, &err);
			/* The merge itself looks closer. */
			if (rc == SQLITE_OK && (!held->store->journal || state.verdict != BRIDGE_FOLLOWED ||
									bridge_merge_is_due(0, state.counter - state.position)))
			{
				due++;
				index->merge_due = true;
				bridge_merge_request(index);
			}
		}
		bridge_table_release(held);
	}
	bridge_index_names_free(names, count);
	if (rc == SQLITE_OK)
		sqlite3_result_int(context, due);
	else
	{
		bridge_error_prefix(&err, "hnsw_due");
		bridge_error_result(context, &err);
	}
}

/* hnsw_config('merge') tells, hnsw_config('merge', 'on' | 'off') sets whether this connection has merges made. */
static void
config_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	BridgeConnection *connection = sqlite3_user_data(context);
	const char *name = (const char *) sqlite3_value_text(argv[0]);
	const char *value = argc > 1 ? (const char *) sqlite3_value_text(argv[1]) : NULL;
	BridgeError err = {0};

	if (name == NULL || sqlite3_stricmp(name, "merge") != 0)
		bridge_error(&err, SQLITE_ERROR, "hnsw_config: unknown setting \"%s\"; there is merge",
					 name != NULL ? name : "NULL");
	else if (argc > 1 &&
			 (value == NULL || (sqlite3_stricmp(value, "on") != 0 && sqlite3_stricmp(value, "off") != 0)))
		bridge_error(&err, SQLITE_ERROR, "hnsw_config: \"merge\" must be on or off, not \"%s\"",
					 value != NULL ? value : "NULL");
	if (err.message != NULL)
	{
		bridge_error_result(context, &err);
		return;
	}
	if (value != NULL)
		connection->merge_off = sqlite3_stricmp(value, "off") == 0;
	sqlite3_result_text(context, connection->host.merge_thread && !connection->merge_off ? "on" : "off", -1,
						SQLITE_STATIC);
}

int
bridge_merge_register(BridgeConnection *connection, BridgeError *err)
{
	static const struct
	{
		const char *name;
		int arguments;
		void (*function)(sqlite3_context *, int, sqlite3_value **);
	} functions[] = {{"hnsw_save", 0, save_function},       {"hnsw_save", 1, save_function},
					 {"hnsw_save", 2, save_function},       {"hnsw_rebuild", 0, rebuild_function},
					 {"hnsw_rebuild", 1, rebuild_function}, {"hnsw_due", 0, due_function},
					 {"hnsw_config", 1, config_function},   {"hnsw_config", 2, config_function}};

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
	{
		int rc = sqlite3_create_function_v2(
			connection->db, functions[i].name, functions[i].arguments, SQLITE_UTF8 | SQLITE_DIRECTONLY,
			bridge_connection_hold(connection), functions[i].function, NULL, NULL, bridge_connection_release);

		if (rc != SQLITE_OK)
			return bridge_error_db(err, connection->db, "registering %s", functions[i].name);
	}
	return SQLITE_OK;
}
