/*
 * readonly.c
 *		Databases, folders and file systems that cannot be written; graph files that
 *		cannot be read.
 *
 * Where SQLite reads the table, the index gives right answers; writes and merges
 * fail with a fitting code; and once it can be written again, all of it works.
 * Root is above permissions, so these cases run as another user then.
 */
#define _GNU_SOURCE
#include "../own_mounts.h"
#include "campaign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

typedef struct Case
{
	const char *name;
	const char *before; /* shell, in the folder */
	const char *uri;    /* appended to the database's name */
	const char *sql;    /* on the connection */
	bool mount;         /* a file system remounted read-only */
	bool writable;      /* writing works all the same */
} Case;

static const Case cases[] = {
	{"database_without_write_bits", "chmod 0444 main.db*", "", "", false, false},
	{"folder_without_write_bits", "chmod 0555 .", "", "", false, false},
	{"folder_and_files_without_write_bits", "chmod 0444 *; chmod 0555 .", "", "", false, false},
	{"opened_read_only", "true", "?mode=ro", "", false, false},
	{"opened_immutable", "true", "?mode=ro&immutable=1", "", false, false},
	{"query_only", "true", "", "PRAGMA query_only = ON", false, false},
	{"graph_files_without_read_bits", "chmod 0000 *hnsw*", "", "", false, true},
	{"lock_files_without_any_bits", "chmod 0000 *-lock", "", "", false, true},
	{"file_system_read_only", "true", "", "", true, false},
};

typedef struct Told
{
	bool done;
	bool skipped;
	Model model;
	Report report;
} Told;

static bool
is_refusal(int rc)
{
	return (rc & 0xff) == SQLITE_READONLY || (rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_PERM ||
		   rc == SQLITE_IOERR_LOCK;
}

static void
visit(const Case *c, const char *folder, bool wal, Told *told)
{
	Report *r = &told->report;
	char path[400], uri[500], command[900];
	Step step;
	sqlite3 *db;
	int rc;

	snprintf(path, sizeof(path), "%s/main.db", folder);
	if (c->mount && (!own_mounts() || mount("none", folder, "tmpfs", 0, "mode=0777") != 0))
	{
		told->skipped = true;
		return;
	}
	if (geteuid() == 0 && !c->mount &&
		(chown(folder, NOBODY, NOBODY) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
	{
		report(r, "cannot become another user");
		return;
	}
	db = open_database(path, r);
	if (db == NULL || !set_up(db, wal, campaign_seed, 100, true, &told->model, r))
		return;
	/* so that there is something to merge */
	step_make(&step, STEP_DML, 1, campaign_seed);
	step_run(db, &step, &told->model);
	model_apply(&told->model, &step);
	sqlite3_close(db);

	snprintf(command, sizeof(command), "cd '%s' && { %s; }", folder, c->before);
	if (system(command) != 0 || (c->mount && mount("none", folder, NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0))
	{
		report(r, "%s failed", c->before);
		return;
	}
	snprintf(uri, sizeof(uri), "file:%s%s", path, c->uri);
	db = open_database(uri, r);
	if (db == NULL)
		return;
	sqlite3_exec(db, c->sql, NULL, NULL, NULL);
	/* A WAL database without -shm cannot be read at all where none can be made. */
	if (run(db, "SELECT count(*) FROM documents") == SQLITE_OK && !check_answers(db, &told->model, 1, r))
		return;
	if (!c->writable)
	{
		if (!is_refusal(rc = run(db, "SELECT hnsw_add(1, '[1,2,3,4,5,6,7,8]', 'plain')")))
			report(r, "hnsw_add: %d %s", rc, sqlite3_errmsg(db));
		else if (!is_refusal(rc = run(db, "UPDATE documents SET embedding = NULL")))
			report(r, "UPDATE: %d %s", rc, sqlite3_errmsg(db));
		/* query_only speaks of this connection, and a merge has its own */
		else if (c->sql[0] == '\0' && !is_refusal(rc = run(db, "SELECT hnsw_rebuild('plain')")))
			report(r, "hnsw_rebuild: %d %s", rc, sqlite3_errmsg(db));
	}
	else
	{
		step_make(&step, STEP_DML, 2, campaign_seed);
		if ((rc = step_run(db, &step, &told->model)) != SQLITE_OK)
			report(r, "writing: %d %s", rc, sqlite3_errmsg(db));
		model_apply(&told->model, &step);
		check_answers(db, &told->model, 2, r);
		rc = run(db, "SELECT hnsw_save('plain')");
		if (rc != SQLITE_OK && !is_refusal(rc))
			report(r, "hnsw_save: %d %s", rc, sqlite3_errmsg(db));
	}
	if (run(db, "SELECT count(*) FROM documents") == SQLITE_OK)
		check_answers(db, &told->model, 3, r);
	if (sqlite3_close(db) != SQLITE_OK)
		report(r, "closing: %s", sqlite3_errmsg(db));
	if (c->mount)
		mount("none", folder, NULL, MS_REMOUNT, NULL);
	snprintf(command, sizeof(command), "cd '%s' && chmod 0777 . && chmod 0666 *", folder);
	if (system(command) != 0)
		report(r, "%s failed", command);
	check_database(path, &told->model, true, 4, r);
}

void
campaign_readonly(void)
{
	int run = 0;

	if (chmod(".", 0755) != 0)
		return;
	sqlite3_config(SQLITE_CONFIG_URI, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int wal = 0; wal < 2; wal++)
		{
			Told *told = shared_memory(sizeof(*told));
			const char *folder = fresh_folder("readonly");
			char label[100];
			int status;
			pid_t pid;

			snprintf(label, sizeof(label), "%s_%s", cases[i].name, wal ? "wal" : "journal");
			if (!wanted(label))
				continue;
			fflush(stdout);
			pid = fork();
			if (pid == 0)
			{
				visit(&cases[i], folder, wal, told);
				told->done = true;
				_exit(0);
			}
			waitpid(pid, &status, 0);
			if (!told->done)
				report(&told->report, "status %x", status);
			if (!told->skipped)
				outcome("readonly", label, told->report.text[0] == '\0', told->report.text);
			run += !told->skipped;
		}
	figure("readonly", "cases", run);
}
