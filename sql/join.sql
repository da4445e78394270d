-- Joins of tables of one server, done by SQLite; a local copy is the oracle.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/join*.db*
\! sqlite3 /tmp/vss_fdw_regress/join.db "CREATE TABLE a(id INTEGER PRIMARY KEY, k INT, t TEXT, n TEXT COLLATE NOCASE); CREATE TABLE b(id INTEGER PRIMARY KEY, a INT, t TEXT, f REAL); CREATE INDEX b_a ON b(a); CREATE TABLE c(k INT, v TEXT); WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 300) INSERT INTO a SELECT i, i % 7, 't' || (i % 10), CASE i % 2 WHEN 0 THEN 'X' ELSE 'x' END || (i % 3) FROM s; WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 500) INSERT INTO b SELECT i, i % 400, 't' || (i % 13), i / 3.0 FROM s; INSERT INTO b VALUES (1000, NULL, NULL, NULL); INSERT INTO a VALUES (1000, NULL, NULL, NULL); INSERT INTO c VALUES (1, 'x1'), (2, 'X2'), (2, 't2'), (NULL, NULL), (9, 't9')"
\! chmod 666 /tmp/vss_fdw_regress/join.db; cp /tmp/vss_fdw_regress/join.db /tmp/vss_fdw_regress/join2.db; chmod 666 /tmp/vss_fdw_regress/join2.db
CREATE SERVER join1 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/join.db');
CREATE SERVER join2 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/join2.db');
CREATE SCHEMA fjoin;
CREATE SCHEMA ljoin;
IMPORT FOREIGN SCHEMA main FROM SERVER join1 INTO fjoin;
CREATE FOREIGN TABLE fjoin.other(id bigint, k bigint) SERVER join2 OPTIONS ("table" 'a');
CREATE TABLE ljoin.a AS SELECT * FROM fjoin.a;
CREATE TABLE ljoin.b AS SELECT * FROM fjoin.b;
CREATE TABLE ljoin.c AS SELECT * FROM fjoin.c;
CREATE TABLE ljoin.other AS SELECT * FROM fjoin.other;
CREATE TABLE fjoin.l AS SELECT n AS id FROM generate_series(1, 20) AS n;
CREATE TABLE ljoin.l AS SELECT * FROM fjoin.l;
ANALYZE ljoin.a, ljoin.b, ljoin.c;

-- Whether the rows are the local ones, how many, and how many scans SQLite is asked for.
CREATE FUNCTION compare(query text, OUT rows bigint, OUT same boolean, OUT scans bigint, OUT filtered boolean)
LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
	f text[];
	l text[];
BEGIN
	PERFORM set_config('search_path', 'ljoin, public', true);
	EXECUTE format('SELECT array_agg(q::text ORDER BY q::text COLLATE "C") FROM (%s) AS q', query) INTO l;
	PERFORM set_config('search_path', 'fjoin, public', true);
	-- whatever goes down shall, cheaper or not
	PERFORM set_config(s, 'off', true) FROM unnest(ARRAY['enable_hashjoin', 'enable_mergejoin', 'enable_nestloop']) AS s;
	EXECUTE format('SELECT array_agg(q::text ORDER BY q::text COLLATE "C") FROM (%s) AS q', query) INTO f;
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	rows := coalesce(cardinality(l), 0);
	same := f IS NOT DISTINCT FROM l;
	PERFORM set_config(s, 'on', true) FROM unnest(ARRAY['enable_hashjoin', 'enable_mergejoin', 'enable_nestloop']) AS s;
	SELECT count(*), bool_or(node ? 'Filter') INTO scans, filtered
		FROM jsonb_path_query(plan, 'strict $.** ? (@."Node Type" == "Foreign Scan")') AS node;
END $$;

