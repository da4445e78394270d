/*
 * hybrid.c
 *		The rowset vss_hybrid(table, vector, text, k [, rrf_k, vector_weight,
 *		text_weight, candidates, full_text]): nearest vectors and best texts, as
 *		one list.
 *
 *	CREATE TABLE x(score REAL, distance REAL, rank REAL, "table" HIDDEN, vec HIDDEN, ...)
 *
 * Reciprocal rank fusion (Cormack, Clarke, Buettcher 2009): a row that is the
 * i-th nearest and the j-th best text has the score
 * vector_weight / (rrf_k + i) + text_weight / (rrf_k + j), of which it may have
 * one part alone.  Rowids are those of the content table, of which both the
 * hnsw table and the FTS5 table are an index.
 *
 * It is one statement over these two, prepared when a scan starts.
 */
#include "sqlite_bridge/module/module.h"

#include <string.h>

/* Of each side, unless told otherwise. */
#define LEAST_CANDIDATES 50
#define CANDIDATES_PER_ROW 5
#define DEFAULT_K 10
#define DEFAULT_RRF_K 60.0

enum
{
	COLUMN_SCORE,
	COLUMN_DISTANCE,
	COLUMN_RANK,
	COLUMN_TABLE,
	COLUMN_VECTOR,
	COLUMN_TEXT,
	COLUMN_K,
	COLUMN_RRF_K,
	COLUMN_VECTOR_WEIGHT,
	COLUMN_TEXT_WEIGHT,
	COLUMN_CANDIDATES,
	COLUMN_FULL_TEXT,
	COLUMN_COUNT
};

#define FIRST_ARGUMENT COLUMN_TABLE

#define DECLARATION                                                                                          \
	"CREATE TABLE x(score REAL, distance REAL, rank REAL, \"table\" HIDDEN, vec HIDDEN, query HIDDEN, "      \
	"k HIDDEN, rrf_k HIDDEN, vector_weight HIDDEN, text_weight HIDDEN, candidates HIDDEN, full_text HIDDEN)"

typedef struct HybridTable
{
	sqlite3_vtab base;
	sqlite3 *db;
} HybridTable;

typedef struct HybridCursor
{
	sqlite3_vtab_cursor base;
	sqlite3_stmt *stmt; /* rowid, score, distance, rank; NULL at the end */
} HybridCursor;

/* What is searched; all sqlite3_free. */
typedef struct HybridNames
{
	char *schema;
	char *index;
	char *content;
	char *full_text;
} HybridNames;

/* The arguments of a call, NULL where left out; by column - FIRST_ARGUMENT. */
typedef struct HybridArguments
{
	sqlite3_value *value[COLUMN_COUNT - FIRST_ARGUMENT];
} HybridArguments;

static sqlite3_value *
argument(const HybridArguments *asked, int column)
{
	sqlite3_value *value = asked->value[column - FIRST_ARGUMENT];

	return value != NULL && sqlite3_value_type(value) != SQLITE_NULL ? value : NULL;
}

/* ---------- names ---------- */

