/*
 * direct_modify.c
 *		UPDATE and DELETE as one statement of SQLite: execution.  Which are, and
 *		how they are spelled, is in direct_plan.c.
 *
 * SQLite makes all changes in the first step and hands the rows of RETURNING
 * out afterwards.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/modify/modify.h"

typedef struct DirectState
{
	VssScanState scan; /* its parameters are those of the conditions */

	int target_count;
	VssColumn *targets;
	ExprState **values;

	int returned_count;
	VssColumn *returned;
	TupleTableSlot *row; /* what is returned, in the table's layout */
	const char *table;   /* in SQLite, for errors */
	bool counts;
} DirectState;

void
vssBeginDirectModify(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Relation rel = node->resultRelInfo->ri_RelationDesc;
	MemoryContext query = node->ss.ps.state->es_query_cxt;
	List *targets = list_nth(plan->fdw_private, VSS_DIRECT_TARGETS);
	List *returned = list_nth(plan->fdw_private, VSS_DIRECT_RETURNED);
	DirectState *state;
	VssScanState *scan;
	ListCell *lc;

	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0)
		return;
	Assert(list_length(plan->fdw_private) == VSS_DIRECT_ITEMS);
	Assert(list_length(plan->fdw_exprs) >= list_length(targets));
	state = palloc0(sizeof(DirectState));
	scan = &state->scan;
	node->fdw_state = scan;
	scan->context = query;
	scan->bound = AllocSetContextCreate(query, "vss_fdw bound values", ALLOCSET_SMALL_SIZES);
	scan->sql = strVal(list_nth(plan->fdw_private, VSS_DIRECT_SQL));

	state->target_count = list_length(targets);
	state->values = palloc0(sizeof(ExprState *) * (state->target_count + 1));
	state->returned_count = list_length(returned);
	state->returned = vssfdw_modified_columns(rel, returned);
	if (returned != NIL)
		state->row = plan->scan.scanrelid > 0
						 ? node->ss.ss_ScanTupleSlot
						 : ExecAllocTableSlot(&node->ss.ps.state->es_tupleTable, RelationGetDescr(rel),
											  &TTSOpsVirtual VSS_SLOT_FLAGS(0));
	state->table = vssfdw_table_options(RelationGetRelid(rel))->table;
	state->counts = boolVal(list_nth(plan->fdw_private, VSS_DIRECT_COUNTS));

	scan->nparams = list_length(plan->fdw_exprs) - state->target_count;
	scan->params = palloc0(sizeof(VssScanParam) * (scan->nparams + 1));
	foreach (lc, plan->fdw_exprs)
	{
		int i = foreach_current_index(lc);
		VssScanParam *param;

		if (i < state->target_count)
		{
			state->values[i] = ExecInitExpr(lfirst(lc), (PlanState *) node);
			continue;
		}
		param = &scan->params[i - state->target_count];
		vssfdw_value_init(&param->value, lfirst(lc), &node->ss.ps);
		param->type = exprType(lfirst(lc));
		param->number = i + 1;
	}

	scan->conn = vssfdw_connect(GetForeignTable(RelationGetRelid(rel))->serverid);
	scan->hold = vssfdw_hold(scan->conn, query);
	/* before any scan of this command has read, so that the lock can be waited for */
	vssfdw_begin_write(scan->conn);
	scan->statement = vssfdw_prepare(scan->conn, scan->sql, query);
	state->targets =
		vssfdw_stored_columns(scan->conn, vssfdw_table_info(scan->conn, state->table), rel, targets);
}

/* Bind all and make the changes; what was bound lives until the last row is fetched. */
static bool
execute(ForeignScanState *node, DirectState *state)
{
	VssScanState *scan = &state->scan;
	MemoryContext old = MemoryContextSwitchTo(scan->bound);

	/* a scan of this command that begins later, and a cursor, see the rows as they were */
	vssfdw_drain(scan->conn, true);
	vssfdw_begin_write(scan->conn);
	for (int i = 0; i < state->target_count; i++)
	{
		bool isnull;
		Datum value = ExecEvalExpr(state->values[i], node->ss.ps.ps_ExprContext, &isnull);

		vssfdw_bind(scan->statement, i + 1, &state->targets[i], value, isnull);
	}
	MemoryContextSwitchTo(old);
	vssfdw_bind_params(node, scan, scan->statement);
	scan->started = true;
	return vssfdw_step(scan->statement);
}

static void
count_rows(ForeignScanState *node, DirectState *state, uint64 rows)
{
	if (state->counts)
		node->ss.ps.state->es_processed += rows;
}

/*
 * The row that SQLite returns, where the projection of RETURNING looks for it.
 * The node itself must give some row, too.  If that is no row of the table,
 * nobody reads a column of it.
 */
static TupleTableSlot *
returned_row(ForeignScanState *node, DirectState *state)
{
	TupleTableSlot *slot = state->row;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < state->returned_count; i++)
	{
		VssColumn *column = &state->returned[i];

		if (column->attnum > 0)
			slot->tts_values[column->attnum - 1] = vssfdw_column_datum(
				column, state->scan.statement, i, state->table, &slot->tts_isnull[column->attnum - 1]);
	}
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(node->resultRelInfo->ri_RelationDesc);
	node->resultRelInfo->ri_projectReturning->pi_exprContext->ecxt_scantuple = slot;
	return slot == node->ss.ss_ScanTupleSlot ? slot : ExecStoreAllNullTuple(node->ss.ss_ScanTupleSlot);
}

TupleTableSlot *
vssIterateDirectModify(ForeignScanState *node)
{
	DirectState *state = (DirectState *) node->fdw_state;
	VssScanState *scan = &state->scan;
	bool row = false;

	if (!scan->done)
	{
		row = scan->started ? vssfdw_step(scan->statement) : execute(node, state);
		scan->done = !row;
		if (row)
		{
			count_rows(node, state, 1);
			return returned_row(node, state);
		}
		if (state->returned_count == 0)
		{
			int64 changed = sqlite3_changes64(scan->conn->db);

			count_rows(node, state, changed);
			if (node->ss.ps.instrument != NULL)
				node->ss.ps.instrument->tuplecount += changed;
		}
		vssfdw_rewind(scan->statement);
	}
	return ExecClearTuple(node->ss.ss_ScanTupleSlot);
}

void
vssEndDirectModify(ForeignScanState *node)
{
	VssScanState *scan = node->fdw_state;

	if (scan == NULL)
		return;
	vssfdw_done(scan->statement);
	vssfdw_release(scan->hold);
	scan->statement = NULL;
	scan->hold = NULL;
}

void
vssExplainDirectModify(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;

	const char *label = strVal(list_nth(plan->fdw_private, VSS_DIRECT_LABEL));

	if (label[0] != '\0')
		ExplainPropertyText("Relations", label, es);
	ExplainPropertyText("SQLite SQL", strVal(list_nth(plan->fdw_private, VSS_DIRECT_SQL)), es);
}
