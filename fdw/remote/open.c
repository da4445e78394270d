/*
 * open.c
 *		Opening the database file of a server: is it there, is it a database,
 *		may we touch it without harming its owner.
 *
 * The file is looked at only through SQLite's own handle.  An open() and
 * close() of ours would drop the POSIX locks that other connections of this
 * process hold on the same file.
 */
#include "postgres.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "fdw/remote/remote.h"

#define HEADER_SIZE 100
#define SQLITE_MAGIC "SQLite format 3"

/* Offsets in the database header, see SQLite's file format. */
#define HEADER_WRITE_VERSION 18
#define HEADER_READ_VERSION 19
#define HEADER_SCHEMA_FORMAT 47 /* low byte of a big-endian int */

/* Errors that the file system can tell without SQLite. */
static void
check_file(const char *servername, const char *path, struct stat *st)
{
	if (stat(path, st) != 0)
	{
		int saved = errno;

		errno = saved;
		if (saved == ENOENT || saved == ENOTDIR)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FILE),
					 errmsg("SQLite database \"%s\" of server \"%s\" does not exist", path, servername),
					 errhint("vss_fdw never creates a database. Create it with its application or with "
							 "sqlite3, or correct the server option \"database\".")));
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not access SQLite database \"%s\" of server \"%s\": %m", path, servername),
				 saved == EACCES
					 ? errhint("The server's operating-system user must be able to enter all folders of "
							   "the path.")
					 : 0));
	}
	if (S_ISDIR(st->st_mode))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("SQLite database \"%s\" of server \"%s\" is a directory", path, servername),
						errhint("Name the database file itself in the server option \"database\".")));
	if (!S_ISREG(st->st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("SQLite database \"%s\" of server \"%s\" is not a regular file", path, servername)));
	if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read SQLite database \"%s\" of server \"%s\": %m", path, servername),
				 errhint("Let the server's operating-system user read the file.")));
}

/* Is the user uid a member of group gid, by the system's user database? */
static bool
user_in_group(uid_t uid, gid_t gid)
{
	struct passwd *pw = getpwuid(uid);
	gid_t stack_groups[64];
	gid_t *groups = stack_groups;
	int count = lengthof(stack_groups);
	bool member = false;

	if (pw == NULL)
		return false;
	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &count) < 0)
	{
		groups = palloc(sizeof(gid_t) * count);
		if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &count) < 0)
			count = 0;
	}
	for (int i = 0; i < count; i++)
		member = member || groups[i] == gid;
	if (groups != stack_groups)
		pfree(groups);
	return member;
}

/*
 * Would everybody who can write the database today still be able to if we
 * left a -wal, -shm or -journal file beside it?
 *
 * SQLite gives such a file the mode of the database; its owner is us and its
 * group our own, or the folder's where that is setgid.
 */
static bool
sidecars_are_shared(const struct stat *file, const struct stat *folder)
{
	gid_t group = (folder->st_mode & S_ISGID) ? folder->st_gid : getegid();
	bool group_writes = (file->st_mode & S_IWGRP) != 0;
	bool others_write = (file->st_mode & S_IWOTH) != 0;

	if (others_write)
		return true;
	/* members of the database's group must find that group on the new file */
	if (group_writes && group != file->st_gid)
		return false;
	if (file->st_uid == geteuid() || file->st_uid == 0 || !(file->st_mode & S_IWUSR))
		return true;
	return group_writes && user_in_group(file->st_uid, group);
}

static void
check_sidecars(const char *servername, const VssServerOptions *options, const struct stat *file, bool wal)
{
	/* SQLite follows symbolic links: its files lie beside the file itself. */
	char *real = realpath(options->database, NULL);
	char *folder_name = pstrdup(real != NULL ? real : options->database);
	struct stat folder;
	bool writes_file;

	free(real);
	get_parent_directory(folder_name);
	if (folder_name[0] == '\0')
		strcpy(folder_name, "/");

	/* Where we cannot create files we cannot leave any. */
	if (stat(folder_name, &folder) != 0 || faccessat(AT_FDCWD, folder_name, W_OK | X_OK, AT_EACCESS) != 0)
		return;

	/* A rollback journal is made only by who writes; -wal and -shm by every reader. */
	writes_file = !options->read_only && faccessat(AT_FDCWD, options->database, W_OK, AT_EACCESS) == 0;
	if (!wal && !writes_file)
		return;
	if (sidecars_are_shared(file, &folder))
		return;

	ereport(
		ERROR,
		(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		 errmsg("refusing to open SQLite database \"%s\" of server \"%s\": its owner would be locked out",
				options->database, servername),
		 errdetail(
			 "Files that SQLite makes beside the database (%s) would belong to the server's operating-system "
			 "user and could not be written by everybody who may write the database.",
			 wal ? "-wal and -shm" : "-journal"),
		 errhint("Give database and folder a group that both users are in, mode 0660 to the database and its "
				 "-wal "
				 "and -shm files, and mode 2770 (setgid) to the folder.%s",
				 wal ? "" : " Or add the server option read_only 'true'.")));
}

