/*
 * estimate.c
 *		How many rows there are, and how many SQLite looks at to find them.
 *
 * Row counts come from PostgreSQL's statistics, where there are any; else SQLite
 * is asked (sample.c).  SQLite's own planner chooses the key: what is said of
 * that here is what it will probably do.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"

#include "fdw/plan/plan.h"

/* A condition that SQLite may use to find rows by a key. */
typedef struct Compared
{
	AttrNumber attnum; /* of the column that it compares with a value */
	bool equality;     /* the column has that one value */
	bool only_ends;    /* it is of use beside a condition with which the column's range begins */
	Node *clause;
} Compared;

/* IS NULL of a column, which SQLite finds by an index, whatever the column's class; or NULL. */
static Var *
null_tested(PlannerInfo *root, const VssTerm *term)
{
	const NullTest *test = (const NullTest *) term->expr;

	if (term->kind != VSS_TERM_SUFFIX || !IsA(test, NullTest) || test->nulltesttype != IS_NULL ||
		vssfdw_term_column(root, linitial(term->args)) == NULL)
		return NULL;
	return (Var *) ((VssTerm *) linitial(term->args))->expr;
}

/* What the condition says of one column, or NULL. */
static Compared *
compared_column(PlannerInfo *root, RelOptInfo *baserel, Node *clause)
{
	Expr *expr = IsA(clause, RestrictInfo) ? ((RestrictInfo *) clause)->clause : (Expr *) clause;
	const VssTerm *term = vssfdw_term(root, baserel, expr);
	bool array = term->kind == VSS_TERM_ANY;
	Var *var = null_tested(root, term);
	Compared *result = palloc0(sizeof(Compared));
	const VssPlanColumn *column;

	result->clause = clause;
	if (var != NULL)
	{
		result->attnum = var->varattno;
		return result;
	}
	if ((term->kind != VSS_TERM_COMPARISON && !array) || term->how == 0 || term->how == VSS_NOT_EQUAL ||
		((VssTerm *) lsecond(term->args))->kind != VSS_TERM_VALUE)
		return NULL;
	column = vssfdw_term_column(root, linitial(term->args));
	if (column == NULL ||
		(column->reader != NULL && (!vssfdw_has_bounds(column) || (array && !vssfdw_has_list_bounds(term)))))
		return NULL;
	/* through a reader an index gives a range around the value, and none below it */
	result->only_ends = column->reader != NULL && term->how < BTEqualStrategyNumber;
	result->attnum = ((Var *) ((VssTerm *) linitial(term->args))->expr)->varattno;
	result->equality = !array && column->reader == NULL && term->how == BTEqualStrategyNumber;
	return result;
}

/* What the conditions say of columns (Compared); base: of these as much was known before. */
static List *
compared_columns(PlannerInfo *root, RelOptInfo *baserel, List *base, List *clauses)
{
	List *result = list_copy(base);
	ListCell *cell;

	foreach (cell, clauses)
	{
		Compared *compared = compared_column(root, baserel, lfirst(cell));

		if (compared != NULL)
			result = lappend(result, compared);
	}
	return result;
}

bool
vssfdw_same_column(const VssRel *rel, AttrNumber attnum, const char *name)
{
	return rel->columns[attnum - 1].name != NULL && pg_strcasecmp(rel->columns[attnum - 1].name, name) == 0;
}

/* Those of the conditions (Compared) that are of this column of SQLite's; equality: that give it one value. */
static List *
clauses_on(const VssRel *rel, const char *column, List *compared, bool equality)
{
	List *result = NIL;
	bool begins = false;
	ListCell *cell;

	foreach (cell, compared)
	{
		const Compared *one = lfirst(cell);

		if ((one->equality || !equality) && vssfdw_same_column(rel, one->attnum, column))
		{
			result = lappend(result, one->clause);
			begins |= !one->only_ends;
		}
	}
	return begins ? result : NIL;
}

bool
vssfdw_is_fixed_column(RelOptInfo *baserel, const char *column)
{
	return clauses_on(VSS_REL(baserel), column, VSS_REL(baserel)->compared, true) != NIL;
}

