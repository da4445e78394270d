/*
 * sources.c
 *		Which tables feed an index through triggers written by hand.
 *
 * A source is a table with an AFTER INSERT trigger that adds every row
 * (trigger_text.c) under its INTEGER PRIMARY KEY.  Whether the other triggers
 * follow is looked at here too; what lacks is spelled out as SQL, and with it what brings the
 * index up to the table: nobody knows which changes were missed.
 */
#include "sqlite_bridge/content/content.h"

#include <string.h>

/* What a set of triggers keeps up with. */
typedef struct Coverage
{
	bool deletes;
	bool vector_updates;
	bool id_updates;
} Coverage;

/* A trigger row of sqlite_schema. */
typedef struct TriggerRow
{
	char *table;
	BridgeTrigger trigger;
	char *sql; /* trigger points into it */
} TriggerRow;

typedef struct TriggerList
{
	TriggerRow *rows;
	int count, capacity;
} TriggerList;

static void
free_list(TriggerList *list)
{
	for (int i = 0; i < list->count; i++)
	{
		bridge_trigger_free(&list->rows[i].trigger);
		sqlite3_free(list->rows[i].table);
		sqlite3_free(list->rows[i].sql);
	}
	sqlite3_free(list->rows);
	memset(list, 0, sizeof(*list));
}

/* Those triggers of the schema that call hnsw_add or hnsw_del. */
static int
read_triggers(sqlite3 *db, const char *schema, TriggerList *list, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT tbl_name, sql FROM \"%w\".sqlite_schema"
								" WHERE type = 'trigger' AND sql LIKE '%%hnsw_%%' ORDER BY rowid",
								schema);
	int rc = sql ? sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

	memset(list, 0, sizeof(*list));
	while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		TriggerRow *row;

		rc = SQLITE_OK;
		if (list->count == list->capacity)
		{
			int capacity = list->capacity ? list->capacity * 2 : 8;
			TriggerRow *rows = sqlite3_realloc64(list->rows, sizeof(*rows) * (sqlite3_uint64) capacity);

			if (rows == NULL)
			{
				rc = SQLITE_NOMEM;
				break;
			}
			list->rows = rows;
			list->capacity = capacity;
		}
		row = &list->rows[list->count];
		memset(row, 0, sizeof(*row));
		row->table = sqlite3_mprintf("%s", (const char *) sqlite3_column_text(stmt, 0));
		row->sql = sqlite3_mprintf("%s", (const char *) sqlite3_column_text(stmt, 1));
		if (row->table == NULL || row->sql == NULL)
			rc = SQLITE_NOMEM;
		if (rc == SQLITE_OK && bridge_trigger_parse(row->sql, &row->trigger))
			list->count++;
		else
		{
			sqlite3_free(row->table);
			sqlite3_free(row->sql);
		}
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	if (rc == SQLITE_DONE)
		return SQLITE_OK;
	return rc == SQLITE_NOMEM ? bridge_error(err, rc, "out of memory")
							  : bridge_error_db(err, db, "reading the triggers");
}

/* Whether a call goes to this index.  only: it is the one a call without a name means. */
static bool
names_index(const BridgeTriggerCall *call, const char *schema, const char *index, bool only)
{
	size_t length = strlen(schema);

	if (call->index == NULL)
		return only;
	if (sqlite3_stricmp(call->index, index) == 0)
		return true;
	return sqlite3_strnicmp(call->index, schema, (int) length) == 0 && call->index[length] == '.' &&
		   sqlite3_stricmp(call->index + length + 1, index) == 0;
}

