/*
 * shim.c
 *		The calls that storage is made of, counted and made to fail.
 *
 * Calls go to the kernel directly, so that nothing here depends on the symbols
 * it stands in for.  Kill points are before each call that changes something;
 * after a call is before the next.  A file counts when its path begins with
 * the watched folder.
 */
#define _GNU_SOURCE
#include "shim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DESCRIPTORS 1024
#define FILES 256

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static char watched[PATH_MAX];
static size_t watched_length;
static bool skip_sync;

static ShimPlan plan;
static _Atomic bool armed;
static atomic_long count;
static _Atomic bool struck;

/* 0: not below the folder */
static char *_Atomic names[DESCRIPTORS];

/* Graph files with contents or names that a loss of power would take. */
typedef struct Unsynced
{
	char name[300];
	bool content, entry;
} Unsynced;

static Unsynced unsynced[FILES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static ShimMergers *mergers;
static char merged_file[PATH_MAX];

void
shim_watch(const char *folder)
{
	snprintf(watched, sizeof(watched), "%s", folder);
	watched_length = strlen(watched);
}

void
shim_arm(const ShimPlan *p)
{
	plan = *p;
	atomic_store(&count, 0);
	atomic_store(&struck, false);
	atomic_store(&armed, true);
}

long
shim_disarm(bool *hit)
{
	atomic_store(&armed, false);
	if (hit != NULL)
		*hit = atomic_load(&struck);
	return atomic_load(&count);
}

void
shim_skip_sync(bool skip)
{
	skip_sync = skip;
}

void
shim_count_mergers(ShimMergers *shared, const char *index_file)
{
	mergers = shared;
	snprintf(merged_file, sizeof(merged_file), "%s-", index_file);
}

/* ---------- which files ---------- */

static bool
is_watched(const char *path)
{
	return watched_length > 0 && path != NULL && strncmp(path, watched, watched_length) == 0 &&
		   (path[watched_length] == '/' || path[watched_length] == '\0');
}

static const char *
name_of(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS ? names[fd] : NULL;
}

static bool
is_graph(const char *path)
{
	return strstr(path, ".hnsw") != NULL && strstr(path, "-lock") == NULL;
}

static bool
is_merge(const char *path)
{
	size_t length = strlen(path);

	return mergers != NULL && strncmp(path, merged_file, strlen(merged_file)) == 0 && length > 40 &&
		   strcmp(path + length - 4, ".tmp") == 0 && strstr(path, ".0000000000000000.tmp") == NULL;
}

/* ---------- losing power ---------- */

static Unsynced *
find_unsynced(const char *name, bool make)
{
	Unsynced *spare = NULL;

	for (int i = 0; i < FILES; i++)
	{
		if (strcmp(unsynced[i].name, name) == 0)
			return &unsynced[i];
		if (spare == NULL && unsynced[i].name[0] == '\0')
			spare = &unsynced[i];
	}
	if (make && spare != NULL)
		snprintf(spare->name, sizeof(spare->name), "%s", name);
	return make ? spare : NULL;
}

static void
note(const char *name, int content, int entry)
{
	Unsynced *file;

	if (plan.action != SHIM_POWER || !armed || name == NULL || !is_graph(name))
		return;
	pthread_mutex_lock(&mutex);
	file = find_unsynced(name, true);
	if (file != NULL && content >= 0)
		file->content = content;
	if (file != NULL && entry >= 0)
		file->entry = entry;
	pthread_mutex_unlock(&mutex);
}

static void
note_rename(const char *from, const char *to)
{
	Unsynced *file;
	bool content = false;

	if (plan.action != SHIM_POWER || !armed || !is_graph(to))
		return;
	pthread_mutex_lock(&mutex);
	file = find_unsynced(from, false);
	if (file != NULL)
	{
		content = file->content;
		file->name[0] = '\0';
	}
	file = find_unsynced(to, true);
	if (file != NULL)
	{
		file->content = content;
		file->entry = true;
	}
	pthread_mutex_unlock(&mutex);
}

static void
note_folder_synced(void)
{
	if (plan.action != SHIM_POWER || !armed)
		return;
	pthread_mutex_lock(&mutex);
	for (int i = 0; i < FILES; i++)
		unsynced[i].entry = false;
	pthread_mutex_unlock(&mutex);
}

static void
lose_power(void)
{
	for (int i = 0; i < FILES; i++)
	{
		const char *name = unsynced[i].name;

		if (name[0] == '\0')
			continue;
		if (unsynced[i].entry)
			syscall(SYS_unlinkat, AT_FDCWD, name, 0);
		else if (unsynced[i].content)
		{
			struct stat st;
			int fd = (int) syscall(SYS_openat, AT_FDCWD, name, O_RDWR, 0);

			/* the length came through, the bytes did not */
			if (fd >= 0 && fstat(fd, &st) == 0 && syscall(SYS_ftruncate, fd, st.st_size / 2) == 0)
				(void) !syscall(SYS_ftruncate, fd, st.st_size);
		}
	}
}

/* ---------- the point where it happens ---------- */

typedef enum Fate
{
	GO_ON,
	FAIL,
	HALF,     /* do half and say so */
	HALF_KILL /* do half and die */
} Fate;

static void
die(void)
{
	if (plan.action == SHIM_POWER)
		lose_power();
	raise(SIGKILL);
}

static Fate
at_call(unsigned kind, bool divisible)
{
	long n;

	if (!armed || !(plan.counts & kind))
		return GO_ON;
	n = atomic_fetch_add(&count, 1) + 1;
	if (plan.action == SHIM_COUNT || (plan.lasting ? n < plan.at : n != plan.at))
		return GO_ON;
	atomic_store(&struck, true);
	switch (plan.action)
	{
		case SHIM_TORN:
			if (divisible)
				return HALF_KILL;
			/* FALLTHROUGH */
		case SHIM_KILL:
		case SHIM_POWER:
			die();
			return GO_ON;
		case SHIM_SHORT:
			return divisible ? HALF : GO_ON;
		default:
			errno = plan.error;
			return FAIL;
	}
}

static Fate
at_file(const char *path, unsigned kind, bool divisible)
{
	return path != NULL ? at_call(kind, divisible) : GO_ON;
}

/* ---------- opening and closing ---------- */

static int
open_file(int folder, const char *path, int flags, mode_t mode)
{
	bool ours = is_watched(path);
	bool writes = (flags & O_CREAT) != 0 || (flags & O_ACCMODE) != O_RDONLY;
	int fd;

	if (ours && at_call(writes ? SHIM_WRITES : SHIM_READS, false) == FAIL)
		return -1;
	fd = (int) syscall(SYS_openat, folder, path, flags, mode);
	if (fd >= 0 && fd < DESCRIPTORS && ours)
	{
		char *copy = __libc_malloc(strlen(path) + 1);

		if (copy != NULL)
			strcpy(copy, path);
		free(names[fd]);
		names[fd] = copy;
		if (flags & O_CREAT)
			note(path, 1, 1);
		if ((flags & O_CREAT) && is_merge(path))
		{
			int now = atomic_fetch_add(&mergers->now, 1) + 1;
			int most = atomic_load(&mergers->most);

			while (now > most && !atomic_compare_exchange_weak(&mergers->most, &most, now))
				;
			atomic_fetch_add(&mergers->all, 1);
		}
	}
	return fd;
}

static mode_t
mode_argument(int flags, va_list args)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
}

