-- Conditions over types that SQLite does not have: dates and times in all the
-- forms that they are stored in, uuids, varchar(n), char(n), real.
--
-- Their columns are read by functions of the wrapper's (vss_date and its like)
-- before they are compared.  Each condition runs over the foreign table and
-- over a local copy of its rows, which must agree.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
SET timezone = 'America/New_York';
SET datestyle = 'ISO';
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/pushdown_types.db*
\! sqlite3 /tmp/vss_fdw_regress/pushdown_types.db "CREATE TABLE t(id INTEGER PRIMARY KEY, d DATE, ts TIMESTAMP, tz TIMESTAMPTZ, tm TIME, u UUID, vc VARCHAR(5), c CHAR(5), r FLOAT, k INT)"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_types.db "INSERT INTO t VALUES (1, '2024-02-29', '2024-02-29 12:34:56', '2024-02-29 12:34:56', '12:34:56', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'abc', 'abc', 0.1, 1), (2, ' 2024-02-29T00:00Z', '2024-02-29T13:34:56+01:00', '2024-02-29 12:34:56Z', '12:34:56.0000004', '{A0EEBC999C0B4EF8BB6D6BB9BD380A11}', 'abc  ', 'abc  ', 1.5, 1), (3, 1709164800, 1709210096, '2024-02-29 07:34:56-05', 45296, x'a0eebc999c0b4ef8bb6d6bb9bd380a11', 'abcde   ', 'abcde     ', 16777217, 1), (4, 2460369.5, 2460370.02425926, 1709210096, 2451545.0242592594, 'A0EE-BC99-9C0B-4EF8-BB6D-6BB9-BD38-0A11', 'äöüßé', 'äöüßé', 2, 2), (5, '0044-03-15 BC', '1969-12-31 23:59:59.9999996', '1969-12-31', '24:00', '00000000-0000-0000-0000-000000000000', '', '', -1e30, 2), (6, '12024-01-01', '1999-12-31 24:00:00', -1, '00:00', 'ffffffff-ffff-ffff-ffff-ffffffffffff', ' ', ' ', 9e999, 2), (7, 'infinity', '-infinity', 'infinity', '23:59:59.999999', '7fffffff-0000-4000-8000-000000000001', 12, 12, -0.0, 2), (8, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_types.db "CREATE TABLE bad(id INTEGER PRIMARY KEY, d DATE, ts TEXT, u UUID, vc TEXT, r FLOAT)"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_types.db "INSERT INTO bad VALUES (1, '2024-01-01', '2024-01-01', '00000000-0000-0000-0000-000000000000', 'abc', 1), (2, '2024-1-5', 'yesterday', 'no uuid', 'abcdef', 1e300), (3, '2024-02-30', x'00', x'00', x'00', 'many')"
\! chmod 666 /tmp/vss_fdw_regress/pushdown_types.db

CREATE SERVER pushdown_types FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/pushdown_types.db');
CREATE FOREIGN TABLE t(id bigint, d date, ts timestamp, tz timestamptz, tm time, u uuid, vc varchar(5), c char(5), r real, k integer) SERVER pushdown_types;
CREATE FOREIGN TABLE t0(id bigint, ts timestamp(0), tm time(0)) SERVER pushdown_types OPTIONS ("table" 't');
CREATE FOREIGN TABLE bad(id bigint, d date, ts timestamp, u uuid, vc varchar(5), r real) SERVER pushdown_types;
CREATE TABLE local_t AS SELECT * FROM t;
SELECT * FROM t ORDER BY id;

\getenv top PG_ABS_SRCDIR
\set include :top '/sql/include/pushed.psql'
\i :include

