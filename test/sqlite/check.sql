-- hnsw_check, hnsw_info, hnsw_rebuild, hnsw_indexes.
.load ./hnsw
.nullvalue NULL
CREATE TABLE documents(id INTEGER PRIMARY KEY, embedding TEXT);
CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2, content = documents, content_vector = embedding);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO documents SELECT i, printf('[%d,%d]', i, i * i % 17) FROM n;
SELECT hnsw_check();
SELECT hnsw_save(), hnsw_check('main.vss');
SELECT hnsw_check('nothing');
SELECT hnsw_check(), hnsw_save() FROM (SELECT 1 LIMIT 0);
-- the table changed behind the triggers' back
.dbconfig enable_trigger off
DELETE FROM documents WHERE id = 7;
INSERT INTO documents VALUES (1000, '[5,5]'), (1001, NULL), (1002, '[6,6]');
UPDATE documents SET embedding = '[0,0]' WHERE id = 8;
UPDATE documents SET embedding = NULL WHERE id = 9;
SELECT hnsw_check();
SELECT hnsw_rebuild(), hnsw_check();
-- a row that the journal lost
.dbconfig enable_trigger on
INSERT INTO documents VALUES (2000, '[1,1]'), (2001, '[1,2]');
SELECT hnsw_check();
UPDATE vss_changes SET key = 1999 WHERE key = 2000;
SELECT hnsw_check();
SELECT hnsw_rebuild(), hnsw_check();
-- triggers that are gone: searches are exact, and a merge makes them anew
DROP TRIGGER vss_changes_ad;
DELETE FROM documents WHERE id = 2001;
SELECT rowid FROM vss('[1,2]', 1);
SELECT hnsw_check();
SELECT hnsw_save(), hnsw_check();
-- more findings than anyone reads
.dbconfig enable_trigger off
DELETE FROM documents WHERE id < 250;
SELECT length(hnsw_check()) - length(replace(hnsw_check(), char(10), '')), substr(hnsw_check(), -24);
SELECT hnsw_rebuild(), hnsw_check();
.dbconfig enable_trigger on
DROP TABLE vss;

-- an index fed by triggers typed by hand
CREATE VIRTUAL TABLE hand USING hnsw(dim = 2);
.headers on
SELECT * FROM hnsw_indexes;
CREATE TRIGGER t_ai AFTER INSERT ON documents BEGIN SELECT hnsw_add(NEW.id, NEW.embedding); END;
SELECT content, content_rowid, content_vector, declared, missing_sql FROM hnsw_indexes;
CREATE TRIGGER t_ad BEFORE DELETE ON documents BEGIN SELECT hnsw_del(OLD.id); END;
CREATE TRIGGER t_au AFTER UPDATE OF embedding ON documents BEGIN SELECT hnsw_add(NEW.id, NEW.embedding); END;
SELECT content, missing_sql FROM hnsw_indexes;
-- a second trigger closes the gap; its text is that of missing_sql
CREATE TRIGGER "hand_documents_update" AFTER UPDATE OF "id", "embedding" ON "documents" BEGIN SELECT hnsw_del(OLD."id", 'hand'); SELECT hnsw_add(NEW."id", NEW."embedding", 'hand'); END;
SELECT content, missing_sql FROM hnsw_indexes;
.headers off
DELETE FROM documents;
INSERT INTO documents VALUES (1, '[1,1]'), (2, '[2,1]'), (3, '[3,1]');
UPDATE documents SET id = 30 WHERE id = 3;
UPDATE documents SET embedding = '[9,1]' WHERE id = 2;
SELECT hnsw_check();
DROP TRIGGER hand_documents_update;
DROP TRIGGER t_au;
UPDATE documents SET id = 31 WHERE id = 30;
UPDATE documents SET embedding = '[8,1]' WHERE id = 2;
SELECT hnsw_check();
-- what is said to be missing, run as it stands, repairs the index as well
.once fix.sql
SELECT missing_sql FROM hnsw_indexes WHERE name = 'hand';
.read fix.sql
SELECT hnsw_check();
-- triggers that were made again by hand
DROP TRIGGER hand_documents_update;
UPDATE documents SET id = 30, embedding = '[7,1]' WHERE id = 31;
DELETE FROM documents WHERE id = 1;
INSERT INTO documents VALUES (4, NULL);
CREATE TRIGGER hand_documents_update AFTER UPDATE OF id, embedding ON documents BEGIN SELECT hnsw_del(OLD.id, 'hand'); SELECT hnsw_add(NEW.id, NEW.embedding, 'hand'); END;
SELECT hnsw_check();
DELETE FROM "hand" WHERE rowid NOT IN (SELECT "id" FROM "documents" WHERE "embedding" IS NOT NULL); SELECT count(hnsw_add("id", "embedding", 'hand')) FROM "documents" WHERE "embedding" IS NOT NULL;
SELECT hnsw_check();
DELETE FROM documents WHERE id = 4;

