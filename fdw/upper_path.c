/*
 * upper_path.c
 *		Grouping and order that SQLite does.
 *
 * Aggregation goes down whole or not at all: every group column, aggregate and
 * condition of the groups must be one that SQLite evaluates, except that
 * conditions of HAVING and expressions over the results may stay here.
 *
 * Order is offered for what the query sorts by in the end; where an index of
 * SQLite has that order the rows come without a sort.
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

#include "fdw/planner.h"

/* ---------- grouping ---------- */

/* Whether an index of SQLite, or the rowid, begins with this column of a base relation. */
static bool
leads_index(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	VssRel *state = VSS_REL(rel);
	const VssPlanColumn *column;
	ListCell *cell;

	if (state->outer != NULL || !IsA(expr, Var))
		return false;
	column = vssfdw_var_column(root, (Var *) expr);
	if (column == NULL)
		return false;
	foreach (cell, state->info->keys)
	{
		VssTableKey *key = lfirst(cell);

		if (key->columns != NIL && pg_strcasecmp(linitial(key->columns), column->name) == 0)
			return true;
	}
	return false;
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

		if (vssfdw_expr_class(root, grouped, clause) == VSS_CLASS_BOOLEAN &&
			!vssfdw_is_bindable(root, grouped, clause))
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

static void
add_grouping_path(PlannerInfo *root, RelOptInfo *input, RelOptInfo *grouped, GroupPathExtraData *extra)
{
	VssRel *below = VSS_REL(input);
	VssRel *state;
	Query *parse = root->parse;
	List *tlist = NIL;
	List *keys;
	QualCost local;
	double groups;
	double rows;
	Cost startup;
	Cost total;

	if (!parse->groupClause && !parse->hasAggs)
		return;
	if (parse->groupingSets != NIL || parse->hasTargetSRFs || extra->patype != PARTITIONWISE_AGGREGATE_NONE ||
		has_any_volatile(root, grouped))
		return;

	state = palloc0(sizeof(VssRel));
	grouped->fdw_private = state;
	state->conn = below->conn;
	state->server = below->server;
	state->relids = below->relids;
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

	keys = get_sortgrouplist_exprs(parse->groupClause, root->processed_tlist);
	groups = keys != NIL ? estimate_num_groups(root, keys, below->remote_rows, NULL, NULL) : 1;
	state->remote_rows =
		clamp_row_est(groups * clauselist_selectivity(root, state->remote_conds, 0, JOIN_INNER, NULL));
	rows = clamp_row_est(state->remote_rows *
						 clauselist_selectivity(root, state->local_conds, 0, JOIN_INNER, NULL));
	state->walk_cost = below->walk_cost + below->remote_rows * cpu_operator_cost * list_length(tlist);
	/* SQLite groups by sorting */
	if (keys != NIL && !(list_length(keys) == 1 && leads_index(root, input, linitial(keys))))
		state->walk_cost += below->remote_rows * cpu_operator_cost * log2(groups + 1);
	cost_qual_eval(&local, state->local_conds, root);
	/* the first group is known when all rows are */
	startup =
		state->server->fdw_startup_cost + state->walk_cost + local.startup + grouped->reltarget->cost.startup;
	total = startup +
			state->remote_rows * (state->server->fdw_tuple_cost + cpu_tuple_cost + local.per_tuple) +
			rows * grouped->reltarget->cost.per_tuple;
	add_path(grouped, (Path *) create_foreign_upper_path(root, grouped, grouped->reltarget, rows,
#if PG_VERSION_NUM >= 180000
														 0,
#endif
														 startup, total, NIL, NULL,
#if PG_VERSION_NUM >= 170000
														 NIL,
#endif
														 NIL));
}

void
vssGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
						RelOptInfo *output_rel, void *extra)
{
	VssRel *below = VSS_REL(input_rel);

	if (stage != UPPERREL_GROUP_AGG || below == NULL || output_rel->fdw_private != NULL)
		return;
	/* row marks and data-modifying queries want whole rows */
	if (below->input != NULL || below->local_conds != NIL || below->knn_predicate != NULL ||
		!bms_is_empty(input_rel->lateral_relids) || root->rowMarks != NIL)
		return;
	add_grouping_path(root, input_rel, output_rel, extra);
}

/* ---------- order ---------- */

