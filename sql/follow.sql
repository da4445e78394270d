-- An index follows programs that know nothing of it: plain sqlite3 writes, rebuilds and vacuums its table.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
\! rm -rf /tmp/vss_fdw_regress/follow && mkdir -p /tmp/vss_fdw_regress/follow && chmod 0777 /tmp/vss_fdw_regress /tmp/vss_fdw_regress/follow 2>/dev/null
\! sqlite3 /tmp/vss_fdw_regress/follow/f.db 'PRAGMA user_version = 1' && chmod 0666 /tmp/vss_fdw_regress/follow/f.db
CREATE SERVER follow FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/follow/f.db');
CREATE SCHEMA follow;
SET search_path = follow, public;
SET vss_fdw.auto_merge = off;
SELECT vss_exec('follow', $$
	CREATE TABLE docs(id INTEGER PRIMARY KEY, name TEXT UNIQUE, embedding TEXT);
	INSERT INTO docs VALUES (1, 'a', '[1,0]'), (2, 'b', '[0,1]'), (3, 'c', '[1,1]');
	CREATE VIRTUAL TABLE docs_vss USING hnsw(dim = 2, metric = l2, content = docs, content_vector = embedding);
	CREATE TABLE keyed(name TEXT PRIMARY KEY, embedding TEXT);
	INSERT INTO keyed VALUES ('a', '[1,0]'), ('b', '[0,1]'), ('c', '[1,1]');
	CREATE VIRTUAL TABLE keyed_vss USING hnsw(dim = 2, metric = l2, content = keyed, content_vector = embedding);
$$);
-- the journal is no table of anybody's
IMPORT FOREIGN SCHEMA main FROM SERVER follow INTO follow;
SELECT foreign_table_name FROM information_schema.foreign_tables WHERE foreign_table_schema = 'follow' ORDER BY 1;
SELECT vss_merge('docs'), vss_merge('keyed');
CREATE FUNCTION not_used(query text) RETURNS text LANGUAGE plpgsql SET enable_sort = off AS $$
DECLARE j json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO j;
	j := j->0->'Plan'->'Plans'->0;
	RETURN (j->>'Strategy') || coalesce(': ' || (j->>'Index Not Used'), '');
END $$;
\set knn 'SELECT id, name FROM docs ORDER BY embedding <-> \'[1,0]\' LIMIT 9'
\set knn_keyed 'SELECT name FROM keyed ORDER BY embedding <-> \'[1,0]\' LIMIT 9'
PREPARE nearest AS :knn;
EXECUTE nearest;
SELECT not_used(:'knn'), not_used(:'knn_keyed');

-- writes of a program without the extension
\! sqlite3 /tmp/vss_fdw_regress/follow/f.db "INSERT INTO docs VALUES (4, 'd', '[1,0.1]'); UPDATE docs SET embedding = '[9,9]' WHERE id = 1; DELETE FROM docs WHERE id = 2; INSERT OR REPLACE INTO docs VALUES (5, 'c', '[0.9,0]')"
\! sqlite3 /tmp/vss_fdw_regress/follow/f.db "INSERT OR REPLACE INTO keyed VALUES ('a', '[0,5]'); UPDATE keyed SET name = 'B' WHERE name = 'b'; INSERT INTO keyed VALUES ('d', '[1,0.1]')"
EXECUTE nearest;
:knn_keyed;
SELECT not_used(:'knn'), not_used(:'knn_keyed');

-- a migration: create, copy, drop, rename.  Noticed, answered exactly, healed
\! sqlite3 /tmp/vss_fdw_regress/follow/f.db "CREATE TABLE new_docs(id INTEGER PRIMARY KEY, name TEXT UNIQUE, embedding TEXT, more INT); INSERT INTO new_docs SELECT *, 0 FROM docs; DROP TABLE docs; ALTER TABLE new_docs RENAME TO docs; UPDATE docs SET embedding = '[1,0.05]' WHERE id = 1; DELETE FROM docs WHERE id = 4"
EXECUTE nearest;
SELECT not_used(:'knn');
SELECT * FROM vss_check('docs');
SELECT vss_index_info('docs')->>'follow' AS follow, vss_index_info('docs')->>'merge_due' AS merge_due;
SELECT vss_merge('docs');
SELECT not_used(:'knn'), vss_index_info('docs')->>'follow' AS follow;
EXECUTE nearest;
SELECT * FROM vss_check('docs');

