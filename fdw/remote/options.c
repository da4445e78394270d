/*
 * options.c
 *		Options of servers, tables and columns: which exist, what values they
 *		take, and who may set them.
 *
 * Values are checked when the DDL runs, so that reading them later cannot
 * fail; names follow sqlite_fdw where the meaning is the same.
 */
#include "postgres.h"

#include <math.h>

#include "access/reloptions.h"
#include "access/sysattr.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "fdw/remote/remote.h"

typedef enum OptionKind
{
	OPTION_PATH, /* absolute file name */
	OPTION_NAME, /* not empty */
	OPTION_BOOL,
	OPTION_INTEGER,   /* within low..high */
	OPTION_COST,      /* not negative */
	OPTION_STORED,    /* column_type */
	OPTION_UNIT,      /* time_unit */
	OPTION_FORM,      /* text_form */
	OPTION_LIBRARIES, /* absolute paths, with commas between them */
	OPTION_URL,       /* of an embedding server */
	OPTION_API,       /* ollama or openai */
	OPTION_ENCODING,  /* float or base64 */
	OPTION_ANY        /* any text, also none */
} OptionKind;

typedef struct Option
{
	const char *name;
	Oid context; /* catalog that it appears in */
	OptionKind kind;
	int low;
	int high;
} Option;

static const Option options[] = {
	{"database", ForeignServerRelationId, OPTION_PATH, 0, 0},
	{"read_only", ForeignServerRelationId, OPTION_BOOL, 0, 0},
	{"immutable", ForeignServerRelationId, OPTION_BOOL, 0, 0},
	{"updatable", ForeignServerRelationId, OPTION_BOOL, 0, 0},
	{"truncatable", ForeignServerRelationId, OPTION_BOOL, 0, 0},
	{"keep_connections", ForeignServerRelationId, OPTION_BOOL, 0, 0},
	{"use_remote_estimate", ForeignServerRelationId, OPTION_BOOL, 0, 0},
	{"busy_timeout", ForeignServerRelationId, OPTION_INTEGER, 0, INT_MAX},
	{"cache_size", ForeignServerRelationId, OPTION_INTEGER, -INT_MAX, INT_MAX},
	{"batch_size", ForeignServerRelationId, OPTION_INTEGER, 1, INT_MAX},
	{"fdw_startup_cost", ForeignServerRelationId, OPTION_COST, 0, 0},
	{"fdw_tuple_cost", ForeignServerRelationId, OPTION_COST, 0, 0},
	{"extensions", ForeignServerRelationId, OPTION_LIBRARIES, 0, 0},
	{"embed_url", ForeignServerRelationId, OPTION_URL, 0, 0},
	{"embed_model", ForeignServerRelationId, OPTION_NAME, 0, 0},
	{"embed_api", ForeignServerRelationId, OPTION_API, 0, 0},
	{"embed_encoding", ForeignServerRelationId, OPTION_ENCODING, 0, 0},
	{"embed_dimensions", ForeignServerRelationId, OPTION_INTEGER, 1, BRIDGE_MAX_DIM},
	{"embed_timeout", ForeignServerRelationId, OPTION_INTEGER, 1, INT_MAX},
	{"embed_batch_size", ForeignServerRelationId, OPTION_INTEGER, 1, 2048},
	{"embed_retries", ForeignServerRelationId, OPTION_INTEGER, 0, 100},
	{"embed_proxy", ForeignServerRelationId, OPTION_URL, 0, 0},

	{"embed_key", UserMappingRelationId, OPTION_NAME, 0, 0},

	{"table", ForeignTableRelationId, OPTION_NAME, 0, 0},
	{"query", ForeignTableRelationId, OPTION_NAME, 0, 0},
	{"updatable", ForeignTableRelationId, OPTION_BOOL, 0, 0},
	{"truncatable", ForeignTableRelationId, OPTION_BOOL, 0, 0},
	{"use_remote_estimate", ForeignTableRelationId, OPTION_BOOL, 0, 0},
	{"batch_size", ForeignTableRelationId, OPTION_INTEGER, 1, INT_MAX},

	{"column_name", AttributeRelationId, OPTION_NAME, 0, 0},
	{"column_type", AttributeRelationId, OPTION_STORED, 0, 0},
	{"time_unit", AttributeRelationId, OPTION_UNIT, 0, 0},
	{"text_form", AttributeRelationId, OPTION_FORM, 0, 0},
	{"null_value", AttributeRelationId, OPTION_ANY, 0, 0},
	{"key", AttributeRelationId, OPTION_BOOL, 0, 0},
};

