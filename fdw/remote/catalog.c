/*
 * catalog.c
 *		What a SQLite database says of itself: tables, columns, keys, hnsw
 *		indexes, and how many rows there are.
 *
 * Answers are kept for the connection until PRAGMA schema_version changes; row
 * counts until somebody, we or another process, has changed the data.  A
 * description that was handed out stays valid until the transaction ends, even
 * when the schema has changed meanwhile.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "fdw/remote/remote.h"

/*
 * Count so many rows exactly; above, estimates do.  Wide rows make counting
 * slow, and a new connection's first query waits for it.
 */
#define COUNT_LIMIT 1000

/* No row of SQLite takes fewer bytes of the file. */
#define LEAST_ROW_BYTES 8

/* A view's rows cannot be known without running it. */
#define VIEW_ROWS 1000.0

/* Rows per value of an index without statistics, as SQLite's planner assumes. */
#define DEFAULT_ROWS_PER_VALUE 10.0

typedef struct TableEntry
{
	VssTableInfo info;
	int64 data_version; /* when rows was found */
	int64 own_changes;
} TableEntry;

typedef struct VssCatalog
{
	MemoryContext context;
	int64 schema_version;
	List *tables;     /* of TableEntry * */
	List *full_texts; /* of VssFullText * */
	bool full_texts_read;
	List *indexes; /* of VssIndexInfo * */
	bool indexes_read;
	int64 tuned_version;        /* data_version when their ef_search was read */
	struct VssCatalog *retired; /* of earlier schema versions, until the transaction ends */
} VssCatalog;

/* ---------- small helpers ---------- */

char *
vssfdw_quote_identifier(const char *name)
{
	/* no more than it needs: a long condition names a thousand columns */
	char *quoted = palloc(2 * strlen(name) + 3);
	char *to = quoted;

	*to++ = '"';
	for (const char *p = name; *p != '\0'; p++)
	{
		if (*p == '"')
			*to++ = '"';
		*to++ = *p;
	}
	*to++ = '"';
	*to = '\0';
	return quoted;
}

char *
vssfdw_column_text(VssStatement *statement, int i)
{
	const char *text = (const char *) sqlite3_column_text(statement->stmt, i);

	return text != NULL ? pstrdup(vssfdw_from_utf8(text)) : NULL;
}

/* A column's collation, or NULL for what is no table column; SQLite's memory. */
static const char *
collation_of(VssConnection *conn, const char *table, const char *column)
{
	const char *collation = NULL;

	if (sqlite3_table_column_metadata(conn->db, "main", vssfdw_to_utf8(table), vssfdw_to_utf8(column), NULL,
									  &collation, NULL, NULL, NULL) != SQLITE_OK)
		return NULL;
	return collation;
}

static bool
table_exists(VssConnection *conn, const char *table)
{
	return sqlite3_table_column_metadata(conn->db, "main", vssfdw_to_utf8(table), NULL, NULL, NULL, NULL,
										 NULL, NULL) == SQLITE_OK;
}

static VssStatement *
prepare_with_name(VssConnection *conn, const char *sql, const char *name)
{
	VssStatement *statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	int rc = sqlite3_bind_text(statement->stmt, 1, vssfdw_to_utf8(name), -1, SQLITE_TRANSIENT);

	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, conn->db, conn->servername, sql);
	return statement;
}

static int64
single_integer(VssConnection *conn, const char *sql)
{
	VssStatement *statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	int64 value = vssfdw_step(statement) ? sqlite3_column_int64(statement->stmt, 0) : 0;

	vssfdw_done(statement);
	return value;
}

/* ---------- one table ---------- */

