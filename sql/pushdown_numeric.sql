-- Type numeric in SQLite: conditions, order, groups and sums, to the last digit.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/pushdown_numeric.db*
\! sqlite3 /tmp/vss_fdw_regress/pushdown_numeric.db "CREATE TABLE t(id INTEGER PRIMARY KEY, n NUMERIC, p DECIMAL(10,2), x TEXT, i INT, g INT)"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_numeric.db "INSERT INTO t VALUES (1, 1, 0.005, '1', 1, 1), (2, 1.0, -0.005, '1.00', 2, 1), (3, 0.1, 1.995, '12345678901234567890.123456789', 3, 1), (4, '0.30000000000000004', 99999999.99, '-12345678901234567890.123456788', -1, 2), (5, 1e20, 3, ' +5. ', 9223372036854775807, 2), (6, 9007199254740993, '3.00', '1e-30', -9223372036854775807, 2), (7, '-0.0', 0, '-0.0', 0, 3), (8, 'NaN', 12.345, 'Infinity', 5, 3), (9, '-Infinity', 1234567.891, '-inf', 5, 4), (10, NULL, NULL, NULL, NULL, NULL)"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_numeric.db "CREATE TABLE bad(id INTEGER PRIMARY KEY, n TEXT, p DECIMAL(4,2)); INSERT INTO bad VALUES (1, '1', 1), (2, 'one', 99.994), (3, '0x10', 99.995), (4, '1e', 1), (5, '1.2.3', 1), (6, x'31', x'31'), (7, '1e200000', 1), (8, '', 'Infinity')"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_numeric.db "CREATE TABLE words(w TEXT, k INTEGER); INSERT INTO words VALUES ('5', 5), ('10', 10), ('abc', 7); CREATE VIEW mixed AS SELECT w AS c FROM words UNION ALL SELECT k FROM words; CREATE VIEW nested AS SELECT c FROM mixed"
\! chmod 666 /tmp/vss_fdw_regress/pushdown_numeric.db

CREATE SERVER pushdown_numeric FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/pushdown_numeric.db');
CREATE FOREIGN TABLE t(id bigint, n numeric, p numeric(10,2), x numeric, i bigint, g integer) SERVER pushdown_numeric;
CREATE FOREIGN TABLE bad(id bigint, n numeric, p numeric(4,2)) SERVER pushdown_numeric;
CREATE TABLE local_t AS SELECT * FROM t;
SELECT * FROM t ORDER BY id;

\getenv top PG_ABS_SRCDIR
\set include :top '/sql/include/pushed.psql'
\i :include
CREATE TABLE numeric_conditions(id serial, condition text);
INSERT INTO numeric_conditions(condition) VALUES
	('n = 1'), ('n = 1.000'), ('n <> 0.1'), ('n < 0.3'), ('n >= 0.30000000000000004'), ('n > 1e19'), ('n = 9007199254740993'), ('n = 0'), ('n = ''NaN'''), ('n > ''Infinity'''),
	('n < ''-1e1000'''), ('n IN (1, 0.1, NULL)'), ('n NOT IN (1, 2)'), ('n = ANY (''{1.0,0.1}''::numeric[])'), ('n IS DISTINCT FROM 1'), ('n BETWEEN 0 AND 1'),
	('p = 0.01'), ('p = -0.01'), ('p = 2'), ('p > 99999999'), ('p = 12.35'), ('p = 12.345'), ('p = 1234567.89'),
	('x = 1'), ('x > 12345678901234567890.123456788'), ('x = -12345678901234567890.123456788'), ('x = 5'), ('x < 1e-29'), ('x = 0'), ('x = ''-infinity'''),
	('i < 2.5'), ('i = 9223372036854775807.0'), ('n = i'), ('x = n'), ('coalesce(n, 7) = 7'), ('nullif(p, 3) IS NULL'), ('CASE WHEN i > 1 THEN n ELSE x END > 1'),
	('n + 1 = 2'), ('n > 0.5::float8'), ('n::int = 1 AND id < 3');
SELECT condition, pushed, same, ids FROM numeric_conditions, compare(condition) ORDER BY id;

SELECT sql_of('SELECT id FROM t WHERE n > 1.50 AND p = 3 AND i < 2.5');
SELECT sql_of('SELECT sum(n), avg(p), min(p), max(n), sum(i) FROM t');
SELECT sql_of('SELECT g, sum(p) FROM t GROUP BY g HAVING sum(p) > 2.5 ORDER BY sum(p) DESC LIMIT 2');
SELECT sql_of('SELECT DISTINCT p FROM t');

