/*
 * remote.h
 *		The SQLite database behind a server: its options, connection,
 *		transaction, statements, errors, and what it says of itself.
 */
#ifndef VSS_REMOTE_H
#define VSS_REMOTE_H

#include "postgres.h"

#include <limits.h>
#include <sys/types.h>

#include "foreign/foreign.h"
#include "lib/ilist.h"
#include "nodes/pg_list.h"

#include "fdw/sqlfn/sqlfn.h"

/* ---------- options.c ---------- */

/* A cache_size that depends on the database's: what no option says. */
#define VSS_CACHE_BY_SIZE INT_MIN

typedef struct VssServerOptions
{
	char *database;
	bool read_only; /* also where it is immutable */
	bool immutable; /* nobody changes the file: no locks, nothing is made beside it */
	bool updatable;
	bool truncatable;
	bool keep_connections;
	bool use_remote_estimate;
	char *extensions; /* libraries for SQLite to load, as a list; or NULL */
	int busy_timeout; /* milliseconds */
	int cache_size;   /* as PRAGMA cache_size: pages, or -KiB; or VSS_CACHE_BY_SIZE */
	int batch_size;
	double fdw_startup_cost;
	double fdw_tuple_cost;
} VssServerOptions;

typedef struct VssTableOptions
{
	char *table; /* name in SQLite */
	char *query; /* what stands in the table's place, in brackets; or NULL */
	bool updatable;
	bool truncatable;
	int batch_size;
	bool use_remote_estimate;
} VssTableOptions;

/* palloc'd in the current context. */
/* The name that was probably meant by one that is not among names (char *), or NULL. */
const char *vssfdw_closest_name(const char *name, List *names);

VssServerOptions *vssfdw_server_options(ForeignServer *server);
VssTableOptions *vssfdw_read_table_options(Oid foreigntableid); /* for table_cache.c alone */

/* SQLite has binary JSON, which it calls JSONB, since this version. */
#define VSS_VERSION_WITH_JSONB 3045000

/* How a column is stored in SQLite; option column_type, else by its declared type. */
typedef enum VssStored
{
	VSS_STORED_NATURAL, /* integer as INTEGER, text as TEXT, bytea as BLOB, ... */
	VSS_STORED_INTEGER, /* of times: Unix seconds */
	VSS_STORED_REAL,    /* of times: Julian day */
	VSS_STORED_TEXT,
	VSS_STORED_BLOB
} VssStored;

/* What a column's options say of it; strings are palloc'd. */
typedef struct VssColumnOptions
{
	char *name; /* in SQLite */
	VssStored stored;
	VssTimeUnit unit;
	char *form;       /* text_form, or NULL */
	char *null_value; /* in the server's encoding, or NULL */
} VssColumnOptions;

VssColumnOptions vssfdw_column_options(Oid relid, AttrNumber attnum);

/* Whether it is a text_form of booleans: the word for true, a slash, that for false. */
bool vssfdw_is_boolean_form(const char *form);

/* ---------- oids.c ---------- */

/*
 * OIDs of the extension's own objects, looked up once and on invalidation;
 * InvalidOid where absent (also of pgvector's, when it is installed).
 */
typedef struct VssOids
{
	Oid vector;            /* type vss_vector */
	Oid op[4];             /* operators by BridgeMetric: <=> <-> <#> of vss_vector */
	Oid pgvector;          /* type vector, or InvalidOid */
	Oid pgvector_op[4];    /* likewise */
	bool pgvector_is_ours; /* it is vss_pgvector's: the operators compute our distances, to the bit */
	Oid knn_predicate;     /* vss_knn(vss_vector, vss_vector, bigint, int) */
	Oid match_row;         /* vss_match(record, text) */
	Oid match_column;      /* vss_match(text, text) */
	Oid handler;           /* vss_fdw_handler(): tells our wrappers, whatever their name */
} VssOids;

const VssOids *vssfdw_oids(void);

/* Whether a wrapper is this one, by its handler, whatever it is called. */
bool vssfdw_is_our_wrapper(Oid fdwid);

/*
 * The server of that name, for functions that SQL gives a name.  An error for
 * servers of other wrappers, whose option "database" means something else.
 */
