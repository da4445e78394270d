/*
 * deparse.c
 *		Terms as SQLite's text.
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

#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
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

void
vssfdw_deparse_stored(VssDeparse *context, Var *var)
{
	const char *null_value = vssfdw_var_column(context->root, var)->null_value;

	if (null_value != NULL)
		appendStringInfoString(context->buf, "vss_nullif(");
	vssfdw_deparse_column(context, var);
	if (null_value != NULL)
		appendStringInfo(context->buf, ", %s)", vssfdw_quote_literal(null_value));
}

/* A column in a comparison. */
static void
put_column(VssDeparse *context, Var *var)
{
	const VssPlanColumn *column = vssfdw_var_column(context->root, var);

	if (column->reader != NULL)
	{
		appendStringInfo(context->buf, "%s(", column->reader);
		vssfdw_deparse_stored(context, var);
		appendStringInfo(context->buf, "%s)", column->reader_args);
		return;
	}
	vssfdw_deparse_column(context, var);
	if (column->class == VSS_CLASS_TEXT && !column->binary)
		appendStringInfoString(context->buf, " COLLATE BINARY");
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

void
vssfdw_deparse_converted(VssDeparse *context, const VssTerm *term, VssClass to)
{
	const char *function = conversion(term->class, to);

	if (function != NULL)
		appendStringInfo(context->buf, "%s(", function);
	vssfdw_deparse_term(context, term);
	if (function != NULL)
		appendStringInfoChar(context->buf, ')');
}

static void
put_comparison(VssDeparse *context, const VssTerm *term)
{
	const VssTerm *left = linitial(term->args);
	const VssTerm *right = lsecond(term->args);
	VssClass common = vssfdw_common_class(left->class, right->class);

	appendStringInfoChar(context->buf, '(');
	vssfdw_deparse_converted(context, left, common);
	appendStringInfo(context->buf, " %s ", term->word);
	vssfdw_deparse_converted(context, right, common);
	appendStringInfoChar(context->buf, ')');
}

/* a, b, ... */
static void
put_arguments(VssDeparse *context, List *args)
{
	ListCell *cell;

	foreach (cell, args)
	{
		if (foreach_current_index(cell) > 0)
			appendStringInfoString(context->buf, ", ");
		vssfdw_deparse_term(context, lfirst(cell));
	}
}

const char *
vssfdw_sqlite_type_name(Oid type)
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

/* vss_try(operation, type, x, y): the negative is what is taken from nothing, other operations of one operand ignore y. */
static void
put_try(VssDeparse *context, const VssTerm *term)
{
	bool single = list_length(term->args) == 1;
	const char *type = term->function->args[0] == VSS_CLASS_DATE
						   ? "days"
						   : vssfdw_sqlite_type_name(exprType((Node *) term->expr));

	appendStringInfo(context->buf, "vss_try('%s', '%s', ", term->word, type);
	if (single && term->word[0] == '-')
		appendStringInfoString(context->buf, "0, ");
	put_arguments(context, term->args);
	if (single && term->word[0] != '-')
		appendStringInfoString(context->buf, ", 0");
	appendStringInfoChar(context->buf, ')');
}

static void
put_case(VssDeparse *context, const VssTerm *term)
{
	int n = list_length(term->args);

	appendStringInfoString(context->buf, "CASE");
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(context->buf, i % 2 == 1 ? " THEN " : i + 1 < n ? " WHEN " : " ELSE ");
		vssfdw_deparse_term(context, list_nth(term->args, i));
	}
	appendStringInfoString(context->buf, " END");
}

/* x IN (...): literals of a constant array, or an array bound as JSON. */
static void
put_any(VssDeparse *context, const VssTerm *term)
{
	Expr *array = ((VssTerm *) lsecond(term->args))->expr;
	StringInfo buf = context->buf;
	const char *reader;

	appendStringInfoChar(buf, '(');
	vssfdw_deparse_term(context, linitial(term->args));
	appendStringInfo(buf, " %s (", term->word);
	if (IsA(array, Const) && ((Const *) array)->constisnull)
		/* NULL, whatever x is */
		appendStringInfoString(buf, "NULL");
	else if (IsA(array, Const) && vssfdw_list_length(term) <= VSS_MAX_LIST)
		put_arguments(context, vssfdw_list_elements(term));
	else
	{
		reader = vssfdw_element_reader(get_element_type(exprType((Node *) array)));
		if (reader != NULL)
			appendStringInfo(buf, "SELECT %s(value) FROM json_each(", reader);
		else
			appendStringInfoString(buf, "SELECT value FROM json_each(");
		put_value(context, array);
		appendStringInfoChar(buf, ')');
	}
	appendStringInfoString(buf, "))");
}

/* An aggregate as it compares; the text of a numeric's sum must be read for that. */
static void
put_aggregate(VssDeparse *context, const VssTerm *term)
{
	bool text = vssfdw_is_numeric_sum((Aggref *) term->expr);

	if (text)
		appendStringInfoString(context->buf, "vss_numeric(");
	vssfdw_deparse_aggregate(context, term);
	if (text)
		appendStringInfoChar(context->buf, ')');
}

void
vssfdw_deparse_term(VssDeparse *context, const VssTerm *term)
{
	StringInfo buf = context->buf;

	switch (term->kind)
	{
		case VSS_TERM_NONE:
			elog(ERROR, "node of type %d cannot be written for SQLite", (int) nodeTag(term->expr));
			break;
		case VSS_TERM_VALUE:
			put_value(context, term->expr);
			break;
		case VSS_TERM_COLUMN:
			put_column(context, (Var *) term->expr);
			break;
		case VSS_TERM_SAME:
			vssfdw_deparse_term(context, linitial(term->args));
			break;
		case VSS_TERM_CALL:
			appendStringInfo(buf, "%s(", term->word);
			put_arguments(context, term->args);
			appendStringInfoChar(buf, ')');
			break;
		case VSS_TERM_LIST:
			appendStringInfoChar(buf, '(');
			vssfdw_deparse_terms(context, term->args, term->word);
			appendStringInfoChar(buf, ')');
			break;
		case VSS_TERM_COMPARISON:
			put_comparison(context, term);
			break;
		case VSS_TERM_PREFIX:
			appendStringInfo(buf, "(%s ", term->word);
			put_arguments(context, term->args);
			appendStringInfoChar(buf, ')');
			break;
		case VSS_TERM_SUFFIX:
			appendStringInfoChar(buf, '(');
			put_arguments(context, term->args);
			appendStringInfo(buf, " %s)", term->word);
			break;
		case VSS_TERM_CASE:
			put_case(context, term);
			break;
		case VSS_TERM_ANY:
			put_any(context, term);
			break;
		case VSS_TERM_TRY:
			put_try(context, term);
			break;
		case VSS_TERM_MATCH:
			appendStringInfoString(buf, term->word);
			put_arguments(context, term->args);
			if (term->listed)
				appendStringInfoChar(buf, ')');
			break;
		case VSS_TERM_AGGREGATE:
			put_aggregate(context, term);
			break;
	}
}

void
vssfdw_deparse_expr(VssDeparse *context, Expr *expr)
{
	vssfdw_deparse_term(context, vssfdw_term(context->root, context->rel, expr));
}
