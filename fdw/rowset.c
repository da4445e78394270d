/*
 * rowset.c
 *		The SQL function vss_knn: the two rowset forms, and the predicate.
 *
 *	vss_knn(index, query, k [, ef])			rows of an index named by text
 *	vss_knn(query, k)						rows of the one index there is
 *	vss_knn(column, query, k [, ef])		predicate, see paths.c
 *
 * The rowsets answer for what a user may read: the name is looked up through
 * search_path (target.c), and SELECT on the foreign table is required, since
 * rowids and distances are its content.  They read nothing but the index: the
 * k nearest of all its rows, nearest first.
 */
#include "fdw/fdw.h"
#include "fdw/target.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

VSS_SQL_FUNCTION(vss_knn_index);
VSS_SQL_FUNCTION(vss_knn_only);
VSS_SQL_FUNCTION(vss_knn_predicate);
VSS_SQL_FUNCTION(vss_knn_support);

/* ---------- the rowsets ---------- */

/* What a call asks for.  index NULL: the only one there is. */
typedef struct Question
{
	text *index;
	const VssVector *query;
	int64 k;
	int ef; /* 0: as the settings say */
} Question;

static int64
check_k(int64 k)
{
	if (k < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("k of vss_knn must be at least 1"),
						errdetail("It is %lld.", (long long) k)));
	return k;
}

static int
check_ef(int32 ef)
{
	if (ef < 1)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("ef of vss_knn must be at least 1"),
			 errdetail("It is %d.", ef),
			 errhint("Leave it out, or pass NULL, to use vss_fdw.ef_search or the index's own setting.")));
	return ef;
}

/*
 * Begin the search; memory is the context of all calls of one rowset, so that
 * the cursor is released at its end, early or late.
 */
static VssKnnCursor *
open_cursor(const Question *question, MemoryContext memory)
{
	VssTarget *target = question->index == NULL ? vssfdw_only_target() : vssfdw_named_target(question->index);
	VssConnection *conn = vssfdw_connect(target->serverid);

	return vssfdw_knn_open(conn, target->index, question->query->x, question->query->dim, question->k,
						   question->ef, memory);
}

/* One row a call.  A function over a NULL query finds nothing, as a strict one would. */
static Datum
next_row(FunctionCallInfo fcinfo, FuncCallContext *call)
{
	VssKnnCursor *cursor = call->user_fctx;
	Datum values[2];
	bool nulls[2] = {false, false};
	int64 rowid;
	double distance;

	if (cursor == NULL)
		SRF_RETURN_DONE(call);
	if (!vssfdw_knn_next(cursor, &rowid, &distance))
	{
		vssfdw_knn_close(cursor);
		SRF_RETURN_DONE(call);
	}
	values[0] = Int64GetDatum(rowid);
	values[1] = Float8GetDatum(distance);
	SRF_RETURN_NEXT(call, HeapTupleGetDatum(heap_form_tuple(call->tuple_desc, values, nulls)));
}

static FuncCallContext *
first_call(FunctionCallInfo fcinfo)
{
	FuncCallContext *call = SRF_FIRSTCALL_INIT();
	MemoryContext old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
	TupleDesc row;

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "vss_knn must return a composite type");
	call->tuple_desc = BlessTupleDesc(row);
	MemoryContextSwitchTo(old);
	return call;
}

/* The query, in memory that lives as long as the cursor reads it. */
static const VssVector *
copy_query(Datum query, MemoryContext memory)
{
	MemoryContext old = MemoryContextSwitchTo(memory);
	const VssVector *copy = (VssVector *) PG_DETOAST_DATUM_COPY(query);

	MemoryContextSwitchTo(old);
	return copy;
}

/* vss_knn(text, vss_vector, bigint, integer) -> rows */
Datum
vss_knn_index(PG_FUNCTION_ARGS)
{
	if (SRF_IS_FIRSTCALL())
	{
		FuncCallContext *call = first_call(fcinfo);
		Question question;

		if (!PG_ARGISNULL(0) && !PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		{
			question.index = PG_GETARG_TEXT_PP(0);
			question.query = copy_query(PG_GETARG_DATUM(1), call->multi_call_memory_ctx);
			question.k = check_k(PG_GETARG_INT64(2));
			question.ef = PG_ARGISNULL(3) ? 0 : check_ef(PG_GETARG_INT32(3));
			call->user_fctx = open_cursor(&question, call->multi_call_memory_ctx);
		}
	}
	return next_row(fcinfo, SRF_PERCALL_SETUP());
}

/* vss_knn(vss_vector, bigint) -> rows; strict */
Datum
vss_knn_only(PG_FUNCTION_ARGS)
{
	if (SRF_IS_FIRSTCALL())
	{
		FuncCallContext *call = first_call(fcinfo);
		Question question = {.index = NULL, .ef = 0};

		question.query = copy_query(PG_GETARG_DATUM(0), call->multi_call_memory_ctx);
		question.k = check_k(PG_GETARG_INT64(1));
		call->user_fctx = open_cursor(&question, call->multi_call_memory_ctx);
	}
	return next_row(fcinfo, SRF_PERCALL_SETUP());
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
			Node *k = list_nth(args, list_length(args) == 2 ? 1 : 2);

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
