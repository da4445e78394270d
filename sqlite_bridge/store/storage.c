/*
 * storage.c
 *		The tables that hold an index: how they are made and opened, their
 *		statements, and the config table.  The rows of truth and delta are rows.c's.
 *
 *	<t>_config(key TEXT PRIMARY KEY, value) WITHOUT ROWID
 *		format			1, or 2 where there is a journal
 *		id				random integer, made with the table
 *		dim, metric, m, ef, ef_search, recall, path, content, content_rowid,
 *		content_vector	the arguments; absent where not given
 *		counter			number of the last change, from 0; not with a journal
 *		position		"<seq> <tag>" of the journal's row that the graph is the image as of; ''
 *						where that is not known.  Only with a journal
 *		cookie			the schema's version when the last merge published; likewise
 *		bad_rows		rows without a vector of the index's kind, as the last merge that read all
 *						rows found; likewise
 *		current			"<token> <seq>[,<token> <seq>]", base segment first; ''
 *						before the first merge
 *		hidden			labels of the base that no longer count, where there is a
 *						second segment: BLOB of int64, little-endian, ascending
 *		tuned			"margin <thousandths> <visits> <nodes>": how far searches of a
 *						graph of so many nodes were found to have to go, and how many
 *						they visit; absent where ef_search is given or nothing was
 *						measured
 *	<t>_vectors(rowid INTEGER PRIMARY KEY, vector)
 *		the truth, unless content= names a table; BLOB of float32, or NULL
 *	<t>_delta(seq INTEGER PRIMARY KEY, tag, label, vector, UNIQUE(label, seq))
 *		every change, in order; vector NULL where the row left the graph.  Not with a journal
 *	<t>_changes(seq INTEGER PRIMARY KEY, tag, key)
 *		the journal: the key of every row of the content table that may have changed, in order.
 *		No shadow table, since plain triggers write it (content/triggers.c).  Never empty
 *	<t>_canary(a)
 *		one row, rowid 2, until VACUUM numbers the rows anew
 *
 * With a journal the changes are its keys, each with the vector that the content table
 * has for it now.
 *
 * A seq is the counter plus one, in the same transaction, so that it repeats
 * after a rollback: the tag, 64 random bits, tells two rows of one seq apart.
 * Nothing here knows of graphs or of virtual tables.
 */
