/*
 * rowid.c
 *		SQLite's rowid in a ctid.
 *
 * A rowid from 0 to 2^47-1 stands in the ctid's 48 bits as it is.  Any other
 * one is put into an array of its connection, and the ctid has the highest bit
 * set and holds the place in the array.  The array lives as long as the
 * transaction, as ctids do.
 */
#include "fdw/values/values.h"

#include "utils/memutils.h"

#define IN_ARRAY (UINT64CONST(1) << 47)

typedef struct VssRowids
{
	int64 count, capacity;
	int64 *values;
} VssRowids;

static void
put(ItemPointer tid, uint64 bits)
{
	ItemPointerSet(tid, (BlockNumber) (bits >> 16), (OffsetNumber) (bits & 0xffff));
}

void
vssfdw_rowid_to_tid(VssConnection *conn, int64 rowid, ItemPointer tid)
{
	VssRowids *rowids;

	if (rowid >= 0 && (uint64) rowid < IN_ARRAY)
	{
		put(tid, (uint64) rowid);
		return;
	}
	if (conn->rowids == NULL)
		conn->rowids = MemoryContextAllocZero(TopTransactionContext, sizeof(VssRowids));
	rowids = conn->rowids;
	if (rowids->count == rowids->capacity)
	{
		int64 capacity = Max(64, 2 * rowids->capacity);

		rowids->values = rowids->values == NULL
							 ? MemoryContextAllocHuge(TopTransactionContext, capacity * sizeof(int64))
							 : repalloc_huge(rowids->values, capacity * sizeof(int64));
		rowids->capacity = capacity;
	}
	rowids->values[rowids->count] = rowid;
	put(tid, IN_ARRAY | (uint64) rowids->count++);
}

int64
vssfdw_tid_to_rowid(VssConnection *conn, ItemPointer tid)
{
	uint64 bits =
		(uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16 | ItemPointerGetOffsetNumberNoCheck(tid);

	if (!(bits & IN_ARRAY))
		return (int64) bits;
	bits &= ~IN_ARRAY;
	if (conn->rowids == NULL || (int64) bits >= conn->rowids->count)
		elog(ERROR, "ctid does not belong to a row of this transaction");
	return conn->rowids->values[bits];
}
