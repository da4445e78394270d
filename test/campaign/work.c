/*
 * work.c
 *		The steps of the model as SQL.
 */
#include "campaign.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool
report(Report *r, const char *format, ...)
{
	va_list args;

	if (r->text[0] != '\0')
		return false;
	va_start(args, format);
	vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
	return false;
}

bool
report_code(Report *r, int code, const char *format, ...)
{
	va_list args;

	if (r->text[0] != '\0')
		return false;
	va_start(args, format);
	vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
	r->code = code;
	return false;
}

sqlite3 *
open_database(const char *path, Report *r)
{
	sqlite3 *db = NULL;
	char *message = NULL;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		report(r, "opening %s: %s", path, sqlite3_errmsg(db));
	else
	{
		sqlite3_extended_result_codes(db, 1);
		sqlite3_busy_timeout(db, 30000);
		sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
		if (sqlite3_load_extension(db, campaign_extension, NULL, &message) == SQLITE_OK)
			return db;
		report(r, "loading the extension: %s", message ? message : sqlite3_errmsg(db));
	}
	sqlite3_free(message);
	sqlite3_close(db);
	return NULL;
}

int
run(sqlite3 *db, const char *format, ...)
{
	va_list args;
	char *sql;
	int rc;

	va_start(args, format);
	sql = sqlite3_vmprintf(format, args);
	va_end(args);
	if (sql == NULL)
		return SQLITE_NOMEM;
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	return rc;
}

sqlite3_int64
number(sqlite3 *db, const char *format, ...)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3_int64 value = -1;
	va_list args;
	char *sql;

	va_start(args, format);
	sql = sqlite3_vmprintf(format, args);
	va_end(args);
	if (sql != NULL && sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return value;
}

long
committed(sqlite3 *db)
{
	return (long) number(db, "SELECT n FROM progress");
}

/* ---------- one statement ---------- */

/* As text or as bytes, by the version. */
static void
bind_vector(sqlite3_stmt *stmt, int at, uint32_t version)
{
	float vector[DIM];
	char text[400];
	int length = 0;

	if (!make_vector(version, vector))
		sqlite3_bind_null(stmt, at);
	else if (version % 2 == 0)
		sqlite3_bind_blob(stmt, at, vector, sizeof(vector), SQLITE_TRANSIENT);
	else
	{
		for (int i = 0; i < DIM; i++)
			length += snprintf(text + length, sizeof(text) - (size_t) length, "%c%d", i == 0 ? '[' : ',',
							   (int) vector[i]);
		snprintf(text + length, sizeof(text) - (size_t) length, "]");
		sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT);
	}
}

static int
op_run(sqlite3 *db, const Op *op)
{
	static const char *const statements[] = {
		[OP_INSERT] = "INSERT OR IGNORE INTO documents(id, name, embedding) VALUES (?1, ?2, ?3)",
		[OP_REPLACE] = "INSERT OR REPLACE INTO documents(id, name, embedding) VALUES (?1, ?2, ?3)",
		[OP_DELETE] = "DELETE FROM documents WHERE id = ?1",
		[OP_DELETE_RANGE] = "DELETE FROM documents WHERE id BETWEEN ?1 AND ?2",
		[OP_UPDATE] = "UPDATE documents SET embedding = ?3 WHERE id = ?1",
		[OP_MOVE] = "UPDATE OR REPLACE documents SET id = ?2 WHERE id = ?1",
		[OP_NAME] = "UPDATE OR REPLACE documents SET name = ?2 WHERE id = ?1",
		[OP_ADD] = "SELECT hnsw_add(?1, ?3, 'plain')",
		[OP_DEL] = "SELECT hnsw_del(?1, 'plain')",
		[OP_SAVEPOINT] = "SAVEPOINT s",
		[OP_ROLLBACK_TO] = "ROLLBACK TO s"};
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, statements[op->kind], -1, &stmt, NULL);

	if (rc == SQLITE_OK && op->kind < OP_SAVEPOINT)
	{
		sqlite3_bind_int(stmt, 1, op->a);
		if (sqlite3_bind_parameter_count(stmt) >= 2)
			sqlite3_bind_int(stmt, 2, op->b);
		if (sqlite3_bind_parameter_count(stmt) >= 3)
			bind_vector(stmt, 3, op->version);
	}
	if (rc == SQLITE_OK)
	{
		while (sqlite3_step(stmt) == SQLITE_ROW)
			;
		rc = sqlite3_finalize(stmt);
	}
	return rc;
}