static const struct
{
	const char *name;
	VssStored stored;
} stored_names[] = {
	{"integer", VSS_STORED_INTEGER}, {"int", VSS_STORED_INTEGER},  {"bigint", VSS_STORED_INTEGER},
	{"real", VSS_STORED_REAL},       {"double", VSS_STORED_REAL},  {"float", VSS_STORED_REAL},
	{"text", VSS_STORED_TEXT},       {"varchar", VSS_STORED_TEXT}, {"blob", VSS_STORED_BLOB},
};

static const char *
context_name(Oid context)
{
	switch (context)
	{
		case ForeignDataWrapperRelationId:
			return "the foreign-data wrapper itself";
		case ForeignServerRelationId:
			return "a server of vss_fdw";
		case UserMappingRelationId:
			return "a user mapping of vss_fdw";
		case ForeignTableRelationId:
			return "a foreign table of vss_fdw";
		case AttributeRelationId:
			return "a column of vss_fdw";
		default:
			return "this object";
	}
}

/*
 * At most two edits, or half of the letters for short ones, are a slip of the finger.
 */
const char *
vssfdw_closest_name(const char *name, List *names)
{
	const char *best = NULL;
	int best_distance = INT_MAX;
	ListCell *lc;

	if (strlen(name) > 64)
		return NULL;
	foreach (lc, names)
	{
		const char *known = lfirst(lc);
		int distance = varstr_levenshtein(known, strlen(known), name, strlen(name), 1, 1, 1, true);

		if (distance < best_distance)
		{
			best_distance = distance;
			best = known;
		}
	}
	return best != NULL && best_distance <= Max(2, (int) strlen(best) / 2 - 1) ? best : NULL;
}

static void
report_unknown(const char *name, Oid context)
{
	StringInfoData valid;
	List *names = NIL;
	const char *closest;
	Oid elsewhere = InvalidOid;

	initStringInfo(&valid);
	for (int i = 0; i < lengthof(options); i++)
	{
		if (options[i].context == context)
		{
			appendStringInfo(&valid, "%s%s", valid.len > 0 ? ", " : "", options[i].name);
			names = lappend(names, (char *) options[i].name);
		}
		else if (strcmp(options[i].name, name) == 0 && elsewhere == InvalidOid)
			elsewhere = options[i].context;
	}
	closest = vssfdw_closest_name(name, names);

	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\" for %s", name, context_name(context)),
			 valid.len > 0 ? errdetail("Valid options are: %s.", valid.data)
						   : errdetail("There are no options for %s.", context_name(context)),
			 elsewhere != InvalidOid ? errhint("\"%s\" is an option of %s.", name, context_name(elsewhere))
			 : closest != NULL       ? errhint("Perhaps you meant the option \"%s\".", closest)
									 : 0));
}

static bool
parse_stored(const char *value, VssStored *stored)
{
	for (int i = 0; i < lengthof(stored_names); i++)
		if (pg_strcasecmp(stored_names[i].name, value) == 0)
		{
			*stored = stored_names[i].stored;
			return true;
		}
	return false;
}

/* One of two words, the first being the default. */
static void
check_word(const Option *option, const char *value, const char *one, const char *other)
{
	if (strcmp(value, one) != 0 && strcmp(value, other) != 0)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("invalid value for option \"%s\": \"%s\"", option->name, value),
						errhint("Use %s or %s.", one, other)));
}

/* Whether they are allowed is looked at when they are loaded: a dump must be restorable before. */
static void
check_libraries(const Option *option, char *value)
{
	List *paths = vssfdw_parse_extensions(value);
	ListCell *lc;

	if (paths == NIL)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("invalid value for option \"%s\": \"%s\"", option->name, value),
						errhint("Use paths of library files with commas between them.")));
	foreach (lc, paths)
	{
		const char *path = lfirst(lc);

		if (!is_absolute_path(path))
			ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
							errmsg("option \"%s\" must have absolute paths: \"%s\"", option->name, path)));
	}
}

