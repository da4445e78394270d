/*
 * knn_path.c
 *		When a query can be answered by an hnsw index.
 *
 * A scan ordered by distance is offered for the first sort key of the query,
 * when that has the order of a distance (distance.c) with NULLs last and an
 * index over the column serves the metric.  The order of an index is
 * approximate, and PostgreSQL would use an ordered path for more than the user
 * asked for: DISTINCT ON, GROUP BY, ntile() and min() take one too, and would
 * then give another answer.  So it is offered only where the query says that it
 * wants the first few: LIMIT, or a cursor.  Their numbers by rank() and its like
 * do not depend on the rows after them.
 *
 * The other operand may be anything that has one value during a scan: a
 * constant, a parameter, the outer row's vector inside LATERAL.
 *
 * A join in this order is PostgreSQL's, above such a scan, also where SQLite
 * could do it: k CROSS JOIN table CROSS JOIN other, streamed.  Measured, that
 * gains nothing: the other table is looked up once for each row in both, and
 * PostgreSQL remembers what it found (Memoize).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "fdw/plan/plan.h"

/* Rows that a LIMIT leaves whose number nobody knows. */
#define USUAL_COUNT 100

/* ---------- recognising ---------- */

bool
vssfdw_match_pathkey(PlannerInfo *root, RelOptInfo *baserel, PathKey *pathkey, VssDistance *out)
{
	EquivalenceClass *ec = pathkey->pk_eclass;
	EquivalenceMember *member;

	if (ec->ec_has_volatile || pathkey->pk_opfamily != VSS_FLOAT_BTREE_FAM)
		return false;
	VSS_FOREACH_MEMBER(member, ec, baserel->relids)
	{
		if (bms_equal(member->em_relids, baserel->relids) &&
			vssfdw_match_distance(root, baserel, member->em_expr, out) &&
			vssfdw_gives_order(baserel, out, VSS_PATHKEY_DESCENDS(pathkey), pathkey->pk_nulls_first))
			return true;
	}
	return false;
}

/*
 * Whether this is the query that planagg.c makes of min(): it has a LIMIT 1
 * that the user did not write.
 */
static bool
is_minmax_subquery(PlannerInfo *root)
{
	TargetEntry *entry;

	if (root->parent_root == NULL || !root->parent_root->parse->hasAggs ||
		list_length(root->processed_tlist) != 1)
		return false;
	entry = linitial_node(TargetEntry, root->processed_tlist);
	return entry->resname != NULL && strcmp(entry->resname, "agg_target") == 0;
}

/* Callback: whether there is a window function that needs more than the rows before the present one. */
static bool
looks_ahead(Node *node, void *unused)
{
	if (node == NULL)
		return false;
	if (IsA(node, WindowFunc))
	{
		Oid function = ((WindowFunc *) node)->winfnoid;

		return function != F_ROW_NUMBER && function != F_RANK_ && function != F_DENSE_RANK_;
	}
	return expression_tree_walker(node, looks_ahead, NULL);
}

/*
 * Whether the window functions say of the first rows what they would say without
 * LIMIT: they number the rows of one window in the order that the query has in
 * the end, or, where it has none, in which they come.
 */
static bool
numbers_first_rows(PlannerInfo *root)
{
	Query *parse = root->parse;

	return list_length(parse->windowClause) == 1 &&
		   linitial_node(WindowClause, parse->windowClause)->partitionClause == NIL &&
		   root->window_pathkeys != NIL &&
		   pathkeys_contained_in(root->sort_pathkeys, root->window_pathkeys) &&
		   !looks_ahead((Node *) root->processed_tlist, NULL);
}

/*
 * Whether the query wants the first rows by those very numbers: ORDER BY row_number() LIMIT n, as one half of
 * a hybrid search is written.  PostgreSQL sorts by them, and asks for all rows before.  But those after the
 * first n have greater numbers, or the same as the n-th, so that the scan may end with it.
 */
