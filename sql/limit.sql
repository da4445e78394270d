-- LIMIT, OFFSET, DISTINCT and order that SQLite does; local copies are the oracle.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/limit.db*
\! sqlite3 /tmp/vss_fdw_regress/limit.db "CREATE TABLE t(id INTEGER PRIMARY KEY, i INT, n INT NOT NULL, m INT NOT NULL, s TEXT, f REAL, v TEXT COLLATE NOCASE, x NUMERIC); CREATE INDEX t_i ON t(i); CREATE INDEX t_nm ON t(n, m); WITH RECURSIVE c(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM c WHERE k < 5000) INSERT INTO t SELECT k, nullif(k * 7919 % 1000, 3), k % 50, k * 31 % 100, 's' || (k % 7), k / 8.0, CASE k % 3 WHEN 0 THEN 'A' WHEN 1 THEN 'a' ELSE 'b' END, k % 5 FROM c; CREATE TABLE u(k INTEGER PRIMARY KEY, w TEXT); INSERT INTO u SELECT id, s FROM t WHERE id < 20"
\! chmod 666 /tmp/vss_fdw_regress/limit.db
CREATE SERVER limits FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/limit.db');
CREATE SCHEMA flim;
CREATE SCHEMA llim;
IMPORT FOREIGN SCHEMA main FROM SERVER limits INTO flim;
CREATE TABLE llim.t AS SELECT * FROM flim.t;
CREATE TABLE llim.u AS SELECT * FROM flim.u;

