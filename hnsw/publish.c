/*
 * publish.c
 *		Where a graph goes: to a file that appears at once, or to memory.
 *
 * A file becomes visible under its name only when it is complete and on the
 * disk; until then it is "<path>.<16 hex digits>.tmp" in the same folder, and
 * every failure removes it.  (A crash leaves it there.  Its header is written
 * first, so that whose file it was can still be read.)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "hnsw/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sync the folder that holds path, so that the new name outlives a crash. */
static HnswStatus
sync_folder(const char *path, HnswError *err)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t) (slash - path));
	HnswStatus status = HNSW_OK;
	int fd;

	if (folder == NULL)
		return hnsw_fail(err, HNSW_NOMEM, "out of memory while writing graph file \"%s\"", path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A folder that may be written but not read cannot be synced: not our fault. */
	if (fd < 0 && errno != EACCES)
		status = hnsw_fail_errno(err, "could not open folder", folder);
	/* Some file systems do not know how to sync a folder. */
	if (fd >= 0 && fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
		status = hnsw_fail_errno(err, "could not sync folder", folder);
	if (fd >= 0)
		close(fd);
	free(folder);
	return status;
}

/* Create "<path>.<random>.tmp"; *temporary is malloced. */
static HnswStatus
create_temporary(const char *path, const HnswWriteOptions *options, char **temporary, int *fd, HnswError *err)
{
	mode_t mode = options != NULL && options->mode >= 0 ? 0600 : 0666;
	size_t size = strlen(path) + 32;
	char *name = malloc(size);
	HnswStatus status;

	if (name == NULL)
		return hnsw_fail(err, HNSW_NOMEM, "out of memory while writing graph file \"%s\"", path);
	for (int attempt = 0; attempt < 16; attempt++)
	{
		uint64_t random;

		if (getentropy(&random, sizeof(random)) != 0)
			break;
		snprintf(name, size, "%s.%016llx.tmp", path, (unsigned long long) random);
		*fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
		if (*fd >= 0)
		{
			*temporary = name;
			return HNSW_OK;
		}
		if (errno != EEXIST && errno != EINTR)
			break;
	}
	status = hnsw_fail_errno(err, "could not create graph file", name);
	free(name);
	/* "Not found" is for readers; here it is the folder that is missing. */
	return status == HNSW_NOTFOUND ? HNSW_IO : status;
}

/* Mode and group, then onto the disk. */
static HnswStatus
finish_file(int fd, const char *name, const HnswWriteOptions *options, HnswError *err)
{
	/*
	 * The group first, for changing it may clear mode bits.  Not being allowed
	 * to is no error: the file then has the group of its writer.
	 */
	if (options != NULL && options->group >= 0 && fchown(fd, (uid_t) -1, (gid_t) options->group) != 0)
		errno = 0;
	if (options != NULL && options->owner >= 0 && geteuid() == 0 &&
		fchown(fd, (uid_t) options->owner, (gid_t) -1) != 0)
		errno = 0;
	if (options != NULL && options->mode >= 0 && fchmod(fd, (mode_t) options->mode & 0777) != 0)
		return hnsw_fail_errno(err, "could not set the mode of graph file", name);
	while (fsync(fd) != 0)
		if (errno != EINTR)
			return hnsw_fail_errno(err, "could not sync graph file", name);
	return HNSW_OK;
}

HnswStatus
hnsw_builder_write(HnswBuilder *builder, const char *path, const HnswWriteOptions *options,
				   const HnswTask *task, HnswError *err)
{
	char *temporary = NULL;
	HnswStatus status;
	int fd = -1;

	if (err != NULL)
		*err = (HnswError){0};
	status = create_temporary(path, options, &temporary, &fd, err);
	if (status != HNSW_OK)
		return status;
	status = hnsw_write_graph(builder, fd, path, options, task, err);
	if (status == HNSW_OK)
		status = finish_file(fd, path, options, err);
	/* Network file systems may tell only here that the disk is full. */
	if (close(fd) != 0 && status == HNSW_OK && errno != EINTR)
		status = hnsw_fail_errno(err, "could not close graph file", path);
	if (status == HNSW_OK && rename(temporary, path) != 0)
		status = hnsw_fail_errno(err, "could not rename the new graph file to", path);
	if (status != HNSW_OK)
		unlink(temporary);
	else
		status = sync_folder(path, err);
	free(temporary);
	return status;
}

/* ---------- without a file ---------- */

HnswStatus
hnsw_builder_snapshot(HnswBuilder *builder, const HnswWriteOptions *options, HnswSnapshot **out,
					  HnswError *err)
{
	static const char name[] = "(in memory)";
	HnswStatus status;
	int fd;

	*out = NULL;
	if (err != NULL)
		*err = (HnswError){0};
	fd = hnsw_os_anonymous_file();
	if (fd < 0)
		return hnsw_fail_errno(err, "could not create graph file", name);
	status = hnsw_write_graph(builder, fd, name, options, NULL, err);
	if (status == HNSW_OK)
		status = hnsw_snapshot_map(fd, name, out, err);
	close(fd);
	return status;
}
