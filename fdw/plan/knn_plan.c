/*
 * knn_plan.c
 *		The plan of a scan that asks an hnsw index: its statements, and its rows
 *		with the distance as one more column.
 *
 * PostgreSQL finds an expression of the query in fdw_scan_tlist as a whole, so
 * a distance that the index has told is computed nowhere else.  Then the rows
 * have no longer the layout of the table, which rules it out where row marks
 * or system columns need that.
 */
#include "postgres.h"

#include <math.h>

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"

#include "fdw/plan/plan.h"

/* ---------- the distance as a column of the scan ---------- */

typedef struct UseContext
{
	RelOptInfo *baserel;
	AttrNumber attnum;
	Expr *distance;
} UseContext;

/* Callback: whether the distance occurs. */
static bool
has_distance(Node *node, Expr *distance)
{
	if (node == NULL)
		return false;
	return equal(node, distance) || expression_tree_walker(node, has_distance, distance);
}

/* Whether the column occurs outside the distance. */
static bool
uses_column(Node *node, UseContext *context)
{
	if (node == NULL || equal(node, context->distance))
		return false;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		return var->varno == context->baserel->relid && var->varlevelsup == 0 &&
			   (var->varattno == context->attnum || var->varattno == 0);
	}
	return expression_tree_walker(node, uses_column, context);
}

/*
 * Whether target expressions may be computed in a node above the scan.  A sort
 * by the distance has it computed below, any other sort perhaps not.
 */
static bool
computed_above(const Query *parse, bool ordered)
{
	return parse->hasAggs || parse->hasWindowFuncs || parse->groupClause != NIL ||
		   parse->groupingSets != NIL || parse->distinctClause != NIL || parse->havingQual != NULL ||
		   (parse->sortClause != NIL && !ordered);
}

bool
vssfdw_reads_alone(PlannerInfo *root, RelOptInfo *baserel, List **tlist)
{
	AppendRelInfo *child = root->append_rel_array != NULL ? root->append_rel_array[baserel->relid] : NULL;
	int only;

	*tlist = root->processed_tlist;
	if (!bms_get_singleton_member(root->all_baserels, &only))
		return false;
	if (child == NULL)
		return baserel->relid == only;
	if (child->parent_relid != only)
		return false;
	*tlist = (List *) adjust_appendrel_attrs(root, (Node *) *tlist, 1, &child);
	return true;
}

/*
 * Whether, given that target list, nobody looks at the vector column itself:
 * the query consists of this relation and computes its distance alone.
 */
static bool
vector_unused(PlannerInfo *root, RelOptInfo *baserel, List *local_exprs, Expr *distance, AttrNumber attnum,
			  bool ordered)
{
	UseContext context = {.baserel = baserel, .attnum = attnum, .distance = distance};
	List *tlist;
	bool computed = false;
	ListCell *cell;

	/* in joins the distance is computed from the vector, above the join */
	if (root->parse->hasTargetSRFs || !vssfdw_reads_alone(root, baserel, &tlist))
		return false;
	if (uses_column((Node *) local_exprs, &context))
		return false;
	/* where something comes between scan and result, the distance may be computed there, from the vector */
	if (computed_above(root->parse, ordered))
		context.distance = NULL;
	if (uses_column((Node *) tlist, &context))
		return false;
	foreach (cell, tlist)
		computed |= has_distance((Node *) lfirst_node(TargetEntry, cell)->expr, distance);
	return computed || !ordered;
}

static bool
collect_vars(List **vars, RelOptInfo *baserel, Node *node)
{
	ListCell *cell;
	List *found =
		pull_var_clause(node, PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_RECURSE_PLACEHOLDERS);

	foreach (cell, found)
	{
		Var *var = lfirst(cell);

		if (!IsA(var, Var) || var->varno != baserel->relid)
			continue;
		if (var->varattno <= 0)
			return false;
		*vars = list_append_unique(*vars, var);
	}
	return true;
}

/*
 * The target list of rows that carry the distance beside what the plan needs,
 * or NIL where PostgreSQL must compute it again (row marks, system columns).
 */
static List *
distance_tlist(PlannerInfo *root, RelOptInfo *baserel, List *tlist, List *local_exprs, Expr *distance)
{
	List *vars = NIL;
	List *result;

	/* a distance from another relation's column has a parameter for that when it runs, but not in this list */
	if (!bms_is_subset(pull_varnos(root, (Node *) distance), baserel->relids))
		return NIL;
	/* EvalPlanQual's rows have the layout of the table */
	if (root->parse->commandType != CMD_SELECT || root->rowMarks != NIL)
		return NIL;
	if (!collect_vars(&vars, baserel, (Node *) tlist) ||
		!collect_vars(&vars, baserel, (Node *) baserel->reltarget->exprs) ||
		!collect_vars(&vars, baserel, (Node *) local_exprs))
		return NIL;
	result = add_to_flat_tlist(NIL, vars);
	return lappend(result, makeTargetEntry(copyObject(distance), list_length(result) + 1, NULL, false));
}