/* The relations whose columns can stand in the select list: none of an EXISTS. */
static Relids
visible_relids(RelOptInfo *rel)
{
	const VssRel *state = VSS_REL(rel);

	if (state->input != NULL)
		return visible_relids(state->input);
	if (state->outer == NULL)
		return state->relids;
	if (state->jointype == JOIN_SEMI || state->jointype == JOIN_ANTI)
		return visible_relids(state->outer);
	return bms_union(visible_relids(state->outer), visible_relids(state->inner));
}

Expr *
vssfdw_order_expr(PlannerInfo *root, RelOptInfo *rel, PathKey *pathkey)
{
	EquivalenceClass *ec = pathkey->pk_eclass;
	Relids relids = visible_relids(rel);

	if (ec->ec_has_volatile)
		return NULL;
#if PG_VERSION_NUM >= 180000
	{
		EquivalenceMemberIterator iterator;
		EquivalenceMember *member;

		setup_eclass_member_iterator(&iterator, ec, rel->relids);
		while ((member = eclass_member_iterator_next(&iterator)) != NULL)
		{
			if (bms_is_subset(member->em_relids, relids) && !bms_is_empty(member->em_relids) &&
				vssfdw_is_shippable_order(root, rel, member->em_expr, pathkey))
				return member->em_expr;
		}
	}
#else
	{
		ListCell *cell;

		foreach (cell, ec->ec_members)
		{
			EquivalenceMember *member = lfirst(cell);

			if (bms_is_subset(member->em_relids, relids) && !bms_is_empty(member->em_relids) &&
				vssfdw_is_shippable_order(root, rel, member->em_expr, pathkey))
				return member->em_expr;
		}
	}
#endif
	return NULL;
}

/* Whether SQLite has rows in this order without sorting them. */
static bool
comes_in_order(PlannerInfo *root, RelOptInfo *rel, List *pathkeys)
{
	return list_length(pathkeys) == 1 &&
		   leads_index(root, rel, vssfdw_order_expr(root, rel, linitial(pathkeys)));
}

void
vssfdw_add_sorted_path(PlannerInfo *root, RelOptInfo *rel, Cost startup, Cost total)
{
	ListCell *cell;
	double rows = VSS_REL(rel)->remote_rows;

	if (root->query_pathkeys == NIL || !bms_is_empty(rel->lateral_relids))
		return;
	foreach (cell, root->query_pathkeys)
	{
		if (vssfdw_order_expr(root, rel, lfirst(cell)) == NULL)
			return;
	}
	if (!comes_in_order(root, rel, root->query_pathkeys))
	{
		/* SQLite sorts records of bytes: a little dearer than sorting here */
		Cost sort = 2.2 * cpu_operator_cost * rows * log2(Max(rows, 2));

		sort += VSS_REL(rel)->walk_cost;
		startup += sort;
		total += sort - VSS_REL(rel)->walk_cost;
	}
	if (IS_JOIN_REL(rel))
		add_path(rel, (Path *) create_foreign_join_path(root, rel, NULL, rel->rows,
#if PG_VERSION_NUM >= 180000
														0,
#endif
														startup, total, root->query_pathkeys, NULL, NULL,
#if PG_VERSION_NUM >= 170000
														NIL,
#endif
														NIL));
	else
		add_path(rel, (Path *) vssfdw_make_path(root, rel, rel->rows, startup, total, root->query_pathkeys,
												NULL, NIL));
}

void
vssfdw_deparse_order(VssDeparse *context, List *pathkeys)
{
	const char *separator = " ORDER BY ";
	ListCell *cell;

	foreach (cell, pathkeys)
	{
		PathKey *pathkey = lfirst_node(PathKey, cell);
		bool descending;

#if PG_VERSION_NUM >= 180000
		descending = pathkey->pk_cmptype == COMPARE_GT;
#else
		descending = pathkey->pk_strategy == BTGreaterStrategyNumber;
#endif
		appendStringInfoString(context->buf, separator);
		vssfdw_deparse_expr(context, vssfdw_order_expr(context->root, context->rel, pathkey));
		appendStringInfo(context->buf, "%s NULLS %s", descending ? " DESC" : "",
						 pathkey->pk_nulls_first ? "FIRST" : "LAST");
		separator = ", ";
	}
}
