/*
 * modify.c
 *		INSERT, UPDATE and DELETE, row by row: execution, COPY and row movement
 *		into foreign partitions.
 *
 * What SQLite stored, its own defaults, affinity and generated columns
 * included, comes back through its RETURNING clause where PostgreSQL needs it.
 *
 * Before a write every reader in the middle of its rows is drained: see
 * VssStatement.drain.
 */
#include "fdw/modify/modify.h"

#include "access/htup_details.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

struct VssModify
{
	VssConnection *conn;
	VssHold *hold;
	VssStatement *statement;
	VssStatement *batch; /* INSERT of batch_rows rows, or NULL */
	int batch_rows;
	VssCollector *collector; /* of COPY, or NULL */
	int values_end;          /* see VSS_MODIFY_VALUES_END */
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

	VssAddressSet *changed;  /* of an UPDATE that may meet a row twice, else NULL */
	struct VssModify *moved; /* of an UPDATE: how rows of other partitions come in, or NULL */

	VssUpsert *upsert;         /* that this is a part of, or NULL */
	const List *keys_of_table; /* of VssTableKey */

	MemoryContext row_context; /* reset for every row */
};

VssColumn *
vssfdw_modified_columns(Relation rel, List *attributes)
{
	VssColumn *columns = palloc0(sizeof(VssColumn) * (list_length(attributes) + 1));
	ListCell *lc;

	foreach (lc, attributes)
	{
		if (lfirst_int(lc) > 0)
			vssfdw_column_init(&columns[foreach_current_index(lc)], rel, lfirst_int(lc));
	}
	return columns;
}

VssColumn *
vssfdw_stored_columns(VssConnection *conn, const VssTableInfo *info, Relation rel, List *attributes)
{
	VssColumn *columns = vssfdw_modified_columns(rel, attributes);

	/* triggers of a view and modules get the values as they are */
	if (info->is_view || info->is_virtual)
		return columns;
	for (int i = 0; i < list_length(attributes); i++)
	{
		const VssColumnInfo *stored =
			columns[i].name != NULL ? vssfdw_find_column(info, columns[i].name) : NULL;

		columns[i].is_stored = stored != NULL;
		columns[i].affinity = stored != NULL ? stored->affinity : VSS_AFFINITY_BLOB;
		if (stored != NULL && columns[i].kind == VALUE_VECTOR && columns[i].stored == VSS_STORED_NATURAL)
			columns[i].stored = vssfdw_vector_form(conn, info, stored);
	}
	return columns;
}

static void
find_address(VssModify *modify, Relation rel, const VssTableInfo *info, Plan *subplan)
{
	ListCell *lc;
	List *keys;

	if (!vssfdw_addressed_by_key(info))
	{
		modify->tid_attno = ExecFindJunkAttributeInTlist(subplan->targetlist, "ctid");
		if (!AttributeNumberIsValid(modify->tid_attno))
			elog(ERROR, "could not find junk ctid column");
		return;
	}
	keys = vssfdw_key_attributes(rel, info);
	modify->key_count = list_length(keys);
	modify->keys = vssfdw_modified_columns(rel, keys);
	modify->key_attnos = palloc(sizeof(AttrNumber) * modify->key_count);
	foreach (lc, keys)
	{
		AttrNumber found =
			ExecFindJunkAttributeInTlist(subplan->targetlist, vssfdw_key_name(rel, lfirst_int(lc)));

		if (!AttributeNumberIsValid(found))
			elog(ERROR, "could not find junk column of the primary key");
		modify->key_attnos[foreach_current_index(lc)] = found;
	}
}

/* Whether the plan may give a row of one table several times: whether something is joined to it. */
static bool
may_repeat(Plan *subplan)
{
	ListCell *lc;

	if (IsA(subplan, Result) && outerPlan(subplan) != NULL)
		return may_repeat(outerPlan(subplan));
	if (!IsA(subplan, Append))
		return !IsA(subplan, ForeignScan) || ((ForeignScan *) subplan)->scan.scanrelid == 0;
	foreach (lc, ((Append *) subplan)->appendplans)
	{
		if (may_repeat(lfirst(lc)))
			return true;
	}
	return false;
}

