/*
 * orphans.c
 *		Graph files of tables that are gone under their name, and of databases
 *		that are gone.
 *
 * Files named after their table move along with ALTER TABLE ... RENAME, before
 * the transaction commits.  A crash in between leaves them under the name that
 * never came to be, where no merger of that index would look.  So every merge
 * looks for files of this database (by the identity in their headers) that bear
 * the name of a table which the database has not, and removes them.
 *
 * Should a rename be under way in another process, its file may go: searches
 * are then exact until the next merge.
 *
 * Where a database is replaced by renaming another file over it, its graph files
 * bear an inode that nobody has any more.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "sqlite_bridge/merge/merge.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define ENDING ".hnsw"

/* Whether any index of the database has these files; also true when nobody knows. */
static bool
is_used(sqlite3 *db, const char *path)
{
	BridgeError err = {0};
	char **names = NULL;
	int count = 0;
	bool used = bridge_index_names(db, "main", &names, &count, &err) != SQLITE_OK;

	for (int i = 0; i < count && !used; i++)
	{
		BridgeStore *store = NULL;
		BridgeFiles files = {0};

		used = bridge_store_open(db, "main", names[i], &store, &err) != SQLITE_OK ||
			   bridge_files_locate(db, "main", names[i], store->params.path, &files, &err) != SQLITE_OK ||
			   (files.path != NULL && strcmp(files.path, path) == 0);
		bridge_files_free(&files);
		bridge_store_close(store);
	}
	bridge_index_names_free(names, count);
	bridge_error_clear(&err);
	return used;
}

/*
 * The length of "<database>-<table>.hnsw" where the name is that, alone or with
 * a token; else 0.
 */
static size_t
named_after_table(const char *name, const char *database)
{
	uint8_t token[HNSW_TOKEN_BYTES];
	size_t prefix = strlen(database);
	size_t length = strlen(name);
	const size_t ending = sizeof(ENDING) - 1;

	if (strncmp(name, database, prefix) != 0 || name[prefix] != '-')
		return 0;
	if (length > 17 && name[length - 17] == '-' && bridge_token_parse(name + length - 16, token))
		length -= 17;
	return length > prefix + 1 + ending && strncmp(name + length - ending, ENDING, ending) == 0 ? length : 0;
}

/* Whether a name is that of a graph's file or of one that SQLite keeps beside a database. */
static bool
is_no_database(const BridgeFiles *files, const char *name)
{
	static const char *const endings[] = {"-lock", "-wal", "-shm", "-journal", ".tmp", ENDING};
	const char *slash = strrchr(files->path, '/');
	size_t length = strlen(name);
	uint8_t token[HNSW_TOKEN_BYTES];

	if (length > 17 && name[length - 17] == '-' && bridge_token_parse(name + length - 16, token))
		return true;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (length > strlen(endings[i]) && strcmp(name + length - strlen(endings[i]), endings[i]) == 0)
			return true;
	return strcmp(name, slash == NULL ? files->path : slash + 1) == 0;
}

bool
bridge_orphans_is_gone(const BridgeFiles *files, const HnswIdentity *identity)
{
	const char *slash = strrchr(files->database, '/');
	char *folder;
	DIR *dir;
	const struct dirent *entry;
	bool gone;

	/* Of another device nothing is known: its numbers may be others since the machine was started. */
	if (identity->database_device != files->device || identity->database_inode == files->inode ||
		slash == NULL)
		return false;
	folder = sqlite3_mprintf("%.*s", slash == files->database ? 1 : (int) (slash - files->database),
							 files->database);
	dir = folder ? opendir(folder) : NULL;
	gone = dir != NULL;
	while (gone && (entry = readdir(dir)) != NULL)
	{
		struct stat st;

		/* Its number may be another file's by now. */
		if (is_no_database(files, entry->d_name))
			continue;
		gone = fstatat(dirfd(dir), entry->d_name, &st, 0) != 0 || st.st_dev != identity->database_device ||
			   st.st_ino != identity->database_inode;
	}
	if (dir != NULL)
		closedir(dir);
	sqlite3_free(folder);
	return gone;
}

void
bridge_orphans_sweep(sqlite3 *db, const BridgeFiles *files)
{
	const char *slash = strrchr(files->path, '/');
	const char *base = strrchr(files->database, '/');
	char *folder =
		sqlite3_mprintf("%.*s", slash == files->path ? 1 : (int) (slash - files->path), files->path);
	DIR *dir = folder ? opendir(folder) : NULL;
	const struct dirent *entry;

	base = base == NULL ? files->database : base + 1;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		size_t length = named_after_table(entry->d_name, base);
		BridgeFiles orphan = *files;

		if (length == 0)
			continue;
		orphan.path = sqlite3_mprintf("%s/%.*s", folder, (int) length, entry->d_name);
		if (orphan.path != NULL && strcmp(orphan.path, files->path) != 0 &&
			bridge_publish_owns(&orphan, entry->d_name + length) && !is_used(db, orphan.path))
			bridge_publish_unlink(&orphan);
		sqlite3_free(orphan.path);
	}
	if (dir != NULL)
		closedir(dir);
	sqlite3_free(folder);
}
