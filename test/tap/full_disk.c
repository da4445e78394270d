/*
 * full_disk.c
 *		A disk that is full at a chosen byte, for test/tap/commit.pl; preloaded into
 *		the server.
 *
 * Files count whose path begins with FULL_DISK_FOLDER.  The file
 * FULL_DISK_CONTROL holds, shared by all processes, how many more bytes they may
 * grow by and how many they have grown by.  As on a real disk, writing
 * where a file has its blocks already takes nothing, and blocks that were
 * allocated behind a file's end are its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES 62

typedef struct Control
{
	_Atomic int64_t armed, room, used;
	int64_t unused;
	struct
	{
		_Atomic int64_t inode, end;
	} reserved[FILES];
} Control;

static Control *control;
static const char *folder;

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("FULL_DISK_CONTROL");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map;

	folder = getenv("FULL_DISK_FOLDER");
	if (fd < 0 || folder == NULL)
		return;
	map = mmap(NULL, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		control = map;
}

static int
counts(int fd)
{
	char link[64];
	char path[PATH_MAX];
	ssize_t length;

	if (control == NULL || !atomic_load(&control->armed))
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return 0;
	path[length] = '\0';
	return strncmp(path, folder, strlen(folder)) == 0;
}

/* The place of an inode's reservation; a new one if make. */
static _Atomic int64_t *
reservation(int64_t inode, int make)
{
	for (int i = 0; i < FILES; i++)
	{
		if (atomic_load(&control->reserved[i].inode) == inode)
			return &control->reserved[i].end;
		if (make && atomic_load(&control->reserved[i].inode) == 0)
		{
			atomic_store(&control->reserved[i].inode, inode);
			return &control->reserved[i].end;
		}
	}
	return NULL;
}

/* Whether the file may have blocks up to end; takes them. */
static int
grow(int fd, int64_t end, int reserve)
{
	struct stat st;
	_Atomic int64_t *place;
	int64_t has, more;

	if (fstat(fd, &st) != 0)
		return 1;
	place = reservation(st.st_ino, reserve);
	has = st.st_size;
	if (place != NULL && atomic_load(place) > has)
		has = atomic_load(place);
	more = end - has;
	if (more <= 0)
		return 1;
	if (atomic_load(&control->room) < more)
		return 0;
	atomic_fetch_sub(&control->room, more);
	atomic_fetch_add(&control->used, more);
	if (reserve && place != NULL)
		atomic_store(place, end);
	return 1;
}

static ssize_t
write_at(int fd, const void *data, size_t size, off_t offset)
{
	if (counts(fd) && !grow(fd, offset + (off_t) size, 0))
	{
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, size, offset);
}

ssize_t
pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return write_at(fd, data, size, offset);
}

ssize_t
pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	return write_at(fd, data, size, offset);
}

int
fallocate(int fd, int mode, off_t offset, off_t size)
{
	if (counts(fd))
	{
		if (grow(fd, offset + size, 1))
			return 0;
		errno = ENOSPC;
		return -1;
	}
	return (int) syscall(SYS_fallocate, fd, mode, offset, size);
}
