-- What EXPLAIN says, in all formats.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/explain.db*
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/explain.db "CREATE TABLE docs(id INTEGER PRIMARY KEY, n INT, embedding TEXT); CREATE VIRTUAL TABLE vss USING hnsw(dim=4, metric=l2, ef_search=50, content=docs, content_rowid=id, content_vector=embedding); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO docs SELECT i, i, (SELECT json_group_array((i * (7919 + 131 * j) * (j + 3) % 10007) / 5003.0 - 1) FROM (SELECT value AS j FROM json_each('[0,1,2,3]'))) FROM c; SELECT hnsw_save(); INSERT INTO docs VALUES (2001, 1, '[1,2,3,4]')"
\! chmod 666 /tmp/vss_fdw_regress/explain.db*
CREATE SERVER explain FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/explain.db');
IMPORT FOREIGN SCHEMA main LIMIT TO (docs) FROM SERVER explain INTO public;

EXPLAIN (COSTS OFF) SELECT id FROM docs WHERE n = 5;
EXPLAIN (COSTS OFF) SELECT id FROM docs ORDER BY embedding <-> '[1,2,3,4]' LIMIT 5;
-- the other formats have fields that differ between servers: show ours
CREATE FUNCTION lines(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	plan text;
BEGIN
	EXECUTE query INTO plan;
	RETURN QUERY SELECT trim(l) FROM regexp_split_to_table(plan, '\n') AS l
		WHERE l ~ '(Index|Metric|"?K"?[>:]|ef_search|Strategy|SQLite)';
END $$;
SELECT lines('EXPLAIN (COSTS OFF, FORMAT JSON) SELECT id FROM docs WHERE n = 5');
SELECT lines('EXPLAIN (COSTS OFF, FORMAT JSON) SELECT id FROM docs ORDER BY embedding <-> ''[1,2,3,4]'' LIMIT 5');
SELECT lines('EXPLAIN (COSTS OFF, FORMAT YAML) SELECT id FROM docs WHERE vss_knn(embedding, ''[1,2,3,4]'', 5, 70)');
SELECT lines('EXPLAIN (COSTS OFF, FORMAT XML) SELECT id FROM docs WHERE vss_knn(embedding, ''[1,2,3,4]'', 5)');
PREPARE p(vss_vector, bigint, int) AS SELECT id FROM docs WHERE vss_knn(embedding, $1, $2, $3);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE p('[1,2,3,4]', 5, 70);
RESET plan_cache_mode;

-- with ANALYZE what was done: present, plausible, and summed over loops
CREATE FUNCTION counters(query text) RETURNS TABLE(strategy text, searches int, visited boolean, computed boolean,
	delta int, filtered boolean) LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
	plan := jsonb_path_query_first(plan, 'strict $.** ? (@."Metric" != "")');
	RETURN QUERY SELECT plan->>'Strategy', (plan->>'Searches')::int, (plan->>'Nodes Visited')::int > 0,
		(plan->>'Distances Computed')::int > 0, (plan->>'Delta Rows')::int, (plan->>'Rows Filtered')::int >= 0;
END $$;
SELECT * FROM counters('SELECT id FROM docs ORDER BY embedding <-> ''[1,2,3,4]'' LIMIT 5');
SELECT * FROM counters('SELECT id FROM docs WHERE vss_knn(embedding, ''[1,2,3,4]'', 5)');
SELECT * FROM counters('SELECT * FROM (VALUES (''[1,2,3,4]''::vss_vector), (''[4,3,2,1]'')) AS v(q), LATERAL (SELECT id FROM docs ORDER BY embedding <-> q LIMIT 1) AS n');
SELECT * FROM counters('SELECT id FROM docs WHERE false ORDER BY embedding <-> ''[1,2,3,4]'' LIMIT 5');

-- settings
SET vss_fdw.ef_search = 99;
SET vss_fdw.knn_strategy = exact;
EXPLAIN (COSTS OFF) SELECT id FROM docs WHERE n < 1900 ORDER BY embedding <-> '[1,2,3,4]' LIMIT 5;
SELECT strategy, visited, computed FROM counters('SELECT id FROM docs ORDER BY embedding <-> ''[1,2,3,4]'' LIMIT 5');
SET vss_fdw.knn_strategy = prefilter;
EXPLAIN (COSTS OFF) SELECT id FROM docs WHERE n < 1900 ORDER BY embedding <-> '[1,2,3,4]' LIMIT 5;
SELECT strategy, computed FROM counters('SELECT id FROM docs WHERE n < 1900 ORDER BY embedding <-> ''[1,2,3,4]'' LIMIT 5');
SET vss_fdw.knn_strategy = graph;
SELECT strategy, computed FROM counters('SELECT id FROM docs WHERE n < 1900 ORDER BY embedding <-> ''[1,2,3,4]'' LIMIT 5');

DROP SERVER explain CASCADE;
DROP FUNCTION counters, lines;
