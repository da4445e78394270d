/*
 * table_cache.c
 *		What DDL says of a foreign table, kept for the session: its options, and
 *		how each of its columns is converted.
 *
 * Both are asked for whenever a scan begins; reading them from the catalogues
 * would cost more than looking up a row.  An entry is made anew after an
 * invalidation of the table, of servers, or of types; what was handed out of
 * the old one lives on until the transaction ends.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/hsearch.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/values/values.h"

typedef struct Described
{
	Oid relid; /* hash key */
	bool valid;
	MemoryContext memory;     /* of everything below */
	VssTableOptions *options; /* NULL: not asked for yet */
	int column_count;
	VssColumn *columns; /* by attnum - 1; name NULL: not asked for yet */
} Described;

static HTAB *tables = NULL;
static Described *latest = NULL; /* the entry last asked for: columns come one by one */

static void
invalidate_all(void)
{
	HASH_SEQ_STATUS scan;
	Described *entry;

	hash_seq_init(&scan, tables);
	while ((entry = hash_seq_search(&scan)) != NULL)
		entry->valid = false;
}

static void
invalidate_table(Datum arg, Oid relid)
{
	Described *entry;

	if (!OidIsValid(relid))
		invalidate_all();
	else if ((entry = hash_search(tables, &relid, HASH_FIND, NULL)) != NULL)
		entry->valid = false;
}

static void
invalidate_syscache(Datum arg, int cacheid, uint32 hashvalue)
{
	invalidate_all();
}

static Described *
find(Oid relid)
{
	Described *entry;
	bool found;

	if (tables == NULL)
	{
		HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(Described)};

		tables = hash_create("vss_fdw foreign tables", 64, &control, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(invalidate_table, (Datum) 0);
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, invalidate_syscache, (Datum) 0);
		CacheRegisterSyscacheCallback(TYPEOID, invalidate_syscache, (Datum) 0);
	}
	if (latest != NULL && latest->relid == relid && latest->valid)
		return latest;
	entry = hash_search(tables, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = false;
		entry->memory = NULL;
	}
	if (!entry->valid)
	{
		if (entry->memory != NULL)
			MemoryContextSetParent(entry->memory, TopTransactionContext);
		entry->memory = NULL;
		entry->options = NULL;
		entry->columns = NULL;
		entry->column_count = 0;
		entry->memory =
			AllocSetContextCreate(CacheMemoryContext, "vss_fdw foreign table", ALLOCSET_SMALL_SIZES);
		/* before the catalogues are read: an invalidation meanwhile must count */
		entry->valid = true;
	}
	latest = entry;
	return entry;
}

const VssTableOptions *
vssfdw_table_options(Oid foreigntableid)
{
	Described *entry = find(foreigntableid);

	if (entry->options == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(entry->memory);
		VssTableOptions *options = vssfdw_read_table_options(foreigntableid);

		MemoryContextSwitchTo(old);
		entry->options = options;
	}
	return entry->options;
}

static void
copy_function(FmgrInfo *function)
{
	function->fn_extra = NULL;
	function->fn_mcxt = CurrentMemoryContext;
}

/*
 * Whether the one who asks may read the column by itself.  Not so behind a view,
 * whose owner may: a row that the view keeps from the one who asks must not
 * show in an error.
 */