#define DEFINE_OPEN(function)                                                                                \
	int function(const char *path, int flags, ...)                                                           \
	{                                                                                                        \
		va_list args;                                                                                        \
		mode_t mode;                                                                                         \
                                                                                                             \
		va_start(args, flags);                                                                               \
		mode = mode_argument(flags, args);                                                                   \
		va_end(args);                                                                                        \
		return open_file(AT_FDCWD, path, flags, mode);                                                       \
	}
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

int
close(int fd)
{
	if (name_of(fd) != NULL)
	{
		char *name = names[fd];

		names[fd] = NULL;
		free(name);
	}
	return (int) syscall(SYS_close, fd);
}

DIR *
opendir(const char *path)
{
	static DIR *(*next)(const char *);

	if (next == NULL)
		next = (DIR * (*) (const char *) ) dlsym(RTLD_NEXT, "opendir");
	if (is_watched(path) && at_call(SHIM_READS, false) == FAIL)
		return NULL;
	return next(path);
}

/* ---------- contents ---------- */

static ssize_t
transfer(long call, int fd, void *bytes, size_t size, off_t offset, bool writes)
{
	const char *name = name_of(fd);
	Fate fate = at_file(name, writes ? SHIM_WRITES : SHIM_READS, size > 1);
	ssize_t n;

	if (fate == FAIL)
		return -1;
	if (fate != GO_ON)
		size /= 2;
	if (writes)
		note(name, 1, -1);
	n = call == SYS_read || call == SYS_write ? syscall(call, fd, bytes, size)
											  : syscall(call, fd, bytes, size, offset);
	if (fate == HALF_KILL)
		raise(SIGKILL);
	return n;
}

