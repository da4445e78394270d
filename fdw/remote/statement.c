/*
 * statement.c
 *		Prepared statements of a connection, and the cache of those that are
 *		idle.
 *
 * A statement handed out is bound to a memory context: it comes back when the
 * context is reset, by whatever way the query ends.  It comes back earlier
 * when its (sub)transaction ends; its stmt is then NULL.
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "fdw/remote/remote.h"

/* Enough for the statements of a busy application; each costs some kilobytes. */
#define CACHE_SLOTS 64

typedef struct CachedStatement
{
	sqlite3_stmt *stmt;
	const char *sql; /* the statement's own */
	size_t length;   /* of sql */
	dlist_node node; /* in idle or free */
} CachedStatement;

/*
 * A query uses the same few statements as the one before, so that looking from
 * the last one given back is quicker than any hash.
 */
typedef struct VssStatementCache
{
	dlist_head idle; /* the last given back first */
	dlist_head free;
	int64 schema; /* PRAGMA schema_version when it was last looked at, -1 before */
	CachedStatement slots[CACHE_SLOTS];
} VssStatementCache;

char *
vssfdw_to_utf8(const char *text)
{
	return pg_server_to_any(text, (int) strlen(text), PG_UTF8);
}

char *
vssfdw_from_utf8(const char *text)
{
	return pg_any_to_server(text, (int) strlen(text), PG_UTF8);
}

/*
 * What a statement may take while it is compiled, beyond what its own text
 * accounts for.  A view of two hundred tables of a thousand columns takes as much.
 */
#define COMPILE_BYTES (32 * 1024 * 1024)
#define COMPILE_BYTES_PER_CHARACTER 100

/* What SQLite may allocate, before it was limited. */
typedef struct HeapLimits
{
	sqlite3_int64 hard;
	sqlite3_int64 soft;
} HeapLimits;

static HeapLimits
limit_heap(size_t length)
{
	sqlite3_int64 limit =
		sqlite3_memory_used() + COMPILE_BYTES + (sqlite3_int64) length * COMPILE_BYTES_PER_CHARACTER;
	/* setting the one limit may lower the other */
	HeapLimits before = {sqlite3_hard_heap_limit64(-1), sqlite3_soft_heap_limit64(-1)};

	if (before.hard == 0 || before.hard > limit)
		sqlite3_hard_heap_limit64(limit);
	return before;
}

static void
restore_heap(HeapLimits before)
{
	sqlite3_hard_heap_limit64(before.hard);
	sqlite3_soft_heap_limit64(before.soft);
}

int
vssfdw_compile(sqlite3 *db, const char *sql, size_t length, unsigned flags, sqlite3_stmt **stmt,
			   const char **tail)
{
	HeapLimits before;
	int rc;

	/* This reads the schema where that is to be done: its size is not the statement's. */
	sqlite3_table_column_metadata(db, "main", "sqlite_schema", NULL, NULL, NULL, NULL, NULL, NULL);
	before = limit_heap(length);
	rc = sqlite3_prepare_v3(db, sql, -1, flags, stmt, tail);
	restore_heap(before);
	return rc == SQLITE_NOMEM ? VSS_RC_TOO_COMPLEX : rc;
}

int
vssfdw_step_compiling(sqlite3_stmt *stmt, size_t length)
{
	HeapLimits before = limit_heap(length);
	int rc = sqlite3_step(stmt);

	restore_heap(before);
	return rc == SQLITE_NOMEM ? VSS_RC_TOO_COMPLEX : rc;
}

const char *
vssfdw_compile_message(sqlite3 *db, int rc)
{
	return rc == VSS_RC_TOO_COMPLEX ? "compiling the statement takes too much memory" : sqlite3_errmsg(db);
}

static VssStatementCache *
make_cache(void)
{
	VssStatementCache *cache = MemoryContextAlloc(TopMemoryContext, sizeof(VssStatementCache));

	dlist_init(&cache->idle);
	dlist_init(&cache->free);
	cache->schema = -1;
	for (int i = 0; i < CACHE_SLOTS; i++)
		dlist_push_tail(&cache->free, &cache->slots[i].node);
	return cache;
}

/* Take an idle statement with this text out of the cache, or NULL. */
static sqlite3_stmt *
cache_take(VssConnection *conn, const char *sql)
{
	VssStatementCache *cache = conn->cache;
	size_t length = strlen(sql);
	dlist_iter iter;

	if (cache == NULL)
		return NULL;
	dlist_foreach(iter, &cache->idle)
	{
		CachedStatement *slot = dlist_container(CachedStatement, node, iter.cur);

		if (slot->length == length && memcmp(slot->sql, sql, length) == 0)
		{
			dlist_delete(&slot->node);
			dlist_push_head(&cache->free, &slot->node);
			return slot->stmt;
		}
	}
	return NULL;
}

