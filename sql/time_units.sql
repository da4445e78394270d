-- Numbers that count something else than seconds: option time_unit in reading,
-- writing, conditions and index ranges.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/units.db*
\! sqlite3 /tmp/vss_fdw_regress/units.db "CREATE TABLE u(id INTEGER PRIMARY KEY, s INT, ms INT, us INT, ns INT, julian REAL, coredata REAL, webkit INT, ticks INT, day INT); WITH RECURSIVE c(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM c WHERE x < 3000) INSERT INTO u SELECT x, 1700000000 + x * 3600, (1700000000 + x * 3600) * 1000 + x, (1700000000 + x * 3600) * 1000000 + x, (1700000000 + x * 3600) * 1000000000 + x * 1000, 2440587.5 + (1700000000 + x * 3600) / 86400.0, 1700000000 + x * 3600 - 978307200 + 0.5, (1700000000 + x * 3600 + 11644473600) * 1000000 + x, (1700000000 + x * 3600 + 62135596800) * 10000000 + x * 10, (19675 + x / 24) * 86400000 FROM c; CREATE INDEX u_ms ON u(ms); CREATE INDEX u_us ON u(us); CREATE INDEX u_ns ON u(ns); CREATE INDEX u_julian ON u(julian); CREATE INDEX u_coredata ON u(coredata); CREATE INDEX u_webkit ON u(webkit); CREATE INDEX u_ticks ON u(ticks); CREATE INDEX u_day ON u(day); INSERT INTO u(id, ms) VALUES (9000, '2024-02-29 12:34:56.789'), (9001, NULL); ANALYZE"
\! chmod 666 /tmp/vss_fdw_regress/units.db
CREATE SERVER units FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/units.db');
CREATE SCHEMA fun;
CREATE SCHEMA lun;
CREATE FOREIGN TABLE fun.u(id bigint, s timestamp OPTIONS (time_unit 's'), ms timestamptz OPTIONS (time_unit 'ms'), us timestamp OPTIONS (time_unit 'us'), ns timestamp OPTIONS (time_unit 'ns'), julian timestamp OPTIONS (time_unit 'julian'), coredata timestamp OPTIONS (time_unit 'coredata'),
	webkit timestamptz OPTIONS (time_unit 'webkit'), ticks timestamp OPTIONS (time_unit 'ticks'), day date OPTIONS (time_unit 'MS')) SERVER units;
CREATE TABLE lun.u AS SELECT * FROM fun.u;
SELECT * FROM fun.u WHERE id IN (0, 1234, 9000) ORDER BY id;
-- conditions, with indexes and without; and where SQLite finds the rows by one
CREATE FUNCTION fun.compare(condition text, OUT rows bigint, OUT same boolean, OUT pushed boolean, OUT indexed boolean) LANGUAGE plpgsql AS $$
DECLARE
	l text;
	f text;
	line text;
BEGIN
	EXECUTE 'SELECT count(*), string_agg(id::text, '','' ORDER BY id) FROM lun.u WHERE ' || condition INTO rows, l;
	EXECUTE 'SELECT string_agg(id::text, '','' ORDER BY id) FROM fun.u WHERE ' || condition INTO f;
	same := l IS NOT DISTINCT FROM f;
	pushed := true; indexed := false;
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM fun.u WHERE ' || condition LOOP
		pushed := pushed AND line !~ 'Filter:';
		indexed := indexed OR line ~ 'vss_low\(|vss_since\(';
	END LOOP;
END $$;
ANALYZE fun.u;
SELECT unit, c.* FROM unnest(ARRAY['ms', 'us', 'ns', 'julian', 'coredata', 'webkit', 'ticks', 'day']) AS unit, unnest(ARRAY['%1$s = (SELECT %1$s FROM lun.u WHERE id = 77)', '%1$s BETWEEN ''2023-12-01'' AND ''2023-12-02''', '%1$s >= ''2024-03-15''', '%1$s < ''2023-11-16''', 'date_trunc(''month'', %1$s) = ''2024-01-01''', '%1$s IS NULL']) AS form,
	fun.compare(format(form, unit)) AS c;
SELECT DISTINCT ON (unit) unit, c.* FROM unnest(ARRAY['s', 'ms', 'ticks']) AS unit, fun.compare(format('%s < ''1971-01-01'' OR %1$s > ''2024-03-17 00:00:00''', unit)) AS c;
-- written in the column's own form
INSERT INTO fun.u VALUES (10000, '2024-02-29 12:34:56', '2024-02-29 12:34:56.789+00', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789012', '2024-02-29 12:00:00', '2024-02-29 12:34:56.5', '2024-02-29 12:34:56.789012+00', '2024-02-29 12:34:56.789012', '2024-02-29') RETURNING *;
UPDATE fun.u SET ms = ms + interval '1 millisecond', day = day + 1 WHERE id = 10000;
\! sqlite3 /tmp/vss_fdw_regress/units.db "SELECT s, ms, us, ns, julian, coredata, webkit, ticks, day FROM u WHERE id = 10000"
-- what has no such form, or would be another time
INSERT INTO fun.u(s) VALUES ('2024-02-29 12:34:56.5');
INSERT INTO fun.u(ms) VALUES ('2024-02-29 12:34:56.7891');
INSERT INTO fun.u(us) VALUES ('infinity');
INSERT INTO fun.u(ms) VALUES ('12024-01-01');
INSERT INTO fun.u(julian) VALUES ('2024-02-29 12:34:56.789012');
-- never a silent year: milliseconds taken for seconds, and units mixed
\set VERBOSITY default
CREATE FOREIGN TABLE fun.plain(id bigint, ms timestamp) SERVER units OPTIONS ("table" 'u');
SELECT ms FROM fun.plain WHERE id = 5;
CREATE FOREIGN TABLE fun.wrong(id bigint, us timestamp OPTIONS (time_unit 's')) SERVER units OPTIONS ("table" 'u');
SELECT us FROM fun.wrong WHERE id = 5;
-- options that mean nothing
CREATE FOREIGN TABLE fun.bad(ms timestamp OPTIONS (time_unit 'fortnight')) SERVER units OPTIONS ("table" 'u');
CREATE FOREIGN TABLE fun.bad(ms bigint OPTIONS (time_unit 'ms')) SERVER units OPTIONS ("table" 'u');
SELECT * FROM fun.bad LIMIT 1;
CREATE FOREIGN TABLE fun.bad2(ms text OPTIONS (column_type 'INTEGER')) SERVER units OPTIONS ("table" 'u');
SELECT * FROM fun.bad2 LIMIT 1;
\set VERBOSITY terse
SET client_min_messages = error;
DROP SERVER units CASCADE;
DROP SCHEMA fun, lun CASCADE;
