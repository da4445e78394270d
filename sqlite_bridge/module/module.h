/*
 * module.h
 *		The virtual table, and the modules and functions that each connection gets.
 */
#ifndef BRIDGE_MODULE_H
#define BRIDGE_MODULE_H

#include "sqlite_bridge/embed/embed.h"
#include "sqlite_bridge/query/query.h"

/* ---------- module.c: the virtual table ---------- */

/*
 * BRIDGE_MAX_KEYS of them, last in the tables that give rows.  HIDDEN alone would be taken for a
 * type, with an affinity that makes the text '1' equal to the number.
 */
#define BRIDGE_KEY_COLUMNS                                                                                   \
	"k0 BLOB HIDDEN, k1 BLOB HIDDEN, k2 BLOB HIDDEN, k3 BLOB HIDDEN, k4 BLOB HIDDEN, k5 BLOB HIDDEN, "       \
	"k6 BLOB HIDDEN, k7 BLOB HIDDEN"

/*
 * What content.c's triggers write, beside plain DML:
 *
 *	INSERT INTO vss(command, rowid) VALUES ('changed', x)
 *		row x of the content table may have been inserted, updated or deleted:
 *		look at it and record what is there now.  Use for NEW and OLD rowids alike,
 *		in AFTER triggers.
 *	INSERT INTO vss(command, rowid) VALUES ('conflict', x)
 *		from BEFORE INSERT and UPDATE triggers: REPLACE may remove row x.  The next
 *		'changed' records those of them that have vanished.
 *
 * With content=, plain INSERT and UPDATE are taken as 'changed' where the row
 * exists and are errors where it does not; DELETE the other way round.
 */
struct BridgeTable
{
	sqlite3_vtab base;
	BridgeConnection *connection;
	BridgeStore *store;
	BridgeIndex *index;
	int64_t changes;    /* in the present transaction */
	int holders;        /* SQLite, and functions at work on the store */
	int64_t *conflicts; /* rowids that REPLACE may remove; see above */
	size_t conflict_count, conflict_capacity;
};

int bridge_module_register(BridgeConnection *connection, BridgeError *err);

/*
 * Keep a connected table and its store while a function works on them: any
 * statement it runs may find the schema changed and have SQLite disconnect.
 */
BridgeTable *bridge_table_hold(BridgeTable *table);
void bridge_table_release(BridgeTable *table);

/* ---------- rowset.c: what the virtual tables have in common ---------- */

/* Hand an error to SQLite, which takes the message over; returns its code. */
int bridge_rowset_fail(sqlite3_vtab *vtab, BridgeError *err);

/*
 * xConnect of a table that exists without being made: one that begins with a sqlite3_vtab and has size
 * bytes, zero beyond what SQLite sets.  SQLite's code; sqlite3_free frees it.
 */
int bridge_rowset_connect(sqlite3 *db, const char *declaration, size_t size, sqlite3_vtab **out);

/* xOpen: likewise a cursor of size bytes, which begins with a sqlite3_vtab_cursor. */
int bridge_rowset_open(size_t size, sqlite3_vtab_cursor **out);

/* In a connect: statements that use the table take read locks on attached databases from their start. */
void bridge_rowset_uses_all_schemas(sqlite3 *db);

/* ---------- update.c ---------- */

/* xUpdate. */
int bridge_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *rowid);

/* ---------- knn_function.c: the rowset vss_knn ---------- */

int bridge_knn_register(BridgeConnection *connection, BridgeError *err);

/* ---------- functions.c: hnsw_add, hnsw_del, hnsw_model, and arithmetic.c's ---------- */

int bridge_functions_register(BridgeConnection *connection, BridgeError *err);

/* ---------- check.c ---------- */

/*
 * Make all that follows read one snapshot of the database, until *stmt is
 * finalized.
 */
int bridge_hold_view(BridgeStore *store, sqlite3_stmt **stmt, BridgeError *err);

int bridge_check_register(BridgeConnection *connection, BridgeError *err);

/* ---------- recall.c ---------- */

int bridge_recall_register(BridgeConnection *connection, BridgeError *err);

/* ---------- tune.c ---------- */

int bridge_tune_register(BridgeConnection *connection, BridgeError *err);

/* ---------- info.c ---------- */

int bridge_info_register(BridgeConnection *connection, BridgeError *err);

/* ---------- indexes.c ---------- */

int bridge_indexes_register(BridgeConnection *connection, BridgeError *err);

/* ---------- hybrid_names.c ---------- */

/* What vss_hybrid searches; all sqlite3_free. */
typedef struct BridgeHybridNames
{
	char *schema;
	char *index;     /* the hnsw table */
	char *content;   /* the table that it is over */
	char *full_text; /* the FTS5 table */
} BridgeHybridNames;

/*
 * table: an hnsw table, or a table that has one; NULL: the only one.  full_text:
 * NULL: the one whose content is that table.  *names is to be freed in any case.
 */
int bridge_hybrid_names(sqlite3 *db, const char *table, const char *full_text, BridgeHybridNames *names,
						BridgeError *err);
void bridge_hybrid_names_free(BridgeHybridNames *names);

/* ---------- hybrid.c: the rowset vss_hybrid ---------- */

int bridge_hybrid_register(BridgeConnection *connection, BridgeError *err);

/* ---------- save.c: hnsw_save, hnsw_rebuild ---------- */

int bridge_merge_register(BridgeConnection *connection, BridgeError *err);

#endif /* BRIDGE_MODULE_H */
