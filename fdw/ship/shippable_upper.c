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

/* ---------- aggregates ---------- */

enum AggregateFlag
{
	ORDERS_TEXT = 1, /* by its collation */
	ONE_FORM = 2,    /* the argument's values that are equal are shown alike */
	READS_STORED = 4 /* the argument is a column, which the function reads by itself: its digits are shown */
};

/*
 * Aggregates that give the same in SQLite: counts, extremes, sums of integers
 * and numerics (through functions of ours: SQLite's overflows, or rounds), and/or
 * over booleans.  Averages are fetched as "sum count" and divided here, as the
 * scale of a quotient is numeric's: they compare with nothing.  Sums of floating
 * point stay here, their result being a matter of order.
 */
typedef struct Aggregate
{
	Oid function;
	const char *name;
	VssClass result;
	VssClass argument; /* VSS_CLASS_NONE: any column or value, or none at all */
	int flags;
} Aggregate;

static const Aggregate aggregates[] = {
	{F_COUNT_, "count", VSS_CLASS_INTEGER, VSS_CLASS_NONE, 0},
	{F_COUNT_ANY, "count", VSS_CLASS_INTEGER, VSS_CLASS_NONE, 0},
	{F_MIN_INT2, "min", VSS_CLASS_INTEGER, VSS_CLASS_INTEGER, 0},
	{F_MIN_INT4, "min", VSS_CLASS_INTEGER, VSS_CLASS_INTEGER, 0},
	{F_MIN_INT8, "min", VSS_CLASS_INTEGER, VSS_CLASS_INTEGER, 0},
	{F_MAX_INT2, "max", VSS_CLASS_INTEGER, VSS_CLASS_INTEGER, 0},
	{F_MAX_INT4, "max", VSS_CLASS_INTEGER, VSS_CLASS_INTEGER, 0},
	{F_MAX_INT8, "max", VSS_CLASS_INTEGER, VSS_CLASS_INTEGER, 0},
	{F_MIN_FLOAT4, "min", VSS_CLASS_FLOAT, VSS_CLASS_FLOAT, 0},
	{F_MIN_FLOAT8, "min", VSS_CLASS_FLOAT, VSS_CLASS_FLOAT, 0},
	{F_MAX_FLOAT4, "max", VSS_CLASS_FLOAT, VSS_CLASS_FLOAT, 0},
	{F_MAX_FLOAT8, "max", VSS_CLASS_FLOAT, VSS_CLASS_FLOAT, 0},
	{F_MIN_TEXT, "min", VSS_CLASS_TEXT, VSS_CLASS_TEXT, ORDERS_TEXT},
	{F_MAX_TEXT, "max", VSS_CLASS_TEXT, VSS_CLASS_TEXT, ORDERS_TEXT},
	{F_MIN_DATE, "min", VSS_CLASS_DATE, VSS_CLASS_DATE, 0},
	{F_MAX_DATE, "max", VSS_CLASS_DATE, VSS_CLASS_DATE, 0},
	{F_MIN_TIME, "min", VSS_CLASS_TIME, VSS_CLASS_TIME, 0},
	{F_MAX_TIME, "max", VSS_CLASS_TIME, VSS_CLASS_TIME, 0},
	{F_MIN_TIMESTAMP, "min", VSS_CLASS_TIMESTAMP, VSS_CLASS_TIMESTAMP, 0},
	{F_MAX_TIMESTAMP, "max", VSS_CLASS_TIMESTAMP, VSS_CLASS_TIMESTAMP, 0},
	{F_MIN_TIMESTAMPTZ, "min", VSS_CLASS_TIMESTAMPTZ, VSS_CLASS_TIMESTAMPTZ, 0},
	{F_MAX_TIMESTAMPTZ, "max", VSS_CLASS_TIMESTAMPTZ, VSS_CLASS_TIMESTAMPTZ, 0},
	{F_MIN_NUMERIC, "min", VSS_CLASS_NUMERIC, VSS_CLASS_NUMERIC, ONE_FORM},
	{F_MAX_NUMERIC, "max", VSS_CLASS_NUMERIC, VSS_CLASS_NUMERIC, ONE_FORM},
	{F_BOOL_AND, "min", VSS_CLASS_BOOLEAN, VSS_CLASS_BOOLEAN, 0},
	{F_EVERY, "min", VSS_CLASS_BOOLEAN, VSS_CLASS_BOOLEAN, 0},
	{F_BOOL_OR, "max", VSS_CLASS_BOOLEAN, VSS_CLASS_BOOLEAN, 0},
	{F_SUM_INT2, "vss_sum", VSS_CLASS_INTEGER, VSS_CLASS_INTEGER, 0},
	{F_SUM_INT4, "vss_sum", VSS_CLASS_INTEGER, VSS_CLASS_INTEGER, 0},
	{F_SUM_INT8, "vss_sum", VSS_CLASS_NUMERIC, VSS_CLASS_INTEGER, 0},
	{F_SUM_NUMERIC, "vss_numeric_sum", VSS_CLASS_NUMERIC, VSS_CLASS_NUMERIC, READS_STORED},
	{F_AVG_INT2, "vss_avg", VSS_CLASS_NONE, VSS_CLASS_INTEGER, 0},
	{F_AVG_INT4, "vss_avg", VSS_CLASS_NONE, VSS_CLASS_INTEGER, 0},
	{F_AVG_INT8, "vss_avg", VSS_CLASS_NONE, VSS_CLASS_INTEGER, 0},
	{F_AVG_NUMERIC, "vss_numeric_avg", VSS_CLASS_NONE, VSS_CLASS_NUMERIC, READS_STORED},
};