#include "sqlite_bridge/store/store.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int
bridge_exec(sqlite3 *db, BridgeError *err, const char *format, ...)
{
	va_list args;
	char *sql;
	int rc;

	va_start(args, format);
	sql = sqlite3_vmprintf(format, args);
	va_end(args);
	if (sql == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		rc = bridge_error_db(err, db, "hnsw");
	sqlite3_free(sql);
	return rc;
}

/* ---------- creating, renaming, dropping ---------- */

/* One row of config; a NULL text is left out. */
static int
put_config(sqlite3 *db, const char *schema, const char *table, const char *key, const char *text,
		   int64_t number, BridgeError *err)
{
	if (text != NULL)
		return bridge_exec(db, err, "INSERT INTO \"%w\".\"%w_config\" VALUES(%Q, %Q)", schema, table, key,
						   text);
	return bridge_exec(db, err, "INSERT INTO \"%w\".\"%w_config\" VALUES(%Q, %lld)", schema, table, key,
					   (sqlite3_int64) number);
}

int
bridge_store_create(sqlite3 *db, const char *schema, const char *table, const BridgeParams *params,
					BridgeError *err)
{
	const struct
	{
		const char *key;
		const char *text;
		bool is_text;
		int64_t number;
	} rows[] = {
		{"format", NULL, false, params->content != NULL ? BRIDGE_FORMAT : BRIDGE_FORMAT_SHADOW},
		{"dim", NULL, false, params->dim},
		{"metric", hnsw_metric_name(params->metric), true, 0},
		{"m", NULL, false, params->m},
		{"ef", NULL, false, params->ef_construction},
		{"path", params->path, true, 0},
		{params->content != NULL ? "position" : "counter", params->content != NULL ? "" : NULL,
		 params->content != NULL, 0},
		{"current", "", true, 0},
	};
	int64_t id;
	int rc;

	rc = bridge_exec(db, err, "CREATE TABLE \"%w\".\"%w_config\"(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
					 schema, table);
	if (rc == SQLITE_OK && params->content == NULL)
		rc = bridge_exec(db, err,
						 "CREATE TABLE \"%w\".\"%w_delta\"(seq INTEGER PRIMARY KEY, tag INTEGER NOT NULL, "
						 "label INTEGER NOT NULL, vector BLOB, UNIQUE(label, seq));"
						 "CREATE TABLE \"%w\".\"%w_vectors\"(rowid INTEGER PRIMARY KEY, vector BLOB)",
						 schema, table, schema, table);
	if (rc == SQLITE_OK && params->ef_search > 0)
		rc = put_config(db, schema, table, "ef_search", NULL, params->ef_search, err);
	if (rc == SQLITE_OK && params->recall > 0)
		rc = bridge_exec(db, err, "INSERT INTO \"%w\".\"%w_config\" VALUES('recall', %!.15g)", schema, table,
						 params->recall);
	if (rc == SQLITE_OK && params->strict)
		rc = put_config(db, schema, table, "strict", NULL, 1, err);
	sqlite3_randomness(sizeof(id), &id);
	if (rc == SQLITE_OK)
		rc = put_config(db, schema, table, "id", NULL, id, err);
	for (size_t i = 0; rc == SQLITE_OK && i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!rows[i].is_text || rows[i].text != NULL)
			rc = put_config(db, schema, table, rows[i].key, rows[i].text, rows[i].number, err);
	return rc;
}

/* The store stays that of the old name: SQLite connects the new one anew. */
int
bridge_store_rename(BridgeStore *store, const char *new_name, BridgeError *err)
{
	static const char *const suffixes[] = {"config", "delta", "vectors"};
	int count = store->params.content == NULL ? 3 : store->journal ? 1 : 2;
	int rc = SQLITE_OK;

	bridge_store_release(store);
	for (int i = 0; i < count && rc == SQLITE_OK; i++)
		rc = bridge_exec(store->db, err, "ALTER TABLE \"%w\".\"%w_%s\" RENAME TO \"%w_%s\"", store->schema,
						 store->table, suffixes[i], new_name, suffixes[i]);
	return rc;
}

int
bridge_store_drop(BridgeStore *store, BridgeError *err)
{
	bridge_store_release(store);
	return bridge_exec(store->db, err,
					   "DROP TABLE IF EXISTS \"%w\".\"%w_config\";"
					   "DROP TABLE IF EXISTS \"%w\".\"%w_delta\";"
					   "DROP TABLE IF EXISTS \"%w\".\"%w_vectors\"",
					   store->schema, store->table, store->schema, store->table, store->schema, store->table);
}

/* ---------- opening ---------- */

static int
read_integer(BridgeStore *store, sqlite3_stmt *stmt, int min, int max, int *out, BridgeError *err)
{
	sqlite3_int64 value = sqlite3_column_int64(stmt, 1);

	if (sqlite3_column_type(stmt, 1) != SQLITE_INTEGER || value < min || value > max)
		return bridge_error(err, SQLITE_CORRUPT_VTAB, "hnsw: %s_config holds an impossible value for %s",
							store->table, sqlite3_column_text(stmt, 0));
	*out = (int) value;
	return SQLITE_OK;
}

static int
read_text(sqlite3_stmt *stmt, char **out, BridgeError *err)
{
	const char *text = (const char *) sqlite3_column_text(stmt, 1);

	sqlite3_free(*out);
	*out = sqlite3_mprintf("%s", text == NULL ? "" : text);
	return *out == NULL ? bridge_error(err, SQLITE_NOMEM, "out of memory") : SQLITE_OK;
}

/* What a measurement begins with; those of the past are of an ef, and were two numbers. */
#define TUNED_MARGIN "margin "

/* Anything but what bridge_store_set_tuned() writes counts as nothing found. */
static void
parse_tuned(const char *text, BridgeTuned *tuned)
{
	long thousandths;
	long visits;
	char *end;

	*tuned = (BridgeTuned){0};
	if (text == NULL || strncmp(text, TUNED_MARGIN, strlen(TUNED_MARGIN)) != 0)
		return;
	thousandths = strtol(text + strlen(TUNED_MARGIN), &end, 10);
	if (*end != ' ' || thousandths < 1 || thousandths > 1000 * HNSW_MAX_MARGIN)
		return;
	visits = strtol(end + 1, &end, 10);
	if (*end != ' ' || visits < 1 || visits > INT32_MAX)
		return;
	tuned->margin = (double) thousandths / 1000;
	tuned->visits = (int) visits;
	tuned->nodes = strtoll(end + 1, NULL, 10);
}

static int
read_config_row(BridgeStore *store, sqlite3_stmt *stmt, int *format, BridgeError *err)
{
	const char *key = (const char *) sqlite3_column_text(stmt, 0);
	BridgeParams *p = &store->params;

	if (key == NULL)
		return SQLITE_OK;
	if (strcmp(key, "format") == 0)
		return read_integer(store, stmt, 0, INT32_MAX, format, err);
	if (strcmp(key, "id") == 0)
		store->id = (uint64_t) sqlite3_column_int64(stmt, 1);
	else if (strcmp(key, "dim") == 0)
		return read_integer(store, stmt, 1, HNSW_MAX_DIM, &p->dim, err);
	else if (strcmp(key, "m") == 0)
		return read_integer(store, stmt, HNSW_MIN_M, HNSW_MAX_M, &p->m, err);
	else if (strcmp(key, "ef") == 0)
		return read_integer(store, stmt, 1, HNSW_MAX_EF, &p->ef_construction, err);
	else if (strcmp(key, "strict") == 0)
		return read_integer(store, stmt, 0, 1, &p->strict, err);
	else if (strcmp(key, "ef_search") == 0)
		return read_integer(store, stmt, 1, HNSW_MAX_EF, &p->ef_search, err);
	else if (strcmp(key, "recall") == 0)
	{
		double recall = sqlite3_column_double(stmt, 1);

		p->recall = recall >= BRIDGE_MIN_RECALL && recall <= BRIDGE_MAX_RECALL ? recall : 0;
	}
	else if (strcmp(key, "tuned") == 0)
		parse_tuned((const char *) sqlite3_column_text(stmt, 1), &store->opened_tuned);
	else if (strcmp(key, "path") == 0)
		return read_text(stmt, &p->path, err);
	else if (strcmp(key, "content") == 0)
		return read_text(stmt, &p->content, err);
	else if (strcmp(key, "content_rowid") == 0)
		return read_text(stmt, &p->content_rowid, err);
	else if (strcmp(key, "content_vector") == 0)
		return read_text(stmt, &p->content_vector, err);
	else if (strcmp(key, "metric") == 0)
	{
		const char *name = (const char *) sqlite3_column_text(stmt, 1);

		p->metric = name == NULL ? 0 : hnsw_metric_parse(name);
		if (p->metric == 0)
			return bridge_error(err, SQLITE_CORRUPT_VTAB, "hnsw: %s_config holds an unknown metric",
								store->table);
	}
	return SQLITE_OK;
}

static int
read_config(BridgeStore *store, BridgeError *err)
{
	/* the list of hidden labels may be long, and is not a parameter */
	char *sql = sqlite3_mprintf("SELECT key, value FROM \"%w\".\"%w_config\" WHERE key <> 'hidden'",
								store->schema, store->table);
	sqlite3_stmt *stmt = NULL;
	int format = 0;
	int rc;

	if (sql == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
	sqlite3_free(sql);
	if (rc != SQLITE_OK)
		return bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		rc = read_config_row(store, stmt, &format, err);
		if (rc != SQLITE_OK)
			break;
	}
	if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else if (err->code == SQLITE_OK)
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_finalize(stmt);
	if (rc != SQLITE_OK)
		return rc;
	if (format > BRIDGE_FORMAT)
		return bridge_error(err, SQLITE_ERROR,
							"hnsw: table %s was made by a newer version (format %d, this one knows %d)",
							store->table, format, BRIDGE_FORMAT);
	if (format < 1 || store->params.dim == 0 || store->params.m == 0 || store->params.ef_construction == 0 ||
		store->params.metric == 0 ||
		(store->params.content != NULL &&
		 (store->params.content_rowid == NULL || store->params.content_vector == NULL)))
		return bridge_error(err, SQLITE_CORRUPT_VTAB, "hnsw: %s_config lacks parameters", store->table);
	store->journal = format == BRIDGE_FORMAT && store->params.content != NULL;
	return SQLITE_OK;
}

/*
 * What a schema must not have, for it would make the index use itself, or
 * anything else, whenever it reads and writes its tables: a view or virtual
 * table under the name of the content table, triggers on the tables of the store.
 */
static int
check_schema(BridgeStore *store, BridgeError *err)
{
	const char *content = store->params.content;
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf(
		"SELECT type, name, tbl_name FROM \"%w\".sqlite_schema WHERE"
		" (name = %Q COLLATE NOCASE AND (type = 'view' OR (type = 'table' AND ifnull(rootpage, 0) = 0))) OR"
		" (type = 'trigger' AND tbl_name COLLATE NOCASE IN ('%q_config', '%q_delta', '%q_vectors')) LIMIT 1",
		store->schema, content != NULL ? content : "", store->table, store->table, store->table);
	int rc;

	if (sql == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
	{
		const char *type = (const char *) sqlite3_column_text(stmt, 0);

		if (type != NULL && strcmp(type, "trigger") == 0)
			rc = bridge_error(err, SQLITE_ERROR,
							  "hnsw: table %s of index %s has a trigger, \"%s\", which must be dropped",
							  sqlite3_column_text(stmt, 2), store->table, sqlite3_column_text(stmt, 1));
		else
			rc = bridge_error(err, SQLITE_ERROR,
							  "hnsw: content \"%s\" of index %s is a %s, an index can follow only a table",
							  content, store->table,
							  type != NULL && strcmp(type, "view") == 0 ? "view" : "virtual table");
	}
	else if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_finalize(stmt);
	return rc;
}

int
bridge_store_open(sqlite3 *db, const char *schema, const char *table, BridgeStore **out, BridgeError *err)
{
	BridgeStore *store = sqlite3_malloc64(sizeof(*store));
	int rc;

	*out = NULL;
	if (store == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	memset(store, 0, sizeof(*store));
	store->db = db;
	store->schema = sqlite3_mprintf("%s", schema);
	store->table = sqlite3_mprintf("%s", table);
	if (store->schema == NULL || store->table == NULL)
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	else
		rc = read_config(store, err);
	if (rc == SQLITE_OK)
		rc = check_schema(store, err);
	if (rc != SQLITE_OK)
	{
		bridge_store_close(store);
		return rc;
	}
	*out = store;
	return SQLITE_OK;
}

void
bridge_store_release(BridgeStore *store)
{
	for (int i = 0; i < BRIDGE_STMT_COUNT; i++)
	{
		sqlite3_finalize(store->statements[i]);
		store->statements[i] = NULL;
	}
}

void
bridge_store_close(BridgeStore *store)
{
	if (store == NULL)
		return;
	bridge_store_release(store);
	bridge_params_free(&store->params);
	bridge_vector_free(&store->scratch);
	sqlite3_free(store->schema);
	sqlite3_free(store->table);
	sqlite3_free(store);
}

/* ---------- statements ---------- */

/*
 * In every text %1 stands for the schema, %2 the table, %3 the table of the
 * truth, %4 its rowid and %5 its vector column, all quoted.  Columns are read
 * through the alias t: alone, "no such column" would be taken for a string.
 */
static const char *const statement_texts[BRIDGE_STMT_COUNT] = {
	[BRIDGE_STMT_COOKIE] = "PRAGMA %1.schema_version",
	[BRIDGE_STMT_CONFIG_PUT] = "INSERT OR REPLACE INTO %1.%2_config% VALUES(?1, ?2)",
	[BRIDGE_STMT_STATE] = "SELECT (SELECT value FROM %1.%2_config% WHERE key = 'id'), "
						  "(SELECT value FROM %1.%2_config% WHERE key = 'counter'), "
						  "(SELECT value FROM %1.%2_config% WHERE key = 'current'), "
						  "(SELECT tag FROM %1.%2_delta% WHERE seq = ?1), "
						  "(SELECT value FROM %1.%2_config% WHERE key = 'tuned')",
	[BRIDGE_STMT_COUNTER] =
		"UPDATE %1.%2_config% SET value = value + 1 WHERE key = 'counter' RETURNING value",
	[BRIDGE_STMT_CURRENT] = "UPDATE %1.%2_config% SET value = ?1 WHERE key = 'current'",
	[BRIDGE_STMT_HIDDEN] = "SELECT value FROM %1.%2_config% WHERE key = 'hidden'",
	[BRIDGE_STMT_HIDDEN_PUT] = "INSERT OR REPLACE INTO %1.%2_config% VALUES('hidden', ?1)",
	[BRIDGE_STMT_TUNED_PUT] = "INSERT OR REPLACE INTO %1.%2_config% VALUES('tuned', ?1)",
	[BRIDGE_STMT_TRUTH_GET] = "SELECT t.%5 FROM %3 AS t WHERE t.%4 = ?1",
	[BRIDGE_STMT_TRUTH_EXISTS] = "SELECT 1 FROM %3 AS t WHERE t.%4 = ?1",
	[BRIDGE_STMT_TRUTH_PUT] = "INSERT OR REPLACE INTO %3(%4, %5) VALUES(?1, ?2)",
	[BRIDGE_STMT_TRUTH_DELETE] = "DELETE FROM %3 WHERE %4 = ?1",
	[BRIDGE_STMT_TRUTH_BATCH] = "SELECT t.%4, t.%5 FROM %3 AS t WHERE t.%4 >= ?1 ORDER BY t.%4 LIMIT ?2",
	[BRIDGE_STMT_DELTA_PUT] = "INSERT INTO %1.%2_delta%(seq, tag, label, vector) VALUES(?1, ?2, ?3, ?4)",
	[BRIDGE_STMT_DELTA_RANGE] = "SELECT seq, tag, label, vector FROM %1.%2_delta% "
								"WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
	[BRIDGE_STMT_DELTA_TRIM] = "DELETE FROM %1.%2_delta% WHERE seq IN (SELECT seq FROM "
							   "%1.%2_delta% WHERE seq <= ?1 ORDER BY seq LIMIT ?2)",
};

/*
 * Those that are others with a journal.  A row without a key stands for row 0: it
 * changes nothing, whatever that is.
 */
static const char *const journal_texts[BRIDGE_STMT_COUNT] = {
	[BRIDGE_STMT_STATE] = "SELECT (SELECT value FROM %1.%2_config% WHERE key = 'id'), "
						  "(SELECT max(seq) FROM %1.%2_changes%), "
						  "(SELECT value FROM %1.%2_config% WHERE key = 'current'), "
						  "(SELECT tag FROM %1.%2_changes% WHERE seq = ?1), "
						  "(SELECT value FROM %1.%2_config% WHERE key = 'tuned'), "
						  "(SELECT value FROM %1.%2_config% WHERE key = 'position'), "
						  "(SELECT tag FROM %1.%2_changes% WHERE seq = CAST((SELECT value FROM "
						  "%1.%2_config% WHERE key = 'position') AS INTEGER)), "
						  "(SELECT tag FROM %1.%2_changes% ORDER BY seq DESC LIMIT 1), "
						  "(SELECT value FROM %1.%2_config% WHERE key = 'cookie')",
	[BRIDGE_STMT_DELTA_PUT] = "INSERT INTO %1.%2_changes%(tag, key) VALUES(random(), ?1)",
	[BRIDGE_STMT_DELTA_RANGE] =
		"SELECT c.seq, c.tag, coalesce(c.key, 0), t.%5 FROM %1.%2_changes% AS c "
		"LEFT JOIN %3 AS t ON t.%4 = coalesce(c.key, 0) WHERE c.seq > ?1 AND c.seq <= ?2 "
		"ORDER BY c.seq LIMIT ?3",
	[BRIDGE_STMT_DELTA_TRIM] = "DELETE FROM %1.%2_changes% WHERE seq IN (SELECT seq FROM "
							   "%1.%2_changes% WHERE seq < ?1 ORDER BY seq LIMIT ?2)",
};

/* The state without a journal to look at. */
static const char lost_journal_text[] =
	"SELECT (SELECT value FROM %1.%2_config% WHERE key = 'id'), NULL, "
	"(SELECT value FROM %1.%2_config% WHERE key = 'current'), NULL, "
	"(SELECT value FROM %1.%2_config% WHERE key = 'tuned'), '', NULL, NULL, "
	"(SELECT value FROM %1.%2_config% WHERE key = 'cookie')";

char *
bridge_store_expand(const BridgeStore *store, const char *text)
{
	const BridgeParams *p = &store->params;
	sqlite3_str *out = sqlite3_str_new(store->db);

	for (; *text != '\0'; text++)
	{
		if (*text != '%')
		{
			sqlite3_str_appendchar(out, 1, *text);
			continue;
		}
		switch (*++text)
		{
			case '1':
				sqlite3_str_appendf(out, "\"%w\"", store->schema);
				break;
			case '2': /* "%2_delta%": up to the closing per cent sign is the name */
				sqlite3_str_appendf(out, "\"%w", store->table);
				while (*++text != '%')
					sqlite3_str_appendchar(out, 1, *text);
				sqlite3_str_appendchar(out, 1, '"');
				break;
			case '3':
				if (p->content != NULL)
					sqlite3_str_appendf(out, "\"%w\".\"%w\"", store->schema, p->content);
				else
					sqlite3_str_appendf(out, "\"%w\".\"%w_vectors\"", store->schema, store->table);
				break;
			case '4':
				sqlite3_str_appendf(out, "\"%w\"", p->content != NULL ? p->content_rowid : "rowid");
				break;
			case '5':
				sqlite3_str_appendf(out, "\"%w\"", p->content != NULL ? p->content_vector : "vector");
				break;
		}
	}
	return sqlite3_str_finish(out);
}

int
bridge_store_statement(BridgeStore *store, int which, sqlite3_stmt **out, BridgeError *err)
{
	const char *text;
	char *sql;
	int rc;

	*out = store->statements[which];
	if (*out != NULL)
		return SQLITE_OK;
	text = store->journal && journal_texts[which] != NULL ? journal_texts[which] : statement_texts[which];
	if (which == BRIDGE_STMT_STATE && store->journal && !store->follow.journal_there)
		text = lost_journal_text;
	sql = bridge_store_expand(store, text);
	if (sql == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	rc = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &store->statements[which], NULL);
	sqlite3_free(sql);
	*out = store->statements[which];
	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, store->db, "hnsw: table %s", store->table);
}

/* Run to the end a statement that returns nothing of interest. */
int
bridge_store_finish(BridgeStore *store, sqlite3_stmt *stmt, BridgeError *err)
{
	int rc;

	do
		rc = sqlite3_step(stmt);
	while (rc == SQLITE_ROW);
	if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return rc;
}

/*
 * A walk may start another on the same statement (a visitor that searches):
 * the walker takes the statement out of the store and brings it back.
 */
void
bridge_store_put_back(BridgeStore *store, int which, sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	if (store->statements[which] == NULL)
		store->statements[which] = stmt;
	else
		sqlite3_finalize(stmt);
}

/* ---------- state ---------- */

const char *
bridge_verdict_name(BridgeVerdict verdict)
{
	static const char *const names[BRIDGE_VERDICTS] = {"followed",  "triggers_missing", "triggers_made_anew",
													   "overtaken", "vacuumed",         "journal_lost"};

	return names[verdict];
}

static bool
parse_segments(const char *text, BridgeState *state)
{
	state->segment_count = 0;
	while (*text != '\0')
	{
		BridgeSegment *segment;
		char *end;

		if (state->segment_count == BRIDGE_MAX_SEGMENTS)
			return false;
		segment = &state->segments[state->segment_count++];
		if (!bridge_token_parse(text, segment->token) || text[16] != ' ')
			return false;
		segment->seq = strtoll(text + 17, &end, 10);
		if (end == text + 17 || segment->seq < 0 || (*end != '\0' && *end != ','))
			return false;
		text = *end == ',' ? end + 1 : end;
	}
	return true;
}

bool
bridge_state_names(const BridgeState *state, const uint8_t token[HNSW_TOKEN_BYTES])
{
	for (int i = 0; i < state->segment_count; i++)
		if (memcmp(state->segments[i].token, token, HNSW_TOKEN_BYTES) == 0)
			return true;
	return false;
}

/* "<seq> <tag>" of the row that the graph is the image as of, and the tag that this row has now. */
static void
read_position(BridgeStore *store, sqlite3_stmt *stmt, BridgeState *state)
{
	const char *text = (const char *) sqlite3_column_text(stmt, 5);
	char *end;

	state->verdict = store->follow.verdict;
	state->position = text != NULL ? strtoll(text, &end, 10) : 0;
	state->merged_cookie = sqlite3_column_int64(stmt, 8);
	state->last_tag = sqlite3_column_int64(stmt, 7);
	if (state->verdict != BRIDGE_FOLLOWED || state->segment_count == 0)
		return;
	if (state->position < 1 || *end != ' ' || sqlite3_column_type(stmt, 6) != SQLITE_INTEGER ||
		strtoll(end + 1, NULL, 10) != sqlite3_column_int64(stmt, 6) || state->counter < state->position ||
		state->counter > BRIDGE_LAST_SEQ)
		state->verdict = BRIDGE_JOURNAL_LOST;
}

int
bridge_store_set_config(BridgeStore *store, const char *key, const char *text, int64_t number,
						BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_CONFIG_PUT, &stmt, err);

	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	if (text != NULL)
		sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_int64(stmt, 2, number);
	return bridge_store_finish(store, stmt, err);
}

int
bridge_store_bad_rows(BridgeStore *store, int64_t *count, BridgeError *err)
{
	char *sql = bridge_store_expand(store, "SELECT value FROM %1.%2_config% WHERE key = 'bad_rows'");
	sqlite3_stmt *stmt = NULL;
	int rc = sql ? sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

	*count = 0;
	if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
		*count = sqlite3_column_int64(stmt, 0);
	sqlite3_free(sql);
	rc = rc == SQLITE_OK ? sqlite3_finalize(stmt) : rc;
	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, store->db, "hnsw: table %s", store->table);
}