ForeignServer *vssfdw_server_by_name(const char *name);

/* ---------- error.c ---------- */

/* Of vssfdw_compile; beside the codes of sqlfn.h. */
#define VSS_RC_TOO_COMPLEX (SQLITE_ERROR | (205 << 8))

/*
 * Raise an error with the SQLSTATE that fits rc, SQLite's message (copied
 * before anything else is called), the server's name and the SQL as context.
 * SQLITE_INTERRUPT first lets PostgreSQL's own cancel raise its error.
 */
void vssfdw_report(int elevel, int rc, sqlite3 *db, const char *servername, const char *sql);

/* The same with a message of one's own, in UTF-8, such as the bridge's. */
void vssfdw_report_message(int elevel, int rc, const char *message, const char *servername, const char *sql);

/* ---------- open.c ---------- */

/*
 * Open the database file of a server: never creates one, refuses files that
 * are missing, unreadable or no database, and databases whose own application
 * we would lock out.  Errors are reported; the handle is then closed.
 */
sqlite3 *vssfdw_open(const char *servername, const VssServerOptions *options);

/* ---------- connection.c ---------- */

/* Bytes of the header of a -wal file, with its random salts. */
#define VSS_WAL_HEADER 32

/* Whose SQL a connection compiles, which decides what guard.c lets through. */
typedef enum VssGuardMode
{
	VSS_GUARD_OWN,         /* ours */
	VSS_GUARD_EXEC,        /* vss_exec's text, inside of PostgreSQL's transaction */
	VSS_GUARD_QUERY,       /* a query that anybody wrote who may use the server */
	VSS_GUARD_EXEC_OUTSIDE /* the same as VSS_GUARD_EXEC outside of it, on a connection that is closed afterwards */
} VssGuardMode;

/*
 * One SQLite connection a server and backend.  in_use counts the scans that
 * need the read transaction; when it falls to zero under READ COMMITTED, and
 * nothing was written, the transaction ends.
 */
typedef struct VssConnection
{
	Oid serverid; /* hash key */
	char *servername;
	sqlite3 *db; /* NULL while closed */
	VssServerOptions *options;
	int in_use;
	int xact_depth; /* 0: no transaction, 1: BEGIN sent, n: n-1 savepoints */
	bool wrote;
	int64 looked_changes; /* SQLite's count of changes when merges were looked for last */
	bool poisoned;        /* state unknown: close before the next use */
	bool invalidated;     /* server altered: reopen when idle */
	uint64 generation;    /* counts the times db was opened */
	VssGuardMode guard;

	/* The rest is private to connection.c, transaction.c, statement.c, catalog.c. */
	bool is_touched; /* is in the list of those that the transaction's end concerns: */
	dlist_node touched;
	bool lost;      /* SQLite ended the transaction by itself */
	int undo_level; /* savepoint to roll back to before the next use, or 0 */
	dev_t device;   /* of the file that is open */
	ino_t inode;    /* likewise */
	bool left_wal;  /* the file open before was replaced; its -wal began so: */
	unsigned char wal_header[VSS_WAL_HEADER];
	int64 give_up_at;      /* milliseconds of vssfdw_clock(): interrupt SQLite then; 0: never */
	MemoryContext memory;  /* of servername and options */
	dlist_head holds;      /* of VssHold */
	dlist_head statements; /* of VssStatement handed out */
	struct VssStatementCache *cache;
	struct VssCatalog *catalog;
	struct VssRowids *rowids; /* rowid.c's, in TopTransactionContext; NULL at its end */
	int64 looked_at;          /* vssfdw_clock() when the file was last seen in its place */
	uint32 server_hash;       /* of the server's syscache entry, for invalidation */
} VssConnection;

/* Open or reuse.  Checks privileges on the file; begins nothing. */
VssConnection *vssfdw_connect(Oid serverid);

/* Milliseconds of a clock that only goes forward. */
int64 vssfdw_clock(void);

/* True when PostgreSQL wants the running query to stop; callable anywhere, any thread. */
bool vssfdw_cancelled(void *arg);