const VssColumnInfo *
vssfdw_find_column(const VssTableInfo *info, const char *name)
{
	ListCell *lc;

	foreach (lc, info->columns)
	{
		const VssColumnInfo *column = lfirst(lc);

		if (pg_strcasecmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

static List *
read_primary_key(VssConnection *conn, const char *table)
{
	VssStatement *statement =
		prepare_with_name(conn, "SELECT name FROM pragma_table_xinfo(?1) WHERE pk > 0 ORDER BY pk", table);
	List *names = NIL;

	while (vssfdw_step(statement))
		names = lappend(names, vssfdw_column_text(statement, 0));
	vssfdw_done(statement);
	return names;
}

/* Kind of table, or false when there is none of this name. */
static bool
read_kind(VssConnection *conn, const char *table, VssTableInfo *info)
{
	BridgeTableKind kind;
	int rc = bridge_table_kind(conn->db, "main", vssfdw_to_utf8(table), &kind);

	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, conn->db, conn->servername, "SELECT ... FROM main.sqlite_schema");
	if (kind.name == NULL)
		return false;
	PG_TRY();
	{
		info->name = pstrdup(vssfdw_from_utf8(kind.name));
	}
	PG_FINALLY();
	{
		sqlite3_free(kind.name);
	}
	PG_END_TRY();
	info->is_view = kind.is_view;
	info->is_virtual = kind.is_virtual;
	info->has_rowid = !kind.is_view && !kind.without_rowid;
	info->strict = kind.strict;
	return true;
}

static void
read_columns(VssConnection *conn, VssTableInfo *info)
{
	VssStatement *statement;

	/*
	 * The pragma expands a view while it runs, where nothing stops it: see first
	 * that it can be done.
	 */
	vssfdw_done(vssfdw_prepare(conn, psprintf("SELECT * FROM %s", vssfdw_quote_identifier(info->name)),
							   CurrentMemoryContext));

	statement = prepare_with_name(conn,
								  "SELECT name, type, \"notnull\", pk, hidden, dflt_value IS NOT NULL FROM "
								  "pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid",
								  info->name);
	info->primary_key = read_primary_key(conn, info->name);
	while (vssfdw_step(statement))
	{
		VssColumnInfo *column = palloc0(sizeof(VssColumnInfo));
		const char *collation;

		column->name = vssfdw_column_text(statement, 0);
		column->declared = vssfdw_column_text(statement, 1);
		if (column->declared == NULL)
			column->declared = pstrdup("");
		column->affinity = vssfdw_affinity(column->declared, info->strict);
		column->not_null = sqlite3_column_int(statement->stmt, 2) != 0;
		column->generated = sqlite3_column_int(statement->stmt, 4) != 0;
		column->has_default = sqlite3_column_int(statement->stmt, 5) != 0;
		info->columns = lappend(info->columns, column);

		if (sqlite3_column_int(statement->stmt, 3) > 0 && pg_strcasecmp(column->declared, "INTEGER") == 0)
			info->rowid_alias = column->name;

		/* What a view's column inherits cannot be asked for: take it for any. */
		collation = info->is_view || info->is_virtual ? NULL : collation_of(conn, info->name, column->name);
		if (collation == NULL || pg_strcasecmp(collation, "BINARY") != 0)
			info->nocase_columns = lappend(info->nocase_columns, column->name);
	}
	vssfdw_done(statement);
	if (list_length(info->primary_key) != 1 || !info->has_rowid || info->is_virtual)
		info->rowid_alias = NULL;
}

/* A column that is there without being declared. */
static VssColumnInfo *
undeclared_column(const char *name, const char *declared)
{
	VssColumnInfo *column = palloc0(sizeof(VssColumnInfo));

	column->name = pstrdup(name);
	column->declared = pstrdup(declared);
	column->affinity = vssfdw_affinity(declared, false);
	return column;
}

/* A full-text table declares no types, and hides its key and its rank. */
static void
complete_full_text(VssTableInfo *info)
{
	VssColumnInfo *rowid = undeclared_column("rowid", "INTEGER");
	ListCell *lc;

	foreach (lc, info->columns)
	{
		VssColumnInfo *column = lfirst(lc);

		column->declared = pstrdup("TEXT");
		column->affinity = VSS_AFFINITY_TEXT;
	}
	info->columns = lcons(rowid, info->columns);
	info->rowid_alias = rowid->name;
	if (info->full_text->ranks)
	{
		VssColumnInfo *rank = undeclared_column("rank", "REAL");

		rank->generated = true;
		rank->sure = true;
		info->columns = lappend(info->columns, rank);
	}
}

static void
choose_rowid_name(VssConnection *conn, VssTableInfo *info)
{
	static const char *const spellings[] = {"rowid", "_rowid_", "oid"};

	if (!info->has_rowid)
		return;
	for (int i = 0; i < lengthof(spellings) && info->rowid_name == NULL; i++)
		if (vssfdw_find_column(info, spellings[i]) == NULL)
			info->rowid_name = pstrdup(spellings[i]);
	if (info->rowid_name == NULL)
		info->rowid_name = info->rowid_alias;

	/* A module may have made its table WITHOUT ROWID; preparing tells. */
	if (info->is_virtual && info->rowid_name != NULL)
	{
		sqlite3_stmt *stmt = NULL;
		char *sql = psprintf("SELECT %s FROM %s", info->rowid_name, vssfdw_quote_identifier(info->name));

		if (sqlite3_prepare_v2(conn->db, vssfdw_to_utf8(sql), -1, &stmt, NULL) != SQLITE_OK)
		{
			info->has_rowid = false;
			info->rowid_name = NULL;
		}
		sqlite3_finalize(stmt);
	}
}

/*
 * The statistics of one index, "rows a b c": rows per value of the first
 * column, the first two, ...; NULL where ANALYZE was never run.  With index
 * NULL the line of the table itself.
 */
static char *
read_stat1(VssConnection *conn, const char *table, const char *index)
{
	static const char sql[] = "SELECT stat FROM sqlite_stat1 WHERE tbl = ?1 COLLATE NOCASE "
							  "AND (?2 IS NULL OR idx = ?2 COLLATE NOCASE) "
							  "ORDER BY CAST(stat AS INTEGER) DESC LIMIT 1";
	VssStatement *statement;
	char *stat = NULL;

	if (!table_exists(conn, "sqlite_stat1"))
		return NULL;
	statement = prepare_with_name(conn, sql, table);
	if (index != NULL &&
		sqlite3_bind_text(statement->stmt, 2, vssfdw_to_utf8(index), -1, SQLITE_TRANSIENT) != SQLITE_OK)
		vssfdw_report(ERROR, SQLITE_NOMEM, NULL, conn->servername, sql);
	if (vssfdw_step(statement))
		stat = vssfdw_column_text(statement, 0);
	vssfdw_done(statement);
	return stat;
}

/* Number i of a stat1 line, or -1. */
static double
stat_number(const char *stat, int i)
{
	if (stat == NULL)
		return -1;
	for (const char *p = stat; *p != '\0';)
	{
		char *end;
		double value = strtod(p, &end);

		if (end == p)
			return -1; /* "unordered" and such */
		if (i-- == 0)
			return value;
		p = end;
	}
	return -1;
}

/* The usable front of an index: plain columns compared by bytes. */
static VssTableKey *
read_key(VssConnection *conn, const VssTableInfo *info, const char *index, bool unique, bool primary)
{
	VssTableKey *key = palloc0(sizeof(VssTableKey));
	VssStatement *statement = prepare_with_name(
		conn, "SELECT cid, name, coll, \"desc\" FROM pragma_index_xinfo(?1) WHERE key ORDER BY seqno", index);
	bool complete = true;

	while (vssfdw_step(statement))
	{
		char *collation = vssfdw_column_text(statement, 2);

		if (sqlite3_column_int(statement->stmt, 0) < 0 || collation == NULL ||
			pg_strcasecmp(collation, "BINARY") != 0)
		{
			complete = false;
			break;
		}
		key->columns = lappend(key->columns, vssfdw_column_text(statement, 1));
		key->descending = lappend_int(key->descending, sqlite3_column_int(statement->stmt, 3));
	}
	vssfdw_done(statement);
	if (key->columns == NIL)
		return NULL;

	key->name = primary && !info->has_rowid ? NULL : pstrdup(index);
	key->whole = complete;
	key->unique = unique && complete;
	key->rows_per_value = stat_number(read_stat1(conn, info->name, index), list_length(key->columns));
	if (key->unique)
		key->rows_per_value = 1;
	else if (key->rows_per_value < 1)
		key->rows_per_value = DEFAULT_ROWS_PER_VALUE;
	return key;
}

static void
read_keys(VssConnection *conn, VssTableInfo *info)
{
	VssStatement *statement = prepare_with_name(
		conn, "SELECT name, \"unique\", origin FROM pragma_index_list(?1) WHERE NOT partial ORDER BY seq",
		info->name);
	VssTableKey *key;

	while (vssfdw_step(statement))
	{
		char *index = vssfdw_column_text(statement, 0);
		bool primary = strcmp(vssfdw_column_text(statement, 2), "pk") == 0;

		/* INTEGER PRIMARY KEY DESC is no alias of rowid; it has an index instead. */
		if (primary)
			info->rowid_alias = NULL;
		key = read_key(conn, info, index, sqlite3_column_int(statement->stmt, 1) != 0, primary);
		if (key != NULL)
			info->keys = lappend(info->keys, key);
	}
	vssfdw_done(statement);

	if (info->rowid_alias != NULL)
	{
		key = palloc0(sizeof(VssTableKey));
		key->columns = list_make1(info->rowid_alias);
		key->descending = list_make1_int(0);
		key->whole = true;
		key->unique = true;
		key->rows_per_value = 1;
		info->keys = lcons(key, info->keys);
	}
}

/* ---------- rows ---------- */

/*
 * ANALYZE knows; small tables are counted, though, for it may have run long
 * ago.  Of larger ones the span of rowids is an upper bound that costs two
 * descents of the tree.
 */
static double
estimate_rows(VssConnection *conn, const VssTableInfo *info)
{
	const char *table = info->name;
	double rows;
	double known;

	if (info->is_hnsw && info->indexes != NIL)
	{
		const VssIndexInfo *index = linitial(info->indexes);

		table =
			index->content != NULL && index->declared ? index->content : psprintf("%s_vectors", info->name);
		if (!table_exists(conn, table))
			return VIEW_ROWS;
	}
	else if (info->is_view || info->is_virtual)
		return VIEW_ROWS;

	known = stat_number(read_stat1(conn, table, NULL), 0);
	if (known >= COUNT_LIMIT)
		return known;
	rows = single_integer(conn, psprintf("SELECT count(*) FROM (SELECT 1 FROM %s LIMIT %d)",
										 vssfdw_quote_identifier(table), COUNT_LIMIT));
	if (rows < COUNT_LIMIT)
		return rows;
	if (known < 0 && info->rowid_name != NULL)
	{
		known = single_integer(
			conn, psprintf("SELECT (SELECT max(%1$s) FROM %2$s) - (SELECT min(%1$s) FROM %2$s) + 1",
						   info->is_hnsw ? "rowid" : info->rowid_name, vssfdw_quote_identifier(table)));
		/* rowids may lie far apart */
		known = Min(known, single_integer(conn, "SELECT page_count * page_size FROM pragma_page_count, "
												"pragma_page_size") /
							   Max(info->row_bytes, LEAST_ROW_BYTES));
	}
	return Max(known, rows);
}

/* ---------- hnsw indexes, full-text tables ---------- */

static List *
cached_indexes(VssConnection *conn, VssCatalog *catalog)
{
	if (!catalog->indexes_read)
	{
		MemoryContext old = MemoryContextSwitchTo(catalog->context);

		catalog->indexes = vssfdw_read_indexes(conn);
		catalog->indexes_read = true;
		MemoryContextSwitchTo(old);
	}
	return catalog->indexes;
}

static List *
cached_full_texts(VssConnection *conn, VssCatalog *catalog)
{
	if (!catalog->full_texts_read)
	{
		MemoryContext old = MemoryContextSwitchTo(catalog->context);

		catalog->full_texts = vssfdw_read_full_texts(conn);
		catalog->full_texts_read = true;
		MemoryContextSwitchTo(old);
	}
	return catalog->full_texts;
}

/* Enter what full-text search has to do with the table. */
static void
find_full_texts(VssConnection *conn, VssCatalog *catalog, VssTableInfo *info)
{
	ListCell *lc;

	foreach (lc, cached_full_texts(conn, catalog))
	{
		VssFullText *full_text = lfirst(lc);

		if (pg_strcasecmp(full_text->name, info->name) == 0)
			info->full_text = full_text;
		else if (full_text->content != NULL && pg_strcasecmp(full_text->content, info->name) == 0)
			info->full_texts = lappend(info->full_texts, full_text);
	}
}

/* ---------- the cache ---------- */

static VssCatalog *
new_catalog(int64 schema_version)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "vss_fdw catalog", ALLOCSET_SMALL_SIZES);
	VssCatalog *catalog = MemoryContextAllocZero(context, sizeof(VssCatalog));

	catalog->context = context;
	catalog->schema_version = schema_version;
	return catalog;
}

