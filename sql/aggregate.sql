-- Groups, aggregates and order that SQLite computes; a local copy is the oracle.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/aggregate.db*
\! sqlite3 /tmp/vss_fdw_regress/aggregate.db "CREATE TABLE t(id INTEGER PRIMARY KEY, i INT, big INT, f REAL, s TEXT, nc TEXT COLLATE NOCASE, b BOOLEAN, n NUMERIC); CREATE INDEX t_i ON t(i); WITH RECURSIVE c(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM c WHERE k < 1000) INSERT INTO t SELECT k, k % 10, 9223372036854775807 - k, k / 8.0, 's' || (k % 7), CASE k % 3 WHEN 0 THEN 'A' WHEN 1 THEN 'a' ELSE 'b' END, k % 2, k * 1.5 FROM c; INSERT INTO t(id) VALUES (2000), (2001); INSERT INTO t VALUES (2002, -5, -9223372036854775807 - 1, -1e300, 'é', 'É', 0, -1)"
\! sqlite3 /tmp/vss_fdw_regress/aggregate.db "CREATE TABLE u(k INT, v TEXT); INSERT INTO u VALUES (1, 's1'), (2, 's2'), (2, 'S2'), (NULL, NULL); CREATE TABLE none(a INT, s TEXT, b BOOLEAN)"
\! chmod 666 /tmp/vss_fdw_regress/aggregate.db
CREATE SERVER aggregate FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/aggregate.db');
CREATE SCHEMA fagg;
CREATE SCHEMA lagg;
CREATE FOREIGN TABLE fagg.t(id bigint, i integer, big bigint, f double precision, s text, nc text, b boolean, n numeric) SERVER aggregate;
CREATE FOREIGN TABLE fagg.u(k integer, v text) SERVER aggregate;
CREATE FOREIGN TABLE fagg.none(a integer, s text, b boolean) SERVER aggregate;
CREATE TABLE lagg.t AS SELECT * FROM fagg.t;
CREATE TABLE lagg.u AS SELECT * FROM fagg.u;
CREATE TABLE lagg.none AS SELECT * FROM fagg.none;

-- Whether the rows are the local ones (in order where the query sorts), and whether the groups were made in SQLite.
CREATE FUNCTION compare(query text, OUT rows bigint, OUT same boolean, OUT pushed boolean)
LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
	f text[];
	l text[];
	sorted text := CASE WHEN query ~ 'ORDER BY [^)]*$' THEN '' ELSE ' ORDER BY q::text COLLATE "C"' END;
BEGIN
	PERFORM set_config('search_path', 'lagg, public', true);
	EXECUTE format('SELECT array_agg(q::text%s) FROM (%s) AS q', sorted, query) INTO l;
	PERFORM set_config('search_path', 'fagg, public', true);
	-- whatever goes down shall, cheaper or not
	PERFORM set_config(e, 'off', true) FROM unnest(ARRAY['enable_hashagg', 'enable_sort', 'enable_incremental_sort', 'enable_hashjoin', 'enable_mergejoin', 'enable_nestloop']) AS e;
	EXECUTE format('SELECT array_agg(q::text%s) FROM (%s) AS q', sorted, query) INTO f;
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	PERFORM set_config(e, 'on', true) FROM unnest(ARRAY['enable_hashagg', 'enable_sort', 'enable_incremental_sort', 'enable_hashjoin', 'enable_mergejoin', 'enable_nestloop']) AS e;
	rows := coalesce(cardinality(l), 0);
	same := f IS NOT DISTINCT FROM l;
	pushed := NOT jsonb_path_exists(plan, 'strict $.** ? (@."Node Type" == "Aggregate" || @."Node Type" == "Sort" || @."Node Type" == "Group")');
