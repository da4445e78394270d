/*
 * catalog.c
 *		What a SQLite database says of itself: tables, columns, keys, indexes.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/remote.h"

void
vssfdw_forget_catalog(VssConnection *conn)
{
}

char *
vssfdw_quote_identifier(const char *name)
{
	StringInfoData quoted;

	initStringInfo(&quoted);
	appendStringInfoChar(&quoted, '"');
	for (const char *p = name; *p != '\0'; p++)
	{
		if (*p == '"')
			appendStringInfoChar(&quoted, '"');
		appendStringInfoChar(&quoted, *p);
	}
	appendStringInfoChar(&quoted, '"');
	return quoted.data;
}
