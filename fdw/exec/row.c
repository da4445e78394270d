/*
 * row.c
 *		One row on its way: the values bound to a statement, and the slot filled
 *		from what it returns.
 *
 * Scans, KNN scans and direct modifications share these.  Bound values live in
 * the scan's context for them until the next rescan; converted ones in the
 * executor's per-tuple context.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

#include "fdw/exec/exec.h"

/* ---------- binding ---------- */

/* What LIMIT or OFFSET means to SQLite: NULL is none, and less than none an error as everywhere. */
static Datum
row_count(const VssScanParam *param, Datum value, bool *isnull)
{
	bool limit = param->use == VSS_PARAM_LIMIT;

	if (*isnull)
	{
		*isnull = false;
		return Int64GetDatum(limit ? -1 : 0);
	}
	if (DatumGetInt64(value) < 0 && limit)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_ROW_COUNT_IN_LIMIT_CLAUSE), errmsg("LIMIT must not be negative")));
	if (DatumGetInt64(value) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE),
						errmsg("OFFSET must not be negative")));
	return value;
}

void
vssfdw_value_init(VssScanValue *value, Expr *expr, PlanState *parent)
{
	const Const *constant = (const Const *) expr;

	if (!IsA(expr, Const))
	{
		value->state = ExecInitExpr(expr, parent);
		return;
	}
	value->state = NULL;
	value->value = constant->constvalue;
	value->isnull = constant->constisnull;
}

Datum
vssfdw_value(const VssScanValue *value, ExprContext *econtext, bool *isnull)
{
	if (value->state != NULL)
		return ExecEvalExprSwitchContext(value->state, econtext, isnull);
	*isnull = value->isnull;
	return value->value;
}

void
vssfdw_bind_params(ForeignScanState *node, VssScanState *state, VssStatement *statement)
{
	ExprContext *econtext = node->ss.ps.ps_ExprContext;

	for (int i = 0; i < state->nparams; i++)
	{
		VssScanParam *param = &state->params[i];
		MemoryContext old;
		Datum value;
		bool isnull;
		int rc;

		value = vssfdw_value(&param->value, econtext, &isnull);
		if (param->use != VSS_PARAM_VALUE)
			value = row_count(param, value, &isnull);
		old = MemoryContextSwitchTo(state->bound);
		rc = vssfdw_bind_compared(statement->stmt, param->number, param->type, value, isnull);
		MemoryContextSwitchTo(old);
		if (rc != SQLITE_OK)
			vssfdw_report(ERROR, rc, state->conn->db, state->conn->servername, statement->sql);
	}
}

/* ---------- whole rows of joined tables ---------- */

typedef struct VssWholeRow
{
	int place; /* in the scan tuple, from 0 */
	int first; /* result column that is NULL where there is no row; the others follow */
	const char *table;
	TupleDesc desc;
	int ncolumns;
	int *attnums;
	VssColumn *columns;
	Datum *values; /* of desc */
	bool *nulls;
} VssWholeRow;

List *
vssfdw_whole_rows_begin(ForeignScanState *node, List *items, int first)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List *result = NIL;
	ListCell *cell;

	foreach (cell, items)
	{
		List *item = lfirst(cell);
		VssWholeRow *row = palloc0(sizeof(VssWholeRow));
		Var *var;
		Relation rel;

		row->place = list_nth_int(item, VSS_ROW_PLACE) - 1;
		row->first = first;
		row->ncolumns = list_length(item) - VSS_ROW_COLUMNS;
		row->attnums = palloc0(Max(row->ncolumns, 1) * sizeof(int));
		row->columns = palloc0(Max(row->ncolumns, 1) * sizeof(VssColumn));
		var = castNode(Var, list_nth_node(TargetEntry, plan->fdw_scan_tlist, row->place)->expr);
		/* the executor holds the locks */
		rel = table_open(exec_rt_fetch(var->varno, node->ss.ps.state)->relid, NoLock);
		row->table = vssfdw_table_options(RelationGetRelid(rel))->table;
		row->desc = CreateTupleDescCopy(RelationGetDescr(rel));
		row->values = palloc0(row->desc->natts * sizeof(Datum));
		row->nulls = palloc0(row->desc->natts * sizeof(bool));
		for (int i = 0; i < row->ncolumns; i++)
		{
			row->attnums[i] = list_nth_int(item, VSS_ROW_COLUMNS + i);
			vssfdw_column_init(&row->columns[i], rel, row->attnums[i]);
		}
		table_close(rel, NoLock);
		first += 1 + row->ncolumns;
		result = lappend(result, row);
	}
	return result;
}

static void
store_whole_rows(VssScanState *state, VssStatement *statement, TupleTableSlot *slot)
{
	ListCell *cell;

	foreach (cell, state->rows)
	{
		VssWholeRow *row = lfirst(cell);

		if (sqlite3_column_type(statement->stmt, row->first) == SQLITE_NULL)
			continue;
		memset(row->nulls, true, row->desc->natts * sizeof(bool));
		for (int i = 0; i < row->ncolumns; i++)
			row->values[row->attnums[i] - 1] =
				vssfdw_column_datum(&row->columns[i], statement, row->first + 1 + i, row->table,
									&row->nulls[row->attnums[i] - 1]);
		slot->tts_values[row->place] =
			heap_copy_tuple_as_datum(heap_form_tuple(row->desc, row->values, row->nulls), row->desc);
		slot->tts_isnull[row->place] = false;
	}
}

/* ---------- rows ---------- */

/* What avg() gives for "sum count": the division that PostgreSQL's own does. */
static Datum
average(VssStatement *statement, int i, bool *isnull)
{
	const char *text = (const char *) sqlite3_column_text(statement->stmt, i);
	char *sum;
	char *count;

	*isnull = text == NULL;
	if (*isnull)
		return (Datum) 0;
	sum = pstrdup(text);
	count = strchr(sum, ' ');
	*count++ = '\0';
	return DirectFunctionCall2(numeric_div,
							   DirectFunctionCall3(numeric_in, CStringGetDatum(sum),
												   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)),
							   DirectFunctionCall3(numeric_in, CStringGetDatum(count),
												   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

void
vssfdw_store_row(VssScanState *state, VssStatement *statement, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < state->ncolumns; i++)
	{
		int place = state->places[i];

		if (place < 0)
		{
			vssfdw_rowid_to_tid(state->conn, sqlite3_column_int64(statement->stmt, i), &slot->tts_tid);
			continue;
		}
		if (state->averages[i])
		{
			slot->tts_values[place] = average(statement, i, &slot->tts_isnull[place]);
			continue;
		}
		slot->tts_values[place] =
			vssfdw_column_datum(&state->columns[i], statement, i, state->tables[i], &slot->tts_isnull[place]);
	}
	if (state->rows != NIL)
		store_whole_rows(state, statement, slot);
}
