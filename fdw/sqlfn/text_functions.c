/*
 * text_functions.c
 *		LIKE and case folding with PostgreSQL's meaning, for SQLite.
 *
 * vss_like(x, pattern), vss_ilike(x, pattern): LIKE with the escape character
 * backslash.  SQLite's own folds case, has no escape and can be replaced.
 * vss_ilike, vss_lower(x) and vss_upper(x) fold A to Z alone, as collation C.
 *
 * Called by SQLite: nothing of PostgreSQL may be used below.  A value of
 * another kind than the column's is an error, as it is where rows are fetched.
 */
#include "postgres.h"

#include "fdw/sqlfn/sqlfn.h"

static unsigned char
fold(unsigned char c, bool ignore_case)
{
	return ignore_case && c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* Past the character at p; continuation bytes are 10xxxxxx. */
static const unsigned char *
next_character(const unsigned char *p, const unsigned char *end)
{
	p++;
	while (p < end && (*p & 0xC0) == 0x80)
		p++;
	return p;
}

/*
 * Whether s matches the pattern p.  Only the last % need be tried again: what
 * an earlier one matched is as short as can be, which leaves most to the rest.
 */
static bool
matches(const unsigned char *s, const unsigned char *s_end, const unsigned char *p,
		const unsigned char *p_end, bool ignore_case)
{
	const unsigned char *retry_s = NULL;
	const unsigned char *retry_p = NULL;

	for (;;)
	{
		if (p < p_end && *p == '%')
		{
			retry_p = ++p;
			retry_s = s;
			continue;
		}
		if (s == s_end && p == p_end)
			return true;
		if (s < s_end && p < p_end)
		{
			if (*p == '_')
			{
				p++;
				s = next_character(s, s_end);
				continue;
			}
			if (*p == '\\' && p + 1 < p_end)
			{
				if (fold(p[1], ignore_case) == fold(*s, ignore_case))
				{
					p += 2;
					s++;
					continue;
				}
			}
			else if (fold(*p, ignore_case) == fold(*s, ignore_case))
			{
				p++;
				s++;
				continue;
			}
		}
		if (retry_p == NULL || retry_s == s_end)
			return false;
		p = retry_p;
		s = retry_s = next_character(retry_s, s_end);
	}
}

/* Whether the arguments are not NULL and of this kind; else the result is set. */
static bool
are_text(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	for (int i = 0; i < argc; i++)
	{
		if (sqlite3_value_type(argv[i]) == SQLITE_NULL)
			return false; /* NULL */
	}
	for (int i = 0; i < argc; i++)
	{
		if (sqlite3_value_type(argv[i]) == SQLITE_TEXT)
			continue;
		sqlite3_result_error(context, "a value of a text column is not text", -1);
		sqlite3_result_error_code(context, SQLITE_MISMATCH);
		return false;
	}
	return true;
}

/* user data: whether to ignore case */
static void
like_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const unsigned char *s;
	const unsigned char *p;

	if (!are_text(context, argc, argv))
		return;
	s = sqlite3_value_text(argv[0]);
	p = sqlite3_value_text(argv[1]);
	if (s == NULL || p == NULL)
	{
		sqlite3_result_error_nomem(context);
		return;
	}
	sqlite3_result_int(context,
					   matches(s, s + sqlite3_value_bytes(argv[0]), p, p + sqlite3_value_bytes(argv[1]),
							   sqlite3_user_data(context) != NULL));
}

/* user data: whether to upper case */
static void
case_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	bool upper = sqlite3_user_data(context) != NULL;
	const unsigned char *text;
	unsigned char *out;
	int length;

	if (!are_text(context, argc, argv))
		return;
	text = sqlite3_value_text(argv[0]);
	length = sqlite3_value_bytes(argv[0]);
	out = text != NULL ? sqlite3_malloc64((sqlite3_uint64) length + 1) : NULL;
	if (out == NULL)
	{
		sqlite3_result_error_nomem(context);
		return;
	}
	for (int i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		if (upper && c >= 'a' && c <= 'z')
			c -= 'a' - 'A';
		out[i] = upper ? c : fold(c, true);
	}
	sqlite3_result_text(context, (char *) out, length, sqlite3_free);
}

const VssSqlFunction vssfdw_text_functions[] = {
	{"vss_like", 2, like_function},
	{"vss_ilike", 2, like_function, VSS_SQL_FLAG},
	{"vss_lower", 1, case_function},
	{"vss_upper", 1, case_function, VSS_SQL_FLAG},
	{NULL},
};
