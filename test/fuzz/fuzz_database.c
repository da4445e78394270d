/*
 * fuzz_database.c
 *		libFuzzer target: a whole database file, damaged or made to do harm, with
 *		the module loaded.
 *
 * Byte 0 chooses the database, an index of its own vectors or one that follows a
 * table, and what is done with it: some things, or from 128 on everything.  Each six bytes that follow are a change of it:
 *
 *	kind, two bytes of place, three of value
 *		0 to 3	so many bytes and one more of the file are set at the place
 *		4		a page is copied over another
 *		5		a row of vss_config gets another value
 *		6		a piece of the schema's text is exchanged for another
 *		7		a statement is run
 *
 * What is done is what an application does.
 */
#include "database.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const definitions[] = {
	"CREATE VIRTUAL TABLE vss USING hnsw(dim=3, m=4);"
	"INSERT INTO vss(rowid, embedding) VALUES (1,'[1,2,3]'), (2,'[2,1,0]'), (3,'[0,1,1]'), (9, NULL);"
	"CREATE TABLE docs(id INTEGER PRIMARY KEY, e TEXT, u UNIQUE); INSERT INTO docs VALUES (1, '[1,2,3]', 1);"
	"CREATE TRIGGER docs_ai AFTER INSERT ON docs BEGIN SELECT hnsw_add(NEW.id, NEW.e); END;"
	"CREATE VIEW near AS SELECT rowid AS id, distance AS e FROM vss_knn('[1,2,3]', 2)",
	"CREATE TABLE docs(id INTEGER PRIMARY KEY, e TEXT, u UNIQUE);"
	"INSERT INTO docs VALUES (1,'[1,2,3]',1), (2,'[2,1,0]',2), (3,'[0,1,1]',3), (9,NULL,4);"
	"CREATE VIRTUAL TABLE vss USING hnsw(dim=3, m=4, content=docs, content_rowid=id, content_vector=e);"
	"UPDATE docs SET e = '[3,3,3]' WHERE id = 2; DELETE FROM docs WHERE id = 3;"
	"CREATE VIEW near AS SELECT rowid AS id, distance AS e FROM vss_knn('[1,2,3]', 2)",
};

/* What a program would do next. */
static const char *const uses[] = {
	"SELECT rowid, embedding FROM vss",
	"SELECT rowid, distance FROM vss('[1,1,1]', 2)",
	"SELECT rowid FROM vss_knn('[1,1,1]', 3) LIMIT 2",
	"SELECT * FROM near",
	"SELECT * FROM hnsw_indexes",
	"INSERT INTO docs(id, e, u) VALUES (20, '[1,1,2]', 20)",
	"REPLACE INTO docs(id, e, u) VALUES (21, '[1,1,2]', 1)",
	"UPDATE docs SET e = '[9,1,1]', id = id + 100 WHERE id < 3",
	"SELECT hnsw_add(30, '[1,2,4]'), hnsw_del(1)",
	"INSERT INTO vss(rowid, embedding) VALUES (31, '[1,2,4]')",
	"SELECT hnsw_check('vss')",
	"SELECT hnsw_save('vss')",
	"SELECT rowid, distance FROM vss('[1,1,1]', 2)",
	"BEGIN; SELECT hnsw_add(40, '[1,2,4]'); SAVEPOINT s; DELETE FROM docs; ROLLBACK TO s; COMMIT",
	"SELECT hnsw_info('vss')",
	"SELECT hnsw_rebuild('vss')",
	"PRAGMA integrity_check",
	"ALTER TABLE vss RENAME TO other",
	"SELECT rowid FROM other('[1,1,1]', 2)",
	"DROP TABLE other",
};

static const char *const keys[] = {
	"format", "id",      "dim",           "metric",         "m",       "ef",      "ef_search",
	"path",   "content", "content_rowid", "content_vector", "counter", "current", "hidden",
	"tuned"};

static const char *const values[] = {"'vss'",
									 "'docs'",
									 "'near'",
									 "'vss_vectors'",
									 "'vss_config'",
									 "'rowid'",
									 "'embedding'",
									 "'key'",
									 "'id'",
									 "'e'",
									 "-1",
									 "0",
									 "3",
									 "9223372036854775807",
									 "1e300",
									 "NULL",
									 "zeroblob(4000)",
									 "x'0102030405060708090a0b0c0d0e0f10'",
									 "'0011223344556677 3'",
									 "'0011223344556677 9223372036854775807,0011223344556678 1'",
									 "'../x'",
									 "'40 3'"};

