/*
 * fdw.h
 *		What the files of the foreign-data wrapper share, grouped by file.
 *
 * No PostgreSQL error may be raised while a SQLite frame is on the stack:
 * callbacks given to SQLite only set flags, and every result code comes back
 * to vssfdw_report (error.c), the one place that turns it into ereport.
 */
#ifndef VSS_FDW_H
#define VSS_FDW_H

#include "postgres.h"

#include "fmgr.h"
#include "foreign/foreign.h"
#include "lib/ilist.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "utils/rel.h"

#include "sqlite_bridge/bridge.h"

/* PostgreSQL 18's word, which must come first in a declaration. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/*
 * Declare a function that SQL calls.  Symbols are hidden unless exported, and
 * before PostgreSQL 16 PG_FUNCTION_INFO_V1 exports the record but not the
 * function itself.
 */
#define VSS_SQL_FUNCTION(name)                                                                               \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                                         \
	PG_FUNCTION_INFO_V1(name)

/* ---------- vss_fdw.c: handler and settings ---------- */

typedef enum VssStrategy
{
	VSS_STRATEGY_AUTO,
	VSS_STRATEGY_GRAPH,
	VSS_STRATEGY_PREFILTER,
	VSS_STRATEGY_EXACT
} VssStrategy;

/* The module keeps no more candidates than this. */
#define VSS_MAX_EF 65536

extern int vssfdw_ef_search;    /* vss_fdw.ef_search; 0 leaves it to the index */
extern int vssfdw_knn_strategy; /* vss_fdw.knn_strategy, a VssStrategy */

/* ---------- options.c ---------- */

/* A cache_size that depends on the database's: what no option says. */
#define VSS_CACHE_BY_SIZE INT_MIN

typedef struct VssServerOptions
{
	char *database;
	bool read_only;
	bool updatable;
	bool truncatable;
	bool keep_connections;
	bool use_remote_estimate;
	int busy_timeout; /* milliseconds */
	int cache_size;   /* as PRAGMA cache_size: pages, or -KiB; or VSS_CACHE_BY_SIZE */
	int batch_size;
	double fdw_startup_cost;
	double fdw_tuple_cost;
} VssServerOptions;

typedef struct VssTableOptions
{
	char *table; /* name in SQLite */
	bool updatable;
	bool truncatable;
	int batch_size;
	bool use_remote_estimate;
} VssTableOptions;

/* palloc'd in the current context. */
VssServerOptions *vssfdw_server_options(ForeignServer *server);
VssTableOptions *vssfdw_read_table_options(Oid foreigntableid); /* for table_cache.c alone */

/* ---------- table_cache.c: what DDL says of a foreign table, kept ---------- */

/* The server's values being the defaults.  Valid until the transaction ends. */
const VssTableOptions *vssfdw_table_options(Oid foreigntableid);

/* How a column is stored in SQLite; option column_type, else by its declared type. */
typedef enum VssStored
{
	VSS_STORED_NATURAL, /* integer as INTEGER, text as TEXT, bytea as BLOB, ... */
	VSS_STORED_INTEGER, /* of times: Unix seconds */
	VSS_STORED_REAL,    /* of times: Julian day */
	VSS_STORED_TEXT,
	VSS_STORED_BLOB
} VssStored;

/* Name of a column in SQLite, and the form that option column_type gives it. */
char *vssfdw_column_options(Oid relid, AttrNumber attnum, VssStored *stored);

/* ---------- error.c ---------- */

/*
 * Results of our own SQL functions, for errors that are PostgreSQL's: with
 * these vssfdw_report gives the message as it is, under PostgreSQL's SQLSTATE.
 * SQLite's own extended codes of SQLITE_ERROR are far below.
 */
#define VSS_RC_OUT_OF_RANGE (SQLITE_ERROR | (200 << 8))
#define VSS_RC_DIVISION_BY_ZERO (SQLITE_ERROR | (201 << 8))
#define VSS_RC_UNFIT (SQLITE_ERROR | (202 << 8))
#define VSS_RC_TIME_RANGE (SQLITE_ERROR | (203 << 8))
#define VSS_RC_INFINITE (SQLITE_ERROR | (204 << 8))

/*
 * Raise an error with the SQLSTATE that fits rc, SQLite's message (copied
 * before anything else is called), the server's name and the SQL as context.
 * SQLITE_INTERRUPT first lets PostgreSQL's own cancel raise its error.
 */
void vssfdw_report(int elevel, int rc, sqlite3 *db, const char *servername, const char *sql);

/* The same with a message of one's own, in UTF-8, such as the bridge's. */
void vssfdw_report_message(int elevel, int rc, const char *message, const char *servername, const char *sql);

