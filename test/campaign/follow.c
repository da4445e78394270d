/*
 * follow.c
 *		Whatever anybody does to a content table, the index is the table.
 *
 * Programs with and without the extension take turns on one file: statements of every kind
 * with every conflict clause, UPSERT, cascades, triggers of the owner's that RAISE, savepoints,
 * both journal modes, merges, tables rebuilt as migration tools do it, renamed tables and
 * columns, VACUUM, dumps restored, older copies restored in place and as new files, unique indexes
 * that come and go, triggers and journals that somebody removes.  After each step two sessions
 * that stay open, with a prepared statement each, read the index as a stream to its end and the
 * table itself, which must be the same rows at the same distances.
 *
 * --steps of test/campaign/run says how many there are; without it time does.
 */
#define _GNU_SOURCE
#include "campaign.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORLD_STEPS 400 /* then everything begins anew, with another kind of table */
#define FILLING 2600    /* rows of a large world: enough for a second segment */
#define SESSIONS 4      /* the first two have the extension */
#define MOST (FILLING + 1000)

typedef enum Key
{
	KEY_INTEGER,
	KEY_TEXT,
	KEY_NONE,
	KEY_PAIR, /* WITHOUT ROWID */
	KEYS
} Key;

static const char *const columns[KEYS] = {
	"(k INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE, a INT, b INT NOT NULL DEFAULT 3,"
	" up INTEGER REFERENCES docs(k) ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,"
	" embedding, UNIQUE(a, b))",
	"(k TEXT PRIMARY KEY COLLATE NOCASE, name TEXT, a INT, b INT, up INT, embedding)",
	"(k INT, name TEXT, a INT, b INT, up INT, embedding)",
	"(k COLLATE NOCASE, name TEXT UNIQUE, a TEXT, b INT NOT NULL DEFAULT 3, up INT, embedding, PRIMARY "
	"KEY(a, k))"
	" WITHOUT ROWID"};

/* What names a row, in the table and as the index tells it; a REAL is never stored in these. */
static const char *const labels[KEYS] = {"k", "rowid", "rowid", "quote(a) || quote(k)"};
static const char *const told[KEYS] = {"rowid", "rowid", "rowid", "quote(k0) || quote(k1)"};

typedef struct Hit
{
	sqlite3_int64 label;
	double distance;
} Hit;

static struct
{
	uint64_t random;
	Key key;
	bool large;
	char path[320], saved[320];
	sqlite3 *sessions[SESSIONS];
	int savepoints;
	int owner; /* of the open transaction, -1 */
	bool has_saved;
	long step;
	long done, refused;
	char log[6000];
	Report r;
} w;

static Hit found[MOST], expected[MOST];

static int
pick(int n)
{
	w.random = mix(w.random);
	return (int) ((w.random >> 20) % (uint64_t) n);
}

/* ---------- sessions ---------- */

static bool
open_sessions(void)
{
	for (int i = 0; i < SESSIONS; i++)
	{
		if (i < 2)
			w.sessions[i] = open_database(w.path, &w.r);
		else if (sqlite3_open(w.path, &w.sessions[i]) == SQLITE_OK)
			sqlite3_extended_result_codes(w.sessions[i], 1);
		if (w.sessions[i] == NULL)
			return report(&w.r, "opening");
		sqlite3_busy_timeout(w.sessions[i], 20000);
		run(w.sessions[i],
			"PRAGMA synchronous = OFF; PRAGMA foreign_keys = %d; PRAGMA recursive_triggers = %d", pick(2),
			pick(2));
	}
	w.owner = -1;
	w.savepoints = 0;
	return true;
}

static void
close_sessions(void)
{
	for (int i = 0; i < SESSIONS; i++)
	{
		sqlite3_close(w.sessions[i]);
		w.sessions[i] = NULL;
	}
}

/* ---------- what is true ---------- */

static int
compare_hits(const void *a, const void *b)
{
	const Hit *x = a;
	const Hit *y = b;

	return (x->label > y->label) - (x->label < y->label);
}

