/*
 * upsert_plan.c
 *		INSERT ... ON CONFLICT: what PostgreSQL is told of it, and the statements.
 *
 * PostgreSQL looks for a unique index that matches the columns after ON CONFLICT,
 * and a foreign table has none.  A planner hook takes these columns out of the
 * query, for tables of ours only, and hands them on in a place that the planner
 * leaves alone: entries of the list of EXCLUDED's columns (exclRelTlist).  Whether
 * they are a key is asked of SQLite, which has the index.
 *
 * The hook is there once the library is loaded.  Only session_preload_libraries
 * or the like makes sure of that for a session's first command.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "foreign/foreign.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/modify/modify.h"

/* ---------- the planner hook ---------- */

/* Names the entries of exclRelTlist that are the columns after ON CONFLICT. */
#define TARGET_ENTRY "vss_fdw conflict target"

static planner_hook_type next_planner;

static bool
is_our_table(const RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_FOREIGN_TABLE &&
		   vssfdw_is_our_wrapper(GetForeignServer(GetForeignTable(rte->relid)->serverid)->fdwid);
}

pg_noreturn static void
refuse_target(const RangeTblEntry *rte, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("ON CONFLICT of foreign table \"%s\" cannot name %s", get_rel_name(rte->relid), what),
			 errhint("Name the columns of the primary key or of a unique index: ON CONFLICT (column, "
					 "...).")));
}

/* The columns of ON CONFLICT (a, b) from where PostgreSQL looks for an index to where vssfdw_plan_upsert finds them. */
static void
take_target(Query *parse)
{
	OnConflictExpr *conflict = parse->onConflict;
	const RangeTblEntry *rte = rt_fetch(parse->resultRelation, parse->rtable);
	ListCell *lc;

	if (!is_our_table(rte))
		return;
	if (OidIsValid(conflict->constraint))
		refuse_target(rte, "a constraint");
	if (conflict->arbiterWhere != NULL)
		refuse_target(rte, "a condition of the index");
	foreach (lc, conflict->arbiterElems)
	{
		const InferenceElem *element = lfirst_node(InferenceElem, lc);
		const Var *column = (const Var *) element->expr;
		Var *kept;

		if (!IsA(column, Var) || column->varattno <= 0)
			refuse_target(rte, "an expression");
		if (OidIsValid(element->infercollid) || OidIsValid(element->inferopclass))
			refuse_target(rte, "a collation or an operator class");
		kept = copyObject(unconstify(Var *, column));
		/* what DO UPDATE has of the relation itself is not to be taken for an entry of this list */
		if (conflict->exclRelIndex > 0)
			kept->varno = conflict->exclRelIndex;
		conflict->exclRelTlist = lappend(
			conflict->exclRelTlist,
			makeTargetEntry((Expr *) kept, list_length(conflict->exclRelTlist) + 1, TARGET_ENTRY, true));
	}
	conflict->arbiterElems = NIL;
}

static void
take_targets(Query *parse)
{
	ListCell *lc;

	if (parse->commandType == CMD_INSERT && parse->onConflict != NULL)
		take_target(parse);
	/* where else a command that writes may stand */
	foreach (lc, parse->cteList)
	{
		Node *query = lfirst_node(CommonTableExpr, lc)->ctequery;

		if (IsA(query, Query))
			take_targets((Query *) query);
	}
}

static PlannedStmt *
plan_query(VSS_PLANNER_PARAMETERS)
{
	take_targets(parse);
	return next_planner != NULL ? next_planner(VSS_PLANNER_ARGUMENTS)
								: standard_planner(VSS_PLANNER_ARGUMENTS);
}

void
vssfdw_install_planner(void)
{
	next_planner = planner_hook;
	planner_hook = plan_query;
}

/* ---------- the statements ---------- */

