/*
 * evidence.c
 *		Whether the journal of a content table has every change.
 *
 * Programs that know nothing of the index may rebuild the table, which takes its triggers away,
 * restore a dump, or VACUUM.  None of that can be forbidden, but each leaves a trace, and
 * each changes the schema's version.  So whenever that is another one, all of this must hold:
 *
 *	- the triggers are there, word for word those of today's table and unique indexes, and on it;
 *	- the mark was made after them.  Rows of sqlite_schema are numbered as they come, so triggers
 *	  that were dropped and made again are younger than the mark;
 *	- no AFTER INSERT trigger was made after ours.  The last made is the first to fire, and what
 *	  it does may end the statement with the row in the table: RAISE(IGNORE), RAISE(FAIL), or any
 *	  constraint under INSERT OR FAIL;
 *	- the canary's row has its number, where the table's rows have no names of their own: VACUUM,
 *	  or a dump that was restored, gives both kinds new numbers.
 *
 * Otherwise searches are exact until the next merge, which repairs.  A good verdict is kept
 * until the schema changes, a bad one never; and none that was found in a write transaction,
 * because a version that is rolled back is used again.
 *
 * A file that is copied over the database may have another schema of the same version.  So
 * when others have changed the database, the rows of sqlite_schema that decide are compared
 * with those of the verdict as well, by a number made of them (look_again).
 */
#include "sqlite_bridge/content/content.h"

#include <string.h>

/* What the schema has of the triggers. */
typedef struct Seen
{
	sqlite3_int64 rows[BRIDGE_TRIGGERS]; /* their numbers in sqlite_schema; 0: not there */
	char *texts[BRIDGE_TRIGGERS];
	char *table; /* of the first three, where it is one */
	bool apart;  /* it is not */
	bool journal;
	bool labels;
	bool canary;
} Seen;

static void
free_seen(Seen *seen)
{
	for (int i = 0; i < BRIDGE_TRIGGERS; i++)
		sqlite3_free(seen->texts[i]);
	sqlite3_free(seen->table);
}

/* "<index>_<ending>" */
static bool
is_named(const char *name, const char *index, const char *ending)
{
	size_t length = strlen(index);

	return name != NULL && sqlite3_strnicmp(name, index, (int) length) == 0 &&
		   sqlite3_stricmp(name + length, ending) == 0;
}

static int
see_row(const BridgeStore *store, sqlite3_stmt *stmt, Seen *seen, BridgeError *err)
{
	static const char *const endings[BRIDGE_TRIGGERS] = {"_changes_ai", "_changes_ad", "_changes_au",
														 "_mark"};
	const char *name = (const char *) sqlite3_column_text(stmt, 1);
	const char *table = (const char *) sqlite3_column_text(stmt, 2);
	const char *sql = (const char *) sqlite3_column_text(stmt, 3);

	if (sqlite3_column_int(stmt, 4))
	{
		seen->journal |= is_named(name, store->table, "_changes");
		seen->labels |= is_named(name, store->table, "_keys");
		seen->canary |= is_named(name, store->table, "_canary");
		return SQLITE_OK;
	}
	for (int i = 0; i < BRIDGE_TRIGGERS; i++)
		if (is_named(name, store->table, endings[i]) && sql != NULL && seen->texts[i] == NULL)
		{
			seen->rows[i] = sqlite3_column_int64(stmt, 0);
			seen->texts[i] = sqlite3_mprintf("%s", sql);
			if (seen->texts[i] == NULL)
				return bridge_error(err, SQLITE_NOMEM, "out of memory");
			if (i != BRIDGE_MARK && seen->table == NULL && table != NULL)
				seen->table = sqlite3_mprintf("%s", table);
			else if (i != BRIDGE_MARK)
				seen->apart |=
					table == NULL || seen->table == NULL || sqlite3_stricmp(table, seen->table) != 0;
		}
	return SQLITE_OK;
}

/*
 * At the end of a walk over rows: free the statement and its text.  rc is what the
 * last step gave; an error that err does not tell yet is the connection's.
 */
