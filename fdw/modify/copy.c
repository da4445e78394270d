/*
 * copy.c
 *		COPY FROM in batches where PostgreSQL hands over one row at a time.
 *
 * PostgreSQL 16 and later collect the rows of a COPY for the wrapper.  Before,
 * the wrapper does it, where nobody can tell the difference: no trigger and no
 * default looks at the table in between, and SQLite stores every row that it is
 * given or fails.
 */
#include "fdw/modify/modify.h"

#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Rows that take so many bytes are not collected further. */
#define COLLECTED_BYTES (1024 * 1024)

struct VssCollector
{
	MemoryContext context; /* of the slots and their values */
	TupleTableSlot **slots;
	int size;
	int count;
};

static bool
has_volatile_default(Relation rel)
{
	TupleDesc desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->atthasdef &&
			contain_volatile_functions_not_nextval(build_column_default(rel, i + 1)))
			return true;
	}
	return false;
}

/* Whether SQLite may take a row and not store it, or do more than store it. */
static bool
may_pass_over(VssConnection *conn, const char *table, MemoryContext context)
{
	static const char sql[] = "SELECT 1 FROM main.sqlite_schema WHERE tbl_name = ?1 COLLATE NOCASE AND "
							  "(type IN ('trigger', 'view') OR instr(upper(sql), 'ON CONFLICT') OR "
							  "instr(upper(sql), 'CREATE VIRTUAL'))";
	VssStatement *statement = vssfdw_prepare(conn, sql, context);
	bool found;

	sqlite3_bind_text(statement->stmt, 1, vssfdw_to_utf8(table), -1, SQLITE_TRANSIENT);
	found = vssfdw_step(statement);
	vssfdw_done(statement);
	return found;
}

VssCollector *
vssfdw_collector(VssConnection *conn, ResultRelInfo *target, const char *table, int size,
				 MemoryContext context)
{
	Relation rel = target->ri_RelationDesc;
	VssCollector *collector;
	MemoryContext old;

	if (VSS_COPY_COLLECTS || size <= 1 || target->ri_RootResultRelInfo != NULL ||
		(rel->trigdesc != NULL && rel->trigdesc->trig_insert_after_statement) || has_volatile_default(rel) ||
		may_pass_over(conn, table, context))
		return NULL;
	collector = MemoryContextAllocZero(context, sizeof(VssCollector));
	collector->context = AllocSetContextCreate(context, "vss_fdw rows of COPY", ALLOCSET_DEFAULT_SIZES);
	collector->size = size;
	old = MemoryContextSwitchTo(collector->context);
	collector->slots = palloc0(sizeof(TupleTableSlot *) * size);
	for (int i = 0; i < size; i++)
		collector->slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	MemoryContextSwitchTo(old);
	return collector;
}

bool
vssfdw_collect(VssCollector *collector, TupleTableSlot *slot)
{
	ExecCopySlot(collector->slots[collector->count++], slot);
	return collector->count == collector->size ||
		   MemoryContextMemAllocated(collector->context, false) > COLLECTED_BYTES;
}

TupleTableSlot **
vssfdw_collected(VssCollector *collector, int *count)
{
	*count = collector->count;
	collector->count = 0;
	return collector->slots;
}

void
vssfdw_collector_free(VssCollector *collector)
{
	if (collector == NULL)
		return;
	for (int i = 0; i < collector->size; i++)
		ExecDropSingleTupleTableSlot(collector->slots[i]);
	MemoryContextDelete(collector->context);
}
