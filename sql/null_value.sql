-- Option null_value: what a program stores for NULL is NULL, wherever the column is used.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/null.db*
\! sqlite3 /tmp/vss_fdw_regress/null.db "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT '', fold TEXT COLLATE NOCASE, n INTEGER, x REAL, price NUMERIC, day DATE, seen INTEGER, u TEXT, flag BOOLEAN, code VARCHAR(9), b BLOB); CREATE INDEX t_name ON t(name); CREATE UNIQUE INDEX t_u ON t(u); CREATE TABLE w(k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID; INSERT INTO w VALUES ('', 'none'), ('a', 'one')"
\! sqlite3 /tmp/vss_fdw_regress/null.db "INSERT INTO t VALUES (1, '', 'n/a', -1, -1, -1, '', 0, '', -1, '-', 'x'), (2, 'a', 'N/A', 5, 1.5, 2.50, '2024-02-29', 86400, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1, 'c', x'6e6f6e65'), (3, 'b', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, ' ', 'N/a', 0, -1.0, '-1', '2024-03-01', 0, 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 0, ' -', 'none')"
\! chmod 666 /tmp/vss_fdw_regress/null.db
CREATE SERVER nulls FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/null.db');
CREATE SCHEMA n;
CREATE FOREIGN TABLE n.t (
	id bigint,
	name text OPTIONS (null_value ''),
	fold text OPTIONS (null_value 'N/A'),
	n bigint OPTIONS (null_value '-1'),
	x double precision OPTIONS (null_value '-1'),
	price numeric OPTIONS (null_value '-1'),
	day date OPTIONS (null_value ''),
	seen timestamp OPTIONS (null_value '0', column_type 'INTEGER'),
	u uuid OPTIONS (null_value ''),
	flag boolean OPTIONS (null_value '-1'),
	code varchar(9) OPTIONS (null_value '-'),
	b bytea OPTIONS (null_value 'none', column_type 'TEXT')) SERVER nulls;
CREATE TABLE n.l AS SELECT * FROM n.t;
\pset null ~
SELECT * FROM n.l ORDER BY id;

-- what the foreign table and a local copy answer
CREATE FUNCTION n.both(query text) RETURNS TABLE (foreign_says text, same boolean) LANGUAGE plpgsql AS $$
DECLARE
	f text;
	l text;
BEGIN
	EXECUTE 'SELECT json_agg(r)::text FROM (' || replace(query, '@', 'n.t') || ') r' INTO f;
	EXECUTE 'SELECT json_agg(r)::text FROM (' || replace(query, '@', 'n.l') || ') r' INTO l;
	RETURN QUERY SELECT regexp_replace(f, '\s', '', 'g'), f IS NOT DISTINCT FROM l;
END $$;
\pset format unaligned
SELECT q.query, b.* FROM unnest(ARRAY[
	'SELECT id FROM @ WHERE name IS NULL ORDER BY id',
	'SELECT id FROM @ WHERE name IS NOT NULL ORDER BY id',
	'SELECT id FROM @ WHERE name = '''' ORDER BY id',
	'SELECT id FROM @ WHERE name <> ''a'' ORDER BY id',
	'SELECT id FROM @ WHERE name = ''a''',
	'SELECT id FROM @ WHERE name IN ('''', ''b'')',
	'SELECT id FROM @ WHERE coalesce(name, ''none'') = ''none''',
	'SELECT id FROM @ WHERE length(name) = 0',
	'SELECT id FROM @ WHERE fold IS NULL ORDER BY id',
	'SELECT id FROM @ WHERE fold = ''n/a''',
	'SELECT id FROM @ WHERE n < 5 ORDER BY id',
	'SELECT id FROM @ WHERE n IS NULL ORDER BY id',
	'SELECT id FROM @ WHERE NOT (n = 5) ORDER BY id',
	'SELECT id FROM @ WHERE n IS DISTINCT FROM 5 ORDER BY id',
	'SELECT id FROM @ WHERE x IS NULL ORDER BY id',
	'SELECT id FROM @ WHERE x < 2',
	'SELECT id FROM @ WHERE price IS NULL ORDER BY id',
	'SELECT id FROM @ WHERE price <= 2.5',
	'SELECT id FROM @ WHERE day IS NULL ORDER BY id',
	'SELECT id FROM @ WHERE day > ''2024-01-01'' ORDER BY id',
	'SELECT id FROM @ WHERE seen IS NULL ORDER BY id',
	'SELECT id FROM @ WHERE seen >= ''1970-01-01''',
	'SELECT id FROM @ WHERE u IS NULL ORDER BY id',
	'SELECT id FROM @ WHERE u = ''a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11''',
	'SELECT id FROM @ WHERE flag IS NULL ORDER BY id',
	'SELECT id FROM @ WHERE NOT flag',
	'SELECT id FROM @ WHERE flag IS NOT TRUE ORDER BY id',
	'SELECT id FROM @ WHERE code IS NULL ORDER BY id',
	'SELECT id FROM @ WHERE code = ''c''',
	'SELECT id FROM @ WHERE b IS NULL ORDER BY id',
	'SELECT id FROM @ WHERE b = ''x''',
	'SELECT count(*), count(name) AS name, count(n) AS n, count(x) AS x, count(price) AS price, count(day) AS day, count(b) AS b FROM @',
	'SELECT sum(n), avg(n), min(n), max(x), sum(price) AS price, min(day) AS day, max(seen) AS seen, bool_or(flag) FROM @',
	'SELECT avg(price), min(price), min(name COLLATE "C") AS name FROM @',
	'SELECT n, count(*) FROM @ GROUP BY n ORDER BY n',
	'SELECT DISTINCT name COLLATE "C" AS name FROM @ ORDER BY name',
	'SELECT id FROM @ ORDER BY n, id',
	'SELECT id FROM @ ORDER BY price DESC, id',
	'SELECT a.id, b.id AS other FROM @ a JOIN @ b ON a.n = b.n ORDER BY 1, 2',
	'SELECT a.id FROM @ a WHERE NOT EXISTS (SELECT 1 FROM @ b WHERE b.name = a.name) ORDER BY 1',
	'SELECT n + 1 AS n FROM @ ORDER BY id']) WITH ORDINALITY q(query, i), LATERAL n.both(q.query) b ORDER BY i;