static int
end_walk(const BridgeStore *store, sqlite3_stmt *stmt, char *sql, int rc, BridgeError *err)
{
	if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else if (err->code == SQLITE_OK)
		rc = bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc;
}

static int
see(BridgeStore *store, Seen *seen, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT rowid, name, tbl_name, sql, type = 'table' FROM \"%w\".sqlite_schema"
								" WHERE type = 'trigger' OR (type = 'table' AND (name LIKE '%%_c%%' OR name"
								" LIKE '%%_keys'))",
								store->schema);
	int rc = sql ? bridge_schema_query(store->db, sql, NULL, NULL, &stmt, err)
				 : bridge_error(err, SQLITE_NOMEM, "out of memory");

	memset(seen, 0, sizeof(*seen));
	while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		rc = see_row(store, stmt, seen, err);
	return end_walk(store, stmt, sql, rc, err);
}

/* Whether a query, which is freed, has a first row with this number; bound NULL: without a parameter. */
static int
ask(const BridgeStore *store, char *sql, const char *bound, sqlite3_int64 expected, bool *is,
	BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sql ? bridge_schema_query(store->db, sql, bound, NULL, &stmt, err)
				 : bridge_error(err, SQLITE_NOMEM, "out of memory");

	*is = false;
	if (rc == SQLITE_OK)
	{
		rc = sqlite3_step(stmt);
		*is = rc == SQLITE_ROW && sqlite3_column_int64(stmt, 0) == expected;
		rc = rc == SQLITE_ROW || rc == SQLITE_DONE
				 ? SQLITE_OK
				 : bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc;
}

/* The first name of WHEN, which is the vector's and follows a renaming of the column. */
static char *
vector_of_trigger(const char *text)
{
	static const char before[] = " WHEN OLD.\"";
	const char *p = text != NULL ? strstr(text, before) : NULL;
	char *name;
	char *to;

	if (p == NULL)
		return NULL;
	p += sizeof(before) - 1;
	name = to = sqlite3_mprintf("%s", p);
	if (name == NULL)
		return NULL;
	for (; *p != '\0' && (*p != '"' || p[1] == '"'); p++)
	{
		p += *p == '"';
		*to++ = *p;
	}
	*to = '\0';
	return name;
}

/* One of the names in the config table; sqlite3_free. */
static int
configured(const BridgeStore *store, const char *key, char **name, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql =
		sqlite3_mprintf("SELECT value FROM \"%w\".\"%w_config\" WHERE key = ?1", store->schema, store->table);
	int rc = sql ? bridge_schema_query(store->db, sql, key, NULL, &stmt, err)
				 : bridge_error(err, SQLITE_NOMEM, "out of memory");

	*name = NULL;
	if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
		*name = sqlite3_mprintf("%s", (const char *) sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	if (rc == SQLITE_OK && *name == NULL)
		rc = bridge_error(err, SQLITE_CORRUPT_VTAB, "hnsw: %s_config lacks parameters", store->table);
	return rc;
}

/* The table under the name that it has now, and its columns. */
static int
find_named(BridgeStore *store, const Seen *seen, BridgeParams *params, BridgeContent *content,
		   BridgeError *err)
{
	BridgeError first;
	char *vector;
	bool there;
	int rc =
		ask(store,
			sqlite3_mprintf("SELECT 1 FROM \"%w\".sqlite_schema WHERE type IN ('table', 'view') AND name = ?1"
							" COLLATE NOCASE",
							store->schema),
			params->content, 1, &there, err);

	if (rc != SQLITE_OK)
		return rc;
	if (!there && seen->table != NULL && !seen->apart)
		params->content = seen->table;
	rc = bridge_content_find(store->db, store->schema, params, content, err);
	if (rc != SQLITE_ERROR || content->table == NULL || content->vector != NULL)
		return rc;
	vector = vector_of_trigger(seen->texts[BRIDGE_BEFORE_UPDATE]);
	if (vector == NULL)
		return rc;
	first = *err;
	memset(err, 0, sizeof(*err));
	bridge_content_free(content);
	params->content_vector = vector;
	rc = bridge_content_find(store->db, store->schema, params, content, err);
	if (rc == SQLITE_ERROR) /* the column that the owner named is what he looks for */
	{
		bridge_error_clear(err);
		*err = first;
	}
	else
		bridge_error_clear(&first);
	sqlite3_free(vector);
	return rc;
}

/*
 * By the names in the config: the table of that name, else the one that the triggers are
 * on, since ALTER TABLE takes them along; and the vector's column likewise.
 */
static int
find(BridgeStore *store, const Seen *seen, BridgeContent *content, BridgeError *err)
{
	BridgeParams params = store->params;
	char *table;
	char *vector = NULL;
	int rc = configured(store, "content", &table, err);

	if (rc == SQLITE_OK)
		rc = configured(store, "content_vector", &vector, err);
	params.content = table;
	params.content_vector = vector;
	params.content_rowid = NULL;
	if (rc == SQLITE_OK)
		rc = find_named(store, seen, &params, content, err);
	sqlite3_free(table);
	sqlite3_free(vector);
	return rc;
}

/* Whether a text ends, or begins, with another, which is freed. */
static bool
ends_with(const char *text, char *end)
{
	size_t length = strlen(text);
	bool ends = end != NULL && strlen(end) <= length && strcmp(text + length - strlen(end), end) == 0;

	sqlite3_free(end);
	return ends;
}

static bool
begins_with(const char *text, char *beginning)
{
	bool begins = beginning != NULL && strncmp(text, beginning, strlen(beginning)) == 0;

	sqlite3_free(beginning);
	return begins;
}

/* Whether it is the trigger of another index on the table, which never ends a statement but to undo it. */
static bool
is_of_index(const char *name, const char *sql, const BridgeContent *content)
{
	static const char ending[] = "_changes_ai";
	static const char strict[] = " SELECT RAISE(ABORT, '";
	int length = (int) (strlen(name) - (sizeof(ending) - 1));
	char *index;
	char *insert;
	char *head;
	bool is;

	if (length < 1 || strcmp(name + length, ending) != 0)
		return false;
	index = sqlite3_mprintf("%.*s", length, name);
	if (index == NULL)
		return false;
	insert = bridge_triggers_append(index, content);
	head = sqlite3_mprintf("CREATE TRIGGER \"%w_changes_ai\" AFTER INSERT ON \"%w\" BEGIN", index,
						   content->table);
	is = insert != NULL && head != NULL && strlen(sql) >= strlen(head) + strlen(insert);
	if (is)
	{
		const char *between = sql + strlen(head);

		is = between + strlen(insert) == sql + strlen(sql) ||
			 strncmp(between, strict, sizeof(strict) - 1) == 0;
	}
	is = begins_with(sql, head) && is;
	is = ends_with(sql, insert) && is;
	sqlite3_free(index);
	return is;
}

/* Whether another AFTER INSERT trigger on the table, but of another index, is younger than ours. */
static int
is_overtaken(const BridgeStore *store, const Seen *seen, const BridgeContent *content, bool *is,
			 BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql =
		sqlite3_mprintf("SELECT name, sql FROM \"%w\".sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1"
						" COLLATE NOCASE AND rowid > %lld",
						store->schema, seen->rows[BRIDGE_AFTER_INSERT]);
	int rc = sql ? bridge_schema_query(store->db, sql, content->table, NULL, &stmt, err)
				 : bridge_error(err, SQLITE_NOMEM, "out of memory");

	*is = false;
	while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		const char *name = (const char *) sqlite3_column_text(stmt, 0);
		const char *text = (const char *) sqlite3_column_text(stmt, 1);

		*is |= name != NULL && text != NULL && bridge_trigger_is_after_insert(text) &&
			   !is_of_index(name, text, content);
		rc = SQLITE_OK;
	}
	return end_walk(store, stmt, sql, rc, err);
}

/* Whether the canary has its number. */
static int
is_alive(const BridgeStore *store, const Seen *seen, bool *is, BridgeError *err)
{
	*is = false;
	if (!seen->canary)
		return SQLITE_OK;
	return ask(store,
			   sqlite3_mprintf("SELECT sum(rowid) FROM \"%w\".\"%w_canary\"", store->schema, store->table),
			   NULL, 2, is, err);
}

static int
judge(BridgeStore *store, const Seen *seen, const BridgeContent *content, BridgeVerdict *verdict,
	  BridgeError *err)
{
	BridgeTriggers triggers;
	bool is;
	int rc = bridge_triggers_spell(store->table, &store->params, content, &triggers, err);

	*verdict = BRIDGE_FOLLOWED;
	if (!seen->journal || (content->keys.count > 0 && !store->follow.keys_there) || seen->apart ||
		seen->table == NULL || sqlite3_stricmp(seen->table, content->table) != 0)
		*verdict = BRIDGE_TRIGGERS_MISSING;
	for (int i = 0; i < BRIDGE_TRIGGERS && rc == SQLITE_OK; i++)
	{
		static const char create[] = "CREATE TRIGGER ";

		if (seen->texts[i] == NULL || strncmp(seen->texts[i], create, sizeof(create) - 1) != 0 ||
			strcmp(seen->texts[i] + sizeof(create) - 1, triggers.texts[i]) != 0)
			*verdict = BRIDGE_TRIGGERS_MISSING;
		else if (*verdict == BRIDGE_FOLLOWED && seen->rows[i] > seen->rows[BRIDGE_MARK])
			*verdict = BRIDGE_TRIGGERS_ANEW;
	}
	bridge_triggers_free(&triggers);
	if (rc == SQLITE_OK && *verdict == BRIDGE_FOLLOWED)
	{
		rc = is_overtaken(store, seen, content, &is, err);
		if (rc == SQLITE_OK && is)
			*verdict = BRIDGE_OVERTAKEN;
	}
	if (rc == SQLITE_OK && *verdict == BRIDGE_FOLLOWED && content->renumbers)
	{
		rc = is_alive(store, seen, &is, err);
		if (rc == SQLITE_OK && !is)
			*verdict = BRIDGE_VACUUMED;
	}
	return rc;
}

/* How many columns the labels' table has; 0: there is none. */
static int
count_keys(const BridgeStore *store, int *count, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT value FROM \"%w\".\"%w_config\" WHERE key = 'keys'", store->schema,
								store->table);
	int rc = sql ? bridge_schema_query(store->db, sql, NULL, NULL, &stmt, err)
				 : bridge_error(err, SQLITE_NOMEM, "out of memory");

	*count = rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : 0;
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc;
}

