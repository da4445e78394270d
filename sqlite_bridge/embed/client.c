/*
 * client.c
 *		Texts to vectors through an Ollama or OpenAI-compatible server.
 *
 * One client holds one libcurl multi handle, whose connection pool keeps
 * connections alive between requests and calls.  The multi interface is used,
 * rather than a plain transfer, so that waiting can be cancelled at any time.
 *
 * What is trusted: the URL, which comes from an administrator's settings.
 * What is not: everything that comes back.  Redirects are not followed, the
 * environment's proxies are ignored, the size of an answer is bounded by what
 * the texts asked for can need, and the time of a request, with its retries,
 * by one deadline.  The key never reaches a message: should the server repeat
 * it, it is blotted out.
 */
#include "sqlite_bridge/embed/curl.h"
#include "sqlite_bridge/embed/embed.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long a wait lasts before cancelled() is asked again. */
#define POLL_MS 50

/* What an answer may hold: so much a number, and something for the rest. */
#define BYTES_A_NUMBER 32
#define BYTES_BESIDES (1024 * 1024)

#define MESSAGE_OF_SERVER 300

struct BridgeEmbedClient
{
	const EmbedCurl *curl; /* NULL before the first request */
	sqlite3 *json;         /* its JSON functions write requests and read answers */
	CURLM *multi;
	CURL *easy;
	uint64_t jitter; /* state of the generator of backoff jitter */
};

/* One request under way. */
typedef struct Transfer
{
	char *body; /* the answer so far */
	size_t length;
	size_t capacity;
	size_t limit;
	bool too_large;
	bool out_of_memory;
	char curl_error[CURL_ERROR_SIZE];
	CURLcode result;
	long http_status;
	long retry_after; /* seconds, 0 when not said */
} Transfer;

typedef struct Cancel
{
	bool (*asked)(void *arg);
	void *arg;
} Cancel;

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

BridgeEmbedClient *
bridge_embed_client_new(void)
{
	BridgeEmbedClient *client = calloc(1, sizeof(*client));

	if (client != NULL)
		client->jitter = (uint64_t) now_ms() ^ (uintptr_t) client;
	return client;
}

void
bridge_embed_client_free(BridgeEmbedClient *client)
{
	if (client == NULL)
		return;
	if (client->easy != NULL)
		client->curl->easy_cleanup(client->easy);
	if (client->multi != NULL)
		client->curl->multi_cleanup(client->multi);
	sqlite3_close(client->json);
	free(client);
}

void
bridge_embed_defaults(BridgeEmbedOptions *options)
{
	*options = (BridgeEmbedOptions){
		.url = "http://127.0.0.1:11434",
		.model = "all-minilm:latest",
		.api = BRIDGE_EMBED_OLLAMA,
		.timeout = 60000,
		.batch_size = 64,
		.retries = 3,
	};
}

