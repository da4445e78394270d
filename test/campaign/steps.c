/*
 * steps.c
 *		Processes killed before every single call that changes a file.
 *
 * For each operation, in both journal modes: make the same database, start the
 * operation, die at call N; N = 1, 2, ... until the operation ends alive.  Three
 * deaths: plain; with half of a write done; and with a loss of power, after
 * which graph files keep only what was synced (SQLite's own files are left to
 * SQLite's tests).
 */
#define _GNU_SOURCE
#include "campaign.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Told by the process that dies. */
typedef struct Told
{
	bool ready; /* the operation began */
	bool ended; /* and was reported done */
	bool survived;
	long calls;
	Model before;
	Report report;
} Told;

static void
victim(const Operation *o, bool wal, ShimAction death, long at, const char *path, Told *told)
{
	sqlite3 *db = open_database(path, &told->report);
	Step step;

	if (db == NULL || !operation_prepare(db, o, wal, &told->before, &told->report))
		_exit(1);
	step_make(&step, o->kind, told->before.number + 1, campaign_seed);
	told->ready = true;
	shim_arm(&(ShimPlan){.counts = SHIM_WRITES, .action = death, .at = at});
	if (step_run(db, &step, &told->before) != SQLITE_OK)
	{
		report(&told->report, "%s", sqlite3_errmsg(db));
		_exit(1);
	}
	told->ended = true;
	sqlite3_close(db);
	told->calls = shim_disarm(NULL);
	told->survived = true;
	_exit(0);
}

/* One death.  False when something is wrong. */
static bool
die_once(const Operation *o, bool wal, ShimAction death, long at, Told *told, Report *r)
{
	const char *folder = fresh_folder("steps");
	Model model;
	char path[400];
	long reached;
	sqlite3 *db;
	Step step;
	pid_t pid;
	int status;

	memset(told, 0, sizeof(*told));
	snprintf(path, sizeof(path), "%s/main.db", folder);
	shim_watch(folder);
	pid = fork();
	if (pid == 0)
		victim(o, wal, death, at, path, told);
	waitpid(pid, &status, 0);
	if (told->report.text[0] != '\0' || !told->ready ||
		(WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : WEXITSTATUS(status) != 0))
		return report(r, "status %x: %s", status, told->report.text);

	db = open_database(path, r);
	reached = db != NULL ? committed(db) : -1;
	sqlite3_close(db);
	model = told->before;
	step_make(&step, o->kind, model.number + 1, campaign_seed);
	if (reached != model.number || told->ended)
		model_apply(&model, &step);
	if (reached != model.number)
		return report(r, "the last step is %ld instead of %ld%s", reached, model.number,
					  told->ended ? " (acknowledged)" : "");
	return check_database(path, &model, true, (uint64_t) at, r);
}

#define SECONDS_A_DEATH 0.03
#define KINDS 3

static void
every_step(const Operation *o, bool wal, long most, long *deaths, long *points)
{
	static const struct
	{
		const char *name;
		ShimAction death;
	} kinds[KINDS] = {{"killed", SHIM_KILL}, {"torn", SHIM_TORN}, {"power", SHIM_POWER}};
	Told *told = shared_memory(sizeof(*told));

	for (int k = 0; k < KINDS; k++)
	{
		char label[100];
		Report r = {0};
		bool ok;
		long calls, stride, at;

		snprintf(label, sizeof(label), "%s_%s_%s", o->name, wal ? "wal" : "journal", kinds[k].name);
		if (!wanted(label))
			continue;
		ok = die_once(o, wal, SHIM_COUNT, 0, told, &r) && told->survived;
		calls = told->calls;
		if (ok && calls == 0 && o->kind != STEP_READ)
			ok = report(&r, "no call was seen");
		/* a stride without common factors with what repeats in a protocol */
		stride = calls / most + 1;
		at = 1 + k % stride;

		for (; ok && at <= calls; at += stride)
		{
			ok = die_once(o, wal, kinds[k].death, at, told, &r);
			if (ok && told->survived)
				ok = report(&r, "call %ld of %ld was never made", at, calls);
			(*deaths)++;
		}
		*points += calls;
		if (!ok)
			snprintf(label + strlen(label), sizeof(label) - strlen(label), " at call %ld", at - stride);
		outcome("steps", label, ok, r.text);
	}
}

void
campaign_steps(void)
{
	int count = operation_count;
	double most = campaign_seconds > 0 ? campaign_seconds / (2 * KINDS * count) / SECONDS_A_DEATH : 1e9;
	long deaths = 0, points = 0;

	shim_skip_sync(true);
	for (int i = 0; i < count; i++)
		for (int wal = 0; wal < 2; wal++)
			every_step(&operations[i], wal, most > 2 ? (long) most : 2, &deaths, &points);
	figure("steps", "deaths", (double) deaths);
	figure("steps", "points", (double) points);
}
