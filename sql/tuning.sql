-- An index that is given no ef_search: what merges measure is what plans show and searches use.
\set VERBOSITY terse
\! mkdir -p -m 777 /tmp/vss_fdw_regress
\! rm -f /tmp/vss_fdw_regress/tuning.db*
-- few links and candidates while building, so that the default finds too little
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/tuning.db "CREATE TABLE docs(id INTEGER PRIMARY KEY, embedding TEXT); CREATE VIRTUAL TABLE vss USING hnsw(dim=16, metric=l2, m=3, ef=10, content=docs, content_rowid=id, content_vector=embedding); CREATE VIRTUAL TABLE fixed USING hnsw(dim=16, metric=ip, m=3, ef=10, ef_search=70, content=docs, content_rowid=id, content_vector=embedding); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 6000) INSERT INTO docs SELECT i, (SELECT json_group_array(((i * 7919 + j * 104729) * (i % 613 + 31 * j + 7) % 10007) / 5003.0 - 1) FROM (SELECT value AS j FROM json_each('[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]'))) FROM c"
\! chmod a+rw /tmp/vss_fdw_regress/tuning.db*
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
DROP SCHEMA IF EXISTS tuning CASCADE;
DROP SERVER IF EXISTS tuning_server CASCADE;
CREATE SERVER tuning_server FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/tuning.db');
CREATE SCHEMA tuning;
SET search_path = tuning, public;
IMPORT FOREIGN SCHEMA main FROM SERVER tuning_server INTO tuning;

CREATE FUNCTION ef(operator text, k int, run boolean) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE format('EXPLAIN (ANALYZE %s, COSTS OFF, FORMAT JSON) SELECT id FROM docs ORDER BY embedding %s %L LIMIT %s',
		CASE WHEN run THEN 'on' ELSE 'off' END, operator, '[0.5,-0.5,0.25,0.1,0.9,-0.3,0.2,0.7,-0.8,0.6,0.4,-0.1,0.3,0.2,0.1,0]', k) INTO plan;
	RETURN jsonb_path_query_first(plan::jsonb, '$.**.ef_search')::int;
END $$;

-- nothing was measured
SELECT ef('<->', 10, false), vss_index_info('vss') ->> 'ef_search' AS ef_search, vss_index_info('vss') ->> 'ef_search_given' AS given;
SELECT ef('<#>', 10, false), vss_index_info('fixed') ->> 'ef_search' AS ef_search, vss_index_info('fixed') ->> 'ef_search_given' AS given;

-- another process merges: the next plan knows
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/tuning.db "SELECT hnsw_save('vss'), hnsw_save('fixed')" >/dev/null
SELECT (vss_index_info('vss') ->> 'ef_search')::int AS found \gset
SELECT :found > 64 AS more, ef('<->', 10, false) = :found AS planned, ef('<->', 10, true) = :found AS used,
	vss_index_info('vss') ->> 'ef_search_given' AS given;
SELECT ef('<#>', 10, false) AS planned, ef('<#>', 10, true) AS used;

-- whoever names one has it; as many as rows are wanted are kept in any case
SET vss_fdw.ef_search = 99;
SELECT ef('<->', 10, false) AS planned, ef('<->', 10, true) AS used;
RESET vss_fdw.ef_search;
SELECT ef('<->', 900, false) AS planned, ef('<->', 900, true) AS used;

-- no LIMIT, however near the default, makes it less
SELECT ef('<->', 65, false) = :found AS planned, ef('<->', 65, true) = :found AS used;

-- a plan that was made before another merge still searches with what that found
PREPARE nearest AS SELECT id FROM docs ORDER BY embedding <-> '[0.5,-0.5,0.25,0.1,0.9,-0.3,0.2,0.7,-0.8,0.6,0.4,-0.1,0.3,0.2,0.1,0]' LIMIT 70;
CREATE FUNCTION prepared_ef() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, FORMAT JSON) EXECUTE nearest' INTO plan;
	RETURN jsonb_path_query_first(plan::jsonb, '$.**.ef_search')::int;
END $$;
SET plan_cache_mode = force_generic_plan;
SELECT prepared_ef() = :found AS found;
\! sqlite3 /tmp/vss_fdw_regress/tuning.db "UPDATE vss_config SET value = '333 6000' WHERE key = 'tuned'"
SELECT prepared_ef();
SELECT vss_rebuild('vss');
SELECT prepared_ef() BETWEEN 65 AND 640 AND prepared_ef() <> 333 AS found;

DEALLOCATE nearest;
DROP SCHEMA tuning CASCADE;
DROP SERVER tuning_server CASCADE;
