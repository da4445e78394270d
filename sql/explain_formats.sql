-- The wrapper's own properties in every format of EXPLAIN: the same keys and values, numbers as numbers.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/formats.db*
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/formats.db "CREATE TABLE docs(id INTEGER PRIMARY KEY, n INT, \"odd & <name>\" TEXT, embedding TEXT); CREATE TABLE langs(n INTEGER PRIMARY KEY, name TEXT); CREATE VIRTUAL TABLE vss USING hnsw(dim=4, metric=l2, ef_search=50, content=docs, content_rowid=id, content_vector=embedding); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO docs SELECT i, i % 10, 'x', (SELECT json_group_array((i * (7919 + 131 * j) * (j + 3) % 10007) / 5003.0 - 1) FROM (SELECT value AS j FROM json_each('[0,1,2,3]'))) FROM c; INSERT INTO langs VALUES (1, 'one'), (2, 'two'); SELECT hnsw_save()" >/dev/null
\! chmod 666 /tmp/vss_fdw_regress/formats.db*
CREATE SERVER formats FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/formats.db');
CREATE SCHEMA formats;
SET search_path = formats, public;
IMPORT FOREIGN SCHEMA main LIMIT TO (docs, langs) FROM SERVER formats INTO formats;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SET enable_hashagg = off;
SET enable_sort = off;

