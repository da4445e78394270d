/*
 * module.c
 *		The virtual table `hnsw`.
 *
 *	CREATE TABLE x(embedding, distance REAL, q HIDDEN, k HIDDEN, ef HIDDEN,
 *				   strategy HIDDEN, stats HIDDEN, command HIDDEN, k0 HIDDEN, ...)
 *
 * k0 and so on are the key of the row, where that is in a WITHOUT ROWID table.
 *
 * Without q a scan gives the stored vectors by rowid.  With it, as in
 * vss(q, k), the rows nearest to q.  Writes touch SQLite's tables only, so that
 * transactions, savepoints and recovery are SQLite's own; there is nothing to
 * do at commit or rollback except to drop what was remembered for the
 * transaction.
 */
#include "sqlite_bridge/module/module.h"

#include <assert.h>
#include <string.h>

enum
{
	COLUMN_EMBEDDING,
	COLUMN_DISTANCE,
	COLUMN_QUERY,
	COLUMN_K,
	COLUMN_EF,
	COLUMN_STRATEGY,
	COLUMN_STATS,
	COLUMN_COMMAND,
	COLUMN_KEYS /* and those after it */
};

#define DECLARATION                                                                                          \
	"CREATE TABLE x(embedding, distance REAL, q HIDDEN, k HIDDEN, ef HIDDEN, strategy HIDDEN, "              \
	"stats HIDDEN, command HIDDEN, " BRIDGE_KEY_COLUMNS ")"

static const BridgeColumns columns = {.distance = COLUMN_DISTANCE,
									  .query = COLUMN_QUERY,
									  .k = COLUMN_K,
									  .ef = COLUMN_EF,
									  .table = -1,
									  .strategy = COLUMN_STRATEGY,
									  .stats = COLUMN_STATS};

typedef struct VssCursor
{
	sqlite3_vtab_cursor base;
	bool knn;
	BridgeQuery query;  /* where knn */
	sqlite3_stmt *scan; /* else, on a row unless eof */
	bool scan_by_rowid;
	int64_t scan_rowid;
	BridgeIndex *scanned; /* told of the scan's end; NULL: none */
	bool eof;
} VssCursor;

static int
fail_text(char **message, BridgeError *err)
{
	*message = err->message;
	return err->code;
}

/* ---------- connecting ---------- */

BridgeTable *
bridge_table_hold(BridgeTable *table)
{
	table->holders++;
	return table;
}

void
bridge_table_release(BridgeTable *table)
{
	assert(table == NULL || table->holders > 0);
	if (table == NULL || --table->holders > 0)
		return;
	bridge_store_close(table->store);
	sqlite3_free(table->conflicts);
	sqlite3_free(table);
}

static int
table_free(BridgeTable *table)
{
	if (table->index != NULL)
		bridge_index_disconnect(table->index, table);
	bridge_table_release(table);
	return SQLITE_OK;
}

