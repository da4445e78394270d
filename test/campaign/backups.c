/*
 * backups.c
 *		Databases copied, restored, swapped, attached and renamed, with and without
 *		their graph files.
 *
 * After each every database involved gives its own rows, merges, and leaves the
 * files of the others alone: their names, inodes and bytes are what they were.
 */
#define _GNU_SOURCE
#include "campaign.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *folder;
static bool wal;
static Report r;

/* A database: its name within the folder, and what it holds. */
typedef struct Base
{
	char path[400];
	Model model;
} Base;

static bool
shell(const char *format, ...)
{
	char command[2000], whole[2400];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	snprintf(whole, sizeof(whole), "cd '%s' && { %s; }", folder, command);
	return system(whole) == 0 ? true : report(&r, "%s", command);
}

/* The same index names and paths in each database, so that they could collide. */
static bool
make(Base *b, const char *name, uint64_t seed)
{
	sqlite3 *db;
	bool ok;

	snprintf(b->path, sizeof(b->path), "%s/%s", folder, name);
	db = open_database(b->path, &r);
	ok = db != NULL && set_up(db, wal, seed, 150, true, &b->model, &r);
	sqlite3_close(db);
	return ok;
}

static void
named(Base *b, const char *name, const Model *model)
{
	snprintf(b->path, sizeof(b->path), "%s/%s", folder, name);
	b->model = *model;
}

static bool
write_to(Base *b, int steps, bool save)
{
	sqlite3 *db = open_database(b->path, &r);
	bool ok = db != NULL;

	for (int i = 0; ok && i < steps; i++)
	{
		Step step;

		step_make(&step, STEP_DML, b->model.number + 1, campaign_seed + 77);
		if (step_run(db, &step, &b->model) != SQLITE_OK)
			ok = report(&r, "writing to %s: %s", b->path, sqlite3_errmsg(db));
		model_apply(&b->model, &step);
	}
	if (ok && save && step_run(db, &(Step){.kind = STEP_SAVE}, &b->model) != SQLITE_OK)
		ok = report(&r, "merging %s: %s", b->path, sqlite3_errmsg(db));
	sqlite3_close(db);
	return ok;
}

/* Answers first, then with writes, then after merges. */
static bool
check(Base *b)
{
	sqlite3 *db = open_database(b->path, &r);
	bool ok = db != NULL && check_answers(db, &b->model, campaign_seed, &r);

	sqlite3_close(db);
	ok = ok && write_to(b, 3, false);
	db = ok ? open_database(b->path, &r) : NULL;
	ok = ok && db != NULL && check_answers(db, &b->model, campaign_seed + 1, &r);
	sqlite3_close(db);
	ok = ok && write_to(b, 1, true) && write_to(b, 3, true);
	db = ok ? open_database(b->path, &r) : NULL;
	ok = ok && db != NULL && check_answers(db, &b->model, campaign_seed + 2, &r);
	sqlite3_close(db);
	return ok;
}

/* The graph is asked, not passed over. */
static bool
uses_graph(const Base *b)
{
	sqlite3 *db = open_database(b->path, &r);
	bool ok = db != NULL && check_answers(db, &b->model, 3, &r);

	if (ok &&
		(number(db, "SELECT hnsw_info('plain') ->> '$.graph.state' = 'used'") != 1 ||
		 number(db, "SELECT hnsw_info('%s') ->> '$.graph.state' = 'used'", model_index(&b->model)) != 1))
		ok = report(&r, "%s does not use its graph", b->path);
	sqlite3_close(db);
	return ok;
}

/* ---------- that files of others stay as they are ---------- */

static bool
remember(const char *within)
{
	return shell("(cd '%s' && find . -name '*hnsw*' ! -name '*-lock' -printf '%%i %%p\\n' | sort;"
				 " find . -name '*hnsw*' ! -name '*-lock' -exec md5sum {} + | sort) >remembered",
				 within);
}

