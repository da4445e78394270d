/*
 * content.c
 *		content=: an index that follows a table of the user's by triggers.
 *
 * The triggers report rowids, not vectors: the module looks at the row itself
 * (see module.c on 'changed' and 'conflict'), so that what counts is what the
 * table holds after the statement.  Five of them see every change:
 *
 *	AFTER INSERT, AFTER DELETE		the row
 *	AFTER UPDATE	the old and the new rowid, when the rowid, the vector or a
 *					column of a unique index changed.  No column list: OF compares
 *					names, and `SET rowid =` or a change that reaches a generated
 *					column would slip through
 *	BEFORE INSERT, BEFORE UPDATE	every row that REPLACE may remove through a
 *					unique index, because without recursive_triggers SQLite
 *					fires no delete trigger for it
 *
 * A row that REPLACE might remove is found by equality of all columns of the
 * unique index, compared by the index's collations.  A partial index's WHERE is
 * left out: that finds too many rows, which is harmless, never too few.  A NULL
 * under NOT NULL counts as the column's default, which is what REPLACE stores.
 *
 * All names are quoted.  Everything here runs inside the user's CREATE, ALTER
 * or DROP and leaves undoing to its transaction.
 */
#include "sqlite_bridge/content/content.h"

#include <string.h>

/* The suffixes of the triggers' names; BEFORE ones exist with unique indexes only. */
static const char *const suffixes[BRIDGE_CONTENT_TRIGGERS] = {"content_ai", "content_ad", "content_au",
															  "content_bi", "content_bu"};

enum
{
	AFTER_INSERT,
	AFTER_DELETE,
	AFTER_UPDATE,
	BEFORE_INSERT,
	BEFORE_UPDATE
};

/* The content table as the schema has it. */
typedef struct Content
{
	char *table; /* in the schema's spelling */
	char *key;   /* its INTEGER PRIMARY KEY column */
	char *vector;
} Content;

static void
content_free(Content *content)
{
	sqlite3_free(content->table);
	sqlite3_free(content->key);
	sqlite3_free(content->vector);
}

/* Prepare one query and bind up to two texts. */
static int
prepare(sqlite3 *db, const char *sql, const char *first, const char *second, sqlite3_stmt **stmt,
		BridgeError *err)
{
	int rc = sqlite3_prepare_v2(db, sql, -1, stmt, NULL);

	if (rc == SQLITE_OK && first != NULL)
		rc = sqlite3_bind_text(*stmt, 1, first, -1, SQLITE_TRANSIENT);
	if (rc == SQLITE_OK && second != NULL)
		rc = sqlite3_bind_text(*stmt, 2, second, -1, SQLITE_TRANSIENT);
	if (rc != SQLITE_OK)
		return bridge_error_db(err, db, "reading the schema");
	return SQLITE_OK;
}

static char *
copy_text(const char *text)
{
	return sqlite3_mprintf("%s", text ? text : "");
}

/* ---------- what is there ---------- */

/*
 * Is the table one that a module keeps?  Only pragma_table_list knows, at the
 * price told in table_kind.c, so it is asked only where the name is a virtual
 * table's, an underscore and more.
 */
