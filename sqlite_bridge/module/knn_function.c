/*
 * knn_function.c
 *		The rowset vss_knn(vec, k [, ef [, table]]).
 *
 *	CREATE TABLE x(distance REAL, vec HIDDEN, k HIDDEN, ef HIDDEN, "table" HIDDEN, k0 HIDDEN, ...)
 *
 * It scans as the named table itself does.  As long as a cursor may read that
 * table, a prepared statement on it is kept, the guard.  The guard makes SQLite
 * connect the table, notice changes of the schema, and keep the table object
 * alive.  A guard that is free waits for the next cursor.
 */
#include "sqlite_bridge/module/module.h"

#include <string.h>

enum
{
	COLUMN_DISTANCE,
	COLUMN_VECTOR,
	COLUMN_K,
	COLUMN_EF,
	COLUMN_TABLE,
	COLUMN_KEYS /* and those after it: the key of the row, where that is in a WITHOUT ROWID table */
};

#define DECLARATION                                                                                          \
	"CREATE TABLE x(distance REAL, vec HIDDEN, k HIDDEN, ef HIDDEN, \"table\" HIDDEN, " BRIDGE_KEY_COLUMNS ")"

static const BridgeColumns columns = {.distance = COLUMN_DISTANCE,
									  .query = COLUMN_VECTOR,
									  .k = COLUMN_K,
									  .ef = COLUMN_EF,
									  .table = COLUMN_TABLE,
									  .strategy = -1,
									  .stats = -1};

/* A statement on schema.table; all NULL before the first search. */
typedef struct Guard
{
	sqlite3_stmt *stmt;
	char *schema, *table;
} Guard;

typedef struct KnnTable
{
	sqlite3_vtab base;
	BridgeConnection *connection;
	Guard idle;
} KnnTable;

typedef struct KnnCursor
{
	sqlite3_vtab_cursor base;
	BridgeQuery query;
	Guard guard;
} KnnCursor;

static void
guard_free(Guard *guard)
{
	sqlite3_finalize(guard->stmt);
	sqlite3_free(guard->schema);
	sqlite3_free(guard->table);
	memset(guard, 0, sizeof(*guard));
}

static int
knn_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **message)
{
	int rc = bridge_rowset_connect(db, DECLARATION, sizeof(KnnTable), out);

	if (rc != SQLITE_OK)
		return rc;
	((KnnTable *) *out)->connection = aux;
	bridge_rowset_uses_all_schemas(db);
	return SQLITE_OK;
}

static int
knn_disconnect(sqlite3_vtab *vtab)
{
	guard_free(&((KnnTable *) vtab)->idle);
	sqlite3_free(vtab);
	return SQLITE_OK;
}

static int
knn_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
	return bridge_plan(&columns, info);
}

static int
knn_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
	int rc = bridge_rowset_open(sizeof(KnnCursor), out);

	if (rc == SQLITE_OK)
		((KnnCursor *) *out)->query.eof = true;
	return rc;
}

/* The scan first: it reads what the guard keeps alive. */
static int
knn_close(sqlite3_vtab_cursor *base)
{
	KnnCursor *cursor = (KnnCursor *) base;
	KnnTable *table = (KnnTable *) base->pVtab;

	bridge_query_free(&cursor->query);
	guard_free(&table->idle);
	table->idle = cursor->guard;
	sqlite3_free(cursor);
	return SQLITE_OK;
}

/* Have cursor->guard be one on this table; takes over the names. */
static int
take_guard(KnnCursor *cursor, char *schema, char *table, BridgeError *err)
{
	KnnTable *knn = (KnnTable *) cursor->base.pVtab;
	Guard *guard = &cursor->guard;
	char *sql;
	int rc = SQLITE_OK;

	if (guard->stmt == NULL)
	{
		*guard = knn->idle;
		memset(&knn->idle, 0, sizeof(knn->idle));
	}
	if (guard->stmt != NULL && strcmp(guard->schema, schema) == 0 && strcmp(guard->table, table) == 0)
	{
		sqlite3_free(schema);
		sqlite3_free(table);
		return SQLITE_OK;
	}
	guard_free(guard);
	guard->schema = schema;
	guard->table = table;
	sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\" WHERE 0", schema, table);
	if (sql == NULL)
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	else if (sqlite3_prepare_v2(knn->connection->db, sql, -1, &guard->stmt, NULL) != SQLITE_OK)
		rc = bridge_error_db(err, knn->connection->db, "vss_knn: table %s", table);
	sqlite3_free(sql);
	return rc;
}

