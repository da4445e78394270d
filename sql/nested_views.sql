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
DROP SERVER nested_views CASCADE;
