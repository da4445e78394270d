/*
 * paths.c
 *		Ways to read a foreign table, and the plan of the one chosen.
 *
 * A base relation gets a plain scan, scans parameterised by join clauses on
 * its rowid, primary key or indexed columns, and (knn_path.c) scans ordered by
 * distance.  The conditions are split once, when its size is estimated: the
 * VssRel says what SQLite evaluates and what stays here.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"

#include "fdw/plan/plan.h"

/* ---------- what the relation is ---------- */

/* Who evaluates the condition; *size: terms of those that SQLite does. */
static void
place_condition(PlannerInfo *root, RelOptInfo *baserel, RestrictInfo *restrict_info, int *size)
{
	VssRel *rel = VSS_REL(baserel);
	const VssTerm *term = vssfdw_term(root, baserel, restrict_info->clause);
	bool fits = *size + term->size <= VSS_MAX_SIZE;
	bool shipped = fits && vssfdw_may_ship(term);
	bool tried = fits && !shipped && vssfdw_may_try(term);

	if (shipped)
		rel->remote_conds = lappend(rel->remote_conds, restrict_info);
	else
		rel->local_conds = lappend(rel->local_conds, restrict_info);
	if (tried)
		rel->tried_conds = lappend(rel->tried_conds, restrict_info->clause);
	if (shipped || tried)
		*size += term->size;
}

static void
split_conditions(PlannerInfo *root, RelOptInfo *baserel)
{
	VssRel *rel = VSS_REL(baserel);
	int size = 0;
	ListCell *cell;

	foreach (cell, baserel->baserestrictinfo)
	{
		RestrictInfo *restrict_info = lfirst_node(RestrictInfo, cell);

		if (vssfdw_is_knn_predicate(root, baserel, restrict_info->clause))
		{
			if (rel->knn_predicate != NULL)
				ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
								errmsg("only one vss_knn condition can be applied to table \"%s\"",
									   get_rel_name(rel->relid)),
								errhint("Join the table with itself, or use vss_knn in FROM.")));
			rel->knn_predicate = restrict_info;
		}
		else
			place_condition(root, baserel, restrict_info, &size);
	}
}

void
vssGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid)
{
	VssRel *rel = palloc0(sizeof(VssRel));
	ListCell *cell;

	baserel->fdw_private = rel;
	rel->relid = foreigntableid;
	rel->relids = baserel->relids;
	rel->conn = vssfdw_connect(baserel->serverid);
	rel->server = vssfdw_server_options(GetForeignServer(baserel->serverid));
	rel->table = vssfdw_table_options(foreigntableid);
	rel->info = vssfdw_described(rel->conn, rel->table);
	vssfdw_load_columns(rel);
	split_conditions(root, baserel);

	pull_varattnos((Node *) baserel->reltarget->exprs, baserel->relid, &rel->attrs_used);
	foreach (cell, rel->local_conds)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, cell)->clause, baserel->relid, &rel->attrs_used);

	vssfdw_tell_unique_keys(baserel);
	vssfdw_estimate_size(root, baserel);
}

/* ---------- paths ---------- */

ForeignPath *
vssfdw_make_path(PlannerInfo *root, RelOptInfo *rel, double rows, Cost startup, Cost total, List *pathkeys,
				 Relids required_outer, List *items)
{
	return create_foreignscan_path(root, rel, NULL, rows, VSS_DISABLED_NODES(0) startup, total, pathkeys,
								   required_outer, NULL, VSS_RESTRICTINFO(NIL) items);
}

/* Whether some key of the SQLite table begins with this column, and can be used for it. */
static bool
has_key(const VssRel *rel, AttrNumber attnum)
{
	const VssPlanColumn *column = attnum > 0 ? &rel->columns[attnum - 1] : NULL;

	return column != NULL && column->name != NULL && (column->reader == NULL || vssfdw_has_bounds(column)) &&
		   vssfdw_leads_key(rel, column);
}

/* Whether SQLite can use the clause to look rows up: shippable, and on a leading key column or a full-text table. */
static bool
is_lookup_clause(PlannerInfo *root, RelOptInfo *baserel, RestrictInfo *restrict_info)
{
	VssRel *rel = VSS_REL(baserel);
	Bitmapset *attnums = NULL;
	int i = -1;

	if (!join_clause_is_movable_to(restrict_info, baserel))
		return false;
	if (!vssfdw_is_shippable(root, baserel, restrict_info->clause))
		return false;
	if (vssfdw_is_match(restrict_info->clause))
		return true;
	pull_varattnos((Node *) restrict_info->clause, baserel->relid, &attnums);
	while ((i = bms_next_member(attnums, i)) >= 0)
	{
		if (has_key(rel, i + FirstLowInvalidHeapAttributeNumber))
			return true;
	}
	return false;
}

