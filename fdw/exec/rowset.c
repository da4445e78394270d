/*
 * rowset.c
 *		The SQL functions vss_knn (two rowset forms and the predicate) and
 *		vss_hybrid.
 *
 *	vss_knn(index, query, k [, ef])			rows of an index named by text
 *	vss_knn(query, k)						rows of the one index there is
 *	vss_knn(column, query, k [, ef])		predicate, see paths.c
 *	vss_hybrid(table, query, text, k, ...)	rows, by vector and text
 *
 * The rowsets answer for what a user may read: the name is looked up through
 * search_path (index_lookup.c), and SELECT on the foreign table is required, since
 * rowids and distances are its content.  They read nothing but the index: the
 * k nearest of all its rows, nearest first.
 */
#include "fdw/exec/exec.h"

#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

VSS_SQL_FUNCTION(vss_knn_index);
VSS_SQL_FUNCTION(vss_knn_only);
VSS_SQL_FUNCTION(vss_knn_predicate);
VSS_SQL_FUNCTION(vss_knn_support);
VSS_SQL_FUNCTION(vss_hybrid);

/* ---------- the rowsets ---------- */

static void
check_k(int64 k)
{
	if (k < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("k of vss_knn must be at least 1"),
						errdetail("It is %lld.", (long long) k)));
}

static void
check_ef(int32 ef)
{
	if (ef < 1)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("ef of vss_knn must be at least 1"),
			 errdetail("It is %d.", ef),
			 errhint("Leave it out, or pass NULL, to use vss_fdw.ef_search or the index's own setting.")));
}

/*
 * What the calls of one function in one running query share (fn_extra).  A
 * LATERAL join calls for every outer row: the name is looked up once, and one
 * read transaction is held, so that all calls see the same snapshot.
 */
typedef struct Calls
{
	char *name; /* as given; NULL in the form without */
	Oid serverid;
	char *index; /* in SQLite; NULL before the first look-up */
	/* May have ended with a subtransaction; each cursor holds one of its own. */
	VssHold *hold;
} Calls;

static Calls *
shared_by_calls(FunctionCallInfo fcinfo)
{
	FmgrInfo *function = fcinfo->flinfo;

	if (function->fn_extra == NULL)
		function->fn_extra = MemoryContextAllocZero(function->fn_mcxt, sizeof(Calls));
	return function->fn_extra;
}

/* Rows without a rowid are known to nobody by the number that an index gives them. */
static void
check_rowids(const Calls *calls)
{
	VssConnection *conn = vssfdw_connect(calls->serverid);
	const VssTableInfo *info = vssfdw_table_info(conn, calls->index);
	ListCell *lc;

	foreach (lc, info->indexes)
	{
		const VssIndexInfo *index = lfirst(lc);

		if (index->content != NULL && !vssfdw_table_info(conn, index->content)->has_rowid)
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows of table \"%s\" have no rowid that vss_knn(...) could return", index->content),
				 errdetail("Index \"%s\" is over a WITHOUT ROWID table.", calls->index),
				 errhint("Ask its foreign table, which gives the key: SELECT ... ORDER BY \"%s\" <=> query "
						 "LIMIT k (or <->, <#>), or SELECT ... WHERE vss_knn(\"%s\", query, k).",
						 index->content_vector, index->content_vector)));
	}
}

/* Hold the read transaction before the schema is looked at, then find the index. */
static void
look_up_name(Calls *calls, const char *name, MemoryContext memory)
{
	Oid relid;

	if (calls->name != NULL && strcmp(calls->name, name) == 0)
		return;

	if (calls->name != NULL)
	{
		vssfdw_release(calls->hold);
		pfree(calls->name);
		calls->name = NULL;
	}
	relid = vssfdw_named_table(cstring_to_text(name));
	calls->serverid = GetForeignTable(relid)->serverid;
	calls->hold = vssfdw_hold(vssfdw_connect(calls->serverid), memory);
	calls->index = MemoryContextStrdup(memory, vssfdw_relation_target(relid)->index);
	check_rowids(calls);
	calls->name = MemoryContextStrdup(memory, name);
}

static void
look_up_only(Calls *calls, MemoryContext memory)
{
	VssTarget *target;

	if (calls->index != NULL)
		return;
	target = vssfdw_only_target();
	calls->serverid = target->serverid;
	calls->hold = vssfdw_hold(vssfdw_connect(calls->serverid), memory);
	calls->index = MemoryContextStrdup(memory, target->index);
	check_rowids(calls);
}

/*
 * Search, and put the rows into the function's result.  All are read at once,
 * since the executor would collect a rowset anyway; so writes that follow
 * cannot disturb rows not yet fetched.
 */
static void
search(FunctionCallInfo fcinfo, const Calls *calls, const VssVector *query, int64 k, int ef)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	VssKnnCursor *cursor = vssfdw_knn_open(vssfdw_connect(calls->serverid), calls->index, query->x,
										   query->dim, k, ef, CurrentMemoryContext);
	bool nulls[2] = {false, false};
	int64 rowid;
	double distance;

	while (vssfdw_knn_next(cursor, &rowid, &distance))
	{
		Datum values[2] = {Int64GetDatum(rowid), Float8GetDatum(distance)};

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	vssfdw_knn_close(cursor);
}

