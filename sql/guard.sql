-- A stranger's schema may use all that SQLite itself offers; nothing reaches beyond its file.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/guard.db*
\! sqlite3 /tmp/vss_fdw_regress/guard.db "CREATE TABLE t(id INTEGER PRIMARY KEY, j TEXT CHECK (json_valid(j)), a AS (json_extract(j, '$.a')), d TEXT DEFAULT (json('[1]'))); CREATE INDEX t_a ON t(json_extract(j, '$.a')); CREATE VIEW v AS SELECT id, json_extract(j, '$.a') AS a FROM t; INSERT INTO t(j) VALUES ('{\"a\":1}')"
\! sqlite3 /tmp/vss_fdw_regress/guard.db "CREATE TABLE doc(id INTEGER PRIMARY KEY, body TEXT); CREATE VIRTUAL TABLE ft USING fts5(body, content=doc, content_rowid=id); CREATE VIRTUAL TABLE f4 USING fts4(body); CREATE VIRTUAL TABLE rt USING rtree(id, x0, x1); CREATE TRIGGER doc_ai AFTER INSERT ON doc BEGIN INSERT INTO ft(rowid, body) VALUES (new.id, new.body); INSERT INTO f4(docid, body) VALUES (new.id, new.body); INSERT INTO rt VALUES (new.id, new.id, new.id + 1); END; CREATE VIEW found AS SELECT rowid AS id, body FROM ft WHERE ft MATCH 'apple'; CREATE VIEW found4 AS SELECT docid AS id, snippet(f4) AS s FROM f4 WHERE f4 MATCH 'apple'; CREATE VIEW boxes AS SELECT id, x0 FROM rt WHERE x1 < 3"
\! chmod 666 /tmp/vss_fdw_regress/guard.db
CREATE SERVER guard FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/guard.db');
CREATE SCHEMA guard;
SET search_path = guard, public;
IMPORT FOREIGN SCHEMA main FROM SERVER guard INTO guard;
-- JSON in a CHECK, a generated column, a default, an index, a view
SELECT * FROM t;
INSERT INTO t(j) VALUES ('{"a":7}') RETURNING id, a;
INSERT INTO t(j) VALUES ('no JSON');
UPDATE t SET j = '{"a":8}' WHERE a = 7;
SELECT * FROM v ORDER BY id;
-- full text and R*Tree behind triggers and views
INSERT INTO doc(body) VALUES ('an apple'), ('a pear');
SELECT * FROM found;
SELECT * FROM found4;
SELECT * FROM boxes ORDER BY id;

-- a GeoPackage: its triggers keep an R*Tree with functions of its application's
\! sqlite3 /tmp/vss_fdw_regress/guard.db "CREATE TABLE places(fid INTEGER PRIMARY KEY, geom BLOB, name TEXT); CREATE VIRTUAL TABLE rtree_places_geom USING rtree(id, minx, maxx, miny, maxy); CREATE TRIGGER rtree_places_geom_insert AFTER INSERT ON places WHEN (new.geom NOT NULL AND NOT ST_IsEmpty(new.geom)) BEGIN INSERT OR REPLACE INTO rtree_places_geom VALUES (new.fid, ST_MinX(new.geom), ST_MaxX(new.geom), ST_MinY(new.geom), ST_MaxY(new.geom)); END"
CREATE FOREIGN TABLE places(fid bigint, geom bytea, name text) SERVER guard;
CREATE FOREIGN TABLE boxes_of_places(id bigint, minx real, maxx real, miny real, maxy real) SERVER guard OPTIONS ("table" 'rtree_places_geom');
-- a point; a line with an envelope; a polygon in a collection, high byte first; empty by its flag, and by its coordinates; cut off; nothing
INSERT INTO places VALUES
	(1, '\x47500001000000000101000000000000000000f03f0000000000000040', 'point'),
	(2, '\x4750000300000000000000000000f03f00000000000008400000000000001040000000000000144000', 'envelope'),
	(3, '\x475000000000000000000000070000000100000000030000000100000003c000000000000000bff000000000000040080000000000004010000000000000c000000000000000bff0000000000000', 'collection'),
	(4, '\x4750001100000000', 'empty'),
	(5, '\x47500001000000000101000000000000000000f87f000000000000f87f', 'empty point'),
	(7, NULL, 'none');
INSERT INTO places VALUES (6, '\x47500001000000000102000000ffffffff000000000000f03f', 'cut off');
SELECT * FROM boxes_of_places ORDER BY id;

