/*
 * range.c
 *		Conditions that a search can end by: distance < x, and what means the same.
 *
 * Such a condition stays with PostgreSQL, which tests it on the rows that come.  The
 * index is asked for those within a bound of the distance (distance.c) that no row
 * fails which meets the condition.  Of an index kept by hand-written triggers it is not
 * sure that its distances are the rows'.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "fdw/plan/plan.h"

/* The value as double precision, or NULL. */
static Expr *
as_float8(Expr *value)
{
	switch (exprType((Node *) value))
	{
		case FLOAT8OID:
			return value;
		case FLOAT4OID:
			return (Expr *) makeFuncExpr(F_FLOAT8_FLOAT4, FLOAT8OID, list_make1(value), InvalidOid,
										 InvalidOid, COERCE_EXPLICIT_CAST);
		default:
			return NULL;
	}
}

bool
vssfdw_match_range(PlannerInfo *root, RelOptInfo *baserel, Expr *clause, VssRange *out)
{
	OpExpr *op = (OpExpr *) clause;
	int strategy;

	if (!IsA(clause, OpExpr) || list_length(op->args) != 2)
		return false;
	strategy = get_op_opfamily_strategy(op->opno, VSS_FLOAT_BTREE_FAM);
	if (strategy == 0 || strategy == BTEqualStrategyNumber)
		return false;
	for (int side = 0; side < 2; side++)
	{
		Expr *expr = list_nth(op->args, side);
		bool less = strategy == BTLessStrategyNumber || strategy == BTLessEqualStrategyNumber;
		bool below = less == (side == 0);

		out->value = as_float8(list_nth(op->args, 1 - side));
		if (out->value != NULL && vssfdw_is_bindable(root, baserel, out->value) &&
			vssfdw_match_distance(root, baserel, expr, &out->distance))
			return out->distance.falls != below && out->distance.index->declared &&
				   (!vssfdw_is_pgvector_distance(out->distance.expr) ||
					vssfdw_has_widened(out->distance.index->metric));
	}
	return false;
}

/* The query that a parameter is the only value of, or NULL. */
static const Query *
scalar_subquery(PlannerInfo *root, const Expr *expr)
{
	ListCell *cell;

	if (!IsA(expr, Param) || ((const Param *) expr)->paramkind != PARAM_EXEC)
		return NULL;
	foreach (cell, root->init_plans)
	{
		const SubPlan *plan = lfirst_node(SubPlan, cell);

		if (plan->subLinkType == EXPR_SUBLINK && plan->parParam == NIL && list_length(plan->setParam) == 1 &&
			linitial_int(plan->setParam) == ((const Param *) expr)->paramid)
			return list_nth_node(PlannerInfo, root->glob->subroots, plan->plan_id - 1)->parse;
	}
	return NULL;
}

/*
 * Whether two expressions have one value: they are the same, or two copies of a
 * scalar subquery.  One with LIMIT may give another row each time.
 */
static bool
same_value(PlannerInfo *root, const Expr *a, const Expr *b)
{
	const Query *first;
	const Query *second;

	if (equal(a, b))
		return true;
	first = scalar_subquery(root, a);
	second = first != NULL ? scalar_subquery(root, b) : NULL;
	return second != NULL && equal(first, second) && first->limitCount == NULL &&
		   first->limitOffset == NULL && first->rowMarks == NIL &&
		   !contain_volatile_functions((Node *) first);
}

bool
vssfdw_find_range(PlannerInfo *root, RelOptInfo *baserel, const VssDistance *distance, VssRange *out)
{
	ListCell *cell;

	foreach (cell, VSS_REL(baserel)->local_conds)
	{
		if (vssfdw_match_range(root, baserel, lfirst_node(RestrictInfo, cell)->clause, out) &&
			out->distance.index == distance->index && out->distance.attnum == distance->attnum &&
			same_value(root, out->distance.query, distance->query))
			return true;
	}
	return false;
}
