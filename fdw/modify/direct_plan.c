/*
 * direct_plan.c
 *		Which UPDATE and DELETE are one statement of SQLite, and how it is
 *		spelled.
 *
 * SQLite must find the rows by itself: all conditions go down, and all tables
 * of the query are in one join that goes down (join_path.c).  Each new value is
 * one of the statement, which PostgreSQL computes once and binds as the
 * row-by-row path would, or one that SQLite can compute (assign.c).  RETURNING
 * is of the changed table's columns: SQLite knows no others there.
 *
 * The planner itself stays away from tables with row triggers, stored generated
 * columns or check options; refused here are views and virtual tables, whose
 * changes SQLite does not count, and updates of columns that decide about the
 * partition, which somebody must look at.
 *
 * A join is spelled in one of three ways.  UPDATE has the tables of inner joins
 * in its FROM; DELETE has semi and anti joins in its WHERE.  Where that is not
 * enough (DELETE has no FROM, an outer join cannot begin with the changed table
 * there) a subquery makes the whole join and yields the addresses of rows to
 * change:
 *
 *		DELETE FROM t WHERE rowid IN (SELECT r1.rowid FROM ...)
 *		UPDATE t AS r0 SET c = v.c1 FROM (SELECT r1.rowid AS k1, ... AS c1 FROM ...) AS v
 *			WHERE r0.rowid = v.k1
 *
 * In these spellings SQLite finds all rows before it changes the first, and
 * changes each of them once.  It would not in UPDATE ... WHERE EXISTS: SQLite
 * 3.40 runs the subquery while it updates, and finds rows changed already.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"

#include "fdw/modify/modify.h"

typedef struct DirectPlan
{
	PlannerInfo *root;
	CmdType operation;
	RelOptInfo *target;
	RelOptInfo *rows; /* the target, or the join that finds its rows */
	List *conds;      /* without a join: what SQLite tests */

	List *bound_targets; /* IntList: attributes that get the bound values */
	List *bound_values;
	List *computed_targets; /* IntList: attributes that get what SQLite computes */
	List *computed_values;
	List *returned; /* IntList, see VSS_DIRECT_RETURNED */
} DirectPlan;

/* ---------- what finds the rows ---------- */

/* The scan below the ModifyTable that gives this target's rows and nothing else; NULL without. */
static ForeignScan *
find_scan(ModifyTable *plan, Index result_relation, int subplan_index)
{
	Plan *subplan = outerPlan(plan);
	ForeignScan *scan;

	/* partitions: one child each, below a Result where their columns differ */
	if (IsA(subplan, Result) && outerPlan(subplan) != NULL && IsA(outerPlan(subplan), Append))
		subplan = outerPlan(subplan);
	if (IsA(subplan, Append))
	{
		Append *append = (Append *) subplan;

		if (subplan_index >= list_length(append->appendplans))
			return NULL;
		subplan = list_nth(append->appendplans, subplan_index);
	}
	if (!IsA(subplan, ForeignScan))
		return NULL;
	scan = (ForeignScan *) subplan;
	if (scan->scan.scanrelid != result_relation || scan->scan.plan.qual != NIL ||
		scan->fdw_scan_tlist != NIL || list_nth(scan->fdw_private, VSS_SCAN_KNN) != NIL)
		return NULL;
	return scan;
}

/* The join of all tables of the query, when it goes down whole; NULL otherwise. */
static RelOptInfo *
find_join(PlannerInfo *root, ModifyTable *plan)
{
	RelOptInfo *join;

	if (list_length(plan->resultRelations) != 1)
		return NULL;
	join = find_join_rel(root, VSS_ALL_RELS(root));
	if (join == NULL || join->fdw_private == NULL || IS_DUMMY_REL(join) || VSS_REL(join)->local_conds != NIL)
		return NULL;
	return join;
}

/* ---------- the new values ---------- */

/* Callback: whether there is a parameter that a sublink of the target list sets for each row. */
static bool
has_multiexpr(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		return ((Param *) node)->paramkind == PARAM_MULTIEXPR;
	return expression_tree_walker(node, has_multiexpr, context);
}

/* Whether a new value may take the row to another partition. */
static bool
decides_partition(Relation rel, List *targets)
{
	Bitmapset *deciding = NULL;
	ListCell *lc;

	if (!rel->rd_rel->relispartition)
		return false;
	pull_varattnos((Node *) RelationGetPartitionQual(rel), 1, &deciding);
	foreach (lc, targets)
	{
		if (bms_is_member(lfirst_int(lc) - FirstLowInvalidHeapAttributeNumber, deciding))
			return true;
	}
	return false;
}

