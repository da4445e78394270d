/*
 * storage.c
 *		The tables that hold an index: how they are made and opened, and their
 *		statements.  What is in them is read and written by state.c and rows.c.
 *
 *	<t>_config(key TEXT PRIMARY KEY, value) WITHOUT ROWID
 *		format			1, or 2 where there is a journal
 *		id				random integer, made with the table
 *		dim, metric, m, ef, ef_search, recall, path, content, content_rowid,
 *		content_vector	the arguments; absent where not given
 *		keys			how many columns the key of a WITHOUT ROWID table has
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
 *		unplaced		BLOB of int64, little-endian: a position, and ascending labels of the rows that
 *						the graph as of that position has no place for (labels.c); absent where that is
 *						not known
 *		tuned			"margin <thousandths> <visits> <rows>": how far searches of a
 *						graph of so many rows were found to have to go, and how many
 *						they visit; absent where ef_search is given or nothing was
 *						measured
 *		questions		BLOB of up to HNSW_MAX_QUESTIONS vectors, float32, which merges
 *						measure by; absent where the user gave none
 *	<t>_vectors(rowid INTEGER PRIMARY KEY, vector)
 *		the truth, unless content= names a table; BLOB of float32, or NULL
 *	<t>_delta(seq INTEGER PRIMARY KEY, tag, label, vector, UNIQUE(label, seq))
 *		every change, in order; vector NULL where the row left the graph.  Not with a journal
 *	<t>_changes(seq INTEGER PRIMARY KEY, tag, key)
 *		the journal: the key of every row of the content table that may have changed, in order.
 *		No shadow table, since plain triggers write it (content/triggers.c).  Never empty
 *	<t>_keys(label INTEGER PRIMARY KEY, k0, ..., UNIQUE(k0, ...))
 *		only of a WITHOUT ROWID table, whose journal has k0, ... instead of key: merges give labels to
 *		keys (keys.c), readers have them from there
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

#include <assert.h>
#include <stdarg.h>
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

/* The store keeps the old name; SQLite connects a store of the new name afterwards. */
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
	else if (strcmp(key, "keys") == 0)
		return read_integer(store, stmt, 0, BRIDGE_MAX_KEYS, &store->key_count, err);
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
		bridge_tuned_parse((const char *) sqlite3_column_text(stmt, 1), &store->opened_tuned);
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
		" (type = 'trigger' AND tbl_name COLLATE NOCASE IN"
		" ('%q_config', '%q_delta', '%q_vectors', '%q_keys', '%q_canary')) LIMIT 1",
		store->schema, content != NULL ? content : "", store->table, store->table, store->table, store->table,
		store->table);
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
	sqlite3_free(store->keys.names);
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
	[BRIDGE_STMT_STAMP] = "SELECT rowid, name, sql FROM %1.sqlite_schema "
						  "WHERE type = 'trigger' OR tbl_name = ?1 COLLATE NOCASE",
	[BRIDGE_STMT_CONFIG_PUT] = "INSERT OR REPLACE INTO %1.%2_config% VALUES(?1, ?2)",
	[BRIDGE_STMT_STATE] = "SELECT (SELECT value FROM %1.%2_config% WHERE key = 'id'), "
						  "(SELECT value FROM %1.%2_config% WHERE key = 'counter'), "
						  "(SELECT value FROM %1.%2_config% WHERE key = 'current'), "
						  "(SELECT tag FROM %1.%2_delta% WHERE seq = ?1), "
						  "(SELECT value FROM %1.%2_config% WHERE key = 'tuned'), "
						  "(SELECT tag FROM %1.%2_delta% ORDER BY seq DESC LIMIT 1)",
	[BRIDGE_STMT_COUNTER] =
		"UPDATE %1.%2_config% SET value = value + 1 WHERE key = 'counter' RETURNING value",
	[BRIDGE_STMT_CURRENT] = "UPDATE %1.%2_config% SET value = ?1 WHERE key = 'current'",
	[BRIDGE_STMT_CONFIG_GET] = "SELECT value FROM %1.%2_config% WHERE key = ?1",
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