/* Append a name to a list of candidates for a message. */
static int
append_name(char **list, const char *name)
{
	char *longer = sqlite3_mprintf("%s%s%s", *list != NULL ? *list : "", *list != NULL ? ", " : "", name);

	sqlite3_free(*list);
	*list = longer;
	return longer != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

/* The index of that name, or over the table of that name; main's before others'. */
static int
find_index(sqlite3 *db, const char *name, HybridNames *names, BridgeError *err)
{
	static const char sql[] =
		"SELECT schema, name, content, content_rowid IS NOT NULL FROM hnsw_indexes "
		"WHERE content IS NOT NULL AND (?1 IS NULL OR name = ?1 COLLATE NOCASE OR content = ?1 COLLATE "
		"NOCASE) "
		"ORDER BY schema <> 'main', schema, ifnull(name = ?1 COLLATE NOCASE, 0) DESC, name";
	sqlite3_stmt *stmt = NULL;
	char *list = NULL;
	bool named = false;
	bool keyed = true;
	int count = 0;
	int step = SQLITE_DONE;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		const char *schema = (const char *) sqlite3_column_text(stmt, 0);
		const char *index = (const char *) sqlite3_column_text(stmt, 1);

		if (schema == NULL || index == NULL)
			rc = SQLITE_NOMEM;
		else if (count > 0 && strcmp(schema, names->schema) != 0)
		{
			step = SQLITE_DONE;
			break;
		}
		else if (count == 0)
		{
			names->schema = sqlite3_mprintf("%s", schema);
			names->index = sqlite3_mprintf("%s", index);
			names->content = sqlite3_mprintf("%s", sqlite3_column_text(stmt, 2));
			keyed = sqlite3_column_int(stmt, 3) != 0;
			named = name != NULL && sqlite3_stricmp(index, name) == 0;
			if (names->schema == NULL || names->index == NULL || names->content == NULL)
				rc = SQLITE_NOMEM;
		}
		if (rc == SQLITE_OK)
			rc = append_name(&list, index);
		count++;
	}
	if (rc == SQLITE_OK && step != SQLITE_DONE)
		rc = step;
	if (rc == SQLITE_NOMEM)
		bridge_error(err, rc, "out of memory");
	else if (rc != SQLITE_OK)
		bridge_error_db(err, db, "vss_hybrid");
	else if (count == 0 && name != NULL)
		rc =
			bridge_error(err, SQLITE_ERROR, "vss_hybrid: no hnsw table is, or has the content, \"%s\"", name);
	else if (count == 0)
		rc = bridge_error(err, SQLITE_ERROR, "vss_hybrid: there is no hnsw table over a table");
	else if (count > 1 && !named)
		rc = bridge_error(err, SQLITE_ERROR,
						  "vss_hybrid: which of several hnsw tables is meant? Name one of: %s", list);
	else if (!keyed)
		rc = bridge_error(err, SQLITE_ERROR,
						  "vss_hybrid: %s is WITHOUT ROWID, whose rows a full-text table cannot refer to",
						  names->content);
	sqlite3_finalize(stmt);
	sqlite3_free(list);
	return rc;
}

/* The FTS5 table of that name, or the one whose content is the index's table. */
static int
find_full_text(sqlite3 *db, const char *name, HybridNames *names, BridgeError *err)
{
	char *sql = sqlite3_mprintf("SELECT name, hnsw_module_of(sql) FROM \"%w\".sqlite_schema WHERE type = "
								"'table' AND rootpage = 0 AND "
								"hnsw_module_of(sql) IN ('fts3', 'fts4', 'fts5') AND "
								"CASE WHEN ?1 IS NULL THEN hnsw_module_of(sql, 'content') = ?2 COLLATE "
								"NOCASE ELSE name = ?1 COLLATE NOCASE END "
								"ORDER BY name",
								names->schema);
	sqlite3_stmt *stmt = NULL;
	char *list = NULL;
	bool ranks = true;
	int count = 0;
	int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	int step = SQLITE_DONE;

	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 2, names->content, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		const char *found = (const char *) sqlite3_column_text(stmt, 0);
		const char *module = (const char *) sqlite3_column_text(stmt, 1);

		if (found == NULL || module == NULL)
			rc = SQLITE_NOMEM;
		else if (count++ == 0)
		{
			names->full_text = sqlite3_mprintf("%s", found);
			ranks = strcmp(module, "fts5") == 0;
			rc = names->full_text == NULL ? SQLITE_NOMEM : SQLITE_OK;
		}
		if (rc == SQLITE_OK)
			rc = append_name(&list, found);
	}
	if (rc == SQLITE_OK && step != SQLITE_DONE)
		rc = step;
	if (rc == SQLITE_NOMEM)
		bridge_error(err, rc, "out of memory");
	else if (rc != SQLITE_OK)
		bridge_error_db(err, db, "vss_hybrid");
	else if (count == 0 && name != NULL)
		rc = bridge_error(err, SQLITE_ERROR, "vss_hybrid: no full-text table \"%s\"", name);
	else if (count == 0)
		rc = bridge_error(
			err, SQLITE_ERROR,
			"vss_hybrid: no FTS5 table has content='%s'; make one, or name one as the argument full_text",
			names->content);
	else if (count > 1)
		rc = bridge_error(err, SQLITE_ERROR,
						  "vss_hybrid: which of several full-text tables is meant? Name one as the argument "
						  "full_text: %s",
						  list);
	else if (!ranks)
		rc = bridge_error(err, SQLITE_ERROR, "vss_hybrid: %s does not rank its matches; that takes FTS5",
						  names->full_text);
	sqlite3_finalize(stmt);
	sqlite3_free(list);
	return rc;
}

