-- vss_hybrid: nearest vectors and best texts as one list; hnsw_module_of.
.load ./hnsw
.nullvalue NULL
SELECT hnsw_module_of('CREATE VIRTUAL TABLE t USING fts5(a)'), hnsw_module_of('create virtual table "using" /* using x */ using "FTS4" (a)'),
	hnsw_module_of('CREATE TABLE t(a)'), hnsw_module_of(NULL), hnsw_module_of('CREATE VIRTUAL TABLE t USING');
SELECT hnsw_module_of('CREATE VIRTUAL TABLE t USING fts5(a, b UNINDEXED, content=''it''''s'', content_rowid = "id", tokenize = ''porter, x'')', v)
	FROM (SELECT 'content' AS v UNION ALL VALUES ('CONTENT_ROWID'), ('tokenize'), ('a'), ('prefix'), (NULL));
SELECT hnsw_module_of('CREATE VIRTUAL TABLE t USING fts5(a, prefix = 2 3 -- content=x
	, content = [my docs], f(content=no) )', v) FROM (SELECT 'content' AS v UNION ALL VALUES ('prefix'));

CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT, embedding BLOB);
CREATE VIRTUAL TABLE words USING fts5(content, content=documents, content_rowid=id);
CREATE TRIGGER documents_words AFTER INSERT ON documents BEGIN INSERT INTO words(rowid, content) VALUES (NEW.id, NEW.content); END;
SELECT * FROM vss_hybrid('documents', '[1,0]', 'pear');
CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2, content = documents, content_vector = embedding);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO documents SELECT i, CASE WHEN i % 10 = 0 THEN 'pear ' ELSE '' END || CASE WHEN i % 7 = 0 THEN 'lemon lemon ' ELSE 'plum ' END || 'fruit number ' || i,
	vector('[' || i || ',' || (i % 5) || ']') FROM n;
SELECT hnsw_save('vss');

-- both sides count; a row of one side alone has the other's column NULL
SELECT rowid, round(score, 6), round(distance, 4), rank IS NOT NULL FROM vss_hybrid('documents', '[71,1]', 'pear', 5);
-- the same by hand
WITH near AS (SELECT rowid AS id, row_number() OVER (ORDER BY distance, rowid) AS place FROM vss('[71,1]', 50)),
	alike AS (SELECT rowid AS id, row_number() OVER (ORDER BY rank, rowid) AS place FROM words WHERE words MATCH 'pear' ORDER BY rank LIMIT 50)
SELECT id, round(ifnull(1.0 / (60 + near.place), 0) + ifnull(1.0 / (60 + alike.place), 0), 6) AS score
FROM (SELECT id FROM near UNION SELECT id FROM alike) LEFT JOIN near USING (id) LEFT JOIN alike USING (id) ORDER BY score DESC, id LIMIT 5;
-- joined with the table, by names of columns, in order without a sort
EXPLAIN QUERY PLAN SELECT d.id FROM vss_hybrid('documents', '[71,1]', 'lemon', 3) AS h JOIN documents AS d ON d.id = h.rowid ORDER BY h.score DESC;
SELECT d.id, d.content FROM vss_hybrid('documents', '[71,1]', 'lemon', 3) AS h JOIN documents AS d ON d.id = h.rowid ORDER BY h.score DESC;
-- weights: one side alone; rrf_k; candidates
SELECT group_concat(rowid) FROM vss_hybrid('vss', '[71,1]', 'pear', 4, 60, 1, 0);
SELECT group_concat(rowid) FROM (SELECT rowid FROM vss('[71,1]', 4));
SELECT group_concat(rowid) = (SELECT group_concat(rowid) FROM (SELECT rowid FROM words WHERE words MATCH 'pear' ORDER BY rank, rowid LIMIT 4)) FROM vss_hybrid('vss', '[71,1]', 'pear', 4, 60, 0, 1);
SELECT rowid, score FROM vss_hybrid('vss', '[71,1]', 'pear', 1, 0, 1, 0);
SELECT count(*) FROM vss_hybrid('vss', '[71,1]', 'pear', 100, 60, 1, 1, 100);
SELECT count(*), count(distance), count(rank) FROM vss_hybrid('vss', '[71,1]', 'pear', 40, NULL, NULL, NULL, 20);
-- the default of k; a side that is not asked
SELECT count(*) FROM vss_hybrid('vss', '[71,1]', 'pear');
SELECT count(*), count(rank) FROM vss_hybrid('vss', '[71,1]', NULL, 3);
SELECT count(*), count(distance) FROM vss_hybrid('vss', NULL, 'lemon', 3);
SELECT count(*) FROM vss_hybrid(NULL, NULL, NULL);
-- for each row of another table
CREATE TABLE questions(id INTEGER PRIMARY KEY, vec TEXT, text TEXT);
INSERT INTO questions VALUES (1, '[70,0]', 'pear'), (2, '[7,2]', 'lemon'), (3, '[5,5]', NULL);
SELECT q.id, (SELECT group_concat(rowid) FROM vss_hybrid('documents', q.vec, q.text, 3)) FROM questions AS q;
SELECT q.id, h.rowid FROM questions AS q JOIN vss_hybrid('documents', q.vec, q.text, 1) AS h;
-- changes that no graph has yet, in their transaction
BEGIN;
INSERT INTO documents VALUES (1000, 'pear pear', vector('[71,1]'));
SELECT rowid FROM vss_hybrid('documents', '[71,1]', 'pear', 1);
ROLLBACK;

-- a search that waits for the next one notices what a name means now
SELECT rowid FROM vss_hybrid('documents', '[71,1]', 'lemon', 1);
ALTER TABLE vss RENAME TO vss_2;
SELECT rowid FROM vss_hybrid('documents', '[71,1]', 'lemon', 1);
SELECT rowid FROM vss_hybrid('vss', '[71,1]', 'lemon', 1);
ALTER TABLE vss_2 RENAME TO vss;
SELECT rowid FROM vss_hybrid('vss', '[71,1]', 'lemon', 1);
SELECT (SELECT group_concat(rowid) FROM vss_hybrid('documents', q.vec, q.text, 2)), (SELECT group_concat(rowid) FROM vss_hybrid('vss', q.vec, q.text, 2)) FROM questions AS q;
SELECT a.rowid, b.rowid FROM vss_hybrid('vss', '[71,1]', 'lemon', 2) AS a, vss_hybrid('vss', '[71,1]', 'lemon', 2) AS b;

-- what is wrong
SELECT * FROM vss_hybrid('nothing', '[1,2]', 'pear');
SELECT * FROM vss_hybrid('documents', '[1,2,3]', 'pear');
SELECT * FROM vss_hybrid('documents', '[1,2]', 'pear AND');
SELECT * FROM vss_hybrid('documents', '[1,2]', 'pear', 0);
SELECT * FROM vss_hybrid('documents', '[1,2]', 'pear', 'x');
SELECT * FROM vss_hybrid('documents', '[1,2]', 'pear', 3, -1);
SELECT * FROM vss_hybrid('documents', '[1,2]', 'pear', 3, 60, 'much');
SELECT * FROM vss_hybrid('documents', '[1,2]', 'pear', 3, 60, 1, 1, 0);
SELECT * FROM vss_hybrid('documents', '[1,2]', 'pear', 3, 60, 1, 1, 10, 'documents');
CREATE VIRTUAL TABLE other USING hnsw(dim = 2, content = documents, content_vector = embedding);
SELECT * FROM vss_hybrid('documents', '[1,2]', 'pear');
SELECT count(*) FROM vss_hybrid('other', '[1,2]', 'pear');
DROP TABLE other;
CREATE VIRTUAL TABLE words_2 USING fts5(content, content='documents', content_rowid='id');
SELECT * FROM vss_hybrid('documents', '[1,2]', 'pear');
SELECT count(*) FROM vss_hybrid('documents', '[1,2]', 'pear', 3, 60, 1, 1, 10, 'words');
DROP TABLE words_2;
DROP TABLE words;
CREATE VIRTUAL TABLE words USING fts4(content="documents", content);
SELECT * FROM vss_hybrid('documents', '[1,2]', 'pear');
CREATE TABLE keyed(key TEXT PRIMARY KEY, embedding BLOB) WITHOUT ROWID;
CREATE VIRTUAL TABLE keyed_vss USING hnsw(dim = 2, content = keyed, content_vector = embedding);
SELECT * FROM vss_hybrid('keyed', '[1,2]', 'pear');
