/*
 * unused_index.c
 *		Why a query that sorts by a distance does not ask an index, for EXPLAIN.
 *
 * Nothing is decided here.  The reasons follow what knn_path.c asks, in the order
 * in which a user can do something about them.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/paths.h"
#include "utils/lsyscache.h"

#include "fdw/plan/plan.h"

/* A distance from a column of baserel, somewhere in an expression. */
typedef struct Sought
{
	const RelOptInfo *baserel;
	BridgeMetric metric;
	AttrNumber attnum;
	Expr *query;
	bool alone; /* nothing else of the query's tables is in the sort key */
} Sought;

/* Callback; true: found. */
static bool
find_distance(Node *node, void *arg)
{
	Sought *sought = arg;
	List *args;
	bool pgvector;
	int metric;

	if (node == NULL)
		return false;
	metric = vssfdw_distance_metric((Expr *) node, &pgvector, &args);
	for (int side = 0; metric != 0 && side < 2; side++)
	{
		sought->metric = metric;
		sought->attnum = vssfdw_own_column(sought->baserel, list_nth(args, side));
		sought->query = list_nth(args, 1 - side);
		if (sought->attnum > 0)
			return true;
	}
	return expression_tree_walker(node, find_distance, arg);
}

static bool
sorts_by_distance(const RelOptInfo *baserel, PathKey *pathkey, Sought *sought)
{
	EquivalenceMember *member;

	sought->baserel = baserel;
	VSS_FOREACH_MEMBER(member, pathkey->pk_eclass, baserel->relids)
	{
		sought->alone = bms_equal(baserel->relids, member->em_relids);
		if (bms_is_subset(baserel->relids, member->em_relids) &&
			find_distance((Node *) member->em_expr, sought))
			return true;
	}
	return false;
}

static const char *
operator_of(BridgeMetric metric)
{
	return metric == BRIDGE_COSINE ? "<=>" : metric == BRIDGE_L2 ? "<->" : "<#>";
}

/* place: of the sort key, from 0 */
static char *
reason(PlannerInfo *root, RelOptInfo *baserel, PathKey *pathkey, int place, const Sought *sought)
{
	VssRel *rel = VSS_REL(baserel);
	List *indexes = vssfdw_column_indexes(rel, sought->attnum);
	const char *unwanted = vssfdw_why_not_nearest(root, baserel);
	VssDistance distance;

	if (indexes == NIL)
		return psprintf("column \"%s\" has no index", get_attname(rel->relid, sought->attnum, false));
	if (vssfdw_column_index(rel, sought->attnum, sought->metric) == NULL)
	{
		const VssIndexInfo *index = linitial(indexes);

		return psprintf("index \"%s\" serves %s, not %s", index->name, operator_of(index->metric),
						operator_of(sought->metric));
	}
	if (unwanted != NULL)
		return pstrdup(unwanted);
	if (place > 0)
		return pstrdup("the distance is not the first sort key");
	if (pathkey->pk_eclass->ec_has_volatile || !sought->alone ||
		!vssfdw_is_bindable(root, baserel, sought->query))
		return pstrdup("the query vector is not the same for all rows");
	if (vssfdw_match_pathkey(root, baserel, pathkey, &distance))
		return pstrdup("another plan is estimated to be cheaper");
	if (VSS_PATHKEY_DESCENDS(pathkey) || pathkey->pk_nulls_first)
		return pstrdup("the order is not nearest first, NULLS LAST");
	return pstrdup("the sort key is not the distance itself");
}

char *
vssfdw_why_unused(PlannerInfo *root, RelOptInfo *baserel)
{
	ListCell *cell;

	foreach (cell, root->sort_pathkeys)
	{
		PathKey *pathkey = lfirst_node(PathKey, cell);
		Sought sought;

		if (sorts_by_distance(baserel, pathkey, &sought))
			return reason(root, baserel, pathkey, foreach_current_index(cell), &sought);
	}
	return pstrdup("");
}