/* The same of the key; true where it is another one than before. */
static bool
take_keys(BridgeKeys *to, BridgeKeys *keys)
{
	bool other = to->count != keys->count || to->bytes != keys->bytes ||
				 (keys->bytes > 0 && memcmp(to->names, keys->names, (size_t) keys->bytes) != 0);

	sqlite3_free(to->names);
	*to = *keys;
	keys->names = NULL;
	return other;
}

/* Take over a name; true where it is another one than before. */
static bool
take_name(char **to, char **name)
{
	bool other = *to == NULL || strcmp(*to, *name) != 0;

	sqlite3_free(*to);
	*to = *name;
	*name = NULL;
	return other;
}

/* FNV-1a, 64 bits; a zero byte stands behind each text. */
static uint64_t
add_to_stamp(uint64_t stamp, const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		stamp = (stamp ^ ((const unsigned char *) bytes)[i]) * UINT64_C(0x100000001b3);
	return stamp * UINT64_C(0x100000001b3);
}

/* The number of the schema's rows that the verdict on this table depends on. */
static int
read_stamp(BridgeStore *store, uint64_t *stamp, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int rc = bridge_store_statement(store, BRIDGE_STMT_STAMP, &stmt, err);
	bool is = false;

	*stamp = UINT64_C(0xcbf29ce484222325);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_text(stmt, 1, store->params.content, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		sqlite3_int64 row = sqlite3_column_int64(stmt, 0);

		*stamp = add_to_stamp(*stamp, &row, sizeof(row));
		for (int i = 1; i < 3; i++)
		{
			const void *text = sqlite3_column_text(stmt, i);

			*stamp = add_to_stamp(*stamp, text, (size_t) sqlite3_column_bytes(stmt, i));
		}
	}
	if (rc != SQLITE_DONE)
		bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_reset(stmt);
	if (rc != SQLITE_DONE)
		return err->code;
	if (store->follow.canary)
	{
		const Seen seen = {.canary = true};

		rc = is_alive(store, &seen, &is, err);
		if (rc != SQLITE_OK)
			return rc;
	}
	*stamp = add_to_stamp(*stamp, &is, sizeof(is));
	return SQLITE_OK;
}

