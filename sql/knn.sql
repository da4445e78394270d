-- Nearest neighbours in order of distance: plans, the graph, exactness, NULL and zero vectors.
--
-- A local copy of the rows is the oracle.  With the exact strategy rows and
-- order must be the local ones; with the graph, the distances, the order among
-- the rows given and the work are checked, and recall by distance.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/knn.db*
-- 10,000 rows of 12 dimensions, some equal vectors, then two NULL and two zero ones
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/knn.db "CREATE TABLE docs(id INTEGER PRIMARY KEY, lang TEXT, n INT, embedding TEXT); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 10000) INSERT INTO docs SELECT i, CASE i % 4 WHEN 0 THEN 'en' WHEN 1 THEN 'de' WHEN 2 THEN 'fr' ELSE 'it' END, i % 100, (SELECT json_group_array(((i - i % 50 * (i % 3 = 0)) * (7919 + 131 * j) * (j + 3) % 10007) / 5003.0 - 1) FROM (SELECT value AS j FROM json_each('[0,1,2,3,4,5,6,7,8,9,10,11]'))) FROM c; INSERT INTO docs VALUES (10001, 'en', 1, NULL), (10002, 'de', 2, '[0,0,0,0,0,0,0,0,0,0,0,0]'), (10003, 'en', 3, NULL), (10004, 'fr', 4, '[0,0,0,0,0,0,0,0,0,0,0,0]')"
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/knn.db "CREATE VIRTUAL TABLE vss USING hnsw(dim=12, ef_search=40, content=docs, content_rowid=id, content_vector=embedding); CREATE VIRTUAL TABLE far USING hnsw(dim=12, metric=l2, content=docs, content_rowid=id, content_vector=embedding); CREATE VIRTUAL TABLE dot USING hnsw(dim=12, metric=ip, content=docs, content_rowid=id, content_vector=embedding); SELECT hnsw_save('vss'), hnsw_save('far'), hnsw_save('dot')"
\! chmod 666 /tmp/vss_fdw_regress/knn.db*

CREATE SERVER knn FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/knn.db');
IMPORT FOREIGN SCHEMA main LIMIT TO (docs, vss) FROM SERVER knn INTO public;
CREATE TABLE local_docs AS SELECT * FROM docs;
ANALYZE local_docs;

\getenv top PG_ABS_SRCDIR
\set include :top '/sql/include/nearest.psql'
\i :include

-- Share of the nearest distances that the foreign query finds too.
CREATE FUNCTION recall(operator text, k integer) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	result numeric;
BEGIN
	EXECUTE format('SELECT avg((SELECT count(*) FROM (SELECT f.embedding %1$s q.embedding AS d FROM docs AS f '
		'ORDER BY f.embedding %1$s q.embedding LIMIT %2$s) AS f WHERE f.d <= (SELECT max(d) FROM '
		'(SELECT l.embedding %1$s q.embedding AS d FROM local_docs AS l ORDER BY 1 LIMIT %2$s) AS l))) / %2$s '
		'FROM local_docs AS q WHERE q.id %% 997 = 1 AND q.id <= 10000', operator, k) INTO result;
	RETURN round(result, 2);
END $$;

\set q '''[0.5,-0.5,0.25,0.1,0.9,-0.3,0.2,0.7,-0.8,0.6,0.4,-0.1]'''

-- the plan
EXPLAIN (VERBOSE, COSTS OFF)
	SELECT id, lang, embedding <=> :q AS distance FROM docs ORDER BY embedding <=> :q LIMIT 10;

-- the graph answers, with a fraction of the distances
SELECT p->>'Index' AS index, p->>'Strategy' AS strategy, p->>'K' AS k, p->'ef_search' AS ef,
	(p->>'Distances Computed')::int BETWEEN 10 AND 1000 AS cheap, (p->>'Actual Rows')::numeric::int AS rows
FROM knn_plan('SELECT id FROM docs ORDER BY embedding <=> ' || quote_literal(:q) || ' LIMIT 10', true) AS p;
SELECT recall('<=>', 10) >= 0.95 AS cosine, recall('<->', 10) >= 0.95 AS l2, recall('<#>', 10) >= 0.9 AS ip;