CREATE TABLE type_conditions(id serial, condition text);
INSERT INTO type_conditions(condition) VALUES
	('d = ''2024-02-29'''), ('d <> ''2024-02-29'''), ('d < ''0001-01-01'''), ('d > ''9999-12-31'''), ('d >= ''infinity'''), ('d < ''5874897-12-31'''),
	('d BETWEEN ''2024-01-01'' AND ''2024-12-31'''), ('d IN (''2024-02-29'', ''0044-03-15 BC'', NULL)'), ('d NOT IN (''2024-02-29'')'),
	('d = ANY (ARRAY[''2024-02-29'', ''infinity'']::date[])'), ('d IS DISTINCT FROM ''2024-02-29'''), ('d IS NULL'),
	('d < current_date'), ('coalesce(d, ''2000-01-01'') = ''2000-01-01'''), ('nullif(d, ''2024-02-29'') IS NULL'),
	('CASE WHEN k = 1 THEN d ELSE ''2000-01-01'' END = ''2000-01-01'''), ('d + 1 = ''2024-03-01'''),
	('ts = ''2024-02-29 12:34:56'''), ('ts < ''1970-01-01'''), ('ts <= ''1970-01-01'''), ('ts = ''2000-01-01'''), ('ts = ''-infinity'''),
	('ts > d'), ('d < ts'), ('ts >= date ''2024-02-29'''), ('ts < date ''5874897-12-31'''), ('date ''infinity'' > ts'), ('d <> timestamp ''2024-02-29 00:00:00'''),
	('ts::date = ''2024-02-29'''), ('date_trunc(''week'', ts) = ''2024-02-26'''), ('date_trunc(''century'', ts) = ''2001-01-01'''), ('date_trunc(''Month'', ts) = ''2024-02-01'''), ('nullif(d, ts) IS NULL'), ('ts > tz'), ('ts > now()'),
	('tz = ''2024-02-29 07:34:56'''), ('tz = ''2024-02-29 12:34:56+00'''), ('tz > now()'), ('tz > current_date'), ('tz < d'),
	('tm = ''12:34:56'''), ('tm = ''24:00'''), ('tm < ''00:00:00.000001'''), ('tm >= ''23:59:59.999999'''),
	('u = ''a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'''), ('u > ''7fffffff-ffff-ffff-ffff-ffffffffffff'''), ('u IN (''00000000-0000-0000-0000-000000000000'', ''ffffffff-ffff-ffff-ffff-ffffffffffff'')'),
	('vc = ''abc'''), ('vc = ''abc  '''), ('vc = ''abcde'''), ('vc IN (''äöüßé'', '''')'), ('length(vc) = 5'), ('vc = ''12'''), ('vc LIKE ''ab%'''), ('vc < ''b'' COLLATE "C"'),
	('c = ''abc'''), ('c = ''abc  '''), ('c = '''''), ('c <> ''abcde'''), ('c IN (''abc'', ''12'')'), ('c < ''b'' COLLATE "C"'), ('c = vc'), ('c || ''x'' = ''abcx'''),
	('r = 0.1::real'), ('r = 0.1'), ('r > 16777215'), ('r = 16777216'), ('r = ''infinity'''), ('r < ''nan'''), ('r = 0'), ('r IN (1.5, 2)');
SELECT condition, pushed, same, ids FROM type_conditions, compare(condition) ORDER BY id;

-- the statements
SELECT sql_of('SELECT id FROM t WHERE d >= ''2024-02-29'' AND ts < ''2024-03-01'' AND tz <> ''2024-02-29 07:34:56''');
SELECT sql_of('SELECT id FROM t WHERE d < ''5874897-12-31'' AND d <> ''infinity'' AND ts >= d');
SELECT sql_of('SELECT id FROM t WHERE u = ''A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'' AND vc = ''abc'' AND c = ''abc  '' AND r = 2');
SELECT sql_of('SELECT id FROM t0 WHERE ts = ''2024-02-29'' AND tm IN (''10:00'', ''11:00'')');

-- precision: the value is rounded before it is compared
SELECT id, ts, tm FROM t0 WHERE ts = '1970-01-01' OR tm = '12:34:56' ORDER BY id;

-- parameters, in the generic plan
PREPARE types(date, timestamp, timestamptz, time, uuid, date[], uuid[], real, char(5)) AS
	SELECT id FROM t WHERE d = $1 AND ts >= $2 AND tz <= $3 AND tm <> $4 AND u = $5 AND d = ANY ($6) AND u = ANY ($7) AND r < $8 AND c <> $9 ORDER BY id;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE types('2024-02-29', '2024-02-29', 'infinity', '01:00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{2024-02-29,NULL}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', 'nan', 'abcde');
EXECUTE types('2024-02-29', '2024-02-29', 'infinity', '01:00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{2024-02-29,NULL}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', 'nan', 'abcde');
EXECUTE types('2024-02-29', '2024-02-29', 'infinity', '01:00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', NULL, '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', 'nan', 'abcde');
RESET plan_cache_mode;

