/*
 * rowset.c
 *		The SQL function vss_knn: the two rowset forms, and the predicate.
 *
 *	vss_knn(index, query, k [, ef])			rows of an index named by text
 *	vss_knn(query, k)						rows of the one index there is
 *	vss_knn(column, query, k [, ef])		predicate, see paths.c
 *
 * The rowsets answer for what a user may read: the name is looked up through
 * search_path, and SELECT on the foreign table is required, since rowids and
 * distances are its content.  They read nothing but the index: the k nearest
 * of all its rows, nearest first.
 */
#include "fdw/fdw.h"

VSS_SQL_FUNCTION(vss_knn_predicate);

/* ---------- the predicate ---------- */

/*
 * vss_knn(vss_vector, vss_vector, bigint, integer) -> boolean.  The planner
 * turns the predicate into a search.  Where it cannot, there is no way to
 * answer: one row does not tell whether it is among the k nearest.
 */
Datum
vss_knn_predicate(PG_FUNCTION_ARGS)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg("vss_knn(column, query, k) cannot be evaluated row by row"),
		 errdetail("It must be a top-level AND condition of WHERE, its first argument a column of a "
				   "foreign table that has an hnsw index, its other arguments free of that table's columns."),
		 errhint(
			 "Write ORDER BY column <=> query LIMIT k, or join the rows of vss_knn('index', query, k).")));
	PG_RETURN_NULL();
}
