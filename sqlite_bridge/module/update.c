/*
 * update.c
 *		xUpdate: INSERT, UPDATE and DELETE on an hnsw table, and commands.
 *
 * A table without content= owns its vectors: they are written to the shadow
 * table and, as a change, to the delta.  With content= the user's table is the
 * truth and only the change is recorded, as read from there: whatever
 * triggers did and in whatever order, the delta says what the truth says.
 *
 * With content= a table's triggers write to its journal and come here no more.  Those of
 * an index of format 1 do, until a merge gives it a journal: what follows is about them.
 *
 * REPLACE deletes rows of the content table without firing triggers (unless
 * recursive_triggers is on).  The BEFORE triggers therefore name the rows that
 * may go, and the next change records those that have gone.
 */
#include "sqlite_bridge/module/module.h"

#include <string.h>

/* xUpdate's argv: old rowid, new rowid, then the columns as module.c declares them. */
enum
{
	UPDATE_OLD_ROWID,
	UPDATE_NEW_ROWID,
	UPDATE_EMBEDDING,
	UPDATE_DISTANCE,
	UPDATE_QUERY,
	UPDATE_K,
	UPDATE_EF,
	UPDATE_STRATEGY,
	UPDATE_STATS,
	UPDATE_COMMAND
};

/*
 * A candidate that is still there may go yet: one row's REPLACE removes several
 * rows, and a cascading foreign key fires triggers between them.  So the last few
 * stay, which covers the row being written and those around it (a row conflicts with
 * no more rows than its table has unique indexes).  Older ones are those that
 * INSERT OR IGNORE and UPSERT leave behind; nothing comes of them.
 */
#define CONFLICTS_MANY 1024
#define CONFLICTS_KEPT 64

/* A whole number, or text that is one, as for any INTEGER PRIMARY KEY. */
static int
take_rowid(const BridgeStore *store, sqlite3_value *value, int64_t *rowid, BridgeError *err)
{
	*rowid = 0;
	if (!bridge_whole_number(value, rowid))
		return bridge_error(err, SQLITE_MISMATCH, "%s: the rowid must be an integer", store->table);
	return SQLITE_OK;
}

/* ---------- tables with content= ---------- */

/* Record what the content table holds for rowid now. */
static int
record_row(BridgeTable *table, int64_t rowid, BridgeError *err)
{
	BridgeStore *store = table->store;
	bool present;
	int rc;

	if (store->journal)
		return bridge_store_journal_put(store, rowid, err);
	rc = bridge_store_truth_get(store, rowid, &store->scratch, &present, err);
	return rc != SQLITE_OK ? rc : bridge_store_change(store, rowid, store->scratch.data, err);
}

/* Record those candidates that the content table has lost; forget old ones that it has. */
static int
settle_conflicts(BridgeTable *table, BridgeError *err)
{
	size_t count = table->conflict_count;
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
	{
		bool present;
		int rc = bridge_store_truth_exists(table->store, table->conflicts[i], &present, err);

		if (rc == SQLITE_OK && !present)
			rc = bridge_store_change(table->store, table->conflicts[i], NULL, err);
		if (rc != SQLITE_OK)
			return rc; /* the statement fails and takes back what it wrote */
		if (present && i + CONFLICTS_KEPT >= count)
			table->conflicts[kept++] = table->conflicts[i];
	}
	table->conflict_count = kept;
	return SQLITE_OK;
}