/* ---------- statements and columns ---------- */

/* Where in scan_tlist each column is (its attribute number without such a list). */
static List *
column_places(RelOptInfo *baserel, List *columns, List *scan_tlist)
{
	List *result = NIL;
	ListCell *cell;

	if (scan_tlist == NIL)
		return columns;
	foreach (cell, columns)
	{
		ListCell *target;
		int place = 0;

		foreach (target, scan_tlist)
		{
			TargetEntry *entry = lfirst_node(TargetEntry, target);

			if (IsA(entry->expr, Var) && ((Var *) entry->expr)->varno == baserel->relid &&
				((Var *) entry->expr)->varattno == lfirst_int(cell))
				place = entry->resno;
		}
		result = lappend_int(result, place);
	}
	return result;
}

/* A column that is in no place of the scan's rows need not be fetched. */
static List *
drop_unplaced(List *columns, List *scan_tlist, RelOptInfo *baserel)
{
	List *places = column_places(baserel, columns, scan_tlist);
	List *result = NIL;
	ListCell *column;
	ListCell *place;

	forboth(column, columns, place, places)
	{
		if (lfirst_int(place) != 0)
			result = lappend_int(result, lfirst_int(column));
	}
	return result;
}

static char *
deparse_knn(VssDeparse *context, VssKnnSql which, const VssIndexInfo *index, List *columns, List *conds,
			bool bounded)
{
	resetStringInfo(context->buf);
	vssfdw_deparse_knn(context, which, index, columns, conds, bounded);
	return pstrdup(context->buf->data);
}

static char *
deparse_probe(VssDeparse *context, List *conds)
{
	resetStringInfo(context->buf);
	appendStringInfoString(context->buf, "SELECT count(*) FROM (");
	vssfdw_deparse_select(context, NIL, conds);
	appendStringInfo(context->buf, " LIMIT %d)", VSS_FEW_ROWS);
	return pstrdup(context->buf->data);
}

/*
 * How many rows of a scan ordered by distance the plan reads at most, 0 when
 * that is not certain: other sort keys make an incremental sort read ahead, set
 * returning functions and row locks drop rows.
 */
static double
certain_bound(PlannerInfo *root)
{
	Query *parse = root->parse;
	Const *count = (Const *) parse->limitCount;
	Const *offset = (Const *) parse->limitOffset;
	double bound;

	if (count == NULL || !IsA(count, Const) || count->constisnull || parse->limitOption != LIMIT_OPTION_COUNT)
		return 0;
	if (offset != NULL && !IsA(offset, Const))
		return 0;
	if (list_length(root->query_pathkeys) != 1 || parse->hasTargetSRFs || root->rowMarks != NIL)
		return 0;
	bound = DatumGetInt64(count->constvalue);
	if (offset != NULL && !offset->constisnull)
		bound += DatumGetInt64(offset->constvalue);
	return bound;
}

/* As an Integer, which a scan reads faster than a Float; beyond: what stands for larger ones. */
static Integer *
rows_node(double rows, int beyond)
{
	return makeInteger(rows <= PG_INT32_MAX ? (int) rint(rows) : beyond);
}

/* The statements, into fdw_private's KNN part. */
static List *
knn_private(VssKnnPlan *plan, const VssIndexInfo *index, char *unplaced_sql, char *prefilter_sql,
			char *probe_sql)
{
	PlannerInfo *root = plan->root;
	List *path = plan->path->fdw_private;
	Expr *distance = list_nth(path, VSS_KNN_PATH_DISTANCE);
	TargetEntry *entry = distance != NULL ? tlist_member(distance, plan->scan_tlist) : NULL;
	double limit = 0;
	double most = 0;

	if (plan->local_exprs == NIL && bms_equal(root->all_baserels, plan->baserel->relids) &&
		root->limit_tuples > 0)
	{
		limit = root->limit_tuples;
		most = certain_bound(root);
	}
	{
		Node *const items[] = {
			[VSS_KNN_INDEX] = (Node *) makeString(index->name),
			[VSS_KNN_METRIC] = (Node *) makeInteger(index->metric),
			[VSS_KNN_DIM] = (Node *) makeInteger(index->dim),
			[VSS_KNN_EF] = (Node *) makeInteger(index->ef_search),
			[VSS_KNN_MARGIN] = (Node *) makeInteger((int) rint(1000 * index->margin)),
			[VSS_KNN_LIMIT] = (Node *) rows_node(limit, PG_INT32_MAX),
			[VSS_KNN_BOUND] = (Node *) rows_node(most, 0),
			[VSS_KNN_PRICE] =
				(Node *) rows_node(vssfdw_prefilter_price(plan->root, plan->baserel), PG_INT32_MAX),
			[VSS_KNN_DISTANCE_SLOT] = (Node *) makeInteger(entry != NULL ? entry->resno : 0),
			[VSS_KNN_PREDICATE] = (Node *) makeBoolean(list_nth(path, VSS_KNN_PATH_K) != NULL),
			[VSS_KNN_ORDER] = list_nth(path, VSS_KNN_PATH_ORDER),
			[VSS_KNN_STEPS] = list_nth(path, VSS_KNN_PATH_STEPS),
			[VSS_KNN_FALLS] = list_nth(path, VSS_KNN_PATH_FALLS),
			[VSS_KNN_ORDERED] = (Node *) makeBoolean(plan->path->path.pathkeys != NIL),
			[VSS_KNN_USE_PREFILTER] = (Node *) makeBoolean(boolVal(list_nth(path, VSS_KNN_PATH_PREFILTER))),
			[VSS_KNN_DECLARED] = (Node *) makeBoolean(index->declared),
			[VSS_KNN_WIDENED] = (Node *) makeBoolean(vssfdw_is_pgvector_distance(distance)),
			[VSS_KNN_PREFILTER_SQL] = (Node *) makeString(prefilter_sql),
			[VSS_KNN_PROBE_SQL] = (Node *) makeString(probe_sql),
			[VSS_KNN_UNPLACED_SQL] = (Node *) makeString(unplaced_sql),
		};

		return VSS_ITEMS(items, VSS_KNN_ITEMS);
	}
}

