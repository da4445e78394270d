/*
 * json.c
 *		The two wire formats of embedding servers.
 *
 * Ollama:	{"model", "input": [..], "dimensions"} -> {"embeddings": [[..], ..]}
 * OpenAI:	{"model", "input": [..], "dimensions", "encoding_format"}
 *			-> {"data": [{"index", "embedding": [..] or base64}, ..]}
 *
 * An answer is distrusted: as many vectors as texts, each index once, one
 * dimension throughout, every number finite in float32.  (Ollama answers an
 * empty input with 200 and no vectors.)
 */
#include "embed.h"

#include <json-c/json.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *
embed_request(const BridgeEmbedOptions *options, size_t count, const char *const *texts,
			  const size_t *lengths)
{
	struct json_object *request = json_object_new_object();
	struct json_object *input = json_object_new_array_ext((int) count);
	char *body = NULL;
	const char *text;
	bool failed = request == NULL || input == NULL;

	for (size_t i = 0; i < count && !failed; i++)
	{
		struct json_object *item = json_object_new_string_len(texts[i], (int) lengths[i]);

		if (item == NULL)
			failed = true;
		else if (json_object_array_add(input, item) != 0)
		{
			json_object_put(item);
			failed = true;
		}
	}
	if (!failed)
	{
		failed |= json_object_object_add(request, "model", json_object_new_string(options->model)) != 0;
		failed |= json_object_object_add(request, "input", json_object_get(input)) != 0;
		if (options->dimensions > 0)
			failed |=
				json_object_object_add(request, "dimensions", json_object_new_int(options->dimensions)) != 0;
		if (options->api == BRIDGE_EMBED_OPENAI)
			failed |=
				json_object_object_add(request, "encoding_format",
									   json_object_new_string(options->base64 ? "base64" : "float")) != 0;
	}
	if (!failed && (text = json_object_to_json_string_ext(
						request, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)) != NULL)
		body = strdup(text);
	json_object_put(input);
	json_object_put(request);
	return body;
}

