/*
 * create_index.c
 *		vss_create_index: an hnsw index over a column of a foreign table, made
 *		in SQLite, filled, and imported.
 *
 * The index is an hnsw virtual table with content=, so that SQLite's triggers
 * keep it right whoever writes.  Like CREATE INDEX CONCURRENTLY the function
 * works in several transactions of SQLite's (vectors are indexed while others
 * read and write) and therefore refuses transaction blocks.  When building
 * fails or is cancelled the virtual table is dropped again.
 *
 * vss_drop_index goes the other way, in PostgreSQL and in SQLite.
 */
#include "fdw/admin/admin.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_table.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

VSS_SQL_FUNCTION(vss_create_index);
VSS_SQL_FUNCTION(vss_drop_index);

#define MAX_NAME_TRIES 1000

/* What to make; strings as SQLite spells them. */
typedef struct Definition
{
	Relation rel; /* foreign table, locked */
	const char *server;
	const char *table;
	VssColumn column;
	const char *column_name; /* of the foreign table */
	char *name;              /* of the index */
	char *metric;
	int dim;
	/* 0: the SQLite side's default */
	int m;
	int ef_construction;
	int ef_search;
} Definition;

/* ---------- asking SQLite ---------- */

/* The first column of the first row as int64, or missing without a row or with NULL. */
static int64
ask(VssConnection *conn, const char *sql, int64 missing)
{
	VssHold *hold = vssfdw_hold(conn, CurrentMemoryContext);
	VssStatement *statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	int64 result = missing;

	if (vssfdw_step(statement) && sqlite3_column_type(statement->stmt, 0) != SQLITE_NULL)
		result = sqlite3_column_int64(statement->stmt, 0);
	vssfdw_done(statement);
	vssfdw_release(hold);
	return result;
}

/* A string as SQLite writes it, quotes doubled. */
static char *
quote_text(const char *text)
{
	char *quoted = sqlite3_mprintf("%Q", text);
	char *copy;

	if (quoted == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	copy = MemoryContextStrdup(CurrentMemoryContext, quoted);
	sqlite3_free(quoted);
	return copy;
}

static void
run(VssConnection *conn, const char *sql)
{
	int rc = vssfdw_exec_quiet(conn, sql, false);

	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, conn->db, conn->servername, sql);
}

/* ---------- working out the definition ---------- */

/* Free in SQLite, and as a relation beside the foreign table. */
static bool
name_is_free(VssConnection *conn, Relation rel, const char *name)
{
	char *sql = psprintf("SELECT 1 FROM sqlite_schema WHERE lower(name) = lower(%s)", quote_text(name));

	return ask(conn, sql, 0) == 0 && !OidIsValid(get_relname_relid(name, RelationGetNamespace(rel)));
}

/* table_column_vss, shortened and numbered as need be. */
static char *
choose_name(VssConnection *conn, const Definition *index)
{
	for (int i = 0; i < MAX_NAME_TRIES; i++)
	{
		char suffix[16] = "vss";
		char *name;

		if (i > 0)
			snprintf(suffix, sizeof(suffix), "vss%d", i);
		name = makeObjectName(index->table, index->column.name, suffix);
		if (name_is_free(conn, index->rel, name))
			return name;
	}
	ereport(ERROR, (errcode(ERRCODE_DUPLICATE_TABLE), errmsg("could not find a free name for the index"),
					errhint("Pass one: vss_create_index(..., index_name => 'name').")));
	return NULL; /* not reached */
}

static bool
is_pgvector(Oid type)
{
	return OidIsValid(type) && type == vssfdw_oids()->pgvector;
}

/* The declared number of dimensions, else the number that a stored vector has. */
static int
find_dimensions(VssConnection *conn, const Definition *index)
{
	char *column = vssfdw_quote_identifier(index->column.name);
	int64 dim;

	/* through a domain, too */
	if (index->column.base_typmod > 0 && vssfdw_is_vector(index->column.base))
		return index->column.base_typmod;

	dim = ask(conn,
			  psprintf("SELECT length(vector(%s)) / 4 FROM %s WHERE %s IS NOT NULL LIMIT 1", column,
					   vssfdw_quote_identifier(index->table), column),
			  0);
	if (dim < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the dimensions of column \"%s\" are not known", index->column.name),
						errdetail("Its type does not declare them and no row holds a vector."),
						errhint("Pass them: vss_create_index(..., dimensions => n).")));
	return (int) dim;
}

static void
check_table(const Definition *index, const VssTableInfo *table)
{
	const char *problem = NULL;

	if (table->is_view)
		problem = "It is a view.";
	else if (table->is_virtual)
		problem = "It is a virtual table.";
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot index table \"%s\" in SQLite", index->table), errdetail("%s", problem)));
}

/* 0: one that SQLite's side refuses. */
static BridgeMetric
metric_of(const char *name)
{
	if (pg_strcasecmp(name, "cosine") == 0)
		return BRIDGE_COSINE;
	if (pg_strcasecmp(name, "l2") == 0)
		return BRIDGE_L2;
	return pg_strcasecmp(name, "ip") == 0 ? BRIDGE_IP : 0;
}

