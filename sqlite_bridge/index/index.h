/*
 * index.h
 *		What a connection knows of its indexes: the registry, the mapped graphs, the
 *		cached changes, and how an index is found by its name.
 */
#ifndef BRIDGE_INDEX_H
#define BRIDGE_INDEX_H

#include "sqlite_bridge/store/store.h"

/* ---------- registry.c ---------- */

typedef struct BridgeConnection BridgeConnection;
typedef struct BridgeTable BridgeTable;
typedef struct BridgeMerger BridgeMerger; /* merge/thread.c's */
typedef struct BridgeNames BridgeNames;   /* names.c's */

/* A mapped graph file, counted: snapshots and searchers hold it. */
typedef struct BridgeGraph
{
	HnswSnapshot *map;
	uint8_t token[HNSW_TOKEN_BYTES];
	int references;
} BridgeGraph;

/*
 * A cursor of the graph library over one segment, kept with the index for the
 * next query since its memory is in proportion to the graph.  query/graph.c's
 * searchers begin with it; from sqlite3_malloc64.
 */
typedef struct BridgeSearcher
{
	HnswCursor *cursor; /* NULL: not begun */
	BridgeGraph *graph; /* held */
} BridgeSearcher;

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
	int64_t last_label; /* as the state had it: keys that had no label then may have one now */
	bool too_large;     /* not cached: each query reads it anew */
	int references;     /* the index's, and one a query that masks with it */
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
	int tables;               /* virtual tables that point here: old ones live as long as statements do */
	BridgeStore *store;       /* its store, or NULL */
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
	BridgeNewcomers *newcomers; /* rows of a table without rowids that no merge has seen, or NULL */
	int readers;                /* searches and scans at work, which may hold labels of these */
	bool ghosts;                /* searches came across nodes without a row, which a merge is to take out */
} BridgeIndex;

struct BridgeConnection
{
	sqlite3 *db;
	BridgeHost host;
	int references; /* registered modules and functions */
	BridgeIndex *indexes;
	BridgeMerger *merger; /* one for each file that a merge was asked for, a list */
	/* The connection closes: let go of them.  Set with merger. */
	void (*stop_merger)(BridgeConnection *connection);
	bool merge_off;     /* hnsw_config('merge', 'off'): it asks for none */
	sqlite3_stmt *poll; /* asks SQLite before 3.41 whether it is interrupted */
	BridgeNames *names; /* the last name looked up, or NULL */
	bool stepping;      /* poll or names' statement is being run: not to be finalized */
	int depth;          /* calls of bridge_enter that have not left */
};

/*
 * Around every call of SQLite's in which the module runs statements of its own.  A
 * hostile schema can make these call the module again, without end but for the
 * stack: SQLite counts the depth of triggers, not of nested statements.  So the
 * connection counts, and beyond BRIDGE_MAX_DEPTH entering fails.  Ordinary use
 * takes three: hnsw_add() in a trigger, the write, a table connected anew.
 */
#define BRIDGE_MAX_DEPTH 8
int bridge_enter(BridgeConnection *connection, BridgeError *err);
void bridge_leave(BridgeConnection *connection);

/*
 * Find or make the registry's entry for a table that connects, or forget the
 * connection of one that goes.  xConnect's and xDisconnect's.
 */
int bridge_index_connect(BridgeConnection *connection, BridgeTable *table, BridgeStore *store,
						 BridgeIndex **out, BridgeError *err);
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

/* Around a search or scan, from its first row to its last. */
void bridge_index_read(BridgeIndex *index);
void bridge_index_read_end(BridgeIndex *index);

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

void bridge_searcher_free(BridgeSearcher *searcher);

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

/* Sort labels, and whether one is among sorted ones. */
void bridge_labels_sort(int64_t *labels, size_t count);
bool bridge_labels_have(const int64_t *sorted, size_t count, int64_t label);

/* ---------- names.c ---------- */

/*
 * The index by name: "table", "schema.table", or NULL where the database has
 * one; see bridge_find_name.  Connects its virtual table if need be, so that index->connected is
 * set.  The result is the registry's; it stays valid as long as the virtual
 * table is connected.  Errors list the candidates.
 */
int bridge_find_index(BridgeConnection *connection, const char *name, BridgeIndex **out, BridgeError *err);

/* The entry of a table that is connected already. */
int bridge_find_connected(BridgeConnection *connection, const char *schema, const char *table,
						  BridgeIndex **out, BridgeError *err);

/*
 * Only the names, without connecting; both sqlite3_free.  A name that several
 * databases have means main's; the second function takes that for an error, for
 * what writes on behalf of a trigger it does not know.
 */
int bridge_find_name(BridgeConnection *connection, const char *name, char **schema, char **table,
					 BridgeError *err);
int bridge_find_unique_name(BridgeConnection *connection, const char *name, char **schema, char **table,
							BridgeError *err);

/* The hnsw tables of a schema by name.  Free with bridge_index_names_free. */
int bridge_index_names(sqlite3 *db, const char *schema, char ***out, int *count, BridgeError *err);
void bridge_index_names_free(char **names, int count);

/* Finalizes its statement. */
void bridge_names_forget(BridgeConnection *connection);

/* ---------- delta.c ---------- */

/* Bytes of vectors kept in memory; a larger delta is read anew by each query. */
#define BRIDGE_DELTA_CACHE_BYTES (8 * 1024 * 1024)

/*
 * The delta as of the store's present view, the entries after the state's position; held
 * for the caller.  same_tag: whether row index->delta->last_seq is there and has
 * last_tag (bridge_store_state looked it up).
 */
int bridge_delta_get(BridgeIndex *index, BridgeStore *store, const BridgeState *state, bool same_tag,
					 BridgeDelta **out, BridgeError *err);
void bridge_delta_release(BridgeDelta *delta);

/* The distances of a delta too large to be cached, into a delta of the query's own. */
int bridge_delta_measure(BridgeIndex *index, BridgeStore *store, const BridgeState *state, const float *query,
						 BridgeDelta *out, BridgeError *err);

/* The entry of a label, or -1. */
int64_t bridge_delta_find(const BridgeDelta *delta, int64_t label);
/* Free what a delta holds, not the struct. */
void bridge_delta_clear(BridgeDelta *delta);

#endif /* BRIDGE_INDEX_H */
