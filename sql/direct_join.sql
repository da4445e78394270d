-- UPDATE and DELETE with joins as one statement of SQLite; a local copy is the oracle.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/direct_join*
\! sqlite3 /tmp/vss_fdw_regress/direct_join.db "CREATE TABLE t(id INTEGER PRIMARY KEY, k INT, small INT, i INT, big INT, s TEXT, f REAL, b BOOLEAN, n NUMERIC); CREATE INDEX t_i ON t(i); CREATE TABLE l(k INTEGER PRIMARY KEY, name TEXT, v INT, f REAL, b BOOLEAN); CREATE TABLE many(k INT, v INT); CREATE TABLE keyed(a TEXT, b INT, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID; CREATE TABLE nocase(a TEXT, b TEXT COLLATE NOCASE, v INT, PRIMARY KEY (a, b)) WITHOUT ROWID; CREATE TABLE mixed(a TEXT, b TEXT COLLATE NOCASE, v INT, PRIMARY KEY (a, b COLLATE BINARY)) WITHOUT ROWID; CREATE TABLE watched(id INTEGER PRIMARY KEY, v INT); CREATE TABLE log(what TEXT); CREATE TRIGGER watch AFTER UPDATE ON watched BEGIN INSERT INTO log VALUES (old.id || ':' || old.v || '>' || new.v); END; CREATE TRIGGER keep BEFORE DELETE ON watched WHEN old.id = 3 BEGIN SELECT RAISE(IGNORE); END; CREATE TABLE loose(k, v)"
\! sqlite3 /tmp/vss_fdw_regress/direct_join.db "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200) INSERT INTO t SELECT x, x % 10, x % 5, x, x * 1000000007, 's' || (x % 7), x / 8.0, x % 2, x * 1.5 FROM c; INSERT INTO t(id) VALUES (1000), (1001); INSERT INTO l VALUES (0, NULL, NULL, NULL, NULL), (1, 'one', 10, 0.1, 1), (2, 'two', 20, 0.2, 0), (3, 'three', 30, 1e300, 1), (7, '', -70, -0.7, 0); INSERT INTO many VALUES (1, 5), (1, 5), (2, 6), (2, 6), (2, 6), (NULL, 1); INSERT INTO keyed SELECT 'a' || (x % 3), x, 'v' || x FROM (SELECT id AS x FROM t WHERE id < 31); INSERT INTO nocase VALUES ('x', 'a', 1), ('x', 'b', 2), ('y', 'a', 3); INSERT INTO mixed VALUES ('x', 'a', 1), ('x', 'A', 2), ('x', 'b', 3); INSERT INTO watched SELECT id, id * 10 FROM t WHERE id <= 5; INSERT INTO loose VALUES (1, 'no number'), (2, 3)"
\! chmod 666 /tmp/vss_fdw_regress/direct_join.db; cp /tmp/vss_fdw_regress/direct_join.db /tmp/vss_fdw_regress/direct_join2.db; chmod 666 /tmp/vss_fdw_regress/direct_join2.db
CREATE SERVER direct_join FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/direct_join.db');
CREATE SERVER direct_join2 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/direct_join2.db');
CREATE SCHEMA fjoin;
CREATE SCHEMA ljoin;
SET search_path = fjoin, public;
IMPORT FOREIGN SCHEMA main LIMIT TO (l, many, keyed, nocase, mixed, watched, log, loose) FROM SERVER direct_join INTO fjoin;
CREATE FOREIGN TABLE t(id bigint, k integer, small smallint, i integer, big bigint, s text, f double precision, b boolean, n numeric) SERVER direct_join;
CREATE FOREIGN TABLE elsewhere(k bigint, name text) SERVER direct_join2 OPTIONS ("table" 'l');
CREATE TABLE ljoin.t AS SELECT * FROM t;
CREATE TABLE ljoin.l AS SELECT * FROM l;
CREATE TABLE ljoin.many AS SELECT * FROM many;
CREATE TABLE ljoin.keyed AS SELECT * FROM keyed;
CREATE TABLE ljoin.nocase AS SELECT * FROM nocase;
CREATE TABLE ljoin.mixed AS SELECT * FROM mixed;
CREATE TABLE ljoin.elsewhere AS SELECT * FROM elsewhere;
CREATE TABLE here(k int, v int);
INSERT INTO here VALUES (1, 11), (2, 22);
CREATE TABLE ljoin.here AS SELECT * FROM here;

