# k, LIMIT, OFFSET, IN, conditions and joins: the same questions without a
# graph, with one, and with one and later changes must have the same answers.
cat >ask.sql <<'SQL'
.print -- k, LIMIT, OFFSET
SELECT group_concat(rowid) FROM vss('[0,0]', 3);
SELECT group_concat(rowid) FROM vss WHERE q = '[0,0]' AND k = 3;
SELECT rowid FROM vss('[0,0]', 3) LIMIT 2;
SELECT rowid FROM vss('[0,0]', 3) LIMIT 5 OFFSET 1;
SELECT rowid FROM vss('[0,0]') LIMIT 2 OFFSET 3;
SELECT rowid FROM vss('[0,0]', 2) LIMIT -1;
SELECT rowid FROM vss('[0,0]', 2) LIMIT 0;
SELECT count(*) FROM vss('[0,0]');
SELECT count(*) FROM vss('[0,0]', 1000);
SELECT count(*), min(distance), max(distance) FROM vss('[0,0]', 200, 10);
.print -- other orders and conditions beside LIMIT
SELECT rowid FROM vss('[0,0]') ORDER BY distance LIMIT 2;
SELECT rowid FROM vss('[0,0]') ORDER BY distance DESC LIMIT 2;
SELECT rowid FROM vss('[0,0]') ORDER BY rowid DESC LIMIT 2;
SELECT rowid FROM vss('[100,0]') ORDER BY distance, rowid DESC LIMIT 3;
SELECT rowid FROM vss('[0,0]') WHERE rowid > 5 LIMIT 2;
SELECT rowid FROM vss('[0,0]') WHERE rowid > 5 ORDER BY distance LIMIT 2;
SELECT rowid FROM vss('[0,0]', 10) WHERE rowid % 4 = 0;
.print -- distance
SELECT count(*) FROM vss('[0,0]') WHERE distance < 50;
SELECT count(*) FROM vss('[0,0]') WHERE distance <= 50;
SELECT group_concat(rowid) FROM vss('[0,0]', 5) WHERE distance < 4;
SELECT group_concat(rowid) FROM vss('[0,0]', 5) WHERE distance < 4 AND distance <= 2;
SELECT group_concat(rowid) FROM vss('[0,0]', 5) WHERE distance > 2;
SELECT rowid FROM vss('[0,0]') WHERE distance BETWEEN 10 AND 12;
SELECT count(*) FROM vss('[0,0]') WHERE distance < NULL;
SELECT count(*) FROM vss('[0,0]') WHERE distance < 'text';
.print -- IN
SELECT rowid, distance FROM vss('[0,0]') WHERE rowid IN (7, 5, 5, 999, NULL, 1000);
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE rowid IN (SELECT id FROM points WHERE lang = 'de');
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE rowid IN (150, 160, 170, 180);
SELECT rowid FROM vss('[0,0]') WHERE rowid IN (150, 160, 170) LIMIT 1 OFFSET 1;
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE rowid IN ('7', 8.0, 8.5, 'x', x'09');
SELECT count(*) FROM vss('[0,0]') WHERE rowid IN (SELECT id FROM points WHERE 0);
SELECT count(*) FROM vss('[0,0]') WHERE rowid IN (SELECT id FROM points);
SELECT group_concat(rowid) FROM vss('[0,0]') WHERE rowid NOT IN (SELECT id FROM points WHERE id > 3);
.print -- rowid =
SELECT rowid, distance FROM vss('[0,0]') WHERE rowid = 7;
SELECT rowid, distance FROM vss('[0,0]') WHERE rowid = 999;
SELECT rowid, distance FROM vss('[0,0]') WHERE rowid = 1000;
SELECT count(*) FROM vss('[0,0]', 3) WHERE rowid = 7;
SELECT count(*) FROM vss('[0,0]', 3) WHERE rowid = 2;
.print -- conditions beside k restrict the search, and k rows come where k meet them
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE rowid IN (7, 7);
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE rowid IN (SELECT 7);
.parameter set :low 50
.parameter set :far 20.5
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE rowid > :low;
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE distance > :far;
SELECT rowid FROM vss('[0,0]') WHERE distance > :far LIMIT 2;
SELECT group_concat(rowid) FROM (SELECT rowid FROM vss('[0,0]') WHERE rowid > abs(:low) ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE rowid > 50;
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE rowid >= 50.5 AND rowid < 52.5;
SELECT group_concat(rowid) FROM vss('[200,0]', 3) WHERE rowid < 20;
SELECT group_concat(rowid) FROM vss('[200,0]', 3) WHERE rowid <= 20 AND rowid <= 19.5;
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE rowid BETWEEN 30 AND 100 AND rowid IN (SELECT id FROM points WHERE lang = 'de');
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE rowid IN (1, 2, 3, 4, 150, 160) AND rowid IN (SELECT id FROM points WHERE id > 2);
SELECT count(*) FROM vss('[0,0]', 3) WHERE rowid > 100 AND rowid < 50;
SELECT count(*) FROM vss('[0,0]', 3) WHERE rowid > 'x';
SELECT count(*) FROM vss('[0,0]', 3) WHERE rowid < 'x';
SELECT count(*) FROM vss('[0,0]', 3) WHERE rowid > NULL;
SELECT count(*) FROM vss('[0,0]', 3) WHERE rowid > 9223372036854775806;
SELECT count(*) FROM vss('[0,0]', 3) WHERE rowid < 1e300 AND rowid > -1e300;
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE distance > 20.5;
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE distance >= 21 AND distance > 20 AND distance < 23.5;
SELECT group_concat(rowid) FROM vss('[0,0]', 3) WHERE distance > 20.5 AND rowid > 40;
SELECT rowid FROM vss('[0,0]') WHERE distance > 20.5 LIMIT 3;
SELECT count(*) FROM vss('[0,0]', 3) WHERE distance > NULL;
SELECT count(*) FROM vss('[0,0]', 3) WHERE distance > 'x';
SELECT rowid FROM vss('[0,0]') WHERE rowid > 50 LIMIT 2;
SELECT group_concat(rowid) FROM vss('[0,0]', 3, NULL, 'exact') WHERE rowid > 50;
SELECT group_concat(rowid) FROM vss_knn('[0,0]', 3) WHERE rowid > 50;
.print -- but not those of tables that are joined
SELECT count(*) FROM vss('[0,0]', 3) v JOIN points p ON v.rowid = p.id WHERE p.lang = 'de' AND p.id > 100;
SELECT count(*) FROM points p CROSS JOIN vss('[0,0]', 3) v ON v.rowid = p.id;
SELECT count(*) FROM points p JOIN vss('[0,0]', 3) v ON v.rowid < p.id WHERE p.id IN (1, 2, 3);
SELECT count(*) FROM points p CROSS JOIN vss('[0,0]', 3) v ON v.rowid > p.id WHERE p.id > 10;
SELECT count(v.rowid) FROM points p LEFT JOIN vss('[0,0]', 3) v ON v.distance > p.id;
SELECT count(*) FROM points p LEFT JOIN vss('[0,0]', 3) v ON v.rowid = p.id WHERE v.rowid IS NOT NULL;
SELECT count(*) FROM vss('[0,0]', 3) v JOIN points p ON v.distance > p.id WHERE p.id = 199;
SELECT count(*) FROM points p JOIN vss('[0,0]', 3) v ON v.distance > p.id;
.print -- joins
SELECT id FROM vss('[0,0]') v JOIN points p ON p.id = v.rowid WHERE lang = 'de' ORDER BY v.distance LIMIT 3;
SELECT id FROM vss('[0,0]', 30) v JOIN points p ON p.id = v.rowid WHERE lang = 'de' ORDER BY v.distance;
SELECT p.id, v.distance FROM points p JOIN vss('[0,0]') v ON v.rowid = p.id WHERE p.id IN (3, 4) ORDER BY 1;
SELECT count(*) FROM vss('[0,0]', 3) v JOIN points p ON p.id = v.rowid WHERE p.id = 5;
SELECT p.id, v.rowid FROM points p, vss('[' || p.id || ',0]', 2) v WHERE p.id IN (1, 200) ORDER BY 1, v.distance, 2;
SELECT p.id, count(*) FROM vss v, points p WHERE v.q = '[' || p.id || ',0]' AND v.k = p.id AND p.id < 4 GROUP BY 1;
SELECT p.id, v.rowid FROM points p LEFT JOIN vss('[0,0]', 2) v ON v.rowid = p.id WHERE p.id < 4;
SELECT p.id, v.r FROM (SELECT rowid AS r FROM vss('[0,0]', 2)) v RIGHT JOIN points p ON v.r = p.id WHERE p.id < 4;
SELECT a.rowid, b.rowid FROM vss('[0,0]', 2) a, vss('[200,0]', 2) b ORDER BY a.distance, b.distance;
.print -- vss_knn
SELECT group_concat(rowid) FROM vss_knn('[0,0]', 3);
SELECT group_concat(rowid) FROM vss_knn('[0,0]', 3, 10, 'vss');
SELECT group_concat(rowid) FROM vss_knn('[0,0]', 3, NULL, 'main.VSS');
SELECT rowid FROM vss_knn('[0,0]') LIMIT 2 OFFSET 1;
SELECT group_concat(rowid) FROM vss_knn('[0,0]', 3) WHERE rowid IN (5, 6, 7, 8);
SELECT p.id, v.rowid FROM points p, vss_knn('[' || p.id || ',0]', 1) v WHERE p.id < 4 ORDER BY 1;
.print -- the table itself
SELECT count(*), sum(embedding IS NULL), sum(distance IS NULL) FROM vss;
SELECT rowid, vector_json(embedding) FROM vss WHERE rowid = 7;
SELECT rowid, vector_json(embedding) FROM vss WHERE rowid IN (8, 7, 999);
SELECT rowid, vector_json(embedding) FROM vss ORDER BY rowid LIMIT 1;
SELECT rowid, vector_json(embedding) FROM vss('[0,0]', 1);
SELECT k, ef FROM vss('[0,0]', 1, 99);
SELECT ef FROM vss('[0,0]', 100, 10) LIMIT 1;
.print -- a query of NULL, and rows without a vector
SELECT count(*) FROM vss(NULL, 3);
SELECT count(*) FROM vss WHERE q IS NULL;
SELECT rowid FROM vss('[0,0]') WHERE rowid = 1000;
.print -- strategies
SELECT group_concat(rowid) FROM vss('[0,0]', 3, NULL, 'exact');
SELECT group_concat(rowid) FROM vss('[0,0]', 3, NULL, 'graph');
SELECT group_concat(rowid) FROM vss('[0,0]', 3, NULL, 'prefilter') WHERE rowid IN (SELECT id FROM points WHERE lang = 'de');
SELECT group_concat(rowid) FROM vss('[0,0]', 3, NULL, 'graph') WHERE rowid IN (SELECT id FROM points WHERE lang = 'de');
SQL

ask() {
	sqlite3 -batch -init /dev/null test.db '.load ./hnsw' '.read ask.sql' >"$1" 2>&1
}

sqlite3 -batch -init /dev/null test.db <<'SQL'
.load ./hnsw
CREATE TABLE points(id INTEGER PRIMARY KEY, lang TEXT);
CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
INSERT INTO points SELECT i, CASE WHEN i % 10 = 0 THEN 'de' ELSE 'en' END FROM n;
INSERT INTO vss(rowid, embedding) SELECT id, '[' || id || ',0]' FROM points;
INSERT INTO vss(rowid, embedding) VALUES (1000, NULL);
SQL
ask exact.out
cat exact.out

sqlite3 -batch -init /dev/null test.db '.load ./hnsw' 'SELECT hnsw_save()'
ask graph.out
diff exact.out graph.out && echo "the same with a graph"

# Rows 1 to 60 move away and come back, 61 to 70 are made anew, 201 comes and goes.
sqlite3 -batch -init /dev/null test.db <<'SQL'
.load ./hnsw
UPDATE vss SET embedding = '[-1,-1]' WHERE rowid <= 60;
UPDATE vss SET embedding = '[' || rowid || ',0]' WHERE rowid <= 60;
DELETE FROM vss WHERE rowid BETWEEN 61 AND 70;
INSERT INTO vss(rowid, embedding) SELECT id, '[' || id || ',0]' FROM points WHERE id BETWEEN 61 AND 70;
INSERT INTO vss(rowid, embedding) VALUES (201, '[0,0]');
DELETE FROM vss WHERE rowid = 201;
SQL
ask delta.out
diff exact.out delta.out && echo "the same with a graph and changes"
