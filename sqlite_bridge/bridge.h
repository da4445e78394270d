/*
 * bridge.h
 *		The SQLite side of vss: everything a host links against.
 *
 * bridge_attach() gives a connection the virtual-table module `hnsw`, the
 * rowset `vss_knn`, and the functions of docs/sqlite.md.  From then on a host
 * talks SQL: there is deliberately no second, C-level way to ask, write,
 * merge or list indexes.  The SQL a host relies on:
 *
 *	SELECT rowid, distance FROM "schema"."index"(q, k, ef, strategy, stats)
 *		q: vector (BLOB of little-endian float32, or JSON text).  k: NULL
 *		streams in order of distance until the reader stops.  ef: NULL takes
 *		the index's ef_search, given or found.  strategy: NULL or 'auto', 'graph',
 *		'prefilter', 'exact'; or 'unplaced', below.  stats: NULL or a BridgeStats bound with
 *		sqlite3_bind_pointer(stmt, i, stats, BRIDGE_STATS_POINTER, NULL).
 *		Trailing arguments may be left out.  `rowid IN (SELECT ...)` is used
 *		as a prefilter (a list of one constant is an equality to SQLite, and
 *		with k is checked afterwards; a subquery never is).  A query of NULL, or
 *		under cosine of length zero, has no rows; neither have stored vectors of
 *		that kind.  With strategy 'unplaced' come just the rows that have no distance from
 *		q (NULL), in no order and without reading the others: a host adds them where it
 *		wants them.
 *	SELECT * FROM hnsw_indexes
 *		one row an hnsw table and recognised source:
 *		schema, name, dim, metric, m, ef_construction, ef_search,
 *		content, content_rowid, content_vector (NULL without a source table),
 *		declared (1: content=, 0: recognised from triggers),
 *		missing_sql (NULL, or the triggers a hand-written set lacks),
 *		margin (how far searches go on, as merges found it; NULL with an ef_search),
 *		visits (nodes that a search for ten visits)
 *	SELECT hnsw_save(['index' [, when]]), hnsw_rebuild, hnsw_check, hnsw_info
 *		when: 'due' does nothing (NULL) where no merge is due or another one
 *		is running; 'damaged' likewise, but verifies the graph file first.
 *	SELECT hnsw_due()
 *		tells merge_due of indexes that follow a content table: after writing it, since
 *		its triggers are plain SQL and tell nobody.
 *	SELECT hnsw_tune('index', question) FROM ..., hnsw_tune('index')
 *	SELECT hnsw_recall(k [, samples [, 'index' [, ef [, 'stored' | 'near' | 'far']]]])
 */
#ifndef BRIDGE_H
#define BRIDGE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---------- module/entry.c ---------- */

#define BRIDGE_MAX_DIM 16000
#define BRIDGE_STATS_POINTER "vss_stats"

/* An index that a merge would help, as a search or a commit found it. */
typedef struct BridgeMergeDue
{
	const char *index;      /* its name in the main database; valid during the call */
	uint64_t id;            /* stays through renames */
	uint64_t device, inode; /* of the database file */
	bool damaged;           /* the present graph file proved damaged */
	uint64_t graph;         /* changes with each merge that this connection sees; 0: no graph seen */
} BridgeMergeDue;

/* What the host offers; copied by bridge_attach. */
typedef struct BridgeHost
{
	/*
	 * Polled by searches, scans and builds, possibly from other threads during
	 * a build; true makes the statement fail with SQLITE_INTERRUPT.  May be
	 * NULL.
	 */
	bool (*cancelled)(void *arg);
	/* Told how far a merge is, from the calling thread.  May be NULL. */
	void (*progress)(void *arg, const char *phase, uint64_t done, uint64_t total);
	/*
	 * Told by every search, hnsw_due(), and commit of changes to the virtual table that a merge of an index in the main
	 * database's file is due, for hosts that see to it themselves (with
	 * `hnsw_save(index, 'due')` elsewhere).  May be NULL.
	 */
	void (*merge_due)(void *arg, const BridgeMergeDue *due);
	void *arg;
	bool embedding;    /* offer get_embedding, embed_config and embed_table */
	bool merge_thread; /* merge automatically on a thread of the connection */
	int build_threads; /* threads of a merge, 0: one per processor */
	/*
	 * Refuse to create files owned by us in another user's folder; the host
	 * has checked owner and group of the database itself.
	 */
	int file_mode; /* permission bits of graph files; -1: the database file's */
} BridgeHost;

/*
 * Register module and functions on a connection.  Returns a SQLite result
 * code; *message (sqlite3_free) says more on failure.
 */
