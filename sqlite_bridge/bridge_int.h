/*
 * bridge_int.h
 *		What the files of sqlite_bridge/ share, grouped by the file that
 *		implements it.  Hosts include bridge.h instead.
 *
 * Objects, from the longest-lived to the shortest:
 *
 *	BridgeConnection	one a sqlite3 connection; counted by the modules and
 *						functions registered with it, freed with the last
 *	BridgeIndex			one a known hnsw table of that connection; survives
 *						reconnects of the virtual table (VACUUM, DDL elsewhere),
 *						owns mapped snapshots and the cached delta
 *	BridgeTable			the sqlite3_vtab; owns a BridgeStore
 *	BridgeStore			parameters and prepared statements over the shadow
 *						tables; a merge opens one of its own on its own
 *						connection, without any virtual table
 *
 * All of a connection's objects are guarded by that connection's own mutex:
 * they are touched only from within calls of SQLite on it.
 *
 * Errors: a function that can fail returns a SQLite result code and explains
 * itself in a BridgeError.  Codes of SQLite (BUSY, FULL, NOMEM, INTERRUPT ...)
 * pass through unchanged, extended ones included.
 */
#ifndef BRIDGE_INT_H
#define BRIDGE_INT_H

#include <sqlite3ext.h>

#include "hnsw/hnsw.h"
#include "sqlite_bridge/bridge.h"

/* entry.c holds the pointer that the loadable build calls SQLite through. */
#ifndef BRIDGE_ENTRY
SQLITE_EXTENSION_INIT3
#endif

#define BRIDGE_FORMAT 1       /* of the shadow tables */
#define BRIDGE_MAX_SEGMENTS 2 /* base, and a small one of recent changes */

#define BRIDGE_DEFAULT_M 16
#define BRIDGE_DEFAULT_EF 200
#define BRIDGE_DEFAULT_EF_SEARCH 64 /* before the graph was measured */

/* ---------- error.c ---------- */

/* Starts as {0}; message is owned (sqlite3_free) and may be NULL after NOMEM. */
typedef struct BridgeError
{
	int code;
	char *message;
} BridgeError;

/* Set code and a message in sqlite3_mprintf's format; returns code. */
int bridge_error(BridgeError *err, int code, const char *format, ...);

/* The connection's present error under a heading: "<what>: <errmsg>". */
int bridge_error_db(BridgeError *err, sqlite3 *db, const char *format, ...);

/* A failed call of the graph library, likewise. */
int bridge_error_hnsw(BridgeError *err, HnswStatus status, const HnswError *hnsw, const char *format, ...);

/* Put "<heading>: " before the message that is there; returns err->code. */
int bridge_error_prefix(BridgeError *err, const char *format, ...);

/* Raise it from an SQL function, and clear it. */
void bridge_error_result(sqlite3_context *context, BridgeError *err);

void bridge_error_clear(BridgeError *err);

/* ---------- args.c ---------- */

/* The parameters of an index.  Strings are owned; see bridge_params_free. */
typedef struct BridgeParams
{
	int dim;
	HnswMetric metric;
	int m;
	int ef_construction;
	int ef_search;        /* 0: not given, searches take what merges find (tuning.c) */
	char *path;           /* as typed; NULL: beside the database */
	char *content;        /* table in the index's own schema, or NULL */
	char *content_rowid;  /* set with content */
	char *content_vector; /* set with content */
} BridgeParams;

/* argv as xCreate gets it, from the first module argument on. */
int bridge_params_parse(int argc, const char *const *argv, BridgeParams *out, BridgeError *err);
void bridge_params_free(BridgeParams *params);

/*
 * Whether this text of sqlite_schema.sql makes a virtual table of module
 * `hnsw`.
 */
bool bridge_is_index_sql(const char *sql);

/* ---------- vector.c ---------- */

/* A decoded vector; the buffer grows and is used again.  Starts as {0}. */
typedef struct BridgeVector
{
	const float *data; /* NULL for SQL NULL; valid until the next read or free */
	int dim;
	float *buffer; /* owned, from sqlite3_malloc64 */
	int capacity;
} BridgeVector;

/*
 * Decode a BLOB of little-endian float32 or JSON text.  NULL gives data NULL.
 * Anything else, a NaN, an infinity or an empty vector is SQLITE_MISMATCH
 * with the bare reason; the caller puts table and rowid before it.
 */
int bridge_vector_read(sqlite3_value *value, BridgeVector *out, BridgeError *err);
void bridge_vector_free(BridgeVector *vector);

/* ---------- storage.c ---------- */

/* A graph file as the config table names it. */
typedef struct BridgeSegment
{
	uint8_t token[HNSW_TOKEN_BYTES];
	int64_t seq; /* image of the truth as of this change */
} BridgeSegment;

/* The ef that a graph was found to need.  A hint: it decides on no row but through recall. */
typedef struct BridgeTuned
{
	int ef;        /* 0: nothing was found yet */
	int64_t nodes; /* of the graph that was measured */
} BridgeTuned;

/* What changes while an index lives, read in one snapshot of the database. */
typedef struct BridgeState
{
	BridgeTuned tuned;
	int64_t counter;   /* number of the last change */
	int segment_count; /* 0: never merged */
	BridgeSegment segments[BRIDGE_MAX_SEGMENTS];
} BridgeState;

