/*
 * deparse_select.c
 *		Statements for SQLite: scans of one table, the three of a KNN scan, and
 *		joins with what is done to their rows.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"

#include "fdw/ship/ship.h"

/* What addresses a row for UPDATE and DELETE; see modify.c. */
static void
put_rowid(VssDeparse *context)
{
	const char *name = VSS_REL(context->rel)->info->rowid_name;

	if (name == NULL)
		appendStringInfoString(context->buf, "NULL");
	else
		appendStringInfo(context->buf, "r%u.%s", context->rel->relid, vssfdw_quote_identifier(name));
}

static void
put_columns(VssDeparse *context, List *columns)
{
	ListCell *cell;
	bool first = true;

	foreach (cell, columns)
	{
		if (!first)
			appendStringInfoString(context->buf, ", ");
		first = false;
		if (lfirst_int(cell) == SelfItemPointerAttributeNumber)
			put_rowid(context);
		else
			appendStringInfo(
				context->buf, "r%u.%s", context->rel->relid,
				vssfdw_quote_identifier(VSS_REL(context->rel)->columns[lfirst_int(cell) - 1].name));
	}
}

static void
put_from(VssDeparse *context)
{
	appendStringInfo(context->buf, "%s AS r%u", vssfdw_source(VSS_REL(context->rel)->table),
					 context->rel->relid);
}

void
vssfdw_deparse_select(VssDeparse *context, List *columns, List *conds)
{
	appendStringInfoString(context->buf, "SELECT ");
	if (columns == NIL)
		appendStringInfoString(context->buf, "NULL");
	put_columns(context, columns);
	appendStringInfoString(context->buf, " FROM ");
	put_from(context);
	vssfdw_deparse_conds(context, "WHERE", conds);
}

static const char *
distance_function(BridgeMetric metric)
{
	switch (metric)
	{
		case BRIDGE_COSINE:
			return "cosine_distance";
		case BRIDGE_L2:
			return "l2_distance";
		case BRIDGE_IP:
			return "-inner_product";
	}
	elog(ERROR, "unknown metric: %d", (int) metric);
}

/* Whether the index is of a WITHOUT ROWID table, whose rows it knows by their key. */
static bool
is_keyed(VssDeparse *context)
{
	const VssTableInfo *info = VSS_REL(context->rel)->info;

	return !info->is_hnsw && !info->has_rowid;
}

/* The rowid that the index gives the row. */
static char *
rowid_sql(VssDeparse *context, const VssIndexInfo *index)
{
	const VssTableInfo *info = VSS_REL(context->rel)->info;
	StringInfoData key;
	ListCell *cell;

	if (!is_keyed(context))
		return psprintf("r%u.%s", context->rel->relid,
						vssfdw_quote_identifier(info->is_hnsw ? "rowid" : index->content_rowid));
	initStringInfo(&key);
	foreach (cell, info->primary_key)
		appendStringInfo(&key, ", r%u.%s", context->rel->relid, vssfdw_quote_identifier(lfirst(cell)));
	return psprintf("hnsw_label(%s%s)", vssfdw_quote_literal(index->name), key.data);
}

/* That k and the table are on the same row. */
static void
put_same_row(VssDeparse *context, const VssIndexInfo *index)
{
	int i = 0;
	ListCell *cell;

	if (!is_keyed(context))
	{
		appendStringInfo(context->buf, "%s = k.rowid", rowid_sql(context, index));
		return;
	}
	foreach (cell, VSS_REL(context->rel)->info->primary_key)
	{
		appendStringInfo(context->buf, "%sr%u.%s = k.k%d", i > 0 ? " AND " : "", context->rel->relid,
						 vssfdw_quote_identifier(lfirst(cell)), i);
		i++;
	}
}

static char *
vector_sql(VssDeparse *context, const VssIndexInfo *index)
{
	const char *name = VSS_REL(context->rel)->info->is_hnsw ? "embedding" : index->content_vector;

	return psprintf("r%u.%s", context->rel->relid, vssfdw_quote_identifier(name));
}

/* The distance of the row's own vector. */
static char *
distance_sql(VssDeparse *context, const VssIndexInfo *index)
{
	return psprintf("%s(%s, ?%d)", distance_function(index->metric), vector_sql(context, index),
					VSS_PARAM_QUERY);
}

/*
 * Whether the index alone has all that a stream wants: rowids and distances,
 * and rows that the module keeps equal to the table's.
 */
static bool
index_suffices(VssDeparse *context, const VssIndexInfo *index, List *columns, List *conds)
{
	const VssRel *rel = VSS_REL(context->rel);
	const char *rowid = rel->info->is_hnsw ? "rowid" : index->content_rowid;
	ListCell *cell;

	if (!index->declared || index->missing_sql != NULL || conds != NIL || is_keyed(context))
		return false;
	foreach (cell, columns)
	{
		int attnum = lfirst_int(cell);

		if (attnum != SelfItemPointerAttributeNumber &&
			pg_strcasecmp(rel->columns[attnum - 1].name, rowid) != 0)
			return false;
	}
	return true;
}