static bool
wants_first_numbers(PlannerInfo *root, RelOptInfo *baserel)
{
	Query *parse = root->parse;
	SortGroupClause *sort;
	List *tlist;
	Oid family;
	Oid type;
	int16 strategy;

	if (list_length(parse->windowClause) != 1 ||
		linitial_node(WindowClause, parse->windowClause)->partitionClause != NIL ||
		list_length(root->window_pathkeys) != 1 || looks_ahead((Node *) root->processed_tlist, NULL))
		return false;
	if (parse->limitCount == NULL || parse->limitOffset != NULL || parse->limitOption != LIMIT_OPTION_COUNT ||
		contain_volatile_functions(parse->limitCount) || contain_subplans(parse->limitCount))
		return false;
	if (list_length(parse->sortClause) != 1 || parse->hasTargetSRFs || root->rowMarks != NIL ||
		VSS_REL(baserel)->local_conds != NIL || !vssfdw_reads_alone(root, baserel, &tlist))
		return false;
	sort = linitial_node(SortGroupClause, parse->sortClause);
	return IsA(get_sortgroupclause_expr(sort, parse->targetList), WindowFunc) &&
		   get_ordering_op_properties(sort->sortop, &family, &type, &strategy) &&
		   strategy == BTLessStrategyNumber;
}

/* How many rows LIMIT leaves, as well as the planner can know. */
static double
estimated_count(PlannerInfo *root)
{
	const Const *count = (const Const *) estimate_expression_value(root, root->parse->limitCount);

	return IsA(count, Const) && !count->constisnull ? Max(DatumGetInt64(count->constvalue), 1) : USUAL_COUNT;
}

const char *
vssfdw_why_not_nearest(PlannerInfo *root, RelOptInfo *baserel)
{
	Query *parse = root->parse;
	const Const *count = (const Const *) parse->limitCount;

	if (count == NULL ? root->tuple_fraction <= 0 : IsA(count, Const) && count->constisnull)
		return "the query has no LIMIT";
	if (parse->distinctClause != NIL)
		return "DISTINCT needs all rows";
	if (parse->groupClause != NIL || parse->groupingSets != NIL || parse->hasAggs ||
		parse->havingQual != NULL)
		return "aggregates need all rows";
	if (parse->hasWindowFuncs && !numbers_first_rows(root) && !wants_first_numbers(root, baserel))
		return "window functions need all rows";
	if (parse->setOperations != NULL)
		return "UNION and its like need all rows";
	return is_minmax_subquery(root) ? "min() needs all rows" : NULL;
}

/* ---------- paths ---------- */

/* range, cut: NULL without; order: a VssKnnOrder */
static List *
path_private(const VssDistance *distance, Expr *k, Expr *ef, const VssRange *range, int order, Expr *cut,
			 bool prefilter)
{
	Node *const items[] = {
		[VSS_KNN_PATH_INDEX] = (Node *) makeString(distance->index->name),
		[VSS_KNN_PATH_COLUMN] = (Node *) makeInteger(distance->attnum),
		[VSS_KNN_PATH_DISTANCE] = (Node *) distance->expr,
		[VSS_KNN_PATH_QUERY] = (Node *) distance->query,
		[VSS_KNN_PATH_K] = (Node *) k,
		[VSS_KNN_PATH_EF] = (Node *) ef,
		[VSS_KNN_PATH_BOUND] = range != NULL ? (Node *) range->value : NULL,
		[VSS_KNN_PATH_STEPS] = range != NULL ? (Node *) range->distance.steps : NULL,
		[VSS_KNN_PATH_ORDER] = (Node *) makeInteger(order),
		[VSS_KNN_PATH_FALLS] = (Node *) makeBoolean(range != NULL && range->distance.falls),
		[VSS_KNN_PATH_CUT] = (Node *) cut,
		[VSS_KNN_PATH_PREFILTER] = (Node *) makeBoolean(prefilter),
	};

	return VSS_ITEMS(items, VSS_KNN_PATH_ITEMS);
}

/* Where rows without a distance are in the pathkey's order. */
static VssKnnOrder
order_of(const PathKey *pathkey, const VssDistance *distance)
{
	if (!distance->falls)
		return VSS_NEAREST_FIRST;
	return pathkey->pk_nulls_first ? VSS_FALLING_NULLS_FIRST : VSS_FALLING_NULLS_LAST;
}

/*
 * Of all pairs of rows so many are taken to be within a distance of each other: who joins by that looks
 * for the few that are alike, which PostgreSQL's guess for "less than", a third, would hide.
 */
#define SHARE_WITHIN 0.005

