-- Privileges, security-barrier views and row-level security hold although
-- conditions and changes go down to SQLite.
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
DROP ROLE IF EXISTS regress_vss_reader;
\! mkdir -p /tmp/vss_fdw_regress && chmod -f 777 /tmp/vss_fdw_regress; rm -f /tmp/vss_fdw_regress/security.db*
\! sqlite3 /tmp/vss_fdw_regress/security.db "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, team INT, secret TEXT); INSERT INTO people VALUES (1, 'ann', 1, 's-ann'), (2, 'bob', 2, 's-bob'), (3, 'cyd', 1, 's-cyd'), (4, 'dan', 2, 's-dan'), (5, 'eve', 3, 's-eve')"
\! chmod 666 /tmp/vss_fdw_regress/security.db
CREATE SERVER security FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/security.db');
CREATE SCHEMA security;
SET search_path = security, public;
CREATE FOREIGN TABLE people(id bigint, name text, team bigint, secret text) SERVER security;
CREATE ROLE regress_vss_reader;
GRANT USAGE ON SCHEMA security TO regress_vss_reader;

-- columns
GRANT SELECT (id, name), UPDATE (name) ON people TO regress_vss_reader;
SET ROLE regress_vss_reader;
SELECT id, name FROM people ORDER BY name;
SELECT secret FROM people;
SELECT id FROM people WHERE secret = 's-ann';
SELECT id FROM people ORDER BY secret;
SELECT min(secret) FROM people;
SELECT p FROM people p;
SELECT a.id FROM people a JOIN people b ON a.secret = b.secret;
UPDATE people SET name = 'Ann' WHERE id = 1 RETURNING id, name;
UPDATE people SET name = 'x' WHERE secret = 's-ann';
UPDATE people SET name = 'x' WHERE id = 1 RETURNING secret;
UPDATE people SET secret = 'x' WHERE id = 1;
DELETE FROM people WHERE id = 1;
RESET ROLE;

