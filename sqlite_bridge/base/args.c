/*
 * args.c
 *		The arguments of CREATE VIRTUAL TABLE ... USING hnsw(...).
 *
 * SQLite hands each argument over as it was typed, quotes, blanks and
 * comments included: "m -- graph degree\n = 16".  An argument is a name, an
 * equals sign and a bare word, a number or a quoted string.
 */
#include "sqlite_bridge/base/base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef enum ArgKind
{
	ARG_INTEGER,
	ARG_METRIC,
	ARG_RECALL,
	ARG_BAD_ROWS,
	ARG_TEXT
} ArgKind;

typedef struct ArgRule
{
	const char *name;
	ArgKind kind;
	size_t offset; /* of the field in BridgeParams */
	long min, max; /* of an integer */
} ArgRule;

static const ArgRule rules[] = {
	{"dim", ARG_INTEGER, offsetof(BridgeParams, dim), 1, HNSW_MAX_DIM},
	{"metric", ARG_METRIC, offsetof(BridgeParams, metric), 0, 0},
	{"m", ARG_INTEGER, offsetof(BridgeParams, m), HNSW_MIN_M, HNSW_MAX_M},
	{"ef", ARG_INTEGER, offsetof(BridgeParams, ef_construction), 1, HNSW_MAX_EF},
	{"ef_search", ARG_INTEGER, offsetof(BridgeParams, ef_search), 1, HNSW_MAX_EF},
	{"recall", ARG_RECALL, offsetof(BridgeParams, recall), 0, 0},
	{"path", ARG_TEXT, offsetof(BridgeParams, path), 0, 0},
	{"content", ARG_TEXT, offsetof(BridgeParams, content), 0, 0},
	{"content_rowid", ARG_TEXT, offsetof(BridgeParams, content_rowid), 0, 0},
	{"content_vector", ARG_TEXT, offsetof(BridgeParams, content_vector), 0, 0},
	{"strict", ARG_INTEGER, offsetof(BridgeParams, strict), 0, 1},
	{"bad_rows", ARG_BAD_ROWS, offsetof(BridgeParams, skip_bad), 0, 0},
};

#define RULE_COUNT (sizeof(rules) / sizeof(rules[0]))

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* "0.97", whatever the locale; -1 where the text is something else. */
static double
read_share(const char *text)
{
	double share = 0;
	double place = 1;

	if (text[0] != '0' || text[1] != '.' || text[2] == '\0')
		return -1;
	for (text += 2; *text >= '0' && *text <= '9'; text++)
		share += (*text - '0') * (place /= 10);
	return *text == '\0' ? share : -1;
}

const char *
bridge_skip_blank(const char *p)
{
	for (;;)
	{
		if (is_space(*p))
			p++;
		else if (p[0] == '-' && p[1] == '-')
		{
			while (*p != '\0' && *p != '\n')
				p++;
		}
		else if (p[0] == '/' && p[1] == '*')
		{
			for (p += 2; *p != '\0' && !(p[0] == '*' && p[1] == '/'); p++)
				;
			if (*p != '\0')
				p += 2;
		}
		else
			return p;
	}
}

static bool
is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		   c == '$' || (unsigned char) c >= 0x80;
}

size_t
bridge_word_length(const char *p)
{
	size_t length = 0;

	while (is_word(p[length]))
		length++;
	return length;
}

/*
 * Read one word or quoted string at *cursor into a new string (sqlite3_free);
 * NULL for want of memory, or with *missing where no word starts.  A bare
 * value may hold anything but blanks and quotes (a path such as a/b.idx, or -1).
 */
static char *
read_word(const char **cursor, bool value, bool *missing)
{
	const char *p = *cursor;
	char open = *p;
	char close = open == '[' ? ']' : open;
	char *word;
	size_t length = 0;

	*missing = false;
	if (open != '\'' && open != '"' && open != '`' && open != '[')
	{
		while (is_word(*p) || (value && strchr("+-./:%~@\\", *p) != NULL && *p != '\0' &&
							   !(p[0] == '-' && p[1] == '-') && !(p[0] == '/' && p[1] == '*')))
			p++;
		*missing = p == *cursor;
		if (*missing)
			return NULL;
		word = sqlite3_mprintf("%.*s", (int) (p - *cursor), *cursor);
		*cursor = p;
		return word;
	}

	word = sqlite3_malloc64(strlen(p));
	if (word == NULL)
		return NULL;
	for (p++;; p++)
	{
		if (*p == '\0')
		{
			sqlite3_free(word);
			*missing = true;
			return NULL;
		}
		if (*p == close)
		{
			if (close == ']' || p[1] != close)
				break;
			p++;
		}
		word[length++] = *p;
	}
	word[length] = '\0';
	*cursor = p + 1;
	return word;
}

