-- What columns are imported as: 85 declared types, each with values of many kinds.
-- Whatever the declaration says, all that the columns hold can be read.
\set VERBOSITY terse
SET client_min_messages = error;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/sampled*
\! sqlite3 /tmp/vss_fdw_regress/sampled.db "CREATE TABLE t(x)"; chmod 666 /tmp/vss_fdw_regress/sampled.db
CREATE SERVER sampled FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/sampled.db');
CREATE SCHEMA sampled;
CREATE TABLE sampled.declared AS SELECT ordinality AS n, declared FROM unnest(ARRAY[
	'', 'INTEGER', 'INT', 'TINYINT', 'SMALLINT', 'MEDIUMINT', 'BIGINT', 'UNSIGNED BIG INT', 'INT2', 'INT8', 'SERIAL', 'BIGSERIAL', 'YEAR', 'REAL', 'DOUBLE', 'DOUBLE PRECISION', 'FLOAT', 'FLOAT8', 'NUMERIC', 'NUMERIC(10,2)', 'DECIMAL', 'DECIMAL(10,5)', 'DEC', 'NUMBER', 'MONEY', 'CURRENCY',
	'BOOL', 'BOOLEAN', 'BIT', 'TEXT', 'CHARACTER(20)', 'VARCHAR(255)', 'NCHAR(55)', 'NATIVE CHARACTER(70)', 'NVARCHAR(100)', 'CLOB', 'TINYTEXT', 'MEDIUMTEXT', 'LONGTEXT', 'NTEXT', 'STRING', 'CITEXT', 'NAME', 'ENUM', 'NCLOB', 'XML', 'URL', 'EMAIL', 'TEXT COLLATE NOCASE',
	'BLOB', 'BYTEA', 'BINARY', 'VARBINARY(16)', 'LONGBLOB', 'IMAGE', 'RAW', 'UUID', 'GUID', 'UNIQUEIDENTIFIER', 'JSON', 'JSONB', 'ARRAY', 'DATE', 'TIME', 'DATETIME', 'DATETIME2', 'SMALLDATETIME', 'DATETIMEOFFSET', 'TIMESTAMP', 'TIMESTAMPTZ', 'TIMESTAMP WITH TIME ZONE', 'TIMETZ', 'INTERVAL', 'DURATION',
	'INET', 'CIDR', 'MACADDR', 'MACADDR8', 'GEOMETRY', 'GEOGRAPHY', 'POINT', 'POLYGON', 'TSVECTOR', 'HSTORE', 'FOO']) WITH ORDINALITY AS d(declared, ordinality);
CREATE TABLE sampled.kinds(kind text, vals text);
INSERT INTO sampled.kinds VALUES
	('bit', '(0), (1), (NULL)'), ('whole', '(7), (5000000000)'), ('fraction', '(1.5), (2)'), ('huge', '(1e300)'), ('word', '(''abc''), (''é'')'), ('digits', '(''007''), (''8'')'), ('yes', '(''t''), (''false''), (1)'), ('y', '(''Y''), (''N'')'),
	('inf', '(1.5), (''Infinity''), (''NaN''), (''-Infinity'')'), ('day', '(''2024-02-29'')'), ('instant', '(''2024-02-29 12:34:56''), (''2024-02-29T12:34:56.789Z'')'), ('go', '(''2024-02-29 12:34:56.5 +0000 UTC'')'), ('rails', '(''2000-01-01 07:01:00'')'),
	('s', '(1709210096), (1709164800)'), ('ms', '(1709210096789), (1709164800000)'), ('us', '(1709210096789000)'), ('julian', '(2460369.5), (2460370)'), ('coredata', '(730902896.5), (730902896)'), ('webkit', '(13353683696789000)'), ('ticks', '(638448068967890000)'),
	('mixed', '(1709210096), (1709210096789)'), ('bytes', '(x''0102''), (x''ff'')'), ('uuid', '(''a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11''), (x''a0eebc999c0b4ef8bb6d6bb9bd380a11'')'), ('json', '(''{"a":1}''), (''[1]'')'), ('both', '(''abc''), (x''00ff'')'), ('none', '(NULL)');
