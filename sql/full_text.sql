-- Full text: import of FTS tables, @@@ and vss_match, ORDER BY rank, tables that FTS tables have the content of, vss_hybrid.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/full_text*
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/full_text.db "CREATE TABLE documents(id INTEGER PRIMARY KEY, title TEXT, body TEXT, embedding BLOB); CREATE VIRTUAL TABLE words USING fts5(title, body, content='documents', content_rowid='id'); CREATE TRIGGER d_i AFTER INSERT ON documents BEGIN INSERT INTO words(rowid, title, body) VALUES (NEW.id, NEW.title, NEW.body); END; CREATE TRIGGER d_d AFTER DELETE ON documents BEGIN INSERT INTO words(words, rowid, title, body) VALUES ('delete', OLD.id, OLD.title, OLD.body); END; CREATE VIRTUAL TABLE vss USING hnsw(dim=2, metric=l2, content=documents, content_vector=embedding); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO documents SELECT i, CASE i % 5 WHEN 0 THEN 'Pear' WHEN 1 THEN 'Lemon' ELSE 'Plum' END || ' ' || i, CASE WHEN i % 20 = 0 THEN 'sweet sweet' WHEN i % 7 = 0 THEN 'sour pear' ELSE 'fruit' END, vector('[' || i || ',' || (i % 3) || ']') FROM n; CREATE VIRTUAL TABLE notes USING fts5(text, tag UNINDEXED); INSERT INTO notes VALUES ('buy pears', 'home'), ('read a book about pears and a pear', 'work'), ('it''s done', 7); CREATE VIRTUAL TABLE old USING fts4(a, b); INSERT INTO old VALUES ('one two', 'three'), ('three four', 'one'); CREATE TABLE doubly(id INTEGER PRIMARY KEY, t TEXT); CREATE VIRTUAL TABLE d1 USING fts5(t, content=doubly, content_rowid=id); CREATE VIRTUAL TABLE d2 USING fts5(t, content=doubly, content_rowid=id); SELECT hnsw_save('vss')" >/dev/null
\! chmod a+rw /tmp/vss_fdw_regress/full_text*
CREATE SERVER full_text FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/full_text.db');
CREATE SCHEMA ft;
IMPORT FOREIGN SCHEMA main FROM SERVER full_text INTO ft;
SET search_path = ft, public;

-- rowid, the columns as text, and rank of FTS5
SELECT attrelid::regclass, attname, atttypid::regtype FROM pg_attribute
WHERE attrelid IN ('words'::regclass, 'notes'::regclass, 'old'::regclass) AND attnum > 0 ORDER BY attrelid::regclass::text COLLATE "C", attnum;
SELECT * FROM notes ORDER BY rowid;
SELECT * FROM old WHERE rowid = 2;

-- the table, an alias, a column; best first
SELECT rowid, text, rank < 0 AS ranked FROM notes WHERE notes @@@ 'pear OR pears' ORDER BY rank;
SELECT n.text FROM notes n WHERE n @@@ 'pear*' AND n.tag = 'home';
SELECT count(*) FROM words WHERE words @@@ 'pear';
SELECT count(*) FROM words WHERE title @@@ 'pear';
SELECT count(*) FROM words WHERE vss_match(words, 'title : pear AND body : sweet');
SELECT rowid FROM old WHERE old @@@ 'three' ORDER BY rowid;
SELECT rowid FROM old WHERE a @@@ 'three';
SELECT count(*) FROM notes WHERE notes @@@ NULL;
EXPLAIN (VERBOSE, COSTS OFF) SELECT rowid, title FROM words WHERE words @@@ 'pear' ORDER BY rank LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT rowid FROM words w WHERE vss_match(w.body, 'sour') AND w.rowid < 100;

-- the table whose content it is, with any condition, in order of distance too
SELECT count(*) FROM documents WHERE documents @@@ 'pear';
SELECT count(*) FROM documents d WHERE d.body @@@ 'pear' OR d.id < 3;
SELECT count(*) FROM documents d WHERE NOT d @@@ 'pear';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM documents d WHERE d @@@ 'sweet' AND id > 100;
SELECT id, title FROM documents WHERE documents @@@ 'sweet' ORDER BY embedding <-> '[111,0]' LIMIT 3;
CREATE FUNCTION plan_has(query text, part text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) ' || query INTO plan;
	RETURN position(part IN plan::text) > 0;
END $$;
SELECT plan_has($$SELECT id FROM documents d WHERE d @@@ 'sweet' ORDER BY embedding <-> '[111,0]' LIMIT 3$$, '"Index": "vss"') AS indexed,
	plan_has($$SELECT id FROM documents d WHERE d @@@ 'sweet' ORDER BY embedding <-> '[111,0]' LIMIT 3$$, 'MATCH ''sweet''') AS matched,
	plan_has($$SELECT id FROM documents d WHERE d @@@ 'sweet' ORDER BY embedding <-> '[111,0]' LIMIT 3$$, 'Filter') AS filtered;

