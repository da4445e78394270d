-- The function vss_knn: rowsets by name and without, privileges, and how the
-- three forms are told apart.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! rm -rf /tmp/vss_fdw_regress/knn && mkdir -p /tmp/vss_fdw_regress/knn && chmod 0777 /tmp/vss_fdw_regress /tmp/vss_fdw_regress/knn 2>/dev/null
\! sqlite3 /tmp/vss_fdw_regress/knn/a.db 'PRAGMA user_version = 1' && sqlite3 /tmp/vss_fdw_regress/knn/b.db 'PRAGMA user_version = 1' && chmod 0666 /tmp/vss_fdw_regress/knn/*.db
CREATE SERVER knn_a FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/knn/a.db');
CREATE SERVER knn_b FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/knn/b.db');

-- 100 points on a line, at (i, 0) with id 10 * i; two without a vector
SELECT vss_exec('knn_a', $$
	CREATE TABLE points(id INTEGER PRIMARY KEY, name TEXT, place BLOB);
	CREATE VIRTUAL TABLE near USING hnsw(dim = 2, metric = l2,
		content = points, content_rowid = id, content_vector = place);
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
	INSERT INTO points SELECT 10 * i, 'p' || i, vector('[' || i || ',0]') FROM n;
	INSERT INTO points VALUES (5000, 'nowhere', NULL), (5001, 'nowhere', NULL);
$$) > 0 AS filled;
CREATE SCHEMA knn;
SET search_path = knn, public;
IMPORT FOREIGN SCHEMA main FROM SERVER knn_a INTO knn;
SELECT ftrelid::regclass FROM pg_foreign_table WHERE ftrelid::regclass::text IN ('points', 'near') ORDER BY 1::text;

-- by the index's name, however it is written
SELECT * FROM vss_knn('near', '[3.25,0]', 3);
SELECT * FROM vss_knn('knn.near', '[3.25,0]', 1);
SELECT * FROM vss_knn('"knn"."near"', '[3.25,0]', 1);
SELECT * FROM vss_knn('NEAR', '[3.25,0]', 1);
SELECT * FROM vss_knn('"NEAR"', '[3.25,0]', 1);
SELECT * FROM vss_knn('near', '[3.25,0]', 2, 200);
SELECT * FROM vss_knn(index => 'near', k => 2, query => '[3.25,0]');
-- by the table that it serves, and without a name
SELECT * FROM vss_knn('points', '[3.25,0]', 2);
SELECT * FROM vss_knn('[3.25,0]', 2);
-- joined
SELECT p.name, k.distance FROM vss_knn('near', '[7,0]', 3) k JOIN points p ON p.id = k.rowid ORDER BY k.distance, p.id;
-- arrays, parameters of every kind
SELECT rowid FROM vss_knn('near', ARRAY[3.25,0]::real[], 2);
SELECT rowid FROM vss_knn(ARRAY[3,0], 1);
PREPARE named AS SELECT rowid FROM vss_knn('near', $1, $2);
EXECUTE named('[3.25,0]', 2);
PREPARE short AS SELECT rowid FROM vss_knn($1, $2);
EXECUTE short('[3.25,0]', 2);
PREPARE all_parameters AS SELECT rowid FROM vss_knn($1, $2, $3, $4);
EXECUTE all_parameters('near', '[3.25,0]', 2, 50);
PREPARE predicate AS SELECT id FROM points WHERE vss_knn(place, $1, $2) ORDER BY id;
EXECUTE predicate('[3.25,0]', 2);
SELECT name, parameter_types FROM pg_prepared_statements WHERE name IN ('named', 'short', 'all_parameters', 'predicate') ORDER BY name;
SET plan_cache_mode = force_generic_plan;
EXECUTE named('[3.25,0]', 2);
EXECUTE predicate('[3.25,0]', 2);
RESET plan_cache_mode;
-- one search for each outer row; in the select list; a cursor left early
SELECT q.x, array_agg(k.rowid ORDER BY k.distance, k.rowid) FROM (VALUES (2.2), (50.4)) q(x)
CROSS JOIN LATERAL vss_knn('near', ARRAY[q.x, 0], 2) k GROUP BY q.x ORDER BY q.x;
SELECT (vss_knn('near', '[3.25,0]', 1000000)).rowid LIMIT 2;
BEGIN;
DECLARE c CURSOR FOR SELECT (vss_knn('near', '[3.25,0]', 100)).rowid;
FETCH 2 FROM c;
CLOSE c;
COMMIT;
-- more than there are: the rows that have a vector
SELECT count(*), count(DISTINCT rowid), min(rowid), max(rowid) FROM vss_knn('near', '[0,0]', 5000);
-- NULLs find nothing
SELECT count(*) FROM vss_knn('near', NULL, 3);
SELECT count(*) FROM vss_knn(NULL::vss_vector, 3);
SELECT count(*) FROM vss_knn('near', '[1,0]', NULL);

-- the planner knows k
CREATE FUNCTION estimate(query text) RETURNS float LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan->0->'Plan'->'Plan Rows';
END $$;
CREATE FUNCTION index_used(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan->0->'Plan'->'Plans'->0->>'Index';
END $$;
SELECT estimate($$SELECT * FROM vss_knn('near', '[3.25,0]', 7)$$), estimate($$SELECT * FROM vss_knn('[3.25,0]', 3)$$),
	estimate($$SELECT * FROM vss_knn('near', '[3.25,0]', 5 + 6, 100)$$);

-- refused
SELECT * FROM vss_knn('near', '[1,0]', 0);
SELECT * FROM vss_knn('[1,0]', -3);
SELECT * FROM vss_knn('near', '[1,0]', 3, 0);
\set VERBOSITY sqlstate
SELECT * FROM vss_knn('near', '[1,0,0]', 3);
\set VERBOSITY default
SELECT * FROM vss_knn('near', '[1,0', 3);
SELECT * FROM vss_knn('nowhere', '[1,0]', 3);
SELECT * FROM vss_knn('a.b.c.d', '[1,0]', 3);
SELECT * FROM vss_knn('', '[1,0]', 3);
CREATE TABLE local_points(place vss_vector);
SELECT * FROM vss_knn('local_points', '[1,0]', 3);
\set VERBOSITY terse
SELECT * FROM vss_knn('near'::regclass, '[1,0]', 3);
\set VERBOSITY default

-- the predicate is for WHERE over a foreign table only
INSERT INTO local_points VALUES ('[1,0]');
SELECT * FROM local_points WHERE vss_knn(place, '[1,0]', 3);
SELECT vss_knn('[1,0]'::vss_vector, '[1,0]', 3);

-- who may ask: SELECT on the foreign table, no more
CREATE ROLE vss_knn_reader;
GRANT USAGE ON SCHEMA knn TO vss_knn_reader;
SET ROLE vss_knn_reader;
SELECT * FROM vss_knn('near', '[3.25,0]', 1);
SELECT * FROM vss_knn('[3.25,0]', 1);
RESET ROLE;
GRANT SELECT ON near TO vss_knn_reader;
SET ROLE vss_knn_reader;
SELECT * FROM vss_knn('near', '[3.25,0]', 1);
SELECT * FROM vss_knn('[3.25,0]', 1);
SELECT * FROM vss_knn('points', '[3.25,0]', 1);
RESET ROLE;
REVOKE SELECT ON near FROM vss_knn_reader;
GRANT SELECT (rowid) ON near TO vss_knn_reader;
SET ROLE vss_knn_reader;
SELECT * FROM vss_knn('near', '[3.25,0]', 1);
RESET ROLE;

-- several indexes: an error that lists them; those out of sight do not count
SELECT vss_exec('knn_b', $$
	CREATE TABLE places(id INTEGER PRIMARY KEY, home BLOB, work BLOB);
	CREATE VIRTUAL TABLE homes USING hnsw(dim = 2, content = places, content_rowid = id, content_vector = home);
	CREATE VIRTUAL TABLE works USING hnsw(dim = 2, content = places, content_rowid = id, content_vector = work);
	INSERT INTO places VALUES (1, vector('[1,0]'), vector('[0,1]')), (2, vector('[0,1]'), vector('[1,0]'));
$$) > 0 AS filled;
CREATE SCHEMA knn_b;
IMPORT FOREIGN SCHEMA main FROM SERVER knn_b INTO knn_b;
SELECT rowid FROM vss_knn('[3.25,0]', 1);
SELECT rowid FROM vss_knn('knn_b.works', '[1,0]', 1);
SELECT rowid FROM vss_knn('knn_b.places', '[1,0]', 1);
SET search_path = knn, knn_b, public;
SELECT rowid FROM vss_knn('[3.25,0]', 1);
DROP FOREIGN TABLE knn_b.homes, near;
SELECT rowid FROM vss_knn('[1,0]', 1);
DROP FOREIGN TABLE knn_b.works;
SELECT rowid FROM vss_knn('[1,0]', 1);
DROP FOREIGN TABLE knn_b.places, points;
SELECT rowid FROM vss_knn('[1,0]', 1);

-- changes are seen at once, and gone with a rollback
IMPORT FOREIGN SCHEMA main LIMIT TO (near, points) FROM SERVER knn_a INTO knn;
BEGIN;
SELECT vss_exec('knn_a', 'INSERT INTO points VALUES (7, ''new'', vector(''[3.25,0]''))') > 0 AS changed;
SELECT * FROM vss_knn('near', '[3.25,0]', 1);
ROLLBACK;
SELECT * FROM vss_knn('near', '[3.25,0]', 1);

-- the extension may live in any schema, and move
BEGIN;
CREATE SCHEMA elsewhere;
ALTER EXTENSION vss_fdw SET SCHEMA elsewhere;
SELECT id FROM points ORDER BY place OPERATOR(elsewhere.<->) '[3.25,0]' LIMIT 1;
SELECT index_used($$SELECT id FROM points ORDER BY place OPERATOR(elsewhere.<->) '[3.25,0]' LIMIT 1$$);
SELECT rowid FROM elsewhere.vss_knn('near', '[3.25,0]', 1);
SELECT id FROM points WHERE elsewhere.vss_knn(place, '[3.25,0]', 1);
SELECT DISTINCT elsewhere.vss_dims(place) FROM points ORDER BY 1;
ROLLBACK;
SELECT id FROM points ORDER BY place <-> '[3.25,0]' LIMIT 1;

DROP SCHEMA knn, knn_b CASCADE;
DROP SERVER knn_a CASCADE;
DROP SERVER knn_b CASCADE;
DROP ROLE vss_knn_reader;
