-- Fields of dates and times, and dates and times cut to a unit, computed by
-- SQLite: extract(), date_part(), date_trunc(), casts between the types.
--
-- What has a time zone is of the session's.  Every answer is compared with that
-- over a local copy of the rows.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
SET timezone = 'America/New_York';
SET datestyle = 'ISO';
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/pushdown_times.db*
\! sqlite3 /tmp/vss_fdw_regress/pushdown_times.db "CREATE TABLE t(id INTEGER PRIMARY KEY, d DATE, ts TIMESTAMP, tz TIMESTAMPTZ, tm TIME)"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_times.db "INSERT INTO t VALUES (1, '2024-02-29', '2024-02-29 12:34:56.789', '2024-03-10 06:59:59.5', '12:34:56.789'), (2, 1704067200, 1709210096, '2024-03-10 07:00:00', '24:00'), (3, 2460369.5, 2460370.02425926, '2024-11-03 06:30:00', '00:00:00.000001'), (4, '2020-12-31', '2021-01-03T23:00', '2024-11-03 05:30:00', 45296), (5, '0045-02-28 BC', '0045-02-28 12:00 BC', '0045-02-28 12:00 BC', '23:59:59.999999'), (6, '0045-02-29 BC', '0001-12-31 23:59:59.999999 BC', '1883-11-18 16:59:59', NULL), (7, '0001-01-01', '294276-12-31 23:59:59', '1969-12-31 23:59:59.5', NULL), (8, '12024-12-30', '1969-12-31 23:59:59.9', '12024-07-04', NULL), (9, 'infinity', 'infinity', 'infinity', NULL), (10, '-infinity', '-infinity', '-infinity', NULL), (11, NULL, NULL, NULL, NULL)"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_times.db "CREATE TABLE far(id INTEGER PRIMARY KEY, d DATE); INSERT INTO far VALUES (1, '2024-02-29'), (2, '294277-01-01')"
\! sqlite3 /tmp/vss_fdw_regress/pushdown_times.db "CREATE TABLE bad(id INTEGER PRIMARY KEY, d DATE); INSERT INTO bad VALUES (1, '0044-02-29 BC'), (2, '2023-02-29')"
\! chmod 666 /tmp/vss_fdw_regress/pushdown_times.db

CREATE SERVER pushdown_times FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/pushdown_times.db');
CREATE FOREIGN TABLE t(id bigint, d date, ts timestamp, tz timestamptz, tm time) SERVER pushdown_times;
CREATE FOREIGN TABLE far(id bigint, d date) SERVER pushdown_times;
CREATE FOREIGN TABLE bad(id bigint, d date) SERVER pushdown_times;
CREATE TABLE local_t AS SELECT * FROM t;

\getenv top PG_ABS_SRCDIR
\set include :top '/sql/include/pushed.psql'
\i :include

-- Groups of the expression: whether SQLite makes them all, whether they and their looks are PostgreSQL's.
CREATE FUNCTION compare_groups(expression text, OUT pushed boolean, OUT same boolean, OUT groups text)
LANGUAGE plpgsql AS $$
DECLARE
	plan json;
	local_groups text;
BEGIN
	EXECUTE format('EXPLAIN (FORMAT JSON) SELECT %s, count(*), min(id) FROM t GROUP BY 1', expression) INTO plan;
	pushed := plan->0->'Plan'->>'Node Type' = 'Foreign Scan';
	EXECUTE format('SELECT string_agg(coalesce(value::text, ''null'') || '':'' || least, '' '' ORDER BY least) FROM (SELECT %s AS value, min(id) AS least FROM t GROUP BY 1) g', expression) INTO groups;
	EXECUTE format('SELECT string_agg(coalesce(value::text, ''null'') || '':'' || least, '' '' ORDER BY least) FROM (SELECT %s AS value, min(id) AS least FROM local_t GROUP BY 1) g', expression) INTO local_groups;
	same := groups IS NOT DISTINCT FROM local_groups;