-- vss_knn gives the rowid, which a column shows where the key is a text
ALTER FOREIGN TABLE keyed ADD COLUMN rowid bigint;
SELECT k.name FROM vss_knn('keyed', '[1,0]', 3) AS n JOIN keyed AS k ON k.rowid = n.rowid ORDER BY n.distance;
INSERT INTO keyed(name, embedding) VALUES ('e', '[1,0]');
SELECT k.name FROM vss_knn('keyed', '[1,0]', 1) AS n JOIN keyed AS k ON k.rowid = n.rowid;
DELETE FROM keyed WHERE name = 'e';
ALTER FOREIGN TABLE keyed DROP COLUMN rowid;

-- VACUUM may give the rows of a table without an integer key other numbers
SELECT vss_index_info('keyed')->'graph'->>'token' AS token \gset
\! sqlite3 /tmp/vss_fdw_regress/follow/f.db "VACUUM"
SELECT not_used(:'knn'), not_used(:'knn_keyed');
:knn_keyed;
SELECT vss_merge('keyed'), vss_merge('docs');
SELECT not_used(:'knn_keyed');
:knn_keyed;
SELECT * FROM vss_check('keyed');

-- both sides write
UPDATE docs SET embedding = '[5,5]' WHERE id = 1;
INSERT INTO docs(id, name, embedding) VALUES (8, 'h', '[1,0]') RETURNING id;
EXECUTE nearest;

-- a WITHOUT ROWID table, whose rows the index knows by their key
SELECT vss_exec('follow', $$
	CREATE TABLE pairs(site TEXT COLLATE NOCASE, id BLOB, lang TEXT, embedding TEXT, PRIMARY KEY(site, id)) WITHOUT ROWID;
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
		INSERT INTO pairs SELECT 'site ' || (i % 7), CAST('id ' || i AS BLOB), CASE WHEN i % 50 = 0 THEN 'da' ELSE 'en' END,
			'[' || (i % 20) || ',' || (i / 20) || ']' FROM n;
$$);
IMPORT FOREIGN SCHEMA main LIMIT TO (pairs) FROM SERVER follow INTO follow;
ALTER FOREIGN TABLE pairs ALTER embedding TYPE vss_vector(2);
SELECT vss_create_index('pairs', 'embedding', metric => 'l2', index_name => 'pairs_vss');
CREATE VIEW near AS SELECT site, convert_from(id, 'UTF8') AS id FROM pairs ORDER BY embedding <-> '[3.1,4.2]' LIMIT 3;
CREATE VIEW near_danish AS SELECT site, convert_from(id, 'UTF8') AS id FROM pairs WHERE lang = 'da' ORDER BY embedding <-> '[3.1,4.2]' LIMIT 3;
CREATE VIEW near_of_seven AS SELECT site, convert_from(id, 'UTF8') AS id FROM pairs WHERE vss_knn(embedding, '[3.1,4.2]', 7) AND site > 'site 3' ORDER BY id;
EXPLAIN (COSTS OFF) SELECT site FROM pairs ORDER BY embedding <-> '[3.1,4.2]' LIMIT 3;
SET enable_sort = off;
SET vss_fdw.knn_strategy = prefilter;
EXPLAIN (COSTS OFF) SELECT site FROM pairs WHERE lang = 'da' ORDER BY embedding <-> '[3.1,4.2]' LIMIT 3;
TABLE near_danish;
SET vss_fdw.knn_strategy = graph;
TABLE near_danish;
RESET vss_fdw.knn_strategy;
TABLE near_danish;
TABLE near;
TABLE near_of_seven;
\! sqlite3 /tmp/vss_fdw_regress/follow/f.db "UPDATE pairs SET site = 'SITE 0' WHERE id = CAST('id 63' AS BLOB); INSERT INTO pairs VALUES ('new', x'6e6577', 'da', '[3.1,4.2]'); DELETE FROM pairs WHERE id = CAST('id 83' AS BLOB)"
UPDATE pairs SET embedding = '[3.2,4.2]' WHERE id = 'id 400';
TABLE near;
TABLE near_danish;
SET vss_fdw.knn_strategy = prefilter;
TABLE near_danish;
RESET vss_fdw.knn_strategy;
TABLE near_of_seven;
-- each row once
SELECT count(*), count(DISTINCT (site, id)) FROM (SELECT site, id FROM pairs ORDER BY embedding <-> '[3.1,4.2]' LIMIT 1000) AS s;
SELECT not_used('SELECT site FROM pairs ORDER BY embedding <-> ''[1,0]'' LIMIT 9');
SELECT vss_merge('pairs');
TABLE near;
TABLE near_danish;
TABLE near_of_seven;
SELECT * FROM vss_check('pairs');
SELECT p.lang, n.site FROM (VALUES ('da'), ('en')) AS p(lang) CROSS JOIN LATERAL
	(SELECT site FROM pairs WHERE pairs.lang = p.lang ORDER BY embedding <-> '[3.1,4.2]' LIMIT 1) AS n;
