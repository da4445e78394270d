/*
 * deparse.c
 *		Expressions for SQLite, from what shippable.c let through.
 *
 * Every column is qualified with its table's alias, r<number of the relation>:
 * SQLite reads an unknown "name" in double quotes as a string, but never an
 * unknown alias."name".  Values are written as literals where the text says
 * exactly the value (integers, short text), and bound otherwise: SQLite's
 * conversion of decimal digits to a double is not always the nearest one.
 * Parameters carry explicit numbers, ?1, ?2, ..., in the order in which they
 * enter VssDeparse.params.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "fdw/ship/ship.h"

/* What PostgreSQL evaluates: a literal or a parameter. */
static void
put_value(VssDeparse *context, Expr *expr)
{
	const char *reader;
	int i = 0;
	ListCell *cell;

	if (IsA(expr, Const))
	{
		Const *c = (Const *) expr;

		if (vssfdw_put_literal(context->buf, c->consttype, c->constvalue, c->constisnull))
			return;
	}
	foreach (cell, context->params)
	{
		if (equal(lfirst(cell), expr))
			break;
		i++;
	}
	if (cell == NULL)
		context->params = lappend(context->params, expr);
	reader = vssfdw_param_reader(exprType((Node *) expr));
	if (reader != NULL)
		appendStringInfo(context->buf, "%s(?%d)", reader, context->first_param + i);
	else
		appendStringInfo(context->buf, "?%d", context->first_param + i);
}

void
vssfdw_deparse_column(VssDeparse *context, Var *var)
{
	const VssPlanColumn *column = vssfdw_var_column(context->root, var);

	if (column == NULL)
		elog(ERROR, "column %d of relation %u is not one of SQLite", var->varattno, (unsigned) var->varno);
	appendStringInfo(context->buf, "r%u.%s", (unsigned) var->varno, vssfdw_quote_identifier(column->name));
}

/* A column in a comparison. */
static void
put_var(VssDeparse *context, Var *var)
{
	const VssPlanColumn *column = vssfdw_var_column(context->root, var);

	if (column->reader != NULL)
	{
		appendStringInfo(context->buf, "%s(", column->reader);
		vssfdw_deparse_column(context, var);
		appendStringInfo(context->buf, "%s)", column->reader_args);
		return;
	}
	vssfdw_deparse_column(context, var);
	if (column->class == VSS_CLASS_TEXT && !column->binary)
		appendStringInfoString(context->buf, " COLLATE BINARY");
}

static const char *
operator_sql(Oid opno, VssClass class)
{
	switch (vssfdw_comparison(opno, class))
	{
		case BTLessStrategyNumber:
			return "<";
		case BTLessEqualStrategyNumber:
			return "<=";
		case BTEqualStrategyNumber:
			return "=";
		case BTGreaterEqualStrategyNumber:
			return ">=";
		case BTGreaterStrategyNumber:
			return ">";
		case VSS_NOT_EQUAL:
			return "<>";
		default:
			elog(ERROR, "operator %u has no counterpart in SQLite", opno);
	}
}

/* The operator with its operands exchanged. */
static const char *
mirrored(const char *operator)
{
	switch (operator[0])
	{
		case '<':
			return operator[1] == '=' ? ">=" : operator[1] == '>' ? "<>" : ">";
		case '>':
			return operator[1] == '=' ? "<=" : "<";
		default:
			return operator;
	}
}

/* Whether expr reads columns of the scan, rather than being a value to bind. */
static bool
reads_columns(VssDeparse *context, void *expr)
{
	return bms_overlap(pull_varnos(context->root, expr), VSS_REL(context->rel)->relids);
}

/* The function that turns operands of the class into those of the class in which they are compared, or NULL. */
static const char *
conversion(VssClass from, VssClass to)
{
	if (from == to)
		return NULL;
	if (from == VSS_CLASS_TIMESTAMP)
		return "vss_from_local";
	return to == VSS_CLASS_TIMESTAMP ? "vss_date_start" : "vss_date_start_local";
}

static void
put_operand(VssDeparse *context, Expr *expr, const char *conversion)
{
	if (conversion != NULL)
		appendStringInfo(context->buf, "%s(", conversion);
	vssfdw_deparse_expr(context, expr);
	if (conversion != NULL)
		appendStringInfoChar(context->buf, ')');
}

static void
put_comparison(VssDeparse *context, const char *operator, List * args)
{
	VssClass left = vssfdw_guessed_class(context->root, context->rel, linitial(args));
	VssClass right = vssfdw_guessed_class(context->root, context->rel, lsecond(args));
	VssClass common = vssfdw_common_class(left, right);

	appendStringInfoChar(context->buf, '(');
	put_operand(context, linitial(args), conversion(left, common));
	appendStringInfo(context->buf, " %s ", operator);
	put_operand(context, lsecond(args), conversion(right, common));
	appendStringInfoChar(context->buf, ')');
}