static int
is_shadow(sqlite3 *db, const char *schema, const char *table, bool *shadow, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql =
		sqlite3_mprintf("SELECT 1 FROM \"%w\".sqlite_schema AS v WHERE v.type = 'table' AND v.rootpage = 0"
						" AND CASE WHEN substr(?1, 1, length(v.name) + 1) = v.name || '_' COLLATE NOCASE THEN"
						" EXISTS (SELECT 1 FROM pragma_table_list(?1) WHERE schema = ?2 COLLATE NOCASE AND "
						"type = 'shadow') END",
						schema);
	int rc =
		sql ? prepare(db, sql, table, schema, &stmt, err) : bridge_error(err, SQLITE_NOMEM, "out of memory");

	*shadow = false;
	if (rc == SQLITE_OK)
	{
		rc = sqlite3_step(stmt);
		*shadow = rc == SQLITE_ROW;
		rc = rc == SQLITE_ROW || rc == SQLITE_DONE
				 ? SQLITE_OK
				 : bridge_error_db(err, db, "content: looking at table \"%s\"", table);
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc;
}

/* The table itself: an ordinary one, with rowids that stay. */
static int
find_table(sqlite3 *db, const char *schema, const char *name, Content *content, BridgeError *err)
{
	BridgeTableKind kind;
	bool shadow;
	int rc = bridge_table_kind(db, schema, name, &kind);

	content->table = kind.name;
	if (rc != SQLITE_OK)
		return bridge_error_db(err, db, "content: looking for table \"%s\"", name);
	if (kind.name == NULL)
		return bridge_error(err, SQLITE_ERROR, "content: there is no table \"%s\" in schema \"%s\"", name,
							schema);
	if ((rc = is_shadow(db, schema, kind.name, &shadow, err)) != SQLITE_OK)
		return rc;
	if (kind.is_view || kind.is_virtual || shadow)
		return bridge_error(err, SQLITE_ERROR, "content: \"%s\" is a %s, an index can follow only a table",
							name,
							kind.is_view      ? "view"
							: kind.is_virtual ? "virtual table"
											  : "shadow table");
	if (kind.without_rowid)
		return bridge_error(err, SQLITE_ERROR,
							"content: table \"%s\" is WITHOUT ROWID, but the index knows rows by their rowid",
							name);
	return SQLITE_OK;
}

static bool
is_rowid_alias(const char *name)
{
	return sqlite3_stricmp(name, "rowid") == 0 || sqlite3_stricmp(name, "oid") == 0 ||
		   sqlite3_stricmp(name, "_rowid_") == 0;
}

/*
 * Its key and vector columns.  The key must be the rowid under a name of its
 * own (an INTEGER PRIMARY KEY without an index for it): VACUUM renumbers the
 * rowids of other tables.
 */
static int
find_columns(sqlite3 *db, const char *schema, const BridgeParams *params, Content *content, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	const char *wanted = params->content_vector;
	bool rowid_is_column = false;
	int rc = prepare(db,
					 "SELECT name, pk, type = 'INTEGER' COLLATE NOCASE AND"
					 " (SELECT count(*) FROM pragma_table_xinfo(?1, ?2) WHERE pk > 0) = 1 AND"
					 " NOT EXISTS (SELECT 1 FROM pragma_index_list(?1, ?2) WHERE origin = 'pk')"
					 " FROM pragma_table_xinfo(?1, ?2) ORDER BY cid",
					 content->table, schema, &stmt, err);

	if (rc != SQLITE_OK)
		goto cleanup;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		const char *name = (const char *) sqlite3_column_text(stmt, 0);

		if (name == NULL)
			continue;
		if (sqlite3_column_int(stmt, 1) > 0 && sqlite3_column_int(stmt, 2) && content->key == NULL)
			content->key = copy_text(name);
		if (wanted != NULL && sqlite3_stricmp(name, wanted) == 0)
			content->vector = copy_text(name);
		if (params->content_rowid != NULL && sqlite3_stricmp(name, params->content_rowid) == 0)
			rowid_is_column = true;
	}
	if (rc != SQLITE_DONE)
		rc = bridge_error_db(err, db, "content: reading the columns of table \"%s\"", content->table);
	else if (content->key == NULL)
		rc = bridge_error(err, SQLITE_ERROR,
						  "content: table \"%s\" has no INTEGER PRIMARY KEY; without one VACUUM may renumber "
						  "its rows, and the index would go wrong",
						  content->table);
	else if (params->content_rowid != NULL && sqlite3_stricmp(params->content_rowid, content->key) != 0 &&
			 (rowid_is_column || !is_rowid_alias(params->content_rowid)))
		rc =
			bridge_error(err, SQLITE_ERROR,
						 "content_rowid: column \"%s\" of table \"%s\" is not its INTEGER PRIMARY KEY, which "
						 "is \"%s\"",
						 params->content_rowid, content->table, content->key);
	else if (content->vector == NULL)
		rc = bridge_error(err, SQLITE_ERROR, "content_vector: table \"%s\" has no column \"%s\"",
						  content->table, wanted ? wanted : "");
	else if (strcmp(content->vector, content->key) == 0)
		rc = bridge_error(err, SQLITE_ERROR, "content_vector: column \"%s\" is the key of table \"%s\"",
						  content->vector, content->table);
	else
		rc = SQLITE_OK;

cleanup:
	sqlite3_finalize(stmt);
	return rc;
}

static int
find_content(sqlite3 *db, const char *schema, const BridgeParams *params, Content *content, BridgeError *err)
{
	int rc = find_table(db, schema, params->content, content, err);

	if (rc == SQLITE_OK)
		rc = find_columns(db, schema, params, content, err);
	return rc;
}

/*
 * Every row's vector must be one the index can take; the first that is not is
 * named.  Costs one pass over the table.
 */