/* Sort the new values into the plan's lists; false where one cannot be had. */
static bool
collect_values(DirectPlan *plan, Relation relation)
{
	VssRel *rel = VSS_REL(plan->target);
	List *entries = NIL;
	List *targets = NIL;
	ListCell *entry;
	ListCell *target;

	get_translated_update_targetlist(plan->root, plan->target->relid, &entries, &targets);
	if (decides_partition(relation, targets))
		return false;
	forboth(entry, entries, target, targets)
	{
		Expr *value = lfirst_node(TargetEntry, entry)->expr;
		AttrNumber attno = lfirst_int(target);

		if (attno <= 0 || TupleDescAttr(RelationGetDescr(relation), attno - 1)->attgenerated ||
			vssfdw_is_generated(rel->info, rel->columns[attno - 1].name) ||
			has_multiexpr((Node *) value, NULL))
			return false;
		if (vssfdw_is_bindable(plan->root, plan->rows, value))
		{
			plan->bound_targets = lappend_int(plan->bound_targets, attno);
			plan->bound_values = lappend(plan->bound_values, value);
		}
		else if (vssfdw_is_assignable(plan->root, plan->rows, &rel->columns[attno - 1], value))
		{
			plan->computed_targets = lappend_int(plan->computed_targets, attno);
			plan->computed_values = lappend(plan->computed_values, value);
		}
		else
			return false;
	}
	return true;
}

/* What RETURNING wants of the changed row; false where it wants the other tables'. */
static bool
collect_returned(DirectPlan *plan, Relation relation, List *returning)
{
	if (!bms_is_subset(pull_varnos(plan->root, (Node *) returning), bms_make_singleton(plan->target->relid)))
		return false;
	plan->returned =
		vssfdw_returned_attributes(relation, plan->target->relid, plan->operation, returning, NIL);
	if (plan->returned == NIL)
		plan->returned = list_make1_int(0);
	return true;
}

/* ---------- SQL ---------- */

static char *
column_name(const DirectPlan *plan, AttrNumber attno)
{
	return vssfdw_quote_identifier(VSS_REL(plan->target)->columns[attno - 1].name);
}

static char *
table_name(const DirectPlan *plan)
{
	return vssfdw_quote_identifier(VSS_REL(plan->target)->table->table);
}

/* SET; computed values are columns of subquery v, or else written here. */
static void
put_set(const DirectPlan *plan, VssDeparse *context, bool subquery)
{
	const char *word = " SET ";
	ListCell *target;
	ListCell *value;

	foreach (target, plan->bound_targets)
	{
		appendStringInfo(context->buf, "%s%s = ?%d", word, column_name(plan, lfirst_int(target)),
						 foreach_current_index(target) + 1);
		word = ", ";
	}
	forboth(target, plan->computed_targets, value, plan->computed_values)
	{
		appendStringInfo(context->buf, "%s%s = ", word, column_name(plan, lfirst_int(target)));
		if (subquery)
			appendStringInfo(context->buf, "v.c%d", foreach_current_index(target) + 1);
		else
			vssfdw_deparse_assigned(context, lfirst(value));
		word = ", ";
	}
}

/* SQLite does not know aliases here; without columns the rows are counted. */
static void
put_returning(const DirectPlan *plan, VssDeparse *context)
{
	ListCell *lc;

	foreach (lc, plan->returned)
	{
		appendStringInfoString(context->buf, foreach_current_index(lc) == 0 ? " RETURNING " : ", ");
		appendStringInfoString(context->buf,
							   lfirst_int(lc) == 0 ? "NULL" : column_name(plan, lfirst_int(lc)));
	}
}

/*
 * The sides of the join beside the changed table, where all that binds them to
 * it are conditions of WHERE; false when an outer join does.
 */
static bool
collect_sides(RelOptInfo *rel, const RelOptInfo *target, List **sides)
{
	const VssRel *state = VSS_REL(rel);

	if (rel == target)
		return true;
	if (!bms_is_member(target->relid, state->relids))
	{
		*sides = lappend(*sides, rel);
		return true;
	}
	switch (state->jointype)
	{
		case JOIN_INNER:
			return collect_sides(state->outer, target, sides) && collect_sides(state->inner, target, sides);
		case JOIN_SEMI:
		case JOIN_ANTI:
			return collect_sides(state->outer, target, sides);
		default:
			return false;
	}
}

