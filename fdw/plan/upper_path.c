/*
 * upper_path.c
 *		Groups and DISTINCT rows that SQLite makes.
 *
 * Aggregation goes down whole or not at all: every group column, aggregate and
 * condition of the groups must be one that SQLite evaluates, except that
 * conditions of HAVING and expressions over the results may stay here.
 *
 * Columns of SELECT DISTINCT are written as those of conditions are, with the
 * collation that shippable.c's proof is of.
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/tlist.h"
#include "utils/selfuncs.h"

#include "fdw/plan/plan.h"

VssRel *
vssfdw_rel_above(RelOptInfo *input)
{
	VssRel *below = VSS_REL(input);
	VssRel *state = palloc0(sizeof(VssRel));

	state->conn = below->conn;
	state->server = below->server;
	state->relids = below->relids;
	return state;
}

void
vssfdw_add_upper_path(PlannerInfo *root, RelOptInfo *output, PathTarget *target, double rows, Cost startup,
					  Cost total, List *pathkeys)
{
	add_path(output,
			 (Path *) create_foreign_upper_path(root, output, target, rows, VSS_DISABLED_NODES(0) startup,
												total, pathkeys, NULL, VSS_RESTRICTINFO(NIL) NIL));
}

/* ---------- grouping ---------- */

/* Whether an index of SQLite, or the rowid, begins with this column of a base relation. */
static bool
leads_index(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	VssRel *state = VSS_REL(rel);
	const VssPlanColumn *column;

	if (state->outer != NULL || !IsA(expr, Var))
		return false;
	column = vssfdw_var_column(root, (Var *) expr);
	return column != NULL && column->reader == NULL && vssfdw_leads_key(state, column);
}

/* Add the aggregates in expr to the list; false when one, or a column that is not grouped, cannot be had. */
static bool
add_parts(PlannerInfo *root, RelOptInfo *grouped, List **tlist, Node *expr)
{
	ListCell *cell;

	foreach (cell, pull_var_clause(expr, PVC_INCLUDE_AGGREGATES | PVC_RECURSE_PLACEHOLDERS))
	{
		Expr *part = lfirst(cell);

		if (IsA(part, Aggref))
		{
			if (!vssfdw_is_shippable_aggregate(root, grouped, (Aggref *) part))
				return false;
		}
		else if (!IsA(part, Var) || vssfdw_var_column(root, (Var *) part) == NULL)
			return false;
		*tlist = add_to_flat_tlist(*tlist, list_make1(part));
	}
	return true;
}

/* What SQLite must return for the target; false when it cannot. */
static bool
group_tlist(PlannerInfo *root, RelOptInfo *grouped, List **tlist)
{
	PathTarget *target = grouped->reltarget;
	ListCell *cell;
	int i = 0;

	foreach (cell, target->exprs)
	{
		Expr *expr = lfirst(cell);
		Index ref = get_pathtarget_sortgroupref(target, i++);
		SortGroupClause *group =
			ref != 0 ? get_sortgroupref_clause_noerr(ref, root->parse->groupClause) : NULL;

		if (group != NULL)
		{
			TargetEntry *entry;

			if (!vssfdw_is_shippable_group(root, grouped, expr, group->eqop))
				return false;
			entry = makeTargetEntry(expr, list_length(*tlist) + 1, NULL, false);
			entry->ressortgroupref = ref;
			*tlist = lappend(*tlist, entry);
		}
		else if (IsA(expr, Const) || !add_parts(root, grouped, tlist, (Node *) expr))
			return false;
	}
	return true;
}

static bool
split_having(PlannerInfo *root, RelOptInfo *grouped, List *having, List **tlist)
{
	VssRel *state = VSS_REL(grouped);
	ListCell *cell;

	foreach (cell, having)
	{
		Expr *clause = lfirst(cell);

		if (vssfdw_is_shippable(root, grouped, clause))
			state->remote_conds = lappend(state->remote_conds, clause);
		else
		{
			if (!add_parts(root, grouped, tlist, (Node *) clause))
				return false;
			state->local_conds = lappend(state->local_conds, clause);
		}
	}
	return true;
}

/* Columns outside aggregates must be grouped, or SQLite would pick some row's. */
static bool
only_grouped_columns(PlannerInfo *root, List *tlist)
{
	ListCell *cell;

	foreach (cell, tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		ListCell *other;
		bool grouped = entry->ressortgroupref != 0;

		if (!IsA(entry->expr, Var) || grouped)
			continue;
		foreach (other, tlist)
		{
			TargetEntry *group = lfirst_node(TargetEntry, other);

			if (group->ressortgroupref != 0 && equal(group->expr, entry->expr))
				grouped = true;
		}
		if (!grouped)
			return false;
	}
	return true;
}

static bool
has_any_volatile(PlannerInfo *root, RelOptInfo *grouped)
{
	return contain_volatile_functions((Node *) grouped->reltarget->exprs);
}

