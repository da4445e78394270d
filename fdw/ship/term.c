/*
 * term.c
 *		What terms are made of.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"

#include "fdw/ship/ship.h"

Expr *
vssfdw_strip_relabel(Expr *expr)
{
	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	return expr;
}

bool
vssfdw_is_bindable(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	return !bms_overlap(pull_varnos(root, (Node *) expr), VSS_REL(rel)->relids) &&
		   !contain_volatile_functions((Node *) expr) && !contain_subplans((Node *) expr) &&
		   !contain_agg_clause((Node *) expr) && !contain_window_function((Node *) expr) &&
		   !expression_returns_set((Node *) expr);
}

VssTerm *
vssfdw_make_term(VssTermKind kind, const char *word, List *args, Expr *expr)
{
	VssTerm *term = palloc0(sizeof(VssTerm));
	ListCell *cell;

	term->kind = kind;
	term->word = word;
	term->args = args;
	term->expr = expr;
	term->size = 1;
	term->scale = -1;
	foreach (cell, args)
	{
		const VssTerm *arg = lfirst(cell);

		term->traits |= arg->traits;
		term->size = Min(term->size + arg->size, PG_INT32_MAX / 4);
		term->depth = Max(term->depth, arg->depth);
	}
	term->depth++;
	return term;
}

VssTerm *
vssfdw_no_term(Expr *expr)
{
	return vssfdw_make_term(VSS_TERM_NONE, NULL, NIL, expr);
}

/* What can be evaluated without failing, so that it does no harm if it was not wanted. */
static bool
is_plain_value(Expr *expr)
{
	expr = vssfdw_strip_relabel(expr);
	return IsA(expr, Const) || IsA(expr, Param) || IsA(expr, Var);
}

VssTerm *
vssfdw_value_term(Expr *expr)
{
	VssTerm *term = vssfdw_make_term(VSS_TERM_VALUE, NULL, NIL, expr);

	term->class = vssfdw_type_class(exprType((Node *) expr));
	if (!is_plain_value(expr))
		term->traits |= VSS_COMPUTES_BEFORE;
	return term;
}

VssTerm *
vssfdw_constant_term(Const *constant)
{
	return vssfdw_value_term((Expr *) constant);
}

VssTerm *
vssfdw_column_term(PlannerInfo *root, RelOptInfo *rel, Var *var)
{
	const VssPlanColumn *column;
	VssTerm *term;

	if (!bms_is_member(var->varno, VSS_REL(rel)->relids) || var->varlevelsup != 0)
		return vssfdw_value_term((Expr *) var);
	column = vssfdw_var_column(root, var);
	if (column == NULL)
		return vssfdw_no_term((Expr *) var);
	term = vssfdw_make_term(VSS_TERM_COLUMN, NULL, NIL, (Expr *) var);
	term->class = column->class;
	term->traits = VSS_READS_ROWS | (column->reader != NULL ? VSS_CALLS_READER : 0);
	return term;
}

const VssPlanColumn *
vssfdw_term_column(PlannerInfo *root, const VssTerm *term)
{
	return term->kind == VSS_TERM_COLUMN ? vssfdw_var_column(root, (const Var *) term->expr) : NULL;
}
