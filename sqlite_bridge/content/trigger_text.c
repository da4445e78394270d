/*
 * trigger_text.c
 *		Reading a trigger's SQL for what it does to an index.
 *
 * Only what is certain is recognised: a trigger whose statements are
 *
 *	SELECT hnsw_add(NEW.a, NEW.b [, 'index']) [, call ...] [WHERE NEW.b IS NOT NULL]
 *	SELECT hnsw_del(OLD.a [, 'index']) [, call ...]
 *
 * among any others.  A call elsewhere (under another condition, in a subquery,
 * on other expressions) is not seen, so that nobody takes an index of some rows
 * for one of all.  The text comes from sqlite_schema, so SQLite has parsed it;
 * still every step checks what it reads.
 */
#include "sqlite_bridge/content/content.h"

#include <ctype.h>
#include <string.h>

/* ---------- tokens ---------- */

typedef enum TokenKind
{
	TOKEN_END,
	TOKEN_NAME,   /* bare, or in "", [] or `` */
	TOKEN_STRING, /* in '' */
	TOKEN_OTHER   /* a number's or operator's character */
} TokenKind;

typedef struct Token
{
	TokenKind kind;
	const char *start; /* with its quotes */
	int length;
} Token;

typedef struct Scanner
{
	const char *p;
	Token token; /* the present one */
} Scanner;

static bool
is_name_char(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || (unsigned char) c >= 0x80;
}

static const char *
skip_space(const char *p)
{
	for (;;)
	{
		while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
			p++;
		if (p[0] == '-' && p[1] == '-')
			while (*p != '\0' && *p != '\n')
				p++;
		else if (p[0] == '/' && p[1] == '*')
		{
			const char *end = strstr(p + 2, "*/");

			if (end == NULL)
				return p + strlen(p);
			p = end + 2;
		}
		else
			return p;
	}
}

/* Behind the closing quote; a doubled quote stands for itself. */
static const char *
skip_quoted(const char *p, char close)
{
	for (p++; *p != '\0'; p++)
		if (*p == close)
		{
			if (close == ']' || p[1] != close)
				return p + 1;
			p++;
		}
	return p;
}

static void
advance(Scanner *s)
{
	const char *p = skip_space(s->p);
	Token *token = &s->token;

	token->start = p;
	if (*p == '\0')
		token->kind = TOKEN_END;
	else if (*p == '\'')
	{
		token->kind = TOKEN_STRING;
		p = skip_quoted(p, '\'');
	}
	else if (*p == '"' || *p == '`' || *p == '[')
	{
		token->kind = TOKEN_NAME;
		p = skip_quoted(p, *p == '[' ? ']' : *p);
	}
	else if (is_name_char(*p) && !isdigit((unsigned char) *p))
	{
		token->kind = TOKEN_NAME;
		while (is_name_char(*p))
			p++;
	}
	else
	{
		token->kind = TOKEN_OTHER;
		p++;
	}
	token->length = (int) (p - token->start);
	s->p = p;
}

/* The token's meaning without quotes; sqlite3_free, NULL without memory. */
static char *
token_value(const Token *token)
{
	char quote = token->start[0];
	char *out = sqlite3_mprintf("%.*s", token->length, token->start);
	char *to = out;

	if (out == NULL || (quote != '"' && quote != '`' && quote != '[' && quote != '\''))
		return out;
	for (const char *from = out + 1; from < out + token->length - 1; from++)
	{
		*to++ = *from;
		if (quote != '[' && *from == quote)
			from++;
	}
	*to = '\0';
	return out;
}

/* A keyword is a bare word. */
static bool
is_word(const Token *token, const char *word)
{
	return token->kind == TOKEN_NAME && token->length == (int) strlen(word) &&
		   sqlite3_strnicmp(token->start, word, token->length) == 0;
}

static bool
accept_word(Scanner *s, const char *word)
{
	if (!is_word(&s->token, word))
		return false;
	advance(s);
	return true;
}

static bool
accept_char(Scanner *s, char c)
{
	if (s->token.kind != TOKEN_OTHER || s->token.start[0] != c)
		return false;
	advance(s);
	return true;
}

static bool
accept_name(Scanner *s, char **name)
{
	if (s->token.kind != TOKEN_NAME)
		return false;
	if (name != NULL)
	{
		sqlite3_free(*name);
		*name = token_value(&s->token);
	}
	advance(s);
	return true;
}

/* NEW.column or OLD.column */
static bool
accept_row_column(Scanner *s, const char *row, char **column)
{
	return accept_word(s, row) && accept_char(s, '.') && accept_name(s, column);
}

/* ---------- the head ---------- */

/*
 * CREATE [TEMP] TRIGGER [IF NOT EXISTS] [schema.]name [BEFORE | AFTER | INSTEAD OF]
 * DELETE | INSERT | UPDATE [OF column, ...] ON table [FOR EACH ROW] [WHEN ...] BEGIN
 */
