/*
 * modify.c
 *		INSERT, UPDATE and DELETE, row by row: planning, execution, COPY and
 *		row movement into foreign partitions.
 *
 * A row is addressed by its rowid, carried as the ctid (rowid.c), or in
 * WITHOUT ROWID tables by the primary key.  What SQLite stored, its own
 * defaults, affinity and generated columns included, comes back through its
 * RETURNING clause where PostgreSQL needs it.
 *
 * Before a write every reader in the middle of its rows is drained: see
 * VssStatement.drain.
 */
#include "fdw/modify.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#endif
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "miscadmin.h"
#include "optimizer/appendinfo.h"
#include "optimizer/inherit.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* What PlanForeignModify leaves to BeginForeignModify. */
enum
{
	MODIFY_SQL,        /* String */
	MODIFY_PARAMS,     /* IntList: attribute of each leading parameter */
	MODIFY_RETURNED,   /* IntList: attribute of each returned column */
	MODIFY_VALUES_END, /* Integer: offset in the SQL of an INSERT behind its row of values */
};

typedef struct VssModify
{
	VssConnection *conn;
	VssHold *hold;
	VssStatement *statement;
	VssStatement *batch; /* INSERT of batch_rows rows, or NULL */
	int batch_rows;
	int values_end; /* see MODIFY_VALUES_END */
	CmdType operation;
	bool is_view;

	int param_count;
	VssColumn *params;
	int returned_count;
	VssColumn *returned;

	/* where the row's address stands in the plan's rows (UPDATE, DELETE) */
	AttrNumber tid_attno;
	int key_count; /* of a WITHOUT ROWID table */
	AttrNumber *key_attnos;
	VssColumn *keys;

	struct VssModify *moved; /* of an UPDATE: how rows of other partitions come in, or NULL */

	MemoryContext row_context; /* reset for every row */
} VssModify;

/* ---------- the address of a row ---------- */

/* Attributes of the foreign table for the primary key of a WITHOUT ROWID table; error where one is missing. */
static List *
key_attributes(Relation rel, const VssTableInfo *info)
{
	List *attributes = NIL;
	const VssTableKey *key = NULL;
	ListCell *lc;

	foreach (lc, info->keys)
	{
		const VssTableKey *candidate = lfirst(lc);

		if (candidate->name == NULL)
			key = candidate;
	}
	if (key == NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("rows of foreign table \"%s\" have neither a rowid nor a primary key to address them by",
					RelationGetRelationName(rel))));
	foreach (lc, key->columns)
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

static bool
addressed_by_key(const VssTableInfo *info)
{
	return !info->has_rowid && !info->is_view;
}

/* One name a distinct kind of Var, as row identities of different partitions must agree. */
static char *
key_name(Relation rel, AttrNumber attno)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), attno - 1);

	return psprintf("vss_key_%d_%u_%d_%u", attno, attribute->atttypid, attribute->atttypmod,
					attribute->attcollation);
}

static const VssTableInfo *
table_info(Relation rel, VssConnection **conn)
{
	*conn = vssfdw_connect(GetForeignTable(RelationGetRelid(rel))->serverid);
	return vssfdw_table_info(*conn, vssfdw_table_options(RelationGetRelid(rel))->table);
}

static void
vssAddForeignUpdateTargets(PlannerInfo *root, Index rtindex, RangeTblEntry *target_rte,
						   Relation target_relation)
{
	VssConnection *conn;
	const VssTableInfo *info = table_info(target_relation, &conn);
	ListCell *lc;

	if (!addressed_by_key(info))
	{
		Var *var = makeVar(rtindex, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0);

		add_row_identity_var(root, var, rtindex, "ctid");
		return;
	}
	foreach (lc, key_attributes(target_relation, info))
	{
		AttrNumber attno = lfirst_int(lc);
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(target_relation), attno - 1);
		Var *var =
			makeVar(rtindex, attno, attribute->atttypid, attribute->atttypmod, attribute->attcollation, 0);

		add_row_identity_var(root, var, rtindex, key_name(target_relation, attno));
	}
}

