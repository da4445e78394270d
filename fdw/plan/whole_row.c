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

#include "fdw/plan/plan.h"

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

		lfirst(list_nth_cell(scan->fdw_private, VSS_SCAN_RECHECK)) = makeBoolean(true);
	}
	vssfdw_mark_recheck(plan->lefttree);
	vssfdw_mark_recheck(plan->righttree);
}