/* Rows that the conditions on a key leave, by statistics, else as SQLite counts them; -1: nobody knows. */
static double
known_rows(PlannerInfo *root, RelOptInfo *baserel, List *clauses)
{
	bool all;
	double share;
	double rows;

	if (vssfdw_has_statistics(baserel, clauses))
		return VSS_REL(baserel)->tuples *
			   clauselist_selectivity(root, clauses, baserel->relid, JOIN_INNER, NULL);
	rows = vssfdw_count_entries(root, baserel, clauses, &all);
	if (rows < 0 || all)
		return rows;
	share = vssfdw_try_on_sample(root, baserel, clauses);
	return Max(rows, share * VSS_REL(baserel)->tuples);
}

/* The way by one key under the conditions (Compared); all rows where they say nothing of it. */
static VssWalk
walk_key(PlannerInfo *root, RelOptInfo *baserel, const VssTableKey *key, List *compared)
{
	VssRel *rel = VSS_REL(baserel);
	VssWalk walk = {
		.rows = rel->tuples, .keyed = true, .exact = key->columns != NIL, .known = true, .by = key};
	List *clauses = key->columns != NIL ? clauses_on(rel, linitial(key->columns), compared, false) : NIL;
	List *equalities = NIL;
	ListCell *column;

	foreach (column, key->columns)
	{
		List *found = clauses_on(rel, lfirst(column), compared, true);

		walk.exact &= found != NIL;
		equalities = list_concat(equalities, found);
	}
	if (walk.exact && key->unique)
		walk.rows = 1;
	if (clauses == NIL || (walk.exact && key->unique))
		return walk;
	walk.rows = known_rows(root, baserel, walk.exact ? equalities : clauses);
	walk.known = walk.rows >= 0;
	if (walk.known)
		return walk;
	walk.rows = walk.exact
					? Max(key->rows_per_value, 1)
					: rel->tuples * clauselist_selectivity(root, clauses, baserel->relid, JOIN_INNER, NULL);
	return walk;
}

/* The best way by one key, or through the table. */
static VssWalk
best_walk(PlannerInfo *root, RelOptInfo *baserel, List *compared)
{
	VssRel *rel = VSS_REL(baserel);
	VssWalk best = {.rows = rel->tuples, .known = true};
	ListCell *cell;

	foreach (cell, rel->info->keys)
	{
		VssWalk walk = walk_key(root, baserel, lfirst(cell), compared);

		if (walk.rows < best.rows)
			best = walk;
	}
	best.rows = clamp_row_est(best.rows);
	return best;
}

/* The way of a OR b OR ..., where SQLite has an index for each. */
static VssWalk
walk_alternatives(PlannerInfo *root, RelOptInfo *baserel, const BoolExpr *alternatives)
{
	VssRel *rel = VSS_REL(baserel);
	VssWalk all = {.keyed = true, .known = true};
	ListCell *cell;

	foreach (cell, alternatives->args)
	{
		List *conds = make_ands_implicit(lfirst(cell));
		VssWalk one = best_walk(root, baserel, compared_columns(root, baserel, NIL, conds));

		all.rows += one.rows;
		all.known &= one.known;
		if (!one.keyed || all.rows >= rel->tuples)
			return (VssWalk){.rows = rel->tuples, .known = true};
	}
	return all;
}

/* The conditions that are not among those compared. */
static List *
other_conds(const VssRel *rel)
{
	List *result = list_copy(rel->remote_conds);
	ListCell *cell;

	foreach (cell, rel->compared)
		result = list_delete_ptr(result, ((Compared *) lfirst(cell))->clause);
	return result;
}

VssWalk
vssfdw_walk(PlannerInfo *root, RelOptInfo *baserel, List *clauses)
{
	VssRel *rel = VSS_REL(baserel);
	VssWalk best = best_walk(root, baserel, compared_columns(root, baserel, rel->compared, clauses));
	ListCell *cell;

	foreach (cell, rel->remote_conds)
	{
		Expr *expr = lfirst_node(RestrictInfo, cell)->clause;

		if (is_orclause(expr))
		{
			VssWalk walk = walk_alternatives(root, baserel, (BoolExpr *) expr);

			if (walk.rows < best.rows)
				best = walk;
		}
	}
	best.others = list_length(rel->remote_conds) > 1 && other_conds(rel) != NIL;
	return best;
}

const VssTableKey *
vssfdw_walked_key(PlannerInfo *root, RelOptInfo *baserel)
{
	return best_walk(root, baserel, VSS_REL(baserel)->compared).by;
}

