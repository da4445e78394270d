-- Types that programs keep in forms of their own: addresses as text, bytes or numbers, JSON as SQLite's binary form.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/forms.db*
\! sqlite3 /tmp/vss_fdw_regress/forms.db "CREATE TABLE mac(id INTEGER PRIMARY KEY, t MACADDR, b MACADDR, n MACADDR, t8 MACADDR8, b8 MACADDR8, n8 MACADDR8, mixed MACADDR, odd MACADDR); INSERT INTO mac VALUES (1, '08:00:2b:01:02:03', x'08002b010203', 8796814508547, '08:00:2b:01:02:03:04:05', x'08002b0102030405', -1, x'08002b010203', x'0800'), (2, '0800.2b01.0204', x'ffffffffffff', 0, '08002b0102030406', x'ffffffffffffffff', 576464040930018309, '08-00-2b-01-02-03', '08:00:2b:01:02:03'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
\! sqlite3 /tmp/vss_fdw_regress/forms.db "CREATE TABLE js(id INTEGER PRIMARY KEY, j JSON); INSERT INTO js VALUES (1, '{\"a\":1}'), (2, x'4c17611331'), (3, x'00'), (4, 7); CREATE TABLE bad(id INTEGER PRIMARY KEY, j JSON); INSERT INTO bad VALUES (1, x'0102'), (2, x'ff')"
\! chmod 666 /tmp/vss_fdw_regress/forms.db
CREATE SERVER forms FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/forms.db');
CREATE SCHEMA forms;
IMPORT FOREIGN SCHEMA main LIMIT TO (mac, bad) FROM SERVER forms INTO forms;
SELECT attname, format_type(atttypid, atttypmod), array_to_string(attfdwoptions[2:], ' ') AS options FROM pg_attribute WHERE attrelid = 'forms.mac'::regclass AND attnum > 1 ORDER BY attnum;
SELECT * FROM forms.mac ORDER BY id;
SELECT id FROM forms.mac WHERE b = '08:00:2b:01:02:03' AND n = b AND t = n AND mixed = t;

-- written in the column's own form
INSERT INTO forms.mac(id, t, b, n, t8, b8, n8, mixed) VALUES (4, '01:02:03:04:05:06', '01:02:03:04:05:06', '01:02:03:04:05:06', '01:02:03:04:05:06:07:08', '01:02:03:04:05:06:07:08', 'ff:ff:ff:ff:ff:ff:ff:fe', '01:02:03:04:05:06');
UPDATE forms.mac SET b = t, n = t, b8 = t8, n8 = t8 WHERE id = 2 RETURNING b, n, b8, n8;
\! sqlite3 /tmp/vss_fdw_regress/forms.db "SELECT id, quote(t), quote(b), quote(n), quote(t8), quote(b8), quote(n8), quote(mixed) FROM mac WHERE id IN (2, 4)"
SELECT t, b, n, t8, b8, n8, mixed FROM forms.mac WHERE id = 4;
-- no address
CREATE FOREIGN TABLE forms.wrong (id bigint, b macaddr, n macaddr OPTIONS (column_name 'n8'), b8 macaddr8 OPTIONS (column_name 'odd')) SERVER forms OPTIONS ("table" 'mac');
SELECT b8 FROM forms.wrong WHERE id = 1;
SELECT n FROM forms.wrong WHERE id = 1;
ALTER FOREIGN TABLE forms.wrong ALTER b TYPE date, ALTER b OPTIONS (ADD column_type 'BLOB');
SELECT b FROM forms.wrong;

-- SQLite's binary JSON is read where SQLite does, else an error, in whatever version
CREATE FOREIGN TABLE forms.js (id bigint, j json) SERVER forms;
CREATE FUNCTION forms.try(n bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r text;
BEGIN
	SELECT j::jsonb::text INTO r FROM forms.js WHERE id = n;
	RETURN r;
EXCEPTION WHEN fdw_invalid_data_type THEN
	RETURN SQLERRM;
END $$;
SELECT string_to_array(v, '.')::int[] >= '{3,45}' AS binary_json FROM vss_query('forms', 'SELECT sqlite_version()') AS q(v text) \gset
SELECT id, CASE WHEN id IN (1, 4) OR :'binary_json' THEN
		forms.try(id) = ('{"{\"a\": 1}","{\"a\": 1}","null","7"}'::text[])[id]
	ELSE forms.try(id) LIKE 'SQLite value % bytes does not fit type json: a BLOB is read as JSON if it is binary JSON and SQLite is 3.45 or later' END AS right
FROM generate_series(1, 4) id ORDER BY id;
DROP FOREIGN TABLE forms.js;
IMPORT FOREIGN SCHEMA main LIMIT TO (js) FROM SERVER forms INTO forms;
SELECT attrelid::regclass, CASE format_type(atttypid, atttypmod) WHEN CASE WHEN :'binary_json' THEN 'json' ELSE 'bytea' END THEN 'as expected' ELSE format_type(atttypid, atttypmod) END AS type
FROM pg_attribute WHERE attrelid = 'forms.js'::regclass AND attname = 'j';
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'forms.bad'::regclass AND attname = 'j';
DROP SCHEMA forms CASCADE;
DROP SERVER forms;
