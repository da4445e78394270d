/*
 * join_path.c
 *		Joins of tables of one server that SQLite does.
 *
 * Inner, left, full, semi and anti joins go down when both sides do, with
 * nothing left to PostgreSQL below them, and when their conditions are
 * shippable.  PostgreSQL turns right joins around.  Full joins are SQLite's from
 * 3.39 on.
 *
 * Conditions travel as in postgres_fdw: those of an inner join's sides move up
 * into the WHERE of the whole; those of a left join's inner side belong to its
 * ON.  Those of a full join's sides stay with them: tables become subqueries, and
 * what an inner join adds is its ON; an outer join that adds some is no side of
 * a full one.  A semi or anti join is the outer side with one more [NOT] EXISTS.
 *
 * A query that locks or changes rows of other tables may have EvalPlanQual check
 * a row of the join again: it wants whole rows of the joined tables, and a plan
 * of PostgreSQL's for the join, which is one of those made already.  With the
 * changed table itself in it the join is described, too, but has no path: when
 * all of the query's tables are in it, SQLite may do the whole (direct_plan.c).
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
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"

#include "fdw/plan/plan.h"

/* SQLite joins at most 64 tables. */
#define MAX_RELATIONS 60

/* SQLite has FULL JOIN since this version. */
#define FULL_JOIN_VERSION 3039000

Relids
vssfdw_visible_relids(RelOptInfo *rel)
{
	const VssRel *state = VSS_REL(rel);

	if (state->input != NULL)
		return vssfdw_visible_relids(state->input);
	if (state->outer == NULL)
		return state->relids;
	if (state->jointype == JOIN_SEMI || state->jointype == JOIN_ANTI)
		return vssfdw_visible_relids(state->outer);
	return bms_union(vssfdw_visible_relids(state->outer), vssfdw_visible_relids(state->inner));
}

/* A side that SQLite can read inside a join: ours, nothing left to PostgreSQL. */
static bool
is_joinable(RelOptInfo *rel)
{
	VssRel *side = VSS_REL(rel);

	return side != NULL && side->local_conds == NIL && side->knn_predicate == NULL && side->input == NULL &&
		   bms_is_empty(rel->lateral_relids);
}

/* A value that is made below this join but above one of its sides cannot be fetched. */
static bool
has_placeholder_inside(PlannerInfo *root, RelOptInfo *joinrel)
{
	ListCell *cell;

	foreach (cell, root->placeholder_list)
	{
		PlaceHolderInfo *info = lfirst(cell);

		if (bms_is_subset(info->ph_eval_at, joinrel->relids))
			return true;
	}
	return false;
}

/* The inner side's columns are NULL above an anti join, so that this is true. */
static bool
is_null_of_inner(RelOptInfo *innerrel, Expr *clause)
{
	NullTest *test = (NullTest *) clause;

	return IsA(clause, NullTest) && test->nulltesttype == IS_NULL && IsA(test->arg, Var) &&
		   bms_is_member(((Var *) test->arg)->varno, innerrel->relids);
}

/*
 * Whether rows of a join can be fetched, or only their addresses used within
 * SQLite (direct_plan.c).  A command that changes a foreign table reads the others
 * with care for what it has changed already, for which joins are no use.
 */
static bool
is_fetchable(PlannerInfo *root)
{
	CmdType command = root->parse->commandType;
	int rti = -1;

	if (command == CMD_SELECT || command == CMD_INSERT)
		return true;
	while ((rti = bms_next_member(root->all_result_relids, rti)) >= 0)
	{
		if (root->simple_rte_array[rti]->relkind == RELKIND_FOREIGN_TABLE)
			return false;
	}
	return true;
}

/* Whether EvalPlanQual may want to check rows again. */
static bool
needs_recheck(PlannerInfo *root)
{
	CmdType command = root->parse->commandType;

	return root->rowMarks != NIL || (command != CMD_SELECT && command != CMD_INSERT);
}

