/*
 * modify_plan.c
 *		INSERT, UPDATE and DELETE, row by row: how a row is addressed, and the
 *		statements that write one.
 *
 * A row is addressed by its rowid, carried as the ctid (rowid.c), or in
 * WITHOUT ROWID tables by the primary key.
 */
#include "fdw/modify.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/inherit.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"
#include "miscadmin.h"

/* ---------- the address of a row ---------- */

List *
vssfdw_key_attributes(Relation rel, const VssTableInfo *info)
{
	List *attributes = NIL;
	ListCell *lc;

	if (info->primary_key == NIL)
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("rows of foreign table \"%s\" have neither a rowid nor a primary key to address them by",
					RelationGetRelationName(rel))));
	foreach (lc, info->primary_key)
	{
		const char *name = lfirst(lc);
		AttrNumber found = InvalidAttrNumber;

		for (AttrNumber a = 1; a <= RelationGetNumberOfAttributes(rel) && found == InvalidAttrNumber; a++)
		{
			VssColumn column;

			if (TupleDescAttr(RelationGetDescr(rel), a - 1)->attisdropped)
				continue;
			vssfdw_column_init(&column, rel, a);
			if (pg_strcasecmp(column.name, name) == 0)
				found = a;
		}
		if (found == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_ERROR),
					 errmsg("foreign table \"%s\" lacks column \"%s\" of the SQLite table's primary key",
							RelationGetRelationName(rel), name),
					 errhint("Rows of a WITHOUT ROWID table are addressed by it; add the column.")));
		attributes = lappend_int(attributes, found);
	}
	return attributes;
}

bool
vssfdw_addressed_by_key(const VssTableInfo *info)
{
	return !info->has_rowid && !info->is_view;
}

/* One name for each distinct kind of Var, as row identities of different partitions must agree. */
char *
vssfdw_key_name(Relation rel, AttrNumber attno)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), attno - 1);

	return psprintf("vss_key_%d_%u_%d_%u", attno, attribute->atttypid, attribute->atttypmod,
					attribute->attcollation);
}

const VssTableInfo *
vssfdw_written_table(Relation rel, VssConnection **conn)
{
	*conn = vssfdw_connect(GetForeignTable(RelationGetRelid(rel))->serverid);
	return vssfdw_table_info(*conn, vssfdw_table_options(RelationGetRelid(rel))->table);
}

void
vssAddForeignUpdateTargets(PlannerInfo *root, Index rtindex, RangeTblEntry *target_rte,
						   Relation target_relation)
{
	VssConnection *conn;
	const VssTableInfo *info = vssfdw_written_table(target_relation, &conn);
	ListCell *lc;

	if (!vssfdw_addressed_by_key(info))
	{
		Var *var = makeVar(rtindex, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0);

		add_row_identity_var(root, var, rtindex, "ctid");
		return;
	}
	foreach (lc, vssfdw_key_attributes(target_relation, info))
	{
		AttrNumber attno = lfirst_int(lc);
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(target_relation), attno - 1);
		Var *var =
			makeVar(rtindex, attno, attribute->atttypid, attribute->atttypmod, attribute->attcollation, 0);

		add_row_identity_var(root, var, rtindex, vssfdw_key_name(target_relation, attno));
	}
}

int
vssIsForeignRelUpdatable(Relation rel)
{
	VssServerOptions *server =
		vssfdw_server_options(GetForeignServer(GetForeignTable(RelationGetRelid(rel))->serverid));
	const VssTableOptions *table = vssfdw_table_options(RelationGetRelid(rel));

	if (server->read_only || !table->updatable)
		return 0;
	return (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE);
}

/* ---------- planning ---------- */

bool
vssfdw_is_generated(const VssTableInfo *info, const char *name)
{
	ListCell *lc;

	foreach (lc, info->columns)
	{
		const VssColumnInfo *column = lfirst(lc);

		if (pg_strcasecmp(column->name, name) == 0)
			return column->generated;
	}
	return false;
}

/*
 * The columns that get a value, in order of attribute number.  named: those
 * that the command names, offset as system columns demand; NULL for all.  A
 * column that SQLite computes takes none, and naming it is an error.
 */
