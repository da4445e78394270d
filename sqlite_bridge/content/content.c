/*
 * content.c
 *		The owner's table that an index follows: what it is, how its rows are known, and
 *		which columns its unique indexes have.
 *
 * A row is known by its rowid.  Where that has a name of its own, an INTEGER PRIMARY
 * KEY, it stays for good.  Of other tables it goes by whichever of rowid, oid and _rowid_
 * is no column, and VACUUM may number the rows anew, which evidence.c notices.  Rows of a
 * WITHOUT ROWID table are known by their primary key (store/keys.c).
 *
 * All names are quoted.
 */
#include "sqlite_bridge/content/content.h"

#include <string.h>

void
bridge_content_free(BridgeContent *content)
{
	sqlite3_free(content->table);
	sqlite3_free(content->key);
	sqlite3_free(content->keys.names);
	sqlite3_free(content->vector);
	sqlite3_free(content->unique);
	memset(content, 0, sizeof(*content));
}

int
bridge_schema_query(sqlite3 *db, const char *sql, const char *first, const char *second, sqlite3_stmt **stmt,
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

/* The table itself: an ordinary one. */
static int
find_table(sqlite3 *db, const char *schema, const char *name, BridgeContent *content, bool *keyed,
		   BridgeError *err)
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
	if (bridge_is_shadow(db, schema, kind.name, &shadow) != SQLITE_OK)
		return bridge_error_db(err, db, "content: looking at table \"%s\"", name);
	if (kind.is_view || kind.is_virtual || shadow)
		return bridge_error(err, SQLITE_ERROR, "content: \"%s\" is a %s, an index can follow only a table",
							name,
							kind.is_view      ? "view"
							: kind.is_virtual ? "virtual table"
											  : "shadow table");
	*keyed = kind.without_rowid;
	return SQLITE_OK;
}

/* What the columns say, while they are read. */
typedef struct Columns
{
	char *key;     /* the INTEGER PRIMARY KEY */
	char *vector;  /* in the schema's spelling */
	bool taken[3]; /* column names that hide the rowid's */
	bool vector_generated;
	bool asked;     /* content_rowid names a column */
	bool asked_key; /* which is the whole primary key */
} Columns;

static const char *const rowid_names[] = {"rowid", "oid", "_rowid_"};

static int
read_columns(sqlite3 *db, const char *schema, const BridgeParams *params, const char *table, Columns *out,
			 BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	/* INTEGER PRIMARY KEY DESC is not the rowid: it has an index. */
	int rc = bridge_schema_query(db,
								 "SELECT name, pk, type = 'INTEGER' COLLATE NOCASE AND"
								 " NOT EXISTS (SELECT 1 FROM pragma_index_list(?1, ?2) WHERE origin = 'pk'),"
								 " (SELECT count(*) FROM pragma_table_xinfo(?1, ?2) WHERE pk > 0), hidden"
								 " FROM pragma_table_xinfo(?1, ?2) ORDER BY cid",
								 table, schema, &stmt, err);

	if (rc != SQLITE_OK)
		goto cleanup;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		const char *name = (const char *) sqlite3_column_text(stmt, 0);
		bool whole = sqlite3_column_int(stmt, 1) > 0 && sqlite3_column_int(stmt, 3) == 1;

		if (name == NULL)
			continue;
		for (int i = 0; i < 3; i++)
			out->taken[i] |= sqlite3_stricmp(name, rowid_names[i]) == 0;
		if (whole && sqlite3_column_int(stmt, 2) && out->key == NULL)
			out->key = copy_text(name);
		if (sqlite3_stricmp(name, params->content_vector) == 0 && out->vector == NULL)
		{
			out->vector = copy_text(name);
			out->vector_generated = sqlite3_column_int(stmt, 4) > 1;
		}
		if (params->content_rowid != NULL && sqlite3_stricmp(name, params->content_rowid) == 0)
		{
			out->asked = true;
			out->asked_key = whole;
		}
	}
	rc = rc == SQLITE_DONE ? SQLITE_OK
						   : bridge_error_db(err, db, "content: reading the columns of table \"%s\"", table);

cleanup:
	sqlite3_finalize(stmt);
	return rc;
}

static bool
is_rowid_name(const char *name)
{
	for (int i = 0; i < 3; i++)
		if (sqlite3_stricmp(name, rowid_names[i]) == 0)
			return true;
	return false;
}