int
bridge_store_set_position(BridgeStore *store, int64_t seq, int64_t tag, BridgeError *err)
{
	char text[48] = "";

	if (seq > 0)
		sqlite3_snprintf(sizeof(text), text, "%lld %lld", (sqlite3_int64) seq, (sqlite3_int64) tag);
	return bridge_store_set_config(store, "position", text, 0, err);
}

int
bridge_store_set_tuned(BridgeStore *store, const BridgeTuned *tuned, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_TUNED_PUT, &stmt, err);
	char *value;

	if (rc != SQLITE_OK)
		return rc;
	value = sqlite3_mprintf(TUNED_MARGIN "%d %d %lld", (int) lround(1000 * tuned->margin), tuned->visits,
							(sqlite3_int64) tuned->nodes);
	if (value == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	sqlite3_bind_text(stmt, 1, value, -1, sqlite3_free);
	return bridge_store_finish(store, stmt, err);
}

double
bridge_store_margin(const BridgeStore *store, const BridgeTuned *tuned)
{
	if (store->params.ef_search > 0)
		return 0;
	return tuned->margin > 0 ? tuned->margin : HNSW_DEFAULT_MARGIN;
}

int
bridge_store_visits(const BridgeStore *store, const BridgeTuned *tuned)
{
	if (store->params.ef_search > 0)
		return store->params.ef_search;
	return tuned->visits > 0 ? tuned->visits : HNSW_DEFAULT_VISITS;
}

