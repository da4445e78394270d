/*
 * test_bridge_embed.c
 *		The embedding client against a server that fails in every known way
 *		(test/embed/server.pl).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sqlite_bridge/bridge.h"
#include "support.h"
#include "support_embed.h"

static BridgeEmbedClient *client;

static int
start_server(void **state)
{
	embed_server_start();
	client = bridge_embed_client_new();
	assert_non_null(client);
	return 0;
}

static int
stop_server(void **state)
{
	bridge_embed_client_free(client);
	embed_server_stop();
	return 0;
}

static int
reset(void **state)
{
	embed_server_tell("/reset", "");
	return 0;
}

/* ---------- asking ---------- */

static BridgeEmbedOptions
options(BridgeEmbedApi api)
{
	BridgeEmbedOptions o;

	bridge_embed_defaults(&o);
	o.url = embed_server_url;
	o.model = "test-8";
	o.api = api;
	o.timeout = 120000; /* no test waits for it */
	return o;
}

static BridgeEmbedError error;
static float *vectors;
static int dim;

static BridgeEmbedStatus
ask(const BridgeEmbedOptions *o, size_t count, const char *const *texts)
{
	size_t lengths[512];

	assert_true(count <= 512);
	for (size_t i = 0; i < count; i++)
		lengths[i] = strlen(texts[i]);
	free(vectors);
	vectors = NULL;
	return bridge_embed(client, o, count, texts, lengths, NULL, NULL, &vectors, &dim, &error);
}

static BridgeEmbedStatus
ask_one(const BridgeEmbedOptions *o, const char *text)
{
	return ask(o, 1, &text);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

#define assert_says(text)                                                                                    \
	do                                                                                                       \
	{                                                                                                        \
		if (strstr(error.message, text) == NULL)                                                             \
			fail_msg("\"%s\" does not say \"%s\"", error.message, text);                                     \
	} while (0)

/* ---------- what works ---------- */

static void
both_apis_and_encodings_agree(void **state)
{
	const char *texts[] = {"one fish", "two fish",
						   "\"quoted\" \\ back\nslash\t/ caf\xc3\xa9 \xf0\x9f\x90\x9f"};
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);
	float first[24];

	assert_int_equal(ask(&o, 3, texts), BRIDGE_EMBED_OK);
	assert_int_equal(dim, 8);
	memcpy(first, vectors, sizeof(first));
	for (int i = 0; i < 3; i++)
	{
		assert_true(fabs(bridge_norm(vectors + 8 * i, 8) - 1) < 1e-6);
		assert_int_equal(ask_one(&o, texts[i]), BRIDGE_EMBED_OK);
		assert_memory_equal(vectors, first + 8 * i, 8 * sizeof(float));
		free(vectors);
		vectors = NULL;
		assert_int_equal(ask(&o, 3, texts), BRIDGE_EMBED_OK);
	}
	o.api = BRIDGE_EMBED_OPENAI;
	for (int base64 = 0; base64 <= 1; base64++)
	{
		o.base64 = base64;
		assert_int_equal(ask(&o, 3, texts), BRIDGE_EMBED_OK);
		assert_memory_equal(vectors, first, sizeof(first));
	}
}

static void
url_forms_lead_to_the_same_endpoint(void **state)
{
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OPENAI);
	const char *const tails[] = {"", "/", "/v1", "/v1/"};

	for (int i = 0; i < 4; i++)
	{
		char with[100];

		snprintf(with, sizeof(with), "http://127.0.0.1:%d%s", embed_server_port, tails[i]);
		o.url = with;
		assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_OK);
	}
}

static void
openai_order_is_by_index(void **state)
{
	const char *texts[] = {"a", "b", "c"};
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OPENAI);
	float right[24];

	assert_int_equal(ask(&o, 3, texts), BRIDGE_EMBED_OK);
	memcpy(right, vectors, sizeof(right));
	embed_server_tell("/control", "{\"mode\":\"edited\",\"edit\":\"reversed\"}");
	assert_int_equal(ask(&o, 3, texts), BRIDGE_EMBED_OK);
	assert_memory_equal(vectors, right, sizeof(right));
}

static void
batches_go_over_one_connection(void **state)
{
	const char *texts[250];
	char buffer[250][24];
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);
	float last[8];

	bridge_embed_client_free(client);
	client = bridge_embed_client_new();
	for (int i = 0; i < 250; i++)
	{
		snprintf(buffer[i], sizeof(buffer[i]), "text %d", i);
		texts[i] = buffer[i];
	}
	o.batch_size = 100;
	assert_int_equal(ask(&o, 250, texts), BRIDGE_EMBED_OK);
	memcpy(last, vectors + 249 * 8, sizeof(last));
	embed_server_tell("/log", NULL);
	assert_int_equal(embed_server_count("\"path\""), 3);
	assert_int_equal(embed_server_count("\"count\":100"), 2);
	assert_int_equal(embed_server_count("\"count\":50,"), 1);
	assert_int_equal(ask_one(&o, "text 249"), BRIDGE_EMBED_OK);
	assert_memory_equal(vectors, last, sizeof(last));
	embed_server_tell("/log", NULL);
	assert_int_equal(embed_server_count("\"connections\":1,"), 1);
}