static List *
target_attributes(Relation rel, const VssTableInfo *info, Bitmapset *named)
{
	List *targets = NIL;

	for (AttrNumber a = 1; a <= RelationGetNumberOfAttributes(rel); a++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), a - 1);
		VssColumn column;

		if (attribute->attisdropped || attribute->attgenerated)
			continue;
		if (named != NULL && !bms_is_member(a - FirstLowInvalidHeapAttributeNumber, named))
			continue;
		vssfdw_column_init(&column, rel, a);
		if (!vssfdw_is_generated(info, column.name))
			targets = lappend_int(targets, a);
		else if (named != NULL)
			ereport(ERROR, (errcode(ERRCODE_GENERATED_ALWAYS),
							errmsg("cannot write column \"%s\" of foreign table \"%s\"",
								   NameStr(attribute->attname), RelationGetRelationName(rel)),
							errdetail("SQLite computes its values.")));
	}
	return targets;
}

List *
vssfdw_returned_attributes(Relation rel, Index relid, CmdType operation, List *returning, List *check_options)
{
	TriggerDesc *triggers = rel->trigdesc;
	Bitmapset *used = NULL;
	bool all;
	List *attributes = NIL;

	all = triggers != NULL && ((operation == CMD_INSERT && triggers->trig_insert_after_row) ||
							   (operation == CMD_UPDATE && triggers->trig_update_after_row));
	pull_varattnos((Node *) returning, relid, &used);
	pull_varattnos((Node *) check_options, relid, &used);
	all |= bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
	if (returning == NIL && check_options == NIL && !all)
		return NIL;
	for (AttrNumber a = 1; a <= RelationGetNumberOfAttributes(rel); a++)
	{
		if (!TupleDescAttr(RelationGetDescr(rel), a - 1)->attisdropped &&
			(all || bms_is_member(a - FirstLowInvalidHeapAttributeNumber, used)))
			attributes = lappend_int(attributes, a);
	}
	return attributes;
}

static void
append_columns(StringInfo sql, Relation rel, List *attributes, const char *after_name)
{
	ListCell *lc;

	foreach (lc, attributes)
	{
		VssColumn column;

		vssfdw_column_init(&column, rel, lfirst_int(lc));
		appendStringInfo(sql, "%s%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 vssfdw_quote_identifier(column.name), after_name);
	}
}

static bool
is_nocase(const VssTableInfo *info, const char *name)
{
	ListCell *lc;

	foreach (lc, info->nocase_columns)
	{
		if (pg_strcasecmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/* " WHERE <row's address>", its parameters numbered from first. */
static void
append_address(StringInfo sql, Relation rel, const VssTableInfo *info, int first)
{
	ListCell *lc;

	if (!vssfdw_addressed_by_key(info))
	{
		if (info->rowid_name == NULL)
			ereport(
				ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("rows of foreign table \"%s\" cannot be addressed", RelationGetRelationName(rel)),
				 errhint("Its columns hide every name of the rowid; rename one of rowid, _rowid_ and oid.")));
		appendStringInfo(sql, " WHERE %s = ?", vssfdw_quote_identifier(info->rowid_name));
		return;
	}
	foreach (lc, vssfdw_key_attributes(rel, info))
	{
		int number = first + foreach_current_index(lc);
		VssColumn column;

		vssfdw_column_init(&column, rel, lfirst_int(lc));
		appendStringInfo(sql, "%s%s = ?%d", foreach_current_index(lc) == 0 ? " WHERE " : " AND ",
						 vssfdw_quote_identifier(column.name), number);
		/* the column's collation may take for equal what the key's does not */
		if (is_nocase(info, column.name))
			appendStringInfo(sql, " AND %s = ?%d COLLATE BINARY", vssfdw_quote_identifier(column.name),
							 number);
	}
}

static char *
build_sql(Relation rel, const VssTableInfo *info, CmdType operation, List *targets, List *returned,
		  bool do_nothing, int *values_end)
{
	StringInfoData sql;
	char *table = vssfdw_quote_identifier(info->name);

	initStringInfo(&sql);
	switch (operation)
	{
		case CMD_INSERT:
			appendStringInfo(&sql, "INSERT INTO main.%s", table);
			if (targets == NIL)
				appendStringInfoString(&sql, " DEFAULT VALUES");
			else
			{
				appendStringInfoChar(&sql, '(');
				append_columns(&sql, rel, targets, "");
				appendStringInfoString(&sql, ") VALUES (");
				for (int i = 0; i < list_length(targets); i++)
					appendStringInfoString(&sql, i > 0 ? ", ?" : "?");
				appendStringInfoChar(&sql, ')');
			}
			*values_end = sql.len;
			if (do_nothing)
				appendStringInfoString(&sql, " ON CONFLICT DO NOTHING");
			break;
		case CMD_UPDATE:
			appendStringInfo(&sql, "UPDATE main.%s SET ", table);
			append_columns(&sql, rel, targets, " = ?");
			append_address(&sql, rel, info, list_length(targets) + 1);
			break;
		default:
			appendStringInfo(&sql, "DELETE FROM main.%s", table);
			append_address(&sql, rel, info, list_length(targets) + 1);
			break;
	}
	if (returned != NIL)
	{
		appendStringInfoString(&sql, " RETURNING ");
		append_columns(&sql, rel, returned, "");
	}
	return sql.data;
}

List *
vssfdw_plan_modify(Relation rel, Index relid, CmdType operation, Bitmapset *named, List *returning,
				   List *check_options, bool do_nothing)
{
	VssConnection *conn;
	const VssTableInfo *info = vssfdw_written_table(rel, &conn);
	List *targets = operation == CMD_DELETE ? NIL : target_attributes(rel, info, named);
	List *returned = vssfdw_returned_attributes(rel, relid, operation, returning, check_options);
	int values_end = 0;
	char *sql;

	if (do_nothing && info->is_virtual)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("virtual table \"%s\" does not support ON CONFLICT DO NOTHING", info->name)));
	sql = build_sql(rel, info, operation, targets, returned, do_nothing, &values_end);
	return list_make4(makeString(sql), targets, returned, makeInteger(values_end));
}

/*
 * The columns that an INSERT or UPDATE names; NULL for all, where a trigger may
 * set the others.  An INSERT leaves the rest to SQLite's own defaults.
 */
static Bitmapset *
named_attributes(PlannerInfo *root, Relation rel, CmdType operation, Index result_relation)
{
	TriggerDesc *triggers = rel->trigdesc;
	Bitmapset *named;
	ListCell *lc;

	if (operation == CMD_UPDATE)
		return triggers != NULL && triggers->trig_update_before_row
				   ? NULL
				   : get_rel_all_updated_cols(root, find_base_rel(root, result_relation));
	if (operation != CMD_INSERT || root->parse->resultRelation != result_relation ||
		(triggers != NULL && triggers->trig_insert_before_row))
		return NULL;
	/* so that DEFAULT VALUES is not taken for all */
	named = bms_make_singleton(0);
	foreach (lc, root->parse->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);

		if (!entry->resjunk)
			named = bms_add_member(named, entry->resno - FirstLowInvalidHeapAttributeNumber);
	}
	return named;
}