static int
connect_table(sqlite3 *db, BridgeConnection *connection, const char *schema, const char *name,
			  sqlite3_vtab **out, BridgeError *err)
{
	BridgeTable *table = sqlite3_malloc64(sizeof(*table));
	int rc;

	*out = NULL;
	if (table == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	memset(table, 0, sizeof(*table));
	table->connection = connection;
	table->holders = 1;
	rc = bridge_enter(connection, err);
	if (rc == SQLITE_OK)
	{
		rc = bridge_store_open(db, schema, name, &table->store, err);
		if (rc == SQLITE_OK)
			rc = bridge_index_connect(connection, table, table->store, &table->index, err);
		bridge_leave(connection);
	}
	if (rc == SQLITE_OK)
	{
		rc = sqlite3_declare_vtab(db, DECLARATION);
		if (rc != SQLITE_OK)
			rc = bridge_error_db(err, db, "hnsw");
	}
	if (rc != SQLITE_OK)
	{
		table_free(table);
		return rc;
	}
	/* Reads and writes tables of its own database only: safe in any schema. */
	sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
	sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
	*out = &table->base;
	return SQLITE_OK;
}

/*
 * Schema and name of the table, copied: argv belongs to SQLite's schema, which
 * before 3.47 a statement of ours that fails or finds the schema changed can
 * make SQLite free while we work.
 */
typedef struct Name
{
	char *schema, *table;
} Name;

static int
copy_name(const char *const *argv, Name *name, BridgeError *err)
{
	name->schema = sqlite3_mprintf("%s", argv[1]);
	name->table = sqlite3_mprintf("%s", argv[2]);
	return name->schema != NULL && name->table != NULL ? SQLITE_OK
													   : bridge_error(err, SQLITE_NOMEM, "out of memory");
}

static void
free_name(Name *name)
{
	sqlite3_free(name->schema);
	sqlite3_free(name->table);
}

/* Everything that CREATE does, until the table is connected. */
static int
make_table(sqlite3 *db, const Name *name, const BridgeParams *params, BridgeError *err)
{
	BridgeFiles files;
	/* The path is looked at now, while the one who typed it can mend it. */
	int rc = bridge_files_locate(db, name->schema, name->table, params->path, &files, err);

	if (rc == SQLITE_OK && files.path != NULL)
		rc = bridge_merge_check_path(db, name->schema, name->table, files.path, err);
	bridge_files_free(&files);
	if (rc == SQLITE_OK)
		rc = bridge_store_create(db, name->schema, name->table, params, err);
	if (rc == SQLITE_OK && params->content != NULL)
		rc = bridge_content_create(db, name->schema, name->table, params, err);
	return rc;
}

static int
vss_create(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **message)
{
	BridgeParams params;
	BridgeError err = {0};
	Name name = {0};
	int rc = bridge_params_parse(argc - 3, argv + 3, &params, &err);

	if (rc != SQLITE_OK)
		return fail_text(message, &err);
	rc = copy_name(argv, &name, &err);
	if (rc == SQLITE_OK)
		rc = make_table(db, &name, &params, &err);
	bridge_params_free(&params);
	if (rc == SQLITE_OK)
		rc = connect_table(db, aux, name.schema, name.table, out, &err);
	free_name(&name);
	return rc == SQLITE_OK ? SQLITE_OK : fail_text(message, &err);
}

static int
vss_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **message)
{
	BridgeError err = {0};
	Name name = {0};
	int rc = copy_name(argv, &name, &err);

	if (rc == SQLITE_OK)
		rc = connect_table(db, aux, name.schema, name.table, out, &err);
	free_name(&name);
	return rc == SQLITE_OK ? SQLITE_OK : fail_text(message, &err);
}

static int
vss_disconnect(sqlite3_vtab *vtab)
{
	return table_free((BridgeTable *) vtab);
}

/* DROP TABLE.  The graph files go last, when nothing here can fail any more. */
static int
vss_destroy(sqlite3_vtab *vtab)
{
	BridgeTable *table = (BridgeTable *) vtab;
	BridgeStore *store = table->store;
	BridgeIndex *index = table->index;
	BridgeError err = {0};
	int rc = SQLITE_OK;

	if (store->params.content != NULL)
		rc = bridge_content_drop(store, &err);
	if (rc == SQLITE_OK)
		rc = bridge_store_drop(store, &err);
	if (rc != SQLITE_OK)
	{
		bridge_error_clear(&err); /* nobody asks xDestroy for its words */
		return rc;
	}
	/* Should the transaction roll back, the next merge makes the graph again. */
	bridge_index_forget(index);
	bridge_publish_unlink(&index->files);
	return table_free(table);
}

/*
 * A file named after the table goes with it.  Should the transaction roll back,
 * it is not found under the old name, and the next merge makes a new one.
 */
static void
rename_files(BridgeTable *table, const char *new_name)
{
	BridgeStore *store = table->store;
	BridgeState state;
	BridgeFiles files;
	BridgeError err = {0};

	if (store->params.path == NULL && bridge_content_state(store, &state, 0, NULL, NULL, &err) == SQLITE_OK &&
		bridge_files_locate(store->db, store->schema, new_name, NULL, &files, &err) == SQLITE_OK)
	{
		for (int i = 0; i < state.segment_count; i++)
			bridge_files_move(&table->index->files, &files, state.segments[i].token);
		bridge_publish_unlink(&table->index->files);
		bridge_files_free(&files);
	}
	bridge_error_clear(&err);
	bridge_store_release(store);
}