/* vss_knn(text, vss_vector, bigint, integer) -> rows; NULLs but for ef find nothing */
Datum
vss_knn_index(PG_FUNCTION_ARGS)
{
	Calls *calls = shared_by_calls(fcinfo);
	int ef = 0;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return (Datum) 0;
	check_k(PG_GETARG_INT64(2));
	if (!PG_ARGISNULL(3))
	{
		ef = PG_GETARG_INT32(3);
		check_ef(ef);
	}
	look_up_name(calls, text_to_cstring(PG_GETARG_TEXT_PP(0)), fcinfo->flinfo->fn_mcxt);
	search(fcinfo, calls, PG_GETARG_VSSVECTOR_P(1), PG_GETARG_INT64(2), ef);
	return (Datum) 0;
}

/* vss_knn(vss_vector, bigint) -> rows; strict */
Datum
vss_knn_only(PG_FUNCTION_ARGS)
{
	Calls *calls = shared_by_calls(fcinfo);

	InitMaterializedSRF(fcinfo, 0);
	check_k(PG_GETARG_INT64(1));
	look_up_only(calls, fcinfo->flinfo->fn_mcxt);
	search(fcinfo, calls, PG_GETARG_VSSVECTOR_P(0), PG_GETARG_INT64(1), 0);
	return (Datum) 0;
}

/* The arguments of SQLite's vss_hybrid behind the name: as they are given, NULL for its own defaults. */
static void
bind_hybrid(FunctionCallInfo fcinfo, sqlite3_stmt *stmt, const char *index)
{
	int rc = sqlite3_bind_text(stmt, 1, vssfdw_to_utf8(index), -1, SQLITE_TRANSIENT);

	for (int i = 1; i < PG_NARGS() && rc == SQLITE_OK; i++)
	{
		if (PG_ARGISNULL(i))
			continue;
		switch (i)
		{
			case 1:
			{
				VssVector *query = PG_GETARG_VSSVECTOR_P(i);

				rc = sqlite3_bind_blob(stmt, i + 1, query->x, query->dim * (int) sizeof(float),
									   SQLITE_TRANSIENT);
				break;
			}
			case 2:
			case 8:
				rc = sqlite3_bind_text(stmt, i + 1, vssfdw_to_utf8(text_to_cstring(PG_GETARG_TEXT_PP(i))), -1,
									   SQLITE_TRANSIENT);
				break;
			case 3:
			case 7:
				rc = sqlite3_bind_int64(stmt, i + 1, PG_GETARG_INT64(i));
				break;
			default:
				rc = sqlite3_bind_double(stmt, i + 1, PG_GETARG_FLOAT8(i));
				break;
		}
	}
	if (rc != SQLITE_OK)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/*
 * vss_hybrid(text, vss_vector, text, bigint, double precision, double precision, double precision, bigint,
 * text) -> rows.  Numbers are checked in SQLite.
 */
Datum
vss_hybrid(PG_FUNCTION_ARGS)
{
	static const char sql[] =
		"SELECT rowid, score, distance, rank FROM vss_hybrid(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Calls *calls = shared_by_calls(fcinfo);
	VssHold *hold;
	VssStatement *statement;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	look_up_name(calls, text_to_cstring(PG_GETARG_TEXT_PP(0)), fcinfo->flinfo->fn_mcxt);
	hold = vssfdw_hold(vssfdw_connect(calls->serverid), CurrentMemoryContext);
	statement = vssfdw_prepare(vssfdw_connect(calls->serverid), sql, CurrentMemoryContext);
	bind_hybrid(fcinfo, statement->stmt, calls->index);
	while (vssfdw_step(statement))
	{
		Datum values[4];
		bool nulls[4];

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < lengthof(values); i++)
		{
			nulls[i] = sqlite3_column_type(statement->stmt, i) == SQLITE_NULL;
			values[i] = i == 0 ? Int64GetDatum(sqlite3_column_int64(statement->stmt, i))
							   : Float8GetDatum(sqlite3_column_double(statement->stmt, i));
		}
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	vssfdw_done(statement);
	vssfdw_release(hold);
	return (Datum) 0;
}

/*
 * Planner support of the rowsets: as many rows as k says, where k is known
 * when planning.
 */
Datum
vss_knn_support(PG_FUNCTION_ARGS)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);
	Node *answer = NULL;

	if (IsA(request, SupportRequestRows))
	{
		SupportRequestRows *rows = (SupportRequestRows *) request;

		if (is_funcclause(rows->node))
		{
			List *args = ((FuncExpr *) rows->node)->args;
			/* vss_knn(query, k), vss_knn(index, query, k, ef), vss_hybrid(table, query, text, k, ...) */
			Node *k = list_nth(args, list_length(args) == 2 ? 1 : list_length(args) == 4 ? 2 : 3);

			k = estimate_expression_value(rows->root, k);
			if (IsA(k, Const) && !((Const *) k)->constisnull)
			{
				rows->rows = Max(1, (double) DatumGetInt64(((Const *) k)->constvalue));
				answer = request;
			}
		}
	}
	PG_RETURN_POINTER(answer);
}

/* ---------- the predicate ---------- */

/*
 * vss_knn(vss_vector, vss_vector, bigint, integer) -> boolean.  The planner
 * turns the predicate into a search.  Where it cannot, there is no way to
 * answer: one row does not tell whether it is among the k nearest.
 */
Datum
vss_knn_predicate(PG_FUNCTION_ARGS)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg("vss_knn(column, query, k) cannot be evaluated row by row"),
		 errdetail("It must be a top-level AND condition of WHERE, its first argument a column of a "
				   "foreign table that has an hnsw index, its other arguments free of that table's columns."),
		 errhint(
			 "Write ORDER BY column <=> query LIMIT k, or join the rows of vss_knn('index', query, k).")));
	PG_RETURN_NULL();
}
