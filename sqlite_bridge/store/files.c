/*
 * files.c
 *		Where the graph files of an index lie, and whose they are.
 *
 * A path from SQL never leaves the folder of the database.  The database file
 * itself is only looked at with stat(): opening and closing it would drop the
 * locks that SQLite holds on it for the whole process.
 */
#include "sqlite_bridge/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void
bridge_token_format(const uint8_t token[HNSW_TOKEN_BYTES], char out[17])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < HNSW_TOKEN_BYTES; i++)
	{
		out[2 * i] = digits[token[i] >> 4];
		out[2 * i + 1] = digits[token[i] & 15];
	}
	out[16] = '\0';
}

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Reads exactly 16 digits; what follows them is the caller's. */
bool
bridge_token_parse(const char *text, uint8_t token[HNSW_TOKEN_BYTES])
{
	for (int i = 0; i < HNSW_TOKEN_BYTES; i++)
	{
		int high = digit_value(text[2 * i]);
		int low = high < 0 ? -1 : digit_value(text[2 * i + 1]);

		if (low < 0)
			return false;
		token[i] = (uint8_t) (high << 4 | low);
	}
	return true;
}

char *
bridge_files_token_path(const BridgeFiles *files, const uint8_t token[HNSW_TOKEN_BYTES])
{
	char digits[17];

	bridge_token_format(token, digits);
	return sqlite3_mprintf("%s-%s", files->path, digits);
}

/* The folder part of a path, as the system resolves it; free() it. */
static char *
real_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder;
	char *real;

	if (slash == NULL)
		return realpath(".", NULL);
	folder = sqlite3_mprintf("%.*s", (int) (slash == path ? 1 : slash - path), path);
	if (folder == NULL)
		return NULL;
	real = realpath(folder, NULL);
	sqlite3_free(folder);
	return real;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* A table's name as part of a file name: '/' and '%' become %2f and %25. */
static char *
encode_name(const char *name)
{
	char *out = sqlite3_malloc64(3 * strlen(name) + 1);
	char *p = out;

	if (out == NULL)
		return NULL;
	for (; *name != '\0'; name++)
	{
		if (*name == '/' || *name == '%')
		{
			memcpy(p, *name == '/' ? "%2f" : "%25", 3);
			p += 3;
		}
		else
			*p++ = *name;
	}
	*p = '\0';
	return out;
}

/* The database's own file, or one that SQLite would take for a part of this or another database. */
static bool
is_database_file(const char *name, const char *database)
{
	static const char *const endings[] = {"-wal", "-shm", "-journal"};
	size_t length = strlen(name);

	if (strcmp(name, database) == 0)
		return true;
	for (int i = 0; i < 3; i++)
	{
		size_t tail = strlen(endings[i]);

		if (length >= tail && strcmp(name + length - tail, endings[i]) == 0)
			return true;
	}
	return false;
}

int
bridge_files_locate(sqlite3 *db, const char *schema, const char *table, const char *path, BridgeFiles *out,
					BridgeError *err)
{
	const char *database = sqlite3_db_filename(db, schema);
	char *home = NULL, *folder = NULL, *whole = NULL, *encoded = NULL;
	struct stat st;
	int rc = SQLITE_OK;

	memset(out, 0, sizeof(*out));
	if (database == NULL || database[0] == '\0' || stat(database, &st) != 0)
		return SQLITE_OK; /* in memory, temporary, or of a VFS without files */

	home = real_folder(database);
	if (home == NULL)
		return bridge_error(err, SQLITE_CANTOPEN, "hnsw: the folder of database %s: %s", database,
							strerror(errno));
	if (path == NULL)
	{
		encoded = encode_name(table);
		out->path =
			encoded == NULL ? NULL : sqlite3_mprintf("%s/%s-%s.hnsw", home, base_name(database), encoded);
	}
	else
	{
		const char *name = base_name(path);

		whole = path[0] == '/' ? sqlite3_mprintf("%s", path) : sqlite3_mprintf("%s/%s", home, path);
		folder = whole == NULL ? NULL : real_folder(whole);
		if (whole != NULL && (folder == NULL || strcmp(folder, home) != 0))
			rc = bridge_error(err, SQLITE_ERROR,
							  "hnsw: path = %s is not in the database's own folder; give a file name alone",
							  path);
		else if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
				 is_database_file(name, base_name(database)))
			rc = bridge_error(err, SQLITE_ERROR, "hnsw: path = %s cannot name a graph file", path);
		else
			out->path = sqlite3_mprintf("%s/%s", home, name);
	}
	out->database = sqlite3_mprintf("%s", database);
	out->device = (uint64_t) st.st_dev;
	out->inode = (uint64_t) st.st_ino;
	free(home);
	free(folder);
	sqlite3_free(whole);
	sqlite3_free(encoded);
	if (rc == SQLITE_OK && (out->path == NULL || out->database == NULL))
		rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	if (rc != SQLITE_OK)
		bridge_files_free(out);
	return rc;
}

/* What goes wrong costs speed only: without its file the index is searched exactly. */
void
bridge_files_move(const BridgeFiles *from, const BridgeFiles *to, const uint8_t token[HNSW_TOKEN_BYTES])
{
	char *old_name, *new_name;

	if (from->path == NULL || to->path == NULL || strcmp(from->path, to->path) == 0)
		return;
	old_name = bridge_files_token_path(from, token);
	new_name = bridge_files_token_path(to, token);
	if (old_name != NULL && new_name != NULL)
		(void) !rename(old_name, new_name);
	sqlite3_free(old_name);
	sqlite3_free(new_name);
}

void
bridge_files_free(BridgeFiles *files)
{
	sqlite3_free(files->path);
	sqlite3_free(files->database);
	memset(files, 0, sizeof(*files));
}
