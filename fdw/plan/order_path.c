/*
 * order_path.c
 *		ORDER BY, LIMIT and OFFSET that SQLite does.
 *
 * Order is offered for what the query sorts by in the end; where the rowid or
 * an index of SQLite has that order the rows come without a sort.  LIMIT and
 * OFFSET are the last thing a query does, so they go down only when everything
 * else has: conditions, groups, DISTINCT and order.
 *
 * PostgreSQL reads a NULL count as none and refuses negative ones, SQLite does
 * neither.  Counts that are known are checked here, others when they are bound
 * (scan.c).
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
#include "optimizer/tlist.h"

#include "fdw/plan/plan.h"

/* ---------- what SQLite can sort by ---------- */

/*
 * Whether all that the member is made of is in the rows.  Since PostgreSQL 16 a
 * value of an outer join's inner side names that join among its relations too:
 * it is there above the join, not below.
 */
static bool
is_visible(PlannerInfo *root, RelOptInfo *rel, const EquivalenceMember *member)
{
	const RelOptInfo *rows = VSS_REL(rel)->input != NULL ? VSS_REL(rel)->input : rel;
	Relids there = bms_union(vssfdw_visible_relids(rel), bms_intersect(rows->relids, VSS_OUTER_JOINS(root)));

	return bms_is_subset(member->em_relids, there);
}

/* Whether the member of a pathkey's class is something that SQLite has, and sorts likewise. */
static bool
is_sortable_member(PlannerInfo *root, RelOptInfo *rel, const EquivalenceMember *member, PathKey *pathkey)
{
	const VssRel *state = VSS_REL(rel);

	/* those of partitions are of use to the partitions alone */
	if (member->em_is_const || (member->em_is_child && (state->input != NULL || !IS_OTHER_REL(rel))))
		return false;
	if (state->input != NULL)
	{
		/* of a group only what is fetched has one value; count(*) is of no relation */
		if (tlist_member(member->em_expr, state->grouped_tlist) == NULL)
			return false;
	}
	else if (bms_is_empty(member->em_relids))
		return false;
	return is_visible(root, rel, member) && vssfdw_is_shippable_order(root, rel, member->em_expr, pathkey);
}

Expr *
vssfdw_order_expr(PlannerInfo *root, RelOptInfo *rel, PathKey *pathkey)
{
	EquivalenceClass *ec = pathkey->pk_eclass;
	EquivalenceMember *member;

	if (ec->ec_has_volatile)
		return NULL;
	VSS_FOREACH_MEMBER(member, ec, rel->relids)
	{
		if (is_sortable_member(root, rel, member, pathkey))
			return member->em_expr;
	}
	return NULL;
}

static bool
all_sortable(PlannerInfo *root, RelOptInfo *rel, List *pathkeys)
{
	ListCell *cell;

	foreach (cell, pathkeys)
	{
		if (vssfdw_order_expr(root, rel, lfirst(cell)) == NULL)
			return false;
	}
	return true;
}

/* A column that cannot be NULL in the rows of this relation. */
static bool
is_never_null(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	const VssRel *state = VSS_REL(rel);
	const VssPlanColumn *column;

	/* the other side of an outer join may lack its row */
	if (!IsA(expr, Var) || state->outer != NULL ||
		(state->input != NULL && VSS_REL(state->input)->outer != NULL))
		return false;
	column = vssfdw_var_column(root, (Var *) expr);
	return column != NULL && column->not_null;
}

/* ---------- order that costs nothing ---------- */

/* The SQLite name of the column that the pathkey sorts a base relation by, or NULL. */
static const char *
sorted_column(PlannerInfo *root, RelOptInfo *rel, PathKey *pathkey)
{
	Expr *expr = vssfdw_order_expr(root, rel, pathkey);
	const VssPlanColumn *column;

	if (expr == NULL || !IsA(expr, Var))
		return NULL;
	column = vssfdw_var_column(root, (Var *) expr);
	return column != NULL && column->reader == NULL ? column->name : NULL;
}

