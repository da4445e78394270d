/*
 * sqlite3_hnsw.h
 *		The SQLite extension `hnsw` for programs that link it in instead of
 *		loading hnsw.so.
 *
 *	sqlite3_auto_extension((void (*)(void)) sqlite3_hnsw_init);
 *
 * before the first sqlite3_open() gives every connection the module and its
 * functions.  Link with libsqlite3_hnsw.a, libsqlite3, and -lm -ldl -pthread.
 */
#ifndef SQLITE3_HNSW_H
#define SQLITE3_HNSW_H

#include <sqlite3.h>

#ifdef __cplusplus
extern "C"
{
#endif

	struct sqlite3_api_routines;

	/*
 * Give one connection the module.  Returns a SQLite result code; *message
 * (sqlite3_free) says more on failure and may be asked for with NULL.  api is
 * not used here.
 */
	int sqlite3_hnsw_init(sqlite3 *db, char **message, const struct sqlite3_api_routines *api);

#ifdef __cplusplus
}
#endif

#endif /* SQLITE3_HNSW_H */