END $$;
-- groups are made by SQLite where it can, whatever it costs
SET enable_hashagg = off;
SET enable_sort = off;

SELECT expression, c.* FROM unnest(ARRAY['year', 'month', 'day', 'week', 'quarter', 'decade', 'century', 'millennium', 'isoyear', 'dow', 'isodow', 'doy', 'epoch', 'julian']) AS field,
	format('extract(%s FROM d)', field) AS expression, compare_groups(expression) AS c;
SELECT expression, c.* FROM unnest(ARRAY['year', 'week', 'century', 'isoyear', 'dow', 'epoch', 'hour', 'minute', 'second', 'milliseconds', 'microseconds', 'julian', 'years']) AS field,
	format('extract(%s FROM ts)', field) AS expression, compare_groups(expression) AS c;
SELECT expression, c.* FROM unnest(ARRAY['day', 'isodow', 'epoch', 'hour', 'minute', 'second', 'timezone']) AS field,
	format('extract(%s FROM tz)', field) AS expression, compare_groups(expression) AS c;
SELECT expression, c.* FROM unnest(ARRAY['hour', 'minute', 'second', 'milliseconds', 'microseconds', 'epoch']) AS field,
	format('extract(%s FROM tm)', field) AS expression, compare_groups(expression) AS c;
SELECT expression, c.* FROM unnest(ARRAY['date_part(''year'', d)', 'date_part(''hour'', d)', 'date_part(''epoch'', d)', 'date_part(''second'', ts)', 'date_part(''epoch'', ts)', 'date_part(''milliseconds'', tm)', 'date_part(''doy'', tz)',
	'extract(month FROM d)::int', 'extract(dow FROM tz)::smallint', 'extract(microseconds FROM tm)::bigint', 'extract(second FROM ts)::int',
	'date_trunc(''month'', d)', 'date_trunc(''week'', tz)', 'date_trunc(''hour'', tz)', 'date_trunc(''day'', tz)', 'date_trunc(''century'', d)::date', 'tz::date', 'ts::time', 'tz::time', 'd::timestamp', 'tz::timestamp',
	'd + 1', 'd - 60', 'd + interval ''1 month''', 'ts - interval ''1 month 1 day''', 'tz + interval ''1 day''', 'tz + interval ''24:00''', 'tz - interval ''1 year 12:00''']) AS expression,
	compare_groups(expression) AS c;

-- infinity is no year, and PostgreSQL's error
SELECT extract(year FROM d)::int AS year, count(*) FROM t WHERE id < 9 GROUP BY 1 ORDER BY 1;
SELECT extract(year FROM d)::int AS year, count(*) FROM t GROUP BY 1;
SELECT extract(year FROM d)::int AS year, count(*) FROM local_t GROUP BY 1;
RESET enable_hashagg;
RESET enable_sort;

SELECT sql_of('SELECT extract(year FROM d), count(*), max(extract(second FROM ts)) FROM t GROUP BY 1');
SELECT sql_of('SELECT date_part(''year'', d), count(DISTINCT extract(month FROM d)) FROM t GROUP BY 1');
SELECT sql_of('SELECT date_trunc(''month'', d)::date, extract(month FROM tz)::int, count(*) FROM t GROUP BY 1, 2');
SELECT sql_of('SELECT id FROM t WHERE extract(year FROM ts) = 2024 AND date_part(''hour'', ts) >= 12 AND date_trunc(''day'', tz) = ''2024-03-10''');
SELECT sql_of('SELECT id FROM t ORDER BY extract(epoch FROM tz) DESC, id LIMIT 3');
-- stays here: it fails of infinite dates, and a condition might fail for a row that another one excludes
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE extract(year FROM d)::int = 2024;