/* What one trigger adds to the coverage of a source. */
static void
cover(const TriggerRow *row, const BridgeSource *source, const char *schema, const char *index, bool only,
	  Coverage *coverage)
{
	const BridgeTrigger *trigger = &row->trigger;
	bool deleted = false;

	if (sqlite3_stricmp(row->table, source->table) != 0)
		return;
	for (int i = 0; i < trigger->call_count; i++)
	{
		const BridgeTriggerCall *call = &trigger->calls[i];

		if (!names_index(call, schema, index, only) || sqlite3_stricmp(call->id, source->rowid) != 0)
			continue;
		if (!call->adds)
		{
			deleted = true;
			if (trigger->event == BRIDGE_DELETE)
				coverage->deletes = true;
		}
		else if (trigger->event == BRIDGE_UPDATE && trigger->after &&
				 sqlite3_stricmp(call->vector, source->vector) == 0)
		{
			if (bridge_trigger_lists(trigger, source->vector))
				coverage->vector_updates = true;
			if (deleted && bridge_trigger_lists(trigger, source->rowid))
				coverage->id_updates = true;
		}
	}
}

/* Unique indexes beside the key, through which REPLACE removes rows unseen. */
static int
count_unique(sqlite3 *db, const char *schema, const char *table, int *count, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT count(*) FROM pragma_index_list(?1, ?2) WHERE \"unique\"", -1,
								&stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 2, schema, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		*count = sqlite3_column_int(stmt, 0);
		rc = SQLITE_OK;
	}
	else
		rc = bridge_error_db(err, db, "reading the indexes of table \"%s\"", table);
	sqlite3_finalize(stmt);
	return rc;
}

/* What makes the index equal the table.  Rows of other tables are not to be removed where there are any. */
static void
add_repair(sqlite3_str *text, const char *index, const BridgeSource *source)
{
	if (source->alone)
		sqlite3_str_appendf(
			text,
			"DELETE FROM \"%w\" WHERE rowid NOT IN (SELECT \"%w\" FROM \"%w\" WHERE \"%w\" IS NOT NULL);\n",
			index, source->rowid, source->table, source->vector);
	sqlite3_str_appendf(text,
						"SELECT count(hnsw_add(\"%w\", \"%w\", %Q)) FROM \"%w\" WHERE \"%w\" IS NOT NULL;\n",
						source->rowid, source->vector, index, source->table, source->vector);
}

char *
bridge_source_repair(const char *index, const BridgeSource *source)
{
	sqlite3_str *text = sqlite3_str_new(NULL);

	add_repair(text, index, source);
	return sqlite3_str_finish(text);
}

static int
spell_missing(sqlite3 *db, const char *schema, const char *index, const Coverage *coverage,
			  BridgeSource *source, BridgeError *err)
{
	const char *t = source->table;
	const char *id = source->rowid;
	const char *vector = source->vector;
	sqlite3_str *text = sqlite3_str_new(db);
	int unique = 0;
	int rc = count_unique(db, schema, t, &unique, err);

	if (!coverage->deletes)
		sqlite3_str_appendf(text,
							"CREATE TRIGGER \"%w_%w_delete\" AFTER DELETE ON \"%w\" BEGIN"
							" SELECT hnsw_del(OLD.\"%w\", %Q); END;\n",
							index, t, t, id, index);
	if (!coverage->vector_updates || !coverage->id_updates)
		sqlite3_str_appendf(
			text,
			"CREATE TRIGGER \"%w_%w_update\" AFTER UPDATE OF \"%w\", \"%w\" ON \"%w\" BEGIN"
			" SELECT hnsw_del(OLD.\"%w\", %Q); SELECT hnsw_add(NEW.\"%w\", NEW.\"%w\", %Q); END;\n",
			index, t, id, vector, t, id, index, id, vector, index);
	if (sqlite3_str_length(text) > 0)
		add_repair(text, index, source);
	if (unique > 0)
		sqlite3_str_appendf(
			text,
			"-- REPLACE removes rows of \"%w\" through its other unique indexes without firing delete "
			"triggers: use PRAGMA recursive_triggers = ON, or content = %w\n",
			t, t);
	if (rc == SQLITE_OK && sqlite3_str_errcode(text) != SQLITE_OK)
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	source->missing_sql = sqlite3_str_finish(text);
	return rc;
}

static void
free_source(BridgeSource *source)
{
	sqlite3_free(source->table);
	sqlite3_free(source->rowid);
	sqlite3_free(source->vector);
	sqlite3_free(source->missing_sql);
}

