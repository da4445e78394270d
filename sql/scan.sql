-- Scans: columns, whole rows, rescans, cursors, keys, views, many scans at a time.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/scan.db*
\! sqlite3 /tmp/vss_fdw_regress/scan.db "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT, c REAL); CREATE INDEX t_ab ON t(a, b); CREATE UNIQUE INDEX t_b ON t(b); WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) INSERT INTO t SELECT n, n % 50, 'b' || n, n / 4.0 FROM c"
\! sqlite3 /tmp/vss_fdw_regress/scan.db "CREATE TABLE w(k TEXT, v INT, PRIMARY KEY (k, v)) WITHOUT ROWID; INSERT INTO w VALUES ('a', 1), ('a', 2), ('b', 1); CREATE VIEW v AS SELECT a, count(*) AS n, max(b) AS m FROM t GROUP BY a; CREATE TABLE \"odd \"\"name\"(\"a b\" INT, \"select\" TEXT, \"ä\" TEXT); INSERT INTO \"odd \"\"name\" VALUES (1, 'x', 'ü'); CREATE TABLE empty(a INT); CREATE TABLE s(i INTEGER, t TEXT, r REAL) STRICT; INSERT INTO s VALUES (1, '1', 1)"
\! chmod 666 /tmp/vss_fdw_regress/scan.db

CREATE SERVER scan FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/scan.db');
CREATE SCHEMA scan;
SET search_path = scan, public;
IMPORT FOREIGN SCHEMA main FROM SERVER scan INTO scan;
CREATE TABLE local_t AS SELECT * FROM t;
ALTER TABLE local_t ADD PRIMARY KEY (id);
ANALYZE local_t;

-- what is fetched
EXPLAIN (VERBOSE, COSTS OFF) SELECT b FROM t WHERE a = 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM t;
EXPLAIN (VERBOSE, COSTS OFF) SELECT t FROM t WHERE id = 7;
EXPLAIN (VERBOSE, COSTS OFF) SELECT a FROM t WHERE upper(b) = 'B7' AND c < 3;
SELECT t, tableoid::regclass, a + 1 AS sum FROM t WHERE id = 7;
SELECT count(*), sum(a), sum(c), max(b COLLATE "C") FROM t;
SELECT count(*) FROM (TABLE t EXCEPT ALL TABLE local_t) AS x;
SELECT count(*) FROM (TABLE local_t EXCEPT ALL TABLE t) AS x;
SELECT * FROM w ORDER BY k, v;
SELECT * FROM v WHERE a = 3;
SELECT * FROM "odd ""name" WHERE "a b" = 1 AND "select" = 'x' AND "ä" <> 'x';
SELECT * FROM empty;
SELECT * FROM s WHERE i = 1 AND t = '1' AND r = 1;
SELECT xmin FROM t WHERE id = 7;

