/*
 * guard.c
 *		What a connection to somebody else's file may do.
 *
 * A database may come from anybody, and its schema takes part in every
 * statement: views, triggers, defaults, CHECKs, generated columns, indexes on
 * expressions.  All of SQLite's own functions and virtual tables may be used
 * there (the schema is trusted), since ordinary files need JSON, FTS and R*Tree
 * and SQLite before 3.44 marks none of these as innocuous.  What would
 * reach beyond the file is refused one by one, whoever asks for it:
 *
 *	SQLite's own switches	extension loading, writable_schema, direct writes to
 *							shadow tables (defensive), fts3_tokenizer
 *	flags of functions		what is DIRECTONLY cannot be called by a schema: all
 *							of ours that touch files or ask servers
 *	the authorizer			here: functions by name, ATTACH, statements on
 *							virtual tables that tell of the session, pragmas
 *							that are not on a list
 *	the VFS					vfs.c: which files are opened, made and removed
 *
 * The authorizer is not asked of expressions in the schema that SQLite keeps
 * compiled (CHECK, generated columns, indexes); the switches and flags hold there.
 *
 * Everything here is called by SQLite: flags only, nothing of PostgreSQL.
 */
#include "fdw/remote/remote.h"

/* "" when nothing was refused. */
static char refusal[400];

void
vssfdw_guard_refuse(const char *format, const char *what)
{
	sqlite3_snprintf(sizeof(refusal), refusal, format, what == NULL ? "" : what);
}

static int
refuse(const char *format, const char *what)
{
	vssfdw_guard_refuse(format, what);
	return SQLITE_DENY;
}

const char *
vssfdw_guard_refusal(void)
{
	return refusal[0] != '\0' ? refusal : NULL;
}

void
vssfdw_guard_forget_refusal(void)
{
	refusal[0] = '\0';
}

/* The table of the trigger that is being made, "" where none is. */
static char triggered[400];

const char *
vssfdw_guard_triggered(void)
{
	return triggered[0] != '\0' ? triggered : NULL;
}

void
vssfdw_guard_forget_triggered(void)
{
	triggered[0] = '\0';
}

static bool
is_among(const char *name, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (name != NULL && sqlite3_stricmp(name, names[i]) == 0)
			return true;
	return false;
}

/*
 * Functions that read or write files, load code, or take addresses.  Those of
 * the sqlite3 shell are here as well: an administrator's extension may bring
 * them for the server's own statements, never for a schema.
 */
static int
check_function(const char *name)
{
	static const char *const refused[] = {"fts3_tokenizer", "load_extension", "readfile", "writefile",
										  "edit",           "fsdir",          "lsmode",   "sqlite_log"};

	return is_among(name, refused, lengthof(refused)) ? refuse("vss_fdw does not allow function %s().", name)
													  : SQLITE_OK;
}

/*
 * Pragmas without an argument only read, or tidy the file.  Those with one are
 * allowed where they look at the database or change what is stored in it...
 */
static const char *const lasting_pragmas[] = {
	"application_id",    "collation_list",   "data_version",  "database_list", "defer_foreign_keys",
	"foreign_key_check", "foreign_key_list", "function_list", "index_info",    "index_list",
	"index_xinfo",       "integrity_check",  "module_list",   "optimize",      "pragma_list",
	"quick_check",       "table_info",       "table_list",    "table_xinfo",   "user_version",
};

/*
 * ... and, where the connection is new or is closed afterwards, where they
 * change the connection.  What is left are settings of the whole process
 * (heap limits, folders for temporary files), maps of the file, and what the
 * connection's safety rests upon.
 */
static const char *const passing_pragmas[] = {
	"analysis_limit",
	"auto_vacuum",
	"cache_size",
	"cell_size_check",
	"encoding",
	"foreign_keys",
	"ignore_check_constraints",
	"incremental_vacuum",
	"journal_mode",
	"journal_size_limit",
	"legacy_alter_table",
	"max_page_count",
	"page_size",
	"query_only",
	"recursive_triggers",
	"secure_delete",
	"synchronous",
	"wal_autocheckpoint",
	"wal_checkpoint",
};

