/*
 * names.c
 *		Which hnsw table is meant: by name, by schema and name, or the only one.
 *
 * As everywhere in SQLite, a name that several databases have means the one in
 * main: an attached copy changes nothing.  What writes may not trust in that,
 * since a trigger of the copy means the copy's table and nothing tells whose
 * trigger is running: see bridge_find_unique_name.
 *
 * Looking through every schema costs tens of microseconds, so the last answer
 * is kept.  It holds as long as no schema changes: a statement that touches
 * all of them is run first, and SQLite compiles it anew when one did, which
 * its status counter tells.  DETACH expires every statement, and so does a
 * change of the temp schema; ATTACH makes the number of databases grow.
 */
#include "sqlite_bridge/index/index.h"

#include <string.h>

struct BridgeNames
{
	sqlite3_stmt *watch; /* touches every schema but temp */
	int databases;
	char *asked; /* NULL: no name */
	char *schema, *table;
	bool unique; /* no other database has a table of this name that could be meant */
};

/* Candidates of a name, for choice and for the error. */
typedef struct Search
{
	const char *name;     /* NULL: any */
	char *schema, *table; /* of the first match, and main is looked at first */
	int matches;
	bool alike;        /* all matches have the first one's name */
	sqlite3_str *list; /* all that match, or all there are */
	sqlite3_str *known;
} Search;

/* name is "table" or "schema.table"; SQLite folds ASCII case in names. */
static bool
name_matches(const char *name, const char *schema, const char *table)
{
	size_t length = strlen(schema);

	if (sqlite3_stricmp(name, table) == 0)
		return true;
	return sqlite3_strnicmp(name, schema, (int) length) == 0 && name[length] == '.' &&
		   sqlite3_stricmp(name + length + 1, table) == 0;
}

static int
search_schema(BridgeConnection *connection, const char *schema, Search *search, BridgeError *err)
{
	char *sql = sqlite3_mprintf("SELECT name, sql FROM \"%w\".sqlite_schema "
								"WHERE type = 'table' AND rootpage = 0 AND sql LIKE 'CREATE VIRTUAL%%'",
								schema);
	sqlite3_stmt *stmt = NULL;
	int rc;

	if (sql == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	rc = sqlite3_prepare_v2(connection->db, sql, -1, &stmt, NULL);
	sqlite3_free(sql);
	if (rc != SQLITE_OK)
		return bridge_error_db(err, connection->db, "hnsw: looking for tables");
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		const char *table = (const char *) sqlite3_column_text(stmt, 0);
		const char *text = (const char *) sqlite3_column_text(stmt, 1);

		if (table == NULL || text == NULL)
		{
			rc = SQLITE_NOMEM;
			break;
		}
		if (!bridge_is_index_sql(text))
			continue;
		sqlite3_str_appendf(search->known, "%s%s.%s", sqlite3_str_length(search->known) > 0 ? ", " : "",
							schema, table);
		if (search->name != NULL && !name_matches(search->name, schema, table))
			continue;
		sqlite3_str_appendf(search->list, "%s%s.%s", search->matches > 0 ? ", " : "", schema, table);
		if (search->matches++ > 0)
			search->alike &= sqlite3_stricmp(table, search->table) == 0;
		else
		{
			search->schema = sqlite3_mprintf("%s", schema);
			search->table = sqlite3_mprintf("%s", table);
			if (search->schema == NULL || search->table == NULL)
			{
				rc = SQLITE_NOMEM;
				break;
			}
		}
	}
	if (rc == SQLITE_NOMEM)
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	else if (rc != SQLITE_DONE)
		rc = bridge_error_db(err, connection->db, "hnsw: looking for tables");
	else
		rc = SQLITE_OK;
	sqlite3_finalize(stmt);
	return rc;
}

static int
search_all(BridgeConnection *connection, Search *search, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = sqlite3_prepare_v2(connection->db, "PRAGMA database_list", -1, &stmt, NULL);

	if (rc != SQLITE_OK)
		return bridge_error_db(err, connection->db, "hnsw: looking for tables");
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		const char *schema = (const char *) sqlite3_column_text(stmt, 1);

		if (schema == NULL)
			bridge_error(err, SQLITE_NOMEM, "out of memory");
		if (schema == NULL || search_schema(connection, schema, search, err) != SQLITE_OK)
			break;
	}
	if (err->code == SQLITE_OK && rc != SQLITE_DONE)
		bridge_error_db(err, connection->db, "hnsw: looking for tables");
	sqlite3_finalize(stmt);
	return err->code;
}

