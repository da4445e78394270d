/*
 * whole_row.c
 *		Whole rows of joined tables as single values, and EvalPlanQual over a
 *		join that SQLite does.
 *
 * SELECT d FROM d JOIN e wants a row of d as one value.  So does a query that
 * locks or changes rows of another table, for each table that it reads: when
 * such a row has changed meanwhile, EvalPlanQual computes the join of its new
 * version with the others' rows as they were, which it kept.  The plan for that
 * is one of PostgreSQL's own, below the foreign scan; it reads nothing.
 *
 * A table on the side of an outer join where rows may lack is told from one with
 * a row of NULLs by its rowid or key, so that it must have one; a full join's
 * sides do not hand these up.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

#include "fdw/planner.h"

/* ---------- planning ---------- */

/* Whether a table's row may be NULL in the join. */
static bool
may_lack(RelOptInfo *rel, Index rti)
{
	const VssRel *join = VSS_REL(rel);

	if (join->outer == NULL)
		return false;
	if (bms_is_member(rti, join->outer->relids))
		return join->jointype == JOIN_FULL || may_lack(join->outer, rti);
	return join->jointype == JOIN_FULL || join->jointype == JOIN_LEFT || may_lack(join->inner, rti);
}

static bool
has_full_join(RelOptInfo *rel)
{
	const VssRel *join = VSS_REL(rel);

	return join->outer != NULL &&
		   (join->jointype == JOIN_FULL || has_full_join(join->outer) || has_full_join(join->inner));
}

/* A column of the table that is never NULL, or NULL. */
static const char *
certain_column(const VssTableInfo *info)
{
	if (info->rowid_name != NULL)
		return info->rowid_name;
	return info->has_rowid || info->primary_key == NIL ? NULL : linitial(info->primary_key);
}

/* The state of a base relation within a join. */
static const VssRel *
base_of(RelOptInfo *rel, Index rti)
{
	const VssRel *join = VSS_REL(rel);

	if (join->outer == NULL)
		return join;
	return base_of(bms_is_member(rti, join->outer->relids) ? join->outer : join->inner, rti);
}

bool
vssfdw_has_rows_of(RelOptInfo *joinrel, List *exprs)
{
	ListCell *cell;

	foreach (cell, pull_var_clause((Node *) exprs, PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
													   PVC_RECURSE_PLACEHOLDERS))
	{
		Var *var = lfirst_node(Var, cell);

		if (var->varattno > 0 || !bms_is_member(var->varno, joinrel->relids))
			continue;
		if (var->varattno < 0 || has_full_join(joinrel) ||
			(may_lack(joinrel, var->varno) && certain_column(base_of(joinrel, var->varno)->info) == NULL))
			return false;
	}
	return true;
}

List *
vssfdw_deparse_whole_row(VssDeparse *context, Var *var, int resno)
{
	const VssRel *base = base_of(context->rel, var->varno);
	List *item = list_make1_int(resno);

	if (may_lack(context->rel, var->varno))
		appendStringInfo(context->buf, ", r%u.%s", (unsigned) var->varno,
						 vssfdw_quote_identifier(certain_column(base->info)));
	else
		appendStringInfoString(context->buf, ", 1");
	for (int i = 0; i < base->natts; i++)
	{
		if (base->columns[i].name == NULL)
			continue;
		appendStringInfo(context->buf, ", r%u.%s", (unsigned) var->varno,
						 vssfdw_quote_identifier(base->columns[i].name));
		item = lappend_int(item, i + 1);
	}
	return item;
}

void
vssfdw_mark_recheck(Plan *plan)
{
	if (plan == NULL)
		return;
	if (IsA(plan, ForeignScan))
	{
		ForeignScan *scan = (ForeignScan *) plan;

		while (list_length(scan->fdw_private) < VSS_SCAN_RECHECK)
			scan->fdw_private = lappend(scan->fdw_private, NIL);
		if (list_length(scan->fdw_private) == VSS_SCAN_RECHECK)
			scan->fdw_private = lappend(scan->fdw_private, makeBoolean(true));
	}
	vssfdw_mark_recheck(plan->lefttree);
	vssfdw_mark_recheck(plan->righttree);
}

/* ---------- fetching ---------- */

typedef struct VssWholeRow
{
	int place; /* in the scan tuple, from 0 */
	int first; /* result column that is NULL where there is no row; the others follow */
	const char *table;
	TupleDesc desc;
	int ncolumns;
	int *attnums;
	VssColumn *columns;
	Datum *values; /* of desc */
	bool *nulls;
} VssWholeRow;

List *
vssfdw_whole_rows_begin(ForeignScanState *node, List *items, int first)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List *result = NIL;
	ListCell *cell;

	foreach (cell, items)
	{
		List *item = lfirst(cell);
		VssWholeRow *row = palloc0(sizeof(VssWholeRow));
		Var *var;
		Relation rel;

		row->place = list_nth_int(item, VSS_ROW_PLACE) - 1;
		row->first = first;
		row->ncolumns = list_length(item) - VSS_ROW_COLUMNS;
		row->attnums = palloc0(Max(row->ncolumns, 1) * sizeof(int));
		row->columns = palloc0(Max(row->ncolumns, 1) * sizeof(VssColumn));
		var = castNode(Var, list_nth_node(TargetEntry, plan->fdw_scan_tlist, row->place)->expr);
		/* the executor holds the locks */
		rel = table_open(exec_rt_fetch(var->varno, node->ss.ps.state)->relid, NoLock);
		row->table = vssfdw_table_options(RelationGetRelid(rel))->table;
		row->desc = CreateTupleDescCopy(RelationGetDescr(rel));
		row->values = palloc0(row->desc->natts * sizeof(Datum));
		row->nulls = palloc0(row->desc->natts * sizeof(bool));
		for (int i = 0; i < row->ncolumns; i++)
		{
			row->attnums[i] = list_nth_int(item, VSS_ROW_COLUMNS + i);
			vssfdw_column_init(&row->columns[i], rel, row->attnums[i]);
		}
		table_close(rel, NoLock);
		first += 1 + row->ncolumns;
		result = lappend(result, row);
	}
	return result;
}

void
vssfdw_store_whole_rows(VssScanState *state, VssStatement *statement, TupleTableSlot *slot)
{
	ListCell *cell;

	foreach (cell, state->rows)
	{
		VssWholeRow *row = lfirst(cell);

		if (sqlite3_column_type(statement->stmt, row->first) == SQLITE_NULL)
			continue;
		memset(row->nulls, true, row->desc->natts * sizeof(bool));
		for (int i = 0; i < row->ncolumns; i++)
			row->values[row->attnums[i] - 1] =
				vssfdw_column_datum(&row->columns[i], statement, row->first + 1 + i, row->table,
									&row->nulls[row->attnums[i] - 1]);
		slot->tts_values[row->place] =
			heap_copy_tuple_as_datum(heap_form_tuple(row->desc, row->values, row->nulls), row->desc);
		slot->tts_isnull[row->place] = false;
	}
}

/* ---------- EvalPlanQual ---------- */

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
