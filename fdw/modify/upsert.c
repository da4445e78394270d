/*
 * upsert.c
 *		INSERT ... ON CONFLICT DO UPDATE, row by row.
 *
 * SQLite inserts the row, or tells that its key is there; then that row is read
 * and changed.  Nobody else writes in between, for SQLite has one writer.  SET
 * and WHERE are PostgreSQL's own expressions, which the executor has made ready,
 * so that they mean what they mean for its tables.
 */
#include "fdw/modify/modify.h"

#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "utils/memutils.h"
#include "utils/rel.h"

struct VssUpsert
{
	ModifyTableState *state;
	VssStatement *lookup;
	VssModify *update;
	int address_count; /* columns of the lookup's result that are the row's address; the existing ones follow */
	int target_count;
	VssColumn *target;
	int existing_count;
	VssColumn *existing;
	VssConnection *conn;
	VssAddressSet *written; /* rows inserted or changed by this command; NULL: there is but one */
	MemoryContext row_context;
};

VssUpsert *
vssfdw_begin_upsert(ModifyTableState *state, ResultRelInfo *target, List *items, VssConnection *conn)
{
	EState *estate = state->ps.state;
	Relation rel = target->ri_RelationDesc;
	const VssTableInfo *info = vssfdw_written_table(rel, &conn);
	List *existing = list_nth(items, VSS_UPSERT_EXISTING);
	List *columns = list_nth(items, VSS_UPSERT_TARGET);
	VssUpsert *upsert = palloc0(sizeof(VssUpsert));

	Assert(list_length(items) == VSS_UPSERT_ITEMS);
	upsert->state = state;
	upsert->conn = conn;
	upsert->address_count = vssfdw_addressed_by_key(info) ? list_length(vssfdw_key_attributes(rel, info)) : 1;
	upsert->target_count = list_length(columns);
	upsert->target = vssfdw_stored_columns(conn, info, rel, columns);
	upsert->existing_count = list_length(existing);
	upsert->existing = vssfdw_modified_columns(rel, existing);
	if (boolVal(list_nth(items, VSS_UPSERT_SEVERAL)))
		upsert->written = vssfdw_address_set(estate->es_query_cxt);
	upsert->row_context =
		AllocSetContextCreate(estate->es_query_cxt, "vss_fdw row in conflict", ALLOCSET_SMALL_SIZES);
	upsert->update =
		vssfdw_begin_modify(estate, target, CMD_UPDATE, NULL, list_nth(items, VSS_UPSERT_MODIFY));
	vssfdw_set_upsert(upsert->update, upsert);
	upsert->lookup = vssfdw_prepare(conn, strVal(list_nth(items, VSS_UPSERT_LOOKUP)), estate->es_query_cxt);
	return upsert;
}

/* Whether SQLite has a row with slot's key, on which the lookup stands then. */
static bool
look_up(VssUpsert *upsert, TupleTableSlot *slot)
{
	for (int i = 0; i < upsert->target_count; i++)
	{
		bool isnull;
		Datum value = slot_getattr(slot, upsert->target[i].attnum, &isnull);

		vssfdw_bind(upsert->lookup, i + 1, &upsert->target[i], value, isnull);
	}
	return vssfdw_step(upsert->lookup);
}

/* One value of an address, as bytes that tell it from others. */
static void
append_value(StringInfo address, sqlite3_value *value)
{
	int type = sqlite3_value_type(value);
	int64 number = sqlite3_value_int64(value);
	double real = sqlite3_value_double(value);
	const void *bytes = &number;
	int length = sizeof(number);

	if (type == SQLITE_FLOAT)
		bytes = &real;
	else if (type != SQLITE_INTEGER)
	{
		bytes = sqlite3_value_blob(value);
		length = sqlite3_value_bytes(value);
	}
	appendStringInfoChar(address, type);
	appendBinaryStringInfo(address, (char *) &length, sizeof(length));
	appendBinaryStringInfo(address, bytes, length);
}

/* In the current memory context. */
static bytea *
read_address(VssUpsert *upsert, VssStatement *statement, int first)
{
	StringInfoData address;

	initStringInfo(&address);
	appendStringInfoSpaces(&address, VARHDRSZ);
	for (int i = 0; i < upsert->address_count; i++)
		append_value(&address, sqlite3_column_value(statement->stmt, first + i));
	SET_VARSIZE(address.data, address.len);
	return (bytea *) address.data;
}

void
vssfdw_note_written(VssUpsert *upsert, VssStatement *statement, int first)
{
	if (upsert->written != NULL)
		vssfdw_address_add(upsert->written, read_address(upsert, statement, first));
}

/* The row as SET makes it of the existing one and of excluded; NULL where WHERE leaves it alone. */
static TupleTableSlot *
compute_row(VssUpsert *upsert, EState *estate, ResultRelInfo *target, TupleTableSlot *excluded)
{
	VSS_CONFLICT_STATE *conflict = target->ri_onConflict;
	ExprContext *context = upsert->state->ps.ps_ExprContext;
	TupleDesc desc = RelationGetDescr(target->ri_RelationDesc);
	TupleTableSlot *row;

	ResetExprContext(context);
	context->ecxt_scantuple = conflict->oc_Existing;
	context->ecxt_innertuple = excluded;
	context->ecxt_outertuple = NULL;
	if (!ExecQual(conflict->oc_WhereClause, context))
	{
		InstrCountFiltered1(&upsert->state->ps, 1);
		return NULL;
	}
	row = ExecProject(conflict->oc_ProjInfo);
	row->tts_tableOid = RelationGetRelid(target->ri_RelationDesc);
	if (desc->constr != NULL && desc->constr->has_generated_stored)
		ExecComputeStoredGenerated(target, estate, row, CMD_UPDATE);
	return row;
}

TupleTableSlot *
vssfdw_upsert(VssUpsert *upsert, EState *estate, ResultRelInfo *target, TupleTableSlot *slot)
{
	MemoryContext old;
	bool found;
	TupleTableSlot *row;

	MemoryContextReset(upsert->row_context);
	old = MemoryContextSwitchTo(upsert->row_context);
	found = look_up(upsert, slot);
	if (found && upsert->written != NULL &&
		vssfdw_address_known(upsert->written, read_address(upsert, upsert->lookup, 0)))
		ereport(ERROR, (errcode(ERRCODE_CARDINALITY_VIOLATION),
						errmsg("ON CONFLICT DO UPDATE command cannot affect row a second time"),
						errhint("Ensure that no rows proposed for insertion within the same command have "
								"duplicate constrained values.")));
	if (found)
	{
		vssfdw_store_found(target->ri_onConflict->oc_Existing, upsert->lookup, upsert->address_count,
						   upsert->existing, upsert->existing_count,
						   RelationGetRelationName(target->ri_RelationDesc), old);
		vssfdw_bind_found(upsert->update, upsert->lookup, upsert->address_count);
	}
	vssfdw_rewind(upsert->lookup);
	MemoryContextSwitchTo(old);
	/* none: a trigger in SQLite has refused the row */
	row = found ? compute_row(upsert, estate, target, slot) : NULL;
	return row == NULL ? NULL : vssfdw_write_found(upsert->update, estate, target, row);
}

void
vssfdw_end_upsert(VssUpsert *upsert)
{
	vssfdw_done(upsert->lookup);
	vssfdw_end_modify(upsert->update);
}
