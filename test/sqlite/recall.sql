.load ./hnsw
.headers off
CREATE TABLE d(id INTEGER PRIMARY KEY, e BLOB);
CREATE VIRTUAL TABLE v USING hnsw(dim=16, metric=l2, m=4, ef=20, content=d, content_vector=e);
SELECT 'nothing to measure', hnsw_recall(5) IS NULL;
INSERT INTO d VALUES (1, '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]'), (2, NULL);
SELECT 'no neighbours', hnsw_recall(5) IS NULL;
INSERT INTO d VALUES (3, '[2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2]');
SELECT 'fewer rows than k', hnsw_recall(5), hnsw_recall(5, 1), hnsw_recall(5, 100, 'v');
DELETE FROM d;
-- the sample is of rows with vectors, wherever these lie
INSERT INTO d SELECT i, CASE WHEN i % 2 THEN vector('[' || i || ',1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]') END FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) SELECT i FROM n);
SELECT 'every second row without a vector', hnsw_recall(5, 100), hnsw_recall(5, 10);
UPDATE d SET e = NULL WHERE id > 20;
SELECT 'vectors at the beginning alone', hnsw_recall(5, 5);
DELETE FROM d;

-- 5,000 vectors without structure; a weak graph of them
INSERT INTO d WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000), j(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM j WHERE j < 16)
	SELECT i, (SELECT vector('[' || group_concat((i * 7919 + j * j * 104729 + i * j * 1299709) % 5003 - 2501) || ']') FROM j) FROM n;
SELECT 'without a graph, exact', hnsw_recall(10, 20);
SELECT 'merged', hnsw_save('v');
SELECT 'not due', hnsw_save('v', 'due') IS NULL, hnsw_save('v', 'damaged') IS NULL;
SELECT 'repeats', hnsw_recall(10, 50) = hnsw_recall(10, 50);
SELECT 'approximate', hnsw_recall(10, 50, 'v', 10) BETWEEN 0.2 AND 0.99;
SELECT 'better with ef', hnsw_recall(10, 50, 'v', 10) < hnsw_recall(10, 50, 'v', 300), hnsw_recall(10, 50, 'v', 5000) > 0.98;

-- against the same count in SQL
CREATE TEMP TABLE near AS SELECT a.id, (SELECT group_concat(rowid) FROM (SELECT rowid FROM v(a.e, 4, 10) WHERE rowid <> a.id LIMIT 3)) AS got,
	(SELECT l2_distance(a.e, b.e) FROM d b WHERE b.id <> a.id ORDER BY 1 LIMIT 1 OFFSET 2) AS third
	FROM d a WHERE a.id % 500 = 0;
SELECT 'as by hand', abs(hnsw_recall(3, 10, 'v', 10) - (SELECT sum(l2_distance(a.e, b.e) <= third) / 30.0
	FROM near JOIN d a USING (id), json_each('[' || got || ']') r JOIN d b ON b.id = r.value)) < 1e-9;

-- changes since the merge are found; equal vectors serve for each other
UPDATE d SET e = (SELECT e FROM d WHERE id = 1) WHERE id BETWEEN 100 AND 1099;
SELECT 'ties', hnsw_recall(10, 1000, 'v', 300) > 0.98;

-- questions unlike what is stored
SELECT 'kinds', hnsw_recall(10, 100, 'v', NULL, 'stored') = hnsw_recall(10, 100, 'v'), hnsw_recall(10, 100, 'v', 5000, 'near') > 0.98, hnsw_recall(10, 100, 'v', 5000, 'far') > 0.98;
SELECT 'approximate', hnsw_recall(10, 100, 'v', 10, 'near') BETWEEN 0.2 AND 0.99, hnsw_recall(10, 100, 'v', 10, 'far') BETWEEN 0.1 AND 0.99;
SELECT 'repeats', hnsw_recall(10, 50, 'v', 10, 'far') = hnsw_recall(10, 50, 'v', 10, 'far');
SELECT hnsw_recall(10, 10, 'v', NULL, 'distant');
SELECT hnsw_recall(10, 10, 'v', NULL, NULL);

-- different vectors count: nobody is fooled by copies that are found together
CREATE TABLE few(id INTEGER PRIMARY KEY, e BLOB);
CREATE VIRTUAL TABLE f USING hnsw(dim=2, metric=l2, content=few, content_vector=e);
INSERT INTO few WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i, vector('[1,' || min(i % 1000, 6) || ']') FROM n;
SELECT 'seven vectors', hnsw_save('f'), hnsw_recall(3, 100, 'f'), hnsw_recall(10, 100, 'f'), hnsw_recall(10, 100, 'f', NULL, 'near');
-- rows without a vector among the others
UPDATE few SET e = NULL WHERE id % 2 = 0;
SELECT 'every second row is NULL', hnsw_recall(3, 10, 'f'), hnsw_recall(3, 1500, 'f');

SELECT hnsw_recall(0);
SELECT hnsw_recall(NULL);
SELECT hnsw_recall(1.5);
SELECT hnsw_recall(10001);
SELECT hnsw_recall(10, 0);
SELECT hnsw_recall(10, 10, 'nowhere');
SELECT hnsw_recall(10, 10, 'v', 0);
SELECT hnsw_save('v', 'now');
SELECT hnsw_save('v', NULL);
