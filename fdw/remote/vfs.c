/*
 * vfs.c
 *		The files that SQLite opens, makes and removes for a database in a folder
 *		of somebody else's.
 *
 * A VFS over SQLite's default one, for two dangers.
 *
 * Names that are not what they seem.  Who may write the folder can put a FIFO,
 * a device or a symbolic link in the place of -journal, -wal or -shm: opening
 * would hang for ever, or write where the link leads.  And a hot journal names
 * a super-journal, which SQLite reads and then removes, wherever it is.  Files
 * beside the database must be regular ones, are opened without following links
 * and without waiting, and a super-journal must have a super-journal's name.
 * The look at the file comes after its opening, so there is no moment between
 * the two.  That needs SQLite's own open(), which is one for the process: ours
 * stands in for it and changes nothing for anybody but this VFS.
 *
 * A -shm file that is truncated while it is mapped.  The fault is caught
 * (bridge_watch_map), the map is zeros from then on, and the database file is
 * lost to this connection: whatever it reads, writes or locks fails, so that
 * neither a stale page nor a commit comes of the zeros.  VSS_FCNTL_LOST tells the
 * wrapper to open the file anew.
 *
 * Called by SQLite: nothing of PostgreSQL.  One thread at a time works with
 * SQLite in a process of PostgreSQL's.
 */
#include "fdw/remote/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file that is open; SQLite's own follows it in memory. */
typedef struct GuardedFile
{
	sqlite3_file base;
	sqlite3_file *real;
	const char *name; /* SQLite's; NULL for a temporary file */

	/* Of a database file in WAL mode: the regions of its -shm, NULL where not mapped. */
	struct GuardedFile *next; /* in list, while there are regions */
	void **regions;
	int region_count;
	size_t region_size;
	_Atomic bool lost;
} GuardedFile;

static sqlite3_vfs vfs;
static sqlite3_vfs *below;  /* SQLite's default one */
static GuardedFile *mapped; /* those with regions */

/* ---------- opening ---------- */

typedef int (*OpenCall)(const char *path, int flags, int mode);

static OpenCall plain_open;

/* What the opening that is going on must keep to; 0 outside of this VFS. */
static int guarded_flags;

