/*
 * json.c
 *		The two wire formats of embedding servers.
 *
 * Ollama:	{"model", "input": [..], "dimensions"} -> {"embeddings": [[..], ..]}
 * OpenAI:	{"model", "input": [..], "dimensions", "encoding_format"}
 *			-> {"data": [{"index", "embedding": [..] or base64}, ..]}
 *
 * SQLite's own JSON functions read and write them, on a connection to nothing
 * that a client keeps (embed_json_open): not on the user's, whose authorizer,
 * limits and functions are none of our business.
 *
 * An answer is distrusted: as many vectors as texts, each index once, one
 * dimension throughout, every number finite in float32.  (Ollama answers an
 * empty input with 200 and no vectors.)
 */
#include "sqlite_bridge/embed/embed.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sqlite3 *
embed_json_open(void)
{
	sqlite3 *json = NULL;

	if (sqlite3_open_v2(":memory:", &json, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
	{
		sqlite3_close(json);
		return NULL;
	}
	return json;
}

/* What SQLite says of the call that failed. */
static BridgeEmbedStatus
json_failed(sqlite3 *json, int rc, BridgeEmbedError *error)
{
	if (rc == SQLITE_NOMEM)
		return error->status = BRIDGE_EMBED_NOMEM;
	snprintf(error->message, sizeof(error->message), "SQLite cannot handle the embedding server's JSON: %s",
			 sqlite3_errmsg(json));
	return error->status = BRIDGE_EMBED_UNSUPPORTED;
}

/* Write the text as a JSON string. */
static int
put_string(sqlite3_stmt *quote, sqlite3_str *out, const char *text, size_t length)
{
	int rc = sqlite3_bind_text(quote, 1, text, (int) length, SQLITE_STATIC);

	if (rc == SQLITE_OK && (rc = sqlite3_step(quote)) == SQLITE_ROW)
	{
		const char *quoted = (const char *) sqlite3_column_text(quote, 0);

		if (quoted != NULL)
			sqlite3_str_append(out, quoted, sqlite3_column_bytes(quote, 0));
		rc = quoted != NULL ? SQLITE_OK : SQLITE_NOMEM;
	}
	sqlite3_reset(quote);
	return rc;
}

BridgeEmbedStatus
embed_request(sqlite3 *json, const BridgeEmbedOptions *options, size_t count, const char *const *texts,
			  const size_t *lengths, char **body, BridgeEmbedError *error)
{
	sqlite3_str *out = sqlite3_str_new(json);
	sqlite3_stmt *quote = NULL;
	int rc = sqlite3_prepare_v2(json, "SELECT json_quote(?1)", -1, &quote, NULL);
	BridgeEmbedStatus status = BRIDGE_EMBED_OK;

	sqlite3_str_appendall(out, "{\"model\":");
	if (rc == SQLITE_OK)
		rc = put_string(quote, out, options->model, strlen(options->model));
	sqlite3_str_appendall(out, ",\"input\":[");
	for (size_t i = 0; i < count && rc == SQLITE_OK; i++)
	{
		if (i > 0)
			sqlite3_str_appendchar(out, 1, ',');
		rc = put_string(quote, out, texts[i], lengths[i]);
	}
	sqlite3_str_appendchar(out, 1, ']');
	if (options->dimensions > 0)
		sqlite3_str_appendf(out, ",\"dimensions\":%d", options->dimensions);
	if (options->api == BRIDGE_EMBED_OPENAI)
		sqlite3_str_appendf(out, ",\"encoding_format\":\"%s\"", options->base64 ? "base64" : "float");
	sqlite3_str_appendchar(out, 1, '}');
	if (rc != SQLITE_OK)
		status = json_failed(json, rc, error);
	else if (sqlite3_str_errcode(out) == SQLITE_TOOBIG)
	{
		snprintf(error->message, sizeof(error->message), "the texts of one request are too long together");
		snprintf(error->hint, sizeof(error->hint), "Ask for fewer texts at a time.");
		status = error->status = BRIDGE_EMBED_INVALID;
	}
	else if (sqlite3_str_errcode(out) != SQLITE_OK)
		status = error->status = BRIDGE_EMBED_NOMEM;
	sqlite3_finalize(quote);
	*body = sqlite3_str_finish(out);
	if (status != BRIDGE_EMBED_OK)
	{
		sqlite3_free(*body);
		*body = NULL;
	}
	return status;
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

/* The vectors of an answer, as they are read. */
typedef struct Reading
{
	size_t count;   /* of texts */
	float *vectors; /* owned until all are read; count x dim, once the first is known */
	int dim;        /* demanded, or found; 0: neither yet */
	bool *seen;     /* which texts have theirs; count of them */
	float *scratch; /* BRIDGE_MAX_DIM + 1 floats */
} Reading;

/* Decode base64 of little-endian float32 into scratch; the number of floats, -1 where it is none. */
static int
read_base64(const char *text, size_t length, float *scratch)
{
	unsigned char *bytes = (unsigned char *) scratch;
	long n;

	if (length > (size_t) BRIDGE_MAX_DIM * 4 / 3 * 4)
		return BRIDGE_MAX_DIM + 1;
	n = base64_decode(text, length, bytes);
	if (n < 0 || n % 4 != 0)
		return -1;
	for (long i = 0; i < n / 4; i++)
	{
		uint32_t word = (uint32_t) bytes[4 * i] | (uint32_t) bytes[4 * i + 1] << 8 |
						(uint32_t) bytes[4 * i + 2] << 16 | (uint32_t) bytes[4 * i + 3] << 24;

		memcpy(&scratch[i], &word, sizeof(word));
	}
	return (int) (n / 4);
}

/*
 * The embedding of text i, in column 2 of the row: an array of numbers, or a
 * base64 string.  The first one read decides the dimension.
 */
static BridgeEmbedStatus
read_embedding(Reading *r, sqlite3_stmt *row, size_t i, BridgeEmbedError *error)
{
	const char *type = (const char *) sqlite3_column_text(row, 2);
	const char *text = (const char *) sqlite3_column_text(row, 3);
	size_t length = (size_t) sqlite3_column_bytes(row, 3);
	char why[200];
	int n = 0;

	if (type == NULL || text == NULL)
		return error->status = BRIDGE_EMBED_NOMEM;
	if (strcmp(type, "text") == 0)
	{
		n = read_base64(text, length, r->scratch);
		if (n < 0)
			return wrong(error, (long) i, "the embedding of text %zu is no base64 of float32", i + 1);
	}
	else if (strcmp(type, "array") != 0)
		return wrong(error, (long) i, "the embedding of text %zu is neither an array nor a string", i + 1);
	else if (strcmp(text, "[]") != 0)
	{
		n = bridge_vector_parse(text, length, r->scratch, BRIDGE_MAX_DIM, why, sizeof(why));
		if (n < 0)
			return wrong(error, (long) i, "the embedding of text %zu: %s", i + 1, why);
	}
	if (r->dim != 0 && n != 0 && n != r->dim)
		return wrong(error, (long) i, "the embedding of text %zu has %d dimensions, expected %d", i + 1, n,
					 r->dim);
	if (n == 0 || n > BRIDGE_MAX_DIM)
		return wrong(error, (long) i, "the embedding of text %zu has %d dimensions, expected 1 to %d", i + 1,
					 n, BRIDGE_MAX_DIM);
	for (int j = 0; j < n; j++)
	{
		if (!isfinite(r->scratch[j]))
			return wrong(error, (long) i, "element %d of the embedding of text %zu is not finite", j + 1,
						 i + 1);
	}
	r->dim = n;
	if (r->vectors == NULL && (r->vectors = malloc(r->count * (size_t) n * sizeof(float))) == NULL)
		return error->status = BRIDGE_EMBED_NOMEM;
	memcpy(r->vectors + i * (size_t) n, r->scratch, (size_t) n * sizeof(float));
	return BRIDGE_EMBED_OK;
}

/*
 * One row for each embedding: its place in the answer, the place of its text in the
 * request (NULL: none), type and value (NULL: none).
 */
#define OLLAMA_ROWS "SELECT key, key, type, value FROM json_each(?1, '$.embeddings')"
#define OPENAI_ROWS                                                                                          \
	"SELECT key, CASE ifnull(json_type(item, '$.index'), '') WHEN '' THEN key WHEN 'integer'"                \
	" THEN json_extract(item, '$.index') END, json_type(item, '$.embedding'),"                               \
	" json_extract(item, '$.embedding')"                                                                     \
	" FROM (SELECT key, CASE type WHEN 'object' THEN value ELSE '{}' END AS item FROM json_each(?1, "        \
	"'$.data'))"

static BridgeEmbedStatus
read_row(Reading *r, sqlite3_stmt *row, const char *list, BridgeEmbedError *error)
{
	size_t i = (size_t) sqlite3_column_int64(row, 0);
	sqlite3_int64 text = sqlite3_column_int64(row, 1);

	if (sqlite3_column_type(row, 1) == SQLITE_NULL || text < 0 || sqlite3_column_type(row, 3) == SQLITE_NULL)
		return wrong(error, (long) i, "entry %zu of \"%s\" has no embedding or no valid index", i + 1, list);
	if ((uint64_t) text >= r->count || r->seen[text])
		return wrong(error, (long) i, "entry %zu of \"%s\" has index %lld, which is %s", i + 1, list, text,
					 (uint64_t) text >= r->count ? "beyond the texts sent" : "there twice");
	r->seen[text] = true;
	return read_embedding(r, row, (size_t) text, error);
}

static BridgeEmbedStatus
read_rows(Reading *r, sqlite3 *json, bool ollama, const char *body, size_t length, BridgeEmbedError *error)
{
	sqlite3_stmt *row = NULL;
	BridgeEmbedStatus status = BRIDGE_EMBED_OK;
	int rc = sqlite3_prepare_v2(json, ollama ? OLLAMA_ROWS : OPENAI_ROWS, -1, &row, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(row, 1, body, (int) length, SQLITE_STATIC);
	while (rc == SQLITE_OK && status == BRIDGE_EMBED_OK && (rc = sqlite3_step(row)) == SQLITE_ROW)
	{
		status = read_row(r, row, ollama ? "embeddings" : "data", error);
		rc = SQLITE_OK;
	}
	if (rc != SQLITE_OK && rc != SQLITE_DONE)
		status = json_failed(json, rc, error);
	sqlite3_finalize(row);
	return status;
}

/* Whether the answer is JSON and has as many embeddings as it should. */
static BridgeEmbedStatus
look_over(sqlite3 *json, bool ollama, const char *body, size_t length, size_t count, BridgeEmbedError *error)
{
	const char *list = ollama ? "embeddings" : "data";
	sqlite3_stmt *stmt = NULL;
	BridgeEmbedStatus status = BRIDGE_EMBED_OK;
	int rc = sqlite3_prepare_v2(json,
								"SELECT valid, CASE WHEN valid AND json_type(?1, '$.' || ?2) = 'array'"
								" THEN json_array_length(?1, '$.' || ?2) END"
								" FROM (SELECT json_valid(?1) AS valid)",
								-1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, body, (int) length, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 2, list, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		status = json_failed(json, rc, error);
	else if (!sqlite3_column_int(stmt, 0))
		status = wrong(error, -1, "the answer of %zu bytes is no JSON, or ends within it", length);
	else if (sqlite3_column_type(stmt, 1) == SQLITE_NULL)
		status = wrong(error, -1, "the answer has no array \"%s\"", list);
	else if ((size_t) sqlite3_column_int64(stmt, 1) != count)
		status = wrong(error, -1, "the answer has %lld embeddings for %zu texts",
					   sqlite3_column_int64(stmt, 1), count);
	sqlite3_finalize(stmt);
	return status;
}

BridgeEmbedStatus
embed_response(sqlite3 *json, const BridgeEmbedOptions *options, const char *body, size_t length,
			   size_t count, float **vectors, int *dim, BridgeEmbedError *error)
{
	bool ollama = options->api == BRIDGE_EMBED_OLLAMA;
	Reading r = {.count = count, .dim = *dim};
	BridgeEmbedStatus status;

	*vectors = NULL;
	if (length > INT32_MAX)
		return wrong(error, -1, "the answer of %zu bytes is too large", length);
	status = look_over(json, ollama, body, length, count, error);
	if (status != BRIDGE_EMBED_OK)
		return status;
	r.seen = calloc(count, sizeof(*r.seen));
	r.scratch = malloc((BRIDGE_MAX_DIM + 1) * sizeof(float));
	if (r.seen == NULL || r.scratch == NULL)
		status = error->status = BRIDGE_EMBED_NOMEM;
	else
		status = read_rows(&r, json, ollama, body, length, error);
	free(r.seen);
	free(r.scratch);
	if (status == BRIDGE_EMBED_OK)
	{
		*vectors = r.vectors;
		*dim = r.dim;
	}
	else
		free(r.vectors);
	return status;
}

/* Both kinds: {"error": "text"} and {"error": {"message": "text"}}; else the start of a plain text. */
void
embed_server_message(sqlite3 *json, const char *body, size_t length, char *out, size_t size)
{
	sqlite3_stmt *stmt = NULL;
	size_t n = 0;

	if (length <= INT32_MAX &&
		sqlite3_prepare_v2(json,
						   "SELECT CASE WHEN json_valid(?1) THEN ifnull(ifnull("
						   "json_extract(?1, '$.error.message'), json_extract(?1, '$.error')), '')"
						   " ELSE ?1 END",
						   -1, &stmt, NULL) == SQLITE_OK &&
		sqlite3_bind_text(stmt, 1, body, (int) length, SQLITE_STATIC) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
	{
		body = (const char *) sqlite3_column_text(stmt, 0);
		length = body == NULL ? 0 : (size_t) sqlite3_column_bytes(stmt, 0);
	}
	/* one line of printable text, cut between characters */
	for (size_t i = 0; i < length && n + 1 < size; i++)
		out[n++] = (unsigned char) body[i] < ' ' || body[i] == 0x7f ? ' ' : body[i];
	out[n] = '\0';
	if (embed_invalid_utf8(out, n) >= 0)
		out[embed_invalid_utf8(out, n)] = '\0';
	sqlite3_finalize(stmt);
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
