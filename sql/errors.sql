-- Databases that cannot be opened or read: each error says what, where and what to do.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; cd /tmp/vss_fdw_regress && rm -rf errors && mkdir errors && chmod 777 errors
\! cd /tmp/vss_fdw_regress/errors && mkdir dir.db && echo 'not a database, but long enough to have a header of a hundred bytes if it were one: so it is read and refused.' > text.db && printf 'short' > short.db && : > empty.db
\! cd /tmp/vss_fdw_regress/errors && sqlite3 good.db "CREATE TABLE t(a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'); CREATE VIEW endless AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r"
-- a newer file format, and a damaged page
\! cd /tmp/vss_fdw_regress/errors && cp good.db newer.db && printf '\003' | dd of=newer.db bs=1 seek=19 conv=notrunc status=none && cp good.db damaged.db && printf '\377\377\377\377\377\377\377\377' | dd of=damaged.db bs=1 seek=4096 conv=notrunc status=none
\! cd /tmp/vss_fdw_regress/errors && chmod 666 *.db 2>/dev/null; chmod 777 dir.db
CREATE FUNCTION errors_try(path text, command text DEFAULT 'SELECT * FROM errors_t') RETURNS TABLE (code text, message text, detail text, hint text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE SERVER errors_s FOREIGN DATA WRAPPER vss_fdw OPTIONS (database %L)', '/tmp/vss_fdw_regress/' || path);
	CREATE FOREIGN TABLE errors_t (a bigint, b text) SERVER errors_s OPTIONS ("table" 't');
	BEGIN
		EXECUTE command;
		message := 'no error';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
		-- the version of the library is no part of the test
		message := regexp_replace(message, 'SQLite \d+\.\d+\.\d+', 'SQLite x.y.z');
	END;
	DROP SERVER errors_s CASCADE;
	RETURN NEXT;
END $$;
SET client_min_messages = warning;
\x
SELECT * FROM errors_try('errors/good.db');
SELECT * FROM errors_try('errors/missing.db');
SELECT * FROM errors_try('errors/nowhere/missing.db');
SELECT * FROM errors_try('errors/good.db/under-a-file.db');
SELECT * FROM errors_try('errors/dir.db');
SELECT * FROM errors_try('errors/text.db');
SELECT * FROM errors_try('errors/short.db');
SELECT * FROM errors_try('errors/newer.db');
SELECT * FROM errors_try('errors/damaged.db');
SELECT * FROM errors_try('../../dev/null');
-- an empty file is a database without tables
SELECT * FROM errors_try('errors/empty.db');
-- none of this made a file
\! ls /tmp/vss_fdw_regress/errors

-- what the foreign table says and SQLite does not have
SELECT * FROM errors_try('errors/good.db', 'CREATE FOREIGN TABLE errors_x (a bigint) SERVER errors_s OPTIONS ("table" ''no such''); SELECT * FROM errors_x');
SELECT * FROM errors_try('errors/good.db', 'CREATE FOREIGN TABLE errors_x (a bigint, zz text) SERVER errors_s OPTIONS ("table" ''t''); SELECT * FROM errors_x');
SELECT * FROM errors_try('errors/good.db', 'CREATE FOREIGN TABLE errors_x (a bigint, zz text) SERVER errors_s OPTIONS ("table" ''t''); SELECT * FROM errors_x WHERE zz = ''zz''');

-- after all these errors the session works, and a transaction can go on from a savepoint
CREATE SERVER errors_good FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/errors/good.db');
CREATE FOREIGN TABLE errors_t (a bigint, b text) SERVER errors_good OPTIONS ("table" 't');
CREATE FOREIGN TABLE errors_bad (a bigint, b boolean) SERVER errors_good OPTIONS ("table" 't');
\x
BEGIN;
SELECT * FROM errors_t;
SAVEPOINT s;
SELECT * FROM errors_bad;
ROLLBACK TO s;
SELECT * FROM errors_t;
COMMIT;

-- a view that never ends is stopped by the timeout
CREATE FOREIGN TABLE errors_endless (n bigint) SERVER errors_good OPTIONS ("table" 'endless');
SET statement_timeout = 300;
SELECT count(*) FROM errors_endless WHERE n < 0;
RESET statement_timeout;
SELECT * FROM errors_endless LIMIT 2;

DROP SERVER errors_good CASCADE;
DROP FUNCTION errors_try;
