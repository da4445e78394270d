/*
 * store.h
 *		An index in its database: the shadow tables that hold truth, changes and
 *		parameters, and where its graph files are.
 */
#ifndef BRIDGE_STORE_H
#define BRIDGE_STORE_H

#include "sqlite_bridge/base/base.h"

#define BRIDGE_FORMAT 2        /* the newest layout of the tables: content= with a journal */
#define BRIDGE_FORMAT_SHADOW 1 /* vectors, or only changes, in shadow tables */
#define BRIDGE_MAX_SEGMENTS 2  /* base, and a small one of recent changes */

/* Where a journal's numbers end: beyond it SQLite would choose them at random. */
#define BRIDGE_LAST_SEQ (INT64_C(1) << 62)

/* ---------- storage.c ---------- */

/* A graph file as the config table names it. */
typedef struct BridgeSegment
{
	uint8_t token[HNSW_TOKEN_BYTES];
	int64_t seq; /* image of the truth as of this change */
} BridgeSegment;

/* How far searches of a graph were found to have to go.  A hint: it decides on no row but through recall. */
typedef struct BridgeTuned
{
	double margin; /* 0: nothing was found yet */
	int visits;    /* nodes that a search for ten then visits */
	int64_t rows;  /* of the graph that was measured */
} BridgeTuned;

/* Whether graph and journal together are the content table; evidence.c finds out. */
typedef enum BridgeVerdict
{
	BRIDGE_FOLLOWED,         /* they are; also where there is no journal */
	BRIDGE_TRIGGERS_MISSING, /* or other than they should be */
	BRIDGE_TRIGGERS_ANEW,    /* made anew: nobody knows what was written meanwhile */
	BRIDGE_OVERTAKEN,        /* an AFTER INSERT trigger made later may end a statement before ours fires */
	BRIDGE_VACUUMED,         /* rows may have other numbers */
	BRIDGE_JOURNAL_LOST,     /* it does not go back to the graph any more */
	BRIDGE_VERDICTS
} BridgeVerdict;

/* What changes while an index lives, read in one snapshot of the database. */
typedef struct BridgeState
{
	BridgeTuned tuned;
	int64_t counter;   /* number of the last change */
	int64_t last_tag;  /* its tag, where delta or journal has that row */
	int segment_count; /* 0: never merged */
	BridgeSegment segments[BRIDGE_MAX_SEGMENTS];
	int64_t position;      /* the change that the graph is the image of; 0 before the first merge */
	BridgeVerdict verdict; /* other than FOLLOWED: the graph is not to be used */
	int64_t last_label;    /* of a WITHOUT ROWID table's rows; labels only grow */
	int64_t bad_rows; /* that hold no vector of the index's kind, as the last merge that read all found */
	int64_t merged_cookie; /* schema version when the last merge published; of a journal only */
} BridgeState;

/* How a content= table is followed by a journal, at one version of the schema. */
typedef struct BridgeFollow
{
	bool judged; /* cookie and what follows are known */
	int64_t cookie;
	unsigned version; /* of the database's content (SQLITE_FCNTL_DATA_VERSION) when stamp was looked at */
	uint64_t stamp;   /* of triggers and table in sqlite_schema, and of the canary */
	bool canary;      /* there is one */
	BridgeVerdict verdict; /* on triggers and tables; the journal's position is BridgeState's */
	bool journal_there;
	bool keys_there; /* the labels of this very key */
	bool replaces;   /* REPLACE can remove rows that no trigger sees: a hit must be checked to exist */
} BridgeFollow;

/* The primary key of a WITHOUT ROWID table; count 0: rows have rowids. */
typedef struct BridgeKeys
{
	char *names; /* a zero byte behind each; sqlite3_free */
	int bytes;
	int count;
} BridgeKeys;

#define BRIDGE_MAX_KEYS 8

/* keys.c's */
typedef struct BridgeNewcomers BridgeNewcomers;

