-- The type vss_vector: text, binary form, size, operators, comparison.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;

-- text in and out: blanks, signs, exponents; shortest form that reads back
SELECT '[1,2,3]'::vss_vector, ' [ -1.50 , 2e2, 0.5 , 3.0 ] '::vss_vector, '[0.1,1e-30,16777217,3.4028235e38]'::vss_vector;
SELECT '[1]'::vss_vector(1), '[1,2,3]'::vss_vector(3);
SELECT vss_dims(('[' || repeat('1,', 15999) || '1]')::vss_vector);

-- refused, each with its reason
SELECT ''::vss_vector;
SELECT '[]'::vss_vector;
SELECT '1,2'::vss_vector;
SELECT '[1,2'::vss_vector;
SELECT '[1,,2]'::vss_vector;
SELECT '[1,2,]'::vss_vector;
SELECT '[1 2]'::vss_vector;
SELECT '[1,2]x'::vss_vector;
SELECT '[1,a]'::vss_vector;
SELECT '[NaN,1]'::vss_vector;
SELECT '[1,Infinity]'::vss_vector;
SELECT '[1e39]'::vss_vector;
SELECT '[null]'::vss_vector;
SELECT ('[' || repeat('1,', 16000) || '1]')::vss_vector;
SELECT ('[' || repeat('1.25,', 40) || 'é]')::vss_vector;

-- declared size
SELECT '[1,2]'::vss_vector(3);
SELECT '[1,2]'::vss_vector::vss_vector(3);
SELECT '[1,2]'::vss_vector(0);
SELECT '[1,2]'::vss_vector(16001);
SELECT '[1,2]'::vss_vector(1,2);
CREATE TEMP TABLE sized(id int, v vss_vector(3));
INSERT INTO sized VALUES (1, '[1,2,3]'), (2, NULL);
INSERT INTO sized VALUES (3, '[1,2]');
INSERT INTO sized SELECT 3, '[1,2]'::vss_vector;
INSERT INTO sized SELECT 3, ARRAY[1,2];
SELECT format_type(atttypid, atttypmod), attstorage FROM pg_attribute
WHERE attrelid = 'sized'::regclass AND attname = 'v';

