/*
 * operator_terms.c
 *		The terms of operators and functions.
 *
 * An operator goes down when it is a comparison of a B-tree family of the
 * class, which is a statement about its meaning and not about its name, and
 * when its collation agrees with SQLite's bytes: equality under every
 * deterministic collation, order under C alone.
 *
 * Functions go down where pushdown_functions.c has a row for them.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"

#include "fdw/ship/ship.h"

/* ---------- comparisons ---------- */

int
vssfdw_comparison(Oid opno, VssClass class)
{
	Oid family = vssfdw_class_family(class);
	Oid negator;
	int strategy;

	if (!OidIsValid(family))
		return 0;
	strategy = get_op_opfamily_strategy(opno, family);
	if (strategy != 0)
		return strategy;
	negator = get_negator(opno);
	if (OidIsValid(negator) && get_op_opfamily_strategy(negator, family) == BTEqualStrategyNumber)
		return VSS_NOT_EQUAL;
	return 0;
}

VssClass
vssfdw_common_class(VssClass a, VssClass b)
{
	if (a == b)
		return a;
	if (a == VSS_CLASS_NONE || vssfdw_class_family(a) != vssfdw_class_family(b))
		return VSS_CLASS_NONE;
	return a == VSS_CLASS_TIMESTAMPTZ || b == VSS_CLASS_TIMESTAMPTZ ? VSS_CLASS_TIMESTAMPTZ
																	: VSS_CLASS_TIMESTAMP;
}

/* Whether the database keeps its text as UTF-8.  Then memcmp gives the order of code points. */
static bool
sqlite_is_utf8(VssConnection *conn)
{
	VssStatement *statement = vssfdw_prepare(conn, "PRAGMA encoding", CurrentMemoryContext);
	bool utf8 = false;

	if (vssfdw_step(statement))
		utf8 = strcmp((const char *) sqlite3_column_text(statement->stmt, 0), "UTF-8") == 0;
	vssfdw_done(statement);
	return utf8;
}

bool
vssfdw_collation_agrees(RelOptInfo *rel, Oid collation, bool equality)
{
	if (!OidIsValid(collation))
		return false;
	if (equality)
		return get_collation_isdeterministic(collation);
	return VSS_COLLATE_IS_C(collation) && GetDatabaseEncoding() == PG_UTF8 &&
		   sqlite_is_utf8(VSS_REL(rel)->conn);
}

/* "<" and its like, and the same with its operands exchanged. */
static const char *
comparison_word(int how)
{
	static const char *const words[] = {NULL, "<", "<=", "=", ">=", ">", "<>"};

	StaticAssertStmt(lengthof(words) == VSS_NOT_EQUAL + 1, "words of the comparisons");
	Assert(how >= BTLessStrategyNumber && how <= VSS_NOT_EQUAL);
	return words[how];
}

static int
mirrored(int how)
{
	return how == VSS_NOT_EQUAL ? how : BTGreaterStrategyNumber + BTLessStrategyNumber - how;
}

VssTerm *
vssfdw_comparison_term(RelOptInfo *rel, OpExpr *op, List *args, bool only_equality)
{
	VssTerm *left = linitial(args);
	VssTerm *right = lsecond(args);
	VssTerm *term;
	bool equality;
	int how;

	if (vssfdw_common_class(left->class, right->class) == VSS_CLASS_NONE)
		return NULL;
	how = vssfdw_comparison(op->opno, left->class);
	equality = how == BTEqualStrategyNumber || how == VSS_NOT_EQUAL;
	if (how == 0 || (only_equality && !equality))
		return NULL;
	if (vssfdw_class_is_text(left->class) && !vssfdw_collation_agrees(rel, op->inputcollid, equality))
		return NULL;
	/*
	 * The column on the left: which way round a join clause comes differs
	 * between versions of PostgreSQL.
	 */
	if (!only_equality && (left->traits & VSS_READS_ROWS) == 0 && (right->traits & VSS_READS_ROWS) != 0)
	{
		args = list_make2(right, left);
		how = mirrored(how);
	}
	term = vssfdw_make_term(VSS_TERM_COMPARISON, comparison_word(how), args, (Expr *) op);
	term->class = VSS_CLASS_BOOLEAN;
	term->how = how;
	if (left->class != right->class)
		term->depth++;
	return term;
}

/* Whether SQLite has the row's function for operands of these classes and in this collation. */
static bool
suits(const VssFunction *row, Oid collation, List *args)
{
	ListCell *cell;
	int i = 0;

	if (row->name == NULL || list_length(args) > VSS_FUNCTION_ARGS)
		return false;
	if ((row->flags & VSS_UTF8) != 0 && GetDatabaseEncoding() != PG_UTF8)
		return false;
	if ((row->flags & (VSS_FOLDS_CASE | VSS_DETERMINISTIC)) != 0 && !OidIsValid(collation))
		return false;
	if ((row->flags & VSS_FOLDS_CASE) != 0 && !VSS_CTYPE_IS_C(collation))
		return false;
	if ((row->flags & VSS_DETERMINISTIC) != 0 && !get_collation_isdeterministic(collation))
		return false;
	foreach (cell, args)
	{
		VssClass wanted = row->args[i++];

		if (wanted != VSS_CLASS_NONE && ((VssTerm *) lfirst(cell))->class != wanted)
			return false;
	}
	return true;
}

/* Arithmetic that may fail, of operands that all have the row's class. */
static VssTerm *
try_term(const VssFunction *row, List *args, Expr *expr)
{
	VssTerm *term = vssfdw_make_term(VSS_TERM_TRY, row->tried, args, expr);
	ListCell *cell;

	foreach (cell, args)
	{
		if (((VssTerm *) lfirst(cell))->class != row->args[0])
			return vssfdw_no_term(expr);
	}
	term->class = row->result;
	term->function = row;
	term->traits |= VSS_MAY_FAIL;
	return term;
}

VssTerm *
vssfdw_function_term(Oid function, Oid collation, List *args, Expr *expr)
{
	const VssFunction *row = vssfdw_find_function(function);
	VssTerm *term;

	if (row == NULL)
		return vssfdw_no_term(expr);
	if (suits(row, collation, args))
	{
		VssTermKind kind = VSS_TERM_CALL;

		if (row->name[0] == '\0')
			kind = VSS_TERM_SAME;
		else if (strcmp(row->name, "||") == 0)
			kind = VSS_TERM_LIST;
		term = vssfdw_make_term(kind, row->name, args, expr);
		term->class = row->result;
		term->function = row;
		if ((row->flags & VSS_LEAVES_RANGE) != 0)
			term->traits |= VSS_MAY_LEAVE_RANGE;
		if (row->fit == NULL || row->fit(term))
		{
			if ((row->flags & VSS_NEGATED) == 0)
				return term;
			term = vssfdw_make_term(VSS_TERM_PREFIX, "NOT", list_make1(term), expr);
			term->class = row->result;
			return term;
		}
	}
	return row->tried != NULL ? try_term(row, args, expr) : vssfdw_no_term(expr);
}

VssTerm *
vssfdw_operator_term(RelOptInfo *rel, OpExpr *op, List *args)
{
	VssTerm *term = NULL;

	if (list_length(args) == 2)
		term = vssfdw_comparison_term(rel, op, args, false);
	return term != NULL ? term
						: vssfdw_function_term(get_opcode(op->opno), op->inputcollid, args, (Expr *) op);
}
