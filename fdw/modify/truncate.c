/*
 * truncate.c
 *		TRUNCATE of foreign tables: DELETE without a condition, which SQLite does
 *		at once where no trigger watches the rows; RESTART IDENTITY starts
 *		AUTOINCREMENT over.
 */
#include "fdw/modify/modify.h"

#include "utils/rel.h"

static void
run(VssConnection *conn, char *sql)
{
	VssStatement *statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);

	while (vssfdw_step(statement))
		;
	vssfdw_done(statement);
}

void
vssExecForeignTruncate(List *rels, DropBehavior behavior, bool restart_seqs)
{
	ListCell *lc;

	/* all checks before the first row is gone */
	foreach (lc, rels)
	{
		Relation rel = lfirst(lc);
		VssServerOptions *server =
			vssfdw_server_options(GetForeignServer(GetForeignTable(RelationGetRelid(rel))->serverid));
		const VssTableOptions *table = vssfdw_table_options(RelationGetRelid(rel));

		if (server->read_only || !table->updatable || !table->truncatable)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("foreign table \"%s\" does not allow truncates", RelationGetRelationName(rel))));
	}
	foreach (lc, rels)
	{
		Relation rel = lfirst(lc);
		VssConnection *conn = vssfdw_connect(GetForeignTable(RelationGetRelid(rel))->serverid);
		char *table = vssfdw_table_options(RelationGetRelid(rel))->table;
		VssHold *hold = vssfdw_hold(conn, CurrentMemoryContext);

		vssfdw_begin_write(conn);
		vssfdw_drain(conn, false);
		run(conn, psprintf("DELETE FROM main.%s", vssfdw_quote_identifier(table)));
		if (restart_seqs)
		{
			VssStatement *exists =
				vssfdw_prepare(conn, "SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'",
							   CurrentMemoryContext);
			bool has_sequences = vssfdw_step(exists);

			vssfdw_done(exists);
			if (has_sequences)
			{
				VssStatement *reset =
					vssfdw_prepare(conn, "DELETE FROM main.sqlite_sequence WHERE name = ? COLLATE NOCASE",
								   CurrentMemoryContext);

				sqlite3_bind_text(reset->stmt, 1, vssfdw_to_utf8(table), -1, SQLITE_TRANSIENT);
				vssfdw_step(reset);
				vssfdw_done(reset);
			}
		}
		vssfdw_release(hold);
	}
}