/* The primary key of a WITHOUT ROWID table. */
static int
find_keys(sqlite3 *db, const char *schema, BridgeContent *content, BridgeError *err)
{
	BridgeKeys *keys = &content->keys;
	sqlite3_str *names = sqlite3_str_new(db);
	sqlite3_stmt *stmt = NULL;
	int rc = bridge_schema_query(db, "SELECT name FROM pragma_table_xinfo(?1, ?2) WHERE pk > 0 ORDER BY pk",
								 content->table, schema, &stmt, err);

	while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		rc = SQLITE_OK;
		sqlite3_str_appendf(names, "%s", (const char *) sqlite3_column_text(stmt, 0));
		sqlite3_str_appendchar(names, 1, '\0');
		keys->count++;
	}
	keys->bytes = sqlite3_str_length(names);
	if (rc == SQLITE_DONE)
		rc = sqlite3_str_errcode(names) == SQLITE_OK ? SQLITE_OK
													 : bridge_error(err, SQLITE_NOMEM, "out of memory");
	else if (err->code == SQLITE_OK)
		rc = bridge_error_db(err, db, "content: reading the columns of table \"%s\"", content->table);
	sqlite3_finalize(stmt);
	keys->names = sqlite3_str_finish(names);
	if (rc == SQLITE_OK && keys->count > BRIDGE_MAX_KEYS)
		rc = bridge_error(err, SQLITE_ERROR,
						  "content: the primary key of table \"%s\" has %d columns; an index can follow %d",
						  content->table, keys->count, BRIDGE_MAX_KEYS);
	return rc;
}

static bool
is_key(const BridgeKeys *keys, const char *name)
{
	for (int i = 0; i < keys->count; i++)
		if (sqlite3_stricmp(bridge_key_name(keys, i), name) == 0)
			return true;
	return false;
}

/* The same of a table without rowids. */
static int
find_keyed_columns(sqlite3 *db, const char *schema, const BridgeParams *params, BridgeContent *content,
				   BridgeError *err)
{
	const char *asked = params->content_rowid;
	Columns columns = {0};
	int rc = read_columns(db, schema, params, content->table, &columns, err);

	sqlite3_free(columns.key); /* an INTEGER PRIMARY KEY is no rowid here */
	content->vector = columns.vector;
	content->vector_generated = columns.vector_generated;
	content->key = copy_text("");
	if (rc == SQLITE_OK)
		rc = find_keys(db, schema, content, err);
	if (rc != SQLITE_OK)
		return rc;
	if (asked != NULL && asked[0] != '\0' && !(content->keys.count == 1 && is_key(&content->keys, asked)))
		return bridge_error(
			err, SQLITE_ERROR,
			"content_rowid: \"%s\" is not the whole primary key of table \"%s\"; leave it out", asked,
			content->table);
	if (content->vector == NULL)
		return bridge_error(err, SQLITE_ERROR, "content_vector: table \"%s\" has no column \"%s\"",
							content->table, params->content_vector);
	if (is_key(&content->keys, content->vector))
		return bridge_error(err, SQLITE_ERROR, "content_vector: column \"%s\" is in the key of table \"%s\"",
							content->vector, content->table);
	return SQLITE_OK;
}

/* Its key and vector columns. */
static int
find_columns(sqlite3 *db, const char *schema, const BridgeParams *params, BridgeContent *content,
			 BridgeError *err)
{
	const char *asked = params->content_rowid;
	Columns columns = {0};
	int rc = read_columns(db, schema, params, content->table, &columns, err);

	content->vector = columns.vector;
	content->key = columns.key;
	content->vector_generated = columns.vector_generated;
	content->renumbers = columns.key == NULL;
	for (int i = 0; i < 3 && rc == SQLITE_OK && content->key == NULL; i++)
		if (!columns.taken[i])
			content->key = copy_text(rowid_names[i]);
	if (rc != SQLITE_OK)
		return rc;
	if (content->key == NULL)
		return bridge_error(err, SQLITE_ERROR,
							"content: table \"%s\" has columns named rowid, oid and _rowid_, so that nothing "
							"names its rows; give it an INTEGER PRIMARY KEY",
							content->table);
	/* Any name of the rowid will do, and the name of the primary key of a table without an integer one. */
	if (asked != NULL && sqlite3_stricmp(asked, content->key) != 0 &&
		(columns.asked ? !(columns.asked_key && content->renumbers) : !is_rowid_name(asked)))
	{
		if (content->renumbers)
			return bridge_error(
				err, SQLITE_ERROR,
				"content_rowid: \"%s\" is neither the rowid nor the primary key of table \"%s\"; "
				"leave it out",
				asked, content->table);
		return bridge_error(
			err, SQLITE_ERROR,
			"content_rowid: column \"%s\" of table \"%s\" is not its INTEGER PRIMARY KEY, which "
			"is \"%s\"",
			asked, content->table, content->key);
	}
	if (content->vector == NULL)
		return bridge_error(err, SQLITE_ERROR, "content_vector: table \"%s\" has no column \"%s\"",
							content->table, params->content_vector);
	if (strcmp(content->vector, content->key) == 0)
		return bridge_error(err, SQLITE_ERROR, "content_vector: column \"%s\" is the key of table \"%s\"",
							content->vector, content->table);
	return SQLITE_OK;
}

/*
 * The columns of its unique indexes, through which REPLACE removes other rows and
 * fires no trigger.  An index on an expression or with a WHERE depends on columns that
 * nothing names: then every update counts.
 */
