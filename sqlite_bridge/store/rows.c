/*
 * rows.c
 *		Reading and writing the rows of truth and delta.
 *
 * storage.c specifies the tables.  Vectors are checked as they are read: of
 * the index's dimension and finite, or the row is an error that is named.  Only where
 * a content table is followed by plain triggers, which test nothing, a row that is none
 * counts as one without a vector.
 */
#include "sqlite_bridge/store/store.h"

#include <string.h>

/* ---------- truth ---------- */

/* Length zero has no direction: no place in a graph of angles. */
bool
bridge_indexable(const BridgeParams *params, const float *vector)
{
	if (vector == NULL)
		return false;
	if (params->metric != HNSW_COSINE)
		return true;
	for (int i = 0; i < params->dim; i++)
		if (vector[i] != 0.0f)
			return true;
	return false;
}

/*
 * Decode a stored vector.  What lies in a table of ours is of our own making,
 * else the database is damaged; a content table may hold anything.
 */
static int
decode(BridgeStore *store, sqlite3_stmt *stmt, int column, int64_t rowid, bool delta, BridgeVector *out,
	   BridgeError *err)
{
	const BridgeParams *p = &store->params;
	bool content = p->content != NULL && !delta;
	int rc = bridge_vector_read(sqlite3_column_value(stmt, column), out, err);

	if (rc == SQLITE_OK && out->data != NULL && out->dim != p->dim)
		rc =
			bridge_error(err, SQLITE_MISMATCH, "the vector has %d dimensions, expected %d", out->dim, p->dim);
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_NOMEM)
		return rc;
	if (store->journal)
	{
		store->bad_rows++;
		out->data = NULL;
		bridge_error_clear(err);
		return SQLITE_OK;
	}
	if (!content)
		err->code = SQLITE_CORRUPT_VTAB;
	return bridge_error_prefix(err, "%s%s%s, row %lld", content ? p->content : store->table,
							   content ? "." : "", content ? p->content_vector : "", (sqlite3_int64) rowid);
}

int
bridge_store_truth(BridgeStore *store, int64_t from, int64_t limit, BridgeTruthVisit visit, void *arg,
				   int64_t *count, BridgeError *err)
{
	BridgeVector vector = {0};
	sqlite3_stmt *stmt;
	int64_t visited = 0;
	int rc = bridge_store_statement(store, BRIDGE_STMT_TRUTH_BATCH, &stmt, err);

	if (count != NULL)
		*count = 0;
	if (rc != SQLITE_OK)
		return rc;
	store->statements[BRIDGE_STMT_TRUTH_BATCH] = NULL;
	sqlite3_bind_int64(stmt, 1, from);
	sqlite3_bind_int64(stmt, 2, limit < 0 ? -1 : limit);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		int64_t rowid = sqlite3_column_int64(stmt, 0);

		rc = decode(store, stmt, 1, rowid, false, &vector, err);
		if (rc == SQLITE_OK)
			rc = visit(arg, rowid, bridge_indexable(&store->params, vector.data) ? vector.data : NULL, err);
		if (rc != SQLITE_OK)
			break;
		visited++;
	}
	if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else if (rc != SQLITE_OK && err->code == SQLITE_OK)
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	bridge_store_put_back(store, BRIDGE_STMT_TRUTH_BATCH, stmt);
	bridge_vector_free(&vector);
	if (count != NULL)
		*count = visited;
	return rc;
}

/* A BLOB may have been read in place; it must outlive the statement's row. */
static int
keep(BridgeVector *vector, BridgeError *err)
{
	if (vector->data == NULL || vector->data == vector->buffer)
		return SQLITE_OK;
	if (vector->capacity < vector->dim)
	{
		float *buffer = sqlite3_realloc64(vector->buffer, sizeof(float) * (uint64_t) vector->dim);

		if (buffer == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		vector->buffer = buffer;
		vector->capacity = vector->dim;
	}
	memcpy(vector->buffer, vector->data, sizeof(float) * (size_t) vector->dim);
	vector->data = vector->buffer;
	return SQLITE_OK;
}

int
bridge_store_truth_get(BridgeStore *store, int64_t rowid, BridgeVector *out, bool *present, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_TRUTH_GET, &stmt, err);

	*present = false;
	out->data = NULL;
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(stmt, 1, rowid);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
	{
		*present = true;
		rc = decode(store, stmt, 0, rowid, false, out, err);
		if (rc == SQLITE_OK)
			rc = keep(out, err);
	}
	else if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_reset(stmt);
	return rc;
}

int
bridge_store_truth_exists(BridgeStore *store, int64_t rowid, bool *present, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_TRUTH_EXISTS, &stmt, err);

	*present = false;
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(stmt, 1, rowid);
	*present = sqlite3_step(stmt) == SQLITE_ROW;
	rc = sqlite3_reset(stmt);
	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, store->db, "hnsw: table %s", store->table);
}

int
bridge_store_truth_value(BridgeStore *store, int64_t rowid, sqlite3_stmt **out, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_TRUTH_GET, &stmt, err);

	*out = NULL;
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(stmt, 1, rowid);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
	{
		*out = stmt;
		return SQLITE_OK;
	}
	if (rc != SQLITE_DONE)
		bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_reset(stmt);
	return err->code;
}

