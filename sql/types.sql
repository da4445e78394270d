-- Values of every storage class in columns of every type.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
SET TimeZone = 'America/New_York';
SET DateStyle = 'ISO, MDY';
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/types.db*
\! sqlite3 /tmp/vss_fdw_regress/types.db "CREATE TABLE v(id INTEGER PRIMARY KEY, x, what TEXT); CREATE TABLE d(id INTEGER PRIMARY KEY, t TEXT, i INTEGER, r REAL, n NUMERIC, b BLOB);"
\! sqlite3 /tmp/vss_fdw_regress/types.db "INSERT INTO v(x) VALUES (0), (1), (-1), (32767), (32768), (2147483648), (9223372036854775807), (-9223372036854775808), (1.0), (1.5), (0.1), (1e300), (-0.0), ('1'), ('abc'), ('true'), (''), ('2024-02-29'), ('2023-02-29'), ('2024-02-29 12:34:56'), ('2024-02-29T12:34:56.789+02:00'), ('12:34:56.5'), ('24:00:00'), ('25:00'), ('now'), ('infinity'), ('0044-03-15 BC'), (1700000000), (86400), (2460370.5), (2460370.75), (1700000000.25), ('P1DT2H'), ('11111111-2222-3333-4444-555555555555'), (x'11111111222233334444555555555555'), (x'00ff'), (x''), ('[1,2,3]'), ('[[1,2],[3,4]]'), ('[[1],[2,3]]'), ('{1,NULL}'), ('{\"k\": [1, 2.50]}'), ('[1, 2'), (x'0000803f00000040'), ('12345678901234567890.12345678901234567890'), (CAST(x'61ff62' AS TEXT)), (CAST(x'610062' AS TEXT)), (NULL)"
\! chmod 666 /tmp/vss_fdw_regress/types.db
CREATE SERVER types FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/types.db');
CREATE TYPE types_mood AS ENUM ('abc', 'xyz');
CREATE DOMAIN types_positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN types_given AS text NOT NULL;

-- One line a value: what it becomes, or the beginning of the error.
CREATE FUNCTION types_try(type text, stored text DEFAULT NULL) RETURNS TABLE (id bigint, value text)
LANGUAGE plpgsql AS $$
DECLARE
	row_id bigint;
	state text;
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE types_x (id bigint, x %s %s) SERVER types OPTIONS ("table" ''v'')', type,
		CASE WHEN stored IS NULL THEN '' ELSE format('OPTIONS (column_type %L)', stored) END);
	FOR row_id IN SELECT generate_series(1, 48) LOOP
		id := row_id;
		BEGIN
			EXECUTE 'SELECT x::text FROM types_x WHERE id = $1' INTO value USING row_id;
			value := coalesce(value, 'NULL');
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS value = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
			value := '! ' || state || ' ' || value;
		END;
		RETURN NEXT;
	END LOOP;
	DROP FOREIGN TABLE types_x;
END $$;