-- rows that are wanted beyond ef_search are looked for
SELECT p->'ef_search' AS ef, (p->>'Actual Rows')::numeric::int AS rows
FROM knn_plan('SELECT id FROM docs ORDER BY embedding <=> ' || quote_literal(:q) || ' LIMIT 300', true) AS p;

-- who surely reads ten rows has fewer candidates compared than who may read on
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/knn.db "CREATE TABLE wide(id INTEGER PRIMARY KEY, embedding TEXT); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO wide SELECT i, (SELECT json_group_array((i * (7919 + 131 * value) * (value + 3) % 10007) / 5003.0 - 1) FROM generate_series(0, 39)) FROM c; CREATE VIRTUAL TABLE vss_wide USING hnsw(dim=40, content=wide, content_rowid=id, content_vector=embedding); SELECT hnsw_save('vss_wide')"
IMPORT FOREIGN SCHEMA main LIMIT TO (wide) FROM SERVER knn INTO public;
SELECT (ten->>'Distances Computed')::int + 40 < (open_end->>'Distances Computed')::int AS fewer, ten->'Actual Rows' = open_end->'Actual Rows' AS same_rows
FROM knn_plan('SELECT id FROM wide ORDER BY embedding <=> (SELECT embedding FROM wide WHERE id = 7) LIMIT 10', true) AS ten,
	knn_plan('SELECT id FROM wide ORDER BY embedding <=> (SELECT embedding FROM wide WHERE id = 7) LIMIT (SELECT 10)', true) AS open_end;
SELECT count(*) AS same FROM
	(SELECT id FROM wide ORDER BY embedding <=> (SELECT embedding FROM wide WHERE id = 7) LIMIT 10) AS ten JOIN
	(SELECT id FROM wide ORDER BY embedding <=> (SELECT embedding FROM wide WHERE id = 7) LIMIT (SELECT 10)) AS open_end USING (id);

-- every distance is the local one, to the last bit, and in order
SELECT count(*), bool_and(d = l.embedding <=> :q) AS exact, bool_and(d >= coalesce(before, d)) AS ordered
FROM (SELECT id, embedding <=> :q AS d, lag(embedding <=> :q) OVER () AS before
	FROM (SELECT * FROM docs ORDER BY embedding <=> :q LIMIT 500) AS s) AS f JOIN local_docs AS l USING (id);
SELECT count(*), bool_and(f.d = l.embedding <=> :q) AS exact
FROM (SELECT id, embedding <=> :q AS d FROM docs ORDER BY embedding <=> :q LIMIT 500) AS f
JOIN local_docs AS l USING (id);

-- the exact strategy is the local copy; k up to more than there is
SET vss_fdw.knn_strategy = exact;
SET enable_sort = off;
SELECT k, agree(format('SELECT id, embedding <=> %1$L AS d FROM docs ORDER BY embedding <=> %1$L, id LIMIT %2$s', :q, k))
FROM unnest(ARRAY[0, 1, 10, 1000, 30000]) AS k;
SELECT k, agree(format('SELECT id, embedding <-> %1$L AS d FROM docs ORDER BY embedding <-> %1$L, id LIMIT %2$s', :q, k))
FROM unnest(ARRAY[10, 30000]) AS k;
SELECT k, agree(format('SELECT id, %1$L <#> embedding AS d FROM docs ORDER BY %1$L <#> embedding, id LIMIT %2$s', :q, k))
FROM unnest(ARRAY[10, 30000]) AS k;
SELECT agree(format('SELECT id FROM docs ORDER BY embedding <=> %1$L, id OFFSET 5 LIMIT 10', :q));
RESET vss_fdw.knn_strategy;

-- a stream read to its end gives every row once, NaN and NULL last
SELECT count(*), count(DISTINCT id), array_agg(id ORDER BY r DESC) FILTER (WHERE r > 10000) AS last
FROM (SELECT id, row_number() OVER () AS r FROM
	(SELECT id FROM docs ORDER BY embedding <=> :q, id LIMIT 30000) AS s) AS t;
RESET enable_sort;

