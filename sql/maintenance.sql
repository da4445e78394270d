-- Connections, vss_exec, and what looks after an index.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
\! rm -rf /tmp/vss_fdw_regress/maintenance && mkdir -p /tmp/vss_fdw_regress/maintenance && chmod 0777 /tmp/vss_fdw_regress /tmp/vss_fdw_regress/maintenance 2>/dev/null
\! sqlite3 /tmp/vss_fdw_regress/maintenance/m.db 'PRAGMA user_version = 1' && chmod 0666 /tmp/vss_fdw_regress/maintenance/m.db
CREATE SERVER maint FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/maintenance/m.db');
CREATE SERVER maint_same FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/maintenance/m.db');

SELECT vss_sqlite_version() ~ '^3\.\d+\.\d+$' AS version;

-- vss_exec: counts, transactions, savepoints
SELECT vss_exec('maint', 'CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)');
SELECT vss_exec('maint', 'INSERT INTO t VALUES (1, ''x''), (2, ''y''); UPDATE t SET b = b || ''!''');
SELECT vss_exec('maint', '');
SELECT vss_exec('maint', 'SELECT * FROM t; /* nothing */ ; -- more');
SELECT vss_exec('maint', 'WITH n(i) AS (VALUES (8), (9)) INSERT INTO t SELECT i, NULL FROM n; WITH n(i) AS (VALUES (8), (9)) SELECT * FROM n; REPLACE INTO t VALUES (8, ''r''); DELETE FROM t WHERE a > 7; CREATE TABLE u AS SELECT * FROM t; DROP TABLE u');
BEGIN;
SELECT vss_exec('maint', 'INSERT INTO t VALUES (3, ''z'')');
SAVEPOINT s;
SELECT vss_exec('maint', 'DELETE FROM t');
ROLLBACK TO s;
SELECT vss_exec('maint', 'INSERT INTO t VALUES (1, ''again'')');
ROLLBACK TO s;
COMMIT;
\! sqlite3 /tmp/vss_fdw_regress/maintenance/m.db 'SELECT * FROM t'
BEGIN;
SELECT vss_exec('maint', 'DELETE FROM t');
ROLLBACK;
\! sqlite3 /tmp/vss_fdw_regress/maintenance/m.db 'SELECT count(*) FROM t'
-- not its business: transactions, other files
SELECT vss_exec('maint', 'COMMIT');
SELECT vss_exec('maint', 'SAVEPOINT x');
SELECT vss_exec('maint', 'ATTACH ''/tmp/vss_fdw_regress/maintenance/other.db'' AS other');
SELECT vss_exec('maint', 'VACUUM INTO ''/tmp/vss_fdw_regress/maintenance/other.db''');
SELECT vss_exec('maint', 'PRAGMA user_version; BEGIN; DELETE FROM t');
SELECT vss_exec('maint', 'SELECT load_extension(''x'')');
SELECT vss_exec('maint', 'DELETE FROM sqlite_schema');
\! ls /tmp/vss_fdw_regress/maintenance
SELECT vss_exec('maint', 'SELECT * FROM');
SELECT vss_exec('nowhere', 'SELECT 1');
BEGIN READ ONLY;
SELECT vss_exec('maint', 'DELETE FROM t');
ROLLBACK;
-- PRAGMA and VACUUM run outside of a transaction; settings do not stay
SELECT vss_exec('maint', 'PRAGMA user_version = 7');
SELECT vss_exec('maint', '/* tidy */ -- up
	VACUUM');
\! sqlite3 /tmp/vss_fdw_regress/maintenance/m.db 'PRAGMA user_version'
SELECT vss_exec('maint', 'PRAGMA foreign_keys = off');
SELECT count(*) FROM vss_fdw_get_connections() WHERE server_name = 'maint';
BEGIN;
SELECT vss_exec('maint', 'INSERT INTO t VALUES (4, ''w'')');
SELECT vss_exec('maint', 'VACUUM');
ROLLBACK;
SET statement_timeout = '200ms';
SELECT vss_exec('maint', 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c');
RESET statement_timeout;

-- connections
SELECT vss_fdw_disconnect_all() IS NOT NULL AS closed;
SELECT * FROM vss_fdw_get_connections();
SELECT vss_exec('maint', 'SELECT 1');
SELECT vss_exec('maint_same', 'SELECT 1');
BEGIN;
SELECT vss_exec('maint', 'DELETE FROM t WHERE a = 99');
SELECT * FROM vss_fdw_get_connections() ORDER BY server_name;
SELECT vss_fdw_disconnect('maint'), vss_fdw_disconnect('maint_same');
ALTER SERVER maint OPTIONS (ADD busy_timeout '1000');
SELECT * FROM vss_fdw_get_connections() ORDER BY server_name;
COMMIT;
SELECT * FROM vss_fdw_get_connections() ORDER BY server_name;
SELECT vss_fdw_disconnect('maint'), vss_fdw_disconnect('maint_same');
SELECT vss_fdw_disconnect('nowhere');
DROP SERVER maint_same;

-- an index from PostgreSQL: created, filled, imported
SELECT vss_exec('maint', $$
	CREATE TABLE items(id INTEGER PRIMARY KEY, "odd ""name" BLOB, label TEXT);
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
	INSERT INTO items SELECT i, vector('[' || i || ',' || (i * 7919 % 1000) || ',1]'), 'item ' || i FROM n;
	CREATE TABLE bare(x BLOB);
	INSERT INTO bare VALUES (vector('[9,9,1]'));
	CREATE TABLE rowless(id TEXT PRIMARY KEY, x BLOB) WITHOUT ROWID;
	CREATE TABLE empty(id INTEGER PRIMARY KEY, v BLOB);
	CREATE VIEW seen AS SELECT * FROM items;
$$);
CREATE SCHEMA maint;
SET search_path = maint, public;
CREATE FOREIGN TABLE items(id bigint, v vss_vector(3) OPTIONS (column_name 'odd "name'), label text) SERVER maint;
CREATE FOREIGN TABLE bare(x vss_vector(3)) SERVER maint;
CREATE FOREIGN TABLE rowless(id text, x vss_vector(3)) SERVER maint;
CREATE FOREIGN TABLE empty(id bigint, v vss_vector) SERVER maint;
CREATE FOREIGN TABLE seen(id bigint, v vss_vector(3) OPTIONS (column_name 'odd "name')) SERVER maint;
SELECT vss_create_index('items', 'v', metric => 'l2', m => 8, ef_construction => 60, ef_search => 40, index_name => 'nearby');
SELECT foreign_table_name FROM information_schema.foreign_tables WHERE foreign_table_schema = 'maint' ORDER BY 1;
SELECT i->>'metric' AS metric, i->>'m' AS m, i->>'dim' AS dim FROM vss_index_info('nearby') i;
SELECT rowid FROM vss_knn('nearby', '[5,595,1]', 1);
SELECT id FROM items ORDER BY v <-> '[5,595,1]' LIMIT 1;
-- names are chosen; the dimensions are found in a row
SELECT vss_create_index('items', 'v');
-- not twice for one column and metric
SELECT vss_create_index('items', 'v');
SELECT vss_create_index('items', 'v', if_not_exists => true);
SELECT vss_create_index('items', 'v', metric => 'l2', index_name => 'another', if_not_exists => true);
ALTER FOREIGN TABLE items ALTER v TYPE vss_vector;
SELECT vss_create_index('items', 'v', metric => 'ip', index_name => 'found');
SELECT i->>'metric' AS metric, i->>'dim' AS dim FROM vss_index_info('found') i;
SELECT vss_create_index('empty', 'v', dimensions => 4, index_name => 'four');
SELECT i->>'dim' AS dim FROM vss_index_info('empty') i;
-- refused, and nothing stays behind in SQLite
SELECT vss_create_index('empty', 'v');
SELECT vss_create_index('items', 'v', index_name => 'nearby');
SELECT vss_create_index('items', 'v', index_name => 'T');
SELECT vss_create_index('items', 'nope');
SELECT vss_create_index('items', 'v', m => 0, index_name => 'bad');
-- (these by the SQLite side, in words of its own)
\set VERBOSITY sqlstate
SELECT vss_create_index('items', 'v', metric => 'taxicab', index_name => 'bad');
SELECT vss_create_index('bare', 'x', m => 100000, index_name => 'bad');
SELECT vss_create_index('bare', 'x', dimensions => 2, index_name => 'bad');
\set VERBOSITY default
SELECT vss_create_index('seen', 'v', index_name => 'bad');
SELECT vss_create_index(NULL, 'v');
SELECT vss_create_index('pg_class', 'relname');
BEGIN;
SELECT vss_create_index('items', 'v', index_name => 'bad');
ROLLBACK;
\! sqlite3 /tmp/vss_fdw_regress/maintenance/m.db "SELECT name FROM sqlite_schema WHERE name LIKE 'bad%'"

-- a table without any key
SELECT vss_create_index('bare', 'x');
SELECT vss_exec('maint', $$INSERT INTO bare VALUES (vector('[1,2,3]')), (vector('[3,2,1]'))$$);
SELECT x FROM bare ORDER BY x <=> '[3,2,2]' LIMIT 1;
SELECT vss_merge('bare');
SELECT x FROM bare ORDER BY x <=> '[3,2,2]' LIMIT 1;

-- dropped on both sides, with its triggers; not what something depends on
CREATE VIEW depends AS SELECT rowid FROM bare_x_vss;
SELECT vss_drop_index('bare');
DROP VIEW depends;
SELECT vss_drop_index('bare_x_vss');
SELECT vss_drop_index('bare');
\! sqlite3 /tmp/vss_fdw_regress/maintenance/m.db "SELECT name FROM sqlite_schema WHERE name LIKE 'bare_%'"
SELECT foreign_table_name FROM information_schema.foreign_tables WHERE foreign_table_name LIKE 'bare_%';
SELECT vss_drop_index('items');
SELECT vss_drop_index('found');

-- check, merge, rebuild
SELECT * FROM vss_check('nearby');
SELECT vss_exec('maint', 'DELETE FROM items WHERE id % 3 = 0; UPDATE items SET label = label') > 0 AS changed;
SELECT vss_merge('nearby');
SELECT vss_rebuild('nearby');
SELECT * FROM vss_check('nearby');
SELECT rowid FROM vss_knn('nearby', '[5,595,1]', 1);
-- how good the answers are: exact without a graph, all but exact with one of so few dimensions
SELECT vss_recall('empty') IS NULL AS nothing_to_measure;
SELECT vss_recall('nearby') > 0.9 AS recall, vss_recall('nearby', 3, 10) = vss_recall('nearby', 3, 10) AS repeats;
SET vss_fdw.ef_search = 2000;
SELECT vss_recall('nearby', k => 5, samples => 20);
RESET vss_fdw.ef_search;
SELECT vss_recall('nearby', questions => 'near') > 0.9 AS near, vss_recall('nearby', 5, 50, 'far') > 0.5 AS far;
SELECT vss_recall('nearby', questions => 'other');
SELECT vss_recall('nearby', 0);
SELECT vss_recall('nearby', 10, 0);
-- how far searches go: by questions of one's own, which are kept with the index
SELECT t ->> 'questions' AS questions, (t ->> 'recall')::float8 >= 0.97 AS found,
	(t -> 'margin') = (vss_index_info('"items_odd ""name_vss"') -> 'margin') AS kept
	FROM vss_tune('"items_odd ""name_vss"', (SELECT array_agg(format('[%s,%s,%s]', i, 600 - i, i % 7)::vss_vector)
		FROM generate_series(1, 1000, 9) i)) t;
SELECT vss_index_info('"items_odd ""name_vss"') ->> 'questions' AS questions;
SELECT vss_tune('"items_odd ""name_vss"', ARRAY['[1,2,3]'::vss_vector]);
SELECT vss_tune('"items_odd ""name_vss"', ARRAY['[1,2]'::vss_vector, NULL]);
SELECT vss_tune('"items_odd ""name_vss"') ->> 'questions' AS questions;
SELECT vss_tune('nearby');
BEGIN READ ONLY;
SELECT vss_tune('nearby');
ROLLBACK;
SELECT vss_recall('items');
SET statement_timeout = '1ms';
SELECT vss_recall('nearby', 10, 3000);
RESET statement_timeout;
SELECT count(*) FROM vss_merges WHERE activity ~ 'nowhere';
BEGIN;
-- triggers and the index's own tables do not count
SELECT vss_exec('maint', 'DELETE FROM items WHERE id = 1');
SELECT vss_merge('nearby');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT vss_merge('nearby');
SELECT count(*) FROM items;
SELECT vss_merge('nearby');
ROLLBACK;
BEGIN READ ONLY;
SELECT vss_merge('nearby');
ROLLBACK;
SELECT vss_merge('items');
SELECT vss_merge('pg_class');
SELECT vss_merge(0);

-- what hand-written triggers miss is found, row by row; the missing SQL mends the future
SELECT vss_exec('maint', $$
	CREATE TABLE documents(id INTEGER PRIMARY KEY, embedding TEXT);
	CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2);
	CREATE TRIGGER docs_ai AFTER INSERT ON documents BEGIN SELECT hnsw_add(NEW.id, NEW.embedding, 'vss'); END;
	CREATE TRIGGER docs_ad AFTER DELETE ON documents BEGIN SELECT hnsw_del(OLD.id, 'vss'); END;
	INSERT INTO documents VALUES (1, '[1,2]'), (2, '[3,4]');
$$);
SET client_min_messages = error;
IMPORT FOREIGN SCHEMA main LIMIT TO (vss) FROM SERVER maint INTO maint;
RESET client_min_messages;
SELECT * FROM vss_check('vss');
SELECT vss_exec('maint', 'UPDATE documents SET embedding = ''[9,9]'' WHERE id = 1');
SELECT count(*) > 1 AS found, bool_or(f ~ '^row 1: ') AS row_1, bool_or(f ~ '^row 2: ') AS row_2, bool_or(f ~ 'CREATE TRIGGER') AS sql
FROM vss_check('vss') f;
SELECT vss_index_info('vss')->'rows' AS rows, vss_index_info('vss')->'graph'->'state' AS graph;
SELECT vss_merge('vss');
SELECT vss_index_info('vss')->'delta_rows' AS delta_rows, vss_index_info('vss')->'graph'->'state' AS graph;

-- not for everybody
CREATE ROLE vss_maint_user;
GRANT USAGE ON SCHEMA maint TO vss_maint_user;
GRANT SELECT ON ALL TABLES IN SCHEMA maint TO vss_maint_user;
GRANT USAGE ON FOREIGN SERVER maint TO vss_maint_user;
SET ROLE vss_maint_user;
SELECT vss_exec('maint', 'SELECT 1');
SELECT vss_index_info('nearby');
SELECT * FROM vss_check('nearby');
SELECT vss_recall('nearby');
SELECT vss_tune('nearby');
SELECT vss_merge('nearby');
SELECT vss_rebuild('nearby');
SELECT vss_create_index('items', 'v');
SELECT count(*) FROM vss_merges WHERE activity ~ 'nowhere';
RESET ROLE;
GRANT EXECUTE ON FUNCTION vss_exec(text, text), vss_merge(regclass),
	vss_create_index(regclass, name, text, integer, integer, integer, integer, name, boolean) TO vss_maint_user;
SET ROLE vss_maint_user;
SELECT vss_exec('maint', 'SELECT 1');
SELECT vss_create_index('items', 'v');
SELECT vss_merge('nearby');
RESET ROLE;
-- who owns server and table needs no more than that
GRANT USAGE ON FOREIGN DATA WRAPPER vss_fdw TO vss_maint_user;
GRANT CREATE ON SCHEMA maint TO vss_maint_user;
ALTER SERVER maint OWNER TO vss_maint_user;
ALTER FOREIGN TABLE empty OWNER TO vss_maint_user;
SET ROLE vss_maint_user;
SELECT vss_exec('maint', 'INSERT INTO empty VALUES (1, vector(''[1,2,3,4]''))');
SELECT vss_create_index('empty', 'v', metric => 'l2', index_name => 'owned');
SELECT rowid FROM vss_knn('owned', '[1,2,3,4]', 1);
RESET ROLE;
ALTER SERVER maint OWNER TO CURRENT_USER;
ALTER FOREIGN TABLE empty OWNER TO CURRENT_USER;

-- the indexes of all servers
SELECT "index", "table", "column", metric, dim, "rows", changes, merge_due, graph, reason, bytes > 0 AS has_bytes
	FROM vss_indexes WHERE server = 'maint' ORDER BY "index", "table";
CREATE SERVER maint_gone FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/maint_gone.db');
SELECT count(*) FROM vss_indexes WHERE server IN ('maint', 'maint_gone');
SELECT count(*) FROM vss_indexes WHERE server = 'maint';
DROP SERVER maint_gone;
REVOKE EXECUTE ON FUNCTION vss_exec(text, text) FROM vss_maint_user;
SET ROLE vss_maint_user;
SELECT count(*) FROM vss_indexes WHERE server = 'maint';
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA maint CASCADE;
DROP SERVER maint CASCADE;
DROP OWNED BY vss_maint_user;
DROP ROLE vss_maint_user;