/* The path of the groups that SQLite makes by keys; none: all rows are one group. */
static void
add_path_of_groups(PlannerInfo *root, RelOptInfo *grouped, PathTarget *target, List *keys)
{
	VssRel *state = VSS_REL(grouped);
	VssRel *below = VSS_REL(state->input);
	QualCost local;
	double groups;
	double rows;
	Cost startup;
	Cost total;

	groups = keys != NIL ? estimate_num_groups(root, keys, below->remote_rows, NULL, NULL) : 1;
	state->remote_rows =
		clamp_row_est(groups * clauselist_selectivity(root, state->remote_conds, 0, JOIN_INNER, NULL));
	rows = clamp_row_est(state->remote_rows *
						 clauselist_selectivity(root, state->local_conds, 0, JOIN_INNER, NULL));
	state->walk_cost =
		below->walk_cost + below->remote_rows * cpu_operator_cost * list_length(state->grouped_tlist);
	/* SQLite groups by sorting; the rows of a DISTINCT are looked up in a B-tree of those it had */
	if (list_length(keys) == 1 && leads_index(root, state->input, linitial(keys)))
		state->grouped_by = linitial(keys);
	else if (state->distinct)
		state->walk_cost += below->remote_rows * cpu_operator_cost * 0.5 * log2(groups + 1);
	else if (keys != NIL)
		state->walk_cost += below->remote_rows * cpu_operator_cost * log2(groups + 1);
	cost_qual_eval(&local, state->local_conds, root);
	/* the first group is known when all rows are, unless they come group by group */
	startup = state->server->fdw_startup_cost + local.startup + target->cost.startup;
	total = startup + state->walk_cost +
			state->remote_rows * (state->server->fdw_tuple_cost + cpu_tuple_cost + local.per_tuple) +
			rows * target->cost.per_tuple;
	if (state->grouped_by == NULL && !state->distinct)
		startup += state->walk_cost;
	state->rows = rows;
	state->startup_cost = startup;
	state->total_cost = total;
	vssfdw_add_upper_path(root, grouped, target, rows, startup, total, NIL);
}

static void
add_grouping_path(PlannerInfo *root, RelOptInfo *input, RelOptInfo *grouped, GroupPathExtraData *extra)
{
	VssRel *state;
	Query *parse = root->parse;
	List *tlist = NIL;
	List *keys = NIL;
	ListCell *cell;

	if (!parse->groupClause && !parse->hasAggs)
		return;
	/* a partition's groups may be whole, then they are like a table's */
	if (parse->groupingSets != NIL || extra->patype == PARTITIONWISE_AGGREGATE_PARTIAL ||
		has_any_volatile(root, grouped))
		return;

	state = vssfdw_rel_above(input);
	grouped->fdw_private = state;
	state->input = input;
	if (!group_tlist(root, grouped, &tlist) ||
		!split_having(root, grouped, (List *) extra->havingQual, &tlist) ||
		!only_grouped_columns(root, tlist))
	{
		grouped->fdw_private = NULL;
		return;
	}
	/* a grouped column that comes twice, once as part of an expression, is fetched twice: harmless */
	state->grouped_tlist = tlist;

	foreach (cell, tlist)
	{
		if (lfirst_node(TargetEntry, cell)->ressortgroupref != 0)
			keys = lappend(keys, lfirst_node(TargetEntry, cell)->expr);
	}
	add_path_of_groups(root, grouped, grouped->reltarget, keys);
}

/* What SQLite must return for SELECT DISTINCT; false when it cannot. */
static bool
distinct_tlist(PlannerInfo *root, RelOptInfo *distinct, PathTarget *target, List *clauses, List **tlist)
{
	ListCell *cell;
	int i = 0;

	foreach (cell, target->exprs)
	{
		Expr *expr = lfirst(cell);
		Index ref = get_pathtarget_sortgroupref(target, i++);
		SortGroupClause *clause = ref != 0 ? get_sortgroupref_clause_noerr(ref, clauses) : NULL;
		TargetEntry *entry;

		if (clause == NULL || !vssfdw_is_shippable_group(root, distinct, expr, clause->eqop))
			return false;
		entry = makeTargetEntry(expr, list_length(*tlist) + 1, NULL, false);
		entry->ressortgroupref = ref;
		*tlist = lappend(*tlist, entry);
	}
	return *tlist != NIL;
}

static void
add_distinct_path(PlannerInfo *root, RelOptInfo *input, RelOptInfo *distinct)
{
	PathTarget *target = root->upper_targets[UPPERREL_DISTINCT];
	List *clauses = VSS_DISTINCT_CLAUSE(root);
	VssRel *state;

	if (root->parse->hasDistinctOn)
		return;
	state = vssfdw_rel_above(input);
	distinct->fdw_private = state;
	state->input = input;
	state->distinct = true;
	if (!distinct_tlist(root, distinct, target, clauses, &state->grouped_tlist))
	{
		distinct->fdw_private = NULL;
		return;
	}
	add_path_of_groups(root, distinct, target, get_sortgrouplist_exprs(clauses, root->processed_tlist));
}

void
vssGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
						RelOptInfo *output_rel, void *extra)
{
	VssRel *below = VSS_REL(input_rel);
	VssRel *core;

	if (below == NULL || output_rel->fdw_private != NULL || IS_DUMMY_REL(input_rel))
		return;
	core = below->core != NULL ? VSS_REL(below->core) : below;
	/*
	 * Row marks and data-modifying queries want whole rows.  Set-returning
	 * functions are called above what is made here, in a ProjectSet: the targets
	 * lack them, and no such node comes above a FINAL path.
	 */
	if (core->local_conds != NIL || core->knn_predicate != NULL || !bms_is_empty(input_rel->lateral_relids) ||
		root->rowMarks != NIL || root->parse->commandType != CMD_SELECT || root->parse->hasTargetSRFs)
		return;
	switch (stage)
	{
		case UPPERREL_GROUP_AGG:
			if (core->input == NULL)
				add_grouping_path(root, input_rel, output_rel, extra);
			break;
		case UPPERREL_DISTINCT:
			if (core->input == NULL)
				add_distinct_path(root, input_rel, output_rel);
			break;
		case UPPERREL_ORDERED:
			vssfdw_add_ordered_path(root, input_rel, output_rel);
			break;
		case UPPERREL_FINAL:
			vssfdw_add_final_path(root, input_rel, output_rel, extra);
			break;
		default:
			break;
	}
}
