-- IMPORT FOREIGN SCHEMA: what becomes a foreign table, and of what shape.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/import*
\set db '/tmp/vss_fdw_regress/import.db'
-- Everything at once.  A virtual table of a module that is not there is written into the schema by hand.
\! sqlite3 /tmp/vss_fdw_regress/import.db "CREATE TABLE types(i INTEGER, bi BIGINT, u8 UNSIGNED BIG INT, s SMALLINT, r REAL, d DOUBLE PRECISION, f FLOAT, n NUMERIC, dc DECIMAL(10,2), b BOOLEAN, t TEXT, vc VARCHAR(20), nc NATIVE CHARACTER(70), cl CLOB, bl BLOB, bin VARBINARY(16), da DATE, ti TIME, ts DATETIME, ts2 TIMESTAMP, tz TIMESTAMP WITH TIME ZONE, u UUID, j JSON, jb JSONB, iv INTERVAL, e VECTOR(3), fl F32_BLOB(4), odd GEOMETRY, none)"
\! sqlite3 /tmp/vss_fdw_regress/import.db "CREATE TABLE strict_types(id INTEGER PRIMARY KEY, i INT, r REAL, t TEXT, b BLOB, a ANY) STRICT"
\! sqlite3 /tmp/vss_fdw_regress/import.db "CREATE TABLE forms(id INTEGER PRIMARY KEY, unix DATETIME, julian DATE, iso TIMESTAMP, ub UUID, ut UUID, eb VECTOR(2), et VECTOR(2), xi, xr, xt, xb, xm); INSERT INTO forms VALUES (1, 1700000000, 2460370.5, '2024-01-01 00:00:00', x'11111111222233334444555555555555', '11111111-2222-3333-4444-555555555555', x'0000803f00000040', '[1,2]', 1, 1.5, 'x', x'00', 1), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, NULL, NULL, 'm')"
\! sqlite3 /tmp/vss_fdw_regress/import.db "CREATE TABLE defaults(id INTEGER PRIMARY KEY, n INTEGER NOT NULL DEFAULT 5, m INTEGER DEFAULT -3, r REAL DEFAULT (1.5), t TEXT NOT NULL DEFAULT 'it''s', b BOOLEAN NOT NULL DEFAULT TRUE, b2 BOOLEAN DEFAULT 0, at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, ta TEXT DEFAULT CURRENT_TIMESTAMP, today DATE DEFAULT CURRENT_DATE, f TEXT NOT NULL DEFAULT (lower(hex(randomblob(4)))), g INTEGER GENERATED ALWAYS AS (n * 2), gs INTEGER GENERATED ALWAYS AS (n * 3) STORED, nn TEXT NOT NULL, bl BLOB DEFAULT x'00', nul TEXT DEFAULT NULL)"
\! sqlite3 /tmp/vss_fdw_regress/import.db "CREATE TABLE keyed(a TEXT, b INTEGER, c TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID; CREATE TABLE \"Mixed Case\"(\"Sel ect\" INT, \"UPPER\" TEXT, \"quo\"\"te\" TEXT, \"xmin\" INT, \"tableoid\" INT, \"naïve\" TEXT, OPTIONS INT); CREATE INDEX keyed_c ON keyed(c)"
\! sqlite3 /tmp/vss_fdw_regress/import.db "CREATE TABLE a23456789_123456789_123456789_123456789_123456789_123456789_123456789_one(x INT, b23456789_123456789_123456789_123456789_123456789_123456789_123456789_one INT, b23456789_123456789_123456789_123456789_123456789_123456789_123456789_two INT); CREATE TABLE a23456789_123456789_123456789_123456789_123456789_123456789_123456789_two(x INT)"
\! sqlite3 /tmp/vss_fdw_regress/import.db "INSERT INTO keyed VALUES ('a', 1, 'x'), ('b', 2, 'x'); CREATE VIEW good_view AS SELECT c, count(*) AS n, max(b) AS top FROM keyed GROUP BY c; CREATE VIEW bad_view AS SELECT * FROM \"gone\"; CREATE VIRTUAL TABLE notes USING fts5(title, body); CREATE TABLE notes_data_own(id INT); CREATE TABLE vec_tags(id INT)"
\! sqlite3 /tmp/vss_fdw_regress/import.db ".dbconfig defensive off" "PRAGMA writable_schema = on" "INSERT INTO sqlite_schema VALUES ('table', 'vec', 'vec', 0, 'CREATE VIRTUAL TABLE vec USING vec0(embedding float[3])')" "CREATE TABLE vec_chunks(x)" "CREATE TABLE vec_rowids(x)" "CREATE TABLE vec_vector_chunks00(x)" "ANALYZE keyed"
-- defaults that PostgreSQL would not take, or would take for something else
\! sqlite3 /tmp/vss_fdw_regress/import.db "CREATE TABLE odd_defaults(i1 INTEGER DEFAULT '', i2 INTEGER DEFAULT '7', i3 INTEGER DEFAULT 99999999999999999999, i4 INTEGER DEFAULT (1+1), i5 INTEGER DEFAULT 1e3, i6 INTEGER DEFAULT TRUE, r1 REAL DEFAULT -1.5e-3, r2 REAL DEFAULT '.5', r3 REAL DEFAULT 1e999, b1 BOOLEAN DEFAULT 'yes', b2 BOOLEAN DEFAULT 2, d1 DATE DEFAULT 'now', j1 JSON DEFAULT '{', t1 TEXT DEFAULT 'a\\b', t2 TEXT DEFAULT '''', t3 TEXT DEFAULT ('x' || 'y'), t4 TEXT DEFAULT \"); DROP TABLE users; --\", t5 TEXT DEFAULT ('); DROP TABLE users; --'), t6 TEXT DEFAULT 5)"
\! chmod 666 /tmp/vss_fdw_regress/import.db
CREATE SERVER import FOREIGN DATA WRAPPER vss_fdw OPTIONS (database :'db');
CREATE SCHEMA import_all;
IMPORT FOREIGN SCHEMA main FROM SERVER import INTO import_all;
SELECT relname FROM pg_class WHERE relnamespace = 'import_all'::regnamespace ORDER BY relname COLLATE "C";

