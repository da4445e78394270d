/*
 * test_bridge_embed_sql.c
 *		The embedding functions of a SQLite connection: get_embedding,
 *		embed_config, embed_table, hnsw_model.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite_bridge/bridge.h"
#include "support_embed.h"

static sqlite3 *db;

static void
open_database(void)
{
	BridgeHost host = {.file_mode = -1, .embedding = true};
	char *message = NULL;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(bridge_attach(db, &host, &message), SQLITE_OK);
}

/* The first column of the first row as text, "" for NULL; or "ERROR: ...". */
static const char *
run(const char *format, ...)
{
	static char result[4096];
	va_list args;
	char *sql;
	sqlite3_stmt *stmt;
	int rc;

	va_start(args, format);
	sql = sqlite3_vmprintf(format, args);
	va_end(args);
	result[0] = '\0';
	rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK)
	{
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW && sqlite3_column_text(stmt, 0) != NULL)
			snprintf(result, sizeof(result), "%s", (const char *) sqlite3_column_text(stmt, 0));
		while (rc == SQLITE_ROW)
			rc = sqlite3_step(stmt);
	}
	if (rc != SQLITE_DONE)
		snprintf(result, sizeof(result), "ERROR: %s", sqlite3_errmsg(db));
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return result;
}

#define assert_run(expected, ...) assert_string_equal(run(__VA_ARGS__), expected)
#define assert_run_says(part, ...)                                                                           \
	do                                                                                                       \
	{                                                                                                        \
		const char *said = run(__VA_ARGS__);                                                                 \
		if (strstr(said, part) == NULL)                                                                      \
			fail_msg("\"%s\" does not say \"%s\"", said, part);                                              \
	} while (0)

static int
start_server(void **state)
{
	embed_server_start();
	return 0;
}

static int
stop_server(void **state)
{
	embed_server_stop();
	return 0;
}

static int
setup(void **state)
{
	embed_server_tell("/reset", "");
	open_database();
	run("SELECT embed_config('url', %Q)", embed_server_url);
	run("SELECT embed_config('model', 'test-8')");
	return 0;
}

static int
teardown(void **state)
{
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return 0;
}

static void
settings_are_checked_and_told(void **state)
{
	assert_run("test-8", "SELECT embed_config('model')");
	assert_run("all-minilm:latest", "SELECT embed_config('model', NULL)");
	assert_run("(set)", "SELECT embed_config('key', 'sk-secret')");
	assert_run("", "SELECT embed_config('key', NULL)");
	assert_run("64", "SELECT embed_config('batch_size')");
	assert_run("7", "SELECT embed_config('batch_size', 7)");
	assert_run("openai", "SELECT embed_config('api', 'openai')");
	assert_run_says("there are url, model, api, key,", "SELECT embed_config('modle', 'x')");
	assert_run_says("whole number from 1 to 2048, not \"0\"", "SELECT embed_config('batch_size', 0)");
	assert_run_says("whole number", "SELECT embed_config('timeout', 'soon')");
	assert_run_says("ollama or openai, not \"x\"", "SELECT embed_config('api', 'x')");
	/* the schema must not change where texts are sent */
	run("CREATE VIEW v AS SELECT embed_config('url', 'http://elsewhere')");
	assert_run_says("unsafe use", "SELECT * FROM v");
}

