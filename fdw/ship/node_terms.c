/*
 * node_terms.c
 *		The terms of expressions that are neither operators nor functions.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"

#include "fdw/ship/ship.h"

/*
 * The term of a node whose value NULL decides: a failure of its operands that
 * became NULL must leave a condition NULL, or true or false whatever its value.
 */
static VssTerm *
hiding(VssTerm *term)
{
	if ((term->traits & VSS_MAY_FAIL) != 0)
		term->traits |= VSS_HIDES_FAILURE;
	return term;
}

/* The term of a node that need not evaluate all of its operands; PostgreSQL's values are computed beforehand. */
static VssTerm *
choosing(VssTerm *term)
{
	if ((term->traits & VSS_COMPUTES_BEFORE) != 0)
		return vssfdw_no_term(term->expr);
	return hiding(term);
}

/* The same of class, where all operands have it. */
static VssTerm *
of_class(VssTerm *term, VssClass class)
{
	ListCell *cell;

	foreach (cell, term->args)
	{
		if (((VssTerm *) lfirst(cell))->class != class)
			return vssfdw_no_term(term->expr);
	}
	term->class = class;
	return class != VSS_CLASS_NONE ? term : vssfdw_no_term(term->expr);
}

/* The depth of a list that is written as a balanced tree of chains (deparse_conds.c). */
static int
list_depth(int length)
{
	int depth = 1;

	for (; length > VSS_MAX_CHAIN; length = (length + 1) / 2)
		depth++;
	return depth + length;
}

static VssTerm *
bool_term(BoolExpr *expr, List *args)
{
	bool negation = expr->boolop == NOT_EXPR;
	VssTerm *term = vssfdw_make_term(negation ? VSS_TERM_PREFIX : VSS_TERM_LIST,
									 negation                   ? "NOT"
									 : expr->boolop == AND_EXPR ? "AND"
																: "OR",
									 args, (Expr *) expr);

	if (expr->boolop == OR_EXPR && list_length(args) > VSS_MAX_LIST)
	{
		VssTerm *alternatives = vssfdw_alternatives_term(expr, args);

		if (alternatives != NULL)
			return alternatives;
	}
	if (!negation)
		term->depth += list_depth(list_length(args));
	return of_class(term, VSS_CLASS_BOOLEAN);
}

static const char *
boolean_test_word(BoolTestType type)
{
	switch (type)
	{
		case IS_TRUE:
			return "IS TRUE";
		case IS_NOT_TRUE:
			return "IS NOT TRUE";
		case IS_FALSE:
			return "IS FALSE";
		case IS_NOT_FALSE:
			return "IS NOT FALSE";
		case IS_UNKNOWN:
			return "IS NULL";
		case IS_NOT_UNKNOWN:
			return "IS NOT NULL";
	}
	elog(ERROR, "unknown kind of boolean test: %d", (int) type);
}

/* SQLite tells NULL from other values as PostgreSQL does, whatever the type of a column. */
static VssTerm *
null_test_term(NullTest *test, List *args)
{
	VssTerm *arg = linitial(args);
	VssTerm *term;

	if (test->argisrow || (arg->kind != VSS_TERM_COLUMN && arg->class == VSS_CLASS_NONE))
		return vssfdw_no_term((Expr *) test);
	term = vssfdw_make_term(VSS_TERM_SUFFIX, test->nulltesttype == IS_NULL ? "IS NULL" : "IS NOT NULL", args,
							(Expr *) test);
	term->class = VSS_CLASS_BOOLEAN;
	return hiding(term);
}

static VssTerm *
coalesce_term(CoalesceExpr *expr, List *args)
{
	/* the planner leaves NULL constants out; SQLite wants two arguments */
	VssTerm *term = vssfdw_make_term(list_length(args) == 1 ? VSS_TERM_SAME : VSS_TERM_CALL, "coalesce", args,
									 (Expr *) expr);

	return choosing(of_class(term, vssfdw_type_class(expr->coalescetype)));
}

static VssTerm *
extreme_term(RelOptInfo *rel, MinMaxExpr *expr, List *args)
{
	VssTerm *term = vssfdw_make_term(VSS_TERM_CALL, expr->op == IS_GREATEST ? "vss_greatest" : "vss_least",
									 args, (Expr *) expr);

	term = of_class(term, vssfdw_type_class(expr->minmaxtype));
	if (vssfdw_class_is_text(term->class) && !vssfdw_collation_agrees(rel, expr->inputcollid, false))
		return vssfdw_no_term((Expr *) expr);
	return hiding(term);
}

