/*
 * functions.c
 *		hnsw_add(id, vector [, table]), hnsw_del(id [, table]), hnsw_label(table, key...),
 *		hnsw_model(table [, model]) and hnsw_version().
 *
 * The first two are statements on the virtual table in the shape of functions, for
 * triggers written by hand.  They run DML on the table rather than write its
 * storage, because only DML makes SQLite tell the module of savepoints: a
 * ROLLBACK TO must undo them in the module's cached state too.
 *
 * These are not DIRECTONLY, since triggers call them, and they are innocuous:
 * they reach nothing but hnsw tables of the connection's own databases.
 */
#include "sqlite_bridge/module/module.h"

/* The id argument as an integer; false after raising an error. */
static bool
take_id(sqlite3_context *context, sqlite3_value *value, const char *function, int64_t *id)
{
	BridgeError err = {0};

	if (bridge_whole_number(value, id))
		return true;
	bridge_error(&err, SQLITE_MISMATCH, "%s: the id must be an integer, found %s", function,
				 sqlite3_value_type(value) == SQLITE_NULL ? "NULL" : "another type");
	bridge_error_result(context, &err);
	return false;
}

/*
 * Run one statement on the named index (NULL: the only one), whose parameters
 * are the id and, where given, the vector.  format takes schema and table.
 * Raises the error or leaves *changes.
 */
static bool
run(sqlite3_context *context, const char *function, const char *format, sqlite3_value *name, int64_t id,
	sqlite3_value *vector, int *changes)
{
	BridgeConnection *connection = sqlite3_user_data(context);
	sqlite3 *db = connection->db;
	sqlite3_int64 last_rowid = sqlite3_last_insert_rowid(db);
	BridgeError err = {0};
	char *schema = NULL;
	char *table = NULL;
	char *sql = NULL;
	sqlite3_stmt *stmt = NULL;
	int rc = bridge_enter(connection, &err);

	if (rc != SQLITE_OK)
	{
		bridge_error_prefix(&err, "%s", function);
		bridge_error_result(context, &err);
		return false;
	}
	rc = bridge_find_unique_name(connection, name ? (const char *) sqlite3_value_text(name) : NULL, &schema,
								 &table, &err);
	if (rc != SQLITE_OK)
		goto cleanup;
	sql = sqlite3_mprintf(format, schema, table);
	if (sql == NULL)
	{
		rc = bridge_error(&err, SQLITE_NOMEM, "out of memory");
		goto cleanup;
	}
	rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(stmt, 1, id);
	if (rc == SQLITE_OK && vector != NULL)
		rc = sqlite3_bind_value(stmt, 2, vector);
	if (rc == SQLITE_OK)
	{
		sqlite3_step(stmt);
		rc = sqlite3_reset(stmt);
	}
	if (rc != SQLITE_OK)
		bridge_error(&err, rc, "%s", sqlite3_errmsg(db));
	*changes = sqlite3_changes(db);

cleanup:
	bridge_leave(connection);
	sqlite3_finalize(stmt);
	sqlite3_set_last_insert_rowid(db, last_rowid);
	sqlite3_free(sql);
	sqlite3_free(schema);
	sqlite3_free(table);
	if (rc == SQLITE_OK)
		return true;
	bridge_error_prefix(&err, "%s", function);
	bridge_error_result(context, &err);
	return false;
}

/* Returns the id. */
static void
add_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int64_t id;
	int changes;

	if (take_id(context, argv[0], "hnsw_add", &id) &&
		run(context, "hnsw_add", "INSERT OR REPLACE INTO \"%w\".\"%w\"(rowid, embedding) VALUES (?1, ?2)",
			argc > 2 ? argv[2] : NULL, id, argv[1], &changes))
		sqlite3_result_int64(context, id);
}

/* Returns how many rows were removed: 0 for an id that is not there. */
static void
del_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	int64_t id;
	int changes;

	if (take_id(context, argv[0], "hnsw_del", &id) &&
		run(context, "hnsw_del", "DELETE FROM \"%w\".\"%w\" WHERE rowid = ?1", argc > 1 ? argv[1] : NULL, id,
			NULL, &changes))
		sqlite3_result_int(context, changes);
}

