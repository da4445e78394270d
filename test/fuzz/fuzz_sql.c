/*
 * fuzz_sql.c
 *		libFuzzer target: hostile arguments of the virtual table, of vss_knn and
 *		of the functions, and hostile content of the shadow tables.
 *
 * Byte 0 chooses where the rest of the input goes, and whether the table is renamed and dropped.  Errors are expected;
 * crashes, hangs, leaks and NULL messages are not.
 */
#include "database.h"

/* Run sql to its end with the input bound to every parameter. */
static void
run(sqlite3 *db, const char *sql, const uint8_t *data, size_t size, bool text)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		return;
	for (int i = 1; i <= sqlite3_bind_parameter_count(stmt); i++)
	{
		if (text)
			sqlite3_bind_text(stmt, i, (const char *) data, (int) size, SQLITE_STATIC);
		else
			sqlite3_bind_blob(stmt, i, data, (int) size, SQLITE_STATIC);
	}
	for (int rows = 0; rows < 1000 && sqlite3_step(stmt) == SQLITE_ROW; rows++)
		continue;
	sqlite3_finalize(stmt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const shadow[] = {
		"UPDATE vss_config SET value = ?",
		"UPDATE vss_delta SET vector = ?",
		"UPDATE vss_vectors SET vector = ?",
		"UPDATE vss_delta SET tag = ?, rowid = 5",
	};
	static unsigned char *filled, *empty;
	static sqlite3_int64 filled_size, empty_size;
	static sqlite3 *db;
	int where;

	fuzz_begin();
	if (size < 1)
		return 0;
	if (db == NULL)
	{
		empty = fuzz_image("PRAGMA user_version = 1", &empty_size);
		filled =
			fuzz_image("CREATE VIRTUAL TABLE vss USING hnsw(dim=3, m=4);"
					   "INSERT INTO vss(rowid, embedding) VALUES (1,'[1,2,3]'), (2,'[2,1,0]'), (3,'[0,1,1]')",
					   &filled_size);
		db = fuzz_open();
	}
	where = data[0];
	data++;
	size--;
	if (where % 4 == 0)
		fuzz_reset(db, empty, empty_size);
	else
		fuzz_reset(db, filled, filled_size);
	if (where % 4 == 0)
	{
		char *arguments = malloc(size + 1);
		char *sql;

		memcpy(arguments, data, size);
		arguments[size] = '\0';
		sql = sqlite3_mprintf("CREATE VIRTUAL TABLE vss USING hnsw(dim=3,%s)", arguments);
		exec(db, sql);
		sqlite3_free(sql);
		free(arguments);
	}
	if (where % 4 == 1)
	{
		bool text = where & 4;

		run(db, "SELECT rowid, distance FROM vss_knn(?, 2)", data, size, text);
		run(db, "SELECT rowid, distance FROM vss('[1,1,1]', ?, ?)", data, size, text);
		run(db, "SELECT rowid FROM vss('[1,1,1]', 2, 10, ?)", data, size, text);
		run(db, "SELECT cosine_distance(?, '[1,2,3]'), vector_json(?), vector(?), l2_distance(?, ?)", data,
			size, text);
		run(db, "SELECT hnsw_add(9, ?)", data, size, text);
		run(db, "SELECT hnsw_del(?)", data, size, text);
		run(db, "SELECT hnsw_save(?)", data, size, text);
		run(db, "SELECT hnsw_info(?)", data, size, text);
	}
	else if (where % 4 == 2)
	{
		run(db, shadow[where / 4 % 4], data, size, where & 64);
		exec(db, "SELECT count(*) FROM vss_knn('[1,1,1]', 3)");
		exec(db, "INSERT INTO vss(rowid, embedding) VALUES (4,'[1,2,4]')");
		exec(db, "SELECT hnsw_check('vss')");
		exec(db, "SELECT hnsw_save('vss')");
		exec(db, "SELECT count(*) FROM vss_knn('[1,1,1]', 3)");
	}
	exec(db, "SELECT rowid, distance FROM vss('[1,1,1]', 2)");
	exec(db, "SELECT hnsw_info('vss')");
	/* the slowest, and seldom of interest */
	if ((where & 0xB0) == 0xB0)
	{
		exec(db, "ALTER TABLE vss RENAME TO other");
		exec(db, "DROP TABLE other");
	}
	return 0;
}