/* Call back for every connection that has ever been opened. */
void vssfdw_each_connection(void (*callback)(VssConnection *conn, void *arg), void *arg);

/*
 * The connections that the transaction's end concerns: connected to, begun on,
 * given a statement or invalidated since the last one ended.  The others have
 * nothing to commit, roll back or close.  vssfdw_finish_touched forgets each
 * before it calls back.
 */
void vssfdw_touch(VssConnection *conn);
void vssfdw_each_touched(void (*callback)(VssConnection *conn, void *arg), void *arg);
void vssfdw_finish_touched(void (*callback)(VssConnection *conn, void *arg), void *arg);

/*
 * Settings of a connection to a database that is not trusted, and the bridge
 * with this host.  conn: the backend's connection that db is of, or NULL.
 * Errors are reported; db stays the caller's to close.
 */
void vssfdw_configure(sqlite3 *db, VssConnection *conn, const BridgeHost *host, const char *servername,
					  const VssServerOptions *options);

/* Whether what runs on the connection is to end: a cancel, or give_up_at has passed. */
bool vssfdw_must_stop(const VssConnection *conn);

/*
 * Finalize all statements and close.  Neither throws nor allocates from
 * PostgreSQL, so it may run in error cleanup.
 */
void vssfdw_close(VssConnection *conn);

/*
 * What connections tell those above, who merge in the background.  The first
 * two are called with SQLite on the stack: they must neither throw nor allocate
 * from PostgreSQL.
 */
typedef struct VssListener
{
	/* BridgeHost.progress */
	void (*progress)(void *arg, const char *phase, uint64_t done, uint64_t total);
	/* BridgeHost.merge_due; arg is the VssConnection */
	void (*merge_due)(void *arg, const BridgeMergeDue *due);
	/* in PRE_COMMIT, once SQLite has committed; must not throw */
	void (*committed)(void);
} VssListener;

extern VssListener vssfdw_listener; /* set once, when the library is loaded */

/*
 * What the busy handler does: wait a little for another process's lock.  count
 * is the number of waits before it.  False when the wait has been long enough
 * or is cancelled.
 */
bool vssfdw_wait_busy(const VssConnection *conn, int count);

/* ---------- swap.c ---------- */

/* Remember which file is open; then whether another one, or none, lies under its name. */
void vssfdw_note_file(VssConnection *conn);
bool vssfdw_file_moved(const VssConnection *conn);

/*
 * Before the connection closes: if its file has been replaced, remember its
 * -wal file.  After it has been opened: an error if that lies there still.
 * SQLite must not have read anything by then.
 */
void vssfdw_remember_wal(VssConnection *conn);
void vssfdw_refuse_left_wal(VssConnection *conn);

/* The same for a database that has no -wal file of its own: an error if one lies there. */
void vssfdw_refuse_any_wal(sqlite3 *db, const char *servername, const char *database);

/* ---------- guard.c ---------- */

/*
 * Keep db, a connection to a file that may come from anybody, harmless.  conn
 * as above: its guard says whose SQL is being compiled, and its cancel stops that.
 */
void vssfdw_guard(sqlite3 *db, VssConnection *conn);

/*
 * Why guard.c or vfs.c let SQLite fail, a sentence about one thing, for the
 * DETAIL of the error that follows; NULL when they did not since the last
 * forgetting.  The text is static.
 */
void vssfdw_guard_refuse(const char *format, const char *what);
const char *vssfdw_guard_refusal(void);
void vssfdw_guard_forget_refusal(void);

/* The table on which the statement compiled last makes a trigger, since it was forgotten; or NULL. */
const char *vssfdw_guard_triggered(void);
void vssfdw_guard_forget_triggered(void);

/* ---------- collation.c ---------- */

/* Let tables be read whose keys and indexes are in the order of a collation that db lacks. */
int vssfdw_stand_in_for_collations(sqlite3 *db);

/*
 * Such a collation by which something was compared since the last forgetting, or
 * NULL.  What came of it, read or written, is wrong.
 */
const char *vssfdw_missed_collation(void);
void vssfdw_forget_missed_collation(void);

/* ---------- extension.c ---------- */

extern char *vssfdw_allowed_extensions; /* vss_fdw.allowed_extensions */