static int
vssIsForeignRelUpdatable(Relation rel)
{
	VssServerOptions *server =
		vssfdw_server_options(GetForeignServer(GetForeignTable(RelationGetRelid(rel))->serverid));
	VssTableOptions *table = vssfdw_table_options(RelationGetRelid(rel));

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

/* " WHERE <row's address>", its parameters following those already there. */
static void
append_address(StringInfo sql, Relation rel, const VssTableInfo *info)
{
	ListCell *lc;

	if (!addressed_by_key(info))
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
	foreach (lc, key_attributes(rel, info))
	{
		VssColumn column;

		vssfdw_column_init(&column, rel, lfirst_int(lc));
		appendStringInfo(sql, "%s%s = ?", foreach_current_index(lc) == 0 ? " WHERE " : " AND ",
						 vssfdw_quote_identifier(column.name));
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
			append_address(&sql, rel, info);
			break;
		default:
			appendStringInfo(&sql, "DELETE FROM main.%s", table);
			append_address(&sql, rel, info);
			break;
	}
	if (returned != NIL)
	{
		appendStringInfoString(&sql, " RETURNING ");
		append_columns(&sql, rel, returned, "");
	}
	return sql.data;
}

static List *
plan_modify(Relation rel, Index relid, CmdType operation, Bitmapset *named, List *returning,
			List *check_options, bool do_nothing)
{
	VssConnection *conn;
	const VssTableInfo *info = table_info(rel, &conn);
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

static List *
vssPlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan_index)
{
	RangeTblEntry *rte = planner_rt_fetch(result_relation, root);
	Relation rel = table_open(rte->relid, NoLock);
	List *private;

	if (plan->onConflictAction != ONCONFLICT_NONE && plan->onConflictAction != ONCONFLICT_NOTHING)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("foreign table \"%s\" does not support ON CONFLICT DO UPDATE",
							   RelationGetRelationName(rel))));
	private = plan_modify(
		rel, result_relation, plan->operation, named_attributes(root, rel, plan->operation, result_relation),
		plan->returningLists != NIL ? list_nth(plan->returningLists, subplan_index) : NIL,
		plan->withCheckOptionLists != NIL ? list_nth(plan->withCheckOptionLists, subplan_index) : NIL,
		plan->onConflictAction == ONCONFLICT_NOTHING);
	table_close(rel, NoLock);
	return private;
}

/* ---------- execution ---------- */

static VssColumn *
make_columns(Relation rel, List *attributes)
{
	VssColumn *columns = palloc0(sizeof(VssColumn) * (list_length(attributes) + 1));
	ListCell *lc;

	foreach (lc, attributes)
		vssfdw_column_init(&columns[foreach_current_index(lc)], rel, lfirst_int(lc));
	return columns;
}

static void
find_address(VssModify *modify, Relation rel, const VssTableInfo *info, Plan *subplan)
{
	ListCell *lc;
	List *keys;

	if (!addressed_by_key(info))
	{
		modify->tid_attno = ExecFindJunkAttributeInTlist(subplan->targetlist, "ctid");
		if (!AttributeNumberIsValid(modify->tid_attno))
			elog(ERROR, "could not find junk ctid column");
		return;
	}
	keys = key_attributes(rel, info);
	modify->key_count = list_length(keys);
	modify->keys = make_columns(rel, keys);
	modify->key_attnos = palloc(sizeof(AttrNumber) * modify->key_count);
	foreach (lc, keys)
	{
		AttrNumber found = ExecFindJunkAttributeInTlist(subplan->targetlist, key_name(rel, lfirst_int(lc)));

		if (!AttributeNumberIsValid(found))
			elog(ERROR, "could not find junk column of the primary key");
		modify->key_attnos[foreach_current_index(lc)] = found;
	}
}