/* ---------- finding all rows before the first is written ---------- */

/*
 * Whether a scan below the node may begin again when rows have been written.  It
 * would see them: PostgreSQL's snapshot is not SQLite's.  Scans that run once are
 * drained before a write (drain.c), so that it is nested loops and subplans that
 * matter, and nodes that nobody has thought of.
 */
static bool
scans_again(Plan *plan)
{
	ListCell *lc;

	if (plan == NULL)
		return false;
	if (contain_subplans((Node *) plan->targetlist) || contain_subplans((Node *) plan->qual))
		return true;
	switch (nodeTag(plan))
	{
		case T_Sort:
			return false; /* it reads all before it gives the first */
		case T_ForeignScan:
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_FunctionScan:
		case T_ValuesScan:
			return false;
		case T_SubqueryScan:
			return scans_again(((SubqueryScan *) plan)->subplan);
		case T_Append:
			foreach (lc, ((Append *) plan)->appendplans)
			{
				if (scans_again(lfirst(lc)))
					return true;
			}
			return false;
		case T_HashJoin:
		case T_MergeJoin:
			if (contain_subplans((Node *) ((Join *) plan)->joinqual))
				return true;
			/* FALLTHROUGH */
		case T_Result:
		case T_Hash:
		case T_Material:
		case T_Agg:
		case T_Group:
		case T_Unique:
		case T_WindowAgg:
		case T_Limit:
		case T_IncrementalSort:
			return scans_again(outerPlan(plan)) || scans_again(innerPlan(plan));
		default:
			return true;
	}
}

/* Whether rows to insert come in an order that the user asked for. */
static bool
is_ordered_insert(const Query *parse)
{
	ListCell *lc;

	foreach (lc, parse->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		/* one that was pulled up is gone */
		if (rte->rtekind == RTE_SUBQUERY && rte->subquery != NULL && rte->subquery->sortClause != NIL)
			return true;
	}
	return false;
}