-- sums, and what they show
SELECT g, sum(n), sum(p), avg(p), sum(x), avg(x), min(p), max(p), sum(i), avg(i), count(DISTINCT x) FROM t GROUP BY g ORDER BY g;
SELECT g, sum(n), sum(p), avg(p), sum(x), avg(x), min(p), max(p), sum(i), avg(i), count(DISTINCT x) FROM local_t GROUP BY g ORDER BY g;
SELECT sum(x), avg(x), sum(p) FROM t WHERE id < 8;
SELECT sum(x), avg(x), sum(p) FROM local_t WHERE id < 8;
SELECT sum(n), avg(n), sum(x) FROM t WHERE id > 99;
SELECT sum(n), sum(x), avg(x) FROM t WHERE id IN (1, 9);
SELECT sum(x), avg(x) FROM t WHERE id IN (8, 9);
SELECT g, sum(p) FROM t GROUP BY g HAVING sum(p) > 2.5 ORDER BY sum(p) DESC LIMIT 2;
SELECT DISTINCT p FROM t ORDER BY p;
SELECT n, count(*) FROM t GROUP BY n ORDER BY n;
SELECT id FROM t ORDER BY x DESC NULLS LAST, id;
SELECT id FROM local_t ORDER BY x DESC NULLS LAST, id;

-- equal numbers that look different: which one a group shows is left to PostgreSQL
EXPLAIN (COSTS OFF) SELECT x, count(*) FROM t GROUP BY x;
EXPLAIN (COSTS OFF) SELECT max(x) FROM t;

PREPARE numeric_param(numeric, numeric[]) AS SELECT id FROM t WHERE n >= $1 AND p = ANY ($2) ORDER BY id;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE numeric_param(1, '{3,0.01}');
EXECUTE numeric_param(1, '{3.000,0.01}');
EXECUTE numeric_param('NaN', '{12.35}');
RESET plan_cache_mode;

-- an index on a column of numeric affinity
SELECT vss_exec('pushdown_numeric', 'CREATE INDEX t_n ON t(n)');
SELECT sql_of('SELECT id FROM t WHERE n = 9007199254740993');
SELECT sql_of('SELECT id FROM t WHERE n BETWEEN 0.1 AND 1.00');
SELECT left(v.n::text, 22) AS n, (SELECT string_agg(id::text, ',' ORDER BY id) FROM t WHERE t.n = v.n) AS equal, (SELECT string_agg(id::text, ',' ORDER BY id) FROM t WHERE t.n BETWEEN v.n AND v.n + 1) AS between,
	(SELECT string_agg(id::text, ',' ORDER BY id) FROM local_t AS t WHERE t.n = v.n) AS local_equal, (SELECT string_agg(id::text, ',' ORDER BY id) FROM local_t AS t WHERE t.n BETWEEN v.n AND v.n + 1) AS local_between
	FROM (VALUES (1), (0.1), (0.30000000000000004), (1e20), (9007199254740993), (9007199254740992), (0), ('NaN'), ('-Infinity'), ('Infinity'), (1e400), (-1e400), (NULL)) AS v(n);

-- numbers of many lengths
SELECT vss_exec('pushdown_numeric', 'CREATE TABLE many(x TEXT); WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000) INSERT INTO many SELECT CASE n % 3 WHEN 0 THEN ''-'' ELSE '''' END || (n * 7919) || ''.'' || substr(''9876543210123456789'', 1, 1 + n % 19) || ''e'' || (n % 41 - 20) FROM c') > 0 AS made;
CREATE FOREIGN TABLE many(x numeric) SERVER pushdown_numeric;
CREATE TABLE local_many AS SELECT * FROM many;
SELECT (SELECT sum(x)::text || ' ' || avg(x) FROM many) = (SELECT sum(x)::text || ' ' || avg(x) FROM local_many) AS same, (SELECT scale(sum(x)) FROM many) AS scale;
SELECT count(*) FROM (SELECT x::text, row_number() OVER (ORDER BY x, x::text) FROM many EXCEPT SELECT x::text, row_number() OVER (ORDER BY x, x::text) FROM local_many) AS d;

-- values that do not fit
SELECT id FROM bad WHERE n > 0 AND id = 1;
SELECT id FROM bad WHERE n > 0 AND id = 2;
SELECT id FROM bad WHERE n > 0 AND id = 4;
SELECT id FROM bad WHERE n > 0 AND id = 5;
SELECT id FROM bad WHERE n > 0 AND id = 6;
SELECT id FROM bad WHERE n > 0 AND id = 7;
SELECT id FROM bad WHERE n > 0 AND id = 8;
SELECT id FROM bad WHERE p = 99.99 AND id = 2;
SELECT id FROM bad WHERE p > 0 AND id = 3;
SELECT id FROM bad WHERE p > 0 AND id = 8;
SELECT sum(n) FROM bad;

-- a view of several SELECTs has values of any type, whatever its first says
CREATE FOREIGN TABLE nested(c text) SERVER pushdown_numeric;
EXPLAIN (COSTS OFF) SELECT c FROM nested WHERE c < '2' COLLATE "C";
SELECT c FROM nested WHERE c < '2' COLLATE "C";
SELECT c FROM nested WHERE c = '5';

DROP SERVER pushdown_numeric CASCADE;
DROP TABLE local_t, local_many, numeric_conditions;
DROP FUNCTION compare, sql_of;
