-- What makes vectors of vectors: *, ||, parts, unit length, bits; the distance
-- <+>; the SQLSTATEs of what fails, which are pgvector's.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
SET extra_float_digits = 0;

-- element by element
SELECT '[1,2,3]'::vss_vector * '[4,5,-6]', '[2]' * '[3]'::vss_vector, pg_typeof('[1]'::vss_vector * '[1]');
SELECT '[1e20,0]'::vss_vector * '[1e20,1]';
SELECT '[1,1e-30]'::vss_vector * '[1,1e-30]';
SELECT '[0,1e-30]'::vss_vector * '[1e-30,0]';
SELECT '[1,2]'::vss_vector * '[1]';

-- concatenated, with a literal on either side too; texts and arrays stay what they were
SELECT '[1,2]'::vss_vector || '[3]', '[1]' || '[2]'::vss_vector, pg_typeof('[1]'::vss_vector || '[2]');
SELECT v || v, v || '[9]' FROM (VALUES ('[1,2]'::vss_vector)) x(v);
PREPARE joined AS SELECT '[1]'::vss_vector || $1;
EXECUTE joined('[5]');
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'joined';
SELECT '[1]'::vss_vector || ' is text'::text, 'v = '::text || '[1]'::vss_vector, ARRAY[1] || ARRAY[2], ARRAY[1,2] || 3, 'a' || 'b';
SELECT array_agg(v || '[0]') FROM (VALUES ('[1]'::vss_vector), ('[2]')) x(v);
SELECT ('[' || repeat('1,', 9999) || '1]')::vss_vector || ('[' || repeat('1,', 9999) || '1]')::vss_vector;
-- a common type is still found
SELECT pg_typeof(v) FROM (SELECT '[1]'::vss_vector UNION ALL SELECT '[2]') x(v) LIMIT 1;
SELECT coalesce(NULL, '[1]'::vss_vector, '[2]'), CASE WHEN true THEN '[1]' ELSE '[2]'::vss_vector END, greatest('[1]'::vss_vector, '[2]');

-- parts, as of substring()
SELECT vss_subvector('[1,2,3,4]', 2, 2), vss_subvector('[1,2,3,4]', 3, 9), vss_subvector('[1,2,3,4]', -1, 3),
	vss_subvector('[1,2,3,4]', 1, 2147483647);
SELECT vss_subvector('[1,2]', 3, 1);
SELECT vss_subvector('[1,2]', 1, 0);
SELECT vss_subvector('[1,2]', -2147483648, -2147483648);

-- unit length
SELECT vss_l2_normalize('[3,4]'), vss_l2_normalize('[0,0]'), vss_l2_normalize('[3e38,0]'), vss_l2_normalize('[0,1e-40]');

-- bits
SELECT vss_binary_quantize('[1,0,-1,0.1,-0,5,6,-7,8,9]'), vss_binary_quantize('[-1,1]')::bit(2);
SELECT vss_hamming_distance(B'1100110011', B'1010101010'), vss_jaccard_distance(B'1100', B'1010'), vss_jaccard_distance(B'00', B'00'),
	vss_jaccard_distance(B'11', B'11'), vss_hamming_distance(vss_binary_quantize('[1,1]'), vss_binary_quantize('[1,-1]'));
SELECT vss_hamming_distance(B'1', B'10');
SELECT vss_jaccard_distance(B'1', B'10');

-- the sum of differences
SELECT '[1,2,3]'::vss_vector <+> '[4,0,3]', vss_l1_distance('[3e38]', '[-3e38]') > 5.9e38 AS beyond_real,
	'[0,0]' <+> ARRAY[1,-1]::vss_vector;
SELECT '[1,2]'::vss_vector <+> '[1]';
SELECT (SELECT array_agg(i::real)::vss_vector FROM generate_series(1, 1003) i) <+>
	(SELECT array_agg(0::real)::vss_vector FROM generate_series(1, 1003) i) = 1003 * 1004 / 2 AS summed;

-- spellings of numbers
SELECT '[0x10,0x1.8p1,-0X.8,+0x1P-2]'::vss_vector, '[.5,5.,+1,1e+2,1E-2]'::vss_vector, E'[\t1\n,\x0b2\f,\r3]'::vss_vector;
SELECT '[0xg]'::vss_vector;

-- SQLSTATEs
CREATE FUNCTION state_of(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'none';
EXCEPTION WHEN others THEN
	RETURN sqlstate;
END $$;
SELECT c, state_of('SELECT ' || c) FROM (VALUES
	('''[1,2''::vss_vector'), ('''[a]''::vss_vector'), ('''[]''::vss_vector'), ('''[NaN]''::vss_vector'),
	('''[1,-inf]''::vss_vector'), ('''[1e39]''::vss_vector'), ('''[1,2]''::vss_vector(3)'),
	('''[1]''::vss_vector <-> ''[1,2]'''), ('''[1]''::vss_vector + ''[1,2]'''), ('''{}''::real[]::vss_vector'),
	('ARRAY[NULL::real]::vss_vector'), ('ARRAY[''NaN''::real]::vss_vector'), ('ARRAY[[1]]::vss_vector'),
	('''[1]''::vss_vector(0)'), ('''[3e38]''::vss_vector + ''[3e38]'''), ('''[1e30]''::vss_vector * ''[1e30]'''),
	('''[1e-30]''::vss_vector * ''[1e-30]'''), ('(SELECT array_agg(1)::vss_vector FROM generate_series(1, 16001))'),
	('(SELECT sum(v) FROM (VALUES (''[1]''::vss_vector), (''[1,2]'')) x(v))')) x(c);
DROP FUNCTION state_of(text);