/* The name as a number. */
static sqlite3_int64
read_label(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text;
	uint64_t hash = 1;

	if (w.key != KEY_PAIR)
		return sqlite3_column_int64(stmt, column);
	for (text = sqlite3_column_text(stmt, column); text != NULL && *text != '\0'; text++)
		hash = mix(hash ^ *text);
	return (sqlite3_int64) hash;
}

/* Three numbers of JSON text or bytes; false for what is no vector. */
static bool
read_vector(sqlite3_stmt *stmt, int column, float v[3])
{
	char end;

	if (sqlite3_column_type(stmt, column) == SQLITE_BLOB && sqlite3_column_bytes(stmt, column) == 12)
	{
		memcpy(v, sqlite3_column_blob(stmt, column), 12);
		return true;
	}
	return sqlite3_column_type(stmt, column) == SQLITE_TEXT &&
		   sscanf((const char *) sqlite3_column_text(stmt, column), "[%f,%f,%f%c", &v[0], &v[1], &v[2],
				  &end) == 4;
}

static int
read_table(sqlite3 *db, const float q[3])
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT %s, embedding FROM docs", labels[w.key]);
	int n = 0;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		n = -1;
	sqlite3_free(sql);
	while (n >= 0 && n < MOST && sqlite3_step(stmt) == SQLITE_ROW)
	{
		float v[3];

		if (!read_vector(stmt, 1, v))
			continue;
		expected[n].label = read_label(stmt, 0);
		expected[n++].distance = sqrt(((double) v[0] - q[0]) * ((double) v[0] - q[0]) +
									  ((double) v[1] - q[1]) * ((double) v[1] - q[1]) +
									  ((double) v[2] - q[2]) * ((double) v[2] - q[2]));
	}
	if (sqlite3_finalize(stmt) != SQLITE_OK)
		n = -1;
	qsort(expected, n > 0 ? (size_t) n : 0, sizeof(Hit), compare_hits);
	return n;
}

static bool
differs(const char *what, int session, sqlite3_int64 label)
{
	return report(&w.r, "step %ld, session %d, key %d: %s row %lld\n%s", w.step, session, w.key, what,
				  (long long) label, w.log);
}

static bool
check_session(int session, const char *strategy, int k)
{
	sqlite3 *db = w.sessions[session];
	float q[3] = {(float) pick(7) - 3, (float) pick(7) - 3, 0.5f};
	sqlite3_stmt *stmt = NULL;
	double last = 0;
	int n = 0, m;
	char limit[20] = "NULL";
	char *sql;

	if (k > 0)
		snprintf(limit, sizeof(limit), "%d", k);
	sql = sqlite3_mprintf("SELECT %s, distance FROM vss('[%g,%g,0.5]', %s, %d, '%s')", told[w.key], q[0],
						  q[1], limit, FILLING * 2, strategy);
	/* one view for both */
	if (sqlite3_get_autocommit(db))
		run(db, "BEGIN");
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK)
		while (n < MOST && sqlite3_step(stmt) == SQLITE_ROW)
		{
			found[n].label = read_label(stmt, 0);
			found[n++].distance = sqlite3_column_double(stmt, 1);
			if (found[n - 1].distance < last)
				differs("out of order:", session, found[n - 1].label);
			last = found[n - 1].distance;
		}
	sqlite3_free(sql);
	if (sqlite3_finalize(stmt) != SQLITE_OK || stmt == NULL)
		report(&w.r, "step %ld: %s\n%s", w.step, sqlite3_errmsg(db), w.log);
	m = read_table(db, q);
	if (w.owner != session)
		run(db, "COMMIT");
	if (k > 0 && n != (m < k ? m : k))
		return differs("number of rows", session, n);
	qsort(found, (size_t) n, sizeof(Hit), compare_hits);
	if (k > 0)
		return true;
	for (int i = 0, j = 0; i < n || j < m; i++, j++)
	{
		if (i >= n || (j < m && found[i].label > expected[j].label))
			return differs("the index lacks", session, expected[j].label);
		if (j >= m || found[i].label < expected[j].label)
			return differs("the index has", session, found[i].label);
		if (fabs(found[i].distance - expected[j].distance) > 1e-5 * (1 + expected[j].distance))
			return differs("the index has another vector for", session, found[i].label);
	}
	return true;
}