-- columns, as the catalogue has them
CREATE VIEW import_columns AS
SELECT c.relnamespace::regnamespace AS schema, c.relname AS "table", a.attnum AS n, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
	CASE WHEN a.attnotnull THEN 'not null' ELSE '' END AS "null", coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS "default", a.attfdwoptions AS options
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind = 'f' AND a.attnum > 0;
SELECT name, type, "null", options FROM import_columns WHERE schema = 'import_all'::regnamespace AND "table" = 'types' ORDER BY n;
SELECT name, type, "null", options FROM import_columns WHERE schema = 'import_all'::regnamespace AND "table" = 'strict_types' ORDER BY n;
SELECT name, type, "null", options FROM import_columns WHERE schema = 'import_all'::regnamespace AND "table" = 'forms' ORDER BY n;
SELECT name, type, "null", "default" FROM import_columns WHERE schema = 'import_all'::regnamespace AND "table" = 'defaults' ORDER BY n;
SELECT name, type, "default" FROM import_columns WHERE schema = 'import_all'::regnamespace AND "table" = 'odd_defaults' ORDER BY n;
SELECT "table", name, type, "null", options FROM import_columns WHERE schema = 'import_all'::regnamespace AND "table" NOT IN ('types', 'strict_types', 'forms', 'defaults', 'odd_defaults') ORDER BY "table" COLLATE "C", n;
SELECT c.relname, t.ftoptions FROM pg_foreign_table t JOIN pg_class c ON c.oid = t.ftrelid WHERE c.relnamespace = 'import_all'::regnamespace ORDER BY c.relname COLLATE "C";
-- and they can be read
SELECT * FROM import_all.forms;
SELECT "Sel ect", "UPPER", "quo""te", xmin_1 FROM import_all."Mixed Case";
SELECT * FROM import_all.good_view;
SELECT * FROM import_all.notes;

-- LIMIT TO and EXCEPT; SQLite's names are equal whatever their case
CREATE SCHEMA import_some;
IMPORT FOREIGN SCHEMA main LIMIT TO (keyed, "MIXED CASE") FROM SERVER import INTO import_some;
SELECT c.relname, t.ftoptions FROM pg_foreign_table t JOIN pg_class c ON c.oid = t.ftrelid WHERE c.relnamespace = 'import_some'::regnamespace ORDER BY 1;
IMPORT FOREIGN SCHEMA main LIMIT TO (keyed2) FROM SERVER import INTO import_some;
IMPORT FOREIGN SCHEMA main LIMIT TO (notes_data) FROM SERVER import INTO import_some;
IMPORT FOREIGN SCHEMA main LIMIT TO (sqlite_stat1) FROM SERVER import INTO import_some;
DROP SCHEMA import_some CASCADE;
CREATE SCHEMA import_some;
SET client_min_messages = error;
IMPORT FOREIGN SCHEMA public EXCEPT (types, strict_types, FORMS, defaults, odd_defaults, notes, vec_tags, notes_data_own, a23456789_123456789_123456789_123456789_123456789_123456789_123456789_one) FROM SERVER import INTO import_some;
RESET client_min_messages;
SELECT relname FROM pg_class WHERE relnamespace = 'import_some'::regnamespace ORDER BY relname COLLATE "C";

