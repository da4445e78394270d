/*
 * error.c
 *		How a failure is put into a status and a sentence.
 *
 * Every sentence says what was tried and on what; the status keeps its
 * meaning up to the host's own error code.  Nothing here allocates, so that it
 * may run when memory is exhausted.
 */
#include "hnsw/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *
hnsw_library_version(void)
{
	return HNSW_LIBRARY_VERSION;
}

const char *
hnsw_status_name(HnswStatus status)
{
	switch (status)
	{
		case HNSW_OK:
			return "ok";
		case HNSW_DONE:
			return "done";
		case HNSW_NOTFOUND:
			return "not found";
		case HNSW_INVALID:
			return "invalid argument";
		case HNSW_NOMEM:
			return "out of memory";
		case HNSW_INTERRUPTED:
			return "interrupted";
		case HNSW_IO:
			return "input/output error";
		case HNSW_FULL:
			return "no space left";
		case HNSW_CORRUPT:
			return "corrupt";
		case HNSW_VERSION:
			return "other format version";
	}
	return "unknown status";
}

/*
 * Fill in err (which may be NULL) and return status, so that a failing
 * function can end in "return hnsw_fail(...)".
 */
HnswStatus
hnsw_fail(HnswError *err, HnswStatus status, const char *format, ...)
{
	va_list args;

	if (err == NULL)
		return status;
	err->sys_errno = 0;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	return status;
}

/* strerror_r exists in two shapes; whichever the C library has, use its text. */
static const char *
errno_text(int number, char *buffer, size_t size)
{
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
	return strerror_r(number, buffer, size);
#else
	if (strerror_r(number, buffer, size) != 0)
		snprintf(buffer, size, "error %d", number);
	return buffer;
#endif
}

/*
 * The same for a system call that has just failed: what is the verb ("could
 * not open"), path its object.  The status follows from errno.
 */
HnswStatus
hnsw_fail_errno(HnswError *err, const char *what, const char *path)
{
	int number = errno;
	HnswStatus status;
	char text[96];

	switch (number)
	{
		case ENOENT:
		case ENOTDIR:
			status = HNSW_NOTFOUND;
			break;
		case ENOMEM:
			status = HNSW_NOMEM;
			break;
		case ENOSPC:
		case EDQUOT:
		case EFBIG:
			status = HNSW_FULL;
			break;
		default:
			status = HNSW_IO;
			break;
	}
	hnsw_fail(err, status, "%s \"%s\": %s", what, path, errno_text(number, text, sizeof(text)));
	if (err != NULL)
		err->sys_errno = number;
	errno = number;
	return status;
}
