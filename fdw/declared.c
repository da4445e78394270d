/*
 * declared.c
 *		What SQLite's declarations of columns, types and defaults, mean in
 *		PostgreSQL.
 */
#include "postgres.h"

#include <ctype.h>

#include "lib/stringinfo.h"
#include "utils/formatting.h"

#include "fdw/fdw.h"

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
		{"STRING", "text"},
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

/*
 * A default that means the same in PostgreSQL: numbers, strings, booleans and
 * the current time where the column's type makes it the same value.  NULL for
 * all else; SQLite then has a default that PostgreSQL does not know.
 */
char *
vssfdw_translated_default(const char *sql, const char *type)
{
	size_t length;
	const char *p = sql;
	bool is_number = false;

	if (sql == NULL)
		return NULL;
	length = strlen(sql);
	while (length > 1 && sql[0] == '(' && sql[length - 1] == ')')
	{
		char *inner = pnstrdup(sql + 1, length - 2);

		if (strpbrk(inner, "()") != NULL)
			return NULL;
		sql = p = inner;
		length = strlen(sql);
	}

	if (sql[0] == '\'' && length > 1 && sql[length - 1] == '\'')
	{
		/* One literal: every quote inside is doubled. */
		for (const char *q = sql + 1; q < sql + length - 1; q++)
			if (*q == '\'' && *++q != '\'')
				return NULL;
		if (strchr(sql, '\\') != NULL || strcmp(type, "bytea") == 0 || strncmp(type, "time", 4) == 0 ||
			strcmp(type, "date") == 0)
			return NULL;
		return pstrdup(sql);
	}
	if (pg_strcasecmp(sql, "TRUE") == 0 || pg_strcasecmp(sql, "FALSE") == 0)
	{
		if (strcmp(type, "boolean") == 0)
			return pstrdup(sql);
		return strcmp(type, "bigint") == 0 ? pstrdup(pg_strcasecmp(sql, "TRUE") == 0 ? "1" : "0") : NULL;
	}
	if (pg_strcasecmp(sql, "CURRENT_TIMESTAMP") == 0)
	{
		if (strcmp(type, "timestamp with time zone") == 0)
			return pstrdup("date_trunc('second', now())");
		if (strcmp(type, "timestamp without time zone") == 0)
			return pstrdup("date_trunc('second', now() AT TIME ZONE 'UTC')");
		if (strcmp(type, "text") == 0)
			return pstrdup("to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')");
		return NULL;
	}
	if (pg_strcasecmp(sql, "CURRENT_DATE") == 0)
		return strcmp(type, "date") == 0 ? pstrdup("((now() AT TIME ZONE 'UTC')::date)") : NULL;

	if (*p == '-' || *p == '+')
		p++;
	for (; *p != '\0'; p++)
	{
		if (isdigit((unsigned char) *p))
			is_number = true;
		else if (strchr(".eE+-", *p) == NULL)
			return NULL;
	}
	if (!is_number)
		return NULL;
	if (strcmp(type, "boolean") == 0)
		return strcmp(sql, "0") == 0 ? pstrdup("false") : strcmp(sql, "1") == 0 ? pstrdup("true") : NULL;
	if (strcmp(type, "bigint") == 0)
		return strpbrk(sql, ".eE") == NULL ? pstrdup(sql) : NULL;
	if (strcmp(type, "double precision") == 0 || strcmp(type, "numeric") == 0)
		return pstrdup(sql);
	return NULL;
}