double
bridge_store_recall(const BridgeStore *store)
{
	return store->params.recall > 0 ? store->params.recall : BRIDGE_DEFAULT_RECALL;
}

int
bridge_store_state(BridgeStore *store, BridgeState *state, int64_t tag_seq, int64_t *tag, bool *found,
				   BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_STATE, &stmt, err);

	if (rc != SQLITE_OK)
		return rc;
	memset(state, 0, sizeof(*state));
	sqlite3_bind_int64(stmt, 1, tag_seq);
	rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	else if ((uint64_t) sqlite3_column_int64(stmt, 0) != store->id)
		rc = bridge_error(err, SQLITE_SCHEMA, "hnsw: table %s has been made anew", store->table);
	else
	{
		const char *current = (const char *) sqlite3_column_text(stmt, 2);

		rc = SQLITE_OK;
		state->counter = sqlite3_column_int64(stmt, 1);
		parse_tuned((const char *) sqlite3_column_text(stmt, 4), &state->tuned);
		if ((sqlite3_column_type(stmt, 1) != SQLITE_INTEGER && !store->journal) || current == NULL ||
			!parse_segments(current, state))
			rc = bridge_error(err, SQLITE_CORRUPT_VTAB, "hnsw: %s_config holds an impossible state",
							  store->table);
		else if (store->journal)
			read_position(store, stmt, state);
		else
			state->position = state->segment_count > 0 ? state->segments[state->segment_count - 1].seq : 0;
		if (tag != NULL)
			*tag = sqlite3_column_int64(stmt, 3);
		if (found != NULL)
			*found = sqlite3_column_type(stmt, 3) != SQLITE_NULL;
	}
	sqlite3_reset(stmt);
	return rc;
}

