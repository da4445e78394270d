/*
 * labels.c
 *		Lists of labels in the config table: those of the base that a second segment
 *		hides, and those of rows that the graph has no place for.
 *
 * storage.c specifies them.  What is damaged counts as not there.
 */
#include "sqlite_bridge/store/store.h"

#include <assert.h>
#include <string.h>

/* A BLOB of so many numbers, the caller's to sqlite3_free; NULL where there is none. */
static int
read_numbers(BridgeStore *store, const char *key, int64_t **out, size_t *count, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_CONFIG_GET, &stmt, err);

	*out = NULL;
	*count = 0;
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_BLOB &&
		sqlite3_column_bytes(stmt, 0) % (int) sizeof(int64_t) == 0)
	{
		const void *numbers = sqlite3_column_blob(stmt, 0);
		size_t bytes = (size_t) sqlite3_column_bytes(stmt, 0);

		*out = sqlite3_malloc64(bytes + 1);
		if (*out == NULL || (bytes > 0 && numbers == NULL))
			rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
		else if (bytes > 0)
			memcpy(*out, numbers, bytes);
		*count = bytes / sizeof(int64_t);
	}
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else if (err->code == SQLITE_OK)
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_reset(stmt);
	return rc;
}

static bool
are_ascending(const int64_t *labels, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (labels[i - 1] >= labels[i])
			return false;
	return true;
}

int
bridge_store_set_labels(BridgeStore *store, const char *key, const int64_t *numbers, size_t count,
						BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc;

	if (numbers == NULL)
		return bridge_exec(store->db, err, "DELETE FROM \"%w\".\"%w_config\" WHERE key = %Q", store->schema,
						   store->table, key);
	rc = bridge_store_statement(store, BRIDGE_STMT_CONFIG_PUT, &stmt, err);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	/* without bytes the pointer counts, too: NULL would be no BLOB */
	if (sqlite3_bind_blob64(stmt, 2, numbers, count * sizeof(*numbers), SQLITE_STATIC) != SQLITE_OK)
	{
		sqlite3_reset(stmt);
		return bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	}
	return bridge_store_finish(store, stmt, err);
}

int
bridge_store_hidden(BridgeStore *store, int64_t **out, size_t *count, bool *sound, BridgeError *err)
{
	int rc = read_numbers(store, "hidden", out, count, err);

	*sound = rc == SQLITE_OK && *out != NULL && are_ascending(*out, *count);
	return rc;
}

int
bridge_store_unplaced(BridgeStore *store, int64_t position, int64_t **out, size_t *count, bool *known,
					  BridgeError *err)
{
	int rc = read_numbers(store, "unplaced", out, count, err);

	*known = rc == SQLITE_OK && *count > 0 && (*out)[0] == position && are_ascending(*out + 1, *count - 1);
	if (!*known)
	{
		sqlite3_free(*out);
		*out = NULL;
		*count = 0;
		return rc;
	}
	memmove(*out, *out + 1, --*count * sizeof(**out));
	return SQLITE_OK;
}

int
bridge_store_set_unplaced(BridgeStore *store, int64_t position, const int64_t *labels, size_t count,
						  BridgeError *err)
{
	int64_t *numbers;
	int rc;

	assert(are_ascending(labels, labels != NULL ? count : 0));
	if (labels == NULL || count > BRIDGE_MOST_UNPLACED)
		return bridge_store_set_labels(store, "unplaced", NULL, 0, err);
	numbers = sqlite3_malloc64((count + 1) * sizeof(*numbers));
	if (numbers == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	numbers[0] = position;
	memcpy(numbers + 1, labels, count * sizeof(*labels));
	rc = bridge_store_set_labels(store, "unplaced", numbers, count + 1, err);
	sqlite3_free(numbers);
	return rc;
}
