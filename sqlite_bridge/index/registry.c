/*
 * registry.c
 *		What a connection knows of its hnsw tables, beyond the life of the
 *		virtual-table objects.
 *
 * SQLite disconnects and reconnects a virtual table whenever the schema moves.
 * Mapped graphs and the cached delta would be lost with it; they belong to the
 * connection instead and are found again by database file, schema and the
 * table's random id.  Whether they are still right is decided by each query
 * from what it reads in its own snapshot, never by the registry.
 */
#include "sqlite_bridge/index/index.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MANY_NEWCOMERS 100000 /* kept in memory while nobody reads */

/* ---------- connection ---------- */

BridgeConnection *
bridge_connection_hold(BridgeConnection *connection)
{
	connection->references++;
	return connection;
}

static void
free_index(BridgeIndex *index)
{
	bridge_index_forget(index);
	bridge_newcomers_free(index->newcomers);
	bridge_files_free(&index->files);
	sqlite3_free(index->schema);
	sqlite3_free(index->table);
	sqlite3_free(index);
}

/* The last release comes while sqlite3_close() takes the connection apart. */
void
bridge_connection_release(void *arg)
{
	BridgeConnection *connection = arg;

	assert(connection->references > 0 && connection->depth == 0);
	if (--connection->references > 0)
		return;
	if (connection->stop_merger != NULL)
		connection->stop_merger(connection);
	while (connection->indexes != NULL)
	{
		BridgeIndex *index = connection->indexes;

		connection->indexes = index->next;
		free_index(index);
	}
	sqlite3_free(connection);
}

/*
 * Before 3.41 nothing tells an extension that sqlite3_interrupt() was called,
 * except that the next statement does not run.
 */
static bool
is_interrupted(BridgeConnection *connection)
{
	bool stopped;

#if SQLITE_VERSION_NUMBER >= 3041000
	if (sqlite3_libversion_number() >= 3041000)
		return sqlite3_is_interrupted(connection->db) != 0;
#endif
	if (connection->poll == NULL &&
		sqlite3_prepare_v3(connection->db, "SELECT 1", -1, SQLITE_PREPARE_PERSISTENT, &connection->poll,
						   NULL) != SQLITE_OK)
		return false;
	stopped = bridge_step_own(connection, connection->poll) == SQLITE_INTERRUPT;
	bridge_cancelled_end(connection);
	return stopped;
}

int
bridge_step_own(BridgeConnection *connection, sqlite3_stmt *stmt)
{
	bool before = connection->stepping;
	int rc;

	connection->stepping = true;
	sqlite3_step(stmt);
	rc = sqlite3_reset(stmt);
	connection->stepping = before;
	return rc;
}

bool
bridge_cancelled(void *arg)
{
	BridgeConnection *connection = arg;

	if (connection->host.cancelled != NULL && connection->host.cancelled(connection->host.arg))
		return true;
	return is_interrupted(connection);
}

/*
 * No statement of ours may be left when the connection closes: the last
 * connected table takes it along, and so does who asks without any table.
 */
void
bridge_cancelled_end(BridgeConnection *connection)
{
	if (connection->stepping)
		return;
	for (BridgeIndex *index = connection->indexes; index != NULL; index = index->next)
		if (index->connected != NULL)
			return;
	sqlite3_finalize(connection->poll);
	connection->poll = NULL;
	bridge_names_forget(connection);
}

int
bridge_enter(BridgeConnection *connection, BridgeError *err)
{
	if (connection->depth >= BRIDGE_MAX_DEPTH)
		return bridge_error(err, SQLITE_ERROR,
							"hnsw: the schema makes the index use itself, more than %d levels deep",
							BRIDGE_MAX_DEPTH);
	connection->depth++;
	return SQLITE_OK;
}

void
bridge_leave(BridgeConnection *connection)
{
	assert(connection->depth > 0);
	connection->depth--;
}

/* ---------- indexes ---------- */

static bool
same_text(const char *a, const char *b)
{
	return a == NULL ? b == NULL : b != NULL && strcmp(a, b) == 0;
}

static void
unlink_index(BridgeConnection *connection, BridgeIndex *index)
{
	BridgeIndex **link = &connection->indexes;

	while (*link != index)
		link = &(*link)->next;
	*link = index->next;
}

int
bridge_index_connect(BridgeConnection *connection, BridgeTable *table, BridgeStore *store, BridgeIndex **out,
					 BridgeError *err)
{
	BridgeIndex *index, *next;
	BridgeFiles files;
	char *name;
	int rc = bridge_files_locate(store->db, store->schema, store->table, store->params.path, &files, err);

	*out = NULL;
	if (rc != SQLITE_OK)
		return rc;
	for (index = connection->indexes; index != NULL; index = index->next)
		if (index->id == store->id && strcmp(index->schema, store->schema) == 0 &&
			same_text(index->files.database, files.database))
			break;
	name = sqlite3_mprintf("%s", store->table);
	if (index == NULL && name != NULL)
	{
		/* What was known under this name is of a table or file that is gone. */
		for (BridgeIndex *old = connection->indexes; old != NULL; old = next)
		{
			next = old->next;
			if (old->tables == 0 && sqlite3_stricmp(old->schema, store->schema) == 0 &&
				sqlite3_stricmp(old->table, store->table) == 0)
			{
				unlink_index(connection, old);
				free_index(old);
			}
		}
		index = sqlite3_malloc64(sizeof(*index));
		if (index != NULL)
		{
			memset(index, 0, sizeof(*index));
			index->schema = sqlite3_mprintf("%s", store->schema);
			if (index->schema == NULL)
			{
				sqlite3_free(index);
				index = NULL;
			}
		}
		if (index != NULL)
		{
			index->connection = connection;
			index->id = store->id;
			index->next = connection->indexes;
			connection->indexes = index;
		}
	}
	if (index == NULL || name == NULL)
	{
		sqlite3_free(name);
		bridge_files_free(&files);
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	}
	sqlite3_free(index->table);
	index->table = name;
	bridge_files_free(&index->files);
	index->files = files;
	index->dim = store->params.dim;
	index->metric = store->params.metric;
	index->connected = table;
	index->tables++;
	index->store = store;
	store->newcomers = &index->newcomers;
	*out = index;
	return SQLITE_OK;
}

