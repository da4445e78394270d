-- Indexes of SQLite on columns that hold several stored forms of one value: the
-- statement names the ranges in which the wanted forms lie.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
SET datestyle = 'ISO';
SET timezone = 'Pacific/Kiritimati';
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/pushdown_index.db*
\! sqlite3 /tmp/vss_fdw_regress/pushdown_index.db "CREATE TABLE t(id INTEGER PRIMARY KEY, d DATE, ts DATETIME, tz TIMESTAMPTZ, u UUID, vc VARCHAR(5), c CHAR(5)); WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 4000) INSERT INTO t SELECT n, date('1995-01-01', (n * 7 % 12000) || ' days'), datetime('1995-01-01', (n * 611953 % 1000000000) || ' seconds'), datetime('1995-01-01', (n * 611953 % 1000000000) || ' seconds'), printf('%08x-0000-4000-8000-%012x', n * 2654435761 % 4294967296, n), 'v' || (n % 1000), 'c' || (n % 1000) FROM n"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_index.db "INSERT INTO t SELECT id + 5000, unixepoch(d), unixepoch(ts), unixepoch(tz), upper(u), vc || '    ', c || '   ' FROM t WHERE id % 3 = 0; INSERT INTO t SELECT id + 10000, julianday(d), julianday(ts), julianday(tz), '{' || u || '}', vc, c FROM t WHERE id < 5000 AND id % 5 = 0; INSERT INTO t SELECT id + 20000, ' ' || d, substr(ts, 1, 10) || 'T23:59:59-15:59', substr(ts, 1, 10) || ' 24:00:00+15:59', substr(u, 1, 4) || upper(substr(u, 5)), vc, c FROM t WHERE id < 5000 AND id % 7 = 0; UPDATE t SET u = x'0102030405060708090a0b0c0d0e0f10' WHERE id IN (14, 5015)"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_index.db "INSERT INTO t(id, d, ts, tz) VALUES (90001, '0044-03-15 BC', '0044-03-15 BC', '2010-06-06 BC'), (90002, 'infinity', 'infinity', 'infinity'), (90003, '-infinity', '-infinity', '-infinity'), (90004, '002010-06-06', '002010-06-06 06:06:06', '0002010-06-06'), (90005, NULL, NULL, NULL), (90006, '0009-09-09', '0999-09-09', '0001-01-01')"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_index.db "CREATE INDEX t_d ON t(d); CREATE INDEX t_ts ON t(ts); CREATE INDEX t_tz ON t(tz); CREATE INDEX t_u ON t(u); CREATE INDEX t_vc ON t(vc); CREATE INDEX t_c ON t(c); ANALYZE"
\! chmod 666 /tmp/vss_fdw_regress/pushdown_index.db

CREATE SERVER pushdown_index FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/pushdown_index.db');
CREATE FOREIGN TABLE t(id bigint, d date, ts timestamp, tz timestamptz, u uuid, vc varchar(5), c char(5)) SERVER pushdown_index;
ANALYZE t;
CREATE TABLE local_t AS SELECT * FROM t;

\getenv top PG_ABS_SRCDIR
\set include :top '/sql/include/pushed.psql'
\i :include
-- whether bounds are written, whether rows agree, and how many there are
CREATE FUNCTION compare_index(condition text, OUT bounds boolean, OUT same boolean, OUT rows bigint) LANGUAGE sql AS $$
	SELECT sql_of('SELECT id FROM t WHERE ' || condition) ~ 'vss_low|vss_since|''\{~''|vss_uuid_low|''!''', c.same, c.rows FROM compare(condition) AS c
$$;

SELECT sql_of('SELECT id FROM t WHERE d = ''2010-06-06''');
SELECT sql_of('SELECT id FROM t WHERE ts >= ''2010-06-01'' AND ts < date ''2010-06-08''');
SELECT sql_of('SELECT id FROM t WHERE tz >= ''2026-06-01''');
SELECT sql_of('SELECT id FROM t WHERE u = ''a0b01234-0000-4000-8000-000000000001''');
SELECT sql_of('SELECT id FROM t WHERE vc = ''v17''');
SELECT sql_of('SELECT id FROM t WHERE vc IN (''v17'', ''v105'', NULL)');
EXPLAIN (COSTS OFF) DELETE FROM t WHERE u = ANY ('{a0b01234-0000-4000-8000-000000000001}');

