/*
 * state.c
 *		What changes while an index lives: the values of the config table, read in one
 *		snapshot of the database, and written by merges.
 *
 * storage.c specifies them.
 */
#include "sqlite_bridge/store/store.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------- how far searches go ---------- */

/* What a measurement begins with; those of the past are of an ef, and were two numbers. */
#define TUNED_MARGIN "margin "

/* Anything but what bridge_store_set_tuned() writes counts as nothing found. */
void
bridge_tuned_parse(const char *text, BridgeTuned *tuned)
{
	long thousandths;
	long visits;
	char *end;

	*tuned = (BridgeTuned){0};
	if (text == NULL || strncmp(text, TUNED_MARGIN, strlen(TUNED_MARGIN)) != 0)
		return;
	thousandths = strtol(text + strlen(TUNED_MARGIN), &end, 10);
	if (*end != ' ' || thousandths < 1 || thousandths > 1000 * HNSW_MAX_MARGIN)
		return;
	visits = strtol(end + 1, &end, 10);
	if (*end != ' ' || visits < 1 || visits > INT32_MAX)
		return;
	tuned->margin = (double) thousandths / 1000;
	tuned->visits = (int) visits;
	tuned->rows = strtoll(end + 1, NULL, 10);
}

int
bridge_store_set_tuned(BridgeStore *store, const BridgeTuned *tuned, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_TUNED_PUT, &stmt, err);
	char *value;

	if (rc != SQLITE_OK)
		return rc;
	value = sqlite3_mprintf(TUNED_MARGIN "%d %d %lld", (int) lround(1000 * tuned->margin), tuned->visits,
							(sqlite3_int64) tuned->rows);
	if (value == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	sqlite3_bind_text(stmt, 1, value, -1, sqlite3_free);
	return bridge_store_finish(store, stmt, err);
}

/* Whether so many bytes are vectors that can be asked for. */
static bool
are_questions(const BridgeParams *params, const float *vectors, size_t bytes)
{
	size_t each = (size_t) params->dim * sizeof(float);

	if (bytes % each != 0 || bytes / each > HNSW_MAX_QUESTIONS)
		return false;
	for (size_t i = 0; i < bytes / each; i++)
		if (!bridge_indexable(params, vectors + i * (size_t) params->dim))
			return false;
	return true;
}

int
bridge_store_questions(BridgeStore *store, float **vectors, uint32_t *count, BridgeError *err)
{
	char *sql = bridge_store_expand(store, "SELECT value FROM %1.%2_config% WHERE key = 'questions'");
	sqlite3_stmt *stmt = NULL;
	int rc = sql ? sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

	*vectors = NULL;
	*count = 0;
	sqlite3_free(sql);
	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW &&
		sqlite3_column_type(stmt, 0) == SQLITE_BLOB)
	{
		const void *blob = sqlite3_column_blob(stmt, 0);
		size_t bytes = (size_t) sqlite3_column_bytes(stmt, 0);

		*vectors = sqlite3_malloc64(bytes + 1);
		if (*vectors != NULL && blob != NULL)
			memcpy(*vectors, blob, bytes);
		if (*vectors != NULL && blob != NULL && are_questions(&store->params, *vectors, bytes))
			*count = (uint32_t) (bytes / ((size_t) store->params.dim * sizeof(float)));
		else if (*vectors == NULL)
			rc = SQLITE_NOMEM;
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		(void) bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : err->code;
}

int
bridge_store_set_questions(BridgeStore *store, const HnswQuestions *questions, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc;

	if (questions->count == 0)
		return bridge_exec(store->db, err, "DELETE FROM \"%w\".\"%w_config\" WHERE key = 'questions'",
						   store->schema, store->table) == SQLITE_OK
				   ? SQLITE_OK
				   : bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	rc = bridge_store_statement(store, BRIDGE_STMT_CONFIG_PUT, &stmt, err);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_text(stmt, 1, "questions", -1, SQLITE_STATIC);
	if (sqlite3_bind_blob64(stmt, 2, questions->vectors,
							questions->count * (uint64_t) store->params.dim * sizeof(float),
							SQLITE_STATIC) != SQLITE_OK)
	{
		sqlite3_reset(stmt);
		return bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	}
	return bridge_store_finish(store, stmt, err);
}

double
bridge_store_margin(const BridgeStore *store, const BridgeTuned *tuned)
{
	if (store->params.ef_search > 0)
		return 0;
	return tuned->margin > 0 ? tuned->margin : HNSW_DEFAULT_MARGIN;
}

int
bridge_store_visits(const BridgeStore *store, const BridgeTuned *tuned)
{
	if (store->params.ef_search > 0)
		return store->params.ef_search;
	return tuned->visits > 0 ? tuned->visits : HNSW_DEFAULT_VISITS;
}

double
bridge_store_recall(const BridgeStore *store)
{
	return store->params.recall > 0 ? store->params.recall : BRIDGE_DEFAULT_RECALL;
}

/* ---------- the present graph and its position ---------- */

const char *
bridge_verdict_name(BridgeVerdict verdict)
{
	static const char *const names[BRIDGE_VERDICTS] = {"followed",  "triggers_missing", "triggers_made_anew",
													   "overtaken", "vacuumed",         "journal_lost"};

	return names[verdict];
}