SELECT c.*, query FROM unnest(ARRAY[
	'SELECT a.id, b.id AS b FROM a JOIN b ON b.a = a.id',
	'SELECT a.id, b.id AS b FROM a JOIN b ON b.a = a.id WHERE a.k = 3 AND b.f > 20',
	'SELECT a.*, b.* FROM a JOIN b ON b.a = a.id AND b.t = a.t',
	'SELECT a.id, b.id AS b FROM a LEFT JOIN b ON b.a = a.id',
	'SELECT a.id, b.id AS b FROM a LEFT JOIN b ON b.a = a.id AND b.f > 20 WHERE a.k = 3',
	'SELECT a.id, b.id AS b FROM a LEFT JOIN b ON b.a = a.id AND a.k = 2',
	'SELECT a.id, b.id AS b FROM a LEFT JOIN b ON b.a = a.id WHERE b.id IS NULL',
	'SELECT a.id, b.id AS b FROM a LEFT JOIN b ON b.a = a.id WHERE b.f IS NULL',
	'SELECT a.id, b.id AS b FROM a LEFT JOIN b ON b.a = a.id WHERE b.id IS NULL OR b.f < 10',
	'SELECT a.id, b.id AS b FROM a RIGHT JOIN b ON b.a = a.id AND a.k = 1',
	'SELECT a.id, b.id AS b FROM a FULL JOIN b ON b.a = a.id',
	'SELECT x.id, b.id AS b FROM (SELECT * FROM a WHERE k = 1) AS x FULL JOIN (SELECT * FROM b WHERE id > 3) AS b ON b.a = x.id',
	'SELECT a.id, b.id AS b FROM a FULL JOIN b ON b.a = a.id AND b.id > 3 WHERE a.id IS NULL OR b.id IS NULL',
	'SELECT count(*), count(a.id), count(b.id) FROM a FULL JOIN b ON b.a = a.id',
	'SELECT a.id, b.id AS b, c.id AS c FROM a FULL JOIN b ON b.a = a.id LEFT JOIN a AS c ON c.id = b.id',
	'SELECT a.id, b.id AS b, c.id AS c FROM a AS c JOIN (a FULL JOIN b ON b.a = a.id) ON c.id = b.id WHERE a.id IS NULL OR c.k = 2',
	'SELECT c.v, a.id, b.id AS b FROM c LEFT JOIN (a FULL JOIN b ON b.a = a.id AND b.t = a.t) ON c.k = b.id AND a.k < 5',
	'SELECT x.id, b.id AS b, c.v FROM (SELECT a.id, a.k FROM a JOIN b ON b.a = a.id WHERE a.k < 3 AND b.f > 10) AS x FULL JOIN c ON c.k = x.k FULL JOIN (SELECT * FROM b WHERE id < 20) AS b ON b.id = x.id',
	'SELECT a.id, b.id AS b, c.v FROM (SELECT * FROM a WHERE k = 2) AS a LEFT JOIN (SELECT * FROM b WHERE f > 10) AS b ON b.a = a.id FULL JOIN c ON c.k = a.id',
	'SELECT a.id, b.id AS b, c.v FROM a LEFT JOIN b ON b.a = a.id FULL JOIN (SELECT * FROM c WHERE v IS NOT NULL) AS c ON c.k = b.id WHERE c.v IS NOT NULL OR a.k = 2',
	'SELECT x.id, c.v FROM (SELECT a.id FROM a LEFT JOIN b ON b.a = a.id WHERE b.id IS NULL OR b.f > a.k) AS x FULL JOIN c ON c.k = x.id',
	'SELECT x.id, c.v FROM (SELECT a.id FROM a LEFT JOIN b ON b.a = a.id WHERE b.id IS NULL OR md5(b.f::text) > md5(a.k::text)) AS x FULL JOIN c ON c.k = x.id',
	'SELECT x.id, c.v FROM (SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.a = a.id)) AS x FULL JOIN c ON c.k = x.id',
	'SELECT a.id, b.id AS b FROM a FULL JOIN b ON b.a = a.id WHERE NOT EXISTS (SELECT 1 FROM c WHERE c.k = a.k)',
	'SELECT count(*), sum(a.id), max(b.id), count(c.k) FROM a FULL JOIN b ON b.a = a.id FULL JOIN c ON c.k = b.id',
	'SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.a = a.id AND b.f > 20)',
	'SELECT a.id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.a = a.id AND b.f > 20)',
	'SELECT a.id FROM a WHERE a.id IN (SELECT a FROM b WHERE f > 20)',
	'SELECT a.id FROM a WHERE a.id NOT IN (SELECT a FROM b)',
	'SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b JOIN c ON c.k = b.id WHERE b.a = a.id)',
	'SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.a = a.id AND NOT EXISTS (SELECT 1 FROM c WHERE c.k = b.id))',
	'SELECT a.id, c.v FROM a JOIN c ON c.k = a.k WHERE EXISTS (SELECT 1 FROM b WHERE b.a = a.id)',
	'SELECT a.id, b.id AS b, c.v FROM a JOIN b ON b.a = a.id JOIN c ON c.k = a.k',
	'SELECT a.id, b.id AS b, c.v FROM a LEFT JOIN b ON b.a = a.id LEFT JOIN c ON c.k = b.id',
	'SELECT a.id, b.id AS b, c.v FROM a LEFT JOIN (b JOIN c ON c.k = b.id) ON b.a = a.id',
	'SELECT a.id, c.v FROM a JOIN c ON c.v = a.n',
	'SELECT x.id, y.id AS y FROM a AS x JOIN a AS y ON y.k = x.id',
	'SELECT x.id, y.id AS y FROM a AS x JOIN a AS y ON y.n = x.n AND y.id < x.id WHERE x.id < 20',
	'SELECT a.id, c.v FROM a CROSS JOIN c WHERE a.id < 10',
	'SELECT count(*) FROM a, b, c WHERE b.a = a.id AND c.k = a.k',
	'SELECT a.id, b.id AS b FROM a JOIN b ON b.a = a.id WHERE a.k + b.id = 10',
	'SELECT a.id, b.id AS b FROM a LEFT JOIN b ON b.a = a.id AND b.f + a.k > 100',
	'SELECT a.id, b.id AS b FROM a JOIN b ON b.a = a.id WHERE upper(a.t) = ''T1''',
	'SELECT a, b FROM a JOIN b ON b.a = a.id',
	'SELECT a.id, o.k FROM a JOIN other AS o ON o.id = a.id',
	'SELECT a.id, l.id AS l FROM a JOIN b ON b.a = a.id JOIN l ON l.id = a.id',
	'SELECT a.id, s.n FROM a LEFT JOIN (SELECT id, a, coalesce(f, 0) AS n FROM b) AS s ON s.a = a.id',
	'SELECT a.id, (SELECT max(b.f) FROM b WHERE b.a = a.id) AS m FROM a WHERE a.k = 2',
	'SELECT a.id, x.f FROM a, LATERAL (SELECT f FROM b WHERE b.a = a.id ORDER BY f LIMIT 1) AS x WHERE a.k = 2',
	'SELECT a.id, a.t FROM a JOIN b ON b.t = a.t AND b.id = a.id ORDER BY a.id LIMIT 7'
	]) AS query, compare(query) AS c;