static int
vss_rename(sqlite3_vtab *vtab, const char *new_name)
{
	BridgeTable *table = (BridgeTable *) vtab;
	BridgeStore *store = table->store;
	BridgeError err = {0};
	int rc = SQLITE_OK;

	if (store->params.content != NULL && !store->journal)
		rc = bridge_error(&err, SQLITE_ERROR,
						  "%s was made by an earlier version: SELECT hnsw_save('%s') first, then rename it",
						  store->table, store->table);
	if (rc == SQLITE_OK && store->params.content != NULL)
		rc = bridge_content_rename(store, new_name, &err);
	if (rc == SQLITE_OK)
		rename_files(table, new_name);
	if (rc == SQLITE_OK)
		rc = bridge_store_rename(store, new_name, &err);
	return rc == SQLITE_OK ? SQLITE_OK : bridge_rowset_fail(vtab, &err);
}

static int
vss_shadow_name(const char *suffix)
{
	return sqlite3_stricmp(suffix, "config") == 0 || sqlite3_stricmp(suffix, "delta") == 0 ||
		   sqlite3_stricmp(suffix, "vectors") == 0 || sqlite3_stricmp(suffix, "keys") == 0 ||
		   sqlite3_stricmp(suffix, "canary") == 0;
}

/* ---------- reading ---------- */

static int
vss_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
	int rc = bridge_plan(&columns, info);

	/* A scan meets the rows of a table without rowids in the order of their keys. */
	if ((info->idxNum & 1 << ARG_QUERY) == 0 && bridge_store_is_keyed(((BridgeTable *) vtab)->store))
		info->orderByConsumed = 0;
	return rc;
}

static int
vss_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
	return bridge_rowset_open(sizeof(VssCursor), out);
}

static void
scan_end(VssCursor *cursor)
{
	sqlite3_finalize(cursor->scan);
	cursor->scan = NULL;
	if (cursor->scanned != NULL)
		bridge_index_read_end(cursor->scanned);
	cursor->scanned = NULL;
}

static int
vss_close(sqlite3_vtab_cursor *base)
{
	VssCursor *cursor = (VssCursor *) base;

	bridge_query_free(&cursor->query);
	scan_end(cursor);
	sqlite3_free(cursor);
	return SQLITE_OK;
}

static int
scan_step(VssCursor *cursor)
{
	BridgeTable *table = (BridgeTable *) cursor->base.pVtab;
	BridgeError err = {0};
	int rc = bridge_enter(table->connection, &err);

	cursor->eof = true;
	if (rc != SQLITE_OK)
		return bridge_rowset_fail(cursor->base.pVtab, &err);
	rc = sqlite3_step(cursor->scan);
	bridge_leave(table->connection);
	cursor->eof = rc != SQLITE_ROW;
	if (rc == SQLITE_ROW &&
		bridge_store_row_label(table->store, cursor->scan, 0, 2, &cursor->scan_rowid, &err) != SQLITE_OK)
		return bridge_rowset_fail(cursor->base.pVtab, &err);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return SQLITE_OK;
	bridge_error_db(&err, table->store->db, "%s", table->store->table);
	return bridge_rowset_fail(cursor->base.pVtab, &err);
}

static int
scan_start(VssCursor *cursor, sqlite3_value *asked)
{
	BridgeTable *table = (BridgeTable *) cursor->base.pVtab;
	BridgeStore *store = table->store;
	bool by_rowid = asked != NULL;
	int64_t rowid = 0;
	BridgeError err = {0};

	cursor->eof = true;
	if (by_rowid && !bridge_whole_number(asked, &rowid))
		return SQLITE_OK;
	/* The statement serves again for another row that it can find. */
	if (cursor->scan_by_rowid != by_rowid || bridge_label_is_new(store, cursor->scan_rowid) ||
		bridge_label_is_new(store, rowid))
		scan_end(cursor);
	if (bridge_content_look(store, &err) != SQLITE_OK)
		return bridge_rowset_fail(cursor->base.pVtab, &err);
	if (cursor->scanned == NULL)
		bridge_index_read(cursor->scanned = table->index);
	if (cursor->scan == NULL &&
		(by_rowid ? bridge_store_truth_select_row(store, rowid, &cursor->scan, &err)
				  : bridge_store_truth_select(store, &cursor->scan, &err)) != SQLITE_OK)
		return bridge_rowset_fail(cursor->base.pVtab, &err);
	sqlite3_reset(cursor->scan);
	cursor->scan_by_rowid = by_rowid;
	cursor->scan_rowid = rowid;
	if (by_rowid)
		bridge_store_bind_label(store, rowid, cursor->scan);
	return scan_step(cursor);
}

