/*
 * assign.c
 *		Which new values of an UPDATE SQLite can compute, and how they are
 *		spelled.
 *
 * Beside what may stand in a condition (shippable.c) that is arithmetic of
 * integers and double precision: a condition is tested in an order of SQLite's own, so that nothing
 * in it may fail, but a new value is computed once for each row that all
 * conditions let through, here as there, and then its errors are the same.
 *
 * What is stored is what PostgreSQL would have stored, had it fetched the
 * operands: a value in SQLite that does not fit its column's type is refused.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "fdw/ship/ship.h"

/* As for conditions: SQLite limits the depth of an expression. */
#define MAX_NESTING 100

/* The function of SQLite's (assign_functions.c) for one that computes, or NULL; *class of its operands and result. */
static const char *
arithmetic_name(Oid function, VssClass *class)
{
	*class = VSS_CLASS_FLOAT;
	switch (function)
	{
		case F_FLOAT8PL:
			return "vss_add";
		case F_FLOAT8MI:
			return "vss_subtract";
		case F_FLOAT8MUL:
			return "vss_multiply";
		case F_FLOAT8DIV:
			return "vss_divide";
		default:
			break;
	}
	*class = VSS_CLASS_INTEGER;
	switch (function)
	{
		case F_INT2PL:
		case F_INT4PL:
		case F_INT8PL:
		case F_INT24PL:
		case F_INT42PL:
		case F_INT28PL:
		case F_INT82PL:
		case F_INT48PL:
		case F_INT84PL:
			return "vss_add";
		case F_INT2MI:
		case F_INT4MI:
		case F_INT8MI:
		case F_INT24MI:
		case F_INT42MI:
		case F_INT28MI:
		case F_INT82MI:
		case F_INT48MI:
		case F_INT84MI:
		case F_INT2UM:
		case F_INT4UM:
		case F_INT8UM:
			return "vss_subtract";
		case F_INT2MUL:
		case F_INT4MUL:
		case F_INT8MUL:
		case F_INT24MUL:
		case F_INT42MUL:
		case F_INT28MUL:
		case F_INT82MUL:
		case F_INT48MUL:
		case F_INT84MUL:
			return "vss_multiply";
		case F_INT2DIV:
		case F_INT4DIV:
		case F_INT8DIV:
		case F_INT24DIV:
		case F_INT42DIV:
		case F_INT28DIV:
		case F_INT82DIV:
		case F_INT48DIV:
		case F_INT84DIV:
			return "vss_divide";
		case F_INT2MOD:
		case F_INT4MOD:
		case F_INT8MOD:
			return "vss_modulo";
		default:
			return NULL;
	}
}

/* The class that a cast from integer gives: to a narrower one, out of which it may be, or to floating point. */
static VssClass
cast_class(Oid function)
{
	switch (function)
	{
		case F_INT2_INT4:
		case F_INT2_INT8:
		case F_INT4_INT8:
			return VSS_CLASS_INTEGER;
		case F_FLOAT8_INT2:
		case F_FLOAT8_INT4:
		case F_FLOAT8_INT8:
			return VSS_CLASS_FLOAT;
		default:
			return VSS_CLASS_NONE;
	}
}

/* The function and arguments of an operator or call, else InvalidOid. */
static Oid
called_function(Expr *expr, List **args)
{
	if (IsA(expr, OpExpr))
	{
		*args = ((OpExpr *) expr)->args;
		return get_opcode(((OpExpr *) expr)->opno);
	}
	if (IsA(expr, FuncExpr))
	{
		*args = ((FuncExpr *) expr)->args;
		return ((FuncExpr *) expr)->funcid;
	}
	return InvalidOid;
}

/* Whether SQLite computes it with functions that may fail: operands of which class, to which result. */
static bool
is_computation(PlannerInfo *root, RelOptInfo *rel, Expr *expr, List **args, VssClass *from, VssClass *to)
{
	Oid function = called_function(expr, args);

	if (!OidIsValid(function) || vssfdw_is_bindable(root, rel, expr))
		return false;
	if (arithmetic_name(function, from) != NULL)
	{
		*to = *from;
		return true;
	}
	*from = VSS_CLASS_INTEGER;
	*to = cast_class(function);
	return *to != VSS_CLASS_NONE;
}

static VssClass
value_class(PlannerInfo *root, RelOptInfo *rel, Expr *expr, int depth)
{
	List *args;
	VssClass from;
	VssClass to;
	ListCell *cell;

	if (!is_computation(root, rel, expr, &args, &from, &to))
		return vssfdw_expr_class(root, rel, expr);
	if (depth >= MAX_NESTING)
		return VSS_CLASS_NONE;
	foreach (cell, args)
	{
		if (value_class(root, rel, lfirst(cell), depth + 1) != from)
			return VSS_CLASS_NONE;
	}
	return to;
}

/* Whether the column stores what SQLite computes with: other classes compare in a form that is not stored. */
static bool
stores_values(const VssPlanColumn *column)
{
	switch (column->class)
	{
		case VSS_CLASS_INTEGER:
		case VSS_CLASS_FLOAT:
		case VSS_CLASS_BOOLEAN:
		case VSS_CLASS_TEXT:
		case VSS_CLASS_BYTES:
			return column->reader == NULL;
		default:
			return false;
	}
}

bool
vssfdw_is_assignable(PlannerInfo *root, RelOptInfo *rel, const VssPlanColumn *column, Expr *expr)
{
	return stores_values(column) && value_class(root, rel, expr, 0) == column->class;
}

/* The type's name as the functions know it. */
static const char *
type_name(Oid type)
{
	switch (vssfdw_type_class(type))
	{
		case VSS_CLASS_TEXT:
			return "text";
		case VSS_CLASS_FLOAT:
			return "double precision";
		default:
			return format_type_be(type);
	}
}

static void
put_value(VssDeparse *context, Expr *expr)
{
	const char *separator = "(";
	List *args;
	VssClass from;
	VssClass to;
	ListCell *cell;
	const char *name;

	if (!is_computation(context->root, context->rel, expr, &args, &from, &to))
	{
		vssfdw_deparse_expr(context, expr);
		return;
	}
	name = arithmetic_name(called_function(expr, &args), &from);
	appendStringInfoString(context->buf, name != NULL ? name : "vss_fit");
	/* the negative is what is taken from nothing */
	if (name != NULL && list_length(args) == 1)
	{
		appendStringInfoString(context->buf, "(0");
		separator = ", ";
	}
	foreach (cell, args)
	{
		appendStringInfoString(context->buf, separator);
		put_value(context, lfirst(cell));
		separator = ", ";
	}
	appendStringInfo(context->buf, ", '%s')", type_name(exprType((Node *) expr)));
}

void
vssfdw_deparse_assigned(VssDeparse *context, Expr *expr)
{
	List *args;
	VssClass from;
	VssClass to;

	if (is_computation(context->root, context->rel, expr, &args, &from, &to))
	{
		put_value(context, expr);
		return;
	}
	appendStringInfoString(context->buf, "vss_fit(");
	vssfdw_deparse_expr(context, expr);
	appendStringInfo(context->buf, ", '%s')", type_name(getBaseType(exprType((Node *) expr))));
}