/*
 * What the first bytes of the file say.  An empty file is a valid database
 * without tables.  Returns true for a database in WAL mode.
 */
static bool
check_header(sqlite3 *db, const char *servername, const char *path, off_t size)
{
	unsigned char header[HEADER_SIZE];
	sqlite3_file *file = NULL;
	int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);

	if (size == 0 || rc != SQLITE_OK || file == NULL || file->pMethods == NULL)
		return false;
	rc = file->pMethods->xRead(file, header, sizeof(header), 0);
	if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
	{
		sqlite3_close_v2(db);
		vssfdw_report(ERROR, rc, NULL, servername, NULL);
	}
	if (memcmp(header, SQLITE_MAGIC, sizeof(SQLITE_MAGIC)) != 0 || rc == SQLITE_IOERR_SHORT_READ)
	{
		sqlite3_close_v2(db);
		ereport(
			ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("file \"%s\" of server \"%s\" is not a SQLite database, or is encrypted", path,
					servername),
			 errhint("Check the server option \"database\". Encrypted databases (SQLCipher, SEE) cannot be "
					 "read; export them with their own tool first.")));
	}
	if (header[HEADER_READ_VERSION] > 2 || header[HEADER_SCHEMA_FORMAT] > 4)
	{
		sqlite3_close_v2(db);
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("SQLite database \"%s\" of server \"%s\" has a newer file format than SQLite %s can read",
					path, servername, sqlite3_libversion()),
			 errhint("Upgrade the SQLite library of this machine.")));
	}
	return header[HEADER_READ_VERSION] == 2;
}

/*
 * The path as a URI, which is how SQLite is told that nobody changes the file.
 * Two slashes, so that what follows cannot be taken for a machine's name.
 */
static char *
immutable_uri(const char *path)
{
	StringInfoData uri;

	initStringInfo(&uri);
	appendStringInfoString(&uri, "file://");
	for (const char *p = path; *p != '\0'; p++)
		if (strchr("%?#", *p) != NULL)
			appendStringInfo(&uri, "%%%02X", (unsigned char) *p);
		else
			appendStringInfoChar(&uri, *p);
	appendStringInfoString(&uri, "?immutable=1");
	return uri.data;
}

/*
 * An immutable file is read without what lies beside it.  Where that holds changes
 * which are not in the file, or what undoes those that should not be, the answers
 * would be wrong.
 */
static void
refuse_unfinished(const char *servername, const char *path)
{
	static const char *const endings[] = {"-wal", "-journal"};
	char *real = realpath(path, NULL); /* SQLite follows symbolic links, too */

	for (int i = 0; i < lengthof(endings); i++)
	{
		char *name = psprintf("%s%s", real != NULL ? real : path, endings[i]);
		struct stat st;

		if (stat(name, &st) == 0 && st.st_size > 0)
		{
			free(real);
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("refusing to open SQLite database \"%s\" of server \"%s\" as immutable: file "
							"\"%s\" is not empty",
							path, servername, name),
					 errdetail("Changes that were not finished lie in that file; an immutable database is "
							   "read without it."),
					 errhint("Run \"PRAGMA journal_mode = DELETE\" in sqlite3 on the database where it can "
							 "be written, or drop the server option \"immutable\".")));
		}
	}
	free(real);
}

sqlite3 *
vssfdw_open(const char *servername, const VssServerOptions *options)
{
	const char *path = options->database;
	sqlite3 *db = NULL;
	struct stat st;
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc;
	bool wal;

	/* Absolute, so that SQLite cannot take it for a URI. */
	if (!is_absolute_path(path))
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("option \"database\" of server \"%s\" must be an absolute path: \"%s\"",
							   servername, path)));
	check_file(servername, path, &st);

	flags |= options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	if (options->immutable)
	{
		refuse_unfinished(servername, path);
		rc = sqlite3_open_v2(immutable_uri(path), &db, flags | SQLITE_OPEN_URI, vssfdw_vfs());
	}
	else
		rc = sqlite3_open_v2(path, &db, flags, vssfdw_vfs());
	if (rc != SQLITE_OK)
	{
		/* Only the message survives the close. */
		char *message = db != NULL ? pstrdup(sqlite3_errmsg(db)) : pstrdup(sqlite3_errstr(rc));

		sqlite3_close_v2(db);
		ereport(ERROR, (errcode(rc == SQLITE_NOMEM ? ERRCODE_OUT_OF_MEMORY : ERRCODE_UNDEFINED_FILE),
						errmsg("could not open SQLite database \"%s\" of server \"%s\": %s", path, servername,
							   message)));
	}

	wal = check_header(db, servername, path, st.st_size);
	PG_TRY();
	{
		if (!options->immutable)
			check_sidecars(servername, options, &st, wal);
		if (!wal && st.st_size > 0)
			vssfdw_refuse_any_wal(db, servername, path);
	}
	PG_CATCH();
	{
		sqlite3_close_v2(db);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return db;
}
