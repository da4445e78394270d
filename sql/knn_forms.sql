-- The forms in which people write nearest-neighbour queries: similarities and other expressions of a
-- distance, in the order and in conditions, in functions, with subqueries.
--
-- Each asks the index, and gives what a local copy of the rows gives.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/forms.db*
-- 3,000 rows of 8 dimensions, then two NULL and two zero vectors, and one more of each that no merge has seen
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/forms.db "CREATE TABLE docs(id INTEGER PRIMARY KEY, n INT, embedding TEXT); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000) INSERT INTO docs SELECT i, i % 100, (SELECT json_group_array((i * (7919 + 131 * value) * (value + 3) % 10007) / 5003.0 - 1) FROM generate_series(0, 7)) FROM c; INSERT INTO docs VALUES (3001, 1, NULL), (3002, 2, '[0,0,0,0,0,0,0,0]'), (3003, 3, NULL), (3004, 4, '[0,0,0,0,0,0,0,0]')"
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/forms.db "CREATE VIRTUAL TABLE vss USING hnsw(dim=8, ef_search=40, content=docs, content_rowid=id, content_vector=embedding); CREATE VIRTUAL TABLE far USING hnsw(dim=8, metric=l2, content=docs, content_rowid=id, content_vector=embedding); CREATE VIRTUAL TABLE dot USING hnsw(dim=8, metric=ip, content=docs, content_rowid=id, content_vector=embedding); SELECT hnsw_save('vss'), hnsw_save('far'), hnsw_save('dot'); INSERT INTO docs VALUES (3005, 5, NULL), (3006, 6, '[0,0,0,0,0,0,0,0]')"
\! chmod 666 /tmp/vss_fdw_regress/forms.db*
CREATE SERVER forms FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/forms.db');
IMPORT FOREIGN SCHEMA main LIMIT TO (docs) FROM SERVER forms INTO public;
CREATE TABLE local_docs AS SELECT * FROM docs;
ANALYZE local_docs;
\getenv top PG_ABS_SRCDIR
\set include :top '/sql/include/nearest.psql'
\i :include

-- Whether the query asks an index, and what it computes beside the plain form of it.
CREATE FUNCTION form(query text, plain text DEFAULT NULL, OUT index text, OUT agrees text, OUT as_much boolean) LANGUAGE plpgsql AS $$
BEGIN
	index := knn_plan(query)->>'Index';
	SET LOCAL vss_fdw.knn_strategy = exact;
	agrees := agree(query);
	SET LOCAL vss_fdw.knn_strategy = auto;
	IF plain IS NOT NULL THEN
		as_much := (knn_plan(query, true)->>'Distances Computed')::int <= (knn_plan(plain, true)->>'Distances Computed')::int;
	END IF;
END $$;

-- similarities in the order: what is NaN or NULL comes first, as PostgreSQL has it
SELECT f.index, f.agrees, f.as_much, q FROM unnest(ARRAY[
	'SELECT id, 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') AS s FROM docs ORDER BY s DESC, id LIMIT 10',
	'SELECT id, 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') AS s FROM docs ORDER BY s DESC NULLS LAST, id LIMIT 10',
	'SELECT id FROM docs ORDER BY (2 - (embedding <=> ''[1,0,0,0,0,0,0,0]'')) / 2 DESC, id LIMIT 10',
	'SELECT id FROM docs ORDER BY (1 - (embedding <=> ''[1,0,0,0,0,0,0,0]''))::real DESC, id LIMIT 10',
	'SELECT id FROM docs ORDER BY -(embedding <=> ''[1,0,0,0,0,0,0,0]'') DESC, id LIMIT 10',
	'SELECT id FROM docs ORDER BY vss_cosine_distance(embedding, ''[1,0,0,0,0,0,0,0]'') * -1 DESC, id LIMIT 10']) AS q,
	form(q, 'SELECT id FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0]'' LIMIT 10') AS f;
