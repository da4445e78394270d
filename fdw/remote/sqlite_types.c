/*
 * sqlite_types.c
 *		What SQLite's declarations of columns, types and defaults, mean in
 *		PostgreSQL.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/formatting.h"

#include "fdw/remote/remote.h"

/* Rules of "Determination Of Column Affinity" in SQLite's manual, in their order. */
VssAffinity
vssfdw_affinity(const char *declared, bool strict)
{
	char *upper = asc_toupper(declared, strlen(declared));

	if (strict && strcmp(upper, "ANY") == 0)
		return VSS_AFFINITY_BLOB;
	if (strstr(upper, "INT"))
		return VSS_AFFINITY_INTEGER;
	if (strstr(upper, "CHAR") || strstr(upper, "CLOB") || strstr(upper, "TEXT"))
		return VSS_AFFINITY_TEXT;
	if (upper[0] == '\0' || strstr(upper, "BLOB"))
		return VSS_AFFINITY_BLOB;
	if (strstr(upper, "REAL") || strstr(upper, "FLOA") || strstr(upper, "DOUB"))
		return VSS_AFFINITY_REAL;
	return VSS_AFFINITY_NUMERIC;
}

/*
 * SQLite enforces neither lengths nor precisions nor ranges of declared types,
 * so the PostgreSQL types are the wide ones: what is stored can be read.
 */
const char *
vssfdw_type_for_declared(const char *declared, bool strict)
{
	static const struct
	{
		const char *name;
		const char *type;
	} names[] = {
		{"BOOL", "boolean"},
		{"BOOLEAN", "boolean"},
		{"DATE", "date"},
		{"TIME", "time without time zone"},
		{"TIMETZ", "time with time zone"},
		{"TIME WITH TIME ZONE", "time with time zone"},
		{"DATETIME", "timestamp without time zone"},
		{"TIMESTAMP", "timestamp without time zone"},
		{"TIMESTAMP WITHOUT TIME ZONE", "timestamp without time zone"},
		{"TIMESTAMPTZ", "timestamp with time zone"},
		{"TIMESTAMP WITH TIME ZONE", "timestamp with time zone"},
		{"INTERVAL", "interval"},
		{"UUID", "uuid"},
		{"GUID", "uuid"},
		{"UNIQUEIDENTIFIER", "uuid"},
		{"JSON", "json"},
		{"JSONB", "jsonb"},
		{"BYTEA", "bytea"},
		{"BINARY", "bytea"},
		{"VARBINARY", "bytea"},
		{"IMAGE", "bytea"},
		{"INET", "inet"},
		{"CIDR", "cidr"},
		{"MACADDR", "macaddr"},
		{"MACADDR8", "macaddr8"},
		{"STRING", "text"},
		{"XML", "text"},
		{"URL", "text"},
		{"URI", "text"},
		{"EMAIL", "text"},
		{"ENUM", "text"},
		{"CURRENCY", "numeric"},
		{"SMALLDATETIME", "timestamp without time zone"},
		{"DATETIME2", "timestamp without time zone"},
		{"DATETIMEOFFSET", "timestamp with time zone"},
		{"GEOMETRY", "bytea"},
		{"GEOGRAPHY", "bytea"},
		{"POINT", "bytea"},
		{"LINESTRING", "bytea"},
		{"POLYGON", "bytea"},
		{"MULTIPOINT", "bytea"},
		{"MULTILINESTRING", "bytea"},
		{"MULTIPOLYGON", "bytea"},
		{"GEOMETRYCOLLECTION", "bytea"},
	};
	StringInfoData name;
	int depth = 0;

	/* The name without "(10, 2)" and with single blanks. */
	initStringInfo(&name);
	for (const char *p = declared; *p != '\0'; p++)
	{
		if (*p == '(')
			depth++;
		else if (*p == ')')
			depth--;
		else if (depth <= 0)
		{
			char c = pg_ascii_toupper((unsigned char) *p);

			if (c == ' ' && (name.len == 0 || name.data[name.len - 1] == ' '))
				continue;
			appendStringInfoChar(&name, c);
		}
	}
	while (name.len > 0 && name.data[name.len - 1] == ' ')
		name.data[--name.len] = '\0';

	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(name.data, names[i].name) == 0)
			return names[i].type;

	switch (vssfdw_affinity(name.data, strict))
	{
		case VSS_AFFINITY_INTEGER:
			return "bigint";
		case VSS_AFFINITY_TEXT:
			return "text";
		case VSS_AFFINITY_REAL:
			return "double precision";
		case VSS_AFFINITY_NUMERIC:
			return "numeric";
		case VSS_AFFINITY_BLOB:
			break;
	}
	return name.len == 0 || strict ? (strcmp(name.data, "BLOB") == 0 ? "bytea" : "text") : "bytea";
}

