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
 * NaN, which comes after all numbers and stays so however it is computed with: in
 * a falling order it is first, where an index has it last.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
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

/* The operand that the value rises or falls with, or NULL; *falls: turned around if it falls. */
static Expr *
monotone_operand(Expr *expr, bool *falls, bool *narrows)
{
	Oid function;
	List *args;
	double constant;

	if (IsA(expr, FuncExpr))
	{
		function = ((FuncExpr *) expr)->funcid;
		if (function != F_FLOAT4_FLOAT8 && function != F_FLOAT8_FLOAT4)
			return NULL;
		*narrows |= function == F_FLOAT4_FLOAT8;
		return linitial(((FuncExpr *) expr)->args);
	}
	if (!IsA(expr, OpExpr))
		return NULL;
	function = get_opcode(((OpExpr *) expr)->opno);
	args = ((OpExpr *) expr)->args;
	switch (function)
	{
		case F_FLOAT8UM:
			*falls = !*falls;
			return linitial(args);
		case F_FLOAT8PL:
		case F_FLOAT8MI:
			if (is_safe_constant(lsecond(args), false, &constant))
				return linitial(args);
			if (!is_safe_constant(linitial(args), false, &constant))
				return NULL;
			*falls ^= function == F_FLOAT8MI;
			return lsecond(args);
		case F_FLOAT8MUL:
		case F_FLOAT8DIV:
			if (is_safe_constant(lsecond(args), true, &constant))
			{
				*falls ^= constant < 0;
				return linitial(args);
			}
			if (function == F_FLOAT8DIV || !is_safe_constant(linitial(args), true, &constant))
				return NULL;
			*falls ^= constant < 0;
			return lsecond(args);
		default:
			return NULL;
	}
}

bool
vssfdw_match_distance(PlannerInfo *root, RelOptInfo *baserel, Expr *expr, VssDistance *out)
{
	bool narrows = false;

	out->falls = false;
	for (int steps = 0; steps <= MOST_STEPS && expr != NULL; steps++)
	{
		if (match_plain(root, baserel, expr, out))
			/* of the other metrics a distance may be beyond real */
			return !narrows || out->index->metric == BRIDGE_COSINE;
		expr = monotone_operand(expr, &out->falls, &narrows);
	}
	return false;
}

bool
vssfdw_gives_order(const RelOptInfo *baserel, const VssDistance *distance, bool descending, bool nulls_first)
{
	if (!distance->falls)
		return !descending && !nulls_first;
	return descending && distance->index->metric != BRIDGE_COSINE &&
		   (!nulls_first || VSS_REL(baserel)->columns[distance->attnum - 1].not_null);
}
