/*
 * admin.h
 *		What SQL functions and commands do for servers and indexes: import,
 *		merges, background workers, embeddings.
 */
#ifndef VSS_ADMIN_H
#define VSS_ADMIN_H

#include "postgres.h"

#include "storage/dsm.h"
#include "storage/lock.h"

#include "fdw/modify/modify.h"

/* ---------- import.c ---------- */

List *vssImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid serverOid);

/* ---------- import_list.c ---------- */

/*
 * The entry of LIMIT TO or EXCEPT that means this SQLite table, or NULL.
 * SQLite's names are equal whatever their case, so LIMIT TO (documents) finds
 * Documents.
 */
const char *vssfdw_listed_as(const ImportForeignSchemaStmt *stmt, const char *table);

/*
 * The names, palloc'd and sorted, of the tables and views that the command asks
 * for: views only if wanted, no table that belongs to a module or an index, and
 * nothing that SQLite cannot read, of which a warning tells.
 */
List *vssfdw_importable(VssConnection *conn, const ImportForeignSchemaStmt *stmt, bool views);

/* ---------- maintenance.c: merges, as SQL functions and on behalf of them ---------- */

/*
 * BridgeHost.progress of every connection: told how far a merge is, it feeds
 * pg_stat_progress_create_index between vssfdw_start_progress and _end_progress.  Never throws.
 */
void vssfdw_progress(void *arg, const char *phase, uint64_t done, uint64_t total);

/* Around a merge, in the process's own report; relid is the foreign table, or InvalidOid. */
void vssfdw_start_progress(Oid relid, bool creates);
void vssfdw_end_progress(void);

/*
 * Run hnsw_save or hnsw_rebuild (function) on an index, with progress reported
 * for the foreign table relid.  The connection must be idle.
 */
void vssfdw_run_merge(VssConnection *conn, const char *function, const char *index, Oid relid, bool creates);

/* ---------- queue.c: merges that wait for a worker ---------- */

/* Whether a merge of the index of this key waits. */
bool vssfdw_queue_has(uint64 key);

/* False where the queue is full; else job, a pinned segment, is the queue's. */
bool vssfdw_queue_put(uint64 key, dsm_handle job);

/* The one that has waited longest, about; it is the caller's. */
bool vssfdw_queue_take(uint64 *key, dsm_handle *job);
bool vssfdw_queue_is_empty(void);

/* ---------- launch.c: in the backend that finds a merge due ---------- */

extern bool vssfdw_auto_merge; /* vss_fdw.auto_merge: start workers */

/*
 * BridgeHost.merge_due; arg is the VssConnection.  Called with SQLite on the
 * stack: notes it in memory of its own, and no more.
 */
void vssfdw_note_merge(void *arg, const BridgeMergeDue *due);

/*
 * Queue what was noted, and start workers.  In PRE_COMMIT, once SQLite has committed:
 * whatever goes wrong is logged, never thrown.
 */
void vssfdw_launch_merges(void);

/* False where there is no room for another process. */
bool vssfdw_start_worker(void);

/*
 * What the worker is told, in a dynamic shared memory segment that stays
 * until the worker has read it: a struct, then four strings, each with its zero byte.
 */
typedef struct VssMergeJob
{
	Oid userid;     /* whose work it counts as; InvalidOid: the server's */
	int cache_size; /* the server's option */
	bool damaged;
	char strings[FLEXIBLE_ARRAY_MEMBER]; /* server, database, extensions, index (UTF-8) */
} VssMergeJob;

/*
 * Locks of merges, which show in pg_locks as advisory locks with objsubid 22099, which no SQL
 * function can take.  A worker holds that of its index, so that there is one worker an index,
 * whichever PostgreSQL database its server is defined in; and that of one of the
 * vss_fdw.merge_workers places, whose keys are 1, 2, ...  Keys of indexes are VSS_INDEX_KEY and more.
 */
#define VSS_INDEX_KEY (UINT64CONST(1) << 63)

static inline void
vssfdw_merge_lock(LOCKTAG *tag, uint64 key)
{
	SET_LOCKTAG_ADVISORY(*tag, InvalidOid, (uint32) (key >> 32), (uint32) key, 22099);
}

/* ---------- worker.c: the process that merges ---------- */