static bool
unchanged(const char *within)
{
	if (shell("(cd '%s' && find . -name '*hnsw*' ! -name '*-lock' -printf '%%i %%p\\n' | sort;"
			  " find . -name '*hnsw*' ! -name '*-lock' -exec md5sum {} + | sort) | cmp -s - remembered",
			  within))
		return true;
	r.text[0] = '\0';
	return report(&r, "files of another database were touched in %s", within);
}

/* ---------- the cases ---------- */

static bool
online_backup(void)
{
	Base a, b;
	sqlite3 *from, *to = NULL;
	sqlite3_backup *backup;
	bool ok = shell("mkdir x y") && make(&a, "x/main.db", 1) && write_to(&a, 2, false) && remember("x");

	named(&b, "y/main.db", &a.model);
	from = open_database(a.path, &r);
	ok = ok && from != NULL && sqlite3_open(b.path, &to) == SQLITE_OK;
	backup = ok ? sqlite3_backup_init(to, "main", from, "main") : NULL;
	ok = ok && backup != NULL && sqlite3_backup_step(backup, -1) == SQLITE_DONE;
	sqlite3_backup_finish(backup);
	sqlite3_close(to);
	sqlite3_close(from);
	return ok && check(&b) && uses_graph(&b) && unchanged("x") && uses_graph(&a) && check(&a);
}

/* Beside the original, where the path= of both is one. */
static bool
vacuum_into_same_folder(void)
{
	Base a, b;
	sqlite3 *db;
	bool ok = shell("mkdir x") && make(&a, "x/main.db", 1) && write_to(&a, 2, false) && remember("x");

	named(&b, "x/copy.db", &a.model);
	db = open_database(a.path, &r);
	ok = ok && run(db, "VACUUM INTO '%s'", b.path) == SQLITE_OK;
	sqlite3_close(db);
	ok = ok && check(&b);
	/* What the copy has made is its own; the original's files are all there still. */
	ok = ok && shell("cd x && while read -r inode name; do case $inode in [0-9]*) if [ -e \"$name\" ] && [ "
					 "${#inode} -lt 30 ];"
					 " then [ $(stat -c %%i \"$name\") = $inode ] || exit 1; elif [ ${#inode} -lt 30 ]; then "
					 "exit 1; fi;;"
					 " esac; done <../remembered");
	return ok && uses_graph(&a) && check(&a) && check(&b) && uses_graph(&b);
}

static bool
copied(bool with_graphs)
{
	Base a, b;
	bool ok = shell("mkdir x y") && make(&a, "x/main.db", 1) && write_to(&a, 2, false) && remember("x") &&
			  shell("cp -p x/main.db y/; [ ! -e x/main.db-wal ] || cp -p x/main.db-wal y/") &&
			  (!with_graphs || shell("cp -p x/*hnsw* y/"));

	named(&b, "y/main.db", &a.model);
	return ok && check(&b) && uses_graph(&b) && unchanged("x") && uses_graph(&a) && check(&a);
}

static bool
file_copy(void)
{
	return copied(false);
}

static bool
file_copy_with_graphs(void)
{
	return copied(true);
}

/* The older bytes into the same file (same inode), or as a new file. */
static bool
restored(bool same_inode)
{
	Base a, old;
	bool ok = shell("mkdir x y") && make(&a, "x/main.db", 1) && shell("cp x/main.db* y/ && rm -f y/*hnsw*");

	old = a;
	ok = ok && write_to(&a, 4, true) && write_to(&a, 4, true) &&
		 shell(same_inode ? "rm -f x/main.db-wal x/main.db-shm && cat y/main.db >x/main.db"
						  : "rm -f x/main.db x/main.db-wal x/main.db-shm && cp y/main.db x/main.db");
	return ok && check(&old) && uses_graph(&old);
}

static bool
older_in_place(void)
{
	return restored(true);
}

static bool
older_as_new_file(void)
{
	return restored(false);
}