static int
check_rows(sqlite3 *db, const char *schema, const Content *content, const BridgeParams *params,
		   BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	BridgeVector vector = {0};
	char *sql = sqlite3_mprintf("SELECT \"%w\", \"%w\" FROM \"%w\".\"%w\"", content->key, content->vector,
								schema, content->table);
	int rc =
		sql ? prepare(db, sql, NULL, NULL, &stmt, err) : bridge_error(err, SQLITE_NOMEM, "out of memory");

	if (rc != SQLITE_OK)
		goto cleanup;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		sqlite3_int64 rowid = sqlite3_column_int64(stmt, 0);

		rc = bridge_vector_read(sqlite3_column_value(stmt, 1), &vector, err);
		if (rc == SQLITE_OK && vector.data != NULL && vector.dim != params->dim)
			rc = bridge_error(err, SQLITE_MISMATCH, "invalid vector: %d dimensions, the index has dim=%d",
							  vector.dim, params->dim);
		if (rc != SQLITE_OK)
		{
			rc = bridge_error_prefix(err, "content: row %lld of table \"%s\", column \"%s\"", rowid,
									 content->table, content->vector);
			goto cleanup;
		}
	}
	rc = rc == SQLITE_DONE ? SQLITE_OK
						   : bridge_error_db(err, db, "content: reading table \"%s\"", content->table);

cleanup:
	bridge_vector_free(&vector);
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc;
}

/* ---------- the triggers' text ---------- */

/* The parts that depend on the unique indexes, while they are put together. */
typedef struct UniqueParts
{
	sqlite3_str *inserts; /* the body of BEFORE INSERT */
	sqlite3_str *updates; /* the body of BEFORE UPDATE */
	sqlite3_str *changed; /* " OR OLD.a IS NOT NEW.a ..." over all their columns */
	int indexes;
} UniqueParts;

/* One column of the index at hand: "c.a COLLATE x = NEW.a". */
static void
add_unique_column(UniqueParts *parts, bool first, const char *name, const char *collation, bool not_null,
				  const char *default_value)
{
	sqlite3_str *const both[] = {parts->inserts, parts->updates};

	for (int i = 0; i < 2; i++)
	{
		sqlite3_str_appendf(both[i], "%sc.\"%w\" COLLATE \"%w\" = ", first ? "" : " AND ", name, collation);
		if (not_null && default_value != NULL)
			sqlite3_str_appendf(both[i], "ifnull(NEW.\"%w\", (%s))", name, default_value);
		else
			sqlite3_str_appendf(both[i], "NEW.\"%w\"", name);
	}
	sqlite3_str_appendf(parts->changed, " OR OLD.\"%w\" COLLATE BINARY IS NOT NEW.\"%w\"", name, name);
}

static int
add_unique_indexes(sqlite3 *db, const char *schema, const char *table, const Content *content,
				   UniqueParts *parts, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	int at = -1; /* place of the index in the list */
	int rc = prepare(db,
					 "SELECT l.seq, l.name, x.cid, x.name, x.coll, c.\"notnull\", c.dflt_value"
					 " FROM pragma_index_list(?1, ?2) AS l JOIN pragma_index_xinfo(l.name, ?2) AS x"
					 " LEFT JOIN pragma_table_xinfo(?1, ?2) AS c ON c.cid = x.cid"
					 " WHERE l.\"unique\" AND x.key ORDER BY l.seq, x.seqno",
					 content->table, schema, &stmt, err);

	if (rc != SQLITE_OK)
		goto cleanup;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		int seq = sqlite3_column_int(stmt, 0);
		int cid = sqlite3_column_int(stmt, 2);
		bool first = seq != at;

		if (cid < -1)
		{
			rc = bridge_error(
				err, SQLITE_ERROR,
				"content: unique index \"%s\" of table \"%s\" is on an expression, through which "
				"REPLACE could remove rows unnoticed; put it on a generated column instead",
				(const char *) sqlite3_column_text(stmt, 1), content->table);
			goto cleanup;
		}
		if (first)
		{
			if (at != -1)
			{
				sqlite3_str_appendall(parts->inserts, "; ");
				sqlite3_str_appendf(parts->updates, " AND c.\"%w\" IS NOT OLD.\"%w\"; ", content->key,
									content->key);
			}
			at = seq;
			parts->indexes++;
			sqlite3_str_appendf(
				parts->inserts,
				"INSERT INTO \"%w\"(command, rowid) SELECT 'conflict', c.\"%w\" FROM \"%w\" AS c"
				" WHERE ",
				table, content->key, content->table);
			sqlite3_str_appendf(
				parts->updates,
				"INSERT INTO \"%w\"(command, rowid) SELECT 'conflict', c.\"%w\" FROM \"%w\" AS c"
				" WHERE ",
				table, content->key, content->table);
		}
		add_unique_column(parts, first,
						  cid == -1 ? content->key : (const char *) sqlite3_column_text(stmt, 3),
						  (const char *) sqlite3_column_text(stmt, 4), sqlite3_column_int(stmt, 5) != 0,
						  (const char *) sqlite3_column_text(stmt, 6));
	}
	if (rc != SQLITE_DONE)
	{
		rc = bridge_error_db(err, db, "content: reading the indexes of table \"%s\"", content->table);
		goto cleanup;
	}
	rc = SQLITE_OK;
	if (parts->indexes > 0)
	{
		sqlite3_str_appendall(parts->inserts, "; ");
		sqlite3_str_appendf(parts->updates, " AND c.\"%w\" IS NOT OLD.\"%w\"; ", content->key, content->key);
	}

