/*
 * modify.h
 *		What writes: INSERT, UPDATE, DELETE, COPY, TRUNCATE.
 */
#ifndef VSS_MODIFY_H
#define VSS_MODIFY_H

#include "postgres.h"

#include "fdw/exec/exec.h"

/* ---------- modify_plan.c ---------- */

/* What planning leaves to execution: the elements of fdw_private. */
enum VssModifyItem
{
	VSS_MODIFY_SQL,       /* String */
	VSS_MODIFY_PARAMS,    /* IntList: attribute of each leading parameter */
	VSS_MODIFY_RETURNED,  /* IntList: attribute of each returned column */
	VSS_MODIFY_VALUES_END /* Integer: offset in the SQL of an INSERT behind its row of values */
};

/* What SQLite says of the table behind rel, and its connection. */
const VssTableInfo *vssfdw_written_table(Relation rel, VssConnection **conn);

/* Whether rows have no rowid and are addressed by info->primary_key. */
bool vssfdw_addressed_by_key(const VssTableInfo *info);

/*
 * Attributes of the foreign table for the primary key of a WITHOUT ROWID table,
 * which must all be there: a part of it is the address of many rows.
 */
List *vssfdw_key_attributes(Relation rel, const VssTableInfo *info);

/* The name of the junk column that carries attribute attno of the key. */
char *vssfdw_key_name(Relation rel, AttrNumber attno);

/* Whether SQLite computes the column: it takes no value then. */
bool vssfdw_is_generated(const VssTableInfo *info, const char *name);

/* The columns of relation relid whose stored values PostgreSQL wants back, as an IntList. */
List *vssfdw_returned_attributes(Relation rel, Index relid, CmdType operation, List *returning,
								 List *check_options);

/* named: the columns that the command names, offset as system columns demand; NULL for all. */
List *vssfdw_plan_modify(Relation rel, Index relid, CmdType operation, Bitmapset *named, List *returning,
						 List *check_options, bool do_nothing);

void vssAddForeignUpdateTargets(PlannerInfo *root, Index rtindex, RangeTblEntry *target_rte,
								Relation target_relation);
int vssIsForeignRelUpdatable(Relation rel);
List *vssPlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan_index);

/* ---------- modify.c ---------- */

/* How values of the attributes (IntList; 0: of none) are bound and read, in their order. */
VssColumn *vssfdw_modified_columns(Relation rel, List *attributes);

/* The same of columns whose values are to be stored, so that they must come back the same. */
VssColumn *vssfdw_stored_columns(const VssTableInfo *info, Relation rel, List *attributes);

/* Callbacks of the executor; changed rows are those of UPDATE and DELETE. */
void vssBeginForeignModify(ModifyTableState *state, ResultRelInfo *target, List *items, int subplan_index,
						   int eflags);
void vssBeginForeignInsert(ModifyTableState *state, ResultRelInfo *target);
TupleTableSlot *vssExecForeignInsert(EState *estate, ResultRelInfo *target, TupleTableSlot *slot,
									 TupleTableSlot *plan_slot);
TupleTableSlot **vssExecForeignBatchInsert(EState *estate, ResultRelInfo *target, TupleTableSlot **slots,
										   TupleTableSlot **plan_slots, int *count);
int vssGetForeignModifyBatchSize(ResultRelInfo *target);
TupleTableSlot *vssExecForeignChange(EState *estate, ResultRelInfo *target, TupleTableSlot *slot,
									 TupleTableSlot *plan_slot);
void vssEndForeignModify(EState *estate, ResultRelInfo *target);
void vssExplainForeignModify(ModifyTableState *state, ResultRelInfo *target, List *items, int subplan_index,
							 struct ExplainState *es);

/* ---------- direct_plan.c: UPDATE and DELETE as one statement ---------- */

/*
 * ForeignScan.fdw_private of a direct modification.  fdw_exprs: the new values
 * that are bound, then what the statement binds otherwise.
 */
enum VssDirectItem
{
	VSS_DIRECT_SQL,      /* String */
	VSS_DIRECT_TARGETS,  /* IntList: attributes that get the bound values */
	VSS_DIRECT_RETURNED, /* IntList: attribute of each returned column, 0 for none of them */
	VSS_DIRECT_COUNTS,   /* Boolean: the rows count for the command tag */
	VSS_DIRECT_LABEL     /* String: the relations joined, "" of one table */
};

bool vssPlanDirectModify(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan_index);

/* ---------- direct_modify.c ---------- */

/* Callbacks of the executor. */
void vssBeginDirectModify(ForeignScanState *node, int eflags);
TupleTableSlot *vssIterateDirectModify(ForeignScanState *node);
void vssEndDirectModify(ForeignScanState *node);
void vssExplainDirectModify(ForeignScanState *node, struct ExplainState *es);

/* ---------- truncate.c ---------- */

void vssExecForeignTruncate(List *rels, DropBehavior behavior, bool restart_seqs);

/* ---------- address_set.c: rows that an UPDATE has changed ---------- */

/* Lives as long as parent; the addresses are copied. */
typedef struct VssAddressSet VssAddressSet;
VssAddressSet *vssfdw_address_set(MemoryContext parent);

/* False when it was in the set before. */
bool vssfdw_address_add(VssAddressSet *set, const bytea *address);

/* ---------- read_before_write.c: what is written is not read by the same command ---------- */

/* Where the rows of a command that writes rel row by row could meet what it has written, find them all first. */
void vssfdw_read_before_writing(PlannerInfo *root, ModifyTable *plan, Relation rel, const VssTableInfo *info);

/* ---------- row_text.c: the row that could not be written ---------- */

typedef struct VssWrittenRow
{
	Relation rel;
	VssColumn *columns; /* count of them: those that are written */
	int count;
	TupleTableSlot *slot; /* NULL for none */
} VssWrittenRow;

/* An ErrorContextCallback's; arg is a VssWrittenRow. */
void vssfdw_row_context(void *arg);

/* ---------- copy.c: rows of a COPY that are not written yet ---------- */

typedef struct VssCollector VssCollector;

/*
 * For COPY into the SQLite table of that name, at most size rows at once; it
 * lives as long as context.  NULL where each row is to be written as it comes.
 */
VssCollector *vssfdw_collector(VssConnection *conn, ResultRelInfo *target, const char *table, int size,
							   MemoryContext context);

/* The row is copied.  True: they are to be written now. */
bool vssfdw_collect(VssCollector *collector, TupleTableSlot *slot);

/* The rows, valid until the next one is collected. */
TupleTableSlot **vssfdw_collected(VssCollector *collector, int *count);

void vssfdw_collector_free(VssCollector *collector);

#endif /* VSS_MODIFY_H */
