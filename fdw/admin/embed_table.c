/*
 * embed_table.c
 *		CALL vss_embed_table(table, text_column, vector_column, ...): fill in the
 *		vectors of the rows that have none.
 *
 * The table may be foreign or local.  Rows are taken in order of their key, a
 * batch a request, and each batch is committed by itself (called inside a
 * transaction: with it), so that a run that stops, for whatever reason, is
 * simply started again.  Everything goes through SQL, as the calling user.
 *
 * A text that the server refuses is reported as a warning and left for the
 * next run; a batch that fails is halved until such texts stand alone, for one
 * bad text fails its whole request.  What no other text could do better with
 * (no connection, a missing model) ends the run with an error.
 */
#include "fdw/admin/admin.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

/* Failed rows that are named; the others are counted. */
#define MAX_REPORTED 100

/* How often progress is told. */
#define NOTICE_MS 5000

typedef struct Run
{
	Oid relid;
	const char *relation; /* quoted, qualified */
	const char *text_column, *vector_column;
	BridgeEmbedOptions options;
	ForeignServer *server;
	int batch;
	bool nonatomic;

	int key_count;
	char **keys; /* column names */
	Oid *key_types;
	char **last; /* key of the last row read, as text */
	SPIPlanPtr first, next, update;

	/* the batch at hand */
	int count;
	char ***row_keys; /* by row, by key */
	const char **texts;
	size_t *lengths;
	MemoryContext batch_context;

	bool model_noted;
	int64 embedded, failed;
	TimestampTz told;
} Run;

VSS_SQL_FUNCTION(vss_embed_table);

/* ---------- the key of a row ---------- */

static void
find_keys(Run *run)
{
	Bitmapset *attributes = NULL;
	Oid constraint;

	if (get_rel_relkind(run->relid) == RELKIND_FOREIGN_TABLE)
	{
		Relation rel = RelationIdGetRelation(run->relid);
		int natts = RelationGetNumberOfAttributes(rel);

		RelationClose(rel);
		for (AttrNumber a = 1; a <= natts; a++)
		{
			ListCell *lc;

			foreach (lc, GetForeignColumnOptions(run->relid, a))
			{
				DefElem *def = lfirst(lc);

				if (strcmp(def->defname, "key") == 0 && defGetBoolean(def))
					attributes = bms_add_member(attributes, a - FirstLowInvalidHeapAttributeNumber);
			}
		}
	}
	else
		attributes = get_primary_key_attnos(run->relid, false, &constraint);

	run->key_count = bms_num_members(attributes);
	if (run->key_count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s has no key to tell its rows apart", run->relation),
				 get_rel_relkind(run->relid) == RELKIND_FOREIGN_TABLE
					 ? errhint("Mark it: ALTER FOREIGN TABLE ... ALTER COLUMN ... OPTIONS (ADD key 'true').")
					 : errhint("Add a primary key.")));
	run->keys = palloc(sizeof(char *) * run->key_count);
	run->key_types = palloc(sizeof(Oid) * run->key_count);
	run->last = palloc0(sizeof(char *) * run->key_count);
	for (int a = -1, i = 0; (a = bms_next_member(attributes, a)) >= 0; i++)
	{
		AttrNumber attno = a + FirstLowInvalidHeapAttributeNumber;

		run->keys[i] = get_attname(run->relid, attno, false);
		run->key_types[i] = get_atttype(run->relid, attno);
	}
}

/* "(k1, k2)", each name or, with types, each "$n::type", numbered from first on. */
static void
append_keys(StringInfo sql, const Run *run, const char *separator, const char *comparison, int first)
{
	for (int i = 0; i < run->key_count; i++)
	{
		if (i > 0)
			appendStringInfoString(sql, separator);
		if (comparison != NULL || first == 0)
			appendStringInfoString(sql, quote_identifier(run->keys[i]));
		if (comparison != NULL)
			appendStringInfoString(sql, comparison);
		if (first > 0)
			appendStringInfo(sql, "$%d::%s", first + i, format_type_be_qualified(run->key_types[i]));
	}
}

static SPIPlanPtr
prepare(const char *sql, int count, Oid *types)
{
	SPIPlanPtr plan = SPI_prepare(sql, count, types);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	return plan;
}

/* The type of the parameter that is the vector: pgvector's, of the same layout, where the column is of that. */
static Oid
vector_parameter_type(const Run *run)
{
	const VssOids *oids = vssfdw_oids();
	AttrNumber attnum = get_attnum(run->relid, run->vector_column);
	Oid type = attnum != InvalidAttrNumber ? getBaseType(get_atttype(run->relid, attnum)) : InvalidOid;

	return OidIsValid(type) && type == oids->pgvector ? type : oids->vector;
}