/* Where the index is and where its journal ends. */
#define STATE_OF_JOURNAL                                                                                     \
	"SELECT (SELECT value FROM %1.%2_config% WHERE key = 'id'), "                                            \
	"(SELECT max(seq) FROM %1.%2_changes%), "                                                                \
	"(SELECT value FROM %1.%2_config% WHERE key = 'current'), "                                              \
	"(SELECT tag FROM %1.%2_changes% WHERE seq = ?1), "                                                      \
	"(SELECT value FROM %1.%2_config% WHERE key = 'tuned'), "                                                \
	"(SELECT value FROM %1.%2_config% WHERE key = 'position'), "                                             \
	"(SELECT tag FROM %1.%2_changes% WHERE seq = CAST((SELECT value FROM "                                   \
	"%1.%2_config% WHERE key = 'position') AS INTEGER)), "                                                   \
	"(SELECT tag FROM %1.%2_changes% ORDER BY seq DESC LIMIT 1), "                                           \
	"(SELECT value FROM %1.%2_config% WHERE key = 'cookie'), "                                               \
	"(SELECT value FROM %1.%2_config% WHERE key = 'bad_rows')"

/*
 * Those that are others with a journal.  A row without a key stands for row 0: it
 * changes nothing, whatever that is.
 */
static const char *const journal_texts[BRIDGE_STMT_COUNT] = {
	[BRIDGE_STMT_STATE] = STATE_OF_JOURNAL,
	[BRIDGE_STMT_DELTA_PUT] = "INSERT INTO %1.%2_changes%(tag, key) VALUES(random(), ?1)",
	[BRIDGE_STMT_DELTA_RANGE] =
		"SELECT c.seq, c.tag, coalesce(c.key, 0), t.%5 FROM %1.%2_changes% AS c "
		"LEFT JOIN %3 AS t ON t.%4 = coalesce(c.key, 0) WHERE c.seq > ?1 AND c.seq <= ?2 "
		"ORDER BY c.seq LIMIT ?3",
	[BRIDGE_STMT_DELTA_TRIM] = "DELETE FROM %1.%2_changes% WHERE seq IN (SELECT seq FROM "
							   "%1.%2_changes% WHERE seq < ?1 ORDER BY seq LIMIT ?2)",
};

/*
 * And those that are others again for a table without rowids.  There m are the labels, c the journal.
 * "%6x" is the condition that a row of m has the key of alias x, "%7x" that a row t of the table has it, by the
 * table's own index and to the bit.  "%8x" are the key's columns in x, and of "?" parameters.
 */
static const char *const keyed_texts[BRIDGE_STMT_COUNT] = {
	[BRIDGE_STMT_STATE] = STATE_OF_JOURNAL ", (SELECT max(label) FROM %1.%2_keys%)",
	[BRIDGE_STMT_TRUTH_GET] =
		"SELECT t.%5 FROM %1.%2_keys% AS m CROSS JOIN %3 AS t ON %7m WHERE m.label = ?1",
	[BRIDGE_STMT_TRUTH_GET_NEW] = "SELECT t.%5 FROM %3 AS t WHERE %7?",
	[BRIDGE_STMT_TRUTH_EXISTS] =
		"SELECT 1 FROM %1.%2_keys% AS m CROSS JOIN %3 AS t ON %7m WHERE m.label = ?1",
	[BRIDGE_STMT_TRUTH_EXISTS_NEW] = "SELECT 1 FROM %3 AS t WHERE %7?",
	[BRIDGE_STMT_TRUTH_BATCH] = "SELECT m.label, t.%5 FROM %1.%2_keys% AS m CROSS JOIN %3 AS t ON %7m "
								"WHERE m.label >= ?1 ORDER BY m.label LIMIT ?2",
	[BRIDGE_STMT_TRUTH_BATCH_NEW] = "SELECT NULL, t.%5, %8t FROM %3 AS t WHERE NOT EXISTS "
									"(SELECT 1 FROM %1.%2_keys% AS m WHERE %6t)",
	[BRIDGE_STMT_DELTA_RANGE] =
		"SELECT c.seq, c.tag, m.label, t.%5, %8c FROM %1.%2_changes% AS c "
		"LEFT JOIN %1.%2_keys% AS m ON %6c LEFT JOIN %3 AS t ON %7c "
		"WHERE c.seq > ?1 AND c.seq <= ?2 AND c.k0 IS NOT NULL ORDER BY c.seq LIMIT ?3",
	[BRIDGE_STMT_DELTA_PUT] = "INSERT INTO %1.%2_changes% SELECT NULL, random(), %8m FROM %1.%2_keys% AS m "
							  "WHERE m.label = ?1",
	[BRIDGE_STMT_KEY_GET] = "SELECT %8m FROM %1.%2_keys% AS m WHERE m.label = ?1",
	[BRIDGE_STMT_KEY_LABEL] = "SELECT m.label FROM %1.%2_keys% AS m WHERE %6?",
	[BRIDGE_STMT_KEY_PUT] = "INSERT OR IGNORE INTO %1.%2_keys% VALUES (NULL, %8?)",
};