int bridge_attach(sqlite3 *db, const BridgeHost *host, char **message);

/* Why a graph is not asked: no file of that name is the one made; a block of it is damaged. */
#define BRIDGE_GRAPH_MISSING "graph file missing"
#define BRIDGE_GRAPH_DAMAGED "graph file damaged"

/* How one KNN scan went; filled while the statement runs, zeroed at its start. */
typedef struct BridgeStats
{
	/* asked */
	int64_t pull_limit; /* kept: end the scan after so many rows; 0: no limit; may be changed meanwhile */
	int64_t least_ef;   /* kept: candidates to keep at least, where an ef is named; 0: no such wish */
	int64_t expected;   /* kept: rows that the caller is going to read, without k; 0: not known */
	/* told */
	const char *strategy; /* "graph", "prefilter", "exact"; static text */
	int64_t k;            /* -1: stream */
	int64_t ef;           /* 0: no graph was asked, or with a margin */
	double margin;        /* how far the search went on (HnswSearchOptions); 0: it kept ef candidates */
	uint64_t nodes_visited;
	uint64_t distances_computed;
	uint64_t delta_rows;    /* changed rows scanned beside the graph */
	uint64_t rows_filtered; /* candidates that a prefilter or mask rejected */
	uint64_t rows_returned;
	uint64_t listed; /* rowids that rowid IN (list) named, each once */
	/*
	 * Why a graph that has been made was not asked: "triggers_missing" and its like, as in hnsw_info, or
	 * one of the two below; or NULL.  Static text.
	 */
	const char *behind;
	int64_t bad_rows; /* of content=: rows that hold no vector of the index's kind, as a merge found them */
	bool pull_limit_hit; /* the scan ended early, more rows exist */
} BridgeStats;

/* ---------- base/maps.c: maps of files that others may truncate ---------- */

/*
 * For a host that reads such a map: as hnsw_fault_watch.  A fault inside the map
 * sets *lost and turns it into zeros that only this process sees, so what is
 * done from then on must not count.
 */
bool bridge_watch_map(const void *base, size_t size, bool writable, _Atomic bool *lost);
void bridge_unwatch_map(const void *base, const _Atomic bool *lost);

/* ---------- base/vector.c: vectors as text and bytes ---------- */

/* Why a text is no vector; all are negative. */
enum
{
	BRIDGE_VECTOR_SYNTAX = -1,
	BRIDGE_VECTOR_EMPTY = -2,    /* [] */
	BRIDGE_VECTOR_RANGE = -3,    /* a number is beyond the range of float32 */
	BRIDGE_VECTOR_NAN = -4,      /* an element is spelled nan */
	BRIDGE_VECTOR_INFINITE = -5, /* an element is spelled inf or infinity */
	BRIDGE_VECTOR_LONG = -6      /* more than capacity elements */
};

/*
 * Parse "[1, 2.5, -3e-2, 0x1p-4]" into out (capacity floats).  Returns the
 * number of elements, or one of the numbers above with the reason and place in
 * message.  Locale-independent.
 */
int bridge_vector_parse(const char *text, size_t length, float *out, int capacity, char *message,
						size_t message_size);

/*
 * Write the shortest text that parses back to the same floats; returns its
 * length.  buffer needs 16 * dim + 3 bytes.
 */
size_t bridge_vector_format(const float *vector, int dim, char *buffer);

typedef enum BridgeMetric
{
	BRIDGE_COSINE = 1,
	BRIDGE_L2 = 2,
	BRIDGE_IP = 3
} BridgeMetric;

/* The one distance routine (see hnsw_distance): same bits everywhere. */
double bridge_distance(BridgeMetric metric, const float *a, const float *b, int dim);
double bridge_norm(const float *a, int dim);

/* The sum of |a[i] - b[i]|, in double precision and in one order: same bits everywhere. */
double bridge_l1_distance(const float *a, const float *b, int dim);

/* ---------- content/table_kind.c: what a table is ---------- */

typedef struct BridgeTableKind
{
	char *name; /* as the schema spells it; the caller's (sqlite3_free) */
	bool is_view, is_virtual;
	bool without_rowid, strict; /* of ordinary tables alone */
} BridgeTableKind;

/*
 * Look a table or view up in the schema of that name ("main").  No view is
 * expanded and no module called.  Returns a SQLite result code, explained by
 * the connection; SQLITE_OK with name NULL where there is no such table.
 */
int bridge_table_kind(sqlite3 *db, const char *schema, const char *table, BridgeTableKind *kind);