enum
{
	BRIDGE_STMT_STATE,
	BRIDGE_STMT_COUNTER,
	BRIDGE_STMT_CURRENT,
	BRIDGE_STMT_HIDDEN,
	BRIDGE_STMT_HIDDEN_PUT,
	BRIDGE_STMT_TUNED_PUT,
	BRIDGE_STMT_TRUTH_GET,
	BRIDGE_STMT_TRUTH_EXISTS,
	BRIDGE_STMT_TRUTH_PUT,
	BRIDGE_STMT_TRUTH_DELETE,
	BRIDGE_STMT_TRUTH_BATCH,
	BRIDGE_STMT_DELTA_PUT,
	BRIDGE_STMT_DELTA_RANGE,
	BRIDGE_STMT_DELTA_HAS,
	BRIDGE_STMT_DELTA_TRIM,
	BRIDGE_STMT_COUNT
};

/* What a query reads before it searches, and the version of the database that it is true of. */
typedef struct BridgeSeen
{
	bool known;
	unsigned version; /* SQLITE_FCNTL_DATA_VERSION */
	BridgeState state;
	int64_t tag_seq; /* the delta row that was looked up: */
	int64_t tag;
	bool found;
} BridgeSeen;

typedef struct BridgeStore
{
	sqlite3 *db;
	char *schema;
	char *table;
	uint64_t id; /* random, made with the table: tells a new one of the same name */
	BridgeParams params;
	BridgeTuned opened_tuned; /* as it was when the store was opened; searches go by BridgeState */
	sqlite3_stmt *statements[BRIDGE_STMT_COUNT]; /* prepared at first use */
	BridgeVector scratch;
	BridgeSeen seen; /* query.c's */
} BridgeStore;

/* Create the shadow tables and their first rows (within xCreate). */
int bridge_store_create(sqlite3 *db, const char *schema, const char *table, const BridgeParams *params,
						BridgeError *err);
int bridge_store_rename(BridgeStore *store, const char *new_name, BridgeError *err);
int bridge_store_drop(BridgeStore *store, BridgeError *err);

/*
 * Read the parameters of an existing index from its config table.  Needs
 * neither the virtual table nor the module on db.  Close before db.
 */
int bridge_store_open(sqlite3 *db, const char *schema, const char *table, BridgeStore **out,
					  BridgeError *err);
void bridge_store_close(BridgeStore *store);

/* Give up all prepared statements; they come back when needed. */
void bridge_store_release(BridgeStore *store);

/*
 * Counter and current segments.  SQLITE_SCHEMA when the table is another one
 * of the same name by now.  *tag (if not NULL) is the tag of delta row tag_seq, *found
 * whether there is such a row.
 */
int bridge_store_state(BridgeStore *store, BridgeState *state, int64_t tag_seq, int64_t *tag, bool *found,
					   BridgeError *err);

/*
 * Write the current segments, and the sorted labels of the base that a second one
 * hides; within a write transaction of the caller's.
 */
int bridge_store_set_current(BridgeStore *store, const BridgeSegment *segments, int count,
							 const int64_t *hidden, size_t hidden_count, BridgeError *err);

/* The same of what a measurement found. */
int bridge_store_set_tuned(BridgeStore *store, const BridgeTuned *tuned, BridgeError *err);

/* The ef of searches that name none: given with the table, else found, else the default. */
int bridge_store_ef(const BridgeStore *store, const BridgeTuned *tuned);

/* That list, the caller's to sqlite3_free.  *sound is false where there is none or it is damaged. */
int bridge_store_hidden(BridgeStore *store, int64_t **out, size_t *count, bool *sound, BridgeError *err);

/* Run one SQL text in sqlite3_mprintf's format, to its end. */
int bridge_exec(sqlite3 *db, BridgeError *err, const char *format, ...);

/*
 * For rows.c: a prepared statement of the store, kept by it; running one to
 * its end; putting back one that a walk took out of statements[], so that a
 * visitor could start another; and a text with the names filled in.
 */
int bridge_store_statement(BridgeStore *store, int which, sqlite3_stmt **out, BridgeError *err);
int bridge_store_finish(BridgeStore *store, sqlite3_stmt *stmt, BridgeError *err);
void bridge_store_put_back(BridgeStore *store, int which, sqlite3_stmt *stmt);
char *bridge_store_expand(const BridgeStore *store, const char *text);

/* ---------- rows.c: truth and delta ---------- */

/*
 * Rows of the truth with rowid >= from in order of rowid, at most limit of
 * them (negative: all).  vector is NULL for a row that belongs in no graph
 * (NULL, or of length zero under cosine) and valid during the call; a result
 * other than SQLITE_OK ends the walk and is returned (SQLITE_DONE: ends it, and
 * OK is returned).  *count is how many were visited.
 */
typedef int (*BridgeTruthVisit)(void *arg, int64_t rowid, const float *vector, BridgeError *err);
int bridge_store_truth(BridgeStore *store, int64_t from, int64_t limit, BridgeTruthVisit visit, void *arg,
					   int64_t *count, BridgeError *err);

/* One row of the truth.  *present: the row is there; out->data NULL: but has no vector. */
int bridge_store_truth_get(BridgeStore *store, int64_t rowid, BridgeVector *out, bool *present,
						   BridgeError *err);
int bridge_store_truth_exists(BridgeStore *store, int64_t rowid, bool *present, BridgeError *err);
int bridge_store_truth_count(BridgeStore *store, int64_t *count, BridgeError *err);

/* The row's vector as stored: *stmt is on it, to be reset; NULL if there is no such row. */
int bridge_store_truth_value(BridgeStore *store, int64_t rowid, sqlite3_stmt **stmt, BridgeError *err);

/*
 * Write to the shadow table of vectors; never to a content table.  Without
 * has_rowid a new one is chosen and returned in *rowid.
 */