bool
vssfdw_is_boolean_form(const char *form)
{
	const char *slash = strchr(form, '/');
	bool yes;
	bool no;

	return slash != NULL && parse_bool_with_len(form, slash - form, &yes) && yes &&
		   parse_bool(slash + 1, &no) && !no;
}

/* A whole number as people write it; the server's own parse_int takes 1.5, 0x10 and 1e3. */
static bool
parse_integer(const char *value, int *integer)
{
	char *end;
	long result;

	errno = 0;
	result = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || result < INT_MIN || result > INT_MAX)
		return false;
	*integer = (int) result;
	return true;
}

static void
check_value(const Option *option, DefElem *def)
{
	char *value = defGetString(def);
	int integer;
	double cost;
	bool boolean;
	VssStored stored;
	VssTimeUnit unit;

	switch (option->kind)
	{
		case OPTION_PATH:
			if (!is_absolute_path(value))
				ereport(
					ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 errmsg("option \"%s\" must be an absolute path: \"%s\"", option->name, value),
					 errhint(
						 "The server process has its own working folder; give the whole path of the SQLite "
						 "file, such as \"/srv/app/docs.db\".")));
			break;
		case OPTION_NAME:
			if (value[0] == '\0')
				ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
								errmsg("option \"%s\" must not be empty", option->name)));
			break;
		case OPTION_BOOL:
			if (!parse_bool(value, &boolean))
				ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
								errmsg("invalid value for option \"%s\": \"%s\"", option->name, value),
								errhint("Use true or false.")));
			break;
		case OPTION_INTEGER:
			if (!parse_integer(value, &integer) || integer < option->low || integer > option->high)
				ereport(ERROR,
						(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						 errmsg("invalid value for option \"%s\": \"%s\"", option->name, value),
						 strstr(option->name, "_timeout") != NULL
							 ? errhint("Use a number of milliseconds, %d to %d.", option->low, option->high)
						 : option->low < 0
							 ? errhint("Use a number of pages, or a negative number of KiB, as PRAGMA "
									   "cache_size does.")
							 : errhint("Use an integer from %d to %d.", option->low, option->high)));
			break;
		case OPTION_COST:
			if (!parse_real(value, &cost, 0, NULL) || !(cost >= 0) || isinf(cost))
				ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
								errmsg("invalid value for option \"%s\": \"%s\"", option->name, value),
								errhint("Use a number not below zero.")));
			break;
		case OPTION_STORED:
			if (!parse_stored(value, &stored))
				ereport(
					ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 errmsg("invalid value for option \"%s\": \"%s\"", option->name, value),
					 errhint(
						 "Use the form in which SQLite stores the values: INTEGER, REAL, TEXT or BLOB.")));
			break;
		case OPTION_UNIT:
			if (!vssfdw_time_unit(value, &unit))
				ereport(
					ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 errmsg("invalid value for option \"%s\": \"%s\"", option->name, value),
					 errhint(
						 "Use s, ms, us or ns (since 1970), julian (days), coredata (seconds since 2001), "
						 "webkit (microseconds since 1601) or ticks (100 ns since year 1).")));
			break;
		case OPTION_FORM:
			if (!vssfdw_is_boolean_form(value) && !vssfdw_is_time_form(VALUE_DATE, value) &&
				!vssfdw_is_time_form(VALUE_TIME, value) && !vssfdw_is_time_form(VALUE_TIMESTAMP, value))
				ereport(
					ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 errmsg("invalid value for option \"%s\": \"%s\"", option->name, value),
					 errhint("For booleans use the two words, such as true/false; for times what they look "
							 "like, such as YYYY-MM-DDTHH:MM:SS.SSSZ.")));
			break;
		case OPTION_URL:
			/* a password may stand in it, so the value is not repeated */
			if (pg_strncasecmp(value, "http://", 7) != 0 && pg_strncasecmp(value, "https://", 8) != 0)
				ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
								errmsg("option \"%s\" must be an http or https URL", option->name),
								errhint("It looks like http://127.0.0.1:11434 or https://host.")));
			break;
		case OPTION_LIBRARIES:
			check_libraries(option, value);
			break;
		case OPTION_API:
			check_word(option, value, "ollama", "openai");
			break;
		case OPTION_ENCODING:
			check_word(option, value, "float", "base64");
			break;
		case OPTION_ANY:
			break;
	}
}

