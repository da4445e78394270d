/*
 * extension.c
 *		SQLite extensions that a server loads, for schemas that call what their
 *		own application adds to SQLite.
 *
 * The administrator lists library files in the setting vss_fdw.allowed_extensions;
 * a server's option "extensions" takes some of them.  They are loaded through
 * SQLite's C interface.  SQL's load_extension() stays off.
 */
#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/varlena.h"

#include "fdw/remote/remote.h"

char *vssfdw_allowed_extensions = NULL;

List *
vssfdw_parse_extensions(const char *list)
{
	List *paths = NIL;

	if (list == NULL || !SplitDirectoriesString(pstrdup(list), ',', &paths))
		return NIL;
	return paths;
}

static bool
is_allowed(const char *path)
{
	ListCell *lc;

	foreach (lc, vssfdw_parse_extensions(vssfdw_allowed_extensions))
		if (strcmp(lfirst(lc), path) == 0)
			return true;
	return false;
}

/* Raises nothing: the switch must be off again whatever happens. */
static int
load(sqlite3 *db, const char *path, char **message)
{
	int rc;

	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
	rc = sqlite3_load_extension(db, path, NULL, message);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	return rc;
}

void
vssfdw_load_extensions(sqlite3 *db, const char *servername, const char *extensions)
{
	ListCell *lc;

	foreach (lc, vssfdw_parse_extensions(extensions))
	{
		const char *path = lfirst(lc);
		char *message = NULL;
		int rc;

		if (!is_allowed(path))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("SQLite extension \"%s\" of server \"%s\" is not allowed", path, servername),
					 errhint("An administrator can add it to the setting vss_fdw.allowed_extensions.")));
		rc = load(db, path, &message);
		if (rc != SQLITE_OK)
		{
			char *copy = pstrdup(message != NULL ? message : sqlite3_errstr(rc));

			sqlite3_free(message);
			ereport(ERROR, (errcode(rc == SQLITE_NOMEM ? ERRCODE_OUT_OF_MEMORY : ERRCODE_FDW_ERROR),
							errmsg("could not load SQLite extension \"%s\" of server \"%s\": %s", path,
								   servername, copy)));
		}
	}
}
