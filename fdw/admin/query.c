/*
 * query.c
 *		vss_query: the rows of a SELECT that SQLite runs, as they come.
 */
#include "fdw/admin/admin.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

VSS_SQL_FUNCTION(vss_query);

/* How each of the columns that the caller lists is converted. */
static VssColumn *
init_columns(const VssStatement *statement, TupleDesc desc)
{
	int count = sqlite3_column_count(statement->stmt);
	VssColumn *columns = palloc0(sizeof(VssColumn) * Max(desc->natts, 1));

	if (count != desc->natts)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query returns %d columns, and the column definition list has %d", count,
						desc->natts),
				 errhint("Write FROM vss_query(...) AS t(name type, ...) with one entry for each column.")));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		vssfdw_column_init_type(&columns[i], attribute->atttypid, attribute->atttypmod);
		columns[i].name = pstrdup(NameStr(attribute->attname));
		columns[i].hidden = false; /* whoever may ask may see */
	}
	return columns;
}

/* (server text, sql text) -> setof record: USAGE on the server is enough, as it is for a foreign table. */
Datum
vss_query(PG_FUNCTION_ARGS)
{
	ForeignServer *server = vssfdw_server_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	char *sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext row =
		AllocSetContextCreate(CurrentMemoryContext, "vss_fdw query row", ALLOCSET_DEFAULT_SIZES);
	VssConnection *conn;
	VssStatement *statement;
	VssHold *hold;
	VssColumn *columns;
	Datum *values;
	bool *nulls;

	if (VSS_SERVER_USAGE(server->serverid, GetUserId()) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER, server->servername);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	conn = vssfdw_connect(server->serverid);
	hold = vssfdw_hold(conn, CurrentMemoryContext);
	vssfdw_check_query(conn, sql);
	statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	columns = init_columns(statement, result->setDesc);
	values = palloc(sizeof(Datum) * Max(result->setDesc->natts, 1));
	nulls = palloc(sizeof(bool) * Max(result->setDesc->natts, 1));
	while (vssfdw_step(statement))
	{
		MemoryContext old = MemoryContextSwitchTo(row);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < result->setDesc->natts; i++)
			values[i] = vssfdw_column_datum(&columns[i], statement, i, NULL, &nulls[i]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row);
	}
	vssfdw_done(statement);
	vssfdw_release(hold);
	return (Datum) 0;
}
