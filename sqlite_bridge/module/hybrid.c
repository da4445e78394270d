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
 * It asks both with a statement each, in one read transaction.  To find their
 * names and to prepare takes longer than to ask, so statements that are done
 * with wait for the next scan that asks by the same names, as long as the schema
 * is the same.
 */
#include "sqlite_bridge/module/module.h"

#include <stdlib.h>
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

/* A search that can be run again; all NULL where there is none. */
typedef struct HybridSearch
{
	char *table, *full_text; /* as asked by, or NULL */
	bool waits;              /* it may wait for the next */
	int64_t schema_version;
	sqlite3_stmt *version; /* PRAGMA schema_version; running, it holds the read transaction */
	sqlite3_stmt *near;    /* rowid, distance of ?1, ?2 rows */
	sqlite3_stmt *alike;   /* rowid, rank of ?1, ?2 rows */
} HybridSearch;

typedef struct HybridTable
{
	sqlite3_vtab base;
	sqlite3 *db;
	HybridSearch idle;
} HybridTable;

/* A row of one side, or of both. */
typedef struct Hit
{
	int64_t id;
	double score;
	double distance, rank;
	bool is_near, is_alike; /* which of them are there */
} Hit;

typedef struct HybridCursor
{
	sqlite3_vtab_cursor base;
	HybridSearch search; /* while its rows are read */
	Hit *hits;           /* best first */
	int64_t count, capacity, at;
} HybridCursor;

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

/* ---------- searches that wait ---------- */

static void
search_free(HybridSearch *search)
{
	sqlite3_finalize(search->version);
	sqlite3_finalize(search->near);
	sqlite3_finalize(search->alike);
	sqlite3_free(search->table);
	sqlite3_free(search->full_text);
	memset(search, 0, sizeof(*search));
}

/* Leave the cursor's search to the next. */
static void
search_leave(HybridCursor *cursor)
{
	HybridTable *table = (HybridTable *) cursor->base.pVtab;
	HybridSearch *search = &cursor->search;

	sqlite3_reset(search->near);
	sqlite3_reset(search->alike);
	sqlite3_reset(search->version);
	if (!search->waits)
	{
		search_free(search);
		return;
	}
	sqlite3_clear_bindings(search->near);
	sqlite3_clear_bindings(search->alike);
	search_free(&table->idle);
	table->idle = *search;
	memset(search, 0, sizeof(*search));
}

/* The version of the schema; begins the read transaction that lasts until search->version is reset. */
static int
read_version(HybridSearch *search, int64_t *version)
{
	int rc = sqlite3_step(search->version);

	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? SQLITE_ERROR : rc;
	*version = sqlite3_column_int64(search->version, 0);
	return SQLITE_OK;
}