static VssTerm *
nullif_term(RelOptInfo *rel, NullIfExpr *op, List *args)
{
	VssTerm *term = vssfdw_make_term(VSS_TERM_CALL, "nullif", args, (Expr *) op);

	if (vssfdw_comparison_term(rel, (OpExpr *) op, args, true) == NULL)
		return vssfdw_no_term((Expr *) op);
	return hiding(of_class(term, ((VssTerm *) linitial(args))->class));
}

static VssTerm *
distinct_term(RelOptInfo *rel, DistinctExpr *op, List *args)
{
	VssTerm *term = vssfdw_comparison_term(rel, (OpExpr *) op, args, true);

	if (term == NULL)
		return vssfdw_no_term((Expr *) op);
	term->word = "IS NOT";
	term->how = 0;
	return hiding(term);
}

/* An integer's digits. */
static VssTerm *
text_term(CoerceViaIO *coerce, List *args)
{
	VssTerm *term = vssfdw_make_term(VSS_TERM_CALL, "vss_integer_text", args, (Expr *) coerce);

	if (vssfdw_type_class(coerce->resulttype) != VSS_CLASS_TEXT ||
		((VssTerm *) linitial(args))->class != VSS_CLASS_INTEGER)
		return vssfdw_no_term((Expr *) coerce);
	term->class = VSS_CLASS_TEXT;
	return term;
}

static VssTerm *
relabel_term(RelabelType *relabel, List *args)
{
	VssTerm *arg = linitial(args);

	return arg->class == vssfdw_type_class(relabel->resulttype) ? arg : vssfdw_no_term((Expr *) relabel);
}

static VssTerm *
case_term(CaseExpr *expr, List *args)
{
	VssClass class = vssfdw_type_class(expr->casetype);
	VssTerm *term = vssfdw_make_term(VSS_TERM_CASE, NULL, args, (Expr *) expr);
	int n = list_length(args);

	for (int i = 0; i < n; i++)
	{
		bool condition = i % 2 == 0 && i + 1 < n;
		VssTerm *arg = list_nth(args, i);

		if (arg->class != (condition ? VSS_CLASS_BOOLEAN : class))
			return vssfdw_no_term((Expr *) expr);
	}
	term->class = class;
	return class != VSS_CLASS_NONE ? choosing(term) : vssfdw_no_term((Expr *) expr);
}

VssTerm *
vssfdw_node_term(RelOptInfo *rel, Expr *expr, List *args)
{
	switch (nodeTag(expr))
	{
		case T_RelabelType:
			return relabel_term((RelabelType *) expr, args);
		case T_FuncExpr:
			return vssfdw_function_term(((FuncExpr *) expr)->funcid, ((FuncExpr *) expr)->inputcollid, args,
										expr);
		case T_OpExpr:
			return vssfdw_operator_term(rel, (OpExpr *) expr, args);
		case T_NullIfExpr:
			return nullif_term(rel, (NullIfExpr *) expr, args);
		case T_DistinctExpr:
			return distinct_term(rel, (DistinctExpr *) expr, args);
		case T_ScalarArrayOpExpr:
			return vssfdw_array_term(rel, (ScalarArrayOpExpr *) expr, args);
		case T_CoalesceExpr:
			return coalesce_term((CoalesceExpr *) expr, args);
		case T_MinMaxExpr:
			return extreme_term(rel, (MinMaxExpr *) expr, args);
		case T_CoerceViaIO:
			return text_term((CoerceViaIO *) expr, args);
		case T_BoolExpr:
			return bool_term((BoolExpr *) expr, args);
		case T_NullTest:
			return null_test_term((NullTest *) expr, args);
		case T_BooleanTest:
		{
			VssTerm *term = vssfdw_make_term(
				VSS_TERM_SUFFIX, boolean_test_word(((BooleanTest *) expr)->booltesttype), args, expr);

			return hiding(of_class(term, VSS_CLASS_BOOLEAN));
		}
		case T_CaseExpr:
			return case_term((CaseExpr *) expr, args);
		default:
			return vssfdw_no_term(expr);
	}
}