-- binary: COPY out and in, and the bytes themselves (as pgvector's)
\! rm -rf /tmp/vss_fdw_regress/vector && mkdir -p /tmp/vss_fdw_regress/vector && chmod 0777 /tmp/vss_fdw_regress /tmp/vss_fdw_regress/vector 2>/dev/null
CREATE TEMP TABLE source AS SELECT i AS id, ARRAY[i, -i / 3.0, 1e-20 * i, 0]::real[]::vss_vector AS v
FROM generate_series(1, 100) i;
CREATE TEMP TABLE target (LIKE source);
COPY source TO '/tmp/vss_fdw_regress/vector/vector.bin' (FORMAT binary);
COPY target FROM '/tmp/vss_fdw_regress/vector/vector.bin' (FORMAT binary);
SELECT count(*), bool_and(vss_vector_send(s.v) = vss_vector_send(t.v)) AS same FROM source s JOIN target t USING (id);
COPY (SELECT id, v FROM source) TO '/tmp/vss_fdw_regress/vector/vector.txt';
TRUNCATE target;
COPY target FROM '/tmp/vss_fdw_regress/vector/vector.txt';
SELECT count(*), bool_and(vss_vector_send(s.v) = vss_vector_send(t.v)) AS same FROM source s JOIN target t USING (id);
SELECT vss_vector_send('[1,-2]');

-- bad binary forms, written by hand inside COPY's framing: NaN, no dimensions,
-- a reserved field that is set, too few and too many elements, a negative count
CREATE TEMP TABLE bad (v vss_vector);
\! printf 'PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\10\0\1\0\0\177\300\0\0\377\377' > /tmp/vss_fdw_regress/vector/nan.bin
COPY bad FROM '/tmp/vss_fdw_regress/vector/nan.bin' (FORMAT binary);
\! printf 'PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4\0\0\0\0\377\377' > /tmp/vss_fdw_regress/vector/none.bin
COPY bad FROM '/tmp/vss_fdw_regress/vector/none.bin' (FORMAT binary);
\! printf 'PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\10\0\1\0\1\77\200\0\0\377\377' > /tmp/vss_fdw_regress/vector/reserved.bin
COPY bad FROM '/tmp/vss_fdw_regress/vector/reserved.bin' (FORMAT binary);
\! printf 'PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\10\0\2\0\0\77\200\0\0\377\377' > /tmp/vss_fdw_regress/vector/few.bin
COPY bad FROM '/tmp/vss_fdw_regress/vector/few.bin' (FORMAT binary);
\! printf 'PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\14\0\1\0\0\77\200\0\0\77\200\0\0\377\377' > /tmp/vss_fdw_regress/vector/many.bin
COPY bad FROM '/tmp/vss_fdw_regress/vector/many.bin' (FORMAT binary);
\! printf 'PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4\200\1\0\0\377\377' > /tmp/vss_fdw_regress/vector/negative.bin
COPY bad FROM '/tmp/vss_fdw_regress/vector/negative.bin' (FORMAT binary);
SELECT count(*) FROM bad;

-- distances, and their names as functions
SELECT '[1,0]'::vss_vector <=> '[0,1]' AS cosine, '[1,2]'::vss_vector <-> '[4,6]' AS l2, '[1,2]'::vss_vector <#> '[3,4]' AS ip;
SELECT '[0,1]' <=> '[0,2]'::vss_vector, vss_cosine_distance('[1,0]', '[-1,0]'), vss_l2_distance('[0]', '[3]'),
	vss_inner_product('[1,2]', '[3,4]'), vss_inner_product('[1,0]', '[0,1]'), vss_negative_inner_product('[1,2]', '[3,4]');
SELECT '[0,0]'::vss_vector <=> '[1,0]' AS zero, NULL::vss_vector <-> '[1]' IS NULL AS null_in_null_out;
SELECT '[1,2]'::vss_vector <=> '[1,2,3]';
SELECT '[1,2]'::vss_vector <-> '[1,2,3]';
SELECT '[1,2]'::vss_vector <#> '[1,2,3]';
SELECT vss_norm('[3,4]'), vss_dims('[3,4]');
SELECT oprname, oprcom = oid AS commutes FROM pg_operator
WHERE oprleft = 'vss_vector'::regtype AND oprname IN ('<=>', '<->', '<#>') ORDER BY oprname COLLATE "C";

-- arrays on either side, and an untyped parameter
SELECT '[1,2]'::vss_vector <-> ARRAY[1,2]::real[], ARRAY[4,6]::float8[] <-> '[1,2]'::vss_vector,
	'[1,2]'::vss_vector <-> ARRAY[1,2], '[1,2]'::vss_vector <-> ARRAY[1.0,2.0];
PREPARE distance AS SELECT id FROM source ORDER BY v <-> $1, id LIMIT 1;
EXECUTE distance('[7,-2,0,0]');
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'distance';

-- order: element by element, then length; -0 equals 0 and hashes alike
SELECT v FROM (VALUES ('[2]'::vss_vector), ('[1,2]'), ('[1]'), ('[-1,9]'), ('[1,-3]')) x(v) ORDER BY v;
SELECT '[1,2]'::vss_vector = '[1,2]' AS t, '[1,2]'::vss_vector <> '[1,2]' AS f, '[1]'::vss_vector < '[1,0]' AS t,
	'[1,3]'::vss_vector <= '[1,2]' AS f, '[1,3]'::vss_vector >= '[1,2]' AS t, '[2]'::vss_vector > '[1,9]' AS t;
SELECT '[0]'::vss_vector = '[-0.0]' AS t, vss_vector_hash('[0]') = vss_vector_hash('[-0.0]') AS t,
	vss_vector_hash_extended('[0]', 7) = vss_vector_hash_extended('[-0.0]', 7) AS t,
	vss_vector_hash('[0]') = vss_vector_hash('[1]') AS f;
SELECT '[1,2]'::vss_vector IN ('[1,3]', '[1,2]') AS t, '[1]'::vss_vector IS DISTINCT FROM '[1]' AS f,
	'[1]'::vss_vector = ANY (ARRAY['[2]', '[1]']::vss_vector[]) AS t;
CREATE TEMP TABLE repeated AS SELECT id, ARRAY[id % 5, 1]::vss_vector AS v FROM generate_series(1, 1000) id;
SELECT DISTINCT v FROM repeated ORDER BY v;
SELECT v, count(*) FROM repeated GROUP BY v ORDER BY v LIMIT 2;
SET enable_nestloop = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS off) SELECT count(*) FROM repeated a JOIN repeated b USING (v);
SELECT count(*) FROM repeated a JOIN repeated b USING (v);
SET enable_hashjoin = off;
SET enable_mergejoin = on;
EXPLAIN (COSTS off) SELECT count(*) FROM repeated a JOIN repeated b USING (v);
SELECT count(*) FROM repeated a JOIN repeated b USING (v);
RESET enable_nestloop;
RESET enable_mergejoin;
RESET enable_hashjoin;
CREATE INDEX repeated_v ON repeated (v);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT id FROM repeated WHERE v = '[3,1]';
SELECT count(*) FROM repeated WHERE v = '[3,1]';
DROP INDEX repeated_v;
CREATE INDEX repeated_v ON repeated USING hash (v);
EXPLAIN (COSTS off) SELECT id FROM repeated WHERE v = '[3,1]';
SELECT count(*) FROM repeated WHERE v = '[3,1]';
RESET enable_seqscan;
RESET enable_bitmapscan;

SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcintype = 'vss_ordered'::regtype ORDER BY opcname COLLATE "C";

-- sum and difference
SELECT '[1,2]'::vss_vector + '[3,4]', '[1,2]'::vss_vector - '[3,4]', ('[1,2]'::vss_vector + '[3,4]') <-> '[4,6]';
SELECT '[3e38]'::vss_vector + '[3e38]';
SELECT '[1]'::vss_vector + '[1,2]';

-- a long vector is stored out of line and comes back
CREATE TEMP TABLE long AS SELECT array_agg(i::real)::vss_vector AS v FROM generate_series(1, 4000) i;
SELECT vss_dims(v), v <-> v AS d, v = (SELECT array_agg(i::real)::vss_vector FROM generate_series(1, 4000) i) AS same FROM long;

-- arrays keep their own operators, though they become vectors implicitly
SELECT ARRAY[1,2] = ARRAY[1,2] AS t, ARRAY[1,2] = '{1,2}' AS t, '{1,2}' < ARRAY[1,3] AS t, ARRAY[1.5] <> ARRAY[1.5] AS f,
	ARRAY[1,2]::real[] IN ('{1,2}', '{3}') AS t, ARRAY[1,2]::float8[] >= '{1}' AS t, ARRAY[1] || ARRAY[2], ARRAY[1,2] @> '{1}' AS t;
PREPARE arrays AS SELECT ARRAY[1,2] = $1;
EXECUTE arrays('{1,2}');
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'arrays';
