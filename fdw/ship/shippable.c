/*
 * shippable.c
 *		What an expression is in SQLite, and so whether SQLite may evaluate it.
 *
 * The rule is that pushing a condition down never changes an answer.  SQLite's
 * columns are dynamically typed and its operators compare by storage class, so
 * the question is asked in two steps: what class an operand has
 * (column_class.c), and whether the operator means the same over that class
 * (operator_terms.c, list_terms.c, node_terms.c).
 *
 * Every node is looked at once, its operands before it, and what was found of
 * them decides: the work grows with the size of the expression alone.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "fdw/ship/ship.h"

/* Deeper expressions stay in PostgreSQL, unless they are values. */
#define MAX_NESTING 100

/* SQLite refuses expressions deeper than 1000. */
#define MAX_DEPTH 900

/* One question about an expression. */
typedef struct TermContext
{
	PlannerInfo *root;
	RelOptInfo *rel;
	int nesting;
	int looked_at;         /* nodes so far */
	VssTerm *case_operand; /* x of the CASE x that conditions of are looked at, or NULL */
} TermContext;

static VssTerm *make_expr_term(TermContext *context, Expr *expr);

/* ---------- the pass ---------- */

/* Callback: whether it is x of a CASE x around the expression. */
static bool
has_case_operand(Node *node, void *unused)
{
	if (node == NULL || IsA(node, CaseExpr))
		return false;
	return IsA(node, CaseTestExpr) || expression_tree_walker(node, has_case_operand, NULL);
}

/*
 * The operands of CASE, as those of CASE WHEN x = y for CASE x WHEN y: x is one
 * term that all conditions share.
 */
static List *
case_operands(TermContext *context, CaseExpr *expr)
{
	VssTerm *outer = context->case_operand;
	List *args = NIL;
	ListCell *cell;

	if (expr->arg != NULL)
		context->case_operand = make_expr_term(context, expr->arg);
	foreach (cell, expr->args)
	{
		CaseWhen *when = lfirst_node(CaseWhen, cell);
		VssTerm *operand = context->case_operand;

		args = lappend(args, make_expr_term(context, when->expr));
		/* x is not one of the results */
		context->case_operand = outer;
		args = lappend(args, make_expr_term(context, when->result));
		context->case_operand = operand;
	}
	context->case_operand = outer;
	if (expr->defresult != NULL)
		args = lappend(args, make_expr_term(context, expr->defresult));
	return args;
}

/* What SQLite has no word for: a value, or nothing.  It is looked at as a whole. */
static VssTerm *
opaque_term(TermContext *context, Expr *expr)
{
	if (context->case_operand != NULL && has_case_operand((Node *) expr, NULL))
		return vssfdw_no_term(expr);
	return vssfdw_is_bindable(context->root, context->rel, expr) ? vssfdw_value_term(expr)
																 : vssfdw_no_term(expr);
}

/* The operands of a node that SQLite may have a word for; false for any other. */
static bool
operands(Expr *expr, List **args)
{
	switch (nodeTag(expr))
	{
		case T_RelabelType:
			*args = list_make1(((RelabelType *) expr)->arg);
			return true;
		case T_FuncExpr:
			*args = ((FuncExpr *) expr)->args;
			return !((FuncExpr *) expr)->funcretset;
		case T_OpExpr:
		case T_NullIfExpr:
		case T_DistinctExpr:
			*args = ((OpExpr *) expr)->args;
			return !((OpExpr *) expr)->opretset;
		case T_ScalarArrayOpExpr:
			*args = ((ScalarArrayOpExpr *) expr)->args;
			return true;
		case T_CoalesceExpr:
			*args = ((CoalesceExpr *) expr)->args;
			return true;
		case T_MinMaxExpr:
			*args = ((MinMaxExpr *) expr)->args;
			return true;
		case T_CoerceViaIO:
			*args = list_make1(((CoerceViaIO *) expr)->arg);
			return true;
		case T_BoolExpr:
			*args = ((BoolExpr *) expr)->args;
			return true;
		case T_NullTest:
			*args = list_make1(((NullTest *) expr)->arg);
			return true;
		case T_BooleanTest:
			*args = list_make1(((BooleanTest *) expr)->arg);
			return true;
		default:
			return false;
	}
}

