/*
 * collation.c
 *		Collations that a file's schema names and SQLite lacks, such as Android's
 *		LOCALIZED: a stand-in that lets tables be read, and nothing be compared.
 *
 * SQLite opens no index that is ordered by a collation it does not have.  It
 * passes over such an index where there is another way, but a table WITHOUT
 * ROWID whose key it is cannot be read at all.  So there is a stand-in.  A walk
 * over the whole tree compares nothing and needs no more.  Whatever does compare
 * would go astray in the tree, and is an error: no row that a search with the
 * wrong order has found, or put, reaches anybody.
 *
 * The comparison itself cannot fail.  It makes a note, which makes the step that
 * it belongs to fail (statement.c), and any COMMIT.
 */
#include "fdw/remote/remote.h"

/* The collation that something was compared by; "" for none. */
static char missed[128];

static int
compare(void *arg, int left_length, const void *left, int right_length, const void *right)
{
	int order = memcmp(left, right, Min(left_length, right_length));

	if (missed[0] == '\0')
		sqlite3_snprintf(sizeof(missed), missed, "%s", (const char *) arg);
	return order != 0 ? order : left_length - right_length;
}

static void
provide(void *arg, sqlite3 *db, int encoding, const char *name)
{
	char *copy = sqlite3_mprintf("%s", name);

	/* without memory SQLite says that there is no such collation */
	if (copy != NULL)
		sqlite3_create_collation_v2(db, name, SQLITE_UTF8, copy, compare, sqlite3_free);
}

static int
refuse_commit(void *arg)
{
	return missed[0] != '\0';
}

int
vssfdw_stand_in_for_collations(sqlite3 *db)
{
	sqlite3_commit_hook(db, refuse_commit, NULL);
	return sqlite3_collation_needed(db, NULL, provide);
}

const char *
vssfdw_missed_collation(void)
{
	return missed[0] != '\0' ? missed : NULL;
}

void
vssfdw_forget_missed_collation(void)
{
	missed[0] = '\0';
}
