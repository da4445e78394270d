/*
 * triggers.c
 *		content=: the triggers that follow the owner's table, and their journal.
 *
 * They are plain SQL and write to an ordinary table, so that every program can fire them:
 * each row that is inserted, deleted, or changed in vector, key or a unique column appends
 * its key to the journal, in the writer's own transaction.  Readers take the vector from the
 * table itself.  What REPLACE removes appends nothing; readers check that a row is there.
 *
 * What is not done, and why.  The journal is no shadow table: in DEFENSIVE mode no trigger
 * may write one.  There is no OR IGNORE or UPSERT inside: an outer OR REPLACE overrides it.
 * No function that old builds of SQLite lack: every write would fail.  No vectors: they would
 * be written twice.
 *
 * BEFORE UPDATE and BEFORE DELETE: a trigger of the owner's that gives the row up fires with
 * less harm after ours than before.  "rowid" and its like are in the list of columns because
 * UPDATE ... SET rowid names no column.  IS NOT compares by the column's collation unless told
 * otherwise.  An UPDATE of a row's key records both keys.  The first column of WHEN is the
 * vector's, also where every update counts: evidence.c reads there what it is called now.
 *
 * The mark never fires.  It is made after the others and lies on the journal's own table: should
 * somebody drop the others and make them again, they are younger than the mark (evidence.c).
 */
#include "sqlite_bridge/content/content.h"

#include <string.h>

/* ---------- their text ---------- */

static const char *const suffixes[BRIDGE_TRIGGERS] = {"changes_ai", "changes_ad", "changes_au", "mark"};

/* "NEW"."a", ... of one side, for the journal's columns. */
static void
add_key(sqlite3_str *text, const BridgeContent *content, const char *side)
{
	if (content->keys.count == 0)
		sqlite3_str_appendf(text, "%s.\"%w\"", side, content->key);
	for (int i = 0; i < content->keys.count; i++)
		sqlite3_str_appendf(text, "%s%s.\"%w\"", i > 0 ? ", " : "", side, bridge_key_name(&content->keys, i));
}

/* Whether the key changes. */
static void
add_key_condition(sqlite3_str *text, const BridgeContent *content)
{
	if (content->keys.count == 0)
		sqlite3_str_appendf(text, "OLD.\"%w\" COLLATE BINARY IS NOT NEW.\"%w\"", content->key, content->key);
	for (int i = 0; i < content->keys.count; i++)
	{
		const char *name = bridge_key_name(&content->keys, i);

		sqlite3_str_appendf(text, "%sOLD.\"%w\" COLLATE BINARY IS NOT NEW.\"%w\"", i > 0 ? " OR " : "", name,
							name);
	}
}

/* INSERT INTO "x_changes"(tag, key), or (tag, k0, k1). */
static void
add_insert(sqlite3_str *text, const char *index, const BridgeContent *content)
{
	sqlite3_str_appendf(text, " INSERT INTO \"%w_changes\"(tag, ", index);
	if (content->keys.count == 0)
		sqlite3_str_appendall(text, "key");
	for (int i = 0; i < content->keys.count; i++)
		sqlite3_str_appendf(text, "%sk%d", i > 0 ? ", " : "", i);
	sqlite3_str_appendall(text, ")");
}

/* A row with the key of one side, for the journal. */
static void
add_append(sqlite3_str *text, const char *index, const BridgeContent *content, const char *side)
{
	add_insert(text, index, content);
	sqlite3_str_appendall(text, " VALUES (random(), ");
	add_key(text, content, side);
	sqlite3_str_appendall(text, ");");
}

char *
bridge_triggers_append(const char *index, const BridgeContent *content)
{
	sqlite3_str *text = sqlite3_str_new(NULL);

	add_append(text, index, content, "NEW");
	sqlite3_str_appendall(text, " END");
	return sqlite3_str_finish(text);
}

