/*
 * query.c
 *		SQL of a user's that only reads: one SELECT, for vss_query and the table
 *		option "query".
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/remote/remote.h"

/* Compile and drop it, under the rules for queries; SQLite's code. */
static int
compile(VssConnection *conn, const char *sql, bool *good)
{
	VssGuardMode mode = conn->guard;
	sqlite3_stmt *stmt = NULL;
	int rc;

	conn->guard = VSS_GUARD_QUERY;
	rc = sqlite3_prepare_v2(conn->db, vssfdw_to_utf8(sql), -1, &stmt, NULL);
	conn->guard = mode;
	*good = stmt != NULL && sqlite3_stmt_readonly(stmt) && sqlite3_bind_parameter_count(stmt) == 0;
	sqlite3_finalize(stmt);
	return rc;
}

/*
 * In brackets nothing but a query is grammatical, and by itself nothing that
 * closes the bracket.
 */
void
vssfdw_check_query(VssConnection *conn, const char *sql)
{
	bool good;
	int rc = compile(conn, psprintf("SELECT * FROM %s", vssfdw_query_source(sql)), &good);

	if (rc == SQLITE_OK)
		rc = compile(conn, sql, &good);
	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, conn->db, conn->servername, sql);
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the SQL for server \"%s\" must be one SELECT without parameters", conn->servername),
				 errhint("vss_exec runs other statements of SQLite's, for the server's owner."),
				 errcontext("SQL statement sent to SQLite: %s", sql)));
}

/* Behind a semicolon nothing but blanks and comments is left: drop it, as it could not stand in brackets. */
char *
vssfdw_query_source(const char *sql)
{
	StringInfoData source;
	int end = (int) strlen(sql);

	while (end > 0 && strchr(" \t\r\n;", sql[end - 1]) != NULL)
		end--;
	initStringInfo(&source);
	/* a comment may be its last line */
	appendStringInfo(&source, "(%.*s\n)", end, sql);
	return source.data;
}