static VssModify *
begin_modify(EState *estate, ResultRelInfo *target, CmdType operation, Plan *subplan, List *private)
{
	Relation rel = target->ri_RelationDesc;
	VssModify *modify = palloc0(sizeof(VssModify));
	const VssTableInfo *info = table_info(rel, &modify->conn);
	List *params = list_nth(private, MODIFY_PARAMS);
	List *returned = list_nth(private, MODIFY_RETURNED);

	modify->operation = operation;
	modify->is_view = info->is_view;
	modify->param_count = list_length(params);
	modify->params = make_columns(rel, params);
	modify->returned_count = list_length(returned);
	modify->returned = make_columns(rel, returned);
	modify->values_end = intVal(list_nth(private, MODIFY_VALUES_END));
	if (operation != CMD_INSERT)
		find_address(modify, rel, info, subplan);
	modify->row_context =
		AllocSetContextCreate(estate->es_query_cxt, "vss_fdw row to write", ALLOCSET_SMALL_SIZES);
	modify->hold = vssfdw_hold(modify->conn, estate->es_query_cxt);
	/* before any scan of this command has read, so that the lock can be waited for */
	vssfdw_begin_write(modify->conn);
	modify->statement =
		vssfdw_prepare(modify->conn, strVal(list_nth(private, MODIFY_SQL)), estate->es_query_cxt);
	return modify;
}

static void
vssBeginForeignModify(ModifyTableState *state, ResultRelInfo *target, List *private, int subplan_index,
					  int eflags)
{
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	target->ri_FdwState =
		begin_modify(state->ps.state, target, state->operation, outerPlanState(state)->plan, private);
}

/* COPY FROM, and rows routed or moved into a foreign partition. */
static void
vssBeginForeignInsert(ModifyTableState *state, ResultRelInfo *target)
{
	ModifyTable *plan = castNode(ModifyTable, state->ps.plan);
	Relation rel = target->ri_RelationDesc;
	bool do_nothing = false;
	List *returning = NIL;
	VssModify *insert;

	if (plan != NULL)
	{
		if (plan->onConflictAction != ONCONFLICT_NONE && plan->onConflictAction != ONCONFLICT_NOTHING)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("foreign table \"%s\" does not support ON CONFLICT DO UPDATE",
								   RelationGetRelationName(rel))));
		do_nothing = plan->onConflictAction == ONCONFLICT_NOTHING;
		/* which columns are wanted is known for the root's rows only: take all */
		if (plan->returningLists != NIL)
			returning = list_make1(makeVar(1, 0, RECORDOID, -1, InvalidOid, 0));
	}
	insert = begin_modify(state->ps.state, target, CMD_INSERT, NULL,
						  plan_modify(rel, 1, CMD_INSERT, NULL, returning, NIL, do_nothing));
	/* rows may move into a partition that the same UPDATE changes */
	if (target->ri_FdwState != NULL)
		((VssModify *) target->ri_FdwState)->moved = insert;
	else
		target->ri_FdwState = insert;
}

static void
bind_address(VssModify *modify, TupleTableSlot *plan_slot)
{
	int next = modify->param_count + 1;
	bool isnull;
	Datum datum;

	if (modify->key_count == 0)
	{
		int64 rowid;

		datum = ExecGetJunkAttribute(plan_slot, modify->tid_attno, &isnull);
		if (isnull)
			elog(ERROR, "ctid is NULL");
		rowid = vssfdw_tid_to_rowid(modify->conn, (ItemPointer) DatumGetPointer(datum));
		sqlite3_bind_int64(modify->statement->stmt, next, rowid);
		return;
	}
	for (int i = 0; i < modify->key_count; i++)
	{
		datum = ExecGetJunkAttribute(plan_slot, modify->key_attnos[i], &isnull);
		vssfdw_bind(modify->statement, next + i, &modify->keys[i], datum, isnull);
	}
}

/* Put what SQLite stored into the slot, which owns the tuple from then on; it is made in context. */
static void
store_returned(VssModify *modify, TupleTableSlot *slot, const char *table, MemoryContext context)
{
	TupleDesc desc = slot->tts_tupleDescriptor;
	Datum *values = palloc(sizeof(Datum) * desc->natts);
	bool *nulls = palloc(sizeof(bool) * desc->natts);
	MemoryContext old;

	memset(nulls, true, desc->natts);
	for (int i = 0; i < modify->returned_count; i++)
	{
		VssColumn *column = &modify->returned[i];

		values[column->attnum - 1] =
			vssfdw_column_datum(column, modify->statement, i, table, &nulls[column->attnum - 1]);
	}
	old = MemoryContextSwitchTo(context);
	ExecForceStoreHeapTuple(heap_form_tuple(desc, values, nulls), slot, true);
	MemoryContextSwitchTo(old);
}