DO $$
DECLARE
	k record;
	d text;
BEGIN
	SELECT string_agg(format('c%s %s', n, declared), ', ' ORDER BY n) INTO d FROM sampled.declared;
	FOR k IN SELECT * FROM sampled.kinds LOOP
		PERFORM vss_exec('sampled', format('CREATE TABLE %I(%s)', k.kind, d));
		PERFORM vss_exec('sampled', format('INSERT INTO %I SELECT %s FROM (VALUES %s)', k.kind, (SELECT string_agg('column1', ', ') FROM sampled.declared), k.vals));
	END LOOP;
END $$;
CREATE SCHEMA imported;
IMPORT FOREIGN SCHEMA main EXCEPT (t) FROM SERVER sampled INTO imported;
-- every value can be read
CREATE FUNCTION sampled.readable(kind text, n bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT string_agg(c%s::text, '','') FROM imported.%I', n, kind) INTO kind;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;
SELECT kind, declared, sampled.readable(kind, n) FROM sampled.kinds, sampled.declared WHERE sampled.readable(kind, n) IS NOT NULL ORDER BY kind, n;
-- the types
CREATE VIEW sampled.types AS
SELECT k.kind, d.n, d.declared, replace(replace(replace(replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz'), 'timestamp without time zone', 'timestamp'), ' without time zone', ''), 'double precision', 'float8') ||
	coalesce(' ' || (SELECT string_agg(replace(replace(o, 'column_type=', ''), 'time_unit=', 'unit='), ' ') FROM unnest(a.attfdwoptions) o WHERE o !~ '^column_name='), '') AS type
FROM sampled.kinds k, sampled.declared d, pg_attribute a WHERE a.attrelid = ('imported.' || quote_ident(k.kind))::regclass AND a.attnum = d.n;
SELECT declared, min(type) FILTER (WHERE kind = 'none') AS "none", min(type) FILTER (WHERE kind = 'bit') AS "bit", min(type) FILTER (WHERE kind = 'whole') AS whole, min(type) FILTER (WHERE kind = 'fraction') AS fraction, min(type) FILTER (WHERE kind = 'word') AS word, min(type) FILTER (WHERE kind = 'digits') AS digits, min(type) FILTER (WHERE kind = 'yes') AS yes, min(type) FILTER (WHERE kind = 'inf') AS inf,
	min(type) FILTER (WHERE kind = 'bytes') AS bytes, min(type) FILTER (WHERE kind = 'both') AS both FROM sampled.types GROUP BY n, declared ORDER BY n;
SELECT declared, min(type) FILTER (WHERE kind = 'day') AS day, min(type) FILTER (WHERE kind = 'instant') AS instant, min(type) FILTER (WHERE kind = 'go') AS go, min(type) FILTER (WHERE kind = 'rails') AS rails, min(type) FILTER (WHERE kind = 's') AS s, min(type) FILTER (WHERE kind = 'ms') AS ms, min(type) FILTER (WHERE kind = 'us') AS us, min(type) FILTER (WHERE kind = 'julian') AS julian, min(type) FILTER (WHERE kind = 'coredata') AS coredata,
	min(type) FILTER (WHERE kind = 'webkit') AS webkit, min(type) FILTER (WHERE kind = 'ticks') AS ticks, min(type) FILTER (WHERE kind = 'mixed') AS mixed FROM sampled.types WHERE declared ~ 'DATE|TIME' GROUP BY n, declared ORDER BY n;
-- and what they read
SELECT (SELECT c65 FROM imported.ms LIMIT 1) AS ms, (SELECT c65 FROM imported.us) AS us, (SELECT c65 FROM imported.julian LIMIT 1) AS julian, (SELECT c65 FROM imported.coredata LIMIT 1) AS coredata, (SELECT c65 FROM imported.webkit) AS webkit, (SELECT c65 FROM imported.ticks) AS ticks, (SELECT c65 FROM imported.go) AS go, (SELECT c64 FROM imported.rails) AS rails;
SELECT array_agg(c28) FROM imported.yes;
SELECT array_agg(c14) FROM imported.inf;

-- messages; options; both ends of a table; what cannot be read at all
RESET client_min_messages;
\set VERBOSITY default
\! sqlite3 /tmp/vss_fdw_regress/sampled2.db "CREATE TABLE odd(id INTEGER PRIMARY KEY, made DATETIME, n INTEGER, j JSON, b BLOB); INSERT INTO odd VALUES (1, 1709210096, 5, '{\"a\": 1}', x'00'), (2, 1709210096789, 'five', '[]', x'01'); CREATE TABLE late(id INTEGER PRIMARY KEY, made DATETIME); WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5000) INSERT INTO late SELECT x, CASE WHEN x < 4000 THEN '2024-02-29 12:00:00' ELSE 1709210096789 + x END FROM c; CREATE VIEW broken AS SELECT abs(-9223372036854775807 - id) AS x FROM odd; CREATE VIEW fine AS SELECT id FROM odd"
\! chmod 666 /tmp/vss_fdw_regress/sampled2.db
CREATE SERVER sampled2 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/sampled2.db');
CREATE SCHEMA imported2;
IMPORT FOREIGN SCHEMA main FROM SERVER sampled2 INTO imported2;
SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod), attfdwoptions FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'imported2'::regnamespace) AND attnum > 0 ORDER BY 1, attnum;
SELECT made FROM imported2.late WHERE id IN (1, 5000) ORDER BY id;
CREATE SCHEMA imported3;
IMPORT FOREIGN SCHEMA main LIMIT TO (odd, gone) FROM SERVER sampled2 INTO imported3 OPTIONS (import_as_text 'true');
SELECT * FROM imported3.odd ORDER BY id;
CREATE SCHEMA imported4;
IMPORT FOREIGN SCHEMA main LIMIT TO (odd) FROM SERVER sampled2 INTO imported4 OPTIONS (json_type 'jsonb');
SELECT id, j -> 'a' AS a FROM imported4.odd ORDER BY id;
IMPORT FOREIGN SCHEMA main LIMIT TO (odd) FROM SERVER sampled2 INTO imported4 OPTIONS (json_type 'bson');

-- one odd row does not decide how the others are written
\! sqlite3 /tmp/vss_fdw_regress/sampled3.db "CREATE TABLE mostly(id INTEGER PRIMARY KEY, b BLOB); INSERT INTO mostly VALUES (1, x'6f6e65'), (2, x'74776f'), (3, x'7468726565'), (4, 'four'), (5, 5)"
\! chmod 666 /tmp/vss_fdw_regress/sampled3.db
CREATE SERVER sampled3 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/sampled3.db');
CREATE SCHEMA imported5;
IMPORT FOREIGN SCHEMA main FROM SERVER sampled3 INTO imported5;
SELECT attfdwoptions FROM pg_attribute WHERE attrelid = 'imported5.mostly'::regclass AND attname = 'b';
INSERT INTO imported5.mostly VALUES (6, 'six');
UPDATE imported5.mostly SET b = 'more' WHERE b = 'four';
SELECT id, encode(b, 'escape') AS b, b IN ('two', '5') AS found FROM imported5.mostly ORDER BY id;
SELECT id FROM imported5.mostly WHERE b IN ('two', '5', 'more') ORDER BY id;
\! sqlite3 /tmp/vss_fdw_regress/sampled3.db "SELECT id, typeof(b) FROM mostly ORDER BY id"

SET client_min_messages = error;
DROP SCHEMA sampled, imported, imported2, imported3, imported4, imported5 CASCADE;
DROP SERVER sampled, sampled2, sampled3 CASCADE;