int
bridge_store_truth_put(BridgeStore *store, bool has_rowid, int64_t *rowid, const float *vector,
					   BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_TRUTH_PUT, &stmt, err);

	if (rc != SQLITE_OK)
		return rc;
	if (has_rowid)
		sqlite3_bind_int64(stmt, 1, *rowid);
	if (vector != NULL)
		sqlite3_bind_blob64(stmt, 2, vector, sizeof(float) * (uint64_t) store->params.dim, SQLITE_STATIC);
	rc = bridge_store_finish(store, stmt, err);
	if (rc == SQLITE_OK && !has_rowid)
		*rowid = sqlite3_last_insert_rowid(store->db);
	return rc;
}

int
bridge_store_truth_delete(BridgeStore *store, int64_t rowid, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_TRUTH_DELETE, &stmt, err);

	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(stmt, 1, rowid);
	return bridge_store_finish(store, stmt, err);
}

int
bridge_store_truth_count(BridgeStore *store, bool vectors, int64_t *count, BridgeError *err)
{
	char *sql =
		bridge_store_expand(store, vectors ? "SELECT count(t.%5) FROM %3 AS t" : "SELECT count(*) FROM %3");
	sqlite3_stmt *stmt = NULL;
	int rc;

	if (sql == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
	sqlite3_free(sql);
	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		*count = sqlite3_column_int64(stmt, 0);
		rc = SQLITE_OK;
	}
	else
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_finalize(stmt);
	return rc;
}

int
bridge_store_truth_select(BridgeStore *store, bool by_rowid, sqlite3_stmt **out, BridgeError *err)
{
	char *sql = bridge_store_expand(store, by_rowid ? "SELECT t.%4, t.%5 FROM %3 AS t WHERE t.%4 = ?1"
													: "SELECT t.%4, t.%5 FROM %3 AS t ORDER BY t.%4");
	int rc;

	*out = NULL;
	if (sql == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	rc = sqlite3_prepare_v2(store->db, sql, -1, out, NULL);
	sqlite3_free(sql);
	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, store->db, "hnsw: table %s", store->table);
}

/* ---------- delta ---------- */

int
bridge_store_delta(BridgeStore *store, int64_t after, int64_t upto, int64_t limit, BridgeDeltaVisit visit,
				   void *arg, int64_t *count, BridgeError *err)
{
	BridgeVector vector = {0};
	sqlite3_stmt *stmt;
	int64_t visited = 0;
	int rc = bridge_store_statement(store, BRIDGE_STMT_DELTA_RANGE, &stmt, err);

	if (count != NULL)
		*count = 0;
	if (rc != SQLITE_OK)
		return rc;
	store->statements[BRIDGE_STMT_DELTA_RANGE] = NULL;
	sqlite3_bind_int64(stmt, 1, after);
	sqlite3_bind_int64(stmt, 2, upto);
	sqlite3_bind_int64(stmt, 3, limit < 0 ? -1 : limit);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		int64_t rowid = sqlite3_column_int64(stmt, 2);

		rc = decode(store, stmt, 3, rowid, true, &vector, err);
		if (rc == SQLITE_OK)
			rc = visit(arg, sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1), rowid,
					   bridge_indexable(&store->params, vector.data) ? vector.data : NULL, err);
		if (rc != SQLITE_OK)
			break;
		visited++;
	}
	if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else if (rc != SQLITE_OK && err->code == SQLITE_OK)
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	bridge_store_put_back(store, BRIDGE_STMT_DELTA_RANGE, stmt);
	bridge_vector_free(&vector);
	if (count != NULL)
		*count = visited;
	return rc;
}

int
bridge_store_delta_trim(BridgeStore *store, int64_t upto, int64_t limit, int64_t *removed, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_DELTA_TRIM, &stmt, err);

	*removed = 0;
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(stmt, 1, upto);
	sqlite3_bind_int64(stmt, 2, limit < 0 ? -1 : limit);
	rc = bridge_store_finish(store, stmt, err);
	if (rc == SQLITE_OK)
		*removed = sqlite3_changes(store->db);
	return rc;
}

int
bridge_store_journal_put(BridgeStore *store, int64_t rowid, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_DELTA_PUT, &stmt, err);

	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(stmt, 1, rowid);
	return bridge_store_finish(store, stmt, err);
}

int
bridge_store_change(BridgeStore *store, int64_t rowid, const float *vector, BridgeError *err)
{
	sqlite3_stmt *stmt;
	sqlite3_int64 seq = 0;
	int64_t tag;
	int rc = vector != NULL ? bridge_index_check_model(store, vector, "the vector", err) : SQLITE_OK;

	if (rc == SQLITE_OK)
		rc = bridge_store_statement(store, BRIDGE_STMT_COUNTER, &stmt, err);
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
	{
		seq = sqlite3_column_int64(stmt, 0);
		rc = bridge_store_finish(store, stmt, err);
	}
	else
	{
		if (rc == SQLITE_DONE)
			rc = bridge_error(err, SQLITE_CORRUPT_VTAB, "hnsw: %s_config has no counter", store->table);
		else
			rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
		sqlite3_reset(stmt);
	}
	if (rc == SQLITE_OK)
		rc = bridge_store_statement(store, BRIDGE_STMT_DELTA_PUT, &stmt, err);
	if (rc != SQLITE_OK)
		return rc;

	sqlite3_randomness(sizeof(tag), &tag);
	sqlite3_bind_int64(stmt, 1, seq);
	sqlite3_bind_int64(stmt, 2, tag);
	sqlite3_bind_int64(stmt, 3, rowid);
	if (vector != NULL)
		sqlite3_bind_blob64(stmt, 4, vector, sizeof(float) * (uint64_t) store->params.dim, SQLITE_STATIC);
	return bridge_store_finish(store, stmt, err);
}
