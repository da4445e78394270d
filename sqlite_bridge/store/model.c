/*
 * model.c
 *		The model that an index holds vectors of.
 *
 * It is kept in the index's config table under the key "model", once an
 * embedding function has filled the index, and refuses vectors that are known
 * (base/provenance.c) to come from another one.
 */
#include "sqlite_bridge/store/store.h"

#include <string.h>

int
bridge_index_model(sqlite3 *db, const char *schema, const char *table, char model[BRIDGE_MODEL_SIZE],
				   BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT value FROM \"%w\".\"%w_config\" WHERE key = 'model'", schema, table);
	int rc = SQLITE_NOMEM;

	model[0] = '\0';
	if (sql != NULL && (rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL)) == SQLITE_OK)
	{
		if ((rc = sqlite3_step(stmt)) == SQLITE_ROW && sqlite3_column_text(stmt, 0) != NULL)
			strncat(model, (const char *) sqlite3_column_text(stmt, 0), BRIDGE_MODEL_SIZE - 1);
		rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc == SQLITE_OK ? rc : bridge_error_db(err, db, "cannot read the model of index \"%s\"", table);
}

/* Whether some row that the index is fed from has a vector. */
static int
has_vectors(BridgeStore *store, bool *has, BridgeError *err)
{
	const BridgeParams *p = &store->params;
	sqlite3_stmt *stmt = NULL;
	char *sql = p->content != NULL
					? sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\" WHERE \"%w\" IS NOT NULL LIMIT 1",
									  store->schema, p->content, p->content_vector)
					: sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w_vectors\" WHERE vector IS NOT NULL LIMIT 1",
									  store->schema, store->table);
	int rc = SQLITE_NOMEM;

	if (sql != NULL && (rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL)) == SQLITE_OK)
	{
		rc = sqlite3_step(stmt);
		*has = rc == SQLITE_ROW;
		rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc == SQLITE_OK
			   ? rc
			   : bridge_error_db(err, store->db, "cannot read the vectors of index \"%s\"", store->table);
}

int
bridge_index_claim_model(sqlite3 *db, const char *schema, const char *table, const char *model,
						 BridgeError *err)
{
	char present[BRIDGE_MODEL_SIZE];
	bool has = false;
	BridgeStore *store = NULL;
	int rc = bridge_index_model(db, schema, table, present, err);

	if (rc != SQLITE_OK || strncmp(present, model, BRIDGE_MODEL_SIZE - 1) == 0)
		return rc;
	if (present[0] != '\0')
	{
		rc = bridge_store_open(db, schema, table, &store, err);
		if (rc == SQLITE_OK)
			rc = has_vectors(store, &has, err);
		bridge_store_close(store);
		if (rc != SQLITE_OK)
			return rc;
	}
	if (has)
		return bridge_error(
			err, SQLITE_MISMATCH,
			"index \"%s\" holds vectors of model \"%s\", not of \"%s\"; set all its vectors to NULL"
			" to embed the texts anew",
			table, present, model);
	return bridge_exec(db, err, "INSERT OR REPLACE INTO \"%w\".\"%w_config\"(key, value) VALUES('model', %Q)",
					   schema, table, model);
}

int
bridge_index_check_model(BridgeStore *store, const float *vector, const char *what, BridgeError *err)
{
	char model[BRIDGE_MODEL_SIZE];
	char present[BRIDGE_MODEL_SIZE];
	int rc;

	if (!bridge_embed_model_of(vector, store->params.dim, model))
		return SQLITE_OK;
	rc = bridge_index_model(store->db, store->schema, store->table, present, err);
	if (rc != SQLITE_OK || present[0] == '\0' || strncmp(present, model, BRIDGE_MODEL_SIZE - 1) == 0)
		return rc;
	return bridge_error(err, SQLITE_MISMATCH,
						"%s: %s was made by model \"%s\", but index \"%s\" holds vectors of model \"%s\"",
						store->table, what, model, store->table, present);
}