SET search_path = fjoin, public;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
EXPLAIN (VERBOSE, COSTS OFF) SELECT a.t, b.f FROM a JOIN b ON b.a = a.id WHERE a.k = 3 AND b.f > 20;
EXPLAIN (VERBOSE, COSTS OFF) SELECT a.t, b.f FROM a LEFT JOIN b ON b.a = a.id AND b.f > 20 WHERE a.k = 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT a.id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.a = a.id AND b.t = a.n);
EXPLAIN (VERBOSE, COSTS OFF) SELECT a.id, c.v FROM a LEFT JOIN (b JOIN c ON c.k = b.id) ON b.a = a.id;
EXPLAIN (VERBOSE, COSTS OFF) SELECT x.id, b.id FROM (SELECT a.id, a.k FROM a LEFT JOIN c ON c.k = a.k AND c.v = a.n WHERE a.k < 3) AS x FULL JOIN b ON b.id = x.id;
PREPARE p(int) AS SELECT a.id, b.id FROM a JOIN b ON b.a = a.id AND b.f > $1 WHERE a.k = $1 ORDER BY 1, 2 LIMIT 3;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p(3);
EXECUTE p(3);
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;

-- rows to insert
EXPLAIN (COSTS OFF) INSERT INTO l SELECT a.id FROM a JOIN b ON b.a = a.id AND b.f > 20 AND a.k = 3;
INSERT INTO l SELECT a.id FROM a JOIN b ON b.a = a.id AND b.f > 20 AND a.k = 3;
INSERT INTO ljoin.l SELECT a.id FROM ljoin.a JOIN ljoin.b ON b.a = a.id AND b.f > 20 AND a.k = 3;
SELECT count(*) > 20 AS some, (SELECT array_agg(id ORDER BY id) FROM l) = (SELECT array_agg(id ORDER BY id) FROM ljoin.l) AS same FROM l;
-- into a table that the join reads: it does not meet them
INSERT INTO b(id, a, f) SELECT b.id + 5000, a.id, b.f FROM a JOIN b ON b.a = a.id WHERE b.f < 5;
SELECT count(*) AS new FROM b WHERE id > 5000;
SELECT count(*) AS wanted FROM ljoin.a JOIN ljoin.b ON b.a = a.id WHERE b.f < 5;
DELETE FROM b WHERE id > 5000;

-- row locks need whole rows: each table is read by itself
EXPLAIN (COSTS OFF) SELECT a.id FROM a JOIN b ON b.a = a.id FOR UPDATE;
-- a value that does not fit names its table
\! sqlite3 /tmp/vss_fdw_regress/join.db "UPDATE b SET f = 'wrong' WHERE id = 7"
\set VERBOSITY default
SELECT a.id, b.f FROM a JOIN b ON b.a = a.id WHERE a.id = 7;

DROP SERVER join1 CASCADE;
DROP SERVER join2 CASCADE;
DROP SCHEMA fjoin, ljoin CASCADE;
DROP FUNCTION compare;