-- NULL and zero vectors as the query
SELECT agree('SELECT id, embedding <=> NULL AS d FROM docs ORDER BY embedding <=> NULL, id LIMIT 10');
PREPARE by_vector(vss_vector) AS SELECT id, embedding <=> $1 AS d FROM docs ORDER BY embedding <=> $1, id LIMIT 3;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE by_vector('[1,0,0,0,0,0,0,0,0,0,0,0]');
EXECUTE by_vector(NULL);
EXECUTE by_vector('[0,0,0,0,0,0,0,0,0,0,0,0]');
SELECT agree(format('SELECT id, embedding <=> %1$L AS d FROM docs ORDER BY embedding <=> %1$L, id LIMIT 5',
	'[0,0,0,0,0,0,0,0,0,0,0,0]'));
RESET plan_cache_mode;

-- where an approximate order would change the answer, or nothing bounds it, there is no such path
SELECT knn_plan(query) IS NULL AS plain, query FROM unnest(ARRAY[
	'SELECT id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]''',
	'SELECT id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT NULL',
	'SELECT id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' DESC LIMIT 5',
	'SELECT id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' NULLS FIRST LIMIT 5',
	'SELECT id FROM docs ORDER BY id, embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5',
	'SELECT id FROM docs ORDER BY embedding <=> embedding LIMIT 5',
	'SELECT id FROM docs ORDER BY (embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') * -2 LIMIT 5',
	'SELECT id FROM docs ORDER BY (embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') * 0 LIMIT 5',
	'SELECT id FROM docs ORDER BY (embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') * id LIMIT 5',
	'SELECT id FROM docs ORDER BY (embedding <-> ''[1,0,0,0,0,0,0,0,0,0,0,0]'')::real LIMIT 5',
	'SELECT id, ntile(4) OVER (ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5',
	'SELECT id, rank() OVER (PARTITION BY lang ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5',
	'SELECT id, rank() OVER (ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') FROM docs ORDER BY id LIMIT 5',
	'SELECT id FROM docs ORDER BY embedding <=> ARRAY[random(),0,0,0,0,0,0,0,0,0,0,0]::vss_vector LIMIT 5',
	'SELECT min(embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') FROM docs',
	'SELECT DISTINCT embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' AS d FROM docs ORDER BY d LIMIT 5',
	'SELECT DISTINCT ON (embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5',
	'SELECT embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' AS d, count(*) FROM docs GROUP BY 1 ORDER BY 1 LIMIT 5',
	'SELECT id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 9000']) AS query;
-- and where it is wanted, there is
SELECT knn_plan(query)->>'Index' AS index, query FROM unnest(ARRAY[
	'SELECT id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5',
	'SELECT id FROM docs ORDER BY embedding <-> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5',
	'SELECT id FROM docs ORDER BY ''[1,0,0,0,0,0,0,0,0,0,0,0]'' <#> embedding LIMIT 5',
	'SELECT id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'', id LIMIT 5',
	'SELECT id FROM docs ORDER BY embedding <=> (SELECT embedding FROM local_docs WHERE id = 7) LIMIT 5',
	'SELECT id FROM docs ORDER BY embedding <=> ARRAY[1,0,0,0,0,0,0,0,0,0,0,0]::vss_vector LIMIT (SELECT 5)',
	'SELECT * FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' FETCH FIRST 5 ROWS WITH TIES',
	'SELECT docs FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5',
	'SELECT id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5 FOR UPDATE',
	'SELECT count(*) FROM (SELECT id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5) AS s']) AS query;
-- what rises or falls with a distance has its order
SELECT knn_plan(query)->>'Index' AS index, query FROM unnest(ARRAY[
	'SELECT id FROM docs ORDER BY (embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') + 1 LIMIT 5',
	'SELECT id FROM docs ORDER BY ((embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') / 2)::real LIMIT 5',
	'SELECT id FROM docs ORDER BY 3 - (2 - (embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'')) LIMIT 5',
	'SELECT id FROM docs ORDER BY -(embedding <#> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') DESC NULLS LAST LIMIT 5',
	'SELECT id FROM docs ORDER BY 1 - (embedding <-> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') DESC NULLS LAST LIMIT 5',
	'SELECT id FROM docs ORDER BY vss_cosine_distance(embedding, ''[1,0,0,0,0,0,0,0,0,0,0,0]'') LIMIT 5',
	'SELECT id FROM docs ORDER BY vss_l2_distance(''[1,0,0,0,0,0,0,0,0,0,0,0]'', embedding) LIMIT 5',
	'SELECT id, rank() OVER (ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5',
	'SELECT id, row_number() OVER w, dense_rank() OVER w FROM docs WINDOW w AS (ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5']) AS query;