-- parameters, LATERAL, joins
PREPARE matching(text) AS SELECT count(*) FROM words WHERE words @@@ $1;
EXECUTE matching('sweet');
SET plan_cache_mode = force_generic_plan;
EXECUTE matching('sour');
EXECUTE matching(NULL);
RESET plan_cache_mode;
CREATE TABLE questions(id int, q text);
INSERT INTO questions VALUES (1, 'sweet'), (2, 'sour'), (3, NULL), (4, 'nothing');
SELECT q.id, m.n FROM questions q CROSS JOIN LATERAL (SELECT count(*) AS n FROM words WHERE words @@@ q.q) m ORDER BY 1;
SELECT q.id, m.rowid FROM questions q CROSS JOIN LATERAL (SELECT rowid FROM words WHERE words @@@ q.q ORDER BY rank, rowid LIMIT 2) m ORDER BY 1, 2;
SELECT q.id, count(*) FROM questions q JOIN words ON words @@@ q.q GROUP BY 1 ORDER BY 1;
SELECT q.id, count(*) FROM questions q JOIN documents d ON d @@@ q.q GROUP BY 1 ORDER BY 1;
SELECT d.id, d.body FROM words w JOIN documents d ON d.id = w.rowid WHERE w @@@ 'sour' AND d.id < 20 ORDER BY d.id;
SELECT count(*) FROM documents d WHERE d.id IN (SELECT rowid FROM words w WHERE w @@@ 'sour');
UPDATE documents SET title = title || '!' WHERE documents @@@ 'sweet' AND id = 20 RETURNING title;
BEGIN;
DELETE FROM documents d WHERE d @@@ 'sweet';
SELECT count(*) FROM words WHERE words @@@ 'sweet';
ROLLBACK;

-- writing a full-text table
INSERT INTO notes(text) VALUES ('a third pear') RETURNING text;
INSERT INTO notes(text) VALUES ('a third pear') RETURNING rowid;
UPDATE notes SET text = 'a fourth pear' WHERE notes @@@ 'third';
SELECT rowid, text FROM notes WHERE notes @@@ 'fourth';
DELETE FROM notes WHERE rowid = 4;
SELECT count(*) FROM notes;

-- where it cannot stand, and what is wrong
SELECT count(*) FROM words WHERE words @@@ 'pear' OR rowid = 1;
SELECT 'a' @@@ 'a';
SELECT count(*) FROM questions WHERE q @@@ 'sweet';
SELECT count(*) FROM doubly WHERE doubly @@@ 'x';
SELECT count(*) FROM words WHERE words @@@ 'pear AND';
SELECT words @@@ 'pear' FROM words LIMIT 1;

-- hybrid: as SQLite's own
SELECT h.rowid, round(h.score::numeric, 6) AS score, round(h.distance::numeric, 3) AS distance, h.rank < 0 AS ranked FROM vss_hybrid('documents', '[111,0]', 'sweet', 4) h;
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/full_text.db "SELECT rowid, round(score, 6), round(distance, 3), rank < 0 FROM vss_hybrid('documents', '[111,0]', 'sweet', 4)"
SELECT count(*), count(distance), count(rank) FROM vss_hybrid('ft.vss', '[111,0]', 'sweet', k => 30, candidates => 20);
SELECT d.title, h.rowid FROM vss_hybrid('documents', '[111,0]', 'sweet', 2, text_weight => 3) h JOIN documents d ON d.id = h.rowid ORDER BY h.score DESC;
SELECT q.id, (SELECT array_agg(h.rowid) FROM vss_hybrid('documents', '[111,0]', q.q, 2) h) FROM questions q ORDER BY 1;
SELECT count(*) FROM vss_hybrid('documents', NULL, 'sweet');
SELECT count(*) FROM vss_hybrid(NULL, '[1,2]', 'sweet');
SELECT count(*) FROM vss_hybrid('documents', '[111,0]', 'sweet', 0);
SELECT count(*) FROM vss_hybrid('documents', '[111,0]', 'sweet', full_text => 'nothing');
SELECT count(*) FROM vss_hybrid('questions', '[111,0]', 'sweet');
-- rows are estimated
EXPLAIN SELECT * FROM vss_hybrid('documents', '[111,0]', 'sweet', 77) \g | grep -o 'rows=[0-9]*'
-- SELECT on the table is needed
CREATE ROLE full_text_reader;
GRANT USAGE ON SCHEMA ft TO full_text_reader;
SET ROLE full_text_reader;
SELECT count(*) FROM vss_hybrid('documents', '[111,0]', 'sweet');
SELECT count(*) FROM words WHERE words @@@ 'pear';
RESET ROLE;
GRANT SELECT ON documents TO full_text_reader;
SET ROLE full_text_reader;
SELECT count(*) FROM vss_hybrid('documents', '[111,0]', 'sweet');
SELECT count(*) FROM documents WHERE documents @@@ 'pear';
RESET ROLE;
DROP OWNED BY full_text_reader;
DROP ROLE full_text_reader;
DROP SCHEMA ft CASCADE;
DROP SERVER full_text CASCADE;
