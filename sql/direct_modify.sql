-- UPDATE and DELETE as one statement of SQLite; a local copy is the oracle.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/direct.db*
\! sqlite3 /tmp/vss_fdw_regress/direct.db "CREATE TABLE t(id INTEGER PRIMARY KEY, i INT, f REAL, s TEXT, b BOOLEAN, n NUMERIC, d TEXT, u BLOB, j TEXT, x TEXT); CREATE TABLE keyed(a TEXT, b INT, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID; CREATE TABLE generated(id INTEGER PRIMARY KEY, v INT, twice INT AS (v * 2)); CREATE TABLE watched(id INTEGER PRIMARY KEY, v INT UNIQUE CHECK (v < 1000)); CREATE TABLE log(what TEXT); CREATE TRIGGER watch AFTER UPDATE ON watched BEGIN INSERT INTO log VALUES (old.id || ':' || ifnull(old.v, '-') || '>' || ifnull(new.v, '-')); END; CREATE TRIGGER keep BEFORE DELETE ON watched WHEN old.id = 3 BEGIN SELECT RAISE(IGNORE); END; CREATE VIEW seen AS SELECT id, v FROM watched; CREATE TRIGGER seen_u INSTEAD OF UPDATE ON seen BEGIN UPDATE watched SET v = new.v WHERE id = old.id; END; CREATE TABLE p1(k INT, v TEXT); CREATE TABLE p2(k INT, v TEXT);"
\! chmod 666 /tmp/vss_fdw_regress/direct.db
CREATE SERVER direct FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/direct.db');
CREATE SCHEMA fdirect;
CREATE SCHEMA ldirect;
SET search_path = fdirect, public;
CREATE FOREIGN TABLE t(id bigint, i integer, f double precision, s text, b boolean, n numeric, d timestamptz,
	u uuid OPTIONS (column_type 'BLOB'), j jsonb, x integer[]) SERVER direct;
CREATE FOREIGN TABLE keyed(a text, b bigint, v varchar(5)) SERVER direct;
CREATE FOREIGN TABLE generated(id bigint, v bigint, twice bigint) SERVER direct;
CREATE FOREIGN TABLE watched(id bigint, v bigint) SERVER direct;
CREATE FOREIGN TABLE log(what text) SERVER direct;
CREATE FOREIGN TABLE seen(id bigint, v bigint) SERVER direct;
INSERT INTO t SELECT k, k % 10, k / 8.0, 's' || k % 7, k % 2 = 0, k * 1.5, timestamptz '2024-01-01 00:00:00+00' + k * interval '1 hour',
	md5(k::text)::uuid, jsonb_build_object('k', k), ARRAY[k, k + 1] FROM generate_series(1, 300) k;
INSERT INTO t(id) VALUES (1000), (1001);
INSERT INTO keyed SELECT 'a' || k % 3, k, 'v' || k FROM generate_series(1, 30) k;
INSERT INTO generated(id, v) SELECT k, k FROM generate_series(1, 5) k;
INSERT INTO watched SELECT k, k * 10 FROM generate_series(1, 5) k;
CREATE TABLE ldirect.t AS SELECT * FROM t;
CREATE TABLE ldirect.keyed AS SELECT * FROM keyed;