typedef struct MemberArgument
{
	Expr *current;
	List *done;
} MemberArgument;

/* Callback of generate_implied_equalities_for_column: the next column in turn. */
static bool
member_matches(PlannerInfo *root, RelOptInfo *baserel, EquivalenceClass *ec, EquivalenceMember *em, void *arg)
{
	MemberArgument *state = arg;
	Expr *expr = em->em_expr;

	if (state->current != NULL)
		return equal(expr, state->current);
	if (list_member(state->done, expr))
		return false;
	state->current = expr;
	return true;
}

/* The result, and the clause's outer relations with those of LATERAL. */
static List *
add_parameters(PlannerInfo *root, RelOptInfo *baserel, RestrictInfo *restrict_info, List *result)
{
	Relids outer = bms_difference(restrict_info->clause_relids, baserel->relids);

	return list_append_unique_ptr(
		result, get_baserel_parampathinfo(root, baserel, bms_union(outer, baserel->lateral_relids)));
}

/* The sets of outer relations whose rows would let SQLite look rows up. */
static List *
lookup_parameters(PlannerInfo *root, RelOptInfo *baserel)
{
	List *result = NIL;
	ListCell *cell;

	foreach (cell, baserel->joininfo)
	{
		RestrictInfo *restrict_info = lfirst(cell);

		if (is_lookup_clause(root, baserel, restrict_info))
			result = add_parameters(root, baserel, restrict_info, result);
	}

	if (baserel->has_eclass_joins)
	{
		MemberArgument arg = {0};

		for (;;)
		{
			List *clauses;

			arg.current = NULL;
			clauses = generate_implied_equalities_for_column(root, baserel, member_matches, &arg,
															 baserel->lateral_referencers);
			if (arg.current == NULL)
				break;
			foreach (cell, clauses)
			{
				RestrictInfo *restrict_info = lfirst(cell);

				if (is_lookup_clause(root, baserel, restrict_info))
					result = add_parameters(root, baserel, restrict_info, result);
			}
			arg.done = lappend(arg.done, arg.current);
		}
	}
	return result;
}

static void
add_lookup_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	ListCell *cell;

	foreach (cell, lookup_parameters(root, baserel))
	{
		ParamPathInfo *info = lfirst(cell);
		List *clauses = NIL;
		ListCell *clause;
		Cost startup;
		Cost total;
		double rows;

		if (info == NULL)
			continue;
		foreach (clause, info->ppi_clauses)
		{
			if (vssfdw_is_shippable(root, baserel, lfirst_node(RestrictInfo, clause)->clause))
				clauses = lappend(clauses, lfirst(clause));
		}
		rows = Min(info->ppi_rows, vssfdw_lookup_rows(root, baserel, clauses));
		vssfdw_cost_scan(root, baserel, clauses, rows, &startup, &total);
		info->ppi_rows = rows;
		add_path(baserel, (Path *) vssfdw_make_path(root, baserel, rows, startup, total, NIL,
													info->ppi_req_outer, NIL));
	}
}

void
vssGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid)
{
	Cost startup;
	Cost total;

	if (VSS_REL(baserel)->knn_predicate != NULL)
	{
		vssfdw_add_predicate_path(root, baserel);
		return;
	}
	vssfdw_cost_scan(root, baserel, NIL, baserel->rows, &startup, &total);
	add_path(baserel, (Path *) vssfdw_make_path(root, baserel, baserel->rows, startup, total, NIL,
												baserel->lateral_relids, NIL));
	VSS_REL(baserel)->rows = baserel->rows;
	VSS_REL(baserel)->startup_cost = startup;
	VSS_REL(baserel)->total_cost = total;
	vssfdw_add_sorted_path(root, baserel, startup, total);
	add_lookup_paths(root, baserel);
	vssfdw_add_knn_paths(root, baserel);
	vssfdw_add_range_path(root, baserel);
	vssfdw_add_range_join_paths(root, baserel);
}

/* ---------- the plan ---------- */

/*
 * What is used of the rows, and what they are in order of: a Unique node above may
 * compare them by any column that is equal to the one it was asked for.
 */
