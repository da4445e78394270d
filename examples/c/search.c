/*
 * search.c
 *		The three words nearest to a question, with the extension linked in.
 *
 *	cc search.c $(pkg-config --cflags --libs sqlite3_hnsw sqlite3)
 */
#include <sqlite3_hnsw.h>
#include <stdio.h>
#include <stdlib.h>

static void
check(sqlite3 *db, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
		return;
	fprintf(stderr, "%s\n", sqlite3_errmsg(db));
	exit(1);
}

int
main(int argc, char **argv)
{
	/* the extension is linked in: only the database is looked at */
	const char *file = argv[argc - 1];
	const float question[] = {0.9f, 0.2f, 0.3f};
	sqlite3 *db;
	sqlite3_stmt *nearest;

	sqlite3_auto_extension((void (*)(void)) sqlite3_hnsw_init);
	check(NULL, sqlite3_open(file, &db));
	check(db, sqlite3_exec(
				  db,
				  "CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT NOT NULL, embedding BLOB);"
				  "CREATE VIRTUAL TABLE vss USING hnsw(dim = 3, content = documents, content_rowid = id,"
				  " content_vector = embedding);"
				  "INSERT INTO documents(content, embedding) VALUES"
				  " ('pear', vector('[0.8, 0.2, 0.3]')), ('Birne', vector('[0.8, 0.2, 0.35]')),"
				  " ('lemon', vector('[0.1, 0.9, 0.1]')), ('Zitrone', vector('[0.1, 0.9, 0.15]')),"
				  " ('carrot', vector('[0.4, 0.1, 0.9]')), ('Möhre', vector('[0.4, 0.1, 0.95]'));",
				  NULL, NULL, NULL));
	check(db, sqlite3_prepare_v2(db,
								 "SELECT d.content, k.distance FROM vss_knn(?1, 3) AS k"
								 " JOIN documents d ON d.id = k.rowid ORDER BY k.distance",
								 -1, &nearest, NULL));
	/* a vector is a BLOB of float32, little-endian */
	check(db, sqlite3_bind_blob(nearest, 1, question, sizeof(question), SQLITE_STATIC));
	for (int rc; (rc = sqlite3_step(nearest)) != SQLITE_DONE;)
	{
		check(db, rc);
		printf("%s %.4f\n", (const char *) sqlite3_column_text(nearest, 0),
			   sqlite3_column_double(nearest, 1));
	}
	sqlite3_finalize(nearest);
	sqlite3_close(db);
	return 0;
}