/* Above a semi or anti join only columns of the outer side can be had. */
static bool
wants_inner(PlannerInfo *root, VssRel *join, RelOptInfo *joinrel)
{
	Relids inner = VSS_REL(join->inner)->relids;
	List *conds = extract_actual_clauses(list_concat_copy(join->remote_conds, join->local_conds), false);

	/* whole rows of it that only a command in SQLite has marks for are not looked at */
	return (is_fetchable(root) &&
			bms_overlap(pull_varnos(root, (Node *) joinrel->reltarget->exprs), inner)) ||
		   bms_overlap(pull_varnos(root, (Node *) conds), inner);
}

static bool
is_true(Expr *clause)
{
	const Const *c = (const Const *) clause;

	return IsA(clause, Const) && !c->constisnull && DatumGetBool(c->constvalue);
}

/* Split the join's own clauses; false when one that must go down cannot. */
static bool
split_clauses(PlannerInfo *root, RelOptInfo *joinrel, JoinType jointype, List *restrictlist)
{
	VssRel *join = VSS_REL(joinrel);
	ListCell *cell;

	foreach (cell, restrictlist)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);
		bool shippable = vssfdw_is_shippable(root, joinrel, info->clause);

		/* what is left of an outer join's clause, since PostgreSQL 16, when both sides are compared with a constant */
		if (is_true(info->clause))
			continue;
		/* PostgreSQL has no node to test it in above such a join */
		if (info->pseudoconstant)
			return false;

		if (IS_OUTER_JOIN(jointype) && !RINFO_IS_PUSHED_DOWN(info, joinrel->relids))
		{
			if (!shippable)
				return false;
			join->join_clauses = lappend(join->join_clauses, info);
		}
		else if (jointype == JOIN_ANTI && is_null_of_inner(join->inner, info->clause))
			continue;
		else if (jointype == JOIN_SEMI)
		{
			if (!shippable)
				return false;
			join->join_clauses = lappend(join->join_clauses, info);
		}
		else if (shippable)
			join->remote_conds = lappend(join->remote_conds, info);
		else
			join->local_conds = lappend(join->local_conds, info);
	}
	if (jointype == JOIN_SEMI || jointype == JOIN_ANTI)
		return !wants_inner(root, join, joinrel);
	return true;
}

/* Whether the side's conditions can be written below a full join: see deparse_select.c. */
static bool
keeps_conditions(const VssRel *side)
{
	if (side->outer == NULL)
		return true;
	return side->exists == NIL && (side->own_conds == NIL || side->jointype == JOIN_INNER) &&
		   keeps_conditions(VSS_REL(side->outer)) && keeps_conditions(VSS_REL(side->inner));
}

/* Bring the sides' conditions to where the join's statement has them. */
static bool
merge_sides(VssRel *join)
{
	VssRel *outer = VSS_REL(join->outer);
	VssRel *inner = VSS_REL(join->inner);
	VssExists *exists;

	/* the sides' conditions are of the rows that go into a full join: they stay with the sides */
	join->own_conds = list_copy(join->remote_conds);
	if (join->jointype == JOIN_FULL)
		return keeps_conditions(outer) && keeps_conditions(inner);

	join->remote_conds = list_concat(join->remote_conds, outer->remote_conds);
	join->exists = list_copy(outer->exists);
	switch (join->jointype)
	{
		case JOIN_INNER:
			join->remote_conds = list_concat(join->remote_conds, inner->remote_conds);
			join->exists = list_concat(join->exists, inner->exists);
			return true;
		case JOIN_LEFT:
			if (inner->exists != NIL)
				return false;
			join->join_clauses = list_concat(join->join_clauses, inner->remote_conds);
			return true;
		case JOIN_SEMI:
		case JOIN_ANTI:
			exists = palloc0(sizeof(VssExists));
			exists->anti = join->jointype == JOIN_ANTI;
			exists->inner = join->inner;
			exists->clauses = join->join_clauses;
			join->exists = lappend(join->exists, exists);
			return true;
		default:
			return false;
	}
}

/*
 * Whether a clause is of a column that only an EXISTS of one of the sides has.
 * PostgreSQL's own semi joins do give the inner side's columns, so it may take
 * one of these for its equal of the outer side.
 */