/* "a", "b", ... for OF. */
static void
add_columns(sqlite3_str *text, const BridgeContent *content)
{
	sqlite3_str_appendf(text, "\"%w\"", content->vector);
	if (content->keys.count == 0)
		sqlite3_str_appendf(text, ",\"%w\",\"rowid\",\"oid\",\"_rowid_\"", content->key);
	for (int i = 0; i < content->keys.count; i++)
		sqlite3_str_appendf(text, ",\"%w\"", bridge_key_name(&content->keys, i));
	for (const char *u = content->unique; u != NULL && u < content->unique + content->unique_bytes;
		 u += strlen(u) + 1)
		sqlite3_str_appendf(text, ",\"%s\"", u);
}

static void
add_conditions(sqlite3_str *text, const BridgeContent *content)
{
	sqlite3_str_appendf(text, "OLD.\"%w\" COLLATE BINARY IS NOT NEW.\"%w\" OR ", content->vector,
						content->vector);
	add_key_condition(text, content);
	for (const char *u = content->unique; u != NULL && u < content->unique + content->unique_bytes;
		 u += strlen(u) + 1)
		sqlite3_str_appendf(text, " OR OLD.\"%s\" COLLATE BINARY IS NOT NEW.\"%s\"", u, u);
}

/* strict = 1: a BLOB of another length is refused. */
static void
add_strict(sqlite3_str *text, const char *index, const BridgeParams *params, const BridgeContent *content)
{
	if (params->strict)
		sqlite3_str_appendf(
			text,
			" SELECT RAISE(ABORT, '%q: the vector must have %d bytes') WHERE typeof(NEW.\"%w\") ="
			" 'blob' AND length(NEW.\"%w\") <> %d;",
			index, params->dim * 4, content->vector, content->vector, params->dim * 4);
}

static void
spell_update(sqlite3_str *text, const char *index, const BridgeParams *params, const BridgeContent *content)
{
	sqlite3_str_appendf(text, "\"%w_%s\" BEFORE UPDATE", index, suffixes[BRIDGE_BEFORE_UPDATE]);
	/* The names in OF are those of SET, among which a generated column never is. */
	if (!content->every_update && !content->vector_generated && !content->unique_generated)
	{
		sqlite3_str_appendall(text, " OF ");
		add_columns(text, content);
	}
	sqlite3_str_appendf(text, " ON \"%w\" WHEN ", content->table);
	add_conditions(text, content);
	sqlite3_str_appendall(text, content->every_update ? " OR 1 BEGIN" : " BEGIN");
	add_strict(text, index, params, content);
	add_insert(text, index, content);
	sqlite3_str_appendall(text, " SELECT random(), ");
	add_key(text, content, "OLD");
	sqlite3_str_appendall(text, " WHERE ");
	add_key_condition(text, content);
	sqlite3_str_appendall(text, ";");
	add_append(text, index, content, "NEW");
	sqlite3_str_appendall(text, " END");
}

int
bridge_triggers_spell(const char *index, const BridgeParams *params, const BridgeContent *content,
					  BridgeTriggers *out, BridgeError *err)
{
	int rc = SQLITE_OK;

	memset(out, 0, sizeof(*out));
	for (int i = 0; i < BRIDGE_TRIGGERS; i++)
	{
		sqlite3_str *text = sqlite3_str_new(NULL);

		switch (i)
		{
			case BRIDGE_AFTER_INSERT:
				sqlite3_str_appendf(text, "\"%w_%s\" AFTER INSERT ON \"%w\" BEGIN", index, suffixes[i],
									content->table);
				add_strict(text, index, params, content);
				add_append(text, index, content, "NEW");
				sqlite3_str_appendall(text, " END");
				break;
			case BRIDGE_BEFORE_DELETE:
				sqlite3_str_appendf(text, "\"%w_%s\" BEFORE DELETE ON \"%w\" BEGIN", index, suffixes[i],
									content->table);
				add_append(text, index, content, "OLD");
				sqlite3_str_appendall(text, " END");
				break;
			case BRIDGE_BEFORE_UPDATE:
				spell_update(text, index, params, content);
				break;
			default:
				sqlite3_str_appendf(text,
									"\"%w_%s\" BEFORE UPDATE ON \"%w_changes\" WHEN 0 BEGIN SELECT 1; END",
									index, suffixes[i], index);
		}
		out->names[i] = sqlite3_mprintf("%s_%s", index, suffixes[i]);
		out->texts[i] = sqlite3_str_finish(text);
		if (out->names[i] == NULL || out->texts[i] == NULL)
			rc = bridge_error(err, SQLITE_NOMEM, "out of memory");
	}
	return rc;
}