/* ---------- steps ---------- */

static int
create_index(sqlite3 *db, const Model *model)
{
	return run(db,
			   "CREATE VIRTUAL TABLE %s USING hnsw(dim = 8, metric = l2, m = 8, ef = 60, content = documents,"
			   " content_vector = embedding)",
			   model_index(model));
}

static int
read_some(sqlite3 *db, const Model *model)
{
	int rc = run(db, "SELECT count(*), sum(distance) FROM plain('[1,2,3,4,5,6,7,8]', 10)");

	if (rc == SQLITE_OK && model->exists)
		rc = run(db, "SELECT count(*), sum(distance) FROM %s('[1,2,3,4,5,6,7,8]')", model_index(model));
	return rc;
}

static int
change(sqlite3 *db, const Step *step, const Model *before)
{
	Model after = *before;
	int rc = run(db, "BEGIN IMMEDIATE");

	if (rc != SQLITE_OK)
		return rc;
	model_apply(&after, step);
	for (int i = 0; rc == SQLITE_OK && i < step->op_count; i++)
		rc = op_run(db, &step->ops[i]);
	if (rc == SQLITE_OK && step->kind == STEP_RENAME)
		rc = run(db, "ALTER TABLE %s RENAME TO %s", model_index(before), model_index(&after));
	if (rc == SQLITE_OK && step->kind == STEP_DROP)
		rc = run(db, "DROP TABLE %s", model_index(before));
	if (rc == SQLITE_OK && step->kind == STEP_CREATE)
		rc = create_index(db, before);
	if (rc == SQLITE_OK)
		rc = run(db, "UPDATE progress SET n = %d", (int) step->number);
	if (rc == SQLITE_OK)
		rc = run(db, step->kind == STEP_ROLLBACK ? "ROLLBACK" : "COMMIT");
	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int
step_run(sqlite3 *db, const Step *step, const Model *before)
{
	int rc = SQLITE_OK;

	switch (step->kind)
	{
		case STEP_SAVE:
			if (before->exists)
				rc = run(db, "SELECT hnsw_save('%s')", model_index(before));
			return rc != SQLITE_OK ? rc : run(db, "SELECT hnsw_save('plain')");
		case STEP_REBUILD:
			return run(db, "SELECT hnsw_rebuild('%s')", model_index(before));
		case STEP_VACUUM:
			return run(db, step->number % 2 ? "VACUUM" : "PRAGMA wal_checkpoint(TRUNCATE)");
		case STEP_READ:
			return read_some(db, before);
		default:
			return change(db, step, before);
	}
}

bool
set_up(sqlite3 *db, bool wal, uint64_t seed, int rows, bool save, Model *model, Report *r)
{
	Step step = {.kind = STEP_DML, .number = 0};
	int rc;

	memset(model, 0, sizeof(*model));
	model->exists = true;
	rc = run(db,
			 "PRAGMA journal_mode = %s; PRAGMA synchronous = %s;"
			 "CREATE TABLE documents(id INTEGER PRIMARY KEY, name INTEGER UNIQUE, embedding);"
			 "CREATE TABLE progress(n INTEGER); INSERT INTO progress VALUES (0);"
			 "CREATE VIRTUAL TABLE plain USING hnsw(dim = 8, path = 'plain.hnsw', m = 8, ef = 60)",
			 wal ? "WAL" : "DELETE", wal ? "NORMAL" : "FULL");
	if (rc == SQLITE_OK)
		rc = create_index(db, model);
	for (int from = 1; rc == SQLITE_OK && from <= rows; from += OPS / 2)
	{
		step.op_count = 0;
		for (int i = from; i <= rows && i < from + OPS / 2; i++)
		{
			uint32_t version = (uint32_t) (mix(seed + (uint64_t) i) >> 33) + 1;

			step.ops[step.op_count++] = (Op){OP_INSERT, i, i, version};
			step.ops[step.op_count++] = (Op){OP_ADD, i, 0, version + 1};
		}
		rc = step_run(db, &step, model);
		model_apply(model, &step);
	}
	if (rc == SQLITE_OK && save)
		rc = step_run(db, &(Step){.kind = STEP_SAVE}, model);
	return rc == SQLITE_OK ? true : report(r, "setting up: %s", sqlite3_errmsg(db));
}
