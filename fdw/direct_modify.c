/*
 * direct_modify.c
 *		UPDATE and DELETE of one foreign table as one statement of SQLite.
 *
 * Done where SQLite finds the rows by itself (all conditions go down, no join)
 * and each new value is one that PostgreSQL computes once: a value of the
 * statement, not of the row.  It is bound as the row-by-row path binds it, so
 * that the same is stored.  The planner itself stays away from tables with row
 * triggers, stored generated columns or check options; refused here are views
 * and virtual tables, whose changes SQLite does not count, and updates of
 * columns that decide about the partition, which somebody must look at.
 *
 * SQLite makes all changes in the first step and hands the rows of RETURNING
 * out afterwards.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "parser/parsetree.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#endif

#include "fdw/modify.h"
#include "fdw/planner.h"

/* ForeignScan.fdw_private.  fdw_exprs: the new values, then what the conditions bind. */
enum DirectItem
{
	DIRECT_SQL,      /* String */
	DIRECT_TARGETS,  /* IntList: attributes that get the new values */
	DIRECT_RETURNED, /* IntList: attribute of each returned column */
	DIRECT_COUNTS    /* Boolean: the rows count for the command tag */
};

typedef struct DirectState
{
	VssScanState scan; /* its parameters are those of the conditions */

	int target_count;
	VssColumn *targets;
	ExprState **values;

	int returned_count;
	VssColumn *returned;
	const char *table; /* in SQLite, for errors */
	bool counts;
} DirectState;

/* ---------- planning ---------- */

/* The scan below the ModifyTable that gives this target's rows and nothing else; NULL without. */
static ForeignScan *
find_scan(ModifyTable *plan, Index result_relation, int subplan_index)
{
	Plan *subplan = outerPlan(plan);
	ForeignScan *scan;

	/* partitions: one child each, below a Result where their columns differ */
	if (IsA(subplan, Result) && outerPlan(subplan) != NULL && IsA(outerPlan(subplan), Append))
		subplan = outerPlan(subplan);
	if (IsA(subplan, Append))
	{
		Append *append = (Append *) subplan;

		if (subplan_index >= list_length(append->appendplans))
			return NULL;
		subplan = list_nth(append->appendplans, subplan_index);
	}
	if (!IsA(subplan, ForeignScan))
		return NULL;
	scan = (ForeignScan *) subplan;
	return scan->scan.scanrelid == result_relation ? scan : NULL;
}

/* Callback: whether there is a parameter that a sublink of the target list sets for each row. */
static bool
has_multiexpr(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		return ((Param *) node)->paramkind == PARAM_MULTIEXPR;
	return expression_tree_walker(node, has_multiexpr, context);
}

/* Whether a new value may take the row to another partition. */
static bool
decides_partition(Relation rel, List *targets)
{
	Bitmapset *deciding = NULL;
	ListCell *lc;

	if (!rel->rd_rel->relispartition)
		return false;
	pull_varattnos((Node *) RelationGetPartitionQual(rel), 1, &deciding);
	foreach (lc, targets)
	{
		if (bms_is_member(lfirst_int(lc) - FirstLowInvalidHeapAttributeNumber, deciding))
			return true;
	}
	return false;
}

/* The new values, one for each of targets; false where some cannot be bound. */
static bool
collect_values(PlannerInfo *root, RelOptInfo *rel, Relation relation, List **targets, List **values)
{
	const VssTableInfo *info = VSS_REL(rel)->info;
	List *entries = NIL;
	ListCell *entry;
	ListCell *target;

	get_translated_update_targetlist(root, rel->relid, &entries, targets);
	if (decides_partition(relation, *targets))
		return false;
	forboth(entry, entries, target, *targets)
	{
		Expr *value = lfirst_node(TargetEntry, entry)->expr;
		AttrNumber attno = lfirst_int(target);

		if (attno <= 0 || TupleDescAttr(RelationGetDescr(relation), attno - 1)->attgenerated ||
			vssfdw_is_generated(info, VSS_REL(rel)->columns[attno - 1].name))
			return false;
		if (!vssfdw_is_bindable(root, rel, value) || has_multiexpr((Node *) value, NULL))
			return false;
		*values = lappend(*values, value);
	}
	return true;
}

static void
put_statement(VssDeparse *context, CmdType operation, List *targets, List *conds, List *returned)
{
	const VssRel *rel = VSS_REL(context->rel);
	StringInfo sql = context->buf;
	ListCell *lc;

	appendStringInfo(sql, "%s main.%s AS r%u", operation == CMD_UPDATE ? "UPDATE" : "DELETE FROM",
					 vssfdw_quote_identifier(rel->table->table), context->rel->relid);
	foreach (lc, targets)
		appendStringInfo(sql, "%s%s = ?%d", foreach_current_index(lc) == 0 ? " SET " : ", ",
						 vssfdw_quote_identifier(rel->columns[lfirst_int(lc) - 1].name),
						 foreach_current_index(lc) + 1);
	vssfdw_deparse_conds(context, "WHERE", conds);
	foreach (lc, returned)
	{
		const char *word = foreach_current_index(lc) == 0 ? " RETURNING " : ", ";

		/* SQLite does not know the alias here; without columns the rows are counted */
		if (lfirst_int(lc) == 0)
			appendStringInfo(sql, "%sNULL", word);
		else
			appendStringInfo(sql, "%s%s", word,
							 vssfdw_quote_identifier(rel->columns[lfirst_int(lc) - 1].name));
	}
}