int
bridge_store_hidden(BridgeStore *store, int64_t **out, size_t *count, bool *sound, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_HIDDEN, &stmt, err);

	*out = NULL;
	*count = 0;
	*sound = false;
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_BLOB)
	{
		const void *labels = sqlite3_column_blob(stmt, 0);
		size_t bytes = (size_t) sqlite3_column_bytes(stmt, 0);

		*sound = bytes % sizeof(int64_t) == 0;
		*count = *sound && labels != NULL ? bytes / sizeof(int64_t) : 0;
		*out = sqlite3_malloc64(*count * sizeof(int64_t) + 1);
		if (*out == NULL || (bytes > 0 && labels == NULL))
			rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
		else if (*count > 0)
			memcpy(*out, labels, *count * sizeof(int64_t));
		for (size_t i = 1; rc == SQLITE_ROW && i < *count; i++)
			if ((*out)[i - 1] >= (*out)[i])
				*sound = false;
	}
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else if (err->code == SQLITE_OK)
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_reset(stmt);
	return rc;
}

/* Nothing is written where there was and is no list. */
static int
set_hidden(BridgeStore *store, bool wanted, const int64_t *hidden, size_t count, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc;

	if (!wanted)
		return bridge_exec(store->db, err, "DELETE FROM \"%w\".\"%w_config\" WHERE key = 'hidden'",
						   store->schema, store->table);
	rc = bridge_store_statement(store, BRIDGE_STMT_HIDDEN_PUT, &stmt, err);
	if (rc != SQLITE_OK)
		return rc;
	if (count == 0)
		rc = sqlite3_bind_blob(stmt, 1, "", 0, SQLITE_STATIC);
	else
		rc = sqlite3_bind_blob64(stmt, 1, hidden, count * sizeof(*hidden), SQLITE_STATIC);
	if (rc != SQLITE_OK)
		return bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	return bridge_store_finish(store, stmt, err);
}

