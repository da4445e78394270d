/*
 * oids.c
 *		OIDs of the extension's own type, operators and functions, and of
 *		pgvector's where that is installed, or what stands in for it
 *		(vss_pgvector).
 *
 * Objects are found by the schema their extension lives in, never by
 * search_path.  The answer is kept for the session and dropped whenever a
 * type, operator, function or schema changes, which includes the creation and
 * removal of either extension.
 */
#include "fdw/remote/remote.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static const char *const operator_names[] = {
	[BRIDGE_COSINE] = "<=>", [BRIDGE_L2] = "<->", [BRIDGE_IP] = "<#>"};
StaticAssertDecl(lengthof(operator_names) == BRIDGE_IP + 1, "operators of the metrics");

static VssOids oids;
static bool oids_valid = false;

/*
 * Set by an invalidation that arrives while the lookup runs: then the result
 * serves the caller, but is looked up again the next time.
 */
static bool invalidated = false;

static void
invalidate(Datum arg, int cacheid, uint32 hashvalue)
{
	oids_valid = false;
	invalidated = true;
}

/* The schema of an extension, or InvalidOid if it is not installed. */
static Oid
extension_schema(const char *name)
{
	Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid schema = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return schema;
}

/* The type of that name in schema, and the three distance operators over it. */
static Oid
find_type(Oid schema, const char *name, Oid *operators)
{
	Oid type =
		GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name), ObjectIdGetDatum(schema));

	if (!OidIsValid(type))
		return InvalidOid;
	for (int metric = BRIDGE_COSINE; metric <= BRIDGE_IP; metric++)
		operators[metric] =
			GetSysCacheOid4(OPERNAMENSP, Anum_pg_operator_oid, CStringGetDatum(operator_names[metric]),
							ObjectIdGetDatum(type), ObjectIdGetDatum(type), ObjectIdGetDatum(schema));
	return type;
}

/* The library and symbol that an operator's function is in; '' where it is not written in C.  palloc'd. */
static char *
implementation(Oid operator)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(get_opcode(operator)));
	char *implementation = pstrdup("");
	Datum library;
	Datum symbol;
	bool isnull;

	if (!HeapTupleIsValid(tuple))
		return implementation;
	library = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &isnull);
	if (!isnull)
	{
		symbol = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
		implementation = psprintf("%s %s", TextDatumGetCString(library), TextDatumGetCString(symbol));
	}
	ReleaseSysCache(tuple);
	return implementation;
}

/* Whether the distances over the type named vector are computed by our functions, as vss_pgvector's are. */
static bool
computes_ours(const VssOids *found)
{
	for (int metric = BRIDGE_COSINE; metric <= BRIDGE_IP; metric++)
	{
		char *ours = implementation(found->op[metric]);

		if (ours[0] == '\0' || strcmp(ours, implementation(found->pgvector_op[metric])) != 0)
			return false;
	}
	return true;
}

static Oid
find_function(Oid schema, const char *name, const Oid *arguments, int count)
{
	oidvector *types = buildoidvector(arguments, count);
	Oid function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
								   PointerGetDatum(types), ObjectIdGetDatum(schema));

	pfree(types);
	return function;
}

const VssOids *
vssfdw_oids(void)
{
	static bool registered = false;
	VssOids found = {0};
	Oid schema;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(TYPEOID, invalidate, (Datum) 0);
		CacheRegisterSyscacheCallback(OPEROID, invalidate, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCOID, invalidate, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, invalidate, (Datum) 0);
		registered = true;
	}
	if (oids_valid)
		return &oids;

	invalidated = false;
	schema = extension_schema("vss_fdw");
	if (OidIsValid(schema))
	{
		found.vector = find_type(schema, "vss_vector", found.op);
		if (OidIsValid(found.vector))
		{
			Oid arguments[] = {found.vector, found.vector, INT8OID, INT4OID};

			found.knn_predicate = find_function(schema, "vss_knn", arguments, lengthof(arguments));
		}
		found.match_row = find_function(schema, "vss_match", (Oid[]){RECORDOID, TEXTOID}, 2);
		found.match_column = find_function(schema, "vss_match", (Oid[]){TEXTOID, TEXTOID}, 2);
		found.handler = find_function(schema, "vss_fdw_handler", NULL, 0);
	}
	schema = extension_schema("vector");
	if (!OidIsValid(schema))
		schema = extension_schema("vss_pgvector");
	if (OidIsValid(schema))
	{
		found.pgvector = find_type(schema, "vector", found.pgvector_op);
		found.pgvector_is_ours = OidIsValid(found.pgvector) && computes_ours(&found);
	}

	oids = found;
	oids_valid = !invalidated;
	return &oids;
}

bool
vssfdw_is_our_wrapper(Oid fdwid)
{
	Oid handler = GetForeignDataWrapper(fdwid)->fdwhandler;

	return OidIsValid(handler) && handler == vssfdw_oids()->handler;
}

ForeignServer *
vssfdw_server_by_name(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, false);

	if (!vssfdw_is_our_wrapper(server->fdwid))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("server \"%s\" is not a server of vss_fdw", name)));
	return server;
}