static bool
wants_hidden(PlannerInfo *root, VssRel *join, List *restrictlist)
{
	Relids visible = bms_union(vssfdw_visible_relids(join->outer), vssfdw_visible_relids(join->inner));
	Relids wanted = pull_varnos(root, (Node *) extract_actual_clauses(restrictlist, false));

	return bms_overlap(wanted, bms_difference(join->relids, visible));
}

/* Whether the join goes down; then joinrel's VssRel says how. */
static bool
prepare_join(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
			 JoinType jointype, List *restrictlist)
{
	VssRel *join;

	if (jointype != JOIN_INNER && jointype != JOIN_LEFT && jointype != JOIN_SEMI && jointype != JOIN_ANTI &&
		!(jointype == JOIN_FULL && sqlite3_libversion_number() >= FULL_JOIN_VERSION))
		return false;
	if (!is_joinable(outerrel) || !is_joinable(innerrel))
		return false;
	if (has_placeholder_inside(root, joinrel))
		return false;

	join = palloc0(sizeof(VssRel));
	joinrel->fdw_private = join;
	join->conn = VSS_REL(outerrel)->conn;
	join->server = VSS_REL(outerrel)->server;
	join->outer = outerrel;
	join->inner = innerrel;
	join->jointype = jointype;
	join->relids = bms_union(VSS_REL(outerrel)->relids, VSS_REL(innerrel)->relids);
	if (bms_num_members(join->relids) > MAX_RELATIONS)
		return false;
	if (wants_hidden(root, join, restrictlist) || !split_clauses(root, joinrel, jointype, restrictlist) ||
		!merge_sides(join))
		return false;
	/* conditions left to PostgreSQL may want columns as well */
	return !is_fetchable(root) ||
		   (vssfdw_has_rows_of(joinrel, joinrel->reltarget->exprs) &&
			vssfdw_has_rows_of(joinrel, extract_actual_clauses(join->local_conds, false)));
}

/* Whether the clause gives SQLite the value of a bare column of the side: it looks that up, in an index or one of its making. */
static bool
is_lookup(PlannerInfo *root, RelOptInfo *joinrel, Expr *clause, Relids side)
{
	const VssTerm *term = vssfdw_term(root, joinrel, clause);

	if (term->kind != VSS_TERM_COMPARISON || term->how != BTEqualStrategyNumber)
		return false;
	for (int i = 0; i < 2; i++)
	{
		const VssTerm *arg = list_nth(term->args, i);
		const VssTerm *other = list_nth(term->args, 1 - i);
		const VssPlanColumn *column = vssfdw_term_column(root, arg);

		if (column != NULL && column->reader == NULL && bms_is_member(((Var *) arg->expr)->varno, side) &&
			!bms_overlap(pull_varnos(root, (Node *) other->expr), side))
			return true;
	}
	return false;
}

/* Whether SQLite need not walk one side for every row of the other. */
static bool
has_lookup(PlannerInfo *root, RelOptInfo *joinrel, List *restrictlist)
{
	const VssRel *join = VSS_REL(joinrel);
	ListCell *cell;

	foreach (cell, restrictlist)
	{
		Expr *clause = lfirst_node(RestrictInfo, cell)->clause;

		if (is_lookup(root, joinrel, clause, VSS_REL(join->inner)->relids) ||
			(join->jointype == JOIN_INNER && is_lookup(root, joinrel, clause, VSS_REL(join->outer)->relids)))
			return true;
	}
	return false;
}