cleanup:
	sqlite3_finalize(stmt);
	return rc;
}

/* sqlite3_str_finish, but NULL means out of memory and nothing else. */
static char *
finish(sqlite3_str *str)
{
	bool failed = sqlite3_str_errcode(str) != SQLITE_OK;
	char *text = sqlite3_str_finish(str);

	return text || failed ? text : copy_text("");
}

static int
make_triggers(sqlite3 *db, const char *schema, const char *table, const Content *content,
			  char *out[BRIDGE_CONTENT_TRIGGERS], BridgeError *err)
{
	const char *x = table;
	const char *t = content->table;
	const char *key = content->key;
	const char *vector = content->vector;
	UniqueParts parts = {sqlite3_str_new(db), sqlite3_str_new(db), sqlite3_str_new(db), 0};
	int rc = add_unique_indexes(db, schema, table, content, &parts, err);
	char *inserts = finish(parts.inserts);
	char *updates = finish(parts.updates);
	char *changed = finish(parts.changed);

	if (rc != SQLITE_OK)
		goto cleanup;
	if (inserts == NULL || updates == NULL || changed == NULL)
	{
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
		goto cleanup;
	}
	out[AFTER_INSERT] =
		sqlite3_mprintf("\"%w_%s\" AFTER INSERT ON \"%w\" BEGIN"
						" INSERT INTO \"%w\"(command, rowid) VALUES ('changed', NEW.\"%w\"); END",
						x, suffixes[AFTER_INSERT], t, x, key);
	out[AFTER_DELETE] =
		sqlite3_mprintf("\"%w_%s\" AFTER DELETE ON \"%w\" BEGIN"
						" INSERT INTO \"%w\"(command, rowid) VALUES ('changed', OLD.\"%w\"); END",
						x, suffixes[AFTER_DELETE], t, x, key);
	out[AFTER_UPDATE] = sqlite3_mprintf(
		"\"%w_%s\" AFTER UPDATE ON \"%w\""
		" WHEN OLD.\"%w\" IS NOT NEW.\"%w\" OR OLD.\"%w\" COLLATE BINARY IS NOT NEW.\"%w\"%s BEGIN"
		" INSERT INTO \"%w\"(command, rowid) SELECT 'changed', OLD.\"%w\" WHERE OLD.\"%w\" IS NOT NEW.\"%w\";"
		" INSERT INTO \"%w\"(command, rowid) VALUES ('changed', NEW.\"%w\"); END",
		x, suffixes[AFTER_UPDATE], t, key, key, vector, vector, changed, x, key, key, key, x, key);
	if (out[AFTER_INSERT] == NULL || out[AFTER_DELETE] == NULL || out[AFTER_UPDATE] == NULL)
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	if (rc == SQLITE_OK && parts.indexes > 0)
	{
		out[BEFORE_INSERT] = sqlite3_mprintf("\"%w_%s\" BEFORE INSERT ON \"%w\" BEGIN %sEND", x,
											 suffixes[BEFORE_INSERT], t, inserts);
		/* changed starts with " OR " */
		out[BEFORE_UPDATE] = sqlite3_mprintf("\"%w_%s\" BEFORE UPDATE ON \"%w\" WHEN %s BEGIN %sEND", x,
											 suffixes[BEFORE_UPDATE], t, changed + 4, updates);
		if (out[BEFORE_INSERT] == NULL || out[BEFORE_UPDATE] == NULL)
			rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	}

cleanup:
	sqlite3_free(inserts);
	sqlite3_free(updates);
	sqlite3_free(changed);
	return rc;
}