static int
guarded_open(const char *path, int flags, int mode)
{
	int fd = plain_open(path, flags | guarded_flags, mode);
	struct stat st;

	/* SQLite takes /dev/null to keep file descriptors 0 to 2 from databases */
	if (fd < 0 || guarded_flags == 0 || strcmp(path, "/dev/null") == 0)
	{
		if (fd < 0 && guarded_flags != 0 && errno == ELOOP)
			vssfdw_guard_refuse("File \"%s\" is a symbolic link.", path);
		/* of a socket, which no flag opens */
		if (fd < 0 && guarded_flags != 0 && errno == ENXIO)
			vssfdw_guard_refuse("File \"%s\" is not a regular file.", path);
		return fd;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	vssfdw_guard_refuse("File \"%s\" is not a regular file.", path);
	close(fd);
	errno = ENXIO;
	return -1;
}

static void
take_open(void)
{
	if (plain_open != NULL || below->iVersion < 3 || below->xGetSystemCall == NULL)
		return;
	plain_open = (OpenCall) below->xGetSystemCall(below, "open");
	if (plain_open != NULL)
		below->xSetSystemCall(below, "open", (sqlite3_syscall_ptr) guarded_open);
}

/* ---------- names ---------- */

static bool
ends_with(const char *name, const char *suffix)
{
	size_t length = strlen(name);
	size_t tail = strlen(suffix);

	return length > tail && strcmp(name + length - tail, suffix) == 0;
}

/* "<database>-mj" and nine digits, the seventh of which is a 9. */
static bool
is_super_journal(const char *name)
{
	size_t length = strlen(name);
	const char *tail = name + length - 12;

	return length > 12 && strncmp(tail, "-mj", 3) == 0 && strspn(tail + 3, "0123456789ABCDEF") == 9 &&
		   tail[9] == '9';
}

static bool
is_beside_database(const char *name)
{
	return ends_with(name, "-journal") || ends_with(name, "-wal") || is_super_journal(name);
}

/* Whether a name that SQLite took from a journal may be one of what it takes it for. */
static int
check_name(const char *name, int otherwise)
{
	if (name == NULL || is_beside_database(name))
		return SQLITE_OK;
	vssfdw_guard_refuse("The database's journal names \"%s\", which is no journal.", name);
	return otherwise;
}

/* ---------- a file's methods ---------- */

static GuardedFile *
guarded(sqlite3_file *file)
{
	return (GuardedFile *) file;
}

static int
fail_if_lost(GuardedFile *file, int code)
{
	if (!atomic_load_explicit(&file->lost, memory_order_relaxed))
		return SQLITE_OK;
	vssfdw_guard_refuse("File \"%s-shm\" was truncated while it was in use.", file->name);
	return code;
}

static void
forget_regions(GuardedFile *file)
{
	if (file->regions == NULL)
		return;
	for (GuardedFile **link = &mapped; *link != NULL; link = &(*link)->next)
		if (*link == file)
		{
			*link = file->next;
			break;
		}
	for (int i = 0; i < file->region_count; i++)
		if (file->regions[i] != NULL)
			bridge_unwatch_map(file->regions[i], &file->lost);
	sqlite3_free(file->regions);
	file->regions = NULL;
	file->region_count = 0;
}

/* SQLite shares the maps of a process: one that was lost to a connection is lost to all. */
static bool
is_lost_to_another(const void *region)
{
	for (const GuardedFile *file = mapped; file != NULL; file = file->next)
		if (atomic_load(&file->lost))
			for (int i = 0; i < file->region_count; i++)
				if (file->regions[i] == region)
					return true;
	return false;
}

static int
watch_region(GuardedFile *file, int at, size_t size, void *region)
{
	if (at < file->region_count && file->regions[at] == region)
		return SQLITE_OK;
	if (is_lost_to_another(region))
	{
		atomic_store(&file->lost, true);
		return fail_if_lost(file, SQLITE_IOERR_SHMMAP);
	}
	if (at >= file->region_count)
	{
		void **regions = sqlite3_realloc64(file->regions, sizeof(void *) * (at + 1));

		if (regions == NULL)
			return SQLITE_IOERR_NOMEM;
		if (file->regions == NULL)
		{
			file->next = mapped;
			mapped = file;
		}
		file->regions = regions;
		while (file->region_count <= at)
			file->regions[file->region_count++] = NULL;
	}
	if (!bridge_watch_map(region, size, true, &file->lost))
		return SQLITE_IOERR_NOMEM;
	file->regions[at] = region;
	file->region_size = size;
	return SQLITE_OK;
}

static int
file_close(sqlite3_file *file)
{
	sqlite3_file *real = guarded(file)->real;
	int rc;

	forget_regions(guarded(file));
	rc = real->pMethods->xClose(real);
	file->pMethods = NULL;
	return rc;
}

static int
file_read(sqlite3_file *file, void *buffer, int amount, sqlite3_int64 offset)
{
	sqlite3_file *real = guarded(file)->real;
	int rc = fail_if_lost(guarded(file), SQLITE_IOERR_READ);

	return rc != SQLITE_OK ? rc : real->pMethods->xRead(real, buffer, amount, offset);
}

/* Of a database file and its -wal alike. */
static int
check_database(GuardedFile *file, int code)
{
	if (file->name != NULL && ends_with(file->name, "-wal"))
		file = guarded(sqlite3_database_file_object(file->name));
	return fail_if_lost(file, code);
}

static int
file_write(sqlite3_file *file, const void *buffer, int amount, sqlite3_int64 offset)
{
	sqlite3_file *real = guarded(file)->real;
	int rc = check_database(guarded(file), SQLITE_IOERR_WRITE);

	return rc != SQLITE_OK ? rc : real->pMethods->xWrite(real, buffer, amount, offset);
}

static int
file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	sqlite3_file *real = guarded(file)->real;
	int rc = check_database(guarded(file), SQLITE_IOERR_TRUNCATE);

	return rc != SQLITE_OK ? rc : real->pMethods->xTruncate(real, size);
}

static int
file_sync(sqlite3_file *file, int flags)
{
	sqlite3_file *real = guarded(file)->real;
	int rc = check_database(guarded(file), SQLITE_IOERR_FSYNC);

	return rc != SQLITE_OK ? rc : real->pMethods->xSync(real, flags);
}

static int
file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	sqlite3_file *real = guarded(file)->real;

	return real->pMethods->xFileSize(real, size);
}

static int
file_lock(sqlite3_file *file, int level)
{
	sqlite3_file *real = guarded(file)->real;

	return real->pMethods->xLock(real, level);
}

static int
file_unlock(sqlite3_file *file, int level)
{
	sqlite3_file *real = guarded(file)->real;

	return real->pMethods->xUnlock(real, level);
}

static int
file_check_reserved(sqlite3_file *file, int *out)
{
	sqlite3_file *real = guarded(file)->real;

	return real->pMethods->xCheckReservedLock(real, out);
}

static int
file_control(sqlite3_file *file, int operation, void *arg)
{
	sqlite3_file *real = guarded(file)->real;

	if (operation == SQLITE_FCNTL_HAS_MOVED && atomic_load(&guarded(file)->lost))
	{
		*(int *) arg = 1;
		return SQLITE_OK;
	}
	if (operation == VSS_FCNTL_LOST)
	{
		*(int *) arg = atomic_load(&guarded(file)->lost);
		return SQLITE_OK;
	}
	return real->pMethods->xFileControl(real, operation, arg);
}