-- The same statement here and there: rows, what RETURNING gave, what the table holds then.
CREATE FUNCTION compare(command text, tab text DEFAULT 't', OUT rows bigint, OUT same boolean, OUT direct boolean)
LANGUAGE plpgsql AS $$
DECLARE
	plan text;
	f text[];
	l text[];
	r text;
	local_rows bigint;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || command INTO plan;
	direct := plan ~ '"Foreign Scan"' AND plan ~ '"Operation": "(Update|Delete)".*"SQLite SQL": "(UPDATE|DELETE)';
	IF command ~ 'RETURNING' THEN
		EXECUTE format('WITH q AS (%s) SELECT array_agg(q::text ORDER BY q::text COLLATE "C"), count(*) FROM q', command) INTO f, rows;
	ELSE
		EXECUTE command;
		GET DIAGNOSTICS rows = ROW_COUNT;
	END IF;
	PERFORM set_config('search_path', 'ldirect, fdirect, public', true);
	IF command ~ 'RETURNING' THEN
		EXECUTE format('WITH q AS (%s) SELECT array_agg(q::text ORDER BY q::text COLLATE "C"), count(*) FROM q', command) INTO l, local_rows;
	ELSE
		EXECUTE command;
		GET DIAGNOSTICS local_rows = ROW_COUNT;
	END IF;
	PERFORM set_config('search_path', 'fdirect, public', true);
	EXECUTE format('SELECT string_agg(q::text, chr(10)) FROM ((TABLE fdirect.%1$s EXCEPT ALL TABLE ldirect.%1$s) UNION ALL (TABLE ldirect.%1$s EXCEPT ALL TABLE fdirect.%1$s)) q', tab) INTO r;
	same := f IS NOT DISTINCT FROM l AND rows = local_rows AND r IS NULL;
END $$;

-- plans
EXPLAIN (COSTS OFF) UPDATE t SET s = 'new', f = 1.5 WHERE id = 7 AND i > 3;
EXPLAIN (COSTS OFF) DELETE FROM t WHERE s = 's1' RETURNING id, s;
EXPLAIN (COSTS OFF) DELETE FROM t RETURNING 1;
PREPARE change(bigint, text) AS UPDATE t SET s = $2 WHERE id = $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE change(7, 'x');
-- computed by SQLite (more of this in direct_join)
EXPLAIN (COSTS OFF) UPDATE t SET i = i + 1 WHERE id = 7;
-- not: computed as SQLite cannot, local conditions, volatile, sublinks of several columns, generated
EXPLAIN (COSTS OFF) UPDATE t SET n = n + 1 WHERE id = 7;
EXPLAIN (COSTS OFF) UPDATE t SET s = 'x' WHERE s ~ '^s';
EXPLAIN (COSTS OFF) UPDATE t SET f = random() WHERE id = 7;
SELECT * FROM compare($$UPDATE t SET (s, i) = (SELECT 'x', 1 FROM ldirect.keyed WHERE keyed.b = t.id) WHERE id = 7$$);
UPDATE generated SET twice = 3 WHERE id = 1;

-- every type is stored as by rows
SELECT * FROM compare($$UPDATE t SET i = 77, f = 0.1, s = 'žluťoučký ''quote''', b = true, n = 12345.678, d = '1969-12-31 23:59:59.123456+00',
	u = '11111111-2222-3333-4444-555555555555', j = '{"a": [1, null]}', x = '{1,NULL,3}' WHERE id BETWEEN 10 AND 19$$);