/* Running the guard starts the read transaction, and reconnects the table if the schema moved. */
static int
enter_table(KnnCursor *cursor, const char *name, BridgeIndex **index, BridgeError *err)
{
	BridgeConnection *connection = ((KnnTable *) cursor->base.pVtab)->connection;
	char *schema, *table;
	int rc = bridge_find_name(connection, name, &schema, &table, err);

	if (rc == SQLITE_OK)
		rc = take_guard(cursor, schema, table, err);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_step(cursor->guard.stmt);
	if (sqlite3_reset(cursor->guard.stmt) != SQLITE_OK)
		return bridge_error_db(err, connection->db, "vss_knn: table %s", cursor->guard.table);
	return bridge_find_connected(connection, cursor->guard.schema, cursor->guard.table, index, err);
}

static int
knn_filter(sqlite3_vtab_cursor *base, int plan, const char *plan_text, int argc, sqlite3_value **argv)
{
	KnnCursor *cursor = (KnnCursor *) base;
	BridgeConnection *connection = ((KnnTable *) base->pVtab)->connection;
	BridgeArguments asked = bridge_plan_arguments(plan, argv);
	sqlite3_value *name_value = asked.value[ARG_TABLE];
	const char *name = name_value == NULL ? NULL : (const char *) sqlite3_value_text(name_value);
	BridgeIndex *index;
	BridgeError err = {0};
	int rc;

	bridge_query_finish(&cursor->query);
	rc = bridge_enter(connection, &err);
	if (rc != SQLITE_OK)
		return bridge_rowset_fail(base->pVtab, &err);
	rc = enter_table(cursor, name, &index, &err);
	if (rc == SQLITE_OK)
		rc = bridge_query_start(&cursor->query, index, &asked, &err);
	bridge_leave(connection);
	return rc == SQLITE_OK ? SQLITE_OK : bridge_rowset_fail(base->pVtab, &err);
}

static int
knn_next(sqlite3_vtab_cursor *base)
{
	BridgeConnection *connection = ((KnnTable *) base->pVtab)->connection;
	BridgeError err = {0};
	int rc = bridge_enter(connection, &err);

	if (rc == SQLITE_OK)
	{
		rc = bridge_query_next(&((KnnCursor *) base)->query, &err);
		bridge_leave(connection);
	}
	return rc == SQLITE_OK ? SQLITE_OK : bridge_rowset_fail(base->pVtab, &err);
}

static int
knn_eof(sqlite3_vtab_cursor *base)
{
	return ((KnnCursor *) base)->query.eof;
}

static int
knn_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
	KnnCursor *cursor = (KnnCursor *) base;
	BridgeError err = {0};

	if (column >= COLUMN_KEYS)
	{
		if (bridge_store_result_key(bridge_index_store(cursor->query.index), cursor->query.row.label,
									column - COLUMN_KEYS, context, &err) != SQLITE_OK)
			return bridge_rowset_fail(base->pVtab, &err);
	}
	else if (column == COLUMN_DISTANCE)
		sqlite3_result_double(context, cursor->query.row.distance);
	else if (column == COLUMN_K && cursor->query.k >= 0)
		sqlite3_result_int64(context, cursor->query.k);
	else if (column == COLUMN_EF)
		sqlite3_result_int(context, cursor->query.ef);
	else if (column == COLUMN_TABLE)
		sqlite3_result_text(context, cursor->guard.table, -1, SQLITE_TRANSIENT);
	return SQLITE_OK;
}

static int
knn_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid)
{
	*rowid = ((KnnCursor *) base)->query.row.label;
	return SQLITE_OK;
}

/* No xCreate: the table exists without being made. */
static const sqlite3_module knn_module = {
	.iVersion = 0,
	.xConnect = knn_connect,
	.xBestIndex = knn_best_index,
	.xDisconnect = knn_disconnect,
	.xDestroy = NULL,
	.xOpen = knn_open,
	.xClose = knn_close,
	.xFilter = knn_filter,
	.xNext = knn_next,
	.xEof = knn_eof,
	.xColumn = knn_column,
	.xRowid = knn_rowid,
};

int
bridge_knn_register(BridgeConnection *connection, BridgeError *err)
{
	int rc = sqlite3_create_module_v2(connection->db, "vss_knn", &knn_module,
									  bridge_connection_hold(connection), bridge_connection_release);

	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, connection->db, "vss_knn");
}