static BridgeEmbedStatus fail(BridgeEmbedError *error, BridgeEmbedStatus status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static BridgeEmbedStatus
fail(BridgeEmbedError *error, BridgeEmbedStatus status, const char *format, ...)
{
	va_list args;

	error->status = status;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return status;
}

/* Have at hand what a request needs. */
static BridgeEmbedStatus
start(BridgeEmbedClient *client, BridgeEmbedError *error)
{
	char why[300] = "";

	if (client->curl == NULL && (client->curl = embed_curl(why, sizeof(why))) == NULL)
	{
		snprintf(error->hint, sizeof(error->hint),
				 "Install it where programs find their libraries: libcurl4 on Debian, libcurl elsewhere.");
		return fail(error, BRIDGE_EMBED_UNSUPPORTED,
					"cannot use libcurl, which talks to embedding servers: %s", why);
	}
	if (client->json == NULL)
		client->json = embed_json_open();
	if (client->multi == NULL)
		client->multi = client->curl->multi_init();
	if (client->easy == NULL)
		client->easy = client->curl->easy_init();
	if (client->json == NULL || client->multi == NULL || client->easy == NULL)
		return error->status = BRIDGE_EMBED_NOMEM;
	return BRIDGE_EMBED_OK;
}

/*
 * Check the base URL and make of it the endpoint to call and a form to show,
 * which has no user name and password.  Both are curl's (curl_free).
 */
static BridgeEmbedStatus
endpoint(const EmbedCurl *curl, const BridgeEmbedOptions *options, char **call, char **shown,
		 BridgeEmbedError *error)
{
	CURLU *url = curl->url();
	char *scheme = NULL;
	char *path = NULL;
	BridgeEmbedStatus status = BRIDGE_EMBED_OK;

	*call = *shown = NULL;
	if (url == NULL)
		return error->status = BRIDGE_EMBED_NOMEM;
	if (curl->url_set(url, CURLUPART_URL, options->url, 0) != CURLUE_OK ||
		curl->url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
		(strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
	{
		status = fail(error, BRIDGE_EMBED_INVALID, "the embedding server's URL is not valid");
		snprintf(error->hint, sizeof(error->hint),
				 "It must look like http://127.0.0.1:11434 or https://host.");
	}
	else
	{
		const char *tail = options->api == BRIDGE_EMBED_OLLAMA ? "/api/embed" : "/v1/embeddings";
		char *full = NULL;
		size_t n;

		if (curl->url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK)
		{
			for (n = strlen(path); n > 0 && path[n - 1] == '/';)
				path[--n] = '\0';
			/* both https://host and https://host/v1 are how people write it */
			if (options->api == BRIDGE_EMBED_OPENAI && n >= 3 && strcmp(path + n - 3, "/v1") == 0)
				path[n -= 3] = '\0';
			if ((full = malloc(n + strlen(tail) + 1)) != NULL)
				sprintf(full, "%s%s", path, tail);
		}
		if (full == NULL || curl->url_set(url, CURLUPART_PATH, full, 0) != CURLUE_OK ||
			curl->url_get(url, CURLUPART_URL, call, 0) != CURLUE_OK ||
			curl->url_set(url, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
			curl->url_set(url, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK ||
			curl->url_set(url, CURLUPART_QUERY, NULL, 0) != CURLUE_OK ||
			curl->url_get(url, CURLUPART_URL, shown, 0) != CURLUE_OK)
			status = error->status = BRIDGE_EMBED_NOMEM;
		free(full);
	}
	curl->free(scheme);
	curl->free(path);
	curl->url_cleanup(url);
	return status;
}

static size_t
receive(char *data, size_t size, size_t n, void *arg)
{
	Transfer *transfer = arg;
	size_t bytes = size * n;

	if (bytes > transfer->limit - transfer->length)
	{
		transfer->too_large = true;
		return 0;
	}
	if (transfer->length + bytes > transfer->capacity)
	{
		size_t capacity = 2 * (transfer->length + bytes);
		char *body = realloc(transfer->body, capacity);

		if (body == NULL)
		{
			transfer->out_of_memory = true;
			return 0;
		}
		transfer->body = body;
		transfer->capacity = capacity;
	}
	memcpy(transfer->body + transfer->length, data, bytes);
	transfer->length += bytes;
	return bytes;
}

static void
prepare(BridgeEmbedClient *client, const BridgeEmbedOptions *options, const char *url, const char *body,
		struct curl_slist *headers, int64_t time_left, Transfer *transfer)
{
	const EmbedCurl *curl = client->curl;
	CURL *easy = client->easy;

	curl->easy_reset(easy);
	curl->easy_setopt(easy, CURLOPT_URL, url);
	curl->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl->easy_setopt(easy, CURLOPT_PROXY, options->proxy != NULL ? options->proxy : "");
	curl->easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	curl->easy_setopt(easy, CURLOPT_USERAGENT, "vss_fdw");
	curl->easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) strlen(body));
	curl->easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
	curl->easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_error);
	curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl->easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl->easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) time_left);
	/* an unreachable host should be told from a slow one before all is spent */
	curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) (time_left < 10000 ? time_left : 10000));
}

/*
 * Run the prepared transfer to its end; false when cancelled.  libcurl may
 * start a thread to resolve names: it inherits a mask in which every signal is
 * blocked, so that the host's handlers never run there.
 */
static bool
run(BridgeEmbedClient *client, Transfer *transfer, const Cancel *cancel)
{
	const EmbedCurl *curl = client->curl;
	int running = 1;
	bool cancelled = false;
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	if (curl->multi_add_handle(client->multi, client->easy) != CURLM_OK)
	{
		transfer->result = CURLE_OUT_OF_MEMORY;
		return true;
	}
	transfer->result = CURLE_OK;
	while (running && !cancelled)
	{
		CURLMcode code;

		pthread_sigmask(SIG_BLOCK, &all, &before);
		code = curl->multi_perform(client->multi, &running);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (code == CURLM_OK && running)
			code = curl->multi_poll(client->multi, NULL, 0, POLL_MS, NULL);
		if (code != CURLM_OK)
		{
			transfer->result = code == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_FAILED_INIT;
			break;
		}
		cancelled = running && cancel->asked != NULL && cancel->asked(cancel->arg);
	}
	if (!running)
	{
		int left;
		CURLMsg *message = curl->multi_info_read(client->multi, &left);

		if (message != NULL && message->msg == CURLMSG_DONE)
			transfer->result = message->data.result;
	}
	curl->multi_remove_handle(client->multi, client->easy);
	if (!cancelled && transfer->result == CURLE_OK)
	{
		curl_off_t after = 0;

		curl->easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &transfer->http_status);
		curl->easy_getinfo(client->easy, CURLINFO_RETRY_AFTER, &after);
		transfer->retry_after = (long) after;
	}
	return !cancelled;
}

