/*
 * base.h
 *		What all files of sqlite_bridge/ share.  Hosts include bridge.h instead.
 *
 * The rooms, from the top; each has one header, in sections by file, and uses
 * only those after it:
 *
 *	module/		the virtual table, and what a connection gets registered
 *	embed/		the embedding client
 *	query/		a KNN scan
 *	merge/		from changes to a published graph
 *	index/		what a connection knows of its indexes
 *	content/	tables that feed an index
 *	store/		an index in its database
 *	base/		errors, arguments, vectors
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
#ifndef BRIDGE_BASE_H
#define BRIDGE_BASE_H

#include <sqlite3ext.h>

#include "hnsw/hnsw.h"
#include "sqlite_bridge/bridge.h"

/* entry.c holds the pointer that the loadable build calls SQLite through. */
#ifndef BRIDGE_ENTRY
SQLITE_EXTENSION_INIT3
#endif

/* Its value since 3.45, which wants it; before, unknown flags are passed over. */
#ifndef SQLITE_RESULT_SUBTYPE
#define SQLITE_RESULT_SUBTYPE 0x001000000
#endif

#define BRIDGE_DEFAULT_M 16
#define BRIDGE_DEFAULT_EF 200
#define BRIDGE_DEFAULT_RECALL 0.97
#define BRIDGE_MIN_RECALL 0.90
#define BRIDGE_MAX_RECALL 0.999

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

/* ---------- host.c: what hosts and their SQLite differ in ---------- */

/*
 * Whether this SQLite has the function: an OMIT flag leaves its entry in the
 * table of functions empty.  (Linked against SQLite, the linker knows.)
 */
#ifdef SQLITE_CORE
#define BRIDGE_HAS(function) true
#else
#define BRIDGE_HAS(function) ((function) != NULL)
#endif

/*
 * Read a whole number: 2, 2.0 and '2' are one, 2.5, 'x' and NULL none.
 * Programs in JavaScript bind every number as a REAL.
 */
bool bridge_whole_number(sqlite3_value *value, int64_t *out);

/* ---------- args.c ---------- */

/* The parameters of an index.  Strings are owned; see bridge_params_free. */
typedef struct BridgeParams
{
	int dim;
	HnswMetric metric;
	int m;
	int ef_construction;
	int ef_search;        /* 0: not given, searches go as far as merges find that they must (tuning.c) */
	double recall;        /* 0: not given */
	char *path;           /* as typed; NULL: beside the database */
	char *content;        /* table in the index's own schema, or NULL */
	char *content_rowid;  /* set with content */
	char *content_vector; /* set with content */
	int strict;           /* 1: writes of BLOBs of another length fail */
	int skip_bad;         /* 1: CREATE takes rows that hold no vector */
} BridgeParams;

/* argv as xCreate gets it, from the first module argument on. */
int bridge_params_parse(int argc, const char *const *argv, BridgeParams *out, BridgeError *err);
void bridge_params_free(BridgeParams *params);

/*
 * Whether this text of sqlite_schema.sql makes a virtual table of module
 * `hnsw`.
 */
bool bridge_is_index_sql(const char *sql);

/* Past blanks and comments of SQL; an unfinished comment ends with the text. */
const char *bridge_skip_blank(const char *p);

/* Bytes of the word (bare name, keyword or number) that starts here, or 0. */
size_t bridge_word_length(const char *p);

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

/* ---------- arithmetic.c: cosine_distance and its like, vector, vector_json ---------- */

int bridge_arithmetic_register(sqlite3 *db, BridgeError *err);

#endif /* BRIDGE_BASE_H */
