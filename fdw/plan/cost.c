/*
 * cost.c
 *		What ways to read rows cost.
 *
 * SQLite runs inside the backend, so its work is counted in PostgreSQL's own
 * units: a row that is passed over costs cpu_tuple_cost, one that is handed
 * over fdw_tuple_cost more, a lookup in a B-tree its depth.  Vectors stored as
 * text are parsed number by number when they are fetched, and that is most of
 * the cost of a scan that fetches them.
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

/*
 * Prices in rows of a stream, each of which takes a step through the graph, a distance
 * and a look-up: a row, a page and an index entry walked, a row looked up, a rowid listed
 * and measured, a search among listed ones.  Measured by bench/filters.
 */
#define PRICE_ROW 0.05
#define PRICE_PAGE 0.4
#define PRICE_ENTRY 0.04
#define PRICE_LOOKUP 0.25
#define PRICE_LISTED 0.06
#define PRICE_MEASURED 0.12
#define PRICE_SEARCH 120

/* Bytes of a row, where no sample says more. */
#define LEAST_WIDTH 32

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
			if (index->content_vector != NULL && vssfdw_same_column(state, i + 1, index->content_vector) &&
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
	VssWalk walk = vssfdw_walk(root, baserel, clauses);
	double fetched = walk.exact ? Min(walk.rows, Max(rows, 1)) : Min(walk.rows, rel->remote_rows);
	Cost run = walk_cost(baserel, walk.rows, conditions);

	if (clauses != NIL)
		fetched = Min(fetched, Max(rows, 1));
	else
		rel->walk_cost = run;
	*startup = rel->server->fdw_startup_cost + baserel->baserestrictcost.startup;
	run += fetched * (fetch_cost(baserel) + baserel->baserestrictcost.per_tuple);
	run += rows * baserel->reltarget->cost.per_tuple;
	*total = *startup + baserel->reltarget->cost.startup + run;
}

double
vssfdw_prefilter_price(PlannerInfo *root, RelOptInfo *baserel)
{
	VssRel *rel = VSS_REL(baserel);
	VssWalk walk = vssfdw_walk(root, baserel, NIL);
	double price = walk.rows * (walk.keyed ? PRICE_ENTRY : PRICE_ROW);

	/* what the key does not decide is looked up; without a key all pages of the table are read */
	if (!walk.keyed)
		price += rel->tuples * Max(rel->info->row_bytes, LEAST_WIDTH) / BLCKSZ * PRICE_PAGE;
	else if (walk.others)
		price += walk.rows * PRICE_LOOKUP;
	price += rel->remote_rows * PRICE_LISTED;
	return price + Min(rel->remote_rows * PRICE_MEASURED, PRICE_SEARCH);
}

void
vssfdw_cost_knn(PlannerInfo *root, RelOptInfo *baserel, const VssIndexInfo *index, double limit,
				bool prefilter, Cost *startup, Cost *total)
{
	VssRel *rel = VSS_REL(baserel);
	double n = rel->tuples;
	double matching = rel->remote_rows;
	int asked = vssfdw_asked_ef();
	double ef = Max(asked > 0 ? asked : index->visits, limit);
	Cost distance = cpu_operator_cost * (1 + index->dim / ELEMENTS_PER_OPERATOR);
	/* finding the row of a candidate, in no order of the table's */
	Cost lookup = cpu_operator_cost * 2 * log2(n + 1) + random_page_cost / 16;
	Cost conds = cpu_operator_cost * list_length(rel->remote_conds);
	double candidates = prefilter ? matching : n;
	Cost pull = DISTANCES_PER_CANDIDATE * distance + lookup + conds;
	Cost run;

	*startup = rel->server->fdw_startup_cost + baserel->baserestrictcost.startup +
			   Min(ef * DISTANCES_PER_CANDIDATE, candidates) * distance;
	if (prefilter)
		*startup += vssfdw_prefilter_price(root, baserel) * pull;
	run = candidates * pull;
	run += matching * (fetch_cost(baserel) + baserel->baserestrictcost.per_tuple);
	*total = *startup + run;
}

void
vssfdw_cost_range(PlannerInfo *root, RelOptInfo *baserel, const VssIndexInfo *index, double rows,
				  Cost *startup, Cost *total)
{
	VssRel *rel = VSS_REL(baserel);
	/* the vectors lie in the mapped file, one after another */
	Cost distance = cpu_operator_cost * (1 + index->dim / ELEMENTS_PER_OPERATOR);
	Cost lookup = cpu_operator_cost * 2 * log2(rel->tuples + 1) + random_page_cost / 64;
	double found = Min(rows, rel->tuples);

	*startup = rel->server->fdw_startup_cost + baserel->baserestrictcost.startup + rel->tuples * distance;
	*total = *startup + found * (lookup + fetch_cost(baserel) + baserel->baserestrictcost.per_tuple);
}