/* VECTOR(384), VSS_VECTOR(384), F32_BLOB(384): declared as vectors by their names. */
int
vssfdw_declared_dimension(const char *declared)
{
	static const char *const names[] = {"vss_vector", "vector", "f32_blob", "float32"};

	for (int i = 0; i < lengthof(names); i++)
	{
		size_t length = strlen(names[i]);

		if (pg_strncasecmp(declared, names[i], length) == 0)
		{
			const char *rest = declared + length + strspn(declared + length, " ");
			int dim = *rest == '(' ? atoi(rest + 1) : -1;

			if (*rest == '\0' || *rest == '(')
				return dim >= 1 && dim <= BRIDGE_MAX_DIM ? dim : -1;
		}
	}
	return 0;
}

/* Digits of a plain number, [+-]digits[.digits][e[+-]digits]; 0 for anything else. */
static int
plain_number(const char *text, bool *integer)
{
	const char *p = text + (*text == '-' || *text == '+');
	int whole = (int) strspn(p, "0123456789");
	int fraction = 0;

	p += whole;
	*integer = *p == '\0';
	if (*p == '.')
	{
		fraction = (int) strspn(p + 1, "0123456789");
		p += 1 + fraction;
	}
	if (whole + fraction > 0 && (*p == 'e' || *p == 'E'))
	{
		int exponent;

		p += 1 + (p[1] == '-' || p[1] == '+');
		exponent = (int) strspn(p, "0123456789");
		if (exponent < 1 || exponent > 2)
			return 0;
		p += exponent;
	}
	return *p == '\0' ? whole + fraction : 0;
}

static char *
number_default(const char *number, const char *type)
{
	bool integer;
	int digits = plain_number(number, &integer);

	if (digits == 0)
		return NULL;
	if (strcmp(type, "boolean") == 0)
		return strcmp(number, "0") == 0   ? pstrdup("false")
			   : strcmp(number, "1") == 0 ? pstrdup("true")
										  : NULL;
	if (strcmp(type, "bigint") == 0)
		return integer && digits <= 18 ? pstrdup(number) : NULL;
	if (strcmp(type, "double precision") == 0 || strcmp(type, "numeric") == 0)
		return pstrdup(number);
	return NULL;
}

/* The text of one string literal, or NULL for anything else. */
static char *
literal_text(const char *sql)
{
	StringInfoData text;
	const char *p = sql;

	if (*p++ != '\'')
		return NULL;
	initStringInfo(&text);
	for (;; p++)
	{
		if (*p == '\0')
			return NULL;
		if (*p == '\'' && *++p != '\'')
			return *p == '\0' ? text.data : NULL;
		appendStringInfoChar(&text, *p);
	}
}

static char *
time_default(const char *keyword, const char *type)
{
	static const struct
	{
		const char *keyword;
		const char *type;
		const char *sql;
	} times[] = {
		{"CURRENT_TIMESTAMP", "timestamp with time zone", "date_trunc('second', now())"},
		{"CURRENT_TIMESTAMP", "timestamp without time zone",
		 "date_trunc('second', now() AT TIME ZONE 'UTC')"},
		{"CURRENT_TIMESTAMP", "text", "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"},
		{"CURRENT_DATE", "date", "((now() AT TIME ZONE 'UTC')::date)"},
	};

	for (int i = 0; i < lengthof(times); i++)
		if (pg_strcasecmp(times[i].keyword, keyword) == 0 && strcmp(times[i].type, type) == 0)
			return pstrdup(times[i].sql);
	return NULL;
}

/*
 * Nothing is copied that has not been understood: the text comes from the
 * database and becomes part of a command that the importing user runs.
 */
char *
vssfdw_translated_default(const char *sql, const char *type)
{
	size_t length;
	char *text;

	if (sql == NULL)
		return NULL;
	for (length = strlen(sql); length > 1 && sql[0] == '(' && sql[length - 1] == ')'; length -= 2)
		sql = pnstrdup(sql + 1, length - 2);

	/* A number in quotes becomes one where the column has numeric affinity. */
	text = literal_text(sql);
	if (text != NULL)
		return strcmp(type, "text") == 0 ? quote_literal_cstr(text) : number_default(text, type);
	if (pg_strcasecmp(sql, "TRUE") == 0)
		return number_default("1", type);
	if (pg_strcasecmp(sql, "FALSE") == 0)
		return number_default("0", type);
	text = time_default(sql, type);
	return text != NULL ? text : number_default(sql, type);
}
