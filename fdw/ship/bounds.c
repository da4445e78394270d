/*
 * bounds.c
 *		Conditions for SQLite's indexes on columns that are compared through a
 *		reader.
 *
 * vss_timestamp(ts) >= x is of no use to an index on ts.  Where one begins with
 * the column, and the planner expects few rows, a condition on the bare column
 * is written beside it that every match satisfies: the ranges in which the
 * stored forms of the wanted values lie (bound_functions.c).  It is NULL
 * where the comparison is, so that the two together mean what the one means.
 *
 * There are such for times between two ends, or from one on (older than one are
 * all texts before Christ, which are anywhere), for numerics likewise, for uuids
 * that are equal to one, and for varchar(n) and char(n) that are.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/uuid.h"

#include "fdw/ship/ship.h"

/* Above this share of the rows a walk of the table is better. */
#define MAX_SELECTIVITY 0.15

/* The digits that vss_uuid_low() and vss_uuid_high() look at. */
#define UUID_DIGITS 3

/* What the conditions say of one column; the ends are among the operands. */
typedef struct Bounds
{
	Var *var;
	const VssPlanColumn *column;
	Expr *low;
	Expr *high;
	Expr *equal;
	List *clauses;
} Bounds;

static bool
is_time(VssClass class)
{
	return class == VSS_CLASS_DATE || class == VSS_CLASS_TIMESTAMP || class == VSS_CLASS_TIMESTAMPTZ;
}

/* A column that keeps numbers as numbers, and does not round them. */
static bool
is_bounded_numeric(const VssPlanColumn *column)
{
	return column->class == VSS_CLASS_NUMERIC && column->one_form && column->reader_args[0] == '\0';
}

bool
vssfdw_has_bounds(const VssPlanColumn *column)
{
	return column->reader != NULL &&
		   (is_time(column->class) || is_bounded_numeric(column) || column->class == VSS_CLASS_UUID ||
			(vssfdw_class_is_text(column->class) && column->text_only));
}

/* Whether a key of the column's table begins with it. */
static bool
leads_key(PlannerInfo *root, const Var *var, const VssPlanColumn *column)
{
	ListCell *cell;

	foreach (cell, VSS_REL(root->simple_rel_array[var->varno])->info->keys)
	{
		const VssTableKey *key = lfirst(cell);

		if (key->columns != NIL && pg_strcasecmp(linitial(key->columns), column->name) == 0)
			return true;
	}
	return false;
}

/* The column that the clause compares with a value, the value and how (as if the column stood on the left). */
static const VssPlanColumn *
compared_column(VssDeparse *context, Expr *clause, Var **var, Expr **value, int *how)
{
	OpExpr *op = (OpExpr *) clause;

	if (!IsA(clause, OpExpr) || list_length(op->args) != 2)
		return NULL;
	for (int i = 0; i < 2; i++)
	{
		Expr *arg = list_nth(op->args, i);
		const VssPlanColumn *column;

		while (IsA(arg, RelabelType))
			arg = ((RelabelType *) arg)->arg;
		*value = list_nth(op->args, 1 - i);
		if (!IsA(arg, Var) || !vssfdw_is_bindable(context->root, context->rel, *value))
			continue;
		*var = (Var *) arg;
		column = vssfdw_var_column(context->root, *var);
		if (column == NULL || !bms_is_member((*var)->varno, VSS_REL(context->rel)->relids))
			continue;
		*how = vssfdw_comparison(op->opno, column->class);
		if (i == 1 && *how >= BTLessStrategyNumber && *how <= BTGreaterStrategyNumber)
			*how = BTGreaterStrategyNumber + BTLessStrategyNumber - *how;
		return column;
	}
	return NULL;
}

static Bounds *
find_bounds(List *all, const Var *var)
{
	ListCell *cell;

	foreach (cell, all)
	{
		Bounds *bounds = lfirst(cell);

		if (bounds->var->varno == var->varno && bounds->var->varattno == var->varattno)
			return bounds;
	}
	return NULL;
}