-- The same statement here and there: rows or error, what RETURNING gave, what the table holds then.
CREATE FUNCTION run(command text, OUT rows bigint, OUT returned text[], OUT error text) LANGUAGE plpgsql AS $$
BEGIN
	IF command ~ 'RETURNING' AND command !~ '^WITH' THEN
		EXECUTE format('WITH q AS (%s) SELECT count(*), array_agg(q::text ORDER BY q::text COLLATE "C") FROM q', command) INTO rows, returned;
	ELSE
		EXECUTE command;
		GET DIAGNOSTICS rows = ROW_COUNT;
	END IF;
EXCEPTION WHEN OTHERS THEN
	error := SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION compare(command text, tab text DEFAULT 't', OUT rows bigint, OUT same boolean, OUT direct boolean, OUT error text) LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
	f record;
	l record;
	different bigint;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || command INTO plan;
	direct := jsonb_path_exists(plan, 'strict $.** ? (@."Operation" == "Update" || @."Operation" == "Delete") ? (@."Node Type" == "Foreign Scan")');
	SELECT * INTO f FROM run(command);
	PERFORM set_config('search_path', 'ljoin, fjoin, public', true);
	SELECT * INTO l FROM run(command);
	PERFORM set_config('search_path', 'fjoin, public', true);
	EXECUTE format('SELECT count(*) FROM ((TABLE fjoin.%1$s EXCEPT ALL TABLE ljoin.%1$s) UNION ALL (TABLE ljoin.%1$s EXCEPT ALL TABLE fjoin.%1$s)) q', tab) INTO different;
	same := f IS NOT DISTINCT FROM l AND different = 0;
	rows := f.rows;
	error := f.error;
END $$;

-- plans
EXPLAIN (VERBOSE, COSTS OFF) UPDATE t SET s = l.name, i = t.i + l.v::int, k = 77 FROM l WHERE l.k = t.k AND t.id > 5 RETURNING t.id, t.s;
EXPLAIN (COSTS OFF) UPDATE t SET k = 1 WHERE EXISTS (SELECT 1 FROM l WHERE l.k = t.k);
EXPLAIN (COSTS OFF) DELETE FROM t WHERE NOT EXISTS (SELECT 1 FROM l WHERE l.k = t.k);
EXPLAIN (COSTS OFF) DELETE FROM t USING l WHERE l.k = t.k AND l.name = 'one';
EXPLAIN (COSTS OFF) DELETE FROM keyed USING l WHERE l.k = keyed.b;
EXPLAIN (COSTS OFF) UPDATE t SET i = m.v FROM l LEFT JOIN many m ON m.k = l.k WHERE l.k = t.id;