static void
cost_join(PlannerInfo *root, RelOptInfo *joinrel, List *restrictlist, Cost *startup, Cost *total)
{
	VssRel *join = VSS_REL(joinrel);
	VssRel *outer = VSS_REL(join->outer);
	VssRel *inner = VSS_REL(join->inner);
	QualCost local;
	/* the inner side is walked once to be indexed, or looked up in an index that is there */
	Cost build = inner->walk_cost + inner->remote_rows * cpu_operator_cost * log2(inner->remote_rows + 2);
	Cost lookup = cpu_operator_cost * log2(inner->remote_rows + 2);

	if (inner->outer == NULL)
	{
		Cost probe_startup;
		Cost probe;

		vssfdw_cost_scan(root, join->inner, restrictlist, 1, &probe_startup, &probe);
		probe = probe - probe_startup - join->server->fdw_tuple_cost - vssfdw_vectors_cost(join->inner);
		if (outer->remote_rows * probe < build)
		{
			build = 0;
			lookup = probe;
		}
	}
	if (!has_lookup(root, joinrel, restrictlist))
	{
		build = 0;
		lookup = inner->walk_cost;
	}

	cost_qual_eval(&local, join->local_conds, root);
	join->remote_rows =
		clamp_row_est(joinrel->rows / clauselist_selectivity(root, join->local_conds, 0, JOIN_INNER, NULL));
	join->walk_cost =
		outer->walk_cost + build + outer->remote_rows * lookup + join->remote_rows * cpu_tuple_cost;
	*startup = join->server->fdw_startup_cost + local.startup + joinrel->reltarget->cost.startup;
	*total = *startup + join->walk_cost +
			 join->remote_rows * (join->server->fdw_tuple_cost + cpu_tuple_cost + local.per_tuple) +
			 joinrel->rows * joinrel->reltarget->cost.per_tuple;
}

void
vssGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
					   JoinType jointype, JoinPathExtraData *extra)
{
	Path *recheck = NULL;
	Cost startup;
	Cost total;

	/* the first pair of sides decides for all */
	if (joinrel->fdw_private != NULL || !bms_is_empty(joinrel->lateral_relids))
		return;
	if (!is_fetchable(root) && root->parse->commandType != CMD_UPDATE &&
		root->parse->commandType != CMD_DELETE)
		return;
	if (!prepare_join(root, joinrel, outerrel, innerrel, jointype, extra->restrictlist))
	{
		/* another pair may do */
		joinrel->fdw_private = NULL;
		return;
	}
	cost_join(root, joinrel, extra->restrictlist, &startup, &total);
	VSS_REL(joinrel)->rows = joinrel->rows;
	VSS_REL(joinrel)->startup_cost = startup;
	VSS_REL(joinrel)->total_cost = total;
	if (!is_fetchable(root) || (needs_recheck(root) && (recheck = GetExistingLocalJoinPath(joinrel)) == NULL))
		return;
	add_path(joinrel, (Path *) create_foreign_join_path(
						  root, joinrel, NULL, joinrel->rows, VSS_DISABLED_NODES(0) startup, total, NIL,
						  joinrel->lateral_relids, recheck, VSS_RESTRICTINFO(extra->restrictlist) NIL));
	/* a merge join above would want the rechecking plan in that order as well */
	if (recheck == NULL)
		vssfdw_add_sorted_path(root, joinrel, startup, total);
}

/* "(a) LEFT JOIN (b)", for EXPLAIN. */
char *
vssfdw_relation_label(PlannerInfo *root, RelOptInfo *rel)
{
	VssRel *state = VSS_REL(rel);
	const char *word = "INNER JOIN";

	if (state->core != NULL)
		return vssfdw_relation_label(root, state->core);
	if (state->input != NULL)
		return psprintf("%s (%s)", state->distinct ? "Distinct of" : "Aggregate on",
						vssfdw_relation_label(root, state->input));
	if (state->outer == NULL)
		return pstrdup(root->simple_rte_array[rel->relid]->eref->aliasname);
	if (state->jointype == JOIN_LEFT)
		word = "LEFT JOIN";
	else if (state->jointype == JOIN_FULL)
		word = "FULL JOIN";
	else if (state->jointype == JOIN_SEMI)
		word = "SEMI JOIN";
	else if (state->jointype == JOIN_ANTI)
		word = "ANTI JOIN";
	return psprintf("(%s) %s (%s)", vssfdw_relation_label(root, state->outer), word,
					vssfdw_relation_label(root, state->inner));
}