int bridge_store_truth_put(BridgeStore *store, bool has_rowid, int64_t *rowid, const float *vector,
						   BridgeError *err);
int bridge_store_truth_delete(BridgeStore *store, int64_t rowid, BridgeError *err);

/*
 * A new statement, the caller's to finalize, over (rowid, vector) as stored:
 * of the row ?1, or of all in order of rowid.
 */
int bridge_store_truth_select(BridgeStore *store, bool by_rowid, sqlite3_stmt **out, BridgeError *err);

/*
 * Changes with after < seq <= upto in order of seq, at most limit of them
 * (negative: all).  vector NULL: the row is not in the graph any more.  One rowid may come
 * several times, its last change counts.
 */
typedef int (*BridgeDeltaVisit)(void *arg, int64_t seq, int64_t tag, int64_t rowid, const float *vector,
								BridgeError *err);
int bridge_store_delta(BridgeStore *store, int64_t after, int64_t upto, int64_t limit, BridgeDeltaVisit visit,
					   void *arg, int64_t *count, BridgeError *err);

/* Whether rowid has a change after seq. */
int bridge_store_delta_has(BridgeStore *store, int64_t rowid, int64_t after, bool *has, BridgeError *err);

/* Remove at most limit changes with seq <= upto. */
int bridge_store_delta_trim(BridgeStore *store, int64_t upto, int64_t limit, int64_t *removed,
							BridgeError *err);

/* Append a change and move the counter; xUpdate's, in the user's transaction. */
int bridge_store_change(BridgeStore *store, int64_t rowid, const float *vector, BridgeError *err);

/* Whether the vector belongs in a graph: not NULL, not zero under cosine. */
bool bridge_indexable(const BridgeParams *params, const float *vector);

/* ---------- files.c ---------- */

/* Where the graph files of an index are.  path NULL: database without a file. */
typedef struct BridgeFiles
{
	char *path;     /* absolute; sqlite3_free */
	char *database; /* absolute path of the database file */
	uint64_t device, inode;
} BridgeFiles;

/*
 * `path` of the arguments, confined to the database's folder, else
 * "<database>-<table>.hnsw".
 */
int bridge_files_locate(sqlite3 *db, const char *schema, const char *table, const char *path,
						BridgeFiles *out, BridgeError *err);
void bridge_files_free(BridgeFiles *files);

/* The index is renamed: its file of this token gets the name it will be looked for under. */
void bridge_files_move(const BridgeFiles *from, const BridgeFiles *to, const uint8_t token[HNSW_TOKEN_BYTES]);

/* "<path>-<token in hex>"; sqlite3_free. */
char *bridge_files_token_path(const BridgeFiles *files, const uint8_t token[HNSW_TOKEN_BYTES]);

/* 16 hexadecimal digits and a zero byte. */
void bridge_token_format(const uint8_t token[HNSW_TOKEN_BYTES], char out[17]);
bool bridge_token_parse(const char *text, uint8_t token[HNSW_TOKEN_BYTES]);

/* ---------- registry.c ---------- */

typedef struct BridgeConnection BridgeConnection;
typedef struct BridgeTable BridgeTable;
typedef struct BridgeMerger BridgeMerger; /* thread.c's */
typedef struct BridgeNames BridgeNames;   /* names.c's */

typedef struct BridgeSearcher BridgeSearcher; /* graph.c's */

/* A mapped graph file, counted: snapshots and searchers hold it. */
typedef struct BridgeGraph
{
	HnswSnapshot *map;
	uint8_t token[HNSW_TOKEN_BYTES];
	int references;
} BridgeGraph;

/* The graph of one state (segments.c), counted: queries hold it while they read. */
typedef struct BridgeSnapshot
{
	int count;                                /* of segments, 1 at least */
	BridgeGraph *graphs[BRIDGE_MAX_SEGMENTS]; /* base first */
	int64_t *hidden;                          /* labels of the base that do not count, sorted */
	size_t hidden_count;
	int references;
} BridgeSnapshot;

/*
 * The delta after some change, last entry of each rowid: entry i is labels[i]
 * and vectors[i * dim ...], or distances[i] where it was measured for one query.
 * live[i] is false where the row is deleted or belongs in no graph.
 */
typedef struct BridgeDelta
{
	int64_t after;    /* entries have seq > after */
	int64_t last_seq; /* of the last one read; == after when there is none */
	int64_t last_tag;
	bool too_large; /* not cached: each query reads it anew */
	int references; /* the index's, and one a query that masks with it */
	size_t count, capacity;
	int64_t *labels;
	float *vectors;
	double *distances;
	bool *live;
	uint32_t *slots; /* open addressing over labels: entry + 1, or 0 */
	size_t slot_count;
} BridgeDelta;

/*
 * An hnsw table as this connection knows it.  Keyed by (schema, id, database
 * file); name follows renames.
 */
typedef struct BridgeIndex
{
	struct BridgeIndex *next;
	BridgeConnection *connection;
	char *schema;
	char *table;
	uint64_t id;
	int dim;
	HnswMetric metric;
	BridgeFiles files;
	BridgeTable *connected;   /* the live virtual table, or NULL */
	BridgeSnapshot *snapshot; /* of the state last asked for, or NULL */
	BridgeDelta *delta;       /* NULL before the first search */
	/* Of each segment: idle, to be used again, or NULL. */
	BridgeSearcher *searchers[BRIDGE_MAX_SEGMENTS];
	/* A file that proved unusable: not tried again while it is current. */
	bool rejected;
	uint8_t rejected_token[HNSW_TOKEN_BYTES];
	char rejected_reason[240];
	/*
	 * Set by searches and commits when a merge is worth while (bridge_merge_is_due),
	 * cleared when one begins; and the changes that this connection committed since.
	 */
	bool merge_due;
	int64_t committed;
} BridgeIndex;