SELECT * FROM compare('UPDATE t SET i = NULL, f = NULL, s = NULL, b = NULL, n = NULL, d = NULL, u = NULL, j = NULL, x = NULL WHERE id = 20');
SELECT * FROM compare('UPDATE t SET f = 3, n = 7, s = '''' WHERE i = 3');
SELECT * FROM compare('UPDATE t SET d = now(), s = current_user WHERE id = 21');
SELECT * FROM compare('UPDATE t SET id = 5000 WHERE id = 22');
SELECT * FROM compare('UPDATE t SET s = repeat(''long'', 100000) WHERE id = 23 OR s IS NULL');
SELECT * FROM compare('UPDATE t SET i = (SELECT max(b) FROM ldirect.keyed) WHERE id < 5');
SELECT * FROM compare('UPDATE t SET i = 5 WHERE false');
SELECT * FROM compare('UPDATE t SET i = 5 WHERE id IN (SELECT b FROM ldirect.keyed WHERE b < 3)');
-- RETURNING
SELECT * FROM compare('UPDATE t SET s = ''r'' WHERE i = 4 RETURNING *');
SELECT * FROM compare('UPDATE t SET s = ''r'' WHERE i = 5 RETURNING id + 1, upper(s), f');
SELECT * FROM compare('UPDATE t SET b = false WHERE i = 5 AND b RETURNING t');
SELECT * FROM compare('UPDATE t SET b = false WHERE i = 6 RETURNING 1');
SELECT * FROM compare('UPDATE t AS other SET s = ''alias'' WHERE other.id = 30 RETURNING other.s, other.id');
SELECT * FROM compare('DELETE FROM t WHERE i = 8 AND f > 10 RETURNING id, j');
SELECT * FROM compare('DELETE FROM t WHERE i = 9');
SELECT * FROM compare('DELETE FROM t WHERE id = -1 RETURNING *');
SELECT * FROM compare('DELETE FROM t WHERE s IS NOT DISTINCT FROM NULL');
UPDATE t SET s = 'o' WHERE id = 31 RETURNING tableoid::regclass, id;
UPDATE ldirect.t SET s = 'o' WHERE id = 31;
-- WITHOUT ROWID, length of varchar
SELECT * FROM compare('UPDATE keyed SET v = ''12345'' WHERE a = ''a1'' AND b > 10 RETURNING *', 'keyed');
SELECT * FROM compare('UPDATE keyed SET a = ''moved'' WHERE b = 5', 'keyed');
SELECT * FROM compare('DELETE FROM keyed WHERE a = ''a2''', 'keyed');
UPDATE keyed SET v = '123456' WHERE b = 1;
-- by rows, for comparison
SELECT * FROM compare('UPDATE t SET i = i + 1, s = s || ''!'', n = n + 1 WHERE id < 50 RETURNING *');
-- parameters
EXECUTE change(40, 'prepared');
EXECUTE change(NULL, 'none');
SELECT id, s FROM t WHERE id = 40;
RESET plan_cache_mode;
UPDATE ldirect.t SET s = 'prepared' WHERE id = 40;

-- values that SQLite cannot store
UPDATE t SET f = 'NaN' WHERE id = 41;
UPDATE t SET n = 1.2345678901234567890 WHERE id = 41;
-- triggers of SQLite: they run, and what they refuse does not count
DELETE FROM watched WHERE id >= 3 AND id < 5 RETURNING id;
\set QUIET off
DELETE FROM watched WHERE id >= 3 AND id < 5;
UPDATE watched SET v = 7 WHERE id = 1;
\set QUIET on
TABLE log;
-- constraints of SQLite: nothing of the statement stays
UPDATE watched SET v = 8;
UPDATE watched SET v = 1000 WHERE id = 2;
TABLE watched;
TABLE log;
-- triggers and checks of PostgreSQL are for rows
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE WARNING ''% %'', TG_LEVEL, TG_OP; RETURN new; END';
CREATE TRIGGER say_statement BEFORE UPDATE ON watched EXECUTE FUNCTION say();
EXPLAIN (COSTS OFF) UPDATE watched SET v = 9 WHERE id = 1;
UPDATE watched SET v = 9 WHERE id = 1;
CREATE TRIGGER say_row BEFORE UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION say();
EXPLAIN (COSTS OFF) UPDATE watched SET v = 11 WHERE id = 1;
UPDATE watched SET v = 11 WHERE id = 1;
DROP TRIGGER say_row ON watched;
DROP TRIGGER say_statement ON watched;
CREATE VIEW small AS SELECT * FROM watched WHERE v < 100 WITH CHECK OPTION;
EXPLAIN (COSTS OFF) UPDATE small SET v = 500 WHERE id = 1;
UPDATE small SET v = 500 WHERE id = 1;
EXPLAIN (COSTS OFF) DELETE FROM small WHERE id = 1;

