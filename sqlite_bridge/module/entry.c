/*
 * entry.c
 *		Joining a connection: the extension's entry point, loaded or linked,
 *		and bridge_attach for hosts with wishes.
 */
#define BRIDGE_ENTRY
#include "sqlite_bridge/module/module.h"

#include <string.h>

#ifndef SQLITE_CORE
SQLITE_EXTENSION_INIT1
#endif

/* sqlite3_vtab_in() and sqlite3_vtab_rhs_value() came with it. */
#define OLDEST_SQLITE 3038000

/*
 * Whether the module is there already: loaded twice, or linked and loaded.
 * The pragma, unlike the table of its name, reads nothing of the database, so
 * loading works while that is locked or cannot be read.
 */
static int
is_attached(sqlite3 *db, bool *attached)
{
	sqlite3_stmt *stmt;
	int rc = sqlite3_prepare_v2(db, "PRAGMA module_list", -1, &stmt, NULL);

	*attached = false;
	if (rc != SQLITE_OK)
		return rc;
	/* no rows where SQLite was built without it */
	while (!*attached && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		const char *name = (const char *) sqlite3_column_text(stmt, 0);

		*attached = name != NULL && sqlite3_stricmp(name, "hnsw") == 0;
	}
	return sqlite3_finalize(stmt);
}

int
bridge_attach(sqlite3 *db, const BridgeHost *host, char **message)
{
	int (*const parts[])(BridgeConnection *, BridgeError *) = {
		bridge_module_register, bridge_knn_register,     bridge_functions_register, bridge_embed_register,
		bridge_merge_register,  bridge_check_register,   bridge_recall_register,    bridge_tune_register,
		bridge_info_register,   bridge_indexes_register, bridge_hybrid_register,
	};
	BridgeConnection *connection;
	BridgeError err = {0};
	bool attached;
	int rc;

	if (message != NULL)
		*message = NULL;
	if (sqlite3_libversion_number() < OLDEST_SQLITE)
		rc = bridge_error(&err, SQLITE_ERROR, "hnsw needs SQLite 3.38 or newer, this is %s",
						  sqlite3_libversion());
	else if (!BRIDGE_HAS(sqlite3_create_module_v2) || !BRIDGE_HAS(sqlite3_declare_vtab))
		rc = bridge_error(&err, SQLITE_ERROR,
						  "hnsw needs virtual tables, which this SQLite was built without");
	else if ((rc = is_attached(db, &attached)) != SQLITE_OK)
		rc = bridge_error_db(&err, db, "hnsw");
	else if (!attached)
	{
		connection = sqlite3_malloc64(sizeof(*connection));
		if (connection == NULL)
			rc = bridge_error(&err, SQLITE_NOMEM, "out of memory");
		else
		{
			memset(connection, 0, sizeof(*connection));
			connection->db = db;
			connection->references = 1;
			if (host != NULL)
				connection->host = *host;
			else
				connection->host.file_mode = -1;
			for (size_t i = 0; rc == SQLITE_OK && i < sizeof(parts) / sizeof(parts[0]); i++)
				rc = parts[i](connection, &err);
			bridge_connection_release(connection);
		}
	}
	if (message != NULL)
		*message = err.message;
	else
		sqlite3_free(err.message);
	return rc;
}

#ifdef SQLITE_CORE
#include "sqlite_bridge/sqlite3_hnsw.h"
#else
__attribute__((visibility("default"))) int sqlite3_hnsw_init(sqlite3 *db, char **message,
															 const sqlite3_api_routines *api);
#endif

/*
 * Merges run on a thread here, since nobody else would start them.  A loaded
 * library stays after the connection closed: it may have a thread or a signal
 * handler of the process by then.
 */
int
sqlite3_hnsw_init(sqlite3 *db, char **message, const sqlite3_api_routines *api)
{
	BridgeHost host = {.embedding = true, .merge_thread = true, .file_mode = -1};

#ifdef SQLITE_CORE
	return bridge_attach(db, &host, message);
#else
	int rc;

	SQLITE_EXTENSION_INIT2(api);
	rc = bridge_attach(db, &host, message);
	return rc == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : rc;
#endif
}