/* Restored, then as many other changes as were lost: the change numbers are the same again. */
static bool
older_with_equal_numbers(void)
{
	Base a, old;
	sqlite3 *db;
	bool ok = shell("mkdir x y") && make(&a, "x/main.db", 1) && shell("cp x/main.db y/");

	old = a;
	ok = ok && write_to(&a, 1, false);
	db = open_database(a.path, &r);
	for (int i = 1; ok && i <= 20; i++)
		ok = run(db, "SELECT hnsw_add(%d, '[%d,1,1,1,1,1,1,1]', 'plain')", i, i) == SQLITE_OK;
	ok = ok && run(db, "SELECT hnsw_save('plain')") == SQLITE_OK;
	sqlite3_close(db);
	ok = ok && shell("rm -f x/main.db-wal x/main.db-shm && cat y/main.db >x/main.db") &&
		 write_to(&old, 1, false);
	db = open_database(old.path, &r);
	for (uint32_t i = 1; ok && i <= 20; i++)
	{
		Step step = {.kind = STEP_DML, .number = old.model.number + 1, .op_count = 1};

		step.ops[0] = (Op){OP_ADD, (int) i, 0, 1000 + i};
		ok = step_run(db, &step, &old.model) == SQLITE_OK;
		model_apply(&old.model, &step);
	}
	sqlite3_close(db);
	return ok && check(&old) && uses_graph(&old);
}

static bool
swapped_graphs(void)
{
	Base a, b;
	bool ok = shell("mkdir x y") && make(&a, "x/main.db", 1) && make(&b, "y/main.db", 2) &&
			  shell("mkdir t && mv x/*hnsw* t/ && mv y/*hnsw* x/ && mv t/*hnsw* y/");

	return ok && check(&a) && check(&b) && check(&a) && uses_graph(&a) && uses_graph(&b);
}

static bool
swapped_databases(void)
{
	Base a, b, c, d;
	bool ok = shell("mkdir x") && make(&a, "x/a.db", 1) && make(&b, "x/b.db", 2) && write_to(&a, 2, false) &&
			  shell("cd x && mv a.db t && mv b.db a.db && mv t b.db");

	named(&c, "x/b.db", &a.model);
	named(&d, "x/a.db", &b.model);
	return ok && check(&c) && check(&d) && check(&c);
}

static bool
renamed_database(void)
{
	Base a, b;
	bool ok =
		shell("mkdir x") && make(&a, "x/main.db", 1) && write_to(&a, 2, false) &&
		shell("cd x && for f in main.db*; do case $f in *hnsw*) ;; *) mv $f other${f#main};; esac; done");

	named(&b, "x/other.db", &a.model);
	return ok && check(&b) && uses_graph(&b);
}

static bool
moved_folder(void)
{
	Base a, b;
	bool ok = shell("mkdir x") && make(&a, "x/main.db", 1) && write_to(&a, 2, false) && shell("mv x z");

	named(&b, "z/main.db", &a.model);
	return ok && uses_graph(&b) && check(&b) && uses_graph(&b);
}

