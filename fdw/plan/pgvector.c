/*
 * pgvector.c
 *		Where pgvector's distances are not ours.
 *
 * pgvector sums in real, our index in double precision: its distance of the
 * same two vectors differs in the sixth or seventh digit.  A query that uses
 * its operators shall show its numbers, those that a local copy of the rows
 * gives.  So the index decides which rows come and in which order (rows whose
 * distances round alike may change places), but a distance that anybody sees
 * or compares is computed by the operator, from the vector; and a bound that
 * ends a search is widened by the most that rounding can make, since the
 * operator tests the condition afterwards.
 *
 * Operators of vss_vector need none of this: they compute the index's bits.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/optimizer.h"

#include "fdw/plan/plan.h"

bool
vssfdw_is_pgvector_distance(const Expr *distance)
{
	bool pgvector;
	List *args;

	return vssfdw_distance_metric(distance, &pgvector, &args) != 0 && pgvector;
}

static bool
contains(Node *node, Expr *distance)
{
	if (node == NULL)
		return false;
	return equal(node, distance) || expression_tree_walker(node, contains, distance);
}

/* Whether something above the scan may ask if two distances are equal, or use one in HAVING. */
static bool
compares_distances(const Query *parse)
{
	return parse->hasAggs || parse->hasWindowFuncs || parse->groupClause != NIL ||
		   parse->groupingSets != NIL || parse->distinctClause != NIL || parse->havingQual != NULL ||
		   parse->limitOption == LIMIT_OPTION_WITH_TIES;
}

bool
vssfdw_only_sorted_by(PlannerInfo *root, RelOptInfo *baserel, List *local_exprs, Expr *distance)
{
	List *tlist;
	ListCell *cell;

	/* in joins it is computed above them */
	if (!vssfdw_reads_alone(root, baserel, &tlist))
		return false;
	if (compares_distances(root->parse) || contains((Node *) local_exprs, distance))
		return false;
	foreach (cell, tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (entry->resjunk && equal(entry->expr, distance))
			continue;
		if (contains((Node *) entry->expr, distance))
			return false;
	}
	return true;
}

bool
vssfdw_has_widened(BridgeMetric metric)
{
	/* an inner product's error grows with the length of the row's vector, which may be any */
	return metric != BRIDGE_IP;
}

/*
 * A sum of n products in numbers of precision u = FLT_EPSILON / 2, in whatever
 * order and whether or not multiply and add are fused, is off by at most
 * n u / (1 - n u) of the sum of their absolute values (Higham, Accuracy and
 * Stability of Numerical Algorithms, 3.1).  Of a cosine that is so much for
 * the product of unit vectors and as much for their lengths; of a Euclidean
 * distance half of it, relative to the distance, and the squares too small for
 * a real.  Not covered are cosines of vectors so short or long that their own
 * squares leave the range of real (1e-19, 1e19).
 */
double
vssfdw_widened(BridgeMetric metric, int dim, double bound)
{
	double part = (dim + 4) * (double) FLT_EPSILON * 1.01;

	if (metric == BRIDGE_COSINE)
		return bound + part;
	return bound + fabs(bound) * part / 2 + sqrt(dim * (double) FLT_MIN);
}
