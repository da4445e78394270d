/*
 * deparse_conds.c
 *		Lists of conditions.
 *
 * They are written as balanced trees, as SQLite limits the depth of an
 * expression, and a chain of a thousand ORs is a thousand deep.
 */
#include "postgres.h"

#include "nodes/pathnodes.h"

#include "fdw/ship/ship.h"

/* terms from..to joined by word, as a balanced tree. */
static void
put_tree(VssDeparse *context, List *terms, int from, int to, const char *word)
{
	int middle = from + (to - from) / 2;

	if (to - from <= VSS_MAX_CHAIN)
	{
		for (int i = from; i < to; i++)
		{
			if (i > from)
				appendStringInfo(context->buf, " %s ", word);
			vssfdw_deparse_term(context, list_nth(terms, i));
		}
		return;
	}
	appendStringInfoChar(context->buf, '(');
	put_tree(context, terms, from, middle, word);
	appendStringInfo(context->buf, ") %s (", word);
	put_tree(context, terms, middle, to, word);
	appendStringInfoChar(context->buf, ')');
}

void
vssfdw_deparse_terms(VssDeparse *context, List *terms, const char *word)
{
	put_tree(context, terms, 0, list_length(terms), word);
}

/* The term of a condition, RestrictInfo or bare. */
static VssTerm *
condition_term(VssDeparse *context, Node *cond)
{
	Expr *expr = IsA(cond, RestrictInfo) ? ((RestrictInfo *) cond)->clause : (Expr *) cond;

	return vssfdw_term(context->root, context->rel, expr);
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
	List *bare_terms = NIL;
	List *reading_terms = NIL;
	ListCell *cell;

	if (conds == NIL)
		return;
	foreach (cell, conds)
	{
		VssTerm *term = condition_term(context, lfirst(cell));

		if (context->root->qual_security_level == 0 && (term->traits & VSS_CALLS_READER) != 0)
		{
			reading = lappend(reading, lfirst(cell));
			reading_terms = lappend(reading_terms, term);
		}
		else
		{
			bare = lappend(bare, lfirst(cell));
			bare_terms = lappend(bare_terms, term);
		}
	}
	conds = list_concat(bare, reading);
	bare_terms = list_concat(bare_terms, reading_terms);
	appendStringInfo(context->buf, " %s ", word);
	if (strcmp(word, "HAVING") != 0)
		vssfdw_deparse_bounds(context, conds, bare_terms);
	vssfdw_deparse_terms(context, bare_terms, "AND");
}

void
vssfdw_deparse_tried(VssDeparse *context, const char *word, List *conds)
{
	ListCell *cell;

	foreach (cell, conds)
	{
		appendStringInfo(context->buf, " %s (", word);
		vssfdw_deparse_term(context, condition_term(context, lfirst(cell)));
		appendStringInfoString(context->buf, ") IS NOT FALSE");
		word = "AND";
	}
}
