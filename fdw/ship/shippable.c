/*
 * shippable.c
 *		Which conditions SQLite may evaluate.
 *
 * The rule is that pushing a condition down never changes an answer.  SQLite's
 * columns are dynamically typed and its operators compare by storage class, so
 * the question is asked in two steps: what class an operand has
 * (column_class.c), and whether the operator means the same over that class.
 *
 * An operator goes down when it is a comparison of a B-tree family of the
 * class, which is a statement about its meaning and not about its name, and
 * when its collation agrees with SQLite's bytes: equality under every
 * deterministic collation, order under C alone.
 *
 * Functions go down where pushdown_functions.c has an equal.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"

#include "fdw/ship/ship.h"

/* Far below SQLite's limit of 1000 for the depth of an expression. */
#define MAX_NESTING 100

bool
vssfdw_is_bindable(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	return !bms_overlap(pull_varnos(root, (Node *) expr), VSS_REL(rel)->relids) &&
		   !contain_volatile_functions((Node *) expr) && !contain_subplans((Node *) expr) &&
		   !contain_agg_clause((Node *) expr) && !contain_window_function((Node *) expr) &&
		   !expression_returns_set((Node *) expr);
}

int
vssfdw_comparison(Oid opno, VssClass class)
{
	Oid family = vssfdw_class_family(class);
	Oid negator;
	int strategy;

	if (!OidIsValid(family))
		return 0;
	strategy = get_op_opfamily_strategy(opno, family);
	if (strategy != 0)
		return strategy;
	negator = get_negator(opno);
	if (OidIsValid(negator) && get_op_opfamily_strategy(negator, family) == BTEqualStrategyNumber)
		return VSS_NOT_EQUAL;
	return 0;
}

VssClass
vssfdw_common_class(VssClass a, VssClass b)
{
	if (a == b)
		return a;
	if (a == VSS_CLASS_NONE || vssfdw_class_family(a) != vssfdw_class_family(b))
		return VSS_CLASS_NONE;
	return a == VSS_CLASS_TIMESTAMPTZ || b == VSS_CLASS_TIMESTAMPTZ ? VSS_CLASS_TIMESTAMPTZ
																	: VSS_CLASS_TIMESTAMP;
}

/* Whether the database keeps its text as UTF-8, the order of which memcmp gives. */
static bool
sqlite_is_utf8(VssConnection *conn)
{
	VssStatement *statement = vssfdw_prepare(conn, "PRAGMA encoding", CurrentMemoryContext);
	bool utf8 = false;

	if (vssfdw_step(statement))
		utf8 = strcmp((const char *) sqlite3_column_text(statement->stmt, 0), "UTF-8") == 0;
	vssfdw_done(statement);
	return utf8;
}

static bool
collation_is_c(Oid collation)
{
#if PG_VERSION_NUM >= 180000
	return pg_newlocale_from_collation(collation)->collate_is_c;
#else
	return lc_collate_is_c(collation);
#endif
}

bool
vssfdw_collation_agrees(ShipContext *context, Oid collation, bool equality)
{
	if (!OidIsValid(collation))
		return false;
	if (equality)
		return get_collation_isdeterministic(collation);
	return collation_is_c(collation) && GetDatabaseEncoding() == PG_UTF8 &&
		   sqlite_is_utf8(VSS_REL(context->rel)->conn);
}

static VssClass
var_class(ShipContext *context, Var *var)
{
	const VssPlanColumn *column = vssfdw_var_column(context->root, var);

	return column != NULL ? column->class : VSS_CLASS_NONE;
}

static VssClass
comparison_class(ShipContext *context, Oid opno, Oid collation, List *args, bool only_equality)
{
	VssClass left;
	int how;
	bool equality;

	if (list_length(args) != 2)
		return VSS_CLASS_NONE;
	left = vssfdw_ship_class(context, linitial(args));
	if (left == VSS_CLASS_NONE ||
		vssfdw_common_class(left, vssfdw_ship_class(context, lsecond(args))) == VSS_CLASS_NONE)
		return VSS_CLASS_NONE;
	how = vssfdw_comparison(opno, left);
	if (how == 0)
		return VSS_CLASS_NONE;
	equality = how == BTEqualStrategyNumber || how == VSS_NOT_EQUAL;
	if (only_equality && !equality)
		return VSS_CLASS_NONE;
	if (vssfdw_class_is_text(left) && !vssfdw_collation_agrees(context, collation, equality))
		return VSS_CLASS_NONE;
	return VSS_CLASS_BOOLEAN;
}