-- security-barrier views: a condition of the user's that tells what it sees
CREATE FUNCTION tells(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	RAISE WARNING 'told %', value;
	RETURN true;
END $$;
-- one condition that SQLite tests, one that PostgreSQL does, both
CREATE VIEW pushed WITH (security_barrier) AS SELECT * FROM people WHERE team = 1;
CREATE VIEW kept WITH (security_barrier) AS SELECT * FROM people WHERE name ~ 'b$';
CREATE VIEW open AS SELECT * FROM people WHERE name ~ 'b$';
GRANT ALL ON pushed, kept, open TO regress_vss_reader;
SET ROLE regress_vss_reader;
SELECT id FROM pushed WHERE tells(secret);
SELECT id FROM kept WHERE tells(secret);
SELECT id FROM kept WHERE tells(secret) AND id < 3;
SELECT count(*) FROM kept WHERE tells(secret);
SELECT id FROM kept WHERE tells(secret) ORDER BY id LIMIT 1;
SELECT a.id, b.id FROM kept a JOIN pushed b ON tells(a.secret || b.secret) WHERE a.team = 2;
-- an ordinary view promises nothing: the test above can fail
SELECT id FROM open WHERE tells(secret) AND id IN (2, 5);
-- changes through them, by rows and as one statement
UPDATE kept SET team = 2 WHERE tells(secret);
UPDATE pushed SET name = upper('a') WHERE tells(secret) AND id = 1;
EXPLAIN (COSTS OFF) UPDATE pushed SET name = 'b' WHERE id < 4;
UPDATE pushed SET name = 'b' WHERE id < 4 RETURNING id, tells(secret);
DELETE FROM kept WHERE tells(secret) AND id = 5;
DELETE FROM pushed WHERE id = 4 RETURNING id;
RESET ROLE;
SELECT * FROM people ORDER BY id;

-- a local table with row-level security beside it
CREATE TABLE notes(person bigint, owner text, note text);
INSERT INTO notes VALUES (1, 'regress_vss_reader', 'mine 1'), (2, 'other', 'theirs 2'), (3, 'regress_vss_reader', 'mine 3'), (4, 'other', 'theirs 4');
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (owner = current_user);
GRANT SELECT ON notes TO regress_vss_reader;
SET ROLE regress_vss_reader;
SELECT n.note FROM people p JOIN notes n ON n.person = p.id WHERE tells(n.note) ORDER BY 1;
SELECT n.note FROM notes n LEFT JOIN people p ON p.id = n.person AND tells(n.note) ORDER BY 1;
SELECT p.id FROM people p WHERE EXISTS (SELECT 1 FROM notes n WHERE n.person = p.id AND tells(n.note)) ORDER BY 1;
-- the value that a lookup is given comes of rows that the policy lets through
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT p.id FROM people p JOIN (SELECT person FROM notes OFFSET 0) n ON p.id = n.person ORDER BY 1;
RESET enable_hashjoin;
RESET enable_mergejoin;
WITH gone AS (UPDATE people SET name = 'noted' WHERE id IN (SELECT person FROM notes WHERE tells(note)) RETURNING id) SELECT * FROM gone ORDER BY 1;
RESET ROLE;

-- policies of a partitioned table hold for what is written to a foreign partition
CREATE TABLE shared(id bigint, owner text, v int) PARTITION BY RANGE (id);
\! sqlite3 /tmp/vss_fdw_regress/security.db "CREATE TABLE shared1(id INTEGER PRIMARY KEY, owner TEXT, v INT); INSERT INTO shared1 VALUES (1, 'regress_vss_reader', 1), (2, 'other', 2); CREATE TABLE shared2(id INTEGER PRIMARY KEY, owner TEXT, v INT)"
CREATE FOREIGN TABLE shared1 PARTITION OF shared FOR VALUES FROM (0) TO (10) SERVER security;
CREATE FOREIGN TABLE shared2 PARTITION OF shared FOR VALUES FROM (10) TO (20) SERVER security;
ALTER TABLE shared ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shared USING (owner = current_user) WITH CHECK (owner = current_user AND v < 10);
GRANT ALL ON shared TO regress_vss_reader;
SET ROLE regress_vss_reader;
SELECT * FROM shared;
UPDATE shared SET owner = 'other';
UPDATE shared SET v = 10;
UPDATE shared SET v = 9 RETURNING *;
UPDATE shared SET v = v + 1, id = 11;
INSERT INTO shared VALUES (3, 'other', 3);
INSERT INTO shared VALUES (3, 'regress_vss_reader', 3), (4, 'other', 4);
INSERT INTO shared VALUES (3, 'regress_vss_reader', 3), (13, 'regress_vss_reader', 4);
DELETE FROM shared WHERE v < 4 RETURNING id;
RESET ROLE;
SELECT * FROM shared ORDER BY id;
DROP TABLE shared;

-- a view's owner reads for the one who asks
CREATE VIEW names AS SELECT id, name FROM people;
REVOKE ALL ON people FROM regress_vss_reader;
GRANT SELECT ON names TO regress_vss_reader;
SET ROLE regress_vss_reader;
SELECT count(*) FROM names WHERE name = 'noted';
SELECT count(*) FROM people;
RESET ROLE;

-- joins that SQLite does: only of tables that are read with the same user's rights, each with its columns checked
\! sqlite3 /tmp/vss_fdw_regress/security.db "CREATE TABLE teams(team INTEGER PRIMARY KEY, label TEXT, budget INT); INSERT INTO teams VALUES (1, 'one', 100), (2, 'two', 200)"
CREATE FOREIGN TABLE teams(team bigint, label text, budget bigint) SERVER security;
CREATE VIEW joined AS SELECT p.id, p.name, t.label FROM people p JOIN teams t USING (team);
CREATE VIEW members AS SELECT id, name, team FROM people;
CREATE VIEW asker WITH (security_invoker) AS SELECT id, name, team FROM people;
CREATE VIEW barrier WITH (security_barrier) AS SELECT id, name, team FROM people WHERE name ~ 'd$';
CREATE FUNCTION shape(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		-- which join PostgreSQL takes for its own is none of this test's business
		IF line ~ 'Relations:' THEN RETURN NEXT trim(line);
		ELSIF line ~ 'Foreign (Scan|Update|Delete)' THEN RETURN NEXT substring(line FROM 'Foreign .*'); END IF;
	END LOOP;
END $$;
GRANT SELECT ON joined, members, asker, barrier TO regress_vss_reader;
GRANT SELECT (team, label) ON teams TO regress_vss_reader;
GRANT UPDATE ON members, asker TO regress_vss_reader;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SET ROLE regress_vss_reader;
-- both are the view's owner's
SELECT shape('SELECT * FROM joined');
SELECT id, label FROM joined ORDER BY id;
-- one is, the other the asker's own
SELECT shape('SELECT m.id, t.label FROM members m JOIN teams t USING (team)');
SELECT m.id, t.label FROM members m JOIN teams t USING (team) ORDER BY m.id;
SELECT shape('UPDATE members SET name = t.label FROM teams t WHERE t.team = members.team');
SELECT shape('SELECT m.id FROM members m WHERE EXISTS (SELECT 1 FROM teams t WHERE t.team = m.team)');
-- both are the asker's, who lacks the right to one of the tables, then to a column
SELECT a.id, t.label FROM asker a JOIN teams t USING (team);
RESET ROLE;
GRANT SELECT (id, name, team), UPDATE (name) ON people TO regress_vss_reader;
SET ROLE regress_vss_reader;
SELECT shape('SELECT a.id, t.label FROM asker a JOIN teams t USING (team)');
SELECT a.id, t.label FROM asker a JOIN teams t USING (team) ORDER BY a.id;
SELECT shape('SELECT p.id, t.label FROM people p JOIN teams t USING (team)');
SELECT p.id FROM people p JOIN teams t USING (team) WHERE t.budget > 100;
SELECT p.id, t.budget FROM people p JOIN teams t USING (team);
SELECT p.id, t FROM people p JOIN teams t USING (team);
SELECT p.id FROM people p WHERE p.team IN (SELECT budget FROM teams);
SELECT count(*) FROM people p JOIN teams t ON t.team = p.team AND p.secret = t.label;
SELECT shape('UPDATE people SET name = t.label FROM teams t WHERE t.team = people.team AND people.id = 2');
UPDATE people SET name = t.label FROM teams t WHERE t.team = people.team AND people.id = 2 RETURNING people.id, people.name;
UPDATE people SET name = t.label FROM teams t WHERE t.budget = people.team;
UPDATE people SET name = t.budget::text FROM teams t WHERE t.team = people.team;
UPDATE people SET team = t.team FROM teams t WHERE t.team = people.team;
UPDATE people SET name = t.label FROM teams t WHERE t.team = people.team RETURNING people.secret;
DELETE FROM people USING teams t WHERE t.team = people.team;
-- the rows that a barrier hides are not told, nor joined
SELECT b.id, t.label FROM barrier b JOIN teams t USING (team) WHERE tells(b.name || t.label) ORDER BY 1;
RESET ROLE;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;
SELECT id, name, team FROM people ORDER BY id;

-- a value that fits no type shows to those who may read the column, and in no condition
\! rm -f /tmp/vss_fdw_regress/misfit.db*
\! sqlite3 /tmp/vss_fdw_regress/misfit.db "CREATE TABLE m(id INTEGER PRIMARY KEY, team INT, d TEXT, j TEXT, n INT); INSERT INTO m VALUES (1, 1, '2024-01-01', '{}', 1), (2, 2, 'SECRETDATE', '{SECRETJSON', 'SECRETNUMBER')"
\! chmod 666 /tmp/vss_fdw_regress/misfit.db
CREATE SERVER misfit FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/misfit.db');
CREATE SCHEMA misfit;
CREATE FOREIGN TABLE misfit.m(id bigint, team bigint, d date, j json, n bigint) SERVER misfit;
CREATE VIEW misfit.pushed WITH (security_barrier) AS SELECT * FROM misfit.m WHERE team = 1;
CREATE VIEW misfit.kept WITH (security_barrier) AS SELECT * FROM misfit.m WHERE team::text ~ '1';
GRANT USAGE ON SCHEMA misfit TO regress_vss_reader;
GRANT SELECT ON misfit.pushed, misfit.kept TO regress_vss_reader;
SELECT d FROM misfit.m;
SELECT id FROM misfit.m WHERE d > '2023-01-01';
SET ROLE regress_vss_reader;
SELECT id FROM misfit.pushed WHERE d > '2023-01-01';
SELECT id FROM misfit.kept WHERE d > '2023-01-01';
SELECT d FROM misfit.kept;
SELECT j FROM misfit.kept;
SELECT n FROM misfit.kept;
SELECT max(d) FROM misfit.kept;
RESET ROLE;
SET client_min_messages = error;
DROP SCHEMA misfit CASCADE;
DROP SERVER misfit CASCADE;

-- a server of another wrapper is none of ours, whatever its options are called
CREATE FOREIGN DATA WRAPPER regress_other;
CREATE SERVER regress_elsewhere FOREIGN DATA WRAPPER regress_other OPTIONS (database '/tmp/vss_fdw_regress/security.db');
SELECT vss_exec('regress_elsewhere', 'DELETE FROM people');
SELECT vss_fdw_disconnect('regress_elsewhere');
SELECT vss_embed('x', 'regress_elsewhere');
DROP FOREIGN DATA WRAPPER regress_other CASCADE;

DROP SCHEMA security CASCADE;
DROP ROLE regress_vss_reader;
DROP SERVER security;