struct BridgeConnection
{
	sqlite3 *db;
	BridgeHost host;
	int references; /* registered modules and functions */
	BridgeIndex *indexes;
	BridgeMerger *merger; /* NULL: no merge thread was started */
	sqlite3_stmt *poll;   /* asks SQLite before 3.41 whether it is interrupted */
	BridgeNames *names;   /* the last name looked up, or NULL */
	bool stepping;        /* poll or names' statement is being run: not to be finalized */
};

/*
 * Find or make the registry's entry for a table that connects, or forget the
 * connection of one that goes.  xConnect's and xDisconnect's.
 */
int bridge_index_connect(BridgeConnection *connection, BridgeTable *table, BridgeIndex **out,
						 BridgeError *err);
void bridge_index_disconnect(BridgeIndex *index, BridgeTable *table);

/* For xDestroy of modules and functions, which take BridgeConnection as pAux. */
BridgeConnection *bridge_connection_hold(BridgeConnection *connection);
void bridge_connection_release(void *connection);

/*
 * True when the statement must stop: the host says so, or sqlite3_interrupt().
 * The argument is a BridgeConnection.  Only within calls of SQLite on it, not
 * from the threads of a build: those ask host.cancelled.
 */
bool bridge_cancelled(void *connection);
/* To be called after the last bridge_cancelled of a function that works without a connected table. */
void bridge_cancelled_end(BridgeConnection *connection);

/*
 * Step and reset a statement of the connection's own.  Compiling it anew may
 * disconnect the last table, which must not take it away meanwhile.
 */
int bridge_step_own(BridgeConnection *connection, sqlite3_stmt *stmt);

/* The store of a connected index, valid within the present call of SQLite. */
BridgeStore *bridge_index_store(BridgeIndex *index);

/*
 * The graph of state, held for the caller; NULL where there is none that can be
 * used, whole (then index->rejected_reason may say why).
 */
int bridge_index_snapshot(BridgeIndex *index, const BridgeState *state, BridgeSnapshot **out,
						  BridgeError *err);

/* The graph file of this token proved corrupt: forget it and do not open it again. */
void bridge_index_reject(BridgeIndex *index, const uint8_t token[HNSW_TOKEN_BYTES], const char *reason);

/* Take over the caller's snapshot in place of the present one. */
void bridge_index_adopt(BridgeIndex *index, BridgeSnapshot *snapshot);

/* Drop cached snapshots and delta (after a merge, a rebuild, a drop). */
void bridge_index_forget(BridgeIndex *index);

/* ---------- segments.c: the graph of one state ---------- */

/*
 * Open the files that state names.  A file that previous (or NULL) has is shared
 * with it.  *out NULL with SQLITE_OK: they cannot all be used, and reason says why.
 */
int bridge_snapshot_open(const BridgeFiles *files, BridgeStore *store, const BridgeState *state,
						 const BridgeSnapshot *previous, char *reason, size_t reason_size,
						 BridgeSnapshot **out, BridgeError *err);

/* Of one graph, which it takes over in any case; NULL without memory. */
BridgeSnapshot *bridge_snapshot_single(HnswSnapshot *map, const uint8_t token[HNSW_TOKEN_BYTES]);

void bridge_snapshot_release(BridgeSnapshot *snapshot);
void bridge_graph_hold(BridgeGraph *graph);
void bridge_graph_release(BridgeGraph *graph);

/* Whether it is the graph of this state. */
bool bridge_snapshot_is_of(const BridgeSnapshot *snapshot, const BridgeState *state);

/* Rows in all, and those in segments after the base. */
uint64_t bridge_snapshot_rows(const BridgeSnapshot *snapshot);
uint64_t bridge_snapshot_recent(const BridgeSnapshot *snapshot);

/* Whether a node of this label in this segment does not count. */
bool bridge_snapshot_hides(const BridgeSnapshot *snapshot, int segment, int64_t label);

/* As hnsw_snapshot_vector. */
HnswStatus bridge_snapshot_vector(const BridgeSnapshot *snapshot, int64_t label, float *vector);

/* The first file that proved corrupt, or NULL. */
const BridgeGraph *bridge_snapshot_damaged(const BridgeSnapshot *snapshot);

/* Whether label is among sorted ones. */
bool bridge_labels_have(const int64_t *sorted, size_t count, int64_t label);

/* ---------- names.c ---------- */

/*
 * The index by name: "table", "schema.table", or NULL where the database has
 * one.  Connects its virtual table if need be, so that index->connected is
 * set.  The result is the registry's; it stays valid as long as the virtual
 * table is connected.  Errors list the candidates.
 */
int bridge_find_index(BridgeConnection *connection, const char *name, BridgeIndex **out, BridgeError *err);

/* The entry of a table that is connected already. */
int bridge_find_connected(BridgeConnection *connection, const char *schema, const char *table,
						  BridgeIndex **out, BridgeError *err);

/* Only the names, without connecting; both sqlite3_free. */
int bridge_find_name(BridgeConnection *connection, const char *name, char **schema, char **table,
					 BridgeError *err);

/* Finalizes its statement. */
void bridge_names_forget(BridgeConnection *connection);

/* ---------- delta.c ---------- */

/* Bytes of vectors kept in memory; a larger delta is read anew by each query. */
#define BRIDGE_DELTA_CACHE_BYTES (8 * 1024 * 1024)