/* Whether each element becomes a literal or a parameter of its own. */
static bool
is_short_constant_array(Expr *array)
{
	ArrayType *values;

	if (!IsA(array, Const) || ((Const *) array)->constisnull)
		return false;
	values = DatumGetArrayTypeP(((Const *) array)->constvalue);
	return ArrayGetNItems(ARR_NDIM(values), ARR_DIMS(values)) <= VSS_MAX_LIST;
}

/*
 * x = ANY (array) and x <> ALL (array).  Both databases agree on NULL elements
 * and on the empty array; a NULL array is bound as an array with one NULL, which
 * gives the same NULL.
 */
static VssClass
array_class(ShipContext *context, ScalarArrayOpExpr *op)
{
	Expr *array = lsecond(op->args);
	VssClass left = vssfdw_ship_class(context, linitial(op->args));
	Oid element = get_element_type(exprType((Node *) array));

	switch (left)
	{
		case VSS_CLASS_NONE:
		case VSS_CLASS_BOOLEAN:
		case VSS_CLASS_BYTES:
			return VSS_CLASS_NONE;
		case VSS_CLASS_FLOAT:
			/* digits of JSON are not always read as the nearest double */
			if (!is_short_constant_array(array))
				return VSS_CLASS_NONE;
			break;
		default:
			break;
	}
	if (vssfdw_type_class(element) != left)
		return VSS_CLASS_NONE;
	if (vssfdw_comparison(op->opno, left) != (op->useOr ? BTEqualStrategyNumber : VSS_NOT_EQUAL))
		return VSS_CLASS_NONE;
	if (vssfdw_class_is_text(left) && !vssfdw_collation_agrees(context, op->inputcollid, true))
		return VSS_CLASS_NONE;
	if (!vssfdw_is_bindable(context->root, context->rel, array))
		return VSS_CLASS_NONE;
	return VSS_CLASS_BOOLEAN;
}

static bool
all_boolean(ShipContext *context, List *args)
{
	ListCell *cell;

	foreach (cell, args)
	{
		if (vssfdw_ship_class(context, lfirst(cell)) != VSS_CLASS_BOOLEAN)
			return false;
	}
	return true;
}

/* SQLite tells NULL from other values as PostgreSQL does, whatever the type. */
static bool
null_test_agrees(ShipContext *context, NullTest *test)
{
	Expr *arg = test->arg;

	if (test->argisrow)
		return false;
	if (IsA(arg, Var) && bms_is_member(((Var *) arg)->varno, VSS_REL(context->rel)->relids))
	{
		Var *var = (Var *) arg;

		return var->varlevelsup == 0 && var->varattno > 0;
	}
	return vssfdw_ship_class(context, arg) != VSS_CLASS_NONE;
}

/* What can be evaluated without failing. */
static bool
is_plain_value(Expr *expr)
{
	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	return IsA(expr, Const) || IsA(expr, Param) || IsA(expr, Var);
}

static VssClass
function_class(ShipContext *context, Oid funcid, Oid collation, List *args)
{
	VssFunction function;
	ListCell *cell;
	int i = 0;

	if (!vssfdw_find_function(funcid, collation, args, &function) || (function.may_fail && !context->sure))
		return VSS_CLASS_NONE;
	foreach (cell, function.operands)
	{
		if (vssfdw_ship_class(context, lfirst(cell)) != function.args[i++])
			return VSS_CLASS_NONE;
	}
	return function.result;
}

/* The class that all of them have. */
static VssClass
common_class(ShipContext *context, List *exprs, VssClass class)
{
	ListCell *cell;

	foreach (cell, exprs)
	{
		if (vssfdw_ship_class(context, lfirst(cell)) != class)
			return VSS_CLASS_NONE;
	}
	return class;
}

