/*
 * relation.c
 *		The columns of a foreign table as the planner sees them: which of
 *		SQLite's each is, how it compares, which hnsw indexes it feeds.
 */
#include "postgres.h"

#include "access/table.h"
#include "utils/rel.h"

#include "fdw/ship/ship.h"

static bool
is_binary(const VssTableInfo *info, const char *name)
{
	ListCell *cell;

	if (info->is_view)
		return false;
	foreach (cell, info->nocase_columns)
	{
		if (pg_strcasecmp(lfirst(cell), name) == 0)
			return false;
	}
	return true;
}

void
vssfdw_load_columns(VssRel *rel)
{
	/* the planner holds a lock already */
	Relation relation = table_open(rel->relid, NoLock);

	rel->natts = RelationGetDescr(relation)->natts;
	rel->columns = palloc0(rel->natts * sizeof(VssPlanColumn));
	for (int i = 0; i < rel->natts; i++)
	{
		VssPlanColumn *out = &rel->columns[i];
		const VssColumnInfo *info;
		VssColumn column = {0};

		if (vssfdw_is_absent(TupleDescAttr(RelationGetDescr(relation), i)))
			continue;
		vssfdw_column_init(&column, relation, i + 1);
		info = vssfdw_find_column(rel->info, column.name);
		out->name = column.name;
		vssfdw_classify(out, &column, info, rel->info->keeps_affinity || (info != NULL && info->sure));
		out->binary = is_binary(rel->info, column.name);
		out->not_null =
			out->null_value == NULL &&
			((info != NULL && info->not_null) ||
			 (rel->info->rowid_alias != NULL && pg_strcasecmp(rel->info->rowid_alias, column.name) == 0));
	}
	table_close(relation, NoLock);
}

const VssPlanColumn *
vssfdw_var_column(PlannerInfo *root, const Var *var)
{
	RelOptInfo *baserel;
	VssRel *rel;

	if (var->varlevelsup != 0 || var->varattno <= 0 || IS_SPECIAL_VARNO(var->varno))
		return NULL;
	baserel = root->simple_rel_array[var->varno];
	if (baserel == NULL || baserel->fdw_private == NULL || baserel->fdwroutine == NULL)
		return NULL;
	rel = VSS_REL(baserel);
	if (var->varattno > rel->natts || rel->columns[var->varattno - 1].name == NULL)
		return NULL;
	return &rel->columns[var->varattno - 1];
}

List *
vssfdw_column_indexes(const VssRel *rel, AttrNumber attnum)
{
	List *result = NIL;
	ListCell *cell;
	const char *name;

	if (attnum <= 0 || attnum > rel->natts || rel->columns[attnum - 1].name == NULL)
		return NIL;
	name = rel->columns[attnum - 1].name;
	foreach (cell, rel->info->indexes)
	{
		VssIndexInfo *index = lfirst(cell);
		const char *column = rel->info->is_hnsw ? "embedding" : index->content_vector;

		if (column != NULL && pg_strcasecmp(column, name) == 0)
			result = lappend(result, index);
	}
	return result;
}

const VssIndexInfo *
vssfdw_column_index(const VssRel *rel, AttrNumber attnum, BridgeMetric metric)
{
	ListCell *cell;

	foreach (cell, vssfdw_column_indexes(rel, attnum))
	{
		if (((VssIndexInfo *) lfirst(cell))->metric == metric)
			return lfirst(cell);
	}
	return NULL;
}