static void
names_free(HybridNames *names)
{
	sqlite3_free(names->schema);
	sqlite3_free(names->index);
	sqlite3_free(names->content);
	sqlite3_free(names->full_text);
}

/* ---------- numbers ---------- */

/* A whole number of at least 1; *out is left where the argument is. */
static int
take_count(const HybridArguments *asked, int column, const char *name, int64_t *out, BridgeError *err)
{
	sqlite3_value *value = argument(asked, column);

	if (value == NULL)
		return SQLITE_OK;
	if (!bridge_whole_number(value, out) || *out < 1)
		return bridge_error(err, SQLITE_ERROR, "vss_hybrid: %s: expected a whole number, at least 1", name);
	return SQLITE_OK;
}

/* A number of at least 0; likewise. */
static int
take_number(const HybridArguments *asked, int column, const char *name, double *out, BridgeError *err)
{
	sqlite3_value *value = argument(asked, column);

	if (value == NULL)
		return SQLITE_OK;
	*out = sqlite3_value_double(value);
	if (sqlite3_value_numeric_type(value) == SQLITE_TEXT || !(*out >= 0 && *out <= 1e300))
		return bridge_error(err, SQLITE_ERROR, "vss_hybrid: %s: expected a number, at least 0", name);
	return SQLITE_OK;
}

/* ---------- the statement ---------- */

/*
 * FTS5 refuses NULL; the phrase of no words matches nothing.
 *
 * Each side's places are counted in one order, ties by rowid, so that the same
 * question has one answer.  A row has at most two parts, whose sum does not
 * depend on their order.
 */
static char *
statement_text(const HybridNames *names)
{
	return sqlite3_mprintf(
		"WITH near AS MATERIALIZED (SELECT rowid AS id, distance, "
		"row_number() OVER (ORDER BY distance, rowid) AS place FROM \"%w\".\"%w\"(?1, ?7)), "
		"alike AS MATERIALIZED (SELECT id, rank, row_number() OVER (ORDER BY rank, id) AS place "
		"FROM (SELECT rowid AS id, rank FROM \"%w\".\"%w\" WHERE \"%w\" MATCH ifnull(?2, '\"\"') ORDER BY "
		"rank LIMIT ?7)) "
		"SELECT id, sum(part) AS score, max(distance), max(rank) FROM ("
		"SELECT id, distance, NULL AS rank, ?5 / (?4 + place) AS part FROM near UNION ALL "
		"SELECT id, NULL, rank, ?6 / (?4 + place) FROM alike) GROUP BY id ORDER BY score DESC, id LIMIT ?3",
		names->schema, names->index, names->schema, names->full_text, names->full_text);
}

static int
bind_or_null(sqlite3_stmt *stmt, int number, sqlite3_value *value)
{
	return value != NULL ? sqlite3_bind_value(stmt, number, value) : sqlite3_bind_null(stmt, number);
}

