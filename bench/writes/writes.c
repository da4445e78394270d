/*
 * writes.c
 *		What an index costs the program that writes its table: CPU time of statements by a
 *		connection that has not loaded the extension, with and without an index on the table.
 *
 * usage: writes EXTENSION FOLDER ROWS ROUNDS
 *
 * Both databases are written in turn, round by round, and the median round counts.  Rows have a
 * 1,536-byte vector.  Bulk: ROWS rows in one transaction.  Single: a transaction a row, in WAL mode
 * without waiting for the disk, ROWS / 10 of them.
 */
#define _GNU_SOURCE
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BYTES 1536
#define MOST_ROUNDS 101

static const char *const work[] = {"insert", "update of the vector", "update of another column", "delete",
								   "single inserts"};

enum
{
	WORKS = sizeof(work) / sizeof(work[0])
};

static double seconds[2][WORKS][MOST_ROUNDS];

static void
run(sqlite3 *db, const char *sql)
{
	char *message = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
	{
		fprintf(stderr, "%s: %s\n", sql, message);
		exit(1);
	}
}

static double
cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static sqlite3 *
make_database(const char *folder, const char *extension, bool indexed)
{
	char *path = sqlite3_mprintf("%s/%s.db", folder, indexed ? "indexed" : "bare");
	sqlite3 *db;
	sqlite3 *owner;

	if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_open(path, &owner) != SQLITE_OK)
		exit(1);
	run(owner, "PRAGMA journal_mode = WAL; CREATE TABLE d(id INTEGER PRIMARY KEY, name TEXT, v BLOB)");
	if (indexed)
	{
		sqlite3_db_config(owner, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
		if (sqlite3_load_extension(owner, extension, NULL, NULL) != SQLITE_OK)
		{
			fprintf(stderr, "%s: %s\n", extension, sqlite3_errmsg(owner));
			exit(1);
		}
		run(owner, "CREATE VIRTUAL TABLE x USING hnsw(dim = 384, content = d, content_vector = v)");
	}
	sqlite3_close(owner);
	run(db, "PRAGMA synchronous = OFF");
	sqlite3_free(path);
	return db;
}

/* Rows from..upto, each in a transaction of its own if so wanted. */
static void
insert(sqlite3 *db, int from, int upto, bool single)
{
	static unsigned char vector[BYTES];
	sqlite3_stmt *stmt;

	sqlite3_prepare_v2(db, "INSERT INTO d VALUES (?1, 'a name', ?2)", -1, &stmt, NULL);
	if (!single)
		run(db, "BEGIN");
	for (int i = from; i <= upto; i++)
	{
		vector[(unsigned) i % BYTES]++;
		sqlite3_bind_int(stmt, 1, i);
		sqlite3_bind_blob(stmt, 2, vector, BYTES, SQLITE_STATIC);
		if (sqlite3_step(stmt) != SQLITE_DONE)
		{
			fprintf(stderr, "%s\n", sqlite3_errmsg(db));
			exit(1);
		}
		sqlite3_reset(stmt);
	}
	if (!single)
		run(db, "COMMIT");
	sqlite3_finalize(stmt);
}

static void
work_on(sqlite3 *db, int which, int rows)
{
	switch (which)
	{
		case 0:
			insert(db, 1, rows, false);
			break;
		case 1:
			run(db, "UPDATE d SET v = randomblob(1536)");
			break;
		case 2:
			run(db, "UPDATE d SET name = name || '.'");
			break;
		case 3:
			run(db, "DELETE FROM d");
			break;
		default:
			insert(db, 1, rows / 10, true);
	}
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

static double
median(double *values, int count)
{
	qsort(values, (size_t) count, sizeof(*values), compare);
	return values[count / 2];
}

int
main(int argc, char **argv)
{
	sqlite3 *databases[2];
	int rows = argc > 3 ? atoi(argv[3]) : 0;
	int rounds = argc > 4 ? atoi(argv[4]) : 0;

	if (rows < 100 || rounds < 1 || rounds > MOST_ROUNDS)
	{
		fprintf(stderr, "usage: writes EXTENSION FOLDER ROWS ROUNDS\n");
		return 2;
	}
	for (int i = 0; i < 2; i++)
		databases[i] = make_database(argv[2], argv[1], i == 1);
	for (int round = 0; round < rounds; round++)
		for (int which = 0; which < WORKS; which++)
			for (int i = 0; i < 2; i++)
			{
				double begin = cpu_time();

				work_on(databases[i], which, rows);
				seconds[i][which][round] = cpu_time() - begin;
				if (which == WORKS - 1)
					run(databases[i], "DELETE FROM d");
				/* what the journal keeps is a merge's to remove, and of no interest here */
				run(databases[i], "PRAGMA wal_checkpoint(TRUNCATE)");
			}
	printf("work\tmicroseconds a row\twith an index\tshare of the speed\n");
	for (int which = 0; which < WORKS; which++)
	{
		double count = which == 4 ? rows / 10 : rows;
		double bare = median(seconds[0][which], rounds);
		double indexed = median(seconds[1][which], rounds);

		printf("%s\t%.2f\t%.2f\t%.2f\n", work[which], 1e6 * bare / count, 1e6 * indexed / count,
			   bare / indexed);
	}
	sqlite3_close(databases[0]);
	sqlite3_close(databases[1]);
	return 0;
}