-- Whether the rows are the local ones, or the same error is raised; and whether one scan did everything.
CREATE FUNCTION answer(schema text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	PERFORM set_config('search_path', schema || ', public', true);
	EXECUTE format('SELECT string_agg(q::text, E''\n'') FROM (%s) AS q', query) INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION compare(query text, OUT same boolean, OUT pushed boolean) LANGUAGE plpgsql AS $$
DECLARE plan jsonb;
BEGIN
	same := answer('llim', query) IS NOT DISTINCT FROM answer('flim', query);
	PERFORM set_config('search_path', 'flim, public', true);
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	pushed := plan->0->'Plan'->>'Node Type' = 'Foreign Scan' AND NOT plan->0->'Plan' ? 'Filter';
END $$;
SELECT c.*, query FROM unnest(ARRAY[
	'SELECT id FROM t ORDER BY id LIMIT 3', 'SELECT id FROM t ORDER BY id DESC LIMIT 3 OFFSET 2', 'SELECT id FROM t ORDER BY id OFFSET 4997',
	'SELECT i, id FROM t ORDER BY i, id LIMIT 5', 'SELECT i, id FROM t ORDER BY i DESC, id LIMIT 12', 'SELECT i, id FROM t ORDER BY i NULLS FIRST, id LIMIT 9',
	'SELECT n, m, id FROM t ORDER BY n, m, id LIMIT 5', 'SELECT n, m, id FROM t ORDER BY n DESC, m DESC, id DESC LIMIT 5', 'SELECT n, m, id FROM t ORDER BY n DESC, m, id LIMIT 5',
	'SELECT id FROM t ORDER BY f DESC LIMIT 4', 'SELECT s, id FROM t ORDER BY s COLLATE "C", id LIMIT 4', 'SELECT v, id FROM t ORDER BY v COLLATE "C", id LIMIT 4',
	'SELECT x, id FROM t ORDER BY x, id LIMIT 4', 'SELECT id + 1 AS j, upper(s) AS u FROM t ORDER BY id LIMIT 4', 'SELECT id FROM t WHERE upper(s) = ''S1'' ORDER BY id LIMIT 2',
	'SELECT id FROM t ORDER BY id LIMIT 0', 'SELECT id FROM t WHERE id < 4 ORDER BY id LIMIT NULL', 'SELECT id FROM t WHERE id < 4 ORDER BY id LIMIT ALL OFFSET NULL',
	'SELECT id FROM t WHERE id < 9 ORDER BY id LIMIT NULL OFFSET 3', 'SELECT id FROM t ORDER BY id LIMIT -1', 'SELECT id FROM t ORDER BY id LIMIT 1 OFFSET -1',
	'SELECT id FROM t ORDER BY id LIMIT (SELECT count(*) FROM u)', 'SELECT id FROM t WHERE id < 9 ORDER BY id LIMIT (SELECT NULL::int) OFFSET (SELECT NULL::int)',
	'SELECT id FROM t ORDER BY id LIMIT (SELECT -1)', 'SELECT id FROM t ORDER BY id OFFSET (SELECT -1)', 'SELECT id FROM t ORDER BY id LIMIT 9223372036854775807 OFFSET 4998',
	'SELECT n FROM t ORDER BY n FETCH FIRST 2 ROWS WITH TIES', 'SELECT id, row_number() OVER (ORDER BY id) FROM t ORDER BY id LIMIT 3', 'SELECT id, generate_series(1, 2) AS g FROM t ORDER BY id LIMIT 3',
	'SELECT id, generate_series(1, 2) AS g FROM t ORDER BY f LIMIT 4', 'SELECT generate_series(1, 2) AS g, id, f FROM t ORDER BY f OFFSET 9998', 'SELECT id, generate_series(1, n) AS g FROM t ORDER BY f, id LIMIT 3 OFFSET 1',
	'SELECT DISTINCT n, generate_series(1, 2) AS g FROM t ORDER BY n, g LIMIT 3', 'SELECT n, count(*), generate_series(1, 2) AS g FROM t GROUP BY n ORDER BY n LIMIT 3', 'SELECT unnest(ARRAY[u.k, t.i]) AS e FROM u JOIN t ON t.id = u.k ORDER BY u.k LIMIT 3',
	'SELECT id FROM t WHERE id = 77 LIMIT 1', 'SELECT t FROM t ORDER BY id LIMIT 1', 'SELECT count(*) FROM (SELECT id FROM t LIMIT 10) AS q',
	'SELECT u.k, t.i FROM u JOIN t ON t.id = u.k ORDER BY u.k LIMIT 3', 'SELECT u.k, t.i FROM u LEFT JOIN t ON t.i = u.k ORDER BY u.k, t.i LIMIT 6',
	'SELECT u.k, x.id FROM u, LATERAL (SELECT id FROM t WHERE t.n = u.k ORDER BY id LIMIT 2) AS x ORDER BY 1, 2',
	'SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.id) ORDER BY id LIMIT 3',
	'SELECT DISTINCT s COLLATE "C" AS s FROM t ORDER BY s COLLATE "C"', 'SELECT DISTINCT n, m FROM t ORDER BY n, m LIMIT 5', 'SELECT DISTINCT v COLLATE "C" AS v FROM t ORDER BY v COLLATE "C"', 'SELECT DISTINCT i FROM t ORDER BY i DESC LIMIT 3',
	'SELECT DISTINCT x FROM t ORDER BY x', 'SELECT DISTINCT f FROM t ORDER BY f LIMIT 3', 'SELECT DISTINCT upper(s) AS u FROM t ORDER BY u', 'SELECT DISTINCT ON (n) n, id FROM t ORDER BY n, id LIMIT 4',
	'SELECT DISTINCT n, 1 AS one FROM t ORDER BY n LIMIT 2', 'SELECT DISTINCT n > 7 AS b FROM t ORDER BY b', 'SELECT count(*) FROM (SELECT DISTINCT n, s FROM t) AS q',
	'SELECT DISTINCT u.w COLLATE "C" AS w FROM u JOIN t ON t.id = u.k ORDER BY u.w COLLATE "C" LIMIT 2', 'SELECT DISTINCT count(*) FROM t GROUP BY n',
	'SELECT n, count(*) FROM t GROUP BY n ORDER BY n LIMIT 3', 'SELECT s, count(*) AS c FROM t GROUP BY s ORDER BY c DESC, s COLLATE "C" LIMIT 3', 'SELECT n, max(i) FROM t GROUP BY n ORDER BY max(i), n DESC LIMIT 3 OFFSET 1',
	'SELECT n, sum(id) AS s FROM t GROUP BY n ORDER BY s DESC LIMIT 3', 'SELECT n, count(*) * 2 AS c FROM t GROUP BY n HAVING count(*) > 3 ORDER BY n DESC LIMIT 3'
	]) AS query, compare(query) AS c;

SET search_path = flim, public;
-- an order that the rowid or an index has costs no sort
CREATE FUNCTION sorts(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN (plan->0->'Plan'->>'Node Type') || ': ' || (plan->0->'Plan'->>'SQLite SQL');
END $$;
\t on
\o /tmp/vss_fdw_regress/limit.sql
SELECT 'EXPLAIN QUERY PLAN ' || replace(sorts(q), 'Foreign Scan: ', '') || ';' FROM unnest(ARRAY[
	'SELECT id FROM t ORDER BY id LIMIT 3', 'SELECT * FROM t ORDER BY id DESC LIMIT 3', 'SELECT * FROM t ORDER BY id', 'SELECT id FROM t ORDER BY i LIMIT 3',
	'SELECT id FROM t ORDER BY i DESC LIMIT 3', 'SELECT * FROM t ORDER BY n, m LIMIT 3', 'SELECT * FROM t ORDER BY n DESC, m DESC, id DESC LIMIT 3',
	'SELECT * FROM t ORDER BY i, id LIMIT 3', 'SELECT id FROM t ORDER BY f LIMIT 3', 'SELECT n, count(*) FROM t GROUP BY n ORDER BY n LIMIT 2']) AS q;
\o
\t off
\! sqlite3 /tmp/vss_fdw_regress/limit.db < /tmp/vss_fdw_regress/limit.sql

-- parameters
SET plan_cache_mode = force_generic_plan;
PREPARE page(bigint, bigint) AS SELECT id FROM t WHERE n = 7 ORDER BY id LIMIT $1 OFFSET $2;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE page(2, 1);
EXECUTE page(2, 1);
EXECUTE page(2, NULL);
EXECUTE page(NULL, 98);
EXECUTE page(-1, 0);
EXECUTE page(1, -1);
-- the same parameter as a value and as a count
PREPARE twice(bigint) AS SELECT id, $1 AS p FROM t WHERE id > $1 ORDER BY id LIMIT $1;
EXECUTE twice(2);
EXECUTE twice(NULL);
RESET plan_cache_mode;

-- a cursor, and rows that are locked, want the rows themselves
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id LIMIT 4;
FETCH 2 FROM c;
UPDATE t SET i = 1 WHERE id = 3;
FETCH ALL FROM c;
ROLLBACK;
EXPLAIN (VERBOSE, COSTS OFF) SELECT DISTINCT s, n FROM t WHERE i < 5;
EXPLAIN (VERBOSE, COSTS OFF) SELECT n, count(*) FROM t GROUP BY n ORDER BY count(*) DESC, n LIMIT 3 OFFSET 2;


-- rows may be told apart by any of the columns that a condition makes equal
SELECT c.*, query FROM unnest(ARRAY['SELECT DISTINCT ON (m) m, id, s FROM t WHERE n = m ORDER BY m, id DESC',
	'SELECT DISTINCT ON (m, i) m, i, id FROM t WHERE n = m ORDER BY m, i, id DESC',
	'SELECT DISTINCT m FROM t WHERE n = m ORDER BY m']) AS query, compare(query) AS c;

DROP SERVER limits CASCADE;
DROP SCHEMA flim, llim CASCADE;
DROP FUNCTION compare, answer;
