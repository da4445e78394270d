/*
 * shippable.c
 *		What an expression is in SQLite, and so whether SQLite may evaluate it.
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
 * Functions go down where pushdown_functions.c has a row for them.
 *
 * Every node is looked at once, its operands before it, and what was found of
 * them decides: the work grows with the size of the expression alone.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"

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

/* ---------- operators and collations ---------- */

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
	return VSS_COLLATE_IS_C(collation);
}

static bool
collation_folds_ascii(Oid collation)
{
#if PG_VERSION_NUM >= 180000
	return pg_newlocale_from_collation(collation)->ctype_is_c;
#else
	return lc_ctype_is_c(collation);
#endif
}

bool
vssfdw_collation_agrees(RelOptInfo *rel, Oid collation, bool equality)
{
	if (!OidIsValid(collation))
		return false;
	if (equality)
		return get_collation_isdeterministic(collation);
	return collation_is_c(collation) && GetDatabaseEncoding() == PG_UTF8 &&
		   sqlite_is_utf8(VSS_REL(rel)->conn);
}

/* "<" and its like, and the same with its operands exchanged. */
static const char *
comparison_word(int how)
{
	static const char *const words[] = {NULL, "<", "<=", "=", ">=", ">", "<>"};

	return words[how];
}

static int
mirrored(int how)
{
	return how == VSS_NOT_EQUAL ? how : BTGreaterStrategyNumber + BTLessStrategyNumber - how;
}

/* ---------- making terms ---------- */

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

static VssTerm *
no_term(Expr *expr)
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

static VssTerm *
value_term(Expr *expr)
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
	return value_term((Expr *) constant);
}

static VssTerm *
column_term(TermContext *context, Var *var)
{
	const VssPlanColumn *column;
	VssTerm *term;

	if (!bms_is_member(var->varno, VSS_REL(context->rel)->relids) || var->varlevelsup != 0)
		return value_term((Expr *) var);
	column = vssfdw_var_column(context->root, var);
	if (column == NULL)
		return no_term((Expr *) var);
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
		return no_term(term->expr);
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
			return no_term(term->expr);
	}
	term->class = class;
	return class != VSS_CLASS_NONE ? term : no_term(term->expr);
}

/* ---------- operators ---------- */

/* A comparison; only_equality: = and <> alone. */
static VssTerm *
comparison_term(TermContext *context, OpExpr *op, List *args, bool only_equality)
{
	VssTerm *left = linitial(args);
	VssTerm *right = lsecond(args);
	VssTerm *term;
	bool equality;
	int how;

	if (vssfdw_common_class(left->class, right->class) == VSS_CLASS_NONE)
		return NULL;
	how = vssfdw_comparison(op->opno, left->class);
	equality = how == BTEqualStrategyNumber || how == VSS_NOT_EQUAL;
	if (how == 0 || (only_equality && !equality))
		return NULL;
	if (vssfdw_class_is_text(left->class) &&
		!vssfdw_collation_agrees(context->rel, op->inputcollid, equality))
		return NULL;
	/*
	 * The column on the left: which way round a join clause comes differs
	 * between versions of PostgreSQL.
	 */
	if (!only_equality && (left->traits & VSS_READS_ROWS) == 0 && (right->traits & VSS_READS_ROWS) != 0)
	{
		args = list_make2(right, left);
		how = mirrored(how);
	}
	term = vssfdw_make_term(VSS_TERM_COMPARISON, comparison_word(how), args, (Expr *) op);
	term->class = VSS_CLASS_BOOLEAN;
	term->how = how;
	if (left->class != right->class)
		term->depth++;
	return term;
}

/* Whether SQLite has the row's function for operands of these classes and in this collation. */
static bool
suits(const VssFunction *row, Oid collation, List *args)
{
	ListCell *cell;
	int i = 0;

	if (row->name == NULL || list_length(args) > VSS_FUNCTION_ARGS)
		return false;
	if ((row->flags & VSS_UTF8) != 0 && GetDatabaseEncoding() != PG_UTF8)
		return false;
	if ((row->flags & (VSS_FOLDS_CASE | VSS_DETERMINISTIC)) != 0 && !OidIsValid(collation))
		return false;
	if ((row->flags & VSS_FOLDS_CASE) != 0 && !collation_folds_ascii(collation))
		return false;
	if ((row->flags & VSS_DETERMINISTIC) != 0 && !get_collation_isdeterministic(collation))
		return false;
	foreach (cell, args)
	{
		VssClass wanted = row->args[i++];

		if (wanted != VSS_CLASS_NONE && ((VssTerm *) lfirst(cell))->class != wanted)
			return false;
	}
	return true;
}