/* The row's values to the parameters behind the first so many. */
static void
bind_values(VssModify *modify, VssStatement *statement, int before, TupleTableSlot *slot)
{
	for (int i = 0; i < modify->param_count; i++)
	{
		bool isnull;
		Datum value = slot_getattr(slot, modify->params[i].attnum, &isnull);

		vssfdw_bind(statement, before + i + 1, &modify->params[i], value, isnull);
	}
}

/*
 * Write one row.  NULL when SQLite wrote none: a conflict that is to be
 * ignored, or a trigger that refused or removed the row.
 */
static TupleTableSlot *
write_row(VssModify *modify, ResultRelInfo *target, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	MemoryContext old;
	bool written;

	vssfdw_begin_write(modify->conn);
	MemoryContextReset(modify->row_context);
	old = MemoryContextSwitchTo(modify->row_context);
	bind_values(modify, modify->statement, 0, slot);
	if (modify->operation != CMD_INSERT)
		bind_address(modify, plan_slot);

	written = vssfdw_step(modify->statement);
	if (written)
	{
		store_returned(modify, slot, RelationGetRelationName(target->ri_RelationDesc), old);
		/* run to the end, so that the statement is complete */
		while (vssfdw_step(modify->statement))
			;
	}
	else if (modify->returned_count == 0)
		written = modify->is_view || sqlite3_changes(modify->conn->db) > 0;
	vssfdw_rewind(modify->statement);
	MemoryContextSwitchTo(old);
	return written ? slot : NULL;
}

/*
 * PostgreSQL moves no row out of a foreign partition and does not look whether
 * one that is written there belongs there.
 */
static void
check_partition(EState *estate, ResultRelInfo *target, TupleTableSlot *slot)
{
	if (target->ri_RelationDesc->rd_rel->relispartition)
		ExecPartitionCheck(target, slot, estate, true);
}

/* UPDATE and DELETE */
static TupleTableSlot *
vssExecForeignChange(EState *estate, ResultRelInfo *target, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	VssModify *modify = target->ri_FdwState;

	if (modify->operation == CMD_UPDATE)
		check_partition(estate, target, slot);
	vssfdw_drain(modify->conn, false);
	return write_row(modify, target, slot, plan_slot);
}

static TupleTableSlot *
vssExecForeignInsert(EState *estate, ResultRelInfo *target, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	VssModify *modify = target->ri_FdwState;

	check_partition(estate, target, slot);
	/* a row that moves here must not be met again when this partition's turn comes */
	vssfdw_drain(modify->conn, modify->moved != NULL);
	return write_row(modify->moved != NULL ? modify->moved : modify, target, slot, plan_slot);
}

/* The INSERT with as many rows of values. */
static VssStatement *
batch_statement(VssModify *modify, EState *estate, int rows)
{
	StringInfoData sql;

	if (modify->batch != NULL && modify->batch_rows == rows)
		return modify->batch;
	vssfdw_done(modify->batch);
	initStringInfo(&sql);
	appendBinaryStringInfo(&sql, modify->statement->sql, modify->values_end);
	for (int r = 1; r < rows; r++)
	{
		for (int i = 0; i < modify->param_count; i++)
			appendStringInfoString(&sql, i == 0 ? ", (?" : ", ?");
		appendStringInfoChar(&sql, ')');
	}
	appendStringInfoString(&sql, modify->statement->sql + modify->values_end);
	modify->batch = vssfdw_prepare(modify->conn, sql.data, estate->es_query_cxt);
	modify->batch_rows = rows;
	return modify->batch;
}