-- Our properties, as key and value; numbers marked by #.  What is no longer read by its format's rules is an error.
CREATE FUNCTION is_ours(key text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$
	SELECT key IN ('SQLite SQL', 'SQLite SQL of Unordered Rows', 'Relations', 'Batch Size', 'Index', 'Metric', 'K', 'ef_search', 'Strategy', 'Searches',
		'Nodes Visited', 'Distances Computed', 'Delta Rows', 'Rows Filtered')
$$;
CREATE FUNCTION properties(query text, options text, format text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	plan text := '';
	line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (COSTS OFF, %sFORMAT %s) %s', options, format, query) LOOP
		plan := plan || line || chr(10);
	END LOOP;
	CASE format
		WHEN 'json' THEN
			RETURN QUERY SELECT e.key || CASE jsonb_typeof(e.value) WHEN 'number' THEN '#' WHEN 'string' THEN '' ELSE '?' END || '=' || (e.value #>> '{}')
				FROM jsonb_path_query(plan::jsonb, 'strict $.** ? (@.type() == "object")') AS node, jsonb_each(node) AS e WHERE is_ours(e.key);
		WHEN 'xml' THEN
			-- in XML there are no types: take them from what they are in the other formats
			RETURN QUERY SELECT p.key || CASE WHEN p.key !~ '^(SQLite|Relations|Index|Metric|Strategy)' AND p.value ~ '^[0-9]+$' THEN '#' ELSE '' END || '=' || p.value
				FROM (SELECT CASE WHEN t.tag = 'ef_search' THEN t.tag ELSE replace(t.tag, '-', ' ') END AS key, t.value
					FROM unnest(xpath('//*[not(*)]', plan::xml)) AS x,
						LATERAL (SELECT (xpath('name(/*)', x))[1]::text AS tag, replace(replace(replace((xpath('string(/*)', x))[1]::text, '&lt;', '<'), '&gt;', '>'), '&amp;', '&') AS value) AS t) AS p
				WHERE is_ours(p.key);
		WHEN 'yaml' THEN
			FOREACH line IN ARRAY string_to_array(rtrim(plan, chr(10)), chr(10)) LOOP
				IF line !~ '^ *(- )?[A-Za-z0-9_ -]+:( +("([^"\\]|\\.)*"|-?[0-9.]+|true|false))? *$' AND line !~ '^ *- *("([^"\\]|\\.)*")?$' THEN
					RAISE EXCEPTION 'not YAML: %', line;
				END IF;
				RETURN QUERY SELECT m[1] || CASE WHEN m[2] LIKE '"%' THEN '' ELSE '#' END || '=' || CASE WHEN m[2] LIKE '"%' THEN m[2]::json #>> '{}' ELSE m[2] END
					FROM regexp_match(line, '^ *(?:- )?([A-Za-z0-9_ -]+): +(.*?) *$') AS m WHERE is_ours(m[1]);
			END LOOP;
		ELSE
			RETURN QUERY SELECT m[1] || CASE WHEN m[1] !~ '^(SQLite|Relations|Index|Metric|Strategy)' AND m[2] ~ '^[0-9]+$' THEN '#' ELSE '' END || '=' || m[2]
				FROM regexp_split_to_table(plan, chr(10)) AS l, regexp_match(l, '^ *([A-Za-z_ ]+): (.*)$') AS m WHERE is_ours(m[1]);
	END CASE;
EXCEPTION
	-- a server without XML
	WHEN feature_not_supported THEN
		RETURN QUERY SELECT * FROM properties(query, options, 'json');
END $$;
-- What counters say may differ from run to run.
CREATE FUNCTION steady(property text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
	SELECT regexp_replace(property, '^(Searches|Nodes Visited|Distances Computed|Delta Rows|Rows Filtered)#=[0-9]+$', '\1#=counted')
$$;
CREATE FUNCTION in_format(query text, options text, format text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE result text[];
BEGIN
	SELECT array_agg(steady(p) ORDER BY steady(p) COLLATE "C") INTO result FROM properties(query, options, format) AS p;
	RETURN result;
END $$;

CREATE TABLE queries(id int, query text);
INSERT INTO queries VALUES
	(1, $$SELECT id FROM docs WHERE n = 5 AND "odd & <name>" = 'a "b" \ & <c>'$$),
	(2, $$SELECT d.id, l.name FROM docs d LEFT JOIN langs l ON l.n = d.n WHERE d.id < 3$$),
	(3, $$SELECT n, count(*) FROM docs GROUP BY n HAVING count(*) > 3$$),
	(4, $$SELECT DISTINCT n FROM docs$$),
	(5, $$SELECT id, n FROM docs ORDER BY n DESC, id LIMIT 3 OFFSET 1$$),
	(6, $$SELECT id FROM docs ORDER BY embedding <-> '[1,2,3,4]' LIMIT 3$$),
	(7, $$SELECT id FROM docs WHERE n = 3 ORDER BY embedding <-> '[1,2,3,4]' LIMIT 3$$),
	(8, $$SELECT id FROM docs WHERE vss_knn(embedding, '[1,2,3,4]', 5, 70)$$),
	(9, $$SELECT id FROM docs WHERE embedding <-> '[1,2,3,4]' < 2.5 ORDER BY embedding <-> '[1,2,3,4]' LIMIT 3$$),
	(10, $$UPDATE docs SET n = n + 1 WHERE id = 3$$),
	(11, $$UPDATE docs SET "odd & <name>" = l.name FROM langs l WHERE l.n = docs.n RETURNING id$$),
	(12, $$DELETE FROM docs USING langs l WHERE l.n = docs.n AND l.name = 'none'$$),
	(13, $$INSERT INTO langs SELECT i, 'new' FROM generate_series(1000, 1200) AS i$$),
	(14, $$UPDATE langs SET name = upper(name) || random() WHERE n = 1$$);
\a
SELECT id, options, in_format(query, options, 'json') AS properties,
	in_format(query, options, 'json') = in_format(query, options, 'xml') AS xml,
	in_format(query, options, 'json') = in_format(query, options, 'yaml') AS yaml,
	in_format(query, options, 'json') = in_format(query, options, 'text') AS text
FROM queries, unnest(ARRAY['', 'VERBOSE, ']) AS options ORDER BY id, options;
-- with ANALYZE each takes place, and is undone
BEGIN;
SELECT id, in_format(query, 'ANALYZE, TIMING OFF, VERBOSE, ', 'json') = in_format(query, 'VERBOSE, ', 'json') AS nothing_more FROM queries WHERE id IN (1, 2, 3, 4, 5, 10, 11, 12, 14) ORDER BY id;
ROLLBACK;
BEGIN;
SELECT id, in_format(query, 'ANALYZE, TIMING OFF, ', 'json') AS properties FROM queries WHERE id IN (6, 7, 8, 9) ORDER BY id;
SELECT id, in_format(query, 'ANALYZE, TIMING OFF, ', 'json') = in_format(query, 'ANALYZE, TIMING OFF, ', 'xml') AS xml,
	in_format(query, 'ANALYZE, TIMING OFF, ', 'json') = in_format(query, 'ANALYZE, TIMING OFF, ', 'yaml') AS yaml,
	in_format(query, 'ANALYZE, TIMING OFF, ', 'json') = in_format(query, 'ANALYZE, TIMING OFF, ', 'text') AS text
FROM queries WHERE id <> 13 ORDER BY id;
ROLLBACK;
DROP SCHEMA formats CASCADE;
DROP SERVER formats;