/* *unique: whether it must be, and whether it is. */
static int
search_name(BridgeConnection *connection, const char *name, bool *unique, char **schema, char **table,
			BridgeError *err)
{
	Search search = {.name = name, .alike = true};
	char *list, *known;
	int rc;

	*schema = *table = NULL;
	search.list = sqlite3_str_new(connection->db);
	search.known = sqlite3_str_new(connection->db);
	rc = search_all(connection, &search, err);
	if (rc == SQLITE_OK &&
		(sqlite3_str_errcode(search.list) != SQLITE_OK || sqlite3_str_errcode(search.known) != SQLITE_OK))
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	list = sqlite3_str_finish(search.list);
	known = sqlite3_str_finish(search.known);
	if (rc == SQLITE_OK && search.matches == 0)
	{
		if (known == NULL)
			rc = bridge_error(
				err, SQLITE_ERROR,
				"no hnsw table in this database; make one with CREATE VIRTUAL TABLE ... USING hnsw(dim = N)");
		else
			rc = bridge_error(err, SQLITE_ERROR, "no hnsw table \"%s\"; there are: %s", name, known);
	}
	else if (rc == SQLITE_OK && search.matches > 1 &&
			 (*unique || !search.alike || strcmp(search.schema, "main") != 0))
		rc = bridge_error(err, SQLITE_ERROR, "%s of several hnsw tables is meant? Name one of: %s",
						  name == NULL ? "which" : "the name is not unique: which", list == NULL ? "" : list);
	sqlite3_free(list);
	sqlite3_free(known);
	if (rc != SQLITE_OK)
	{
		sqlite3_free(search.schema);
		sqlite3_free(search.table);
		return rc;
	}
	*schema = search.schema;
	*table = search.table;
	*unique = search.matches == 1;
	return SQLITE_OK;
}

void
bridge_names_forget(BridgeConnection *connection)
{
	BridgeNames *names = connection->names;

	connection->names = NULL;
	if (names == NULL)
		return;
	sqlite3_finalize(names->watch);
	sqlite3_free(names->asked);
	sqlite3_free(names->schema);
	sqlite3_free(names->table);
	sqlite3_free(names);
}

/* How many databases there are; 0 where SQLite cannot tell quickly. */
static int
count_databases(sqlite3 *db)
{
	int count = 0;

#if SQLITE_VERSION_NUMBER >= 3039000
	if (sqlite3_libversion_number() >= 3039000)
		while (sqlite3_db_name(db, count) != NULL)
			count++;
#endif
	return count;
}

#if SQLITE_VERSION_NUMBER >= 3039000
static sqlite3_stmt *
prepare_watch(sqlite3 *db, int databases)
{
	sqlite3_str *text = sqlite3_str_new(db);
	sqlite3_stmt *stmt = NULL;
	char *sql;

	sqlite3_str_appendall(text, "SELECT 1 FROM");
	for (int i = 0, n = 0; i < databases; i++)
		if (i != 1) /* temp */
			sqlite3_str_appendf(text, "%s \"%w\".sqlite_schema AS s%d", n++ > 0 ? "," : "",
								sqlite3_db_name(db, i), i);
	sqlite3_str_appendall(text, " WHERE 0");
	sql = sqlite3_str_finish(text);
	if (sql != NULL)
		sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
	sqlite3_free(sql);
	return stmt;
}

/* Keep an answer.  It is let go with the last connected table, so there must be one. */
static void
keep(BridgeConnection *connection, const char *asked, bool unique, const char *schema, const char *table)
{
	BridgeNames *names;
	BridgeIndex *index = connection->indexes;

	bridge_names_forget(connection);
	while (index != NULL && index->connected == NULL)
		index = index->next;
	if (index == NULL || count_databases(connection->db) == 0)
		return;
	names = sqlite3_malloc64(sizeof(*names));
	if (names == NULL)
		return;
	memset(names, 0, sizeof(*names));
	connection->names = names;
	names->unique = unique;
	names->databases = count_databases(connection->db);
	names->watch = prepare_watch(connection->db, names->databases);
	names->asked = asked == NULL ? NULL : sqlite3_mprintf("%s", asked);
	names->schema = sqlite3_mprintf("%s", schema);
	names->table = sqlite3_mprintf("%s", table);
	if (names->watch == NULL || (asked != NULL && names->asked == NULL) || names->schema == NULL ||
		names->table == NULL)
		bridge_names_forget(connection);
}
#else
static void
keep(BridgeConnection *connection, const char *asked, bool unique, const char *schema, const char *table)
{
}
#endif

