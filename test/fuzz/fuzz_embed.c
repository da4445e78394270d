/*
 * fuzz_embed.c
 *		libFuzzer target: whatever an embedding server answers, and whatever
 *		embed_config() is given.
 *
 * Byte 0: bit 0 OpenAI's form, bit 1 base64, bit 2 a dimension is demanded, bits 3
 * to 5 how many texts were sent, bit 6 a setting in place of an answer.  A setting
 * is a name, a zero byte, a value.
 */
#include "fuzz.h"

#include "sqlite_bridge/embed/embed.h"

#include <math.h>

static void
answer(sqlite3 *json, int how, const char *body, size_t size)
{
	BridgeEmbedOptions options;
	BridgeEmbedError error = {0};
	BridgeEmbedStatus status;
	size_t count = how >> 3 & 7;
	float *vectors = NULL;
	int dim;
	char said[640];

	bridge_embed_defaults(&options);
	options.api = how & 1 ? BRIDGE_EMBED_OPENAI : BRIDGE_EMBED_OLLAMA;
	options.base64 = (how & 2) != 0;
	dim = options.dimensions = how & 4 ? 3 : 0;
	status = embed_response(json, &options, body, size, count, &vectors, &dim, &error);
	if (status == BRIDGE_EMBED_OK)
	{
		must(count == 0 || (dim > 0 && dim <= BRIDGE_MAX_DIM), "a dimension that cannot be");
		must(count == 0 || !(how & 4) || dim == 3, "not the dimension demanded");
		for (size_t i = 0; i < count * (size_t) dim; i++)
			must(isfinite(vectors[i]), "a number that is none");
	}
	else
		must(vectors == NULL && memchr(error.message, '\0', sizeof(error.message)) != NULL,
			 "an error with vectors, or without an end");
	free(vectors);
	embed_server_message(json, body, size, said, sizeof(said));
	must(memchr(said, '\0', sizeof(said)) != NULL, "words without an end");
}

static void
setting(const char *text, size_t size)
{
	const char *zero = memchr(text, '\0', size);
	const char *value = zero != NULL ? zero + 1 : text + size;
	EmbedSettings settings;
	BridgeError err = {0};
	char *back = NULL;

	must(embed_settings_init(&settings) == SQLITE_OK, "no settings");
	if (embed_settings_set(&settings, text, value, &err) != SQLITE_OK)
		must(err.message != NULL, "an error without a message");
	bridge_error_clear(&err);
	if (embed_settings_get(&settings, text, &back, &err) != SQLITE_OK)
		must(err.message != NULL, "an error without a message");
	bridge_error_clear(&err);
	sqlite3_free(back);
	embed_settings_free(&settings);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static sqlite3 *json;
	char *text;

	fuzz_begin();
	if (size < 1)
		return 0;
	if (json == NULL)
		must((json = embed_json_open()) != NULL, "no JSON");
	/* the end of the text is the end of readable memory */
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] & 64)
		setting(text, size - 1);
	else
		answer(json, data[0], text, size - 1);
	free(text);
	return 0;
}
