/*
 * os.c
 *		What the systems we run on spell differently, or lack.
 *
 * The rest of hnsw/ calls nothing that POSIX does not have, except for advice
 * about maps that is left out where a system has none.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "hnsw/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* In memory where the system can, else a file in TMPDIR without a name. */
int
hnsw_os_anonymous_file(void)
{
	const char *folder = getenv("TMPDIR");
	char name[4096];
	int fd;

#ifdef MFD_CLOEXEC
	fd = memfd_create("hnsw", MFD_CLOEXEC);
	if (fd >= 0)
		return fd;
#endif
	if (snprintf(name, sizeof(name), "%s/hnsw-XXXXXX", folder != NULL ? folder : "/tmp") >=
		(int) sizeof(name))
	{
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkstemp(name);
	if (fd >= 0)
	{
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		unlink(name);
	}
	return fd;
}

bool
hnsw_os_reserve(int fd, uint64_t bytes)
{
#if defined(__linux__)
	return fallocate(fd, 0, 0, (off_t) bytes) == 0 || (errno != ENOSPC && errno != EDQUOT);
#elif defined(F_PREALLOCATE)
	fstore_t wish = {.fst_flags = F_ALLOCATEALL, .fst_posmode = F_PEOFPOSMODE, .fst_length = (off_t) bytes};

	return fcntl(fd, F_PREALLOCATE, &wish) != -1 || (errno != ENOSPC && errno != EDQUOT);
#else
	return true;
#endif
}

#ifdef __linux__

void
hnsw_os_sort(void *base, size_t count, size_t size, HnswCompare *compare, void *arg)
{
	qsort_r(base, count, size, compare, arg);
}

#else /* the BSDs and macOS put the argument first */

typedef struct Comparison
{
	HnswCompare *compare;
	void *arg;
} Comparison;

static int
compare_turned(void *arg, const void *a, const void *b)
{
	const Comparison *comparison = arg;

	return comparison->compare(a, b, comparison->arg);
}

void
hnsw_os_sort(void *base, size_t count, size_t size, HnswCompare *compare, void *arg)
{
	Comparison comparison = {compare, arg};

	qsort_r(base, count, size, &comparison, compare_turned);
}

#endif
