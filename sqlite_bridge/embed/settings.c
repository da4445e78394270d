/*
 * settings.c
 *		How a SQLite connection reaches its embedding server: embed_config().
 *
 * Settings live as long as the connection and are never stored.  Before the
 * first call they are the defaults, with OLLAMA_HOST and OLLAMA_MODEL of the
 * environment put over them, as Ollama's own programs read them.
 */
#include "sqlite_bridge/embed/embed.h"

#include <stdlib.h>
#include <string.h>

#define OLLAMA_PORT "11434"

/* The names, in the order error messages list them. */
static const struct
{
	const char *name;
	enum
	{
		TEXT,
		SECRET,
		NUMBER,
		API,
		ENCODING
	} kind;
	size_t offset; /* in EmbedSettings */
	int low, high; /* of numbers */
} settings[] = {
	{"url", TEXT, offsetof(EmbedSettings, url), 0, 0},
	{"model", TEXT, offsetof(EmbedSettings, model), 0, 0},
	{"api", API, 0, 0, 0},
	{"key", SECRET, offsetof(EmbedSettings, key), 0, 0},
	{"dimensions", NUMBER, offsetof(EmbedSettings, options.dimensions), 0, BRIDGE_MAX_DIM},
	{"timeout", NUMBER, offsetof(EmbedSettings, options.timeout), 1, 24 * 3600 * 1000},
	{"batch_size", NUMBER, offsetof(EmbedSettings, options.batch_size), 1, 2048},
	{"retries", NUMBER, offsetof(EmbedSettings, options.retries), 0, 100},
	{"proxy", TEXT, offsetof(EmbedSettings, proxy), 0, 0},
	{"encoding", ENCODING, 0, 0, 0},
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static char **
text_of(EmbedSettings *s, size_t i)
{
	return (char **) ((char *) s + settings[i].offset);
}

static int *
number_of(EmbedSettings *s, size_t i)
{
	return (int *) ((char *) s + settings[i].offset);
}

static void
apply(EmbedSettings *s)
{
	BridgeEmbedOptions defaults;

	bridge_embed_defaults(&defaults);
	s->options.url = s->url != NULL ? s->url : defaults.url;
	s->options.model = s->model != NULL ? s->model : defaults.model;
	s->options.key = s->key;
	s->options.proxy = s->proxy;
}

/*
 * OLLAMA_HOST may be a URL, host:port, host, or :port; the address that a
 * server listens on everywhere is reached on this machine.
 */
static char *
url_of_host(const char *host)
{
	const char *scheme = "http://";
	const char *rest = strstr(host, "://");
	const char *bracket;
	const char *port = "";
	const char *name;

	if (rest != NULL)
		return sqlite3_mprintf("%s", host);
	bracket = strrchr(host, ']');
	if (strchr(bracket != NULL ? bracket : host, ':') == NULL)
		port = ":" OLLAMA_PORT;
	name = host[0] == ':' ? "127.0.0.1" : "";
	if (strncmp(host, "0.0.0.0", 7) == 0 && (host[7] == '\0' || host[7] == ':'))
	{
		name = "127.0.0.1";
		host += 7;
	}
	return sqlite3_mprintf("%s%s%s%s", scheme, name, host, port);
}

int
embed_settings_init(EmbedSettings *s)
{
	const char *host = getenv("OLLAMA_HOST");
	const char *model = getenv("OLLAMA_MODEL");

	memset(s, 0, sizeof(*s));
	bridge_embed_defaults(&s->options);
	if (host != NULL && host[0] != '\0' && (s->url = url_of_host(host)) == NULL)
		return SQLITE_NOMEM;
	if (model != NULL && model[0] != '\0' && (s->model = sqlite3_mprintf("%s", model)) == NULL)
		return SQLITE_NOMEM;
	apply(s);
	return SQLITE_OK;
}

void
embed_settings_free(EmbedSettings *s)
{
	for (size_t i = 0; i < SETTINGS; i++)
	{
		if (settings[i].kind == TEXT || settings[i].kind == SECRET)
			sqlite3_free(*text_of(s, i));
	}
}

static int
unknown(const char *name, BridgeError *err)
{
	char *list = NULL;

	for (size_t i = 0; i < SETTINGS; i++)
	{
		char *longer = sqlite3_mprintf("%z%s%s", list, i > 0 ? ", " : "", settings[i].name);

		if (longer == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		list = longer;
	}
	bridge_error(err, SQLITE_ERROR, "embed_config: unknown setting \"%s\"; there are %s", name, list);
	sqlite3_free(list);
	return err->code;
}

static int
find(const char *name, size_t *i, BridgeError *err)
{
	for (*i = 0; *i < SETTINGS; (*i)++)
	{
		if (strcmp(settings[*i].name, name) == 0)
			return SQLITE_OK;
	}
	return unknown(name, err);
}

/* value NULL sets the default again. */
int
embed_settings_set(EmbedSettings *s, const char *name, const char *value, BridgeError *err)
{
	size_t i;
	int rc = find(name, &i, err);

	if (rc != SQLITE_OK)
		return rc;
	if (settings[i].kind == TEXT || settings[i].kind == SECRET)
	{
		char *copy = value != NULL ? sqlite3_mprintf("%s", value) : NULL;

		if (value != NULL && copy == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		sqlite3_free(*text_of(s, i));
		*text_of(s, i) = copy;
		apply(s);
	}
	else if (settings[i].kind == NUMBER)
	{
		BridgeEmbedOptions defaults;
		EmbedSettings initial = {0};
		char *end;
		long number;

		bridge_embed_defaults(&defaults);
		initial.options = defaults;
		number = value != NULL ? strtol(value, &end, 10) : *number_of(&initial, i);
		if (value != NULL &&
			(end == value || *end != '\0' || number < settings[i].low || number > settings[i].high))
			return bridge_error(err, SQLITE_ERROR,
								"embed_config: \"%s\" must be a whole number from %d to %d, not \"%s\"", name,
								settings[i].low, settings[i].high, value);
		*number_of(s, i) = (int) number;
	}
	else if (settings[i].kind == API)
	{
		if (value == NULL || strcmp(value, "ollama") == 0)
			s->options.api = BRIDGE_EMBED_OLLAMA;
		else if (strcmp(value, "openai") == 0)
			s->options.api = BRIDGE_EMBED_OPENAI;
		else
			return bridge_error(err, SQLITE_ERROR,
								"embed_config: \"api\" must be ollama or openai, not \"%s\"", value);
	}
	else
	{
		if (value != NULL && strcmp(value, "float") != 0 && strcmp(value, "base64") != 0)
			return bridge_error(err, SQLITE_ERROR,
								"embed_config: \"encoding\" must be float or base64, not \"%s\"", value);
		s->options.base64 = value != NULL && strcmp(value, "base64") == 0;
	}
	return SQLITE_OK;
}

/* *value is sqlite3_malloc'd, or NULL where nothing is set; the key is only ever shown as set. */
int
embed_settings_get(EmbedSettings *s, const char *name, char **value, BridgeError *err)
{
	size_t i;
	int rc = find(name, &i, err);
	const char *text = NULL;

	*value = NULL;
	if (rc != SQLITE_OK)
		return rc;
	if (settings[i].kind == SECRET)
		text = *text_of(s, i) != NULL ? "(set)" : NULL;
	else if (strcmp(name, "url") == 0)
		text = s->options.url;
	else if (strcmp(name, "model") == 0)
		text = s->options.model;
	else if (settings[i].kind == TEXT)
		text = *text_of(s, i);
	else if (settings[i].kind == API)
		text = s->options.api == BRIDGE_EMBED_OLLAMA ? "ollama" : "openai";
	else if (settings[i].kind == ENCODING)
		text = s->options.base64 ? "base64" : "float";
	else
		*value = sqlite3_mprintf("%d", *number_of(s, i));
	if (text != NULL)
		*value = sqlite3_mprintf("%s", text);
	return SQLITE_OK;
}