/* The columns that address a row of the changed table; NIL when a subquery cannot yield them. */
static List *
address_columns(const DirectPlan *plan)
{
	const VssTableInfo *info = VSS_REL(plan->target)->info;
	ListCell *key;
	ListCell *lc;

	if (!vssfdw_addressed_by_key(info))
		return info->rowid_name != NULL ? list_make1(info->rowid_name) : NIL;
	/* columns may compare more loosely than the key does */
	foreach (key, info->primary_key)
	{
		foreach (lc, info->nocase_columns)
		{
			if (pg_strcasecmp(lfirst(lc), lfirst(key)) == 0)
				return NIL;
		}
	}
	return info->primary_key;
}

/* SELECT of the addresses of rows to change, and of their new values. */
static void
put_subquery(const DirectPlan *plan, VssDeparse *context, List *address)
{
	const char *separator = "SELECT ";
	ListCell *lc;

	foreach (lc, address)
	{
		appendStringInfo(context->buf, "%sr%u.%s", separator, plan->target->relid,
						 vssfdw_quote_identifier(lfirst(lc)));
		if (plan->operation == CMD_UPDATE)
			appendStringInfo(context->buf, " AS k%d", foreach_current_index(lc) + 1);
		separator = ", ";
	}
	foreach (lc, plan->computed_values)
	{
		appendStringInfoString(context->buf, separator);
		vssfdw_deparse_assigned(context, lfirst(lc));
		appendStringInfo(context->buf, " AS c%d", foreach_current_index(lc) + 1);
	}
	vssfdw_deparse_rows(context, plan->rows);
}

static void
put_by_address(const DirectPlan *plan, VssDeparse *context, List *address)
{
	const char *separator = list_length(address) > 1 ? " WHERE (" : " WHERE ";
	ListCell *lc;

	if (plan->operation == CMD_UPDATE)
	{
		appendStringInfo(context->buf, "UPDATE main.%s AS r0", table_name(plan));
		put_set(plan, context, true);
		appendStringInfoString(context->buf, " FROM (");
		put_subquery(plan, context, address);
		appendStringInfoString(context->buf, ") AS v");
		foreach (lc, address)
			appendStringInfo(context->buf, "%sr0.%s = v.k%d",
							 foreach_current_index(lc) == 0 ? " WHERE " : " AND ",
							 vssfdw_quote_identifier(lfirst(lc)), foreach_current_index(lc) + 1);
		return;
	}
	appendStringInfo(context->buf, "DELETE FROM main.%s", table_name(plan));
	foreach (lc, address)
	{
		appendStringInfo(context->buf, "%s%s", separator, vssfdw_quote_identifier(lfirst(lc)));
		separator = ", ";
	}
	appendStringInfoString(context->buf, list_length(address) > 1 ? ") IN (" : " IN (");
	put_subquery(plan, context, address);
	appendStringInfoChar(context->buf, ')');
}

/* The statement; false where there is no way to spell it. */
static bool
put_statement(const DirectPlan *plan, VssDeparse *context)
{
	List *sides = NIL;
	bool join = plan->rows != plan->target;
	bool flat = !join || collect_sides(plan->rows, plan->target, &sides);
	ListCell *lc;

	if (!flat || (join && (plan->operation == CMD_DELETE) == (sides != NIL)))
	{
		List *address = address_columns(plan);

		if (address == NIL)
			return false;
		put_by_address(plan, context, address);
		put_returning(plan, context);
		return true;
	}
	appendStringInfo(context->buf, "%s main.%s AS r%u",
					 plan->operation == CMD_UPDATE ? "UPDATE" : "DELETE FROM", table_name(plan),
					 plan->target->relid);
	put_set(plan, context, false);
	foreach (lc, sides)
	{
		appendStringInfoString(context->buf, foreach_current_index(lc) == 0 ? " FROM " : ", ");
		vssfdw_deparse_relation(context, lfirst(lc));
	}
	if (join)
		vssfdw_deparse_where(context, plan->rows);
	else
		vssfdw_deparse_conds(context, "WHERE", plan->conds);
	put_returning(plan, context);
	return true;
}

/* ---------- the plan ---------- */

/*
 * The target list without what is computed from columns.  SQLite has done that,
 * and the executor would do it again for each row that RETURNING gives, from
 * the new values.
 */
