/*
 * unique_keys.c
 *		Tell PostgreSQL's planner which columns SQLite keeps unique.
 *
 * A foreign table has no indexes, so the planner assumes some 200 distinct
 * values in every column that was never ANALYZEd: it then thinks that a join on
 * the primary key multiplies rows.  The planner learns uniqueness from
 * RelOptInfo.indexlist alone.  The entries made here describe unique keys of
 * the SQLite table; they have no access method, so that nothing tries to scan
 * or to probe them.
 *
 * Uniqueness is also used in proofs (a join that stops at the first match), so
 * it is told only where it is sure: SQLite's notion of equality on the column
 * is PostgreSQL's (the column has a class), the index is whole (catalog.c
 * leaves partial ones out) and the collation is deterministic.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

#include "fdw/plan/plan.h"

/* Nothing for a column that compares through a reader: SQLite keeps the stored form unique, not the value. */
static Oid
key_opfamily(const VssPlanColumn *column)
{
	return column->reader == NULL ? vssfdw_class_family(column->class) : InvalidOid;
}

/* The attribute of that name in SQLite, or 0. */
static AttrNumber
find_column(const VssRel *rel, const char *name)
{
	for (int i = 0; i < rel->natts; i++)
	{
		if (rel->columns[i].name != NULL && pg_strcasecmp(rel->columns[i].name, name) == 0)
			return i + 1;
	}
	return 0;
}

static IndexOptInfo *
describe_key(const VssRel *rel, RelOptInfo *baserel, const VssTableKey *key)
{
	int n = list_length(key->columns);
	IndexOptInfo *index = makeNode(IndexOptInfo);
	ListCell *cell;
	int i = 0;

	index->rel = baserel;
	index->ncolumns = n;
	index->nkeycolumns = n;
	index->indexkeys = palloc0(n * sizeof(int));
	index->indexcollations = palloc0(n * sizeof(Oid));
	index->opfamily = palloc0(n * sizeof(Oid));
	index->opcintype = palloc0(n * sizeof(Oid));
	index->canreturn = palloc0(n * sizeof(bool));
	index->unique = true;
	index->immediate = true;
	index->hypothetical = true;
	index->predOK = true;

	foreach (cell, key->columns)
	{
		AttrNumber attnum = find_column(rel, lfirst(cell));
		int32 typmod;

		if (attnum == 0)
			return NULL;
		index->indexkeys[i] = attnum;
		index->opfamily[i] = key_opfamily(&rel->columns[attnum - 1]);
		get_atttypetypmodcoll(rel->relid, attnum, &index->opcintype[i], &typmod, &index->indexcollations[i]);
		if (!OidIsValid(index->opfamily[i]))
			return NULL;
		if (OidIsValid(index->indexcollations[i]) &&
			!get_collation_isdeterministic(index->indexcollations[i]))
			return NULL;
		index->indextlist = lappend(
			index->indextlist, makeTargetEntry((Expr *) makeVar(baserel->relid, attnum, index->opcintype[i],
																typmod, index->indexcollations[i], 0),
											   i + 1, NULL, false));
		i++;
	}
	return index;
}

void
vssfdw_tell_unique_keys(RelOptInfo *baserel)
{
	const VssRel *rel = VSS_REL(baserel);
	ListCell *cell;

	foreach (cell, rel->info->keys)
	{
		const VssTableKey *key = lfirst(cell);
		IndexOptInfo *index = key->unique && key->columns != NIL ? describe_key(rel, baserel, key) : NULL;

		if (index != NULL)
			baserel->indexlist = lappend(baserel->indexlist, index);
	}
}
