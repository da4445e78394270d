-- Writing through foreign tables: INSERT, UPDATE, DELETE, COPY, TRUNCATE, with
-- RETURNING, conflicts, triggers, partitions and savepoints.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
\set VERBOSITY terse
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/modify*
\getenv top PG_ABS_SRCDIR
\setenv HNSW :top/hnsw
\! cd /tmp/vss_fdw_regress && sqlite3 -cmd ".load $HNSW" modify.db < "$PG_ABS_SRCDIR/test/data/modify.sql" && sqlite3 modify2.db "CREATE TABLE part(id INTEGER PRIMARY KEY, region TEXT, v INT)" && chmod 666 modify*
CREATE SERVER modify FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/modify.db');
CREATE SERVER modify2 FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/modify2.db');
CREATE SCHEMA modify;
SET search_path = modify, public;
IMPORT FOREIGN SCHEMA main FROM SERVER modify INTO modify;

-- INSERT: keys and defaults come from SQLite, generated columns are computed there
INSERT INTO items(name, price) VALUES ('one', 1.5), ('two', NULL) RETURNING *;
INSERT INTO items(id, name) VALUES (10, 'ten') RETURNING id, name, doubled;
INSERT INTO items DEFAULT VALUES;
INSERT INTO items(name, doubled) VALUES ('x', 5);
INSERT INTO items(id, name, price, doubled) VALUES (3, 'three', 1, DEFAULT) RETURNING doubled;
DELETE FROM items WHERE id = 3;
UPDATE items SET doubled = 1;
INSERT INTO with_defaults(v) VALUES ('x') RETURNING *;
INSERT INTO with_defaults(v, n) VALUES ('x', NULL) RETURNING v, n;
-- what SQLite stored comes back, not what was sent
INSERT INTO loose(a, b) VALUES ('12', 3) RETURNING *;

-- UPDATE and DELETE, by conditions that SQLite tests and by others
UPDATE items SET price = price + 1, name = upper(name) WHERE id < 10 RETURNING id, name, price, doubled;
UPDATE items SET name = name || '!' WHERE length(name) = 3 RETURNING name;
DELETE FROM items WHERE name LIKE 'TWO%' RETURNING *;
SELECT * FROM items ORDER BY id;

-- rows are addressed by rowid, whatever its value; no key is needed
SELECT count(*), min(v), max(v) FROM keyless;
UPDATE keyless SET v = v || '*' WHERE v IN ('minus', 'huge', 'lowest') RETURNING v;
DELETE FROM keyless WHERE v = 'minus*';
SELECT v FROM keyless ORDER BY v COLLATE "C";

-- an UPDATE that moves rows forward meets each once
UPDATE numbers SET id = id + 1000000, v = v + 1;
SELECT count(*), min(id), max(id), sum(v), count(DISTINCT v - id) FROM numbers;
UPDATE numbers SET v = (SELECT max(n.v) FROM numbers n) - v WHERE id <= 1000010;
SELECT id, v FROM numbers ORDER BY id LIMIT 3;
INSERT INTO numbers SELECT id + 2000000, v FROM numbers;
SELECT count(*) FROM numbers;
DELETE FROM numbers WHERE id IN (SELECT id FROM numbers ORDER BY id DESC LIMIT 1000);
SELECT count(*), max(id) FROM numbers;

-- WITHOUT ROWID: by primary key, which itself may change
INSERT INTO pairs VALUES ('a', 1, 'x'), ('a', 2, 'y'), ('b', 1, 'z');
UPDATE pairs SET k2 = k2 + 10, v = v || '+' WHERE k1 = 'a' RETURNING *;
DELETE FROM pairs WHERE v = 'z';
SELECT * FROM pairs ORDER BY k2;
CREATE FOREIGN TABLE pairs_short (k1 text, v text) SERVER modify OPTIONS ("table" 'pairs');
DELETE FROM pairs_short;

-- conflicts
INSERT INTO items(id, name) VALUES (10, 'again');
INSERT INTO items(id, name) VALUES (10, 'again'), (11, 'eleven') ON CONFLICT DO NOTHING RETURNING id;
INSERT INTO items(id, name) VALUES (10, 'again') ON CONFLICT (id) DO UPDATE SET name = 'x';
\set VERBOSITY sqlstate
INSERT INTO items(id, name) VALUES (10, 'again');
INSERT INTO items(name) VALUES (NULL);
INSERT INTO items(name, price) VALUES ('p', -1);
INSERT INTO child(item) VALUES (12345);
\set VERBOSITY terse

