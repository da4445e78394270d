/*
 * index_lookup.c
 *		Which hnsw index does the user mean?
 *
 * In PostgreSQL an index is named by a foreign table: the imported hnsw table,
 * or a table whose rows feed exactly one index.  Names follow search_path and
 * the quoting rules of regclass.  Who may use it is decided here too.
 */
#include "fdw/values/values.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_table.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/varlena.h"

static bool
is_our_table(Oid relid)
{
	return get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE &&
		   vssfdw_is_our_wrapper(GetForeignServer(GetForeignTable(relid)->serverid)->fdwid);
}

/* ---------- from a foreign table to its index ---------- */

static void
check_our_table(Oid relid)
{
	if (!is_our_table(relid))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a foreign table of vss_fdw", get_rel_name(relid)),
						errhint("Name an imported hnsw table, or a foreign table that feeds one.")));
}

char *
vssfdw_list_indexes(List *indexes)
{
	StringInfoData names;
	ListCell *cell;

	initStringInfo(&names);
	foreach (cell, indexes)
	{
		const VssIndexInfo *index = lfirst(cell);

		appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "", index->name);
	}
	return names.data;
}

static VssTarget *
make_target(Oid relid, Oid serverid, const char *index)
{
	VssTarget *target = palloc(sizeof(VssTarget));

	target->relid = relid;
	target->serverid = serverid;
	target->index = pstrdup(index);
	return target;
}

/* What SQLite says of the table behind a foreign table of ours. */
static const VssTableInfo *
sqlite_table(Oid relid, Oid *serverid)
{
	const VssTableOptions *options = vssfdw_table_options(relid);

	*serverid = GetForeignTable(relid)->serverid;
	return vssfdw_described(vssfdw_connect(*serverid), options);
}

VssTarget *
vssfdw_relation_target(Oid relid)
{
	const VssTableInfo *table;
	Oid serverid;

	check_our_table(relid);
	table = sqlite_table(relid, &serverid);
	if (table->is_hnsw)
		return make_target(relid, serverid, table->name);
	if (list_length(table->indexes) == 1)
		return make_target(relid, serverid, ((VssIndexInfo *) linitial(table->indexes))->name);
	if (table->indexes == NIL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("foreign table \"%s\" has no hnsw index", get_rel_name(relid)),
						errhint("Make one with vss_create_index, or with CREATE VIRTUAL TABLE ... USING "
								"hnsw(...) in SQLite.")));
	ereport(ERROR, (errcode(ERRCODE_AMBIGUOUS_PARAMETER),
					errmsg("foreign table \"%s\" has several hnsw indexes", get_rel_name(relid)),
					errdetail("In SQLite they are %s.", vssfdw_list_indexes(table->indexes)),
					errhint("Import the index meant, and name its foreign table.")));
	return NULL; /* not reached */
}

VssConnection *
vssfdw_idle_connection(Oid relid, const char *function)
{
	VssConnection *conn;

	check_our_table(relid);
	conn = vssfdw_connect(GetForeignTable(relid)->serverid);
	if (conn->xact_depth > 0 || conn->in_use > 0)
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("%s cannot run inside a transaction that uses server \"%s\"", function,
							   conn->servername),
						errhint("Run it in a transaction of its own.")));
	return conn;
}

/* ---------- privileges ---------- */

static bool
may_read(Oid relid)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		   pg_attribute_aclcheck_all(relid, GetUserId(), ACL_SELECT, ACLMASK_ALL) == ACLCHECK_OK;
}

static void
check_may_read(Oid relid)
{
	if (!may_read(relid))
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));

	/* As the rewriter would: this errors out itself where row_security is off. */
	if (check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("vss_knn cannot apply the row-level security policies of \"%s\"",
							   get_rel_name(relid)),
						errhint("Query the table itself: SELECT ... ORDER BY column <=> query LIMIT k.")));
}

/* ---------- by name ---------- */

Oid
vssfdw_named_table(text *name)
{
	RangeVar *relation = makeRangeVarFromNameList(textToQualifiedNameList(name));
	Oid relid = RangeVarGetRelid(relation, AccessShareLock, false);

	check_may_read(relid);
	check_our_table(relid);
	return relid;
}