static void
dimensions_and_key_are_sent(void **state)
{
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OPENAI);

	o.dimensions = 5;
	o.key = "sk-secret";
	assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_OK);
	assert_int_equal(dim, 5);
	embed_server_tell("/log", NULL);
	assert_int_equal(embed_server_count("\"authorization\":\"Bearer sk-secret\""), 1);
	assert_int_equal(embed_server_count("\"dimensions\":5"), 1);
	embed_server_tell("/control", "{\"mode\":\"\",\"ignore_dimensions\":true}");
}

static void
a_long_text_and_a_zero_byte_arrive(void **state)
{
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);
	size_t length = 1 << 20;
	char *text = malloc(length + 1);
	const char *zero = "a\0b";
	size_t three = 3;

	memset(text, 'x', length);
	text[length] = '\0';
	assert_int_equal(ask_one(&o, text), BRIDGE_EMBED_OK);
	free(text);
	free(vectors);
	assert_int_equal(bridge_embed(client, &o, 1, &zero, &three, NULL, NULL, &vectors, &dim, &error),
					 BRIDGE_EMBED_OK);
}

/* ---------- what is refused before it is sent ---------- */

static void
bad_texts_and_urls_send_nothing(void **state)
{
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);
	const char *texts[] = {"fine", ""};
	const char *const bad_utf8[] = {"ab\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80"};
	const char *const bad_urls[] = {"", "127.0.0.1", "ftp://127.0.0.1", "file:///etc/passwd", "http://"};

	assert_int_equal(ask(&o, 2, texts), BRIDGE_EMBED_INVALID);
	assert_int_equal(error.text, 1);
	assert_says("empty text");
	for (size_t i = 0; i < 5; i++)
	{
		assert_int_equal(ask_one(&o, bad_utf8[i]), BRIDGE_EMBED_INVALID);
		assert_says("not valid UTF-8 at byte");
	}
	for (size_t i = 0; i < 5; i++)
	{
		o.url = bad_urls[i];
		assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_INVALID);
		assert_says("URL is not valid");
	}
	o = options(BRIDGE_EMBED_OLLAMA);
	o.key = "a\r\nX-Header: b";
	assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_INVALID);
	assert_int_equal(embed_server_requests(), 0);
}

/* ---------- failing servers ---------- */

