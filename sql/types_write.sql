-- Values from PostgreSQL to SQLite: the form that is stored, and that it reads back the same.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = 0;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/types_write.db*
\! sqlite3 /tmp/vss_fdw_regress/types_write.db "CREATE TABLE v(id INTEGER PRIMARY KEY, x); CREATE TABLE n(id INTEGER PRIMARY KEY, x NUMERIC)" && chmod 666 /tmp/vss_fdw_regress/types_write.db
CREATE SERVER types_write FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/types_write.db');
CREATE TYPE types_write_mood AS ENUM ('good', 'bad');
CREATE TYPE types_write_pair AS (a int, b date);
CREATE DOMAIN types_write_day AS date;

-- Stores each value and reads it: what SQLite has (as EXPLAIN-like text through a second table), and whether it came back.
CREATE FOREIGN TABLE types_write_raw (id bigint, x text) SERVER types_write OPTIONS ("table" 'v');
CREATE FUNCTION types_write_try(type text, stored text, VARIADIC vals text[]) RETURNS TABLE (given text, same text)
LANGUAGE plpgsql AS $$
DECLARE
	val text;
	back boolean;
	row_id bigint;
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE types_write_x (id bigint, x %s %s) SERVER types_write OPTIONS ("table" ''v'')', type,
		CASE WHEN stored IS NULL THEN '' ELSE format('OPTIONS (column_type %L)', stored) END);
	FOREACH val IN ARRAY vals LOOP
		given := coalesce(val, 'NULL');
		BEGIN
			EXECUTE format('INSERT INTO types_write_x(x) VALUES (%L::%s) RETURNING id', val, type) INTO row_id;
			-- as text on both sides: an array or composite has no = for all elements
			EXECUTE format('SELECT x::text IS NOT DISTINCT FROM (%L::%s)::text FROM types_write_x WHERE id = %s', val, type, row_id) INTO back;
			same := CASE WHEN back THEN 'same' ELSE 'DIFFERENT' END;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS same = MESSAGE_TEXT;
		END;
		RETURN NEXT;
	END LOOP;
	DROP FOREIGN TABLE types_write_x;