SELECT f.index, f.agrees, f.as_much, q FROM unnest(ARRAY[
	'SELECT id FROM docs ORDER BY 1 - (embedding <-> ''[1,0,0,0,0,0,0,0]'') DESC, id LIMIT 10',
	'SELECT id FROM docs ORDER BY -vss_l2_distance(embedding, ''[1,0,0,0,0,0,0,0]'') DESC NULLS LAST, id LIMIT 10']) AS q,
	form(q, 'SELECT id FROM docs ORDER BY embedding <-> ''[1,0,0,0,0,0,0,0]'', id LIMIT 10') AS f;
SELECT f.index, f.agrees, f.as_much, q FROM unnest(ARRAY[
	'SELECT id FROM docs ORDER BY -(embedding <#> ''[1,0,0,0,0,0,0,0]'') DESC, id LIMIT 10',
	'SELECT id FROM docs ORDER BY (embedding <#> ''[1,0,0,0,0,0,0,0]'') * -1 DESC NULLS LAST, id LIMIT 10']) AS q,
	form(q, 'SELECT id FROM docs ORDER BY embedding <#> ''[1,0,0,0,0,0,0,0]'', id LIMIT 10') AS f;
-- to the end, every row once; with a query that has no direction, or that is NULL
SELECT agree(format('SELECT id, 1 - (embedding <=> %s) AS s FROM docs WHERE n < %s ORDER BY s DESC %s, id LIMIT 4000', q, n, nulls)) FROM unnest(ARRAY[
	'''[1,0,0,0,0,0,0,0]''', '''[0,0,0,0,0,0,0,0]''', 'NULL']) AS q, unnest(ARRAY['NULLS FIRST', 'NULLS LAST']) AS nulls, unnest(ARRAY[50, 1000]) AS n;
-- rows that are there twice, in the index and out of it
SET enable_sort = off;
SELECT count(*), count(DISTINCT id), min(r) FILTER (WHERE s IS NULL) AS first_null, min(r) FILTER (WHERE s = 'NaN') AS first_nan,
	min(r) FILTER (WHERE s < 'NaN') AS first_number
FROM (SELECT id, s, row_number() OVER () AS r FROM (SELECT id, 1 - (embedding <=> '[1,0,0,0,0,0,0,0]') AS s FROM docs ORDER BY s DESC LIMIT 4000) AS s) AS r;
RESET enable_sort;

-- conditions: the index is asked for the distances within what they say
SELECT f.index, f.agrees, f.as_much, q FROM unnest(ARRAY[
	'SELECT id FROM docs WHERE 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') > 0.75 ORDER BY id',
	'SELECT id FROM docs WHERE 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') >= 0.75 ORDER BY id',
	'SELECT id FROM docs WHERE 0.75 < 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') ORDER BY id',
	'SELECT id FROM docs WHERE (2 - (embedding <=> ''[1,0,0,0,0,0,0,0]'')) / 2 > 0.875 ORDER BY id',
	'SELECT id FROM docs WHERE (embedding <=> ''[1,0,0,0,0,0,0,0]'') * 100 < 25 ORDER BY id',
	'SELECT id FROM docs WHERE (embedding <=> ''[1,0,0,0,0,0,0,0]'') / -4 > -0.0625 ORDER BY id',
	'SELECT id FROM docs WHERE (embedding <=> ''[1,0,0,0,0,0,0,0]'')::real < 0.25 ORDER BY id',
	'SELECT id FROM docs WHERE (1 - (embedding <=> ''[1,0,0,0,0,0,0,0]''))::real > 0.75::real ORDER BY id',
	'SELECT id FROM docs WHERE 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') BETWEEN 0.75 AND 0.9 ORDER BY id',
	'SELECT id FROM docs WHERE embedding <=> ''[1,0,0,0,0,0,0,0]'' BETWEEN 0.1 AND 0.25 ORDER BY id',
	'SELECT id FROM docs WHERE vss_cosine_distance(''[1,0,0,0,0,0,0,0]'', embedding) <= 0.25 ORDER BY id',
	'SELECT *, 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') AS similarity FROM docs WHERE 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') > 0.75 ORDER BY similarity DESC, id LIMIT 10',
	'SELECT id FROM docs WHERE 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') > 0.75 AND n < 50 ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0]'', id LIMIT 10']) AS q,
	form(q, 'SELECT id FROM docs WHERE embedding <=> ''[1,0,0,0,0,0,0,0]'' < 0.25') AS f;