void
bridge_sources_free(BridgeSource *sources, int count)
{
	for (int i = 0; i < count; i++)
		free_source(&sources[i]);
	sqlite3_free(sources);
}

/* The source that a call feeds, if its table is fit for it. */
static int
take_source(sqlite3 *db, const char *schema, const TriggerRow *row, const BridgeTriggerCall *call,
			BridgeSource *source, bool *fit, BridgeError *err)
{
	BridgeParams params = {0};
	BridgeContent content;
	BridgeError ignored = {0};
	int rc;

	params.content = row->table;
	params.content_rowid = call->id;
	params.content_vector = call->vector;
	memset(source, 0, sizeof(*source));
	rc = bridge_content_find(db, schema, &params, &content, &ignored);
	*fit = rc == SQLITE_OK && !content.renumbers;
	if (*fit)
	{
		source->table = content.table;
		source->rowid = content.key;
		source->vector = content.vector;
		content.table = content.key = content.vector = NULL;
	}
	bridge_content_free(&content);
	if ((rc & 0xff) == SQLITE_NOMEM)
		return *err = ignored, rc;
	bridge_error_clear(&ignored);
	return SQLITE_OK;
}

static bool
is_known(const BridgeSource *sources, int count, const BridgeSource *source)
{
	for (int i = 0; i < count; i++)
		if (strcmp(sources[i].table, source->table) == 0 && strcmp(sources[i].vector, source->vector) == 0)
			return true;
	return false;
}

/* Whether no other column of a table is added to the index. */
static bool
is_alone(const TriggerList *list, const BridgeSource *source, const char *schema, const char *index,
		 bool only)
{
	for (int i = 0; i < list->count; i++)
		for (int j = 0; j < list->rows[i].trigger.call_count; j++)
		{
			const BridgeTriggerCall *call = &list->rows[i].trigger.calls[j];

			if (call->adds && names_index(call, schema, index, only) &&
				(sqlite3_stricmp(list->rows[i].table, source->table) != 0 ||
				 sqlite3_stricmp(call->vector, source->vector) != 0))
				return false;
		}
	return true;
}

int
bridge_sources_find(sqlite3 *db, const char *schema, const char *index, bool only, BridgeSource **out,
					int *count, BridgeError *err)
{
	TriggerList list;
	BridgeSource *sources = NULL;
	int n = 0;
	int rc = read_triggers(db, schema, &list, err);

	for (int i = 0; i < list.count && rc == SQLITE_OK; i++)
	{
		const BridgeTrigger *trigger = &list.rows[i].trigger;

		for (int j = 0; j < trigger->call_count && rc == SQLITE_OK; j++)
		{
			const BridgeTriggerCall *call = &trigger->calls[j];
			BridgeSource source;
			BridgeSource *grown;
			Coverage coverage = {false, false, false};
			bool fit;

			if (trigger->event != BRIDGE_INSERT || !trigger->after || !call->adds ||
				!names_index(call, schema, index, only))
				continue;
			rc = take_source(db, schema, &list.rows[i], call, &source, &fit, err);
			if (rc != SQLITE_OK || !fit)
				continue;
			if (is_known(sources, n, &source))
			{
				free_source(&source);
				continue;
			}
			for (int k = 0; k < list.count; k++)
				cover(&list.rows[k], &source, schema, index, only, &coverage);
			source.alone = is_alone(&list, &source, schema, index, only);
			rc = spell_missing(db, schema, index, &coverage, &source, err);
			grown = sqlite3_realloc64(sources, sizeof(*sources) * (sqlite3_uint64) (n + 1));
			if (grown == NULL || rc != SQLITE_OK)
			{
				free_source(&source);
				if (rc == SQLITE_OK)
					rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
			}
			if (grown != NULL)
				sources = grown;
			if (rc == SQLITE_OK)
				sources[n++] = source;
		}
	}
	free_list(&list);
	if (rc != SQLITE_OK)
	{
		bridge_sources_free(sources, n);
		sources = NULL;
		n = 0;
	}
	*out = sources;
	*count = n;
	return rc;
}
