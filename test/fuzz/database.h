/*
 * database.h
 *		A database in memory that a fuzz target keeps open and sets back to one
 *		state before each input: opening and filling one anew costs a hundred
 *		times as much.
 */
#ifndef FUZZ_DATABASE_H
#define FUZZ_DATABASE_H

#include "fuzz.h"

#include "sqlite_bridge/bridge.h"

/* A page and what SQLite keeps with it. */
#define FUZZ_PAGE (4096 + 512)

static inline void
exec(sqlite3 *db, const char *sql)
{
	char *message = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		must(message != NULL, "an error without a message");
	sqlite3_free(message);
}

/* What a cancelled or endless statement of a hostile schema is ended by. */
static int fuzz_steps;

static inline int
fuzz_progress(void *arg)
{
	return ++fuzz_steps > 2000;
}

/*
 * SQLite's pages and small pieces from pools of its own.  AddressSanitizer's
 * allocator takes half of the time otherwise, and watches nothing for it: SQLite
 * itself is not compiled for it.  What the module allocates is watched as before.
 */
static inline void
fuzz_configure(void)
{
	static char pages[400 * FUZZ_PAGE];
	static bool done;

	if (!done)
		must(sqlite3_config(SQLITE_CONFIG_PAGECACHE, pages, FUZZ_PAGE, (int) sizeof(pages) / FUZZ_PAGE) ==
					 SQLITE_OK &&
				 sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 1200, 400) == SQLITE_OK,
			 "SQLite runs already");
	done = true;
}

static inline sqlite3 *
fuzz_open(void)
{
	const BridgeHost host = {.merge_thread = false, .build_threads = 1, .file_mode = -1};
	char *message = NULL;
	sqlite3 *db;

	fuzz_configure();
	must(sqlite3_open_v2("file:/fuzz?vfs=memdb", &db,
						 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI, NULL) == SQLITE_OK,
		 "no database");
	must(bridge_attach(db, &host, &message) == SQLITE_OK, "no module");
	sqlite3_progress_handler(db, 1000, fuzz_progress, NULL);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 20);
	return db;
}

/* The image of a database that these statements make. */
static inline unsigned char *
fuzz_image(const char *sql, sqlite3_int64 *size)
{
	sqlite3 *db = fuzz_open();
	char *message = NULL;
	unsigned char *image;

	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		must(false, message);
	image = sqlite3_serialize(db, "main", size, 0);
	must(image != NULL && sqlite3_close(db) == SQLITE_OK, "no image");
	return image;
}

/*
 * Let db be this image, of which the caller may have changed anything.  Written
 * under SQLite, not through it; that its caches are old shows by the counters
 * of the header.  (sqlite3_deserialize() leaves eponymous tables with the schema
 * that it frees.)
 */
static inline void
fuzz_reset(sqlite3 *db, unsigned char *image, sqlite3_int64 size)
{
	static unsigned resets;
	sqlite3_file *file = NULL;

	fuzz_steps = 0;
	/* the same input does the same */
	sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, 1, (sqlite3 *) NULL);
	if (!sqlite3_get_autocommit(db))
		exec(db, "ROLLBACK");
	must(sqlite3_get_autocommit(db) && sqlite3_txn_state(db, NULL) == SQLITE_TXN_NONE,
		 "a statement was left running");
	resets++;
	for (int i = 0; i < 4; i++)
		image[24 + i] = image[40 + i] = (unsigned char) (resets >> (24 - 8 * i));
	must(sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK &&
			 file->pMethods->xWrite(file, image, (int) size, 0) == SQLITE_OK &&
			 file->pMethods->xTruncate(file, size) == SQLITE_OK,
		 "the file is not written");
}

#endif
