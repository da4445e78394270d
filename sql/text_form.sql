-- How columns spell times and booleans: what the import finds, what is written, what is refused.
\set VERBOSITY terse
SET client_min_messages = error;
SET timezone = 'Europe/Berlin';
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/form*
\! sqlite3 /tmp/vss_fdw_regress/form.db "CREATE TABLE t(id INTEGER PRIMARY KEY, plain DATETIME, six DATETIME, some DATETIME, iso TIMESTAMPTZ, offset TIMESTAMP, go DATETIME, varied DATETIME, minutes DATETIME, two DATETIME, local DATETIME, day DATE, midnight DATE, clock TIME, rails TIME, yes BOOLEAN, word BOOLEAN, letter BOOLEAN, more BOOLEAN)"
\! sqlite3 /tmp/vss_fdw_regress/form.db "INSERT INTO t VALUES (1, '2024-02-29 12:34:56', '2024-02-29 12:34:56.500000', '2024-02-29 12:34:56', '2024-02-29T12:34:56.789Z', '2024-02-29 12:34:56+00:00', '2024-02-29 12:34:56 +0000 UTC', '2024-02-29T12:34:56.5', '2024-02-29T12:34', '2024-02-29 12:34:56', '2024-02-29 12:34:56+02:00', '2024-02-29', '2024-02-29 00:00:00', '12:34:56.789', '2000-01-01 12:34:56', 't', 'true', 'Y', 1), (2, '2024-02-29 12:34:57', '2024-02-29 12:34:56.000000', '2024-02-29 12:34:56.123456', '2024-02-29T00:00:00.000Z', '2024-02-29 12:34:56.123456+00:00', '2024-02-29 12:34:56.25 +0000 UTC', '2024-02-29T12:34:56.25', '2024-02-29T12:35', '2024-02-29T12:34:56Z', '2024-02-29 12:34:56', '2024-03-01', '2024-03-01 00:00:00', '12:34:56.000', '2000-01-01 00:00:00', 'f', 'false', 'N', 0), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'false')"
\! chmod 666 /tmp/vss_fdw_regress/form.db
CREATE SERVER form FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/form.db');
IMPORT FOREIGN SCHEMA main FROM SERVER form INTO public;
SELECT attname, array_to_string(attfdwoptions[2:], ', ') AS options FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 1 ORDER BY attnum;

-- written as the others are
INSERT INTO t VALUES (4, '2024-05-06 07:08:09', '2024-05-06 07:08:09', '2024-05-06 07:08:09', '2024-05-06 07:08:09', '2024-05-06 07:08:09', '2024-05-06 07:08:09', '2024-05-06 07:08:09', '2024-05-06 07:08', '2024-05-06 07:08:09', '2024-05-06 07:08:09', '2024-05-06', '2024-05-06', '07:08:09', '07:08:09', true, true, true, true);
INSERT INTO t(id, plain, six, "some", iso, "offset", go, varied, clock, rails, yes, word, letter, more) VALUES (5, '2024-05-06 07:08:09.25', '2024-05-06 07:08:09.25', '2024-05-06 07:08:09.25', '2024-05-06 07:08:09.123456', '2024-05-06 07:08:09.25', '2024-05-06 07:08:09.25', '2024-05-06 07:08:09.25', '07:08:09.25', '07:08:09.25', false, false, false, false);
INSERT INTO t(id, six, iso) VALUES (6, 'infinity', '12024-05-06 00:00:00');
\! sqlite3 -list -nullvalue - /tmp/vss_fdw_regress/form.db "SELECT plain, six, some, iso, offset, go, varied, minutes FROM t WHERE id > 3; SELECT two, local, day, midnight, clock, rails, quote(yes), quote(word), quote(letter), quote(more) FROM t WHERE id > 3"
-- read and compared as before
SELECT id FROM t WHERE iso = '2024-05-06 07:08:09' AND go = '2024-05-06 07:08:09' AND rails = '07:08:09' AND midnight = '2024-05-06' AND letter AND word;
SELECT id FROM t WHERE iso > '2024-05-01' ORDER BY iso;
-- a part that the form lacks
INSERT INTO t(id, minutes) VALUES (7, '2024-05-06 07:08:09');
UPDATE t SET minutes = minutes + interval '1 minute' WHERE id = 1 RETURNING minutes;

-- options
ALTER FOREIGN TABLE t ALTER six OPTIONS (SET text_form 'YYYY');
ALTER FOREIGN TABLE t ALTER six OPTIONS (SET text_form 'on');
ALTER FOREIGN TABLE t ALTER six OPTIONS (SET text_form 'no/yes');
ALTER FOREIGN TABLE t ALTER six OPTIONS (SET text_form 'true/false');
SELECT six FROM t WHERE id = 1;
ALTER FOREIGN TABLE t ALTER six OPTIONS (SET text_form 'HH:MM:SS');
SELECT six FROM t WHERE id = 1;
ALTER FOREIGN TABLE t ALTER six OPTIONS (SET text_form 'YYYY-MM-DD HH:MM', ADD column_type 'INTEGER');
SELECT six FROM t WHERE id = 1;
ALTER FOREIGN TABLE t ALTER six OPTIONS (DROP column_type, ADD time_unit 's');
SELECT six FROM t WHERE id = 1;
ALTER FOREIGN TABLE t ALTER six OPTIONS (DROP time_unit);
SELECT six FROM t WHERE id = 1;
CREATE FOREIGN TABLE n (id bigint OPTIONS (text_form 't/f')) SERVER form OPTIONS ("table" 't');
SELECT * FROM n;
DROP SERVER form CASCADE;
