/*
 * modify_plan.c
 *		INSERT, UPDATE and DELETE, row by row: how a row is addressed, and the
 *		statements that write one.
 *
 * A row is addressed by its rowid, carried as the ctid (rowid.c), or in
 * WITHOUT ROWID tables by the primary key.
 */
#include "fdw/modify/modify.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/inherit.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "parser/parsetree.h"

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

			if (vssfdw_is_absent(TupleDescAttr(RelationGetDescr(rel), a - 1)))
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
	return vssfdw_described(*conn, vssfdw_table_options(RelationGetRelid(rel)));
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
 * column that SQLite computes takes none, and naming it is an error.  A stored
 * column that PostgreSQL computes is written with every new row, and in an
 * UPDATE among the named where one that it depends on is.
 */
static List *
target_attributes(Relation rel, const VssTableInfo *info, CmdType operation, Bitmapset *named)
{
	List *targets = NIL;

	for (AttrNumber a = 1; a <= RelationGetNumberOfAttributes(rel); a++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), a - 1);
		bool computed = attribute->attgenerated != '\0';
		VssColumn column;

		if (vssfdw_is_absent(attribute))
			continue;
		if (named != NULL && !bms_is_member(a - FirstLowInvalidHeapAttributeNumber, named) &&
			!(computed && operation == CMD_INSERT))
			continue;
		vssfdw_column_init(&column, rel, a);
		if (!vssfdw_is_generated(info, column.name))
			targets = lappend_int(targets, a);
		else if (named != NULL && !computed)
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
	/* an error shows the whole row */
	all |= check_options != NIL;
	pull_varattnos((Node *) returning, relid, &used);
	all |= bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
	if (returning == NIL && !all)
		return NIL;
	for (AttrNumber a = 1; a <= RelationGetNumberOfAttributes(rel); a++)
	{
		if (!vssfdw_is_absent(TupleDescAttr(RelationGetDescr(rel), a - 1)) &&
			(all || bms_is_member(a - FirstLowInvalidHeapAttributeNumber, used)))
			attributes = lappend_int(attributes, a);
	}
	return attributes;
}

void
vssfdw_append_columns(StringInfo sql, Relation rel, List *attributes, const char *after_name)
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

static const char *
rowid_name(Relation rel, const VssTableInfo *info)
{
	if (info->is_query)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("foreign table \"%s\" stands for a query and cannot be written",
							   RelationGetRelationName(rel))));
	if (info->rowid_name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("rows of foreign table \"%s\" cannot be addressed", RelationGetRelationName(rel)),
				 errhint("Its columns hide every name of the rowid; rename one of rowid, _rowid_ and oid.")));
	return info->rowid_name;
}

/* " WHERE <row's address>", its parameters numbered from first. */
static void
append_condition(StringInfo sql, Relation rel, const VssTableInfo *info, int first)
{
	ListCell *lc;

	if (!vssfdw_addressed_by_key(info))
	{
		appendStringInfo(sql, " WHERE %s = ?", vssfdw_quote_identifier(rowid_name(rel, info)));
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

void
vssfdw_append_address(StringInfo sql, Relation rel, const VssTableInfo *info)
{
	if (vssfdw_addressed_by_key(info))
		vssfdw_append_columns(sql, rel, vssfdw_key_attributes(rel, info), "");
	else
		appendStringInfoString(sql, vssfdw_quote_identifier(rowid_name(rel, info)));
}

/* SQLite's RETURNING has no rowid of a row that a full-text table has put in. */
static void
check_returned(Relation rel, const VssTableInfo *info, CmdType operation, List *returned)
{
	ListCell *lc;

	if (operation != CMD_INSERT || info->full_text == NULL)
		return;
	foreach (lc, returned)
	{
		VssColumn column;

		vssfdw_column_init(&column, rel, lfirst_int(lc));
		if (pg_strcasecmp(column.name, info->rowid_alias) == 0)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("RETURNING cannot tell the rowid of a new row of full-text table \"%s\"",
								   RelationGetRelationName(rel)),
							errhint("Name the other columns in RETURNING.")));
	}
}

static char *
build_sql(Relation rel, const VssTableInfo *info, CmdType operation, List *targets, List *returned,
		  const char *on_conflict, bool with_address, int *values_end)
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
				vssfdw_append_columns(&sql, rel, targets, "");
				appendStringInfoString(&sql, ") VALUES (");
				for (int i = 0; i < list_length(targets); i++)
					appendStringInfoString(&sql, i > 0 ? ", ?" : "?");
				appendStringInfoChar(&sql, ')');
			}
			*values_end = sql.len;
			appendStringInfoString(&sql, on_conflict);
			break;
		case CMD_UPDATE:
			appendStringInfo(&sql, "UPDATE main.%s SET ", table);
			vssfdw_append_columns(&sql, rel, targets, " = ?");
			append_condition(&sql, rel, info, list_length(targets) + 1);
			break;
		default:
			appendStringInfo(&sql, "DELETE FROM main.%s", table);
			append_condition(&sql, rel, info, list_length(targets) + 1);
			break;
	}
	if (returned != NIL || with_address)
		appendStringInfoString(&sql, " RETURNING ");
	vssfdw_append_columns(&sql, rel, returned, "");
	if (with_address)
	{
		appendStringInfoString(&sql, returned != NIL ? ", " : "");
		vssfdw_append_address(&sql, rel, info);
	}
	return sql.data;
}

List *
vssfdw_plan_modify(Relation rel, Index relid, CmdType operation, Bitmapset *named, List *returning,
				   List *check_options, const char *on_conflict, bool with_address)
{
	VssConnection *conn;
	const VssTableInfo *info = vssfdw_written_table(rel, &conn);
	List *targets = operation == CMD_DELETE ? NIL : target_attributes(rel, info, operation, named);
	List *returned = vssfdw_returned_attributes(rel, relid, operation, returning, check_options);
	int values_end = 0;
	char *sql;

	check_returned(rel, info, operation, returned);
	sql = build_sql(rel, info, operation, targets, returned, on_conflict, with_address, &values_end);
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

List *
vssPlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan_index)
{
	RangeTblEntry *rte = planner_rt_fetch(result_relation, root);
	Relation rel = table_open(rte->relid, NoLock);
	VssConnection *conn;
	const VssTableInfo *info = vssfdw_written_table(rel, &conn);
	List *returning = plan->returningLists != NIL ? list_nth(plan->returningLists, subplan_index) : NIL;
	List *checks =
		plan->withCheckOptionLists != NIL ? list_nth(plan->withCheckOptionLists, subplan_index) : NIL;
	bool noted = plan->onConflictAction == ONCONFLICT_UPDATE && vssfdw_writes_several(plan);
	List *items;

	items = vssfdw_plan_modify(rel, result_relation, plan->operation,
							   named_attributes(root, rel, plan->operation, result_relation), returning,
							   checks, vssfdw_conflict_clause(plan, rel, info), noted);
	items = lappend(items, vssfdw_plan_upsert(plan, rel, result_relation, info,
											  list_nth(items, VSS_MODIFY_PARAMS), returning, checks));
	Assert(list_length(items) == VSS_MODIFY_ITEMS);
	vssfdw_read_before_writing(root, plan, rel, info);
	table_close(rel, NoLock);
	return items;
}
