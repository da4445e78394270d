/*
 * test_bridge_content_random.c
 *		content=: random DML of every kind against brute force over the table.
 *
 * The values come from small ranges, so that statements conflict all the time:
 * by key, through a NOCASE column, a composite index whose one column has a
 * default, a partial index, one on an expression and a generated column.  After each step
 * the index, read as a stream to its end, must give the rows and distances that the table
 * gives.  A part of the steps is done by a connection that has not loaded the module.
 * test/campaign/follow.c does the same with migrations, restored copies and other keys.
 */
#define _GNU_SOURCE
#include "bridge_support.h"

typedef struct Run
{
	sqlite3 *db;
	sqlite3 *other; /* a second connection to the file, without the module, or NULL */
	Random random;
	const char *function;
	int savepoints;
	int step;
	int failed; /* statements that a constraint refused */
	int done;
	char *last; /* the last statements, for the message of a failure */
} Run;

static int
pick(Run *run, int n)
{
	return (int) (random_bits(&run->random) % (uint64_t) n);
}

static const char *
pick_text(Run *run, const char *const *texts, int n)
{
	return texts[pick(run, n)];
}

/* ---------- statements ---------- */

/* vector() is the module's; the bytes of three floats, each a small whole number. */
static void
add_bytes(sqlite3_str *sql, int x, int y)
{
	const float vector[3] = {(float) x, (float) y, 1.5f};
	const unsigned char *bytes = (const unsigned char *) vector;

	sqlite3_str_appendall(sql, "x'");
	for (size_t i = 0; i < sizeof(vector); i++)
		sqlite3_str_appendf(sql, "%02x", bytes[i]);
	sqlite3_str_appendall(sql, "'");
}

static void
add_vector(Run *run, sqlite3_str *sql)
{
	int x = pick(run, 7) - 3;
	int y = pick(run, 7) - 3;

	switch (pick(run, 12))
	{
		case 0:
			sqlite3_str_appendall(sql, "NULL");
			break;
		case 1:
			sqlite3_str_appendall(sql, "'[0,0,0]'");
			break;
		case 2:
			add_bytes(sql, x, y);
			break;
		default:
			sqlite3_str_appendf(sql, "'[%d, %d, %d.25]'", x, y, pick(run, 3));
	}
}

static void
add_email(Run *run, sqlite3_str *sql)
{
	if (pick(run, 10) == 0)
		sqlite3_str_appendall(sql, "NULL");
	else
		sqlite3_str_appendf(sql, "'%c%d'", pick(run, 2) ? 'e' : 'E', pick(run, 14));
}

static const char *const clauses[] = {"",         "OR REPLACE ", "OR IGNORE ",
									  "OR FAIL ", "OR ABORT ",   "OR ROLLBACK "};

/* OR ROLLBACK rarely: it ends the transaction. */
static const char *
pick_clause(Run *run)
{
	return pick(run, 30) == 0 ? clauses[5] : pick(run, 2) ? clauses[1] : pick_text(run, clauses, 5);
}

static void
add_insert(Run *run, sqlite3_str *sql)
{
	static const char *const upserts[] = {
		" ON CONFLICT DO NOTHING",
		" ON CONFLICT(id) DO UPDATE SET embedding = excluded.embedding",
		" ON CONFLICT(email) DO UPDATE SET embedding = excluded.embedding, a = a + 1",
		" ON CONFLICT(email) DO UPDATE SET id = id + 50 ON CONFLICT DO NOTHING",
		" ON CONFLICT(a, b) DO UPDATE SET email = excluded.email WHERE a < 4",
	};
	bool upsert = pick(run, 4) == 0;
	int rows = 1 + pick(run, 3);

	sqlite3_str_appendf(sql, "INSERT %sINTO documents(id, email, a, b, tag, parent, embedding) VALUES ",
						upsert ? "" : pick_clause(run));
	for (int i = 0; i < rows; i++)
	{
		sqlite3_str_appendf(sql, "%s(", i > 0 ? ", " : "");
		if (pick(run, 3) == 0)
			sqlite3_str_appendall(sql, "NULL, ");
		else
			sqlite3_str_appendf(sql, "%d, ", pick(run, 40) - 3);
		add_email(run, sql);
		sqlite3_str_appendf(sql, ", %d, ", pick(run, 6));
		if (pick(run, 4) == 0)
			sqlite3_str_appendall(sql, "NULL, ");
		else
			sqlite3_str_appendf(sql, "'b%d', ", pick(run, 6));
		sqlite3_str_appendf(sql, "%d, ", pick(run, 9));
		if (pick(run, 2) == 0)
			sqlite3_str_appendall(sql, "NULL, ");
		else
			sqlite3_str_appendf(sql, "%d, ", pick(run, 40));
		add_vector(run, sql);
		sqlite3_str_appendall(sql, ")");
	}
	if (upsert)
		sqlite3_str_appendall(sql, pick_text(run, upserts, 5));
}