/*
 * Bring index->delta up to the store's present view: the entries after
 * state's segment.  same_tag: whether row delta->last_seq is there and has
 * delta->last_tag (bridge_store_state looked it up).  A delta that others hold is
 * appended to, but never emptied: it is replaced by a new one.
 */
int bridge_delta_refresh(BridgeIndex *index, BridgeStore *store, const BridgeState *state, bool same_tag,
						 BridgeError *err);
void bridge_delta_release(BridgeDelta *delta);

/* The distances of a delta too large to be cached, into a delta of the query's own. */
int bridge_delta_measure(BridgeIndex *index, BridgeStore *store, const BridgeState *state, const float *query,
						 BridgeDelta *out, BridgeError *err);

/* The entry of a label, or -1. */
int64_t bridge_delta_find(const BridgeDelta *delta, int64_t label);
/* Free what a delta holds, not the struct. */
void bridge_delta_clear(BridgeDelta *delta);

/* ---------- hits.c: results in order of distance, then rowid ---------- */

typedef struct BridgeHits
{
	HnswHit *items;
	size_t count, capacity;
	size_t next;  /* first not taken yet, once ordered */
	size_t limit; /* keep only so many nearest; SIZE_MAX: all */
	bool ordered;
} BridgeHits;

void bridge_hits_reset(BridgeHits *hits, size_t limit);
int bridge_hits_add(BridgeHits *hits, int64_t label, double distance, BridgeError *err);
/* No more additions: from here on peek and take give the nearest. */
void bridge_hits_order(BridgeHits *hits);
const HnswHit *bridge_hits_peek(const BridgeHits *hits);
void bridge_hits_take(BridgeHits *hits);
void bridge_hits_free(BridgeHits *hits);
bool bridge_hit_before(const HnswHit *a, const HnswHit *b);

/* ---------- plan.c: xBestIndex of vss and of vss_knn ---------- */

/* What idxNum says is in argv, in this order. */
enum
{
	PLAN_QUERY = 1 << 0,
	PLAN_K = 1 << 1,
	PLAN_EF = 1 << 2,
	PLAN_TABLE = 1 << 3,
	PLAN_STRATEGY = 1 << 4,
	PLAN_STATS = 1 << 5,
	PLAN_ROWID = 1 << 6,    /* rowid = value */
	PLAN_ROWID_IN = 1 << 7, /* rowid IN (list), whole */
	PLAN_BELOW = 1 << 8,    /* distance < value */
	PLAN_UPTO = 1 << 9,     /* distance <= value */
	PLAN_LIMIT = 1 << 10,
	PLAN_OFFSET = 1 << 11
};

/* Column numbers; -1 where the table has no such column. */
typedef struct BridgeColumns
{
	int distance, query, k, ef, table, strategy, stats;
} BridgeColumns;

int bridge_plan(const BridgeColumns *columns, sqlite3_index_info *info);

/* The argument of one PLAN_ bit, or NULL. */
sqlite3_value *bridge_plan_value(int plan, int bit, sqlite3_value **argv);

/* ---------- query.c: one KNN scan ---------- */

/* The rows of one graph file in order of distance. */
typedef struct BridgeStream
{
	BridgeSearcher *searcher; /* NULL: none, or read to its end */
	HnswHit hit;              /* the next one, if ready */
	bool ready;
} BridgeStream;

typedef struct BridgeQuery
{
	/* asked (request.c) */
	float *vector; /* owned, dim floats */
	int vector_capacity;
	int64_t k;    /* as asked, -1: stream */
	int64_t need; /* rows to give at most, -1: until exhausted */
	bool bounded, bound_inclusive;
	double bound; /* only distances below (or equal) */
	int asked_ef; /* 0: the index's */
	int ef;       /* kept; final once the state is read */
	int strategy;
	int64_t *only; /* the rowids of IN or =, sorted, owned */
	size_t only_count, only_capacity;
	bool has_only;
	bool one_row;       /* rowid = */
	BridgeStats *stats; /* the caller's or own_stats */
	BridgeStats own_stats;

	/* sources, merged by distance */
	BridgeIndex *index; /* NULL: not started, or nothing to give */
	BridgeHits hits;    /* of the delta, or everything where the scan is exact */
	BridgeSnapshot *snapshot;
	BridgeStream streams[BRIDGE_MAX_SEGMENTS];
	BridgeDelta *delta;      /* held; NULL: none, or own_delta */
	BridgeDelta own_delta;   /* of this query, where it is too large for the cache */
	const BridgeDelta *mask; /* one of the two: its entries hide the snapshot's rows */
	bool exact;              /* hits are all there is */

	/* what was handed out, should the scan have to start over */
	int64_t *given;
	size_t given_count, given_capacity;

	HnswHit row; /* the present one */
	bool eof;
	unsigned polls;
} BridgeQuery;

/* Begin (again); a query that cannot have rows is at its end at once. */
int bridge_query_start(BridgeQuery *query, BridgeIndex *index, int plan, sqlite3_value **argv,
					   BridgeError *err);
int bridge_query_next(BridgeQuery *query, BridgeError *err);
/* Let go of snapshot and cursor; the memory is kept for the next start. */
void bridge_query_finish(BridgeQuery *query);
void bridge_query_free(BridgeQuery *query);

/* ---------- request.c: the arguments of a KNN scan ---------- */

typedef enum BridgeStrategy
{
	BRIDGE_AUTO,
	BRIDGE_GRAPH,
	BRIDGE_PREFILTER,
	BRIDGE_EXACT
} BridgeStrategy;

/* "auto", "graph", ...: static text. */
const char *bridge_strategy_name(int strategy);

