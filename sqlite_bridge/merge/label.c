/*
 * label.c
 *		Labels for the keys of a table without rowids (store/keys.c): given before a merge reads
 *		the rows, taken back when nothing needs them any more.
 *
 * Keys are looked for in read transactions and get their labels in short write transactions of
 * their own.  A label that turns out to be needless does no harm.  The largest one is never taken
 * back, so that labels only grow and each means one key for good; readers know by the largest one
 * whether keys have labels now that had none.
 */
#include "sqlite_bridge/merge/merge.h"

#define ROWS_A_BATCH 2000
#define TRIM_COMMIT_MS 100

/* Keys without a label. */
typedef struct Keys
{
	int columns;
	size_t count, capacity; /* in values */
	sqlite3_value **values;
} Keys;

static void
free_values(sqlite3_value **values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sqlite3_value_free(values[i]);
}

static void
keys_clear(Keys *keys)
{
	free_values(keys->values, keys->count);
	keys->count = 0;
}

/* The first columns of a row. */
static int
keys_add(Keys *keys, sqlite3_stmt *stmt, BridgeError *err)
{
	if (keys->count + BRIDGE_MAX_KEYS > keys->capacity)
	{
		size_t capacity = keys->capacity < 256 ? 256 : 2 * keys->capacity;
		sqlite3_value **values = sqlite3_realloc64(keys->values, capacity * sizeof(*values));

		if (values == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		keys->values = values;
		keys->capacity = capacity;
	}
	for (int i = 0; i < keys->columns; i++)
	{
		sqlite3_value *value = sqlite3_value_dup(sqlite3_column_value(stmt, i));

		if (value == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		keys->values[keys->count++] = value;
	}
	return SQLITE_OK;
}

/* Some of them, for one transaction. */
typedef struct Part
{
	sqlite3_value **values;
	size_t count;
} Part;

static int
put_part(BridgeStore *store, const void *arg, BridgeError *err)
{
	const Part *part = arg;
	int rc = SQLITE_OK;

	for (size_t i = 0; i < part->count && rc == SQLITE_OK; i += (size_t) store->keys.count)
		rc = bridge_store_key_put(store, part->values + i, err);
	return rc;
}

/* A database without a file has no connection but this. */
static int
put_keys(BridgeStage *stage, const Keys *keys, BridgeError *err)
{
	size_t step = (size_t) ROWS_A_BATCH * (size_t) keys->columns;
	int rc = SQLITE_OK;

	for (size_t i = 0; i < keys->count && rc == SQLITE_OK; i += step)
	{
		Part part = {keys->values + i, keys->count - i < step ? keys->count - i : step};

		rc = stage->task->files != NULL
				 ? bridge_merge_transact(stage->store, stage->task, put_part, &part, 0, err)
				 : put_part(stage->store, &part, err);
	}
	return rc;
}

static int
prepare(const BridgeStore *store, const char *text, sqlite3_stmt **stmt, BridgeError *err)
{
	char *sql = bridge_store_expand(store, text);
	int rc = sql ? sqlite3_prepare_v2(store->db, sql, -1, stmt, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, store->db, "hnsw: table %s", store->table);
}

int
bridge_label_journal(BridgeStage *stage, int64_t after, int64_t upto, BridgeError *err)
{
	BridgeStore *store = stage->store;
	Keys keys = {.columns = store->keys.count};
	sqlite3_stmt *stmt = NULL;
	int rc = bridge_stage_begin(stage, err);

	if (rc == SQLITE_OK)
		rc = prepare(store,
					 "SELECT DISTINCT %8c FROM %1.%2_changes% AS c WHERE c.seq > ?1 AND c.seq <= ?2 AND"
					 " c.k0 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM %1.%2_keys% AS m WHERE %6c)",
					 &stmt, err);
	if (rc == SQLITE_OK)
	{
		sqlite3_bind_int64(stmt, 1, after);
		sqlite3_bind_int64(stmt, 2, upto);
		while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && keys_add(&keys, stmt, err) == SQLITE_OK)
			;
		if (rc != SQLITE_DONE && err->code == SQLITE_OK)
			bridge_error_db(err, store->db, "reading the changes");
	}
	sqlite3_finalize(stmt);
	bridge_stage_end(stage);
	rc = err->code == SQLITE_OK ? put_keys(stage, &keys, err) : err->code;
	keys_clear(&keys);
	sqlite3_free(keys.values);
	return rc;
}

/* Up to ROWS_A_BATCH rows after the last key, or from the first; *last is then that of the last of them. */
static int
read_batch(BridgeStage *stage, sqlite3_stmt *stmt, sqlite3_value **last, Keys *keys, int *rows,
		   BridgeError *err)
{
	int columns = keys->columns;
	int rc;

	*rows = 0;
	for (int i = 0; i < columns && last[0] != NULL; i++)
		sqlite3_bind_value(stmt, i + 1, last[i]);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		if (!sqlite3_column_int(stmt, columns) && keys_add(keys, stmt, err) != SQLITE_OK)
			break;
		if (++*rows < ROWS_A_BATCH)
			continue;
		free_values(last, (size_t) columns);
		for (int i = 0; i < columns; i++)
			if ((last[i] = sqlite3_value_dup(sqlite3_column_value(stmt, i))) == NULL)
				bridge_error(err, SQLITE_NOMEM, "out of memory");
		break;
	}
	if (rc != SQLITE_DONE && rc != SQLITE_ROW && err->code == SQLITE_OK)
		bridge_error_db(err, stage->store->db, "reading the keys");
	sqlite3_reset(stmt);
	return err->code;
}