enum
{
	BRIDGE_STMT_STATE,
	BRIDGE_STMT_COUNTER,
	BRIDGE_STMT_CURRENT,
	BRIDGE_STMT_TUNED_PUT,
	BRIDGE_STMT_TRUTH_GET,
	BRIDGE_STMT_TRUTH_EXISTS,
	BRIDGE_STMT_TRUTH_GET_NEW, /* these two by key, for rows without a label */
	BRIDGE_STMT_TRUTH_EXISTS_NEW,
	BRIDGE_STMT_TRUTH_PUT,
	BRIDGE_STMT_TRUTH_DELETE,
	BRIDGE_STMT_TRUTH_BATCH,
	BRIDGE_STMT_TRUTH_BATCH_NEW, /* rows without a label */
	BRIDGE_STMT_KEY_GET,
	BRIDGE_STMT_KEY_LABEL,
	BRIDGE_STMT_KEY_PUT,
	BRIDGE_STMT_DELTA_PUT,
	BRIDGE_STMT_DELTA_RANGE,
	BRIDGE_STMT_DELTA_TRIM,
	BRIDGE_STMT_COOKIE,
	BRIDGE_STMT_CONFIG_GET,
	BRIDGE_STMT_STAMP,
	BRIDGE_STMT_CONFIG_PUT,
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
	uint64_t id;         /* random, made with the table: tells a new one of the same name */
	bool journal;        /* format 2: a content table, followed by plain triggers and a journal */
	BridgeParams params; /* content, content_rowid and content_vector as they are called now */
	BridgeFollow follow; /* evidence.c's; with journal */
	int key_count;       /* columns of the labels' table, as the config has it */
	BridgeKeys keys;     /* as they are called now */
	BridgeNewcomers *
		*newcomers;           /* the connection's; NULL in a merge, which passes over rows without a label */
	uint64_t bad_rows;        /* content rows met so far that hold no vector of the index's kind */
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

/* Run one SQL text in sqlite3_mprintf's format, to its end. */
int bridge_exec(sqlite3 *db, BridgeError *err, const char *format, ...);

/*
 * For state.c and rows.c: a prepared statement of the store, kept by it; running one to
 * its end; putting back one that a walk took out of statements[], so that a
 * visitor could start another; and a text with the names filled in.
 */
int bridge_store_statement(BridgeStore *store, int which, sqlite3_stmt **out, BridgeError *err);
int bridge_store_finish(BridgeStore *store, sqlite3_stmt *stmt, BridgeError *err);
void bridge_store_put_back(BridgeStore *store, int which, sqlite3_stmt *stmt);
char *bridge_store_expand(const BridgeStore *store, const char *text);

/* ---------- state.c: what changes while an index lives ---------- */

/* What bridge_store_set_tuned() writes; anything else counts as nothing found. */
void bridge_tuned_parse(const char *text, BridgeTuned *tuned);

/* "triggers_missing" and its like: static text. */
const char *bridge_verdict_name(BridgeVerdict verdict);

/*
 * Counter and current segments.  SQLITE_SCHEMA when the table is another one
 * of the same name by now.  *tag (if not NULL) is the tag of delta row tag_seq, *found
 * whether there is such a row.  Where there is a journal, bridge_content_state() is to
 * be called instead, which looks at the evidence first.
 */
int bridge_store_state(BridgeStore *store, BridgeState *state, int64_t tag_seq, int64_t *tag, bool *found,
					   BridgeError *err);

/* Whether the file of this token is one of the current segments. */
bool bridge_state_names(const BridgeState *state, const uint8_t token[HNSW_TOKEN_BYTES]);

/*
 * Write the current segments, and the sorted labels of the base that a second one
 * hides; within a write transaction of the caller's.
 */
int bridge_store_set_current(BridgeStore *store, const BridgeSegment *segments, int count,
							 const int64_t *hidden, size_t hidden_count, BridgeError *err);

/* Of a journal: the graph is the image of the table as of this row; seq 0: of nothing known. */
int bridge_store_set_position(BridgeStore *store, int64_t seq, int64_t tag, BridgeError *err);

/* Write one value of the config table; text NULL: the number. */
int bridge_store_set_config(BridgeStore *store, const char *key, const char *text, int64_t number,
							BridgeError *err);

/* The same of what a measurement found. */
int bridge_store_set_tuned(BridgeStore *store, const BridgeTuned *tuned, BridgeError *err);

/*
 * The questions that merges measure by, the caller's to sqlite3_free; none where
 * there are none, or where what is there cannot be questions.
 */
int bridge_store_questions(BridgeStore *store, float **vectors, uint32_t *count, BridgeError *err);
int bridge_store_set_questions(BridgeStore *store, const HnswQuestions *questions, BridgeError *err);

/* Of searches that name no ef: the margin, 0 where the table was given an ef; found, else the default. */
double bridge_store_margin(const BridgeStore *store, const BridgeTuned *tuned);

/* Nodes that a search for ten visits, about. */
int bridge_store_visits(const BridgeStore *store, const BridgeTuned *tuned);

/* The share of the true neighbours that searches shall find. */
double bridge_store_recall(const BridgeStore *store);

/* ---------- labels.c: lists of labels ---------- */

/*
 * The labels of the base that the second segment hides, ascending, the caller's to sqlite3_free.
 * *sound is false where there are none or the list is damaged.
 */
int bridge_store_hidden(BridgeStore *store, int64_t **out, size_t *count, bool *sound, BridgeError *err);

/* More rows without a place are not listed. */
#define BRIDGE_MOST_UNPLACED 10000

/*
 * Labels, ascending, of rows that a graph has no place for; the caller's to sqlite3_free.  Every row that
 * the graph as of change position lacks, and that has not changed since, is among them.  Others may be, too:
 * they are to be looked at.  *known is false where nobody has listed them as of that position.
 */
int bridge_store_unplaced(BridgeStore *store, int64_t position, int64_t **out, size_t *count, bool *known,
						  BridgeError *err);
/* labels NULL: not known. */
int bridge_store_set_unplaced(BridgeStore *store, int64_t position, const int64_t *labels, size_t count,
							  BridgeError *err);

/* For state.c: the numbers of a key; NULL takes the key away. */
int bridge_store_set_labels(BridgeStore *store, const char *key, const int64_t *numbers, size_t count,
							BridgeError *err);

/* ---------- keys.c: rows of tables without rowids ---------- */

/* Labels from here on are a connection's own, of rows that no merge has seen. */
#define BRIDGE_FIRST_NEWCOMER (INT64_C(1) << 62)

const char *bridge_key_name(const BridgeKeys *keys, int i);

/* The label in a column of a row, or, where that is NULL, one for the key in its columns from first_key on. */
int bridge_store_row_label(BridgeStore *store, sqlite3_stmt *stmt, int column, int first_key, int64_t *label,
						   BridgeError *err);

/* Whether rows have no rowids; known after bridge_content_look(), and mostly before. */
bool bridge_store_is_keyed(const BridgeStore *store);

/* The label of a key that is given value by value. */
int bridge_store_key_label(BridgeStore *store, sqlite3_value *const *key, int64_t *label, BridgeError *err);

bool bridge_label_is_new(const BridgeStore *store, int64_t label);

/* Bind ?1 of a statement by label, or ?1, ?2, ... to the key of a new one. */
int bridge_store_bind_label(BridgeStore *store, int64_t label, sqlite3_stmt *stmt);

/* Column i of a row's key; NULL where there is none. */
int bridge_store_result_key(BridgeStore *store, int64_t label, int i, sqlite3_context *context,
							BridgeError *err);

/* A label for a key that has none; in a write transaction. */
int bridge_store_key_put(BridgeStore *store, sqlite3_value *const *key, BridgeError *err);

size_t bridge_newcomers_count(const BridgeNewcomers *newcomers);
void bridge_newcomers_free(BridgeNewcomers *newcomers);

/* ---------- rows.c: truth and delta ---------- */

/*
 * Rows of the truth with rowid >= from in order of rowid, at most limit of
 * them (negative: all).  Of a table without rowids those that have a label, in order of it; where all
 * are asked for, the others after them, if the connection gives labels to such rows.  vector is NULL for a row that belongs in no graph
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
/* Rows of the truth; limit: how many are counted at most; negative: all.  And those with a vector. */
int bridge_store_truth_count(BridgeStore *store, int64_t limit, int64_t *count, BridgeError *err);
int bridge_store_vector_count(BridgeStore *store, int64_t *count, BridgeError *err);

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
 * A new statement, the caller's to finalize, over (rowid, vector, key...) as stored: of all in
 * order of rowid; or of one row, by bridge_store_bind_label.  Of a table without rowids the first may be
 * NULL: see bridge_store_row_label, with first_key 2.
 */
int bridge_store_truth_select(BridgeStore *store, sqlite3_stmt **out, BridgeError *err);
int bridge_store_truth_select_row(BridgeStore *store, int64_t rowid, sqlite3_stmt **out, BridgeError *err);

/*
 * Changes with after < seq <= upto in order of seq, at most limit of them
 * (negative: all).  vector NULL: the row is not in the graph any more.  One rowid may come
 * several times, its last change counts.
 */
typedef int (*BridgeDeltaVisit)(void *arg, int64_t seq, int64_t tag, int64_t rowid, const float *vector,
								BridgeError *err);
int bridge_store_delta(BridgeStore *store, int64_t after, int64_t upto, int64_t limit, BridgeDeltaVisit visit,
					   void *arg, int64_t *count, BridgeError *err);

/* A content row may have changed: a row for the journal, in the user's transaction. */
int bridge_store_journal_put(BridgeStore *store, int64_t rowid, BridgeError *err);

/* Remove at most limit changes with seq <= upto; of a journal, whose last row stays, < upto. */
int bridge_store_delta_trim(BridgeStore *store, int64_t upto, int64_t limit, int64_t *removed,
							BridgeError *err);

/* Append a change and move the counter; xUpdate's, in the user's transaction. */
int bridge_store_change(BridgeStore *store, int64_t rowid, const float *vector, BridgeError *err);

/* Whether the vector belongs in a graph: not NULL, not zero under cosine. */
bool bridge_indexable(const BridgeParams *params, const float *vector);

/* ---------- model.c: the model an index holds vectors of ---------- */

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

#endif /* BRIDGE_STORE_H */