/* The cache, of the schema as this transaction sees it.  Call under a hold. */
static VssCatalog *
current_catalog(VssConnection *conn)
{
	int64 version = single_integer(conn, "PRAGMA schema_version");
	VssCatalog *catalog = conn->catalog;

	if (catalog == NULL || catalog->schema_version != version)
	{
		VssCatalog *fresh = new_catalog(version);

		fresh->retired = catalog;
		conn->catalog = catalog = fresh;
	}
	return catalog;
}

static void
delete_catalogs(VssCatalog *catalog)
{
	while (catalog != NULL)
	{
		VssCatalog *next = catalog->retired;

		MemoryContextDelete(catalog->context);
		catalog = next;
	}
}

void
vssfdw_forget_catalog(VssConnection *conn)
{
	delete_catalogs(conn->catalog);
	conn->catalog = NULL;
}

void
vssfdw_forget_retired_catalogs(VssConnection *conn)
{
	if (conn->catalog == NULL)
		return;
	delete_catalogs(conn->catalog->retired);
	conn->catalog->retired = NULL;
}

/*
 * Whether columns hold values of their affinity alone.  A view made of several
 * SELECTs has the first one's types and everybody's values; views are made of
 * views, so one such in the database is enough to doubt all.
 */
static bool
keeps_affinity(VssConnection *conn, const VssTableInfo *info)
{
	if (info->is_view)
		return single_integer(conn, "SELECT count(*) FROM sqlite_schema WHERE type = 'view' AND "
									"(instr(upper(sql), 'UNION') OR instr(upper(sql), 'INTERSECT') OR "
									"instr(upper(sql), 'EXCEPT'))") == 0;
	return !info->is_virtual || info->is_hnsw;
}