/* Replace every occurrence of the key in text. */
static void
blot_out(char *text, const char *key)
{
	size_t n = key == NULL ? 0 : strlen(key);
	char *at;

	if (n == 0)
		return;
	while ((at = strstr(text, key)) != NULL)
		memset(at, '*', n);
}

/* Why the transfer gave no answer with status 200, in words. */
static BridgeEmbedStatus
explain(const BridgeEmbedClient *client, const BridgeEmbedOptions *options, const char *shown,
		const Transfer *transfer, BridgeEmbedError *error)
{
	char said[MESSAGE_OF_SERVER];
	char quoted[MESSAGE_OF_SERVER + 4];

	error->http_status = transfer->http_status;
	if (transfer->out_of_memory || transfer->result == CURLE_OUT_OF_MEMORY)
		return error->status = BRIDGE_EMBED_NOMEM;
	if (transfer->too_large)
		return fail(error, BRIDGE_EMBED_PROTOCOL,
					"the answer of %s is larger than the %zu bytes these texts can need", shown,
					transfer->limit);
	if (transfer->result == CURLE_OPERATION_TIMEDOUT)
	{
		snprintf(error->hint, sizeof(error->hint),
				 "Loading a model can take long; raise the timeout (%d ms) or try again.", options->timeout);
		return fail(error, BRIDGE_EMBED_TIMEOUT, "%s did not answer in time for model \"%s\"", shown,
					options->model);
	}
	if (transfer->result != CURLE_OK)
	{
		const char *why = transfer->curl_error[0] != '\0' ? transfer->curl_error
														  : client->curl->easy_strerror(transfer->result);

		if (transfer->result == CURLE_COULDNT_CONNECT)
			snprintf(error->hint, sizeof(error->hint),
					 "Is the server running there? Ollama is started with \"ollama serve\".");
		return fail(error, BRIDGE_EMBED_CONNECT, "cannot get an answer from %s: %s", shown, why);
	}

	embed_server_message(client->json, transfer->body, transfer->length, said, sizeof(said));
	blot_out(said, options->key);
	snprintf(quoted, sizeof(quoted), "%s%s", said[0] == '\0' ? "" : ": ", said);
	if (transfer->http_status == 404)
	{
		if (options->api == BRIDGE_EMBED_OLLAMA)
			snprintf(error->hint, sizeof(error->hint),
					 "If the model is missing there, fetch it: ollama pull %.200s", options->model);
		else
			snprintf(error->hint, sizeof(error->hint), "Check the URL and the name of the model.");
	}
	else if (transfer->http_status == 401 ||
			 (transfer->http_status == 403 && options->api == BRIDGE_EMBED_OPENAI))
		snprintf(error->hint, sizeof(error->hint), "Check the key.");
	else if (transfer->http_status == 403)
		snprintf(error->hint, sizeof(error->hint),
				 "Ollama refuses host names it does not know; use an address, or set OLLAMA_HOST or "
				 "OLLAMA_ORIGINS there.");
	else if (transfer->http_status >= 300 && transfer->http_status < 400)
		snprintf(error->hint, sizeof(error->hint), "Redirects are not followed; give the final URL.");
	return fail(error,
				transfer->http_status == 429 || transfer->http_status >= 500 ? BRIDGE_EMBED_UNAVAILABLE
																			 : BRIDGE_EMBED_REJECTED,
				"%s answered %ld for model \"%s\"%s", shown, transfer->http_status, options->model, quoted);
}

/* Worth another try: too busy, failing, or a connection that broke off. */
static bool
is_transient(const Transfer *transfer)
{
	if (transfer->too_large || transfer->out_of_memory)
		return false;
	if (transfer->result == CURLE_OK)
		return transfer->http_status == 429 || transfer->http_status >= 500;
	return transfer->result == CURLE_GOT_NOTHING || transfer->result == CURLE_RECV_ERROR ||
		   transfer->result == CURLE_SEND_ERROR || transfer->result == CURLE_PARTIAL_FILE ||
		   transfer->result == CURLE_HTTP2 || transfer->result == CURLE_HTTP2_STREAM;
}

