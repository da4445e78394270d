# Rollback, savepoints, conflict clauses, a second connection and a second
# process see the right rows, without a graph and with one.
cat >show.sql <<'SQL'
SELECT '   ' || coalesce(group_concat(rowid || '@' || CAST(distance AS INTEGER), ' '), 'nothing') FROM vss('[0]', 5);
SQL
cat >test.sql <<'SQL'
.load ./hnsw
.print - rolled back, and the same sequence numbers used again
BEGIN;
INSERT INTO vss(rowid, embedding) VALUES (101, '[1]'), (102, '[2]');
.read show.sql
ROLLBACK;
.read show.sql
BEGIN;
INSERT INTO vss(rowid, embedding) VALUES (103, '[3]'), (104, '[4]');
.read show.sql
ROLLBACK;
.print - savepoints
BEGIN;
INSERT INTO vss(rowid, embedding) VALUES (101, '[1]');
SAVEPOINT one;
INSERT INTO vss(rowid, embedding) VALUES (102, '[2]');
SAVEPOINT two;
DELETE FROM vss WHERE rowid = 101;
.read show.sql
ROLLBACK TO two;
.read show.sql
UPDATE vss SET embedding = '[7]' WHERE rowid = 101;
.read show.sql
ROLLBACK TO one;
.read show.sql
INSERT INTO vss(rowid, embedding) VALUES (105, '[5]');
RELEASE one;
.read show.sql
COMMIT;
.print - committed: another process
.shell sqlite3 -batch -init /dev/null test.db '.load ./hnsw' '.read show.sql'
.print - a statement that fails leaves nothing of itself
INSERT INTO vss(rowid, embedding) VALUES (106, '[6]'), (107, '[6,6]');
INSERT INTO vss(rowid, embedding) VALUES (106, '[6]'), (105, '[6]');
.read show.sql
.print - OR FAIL keeps what came before, OR IGNORE skips, OR REPLACE replaces
INSERT OR FAIL INTO vss(rowid, embedding) VALUES (106, '[6]'), (105, '[6]');
INSERT OR IGNORE INTO vss(rowid, embedding) VALUES (105, '[8]'), (108, '[8]');
INSERT OR REPLACE INTO vss(rowid, embedding) VALUES (105, '[9]');
REPLACE INTO vss(rowid, embedding) VALUES (109, '[9]');
.read show.sql
BEGIN;
INSERT INTO vss(rowid, embedding) VALUES (111, '[0]');
INSERT OR ROLLBACK INTO vss(rowid, embedding) VALUES (105, '[6]');
.read show.sql
COMMIT;
.print - changing rowids
UPDATE vss SET rowid = 206 WHERE rowid = 106;
UPDATE vss SET rowid = 108 WHERE rowid = 206;
UPDATE OR REPLACE vss SET rowid = 108 WHERE rowid = 206;
.read show.sql
.print - a rowid is chosen, and last_insert_rowid() tells it
DELETE FROM vss WHERE rowid > 108;
INSERT INTO vss(embedding) VALUES ('[0]');
SELECT last_insert_rowid();
DELETE FROM vss WHERE rowid = 109;
SELECT last_insert_rowid();
.print - wrong values
INSERT INTO vss(rowid, embedding) VALUES (300, '[1,2]');
INSERT INTO vss(rowid, embedding) VALUES (300, '[x]');
INSERT INTO vss(rowid, embedding) VALUES (300, '[1e99]');
INSERT INTO vss(rowid, embedding) VALUES (300, x'0000c07f');
INSERT INTO vss(rowid, embedding) VALUES (300, x'0000');
INSERT INTO vss(rowid, embedding) VALUES (300, 5);
INSERT INTO vss(rowid, embedding) VALUES ('one', '[1]');
INSERT INTO vss(rowid, embedding, distance) VALUES (300, '[1]', 3);
INSERT INTO vss(rowid, embedding, k) VALUES (300, '[1]', 3);
INSERT INTO vss(command) VALUES ('optimise');
UPDATE vss SET embedding = '[1,2]' WHERE rowid = 105;
SELECT * FROM vss('[1,2]', 3);
SELECT * FROM vss('1', 3);
SELECT * FROM vss(1, 3);
SELECT * FROM vss('[1]', 0);
SELECT * FROM vss('[1]', -1);
SELECT * FROM vss('[1]', 'many');
SELECT * FROM vss('[1]', 1.5);
SELECT * FROM vss('[1]', 1, 0);
SELECT * FROM vss('[1]', 1, 70000);
SELECT * FROM vss('[1]', 1, NULL, 'guess');
SELECT * FROM vss_knn('[1]', 1, NULL, 'other');
SELECT * FROM vss_knn;
.read show.sql
SQL
sqlite3 -batch -init /dev/null test.db '.load ./hnsw' 'CREATE VIRTUAL TABLE vss USING hnsw(dim = 1, metric = l2)' \
	"INSERT INTO vss(rowid, embedding) VALUES (1, '[10]'), (2, '[20]')"
cp test.db empty.db
sqlite3 -batch -init /dev/null test.db <test.sql 2>&1 | tee exact.out
mv empty.db test.db
sqlite3 -batch -init /dev/null test.db '.load ./hnsw' 'SELECT hnsw_save()'
sqlite3 -batch -init /dev/null test.db <test.sql >graph.out 2>&1
diff exact.out graph.out && echo "the same with a graph"
