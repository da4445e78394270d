/*
 * error.c
 *		SQLite result codes as PostgreSQL errors.
 *
 * This is the one place that turns a result code into ereport.  The message
 * is copied before anything else happens, because the next call on the
 * connection overwrites it.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "fdw/remote/remote.h"

/* Whether a reader (readers.c) met a value that does not fit its column. */
static bool
is_misfit(int rc, const char *message)
{
	return (rc & 0xff) == SQLITE_MISMATCH && message != NULL &&
		   strstr(message, " does not fit type ") != NULL;
}

/* Whether something names what SQLite does not have, though the file's own application may. */
static bool
is_lacking(const char *message)
{
	static const char *const beginnings[] = {
		"no such function: ", "unknown function: ",  "no such collation sequence: ",
		"no such module: ",   "no such tokenizer: ", "unknown tokenizer: "};

	for (int i = 0; i < lengthof(beginnings); i++)
		if (strncmp(message, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

/* What a result code means to somebody who reads an SQLSTATE. */
static int
sqlstate_for(int rc, const char *message)
{
	switch (rc)
	{
		case VSS_RC_OUT_OF_RANGE:
			return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
		case VSS_RC_DIVISION_BY_ZERO:
			return ERRCODE_DIVISION_BY_ZERO;
		case VSS_RC_UNFIT:
			return ERRCODE_FDW_INVALID_DATA_TYPE;
		case VSS_RC_TIME_RANGE:
			return ERRCODE_DATETIME_VALUE_OUT_OF_RANGE;
		case VSS_RC_INFINITE:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case VSS_RC_TOO_COMPLEX:
			return ERRCODE_STATEMENT_TOO_COMPLEX;
		case SQLITE_BUSY_SNAPSHOT:
		case SQLITE_READONLY_DBMOVED:
			return ERRCODE_T_R_SERIALIZATION_FAILURE;
		case SQLITE_CONSTRAINT_UNIQUE:
		case SQLITE_CONSTRAINT_PRIMARYKEY:
		case SQLITE_CONSTRAINT_ROWID:
			return ERRCODE_UNIQUE_VIOLATION;
		case SQLITE_CONSTRAINT_NOTNULL:
			return ERRCODE_NOT_NULL_VIOLATION;
		case SQLITE_CONSTRAINT_FOREIGNKEY:
			return ERRCODE_FOREIGN_KEY_VIOLATION;
		case SQLITE_CONSTRAINT_CHECK:
			return ERRCODE_CHECK_VIOLATION;
		case SQLITE_CONSTRAINT_TRIGGER:
			return ERRCODE_RAISE_EXCEPTION;
		case SQLITE_CONSTRAINT_DATATYPE:
			return ERRCODE_DATATYPE_MISMATCH;
		case SQLITE_IOERR_NOMEM:
			return ERRCODE_OUT_OF_MEMORY;
		case SQLITE_IOERR_CORRUPTFS:
			return ERRCODE_DATA_CORRUPTED;
		default:
			break;
	}
	switch (rc & 0xff)
	{
		case SQLITE_CONSTRAINT:
			return ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION;
		case SQLITE_BUSY:
		case SQLITE_LOCKED:
			return ERRCODE_LOCK_NOT_AVAILABLE;
		case SQLITE_CORRUPT:
		case SQLITE_NOTADB:
		case SQLITE_FORMAT:
			return ERRCODE_DATA_CORRUPTED;
		case SQLITE_READONLY:
			return ERRCODE_READ_ONLY_SQL_TRANSACTION;
		case SQLITE_FULL:
			return ERRCODE_DISK_FULL;
		case SQLITE_NOMEM:
			return ERRCODE_OUT_OF_MEMORY;
		case SQLITE_INTERRUPT:
			return ERRCODE_QUERY_CANCELED;
		case SQLITE_CANTOPEN:
			return ERRCODE_UNDEFINED_FILE;
		case SQLITE_PERM:
		case SQLITE_AUTH:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case SQLITE_TOOBIG:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case SQLITE_MISMATCH:
			return is_misfit(rc, message) ? ERRCODE_FDW_INVALID_DATA_TYPE : ERRCODE_DATATYPE_MISMATCH;
		case SQLITE_RANGE:
		case SQLITE_MISUSE:
			return ERRCODE_INTERNAL_ERROR;
		case SQLITE_IOERR:
			return ERRCODE_IO_ERROR;
		case SQLITE_SCHEMA:
			return ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION;
		default:
			break;
	}
	/* Plain SQLITE_ERROR: the cases that every user meets can be told apart. */
	if (message != NULL)
	{
		if (strncmp(message, "no such table", 13) == 0)
			return ERRCODE_FDW_TABLE_NOT_FOUND;
		if (strncmp(message, "no such column", 14) == 0)
			return ERRCODE_FDW_COLUMN_NAME_NOT_FOUND;
		if (strncmp(message, "ON CONFLICT clause", 18) == 0)
			return ERRCODE_INVALID_COLUMN_REFERENCE;
		if (strstr(message, ": the query vector ") != NULL)
			return ERRCODE_DATATYPE_MISMATCH;
		if (is_lacking(message))
			return ERRCODE_FEATURE_NOT_SUPPORTED;
	}
	return ERRCODE_FDW_ERROR;
}

/* What the user can do about it, or NULL. */
static const char *
hint_for(int rc, const char *message)
{
	switch (rc)
	{
		case SQLITE_BUSY_SNAPSHOT:
			return "Another process changed the database after this transaction had read it. Retry the "
				   "transaction.";
		case SQLITE_READONLY_DBMOVED:
			return "Run the transaction again: it will find the new file.";
		case VSS_RC_TOO_COMPLEX:
			return "Views that use other views more than once multiply; use simpler ones.";
		case SQLITE_READONLY_RECOVERY:
		case SQLITE_READONLY_CANTINIT:
		case SQLITE_READONLY_DIRECTORY:
			return "A database in WAL mode needs -wal and -shm files beside it: let the server's "
				   "operating-system "
				   "user write the folder and these files, or keep the database open in its own application. "
				   "Where nobody changes the file, as on read-only media, add the server option immutable "
				   "'true'.";
		default:
			break;
	}
	switch (rc & 0xff)
	{
		case SQLITE_BUSY:
		case SQLITE_LOCKED:
			return "Another process is using the database. Retry, or raise the server option "
				   "\"busy_timeout\" "
				   "(milliseconds).";
		case SQLITE_READONLY:
			return "The server's operating-system user must be able to write the database file and its "
				   "folder.";
		case SQLITE_CORRUPT:
			/* what is behind a dash is what SQLite's parser said of one entry of the schema */
			if (message != NULL && strncmp(message, "malformed database schema", 25) == 0 &&
				strstr(message, ") - ") != NULL)
				return "SQLite cannot read the schema: a newer version may have made the file, or it is "
					   "damaged. Compare the result of vss_sqlite_version() with the version that the "
					   "application uses, and run \"PRAGMA integrity_check\" there.";
			return "Run \"PRAGMA integrity_check\" in sqlite3 and restore the database from a backup if it "
				   "is "
				   "damaged.";
		case SQLITE_CANTOPEN:
			return "The server's operating-system user needs access to the database file and its folder; a "
				   "database "
				   "in WAL mode also needs its -wal and -shm files. Where nobody changes the file, as on "
				   "read-only media, add the server option immutable 'true'.";
		case SQLITE_FULL:
			return "Free space on the disk of the database file.";
		default:
			break;
	}
	if (is_misfit(rc, message))
		return "Correct the value in SQLite, or declare the foreign column with a type that holds it, such "
			   "as "
			   "text.";
	if (message != NULL && strncmp(message, "ON CONFLICT clause", 18) == 0)
		return "Name the columns of the SQLite table's primary key, or of a unique index over whole columns.";
	if (message != NULL &&
		(strncmp(message, "no such table", 13) == 0 || strncmp(message, "no such column", 14) == 0))
		return "The foreign table and the SQLite table differ. Import the table again, or correct the "
			   "options "
			   "\"table\" and \"column_name\".";
	if (message != NULL && is_lacking(message))
		return "SQLite does not have it. Where the application that owns the file adds it, name a library "
			   "that "
			   "has it in the setting vss_fdw.allowed_extensions and in the server option \"extensions\".";
	return NULL;
}

/* Whether SQLite fails like this when guard.c or vfs.c refused something. */
static bool
is_refusal(int rc)
{
	int code = rc & 0xff;

	return code == SQLITE_AUTH || code == SQLITE_CANTOPEN || code == SQLITE_IOERR;
}

/*
 * A message in the server's encoding.  It may quote the database, and then
 * hold anything: what is no UTF-8 must not hide the error behind another.
 */
static char *
readable(const char *message)
{
	char *copy = pstrdup(message);
	int length = (int) strlen(copy);
	int i = 0;

	while (i < length)
	{
		int good = pg_encoding_verifymbstr(PG_UTF8, copy + i, length - i);

		i += good;
		if (i < length)
			copy[i++] = '?';
	}
	return pg_any_to_server(copy, length, PG_UTF8);
}

void
vssfdw_report_message(int elevel, int rc, const char *message, const char *servername, const char *sql)
{
	const char *hint = hint_for(rc, message);
	char *refused = NULL;

	/* SQLite's own words are "attempt to write a readonly database" */
	if (rc == SQLITE_READONLY_DBMOVED)
		message = "the database file was replaced or removed while this transaction used it";

	/* Whoever asked us to stop gives the reason: cancel, timeout, shutdown. */
	if ((rc & 0xff) == SQLITE_INTERRUPT || (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_AUTH)
		CHECK_FOR_INTERRUPTS();
	if (vssfdw_guard_refusal() != NULL && is_refusal(rc))
	{
		refused = readable(vssfdw_guard_refusal());
		hint = NULL;
	}
	vssfdw_guard_forget_refusal();

	/* what PostgreSQL would have said, had it computed the value */
	if (rc == VSS_RC_OUT_OF_RANGE || rc == VSS_RC_DIVISION_BY_ZERO || rc == VSS_RC_TIME_RANGE ||
		rc == VSS_RC_INFINITE)
	{
		ereport(elevel, (errcode(sqlstate_for(rc, message)), errmsg("%s", readable(message)),
						 sql != NULL ? errcontext("SQL statement sent to SQLite: %s", sql) : 0));
		return;
	}
	ereport(elevel, (errcode(sqlstate_for(rc, message)),
					 errmsg("SQLite error on server \"%s\": %s", servername, readable(message)),
					 refused != NULL ? errdetail("%s", refused) : 0, hint != NULL ? errhint("%s", hint) : 0,
					 sql != NULL ? errcontext("SQL statement sent to SQLite: %s", sql) : 0));
}

/*
 * SQLite's words for a write that it refused do not say which file, and the file is
 * not to blame where the server is declared read-only.  Not in clean-up, where
 * catalogs cannot be read.
 */
static void
report_read_only(sqlite3 *db, const char *servername, const char *sql)
{
	ForeignServer *server = GetForeignServerByName(servername, true);
	VssServerOptions *options = server != NULL ? vssfdw_server_options(server) : NULL;
	const char *declared = options == NULL      ? NULL
						   : options->immutable ? "immutable"
						   : options->read_only ? "read_only"
												: NULL;

	ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
					errmsg("SQLite error on server \"%s\": attempt to write a readonly database", servername),
					errdetail("The database file is \"%s\".", readable(sqlite3_db_filename(db, "main"))),
					declared != NULL
						? errhint("The server has the option %s 'true'. To write, change it: ALTER SERVER %s "
								  "OPTIONS (SET %s 'false').",
								  declared, quote_identifier(servername), declared)
						: errhint("%s", hint_for(SQLITE_READONLY, NULL)),
					sql != NULL ? errcontext("SQL statement sent to SQLite: %s", sql) : 0));
}

void
vssfdw_report(int elevel, int rc, sqlite3 *db, const char *servername, const char *sql)
{
	const char *message = sqlite3_errstr(rc);

	/* whatever else came of it */
	if (vssfdw_missed_collation() != NULL)
	{
		message = psprintf("no such collation sequence: %s", vssfdw_missed_collation());
		vssfdw_forget_missed_collation();
		vssfdw_report_message(elevel, SQLITE_ERROR, message, servername, sql);
		return;
	}
	if (db != NULL && (sqlite3_extended_errcode(db) & 0xff) == (rc & 0xff))
	{
		message = sqlite3_errmsg(db);
		rc = sqlite3_extended_errcode(db);
	}
	else if (rc == VSS_RC_TOO_COMPLEX)
		message = vssfdw_compile_message(db, rc);
	if (rc == SQLITE_READONLY && elevel == ERROR && vssfdw_guard_refusal() == NULL && db != NULL)
		report_read_only(db, servername, sql);
	vssfdw_report_message(elevel, rc, pstrdup(message), servername, sql);
}