static bool
check(void)
{
	for (int i = 0; i < 2; i++)
	{
		if (w.large && pick(8) > 0)
			continue;
		check_session(i, pick(6) == 0 ? "exact" : "auto", 0);
		if (pick(3) == 0)
			check_session(i, "auto", 1 + pick(8));
	}
	return w.r.text[0] == '\0';
}

/* ---------- statements ---------- */

static void
add_vector(sqlite3_str *sql)
{
	float v[3] = {(float) pick(9) - 4, (float) pick(9) - 4, 1.5f};
	const unsigned char *bytes = (const unsigned char *) v;

	switch (pick(14))
	{
		case 0:
			sqlite3_str_appendall(sql, "NULL");
			return;
		case 1:
			sqlite3_str_appendall(sql, pick(2) ? "'nonsense'" : "'[1,2]'");
			return;
		case 2:
		case 3:
		case 4:
			sqlite3_str_appendall(sql, "x'");
			for (int i = 0; i < 12; i++)
				sqlite3_str_appendf(sql, "%02x", bytes[i]);
			sqlite3_str_appendall(sql, "'");
			return;
		default:
			sqlite3_str_appendf(sql, "'[%d,%d,%d.25]'", (int) v[0], (int) v[1], pick(3));
	}
}

static void
add_key(sqlite3_str *sql)
{
	if (w.key == KEY_TEXT || (w.key == KEY_PAIR && pick(3) > 0))
		sqlite3_str_appendf(sql, "'%c%d'", pick(2) ? 'k' : 'K', pick(30));
	else if (w.key == KEY_INTEGER && pick(4) == 0)
		sqlite3_str_appendall(sql, "NULL");
	else
		sqlite3_str_appendf(sql, "%d", pick(40) - 3);
}

/* A column that finds few rows by a number. */
static const char *
row_number(void)
{
	return pick(2) == 0 ? "b" : w.key == KEY_PAIR ? "up" : "rowid";
}

static const char *
clause(void)
{
	static const char *const clauses[] = {"",         "OR REPLACE ", "OR IGNORE ",
										  "OR FAIL ", "OR ABORT ",   "OR ROLLBACK "};

	return pick(30) == 0 ? clauses[5] : pick(2) ? clauses[1] : clauses[pick(5)];
}

static void
add_insert(sqlite3_str *sql)
{
	static const char *const upserts[] = {
		" ON CONFLICT DO NOTHING", " ON CONFLICT(%s) DO UPDATE SET embedding = excluded.embedding",
		" ON CONFLICT(%s) DO UPDATE SET a = a + 1, embedding = NULL WHERE b < 4"};
	bool upsert = w.key != KEY_NONE && pick(4) == 0;
	int rows = 1 + pick(3);

	sqlite3_str_appendf(sql, "INSERT %sINTO docs(k, name, a, b, up, embedding) VALUES ",
						upsert ? "" : clause());
	for (int i = 0; i < rows; i++)
	{
		sqlite3_str_appendall(sql, i > 0 ? ", (" : "(");
		add_key(sql);
		if (pick(8) == 0)
			sqlite3_str_appendall(sql, ", NULL");
		else
			sqlite3_str_appendf(sql, ", '%c%d'", pick(2) ? 'n' : 'N', pick(20));
		sqlite3_str_appendf(sql, ", %d, %d, ", pick(7), pick(5));
		if (pick(2))
			sqlite3_str_appendall(sql, "NULL, ");
		else
			sqlite3_str_appendf(sql, "%d, ", pick(40));
		add_vector(sql);
		sqlite3_str_appendall(sql, ")");
	}
	if (upsert)
		sqlite3_str_appendf(sql, upserts[pick(3)], w.key == KEY_PAIR ? "a, k" : "k");
}