-- savepoints
BEGIN;
INSERT INTO items(name) VALUES ('kept');
SAVEPOINT a;
UPDATE items SET name = 'lost';
SAVEPOINT b;
DELETE FROM items;
SELECT count(*) FROM items;
ROLLBACK TO b;
SELECT count(*), min(name) FROM items;
ROLLBACK TO a;
INSERT INTO items(id, name) VALUES (10, 'again');
ROLLBACK TO a;
INSERT INTO items(name) VALUES ('kept, too');
RELEASE a;
COMMIT;
SELECT name FROM items WHERE name LIKE 'kept%' OR name = 'lost' ORDER BY name COLLATE "C";
DO $$
BEGIN
	FOR i IN 1 .. 5 LOOP
		BEGIN
			INSERT INTO items(name) VALUES ('loop ' || i);
			IF i % 2 = 0 THEN RAISE EXCEPTION 'undo'; END IF;
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END LOOP;
END $$;
SELECT name FROM items WHERE name LIKE 'loop%' ORDER BY name;
BEGIN;
INSERT INTO items(name) VALUES ('rolled back');
ROLLBACK;
SELECT count(*) FROM items WHERE name = 'rolled back';

-- a cursor keeps the rows of its time
BEGIN;
DECLARE c CURSOR FOR SELECT id, v FROM numbers ORDER BY id;
DECLARE d CURSOR FOR SELECT id FROM numbers;
FETCH 2 FROM c;
FETCH 1 FROM d;
SAVEPOINT a;
DELETE FROM numbers WHERE id % 2 = 1;
UPDATE numbers SET v = -1;
FETCH 2 FROM c;
MOVE FORWARD ALL IN d;
ROLLBACK TO a;
FETCH 1 FROM c;
CLOSE c;
CLOSE d;
SELECT count(*) FROM numbers WHERE v = -1;
COMMIT;

-- joins and subqueries decide which rows change
CREATE TABLE local_prices(id bigint, price double precision);
INSERT INTO local_prices VALUES (10, 99), (11, 98);
UPDATE items i SET price = p.price FROM local_prices p WHERE p.id = i.id RETURNING i.id, i.price;
DELETE FROM items i USING local_prices p WHERE p.id = i.id AND p.price < 99 RETURNING i.id, p.price;
WITH gone AS (DELETE FROM items WHERE name LIKE 'loop%' RETURNING name) SELECT count(*) FROM gone;

-- COPY, batches, TRUNCATE
COPY numbers (id, v) FROM stdin;
5	50
6	60
\.
SELECT * FROM numbers WHERE id < 10 ORDER BY id;
ALTER SERVER modify OPTIONS (ADD batch_size '7');
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO numbers SELECT i, i FROM generate_series(5000001, 5000100) i;
INSERT INTO numbers SELECT i, i FROM generate_series(5000001, 5000100) i;
SELECT count(*) FROM numbers WHERE id > 5000000;
TRUNCATE numbers;
SELECT count(*) FROM numbers;
ALTER SERVER modify OPTIONS (DROP batch_size);
-- rows go to SQLite a hundred at a time, and nobody can tell
COPY (SELECT i, i * 10 FROM generate_series(1, 250) i) TO '/tmp/vss_fdw_regress/modify.tsv';
COPY numbers (id, v) FROM '/tmp/vss_fdw_regress/modify.tsv';
\echo :ROW_COUNT
SELECT count(*), sum(v), max(id) FROM numbers;
\set VERBOSITY default
INSERT INTO numbers SELECT i, i FROM generate_series(249, 251) i;
INSERT INTO items(id, name) VALUES (1, repeat('long ', 40)), (10, NULL);
INSERT INTO half_way VALUES (1), (2), (2);
\set VERBOSITY terse
SELECT count(*) FROM half_way;
COPY numbers (id, v) FROM '/tmp/vss_fdw_regress/modify.tsv';
SELECT count(*), sum(v) FROM numbers;
-- not where something looks at the table in between: a default, a trigger behind the command
TRUNCATE numbers;
CREATE FUNCTION numbers_before() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT count(*) FROM numbers';
ALTER FOREIGN TABLE numbers ALTER v SET DEFAULT numbers_before();
COPY numbers (id) FROM stdin;
1
2
3
\.
SELECT * FROM numbers ORDER BY id;
ALTER FOREIGN TABLE numbers ALTER v DROP DEFAULT;
CREATE FUNCTION tell_numbers() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% rows', (SELECT count(*) FROM numbers); RETURN NULL; END $$;
CREATE TRIGGER tell_numbers AFTER INSERT ON numbers FOR EACH STATEMENT EXECUTE FUNCTION tell_numbers();
COPY numbers (id, v) FROM stdin;
4	4
5	5
\.
DROP TRIGGER tell_numbers ON numbers;
-- nor where SQLite passes over rows: they are not counted
COPY picky (id) FROM stdin;
1
2
1
\.
\echo :ROW_COUNT
TRUNCATE numbers;
INSERT INTO counted(v) VALUES ('a'), ('b');
TRUNCATE counted;
INSERT INTO counted(v) VALUES ('c') RETURNING id;
TRUNCATE counted RESTART IDENTITY;
INSERT INTO counted(v) VALUES ('d') RETURNING id;

