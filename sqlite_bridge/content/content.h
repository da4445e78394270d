/*
 * content.h
 *		Tables that feed an index: by the triggers of content=, or by hand-written
 *		ones.
 */
#ifndef BRIDGE_CONTENT_H
#define BRIDGE_CONTENT_H

#include "sqlite_bridge/store/store.h"

/* ---------- content.c: the owner's table ---------- */

/* As the schema spells it; all owned. */
typedef struct BridgeContent
{
	char *table;
	char *key;       /* INTEGER PRIMARY KEY, or a name of the rowid that no column has; "" with keys */
	bool renumbers;  /* the latter: VACUUM may give rows other numbers */
	BridgeKeys keys; /* a WITHOUT ROWID table's */
	char *vector;
	bool vector_generated;
	bool replaces;         /* it has unique indexes, through which REPLACE removes rows */
	bool every_update;     /* what these depend on cannot be told by column */
	bool unique_generated; /* one of their columns is generated */
	char *unique;          /* their columns, quotes doubled, a zero byte behind each */
	int unique_bytes;
} BridgeContent;

/*
 * What params.content, content_rowid and content_vector name, or why it is not fit for an
 * index.  Free with bridge_content_free, also on failure.
 */
int bridge_content_find(sqlite3 *db, const char *schema, const BridgeParams *params, BridgeContent *content,
						BridgeError *err);
void bridge_content_free(BridgeContent *content);

/* The key's order must be one that every connection has. */
int bridge_content_check_collations(sqlite3 *db, const char *schema, const BridgeContent *content,
									BridgeError *err);

/* Every row's vector must be one that the index can take; the first that is not is named. */
int bridge_content_check_rows(sqlite3 *db, const char *schema, const BridgeContent *content,
							  const BridgeParams *params, BridgeError *err);

/* Prepare a query on the schema and bind up to two texts. */
int bridge_schema_query(sqlite3 *db, const char *sql, const char *first, const char *second,
						sqlite3_stmt **stmt, BridgeError *err);

/* ---------- triggers.c: what follows the table ---------- */

enum
{
	BRIDGE_AFTER_INSERT,
	BRIDGE_BEFORE_DELETE,
	BRIDGE_BEFORE_UPDATE,
	BRIDGE_MARK, /* made last, on the journal */
	BRIDGE_TRIGGERS
};

/* The text of each, from its name on; sqlite3_free. */
typedef struct BridgeTriggers
{
	char *names[BRIDGE_TRIGGERS];
	char *texts[BRIDGE_TRIGGERS];
} BridgeTriggers;

int bridge_triggers_spell(const char *index, const BridgeParams *params, const BridgeContent *content,
						  BridgeTriggers *out, BridgeError *err);
void bridge_triggers_free(BridgeTriggers *triggers);

/* How the AFTER INSERT trigger of an index on this table ends; sqlite3_free. */
char *bridge_triggers_append(const char *index, const BridgeContent *content);

/* Within xCreate: check the table, make journal and triggers. */
int bridge_content_create(sqlite3 *db, const char *schema, const char *index, const BridgeParams *params,
						  BridgeError *err);

/*
 * Make them anew, within a write transaction: a journal and triggers as they should
 * be, and a new last row of the journal.
 */
int bridge_content_repair(BridgeStore *store, BridgeError *err);

int bridge_content_rename(BridgeStore *store, const char *new_name, BridgeError *err);

/* Leave nothing of them. */
int bridge_content_drop(BridgeStore *store, BridgeError *err);

/*
 * An index of format 1, whose triggers write to the virtual table: give it a journal,
 * within a write transaction.  Its graph stays valid.
 */
int bridge_content_migrate(BridgeStore *store, BridgeError *err);

/* ---------- evidence.c: whether graph and journal are the table ---------- */

/*
 * Bring store->follow and the names in store->params up to the present schema.  To be called
 * before anything is read of a content table.
 */
int bridge_content_look(BridgeStore *store, BridgeError *err);

/* The same, and bridge_store_state. */
int bridge_content_state(BridgeStore *store, BridgeState *state, int64_t tag_seq, int64_t *tag, bool *found,
						 BridgeError *err);

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

/* Whether it is an AFTER INSERT trigger. */
bool bridge_trigger_is_after_insert(const char *sql);

/* Whether UPDATE of this column fires it.  The SQL must still be there. */
bool bridge_trigger_lists(const BridgeTrigger *trigger, const char *column);

/* ---------- sources.c: tables that feed an index by hand-written triggers ---------- */

typedef struct BridgeSource
{
	char *table, *rowid, *vector; /* in the schema's spelling */
	bool alone;                   /* no other feeds the index */
	char *missing_sql;            /* what the set of triggers lacks, and what repairs the index; or NULL */
} BridgeSource;

/* SQL that makes the index equal the table; sqlite3_free. */
char *bridge_source_repair(const char *index, const BridgeSource *source);

/*
 * only: the index is the one that calls without a name mean.  Free with
 * bridge_sources_free.
 */
int bridge_sources_find(sqlite3 *db, const char *schema, const char *index, bool only, BridgeSource **out,
						int *count, BridgeError *err);
void bridge_sources_free(BridgeSource *sources, int count);

/* ---------- module_text.c: the function hnsw_module_of ---------- */

int bridge_module_text_register(sqlite3 *db, BridgeError *err);

#endif /* BRIDGE_CONTENT_H */