/* Whether SQLite's column cannot be NULL. */
static bool
is_not_null(const VssRel *state, const char *name)
{
	for (int i = 0; i < state->natts; i++)
	{
		if (state->columns[i].name != NULL && pg_strcasecmp(state->columns[i].name, name) == 0)
			return state->columns[i].not_null;
	}
	return false;
}

/* A key's column at place (from 0), or the rowid behind its last one; NULL beyond, and where that has no name. */
static const char *
key_column(const VssTableInfo *info, const VssTableKey *key, int place, bool *descending)
{
	*descending = false;
	if (place >= list_length(key->columns))
		return place == list_length(key->columns) && key->whole ? info->rowid_alias : NULL;
	*descending = list_nth_int(key->descending, place);
	return list_nth(key->columns, place);
}

/*
 * Whether walking the key, forwards or backwards, gives the order.  Columns that
 * conditions fix to a value may be passed over.  A key ends with the rowid, and
 * what follows the whole of a unique one without NULLs decides nothing.  NULLs
 * are the least values; where they are wanted at the other end SQLite makes two
 * walks, for the first column alone.
 */
static bool
key_gives_order(PlannerInfo *root, RelOptInfo *rel, const VssTableKey *key, List *pathkeys)
{
	const VssRel *state = VSS_REL(rel);
	bool unique = key->unique;
	bool backwards = false;
	bool first = true;
	int place = 0;
	ListCell *cell;

	foreach (cell, pathkeys)
	{
		PathKey *pathkey = lfirst(cell);
		const char *name = sorted_column(root, rel, pathkey);
		const char *column;
		bool descending;

		if (place >= list_length(key->columns) && unique)
			return true;
		if (name == NULL)
			return false;
		while ((column = key_column(state->info, key, place, &descending)) != NULL &&
			   pg_strcasecmp(name, column) != 0 && vssfdw_is_fixed_column(rel, column))
			place++;
		if (place >= list_length(key->columns) && unique)
			return true;
		if (column == NULL || pg_strcasecmp(name, column) != 0)
			return false;
		if (first)
			backwards = VSS_PATHKEY_DESCENDS(pathkey) != descending;
		else if (VSS_PATHKEY_DESCENDS(pathkey) != (descending != backwards))
			return false;
		if (!is_not_null(state, column))
		{
			if (!first && pathkey->pk_nulls_first == VSS_PATHKEY_DESCENDS(pathkey))
				return false;
			unique = false;
		}
		/* the rowid */
		if (place == list_length(key->columns))
			return true;
		first = false;
		place++;
	}
	return true;
}

/* Whether SQLite has rows in this order without sorting them; *by_rowid: as the table lies. */
static bool
comes_in_order(PlannerInfo *root, RelOptInfo *rel, List *pathkeys, bool *by_rowid)
{
	const VssRel *state = VSS_REL(rel);
	const VssTableKey *walked;
	ListCell *cell;

	if (state->input != NULL)
	{
		*by_rowid = true;
		return list_length(pathkeys) == 1 && state->grouped_by != NULL &&
			   equal(vssfdw_order_expr(root, rel, linitial(pathkeys)), state->grouped_by);
	}
	if (state->outer != NULL)
		return false;
	/* finding few rows by another key and sorting these is less work */
	walked = vssfdw_walked_key(root, rel);
	foreach (cell, state->info->keys)
	{
		const VssTableKey *key = lfirst(cell);

		if (key->columns != NIL && (walked == NULL || walked == key) &&
			key_gives_order(root, rel, key, pathkeys))
		{
			*by_rowid = key->name == NULL;
			return true;
		}
	}
	return false;
}

/*
 * Add what sorting costs.  limit is how many rows are wanted, 0 for all: SQLite
 * keeps only so many in its sorter.
 */
