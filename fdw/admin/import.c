/*
 * import.c
 *		IMPORT FOREIGN SCHEMA: foreign tables for what a SQLite database holds.
 *
 * A SQLite name is kept as it is, upper case included; where PostgreSQL cannot
 * take it (too long, the name of a system column), the local name differs and
 * the options "table" and "column_name" say what is meant.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "catalog/heap.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "fdw/admin/admin.h"

typedef struct ImportState
{
	VssConnection *conn;
	ImportForeignSchemaStmt *stmt;
	bool defaults;
	bool not_null;
	bool generated;
	bool views;
	bool pgvector;  /* vector columns get pgvector's type */
	bool jsonb;     /* JSON columns become jsonb */
	bool as_text;   /* all columns become text, but of bytes and vectors */
	List *names;    /* local table names used so far */
	List *commands; /* the result */
} ImportState;

/* A column on its way; strings are palloc'd. */
typedef struct ImportColumn
{
	char *name;
	char *declared;
	char *default_sql; /* as SQLite wrote it, or NULL */
	bool not_null;
	int key; /* position in the primary key, 0: none */
	bool generated;
	int dim; /* of a vector, -1 without a dimension, 0: no vector */
	VssSample sample;
} ImportColumn;

/* ---------- options of the command ---------- */

static void
report_unknown(const char *name, const char *const *valid, int count)
{
	StringInfoData list;
	List *names = NIL;
	const char *closest;

	initStringInfo(&list);
	for (int i = 0; i < count; i++)
	{
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", valid[i]);
		names = lappend(names, (char *) valid[i]);
	}
	closest = vssfdw_closest_name(name, names);
	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					errmsg("invalid option \"%s\" for IMPORT FOREIGN SCHEMA of vss_fdw", name),
					errdetail("Valid options are: %s.", list.data),
					closest != NULL ? errhint("Perhaps you meant the option \"%s\".", closest) : 0));
}

static void
read_options(ImportState *state)
{
	static const char *const valid[] = {"import_default", "import_not_null", "import_generated",
										"import_views",   "import_as_text",  "json_type",
										"vector_type"};
	ListCell *lc;

	state->defaults = state->not_null = state->generated = state->views = true;
	foreach (lc, state->stmt->options)
	{
		DefElem *def = lfirst(lc);

		if (strcmp(def->defname, "import_default") == 0)
			state->defaults = defGetBoolean(def);
		else if (strcmp(def->defname, "import_not_null") == 0)
			state->not_null = defGetBoolean(def);
		else if (strcmp(def->defname, "import_generated") == 0)
			state->generated = defGetBoolean(def);
		else if (strcmp(def->defname, "import_views") == 0)
			state->views = defGetBoolean(def);
		else if (strcmp(def->defname, "import_as_text") == 0)
			state->as_text = defGetBoolean(def);
		else if (strcmp(def->defname, "json_type") == 0)
		{
			char *type = defGetString(def);

			if (strcmp(type, "json") != 0 && strcmp(type, "jsonb") != 0)
				ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
								errmsg("invalid value for option \"json_type\": \"%s\"", type),
								errhint("Use json or jsonb.")));
			state->jsonb = strcmp(type, "jsonb") == 0;
		}
		else if (strcmp(def->defname, "vector_type") == 0)
		{
			char *type = defGetString(def);

			if (strcmp(type, "vector") != 0 && strcmp(type, "vss_vector") != 0)
				ereport(ERROR,
						(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						 errmsg("invalid value for option \"vector_type\": \"%s\"", type),
						 errhint("Use vss_vector, or vector for the type of the extension pgvector.")));
			state->pgvector = strcmp(type, "vector") == 0;
			if (state->pgvector && !OidIsValid(vssfdw_oids()->pgvector))
				ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
								errmsg("option vector_type 'vector' needs the extension pgvector"),
								errhint("Run CREATE EXTENSION vector, or vss_pgvector where pgvector is not "
										"installed, or leave the option out.")));
		}
		else
			report_unknown(def->defname, valid, lengthof(valid));
	}
}

/* ---------- local names ---------- */

/* Cut to PostgreSQL's length, at a character. */
static char *
clipped(const char *name, int room)
{
	int length = (int) strlen(name);

	return pnstrdup(name, length <= room ? length : pg_mbcliplen(name, length, room));
}

