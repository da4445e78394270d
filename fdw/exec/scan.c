/*
 * scan.c
 *		Fetching rows: the executor's callbacks.
 *
 * A statement is prepared when the scan begins and run when the first row is
 * asked for.  A rescan resets it and binds anew; EXPLAIN does neither.
 * Statement, read transaction and bound values belong to the scan's memory
 * contexts: after an error they go with the query's, in whatever state.
 *
 * Converted values live in the executor's per-tuple context.
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "fdw/exec/exec.h"

/* ---------- sources of rows ---------- */

static void
start(ForeignScanState *node, VssScanState *state)
{
	MemoryContextReset(state->bound);
	vssfdw_bind_params(node, state, state->statement);
	state->started = true;
}

static bool
fetch_plain(ForeignScanState *node, VssScanState *state, TupleTableSlot *slot)
{
	if (state->done)
		return false;
	if (!state->started)
		start(node, state);
	if (!vssfdw_step(state->statement))
	{
		/* stepping again would begin anew */
		state->done = true;
		return false;
	}
	vssfdw_store_row(state, state->statement, slot);
	ExecStoreVirtualTuple(slot);
	return true;
}

static bool
plain_is_running(VssScanState *state)
{
	return sqlite3_stmt_busy(state->statement->stmt) != 0;
}

static bool
plain_is_satisfied(VssScanState *state)
{
	return false;
}

/*
 * After a failure.  PostgreSQL hears nothing when an index is dropped in SQLite,
 * so a cached plan may ask one that is gone: say so, and have plans made anew.
 */
static void
report_lost_index(VssScanState *state, const char *name)
{
	ListCell *cell;

	if (geterrcode() != ERRCODE_FDW_TABLE_NOT_FOUND)
		return;
	MemoryContextSwitchTo(state->context);
	foreach (cell, vssfdw_indexes(state->conn))
	{
		if (pg_strcasecmp(((VssIndexInfo *) lfirst(cell))->name, name) == 0)
			return;
	}
	FlushErrorState();
	InvalidateSystemCaches();
	ereport(ERROR,
			(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
			 errmsg("index \"%s\" was dropped from the SQLite database of server \"%s\" after the query "
					"was planned",
					name, state->conn->servername),
			 errhint("Run the query again: it will be planned without the index.")));
}

static bool
fetch_nearest(ForeignScanState *node, VssScanState *state, TupleTableSlot *slot)
{
	List *knn = list_nth(((ForeignScan *) node->ss.ps.plan)->fdw_private, VSS_SCAN_KNN);
	bool found = false;

	if (vssfdw_knn_is_running(state))
		return vssfdw_knn_fetch(node, state, slot);
	/* a statement that was prepared earlier is prepared anew by its first step */
	PG_TRY();
	{
		found = vssfdw_knn_fetch(node, state, slot);
	}
	PG_CATCH();
	{
		report_lost_index(state, strVal(list_nth(knn, VSS_KNN_INDEX)));
		PG_RE_THROW();
	}
	PG_END_TRY();
	return found;
}

static const VssRowSource plain = {fetch_plain, plain_is_running, plain_is_satisfied};
static const VssRowSource nearest = {fetch_nearest, vssfdw_knn_is_running, vssfdw_knn_satisfied};

/* ---------- callbacks ---------- */

/* The table and column that a place of the scan tuple is filled from. */
static void
init_column(VssScanState *state, int i, ForeignScanState *node, int place)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	VssColumn *column = &state->columns[i];
	Relation rel = node->ss.ss_currentRelation;
	Expr *expr;
	Oid relid;

	if (plan->fdw_scan_tlist == NIL)
	{
		state->tables[i] = i > 0 ? state->tables[i - 1] : vssfdw_table_options(RelationGetRelid(rel))->table;
		if (place > 0)
			vssfdw_column_init(column, rel, place);
		return;
	}
	expr = list_nth_node(TargetEntry, plan->fdw_scan_tlist, place - 1)->expr;
	if (!IsA(expr, Var))
	{
		state->averages[i] = IsA(expr, Aggref) && vssfdw_is_average((Aggref *) expr);
		vssfdw_column_init_type(column, exprType((Node *) expr), exprTypmod((Node *) expr));
		return;
	}
	/* the executor holds the locks */
	relid = exec_rt_fetch(((Var *) expr)->varno, node->ss.ps.state)->relid;
	rel = table_open(relid, NoLock);
	state->tables[i] = vssfdw_table_options(relid)->table;
	vssfdw_column_init(column, rel, ((Var *) expr)->varattno);
	table_close(rel, NoLock);
}