/* Fill an entry in the current memory context. */
static TableEntry *
read_table(VssConnection *conn, VssCatalog *catalog, const char *table)
{
	TableEntry *entry = palloc0(sizeof(TableEntry));
	VssTableInfo *info = &entry->info;
	ListCell *lc;

	if (!read_kind(conn, table, info))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
				 errmsg("SQLite database \"%s\" of server \"%s\" has no table \"%s\"",
						conn->options->database, conn->servername, table),
				 errhint("Correct the foreign table's option \"table\", or import the schema again.")));
	read_columns(conn, info);
	find_full_texts(conn, catalog, info);
	if (info->full_text != NULL)
		complete_full_text(info);
	read_keys(conn, info);
	choose_rowid_name(conn, info);
	foreach (lc, cached_indexes(conn, catalog))
	{
		VssIndexInfo *index = lfirst(lc);

		if (pg_strcasecmp(index->name, info->name) == 0)
			info->is_hnsw = true;
		else if (index->content == NULL || pg_strcasecmp(index->content, info->name) != 0)
			continue;
		info->indexes = lappend(info->indexes, index);
	}
	info->keeps_affinity = keeps_affinity(conn, info);
	entry->data_version = -1;
	return entry;
}

/* The columns of a query, with the declarations of those columns that it passes on. */
static void
read_query_columns(VssConnection *conn, VssTableInfo *info)
{
	VssStatement *statement =
		vssfdw_prepare(conn, psprintf("SELECT * FROM %s", info->name), CurrentMemoryContext);

	for (int i = 0; i < sqlite3_column_count(statement->stmt); i++)
	{
		VssColumnInfo *column = palloc0(sizeof(VssColumnInfo));
		const char *declared = sqlite3_column_decltype(statement->stmt, i);

		column->name = pstrdup(vssfdw_from_utf8(sqlite3_column_name(statement->stmt, i)));
		column->declared = pstrdup(declared != NULL ? vssfdw_from_utf8(declared) : "");
		column->affinity = vssfdw_affinity(column->declared, false);
		info->columns = lappend(info->columns, column);
		info->nocase_columns = lappend(info->nocase_columns, column->name);
	}
	vssfdw_done(statement);
}

