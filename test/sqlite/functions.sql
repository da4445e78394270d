-- Functions over vectors, hnsw_add and hnsw_del.
.load ./hnsw
.nullvalue NULL
SELECT cosine_distance('[1,0]', '[0,1]'), cosine_distance('[1,2]', '[2,4]'), cosine_distance('[1,0]', '[-1,0]');
SELECT cosine_similarity('[1,0]', '[0,1]'), cosine_similarity('[3,4]', '[3,4]');
SELECT l2_distance('[0,0]', '[3,4]'), inner_product('[1,2,3]', '[4,5,6]'), inner_product('[1,0]', '[-2,5]');
SELECT l1_distance('[0,0]', '[3,-4]'), l1_distance('[1,2,3,4,5,6,7,8,9,10]', '[0,0,0,0,0,0,0,0,0,0]'), l1_distance('[1]', NULL);
-- text and BLOB are the same vector
SELECT l2_distance('[1,2]', vector('[1,2]')), l2_distance(vector('[1,2]'), x'0000803f00000040'), hex(vector('[1,-2]'));
-- NULL in, NULL out; no direction, no cosine
SELECT cosine_distance(NULL, '[1]'), l2_distance('[1]', NULL), vector(NULL), vector_json(NULL), cosine_distance('[0,0]', '[1,0]');
SELECT vector_json('[ 1.50, -0, 1e3, 0.1, 1e-7, 3.4028235e38 ]'), vector_json(vector('[0.1,16777217]'));
-- marked as JSON for JSON functions
SELECT json_array(vector_json('[1,2]')), json_extract(vector_json('[1,2]'), '$[1]'), json_valid(vector_json('[1e-40]'));
-- bad vectors say what and where
SELECT vector('[1,x]');
SELECT vector('[1,2');
SELECT vector('[]');
SELECT vector('[1,nan]');
SELECT vector('[1e39]');
SELECT vector(x'0000803f00');
SELECT vector(x'0000c07f');
SELECT vector(1);
SELECT vector(1.5);
SELECT l2_distance('[1,2]', '[1,2,3]');
SELECT l1_distance('[1,2]', '[1,2,3]');
SELECT cosine_distance('nonsense', '[1]');
SELECT vector('[1]', 2);
-- a constant is parsed once, others for each row; in an index on an expression too
CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, CHECK (v IS NULL OR vector(v) IS NOT NULL));
INSERT INTO t VALUES (1, '[1,1]'), (2, '[3,4]'), (3, NULL), (4, '[0,0]');
INSERT INTO t VALUES (5, '[oops]');
SELECT id, l2_distance('[0,0]', v), l2_distance(v, '[1,1]') FROM t ORDER BY id;
CREATE INDEX by_length ON t(l2_distance(v, '[0,0]'));
SELECT id FROM t WHERE l2_distance(v, '[0,0]') BETWEEN 4 AND 6;

-- hnsw_add and hnsw_del
SELECT hnsw_add(1, '[1,2]');
CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2);
SELECT hnsw_add(7, '[1,2]'), hnsw_add(8, vector('[3,4]')), hnsw_add(9, NULL), last_insert_rowid();
SELECT hnsw_add(7, '[5,6]');
SELECT rowid, vector_json(embedding) FROM vss;
SELECT hnsw_del(8), hnsw_del(8), hnsw_del(100);
SELECT rowid, distance FROM vss_knn('[5,6]', 5);
SELECT hnsw_add(NULL, '[1,2]');
SELECT hnsw_add('x', '[1,2]');
SELECT hnsw_add(1, '[1,2,3]');
SELECT hnsw_add(1, 'nonsense');
SELECT hnsw_del(NULL);
-- they roll back, savepoints included
BEGIN;
SELECT hnsw_add(20, '[20,20]');
SAVEPOINT s;
SELECT hnsw_del(7), hnsw_add(21, '[21,21]');
SELECT group_concat(rowid) FROM vss_knn('[0,0]', 9);
ROLLBACK TO s;
SELECT group_concat(rowid) FROM vss_knn('[0,0]', 9);
ROLLBACK;
SELECT group_concat(rowid) FROM vss_knn('[0,0]', 9);
-- with several tables one must be named
CREATE VIRTUAL TABLE other USING hnsw(dim = 1);
SELECT hnsw_add(1, '[1,2]');
SELECT hnsw_del(1);
SELECT hnsw_add(30, '[1]', 'other'), hnsw_add(31, '[2]', 'main.other'), hnsw_del(7, 'VSS');
SELECT hnsw_add(30, '[1]', 'nothing');
ATTACH ':memory:' AS "second db";
CREATE VIRTUAL TABLE "second db".vss USING hnsw(dim = 2, metric = l2);
SELECT hnsw_add(1, '[1,2]', 'vss');
SELECT hnsw_add(1, '[1,2]', 'second db.vss'), hnsw_add(2, '[2,2]', 'main.vss');
SELECT (SELECT group_concat(rowid) FROM main.vss), (SELECT group_concat(rowid) FROM "second db".vss);
-- maintenance is not for triggers and views
CREATE VIEW v AS SELECT hnsw_save('vss');
SELECT * FROM v;
