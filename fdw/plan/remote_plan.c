/*
 * remote_plan.c
 *		Plans of joins that SQLite does, and of what it does after them.
 *
 * Such a scan has no table of its own: its rows have the layout of
 * fdw_scan_tlist, and each of the statement's columns is one entry of that.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"

#include "fdw/plan/plan.h"

/* The columns that the table or join must give: for what is above it and for its local conditions. */
static List *
join_tlist(RelOptInfo *rel, PathTarget *target)
{
	int flags = PVC_RECURSE_PLACEHOLDERS;
	List *tlist = add_to_flat_tlist(NIL, pull_var_clause((Node *) target->exprs, flags));
	List *conds = extract_actual_clauses(VSS_REL(rel)->local_conds, false);

	return add_to_flat_tlist(tlist, pull_var_clause((Node *) conds, flags));
}

static void
put_target(VssDeparse *context, Expr *expr)
{
	if (IsA(expr, Var))
		vssfdw_deparse_column(context, (Var *) expr);
	else
		vssfdw_deparse_result(context, expr);
}

static bool
is_whole_row(Expr *expr)
{
	return IsA(expr, Var) && ((Var *) expr)->varattno == 0;
}

/* GROUP BY the entries that have a group reference, HAVING the conditions that go down. */
static void
put_grouping(VssDeparse *context, const VssRel *grouped)
{
	const char *separator = " GROUP BY ";
	ListCell *cell;

	foreach (cell, grouped->grouped_tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (entry->ressortgroupref == 0)
			continue;
		appendStringInfoString(context->buf, separator);
		vssfdw_deparse_expr(context, entry->expr);
		separator = ", ";
	}
	vssfdw_deparse_conds(context, "HAVING", grouped->remote_conds);
}

/* Conditions come as RestrictInfo of joins, bare of groups. */
static List *
bare_clauses(List *conds)
{
	List *result = NIL;
	ListCell *cell;

	foreach (cell, conds)
	{
		Node *cond = lfirst(cell);

		if (!IsA(cond, RestrictInfo))
			result = lappend(result, cond);
		else if (!((RestrictInfo *) cond)->pseudoconstant)
			result = lappend(result, ((RestrictInfo *) cond)->clause);
	}
	return result;
}

List *
vssfdw_item_list(Node *const *items, int count)
{
	List *result = NIL;

	for (int i = 0; i < count; i++)
		result = lappend(result, items[i]);
	return result;
}

List *
vssfdw_base_items(char *sql, List *columns, List *knn, char *unused)
{
	Node *const items[] = {
		[VSS_SCAN_SQL] = (Node *) makeString(sql),
		[VSS_SCAN_COLUMNS] = (Node *) columns,
		[VSS_SCAN_KNN] = (Node *) knn,
		[VSS_SCAN_UNUSED] = (Node *) makeString(unused),
		[VSS_SCAN_LABEL] = (Node *) makeString(""),
		[VSS_SCAN_RECHECK] = (Node *) makeBoolean(false),
	};

	return VSS_ITEMS(items, VSS_SCAN_ITEMS);
}

ForeignScan *
vssfdw_plan_remote(PlannerInfo *root, RelOptInfo *rel, ForeignPath *path, List *tlist, Plan *outer_plan)
{
	VssRel *last = VSS_REL(rel);
	RelOptInfo *core = last->core != NULL ? last->core : rel;
	VssRel *state = VSS_REL(core);
	bool grouped = state->input != NULL;
	StringInfoData buf;
	VssDeparse context = {.root = root, .rel = core, .buf = &buf, .first_param = 1};
	List *scan_tlist = grouped ? state->grouped_tlist : join_tlist(core, path->path.pathtarget);
	List *places = NIL;
	List *rows = NIL;
	List *counts;
	Node *items[VSS_SCAN_ITEMS] = {NULL};
	ListCell *cell;

	initStringInfo(&buf);
	appendStringInfoString(&buf, state->distinct ? "SELECT DISTINCT " : "SELECT ");
	foreach (cell, scan_tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (is_whole_row(entry->expr))
			continue;
		if (places != NIL)
			appendStringInfoString(&buf, ", ");
		if (state->distinct)
			vssfdw_deparse_result(&context, entry->expr);
		else
			put_target(&context, entry->expr);
		places = lappend_int(places, entry->resno);
	}
	if (places == NIL)
		appendStringInfoString(&buf, "NULL");
	foreach (cell, scan_tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (is_whole_row(entry->expr))
			rows = lappend(rows, vssfdw_deparse_whole_row(&context, (Var *) entry->expr, entry->resno));
	}
	vssfdw_deparse_rows(&context, grouped ? state->input : core);
	if (grouped && !state->distinct)
		put_grouping(&context, state);
	vssfdw_deparse_order(&context, path->path.pathkeys);
	counts = vssfdw_deparse_limit(&context, last);

	items[VSS_SCAN_SQL] = (Node *) makeString(buf.data);
	items[VSS_SCAN_COLUMNS] = (Node *) places;
	items[VSS_SCAN_UNUSED] = (Node *) makeString("");
	items[VSS_SCAN_LABEL] = (Node *) makeString(vssfdw_relation_label(root, rel));
	items[VSS_SCAN_LIMIT] = (Node *) counts;
	items[VSS_SCAN_ROWS] = (Node *) rows;
	items[VSS_SCAN_RECHECK] = (Node *) makeBoolean(false);
	if (outer_plan != NULL)
	{
		/* its rows take the place of ours */
		vssfdw_mark_recheck(outer_plan);
		outer_plan = change_plan_targetlist(outer_plan, scan_tlist, path->path.parallel_safe);
	}
	return make_foreignscan(tlist, bare_clauses(state->local_conds), 0, context.params,
							VSS_ITEMS(items, VSS_SCAN_ITEMS), scan_tlist, NIL, outer_plan);
}