static void
prepare_statements(Run *run, const char *condition)
{
	Oid *types = palloc(sizeof(Oid) * (run->key_count + 1));
	StringInfoData select;
	StringInfoData order;
	StringInfoData sql;

	for (int i = 0; i <= run->key_count; i++)
		types[i] = TEXTOID;

	initStringInfo(&select);
	/* output names of our own: ORDER BY would take a text for the key of that name */
	appendStringInfoString(&select, "SELECT ");
	for (int i = 0; i < run->key_count; i++)
		appendStringInfo(&select, "%s::text AS \"?key%d\", ", quote_identifier(run->keys[i]), i);
	appendStringInfo(&select, "%s::text AS \"?text\" FROM %s WHERE %s IS NULL AND %s IS NOT NULL AND (%s)",
					 quote_identifier(run->text_column), run->relation, quote_identifier(run->vector_column),
					 quote_identifier(run->text_column), condition != NULL ? condition : "true");
	initStringInfo(&order);
	appendStringInfoString(&order, " ORDER BY ");
	append_keys(&order, run, ", ", NULL, 0);
	appendStringInfo(&order, " LIMIT %d", run->batch);

	initStringInfo(&sql);
	appendStringInfo(&sql, "%s%s", select.data, order.data);
	run->first = prepare(sql.data, 0, NULL);

	resetStringInfo(&sql);
	appendStringInfo(&sql, "%s AND (", select.data);
	append_keys(&sql, run, ", ", NULL, 0);
	appendStringInfoString(&sql, ") > (");
	append_keys(&sql, run, ", ", NULL, 1);
	appendStringInfo(&sql, ")%s", order.data);
	run->next = prepare(sql.data, run->key_count, types);

	resetStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s SET %s = $%d WHERE ", run->relation,
					 quote_identifier(run->vector_column), run->key_count + 1);
	append_keys(&sql, run, " AND ", " = ", 1);
	appendStringInfo(&sql, " AND %s IS NULL", quote_identifier(run->vector_column));
	types[run->key_count] = vector_parameter_type(run);
	run->update = prepare(sql.data, run->key_count + 1, types);
}

/* ---------- reading, asking, writing ---------- */

static Datum *
key_datums(const Run *run, char **keys)
{
	Datum *values = palloc(sizeof(Datum) * (run->key_count + 1));

	for (int i = 0; i < run->key_count; i++)
		values[i] = CStringGetTextDatum(keys[i]);
	return values;
}

static char *
copy_value(HeapTuple tuple, TupleDesc desc, int column)
{
	char *value = SPI_getvalue(tuple, desc, column);

	return pstrdup(value != NULL ? value : "");
}

/* The next rows without a vector into the batch's context. */
static void
read_batch(Run *run, bool first)
{
	MemoryContext old;
	int rc = first ? SPI_execute_plan(run->first, NULL, NULL, false, 0)
				   : SPI_execute_plan(run->next, key_datums(run, run->last), NULL, false, 0);

	if (rc != SPI_OK_SELECT)
		elog(ERROR, "cannot read %s: %s", run->relation, SPI_result_code_string(rc));
	MemoryContextReset(run->batch_context);
	old = MemoryContextSwitchTo(run->batch_context);
	run->count = (int) SPI_processed;
	run->row_keys = palloc(sizeof(char **) * (run->count + 1));
	run->texts = palloc(sizeof(char *) * (run->count + 1));
	run->lengths = palloc(sizeof(size_t) * (run->count + 1));
	for (int r = 0; r < run->count; r++)
	{
		HeapTuple tuple = SPI_tuptable->vals[r];
		char *plain = copy_value(tuple, SPI_tuptable->tupdesc, run->key_count + 1);

		run->row_keys[r] = palloc(sizeof(char *) * run->key_count);
		for (int i = 0; i < run->key_count; i++)
			run->row_keys[r][i] = copy_value(tuple, SPI_tuptable->tupdesc, i + 1);
		run->texts[r] = pg_server_to_any(plain, strlen(plain), PG_UTF8);
		run->lengths[r] = strlen(run->texts[r]);
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(old);
	if (run->count > 0)
	{
		for (int i = 0; i < run->key_count; i++)
		{
			if (run->last[i] != NULL)
				pfree(run->last[i]);
			run->last[i] = pstrdup(run->row_keys[run->count - 1][i]);
		}
	}
}

/* The index that the column feeds, if there is one, learns the model's name, or refuses it. */
static void
note_model(Run *run)
{
	VssColumn column;
	VssConnection *conn;
	ListCell *lc;
	Relation rel;

	run->model_noted = true;
	if (get_rel_relkind(run->relid) != RELKIND_FOREIGN_TABLE ||
		GetForeignServer(GetForeignTable(run->relid)->serverid)->fdwid != run->server->fdwid)
		return;
	conn = vssfdw_connect(GetForeignTable(run->relid)->serverid);
	rel = RelationIdGetRelation(run->relid);
	vssfdw_column_init(&column, rel, get_attnum(run->relid, run->vector_column));
	RelationClose(rel);
	foreach (lc, vssfdw_table_info(conn, vssfdw_table_options(run->relid)->table)->indexes)
	{
		const VssIndexInfo *index = lfirst(lc);
		VssStatement *statement;

		if (index->content_vector == NULL || pg_strcasecmp(index->content_vector, column.name) != 0)
			continue;
		vssfdw_begin_write(conn);
		statement = vssfdw_prepare(conn, "SELECT hnsw_model(?, ?)", CurrentMemoryContext);
		sqlite3_bind_text(statement->stmt, 1, vssfdw_to_utf8(index->name), -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(statement->stmt, 2, vssfdw_to_utf8(run->options.model), -1, SQLITE_TRANSIENT);
		while (vssfdw_step(statement))
			;
		vssfdw_done(statement);
	}
}

static void
store(Run *run, int from, int count, VssVector **vectors)
{
	if (!run->model_noted)
		note_model(run);
	for (int r = from; r < from + count; r++)
	{
		Datum *values = key_datums(run, run->row_keys[r]);
		int rc;

		values[run->key_count] = PointerGetDatum(vectors[r - from]);
		rc = SPI_execute_plan(run->update, values, NULL, false, 0);
		if (rc != SPI_OK_UPDATE)
			elog(ERROR, "cannot update %s: %s", run->relation, SPI_result_code_string(rc));
		run->embedded += (int64) SPI_processed;
	}
}

static void
report_row(Run *run, int row, const BridgeEmbedError *error)
{
	StringInfoData key;

	if (++run->failed > MAX_REPORTED)
		return;
	initStringInfo(&key);
	for (int i = 0; i < run->key_count; i++)
		appendStringInfo(&key, "%s%s = %s", i > 0 ? ", " : "", run->keys[i], run->row_keys[row][i]);
	ereport(WARNING,
			(errcode(vssfdw_embed_sqlstate(error)),
			 errmsg("row of %s with %s was not embedded: %s", run->relation, key.data, error->message),
			 error->hint[0] != '\0' ? errhint("%s", error->hint) : 0));
}

/* Rows from .. from + count - 1, halving what fails. */
static void
embed_rows(Run *run, int from, int count)
{
	VssVector **vectors = MemoryContextAlloc(run->batch_context, sizeof(VssVector *) * count);
	BridgeEmbedError error;

	CHECK_FOR_INTERRUPTS();
	if (vssfdw_embed_texts(&run->options, count, run->texts + from, run->lengths + from, vectors, &error))
		store(run, from, count, vectors);
	else if (!bridge_embed_is_of_text(&error))
	{
		error.text = -1;
		vssfdw_embed_report(&error);
	}
	else if (count == 1)
		report_row(run, from, &error);
	else
	{
		embed_rows(run, from, count / 2);
		embed_rows(run, from + count / 2, count - count / 2);
	}
}

static void
tell_progress(Run *run)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(run->told, now, NOTICE_MS))
		return;
	run->told = now;
	ereport(NOTICE, (errmsg(INT64_FORMAT " rows of %s embedded, " INT64_FORMAT " failed", run->embedded,
							run->relation, run->failed)));
}

