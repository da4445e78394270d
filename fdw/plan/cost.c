/*
 * cost.c
 *		How many rows, at what cost.
 *
 * SQLite runs inside the backend, so its work is counted in PostgreSQL's own
 * units: a row that is passed over costs cpu_tuple_cost, one that is handed
 * over fdw_tuple_cost more, a lookup in a B-tree its depth.  Vectors stored as
 * text are parsed number by number when they are fetched, and that is most of
 * the cost of a scan that fetches them.
 *
 * Row counts come from the planner's selectivities, but where an equality
 * covers a whole key of the SQLite table its own statistics are better.
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"

#include "fdw/plan/plan.h"

/* Graph search: candidates whose distance is computed for each one kept. */
#define DISTANCES_PER_CANDIDATE 12.0

/* Elements of a vector that cost as much as one operator call. */
#define ELEMENTS_PER_OPERATOR 64.0

/* Likewise when they are parsed from text, two operator calls for each; and when they are copied from a BLOB. */
#define PARSED_PER_OPERATOR 0.5
#define COPIED_PER_OPERATOR 10.0

/* Bytes of a row, where no sample says more. */
#define LEAST_WIDTH 32

/* A condition that SQLite may use to find rows by a key. */
typedef struct Compared
{
	AttrNumber attnum; /* of the column that it compares with a value */
	bool equality;     /* the column has that one value */
	Node *clause;
} Compared;