static void
free_triggers(char *triggers[BRIDGE_CONTENT_TRIGGERS])
{
	for (int i = 0; i < BRIDGE_CONTENT_TRIGGERS; i++)
		sqlite3_free(triggers[i]);
}

/* ---------- for the module ---------- */

static int
write_triggers(sqlite3 *db, const char *schema, const char *table, const Content *content, BridgeError *err)
{
	char *triggers[BRIDGE_CONTENT_TRIGGERS] = {0};
	int rc = make_triggers(db, schema, table, content, triggers, err);

	for (int i = 0; i < BRIDGE_CONTENT_TRIGGERS && rc == SQLITE_OK; i++)
		if (triggers[i] != NULL)
			rc = bridge_exec(db, err, "CREATE TRIGGER \"%w\".%s", schema, triggers[i]);
	free_triggers(triggers);
	return rc;
}

int
bridge_content_create(sqlite3 *db, const char *schema, const char *table, const BridgeParams *params,
					  BridgeError *err)
{
	Content content = {0};
	int rc = find_content(db, schema, params, &content, err);

	if (rc == SQLITE_OK)
		rc = check_rows(db, schema, &content, params, err);
	if (rc == SQLITE_OK)
		rc = write_triggers(db, schema, table, &content, err);
	content_free(&content);
	return rc;
}

int
bridge_content_drop(sqlite3 *db, const char *schema, const char *table, const BridgeParams *params,
					BridgeError *err)
{
	int rc = SQLITE_OK;

	for (int i = 0; i < BRIDGE_CONTENT_TRIGGERS && rc == SQLITE_OK; i++)
		rc = bridge_exec(db, err, "DROP TRIGGER IF EXISTS \"%w\".\"%w_%s\"", schema, table, suffixes[i]);
	return rc;
}

int
bridge_content_rename(sqlite3 *db, const char *schema, const char *table, const char *new_name,
					  const BridgeParams *params, BridgeError *err)
{
	Content content = {0};
	int rc = find_content(db, schema, params, &content, err);

	if (rc == SQLITE_OK)
		rc = bridge_content_drop(db, schema, table, params, err);
	if (rc == SQLITE_OK)
		rc = write_triggers(db, schema, new_name, &content, err);
	content_free(&content);
	return rc;
}

int
bridge_content_columns(sqlite3 *db, const char *schema, const BridgeParams *params, char **table,
					   char **rowid, char **vector, BridgeError *err)
{
	Content content = {0};
	int rc = find_content(db, schema, params, &content, err);

	*table = content.table;
	*rowid = content.key;
	*vector = content.vector;
	return rc;
}

/* Whether the schema has this trigger, word for word. */
static int
trigger_stands(sqlite3 *db, const char *schema, const char *trigger, bool *stands, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".sqlite_schema WHERE type = 'trigger'"
								" AND sql = 'CREATE TRIGGER ' || ?1",
								schema);
	int rc =
		sql ? prepare(db, sql, trigger, NULL, &stmt, err) : bridge_error(err, SQLITE_NOMEM, "out of memory");

	if (rc == SQLITE_OK)
	{
		rc = sqlite3_step(stmt);
		*stands = rc == SQLITE_ROW;
		rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK
												   : bridge_error_db(err, db, "reading the triggers");
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc;
}

int
bridge_content_missing(sqlite3 *db, const char *schema, const char *table, const BridgeParams *params,
					   char **sql, BridgeError *err)
{
	Content content = {0};
	char *triggers[BRIDGE_CONTENT_TRIGGERS] = {0};
	sqlite3_str *text = sqlite3_str_new(db);
	int rc = find_content(db, schema, params, &content, err);

	*sql = NULL;
	if (rc == SQLITE_OK)
		rc = make_triggers(db, schema, table, &content, triggers, err);
	for (int i = 0; i < BRIDGE_CONTENT_TRIGGERS && rc == SQLITE_OK; i++)
	{
		bool stands;

		if (triggers[i] == NULL)
			continue;
		rc = trigger_stands(db, schema, triggers[i], &stands, err);
		if (rc == SQLITE_OK && !stands)
			sqlite3_str_appendf(text, "DROP TRIGGER IF EXISTS \"%w\".\"%w_%s\";\nCREATE TRIGGER \"%w\".%s;\n",
								schema, table, suffixes[i], schema, triggers[i]);
	}
	if (rc == SQLITE_OK)
		*sql = sqlite3_str_finish(text);
	else
		sqlite3_free(sqlite3_str_finish(text));
	free_triggers(triggers);
	content_free(&content);
	return rc;
}