void
bridge_index_disconnect(BridgeIndex *index, BridgeTable *table)
{
	BridgeConnection *connection = index->connection;

	assert(index->tables > 0);
	index->tables--;
	if (index->connected == table)
	{
		index->connected = NULL;
		index->store = NULL;
	}
	bridge_cancelled_end(connection);
}

BridgeStore *
bridge_index_store(BridgeIndex *index)
{
	return index->store;
}

void
bridge_index_read(BridgeIndex *index)
{
	index->readers++;
}

void
bridge_index_read_end(BridgeIndex *index)
{
	/* A transaction may have more statements to come, which compare labels. */
	if (--index->readers > 0 || bridge_newcomers_count(index->newcomers) <= MANY_NEWCOMERS ||
		!sqlite3_get_autocommit(index->connection->db))
		return;
	/* Nobody but the cached delta has their labels. */
	bridge_delta_release(index->delta);
	index->delta = NULL;
	bridge_newcomers_free(index->newcomers);
	index->newcomers = NULL;
}

void
bridge_searcher_free(BridgeSearcher *searcher)
{
	if (searcher == NULL)
		return;
	if (searcher->cursor != NULL)
		hnsw_search_end(searcher->cursor);
	bridge_graph_release(searcher->graph);
	sqlite3_free(searcher);
}

static void
forget_searchers(BridgeIndex *index)
{
	for (int i = 0; i < BRIDGE_MAX_SEGMENTS; i++)
	{
		bridge_searcher_free(index->searchers[i]);
		index->searchers[i] = NULL;
	}
}

void
bridge_index_forget(BridgeIndex *index)
{
	if (index->snapshot != NULL)
		bridge_snapshot_release(index->snapshot);
	index->snapshot = NULL;
	bridge_delta_release(index->delta);
	index->delta = NULL;
	forget_searchers(index);
}

/* ---------- snapshots ---------- */

/* Whether the file of this token is among the snapshot's. */
static bool
has_token(const BridgeSnapshot *snapshot, const uint8_t token[HNSW_TOKEN_BYTES])
{
	for (int i = 0; snapshot != NULL && i < snapshot->count; i++)
		if (memcmp(snapshot->graphs[i]->token, token, HNSW_TOKEN_BYTES) == 0)
			return true;
	return false;
}

void
bridge_index_reject(BridgeIndex *index, const uint8_t token[HNSW_TOKEN_BYTES], const char *reason)
{
	index->rejected = true;
	memcpy(index->rejected_token, token, HNSW_TOKEN_BYTES);
	snprintf(index->rejected_reason, sizeof(index->rejected_reason), "%s", reason);
	if (has_token(index->snapshot, token))
	{
		forget_searchers(index);
		bridge_snapshot_release(index->snapshot);
		index->snapshot = NULL;
	}
	index->merge_due = true;
}

/* Searchers of a graph that stays are used on. */
void
bridge_index_adopt(BridgeIndex *index, BridgeSnapshot *snapshot)
{
	for (int i = 0; i < BRIDGE_MAX_SEGMENTS; i++)
		if (index->snapshot == NULL || index->snapshot->graphs[i] != snapshot->graphs[i])
		{
			bridge_searcher_free(index->searchers[i]);
			index->searchers[i] = NULL;
		}
	bridge_snapshot_release(index->snapshot);
	index->snapshot = snapshot;
	index->rejected = false;
	index->rejected_reason[0] = '\0';
}

int
bridge_index_snapshot(BridgeIndex *index, const BridgeState *state, BridgeSnapshot **out, BridgeError *err)
{
	BridgeSnapshot *snapshot;
	struct stat st;
	int rc;

	*out = NULL;
	if (state->segment_count == 0 || state->verdict != BRIDGE_FOLLOWED)
		return SQLITE_OK;
	if (!bridge_snapshot_is_of(index->snapshot, state))
	{
		if (index->files.path == NULL ||
			(index->rejected && bridge_state_names(state, index->rejected_token)))
			return SQLITE_OK;
		/* The file may have been replaced since the table connected. */
		if (stat(index->files.database, &st) == 0)
		{
			index->files.device = (uint64_t) st.st_dev;
			index->files.inode = (uint64_t) st.st_ino;
		}
		rc = bridge_snapshot_open(&index->files, bridge_index_store(index), state, index->snapshot,
								  index->rejected_reason, sizeof(index->rejected_reason), &snapshot, err);
		if (rc != SQLITE_OK || snapshot == NULL)
			return rc;
		bridge_index_adopt(index, snapshot);
	}
	index->snapshot->references++;
	*out = index->snapshot;
	return SQLITE_OK;
}