-- what vss_exec may not do
\set VERBOSITY terse
SELECT vss_exec('guard', 'SELECT hex(fts3_tokenizer(''simple''))');
SELECT vss_exec('guard', 'SELECT fts3_tokenizer(''e'', x''4141414141414141'')');
SELECT vss_exec('guard', 'CREATE VIEW leak AS SELECT fts3_tokenizer(''simple'') AS a');
SELECT vss_exec('guard', 'CREATE VIRTUAL TABLE jump USING fts3(x, tokenize=e)');
SELECT vss_exec('guard', 'SELECT load_extension(''x'')');
SELECT vss_exec('guard', 'SELECT sql FROM sqlite_stmt');
\set VERBOSITY default
SELECT vss_exec('guard', 'ATTACH ''/tmp/vss_fdw_regress/other.db'' AS other');
-- triggers on the tables that a module keeps would run whenever it writes
SELECT vss_exec('guard', 'CREATE VIRTUAL TABLE vss USING hnsw(dim=3); SELECT hnsw_add(1, ''[1,2,3]'')');
-- newer versions of SQLite refuse them themselves
CREATE FUNCTION refused(sql text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM vss_exec('guard', sql);
	RETURN false;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN SQLERRM ~ 'cannot create triggers on shadow tables$' OR
		detail ~ '^vss_exec does not allow triggers on "[A-Za-z_]+", a table that a module keeps';
END $$;
SELECT refused('CREATE TRIGGER deeper AFTER INSERT ON vss_delta BEGIN SELECT hnsw_add(new.label + 1, ''[1,2,3]''); END');
SELECT refused('CREATE TRIGGER deeper AFTER UPDATE ON "VSS_Config" BEGIN SELECT 1; END');
SELECT refused('SELECT 1; CREATE TEMP TRIGGER deeper AFTER INSERT ON main.vss_vectors BEGIN SELECT 1; END');
SELECT refused('PRAGMA user_version; CREATE TRIGGER deeper BEFORE DELETE ON ft_data BEGIN SELECT 1; END');
\set VERBOSITY terse
SELECT vss_exec('guard', 'CREATE TRIGGER deeper AFTER INSERT ON doc BEGIN SELECT hnsw_add(new.id, ''[1,2,3]''); END; DROP TRIGGER deeper; DROP TABLE vss');
\set VERBOSITY default
-- pragmas: none of the process, none that stays
SELECT vss_exec('guard', 'PRAGMA hard_heap_limit = 1');
\set VERBOSITY terse
SELECT vss_exec('guard', 'PRAGMA soft_heap_limit = 1');
SELECT vss_exec('guard', 'PRAGMA main.temp_store_directory = ''/tmp''');
SELECT vss_exec('guard', 'PRAGMA data_store_directory = ''/tmp''');
SELECT vss_exec('guard', 'PRAGMA mmap_size = 1000000');
SELECT vss_exec('guard', 'PRAGMA trusted_schema = off');
SELECT vss_exec('guard', 'PRAGMA writable_schema = on');
SELECT vss_exec('guard', 'PRAGMA locking_mode = exclusive');
SELECT vss_exec('guard', 'SELECT 1; PRAGMA foreign_keys = off');
SELECT vss_exec('guard', 'SELECT 1; PRAGMA case_sensitive_like = on');
SELECT vss_exec('guard', 'SELECT 1; PRAGMA hard_heap_limit = 1');
SELECT vss_exec('guard', 'PRAGMA hard_heap_limit; PRAGMA foreign_keys = off; PRAGMA cache_size = 10; PRAGMA optimize; PRAGMA integrity_check(1)');
SELECT vss_exec('guard', 'INSERT INTO doc(body) VALUES (''apple tart''); PRAGMA user_version = 5');
SELECT * FROM found ORDER BY id;
\set VERBOSITY default
-- the wrapper's own functions, with arguments that only a stranger would write
\set SHOW_CONTEXT never
SELECT vss_exec('guard', 'SELECT vss_timestamp(''2020-01-01'', 99)');
SELECT vss_exec('guard', 'SELECT vss_date(1, 0, 4294967258)');
SELECT vss_exec('guard', 'SELECT vss_numeric(1, 2147483647, -2147483648)');
SELECT vss_exec('guard', 'CREATE TABLE odd AS SELECT length(vss_numeric_text(x''037fffffffff01'')) AS n, vss_add_days(9223372036854775807, 9223372036854775807) AS day, vss_right(''abc'', -9223372036854775808) AS side');
CREATE FOREIGN TABLE odd(n bigint, day bigint, side text) SERVER guard;
SELECT * FROM odd;

DROP SCHEMA guard CASCADE;
DROP SERVER guard CASCADE;
