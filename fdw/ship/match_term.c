/*
 * match_term.c
 *		Conditions of full-text search: vss_match(x, query), x @@@ query.
 *
 * x is a row of a foreign table (its name or alias), or one of its text
 * columns.  Of a full-text table it becomes `x MATCH query`, so that the table
 * has a rank.  Of a table that a full-text table has the content of it becomes
 * `rowid IN (SELECT rowid FROM full-text table WHERE ... MATCH query)`.
 *
 * Nothing else can answer: SQLite's tokenizers and its language of queries are
 * not here.  And MATCH itself can only choose rows, so it must stand in the
 * top-level AND of WHERE (VSS_TOP_LEVEL); the list of rowids may stand anywhere.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "fdw/ship/ship.h"

VSS_SQL_FUNCTION(vss_match);

/* (record, text), (text, text) -> boolean */
Datum
vss_match(PG_FUNCTION_ARGS)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("@@@ (vss_match) cannot be evaluated row by row"),
		 errdetail("Its first operand must be the row, or a text column, of a foreign table that is a "
				   "full-text table of SQLite's, or that one has the content of; its second operand must be "
				   "free of that table's columns. Of a full-text table itself it must be a top-level AND "
				   "condition."),
		 errhint("Write WHERE table @@@ 'query'.")));
	PG_RETURN_NULL();
}

/* The two operands, or false for another expression. */
static bool
match_operands(const Expr *expr, List **args)
{
	const VssOids *oids = vssfdw_oids();
	Oid function = InvalidOid;

	if (IsA(expr, OpExpr))
	{
		function = get_opcode(((const OpExpr *) expr)->opno);
		*args = ((const OpExpr *) expr)->args;
	}
	else if (IsA(expr, FuncExpr))
	{
		function = ((const FuncExpr *) expr)->funcid;
		*args = ((const FuncExpr *) expr)->args;
	}
	return OidIsValid(function) && (function == oids->match_row || function == oids->match_column);
}

bool
vssfdw_is_match(const Expr *expr)
{
	List *args;

	return match_operands(expr, &args);
}

/* A row or column of a table, under casts that change nothing; NULL for anything else. */
static const Var *
matched_var(Expr *expr)
{
	for (;;)
	{
		if (IsA(expr, RelabelType))
			expr = ((RelabelType *) expr)->arg;
		else if (IsA(expr, ConvertRowtypeExpr))
			expr = ((ConvertRowtypeExpr *) expr)->arg;
		else
			break;
	}
	return IsA(expr, Var) && ((Var *) expr)->varlevelsup == 0 && ((Var *) expr)->varattno >= 0
			   ? (const Var *) expr
			   : NULL;
}

/* The one full-text table over the table's content; NULL without. */
static const VssFullText *
only_full_text(const VssRel *rel)
{
	StringInfoData names;
	ListCell *cell;

	if (rel->info->full_texts == NIL)
		return NULL;
	if (list_length(rel->info->full_texts) == 1)
		return linitial(rel->info->full_texts);
	initStringInfo(&names);
	foreach (cell, rel->info->full_texts)
		appendStringInfo(&names, "%s\"%s\"", foreach_current_index(cell) > 0 ? ", " : "",
						 ((VssFullText *) lfirst(cell))->name);
	ereport(ERROR,
			(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
			 errmsg("table \"%s\" has several full-text tables", get_rel_name(rel->relid)),
			 errdetail("They are %s.", names.data), errhint("Join one of them by rowid, and match that.")));
}

/* What stands before the query in SQLite; NULL where nothing can. */
static char *
words_before(const VssRel *rel, const Var *var, const VssFullText *full_text)
{
	const char *column = var->varattno > 0 ? rel->columns[var->varattno - 1].name : NULL;
	const char *key;

	if (full_text == rel->info->full_text)
		return psprintf("r%u.%s MATCH ", (unsigned) var->varno,
						vssfdw_quote_identifier(column != NULL ? column : full_text->name));
	key = full_text->content_rowid != NULL ? vssfdw_quote_identifier(full_text->content_rowid)
										   : rel->info->rowid_name;
	if (key == NULL)
		return NULL;
	return psprintf("r%u.%s IN (SELECT f.rowid FROM \"main\".%s AS f WHERE f.%s MATCH ",
					(unsigned) var->varno, key, vssfdw_quote_identifier(full_text->name),
					vssfdw_quote_identifier(column != NULL ? column : full_text->name));
}

/*
 * The query as MATCH takes it: FTS5 refuses NULL, which matches nothing, as the
 * phrase of no words does.
 */
static VssTerm *
query_term(const VssFullText *full_text, Expr *query)
{
	VssTerm *value = vssfdw_value_term(query);
	VssTerm *term;
	Const *nothing;

	if (value->class != VSS_CLASS_TEXT || IsA(query, Const) || !full_text->ranks)
		return value;
	nothing = makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1, CStringGetTextDatum("\"\""), false, false);
	term = vssfdw_make_term(VSS_TERM_CALL, "ifnull", list_make2(value, vssfdw_constant_term(nothing)), query);
	term->class = VSS_CLASS_TEXT;
	return term;
}

VssTerm *
vssfdw_match_term(PlannerInfo *root, RelOptInfo *rel, Expr *expr)
{
	List *args;
	const Var *var;
	const VssRel *base;
	const VssFullText *full_text;
	VssTerm *query;
	VssTerm *term;
	char *words;

	if (!match_operands(expr, &args))
		return NULL;
	var = matched_var(linitial(args));
	if (var == NULL || !bms_is_member(var->varno, VSS_REL(rel)->relids) ||
		!vssfdw_is_bindable(root, rel, lsecond(args)))
		return vssfdw_no_term(expr);
	base = VSS_REL(root->simple_rel_array[var->varno]);
	full_text = base->info->full_text != NULL ? base->info->full_text : only_full_text(base);
	words = full_text != NULL ? words_before(base, var, full_text) : NULL;
	if (words == NULL)
		return vssfdw_no_term(expr);
	query = query_term(full_text, lsecond(args));
	if (query->class != VSS_CLASS_TEXT)
		return vssfdw_no_term(expr);
	term = vssfdw_make_term(VSS_TERM_MATCH, words, list_make1(query), expr);
	term->class = VSS_CLASS_BOOLEAN;
	term->listed = base->info->full_text == NULL;
	term->traits |= VSS_READS_ROWS | (term->listed ? 0 : VSS_TOP_LEVEL);
	/* the list is a SELECT inside */
	term->depth += 3;
	return term;
}