/*
 * Naming a file lets the server's user read it, and write it unless the server
 * is read-only: the same rights as file_fdw asks for.  Checked whenever the
 * options are set, also when somebody else alters the server.
 */
static void
check_file_rights(bool writes)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"database\" of vss_fdw"),
				 errdetail("Only roles with privileges of the \"pg_read_server_files\" role may name a file "
						   "on the server.")));
	if (writes && !has_privs_of_role(GetUserId(), ROLE_PG_WRITE_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"database\" of a writable vss_fdw server"),
				 errdetail("Only roles with privileges of the \"pg_write_server_files\" role may name a file "
						   "that can be written."),
				 errhint("Add the option read_only 'true'.")));
}

VSS_SQL_FUNCTION(vss_fdw_validator);

/* Checks one complete list of options, at CREATE as well as after ALTER. */
Datum
vss_fdw_validator(PG_FUNCTION_ARGS)
{
	List *list = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid context = PG_GETARG_OID(1);
	bool database = false;
	bool read_only = false;
	bool immutable = false;
	bool table = false;
	bool query = false;
	ListCell *lc;

	foreach (lc, list)
	{
		DefElem *def = (DefElem *) lfirst(lc);
		const Option *option = NULL;

		for (int i = 0; i < lengthof(options); i++)
			if (options[i].context == context && strcmp(options[i].name, def->defname) == 0)
				option = &options[i];
		if (option == NULL)
			report_unknown(def->defname, context);
		check_value(option, def);

		if (option->kind == OPTION_PATH)
			database = true;
		else if (strcmp(option->name, "read_only") == 0)
			(void) parse_bool(defGetString(def), &read_only);
		else if (strcmp(option->name, "immutable") == 0)
			(void) parse_bool(defGetString(def), &immutable);
		table = table || strcmp(option->name, "table") == 0;
		query = query || strcmp(option->name, "query") == 0;
	}
	if (table && query)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("options \"table\" and \"query\" exclude each other"),
						errhint("A foreign table stands for a table of SQLite's, or for a query.")));

	if (context == ForeignServerRelationId)
	{
		if (database)
			check_file_rights(!read_only && !immutable);
		else
			ereport(ERROR,
					(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND), errmsg("option \"database\" is missing"),
					 errhint("Name the SQLite file: OPTIONS (database '/absolute/path/of/file.db').")));
	}

	PG_RETURN_VOID();
}

/* The values were checked by the validator, so these cannot fail. */
static bool
option_bool(DefElem *def)
{
	bool value = false;

	(void) parse_bool(defGetString(def), &value);
	return value;
}

static int
option_int(DefElem *def)
{
	int value = 0;

	(void) parse_integer(defGetString(def), &value);
	return value;
}

static double
option_real(DefElem *def)
{
	double value = 0;

	(void) parse_real(defGetString(def), &value, 0, NULL);
	return value;
}

VssServerOptions *
vssfdw_server_options(ForeignServer *server)
{
	VssServerOptions *result = palloc0(sizeof(VssServerOptions));
	ListCell *lc;

	result->updatable = true;
	result->truncatable = true;
	result->keep_connections = true;
	result->busy_timeout = 5000;
	result->cache_size = VSS_CACHE_BY_SIZE;
	result->batch_size = 100;
	result->fdw_startup_cost = 0.25;
	result->fdw_tuple_cost = 0.005;

	foreach (lc, server->options)
	{
		DefElem *def = (DefElem *) lfirst(lc);
		const char *name = def->defname;

		if (strcmp(name, "database") == 0)
			result->database = pstrdup(defGetString(def));
		else if (strcmp(name, "read_only") == 0)
			result->read_only = option_bool(def);
		else if (strcmp(name, "immutable") == 0)
			result->immutable = option_bool(def);
		else if (strcmp(name, "updatable") == 0)
			result->updatable = option_bool(def);
		else if (strcmp(name, "truncatable") == 0)
			result->truncatable = option_bool(def);
		else if (strcmp(name, "keep_connections") == 0)
			result->keep_connections = option_bool(def);
		else if (strcmp(name, "use_remote_estimate") == 0)
			result->use_remote_estimate = option_bool(def);
		else if (strcmp(name, "extensions") == 0)
			result->extensions = pstrdup(defGetString(def));
		else if (strcmp(name, "busy_timeout") == 0)
			result->busy_timeout = option_int(def);
		else if (strcmp(name, "cache_size") == 0)
			result->cache_size = option_int(def);
		else if (strcmp(name, "batch_size") == 0)
			result->batch_size = option_int(def);
		else if (strcmp(name, "fdw_startup_cost") == 0)
			result->fdw_startup_cost = option_real(def);
		else if (strcmp(name, "fdw_tuple_cost") == 0)
			result->fdw_tuple_cost = option_real(def);
	}
	result->read_only |= result->immutable;
	if (result->read_only)
		result->updatable = result->truncatable = false;

	/* Only a server that was made without the validator can lack it. */
	if (result->database == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
						errmsg("server \"%s\" has no option \"database\"", server->servername)));
	return result;
}

