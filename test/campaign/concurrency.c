/*
 * concurrency.c
 *		Readers, writers and mergers at once, in processes and threads.
 *
 * Each reader compares, within one read transaction, what the index says with
 * brute force over the table, and a counter with the number of rows, so that a
 * torn view would show.  Writers add one to the counter for each transaction
 * and count what was acknowledged: none may be lost.  Automatic merges run
 * beside those on request; there must never be two of one index at once.
 */
#define _GNU_SOURCE
#include "campaign.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS 2400 /* enough for merges to start by themselves */
#define WRITERS 2
#define READERS 3   /* processes, and the same number of threads in one */
#define THREADS 100 /* numbers from here on are threads of one process */
#define BUSY_MS 4000
#define SLACK_S 20 /* of a machine that has a processor for everyone */

typedef struct Shared
{
	atomic_bool stop;
	atomic_bool trouble;
	Report report;
	atomic_long transactions; /* acknowledged */
	atomic_long busy;         /* writes given up for another time */
	atomic_long reads;        /* transactions that compared */
	atomic_long merges;       /* on request */
	atomic_long graph_reads;  /* of a search that used a graph */
	atomic_long longest_ms;   /* of one statement */
	ShimMergers mergers;
	char path[400];
} Shared;

static Shared *shared;

static void
complain(const char *what, sqlite3 *db)
{
	if (!atomic_exchange(&shared->trouble, true))
		report(&shared->report, "%s: %s", what, db ? sqlite3_errmsg(db) : "");
	atomic_store(&shared->stop, true);
}

static sqlite3 *
open_shared(void)
{
	Report r = {0};
	sqlite3 *db = open_database(shared->path, &r);

	if (db == NULL)
		complain(r.text, NULL);
	else
		sqlite3_busy_timeout(db, BUSY_MS);
	return db;
}

static int
timed(sqlite3 *db, const char *sql)
{
	double start = clock_now();
	int rc = run(db, "%s", sql);
	long took = (long) ((clock_now() - start) * 1000);
	long longest = atomic_load(&shared->longest_ms);

	while (took > longest && !atomic_compare_exchange_weak(&shared->longest_ms, &longest, took))
		;
	return rc;
}