static bool
still_holds(BridgeConnection *connection, const char *asked)
{
	BridgeNames *names = connection->names;

	if (names == NULL || (asked == NULL) != (names->asked == NULL) ||
		(asked != NULL && strcmp(asked, names->asked) != 0) ||
		count_databases(connection->db) != names->databases)
		return false;
	if (bridge_step_own(connection, names->watch) == SQLITE_OK &&
		sqlite3_stmt_status(names->watch, SQLITE_STMTSTATUS_REPREPARE, 0) == 0)
		return true;
	bridge_names_forget(connection);
	return false;
}

static int
find_name(BridgeConnection *connection, const char *name, bool unique, char **schema, char **table,
		  BridgeError *err)
{
	int rc;

	*schema = *table = NULL;
	if (still_holds(connection, name) && (connection->names->unique || !unique))
	{
		*schema = sqlite3_mprintf("%s", connection->names->schema);
		*table = sqlite3_mprintf("%s", connection->names->table);
		if (*schema != NULL && *table != NULL)
			return SQLITE_OK;
		sqlite3_free(*schema);
		sqlite3_free(*table);
		*schema = *table = NULL;
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	}
	rc = search_name(connection, name, &unique, schema, table, err);
	if (rc == SQLITE_OK)
		keep(connection, name, unique, *schema, *table);
	return rc;
}

int
bridge_find_name(BridgeConnection *connection, const char *name, char **schema, char **table,
				 BridgeError *err)
{
	return find_name(connection, name, false, schema, table, err);
}

int
bridge_find_unique_name(BridgeConnection *connection, const char *name, char **schema, char **table,
						BridgeError *err)
{
	return find_name(connection, name, true, schema, table, err);
}

int
bridge_find_connected(BridgeConnection *connection, const char *schema, const char *table, BridgeIndex **out,
					  BridgeError *err)
{
	*out = NULL;
	for (BridgeIndex *index = connection->indexes; index != NULL; index = index->next)
		if (index->connected != NULL && sqlite3_stricmp(index->schema, schema) == 0 &&
			sqlite3_stricmp(index->table, table) == 0)
		{
			*out = index;
			return SQLITE_OK;
		}
	return bridge_error(err, SQLITE_ERROR, "table %s.%s is not an hnsw table of this connection", schema,
						table);
}

int
bridge_find_index(BridgeConnection *connection, const char *name, BridgeIndex **out, BridgeError *err)
{
	char *schema, *table, *sql;
	sqlite3_stmt *stmt = NULL;
	int rc = bridge_find_name(connection, name, &schema, &table, err);

	*out = NULL;
	if (rc != SQLITE_OK)
		return rc;
	/* Naming the table in a statement is what makes SQLite connect it. */
	sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\" WHERE 0", schema, table);
	if (sql == NULL)
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	else if (sqlite3_prepare_v2(connection->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		rc = bridge_error_db(err, connection->db, "table %s", table);
	else
	{
		/* Run, it compares the schema with the file's and connects what that changed. */
		sqlite3_step(stmt);
		rc = sqlite3_reset(stmt);
		if (rc != SQLITE_OK)
			rc = bridge_error_db(err, connection->db, "table %s", table);
		else
			rc = bridge_find_connected(connection, schema, table, out, err);
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	sqlite3_free(schema);
	sqlite3_free(table);
	return rc;
}

/* ---------- all of a schema ---------- */

int
bridge_index_names(sqlite3 *db, const char *schema, char ***out, int *count, BridgeError *err)
{
	char *sql = sqlite3_mprintf("SELECT name, sql FROM \"%w\".sqlite_schema"
								" WHERE type = 'table' AND rootpage = 0 ORDER BY name",
								schema);
	sqlite3_stmt *stmt = NULL;
	int rc = sql ? sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

	*out = NULL;
	*count = 0;
	while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		char **names;

		rc = SQLITE_OK;
		if (!bridge_is_index_sql((const char *) sqlite3_column_text(stmt, 1)))
			continue;
		names = sqlite3_realloc64(*out, sizeof(*names) * (sqlite3_uint64) (*count + 1));
		if (names != NULL)
		{
			*out = names;
			names[*count] = sqlite3_mprintf("%s", (const char *) sqlite3_column_text(stmt, 0));
		}
		if (names == NULL || names[(*count)++] == NULL)
			rc = SQLITE_NOMEM;
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	if (rc == SQLITE_DONE)
		return SQLITE_OK;
	bridge_index_names_free(*out, *count);
	*out = NULL;
	*count = 0;
	return rc == SQLITE_NOMEM ? bridge_error(err, rc, "out of memory")
							  : bridge_error_db(err, db, "reading the schema");
}

void
bridge_index_names_free(char **names, int count)
{
	for (int i = 0; i < count; i++)
		sqlite3_free(names[i]);
	sqlite3_free(names);
}
