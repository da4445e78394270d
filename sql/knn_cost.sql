-- Without ANALYZE in either database: whether a join with LIMIT is answered
-- nearest first, or joined whole and sorted, is a matter of what it costs to read
-- whole tables.  PostgreSQL knows nothing of how long the rows are in the file.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/knn_cost.db*
\! sqlite3 /tmp/vss_fdw_regress/knn_cost.db "CREATE TABLE wide(id INTEGER PRIMARY KEY, author INT, title TEXT, body TEXT, embedding TEXT); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 5000) INSERT INTO wide SELECT i, i % 500 + 1, 't' || i, hex(zeroblob(1000)), '[' || (i % 71) || ',' || (i % 73) || ',' || (i % 79) || ',1]' FROM c; CREATE TABLE narrow(id INTEGER PRIMARY KEY, author INT, title TEXT, embedding TEXT); INSERT INTO narrow SELECT id, author, title, embedding FROM wide; CREATE TABLE authors(id INTEGER PRIMARY KEY, country TEXT); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 500) INSERT INTO authors SELECT i, 'c' || (i % 5) FROM c"
\! chmod 666 /tmp/vss_fdw_regress/knn_cost.db
CREATE SERVER knn_cost FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/knn_cost.db');
SELECT vss_exec('knn_cost', 'CREATE VIRTUAL TABLE wide_index USING hnsw(dim=4, metric=l2, content=wide, content_rowid=id, content_vector=embedding)') IS NOT NULL AS made;
SELECT vss_exec('knn_cost', 'CREATE VIRTUAL TABLE narrow_index USING hnsw(dim=4, metric=l2, content=narrow, content_rowid=id, content_vector=embedding)') IS NOT NULL AS made;
IMPORT FOREIGN SCHEMA main FROM SERVER knn_cost INTO public;

CREATE FUNCTION plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	result text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		result := concat_ws(', ', result, substring(line FROM '(?:^|-> +)(Sort|Nested Loop|Hash Join|Merge Join)'), substring(line FROM '(?:Index|Relations): .*'));
	END LOOP;
	RETURN ltrim(result, ', ');
END $$;
-- wide rows: nearest first, and the other table looked up or kept in memory
SELECT query, plan_of(query) FROM unnest(ARRAY[
	'SELECT d.id FROM wide d JOIN authors a ON a.id = d.author ORDER BY d.embedding <-> ''[1,2,3,4]'' LIMIT 5',
	'SELECT d.id FROM wide d JOIN authors a ON a.id = d.author WHERE a.country = ''c3'' ORDER BY d.embedding <-> ''[1,2,3,4]'' LIMIT 5',
	'SELECT d.id FROM wide d JOIN authors a ON a.id = d.author WHERE d.title LIKE ''t1%'' ORDER BY d.embedding <-> ''[1,2,3,4]'' LIMIT 5']) AS query;
-- narrow ones: a whole pass costs less than to look through what a condition probably leaves
SELECT query, plan_of(query) FROM unnest(ARRAY[
	'SELECT d.id FROM narrow d JOIN authors a ON a.id = d.author ORDER BY d.embedding <-> ''[1,2,3,4]'' LIMIT 5',
	'SELECT d.id FROM narrow d JOIN authors a ON a.id = d.author WHERE a.country = ''c3'' ORDER BY d.embedding <-> ''[1,2,3,4]'' LIMIT 5']) AS query;
-- what is not sorted by distance still goes down whole
SELECT plan_of('SELECT d.id, a.country FROM wide d JOIN authors a ON a.id = d.author WHERE a.country = ''c3''');
-- the same rows, whatever the plan
SELECT count(*) FROM (SELECT d.id FROM wide d JOIN authors a ON a.id = d.author WHERE a.country = 'c3' ORDER BY d.embedding <-> '[1,2,3,4]' LIMIT 5) AS x;

DROP SERVER knn_cost CASCADE;
DROP FUNCTION plan_of;
