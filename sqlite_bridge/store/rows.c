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

/* A walk over rows or changes, as they are handed to its visitor. */
typedef struct Walk
{
	BridgeStore *store;
	int which; /* the statement */
	BridgeTruthVisit visit_row;
	BridgeDeltaVisit visit_change; /* one of the two */
	void *arg;
	int64_t visited;
} Walk;

static int
visit(Walk *walk, sqlite3_stmt *stmt, BridgeVector *vector, BridgeError *err)
{
	BridgeStore *store = walk->store;
	bool change = walk->visit_change != NULL;
	int column = change ? 2 : 0; /* rowid and vector, then the key */
	const float *data;
	int64_t rowid;
	int rc = bridge_store_row_label(store, stmt, column, column + 2, &rowid, err);

	if (rc == SQLITE_OK)
		rc = decode(store, stmt, column + 1, rowid, change, vector, err);
	if (rc != SQLITE_OK)
		return rc;
	data = bridge_indexable(&store->params, vector->data) ? vector->data : NULL;
	return change ? walk->visit_change(walk->arg, sqlite3_column_int64(stmt, 0),
									   sqlite3_column_int64(stmt, 1), rowid, data, err)
				  : walk->visit_row(walk->arg, rowid, data, err);
}

/* Run it with up to three numbers; the statement is out of the store meanwhile. */
static int
run_walk(Walk *walk, const int64_t *numbers, int count, BridgeError *err)
{
	BridgeStore *store = walk->store;
	BridgeVector vector = {0};
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, walk->which, &stmt, err);

	if (rc != SQLITE_OK)
		return rc;
	store->statements[walk->which] = NULL;
	for (int i = 0; i < count; i++)
		sqlite3_bind_int64(stmt, i + 1, numbers[i]);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		rc = visit(walk, stmt, &vector, err);
		if (rc != SQLITE_OK)
			break;
		walk->visited++;
	}
	if (rc != SQLITE_OK && rc != SQLITE_DONE && err->code == SQLITE_OK)
		bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	bridge_store_put_back(store, walk->which, stmt);
	bridge_vector_free(&vector);
	return err->code;
}