static void
the_environment_is_read(void **state)
{
	static const char *const forms[][2] = {
		{"example", "http://example:11434"}, {"example:1", "http://example:1"},
		{":2", "http://127.0.0.1:2"},        {"0.0.0.0", "http://127.0.0.1:11434"},
		{"0.0.0.0:3", "http://127.0.0.1:3"}, {"https://example/x", "https://example/x"},
		{"[::1]:4", "http://[::1]:4"},       {"[::1]", "http://[::1]:11434"},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
	{
		setenv("OLLAMA_HOST", forms[i][0], 1);
		setenv("OLLAMA_MODEL", "other", 1);
		sqlite3_close(db);
		open_database();
		assert_run(forms[i][1], "SELECT embed_config('url')");
		assert_run("other", "SELECT embed_config('model')");
	}
	unsetenv("OLLAMA_HOST");
	unsetenv("OLLAMA_MODEL");
}

static void
a_text_becomes_a_vector_once_a_statement(void **state)
{
	assert_run("8", "SELECT json_array_length(vector_json(get_embedding('hello world')))");
	assert_run("", "SELECT get_embedding(NULL)");
	assert_run_says("empty text", "SELECT get_embedding('')");
	embed_server_tell("/reset", "");
	run("CREATE TABLE t(x)");
	run("INSERT INTO t SELECT value FROM json_each('[1,2,3,4,5]')");
	assert_run("5", "SELECT count(get_embedding('the same')) FROM t");
	assert_int_equal(embed_server_requests(), 1);
	assert_run("5", "SELECT count(get_embedding(x)) FROM t");
	assert_int_equal(embed_server_requests(), 6);
	run("SELECT embed_config('model', 'missing')");
	assert_run_says("get_embedding: http://", "SELECT get_embedding('x')");
	assert_run_says("ollama pull missing", "SELECT get_embedding('x')");
}

static void
make_documents(int rows)
{
	run("CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT, embedding BLOB)");
	run("CREATE VIRTUAL TABLE vss USING hnsw(dim=8, content=documents, content_rowid=id, "
		"content_vector=embedding)");
	run("INSERT INTO documents(content) WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
		" SELECT 'text ' || i FROM n",
		rows);
}

static void
a_table_is_filled_in_batches(void **state)
{
	make_documents(100);
	assert_run("{\"embedded\":100,\"failed\":0,\"errors\":[]}",
			   "SELECT embed_table('documents', 'content', 'embedding', NULL, 30)");
	assert_int_equal(embed_server_requests(), 4);
	assert_run("0", "SELECT count(*) FROM documents WHERE embedding IS NULL");
	assert_run("100", "SELECT count(*) FROM vss");
	assert_run("42", "SELECT rowid FROM vss_knn(get_embedding('text 42'), 1)");
	/* nothing is left to do, and nothing is asked */
	embed_server_tell("/reset", "");
	assert_run("{\"embedded\":0,\"failed\":0,\"errors\":[]}",
			   "SELECT embed_table('documents', 'content', 'embedding')");
	assert_int_equal(embed_server_requests(), 0);
}

static void
a_condition_restricts_the_rows(void **state)
{
	make_documents(10);
	assert_run("{\"embedded\":3,\"failed\":0,\"errors\":[]}",
			   "SELECT embed_table('documents', 'content', 'embedding', 'id <= 3')");
	assert_run_says("no such column: nonsense",
					"SELECT embed_table('documents', 'content', 'embedding', 'nonsense')");
	assert_run_says("no such table: nowhere", "SELECT embed_table('nowhere', 'content', 'embedding')");
	assert_run_says("1 to 2048 rows", "SELECT embed_table('documents', 'content', 'embedding', NULL, 0)");
}

static void
bad_texts_are_reported_and_left(void **state)
{
	make_documents(20);
	run("UPDATE documents SET content = '' WHERE id = 7");
	run("UPDATE documents SET content = CAST(x'61ff' AS TEXT) WHERE id = 13");
	run("UPDATE documents SET content = NULL WHERE id = 14");
	assert_run_says("{\"embedded\":17,\"failed\":2,\"errors\":[{\"rowid\":7,\"error\":\"an empty text has no "
					"embedding\"},"
					"{\"rowid\":13,",
					"SELECT embed_table('documents', 'content', 'embedding')");
	assert_run("3", "SELECT count(*) FROM documents WHERE embedding IS NULL");
	run("UPDATE documents SET content = 'better' WHERE id IN (7, 13)");
	assert_run_says("{\"embedded\":2,", "SELECT embed_table('documents', 'content', 'embedding')");
}

static void
what_is_done_is_kept_when_the_server_fails(void **state)
{
	make_documents(30);
	run("SELECT embed_config('retries', 0)");
	/* the third batch meets a server that is busy for good */
	assert_run_says("embedded\":10",
					"SELECT embed_table('documents', 'content', 'embedding', 'id <= 10', 10)");
	embed_server_tell("/control", "{\"mode\":\"status\",\"status\":503}");
	assert_run_says("ERROR: embed_table: http://",
					"SELECT embed_table('documents', 'content', 'embedding', NULL, 10)");
	assert_run("10", "SELECT count(*) FROM documents WHERE embedding IS NOT NULL");
	embed_server_tell("/reset", "");
	assert_run_says("embedded\":20", "SELECT embed_table('documents', 'content', 'embedding', NULL, 10)");
	/* inside a transaction nothing is committed by itself */
	run("UPDATE documents SET embedding = NULL");
	run("BEGIN");
	assert_run_says("embedded\":30", "SELECT embed_table('documents', 'content', 'embedding')");
	run("ROLLBACK");
	assert_run("0", "SELECT count(*) FROM documents WHERE embedding IS NOT NULL");
}

static void
vectors_of_another_model_are_refused(void **state)
{
	make_documents(5);
	run("SELECT embed_table('documents', 'content', 'embedding')");
	assert_run("test-8", "SELECT hnsw_model('vss')");
	run("SELECT embed_config('model', 'test-8b')");
	assert_run_says("made by model \"test-8b\", but index \"vss\" holds vectors of model \"test-8\"",
					"SELECT count(*) FROM vss_knn(get_embedding('x'), 3)");
	/* the table of content= is its owner's, whose writes are not looked at */
	run("INSERT INTO documents(content) VALUES('z')");
	assert_run_says("holds vectors of model \"test-8\", not of \"test-8b\"",
					"SELECT embed_table('documents', 'content', 'embedding')");
	/* another dimension is refused with both */
	run("SELECT embed_config('model', 'test-9')");
	assert_run_says("9 dimensions", "SELECT count(*) FROM vss_knn(get_embedding('x'), 3)");
	/* once no vector is left the index takes another model */
	run("UPDATE documents SET embedding = NULL");
	run("SELECT embed_config('model', 'test-8b')");
	assert_run_says("embedded\":6", "SELECT embed_table('documents', 'content', 'embedding')");
	assert_run("test-8b", "SELECT hnsw_model('vss')");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(settings_are_checked_and_told, setup, teardown),
		cmocka_unit_test_setup_teardown(the_environment_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(a_text_becomes_a_vector_once_a_statement, setup, teardown),
		cmocka_unit_test_setup_teardown(a_table_is_filled_in_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(a_condition_restricts_the_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_texts_are_reported_and_left, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_done_is_kept_when_the_server_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(vectors_of_another_model_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
