-- The form that vectors are written in: what the column holds, whatever it was imported as.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
SET client_min_messages = notice;
\! mkdir -p /tmp/vss_fdw_regress && chmod 777 /tmp/vss_fdw_regress && rm -f /tmp/vss_fdw_regress/vform*
\! sqlite3 /tmp/vss_fdw_regress/vform.db "CREATE TABLE vform(id INTEGER PRIMARY KEY, vec BLOB); INSERT INTO vform VALUES (1, '[1,2]'); WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 5001) INSERT INTO vform SELECT i, x'0000803f00000040' FROM n; CREATE TABLE vforms(id INTEGER PRIMARY KEY, fresh BLOB, worded BLOB, bare, bare_text, lettered TEXT, said BLOB); INSERT INTO vforms VALUES (1, NULL, '[1,2]', x'0000803f00000040', '[1,2]', '[1,2]', x'0000803f00000040')"
\! chmod 666 /tmp/vss_fdw_regress/vform.db
CREATE SERVER vform FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/vform.db');
-- imported before there is an index
IMPORT FOREIGN SCHEMA main LIMIT TO (vform) FROM SERVER vform INTO public;
SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'vform'::regclass AND attname = 'vec';
SELECT vss_create_index('vform', 'vec', 'l2');
ALTER FOREIGN TABLE public.vform ALTER COLUMN vec OPTIONS (DROP column_type), ALTER COLUMN vec TYPE vss_vector(2);
INSERT INTO vform VALUES (6001, '[3,4]');
UPDATE vform SET vec = '[5,6]' WHERE id = 2;
INSERT INTO vform SELECT 6002, vec FROM vform WHERE id = 1 RETURNING id, vec;
\! sqlite3 /tmp/vss_fdw_regress/vform.db "SELECT id, typeof(vec), length(vec) FROM vform WHERE id IN (1, 2, 3) OR id > 6000"
SELECT id FROM vform ORDER BY vec <-> '[3,4]' LIMIT 1;
-- columns of other kinds; column_type has the last word
CREATE FOREIGN TABLE vforms(id bigint, fresh vss_vector, worded vss_vector, bare vss_vector, bare_text vss_vector, lettered vss_vector, said vss_vector OPTIONS (column_type 'TEXT')) SERVER vform;
INSERT INTO vforms VALUES (2, '[1,2]', '[1,2]', '[1,2]', '[1,2]', '[1,2]', '[1,2]');
UPDATE vforms SET fresh = '[1,2]', bare = bare + bare, bare_text = bare_text + bare_text WHERE id = 1;
\! sqlite3 /tmp/vss_fdw_regress/vform.db "SELECT id, typeof(fresh), typeof(worded), typeof(bare), typeof(bare_text), typeof(lettered), typeof(said) FROM vforms"
SELECT * FROM vforms ORDER BY id;
SET client_min_messages = error;
DROP SERVER vform CASCADE;