void
bridge_triggers_free(BridgeTriggers *triggers)
{
	for (int i = 0; i < BRIDGE_TRIGGERS; i++)
	{
		sqlite3_free(triggers->names[i]);
		sqlite3_free(triggers->texts[i]);
	}
	memset(triggers, 0, sizeof(*triggers));
}

/* ---------- making and dropping them ---------- */

static int
write_triggers(sqlite3 *db, const char *schema, const char *index, const BridgeParams *params,
			   const BridgeContent *content, BridgeError *err)
{
	BridgeTriggers triggers;
	int rc = bridge_triggers_spell(index, params, content, &triggers, err);

	for (int i = 0; i < BRIDGE_TRIGGERS && rc == SQLITE_OK; i++)
		rc = bridge_exec(db, err, "CREATE TRIGGER \"%w\".%s", schema, triggers.texts[i]);
	bridge_triggers_free(&triggers);
	return rc;
}

static int
drop_triggers(sqlite3 *db, const char *schema, const char *index, BridgeError *err)
{
	int rc = SQLITE_OK;

	for (int i = 0; i < BRIDGE_TRIGGERS && rc == SQLITE_OK; i++)
		rc = bridge_exec(db, err, "DROP TRIGGER IF EXISTS \"%w\".\"%w_%s\"", schema, index, suffixes[i]);
	return rc;
}

/* k0, k1, ..., which hold what the table's columns hold; sqlite3_free. */
static char *
spell_key_columns(const BridgeKeys *keys)
{
	sqlite3_str *text = sqlite3_str_new(NULL);

	if (keys->count == 0)
		sqlite3_str_appendall(text, "key INTEGER");
	for (int i = 0; i < keys->count; i++)
		sqlite3_str_appendf(text, "%sk%d", i > 0 ? ", " : "", i);
	return sqlite3_str_finish(text);
}

/*
 * The journal, the labels of keys and the canary, where they are not there.  A table that was made
 * anew may have another key: then nothing of it can be used.
 */
static int
make_tables(sqlite3 *db, const char *schema, const char *index, const BridgeContent *content, bool anew,
			BridgeError *err)
{
	char *columns = spell_key_columns(&content->keys);
	int rc = columns != NULL ? SQLITE_OK : bridge_error(err, SQLITE_NOMEM, "out of memory");

	if (rc == SQLITE_OK && anew)
		rc = bridge_exec(
			db, err, "DROP TABLE IF EXISTS \"%w\".\"%w_changes\"; DROP TABLE IF EXISTS \"%w\".\"%w_keys\"",
			schema, index, schema, index);
	if (rc == SQLITE_OK)
		rc = bridge_exec(
			db, err,
			"CREATE TABLE IF NOT EXISTS \"%w\".\"%w_changes\"(seq INTEGER PRIMARY KEY, tag INTEGER, %s)",
			schema, index, columns);
	if (rc == SQLITE_OK && content->keys.count > 0)
		rc = bridge_exec(
			db, err,
			"CREATE TABLE IF NOT EXISTS \"%w\".\"%w_keys\"(label INTEGER PRIMARY KEY, %s, UNIQUE(%s))",
			schema, index, columns, columns);
	sqlite3_free(columns);
	if (rc == SQLITE_OK && content->renumbers)
		rc = bridge_exec(
			db, err,
			"CREATE TABLE IF NOT EXISTS \"%w\".\"%w_canary\"(a); DELETE FROM \"%w\".\"%w_canary\";"
			" INSERT INTO \"%w\".\"%w_canary\"(rowid) VALUES (2)",
			schema, index, schema, index, schema, index);
	else if (rc == SQLITE_OK)
		rc = bridge_exec(db, err, "DROP TABLE IF EXISTS \"%w\".\"%w_canary\"", schema, index);
	return rc;
}