-- its rows have no number that could be returned
SELECT count(*) FROM vss_knn('pairs_vss', '[3.1,4.2]', 5);
SELECT site FROM pairs WHERE vss_knn(embedding, '[3.1,4.2]', 1);
RESET enable_sort;

-- what can be removed without the extension: the triggers
\! sqlite3 /tmp/vss_fdw_regress/follow/f.db "DROP TRIGGER docs_vss_changes_ai; DROP TRIGGER docs_vss_changes_ad; DROP TRIGGER docs_vss_changes_au; DROP TABLE docs_vss_changes; INSERT INTO docs VALUES (9, 'i', '[1,0.01]', 1)"
EXECUTE nearest;
SELECT not_used(:'knn');
SELECT vss_drop_index('docs');
\! sqlite3 /tmp/vss_fdw_regress/follow/f.db "SELECT name FROM sqlite_schema WHERE name LIKE 'docs%' ORDER BY name"

-- rows that hold no vector are told
\! sqlite3 /tmp/vss_fdw_regress/follow/f.db "CREATE TABLE odd(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO odd VALUES (1, '[1,0]'), (2, 'none'), (3, '[1]'), (4, NULL)"
CREATE FOREIGN TABLE odd (id bigint, v vss_vector(2)) SERVER follow;
SELECT vss_exec('follow', 'CREATE VIRTUAL TABLE odd_vss USING hnsw(dim = 2, content = odd, content_vector = v, bad_rows = skip)');
SELECT vss_merge('odd');
SELECT vss_index_info('odd') ->> 'bad_rows' AS bad_rows;
CREATE FUNCTION bad_rows(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE query LOOP
		IF line ~ 'Bad Rows|Strategy' THEN RETURN NEXT trim(line); END IF;
	END LOOP;
END $$;
SELECT bad_rows('EXPLAIN SELECT id FROM odd ORDER BY v <=> ''[1,0]'' LIMIT 1');
SELECT bad_rows('EXPLAIN (ANALYZE, COSTS OFF) SELECT id FROM odd ORDER BY v <=> ''[1,0]'' LIMIT 1');
\! sqlite3 /tmp/vss_fdw_regress/follow/f.db "DELETE FROM odd WHERE id IN (2, 3)"
SELECT vss_rebuild('odd');
SELECT bad_rows('EXPLAIN SELECT id FROM odd ORDER BY v <=> ''[1,0]'' LIMIT 1');

-- DROP tells what stays in SQLite; vss_drop_index leaves nothing
RESET client_min_messages;
IMPORT FOREIGN SCHEMA main LIMIT TO (odd_vss) FROM SERVER follow INTO follow;
DROP FOREIGN TABLE follow.odd_vss;
IMPORT FOREIGN SCHEMA main LIMIT TO (odd_vss) FROM SERVER follow INTO follow;
BEGIN;
DROP SERVER follow CASCADE;
ROLLBACK;
DROP FOREIGN TABLE follow.odd;
SELECT vss_drop_index('follow.odd_vss');
\! sqlite3 /tmp/vss_fdw_regress/follow/f.db "SELECT name FROM sqlite_schema WHERE name LIKE 'odd%'"
SET client_min_messages = warning;
RESET vss_fdw.auto_merge;
\set VERBOSITY terse
DROP SCHEMA follow CASCADE;
DROP SERVER follow;
