/*
 * swap.c
 *		A database file that has been replaced by another one under its name, and
 *		what SQLite left beside it.
 *
 * Restores and deployments rename a new file over the old one.  The -wal file
 * of the old one then lies beside the new, and nothing in it says so: whoever
 * opens the new file has SQLite lay the old file's changes over it, and the
 * database is damaged.  Two things tell: a session that has used the old file
 * knows its -wal by its header, which has random salts; and a file whose own
 * header says that it has a rollback journal has no -wal.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fdw/remote/remote.h"

void
vssfdw_note_file(VssConnection *conn)
{
	struct stat file;
	int moved = 0;

	conn->device = 0;
	conn->inode = 0;
	/* one that went away at this very moment is found to have moved at the next look */
	if (stat(conn->options->database, &file) != 0 ||
		(sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0))
		return;
	conn->device = file.st_dev;
	conn->inode = file.st_ino;
}

bool
vssfdw_file_moved(const VssConnection *conn)
{
	struct stat file;

	return stat(conn->options->database, &file) != 0 || file.st_dev != conn->device ||
		   file.st_ino != conn->inode;
}

/* The header of the -wal file that the connection has open; false where there is none, or an empty one. */
static bool
read_own_header(VssConnection *conn, unsigned char *header)
{
	sqlite3_file *wal = NULL;

	return sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK &&
		   wal != NULL && wal->pMethods != NULL &&
		   wal->pMethods->xRead(wal, header, VSS_WAL_HEADER, 0) == SQLITE_OK;
}

/* Opening and closing a -wal file does no harm: SQLite's locks are on others. */
static bool
read_header(const char *path, unsigned char *header)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool whole;

	if (fd < 0)
		return false;
	whole = pread(fd, header, VSS_WAL_HEADER, 0) == VSS_WAL_HEADER;
	close(fd);
	return whole;
}

void
vssfdw_remember_wal(VssConnection *conn)
{
	/* what is remembered from an earlier one stays, should the present one not have got as far */
	if (vssfdw_file_moved(conn) && read_own_header(conn, conn->wal_header))
		conn->left_wal = true;
}

pg_noreturn static void
refuse(const char *servername, const char *database, const char *wal)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 errmsg("refusing to open SQLite database \"%s\" of server \"%s\": file \"%s\" belongs to another "
				"database that lay there before",
				database, servername, wal),
		 errdetail("SQLite would lay the changes in it over the file that lies there now."),
		 errhint("While no program uses the database, remove \"%s\" and \"%.*s-shm\", or move the former "
				 "file back.",
				 wal, (int) strlen(wal) - 4, wal)));
}

void
vssfdw_refuse_left_wal(VssConnection *conn)
{
	const char *wal = sqlite3_filename_wal(sqlite3_db_filename(conn->db, "main"));
	unsigned char header[VSS_WAL_HEADER];

	if (!conn->left_wal)
		return;
	if (read_header(wal, header) && memcmp(header, conn->wal_header, VSS_WAL_HEADER) == 0)
		refuse(conn->servername, conn->options->database, pstrdup(wal));
	conn->left_wal = false;
}

void
vssfdw_refuse_any_wal(sqlite3 *db, const char *servername, const char *database)
{
	const char *wal = sqlite3_filename_wal(sqlite3_db_filename(db, "main"));
	struct stat file;

	if (stat(wal, &file) == 0 && file.st_size > 0)
		refuse(servername, database, pstrdup(wal));
}
