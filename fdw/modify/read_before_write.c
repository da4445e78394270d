/*
 * read_before_write.c
 *		Commands that write row by row do not read what they have written.
 *
 * PostgreSQL's scans see the snapshot of their command; a statement of SQLite
 * that begins after a write of the same connection sees it.  Scans that run
 * once are drained before the first write (read_ahead.c).  Where a plan may run a
 * scan again, a Sort below the ModifyTable holds the rows back until the last
 * one is found.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "parser/parse_oper.h"

#include "fdw/modify/modify.h"

static bool reads(Plan *plan, Oid server);

static bool
any_reads(List *plans, Oid server)
{
	ListCell *lc;

	foreach (lc, plans)
	{
		if (reads(lfirst(lc), server))
			return true;
	}
	return false;
}

/* Whether something below the node reads the server. */
static bool
reads(Plan *plan, Oid server)
{
	if (plan == NULL)
		return false;
	switch (nodeTag(plan))
	{
		case T_ForeignScan:
			return ((ForeignScan *) plan)->fs_server == server;
		case T_CustomScan:
			return true;
		case T_SubqueryScan:
			return reads(((SubqueryScan *) plan)->subplan, server);
		case T_Append:
			return any_reads(((Append *) plan)->appendplans, server);
		case T_MergeAppend:
			return any_reads(((MergeAppend *) plan)->mergeplans, server);
		default:
			return reads(outerPlan(plan), server) || reads(innerPlan(plan), server);
	}
}

/* Whether a subquery that is computed when it is wanted does, CTEs among them. */
static bool
subplans_read(PlannerInfo *root, Oid server)
{
	return any_reads(root->glob->subplans, server);
}

/* Whether a scan of the server below the node may begin again when rows have been written. */
static bool
scans_again(Plan *plan, Oid server)
{
	ListCell *lc;

	if (plan == NULL)
		return false;
	switch (nodeTag(plan))
	{
		case T_Sort:
		case T_ForeignScan:
			return false;
		case T_SubqueryScan:
			return scans_again(((SubqueryScan *) plan)->subplan, server);
		case T_Append:
			foreach (lc, ((Append *) plan)->appendplans)
			{
				if (scans_again(lfirst(lc), server))
					return true;
			}
			return false;
		case T_NestLoop:
			/* what is put aside for the next outer row is read once */
			if (IsA(innerPlan(plan), Material))
				return scans_again(outerPlan(plan), server) || scans_again(innerPlan(plan), server);
			return scans_again(outerPlan(plan), server) || reads(innerPlan(plan), server);
		case T_Result:
		case T_HashJoin:
		case T_MergeJoin:
		case T_Hash:
		case T_Material:
		case T_Agg:
		case T_Group:
		case T_Unique:
		case T_WindowAgg:
		case T_Limit:
		case T_IncrementalSort:
			return scans_again(outerPlan(plan), server) || scans_again(innerPlan(plan), server);
		default:
			/* nodes that nobody has thought of */
			return reads(plan, server);
	}
}

/* Whether rows to insert come in an order that the user asked for. */
static bool
is_ordered_insert(const Query *parse)
{
	ListCell *lc;

	foreach (lc, parse->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		/* one that was pulled up is gone */
		if (rte->rtekind == RTE_SUBQUERY && rte->subquery != NULL && rte->subquery->sortClause != NIL)
			return true;
	}
	return false;
}

/* Whether SQLite changes the rows of a partition by itself below the node: ModifyTable must see these one by one. */
static bool
changes_directly(const Plan *plan)
{
	ListCell *lc;

	if (plan == NULL)
		return false;
	if (IsA(plan, ForeignScan))
		return ((const ForeignScan *) plan)->operation != CMD_SELECT;
	if (IsA(plan, Result))
		return changes_directly(outerPlan(plan));
	if (!IsA(plan, Append))
		return false;
	foreach (lc, ((const Append *) plan)->appendplans)
	{
		if (changes_directly(lfirst(lc)))
			return true;
	}
	return false;
}

/* The column to sort rows by: the address of those that are changed; of new ones any that can be sorted. */
static TargetEntry *
sort_column(Relation rel, const VssTableInfo *info, CmdType operation, List *tlist)
{
	char *name = NULL;
	ListCell *lc;

	if (operation != CMD_INSERT)
		name = vssfdw_addressed_by_key(info)
				   ? vssfdw_key_name(rel, linitial_int(vssfdw_key_attributes(rel, info)))
				   : "ctid";
	foreach (lc, tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		Oid less;

		if (name != NULL && (entry->resname == NULL || strcmp(entry->resname, name) != 0))
			continue;
		get_sort_group_operators(exprType((Node *) entry->expr), false, false, false, &less, NULL, NULL,
								 NULL);
		if (OidIsValid(less))
			return entry;
	}
	return NULL;
}

/* A Sort over the plan, which holds every row back until the last one is found. */
static Plan *
hold_back(Plan *rows, const TargetEntry *column)
{
	Sort *sort = makeNode(Sort);
	Oid type = exprType((Node *) column->expr);
	Path cost;

	cost_sort(&cost, NULL, NIL, VSS_DISABLED_NODES(0) rows->total_cost, rows->plan_rows, rows->plan_width, 0,
			  work_mem, -1);
	sort->plan.startup_cost = cost.startup_cost;
	sort->plan.total_cost = cost.total_cost;
	sort->plan.plan_rows = rows->plan_rows;
	sort->plan.plan_width = rows->plan_width;
	sort->plan.targetlist = rows->targetlist;
	sort->plan.lefttree = rows;
	sort->numCols = 1;
	sort->sortColIdx = palloc(sizeof(AttrNumber));
	sort->sortColIdx[0] = column->resno;
	sort->sortOperators = palloc(sizeof(Oid));
	get_sort_group_operators(type, true, false, false, &sort->sortOperators[0], NULL, NULL, NULL);
	sort->collations = palloc(sizeof(Oid));
	sort->collations[0] = exprCollation((Node *) column->expr);
	sort->nullsFirst = palloc0(sizeof(bool));
	return &sort->plan;
}

void
vssfdw_read_before_writing(PlannerInfo *root, ModifyTable *plan, Relation rel, const VssTableInfo *info)
{
	Plan *rows = outerPlan(plan);
	Oid server = GetForeignTable(RelationGetRelid(rel))->serverid;
	TargetEntry *column;

	/* one row */
	if (IsA(rows, Result) && outerPlan(rows) == NULL)
		return;
	if (IsA(rows, Sort) || changes_directly(rows) ||
		(!scans_again(rows, server) && !subplans_read(root, server)))
		return;
	if (plan->operation == CMD_INSERT && is_ordered_insert(root->parse))
		return;
	column = sort_column(rel, info, plan->operation, rows->targetlist);
	if (column != NULL)
		outerPlan(plan) = hold_back(rows, column);
}