static int
add_conflict(BridgeTable *table, int64_t rowid, BridgeError *err)
{
	/* Loads by UPSERT name the same rows over and over. */
	for (size_t i = table->conflict_count; i > 0 && i + CONFLICTS_KEPT > table->conflict_count; i--)
		if (table->conflicts[i - 1] == rowid)
			return SQLITE_OK;
	if (table->conflict_count >= CONFLICTS_MANY && settle_conflicts(table, err) != SQLITE_OK)
		return err->code;
	if (table->conflict_count == table->conflict_capacity)
	{
		size_t capacity = table->conflict_capacity == 0 ? 16 : 2 * table->conflict_capacity;
		int64_t *conflicts = sqlite3_realloc64(table->conflicts, capacity * sizeof(*conflicts));

		if (conflicts == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		table->conflicts = conflicts;
		table->conflict_capacity = capacity;
	}
	table->conflicts[table->conflict_count++] = rowid;
	return SQLITE_OK;
}

static int
run_command(BridgeTable *table, sqlite3_value **argv, BridgeError *err)
{
	BridgeStore *store = table->store;
	const char *command = (const char *) sqlite3_value_text(argv[UPDATE_COMMAND]);
	int64_t rowid;
	int rc;

	if (store->params.content == NULL || store->journal || command == NULL ||
		(strcmp(command, "changed") != 0 && strcmp(command, "conflict") != 0))
		return bridge_error(err, SQLITE_ERROR, "%s: unknown command \"%s\"", store->table,
							command == NULL ? "" : command);
	if (sqlite3_value_type(argv[UPDATE_NEW_ROWID]) == SQLITE_NULL)
		return SQLITE_OK;
	rc = take_rowid(store, argv[UPDATE_NEW_ROWID], &rowid, err);
	if (rc != SQLITE_OK)
		return rc;
	if (strcmp(command, "conflict") == 0)
		return add_conflict(table, rowid, err);
	rc = settle_conflicts(table, err);
	return rc == SQLITE_OK ? record_row(table, rowid, err) : rc;
}

/* A write by hand is welcome where it agrees with the content table. */
static int
follow_content(BridgeTable *table, int64_t rowid, bool deletes, BridgeError *err)
{
	BridgeStore *store = table->store;
	bool present = false;
	int rc = bridge_content_look(store, err);
	const char *content = store->params.content;

	if (rc == SQLITE_OK)
		rc = bridge_store_truth_exists(store, rowid, &present, err);
	if (rc != SQLITE_OK)
		return rc;
	if (deletes && present)
		return bridge_error(err, SQLITE_CONSTRAINT_VTAB,
							"%s follows table %s (content=): delete row %lld there", store->table, content,
							(sqlite3_int64) rowid);
	if (!deletes && !present)
		return bridge_error(err, SQLITE_CONSTRAINT_VTAB,
							"%s follows table %s (content=), which has no row %lld: write it there",
							store->table, content, (sqlite3_int64) rowid);
	return record_row(table, rowid, err);
}

/* ---------- tables of their own ---------- */

static int
remove_row(BridgeTable *table, int64_t rowid, BridgeError *err)
{
	int rc = bridge_store_truth_delete(table->store, rowid, err);

	return rc != SQLITE_OK ? rc : bridge_store_change(table->store, rowid, NULL, err);
}

/* The vector to be stored, decoded into the store's scratch. */
static int
take_embedding(BridgeTable *table, sqlite3_value *value, bool has_rowid, int64_t rowid, BridgeError *err)
{
	BridgeStore *store = table->store;
	int rc = bridge_vector_read(value, &store->scratch, err);

	if (rc == SQLITE_OK && store->scratch.data != NULL && store->scratch.dim != store->params.dim)
		rc = bridge_error(err, SQLITE_MISMATCH, "the vector has %d dimensions, expected %d",
						  store->scratch.dim, store->params.dim);
	if (rc == SQLITE_OK)
		return SQLITE_OK;
	if (has_rowid)
		return bridge_error_prefix(err, "%s, row %lld", store->table, (sqlite3_int64) rowid);
	return bridge_error_prefix(err, "%s, new row", store->table);
}

/* INSERT, or the second half of an UPDATE; *rowid is read where has_rowid and set where not. */
static int
write_row(BridgeTable *table, sqlite3_value *embedding, bool has_rowid, int64_t *rowid, bool same_row,
		  BridgeError *err)
{
	BridgeStore *store = table->store;
	int rc;

	if (has_rowid && !same_row && sqlite3_vtab_on_conflict(store->db) != SQLITE_REPLACE)
	{
		bool present;

		/* Before anything is changed: OR IGNORE and OR FAIL rely on it. */
		rc = bridge_store_truth_exists(store, *rowid, &present, err);
		if (rc == SQLITE_OK && present)
			rc = bridge_error(err, SQLITE_CONSTRAINT_ROWID,
							  "%s has a row %lld already; INSERT OR REPLACE and hnsw_add() replace it",
							  store->table, (sqlite3_int64) *rowid);
		if (rc != SQLITE_OK)
			return rc;
	}
	rc = take_embedding(table, embedding, has_rowid, has_rowid ? *rowid : 0, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_truth_put(store, has_rowid, rowid, store->scratch.data, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_change(store, *rowid, store->scratch.data, err);
	return rc;
}

/* ---------- xUpdate ---------- */

static int
insert(BridgeTable *table, sqlite3_value **argv, int64_t *rowid, BridgeError *err)
{
	BridgeStore *store = table->store;
	bool has_rowid = sqlite3_value_type(argv[UPDATE_NEW_ROWID]) != SQLITE_NULL;
	int rc = SQLITE_OK;

	if (sqlite3_value_type(argv[UPDATE_COMMAND]) != SQLITE_NULL)
		return run_command(table, argv, err);
	for (int i = UPDATE_DISTANCE; i < UPDATE_COMMAND; i++)
		if (sqlite3_value_type(argv[i]) != SQLITE_NULL)
			return bridge_error(
				err, SQLITE_ERROR,
				"%s: only rowid and embedding can be written, the other columns are for queries",
				store->table);
	if (has_rowid)
		rc = take_rowid(store, argv[UPDATE_NEW_ROWID], rowid, err);
	if (rc != SQLITE_OK)
		return rc;
	if (store->params.content == NULL)
		return write_row(table, argv[UPDATE_EMBEDDING], has_rowid, rowid, false, err);
	if (!has_rowid)
		return bridge_error(err, SQLITE_CONSTRAINT_VTAB,
							"%s follows table %s (content=): insert the row there", store->table,
							store->params.content);
	return follow_content(table, *rowid, false, err);
}

static int
update(BridgeTable *table, sqlite3_value **argv, BridgeError *err)
{
	BridgeStore *store = table->store;
	int64_t old_rowid = sqlite3_value_int64(argv[UPDATE_OLD_ROWID]);
	int64_t new_rowid;
	int rc = take_rowid(store, argv[UPDATE_NEW_ROWID], &new_rowid, err);

	if (rc != SQLITE_OK)
		return rc;
	if (store->params.content != NULL)
	{
		if (new_rowid != old_rowid)
			rc = follow_content(table, old_rowid, true, err);
		return rc == SQLITE_OK ? follow_content(table, new_rowid, false, err) : rc;
	}
	rc = write_row(table, argv[UPDATE_EMBEDDING], true, &new_rowid, new_rowid == old_rowid, err);
	if (rc == SQLITE_OK && new_rowid != old_rowid)
		rc = remove_row(table, old_rowid, err);
	return rc;
}

int
bridge_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *rowid)
{
	BridgeTable *table = (BridgeTable *) vtab;
	BridgeStore *store = table->store;
	sqlite3_int64 last_rowid = sqlite3_last_insert_rowid(store->db);
	int64_t new_rowid = 0;
	BridgeError err = {0};
	int rc = bridge_enter(table->connection, &err);

	if (rc != SQLITE_OK)
	{
		sqlite3_free(vtab->zErrMsg);
		vtab->zErrMsg = err.message;
		return rc;
	}
	if (argc == 1)
	{
		int64_t old_rowid = sqlite3_value_int64(argv[UPDATE_OLD_ROWID]);

		rc = store->params.content != NULL ? follow_content(table, old_rowid, true, &err)
										   : remove_row(table, old_rowid, &err);
	}
	else if (sqlite3_value_type(argv[UPDATE_OLD_ROWID]) == SQLITE_NULL)
	{
		rc = insert(table, argv, &new_rowid, &err);
		*rowid = new_rowid;
	}
	else
		rc = update(table, argv, &err);

	bridge_leave(table->connection);
	table->changes++;
	/* The shadow tables' rowids are nobody's business. */
	sqlite3_set_last_insert_rowid(store->db, last_rowid);
	if (rc != SQLITE_OK)
	{
		sqlite3_free(vtab->zErrMsg);
		vtab->zErrMsg = err.message;
	}
	return rc;
}