/* A name that PostgreSQL takes and that is not in used yet; entered there. */
static char *
local_name(const char *name, List **used, bool column)
{
	char *local = clipped(name, NAMEDATALEN - 1);
	bool again = local[0] == '\0' || (column && SystemAttributeByName(local) != NULL);
	ListCell *lc;

	for (int suffix = 1;; suffix++)
	{
		foreach (lc, *used)
			again = again || strcmp(lfirst(lc), local) == 0;
		if (!again)
			break;
		local = psprintf("%s_%d", clipped(name, NAMEDATALEN - 12), suffix);
		again = false;
	}
	*used = lappend(*used, local);
	return local;
}

/* A table named in LIMIT TO that is not there is most likely a slip. */
static void
check_all_found(const ImportState *state)
{
	ListCell *lc;

	if (state->stmt->list_type != FDW_IMPORT_SCHEMA_LIMIT_TO)
		return;
	foreach (lc, state->stmt->table_list)
	{
		const char *listed = ((RangeVar *) lfirst(lc))->relname;
		bool found = false;
		ListCell *name;

		foreach (name, state->names)
			found = found || strcmp(lfirst(name), listed) == 0;
		if (!found)
			ereport(WARNING,
					(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
					 errmsg("SQLite database \"%s\" of server \"%s\" has no table \"%s\" to import",
							state->conn->options->database, state->conn->servername, listed),
					 errhint("Internal tables (sqlite_*, and the shadow tables of virtual tables) are never "
							 "imported.")));
	}
}

/* ---------- columns ---------- */

static List *
read_columns(ImportState *state, const char *table)
{
	static const char sql[] =
		"SELECT name, type, dflt_value, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1) "
		"WHERE hidden <> 1 ORDER BY cid";
	VssStatement *statement = vssfdw_prepare(state->conn, sql, CurrentMemoryContext);
	List *columns = NIL;

	sqlite3_bind_text(statement->stmt, 1, vssfdw_to_utf8(table), -1, SQLITE_TRANSIENT);
	while (vssfdw_step(statement))
	{
		ImportColumn *column = palloc0(sizeof(ImportColumn));

		column->name = vssfdw_column_text(statement, 0);
		column->declared = vssfdw_column_text(statement, 1);
		if (column->declared == NULL)
			column->declared = pstrdup("");
		column->default_sql = vssfdw_column_text(statement, 2);
		column->not_null = sqlite3_column_int(statement->stmt, 3) != 0;
		column->key = sqlite3_column_int(statement->stmt, 4);
		column->generated = sqlite3_column_int(statement->stmt, 5) != 0;
		if (!column->generated || state->generated)
			columns = lappend(columns, column);
	}
	vssfdw_done(statement);
	return columns;
}

/*
 * Of a view's column without a type SQLite 3.41 and later say BLOB, too.  What is
 * declared of the column that it shows tells the two apart.
 */
static bool
shows_blob(const ImportState *state, const char *view, const char *column)
{
	const char *sql =
		psprintf("SELECT %s FROM %s", vssfdw_quote_identifier(column), vssfdw_quote_identifier(view));
	sqlite3_stmt *stmt = NULL;
	bool declared = true;

	if (sqlite3_prepare_v2(state->conn->db, vssfdw_to_utf8(sql), -1, &stmt, NULL) == SQLITE_OK)
		declared = sqlite3_column_decltype(stmt, 0) != NULL;
	sqlite3_finalize(stmt);
	return declared;
}

/*
 * Look at what the columns hold.  False where SQLite cannot give the rows, such
 * as of a view over a function that is not there: the table is passed over.
 */
static bool
sample_columns(ImportState *state, const char *table, List *columns, const VssTableInfo *info)
{
	List *samples = NIL;
	ListCell *lc;

	foreach (lc, columns)
	{
		ImportColumn *column = lfirst(lc);
		const char *type;

		if (info->is_view && strcmp(column->declared, "BLOB") == 0 && !shows_blob(state, table, column->name))
			column->declared = pstrdup("");
		type = vssfdw_type_for_declared(column->declared, info->strict);
		column->sample.name = column->name;
		column->sample.undeclared = column->declared[0] == '\0';
		column->sample.type = strcmp(type, "json") == 0 && state->jsonb ? "jsonb" : type;
		samples = lappend(samples, &column->sample);
	}
	if (vssfdw_sample(state->conn, info, samples))
		return true;
	ereport(WARNING, (errmsg("%s \"%s\" was not imported: %s",
							 info->is_view      ? "view"
							 : info->is_virtual ? "virtual table"
												: "table",
							 table, sqlite3_errmsg(state->conn->db))));
	return false;
}