static int
file_sector_size(sqlite3_file *file)
{
	sqlite3_file *real = guarded(file)->real;

	return real->pMethods->xSectorSize(real);
}

static int
file_characteristics(sqlite3_file *file)
{
	sqlite3_file *real = guarded(file)->real;

	return real->pMethods->xDeviceCharacteristics(real);
}

static int
file_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
	sqlite3_file *real = guarded(file)->real;
	int rc = fail_if_lost(guarded(file), SQLITE_IOERR_SHMMAP);

	if (rc != SQLITE_OK)
		return rc;
	guarded_flags = O_NONBLOCK | O_NOFOLLOW;
	rc = real->pMethods->xShmMap(real, region, size, extend, out);
	guarded_flags = 0;
	/* SQLITE_READONLY comes with a map, too */
	if (*out != NULL && (rc == SQLITE_OK || (rc & 0xff) == SQLITE_READONLY))
	{
		int watched = watch_region(guarded(file), region, size, (void *) *out);

		if (watched != SQLITE_OK)
		{
			*out = NULL;
			return watched;
		}
	}
	return rc;
}

static int
file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
	sqlite3_file *real = guarded(file)->real;
	int rc = (flags & SQLITE_SHM_UNLOCK) ? SQLITE_OK : fail_if_lost(guarded(file), SQLITE_IOERR_SHMLOCK);

	return rc != SQLITE_OK ? rc : real->pMethods->xShmLock(real, offset, count, flags);
}

static void
file_shm_barrier(sqlite3_file *file)
{
	sqlite3_file *real = guarded(file)->real;

	real->pMethods->xShmBarrier(real);
}

static int
file_shm_unmap(sqlite3_file *file, int remove)
{
	sqlite3_file *real = guarded(file)->real;

	forget_regions(guarded(file));
	return real->pMethods->xShmUnmap(real, remove);
}

/* Version 2 is without maps of the database file, whose truncation would be a fault as well. */
#define METHODS(version)                                                                                     \
	{                                                                                                        \
		.iVersion = (version), .xClose = file_close, .xRead = file_read, .xWrite = file_write,               \
		.xTruncate = file_truncate, .xSync = file_sync, .xFileSize = file_size, .xLock = file_lock,          \
		.xUnlock = file_unlock, .xCheckReservedLock = file_check_reserved, .xFileControl = file_control,     \
		.xSectorSize = file_sector_size, .xDeviceCharacteristics = file_characteristics,                     \
		.xShmMap = file_shm_map, .xShmLock = file_shm_lock, .xShmBarrier = file_shm_barrier,                 \
		.xShmUnmap = file_shm_unmap                                                                          \
	}

static const sqlite3_io_methods without_shm = METHODS(1);
static const sqlite3_io_methods with_shm = METHODS(2);

/* ---------- the VFS's methods ---------- */

static int
vfs_open(sqlite3_vfs *self, const char *name, sqlite3_file *base, int flags, int *out_flags)
{
	GuardedFile *file = guarded(base);
	int rc = SQLITE_OK;

	memset(file, 0, sizeof(*file));
	file->real = (sqlite3_file *) (file + 1);
	file->name = name;
	if (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL))
		rc = check_name(name, SQLITE_CANTOPEN);
	if (rc != SQLITE_OK)
		return rc;
	/* temporary files have names that SQLite makes up, in the server's own folder */
	if (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL))
		guarded_flags = O_NONBLOCK | O_NOFOLLOW;
	else if (name != NULL)
		guarded_flags = O_NONBLOCK;
	rc = below->xOpen(below, name, file->real, flags, out_flags);
	guarded_flags = 0;
	if (file->real->pMethods != NULL)
		base->pMethods =
			file->real->pMethods->iVersion >= 2 && file->real->pMethods->xShmMap ? &with_shm : &without_shm;
	return rc;
}

static int
vfs_delete(sqlite3_vfs *self, const char *name, int sync_folder)
{
	int rc = check_name(name, SQLITE_IOERR_DELETE);

	return rc != SQLITE_OK ? rc : below->xDelete(below, name, sync_folder);
}

static int
vfs_access(sqlite3_vfs *self, const char *name, int flags, int *out)
{
	int rc = check_name(name, SQLITE_IOERR_ACCESS);

	return rc != SQLITE_OK ? rc : below->xAccess(below, name, flags, out);
}

const char *
vssfdw_vfs(void)
{
	if (below == NULL)
	{
		below = sqlite3_vfs_find(NULL);
		if (below == NULL)
			return NULL;
		take_open();
		vfs = *below;
		vfs.zName = "vss_fdw";
		vfs.pNext = NULL;
		vfs.szOsFile = sizeof(GuardedFile) + below->szOsFile;
		vfs.xOpen = vfs_open;
		vfs.xDelete = vfs_delete;
		vfs.xAccess = vfs_access;
		if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
			below = NULL;
	}
	return below != NULL ? vfs.zName : NULL;
}
