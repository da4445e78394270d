/*
 * row_text.c
 *		The row that could not be written, for the error's context, and which
 *		constraint it breaks.
 *
 * SQLite names a constraint's columns in its message.  PostgreSQL's errors have
 * fields for table, column and constraint, by which programs know what to do.
 */
#include "fdw/modify/modify.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Bytes that are shown of a value, as PostgreSQL does for its own tables. */
#define SHOWN_BYTES 64

/* What the row has in the column, as text; clip: only the beginning of a long one. */
static void
append_value(StringInfo text, const VssWrittenRow *row, const VssColumn *column, bool clip)
{
	bool isnull;
	Datum value = slot_getattr(row->slot, column->attnum, &isnull);
	const char *shown = isnull ? "null" : OutputFunctionCall(unconstify(FmgrInfo *, &column->output), value);
	int length = strlen(shown);
	int kept = clip ? pg_mbcliplen(shown, length, SHOWN_BYTES) : length;

	appendBinaryStringInfo(text, shown, kept);
	if (kept < length)
		appendStringInfoString(text, "...");
}

/* ---------- constraints ---------- */

/* The written column of that name in SQLite, or NULL. */
static const VssColumn *
find_column(const VssWrittenRow *row, const char *name)
{
	for (int i = 0; i < row->count; i++)
		if (pg_strcasecmp(row->columns[i].name, name) == 0)
			return &row->columns[i];
	return NULL;
}

/* The columns in "... constraint failed: t.a, t.b" by name; NIL where it names none. */
static List *
failed_columns(const char *message)
{
	const char *colon = strstr(message, " constraint failed: ");
	List *names = NIL;
	char *part = colon == NULL ? NULL : vssfdw_from_utf8(pstrdup(colon + strlen(" constraint failed: ")));

	while (part != NULL)
	{
		char *next = strstr(part, ", ");
		char *dot;

		if (next != NULL)
		{
			*next = '\0';
			next += 2;
		}
		dot = strchr(part, '.');
		if (dot == NULL)
			return NIL;
		names = lappend(names, dot + 1);
		part = next;
	}
	return names;
}

static bool
is_key_of(const VssTableKey *key, List *names)
{
	ListCell *a;
	ListCell *b;

	if (!key->unique || list_length(key->columns) != list_length(names))
		return false;
	forboth(a, key->columns, b, names)
	{
		if (pg_strcasecmp(lfirst(a), lfirst(b)) != 0)
			return false;
	}
	return true;
}

/* The index's name in SQLite; of a constraint, which has none there, the one that PostgreSQL would give. */
static char *
constraint_name(const VssWrittenRow *row, List *names, bool primary)
{
	StringInfoData result;
	ListCell *lc;

	initStringInfo(&result);
	appendStringInfoString(&result, RelationGetRelationName(row->rel));
	if (primary)
	{
		appendStringInfoString(&result, "_pkey");
		return result.data;
	}
	foreach (lc, unconstify(List *, row->keys))
	{
		const VssTableKey *key = lfirst(lc);

		if (key->name != NULL && strncmp(key->name, "sqlite_", 7) != 0 && is_key_of(key, names))
			return key->name;
	}
	foreach (lc, names)
		appendStringInfo(&result, "_%s", (char *) lfirst(lc));
	appendStringInfoString(&result, "_key");
	return result.data;
}

/* "Key (a, b)=(1, x) already exists.", where the command writes all these columns. */
static void
tell_key(const VssWrittenRow *row, List *names)
{
	StringInfoData columns;
	StringInfoData values;
	ListCell *lc;

	initStringInfo(&columns);
	initStringInfo(&values);
	foreach (lc, names)
	{
		const VssColumn *column = find_column(row, lfirst(lc));
		const char *comma = foreach_current_index(lc) == 0 ? "" : ", ";

		if (column == NULL)
			return;
		appendStringInfo(&columns, "%s%s", comma,
						 NameStr(TupleDescAttr(RelationGetDescr(row->rel), column->attnum - 1)->attname));
		appendStringInfoString(&values, comma);
		append_value(&values, row, column, false);
	}
	errdetail("Key (%s)=(%s) already exists.", columns.data, values.data);
}

/* The fields of an error of SQLite's that says which constraint the row breaks. */
static void
tell_constraint(const VssWrittenRow *row, bool readable)
{
	int code = sqlite3_extended_errcode(row->db);
	const VssColumn *column;
	List *names;

	if ((code & 0xff) != SQLITE_CONSTRAINT)
		return;
	names = failed_columns(sqlite3_errmsg(row->db));
	column = code == SQLITE_CONSTRAINT_NOTNULL && names != NIL ? find_column(row, linitial(names)) : NULL;
	/* each tells the table, too, which may be said but once */
	if (column != NULL)
		errtablecol(row->rel, column->attnum);
	else if (names != NIL && (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
							  code == SQLITE_CONSTRAINT_ROWID))
	{
		errtableconstraint(row->rel, constraint_name(row, names, code != SQLITE_CONSTRAINT_UNIQUE));
		if (readable)
			tell_key(row, names);
	}
	else
		errtable(row->rel);
}

/* ---------- the row ---------- */

void
vssfdw_row_context(void *arg)
{
	const VssWrittenRow *row = arg;
	/* who may not read the table is not told what triggers and defaults put in */
	bool readable = pg_class_aclcheck(RelationGetRelid(row->rel), GetUserId(), ACL_SELECT) == ACLCHECK_OK;
	StringInfoData text;

	if (row->slot == NULL)
		return;
	tell_constraint(row, readable);
	if (!readable)
		return;
	initStringInfo(&text);
	for (int i = 0; i < row->count; i++)
	{
		appendStringInfoString(&text, i == 0 ? "" : ", ");
		append_value(&text, row, &row->columns[i], true);
	}
	errcontext("writing row (%s) of table \"%s\"", text.data, RelationGetRelationName(row->rel));
}