Datum
vss_embed_table(PG_FUNCTION_ARGS)
{
	Run run = {0};
	char *condition = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	MemoryContext row;
	TupleDesc desc;
	Datum values[2];
	bool nulls[2] = {false, false};
	bool first = true;

	for (int i = 0; i < 3; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("table, text column and vector column must not be null")));
	}
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	run.nonatomic = fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
					!castNode(CallContext, fcinfo->context)->atomic;
	run.server = vssfdw_embed_server(PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5)));
	SPI_connect_ext(run.nonatomic ? SPI_OPT_NONATOMIC : 0);

	run.relid = PG_GETARG_OID(0);
	if (get_rel_name(run.relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no table with OID %u", run.relid)));
	run.relation =
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(run.relid)), get_rel_name(run.relid));
	run.text_column = pstrdup(NameStr(*PG_GETARG_NAME(1)));
	run.vector_column = pstrdup(NameStr(*PG_GETARG_NAME(2)));
	vssfdw_embed_options(run.server, &run.options);
	run.batch = PG_ARGISNULL(4) ? run.options.batch_size : PG_GETARG_INT32(4);
	if (run.batch < 1 || run.batch > 2048)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a batch has 1 to 2048 rows, not %d", run.batch)));
	run.options.batch_size = run.batch;
	run.told = GetCurrentTimestamp();
	run.batch_context =
		AllocSetContextCreate(CurrentMemoryContext, "vss_embed_table batch", ALLOCSET_DEFAULT_SIZES);
	row = AllocSetContextCreate(CurrentMemoryContext, "vss_embed_table work", ALLOCSET_DEFAULT_SIZES);
	find_keys(&run);
	prepare_statements(&run, condition);

	for (;;)
	{
		MemoryContext old;

		read_batch(&run, first);
		first = false;
		if (run.count == 0)
			break;
		old = MemoryContextSwitchTo(row);
		embed_rows(&run, 0, run.count);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row);
		if (run.nonatomic)
			SPI_commit();
		tell_progress(&run);
	}
	if (run.failed > MAX_REPORTED)
		ereport(WARNING, (errmsg(INT64_FORMAT " further rows of %s were not embedded",
								 run.failed - MAX_REPORTED, run.relation)));
	SPI_freeplan(run.first);
	SPI_freeplan(run.next);
	SPI_freeplan(run.update);
	SPI_finish();
	values[0] = Int64GetDatum(run.embedded);
	values[1] = Int64GetDatum(run.failed);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