/* Exponential backoff, 200 ms doubling to 10 s, with up to half of it at random. */
static int64_t
backoff_ms(BridgeEmbedClient *client, int attempt)
{
	int64_t delay = attempt < 6 ? (int64_t) 200 << attempt : 10000;

	client->jitter = client->jitter * 6364136223846793005u + 1442695040888963407u;
	return delay / 2 + (int64_t) ((client->jitter >> 33) % (uint64_t) (delay / 2 + 1));
}

static bool
wait_ms(int64_t ms, const Cancel *cancel)
{
	int64_t end = now_ms() + ms;

	for (int64_t left = ms; left > 0; left = end - now_ms())
	{
		struct timespec t = {.tv_nsec = (left < POLL_MS ? left : POLL_MS) * 1000000};

		if (cancel->asked != NULL && cancel->asked(cancel->arg))
			return false;
		nanosleep(&t, NULL);
	}
	return true;
}

/*
 * Put text before the message: what the wire format's reader found wrong is
 * told with the server and the model it came from.
 */
static void
name_source(BridgeEmbedError *error, const char *shown, const char *model)
{
	char found[sizeof(error->message)];

	memcpy(found, error->message, sizeof(found));
	snprintf(error->message, sizeof(error->message), "%.200s, model \"%.100s\": %.300s", shown, model, found);
}

/* One batch: send, and send again while that may help. */
static BridgeEmbedStatus
embed_batch(BridgeEmbedClient *client, const BridgeEmbedOptions *options, const char *call, const char *shown,
			struct curl_slist *headers, size_t count, const char *const *texts, const size_t *lengths,
			const Cancel *cancel, float **vectors, int *dim, BridgeEmbedError *error)
{
	int64_t deadline = now_ms() + options->timeout;
	char *body;
	Transfer transfer = {0};
	BridgeEmbedStatus status = embed_request(client->json, options, count, texts, lengths, &body, error);

	if (status != BRIDGE_EMBED_OK)
		return status;
	transfer.limit = count * (*dim > 0 ? (size_t) *dim : BRIDGE_MAX_DIM) * BYTES_A_NUMBER + BYTES_BESIDES;
	for (int attempt = 0;; attempt++)
	{
		int64_t delay = backoff_ms(client, attempt);
		int64_t left = deadline - now_ms();

		transfer.length = 0;
		transfer.http_status = transfer.retry_after = 0;
		transfer.curl_error[0] = '\0';
		prepare(client, options, call, body, headers, left > 1 ? left : 1, &transfer);
		if (!run(client, &transfer, cancel))
		{
			status = error->status = BRIDGE_EMBED_CANCELLED;
			break;
		}
		if (transfer.result == CURLE_OK && transfer.http_status == 200)
		{
			status = embed_response(client->json, options, transfer.body, transfer.length, count, vectors,
									dim, error);
			if (status == BRIDGE_EMBED_PROTOCOL)
				name_source(error, shown, options->model);
			break;
		}
		if (transfer.retry_after > 0)
			delay = (int64_t) transfer.retry_after * 1000;
		if (!is_transient(&transfer) || attempt >= options->retries || now_ms() + delay >= deadline)
		{
			status = explain(client, options, shown, &transfer, error);
			if (is_transient(&transfer) && attempt > 0)
			{
				size_t n = strlen(error->message);

				snprintf(error->message + n, sizeof(error->message) - n, " (tried %d times)", attempt + 1);
			}
			break;
		}
		if (!wait_ms(delay, cancel))
		{
			status = error->status = BRIDGE_EMBED_CANCELLED;
			break;
		}
	}
	sqlite3_free(body);
	free(transfer.body);
	return status;
}

/* Refuse before anything is sent what no server can embed. */
static BridgeEmbedStatus
check_texts(size_t count, const char *const *texts, const size_t *lengths, BridgeEmbedError *error)
{
	for (size_t i = 0; i < count; i++)
	{
		long bad;

		error->text = (long) i;
		if (lengths[i] == 0)
		{
			snprintf(error->hint, sizeof(error->hint), "Use NULL where there is no text.");
			return fail(error, BRIDGE_EMBED_INVALID, "an empty text has no embedding");
		}
		if (lengths[i] > INT32_MAX / 8)
			return fail(error, BRIDGE_EMBED_INVALID, "a text of %zu bytes is too long to embed", lengths[i]);
		if ((bad = embed_invalid_utf8(texts[i], lengths[i])) >= 0)
			return fail(error, BRIDGE_EMBED_INVALID, "the text is not valid UTF-8 at byte %ld", bad + 1);
	}
	error->text = -1;
	return BRIDGE_EMBED_OK;
}