/* All rows in one statement of SQLite, which is much cheaper than one each. */
static TupleTableSlot **
vssExecForeignBatchInsert(EState *estate, ResultRelInfo *target, TupleTableSlot **slots,
						  TupleTableSlot **plan_slots, int *count)
{
	VssModify *modify = target->ri_FdwState;
	VssStatement *statement;
	MemoryContext old;

	vssfdw_drain(modify->conn, modify->moved != NULL);
	if (modify->moved != NULL)
		modify = modify->moved;
	vssfdw_begin_write(modify->conn);
	MemoryContextReset(modify->row_context);
	old = MemoryContextSwitchTo(modify->row_context);
	statement = batch_statement(modify, estate, *count);
	for (int r = 0; r < *count; r++)
	{
		check_partition(estate, target, slots[r]);
		bind_values(modify, statement, r * modify->param_count, slots[r]);
	}
	vssfdw_step(statement);
	if (!modify->is_view)
		*count = sqlite3_changes(modify->conn->db);
	vssfdw_rewind(statement);
	MemoryContextSwitchTo(old);
	return slots;
}

/*
 * Rows with RETURNING or triggers come one at a time, for each result is
 * looked at.  SQLite takes a limited number of parameters.
 */
static int
vssGetForeignModifyBatchSize(ResultRelInfo *target)
{
	VssModify *modify = target->ri_FdwState;
	Relation rel = target->ri_RelationDesc;
	int size = vssfdw_table_options(RelationGetRelid(rel))->batch_size;

	if (target->ri_projectReturning != NULL || target->ri_WithCheckOptions != NIL ||
		(rel->trigdesc != NULL &&
		 (rel->trigdesc->trig_insert_before_row || rel->trigdesc->trig_insert_after_row)))
		return 1;
	if (modify == NULL) /* EXPLAIN */
		return size;
	if (modify->moved != NULL)
		modify = modify->moved;
	if (modify->param_count == 0)
		return 1;
	return Max(1, Min(size, sqlite3_limit(modify->conn->db, SQLITE_LIMIT_VARIABLE_NUMBER, -1) /
								modify->param_count));
}

static void
end_modify(VssModify *modify)
{
	if (modify == NULL)
		return;
	end_modify(modify->moved);
	vssfdw_done(modify->batch);
	vssfdw_done(modify->statement);
	vssfdw_release(modify->hold);
}

static void
vssEndForeignModify(EState *estate, ResultRelInfo *target)
{
	/* called for the rows that move in and for the command; the first time ends both */
	end_modify(target->ri_FdwState);
	target->ri_FdwState = NULL;
}

static void
vssExplainForeignModify(ModifyTableState *state, ResultRelInfo *target, List *private, int subplan_index,
						struct ExplainState *es)
{
	if (!es->verbose)
		return;
	ExplainPropertyText("SQLite SQL", strVal(list_nth(private, MODIFY_SQL)), es);
	if (target->ri_BatchSize > 1)
		ExplainPropertyInteger("Batch Size", NULL, target->ri_BatchSize, es);
}

void
vssfdw_modify_routine(FdwRoutine *routine)
{
	vssfdw_direct_modify_routine(routine);
	routine->AddForeignUpdateTargets = vssAddForeignUpdateTargets;
	routine->IsForeignRelUpdatable = vssIsForeignRelUpdatable;
	routine->PlanForeignModify = vssPlanForeignModify;
	routine->BeginForeignModify = vssBeginForeignModify;
	routine->ExecForeignInsert = vssExecForeignInsert;
	routine->ExecForeignUpdate = vssExecForeignChange;
	routine->ExecForeignDelete = vssExecForeignChange;
	routine->ExecForeignBatchInsert = vssExecForeignBatchInsert;
	routine->GetForeignModifyBatchSize = vssGetForeignModifyBatchSize;
	routine->EndForeignModify = vssEndForeignModify;
	routine->BeginForeignInsert = vssBeginForeignInsert;
	routine->EndForeignInsert = vssEndForeignModify;
	routine->ExplainForeignModify = vssExplainForeignModify;
	routine->ExecForeignTruncate = vssExecForeignTruncate;
}