/* Callback: CASE x's x for its stand-in, but not that of a CASE inside. */
static Node *
fill_in(Node *node, void *arg)
{
	if (node == NULL || IsA(node, CaseExpr))
		return node;
	if (IsA(node, CaseTestExpr))
		return (Node *) arg;
	return expression_tree_mutator(node, fill_in, arg);
}

CaseExpr *
vssfdw_searched_case(CaseExpr *expr)
{
	CaseExpr *result;
	ListCell *cell;

	if (expr->arg == NULL)
		return expr;
	result = makeNode(CaseExpr);
	*result = *expr;
	result->arg = NULL;
	result->args = NIL;
	foreach (cell, expr->args)
	{
		CaseWhen *when = makeNode(CaseWhen);

		*when = *lfirst_node(CaseWhen, cell);
		when->expr = (Expr *) fill_in((Node *) when->expr, expr->arg);
		result->args = lappend(result->args, when);
	}
	return result;
}

static VssClass
case_class(ShipContext *context, CaseExpr *expr)
{
	VssClass class = vssfdw_type_class(expr->casetype);
	ListCell *cell;

	expr = vssfdw_searched_case(expr);
	if ((expr->defresult != NULL && vssfdw_ship_class(context, expr->defresult) != class))
		return VSS_CLASS_NONE;
	foreach (cell, expr->args)
	{
		CaseWhen *when = lfirst_node(CaseWhen, cell);

		if (vssfdw_ship_class(context, when->expr) != VSS_CLASS_BOOLEAN ||
			vssfdw_ship_class(context, when->result) != class)
			return VSS_CLASS_NONE;
	}
	return class;
}

/* Arithmetic that may fail, where that is allowed. */
static VssClass
attempt_class(ShipContext *context, Oid function, List *args)
{
	VssAttempt attempt;
	VssClass class;

	if (!context->guess || !vssfdw_find_attempt(function, &attempt))
		return VSS_CLASS_NONE;
	/* a date less a date */
	if (strcmp(attempt.type, "days") == 0)
		return common_class(context, args, VSS_CLASS_DATE) != VSS_CLASS_NONE ? VSS_CLASS_INTEGER
																			 : VSS_CLASS_NONE;
	class = attempt.type[0] == 'd' ? VSS_CLASS_FLOAT : VSS_CLASS_INTEGER;
	return common_class(context, args, class);
}

/*
 * Whether the node can make something else of NULL.  A failure that became NULL
 * must leave the whole condition NULL, or true, or false whatever its value.
 */
static bool
turns_null(Expr *expr)
{
	switch (nodeTag(expr))
	{
		case T_CoalesceExpr:
		case T_CaseExpr:
		case T_NullIfExpr:
		case T_MinMaxExpr:
		case T_DistinctExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_Aggref:
			return true;
		default:
			return false;
	}
}

