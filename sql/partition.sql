-- Partitions in SQLite: ordered reading, joins and groups of partitions; a local copy is the oracle.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/partition*.db*
\! sqlite3 /tmp/vss_fdw_regress/partition1.db "CREATE TABLE a(k INTEGER PRIMARY KEY, v INT, t TEXT); CREATE INDEX a_v ON a(v DESC); CREATE TABLE b(k INTEGER PRIMARY KEY, w INT); WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1999) INSERT INTO a SELECT x, nullif(x * 7 % 100, 3), 't' || (x % 5) FROM c; INSERT INTO b SELECT k, v % 10 FROM a WHERE k % 3 = 0"
\! cp /tmp/vss_fdw_regress/partition1.db /tmp/vss_fdw_regress/partition2.db; sqlite3 /tmp/vss_fdw_regress/partition1.db "DELETE FROM a WHERE k >= 1000; DELETE FROM b WHERE k >= 1000"; sqlite3 /tmp/vss_fdw_regress/partition2.db "DELETE FROM a WHERE k < 1000; DELETE FROM b WHERE k < 1000"; chmod 666 /tmp/vss_fdw_regress/partition*.db
CREATE SERVER partition1 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/partition1.db');
CREATE SERVER partition2 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/partition2.db');
CREATE SCHEMA fpart;
CREATE SCHEMA lpart;
SET search_path = fpart, public;
CREATE TABLE a(k bigint, v bigint, t text COLLATE "C") PARTITION BY RANGE (k);
CREATE FOREIGN TABLE a1 PARTITION OF a FOR VALUES FROM (0) TO (1000) SERVER partition1 OPTIONS ("table" 'a');
CREATE FOREIGN TABLE a2 PARTITION OF a FOR VALUES FROM (1000) TO (2000) SERVER partition2 OPTIONS ("table" 'a');
CREATE TABLE b(k bigint, w bigint) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE b1 PARTITION OF b FOR VALUES FROM (0) TO (1000) SERVER partition1 OPTIONS ("table" 'b');
CREATE FOREIGN TABLE b2 PARTITION OF b FOR VALUES FROM (1000) TO (2000) SERVER partition2 OPTIONS ("table" 'b');
CREATE TABLE lpart.a AS SELECT * FROM a;
CREATE TABLE lpart.b AS SELECT * FROM b;
ANALYZE a1, a2, b1, b2, a, b, lpart.a, lpart.b;
SET enable_partitionwise_join = on;
SET enable_partitionwise_aggregate = on;

EXPLAIN (COSTS OFF) SELECT k, v FROM a ORDER BY v DESC, k LIMIT 5;
EXPLAIN (COSTS OFF) SELECT k FROM a ORDER BY k DESC LIMIT 5;
SET enable_hashagg = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT a.k, b.w FROM a JOIN b USING (k) WHERE a.v = 5 ORDER BY a.k LIMIT 5;
-- a grouped query has one more relation in PostgreSQL 18: the numbers do not count
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		RETURN NEXT regexp_replace(line, '\mr\d+\M', 'r', 'g');
	END LOOP;
END $$;
SELECT plan('SELECT k, sum(v) FROM a GROUP BY k HAVING max(v) > 90');
DROP FUNCTION plan;
RESET enable_hashagg;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;

-- Whether the rows are the local ones, in their order where one is wanted.
CREATE FUNCTION compare(query text, OUT rows int, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
	f text[];
	l text[];
	wanted text := CASE WHEN query ~ 'ORDER BY' THEN '' ELSE ' ORDER BY q::text COLLATE "C"' END;
BEGIN
	PERFORM set_config('search_path', 'lpart, public', true);
	EXECUTE format('SELECT array_agg(q::text%s) FROM (%s) AS q', wanted, query) INTO l;
	PERFORM set_config('search_path', 'fpart, public', true);
	EXECUTE format('SELECT array_agg(q::text%s) FROM (%s) AS q', wanted, query) INTO f;
	rows := coalesce(cardinality(l), 0);
	same := f IS NOT DISTINCT FROM l;
END $$;
SELECT c.*, query FROM unnest(ARRAY[
	'SELECT k, v FROM a ORDER BY v, k LIMIT 5',
	'SELECT k, v FROM a ORDER BY v DESC, k LIMIT 60',
	'SELECT k, v FROM a ORDER BY v, k DESC LIMIT 30',
	'SELECT k, v FROM a ORDER BY v NULLS FIRST, k LIMIT 30',
	'SELECT k, v FROM a WHERE t = ''t1'' ORDER BY v DESC NULLS LAST, k LIMIT 7 OFFSET 3',
	'SELECT k FROM a ORDER BY k DESC LIMIT 1200',
	'SELECT k, t FROM a ORDER BY t DESC, k LIMIT 9',
	'SELECT max(k), min(v) FROM a',
	'SELECT a.k, b.w FROM a JOIN b USING (k) WHERE a.v = 5',
	'SELECT a.k, b.w FROM a LEFT JOIN b USING (k) ORDER BY a.k DESC LIMIT 8',
	'SELECT a.k, b.w, a.v FROM a LEFT JOIN b USING (k) ORDER BY b.w DESC, a.k LIMIT 8',
	'SELECT a.k, b.k AS bk FROM a FULL JOIN b USING (k) WHERE a.v = 5 OR b.w = 3 ORDER BY 1, 2 LIMIT 20',
	'SELECT a.k FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.w > 7) ORDER BY a.k LIMIT 5',
	'SELECT k, sum(v) FROM a GROUP BY k HAVING max(v) > 90 ORDER BY k LIMIT 12',
	'SELECT v, count(*), min(k) FROM a GROUP BY v',
	'SELECT a.k, count(b.w) FROM a LEFT JOIN b USING (k) GROUP BY a.k HAVING sum(a.v) = 50',
	'SELECT t, sum(v), avg(k) FROM a GROUP BY t'
	]) AS query, compare(query) AS c;

-- An imported INTEGER PRIMARY KEY is NOT NULL, so the table fits a parent that says so; SQLite still fills it.
CREATE SCHEMA lkeyed;
IMPORT FOREIGN SCHEMA main LIMIT TO (b) FROM SERVER partition1 INTO lkeyed;
CREATE TABLE lkeyed.parent(k bigint NOT NULL, w bigint) PARTITION BY LIST (w);
ALTER TABLE lkeyed.parent ATTACH PARTITION lkeyed.b FOR VALUES IN (77);
INSERT INTO lkeyed.b(w) VALUES (77);
INSERT INTO lkeyed.b VALUES (NULL, 77), (DEFAULT, 77);
INSERT INTO lkeyed.parent(w) VALUES (77);
COPY lkeyed.parent(w) FROM STDIN;
77
\.
SELECT count(*), count(DISTINCT k), count(k) FROM lkeyed.parent WHERE w = 77;

DROP SCHEMA fpart, lpart, lkeyed CASCADE;
DROP SERVER partition1;
DROP SERVER partition2;