-- options
CREATE SCHEMA import_options;
IMPORT FOREIGN SCHEMA main LIMIT TO (defaults, keyed) FROM SERVER import INTO import_options OPTIONS (import_default 'false', import_not_null 'false', import_generated 'false');
SELECT "table", name, type, "null", "default" FROM import_columns WHERE schema = 'import_options'::regnamespace ORDER BY "table", n;
IMPORT FOREIGN SCHEMA main LIMIT TO (good_view) FROM SERVER import INTO import_options OPTIONS (import_views 'false');
IMPORT FOREIGN SCHEMA main FROM SERVER import INTO import_options OPTIONS (import_view 'false');
IMPORT FOREIGN SCHEMA main FROM SERVER import INTO import_options OPTIONS (import_views 'nein');
IMPORT FOREIGN SCHEMA main FROM SERVER import INTO import_options OPTIONS (vector_type 'array');
IMPORT FOREIGN SCHEMA main FROM SERVER import INTO import_options OPTIONS (vector_type 'vector');
IMPORT FOREIGN SCHEMA temp FROM SERVER import INTO import_options;
IMPORT FOREIGN SCHEMA "Main" FROM SERVER import INTO import_options;

-- hnsw indexes: a declared source, a recognised one with what it lacks, and one that feeds itself
\! sqlite3 /tmp/vss_fdw_regress/import2.db ".load ./hnsw" "CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT, emb BLOB); INSERT INTO docs VALUES (1, 'x', vector('[1,2]')); CREATE VIRTUAL TABLE docs_vss USING hnsw(dim=2, metric=l2, content=docs, content_rowid=id, content_vector=emb); CREATE VIRTUAL TABLE own USING hnsw(dim=4); CREATE TABLE hand(id INTEGER PRIMARY KEY, embedding TEXT); CREATE VIRTUAL TABLE hand_vss USING hnsw(dim=3); CREATE TRIGGER hand_ai AFTER INSERT ON hand BEGIN SELECT hnsw_add(NEW.id, NEW.embedding, 'hand_vss'); END; INSERT INTO hand VALUES (7, '[1,2,3]')" && chmod 666 /tmp/vss_fdw_regress/import2.db*
CREATE SERVER import2 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/import2.db');
CREATE SCHEMA import_hnsw;
IMPORT FOREIGN SCHEMA main FROM SERVER import2 INTO import_hnsw;
SELECT "table", name, type, "null", options FROM import_columns WHERE schema = 'import_hnsw'::regnamespace ORDER BY "table" COLLATE "C", n;
SELECT c.relname, t.ftoptions FROM pg_foreign_table t JOIN pg_class c ON c.oid = t.ftrelid WHERE c.relnamespace = 'import_hnsw'::regnamespace ORDER BY c.relname COLLATE "C";
SELECT * FROM import_hnsw.docs;
SELECT * FROM import_hnsw.hand;
SELECT rowid, embedding FROM import_hnsw.hand_vss;
-- a view that gives no row for ever is imported nevertheless
\! sqlite3 /tmp/vss_fdw_regress/import2.db "CREATE VIEW silent AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r WHERE n < 0"
IMPORT FOREIGN SCHEMA main LIMIT TO (silent) FROM SERVER import2 INTO import_hnsw;
SELECT name, type FROM import_columns WHERE "table" = 'silent';
-- types are named so that they are found whatever the search path
CREATE SCHEMA import_path;
SET search_path = import_path;
IMPORT FOREIGN SCHEMA main LIMIT TO (docs) FROM SERVER import2 INTO import_path;
RESET search_path;
SELECT name, type FROM import_columns WHERE schema = 'import_path'::regnamespace ORDER BY n;

\set VERBOSITY terse
DROP SCHEMA import_all, import_some, import_options, import_hnsw, import_path CASCADE;
DROP SERVER import, import2 CASCADE;
DROP VIEW import_columns;
