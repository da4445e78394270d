/*
 * lock.c
 *		One merger at a time: the lock file of an index.
 *
 * "<path>-lock" is locked with flock(), so the lock goes with the process that
 * dies.  The file itself is never removed by us: a merger that holds the lock
 * of a removed file and one that made a new file would both believe to be alone.
 * Should somebody else remove it, that is noticed when the lock is taken, and
 * the publish transaction still lets only one of them win (publish.c).
 *
 * It is a file of our own.  The database file is never opened here: closing it
 * would drop SQLite's locks in the whole process.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "sqlite_bridge/merge/merge.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLL_MS 20

/* Give a new lock file to whom the database belongs, as far as we may. */
static void
set_access(int fd, const BridgeAccess *access)
{
	int mode = access->mode;

	/* The group that the file has instead may do what everybody may. */
	if (access->group >= 0 && fchown(fd, (uid_t) -1, (gid_t) access->group) != 0)
		mode = (mode & 0707) | (mode & 07) << 3;
	if (access->owner >= 0 && geteuid() == 0)
		(void) !fchown(fd, (uid_t) access->owner, (gid_t) -1);
	(void) !fchmod(fd, (mode_t) mode);
}

/* Open the lock file, or make it.  -1 with errno. */
static int
open_lock_file(const char *path, const BridgeAccess *access)
{
	for (int attempt = 0; attempt < 3; attempt++)
	{
		int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

		if (fd < 0 && errno == EACCES) /* flock() needs no right to write */
			fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0 || errno != ENOENT)
			return fd;
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, access->mode);
		if (fd >= 0)
		{
			set_access(fd, access);
			return fd;
		}
		if (errno != EEXIST)
			return -1;
	}
	return -1;
}

/* Whether the locked file is still the one that goes by the name. */
static bool
is_still_there(int fd, const char *path)
{
	struct stat locked;
	struct stat named;

	return fstat(fd, &locked) == 0 && lstat(path, &named) == 0 && locked.st_dev == named.st_dev &&
		   locked.st_ino == named.st_ino;
}

static int
refuse(BridgeError *err, const char *path)
{
	int code = errno == EROFS || errno == EACCES || errno == EPERM ? SQLITE_READONLY
			   : errno == ENOSPC || errno == EDQUOT                ? SQLITE_FULL
																   : SQLITE_CANTOPEN;

	return bridge_error(err, code, "lock file %s: %s", path, strerror(errno));
}

int
bridge_lock_take(const BridgeFiles *files, const BridgeAccess *access, int wait_ms,
				 bool (*cancelled)(void *arg), void *arg, BridgeLock *lock, BridgeError *err)
{
	char *path = sqlite3_mprintf("%s-lock", files->path);
	int waited = 0;
	int rc;

	lock->fd = -1;
	if (path == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	for (;;)
	{
		struct stat st;
		int fd = open_lock_file(path, access);

		if (fd < 0)
		{
			rc = refuse(err, path);
			break;
		}
		if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		{
			close(fd);
			rc = bridge_error(err, SQLITE_CANTOPEN, "lock file %s is not a plain file; remove it", path);
			break;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		{
			if (is_still_there(fd, path))
			{
				lock->fd = fd;
				rc = SQLITE_OK;
				break;
			}
			close(fd); /* somebody removed it meanwhile: begin again */
			continue;
		}
		if (errno != EWOULDBLOCK && errno != EINTR)
		{
			rc = refuse(err, path);
			close(fd);
			break;
		}
		close(fd);
		if (cancelled != NULL && cancelled(arg))
		{
			rc = bridge_error(err, SQLITE_INTERRUPT, "interrupted while another merge of this index runs");
			break;
		}
		if (waited >= wait_ms)
		{
			rc = bridge_error(err, SQLITE_BUSY, "another merge of this index is running");
			break;
		}
		sqlite3_sleep(POLL_MS);
		waited += POLL_MS;
	}
	sqlite3_free(path);
	return rc;
}

void
bridge_lock_drop(BridgeLock *lock)
{
	if (lock->fd < 0)
		return;
	/* Unlock by hand: a child of fork() may hold a copy of the descriptor. */
	flock(lock->fd, LOCK_UN);
	close(lock->fd);
	lock->fd = -1;
}
