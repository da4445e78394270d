-- content=: what is refused, what is indexed, what the triggers see.
.load ./hnsw
.nullvalue NULL
CREATE TABLE documents(id INTEGER PRIMARY KEY, email TEXT UNIQUE, embedding TEXT, other TEXT);
CREATE VIEW seen AS SELECT * FROM documents;
CREATE TABLE keyless(embedding TEXT);
CREATE TABLE textual(id TEXT PRIMARY KEY, embedding TEXT);
CREATE TABLE descending(id INTEGER PRIMARY KEY DESC, embedding TEXT);
CREATE TABLE rowless(id INTEGER PRIMARY KEY, embedding TEXT) WITHOUT ROWID;
CREATE TABLE expressed(id INTEGER PRIMARY KEY, embedding TEXT, name TEXT);
CREATE UNIQUE INDEX lower_name ON expressed(lower(name));
CREATE VIRTUAL TABLE words USING fts5(embedding);
-- refused, with the reason
CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = nothing, content_vector = embedding);
CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = seen, content_vector = embedding);
CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = rowless, content_vector = id);
CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = words, content_vector = embedding);
CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = words_content, content_vector = c0);
CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = documents, content_vector = nothing);
CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = documents, content_vector = id);
CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = documents, content_rowid = email, content_vector = embedding);
CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = documents, content_rowid = nothing, content_vector = embedding);
-- existing rows must be sound; nothing is left of a CREATE that failed
INSERT INTO documents VALUES (1, 'a', '[1,1]', ''), (2, 'b', NULL, ''), (5, 'c', '[1,2,3]', ''), (6, 'd', 'bad', '');
CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = documents, content_vector = embedding);
UPDATE documents SET embedding = '[2,2]' WHERE id = 5;
CREATE VIRTUAL TABLE x USING hnsw(dim = 2, content = documents, content_vector = embedding);
DELETE FROM documents WHERE id = 6;
SELECT name FROM sqlite_schema WHERE name LIKE 'x%' OR name LIKE '%content_a_';
CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2, content = Documents, content_rowid = ID, content_vector = Embedding);
SELECT rowid, distance FROM vss_knn('[1,1]', 5);
SELECT count(*) FROM vss_changes;
-- all kinds of statements; what is no vector is not tested by the triggers, and is in no answer
INSERT INTO documents VALUES (10, 'e', '[3,3]', ''), (11, 'f', vector('[4,4]'), '');
INSERT INTO documents VALUES (12, 'g', 'bad', '');
INSERT OR IGNORE INTO documents VALUES (12, 'g', '[1,2,3]', '');
INSERT OR IGNORE INTO documents VALUES (12, 'e', '[9,9]', ''), (13, 'h', '[5,5]', '');
DELETE FROM documents WHERE id = 12;
INSERT OR REPLACE INTO documents VALUES (14, 'f', '[6,6]', ''), (10, 'i', '[7,7]', '');
SELECT group_concat(rowid || '@' || round(distance, 2), ' ') FROM vss_knn('[0,0]', 20);
UPDATE documents SET id = 100 WHERE id = 1;
UPDATE documents SET rowid = 101 WHERE id = 5;
UPDATE OR REPLACE documents SET email = 'i' WHERE id = 14;
UPDATE documents SET embedding = NULL WHERE id = 13;
INSERT INTO documents VALUES (15, 'i', '[8,8]', '') ON CONFLICT(email) DO UPDATE SET embedding = excluded.embedding;
SELECT group_concat(rowid || '@' || round(distance, 2), ' ') FROM vss_knn('[0,0]', 20);
-- what does not concern the index costs it nothing
SELECT count(*) FROM vss_changes;
UPDATE documents SET other = 'changed';
UPDATE documents SET embedding = embedding, email = email;
SELECT count(*) FROM vss_changes;
DELETE FROM documents WHERE id > 50;
SELECT hnsw_save(), hnsw_check();
-- the index cannot be written past its table
INSERT INTO vss(rowid, embedding) VALUES (500, '[1,1]');
DELETE FROM vss WHERE rowid = 14;
UPDATE vss SET embedding = '[1,1]' WHERE rowid = 14;
SELECT rowid, embedding FROM vss;
-- DROP takes the triggers along
DROP TABLE vss;
SELECT count(*) FROM sqlite_schema WHERE type = 'trigger';
INSERT INTO documents VALUES (999, 'z', 'anything', '');
-- tables without an integer key: their rowid
CREATE VIRTUAL TABLE k USING hnsw(dim = 2, metric = l2, content = keyless, content_vector = embedding);
CREATE VIRTUAL TABLE t USING hnsw(dim = 2, metric = l2, content = textual, content_rowid = id, content_vector = embedding);
CREATE VIRTUAL TABLE e USING hnsw(dim = 2, metric = l2, content = expressed, content_vector = embedding);
INSERT INTO keyless VALUES ('[1,1]'), ('[2,2]');
INSERT INTO textual VALUES ('a', '[1,1]'), ('b', '[2,2]');
INSERT INTO expressed VALUES (1, '[1,1]', 'A'), (2, '[2,2]', 'B');
INSERT OR REPLACE INTO textual VALUES ('a', '[3,3]');
INSERT OR REPLACE INTO expressed VALUES (3, '[3,3]', 'a');
SELECT 'keyless', rowid FROM k('[0,0]');
SELECT 'textual', d.id, x.distance < 4 FROM t('[0,0]') x JOIN textual d ON d.rowid = x.rowid;
SELECT 'expressed', rowid FROM e('[0,0]');
SELECT hnsw_save('k'), hnsw_save('t'), hnsw_save('e'), hnsw_check('k'), hnsw_check('t'), hnsw_check('e');
DROP TABLE k;
DROP TABLE t;
DROP TABLE e;
SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' OR name GLOB '[kte]_*';
-- a generated column, unique by another
CREATE TABLE g(id INTEGER PRIMARY KEY, raw TEXT, name TEXT,
  v BLOB GENERATED ALWAYS AS (vector(raw)) VIRTUAL, folded TEXT GENERATED ALWAYS AS (lower(name)) STORED UNIQUE);
CREATE VIRTUAL TABLE gx USING hnsw(dim = 2, metric = l2, content = g, content_vector = v);
INSERT INTO g(raw, name) VALUES ('[1,1]', 'One'), ('[2,2]', 'Two');
INSERT OR REPLACE INTO g(raw, name) VALUES ('[3,3]', 'ONE');
UPDATE g SET raw = '[9,9]' WHERE name = 'Two';
SELECT rowid, round(distance, 2) FROM gx('[0,0]');
SELECT hnsw_save('gx'), hnsw_check('gx');