/* The columns after ON CONFLICT, as an IntList. */
static List *
target_attributes(const ModifyTable *plan)
{
	List *attributes = NIL;
	ListCell *lc;

	foreach (lc, plan->exclRelTlist)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, lc);

		if (entry->resname != NULL && strcmp(entry->resname, TARGET_ENTRY) == 0)
			attributes = list_append_unique_int(attributes, ((const Var *) entry->expr)->varattno);
	}
	return attributes;
}

char *
vssfdw_conflict_clause(const ModifyTable *plan, Relation rel, const VssTableInfo *info)
{
	List *target = target_attributes(plan);
	StringInfoData clause;

	if (plan->onConflictAction == ONCONFLICT_NONE)
		return "";
	if (info->is_virtual || info->is_view)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("%s \"%s\" does not support ON CONFLICT",
							   info->is_view ? "view" : "virtual table", info->name),
						errdetail("SQLite has no unique indexes on it.")));
	initStringInfo(&clause);
	appendStringInfoString(&clause, " ON CONFLICT ");
	if (target != NIL)
	{
		appendStringInfoChar(&clause, '(');
		vssfdw_append_columns(&clause, rel, target, "");
		appendStringInfoString(&clause, ") ");
	}
	appendStringInfoString(&clause, "DO NOTHING");
	return clause.data;
}

bool
vssfdw_writes_several(const ModifyTable *plan)
{
	const Plan *rows = outerPlan(plan);

	return !IsA(rows, Result) || outerPlan(rows) != NULL;
}

static bool
contains_subquery(Node *node, void *unused)
{
	if (node == NULL)
		return false;
	/* what is computed once for the command is a parameter by now */
	if (IsA(node, SubPlan) || IsA(node, AlternativeSubPlan) ||
		(IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC))
		return true;
	return expression_tree_walker(node, contains_subquery, unused);
}

/*
 * Row triggers fire by what becomes of each row, which PostgreSQL does not
 * learn; and a subquery would see the rows that the command has written before.
 */
static void
refuse_unsupported(const ModifyTable *plan, Relation rel)
{
	const TriggerDesc *triggers = rel->trigdesc;
	const char *what = NULL;

	if (triggers != NULL && (triggers->trig_insert_after_row || triggers->trig_update_before_row ||
							 triggers->trig_update_after_row))
		what = "AFTER INSERT or UPDATE triggers for each row";
	else if (vssfdw_writes_several(plan) && (contains_subquery((Node *) plan->onConflictSet, NULL) ||
											 contains_subquery(plan->onConflictWhere, NULL)))
		what = "subqueries in its SET or WHERE clause for several rows";
	if (what != NULL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("ON CONFLICT DO UPDATE of foreign table \"%s\" does not support %s",
							   RelationGetRelationName(rel), what)));
}

/* A column that the INSERT leaves to SQLite's default has a value that PostgreSQL does not know. */
static void
refuse_unknown_values(const ModifyTable *plan, Relation rel, const VssTableInfo *info, List *written)
{
	Bitmapset *used = NULL;
	int member = -1;

	pull_varattnos((Node *) plan->onConflictSet, plan->exclRelRTI, &used);
	pull_varattnos(plan->onConflictWhere, plan->exclRelRTI, &used);
	while ((member = bms_next_member(used, member)) >= 0)
	{
		AttrNumber attno = member + FirstLowInvalidHeapAttributeNumber;
		const VssColumnInfo *stored;
		VssColumn column;

		if (attno <= 0 || list_member_int(written, attno))
			continue;
		vssfdw_column_init(&column, rel, attno);
		stored = vssfdw_find_column(info, column.name);
		if (stored != NULL && (stored->has_default || stored->generated))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("EXCLUDED.%s is not known: SQLite computes the value of column \"%s\"",
							quote_identifier(get_attname(RelationGetRelid(rel), attno, false)), column.name),
					 errhint("Give the column a value in the INSERT.")));
	}
}

