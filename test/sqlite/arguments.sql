-- Arguments of USING hnsw(...).
.load ./hnsw
-- None, an unknown one, one nearly right, one twice, one without value, values out of range.
CREATE VIRTUAL TABLE t USING hnsw();
CREATE VIRTUAL TABLE t USING hnsw;
CREATE VIRTUAL TABLE t USING hnsw(m = 8);
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, colour = 'red');
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, metrik = cosine);
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, dim = 4);
CREATE VIRTUAL TABLE t USING hnsw(dim);
CREATE VIRTUAL TABLE t USING hnsw(dim = );
CREATE VIRTUAL TABLE t USING hnsw(4);
CREATE VIRTUAL TABLE t USING hnsw(= 4);
CREATE VIRTUAL TABLE t USING hnsw(dim = 4 5);
CREATE VIRTUAL TABLE t USING hnsw(dim = 0);
CREATE VIRTUAL TABLE t USING hnsw(dim = 16001);
CREATE VIRTUAL TABLE t USING hnsw(dim = -3);
CREATE VIRTUAL TABLE t USING hnsw(dim = 3.5);
CREATE VIRTUAL TABLE t USING hnsw(dim = four);
CREATE VIRTUAL TABLE t USING hnsw(dim = 99999999999999999999);
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, m = 1);
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, m = 257);
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, ef = 0);
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, ef_search = 65537);
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, metric = manhattan);
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, metric = '');
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, path = '');
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, content_vector = v);
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, content = docs);
-- A path stays in the database's folder and is none of the database's own files.
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, path = '../x.idx');
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, path = 'sub/x.idx');
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, path = '/etc/x.idx');
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, path = '..');
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, path = 'test.db');
CREATE VIRTUAL TABLE t USING hnsw(dim = 4, path = 'test.db-wal');
-- Nothing of all that is left behind.
SELECT count(*) FROM sqlite_schema;
-- Every way to write a value; names in any case; comments and blanks anywhere.
CREATE VIRTUAL TABLE a USING hnsw(DIM=4,Metric = 'L2' , m='8', ef=100, ef_search = "50", path=[a b.idx]);
CREATE VIRTUAL TABLE b USING hnsw(dim -- size
 = /* four */ 4, metric = `ip`, path = b.idx -- the file
);
CREATE VIRTUAL TABLE "odd "" name's" USING hnsw(dim = 2, path = 'it''s.idx');
CREATE VIRTUAL TABLE d USING hnsw(dim = 1,);
SELECT * FROM a_config WHERE key NOT IN ('id', 'counter', 'current');
SELECT * FROM b_config WHERE key NOT IN ('id', 'counter', 'current');
SELECT * FROM "odd "" name's_config" WHERE key = 'path';
SELECT key, value FROM d_config WHERE key IN ('m', 'ef', 'metric', 'path');
INSERT INTO "odd "" name's"(rowid, embedding) VALUES(1, '[1,2]');
SELECT rowid, round(distance, 6) FROM "odd "" name's"('[2,1]', 1);
SELECT hnsw_save('odd " name''s');
.shell ls *.idx
DROP TABLE "odd "" name's";
.shell ls *.idx* 2>&1 | sed 's/-[0-9a-f]*$/-TOKEN/'
-- The name of an existing table, and shadow tables that are in the way.
CREATE VIRTUAL TABLE a USING hnsw(dim = 4);
CREATE TABLE f_delta(x);
CREATE VIRTUAL TABLE f USING hnsw(dim = 4);
SELECT name FROM sqlite_schema WHERE name LIKE 'f%';
