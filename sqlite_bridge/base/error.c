/*
 * error.c
 *		Result codes and messages on their way up to SQLite.
 *
 * A code never changes its meaning on the way: NOMEM, BUSY, FULL, INTERRUPT
 * and CORRUPT of a nested statement or of the graph library are those of the
 * statement the user ran.
 */
#include "sqlite_bridge/base/base.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/*
 * Messages of nested statements quote each other, and names of a hostile schema
 * may be long: this many bytes say enough.
 */
#define LONGEST_MESSAGE 1000

/* Cut text between two characters of UTF-8. */
static void
shorten(char *text)
{
	size_t end = LONGEST_MESSAGE;

	if (text == NULL || strlen(text) <= LONGEST_MESSAGE)
		return;
	while (end > 0 && ((unsigned char) text[end] & 0xc0) == 0x80)
		end--;
	memcpy(text + end, "...", 4);
}

static int
set_message(BridgeError *err, int code, const char *format, va_list args)
{
	sqlite3_free(err->message);
	err->code = code;
	err->message = sqlite3_vmprintf(format, args);
	shorten(err->message);
	return code;
}

int
bridge_error(BridgeError *err, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_message(err, code, format, args);
	va_end(args);
	return code;
}

int
bridge_error_db(BridgeError *err, sqlite3 *db, const char *format, ...)
{
	int code = sqlite3_extended_errcode(db);
	char *reason;
	va_list args;

	/* No error of SQLite's: the text of the statement could not be made. */
	if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
		code = SQLITE_NOMEM;
	reason = sqlite3_mprintf("%s", code == SQLITE_NOMEM ? "out of memory" : sqlite3_errmsg(db));
	va_start(args, format);
	set_message(err, code, format, args);
	va_end(args);
	if (err->message != NULL && reason != NULL)
	{
		char *whole = sqlite3_mprintf("%s: %s", err->message, reason);

		sqlite3_free(err->message);
		err->message = whole;
		shorten(whole);
	}
	sqlite3_free(reason);
	return code;
}

static int
code_of_status(HnswStatus status)
{
	switch (status)
	{
		case HNSW_OK:
		case HNSW_DONE:
			return SQLITE_OK;
		case HNSW_NOTFOUND:
			return SQLITE_NOTFOUND;
		case HNSW_INVALID:
			return SQLITE_ERROR;
		case HNSW_NOMEM:
			return SQLITE_NOMEM;
		case HNSW_INTERRUPTED:
			return SQLITE_INTERRUPT;
		case HNSW_IO:
			return SQLITE_IOERR;
		case HNSW_FULL:
			return SQLITE_FULL;
		case HNSW_CORRUPT:
			return SQLITE_CORRUPT_VTAB;
		case HNSW_VERSION:
			return SQLITE_CANTOPEN;
	}
	return SQLITE_ERROR;
}

/* A refusal for want of rights is told as SQLite does of its own files. */
static int
code_of(HnswStatus status, const HnswError *hnsw)
{
	int number = status == HNSW_IO && hnsw != NULL ? hnsw->sys_errno : 0;

	if (number == EACCES || number == EPERM || number == EROFS)
		return SQLITE_READONLY;
	return code_of_status(status);
}

int
bridge_error_hnsw(BridgeError *err, HnswStatus status, const HnswError *hnsw, const char *format, ...)
{
	const char *reason = hnsw != NULL && hnsw->message[0] != '\0' ? hnsw->message : hnsw_status_name(status);
	va_list args;

	va_start(args, format);
	set_message(err, code_of(status, hnsw), format, args);
	va_end(args);
	if (err->message != NULL)
	{
		char *whole = sqlite3_mprintf("%s: %s", err->message, reason);

		sqlite3_free(err->message);
		err->message = whole;
		shorten(whole);
	}
	return err->code;
}

int
bridge_error_prefix(BridgeError *err, const char *format, ...)
{
	char *heading;
	va_list args;

	if (err->message == NULL)
		return err->code;
	va_start(args, format);
	heading = sqlite3_vmprintf(format, args);
	va_end(args);
	if (heading != NULL)
	{
		char *whole = sqlite3_mprintf("%s: %s", heading, err->message);

		if (whole != NULL)
		{
			sqlite3_free(err->message);
			err->message = whole;
			shorten(whole);
		}
		sqlite3_free(heading);
	}
	return err->code;
}

void
bridge_error_result(sqlite3_context *context, BridgeError *err)
{
	/* Nothing set: not even the error could be made. */
	if ((err->code & 0xff) == SQLITE_NOMEM || err->code == SQLITE_OK)
		sqlite3_result_error_nomem(context);
	else
	{
		/* The message first: setting it resets the code. */
		sqlite3_result_error(context, err->message != NULL ? err->message : sqlite3_errstr(err->code), -1);
		sqlite3_result_error_code(context, err->code);
	}
	bridge_error_clear(err);
}

void
bridge_error_clear(BridgeError *err)
{
	sqlite3_free(err->message);
	err->message = NULL;
	err->code = SQLITE_OK;
}
