/*
 * faults.c
 *		Calls that fail: at call N once, and at call N and ever after.
 *
 * Whatever fails, the transaction is there as a whole or not at all, and there
 * if it was reported so; searches give right answers or an error; afterwards
 * the same connection goes on working, and the next merge succeeds.
 */
#define _GNU_SOURCE
#include "campaign.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_A_FAULT 0.035

typedef struct Fault
{
	const char *name;
	unsigned counts;
	ShimAction action;
	int error;
} Fault;

static const Fault faults[] = {
	{"full_disk", SHIM_WRITES, SHIM_FAIL, ENOSPC}, {"write_error", SHIM_WRITES, SHIM_FAIL, EIO},
	{"quota", SHIM_WRITES, SHIM_FAIL, EDQUOT},     {"no_right", SHIM_WRITES, SHIM_FAIL, EACCES},
	{"read_only", SHIM_WRITES, SHIM_FAIL, EROFS},  {"short_write", SHIM_WRITES, SHIM_SHORT, 0},
	{"read_error", SHIM_READS, SHIM_FAIL, EIO},    {"no_descriptor", SHIM_READS, SHIM_FAIL, EMFILE},
	{"no_address", SHIM_READS, SHIM_FAIL, ENOMEM}, {"short_read", SHIM_READS, SHIM_SHORT, 0},
	{"no_memory", SHIM_ALLOCS, SHIM_FAIL, ENOMEM},
};

/* Shared with the process that suffers. */
typedef struct Told
{
	bool ready, done;
	bool struck;
	bool mild; /* the operation succeeded all the same */
	long calls;
	int code;
	Model model;
	Report report;
} Told;

/* What a failed call may be told as. */
static bool
is_fitting(const Fault *fault, int rc)
{
	int primary = rc & 0xff;

	if (fault->counts == SHIM_ALLOCS)
		return primary == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM;
	/* SQLite takes EIO of a read for a damaged file system. */
	if (fault->counts == SHIM_READS && primary == SQLITE_CORRUPT)
		return true;
	return primary == SQLITE_IOERR || primary == SQLITE_FULL || primary == SQLITE_CANTOPEN ||
		   primary == SQLITE_READONLY || primary == SQLITE_NOMEM || primary == SQLITE_BUSY ||
		   primary == SQLITE_PROTOCOL || primary == SQLITE_PERM;
}

static void
sufferer(const Operation *o, bool wal, const Fault *fault, long at, bool lasting, const char *path,
		 Told *told)
{
	Report *r = &told->report;
	sqlite3 *db = open_database(path, r);
	Report under = {0};
	Model after;
	Step step;
	int rc;

	alarm((unsigned) (120 * clock_patience()));
	if (db == NULL || !operation_prepare(db, o, wal, &told->model, r))
		_exit(1);
	sqlite3_busy_timeout(db, 100);
	after = told->model;
	step_make(&step, o->kind, told->model.number + 1, campaign_seed);
	model_apply(&after, &step);
	told->ready = true;

	shim_arm(&(ShimPlan){fault->counts, at > 0 ? fault->action : SHIM_COUNT, at, fault->error, lasting});
	if (o->kind == STEP_READ)
		rc = check_answers(db, &told->model, (uint64_t) at, &under) ? SQLITE_OK : under.code;
	else
		rc = step_run(db, &step, &told->model);
	told->calls = shim_disarm(&told->struck);
	/* Without memory there is no ROLLBACK either; whoever has some again says it again. */
	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	told->mild = rc == SQLITE_OK;
	told->code = rc;

	if (under.text[0] != '\0' && under.code == 0)
		report(r, "a wrong answer: %s", under.text);
	else if (rc != SQLITE_OK && !is_fitting(fault, rc))
		report(r, "told as %d %s: %s", rc, sqlite3_errstr(rc),
			   under.text[0] ? under.text : sqlite3_errmsg(db));
	else if (rc == SQLITE_OK && committed(db) != after.number)
		report(r, "reported as done, but it is not");
	else
	{
		if (committed(db) == after.number)
			told->model = after;
		if (!check_answers(db, &told->model, 1, &under))
			report(r, "later, on the same connection: %s", under.text);
		else if (sqlite3_close(db) != SQLITE_OK)
			report(r, "closing: %s", sqlite3_errmsg(db));
	}
	told->done = true;
	_exit(0);
}

static bool
fail_once(const Operation *o, bool wal, const Fault *fault, long at, bool lasting, Told *told, Report *r)
{
	const char *folder = fresh_folder("faults");
	char path[400];
	pid_t pid;
	int status;

	memset(told, 0, sizeof(*told));
	snprintf(path, sizeof(path), "%s/main.db", folder);
	shim_watch(folder);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		sufferer(o, wal, fault, at, lasting, path, told);
	waitpid(pid, &status, 0);
	if (!told->done || told->report.text[0] != '\0')
		return report(r, "%s%d: %s", WIFSIGNALED(status) ? "signal " : "status ",
					  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), told->report.text);
	return check_database(path, &told->model, true, (uint64_t) at, r);
}

static void
every_fault(const Operation *o, bool wal, const Fault *fault, long most, long *injected, long *points,
			long *survived)
{
	Told *told = shared_memory(sizeof(*told));

	for (int lasting = 0; lasting < (fault->action == SHIM_SHORT ? 1 : 2); lasting++)
	{
		char label[120];
		Report r = {0};
		long calls, stride, at;
		bool ok;

		snprintf(label, sizeof(label), "%s_%s_%s%s", o->name, wal ? "wal" : "journal", fault->name,
				 lasting ? "_lasting" : "");
		if (!wanted(label))
			continue;
		ok = fail_once(o, wal, fault, 0, false, told, &r) && told->mild;
		calls = told->calls;
		stride = calls / most + 1;
		at = 1 + (long) (mix((uint64_t) (o - operations) * 64 + (uint64_t) (fault - faults) * 4 +
							 (uint64_t) wal * 2 + (uint64_t) lasting + campaign_seed) %
						 (uint64_t) stride);

		if (!ok)
			report(&r, "fails without any fault: %d", told->code);
		else if (calls == 0 && fault->counts != SHIM_READS && o->kind != STEP_READ)
			ok = report(&r, "no call was seen"); /* reads may all be served by SQLite's cache */
		for (; ok && at <= calls; at += stride)
		{
			ok = fail_once(o, wal, fault, at, lasting, told, &r);
			*injected += told->struck;
			*survived += told->struck && told->mild;
		}
		*points += calls;
		if (!ok)
			snprintf(label + strlen(label), sizeof(label) - strlen(label), " at call %ld of %ld", at - stride,
					 calls);
		outcome("faults", label, ok, r.text);
	}
}

void
campaign_faults(void)
{
	int kinds = sizeof(faults) / sizeof(faults[0]);
	double runs = operation_count * 2.0 * (2 * kinds - 2);
	double most = campaign_seconds > 0 ? campaign_seconds / runs / SECONDS_A_FAULT : 1e9;
	long injected = 0, points = 0, survived = 0;

	shim_skip_sync(true);
	for (int i = 0; i < operation_count; i++)
		for (int f = 0; f < kinds; f++)
			for (int wal = 0; wal < 2; wal++)
				/* short of time, journal modes and operations take turns */
				if (most >= 1 || (i + f + wal) % 2 == 0)
					every_fault(&operations[i], wal, &faults[f], most > 1 ? (long) most : 1, &injected,
								&points, &survived);
	figure("faults", "injected", (double) injected);
	figure("faults", "points", (double) points);
	figure("faults", "operations_that_succeeded_all_the_same", (double) survived);
}