static VssClass
node_class(ShipContext *context, Expr *expr)
{
	VssClass class;

	if (vssfdw_is_bindable(context->root, context->rel, expr))
	{
		/* bound values are computed beforehand, wanted or not */
		if (context->lazy > 0 && !is_plain_value(expr))
			return VSS_CLASS_NONE;
		return vssfdw_type_class(exprType((Node *) expr));
	}

	switch (nodeTag(expr))
	{
		case T_Var:
			return var_class(context, (Var *) expr);

		case T_RelabelType:
		{
			RelabelType *relabel = (RelabelType *) expr;

			class = vssfdw_ship_class(context, relabel->arg);
			return class == vssfdw_type_class(relabel->resulttype) ? class : VSS_CLASS_NONE;
		}

		case T_FuncExpr:
		{
			FuncExpr *func = (FuncExpr *) expr;

			/* widening changes no value */
			if (func->funcid == F_INT4_INT2 || func->funcid == F_INT8_INT2 || func->funcid == F_INT8_INT4)
				return vssfdw_ship_class(context, linitial(func->args));
			class = function_class(context, func->funcid, func->inputcollid, func->args);
			return class != VSS_CLASS_NONE ? class : attempt_class(context, func->funcid, func->args);
		}

		case T_OpExpr:
		{
			OpExpr *op = (OpExpr *) expr;

			class = comparison_class(context, op->opno, op->inputcollid, op->args, false);
			if (class == VSS_CLASS_NONE)
				class = function_class(context, get_opcode(op->opno), op->inputcollid, op->args);
			if (class == VSS_CLASS_NONE)
				class = attempt_class(context, get_opcode(op->opno), op->args);
			return class;
		}

		case T_CoalesceExpr:
			context->lazy++;
			class = common_class(context, ((CoalesceExpr *) expr)->args,
								 vssfdw_type_class(((CoalesceExpr *) expr)->coalescetype));
			context->lazy--;
			return class;

		case T_MinMaxExpr:
		{
			MinMaxExpr *extreme = (MinMaxExpr *) expr;

			class = common_class(context, extreme->args, vssfdw_type_class(extreme->minmaxtype));
			return vssfdw_class_is_text(class) &&
						   !vssfdw_collation_agrees(context, extreme->inputcollid, false)
					   ? VSS_CLASS_NONE
					   : class;
		}

		case T_CoerceViaIO:
		{
			CoerceViaIO *coerce = (CoerceViaIO *) expr;

			/* an integer's digits */
			return vssfdw_type_class(coerce->resulttype) == VSS_CLASS_TEXT &&
						   vssfdw_ship_class(context, coerce->arg) == VSS_CLASS_INTEGER
					   ? VSS_CLASS_TEXT
					   : VSS_CLASS_NONE;
		}

		case T_CaseExpr:
			context->lazy++;
			class = case_class(context, (CaseExpr *) expr);
			context->lazy--;
			return class;

		case T_NullIfExpr:
		{
			NullIfExpr *op = (NullIfExpr *) expr;

			if (comparison_class(context, op->opno, op->inputcollid, op->args, true) == VSS_CLASS_NONE)
				return VSS_CLASS_NONE;
			class = vssfdw_ship_class(context, linitial(op->args));
			return vssfdw_ship_class(context, lsecond(op->args)) == class ? class : VSS_CLASS_NONE;
		}

		case T_DistinctExpr:
		{
			DistinctExpr *op = (DistinctExpr *) expr;

			return comparison_class(context, op->opno, op->inputcollid, op->args, true);
		}

		case T_Aggref:
			return vssfdw_aggregate_class(context, (Aggref *) expr);

		case T_ScalarArrayOpExpr:
			return array_class(context, (ScalarArrayOpExpr *) expr);

		case T_BoolExpr:
			return all_boolean(context, ((BoolExpr *) expr)->args) ? VSS_CLASS_BOOLEAN : VSS_CLASS_NONE;

		case T_NullTest:
			return null_test_agrees(context, (NullTest *) expr) ? VSS_CLASS_BOOLEAN : VSS_CLASS_NONE;

		case T_BooleanTest:
			return vssfdw_ship_class(context, ((BooleanTest *) expr)->arg) == VSS_CLASS_BOOLEAN
					   ? VSS_CLASS_BOOLEAN
					   : VSS_CLASS_NONE;

		default:
			return VSS_CLASS_NONE;
	}
}

VssClass
vssfdw_ship_class(ShipContext *context, Expr *expr)
{
	VssClass class;

	bool guess = context->guess;

	if (expr == NULL || context->depth >= MAX_NESTING)
		return VSS_CLASS_NONE;
	if (turns_null(expr))
		context->guess = false;
	context->depth++;
	class = node_class(context, expr);
	context->depth--;
	context->guess = guess;
	return class;
}

VssClass
vssfdw_expr_class(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	ShipContext context = {.root = root, .rel = rel};

	return vssfdw_ship_class(&context, expr);
}

bool
vssfdw_is_shippable(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	/*
	 * A condition without columns of the relation is PostgreSQL's to decide
	 * once for all rows, so it is left there.
	 */
	if (!bms_overlap(pull_varnos(root, (Node *) expr), VSS_REL(rel)->relids))
		return false;
	return vssfdw_expr_class(root, rel, expr) == VSS_CLASS_BOOLEAN;
}

VssClass
vssfdw_guessed_class(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	ShipContext context = {.root = root, .rel = rel, .guess = true};

	return vssfdw_ship_class(&context, expr);
}

bool
vssfdw_is_guessable(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	return bms_overlap(pull_varnos(root, (Node *) expr), VSS_REL(rel)->relids) &&
		   vssfdw_guessed_class(root, rel, expr) == VSS_CLASS_BOOLEAN;
}
