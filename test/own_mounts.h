/*
 * own_mounts.h
 *		Mounting file systems for a test, which no other process sees and which go
 *		with this one.
 */
#ifndef OWN_MOUNTS_H
#define OWN_MOUNTS_H

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static inline bool
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

/*
 * Give this process, which must have one thread, mounts of its own.  Who is not
 * root becomes it in a user namespace, and is then above the rights of files as
 * root is.  False where the system does not let it.
 */
static inline bool
own_mounts(void)
{
	char users[40];
	char groups[40];

	snprintf(users, sizeof(users), "0 %d 1", (int) geteuid());
	snprintf(groups, sizeof(groups), "0 %d 1", (int) getegid());
	if (unshare(CLONE_NEWNS) != 0 &&
		(unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !write_text("/proc/self/uid_map", users) ||
		 !write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/gid_map", groups)))
		return false;
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

#endif /* OWN_MOUNTS_H */
