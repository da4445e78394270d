-- An index that is dropped in SQLite after a query was planned to use it.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/lost*
\! sqlite3 /tmp/vss_fdw_regress/lost.db "CREATE TABLE d(id INTEGER PRIMARY KEY, e TEXT NOT NULL); INSERT INTO d VALUES (1, '[1,2,3]'), (2, '[1,0,0]')"
\! chmod 666 /tmp/vss_fdw_regress/lost.db
CREATE SERVER lost FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/lost.db');
SELECT vss_exec('lost', 'CREATE VIRTUAL TABLE v USING hnsw(dim=3, content=d, content_rowid=id, content_vector=e)');
IMPORT FOREIGN SCHEMA main FROM SERVER lost INTO public;
SET plan_cache_mode = force_generic_plan;
SET enable_sort = off;
PREPARE nearest(vss_vector) AS SELECT id FROM d ORDER BY e <=> $1 LIMIT 1;
EXECUTE nearest('[1,0,0]');
SELECT vss_exec('lost', 'DROP TABLE v');
EXECUTE nearest('[1,0,0]');
EXECUTE nearest('[1,0,0]');
DROP SERVER lost CASCADE;
