-- Casts of vss_vector: arrays, text, JSON; what is implicit and what is not.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;

SELECT castsource::regtype, casttarget::regtype,
	CASE castcontext WHEN 'i' THEN 'implicit' WHEN 'a' THEN 'assignment' ELSE 'explicit' END AS context
FROM pg_cast WHERE 'vss_vector'::regtype IN (castsource, casttarget) ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";

-- arrays to vectors, with and without a size
SELECT ARRAY[1.5,2]::real[]::vss_vector, ARRAY[1.5,2]::float8[]::vss_vector, ARRAY[1.5,2]::numeric[]::vss_vector(2), ARRAY[1,2]::vss_vector;
SELECT '{0.1,1e-44}'::real[]::vss_vector, '{0.1,1e-50}'::float8[]::vss_vector, '{16777217}'::int[]::vss_vector, '[5:6]={1,2}'::int[]::vss_vector;
SELECT ARRAY[1,2]::vss_vector(3);
SELECT ARRAY[1,NULL]::int[]::vss_vector;
SELECT ARRAY[[1,2],[3,4]]::vss_vector;
SELECT '{}'::real[]::vss_vector;
SELECT ARRAY['NaN']::real[]::vss_vector;
SELECT ARRAY[1,'-Infinity']::float8[]::vss_vector;
SELECT ARRAY[1,1e300]::float8[]::vss_vector;
SELECT ARRAY[1,1e300]::numeric[]::vss_vector;
SELECT ARRAY['NaN']::numeric[]::vss_vector;
SELECT array_agg(1)::vss_vector FROM generate_series(1, 16001);
SELECT ARRAY['1']::text[]::vss_vector;

-- back to real[]: assigned, not implicit
SELECT '[1,2.5]'::vss_vector::real[], '[1,2.5]'::vss_vector::real[]::vss_vector;
CREATE TEMP TABLE arrays (r real[]);
INSERT INTO arrays SELECT '[1,2.5]'::vss_vector;
SELECT r, r::vss_vector <-> '[1,2.5]' AS d FROM arrays;
\set VERBOSITY terse
SELECT array_length('[1,2]'::vss_vector, 1);
\set VERBOSITY default

-- text and JSON: explicit only
SELECT '[1, 2.50]'::text::vss_vector, '[1,2]'::varchar::vss_vector(2), '[1,2.5]'::vss_vector::text;
SELECT '[1, 2.50]'::json::vss_vector, '[1, 2.50]'::jsonb::vss_vector(2), '[1,2.5]'::vss_vector::json, '[1,2.5]'::vss_vector::jsonb;
SELECT json_typeof('[1e30,1e-30,-0.5]'::vss_vector::json), '[1e30,-0.5]'::vss_vector::jsonb->0;
SELECT to_json('[1,2.5]'::vss_vector), to_jsonb('[1,2.5]'::vss_vector), row_to_json(x), json_agg(v), jsonb_build_object('v', v)
FROM (VALUES (1, '[1e-30,2]'::vss_vector)) x(id, v) GROUP BY x, v;
SELECT '{"a": 1}'::json::vss_vector;
SELECT '[1, "2"]'::jsonb::vss_vector;
SELECT '[1, null]'::jsonb::vss_vector;
SELECT '[[1]]'::json::vss_vector;
SELECT '[]'::jsonb::vss_vector;
SELECT 'null'::jsonb::vss_vector;
SELECT '[1,2]'::jsonb::vss_vector(3);
SELECT '[1,2]'::text::vss_vector(3);
\set VERBOSITY terse
SELECT '[1]'::vss_vector <=> '[1]'::text;
SELECT '[1]'::vss_vector <=> '[1]'::jsonb;
\set VERBOSITY default

-- function arguments take arrays of any of the four types
SELECT vss_dims(ARRAY[1,2]::real[]), vss_dims(ARRAY[1,2]::float8[]), vss_dims(ARRAY[1,2]::numeric[]), vss_dims(ARRAY[1,2]);
SELECT vss_norm(ARRAY[3,4]), vss_cosine_distance(ARRAY[1,0], '[0,1]');

-- a vector stays a vector through UNION, CASE, COALESCE, VALUES and arrays of vectors
SELECT v, pg_typeof(v) FROM (SELECT '[1]'::vss_vector AS v UNION SELECT '[2]' UNION SELECT '[1]') x ORDER BY v;
SELECT COALESCE(NULL, '[1]'::vss_vector), CASE WHEN true THEN '[2]' ELSE '[1]'::vss_vector END, ARRAY['[1,2]'::vss_vector, '[3]'];

-- a type of pgvector's layout (int16 dimensions, int16 zero, float4 ...; stored
-- external, aligned as int4) is made convertible as the manual says
BEGIN;
SET LOCAL client_min_messages = warning; -- each version words the notices of shell types its way
CREATE SCHEMA standin;
CREATE TYPE standin.vector;
CREATE FUNCTION standin.vector_in(cstring, oid, integer) RETURNS standin.vector
	AS '$libdir/vss_fdw', 'vss_vector_in' LANGUAGE C IMMUTABLE STRICT;
CREATE FUNCTION standin.vector_out(standin.vector) RETURNS cstring
	AS '$libdir/vss_fdw', 'vss_vector_out' LANGUAGE C IMMUTABLE STRICT;
CREATE TYPE standin.vector (INPUT = standin.vector_in, OUTPUT = standin.vector_out, STORAGE = external);
CREATE CAST (standin.vector AS vss_vector) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (vss_vector AS standin.vector) WITHOUT FUNCTION AS ASSIGNMENT;
SELECT '[1,2]'::standin.vector::vss_vector, '[1,2]'::vss_vector::standin.vector,
	'[1,2]'::vss_vector <-> '[4,6]'::standin.vector, '[4,6]'::standin.vector <-> '[1,2]'::vss_vector;
SELECT vss_dims('[1,2]'::standin.vector);
ROLLBACK;
