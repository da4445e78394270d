/*
 * indexes.c
 *		The rowset hnsw_indexes: every hnsw table of every attached database,
 *		with the tables that feed it.
 *
 * One row an index and source; an index that nothing feeds has one row with
 * NULL for the source.  The rows are gathered when a scan starts, so that a
 * reader who changes the schema meanwhile is not disturbed.  A table whose
 * shadow tables are damaged is left out: using it says what is wrong with it.
 */
#include "sqlite_bridge/module/module.h"

#include <string.h>

#define DECLARATION                                                                                          \
	"CREATE TABLE x(schema TEXT, name TEXT, dim INTEGER, metric TEXT, m INTEGER, ef_construction INTEGER, "  \
	"ef_search INTEGER, content TEXT, content_rowid TEXT, content_vector TEXT, declared INTEGER, "           \
	"missing_sql TEXT, margin REAL, visits INTEGER)"

enum
{
	COLUMN_SCHEMA,
	COLUMN_NAME,
	COLUMN_DIM,
	COLUMN_METRIC,
	COLUMN_M,
	COLUMN_EF_CONSTRUCTION,
	COLUMN_EF_SEARCH,
	COLUMN_CONTENT,
	COLUMN_CONTENT_ROWID,
	COLUMN_CONTENT_VECTOR,
	COLUMN_DECLARED,
	COLUMN_MISSING_SQL,
	COLUMN_MARGIN,
	COLUMN_VISITS
};

typedef struct IndexRow
{
	char *schema;
	char *name;
	int dim;
	HnswMetric metric;
	int m, ef_construction, ef_search, visits;
	double margin;
	BridgeSource source; /* all NULL where nothing feeds the index */
	bool declared;
} IndexRow;

typedef struct IndexList
{
	IndexRow *rows;
	int count;
} IndexList;

typedef struct IndexesTable
{
	sqlite3_vtab base;
	sqlite3 *db;
} IndexesTable;

typedef struct IndexesCursor
{
	sqlite3_vtab_cursor base;
	IndexList list;
	int at;
} IndexesCursor;

/* ---------- gathering ---------- */

static void
list_clear(IndexList *list)
{
	for (int i = 0; i < list->count; i++)
	{
		sqlite3_free(list->rows[i].schema);
		sqlite3_free(list->rows[i].name);
		sqlite3_free(list->rows[i].source.table);
		sqlite3_free(list->rows[i].source.rowid);
		sqlite3_free(list->rows[i].source.vector);
		sqlite3_free(list->rows[i].source.missing_sql);
	}
	sqlite3_free(list->rows);
	list->rows = NULL;
	list->count = 0;
}

/* Takes source over, also on failure; NULL for none. */
static int
list_add(IndexList *list, const BridgeStore *store, BridgeSource *source, bool declared, BridgeError *err)
{
	IndexRow *rows = sqlite3_realloc64(list->rows, sizeof(*rows) * (sqlite3_uint64) (list->count + 1));
	IndexRow row = {0};

	if (source != NULL)
	{
		row.source = *source;
		memset(source, 0, sizeof(*source));
	}
	row.schema = sqlite3_mprintf("%s", store->schema);
	row.name = sqlite3_mprintf("%s", store->table);
	row.dim = store->params.dim;
	row.metric = store->params.metric;
	row.m = store->params.m;
	row.ef_construction = store->params.ef_construction;
	row.ef_search = store->params.ef_search;
	row.visits = bridge_store_visits(store, &store->opened_tuned);
	row.margin = bridge_store_margin(store, &store->opened_tuned);
	row.declared = declared;
	if (rows != NULL)
	{
		list->rows = rows;
		list->rows[list->count++] = row;
	}
	else
	{
		IndexList single = {sqlite3_malloc(sizeof(row)), 0};

		/* Even without memory for the list its parts have an owner. */
		if (single.rows != NULL)
		{
			single.rows[0] = row;
			single.count = 1;
			list_clear(&single);
		}
	}
	if (rows == NULL || row.schema == NULL || row.name == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	return SQLITE_OK;
}

/* Under the names that table and columns have now; a table that is gone feeds nothing. */
static int
add_declared(sqlite3 *db, IndexList *list, BridgeStore *store, BridgeError *err)
{
	BridgeSource source = {0};
	BridgeContent content;
	BridgeError ignored = {0};
	int rc = bridge_content_look(store, &ignored);

	memset(&content, 0, sizeof(content));
	if (rc == SQLITE_OK)
		rc = bridge_content_find(db, store->schema, &store->params, &content, &ignored);
	bridge_error_clear(&ignored);
	source.table = content.table;
	source.rowid = content.keys.count == 0 ? content.key : NULL;
	source.vector = content.vector;
	content.table = content.vector = NULL;
	if (content.keys.count == 0)
		content.key = NULL;
	bridge_content_free(&content);
	if (rc == SQLITE_OK)
		return list_add(list, store, &source, true, err);
	sqlite3_free(source.table);
	sqlite3_free(source.rowid);
	sqlite3_free(source.vector);
	if ((rc & 0xff) == SQLITE_NOMEM)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	return list_add(list, store, NULL, true, err);
}

static int
add_found(sqlite3 *db, IndexList *list, const BridgeStore *store, bool only, BridgeError *err)
{
	BridgeSource *sources = NULL;
	int count = 0;
	int rc = bridge_sources_find(db, store->schema, store->table, only, &sources, &count, err);

	for (int i = 0; i < count && rc == SQLITE_OK; i++)
		rc = list_add(list, store, &sources[i], false, err);
	if (rc == SQLITE_OK && count == 0)
		rc = list_add(list, store, NULL, false, err);
	bridge_sources_free(sources, count);
	return rc;
}

static int
gather_schema(sqlite3 *db, const char *schema, IndexList *list, BridgeError *err)
{
	char **names;
	int count;
	int rc = bridge_index_names(db, schema, &names, &count, err);

	for (int i = 0; i < count && rc == SQLITE_OK; i++)
	{
		BridgeStore *store;
		BridgeError ignored = {0};

		rc = bridge_store_open(db, schema, names[i], &store, &ignored);
		bridge_error_clear(&ignored);
		if ((rc & 0xff) == SQLITE_NOMEM)
			rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
		else if (rc != SQLITE_OK)
			rc = SQLITE_OK;
		else
		{
			rc = store->params.content != NULL ? add_declared(db, list, store, err)
											   : add_found(db, list, store, count == 1, err);
			bridge_store_close(store);
		}
	}
	bridge_index_names_free(names, count);
	return rc;
}

static int
gather(sqlite3 *db, IndexList *list, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA database_list", -1, &stmt, NULL);

	while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		rc = gather_schema(db, (const char *) sqlite3_column_text(stmt, 1), list, err);
	if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else if (err->code == SQLITE_OK)
		rc = bridge_error_db(err, db, "reading the schema");
	sqlite3_finalize(stmt);
	return rc;
}

/* ---------- the virtual table ---------- */

static int
indexes_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **message)
{
	int rc = bridge_rowset_connect(db, DECLARATION, sizeof(IndexesTable), out);

	if (rc == SQLITE_OK)
		((IndexesTable *) *out)->db = db;
	return rc;
}