/* Few rows that match are as well fetched and sorted. */
#define FEW_SORTED 20

/*
 * What the costs of both paths are multiplied by.  To collect the matching rowids
 * takes the same walk as to fetch these rows, and to measure them in the index less
 * than to fetch their vectors: so it never costs more than the plain path, unless
 * there are but a few, and somebody knows that.
 */
static Cost
cost_scale(PlannerInfo *root, RelOptInfo *baserel, const VssIndexInfo *index, double limit)
{
	VssRel *rel = VSS_REL(baserel);
	Cost startup;
	Cost total;

	if (rel->remote_conds == NIL || (rel->remote_rows <= FEW_SORTED && !rel->guessed))
		return 1;
	vssfdw_cost_knn(root, baserel, index, limit, true, &startup, &total);
	return Min(1, rel->total_cost / total);
}

void
vssfdw_add_knn_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	VssRel *rel = VSS_REL(baserel);
	Cost scale;
	VssDistance distance;
	VssRange range;
	bool bounded;
	PathKey *pathkey;
	double limit = root->limit_tuples > 0 ? root->limit_tuples : 0;
	double rows = baserel->rows;
	Expr *cut = NULL;

	if (rel->info->indexes == NIL || root->query_pathkeys == NIL ||
		vssfdw_why_not_nearest(root, baserel) != NULL)
		return;
	pathkey = linitial_node(PathKey, root->query_pathkeys);
	if (!vssfdw_match_pathkey(root, baserel, pathkey, &distance))
		return;

	if (root->parse->hasWindowFuncs && wants_first_numbers(root, baserel))
	{
		cut = (Expr *) root->parse->limitCount;
		limit = estimated_count(root);
		rows = Min(rows, limit);
	}
	bounded = vssfdw_find_range(root, baserel, &distance, &range);
	scale = cost_scale(root, baserel, distance.index, limit);
	for (int prefilter = 0; prefilter <= (rel->remote_conds != NIL ? 1 : 0); prefilter++)
	{
		Cost startup;
		Cost total;

		vssfdw_cost_knn(root, baserel, distance.index, limit, prefilter, &startup, &total);
		startup *= scale;
		total *= scale;
		total = startup + (total - startup) * rows / baserel->rows;
		add_path(baserel,
				 (Path *) vssfdw_make_path(root, baserel, rows, startup, total, list_make1(pathkey),
										   baserel->lateral_relids,
										   path_private(&distance, NULL, NULL, bounded ? &range : NULL,
														order_of(pathkey, &distance), cut, prefilter)));
	}
}

void
vssfdw_add_range_path(PlannerInfo *root, RelOptInfo *baserel)
{
	VssRel *rel = VSS_REL(baserel);
	ListCell *cell;

	if (rel->info->indexes == NIL)
		return;
	foreach (cell, rel->local_conds)
	{
		VssRange range;
		Cost startup;
		Cost total;

		if (!vssfdw_match_range(root, baserel, lfirst_node(RestrictInfo, cell)->clause, &range))
			continue;
		vssfdw_cost_range(root, baserel, range.distance.index, baserel->rows, &startup, &total);
		add_path(baserel,
				 (Path *) vssfdw_make_path(
					 root, baserel, baserel->rows, startup, total, NIL, baserel->lateral_relids,
					 path_private(&range.distance, NULL, NULL, &range, VSS_NEAREST_FIRST, NULL, false)));
	}
}

void
vssfdw_add_range_join_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	VssRel *rel = VSS_REL(baserel);
	ListCell *cell;

	if (rel->info->indexes == NIL)
		return;
	foreach (cell, baserel->joininfo)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
		ParamPathInfo *parameters;
		VssRange range;
		Cost startup;
		Cost total;

		if (!join_clause_is_movable_to(clause, baserel) ||
			!vssfdw_match_range(root, baserel, clause->clause, &range))
			continue;
		parameters = get_baserel_parampathinfo(
			root, baserel,
			bms_union(bms_difference(clause->clause_relids, baserel->relids), baserel->lateral_relids));
		if (parameters == NULL)
			continue;
		parameters->ppi_rows = clamp_row_est(Min(parameters->ppi_rows, rel->tuples * SHARE_WITHIN));
		vssfdw_cost_range(root, baserel, range.distance.index, parameters->ppi_rows, &startup, &total);
		add_path(baserel,
				 (Path *) vssfdw_make_path(
					 root, baserel, parameters->ppi_rows, startup, total, NIL, parameters->ppi_req_outer,
					 path_private(&range.distance, NULL, NULL, &range, VSS_NEAREST_FIRST, NULL, false)));
	}
}

