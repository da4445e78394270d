/*
 * embed.h
 *		Embeddings: the client of bridge.h (its transport is client.c), the two
 *		wire formats, and the SQL functions.
 */
#ifndef BRIDGE_EMBED_H
#define BRIDGE_EMBED_H

#include "sqlite_bridge/index/index.h"

/* ---------- json.c ---------- */

/*
 * The connection whose JSON functions read and write; sqlite3_close() it.
 * NULL when memory is short.
 */
sqlite3 *embed_json_open(void);

/*
 * The request body for these texts, sqlite3_malloc'd.  Texts must be valid
 * UTF-8.  On failure fills error's status, and its message but after NOMEM.
 */
BridgeEmbedStatus embed_request(sqlite3 *json, const BridgeEmbedOptions *options, size_t count,
								const char *const *texts, const size_t *lengths, char **body,
								BridgeEmbedError *error);

/*
 * Read an answer of status 200 into *vectors (malloc'd, count x *dim).  *dim is
 * the dimension demanded when not zero, and the dimension found afterwards.
 * Fills error's status, text and message; the caller adds URL and model.
 */
BridgeEmbedStatus embed_response(sqlite3 *json, const BridgeEmbedOptions *options, const char *body,
								 size_t length, size_t count, float **vectors, int *dim,
								 BridgeEmbedError *error);

/* The server's own words in an error answer, "" when there are none. */
void embed_server_message(sqlite3 *json, const char *body, size_t length, char *out, size_t size);

/* Offset of the first byte that is not valid UTF-8, or -1. */
long embed_invalid_utf8(const char *text, size_t length);

/* ---------- settings.c: what embed_config() holds ---------- */

/* Owned texts, NULL where not set, and the options made of them. */
typedef struct EmbedSettings
{
	char *url, *model, *key, *proxy;
	BridgeEmbedOptions options;
} EmbedSettings;

int embed_settings_init(EmbedSettings *settings);
void embed_settings_free(EmbedSettings *settings);
int embed_settings_set(EmbedSettings *settings, const char *name, const char *value, BridgeError *err);
int embed_settings_get(EmbedSettings *settings, const char *name, char **value, BridgeError *err);

/* ---------- functions.c: get_embedding, embed_config ---------- */

/* What a connection's embedding functions share. */
typedef struct EmbedState
{
	BridgeConnection *connection;
	BridgeEmbedClient *client; /* made at first use */
	EmbedSettings settings;
	int references;
} EmbedState;

/* The client, made when there is none yet; NULL when memory is short. */
BridgeEmbedClient *embed_state_client(EmbedState *state);

/* bridge_embed with the state's settings; its error as message and SQLite code. */
int embed_state_ask(EmbedState *state, size_t count, const char *const *texts, const size_t *lengths,
					float **vectors, int *dim, BridgeEmbedError *failure, BridgeError *err);

/* Registers these and embed_table; nothing where the host does not want them. */
int bridge_embed_register(BridgeConnection *connection, BridgeError *err);

/* ---------- table.c ---------- */

/* The SQL function embed_table(table, text, vector [, where [, batch]]). */
void embed_table_function(sqlite3_context *context, int argc, sqlite3_value **argv);

#endif /* BRIDGE_EMBED_H */