/*
 * The stream is k CROSS JOIN table: SQLite keeps that order, so that k is the
 * outer loop and rows come in order of distance without a sorter.  The table
 * is left out where the index alone has the answer: looking up ten rows costs
 * as much as a good part of the search.
 *
 * The distance is k's where the module keeps index and table equal.  Where
 * hand-written triggers do, it is computed from the row itself, and a row that
 * has lost its vector comes with those that have none.
 */
static void
deparse_stream(VssDeparse *context, const VssIndexInfo *index, List *columns, List *conds, VssKnnSql which,
			   bool bounded)
{
	StringInfo buf = context->buf;
	char *rowid = rowid_sql(context, index);
	char *distance = distance_sql(context, index);
	bool alone = index_suffices(context, index, columns, conds);

	appendStringInfoString(buf, "SELECT ");
	if (alone)
	{
		for (int i = 0; i < list_length(columns); i++)
			appendStringInfoString(buf, "k.rowid, ");
	}
	else
	{
		put_columns(context, columns);
		if (columns != NIL)
			appendStringInfoString(buf, ", ");
	}
	appendStringInfoString(buf, index->declared ? "k.distance" : distance);
	appendStringInfo(buf, ", k.rowid FROM \"main\".%s(?%d, ?%d, ?%d, ?%d, ?%d) AS k",
					 vssfdw_quote_identifier(index->name), VSS_PARAM_QUERY, VSS_PARAM_K, VSS_PARAM_EF,
					 VSS_PARAM_STRATEGY, VSS_PARAM_STATS);
	if (alone)
	{
		if (bounded)
			appendStringInfo(buf, " WHERE k.distance <= ?%d", VSS_PARAM_BOUND);
		return;
	}
	appendStringInfoString(buf, " CROSS JOIN ");
	put_from(context);
	appendStringInfoString(buf, " ON ");
	put_same_row(context, index);
	if (!index->declared && which != VSS_KNN_NEAREST)
		appendStringInfo(buf, " AND %s IS NOT NULL", distance);
	if (bounded)
		appendStringInfo(buf, " AND k.distance <= ?%d", VSS_PARAM_BOUND);
	if (which == VSS_KNN_PREFILTER)
	{
		appendStringInfo(buf, " WHERE k.rowid IN (SELECT %s FROM ", rowid);
		put_from(context);
		vssfdw_deparse_conds(context, "WHERE", conds);
		appendStringInfoChar(buf, ')');
	}
	else
		vssfdw_deparse_conds(context, "WHERE", conds);
}

/*
 * Rows that a stream cannot give: those without a vector, and those whose vector has
 * no direction, asked for one after the other.  The index lists them.  Of an index kept
 * by hand-written triggers every row is a candidate, since rows older than the triggers are
 * missing in it; the reader skips those that it had, and they come in one go.
 */
static void
deparse_unplaced(VssDeparse *context, const VssIndexInfo *index, List *columns, List *conds)
{
	StringInfo buf = context->buf;
	char *vector = vector_sql(context, index);
	char *distance = distance_sql(context, index);

	appendStringInfoString(buf, "SELECT ");
	put_columns(context, columns);
	if (columns != NIL)
		appendStringInfoString(buf, ", ");
	appendStringInfo(buf, "%s, %s, %s IS NULL FROM ", distance, rowid_sql(context, index), vector);
	if (!index->declared)
	{
		put_from(context);
		vssfdw_deparse_conds(context, "WHERE", conds);
		appendStringInfo(buf, " ORDER BY %d, %d NULLS LAST", list_length(columns) + 3,
						 list_length(columns) + 1);
		return;
	}
	appendStringInfo(buf, "\"main\".%s(?%d, NULL, NULL, 'unplaced') AS k CROSS JOIN ",
					 vssfdw_quote_identifier(index->name), VSS_PARAM_QUERY);
	put_from(context);
	appendStringInfoString(buf, " ON ");
	put_same_row(context, index);
	appendStringInfo(buf, " AND (%s IS NULL) = ?%d", vector, VSS_PARAM_K);
	vssfdw_deparse_conds(context, "WHERE", conds);
}

void
vssfdw_deparse_knn(VssDeparse *context, VssKnnSql which, const VssIndexInfo *index, List *columns,
				   List *conds, bool bounded)
{
	if (which == VSS_KNN_UNPLACED)
		deparse_unplaced(context, index, columns, conds);
	else
		deparse_stream(context, index, columns, conds, which, bounded);
}

