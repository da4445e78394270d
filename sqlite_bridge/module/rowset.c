/*
 * rowset.c
 *		What the virtual tables of this folder have in common: how an error is
 *		handed over, how tables and cursors are made.
 */
#include "sqlite_bridge/module/module.h"

#include <string.h>

int
bridge_rowset_fail(sqlite3_vtab *vtab, BridgeError *err)
{
	sqlite3_free(vtab->zErrMsg);
	vtab->zErrMsg = err->message;
	return err->code;
}

static void *
zeroed(size_t size)
{
	void *made = sqlite3_malloc64(size);

	if (made != NULL)
		memset(made, 0, size);
	return made;
}

int
bridge_rowset_connect(sqlite3 *db, const char *declaration, size_t size, sqlite3_vtab **out)
{
	int rc = sqlite3_declare_vtab(db, declaration);

	if (rc != SQLITE_OK)
		return rc;
	*out = zeroed(size);
	if (*out == NULL)
		return SQLITE_NOMEM;
	sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
	return SQLITE_OK;
}

int
bridge_rowset_open(size_t size, sqlite3_vtab_cursor **out)
{
	*out = zeroed(size);
	return *out != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

void
bridge_rowset_uses_all_schemas(sqlite3 *db)
{
#ifdef SQLITE_VTAB_USES_ALL_SCHEMAS
	if (sqlite3_libversion_number() >= 3041000)
		sqlite3_vtab_config(db, SQLITE_VTAB_USES_ALL_SCHEMAS);
#endif
}