/* The same of a query, which is a view without a name. */
static TableEntry *
read_query(VssConnection *conn, const char *query)
{
	TableEntry *entry = palloc0(sizeof(TableEntry));
	VssTableInfo *info = &entry->info;

	/* without the brackets */
	vssfdw_check_query(conn, pnstrdup(query + 1, strlen(query) - 2));
	info->name = pstrdup(query);
	info->is_view = info->is_query = true;
	read_query_columns(conn, info);
	/* what it computes has any type */
	info->keeps_affinity = false;
	entry->data_version = -1;
	return entry;
}

static const VssTableInfo *
find_info(VssConnection *conn, const char *table, bool is_query)
{
	MemoryContext work =
		AllocSetContextCreate(CurrentMemoryContext, "vss_fdw catalog reading", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	VssHold *hold = vssfdw_hold(conn, work);
	bool unread = sqlite3_txn_state(conn->db, "main") == SQLITE_TXN_NONE;
	VssCatalog *catalog = current_catalog(conn);
	TableEntry *entry = NULL;
	int64 data_version = single_integer(conn, "PRAGMA data_version");
	int64 own_changes = sqlite3_total_changes64(conn->db);
	ListCell *lc;

	foreach (lc, catalog->tables)
	{
		TableEntry *candidate = lfirst(lc);

		if (candidate->info.is_query == is_query &&
			(is_query ? strcmp(candidate->info.name, table) : pg_strcasecmp(candidate->info.name, table)) ==
				0)
			entry = candidate;
	}
	if (entry == NULL)
	{
		MemoryContextSwitchTo(catalog->context);
		entry = is_query ? read_query(conn, table) : read_table(conn, catalog, table);
		catalog->tables = lappend(catalog->tables, entry);
		MemoryContextSwitchTo(work);
	}
	if (entry->data_version != data_version)
		vssfdw_refresh_measured(conn, entry->info.indexes);
	if (entry->data_version != data_version || entry->own_changes != own_changes)
	{
		entry->info.rows = estimate_rows(conn, &entry->info);
		/* a small table is read whole in no time, however wide it is */
		if (entry->info.row_bytes == 0 && entry->info.rows >= COUNT_LIMIT)
		{
			entry->info.row_bytes = vssfdw_sample_row_bytes(conn, &entry->info);
			entry->info.rows = estimate_rows(conn, &entry->info);
		}
		entry->data_version = data_version;
		entry->own_changes = own_changes;
	}
	if (unread)
		vssfdw_forget_read(conn);
	vssfdw_release(hold);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	return &entry->info;
}

const VssTableInfo *
vssfdw_table_info(VssConnection *conn, const char *table)
{
	return find_info(conn, table, false);
}

const VssTableInfo *
vssfdw_described(VssConnection *conn, const VssTableOptions *options)
{
	return options->query != NULL ? find_info(conn, options->query, true)
								  : find_info(conn, options->table, false);
}

char *
vssfdw_source(const VssTableOptions *options)
{
	return options->query != NULL ? options->query
								  : psprintf("\"main\".%s", vssfdw_quote_identifier(options->table));
}

List *
vssfdw_indexes(VssConnection *conn)
{
	VssHold *hold = vssfdw_hold(conn, CurrentMemoryContext);
	List *list = cached_indexes(conn, current_catalog(conn));

	vssfdw_release(hold);
	return list;
}
