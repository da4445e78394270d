/*
 * table.c
 *		embed_table(table, text_column, vector_column [, where [, batch]]): fill
 *		in the vectors of the rows that have none.
 *
 * Rows are taken in order of rowid, a batch a request, and each batch is
 * committed by itself (inside a transaction of the caller's: with it), so that
 * a run that stops, for whatever reason, is simply started again.  A text that
 * the server refuses is left for the next run and reported; a batch that fails
 * is halved until the texts at fault stand alone, for one bad text fails its
 * whole request.  What no other text could do better with (no connection, a
 * missing model) ends the run with an error.
 *
 * Where the column feeds an hnsw index, the model's name is kept with the
 * index: see bridge_index_model.
 */
#include "sqlite_bridge/embed/embed.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BATCH 2048
#define MAX_REPORTED 100

typedef struct Run
{
	EmbedState *state;
	sqlite3 *db;
	sqlite3_stmt *select; /* ?1: rowid above which; ?2: how many */
	sqlite3_stmt *update; /* ?1: rowid, ?2: vector, only where it is still NULL */
	const char *table, *text, *vector;
	bool own_transaction; /* commit batch by batch */
	bool model_noted;
	int count, capacity; /* of the batch at hand, in three arrays: */
	sqlite3_int64 *rowids;
	char **texts; /* each sqlite3_malloc'd */
	size_t *lengths;
	sqlite3_int64 last;
	sqlite3_int64 embedded, failed;
	sqlite3_stmt *tell;  /* ?1: rowid, ?2: error -> a JSON object */
	sqlite3_str *errors; /* those objects, with commas between them */
} Run;

static int
prepare_run(Run *run, const char *where, BridgeError *err)
{
	char *select = sqlite3_mprintf("SELECT rowid, \"%w\" FROM \"%w\" WHERE rowid > ?1 AND \"%w\" IS NULL"
								   " AND \"%w\" IS NOT NULL AND (%s) ORDER BY rowid LIMIT ?2",
								   run->text, run->table, run->vector, run->text, where);
	char *update = sqlite3_mprintf("UPDATE \"%w\" SET \"%w\" = ?2 WHERE rowid = ?1 AND \"%w\" IS NULL",
								   run->table, run->vector, run->vector);
	int rc = SQLITE_NOMEM;

	if (select != NULL && update != NULL &&
		(rc = sqlite3_prepare_v2(run->db, select, -1, &run->select, NULL)) == SQLITE_OK)
		rc = sqlite3_prepare_v2(run->db, update, -1, &run->update, NULL);
	if (rc == SQLITE_OK)
		rc =
			sqlite3_prepare_v2(run->db, "SELECT json_object('rowid', ?1, 'error', ?2)", -1, &run->tell, NULL);
	sqlite3_free(select);
	sqlite3_free(update);
	return rc == SQLITE_OK ? rc : bridge_error_db(err, run->db, "embed_table");
}

static void
free_rows(Run *run)
{
	for (int i = 0; i < run->count; i++)
		sqlite3_free(run->texts[i]);
	run->count = 0;
}

/* Read the next batch; the statement is reset, so that no lock is held while waiting. */
static int
read_batch(Run *run, BridgeError *err)
{
	int rc;

	free_rows(run);
	sqlite3_bind_int64(run->select, 1, run->last);
	sqlite3_bind_int(run->select, 2, run->capacity);
	while ((rc = sqlite3_step(run->select)) == SQLITE_ROW)
	{
		const void *text = sqlite3_column_text(run->select, 1);
		size_t length = (size_t) sqlite3_column_bytes(run->select, 1);
		char *copy = sqlite3_malloc64(length + 1);

		if (text == NULL || copy == NULL)
		{
			sqlite3_free(copy);
			rc = SQLITE_NOMEM;
			break;
		}
		memcpy(copy, text, length);
		run->texts[run->count] = copy;
		run->lengths[run->count] = length;
		run->last = run->rowids[run->count] = sqlite3_column_int64(run->select, 0);
		run->count++;
	}
	if (rc != SQLITE_DONE)
		bridge_error_db(err, run->db, "embed_table: cannot read \"%s\"", run->table);
	sqlite3_reset(run->select);
	return rc == SQLITE_DONE ? SQLITE_OK : err->code;
}