/* The columns of the row in conflict that SET and WHERE read, and those that computed ones are made of. */
static List *
existing_attributes(const ModifyTable *plan, Relation rel, Index relid)
{
	const TupleConstr *constraints = RelationGetDescr(rel)->constr;
	bool all = constraints != NULL && constraints->has_generated_stored;
	Bitmapset *used = NULL;
	List *attributes = NIL;

	pull_varattnos((Node *) plan->onConflictSet, relid, &used);
	pull_varattnos(plan->onConflictWhere, relid, &used);
	all |= bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
	for (AttrNumber a = 1; a <= RelationGetNumberOfAttributes(rel); a++)
	{
		if (!vssfdw_is_absent(TupleDescAttr(RelationGetDescr(rel), a - 1)) &&
			(all || bms_is_member(a - FirstLowInvalidHeapAttributeNumber, used)))
			attributes = lappend_int(attributes, a);
	}
	return attributes;
}

/* The columns that SET names, offset as system columns demand, and the computed ones of an UPDATE. */
static Bitmapset *
set_columns(const ModifyTable *plan, Relation rel)
{
	Bitmapset *named = NULL;
	ListCell *lc;

	foreach (lc, plan->onConflictCols)
		named = bms_add_member(named, lfirst_int(lc) - FirstLowInvalidHeapAttributeNumber);
	for (AttrNumber a = 1; a <= RelationGetNumberOfAttributes(rel); a++)
	{
		if (TupleDescAttr(RelationGetDescr(rel), a - 1)->attgenerated == ATTRIBUTE_GENERATED_STORED)
			named = bms_add_member(named, a - FirstLowInvalidHeapAttributeNumber);
	}
	return named;
}

/* The address of the row that has the values of the target, then what is read of it. */
static char *
lookup_sql(Relation rel, const VssTableInfo *info, List *target, List *existing)
{
	StringInfoData sql;
	ListCell *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	vssfdw_append_address(&sql, rel, info);
	if (existing != NIL)
		appendStringInfoString(&sql, ", ");
	vssfdw_append_columns(&sql, rel, existing, "");
	appendStringInfo(&sql, " FROM main.%s WHERE ", vssfdw_quote_identifier(info->name));
	foreach (lc, target)
	{
		VssColumn column;

		vssfdw_column_init(&column, rel, lfirst_int(lc));
		appendStringInfo(&sql, "%s%s = ?", foreach_current_index(lc) > 0 ? " AND " : "",
						 vssfdw_quote_identifier(column.name));
	}
	return sql.data;
}

List *
vssfdw_plan_upsert(const ModifyTable *plan, Relation rel, Index relid, const VssTableInfo *info,
				   List *written, List *returning, List *check_options)
{
	List *target = target_attributes(plan);
	List *existing = existing_attributes(plan, rel, relid);
	bool several = vssfdw_writes_several(plan);
	List *update;
	Node *items[VSS_UPSERT_ITEMS];

	if (VSS_CONFLICT_SELECTS(plan->onConflictAction))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("ON CONFLICT DO SELECT is not supported on foreign table \"%s\"",
							   RelationGetRelationName(rel))));
	if (plan->onConflictAction != ONCONFLICT_UPDATE)
		return NIL;
	refuse_unsupported(plan, rel);
	refuse_unknown_values(plan, rel, info, written);
	update = vssfdw_plan_modify(rel, relid, CMD_UPDATE, set_columns(plan, rel), returning, check_options, "",
								several);
	items[VSS_UPSERT_LOOKUP] = (Node *) makeString(lookup_sql(rel, info, target, existing));
	items[VSS_UPSERT_TARGET] = (Node *) target;
	items[VSS_UPSERT_EXISTING] = (Node *) existing;
	items[VSS_UPSERT_SEVERAL] = (Node *) makeBoolean(several);
	items[VSS_UPSERT_MODIFY] = (Node *) update;
	return VSS_ITEMS(items, VSS_UPSERT_ITEMS);
}