static void
add_update(sqlite3_str *sql)
{
	sqlite3_str_appendf(sql, "UPDATE %sdocs SET ", clause());
	switch (pick(8))
	{
		case 0:
			sqlite3_str_appendall(sql, "k = ");
			add_key(sql);
			break;
		case 1:
			if (w.key == KEY_PAIR)
				sqlite3_str_appendf(sql, "a = a + %d", pick(7) - 3);
			else
				sqlite3_str_appendf(sql, "%s = rowid + %d", pick(2) ? "rowid" : "oid", pick(7) - 3);
			break;
		case 2:
			sqlite3_str_appendf(sql, "name = 'n%d'", pick(20));
			break;
		case 3:
			sqlite3_str_appendf(sql, "a = %d, b = %s", pick(7), pick(3) ? "b" : "NULL");
			break;
		case 4:
			sqlite3_str_appendf(sql, "up = %d", pick(40));
			break;
		default:
			sqlite3_str_appendall(sql, "embedding = ");
			add_vector(sql);
	}
	if (pick(3) == 0)
		sqlite3_str_appendf(sql, " WHERE a = %d", pick(7));
	else
		sqlite3_str_appendf(sql, " WHERE %s = %d", row_number(), pick(40));
}

/* Triggers of the owner's. */
static void
add_trigger(int session, sqlite3_str *sql)
{
	static const char *const events[] = {"BEFORE INSERT", "AFTER INSERT",  "BEFORE UPDATE",
										 "AFTER UPDATE",  "BEFORE DELETE", "AFTER DELETE"};
	static const char *const acts[] = {
		"SELECT RAISE(IGNORE)",
		"SELECT RAISE(ABORT, 'no')",
		"SELECT RAISE(FAIL, 'no')",
		"SELECT RAISE(ROLLBACK, 'no')",
		"UPDATE docs SET embedding = '[1,1,0.25]' WHERE a = 2 AND b = 2",
		"INSERT OR IGNORE INTO docs(k, a, b, embedding) VALUES (99, 99, 99, '[0,0,0.25]')",
		"DELETE FROM docs WHERE b = 4"};
	int event = pick(6);

	/*
	 * Who makes an AFTER INSERT trigger, writes, and drops it before any merge leaves no trace of
	 * the rows that it hid: no promise holds there.
	 */
	if (event == 1)
	{
		if (w.owner >= 0 || session >= 2)
			event = 0;
		else
			sqlite3_str_appendall(sql, "SELECT hnsw_save('vss'); ");
	}
	if (pick(2))
		sqlite3_str_appendf(sql, "DROP TRIGGER IF EXISTS owner%d", event);
	else
		sqlite3_str_appendf(sql,
							"CREATE TRIGGER IF NOT EXISTS owner%d %s ON docs WHEN %s.a = %d BEGIN %s; END",
							event, events[event], event < 4 ? "NEW" : "OLD", pick(7), acts[pick(7)]);
}

static void
add_transaction(int session, sqlite3_str *sql)
{
	if (w.owner < 0)
	{
		sqlite3_str_appendall(sql, pick(2) ? "BEGIN" : "BEGIN IMMEDIATE");
		return;
	}
	switch (pick(6))
	{
		case 0:
		case 1:
			sqlite3_str_appendall(sql, pick(3) ? "COMMIT" : "ROLLBACK");
			break;
		case 2:
		case 3:
			sqlite3_str_appendf(sql, "SAVEPOINT s%d", ++w.savepoints);
			break;
		default:
			if (w.savepoints == 0)
				sqlite3_str_appendall(sql, "COMMIT");
			else
				sqlite3_str_appendf(sql, "ROLLBACK TO s%d", w.savepoints = 1 + pick(w.savepoints));
	}
}

