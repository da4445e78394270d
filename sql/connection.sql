-- Connections and transactions: what a session sees when another process writes.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/connection*
\! cd /tmp/vss_fdw_regress && sqlite3 connection.db "PRAGMA journal_mode = wal; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'first')" && sqlite3 connection2.db "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'other file')" && chmod 666 connection*.db*
CREATE SERVER connection FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/connection.db');
CREATE FOREIGN TABLE connection_t (id bigint, v text) SERVER connection OPTIONS ("table" 't');

-- READ COMMITTED: each statement sees what is committed
BEGIN;
SELECT * FROM connection_t;
\! sqlite3 /tmp/vss_fdw_regress/connection.db "INSERT INTO t VALUES (2, 'second')"
SELECT * FROM connection_t;
COMMIT;

-- REPEATABLE READ: one snapshot
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM connection_t;
\! sqlite3 /tmp/vss_fdw_regress/connection.db "INSERT INTO t VALUES (3, 'third')"
SELECT * FROM connection_t;
SAVEPOINT a;
SELECT count(*) FROM connection_t;
SELECT 1 / (count(*) - 2) FROM connection_t;
ROLLBACK TO a;
SELECT count(*) FROM connection_t;
COMMIT;
SELECT count(*) FROM connection_t;

-- an open cursor keeps its rows, also across the end of a subtransaction
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM connection_t;
FETCH 1 FROM c;
SAVEPOINT a;
SELECT count(*) FROM connection_t;
FETCH 1 FROM c;
ROLLBACK TO a;
\! sqlite3 /tmp/vss_fdw_regress/connection.db "DELETE FROM t WHERE id = 3"
FETCH ALL FROM c;
CLOSE c;
SELECT count(*) FROM connection_t;
COMMIT;
-- one opened in a subtransaction that commits lives on, one of an aborted does not
BEGIN;
SAVEPOINT a;
DECLARE c CURSOR FOR SELECT * FROM connection_t;
FETCH 1 FROM c;
RELEASE a;
FETCH 1 FROM c;
SAVEPOINT b;
DECLARE d CURSOR FOR SELECT * FROM connection_t;
FETCH 1 FROM d;
ROLLBACK TO b;
FETCH 1 FROM d;
ROLLBACK;
-- WITH HOLD is read to its end at commit
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT * FROM connection_t;
COMMIT;
\! sqlite3 /tmp/vss_fdw_regress/connection.db "UPDATE t SET v = 'changed'"
FETCH ALL FROM h;
CLOSE h;
SELECT * FROM connection_t;

-- the read transaction is over after each statement: nothing hinders a writer who wants all locks
\! sqlite3 /tmp/vss_fdw_regress/connection.db "PRAGMA wal_checkpoint(TRUNCATE)"

-- another process changes the schema: prepared statements and the import's picture follow
PREPARE p AS SELECT * FROM connection_t WHERE id = $1;
EXECUTE p(1);
\! sqlite3 /tmp/vss_fdw_regress/connection.db "ALTER TABLE t RENAME TO t_old; CREATE TABLE t(v TEXT, more TEXT, id INTEGER PRIMARY KEY); INSERT INTO t SELECT v, 'm', id FROM t_old; DROP TABLE t_old; CREATE INDEX t_v ON t(v)"
EXECUTE p(1);
SELECT * FROM connection_t WHERE v = 'changed';
\! sqlite3 /tmp/vss_fdw_regress/connection.db "ALTER TABLE t DROP COLUMN more; DROP INDEX t_v; ALTER TABLE t DROP COLUMN v"
EXECUTE p(1);
SELECT id FROM connection_t;
DEALLOCATE p;

-- ALTER SERVER takes effect with the next statement, in a transaction with the next transaction
BEGIN;
SELECT id FROM connection_t;
ALTER SERVER connection OPTIONS (SET database '/tmp/vss_fdw_regress/connection2.db');
SELECT * FROM connection_t;
COMMIT;
SELECT * FROM connection_t;
ALTER SERVER connection OPTIONS (ADD read_only 'true');
SELECT * FROM connection_t;
-- without kept connections
ALTER SERVER connection OPTIONS (ADD keep_connections 'false');
SELECT * FROM connection_t;
SELECT * FROM connection_t;

-- a server that is dropped and made again under its name
BEGIN;
SELECT * FROM connection_t;
SET LOCAL client_min_messages = warning;
DROP SERVER connection CASCADE;
CREATE SERVER connection FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/connection.db');
CREATE FOREIGN TABLE connection_t (id bigint) SERVER connection OPTIONS ("table" 't');
SELECT * FROM connection_t;
ROLLBACK;
SELECT * FROM connection_t;

-- the file is put back from elsewhere while the connection lies idle
\! cd /tmp/vss_fdw_regress && sqlite3 connection3.db "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (9, 'restored')" && chmod 666 connection3.db && mv connection3.db connection2.db
ALTER SERVER connection OPTIONS (SET keep_connections 'true');
SELECT * FROM connection_t;
\! cd /tmp/vss_fdw_regress && sqlite3 connection3.db "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (10, 'restored again')" && chmod 666 connection3.db && mv connection3.db connection2.db
SELECT * FROM connection_t;

SET client_min_messages = warning;
DROP SERVER connection CASCADE;