static void
add_update(Run *run, sqlite3_str *sql)
{
	sqlite3_str_appendf(sql, "UPDATE %sdocuments SET ", pick_clause(run));
	switch (pick(run, 9))
	{
		case 0:
			sqlite3_str_appendf(sql, "id = %d", pick(run, 40));
			break;
		case 1:
			sqlite3_str_appendf(sql, "rowid = id + %d", pick(run, 7) - 3);
			break;
		case 2:
			sqlite3_str_appendall(sql, "email = ");
			add_email(run, sql);
			break;
		case 3:
			sqlite3_str_appendf(sql, "a = %d, b = %s", pick(run, 6), pick(run, 3) ? "'b1'" : "NULL");
			break;
		case 4:
			sqlite3_str_appendf(sql, "tag = %d", pick(run, 9));
			break;
		case 5:
			sqlite3_str_appendf(sql, "parent = NULL, email = NULL, embedding = ");
			add_vector(run, sql);
			break;
		case 6:
			sqlite3_str_appendf(sql, "id = -id, oid = -id");
			break;
		default:
			sqlite3_str_appendall(sql, "embedding = ");
			add_vector(run, sql);
	}
	switch (pick(run, 4))
	{
		case 0:
			sqlite3_str_appendf(sql, " WHERE tag = %d", pick(run, 9));
			break;
		case 1:
			sqlite3_str_appendf(sql, " WHERE id BETWEEN %d AND %d", pick(run, 20), 10 + pick(run, 20));
			break;
		default:
			sqlite3_str_appendf(sql, " WHERE id = %d", pick(run, 40));
	}
}

static void
add_transaction(Run *run, sqlite3_str *sql)
{
	if (sqlite3_get_autocommit(run->db))
	{
		run->savepoints = 0;
		sqlite3_str_appendall(sql, "BEGIN");
		return;
	}
	switch (pick(run, 6))
	{
		case 0:
			sqlite3_str_appendall(sql, "COMMIT");
			break;
		case 1:
			sqlite3_str_appendall(sql, "ROLLBACK");
			break;
		case 2:
		case 3:
			sqlite3_str_appendf(sql, "SAVEPOINT s%d", ++run->savepoints);
			break;
		default:
			if (run->savepoints == 0)
				sqlite3_str_appendf(sql, "SAVEPOINT s%d", ++run->savepoints);
			else if (pick(run, 3) == 0)
				sqlite3_str_appendf(sql, "RELEASE s%d", run->savepoints--);
			else
			{
				run->savepoints = 1 + pick(run, run->savepoints); /* later ones go */
				sqlite3_str_appendf(sql, "ROLLBACK TO s%d", run->savepoints);
			}
	}
}

static char *
make_statement(Run *run)
{
	sqlite3_str *sql = sqlite3_str_new(run->db);
	bool idle = sqlite3_get_autocommit(run->db) != 0;

	switch (pick(run, 24))
	{
		case 0:
		case 1:
		case 2:
		case 3:
			add_transaction(run, sql);
			break;
		case 4:
			sqlite3_str_appendf(sql, "DELETE FROM documents WHERE id = %d", pick(run, 40));
			break;
		case 5:
			sqlite3_str_appendf(sql, "DELETE FROM documents WHERE tag = %d", pick(run, 9));
			break;
		case 6:
			sqlite3_str_appendf(sql, "PRAGMA recursive_triggers = %d", pick(run, 2));
			break;
		case 7:
			if (idle)
			{
				sqlite3_str_appendall(sql, pick(run, 3) ? "SELECT hnsw_save()" : "SELECT hnsw_rebuild()");
				break;
			}
			/* fall through */
		case 8:
			if (idle && pick(run, 10) == 0)
			{
				sqlite3_str_appendall(sql, pick(run, 2) ? "VACUUM" : "ANALYZE");
				break;
			}
			/* fall through */
		case 9:
		case 10:
		case 11:
		case 12:
		case 13:
		case 14:
			add_update(run, sql);
			break;
		default:
			add_insert(run, sql);
	}
	return sqlite3_str_finish(sql);
}

/* ---------- the check after each step ---------- */

static void
check(Run *run, sqlite3 *db)
{
	char query[64];

	snprintf(query, sizeof(query), "[%d,%d,0.5]", pick(run, 7) - 3, pick(run, 7) - 3);
	if (!index_equals(db, "vss", run->function, query, "documents", "id", "embedding"))
	{
		fputs(run->last, stderr);
		fail_msg("step %d: the index differs from the table", run->step);
	}
}

static void
check_whole(Run *run)
{
	const char *findings = get_text(run->db, "SELECT hnsw_check()");

	if (strcmp(findings, "ok") != 0)
	{
		fputs(run->last, stderr);
		fail_msg("step %d: hnsw_check: %s", run->step, findings);
	}
}

