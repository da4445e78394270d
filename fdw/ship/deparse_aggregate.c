/*
 * deparse_aggregate.c
 *		Aggregates, and results in a form that is read back.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"

#include "fdw/ship/ship.h"

/* A column for a function that reads it by itself. */
static void
put_stored(VssDeparse *context, const VssTerm *term)
{
	vssfdw_deparse_stored(context, (Var *) term->expr);
	appendStringInfoString(context->buf, vssfdw_term_column(context->root, term)->reader_args);
}

void
vssfdw_deparse_aggregate(VssDeparse *context, const VssTerm *term)
{
	const Aggref *agg = (const Aggref *) term->expr;
	StringInfo buf = context->buf;

	appendStringInfo(buf, "%s(%s", term->word, agg->aggdistinct != NIL ? "DISTINCT " : "");
	if (agg->args == NIL)
		appendStringInfoChar(buf, '*');
	else if (agg->aggfnoid == F_SUM_NUMERIC || agg->aggfnoid == F_AVG_NUMERIC)
		put_stored(context, linitial(term->args));
	else
		vssfdw_deparse_term(context, linitial(term->args));
	appendStringInfoChar(buf, ')');
	if (agg->aggfilter != NULL)
	{
		appendStringInfoString(buf, " FILTER (WHERE ");
		vssfdw_deparse_term(context, llast(term->args));
		appendStringInfoChar(buf, ')');
	}
}

/* Digits after the point that a result of type numeric shows, -1: as many as it needs. */
static int
shown_scale(const VssTerm *term)
{
	int32 typmod;

	/* the extreme of a column */
	if (term->kind == VSS_TERM_AGGREGATE)
		term = linitial(term->args);
	if (term->scale >= 0)
		return term->scale;
	typmod = exprTypmod((Node *) term->expr);
	return typmod >= (int32) VARHDRSZ ? Max(vssfdw_numeric_scale(typmod), 0) : -1;
}

void
vssfdw_deparse_result(VssDeparse *context, Expr *expr)
{
	const VssTerm *term = vssfdw_term(context->root, context->rel, expr);
	const char *writer;
	int scale = -1;

	if (term->kind == VSS_TERM_AGGREGATE &&
		(vssfdw_is_numeric_sum((Aggref *) expr) || vssfdw_is_average((Aggref *) expr)))
	{
		vssfdw_deparse_aggregate(context, term);
		return;
	}
	switch (term->class)
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
			scale = shown_scale(term);
			break;
		default:
			vssfdw_deparse_term(context, term);
			return;
	}
	appendStringInfoString(context->buf, writer);
	vssfdw_deparse_term(context, term);
	if (scale >= 0)
		appendStringInfo(context->buf, ", %d", scale);
	appendStringInfoChar(context->buf, ')');
}