-- one table: arithmetic, and copies of columns
SELECT c.*, command FROM unnest(ARRAY[
	'UPDATE t SET i = i + 1',
	'UPDATE t SET i = i + 1 WHERE i > 100',
	'UPDATE t SET i = i - small, big = big * -3, small = (small / 2) % 3',
	'UPDATE t SET i = big % 1000',
	'UPDATE t SET i = k, k = i WHERE id < 20',
	'UPDATE t SET big = -big, s = s || ''x'', b = k > 3, f = CASE WHEN k > 5 THEN f END WHERE id > 190 RETURNING *',
	'UPDATE t SET small = i - i + 32767 WHERE id = 5 RETURNING small, t',
	'UPDATE t SET small = small + 1::smallint WHERE id = 5',
	'UPDATE t SET small = i * 100000 WHERE id = 5',
	'UPDATE t SET i = i + 2147483647',
	'UPDATE t SET i = 2147483646 WHERE id = 9',
	'UPDATE t SET i = i + 1 WHERE id = 9 RETURNING i, i - 1',
	'UPDATE t SET i = i + 1 WHERE id = 9 RETURNING i',
	'UPDATE t SET i = -2147483648 WHERE id = 9',
	'UPDATE t SET i = -i WHERE id = 9',
	'UPDATE t SET i = i / -1 WHERE id = 9',
	'UPDATE t SET i = i % -1 WHERE id = 9',
	'UPDATE t SET i = i / (k - k) WHERE id = 9',
	'UPDATE t SET i = 5 / i WHERE i <> 0',
	'UPDATE t SET big = big * 9223372036854775807 WHERE id > 100',
	'UPDATE t SET k = big WHERE id = 150',
	'UPDATE t SET n = n + 1 WHERE id < 5',
	'UPDATE t SET f = f * 2 WHERE id < 5',
	'UPDATE t SET f = (f - 0.1) / 3 + i WHERE id < 5',
	'UPDATE t SET f = f * -1 WHERE id = 6 RETURNING f',
	'UPDATE t SET f = 1e300 * f WHERE id = 7',
	'UPDATE t SET f = f * 1e300',
	'UPDATE t SET f = f * 1e-300 * 1e-300 WHERE id = 7',
	'UPDATE t SET f = f * 1e-300 WHERE id = 7',
	'UPDATE t SET f = f / (f - f) WHERE id = 7',
	'UPDATE t SET f = big, n = 1 WHERE id = 8',
	'UPDATE t SET i = i + 1 WHERE s ~ ''3'' RETURNING id'
	]) AS command, compare(command) AS c;
-- joins
SELECT c.*, command FROM unnest(ARRAY[
	'UPDATE t SET s = l.name FROM l WHERE l.k = t.k',
	'UPDATE t SET s = l.name, f = l.f, b = l.b, i = l.v FROM l WHERE l.k = t.k AND t.id < 50 RETURNING t.*',
	'UPDATE t SET i = t.i + l.v, s = t.s || l.name FROM l WHERE l.k = t.k AND l.v > 10 AND t.id BETWEEN 50 AND 90 RETURNING t',
	'UPDATE t SET i = l.v * 2000000000 FROM l WHERE l.k = t.k',
	'UPDATE t SET k = 8 FROM l WHERE l.k = t.k AND l.name = ''three''',
	'UPDATE t SET i = 3 FROM many m WHERE m.k = t.k RETURNING t.id',
	'UPDATE t SET i = m.v FROM many m WHERE m.k = t.k AND t.id > 60',
	'UPDATE t SET i = m.v + l.v FROM many m, l WHERE m.k = t.k AND l.k = m.k RETURNING 1',
	'UPDATE t SET i = next.id FROM t AS next WHERE next.id = t.id + 1',
	'UPDATE t SET k = next.k, i = t.i + 1 FROM t AS next WHERE next.i = t.i + 1',
	'UPDATE t SET i = o.i FROM t AS o WHERE o.id = t.k',
	'UPDATE t SET k = o.i, i = t.i + 1 FROM t AS o WHERE o.id = t.k AND o.i > 0',
	'UPDATE t SET i = m.v FROM l LEFT JOIN many m ON m.k = l.k WHERE l.k = t.id RETURNING t.id, t.i',
	'UPDATE t SET k = 2 WHERE EXISTS (SELECT 1 FROM many m WHERE m.k = t.k)',
	'UPDATE t SET i = i + 1 WHERE id IN (SELECT k FROM l WHERE v > 0) RETURNING id, i',
	'UPDATE t SET i = i + l.v FROM l WHERE l.k = t.id AND NOT EXISTS (SELECT 1 FROM many m WHERE m.k = l.k)',
	'UPDATE t SET i = 1 FROM l WHERE false',
	'UPDATE t SET i = t.i + 1 FROM l, elsewhere e WHERE l.k = t.k AND e.k = l.k AND t.id < 9',
	'UPDATE t SET i = here.v FROM here WHERE here.k = t.id',
	'UPDATE t SET i = l.v FROM l WHERE l.k = t.k AND t.s ~ ''o'' RETURNING t.id, l.name',
	'UPDATE t SET i = l.v FROM l WHERE l.k = t.k RETURNING t.id, l.name',
	'UPDATE t SET i = 7 FROM many m WHERE m.k = t.id RETURNING t.id, m.v',
	'UPDATE t SET n = m.v FROM many m WHERE m.k = t.id RETURNING t.id',
	'UPDATE t SET id = t.id + 5000 FROM many m WHERE m.k = t.id RETURNING t.id',
	'DELETE FROM t USING l WHERE l.k = t.k AND l.name = ''one'' RETURNING t.id, t.s',
	'DELETE FROM t USING l WHERE l.k = t.id RETURNING t.id, l.name',
	'DELETE FROM t USING many m WHERE m.k = t.id - 5000',
	'DELETE FROM t USING l LEFT JOIN many m ON m.k = l.k WHERE l.k = t.id - 20 AND m.k IS NULL RETURNING t.id',
	'DELETE FROM t WHERE EXISTS (SELECT 1 FROM l WHERE l.k = t.k AND l.v < 0)',
	'DELETE FROM t USING t AS o WHERE o.id = t.id + 1 AND o.b',
	'DELETE FROM t WHERE id NOT IN (SELECT k FROM l) AND id < 40',
	'DELETE FROM t USING l WHERE l.k = -1'
	]) AS command, compare(command) AS c;
