/*
 * deparse_aggregate.c
 *		Aggregates, and results in a form that is read back.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"

#include "fdw/ship/ship.h"

static const char *
aggregate_name(Oid function)
{
	switch (function)
	{
		case F_COUNT_:
		case F_COUNT_ANY:
			return "count";
		case F_MIN_INT2:
		case F_MIN_INT4:
		case F_MIN_INT8:
		case F_MIN_FLOAT4:
		case F_MIN_FLOAT8:
		case F_MIN_TEXT:
		case F_MIN_DATE:
		case F_MIN_TIME:
		case F_MIN_TIMESTAMP:
		case F_MIN_TIMESTAMPTZ:
		case F_MIN_NUMERIC:
		case F_BOOL_AND:
		case F_EVERY:
			return "min";
		case F_MAX_INT2:
		case F_MAX_INT4:
		case F_MAX_INT8:
		case F_MAX_FLOAT4:
		case F_MAX_FLOAT8:
		case F_MAX_TEXT:
		case F_MAX_DATE:
		case F_MAX_TIME:
		case F_MAX_TIMESTAMP:
		case F_MAX_TIMESTAMPTZ:
		case F_MAX_NUMERIC:
		case F_BOOL_OR:
			return "max";
		case F_SUM_INT2:
		case F_SUM_INT4:
		case F_SUM_INT8:
			return "vss_sum";
		case F_AVG_INT2:
		case F_AVG_INT4:
		case F_AVG_INT8:
			return "vss_avg";
		case F_SUM_NUMERIC:
			return "vss_numeric_sum";
		case F_AVG_NUMERIC:
			return "vss_numeric_avg";
		default:
			elog(ERROR, "aggregate %u has no counterpart in SQLite", function);
	}
}

/* A column for a function that reads it by itself. */
static void
put_stored(VssDeparse *context, Expr *expr)
{
	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	vssfdw_deparse_column(context, castNode(Var, expr));
	appendStringInfoString(context->buf, vssfdw_var_column(context->root, (Var *) expr)->reader_args);
}

void
vssfdw_deparse_aggregate(VssDeparse *context, Aggref *agg)
{
	StringInfo buf = context->buf;

	appendStringInfo(buf, "%s(%s", aggregate_name(agg->aggfnoid), agg->aggdistinct != NIL ? "DISTINCT " : "");
	if (agg->aggfnoid == F_COUNT_)
		appendStringInfoChar(buf, '*');
	else if (agg->aggfnoid == F_SUM_NUMERIC || agg->aggfnoid == F_AVG_NUMERIC)
		put_stored(context, linitial_node(TargetEntry, agg->args)->expr);
	else
		vssfdw_deparse_expr(context, linitial_node(TargetEntry, agg->args)->expr);
	appendStringInfoChar(buf, ')');
	if (agg->aggfilter != NULL)
	{
		appendStringInfoString(buf, " FILTER (WHERE ");
		vssfdw_deparse_expr(context, agg->aggfilter);
		appendStringInfoChar(buf, ')');
	}
}

/* Digits after the point that a result of type numeric shows, -1: as many as it needs. */
static int
shown_scale(Expr *expr)
{
	int32 typmod;
	int scale;

	/* the extreme of a column */
	if (IsA(expr, Aggref))
		expr = linitial_node(TargetEntry, ((Aggref *) expr)->args)->expr;
	if (vssfdw_is_extract(expr, &scale))
		return scale;
	typmod = exprTypmod((Node *) expr);
	return typmod >= (int32) VARHDRSZ ? Max(vssfdw_numeric_scale(typmod), 0) : -1;
}

void
vssfdw_deparse_result(VssDeparse *context, Expr *expr)
{
	const char *writer;
	int scale = -1;

	if (IsA(expr, Aggref) && (vssfdw_is_numeric_sum((Aggref *) expr) || vssfdw_is_average((Aggref *) expr)))
	{
		vssfdw_deparse_aggregate(context, (Aggref *) expr);
		return;
	}
	switch (vssfdw_expr_class(context->root, context->rel, expr))
	{
		case VSS_CLASS_DATE:
			writer = "vss_date_text(";
			break;
		case VSS_CLASS_TIMESTAMP:
		case VSS_CLASS_TIMESTAMPTZ:
			writer = "vss_timestamp_text(";
			break;
		case VSS_CLASS_TIME:
			writer = "vss_time_text(";
			break;
		case VSS_CLASS_NUMERIC:
			writer = "vss_numeric_text(";
			scale = shown_scale(expr);
			break;
		default:
			vssfdw_deparse_expr(context, expr);
			return;
	}
	appendStringInfoString(context->buf, writer);
	vssfdw_deparse_expr(context, expr);
	if (scale >= 0)
		appendStringInfo(context->buf, ", %d", scale);
	appendStringInfoChar(context->buf, ')');
}
