/*
 * fdw.c
 *		The wrapper beside SQLite itself and beside PostgreSQL's own tables.
 *
 *	fdw DATABASE [ROUNDS]
 *
 * DATABASE is a SQLite file with the table t of bench/fdw/run; the PostgreSQL
 * database that PGHOST etc. name has it as foreign table t, once more as
 * small.t of a server whose cache is that of a database too large for it, a local
 * copy l, and a local table outer_rows of 10,000 keys.  Each case runs the wrapper
 * and its peer in turn, ROUNDS times (5), and reports medians and the median
 * ratio of CPU time: of the backend for PostgreSQL, of this process for SQLite;
 * of one case the time that the client waits.  Client and backend run on one
 * CPU, as in bench/sql/sql.cc.  Output is TSV.
 */
#include "bench/cpu.h"

#include <libpq-fe.h>
#include <sqlite3.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_ROUNDS 101

static PGconn *conn;
static clockid_t backend;
static sqlite3 *db;
static int rounds = 5;

static double
cpu(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static void
die(const char *what)
{
	fprintf(stderr, "fdw: %s\n", what);
	exit(1);
}

/* ---------- what is timed; milliseconds of CPU ---------- */

static double
pg(const char *sql)
{
	double start = cpu(backend);
	PGresult *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
		die(PQerrorMessage(conn));
	PQclear(result);
	return cpu(backend) - start;
}

/* Step through the rows and look at every column as what it is. */
static double
sqlite(const char *sql)
{
	double start = cpu(CLOCK_PROCESS_CPUTIME_ID);
	static volatile long long sink;
	sqlite3_stmt *stmt;
	int rc;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		for (int i = 0; i < sqlite3_column_count(stmt); i++)
		{
			switch (sqlite3_column_type(stmt, i))
			{
				case SQLITE_INTEGER:
					sink += sqlite3_column_int64(stmt, i);
					break;
				case SQLITE_FLOAT:
					sink += (long long) sqlite3_column_double(stmt, i);
					break;
				default:
					sink += sqlite3_column_text(stmt, i)[0] + sqlite3_column_bytes(stmt, i);
			}
		}
	}
	if (rc != SQLITE_DONE)
		die(sqlite3_errmsg(db));
	sqlite3_finalize(stmt);
	return cpu(CLOCK_PROCESS_CPUTIME_ID) - start;
}

static double
lookups(const char *statement, clockid_t clock)
{
	double start = cpu(clock);

	for (int i = 0; i < 5000; i++)
	{
		char key[16];
		const char *values[1] = {key};
		PGresult *result;

		snprintf(key, sizeof(key), "%d", (int) ((long long) i * 7919 % 1000000) + 1);
		result = PQexecPrepared(conn, statement, 1, values, NULL, NULL, 0);
		if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
			die("a lookup failed");
		PQclear(result);
	}
	return cpu(clock) - start;
}

static double
pg_lookups(const char *statement)
{
	return lookups(statement, backend);
}

static double
pg_lookups_waiting(const char *statement)
{
	return lookups(statement, CLOCK_MONOTONIC);
}

static double
pg_copy(const char *sql)
{
	PGresult *result;
	double start;

	PQclear(PQexec(conn, "TRUNCATE copied"));
	start = cpu(backend);
	result = PQexec(conn, sql);
	if (PQresultStatus(result) != PGRES_COPY_IN)
		die(PQerrorMessage(conn));
	PQclear(result);
	for (int i = 1; i <= 100000; i++)
	{
		char line[128];
		int n = snprintf(line, sizeof(line), "%d\t%d\tname of row %d\t%d.5\n", i, i % 1000, i, i);

		PQputCopyData(conn, line, n);
	}
	PQputCopyEnd(conn, NULL);
	result = PQgetResult(conn);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die(PQerrorMessage(conn));
	PQclear(result);
	PQclear(PQgetResult(conn));
	return cpu(backend) - start;
}