ssize_t
read(int fd, void *bytes, size_t size)
{
	return transfer(SYS_read, fd, bytes, size, 0, false);
}

ssize_t
pread(int fd, void *bytes, size_t size, off_t offset)
{
	return transfer(SYS_pread64, fd, bytes, size, offset, false);
}

ssize_t
pread64(int fd, void *bytes, size_t size, off64_t offset)
{
	return transfer(SYS_pread64, fd, bytes, size, offset, false);
}

ssize_t
write(int fd, const void *bytes, size_t size)
{
	return transfer(SYS_write, fd, (void *) bytes, size, 0, true);
}

ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	return transfer(SYS_pwrite64, fd, (void *) bytes, size, offset, true);
}

ssize_t
pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
	return transfer(SYS_pwrite64, fd, (void *) bytes, size, offset, true);
}

static int
sync_file(long call, int fd)
{
	const char *name = name_of(fd);

	if (at_file(name, SHIM_WRITES, false) == FAIL)
		return -1;
	if (name != NULL)
	{
		if (strcmp(name, watched) == 0)
			note_folder_synced();
		else
			note(name, 0, -1);
		if (skip_sync)
			return 0;
	}
	return (int) syscall(call, fd);
}

int
fsync(int fd)
{
	return sync_file(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	return sync_file(SYS_fdatasync, fd);
}

#define DEFINE_TRUNCATE(function, type)                                                                      \
	int function(int fd, type length)                                                                        \
	{                                                                                                        \
		if (at_file(name_of(fd), SHIM_WRITES, false) == FAIL)                                                \
			return -1;                                                                                       \
		return (int) syscall(SYS_ftruncate, fd, length);                                                     \
	}
DEFINE_TRUNCATE(ftruncate, off_t)
DEFINE_TRUNCATE(ftruncate64, off64_t)

#define DEFINE_ALLOCATE(function, type)                                                                      \
	int function(int fd, int mode, type offset, type length)                                                 \
	{                                                                                                        \
		if (at_file(name_of(fd), SHIM_WRITES, false) == FAIL)                                                \
			return -1;                                                                                       \
		return (int) syscall(SYS_fallocate, fd, mode, offset, length);                                       \
	}
DEFINE_ALLOCATE(fallocate, off_t)
DEFINE_ALLOCATE(fallocate64, off64_t)

#define DEFINE_MAP(function, type)                                                                           \
	void *function(void *address, size_t size, int protection, int flags, int fd, type offset)               \
	{                                                                                                        \
		if (!(flags & MAP_ANONYMOUS) && at_file(name_of(fd), SHIM_READS, false) == FAIL)                     \
			return MAP_FAILED;                                                                               \
		return (void *) syscall(SYS_mmap, address, size, protection, flags, fd, offset);                     \
	}
DEFINE_MAP(mmap, off_t)
DEFINE_MAP(mmap64, off64_t)

/* ---------- names, modes ---------- */

int
rename(const char *from, const char *to)
{
	if (is_watched(to))
	{
		if (at_call(SHIM_WRITES, false) == FAIL)
			return -1;
		note_rename(from, to);
		if (is_merge(from))
			atomic_fetch_sub(&mergers->now, 1);
	}
	return (int) syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
link(const char *from, const char *to)
{
	if (is_watched(to))
	{
		if (at_call(SHIM_WRITES, false) == FAIL)
			return -1;
		note(to, 0, 1);
	}
	return (int) syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
unlink(const char *path)
{
	int rc;

	if (is_watched(path) && at_call(SHIM_WRITES, false) == FAIL)
		return -1;
	rc = (int) syscall(SYS_unlinkat, AT_FDCWD, path, 0);
	if (rc == 0 && is_watched(path))
	{
		note(path, 0, 0);
		if (is_merge(path))
			atomic_fetch_sub(&mergers->now, 1);
	}
	return rc;
}

int
fchmod(int fd, mode_t mode)
{
	if (at_file(name_of(fd), SHIM_WRITES, false) == FAIL)
		return -1;
	return (int) syscall(SYS_fchmod, fd, mode);
}

int
fchown(int fd, uid_t owner, gid_t group)
{
	if (at_file(name_of(fd), SHIM_WRITES, false) == FAIL)
		return -1;
	return (int) syscall(SYS_fchown, fd, owner, group);
}

/* ---------- memory ---------- */

static bool
no_memory(void)
{
	if (!armed || !(plan.counts & SHIM_ALLOCS) || at_call(SHIM_ALLOCS, false) != FAIL)
		return false;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return no_memory() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return no_memory() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
	return no_memory() ? NULL : __libc_realloc(old, size);
}
