/*
 * deparse.c
 *		SQL for SQLite from what shippable.c let through.
 *
 * Every column is qualified with its table's alias, r<number of the relation>:
 * SQLite reads an unknown "name" in double quotes as a string, but never an
 * unknown alias."name".  Values are written as literals where the text says
 * exactly the value (integers, short text), and bound otherwise: SQLite's
 * conversion of decimal digits to a double is not always the nearest one.
 * Parameters carry explicit numbers, ?1, ?2, ..., in the order in which they
 * enter VssDeparse.params.
 *
 * Lists of conditions are written as balanced trees, as SQLite limits the depth
 * of an expression, and a chain of a thousand ORs is a thousand deep.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "fdw/planner.h"

#define MAX_TEXT_LITERAL 200  /* bytes */
#define MAX_LIST_LITERAL 1000 /* elements of an IN list */

static void
put_text(StringInfo buf, const char *text, int length)
{
	char *utf8 = pg_server_to_any(text, length, PG_UTF8);
	const char *p;

	/* pg_server_to_any returns its argument where nothing is to do */
	if (utf8 != text)
		length = strlen(utf8);
	appendStringInfoChar(buf, '\'');
	for (p = utf8; p < utf8 + length; p++)
	{
		if (*p == '\'')
			appendStringInfoChar(buf, '\'');
		appendStringInfoChar(buf, *p);
	}
	appendStringInfoChar(buf, '\'');
}