void
vssBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState *estate = node->ss.ps.state;
	VssScanState *state = palloc0(sizeof(VssScanState));
	List *places = list_nth(plan->fdw_private, VSS_SCAN_COLUMNS);
	List *knn = list_nth(plan->fdw_private, VSS_SCAN_KNN);
	List *counts = list_nth(plan->fdw_private, VSS_SCAN_LIMIT);
	ListCell *cell;
	int skip = knn != NIL ? VSS_KNN_EXPRS : 0;
	int i = 0;

	Assert(list_length(plan->fdw_private) == VSS_SCAN_ITEMS);
	Assert(knn == NIL || list_length(knn) == VSS_KNN_ITEMS);
	Assert(list_length(plan->fdw_exprs) >= skip);
	Assert(counts == NIL || list_length(counts) == 2);
	node->fdw_state = state;
	state->owner = CurrentResourceOwner;
	state->sql = strVal(list_nth(plan->fdw_private, VSS_SCAN_SQL));
	state->context = AllocSetContextCreate(estate->es_query_cxt, "vss_fdw scan", ALLOCSET_SMALL_SIZES);
	state->bound = AllocSetContextCreate(estate->es_query_cxt, "vss_fdw bound values", ALLOCSET_SMALL_SIZES);

	state->ncolumns = list_length(places);
	state->columns = palloc0(Max(state->ncolumns, 1) * sizeof(VssColumn));
	state->tables = palloc0(Max(state->ncolumns, 1) * sizeof(char *));
	state->averages = palloc0(Max(state->ncolumns, 1) * sizeof(bool));
	state->places = palloc0(Max(state->ncolumns, 1) * sizeof(int));
	foreach (cell, places)
	{
		init_column(state, i, node, lfirst_int(cell));
		state->places[i++] = lfirst_int(cell) - 1;
	}

	/* without plain columns, what stands for them comes first */
	state->rows =
		vssfdw_whole_rows_begin(node, list_nth(plan->fdw_private, VSS_SCAN_ROWS), Max(state->ncolumns, 1));

	state->nparams = list_length(plan->fdw_exprs) - skip;
	state->params = palloc0(Max(state->nparams, 1) * sizeof(VssScanParam));
	for (i = 0; i < state->nparams; i++)
	{
		Expr *expr = list_nth(plan->fdw_exprs, skip + i);

		vssfdw_value_init(&state->params[i].value, expr, &node->ss.ps);
		state->params[i].type = exprType((Node *) expr);
		state->params[i].number = (knn != NIL ? VSS_PARAM_FIRST : 1) + i;
		if (counts != NIL && state->params[i].number == linitial_int(counts))
			state->params[i].use = VSS_PARAM_LIMIT;
		else if (counts != NIL && state->params[i].number == lsecond_int(counts))
			state->params[i].use = VSS_PARAM_OFFSET;
	}
	state->source = knn != NIL ? &nearest : &plain;
	if (knn != NIL)
		state->knn = vssfdw_knn_begin(node, knn);

	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 || boolVal(list_nth(plan->fdw_private, VSS_SCAN_RECHECK)))
		return;
	state->conn = vssfdw_connect(plan->fs_server);
	state->hold = vssfdw_hold(state->conn, state->context);

	/*
	 * Statements belong to the subtransaction that prepares them.  A cursor
	 * must survive the rollback of a savepoint set after it was opened, so
	 * that is now.
	 */
	PG_TRY();
	{
		state->statement = vssfdw_prepare(state->conn, state->sql, state->context);
	}
	PG_CATCH();
	{
		if (knn != NIL)
			report_lost_index(state, strVal(list_nth(knn, VSS_KNN_INDEX)));
		PG_RE_THROW();
	}
	PG_END_TRY();
	vssfdw_drain_before_writes(node, state->statement);
	if (state->knn != NULL)
		vssfdw_knn_prepare(node, state);
}

TupleTableSlot *
vssIterateForeignScan(ForeignScanState *node)
{
	VssScanState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	if (vssfdw_drained_next(state, slot) || state->source->fetch(node, state, slot))
		return slot;
	return ExecClearTuple(slot);
}

void
vssReScanForeignScan(ForeignScanState *node)
{
	VssScanState *state = node->fdw_state;

	vssfdw_drained_forget(state);
	if (state->knn != NULL)
		vssfdw_knn_rescan(state);
	if (state->statement != NULL)
		vssfdw_rewind(state->statement);
	state->started = false;
	state->done = false;
}

void
vssEndForeignScan(ForeignScanState *node)
{
	VssScanState *state = node->fdw_state;

	if (state == NULL)
		return;
	vssfdw_drained_forget(state);
	if (state->knn != NULL)
		vssfdw_knn_end(state);
	vssfdw_done(state->statement);
	vssfdw_release(state->hold);
	state->statement = NULL;
	state->hold = NULL;
}

/* EvalPlanQual has the rows of a join from the plan below. */
bool
vssRecheckForeignScan(ForeignScanState *node, TupleTableSlot *slot)
{
	TupleTableSlot *row;

	/* of a table of its own PostgreSQL has the row, and tests fdw_recheck_quals */
	if (((Scan *) node->ss.ps.plan)->scanrelid > 0)
		return true;
	row = ExecProcNode(outerPlanState(node));
	if (TupIsNull(row))
		return false;
	ExecCopySlot(slot, row);
	return true;
}