static void
add_sort_cost(PlannerInfo *root, RelOptInfo *rel, List *pathkeys, double limit, Cost *startup, Cost *total)
{
	const VssRel *state = VSS_REL(rel);
	double rows = state->remote_rows;
	double kept = limit > 0 ? Min(limit, rows) : rows;
	bool by_rowid = false;
	Cost sort;

	if (pathkeys == NIL)
		return;
	if (comes_in_order(root, rel, pathkeys, &by_rowid))
	{
		/* each row is looked up, in another order than the table's */
		if (!by_rowid)
			*total += rows * cpu_index_tuple_cost;
		return;
	}
	/* SQLite sorts records of bytes: a little dearer than sorting here */
	sort = 2.2 * cpu_operator_cost * rows * log2(Max(kept, 2));
	*total += sort;
	*startup += sort;
	/* sorting comes after the walk, which the startup of most groups has already */
	if (state->input == NULL || state->grouped_by != NULL || state->distinct)
		*startup += state->walk_cost;
	*startup = Min(*startup, *total);
}

/* ---------- sorted paths of tables and joins ---------- */

void
vssfdw_add_sorted_path(PlannerInfo *root, RelOptInfo *rel, Cost startup, Cost total)
{
	if (root->query_pathkeys == NIL || !bms_is_empty(rel->lateral_relids) ||
		!all_sortable(root, rel, root->query_pathkeys))
		return;
	add_sort_cost(root, rel, root->query_pathkeys, 0, &startup, &total);
	if (IS_JOIN_REL(rel))
		add_path(rel, (Path *) create_foreign_join_path(
						  root, rel, NULL, rel->rows, VSS_DISABLED_NODES(0) startup, total,
						  root->query_pathkeys, NULL, NULL, VSS_RESTRICTINFO(NIL) NIL));
	else
		add_path(rel, (Path *) vssfdw_make_path(root, rel, rel->rows, startup, total, root->query_pathkeys,
												NULL, NIL));
}

/* ---------- what comes last ---------- */

/* Whether a count may go down: one that PostgreSQL would refuse is left to it. */
static bool
is_shippable_count(PlannerInfo *root, RelOptInfo *rel, Node *count)
{
	if (count == NULL)
		return true;
	if (IsA(count, Const))
		return ((Const *) count)->constisnull || DatumGetInt64(((Const *) count)->constvalue) >= 0;
	return vssfdw_is_bindable(root, rel, (Expr *) count);
}

/* Whether everything that the target is made of can be fetched from below. */
static bool
is_shippable_target(PlannerInfo *root, RelOptInfo *core, PathTarget *target)
{
	ListCell *cell;

	if (contain_volatile_functions((Node *) target->exprs))
		return false;
	/* what groups give was settled with them */
	if (VSS_REL(core)->input != NULL)
		return true;
	foreach (cell, pull_var_clause((Node *) target->exprs, PVC_RECURSE_PLACEHOLDERS))
	{
		Var *var = lfirst(cell);

		if (!IsA(var, Var) || vssfdw_var_column(root, var) == NULL)
			return false;
	}
	return true;
}

/* The VssRel of a relation that is another one's rows, sorted or cut. */
static VssRel *
wrap(RelOptInfo *core)
{
	VssRel *state = vssfdw_rel_above(core);

	state->core = core;
	return state;
}

static void
add_last_path(PlannerInfo *root, RelOptInfo *output, PathTarget *target, List *pathkeys, double rows,
			  Cost startup, Cost total)
{
	startup += target->cost.startup;
	total += target->cost.startup + rows * target->cost.per_tuple;
	vssfdw_add_upper_path(root, output, target, rows, startup, total, pathkeys);
}

void
vssfdw_add_ordered_path(PlannerInfo *root, RelOptInfo *input, RelOptInfo *ordered)
{
	RelOptInfo *core = VSS_REL(input)->core != NULL ? VSS_REL(input)->core : input;
	VssRel *below = VSS_REL(core);
	PathTarget *target = root->upper_targets[UPPERREL_ORDERED];
	Cost startup = below->startup_cost;
	Cost total = below->total_cost;

	if (!all_sortable(root, core, root->sort_pathkeys) || !is_shippable_target(root, core, target))
		return;
	ordered->fdw_private = wrap(core);
	/* tables and joins have their sorted paths */
	if (below->input == NULL)
		return;
	add_sort_cost(root, core, root->sort_pathkeys, 0, &startup, &total);
	add_last_path(root, ordered, target, root->sort_pathkeys, below->rows, startup, total);
}

