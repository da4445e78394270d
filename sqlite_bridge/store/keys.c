/*
 * keys.c
 *		Labels for the rows of tables without rowids.
 *
 * A graph knows rows by numbers.  Rows of a WITHOUT ROWID table have none, so merges give each
 * key a number, its label, in the table <t>_keys.  Writers know nothing of that.  A row that is
 * newer than the last merge has no label yet; a connection that meets it gives it one of
 * its own, beyond all others, which means the same key for as long as queries run.
 *
 * Keys are compared as they are stored, bit for bit, whatever the table's collations say: 'a' and 'A'
 * are two keys here, of which a table with NOCASE holds one at a time.  Only numbers that are
 * equal are one key, 1 and 1.0.
 */
#include "sqlite_bridge/store/store.h"

#include <math.h>
#include <string.h>

const char *
bridge_key_name(const BridgeKeys *keys, int i)
{
	const char *name = keys->names;

	while (i-- > 0)
		name += strlen(name) + 1;
	return name;
}

/* ---------- keys that have no label ---------- */

struct BridgeNewcomers
{
	int columns;
	size_t count, capacity;
	sqlite3_value **values; /* columns of each */
	uint32_t *slots;        /* open addressing: number + 1, or 0 */
	size_t slot_count;
};

/* A REAL that is a whole number counts as that, as it does in a unique index. */
static int
type_of(sqlite3_value *value, int64_t *number)
{
	int type = sqlite3_value_type(value);

	if (type == SQLITE_INTEGER)
		*number = sqlite3_value_int64(value);
	else if (type == SQLITE_FLOAT)
	{
		double real = sqlite3_value_double(value);

		if (real >= -9223372036854775808.0 && real < 9223372036854775808.0 && real == floor(real))
		{
			*number = (int64_t) real;
			return SQLITE_INTEGER;
		}
		memcpy(number, &real, sizeof(real));
	}
	return type;
}

static uint64_t
hash_bytes(uint64_t hash, const void *data, size_t size)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t
hash_key(sqlite3_value *const *key, int columns)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (int i = 0; i < columns; i++)
	{
		int64_t number = 0;
		int type = type_of(key[i], &number);

		hash = hash_bytes(hash, &type, sizeof(type));
		if (type == SQLITE_TEXT || type == SQLITE_BLOB)
			hash = hash_bytes(hash, sqlite3_value_blob(key[i]), (size_t) sqlite3_value_bytes(key[i]));
		else
			hash = hash_bytes(hash, &number, sizeof(number));
	}
	return hash * UINT64_C(0x9E3779B97F4A7C15) >> 16;
}

static bool
equal_keys(sqlite3_value *const *a, sqlite3_value *const *b, int columns)
{
	for (int i = 0; i < columns; i++)
	{
		int64_t x = 0;
		int64_t y = 0;
		int type = type_of(a[i], &x);

		if (type != type_of(b[i], &y) || x != y)
			return false;
		if (type == SQLITE_TEXT || type == SQLITE_BLOB)
		{
			int bytes = sqlite3_value_bytes(a[i]);

			if (bytes != sqlite3_value_bytes(b[i]) ||
				(bytes > 0 &&
				 memcmp(sqlite3_value_blob(a[i]), sqlite3_value_blob(b[i]), (size_t) bytes) != 0))
				return false;
		}
	}
	return true;
}

static bool
grow_slots(BridgeNewcomers *newcomers)
{
	size_t slot_count = newcomers->slot_count < 64 ? 128 : 2 * newcomers->slot_count;
	uint32_t *slots = sqlite3_malloc64(slot_count * sizeof(*slots));

	if (slots == NULL || slot_count > UINT32_MAX)
	{
		sqlite3_free(slots);
		return false;
	}
	memset(slots, 0, slot_count * sizeof(*slots));
	for (size_t i = 0; i < newcomers->count; i++)
	{
		size_t s = hash_key(newcomers->values + i * (size_t) newcomers->columns, newcomers->columns);

		for (s &= slot_count - 1; slots[s] != 0;)
			s = (s + 1) & (slot_count - 1);
		slots[s] = (uint32_t) i + 1;
	}
	sqlite3_free(newcomers->slots);
	newcomers->slots = slots;
	newcomers->slot_count = slot_count;
	return true;
}

/* The slot of a key, empty where it is not known. */
static size_t
find_slot(const BridgeNewcomers *newcomers, sqlite3_value *const *key)
{
	size_t s = hash_key(key, newcomers->columns) & (newcomers->slot_count - 1);

	while (newcomers->slots[s] != 0 &&
		   !equal_keys(newcomers->values + (newcomers->slots[s] - 1) * (size_t) newcomers->columns, key,
					   newcomers->columns))
		s = (s + 1) & (newcomers->slot_count - 1);
	return s;
}

/* The number of a key, made if need be; -1 without memory. */
static int64_t
number_of(BridgeNewcomers *newcomers, sqlite3_value *const *key)
{
	size_t columns = (size_t) newcomers->columns;
	sqlite3_value **values;
	size_t s;

	if (newcomers->slot_count < 2 * (newcomers->count + 1) && !grow_slots(newcomers))
		return -1;
	s = find_slot(newcomers, key);
	if (newcomers->slots[s] != 0)
		return (int64_t) newcomers->slots[s] - 1;
	if (newcomers->count == newcomers->capacity)
	{
		size_t capacity = newcomers->capacity < 64 ? 64 : 2 * newcomers->capacity;

		values = sqlite3_realloc64(newcomers->values, capacity * columns * sizeof(*values));
		if (values == NULL)
			return -1;
		newcomers->values = values;
		newcomers->capacity = capacity;
	}
	values = newcomers->values + newcomers->count * columns;
	for (size_t i = 0; i < columns; i++)
		if ((values[i] = sqlite3_value_dup(key[i])) == NULL)
		{
			while (i-- > 0)
				sqlite3_value_free(values[i]);
			return -1;
		}
	newcomers->slots[s] = (uint32_t) ++newcomers->count;
	return (int64_t) newcomers->count - 1;
}