/* As Django, Rails, Alembic and sqlite-utils do it, and as people do. */
static void
add_migration(sqlite3_str *sql)
{
	const char *all = "k, name, a, b, up, embedding";
	bool whole = pick(3) > 0;

	switch (pick(7))
	{
		case 0:
		case 1:
		case 2:
			sqlite3_str_appendf(sql,
								"PRAGMA foreign_keys = OFF; %s CREATE TABLE new_docs%s; INSERT INTO "
								"new_docs(%s%s) SELECT %s%s"
								" FROM docs; DROP TABLE docs; %s ALTER TABLE new_docs RENAME TO docs; %s",
								whole ? "BEGIN;" : "", columns[w.key],
								(w.key == KEY_TEXT || w.key == KEY_NONE) && pick(2) ? "rowid, " : "", all, "",
								all, pick(4) ? "" : "SELECT 1;", whole ? "COMMIT" : "");
			break;
		case 3:
			sqlite3_str_appendf(
				sql,
				"PRAGMA foreign_keys = OFF; BEGIN; ALTER TABLE docs RENAME TO old_docs; CREATE TABLE docs%s;"
				" INSERT INTO docs(%s) SELECT %s FROM old_docs; DROP TABLE old_docs; COMMIT",
				columns[w.key], all, all);
			break;
		case 4:
			sqlite3_str_appendall(
				sql, "ALTER TABLE docs RENAME TO other_docs; UPDATE other_docs SET embedding = '[2,2,0.25]'"
					 " WHERE b = 1; ALTER TABLE other_docs RENAME TO docs");
			break;
		case 5:
			sqlite3_str_appendall(
				sql, "ALTER TABLE docs RENAME COLUMN embedding TO vec; UPDATE docs SET vec = '[2,3,0.25]'"
					 " WHERE b = 2; ALTER TABLE docs RENAME COLUMN vec TO embedding");
			break;
		default:
			sqlite3_str_appendall(
				sql, "ALTER TABLE docs ADD COLUMN more; UPDATE docs SET embedding = '[3,3,0.25]' WHERE b = 0;"
					 " ALTER TABLE docs DROP COLUMN more");
	}
}

/* What nobody should do. */
static void
add_mischief(sqlite3_str *sql)
{
	static const char *const all[] = {
		"DROP TRIGGER IF EXISTS vss_changes_ai",
		"DROP TRIGGER IF EXISTS vss_changes_ad; DELETE FROM docs WHERE b = 3",
		"DROP TRIGGER IF EXISTS vss_changes_au; UPDATE docs SET embedding = '[4,4,0.25]' WHERE b = 1",
		"DELETE FROM vss_changes WHERE seq < (SELECT avg(seq) FROM vss_changes)",
		"DELETE FROM vss_changes",
		"DROP TABLE IF EXISTS vss_changes; DROP TRIGGER IF EXISTS vss_changes_ai; DROP TRIGGER IF EXISTS "
		"vss_changes_ad;"
		" DROP TRIGGER IF EXISTS vss_changes_au; UPDATE docs SET embedding = '[4,5,0.25]' WHERE b = 0",
		"DROP TRIGGER IF EXISTS vss_mark",
		"INSERT INTO vss_changes(seq, tag) VALUES (9223372036854775807, 1)",
		"INSERT INTO vss_changes(tag, key) VALUES (7, 5), (8, NULL), (9, 1000)",
		"INSERT INTO vss_changes(tag, k0, k1) VALUES (7, '5', 'k5'), (8, NULL, NULL), (9, 1000, 'K3')"};
	int which = pick(9);

	sqlite3_str_appendall(sql, all[which == 8 && w.key == KEY_PAIR ? 9 : which]);
}

static void
add_schema(sqlite3_str *sql)
{
	switch (pick(5))
	{
		case 0:
			sqlite3_str_appendall(sql, "CREATE UNIQUE INDEX IF NOT EXISTS later ON docs(a, b, name)");
			break;
		case 1:
			sqlite3_str_appendall(sql, "CREATE UNIQUE INDEX IF NOT EXISTS later ON docs(lower(name), b)");
			break;
		case 2:
			sqlite3_str_appendall(sql, "CREATE UNIQUE INDEX IF NOT EXISTS later ON docs(up) WHERE a > 3");
			break;
		case 3:
			sqlite3_str_appendall(sql, "DROP INDEX IF EXISTS later");
			break;
		default:
			sqlite3_str_appendall(sql, "CREATE TABLE IF NOT EXISTS stranger(x); DROP TABLE stranger");
	}
}