END $$;
\pset format unaligned
\pset fieldsep ' '
\pset tuples_only on
SELECT * FROM types_write_try('smallint', NULL, '-32768', '32767', NULL);
SELECT * FROM types_write_try('bigint', NULL, '-9223372036854775808', '9223372036854775807');
SELECT * FROM types_write_try('bigint', 'TEXT', '-5');
SELECT * FROM types_write_try('real', NULL, '0.1', '-3.4028235e38', '1e-45', 'Infinity', 'NaN');
SELECT * FROM types_write_try('double precision', NULL, '0.1', '1.7976931348623157e308', '5e-324', '-Infinity', 'NaN');
SELECT * FROM types_write_try('double precision', 'TEXT', '0.30000000000000004', 'NaN');
SELECT * FROM types_write_try('numeric', NULL, '0', '-12345678901234567890.12345678901234567890', '9223372036854775808', '1.500', 'NaN');
SELECT * FROM types_write_try('boolean', NULL, 'true', 'false');
SELECT * FROM types_write_try('boolean', 'TEXT', 'true', 'false');
SELECT * FROM types_write_try('text', NULL, '', 'it''s "quoted" \ äöü 漢字 🙂', E'line\nbreak\ttab', '123', '1e5');
SELECT * FROM types_write_try('varchar(5)', NULL, 'äöüßé', 'a  ');
SELECT * FROM types_write_try('char(4)', NULL, 'ab', 'äb');
SELECT * FROM types_write_try('bytea', NULL, '\x', '\x00ff00', '\x616263');
SELECT * FROM types_write_try('uuid', NULL, '11111111-2222-3333-4444-555555555555');
SELECT * FROM types_write_try('uuid', 'BLOB', '11111111-2222-3333-4444-555555555555');
SELECT * FROM types_write_try('date', NULL, '2024-02-29', '0001-01-01', '0044-03-15 BC', '12345-06-07', 'infinity', '-infinity');
SELECT * FROM types_write_try('date', 'INTEGER', '2024-02-29', '1969-07-20', '0001-01-01', 'infinity');
SELECT * FROM types_write_try('date', 'REAL', '2024-02-29', '0001-01-01', 'infinity');
SELECT * FROM types_write_try('time', NULL, '00:00', '23:59:59.999999', '24:00');
SELECT * FROM types_write_try('timetz', NULL, '12:00:00+05:30', '01:02:03.5-08');
SELECT * FROM types_write_try('timestamp', NULL, '2024-02-29 12:34:56.123456', '1969-12-31 23:59:59', '0044-03-15 12:00 BC', 'infinity');
SELECT * FROM types_write_try('timestamp', 'INTEGER', '2024-02-29 12:34:56', '1901-01-01', '2024-02-29 12:34:56.5');
SELECT * FROM types_write_try('timestamp', 'REAL', '2024-02-29 12:34:56.789', '1969-07-20 20:17:40');
SELECT * FROM types_write_try('timestamptz', NULL, '2024-02-29 12:34:56.123456+00', '2024-06-01 00:00+02');
SELECT * FROM types_write_try('timestamptz', 'INTEGER', '2024-02-29 12:34:56+00');
SELECT * FROM types_write_try('interval', NULL, '1 year 2 mons -3 days 04:05:06.789', '-1 day 00:00:01', '0');
SELECT * FROM types_write_try('json', NULL, '{"a": [1, 2.50]}', '"x"', 'null');
SELECT * FROM types_write_try('jsonb', NULL, '{"a": [1, 2.50]}', '[]');
SELECT * FROM types_write_try('integer[]', NULL, '{1,NULL,3}', '{{1,2},{3,4}}', '{}');
SELECT * FROM types_write_try('text[]', NULL, '{a,"b c","d\"e",NULL,""}');
SELECT * FROM types_write_try('date[]', NULL, '{2024-02-29,2024-03-01}');
SELECT * FROM types_write_try('double precision[]', NULL, '{0.1,1e300}');
SELECT * FROM types_write_try('jsonb[]', NULL, '{"{\"a\": 1}","[1, 2]",null}');
SELECT * FROM types_write_try('types_write_mood', NULL, 'good', 'bad');
SELECT * FROM types_write_try('types_write_pair', NULL, '(1,29/02/2024)');
SELECT * FROM types_write_try('types_write_day', NULL, '2024-02-29');
SELECT * FROM types_write_try('daterange', NULL, '[2024-01-02,2024-02-03)');
SELECT * FROM types_write_try('bit(4)', NULL, '1010');
SELECT * FROM types_write_try('bit varying', NULL, '101', '');
SELECT * FROM types_write_try('inet', NULL, '192.168.0.1/24', '::1');
SELECT * FROM types_write_try('macaddr', NULL, '08:00:2b:01:02:03');
SELECT * FROM types_write_try('vss_vector(3)', NULL, '[1,2.5,-3e-10]');
SELECT * FROM types_write_try('vss_vector(3)', 'BLOB', '[1,2.5,-3e-10]');
-- the stored forms
\! sqlite3 -separator ' ' /tmp/vss_fdw_regress/types_write.db "SELECT typeof(x), CASE typeof(x) WHEN 'blob' THEN hex(x) WHEN 'real' THEN printf('%.6g', x) ELSE quote(x) END FROM v ORDER BY id"
\pset tuples_only off
\pset format aligned

-- in a column of numeric affinity 15 digits are kept, and no others taken
CREATE FOREIGN TABLE types_write_n (id bigint, x numeric) SERVER types_write OPTIONS ("table" 'n');
INSERT INTO types_write_n(x) VALUES (123456789012.345), (0.000000123456789012345), (1e30), (9223372036854775807) RETURNING x;
INSERT INTO types_write_n(x) VALUES (1234567890123.4567);
INSERT INTO types_write_n(x) VALUES (9223372036854775808);
SELECT x FROM types_write_n ORDER BY id;

SET client_min_messages = warning;
DROP SERVER types_write CASCADE;
DROP FUNCTION types_write_try;
DROP TYPE types_write_mood, types_write_pair;
DROP DOMAIN types_write_day;