-- aggregates, groups, distinct rows and order
SELECT sql_of('SELECT min(d), max(ts), count(DISTINCT u), max(tm) FROM t');
SELECT min(d), max(d), min(ts), max(ts), max(tz), min(tm), count(DISTINCT u), count(DISTINCT vc), max(r) FROM t;
SELECT min(d), max(d), min(ts), max(ts), max(tz), min(tm), count(DISTINCT u), count(DISTINCT vc), max(r) FROM local_t;
SELECT sql_of('SELECT d, count(*) FROM t GROUP BY d HAVING max(ts) > ''2000-01-01''');
SELECT d, count(*) FROM t GROUP BY d HAVING max(ts) > '2000-01-01' ORDER BY d;
SELECT sql_of('SELECT date_trunc(''month'', ts), count(*) FROM t GROUP BY 1');
SELECT date_trunc('month', ts), count(*) FROM t GROUP BY 1 ORDER BY 1;
SELECT u, count(*) FROM t GROUP BY u ORDER BY u;
SELECT sql_of('SELECT DISTINCT d, c FROM t');
SELECT DISTINCT d, c FROM t ORDER BY d;
SELECT sql_of('SELECT id FROM t ORDER BY ts DESC, id LIMIT 3');
SELECT id, ts FROM t ORDER BY ts DESC, id LIMIT 3;
SELECT id FROM t ORDER BY d NULLS FIRST, tm, id;
SELECT id FROM local_t ORDER BY d NULLS FIRST, tm, id;

-- a join by such a column is PostgreSQL's unless something else finds the rows
EXPLAIN (COSTS OFF) SELECT a.id FROM t a JOIN t b ON a.d = b.d;
EXPLAIN (COSTS OFF) SELECT a.id FROM t a JOIN t b ON a.k = b.k AND a.d = b.d;
SELECT a.id, b.id FROM t a JOIN t b ON a.k = b.k AND a.d = b.d ORDER BY 1, 2;

-- changes
BEGIN;
EXPLAIN (COSTS OFF) DELETE FROM t WHERE d = '2024-02-29' AND u > '00000000-0000-0000-0000-000000000000';
DELETE FROM t WHERE d = '2024-02-29' AND u > '00000000-0000-0000-0000-000000000000';
SELECT id FROM t ORDER BY id;
ROLLBACK;

-- a value that does not fit is an error where SQLite reads it, as where it is fetched
SELECT id FROM bad WHERE d > '2024-01-01' AND id < 3;
SELECT id FROM bad WHERE d > '2024-01-01' AND id = 3;
SELECT id FROM bad WHERE ts > '2024-01-01' AND id < 3;
SELECT id FROM bad WHERE ts > '2024-01-01' AND id = 3;
SELECT id FROM bad WHERE u = '00000000-0000-0000-0000-000000000000' AND id < 3;
SELECT id FROM bad WHERE u = '00000000-0000-0000-0000-000000000000' AND id = 3;
SELECT id FROM bad WHERE vc = 'abc' AND id < 3;
SELECT id FROM bad WHERE vc = 'abc' AND id = 3;
SELECT id FROM bad WHERE r > 1 AND id < 3;
SELECT id FROM bad WHERE r > 1 AND id = 3;
SELECT id FROM bad WHERE d = '2024-01-01' AND ts = d AND vc = 'abc' AND id = 1;
SELECT max(d) FROM bad;
\set VERBOSITY default
SELECT id FROM bad WHERE d > '2024-01-01' AND id < 3;

-- conditions that read come last, unless others may not see the row before them
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE d = '2024-02-29' AND k % 3 = 1;
CREATE TABLE parted(id bigint, d date, k integer) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (100) SERVER pushdown_types OPTIONS ("table" 't');
CREATE POLICY old ON parted USING (d = '2024-02-29');
ALTER TABLE parted ENABLE ROW LEVEL SECURITY;
CREATE ROLE regress_vss_reader;
GRANT SELECT ON parted TO regress_vss_reader;
SET ROLE regress_vss_reader;
EXPLAIN (COSTS OFF) SELECT id FROM parted WHERE k % 3 = 1;
SELECT id FROM parted WHERE k % 3 = 1 ORDER BY id;
RESET ROLE;
DROP TABLE parted;
DROP ROLE regress_vss_reader;

-- what extra_float_digits says plays no part
SET extra_float_digits = 0;
CREATE FOREIGN TABLE digits(id bigint, r text) SERVER pushdown_types OPTIONS ("table" 't');
SELECT r FROM digits WHERE r = '0.1' OR r = '1e+30' OR id = 3;

DROP SERVER pushdown_types CASCADE;
DROP TABLE local_t, type_conditions;
DROP FUNCTION compare, sql_of;
