/*
 * virtual_tables.c
 *		The hnsw indexes and full-text tables of a SQLite database, as it
 *		describes them.
 */
#include "postgres.h"

#include "fdw/remote/remote.h"

List *
vssfdw_read_indexes(VssConnection *conn)
{
	static const char sql[] = "SELECT name, dim, metric, m, ef_search, content, content_rowid, "
							  "content_vector, declared, missing_sql, margin, visits "
							  "FROM hnsw_indexes WHERE schema = 'main'";
	VssStatement *statement;
	List *list = NIL;

	statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	while (vssfdw_step(statement))
	{
		VssIndexInfo *index = palloc0(sizeof(VssIndexInfo));
		char *metric = vssfdw_column_text(statement, 2);

		index->name = vssfdw_column_text(statement, 0);
		index->dim = sqlite3_column_int(statement->stmt, 1);
		index->metric = strcmp(metric, "l2") == 0   ? BRIDGE_L2
						: strcmp(metric, "ip") == 0 ? BRIDGE_IP
													: BRIDGE_COSINE;
		index->m = sqlite3_column_int(statement->stmt, 3);
		index->ef_search = sqlite3_column_int(statement->stmt, 4);
		index->content = vssfdw_column_text(statement, 5);
		index->content_rowid = vssfdw_column_text(statement, 6);
		index->content_vector = vssfdw_column_text(statement, 7);
		index->declared = sqlite3_column_int(statement->stmt, 8) != 0;
		index->missing_sql = vssfdw_column_text(statement, 9);
		index->margin = sqlite3_column_double(statement->stmt, 10);
		index->visits = sqlite3_column_int(statement->stmt, 11);
		list = lappend(list, index);
	}
	vssfdw_done(statement);
	return list;
}

/*
 * Merges of others measure anew how far searches go on, which no schema version
 * tells: ask again when the database has changed.  What a plan says of it is for
 * costs and EXPLAIN, each search takes what is current; so an index that cannot
 * say is no error here, where its table may only be read.
 */
void
vssfdw_refresh_measured(VssConnection *conn, List *indexes)
{
	ListCell *lc;

	foreach (lc, indexes)
	{
		VssIndexInfo *index = lfirst(lc);
		sqlite3_stmt *stmt;

		if (sqlite3_prepare_v2(conn->db, "SELECT hnsw_margin(?1), hnsw_visits(?1)", -1, &stmt, NULL) !=
			SQLITE_OK)
			return;
		if (sqlite3_bind_text(stmt, 1, vssfdw_to_utf8(index->name), -1, SQLITE_TRANSIENT) == SQLITE_OK &&
			sqlite3_step(stmt) == SQLITE_ROW)
		{
			index->margin = sqlite3_column_double(stmt, 0);
			index->visits = sqlite3_column_int(stmt, 1);
		}
		sqlite3_finalize(stmt);
	}
}

List *
vssfdw_read_full_texts(VssConnection *conn)
{
	static const char sql[] =
		"SELECT name, hnsw_module_of(sql) = 'fts5', hnsw_module_of(sql, 'content'), "
		"hnsw_module_of(sql, 'content_rowid') FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0 "
		"AND hnsw_module_of(sql) IN ('fts3', 'fts4', 'fts5') ORDER BY name";
	VssStatement *statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	List *list = NIL;

	while (vssfdw_step(statement))
	{
		VssFullText *full_text = palloc0(sizeof(VssFullText));

		full_text->name = vssfdw_column_text(statement, 0);
		full_text->ranks = sqlite3_column_int(statement->stmt, 1) != 0;
		full_text->content = vssfdw_column_text(statement, 2);
		full_text->content_rowid = vssfdw_column_text(statement, 3);
		list = lappend(list, full_text);
	}
	vssfdw_done(statement);
	return list;
}