static int
indexes_disconnect(sqlite3_vtab *vtab)
{
	sqlite3_free(vtab);
	return SQLITE_OK;
}

static int
indexes_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
	info->estimatedCost = 10000;
	info->estimatedRows = 10;
	return SQLITE_OK;
}

static int
indexes_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
	return bridge_rowset_open(sizeof(IndexesCursor), out);
}

static int
indexes_close(sqlite3_vtab_cursor *base)
{
	IndexesCursor *cursor = (IndexesCursor *) base;

	list_clear(&cursor->list);
	sqlite3_free(cursor);
	return SQLITE_OK;
}

static int
indexes_filter(sqlite3_vtab_cursor *base, int plan, const char *plan_text, int argc, sqlite3_value **argv)
{
	IndexesCursor *cursor = (IndexesCursor *) base;
	BridgeError err = {0};

	list_clear(&cursor->list);
	cursor->at = 0;
	if (gather(((IndexesTable *) base->pVtab)->db, &cursor->list, &err) == SQLITE_OK)
		return SQLITE_OK;
	return bridge_rowset_fail(base->pVtab, &err);
}

static int
indexes_next(sqlite3_vtab_cursor *base)
{
	((IndexesCursor *) base)->at++;
	return SQLITE_OK;
}

static int
indexes_eof(sqlite3_vtab_cursor *base)
{
	const IndexesCursor *cursor = (const IndexesCursor *) base;

	return cursor->at >= cursor->list.count;
}

static int
indexes_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
	const IndexesCursor *cursor = (const IndexesCursor *) base;
	const IndexRow *row = &cursor->list.rows[cursor->at];
	const char *text = NULL;

	switch (column)
	{
		case COLUMN_DIM:
			sqlite3_result_int(context, row->dim);
			return SQLITE_OK;
		case COLUMN_M:
			sqlite3_result_int(context, row->m);
			return SQLITE_OK;
		case COLUMN_EF_CONSTRUCTION:
			sqlite3_result_int(context, row->ef_construction);
			return SQLITE_OK;
		case COLUMN_EF_SEARCH:
			if (row->ef_search > 0)
				sqlite3_result_int(context, row->ef_search);
			return SQLITE_OK;
		case COLUMN_MARGIN:
			if (row->margin > 0)
				sqlite3_result_double(context, row->margin);
			return SQLITE_OK;
		case COLUMN_VISITS:
			sqlite3_result_int(context, row->visits);
			return SQLITE_OK;
		case COLUMN_DECLARED:
			sqlite3_result_int(context, row->declared);
			return SQLITE_OK;
		case COLUMN_SCHEMA:
			text = row->schema;
			break;
		case COLUMN_NAME:
			text = row->name;
			break;
		case COLUMN_METRIC:
			text = hnsw_metric_name(row->metric);
			break;
		case COLUMN_CONTENT:
			text = row->source.table;
			break;
		case COLUMN_CONTENT_ROWID:
			text = row->source.rowid;
			break;
		case COLUMN_CONTENT_VECTOR:
			text = row->source.vector;
			break;
		case COLUMN_MISSING_SQL:
			text = row->source.missing_sql;
			break;
	}
	if (text != NULL)
		sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
	return SQLITE_OK;
}

static int
indexes_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid)
{
	*rowid = ((IndexesCursor *) base)->at + 1;
	return SQLITE_OK;
}

/* No xCreate: it is there under its own name and cannot be made under another. */
static const sqlite3_module indexes_module = {
	.iVersion = 0,
	.xConnect = indexes_connect,
	.xBestIndex = indexes_best_index,
	.xDisconnect = indexes_disconnect,
	.xDestroy = indexes_disconnect,
	.xOpen = indexes_open,
	.xClose = indexes_close,
	.xFilter = indexes_filter,
	.xNext = indexes_next,
	.xEof = indexes_eof,
	.xColumn = indexes_column,
	.xRowid = indexes_rowid,
};

int
bridge_indexes_register(BridgeConnection *connection, BridgeError *err)
{
	int rc = sqlite3_create_module_v2(connection->db, "hnsw_indexes", &indexes_module, NULL, NULL);

	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, connection->db, "hnsw_indexes");
}