/* Whether SQLite changes the rows of a partition by itself below the node: ModifyTable must see these one by one. */
static bool
changes_directly(const Plan *plan)
{
	ListCell *lc;

	if (plan == NULL)
		return false;
	if (IsA(plan, ForeignScan))
		return ((const ForeignScan *) plan)->operation != CMD_SELECT;
	if (IsA(plan, Result))
		return changes_directly(outerPlan(plan));
	if (!IsA(plan, Append))
		return false;
	foreach (lc, ((const Append *) plan)->appendplans)
	{
		if (changes_directly(lfirst(lc)))
			return true;
	}
	return false;
}

/* The column to sort rows by: the address of those that are changed; of new ones any that can be sorted. */
static TargetEntry *
sort_column(Relation rel, const VssTableInfo *info, CmdType operation, List *tlist)
{
	char *name = NULL;
	ListCell *lc;

	if (operation != CMD_INSERT)
		name = vssfdw_addressed_by_key(info)
				   ? vssfdw_key_name(rel, linitial_int(vssfdw_key_attributes(rel, info)))
				   : "ctid";
	foreach (lc, tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		Oid less;

		if (name != NULL && (entry->resname == NULL || strcmp(entry->resname, name) != 0))
			continue;
		get_sort_group_operators(exprType((Node *) entry->expr), false, false, false, &less, NULL, NULL,
								 NULL);
		if (OidIsValid(less))
			return entry;
	}
	return NULL;
}

/* A Sort over the plan, which holds every row back until the last one is found. */
static Plan *
hold_back(Plan *rows, const TargetEntry *column)
{
	Sort *sort = makeNode(Sort);
	Oid type = exprType((Node *) column->expr);
	Path cost;

	cost_sort(&cost, NULL, NIL,
#if PG_VERSION_NUM >= 180000
			  0,
#endif
			  rows->total_cost, rows->plan_rows, rows->plan_width, 0, work_mem, -1);
	sort->plan.startup_cost = cost.startup_cost;
	sort->plan.total_cost = cost.total_cost;
	sort->plan.plan_rows = rows->plan_rows;
	sort->plan.plan_width = rows->plan_width;
	sort->plan.targetlist = rows->targetlist;
	sort->plan.lefttree = rows;
	sort->numCols = 1;
	sort->sortColIdx = palloc(sizeof(AttrNumber));
	sort->sortColIdx[0] = column->resno;
	sort->sortOperators = palloc(sizeof(Oid));
	get_sort_group_operators(type, true, false, false, &sort->sortOperators[0], NULL, NULL, NULL);
	sort->collations = palloc(sizeof(Oid));
	sort->collations[0] = exprCollation((Node *) column->expr);
	sort->nullsFirst = palloc0(sizeof(bool));
	return &sort->plan;
}

/* See to it that what is written is not read by the same command. */
static void
separate_reading(PlannerInfo *root, ModifyTable *plan, Relation rel, const VssTableInfo *info)
{
	Plan *rows = outerPlan(plan);
	TargetEntry *column;

	/* one row */
	if (IsA(rows, Result) && outerPlan(rows) == NULL)
		return;
	if (IsA(rows, Sort) || changes_directly(rows) || (!scans_again(rows) && root->init_plans == NIL))
		return;
	if (plan->operation == CMD_INSERT && is_ordered_insert(root->parse))
		return;
	column = sort_column(rel, info, plan->operation, rows->targetlist);
	if (column != NULL)
		outerPlan(plan) = hold_back(rows, column);
}

List *
vssPlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan_index)
{
	RangeTblEntry *rte = planner_rt_fetch(result_relation, root);
	Relation rel = table_open(rte->relid, NoLock);
	VssConnection *conn;
	List *private;

	if (plan->onConflictAction != ONCONFLICT_NONE && plan->onConflictAction != ONCONFLICT_NOTHING)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("foreign table \"%s\" does not support ON CONFLICT DO UPDATE",
							   RelationGetRelationName(rel))));
	private = vssfdw_plan_modify(
		rel, result_relation, plan->operation, named_attributes(root, rel, plan->operation, result_relation),
		plan->returningLists != NIL ? list_nth(plan->returningLists, subplan_index) : NIL,
		plan->withCheckOptionLists != NIL ? list_nth(plan->withCheckOptionLists, subplan_index) : NIL,
		plan->onConflictAction == ONCONFLICT_NOTHING);
	separate_reading(root, plan, rel, vssfdw_written_table(rel, &conn));
	table_close(rel, NoLock);
	return private;
}
