/*
 * omit.c
 *		Loads hnsw.so as a SQLite would that was built with OMIT flags and is
 *		newer than the headers hnsw.so was built with.
 *
 * What such flags leave out is NULL in the table of functions that extensions
 * get.  SQLite 3.45 and later wants to be told which functions set a subtype.
 */
#include <dlfcn.h>
#include <sqlite3ext.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
SQLITE_EXTENSION_INIT1

#define RESULT_SUBTYPE 0x01000000

static int
create_function(sqlite3 *db, const char *name, int arguments, int flags, void *data,
				void (*call)(sqlite3_context *, int, sqlite3_value **),
				void (*step)(sqlite3_context *, int, sqlite3_value **), void (*final)(sqlite3_context *),
				void (*destroy)(void *))
{
	static bool told[2]; /* merges register one of them, too, whenever they run */
	bool *first = strcmp(name, "hnsw_info") == 0 ? &told[0] : &told[1];

	if ((flags & RESULT_SUBTYPE) && !*first)
		*first = printf("- %s sets a subtype\n", name) > 0;
	return sqlite3_create_function_v2(db, name, arguments, flags, data, call, step, final, destroy);
}

/* Every entry that a flag of SQLite's compile-time options can leave out, but for virtual tables. */
static void
omit(sqlite3_api_routines *api)
{
	api->set_authorizer = NULL;
	api->bind_text16 = NULL;
	api->collation_needed16 = NULL;
	api->column_decltype = NULL;
	api->column_decltype16 = NULL;
	api->column_name16 = NULL;
	api->column_text16 = NULL;
	api->column_database_name = NULL;
	api->column_table_name = NULL;
	api->column_origin_name = NULL;
	api->table_column_metadata = NULL;
	api->complete = NULL;
	api->complete16 = NULL;
	api->create_collation16 = NULL;
	api->create_function16 = NULL;
	api->errmsg16 = NULL;
	api->open16 = NULL;
	api->prepare16 = NULL;
	api->prepare16_v2 = NULL;
	api->result_error16 = NULL;
	api->result_text16 = NULL;
	api->result_text16be = NULL;
	api->result_text16le = NULL;
	api->value_text16 = NULL;
	api->value_text16be = NULL;
	api->value_text16le = NULL;
	api->enable_shared_cache = NULL;
	api->free_table = NULL;
	api->get_table = NULL;
	api->progress_handler = NULL;
	api->profile = NULL;
	api->trace = NULL;
	api->trace_v2 = NULL;
	api->bind_zeroblob = NULL;
	api->bind_zeroblob64 = NULL;
	api->result_zeroblob = NULL;
	api->blob_bytes = NULL;
	api->blob_close = NULL;
	api->blob_open = NULL;
	api->blob_read = NULL;
	api->blob_write = NULL;
	api->blob_reopen = NULL;
	api->wal_autocheckpoint = NULL;
	api->wal_checkpoint = NULL;
	api->wal_checkpoint_v2 = NULL;
	api->wal_hook = NULL;
	api->compileoption_get = NULL;
	api->compileoption_used = NULL;
	api->aggregate_count = NULL;
	api->expired = NULL;
	api->global_recover = NULL;
	api->transfer_bindings = NULL;
	api->unlock_notify = NULL;
	api->load_extension = NULL;
	api->serialize = NULL;
	api->deserialize = NULL;
}

int sqlite3_omit_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);

int
sqlite3_omit_init(sqlite3 *db, char **message, const sqlite3_api_routines *api)
{
	static sqlite3_api_routines ours;
	void *library = dlopen("./hnsw.so", RTLD_NOW);
	int (*init)(sqlite3 *, char **, const sqlite3_api_routines *) =
		library == NULL ? NULL : (__typeof__(init)) dlsym(library, "sqlite3_hnsw_init");

	SQLITE_EXTENSION_INIT2(api);
	if (init == NULL)
	{
		*message = sqlite3_mprintf("%s", dlerror());
		return SQLITE_ERROR;
	}
	memcpy(&ours, api, sizeof(ours));
	omit(&ours);
	ours.create_function_v2 = create_function;
	return init(db, message, &ours);
}
