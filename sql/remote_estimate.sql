-- use_remote_estimate: the planner's row count is SQLite's.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/estimate*
\! sqlite3 /tmp/vss_fdw_regress/estimate.db "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT); WITH RECURSIVE c(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM c WHERE k < 20000) INSERT INTO t SELECT k, k < 1000 FROM c"
\! chmod 666 /tmp/vss_fdw_regress/estimate.db
CREATE SERVER estimate FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/estimate.db', use_remote_estimate 'true');
CREATE FOREIGN TABLE counted(id bigint, a bigint) SERVER estimate OPTIONS ("table" 't');
CREATE FOREIGN TABLE guessed(id bigint, a bigint) SERVER estimate OPTIONS ("table" 't', use_remote_estimate 'false');
CREATE FUNCTION estimated(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN plan->0->'Plan'->>'Plan Rows';
END $$;
SELECT estimated('SELECT * FROM counted WHERE a = 1'), estimated('SELECT * FROM counted WHERE a = 7'),
	estimated('SELECT * FROM counted WHERE a = 0') >= 10000 AS many, estimated('SELECT * FROM guessed WHERE a = 1') <> 999 AS guessed;
DROP SERVER estimate CASCADE;
DROP FUNCTION estimated;