/* The paths of a list with commas between them, palloc'd; NIL where it is no such list. */
List *vssfdw_parse_extensions(const char *list);

/* Load the libraries of a server's option; one that is not allowed, or cannot be loaded, is an error. */
void vssfdw_load_extensions(sqlite3 *db, const char *servername, const char *extensions);

/* ---------- vfs.c ---------- */

/* Name of the VFS to open databases with; NULL, SQLite's default, when it cannot be made. */
const char *vssfdw_vfs(void);

/* Of sqlite3_file_control: sets an int to whether the file is lost to the connection.  Asks the system nothing. */
#define VSS_FCNTL_LOST 7601

/* ---------- transaction.c ---------- */

/*
 * Hold the read transaction for a scan or a planner question; it is begun when
 * needed.  Release happens by vssfdw_release or, after an error, when context
 * is reset or the (sub)transaction ends, whichever is first.
 */
typedef struct VssHold VssHold;
VssHold *vssfdw_hold(VssConnection *conn, MemoryContext context);
void vssfdw_release(VssHold *hold);

/*
 * End a read transaction that nobody holds and nobody needs, whatever the
 * isolation level: for callers that found the connection idle, have looked at
 * the schema since, and now do what SQLite does outside of transactions only.
 */
void vssfdw_end_read(VssConnection *conn);

/*
 * What was read since the transaction had read nothing was the catalogue:
 * nothing that the user saw.  Let it not be the snapshot, so that a write which
 * follows can wait for its lock and is not refused for what happened since.
 */
void vssfdw_forget_read(VssConnection *conn);

/*
 * Before the first statement that writes: BEGIN IMMEDIATE, or the upgrade of
 * the open transaction, and one savepoint for every open subtransaction.
 */
void vssfdw_begin_write(VssConnection *conn);

void vssfdw_register_transaction_callbacks(void);

/*
 * Roll back what was written in subtransactions that have aborted since the
 * connection was last used.  Errors are reported, also that SQLite has ended the
 * transaction by itself.
 */
void vssfdw_settle(VssConnection *conn);

/* Take back all statements and roll back; never throws. */
void vssfdw_end_transaction(VssConnection *conn);

/* ---------- commit.c ---------- */

/*
 * In PRE_COMMIT: end reading, commit what was written.  Throws when anything,
 * also PostgreSQL, cannot commit.
 */
void vssfdw_commit(void);

/* After PostgreSQL's commit or abort. */
void vssfdw_after_commit(void);
void vssfdw_after_abort(void);

/* ---------- statement.c ---------- */

/*
 * Between the server's encoding and SQLite's UTF-8.  The result is the
 * argument itself where nothing is to be done, else palloc'd; text that has no
 * equal on the other side is an error.
 */
char *vssfdw_to_utf8(const char *text);
char *vssfdw_from_utf8(const char *text);

/*
 * Compile one statement with SQLite's prepare flags; returns SQLite's code, or
 * VSS_RC_TOO_COMPLEX, which vssfdw_report explains.  length is that of the text
 * of which sql is a part.  tail may be NULL.  Everything that reads a stranger's
 * views is compiled by this: they multiply where views use views, and SQLite
 * asks nobody while it expands them.
 */
int vssfdw_compile(sqlite3 *db, const char *sql, size_t length, unsigned flags, sqlite3_stmt **stmt,
				   const char **tail);

/*
 * One step of a statement that compiles others, as ALTER TABLE does all views
 * and triggers, under the same limit; returns the like.
 */
int vssfdw_step_compiling(sqlite3_stmt *stmt, size_t length);

/* The last error of these two, in SQLite's words where they are SQLite's. */
const char *vssfdw_compile_message(sqlite3 *db, int rc);

/*
 * A prepared statement of this connection, from its cache where it is idle
 * there.  Returned to the cache, reset and unbound, by vssfdw_done or when
 * context is reset.  Errors are reported.
 */