-- rows addressed by a key
SELECT c.*, command FROM unnest(ARRAY[
	'UPDATE keyed SET v = l.name FROM l WHERE l.k = keyed.b RETURNING keyed.*',
	'UPDATE keyed SET v = ''many'' FROM many m WHERE m.k = keyed.b',
	'UPDATE keyed SET v = keyed.v || ''?'' FROM l LEFT JOIN many m ON m.k = l.k WHERE l.k = keyed.b RETURNING a, keyed.b',
	'UPDATE keyed SET v = keyed.v || '' r'' FROM many m WHERE m.k = keyed.b AND keyed.a ~ ''a'' RETURNING a, keyed.b',
	'DELETE FROM keyed USING l WHERE l.k = keyed.b RETURNING a, keyed.b'
	]) AS command, compare(command, 'keyed') AS c;
-- a key whose columns compare otherwise: each row is changed alone
SELECT c.*, command FROM unnest(ARRAY[
	'UPDATE nocase SET v = v + 10 WHERE md5(v::text) = md5(''1'')',
	'UPDATE nocase SET v = l.v FROM l WHERE l.k = nocase.v',
	'DELETE FROM nocase USING l WHERE l.v = nocase.v AND nocase.a = ''x''',
	'DELETE FROM nocase WHERE b = ''A''',
	'DELETE FROM nocase WHERE b = ''a'' RETURNING a, b'
	]) AS command, compare(command, 'nocase') AS c;
SELECT c.*, command FROM unnest(ARRAY[
	'UPDATE mixed SET v = l.v FROM l WHERE l.k = mixed.v AND l.k < 3',
	'UPDATE mixed SET v = v * 2 WHERE md5(v::text) = md5(''10'')',
	'UPDATE mixed SET v = l.v FROM l LEFT JOIN many m ON m.k = l.k WHERE l.v = mixed.v RETURNING a, mixed.b',
	'DELETE FROM mixed USING l WHERE l.v = mixed.v RETURNING a, mixed.b'
	]) AS command, compare(command, 'mixed') AS c;

-- parameters
PREPARE change(bigint, integer, text) AS UPDATE t SET i = t.i + $2, s = $3 FROM l WHERE l.k = t.k AND l.v > $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE change(10, 5, 'p');
BEGIN;
\set QUIET off
EXECUTE change(10, 5, 'p');
EXECUTE change(NULL, 5, 'p');
\set QUIET on
SELECT sum(i), count(*) FROM t WHERE s = 'p';
ROLLBACK;
RESET plan_cache_mode;

