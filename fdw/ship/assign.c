/*
 * assign.c
 *		Which new values of an UPDATE SQLite can compute, and how they are
 *		spelled.
 *
 * Beside what may stand in a condition that is arithmetic that may fail: a
 * condition is tested in an order of SQLite's own, so that nothing in it may
 * fail, but a new value is computed once for each row that all conditions let
 * through, here as there, and then its errors are the same.
 *
 * What is stored is what PostgreSQL would have stored, had it fetched the
 * operands: a value in SQLite that does not fit its column's type is refused.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "fdw/ship/ship.h"

/* Whether SQLite computes it with a function that may fail, which then is its root. */
static bool
is_computed(const VssTerm *term)
{
	if (term->kind == VSS_TERM_SAME)
		return is_computed(linitial(term->args));
	return (term->kind == VSS_TERM_CALL || term->kind == VSS_TERM_TRY) && term->function != NULL &&
		   term->function->computed != NULL;
}

/* Whether what may fail in it does so only where it is computed for sure: as an operand of what is computed. */
static bool
fails_alike(const VssTerm *term)
{
	ListCell *cell;

	if (!is_computed(term))
		return (term->traits & (VSS_MAY_FAIL | VSS_MAY_RAISE)) == 0;
	foreach (cell, term->args)
	{
		if (!fails_alike(lfirst(cell)))
			return false;
	}
	return true;
}

/* Whether the column stores what SQLite computes with: other classes compare in a form that is not stored. */
static bool
stores_values(const VssPlanColumn *column)
{
	switch (column->class)
	{
		case VSS_CLASS_INTEGER:
		case VSS_CLASS_BOOLEAN:
			return column->reader == NULL && !column->rounds;
		case VSS_CLASS_FLOAT:
		case VSS_CLASS_TEXT:
		case VSS_CLASS_BYTES:
			return column->reader == NULL;
		default:
			return false;
	}
}

bool
vssfdw_is_assignable(PlannerInfo *root, RelOptInfo *rel, const VssPlanColumn *column, Expr *expr)
{
	const VssTerm *term = vssfdw_term(root, rel, expr);

	return stores_values(column) && term->class == column->class && fails_alike(term);
}

static void
put_computed(VssDeparse *context, const VssTerm *term)
{
	const char *separator = "(";
	ListCell *cell;

	if (!is_computed(term))
	{
		vssfdw_deparse_term(context, term);
		return;
	}
	if (term->kind == VSS_TERM_SAME)
	{
		put_computed(context, linitial(term->args));
		return;
	}
	appendStringInfoString(context->buf, term->function->computed);
	/* the negative is what is taken from nothing */
	if (list_length(term->args) == 1 && term->function->tried != NULL && term->function->tried[0] == '-')
	{
		appendStringInfoString(context->buf, "(0");
		separator = ", ";
	}
	foreach (cell, term->args)
	{
		appendStringInfoString(context->buf, separator);
		put_computed(context, lfirst(cell));
		separator = ", ";
	}
	appendStringInfo(context->buf, ", '%s')", vssfdw_sqlite_type_name(exprType((Node *) term->expr)));
}

void
vssfdw_deparse_assigned(VssDeparse *context, Expr *expr)
{
	const VssTerm *term = vssfdw_term(context->root, context->rel, expr);

	if (is_computed(term))
	{
		put_computed(context, term);
		return;
	}
	appendStringInfoString(context->buf, "vss_fit(");
	vssfdw_deparse_term(context, term);
	appendStringInfo(context->buf, ", '%s')", vssfdw_sqlite_type_name(getBaseType(exprType((Node *) expr))));
}