-- triggers on both sides
INSERT INTO watched(v) VALUES ('row');
SELECT v FROM watched_log;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_WHEN = 'BEFORE' THEN
		NEW.v := upper(NEW.v);
	ELSE
		RAISE NOTICE '% %: % -> %', TG_WHEN, TG_OP, OLD, NEW;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION shout();
CREATE TRIGGER after_write AFTER INSERT OR UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO watched(v) VALUES ('second');
UPDATE watched SET id = id + 100 WHERE v = 'row' RETURNING *;
SELECT * FROM watched ORDER BY id;
SELECT v FROM watched_log ORDER BY rowid;
INSERT INTO guarded(v) VALUES ('refused');
INSERT INTO guarded(v) VALUES ('ignored') RETURNING v;
SELECT count(*) FROM guarded;

-- views: those that SQLite can write, when allowed
INSERT INTO item_names(name) VALUES ('through a view');
ALTER FOREIGN TABLE item_names OPTIONS (SET updatable 'true');
INSERT INTO item_names(name) VALUES ('through a view');
SELECT name FROM items WHERE name = 'through a view';
CREATE VIEW cheap AS SELECT id, name, price FROM items WHERE price < 10 WITH CHECK OPTION;
INSERT INTO cheap(name, price) VALUES ('cheap', 5) RETURNING name, price;
INSERT INTO cheap(name, price) VALUES ('dear', 50);

-- partitions: rows go where they belong, and move
CREATE TABLE parted(id bigint, region text, v bigint) PARTITION BY LIST (region);
CREATE FOREIGN TABLE part_north PARTITION OF parted FOR VALUES IN ('north') SERVER modify OPTIONS ("table" 'part');
CREATE FOREIGN TABLE part_south PARTITION OF parted FOR VALUES IN ('south') SERVER modify2 OPTIONS ("table" 'part');
CREATE TABLE part_rest PARTITION OF parted DEFAULT;
INSERT INTO parted VALUES (1, 'north', 1), (2, 'south', 2), (3, 'east', 3) RETURNING tableoid::regclass, *;
COPY parted FROM stdin;
4	north	4
5	south	5
\.
UPDATE parted SET v = v * 10 RETURNING tableoid::regclass, id, v;
UPDATE parted SET region = 'south' WHERE id = 3 RETURNING tableoid::regclass, id;
UPDATE parted SET region = 'east' WHERE id = 4;
SELECT tableoid::regclass, * FROM parted ORDER BY id;
INSERT INTO part_north VALUES (9, 'south', 9);
DELETE FROM parted WHERE v > 20 RETURNING id;

-- the index follows, and the next statement of the same transaction sees it
BEGIN;
INSERT INTO documents(content, embedding) VALUES ('first', '[1,0,0]'), ('second', '[0,1,0]'), ('third', '[0,0,1]');
SELECT content FROM documents ORDER BY embedding <=> '[0,1,0.1]' LIMIT 2;
UPDATE documents SET embedding = '[0,1,0.1]' WHERE content = 'first';
SELECT content FROM documents ORDER BY embedding <=> '[0,1,0.1]' LIMIT 2;
DELETE FROM documents WHERE content = 'first';
SELECT content FROM documents ORDER BY embedding <=> '[0,1,0.1]' LIMIT 2;
INSERT INTO documents(content, embedding) VALUES ('wrong', '[1,2]');
ROLLBACK;
SELECT count(*) FROM documents;
INSERT INTO documents(content, embedding) SELECT 'd' || i, ARRAY[i, 1, 0] FROM generate_series(1, 5) i;
SELECT content FROM documents ORDER BY embedding <=> '[0,1,0]' LIMIT 1;
-- rows chosen by their distance
UPDATE documents SET content = 'near' WHERE id IN (SELECT id FROM documents ORDER BY embedding <=> '[0,1,0]' LIMIT 2) RETURNING id;
DELETE FROM documents WHERE vss_knn(embedding, '[0,1,0]', 1) RETURNING id;

-- who may write
ALTER SERVER modify OPTIONS (ADD updatable 'false');
INSERT INTO items(name) VALUES ('no');
ALTER FOREIGN TABLE items OPTIONS (ADD updatable 'true');
INSERT INTO items(name) VALUES ('yes') RETURNING name;
TRUNCATE child;
ALTER SERVER modify OPTIONS (DROP updatable, ADD truncatable 'false');
TRUNCATE child;
ALTER SERVER modify OPTIONS (DROP truncatable, ADD read_only 'true');
INSERT INTO items(name) VALUES ('no');
DELETE FROM items;
ALTER SERVER modify OPTIONS (DROP read_only);
BEGIN TRANSACTION READ ONLY;
DELETE FROM items;
ROLLBACK;
BEGIN;
DELETE FROM child;
PREPARE TRANSACTION 'x';

SET client_min_messages = warning;
DROP SCHEMA modify CASCADE;
RESET search_path;
DROP SERVER modify CASCADE;
DROP SERVER modify2 CASCADE;
