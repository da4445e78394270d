-- Values of every type into columns of every affinity: what is stored comes back
-- the same, what would not is refused with HV004.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/affinity.db*
\! sqlite3 /tmp/vss_fdw_regress/affinity.db "CREATE TABLE a_text(v TEXT); CREATE TABLE a_numeric(v NUMERIC); CREATE TABLE a_integer(v INT); CREATE TABLE a_real(v REAL); CREATE TABLE a_blob(v BLOB); CREATE TABLE a_none(v); CREATE TABLE a_any(v ANY) STRICT; CREATE TABLE log(v NUMERIC); CREATE VIEW into_log AS SELECT v FROM log; CREATE TRIGGER log_ii INSTEAD OF INSERT ON into_log BEGIN INSERT INTO log VALUES (NEW.v); END"
\! chmod 666 /tmp/vss_fdw_regress/affinity.db
CREATE SERVER affinity FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/affinity.db');
CREATE SCHEMA aff;
CREATE TYPE aff.coded AS ENUM ('01', '1', 'a', '1.0');
CREATE DOMAIN aff.code AS text;

CREATE TABLE aff.grid(type text, column_type text, spellings text[]);
INSERT INTO aff.grid VALUES
	('text', NULL, ARRAY['', 'a', '7', '-7', '007', '1.5', '1.50', '1e3', '1e30', ' 7', '7 ', '+7', '-0', '.5', '5.', '1e', '0x10', 'Infinity', 'NaN', '9007199254740993', '9223372036854775807', '9223372036854775808', '1e400', '0.30000000000000004', '0.1', '12345678901234567890123', '1e-400', E'\t8\n', '1_000', '٣']),
	('aff.code', NULL, ARRAY['a', '7', '007']),
	('varchar(8)', NULL, ARRAY['a', '7', '007', '1.50', '7 ']),
	('char(6)', NULL, ARRAY['a', '7', '007', '1.5', '000110']),
	('name', NULL, ARRAY['a', '7', '007']),
	('bit(6)', NULL, ARRAY['000110', '110110']), ('bit varying', NULL, ARRAY['0', '01', '110']),
	('aff.coded', NULL, ARRAY['01', '1', 'a', '1.0']),
	('json', NULL, ARRAY['7', '7.0', ' 7', '"7"', '{"a":1}', 'null']), ('jsonb', NULL, ARRAY['7', '7.0', '7.50', '"7"', '{"a":1}']),
	('smallint', NULL, ARRAY['0', '7', '-32768']), ('integer', NULL, ARRAY['0', '2147483647']),
	('bigint', NULL, ARRAY['0', '7', '9007199254740992', '9007199254740993', '9223372036854775807', '-9223372036854775808']),
	('bigint', 'TEXT', ARRAY['0', '7', '9007199254740993', '9223372036854775807']),
	('boolean', NULL, ARRAY['true', 'false']), ('boolean', 'TEXT', ARRAY['true', 'false']),
	('real', NULL, ARRAY['0', '0.1', '16777217', '3e38', 'Infinity']), ('real', 'TEXT', ARRAY['0', '0.1', '3e38', 'NaN', '-Infinity']),
	('double precision', NULL, ARRAY['0', '7', '0.1', '0.30000000000000004', '1e300', '5e-324', '9007199254740993', '1e19', 'Infinity', '-Infinity', 'NaN']),
	('double precision', 'TEXT', ARRAY['0', '7', '0.1', '0.30000000000000004', '1e300', 'Infinity', '-Infinity', 'NaN']),
	('numeric', NULL, ARRAY['0', '7', '1.5', '1.50', '0.1', '9007199254740993', '9223372036854775808', '1e20', '12345678901234567890.5', '0.30000000000000004', '0.3000000000000000444089209850062616169452667236328125', '3e-500', '1e400', 'NaN', 'Infinity', '-Infinity']),
	('numeric', 'REAL', ARRAY['1.5', '12345678901234567890.5', '3e-500', '1e400', 'Infinity', '-Infinity']),
	('numeric', 'TEXT', ARRAY['0', '1.50', '12345678901234567890.5', '3e-500', 'NaN']),
	('numeric(10,2)', NULL, ARRAY['1.5', '12345678.91']),
	('money', NULL, ARRAY['7', '7.50']), ('xid', NULL, ARRAY['7']), ('oid', NULL, ARRAY['7']), ('inet', NULL, ARRAY['10.0.0.1', '::1']), ('interval', NULL, ARRAY['1 day', '0']),
	('uuid', NULL, ARRAY['00000000-0000-0000-0000-000000000012', '12345678-1234-1234-1234-123456789012']), ('uuid', 'BLOB', ARRAY['00000000-0000-0000-0000-000000000012']),
	('bytea', NULL, ARRAY['', '7', '\x00ff']), ('integer[]', NULL, ARRAY['{1,2}', '{}', '{NULL}']), ('text[]', NULL, ARRAY['{7}']),
	('vss_vector', NULL, ARRAY['[1,2]']), ('vss_vector', 'BLOB', ARRAY['[1,2]']),
	('date', NULL, ARRAY['2024-02-29', '0044-03-15 BC', '12024-01-01', 'infinity']), ('date', 'INTEGER', ARRAY['2024-02-29', '1970-01-01', 'infinity']), ('date', 'REAL', ARRAY['2024-02-29', '1970-01-01']),
	('time', NULL, ARRAY['12:34:56', '24:00:00', '00:00:00.000001']), ('time', 'INTEGER', ARRAY['12:34:56', '12:34:56.5']), ('timetz', NULL, ARRAY['12:34:56+01']),
	('timestamp', NULL, ARRAY['2024-02-29 12:34:56.789', 'infinity', '0044-03-15 12:00:00 BC']),
	('timestamp', 'INTEGER', ARRAY['2024-02-29 12:34:56', '1970-01-02 00:00:00', '2024-02-29 12:34:56.5', 'infinity']),
	('timestamp', 'REAL', ARRAY['2024-02-29 12:34:56', '2000-01-01 12:00:00', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789123']),
	('timestamptz', NULL, ARRAY['2024-02-29 12:34:56+00']), ('timestamptz', 'INTEGER', ARRAY['2024-02-29 12:34:56+00']), ('timestamptz', 'REAL', ARRAY['2000-01-01 12:00:00+00']);

-- what became of each value: kept, refused, or what is wrong with it
CREATE FUNCTION aff.try(type text, column_type text, affinity text, spelling text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	back text;
	same boolean;
BEGIN
	EXECUTE format('INSERT INTO aff.f VALUES (%L::%s)', spelling, type);
	-- numbers are the same when they are equal, all else when it is written alike
	EXECUTE CASE WHEN type ~ 'int$|real|double|numeric' THEN 'SELECT v::text, v = $1::' || type || ' FROM aff.f' ELSE 'SELECT v::text, v::text = $1::' || type || '::text FROM aff.f' END INTO back, same USING spelling;
	RETURN CASE WHEN same THEN 'kept' WHEN column_type = 'REAL' AND type = 'numeric' THEN 'rounded to ' || trim(to_char(back::numeric, '9.999999999EEEE')) ELSE 'WRONG: came back as ' || coalesce(back, 'NULL') END;
EXCEPTION
	WHEN SQLSTATE 'HV004' THEN RETURN CASE WHEN SQLERRM ~ 'would not come back|cannot (be stored|store)' THEN 'refused' ELSE 'WRONG: ' || SQLERRM END;
END $$;
CREATE FUNCTION aff.run() RETURNS TABLE (type text, column_type text, affinity text, spelling text, fate text) LANGUAGE plpgsql AS $$
DECLARE
	g record;
BEGIN
	FOR g IN SELECT * FROM aff.grid, unnest(ARRAY['text', 'numeric', 'integer', 'real', 'blob', 'none', 'any']) AS a LOOP
		EXECUTE format('CREATE FOREIGN TABLE aff.f(v %s %s) SERVER affinity OPTIONS ("table" %L)', g.type, CASE WHEN g.column_type IS NOT NULL THEN format('OPTIONS (column_type %L)', g.column_type) END, 'a_' || g.a);
		FOREACH spelling IN ARRAY g.spellings LOOP
			type := g.type; column_type := g.column_type; affinity := g.a;
			fate := aff.try(type, column_type, affinity, spelling);
			RETURN NEXT;
			PERFORM vss_exec('affinity', 'DELETE FROM a_' || g.a);
		END LOOP;
		DROP FOREIGN TABLE aff.f;
	END LOOP;
END $$;
CREATE TABLE aff.result AS SELECT * FROM aff.run();
SELECT * FROM aff.result WHERE fate ~ 'WRONG' ORDER BY 1, 2, 3, 4;
-- what is not kept, by column
SELECT type, column_type, affinity, string_agg(CASE WHEN fate = 'refused' THEN spelling ELSE spelling || ' ' || fate END, ', ' ORDER BY spelling COLLATE "C") FROM aff.result WHERE fate <> 'kept' GROUP BY 1, 2, 3 ORDER BY type COLLATE "C", column_type COLLATE "C", affinity COLLATE "C";
-- columns without an affinity refuse nothing but what SQLite has no form for
SELECT affinity, count(*) FILTER (WHERE fate = 'kept') AS kept, count(*) FILTER (WHERE fate = 'refused') AS refused FROM aff.result GROUP BY 1 ORDER BY 1;

-- computed values and UPDATEs within SQLite
CREATE FOREIGN TABLE aff.r(v bigint) SERVER affinity OPTIONS ("table" 'a_real');
INSERT INTO aff.r VALUES (9007199254740992);
UPDATE aff.r SET v = v + 1;
UPDATE aff.r SET v = 9007199254740993;
\set VERBOSITY default
UPDATE aff.r SET v = 9007199254740993;
CREATE FOREIGN TABLE aff.t(v text) SERVER affinity OPTIONS ("table" 'a_numeric');
INSERT INTO aff.t VALUES ('7'), ('007');
\set SHOW_CONTEXT never
COPY aff.t FROM stdin;
1.50
\.
\set SHOW_CONTEXT errors
CREATE FOREIGN TABLE aff.b(v bigint) SERVER affinity OPTIONS ("table" 'a_text');
INSERT INTO aff.b VALUES (7);
\set VERBOSITY terse
SELECT * FROM aff.r;
SELECT * FROM aff.t;
-- a double that was read as a long numeric
CREATE FOREIGN TABLE aff.n(v numeric) SERVER affinity OPTIONS ("table" 'a_numeric');
INSERT INTO aff.n VALUES (0.30000000000000004);
INSERT INTO aff.n SELECT v FROM aff.n;
SELECT * FROM aff.n;
-- the triggers of a view get the value as it is
CREATE FOREIGN TABLE aff.v(v text) SERVER affinity OPTIONS ("table" 'into_log');
INSERT INTO aff.v VALUES ('007');
SELECT * FROM aff.v;

DROP SERVER affinity CASCADE;
DROP SCHEMA aff CASCADE;