static int
report(Run *run, sqlite3_int64 rowid, const char *why, BridgeError *err)
{
	const char *told = NULL;

	if (run->failed++ >= MAX_REPORTED)
		return SQLITE_OK;
	sqlite3_bind_int64(run->tell, 1, rowid);
	sqlite3_bind_text(run->tell, 2, why, -1, SQLITE_STATIC);
	if (sqlite3_step(run->tell) == SQLITE_ROW)
		told = (const char *) sqlite3_column_text(run->tell, 0);
	if (told == NULL)
		bridge_error_db(err, run->db, "embed_table");
	else
		sqlite3_str_appendf(run->errors, "%s%s", run->failed > 1 ? "," : "", told);
	sqlite3_reset(run->tell);
	return err->code;
}

/*
 * The column's index, if it feeds one, must hold vectors of this model; it
 * learns the model's name when it has none or none of its rows has a vector.
 */
static int
note_model(Run *run, BridgeError *err)
{
	sqlite3_stmt *find = NULL;
	int rc = sqlite3_prepare_v2(run->db,
								"SELECT schema, name FROM hnsw_indexes WHERE schema = 'main' AND"
								" lower(content) = lower(?1) AND lower(content_vector) = lower(?2)",
								-1, &find, NULL);

	if (rc == SQLITE_OK)
	{
		sqlite3_bind_text(find, 1, run->table, -1, SQLITE_STATIC);
		sqlite3_bind_text(find, 2, run->vector, -1, SQLITE_STATIC);
		while ((rc = sqlite3_step(find)) == SQLITE_ROW)
		{
			rc = bridge_index_claim_model(run->db, (const char *) sqlite3_column_text(find, 0),
										  (const char *) sqlite3_column_text(find, 1),
										  run->state->settings.options.model, err);
			if (rc != SQLITE_OK)
				break;
		}
	}
	if (rc != SQLITE_OK && rc != SQLITE_DONE && err->code == SQLITE_OK)
		bridge_error_db(err, run->db, "embed_table: cannot look for the index of \"%s\"", run->table);
	sqlite3_finalize(find);
	run->model_noted = true;
	return err->code;
}

static int
store(Run *run, int from, int count, const float *vectors, int dim, BridgeError *err)
{
	int rc = SQLITE_OK;

	if (run->own_transaction && (rc = bridge_exec(run->db, err, "BEGIN IMMEDIATE")) != SQLITE_OK)
		return rc;
	if (!run->model_noted)
		rc = note_model(run, err);
	for (int i = 0; i < count && rc == SQLITE_OK; i++)
	{
		sqlite3_bind_int64(run->update, 1, run->rowids[from + i]);
		sqlite3_bind_blob(run->update, 2, vectors + (size_t) i * (size_t) dim, dim * (int) sizeof(float),
						  SQLITE_STATIC);
		if (sqlite3_step(run->update) != SQLITE_DONE)
			rc = bridge_error_db(err, run->db, "embed_table: cannot update row %lld of \"%s\"",
								 run->rowids[from + i], run->table);
		else
			run->embedded += sqlite3_changes(run->db);
		sqlite3_reset(run->update);
	}
	if (run->own_transaction)
	{
		if (rc == SQLITE_OK)
			rc = bridge_exec(run->db, err, "COMMIT");
		if (rc != SQLITE_OK && !sqlite3_get_autocommit(run->db))
			sqlite3_exec(run->db, "ROLLBACK", NULL, NULL, NULL);
	}
	return rc;
}