/* A row of the journal that names nothing; after the last one, or anew where numbers have run out. */
static int
append_anchor(sqlite3 *db, const char *schema, const char *index, BridgeError *err)
{
	return bridge_exec(db, err,
					   "DELETE FROM \"%w\".\"%w_changes\" WHERE seq > %lld;"
					   "INSERT INTO \"%w\".\"%w_changes\"(tag) VALUES (random())",
					   schema, index, (sqlite3_int64) BRIDGE_LAST_SEQ, schema, index);
}

int
bridge_content_create(sqlite3 *db, const char *schema, const char *index, const BridgeParams *params,
					  BridgeError *err)
{
	BridgeContent content;
	int rc = bridge_content_find(db, schema, params, &content, err);

	if (rc == SQLITE_OK)
		rc = bridge_content_check_collations(db, schema, &content, err);
	if (rc == SQLITE_OK && !params->skip_bad)
		rc = bridge_content_check_rows(db, schema, &content, params, err);
	if (rc == SQLITE_OK)
		rc = bridge_exec(db, err,
						 "INSERT INTO \"%w\".\"%w_config\" VALUES ('content', %Q), ('content_rowid', %Q),"
						 " ('content_vector', %Q)",
						 schema, index, content.table, content.key, content.vector);
	if (rc == SQLITE_OK && content.keys.count > 0)
		rc = bridge_exec(db, err, "INSERT INTO \"%w\".\"%w_config\" VALUES ('keys', %d)", schema, index,
						 content.keys.count);
	if (rc == SQLITE_OK)
		rc = make_tables(db, schema, index, &content, false, err);
	if (rc == SQLITE_OK)
		rc = append_anchor(db, schema, index, err);
	if (rc == SQLITE_OK)
		rc = write_triggers(db, schema, index, params, &content, err);
	bridge_content_free(&content);
	return rc;
}

/* The config names the table and its columns as they are called now. */
static int
save_names(BridgeStore *store, BridgeError *err)
{
	int rc = bridge_store_set_config(store, "content", store->params.content, 0, err);

	if (rc == SQLITE_OK)
		rc = bridge_store_set_config(store, "content_rowid", store->params.content_rowid, 0, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_set_config(store, "content_vector", store->params.content_vector, 0, err);
	return rc;
}

int
bridge_content_repair(BridgeStore *store, BridgeError *err)
{
	BridgeContent content;
	int rc = bridge_content_find(store->db, store->schema, &store->params, &content, err);

	bridge_store_release(store);
	if (rc == SQLITE_OK)
		rc = drop_triggers(store->db, store->schema, store->table, err);
	if (rc == SQLITE_OK)
		rc = make_tables(store->db, store->schema, store->table, &content,
						 content.keys.count != store->key_count, err);
	if (rc == SQLITE_OK && content.keys.count != store->key_count)
		rc = bridge_store_set_config(store, "keys", NULL, content.keys.count, err);
	store->key_count = content.keys.count;
	if (rc == SQLITE_OK)
		rc = append_anchor(store->db, store->schema, store->table, err);
	if (rc == SQLITE_OK)
		rc = write_triggers(store->db, store->schema, store->table, &store->params, &content, err);
	if (rc == SQLITE_OK)
		rc = save_names(store, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_set_position(store, 0, 0, err);
	bridge_store_release(store);
	store->follow.judged = false;
	bridge_content_free(&content);
	return rc;
}

int
bridge_content_rename(BridgeStore *store, const char *new_name, BridgeError *err)
{
	BridgeContent content;
	int rc = bridge_content_look(store, err);

	memset(&content, 0, sizeof(content));
	/* What nobody follows now is not followed under another name: the next merge sees to it. */
	if (rc == SQLITE_OK && store->follow.verdict == BRIDGE_FOLLOWED)
		rc = bridge_content_find(store->db, store->schema, &store->params, &content, err);
	bridge_store_release(store);
	if (rc == SQLITE_OK)
		rc = drop_triggers(store->db, store->schema, store->table, err);
	if (rc == SQLITE_OK && store->follow.journal_there)
		rc = bridge_exec(store->db, err, "ALTER TABLE \"%w\".\"%w_changes\" RENAME TO \"%w_changes\"",
						 store->schema, store->table, new_name);
	if (rc == SQLITE_OK && content.renumbers)
		rc = bridge_exec(store->db, err, "ALTER TABLE \"%w\".\"%w_canary\" RENAME TO \"%w_canary\"",
						 store->schema, store->table, new_name);
	if (rc == SQLITE_OK && store->key_count > 0)
		rc = bridge_exec(store->db, err, "ALTER TABLE \"%w\".\"%w_keys\" RENAME TO \"%w_keys\"",
						 store->schema, store->table, new_name);
	if (rc == SQLITE_OK && content.table != NULL)
		rc = write_triggers(store->db, store->schema, new_name, &store->params, &content, err);
	bridge_content_free(&content);
	return rc;
}

/* Those of format 1. */
static int
drop_old_triggers(BridgeStore *store, BridgeError *err)
{
	static const char *const old[] = {"content_ai", "content_ad", "content_au", "content_bi", "content_bu"};
	int rc = SQLITE_OK;

	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]) && rc == SQLITE_OK; i++)
		rc = bridge_exec(store->db, err, "DROP TRIGGER IF EXISTS \"%w\".\"%w_%s\"", store->schema,
						 store->table, old[i]);
	return rc;
}