\pset format unaligned
\pset fieldsep ' '
\pset tuples_only on
\echo smallint
SELECT * FROM types_try('smallint');
\echo integer
SELECT * FROM types_try('integer') WHERE id IN (1, 3, 5, 6, 7, 9, 10, 12, 14, 36, 48);
\echo bigint
SELECT * FROM types_try('bigint') WHERE id IN (1, 7, 8, 9, 10, 12, 15, 36, 48);
\echo bigint stored as text
SELECT * FROM types_try('bigint', 'TEXT') WHERE id IN (1, 14, 15, 16, 36);
\echo real
SELECT * FROM types_try('real') WHERE id IN (1, 5, 7, 10, 11, 12, 14, 36);
\echo double precision
SELECT * FROM types_try('double precision') WHERE id IN (1, 7, 9, 10, 11, 12, 13, 14, 36);
\echo numeric
SELECT * FROM types_try('numeric') WHERE id IN (1, 7, 8, 10, 11, 12, 14, 15, 36, 45);
\echo numeric(6,2)
SELECT * FROM types_try('numeric(6,2)') WHERE id IN (1, 7, 10, 11, 45);
\echo boolean
SELECT * FROM types_try('boolean') WHERE id <= 17;
\echo boolean stored as text
SELECT * FROM types_try('boolean', 'TEXT') WHERE id IN (1, 2, 3, 14, 15, 16);
\echo text
SELECT * FROM types_try('text');
\echo varchar(3)
SELECT * FROM types_try('varchar(3)') WHERE id IN (1, 4, 14, 15, 16, 17, 46);
\echo char(4)
SELECT quote_literal(value), id FROM types_try('char(4)') WHERE id IN (14, 15, 16, 18);
\echo name
SELECT * FROM types_try('name') WHERE id IN (1, 15);
\echo bytea
SELECT * FROM types_try('bytea') WHERE id IN (1, 10, 15, 36, 37, 48);
\echo uuid
SELECT * FROM types_try('uuid') WHERE id IN (1, 15, 34, 35, 36);
\echo date
SELECT * FROM types_try('date');
\echo time
SELECT * FROM types_try('time') WHERE id IN (1, 18, 21, 22, 23, 24, 25, 28, 30, 31);
\echo timetz
SELECT * FROM types_try('timetz') WHERE id IN (22, 25, 28);
\echo timestamp
SELECT * FROM types_try('timestamp');
\echo timestamp(0)
SELECT * FROM types_try('timestamp(0)') WHERE id IN (20, 21, 32);
\echo timestamptz: text without zone is UTC
SELECT * FROM types_try('timestamptz') WHERE id IN (18, 20, 21, 26, 28, 30, 32);
\echo interval
SELECT * FROM types_try('interval') WHERE id IN (1, 15, 33);
\echo json
SELECT * FROM types_try('json') WHERE id IN (1, 10, 11, 15, 16, 17, 36, 38, 42, 43);
\echo jsonb
SELECT * FROM types_try('jsonb') WHERE id IN (1, 42, 43);
\echo integer[]
SELECT * FROM types_try('integer[]') WHERE id IN (1, 15, 36, 38, 39, 40, 41, 42, 43);
\echo text[]
SELECT * FROM types_try('text[]') WHERE id IN (38, 39, 41);
\echo vss_vector
SELECT * FROM types_try('vss_vector') WHERE id IN (1, 15, 36, 37, 38, 39, 44);
\echo vss_vector(3)
SELECT * FROM types_try('vss_vector(3)') WHERE id IN (38, 44);
\echo enum
SELECT * FROM types_try('types_mood') WHERE id IN (1, 15, 16);
\echo domain
SELECT * FROM types_try('types_positive') WHERE id IN (1, 2, 3, 6, 15, 48);
SELECT * FROM types_try('types_given') WHERE id IN (15, 48);
\echo others, through their input function
SELECT * FROM types_try('inet') WHERE id IN (1, 15, 36);
SELECT * FROM types_try('oid') WHERE id IN (1, 3, 6);
\pset tuples_only off
\pset format aligned

-- settings of the session change nothing of what is stored
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
CREATE FOREIGN TABLE types_dates (id bigint, x date) SERVER types OPTIONS ("table" 'v');
SELECT x FROM types_dates WHERE id = 18;
RESET DateStyle;
RESET IntervalStyle;

-- the whole error, once: where, what, what to do
CREATE FOREIGN TABLE types_int (id bigint, number integer OPTIONS (column_name 'x')) SERVER types OPTIONS ("table" 'v');
SELECT * FROM types_int;
SELECT x FROM types_dates WHERE id = 25;
CREATE FOREIGN TABLE types_enum (id bigint, x types_mood) SERVER types OPTIONS ("table" 'v');
SELECT x FROM types_enum WHERE id = 16;

DROP SERVER types CASCADE;
DROP FUNCTION types_try;
DROP TYPE types_mood;
DROP DOMAIN types_positive, types_given;