/*
 * Read everything asked.  *usable is false where no row can match: a query of
 * NULL or without direction, a comparison with NULL.
 */
int bridge_request_read(BridgeQuery *query, BridgeStore *store, int plan, sqlite3_value **argv, bool *usable,
						BridgeError *err);

/* How many candidates its search keeps, by what the state says was found: query->ef. */
void bridge_request_settle_ef(BridgeQuery *query, const BridgeStore *store, const BridgeTuned *tuned);

/* ---------- measure.c: candidates measured one by one, into query->hits ---------- */

/* The whole truth, or the listed rows of it; leaves out what was given. */
int bridge_measure_truth(BridgeQuery *query, BridgeStore *store, BridgeError *err);

/*
 * The same rows from snapshot and delta, which needs no decoding.
 * SQLITE_CORRUPT_VTAB when the graph file turns out damaged.
 */
int bridge_measure_snapshot(BridgeQuery *query, BridgeError *err);

/* The changed rows; sets query->mask. */
int bridge_measure_delta(BridgeQuery *query, BridgeStore *store, const BridgeState *state, BridgeError *err);

bool bridge_query_within(const BridgeQuery *query, double distance);
bool bridge_query_wants(const BridgeQuery *query, int64_t rowid);

/* ---------- graph.c: the graph as a source of rows ---------- */

/* A stream for each segment of query->snapshot. */
int bridge_graph_begin(BridgeQuery *query, BridgeError *err);

/*
 * The next row of a stream into its hit: HNSW_OK, HNSW_DONE or a failure.  *costly:
 * the search was broken off (HNSW_INTERRUPTED) because measuring the listed rows one by one is cheaper.
 */
HnswStatus bridge_graph_next(BridgeQuery *query, int segment, bool *costly);

/*
 * End one stream, or all.  Searchers are kept for the next query; the caller's
 * statistics are not touched.
 */
void bridge_graph_end_one(BridgeQuery *query, int segment);
void bridge_graph_end(BridgeQuery *query);
void bridge_searcher_free(BridgeSearcher *searcher);

/* ---------- module.c: the virtual table ---------- */

/*
 * What content.c's triggers write, beside plain DML:
 *
 *	INSERT INTO vss(command, rowid) VALUES ('changed', x)
 *		row x of the content table may have been inserted, updated or deleted:
 *		look at it and record what is there now.  Use for NEW and OLD rowids alike,
 *		in AFTER triggers.
 *	INSERT INTO vss(command, rowid) VALUES ('conflict', x)
 *		from BEFORE INSERT and UPDATE triggers: REPLACE may remove row x.  The next
 *		'changed' records those of them that have vanished.
 *
 * With content=, plain INSERT and UPDATE are taken as 'changed' where the row
 * exists and are errors where it does not; DELETE the other way round.
 */
struct BridgeTable
{
	sqlite3_vtab base;
	BridgeConnection *connection;
	BridgeStore *store;
	BridgeIndex *index;
	int64_t changes;    /* in the present transaction */
	int holders;        /* SQLite, and functions at work on the store */
	int64_t *conflicts; /* rowids that REPLACE may remove; see above */
	size_t conflict_count, conflict_capacity;
};

int bridge_module_register(BridgeConnection *connection, BridgeError *err);

/*
 * Keep a connected table and its store while a function works on them: any
 * statement it runs may find the schema changed and have SQLite disconnect.
 */
BridgeTable *bridge_table_hold(BridgeTable *table);
void bridge_table_release(BridgeTable *table);

/* ---------- update.c ---------- */

/* xUpdate. */
int bridge_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *rowid);

/* ---------- knn_function.c: the rowset vss_knn ---------- */

int bridge_knn_register(BridgeConnection *connection, BridgeError *err);

/* ---------- arithmetic.c: cosine_distance and its like, vector, vector_json ---------- */

int bridge_arithmetic_register(sqlite3 *db, BridgeError *err);

/* ---------- functions.c: hnsw_add, hnsw_del, and arithmetic.c's ---------- */

int bridge_functions_register(BridgeConnection *connection, BridgeError *err);

/* ---------- content.c: triggers of content= ---------- */

#define BRIDGE_CONTENT_TRIGGERS 5

/*
 * Check table and columns (INTEGER PRIMARY KEY, existing vector column, sound
 * rows) and write the triggers, within xCreate.
 */
int bridge_content_create(sqlite3 *db, const char *schema, const char *table, const BridgeParams *params,
						  BridgeError *err);
/* The index is renamed from table to new_name: write its triggers anew. */
int bridge_content_rename(sqlite3 *db, const char *schema, const char *table, const char *new_name,
						  const BridgeParams *params, BridgeError *err);
int bridge_content_drop(sqlite3 *db, const char *schema, const char *table, const BridgeParams *params,
						BridgeError *err);

/*
 * Whether the table that params.content names is fit for an index, and how it
 * and its columns are spelled; the three texts are the caller's, also on failure.
 */
int bridge_content_columns(sqlite3 *db, const char *schema, const BridgeParams *params, char **table,
						   char **rowid, char **vector, BridgeError *err);

/*
 * The SQL that brings the triggers up to date with the content table and its
 * unique indexes; NULL (with SQLITE_OK) when they are.  sqlite3_free.
 */
int bridge_content_missing(sqlite3 *db, const char *schema, const char *table, const BridgeParams *params,
						   char **sql, BridgeError *err);

/* ---------- lock.c: one merger an index ---------- */

typedef struct BridgeLock
{
	int fd; /* -1: not held */
} BridgeLock;

/*
 * Take the merger's lock, waiting up to wait_ms.  SQLITE_BUSY when another
 * process or thread keeps it.  mode and group are for a new lock file.
 */
