-- Nearest neighbours under conditions: never fewer rows than match, whatever
-- the selectivity, the strategy and how wrong the estimate.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/knn_filter.db*
-- side: +1 near the query below, -1 opposite to it, so that a filter can be as far off as can be
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/knn_filter.db "CREATE TABLE docs(id INTEGER PRIMARY KEY, n INT, side INT, tag TEXT, embedding TEXT); CREATE INDEX docs_n ON docs(n); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 5000) INSERT INTO docs SELECT i, i, CASE WHEN i % 20 = 0 THEN -1 ELSE 1 END, 'tag' || (i % 7), (SELECT json_group_array(CASE WHEN j = 0 THEN CASE WHEN i % 20 = 0 THEN -3.0 ELSE 3.0 END ELSE (i * (7919 + 131 * j) * (j + 3) % 10007) / 5003.0 - 1 END) FROM (SELECT value AS j FROM json_each('[0,1,2,3,4,5,6,7]'))) FROM c; INSERT INTO docs VALUES (5001, 5001, 0, 'tag0', NULL), (5002, 5002, 0, 'tag1', '[0,0,0,0,0,0,0,0]')"
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/knn_filter.db "CREATE VIRTUAL TABLE vss USING hnsw(dim=8, content=docs, content_rowid=id, content_vector=embedding); SELECT hnsw_save('vss')"
-- and a delta beside the graph: changed, new and deleted rows
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/knn_filter.db "UPDATE docs SET embedding = '[3,0.5,0,0,0,0,0,0]' WHERE id = 17; DELETE FROM docs WHERE id IN (31, 47); INSERT INTO docs VALUES (5003, 5003, 1, 'tag0', '[3,0,0.5,0,0,0,0,0]')"
\! chmod 666 /tmp/vss_fdw_regress/knn_filter.db*

CREATE SERVER knn_filter FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/knn_filter.db');
IMPORT FOREIGN SCHEMA main LIMIT TO (docs) FROM SERVER knn_filter INTO public;
CREATE TABLE local_docs AS SELECT * FROM docs;
ALTER TABLE local_docs ADD PRIMARY KEY (id);

-- One condition under all strategies: rows given (must be as many as wanted or
-- as match), all of them matching, none twice, distances right; and how many of
-- the strategies gave exactly the local rows.
CREATE FUNCTION try(condition text, k integer, OUT wanted integer, OUT complete boolean, OUT sound boolean,
	OUT exact boolean) LANGUAGE plpgsql AS $$
DECLARE
	strategy text;
	given bigint[];
	oracle bigint[];
	unsound integer;
BEGIN
	EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM local_docs WHERE %s '
		'ORDER BY embedding <=> ''[3,0,0,0,0,0,0,0]'', id LIMIT %s) AS l', condition, k) INTO oracle;
	wanted := coalesce(cardinality(oracle), 0);
	complete := true;
	sound := true;
	PERFORM set_config('enable_sort', 'off', true);
	FOREACH strategy IN ARRAY ARRAY['auto', 'graph', 'prefilter', 'exact'] LOOP
		PERFORM set_config('vss_fdw.knn_strategy', strategy, true);
		EXECUTE format('SELECT array_agg(id ORDER BY r), count(*) FILTER (WHERE d IS DISTINCT FROM local) FROM ('
			'SELECT f.id, f.r, f.d, (SELECT embedding <=> ''[3,0,0,0,0,0,0,0]'' FROM local_docs AS l '
			'WHERE l.id = f.id AND (%1$s)) AS local FROM (SELECT id, d, row_number() OVER () AS r FROM ('
			'SELECT id, embedding <=> ''[3,0,0,0,0,0,0,0]'' AS d FROM docs WHERE %1$s '
			'ORDER BY embedding <=> ''[3,0,0,0,0,0,0,0]'', id LIMIT %2$s) AS s) AS f) AS g', condition, k)
			INTO given, unsound;
		complete := complete AND coalesce(cardinality(given), 0) = wanted
			AND (SELECT count(DISTINCT g) FROM unnest(given) AS g) = wanted;
		sound := sound AND unsound = 0;
		IF strategy = 'exact' THEN
			exact := given IS NOT DISTINCT FROM oracle;
		END IF;
	END LOOP;
END $$;

SELECT k, condition, t.* FROM unnest(ARRAY[1, 40]) AS k, unnest(ARRAY[
	'true', 'id > 0', 'n <= 1500', 'n <= 500', 'n <= 50', 'n <= 12', 'n = 1', 'n = 0', 'tag = ''tag3''',
	'side = -1', 'side = -1 AND n <= 200', 'side = 0', 'n > 4990', 'id IN (17, 31, 5003)',
	-- tested by PostgreSQL
	'length(tag) = 4', 'n % 100 = 1', 'abs(n) = 1', 'side = -1 AND n % 1000 = 0', 'upper(tag) = ''TAG0'' AND n < 50'])
	AS condition, try(condition, k) AS t ORDER BY k, condition;

-- The strategy follows the selectivity, and is changed when the estimate proves wrong.
CREATE FUNCTION strategy(query text) RETURNS TABLE(first text, used text, searches integer, rows integer,
	few boolean) LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
	node jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	first := jsonb_path_query_first(plan, 'strict $.** ? (@."Metric" != "")')->>'Strategy';
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
	node := jsonb_path_query_first(plan, 'strict $.** ? (@."Metric" != "")');
	used := node->>'Strategy';
	searches := node->>'Searches';
	rows := (node->>'Actual Rows')::numeric;
	few := (node->>'Distances Computed')::int < 2500;
	RETURN NEXT;
