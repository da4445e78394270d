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
 * that are equal to one, and for varchar(n) and char(n) that are; and for lists of
 * a few constants that such a column may be equal to.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/uuid.h"

#include "fdw/ship/ship.h"

/* Above this share of the rows a walk of the table is better. */
#define MAX_SELECTIVITY 0.15

/* Longer lists have no bounds: each value has several ranges. */
#define MAX_LIST_BOUNDS 20

/* The digits that vss_uuid_low() and vss_uuid_high() look at. */
#define UUID_DIGITS 3

/* What the conditions say of one column; the ends are among the operands. */
typedef struct Bounds
{
	Var *var;
	const VssPlanColumn *column;
	VssTerm *low;
	VssTerm *high;
	VssTerm *equal;
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

bool
vssfdw_leads_key(const VssRel *rel, const VssPlanColumn *column)
{
	ListCell *cell;

	foreach (cell, rel->info->keys)
	{
		const VssTableKey *key = lfirst(cell);

		if (key->columns != NIL && pg_strcasecmp(linitial(key->columns), column->name) == 0)
			return true;
	}
	return false;
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

bool
vssfdw_has_list_bounds(const VssTerm *list)
{
	int n = vssfdw_list_length(list);

	return list->how == BTEqualStrategyNumber && n > 0 && n <= MAX_LIST_BOUNDS;
}

/* Whether bounds help the column that the condition compares with a value. */
static bool
is_helped(PlannerInfo *root, const VssTerm *cond)
{
	const VssTerm *left;
	const VssPlanColumn *column;

	if ((cond->kind != VSS_TERM_COMPARISON && cond->kind != VSS_TERM_ANY) || cond->how == 0 ||
		((VssTerm *) lsecond(cond->args))->kind != VSS_TERM_VALUE)
		return false;
	left = linitial(cond->args);
	column = vssfdw_term_column(root, left);
	return column != NULL && vssfdw_has_bounds(column) &&
		   vssfdw_leads_key(VSS_REL(root->simple_rel_array[((Var *) left->expr)->varno]), column);
}

/* What the conditions say of columns that bounds help. */
static List *
collect_bounds(VssDeparse *context, List *conds, List *terms)
{
	List *all = NIL;
	ListCell *cell;
	ListCell *term_cell;

	forboth(cell, conds, term_cell, terms)
	{
		const VssTerm *term = lfirst(term_cell);
		VssTerm *value;
		Bounds *bounds;
		Var *var;

		if (term->kind != VSS_TERM_COMPARISON || !is_helped(context->root, term))
			continue;
		var = (Var *) ((VssTerm *) linitial(term->args))->expr;
		value = lsecond(term->args);
		bounds = find_bounds(all, var);
		if (bounds == NULL)
		{
			bounds = palloc0(sizeof(Bounds));
			bounds->var = var;
			bounds->column = vssfdw_var_column(context->root, var);
			all = lappend(all, bounds);
		}
		switch (term->how)
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
put_instant(VssDeparse *context, const Bounds *bounds, const VssTerm *value)
{
	bool zoned = bounds->column->class == VSS_CLASS_TIMESTAMPTZ;

	vssfdw_deparse_converted(context, value,
							 zoned || value->class == VSS_CLASS_TIMESTAMPTZ ? VSS_CLASS_TIMESTAMPTZ
																			: VSS_CLASS_TIMESTAMP);
}

/* column <operator> function('form', first [, second]) */
static void
put_end(VssDeparse *context, const Bounds *bounds, const char *function, const char *form,
		const VssTerm *first, const VssTerm *second)
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
put_low(VssDeparse *context, const Bounds *bounds, const char *form, const VssTerm *first,
		const VssTerm *second)
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
	const VssTerm *low = bounds->equal != NULL ? bounds->equal : bounds->low;
	const VssTerm *high = bounds->equal != NULL ? bounds->equal : bounds->high;
	StringInfo buf = context->buf;

	vssfdw_deparse_column(context, bounds->var);
	appendStringInfoString(buf, " >= vss_numeric_low(");
	vssfdw_deparse_term(context, low);
	appendStringInfoChar(buf, ')');
	if (high == NULL)
		return;
	appendStringInfoString(buf, " AND ");
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfoString(buf, " <= vss_numeric_high(");
	vssfdw_deparse_term(context, low);
	appendStringInfoString(buf, ", ");
	vssfdw_deparse_term(context, high);
	appendStringInfoChar(buf, ')');
}

/* OR the range of the unit's numbers. */
static void
put_numbers(VssDeparse *context, const Bounds *bounds, const VssTerm *low, const VssTerm *high,
			VssTimeUnit unit)
{
	const char *form = vssfdw_time_unit_name(unit);

	appendStringInfoString(context->buf, " OR ");
	put_low(context, bounds, form, low, NULL);
	if (high != NULL)
		put_end(context, bounds, "<= vss_high", form, high, NULL);
	else
	{
		vssfdw_deparse_column(context, bounds->var);
		appendStringInfoString(context->buf, unit == VSS_TIME_JULIAN ? " < 5373485" : " < ''");
	}
}

/*
 * Beside text in order, all that has blanks, a sign or zeros in front, and
 * numbers: Unix seconds, Julian days, or those of the column's unit.
 */
static void
put_time_bounds(VssDeparse *context, const Bounds *bounds)
{
	const VssTerm *low = bounds->equal != NULL ? bounds->equal : bounds->low;
	const VssTerm *high = bounds->equal != NULL ? bounds->equal : bounds->high;
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
	put_numbers(context, bounds, low, high, bounds->column->unit);
	if (bounds->column->unit == VSS_TIME_ANY)
		put_numbers(context, bounds, low, high, VSS_TIME_JULIAN);
	appendStringInfoChar(buf, ')');
}

/* column <operator> function(value, capitals) */
static void
put_uuid_end(VssDeparse *context, const Bounds *bounds, const char *function, int capitals)
{
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfo(context->buf, " %s(", function);
	vssfdw_deparse_term(context, bounds->equal);
	appendStringInfo(context->buf, ", %d)", capitals);
}

/* The same for a constant: the range of spellings itself; nothing where no spelling has such capitals. */
static void
put_spelling(VssDeparse *context, const Bounds *bounds, int capitals)
{
	const pg_uuid_t *uuid = DatumGetUUIDP(((Const *) bounds->equal->expr)->constvalue);
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
	bool constant = IsA(bounds->equal->expr, Const) && !((Const *) bounds->equal->expr)->constisnull;

	appendStringInfoChar(buf, '(');
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfoString(buf, " = ");
	vssfdw_deparse_term(context, bounds->equal);
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
	appendStringInfoChar(buf, ')');
}

/* The text itself, or with blanks after it. */
static void
put_blank_bounds(VssDeparse *context, const Bounds *bounds)
{
	StringInfo buf = context->buf;

	appendStringInfoChar(buf, '(');
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfoString(buf, " >= ");
	vssfdw_deparse_term(context, bounds->equal);
	appendStringInfoString(buf, " AND ");
	vssfdw_deparse_column(context, bounds->var);
	appendStringInfoString(buf, " < ");
	vssfdw_deparse_term(context, bounds->equal);
	appendStringInfoString(buf, " || '!')");
}

/* Whether the ends that are known are of use: older than one are all texts before Christ, which are anywhere. */
static bool
is_useful(const Bounds *bounds)
{
	VssClass class = bounds->column->class;

	return bounds->equal != NULL || (bounds->low != NULL && (is_time(class) || class == VSS_CLASS_NUMERIC));
}

static void
put_bounds(VssDeparse *context, const Bounds *bounds)
{
	VssClass class = bounds->column->class;

	if (is_time(class))
		put_time_bounds(context, bounds);
	else if (class == VSS_CLASS_NUMERIC)
		put_numeric_bounds(context, bounds);
	else if (class == VSS_CLASS_UUID)
		put_uuid_bounds(context, bounds);
	else
		put_blank_bounds(context, bounds);
}

/* Whether the planner expects so few rows that the index is worth while. */
static bool
is_selective(VssDeparse *context, List *clauses, const Var *var)
{
	return clauselist_selectivity(context->root, clauses, var->varno, JOIN_INNER, NULL) <= MAX_SELECTIVITY;
}

/* x IN (a, b, ...): the bounds of each. */
static void
put_list_bounds(VssDeparse *context, Node *cond, const VssTerm *term)
{
	const VssTerm *left = linitial(term->args);
	Bounds bounds = {.var = (Var *) left->expr, .column = vssfdw_term_column(context->root, left)};
	const char *separator = "((";
	ListCell *cell;

	if (!is_helped(context->root, term) || !vssfdw_has_list_bounds(term) ||
		!is_selective(context, list_make1(cond), bounds.var))
		return;
	foreach (cell, vssfdw_list_elements(term))
	{
		bounds.equal = lfirst(cell);
		/* NULL finds nothing */
		if (((Const *) bounds.equal->expr)->constisnull)
			continue;
		appendStringInfoString(context->buf, separator);
		put_bounds(context, &bounds);
		separator = ") OR (";
	}
	if (separator[0] == ')')
		appendStringInfoString(context->buf, ")) AND ");
}

void
vssfdw_deparse_bounds(VssDeparse *context, List *conds, List *terms)
{
	ListCell *cell;
	ListCell *cond;

	foreach (cell, collect_bounds(context, conds, terms))
	{
		const Bounds *bounds = lfirst(cell);

		if (!is_useful(bounds) || !is_selective(context, bounds->clauses, bounds->var))
			continue;
		put_bounds(context, bounds);
		appendStringInfoString(context->buf, " AND ");
	}
	forboth(cond, conds, cell, terms)
	{
		if (((VssTerm *) lfirst(cell))->kind == VSS_TERM_ANY)
			put_list_bounds(context, lfirst(cond), lfirst(cell));
	}
}