/* Arithmetic that may fail, of operands that all have the row's class. */
static VssTerm *
try_term(const VssFunction *row, List *args, Expr *expr)
{
	VssTerm *term = vssfdw_make_term(VSS_TERM_TRY, row->tried, args, expr);
	ListCell *cell;

	foreach (cell, args)
	{
		if (((VssTerm *) lfirst(cell))->class != row->args[0])
			return no_term(expr);
	}
	term->class = row->result;
	term->function = row;
	term->traits |= VSS_MAY_FAIL;
	return term;
}

/* A function or operator that pushdown_functions.c has a row for. */
static VssTerm *
function_term(Oid function, Oid collation, List *args, Expr *expr)
{
	const VssFunction *row = vssfdw_find_function(function);
	VssTerm *term;

	if (row == NULL)
		return no_term(expr);
	if (suits(row, collation, args))
	{
		VssTermKind kind = VSS_TERM_CALL;

		if (row->name[0] == '\0')
			kind = VSS_TERM_SAME;
		else if (strcmp(row->name, "||") == 0)
			kind = VSS_TERM_LIST;
		term = vssfdw_make_term(kind, row->name, args, expr);
		term->class = row->result;
		term->function = row;
		if ((row->flags & VSS_LEAVES_RANGE) != 0)
			term->traits |= VSS_MAY_LEAVE_RANGE;
		if (row->fit == NULL || row->fit(term))
		{
			if ((row->flags & VSS_NEGATED) == 0)
				return term;
			term = vssfdw_make_term(VSS_TERM_PREFIX, "NOT", list_make1(term), expr);
			term->class = row->result;
			return term;
		}
	}
	return row->tried != NULL ? try_term(row, args, expr) : no_term(expr);
}

static VssTerm *
operator_term(TermContext *context, OpExpr *op, List *args)
{
	VssTerm *term = NULL;

	if (list_length(args) == 2)
		term = comparison_term(context, op, args, false);
	return term != NULL ? term : function_term(get_opcode(op->opno), op->inputcollid, args, (Expr *) op);
}

int
vssfdw_list_length(const VssTerm *list)
{
	const Const *array = (const Const *) ((VssTerm *) lsecond(list->args))->expr;
	ArrayType *values;

	if (!IsA(array, Const) || array->constisnull)
		return 0;
	values = DatumGetArrayTypeP(array->constvalue);
	return ArrayGetNItems(ARR_NDIM(values), ARR_DIMS(values));
}