static void
finalize_idle(VssStatementCache *cache)
{
	while (!dlist_is_empty(&cache->idle))
	{
		CachedStatement *slot = dlist_container(CachedStatement, node, dlist_pop_head_node(&cache->idle));

		sqlite3_finalize(slot->stmt);
		dlist_push_head(&cache->free, &slot->node);
	}
}

/*
 * Keep a statement for later; the one unused for longest makes room.  Called
 * in error cleanup: does not throw, does not allocate.
 */
static void
cache_give(VssConnection *conn, sqlite3_stmt *stmt)
{
	VssStatementCache *cache = conn->cache;
	CachedStatement *slot;

	Assert(stmt != NULL && sqlite3_db_handle(stmt) == conn->db);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	if (cache == NULL || conn->poisoned)
	{
		sqlite3_finalize(stmt);
		return;
	}
	if (dlist_is_empty(&cache->free))
	{
		slot = dlist_tail_element(CachedStatement, node, &cache->idle);
		dlist_delete(&slot->node);
		sqlite3_finalize(slot->stmt);
	}
	else
		slot = dlist_container(CachedStatement, node, dlist_pop_head_node(&cache->free));
	slot->stmt = stmt;
	slot->sql = sqlite3_sql(stmt);
	slot->length = strlen(slot->sql);
	dlist_push_head(&cache->idle, &slot->node);
}

/* Undo the hand-out; the struct stays its context's.  Safe in error cleanup. */
static void
detach(VssStatement *statement)
{
	if (statement->stmt == NULL)
		return;
	dlist_delete(&statement->node);
	/* one of another schema would be compiled in its next step */
	if (statement->conn->cache != NULL && statement->schema != statement->conn->cache->schema)
		sqlite3_finalize(statement->stmt);
	else
		cache_give(statement->conn, statement->stmt);
	statement->stmt = NULL;
}

static void
context_reset(void *arg)
{
	detach((VssStatement *) arg);
}

/* Run a statement of ours to its first row, whose first column is *value. */
static int
look(VssConnection *conn, const char *sql, int64 *value)
{
	sqlite3_stmt *stmt = cache_take(conn, sql);
	int rc = SQLITE_OK;

	if (stmt == NULL)
		rc = sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
	{
		/* after this the connection still has the error's message */
		sqlite3_finalize(stmt);
		return rc;
	}
	*value = sqlite3_column_int64(stmt, 0);
	cache_give(conn, stmt);
	return SQLITE_OK;
}

/* A step in which SQLite notices that the schema is another, and reads it. */
static int
read_schema(VssConnection *conn)
{
	int64 none;

	return look(conn, "SELECT 1 FROM sqlite_schema LIMIT 0", &none);
}

VssStatement *
vssfdw_prepare(VssConnection *conn, const char *sql, MemoryContext context)
{
	VssStatement *statement = MemoryContextAllocZero(context, sizeof(VssStatement));
	const char *utf8 = vssfdw_to_utf8(sql);
	sqlite3_stmt *stmt;

	if (conn->undo_level > 0)
		vssfdw_settle(conn);
	statement->conn = conn;
	statement->sql = MemoryContextStrdup(context, sql);
	statement->level = GetCurrentTransactionNestLevel();
	statement->callback.func = context_reset;
	statement->callback.arg = statement;
	vssfdw_touch(conn);
	if (conn->cache == NULL)
		conn->cache = make_cache();

	stmt = cache_take(conn, utf8);
	if (stmt == NULL)
	{
		const char *tail = NULL;
		int rc = vssfdw_compile(conn->db, utf8, strlen(utf8), SQLITE_PREPARE_PERSISTENT, &stmt, &tail);

		/* perhaps by a schema that is no more */
		if (rc == VSS_RC_TOO_COMPLEX && read_schema(conn) == SQLITE_OK)
			rc = vssfdw_compile(conn->db, utf8, strlen(utf8), SQLITE_PREPARE_PERSISTENT, &stmt, &tail);
		/* of statistics, for an estimate: no harm */
		vssfdw_forget_missed_collation();
		if (rc != SQLITE_OK)
			vssfdw_report(ERROR, rc, conn->db, conn->servername, sql);
		if (stmt == NULL)
			elog(ERROR, "empty SQL statement for server \"%s\"", conn->servername);
	}

	Assert(!sqlite3_stmt_busy(stmt));
	statement->schema = conn->cache->schema;
	/* From here on nothing throws until the callback owns it. */
	statement->stmt = stmt;
	dlist_push_head(&conn->statements, &statement->node);
	MemoryContextRegisterResetCallback(context, &statement->callback);
	return statement;
}