static bool
vssPlanDirectModify(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan_index)
{
	CmdType operation = plan->operation;
	ForeignScan *scan;
	RelOptInfo *rel;
	Relation relation;
	List *targets = NIL;
	List *values = NIL;
	List *returned = NIL;
	List *conds;
	StringInfoData sql;
	VssDeparse context = {.root = root, .buf = &sql};
	bool possible;

	if (operation != CMD_UPDATE && operation != CMD_DELETE)
		return false;
	scan = find_scan(plan, result_relation, subplan_index);
	if (scan == NULL || scan->scan.plan.qual != NIL || scan->fdw_scan_tlist != NIL ||
		list_nth(scan->fdw_private, VSS_SCAN_KNN) != NIL)
		return false;
	rel = root->simple_rel_array[result_relation];
	if (rel == NULL || VSS_REL(rel)->info->is_view || VSS_REL(rel)->info->is_virtual)
		return false;

	relation = table_open(planner_rt_fetch(result_relation, root)->relid, NoLock);
	possible = operation == CMD_DELETE || collect_values(root, rel, relation, &targets, &values);
	if (possible && plan->returningLists != NIL)
	{
		returned = vssfdw_returned_attributes(relation, result_relation, operation,
											  list_nth(plan->returningLists, subplan_index), NIL);
		if (returned == NIL)
			returned = list_make1_int(0);
	}
	table_close(relation, NoLock);
	if (!possible)
		return false;

	/* without a target list of its own, a scan keeps there what SQLite tests */
	conds = scan->fdw_recheck_quals;
	initStringInfo(&sql);
	context.rel = rel;
	context.first_param = list_length(values) + 1;
	put_statement(&context, operation, targets, conds, returned);

	scan->operation = operation;
	scan->resultRelation = result_relation;
	scan->fdw_exprs = list_concat(values, context.params);
	scan->fdw_private = list_make4(makeString(sql.data), targets, returned, makeBoolean(plan->canSetTag));
	return true;
}

/* ---------- execution ---------- */

static VssColumn *
make_columns(Relation rel, List *attributes)
{
	VssColumn *columns = palloc0(sizeof(VssColumn) * (list_length(attributes) + 1));
	ListCell *lc;

	foreach (lc, attributes)
	{
		if (lfirst_int(lc) > 0)
			vssfdw_column_init(&columns[foreach_current_index(lc)], rel, lfirst_int(lc));
	}
	return columns;
}

static void
vssBeginDirectModify(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Relation rel = node->resultRelInfo->ri_RelationDesc;
	MemoryContext query = node->ss.ps.state->es_query_cxt;
	List *targets = list_nth(plan->fdw_private, DIRECT_TARGETS);
	List *returned = list_nth(plan->fdw_private, DIRECT_RETURNED);
	DirectState *state;
	VssScanState *scan;
	ListCell *lc;

	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0)
		return;
	state = palloc0(sizeof(DirectState));
	scan = &state->scan;
	node->fdw_state = scan;
	scan->context = query;
	scan->bound = AllocSetContextCreate(query, "vss_fdw bound values", ALLOCSET_SMALL_SIZES);
	scan->sql = strVal(list_nth(plan->fdw_private, DIRECT_SQL));

	state->target_count = list_length(targets);
	state->targets = make_columns(rel, targets);
	state->values = palloc0(sizeof(ExprState *) * (state->target_count + 1));
	state->returned_count = list_length(returned);
	state->returned = make_columns(rel, returned);
	state->table = vssfdw_table_options(RelationGetRelid(rel))->table;
	state->counts = boolVal(list_nth(plan->fdw_private, DIRECT_COUNTS));

	scan->nparams = list_length(plan->fdw_exprs) - state->target_count;
	scan->params = palloc0(sizeof(VssScanParam) * (scan->nparams + 1));
	foreach (lc, plan->fdw_exprs)
	{
		int i = foreach_current_index(lc);
		ExprState *value = ExecInitExpr(lfirst(lc), (PlanState *) node);

		if (i < state->target_count)
			state->values[i] = value;
		else
			scan->params[i - state->target_count] =
				(VssScanParam){.state = value, .type = exprType(lfirst(lc)), .number = i + 1};
	}

	scan->conn = vssfdw_connect(GetForeignTable(RelationGetRelid(rel))->serverid);
	scan->hold = vssfdw_hold(scan->conn, query);
	/* before any scan of this command has read, so that the lock can be waited for */
	vssfdw_begin_write(scan->conn);
	scan->statement = vssfdw_prepare(scan->conn, scan->sql, query);
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

/* The row that SQLite returns, where the projection of RETURNING looks for it. */
static TupleTableSlot *
returned_row(ForeignScanState *node, DirectState *state)
{
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

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
	return slot;
}

static TupleTableSlot *
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
			int changed = sqlite3_changes(scan->conn->db);

			count_rows(node, state, changed);
			if (node->ss.ps.instrument != NULL)
				node->ss.ps.instrument->tuplecount += changed;
		}
		vssfdw_rewind(scan->statement);
	}
	return ExecClearTuple(node->ss.ss_ScanTupleSlot);
}

static void
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

static void
vssExplainDirectModify(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;

	ExplainPropertyText("SQLite SQL", strVal(list_nth(plan->fdw_private, DIRECT_SQL)), es);
}

void
vssfdw_direct_modify_routine(FdwRoutine *routine)
{
	routine->PlanDirectModify = vssPlanDirectModify;
	routine->BeginDirectModify = vssBeginDirectModify;
	routine->IterateDirectModify = vssIterateDirectModify;
	routine->EndDirectModify = vssEndDirectModify;
	routine->ExplainDirectModify = vssExplainDirectModify;
}