typedef struct VssStatement
{
	sqlite3_stmt *stmt; /* NULL once the transaction or the connection ended */
	VssConnection *conn;
	const char *sql; /* a copy, lives as long as this struct */

	/*
	 * A statement that is read while others may write sets drain: it is called
	 * before the connection's next write and must fetch all rows that are left
	 * and rewind the statement, also of one not begun yet if unbegun is set.  (SQLite leaves undefined what a
	 * reader sees of rows changed under it; PostgreSQL promises the snapshot.)
	 */
	void (*drain)(void *arg, bool unbegun);
	void *drain_arg;

	/* private to statement.c */
	int level;    /* subtransaction that it belongs to */
	bool begun;   /* was stepped */
	int64 schema; /* version that it was compiled for, as far as known */
	dlist_node node;
	MemoryContextCallback callback;
} VssStatement;

VssStatement *vssfdw_prepare(VssConnection *conn, const char *sql, MemoryContext context);
/* Call drain of every statement. */
void vssfdw_drain(VssConnection *conn, bool unbegun);
/* Reset for another run; bindings stay. */
void vssfdw_rewind(VssStatement *statement);
void vssfdw_done(VssStatement *statement);

/* Step; SQLite's result code. */
int vssfdw_try_step(VssStatement *statement);
/* Step; true with a row, false at the end; reports errors; lets cancel through. */
bool vssfdw_step(VssStatement *statement);

/*
 * Run SQL without parameters whose rows do not matter; returns SQLite's code.
 * Never throws, does not let a cancel stop it when uninterruptible.
 */
int vssfdw_exec_quiet(VssConnection *conn, const char *sql, bool uninterruptible);

/* Reset and take back every statement of subtransaction level >= level. */
void vssfdw_detach_statements(VssConnection *conn, int level);

/* Statements of a subtransaction that committed now belong to its parent. */
void vssfdw_reparent_statements(VssConnection *conn, int level);

/* Finalize everything that is cached, free the cache. */
void vssfdw_drop_statements(VssConnection *conn);

/* ---------- query.c ---------- */

/* An error unless the text is one statement that returns rows and changes nothing. */
void vssfdw_check_query(VssConnection *conn, const char *sql);

/* A query in brackets, as it stands in FROM; palloc'd. */
char *vssfdw_query_source(const char *sql);

/* ---------- catalog.c: what the SQLite file says of itself ---------- */

typedef struct VssIndexInfo
{
	char *name; /* of the hnsw table */
	int dim;
	BridgeMetric metric;
	int m;
	int ef_search; /* 0: not given, searches go by the margin */
	double margin; /* how far they go on, as merges have found it so far; 0 with ef_search */
	int visits;    /* nodes that a search for ten visits, likewise */
	char *content; /* NULL: only the index itself */
	char *content_rowid;
	char *content_vector;
	bool declared;
	char *missing_sql;
} VssIndexInfo;

typedef struct VssTableKey
{
	char *name;       /* index, or NULL for the primary key / rowid */
	List *columns;    /* of char *, in order; only plain, BINARY-collated ones lead */
	List *descending; /* IntList: for each of them whether it is kept in descending order */
	bool whole;       /* no column of the key is missing in columns */
	bool unique;
	double rows_per_value; /* for the full prefix; from sqlite_stat1 or guessed */
} VssTableKey;

/*
 * A column's affinity, by SQLite's rules over the declared type (of a STRICT
 * table the type itself).  Which values a column can hold decides whether a
 * comparison means the same in both databases.
 */
typedef enum VssAffinity
{
	VSS_AFFINITY_BLOB, /* none: anything is stored as it came */
	VSS_AFFINITY_TEXT,
	VSS_AFFINITY_NUMERIC,
	VSS_AFFINITY_INTEGER,
	VSS_AFFINITY_REAL
} VssAffinity;

typedef struct VssColumnInfo
{
	char *name;
	char *declared; /* type as declared, "" without */
	VssAffinity affinity;
	VssStored vector_form; /* stored_form.c's; VSS_STORED_NATURAL: not known yet */
	bool not_null;
	bool generated;
	bool has_default;
	bool sure; /* it holds values of its affinity alone, whatever others of the table do */
} VssColumnInfo;

/* A full-text table: FTS3, FTS4 or FTS5. */
typedef struct VssFullText
{
	char *name;
	bool ranks;          /* FTS5: it has a column rank */
	char *content;       /* the table whose rows it indexes; NULL: it has its own */
	char *content_rowid; /* that table's key, its own rowids; NULL: rowid */
} VssFullText;