static char *
make_statement(int session)
{
	sqlite3_str *sql = sqlite3_str_new(NULL);
	int dice = pick(100);
	bool idle = w.owner < 0;

	if (dice < 12)
		add_transaction(session, sql);
	else if (dice < 20 && idle && session < 2)
		sqlite3_str_appendall(sql, pick(5) ? "SELECT hnsw_save('vss')" : "SELECT hnsw_rebuild('vss')");
	else if (dice < 22 && idle)
		add_migration(sql);
	else if (dice < 25)
		add_trigger(session, sql);
	else if (dice < 27 && idle)
		add_schema(sql);
	else if (dice < 28 && idle)
		add_mischief(sql);
	else if (dice < 29 && idle)
		sqlite3_str_appendall(sql, pick(2)   ? "VACUUM"
								   : pick(2) ? "PRAGMA wal_checkpoint(TRUNCATE)"
											 : "REINDEX");
	else if (dice < 30 && idle && session >= 2)
		sqlite3_str_appendf(sql, "PRAGMA journal_mode = %s", pick(2) ? "WAL" : "DELETE");
	else if (dice < 38)
		sqlite3_str_appendf(sql, "DELETE FROM docs WHERE %s = %d", row_number(), pick(40));
	else if (dice < 68)
		add_update(sql);
	else
		add_insert(sql);
	return sqlite3_str_finish(sql);
}

/* ---------- the file as a whole ---------- */

static bool
copy_database(sqlite3 *from, sqlite3 *to)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");

	if (backup == NULL)
		return false;
	sqlite3_backup_step(backup, -1);
	return sqlite3_backup_finish(backup) == SQLITE_OK;
}

/* Keep a copy; or go back to it, in place or as another file; or dump and load. */
static void
do_file(void)
{
	sqlite3 *copy = NULL;
	char command[4000];
	int what = pick(6);

	if (what < 3 || !w.has_saved)
	{
		if (sqlite3_open(w.saved, &copy) == SQLITE_OK && copy_database(w.sessions[2], copy))
			w.has_saved = true;
		sqlite3_close(copy);
	}
	else if (what == 3)
	{
		if (sqlite3_open(w.saved, &copy) == SQLITE_OK)
			copy_database(copy, w.sessions[3]);
		sqlite3_close(copy);
	}
	else
	{
		close_sessions();
		if (what == 4)
			snprintf(command, sizeof(command),
					 "rm -f '%s-wal' '%s-shm'; cp '%s' '%s.new' && mv '%s.new' '%s'", w.path, w.path, w.saved,
					 w.path, w.path, w.path);
		else
			snprintf(
				command, sizeof(command),
				"rm -f '%s.new' && sqlite3 '%s' .dump | sqlite3 '%s.new' && rm -f '%s-wal' '%s-shm' && %s",
				w.path, w.path, w.path, w.path, w.path, pick(2) ? "cat '%s.new' > '%s'" : "mv '%s.new' '%s'");
		if (what == 5)
		{
			char *whole = sqlite3_mprintf(command, w.path, w.path);

			snprintf(command, sizeof(command), "%s", whole);
			sqlite3_free(whole);
		}
		if (system(command) != 0)
			report(&w.r, "%s", command);
		open_sessions();
	}
	snprintf(w.log + strlen(w.log), sizeof(w.log) - strlen(w.log), "-- file %d\n", what);
}

static void
note(int session, const char *sql, const char *message)
{
	size_t length = strlen(w.log);
	size_t more = strlen(sql) + strlen(message) + 30;

	if (more > sizeof(w.log) / 2)
		return;
	while (length + more >= 1300)
	{
		char *line = strchr(w.log, '\n');

		if (line == NULL)
			break;
		length -= (size_t) (line + 1 - w.log);
		memmove(w.log, line + 1, length + 1);
	}
	snprintf(w.log + length, sizeof(w.log) - length, "(%d) %s; %s\n", session, sql, message);
}

static bool
allowed(int rc)
{
	int code = rc & 0xff;

	return code == SQLITE_CONSTRAINT || code == SQLITE_MISMATCH || code == SQLITE_BUSY ||
		   code == SQLITE_LOCKED || code == SQLITE_ERROR;
}