static struct curl_slist *
make_headers(const EmbedCurl *curl, const BridgeEmbedOptions *options)
{
	static const char *const fixed[] = {"Content-Type: application/json", "Accept: application/json",
										"Expect:"};
	struct curl_slist *list = NULL;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
	{
		struct curl_slist *longer = curl->slist_append(list, fixed[i]);

		if (longer == NULL)
		{
			curl->slist_free_all(list);
			return NULL;
		}
		list = longer;
	}
	if (options->key != NULL && options->key[0] != '\0')
	{
		size_t n = strlen(options->key) + 32;
		char *line = malloc(n);
		struct curl_slist *longer = NULL;

		if (line != NULL)
		{
			snprintf(line, n, "Authorization: Bearer %s", options->key);
			longer = curl->slist_append(list, line);
			memset(line, 0, n);
			free(line);
		}
		if (longer == NULL)
		{
			curl->slist_free_all(list);
			return NULL;
		}
		list = longer;
	}
	return list;
}

BridgeEmbedStatus
bridge_embed(BridgeEmbedClient *client, const BridgeEmbedOptions *options, size_t count,
			 const char *const *texts, const size_t *lengths, bool (*cancelled)(void *arg), void *arg,
			 float **vectors, int *dim, BridgeEmbedError *error)
{
	Cancel cancel = {cancelled, arg};
	struct curl_slist *headers = NULL;
	char *call = NULL;
	char *shown = NULL;
	float *all = NULL;
	size_t step = options->batch_size > 0 ? (size_t) options->batch_size : 1;
	BridgeEmbedStatus status;

	memset(error, 0, sizeof(*error));
	error->text = -1;
	*vectors = NULL;
	*dim = options->dimensions;
	if (options->key != NULL && strpbrk(options->key, "\r\n") != NULL)
		return fail(error, BRIDGE_EMBED_INVALID, "the embedding server's key holds a line break");
	status = check_texts(count, texts, lengths, error);
	if (status == BRIDGE_EMBED_OK)
		status = start(client, error);
	if (status == BRIDGE_EMBED_OK)
		status = endpoint(client->curl, options, &call, &shown, error);
	if (status == BRIDGE_EMBED_OK && (headers = make_headers(client->curl, options)) == NULL)
		status = error->status = BRIDGE_EMBED_NOMEM;
	for (size_t done = 0; done < count && status == BRIDGE_EMBED_OK;)
	{
		size_t n = count - done < step ? count - done : step;
		float *some = NULL;

		status = embed_batch(client, options, call, shown, headers, n, texts + done, lengths + done, &cancel,
							 &some, dim, error);
		if (status != BRIDGE_EMBED_OK)
		{
			if (error->text >= 0)
				error->text += (long) done;
			break;
		}
		if (all == NULL && (all = malloc(count * (size_t) *dim * sizeof(float))) == NULL)
			status = error->status = BRIDGE_EMBED_NOMEM;
		else
			memcpy(all + done * (size_t) *dim, some, n * (size_t) *dim * sizeof(float));
		free(some);
		done += n;
	}
	if (status == BRIDGE_EMBED_OK)
		*vectors = all;
	else
	{
		free(all);
		if (status == BRIDGE_EMBED_NOMEM)
			fail(error, status, "out of memory while asking for embeddings");
		else if (status == BRIDGE_EMBED_CANCELLED)
			fail(error, status, "cancelled while waiting for embeddings");
	}
	if (client->curl != NULL)
	{
		client->curl->slist_free_all(headers);
		client->curl->free(call);
		client->curl->free(shown);
	}
	return status;
}

bool
bridge_embed_is_of_text(const BridgeEmbedError *error)
{
	switch (error->status)
	{
		case BRIDGE_EMBED_INVALID:
			return error->text >= 0;
		case BRIDGE_EMBED_PROTOCOL:
			return true;
		case BRIDGE_EMBED_REJECTED:
			return error->http_status == 400 || error->http_status == 413 || error->http_status == 422;
		case BRIDGE_EMBED_UNAVAILABLE:
			return error->http_status == 500;
		default:
			return false;
	}
}