static void
statuses_are_told_apart(void **state)
{
	static const struct
	{
		const char *control;
		BridgeEmbedStatus status;
		int requests;
		const char *says, *hints;
	} cases[] = {
		{"{\"mode\":\"status\",\"status\":400,\"text\":\"too long\"}", BRIDGE_EMBED_REJECTED, 1,
		 "answered 400", ""},
		{"{\"mode\":\"status\",\"status\":401,\"text\":\"bad key\"}", BRIDGE_EMBED_REJECTED, 1, "bad key",
		 "Check the key"},
		{"{\"mode\":\"status\",\"status\":403}", BRIDGE_EMBED_REJECTED, 1, "answered 403", "host names"},
		{"{\"mode\":\"redirect\"}", BRIDGE_EMBED_REJECTED, 1, "answered 302", "Redirects are not followed"},
		{"{\"mode\":\"status\",\"status\":500,\"text\":\"oops\"}", BRIDGE_EMBED_UNAVAILABLE, 3,
		 "oops (tried 3 times)", ""},
		{"{\"mode\":\"status\",\"status\":503}", BRIDGE_EMBED_UNAVAILABLE, 3, "answered 503", ""},
		{"{\"mode\":\"status\",\"status\":429,\"retry_after\":3600}", BRIDGE_EMBED_UNAVAILABLE, 1,
		 "answered 429", ""},
		{"{\"mode\":\"drop\"}", BRIDGE_EMBED_CONNECT, 3, "cannot get an answer", ""},
		{"{\"mode\":\"truncated\"}", BRIDGE_EMBED_CONNECT, 3, "cannot get an answer", ""},
		{"{\"mode\":\"cut\"}", BRIDGE_EMBED_PROTOCOL, 1, "is no JSON, or ends within it", ""},
		{"{\"mode\":\"malformed\"}", BRIDGE_EMBED_PROTOCOL, 1, "is no JSON", ""},
		{"{\"mode\":\"nan\"}", BRIDGE_EMBED_PROTOCOL, 1, "", ""},
		{"{\"mode\":\"infinity\"}", BRIDGE_EMBED_PROTOCOL, 1, "beyond the range of float32", ""},
		{"{\"mode\":\"html\"}", BRIDGE_EMBED_PROTOCOL, 1, "is no JSON", ""},
		{"{\"mode\":\"array\"}", BRIDGE_EMBED_PROTOCOL, 1, "no array \"embeddings\"", ""},
		{"{\"mode\":\"nothing\"}", BRIDGE_EMBED_PROTOCOL, 1, "0 embeddings for 1 texts", ""},
		{"{\"mode\":\"gigantic\"}", BRIDGE_EMBED_PROTOCOL, 1, "larger than", ""},
		{"{\"mode\":\"edited\",\"edit\":\"one_more\"}", BRIDGE_EMBED_PROTOCOL, 1, "2 embeddings for 1", ""},
		{"{\"mode\":\"edited\",\"edit\":\"text\"}", BRIDGE_EMBED_PROTOCOL, 1, "expected a finite number", ""},
		{"{\"mode\":\"edited\",\"edit\":\"null\"}", BRIDGE_EMBED_PROTOCOL, 1, "has no embedding", ""},
		{"{\"mode\":\"edited\",\"edit\":\"huge\"}", BRIDGE_EMBED_PROTOCOL, 1, "beyond the range of float32",
		 ""},
		{"{\"mode\":\"edited\",\"edit\":\"empty\"}", BRIDGE_EMBED_PROTOCOL, 1, "0 dimensions", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);

		o.retries = 2;
		embed_server_tell("/reset", "");
		embed_server_tell("/control", cases[i].control);
		/* over a kept connection libcurl itself repeats a request that was dropped */
		bridge_embed_client_free(client);
		client = bridge_embed_client_new();
		assert_int_equal(ask_one(&o, "x"), cases[i].status);
		assert_null(vectors);
		assert_says(cases[i].says);
		assert_says(
			"test-8\"" +
			(cases[i].status == BRIDGE_EMBED_CONNECT || strstr(cases[i].control, "gigantic") ? 7 : 0));
		assert_says(embed_server_url);
		assert_non_null(strstr(error.hint, cases[i].hints));
		assert_int_equal(embed_server_requests(), cases[i].requests);
	}
}

static void
openai_answers_are_distrusted(void **state)
{
	const char *texts[] = {"a", "b", "c"};
	static const struct
	{
		const char *edit, *says;
		bool base64;
	} cases[] = {
		{"one_less", "2 embeddings for 3", false}, {"twice", "index 0, which is there twice", false},
		{"far_index", "beyond the texts", false},  {"short", "7 dimensions, expected 8", false},
		{"bad_base64", "no base64", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		BridgeEmbedOptions o = options(BRIDGE_EMBED_OPENAI);
		char control[100];

		o.base64 = cases[i].base64;
		snprintf(control, sizeof(control), "{\"mode\":\"edited\",\"edit\":\"%s\"}", cases[i].edit);
		embed_server_tell("/control", control);
		assert_int_equal(ask(&o, 3, texts), BRIDGE_EMBED_PROTOCOL);
		assert_says(cases[i].says);
	}
}

static void
a_wrong_dimension_names_both(void **state)
{
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);

	embed_server_tell("/control", "{\"mode\":\"\",\"ignore_dimensions\":true}");
	o.dimensions = 16;
	assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_PROTOCOL);
	assert_says("8 dimensions, expected 16");
}

static void
a_missing_model_names_the_remedy(void **state)
{
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);

	o.model = "missing-1";
	assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_REJECTED);
	assert_int_equal(error.http_status, 404);
	assert_says("try pulling it first");
	assert_non_null(strstr(error.hint, "ollama pull missing-1"));
	assert_int_equal(embed_server_requests(), 1);
}

static void
a_refused_connection_is_told_at_once(void **state)
{
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);
	double start = seconds();

	o.url = "http://user:password@127.0.0.1:1";
	assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_CONNECT);
	assert_true(seconds() - start < load_factor());
	assert_says("http://127.0.0.1:1/api/embed");
	assert_null(strstr(error.message, "password"));
	assert_non_null(strstr(error.hint, "ollama serve"));
}

static void
a_tls_failure_is_a_clear_error(void **state)
{
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);
	char url[80];

	snprintf(url, sizeof(url), "https://127.0.0.1:%d", embed_server_port);
	o.url = url;
	o.retries = 0;
	assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_CONNECT);
	assert_says("cannot get an answer from https://127.0.0.1:");
	assert_says("SSL");
}

