-- Options: which exist where, what values they take, who may set them.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/options.db*
\! sqlite3 /tmp/vss_fdw_regress/options.db "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'one')" && chmod 666 /tmp/vss_fdw_regress/options.db

-- a name that does not exist: the list, and what was probably meant
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (databse '/tmp/vss_fdw_regress/options.db');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db', readonly 'true');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db', wholly_unknown 'true');
-- a name that exists elsewhere
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db', column_name 'x');
-- values
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw;
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (read_only 'true');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database 'options.db');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database 'file:/tmp/vss_fdw_regress/options.db');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db', read_only 'perhaps');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db', busy_timeout 'soon');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db', busy_timeout '-1');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db', cache_size '1.5');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db', batch_size '0');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db', fdw_tuple_cost 'NaN');
CREATE SERVER options_bad FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db', fdw_startup_cost '-1');

-- every option of a server at once
CREATE SERVER options_good FOREIGN DATA WRAPPER vss_fdw OPTIONS (
	database '/tmp/vss_fdw_regress/options.db', read_only 'false', updatable 'true', truncatable 'true',
	keep_connections 'on', use_remote_estimate 'off', busy_timeout '100', cache_size '-2000',
	batch_size '50', fdw_startup_cost '20', fdw_tuple_cost '0.25');
ALTER SERVER options_good OPTIONS (SET batch_size 'many');
ALTER SERVER options_good OPTIONS (SET batch_size '7', DROP cache_size);
ALTER SERVER options_good OPTIONS (DROP database);

-- a wrapper and its user mappings
ALTER FOREIGN DATA WRAPPER vss_fdw OPTIONS (ADD database '/x');
CREATE USER MAPPING FOR CURRENT_USER SERVER options_good OPTIONS (password 'x');
CREATE USER MAPPING FOR CURRENT_USER SERVER options_good;

-- tables and columns
CREATE FOREIGN TABLE options_t (id bigint) SERVER options_good OPTIONS (tabel 't');
CREATE FOREIGN TABLE options_t (id bigint) SERVER options_good OPTIONS ("table" '');
CREATE FOREIGN TABLE options_t (id bigint OPTIONS (colum_name 'id')) SERVER options_good;
CREATE FOREIGN TABLE options_t (id bigint OPTIONS (column_type 'numbers')) SERVER options_good;
CREATE FOREIGN TABLE options_t (id bigint OPTIONS (key 'x')) SERVER options_good;
CREATE FOREIGN TABLE options_t (
	number bigint OPTIONS (column_name 'id', key 'true', column_type 'INTEGER'),
	name text OPTIONS (column_type 'text')
) SERVER options_good OPTIONS ("table" 't', updatable 'false', truncatable 'false', batch_size '3', use_remote_estimate 'false');
SELECT * FROM options_t;
ALTER FOREIGN TABLE options_t ALTER COLUMN name OPTIONS (ADD column_nam 'x');
ALTER FOREIGN TABLE options_t OPTIONS (SET updatable 'maybe');

-- who may name a file
CREATE ROLE vss_options_user;
GRANT USAGE ON FOREIGN DATA WRAPPER vss_fdw TO vss_options_user;
SET ROLE vss_options_user;
CREATE SERVER options_user FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db');
RESET ROLE;
GRANT pg_read_server_files TO vss_options_user;
SET ROLE vss_options_user;
CREATE SERVER options_user FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db');
CREATE SERVER options_user FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/options.db', read_only 'true');
ALTER SERVER options_user OPTIONS (SET read_only 'false');
ALTER SERVER options_user OPTIONS (DROP read_only);
RESET ROLE;
REVOKE pg_read_server_files FROM vss_options_user;
SET ROLE vss_options_user;
-- the owner without the right any more: no other file, nor any change that leaves one
ALTER SERVER options_user OPTIONS (SET database '/etc/passwd');
ALTER SERVER options_user OPTIONS (ADD busy_timeout '1');
RESET ROLE;
GRANT pg_read_server_files, pg_write_server_files TO vss_options_user;
SET ROLE vss_options_user;
ALTER SERVER options_user OPTIONS (SET read_only 'false');
RESET ROLE;

-- settings
SET vss_fdw.ef_search = 400;
SET vss_fdw.ef_search = -1;
SET vss_fdw.ef_search = 65537;
SET vss_fdw.knn_strategy = 'graph';
SET vss_fdw.knn_strategy = 'guess';
SET vss_fdw.no_such_setting = 1;
RESET vss_fdw.ef_search;
RESET vss_fdw.knn_strategy;

DROP SERVER options_good, options_user CASCADE;
REVOKE ALL ON FOREIGN DATA WRAPPER vss_fdw FROM vss_options_user;
DROP ROLE vss_options_user;