void
vssfdw_add_final_path(PlannerInfo *root, RelOptInfo *input, RelOptInfo *final, FinalPathExtraData *extra)
{
	RelOptInfo *core = VSS_REL(input)->core != NULL ? VSS_REL(input)->core : input;
	VssRel *below = VSS_REL(core);
	Query *parse = root->parse;
	PathTarget *target = root->upper_targets[UPPERREL_FINAL];
	VssRel *state;
	double rows = below->rows;
	Cost startup = below->startup_cost;
	Cost total = below->total_cost;

	if (!extra->limit_needed || parse->limitOption == LIMIT_OPTION_WITH_TIES)
		return;
	if (!all_sortable(root, core, root->sort_pathkeys) || !is_shippable_target(root, core, target) ||
		!is_shippable_count(root, core, parse->limitCount) ||
		!is_shippable_count(root, core, parse->limitOffset))
		return;

	state = wrap(core);
	state->limit = (Expr *) parse->limitCount;
	state->offset = (Expr *) parse->limitOffset;
	final->fdw_private = state;

	add_sort_cost(root, core, root->sort_pathkeys, Max(extra->limit_tuples, 0), &startup, &total);
	adjust_limit_rows_costs(&rows, &startup, &total, extra->offset_est, extra->count_est);
	/* there is no node above that takes each row on */
	total = Max(startup, total - rows * cpu_operator_cost);
	add_last_path(root, final, target, root->sort_pathkeys, rows, startup, total);
}

/* ---------- SQL ---------- */

void
vssfdw_deparse_order(VssDeparse *context, List *pathkeys)
{
	const char *separator = " ORDER BY ";
	ListCell *cell;

	foreach (cell, pathkeys)
	{
		PathKey *pathkey = lfirst_node(PathKey, cell);
		Expr *expr = vssfdw_order_expr(context->root, context->rel, pathkey);

		appendStringInfoString(context->buf, separator);
		vssfdw_deparse_expr(context, expr);
		if (VSS_PATHKEY_DESCENDS(pathkey))
			appendStringInfoString(context->buf, " DESC");
		/* said needlessly it would keep SQLite from using an index */
		if (!is_never_null(context->root, context->rel, expr))
			appendStringInfo(context->buf, " NULLS %s", pathkey->pk_nulls_first ? "FIRST" : "LAST");
		separator = ", ";
	}
}

/* A count, which is a parameter of its own where it is not known. */
static int
put_count(VssDeparse *context, Expr *count)
{
	if (IsA(count, Const))
	{
		appendStringInfo(context->buf, INT64_FORMAT, DatumGetInt64(((Const *) count)->constvalue));
		return 0;
	}
	context->params = lappend(context->params, count);
	appendStringInfo(context->buf, "?%d", context->first_param + list_length(context->params) - 1);
	return context->first_param + list_length(context->params) - 1;
}

static bool
is_given(const Expr *count)
{
	return count != NULL && !(IsA(count, Const) && ((const Const *) count)->constisnull);
}

List *
vssfdw_deparse_limit(VssDeparse *context, const VssRel *state)
{
	int limit = 0;
	int offset = 0;

	if (is_given(state->limit))
	{
		appendStringInfoString(context->buf, " LIMIT ");
		limit = put_count(context, state->limit);
	}
	else if (is_given(state->offset))
		appendStringInfoString(context->buf, " LIMIT -1");
	if (is_given(state->offset))
	{
		appendStringInfoString(context->buf, " OFFSET ");
		offset = put_count(context, state->offset);
	}
	return list_make2_int(limit, offset);
}