-- rows expected: keys are known to be keys
CREATE FUNCTION estimate(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN plan->0->'Plan'->>'Plan Rows';
END $$;
SELECT estimate(query), query FROM unnest(ARRAY['SELECT * FROM t', 'SELECT * FROM t WHERE id = 5',
	'SELECT * FROM t WHERE b = ''b5''', 'SELECT * FROM w WHERE k = ''a'' AND v = 1',
	'SELECT * FROM local_t JOIN t USING (id)', 'SELECT * FROM local_t JOIN t USING (b)',
	'SELECT * FROM t AS x JOIN t AS y ON y.id = x.a']) AS query;

-- ANALYZE samples, and the planner learns what columns hold
SELECT estimate('SELECT * FROM t WHERE a < 5') AS before;
ANALYZE t;
SELECT estimate('SELECT * FROM t WHERE a < 5') BETWEEN 400 AND 600 AS after, reltuples FROM pg_class WHERE oid = 't'::regclass;
SELECT attname, null_frac, n_distinct FROM pg_stats WHERE schemaname = 'scan' AND tablename = 't' ORDER BY 1;
SET default_statistics_target = 1;
ANALYZE t;
RESET default_statistics_target;
SELECT reltuples FROM pg_class WHERE oid = 't'::regclass;
ANALYZE w, v, empty;

-- lookups by rowid, unique and other keys for the rows of a local table
CREATE TABLE few AS SELECT n AS id, n % 50 AS a, 'b' || n * 3 AS b FROM generate_series(1, 20) AS n;
ANALYZE few;
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM few JOIN t ON t.id = few.id;
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM few JOIN t ON t.b = few.b;
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM few JOIN t ON t.a = few.a AND t.b = few.b WHERE t.c > 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM few LEFT JOIN t ON t.id = few.a + 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM few WHERE EXISTS (SELECT 1 FROM t WHERE t.id = few.id AND t.c > few.a);
CREATE FUNCTION agree(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	differences bigint;
	local_query text := regexp_replace(query, '\mt\M(?!\.)', 'local_t AS t', 'g');
BEGIN
	EXECUTE format('SELECT count(*) FROM (%s) AS q', query) INTO n;
	EXECUTE format('SELECT (SELECT count(*) FROM (%1$s EXCEPT ALL %2$s) AS a) + (SELECT count(*) FROM (%2$s EXCEPT ALL %1$s) AS b)',
		'(' || query || ')', '(' || local_query || ')') INTO differences;
	RETURN format('%s rows, %s differences', n, differences);
END $$;
SELECT agree(query), query FROM unnest(ARRAY[
	'SELECT few.id, t.b FROM few JOIN t ON t.id = few.id',
	'SELECT few.id, t.id FROM few JOIN t ON t.b = few.b',
	'SELECT few.id, t.id FROM few JOIN t ON t.a = few.a AND t.b = few.b WHERE t.c > 1',
	'SELECT few.id, t.c FROM few LEFT JOIN t ON t.id = few.a + 4990',
	'SELECT few.id FROM few WHERE EXISTS (SELECT 1 FROM t WHERE t.id = few.id AND t.c > few.a)',
	'SELECT few.id FROM few WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.id = few.id AND t.c > few.a)',
	'SELECT few.id, (SELECT max(c) FROM t WHERE t.a = few.a) FROM few',
	'SELECT few.id, x.id FROM few, LATERAL (SELECT id FROM t WHERE t.a = few.a ORDER BY c DESC LIMIT 2) AS x',
	'SELECT x.id, y.id FROM (SELECT * FROM t) AS x JOIN (SELECT * FROM t) AS y ON y.id = x.a WHERE x.id < 100',
	'SELECT count(*) FROM t FULL JOIN few USING (id)',
	'SELECT few.id FROM few WHERE few.id IN (SELECT a FROM t WHERE c < 2)']) AS query;

-- a correlated subquery rescans; its statement is reset, not prepared again
SELECT sum((SELECT c FROM t WHERE t.id = g)) FROM generate_series(1, 1000) AS g;

-- cursors, forward and back; two on one statement; past the end
BEGIN;
DECLARE a CURSOR FOR SELECT id FROM t WHERE a = 1 ORDER BY id;
DECLARE b SCROLL CURSOR FOR SELECT id FROM t WHERE a = 1;
DECLARE c NO SCROLL CURSOR FOR SELECT id FROM t WHERE a = 1;
FETCH 2 FROM a;
FETCH 2 FROM b;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM b;
SAVEPOINT s;
FETCH 1 FROM c;
ROLLBACK TO s;
FETCH 1 FROM c;
MOVE 1000 FROM c;
FETCH 1 FROM c;
FETCH 1 FROM c;
COMMIT;

-- a plan that is kept notices when the SQLite table changes
PREPARE kept AS SELECT * FROM empty;
EXECUTE kept;
\! sqlite3 /tmp/vss_fdw_regress/scan.db "INSERT INTO empty VALUES (5); ALTER TABLE empty ADD COLUMN b TEXT"
EXECUTE kept;
\! sqlite3 /tmp/vss_fdw_regress/scan.db "DROP TABLE empty"
EXECUTE kept;

-- errors in the middle of a scan leave nothing behind
SELECT 1 / (id - 3) FROM t ORDER BY id LIMIT 5;
BEGIN;
SAVEPOINT s;
SELECT 1 / (id - 3) FROM t;
ROLLBACK TO s;
SELECT count(*) FROM t;
COMMIT;

-- security barrier: a leaky function sees only rows that the view lets through
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE WARNING 'saw %', $1; RETURN true; END $$;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM t WHERE id < 3;
SELECT id FROM barrier WHERE leak(b) ORDER BY id;

DROP SCHEMA scan CASCADE;
DROP SERVER scan CASCADE;
