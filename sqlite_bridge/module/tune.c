/*
 * tune.c
 *		hnsw_tune(table, question): an aggregate over questions of the user's own.
 *
 *	SELECT hnsw_tune('vss', question) FROM questions
 *
 * A merge measures how far searches must go by asking for stored vectors
 * (hnsw/tune.c).  Who knows what is asked in truth, and has some of it, gets the margin that
 * these questions need.  They are kept with the index, and later merges ask them again.
 * hnsw_tune(table) forgets them, and measures with stored vectors.
 *
 * Of many questions HNSW_MAX_QUESTIONS are taken, evenly.  The result is JSON: margin,
 * visits, recall (the share of the ten nearest that the questions find with it, NULL where it
 * was not measured), questions (how many were taken).
 */
#include "sqlite_bridge/module/module.h"

#include <string.h>

/* Fewer say too little: one neighbour that is missed would decide. */
#define LEAST_QUESTIONS 30

#define ROOM (2 * (size_t) HNSW_MAX_QUESTIONS)

/* What the aggregate has seen. */
typedef struct Asked
{
	char *name; /* of the index, owned; NULL: the only one */
	bool begun;
	bool forgets; /* there was no second argument */
	bool failed;  /* the statement has an error already */
	int dim;
	size_t count;
	float *vectors; /* room for ROOM of them; owned */
	int64_t seen;
	int64_t stride; /* each so many-th is taken */
} Asked;

/* ---------- collecting ---------- */