SELECT f.index, f.agrees, f.as_much, q FROM unnest(ARRAY[
	'SELECT id FROM docs WHERE -(embedding <#> ''[1,0,0,0,0,0,0,0]'') > 0.9 ORDER BY id',
	'SELECT id FROM docs WHERE (embedding <#> ''[1,0,0,0,0,0,0,0]'') * -1 >= 0.9 ORDER BY id']) AS q,
	form(q, 'SELECT id FROM docs WHERE embedding <#> ''[1,0,0,0,0,0,0,0]'' < -0.9') AS f;
-- the other side bounds nothing; nor does what is no number
SELECT knn_plan(q) IS NULL AS plain, agree(q), q FROM unnest(ARRAY[
	'SELECT id FROM docs WHERE 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') < 0.1 ORDER BY id',
	'SELECT id FROM docs WHERE embedding <=> ''[1,0,0,0,0,0,0,0]'' > 1.5 ORDER BY id',
	'SELECT id FROM docs WHERE 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') > n ORDER BY id',
	'SELECT id FROM docs WHERE (embedding <=> ''[1,0,0,0,0,0,0,0]'') = 0.5 ORDER BY id']) AS q;
SELECT knn_plan(format(q, v)) IS NOT NULL AS index, agree(format(q, v)), format(q, v) FROM unnest(ARRAY[
	'SELECT id FROM docs WHERE 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') > %L::float8 ORDER BY id',
	'SELECT id FROM docs WHERE 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') >= %L::float8 ORDER BY id',
	'SELECT id FROM docs WHERE (embedding <=> ''[1,0,0,0,0,0,0,0]'') + 1 <= %L::float8 ORDER BY id']) AS q,
	unnest(ARRAY['NaN', 'Infinity', '-Infinity', '1e308', '-1e308', NULL]) AS v;

-- bounds that are some row's very number, of every form: rounding loses no row
CREATE FUNCTION exact_bounds(form text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	bounds float8[];
	bound float8;
	f bigint;
	l bigint;
	wrong int := 0;
BEGIN
	EXECUTE 'SELECT array_agg((' || form || ')::float8) FROM local_docs WHERE id % 31 = 1 AND id <= 3000' INTO bounds;
	FOREACH bound IN ARRAY bounds LOOP
		EXECUTE 'SELECT count(*) FROM docs WHERE ' || form || ' >= $1' INTO f USING bound;
		EXECUTE 'SELECT count(*) FROM local_docs WHERE ' || form || ' >= $1' INTO l USING bound;
		wrong := wrong + (f <> l)::int;
		EXECUTE 'SELECT count(*) FROM docs WHERE ' || form || ' > $1' INTO f USING bound;
		EXECUTE 'SELECT count(*) FROM local_docs WHERE ' || form || ' > $1' INTO l USING bound;
		wrong := wrong + (f <> l)::int;
	END LOOP;
	RETURN format('%s of %s wrong', wrong, 2 * cardinality(bounds));
END $$;
SELECT exact_bounds(form), knn_plan('SELECT id FROM docs WHERE ' || form || ' > 0.5') IS NOT NULL AS index, form FROM unnest(ARRAY[
	'1 - (embedding <=> ''[1,2,3,4,5,6,7,8]'')',
	'(2 - (embedding <=> ''[1,2,3,4,5,6,7,8]'')) / 2',
	'(0.1 - (embedding <=> ''[1,2,3,4,5,6,7,8]'')) * 3.3',
	'(1e6 - (embedding <=> ''[1,2,3,4,5,6,7,8]''))',
	'(1 - (embedding <=> ''[1,2,3,4,5,6,7,8]''))::real',
	'-((embedding <=> ''[1,2,3,4,5,6,7,8]'')::real)',
	'10 - (embedding <-> ''[1,2,3,4,5,6,7,8]'')',
	'-(embedding <#> ''[1,2,3,4,5,6,7,8]'') / 7']) AS form;

-- parameters, of generic plans and of functions
PREPARE most_similar(vss_vector, float8, int) AS
	SELECT id, 1 - (embedding <=> $1) AS similarity FROM docs WHERE 1 - (embedding <=> $1) > $2 ORDER BY similarity DESC, id LIMIT $3;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE most_similar('[1,0,0,0,0,0,0,0]', 0.7, 5);
CREATE TABLE found AS EXECUTE most_similar('[1,0,0,0,0,0,0,0]', 0.7, 5);
SELECT agree('SELECT id, 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') FROM docs WHERE 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') > 0.7 ORDER BY 2 DESC, id LIMIT 5'),
	(SELECT count(*) FROM found JOIN local_docs USING (id) WHERE similarity IN (1 - (embedding <=> '[1,0,0,0,0,0,0,0]'), 'NaN')) AS found;