/* ---------- joins, and what is done to their rows ---------- */

/* SELECT 1 FROM inner WHERE clauses, after [NOT] EXISTS. */
static void
put_exists(VssDeparse *context, const VssExists *exists)
{
	VssRel *inner = VSS_REL(exists->inner);
	ListCell *cell;
	const char *word = "AND";

	appendStringInfoString(context->buf,
						   exists->anti ? "NOT EXISTS (SELECT 1 FROM " : "EXISTS (SELECT 1 FROM ");
	vssfdw_deparse_relation(context, exists->inner);
	vssfdw_deparse_conds(context, "WHERE", list_concat_copy(exists->clauses, inner->remote_conds));
	if (exists->clauses == NIL && inner->remote_conds == NIL)
		word = "WHERE";
	foreach (cell, inner->exists)
	{
		appendStringInfo(context->buf, " %s ", word);
		word = "AND";
		put_exists(context, lfirst(cell));
	}
	appendStringInfoChar(context->buf, ')');
}

static void
put_table(VssDeparse *context, RelOptInfo *rel)
{
	appendStringInfo(context->buf, "%s AS r%u", vssfdw_source(VSS_REL(rel)->table), rel->relid);
}

/* A table with its conditions, where they must be tested before the join. */
static void
put_filtered(VssDeparse *context, RelOptInfo *rel)
{
	const VssRel *side = VSS_REL(rel);
	const char *separator = "(SELECT ";

	if (side->remote_conds == NIL)
	{
		put_table(context, rel);
		return;
	}
	for (int i = 0; i < side->natts; i++)
	{
		if (side->columns[i].name == NULL)
			continue;
		appendStringInfo(context->buf, "%sr%u.%s", separator, rel->relid,
						 vssfdw_quote_identifier(side->columns[i].name));
		separator = ", ";
	}
	appendStringInfoString(context->buf, " FROM ");
	put_table(context, rel);
	vssfdw_deparse_conds(context, "WHERE", side->remote_conds);
	appendStringInfo(context->buf, ") AS r%u", rel->relid);
}

/*
 * A join in parentheses.  within_full: it is part of a side of a full join, so
 * that conditions are tested where they belong, in the tables and in ON; else
 * those of WHERE are written there.
 */
static void
put_join(VssDeparse *context, RelOptInfo *rel, bool within_full)
{
	VssRel *join = VSS_REL(rel);
	RelOptInfo *sides[] = {join->outer, join->inner};
	bool filtered = within_full || join->jointype == JOIN_FULL;
	List *conds = join->join_clauses;

	appendStringInfoChar(context->buf, '(');
	for (int i = 0; i < lengthof(sides); i++)
	{
		if (i > 0)
			appendStringInfoString(context->buf, join->jointype == JOIN_FULL   ? " FULL JOIN "
												 : join->jointype == JOIN_LEFT ? " LEFT JOIN "
																			   : " JOIN ");
		if (!filtered)
			vssfdw_deparse_relation(context, sides[i]);
		else if (VSS_REL(sides[i])->outer == NULL)
			put_filtered(context, sides[i]);
		else
			put_join(context, sides[i], true);
	}
	if (within_full)
		conds = list_concat_copy(conds, join->own_conds);
	if (conds != NIL)
		vssfdw_deparse_conds(context, "ON", conds);
	else if (join->jointype != JOIN_INNER)
		appendStringInfoString(context->buf, " ON 1");
	appendStringInfoChar(context->buf, ')');
}

/*
 * What stands in FROM for a base relation or join.  Conditions of WHERE are not
 * in it: inner joins hand theirs up, and those of the inner side of a left join
 * are in its ON already.
 */
void
vssfdw_deparse_relation(VssDeparse *context, RelOptInfo *rel)
{
	VssRel *join = VSS_REL(rel);

	if (join->outer == NULL)
		put_table(context, rel);
	else if (join->jointype == JOIN_SEMI || join->jointype == JOIN_ANTI)
		vssfdw_deparse_relation(context, join->outer);
	else
		put_join(context, rel, false);
}

void
vssfdw_deparse_where(VssDeparse *context, RelOptInfo *rel)
{
	VssRel *state = VSS_REL(rel);
	const char *word = state->remote_conds != NIL ? "AND" : "WHERE";
	ListCell *cell;

	vssfdw_deparse_conds(context, "WHERE", state->remote_conds);
	foreach (cell, state->exists)
	{
		appendStringInfo(context->buf, " %s ", word);
		word = "AND";
		put_exists(context, lfirst(cell));
	}
}

void
vssfdw_deparse_rows(VssDeparse *context, RelOptInfo *rel)
{
	appendStringInfoString(context->buf, " FROM ");
	vssfdw_deparse_relation(context, rel);
	vssfdw_deparse_where(context, rel);
}
