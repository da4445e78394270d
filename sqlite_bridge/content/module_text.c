/*
 * module_text.c
 *		The SQL function hnsw_module_of(sql [, argument]): what the text of a
 *		CREATE VIRTUAL TABLE says.
 *
 * A schema keeps that text as it was typed, and no pragma takes it apart.  With
 * it full-text tables are found, and the tables that they index.
 */
#include "sqlite_bridge/content/content.h"

#include <ctype.h>
#include <string.h>

/* ---------- tokens, as SQLite's own tokenizer cuts them ---------- */

static const char *
skip_blanks(const char *p)
{
	for (;;)
	{
		if (isspace((unsigned char) *p))
			p++;
		else if (p[0] == '-' && p[1] == '-')
			p += strcspn(p, "\n");
		else if (p[0] == '/' && p[1] == '*')
		{
			const char *end = strstr(p + 2, "*/");

			p = end == NULL ? p + strlen(p) : end + 2;
		}
		else
			return p;
	}
}

static bool
is_word(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || (unsigned char) c >= 0x80;
}

/* Where the token at p ends: a word, something in quotes, or one character. */
static const char *
token_end(const char *p)
{
	char quote = *p == '[' ? ']' : *p;

	if (*p == '\0')
		return p;
	if (*p != '\'' && *p != '"' && *p != '`' && *p != '[')
	{
		const char *end = p;

		while (is_word(*end))
			end++;
		return end > p ? end : p + 1;
	}
	for (p++; *p != '\0'; p++)
	{
		if (*p != quote)
			continue;
		if (quote == ']' || p[1] != quote)
			return p + 1;
		p++;
	}
	return p;
}

/* The text without quotes around it, if these are all around it; sqlite3_free, NULL without memory. */
static char *
unquoted(const char *start, const char *end)
{
	char quote = *start == '[' ? ']' : *start;
	char *text = sqlite3_malloc64((sqlite3_uint64) (end - start) + 1);
	char *out = text;

	if (text == NULL)
		return NULL;
	if (end - start < 2 || strchr("'\"`[", *start) == NULL || token_end(start) != end)
	{
		memcpy(text, start, (size_t) (end - start));
		text[end - start] = '\0';
		return text;
	}
	for (const char *p = start + 1; p < end - 1; p++)
	{
		if (*p == quote && quote != ']' && p + 1 < end - 1)
			p++;
		*out++ = *p;
	}
	*out = '\0';
	return text;
}

static bool
is_token(const char *start, const char *end, const char *word)
{
	return (size_t) (end - start) == strlen(word) && sqlite3_strnicmp(start, word, (int) (end - start)) == 0;
}

/* ---------- the statement ---------- */

/* Where the module's name stands, or NULL: the text is of no virtual table. */
static const char *
find_module(const char *sql)
{
	for (const char *p = skip_blanks(sql); *p != '\0';)
	{
		const char *end = token_end(p);
		const char *next = skip_blanks(end);

		if (is_token(p, end, "using"))
			return *next != '\0' ? next : NULL;
		p = next;
	}
	return NULL;
}

/* The end of an argument that begins at p: a comma or the bracket that closes the list. */
static const char *
argument_end(const char *p)
{
	int depth = 0;

	for (p = skip_blanks(p); *p != '\0'; p = skip_blanks(token_end(p)))
	{
		if (*p == '(')
			depth++;
		else if (*p == ')' && depth-- == 0)
			break;
		else if (*p == ',' && depth == 0)
			break;
	}
	return p;
}

/* The value of `name = value` in the argument from start to end, or false. */
static bool
read_argument(const char *start, const char *end, const char *name, char **value)
{
	const char *key = skip_blanks(start);
	const char *key_end = token_end(key);
	const char *p = skip_blanks(key_end);

	if (p >= end || *p != '=' || !is_token(key, key_end, name))
		return false;
	p = skip_blanks(p + 1);
	while (end > p && isspace((unsigned char) end[-1]))
		end--;
	*value = unquoted(p, end);
	return true;
}

/* NULL for what is no virtual table, and for an argument that is not there. */
static void
module_of_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const char *sql = (const char *) sqlite3_value_text(argv[0]);
	const char *name = argc > 1 ? (const char *) sqlite3_value_text(argv[1]) : NULL;
	const char *module = sql != NULL ? find_module(sql) : NULL;
	const char *p;
	char *value;

	if (module == NULL || (argc > 1 && name == NULL))
		return;
	p = token_end(module);
	if (argc == 1)
	{
		value = unquoted(module, p);
		for (char *c = value; c != NULL && *c != '\0'; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char) (*c - 'A' + 'a');
	}
	else
	{
		bool found = false;

		for (p = skip_blanks(p); !found && (*p == '(' || *p == ',');)
		{
			const char *end = argument_end(p + 1);

			found = read_argument(p + 1, end, name, &value);
			p = end;
		}
		if (!found)
			return;
	}
	if (value == NULL)
		sqlite3_result_error_nomem(context);
	else
		sqlite3_result_text(context, value, -1, sqlite3_free);
}

int
bridge_module_text_register(sqlite3 *db, BridgeError *err)
{
	for (int arguments = 1; arguments <= 2; arguments++)
	{
		int rc = sqlite3_create_function_v2(db, "hnsw_module_of", arguments,
											SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL,
											module_of_function, NULL, NULL, NULL);

		if (rc != SQLITE_OK)
			return bridge_error_db(err, db, "registering hnsw_module_of");
	}
	return SQLITE_OK;
}
