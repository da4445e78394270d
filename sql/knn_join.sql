-- Nearest neighbours inside larger queries: LATERAL, joins above, partitions,
-- UNION ALL, several scans of one connection at a time.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/knn_join*
\! for part in 0 1; do sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/knn_join$part.db "CREATE TABLE docs(id INTEGER PRIMARY KEY, part INT, content TEXT, embedding TEXT); CREATE VIRTUAL TABLE vss USING hnsw(dim=8, content=docs, content_rowid=id, content_vector=embedding); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 4000) INSERT INTO docs SELECT i, i % 2, 'content ' || i, (SELECT json_group_array((i * (7919 + 131 * j) * (j + 3) % 10007) / 5003.0 - 1) FROM (SELECT value AS j FROM json_each('[0,1,2,3,4,5,6,7]'))) FROM c WHERE i % 2 = $part; SELECT hnsw_save()"; done
\! chmod 666 /tmp/vss_fdw_regress/knn_join*

CREATE SERVER knn_join0 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/knn_join0.db');
CREATE SERVER knn_join1 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/knn_join1.db');
CREATE TABLE docs(id bigint, part bigint, content text, embedding vss_vector(8)) PARTITION BY LIST (part);
CREATE FOREIGN TABLE docs0 PARTITION OF docs FOR VALUES IN (0) SERVER knn_join0 OPTIONS ("table" 'docs');
-- another order of columns
CREATE FOREIGN TABLE docs1(embedding vss_vector(8), content text, id bigint, part bigint) SERVER knn_join1 OPTIONS ("table" 'docs');
ALTER TABLE docs ATTACH PARTITION docs1 FOR VALUES IN (1);
CREATE TABLE local_docs AS SELECT * FROM docs;
ALTER TABLE local_docs ADD PRIMARY KEY (id);
CREATE TABLE orders AS SELECT n AS id, n % 4000 + 1 AS doc, n % 3 = 0 AS paid FROM generate_series(1, 3000) AS n;
CREATE INDEX ON orders(doc);
CREATE TABLE queries AS SELECT n AS id, (SELECT embedding FROM local_docs WHERE local_docs.id = n * 97) AS vec FROM generate_series(1, 5) AS n;
INSERT INTO queries VALUES (6, NULL);
ANALYZE orders, queries, local_docs;

