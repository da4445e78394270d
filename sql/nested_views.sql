-- Planning looks at the tables of a query alone, not at all views of the file.
-- To expand the last of these views would take a billion tables.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/nested_views.db*
\! cd /tmp/vss_fdw_regress && { echo 'CREATE TABLE v0(id INTEGER PRIMARY KEY, e TEXT); INSERT INTO v0 VALUES (1, NULL), (2, NULL);'; for i in $(seq 30); do j=$((i - 1)); echo "CREATE VIEW v$i AS SELECT a.id FROM v$j a JOIN v$j b ON a.id = b.id;"; done; } | sqlite3 nested_views.db && chmod 666 nested_views.db
CREATE SERVER nested_views FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/nested_views.db');
CREATE FOREIGN TABLE nested0(id bigint) SERVER nested_views OPTIONS ("table" 'v0');
CREATE FOREIGN TABLE nested3(id bigint) SERVER nested_views OPTIONS ("table" 'v3');
SELECT count(*) FROM nested0;
SELECT count(*) FROM nested3;
SELECT vss_exec('nested_views', 'CREATE VIRTUAL TABLE x USING hnsw(dim=2, content=v0, content_rowid=id, content_vector=e)');
SELECT vss_exec('nested_views', 'UPDATE v0 SET e = ''[1,2]''');
SELECT count(*) FROM nested0;
-- The import asks for columns of what it takes alone.  v8 is beyond SQLite's 200
-- tables a join, so that nothing above it is compiled.
CREATE SCHEMA nested_import;
IMPORT FOREIGN SCHEMA main EXCEPT (v18, v19, v20, v21, v22, v23, v24, v25, v26, v27, v28, v29, v30) FROM SERVER nested_views INTO nested_import;
SELECT relname FROM pg_class WHERE relnamespace = 'nested_import'::regnamespace ORDER BY relname;
-- Where nothing says so before, SQLite must not go on to expand: the limit is one
-- of memory.
IMPORT FOREIGN SCHEMA main LIMIT TO (v30) FROM SERVER nested_views INTO nested_import;
SELECT vss_exec('nested_views', 'CREATE TABLE w0(id INTEGER PRIMARY KEY' || string_agg(', c' || i, '' ORDER BY i) || ')') FROM generate_series(1, 200) i;
SELECT count(vss_exec('nested_views', format('CREATE VIEW w%s AS SELECT a.* FROM w%s a JOIN w%s b USING (id)', i, i - 1, i - 1))) FROM generate_series(1, 13) i;
CREATE FOREIGN TABLE wide13(id bigint) SERVER nested_views OPTIONS ("table" 'w13');
\set SHOW_CONTEXT never
SELECT count(*) FROM wide13;
SELECT vss_exec('nested_views', 'INSERT INTO v0(e) SELECT 1 FROM w13');
SELECT count(*) FROM nested0;
-- ALTER TABLE compiles all views
SELECT vss_exec('nested_views', 'ALTER TABLE w0 RENAME COLUMN c1 TO d1');
SELECT vss_exec('nested_views', 'ALTER TABLE w0 ADD COLUMN d2');
-- and so does a query that was there before the view was changed, planned or not
SET plan_cache_mode = force_generic_plan;
PREPARE kept AS SELECT count(*) FROM nested3;
EXECUTE kept;
\! sqlite3 /tmp/vss_fdw_regress/nested_views.db "DROP VIEW v3; CREATE VIEW v3 AS SELECT id FROM w13"
EXECUTE kept;
SELECT count(*) FROM nested3;
EXECUTE kept;
-- which is well again when the view is
\! sqlite3 /tmp/vss_fdw_regress/nested_views.db "DROP VIEW v3; CREATE VIEW v3 AS SELECT id FROM v0"
EXECUTE kept;
DEALLOCATE kept;
RESET plan_cache_mode;
-- a long text may take what it needs
SELECT vss_exec('nested_views', 'INSERT INTO v0(e) VALUES ' || string_agg('(' || i || ')', ',')) FROM generate_series(1, 200000) i;
DROP SCHEMA nested_import CASCADE;
DROP SERVER nested_views CASCADE;