static int
check_pragma(VssGuardMode mode, const char *name, const char *value)
{
	if (value == NULL || is_among(name, lasting_pragmas, lengthof(lasting_pragmas)))
		return SQLITE_OK;
	if (mode != VSS_GUARD_EXEC && is_among(name, passing_pragmas, lengthof(passing_pragmas)))
		return SQLITE_OK;
	return refuse("vss_fdw does not allow PRAGMA %s with a value.", name);
}

/* Functions of ours that change the file, or ask servers: nothing for queries. */
static int
check_query(const char *function)
{
	static const char *const refused[] = {"hnsw_add",    "hnsw_del",   "hnsw_save",    "hnsw_rebuild",
										  "hnsw_recall", "hnsw_model", "get_embedding"};

	return is_among(function, refused, lengthof(refused))
			   ? refuse("vss_fdw does not allow function %s() in queries.", function)
			   : check_function(function);
}

/*
 * Asked for every step of compiling a statement.  It also serves to stop
 * compiling: views that multiply can keep SQLite at it for long, where it asks
 * the progress handler nothing.
 *
 * vss_exec's text must not end or nest the transaction that is tied to
 * PostgreSQL's.  VACUUM begins one of its own and attaches a nameless temporary
 * database; VACUUM INTO names a file.
 */
static int
authorize(void *arg, int action, const char *first, const char *second, const char *database,
		  const char *inner)
{
	const VssConnection *conn = arg;
	VssGuardMode mode = conn == NULL ? VSS_GUARD_OWN : conn->guard;

	if (conn != NULL && vssfdw_must_stop(conn))
		return SQLITE_DENY;
	switch (action)
	{
		case SQLITE_FUNCTION:
			return mode == VSS_GUARD_QUERY ? check_query(second) : check_function(second);
		case SQLITE_PRAGMA:
			return check_pragma(mode, first, second);
		case SQLITE_READ:
		case SQLITE_SELECT:
			/* the texts of the session's other statements, with their constants */
			if (first != NULL && sqlite3_stricmp(first, "sqlite_stmt") == 0)
				return refuse("vss_fdw does not allow table %s.", first);
			return SQLITE_OK;
		case SQLITE_CREATE_TRIGGER:
		case SQLITE_CREATE_TEMP_TRIGGER:
			/* What table it is cannot be looked up here: admin.c does before the statement runs. */
			sqlite3_snprintf(sizeof(triggered), triggered, "%s", second);
			return SQLITE_OK;
		case SQLITE_ATTACH:
			if (mode == VSS_GUARD_EXEC_OUTSIDE && first != NULL && first[0] == '\0')
				return SQLITE_OK;
			return refuse("vss_fdw does not allow ATTACH and VACUUM INTO. To copy the database, use .backup "
						  "in the sqlite3 shell.",
						  NULL);
		case SQLITE_TRANSACTION:
			return mode == VSS_GUARD_EXEC
					   ? refuse("vss_exec does not allow transaction commands (%s).", first)
					   : SQLITE_OK;
		case SQLITE_SAVEPOINT:
			return mode != VSS_GUARD_OWN ? refuse("vss_exec does not allow savepoints (%s).", first)
										 : SQLITE_OK;
		default:
			return SQLITE_OK;
	}
}

void
vssfdw_guard(sqlite3 *db, VssConnection *conn)
{
	static const struct
	{
		int what;
		int value;
	} settings[] = {
		{SQLITE_DBCONFIG_DEFENSIVE, 1},
		{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
		{SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
		{SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
		{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1},
		{SQLITE_DBCONFIG_ENABLE_FKEY, 1},
		{SQLITE_DBCONFIG_ENABLE_TRIGGER, 1},
		{SQLITE_DBCONFIG_ENABLE_VIEW, 1},
	};

	for (int i = 0; i < lengthof(settings); i++)
		sqlite3_db_config(db, settings[i].what, settings[i].value, NULL);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
	sqlite3_set_authorizer(db, authorize, conn);
}