static BridgeEmbedStatus wrong(BridgeEmbedError *error, long text, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static BridgeEmbedStatus
wrong(BridgeEmbedError *error, long text, const char *format, ...)
{
	va_list args;

	error->status = BRIDGE_EMBED_PROTOCOL;
	error->text = text;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return BRIDGE_EMBED_PROTOCOL;
}

static int
base64_digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/*
 * Decode into out, whose size is at least 3 * length / 4.  Returns the number
 * of bytes, or -1 where the text is no base64.
 */
static long
base64_decode(const char *text, size_t length, unsigned char *out)
{
	uint32_t bits = 0;
	int held = 0;
	long n = 0;

	while (length > 0 && text[length - 1] == '=')
		length--;
	for (size_t i = 0; i < length; i++)
	{
		int digit = base64_digit((unsigned char) text[i]);

		if (digit < 0)
			return -1;
		bits = bits << 6 | (uint32_t) digit;
		held += 6;
		if (held >= 8)
		{
			held -= 8;
			out[n++] = (unsigned char) (bits >> held);
		}
	}
	return n;
}

/*
 * One embedding, an array of numbers or a base64 string of little-endian
 * float32.  The first one read decides *dim and allocates *vectors.
 */
static BridgeEmbedStatus
read_embedding(struct json_object *item, size_t count, size_t i, float **vectors, int *dim,
			   BridgeEmbedError *error)
{
	bool encoded = json_object_is_type(item, json_type_string);
	unsigned char *bytes = NULL;
	size_t n;
	float *out;

	if (encoded)
	{
		size_t length = (size_t) json_object_get_string_len(item);
		long decoded;

		if ((bytes = malloc(length + 1)) == NULL)
			return error->status = BRIDGE_EMBED_NOMEM;
		decoded = base64_decode(json_object_get_string(item), length, bytes);
		if (decoded < 0 || decoded % 4 != 0)
		{
			free(bytes);
			return wrong(error, (long) i, "the embedding of text %zu is no base64 of float32", i + 1);
		}
		n = (size_t) decoded / 4;
	}
	else if (json_object_is_type(item, json_type_array))
		n = json_object_array_length(item);
	else
		return wrong(error, (long) i, "the embedding of text %zu is neither an array nor a string", i + 1);

	if (n == 0 || n > BRIDGE_MAX_DIM || (*dim != 0 && n != (size_t) *dim))
	{
		free(bytes);
		if (*dim != 0 && n != 0)
			return wrong(error, (long) i, "the embedding of text %zu has %zu dimensions, expected %d", i + 1,
						 n, *dim);
		return wrong(error, (long) i, "the embedding of text %zu has %zu dimensions, expected 1 to %d", i + 1,
					 n, BRIDGE_MAX_DIM);
	}
	*dim = (int) n;
	if (*vectors == NULL && (*vectors = malloc(count * n * sizeof(float))) == NULL)
	{
		free(bytes);
		return error->status = BRIDGE_EMBED_NOMEM;
	}
	out = *vectors + i * n;
	for (size_t j = 0; j < n; j++)
	{
		if (encoded)
		{
			uint32_t word = (uint32_t) bytes[4 * j] | (uint32_t) bytes[4 * j + 1] << 8 |
							(uint32_t) bytes[4 * j + 2] << 16 | (uint32_t) bytes[4 * j + 3] << 24;

			memcpy(&out[j], &word, sizeof(word));
		}
		else
		{
			struct json_object *number = json_object_array_get_idx(item, j);

			if (!json_object_is_type(number, json_type_double) && !json_object_is_type(number, json_type_int))
				return wrong(error, (long) i, "element %zu of the embedding of text %zu is no number", j + 1,
							 i + 1);
			out[j] = (float) json_object_get_double(number);
		}
		if (!isfinite(out[j]))
		{
			free(bytes);
			return wrong(error, (long) i, "element %zu of the embedding of text %zu is not finite", j + 1,
						 i + 1);
		}
	}
	free(bytes);
	return BRIDGE_EMBED_OK;
}

/* The embedding at position i and the text it is for; NULL when there is none. */
static struct json_object *
pick_embedding(BridgeEmbedApi api, struct json_object *list, size_t i, size_t *text)
{
	struct json_object *item = json_object_array_get_idx(list, i);
	struct json_object *field;

	*text = i;
	if (api == BRIDGE_EMBED_OLLAMA)
		return item;
	if (!json_object_is_type(item, json_type_object))
		return NULL;
	if (json_object_object_get_ex(item, "index", &field))
	{
		int64_t index = json_object_get_int64(field);

		if (!json_object_is_type(field, json_type_int) || index < 0)
			return NULL;
		*text = (size_t) index;
	}
	return json_object_object_get_ex(item, "embedding", &field) ? field : NULL;
}

static BridgeEmbedStatus
read_list(const BridgeEmbedOptions *options, struct json_object *answer, size_t count, float **vectors,
		  int *dim, BridgeEmbedError *error)
{
	const char *name = options->api == BRIDGE_EMBED_OLLAMA ? "embeddings" : "data";
	struct json_object *list;
	BridgeEmbedStatus status = BRIDGE_EMBED_OK;
	unsigned char *seen;

	if (!json_object_is_type(answer, json_type_object) || !json_object_object_get_ex(answer, name, &list) ||
		!json_object_is_type(list, json_type_array))
		return wrong(error, -1, "the answer has no array \"%s\"", name);
	if (json_object_array_length(list) != count)
		return wrong(error, -1, "the answer has %zu embeddings for %zu texts", json_object_array_length(list),
					 count);
	if ((seen = calloc(count, 1)) == NULL)
		return error->status = BRIDGE_EMBED_NOMEM;
	for (size_t i = 0; i < count && status == BRIDGE_EMBED_OK; i++)
	{
		size_t text;
		struct json_object *item = pick_embedding(options->api, list, i, &text);

		if (item == NULL)
			status =
				wrong(error, (long) i, "entry %zu of \"%s\" has no embedding or no valid index", i + 1, name);
		else if (text >= count || seen[text])
			status = wrong(error, (long) i, "entry %zu of \"%s\" has index %zu, which is %s", i + 1, name,
						   text, text >= count ? "beyond the texts sent" : "there twice");
		else
		{
			seen[text] = 1;
			status = read_embedding(item, count, text, vectors, dim, error);
		}
	}
	free(seen);
	return status;
}

BridgeEmbedStatus
embed_response(const BridgeEmbedOptions *options, const char *body, size_t length, size_t count,
			   float **vectors, int *dim, BridgeEmbedError *error)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *answer = NULL;
	BridgeEmbedStatus status;

	*vectors = NULL;
	if (tokener == NULL)
		return error->status = BRIDGE_EMBED_NOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	if (length <= INT32_MAX)
		answer = json_tokener_parse_ex(tokener, body, (int) length);
	if (answer == NULL)
	{
		enum json_tokener_error code = json_tokener_get_error(tokener);

		if (code == json_tokener_continue || length == 0)
			status = wrong(error, -1, "the answer of %zu bytes ends within its JSON", length);
		else
			status = wrong(error, -1, "the answer is no JSON (%s at byte %zu)", json_tokener_error_desc(code),
						   json_tokener_get_parse_end(tokener));
	}
	else
		status = read_list(options, answer, count, vectors, dim, error);
	json_object_put(answer);
	json_tokener_free(tokener);
	if (status != BRIDGE_EMBED_OK)
	{
		free(*vectors);
		*vectors = NULL;
	}
	return status;
}

