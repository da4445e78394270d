/*
 * shippable_upper.c
 *		Which aggregates, groups and orders SQLite may make: what shippable.c asks
 *		of conditions, and that results look alike.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_aggregate.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"

#include "fdw/ship/ship.h"

/* The column that the expression is, or NULL. */
static const VssPlanColumn *
plain_column(ShipContext *context, Expr *expr)
{
	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	return IsA(expr, Var) ? vssfdw_var_column(context->root, (Var *) expr) : NULL;
}

/* Whether any of equal values will do for a result, as all are shown alike. */
static bool
has_one_form(ShipContext *context, Expr *expr, VssClass class)
{
	const VssPlanColumn *column = plain_column(context, expr);
	int scale;

	return class != VSS_CLASS_NUMERIC || (column != NULL && column->one_form) ||
		   vssfdw_is_extract(expr, &scale);
}

/*
 * Aggregates that give the same in SQLite: counts, extremes, sums of integers
 * and numerics (through functions of ours: SQLite's overflows, or rounds), and/or
 * over booleans.  Averages are fetched as sum and count and divided here, as the
 * scale of a quotient is numeric's.  Sums of floating point stay here, their
 * result being a matter of order.
 */
VssClass
vssfdw_aggregate_class(ShipContext *context, Aggref *agg)
{
	Expr *arg;
	VssClass class;

	if (agg->agglevelsup != 0 || agg->aggkind != AGGKIND_NORMAL || agg->aggsplit != AGGSPLIT_SIMPLE ||
		agg->aggvariadic || agg->aggorder != NIL || agg->aggdirectargs != NIL)
		return VSS_CLASS_NONE;
	if (agg->aggfilter != NULL && vssfdw_ship_class(context, agg->aggfilter) != VSS_CLASS_BOOLEAN)
		return VSS_CLASS_NONE;
	if (agg->aggfnoid == F_COUNT_)
		return VSS_CLASS_INTEGER;
	if (list_length(agg->args) != 1)
		return VSS_CLASS_NONE;

	arg = linitial_node(TargetEntry, agg->args)->expr;
	class = vssfdw_ship_class(context, arg);
	if (agg->aggdistinct != NIL &&
		(agg->aggfnoid != F_COUNT_ANY || class == VSS_CLASS_NONE || class == VSS_CLASS_FLOAT ||
		 (vssfdw_class_is_text(class) &&
		  !vssfdw_collation_agrees(context, exprCollation((Node *) arg), true))))
		return VSS_CLASS_NONE;

	switch (agg->aggfnoid)
	{
		case F_COUNT_ANY:
			if (class != VSS_CLASS_NONE ||
				(IsA(arg, Var) && vssfdw_var_column(context->root, (Var *) arg) != NULL))
				return VSS_CLASS_INTEGER;
			return VSS_CLASS_NONE;
		case F_MIN_INT2:
		case F_MIN_INT4:
		case F_MIN_INT8:
		case F_MAX_INT2:
		case F_MAX_INT4:
		case F_MAX_INT8:
		case F_SUM_INT2:
		case F_SUM_INT4:
			return class == VSS_CLASS_INTEGER ? class : VSS_CLASS_NONE;
		case F_SUM_INT8:
			return class == VSS_CLASS_INTEGER ? VSS_CLASS_NUMERIC : VSS_CLASS_NONE;
		case F_SUM_NUMERIC:
			/* the digits that the result shows are those of the columns */
			return class == VSS_CLASS_NUMERIC && plain_column(context, arg) != NULL ? class : VSS_CLASS_NONE;
		case F_MIN_NUMERIC:
		case F_MAX_NUMERIC:
			return has_one_form(context, arg, class) ? class : VSS_CLASS_NONE;
		case F_MIN_FLOAT4:
		case F_MAX_FLOAT4:
		case F_MIN_FLOAT8:
		case F_MAX_FLOAT8:
			return class == VSS_CLASS_FLOAT ? class : VSS_CLASS_NONE;
		case F_MIN_TEXT:
		case F_MAX_TEXT:
			if (class == VSS_CLASS_TEXT && vssfdw_collation_agrees(context, agg->inputcollid, false))
				return class;
			return VSS_CLASS_NONE;
		case F_MIN_DATE:
		case F_MAX_DATE:
		case F_MIN_TIME:
		case F_MAX_TIME:
		case F_MIN_TIMESTAMP:
		case F_MAX_TIMESTAMP:
		case F_MIN_TIMESTAMPTZ:
		case F_MAX_TIMESTAMPTZ:
			/* of the argument's own type: nothing else has these classes */
			return class;
		case F_BOOL_AND:
		case F_BOOL_OR:
		case F_EVERY:
			return class == VSS_CLASS_BOOLEAN ? class : VSS_CLASS_NONE;
		default:
			return VSS_CLASS_NONE;
	}
}

bool
vssfdw_is_average(const Aggref *agg)
{
	return agg->aggfnoid == F_AVG_INT2 || agg->aggfnoid == F_AVG_INT4 || agg->aggfnoid == F_AVG_INT8 ||
		   agg->aggfnoid == F_AVG_NUMERIC;
}

bool
vssfdw_is_numeric_sum(const Aggref *agg)
{
	return agg->aggfnoid == F_SUM_INT8 || agg->aggfnoid == F_SUM_NUMERIC;
}

bool
vssfdw_is_shippable_aggregate(PlannerInfo *root, RelOptInfo *rel, Aggref *agg)
{
	ShipContext context = {.root = root, .rel = rel};
	Aggref plain;

	if (vssfdw_aggregate_class(&context, agg) != VSS_CLASS_NONE)
		return true;
	/* "sum count" is comparable to nothing, but it can be fetched */
	if (!vssfdw_is_average(agg))
		return false;
	plain = *agg;
	plain.aggfnoid = agg->aggfnoid == F_AVG_NUMERIC ? F_SUM_NUMERIC : F_SUM_INT4;
	return vssfdw_aggregate_class(&context, &plain) != VSS_CLASS_NONE;
}

/* Equality of a GROUP BY column is SQLite's. */
bool
vssfdw_is_shippable_group(PlannerInfo *root, RelOptInfo *rel, Expr *expr, Oid eqop)
{
	ShipContext context = {.root = root, .rel = rel, .sure = true};
	VssClass class = vssfdw_ship_class(&context, expr);

	/* of floating point, zeros of both signs are equal, but do not look alike */
	if (vssfdw_is_bindable(root, rel, expr) || class == VSS_CLASS_NONE ||
		(class == VSS_CLASS_FLOAT && !vssfdw_is_date_part(expr)) || !has_one_form(&context, expr, class))
		return false;
	return vssfdw_comparison(eqop, class) == BTEqualStrategyNumber &&
		   (!vssfdw_class_is_text(class) ||
			vssfdw_collation_agrees(&context, exprCollation((Node *) expr), true));
}

bool
vssfdw_is_shippable_order(PlannerInfo *root, RelOptInfo *rel, Expr *expr, const PathKey *pathkey)
{
	ShipContext context = {.root = root, .rel = rel};
	VssClass class = vssfdw_ship_class(&context, expr);

	if (vssfdw_is_bindable(root, rel, expr))
		return false;
	switch (class)
	{
		case VSS_CLASS_NONE:
			return false;
		default:
			return pathkey->pk_opfamily == vssfdw_class_family(class) &&
				   (!vssfdw_class_is_text(class) ||
					vssfdw_collation_agrees(&context, pathkey->pk_eclass->ec_collation, false));
	}
}
