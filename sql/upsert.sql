-- INSERT ... ON CONFLICT with a target: DO NOTHING and DO UPDATE as PostgreSQL
-- means them, and what errors say of constraints.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/upsert*
\! cd /tmp/vss_fdw_regress && sqlite3 upsert.db < "$PG_ABS_SRCDIR/test/data/upsert.sql" && chmod 666 upsert.db
CREATE SERVER upsert FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/upsert.db');
CREATE SCHEMA upsert;
SET search_path = upsert, public;
IMPORT FOREIGN SCHEMA main FROM SERVER upsert INTO upsert;

-- new rows and rows that are there; xmax = 0 tells which
INSERT INTO items(id, name, n) VALUES (1, 'a', 1), (2, 'b', 2) ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING *, xmax = 0 AS inserted;
INSERT INTO items AS i(id, name, n) VALUES (1, 'A', 10), (3, 'c', 3) ON CONFLICT (id) DO UPDATE
	SET (name, n) = (excluded.name, i.n + excluded.n), m = upper(i.name) || current_schema WHERE i.n < 100 RETURNING *, xmax = 0 AS inserted;
INSERT INTO items(id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET n = 0 WHERE items.n > 100 RETURNING id;
INSERT INTO items(id, name) VALUES (9, 'b') ON CONFLICT (name) DO UPDATE SET m = 'was to be ' || excluded.id RETURNING xmax = 0 AS inserted;
INSERT INTO items(name, n) VALUES ('new', 5) ON CONFLICT (id) DO UPDATE SET n = 0 RETURNING *;
INSERT INTO items(id, name) VALUES (1, 'x'), (2, 'y'), (5, 'z') ON CONFLICT (id) DO NOTHING RETURNING id;
SELECT * FROM items ORDER BY id;

-- the target alone is looked at
INSERT INTO items(id, name) VALUES (1, 'b') ON CONFLICT (name) DO NOTHING;
INSERT INTO items(id, name) VALUES (1, 'fresh') ON CONFLICT (name) DO NOTHING;
INSERT INTO items(id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'b';

-- a row is met once
INSERT INTO items(id, name) VALUES (20, 't'), (20, 'u') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
INSERT INTO items(id, name) VALUES (1, 't'), (1, 'u') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
INSERT INTO items(id, name) VALUES (1, 't'), (1, 'u') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE items.id = 0;
SELECT count(*) FROM items WHERE id IN (1, 20);

-- keys of several columns, without rowid, of a collation of their own
INSERT INTO pairs VALUES ('x', 1, 'one'), ('X', 2, 'two') ON CONFLICT (a, b) DO UPDATE SET v = excluded.v RETURNING *;
INSERT INTO pairs VALUES ('X', 1, 'ONE') ON CONFLICT (b, a) DO UPDATE SET v = pairs.v || excluded.v, a = excluded.a RETURNING *;
INSERT INTO pairs VALUES ('y', 1, '1'), ('Y', 1, '2') ON CONFLICT (a, b) DO UPDATE SET v = excluded.v RETURNING v;
INSERT INTO texts(id, meta) VALUES ('p', '{"a": 1}') ON CONFLICT (id) DO UPDATE SET meta = excluded.meta RETURNING *;
INSERT INTO texts(id, meta) VALUES ('p', '{"a": 2}') ON CONFLICT (id) DO UPDATE SET meta = excluded.meta RETURNING *;

-- prepared, in WITH, from another table, through a view
PREPARE up(text, text) AS INSERT INTO texts(id, meta) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET meta = excluded.meta;
EXECUTE up('q', '1');
SET plan_cache_mode = force_generic_plan;
EXECUTE up('q', '2');
RESET plan_cache_mode;
WITH w AS (INSERT INTO texts(id, meta) VALUES ('q', '3'), ('r', '1') ON CONFLICT (id) DO UPDATE SET meta = excluded.meta RETURNING *) SELECT * FROM w;
INSERT INTO texts(id, meta) SELECT id, meta || '!' FROM texts ON CONFLICT (id) DO UPDATE SET meta = excluded.meta || texts.meta;
SELECT id, meta FROM texts ORDER BY id;
CREATE VIEW cheap AS SELECT * FROM items WHERE n < 50 WITH CHECK OPTION;
INSERT INTO cheap(id, name, n) VALUES (1, 'A', 3) ON CONFLICT (id) DO UPDATE SET n = 99;
INSERT INTO cheap(id, name, n) VALUES (1, 'A', 3) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING *;
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO items(id, name) VALUES (1, 'A') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE items.n > 3;

-- rolled back and kept
BEGIN;
INSERT INTO items(id, name, n) VALUES (1, 'lost', 0) ON CONFLICT (id) DO UPDATE SET name = excluded.name;
SAVEPOINT a;
INSERT INTO items(id, name, n) VALUES (1, 'lost too', 0) ON CONFLICT (id) DO UPDATE SET name = excluded.name;
ROLLBACK TO a;
SELECT name FROM items WHERE id = 1;
ROLLBACK;
SELECT name FROM items WHERE id = 1;

-- a subquery would see what the command has written
INSERT INTO items(id, name) VALUES (1, 'A') ON CONFLICT (id) DO UPDATE SET n = (SELECT max(n) FROM items) + 1 RETURNING n;
INSERT INTO items(id, name) VALUES (1, 'A'), (2, 'b') ON CONFLICT (id) DO UPDATE SET n = (SELECT max(n) FROM items);
-- SQLite's default is not known here
ALTER FOREIGN TABLE items ALTER d DROP DEFAULT;
INSERT INTO items(id, name) VALUES (1, 'A') ON CONFLICT (id) DO UPDATE SET d = excluded.d;
INSERT INTO items(id, name) VALUES (1, 'A') ON CONFLICT (id) DO UPDATE SET m = excluded.m RETURNING m IS NULL AS unset;
-- what SQLite tests before it looks for the key, PostgreSQL tests, too
INSERT INTO items(id, name, n) VALUES (1, 'A', -1) ON CONFLICT (id) DO UPDATE SET n = 5;
INSERT INTO items(id, name, n) VALUES (1, NULL, 1) ON CONFLICT (id) DO UPDATE SET n = 5;

-- what cannot be
INSERT INTO items(id, name) VALUES (1, 'A') ON CONFLICT (n) DO NOTHING;
INSERT INTO items(id, name) VALUES (1, 'A') ON CONFLICT (n) DO UPDATE SET name = 'x';
INSERT INTO items(id, name) VALUES (1, 'A') ON CONFLICT (lower(name)) DO NOTHING;
INSERT INTO items(id, name) VALUES (1, 'A') ON CONFLICT (name COLLATE "C") DO NOTHING;
INSERT INTO items(id, name) VALUES (1, 'A') ON CONFLICT (name) WHERE n > 1 DO NOTHING;
INSERT INTO item_names VALUES (1, 'A') ON CONFLICT (id) DO NOTHING;
INSERT INTO words(word) VALUES ('a') ON CONFLICT DO NOTHING;
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER seen AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION seen();
INSERT INTO items(id, name) VALUES (1, 'A') ON CONFLICT (id) DO UPDATE SET n = 1;
DROP TRIGGER seen ON items;

-- BEFORE INSERT triggers see the row first; a trigger of SQLite's may refuse it
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END';
CREATE TRIGGER shout BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO items(id, name) VALUES (1, 'low') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING name;
INSERT INTO guarded VALUES (1, 'a'), (2, 'refused') ON CONFLICT (id) DO UPDATE SET v = 'changed' RETURNING *;

-- privileges are PostgreSQL's
CREATE ROLE upsert_writer;
GRANT USAGE ON SCHEMA upsert TO upsert_writer;
GRANT INSERT ON items TO upsert_writer;
SET ROLE upsert_writer;
INSERT INTO items(id, name) VALUES (1, 'A') ON CONFLICT (id) DO UPDATE SET n = 99;
RESET ROLE;

-- errors name table, column and constraint
\set VERBOSITY terse
\set SHOW_CONTEXT never
DO $$
DECLARE
	statement text;
	c text; t text; col text; state text; detail text;
BEGIN
	FOREACH statement IN ARRAY ARRAY['INSERT INTO items(id, name) VALUES (1, ''q'')', 'INSERT INTO items(id, name) VALUES (77, ''b''), (78, ''B'')',
		'INSERT INTO pairs VALUES (''X'', 1, ''again'')', 'INSERT INTO twos VALUES (1, 2, 3)', 'INSERT INTO texts VALUES (''p'', '''')',
		'INSERT INTO items(id, name) VALUES (1, NULL)', 'INSERT INTO items(id, name, n) VALUES (79, ''neg'', -1)', 'UPDATE twos SET b = 3 + (random() * 0)::int WHERE b = 2']
	LOOP
		BEGIN
			EXECUTE statement;
			RAISE NOTICE 'no error: %', statement;
		EXCEPTION WHEN integrity_constraint_violation THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, c = CONSTRAINT_NAME, t = TABLE_NAME, col = COLUMN_NAME, detail = PG_EXCEPTION_DETAIL;
			RAISE NOTICE '% table "%" column "%" constraint "%": %', state, t, col, c, detail;
		END;
	END LOOP;
END $$;
\set VERBOSITY default

-- an empty local parent, which a trigger empties into the foreign table, in a session that has not loaded the library
ALTER FOREIGN TABLE texts RENAME TO texts_in_sqlite;
ALTER FOREIGN TABLE texts_in_sqlite ALTER id SET NOT NULL;
CREATE TABLE texts (LIKE texts_in_sqlite, PRIMARY KEY (id));
ALTER FOREIGN TABLE texts_in_sqlite INHERIT texts;
CREATE FUNCTION texts_to_sqlite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM vss_sqlite_version();
	DELETE FROM ONLY texts WHERE id IN (SELECT id FROM added);
	INSERT INTO texts_in_sqlite SELECT * FROM added ON CONFLICT (id) DO UPDATE SET meta = EXCLUDED.meta;
	RETURN NULL;
END $$;
CREATE TRIGGER to_sqlite AFTER INSERT ON texts REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION texts_to_sqlite();
\c -
SET search_path = upsert, public;
\set VERBOSITY terse
\set SHOW_CONTEXT never
INSERT INTO texts(id, meta) VALUES ('p', 'changed'), ('s', 'new') ON CONFLICT (id) DO UPDATE SET meta = EXCLUDED.meta;
INSERT INTO texts(id, meta) VALUES ('q', 'changed') ON CONFLICT ON CONSTRAINT texts_pkey DO UPDATE SET meta = EXCLUDED.meta RETURNING *;
INSERT INTO texts(id, meta) VALUES ('r', '1'), ('r', '2') ON CONFLICT (id) DO UPDATE SET meta = EXCLUDED.meta;
INSERT INTO texts(id, meta) VALUES ('t', '1'), ('t', '2');
COPY texts FROM stdin;
s	copied
u	copied
\.
BEGIN;
INSERT INTO texts(id, meta) VALUES ('p', 'lost');
ROLLBACK;
DELETE FROM texts WHERE id = 'r';
SELECT tableoid::regclass, id, meta FROM texts ORDER BY id;
SELECT count(*) FROM ONLY texts;

-- SQLite itself may replace the row
SELECT vss_exec('upsert', 'CREATE TABLE pages(id INTEGER PRIMARY KEY, url TEXT NOT NULL UNIQUE ON CONFLICT REPLACE, title TEXT)');
IMPORT FOREIGN SCHEMA main LIMIT TO (pages) FROM SERVER upsert INTO upsert;
INSERT INTO pages(url, title) VALUES ('/a', 'first'), ('/b', 'other');
INSERT INTO pages(url, title) VALUES ('/a', 'second') RETURNING *;
SELECT * FROM pages ORDER BY id;
\set VERBOSITY default

DROP OWNED BY upsert_writer;
DROP ROLE upsert_writer;
SET client_min_messages = warning;
DROP SCHEMA upsert CASCADE;
DROP SERVER upsert CASCADE;