/* ---------- connection.c ---------- */

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
	bool poisoned;     /* state unknown: close before the next use */
	bool invalidated;  /* server altered: reopen when idle */
	uint64 generation; /* counts the times db was opened */

	/* The rest is private to connection.c, transaction.c, statement.c, catalog.c. */
	bool is_touched; /* is in the list of those that the transaction's end concerns: */
	dlist_node touched;
	bool lost;             /* SQLite ended the transaction by itself */
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

/* ---------- statement.c ---------- */

/*
 * Between the server's encoding and SQLite's UTF-8.  The result is the
 * argument itself where nothing is to be done, else palloc'd; text that has no
 * equal on the other side is an error.
 */
char *vssfdw_to_utf8(const char *text);
char *vssfdw_from_utf8(const char *text);

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
	int level; /* subtransaction that it belongs to */
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

/* ---------- types.c: values between SQLite and PostgreSQL ---------- */

/* What is needed to convert one column; built once a scan. */
typedef struct VssColumn
{
	char *name; /* in SQLite */
	AttrNumber attnum;
	Oid type;
	int32 typmod;
	VssStored stored;
	FmgrInfo input;
	Oid ioparam;
	FmgrInfo output;

	/* private to types.c and bind.c */
	Oid base; /* type, or what the domain is over */
	int32 base_typmod;
	Oid relid;           /* of the foreign table, InvalidOid for an expression */
	Oid element;         /* of an array type, else InvalidOid */
	int kind;            /* ValueKind of types.h: which conversion */
	void **domain_cache; /* domain_check()'s, or NULL without a domain */
} VssColumn;

/*
 * Whether no column of SQLite stands behind an attribute: a dropped one, or one
 * that PostgreSQL computes whenever it is read.
 */
static inline bool
vssfdw_is_absent(Form_pg_attribute attribute)
{
#if PG_VERSION_NUM >= 180000
	if (attribute->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
		return true;
#endif
	return attribute->attisdropped;
}

/* The name is valid until the transaction ends. */
void vssfdw_column_init(VssColumn *column, Relation rel, AttrNumber attnum);
/* The same for a value that is no table column (an expression of a known type). */
void vssfdw_column_init_type(VssColumn *column, Oid type, int32 typmod);

/*
 * The value in result column i of the current row.  A value that does not fit
 * is an error naming server, table, column, rowid where known, the value's
 * SQLite type and a hint.
 */
Datum vssfdw_column_datum(const VssColumn *column, VssStatement *statement, int i, const char *tablename,
						  bool *isnull);

/*
 * Bind a PostgreSQL value to parameter i (1-based) in the form the column
 * stores.  Nothing is copied: the value and the current memory context must
 * live until the statement has been stepped.
 */
void vssfdw_bind(VssStatement *statement, int i, const VssColumn *column, Datum value, bool isnull);

/* ---------- catalog.c: what the SQLite file says of itself ---------- */

typedef struct VssIndexInfo
{
	char *name; /* of the hnsw table */
	int dim;
	BridgeMetric metric;
	int m;
	int ef_search; /* given, or as merges have found it so far */
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
	bool not_null;
	bool generated;
} VssColumnInfo;

typedef struct VssTableInfo
{
	char *name;
	bool strict;   /* a STRICT table: only values of the declared type */
	List *columns; /* of VssColumnInfo, hidden ones left out (PRAGMA table_xinfo) */
	bool is_view;
	bool is_virtual;
	bool is_hnsw;        /* an hnsw virtual table */
	bool keeps_affinity; /* columns hold values of their affinity alone */
	bool has_rowid;
	char *rowid_name;     /* a spelling of rowid no column hides; NULL without */
	char *rowid_alias;    /* INTEGER PRIMARY KEY column, or NULL */
	double rows;          /* sqlite_stat1, else a bounded count, else a guess */
	double row_bytes;     /* of a row in the file, by a sample; 0: of few rows, or not known */
	List *primary_key;    /* of char *, all columns in order, whatever their collation; NIL without */
	List *keys;           /* of VssTableKey */
	List *indexes;        /* of VssIndexInfo fed by this table, or the table itself */
	List *nocase_columns; /* char *: columns with a collation other than BINARY */
} VssTableInfo;

/* Cached per connection until schema_version changes; do not free. */
const VssTableInfo *vssfdw_table_info(VssConnection *conn, const char *table);

/* Mean size of the values of some rows, 0 where the table has no rowid; errors are reported. (row_width.c) */
double vssfdw_sample_row_bytes(VssConnection *conn, const VssTableInfo *info);

/* All hnsw indexes of the file. */
List *vssfdw_indexes(VssConnection *conn);

/* SQLite identifier and literal quoting, palloc'd. */
char *vssfdw_quote_identifier(const char *name);

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

/* ---------- import.c ---------- */

List *vssImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid serverOid);