static void
put_call(VssDeparse *context, const char *name, List *args)
{
	const char *separator = "(";
	ListCell *cell;

	appendStringInfoString(context->buf, name);
	foreach (cell, args)
	{
		appendStringInfoString(context->buf, separator);
		vssfdw_deparse_expr(context, lfirst(cell));
		separator = ", ";
	}
	appendStringInfoChar(context->buf, ')');
}

/* A function or operator of pushdown_functions.c; false when it is none of these. */
static bool
put_function(VssDeparse *context, Oid funcid, Oid collation, List *args)
{
	VssFunction function;

	if (!vssfdw_find_function(funcid, collation, args, &function))
		return false;
	if (function.negated)
		appendStringInfoString(context->buf, "(NOT ");
	if (strcmp(function.name, "||") == 0)
		put_comparison(context, function.name, args);
	else
		put_call(context, function.name, function.operands);
	if (function.negated)
		appendStringInfoChar(context->buf, ')');
	return true;
}

/* Arithmetic that may fail; false when it is none. */
static bool
put_attempt(VssDeparse *context, Oid function, List *args)
{
	VssAttempt attempt;

	if (!vssfdw_find_attempt(function, &attempt))
		return false;
	appendStringInfo(context->buf, "vss_try('%s', '%s', ", attempt.operation, attempt.type);
	if (list_length(args) == 1 && attempt.operation[0] == '-')
		appendStringInfoString(context->buf, "0, ");
	vssfdw_deparse_expr(context, linitial(args));
	if (list_length(args) == 2)
	{
		appendStringInfoString(context->buf, ", ");
		vssfdw_deparse_expr(context, lsecond(args));
	}
	else if (attempt.operation[0] != '-')
		appendStringInfoString(context->buf, ", 0");
	appendStringInfoChar(context->buf, ')');
	return true;
}

static void
put_case(VssDeparse *context, CaseExpr *expr)
{
	ListCell *cell;

	expr = vssfdw_searched_case(expr);

	appendStringInfoString(context->buf, "CASE");
	foreach (cell, expr->args)
	{
		CaseWhen *when = lfirst_node(CaseWhen, cell);

		appendStringInfoString(context->buf, " WHEN ");
		vssfdw_deparse_expr(context, when->expr);
		appendStringInfoString(context->buf, " THEN ");
		vssfdw_deparse_expr(context, when->result);
	}
	if (expr->defresult != NULL)
	{
		appendStringInfoString(context->buf, " ELSE ");
		vssfdw_deparse_expr(context, expr->defresult);
	}
	appendStringInfoString(context->buf, " END");
}

/* x IN (...): literals of a constant array, or an array bound as JSON. */
static void
put_array_op(VssDeparse *context, ScalarArrayOpExpr *op)
{
	Expr *array = lsecond(op->args);
	StringInfo buf = context->buf;
	const char *reader;

	appendStringInfoChar(buf, '(');
	vssfdw_deparse_expr(context, linitial(op->args));
	appendStringInfoString(buf, op->useOr ? " IN (" : " NOT IN (");
	if (IsA(array, Const) && ((Const *) array)->constisnull)
	{
		/* NULL, whatever x is */
		appendStringInfoString(buf, "NULL))");
		return;
	}
	if (IsA(array, Const))
	{
		ArrayType *values = DatumGetArrayTypeP(((Const *) array)->constvalue);
		Oid type = ARR_ELEMTYPE(values);
		int16 typlen;
		bool typbyval;
		char typalign;
		Datum *elements;
		bool *nulls;
		int n;

		get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
		deconstruct_array(values, type, typlen, typbyval, typalign, &elements, &nulls, &n);
		if (n <= VSS_MAX_LIST)
		{
			for (int i = 0; i < n; i++)
			{
				if (i > 0)
					appendStringInfoString(buf, ", ");
				if (!vssfdw_put_literal(buf, type, elements[i], nulls[i]))
					put_value(context, (Expr *) makeConst(type, -1, get_typcollation(type), typlen,
														  elements[i], false, typbyval));
			}
			appendStringInfoString(buf, "))");
			return;
		}
	}
	reader = vssfdw_element_reader(get_element_type(exprType((Node *) array)));
	if (reader != NULL)
		appendStringInfo(buf, "SELECT %s(value) FROM json_each(", reader);
	else
		appendStringInfoString(buf, "SELECT value FROM json_each(");
	put_value(context, array);
	appendStringInfoString(buf, ")))");
}