static void
step(Run *run)
{
	sqlite3 *db = run->db;
	char *sql;
	char *more;
	int rc;

	if (run->other != NULL && sqlite3_get_autocommit(run->db) && pick(run, 3) == 0)
		db = run->other;
	sql = make_statement(run);
	if (db == run->other && (strcmp(sql, "BEGIN") == 0 || strstr(sql, "hnsw_") != NULL))
		db = run->db;
	more = sqlite3_mprintf("%s%s%s;\n", run->last ? run->last : "", db == run->other ? "(other) " : "", sql);
	sqlite3_free(run->last);
	run->last = more;
	if (strlen(run->last) > 3000)
		memmove(run->last, run->last + 1000, strlen(run->last) - 1000 + 1);
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	run->done += rc == SQLITE_OK;
	run->failed += rc != SQLITE_OK;
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_CONSTRAINT && rc != SQLITE_MISMATCH)
	{
		fputs(run->last, stderr);
		fail_msg("step %d: %s", run->step, sqlite3_errmsg(db));
	}
	sqlite3_free(sql);
	if (sqlite3_get_autocommit(run->db))
		run->savepoints = 0;
	run->step++;
	check(run, run->db);
	if (run->step % 50 == 0)
		check_whole(run);
}

static const char schema[] = "CREATE TABLE documents(\n"
							 "  id INTEGER PRIMARY KEY,\n"
							 "  email TEXT UNIQUE COLLATE NOCASE,\n"
							 "  a INTEGER, b TEXT NOT NULL DEFAULT 'b1' COLLATE RTRIM,\n"
							 "  tag INTEGER,\n"
							 "  half INTEGER GENERATED ALWAYS AS (tag / 2) VIRTUAL,\n"
							 "  parent INTEGER REFERENCES documents(id) ON DELETE CASCADE ON UPDATE CASCADE "
							 "DEFERRABLE INITIALLY DEFERRED,\n"
							 "  embedding,\n"
							 "  UNIQUE(a, b));\n"
							 "CREATE UNIQUE INDEX some_tags ON documents(tag, a) WHERE tag > 5;\n"
							 "CREATE UNIQUE INDEX halves ON documents(half, b, email COLLATE BINARY);\n";

static const char expression[] = "CREATE UNIQUE INDEX expressed ON documents(lower(email) || a);\n";

static void
run_random(const char *metric, const char *function, bool file, bool foreign_keys, bool wal, uint64_t seed,
		   int steps)
{
	char *folder = make_folder();
	Run run = {.random = {seed}, .function = function};

	run.db = open_database(file ? folder : NULL, file ? "t.db" : ":memory:", NULL);
	if (wal)
		run_sql(run.db, "PRAGMA journal_mode = WAL");
	run_sql(run.db, "PRAGMA synchronous = OFF; PRAGMA foreign_keys = %d; %s%s", foreign_keys, schema,
			seed % 2 ? expression : "");
	run_sql(
		run.db,
		"INSERT INTO documents(id, email, a, b, tag, embedding) VALUES"
		" (1, 'e1', 1, 'b1', 1, '[1,1,1]'), (2, 'e2', 1, 'b2', 6, '[1,2,1]'), (3, NULL, 2, 'b2', 6, NULL)");
	run_sql(run.db,
			"CREATE VIRTUAL TABLE vss USING hnsw(dim = 3, metric = %s, content = documents,"
			" content_rowid = id, content_vector = embedding)",
			metric);
	if (file && !foreign_keys)
	{
		run.other = open_plain(folder, "t.db");
		run_sql(run.other, "PRAGMA synchronous = OFF");
	}
	for (int i = 0; i < steps; i++)
		step(&run);
	/* A deferred foreign key may still refuse. */
	if (!sqlite3_get_autocommit(run.db) && try_sql(run.db, "COMMIT") != SQLITE_OK)
		run_sql(run.db, "ROLLBACK");
	check_whole(&run);
	/* The statements were not all refused, and not all let through. */
	assert_true(run.done > steps / 4);
	assert_true(run.failed > steps / 50);
	if (run.other != NULL)
		close_database(run.other);
	close_database(run.db);
	sqlite3_free(run.last);
	remove_folder(folder);
}

static void
random_dml_in_memory(void **unused)
{
	for (uint64_t seed = 1; seed <= 4; seed++)
		run_random("l2", "l2_distance", false, false, false, seed, 600);
}

static void
random_dml_with_foreign_keys(void **unused)
{
	for (uint64_t seed = 11; seed <= 14; seed++)
		run_random("cosine", "cosine_distance", false, true, false, seed, 600);
}

static void
random_dml_in_two_connections(void **unused)
{
	run_random("l2", "l2_distance", true, false, false, 21, 500);
	run_random("cosine", "cosine_distance", true, false, true, 22, 500);
	run_random("l2", "l2_distance", true, true, true, 23, 500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_dml_in_memory),
		cmocka_unit_test(random_dml_with_foreign_keys),
		cmocka_unit_test(random_dml_in_two_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
