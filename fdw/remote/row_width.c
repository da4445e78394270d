/*
 * row_width.c
 *		How long a table's rows are in the file.
 *
 * To find rows by a condition without an index SQLite reads the table's pages,
 * and rows with vectors or long texts are many pages.  PostgreSQL knows nothing
 * of columns that a query does not fetch, nor, without ANALYZE, of those that it
 * does.  So some rows are looked at, evenly spread over the rowids: one descent
 * of the tree each.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/remote/remote.h"

#define SAMPLED_ROWS 8

/* What a row has beside its values: its rowid and length, its share of pages that are not full. */
#define ROW_OVERHEAD 8

double
vssfdw_sample_row_bytes(VssConnection *conn, const VssTableInfo *info)
{
	const char *rowid = info->rowid_name != NULL ? vssfdw_quote_identifier(info->rowid_name) : NULL;
	const char *table = vssfdw_quote_identifier(info->name);
	StringInfoData sql;
	VssStatement *statement;
	ListCell *cell;
	double bytes = 0;

	if (rowid == NULL || info->is_view || info->is_virtual || info->columns == NIL)
		return 0;
	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "WITH RECURSIVE span(low, high) AS MATERIALIZED (SELECT (SELECT min(%1$s) FROM %2$s), "
					 "(SELECT max(%1$s) FROM %2$s)), step(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM step "
					 "WHERE i < %3$d) SELECT avg((SELECT %4$d",
					 rowid, table, SAMPLED_ROWS - 1, ROW_OVERHEAD);
	/* of a BLOB SQLite reads the length alone; computed columns are not in the file, mostly */
	foreach (cell, info->columns)
	{
		VssColumnInfo *column = lfirst(cell);

		if (!column->generated)
			appendStringInfo(&sql, " + ifnull(length(t.%s), 0)", vssfdw_quote_identifier(column->name));
	}
	appendStringInfo(&sql,
					 " FROM %2$s AS t WHERE t.%1$s >= low + (high / %3$d.0 - low / %3$d.0) * i "
					 "ORDER BY t.%1$s LIMIT 1)) FROM span, step",
					 rowid, table, SAMPLED_ROWS);
	statement = vssfdw_prepare(conn, sql.data, CurrentMemoryContext);
	if (vssfdw_step(statement))
		bytes = sqlite3_column_double(statement->stmt, 0);
	vssfdw_done(statement);
	return bytes;
}