static bool
same_name(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Take the search that waits, if it is by these names and still right. */
static bool
search_take(HybridCursor *cursor, const char *name, const char *full_text)
{
	HybridTable *table = (HybridTable *) cursor->base.pVtab;
	int64_t version = -1;

	if (!table->idle.waits || !same_name(table->idle.table, name) ||
		!same_name(table->idle.full_text, full_text))
		return false;
	if (read_version(&table->idle, &version) != SQLITE_OK || version != table->idle.schema_version)
	{
		sqlite3_reset(table->idle.version);
		return false;
	}
	cursor->search = table->idle;
	memset(&table->idle, 0, sizeof(table->idle));
	return true;
}

/* A copy of a name that may be NULL; false without memory. */
static bool
copy_name(char **out, const char *name)
{
	*out = name != NULL ? sqlite3_mprintf("%s", name) : NULL;
	return name == NULL || *out != NULL;
}

/* Prepare what sqlite3_mprintf made, and free it. */
static int
prepare(sqlite3 *db, char *sql, sqlite3_stmt **stmt, BridgeError *err)
{
	int rc;

	if (sql == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	rc = sqlite3_prepare_v2(db, sql, -1, stmt, NULL);
	sqlite3_free(sql);
	return rc == SQLITE_OK ? SQLITE_OK : bridge_error_db(err, db, "vss_hybrid");
}

/* Find what the names mean and prepare the statements. */
static int
search_prepare(HybridCursor *cursor, const char *name, const char *full_text, BridgeError *err)
{
	sqlite3 *db = ((HybridTable *) cursor->base.pVtab)->db;
	HybridSearch *search = &cursor->search;
	BridgeHybridNames names = {0};
	int rc = bridge_hybrid_names(db, name, full_text, &names, err);

	if (rc == SQLITE_OK && (!copy_name(&search->table, name) || !copy_name(&search->full_text, full_text)))
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	if (rc == SQLITE_OK)
		rc =
			prepare(db, sqlite3_mprintf("PRAGMA \"%w\".schema_version", names.schema), &search->version, err);
	if (rc == SQLITE_OK && read_version(search, &search->schema_version) != SQLITE_OK)
		rc = bridge_error_db(err, db, "vss_hybrid");
	if (rc == SQLITE_OK)
		rc = prepare(
			db,
			sqlite3_mprintf("SELECT rowid, distance FROM \"%w\".\"%w\"(?1, ?2)", names.schema, names.index),
			&search->near, err);
	if (rc == SQLITE_OK)
		rc = prepare(db,
					 sqlite3_mprintf("SELECT rowid, rank FROM \"%w\".\"%w\" WHERE \"%w\" MATCH ?1 "
									 "ORDER BY rank LIMIT ?2",
									 names.schema, names.full_text, names.full_text),
					 &search->alike, err);
	/* another schema's names could come to mean main's */
	search->waits = rc == SQLITE_OK && strcmp(names.schema, "main") == 0;
	bridge_hybrid_names_free(&names);
	return rc;
}

/* ---------- fusion ---------- */

static int
compare(double a, double b)
{
	return (a > b) - (a < b);
}

static int
compare_ids(const void *a, const void *b)
{
	int64_t x = ((const Hit *) a)->id;
	int64_t y = ((const Hit *) b)->id;

	return (x > y) - (x < y);
}

/* Of one side, nearest or best first; ties by id, so that a question has one answer. */
static int
compare_places(const void *a, const void *b)
{
	const Hit *x = a;
	const Hit *y = b;
	int order = x->is_near ? compare(x->distance, y->distance) : compare(x->rank, y->rank);

	return order != 0 ? order : compare_ids(a, b);
}

static int
compare_scores(const void *a, const void *b)
{
	int order = compare(((const Hit *) b)->score, ((const Hit *) a)->score);

	return order != 0 ? order : compare_ids(a, b);
}

/* Append the rows of one side, with the scores of their places. */
static int
read_side(HybridCursor *cursor, sqlite3_stmt *stmt, bool near, double weight, double rrf_k, BridgeError *err)
{
	sqlite3 *db = ((HybridTable *) cursor->base.pVtab)->db;
	int64_t first = cursor->count;
	int rc;

	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		Hit hit = {.id = sqlite3_column_int64(stmt, 0), .is_near = near, .is_alike = !near};

		if (near)
			hit.distance = sqlite3_column_double(stmt, 1);
		else
			hit.rank = sqlite3_column_double(stmt, 1);
		if (cursor->count == cursor->capacity)
		{
			int64_t capacity = cursor->capacity == 0 ? 2 * LEAST_CANDIDATES : cursor->capacity * 2;
			Hit *hits = sqlite3_realloc64(cursor->hits, sizeof(Hit) * (sqlite3_uint64) capacity);

			if (hits == NULL)
				return bridge_error(err, SQLITE_NOMEM, "out of memory");
			cursor->hits = hits;
			cursor->capacity = capacity;
		}
		cursor->hits[cursor->count++] = hit;
	}
	if (rc != SQLITE_DONE)
		return bridge_error_db(err, db, "vss_hybrid");
	if (cursor->count > first)
		qsort(cursor->hits + first, (size_t) (cursor->count - first), sizeof(Hit), compare_places);
	for (int64_t i = first; i < cursor->count; i++)
		cursor->hits[i].score = weight / (rrf_k + (double) (i - first + 1));
	return SQLITE_OK;
}

/* Make one row of those of both sides, and keep the k best. */
static void
fuse(HybridCursor *cursor, int64_t k)
{
	Hit *hits = cursor->hits;
	int64_t count = 0;

	if (cursor->count == 0)
		return;
	qsort(hits, (size_t) cursor->count, sizeof(Hit), compare_ids);
	for (int64_t i = 0; i < cursor->count; i++)
	{
		if (count == 0 || hits[count - 1].id != hits[i].id)
		{
			hits[count++] = hits[i];
			continue;
		}
		hits[count - 1].score += hits[i].score;
		if (hits[i].is_near)
			hits[count - 1].distance = hits[i].distance;
		else
			hits[count - 1].rank = hits[i].rank;
		hits[count - 1].is_near = hits[count - 1].is_alike = true;
	}
	qsort(hits, (size_t) count, sizeof(Hit), compare_scores);
	cursor->count = count < k ? count : k;
}

/* ---------- one scan ---------- */

/* The text of an argument that is a name, or NULL; false without memory. */
static bool
take_name(const HybridArguments *asked, int column, const char **name)
{
	sqlite3_value *value = argument(asked, column);

	*name = value != NULL ? (const char *) sqlite3_value_text(value) : NULL;
	return value == NULL || *name != NULL;
}

/* Read both sides; a side without a question has no rows. */
static int
start(HybridCursor *cursor, const HybridArguments *asked, BridgeError *err)
{
	sqlite3 *db = ((HybridTable *) cursor->base.pVtab)->db;
	sqlite3_value *vector = argument(asked, COLUMN_VECTOR);
	sqlite3_value *text = argument(asked, COLUMN_TEXT);
	const char *name;
	const char *full_text;
	HybridSearch *search;
	int64_t k = DEFAULT_K;
	int64_t candidates = 0;
	double rrf_k = DEFAULT_RRF_K;
	double vector_weight = 1;
	double text_weight = 1;
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
	if (!take_name(asked, COLUMN_TABLE, &name) || !take_name(asked, COLUMN_FULL_TEXT, &full_text))
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	if (!search_take(cursor, name, full_text) &&
		(rc = search_prepare(cursor, name, full_text, err)) != SQLITE_OK)
		return rc;
	search = &cursor->search;
	if ((vector != NULL && (sqlite3_bind_value(search->near, 1, vector) != SQLITE_OK ||
							sqlite3_bind_int64(search->near, 2, candidates) != SQLITE_OK)) ||
		(text != NULL && (sqlite3_bind_value(search->alike, 1, text) != SQLITE_OK ||
						  sqlite3_bind_int64(search->alike, 2, candidates) != SQLITE_OK)))
		return bridge_error_db(err, db, "vss_hybrid");
	if (vector != NULL)
		rc = read_side(cursor, search->near, true, vector_weight, rrf_k, err);
	if (rc == SQLITE_OK && text != NULL)
		rc = read_side(cursor, search->alike, false, text_weight, rrf_k, err);
	if (rc == SQLITE_OK)
		fuse(cursor, k);
	return rc;
}

/* ---------- the virtual table ---------- */

static int
hybrid_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **message)
{
	int rc = bridge_rowset_connect(db, DECLARATION, sizeof(HybridTable), out);

	if (rc != SQLITE_OK)
		return rc;
	((HybridTable *) *out)->db = db;
	bridge_rowset_uses_all_schemas(db);
	return SQLITE_OK;
}