static int
distance_between(const char *a, const char *b)
{
	/* Levenshtein over short names, case folded by the caller. */
	int row[32];
	size_t la = strlen(a), lb = strlen(b);

	if (la > 30 || lb > 30)
		return 100;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (int) j;
	for (size_t i = 1; i <= la; i++)
	{
		int diagonal = row[0];

		row[0] = (int) i;
		for (size_t j = 1; j <= lb; j++)
		{
			int best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

static int
unknown_argument(BridgeError *err, const char *name)
{
	const char *closest = NULL;
	int best = strlen(name) < 4 ? 1 : 2; /* typing errors forgiven */

	for (size_t i = 0; i < RULE_COUNT; i++)
	{
		int distance = distance_between(name, rules[i].name);

		if (distance <= best)
		{
			best = distance - 1;
			closest = rules[i].name;
		}
	}
	return bridge_error(
		err, SQLITE_ERROR,
		"hnsw: unknown argument \"%s\"%s%s%s; known are dim, metric, m, ef, ef_search, recall, path, "
		"content, content_rowid, content_vector, strict, bad_rows",
		name, closest != NULL ? " (did you mean \"" : "", closest != NULL ? closest : "",
		closest != NULL ? "\"?)" : "");
}

/* Takes over value. */
static int
set_field(BridgeParams *out, const ArgRule *rule, char *value, BridgeError *err)
{
	void *field = (char *) out + rule->offset;
	int rc = SQLITE_OK;

	switch (rule->kind)
	{
		case ARG_INTEGER:
		{
			char *end;
			long number;

			errno = 0;
			number = strtol(value, &end, 10);
			if (end == value || *end != '\0' || errno != 0 || number < rule->min || number > rule->max)
				rc = bridge_error(err, SQLITE_ERROR, "hnsw: %s = %s: expected a whole number from %ld to %ld",
								  rule->name, value, rule->min, rule->max);
			else
				*(int *) field = (int) number;
			break;
		}
		case ARG_METRIC:
		{
			HnswMetric metric = 0;

			for (int i = HNSW_COSINE; i <= HNSW_IP; i++)
				if (sqlite3_stricmp(value, hnsw_metric_name((HnswMetric) i)) == 0)
					metric = (HnswMetric) i;
			if (metric == 0)
				rc = bridge_error(err, SQLITE_ERROR, "hnsw: metric = \"%s\": expected cosine, l2 or ip",
								  value);
			else
				*(HnswMetric *) field = metric;
			break;
		}
		case ARG_RECALL:
		{
			double recall = read_share(value);

			if (!(recall >= BRIDGE_MIN_RECALL && recall <= BRIDGE_MAX_RECALL))
				rc = bridge_error(err, SQLITE_ERROR, "hnsw: recall = %s: expected a number from %g to %g",
								  value, BRIDGE_MIN_RECALL, BRIDGE_MAX_RECALL);
			else
				*(double *) field = recall;
			break;
		}
		case ARG_BAD_ROWS:
			if (sqlite3_stricmp(value, "skip") != 0 && sqlite3_stricmp(value, "refuse") != 0)
				rc = bridge_error(err, SQLITE_ERROR, "hnsw: bad_rows = \"%s\": expected refuse or skip",
								  value);
			else
				*(int *) field = sqlite3_stricmp(value, "skip") == 0;
			break;
		case ARG_TEXT:
			if (value[0] == '\0')
			{
				rc = bridge_error(err, SQLITE_ERROR, "hnsw: %s is empty", rule->name);
				break;
			}
			*(char **) field = value;
			return SQLITE_OK;
	}
	sqlite3_free(value);
	return rc;
}

static int
parse_one(const char *text, BridgeParams *out, unsigned *seen, BridgeError *err)
{
	const char *p = bridge_skip_blank(text);
	char *name, *value;
	bool missing;
	size_t r;

	if (*p == '\0')
		return SQLITE_OK; /* hnsw(), or a comma too many */
	name = read_word(&p, false, &missing);
	if (name == NULL)
		return missing ? bridge_error(err, SQLITE_ERROR,
									  "hnsw: argument \"%s\" is not of the form name = value", text)
					   : bridge_error(err, SQLITE_NOMEM, "out of memory");
	for (char *c = name; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	for (r = 0; r < RULE_COUNT && strcmp(rules[r].name, name) != 0; r++)
		;
	if (r == RULE_COUNT)
	{
		unknown_argument(err, name);
		sqlite3_free(name);
		return err->code;
	}
	sqlite3_free(name);
	if (*seen & (1u << r))
		return bridge_error(err, SQLITE_ERROR, "hnsw: argument %s is given twice", rules[r].name);
	*seen |= 1u << r;

	p = bridge_skip_blank(p);
	if (*p != '=')
		return bridge_error(err, SQLITE_ERROR, "hnsw: argument %s needs a value: %s = ...", rules[r].name,
							rules[r].name);
	p = bridge_skip_blank(p + 1);
	value = read_word(&p, true, &missing);
	if (value == NULL)
		return missing
				   ? bridge_error(err, SQLITE_ERROR, "hnsw: argument %s has no readable value", rules[r].name)
				   : bridge_error(err, SQLITE_NOMEM, "out of memory");
	p = bridge_skip_blank(p);
	if (*p != '\0')
	{
		sqlite3_free(value);
		return bridge_error(err, SQLITE_ERROR, "hnsw: argument %s: unexpected \"%s\" after its value",
							rules[r].name, p);
	}
	return set_field(out, &rules[r], value, err);
}

int
bridge_params_parse(int argc, const char *const *argv, BridgeParams *out, BridgeError *err)
{
	unsigned seen = 0;
	int rc = SQLITE_OK;

	memset(out, 0, sizeof(*out));
	out->metric = HNSW_COSINE;
	out->m = BRIDGE_DEFAULT_M;
	out->ef_construction = BRIDGE_DEFAULT_EF;
	for (int i = 0; i < argc && rc == SQLITE_OK; i++)
		rc = parse_one(argv[i], out, &seen, err);

	if (rc == SQLITE_OK && out->dim == 0)
		rc = bridge_error(
			err, SQLITE_ERROR,
			"hnsw: argument dim is missing; give the number of dimensions, as in hnsw(dim = 384)");
	if (rc == SQLITE_OK && out->content == NULL &&
		(out->content_rowid != NULL || out->content_vector != NULL || out->strict || out->skip_bad))
		rc = bridge_error(err, SQLITE_ERROR, "hnsw: %s needs content = TABLE",
						  out->content_rowid != NULL    ? "content_rowid"
						  : out->content_vector != NULL ? "content_vector"
						  : out->strict                 ? "strict"
														: "bad_rows");
	if (rc == SQLITE_OK && out->content != NULL && out->content_vector == NULL)
		rc =
			bridge_error(err, SQLITE_ERROR, "hnsw: content = %s needs content_vector = COLUMN", out->content);
	if (rc != SQLITE_OK)
		bridge_params_free(out);
	return rc;
}

void
bridge_params_free(BridgeParams *params)
{
	sqlite3_free(params->path);
	sqlite3_free(params->content);
	sqlite3_free(params->content_rowid);
	sqlite3_free(params->content_vector);
	params->path = params->content = params->content_rowid = params->content_vector = NULL;
}

/*
 * Step over one word or quoted name; *start and *length are what is in it,
 * doubled quotes as they stand.  False where there is none.
 */
static bool
skip_word(const char **cursor, const char **start, size_t *length)
{
	const char *p = *cursor;
	char close = *p == '[' ? ']' : *p;

	if (close == '\'' || close == '"' || close == '`' || close == ']')
	{
		*start = ++p;
		while (*p != '\0' && (*p != close || (close != ']' && p[1] == close)))
			p += *p == close ? 2 : 1;
		if (*p == '\0')
			return false;
		*length = (size_t) (p - *start);
		*cursor = p + 1;
		return true;
	}
	*start = p;
	while (is_word(*p))
		p++;
	*length = (size_t) (p - *start);
	*cursor = p;
	return *length > 0;
}

/* SQLite stores "CREATE VIRTUAL TABLE name USING module...", name as typed. */
bool
bridge_is_index_sql(const char *sql)
{
	static const char *const words[] = {"CREATE", "VIRTUAL", "TABLE", NULL, "USING", "hnsw"};

	if (sql == NULL)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
	{
		const char *start;
		size_t length;

		sql = bridge_skip_blank(sql);
		if (!skip_word(&sql, &start, &length))
			return false;
		if (words[i] != NULL &&
			(length != strlen(words[i]) || sqlite3_strnicmp(start, words[i], (int) length) != 0))
			return false;
	}
	return true;
}