VssModify *
vssfdw_begin_modify(EState *estate, ResultRelInfo *target, CmdType operation, Plan *subplan, List *items)
{
	Relation rel = target->ri_RelationDesc;
	VssModify *modify = palloc0(sizeof(VssModify));
	const VssTableInfo *info = vssfdw_written_table(rel, &modify->conn);
	List *params = list_nth(items, VSS_MODIFY_PARAMS);
	List *returned = list_nth(items, VSS_MODIFY_RETURNED);

	Assert(list_length(items) == VSS_MODIFY_ITEMS || list_length(items) == VSS_MODIFY_UPSERT);
	modify->operation = operation;
	modify->is_view = info->is_view;
	modify->keys_of_table = info->keys;
	modify->param_count = list_length(params);
	modify->params = vssfdw_stored_columns(modify->conn, info, rel, params);
	modify->returned_count = list_length(returned);
	modify->returned = vssfdw_modified_columns(rel, returned);
	modify->values_end = intVal(list_nth(items, VSS_MODIFY_VALUES_END));
	if (subplan != NULL)
		find_address(modify, rel, info, subplan);
	if (subplan != NULL && operation == CMD_UPDATE && !info->is_view && may_repeat(subplan))
		modify->changed = vssfdw_address_set(estate->es_query_cxt);
	modify->row_context =
		AllocSetContextCreate(estate->es_query_cxt, "vss_fdw row to write", ALLOCSET_SMALL_SIZES);
	modify->hold = vssfdw_hold(modify->conn, estate->es_query_cxt);
	/* before any scan of this command has read, so that the lock can be waited for */
	vssfdw_begin_write(modify->conn);
	modify->statement =
		vssfdw_prepare(modify->conn, strVal(list_nth(items, VSS_MODIFY_SQL)), estate->es_query_cxt);
	return modify;
}

void
vssBeginForeignModify(ModifyTableState *state, ResultRelInfo *target, List *items, int subplan_index,
					  int eflags)
{
	List *upsert = list_nth(items, VSS_MODIFY_UPSERT);
	Plan *rows = outerPlanState(state)->plan;
	VssModify *modify;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	modify = vssfdw_begin_modify(state->ps.state, target, state->operation,
								 state->operation == CMD_INSERT ? NULL : rows, items);
	if (upsert != NIL)
		modify->upsert = vssfdw_begin_upsert(state, target, upsert, modify->conn);
	target->ri_FdwState = modify;
}

/* COPY FROM, and rows routed or moved into a foreign partition. */
void
vssBeginForeignInsert(ModifyTableState *state, ResultRelInfo *target)
{
	ModifyTable *plan = castNode(ModifyTable, state->ps.plan);
	Relation rel = target->ri_RelationDesc;
	VssConnection *conn;
	const char *on_conflict = "";
	List *returning = NIL;
	VssModify *insert;

	if (plan != NULL)
	{
		if (plan->onConflictAction == ONCONFLICT_UPDATE)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("foreign table \"%s\" does not support ON CONFLICT DO UPDATE as a partition",
							RelationGetRelationName(rel))));
		on_conflict = vssfdw_conflict_clause(plan, rel, vssfdw_written_table(rel, &conn));
		/* which columns are wanted is known for the root's rows only: take all */
		if (plan->returningLists != NIL)
			returning = list_make1(makeVar(1, 0, RECORDOID, -1, InvalidOid, 0));
	}
	insert =
		vssfdw_begin_modify(state->ps.state, target, CMD_INSERT, NULL,
							vssfdw_plan_modify(rel, 1, CMD_INSERT, NULL, returning, NIL, on_conflict, false));
	/* rows may move into a partition that the same UPDATE changes */
	if (target->ri_FdwState != NULL)
		((VssModify *) target->ri_FdwState)->moved = insert;
	else
		target->ri_FdwState = insert;
	if (plan == NULL)
		insert->collector =
			vssfdw_collector(insert->conn, target, vssfdw_table_options(RelationGetRelid(rel))->table,
							 vssGetForeignModifyBatchSize(target), state->ps.state->es_query_cxt);
}

