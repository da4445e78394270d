/*
 * embed.c
 *		vss_embed(text [, server]) and vss_embed(text[] [, server]): texts to
 *		vectors through the embedding server that a foreign server's options
 *		name.
 *
 * A query never chooses the URL: it comes from CREATE SERVER, the key from the
 * user mapping.  Answers are kept for the rest of the statement, so that a
 * text that stands in ORDER BY and in the select list, or is met again for
 * every row, is asked for once.
 */
#include "fdw/admin/admin.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "mb/pg_wchar.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

VSS_SQL_FUNCTION(vss_embed);
VSS_SQL_FUNCTION(vss_embed_array);

/* ---------- settings ---------- */

static List *
user_mapping_options(Oid userid, Oid serverid)
{
	HeapTuple tuple =
		SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(userid), ObjectIdGetDatum(serverid));
	List *options = NIL;
	Datum datum;
	bool isnull;

	if (!HeapTupleIsValid(tuple))
		tuple =
			SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid), ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		return NIL;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &isnull);
	if (!isnull)
		options = untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return options;
}

void
vssfdw_embed_options(ForeignServer *server, BridgeEmbedOptions *options)
{
	ListCell *lc;

	bridge_embed_defaults(options);
	foreach (lc, server->options)
	{
		DefElem *def = lfirst(lc);

		if (strcmp(def->defname, "embed_url") == 0)
			options->url = defGetString(def);
		else if (strcmp(def->defname, "embed_model") == 0)
			options->model = defGetString(def);
		else if (strcmp(def->defname, "embed_api") == 0)
			options->api =
				strcmp(defGetString(def), "openai") == 0 ? BRIDGE_EMBED_OPENAI : BRIDGE_EMBED_OLLAMA;
		else if (strcmp(def->defname, "embed_encoding") == 0)
			options->base64 = strcmp(defGetString(def), "base64") == 0;
		else if (strcmp(def->defname, "embed_proxy") == 0)
			options->proxy = defGetString(def);
		else if (strcmp(def->defname, "embed_dimensions") == 0)
			options->dimensions = pg_strtoint32(defGetString(def));
		else if (strcmp(def->defname, "embed_timeout") == 0)
			options->timeout = pg_strtoint32(defGetString(def));
		else if (strcmp(def->defname, "embed_batch_size") == 0)
			options->batch_size = pg_strtoint32(defGetString(def));
		else if (strcmp(def->defname, "embed_retries") == 0)
			options->retries = pg_strtoint32(defGetString(def));
	}
	foreach (lc, user_mapping_options(GetUserId(), server->serverid))
	{
		DefElem *def = lfirst(lc);

		if (strcmp(def->defname, "embed_key") == 0)
			options->key = defGetString(def);
	}
}

/* The one server of this wrapper that the user may use; an error names several. */
static ForeignServer *
only_server(void)
{
	Relation catalog = table_open(ForeignServerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;
	Oid found = InvalidOid;
	int count = 0;
	StringInfoData names;

	initStringInfo(&names);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_server form = (Form_pg_foreign_server) GETSTRUCT(tuple);

		if (!vssfdw_is_our_wrapper(form->srvfdw) || VSS_SERVER_USAGE(form->oid, GetUserId()) != ACLCHECK_OK)
			continue;
		appendStringInfo(&names, "%s\"%s\"", count > 0 ? ", " : "", NameStr(form->srvname));
		found = form->oid;
		count++;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("there is no server of vss_fdw that you may use"),
				 errhint("Create one, or ask its owner for USAGE on it.")));
	if (count > 1)
		ereport(ERROR, (errcode(ERRCODE_AMBIGUOUS_PARAMETER),
						errmsg("several servers could embed the text: %s", names.data),
						errhint("Name one of them: vss_embed(text, 'server').")));
	return GetForeignServer(found);
}

ForeignServer *
vssfdw_embed_server(const char *name)
{
	ForeignServer *server;

	if (name == NULL)
		return only_server();
	server = vssfdw_server_by_name(name);
	if (VSS_SERVER_USAGE(server->serverid, GetUserId()) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER, name);
	return server;
}

