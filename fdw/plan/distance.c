/*
 * distance.c
 *		Expressions that an index over distances has the order of.
 *
 * That is a distance from an indexed column, written as an operator or as a call
 * of its function, and what rises, or falls, with it: a constant added, taken
 * away or multiplied with, the negative, a cast between floating-point types.
 * Rounding keeps such an order, though it may make neighbours equal.
 *
 * Rows that come in the order of the distance are in the order of the whole; but
 * only as far as the distance is a number.  The zero vector's cosine distance is
 * NaN, which is greater than all numbers and stays so however it is computed with: in
 * a falling order it is first, and it meets every condition "greater than".  Such rows
 * are no part of a graph, and the executor asks for them apart (exec/knn.c).
 *
 * A bound of the whole is one of the distance, found by undoing the steps.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "fdw/plan/plan.h"

/*
 * So many steps, with constants between these, keep the number of a row far from
 * the ends of its type's range: no row that is never read would have been an error.
 */
#define MOST_STEPS 3
#define LEAST_CONSTANT 1e-10
#define MOST_CONSTANT 1e10

int
vssfdw_distance_metric(const Expr *expr, bool *pgvector, List **args)
{
	const VssOids *oids = vssfdw_oids();
	Oid function;

	if (expr != NULL && IsA(expr, OpExpr))
	{
		function = get_opcode(((const OpExpr *) expr)->opno);
		*args = ((const OpExpr *) expr)->args;
	}
	else if (expr != NULL && IsA(expr, FuncExpr))
	{
		function = ((const FuncExpr *) expr)->funcid;
		*args = ((const FuncExpr *) expr)->args;
	}
	else
		return 0;
	if (list_length(*args) != 2)
		return 0;
	for (int metric = BRIDGE_COSINE; metric <= BRIDGE_IP; metric++)
	{
		bool other =
			OidIsValid(oids->pgvector_op[metric]) && function == get_opcode(oids->pgvector_op[metric]);

		*pgvector = other && !oids->pgvector_is_ours;
		if (other || (OidIsValid(oids->op[metric]) && function == get_opcode(oids->op[metric])))
			return metric;
	}
	return 0;
}

AttrNumber
vssfdw_own_column(const RelOptInfo *baserel, Expr *expr)
{
	const Var *var = (const Var *) vssfdw_strip_relabel(expr);

	if (!IsA(var, Var) || var->varno != baserel->relid || var->varlevelsup != 0)
		return 0;
	return var->varattno;
}

/* The distance itself. */
static bool
match_plain(PlannerInfo *root, RelOptInfo *baserel, Expr *expr, VssDistance *out)
{
	List *args;
	bool pgvector;
	int metric = vssfdw_distance_metric(expr, &pgvector, &args);

	if (metric == 0)
		return false;
	out->expr = expr;
	/* all three distances are symmetric, to the last bit */
	for (int side = 0; side < 2; side++)
	{
		out->attnum = vssfdw_own_column(baserel, list_nth(args, side));
		out->query = list_nth(args, 1 - side);
		if (out->attnum <= 0 || !vssfdw_is_bindable(root, baserel, out->query))
			continue;
		out->index = vssfdw_column_index(VSS_REL(baserel), out->attnum, metric);
		if (out->index != NULL)
			return true;
	}
	return false;
}

/* A constant that is safe to compute with, of any sign. */
static bool
is_safe_constant(const Expr *expr, bool factor, double *value)
{
	const Const *c = (const Const *) expr;

	if (!IsA(expr, Const) || c->constisnull || c->consttype != FLOAT8OID)
		return false;
	*value = DatumGetFloat8(c->constvalue);
	return fabs(*value) <= MOST_CONSTANT && (!factor || fabs(*value) >= LEAST_CONSTANT);
}

/* One step of the expression, as an element of VssDistance.steps. */
static List *
add_step(List *steps, VssStep step, double constant)
{
	return lappend(lappend(steps, makeInteger(step)),
				   makeConst(FLOAT8OID, -1, InvalidOid, sizeof(float8), Float8GetDatum(constant), false,
							 FLOAT8PASSBYVAL));
}

