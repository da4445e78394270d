/*
 * admin.c
 *		SQL functions for people who run a server: its connections, SQL sent
 *		to SQLite as it stands, versions.
 */
#include "fdw/admin/admin.h"

#include "access/htup_details.h"
#include "catalog/pg_foreign_server.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

VSS_SQL_FUNCTION(vss_fdw_get_connections);
VSS_SQL_FUNCTION(vss_fdw_disconnect);
VSS_SQL_FUNCTION(vss_fdw_disconnect_all);
VSS_SQL_FUNCTION(vss_exec);
VSS_SQL_FUNCTION(vss_sqlite_version);

/* ---------- connections ---------- */

static void
put_connection(VssConnection *conn, void *arg)
{
	ReturnSetInfo *result = arg;
	ForeignServer *server;
	Datum values[3];
	bool nulls[3] = {false, false, false};

	if (conn->db == NULL)
		return;

	/* A server that was dropped has no name left, but may be open until commit. */
	server = GetForeignServerExtended(conn->serverid, FSV_MISSING_OK);
	if (server != NULL)
		values[0] = CStringGetTextDatum(server->servername);
	else
		nulls[0] = true;
	values[1] = BoolGetDatum(server != NULL && !conn->invalidated && !conn->poisoned);
	values[2] = BoolGetDatum(conn->xact_depth > 0);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* () -> setof (server_name text, valid boolean, used_in_xact boolean) */
Datum
vss_fdw_get_connections(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	vssfdw_each_connection(put_connection, fcinfo->resultinfo);
	return (Datum) 0;
}

/* One server, or InvalidOid for all; and what came of it. */
typedef struct Disconnect
{
	Oid serverid;
	bool closed;
} Disconnect;

static void
disconnect(VssConnection *conn, void *arg)
{
	Disconnect *state = arg;

	if (conn->db == NULL || (OidIsValid(state->serverid) && conn->serverid != state->serverid))
		return;
	if (conn->xact_depth > 0 || conn->in_use > 0 || !dlist_is_empty(&conn->statements))
	{
		ereport(WARNING, (errmsg("cannot close connection for server \"%s\" because it is still in use",
								 conn->servername)));
		return;
	}
	vssfdw_close(conn);
	state->closed = true;
}

/* (text) -> boolean: whether a connection was closed */
Datum
vss_fdw_disconnect(PG_FUNCTION_ARGS)
{
	ForeignServer *server = vssfdw_server_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Disconnect state = {.serverid = server->serverid, .closed = false};

	vssfdw_each_connection(disconnect, &state);
	PG_RETURN_BOOL(state.closed);
}

Datum
vss_fdw_disconnect_all(PG_FUNCTION_ARGS)
{
	Disconnect state = {.serverid = InvalidOid, .closed = false};

	vssfdw_each_connection(disconnect, &state);
	PG_RETURN_BOOL(state.closed);
}

/* ---------- SQL as it stands ---------- */

static void
check_server_owner(const ForeignServer *server)
{
	if (!VSS_OWNS_SERVER(server->serverid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_SERVER, server->servername);
}

/* The text behind blanks and comments. */
static const char *
first_token(const char *sql)
{
	for (;;)
	{
		const char *end;

		while (scanner_isspace(*sql))
			sql++;
		if (sql[0] == '-' && sql[1] == '-')
			end = strchr(sql, '\n');
		else if (sql[0] == '/' && sql[1] == '*')
		{
			end = strstr(sql + 2, "*/");
			if (end != NULL)
				end++;
		}
		else
			return sql;
		if (end == NULL)
			return sql + strlen(sql);
		sql = end + 1;
	}
}

static bool
starts_with(const char *sql, const char *keyword)
{
	return pg_strncasecmp(first_token(sql), keyword, strlen(keyword)) == 0;
}

/* Statements that SQLite refuses inside a transaction, or ignores there. */
static bool
runs_outside(const char *sql)
{
	return starts_with(sql, "vacuum") || starts_with(sql, "pragma");
}

/* Whether sqlite3_changes() speaks of this statement once it is done. */
static bool
is_dml(sqlite3_stmt *stmt)
{
	const char *sql = sqlite3_sql(stmt);

	return !sqlite3_stmt_readonly(stmt) &&
		   (starts_with(sql, "insert") || starts_with(sql, "update") || starts_with(sql, "delete") ||
			starts_with(sql, "replace") || starts_with(sql, "with"));
}

/*
 * SQLite's defensive mode protects the tables that a module keeps for itself
 * from writes, and lets triggers be made on them, which run whenever the module
 * writes.  Returns SQLITE_AUTH where the statement that was compiled makes one.
 */
static int
check_trigger(sqlite3 *db)
{
	const char *table = vssfdw_guard_triggered();
	bool shadow = false;
	int rc = SQLITE_OK;

	if (table != NULL)
		rc = bridge_is_shadow(db, "main", table, &shadow);
	if (rc == SQLITE_OK && shadow)
	{
		vssfdw_guard_refuse("vss_exec does not allow triggers on \"%s\", a table that a module keeps.",
							table);
		rc = SQLITE_AUTH;
	}
	return rc;
}

/*
 * Run one statement after the other; rows they return are dropped.  Adds up
 * what sqlite3_changes() tells: rows changed by the statements themselves, not
 * by triggers or inside of virtual tables.  Raises nothing.
 */
static int
run_all(sqlite3 *db, const char *sql, int64 *changes)
{
	size_t length = strlen(sql);
	int rc = SQLITE_OK;

	while (rc == SQLITE_OK && *sql != '\0')
	{
		sqlite3_stmt *stmt;
		bool alters;

		vssfdw_guard_forget_triggered();
		rc = vssfdw_compile(db, sql, length, 0, &stmt, &sql);
		/* Nothing but blanks and comments: no statement. */
		if (rc != SQLITE_OK || stmt == NULL)
			continue;
		rc = check_trigger(db);
		if (rc != SQLITE_OK)
		{
			sqlite3_finalize(stmt);
			return rc;
		}
		alters = starts_with(sqlite3_sql(stmt), "alter");
		do
			rc = alters ? vssfdw_step_compiling(stmt, length) : sqlite3_step(stmt);
		while (rc == SQLITE_ROW);
		if (rc == SQLITE_DONE && is_dml(stmt))
			*changes += sqlite3_changes64(db);
		if (rc == VSS_RC_TOO_COMPLEX)
			sqlite3_finalize(stmt);
		else
			rc = sqlite3_finalize(stmt);
	}
	return rc;
}

/*
 * (server text, sql text) -> bigint: rows inserted, updated and deleted.
 *
 * Part of PostgreSQL's transaction, except for PRAGMA and VACUUM.  The
 * connection is opened anew after those, so that a setting made here does not
 * stay.
 */
Datum
vss_exec(PG_FUNCTION_ARGS)
{
	ForeignServer *server = vssfdw_server_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	char *sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool outside = runs_outside(sql);
	int64 changes = 0;
	VssConnection *conn;
	int rc;

	PreventCommandIfReadOnly("vss_exec");
	check_server_owner(server);
	conn = vssfdw_connect(server->serverid);
	if (outside)
	{
		if (conn->xact_depth > 0)
			ereport(ERROR,
					(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
					 errmsg("PRAGMA and VACUUM cannot run inside a transaction that uses server \"%s\"",
							conn->servername),
					 errhint("Run vss_exec in a transaction of its own.")));
		conn->invalidated = true;
		sqlite3_limit(conn->db, SQLITE_LIMIT_ATTACHED, 1);
	}
	else
	{
		vssfdw_drain(conn, false);
		vssfdw_begin_write(conn);
	}

	conn->guard = outside ? VSS_GUARD_EXEC_OUTSIDE : VSS_GUARD_EXEC;
	rc = run_all(conn->db, sql, &changes);
	conn->guard = VSS_GUARD_OWN;
	if (vssfdw_missed_collation() != NULL && rc == SQLITE_OK)
		rc = SQLITE_ERROR;
	sqlite3_limit(conn->db, SQLITE_LIMIT_ATTACHED, 0);
	if (outside && !sqlite3_get_autocommit(conn->db))
	{
		conn->poisoned = vssfdw_exec_quiet(conn, "ROLLBACK", true) != SQLITE_OK;
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
						errmsg("SQL given to vss_exec must not leave a transaction open")));
	}
	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, conn->db, conn->servername, sql);
	PG_RETURN_INT64(changes);
}

/* ---------- versions ---------- */

/* The SQLite library that this server runs, not the one it was built with. */
Datum
vss_sqlite_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(sqlite3_libversion()));
}