/* ---------- what this statement was told already ---------- */

typedef struct CacheEntry
{
	Oid serverid;
	Oid userid;
	char *text;
	size_t length;
	VssVector *vector;
} CacheEntry;

#define CACHE_ENTRIES 16

static CacheEntry cache[CACHE_ENTRIES];
static int cache_next;
static MemoryContext cache_context;
static TimestampTz cache_statement;
static LocalTransactionId cache_transaction;

/* Forget everything when another statement, or a command of another transaction, runs. */
static void
cache_begin(void)
{
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(TopMemoryContext, "vss_embed answers", ALLOCSET_SMALL_SIZES);
	if (cache_statement != GetCurrentStatementStartTimestamp() || cache_transaction != VSS_MY_LXID)
	{
		memset(cache, 0, sizeof(cache));
		MemoryContextReset(cache_context);
		cache_statement = GetCurrentStatementStartTimestamp();
		cache_transaction = VSS_MY_LXID;
		cache_next = 0;
	}
}

static VssVector *
cache_find(Oid serverid, const char *text, size_t length)
{
	for (int i = 0; i < CACHE_ENTRIES; i++)
	{
		if (cache[i].vector != NULL && cache[i].serverid == serverid && cache[i].userid == GetUserId() &&
			cache[i].length == length && memcmp(cache[i].text, text, length) == 0)
			return cache[i].vector;
	}
	return NULL;
}

static void
cache_add(Oid serverid, const char *text, size_t length, const VssVector *vector)
{
	CacheEntry *entry = &cache[cache_next];
	VssVector *old = entry->vector;
	char *old_text = entry->text;

	entry->vector = NULL;
	entry->text = NULL;
	if (old != NULL)
		pfree(old);
	if (old_text != NULL)
		pfree(old_text);
	entry->text = MemoryContextAlloc(cache_context, length + 1);
	memcpy(entry->text, text, length);
	entry->length = length;
	entry->serverid = serverid;
	entry->userid = GetUserId();
	entry->vector = MemoryContextAlloc(cache_context, VARSIZE(vector));
	memcpy(entry->vector, vector, VARSIZE(vector));
	cache_next = (cache_next + 1) % CACHE_ENTRIES;
}

/* ---------- asking ---------- */

static BridgeEmbedClient *client;

static void
free_client(int code, Datum arg)
{
	bridge_embed_client_free(client);
	client = NULL;
}

static bool
cancel_pending(void *arg)
{
	return InterruptPending && (QueryCancelPending || ProcDiePending);
}

int
vssfdw_embed_sqlstate(const BridgeEmbedError *error)
{
	switch (error->status)
	{
		case BRIDGE_EMBED_NOMEM:
			return ERRCODE_OUT_OF_MEMORY;
		case BRIDGE_EMBED_CANCELLED:
			return ERRCODE_QUERY_CANCELED;
		case BRIDGE_EMBED_INVALID:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case BRIDGE_EMBED_UNSUPPORTED:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case BRIDGE_EMBED_CONNECT:
			return ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
		case BRIDGE_EMBED_TIMEOUT:
		case BRIDGE_EMBED_UNAVAILABLE:
			return ERRCODE_CONNECTION_FAILURE;
		case BRIDGE_EMBED_PROTOCOL:
			return ERRCODE_PROTOCOL_VIOLATION;
		default:
			return ERRCODE_FDW_ERROR;
	}
}

void
vssfdw_embed_report(const BridgeEmbedError *error)
{
	if (error->status == BRIDGE_EMBED_CANCELLED)
		CHECK_FOR_INTERRUPTS();
	ereport(ERROR, (errcode(vssfdw_embed_sqlstate(error)), errmsg("%s", error->message),
					error->text >= 0 ? errdetail("It was text number %ld.", error->text + 1) : 0,
					error->hint[0] != '\0' ? errhint("%s", error->hint) : 0));
}

