/*
 * read_ahead.c
 *		Rows fetched ahead because the connection is about to write.
 *
 * SQLite leaves open whether a reader in the middle of a table sees what is
 * written to it meanwhile (an UPDATE that moves rows forward could meet them
 * again for ever); PostgreSQL promises that a scan sees the snapshot it began
 * with.  So before a write each reader that is in the middle of its rows puts
 * the rest of them aside, on disk if there are many.
 *
 * There is no ShutdownForeignScan that would let go of a scan below a satisfied
 * LIMIT: the executor also calls it after each FETCH from a cursor, which
 * reads on.
 * A KNN scan whose LIMIT the plan knows is read as far as that.
 *
 * Where putting aside fails, the write fails with it.  A cursor that outlives
 * that, in an outer subtransaction, cannot go on: what was read is gone.
 */
#include "fdw/exec/exec.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

typedef struct VssDrained
{
	Tuplestorestate *rows;
	TupleTableSlot *slot;  /* what rows are read into */
	ItemPointerData *tids; /* of each row: a tuplestore keeps no ctid */
	int64 count, capacity, next;
	bool complete; /* the last row is here; an error may have come before */
} VssDrained;

/* Whether the scan has rows to come that a write could disturb. */
static bool
is_exposed(ForeignScanState *node, bool unbegun)
{
	VssScanState *state = node->fdw_state;

	if (state->drained != NULL || state->statement == NULL)
		return false;
	if (state->source->is_running(state))
		return true;
	if (state->knn != NULL)
		return false;
	/*
	 * A cursor nobody has fetched from yet shows the rows of its declaration
	 * all the same.  A scan that depends on an outer row is begun anew for
	 * each, and cannot be foreseen.
	 */
	return (unbegun || state->owner != CurrentResourceOwner) && !state->started && !state->done &&
		   bms_is_empty(node->ss.ps.plan->allParam);
}

static void
fetch_all(ForeignScanState *node)
{
	VssScanState *state = node->fdw_state;
	TupleTableSlot *scan_slot = node->ss.ss_ScanTupleSlot;
	MemoryContext old = MemoryContextSwitchTo(state->context);
	ResourceOwner owner = CurrentResourceOwner;
	VssDrained *drained = palloc0(sizeof(VssDrained));
	MemoryContext row = AllocSetContextCreate(state->context, "vss_fdw drained row", ALLOCSET_DEFAULT_SIZES);
	/* the executor may still use the row in its own slot */
	TupleTableSlot *slot = MakeSingleTupleTableSlot(scan_slot->tts_tupleDescriptor, &TTSOpsVirtual);

	/* a cursor's rows must not go with the savepoint that writes */
	CurrentResourceOwner = state->owner;
	state->drained = drained;
	drained->rows = tuplestore_begin_heap(false, false, work_mem);
	drained->slot = MakeSingleTupleTableSlot(scan_slot->tts_tupleDescriptor, &TTSOpsMinimalTuple);
	for (;;)
	{
		bool more;

		CHECK_FOR_INTERRUPTS();
		if (state->source->is_satisfied(state))
			break;
		MemoryContextReset(row);
		MemoryContextSwitchTo(row);
		more = state->source->fetch(node, state, slot);
		MemoryContextSwitchTo(state->context);
		if (!more)
			break;
		tuplestore_puttupleslot(drained->rows, slot);
		if (drained->count == drained->capacity)
		{
			drained->capacity = Max(64, 2 * drained->capacity);
			drained->tids =
				drained->tids == NULL
					? MemoryContextAllocHuge(state->context, drained->capacity * sizeof(ItemPointerData))
					: repalloc_huge(drained->tids, drained->capacity * sizeof(ItemPointerData));
		}
		drained->tids[drained->count++] = slot->tts_tid;
	}
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(row);
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	drained->complete = true;
}

static void
drain(void *arg, bool unbegun)
{
	if (is_exposed(arg, unbegun))
		fetch_all(arg);
}

void
vssfdw_drain_before_writes(ForeignScanState *node, VssStatement *statement)
{
	statement->drain = drain;
	statement->drain_arg = node;
}

bool
vssfdw_drained_next(VssScanState *state, TupleTableSlot *slot)
{
	VssDrained *drained = state->drained;
	MemoryContext old;
	bool found;

	if (drained == NULL)
		return false;
	if (!drained->complete)
		ereport(ERROR, (errcode(ERRCODE_INVALID_CURSOR_STATE),
						errmsg("cursor over server \"%s\" has lost its place", state->conn->servername),
						errdetail("A change failed while the rows to come were put aside for it."),
						errhint("Open the cursor again.")));
	if (drained->next == drained->count)
		return false;
	/* a row that comes from disk is allocated, and freed by the slot when the next one comes */
	old = MemoryContextSwitchTo(state->context);
	found = tuplestore_gettupleslot(drained->rows, true, false, drained->slot);
	MemoryContextSwitchTo(old);
	if (!found)
		return false;
	ExecCopySlot(slot, drained->slot);
	slot->tts_tid = drained->tids[drained->next++];
	return true;
}

void
vssfdw_drained_forget(VssScanState *state)
{
	if (state->drained == NULL)
		return;
	if (state->drained->slot != NULL)
		ExecDropSingleTupleTableSlot(state->drained->slot);
	if (state->drained->rows != NULL)
		tuplestore_end(state->drained->rows);
	if (state->drained->tids != NULL)
		pfree(state->drained->tids);
	pfree(state->drained);
	state->drained = NULL;
}