static int
start(HybridCursor *cursor, const HybridArguments *asked, BridgeError *err)
{
	sqlite3 *db = ((HybridTable *) cursor->base.pVtab)->db;
	sqlite3_value *table = argument(asked, COLUMN_TABLE);
	sqlite3_value *full_text = argument(asked, COLUMN_FULL_TEXT);
	HybridNames names = {0};
	int64_t k = DEFAULT_K;
	int64_t candidates = 0;
	double rrf_k = DEFAULT_RRF_K;
	double vector_weight = 1;
	double text_weight = 1;
	char *sql = NULL;
	int rc;

	if ((rc = take_count(asked, COLUMN_K, "k", &k, err)) != SQLITE_OK ||
		(rc = take_count(asked, COLUMN_CANDIDATES, "candidates", &candidates, err)) != SQLITE_OK ||
		(rc = take_number(asked, COLUMN_RRF_K, "rrf_k", &rrf_k, err)) != SQLITE_OK ||
		(rc = take_number(asked, COLUMN_VECTOR_WEIGHT, "vector_weight", &vector_weight, err)) != SQLITE_OK ||
		(rc = take_number(asked, COLUMN_TEXT_WEIGHT, "text_weight", &text_weight, err)) != SQLITE_OK)
		return rc;
	if (candidates == 0)
		candidates = k > LEAST_CANDIDATES / CANDIDATES_PER_ROW && k < INT64_MAX / CANDIDATES_PER_ROW
						 ? k * CANDIDATES_PER_ROW
						 : LEAST_CANDIDATES;
	if (candidates < k)
		candidates = k;
	rc = find_index(db, table != NULL ? (const char *) sqlite3_value_text(table) : NULL, &names, err);
	if (rc == SQLITE_OK)
		rc = find_full_text(db, full_text != NULL ? (const char *) sqlite3_value_text(full_text) : NULL,
							&names, err);
	if (rc == SQLITE_OK && (sql = statement_text(&names)) == NULL)
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	if (rc == SQLITE_OK && (sqlite3_prepare_v2(db, sql, -1, &cursor->stmt, NULL) != SQLITE_OK ||
							bind_or_null(cursor->stmt, 1, argument(asked, COLUMN_VECTOR)) != SQLITE_OK ||
							bind_or_null(cursor->stmt, 2, argument(asked, COLUMN_TEXT)) != SQLITE_OK ||
							sqlite3_bind_int64(cursor->stmt, 3, k) != SQLITE_OK ||
							sqlite3_bind_double(cursor->stmt, 4, rrf_k) != SQLITE_OK ||
							sqlite3_bind_double(cursor->stmt, 5, vector_weight) != SQLITE_OK ||
							sqlite3_bind_double(cursor->stmt, 6, text_weight) != SQLITE_OK ||
							sqlite3_bind_int64(cursor->stmt, 7, candidates) != SQLITE_OK))
		rc = bridge_error_db(err, db, "vss_hybrid");
	sqlite3_free(sql);
	names_free(&names);
	return rc;
}

/* ---------- the virtual table ---------- */

static int
hybrid_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **message)
{
	HybridTable *table;
	int rc = sqlite3_declare_vtab(db, DECLARATION);

	if (rc != SQLITE_OK)
		return rc;
	table = sqlite3_malloc64(sizeof(*table));
	if (table == NULL)
		return SQLITE_NOMEM;
	memset(table, 0, sizeof(*table));
	table->db = db;
	sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
#ifdef SQLITE_VTAB_USES_ALL_SCHEMAS
	if (sqlite3_libversion_number() >= 3041000)
		sqlite3_vtab_config(db, SQLITE_VTAB_USES_ALL_SCHEMAS);
#endif
	*out = &table->base;
	return SQLITE_OK;
}

static int
hybrid_disconnect(sqlite3_vtab *vtab)
{
	sqlite3_free(vtab);
	return SQLITE_OK;
}

