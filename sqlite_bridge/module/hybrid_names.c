/*
 * hybrid_names.c
 *		From the names that vss_hybrid is given to the hnsw table and the
 *		full-text table that are meant.
 */
#include "sqlite_bridge/module/module.h"

#include <string.h>

/* Append a name to a list of candidates for a message. */
static int
append_name(char **list, const char *name)
{
	char *longer = sqlite3_mprintf("%s%s%s", *list != NULL ? *list : "", *list != NULL ? ", " : "", name);

	sqlite3_free(*list);
	*list = longer;
	return longer != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

/* The index of that name, or over the table of that name; main's before others'. */
static int
find_index(sqlite3 *db, const char *name, BridgeHybridNames *names, BridgeError *err)
{
	static const char sql[] =
		"SELECT schema, name, content, content_rowid IS NOT NULL FROM hnsw_indexes "
		"WHERE content IS NOT NULL AND (?1 IS NULL OR name = ?1 COLLATE NOCASE OR content = ?1 COLLATE "
		"NOCASE) "
		"ORDER BY schema <> 'main', schema, ifnull(name = ?1 COLLATE NOCASE, 0) DESC, name";
	sqlite3_stmt *stmt = NULL;
	char *list = NULL;
	bool named = false;
	bool keyed = true;
	int count = 0;
	int step = SQLITE_DONE;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		const char *schema = (const char *) sqlite3_column_text(stmt, 0);
		const char *index = (const char *) sqlite3_column_text(stmt, 1);

		if (schema == NULL || index == NULL)
			rc = SQLITE_NOMEM;
		else if (count > 0 && strcmp(schema, names->schema) != 0)
		{
			step = SQLITE_DONE;
			break;
		}
		else if (count == 0)
		{
			names->schema = sqlite3_mprintf("%s", schema);
			names->index = sqlite3_mprintf("%s", index);
			names->content = sqlite3_mprintf("%s", sqlite3_column_text(stmt, 2));
			keyed = sqlite3_column_int(stmt, 3) != 0;
			named = name != NULL && sqlite3_stricmp(index, name) == 0;
			if (names->schema == NULL || names->index == NULL || names->content == NULL)
				rc = SQLITE_NOMEM;
		}
		if (rc == SQLITE_OK)
			rc = append_name(&list, index);
		count++;
	}
	if (rc == SQLITE_OK && step != SQLITE_DONE)
		rc = step;
	if (rc == SQLITE_NOMEM)
		bridge_error(err, rc, "out of memory");
	else if (rc != SQLITE_OK)
		bridge_error_db(err, db, "vss_hybrid");
	else if (count == 0 && name != NULL)
		rc =
			bridge_error(err, SQLITE_ERROR, "vss_hybrid: no hnsw table is, or has the content, \"%s\"", name);
	else if (count == 0)
		rc = bridge_error(err, SQLITE_ERROR, "vss_hybrid: there is no hnsw table over a table");
	else if (count > 1 && !named)
		rc = bridge_error(err, SQLITE_ERROR,
						  "vss_hybrid: which of several hnsw tables is meant? Name one of: %s", list);
	else if (!keyed)
		rc = bridge_error(err, SQLITE_ERROR,
						  "vss_hybrid: %s is WITHOUT ROWID, whose rows a full-text table cannot refer to",
						  names->content);
	sqlite3_finalize(stmt);
	sqlite3_free(list);
	return rc;
}

/* The FTS5 table of that name, or the one whose content is the index's table. */
static int
find_full_text(sqlite3 *db, const char *name, BridgeHybridNames *names, BridgeError *err)
{
	char *sql = sqlite3_mprintf("SELECT name, hnsw_module_of(sql) FROM \"%w\".sqlite_schema WHERE type = "
								"'table' AND rootpage = 0 AND "
								"hnsw_module_of(sql) IN ('fts3', 'fts4', 'fts5') AND "
								"CASE WHEN ?1 IS NULL THEN hnsw_module_of(sql, 'content') = ?2 COLLATE "
								"NOCASE ELSE name = ?1 COLLATE NOCASE END "
								"ORDER BY name",
								names->schema);
	sqlite3_stmt *stmt = NULL;
	char *list = NULL;
	bool ranks = true;
	int count = 0;
	int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	int step = SQLITE_DONE;

	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 2, names->content, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		const char *found = (const char *) sqlite3_column_text(stmt, 0);
		const char *module = (const char *) sqlite3_column_text(stmt, 1);

		if (found == NULL || module == NULL)
			rc = SQLITE_NOMEM;
		else if (count++ == 0)
		{
			names->full_text = sqlite3_mprintf("%s", found);
			ranks = strcmp(module, "fts5") == 0;
			rc = names->full_text == NULL ? SQLITE_NOMEM : SQLITE_OK;
		}
		if (rc == SQLITE_OK)
			rc = append_name(&list, found);
	}
	if (rc == SQLITE_OK && step != SQLITE_DONE)
		rc = step;
	if (rc == SQLITE_NOMEM)
		bridge_error(err, rc, "out of memory");
	else if (rc != SQLITE_OK)
		bridge_error_db(err, db, "vss_hybrid");
	else if (count == 0 && name != NULL)
		rc = bridge_error(err, SQLITE_ERROR, "vss_hybrid: no full-text table \"%s\"", name);
	else if (count == 0)
		rc = bridge_error(
			err, SQLITE_ERROR,
			"vss_hybrid: no FTS5 table has content='%s'; make one, or name one as the argument full_text",
			names->content);
	else if (count > 1)
		rc = bridge_error(err, SQLITE_ERROR,
						  "vss_hybrid: which of several full-text tables is meant? Name one as the argument "
						  "full_text: %s",
						  list);
	else if (!ranks)
		rc = bridge_error(err, SQLITE_ERROR, "vss_hybrid: %s does not rank its matches; that takes FTS5",
						  names->full_text);
	sqlite3_finalize(stmt);
	sqlite3_free(list);
	return rc;
}

int
bridge_hybrid_names(sqlite3 *db, const char *table, const char *full_text, BridgeHybridNames *names,
					BridgeError *err)
{
	int rc = find_index(db, table, names, err);

	return rc == SQLITE_OK ? find_full_text(db, full_text, names, err) : rc;
}

void
bridge_hybrid_names_free(BridgeHybridNames *names)
{
	sqlite3_free(names->schema);
	sqlite3_free(names->index);
	sqlite3_free(names->content);
	sqlite3_free(names->full_text);
}