END $$;
SET enable_sort = off;
ANALYZE local_docs;
SELECT s.*, condition FROM unnest(ARRAY['true', 'id > 0', 'n < 100', 'n = 5', 'side > 0']) AS condition,
	strategy(format('SELECT id FROM docs WHERE %s ORDER BY embedding <=> ''[3,0,0,0,0,0,0,0]'' LIMIT 10', condition)) AS s;
-- thought to be a third of the table, are none near the query: begun as a stream, ended by collecting them
SELECT s.* FROM strategy('SELECT id FROM docs WHERE side < 0 ORDER BY embedding <=> ''[3,0,0,0,0,0,0,0]'' LIMIT 10') AS s;
SELECT count(*), bool_and(side < 0) AS right_side FROM
	(SELECT side FROM docs WHERE side < 0 ORDER BY embedding <=> '[3,0,0,0,0,0,0,0]' LIMIT 500) AS s;

-- rows given before the switch are not given again
SELECT count(*), count(DISTINCT id) FROM
	(SELECT id FROM docs WHERE side > -2 ORDER BY embedding <=> '[3,0,0,0,0,0,0,0]' LIMIT 20000) AS s;

-- parameters of the conditions in all three statements
PREPARE p(vss_vector, int, text) AS SELECT count(*), count(DISTINCT id) FROM
	(SELECT id FROM docs WHERE n < $2 AND tag = $3 ORDER BY embedding <=> $1 LIMIT 1000) AS s;
SET plan_cache_mode = force_generic_plan;
EXECUTE p('[3,0,0,0,0,0,0,0]', 700, 'tag3');
EXECUTE p('[3,0,0,0,0,0,0,0]', 70, 'tag3');
EXECUTE p(NULL, 70, 'tag3');
SELECT count(*) FROM local_docs WHERE n < 700 AND tag = 'tag3';

RESET plan_cache_mode;

-- all rows within a distance: exact, measured in the index, with or without an order
CREATE FUNCTION within(condition text, OUT k text, OUT rows bigint, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
	f text[];
	l text[];
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) SELECT id FROM docs WHERE ' || condition INTO plan;
	k := jsonb_path_query_first(plan, 'strict $.** ? (@."Metric" != "")')->>'K';
	EXECUTE 'SELECT array_agg(q::text ORDER BY q::text) FROM (SELECT id, embedding <=> ''[3,0,0,0,0,0,0,0]'' AS d FROM docs WHERE '
		|| condition || ') AS q' INTO f;
	EXECUTE 'SELECT array_agg(q::text ORDER BY q::text) FROM (SELECT id, embedding <=> ''[3,0,0,0,0,0,0,0]'' AS d FROM local_docs WHERE '
		|| condition || ') AS q' INTO l;
	rows := coalesce(cardinality(l), 0);
	same := f IS NOT DISTINCT FROM l;
END $$;
SELECT w.*, condition FROM unnest(ARRAY['embedding <=> ''[3,0,0,0,0,0,0,0]'' < 0.05',
	'embedding <=> ''[3,0,0,0,0,0,0,0]'' <= 0.05 AND n < 1000', '0.05 > (embedding <=> ''[3,0,0,0,0,0,0,0]'')',
	'embedding <=> ''[3,0,0,0,0,0,0,0]'' < -1', 'embedding <=> ''[3,0,0,0,0,0,0,0]'' < ''nan''',
	'embedding <=> ''[3,0,0,0,0,0,0,0]'' <= ''nan''', 'embedding <=> ''[3,0,0,0,0,0,0,0]'' > 1.9',
	'embedding <=> ''[0,0,0,0,0,0,0,0]'' < 0.5', 'embedding <=> ''[3,0,0,0,0,0,0,0]'' < (SELECT 0.05)',
	'embedding <=> ''[3,0,0,0,0,0,0,0]'' < n', 'NOT embedding <=> ''[3,0,0,0,0,0,0,0]'' < 0.05',
	'embedding <=> ''[3,0,0,0,0,0,0,0]'' < 0.05 OR n = 1', 'embedding <-> ''[3,0,0,0,0,0,0,0]'' < 0.5']) AS condition,
	within(condition) AS w;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM docs WHERE embedding <=> '[3,0,0,0,0,0,0,0]' < 0.05 AND n < 1000;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM docs WHERE embedding <=> '[3,0,0,0,0,0,0,0]' < 0.05
	ORDER BY embedding <=> '[3,0,0,0,0,0,0,0]' LIMIT 5;
-- the bound ends a stream that would otherwise be read to its end
SET vss_fdw.knn_strategy = exact;
SELECT count(*) FROM (SELECT id FROM docs WHERE embedding <=> '[3,0,0,0,0,0,0,0]' < 0.02
	ORDER BY embedding <=> '[3,0,0,0,0,0,0,0]' LIMIT 5000) AS s;
SELECT count(*) FROM local_docs WHERE embedding <=> '[3,0,0,0,0,0,0,0]' < 0.02;
RESET vss_fdw.knn_strategy;

DROP FUNCTION within;
DROP SERVER knn_filter CASCADE;
DROP TABLE local_docs;
DROP FUNCTION try, strategy;