/* The database's content has another number after every change that this connection can see. */
static bool
content_version(const BridgeStore *store, unsigned *version)
{
	return sqlite3_file_control(store->db, store->schema, SQLITE_FCNTL_DATA_VERSION, version) == SQLITE_OK;
}

static int
look_anew(BridgeStore *store, int64_t cookie, BridgeError *err)
{
	BridgeFollow *follow = &store->follow;
	BridgeContent content = {0};
	BridgeVerdict verdict;
	Seen seen;
	bool other;
	bool keys_there = follow->keys_there;
	int rc = see(store, &seen, err);

	if (rc == SQLITE_OK)
		rc = find(store, &seen, &content, err);
	if (rc == SQLITE_OK && content.keys.count > 0)
		rc = count_keys(store, &store->key_count, err);
	follow->keys_there = content.keys.count > 0 && seen.labels && store->key_count == content.keys.count;
	if (rc == SQLITE_OK)
		rc = judge(store, &seen, &content, &verdict, err);
	if (rc == SQLITE_OK)
	{
		other = take_name(&store->params.content, &content.table);
		other |= take_name(&store->params.content_rowid, &content.key);
		other |= take_name(&store->params.content_vector, &content.vector);
		other |= take_keys(&store->keys, &content.keys);
		if (other || follow->journal_there != seen.journal || follow->keys_there != keys_there)
			bridge_store_release(store);
		follow->journal_there = seen.journal;
		/* A row whose key has lost its label is one that is gone. */
		follow->replaces = content.replaces || content.keys.count > 0;
		follow->verdict = verdict;
		follow->cookie = cookie;
		follow->canary = seen.canary && content.renumbers;
		follow->judged = verdict == BRIDGE_FOLLOWED &&
						 sqlite3_txn_state(store->db, store->schema) != SQLITE_TXN_WRITE &&
						 content_version(store, &follow->version);
		if (follow->judged)
			rc = read_stamp(store, &follow->stamp, err);
		follow->judged &= rc == SQLITE_OK;
	}
	bridge_content_free(&content);
	free_seen(&seen);
	return rc;
}