CREATE TABLE index_conditions(id serial, condition text);
INSERT INTO index_conditions(condition) VALUES
	('d = ''2010-06-06'''), ('d = ''1995-01-01'''), ('d BETWEEN ''1999-12-01'' AND ''2000-02-01'''), ('d >= ''2010-06-01'' AND d < timestamp ''2010-06-08 12:00'''), ('d > ''2027-10-01'''), ('d < ''1995-02-01'''),
	('d = ''infinity'''), ('d = ''-infinity'''), ('d = ''0044-03-15 BC'''), ('d BETWEEN ''0044-01-01 BC'' AND ''0100-01-01'''), ('d BETWEEN ''-infinity'' AND ''0999-12-31'''), ('d >= ''9999-01-01'''), ('d = ''0009-09-09'''), ('d = NULL::date'),
	('ts BETWEEN ''2010-06-01'' AND ''2010-06-08'''), ('date ''2010-06-06'' <= ts AND timestamp ''2010-06-09'' > ts'), ('ts = (SELECT ts FROM local_t WHERE id = 20007)'), ('ts = (SELECT ts FROM local_t WHERE id = 10005)'), ('ts = (SELECT ts FROM local_t WHERE id = 5003)'),
	('ts >= ''2026-06-01'''), ('ts >= ''2026-06-01'' AND ts <> ''infinity'''), ('ts BETWEEN timestamptz ''2010-06-01'' AND timestamptz ''2010-06-08'''), ('ts >= timestamptz ''2026-06-01'''), ('ts = ''0999-09-09'''), ('ts >= ''2010-06-01'' AND ts < ''infinity'' AND id > 90000'),
	('tz BETWEEN ''2010-06-01'' AND ''2010-06-08'''), ('tz BETWEEN date ''2010-06-01'' AND date ''2010-06-03'''), ('tz BETWEEN timestamp ''2010-06-01'' AND date ''2010-06-03'''), ('tz = (SELECT tz FROM local_t WHERE id = 20014)'), ('tz = ''2010-06-06 00:00+00'''), ('tz > ''2026-06-01'''),
	('u = (SELECT u FROM local_t WHERE id = 105)'), ('u = ''00000000-0000-0000-0000-000000000000'''), ('NOT (u = ''00000000-0000-0000-0000-000000000000'') AND id < 10'), ('u = ''01020304-0506-0708-090a-0b0c0d0e0f10'''), ('u > ''ff000000-0000-0000-0000-000000000000'''),
	('vc = ''v17'''), ('vc = ''v105'''), ('vc = ''v105 '''), ('c = ''c105'''), ('c = ''c105  '''), ('vc = '''''),
	-- lists
	('u IN (''00000000-0000-0000-0000-000000000000'', ''01020304-0506-0708-090a-0b0c0d0e0f10'')'), ('u = ANY (''{01020304-0506-0708-090a-0b0c0d0e0f10, NULL}'')'), ('u = ANY (''{NULL}'')'), ('u NOT IN (''01020304-0506-0708-090a-0b0c0d0e0f10'', ''ff000000-0000-0000-0000-000000000000'')'),
	('vc IN (''v17'', ''v105'', '''')'), ('vc = ANY (''{v105}'')'), ('c IN (''c105  '', ''c17'')'), ('d IN (''2010-06-06'', ''1995-01-01'', ''infinity'')'), ('ts = ANY (''{2010-06-06 00:00, 0999-09-09}'')'), ('tz IN (''2010-06-06 00:00+00'', ''-infinity'')'),
	('vc = ANY (ARRAY(SELECT ''v'' || n FROM generate_series(1, 30) AS n))'), (format('vc = ANY (%L)', ARRAY(SELECT 'v' || n FROM generate_series(1, 30) AS n)));
SELECT condition, c.* FROM index_conditions, compare_index(condition) AS c ORDER BY id;
-- the constants of these hide in the rows: each spelling of one uuid is found
SELECT count(*), count(DISTINCT u) FROM t WHERE u = (SELECT u FROM local_t WHERE id = 105);
DO $$
DECLARE
	wanted uuid;
	wrong int := 0;
BEGIN
	FOR wanted IN SELECT u FROM local_t WHERE id % 97 = 0 AND id < 5000 LOOP
		IF (SELECT array_agg(id ORDER BY id) FROM t WHERE u = wanted) IS DISTINCT FROM (SELECT array_agg(id ORDER BY id) FROM local_t WHERE u = wanted) THEN
			wrong := wrong + 1;
		END IF;
	END LOOP;
	ASSERT wrong = 0;
END $$;

-- a join looks rows up
CREATE TABLE wanted AS SELECT u, ts FROM local_t WHERE id IN (7, 8, 9);
ANALYZE wanted;
EXPLAIN (COSTS OFF) SELECT t.id FROM wanted w JOIN t ON t.u = w.u;
SELECT t.id FROM wanted w JOIN t ON t.u = w.u ORDER BY 1;
SELECT t.id FROM wanted w JOIN t ON t.ts = w.ts ORDER BY 1;

-- years of five digits are texts between those of four: once there is one, all text is looked through
SELECT vss_exec('pushdown_index', 'INSERT INTO t(id, d, ts, tz) VALUES (90007, ''10999-01-01'', ''199999-12-31'', ''20100-06-06 06:06:06'')');
INSERT INTO local_t(id, d, ts, tz) VALUES (90007, '10999-01-01', '199999-12-31', '20100-06-06 06:06:06+00');
SELECT condition, c.* FROM index_conditions, compare_index(condition) AS c WHERE NOT same OR condition LIKE '% >= ''2026%' OR condition LIKE '% > ''202%' ORDER BY id;

-- direct changes use the index too, and change what they should
BEGIN;
UPDATE t SET vc = 'x' WHERE ts BETWEEN '2010-06-01' AND '2010-06-08';
UPDATE local_t SET vc = 'x' WHERE ts BETWEEN '2010-06-01' AND '2010-06-08';
SELECT (SELECT count(*) FROM t WHERE vc = 'x') = (SELECT count(*) FROM local_t WHERE vc = 'x') AS same;
ROLLBACK;

DROP SERVER pushdown_index CASCADE;
DROP TABLE local_t, wanted, index_conditions;
DROP FUNCTION compare_index, compare, sql_of;