static double
sqlite_insert(const char *sql)
{
	double start;
	sqlite3_stmt *stmt;

	sqlite3_exec(db, "DELETE FROM copied", NULL, NULL, NULL);
	start = cpu(CLOCK_PROCESS_CPUTIME_ID);
	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
		sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	for (int i = 1; i <= 100000; i++)
	{
		char name[64];

		snprintf(name, sizeof(name), "name of row %d", i);
		sqlite3_bind_int(stmt, 1, i);
		sqlite3_bind_int(stmt, 2, i % 1000);
		sqlite3_bind_text(stmt, 3, name, -1, SQLITE_STATIC);
		sqlite3_bind_double(stmt, 4, i + 0.5);
		if (sqlite3_step(stmt) != SQLITE_DONE)
			die(sqlite3_errmsg(db));
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	return cpu(CLOCK_PROCESS_CPUTIME_ID) - start;
}

/* ---------- the cases ---------- */

typedef double (*Timed)(const char *);

static const struct
{
	const char *name;
	Timed ours;
	const char *our_sql;
	Timed peers;
	const char *peer_sql;
	double goal; /* ratio at most, 0 for none */
} cases[] = {
	{"count(*)", pg, "SELECT count(*) FROM t", sqlite, "SELECT count(*) FROM t", 1.2},
	{"count(*), cache 8 MiB", pg, "SELECT count(*) FROM small.t", sqlite, "SELECT count(*) FROM t", 1.2},
	{"sum", pg, "SELECT sum(k) FROM t", sqlite, "SELECT sum(k) FROM t", 1.2},
	{"filter, count", pg, "SELECT count(*) FROM t WHERE k < 100 AND name <> 'x'", sqlite,
	 "SELECT count(*) FROM t WHERE k < 100 AND name <> 'x'", 1.2},
	{"group by", pg, "SELECT k, count(*) FROM t GROUP BY k", sqlite, "SELECT k, count(*) FROM t GROUP BY k",
	 1.2},
	{"join that pushes", pg, "SELECT count(*) FROM t a JOIN t b ON b.id = a.k WHERE a.id < 100000", sqlite,
	 "SELECT count(*) FROM t a JOIN t b ON b.id = a.k WHERE a.id < 100000", 1.2},
	{"scan, 5 columns of 1,000,000 rows", pg, "EXPLAIN (ANALYZE, TIMING OFF) SELECT id, k, name, x, y FROM t",
	 sqlite, "SELECT id, k, name, x, y FROM t", 1.35},
	{"scan, 5 columns, one a date", pg, "EXPLAIN (ANALYZE, TIMING OFF) SELECT id, k, name, x, d FROM t",
	 sqlite, "SELECT id, k, name, x, d FROM t", 1.5},
	{"5,000 lookups by key, beside a local table, as the client waits", pg_lookups_waiting, "foreign_row",
	 pg_lookups_waiting, "local_row", 1.25},
	{"the same, CPU", pg_lookups, "foreign_row", pg_lookups, "local_row", 0},
	{"the same, as the client waits, cache 8 MiB", pg_lookups_waiting, "small_row", pg_lookups_waiting,
	 "local_row", 1.25},
	{"the same, CPU", pg_lookups, "small_row", pg_lookups, "local_row", 0},
	{"10,000 local rows joined to 1,000,000, beside a local table", pg,
	 "SELECT sum(o.k + t.k) FROM outer_rows o JOIN t ON t.id = o.k", pg,
	 "SELECT sum(o.k + l.k) FROM outer_rows o JOIN l ON l.id = o.k", 1.5},
	{"COPY of 100,000 rows, beside SQLite's own insert", pg_copy, "COPY copied FROM stdin", sqlite_insert,
	 "INSERT INTO copied VALUES (?, ?, ?, ?)", 1.5},
};

static int
compare(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

static double
median(double *values)
{
	qsort(values, (size_t) rounds, sizeof(double), compare);
	return values[rounds / 2];
}

int
main(int argc, char **argv)
{
	if (argc > 2)
		rounds = atoi(argv[2]);
	if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS)
		die("usage: fdw DATABASE [ROUNDS]");
	if (sqlite3_open(argv[1], &db) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	sqlite3_busy_timeout(db, 10000);
	conn = PQconnectdb("");
	if (PQstatus(conn) != CONNECTION_OK)
		die(PQerrorMessage(conn));
	if (clock_getcpuclockid(PQbackendPID(conn), &backend) != 0)
		die("cannot read the backend's clock");
	if (!share_cpu(PQbackendPID(conn)))
		die("cannot bind processes to a CPU");
	pg("PREPARE foreign_row(bigint) AS SELECT * FROM t WHERE id = $1");
	pg("PREPARE small_row(bigint) AS SELECT * FROM small.t WHERE id = $1");
	pg("PREPARE local_row(bigint) AS SELECT * FROM l WHERE id = $1");
	pg("SET max_parallel_workers_per_gather = 0");

	printf("case\tours, ms\tpeer, ms\tratio\tgoal, at most\n");
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
	{
		double ours[MAX_ROUNDS], peers[MAX_ROUNDS], ratios[MAX_ROUNDS];

		cases[c].ours(cases[c].our_sql);
		cases[c].peers(cases[c].peer_sql);
		for (int r = 0; r < rounds; r++)
		{
			ours[r] = cases[c].ours(cases[c].our_sql);
			peers[r] = cases[c].peers(cases[c].peer_sql);
			ratios[r] = ours[r] / peers[r];
		}
		{
			double ratio = median(ratios);

			printf("%s\t%.1f\t%.1f\t%.2f\t", cases[c].name, median(ours), median(peers), ratio);
			if (cases[c].goal > 0)
				printf("%.2f%s", cases[c].goal, ratio <= cases[c].goal ? "" : "\tmissed");
			printf("\n");
			fflush(stdout);
		}
	}
	return 0;
}