/* What the conditions say of columns that bounds help. */
static List *
collect_bounds(VssDeparse *context, List *conds)
{
	List *all = NIL;
	ListCell *cell;

	foreach (cell, conds)
	{
		Expr *clause = lfirst(cell);
		const VssPlanColumn *column;
		Bounds *bounds;
		Var *var;
		Expr *value;
		int how;

		if (IsA(clause, RestrictInfo))
			clause = ((RestrictInfo *) clause)->clause;
		column = compared_column(context, clause, &var, &value, &how);
		if (column == NULL || !vssfdw_has_bounds(column) || !leads_key(context->root, var, column))
			continue;
		bounds = find_bounds(all, var);
		if (bounds == NULL)
		{
			bounds = palloc0(sizeof(Bounds));
			bounds->var = var;
			bounds->column = column;
			all = lappend(all, bounds);
		}
		switch (how)
		{
			case BTEqualStrategyNumber:
				bounds->equal = value;
				break;
			case BTGreaterEqualStrategyNumber:
			case BTGreaterStrategyNumber:
				bounds->low = value;
				break;
			case BTLessEqualStrategyNumber:
			case BTLessStrategyNumber:
				bounds->high = value;
				break;
			default:
				continue;
		}
		bounds->clauses = lappend(bounds->clauses, lfirst(cell));
	}
	return all;
}

/* ---------- the conditions ---------- */

/* A value that a time is compared with, in microseconds. */
static void
put_instant(VssDeparse *context, const Bounds *bounds, Expr *value)
{
	VssClass class = vssfdw_expr_class(context->root, context->rel, value);
	bool zoned = bounds->column->class == VSS_CLASS_TIMESTAMPTZ;
	const char *conversion = NULL;

	if (class == VSS_CLASS_DATE)
		conversion = zoned ? "vss_date_start_local" : "vss_date_start";
	else if (class == VSS_CLASS_TIMESTAMP && zoned)
		conversion = "vss_from_local";
	if (conversion != NULL)
		appendStringInfo(context->buf, "%s(", conversion);
	vssfdw_deparse_expr(context, value);
	if (conversion != NULL)
		appendStringInfoChar(context->buf, ')');
}

/* column <operator> function('form', first [, second]) */
static void
put_end(VssDeparse *context, const Bounds *bounds, const char *function, const char *form, Expr *first,
		Expr *second)
{
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfo(context->buf, " %s('%s', ", function, form);
	put_instant(context, bounds, first);
	if (second != NULL)
	{
		appendStringInfoString(context->buf, ", ");
		put_instant(context, bounds, second);
	}
	appendStringInfoChar(context->buf, ')');
}

/*
 * The low end of a range of times.  Without statistics SQLite takes a range for
 * a fourth of the table, and the union of several is not worth its while;
 * unlikely() is what we know better.
 */
static void
put_low(VssDeparse *context, const Bounds *bounds, const char *form, Expr *first, Expr *second)
{
	appendStringInfoString(context->buf, "unlikely(");
	put_end(context, bounds, ">= vss_low", form, first, second);
	appendStringInfoString(context->buf, ") AND ");
}

/* column >= 'low' AND column < 'high' */
static void
put_text_range(VssDeparse *context, const Bounds *bounds, const char *low, const char *high)
{
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfo(context->buf, " >= '%s' AND ", low);
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfo(context->buf, " < '%s'", high);
}

static void
put_numeric_bounds(VssDeparse *context, const Bounds *bounds)
{
	Expr *low = bounds->equal != NULL ? bounds->equal : bounds->low;
	Expr *high = bounds->equal != NULL ? bounds->equal : bounds->high;
	StringInfo buf = context->buf;

	vssfdw_deparse_column(context, bounds->var);
	appendStringInfoString(buf, " >= vss_numeric_low(");
	vssfdw_deparse_expr(context, low);
	appendStringInfoString(buf, ") AND ");
	if (high == NULL)
		return;
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfoString(buf, " <= vss_numeric_high(");
	vssfdw_deparse_expr(context, low);
	appendStringInfoString(buf, ", ");
	vssfdw_deparse_expr(context, high);
	appendStringInfoString(buf, ") AND ");
}

/*
 * Beside text in order, all that has blanks, a sign or zeros in front, and
 * numbers: Unix seconds, Julian days.
 */