/* plan: a bit for each argument that is given, whose values come in the order of the columns. */
static int
hybrid_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
	int places[COLUMN_COUNT];
	int given = 0;

	for (int i = 0; i < COLUMN_COUNT; i++)
		places[i] = -1;
	for (int i = 0; i < info->nConstraint; i++)
	{
		int column = info->aConstraint[i].iColumn;

		if (column < FIRST_ARGUMENT || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
			continue;
		/* without it the call would mean something else */
		if (!info->aConstraint[i].usable)
			return SQLITE_CONSTRAINT;
		places[column] = i;
	}
	for (int column = FIRST_ARGUMENT; column < COLUMN_COUNT; column++)
	{
		if (places[column] < 0)
			continue;
		info->aConstraintUsage[places[column]].argvIndex = ++given;
		info->aConstraintUsage[places[column]].omit = 1;
		info->idxNum |= 1 << column;
	}
	info->orderByConsumed =
		info->nOrderBy == 1 && info->aOrderBy[0].iColumn == COLUMN_SCORE && info->aOrderBy[0].desc;
	info->estimatedCost = 10000;
	info->estimatedRows = DEFAULT_K;
	return SQLITE_OK;
}

static int
hybrid_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
	HybridCursor *cursor = sqlite3_malloc64(sizeof(*cursor));

	if (cursor == NULL)
		return SQLITE_NOMEM;
	memset(cursor, 0, sizeof(*cursor));
	*out = &cursor->base;
	return SQLITE_OK;
}

static int
hybrid_close(sqlite3_vtab_cursor *base)
{
	sqlite3_finalize(((HybridCursor *) base)->stmt);
	sqlite3_free(base);
	return SQLITE_OK;
}

static int
fail(sqlite3_vtab *vtab, BridgeError *err)
{
	sqlite3_free(vtab->zErrMsg);
	vtab->zErrMsg = err->message;
	return err->code;
}

static int
hybrid_next(sqlite3_vtab_cursor *base)
{
	HybridCursor *cursor = (HybridCursor *) base;
	BridgeError err = {0};
	int rc = sqlite3_step(cursor->stmt);

	if (rc == SQLITE_ROW)
		return SQLITE_OK;
	if (rc != SQLITE_DONE)
		bridge_error_db(&err, ((HybridTable *) base->pVtab)->db, "vss_hybrid");
	sqlite3_finalize(cursor->stmt);
	cursor->stmt = NULL;
	return rc == SQLITE_DONE ? SQLITE_OK : fail(base->pVtab, &err);
}

static int
hybrid_filter(sqlite3_vtab_cursor *base, int plan, const char *plan_text, int argc, sqlite3_value **argv)
{
	HybridCursor *cursor = (HybridCursor *) base;
	HybridArguments asked = {{NULL}};
	BridgeError err = {0};
	int given = 0;

	sqlite3_finalize(cursor->stmt);
	cursor->stmt = NULL;
	for (int column = FIRST_ARGUMENT; column < COLUMN_COUNT; column++)
		if ((plan & 1 << column) != 0)
			asked.value[column - FIRST_ARGUMENT] = argv[given++];
	if (start(cursor, &asked, &err) != SQLITE_OK)
		return fail(base->pVtab, &err);
	return hybrid_next(base);
}

static int
hybrid_eof(sqlite3_vtab_cursor *base)
{
	return ((HybridCursor *) base)->stmt == NULL;
}

static int
hybrid_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
	if (column < FIRST_ARGUMENT)
		sqlite3_result_value(context, sqlite3_column_value(((HybridCursor *) base)->stmt, column + 1));
	return SQLITE_OK;
}

static int
hybrid_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid)
{
	*rowid = sqlite3_column_int64(((HybridCursor *) base)->stmt, 0);
	return SQLITE_OK;
}

/* No xCreate: it is there under its own name. */
static const sqlite3_module hybrid_module = {
	.iVersion = 0,
	.xConnect = hybrid_connect,
	.xBestIndex = hybrid_best_index,
	.xDisconnect = hybrid_disconnect,
	.xDestroy = NULL,
	.xOpen = hybrid_open,
	.xClose = hybrid_close,
	.xFilter = hybrid_filter,
	.xNext = hybrid_next,
	.xEof = hybrid_eof,
	.xColumn = hybrid_column,
	.xRowid = hybrid_rowid,
};

int
bridge_hybrid_register(BridgeConnection *connection, BridgeError *err)
{
	int rc = sqlite3_create_module_v2(connection->db, "vss_hybrid", &hybrid_module, NULL, NULL);

	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, connection->db, "vss_hybrid");
}