static int
find_unique(sqlite3 *db, const char *schema, BridgeContent *content, BridgeError *err)
{
	sqlite3_str *list = sqlite3_str_new(db);
	sqlite3_stmt *stmt = NULL;
	int rc = bridge_schema_query(
		db,
		"SELECT DISTINCT x.cid, x.name, l.partial, c.hidden FROM pragma_index_list(?1, ?2) AS l"
		" JOIN pragma_index_xinfo(l.name, ?2) AS x"
		" LEFT JOIN pragma_table_xinfo(?1, ?2) AS c ON c.cid = x.cid"
		" WHERE l.\"unique\" AND x.key ORDER BY x.cid",
		content->table, schema, &stmt, err);

	while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		int cid = sqlite3_column_int(stmt, 0);
		const char *name = (const char *) sqlite3_column_text(stmt, 1);

		rc = SQLITE_OK;
		content->replaces = true;
		if (cid < -1 || sqlite3_column_int(stmt, 2))
			content->every_update = true;
		if (cid < 0 || name == NULL || is_key(&content->keys, name))
			continue;
		content->unique_generated |= sqlite3_column_int(stmt, 3) > 1;
		sqlite3_str_appendf(list, "%w", name);
		sqlite3_str_appendchar(list, 1, '\0');
	}
	content->unique_bytes = sqlite3_str_length(list);
	if (rc == SQLITE_DONE)
		rc = sqlite3_str_errcode(list) == SQLITE_OK ? SQLITE_OK
													: bridge_error(err, SQLITE_NOMEM, "out of memory");
	else if (err->code == SQLITE_OK)
		rc = bridge_error_db(err, db, "content: reading the indexes of table \"%s\"", content->table);
	sqlite3_finalize(stmt);
	content->unique = sqlite3_str_finish(list);
	return rc;
}

int
bridge_content_find(sqlite3 *db, const char *schema, const BridgeParams *params, BridgeContent *content,
					BridgeError *err)
{
	bool keyed = false;
	int rc;

	memset(content, 0, sizeof(*content));
	rc = find_table(db, schema, params->content, content, &keyed, err);
	if (rc == SQLITE_OK && keyed)
		rc = find_keyed_columns(db, schema, params, content, err);
	else if (rc == SQLITE_OK)
		rc = find_columns(db, schema, params, content, err);
	if (rc == SQLITE_OK)
		rc = find_unique(db, schema, content, err);
	return rc;
}

/*
 * Merges of a database with a file work on a connection of their own, which has no collation
 * that the owner's program adds.  Rows with a rowid are found without one; those of a WITHOUT ROWID table lie in its order.
 */
int
bridge_content_check_collations(sqlite3 *db, const char *schema, const BridgeContent *content,
								BridgeError *err)
{
	const char *file = sqlite3_db_filename(db, schema);
	sqlite3_stmt *stmt = NULL;
	int rc;

	if (content->keys.count == 0 || file == NULL || file[0] == '\0')
		return SQLITE_OK;
	rc = bridge_schema_query(
		db,
		"SELECT x.coll FROM pragma_index_list(?1, ?2) AS l JOIN pragma_index_xinfo(l.name, ?2) AS x"
		" WHERE l.origin = 'pk' AND x.key AND upper(x.coll) NOT IN ('BINARY', 'NOCASE', 'RTRIM')",
		content->table, schema, &stmt, err);
	if (rc == SQLITE_OK)
	{
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW)
			rc = bridge_error(
				err, SQLITE_ERROR,
				"content: the primary key of WITHOUT ROWID table \"%s\" has collation %s, which is "
				"not SQLite's own; an index can follow it if it has an INTEGER PRIMARY KEY and this "
				"key is UNIQUE",
				content->table, (const char *) sqlite3_column_text(stmt, 0));
		else if (rc == SQLITE_DONE)
			rc = SQLITE_OK;
		else
			rc = bridge_error_db(err, db, "content: reading the key of table \"%s\"", content->table);
	}
	sqlite3_finalize(stmt);
	return rc;
}

/*
 * Every row's vector must be one the index can take; the first that is not is
 * named.  Costs one pass over the table.
 */
int
bridge_content_check_rows(sqlite3 *db, const char *schema, const BridgeContent *content,
						  const BridgeParams *params, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	BridgeVector vector = {0};
	const char *key = content->keys.count > 0 ? bridge_key_name(&content->keys, 0) : content->key;
	char *sql = sqlite3_mprintf("SELECT \"%w\", \"%w\" FROM \"%w\".\"%w\"", key, content->vector, schema,
								content->table);
	int rc = sql ? bridge_schema_query(db, sql, NULL, NULL, &stmt, err)
				 : bridge_error(err, SQLITE_NOMEM, "out of memory");

	if (rc != SQLITE_OK)
		goto cleanup;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		rc = bridge_vector_read(sqlite3_column_value(stmt, 1), &vector, err);
		if (rc == SQLITE_OK && vector.data != NULL && vector.dim != params->dim)
			rc = bridge_error(err, SQLITE_MISMATCH, "invalid vector: %d dimensions, the index has dim=%d",
							  vector.dim, params->dim);
		if (rc != SQLITE_OK)
		{
			rc = bridge_error_prefix(err, "content: row %s of table \"%s\", column \"%s\"",
									 (const char *) sqlite3_column_text(stmt, 0), content->table,
									 content->vector);
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
