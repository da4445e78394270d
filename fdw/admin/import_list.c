/*
 * import_list.c
 *		Which tables and views of a database IMPORT FOREIGN SCHEMA takes.
 *
 * sqlite_schema is asked.  pragma_table_list would tell more, but expands every
 * view of the database for it, and views that use views multiply.
 */
#include "postgres.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "fdw/admin/admin.h"

/* A virtual table with shadow tables of its module's. */
typedef struct ShadowedTable
{
	char *name;
	const char *suffixes;
} ShadowedTable;

/* ---------- LIMIT TO and EXCEPT ---------- */

const char *
vssfdw_listed_as(const ImportForeignSchemaStmt *stmt, const char *table)
{
	const char *local = pnstrdup(table, pg_mbcliplen(table, (int) strlen(table), NAMEDATALEN - 1));
	ListCell *lc;

	foreach (lc, stmt->table_list)
	{
		const char *listed = ((RangeVar *) lfirst(lc))->relname;

		if (strcmp(listed, local) == 0 || pg_strcasecmp(listed, table) == 0)
			return listed;
	}
	return NULL;
}

static bool
is_wanted(const ImportForeignSchemaStmt *stmt, const char *table)
{
	switch (stmt->list_type)
	{
		case FDW_IMPORT_SCHEMA_LIMIT_TO:
			return vssfdw_listed_as(stmt, table) != NULL;
		case FDW_IMPORT_SCHEMA_EXCEPT:
			return vssfdw_listed_as(stmt, table) == NULL;
		case FDW_IMPORT_SCHEMA_ALL:
			break;
	}
	return true;
}

/* ---------- shadow tables ---------- */

/*
 * SQLite marks the shadow tables of the modules that are loaded, but tells it
 * only at the price of expanding all views.  So these are the names, by module;
 * '*' stands for digits.
 */
static const struct
{
	const char *module;
	const char *suffixes;
} shadows[] = {
	{"fts3", "content docsize segments segdir stat"},
	{"fts4", "content docsize segments segdir stat"},
	{"fts5", "data idx content docsize config"},
	{"rtree", "node rowid parent"},
	{"rtree_i32", "node rowid parent"},
	{"geopoly", "node rowid parent"},
	{"spellfix1", "vocab"},
	{"vss0", "index data"},
	{"vec0", "info chunks rowids auxiliary vector_chunks* metadatachunks* metadatatext* metadata_chunks* "
			 "metadata_text*"},
	{"hnsw", "vectors delta config keys canary"},
};

static bool
suffix_matches(const char *suffixes, const char *suffix)
{
	while (*suffixes != '\0')
	{
		size_t length = strcspn(suffixes, " ");

		if (length > 0 && suffixes[length - 1] == '*')
		{
			size_t stem = length - 1;

			if (pg_strncasecmp(suffixes, suffix, stem) == 0 &&
				strspn(suffix + stem, "0123456789") == strlen(suffix + stem))
				return true;
		}
		else if (strlen(suffix) == length && pg_strncasecmp(suffixes, suffix, length) == 0)
			return true;
		suffixes += length;
		suffixes += strspn(suffixes, " ");
	}
	return false;
}

/* The virtual tables whose shadow tables are known, and the suffixes of these. */
static List *
read_shadowed(VssConnection *conn)
{
	static const char sql[] = "SELECT name, hnsw_module_of(sql) FROM sqlite_schema WHERE type = 'table' AND "
							  "rootpage = 0 ORDER BY name";
	VssStatement *statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	List *shadowed = NIL;

	while (vssfdw_step(statement))
	{
		char *module = vssfdw_column_text(statement, 1);

		for (int i = 0; i < lengthof(shadows); i++)
		{
			ShadowedTable *table;

			if (module == NULL || strcmp(module, shadows[i].module) != 0)
				continue;
			table = palloc(sizeof(ShadowedTable));
			table->name = vssfdw_column_text(statement, 0);
			table->suffixes = shadows[i].suffixes;
			shadowed = lappend(shadowed, table);
		}
	}
	vssfdw_done(statement);
	return shadowed;
}

static bool
is_shadow(const List *shadowed, const char *table)
{
	ListCell *lc;

	foreach (lc, shadowed)
	{
		const ShadowedTable *owner = lfirst(lc);
		size_t length = strlen(owner->name);

		if (pg_strncasecmp(table, owner->name, length) == 0 && table[length] == '_' &&
			suffix_matches(owner->suffixes, table + length + 1))
			return true;
	}
	return false;
}

/* ---------- which tables ---------- */

typedef enum ListedKind
{
	KIND_TABLE,
	KIND_VIEW,
	KIND_VIRTUAL
} ListedKind;