\pset format aligned
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM n.t WHERE n IS NULL AND day > '2024-01-01' AND name = 'a';
ANALYZE n.t;
SELECT attname, null_frac FROM pg_stats WHERE schemaname = 'n' AND tablename = 't' ORDER BY attname;

-- written: NULL as the column has it, the value itself not at all
INSERT INTO n.t(id) VALUES (10);
INSERT INTO n.t VALUES (11, NULL, NULL, 7, 7, 7, NULL, NULL, 'c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', NULL, NULL, NULL);
UPDATE n.t SET name = NULL, n = n + 1, price = NULL WHERE id = 2 RETURNING name, n, price;
UPDATE n.t SET n = NULL, x = NULL WHERE id = 4 RETURNING *;
\! sqlite3 /tmp/vss_fdw_regress/null.db "SELECT id, quote(name), quote(fold), quote(n), quote(x), quote(price), quote(day), quote(seen), quote(u), quote(flag), quote(code), quote(b) FROM t WHERE id IN (2, 4, 10, 11)"
INSERT INTO n.t(id, name) VALUES (12, '');
INSERT INTO n.t(id, n) VALUES (12, -1);
UPDATE n.t SET n = n - 7 WHERE id = 2;
UPDATE n.t SET seen = '1970-01-01' WHERE id = 2;
UPDATE n.t SET b = 'none' WHERE id = 2;
SELECT id, name, n FROM n.t WHERE id IN (2, 12);
-- unique is what SQLite says: there what stands for NULL equals itself
INSERT INTO n.t(id, name, u) VALUES (13, 'z', NULL);
INSERT INTO n.t(id, name, u) VALUES (13, 'z', NULL) ON CONFLICT (u) DO NOTHING;
INSERT INTO n.t(id, name, u) VALUES (13, 'z', NULL) ON CONFLICT (u) DO UPDATE SET name = EXCLUDED.name RETURNING id, name;

-- a row whose key is stored so
CREATE FOREIGN TABLE n.w (k text OPTIONS (null_value '', key 'true'), v text) SERVER nulls;
UPDATE n.w SET v = 'changed' WHERE k IS NULL RETURNING *;
DELETE FROM n.w WHERE k IS NULL;
SELECT * FROM n.w;

-- where the option means nothing
CREATE FOREIGN TABLE n.bad (id bigint, name text OPTIONS (null_value '') NOT NULL) SERVER nulls OPTIONS ("table" 't');
SELECT * FROM n.bad;
ALTER FOREIGN TABLE n.bad ALTER name DROP NOT NULL, ALTER name TYPE vss_vector;
SELECT * FROM n.bad;
-- text that SQLite makes a number of, which is not it
ALTER FOREIGN TABLE n.t ALTER n OPTIONS (SET null_value '1.50');
INSERT INTO n.t(id, name, n) VALUES (14, 'y', NULL);
DROP SCHEMA n CASCADE;
DROP SERVER nulls;