int bridge_lock_take(const BridgeFiles *files, int mode, int64_t group, int wait_ms,
					 bool (*cancelled)(void *arg), void *arg, BridgeLock *lock, BridgeError *err);
void bridge_lock_drop(BridgeLock *lock);

/* ---------- merge.c: from truth and delta to a new graph ---------- */

typedef enum BridgePhase
{
	BRIDGE_READING, /* and building; in rows, or in shares of the rowid range */
	BRIDGE_REPAIRING,
	BRIDGE_WRITING
} BridgePhase;

const char *bridge_phase_name(BridgePhase phase);

/* What a merge is asked to do, and whom it tells. */
typedef struct BridgeMergeTask
{
	const BridgeFiles *files;
	const char *table;
	uint64_t id;    /* of the index, as in BridgeStore */
	int host_mode;  /* as BridgeHost.file_mode */
	int threads;    /* 0: one per processor */
	int busy_ms;    /* how long to wait for the database's locks */
	int lock_ms;    /* how long to wait for another merge */
	bool rebuild;   /* start from the truth whatever there is */
	bool if_due;    /* end at once where a merge is not worth while */
	bool verify;    /* with if_due: a graph that is missing or not sound is reason enough */
	bool distrusts; /* the graph of this token proved damaged */
	uint8_t distrusted[HNSW_TOKEN_BYTES];

	/* Called from every thread of the build; may be NULL. */
	bool (*cancelled)(void *arg);
	/* Called from the merging thread; may be NULL. */
	void (*progress)(void *arg, BridgePhase phase, uint64_t done, uint64_t total);
	void *arg;

	/* Set by the merge. */
	BridgePhase phase;
	int file_mode;
	int64_t file_group;
	bool impatient; /* the busy handler is not to wait */
} BridgeMergeTask;

typedef struct BridgeMergeResult
{
	bool merged;      /* a new graph was published */
	bool incremental; /* made from the previous one */
	bool locked_out;  /* nothing was done: another merge of the index runs */
	uint64_t nodes;   /* rows of the current graph, all segments */
	int64_t seq;
	char *warning; /* sqlite3_free; or NULL */
} BridgeMergeResult;

/*
 * Merge an index of the main database of `database` on a connection of its
 * own, opened through the named VFS.  Calls nothing of the host but the task's
 * callbacks.  Safe on any thread.
 */
int bridge_merge_run(BridgeMergeTask *task, const char *vfs, BridgeMergeResult *result, BridgeError *err);

/* The same on the store's own connection, into memory, for databases without a file. */
int bridge_merge_memory(BridgeMergeTask *task, BridgeIndex *index, BridgeMergeResult *result,
						BridgeError *err);

/*
 * Whether a merge is worth while.  recent: nodes behind the base of a graph that can be
 * used, -1 without one.  pending: changes since then, or the rows of the truth where
 * there is no graph.
 */
bool bridge_merge_is_due(int64_t recent, int64_t pending);

/*
 * That no other index of the schema has these graph files: two would remove
 * each other's.
 */
int bridge_merge_check_path(sqlite3 *db, const char *schema, const char *table, const char *path,
							BridgeError *err);

/* ---------- build.c ---------- */

/* What a merge makes, to be published. */
typedef struct BridgeBuilt
{
	HnswBuilder *builder;
	bool incremental; /* from the graph before and the changes since */
	bool recent;      /* goes behind the base, which stays; else a new base, which is all */
	int64_t *hidden;  /* with recent: labels of the base that do not count, sorted */
	size_t hidden_count;
} BridgeBuilt;

/*
 * The truth as of change upto.  current: the graph as of change after, or NULL; it must outlive
 * what is built.  SQLITE_CORRUPT_VTAB where current cannot be built upon: it is to be done without.
 * Free with bridge_built_free, also after a failure.
 */
int bridge_build(BridgeMergeTask *task, BridgeStore *store, const BridgeSnapshot *current, int64_t after,
				 int64_t upto, BridgeBuilt *out, BridgeError *err);
void bridge_built_free(BridgeBuilt *built);

bool bridge_merge_cancelled(const BridgeMergeTask *task);

/* Read the files of a graph whole. */
int bridge_merge_verify(BridgeMergeTask *task, const BridgeSnapshot *graph, bool *sound, BridgeError *err);

/* The task as the graph library takes it, in this phase.  It refers to task. */
HnswTask bridge_merge_work(BridgeMergeTask *task, BridgePhase phase);

/* ---------- publish.c ---------- */

/*
 * Make what was built current, as of change seq.  before: the state the merge
 * started from; another merge's publishing since then is SQLITE_BUSY_SNAPSHOT.
 * *warning (sqlite3_free) tells of what went wrong without harm.
 */
int bridge_publish(BridgeStore *store, BridgeMergeTask *task, const BridgeBuilt *built,
				   const BridgeState *before, int64_t seq, char **warning, BridgeError *err);

/* Finish what an interrupted merge left undone after its graph became current. */
void bridge_publish_finish(BridgeStore *store, BridgeMergeTask *task, const BridgeState *state,
						   char **warning);

/* Unlink what earlier merges left; the caller holds the lock. */
void bridge_publish_sweep(const BridgeFiles *files, const BridgeState *state);

/* Unlink this database's graph files of a dropped index; never fails. */
void bridge_publish_unlink(const BridgeFiles *files);

/* Whether the file path + ending is a graph file of this database. */
bool bridge_publish_owns(const BridgeFiles *files, const char *ending);

/* ---------- tuning.c: the ef of indexes whose owner named none ---------- */