-- conditions: in New York the clocks are changed on the days of rows 1 to 4
CREATE TABLE conditions(id serial, condition text);
INSERT INTO conditions(condition) VALUES ('extract(year FROM ts) = 2024'), ('extract(second FROM ts) = 56.789'), ('extract(epoch FROM tz) < 0'), ('extract(hour FROM tz) IN (1, 3)'), ('extract(dow FROM tz) = 0'), ('extract(year FROM d) = ''infinity'''), ('extract(day FROM d) IS NULL'),
	('date_part(''year'', d) < 0'), ('date_part(''epoch'', ts) > 1e12'), ('extract(month FROM d)::int = 2'), ('date_trunc(''month'', d) = ''2024-02-01'''), ('date_trunc(''week'', tz) < ''1970-01-01'''), ('date_trunc(''hour'', tz) = ''2024-11-03 01:00-05'''),
	('tz::date = ''2024-03-10'''), ('tz::time = ''01:30'''), ('ts::time > ''12:00'''), ('d::timestamp = ts'), ('extract(hour FROM d::timestamp) = 0'), ('extract(year FROM coalesce(d, ts::date)) = 2024'), ('extract(year FROM ts) = extract(year FROM d)'),
	('d + 30 > ''2024-03-01'''), ('d + interval ''1 day'' = ''2024-03-01'''), ('ts - interval ''30 days'' < ''1970-01-01'''), ('tz - interval ''1 day'' = ''2024-03-09 01:59:59.5'''), ('d + id::int = ''2024-03-01'''), ('extract(day FROM d + 1) = 1'), ('ts - (id || '' days'')::interval > ''2024-01-01''');
SELECT condition, pushed, same, ids FROM conditions, compare(condition) ORDER BY id;
-- a prepared statement is of the time zone in which it runs
PREPARE days AS SELECT id, tz::date FROM t WHERE extract(hour FROM tz) < 2 ORDER BY id;
EXECUTE days;
SET timezone = 'America/Sao_Paulo';
EXECUTE days;
SELECT condition, pushed, same, ids FROM conditions, compare(condition) WHERE condition ~ 'tz' ORDER BY id;
SET timezone = 'Australia/Lord_Howe';
SELECT condition, pushed, same, ids FROM conditions, compare(condition) WHERE condition ~ 'tz' ORDER BY id;

-- days between dates: none of infinite ones, which are PostgreSQL's error where they are not left out
SELECT sql_of('SELECT id FROM t WHERE date ''2024-03-01'' - d < 60');
SELECT condition, pushed, same, ids FROM unnest(ARRAY['d < ''infinity'' AND d > ''-infinity'' AND date ''2024-03-01'' - d < 60']) AS condition, compare(condition);
SELECT id FROM t WHERE date '2024-03-01' - d < 60;

-- a timestamp has no room for the year 294277; that row is an error where it is shown
SELECT id FROM far WHERE date_trunc('month', d) = '2024-02-01' ORDER BY id;
SELECT date_trunc('month', d), count(*) FROM far WHERE id = 1 GROUP BY 1;
SET enable_hashagg = off;
SET enable_sort = off;
SELECT date_trunc('month', d), count(*) FROM far GROUP BY 1;
SELECT d + 2147483647, count(*) FROM far GROUP BY 1;
-- so it is where only a field of it is
SELECT extract(year FROM d), extract(epoch FROM d), count(*) FROM far GROUP BY 1, 2;
SELECT date_part('year', d), count(*) FROM far GROUP BY 1;
SELECT date_part('epoch', d), count(*) FROM far GROUP BY 1;
SELECT extract(year FROM d::timestamp), count(*) FROM far GROUP BY 1;
SELECT extract(year FROM d::timestamp)::int, count(*) FROM far GROUP BY 1;
SELECT sql_of('SELECT date_part(''year'', d), count(*) FROM far GROUP BY 1');
RESET enable_hashagg;
RESET enable_sort;

-- 45 BC had a 29 February, 44 BC had none
SELECT id, d FROM t WHERE d = '0045-02-29 BC';
SELECT d FROM bad WHERE id = 1;
SELECT d FROM bad WHERE id = 2;

DROP SERVER pushdown_times CASCADE;
DROP TABLE local_t, conditions;
DROP FUNCTION compare_groups, compare, sql_of;
DEALLOCATE days;
