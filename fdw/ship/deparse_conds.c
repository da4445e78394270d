/*
 * deparse_conds.c
 *		Lists of conditions.
 *
 * They are written as balanced trees, as SQLite limits the depth of an
 * expression, and a chain of a thousand ORs is a thousand deep.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"

#include "fdw/ship/ship.h"

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

void
vssfdw_deparse_list(VssDeparse *context, List *conds, const char *word)
{
	put_tree(context, conds, 0, list_length(conds), word);
}

/* Callback: whether some column is read by a function. */
static bool
calls_reader(Node *node, void *root)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		const VssPlanColumn *column = vssfdw_var_column(root, (Var *) node);

		return column != NULL && column->reader != NULL;
	}
	if (IsA(node, RestrictInfo))
		node = (Node *) ((RestrictInfo *) node)->clause;
	return expression_tree_walker(node, calls_reader, root);
}

/*
 * SQLite tests conditions in the order in which they are written, those that an
 * index answers aside: readers, which cost a call and may fail, come last.
 * Where there is row security PostgreSQL's order is kept: no error may tell of
 * a row that a policy hides.
 */
void
vssfdw_deparse_conds(VssDeparse *context, const char *word, List *conds)
{
	List *bare = NIL;
	List *reading = NIL;
	ListCell *cell;

	if (conds == NIL)
		return;
	foreach (cell, conds)
	{
		if (context->root->qual_security_level == 0 && calls_reader(lfirst(cell), context->root))
			reading = lappend(reading, lfirst(cell));
		else
			bare = lappend(bare, lfirst(cell));
	}
	conds = list_concat(bare, reading);
	appendStringInfo(context->buf, " %s ", word);
	if (strcmp(word, "HAVING") != 0)
		vssfdw_deparse_bounds(context, conds);
	vssfdw_deparse_list(context, conds, "AND");
}

void
vssfdw_deparse_guesses(VssDeparse *context, const char *word, List *conds)
{
	ListCell *cell;

	foreach (cell, conds)
	{
		appendStringInfo(context->buf, " %s (", word);
		vssfdw_deparse_expr(context, lfirst(cell));
		appendStringInfoString(context->buf, ") IS NOT FALSE");
		word = "AND";
	}
}
