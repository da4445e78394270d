/*
 * compat.h
 *		What differs between the server's versions, and how a function is told
 *		to SQL.  The ground of fdw/: every room's header includes it.
 */
#ifndef VSS_COMPAT_H
#define VSS_COMPAT_H

#include "postgres.h"

#include "fmgr.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* PostgreSQL 18's word, which must come first in a declaration. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/*
 * Declare a function that SQL calls.  Symbols are hidden unless exported, and
 * before PostgreSQL 16 PG_FUNCTION_INFO_V1 exports the record but not the
 * function itself.
 */
#define VSS_SQL_FUNCTION(name)                                                                               \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                                         \
	PG_FUNCTION_INFO_V1(name)

#endif /* VSS_COMPAT_H */