static bool
is_busy(int rc)
{
	return (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED || rc == SQLITE_SCHEMA;
}

/* ---------- writers ---------- */

static void
write_once(sqlite3 *db, uint64_t *random)
{
	char sql[900];
	int first = (int) (mix((*random)++) % ROWS);
	int kind = (int) (mix((*random)++) % 5);
	int seed = (int) (mix((*random)++) % 100000);
	int rc = timed(db, "BEGIN IMMEDIATE");

	if (rc == SQLITE_OK)
	{
		/* the number of rows only changes together with the one in the counter */
		if (kind == 0)
			snprintf(sql, sizeof(sql),
					 "DELETE FROM documents WHERE id BETWEEN %d AND %d;"
					 "UPDATE counter SET n = n + 1, rows = (SELECT count(*) FROM documents)",
					 first, first + 9);
		else if (kind == 1)
			snprintf(sql, sizeof(sql),
					 "UPDATE documents SET embedding = vector('[%d,%d,3,4,5,6,7,' || id || ']') WHERE id "
					 "BETWEEN %d AND"
					 " %d; UPDATE counter SET n = n + 1",
					 seed % 997, seed % 13, first, first + 15);
		else
			snprintf(
				sql, sizeof(sql),
				"WITH RECURSIVE i(x) AS (SELECT %d UNION ALL SELECT x + 1 FROM i WHERE x < %d)"
				" INSERT OR REPLACE INTO documents SELECT x, x, '[%d,' || x || ',1,2,3,4,%d,' || (x %% 7) "
				"|| ']' FROM i;"
				"UPDATE counter SET n = n + 1, rows = (SELECT count(*) FROM documents)",
				first, first + 12, seed % 991, seed % 17);
		rc = timed(db, sql);
		if (rc == SQLITE_OK && mix((*random)++) % 8 == 0)
			rc = timed(db, "ROLLBACK") == SQLITE_OK ? SQLITE_DONE : SQLITE_ERROR;
		else if (rc == SQLITE_OK)
			rc = timed(db, "COMMIT");
	}
	if (rc == SQLITE_OK)
		atomic_fetch_add(&shared->transactions, 1);
	else if (is_busy(rc))
		atomic_fetch_add(&shared->busy, 1);
	else if (rc != SQLITE_DONE)
		complain("writer", db);
	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

static void *
writer_main(void *arg)
{
	uint64_t random = mix((uint64_t) (intptr_t) arg + campaign_seed);
	sqlite3 *db = open_shared();

	while (db != NULL && !atomic_load(&shared->stop))
	{
		write_once(db, &random);
		usleep((useconds_t) (mix(random) % 3000));
	}
	sqlite3_close(db);
	return NULL;
}

/* ---------- readers ---------- */

/* "" when index and table agree within this transaction. */
static const char compare_sql[] =
	"WITH knn AS MATERIALIZED (SELECT rowid AS id, distance AS d FROM vss(?1, %s, 6000, '%s')),"
	" brute AS MATERIALIZED (SELECT id, l2_distance(embedding, ?1) AS d FROM documents ORDER BY d %s)"
	" SELECT CASE WHEN (SELECT count(*) FROM knn) <> (SELECT count(*) FROM brute) THEN 'number of rows: '"
	" || (SELECT count(*) FROM knn) || ' instead of ' || (SELECT count(*) FROM brute)"
	" WHEN (SELECT total(d) FROM knn) <> (SELECT total(d) FROM brute) THEN 'distances: '"
	" || (SELECT total(d) FROM knn) || ' instead of ' || (SELECT total(d) FROM brute)"
	" WHEN EXISTS (SELECT 1 FROM knn JOIN documents USING (id) WHERE d <> l2_distance(embedding, ?1))"
	" THEN 'the distance of a row' WHEN EXISTS (SELECT id FROM knn EXCEPT SELECT id FROM documents) THEN 'a "
	"row that is"
	" not there' WHEN (SELECT rows FROM counter) <> (SELECT count(*) FROM documents) THEN 'the counter' ELSE "
	"'' END";

static void
read_once(sqlite3 *db, uint64_t *random)
{
	bool all = mix((*random)++) % 4 == 0;
	bool exact = mix((*random)++) % 4 == 0;
	char query[100];
	int rc = run(db, "BEGIN");
	double start = clock_now();

	*random = mix(*random);
	snprintf(query, sizeof(query), "[%d,%d,1,2,3,4,5,6]", (int) (*random % 991),
			 (int) (*random / 991 % ROWS));
	for (int i = 0; rc == SQLITE_OK && i < 2; i++)
	{
		sqlite3_stmt *stmt = NULL;
		char *sql = sqlite3_mprintf(compare_sql, all ? "NULL" : "10", exact ? "exact" : "auto",
									all ? "" : "LIMIT 10");

		rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
		sqlite3_free(sql);
		if (rc == SQLITE_OK)
		{
			sqlite3_bind_text(stmt, 1, query, -1, SQLITE_STATIC);
			rc = sqlite3_step(stmt);
			if (rc == SQLITE_ROW && sqlite3_column_bytes(stmt, 0) > 0)
			{
				char text[300];

				snprintf(text, sizeof(text), "a wrong answer (%s, %s, %s): %s", query, all ? "all" : "10",
						 exact ? "exact" : "auto", (const char *) sqlite3_column_text(stmt, 0));
				complain(text, NULL);
			}
			rc = sqlite3_finalize(stmt);
		}
	}
	if (rc == SQLITE_OK)
	{
		atomic_fetch_add(&shared->reads, 1);
		if (mix(*random) % 16 == 0)
			atomic_fetch_add(&shared->graph_reads,
							 number(db, "SELECT hnsw_info('vss') ->> '$.graph.state' = 'used'") == 1);
	}
	else if (!is_busy(rc))
		complain("reader", db);
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	if (clock_now() - start > BUSY_MS / 1000.0 + SLACK_S * clock_patience())
		complain("a reader waited too long", NULL);
}

static void *
reader_main(void *arg)
{
	uint64_t random = mix((uint64_t) (intptr_t) arg * 977 + campaign_seed);
	sqlite3 *db = open_shared();

	for (int i = 0; db != NULL && !atomic_load(&shared->stop); i++)
	{
		read_once(db, &random);
		/*
		 * A process that has a read lock shares it among its threads, whoever
		 * else waits to write: without pauses SQLite never lets a writer of
		 * another process in (rollback journal).
		 */
		if ((intptr_t) arg >= THREADS)
			usleep((useconds_t) (mix(random) % 150000));
		/* now and then a new connection, as short programs make */
		if (i % 50 == 49)
		{
			sqlite3_close(db);
			db = open_shared();
		}
	}
	sqlite3_close(db);
	return NULL;
}

/* ---------- mergers ---------- */

static void *
merger_main(void *arg)
{
	sqlite3 *db = open_shared();

	for (int i = 0; db != NULL && !atomic_load(&shared->stop); i++)
	{
		int rc = run(db, i % 7 == 6 ? "SELECT hnsw_rebuild('vss')" : "SELECT hnsw_save('vss')");

		if (rc == SQLITE_OK)
			atomic_fetch_add(&shared->merges, 1);
		else if (!is_busy(rc) && rc != SQLITE_INTERRUPT)
			complain("merger", db);
		usleep(20000);
	}
	sqlite3_close(db);
	return NULL;
}

/* ---------- the run ---------- */

static pid_t
start(void *(*body)(void *), intptr_t arg)
{
	pid_t pid = fork();

	if (pid == 0)
	{
		body((void *) arg);
		_exit(0);
	}
	return pid;
}

/* Several threads of one process, each with a connection of its own. */
static void *
threads_main(void *arg)
{
	pthread_t threads[READERS + 2];

	for (intptr_t i = 0; i < READERS + 2; i++)
		pthread_create(&threads[i], NULL,
					   i < READERS    ? reader_main
					   : i == READERS ? writer_main
									  : merger_main,
					   (void *) (i + THREADS));
	for (int i = 0; i < READERS + 2; i++)
		pthread_join(threads[i], NULL);
	return NULL;
}

static bool
fill(bool wal)
{
	sqlite3 *db = open_shared();
	int rc =
		db == NULL
			? SQLITE_ERROR
			: run(db,
				  "PRAGMA journal_mode = %s;"
				  "CREATE TABLE documents(id INTEGER PRIMARY KEY, name INTEGER UNIQUE, embedding);"
				  "CREATE TABLE counter(n INTEGER, rows INTEGER); INSERT INTO counter VALUES (0, %d);"
				  "CREATE VIRTUAL TABLE vss USING hnsw(dim = 8, metric = l2, m = 8, ef = 40, content ="
				  " documents, content_vector = embedding);"
				  "WITH RECURSIVE i(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM i WHERE x < %d) INSERT INTO"
				  " documents SELECT x, x, '[' || (x * 31 %% 991) || ',' || x || ',1,2,3,4,5,6]' FROM i;",
				  wal ? "WAL" : "DELETE", ROWS, ROWS - 1);

	if (rc != SQLITE_OK)
		complain("filling", db);
	sqlite3_close(db);
	return rc == SQLITE_OK;
}

static void
concurrency_in(bool wal, double seconds)
{
	const char *mode = wal ? "wal" : "journal";
	pid_t processes[WRITERS + READERS + 3];
	const char *folder = fresh_folder(wal ? "concurrency-wal" : "concurrency-journal");
	double end;
	int count = 0;
	char label[60], index[450];
	Report *r;
	sqlite3 *db;
	bool ok;

	shared = shared_memory(sizeof(*shared));
	r = &shared->report;
	snprintf(shared->path, sizeof(shared->path), "%s/main.db", folder);
	snprintf(index, sizeof(index), "%s/main.db-vss.hnsw", folder);
	shim_watch(folder);
	shim_count_mergers(&shared->mergers, index);
	ok = fill(wal);
	fflush(stdout);
	for (intptr_t i = 0; ok && i < WRITERS; i++)
		processes[count++] = start(writer_main, i);
	for (intptr_t i = 0; ok && i < READERS; i++)
		processes[count++] = start(reader_main, i);
	for (intptr_t i = 0; ok && i < 2; i++)
		processes[count++] = start(merger_main, i);
	if (ok)
		processes[count++] = start(threads_main, 0);
	for (end = clock_now() + seconds; clock_now() < end && !atomic_load(&shared->stop);)
		usleep(20000);
	atomic_store(&shared->stop, true);
	for (int i = 0; i < count; i++)
	{
		int status;

		/* what takes longer than any wait that is allowed hangs */
		for (end = clock_now() + BUSY_MS / 1000.0 + 60 * clock_patience();
			 waitpid(processes[i], &status, WNOHANG) == 0;)
		{
			if (clock_now() > end)
			{
				report(r, "a process hangs");
				kill(processes[i], SIGKILL);
				end += 1e9;
			}
			usleep(10000);
		}
		if (!WIFEXITED(status))
			report(r, "a process died by signal %d", WTERMSIG(status));
	}

	db = open_shared();
	ok = db != NULL && r->text[0] == '\0';
	if (ok && number(db, "SELECT n FROM counter") != atomic_load(&shared->transactions))
		ok = report(r, "%lld transactions in the database, %ld acknowledged",
					number(db, "SELECT n FROM counter"), atomic_load(&shared->transactions));
	if (ok && atomic_load(&shared->mergers.most) > 1)
		ok = report(r, "%d merges at once", atomic_load(&shared->mergers.most));
	if (ok && (double) atomic_load(&shared->longest_ms) > BUSY_MS + SLACK_S * 1000 * clock_patience())
		ok = report(r, "a statement took %ld ms", atomic_load(&shared->longest_ms));
	if (ok && (run(db, "SELECT hnsw_save('vss')") != SQLITE_OK ||
			   number(db, "SELECT hnsw_check('vss') = 'ok'") != 1))
		ok = report(r, "the index is not sound afterwards: %s", sqlite3_errmsg(db));
	sqlite3_close(db);
	if (ok &&
		(shared->transactions == 0 || shared->reads == 0 || shared->merges == 0 || shared->mergers.all == 0))
		ok = report(r, "nothing was done");

#define FIGURE(name, value)                                                                                  \
	do                                                                                                       \
	{                                                                                                        \
		snprintf(label, sizeof(label), "%s_%s", mode, name);                                                 \
		figure("concurrency", label, (double) (value));                                                      \
	} while (0)
	FIGURE("transactions", shared->transactions);
	FIGURE("compared_reads", shared->reads);
	FIGURE("merges", shared->mergers.all);
	FIGURE("most_merges_at_once", shared->mergers.most);
	FIGURE("busy", shared->busy);
	FIGURE("longest_statement_ms", shared->longest_ms);
	FIGURE("graph_in_use_at_samples", shared->graph_reads);
	outcome("concurrency", mode, ok, r->text);
}

void
campaign_concurrency(void)
{
	shim_skip_sync(true);
	concurrency_in(true, campaign_seconds / 2);
	concurrency_in(false, campaign_seconds / 2);
}