static void
put_bool_expr(VssDeparse *context, BoolExpr *expr)
{
	StringInfo buf = context->buf;

	if (expr->boolop == NOT_EXPR)
	{
		appendStringInfoString(buf, "(NOT ");
		vssfdw_deparse_expr(context, linitial(expr->args));
	}
	else
	{
		appendStringInfoChar(buf, '(');
		vssfdw_deparse_list(context, expr->args, expr->boolop == AND_EXPR ? "AND" : "OR");
	}
	appendStringInfoChar(buf, ')');
}

static const char *
boolean_test_sql(BoolTestType type)
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

void
vssfdw_deparse_expr(VssDeparse *context, Expr *expr)
{
	StringInfo buf = context->buf;

	if (!IsA(expr, Var) && vssfdw_is_bindable(context->root, context->rel, expr))
	{
		put_value(context, expr);
		return;
	}
	switch (nodeTag(expr))
	{
		case T_Var:
			if (bms_is_member(((Var *) expr)->varno, VSS_REL(context->rel)->relids))
				put_var(context, (Var *) expr);
			else
				put_value(context, expr);
			break;

		case T_RelabelType:
			vssfdw_deparse_expr(context, ((RelabelType *) expr)->arg);
			break;

		case T_FuncExpr:
		{
			FuncExpr *func = (FuncExpr *) expr;

			/* else a widening cast */
			if (!put_function(context, func->funcid, func->inputcollid, func->args) &&
				!put_attempt(context, func->funcid, func->args))
				vssfdw_deparse_expr(context, linitial(func->args));
		}
		break;

		case T_CoalesceExpr:
			/* the planner leaves NULL constants out; SQLite wants two arguments */
			if (list_length(((CoalesceExpr *) expr)->args) == 1)
				vssfdw_deparse_expr(context, linitial(((CoalesceExpr *) expr)->args));
			else
				put_call(context, "coalesce", ((CoalesceExpr *) expr)->args);
			break;

		case T_MinMaxExpr:
			put_call(context, ((MinMaxExpr *) expr)->op == IS_GREATEST ? "vss_greatest" : "vss_least",
					 ((MinMaxExpr *) expr)->args);
			break;

		case T_CoerceViaIO:
			put_call(context, "vss_integer_text", list_make1(((CoerceViaIO *) expr)->arg));
			break;

		case T_NullIfExpr:
			put_call(context, "nullif", ((NullIfExpr *) expr)->args);
			break;

		case T_CaseExpr:
			put_case(context, (CaseExpr *) expr);
			break;

		case T_OpExpr:
		{
			OpExpr *op = (OpExpr *) expr;
			VssClass class;
			const char *operator;

			if (put_function(context, get_opcode(op->opno), op->inputcollid, op->args) ||
				put_attempt(context, get_opcode(op->opno), op->args))
				break;
			class = vssfdw_guessed_class(context->root, context->rel, linitial(op->args));
			operator= operator_sql(op->opno, class);

			/*
			 * The column on the left: which way round a join clause comes
			 * differs between versions of PostgreSQL.
			 */
			if (!reads_columns(context, linitial(op->args)) && reads_columns(context, lsecond(op->args)))
				put_comparison(context, mirrored(operator),
							   list_make2(lsecond(op->args), linitial(op->args)));
			else
				put_comparison(context, operator, op->args);
		}
		break;

		case T_DistinctExpr:
			put_comparison(context, "IS NOT", ((DistinctExpr *) expr)->args);
			break;

		case T_Aggref:
			if (vssfdw_is_numeric_sum((Aggref *) expr))
			{
				appendStringInfoString(buf, "vss_numeric(");
				vssfdw_deparse_aggregate(context, (Aggref *) expr);
				appendStringInfoChar(buf, ')');
			}
			else
				vssfdw_deparse_aggregate(context, (Aggref *) expr);
			break;

		case T_ScalarArrayOpExpr:
			put_array_op(context, (ScalarArrayOpExpr *) expr);
			break;

		case T_BoolExpr:
			put_bool_expr(context, (BoolExpr *) expr);
			break;

		case T_NullTest:
			appendStringInfoChar(buf, '(');
			vssfdw_deparse_expr(context, ((NullTest *) expr)->arg);
			appendStringInfoString(buf, ((NullTest *) expr)->nulltesttype == IS_NULL ? " IS NULL)"
																					 : " IS NOT NULL)");
			break;

		case T_BooleanTest:
			appendStringInfoChar(buf, '(');
			vssfdw_deparse_expr(context, ((BooleanTest *) expr)->arg);
			appendStringInfo(buf, " %s)", boolean_test_sql(((BooleanTest *) expr)->booltesttype));
			break;

		default:
			elog(ERROR, "node of type %d cannot be written for SQLite", (int) nodeTag(expr));
	}
}
