/*
 * exec.h
 *		How rows are fetched, and what EXPLAIN says of it.
 */
#ifndef VSS_EXEC_H
#define VSS_EXEC_H

#include "postgres.h"

#include "commands/explain.h"
#include "utils/resowner.h"

#include "fdw/plan/plan.h"
#include VSS_EXPLAIN_FORMAT_H
#include VSS_EXPLAIN_STATE_H

/* ---------- scan.c ---------- */

/* A value of the query, evaluated anew for each scan unless it is a constant. */
typedef struct VssScanValue
{
	ExprState *state; /* NULL: the constant */
	Datum value;
	bool isnull;
} VssScanValue;

/* One value to bind. */
typedef struct VssScanParam
{
	VssScanValue value;
	Oid type;
	int number; /* ?number */
	enum
	{
		VSS_PARAM_VALUE,
		VSS_PARAM_LIMIT,
		VSS_PARAM_OFFSET
	} use;
} VssScanParam;

typedef struct VssKnnScan VssKnnScan;
typedef struct VssScanState VssScanState;

/* Where a scan's rows come from: one statement, or those of knn.c. */
typedef struct VssRowSource
{
	/* The next row into the slot, stored there; false at the end. */
	bool (*fetch)(ForeignScanState *node, VssScanState *state, TupleTableSlot *slot);
	/* Whether a statement is in the middle of its rows. */
	bool (*is_running)(VssScanState *state);
	/* Whether as many rows were given as the plan reads at most. */
	bool (*is_satisfied)(VssScanState *state);
} VssRowSource;

struct VssScanState
{
	VssConnection *conn;
	VssHold *hold;
	MemoryContext context; /* lives as long as the scan */
	MemoryContext bound;   /* bound values; reset at each rescan */

	const char *sql;
	VssStatement *statement; /* NULL under EXPLAIN without ANALYZE */
	bool started;            /* bound and not yet reset */
	bool done;

	int ncolumns;
	VssColumn *columns;  /* of the result columns */
	const char **tables; /* their tables in SQLite, for errors; NULL for a computed one */
	bool *averages;      /* the column is "sum count" of avg() */
	int *places;         /* their places in the scan tuple, from 0; negative: the ctid */
	List *rows;          /* VssWholeRow of row.c */
	int nparams;
	VssScanParam *params;

	const VssRowSource *source;
	VssKnnScan *knn; /* NULL in other scans */

	ResourceOwner owner;        /* of the query, or its cursor */
	struct VssDrained *drained; /* read_ahead.c's; NULL unless rows were fetched ahead */
};

/* Callbacks of the executor. */
void vssBeginForeignScan(ForeignScanState *node, int eflags);
TupleTableSlot *vssIterateForeignScan(ForeignScanState *node);
void vssReScanForeignScan(ForeignScanState *node);
bool vssRecheckForeignScan(ForeignScanState *node, TupleTableSlot *slot);
void vssEndForeignScan(ForeignScanState *node);

/* ---------- row.c ---------- */

/* A constant costs no set-up of an expression, which a short scan would feel. */
void vssfdw_value_init(VssScanValue *value, Expr *expr, PlanState *parent);
Datum vssfdw_value(const VssScanValue *value, ExprContext *econtext, bool *isnull);

/* Bind the conditions' parameters to a statement. */
void vssfdw_bind_params(ForeignScanState *node, VssScanState *state, VssStatement *statement);

/* What of a scan's state reads whole rows (a List, for VssScanState.rows). */
List *vssfdw_whole_rows_begin(ForeignScanState *node, List *items, int first);

/* Fill the slot from the current row; the places not fetched are NULL. */
void vssfdw_store_row(VssScanState *state, VssStatement *statement, TupleTableSlot *slot);

/* ---------- read_ahead.c ---------- */

/* Have the statement's remaining rows fetched before this connection writes. */
void vssfdw_drain_before_writes(ForeignScanState *node, VssStatement *statement);
bool vssfdw_drained_next(VssScanState *state, TupleTableSlot *slot);
void vssfdw_drained_forget(VssScanState *state);

/* ---------- knn.c ---------- */

VssKnnScan *vssfdw_knn_begin(ForeignScanState *node, List *items);
/* Prepare what may follow state->statement; not under EXPLAIN alone. */
void vssfdw_knn_prepare(ForeignScanState *node, VssScanState *state);
/* VssRowSource's. */
bool vssfdw_knn_fetch(ForeignScanState *node, VssScanState *state, TupleTableSlot *slot);
bool vssfdw_knn_is_running(VssScanState *state);
bool vssfdw_knn_satisfied(VssScanState *state);
void vssfdw_knn_rescan(VssScanState *state);
void vssfdw_knn_end(VssScanState *state);

/* What EXPLAIN tells of one scan; sums over all rescans. */
typedef struct VssKnnReport
{
	const char *strategy; /* of the last search, NULL before any */
	int64 ef;             /* likewise; 0 where it went by the margin */
	double margin;
	int64 searches;
	uint64 nodes_visited;
	uint64 distances_computed;
	uint64 delta_rows;
	uint64 rows_filtered;
	const char *behind; /* why the last search did not ask a graph that is there, or NULL */
	int64 bad_rows;     /* rows that hold no vector of the index's kind */
} VssKnnReport;

void vssfdw_knn_report(VssScanState *state, VssKnnReport *report);

/*
 * The k nearest of a whole index, for the rowset function vss_knn: rowids and
 * distances, nearest first.  query is dim floats that stay valid until the
 * cursor is closed; ef 0 takes vss_fdw.ef_search, else the index's own.  The
 * statement and the read transaction are given back by vssfdw_knn_close or
 * when context is reset.  Errors are reported.
 */
typedef struct VssKnnCursor VssKnnCursor;
VssKnnCursor *vssfdw_knn_open(VssConnection *conn, const char *index, const float *query, int dim, int64 k,
							  int ef, MemoryContext context);
bool vssfdw_knn_next(VssKnnCursor *cursor, int64 *rowid, double *distance);
void vssfdw_knn_close(VssKnnCursor *cursor);

/* ---------- explain.c ---------- */

void vssExplainForeignScan(ForeignScanState *node, ExplainState *es);

#endif /* VSS_EXEC_H */
