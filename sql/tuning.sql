-- An index that is given no ef_search: how far searches go on, merges measure; plans show it and searches use it.
\set VERBOSITY terse
\! mkdir -p -m 777 /tmp/vss_fdw_regress
\! rm -f /tmp/vss_fdw_regress/tuning.db*
-- few links and candidates while building, so that searches must go far
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

CREATE FUNCTION shown(what text, operator text, k int, run boolean) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE format('EXPLAIN (ANALYZE %s, COSTS OFF, FORMAT JSON) SELECT id FROM docs ORDER BY embedding %s %L LIMIT %s',
		CASE WHEN run THEN 'on' ELSE 'off' END, operator, '[0.5,-0.5,0.25,0.1,0.9,-0.3,0.2,0.7,-0.8,0.6,0.4,-0.1,0.3,0.2,0.1,0]', k) INTO plan;
	RETURN jsonb_path_query_first(plan::jsonb, format('$.**.%s', what)::jsonpath)::numeric;
END $$;

-- nothing was measured
SELECT shown('Margin', '<->', 10, false), vss_index_info('vss') ->> 'margin' AS margin, vss_index_info('vss') ->> 'recall' AS recall,
	vss_index_info('vss') ->> 'ef_search' AS given;
SELECT shown('ef_search', '<#>', 10, false), shown('Margin', '<#>', 10, false), vss_index_info('fixed') ->> 'ef_search' AS given;

-- another process merges: the next plan knows
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/tuning.db "SELECT hnsw_save('vss'), hnsw_save('fixed')" >/dev/null
SELECT round((vss_index_info('vss') ->> 'margin')::numeric, 2) AS found \gset
SELECT :found > 0.3 AS more, shown('Margin', '<->', 10, false) = :found AS planned, shown('Margin', '<->', 10, true) = :found AS used;
SELECT shown('ef_search', '<#>', 10, false) AS planned, shown('ef_search', '<#>', 10, true) AS used;

-- whoever names an ef has it; as many as rows are wanted are kept in any case
SET vss_fdw.ef_search = 99;
SELECT shown('ef_search', '<->', 10, false) AS planned, shown('ef_search', '<->', 10, true) AS used, shown('Margin', '<->', 10, true);
SELECT shown('ef_search', '<->', 900, false) AS planned, shown('ef_search', '<->', 900, true) AS used;
RESET vss_fdw.ef_search;

-- programs written for pgvector name it in its way; what is said in ours goes first; 40, and nonsense, say nothing
SET hnsw.iterative_scan = relaxed_order;
SET hnsw.ef_search = 88;
SELECT shown('ef_search', '<->', 10, false) AS planned, shown('ef_search', '<->', 10, true) AS used;
SELECT shown('ef_search', '<#>', 10, false) AS planned, shown('ef_search', '<#>', 10, true) AS used;
SET vss_fdw.ef_search = 99;
SELECT shown('ef_search', '<->', 10, false) AS planned, shown('ef_search', '<->', 10, true) AS used;
RESET vss_fdw.ef_search;
SET hnsw.ef_search = 40;
SELECT shown('Margin', '<->', 10, false) = :found AS planned, shown('ef_search', '<->', 10, true);
SET hnsw.ef_search = '12 or so';
SELECT shown('Margin', '<->', 10, false) = :found AS planned, shown('ef_search', '<->', 10, true);
SET hnsw.ef_search = 70000;
SELECT shown('Margin', '<->', 10, false) = :found AS planned, shown('ef_search', '<->', 10, true);
BEGIN;
SET LOCAL hnsw.ef_search = 77;
SELECT shown('ef_search', '<->', 10, true) AS used;
COMMIT;
RESET hnsw.ef_search;
SELECT shown('ef_search', '<->', 10, true);

-- one margin serves every LIMIT
SELECT shown('Margin', '<->', 900, false) = :found AS planned, shown('Margin', '<->', 900, true) = :found AS used;

-- a plan that was made before another merge still searches with what that found
PREPARE nearest AS SELECT id FROM docs ORDER BY embedding <-> '[0.5,-0.5,0.25,0.1,0.9,-0.3,0.2,0.7,-0.8,0.6,0.4,-0.1,0.3,0.2,0.1,0]' LIMIT 70;
CREATE FUNCTION prepared() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, FORMAT JSON) EXECUTE nearest' INTO plan;
	RETURN jsonb_path_query_first(plan::jsonb, '$.**.Margin')::numeric;
END $$;
SET plan_cache_mode = force_generic_plan;
SELECT prepared() = :found AS found;
\! sqlite3 /tmp/vss_fdw_regress/tuning.db "UPDATE vss_config SET value = 'margin 333 90 6000' WHERE key = 'tuned'"
SELECT prepared();
-- what an older version measured counts as nothing
\! sqlite3 /tmp/vss_fdw_regress/tuning.db "UPDATE vss_config SET value = '160 6000' WHERE key = 'tuned'"
SELECT prepared();
SELECT vss_rebuild('vss');
SELECT prepared() = :found AS found;

DEALLOCATE nearest;
DROP SCHEMA tuning CASCADE;
DROP SERVER tuning_server CASCADE;