-- savepoints
BEGIN;
SAVEPOINT a;
UPDATE watched SET v = 12 WHERE id = 1;
ROLLBACK TO a;
SELECT v FROM watched WHERE id = 1;
UPDATE watched SET v = 13 WHERE id = 2;
COMMIT;
SELECT * FROM watched ORDER BY id;
-- cursors keep the rows of their time, begun or not
BEGIN;
DECLARE begun CURSOR FOR SELECT id, s FROM t WHERE id < 5;
DECLARE unbegun CURSOR FOR SELECT id FROM t WHERE id < 5;
FETCH 1 FROM begun;
DELETE FROM t WHERE id < 4;
FETCH ALL FROM begun;
FETCH ALL FROM unbegun;
SELECT count(*) FROM t WHERE id < 5;
ROLLBACK;
-- rows changed one at a time do the same
BEGIN;
DECLARE unbegun CURSOR FOR SELECT id, i FROM t WHERE id < 5;
UPDATE t SET n = n + 100, id = -id WHERE id < 4;
FETCH ALL FROM unbegun;
ROLLBACK;
-- where a row cannot be put aside for a cursor that goes on, it does not go on without the row
SELECT vss_exec('direct', 'CREATE TABLE misfits(id INTEGER PRIMARY KEY, v); INSERT INTO misfits VALUES (1, 1), (2, 2), (3, ''three''), (4, 4)');
CREATE FOREIGN TABLE misfits(id bigint, v bigint) SERVER direct;
BEGIN;
DECLARE rows CURSOR FOR SELECT * FROM misfits;
FETCH 1 FROM rows;
SAVEPOINT a;
UPDATE misfits SET v = 5 WHERE id = 4;
ROLLBACK TO a;
FETCH ALL FROM rows;
ROLLBACK;
-- so do the other parts of a statement
WITH gone AS (DELETE FROM t WHERE id < 6 RETURNING id) SELECT (SELECT count(*) FROM gone) AS gone, (SELECT count(*) FROM t WHERE id < 6) AS seen;
WITH gone AS (DELETE FROM t WHERE id < 12 RETURNING id) INSERT INTO log SELECT 'gone ' || id FROM gone;
SELECT what FROM log WHERE what LIKE 'gone%' ORDER BY what;

-- partitions
CREATE TABLE part(k bigint, v text) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10) SERVER direct OPTIONS ("table" 'p1');
CREATE FOREIGN TABLE part2 PARTITION OF part FOR VALUES FROM (10) TO (20) SERVER direct OPTIONS ("table" 'p2');
INSERT INTO part SELECT k, 'v' || k FROM generate_series(0, 19) k;
EXPLAIN (COSTS OFF) UPDATE part SET v = 'new' WHERE v IN ('v3', 'v13');
UPDATE part SET v = 'new' WHERE v IN ('v3', 'v13') RETURNING tableoid::regclass, *;
EXPLAIN (COSTS OFF) UPDATE part SET k = 15 WHERE v = 'v4';
UPDATE part SET k = 15 WHERE v = 'v4';
UPDATE part SET v = v || '!' WHERE v IN ('v5', 'v15') RETURNING tableoid::regclass, *;
-- one partition as one statement, one row by row, with a subquery computed once
CREATE TRIGGER say_row BEFORE UPDATE ON part2 FOR EACH ROW EXECUTE FUNCTION say();
UPDATE part SET v = 'x' WHERE k IN (6, 7, 16, 17) AND k > (SELECT min(b) FROM ldirect.keyed) RETURNING tableoid::regclass, *;
DROP TRIGGER say_row ON part2;
DELETE FROM part WHERE v IN ('v1', 'v11', 'v12') RETURNING tableoid::regclass, k;

-- options
ALTER FOREIGN TABLE watched OPTIONS (ADD updatable 'false');
UPDATE watched SET v = 1 WHERE id = 1;
-- EXPLAIN ANALYZE counts
CREATE FUNCTION analyzed(command text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || command INTO plan;
	RETURN (plan #>> '{0,Plan,Plans,0,Actual Rows}')::numeric;
END $$;
SELECT analyzed('DELETE FROM keyed WHERE b > 20');

DROP SCHEMA fdirect, ldirect CASCADE;
DROP SERVER direct;