/* Write the value as a literal; false where it has no exact or short one. */
static bool
put_literal(StringInfo buf, Oid type, Datum value, bool isnull)
{
	if (isnull)
	{
		appendStringInfoString(buf, "NULL");
		return true;
	}
	switch (type)
	{
		case INT2OID:
			appendStringInfo(buf, "%d", DatumGetInt16(value));
			return true;
		case INT4OID:
			appendStringInfo(buf, "%d", DatumGetInt32(value));
			return true;
		case INT8OID:
			/* the digits of the least integer alone would be a double */
			if (DatumGetInt64(value) == PG_INT64_MIN)
				appendStringInfoString(buf, "(-9223372036854775807 - 1)");
			else
				appendStringInfo(buf, INT64_FORMAT, DatumGetInt64(value));
			return true;
		case BOOLOID:
			appendStringInfoString(buf, DatumGetBool(value) ? "1" : "0");
			return true;
		case TEXTOID:
		case VARCHAROID:
		{
			text *t = DatumGetTextPP(value);

			if (VARSIZE_ANY_EXHDR(t) > MAX_TEXT_LITERAL)
				return false;
			put_text(buf, VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
			return true;
		}
		default:
			return false;
	}
}

/* What PostgreSQL evaluates: a literal or a parameter. */
static void
put_value(VssDeparse *context, Expr *expr)
{
	int i = 0;
	ListCell *cell;

	if (IsA(expr, Const))
	{
		Const *c = (Const *) expr;

		if (put_literal(context->buf, c->consttype, c->constvalue, c->constisnull))
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
	appendStringInfo(context->buf, "?%d", context->first_param + i);
}

static void
put_column(VssDeparse *context, AttrNumber attnum)
{
	appendStringInfo(context->buf, "r%u.%s", context->rel->relid,
					 vssfdw_quote_identifier(VSS_REL(context->rel)->columns[attnum - 1].name));
}

static void
put_var(VssDeparse *context, Var *var)
{
	VssPlanColumn *column = &VSS_REL(context->rel)->columns[var->varattno - 1];

	put_column(context, var->varattno);
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

static void
put_comparison(VssDeparse *context, const char *operator, List * args)
{
	appendStringInfoChar(context->buf, '(');
	vssfdw_deparse_expr(context, linitial(args));
	appendStringInfo(context->buf, " %s ", operator);
	vssfdw_deparse_expr(context, lsecond(args));
	appendStringInfoChar(context->buf, ')');
}

/* x IN (...): literals of a constant array, or an array bound as JSON. */
static void
put_array_op(VssDeparse *context, ScalarArrayOpExpr *op)
{
	Expr *array = lsecond(op->args);
	StringInfo buf = context->buf;

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
		if (n <= MAX_LIST_LITERAL)
		{
			for (int i = 0; i < n; i++)
			{
				if (i > 0)
					appendStringInfoString(buf, ", ");
				if (!put_literal(buf, type, elements[i], nulls[i]))
					put_value(context, (Expr *) makeConst(type, -1, get_typcollation(type), typlen,
														  elements[i], false, typbyval));
			}
			appendStringInfoString(buf, "))");
			return;
		}
	}
	appendStringInfoString(buf, "SELECT value FROM json_each(");
	put_value(context, array);
	appendStringInfoString(buf, ")))");
}

/* conds from..to joined by word, as a balanced tree. */
static void
put_tree(VssDeparse *context, List *conds, int from, int to, const char *word)
{
	if (to - from == 1)
	{
		Expr *expr = list_nth(conds, from);

		if (IsA(expr, RestrictInfo))
			expr = ((RestrictInfo *) expr)->clause;
		vssfdw_deparse_expr(context, expr);
	}
	else if (to - from <= 100)
	{
		for (int i = from; i < to; i++)
		{
			if (i > from)
				appendStringInfo(context->buf, " %s ", word);
			put_tree(context, conds, i, i + 1, word);
		}
	}
	else
	{
		int middle = from + (to - from) / 2;

		appendStringInfoChar(context->buf, '(');
		put_tree(context, conds, from, middle, word);
		appendStringInfo(context->buf, ") %s (", word);
		put_tree(context, conds, middle, to, word);
		appendStringInfoChar(context->buf, ')');
	}
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
		put_tree(context, expr->args, 0, list_length(expr->args), expr->boolop == AND_EXPR ? "AND" : "OR");
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
			if (bms_is_member(((Var *) expr)->varno, context->rel->relids))
				put_var(context, (Var *) expr);
			else
				put_value(context, expr);
			break;

		case T_RelabelType:
			vssfdw_deparse_expr(context, ((RelabelType *) expr)->arg);
			break;

		case T_FuncExpr:
			/* a widening cast */
			vssfdw_deparse_expr(context, linitial(((FuncExpr *) expr)->args));
			break;

		case T_OpExpr:
		{
			OpExpr *op = (OpExpr *) expr;
			VssClass class = vssfdw_expr_class(context->root, context->rel, linitial(op->args));

			put_comparison(context, operator_sql(op->opno, class), op->args);
		}
		break;

		case T_DistinctExpr:
			put_comparison(context, "IS NOT", ((DistinctExpr *) expr)->args);
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

/* What addresses a row for UPDATE and DELETE; see modify.c. */
static void
put_rowid(VssDeparse *context)
{
	const char *name = VSS_REL(context->rel)->info->rowid_name;

	if (name == NULL)
		appendStringInfoString(context->buf, "NULL");
	else
		appendStringInfo(context->buf, "r%u.%s", context->rel->relid, vssfdw_quote_identifier(name));
}

static void
put_columns(VssDeparse *context, List *columns)
{
	ListCell *cell;
	bool first = true;

	foreach (cell, columns)
	{
		if (!first)
			appendStringInfoString(context->buf, ", ");
		first = false;
		if (lfirst_int(cell) == SelfItemPointerAttributeNumber)
			put_rowid(context);
		else
			put_column(context, lfirst_int(cell));
	}
}

static void
put_from(VssDeparse *context)
{
	appendStringInfo(context->buf, "\"main\".%s AS r%u",
					 vssfdw_quote_identifier(VSS_REL(context->rel)->table->table), context->rel->relid);
}

/* " WHERE conds", or " AND conds" after a condition of our own. */
static void
put_conds(VssDeparse *context, const char *word, List *conds)
{
	if (conds == NIL)
		return;
	appendStringInfo(context->buf, " %s ", word);
	put_tree(context, conds, 0, list_length(conds), "AND");
}

void
vssfdw_deparse_select(VssDeparse *context, List *columns, List *conds)
{
	appendStringInfoString(context->buf, "SELECT ");
	if (columns == NIL)
		appendStringInfoString(context->buf, "NULL");
	put_columns(context, columns);
	appendStringInfoString(context->buf, " FROM ");
	put_from(context);
	put_conds(context, "WHERE", conds);
}

static const char *
distance_function(BridgeMetric metric)
{
	switch (metric)
	{
		case BRIDGE_COSINE:
			return "cosine_distance";
		case BRIDGE_L2:
			return "l2_distance";
		case BRIDGE_IP:
			return "-inner_product";
	}
	elog(ERROR, "unknown metric: %d", (int) metric);
}

/* The rowids that the index knows the rows by. */
static char *
rowid_sql(VssDeparse *context, const VssIndexInfo *index)
{
	const char *name = VSS_REL(context->rel)->info->is_hnsw ? "rowid" : index->content_rowid;

	return psprintf("r%u.%s", context->rel->relid, vssfdw_quote_identifier(name));
}

static char *
vector_sql(VssDeparse *context, const VssIndexInfo *index)
{
	const char *name = VSS_REL(context->rel)->info->is_hnsw ? "embedding" : index->content_vector;

	return psprintf("r%u.%s", context->rel->relid, vssfdw_quote_identifier(name));
}

/*
 * The stream is k CROSS JOIN table: SQLite keeps that order, so that k is the
 * outer loop and rows come in order of distance without a sorter.
 *
 * The distance is k's where the module keeps index and table equal.  Where
 * hand-written triggers do, it is computed from the row itself.
 */
static void
deparse_stream(VssDeparse *context, const VssIndexInfo *index, List *columns, List *conds, bool prefilter)
{
	StringInfo buf = context->buf;
	char *rowid = rowid_sql(context, index);

	appendStringInfoString(buf, "SELECT ");
	put_columns(context, columns);
	if (columns != NIL)
		appendStringInfoString(buf, ", ");
	if (index->declared)
		appendStringInfoString(buf, "k.distance");
	else
		appendStringInfo(buf, "%s(%s, ?%d)", distance_function(index->metric), vector_sql(context, index),
						 VSS_PARAM_QUERY);
	appendStringInfo(buf, ", k.rowid FROM \"main\".%s(?%d, ?%d, ?%d, ?%d, ?%d) AS k CROSS JOIN ",
					 vssfdw_quote_identifier(index->name), VSS_PARAM_QUERY, VSS_PARAM_K, VSS_PARAM_EF,
					 VSS_PARAM_STRATEGY, VSS_PARAM_STATS);
	put_from(context);
	appendStringInfo(buf, " ON %s = k.rowid", rowid);
	if (prefilter)
	{
		appendStringInfo(buf, " WHERE k.rowid IN (SELECT %s FROM ", rowid);
		put_from(context);
		put_conds(context, "WHERE", conds);
		appendStringInfoChar(buf, ')');
	}
	else
		put_conds(context, "WHERE", conds);
}

/*
 * Rows that a stream cannot give: NULL vectors, vectors without a direction.
 * Of an index kept by hand-written triggers every row is a candidate, since
 * rows older than the triggers are missing in it; the reader skips those that
 * it had.
 */
static void
deparse_tail(VssDeparse *context, const VssIndexInfo *index, List *columns, List *conds)
{
	StringInfo buf = context->buf;
	char *vector = vector_sql(context, index);
	char *distance = psprintf("%s(%s, ?%d)", distance_function(index->metric), vector, VSS_PARAM_QUERY);

	appendStringInfoString(buf, "SELECT ");
	put_columns(context, columns);
	if (columns != NIL)
		appendStringInfoString(buf, ", ");
	appendStringInfo(buf, "%s, %s, %s IS NULL FROM ", distance, rowid_sql(context, index), vector);
	put_from(context);
	if (index->declared)
	{
		appendStringInfo(buf, " WHERE %s IS NULL", distance);
		put_conds(context, "AND", conds);
	}
	else
		put_conds(context, "WHERE", conds);
	appendStringInfo(buf, " ORDER BY %d, %d NULLS LAST", list_length(columns) + 3, list_length(columns) + 1);
}

void
vssfdw_deparse_knn(VssDeparse *context, VssKnnSql which, const VssIndexInfo *index, List *columns,
				   List *conds)
{
	if (which == VSS_KNN_TAIL)
		deparse_tail(context, index, columns, conds);
	else
		deparse_stream(context, index, columns, conds, which == VSS_KNN_PREFILTER);
}