RESET plan_cache_mode;
CREATE FUNCTION match_documents(query_embedding vss_vector, match_threshold float, match_count int)
RETURNS TABLE (id bigint, similarity float) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY SELECT docs.id, 1 - (docs.embedding <=> query_embedding) AS similarity FROM docs
		WHERE 1 - (docs.embedding <=> query_embedding) > match_threshold
		ORDER BY (docs.embedding <=> query_embedding) ASC LIMIT match_count;
END $$;
CREATE FUNCTION match_documents_sql(query_embedding vss_vector, match_threshold float, match_count int)
RETURNS TABLE (id bigint, similarity float) LANGUAGE sql STABLE AS $$
	SELECT docs.id, 1 - (docs.embedding <=> query_embedding) AS similarity FROM docs
	WHERE 1 - (docs.embedding <=> query_embedding) > match_threshold
	ORDER BY similarity DESC LIMIT least(match_count, 200);
$$;
SELECT * FROM match_documents_sql('[1,0,0,0,0,0,0,0]', 0.7, 0);
SELECT knn_plan('SELECT * FROM match_documents_sql(''[1,0,0,0,0,0,0,0]'', 0.7, 5)')->>'Index' AS index;
SELECT count(*), bool_and(similarity = 1 - (embedding <=> '[1,0,0,0,0,0,0,0]')) AS right, count(*) FILTER (WHERE similarity = 'NaN') AS nan
FROM match_documents('[1,0,0,0,0,0,0,0]', 0.7, 20) JOIN local_docs USING (id);
SELECT count(*), bool_and(similarity <> similarity OR similarity = 1 - (embedding <=> '[1,0,0,0,0,0,0,0]')) AS right, count(*) FILTER (WHERE similarity = 'NaN') AS nan
FROM match_documents_sql('[1,0,0,0,0,0,0,0]', 0.7, 20) JOIN local_docs USING (id);

-- two copies of one subquery are one value; not so where each may be another
SELECT knn_plan(q)->>'SQLite SQL' LIKE '%k.distance <= ?6%' AS bounded, agree(q), q FROM unnest(ARRAY[
	'SELECT id FROM docs WHERE embedding <=> (SELECT embedding FROM local_docs WHERE id = 7) < 0.3 ORDER BY embedding <=> (SELECT embedding FROM local_docs WHERE id = 7), id LIMIT 5',
	'SELECT id FROM docs WHERE embedding <=> (SELECT embedding FROM local_docs WHERE id = 8) < 0.3 ORDER BY embedding <=> (SELECT embedding FROM local_docs WHERE id = 7), id LIMIT 5']) AS q;
