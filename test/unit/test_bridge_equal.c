/*
 * test_bridge_equal.c
 *		Rows with equal vectors, which a graph file has as one node: what SQL sees of
 *		them through changes, filters, orders, both segments; and files of the format
 *		before, where each row had a node.
 */
#define _GNU_SOURCE
#include "hnsw/internal.h"
#include "merge_support.h"

#define ROWS 3200 /* the base stays for 200 of them */
#define VECTORS 150

static uint64_t seed;

static int
draw(int below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (int) ((seed >> 33) % (uint64_t) below);
}

static const char *
vector_number(int number)
{
	static char text[128];

	snprintf(text, sizeof(text), "[%d,%d,%d,%d]", number * 7919 % 1009 - 500, number * 31 % 1013,
			 number * 104729 % 997, number % 17);
	return text;
}

/* A tenth of all rows has vector 0. */
static const char *
some_vector(void)
{
	return vector_number(draw(10) == 0 ? 0 : draw(VECTORS));
}

static sqlite3 *
make_merged(void)
{
	sqlite3 *db = open_database(folder, "a.db", NULL);

	run_sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
	run_sql(db, "CREATE TABLE documents(id INTEGER PRIMARY KEY, embedding TEXT)");
	run_sql(db, "CREATE VIRTUAL TABLE vss USING hnsw(dim = 4, metric = l2, m = 8, ef = 40, path = 'a.idx',"
				" content = documents, content_vector = embedding)");
	run_sql(db, "BEGIN");
	for (int i = 1; i <= ROWS; i++)
		run_sql(db, "INSERT INTO documents VALUES(%d, '%s')", i, some_vector());
	run_sql(db, "COMMIT");
	assert_int_equal(save(db), ROWS);
	return db;
}

/* The same rows in the same order, ties by rowid, as the table gives; where the graph is asked with enough ef. */
static void
check_order(sqlite3 *db, int k, const char *condition)
{
	const char *query = vector_number(draw(VECTORS));
	char *expected =
		sqlite3_mprintf("SELECT group_concat(id) FROM (SELECT id FROM documents WHERE %s ORDER BY "
						"l2_distance(embedding, %Q), id LIMIT %d)",
						condition, query, k);
	char *searched = sqlite3_mprintf("SELECT group_concat(rowid) FROM vss(%Q, %d, 4000) WHERE rowid IN "
									 "(SELECT id FROM documents WHERE %s)",
									 query, k, condition);
	char *all = sqlite3_mprintf("SELECT group_concat(rowid) FROM vss(%Q, %d, 4000)", query, k);
	char *text = strdup(get_text(db, "%s", expected));

	assert_string_equal(get_text(db, "%s", strcmp(condition, "true") == 0 ? all : searched), text);
	free(text);
	sqlite3_free(expected);
	sqlite3_free(searched);
	sqlite3_free(all);
}

static void
check_everything(sqlite3 *db)
{
	check_answers(db);
	for (int k = 1; k <= 1000; k *= 10)
	{
		check_order(db, k, "true");
		check_order(db, k, "id % 2 = 0");
		check_order(db, k, "id > 1500");
	}
	assert_string_equal(get_text(db, "SELECT hnsw_check('vss')"), "ok");
}

/* ---------- */

static void
changes_of_every_kind(void **unused)
{
	sqlite3 *db;

	seed = 5;
	db = make_merged();
	assert_int_equal(get_number(db, "SELECT hnsw_info() ->> '$.graph.rows'"), ROWS);
	assert_int_equal(get_number(db, "SELECT hnsw_info() ->> '$.graph.nodes'"),
					 get_number(db, "SELECT count(DISTINCT embedding) FROM documents"));
	check_everything(db);
	for (int round = 0; round < 8; round++)
	{
		/* few for a recent segment, many for a new base */
		int changes = round % 3 == 2 ? 300 : 60;

		run_sql(db, "BEGIN");
		for (int i = 0; i < changes; i++)
			if (draw(3) == 0)
				run_sql(db, "DELETE FROM documents WHERE id = %d", 1 + draw(ROWS));
			else
				run_sql(db, "INSERT OR REPLACE INTO documents VALUES(%d, '%s')", 1 + draw(ROWS + 200),
						some_vector());
		/* many rows at once become equal */
		if (round % 2 == 1)
			run_sql(db, "UPDATE documents SET embedding = '%s' WHERE id %% 7 = 0", vector_number(round));
		run_sql(db, "COMMIT");
		check_everything(db);
		assert_int_equal(save(db), get_number(db, "SELECT count(*) FROM documents"));
		check_graph_used(db);
		check_everything(db);
		assert_int_equal(get_number(db, "SELECT hnsw_info() ->> '$.graph.rows'"),
						 get_number(db, "SELECT count(*) FROM documents"));
		close_database(db);
		db = open_database(folder, "a.db", NULL);
	}
	close_database(db);
}

/* Every row of a vector goes; some come again. */
static void
a_vector_goes_with_its_last_row(void **unused)
{
	sqlite3 *db;
	int64_t nodes;

	seed = 6;
	db = make_merged();
	nodes = get_number(db, "SELECT hnsw_info() ->> '$.graph.nodes'");
	run_sql(db, "DELETE FROM documents WHERE embedding = '%s'", vector_number(0));
	check_everything(db);
	save(db);
	check_everything(db);
	assert_int_equal(get_number(db, "SELECT hnsw_info() ->> '$.graph.nodes'"), nodes - 1);
	run_sql(db, "INSERT INTO documents VALUES(5000, '%s'), (5001, '%s')", vector_number(0), vector_number(0));
	check_everything(db);
	save(db);
	check_everything(db);
	close_database(db);
}

/* Rewrite a graph file, which has no equal vectors, as the format before did it. */
static void
make_format_3(const char *path)
{
	HnswHeader header;
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	assert_int_equal(header.label_count, header.layer_count[0]);
	header.version = 3;
	header.label_count = 0;
	header.checksum = hnsw_header_sum(&header, offsetof(HnswHeader, checksum));
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	close(fd);
}

static void
format_3_is_used_and_replaced(void **unused)
{
	sqlite3 *db = make_database("a", 3000);
	char *path;

	assert_int_equal(save(db), 3000);
	path = strdup(token_file(db, "a"));
	close_database(db);
	make_format_3(path);
	db = open_database(folder, "a", NULL);
	check_graph_used(db);
	assert_string_equal(get_text(db, "SELECT hnsw_check('vss')"), "ok");

	/* a recent segment beside it, then a base in place of it */
	add_rows(db, 3001, 3010);
	save(db);
	assert_string_equal(get_info(db, "$.graph.state"), "used");
	assert_int_equal(file_size(path) > 0, 1);
	check_graph_used(db);
	run_sql(
		db,
		"UPDATE documents SET embedding = (SELECT embedding FROM documents WHERE id = 7) WHERE id > 2000");
	save(db);
	check_graph_used(db);
	assert_true(get_number(db, "SELECT hnsw_info() ->> '$.graph.nodes'") <= 2000);
	assert_int_equal(get_number(db, "SELECT hnsw_info() ->> '$.graph.rows'"), 3010);
	free(path);
	close_database(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FOLDER_TEST(changes_of_every_kind),
		FOLDER_TEST(a_vector_goes_with_its_last_row),
		FOLDER_TEST(format_3_is_used_and_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