/* Pieces of the schema's text, each exchanged for the one at another place. */
static const char *const pieces[] = {"vss",         "docs",       "near",
									 "dim=3",       "vss_config", "vss_delta",
									 "vss_vectors", "hnsw",       "INTEGER PRIMARY KEY",
									 "BEGIN",       "NEW",        "OLD",
									 "rowid",       "distance",   "WITHOUT ROWID",
									 "fts5",        "vss_knn"};

static const char *const statements[] = {
	"CREATE TRIGGER t1 AFTER INSERT ON vss_delta BEGIN SELECT hnsw_add(new.label + 1, '[1,2,3]'); END",
	"CREATE TRIGGER t2 AFTER UPDATE ON vss_config BEGIN SELECT count(*) FROM near; END",
	"CREATE TRIGGER t3 BEFORE DELETE ON docs BEGIN INSERT INTO vss(rowid, embedding) VALUES (old.id, "
	"'[0,0,1]'); END",
	"DROP TABLE vss_vectors; CREATE VIEW vss_vectors AS SELECT rowid, embedding AS vector FROM vss",
	"DROP TABLE vss_config; CREATE VIEW vss_config AS SELECT rowid AS key, embedding AS value FROM vss",
	"DROP TABLE vss_delta; CREATE TABLE vss_delta(seq, tag, label, vector)",
	"UPDATE vss_delta SET seq = -seq, vector = zeroblob(12)",
	"DROP TABLE docs; CREATE VIEW docs AS SELECT id, e, 1 AS u FROM near",
	"UPDATE vss_vectors SET vector = 'text'",
	"DELETE FROM vss_config",
};

static void
change(sqlite3 *db, unsigned char *file, sqlite3_int64 size, const uint8_t *c)
{
	sqlite3_int64 at = (c[1] << 8 | c[2]) * 3 % size;
	char *sql = NULL;

	switch (c[0] % 8)
	{
		case 4:
			memcpy(file + c[1] % (size / 4096) * 4096, file + c[2] % (size / 4096) * 4096, 4096);
			break;
		case 5:
			sql = sqlite3_mprintf("INSERT OR REPLACE INTO vss_config VALUES ('%s', %s)",
								  keys[c[1] % (COUNT(keys))], values[c[2] % (COUNT(values))]);
			break;
		case 6:
			sql = sqlite3_mprintf(
				"PRAGMA writable_schema = on; UPDATE sqlite_schema SET sql = replace(sql, %Q, %Q)"
				" WHERE rowid %% 7 = %d; PRAGMA writable_schema = reset",
				pieces[c[1] % (COUNT(pieces))], pieces[c[2] % (COUNT(pieces))], c[3] % 7);
			break;
		case 7:
			exec(db, statements[c[1] % (COUNT(statements))]);
			break;
		default:
			for (int i = 0; i <= c[0] % 8 && i < 3 && at + i < size; i++)
				file[at + i] = c[3 + i];
	}
	if (sql != NULL)
		exec(db, sql);
	sqlite3_free(sql);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char *images[2];
	static sqlite3_int64 sizes[2];
	static sqlite3 *db;
	static unsigned char *file;
	int which;
	size_t begin, end;

	fuzz_begin();
	if (size < 1)
		return 0;
	if (db == NULL)
	{
		for (int i = 0; i < 2; i++)
			images[i] = fuzz_image(definitions[i], &sizes[i]);
		file = malloc(sizes[0] > sizes[1] ? sizes[0] : sizes[1]);
		db = fuzz_open();
		sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	}
	which = data[0] % 2;
	begin = data[0] < 128 ? data[0] / 2 % COUNT(uses) : 0;
	end = data[0] < 128 && begin + 4 < COUNT(uses) ? begin + 4 : COUNT(uses);
	memcpy(file, images[which], sizes[which]);
	for (size_t i = 1; i + 6 <= size && i < 60; i += 6)
		if (data[i] % 8 < 5)
			change(db, file, sizes[which], data + i);
	fuzz_reset(db, file, sizes[which]);
	for (size_t i = 1; i + 6 <= size && i < 60; i += 6)
		if (data[i] % 8 >= 5)
			change(db, NULL, sizes[which], data + i);
	for (size_t i = begin; i < end; i++)
	{
		fuzz_steps = 0;
		exec(db, uses[i]);
	}
	return 0;
}
