-- Foreign tables over a query of SQLite's, and vss_query.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/query*
\! sqlite3 /tmp/vss_fdw_regress/query.db "CREATE TABLE doc(id INTEGER PRIMARY KEY, title TEXT COLLATE NOCASE, n INTEGER, price REAL, made DATETIME, tags TEXT); INSERT INTO doc VALUES (1, 'Pear', 3, 1.5, '2024-02-29 12:00:00', '[\"a\",\"b\"]'), (2, 'lemon', 5, 2, '2024-03-01 00:00:00', '[\"b\"]'), (3, NULL, NULL, NULL, NULL, '[]'); CREATE VIRTUAL TABLE words USING fts5(body); INSERT INTO words VALUES ('the quick fox'), ('the slow dog'); CREATE TABLE q_counts(id INTEGER PRIMARY KEY, tag TEXT); INSERT INTO q_counts VALUES (77, 'wrong')"
\! chmod 666 /tmp/vss_fdw_regress/query.db
CREATE SERVER query FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/query.db');

-- what SQLite can do and a foreign table cannot: table-valued functions, full text, recursion
CREATE FOREIGN TABLE q_counts(tag text, documents bigint, least numeric) SERVER query OPTIONS (query 'SELECT j.value AS tag, count(*) AS documents, min(price) AS least FROM doc, json_each(doc.tags) AS j GROUP BY j.value ORDER BY 1; ');
SELECT * FROM q_counts ORDER BY tag;
SELECT tag FROM q_counts WHERE documents > 1 AND tag = 'b';
EXPLAIN (COSTS OFF) SELECT tag FROM q_counts WHERE documents > 1;
SELECT d.tag, o.v FROM q_counts d JOIN (VALUES ('a', 1), ('c', 2)) AS o(tag, v) USING (tag);
SELECT sum(documents), max(tag) FROM q_counts;
CREATE FOREIGN TABLE q_words(body text, mark text) SERVER query OPTIONS (query 'SELECT body, highlight(words, 0, ''<'', ''>'') AS mark FROM words WHERE words MATCH ''quick'' -- a comment');
SELECT * FROM q_words;
CREATE FOREIGN TABLE q_doc(id bigint, title text, n bigint, made timestamp) SERVER query OPTIONS (query 'SELECT id, title, n, made FROM doc');
SELECT id FROM q_doc WHERE title = 'pear' OR made > '2024-02-29 13:00:00' ORDER BY id;
SELECT title, count(*) FROM q_doc GROUP BY title ORDER BY title COLLATE "C";
SELECT a.id, b.id FROM q_doc a JOIN q_doc b ON a.n < b.n;
ANALYZE q_doc;
SELECT reltuples FROM pg_class WHERE relname = 'q_doc';
-- a value that does not fit; there is a table of the foreign table's name, of which no rowid is told
CREATE FOREIGN TABLE q_bad(tag bigint) SERVER query OPTIONS (query 'SELECT tag FROM q_counts');
SELECT * FROM q_bad;
-- read only, and no table
INSERT INTO q_doc(id) VALUES (9);
UPDATE q_doc SET n = 1;
DELETE FROM q_doc;
TRUNCATE q_doc;
SELECT vss_create_index('q_doc', 'title');
-- what is no query
CREATE FOREIGN TABLE q_none(a text) SERVER query OPTIONS (query 'SELECT 1', "table" 'doc');
CREATE FOREIGN TABLE q_none(a text) SERVER query OPTIONS (query 'DELETE FROM doc');
SELECT * FROM q_none;
ALTER FOREIGN TABLE q_none OPTIONS (SET query 'SELECT 1 AS a; SELECT 2 AS a');
SELECT * FROM q_none;
ALTER FOREIGN TABLE q_none OPTIONS (SET query 'SELECT 1 AS a) UNION SELECT (2');
SELECT * FROM q_none;
ALTER FOREIGN TABLE q_none OPTIONS (SET query 'SELECT 1 AS a /*');
SELECT * FROM q_none;
ALTER FOREIGN TABLE q_none OPTIONS (SET query 'SELECT ?1 AS a');
SELECT * FROM q_none;
ALTER FOREIGN TABLE q_none OPTIONS (SET query 'SELECT 1 AS b');
SELECT * FROM q_none;

-- vss_query
SELECT * FROM vss_query('query', 'SELECT id, title, made, x''00ff'' FROM doc ORDER BY id') AS t(id int, title text, made timestamptz, bytes bytea);
SELECT * FROM vss_query('query', 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n;') AS t(i numeric);
SELECT count(*) FROM vss_query('query', 'SELECT * FROM pragma_table_info(''doc'')') AS t(cid int, name text, type text, nn int, dflt text, pk int);
SELECT * FROM vss_query('query', 'SELECT 1, 2') AS t(a int);
SELECT * FROM vss_query('query', 'SELECT ''word''') AS t(a int);
SELECT * FROM vss_query('query', 'INSERT INTO doc(id) VALUES (9) RETURNING id') AS t(id int);
SELECT * FROM vss_query('query', 'SELECT 1; DROP TABLE doc') AS t(id int);
SELECT * FROM vss_query('query', 'PRAGMA user_version = 5') AS t(id int);
SELECT * FROM vss_query('query', 'PRAGMA user_version') AS t(id int);
SELECT * FROM vss_query('query', 'BEGIN') AS t(id int);
SELECT * FROM vss_query('query', 'ATTACH ''/tmp/x.db'' AS x') AS t(id int);
SELECT * FROM vss_query('query', 'EXPLAIN SELECT 1') AS t(id int);
SELECT * FROM vss_query('query', '-- nothing') AS t(id int);
SELECT * FROM vss_query('query', 'SELECT hnsw_save()') AS t(id int);
SELECT * FROM vss_query('query', 'SELECT readfile(''/etc/passwd'')') AS t(x bytea);
SELECT * FROM vss_query('query', 'SELECT missing FROM doc') AS t(x text);
SELECT vss_exec('query', 'UPDATE doc SET n = 6 WHERE id = 2');
BEGIN;
SELECT vss_exec('query', 'DELETE FROM doc WHERE id = 2');
SELECT * FROM vss_query('query', 'SELECT count(*) FROM doc') AS t(n int);
ROLLBACK;
SELECT * FROM vss_query('query', 'SELECT count(*), max(n) FROM doc') AS t(n int, m int);
-- who may
CREATE ROLE query_user;
SET ROLE query_user;
SELECT * FROM vss_query('query', 'SELECT 1') AS t(a int);
RESET ROLE;
GRANT EXECUTE ON FUNCTION vss_query(text, text) TO query_user;
SET ROLE query_user;
SELECT * FROM vss_query('query', 'SELECT 1') AS t(a int);
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER query TO query_user;
SET ROLE query_user;
SELECT * FROM vss_query('query', 'SELECT 1') AS t(a int);
RESET ROLE;
SET client_min_messages = error;
DROP SERVER query CASCADE;
DROP OWNED BY query_user;
DROP ROLE query_user;
