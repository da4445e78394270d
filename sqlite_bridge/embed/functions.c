/*
 * functions.c
 *		get_embedding(text), embed_config(name [, value]) and embed_table() of a
 *		SQLite connection.
 *
 * A host that does not want SQL in the database file to cause requests (a
 * server, say) leaves BridgeHost.embedding false: then none of them exists.
 */
#include "sqlite_bridge/embed/embed.h"

#include <stdlib.h>
#include <string.h>

static void
state_release(void *arg)
{
	EmbedState *state = arg;

	if (--state->references > 0)
		return;
	bridge_embed_client_free(state->client);
	embed_settings_free(&state->settings);
	bridge_connection_release(state->connection);
	sqlite3_free(state);
}

BridgeEmbedClient *
embed_state_client(EmbedState *state)
{
	if (state->client == NULL)
		state->client = bridge_embed_client_new();
	return state->client;
}

static int
code_of(BridgeEmbedStatus status)
{
	switch (status)
	{
		case BRIDGE_EMBED_NOMEM:
			return SQLITE_NOMEM;
		case BRIDGE_EMBED_CANCELLED:
			return SQLITE_INTERRUPT;
		case BRIDGE_EMBED_INVALID:
			return SQLITE_MISMATCH;
		default:
			return SQLITE_ERROR;
	}
}

int
embed_state_ask(EmbedState *state, size_t count, const char *const *texts, const size_t *lengths,
				float **vectors, int *dim, BridgeEmbedError *failure, BridgeError *err)
{
	const BridgeEmbedOptions *options = &state->settings.options;
	BridgeEmbedClient *client = embed_state_client(state);
	BridgeEmbedStatus status;

	if (client == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	status = bridge_embed(client, options, count, texts, lengths, bridge_cancelled, state->connection,
						  vectors, dim, failure);
	bridge_cancelled_end(state->connection);
	if (status != BRIDGE_EMBED_OK)
		return bridge_error(err, code_of(status), "%s%s%s", failure->message,
							failure->hint[0] != '\0' ? ". " : "", failure->hint);
	for (size_t i = 0; i < count; i++)
		bridge_embed_remember(options->model, *vectors + i * (size_t) *dim, *dim);
	return SQLITE_OK;
}

/*
 * get_embedding(text) -> BLOB of float32.  The answer for a text that is
 * constant in its statement is kept with the statement (auxiliary data), so
 * that it is asked for once.
 */
static void
get_embedding(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	EmbedState *state = sqlite3_user_data(context);
	const char *text;
	size_t length;
	float *vector = sqlite3_get_auxdata(context, 0);
	int dim;
	BridgeEmbedError failure;
	BridgeError err = {0};

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	if (vector != NULL)
	{
		/* the dimension stands before the vector */
		memcpy(&dim, vector, sizeof(dim));
		sqlite3_result_blob(context, vector + 1, dim * (int) sizeof(float), SQLITE_TRANSIENT);
		return;
	}
	text = (const char *) sqlite3_value_text(argv[0]);
	length = (size_t) sqlite3_value_bytes(argv[0]);
	if (text == NULL)
	{
		sqlite3_result_error_nomem(context);
		return;
	}
	if (embed_state_ask(state, 1, &text, &length, &vector, &dim, &failure, &err) != SQLITE_OK)
	{
		bridge_error_prefix(&err, "get_embedding");
		bridge_error_result(context, &err);
		return;
	}
	sqlite3_result_blob(context, vector, dim * (int) sizeof(float), SQLITE_TRANSIENT);
	{
		float *kept = malloc(((size_t) dim + 1) * sizeof(float));

		if (kept != NULL)
		{
			memcpy(kept, &dim, sizeof(dim));
			memcpy(kept + 1, vector, (size_t) dim * sizeof(float));
			sqlite3_set_auxdata(context, 0, kept, free);
		}
	}
	free(vector);
}

/* embed_config(name) tells, embed_config(name, value) sets; NULL sets the default. */
static void
embed_config(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	EmbedState *state = sqlite3_user_data(context);
	const char *name = (const char *) sqlite3_value_text(argv[0]);
	BridgeError err = {0};
	char *value = NULL;
	char digits[24];
	const char *given = NULL;
	int64_t number;
	int rc = SQLITE_OK;

	if (argc == 2)
		given = (const char *) sqlite3_value_text(argv[1]);
	if (argc == 2 && sqlite3_value_type(argv[1]) == SQLITE_FLOAT && bridge_whole_number(argv[1], &number))
		given = sqlite3_snprintf(sizeof(digits), digits, "%lld", number);
	if (name == NULL)
	{
		sqlite3_result_error(context, "embed_config: the setting's name is NULL", -1);
		return;
	}
	if (argc == 2)
		rc = embed_settings_set(&state->settings, name, given, &err);
	if (rc == SQLITE_OK)
		rc = embed_settings_get(&state->settings, name, &value, &err);
	if (rc != SQLITE_OK)
		bridge_error_result(context, &err);
	else
		sqlite3_result_text(context, value, -1, sqlite3_free);
}

static int
add(EmbedState *state, const char *name, int argc, int flags,
	void (*function)(sqlite3_context *, int, sqlite3_value **))
{
	/* released by SQLite when the call fails, too */
	state->references++;
	return sqlite3_create_function_v2(state->connection->db, name, argc, SQLITE_UTF8 | flags, state, function,
									  NULL, NULL, state_release);
}

int
bridge_embed_register(BridgeConnection *connection, BridgeError *err)
{
	EmbedState *state;
	int rc;

	if (!connection->host.embedding)
		return SQLITE_OK;
	state = sqlite3_malloc64(sizeof(*state));
	if (state == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	memset(state, 0, sizeof(*state));
	state->references = 1;
	state->connection = bridge_connection_hold(connection);
	rc = embed_settings_init(&state->settings);
	if (rc == SQLITE_OK)
		rc = add(state, "get_embedding", 1, 0, get_embedding);
	if (rc == SQLITE_OK)
		rc = add(state, "embed_config", 1, SQLITE_DIRECTONLY, embed_config);
	if (rc == SQLITE_OK)
		rc = add(state, "embed_config", 2, SQLITE_DIRECTONLY, embed_config);
	for (int argc = 3; argc <= 5 && rc == SQLITE_OK; argc++)
		rc = add(state, "embed_table", argc, SQLITE_DIRECTONLY, embed_table_function);
	state_release(state);
	return rc == SQLITE_OK ? rc : bridge_error(err, rc, "cannot register the embedding functions");
}
