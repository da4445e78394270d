/*
 * check.c
 *		What is in a database against the model: rows, every distance, the k
 *		nearest, hnsw_check, and the files beside it.
 *
 * Distances are computed here, in double precision, and nothing of the
 * extension takes part in saying what they should be.
 */
#include "campaign.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define K 10

/* One index as it should be: version by rowid, 0 where it has none. */
typedef struct Expected
{
	const char *index;
	bool cosine;
	uint32_t version[IDS];
} Expected;

static double
distance_to(const Expected *e, int id, const float *query)
{
	float v[DIM];
	double dot = 0, a = 0, b = 0, square = 0;

	make_vector(e->version[id], v);
	for (int i = 0; i < DIM; i++)
	{
		dot += (double) v[i] * query[i];
		a += (double) v[i] * v[i];
		b += (double) query[i] * query[i];
		square += ((double) v[i] - query[i]) * ((double) v[i] - query[i]);
	}
	return e->cosine ? 1 - dot / sqrt(a * b) : sqrt(square);
}

static bool
is_close(double a, double b)
{
	return fabs(a - b) <= 1e-5 * (1 + fabs(b));
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

/* k of 0: all, as a stream. */
static bool
check_search(sqlite3 *db, const Expected *e, const float *query, int k, const char *strategy, Report *r)
{
	double nearest[IDS];
	bool seen[IDS] = {false};
	int total = 0, got = 0;
	double last = -1e300;
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT rowid, distance FROM %s(?1, %s, %d, '%s')", e->index,
								k > 0 ? "10" : "NULL", 2 * IDS, strategy);
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	bool ok = true;

	for (int i = 1; i < IDS; i++)
		if (e->version[i] != 0)
			nearest[total++] = distance_to(e, i, query);
	qsort(nearest, (size_t) total, sizeof(double), compare_doubles);
	if (k > 0 && total > k)
		total = k;

	sqlite3_bind_blob(stmt, 1, query, DIM * sizeof(float), SQLITE_STATIC);
	while (ok && rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
	{
		sqlite3_int64 id = sqlite3_column_int64(stmt, 0);
		double d = sqlite3_column_double(stmt, 1);

		if (id < 1 || id >= IDS || e->version[id] == 0)
			ok = report(r, "%s gives row %lld, which is not there (%s)", e->index, id, strategy);
		else if (seen[id])
			ok = report(r, "%s gives row %lld twice (%s)", e->index, id, strategy);
		else if (!is_close(d, distance_to(e, (int) id, query)))
			ok = report(r, "%s: row %lld at %.9g instead of %.9g (%s)", e->index, id, d,
						distance_to(e, (int) id, query), strategy);
		else if (d < last)
			ok = report(r, "%s: row %lld out of order (%s)", e->index, id, strategy);
		else if (got < total && !is_close(d, nearest[got]))
			ok = report(r, "%s: neighbour %d at %.9g instead of %.9g (%s, k %d)", e->index, got + 1, d,
						nearest[got], strategy, k);
		else
			seen[id] = true;
		last = d;
		got++;
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_finalize(stmt);
	if (ok && rc != SQLITE_OK)
		ok = report_code(r, rc, "%s: %s (%s)", sql, sqlite3_errmsg(db), strategy);
	if (ok && got != total)
		ok = report(r, "%s gives %d rows instead of %d (%s, k %d)", e->index, got, total, strategy, k);
	sqlite3_free(sql);
	return ok;
}

static bool
check_index(sqlite3 *db, const Expected *e, uint64_t seed, Report *r)
{
	static const char *const strategies[] = {"auto", "exact"};
	float query[DIM];
	bool ok = true;

	make_vector((uint32_t) (mix(seed) >> 33) + 1, query);
	for (int i = 0; ok && i < 2; i++)
		ok = check_search(db, e, query, K, strategies[i], r) &&
			 check_search(db, e, query, 0, strategies[i], r);
	return ok;
}

static bool
check_rows(sqlite3 *db, const Model *model, Report *r)
{
	sqlite3_stmt *stmt = NULL;
	int rows = 0;
	bool ok = true;

	if (sqlite3_prepare_v2(db, "SELECT id, name, vector(embedding) FROM documents", -1, &stmt, NULL) !=
		SQLITE_OK)
		return report_code(r, sqlite3_errcode(db), "reading documents: %s", sqlite3_errmsg(db));
	while (ok && sqlite3_step(stmt) == SQLITE_ROW)
	{
		int id = sqlite3_column_int(stmt, 0);
		float vector[DIM];
		bool some = id > 0 && id < IDS && make_vector(model->documents[id].version, vector);

		rows++;
		if (id < 1 || id >= IDS || model->documents[id].name != sqlite3_column_int(stmt, 1) ||
			(some ? sqlite3_column_bytes(stmt, 2) != (int) sizeof(vector) ||
						memcmp(sqlite3_column_blob(stmt, 2), vector, sizeof(vector)) != 0
				  : sqlite3_column_type(stmt, 2) != SQLITE_NULL))
			ok = report(r, "row %d of documents is not what was committed", id);
	}
	if (sqlite3_finalize(stmt) != SQLITE_OK)
		return report_code(r, sqlite3_errcode(db), "reading documents: %s", sqlite3_errmsg(db));
	for (int i = 1; i < IDS; i++)
		rows -= model->documents[i].name != 0;
	return ok && rows != 0 ? report(r, "%d rows too many in documents", rows) : ok;
}

bool
check_answers(sqlite3 *db, const Model *model, uint64_t seed, Report *r)
{
	Expected e = {.index = model_index(model)};
	bool ok = check_rows(db, model, r);

	for (int i = 1; i < IDS; i++)
		e.version[i] = model->documents[i].version;
	if (ok && model->exists)
		ok = check_index(db, &e, seed, r);
	e.index = "plain";
	e.cosine = true;
	memcpy(e.version, model->plain, sizeof(e.version));
	return ok && check_index(db, &e, seed, r);
}

/* ---------- hnsw_check and files ---------- */

/* What hnsw_check may say of an index before the next merge, and nothing else. */
static bool
is_without_graph(const char *text)
{
	static const char start[] = "graph: there is no graph file";

	return strncmp(text, start, sizeof(start) - 1) == 0 && strchr(text, '\n') == NULL;
}

static bool
expect_text_or(sqlite3 *db, const char *sql, const char *index, const char *expected, bool lenient, Report *r)
{
	sqlite3_stmt *stmt = NULL;
	char *text = sqlite3_mprintf(sql, index);
	int rc = sqlite3_prepare_v2(db, text, -1, &stmt, NULL);
	bool ok = true;

	if (rc != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW)
		ok = report(r, "%s: %s", text, sqlite3_errmsg(db));
	else if (strcmp((const char *) sqlite3_column_text(stmt, 0), expected) != 0 &&
			 !(lenient && is_without_graph((const char *) sqlite3_column_text(stmt, 0))))
		ok = report(r, "%s: %s", text, (const char *) sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_free(text);
	return ok;
}

static bool
expect_text(sqlite3 *db, const char *sql, const char *index, const char *expected, Report *r)
{
	return expect_text_or(db, sql, index, expected, false, r);
}

/* Rows and changes are as they should be; after a merge the graph is, too. */
static bool
check_sound(sqlite3 *db, const char *index, bool merged, Report *r)
{
	return expect_text_or(db, "SELECT hnsw_check('%s')", index, "ok", !merged, r);
}

/* "<path>\n<path>-<token>\n" of an index appended. */
static void
list_files(sqlite3 *db, const char *index, char *list, size_t size)
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT i ->> '$.graph.path', i ->> '$.graph.token' FROM (SELECT"
								" hnsw_info('%s') AS i)",
								index);

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
	{
		const char *path = (const char *) sqlite3_column_text(stmt, 0);
		const char *base = path ? strrchr(path, '/') : NULL;
		size_t length = strlen(list);

		/* what the graph was opened as may be either of its names */
		if (base != NULL)
		{
			const char *token = (const char *) sqlite3_column_text(stmt, 1);
			const char *dash = strstr(base, token);
			int n = dash ? (int) (dash - base - 2) : (int) strlen(base + 1);

			snprintf(list + length, size - length, "\n%.*s\n%.*s-%s\n", n, base + 1, n, base + 1, token);
		}
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
}

static bool
check_files(const char *path, const char *list, Report *r)
{
	char folder[500], pattern[300];
	const char *base = strrchr(path, '/') + 1;
	const struct dirent *entry;
	DIR *dir;
	bool ok = true;

	snprintf(folder, sizeof(folder), "%.*s", (int) (base - path - 1), path);
	dir = opendir(folder);
	while (ok && dir != NULL && (entry = readdir(dir)) != NULL)
	{
		const char *name = entry->d_name;
		size_t length = strlen(name);

		snprintf(pattern, sizeof(pattern), "\n%s\n", name);
		if (name[0] == '.' || strstr(list, pattern) != NULL || strcmp(name, base) == 0 ||
			(strncmp(name, base, strlen(base)) == 0 && strchr("-", name[strlen(base)]) != NULL &&
			 strstr(name, ".hnsw") == NULL) ||
			(length > 5 && strcmp(name + length - 5, "-lock") == 0))
			continue;
		ok = report(r, "%s was left behind; there should be%s", name, list);
	}
	if (dir != NULL)
		closedir(dir);
	return ok;
}

static bool
merge_one(sqlite3 *db, const char *index, Report *r)
{
	if (run(db, "SELECT hnsw_save('%s')", index) != SQLITE_OK ||
		run(db, "SELECT hnsw_save('%s')", index) != SQLITE_OK)
		return report(r, "merging %s: %s", index, sqlite3_errmsg(db));
	return expect_text(db, "SELECT hnsw_info('%s') ->> '$.delta_stored'", index, "0", r);
}

bool
check_database(const char *path, const Model *model, bool merge, uint64_t seed, Report *r)
{
	const char *index = model_index(model);
	char list[2000] = "";
	sqlite3 *db = open_database(path, r);
	bool ok = db != NULL;

	if (ok)
		ok = expect_text(db, "PRAGMA integrity_check -- %s", "", "ok", r) &&
			 check_answers(db, model, seed, r) && check_sound(db, "plain", false, r) &&
			 (!model->exists || check_sound(db, index, false, r));
	if (ok && merge)
	{
		ok = merge_one(db, "plain", r) && (!model->exists || merge_one(db, index, r)) &&
			 check_answers(db, model, seed + 1, r) && check_sound(db, "plain", true, r) &&
			 (!model->exists || check_sound(db, index, true, r)) &&
			 expect_text(db, "SELECT hnsw_info('%s') ->> '$.graph.state'", "plain", "used", r);
		list_files(db, "plain", list, sizeof(list));
		if (model->exists)
			list_files(db, index, list, sizeof(list));
		ok = ok && check_files(path, list, r);
	}
	if (db != NULL && sqlite3_close(db) != SQLITE_OK)
		ok = report(r, "closing: %s", sqlite3_errmsg(db));
	return ok;
}