bool
vssfdw_embed_texts(const BridgeEmbedOptions *options, int count, const char *const *texts,
				   const size_t *lengths, VssVector **out, BridgeEmbedError *error)
{
	float *volatile vectors = NULL;
	float *got = NULL;
	int dim = 0;

	if (client == NULL)
	{
		client = bridge_embed_client_new();
		if (client == NULL)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		on_proc_exit(free_client, (Datum) 0);
	}
	if (bridge_embed(client, options, (size_t) count, texts, lengths, cancel_pending, NULL, &got, &dim,
					 error) != BRIDGE_EMBED_OK)
		return false;
	vectors = got;
	PG_TRY();
	{
		for (int i = 0; i < count; i++)
		{
			out[i] = vssfdw_vector_make(dim);
			memcpy(out[i]->x, vectors + (size_t) i * dim, sizeof(float) * dim);
			bridge_embed_remember(options->model, out[i]->x, dim);
		}
	}
	PG_FINALLY();
	{
		free(vectors);
	}
	PG_END_TRY();
	return true;
}

/* The server's encoding is what a text is in; the wire wants UTF-8. */
static char *
to_utf8(text *value, size_t *length)
{
	char *plain = text_to_cstring(value);
	char *utf8 = (char *) pg_do_encoding_conversion((unsigned char *) plain, strlen(plain),
													GetDatabaseEncoding(), PG_UTF8);

	*length = strlen(utf8);
	return utf8;
}

static ForeignServer *
server_argument(FunctionCallInfo fcinfo)
{
	return vssfdw_embed_server(PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)));
}

Datum
vss_embed(PG_FUNCTION_ARGS)
{
	ForeignServer *server;
	BridgeEmbedOptions options;
	BridgeEmbedError error;
	VssVector *vector;
	const char *asked;
	size_t length;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	server = server_argument(fcinfo);
	asked = to_utf8(PG_GETARG_TEXT_PP(0), &length);
	cache_begin();
	vector = cache_find(server->serverid, asked, length);
	if (vector != NULL)
	{
		VssVector *copy = palloc(VARSIZE(vector));

		memcpy(copy, vector, VARSIZE(vector));
		PG_RETURN_POINTER(copy);
	}
	vssfdw_embed_options(server, &options);
	if (!vssfdw_embed_texts(&options, 1, &asked, &length, &vector, &error))
	{
		error.text = -1;
		vssfdw_embed_report(&error);
	}
	cache_add(server->serverid, asked, length, vector);
	PG_RETURN_POINTER(vector);
}

/* NULL elements stay NULL; dimensions and bounds of the array are kept. */
Datum
vss_embed_array(PG_FUNCTION_ARGS)
{
	ArrayType *array;
	ForeignServer *server;
	BridgeEmbedOptions options;
	BridgeEmbedError error;
	Datum *values;
	bool *nulls;
	int count;
	int asked = 0;
	const char **texts;
	size_t *lengths;
	int *places;
	VssVector **vectors;
	Oid type = vssfdw_oids()->vector;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	array = PG_GETARG_ARRAYTYPE_P(0);
	server = server_argument(fcinfo);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	if (count == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(type));
	texts = palloc(count * sizeof(*texts));
	lengths = palloc(count * sizeof(*lengths));
	places = palloc(count * sizeof(*places));
	vectors = palloc(count * sizeof(*vectors));
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			continue;
		texts[asked] = to_utf8(DatumGetTextPP(values[i]), &lengths[asked]);
		places[asked++] = i;
	}
	vssfdw_embed_options(server, &options);
	if (asked > 0 && !vssfdw_embed_texts(&options, asked, texts, lengths, vectors, &error))
	{
		if (error.text >= 0)
			error.text = places[error.text];
		vssfdw_embed_report(&error);
	}
	for (int i = 0; i < asked; i++)
		values[places[i]] = PointerGetDatum(vectors[i]);
	PG_RETURN_ARRAYTYPE_P(construct_md_array(values, nulls, ARR_NDIM(array), ARR_DIMS(array),
											 ARR_LBOUND(array), type, -1, false, TYPALIGN_INT));
}
