/*
 * row_text.c
 *		The row that could not be written, for the error's context.
 */
#include "fdw/modify/modify.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/rel.h"

/* Bytes that are shown of a value, as PostgreSQL does for its own tables. */
#define SHOWN_BYTES 64

void
vssfdw_row_context(void *arg)
{
	VssWrittenRow *row = arg;
	StringInfoData text;

	/* who may not read the table is not told what triggers and defaults put in */
	if (row->slot == NULL ||
		pg_class_aclcheck(RelationGetRelid(row->rel), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return;
	initStringInfo(&text);
	for (int i = 0; i < row->count; i++)
	{
		bool isnull;
		Datum value = slot_getattr(row->slot, row->columns[i].attnum, &isnull);
		char *shown = isnull ? "null" : OutputFunctionCall(&row->columns[i].output, value);
		int length = strlen(shown);
		int clipped = pg_mbcliplen(shown, length, SHOWN_BYTES);

		appendStringInfoString(&text, i == 0 ? "" : ", ");
		appendBinaryStringInfo(&text, shown, clipped);
		if (clipped < length)
			appendStringInfoString(&text, "...");
	}
	errcontext("writing row (%s) of table \"%s\"", text.data, RelationGetRelationName(row->rel));
}