static bool
read_head(Scanner *s, BridgeTrigger *out)
{
	if (!accept_word(s, "CREATE"))
		return false;
	if (!accept_word(s, "TEMP"))
		accept_word(s, "TEMPORARY");
	if (!accept_word(s, "TRIGGER"))
		return false;
	if (accept_word(s, "IF") && !(accept_word(s, "NOT") && accept_word(s, "EXISTS")))
		return false;
	if (!accept_name(s, NULL) || (accept_char(s, '.') && !accept_name(s, NULL)))
		return false;
	out->after = accept_word(s, "AFTER");
	if (!out->after)
		accept_word(s, "BEFORE"); /* which no word means too */
	if (is_word(&s->token, "INSTEAD"))
		return false;
	if (accept_word(s, "INSERT"))
		out->event = BRIDGE_INSERT;
	else if (accept_word(s, "DELETE"))
		out->event = BRIDGE_DELETE;
	else if (accept_word(s, "UPDATE"))
		out->event = BRIDGE_UPDATE;
	else
		return false;
	if (accept_word(s, "OF"))
	{
		out->columns_start = s->token.start;
		while (accept_name(s, NULL) && accept_char(s, ','))
			;
		out->has_columns = true;
	}
	if (!accept_word(s, "ON") || !accept_name(s, NULL))
		return false;
	if (accept_word(s, "FOR") && !(accept_word(s, "EACH") && accept_word(s, "ROW")))
		return false;
	return true;
}

bool
bridge_trigger_is_after_insert(const char *sql)
{
	Scanner s = {sql, {0}};
	BridgeTrigger trigger;

	memset(&trigger, 0, sizeof(trigger));
	advance(&s);
	/* One that cannot be read may be anything. */
	return !read_head(&s, &trigger) || (trigger.after && trigger.event == BRIDGE_INSERT);
}

bool
bridge_trigger_lists(const BridgeTrigger *trigger, const char *column)
{
	Scanner s = {trigger->columns_start, {0}};
	bool found = false;

	if (!trigger->has_columns)
		return true;
	advance(&s);
	do
	{
		char *name = NULL;

		if (!accept_name(&s, &name))
			break;
		found = name != NULL && sqlite3_stricmp(name, column) == 0;
		sqlite3_free(name);
	} while (!found && accept_char(&s, ','));
	return found;
}

/* ---------- the body ---------- */

/* "NEW.b IS NOT NULL" for the column that the call adds. */
static bool
accept_not_null(Scanner *s, const char *column)
{
	char *name = NULL;
	bool ok = accept_row_column(s, "NEW", &name) && name != NULL && column != NULL &&
			  sqlite3_stricmp(name, column) == 0 && accept_word(s, "IS") && accept_word(s, "NOT") &&
			  accept_word(s, "NULL");

	sqlite3_free(name);
	return ok;
}

static void
free_call(BridgeTriggerCall *call)
{
	sqlite3_free(call->id);
	sqlite3_free(call->vector);
	sqlite3_free(call->index);
	memset(call, 0, sizeof(*call));
}

static bool
accept_call(Scanner *s, BridgeTriggerCall *call)
{
	call->adds = is_word(&s->token, "hnsw_add");
	if (!call->adds && !is_word(&s->token, "hnsw_del"))
		return false;
	advance(s);
	if (!accept_char(s, '(') || !accept_row_column(s, call->adds ? "NEW" : "OLD", &call->id))
		return false;
	if (call->adds && !(accept_char(s, ',') && accept_row_column(s, "NEW", &call->vector)))
		return false;
	if (accept_char(s, ','))
	{
		/* SQLite takes a name in double quotes for a string where no column has it. */
		if (s->token.kind != TOKEN_STRING && !(s->token.kind == TOKEN_NAME && s->token.start[0] == '"'))
			return false;
		call->index = token_value(&s->token);
		advance(s);
	}
	return accept_char(s, ')');
}

/*
 * One statement from SELECT on.  Its calls count only if all of it is
 * understood.
 */
static void
read_statement(Scanner *s, BridgeTrigger *out)
{
	int before = out->call_count;
	bool ok;

	do
	{
		BridgeTriggerCall *call = &out->calls[out->call_count];

		ok = out->call_count < BRIDGE_TRIGGER_CALLS && accept_call(s, call);
		if (!ok && out->call_count < BRIDGE_TRIGGER_CALLS)
			free_call(call);
		out->call_count += ok;
	} while (ok && accept_char(s, ','));
	if (ok && accept_word(s, "WHERE"))
		ok = out->call_count == before + 1 && accept_not_null(s, out->calls[before].vector);
	if (ok && s->token.kind == TOKEN_OTHER && s->token.start[0] == ';')
		return;
	while (out->call_count > before)
		free_call(&out->calls[--out->call_count]);
}

static void
skip_statement(Scanner *s)
{
	while (s->token.kind != TOKEN_END && !accept_char(s, ';'))
		advance(s);
}

bool
bridge_trigger_parse(const char *sql, BridgeTrigger *out)
{
	Scanner s = {sql, {0}};
	Scanner when = {NULL, {0}};

	memset(out, 0, sizeof(*out));
	advance(&s);
	if (!read_head(&s, out))
		return false;
	if (accept_word(&s, "WHEN"))
	{
		when = s;
		/* CASE ... END may stand in it, BEGIN may not. */
		while (s.token.kind != TOKEN_END && !is_word(&s.token, "BEGIN"))
			advance(&s);
	}
	if (!accept_word(&s, "BEGIN"))
		return false;
	while (s.token.kind != TOKEN_END && !is_word(&s.token, "END"))
	{
		if (accept_word(&s, "SELECT"))
			read_statement(&s, out);
		skip_statement(&s);
	}
	/* Of conditions only one is understood. */
	if (when.p != NULL && out->call_count > 0 &&
		!(out->call_count == 1 && accept_not_null(&when, out->calls[0].vector) &&
		  is_word(&when.token, "BEGIN")))
		bridge_trigger_free(out);
	return out->call_count > 0;
}

void
bridge_trigger_free(BridgeTrigger *trigger)
{
	while (trigger->call_count > 0)
		free_call(&trigger->calls[--trigger->call_count]);
}
