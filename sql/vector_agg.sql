-- avg and sum of vss_vector: precision, NULL, parallel plans, dimensions.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;

SELECT avg(v), sum(v), pg_typeof(avg(v)), pg_typeof(sum(v)) FROM (VALUES ('[1,2]'::vss_vector), ('[3,6]'), (NULL)) x(v);
SELECT avg(v), sum(v) FROM (VALUES ('[1,2]'::vss_vector)) x(v) WHERE false;
SELECT avg(v), sum(v) FROM (VALUES (NULL::vss_vector), (NULL)) x(v);
SELECT avg(v) FROM (VALUES ('[1,2]'::vss_vector), ('[1]')) x(v);
SELECT avg(v) FROM (VALUES ('[3e38]'::vss_vector), ('[3e38]')) x(v);
SELECT sum(v) FROM (VALUES ('[3e38]'::vss_vector), ('[3e38]')) x(v);
SELECT sum(v) FROM (VALUES ('[3e38]'::vss_vector), ('[3e38]'), ('[-3e38]')) x(v);
SELECT avg(DISTINCT v), sum(v) FILTER (WHERE v > '[1]') FROM (VALUES ('[1]'::vss_vector), ('[1]'), ('[3]')) x(v);
SELECT i, sum(v) OVER (ORDER BY i), avg(v) OVER (ORDER BY i ROWS 1 PRECEDING) FROM (VALUES (1, '[1]'::vss_vector), (2, '[3]'), (3, NULL)) x(i, v);

-- summed in double precision: in real these additions would stop at 2^24
SELECT sum(v) FROM (SELECT '[16777216]'::vss_vector AS v UNION ALL SELECT '[1]' FROM generate_series(1, 1000)) x;

-- the same in parallel, where states travel between processes
CREATE TABLE vector_agg_rows AS
SELECT i % 3 AS g, ARRAY[i, 2 * i, 1]::vss_vector AS v FROM generate_series(1, 30000) i;
INSERT INTO vector_agg_rows SELECT 3, NULL FROM generate_series(1, 10);
ANALYZE vector_agg_rows;
CREATE TEMP TABLE serial AS SELECT g, avg(v), sum(v) FROM vector_agg_rows GROUP BY g;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET parallel_leader_participation = off;
EXPLAIN (COSTS off) SELECT avg(v), sum(v) FROM vector_agg_rows;
SELECT avg(v), sum(v) FROM vector_agg_rows;
SELECT g, p.avg = s.avg AS same_avg, p.sum = s.sum AS same_sum
FROM (SELECT g, avg(v), sum(v) FROM vector_agg_rows GROUP BY g) p JOIN serial s USING (g) ORDER BY g;
RESET ALL;
DROP TABLE vector_agg_rows;

-- another extension's or user's aggregate over arrays is not disturbed
CREATE SCHEMA vector_agg;
CREATE AGGREGATE vector_agg.sum(anycompatiblearray) (SFUNC = array_cat, STYPE = anycompatiblearray);
SET search_path = public, vector_agg;
SELECT sum(a) FROM (VALUES (ARRAY[1]), (ARRAY[2])) x(a);
RESET search_path;
DROP AGGREGATE vector_agg.sum(anycompatiblearray);
DROP SCHEMA vector_agg;

