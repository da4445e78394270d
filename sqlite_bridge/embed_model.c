/*
 * embed_model.c
 *		The model that an index holds vectors of.
 *
 * It is kept in the index's config table under the key "model", once an
 * embedding function has filled the index, and refuses vectors that are known
 * (embed_provenance.c) to come from another one.
 */
#include "embed_int.h"

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

/* Whether some row of the content table has a vector. */
static int
has_vectors(sqlite3 *db, const char *schema, const char *content, const char *vector, bool *has,
			BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\" WHERE \"%w\" IS NOT NULL LIMIT 1", schema,
								content, vector);
	int rc = SQLITE_NOMEM;

	if (sql != NULL && (rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL)) == SQLITE_OK)
	{
		rc = sqlite3_step(stmt);
		*has = rc == SQLITE_ROW;
		rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc == SQLITE_OK ? rc : bridge_error_db(err, db, "cannot read \"%s\"", content);
}

int
bridge_index_claim_model(sqlite3 *db, const char *schema, const char *table, const char *content,
						 const char *vector, const char *model, BridgeError *err)
{
	char present[BRIDGE_MODEL_SIZE];
	bool has = false;
	int rc = bridge_index_model(db, schema, table, present, err);

	if (rc != SQLITE_OK || strncmp(present, model, BRIDGE_MODEL_SIZE - 1) == 0)
		return rc;
	if (present[0] != '\0' && (rc = has_vectors(db, schema, content, vector, &has, err)) != SQLITE_OK)
		return rc;
	if (has)
		return bridge_error(
			err, SQLITE_MISMATCH,
			"index \"%s\" holds vectors of model \"%s\", not of \"%s\"; set \"%s\".\"%s\" to NULL"
			" everywhere to embed all texts anew",
			table, present, model, content, vector);
	return bridge_exec(db, err, "INSERT OR REPLACE INTO \"%w\".\"%w_config\"(key, value) VALUES('model', %Q)",
					   schema, table, model);
}

int
bridge_index_check_model(const char *table, const char *present, const float *vector, int dim,
						 const char *what, BridgeError *err)
{
	char model[BRIDGE_MODEL_SIZE];

	if (present[0] == '\0' || !bridge_embed_model_of(vector, dim, model) ||
		strncmp(present, model, BRIDGE_MODEL_SIZE - 1) == 0)
		return SQLITE_OK;
	return bridge_error(err, SQLITE_MISMATCH,
						"%s was made by model \"%s\", but index \"%s\" holds vectors of model \"%s\"", what,
						model, table, present);
}