/* A database and its copy on one connection. */
static bool
attached_copy(void)
{
	Base a, b;
	sqlite3 *db;
	bool ok = shell("mkdir x y") && make(&a, "x/main.db", 1) && shell("cp -p x/main.db x/*hnsw* y/") &&
			  remember("x");

	named(&b, "y/main.db", &a.model);
	db = open_database(a.path, &r);
	ok = ok && db != NULL && run(db, "ATTACH '%s' AS copy", b.path) == SQLITE_OK;
	for (uint32_t i = 1; ok && i <= 30; i++)
	{
		Step step = {.kind = STEP_DML, .number = b.model.number + 1, .op_count = 1};

		step.ops[0] = (Op){OP_ADD, (int) i, 0, 5000 + i};
		model_apply(&b.model, &step);
		ok = run(db, "UPDATE copy.progress SET n = %d", (int) step.number) == SQLITE_OK;
		if (ok)
		{
			float v[DIM];
			sqlite3_stmt *stmt = NULL;

			make_vector(5000 + i, v);
			sqlite3_prepare_v2(db, "SELECT hnsw_add(?, ?, 'copy.plain')", -1, &stmt, NULL);
			sqlite3_bind_int(stmt, 1, (int) i);
			sqlite3_bind_blob(stmt, 2, v, sizeof(v), SQLITE_STATIC);
			ok = sqlite3_step(stmt) == SQLITE_ROW;
			sqlite3_finalize(stmt);
		}
	}
	if (!ok)
		report(&r, "attached: %s", sqlite3_errmsg(db));
	/* Names without a schema mean main's. */
	ok = ok && check_answers(db, &a.model, 5, &r) &&
		 (run(db, "SELECT hnsw_save('copy.plain')") == SQLITE_OK || report(&r, "%s", sqlite3_errmsg(db)));
	ok = ok && check_answers(db, &a.model, 6, &r);
	sqlite3_close(db);
	return ok && unchanged("x") && check(&b) && uses_graph(&b) && uses_graph(&a) && check(&a);
}

/* The copy takes the original's place: same name, another inode. */
static bool
copy_in_its_place(void)
{
	Base a;
	bool ok = shell("mkdir x") && make(&a, "x/main.db", 1) && write_to(&a, 2, true) &&
			  write_to(&a, 2, false) && shell("cd x && cp main.db new && mv new main.db");

	return ok && check(&a) && uses_graph(&a);
}

/* Replaced under an open connection, which goes on with the old file, now nameless. */
static bool
replaced_while_open(void)
{
	Base a, b;
	sqlite3 *db;
	bool ok = shell("mkdir x y") && make(&a, "x/main.db", 1) && make(&b, "y/main.db", 2);

	db = open_database(a.path, &r);
	ok = ok && check_answers(db, &a.model, 1, &r) &&
		 shell("mv y/main.db x/main.db && rm -f x/main.db-wal x/main.db-shm");
	if (ok && run(db, "SELECT hnsw_save('plain')") == SQLITE_OK &&
		number(db, "SELECT hnsw_info('plain') ->> '$.graph.state' = 'used'") != 1)
		ok = report(&r, "a merge into a replaced database is told as done");
	ok = ok && check_answers(db, &a.model, 2, &r);
	sqlite3_close(db);
	named(&b, "x/main.db", &b.model);
	return ok && check(&b) && uses_graph(&b);
}

void
campaign_backups(void)
{
	static const struct
	{
		const char *name;
		bool (*run)(void);
	} cases[] = {{"online_backup", online_backup},
				 {"vacuum_into_same_folder", vacuum_into_same_folder},
				 {"file_copy", file_copy},
				 {"file_copy_with_graphs", file_copy_with_graphs},
				 {"older_in_place", older_in_place},
				 {"older_as_new_file", older_as_new_file},
				 {"older_with_equal_numbers", older_with_equal_numbers},
				 {"swapped_graphs", swapped_graphs},
				 {"swapped_databases", swapped_databases},
				 {"renamed_database", renamed_database},
				 {"moved_folder", moved_folder},
				 {"attached_copy", attached_copy},
				 {"copy_in_its_place", copy_in_its_place},
				 {"replaced_while_open", replaced_while_open}};
	int count = sizeof(cases) / sizeof(cases[0]);

	shim_skip_sync(true);
	for (int i = 0; i < count; i++)
		for (int w = 0; w < 2; w++)
		{
			char label[80];
			bool ok;

			snprintf(label, sizeof(label), "%s_%s", cases[i].name, w ? "wal" : "journal");
			if (!wanted(label))
				continue;
			wal = w;
			memset(&r, 0, sizeof(r));
			folder = strdup(fresh_folder("backups"));
			ok = cases[i].run();
			if (!ok && r.text[0] == '\0')
				report(&r, "a step of the case failed");
			outcome("backups", label, ok, r.text);
		}
	figure("backups", "cases", 2.0 * count);
}