SET vss_fdw.knn_strategy = exact;
SELECT agree(query) FROM unnest(ARRAY[
	'SELECT id, (embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') + 1 AS d FROM docs ORDER BY d, id LIMIT 50',
	'SELECT id, ((embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') / 2)::real AS d FROM docs ORDER BY d, id LIMIT 50',
	'SELECT id, ((embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') * 1e-9)::real AS d FROM docs ORDER BY d, id LIMIT 10100',
	'SELECT id, -(embedding <#> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') AS s FROM docs ORDER BY s DESC NULLS LAST, id LIMIT 50',
	'SELECT id, 1 - (embedding <-> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') AS s FROM docs ORDER BY s DESC NULLS LAST, id LIMIT 10100',
	'SELECT id, vss_cosine_distance(embedding, ''[1,0,0,0,0,0,0,0,0,0,0,0]'') AS d FROM docs ORDER BY d, id LIMIT 10100',
	'SELECT id, 1 - (embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') AS s FROM docs ORDER BY s DESC, id LIMIT 5',
	'SELECT id, rank() OVER (ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') AS r FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'', id LIMIT 20']) AS query;
RESET vss_fdw.knn_strategy;
-- as much work as for the distance itself
SELECT a->>'Distances Computed' = b->>'Distances Computed' AS as_much, a->>'Distances Computed' = c->>'Distances Computed' AS as_well
FROM knn_plan('SELECT id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' LIMIT 5', true) AS a,
	knn_plan('SELECT id FROM docs ORDER BY (embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') / 2 LIMIT 5', true) AS b,
	knn_plan('SELECT id FROM docs ORDER BY vss_cosine_distance(embedding, ''[1,0,0,0,0,0,0,0,0,0,0,0]'') LIMIT 5', true) AS c;

-- whole rows, the vector and the distance together, row locks
SET vss_fdw.knn_strategy = exact;
SELECT agree(query) FROM unnest(ARRAY[
	'SELECT docs::text FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'', id LIMIT 5',
	'SELECT embedding, embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' AS d FROM docs ORDER BY d, id LIMIT 5',
	'SELECT vss_dims(embedding), 1 - (embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'') AS s FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'', id LIMIT 5',
	'SELECT embedding <-> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' AS other FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'', id LIMIT 5',
	'SELECT tableoid IS NOT NULL AS t, id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'', id LIMIT 5',
	'SELECT generate_series(1, 2) AS g, embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'' AS d FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0,0,0,0,0]'', id, 1 LIMIT 5']) AS query;
SELECT id FROM docs ORDER BY embedding <=> :q, id LIMIT 2 FOR UPDATE;

-- cursors
BEGIN;
EXPLAIN (COSTS OFF) DECLARE c CURSOR FOR SELECT id FROM docs ORDER BY embedding <=> '[1,0,0,0,0,0,0,0,0,0,0,0]';
DECLARE c CURSOR FOR SELECT id FROM docs ORDER BY embedding <=> '[1,0,0,0,0,0,0,0,0,0,0,0]';
FETCH 2 FROM c;
SAVEPOINT s;
FETCH 2 FROM c;
ROLLBACK TO s;
FETCH 2 FROM c;
COMMIT;

-- the predicate: of several indexes over the column it takes none by itself
\set VERBOSITY default
SELECT id FROM docs WHERE vss_knn(embedding, :q, 3) ORDER BY embedding <=> :q;
\set VERBOSITY terse
SELECT vss_exec('knn', 'DROP TABLE far');
SELECT id FROM docs WHERE vss_knn(embedding, :q, 3);
SELECT vss_exec('knn', 'DROP TABLE dot');
SELECT id FROM docs WHERE vss_knn(embedding, :q, 3) ORDER BY embedding <=> :q;
SELECT id FROM local_docs ORDER BY embedding <=> :q LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM docs WHERE vss_knn(embedding, :q, 3, 99) AND lang = 'en' ORDER BY embedding <=> :q;
SELECT count(*) FROM docs WHERE vss_knn(embedding, :q, 100);
SELECT count(*) < 100 AND count(*) > 0 AS filtered, bool_and(lang = 'en') AS en
FROM docs WHERE vss_knn(embedding, :q, 100) AND lang = 'en' AND length(lang) = 2;
SELECT count(*) FROM docs WHERE vss_knn(embedding, NULL, 3);
SELECT count(*) FROM docs WHERE vss_knn(embedding, :q, NULL);
SELECT count(*) FROM docs WHERE vss_knn(embedding, :q, 0);
SELECT count(*) FROM docs WHERE vss_knn(embedding, '[1]', 1);
SELECT count(*) FROM docs WHERE NOT vss_knn(embedding, :q, 3);
SELECT count(*) FROM docs WHERE vss_knn(embedding, :q, 3) OR id = 1;
SELECT count(*) FROM docs WHERE vss_knn(embedding, :q, 3) AND vss_knn(embedding, :q, 4);
SELECT count(*) FROM docs WHERE vss_knn(embedding, embedding, 3);
SELECT count(*) FROM local_docs WHERE vss_knn(embedding, :q, 3);
SELECT count(*) FROM docs WHERE vss_knn('[1]'::vss_vector, :q, 3);

-- the rowset, and the index table
SELECT k.rowid = d.id AS ok FROM vss_knn('vss', :q, 3) AS k JOIN docs AS d ON d.id = k.rowid ORDER BY k.distance;
SELECT array_agg(rowid) = (SELECT array_agg(id) FROM (SELECT id FROM local_docs ORDER BY embedding <=> :q LIMIT 3) AS l) AS same
FROM (SELECT rowid FROM vss ORDER BY embedding <=> :q LIMIT 3) AS v;
SELECT count(*), count(embedding) FROM vss;
SELECT embedding = (SELECT embedding FROM docs WHERE id = 7) AS same FROM vss WHERE rowid = 7;

RESET vss_fdw.knn_strategy;

-- rowids and distances come from the index alone, whose answers are the table's also when its triggers are gone
SELECT id, knn_plan(query)->>'SQLite SQL' LIKE '%JOIN%' AS asks_table FROM (VALUES
	(1, 'SELECT id FROM docs ORDER BY embedding <=> ' || quote_literal(:q) || ' LIMIT 3'),
	(2, 'SELECT id, embedding <=> ' || quote_literal(:q) || ' FROM docs ORDER BY embedding <=> ' || quote_literal(:q) || ' LIMIT 3'),
	(3, 'SELECT id, n FROM docs ORDER BY embedding <=> ' || quote_literal(:q) || ' LIMIT 3'),
	(4, 'SELECT 1 FROM docs ORDER BY embedding <=> ' || quote_literal(:q) || ' LIMIT 3')) AS v(id, query) ORDER BY id;
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/knn.db "DROP TRIGGER vss_changes_ad; DELETE FROM docs WHERE id = 7"
SELECT knn_plan('SELECT id FROM docs ORDER BY embedding <=> ' || quote_literal(:q) || ' LIMIT 3')->>'SQLite SQL' LIKE '%JOIN%' AS asks_table;
SELECT embedding AS seven FROM local_docs WHERE id = 7 \gset
SELECT count(*) FILTER (WHERE id = 7) AS deleted, count(*) FROM (SELECT id FROM docs ORDER BY embedding <=> :'seven' LIMIT 5) AS d;

-- a vector of another size
SELECT id FROM docs ORDER BY embedding <=> '[1,2,3]' LIMIT 1;

DROP SERVER knn CASCADE;
DROP TABLE local_docs;
DROP FUNCTION knn_node, knn_plan, agree, recall;