static List *
blank_computed(List *tlist)
{
	List *result = NIL;
	ListCell *lc;

	foreach (lc, tlist)
	{
		TargetEntry *entry = flatCopyTargetEntry(lfirst_node(TargetEntry, lc));
		Node *expr = (Node *) entry->expr;

		if (!IsA(expr, Var) && contain_var_clause(expr))
			entry->expr = (Expr *) makeNullConst(exprType(expr), exprTypmod(expr), exprCollation(expr));
		result = lappend(result, entry);
	}
	return result;
}

/*
 * The node of a changed join, in place of the local join below the ModifyTable.
 * It keeps that plan's target list, which ModifyTable looks for row addresses
 * in, though of its rows nothing is ever taken.
 */
static ForeignScan *
make_join_scan(PlannerInfo *root, RelOptInfo *join, Plan *replaced)
{
	List *tlist = blank_computed(replaced->targetlist);
	List *scan_tlist = add_to_flat_tlist(NIL, pull_var_clause((Node *) tlist, PVC_RECURSE_PLACEHOLDERS));
	ForeignScan *scan = make_foreignscan(tlist, NIL, 0, NIL, NIL, scan_tlist, NIL, NULL);

	scan->fs_server = join->serverid;
	scan->fs_relids = bms_copy(join->relids);
	VSS_SET_SCAN_RELS(scan, root, join);
	scan->scan.plan.startup_cost = VSS_REL(join)->startup_cost;
	scan->scan.plan.total_cost = VSS_REL(join)->total_cost;
	scan->scan.plan.plan_rows = VSS_REL(join)->rows;
	scan->scan.plan.plan_width = replaced->plan_width;
	return scan;
}

bool
vssPlanDirectModify(PlannerInfo *root, ModifyTable *modify, Index result_relation, int subplan_index)
{
	DirectPlan plan = {.root = root, .operation = modify->operation};
	StringInfoData sql;
	VssDeparse context = {.root = root, .buf = &sql};
	ForeignScan *scan;
	Relation relation;
	bool possible = true;

	if (plan.operation != CMD_UPDATE && plan.operation != CMD_DELETE)
		return false;
	plan.target = root->simple_rel_array[result_relation];
	if (plan.target == NULL || VSS_REL(plan.target) == NULL || VSS_REL(plan.target)->info->is_view ||
		VSS_REL(plan.target)->info->is_virtual)
		return false;
	scan = find_scan(modify, result_relation, subplan_index);
	plan.rows = scan != NULL ? plan.target : find_join(root, modify);
	if (plan.rows == NULL)
		return false;
	/* without a target list of its own, a scan keeps there what SQLite tests */
	if (scan != NULL)
		plan.conds = scan->fdw_recheck_quals;

	relation = table_open(planner_rt_fetch(result_relation, root)->relid, NoLock);
	if (plan.operation == CMD_UPDATE)
		possible = collect_values(&plan, relation);
	if (possible && modify->returningLists != NIL)
		possible = collect_returned(&plan, relation, list_nth(modify->returningLists, subplan_index));
	table_close(relation, NoLock);
	if (!possible)
		return false;

	initStringInfo(&sql);
	context.rel = plan.rows;
	context.first_param = list_length(plan.bound_values) + 1;
	if (!put_statement(&plan, &context))
		return false;

	if (scan == NULL)
	{
		scan = make_join_scan(root, plan.rows, outerPlan(modify));
		outerPlan(modify) = (Plan *) scan;
	}
	else
		scan->scan.plan.targetlist = blank_computed(scan->scan.plan.targetlist);
	scan->operation = plan.operation;
	scan->resultRelation = result_relation;
	scan->fdw_exprs = list_concat(plan.bound_values, context.params);
	{
		char *label = scan->scan.scanrelid == 0 ? vssfdw_relation_label(root, plan.rows) : "";
		Node *const items[] = {
			[VSS_DIRECT_SQL] = (Node *) makeString(sql.data),
			[VSS_DIRECT_TARGETS] = (Node *) plan.bound_targets,
			[VSS_DIRECT_RETURNED] = (Node *) plan.returned,
			[VSS_DIRECT_COUNTS] = (Node *) makeBoolean(modify->canSetTag),
			[VSS_DIRECT_LABEL] = (Node *) makeString(label),
		};

		scan->fdw_private = VSS_ITEMS(items, VSS_DIRECT_ITEMS);
	}
	return true;
}