void
bridge_newcomers_free(BridgeNewcomers *newcomers)
{
	if (newcomers == NULL)
		return;
	for (size_t i = 0; i < newcomers->count * (size_t) newcomers->columns; i++)
		sqlite3_value_free(newcomers->values[i]);
	sqlite3_free(newcomers->values);
	sqlite3_free(newcomers->slots);
	sqlite3_free(newcomers);
}

size_t
bridge_newcomers_count(const BridgeNewcomers *newcomers)
{
	return newcomers != NULL ? newcomers->count : 0;
}

/* The key of a label of this connection's own; NULL where there is none. */
static sqlite3_value *const *
newcomer(const BridgeStore *store, int64_t label)
{
	const BridgeNewcomers *newcomers = store->newcomers != NULL ? *store->newcomers : NULL;
	uint64_t i = (uint64_t) label - (uint64_t) BRIDGE_FIRST_NEWCOMER;

	if (newcomers == NULL || newcomers->columns != store->keys.count || i >= newcomers->count)
		return NULL;
	return newcomers->values + i * (size_t) newcomers->columns;
}

/* ---------- labels and keys ---------- */

/* One of the connection's own. */
static int
label_newcomer(BridgeStore *store, sqlite3_value *const *key, int64_t *label, BridgeError *err)
{
	BridgeNewcomers *newcomers = *store->newcomers;

	/* Another key means another table: nothing that was known of the old one is of use. */
	if (newcomers == NULL || newcomers->columns != store->keys.count)
	{
		bridge_newcomers_free(newcomers);
		*store->newcomers = newcomers = sqlite3_malloc64(sizeof(*newcomers));
		if (newcomers != NULL)
			*newcomers = (BridgeNewcomers){.columns = store->keys.count};
	}
	*label = newcomers != NULL ? number_of(newcomers, key) : -1;
	if (*label < 0)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	*label += BRIDGE_FIRST_NEWCOMER;
	return SQLITE_OK;
}

int
bridge_store_row_label(BridgeStore *store, sqlite3_stmt *stmt, int column, int first_key, int64_t *label,
					   BridgeError *err)
{
	sqlite3_value *key[BRIDGE_MAX_KEYS];

	*label = sqlite3_column_int64(stmt, column);
	if (store->keys.count == 0 || sqlite3_column_type(stmt, column) != SQLITE_NULL)
		return SQLITE_OK;
	for (int i = 0; i < store->keys.count; i++)
		key[i] = sqlite3_column_value(stmt, first_key + i);
	return label_newcomer(store, key, label, err);
}

int
bridge_store_key_label(BridgeStore *store, sqlite3_value *const *key, int64_t *label, BridgeError *err)
{
	sqlite3_stmt *stmt;
	bool found = false;
	int rc = SQLITE_OK;

	if (store->follow.keys_there)
	{
		rc = bridge_store_statement(store, BRIDGE_STMT_KEY_LABEL, &stmt, err);
		if (rc != SQLITE_OK)
			return rc;
		for (int i = 0; i < store->keys.count; i++)
			sqlite3_bind_value(stmt, i + 1, key[i]);
		found = sqlite3_step(stmt) == SQLITE_ROW;
		if (found)
			*label = sqlite3_column_int64(stmt, 0);
		if (sqlite3_reset(stmt) != SQLITE_OK)
			return bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	}
	return found ? SQLITE_OK : label_newcomer(store, key, label, err);
}

int
bridge_store_bind_label(BridgeStore *store, int64_t label, sqlite3_stmt *stmt)
{
	sqlite3_value *const *key;
	int rc = SQLITE_OK;

	if (!bridge_label_is_new(store, label))
		return sqlite3_bind_int64(stmt, 1, label);
	key = newcomer(store, label);
	for (int i = 0; i < store->keys.count && rc == SQLITE_OK; i++)
		rc = key != NULL ? sqlite3_bind_value(stmt, i + 1, key[i]) : sqlite3_bind_null(stmt, i + 1);
	return rc;
}

bool
bridge_store_is_keyed(const BridgeStore *store)
{
	return store->keys.count > 0 || store->key_count > 0;
}

bool
bridge_label_is_new(const BridgeStore *store, int64_t label)
{
	return store->keys.count > 0 && label >= BRIDGE_FIRST_NEWCOMER;
}

int
bridge_store_result_key(BridgeStore *store, int64_t label, int i, sqlite3_context *context, BridgeError *err)
{
	sqlite3_value *const *key;
	sqlite3_stmt *stmt;
	int rc;

	if (i >= store->keys.count)
		return SQLITE_OK;
	if (bridge_label_is_new(store, label))
	{
		key = newcomer(store, label);
		if (key != NULL)
			sqlite3_result_value(context, key[i]);
		return SQLITE_OK;
	}
	rc = bridge_store_statement(store, BRIDGE_STMT_KEY_GET, &stmt, err);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(stmt, 1, label);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		sqlite3_result_value(context, sqlite3_column_value(stmt, i));
	rc = sqlite3_reset(stmt);
	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, store->db, "hnsw: table %s", store->table);
}

int
bridge_store_key_put(BridgeStore *store, sqlite3_value *const *key, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_KEY_PUT, &stmt, err);

	if (rc != SQLITE_OK)
		return rc;
	for (int i = 0; i < store->keys.count; i++)
		sqlite3_bind_value(stmt, i + 1, key[i]);
	return bridge_store_finish(store, stmt, err);
}
