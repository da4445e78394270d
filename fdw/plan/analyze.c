/*
 * analyze.c
 *		ANALYZE of a foreign table: a sample of its rows for the planner's
 *		statistics.
 *
 * All rows are stepped over, as that is what the row count and an unbiased
 * sample take, but SQLite reads a row's columns only when they are asked for:
 * just the rows of the sample are fetched and converted.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/vacuum.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"

#include "fdw/plan/plan.h"

typedef struct Sample
{
	Relation rel;
	VssStatement *statement;
	const char *table;
	int ncolumns;
	VssColumn *columns;
	MemoryContext row; /* of one conversion */
} Sample;

/* SELECT of all columns; their conversions. */
static void
open_sample(Sample *sample, VssConnection *conn, MemoryContext context)
{
	TupleDesc desc = RelationGetDescr(sample->rel);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	sample->columns = palloc0(Max(desc->natts, 1) * sizeof(VssColumn));
	for (int i = 0; i < desc->natts; i++)
	{
		VssColumn *column = &sample->columns[sample->ncolumns];

		if (vssfdw_is_absent(TupleDescAttr(desc, i)))
			continue;
		vssfdw_column_init(column, sample->rel, i + 1);
		appendStringInfo(&sql, "%sr1.%s", sample->ncolumns > 0 ? ", " : "",
						 vssfdw_quote_identifier(column->name));
		sample->ncolumns++;
	}
	if (sample->ncolumns == 0)
		appendStringInfoString(&sql, "NULL");
	appendStringInfo(&sql, " FROM %s AS r1",
					 vssfdw_source(vssfdw_table_options(RelationGetRelid(sample->rel))));
	sample->statement = vssfdw_prepare(conn, sql.data, context);
}

static HeapTuple
form_row(Sample *sample)
{
	TupleDesc desc = RelationGetDescr(sample->rel);
	MemoryContext caller = MemoryContextSwitchTo(sample->row);
	Datum *values = palloc0(Max(desc->natts, 1) * sizeof(Datum));
	bool *nulls = palloc(Max(desc->natts, 1) * sizeof(bool));
	HeapTuple tuple;

	memset(nulls, true, desc->natts * sizeof(bool));
	for (int i = 0; i < sample->ncolumns; i++)
	{
		int place = sample->columns[i].attnum - 1;

		values[place] =
			vssfdw_column_datum(&sample->columns[i], sample->statement, i, sample->table, &nulls[place]);
	}
	MemoryContextSwitchTo(caller);
	tuple = heap_form_tuple(desc, values, nulls);
	MemoryContextReset(sample->row);
	return tuple;
}

/* An AcquireSampleRowsFunc. */
static int
acquire_sample(Relation rel, int elevel, HeapTuple *rows, int targrows, double *totalrows,
			   double *totaldeadrows)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "vss_fdw ANALYZE", ALLOCSET_DEFAULT_SIZES);
	VssConnection *conn = vssfdw_connect(GetForeignTable(RelationGetRelid(rel))->serverid);
	Sample sample = {.rel = rel, .table = vssfdw_table_options(RelationGetRelid(rel))->table};
	ReservoirStateData reservoir;
	double seen = 0;
	double skip = -1;
	int n = 0;

	(void) vssfdw_hold(conn, context);
	sample.row = AllocSetContextCreate(context, "vss_fdw ANALYZE row", ALLOCSET_DEFAULT_SIZES);
	open_sample(&sample, conn, context);
	reservoir_init_selection_state(&reservoir, targrows);

	/* Vitter's algorithm Z, as PostgreSQL samples its own tables */
	while (vssfdw_step(sample.statement))
	{
		CHECK_FOR_INTERRUPTS();
		if (n < targrows)
			rows[n++] = form_row(&sample);
		else
		{
			if (skip < 0)
				skip = reservoir_get_next_S(&reservoir, seen, targrows);
			if (skip <= 0)
			{
				int k = (int) (targrows * sampler_random_fract(&reservoir.randstate));

				heap_freetuple(rows[k]);
				rows[k] = form_row(&sample);
			}
			skip -= 1;
		}
		seen += 1;
	}
	/* statement and hold go with their context */
	MemoryContextDelete(context);

	*totalrows = seen;
	*totaldeadrows = 0;
	ereport(elevel, (errmsg("\"%s\": SQLite table \"%s\" contains %.0f rows; %d rows in sample",
							RelationGetRelationName(rel), sample.table, seen, n)));
	return n;
}

bool
vssAnalyzeForeignTable(Relation rel, AcquireSampleRowsFunc *func, BlockNumber *totalpages)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "vss_fdw ANALYZE", ALLOCSET_SMALL_SIZES);
	VssConnection *conn = vssfdw_connect(GetForeignTable(RelationGetRelid(rel))->serverid);
	VssStatement *statement;
	double bytes = 0;

	/* the size of the whole database bounds that of the table; nothing tells it cheaply */
	(void) vssfdw_hold(conn, context);
	statement = vssfdw_prepare(conn, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
							   context);
	if (vssfdw_step(statement))
		bytes = sqlite3_column_double(statement->stmt, 0);
	MemoryContextDelete(context);
	*totalpages = (BlockNumber) Min(Max(bytes / BLCKSZ, 1), (double) MaxBlockNumber);
	*func = acquire_sample;
	return true;
}