CREATE FUNCTION agree(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	f text[];
	l text[];
BEGIN
	EXECUTE format('SELECT array_agg(q::text) FROM (%s) AS q', query) INTO f;
	EXECUTE format('SELECT array_agg(q::text) FROM (%s) AS q', regexp_replace(query, '\mdocs[01]?\M', 'local_docs', 'g')) INTO l;
	RETURN CASE WHEN f IS NOT DISTINCT FROM l THEN format('same %s rows', coalesce(cardinality(f), 0))
		ELSE format('different: %s and %s', f[1:3], l[1:3]) END;
END $$;

-- one search for each outer row
EXPLAIN (VERBOSE, COSTS OFF) SELECT q.id, n.id, n.d FROM queries AS q CROSS JOIN LATERAL
	(SELECT id, embedding <=> q.vec AS d FROM docs0 ORDER BY embedding <=> q.vec LIMIT 3) AS n;
SET vss_fdw.knn_strategy = exact;
SELECT agree('SELECT q.id, n.id, n.d FROM queries AS q CROSS JOIN LATERAL
	(SELECT id, embedding <=> q.vec AS d FROM docs ORDER BY embedding <=> q.vec, id LIMIT 7) AS n ORDER BY 1, 3, 2');
SELECT agree('SELECT q.id, n.id FROM queries AS q LEFT JOIN LATERAL
	(SELECT id FROM docs WHERE docs.id % 50 = q.id ORDER BY embedding <=> q.vec, id LIMIT 3) AS n ON true ORDER BY 1, 2');
SELECT agree('SELECT q.id, (SELECT id FROM docs ORDER BY embedding <=> q.vec, id LIMIT 1) AS n FROM queries AS q ORDER BY 1');

-- the outer vector may be that of another foreign row, of the same connection
SELECT a.id, array_agg(b.id ORDER BY b.id) FROM (SELECT * FROM docs0 WHERE id IN (2, 4)) AS a CROSS JOIN LATERAL
	(SELECT id FROM docs0 ORDER BY embedding <=> a.embedding LIMIT 2) AS b GROUP BY a.id ORDER BY a.id;
RESET vss_fdw.knn_strategy;

-- partitions: each gives its rows in order, MergeAppend stops early
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, embedding <=> '[1,0,0,0,0,0,0,0]' AS d FROM docs ORDER BY embedding <=> '[1,0,0,0,0,0,0,0]' LIMIT 5;
SET vss_fdw.knn_strategy = exact;
SELECT agree('SELECT id, embedding <=> ''[1,0,0,0,0,0,0,0]'' AS d FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0]'' LIMIT 50');
SELECT agree('SELECT content, part FROM docs WHERE part = 1 ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0]'' LIMIT 50');
SELECT agree('SELECT id, part FROM docs WHERE content > ''content 2'' COLLATE "C" ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0]'' LIMIT 50');
RESET vss_fdw.knn_strategy;

-- UNION ALL of two tables
EXPLAIN (COSTS OFF) SELECT * FROM (SELECT id, embedding <=> '[1,0,0,0,0,0,0,0]' AS d FROM docs0 UNION ALL
	SELECT id, embedding <=> '[1,0,0,0,0,0,0,0]' FROM docs1) AS u ORDER BY d LIMIT 5;

-- a join above keeps the order, and pulls as many rows as it takes
EXPLAIN (VERBOSE, COSTS OFF) SELECT d.id, o.id, d.embedding <=> '[1,0,0,0,0,0,0,0]' AS distance FROM docs0 AS d
	JOIN orders AS o ON o.doc = d.id WHERE o.paid ORDER BY d.embedding <=> '[1,0,0,0,0,0,0,0]' LIMIT 5;
SET vss_fdw.knn_strategy = exact;
SELECT agree('SELECT d.id, o.id AS o, d.embedding <=> ''[1,0,0,0,0,0,0,0]'' AS distance FROM docs AS d
	JOIN orders AS o ON o.doc = d.id WHERE o.paid ORDER BY d.embedding <=> ''[1,0,0,0,0,0,0,0]'' LIMIT 300');
SELECT agree('SELECT d.id, o.id AS o FROM docs AS d LEFT JOIN orders AS o ON o.doc = d.id
	ORDER BY d.embedding <=> ''[1,0,0,0,0,0,0,0]'' LIMIT 300');
SELECT agree('SELECT d.id FROM docs AS d WHERE EXISTS (SELECT 1 FROM orders AS o WHERE o.doc = d.id AND o.paid)
	ORDER BY d.embedding <=> ''[1,0,0,0,0,0,0,0]'' LIMIT 30');
SELECT agree('SELECT d.id FROM docs AS d WHERE d.id IN (SELECT doc FROM orders WHERE id < 50)
	ORDER BY d.embedding <=> ''[1,0,0,0,0,0,0,0]'' LIMIT 100');
SELECT agree('SELECT d.id, d.embedding <=> q.vec AS x FROM docs AS d JOIN queries AS q ON q.id = 2
	ORDER BY d.embedding <=> q.vec LIMIT 10');
RESET vss_fdw.knn_strategy;
SELECT count(*), count(DISTINCT o) FROM (SELECT d.id, o.id AS o FROM docs AS d JOIN orders AS o ON o.doc = d.id WHERE o.paid
	ORDER BY d.embedding <=> '[1,0,0,0,0,0,0,0]' LIMIT 300) AS s;

-- pairs within a distance: the index is asked once for each outer row
EXPLAIN (COSTS OFF) SELECT q.id, d.id FROM queries AS q JOIN docs0 AS d ON d.embedding <=> q.vec < 0.1;
SELECT agree(query) FROM unnest(ARRAY[
	'SELECT q.id, d.id FROM queries AS q JOIN docs0 AS d ON d.embedding <=> q.vec < 0.1 WHERE d.part = 0 ORDER BY 1, 2',
	'SELECT q.id, d.id, d.embedding <=> q.vec AS x FROM queries AS q JOIN docs0 AS d ON 1 - (q.vec <=> d.embedding) >= 0.9 WHERE d.part = 0 ORDER BY 1, 2',
	'SELECT q.id, d.id, d.x FROM queries AS q CROSS JOIN LATERAL (SELECT id, embedding <=> q.vec AS x FROM docs0 WHERE part = 0 AND embedding <=> q.vec < q.id * 0.05) AS d ORDER BY 1, 2',
	'SELECT q.id, d.id FROM queries AS q LEFT JOIN docs0 AS d ON d.embedding <=> q.vec < 0.001 AND d.part = 0 ORDER BY 1, 2']) AS query;

-- the predicate in a join; on partitions each index is asked
-- exact: which rows a graph finds depends on the order in which threads built it
SET vss_fdw.knn_strategy = exact;
SELECT count(*) FROM docs0 AS d JOIN orders AS o ON o.doc = d.id WHERE vss_knn(d.embedding, '[1,0,0,0,0,0,0,0]', 20);
RESET vss_fdw.knn_strategy;
SELECT count(*) FROM docs WHERE vss_knn(embedding, '[1,0,0,0,0,0,0,0]', 20);

-- lookups by key for the rows of a local table
EXPLAIN (VERBOSE, COSTS OFF) SELECT o.id, d.content FROM orders AS o JOIN docs0 AS d ON d.id = o.doc WHERE o.id < 10;
SELECT agree('SELECT o.id, d.content FROM orders AS o JOIN docs AS d ON d.id = o.doc WHERE o.id < 10 ORDER BY 1');
SELECT agree('SELECT o.id, d.content FROM orders AS o LEFT JOIN docs AS d ON d.id = o.doc AND d.part = 1 WHERE o.id < 10 ORDER BY 1');

-- a function called in a loop: plans are kept, statements come from the cache
CREATE FUNCTION nearest(q vss_vector, k bigint) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
	result bigint[] := '{}';
	r record;
BEGIN
	FOR r IN SELECT id FROM docs0 ORDER BY embedding <=> q LIMIT k LOOP
		result := result || r.id;
	END LOOP;
	RETURN result;
END $$;
SELECT count(*), bool_and(cardinality(nearest(embedding, id % 20)) = id % 20) FROM local_docs WHERE id < 100;

DROP FUNCTION nearest, agree;
DROP TABLE docs, local_docs, orders, queries;
DROP SERVER knn_join0 CASCADE;
DROP SERVER knn_join1 CASCADE;