static int
hybrid_disconnect(sqlite3_vtab *vtab)
{
	search_free(&((HybridTable *) vtab)->idle);
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
	return bridge_rowset_open(sizeof(HybridCursor), out);
}

static int
hybrid_close(sqlite3_vtab_cursor *base)
{
	sqlite3_free(((HybridCursor *) base)->hits);
	sqlite3_free(base);
	return SQLITE_OK;
}

static int
hybrid_filter(sqlite3_vtab_cursor *base, int plan, const char *plan_text, int argc, sqlite3_value **argv)
{
	HybridCursor *cursor = (HybridCursor *) base;
	HybridArguments asked = {{NULL}};
	BridgeError err = {0};
	int given = 0;

	cursor->count = cursor->at = 0;
	for (int column = FIRST_ARGUMENT; column < COLUMN_COUNT; column++)
		if ((plan & 1 << column) != 0)
			asked.value[column - FIRST_ARGUMENT] = argv[given++];
	if (start(cursor, &asked, &err) != SQLITE_OK)
	{
		search_free(&cursor->search);
		return bridge_rowset_fail(base->pVtab, &err);
	}
	search_leave(cursor);
	return SQLITE_OK;
}

static int
hybrid_next(sqlite3_vtab_cursor *base)
{
	((HybridCursor *) base)->at++;
	return SQLITE_OK;
}

static int
hybrid_eof(sqlite3_vtab_cursor *base)
{
	const HybridCursor *cursor = (const HybridCursor *) base;

	return cursor->at >= cursor->count;
}

static int
hybrid_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
	const HybridCursor *cursor = (const HybridCursor *) base;
	const Hit *hit = &cursor->hits[cursor->at];

	if (column == COLUMN_SCORE)
		sqlite3_result_double(context, hit->score);
	else if (column == COLUMN_DISTANCE && hit->is_near)
		sqlite3_result_double(context, hit->distance);
	else if (column == COLUMN_RANK && hit->is_alike)
		sqlite3_result_double(context, hit->rank);
	return SQLITE_OK;
}

static int
hybrid_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid)
{
	const HybridCursor *cursor = (const HybridCursor *) base;

	*rowid = cursor->hits[cursor->at].id;
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
