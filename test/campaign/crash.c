/*
 * crash.c
 *		Processes killed by SIGKILL at random moments.
 *
 * A writer runs the workload while a second process merges all the time; both
 * are killed at once.  What the writer was told to be committed must be there,
 * what it had not begun must not, and of the one step in between all or nothing.
 */
#define _GNU_SOURCE
#include "campaign.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The log: shared with the processes that are killed. */
typedef struct Log
{
	atomic_long begun;   /* the last step begun that commits something */
	atomic_long ended;   /* and that was acknowledged */
	atomic_long steps;   /* of any kind */
	atomic_long merges;  /* by either process */
	atomic_bool trouble; /* r is filled in */
	Report report;
} Log;

static void
complain(Log *log, const char *what, sqlite3 *db)
{
	report(&log->report, "%s: %s", what, sqlite3_errmsg(db));
	atomic_store(&log->trouble, true);
	_exit(1);
}

static bool
commits(const Step *step)
{
	return step->kind == STEP_DML || (step->kind >= STEP_RENAME && step->kind <= STEP_CREATE);
}

static void
writer(Log *log, const char *path, Model *model, long from)
{
	sqlite3 *db = open_database(path, &log->report);

	if (db == NULL)
	{
		atomic_store(&log->trouble, true);
		_exit(1);
	}
	for (long n = from;; n++)
	{
		Step step;
		int rc;

		step_random(&step, model, n, campaign_seed);
		if (commits(&step))
			atomic_store(&log->begun, n);
		do
			rc = step_run(db, &step, model);
		while ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED);
		if (rc != SQLITE_OK)
			complain(log, "writer", db);
		model_apply(model, &step);
		if (commits(&step))
			atomic_store(&log->ended, n);
		atomic_fetch_add(&log->steps, 1);
		if (step.kind == STEP_SAVE || step.kind == STEP_REBUILD)
			atomic_fetch_add(&log->merges, 1);
	}
}

/* Tables come and go under its hands; what else goes wrong is told. */
static void
merger(Log *log, const char *path)
{
	sqlite3 *db = open_database(path, &log->report);

	if (db == NULL)
	{
		atomic_store(&log->trouble, true);
		_exit(1);
	}
	for (int i = 0;; i++)
	{
		static const char *const names[] = {"plain", "vss_a", "vss_b"};
		int rc = run(db, "SELECT hnsw_save('%s')", names[i % 3]);

		if (rc == SQLITE_OK)
			atomic_fetch_add(&log->merges, 1);
		else if (i % 3 == 0 && (rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_SCHEMA)
			complain(log, "merger", db);
	}
}

static void
crash_in(bool wal, double seconds)
{
	const char *folder = fresh_folder(wal ? "crash-wal" : "crash-journal");
	const char *name = wal ? "wal" : "journal";
	Log *log = shared_memory(sizeof(*log));
	Report r = {0};
	double end = clock_now() + seconds;
	char path[400], label[40];
	long kills = 0, steps, in_between = 0;
	Model model;
	sqlite3 *db;
	bool ok;

	snprintf(path, sizeof(path), "%s/main.db", folder);
	db = open_database(path, &r);
	ok = db != NULL && set_up(db, wal, campaign_seed, 250, true, &model, &r);
	sqlite3_close(db);
	for (long next = 1; ok && clock_now() < end;)
	{
		pid_t writing, merging;
		long reached;

		atomic_store(&log->begun, model.number);
		atomic_store(&log->ended, model.number);
		writing = fork();
		if (writing == 0)
			writer(log, path, &model, next);
		merging = fork();
		if (merging == 0)
			merger(log, path);
		usleep((useconds_t) (mix(campaign_seed + (uint64_t) kills) % 120000));
		kill(writing, SIGKILL);
		kill(merging, SIGKILL);
		waitpid(writing, NULL, 0);
		waitpid(merging, NULL, 0);
		kills++;
		if (atomic_load(&log->trouble))
		{
			ok = report(&r, "after %ld kills: %s", kills, log->report.text);
			break;
		}
		db = open_database(path, &r);
		reached = db != NULL ? committed(db) : -1;
		sqlite3_close(db);
		if (reached != log->begun && reached != log->ended)
		{
			ok = report(&r, "the last step is %ld, begun was %ld, acknowledged %ld", reached, log->begun,
						log->ended);
			break;
		}
		in_between += log->begun != log->ended;
		for (; next <= reached; next++)
		{
			Step step;

			step_random(&step, &model, next, campaign_seed);
			model_apply(&model, &step);
		}
		/* What the writer had begun and not committed is not tried again, to get on. */
		next = log->begun > reached ? log->begun + 1 : reached + 1;
		ok = check_database(path, &model, kills % 4 == 0, (uint64_t) kills, &r);
	}
	steps = log->steps;
	snprintf(label, sizeof(label), "%s_kills", name);
	figure("crash", label, (double) kills * 2);
	snprintf(label, sizeof(label), "%s_steps", name);
	figure("crash", label, (double) steps);
	snprintf(label, sizeof(label), "%s_merges", name);
	figure("crash", label, (double) log->merges);
	snprintf(label, sizeof(label), "%s_kills_within_a_transaction", name);
	figure("crash", label, (double) in_between);
	outcome("crash", name, ok && kills > 0 && check_database(path, &model, true, 1, &r), r.text);
}

void
campaign_crash(void)
{
	shim_skip_sync(true);
	crash_in(true, campaign_seconds / 2);
	crash_in(false, campaign_seconds / 2);
}