/* What sqlite_schema lists; strings are palloc'd. */
typedef struct ListedRelation
{
	char *name;
	ListedKind kind;
	char *sql; /* of a view */
} ListedRelation;

/* Whether the name is a word of the text, whatever the case, or is quoted there. */
static bool
mentions(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (const char *p = text; *p != '\0'; p++)
		if (pg_strncasecmp(p, name, length) == 0 &&
			(p == text || !(isalnum((unsigned char) p[-1]) || p[-1] == '_' || IS_HIGHBIT_SET(p[-1]))) &&
			!(isalnum((unsigned char) p[length]) || p[length] == '_' || IS_HIGHBIT_SET(p[length])))
			return true;
	return false;
}

/* Whether this is how SQLite refuses what has grown too large. */
static bool
is_too_large(int rc, const char *message)
{
	return rc == VSS_RC_TOO_COMPLEX || strncmp(message, "too many ", 9) == 0;
}

/*
 * Whether SQLite can read it: a virtual table whose module is not there cannot
 * even be described.  A view that is too large makes all that use it too large,
 * and to find that out takes SQLite longer each time: these are not tried.
 * large has the names of such views.
 */
static bool
is_usable(VssConnection *conn, const ListedRelation *relation, List **large)
{
	const char *kind = relation->kind == KIND_VIEW ? "view" : "virtual table";
	sqlite3_stmt *stmt = NULL;
	const char *message;
	const char *utf8;
	ListCell *lc;
	int rc;

	if (relation->kind == KIND_TABLE)
		return true;
	if (relation->kind == KIND_VIEW && relation->sql != NULL)
		foreach (lc, *large)
			if (mentions(relation->sql, lfirst(lc)))
			{
				ereport(WARNING, (errmsg("view \"%s\" was not imported: it uses view \"%s\"", relation->name,
										 (char *) lfirst(lc))));
				*large = lappend(*large, relation->name);
				return false;
			}

	utf8 = vssfdw_to_utf8(psprintf("SELECT * FROM %s", vssfdw_quote_identifier(relation->name)));
	rc = vssfdw_compile(conn->db, utf8, strlen(utf8), 0, &stmt, NULL);
	sqlite3_finalize(stmt);
	if (rc == SQLITE_OK)
		return true;
	CHECK_FOR_INTERRUPTS();
	message = vssfdw_compile_message(conn->db, rc);
	if (relation->kind == KIND_VIEW && is_too_large(rc, message))
		*large = lappend(*large, relation->name);
	ereport(WARNING, (errmsg("%s \"%s\" was not imported: %s", kind, relation->name, message)));
	return false;
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

List *
vssfdw_importable(VssConnection *conn, const ImportForeignSchemaStmt *stmt, bool views)
{
	/* An index's journal is an ordinary table; its mark tells it (sqlite_bridge/content/triggers.c). */
	static const char sql[] =
		"SELECT name, type = 'view', rootpage = 0, sql FROM sqlite_schema AS l "
		"WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
		"AND NOT EXISTS (SELECT 1 FROM sqlite_schema AS m WHERE m.type = 'trigger' AND m.tbl_name = l.name "
		"AND l.name = substr(m.name, 1, length(m.name) - 5) || '_changes' "
		"AND m.name LIKE '%\\_mark' ESCAPE '\\') "
		"ORDER BY rowid";
	VssStatement *statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	List *shadowed;
	List *listed = NIL;
	List *wanted = NIL;
	List *large = NIL;
	ListCell *lc;

	/* The list is closed before tables are opened. */
	while (vssfdw_step(statement))
	{
		ListedRelation *relation = palloc0(sizeof(ListedRelation));

		relation->name = vssfdw_column_text(statement, 0);
		relation->kind = sqlite3_column_int(statement->stmt, 1) != 0   ? KIND_VIEW
						 : sqlite3_column_int(statement->stmt, 2) != 0 ? KIND_VIRTUAL
																	   : KIND_TABLE;
		relation->sql = vssfdw_column_text(statement, 3);
		listed = lappend(listed, relation);
	}
	vssfdw_done(statement);

	shadowed = read_shadowed(conn);
	foreach (lc, listed)
	{
		ListedRelation *relation = lfirst(lc);

		if (is_wanted(stmt, relation->name) && (views || relation->kind != KIND_VIEW) &&
			!(relation->kind == KIND_TABLE && is_shadow(shadowed, relation->name)) &&
			is_usable(conn, relation, &large))
			wanted = lappend(wanted, relation->name);
	}
	list_sort(wanted, compare_names);
	return wanted;
}