static const Aggregate *
find_aggregate(Oid function)
{
	for (int i = 0; i < lengthof(aggregates); i++)
	{
		if (aggregates[i].function == function)
			return &aggregates[i];
	}
	return NULL;
}

/* Whether any of equal values will do for a result, as all are shown alike. */
static bool
looks_alike(PlannerInfo *root, const VssTerm *term)
{
	const VssPlanColumn *column = vssfdw_term_column(root, term);

	if (term->function != NULL && (term->function->flags & VSS_LOOKS_ALIKE) != 0)
		return true;
	/* of floating point, zeros of both signs are equal */
	if (term->class == VSS_CLASS_FLOAT)
		return false;
	return term->class != VSS_CLASS_NUMERIC || (column != NULL && column->one_form);
}

/* Whether the aggregate of SQLite's means the same for the argument. */
static bool
suits(PlannerInfo *root, RelOptInfo *rel, const Aggregate *row, const Aggref *agg, const VssTerm *arg)
{
	Node *expr = (Node *) linitial_node(TargetEntry, agg->args)->expr;

	if (arg->kind == VSS_TERM_NONE || (row->argument != VSS_CLASS_NONE && arg->class != row->argument))
		return false;
	/* count(*) alone asks nothing of what it counts */
	if (row->argument == VSS_CLASS_NONE && arg->class == VSS_CLASS_NONE && arg->kind != VSS_TERM_COLUMN)
		return false;
	if (agg->aggdistinct != NIL &&
		(agg->aggfnoid != F_COUNT_ANY || arg->class == VSS_CLASS_NONE || arg->class == VSS_CLASS_FLOAT ||
		 (vssfdw_class_is_text(arg->class) && !vssfdw_collation_agrees(rel, exprCollation(expr), true))))
		return false;
	if ((row->flags & ORDERS_TEXT) != 0 && !vssfdw_collation_agrees(rel, agg->inputcollid, false))
		return false;
	if ((row->flags & ONE_FORM) != 0 && !looks_alike(root, arg))
		return false;
	return (row->flags & READS_STORED) == 0 || arg->kind == VSS_TERM_COLUMN;
}

VssTerm *
vssfdw_aggregate_term(PlannerInfo *root, RelOptInfo *rel, Aggref *agg, List *args, VssTerm *filter)
{
	const Aggregate *row = find_aggregate(agg->aggfnoid);
	VssTerm *term = vssfdw_make_term(VSS_TERM_NONE, row != NULL ? row->name : NULL,
									 filter != NULL ? lappend(list_copy(args), filter) : args, (Expr *) agg);

	if (row == NULL || agg->agglevelsup != 0 || agg->aggkind != AGGKIND_NORMAL ||
		agg->aggsplit != AGGSPLIT_SIMPLE || agg->aggvariadic || agg->aggorder != NIL ||
		agg->aggdirectargs != NIL)
		return term;
	if (filter != NULL && filter->class != VSS_CLASS_BOOLEAN)
		return term;
	if (args == NIL ? agg->aggfnoid != F_COUNT_ : !suits(root, rel, row, agg, linitial(args)))
		return term;
	term->kind = VSS_TERM_AGGREGATE;
	term->class = row->result;
	if ((term->traits & VSS_MAY_FAIL) != 0)
		term->traits |= VSS_HIDES_FAILURE;
	return term;
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
	const VssTerm *term = vssfdw_term(root, rel, (Expr *) agg);

	return term->kind == VSS_TERM_AGGREGATE && (term->traits & (VSS_MAY_FAIL | VSS_MAY_RAISE)) == 0;
}

/* ---------- groups and order ---------- */

/* Equality of a GROUP BY column is SQLite's.  It is computed for each row, so that it may raise errors. */
bool
vssfdw_is_shippable_group(PlannerInfo *root, RelOptInfo *rel, Expr *expr, Oid eqop)
{
	const VssTerm *term = vssfdw_term(root, rel, expr);

	if (term->kind == VSS_TERM_NONE || term->kind == VSS_TERM_VALUE || term->class == VSS_CLASS_NONE ||
		(term->traits & VSS_MAY_FAIL) != 0 || !looks_alike(root, term))
		return false;
	return vssfdw_comparison(eqop, term->class) == BTEqualStrategyNumber &&
		   (!vssfdw_class_is_text(term->class) ||
			vssfdw_collation_agrees(rel, exprCollation((Node *) expr), true));
}

bool
vssfdw_is_shippable_order(PlannerInfo *root, RelOptInfo *rel, Expr *expr, const PathKey *pathkey)
{
	const VssTerm *term = vssfdw_term(root, rel, expr);

	if (term->kind == VSS_TERM_NONE || term->kind == VSS_TERM_VALUE || term->class == VSS_CLASS_NONE ||
		(term->traits & (VSS_MAY_FAIL | VSS_MAY_RAISE)) != 0)
		return false;
	return pathkey->pk_opfamily == vssfdw_class_family(term->class) &&
		   (!vssfdw_class_is_text(term->class) ||
			vssfdw_collation_agrees(rel, pathkey->pk_eclass->ec_collation, false));
}