/* Callback of check_functions_in_node. */
static bool
is_volatile(Oid function, void *unused)
{
	return func_volatile(function) == PROVOLATILE_VOLATILE;
}

static VssTerm *
aggregate_term(TermContext *context, Aggref *agg)
{
	List *args = NIL;
	VssTerm *filter = NULL;

	if (list_length(agg->args) > 1)
		return vssfdw_no_term((Expr *) agg);
	if (agg->args != NIL)
		args = list_make1(make_expr_term(context, linitial_node(TargetEntry, agg->args)->expr));
	if (agg->aggfilter != NULL)
		filter = make_expr_term(context, agg->aggfilter);
	return vssfdw_aggregate_term(context->root, context->rel, agg, args, filter);
}

/* The terms of the operands. */
static List *
operand_terms(TermContext *context, Expr *expr, List *exprs)
{
	List *args = NIL;
	ListCell *cell;

	if (IsA(expr, CaseExpr))
		return case_operands(context, (CaseExpr *) expr);
	foreach (cell, exprs)
		args = lappend(args, make_expr_term(context, lfirst(cell)));
	return args;
}

static VssTerm *
make_expr_term(TermContext *context, Expr *expr)
{
	List *exprs = NIL;
	List *args;
	ListCell *cell;
	bool values = true;
	bool known = true;

	CHECK_FOR_INTERRUPTS();
	context->looked_at++;
	if (IsA(expr, Var))
		return vssfdw_column_term(context->root, context->rel, (Var *) expr);
	if (IsA(expr, Const) || IsA(expr, Param))
		return vssfdw_value_term(expr);
	if (IsA(expr, CaseTestExpr))
		return context->case_operand != NULL ? context->case_operand : vssfdw_no_term(expr);
	if (IsA(expr, Aggref))
		return aggregate_term(context, (Aggref *) expr);
	if (vssfdw_is_match(expr))
		return vssfdw_match_term(context->root, context->rel, expr);
	if (context->nesting >= MAX_NESTING || (!IsA(expr, CaseExpr) && !operands(expr, &exprs)))
		return opaque_term(context, expr);

	context->nesting++;
	args = operand_terms(context, expr, exprs);
	context->nesting--;
	foreach (cell, args)
	{
		VssTermKind kind = ((VssTerm *) lfirst(cell))->kind;

		values &= kind == VSS_TERM_VALUE;
		known &= kind != VSS_TERM_NONE;
	}
	if (!known || check_functions_in_node((Node *) expr, is_volatile, NULL))
		return vssfdw_no_term(expr);
	return values ? vssfdw_value_term(expr) : vssfdw_node_term(context->rel, expr, args);
}

VssTerm *
vssfdw_term(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	TermContext context = {.root = root, .rel = rel};
	VssTerm *term = make_expr_term(&context, expr);

	elog(DEBUG3, "looked at %d nodes of an expression for SQLite", context.looked_at);
	return term->size <= VSS_MAX_SIZE && term->depth <= MAX_DEPTH ? term : vssfdw_no_term(expr);
}

/* ---------- what may be done with it ---------- */

/* Whether SQLite evaluates it from its rows, to true, false or NULL. */
static bool
is_condition(const VssTerm *term)
{
	/*
	 * A value as condition is PostgreSQL's to decide once for all rows, so it is
	 * left there.
	 */
	return term->kind != VSS_TERM_NONE && term->kind != VSS_TERM_VALUE && term->class == VSS_CLASS_BOOLEAN &&
		   (term->kind == VSS_TERM_MATCH || (term->traits & VSS_TOP_LEVEL) == 0);
}

bool
vssfdw_may_ship(const VssTerm *condition)
{
	return is_condition(condition) && (condition->traits & (VSS_MAY_FAIL | VSS_MAY_RAISE)) == 0;
}

bool
vssfdw_may_try(const VssTerm *condition)
{
	return is_condition(condition) && (condition->traits & (VSS_HIDES_FAILURE | VSS_MAY_RAISE)) == 0;
}

bool
vssfdw_is_shippable(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	return vssfdw_may_ship(vssfdw_term(root, rel, expr));
}