END $$;
SELECT c.*, query FROM unnest(ARRAY[
	'SELECT count(*) FROM t', 'SELECT count(*), count(i), count(n), count(s) FROM t',
	'SELECT count(*) FROM t WHERE i = 3', 'SELECT count(*) FROM t WHERE upper(s) = ''S1''',
	'SELECT min(i), max(i), min(big), max(big), min(f), max(f) FROM t',
	'SELECT sum(i), sum(id) FROM t', 'SELECT sum(big) FROM t', 'SELECT sum(big) FROM t WHERE id > 1500',
	'SELECT sum(f) FROM t WHERE i = 1', 'SELECT avg(i) FROM t', 'SELECT sum(n) FROM t',
	'SELECT min(s), max(s) FROM t', 'SELECT min(s COLLATE "C"), max(s COLLATE "C") FROM t', 'SELECT max(nc COLLATE "C") FROM t',
	'SELECT bool_and(b), bool_or(b), every(b) FROM t', 'SELECT bool_and(b) FROM t WHERE b',
	'SELECT count(DISTINCT i), count(DISTINCT s), count(DISTINCT nc) FROM t', 'SELECT sum(DISTINCT i) FROM t',
	'SELECT count(*) FILTER (WHERE i > 5), sum(i) FILTER (WHERE b), min(f) FILTER (WHERE s = ''s1'') FROM t',
	'SELECT count(*) FILTER (WHERE upper(s) = ''S1'') FROM t', 'SELECT string_agg(s, '','' ORDER BY id) FROM t WHERE id < 5',
	'SELECT count(*), sum(a), min(s COLLATE "C"), bool_and(b) FROM none', 'SELECT a, count(*) FROM none GROUP BY a',
	'SELECT i, count(*) FROM t GROUP BY i', 'SELECT s, sum(i), max(f) FROM t GROUP BY s', 'SELECT nc, count(*) FROM t GROUP BY nc',
	'SELECT b, s, count(*) FROM t GROUP BY b, s', 'SELECT b, s FROM t GROUP BY b, s', 'SELECT f, count(*) FROM t GROUP BY f',
	'SELECT n, count(*) FROM t GROUP BY n', 'SELECT i + 1 AS j, count(*) FROM t GROUP BY i', 'SELECT i + 1 AS j, count(*) FROM t GROUP BY i + 1',
	'SELECT i > 5 AS x, count(*) FROM t GROUP BY 1', 'SELECT count(*) + 1 AS c, sum(i) * 2 AS d FROM t GROUP BY s', 'SELECT upper(s) AS u, count(*) FROM t GROUP BY s',
	'SELECT i, count(*) FROM t GROUP BY i HAVING count(*) > 100', 'SELECT i, count(*) FROM t GROUP BY i HAVING sum(i) + i > 300',
	'SELECT i, count(*) FROM t GROUP BY i HAVING max(upper(s)) > ''S1''', 'SELECT s FROM t GROUP BY s HAVING s <> ''s1''',
	'SELECT i, count(*) FROM t GROUP BY ROLLUP (i)', 'SELECT count(*) FROM t GROUP BY ()', 'SELECT count(*) FROM t HAVING count(*) > 2000',
	'SELECT u.v, count(*) FROM t JOIN u ON u.k = t.i GROUP BY u.v', 'SELECT t.i, count(u.v) FROM t LEFT JOIN u ON u.k = t.i AND u.v = t.s GROUP BY t.i',
	'SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.i)',
	'SELECT DISTINCT s FROM t', 'SELECT x.i, x.c, t.id FROM (SELECT i, count(*) AS c FROM t GROUP BY i) AS x JOIN t ON t.id = x.i',
	'SELECT (SELECT count(*) FROM t WHERE t.i = u.k) AS c FROM u', 'SELECT u.k, x.c FROM u, LATERAL (SELECT count(*) AS c FROM t WHERE t.i = u.k) AS x',
	'SELECT id FROM t ORDER BY id LIMIT 5', 'SELECT id FROM t ORDER BY id DESC', 'SELECT i, id FROM t ORDER BY i, id', 'SELECT i, id FROM t ORDER BY i DESC NULLS LAST, id',
	'SELECT i, id FROM t ORDER BY i NULLS FIRST, id DESC LIMIT 7', 'SELECT f FROM t ORDER BY f', 'SELECT s FROM t ORDER BY s', 'SELECT s, id FROM t ORDER BY s COLLATE "C", id',
	'SELECT nc, id FROM t ORDER BY nc COLLATE "C", id', 'SELECT id FROM t WHERE i = 3 ORDER BY f DESC NULLS LAST LIMIT 3', 'SELECT n FROM t ORDER BY n LIMIT 3',
	'SELECT id FROM t ORDER BY i + 1, id LIMIT 3', 'SELECT t.id, u.v FROM t JOIN u ON u.k = t.i ORDER BY t.id, u.v COLLATE "C" LIMIT 9',
	'SELECT s, count(*) FROM t GROUP BY s ORDER BY s COLLATE "C"', 'SELECT i, count(*) FROM t GROUP BY i ORDER BY 2 DESC, 1 LIMIT 3'
	]) AS query, compare(query) AS c;

SET search_path = fagg, public;
SET enable_hashagg = off;
SET enable_sort = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
EXPLAIN (VERBOSE, COSTS OFF) SELECT s, sum(i), count(*) FILTER (WHERE b) FROM t WHERE f < 100 GROUP BY s HAVING count(*) > 3 AND md5(max(s COLLATE "C")) <> 'X';
EXPLAIN (VERBOSE, COSTS OFF) SELECT u.v, count(*) FROM t JOIN u ON u.k = t.i WHERE t.f > 5 GROUP BY u.v;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t WHERE b ORDER BY i DESC NULLS LAST LIMIT 3;

-- a value that does not fit is no zero in a sum
\! sqlite3 /tmp/vss_fdw_regress/aggregate.db "UPDATE t SET i = 'x' WHERE id = 7"
SELECT sum(i) FROM t;
SELECT max(i) FROM t;
SELECT sum(i) FROM t WHERE i < 3;

DROP SERVER aggregate CASCADE;
DROP SCHEMA fagg, lagg CASCADE;
DROP FUNCTION compare;
