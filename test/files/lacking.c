/*
 * lacking.c
 *		What programs of test/files add to SQLite: collations and functions, as an
 *		extension that sqlite3 and the wrapper can load.
 */
#include <ctype.h>
#include <string.h>

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

/* ASCII letters without their case, then bytes: as NOCASE, by which the files were made. */
static int
compare(void *arg, int left_length, const void *left, int right_length, const void *right)
{
	const unsigned char *a = left;
	const unsigned char *b = right;

	(void) arg;
	for (int i = 0; i < left_length && i < right_length; i++)
	{
		int x = a[i] < 128 ? tolower(a[i]) : a[i];
		int y = b[i] < 128 ? tolower(b[i]) : b[i];

		if (x != y)
			return x - y;
	}
	return left_length - right_length;
}

/* "The Sea" is sorted as "Sea, The". */
static void
title_sort(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const char *title = (const char *) sqlite3_value_text(argv[0]);

	(void) argc;
	if (title != NULL && strncmp(title, "The ", 4) == 0)
		sqlite3_result_text(context, sqlite3_mprintf("%s, The", title + 4), -1, sqlite3_free);
	else
		sqlite3_result_value(context, argv[0]);
}

static void
uuid4(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	(void) argc;
	(void) argv;
	sqlite3_result_text(context, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a99", -1, SQLITE_STATIC);
}

/* What must stay refused, whoever brings it. */
static void
readfile(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	(void) argc;
	(void) argv;
	sqlite3_result_text(context, "contents", -1, SQLITE_STATIC);
}

int
sqlite3_extension_init(sqlite3 *db, char **message, const sqlite3_api_routines *api)
{
	static const char *const collations[] = {"unicase", "LOCALIZED", "PHONEBOOK"};
	int rc = SQLITE_OK;

	(void) message;
	SQLITE_EXTENSION_INIT2(api);
	for (int i = 0; i < 3 && rc == SQLITE_OK; i++)
		rc = sqlite3_create_collation(db, collations[i], SQLITE_UTF8, NULL, compare);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_function(db, "title_sort", 1, SQLITE_UTF8, NULL, title_sort, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_function(db, "uuid4", 0, SQLITE_UTF8, NULL, uuid4, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_function(db, "readfile", 1, SQLITE_UTF8, NULL, readfile, NULL, NULL);
	return rc;
}