static void
put_time_bounds(VssDeparse *context, const Bounds *bounds)
{
	Expr *low = bounds->equal != NULL ? bounds->equal : bounds->low;
	Expr *high = bounds->equal != NULL ? bounds->equal : bounds->high;
	const VssRel *table = VSS_REL(context->root->simple_rel_array[bounds->var->varno]);
	StringInfo buf = context->buf;

	appendStringInfoChar(buf, '(');
	if (high != NULL)
	{
		put_low(context, bounds, "text", low, high);
		put_end(context, bounds, "< vss_high", "text", low, high);
	}
	else
	{
		appendStringInfoString(buf, "unlikely(");
		vssfdw_deparse_column(context, bounds->var);
		appendStringInfoString(buf, " >= vss_since(");
		put_instant(context, bounds, low);
		appendStringInfo(buf, ", %s, %s))", vssfdw_quote_literal(table->table->table),
						 vssfdw_quote_literal(bounds->column->name));
	}
	appendStringInfoString(buf, " OR ");
	put_text_range(context, bounds, "", "0~");
	for (int i = 0; i < 2; i++)
	{
		const char *form = i == 0 ? "unix" : "julian";

		appendStringInfoString(buf, " OR ");
		put_low(context, bounds, form, low, NULL);
		if (high != NULL)
			put_end(context, bounds, "<= vss_high", form, high, NULL);
		else
		{
			vssfdw_deparse_column(context, bounds->var);
			appendStringInfoString(buf, i == 0 ? " < ''" : " < 5373485");
		}
	}
	appendStringInfoString(buf, ") AND ");
}

/* column <operator> function(value, capitals) */
static void
put_uuid_end(VssDeparse *context, const Bounds *bounds, const char *function, int capitals)
{
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfo(context->buf, " %s(", function);
	vssfdw_deparse_expr(context, bounds->equal);
	appendStringInfo(context->buf, ", %d)", capitals);
}

/* The same for a constant: the range of spellings itself; nothing where no spelling has such capitals. */
static void
put_spelling(VssDeparse *context, const Bounds *bounds, int capitals)
{
	const pg_uuid_t *uuid = DatumGetUUIDP(((Const *) bounds->equal)->constvalue);
	char digits[UUID_DIGITS + 1];

	snprintf(digits, sizeof(digits), "%x%x%x", uuid->data[0] >> 4, uuid->data[0] & 15, uuid->data[1] >> 4);
	for (int i = 0; i < UUID_DIGITS; i++)
	{
		if ((capitals & (1 << i)) == 0)
			continue;
		if (digits[i] < 'a')
			return;
		digits[i] = pg_toupper((unsigned char) digits[i]);
	}
	appendStringInfoString(context->buf, " OR ");
	put_text_range(context, bounds, psprintf("%s-", digits), psprintf("%sg", digits));
}

/* Spellings that begin with the first digits in either case, those in braces, the BLOB. */
static void
put_uuid_bounds(VssDeparse *context, const Bounds *bounds)
{
	StringInfo buf = context->buf;
	bool constant = IsA(bounds->equal, Const) && !((Const *) bounds->equal)->constisnull;

	appendStringInfoChar(buf, '(');
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfoString(buf, " = ");
	vssfdw_deparse_expr(context, bounds->equal);
	for (int i = 0; i < 1 << UUID_DIGITS; i++)
	{
		if (constant)
			put_spelling(context, bounds, i);
		else
		{
			appendStringInfoString(buf, " OR ");
			put_uuid_end(context, bounds, ">= vss_uuid_low", i);
			appendStringInfoString(buf, " AND ");
			put_uuid_end(context, bounds, "< vss_uuid_high", i);
		}
	}
	appendStringInfoString(buf, " OR ");
	put_text_range(context, bounds, "{", "{~");
	appendStringInfoString(buf, ") AND ");
}

/* The text itself, or with blanks after it. */
static void
put_blank_bounds(VssDeparse *context, const Bounds *bounds)
{
	StringInfo buf = context->buf;

	appendStringInfoChar(buf, '(');
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfoString(buf, " >= ");
	vssfdw_deparse_expr(context, bounds->equal);
	appendStringInfoString(buf, " AND ");
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfoString(buf, " < ");
	vssfdw_deparse_expr(context, bounds->equal);
	appendStringInfoString(buf, " || '!') AND ");
}

void
vssfdw_deparse_bounds(VssDeparse *context, List *conds)
{
	ListCell *cell;

	foreach (cell, collect_bounds(context, conds))
	{
		const Bounds *bounds = lfirst(cell);
		VssClass class = bounds->column->class;

		if (bounds->equal == NULL && (bounds->low == NULL || !(is_time(class) || class == VSS_CLASS_NUMERIC)))
			continue;
		if (clauselist_selectivity(context->root, bounds->clauses, bounds->var->varno, JOIN_INNER, NULL) >
			MAX_SELECTIVITY)
			continue;
		if (is_time(class))
			put_time_bounds(context, bounds);
		else if (class == VSS_CLASS_NUMERIC)
			put_numeric_bounds(context, bounds);
		else if (class == VSS_CLASS_UUID)
			put_uuid_bounds(context, bounds);
		else
			put_blank_bounds(context, bounds);
	}
}
