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
	VSS_MODIFY_SQL,        /* String */
	VSS_MODIFY_PARAMS,     /* IntList: attribute of each leading parameter */
	VSS_MODIFY_RETURNED,   /* IntList: attribute of each returned column */
	VSS_MODIFY_VALUES_END, /* Integer: offset in the SQL of an INSERT behind its row of values */
	VSS_MODIFY_UPSERT,     /* List of enum VssUpsertItem, or NIL */
	VSS_MODIFY_ITEMS       /* how many these are */
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

/*
 * The elements of enum VssModifyItem, without VSS_MODIFY_UPSERT.  named: the columns that the command
 * names, offset as system columns demand; NULL for all.  on_conflict: what follows the row of an INSERT.
 * with_address: the statement returns the row's address after the rest.
 */
List *vssfdw_plan_modify(Relation rel, Index relid, CmdType operation, Bitmapset *named, List *returning,
						 List *check_options, const char *on_conflict, bool with_address);

/* The columns' names in SQLite, a comma between them, each followed by after_name. */
void vssfdw_append_columns(StringInfo sql, Relation rel, List *attributes, const char *after_name);

/* Those of a row's address, or what else SQLite calls it. */
void vssfdw_append_address(StringInfo sql, Relation rel, const VssTableInfo *info);

void vssAddForeignUpdateTargets(PlannerInfo *root, Index rtindex, RangeTblEntry *target_rte,
								Relation target_relation);
int vssIsForeignRelUpdatable(Relation rel);
List *vssPlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan_index);

/* ---------- upsert_plan.c: INSERT ... ON CONFLICT ---------- */

/* What planning leaves of DO UPDATE. */
enum VssUpsertItem
{
	VSS_UPSERT_LOOKUP,   /* String: SELECT of the address of the row in conflict, then of EXISTING */
	VSS_UPSERT_TARGET,   /* IntList: attributes that the lookup binds */
	VSS_UPSERT_EXISTING, /* IntList: attributes that the lookup returns */
	VSS_UPSERT_SEVERAL,  /* Boolean: several rows may come, and both statements return addresses, last */
	VSS_UPSERT_MODIFY,   /* List of enum VssModifyItem: the UPDATE, without VSS_MODIFY_UPSERT */
	VSS_UPSERT_ITEMS     /* how many these are */
};

/* Have PostgreSQL plan ON CONFLICT with a target for tables of ours. */
void vssfdw_install_planner(void);

/* " ON CONFLICT ... DO NOTHING", or "" for a plan that says nothing of conflicts. */
char *vssfdw_conflict_clause(const ModifyTable *plan, Relation rel, const VssTableInfo *info);

/* Whether the command may write several rows. */
bool vssfdw_writes_several(const ModifyTable *plan);

/*
 * The elements of enum VssUpsertItem; NIL for a plan without DO UPDATE.  written: the attributes that
 * the INSERT gives values.  What cannot be done as PostgreSQL does it is an error.
 */
List *vssfdw_plan_upsert(const ModifyTable *plan, Relation rel, Index relid, const VssTableInfo *info,
						 List *written, List *returning, List *check_options);

/* ---------- modify.c ---------- */

/* How values of the attributes (IntList; 0: of none) are bound and read, in their order. */
VssColumn *vssfdw_modified_columns(Relation rel, List *attributes);

/* The same of columns whose values are to be stored, so that they must come back the same. */
VssColumn *vssfdw_stored_columns(VssConnection *conn, const VssTableInfo *info, Relation rel,
								 List *attributes);

typedef struct VssUpsert VssUpsert;

/* A command that writes rows of target.  subplan finds those of UPDATE and DELETE; NULL: the caller does. */
typedef struct VssModify VssModify;
VssModify *vssfdw_begin_modify(EState *estate, ResultRelInfo *target, CmdType operation, Plan *subplan,
							   List *items);
void vssfdw_end_modify(VssModify *modify);

/* The rows that it writes are noted there. */
void vssfdw_set_upsert(VssModify *modify, VssUpsert *upsert);

/*
 * UPDATE of the row whose address is the first values of found's present row.  The row as it was
 * stored, or NULL where SQLite has left it alone.
 */
void vssfdw_bind_found(VssModify *modify, VssStatement *found, int address_count);
TupleTableSlot *vssfdw_write_found(VssModify *modify, EState *estate, ResultRelInfo *target,
								   TupleTableSlot *slot);

/*
 * Put values of the statement's present row, from the first on, into the slot, which owns the
 * tuple from then on; it is made in context.
 */
void vssfdw_store_found(TupleTableSlot *slot, VssStatement *statement, int first, const VssColumn *columns,
						int count, const char *table, MemoryContext context);

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

/* ---------- upsert.c: a row that may be there already ---------- */

VssUpsert *vssfdw_begin_upsert(ModifyTableState *state, ResultRelInfo *target, List *items,
							   VssConnection *conn);

/* The statement has written the row whose address its present row has from column first on. */
void vssfdw_note_written(VssUpsert *upsert, VssStatement *statement, int first);

/*
 * Change the row that has the key of slot, which SQLite did not insert.  The
 * changed row, or NULL where WHERE leaves it alone.
 */
TupleTableSlot *vssfdw_upsert(VssUpsert *upsert, EState *estate, ResultRelInfo *target, TupleTableSlot *slot);
void vssfdw_end_upsert(VssUpsert *upsert);

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
	VSS_DIRECT_LABEL,    /* String: the relations joined, "" of one table */
	VSS_DIRECT_ITEMS     /* how many these are */
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
bool vssfdw_address_known(const VssAddressSet *set, const bytea *address);

/* ---------- read_before_write.c: what is written is not read by the same command ---------- */

/* Where the rows of a command that writes rel row by row could meet what it has written, find them all first. */
void vssfdw_read_before_writing(PlannerInfo *root, ModifyTable *plan, Relation rel, const VssTableInfo *info);

/* ---------- row_text.c: the row that could not be written ---------- */

typedef struct VssWrittenRow
{
	Relation rel;
	sqlite3 *db;
	const List *keys;   /* of VssTableKey: the SQLite table's */
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