static bool
may_read(Oid relid, AttrNumber attnum)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		   pg_attribute_aclcheck(relid, attnum, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/* Whether the form that option column_type names means something for values of this kind. */
static bool
has_form(const VssColumn *column)
{
	bool time = column->kind >= VALUE_DATE && column->kind <= VALUE_TIMESTAMPTZ;
	bool address = column->kind == VALUE_MACADDR || column->kind == VALUE_MACADDR8;

	switch (column->stored)
	{
		case VSS_STORED_INTEGER:
			return time || address || (column->kind >= VALUE_BOOL && column->kind <= VALUE_INT8);
		case VSS_STORED_REAL:
			return time || column->kind == VALUE_FLOAT4 || column->kind == VALUE_FLOAT8 ||
				   column->kind == VALUE_NUMERIC;
		case VSS_STORED_BLOB:
			return address || column->kind == VALUE_BYTEA || column->kind == VALUE_UUID ||
				   column->kind == VALUE_VECTOR;
		case VSS_STORED_TEXT:
		case VSS_STORED_NATURAL:
			break;
	}
	return true;
}

/* Options that mean nothing for the column's type are a mistake. */
static void
check_options(const VssColumn *column, bool not_null)
{
	if (column->unit != VSS_TIME_ANY && !(column->kind >= VALUE_DATE && column->kind <= VALUE_TIMESTAMPTZ))
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("option \"time_unit\" of column \"%s\" means nothing for type %s",
							   column->name, format_type_be(column->type)),
						errhint("It is for date, time and timestamp; drop the option or change the type.")));
	if (column->form != NULL &&
		!(column->kind == VALUE_BOOL ? vssfdw_is_boolean_form(column->form)
									 : vssfdw_is_time_form(column->kind, column->form)))
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("option \"text_form\" of column \"%s\" means nothing for type %s",
							   column->name, format_type_be(column->type)),
						errhint("It is for boolean, date, time and timestamp, and must have all of their "
								"parts.")));
	if (column->form != NULL && (column->stored != VSS_STORED_TEXT || column->unit != VSS_TIME_ANY))
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("option \"text_form\" of column \"%s\" contradicts its option %s",
							   column->name, column->unit != VSS_TIME_ANY ? "time_unit" : "column_type"),
						errhint("Drop one of them: it is for what is stored as TEXT.")));
	if (column->null_value != NULL && column->kind == VALUE_VECTOR)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("option \"null_value\" of column \"%s\" means nothing for type %s",
							   column->name, format_type_be(column->type)),
						errhint("Store NULL where a row has no vector.")));
	/* the planner takes for granted that such a column has no NULL */
	if (column->null_value != NULL && not_null)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("column \"%s\" is NOT NULL, but its option \"null_value\" says that it has NULL",
						column->name),
				 errhint("Use ALTER FOREIGN TABLE ... ALTER COLUMN ... DROP NOT NULL.")));
	if (!has_form(column))
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("option \"column_type\" of column \"%s\" means nothing for type %s",
							   column->name, format_type_be(column->type)),
						errdetail("Values of this type have no such form in SQLite."),
						errhint("Drop the option, or change the type of the foreign column.")));
}

void
vssfdw_column_init(VssColumn *column, Relation rel, AttrNumber attnum)
{
	Described *entry = find(RelationGetRelid(rel));
	VssColumn *kept;

	if (attnum > entry->column_count)
	{
		int count = RelationGetNumberOfAttributes(rel);
		VssColumn *columns = MemoryContextAllocZero(entry->memory, sizeof(VssColumn) * count);

		if (entry->column_count > 0)
			memcpy(columns, entry->columns, sizeof(VssColumn) * entry->column_count);
		entry->columns = columns;
		entry->column_count = count;
	}
	kept = &entry->columns[attnum - 1];
	if (kept->name == NULL)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
		MemoryContext old = MemoryContextSwitchTo(entry->memory);
		VssColumn made;

		VssColumnOptions options = vssfdw_column_options(RelationGetRelid(rel), attnum);

		vssfdw_column_init_type(&made, attribute->atttypid, attribute->atttypmod);
		made.attnum = attnum;
		made.relid = RelationGetRelid(rel);
		made.name = options.name;
		made.stored = options.stored;
		made.unit = options.unit;
		made.form = options.form;
		if (options.null_value != NULL)
			made.null_value = (char *) vssfdw_to_utf8(options.null_value);
		check_options(&made, attribute->attnotnull);
		MemoryContextSwitchTo(old);
		*kept = made;
	}
	*column = *kept;
	column->hidden = !may_read(RelationGetRelid(rel), attnum);
	copy_function(&column->input);
	copy_function(&column->output);
	if (kept->domain_cache != NULL)
		column->domain_cache = palloc0(sizeof(void *));
}