/* Both kinds: {"error": "text"} and {"error": {"message": "text"}}; else the start of a plain text. */
void
embed_server_message(const char *body, size_t length, char *out, size_t size)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *answer = NULL;
	struct json_object *field = NULL;
	size_t n = 0;

	out[0] = '\0';
	if (tokener != NULL && length <= INT32_MAX)
		answer = json_tokener_parse_ex(tokener, body, (int) length);
	if (json_object_is_type(answer, json_type_object) && json_object_object_get_ex(answer, "error", &field))
	{
		struct json_object *message;

		if (json_object_is_type(field, json_type_object) &&
			json_object_object_get_ex(field, "message", &message))
			field = message;
		body = json_object_get_string(field);
		length = body == NULL ? 0 : strlen(body);
	}
	else if (answer != NULL)
		length = 0;
	/* one line of printable text, cut between characters */
	for (size_t i = 0; i < length && n + 1 < size; i++)
		out[n++] = (unsigned char) body[i] < ' ' || body[i] == 0x7f ? ' ' : body[i];
	out[n] = '\0';
	if (embed_invalid_utf8(out, n) >= 0)
		out[embed_invalid_utf8(out, n)] = '\0';
	json_object_put(answer);
	if (tokener != NULL)
		json_tokener_free(tokener);
}

long
embed_invalid_utf8(const char *text, size_t length)
{
	const unsigned char *s = (const unsigned char *) text;
	size_t i = 0;

	while (i < length)
	{
		unsigned char c = s[i];
		int more = c < 0x80                ? 0
				   : c >= 0xc2 && c < 0xe0 ? 1
				   : c >= 0xe0 && c < 0xf0 ? 2
				   : c >= 0xf0 && c < 0xf5 ? 3
										   : -1;

		if (more < 0 || i + (size_t) more >= length)
			return (long) i;
		for (int j = 1; j <= more; j++)
		{
			if ((s[i + (size_t) j] & 0xc0) != 0x80)
				return (long) i;
		}
		/* overlong forms, surrogates, beyond U+10FFFF */
		if ((c == 0xe0 && s[i + 1] < 0xa0) || (c == 0xed && s[i + 1] > 0x9f) ||
			(c == 0xf0 && s[i + 1] < 0x90) || (c == 0xf4 && s[i + 1] > 0x8f))
			return (long) i;
		i += (size_t) more + 1;
	}
	return -1;
}