/* ---------- for the others ---------- */

/* At the same version of the schema: whether the database was changed, and then whether these rows were. */
static int
look_again(BridgeStore *store, int64_t cookie, BridgeError *err)
{
	BridgeFollow *follow = &store->follow;
	unsigned version;
	uint64_t stamp;
	int rc;

	if (content_version(store, &version) && version == follow->version)
		return SQLITE_OK;
	rc = read_stamp(store, &stamp, err);
	if (rc == SQLITE_OK && stamp != follow->stamp)
		return look_anew(store, cookie, err);
	if (rc == SQLITE_OK)
		follow->version = version;
	return rc;
}

int
bridge_content_look(BridgeStore *store, BridgeError *err)
{
	sqlite3_stmt *stmt;
	int64_t cookie = 0;
	int rc;

	if (!store->journal)
		return SQLITE_OK;
	rc = bridge_store_statement(store, BRIDGE_STMT_COOKIE, &stmt, err);
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		cookie = sqlite3_column_int64(stmt, 0);
	else
		bridge_error_db(err, store->db, "hnsw: table %s", store->table);
	sqlite3_reset(stmt);
	if (rc != SQLITE_ROW)
		return err->code;
	if (store->follow.judged && store->follow.cookie == cookie)
		return look_again(store, cookie, err);
	return look_anew(store, cookie, err);
}

int
bridge_content_state(BridgeStore *store, BridgeState *state, int64_t tag_seq, int64_t *tag, bool *found,
					 BridgeError *err)
{
	int rc = bridge_content_look(store, err);

	return rc == SQLITE_OK ? bridge_store_state(store, state, tag_seq, tag, found, err) : rc;
}