static Bitmapset *
needed_attrs(PlannerInfo *root, RelOptInfo *baserel, List *pathkeys)
{
	Bitmapset *attrs = bms_copy(VSS_REL(baserel)->attrs_used);
	ListCell *cell;

	foreach (cell, pathkeys)
	{
		EquivalenceClass *ec = lfirst_node(PathKey, cell)->pk_eclass;
		EquivalenceMember *member;

		VSS_FOREACH_MEMBER(member, ec, baserel->relids)
		{
			if (IsA(vssfdw_strip_relabel(member->em_expr), Var) &&
				bms_equal(member->em_relids, baserel->relids))
				pull_varattnos((Node *) member->em_expr, baserel->relid, &attrs);
		}
	}
	return attrs;
}

/* Attribute numbers to fetch, in order; the rowid, that a ctid carries, last. */
static List *
needed_columns(const VssRel *rel, const Bitmapset *attrs)
{
	bool all = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, attrs);
	List *result = NIL;

	for (int i = 1; i <= rel->natts; i++)
	{
		if (rel->columns[i - 1].name != NULL &&
			(all || bms_is_member(i - FirstLowInvalidHeapAttributeNumber, attrs)))
			result = lappend_int(result, i);
	}
	if (bms_is_member(SelfItemPointerAttributeNumber - FirstLowInvalidHeapAttributeNumber, attrs))
		result = lappend_int(result, SelfItemPointerAttributeNumber);
	return result;
}

static List *
plan_scan(PlannerInfo *root, RelOptInfo *baserel, List *pathkeys, List *columns, List *remote_exprs,
		  List **exprs)
{
	StringInfoData buf;
	VssDeparse context = {.root = root, .rel = baserel, .buf = &buf, .first_param = 1};

	initStringInfo(&buf);
	vssfdw_deparse_select(&context, columns, remote_exprs);
	vssfdw_deparse_tried(&context, remote_exprs != NIL ? "AND" : "WHERE", VSS_REL(baserel)->tried_conds);
	vssfdw_deparse_order(&context, pathkeys);
	*exprs = context.params;
	return vssfdw_base_items(buf.data, columns, NIL, vssfdw_why_unused(root, baserel));
}

ForeignScan *
vssGetForeignPlan(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid, ForeignPath *best_path,
				  List *tlist, List *scan_clauses, Plan *outer_plan)
{
	VssRel *rel = VSS_REL(baserel);
	List *remote_exprs = NIL;
	List *local_exprs = NIL;
	List *scan_tlist = NIL;
	List *columns;
	List *items;
	List *exprs;
	ListCell *cell;

	if (!IS_SIMPLE_REL(baserel))
		return vssfdw_plan_remote(root, baserel, best_path, tlist, outer_plan);
	columns = needed_columns(rel, needed_attrs(root, baserel, best_path->path.pathkeys));
	foreach (cell, scan_clauses)
	{
		RestrictInfo *restrict_info = lfirst_node(RestrictInfo, cell);

		if (restrict_info->pseudoconstant || restrict_info == rel->knn_predicate)
			continue;
		if (list_member_ptr(rel->remote_conds, restrict_info))
			remote_exprs = lappend(remote_exprs, restrict_info->clause);
		else if (list_member_ptr(rel->local_conds, restrict_info))
			local_exprs = lappend(local_exprs, restrict_info->clause);
		else if (vssfdw_is_shippable(root, baserel, restrict_info->clause))
			remote_exprs = lappend(remote_exprs, restrict_info->clause);
		else
			local_exprs = lappend(local_exprs, restrict_info->clause);
	}

	if (best_path->fdw_private != NIL)
	{
		VssKnnPlan plan = {.root = root,
						   .baserel = baserel,
						   .path = best_path,
						   .tlist = tlist,
						   .columns = columns,
						   .remote_exprs = remote_exprs,
						   .local_exprs = local_exprs};

		items = vssfdw_plan_knn(&plan);
		scan_tlist = plan.scan_tlist;
		exprs = plan.exprs;
	}
	else
		items = plan_scan(root, baserel, best_path->path.pathkeys, columns, remote_exprs, &exprs);

	/*
	 * EvalPlanQual rechecks a row against the conditions that SQLite tested; it
	 * never comes to a query that neither writes nor locks.
	 */
	return make_foreignscan(
		tlist, local_exprs, baserel->relid, exprs, items, scan_tlist,
		root->parse->commandType != CMD_SELECT || root->rowMarks != NIL ? remote_exprs : NIL, outer_plan);
}

bool
vssIsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	/* a worker would have another SQLite connection and another snapshot */
	return false;
}