static bool
parse_segments(const char *text, BridgeState *state)
{
	state->segment_count = 0;
	while (*text != '\0')
	{
		BridgeSegment *segment;
		char *end;

		if (state->segment_count == BRIDGE_MAX_SEGMENTS)
			return false;
		segment = &state->segments[state->segment_count++];
		if (!bridge_token_parse(text, segment->token) || text[16] != ' ')
			return false;
		segment->seq = strtoll(text + 17, &end, 10);
		if (end == text + 17 || segment->seq < 0 || (*end != '\0' && *end != ','))
			return false;
		text = *end == ',' ? end + 1 : end;
	}
	return true;
}

bool
bridge_state_names(const BridgeState *state, const uint8_t token[HNSW_TOKEN_BYTES])
{
	for (int i = 0; i < state->segment_count; i++)
		if (memcmp(state->segments[i].token, token, HNSW_TOKEN_BYTES) == 0)
			return true;
	return false;
}

/* "<seq> <tag>" of the row that the graph is the image as of, and the tag that this row has now. */
static void
read_position(BridgeStore *store, sqlite3_stmt *stmt, BridgeState *state)
{
	const char *text = (const char *) sqlite3_column_text(stmt, 5);
	char *end;

	state->verdict = store->follow.verdict;
	state->position = text != NULL ? strtoll(text, &end, 10) : 0;
	state->merged_cookie = sqlite3_column_int64(stmt, 8);
	state->last_tag = sqlite3_column_int64(stmt, 7);
	state->bad_rows = sqlite3_column_int64(stmt, 9);
	state->last_label = sqlite3_column_int64(stmt, 10); /* 0 where there is no such column */
	if (state->verdict != BRIDGE_FOLLOWED || state->segment_count == 0)
		return;
	if (state->position < 1 || *end != ' ' || sqlite3_column_type(stmt, 6) != SQLITE_INTEGER ||
		strtoll(end + 1, NULL, 10) != sqlite3_column_int64(stmt, 6) || state->counter < state->position ||
		state->counter > BRIDGE_LAST_SEQ)
		state->verdict = BRIDGE_JOURNAL_LOST;
}

int
bridge_store_set_config(BridgeStore *store, const char *key, const char *text, int64_t number,
						BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_CONFIG_PUT, &stmt, err);

	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	if (text != NULL)
		sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_int64(stmt, 2, number);
	return bridge_store_finish(store, stmt, err);
}

int
bridge_store_set_position(BridgeStore *store, int64_t seq, int64_t tag, BridgeError *err)
{
	char text[48] = "";

	if (seq > 0)
		sqlite3_snprintf(sizeof(text), text, "%lld %lld", (sqlite3_int64) seq, (sqlite3_int64) tag);
	return bridge_store_set_config(store, "position", text, 0, err);
}

int
bridge_store_state(BridgeStore *store, BridgeState *state, int64_t tag_seq, int64_t *tag, bool *found,
				   BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_STATE, &stmt, err);

	if (rc != SQLITE_OK)
		return rc;
	memset(state, 0, sizeof(*state));
	sqlite3_bind_int64(stmt, 1, tag_seq);
	rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	else if ((uint64_t) sqlite3_column_int64(stmt, 0) != store->id)
		rc = bridge_error(err, SQLITE_SCHEMA, "hnsw: table %s has been made anew", store->table);
	else
	{
		const char *current = (const char *) sqlite3_column_text(stmt, 2);

		rc = SQLITE_OK;
		state->counter = sqlite3_column_int64(stmt, 1);
		bridge_tuned_parse((const char *) sqlite3_column_text(stmt, 4), &state->tuned);
		if ((sqlite3_column_type(stmt, 1) != SQLITE_INTEGER && !store->journal) || current == NULL ||
			!parse_segments(current, state))
			rc = bridge_error(err, SQLITE_CORRUPT_VTAB, "hnsw: %s_config holds an impossible state",
							  store->table);
		else if (store->journal)
			read_position(store, stmt, state);
		else
		{
			state->position = state->segment_count > 0 ? state->segments[state->segment_count - 1].seq : 0;
			state->last_tag = sqlite3_column_int64(stmt, 5);
		}
		if (tag != NULL)
			*tag = sqlite3_column_int64(stmt, 3);
		if (found != NULL)
			*found = sqlite3_column_type(stmt, 3) != SQLITE_NULL;
	}
	sqlite3_reset(stmt);
	return rc;
}

/* ---------- its files ---------- */

int
bridge_store_set_current(BridgeStore *store, const BridgeSegment *segments, int count, const int64_t *hidden,
						 size_t hidden_count, BridgeError *err)
{
	sqlite3_stmt *stmt;
	sqlite3_str *text;
	char *value;
	int rc = bridge_store_set_labels(store, "hidden", count > 1 ? hidden : NULL, hidden_count, err);

	if (rc == SQLITE_OK)
		rc = bridge_store_statement(store, BRIDGE_STMT_CURRENT, &stmt, err);
	if (rc != SQLITE_OK)
		return rc;
	text = sqlite3_str_new(store->db);
	for (int i = 0; i < count; i++)
	{
		char token[17];

		bridge_token_format(segments[i].token, token);
		sqlite3_str_appendf(text, "%s%s %lld", i > 0 ? "," : "", token, (sqlite3_int64) segments[i].seq);
	}
	if (count == 0)
		sqlite3_str_append(text, "", 0);
	rc = sqlite3_str_errcode(text);
	value = sqlite3_str_finish(text);
	if (rc != SQLITE_OK)
	{
		sqlite3_free(value);
		return bridge_error(err, rc, "out of memory");
	}
	if (value == NULL)
		sqlite3_bind_text(stmt, 1, "", 0, SQLITE_STATIC);
	else
		sqlite3_bind_text(stmt, 1, value, -1, sqlite3_free);
	return bridge_store_finish(store, stmt, err);
}