/* Without the labels' table all rows are new. */
static const char unlabelled_text[] = "SELECT NULL, t.%5, %8t FROM %3 AS t";

/* The state without a journal to look at. */
static const char lost_journal_text[] =
	"SELECT (SELECT value FROM %1.%2_config% WHERE key = 'id'), NULL, "
	"(SELECT value FROM %1.%2_config% WHERE key = 'current'), NULL, "
	"(SELECT value FROM %1.%2_config% WHERE key = 'tuned'), '', NULL, NULL, "
	"(SELECT value FROM %1.%2_config% WHERE key = 'cookie'), "
	"(SELECT value FROM %1.%2_config% WHERE key = 'bad_rows')";

/* "%6x", "%7x" and "%8x": see keyed_texts. */
static void
append_keys(sqlite3_str *out, const BridgeKeys *keys, char what, char alias)
{
	for (int i = 0; i < keys->count; i++)
	{
		const char *name = bridge_key_name(keys, i);
		char *column = alias == 't'   ? sqlite3_mprintf("t.\"%w\"", name)
					   : alias == '?' ? sqlite3_mprintf("?%d", i + 1)
									  : sqlite3_mprintf("%c.k%d", alias, i);

		if (i > 0)
			sqlite3_str_appendall(out, what == '8' ? ", " : " AND ");
		if (what == '6') /* without an affinity, which would keep the index from being used */
			sqlite3_str_appendf(out, "m.k%d = +%s", i, column);
		else if (what == '7')
			sqlite3_str_appendf(out, "t.\"%w\" = %s AND t.\"%w\" = %s COLLATE BINARY", name, column, name,
								column);
		else
			sqlite3_str_appendf(out, "%s", column);
		sqlite3_free(column);
	}
}

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
			case '6':
			case '7':
			case '8':
				append_keys(out, &store->keys, *text, text[1]);
				text++;
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
	{
		/* Stepped again, it would go on in the midst of itself. */
		if (!sqlite3_stmt_busy(*out))
			return SQLITE_OK;
		*out = NULL;
		return bridge_error(err, SQLITE_ERROR,
							"hnsw: a trigger makes index %s use itself while its own tables are written",
							store->table);
	}
	text = store->journal && journal_texts[which] != NULL ? journal_texts[which] : statement_texts[which];
	if (store->keys.count > 0 && keyed_texts[which] != NULL &&
		(which != BRIDGE_STMT_STATE || store->follow.keys_there))
		text = keyed_texts[which];
	if (which == BRIDGE_STMT_TRUTH_BATCH_NEW && !store->follow.keys_there)
		text = unlabelled_text;
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
	assert(sqlite3_db_handle(stmt) == store->db);
	sqlite3_reset(stmt);
	if (store->statements[which] == NULL)
		store->statements[which] = stmt;
	else
		sqlite3_finalize(stmt);
}