int
bridge_store_set_current(BridgeStore *store, const BridgeSegment *segments, int count, const int64_t *hidden,
						 size_t hidden_count, BridgeError *err)
{
	sqlite3_stmt *stmt;
	sqlite3_str *text;
	char *value;
	int rc = set_hidden(store, count > 1, hidden, hidden_count, err);

	if (rc == SQLITE_OK)
		rc = bridge_store_statement(store, BRIDGE_STMT_CURRENT, &stmt, err);
	if (rc != SQLITE_OK)
		return rc;
	text = sqlite3_str_new(store->db);
	for (int i = 0; i < count; i++)
	{
		char token[17];

		bridge_token_format(segments[i].token, token);
		sqlite3_str_appendf(text, "%s%s %lld", i > 0 ? "," : "", token, (sqlite3_int64) segments[i].seq);
	}
	if (count == 0)
		sqlite3_str_append(text, "", 0);
	rc = sqlite3_str_errcode(text);
	value = sqlite3_str_finish(text);
	if (rc != SQLITE_OK)
	{
		sqlite3_free(value);
		return bridge_error(err, rc, "out of memory");
	}
	if (value == NULL)
		sqlite3_bind_text(stmt, 1, "", 0, SQLITE_STATIC);
	else
		sqlite3_bind_text(stmt, 1, value, -1, sqlite3_free);
	return bridge_store_finish(store, stmt, err);
}