void
vssfdw_done(VssStatement *statement)
{
	if (statement != NULL)
		detach(statement);
}

void
vssfdw_drain(VssConnection *conn, bool unbegun)
{
	dlist_iter iter;

	dlist_foreach(iter, &conn->statements)
	{
		VssStatement *statement = dlist_container(VssStatement, node, iter.cur);

		if (statement->drain != NULL)
			statement->drain(statement->drain_arg, unbegun);
	}
}

void
vssfdw_rewind(VssStatement *statement)
{
	if (statement->stmt != NULL)
		sqlite3_reset(statement->stmt);
}

/*
 * Before a statement's first step.  Where the schema is another than the one it was
 * compiled for, SQLite compiles it anew within that step, without vssfdw_compile()'s
 * limit.  So that is tried first, under the limit.
 */
static int
check_schema(VssStatement *statement)
{
	VssConnection *conn = statement->conn;
	VssStatementCache *cache = conn->cache;
	sqlite3_stmt *again = NULL;
	int64 version;
	int rc = look(conn, "PRAGMA schema_version", &version);

	if (rc != SQLITE_OK || version == statement->schema)
		return rc;
	if (version != cache->schema)
	{
		finalize_idle(cache);
		rc = read_schema(conn);
		cache->schema = version;
	}
	if (rc == SQLITE_OK)
		rc = vssfdw_compile(conn->db, sqlite3_sql(statement->stmt), strlen(sqlite3_sql(statement->stmt)), 0,
							&again, NULL);
	sqlite3_finalize(again);
	if (rc == SQLITE_OK)
		statement->schema = version;
	return rc;
}

int
vssfdw_try_step(VssStatement *statement)
{
	VssConnection *conn = statement->conn;
	int rc = SQLITE_OK;

	if (statement->stmt == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
						errmsg("statement on server \"%s\" ended with its transaction", conn->servername)));

	if (conn->undo_level > 0)
		vssfdw_settle(conn);
	if (!statement->begun)
		rc = check_schema(statement);
	statement->begun = true;
	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement->stmt);
	if (vssfdw_missed_collation() != NULL)
		rc = SQLITE_ERROR;
	/* An error inside a write may have ended SQLite's transaction as a whole. */
	if (rc != SQLITE_ROW && rc != SQLITE_DONE && conn->xact_depth > 0 && sqlite3_get_autocommit(conn->db))
		conn->lost = true;
	return rc;
}

bool
vssfdw_step(VssStatement *statement)
{
	int rc = vssfdw_try_step(statement);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		vssfdw_report(ERROR, rc, statement->conn->db, statement->conn->servername, statement->sql);
	return rc == SQLITE_ROW;
}

/* BEGIN and ROLLBACK frame every query: kept prepared like those. */
static int
exec_cached(VssConnection *conn, const char *sql)
{
	sqlite3_stmt *stmt = cache_take(conn, sql);
	int rc = SQLITE_OK;

	if (stmt == NULL)
		rc = sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_DONE)
	{
		cache_give(conn, stmt);
		return SQLITE_OK;
	}
	/* after this the connection still has the error's message */
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? SQLITE_ERROR : rc;
}

int
vssfdw_exec_quiet(VssConnection *conn, const char *sql, bool uninterruptible)
{
	int rc;

	/* Held-off interrupts make vssfdw_cancelled say no. */
	if (uninterruptible)
		HOLD_INTERRUPTS();
	if (strchr(sql, ';') == NULL)
		rc = exec_cached(conn, sql);
	else
		rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
	if (uninterruptible)
		RESUME_INTERRUPTS();
	return rc;
}

void
vssfdw_detach_statements(VssConnection *conn, int level)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &conn->statements)
	{
		VssStatement *statement = dlist_container(VssStatement, node, iter.cur);

		if (statement->level >= level)
			detach(statement);
	}
}

void
vssfdw_reparent_statements(VssConnection *conn, int level)
{
	dlist_iter iter;

	Assert(level > 1);
	dlist_foreach(iter, &conn->statements)
	{
		VssStatement *statement = dlist_container(VssStatement, node, iter.cur);

		Assert(statement->level <= level);
		if (statement->level >= level)
			statement->level = level - 1;
	}
}

void
vssfdw_drop_statements(VssConnection *conn)
{
	vssfdw_detach_statements(conn, 0);
	if (conn->cache == NULL)
		return;
	finalize_idle(conn->cache);
	pfree(conn->cache);
	conn->cache = NULL;
}