static int
begin(BridgeConnection *connection, Asked *asked, int argc, sqlite3_value **argv, BridgeError *err)
{
	const char *name = (const char *) sqlite3_value_text(argv[0]);
	BridgeIndex *index;
	int rc;

	asked->begun = true;
	asked->forgets = argc == 1;
	asked->stride = 1;
	asked->name = name != NULL ? sqlite3_mprintf("%s", name) : NULL;
	if (name != NULL && asked->name == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	rc = bridge_find_index(connection, asked->name, &index, err);
	if (rc != SQLITE_OK || asked->forgets)
		return rc;
	asked->dim = index->dim;
	asked->vectors = sqlite3_malloc64(ROOM * (size_t) asked->dim * sizeof(float));
	return asked->vectors == NULL ? bridge_error(err, SQLITE_NOMEM, "out of memory") : SQLITE_OK;
}

/* Every second of those that were taken goes. */
static void
thin_out(Asked *asked)
{
	size_t dim = (size_t) asked->dim;

	for (size_t i = 1; 2 * i < asked->count; i++)
		memcpy(asked->vectors + i * dim, asked->vectors + 2 * i * dim, dim * sizeof(float));
	asked->count = (asked->count + 1) / 2;
	asked->stride *= 2;
}

static int
take(Asked *asked, sqlite3_value *value, BridgeError *err)
{
	size_t dim = (size_t) asked->dim;
	BridgeVector vector = {0};
	int rc = bridge_vector_read(value, &vector, err);

	if (rc == SQLITE_OK && vector.data != NULL && vector.dim != asked->dim)
		rc = bridge_error(err, SQLITE_MISMATCH, "a question has %d dimensions, expected %d", vector.dim,
						  asked->dim);
	if (rc == SQLITE_OK && vector.data != NULL)
	{
		if (asked->count == ROOM)
			thin_out(asked);
		if (asked->seen++ % asked->stride == 0)
			memcpy(asked->vectors + asked->count++ * dim, vector.data, dim * sizeof(float));
	}
	bridge_vector_free(&vector);
	return rc;
}

static void
fail(sqlite3_context *context, Asked *asked, BridgeError *err)
{
	if (asked != NULL)
		asked->failed = true;
	bridge_error_prefix(err, "hnsw_tune");
	bridge_error_result(context, err);
}

static void
step(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	Asked *asked = sqlite3_aggregate_context(context, sizeof(*asked));
	BridgeError err = {0};
	int rc = SQLITE_OK;

	if (asked == NULL)
		rc = bridge_error(&err, SQLITE_NOMEM, "out of memory");
	else if (!asked->begun)
		rc = begin(sqlite3_user_data(context), asked, argc, argv, &err);
	if (rc == SQLITE_OK && !asked->forgets)
		rc = take(asked, argv[1], &err);
	if (rc != SQLITE_OK)
		fail(context, asked, &err);
}

/* ---------- measuring ---------- */

/* Evenly, no more than are asked. */
static HnswQuestions
choose(Asked *asked)
{
	size_t dim = (size_t) asked->dim;
	size_t count = asked->count < HNSW_MAX_QUESTIONS ? asked->count : HNSW_MAX_QUESTIONS;

	for (size_t i = 1; i < count; i++)
		memmove(asked->vectors + i * dim, asked->vectors + i * asked->count / count * dim,
				dim * sizeof(float));
	return (HnswQuestions){asked->vectors, (uint32_t) count};
}

/* Both or neither. */
static int
keep(BridgeStore *store, const HnswQuestions *questions, const BridgeTuned *tuned, BridgeError *err)
{
	BridgeError ignored = {0};
	int rc = bridge_exec(store->db, err, "SAVEPOINT hnsw_tune");

	if (rc != SQLITE_OK)
		return bridge_error_db(err, store->db, "keeping the margin");
	rc = bridge_store_set_questions(store, questions, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_set_tuned(store, tuned, err);
	if (rc == SQLITE_OK && bridge_exec(store->db, err, "RELEASE hnsw_tune") != SQLITE_OK)
		rc = bridge_error_db(err, store->db, "keeping the margin");
	if (rc != SQLITE_OK)
	{
		(void) bridge_exec(store->db, &ignored, "ROLLBACK TO hnsw_tune; RELEASE hnsw_tune");
		bridge_error_clear(&ignored);
	}
	return rc;
}

static int
measure(BridgeIndex *index, BridgeStore *store, const HnswQuestions *questions, HnswTuned *found,
		BridgeError *err)
{
	HnswTask task = {.cancelled = bridge_cancelled, .arg = index->connection};
	BridgeSnapshot *snapshot = NULL;
	BridgeState state;
	HnswError hnsw = {0};
	HnswStatus status;
	BridgeTuned tuned;
	int rc;

	for (uint32_t i = 0; i < questions->count; i++)
		if (!bridge_indexable(&store->params, questions->vectors + (size_t) i * (size_t) store->params.dim))
			return bridge_error(err, SQLITE_MISMATCH, "a question has length zero, or is not finite");
	if (store->params.ef_search > 0)
		return bridge_error(err, SQLITE_ERROR, "table %s was given ef_search = %d, which searches go by",
							store->table, store->params.ef_search);
	rc = bridge_content_state(store, &state, 0, NULL, NULL, err);
	if (rc == SQLITE_OK)
		rc = bridge_index_snapshot(index, &state, &snapshot, err);
	if (rc != SQLITE_OK)
		return rc;
	if (snapshot == NULL)
		return bridge_error(err, SQLITE_ERROR, "table %s has no graph to measure: hnsw_save makes one",
							store->table);
	status = hnsw_snapshot_tune(snapshot->graphs[0]->map, bridge_store_recall(store), questions, &task, found,
								&hnsw);
	tuned = (BridgeTuned){found->margin, (int) found->visits,
						  (int64_t) hnsw_snapshot_info(snapshot->graphs[0]->map)->count};
	bridge_snapshot_release(snapshot);
	if (status != HNSW_OK)
		return bridge_error_hnsw(err, status, &hnsw, "measuring the graph");
	return keep(store, questions, &tuned, err);
}

static int
tune(BridgeConnection *connection, Asked *asked, HnswTuned *found, uint32_t *count, BridgeError *err)
{
	HnswQuestions questions = choose(asked);
	BridgeIndex *index;
	BridgeTable *held;
	int rc = bridge_find_index(connection, asked->name, &index, err);

	*count = questions.count;
	if (rc == SQLITE_OK && !asked->forgets && index->dim != asked->dim)
		rc = bridge_error(err, SQLITE_SCHEMA, "table %s has been made anew", index->table);
	if (rc == SQLITE_OK && !asked->forgets && questions.count < LEAST_QUESTIONS)
		rc = bridge_error(err, SQLITE_ERROR,
						  "too few questions to measure by: %d, where %d are the least and 100 are better",
						  (int) questions.count, LEAST_QUESTIONS);
	if (rc != SQLITE_OK)
		return rc;
	held = bridge_table_hold(index->connected);
	rc = measure(index, held->store, &questions, found, err);
	bridge_table_release(held);
	return rc;
}

static void
final(sqlite3_context *context)
{
	Asked none = {.begun = true};
	Asked *asked = sqlite3_aggregate_context(context, 0);
	BridgeError err = {0};
	HnswTuned found = {0};
	uint32_t count = 0;
	char *json;

	/* without rows there was no step, and no name */
	if (asked == NULL || !asked->begun)
		asked = &none;
	if (!asked->failed)
	{
		int rc = asked == &none ? bridge_error(&err, SQLITE_ERROR, "there are no questions")
								: tune(sqlite3_user_data(context), asked, &found, &count, &err);

		json = rc != SQLITE_OK ? NULL
			   : found.recall > 0
				   ? sqlite3_mprintf("{\"margin\":%.3g,\"visits\":%u,\"recall\":%.4f,\"questions\":%u}",
									 (double) found.margin, found.visits, found.recall, count)
				   : sqlite3_mprintf("{\"margin\":%.3g,\"visits\":%u,\"recall\":null,\"questions\":%u}",
									 (double) found.margin, found.visits, count);
		if (rc == SQLITE_OK && json == NULL)
			rc = bridge_error(&err, SQLITE_NOMEM, "out of memory");
		if (rc != SQLITE_OK)
			fail(context, NULL, &err);
		else
		{
			sqlite3_result_text(context, json, -1, sqlite3_free);
			sqlite3_result_subtype(context, 'J');
		}
	}
	sqlite3_free(asked->name);
	sqlite3_free(asked->vectors);
	asked->name = NULL;
	asked->vectors = NULL;
}

int
bridge_tune_register(BridgeConnection *connection, BridgeError *err)
{
	for (int arguments = 1; arguments <= 2; arguments++)
	{
		int rc = sqlite3_create_function_v2(
			connection->db, "hnsw_tune", arguments, SQLITE_UTF8 | SQLITE_DIRECTONLY | SQLITE_RESULT_SUBTYPE,
			bridge_connection_hold(connection), NULL, step, final, bridge_connection_release);

		if (rc != SQLITE_OK)
			return bridge_error_db(err, connection->db, "registering hnsw_tune");
	}
	return SQLITE_OK;
}