SELECT knn_plan(q)->>'SQLite SQL' LIKE '%k.distance <= ?6%' AS bounded, q FROM unnest(ARRAY[
	'SELECT id FROM docs WHERE embedding <=> (SELECT embedding FROM local_docs LIMIT 1) < 0.3 ORDER BY embedding <=> (SELECT embedding FROM local_docs LIMIT 1) LIMIT 5',
	'SELECT id FROM docs WHERE embedding <=> (SELECT embedding FROM local_docs WHERE id = 1 + (random() * 9)::int) < 0.3 ORDER BY embedding <=> (SELECT embedding FROM local_docs WHERE id = 1 + (random() * 9)::int) LIMIT 5']) AS q;

-- numbers by a window in the order of distance, where the query has no other order
SELECT f.index, f.agrees, q FROM unnest(ARRAY[
	'SELECT id, rank() OVER (ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0]'') FROM docs LIMIT 10',
	'SELECT id, row_number() OVER (ORDER BY 1 - (embedding <=> ''[1,0,0,0,0,0,0,0]'') DESC NULLS LAST, id) AS r FROM docs LIMIT 10',
	'SELECT id, dense_rank() OVER (ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0]'') AS r FROM docs ORDER BY embedding <=> ''[1,0,0,0,0,0,0,0]'' LIMIT 10']) AS q,
	form(q) AS f;

-- ordered by such a number, as one half of a hybrid search is: the scan ends with the last row wanted
SELECT f.index, f.agrees, f.as_much, q FROM unnest(ARRAY[
	'SELECT id, row_number() OVER (ORDER BY embedding <-> ''[1,0,0,0,0,0,0,0]'') AS r FROM docs ORDER BY r LIMIT 10',
	'SELECT id, rank() OVER (ORDER BY embedding <-> ''[1,0,0,0,0,0,0,0]'') AS r FROM docs WHERE n <> 3 ORDER BY r LIMIT least(30, 5) * 2',
	'SELECT id, row_number() OVER (ORDER BY -(embedding <-> ''[1,0,0,0,0,0,0,0]'') DESC NULLS LAST) AS r FROM docs ORDER BY 2 LIMIT 10']) AS q,
	form(q, 'SELECT id FROM docs ORDER BY embedding <-> ''[1,0,0,0,0,0,0,0]'' LIMIT 10') AS f;
CREATE FUNCTION semantic(q vss_vector, match_count int) RETURNS TABLE (id bigint, rank_ix bigint) LANGUAGE sql STABLE AS $$
	SELECT docs.id, row_number() OVER (ORDER BY docs.embedding <-> q) AS rank_ix FROM docs ORDER BY rank_ix LIMIT least(match_count, 30) * 2;
$$;
SELECT n, count(*), max(rank_ix) FROM unnest(ARRAY[0, 1, 7, NULL]) AS n, semantic('[1,0,0,0,0,0,0,0]', n) GROUP BY n ORDER BY n;
-- what needs the rows after them
SELECT knn_plan(q) IS NULL AS plain, agree(q), q FROM unnest(ARRAY[
	'SELECT id, row_number() OVER (ORDER BY embedding <-> ''[1,0,0,0,0,0,0,0]'', id) AS r FROM docs ORDER BY r DESC LIMIT 10',
	'SELECT id, n, row_number() OVER (PARTITION BY n ORDER BY embedding <-> ''[1,0,0,0,0,0,0,0]'', id) AS r FROM docs ORDER BY r, n LIMIT 10',
	'SELECT id, row_number() OVER (ORDER BY embedding <-> ''[1,0,0,0,0,0,0,0]'') AS r FROM docs WHERE id::text LIKE ''%7'' || n::text::varchar(9) || ''%'' AND random() < 2 ORDER BY r LIMIT 3',
	'SELECT id, row_number() OVER (ORDER BY embedding <-> ''[1,0,0,0,0,0,0,0]'') AS r FROM docs ORDER BY r LIMIT 3 OFFSET 2']) AS q;

DROP FUNCTION semantic, match_documents, match_documents_sql, exact_bounds, form, agree, knn_plan, knn_node;
DROP TABLE local_docs, found;
DROP SERVER forms CASCADE;
