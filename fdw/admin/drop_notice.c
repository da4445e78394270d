/*
 * drop_notice.c
 *		What DROP leaves in SQLite: the foreign table of an index goes, the index
 *		itself stays in its file, and is told of.
 *
 * A hook on dropped objects, so that DROP FOREIGN TABLE, DROP SERVER ... CASCADE,
 * DROP SCHEMA and DROP EXTENSION tell it alike.  It reads PostgreSQL's catalogues alone:
 * the file may be gone, and a DROP must never fail for that.  So the foreign table of an
 * index is told by its columns, which are the module's.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "fdw/admin/admin.h"

static object_access_hook_type next_hook;

/* vss_drop_index() drops the index as well. */
static bool silent;

void
vssfdw_drop_silently(bool yes)
{
	silent = yes;
}

/* Whether its columns are those of an imported index. */
static bool
is_of_index(Oid relid)
{
	AttrNumber vector = get_attnum(relid, "embedding");

	return vector != InvalidAttrNumber && vssfdw_is_vector(get_atttype(relid, vector)) &&
		   get_attnum(relid, "rowid") != InvalidAttrNumber &&
		   get_attnum(relid, "distance") != InvalidAttrNumber;
}

static char *
option(List *options, const char *name)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *def = lfirst(lc);

		if (strcmp(def->defname, name) == 0)
			return defGetString(def);
	}
	return NULL;
}

static void
tell(Oid relid)
{
	ForeignTable *table = GetForeignTable(relid);
	ForeignServer *server = GetForeignServer(table->serverid);
	const char *index = option(table->options, "table");
	const char *database = option(server->options, "database");
	const char *drop;

	if (!vssfdw_is_our_wrapper(server->fdwid) || database == NULL || !is_of_index(relid))
		return;
	if (index == NULL)
		index = get_rel_name(relid);
	drop = psprintf("DROP TABLE %s", vssfdw_quote_identifier(index));
	ereport(NOTICE, (errmsg("index \"%s\" stays in SQLite database \"%s\"", index, database),
					 errhint("To remove it and its triggers, run in SQLite, with the extension loaded: %s; "
							 "As long as the server exists, SELECT vss_exec(%s, %s) does the same.",
							 drop, quote_literal_cstr(server->servername), quote_literal_cstr(drop))));
}

static void
on_access(ObjectAccessType access, Oid class, Oid object, int sub, void *arg)
{
	if (next_hook != NULL)
		next_hook(access, class, object, sub, arg);
	if (access == OAT_DROP && class == RelationRelationId && sub == 0 && !silent &&
		(((ObjectAccessDrop *) arg)->dropflags & PERFORM_DELETION_INTERNAL) == 0 &&
		get_rel_relkind(object) == RELKIND_FOREIGN_TABLE)
		tell(object);
}

void
vssfdw_watch_drops(void)
{
	next_hook = object_access_hook;
	object_access_hook = on_access;
}