/* ---------- without a name ---------- */

/* All foreign tables of ours that the user sees without a schema and may read. */
static List *
visible_tables(void)
{
	Relation catalog = table_open(ForeignTableRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	List *candidates = NIL;
	List *result = NIL;
	HeapTuple tuple;
	ListCell *cell;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		candidates = lappend_oid(candidates, ((Form_pg_foreign_table) GETSTRUCT(tuple))->ftrelid);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	/* In order of creation, so that messages do not depend on the catalogue's layout. */
	list_sort(candidates, list_oid_cmp);
	foreach (cell, candidates)
	{
		Oid relid = lfirst_oid(cell);
		Relation rel;

		if (!RelationIsVisible(relid))
			continue;
		/* NULL: dropped since the scan.  The lock is kept until the transaction ends, as by any query. */
		rel = try_relation_open(relid, AccessShareLock);
		if (rel == NULL)
			continue;
		if (is_our_table(relid) && may_read(relid))
			result = lappend_oid(result, relid);
		relation_close(rel, NoLock);
	}
	return result;
}

/* Whether a column is a vector, which every table of interest has. */
static bool
has_vector(Oid relid)
{
	Relation rel = relation_open(relid, NoLock);
	TupleDesc columns = RelationGetDescr(rel);
	bool found = false;

	for (int i = 0; i < columns->natts && !found; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		found = !column->attisdropped && vssfdw_is_vector(getBaseType(column->atttypid));
	}
	relation_close(rel, NoLock);
	return found;
}

/* Whether targets has this very index, reached through another table. */
static bool
has_index(List *targets, Oid serverid, const char *index)
{
	ListCell *cell;

	foreach (cell, targets)
	{
		const VssTarget *target = lfirst(cell);

		if (target->serverid == serverid && strcmp(target->index, index) == 0)
			return true;
	}
	return false;
}

static char *
list_targets(List *targets)
{
	StringInfoData names;
	ListCell *cell;

	initStringInfo(&names);
	foreach (cell, targets)
	{
		const VssTarget *target = lfirst(cell);

		appendStringInfo(&names, "%s%s (index \"%s\" of server \"%s\")", names.len > 0 ? ", " : "",
						 quote_identifier(get_rel_name(target->relid)), target->index,
						 GetForeignServer(target->serverid)->servername);
	}
	return names.data;
}

VssTarget *
vssfdw_only_target(void)
{
	List *imported = NIL; /* index tables, of VssTarget */
	List *fed = NIL;      /* indexes of tables that feed them */
	List *targets;
	VssTarget *target;
	ListCell *cell;

	foreach (cell, visible_tables())
	{
		Oid relid = lfirst_oid(cell);
		const VssTableInfo *table;
		ListCell *inner;
		Oid serverid;

		/* Spares opening databases that have nothing to do with vectors. */
		if (!has_vector(relid))
			continue;
		table = sqlite_table(relid, &serverid);
		if (table->is_hnsw)
		{
			if (!has_index(imported, serverid, table->name))
				imported = lappend(imported, make_target(relid, serverid, table->name));
			continue;
		}
		foreach (inner, table->indexes)
		{
			const VssIndexInfo *index = lfirst(inner);

			if (!has_index(fed, serverid, index->name))
				fed = lappend(fed, make_target(relid, serverid, index->name));
		}
	}

	targets = imported != NIL ? imported : fed;
	if (targets == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("no hnsw index is imported that could be meant"),
				 errdetail("No foreign table of vss_fdw in search_path that you may read is an hnsw index "
						   "or has one."),
				 errhint("Import one with IMPORT FOREIGN SCHEMA, or name it: vss_knn('index', query, k).")));
	if (list_length(targets) > 1)
		ereport(ERROR, (errcode(ERRCODE_AMBIGUOUS_PARAMETER), errmsg("several hnsw indexes could be meant"),
						errdetail("Foreign tables: %s.", list_targets(targets)),
						errhint("Name one: vss_knn('index', query, k).")));
	target = linitial(targets);
	check_may_read(target->relid);
	return target;
}