/*
 * Whether the graph that was built is to be measured: the first one, one made from
 * the truth, or one half as large again as that which was measured last.
 */
bool bridge_tuning_is_due(const BridgeStore *store, const BridgeState *state, const BridgeBuilt *built);

/* Measure it.  *tuned stays as it is where memory is out. */
int bridge_tune(BridgeMergeTask *task, const HnswSnapshot *graph, BridgeTuned *tuned, BridgeError *err);

/* The same of the graph in a file. */
int bridge_tune_file(BridgeMergeTask *task, const char *path, BridgeTuned *tuned, BridgeError *err);

/* ---------- orphans.c ---------- */

/*
 * Unlink graph files of this database that are named after tables it has not.
 * db: the merge's own connection, in no transaction.
 */
void bridge_orphans_sweep(sqlite3 *db, const BridgeFiles *files);

/* ---------- save.c: hnsw_save, hnsw_rebuild ---------- */

int bridge_merge_register(BridgeConnection *connection, BridgeError *err);

/* ---------- thread.c: automatic merges ---------- */

/*
 * index->merge_due was set and a statement ends or a transaction commits: start the thread
 * of the connection if the host wants one, or tell the host.  Cheap; never waits.
 */
void bridge_merge_request(BridgeIndex *index);

/* The connection closes: end the thread, wait for it, free connection->merger. */
void bridge_merge_stop(BridgeConnection *connection);

/* How the last automatic merge of this connection went, for hnsw_info. */
typedef struct BridgeMergeReport
{
	bool running;
	BridgePhase phase;
	uint64_t done, total;
	uint64_t merges; /* published by this connection's thread */
	char error[240]; /* of the last one that failed, "" after success */
} BridgeMergeReport;

void bridge_merge_report(BridgeConnection *connection, BridgeMergeReport *report);

/* ---------- trigger_text.c: what a trigger does to an index ---------- */

#define BRIDGE_TRIGGER_CALLS 8

typedef enum BridgeTriggerEvent
{
	BRIDGE_INSERT,
	BRIDGE_DELETE,
	BRIDGE_UPDATE
} BridgeTriggerEvent;

/* hnsw_add(NEW.id, NEW.vector [, 'index']) or hnsw_del(OLD.id [, 'index']) */
typedef struct BridgeTriggerCall
{
	bool adds;
	char *id;
	char *vector; /* NULL for hnsw_del */
	char *index;  /* NULL: not named */
} BridgeTriggerCall;

typedef struct BridgeTrigger
{
	BridgeTriggerEvent event;
	bool after;
	bool has_columns;          /* UPDATE OF ... */
	const char *columns_start; /* into the SQL */
	int call_count;
	BridgeTriggerCall calls[BRIDGE_TRIGGER_CALLS];
} BridgeTrigger;

/* False where the trigger does nothing to an index that is sure to happen for every row. */
bool bridge_trigger_parse(const char *sql, BridgeTrigger *out);
void bridge_trigger_free(BridgeTrigger *trigger);

/* Whether UPDATE of this column fires it.  The SQL must still be there. */
bool bridge_trigger_lists(const BridgeTrigger *trigger, const char *column);

/* ---------- sources.c: tables that feed an index by hand-written triggers ---------- */

typedef struct BridgeSource
{
	char *table, *rowid, *vector; /* in the schema's spelling */
	char *missing_sql;            /* what the set of triggers lacks, or NULL */
} BridgeSource;

/*
 * only: the index is the one that calls without a name mean.  Free with
 * bridge_sources_free.
 */
int bridge_sources_find(sqlite3 *db, const char *schema, const char *index, bool only, BridgeSource **out,
						int *count, BridgeError *err);
void bridge_sources_free(BridgeSource *sources, int count);

/* ---------- check.c, recall.c, info.c, indexes.c ---------- */

/*
 * Make all that follows read one snapshot of the database, until *stmt is
 * finalized.
 */
int bridge_hold_view(BridgeStore *store, sqlite3_stmt **stmt, BridgeError *err);

int bridge_check_register(BridgeConnection *connection, BridgeError *err);
int bridge_recall_register(BridgeConnection *connection, BridgeError *err);
int bridge_info_register(BridgeConnection *connection, BridgeError *err);
/* The hnsw tables of a schema by name.  Free with bridge_index_names_free. */
int bridge_index_names(sqlite3 *db, const char *schema, char ***out, int *count, BridgeError *err);
void bridge_index_names_free(char **names, int count);

int bridge_indexes_register(BridgeConnection *connection, BridgeError *err);

/* ---------- embed_functions.c: get_embedding, embed_config, embed_table ---------- */

/* Registers nothing where the host does not want it. */
int bridge_embed_register(BridgeConnection *connection, BridgeError *err);

/* ---------- embed_model.c: the model an index holds vectors of ---------- */

/* The function hnsw_model. */
int bridge_model_register(BridgeConnection *connection, BridgeError *err);

/* "" where none is known. */
int bridge_index_model(sqlite3 *db, const char *schema, const char *table, char model[BRIDGE_MODEL_SIZE],
					   BridgeError *err);

/* Embedding fills the index: SQLITE_MISMATCH when it holds vectors of another model. */
int bridge_index_claim_model(sqlite3 *db, const char *schema, const char *table, const char *model,
							 BridgeError *err);

/*
 * A vector (dim floats), called what in a message, comes to the index:
 * SQLITE_MISMATCH when it is known to be of another model than the index's.
 */
int bridge_index_check_model(BridgeStore *store, const float *vector, const char *what, BridgeError *err);

#endif /* BRIDGE_INT_H */