bool
vssfdw_is_knn_predicate(PlannerInfo *root, RelOptInfo *baserel, Expr *clause)
{
	FuncExpr *func = (FuncExpr *) clause;
	VssRel *rel = VSS_REL(baserel);
	AttrNumber attnum;
	List *indexes;

	if (!IsA(clause, FuncExpr) || func->funcid != vssfdw_oids()->knn_predicate)
		return false;
	attnum = vssfdw_own_column(baserel, linitial(func->args));
	indexes = vssfdw_column_indexes(rel, attnum);
	if (list_length(indexes) > 1)
		ereport(
			ERROR,
			(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
			 errmsg("column \"%s\" of foreign table \"%s\" has several hnsw indexes that vss_knn could mean",
					get_attname(rel->relid, attnum, false), get_rel_name(rel->relid)),
			 errdetail("In SQLite they are %s.", vssfdw_list_indexes(indexes)),
			 errhint("Import the index meant and use vss_knn('index', query, k) in FROM, or name the metric "
					 "by its "
					 "operator: ORDER BY column <=> query LIMIT k.")));
	if (indexes == NIL)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("vss_knn needs a column with an hnsw index as its first argument"),
			 attnum > 0 ? errdetail("Column \"%s\" of foreign table \"%s\" has none.",
									get_attname(rel->relid, attnum, false), get_rel_name(rel->relid))
						: 0,
			 errhint("Create one in SQLite: CREATE VIRTUAL TABLE ... USING hnsw(dim=..., content=...).")));
	for (int i = 1; i < list_length(func->args); i++)
	{
		if (!vssfdw_is_bindable(root, baserel, list_nth(func->args, i)))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("the vector, k and ef of vss_knn must not vary from row to row"),
							errhint("Use vss_knn in FROM, or ORDER BY ... LIMIT inside LATERAL.")));
	}
	return true;
}

void
vssfdw_add_predicate_path(PlannerInfo *root, RelOptInfo *baserel)
{
	VssRel *rel = VSS_REL(baserel);
	FuncExpr *func = (FuncExpr *) rel->knn_predicate->clause;
	VssDistance distance = {.attnum = vssfdw_own_column(baserel, linitial(func->args)),
							.query = lsecond(func->args)};
	Expr *k = lthird(func->args);
	Expr *ef = lfourth(func->args);
	double wanted = 10;
	List *pathkeys = NIL;
	Cost startup;
	Cost total;

	/* there is just one: see vssfdw_is_knn_predicate */
	distance.index = linitial(vssfdw_column_indexes(rel, distance.attnum));

	/* the rows come nearest first: of use when the query sorts by just that */
	if (root->query_pathkeys != NIL && distance.index->declared)
	{
		VssDistance sorted;

		if (vssfdw_match_pathkey(root, baserel, linitial(root->query_pathkeys), &sorted) &&
			sorted.attnum == distance.attnum && sorted.index == distance.index &&
			equal(sorted.query, distance.query))
		{
			distance.expr = sorted.expr;
			pathkeys = list_make1(linitial(root->query_pathkeys));
		}
	}

	k = (Expr *) estimate_expression_value(root, (Node *) k);
	if (IsA(k, Const) && !((Const *) k)->constisnull)
		wanted = Max(DatumGetInt64(((Const *) k)->constvalue), 1);
	wanted = Min(wanted, rel->tuples);

	vssfdw_cost_knn(root, baserel, distance.index, wanted, false, &startup, &total);
	total = startup + (total - startup) * wanted / rel->tuples;
	baserel->rows = clamp_row_est(Min(baserel->rows, wanted * baserel->rows / rel->tuples));
	add_path(baserel,
			 (Path *) vssfdw_make_path(
				 root, baserel, baserel->rows, startup, total, pathkeys, baserel->lateral_relids,
				 path_private(&distance, lthird(func->args), ef, NULL, VSS_NEAREST_FIRST, NULL, false)));
}