/*
 * The index of this column and metric that is there already, or NULL.  A second one would cost
 * every write, answer nothing better, and make the table's name ambiguous.
 */
static const VssIndexInfo *
find_same(const Definition *index, const VssTableInfo *table)
{
	ListCell *cell;

	foreach (cell, table->indexes)
	{
		const VssIndexInfo *other = lfirst(cell);

		if (other->metric == metric_of(index->metric) &&
			pg_strcasecmp(other->content_vector, index->column.name) == 0)
			return other;
	}
	return NULL;
}

static void
refuse_second(const Definition *index, const VssIndexInfo *same)
{
	ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
					errmsg("column \"%s\" of table \"%s\" in SQLite has index \"%s\" of metric %s already",
						   index->column.name, index->table, same->name, index->metric),
					errhint("Use it, pass if_not_exists => true, or remove it with vss_drop_index.")));
}

/* The foreign table of the index that is there, 0 where it is not imported beside the table. */
static Oid
take_existing(const Definition *index, const VssIndexInfo *same)
{
	ereport(NOTICE,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("column \"%s\" of table \"%s\" in SQLite has index \"%s\" of metric %s already, skipping",
					index->column.name, index->table, same->name, index->metric)));
	return get_relname_relid(same->name, RelationGetNamespace(index->rel));
}

/* ---------- making it ---------- */

static void
append_option(StringInfo sql, const char *name, int value)
{
	if (value > 0)
		appendStringInfo(sql, ", %s = %d", name, value);
}

static char *
create_statement(const Definition *index)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE VIRTUAL TABLE %s USING hnsw(dim = %d, metric = %s",
					 vssfdw_quote_identifier(index->name), index->dim, quote_text(index->metric));
	append_option(&sql, "m", index->m);
	append_option(&sql, "ef", index->ef_construction);
	append_option(&sql, "ef_search", index->ef_search);
	appendStringInfo(&sql, ", content = %s, content_vector = %s)", vssfdw_quote_identifier(index->table),
					 vssfdw_quote_identifier(index->column.name));
	return sql.data;
}

static void
create_in_sqlite(VssConnection *conn, const Definition *index)
{
	run(conn, create_statement(index));
	PG_TRY();
	{
		vssfdw_run_merge(conn, "hnsw_save", index->name, RelationGetRelid(index->rel), true);
	}
	PG_CATCH();
	{
		char *drop = psprintf("DROP TABLE %s", vssfdw_quote_identifier(index->name));

		if (vssfdw_exec_quiet(conn, drop, true) != SQLITE_OK)
			ereport(WARNING,
					(errmsg("index \"%s\" stays in SQLite, unfinished: %s", index->name,
							sqlite3_errmsg(conn->db)),
					 errhint("It answers exactly. vss_merge finishes it; DROP TABLE in SQLite removes it.")));
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* IMPORT FOREIGN SCHEMA, for this one table, beside the foreign table. */
static Oid
import(const Definition *index)
{
	Oid schema = RelationGetNamespace(index->rel);
	char *sql =
		psprintf("IMPORT FOREIGN SCHEMA main LIMIT TO (%s) FROM SERVER %s INTO %s OPTIONS (vector_type %s)",
				 quote_identifier(index->name), quote_identifier(index->server),
				 quote_identifier(get_namespace_name(schema)),
				 is_pgvector(index->column.base) ? "'vector'" : "'vss_vector'");
	int result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute(sql, false, 0);
	if (result < 0)
		elog(ERROR, "could not import index: %s", SPI_result_code_string(result));
	SPI_finish();
	return get_relname_relid(index->name, schema);
}

/* A column that was imported before it had an index is no vector to PostgreSQL yet. */
static void
mention_type(const Definition *index)
{
	/* what bytea or text needed would say how vectors are written */
	const char *drop =
		index->column.stored == VSS_STORED_NATURAL
			? ""
			: psprintf("ALTER COLUMN %s OPTIONS (DROP column_type), ", quote_identifier(index->column_name));

	if (vssfdw_is_vector(index->column.base))
		return;
	ereport(
		NOTICE,
		(errmsg("column \"%s\" of foreign table \"%s\" is declared %s, so that queries cannot use the index",
				index->column_name, RelationGetRelationName(index->rel), format_type_be(index->column.base)),
		 errhint("Change it: ALTER FOREIGN TABLE %s %sALTER COLUMN %s TYPE vss_vector(%d).",
				 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(index->rel)),
											RelationGetRelationName(index->rel)),
				 drop, quote_identifier(index->column_name), index->dim)));
}