int
bridge_label_table(BridgeStage *stage, BridgeError *err)
{
	static const char first[] = "SELECT %8t, EXISTS (SELECT 1 FROM %1.%2_keys% AS m WHERE %6t) FROM %3 AS t"
								" ORDER BY %8t";
	static const char next[] = "SELECT %8t, EXISTS (SELECT 1 FROM %1.%2_keys% AS m WHERE %6t) FROM %3 AS t"
							   " WHERE (%8t) > (%8?) ORDER BY %8t";
	Keys keys = {.columns = stage->store->keys.count};
	sqlite3_value *last[BRIDGE_MAX_KEYS] = {0};
	sqlite3_stmt *stmt = NULL;
	int rows = ROWS_A_BATCH;
	int rc = SQLITE_OK;

	while (rc == SQLITE_OK && rows == ROWS_A_BATCH)
	{
		if (bridge_merge_cancelled(stage->task))
		{
			rc = bridge_error(err, SQLITE_INTERRUPT, "interrupted");
			break;
		}
		rc = bridge_stage_begin(stage, err);
		if (rc == SQLITE_OK)
			rc = prepare(stage->store, last[0] == NULL ? first : next, &stmt, err);
		if (rc == SQLITE_OK)
			rc = read_batch(stage, stmt, last, &keys, &rows, err);
		sqlite3_finalize(stmt);
		stmt = NULL;
		bridge_stage_end(stage);
		if (rc == SQLITE_OK)
			rc = put_keys(stage, &keys, err);
		keys_clear(&keys);
	}
	sqlite3_free(keys.values);
	free_values(last, BRIDGE_MAX_KEYS);
	return rc;
}

/* ---------- taking them back ---------- */

typedef struct Range
{
	int64_t after, upto;
} Range;

static int
trim_range(BridgeStore *store, const void *arg, BridgeError *err)
{
	const Range *range = arg;
	sqlite3_stmt *stmt = NULL;
	int rc = bridge_content_look(store, err);

	if (rc == SQLITE_OK && store->follow.keys_there)
		rc = prepare(
			store,
			"DELETE FROM %1.%2_keys% WHERE label IN (SELECT m.label FROM %1.%2_keys% AS m WHERE m.label > ?1"
			" AND m.label <= ?2 AND m.label < (SELECT max(label) FROM %1.%2_keys%) AND NOT EXISTS"
			" (SELECT 1 FROM %3 AS t WHERE %7m))",
			&stmt, err);
	if (stmt != NULL)
	{
		sqlite3_bind_int64(stmt, 1, range->after);
		sqlite3_bind_int64(stmt, 2, range->upto);
		if (sqlite3_step(stmt) != SQLITE_DONE)
			rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
		sqlite3_finalize(stmt);
	}
	return rc;
}

void
bridge_label_trim(BridgeStore *store, BridgeMergeTask *task)
{
	static const char text[] =
		"SELECT max(l), sum(gone) FROM (SELECT m.label AS l, NOT EXISTS (SELECT 1 FROM %3 AS t"
		" WHERE %7m) AS gone FROM %1.%2_keys% AS m WHERE m.label > ?1 ORDER BY m.label LIMIT ?2)";
	Range range = {0, 0};
	BridgeError err = {0};
	sqlite3_stmt *stmt = NULL;
	int rc =
		store->keys.count > 0 && store->follow.keys_there ? prepare(store, text, &stmt, &err) : SQLITE_DONE;

	while (rc == SQLITE_OK && !bridge_merge_cancelled(task))
	{
		bool gone;

		sqlite3_bind_int64(stmt, 1, range.after);
		sqlite3_bind_int64(stmt, 2, ROWS_A_BATCH);
		if (sqlite3_step(stmt) != SQLITE_ROW || sqlite3_column_type(stmt, 0) == SQLITE_NULL)
			break;
		range.upto = sqlite3_column_int64(stmt, 0);
		gone = sqlite3_column_int64(stmt, 1) > 0;
		sqlite3_reset(stmt);
		if (gone)
			rc = bridge_merge_transact(store, task, trim_range, &range, TRIM_COMMIT_MS, &err);
		range.after = range.upto;
	}
	sqlite3_finalize(stmt);
	bridge_error_clear(&err);
}