/* ---------- aggregates.c ---------- */

/* Register vss_sum and vss_avg; returns SQLite's result code. */
int vssfdw_register_aggregates(sqlite3 *db);

/* ---------- readers.c ---------- */

/* Register the readers of columns; returns SQLite's result code. */
int vssfdw_register_readers(sqlite3 *db);

/* ---------- try_functions.c ---------- */

/* Register vss_try; returns SQLite's result code. */
int vssfdw_register_attempts(sqlite3 *db);

/* ---------- bound_functions.c ---------- */

/* Register the functions of bounds.c's conditions; returns SQLite's result code. */
int vssfdw_register_bounds(sqlite3 *db);

/* ---------- value_functions.c ---------- */

/* Register more functions over values; returns SQLite's result code. */
int vssfdw_register_value_functions(sqlite3 *db);

/* ---------- decimal.c ---------- */

/* Register functions over numerics; returns SQLite's result code. */
int vssfdw_register_decimals(sqlite3 *db);

/* ---------- time_functions.c, extract.c, date_arithmetic.c ---------- */

/* Register functions over times; returns SQLite's result code. */
int vssfdw_register_time_functions(sqlite3 *db);
int vssfdw_register_extract(sqlite3 *db);
int vssfdw_register_date_arithmetic(sqlite3 *db);

/* Whether vss_trunc() knows this unit. */
bool vssfdw_is_trunc_unit(const char *name);

/* ---------- functions.c, assign_functions.c ---------- */

/* An integer, also one that SQLite keeps as a REAL: what a column of integers may hold; false for all else. */
bool vssfdw_value_integer(sqlite3_value *value, int64 *out);

/* Register all functions of the wrapper's; returns SQLite's result code. */
int vssfdw_register_functions(sqlite3 *db);
int vssfdw_register_assign_functions(sqlite3 *db);

/* ---------- paths.c and the files of planner.h ---------- */

struct FdwRoutine;

/* Enter the planner's, executor's and EXPLAIN's callbacks for reading. */
void vssfdw_read_routine(struct FdwRoutine *routine);

/* ---------- knn.c ---------- */

/*
 * The k nearest of a whole index, for the rowset function vss_knn: rowids and
 * distances, nearest first.  query is dim floats that stay valid until the
 * cursor is closed; ef 0 takes vss_fdw.ef_search, else the index's own.  The
 * statement and the read transaction are given back by vssfdw_knn_close or
 * when context is reset.  Errors are reported.
 */
typedef struct VssKnnCursor VssKnnCursor;
VssKnnCursor *vssfdw_knn_open(VssConnection *conn, const char *index, const float *query, int dim, int64 k,
							  int ef, MemoryContext context);
bool vssfdw_knn_next(VssKnnCursor *cursor, int64 *rowid, double *distance);
void vssfdw_knn_close(VssKnnCursor *cursor);

/* ---------- vector.c: the type vss_vector ---------- */

/* Binary-compatible with pgvector's vector. */
typedef struct VssVector
{
	int32 vl_len_;
	int16 dim;
	int16 unused; /* zero */
	float x[FLEXIBLE_ARRAY_MEMBER];
} VssVector;

#define VSS_VECTOR_SIZE(dim) (offsetof(VssVector, x) + sizeof(float) * (dim))
#define DatumGetVssVector(d) ((VssVector *) PG_DETOAST_DATUM(d))
#define PG_GETARG_VSSVECTOR_P(n) DatumGetVssVector(PG_GETARG_DATUM(n))

VssVector *vssfdw_vector_make(int dim);

/*
 * OIDs of the extension's own objects, looked up once and on invalidation;
 * InvalidOid where absent (also of pgvector's, when it is installed).
 */
typedef struct VssOids
{
	Oid vector;         /* type vss_vector */
	Oid op[4];          /* operators by BridgeMetric: <=> <-> <#> of vss_vector */
	Oid pgvector;       /* type vector, or InvalidOid */
	Oid pgvector_op[4]; /* likewise */
	Oid knn_predicate;  /* vss_knn(vss_vector, vss_vector, bigint, int) */
	Oid handler;        /* vss_fdw_handler(): tells our wrappers, whatever their name */
} VssOids;

const VssOids *vssfdw_oids(void);

/* Whether it is vss_vector or pgvector's vector (types.c). */
bool vssfdw_is_vector(Oid type);

#endif /* VSS_FDW_H */