static const VssIndexInfo *
find_index(const VssRel *rel, const char *name)
{
	ListCell *cell;

	foreach (cell, rel->info->indexes)
	{
		if (strcmp(((VssIndexInfo *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	}
	elog(ERROR, "hnsw index \"%s\" disappeared while planning", name);
}

static Expr *
or_null(Expr *expr, Oid type)
{
	return expr != NULL ? expr : (Expr *) makeNullConst(type, -1, InvalidOid);
}

List *
vssfdw_plan_knn(VssKnnPlan *plan)
{
	RelOptInfo *baserel = plan->baserel;
	List *path = plan->path->fdw_private;
	const VssIndexInfo *index = find_index(VSS_REL(baserel), strVal(list_nth(path, VSS_KNN_PATH_INDEX)));
	Expr *distance = list_nth(path, VSS_KNN_PATH_DISTANCE);
	Expr *k = list_nth(path, VSS_KNN_PATH_K);
	Expr *bound = list_nth(path, VSS_KNN_PATH_BOUND);
	List *columns = plan->columns;
	List *conds = plan->remote_exprs;
	StringInfoData buf;
	VssDeparse context = {.root = plan->root, .rel = baserel, .buf = &buf, .first_param = VSS_PARAM_FIRST};
	char *sql;
	char *prefilter_sql = "";
	char *unplaced_sql = "";
	char *probe_sql = "";
	List *knn;

	if (distance != NULL && (!vssfdw_is_pgvector_distance(distance) ||
							 vssfdw_only_sorted_by(plan->root, baserel, plan->local_exprs, distance)))
		plan->scan_tlist = distance_tlist(plan->root, baserel, plan->tlist, plan->local_exprs, distance);
	if (plan->scan_tlist != NIL)
	{
		AttrNumber vector = intVal(list_nth(path, VSS_KNN_PATH_COLUMN));
		bool ordered = plan->path->path.pathkeys != NIL;

		columns = drop_unplaced(columns, plan->scan_tlist, baserel);
		if (vector_unused(plan->root, baserel, plan->local_exprs, distance, vector, ordered))
			columns = list_delete_int(columns, vector);
	}

	initStringInfo(&buf);
	sql = deparse_knn(&context, k != NULL ? VSS_KNN_NEAREST : VSS_KNN_STREAM, index, columns, conds,
					  bound != NULL);
	if (k == NULL)
	{
		if (conds != NIL)
			prefilter_sql = deparse_knn(&context, VSS_KNN_PREFILTER, index, columns, conds, bound != NULL);
		unplaced_sql = deparse_knn(&context, VSS_KNN_UNPLACED, index, columns, conds, bound != NULL);
	}
	if (prefilter_sql[0] != '\0' && VSS_REL(baserel)->guessed && vssfdw_walk(plan->root, baserel, NIL).keyed)
		probe_sql = deparse_probe(&context, conds);
	knn = knn_private(plan, index, unplaced_sql, prefilter_sql, probe_sql);

	plan->exprs =
		list_concat(list_make5(list_nth(path, VSS_KNN_PATH_QUERY), or_null(k, INT8OID),
							   or_null(list_nth(path, VSS_KNN_PATH_EF), INT4OID), or_null(bound, VOIDOID),
							   or_null(list_nth(path, VSS_KNN_PATH_CUT), VOIDOID)),
					context.params);
	return vssfdw_base_items(sql, column_places(baserel, columns, plan->scan_tlist), knn, "");
}