int
bridge_content_drop(BridgeStore *store, BridgeError *err)
{
	int rc;

	bridge_store_release(store);
	if (!store->journal)
		return drop_old_triggers(store, err);
	rc = drop_triggers(store->db, store->schema, store->table, err);
	if (rc == SQLITE_OK)
		rc = bridge_exec(
			store->db, err,
			"DROP TABLE IF EXISTS \"%w\".\"%w_changes\"; DROP TABLE IF EXISTS \"%w\".\"%w_canary\";"
			"DROP TABLE IF EXISTS \"%w\".\"%w_keys\"",
			store->schema, store->table, store->schema, store->table, store->schema, store->table);
	return rc;
}

int
bridge_content_migrate(BridgeStore *store, BridgeError *err)
{
	const char *s = store->schema;
	const char *t = store->table;
	BridgeContent content;
	BridgeState state;
	int64_t seq;
	int64_t tag;
	int rc = bridge_content_find(store->db, s, &store->params, &content, err);

	if (rc == SQLITE_OK)
		rc = bridge_store_state(store, &state, 0, NULL, NULL, err);
	if (rc == SQLITE_OK)
		rc = make_tables(store->db, s, t, &content, false, err);
	bridge_store_release(store);
	sqlite3_randomness(sizeof(tag), &tag);
	seq = rc == SQLITE_OK && state.position > 0 ? state.position : 1;
	/* The row at the graph's own number is what the changes after it are read from. */
	if (rc == SQLITE_OK)
		rc = bridge_exec(store->db, err, "INSERT INTO \"%w\".\"%w_changes\"(seq, tag) VALUES (%lld, %lld)", s,
						 t, (sqlite3_int64) seq, (sqlite3_int64) tag);
	if (rc == SQLITE_OK && state.position > 0)
		rc = bridge_exec(store->db, err,
						 "INSERT INTO \"%w\".\"%w_changes\" SELECT seq, tag, label FROM \"%w\".\"%w_delta\" "
						 "WHERE seq > %lld",
						 s, t, s, t, (sqlite3_int64) seq);
	if (rc == SQLITE_OK)
		rc = drop_old_triggers(store, err);
	if (rc == SQLITE_OK)
		rc = write_triggers(store->db, s, t, &store->params, &content, err);
	if (rc == SQLITE_OK)
		rc = bridge_exec(
			store->db, err,
			"DROP TABLE \"%w\".\"%w_delta\"; DELETE FROM \"%w\".\"%w_config\" WHERE key = 'counter';"
			"UPDATE \"%w\".\"%w_config\" SET value = %d WHERE key = 'format'",
			s, t, s, t, s, t, BRIDGE_FORMAT);
	if (rc == SQLITE_OK && state.position > 0)
		rc = bridge_store_set_position(store, seq, tag, err);
	else if (rc == SQLITE_OK)
		rc = bridge_store_set_position(store, 0, 0, err);
	bridge_store_release(store);
	bridge_content_free(&content);
	return rc;
}
