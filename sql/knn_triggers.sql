-- An index kept by hand-written triggers: rows that it has never heard of are
-- given all the same, after those it knows; distances are those of the rows.
\set VERBOSITY terse
SET client_min_messages = error;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/knn_triggers.db*
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/knn_triggers.db "CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT NOT NULL, embedding TEXT); INSERT INTO documents VALUES (1, 'older than the triggers', '[0,1]'), (2, 'older', '[1,0.1]'); CREATE VIRTUAL TABLE vss USING hnsw(dim=2); CREATE TRIGGER docs_ai AFTER INSERT ON documents BEGIN SELECT hnsw_add(NEW.id, NEW.embedding); END; CREATE TRIGGER docs_ad AFTER DELETE ON documents BEGIN SELECT hnsw_del(OLD.id); END; WITH RECURSIVE c(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM c WHERE i < 500) INSERT INTO documents SELECT i, 'c' || i, json_array(cos(i / 100.0), sin(i / 100.0)) FROM c; INSERT INTO documents VALUES (501, 'zero', '[0,0]'); UPDATE documents SET embedding = '[-1,0]' WHERE id = 3; UPDATE documents SET embedding = NULL WHERE id = 4; DELETE FROM documents WHERE id = 5; SELECT hnsw_save()"
\! chmod 666 /tmp/vss_fdw_regress/knn_triggers.db*
CREATE SERVER knn_triggers FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/knn_triggers.db');
IMPORT FOREIGN SCHEMA main LIMIT TO (documents) FROM SERVER knn_triggers INTO public;
CREATE TABLE local_documents AS SELECT * FROM documents;
SET enable_sort = off;

EXPLAIN (VERBOSE, COSTS OFF) SELECT id, embedding <=> '[1,0]' AS d FROM documents ORDER BY embedding <=> '[1,0]' LIMIT 3;
-- read to the end: every row once, each with its own distance
SELECT count(*), count(DISTINCT f.id), bool_and(f.d IS NOT DISTINCT FROM (l.embedding <=> '[1,0]')) AS right_distances
FROM (SELECT id, embedding <=> '[1,0]' AS d FROM documents ORDER BY embedding <=> '[1,0]' LIMIT 1000) AS f
JOIN local_documents AS l USING (id);
SELECT count(*) FROM local_documents;
-- the same under a condition, and rows that only the tail has
SELECT count(*), count(DISTINCT id) FROM
	(SELECT id FROM documents WHERE content <> 'c7' ORDER BY embedding <=> '[1,0]' LIMIT 1000) AS s;
SELECT id, round((embedding <=> '[1,0]')::numeric, 3) AS d FROM documents WHERE content LIKE '%o%' ORDER BY embedding <=> '[1,0]' LIMIT 5;
SELECT id FROM documents WHERE id IN (1, 2, 4, 501) ORDER BY embedding <=> '[1,0]' LIMIT 5;
-- a range is measured in the rows, not in the index
SELECT count(*) = (SELECT count(*) FROM local_documents WHERE embedding <=> '[1,0]' < 0.1) AS same
FROM documents WHERE embedding <=> '[1,0]' < 0.1;

-- the predicate asks the index as it is
SELECT count(*), count(embedding) FROM documents WHERE vss_knn(embedding, '[1,0.03]', 3);
SELECT id, round((embedding <=> '[1,0.04]')::numeric, 3) AS d FROM documents WHERE vss_knn(embedding, '[1,0.04]', 3)
	ORDER BY embedding <=> '[1,0.04]';

DROP SERVER knn_triggers CASCADE;
DROP TABLE local_documents;