extern int vssfdw_merge_workers; /* vss_fdw.merge_workers: at once in the server */
extern int vssfdw_merge_threads; /* vss_fdw.merge_threads: of each; 0: one per processor */

#define VSS_WORKER_TYPE "vss_fdw merge"
#define VSS_WORKER_FUNCTION "vss_merge_worker_main"

/* ---------- embed.c ---------- */

/* The server of this name, or the only usable one for NULL; checks USAGE. */
ForeignServer *vssfdw_embed_server(const char *name);

/* The server's embed_* options and the current user's key; strings live as long as server. */
void vssfdw_embed_options(ForeignServer *server, BridgeEmbedOptions *options);

/*
 * Ask for count texts (UTF-8).  out gets palloc'd vectors.  False, with error
 * filled, when that failed; ERROR only when memory is short.
 */
bool vssfdw_embed_texts(const BridgeEmbedOptions *options, int count, const char *const *texts,
						const size_t *lengths, VssVector **out, BridgeEmbedError *error);

int vssfdw_embed_sqlstate(const BridgeEmbedError *error);
pg_noreturn void vssfdw_embed_report(const BridgeEmbedError *error);

/* ---------- drop_notice.c: what DROP leaves in SQLite ---------- */

/* From now on DROP of an index's foreign table tells that the index stays; at load. */
void vssfdw_watch_drops(void);

/* While it is true, nothing is told: the index goes as well. */
void vssfdw_drop_silently(bool yes);

/* ---------- forms.c ---------- */

/* How texts of times are spelled; zero at first. */
typedef struct VssTimeForms
{
	int count;
	bool mixed;                        /* in several ways, or in one that text_form cannot say */
	char form[VSS_TIME_FORM_SIZE * 2]; /* without a fraction of seconds, */
	size_t fraction_at;                /* which would stand here; */
	int digits;                        /* it has so many digits, 0 where none has any, */
	bool varied;                       /* or different numbers of them; */
	bool without;                      /* some have none, */
	bool zeros;                        /* and some have zeros */
} VssTimeForms;

#define VSS_BOOLEAN_FORMS 13

void vssfdw_note_time_form(VssTimeForms *forms, ValueKind kind, const char *text);
void vssfdw_note_boolean_form(int *counts, const char *text);

/* Option text_form for what was noted, NULL where none is needed; beside texts there were so many numbers. */
const char *vssfdw_time_form(const VssTimeForms *forms, ValueKind kind);
const char *vssfdw_boolean_form(const int *counts, int integers);

/* ---------- sample.c ---------- */

/* A column and what was found in it; all but the first three are counts of values. */
typedef struct VssSample
{
	const char *name;
	const char *type; /* PostgreSQL's for what is declared, which decides how times are read */
	bool undeclared;
	int integers;
	int reals;
	int texts;
	int blobs;
	int right_blobs;                 /* blobs that the type reads: uuid, macaddr, json, ... */
	int addresses;                   /* whole numbers that macaddr reads */
	int no_bool;                     /* numbers but 0 and 1 */
	int fractions;                   /* numbers that bigint does not hold */
	int bools;                       /* texts that boolean reads */
	int numbers;                     /* texts that numeric reads */
	int specials;                    /* of these Infinity, NaN */
	int times;                       /* texts that the type reads */
	int uuids;                       /* texts that uuid reads */
	int right;                       /* texts that look like the type's: json, inet, interval, ... */
	int instants;                    /* numbers but 0, of a time */
	int in_unit[VSS_TIME_TICKS + 1]; /* of these such as the unit has; of VSS_TIME_ANY: can be read */
	VssTimeForms time_forms;
	int boolean_forms[VSS_BOOLEAN_FORMS];
} VssSample;

/* Look at rows of both ends; false where SQLite cannot give them, its message being the connection's. */
bool vssfdw_sample(VssConnection *conn, const VssTableInfo *info, List *samples);

/* Options of a column; NULL: not needed. */
typedef struct VssSampledOptions
{
	const char *stored; /* column_type */
	const char *unit;   /* time_unit */
	const char *form;   /* text_form */
} VssSampledOptions;

/* The type that reads all of it, and the options for it. */
const char *vssfdw_sampled_type(const VssSample *sample, VssSampledOptions *options);

#endif /* VSS_ADMIN_H */