/*
 * Whether a virtual table's module keeps the table for itself.  Returns a
 * SQLite result code, explained by the connection.
 */
int bridge_is_shadow(sqlite3 *db, const char *schema, const char *table, bool *shadow);

/* ---------- base/thread.c ---------- */

/*
 * Start a thread that takes no signal but those of faults: the host's handlers
 * expect the host's own threads.  False when it cannot be started.
 */
bool bridge_thread_start(pthread_t *thread, void *(*body)(void *), void *arg);

/* ---------- embed/client.c: texts to vectors over HTTP ---------- */

typedef enum BridgeEmbedApi
{
	BRIDGE_EMBED_OLLAMA, /* POST <url>/api/embed */
	BRIDGE_EMBED_OPENAI  /* POST <url>/v1/embeddings */
} BridgeEmbedApi;

/* Strings are the caller's and must live through the call. */
typedef struct BridgeEmbedOptions
{
	const char *url; /* http or https, scheme and host at least */
	const char *model;
	BridgeEmbedApi api;
	const char *key;   /* sent as Authorization: Bearer; NULL sends none */
	const char *proxy; /* NULL: none, whatever the environment says */
	int dimensions;    /* asked of the server and demanded of its answer; 0: whatever comes */
	int timeout;       /* milliseconds for one request with all its retries */
	int batch_size;    /* texts in one request */
	int retries;       /* further tries after 429, 5xx or a dropped connection */
	bool base64;       /* ask an OpenAI-style server for base64 instead of numbers */
} BridgeEmbedOptions;

/* http://127.0.0.1:11434, all-minilm:latest, Ollama's API, 60 s, batches of 64, 3 retries. */
void bridge_embed_defaults(BridgeEmbedOptions *options);

typedef enum BridgeEmbedStatus
{
	BRIDGE_EMBED_OK = 0,
	BRIDGE_EMBED_NOMEM,
	BRIDGE_EMBED_CANCELLED,
	BRIDGE_EMBED_INVALID,     /* a text or an option; nothing was sent */
	BRIDGE_EMBED_UNSUPPORTED, /* no libcurl here, or no JSON functions in SQLite; nothing was sent */
	BRIDGE_EMBED_CONNECT,     /* no connection, or it was dropped, or TLS failed */
	BRIDGE_EMBED_TIMEOUT,     /* no whole answer in time */
	BRIDGE_EMBED_REJECTED,    /* the server refused (3xx, 4xx) */
	BRIDGE_EMBED_UNAVAILABLE, /* 429 or 5xx, still after the retries */
	BRIDGE_EMBED_PROTOCOL     /* the answer is not what the API promises */
} BridgeEmbedStatus;

typedef struct BridgeEmbedError
{
	BridgeEmbedStatus status;
	long http_status; /* 0 when there was no answer */
	long text;        /* index of the text at fault, -1 when it is none in particular */
	char message[640];
	char hint[256]; /* "" when there is nothing to advise */
} BridgeEmbedError;

/*
 * Keeps connections alive between calls; for one thread at a time.  libcurl is
 * loaded by the first request of the process.
 */
typedef struct BridgeEmbedClient BridgeEmbedClient;
BridgeEmbedClient *bridge_embed_client_new(void);
void bridge_embed_client_free(BridgeEmbedClient *client);

/*
 * Turn count texts (UTF-8, lengths in bytes) into vectors, in order.
 *
 * On success *vectors (count x *dim float32, finite; free() it) is set.  On
 * failure nothing is returned of any text.  cancelled is polled at least ten
 * times a second and may be NULL.  Neither message nor hint ever holds the key.
 */
BridgeEmbedStatus bridge_embed(BridgeEmbedClient *client, const BridgeEmbedOptions *options, size_t count,
							   const char *const *texts, const size_t *lengths, bool (*cancelled)(void *arg),
							   void *arg, float **vectors, int *dim, BridgeEmbedError *error);

/*
 * Whether the failure may lie with one of the texts, so that a request without
 * it could succeed.  A missing model or an absent server fails every text.
 */
bool bridge_embed_is_of_text(const BridgeEmbedError *error);

/* ---------- base/provenance.c: which model made a vector ---------- */

#define BRIDGE_MODEL_SIZE 128

/*
 * Note that model made this vector; and ask whether one is known to have made
 * it.  The memory is bounded, per process and thread-safe; a vector not known
 * to it is of unknown origin.
 */
void bridge_embed_remember(const char *model, const float *vector, int dim);
bool bridge_embed_model_of(const float *vector, int dim, char model[BRIDGE_MODEL_SIZE]);

#endif /* BRIDGE_H */
