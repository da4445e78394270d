/*
 * content.h
 *		Tables that feed an index: by the triggers of content=, or by hand-written
 *		ones.
 */
#ifndef BRIDGE_CONTENT_H
#define BRIDGE_CONTENT_H

#include "sqlite_bridge/store/store.h"

/* ---------- content.c: triggers of content= ---------- */

#define BRIDGE_CONTENT_TRIGGERS 5

/*
 * Check table and columns (INTEGER PRIMARY KEY, existing vector column, sound
 * rows) and write the triggers, within xCreate.
 */
int bridge_content_create(sqlite3 *db, const char *schema, const char *table, const BridgeParams *params,
						  BridgeError *err);
/* The index is renamed from table to new_name: write its triggers anew. */
int bridge_content_rename(sqlite3 *db, const char *schema, const char *table, const char *new_name,
						  const BridgeParams *params, BridgeError *err);
int bridge_content_drop(sqlite3 *db, const char *schema, const char *table, const BridgeParams *params,
						BridgeError *err);

/*
 * Whether the table that params.content names is fit for an index, and how it
 * and its columns are spelled; the three texts are the caller's, also on failure.
 */
int bridge_content_columns(sqlite3 *db, const char *schema, const BridgeParams *params, char **table,
						   char **rowid, char **vector, BridgeError *err);

/*
 * The SQL that brings the triggers up to date with the content table and its
 * unique indexes; NULL (with SQLITE_OK) when they are.  sqlite3_free.
 */
int bridge_content_missing(sqlite3 *db, const char *schema, const char *table, const BridgeParams *params,
						   char **sql, BridgeError *err);

/* ---------- trigger_text.c: what a trigger does to an index ---------- */

#define BRIDGE_TRIGGER_CALLS 8

typedef enum BridgeTriggerEvent
{
	BRIDGE_INSERT,
	BRIDGE_DELETE,
	BRIDGE_UPDATE
} BridgeTriggerEvent;

/* hnsw_add(NEW.id, NEW.vector [, 'index']) or hnsw_del(OLD.id [, 'index']) */
typedef struct BridgeTriggerCall
{
	bool adds;
	char *id;
	char *vector; /* NULL for hnsw_del */
	char *index;  /* NULL: not named */
} BridgeTriggerCall;

typedef struct BridgeTrigger
{
	BridgeTriggerEvent event;
	bool after;
	bool has_columns;          /* UPDATE OF ... */
	const char *columns_start; /* into the SQL */
	int call_count;
	BridgeTriggerCall calls[BRIDGE_TRIGGER_CALLS];
} BridgeTrigger;

/* False where the trigger does nothing to an index that is sure to happen for every row. */
bool bridge_trigger_parse(const char *sql, BridgeTrigger *out);
void bridge_trigger_free(BridgeTrigger *trigger);

/* Whether UPDATE of this column fires it.  The SQL must still be there. */
bool bridge_trigger_lists(const BridgeTrigger *trigger, const char *column);

/* ---------- sources.c: tables that feed an index by hand-written triggers ---------- */

typedef struct BridgeSource
{
	char *table, *rowid, *vector; /* in the schema's spelling */
	char *missing_sql;            /* what the set of triggers lacks, or NULL */
} BridgeSource;

/*
 * only: the index is the one that calls without a name mean.  Free with
 * bridge_sources_free.
 */
int bridge_sources_find(sqlite3 *db, const char *schema, const char *index, bool only, BridgeSource **out,
						int *count, BridgeError *err);
void bridge_sources_free(BridgeSource *sources, int count);

#endif /* BRIDGE_CONTENT_H */