static bool
step(void)
{
	int session = w.owner >= 0 ? w.owner : pick(SESSIONS);
	char *sql;
	int rc;

	w.step++;
	if (w.owner < 0 && pick(200) == 0)
	{
		do_file();
		return check();
	}
	sql = make_statement(session);
	rc = sqlite3_exec(w.sessions[session], sql, NULL, NULL, NULL);
	note(session, sql, rc == SQLITE_OK ? "" : sqlite3_errmsg(w.sessions[session]));
	w.done += rc == SQLITE_OK;
	w.refused += rc != SQLITE_OK;
	if (rc != SQLITE_OK && !allowed(rc))
		report(&w.r, "step %ld: %s: %s\n%s", w.step, sql, sqlite3_errmsg(w.sessions[session]), w.log);
	/* A migration that failed half way is rolled back by its author. */
	if (rc != SQLITE_OK && w.owner < 0 && !sqlite3_get_autocommit(w.sessions[session]))
		run(w.sessions[session], "ROLLBACK");
	w.owner = sqlite3_get_autocommit(w.sessions[session]) ? -1 : session;
	if (w.owner < 0)
		w.savepoints = 0;
	/* The half of a migration that was not one transaction. */
	if (w.owner < 0 && number(w.sessions[2], "SELECT count(*) FROM sqlite_schema WHERE name = 'docs'") == 0)
	{
		run(w.sessions[2], "ALTER TABLE new_docs RENAME TO docs");
		run(w.sessions[2], "ALTER TABLE other_docs RENAME TO docs");
	}
	if (w.owner < 0)
		run(w.sessions[2], "ALTER TABLE docs RENAME COLUMN vec TO embedding");
	if (w.owner < 0)
		run(w.sessions[2], "DROP TABLE IF EXISTS new_docs");
	sqlite3_free(sql);
	return check();
}

/* ---------- worlds ---------- */

static bool
make_world(long seed)
{
	const char *folder = fresh_folder("follow");

	w.random = mix((uint64_t) seed);
	w.key = (Key) pick(KEYS);
	w.large = pick(6) == 0;
	w.has_saved = false;
	w.log[0] = '\0';
	snprintf(w.path, sizeof(w.path), "%s/t.db", folder);
	snprintf(w.saved, sizeof(w.saved), "%s/saved.db", folder);
	if (!open_sessions())
		return false;
	if (run(w.sessions[0], "PRAGMA journal_mode = %s; CREATE TABLE docs%s", pick(2) ? "WAL" : "DELETE",
			columns[w.key]) != SQLITE_OK ||
		(w.large &&
		 run(w.sessions[2],
			 "WITH RECURSIVE i(x) AS (SELECT 1000 UNION ALL SELECT x + 1 FROM i WHERE x < 1000 + %d) INSERT"
			 " INTO docs(k, a, b, embedding) SELECT x, x, x, '[' || (x %% 97) || ',' || (x %% 89) || ',9.5]' "
			 "FROM i",
			 FILLING) != SQLITE_OK) ||
		run(w.sessions[0],
			"CREATE VIRTUAL TABLE vss USING hnsw(dim = 3, metric = l2, m = 8, ef = 40, ef_search = 40,"
			" content = docs, content_vector = embedding)") != SQLITE_OK)
		return report(&w.r, "making a world: %s", sqlite3_errmsg(w.sessions[0]));
	/* two of them on one table must not come into each other's way */
	if (pick(4) == 0)
		run(w.sessions[1],
			"CREATE VIRTUAL TABLE second USING hnsw(dim = 3, content = docs, content_vector = embedding,"
			" bad_rows = skip)");
	return true;
}

void
campaign_follow(void)
{
	double end = clock_now() + campaign_seconds;
	const char *wish = getenv("CAMPAIGN_STEPS");
	long steps = wish != NULL ? atol(wish) : 0;
	long world = (long) campaign_seed * 1000;

	while (w.r.text[0] == '\0' && (steps > 0 ? w.step < steps : clock_now() < end))
	{
		if (make_world(++world))
			for (int i = 0; i < WORLD_STEPS && step() && (steps > 0 ? w.step < steps : clock_now() < end);
				 i++)
				;
		close_sessions();
	}
	figure("follow", "steps", (double) w.step);
	figure("follow", "statements", (double) w.done);
	figure("follow", "refused", (double) w.refused);
	if (w.done == 0 || w.refused == 0)
		report(&w.r, "nothing was done, or nothing refused");
	if (w.r.text[0] != '\0')
		snprintf(w.log, sizeof(w.log), "world %ld: ", world);
	outcome("follow", "index equals table", w.r.text[0] == '\0', w.r.text);
}