static int
vss_filter(sqlite3_vtab_cursor *base, int plan, const char *plan_text, int argc, sqlite3_value **argv)
{
	VssCursor *cursor = (VssCursor *) base;
	BridgeTable *table = (BridgeTable *) base->pVtab;
	BridgeArguments asked = bridge_plan_arguments(plan, argv);
	BridgeError err = {0};

	cursor->knn = asked.value[ARG_QUERY] != NULL;
	if (!cursor->knn)
		return scan_start(cursor, asked.value[ARG_ROWID]);
	if (bridge_enter(table->connection, &err) == SQLITE_OK)
	{
		bridge_query_start(&cursor->query, table->index, &asked, &err);
		bridge_leave(table->connection);
	}
	return err.code == SQLITE_OK ? SQLITE_OK : bridge_rowset_fail(base->pVtab, &err);
}

static int
vss_next(sqlite3_vtab_cursor *base)
{
	VssCursor *cursor = (VssCursor *) base;
	BridgeConnection *connection = ((BridgeTable *) base->pVtab)->connection;
	BridgeError err = {0};

	if (!cursor->knn)
		return scan_step(cursor);
	if (bridge_enter(connection, &err) == SQLITE_OK)
	{
		bridge_query_next(&cursor->query, &err);
		bridge_leave(connection);
	}
	return err.code == SQLITE_OK ? SQLITE_OK : bridge_rowset_fail(base->pVtab, &err);
}

static int
vss_eof(sqlite3_vtab_cursor *base)
{
	VssCursor *cursor = (VssCursor *) base;

	return cursor->knn ? cursor->query.eof : cursor->eof;
}

/* The stored vector of a row that a KNN scan gave. */
static int
result_embedding(BridgeTable *table, sqlite3_context *context, int64_t rowid)
{
	sqlite3_stmt *stmt;
	BridgeError err = {0};
	int rc = bridge_enter(table->connection, &err);

	if (rc == SQLITE_OK)
	{
		rc = bridge_store_truth_value(table->store, rowid, &stmt, &err);
		bridge_leave(table->connection);
	}
	if (rc != SQLITE_OK)
		return bridge_rowset_fail(&table->base, &err);
	if (stmt != NULL)
	{
		sqlite3_result_value(context, sqlite3_column_value(stmt, 0));
		sqlite3_reset(stmt);
	}
	return SQLITE_OK;
}

static int
vss_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
	VssCursor *cursor = (VssCursor *) base;
	BridgeError err = {0};

	if (column >= COLUMN_KEYS)
	{
		int64_t rowid = cursor->knn ? cursor->query.row.label : cursor->scan_rowid;
		int rc = bridge_store_result_key(((BridgeTable *) base->pVtab)->store, rowid, column - COLUMN_KEYS,
										 context, &err);

		return rc == SQLITE_OK ? SQLITE_OK : bridge_rowset_fail(base->pVtab, &err);
	}
	if (!cursor->knn)
	{
		if (column == COLUMN_EMBEDDING)
			sqlite3_result_value(context, sqlite3_column_value(cursor->scan, 1));
		return SQLITE_OK;
	}
	switch (column)
	{
		case COLUMN_DISTANCE:
			if (cursor->query.strategy != BRIDGE_UNPLACED)
				sqlite3_result_double(context, cursor->query.row.distance);
			break;
		case COLUMN_EMBEDDING:
			if (!sqlite3_vtab_nochange(context))
				return result_embedding((BridgeTable *) base->pVtab, context, cursor->query.row.label);
			break;
		case COLUMN_K:
			if (cursor->query.k >= 0)
				sqlite3_result_int64(context, cursor->query.k);
			break;
		case COLUMN_EF:
			sqlite3_result_int(context, cursor->query.ef);
			break;
	}
	return SQLITE_OK;
}

