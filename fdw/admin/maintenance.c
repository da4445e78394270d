/*
 * maintenance.c
 *		SQL functions that look after an hnsw index: what it is, whether it is
 *		sound, how good its answers are, tuning, merge, rebuild.
 *
 * The work is the SQLite side's; these functions find the index that a foreign
 * table names, see to it that SQLite is in the right state, and report
 * progress in pg_stat_progress_create_index.
 *
 * Merges, rebuilds and tuning are not part of any transaction: they change no row,
 * only the graph or how far it is searched, and SQLite must be able to commit while they run.  So the
 * connection must be idle, and a ROLLBACK does not undo them.
 */
#include "fdw/admin/admin.h"

#include "access/relation.h"
#include "commands/progress.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/backend_progress.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

VSS_SQL_FUNCTION(vss_index_info);
VSS_SQL_FUNCTION(vss_check);
VSS_SQL_FUNCTION(vss_recall);
VSS_SQL_FUNCTION(vss_tune);
VSS_SQL_FUNCTION(vss_merge);
VSS_SQL_FUNCTION(vss_rebuild);

/* ---------- progress ---------- */

/* As pg_stat_progress_create_index names them. */
#define COMMAND_CREATE PROGRESS_CREATEIDX_COMMAND_CREATE
#define COMMAND_REBUILD PROGRESS_CREATEIDX_COMMAND_REINDEX

static bool reporting = false;

/*
 * The bridge tells how far a merge is (BridgeHost.progress): in rows while it
 * builds, in bytes while it writes the file, which are shown as blocks.
 * SQLite is on the stack: only shared memory is written here.
 */
void
vssfdw_progress(void *arg, const char *phase, uint64_t done, uint64_t total)
{
	static const int rows[] = {PROGRESS_CREATEIDX_TUPLES_DONE, PROGRESS_CREATEIDX_TUPLES_TOTAL};
	static const int blocks[] = {PROGRESS_SCAN_BLOCKS_DONE, PROGRESS_SCAN_BLOCKS_TOTAL};
	bool writing = strcmp(phase, "writing") == 0;
	int64 unit = writing ? BLCKSZ : 1;
	const int64 values[] = {(int64) done / unit, (int64) total / unit};

	if (reporting)
		pgstat_progress_update_multi_param(lengthof(values), writing ? blocks : rows, values);
}

void
vssfdw_start_progress(Oid relid, bool creates)
{
	pgstat_progress_start_command(PROGRESS_COMMAND_CREATE_INDEX, relid);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_COMMAND, creates ? COMMAND_CREATE : COMMAND_REBUILD);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_PHASE, PROGRESS_CREATEIDX_PHASE_BUILD);
	reporting = true;
}

void
vssfdw_end_progress(void)
{
	reporting = false;
	pgstat_progress_end_command();
}

/* ---------- calling the SQLite side ---------- */

/*
 * The first column of `SELECT function(index)`, or NULL.  The caller holds the
 * read transaction, or has made sure that there is none.
 */
static char *
call_on_index(VssConnection *conn, const char *function, const char *index)
{
	char *sql = psprintf("SELECT %s(?)", function);
	VssStatement *statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	char *result = NULL;

	/* The copy: the statement may outlive this memory when it fails. */
	if (sqlite3_bind_text(statement->stmt, 1, vssfdw_to_utf8(index), -1, SQLITE_TRANSIENT) != SQLITE_OK)
		vssfdw_report(ERROR, SQLITE_NOMEM, conn->db, conn->servername, sql);
	if (vssfdw_step(statement))
	{
		const char *text = (const char *) sqlite3_column_text(statement->stmt, 0);

		if (text != NULL)
			result = pstrdup(vssfdw_from_utf8(text));
	}
	vssfdw_done(statement);
	return result;
}

void
vssfdw_run_merge(VssConnection *conn, const char *function, const char *index, Oid relid, bool creates)
{
	vssfdw_start_progress(relid, creates);
	PG_TRY();
	{
		call_on_index(conn, function, index);
	}
	PG_FINALLY();
	{
		vssfdw_end_progress();
	}
	PG_END_TRY();
}

/* ---------- the functions ---------- */

/* Lock the foreign table as a query would; an error when it is gone. */
static Oid
lock_table(Oid relid)
{
	relation_close(relation_open(relid, AccessShareLock), NoLock);
	return relid;
}

