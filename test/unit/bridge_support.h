/*
 * bridge_support.h
 *		What the tests of the SQLite side share: databases in a folder of their
 *		own, SQL in one line, and the index against brute force.
 */
#ifndef BRIDGE_SUPPORT_H
#define BRIDGE_SUPPORT_H

#include "sqlite_bridge/base/base.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A new folder; remove_folder() takes it away with its files. */
static inline char *
make_folder(void)
{
	const char *base = getenv("TMPDIR");
	char *folder;

	assert_true(asprintf(&folder, "%s/vss_bridge.XXXXXX", base != NULL ? base : "/tmp") > 0);
	assert_non_null(mkdtemp(folder));
	return folder;
}

static inline void
remove_folder(char *folder)
{
	char *command;

	assert_true(asprintf(&command, "rm -rf '%s'", folder) > 0);
	assert_int_equal(system(command), 0);
	free(command);
	free(folder);
}

static inline sqlite3 *
open_database(const char *folder, const char *name, const BridgeHost *host)
{
	sqlite3 *db;
	char *path = sqlite3_mprintf("%s%s%s", folder ? folder : "", folder ? "/" : "", name);
	char *error = NULL;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		fail_msg("%s: %s", path, sqlite3_errmsg(db));
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, 10000);
	if (bridge_attach(db, host, &error) != SQLITE_OK)
		fail_msg("bridge_attach: %s", error);
	sqlite3_free(path);
	return db;
}

/* As a program opens it that knows nothing of the index. */
static inline sqlite3 *
open_plain(const char *folder, const char *name)
{
	sqlite3 *db;
	char *path = sqlite3_mprintf("%s/%s", folder, name);

	if (sqlite3_open(path, &db) != SQLITE_OK)
		fail_msg("%s: %s", path, sqlite3_errmsg(db));
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, 10000);
	sqlite3_free(path);
	return db;
}

static inline void
close_database(sqlite3 *db)
{
	int rc = sqlite3_close(db);

	if (rc != SQLITE_OK)
		fail_msg("sqlite3_close: %s", sqlite3_errstr(rc));
}

/* Run SQL in sqlite3_mprintf's format; returns the result code. */
static inline int
try_sql(sqlite3 *db, const char *format, ...)
{
	va_list args;
	char *sql;
	int rc;

	va_start(args, format);
	sql = sqlite3_vmprintf(format, args);
	va_end(args);
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	return rc;
}

#define run_sql(db, ...)                                                                                     \
	do                                                                                                       \
	{                                                                                                        \
		if (try_sql(db, __VA_ARGS__) != SQLITE_OK)                                                           \
			fail_msg("%s", sqlite3_errmsg(db));                                                              \
	} while (0)

/* The first column of the first row as text ("" for none), valid until the next call. */
static inline const char *
get_text(sqlite3 *db, const char *format, ...)
{
	static __thread char text[65536];
	sqlite3_stmt *stmt;
	va_list args;
	char *sql;

	va_start(args, format);
	sql = sqlite3_vmprintf(format, args);
	va_end(args);
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	text[0] = '\0';
	if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		snprintf(text, sizeof(text), "%s", (const char *) sqlite3_column_text(stmt, 0));
	if (sqlite3_finalize(stmt) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_free(sql);
	return text;
}

static inline int64_t
get_number(sqlite3 *db, const char *sql)
{
	return strtoll(get_text(db, "%s", sql), NULL, 10);
}

/* What hnsw_info says of table vss under a path. */
static inline const char *
get_info(sqlite3 *db, const char *path)
{
	return get_text(db, "SELECT json_extract(hnsw_info('vss'), %Q)", path);
}

/* One nearest row as the index or brute force says. */
typedef struct Near
{
	int64_t rowid;
	double distance;
} Near;

static inline int
compare_near(const void *a, const void *b)
{
	const Near *x = a;
	const Near *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->rowid < y->rowid ? -1 : x->rowid > y->rowid;
}

/* All rows of a query over (rowid, distance), sorted; NULL distances left out. */
static inline int
get_near(sqlite3 *db, const char *sql, Near *out, int capacity)
{
	sqlite3_stmt *stmt;
	int n = 0;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	while (sqlite3_step(stmt) == SQLITE_ROW)
	{
		if (sqlite3_column_type(stmt, 1) == SQLITE_NULL)
			continue;
		assert_true(n < capacity);
		out[n].rowid = sqlite3_column_int64(stmt, 0);
		out[n++].distance = sqlite3_column_double(stmt, 1);
	}
	if (sqlite3_finalize(stmt) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	qsort(out, (size_t) n, sizeof(Near), compare_near);
	return n;
}

/*
 * Whether the index gives exactly the rows and distances that brute force
 * over a table gives, for a stream read to its end.  Says where not.
 */
static inline bool
index_equals(sqlite3 *db, const char *index, const char *function, const char *query, const char *table,
			 const char *id, const char *vector)
{
	enum
	{
		MOST = 8192
	};
	static __thread Near found[MOST];
	static __thread Near expected[MOST];
	char *sql = sqlite3_mprintf("SELECT rowid, distance FROM \"%w\"(%Q)", index, query);
	int n = get_near(db, sql, found, MOST);
	int m;

	sqlite3_free(sql);
	sql = sqlite3_mprintf("SELECT \"%w\", %s(\"%w\", %Q) FROM \"%w\"", id, function, vector, query, table);
	m = get_near(db, sql, expected, MOST);
	sqlite3_free(sql);
	for (int i = 0; i < n || i < m; i++)
		if (i >= n || i >= m || found[i].rowid != expected[i].rowid ||
			found[i].distance != expected[i].distance)
		{
			print_message("row %d of %d: index %lld at %g, table %lld at %g (%d rows)\n", i, n,
						  i < n ? (long long) found[i].rowid : -1, i < n ? found[i].distance : 0,
						  i < m ? (long long) expected[i].rowid : -1, i < m ? expected[i].distance : 0, m);
			return false;
		}
	return true;
}

#endif /* BRIDGE_SUPPORT_H */