/* The columns that feed hnsw indexes are vectors whatever their declaration says. */
static void
mark_vectors(List *columns, const VssTableInfo *info)
{
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, columns)
	{
		ImportColumn *column = lfirst(lc);

		column->dim = vssfdw_declared_dimension(column->declared);
		foreach (lc2, info->indexes)
		{
			const VssIndexInfo *index = lfirst(lc2);

			if (info->is_hnsw ? strcmp(column->name, "embedding") == 0
							  : index->content_vector != NULL &&
									pg_strcasecmp(index->content_vector, column->name) == 0)
				column->dim = index->dim;
		}
	}
}

static char *
vector_type(const ImportState *state, int dim)
{
	Oid type = state->pgvector ? vssfdw_oids()->pgvector : vssfdw_oids()->vector;

	return format_type_extended(type, dim > 0 ? dim : -1,
								FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

/* PostgreSQL's type, and the options that are needed with it. */
static const char *
column_type(const ImportState *state, const char *table, const ImportColumn *column, bool strict,
			VssSampledOptions *options)
{
	const VssSample *sample = &column->sample;
	const char *declared;
	const char *type;

	*options = (VssSampledOptions){NULL};
	if (column->dim != 0)
	{
		/* what most of them are; one odd row does not decide */
		if (sample->blobs + sample->texts > 0 ? sample->blobs > sample->texts
											  : strcasestr(column->declared, "blob") != NULL)
			options->stored = "BLOB";
		return vector_type(state, column->dim);
	}
	type = vssfdw_sampled_type(sample, options);
	if (state->as_text && strcmp(type, "bytea") != 0)
	{
		*options = (VssSampledOptions){NULL};
		return "text";
	}
	declared = vssfdw_type_for_declared(column->declared, strict);
	if (strcmp(declared, "json") == 0 && state->jsonb)
		declared = "jsonb";
	if (sample->undeclared || strcmp(type, declared) == 0)
		return type;
	if (strncmp(declared, "date", 4) == 0 || strncmp(declared, "time", 4) == 0)
		ereport(strncmp(type, "time", 4) == 0 ? NOTICE : WARNING,
				(errmsg("column \"%s\" of table \"%s\" is imported as %s", column->name, table, type),
				 errdetail("It is declared \"%s\", but holds values that are no %s, or numbers that count "
						   "different things.",
						   column->declared, declared)));
	else
		ereport(NOTICE, (errmsg("column \"%s\" of table \"%s\" is imported as %s", column->name, table, type),
						 errdetail("It is declared \"%s\", but holds values that do not fit type %s.",
								   column->declared, declared)));
	return type;
}

/* ---------- one table ---------- */

static void
append_option(StringInfo options, const char *name, const char *value)
{
	appendStringInfo(options, "%s%s %s", options->len > 0 ? ", " : "", name, quote_literal_cstr(value));
}

static void
append_column(StringInfo command, ImportState *state, const ImportColumn *column, const VssTableInfo *info,
			  List **names)
{
	StringInfoData options;
	VssSampledOptions sampled;
	const char *type = column_type(state, info->name, column, info->strict, &sampled);
	char *default_sql = column->generated ? NULL : vssfdw_translated_default(column->default_sql, type);
	bool is_rowid = info->rowid_alias != NULL && strcmp(info->rowid_alias, column->name) == 0;

	initStringInfo(&options);
	append_option(&options, "column_name", column->name);
	if (sampled.stored != NULL)
		append_option(&options, "column_type", sampled.stored);
	if (sampled.unit != NULL)
		append_option(&options, "time_unit", sampled.unit);
	if (sampled.form != NULL)
		append_option(&options, "text_form", sampled.form);
	if (column->key > 0)
		append_option(&options, "key", "true");

	if (*names != NIL)
		appendStringInfoChar(command, ',');
	appendStringInfo(command, "\n\t%s %s OPTIONS (%s)",
					 quote_identifier(local_name(column->name, names, true)), type, options.data);
	if (state->defaults && default_sql != NULL)
		appendStringInfo(command, " DEFAULT %s", default_sql);

	/*
	 * A rowid is never NULL: left out of an INSERT it is filled by SQLite, and PostgreSQL checks no
	 * NOT NULL of a foreign table.  Not for a generated column, nor where SQLite has a default that
	 * could not be translated.
	 */
	if (state->not_null && !column->generated &&
		(is_rowid || column->not_null || (column->key > 0 && !info->has_rowid)) &&
		(column->default_sql == NULL || (state->defaults && default_sql != NULL)))
		appendStringInfoString(command, " NOT NULL");
}

/* The foreign table of an hnsw index: what vss_knn('name', ...) finds it by. */
static List *
index_columns(const VssTableInfo *info)
{
	static const struct
	{
		const char *name;
		const char *declared;
	} columns[] = {{"rowid", "INTEGER"}, {"embedding", "BLOB"}, {"distance", "REAL"}};
	List *result = NIL;

	for (int i = 0; i < lengthof(columns); i++)
	{
		ImportColumn *column = palloc0(sizeof(ImportColumn));

		column->name = pstrdup(columns[i].name);
		column->declared = pstrdup(columns[i].declared);
		column->sample.type = vssfdw_type_for_declared(column->declared, false);
		result = lappend(result, column);
	}
	return result;
}

/* A full-text table's, with those that it hides. */
static List *
full_text_columns(const ImportState *state, const VssTableInfo *info)
{
	List *result = NIL;
	ListCell *lc;

	foreach (lc, info->columns)
	{
		const VssColumnInfo *known = lfirst(lc);
		ImportColumn *column = palloc0(sizeof(ImportColumn));

		column->name = known->name;
		column->declared = pstrdup(known->declared);
		column->generated = known->generated;
		if (!column->generated || state->generated)
			result = lappend(result, column);
	}
	return result;
}

/* Without blanks and newlines at the end. */
static int
trimmed_length(const char *text)
{
	size_t length = strlen(text);

	while (length > 0 && isspace((unsigned char) text[length - 1]))
		length--;
	return (int) length;
}

static void
import_table(ImportState *state, const char *table)
{
	const VssTableInfo *info = vssfdw_table_info(state->conn, table);
	const char *listed =
		state->stmt->list_type == FDW_IMPORT_SCHEMA_LIMIT_TO ? vssfdw_listed_as(state->stmt, table) : NULL;
	List *columns = info->is_hnsw             ? index_columns(info)
					: info->full_text != NULL ? full_text_columns(state, info)
											  : read_columns(state, table);
	List *names = NIL;
	StringInfoData command;
	StringInfoData options;
	ListCell *lc;

	if (list_length(columns) == 0 || list_length(columns) > MaxHeapAttributeNumber)
	{
		ereport(WARNING,
				(errmsg("table \"%s\" was not imported: it has %d columns", table, list_length(columns)),
				 errdetail("PostgreSQL tables have 1 to %d columns.", MaxHeapAttributeNumber)));
		return;
	}
	mark_vectors(columns, info);
	if (!info->is_hnsw && !sample_columns(state, table, columns, info))
		return;

	initStringInfo(&command);
	appendStringInfo(&command, "CREATE FOREIGN TABLE %s (",
					 quote_identifier(local_name(listed != NULL ? listed : table, &state->names, false)));
	foreach (lc, columns)
		append_column(&command, state, lfirst(lc), info, &names);

	initStringInfo(&options);
	append_option(&options, "table", table);
	if (info->is_view || info->is_hnsw)
		append_option(&options, "updatable", "false");
	appendStringInfo(&command, "\n) SERVER %s OPTIONS (%s)", quote_identifier(state->stmt->server_name),
					 options.data);
	state->commands = lappend(state->commands, command.data);

	foreach (lc, info->indexes)
	{
		const VssIndexInfo *index = lfirst(lc);

		if (!info->is_hnsw && index->missing_sql != NULL)
			ereport(WARNING, (errmsg("index \"%s\" does not follow every change of SQLite table \"%s\"",
									 index->name, table),
							  errdetail("Its triggers do not cover INSERT, UPDATE and DELETE."),
							  errhint("Run this in the SQLite database: %.*s",
									  trimmed_length(index->missing_sql), index->missing_sql)));
	}
}

static void
check_schema(const ImportState *state)
{
	const char *schema = state->stmt->remote_schema;

	if (strcmp(schema, "main") != 0 && strcmp(schema, "public") != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
			 errmsg("SQLite database of server \"%s\" has no schema \"%s\"", state->stmt->server_name,
					schema),
			 errhint("A SQLite database has one schema: IMPORT FOREIGN SCHEMA main FROM SERVER %s INTO ...",
					 quote_identifier(state->stmt->server_name))));
}

List *
vssImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid serverOid)
{
	ImportState state = {.stmt = stmt};
	VssHold *hold;
	ListCell *lc;

	check_schema(&state);
	read_options(&state);
	state.conn = vssfdw_connect(serverOid);
	hold = vssfdw_hold(state.conn, CurrentMemoryContext);
	foreach (lc, vssfdw_importable(state.conn, stmt, state.views))
		import_table(&state, lfirst(lc));
	check_all_found(&state);
	vssfdw_release(hold);
	return state.commands;
}