int
bridge_store_truth(BridgeStore *store, int64_t from, int64_t limit, BridgeTruthVisit visit_row, void *arg,
				   int64_t *count, BridgeError *err)
{
	Walk walk = {.store = store, .which = BRIDGE_STMT_TRUTH_BATCH, .visit_row = visit_row, .arg = arg};
	const int64_t numbers[] = {from, limit < 0 ? -1 : limit};
	int rc = SQLITE_OK;

	if (store->keys.count == 0 || store->follow.keys_there)
		rc = run_walk(&walk, numbers, 2, err);
	if (rc == SQLITE_OK && store->keys.count > 0 && store->newcomers != NULL && limit < 0)
	{
		walk.which = BRIDGE_STMT_TRUTH_BATCH_NEW;
		rc = run_walk(&walk, NULL, 0, err);
	}
	if (count != NULL)
		*count = walk.visited;
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

/* The statement on one row, bound; NULL where there can be no such row. */
static int
row_statement(BridgeStore *store, bool value, int64_t rowid, sqlite3_stmt **out, BridgeError *err)
{
	bool is_new = bridge_label_is_new(store, rowid);
	int which = value ? (is_new ? BRIDGE_STMT_TRUTH_GET_NEW : BRIDGE_STMT_TRUTH_GET)
					  : (is_new ? BRIDGE_STMT_TRUTH_EXISTS_NEW : BRIDGE_STMT_TRUTH_EXISTS);
	int rc;

	*out = NULL;
	if (store->keys.count > 0 && !is_new && !store->follow.keys_there)
		return SQLITE_OK;
	rc = bridge_store_statement(store, which, out, err);
	if (rc == SQLITE_OK && bridge_store_bind_label(store, rowid, *out) != SQLITE_OK)
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	return rc;
}

int
bridge_store_truth_value(BridgeStore *store, int64_t rowid, sqlite3_stmt **out, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = row_statement(store, true, rowid, &stmt, err);

	*out = NULL;
	if (rc != SQLITE_OK || stmt == NULL)
		return rc;
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
bridge_store_truth_get(BridgeStore *store, int64_t rowid, BridgeVector *out, bool *present, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_truth_value(store, rowid, &stmt, err);

	*present = stmt != NULL;
	out->data = NULL;
	if (rc != SQLITE_OK || stmt == NULL)
		return rc;
	rc = decode(store, stmt, 0, rowid, false, out, err);
	if (rc == SQLITE_OK)
		rc = keep(out, err);
	sqlite3_reset(stmt);
	return rc;
}

int
bridge_store_truth_exists(BridgeStore *store, int64_t rowid, bool *present, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = row_statement(store, false, rowid, &stmt, err);

	*present = false;
	if (rc != SQLITE_OK || stmt == NULL)
		return rc;
	*present = sqlite3_step(stmt) == SQLITE_ROW;
	rc = sqlite3_reset(stmt);
	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, store->db, "hnsw: table %s", store->table);
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

static int
count_rows(BridgeStore *store, const char *text, int64_t limit, int64_t *count, BridgeError *err)
{
	char *sql = bridge_store_expand(store, text);
	sqlite3_stmt *stmt = NULL;
	int rc;

	if (sql == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
	sqlite3_free(sql);
	if (rc == SQLITE_OK && limit >= 0)
		rc = sqlite3_bind_int64(stmt, 1, limit);
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
bridge_store_truth_count(BridgeStore *store, int64_t limit, int64_t *count, BridgeError *err)
{
	/* All of them SQLite counts without looking at each. */
	return count_rows(
		store, limit < 0 ? "SELECT count(*) FROM %3" : "SELECT count(*) FROM (SELECT 1 FROM %3 LIMIT ?1)",
		limit, count, err);
}

int
bridge_store_vector_count(BridgeStore *store, int64_t *count, BridgeError *err)
{
	return count_rows(store, "SELECT count(t.%5) FROM %3 AS t", -1, count, err);
}

static int
prepare_select(BridgeStore *store, const char *text, sqlite3_stmt **out, BridgeError *err)
{
	char *sql = bridge_store_expand(store, text);
	int rc = sql ? sqlite3_prepare_v2(store->db, sql, -1, out, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, store->db, "hnsw: table %s", store->table);
}

int
bridge_store_truth_select(BridgeStore *store, sqlite3_stmt **out, BridgeError *err)
{
	*out = NULL;
	if (store->keys.count == 0)
		return prepare_select(store, "SELECT t.%4, t.%5 FROM %3 AS t ORDER BY t.%4", out, err);
	return prepare_select(store,
						  store->follow.keys_there
							  ? "SELECT m.label, t.%5, %8t FROM %3 AS t LEFT JOIN %1.%2_keys% AS m ON %6t"
							  : "SELECT NULL, t.%5, %8t FROM %3 AS t",
						  out, err);
}

int
bridge_store_truth_select_row(BridgeStore *store, int64_t rowid, sqlite3_stmt **out, BridgeError *err)
{
	const char *text = "SELECT t.%4, t.%5 FROM %3 AS t WHERE t.%4 = ?1";
	int rc;

	*out = NULL;
	if (bridge_label_is_new(store, rowid))
		text = "SELECT NULL, t.%5, %8t FROM %3 AS t WHERE %7?";
	else if (store->keys.count > 0)
		text = store->follow.keys_there
				   ? "SELECT m.label, t.%5, %8t FROM %1.%2_keys% AS m CROSS JOIN %3 AS t ON"
					 " %7m WHERE m.label = ?1"
				   : "SELECT NULL WHERE ?1 IS NULL";
	rc = prepare_select(store, text, out, err);
	if (rc == SQLITE_OK && bridge_store_bind_label(store, rowid, *out) != SQLITE_OK)
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	return rc;
}

/* ---------- delta ---------- */

int
bridge_store_delta(BridgeStore *store, int64_t after, int64_t upto, int64_t limit,
				   BridgeDeltaVisit visit_change, void *arg, int64_t *count, BridgeError *err)
{
	Walk walk = {.store = store, .which = BRIDGE_STMT_DELTA_RANGE, .visit_change = visit_change, .arg = arg};
	const int64_t numbers[] = {after, upto, limit < 0 ? -1 : limit};
	int rc = run_walk(&walk, numbers, 3, err);

	if (count != NULL)
		*count = walk.visited;
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