static void
check_owner(Oid relid)
{
	if (!VSS_OWNS_TABLE(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

static int
optional_int(FunctionCallInfo fcinfo, int argument, const char *name)
{
	int value;

	if (PG_ARGISNULL(argument))
		return 0;
	value = PG_GETARG_INT32(argument);
	if (value < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be at least 1", name),
						errdetail("It is %d.", value)));
	return value;
}

/*
 * (table regclass, column name, metric text, m int, ef_construction int,
 * ef_search int, dimensions int, index_name name, if_not_exists bool) -> regclass: the
 * imported index.  NULL for any but the first two: the default.
 */
Datum
vss_create_index(PG_FUNCTION_ARGS)
{
	Definition index = {0};
	VssConnection *conn;
	const VssTableInfo *table;
	const VssIndexInfo *same;
	Oid relid;
	AttrNumber attnum;
	Oid result;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("table and column of vss_create_index must not be null")));
	PreventCommandIfReadOnly("vss_create_index");
	PreventInTransactionBlock(true, "vss_create_index");

	/* Lock as CREATE INDEX CONCURRENTLY does: not two at once, but readers and writers. */
	relid = PG_GETARG_OID(0);
	index.rel = relation_open(relid, ShareUpdateExclusiveLock);
	conn = vssfdw_idle_connection(relid, "vss_create_index");
	check_owner(relid);
	attnum = get_attnum(relid, NameStr(*PG_GETARG_NAME(1)));
	if (attnum <= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" of relation \"%s\" does not exist", NameStr(*PG_GETARG_NAME(1)),
							   RelationGetRelationName(index.rel))));

	index.server = pstrdup(conn->servername);
	index.table = vssfdw_table_options(relid)->table;
	table = vssfdw_described(conn, vssfdw_table_options(relid));
	check_table(&index, table);
	vssfdw_column_init(&index.column, index.rel, attnum);
	index.column_name = NameStr(*PG_GETARG_NAME(1));
	index.metric = PG_ARGISNULL(2) ? "cosine" : text_to_cstring(PG_GETARG_TEXT_PP(2));
	same = find_same(&index, table);
	if (same != NULL && !PG_ARGISNULL(8) && PG_GETARG_BOOL(8))
	{
		result = take_existing(&index, same);
		relation_close(index.rel, NoLock);
		if (!OidIsValid(result))
			PG_RETURN_NULL();
		PG_RETURN_OID(result);
	}
	index.m = optional_int(fcinfo, 3, "m");
	index.ef_construction = optional_int(fcinfo, 4, "ef_construction");
	index.ef_search = optional_int(fcinfo, 5, "ef_search");
	index.dim = optional_int(fcinfo, 6, "dimensions");
	if (index.dim == 0)
		index.dim = find_dimensions(conn, &index);
	if (PG_ARGISNULL(7))
		index.name = choose_name(conn, &index);
	else
	{
		index.name = pstrdup(NameStr(*PG_GETARG_NAME(7)));
		if (!name_is_free(conn, index.rel, index.name))
			ereport(ERROR, (errcode(ERRCODE_DUPLICATE_TABLE),
							errmsg("\"%s\" already exists in SQLite or in schema \"%s\"", index.name,
								   get_namespace_name(RelationGetNamespace(index.rel)))));
	}

	if (same != NULL)
		refuse_second(&index, same);

	vssfdw_end_read(conn);
	create_in_sqlite(conn, &index);
	result = import(&index);
	mention_type(&index);
	relation_close(index.rel, NoLock);
	PG_RETURN_OID(result);
}

/* ---------- dropping it ---------- */

/* The foreign tables of an index, by server and table of SQLite's. */
static List *
foreign_tables_of(Oid serverid, const char *index)
{
	Relation catalog = table_open(ForeignTableRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	List *relids = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_table form = (Form_pg_foreign_table) GETSTRUCT(tuple);

		if (form->ftserver == serverid && strcmp(vssfdw_table_options(form->ftrelid)->table, index) == 0)
			relids = lappend_oid(relids, form->ftrelid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relids;
}

/* (regclass) -> void: an imported index, or a table with exactly one. */
Datum
vss_drop_index(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	ObjectAddresses *objects = new_object_addresses();
	VssConnection *conn;
	VssTarget *target;
	List *relids;
	ListCell *cell;

	PreventCommandIfReadOnly("vss_drop_index");
	PreventInTransactionBlock(true, "vss_drop_index");
	relation_close(relation_open(relid, ShareUpdateExclusiveLock), NoLock);
	conn = vssfdw_idle_connection(relid, "vss_drop_index");
	check_owner(relid);
	target = vssfdw_relation_target(relid);
	vssfdw_end_read(conn);
	relids = foreign_tables_of(target->serverid, target->index);
	foreach (cell, relids)
	{
		ObjectAddress object;

		check_owner(lfirst_oid(cell));
		LockRelationOid(lfirst_oid(cell), AccessExclusiveLock);
		ObjectAddressSet(object, RelationRelationId, lfirst_oid(cell));
		add_exact_object_address(&object, objects);
	}
	/* Whatever depends on them refuses before anything is gone in SQLite. */
	vssfdw_drop_silently(true);
	PG_TRY();
	{
		performMultipleDeletions(objects, DROP_RESTRICT, 0);
	}
	PG_FINALLY();
	{
		vssfdw_drop_silently(false);
	}
	PG_END_TRY();
	free_object_addresses(objects);
	run(conn, psprintf("DROP TABLE %s", vssfdw_quote_identifier(target->index)));
	PG_RETURN_VOID();
}