/* The row's address as bytes, in the current memory context. */
static bytea *
address_bytes(VssModify *modify, TupleTableSlot *plan_slot)
{
	StringInfoData buf;
	bool isnull;
	Datum datum;

	initStringInfo(&buf);
	appendStringInfoSpaces(&buf, VARHDRSZ);
	if (modify->key_count == 0)
	{
		int64 rowid;

		datum = ExecGetJunkAttribute(plan_slot, modify->tid_attno, &isnull);
		rowid = vssfdw_tid_to_rowid(modify->conn, (ItemPointer) DatumGetPointer(datum));
		appendBinaryStringInfo(&buf, (char *) &rowid, sizeof(rowid));
	}
	for (int i = 0; i < modify->key_count; i++)
	{
		datum = ExecGetJunkAttribute(plan_slot, modify->key_attnos[i], &isnull);
		if (!isnull)
			appendStringInfoString(&buf, OutputFunctionCall(&modify->keys[i].output, datum));
		appendStringInfoChar(&buf, '\0'); /* which no text contains */
	}
	SET_VARSIZE(buf.data, buf.len);
	return (bytea *) buf.data;
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

void
vssfdw_store_found(TupleTableSlot *slot, VssStatement *statement, int first, const VssColumn *columns,
				   int count, const char *table, MemoryContext context)
{
	TupleDesc desc = slot->tts_tupleDescriptor;
	Datum *values = palloc(sizeof(Datum) * desc->natts);
	bool *nulls = palloc(sizeof(bool) * desc->natts);
	MemoryContext old;

	memset(nulls, true, desc->natts);
	for (int i = 0; i < count; i++)
	{
		int at = columns[i].attnum - 1;

		values[at] = vssfdw_column_datum(&columns[i], statement, first + i, table, &nulls[at]);
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

/* From here on errors tell row->slot; error_context_stack = callback->previous ends it. */
static void
tell_row(VssModify *modify, ResultRelInfo *target, VssWrittenRow *row, ErrorContextCallback *callback)
{
	*row = (VssWrittenRow){.rel = target->ri_RelationDesc,
						   .db = modify->conn->db,
						   .keys = modify->keys_of_table,
						   .columns = modify->params,
						   .count = modify->param_count};
	*callback = (ErrorContextCallback){error_context_stack, vssfdw_row_context, row};
	error_context_stack = callback;
}

/*
 * What RETURNING shows of the system columns.  Programs ask for xmax = 0 to
 * tell a row that was inserted from one that ON CONFLICT has changed.
 */
static void
set_system_columns(ResultRelInfo *target, TupleTableSlot *slot, TransactionId xmax)
{
	HeapTuple tuple;

	if (target->ri_projectReturning == NULL || TTS_EMPTY(slot) || !TTS_IS_HEAPTUPLE(slot))
		return;
	tuple = ExecFetchSlotHeapTuple(slot, true, NULL);
	HeapTupleHeaderSetXmin(tuple->t_data, InvalidTransactionId);
	HeapTupleHeaderSetXmax(tuple->t_data, xmax);
	HeapTupleHeaderSetCmin(tuple->t_data, InvalidTransactionId);
}

/*
 * Write one row.  NULL when SQLite wrote none: a conflict that is to be
 * ignored, or a trigger that refused or removed the row.  Without plan_slot the
 * address is bound already.
 */
static TupleTableSlot *
write_row(VssModify *modify, ResultRelInfo *target, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	VssWrittenRow row;
	ErrorContextCallback callback;
	MemoryContext old;
	bool written;

	vssfdw_begin_write(modify->conn);
	MemoryContextReset(modify->row_context);
	old = MemoryContextSwitchTo(modify->row_context);
	if (modify->changed != NULL && !vssfdw_address_add(modify->changed, address_bytes(modify, plan_slot)))
	{
		MemoryContextSwitchTo(old);
		return NULL;
	}
	tell_row(modify, target, &row, &callback);
	row.slot = modify->operation == CMD_DELETE ? NULL : slot;
	bind_values(modify, modify->statement, 0, slot);
	if (modify->operation != CMD_INSERT && plan_slot != NULL)
		bind_address(modify, plan_slot);

	written = vssfdw_step(modify->statement);
	error_context_stack = callback.previous;
	if (written)
	{
		if (modify->returned_count > 0)
			vssfdw_store_found(slot, modify->statement, 0, modify->returned, modify->returned_count,
							   RelationGetRelationName(target->ri_RelationDesc), old);
		if (modify->upsert != NULL)
			vssfdw_note_written(modify->upsert, modify->statement, modify->returned_count);
		/* run to the end, so that the statement is complete */
		while (vssfdw_step(modify->statement))
			;
	}
	else if (sqlite3_column_count(modify->statement->stmt) == 0)
		written = modify->is_view || sqlite3_changes(modify->conn->db) > 0;
	vssfdw_rewind(modify->statement);
	MemoryContextSwitchTo(old);
	if (!written)
		return NULL;
	set_system_columns(target, slot, InvalidTransactionId);
	return slot;
}

/*
 * What PostgreSQL leaves out for rows of foreign tables: whether the policies of
 * a table above let them be written, and whether they belong to the partition,
 * out of which it moves none.  The policies are of the command's kind.
 */
static void
check_row(EState *estate, ResultRelInfo *target, TupleTableSlot *slot)
{
	if (target->ri_WithCheckOptions != NIL)
	{
		ExecWithCheckOptions(WCO_RLS_INSERT_CHECK, target, slot, estate);
		ExecWithCheckOptions(WCO_RLS_UPDATE_CHECK, target, slot, estate);
	}
	if (target->ri_RelationDesc->rd_rel->relispartition)
		ExecPartitionCheck(target, slot, estate, true);
}

void
vssfdw_set_upsert(VssModify *modify, VssUpsert *upsert)
{
	modify->upsert = upsert;
}

void
vssfdw_bind_found(VssModify *modify, VssStatement *found, int address_count)
{
	for (int i = 0; i < address_count; i++)
		sqlite3_bind_value(modify->statement->stmt, modify->param_count + i + 1,
						   sqlite3_column_value(found->stmt, i));
}

TupleTableSlot *
vssfdw_write_found(VssModify *modify, EState *estate, ResultRelInfo *target, TupleTableSlot *slot)
{
	check_row(estate, target, slot);
	slot = write_row(modify, target, slot, NULL);
	if (slot != NULL)
		set_system_columns(target, slot, FrozenTransactionId);
	return slot;
}

/* UPDATE and DELETE */
TupleTableSlot *
vssExecForeignChange(EState *estate, ResultRelInfo *target, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	VssModify *modify = target->ri_FdwState;

	if (modify->operation == CMD_UPDATE)
		check_row(estate, target, slot);
	vssfdw_drain(modify->conn, true);
	return write_row(modify, target, slot, plan_slot);
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
	/* what errors show */
	modify->batch->sql = MemoryContextStrdup(estate->es_query_cxt,
											 psprintf("%s -- %d rows at once", modify->statement->sql, rows));
	modify->batch_rows = rows;
	return modify->batch;
}

static bool
is_fault_of_a_row(int rc)
{
	rc &= 0xff;
	return rc == SQLITE_CONSTRAINT || rc == SQLITE_MISMATCH || rc == SQLITE_TOOBIG;
}

/* All rows in one statement of SQLite, which is much cheaper than one each. */
TupleTableSlot **
vssExecForeignBatchInsert(EState *estate, ResultRelInfo *target, TupleTableSlot **slots,
						  TupleTableSlot **plan_slots, int *count)
{
	VssModify *state = target->ri_FdwState;
	VssModify *modify = state->moved != NULL ? state->moved : state;
	VssConnection *conn = modify->conn;
	VssWrittenRow row;
	ErrorContextCallback callback;
	VssStatement *statement;
	MemoryContext old;
	int changes;
	int rc;

	vssfdw_drain(conn, true);
	vssfdw_begin_write(conn);
	MemoryContextReset(modify->row_context);
	old = MemoryContextSwitchTo(modify->row_context);
	statement = batch_statement(modify, estate, *count);
	tell_row(modify, target, &row, &callback);
	for (int r = 0; r < *count; r++)
	{
		row.slot = slots[r];
		check_row(estate, target, slots[r]);
		bind_values(modify, statement, r * modify->param_count, slots[r]);
	}
	error_context_stack = callback.previous;
	changes = sqlite3_total_changes(conn->db);
	rc = vssfdw_try_step(statement);
	if (rc == SQLITE_DONE && !modify->is_view)
		*count = sqlite3_changes(conn->db);
	else if (rc != SQLITE_DONE &&
			 (conn->lost || !is_fault_of_a_row(rc) || sqlite3_total_changes(conn->db) != changes))
		vssfdw_report(ERROR, rc, conn->db, conn->servername, statement->sql);
	vssfdw_rewind(statement);
	MemoryContextSwitchTo(old);

	/* nothing has been written (ON CONFLICT FAIL would leave rows); one by one it shows which row is at fault */
	for (int r = 0; r < *count && rc != SQLITE_DONE; r++)
		write_row(modify, target, slots[r], NULL);
	return slots;
}

/* Write what a COPY has collected. */
static void
write_collected(EState *estate, ResultRelInfo *target)
{
	int collected;
	TupleTableSlot **slots = vssfdw_collected(((VssModify *) target->ri_FdwState)->collector, &collected);
	int count = collected;

	if (count > 0)
		vssExecForeignBatchInsert(estate, target, slots, NULL, &count);
	for (int i = 0; i < collected; i++)
		ExecClearTuple(slots[i]);
}

TupleTableSlot *
vssExecForeignInsert(EState *estate, ResultRelInfo *target, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	VssModify *modify = target->ri_FdwState;
	TupleTableSlot *written;

	if (modify->collector != NULL)
	{
		if (vssfdw_collect(modify->collector, slot))
			write_collected(estate, target);
		return slot;
	}
	check_row(estate, target, slot);
	/* for one, a row that moves here must not be met again when this partition's turn comes */
	vssfdw_drain(modify->conn, true);
	if (modify->upsert == NULL)
		return write_row(modify->moved != NULL ? modify->moved : modify, target, slot, plan_slot);

	written = write_row(modify, target, slot, plan_slot);
	return written != NULL ? written : vssfdw_upsert(modify->upsert, estate, target, slot);
}

/*
 * Rows with RETURNING or triggers come one at a time, for each result is
 * looked at.  SQLite takes a limited number of parameters.
 */
int
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
	if (modify->upsert != NULL)
		return 1;
	if (modify->moved != NULL)
		modify = modify->moved;
	if (modify->param_count == 0)
		return 1;
	return Max(1, Min(size, sqlite3_limit(modify->conn->db, SQLITE_LIMIT_VARIABLE_NUMBER, -1) /
								modify->param_count));
}

void
vssfdw_end_modify(VssModify *modify)
{
	if (modify == NULL)
		return;
	vssfdw_end_modify(modify->moved);
	vssfdw_collector_free(modify->collector);
	vssfdw_done(modify->batch);
	vssfdw_done(modify->statement);
	vssfdw_release(modify->hold);
}

void
vssEndForeignModify(EState *estate, ResultRelInfo *target)
{
	VssModify *modify = target->ri_FdwState;

	if (modify != NULL && modify->collector != NULL)
		write_collected(estate, target);
	if (modify != NULL && modify->upsert != NULL)
		vssfdw_end_upsert(modify->upsert);
	/* called for the rows that move in and for the command; the first time ends both */
	vssfdw_end_modify(target->ri_FdwState);
	target->ri_FdwState = NULL;
}

void
vssExplainForeignModify(ModifyTableState *state, ResultRelInfo *target, List *items, int subplan_index,
						struct ExplainState *es)
{
	List *upsert = list_nth(items, VSS_MODIFY_UPSERT);

	if (!es->verbose)
		return;
	ExplainPropertyText("SQLite SQL", strVal(list_nth(items, VSS_MODIFY_SQL)), es);
	if (upsert != NIL)
	{
		ExplainPropertyText("SQLite Lookup", strVal(list_nth(upsert, VSS_UPSERT_LOOKUP)), es);
		ExplainPropertyText("SQLite Update",
							strVal(list_nth(list_nth(upsert, VSS_UPSERT_MODIFY), VSS_MODIFY_SQL)), es);
	}
	else if (target->ri_BatchSize > 1)
		ExplainPropertyInteger("Batch Size", NULL, target->ri_BatchSize, es);
}