/* use_remote_estimate counts no further; the guess is taken to be right beyond. */
#define MOST_COUNTED 10000

/* Rows that satisfy the conditions, counted by SQLite; guess where values are not known yet. */
static double
counted_rows(PlannerInfo *root, RelOptInfo *baserel, double guess)
{
	VssRel *rel = VSS_REL(baserel);
	StringInfoData buf;
	VssDeparse context = {.root = root, .rel = baserel, .buf = &buf, .first_param = 1};
	VssHold *hold;
	VssStatement *statement;
	double rows = guess;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT count(*) FROM (");
	vssfdw_deparse_select(&context, NIL, rel->remote_conds);
	appendStringInfo(&buf, " LIMIT %d)", MOST_COUNTED);
	if (context.params != NIL)
		return guess;
	hold = vssfdw_hold(rel->conn, CurrentMemoryContext);
	statement = vssfdw_prepare(rel->conn, buf.data, CurrentMemoryContext);
	if (vssfdw_step(statement))
		rows = sqlite3_column_double(statement->stmt, 0);
	vssfdw_done(statement);
	vssfdw_release(hold);
	return rows < MOST_COUNTED ? rows : Max(rows, guess);
}

/* What a sample, and the way that SQLite goes, say of the rows that meet the remote conditions; -1: nothing. */
static double
sampled_rows(PlannerInfo *root, RelOptInfo *baserel, const VssWalk *walk)
{
	VssRel *rel = VSS_REL(baserel);
	double share;
	double rest;

	if (walk->keyed && list_length(rel->remote_conds) == 1)
		return walk->known ? walk->rows : -1;
	share = vssfdw_try_on_sample(root, baserel, rel->remote_conds);
	if (share < 0 || share >= VSS_SURE_SHARE || !walk->keyed)
		return share < 0 ? -1 : share * rel->tuples;
	/* too few of the sample for a number: those that the key leaves are better known */
	rest = other_conds(rel) != NIL ? vssfdw_try_on_sample(root, baserel, other_conds(rel)) : 1;
	return walk->rows * rest;
}

/*
 * Rows that satisfy the remote conditions, guess by PostgreSQL's selectivities.
 * Whoever knows is believed: a unique key, the rows that SQLite counts where the
 * table's option wants its word, PostgreSQL's statistics, a count in a key, a sample.
 */
static double
remote_rows(PlannerInfo *root, RelOptInfo *baserel, double guess)
{
	VssRel *rel = VSS_REL(baserel);
	VssWalk walk = vssfdw_walk(root, baserel, NIL);
	double rows;

	if (rel->remote_conds == NIL)
		return guess;
	if (walk.exact && walk.by->unique)
		return Min(guess, walk.rows);
	if (rel->table->use_remote_estimate && rel->knn_predicate == NULL)
		return counted_rows(root, baserel, guess);
	if (vssfdw_has_statistics(baserel, rel->remote_conds))
		return guess;
	rows = sampled_rows(root, baserel, &walk);
	rel->guessed = rows < 0;
	return Min(rel->guessed ? guess : rows, walk.rows);
}

void
vssfdw_estimate_size(PlannerInfo *root, RelOptInfo *baserel)
{
	VssRel *rel = VSS_REL(baserel);
	double guess;

	rel->tuples = Max(rel->info->rows, 1);
	guess = rel->tuples * clauselist_selectivity(root, rel->remote_conds, baserel->relid, JOIN_INNER, NULL);
	rel->compared = compared_columns(root, baserel, NIL, rel->remote_conds);
	rel->remote_rows = clamp_row_est(remote_rows(root, baserel, guess));
	rel->remote_sel = Min(rel->remote_rows / rel->tuples, 1.0);

	baserel->tuples = rel->tuples;
	baserel->rows = clamp_row_est(
		rel->remote_rows * clauselist_selectivity(root, rel->local_conds, baserel->relid, JOIN_INNER, NULL));
	cost_qual_eval(&baserel->baserestrictcost, rel->local_conds, root);
}

double
vssfdw_lookup_rows(PlannerInfo *root, RelOptInfo *baserel, List *clauses)
{
	VssWalk walk = vssfdw_walk(root, baserel, clauses);

	return walk.exact ? Min(walk.rows, baserel->rows) : baserel->rows;
}
