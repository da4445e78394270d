/*
 * table_kind.c
 *		What a table of a database is: asked of the schema, and cheap.
 *
 * pragma_table_list knows it all, but it first works out the columns of every
 * view and virtual table of the database, whichever table is asked for: views
 * that join earlier views take it minutes, and it loads what nobody uses.  So
 * the kind is read from sqlite_schema, and what only the text of CREATE TABLE
 * tells, STRICT and WITHOUT ROWID, from that text.
 */
#include "sqlite_bridge/content/content.h"

#include <string.h>

/* Past a quoted name or string; an unfinished one ends with the text. */
static const char *
skip_quoted(const char *p)
{
	const char *end = strchr(p + 1, *p == '[' ? ']' : *p);

	return end ? end + 1 : p + strlen(p);
}

/*
 * The options of CREATE TABLE follow the list in parentheses: at depth 0 no
 * other words do.  (SQLite writes CREATE TABLE AS with such a list, too.)
 */
static void
read_options(const char *sql, BridgeTableKind *kind)
{
	int depth = 0;
	bool listed = false;

	for (const char *p = bridge_skip_blank(sql); *p != '\0'; p = bridge_skip_blank(p))
	{
		size_t length = bridge_word_length(p);

		if (length > 0)
		{
			if (listed && depth == 0 && length == 6 && sqlite3_strnicmp(p, "STRICT", 6) == 0)
				kind->strict = true;
			else if (listed && depth == 0 && length == 7 && sqlite3_strnicmp(p, "WITHOUT", 7) == 0)
				kind->without_rowid = true;
			p += length;
		}
		else if (*p == '\'' || *p == '"' || *p == '`' || *p == '[')
			p = skip_quoted(p);
		else
		{
			depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
			listed = listed || *p == ')';
			p++;
		}
	}
}

int
bridge_table_kind(sqlite3 *db, const char *schema, const char *table, BridgeTableKind *kind)
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT name, type = 'view', rootpage = 0, sql FROM \"%w\".sqlite_schema"
								" WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')",
								schema);
	int rc;

	memset(kind, 0, sizeof(*kind));
	if (sql == NULL)
		return SQLITE_NOMEM;
	/* The schema does not list itself. */
	if (sqlite3_stricmp(table, "sqlite_master") == 0 || sqlite3_stricmp(table, "sqlite_schema") == 0)
	{
		sqlite3_free(sql);
		kind->name = sqlite3_mprintf("sqlite_schema");
		return kind->name ? SQLITE_OK : SQLITE_NOMEM;
	}
	rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, table, -1, SQLITE_TRANSIENT);
	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		const char *text = (const char *) sqlite3_column_text(stmt, 3);

		kind->is_view = sqlite3_column_int(stmt, 1) != 0;
		kind->is_virtual = !kind->is_view && sqlite3_column_int(stmt, 2) != 0;
		if (text != NULL && !kind->is_view && !kind->is_virtual)
			read_options(text, kind);
		kind->name = sqlite3_mprintf("%s", (const char *) sqlite3_column_text(stmt, 0));
		rc = kind->name ? SQLITE_OK : SQLITE_NOMEM;
	}
	else if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	sqlite3_finalize(stmt);
	return rc;
}

/*
 * Only pragma_table_list knows, at the price told above, so it is asked only
 * where the name is a virtual table's, an underscore and more.
 */
int
bridge_is_shadow(sqlite3 *db, const char *schema, const char *table, bool *shadow)
{
	sqlite3_stmt *stmt = NULL;
	char *sql =
		sqlite3_mprintf("SELECT 1 FROM \"%w\".sqlite_schema AS v WHERE v.type = 'table' AND v.rootpage = 0"
						" AND CASE WHEN substr(?1, 1, length(v.name) + 1) = v.name || '_' COLLATE NOCASE THEN"
						" EXISTS (SELECT 1 FROM pragma_table_list(?1) WHERE schema = ?2 COLLATE NOCASE AND "
						"type = 'shadow') END",
						schema);
	int rc = sql != NULL ? sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

	*shadow = false;
	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, table, -1, SQLITE_TRANSIENT);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 2, schema, -1, SQLITE_TRANSIENT);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	*shadow = rc == SQLITE_ROW;
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}