/* The operand that the value rises or falls with, or NULL; the step from it to the value, the last first. */
static Expr *
monotone_operand(Expr *expr, VssDistance *out)
{
	Oid function;
	List *args;
	double constant;

	if (IsA(expr, FuncExpr))
	{
		function = ((FuncExpr *) expr)->funcid;
		if (function != F_FLOAT4_FLOAT8 && function != F_FLOAT8_FLOAT4)
			return NULL;
		if (function == F_FLOAT4_FLOAT8)
			out->steps = add_step(out->steps, VSS_STEP_NARROW, 0);
		return linitial(((FuncExpr *) expr)->args);
	}
	if (!IsA(expr, OpExpr))
		return NULL;
	function = get_opcode(((OpExpr *) expr)->opno);
	args = ((OpExpr *) expr)->args;
	switch (function)
	{
		case F_FLOAT8UM:
		case F_FLOAT4UM:
			out->steps = add_step(out->steps, VSS_STEP_MULTIPLY, -1);
			return linitial(args);
		case F_FLOAT8PL:
		case F_FLOAT8MI:
			if (is_safe_constant(lsecond(args), false, &constant))
			{
				out->steps =
					add_step(out->steps, VSS_STEP_ADD, function == F_FLOAT8MI ? -constant : constant);
				return linitial(args);
			}
			if (!is_safe_constant(linitial(args), false, &constant))
				return NULL;
			if (function == F_FLOAT8MI)
			{
				out->steps = add_step(out->steps, VSS_STEP_MULTIPLY, -1);
				constant = -constant;
			}
			out->steps = add_step(out->steps, VSS_STEP_ADD, constant);
			return lsecond(args);
		case F_FLOAT8MUL:
			if (is_safe_constant(lsecond(args), true, &constant))
			{
				out->steps = add_step(out->steps, VSS_STEP_MULTIPLY, constant);
				return linitial(args);
			}
			if (!is_safe_constant(linitial(args), true, &constant))
				return NULL;
			out->steps = add_step(out->steps, VSS_STEP_MULTIPLY, constant);
			return lsecond(args);
		case F_FLOAT8DIV:
			if (!is_safe_constant(lsecond(args), true, &constant))
				return NULL;
			out->steps = add_step(out->steps, VSS_STEP_DIVIDE, constant);
			return linitial(args);
		default:
			return NULL;
	}
}

static void
nth_step(List *steps, int i, VssStep *step, double *constant)
{
	*step = intVal(list_nth(steps, i));
	*constant = DatumGetFloat8(list_nth_node(Const, steps, i + 1)->constvalue);
}

/* Whether the expression falls as the distance rises, and whether it is of type real on the way. */
static void
look_at_steps(VssDistance *out, bool *narrows)
{
	*narrows = false;
	out->falls = false;
	for (int i = 0; i < list_length(out->steps); i += 2)
	{
		VssStep step;
		double constant;

		nth_step(out->steps, i, &step, &constant);
		*narrows |= step == VSS_STEP_NARROW;
		out->falls ^= (step == VSS_STEP_MULTIPLY || step == VSS_STEP_DIVIDE) && constant < 0;
	}
}

bool
vssfdw_match_distance(PlannerInfo *root, RelOptInfo *baserel, Expr *expr, VssDistance *out)
{
	out->steps = NIL;
	for (int steps = 0; steps <= MOST_STEPS && expr != NULL; steps++)
	{
		if (match_plain(root, baserel, expr, out))
		{
			bool narrows;

			look_at_steps(out, &narrows);
			/* of the other metrics a distance may be beyond real */
			return !narrows || out->index->metric == BRIDGE_COSINE;
		}
		expr = monotone_operand(expr, out);
	}
	return false;
}

/*
 * Each operation rounds its result by half a unit in the last place, and undoing it
 * rounds once more: four units of the largest number that takes part are more than
 * both.  slack is by how much the true value may differ from value.
 */
double
vssfdw_undo_steps(List *steps, double bound)
{
	double value = bound;
	double slack = 0;

	for (int i = 0; i < list_length(steps); i += 2)
	{
		VssStep step;
		double constant;
		double before = fabs(value);

		nth_step(steps, i, &step, &constant);
		switch (step)
		{
			case VSS_STEP_ADD:
				value -= constant;
				slack += 4 * DBL_EPSILON * Max(Max(before, fabs(constant)), fabs(value));
				break;
			case VSS_STEP_MULTIPLY:
				value /= constant;
				slack = slack / fabs(constant) + 4 * DBL_EPSILON * fabs(value) + DBL_MIN / LEAST_CONSTANT;
				break;
			case VSS_STEP_DIVIDE:
				value *= constant;
				slack = slack * fabs(constant) + 4 * DBL_EPSILON * fabs(value) + DBL_MIN * MOST_CONSTANT;
				break;
			case VSS_STEP_NARROW:
				slack += 4 * FLT_EPSILON * before + FLT_MIN;
				break;
		}
	}
	/* of infinities nothing can be said */
	return isnan(value + slack) ? get_float8_infinity() : value + slack;
}

bool
vssfdw_gives_order(const RelOptInfo *baserel, const VssDistance *distance, bool descending, bool nulls_first)
{
	if (!distance->falls)
		return !descending && !nulls_first;
	/* what comes before the nearest is found by the list that merges keep */
	return descending && (distance->index->declared ||
						  (distance->index->metric != BRIDGE_COSINE &&
						   (!nulls_first || VSS_REL(baserel)->columns[distance->attnum - 1].not_null)));
}