typedef struct VssTableInfo
{
	char *name;
	bool is_query; /* name is that of no table but a query in brackets; is_view is set as well */
	bool strict;   /* a STRICT table: only values of the declared type */
	List *columns; /* of VssColumnInfo, hidden ones left out (PRAGMA table_xinfo) */
	bool is_view;
	bool is_virtual;
	bool is_hnsw;        /* an hnsw virtual table */
	bool keeps_affinity; /* columns hold values of their affinity alone */
	bool has_rowid;
	char *rowid_name;             /* a spelling of rowid no column hides; NULL without */
	char *rowid_alias;            /* INTEGER PRIMARY KEY column, or NULL */
	double rows;                  /* sqlite_stat1, else a bounded count, else a guess */
	double row_bytes;             /* of a row in the file, by a sample; 0: of few rows, or not known */
	List *primary_key;            /* of char *, all columns in order, whatever their collation; NIL without */
	List *keys;                   /* of VssTableKey */
	List *indexes;                /* of VssIndexInfo fed by this table, or the table itself */
	const VssFullText *full_text; /* what it is, or NULL */
	List *full_texts;             /* of VssFullText over the content of this table */
	List *nocase_columns;         /* char *: columns with a collation other than BINARY */
} VssTableInfo;

/* Cached per connection until schema_version changes; do not free. */
const VssTableInfo *vssfdw_table_info(VssConnection *conn, const char *table);

/* The same of what a foreign table stands for, which may be a query. */
const VssTableInfo *vssfdw_described(VssConnection *conn, const VssTableOptions *options);

/* What a foreign table reads, as it stands in FROM; palloc'd. */
char *vssfdw_source(const VssTableOptions *options);

/* A column by its name, whose case does not matter; NULL without. */
const VssColumnInfo *vssfdw_find_column(const VssTableInfo *info, const char *name);

/* All hnsw indexes of the file. */
List *vssfdw_indexes(VssConnection *conn);

/* SQLite identifier and literal quoting, palloc'd. */
char *vssfdw_quote_identifier(const char *name);

/* A column of the current row as palloc'd text in the server's encoding, NULL for NULL. */
char *vssfdw_column_text(VssStatement *statement, int i);

/* Forget what was read of the schema; called when the connection closes. */
void vssfdw_forget_catalog(VssConnection *conn);

/* At the end of a transaction: descriptions of earlier schemas are unused now. */
void vssfdw_forget_retired_catalogs(VssConnection *conn);

/* ---------- virtual_tables.c ---------- */

/* What the database has: lists of VssIndexInfo, of VssFullText; errors are reported. */
List *vssfdw_read_indexes(VssConnection *conn);
List *vssfdw_read_full_texts(VssConnection *conn);

/* Enter how far searches of these indexes go by now. */
void vssfdw_refresh_measured(VssConnection *conn, List *indexes);

/* ---------- row_width.c ---------- */

/* Mean size of the values of some rows, 0 where the table has no rowid; errors are reported. (row_width.c) */
double vssfdw_sample_row_bytes(VssConnection *conn, const VssTableInfo *info);

/* ---------- stored_form.c ---------- */

/* The form that vectors of a table's column have, and new ones are to have: TEXT or BLOB. */
VssStored vssfdw_vector_form(VssConnection *conn, const VssTableInfo *info, const VssColumnInfo *column);

/* ---------- sqlite_types.c ---------- */

VssAffinity vssfdw_affinity(const char *declared, bool strict);

/* The PostgreSQL type that a declared SQLite type maps to, as import spells it. */
const char *vssfdw_type_for_declared(const char *declared, bool strict);

/* Dimensions of a type declared as a vector, -1 where it names none; 0: no vector. */
int vssfdw_declared_dimension(const char *declared);

/*
 * A column's default as PostgreSQL's SQL of the same meaning for a column of
 * this type, palloc'd; NULL where there is none.
 */
char *vssfdw_translated_default(const char *sql, const char *type);

#endif /* VSS_REMOTE_H */