/* What the condition says of one column, or NULL. */
static Compared *
compared_column(PlannerInfo *root, RelOptInfo *baserel, Node *clause)
{
	Expr *expr = IsA(clause, RestrictInfo) ? ((RestrictInfo *) clause)->clause : (Expr *) clause;
	const VssTerm *term = vssfdw_term(root, baserel, expr);
	bool array = term->kind == VSS_TERM_ANY;
	const VssTerm *left;
	const VssPlanColumn *column;
	Compared *result;

	if ((term->kind != VSS_TERM_COMPARISON && !array) || term->how == 0 || term->how == VSS_NOT_EQUAL ||
		((VssTerm *) lsecond(term->args))->kind != VSS_TERM_VALUE)
		return NULL;
	left = linitial(term->args);
	column = vssfdw_term_column(root, left);
	/* through a reader an index gives a range around the value, and none below it */
	if (column == NULL ||
		(column->reader != NULL && (!vssfdw_has_bounds(column) || term->how < BTEqualStrategyNumber ||
									(array && !vssfdw_has_list_bounds(term)))))
		return NULL;
	result = palloc(sizeof(Compared));
	result->attnum = ((Var *) left->expr)->varattno;
	result->equality = !array && column->reader == NULL && term->how == BTEqualStrategyNumber;
	result->clause = clause;
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

static bool
same_column(const VssRel *rel, AttrNumber attnum, const char *name)
{
	return rel->columns[attnum - 1].name != NULL && pg_strcasecmp(rel->columns[attnum - 1].name, name) == 0;
}

/* Those of the conditions (Compared) that are of this column of SQLite's; equality: that give it one value. */
static List *
clauses_on(const VssRel *rel, const char *column, List *compared, bool equality)
{
	List *result = NIL;
	ListCell *cell;

	foreach (cell, compared)
	{
		const Compared *one = lfirst(cell);

		if ((one->equality || !equality) && same_column(rel, one->attnum, column))
			result = lappend(result, one->clause);
	}
	return result;
}

bool
vssfdw_is_fixed_column(RelOptInfo *baserel, const char *column)
{
	return clauses_on(VSS_REL(baserel), column, VSS_REL(baserel)->compared, true) != NIL;
}

/*
 * Rows that the best key leaves for these conditions (Compared): what SQLite must
 * walk.  *exact tells that the clauses fix the whole key; *by which key it is, NULL
 * where the table is walked.
 */
static double
walked_rows(PlannerInfo *root, RelOptInfo *baserel, List *compared, bool *exact, const VssTableKey **by)
{
	VssRel *rel = VSS_REL(baserel);
	double best = rel->tuples;
	ListCell *cell;

	*exact = false;
	*by = NULL;
	foreach (cell, rel->info->keys)
	{
		VssTableKey *key = lfirst(cell);
		double rows = rel->tuples;
		bool fixed = key->columns != NIL;
		ListCell *column;

		foreach (column, key->columns)
		{
			if (clauses_on(rel, lfirst(column), compared, true) == NIL)
				fixed = false;
		}
		if (fixed)
			rows = key->unique ? 1 : Max(key->rows_per_value, 1);
		else if (key->columns != NIL)
		{
			List *first = clauses_on(rel, linitial(key->columns), compared, false);

			if (first != NIL)
				rows *= clauselist_selectivity(root, first, baserel->relid, JOIN_INNER, NULL);
		}
		if (rows < best)
		{
			best = rows;
			*exact = fixed;
			*by = key;
		}
	}
	return clamp_row_est(best);
}

const VssTableKey *
vssfdw_walked_key(PlannerInfo *root, RelOptInfo *baserel)
{
	const VssTableKey *key;
	bool exact;

	walked_rows(root, baserel, VSS_REL(baserel)->compared, &exact, &key);
	return key;
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

void
vssfdw_estimate_size(PlannerInfo *root, RelOptInfo *baserel)
{
	VssRel *rel = VSS_REL(baserel);
	const VssTableKey *by;
	double rows;
	double walked;
	bool exact;

	rel->tuples = Max(rel->info->rows, 1);
	rows = rel->tuples * clauselist_selectivity(root, rel->remote_conds, baserel->relid, JOIN_INNER, NULL);
	rel->compared = compared_columns(root, baserel, NIL, rel->remote_conds);
	walked = walked_rows(root, baserel, rel->compared, &exact, &by);
	if (exact)
		rows = Min(rows, walked);
	else if (rel->table->use_remote_estimate && rel->remote_conds != NIL && rel->knn_predicate == NULL)
		rows = counted_rows(root, baserel, rows);
	rel->remote_rows = clamp_row_est(rows);
	rel->remote_sel = Min(rel->remote_rows / rel->tuples, 1.0);

	baserel->tuples = rel->tuples;
	baserel->rows = clamp_row_est(
		rel->remote_rows * clauselist_selectivity(root, rel->local_conds, baserel->relid, JOIN_INNER, NULL));
	cost_qual_eval(&baserel->baserestrictcost, rel->local_conds, root);
}

double
vssfdw_lookup_rows(PlannerInfo *root, RelOptInfo *baserel, List *clauses)
{
	VssRel *rel = VSS_REL(baserel);
	bool exact;
	const VssTableKey *by;
	double walked =
		walked_rows(root, baserel, compared_columns(root, baserel, rel->compared, clauses), &exact, &by);

	return exact ? Min(walked, baserel->rows) : baserel->rows;
}

Cost
vssfdw_vectors_cost(RelOptInfo *rel)
{
	VssRel *state = VSS_REL(rel);
	ListCell *cell;

	if (state->outer != NULL)
	{
		Cost outer = vssfdw_vectors_cost(state->outer);

		/* what EXISTS looks at is not handed over */
		return state->jointype == JOIN_SEMI || state->jointype == JOIN_ANTI
				   ? outer
				   : outer + vssfdw_vectors_cost(state->inner);
	}
	foreach (cell, state->info->indexes)
	{
		VssIndexInfo *index = lfirst(cell);

		for (int i = 0; i < state->natts; i++)
		{
			if (index->content_vector != NULL && same_column(state, i + 1, index->content_vector) &&
				bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, state->attrs_used))
				return cpu_operator_cost * index->dim /
					   (state->columns[i].as_blob ? COPIED_PER_OPERATOR : PARSED_PER_OPERATOR);
		}
	}
	return 0;
}

/* What handing over one row costs. */
static Cost
fetch_cost(RelOptInfo *baserel)
{
	return VSS_REL(baserel)->server->fdw_tuple_cost + cpu_tuple_cost + vssfdw_vectors_cost(baserel);
}

/* Finding the rows, in SQLite, without handing any over. */
static Cost
walk_cost(RelOptInfo *baserel, double walked, int conditions)
{
	VssRel *rel = VSS_REL(baserel);
	double width = rel->info->row_bytes > 0 ? rel->info->row_bytes : baserel->reltarget->width;
	/* descending the B-tree */
	Cost cost = cpu_operator_cost * 0.5 * log2(rel->tuples + 1);

	cost += walked * (cpu_tuple_cost + cpu_operator_cost * conditions);
	/* a table is read in order, whole rows of it; keys send us to and fro in pages that are mostly cached */
	if (walked >= rel->tuples)
		cost += seq_page_cost * ceil(rel->tuples * Max(width, LEAST_WIDTH) / BLCKSZ);
	else
		cost += walked * cpu_index_tuple_cost;
	return cost;
}

void
vssfdw_cost_scan(PlannerInfo *root, RelOptInfo *baserel, List *clauses, double rows, Cost *startup,
				 Cost *total)
{
	VssRel *rel = VSS_REL(baserel);
	int conditions = list_length(rel->remote_conds) + list_length(clauses);
	bool exact;
	const VssTableKey *by;
	double walked =
		walked_rows(root, baserel, compared_columns(root, baserel, rel->compared, clauses), &exact, &by);
	double fetched = exact ? Min(walked, Max(rows, 1)) : Min(walked, rel->remote_rows);
	Cost run = walk_cost(baserel, walked, conditions);

	if (clauses != NIL)
		fetched = Min(fetched, Max(rows, 1));
	else
		rel->walk_cost = run;
	*startup = rel->server->fdw_startup_cost + baserel->baserestrictcost.startup;
	run += fetched * (fetch_cost(baserel) + baserel->baserestrictcost.per_tuple);
	run += rows * baserel->reltarget->cost.per_tuple;
	*total = *startup + baserel->reltarget->cost.startup + run;
}

void
vssfdw_cost_knn(PlannerInfo *root, RelOptInfo *baserel, const VssIndexInfo *index, double limit,
				bool prefilter, Cost *startup, Cost *total)
{
	VssRel *rel = VSS_REL(baserel);
	double n = rel->tuples;
	double matching = rel->remote_rows;
	double ef = Max(vssfdw_ef_search > 0 ? vssfdw_ef_search : index->visits, limit);
	Cost distance = cpu_operator_cost * (1 + index->dim / ELEMENTS_PER_OPERATOR);
	/* finding the row of a candidate, in no order of the table's */
	Cost lookup = cpu_operator_cost * 2 * log2(n + 1) + random_page_cost / 16;
	Cost conds = cpu_operator_cost * list_length(rel->remote_conds);
	double candidates = prefilter ? matching : n;
	Cost run;

	*startup = rel->server->fdw_startup_cost + baserel->baserestrictcost.startup +
			   Min(ef * DISTANCES_PER_CANDIDATE, candidates) * distance;
	if (prefilter)
	{
		Cost scan_startup;
		Cost scan_total;

		vssfdw_cost_scan(root, baserel, NIL, matching, &scan_startup, &scan_total);
		*startup += scan_total - scan_startup;
	}
	run = candidates * (DISTANCES_PER_CANDIDATE * distance + lookup + conds);
	run += matching * (fetch_cost(baserel) + baserel->baserestrictcost.per_tuple);
	*total = *startup + run;
}

void
vssfdw_cost_range(PlannerInfo *root, RelOptInfo *baserel, const VssIndexInfo *index, Cost *startup,
				  Cost *total)
{
	VssRel *rel = VSS_REL(baserel);
	/* the vectors lie in the mapped file, one after another */
	Cost distance = cpu_operator_cost * (1 + index->dim / ELEMENTS_PER_OPERATOR);
	Cost lookup = cpu_operator_cost * 2 * log2(rel->tuples + 1) + random_page_cost / 64;
	double found = Min(baserel->rows, rel->tuples);

	*startup = rel->server->fdw_startup_cost + baserel->baserestrictcost.startup + rel->tuples * distance;
	*total = *startup + found * (lookup + fetch_cost(baserel) + baserel->baserestrictcost.per_tuple);
}