VssTableOptions *
vssfdw_read_table_options(Oid foreigntableid)
{
	ForeignTable *table = GetForeignTable(foreigntableid);
	VssServerOptions *server = vssfdw_server_options(GetForeignServer(table->serverid));
	VssTableOptions *result = palloc0(sizeof(VssTableOptions));
	ListCell *lc;

	result->updatable = server->updatable;
	result->truncatable = server->truncatable;
	result->batch_size = server->batch_size;
	result->use_remote_estimate = server->use_remote_estimate;

	foreach (lc, table->options)
	{
		DefElem *def = (DefElem *) lfirst(lc);
		const char *name = def->defname;

		if (strcmp(name, "table") == 0)
			result->table = pstrdup(defGetString(def));
		else if (strcmp(name, "query") == 0)
			result->query = vssfdw_query_source(defGetString(def));
		else if (strcmp(name, "updatable") == 0)
			result->updatable = option_bool(def);
		else if (strcmp(name, "truncatable") == 0)
			result->truncatable = option_bool(def);
		else if (strcmp(name, "batch_size") == 0)
			result->batch_size = option_int(def);
		else if (strcmp(name, "use_remote_estimate") == 0)
			result->use_remote_estimate = option_bool(def);
	}
	/* A table cannot grant what the server forbids. */
	if (server->read_only || result->query != NULL)
		result->updatable = result->truncatable = false;
	/* no table has this name: what reads tables only fails */
	if (result->query != NULL)
		result->table = result->query;
	if (result->table == NULL)
		result->table = get_rel_name(foreigntableid);
	return result;
}

VssColumnOptions
vssfdw_column_options(Oid relid, AttrNumber attnum)
{
	VssColumnOptions result = {.stored = VSS_STORED_NATURAL, .unit = VSS_TIME_ANY};
	ListCell *lc;

	foreach (lc, GetForeignColumnOptions(relid, attnum))
	{
		DefElem *def = (DefElem *) lfirst(lc);

		if (strcmp(def->defname, "column_name") == 0)
			result.name = pstrdup(defGetString(def));
		else if (strcmp(def->defname, "column_type") == 0)
			(void) parse_stored(defGetString(def), &result.stored);
		else if (strcmp(def->defname, "time_unit") == 0)
			(void) vssfdw_time_unit(defGetString(def), &result.unit);
		else if (strcmp(def->defname, "text_form") == 0)
			result.form = pstrdup(defGetString(def));
		else if (strcmp(def->defname, "null_value") == 0)
			result.null_value = pstrdup(defGetString(def));
	}
	if (result.form != NULL && result.stored == VSS_STORED_NATURAL)
		result.stored = VSS_STORED_TEXT;
	/* numbers are what such a column holds */
	if (result.unit != VSS_TIME_ANY && result.stored == VSS_STORED_NATURAL)
		result.stored = result.unit == VSS_TIME_JULIAN || result.unit == VSS_TIME_COREDATA
							? VSS_STORED_REAL
							: VSS_STORED_INTEGER;
	if (result.name == NULL)
		result.name = get_attname(relid, attnum, false);
	return result;
}