-- what counts as feeding an index, and what does not
CREATE TABLE d(id INTEGER PRIMARY KEY, v TEXT, w TEXT, flag INT);
CREATE VIEW recognised AS SELECT group_concat(content || '.' || content_vector) AS r FROM hnsw_indexes WHERE content <> 'documents';
DROP TRIGGER t_ai;
DROP TRIGGER t_ad;
CREATE TRIGGER d1 AFTER INSERT ON d BEGIN INSERT INTO documents VALUES (NEW.id + 100, NULL); select HNSW_ADD ( new . "id" , /* the vector */ New.[v] , 'main.hand' ) -- so
 ; END;
SELECT * FROM recognised;
DROP TRIGGER d1;
CREATE TRIGGER d1 AFTER INSERT ON d WHEN NEW.v IS NOT NULL BEGIN SELECT hnsw_add(NEW.id, NEW.v); END;
SELECT * FROM recognised;
DROP TRIGGER d1;
CREATE TRIGGER d1 AFTER INSERT ON d BEGIN SELECT hnsw_add(NEW.id, NEW.v) WHERE NEW.v IS NOT NULL; END;
SELECT * FROM recognised;
DROP TRIGGER d1;
CREATE TRIGGER d1 AFTER INSERT ON d WHEN NEW.flag BEGIN SELECT hnsw_add(NEW.id, NEW.v); END;
SELECT * FROM recognised;
DROP TRIGGER d1;
CREATE TRIGGER d1 AFTER INSERT ON d BEGIN SELECT hnsw_add(NEW.id, NEW.v) WHERE NEW.flag; END;
SELECT * FROM recognised;
DROP TRIGGER d1;
CREATE TRIGGER d1 AFTER INSERT ON d BEGIN SELECT CASE WHEN NEW.flag THEN hnsw_add(NEW.id, NEW.v) END; END;
SELECT * FROM recognised;
DROP TRIGGER d1;
CREATE TRIGGER d1 AFTER INSERT ON d BEGIN SELECT hnsw_add(NEW.id, NEW.v || ''); END;
SELECT * FROM recognised;
DROP TRIGGER d1;
CREATE TRIGGER d1 AFTER INSERT ON d BEGIN SELECT hnsw_add(NEW.flag, NEW.v); END;
SELECT * FROM recognised;
DROP TRIGGER d1;
CREATE TRIGGER d1 AFTER INSERT ON d BEGIN SELECT 'hnsw_add(NEW.id, NEW.v)'; END;
SELECT * FROM recognised;
DROP TRIGGER d1;
CREATE TRIGGER d1 INSERT ON d BEGIN SELECT hnsw_add(NEW.id, NEW.v); END;
SELECT * FROM recognised;
DROP TRIGGER d1;
CREATE TRIGGER d1 AFTER INSERT ON d BEGIN SELECT hnsw_add(NEW.id, NEW.v, 'another'); END;
SELECT * FROM recognised;

-- hnsw_info, all but what chance decides
SELECT json_remove(hnsw_info(), '$.graph.path', '$.graph.token', '$.graph.bytes', '$.graph.layers', '$.graph.code',
  '$.graph.segments[0].token', '$.graph.segments[0].bytes', '$.merge.merges');
SELECT hnsw_save();
SELECT json_remove(hnsw_info('hand'), '$.graph.path', '$.graph.token', '$.graph.bytes', '$.graph.layers', '$.graph.code',
  '$.graph.segments[0].token', '$.graph.segments[0].bytes', '$.merge.merges');