List *
vssfdw_list_elements(const VssTerm *list)
{
	const Const *array = (const Const *) ((VssTerm *) lsecond(list->args))->expr;
	ArrayType *values = DatumGetArrayTypeP(array->constvalue);
	Oid type = ARR_ELEMTYPE(values);
	List *result = NIL;
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *elements;
	bool *nulls;
	int n;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	deconstruct_array(values, type, typlen, typbyval, typalign, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		result = lappend(result, vssfdw_constant_term(makeConst(type, -1, get_typcollation(type), typlen,
																elements[i], nulls[i], typbyval)));
	return result;
}

/* Whether arrays of the class are bound, as JSON; its digits are not always read as the nearest double. */
static bool
is_bound_as_array(VssClass class)
{
	return class != VSS_CLASS_NONE && class != VSS_CLASS_BOOLEAN && class != VSS_CLASS_BYTES &&
		   class != VSS_CLASS_FLOAT;
}

/*
 * x = ANY (array) and x <> ALL (array).  Both databases agree on NULL elements
 * and on the empty array; a NULL array is bound as an array with one NULL, which
 * gives the same NULL.
 */
static VssTerm *
array_term(TermContext *context, ScalarArrayOpExpr *op, List *args)
{
	VssTerm *left = linitial(args);
	VssTerm *array = lsecond(args);
	bool constant = IsA(array->expr, Const) && !((Const *) array->expr)->constisnull;
	VssTerm *term = vssfdw_make_term(VSS_TERM_ANY, op->useOr ? "IN" : "NOT IN", args, (Expr *) op);
	int elements = vssfdw_list_length(term);

	if (array->kind != VSS_TERM_VALUE)
		return no_term((Expr *) op);
	if (!is_bound_as_array(left->class) &&
		(left->class != VSS_CLASS_FLOAT || !constant || elements > VSS_MAX_LIST))
		return no_term((Expr *) op);
	if (vssfdw_type_class(get_element_type(exprType((Node *) array->expr))) != left->class)
		return no_term((Expr *) op);
	if (vssfdw_comparison(op->opno, left->class) != (op->useOr ? BTEqualStrategyNumber : VSS_NOT_EQUAL))
		return no_term((Expr *) op);
	if (vssfdw_class_is_text(left->class) && !vssfdw_collation_agrees(context->rel, op->inputcollid, true))
		return no_term((Expr *) op);
	term->class = VSS_CLASS_BOOLEAN;
	term->how = op->useOr ? BTEqualStrategyNumber : VSS_NOT_EQUAL;
	if (elements <= VSS_MAX_LIST)
		term->size += elements;
	return term;
}

/* ---------- the other nodes ---------- */

/* The depth of a list that is written as a balanced tree of chains (deparse_conds.c). */
static int
list_depth(int length)
{
	int depth = 1;

	for (; length > VSS_MAX_CHAIN; length = (length + 1) / 2)
		depth++;
	return depth + length;
}

/*
 * x = 1 OR x = 2 OR ... as x IN (1, 2, ...), where the list is so long that it is
 * better bound as one array; NULL where it cannot be.  All values are of one
 * type, so that all comparisons mean the same.
 */
static VssTerm *
alternatives_term(BoolExpr *expr, List *args)
{
	const VssTerm *first = linitial(args);
	Datum *values = palloc(list_length(args) * sizeof(Datum));
	const Const *model;
	Oid array_type;
	ArrayType *array;
	VssTerm *term;
	ListCell *cell;
	int16 typlen;
	bool typbyval;
	char typalign;

	if (first->kind != VSS_TERM_COMPARISON || ((VssTerm *) linitial(first->args))->kind != VSS_TERM_COLUMN)
		return NULL;
	model = (const Const *) ((VssTerm *) lsecond(first->args))->expr;
	foreach (cell, args)
	{
		const VssTerm *arg = lfirst(cell);
		const Const *value;

		if (arg->kind != VSS_TERM_COMPARISON || arg->how != BTEqualStrategyNumber ||
			!equal(((VssTerm *) linitial(arg->args))->expr, ((VssTerm *) linitial(first->args))->expr))
			return NULL;
		value = (const Const *) ((VssTerm *) lsecond(arg->args))->expr;
		if (!IsA(value, Const) || value->constisnull || value->consttype != model->consttype)
			return NULL;
		values[foreach_current_index(cell)] = value->constvalue;
	}
	array_type = get_array_type(model->consttype);
	if (!OidIsValid(array_type) || !is_bound_as_array(((VssTerm *) linitial(first->args))->class) ||
		vssfdw_type_class(model->consttype) != ((VssTerm *) linitial(first->args))->class)
		return NULL;
	get_typlenbyvalalign(model->consttype, &typlen, &typbyval, &typalign);
	array = construct_array(values, list_length(args), model->consttype, typlen, typbyval, typalign);
	term = vssfdw_make_term(VSS_TERM_ANY, "IN",
							list_make2(linitial(first->args),
									   vssfdw_constant_term(makeConst(array_type, -1, model->constcollid, -1,
																	  PointerGetDatum(array), false, false))),
							(Expr *) expr);
	term->class = VSS_CLASS_BOOLEAN;
	term->how = BTEqualStrategyNumber;
	return term;
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
		VssTerm *alternatives = alternatives_term(expr, args);

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
		return no_term((Expr *) test);
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
extreme_term(TermContext *context, MinMaxExpr *expr, List *args)
{
	VssTerm *term = vssfdw_make_term(VSS_TERM_CALL, expr->op == IS_GREATEST ? "vss_greatest" : "vss_least",
									 args, (Expr *) expr);

	term = of_class(term, vssfdw_type_class(expr->minmaxtype));
	if (vssfdw_class_is_text(term->class) && !vssfdw_collation_agrees(context->rel, expr->inputcollid, false))
		return no_term((Expr *) expr);
	return hiding(term);
}

static VssTerm *
nullif_term(TermContext *context, NullIfExpr *op, List *args)
{
	VssTerm *term = vssfdw_make_term(VSS_TERM_CALL, "nullif", args, (Expr *) op);

	if (comparison_term(context, (OpExpr *) op, args, true) == NULL)
		return no_term((Expr *) op);
	return hiding(of_class(term, ((VssTerm *) linitial(args))->class));
}

static VssTerm *
distinct_term(TermContext *context, DistinctExpr *op, List *args)
{
	VssTerm *term = comparison_term(context, (OpExpr *) op, args, true);

	if (term == NULL)
		return no_term((Expr *) op);
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
		return no_term((Expr *) coerce);
	term->class = VSS_CLASS_TEXT;
	return term;
}

static VssTerm *
relabel_term(RelabelType *relabel, List *args)
{
	VssTerm *arg = linitial(args);

	return arg->class == vssfdw_type_class(relabel->resulttype) ? arg : no_term((Expr *) relabel);
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
			return no_term((Expr *) expr);
	}
	term->class = class;
	return class != VSS_CLASS_NONE ? choosing(term) : no_term((Expr *) expr);
}

/* ---------- the pass ---------- */

/* Callback: whether it is x of a CASE x around the expression. */
static bool
has_case_operand(Node *node, void *unused)
{
	if (node == NULL || IsA(node, CaseExpr))
		return false;
	return IsA(node, CaseTestExpr) || expression_tree_walker(node, has_case_operand, NULL);
}

/* What SQLite has no word for: a value, or nothing.  It is looked at as a whole. */
static VssTerm *
opaque_term(TermContext *context, Expr *expr)
{
	if (context->case_operand != NULL && has_case_operand((Node *) expr, NULL))
		return no_term(expr);
	return vssfdw_is_bindable(context->root, context->rel, expr) ? value_term(expr) : no_term(expr);
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

/* The term of a node that is no value, from those of its operands, each of which SQLite has. */
static VssTerm *
node_term(TermContext *context, Expr *expr, List *args)
{
	switch (nodeTag(expr))
	{
		case T_RelabelType:
			return relabel_term((RelabelType *) expr, args);
		case T_FuncExpr:
			return function_term(((FuncExpr *) expr)->funcid, ((FuncExpr *) expr)->inputcollid, args, expr);
		case T_OpExpr:
			return operator_term(context, (OpExpr *) expr, args);
		case T_NullIfExpr:
			return nullif_term(context, (NullIfExpr *) expr, args);
		case T_DistinctExpr:
			return distinct_term(context, (DistinctExpr *) expr, args);
		case T_ScalarArrayOpExpr:
			return array_term(context, (ScalarArrayOpExpr *) expr, args);
		case T_CoalesceExpr:
			return coalesce_term((CoalesceExpr *) expr, args);
		case T_MinMaxExpr:
			return extreme_term(context, (MinMaxExpr *) expr, args);
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
			return no_term(expr);
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
		return no_term((Expr *) agg);
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
		return column_term(context, (Var *) expr);
	if (IsA(expr, Const) || IsA(expr, Param))
		return value_term(expr);
	if (IsA(expr, CaseTestExpr))
		return context->case_operand != NULL ? context->case_operand : no_term(expr);
	if (IsA(expr, Aggref))
		return aggregate_term(context, (Aggref *) expr);
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
		return no_term(expr);
	return values ? value_term(expr) : node_term(context, expr, args);
}

VssTerm *
vssfdw_term(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	TermContext context = {.root = root, .rel = rel};
	VssTerm *term = make_expr_term(&context, expr);

	elog(DEBUG3, "looked at %d nodes of an expression for SQLite", context.looked_at);
	return term->size <= VSS_MAX_SIZE && term->depth <= MAX_DEPTH ? term : no_term(expr);
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
	return term->kind != VSS_TERM_NONE && term->kind != VSS_TERM_VALUE && term->class == VSS_CLASS_BOOLEAN;
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