-- triggers of SQLite run, and what they refuse does not count
\set QUIET off
UPDATE watched SET v = watched.v + l.v FROM l WHERE l.k = watched.id;
DELETE FROM watched USING l WHERE l.k = watched.id AND l.k > 1;
\set QUIET on
TABLE log;
TABLE watched;
-- those of PostgreSQL are for rows
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE WARNING ''% % %'', TG_LEVEL, TG_OP, new; RETURN new; END';
CREATE TRIGGER say_row BEFORE UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION say();
UPDATE watched SET v = watched.v + l.v FROM l WHERE l.k = watched.id;
DROP TRIGGER say_row ON watched;
-- a value that fits no number
CREATE FOREIGN TABLE numbers(k bigint, v bigint) SERVER direct_join OPTIONS ("table" 'loose');
EXPLAIN (COSTS OFF) UPDATE watched SET v = numbers.v FROM numbers WHERE numbers.k = watched.id;
UPDATE watched SET v = numbers.v FROM numbers WHERE numbers.k = watched.id;
TABLE watched;

-- savepoints; cursors keep the rows of their time, begun or not
BEGIN;
SAVEPOINT a;
UPDATE t SET i = l.v FROM l WHERE l.k = t.k;
ROLLBACK TO a;
DECLARE begun CURSOR FOR SELECT id, i FROM t WHERE id BETWEEN 100 AND 103 ORDER BY id;
DECLARE unbegun CURSOR FOR SELECT id FROM t WHERE id BETWEEN 100 AND 103 ORDER BY id;
FETCH 1 FROM begun;
DELETE FROM t USING many m WHERE m.k >= 0 AND t.id >= 100;
FETCH ALL FROM begun;
FETCH ALL FROM unbegun;
SELECT count(*) FROM t WHERE id >= 100;
ROLLBACK;
-- the other parts of a statement see the rows as they were
BEGIN;
WITH gone AS (DELETE FROM t USING many m WHERE m.k >= 0 AND t.id >= 100 RETURNING t.id) SELECT (SELECT count(*) FROM gone) > 0 AS gone, (SELECT count(*) FROM t WHERE id >= 100) > 0 AS seen;
ROLLBACK;

-- row by row: what finds the rows does not see those that are changed already
SET enable_hashjoin = off;
SET enable_mergejoin = off;
UPDATE ljoin.here SET v = CASE k WHEN 1 THEN 102 ELSE 103 END;
UPDATE here SET v = CASE k WHEN 1 THEN 102 ELSE 103 END;
DELETE FROM t;
INSERT INTO t SELECT x, x % 10, x % 5, x, x, 's' || x, x, x % 2 = 0, x FROM generate_series(1, 110) AS x;
DELETE FROM ljoin.t;
INSERT INTO ljoin.t SELECT * FROM t;
EXPLAIN (COSTS OFF) UPDATE t SET i = here.v + 1 FROM here WHERE here.v = t.i;
SELECT c.*, command FROM unnest(ARRAY[
	'INSERT INTO t(id, i) SELECT t.id + 10000 + here.v, 103 FROM here JOIN t ON t.i = here.v',
	'UPDATE t SET i = here.v + 1 FROM here WHERE here.v = t.i',
	'UPDATE t SET n = o.n * 2, i = o.i FROM t AS o WHERE o.id = t.k RETURNING t.id, o.id',
	'UPDATE t SET n = (SELECT sum(o.n) FROM t AS o WHERE o.id IN (t.id - 1, t.id + 1))',
	'UPDATE t SET n = n + 1 WHERE n > (SELECT avg(n) FROM t)',
	'DELETE FROM t USING t AS o WHERE o.id = t.k AND o.s ~ ''s''',
	'WITH up AS (UPDATE t SET n = n + 1 RETURNING id) UPDATE keyed SET v = s.v FROM (SELECT sum(n)::text AS v FROM t) AS s'
	]) AS command, compare(command) AS c;