/* The rowid that the index gives a row of its table WITHOUT ROWID. */
static void
label_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	BridgeConnection *connection = sqlite3_user_data(context);
	BridgeError err = {0};
	BridgeIndex *index;
	int64_t label = 0;
	int rc = SQLITE_MISUSE;

	if (argc < 2)
		bridge_error(&err, SQLITE_ERROR, "the name of an index and a key are needed");
	else
		rc = bridge_find_index(connection, (const char *) sqlite3_value_text(argv[0]), &index, &err);
	if (rc == SQLITE_OK)
	{
		BridgeTable *held = bridge_table_hold(index->connected);
		BridgeStore *store = bridge_index_store(index);

		rc = bridge_content_look(store, &err);
		if (rc == SQLITE_OK && store->keys.count != argc - 1)
			rc = bridge_error(&err, SQLITE_ERROR, "the key of index %s has %d columns, not %d", store->table,
							  store->keys.count, argc - 1);
		if (rc == SQLITE_OK)
			rc = bridge_store_key_label(store, argv + 1, &label, &err);
		bridge_table_release(held);
	}
	if (rc == SQLITE_OK)
	{
		sqlite3_result_int64(context, label);
		return;
	}
	bridge_error_prefix(&err, "hnsw_label");
	bridge_error_result(context, &err);
}

static void
version_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	sqlite3_result_text(context, hnsw_library_version(), -1, SQLITE_STATIC);
}

/* hnsw_model(table) tells the model; hnsw_model(table, model) claims the index for it. */
static void
model_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	BridgeConnection *connection = sqlite3_user_data(context);
	const char *name = (const char *) sqlite3_value_text(argv[0]);
	const char *claimed = argc > 1 ? (const char *) sqlite3_value_text(argv[1]) : NULL;
	char model[BRIDGE_MODEL_SIZE];
	char *schema = NULL;
	char *table = NULL;
	BridgeError err = {0};
	int rc = bridge_find_name(connection, name, &schema, &table, &err);

	if (rc == SQLITE_OK && claimed != NULL)
		rc = bridge_index_claim_model(connection->db, schema, table, claimed, &err);
	if (rc == SQLITE_OK)
		rc = bridge_index_model(connection->db, schema, table, model, &err);
	if (rc != SQLITE_OK)
		bridge_error_result(context, &err);
	else if (model[0] != '\0')
		sqlite3_result_text(context, model, -1, SQLITE_TRANSIENT);
	sqlite3_free(schema);
	sqlite3_free(table);
}

int
bridge_functions_register(BridgeConnection *connection, BridgeError *err)
{
	static const struct
	{
		const char *name;
		int arguments;
		int flags;
		void (*function)(sqlite3_context *, int, sqlite3_value **);
	} functions[] = {
		{"hnsw_add", 2, SQLITE_INNOCUOUS, add_function},
		{"hnsw_add", 3, SQLITE_INNOCUOUS, add_function},
		{"hnsw_del", 1, SQLITE_INNOCUOUS, del_function},
		{"hnsw_del", 2, SQLITE_INNOCUOUS, del_function},
		{"hnsw_label", -1, SQLITE_DIRECTONLY, label_function},
		{"hnsw_model", 1, SQLITE_DIRECTONLY, model_function},
		{"hnsw_model", 2, SQLITE_DIRECTONLY, model_function},
		{"hnsw_version", 0, SQLITE_INNOCUOUS, version_function},
	};

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
	{
		/* On failure SQLite calls the destructor itself. */
		int rc = sqlite3_create_function_v2(
			connection->db, functions[i].name, functions[i].arguments, SQLITE_UTF8 | functions[i].flags,
			bridge_connection_hold(connection), functions[i].function, NULL, NULL, bridge_connection_release);

		if (rc != SQLITE_OK)
			return bridge_error_db(err, connection->db, "registering %s", functions[i].name);
	}
	if (bridge_module_text_register(connection->db, err) != SQLITE_OK)
		return err->code;
	return bridge_arithmetic_register(connection->db, err);
}