static int
vss_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid)
{
	VssCursor *cursor = (VssCursor *) base;

	*rowid = cursor->knn ? cursor->query.row.label : cursor->scan_rowid;
	return SQLITE_OK;
}

/* ---------- transactions ---------- */

/*
 * SQLite calls xRollbackTo only where xSavepoint exists, and needs xBegin for
 * any of them.  The tables roll back by themselves, and the cached delta finds out
 * by its tag.
 */
static int
vss_begin(sqlite3_vtab *vtab)
{
	return SQLITE_OK;
}

static int
vss_commit(sqlite3_vtab *vtab)
{
	BridgeTable *table = (BridgeTable *) vtab;
	BridgeIndex *index = table->index;

	/* Loads without searches have their merges too. */
	index->committed += table->changes;
	if (bridge_merge_is_due(-1, index->committed))
	{
		index->committed = 0;
		index->merge_due = true;
		bridge_merge_request(index);
	}
	table->changes = 0;
	table->conflict_count = 0;
	return SQLITE_OK;
}

static int
vss_rollback(sqlite3_vtab *vtab)
{
	((BridgeTable *) vtab)->changes = 0;
	((BridgeTable *) vtab)->conflict_count = 0;
	return SQLITE_OK;
}

static int
vss_savepoint(sqlite3_vtab *vtab, int savepoint)
{
	return SQLITE_OK;
}

#if SQLITE_VERSION_NUMBER >= 3044000
/* PRAGMA integrity_check and quick_check: what hnsw_check finds. */
static int
vss_integrity(sqlite3_vtab *vtab, const char *schema, const char *name, int flags, char **message)
{
	BridgeStore *store = ((BridgeTable *) vtab)->store;
	sqlite3_stmt *stmt = NULL;
	char *sql;
	int rc;

	if (flags != 0)
		return SQLITE_OK; /* quick_check reads no vectors */
	sql = sqlite3_mprintf("SELECT hnsw_check('%q.%q')", schema, name);
	if (sql == NULL)
		return SQLITE_NOMEM;
	rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
	sqlite3_free(sql);
	if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
	{
		const char *findings = (const char *) sqlite3_column_text(stmt, 0);

		if (findings != NULL && strcmp(findings, "ok") != 0)
			*message = sqlite3_mprintf("%s: %s", name, findings);
	}
	rc = sqlite3_finalize(stmt);
	if ((rc & 0xff) == SQLITE_NOMEM || (rc & 0xff) == SQLITE_INTERRUPT)
		return rc;
	if (rc != SQLITE_OK && *message == NULL)
		*message = sqlite3_mprintf("%s: %s", name, sqlite3_errmsg(store->db));
	return SQLITE_OK;
}
#endif

static const sqlite3_module vss_module = {
#if SQLITE_VERSION_NUMBER >= 3044000
	.iVersion = 4,
	.xIntegrity = vss_integrity,
#else
	.iVersion = 3,
#endif
	.xCreate = vss_create,
	.xConnect = vss_connect,
	.xBestIndex = vss_best_index,
	.xDisconnect = vss_disconnect,
	.xDestroy = vss_destroy,
	.xOpen = vss_open,
	.xClose = vss_close,
	.xFilter = vss_filter,
	.xNext = vss_next,
	.xEof = vss_eof,
	.xColumn = vss_column,
	.xRowid = vss_rowid,
	.xUpdate = bridge_update,
	.xBegin = vss_begin,
	.xCommit = vss_commit,
	.xRollback = vss_rollback,
	.xRename = vss_rename,
	.xSavepoint = vss_savepoint,
	.xRelease = vss_savepoint,
	.xRollbackTo = vss_savepoint,
	.xShadowName = vss_shadow_name,
};

int
bridge_module_register(BridgeConnection *connection, BridgeError *err)
{
	int rc = sqlite3_create_module_v2(connection->db, "hnsw", &vss_module, bridge_connection_hold(connection),
									  bridge_connection_release);

	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, connection->db, "hnsw");
}