SELECT count(*) FROM ((TABLE keyed EXCEPT ALL TABLE ljoin.keyed) UNION ALL (TABLE ljoin.keyed EXCEPT ALL TABLE keyed)) AS q;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- more rows read ahead than fit in memory
INSERT INTO t(id, s, n) SELECT x, repeat('wide', 50), 1 FROM generate_series(200000, 203000) AS x;
INSERT INTO ljoin.t SELECT * FROM t WHERE id >= 200000;
SET work_mem = '64kB';
SELECT c.*, command FROM unnest(ARRAY[
	'UPDATE t SET n = n + 1 WHERE id >= 200000',
	'UPDATE t SET s = t.s || o.n FROM t AS o WHERE o.id = t.id AND t.id >= 200000 RETURNING t.id',
	'DELETE FROM t WHERE id >= 200000 AND s ~ ''w'''
	]) AS command, compare(command) AS c;
RESET work_mem;

-- an hnsw index over the table follows
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/direct_join.db "CREATE TABLE docs(id INTEGER PRIMARY KEY, k INT, vector TEXT); WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100) INSERT INTO docs SELECT x, x % 10, '[' || x || ',0]' FROM c; CREATE VIRTUAL TABLE vss USING hnsw(dim=2, metric=l2, content=docs, content_rowid=id, content_vector=vector); SELECT hnsw_save()" >/dev/null
\! chmod 666 /tmp/vss_fdw_regress/direct_join.*
IMPORT FOREIGN SCHEMA main LIMIT TO (docs, vss) FROM SERVER direct_join INTO fjoin;
SELECT id FROM docs ORDER BY vector <-> '[1,0]' LIMIT 4;
EXPLAIN (COSTS OFF) DELETE FROM docs USING l WHERE l.k = docs.id AND l.v > 10;
DELETE FROM docs USING l WHERE l.k = docs.id AND l.v > 10 RETURNING docs.id;
UPDATE docs SET id = docs.id + 1000 FROM l WHERE l.k = docs.id AND l.v = 10;
SELECT id FROM docs ORDER BY vector <-> '[1,0]' LIMIT 4;
SELECT * FROM vss_check('vss');

-- two EXISTS of equal columns: PostgreSQL takes one of the first for that of the table
\! sqlite3 /tmp/vss_fdw_regress/direct_join3.db "CREATE TABLE a(id INTEGER PRIMARY KEY, k INT, v INT); CREATE TABLE b(id INTEGER PRIMARY KEY, k INT); WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 120) INSERT INTO a SELECT x, x % 7, x FROM c; INSERT INTO b SELECT id, id % 5 FROM a WHERE id <= 60; ANALYZE"
\! chmod 666 /tmp/vss_fdw_regress/direct_join3.db
CREATE SERVER direct_join3 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/direct_join3.db');
CREATE SCHEMA two;
IMPORT FOREIGN SCHEMA main FROM SERVER direct_join3 INTO two;
ANALYZE two.a;
ANALYZE two.b;
UPDATE two.a SET v = -1 WHERE EXISTS (SELECT 1 FROM two.b y WHERE y.id = a.k) AND a.k IN (SELECT k FROM two.b WHERE k IS NOT NULL);
SELECT k, count(*) FROM two.a WHERE v = -1 GROUP BY k ORDER BY k;
DELETE FROM two.a WHERE NOT EXISTS (SELECT 1 FROM two.b y WHERE y.id = a.k) AND a.k IN (SELECT k FROM two.b WHERE k IS NOT NULL);
SELECT count(*), min(k) FROM two.a;
DROP SERVER direct_join3 CASCADE;
DROP SCHEMA two;
DROP SERVER direct_join CASCADE;
DROP SERVER direct_join2 CASCADE;
DROP SCHEMA fjoin, ljoin CASCADE;