/* Embed rows from .. from + count - 1, halving what fails. */
static int
embed_rows(Run *run, int from, int count, BridgeError *err)
{
	BridgeEmbedError failure = {0};
	float *vectors = NULL;
	int dim;
	int rc;

	rc = embed_state_ask(run->state, (size_t) count, (const char *const *) run->texts + from,
						 run->lengths + from, &vectors, &dim, &failure, err);
	if (rc == SQLITE_OK)
	{
		rc = store(run, from, count, vectors, dim, err);
		free(vectors);
		return rc;
	}
	if (!bridge_embed_is_of_text(&failure))
		return bridge_error_prefix(err, "embed_table");
	bridge_error_clear(err);
	if (count == 1)
		return report(run, run->rowids[from], failure.message, err);
	rc = embed_rows(run, from, count / 2, err);
	return rc == SQLITE_OK ? embed_rows(run, from + count / 2, count - count / 2, err) : rc;
}

static int
run_all(Run *run, BridgeError *err)
{
	int rc;

	while ((rc = read_batch(run, err)) == SQLITE_OK && run->count > 0)
	{
		rc = embed_rows(run, 0, run->count, err);
		if (rc != SQLITE_OK)
			break;
		if (bridge_cancelled(run->state->connection))
			return bridge_error(err, SQLITE_INTERRUPT, "embed_table: cancelled; %lld rows are done and kept",
								run->embedded);
	}
	return rc;
}

void
embed_table_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	Run run = {.state = sqlite3_user_data(context), .db = sqlite3_context_db_handle(context)};
	const char *where = argc > 3 ? (const char *) sqlite3_value_text(argv[3]) : NULL;
	int64_t batch = run.state->settings.options.batch_size;
	char *errors;
	BridgeError err = {0};

	run.table = (const char *) sqlite3_value_text(argv[0]);
	run.text = (const char *) sqlite3_value_text(argv[1]);
	run.vector = (const char *) sqlite3_value_text(argv[2]);
	if (argc > 4 && sqlite3_value_type(argv[4]) != SQLITE_NULL && !bridge_whole_number(argv[4], &batch))
		batch = 0;
	run.own_transaction = sqlite3_get_autocommit(run.db) != 0;
	run.last = INT64_MIN;
	if (run.table == NULL || run.text == NULL || run.vector == NULL)
		bridge_error(&err, SQLITE_ERROR,
					 "embed_table: table, text column and vector column must not be NULL");
	else if (batch < 1 || batch > MAX_BATCH)
		bridge_error(&err, SQLITE_ERROR, "embed_table: a batch has 1 to %d rows, not %s", MAX_BATCH,
					 sqlite3_value_text(argv[4]));
	else
	{
		run.capacity = (int) batch;
		run.rowids = sqlite3_malloc64((sqlite3_uint64) run.capacity * sizeof(*run.rowids));
		run.texts = sqlite3_malloc64((sqlite3_uint64) run.capacity * sizeof(*run.texts));
		run.lengths = sqlite3_malloc64((sqlite3_uint64) run.capacity * sizeof(*run.lengths));
		run.errors = sqlite3_str_new(run.db);
		if (run.rowids == NULL || run.texts == NULL || run.lengths == NULL)
			bridge_error(&err, SQLITE_NOMEM, "out of memory");
		else if (prepare_run(&run, where != NULL ? where : "1", &err) == SQLITE_OK)
			run_all(&run, &err);
	}
	errors = sqlite3_str_finish(run.errors);
	if (err.code != SQLITE_OK)
		bridge_error_result(context, &err);
	else
	{
		char *told = sqlite3_mprintf("{\"embedded\":%lld,\"failed\":%lld,\"errors\":[%s]}", run.embedded,
									 run.failed, errors != NULL ? errors : "");

		if (told != NULL)
			sqlite3_result_text(context, told, -1, sqlite3_free);
		else
			sqlite3_result_error_nomem(context);
	}
	sqlite3_free(errors);
	free_rows(&run);
	sqlite3_free(run.rowids);
	sqlite3_free(run.texts);
	sqlite3_free(run.lengths);
	sqlite3_finalize(run.select);
	sqlite3_finalize(run.update);
	sqlite3_finalize(run.tell);
	bridge_cancelled_end(run.state->connection);
}