static void
transient_failures_pass(void **state)
{
	static const char *const controls[] = {
		"{\"mode\":\"status\",\"status\":503,\"times\":2}",
		"{\"mode\":\"status\",\"status\":429,\"times\":1,\"retry_after\":1}",
		"{\"mode\":\"drop\",\"times\":2}",
		"{\"mode\":\"truncated\",\"times\":1}",
	};

	for (size_t i = 0; i < 4; i++)
	{
		BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);
		double start = seconds();

		embed_server_tell("/control", controls[i]);
		assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_OK);
		if (i == 1)
			assert_true(seconds() - start >= 1); /* Retry-After is honoured */
	}
}

static void
slow_answers_end_at_the_timeout(void **state)
{
	static const char *const controls[] = {"{\"mode\":\"drip\"}", "{\"mode\":\"delay\",\"seconds\":30}"};

	for (size_t i = 0; i < 2; i++)
	{
		BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);

		o.timeout = 500;
		embed_server_tell("/control", controls[i]);
		assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_TIMEOUT);
		assert_says("did not answer in time");
	}
}

/* Called while something is waited for: the third call ends the wait. */
static bool
third_time(void *arg)
{
	return ++*(int *) arg >= 3;
}

static void
waiting_can_be_cancelled(void **state)
{
	/* while the server is silent, and while a retry is waited for */
	static const char *const controls[] = {"{\"mode\":\"delay\",\"seconds\":30}",
										   "{\"mode\":\"status\",\"status\":503,\"retry_after\":4}"};

	for (size_t i = 0; i < 2; i++)
	{
		BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);
		const char *text = "x";
		size_t one = 1;
		int calls = 0;

		embed_server_tell("/control", controls[i]);
		assert_int_equal(bridge_embed(client, &o, 1, &text, &one, third_time, &calls, &vectors, &dim, &error),
						 BRIDGE_EMBED_CANCELLED);
		assert_int_equal(calls, 3);
		vectors = NULL;
	}
}

static void
the_key_is_blotted_out(void **state)
{
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OPENAI);

	o.key = "sk-secret";
	embed_server_tell("/control",
					  "{\"mode\":\"status\",\"status\":401,\"text\":\"Incorrect key: sk-secret.\"}");
	assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_REJECTED);
	assert_says("Incorrect key: *********.");
}

static void
proxies_of_the_environment_are_ignored(void **state)
{
	BridgeEmbedOptions o = options(BRIDGE_EMBED_OLLAMA);

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_OK);
	o.proxy = "http://127.0.0.1:1";
	assert_int_equal(ask_one(&o, "x"), BRIDGE_EMBED_CONNECT);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

/* ---------- provenance ---------- */

static void
vectors_remember_their_model(void **state)
{
	float a[3] = {1, 2, 3};
	float b[3] = {1, 2, 4};
	char model[BRIDGE_MODEL_SIZE];

	bridge_embed_remember("model-a", a, 3);
	assert_true(bridge_embed_model_of(a, 3, model));
	assert_string_equal(model, "model-a");
	assert_false(bridge_embed_model_of(b, 3, model));
	/* names beyond the table's room: never a wrong answer */
	for (int i = 0; i < 100; i++)
	{
		char name[32];
		float v[2] = {(float) i, 1};

		snprintf(name, sizeof(name), "model %d", i);
		bridge_embed_remember(name, v, 2);
		assert_true(bridge_embed_model_of(v, 2, model));
		assert_string_equal(model, name);
	}
	if (bridge_embed_model_of(a, 3, model))
		assert_string_equal(model, "model-a");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(both_apis_and_encodings_agree, reset),
		cmocka_unit_test_setup(url_forms_lead_to_the_same_endpoint, reset),
		cmocka_unit_test_setup(openai_order_is_by_index, reset),
		cmocka_unit_test_setup(batches_go_over_one_connection, reset),
		cmocka_unit_test_setup(dimensions_and_key_are_sent, reset),
		cmocka_unit_test_setup(a_long_text_and_a_zero_byte_arrive, reset),
		cmocka_unit_test_setup(bad_texts_and_urls_send_nothing, reset),
		cmocka_unit_test_setup(statuses_are_told_apart, reset),
		cmocka_unit_test_setup(openai_answers_are_distrusted, reset),
		cmocka_unit_test_setup(a_wrong_dimension_names_both, reset),
		cmocka_unit_test_setup(a_missing_model_names_the_remedy, reset),
		cmocka_unit_test_setup(a_refused_connection_is_told_at_once, reset),
		cmocka_unit_test_setup(a_tls_failure_is_a_clear_error, reset),
		cmocka_unit_test_setup(transient_failures_pass, reset),
		cmocka_unit_test_setup(slow_answers_end_at_the_timeout, reset),
		cmocka_unit_test_setup(waiting_can_be_cancelled, reset),
		cmocka_unit_test_setup(the_key_is_blotted_out, reset),
		cmocka_unit_test_setup(proxies_of_the_environment_are_ignored, reset),
		cmocka_unit_test(vectors_remember_their_model),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