/* (regclass) -> jsonb */
Datum
vss_index_info(PG_FUNCTION_ARGS)
{
	VssTarget *target = vssfdw_relation_target(lock_table(PG_GETARG_OID(0)));
	VssConnection *conn = vssfdw_connect(target->serverid);
	VssHold *hold = vssfdw_hold(conn, CurrentMemoryContext);
	char *json = call_on_index(conn, "hnsw_info", target->index);

	vssfdw_release(hold);
	if (json == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

/* (regclass) -> setof text: one line a finding */
Datum
vss_check(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	VssTarget *target = vssfdw_relation_target(lock_table(PG_GETARG_OID(0)));
	VssConnection *conn = vssfdw_connect(target->serverid);
	VssHold *hold = vssfdw_hold(conn, CurrentMemoryContext);
	char *findings = call_on_index(conn, "hnsw_check", target->index);

	vssfdw_release(hold);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	while (findings != NULL && *findings != '\0')
	{
		char *end = strchr(findings, '\n');
		Datum value;
		bool null = false;

		if (end != NULL)
			*end++ = '\0';
		value = CStringGetTextDatum(findings);
		tuplestore_putvalues(result->setResult, result->setDesc, &value, &null);
		findings = end;
	}
	return (Datum) 0;
}

/* (regclass, k integer, samples integer, questions text) -> double precision */
Datum
vss_recall(PG_FUNCTION_ARGS)
{
	static const char *const sql = "SELECT hnsw_recall(?, ?, ?, ?, ?)";
	VssTarget *target = vssfdw_relation_target(lock_table(PG_GETARG_OID(0)));
	VssConnection *conn = vssfdw_connect(target->serverid);
	VssHold *hold = vssfdw_hold(conn, CurrentMemoryContext);
	VssStatement *statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	sqlite3_stmt *stmt = statement->stmt;
	int asked = vssfdw_asked_ef();
	double recall = 0;
	bool known;

	if (sqlite3_bind_int(stmt, 1, PG_GETARG_INT32(1)) != SQLITE_OK ||
		sqlite3_bind_int(stmt, 2, PG_GETARG_INT32(2)) != SQLITE_OK ||
		sqlite3_bind_text(stmt, 3, vssfdw_to_utf8(target->index), -1, SQLITE_TRANSIENT) != SQLITE_OK ||
		(asked > 0 && sqlite3_bind_int(stmt, 4, asked) != SQLITE_OK) ||
		sqlite3_bind_text(stmt, 5, vssfdw_to_utf8(text_to_cstring(PG_GETARG_TEXT_PP(3))), -1,
						  SQLITE_TRANSIENT) != SQLITE_OK)
		vssfdw_report(ERROR, SQLITE_NOMEM, conn->db, conn->servername, sql);
	known = vssfdw_step(statement) && sqlite3_column_type(stmt, 0) != SQLITE_NULL;
	if (known)
		recall = sqlite3_column_double(stmt, 0);
	vssfdw_done(statement);
	vssfdw_release(hold);
	if (!known)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(recall);
}

/* The vectors of an array as a JSON array of arrays, without NULLs. */
static char *
json_of_vectors(ArrayType *array)
{
	StringInfoData json;
	Datum *elements;
	bool *nulls;
	int count;
	int16 length;
	bool by_value;
	char alignment;
	Oid output;
	bool varlena;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &alignment);
	getTypeOutputInfo(ARR_ELEMTYPE(array), &output, &varlena);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, alignment, &elements, &nulls, &count);
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			appendStringInfo(&json, "%s%s", json.len > 1 ? "," : "",
							 OidOutputFunctionCall(output, elements[i]));
	appendStringInfoChar(&json, ']');
	return json.data;
}

/* (regclass, vss_vector[]) -> jsonb; without the array the questions that were kept are forgotten */
Datum
vss_tune(PG_FUNCTION_ARGS)
{
	const char *sql =
		PG_ARGISNULL(1) ? "SELECT hnsw_tune(?)" : "SELECT hnsw_tune(?, value) FROM json_each(?)";
	char *json = NULL;
	VssConnection *conn;
	VssTarget *target;
	VssStatement *statement;
	Oid relid;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PreventCommandIfReadOnly("vss_tune");
	relid = lock_table(PG_GETARG_OID(0));
	conn = vssfdw_idle_connection(relid, "vss_tune");
	target = vssfdw_relation_target(relid);
	vssfdw_end_read(conn);
	statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	if (sqlite3_bind_text(statement->stmt, 1, vssfdw_to_utf8(target->index), -1, SQLITE_TRANSIENT) !=
			SQLITE_OK ||
		(!PG_ARGISNULL(1) && sqlite3_bind_text(statement->stmt, 2, json_of_vectors(PG_GETARG_ARRAYTYPE_P(1)),
											   -1, SQLITE_TRANSIENT) != SQLITE_OK))
		vssfdw_report(ERROR, SQLITE_NOMEM, conn->db, conn->servername, sql);
	if (vssfdw_step(statement) && sqlite3_column_type(statement->stmt, 0) != SQLITE_NULL)
		json = pstrdup((const char *) sqlite3_column_text(statement->stmt, 0));
	vssfdw_done(statement);
	if (json == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

static void
merge(Oid relid, const char *sqlite_function, const char *name)
{
	VssConnection *conn;
	VssTarget *target;

	PreventCommandIfReadOnly(name);
	conn = vssfdw_idle_connection(lock_table(relid), name);
	target = vssfdw_relation_target(relid);
	vssfdw_end_read(conn);
	vssfdw_run_merge(conn, sqlite_function, target->index, relid, false);
}

/* (regclass) -> void */
Datum
vss_merge(PG_FUNCTION_ARGS)
{
	merge(PG_GETARG_OID(0), "hnsw_save", "vss_merge");
	PG_RETURN_VOID();
}

/* (regclass) -> void */
Datum
vss_rebuild(PG_FUNCTION_ARGS)
{
	merge(PG_GETARG_OID(0), "hnsw_rebuild", "vss_rebuild");
	PG_RETURN_VOID();
}
