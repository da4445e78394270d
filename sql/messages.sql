-- Messages must tell what to do.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vss_fdw;
RESET client_min_messages;
\! rm -rf /tmp/vss_fdw_regress/messages && mkdir -p /tmp/vss_fdw_regress/messages && chmod 0777 /tmp/vss_fdw_regress /tmp/vss_fdw_regress/messages 2>/dev/null
\! sqlite3 -cmd ".load ./hnsw" /tmp/vss_fdw_regress/messages/m.db "CREATE TABLE docs(id INTEGER PRIMARY KEY, lang TEXT, embedding BLOB, plain BLOB); CREATE VIRTUAL TABLE vss USING hnsw(dim=2, content=docs, content_vector=embedding); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2500) INSERT INTO docs SELECT i, CASE WHEN i % 3 THEN 'en' ELSE 'de' END, vector('[' || (i * 7919 % 2503) || ',' || (i * 104729 % 2503) || ']'), vector('[' || i || ',1]') FROM c; SELECT hnsw_save('vss')"
\! chmod 666 /tmp/vss_fdw_regress/messages/m.db*
CREATE SERVER messages FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/messages/m.db');
CREATE SERVER messages_ro FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '/tmp/vss_fdw_regress/messages/m.db', read_only 'true');
IMPORT FOREIGN SCHEMA main FROM SERVER messages INTO public;

-- options
IMPORT FOREIGN SCHEMA main FROM SERVER messages INTO public OPTIONS (import_notnull 'true');
IMPORT FOREIGN SCHEMA main FROM SERVER messages INTO public OPTIONS (colour 'red');
CREATE FOREIGN TABLE x(id bigint) SERVER messages OPTIONS (tabel 'docs');
SELECT vss_exec('messages', 'CREATE VIRTUAL TABLE v USING hnsw(dimm = 3)');

-- texts and vectors
SELECT id FROM docs ORDER BY embedding <=> 'how do I back up' LIMIT 1;
SELECT '[1,oops]'::vss_vector;
SELECT vss_create_index('docs', 'plain');
ALTER FOREIGN TABLE docs ALTER COLUMN plain TYPE vss_vector(2);
SELECT id FROM docs ORDER BY plain <=> '[7,1]' LIMIT 1;

-- read-only: by declaration, and by the file's rights
SELECT vss_exec('messages_ro', 'DELETE FROM docs');
\! chmod 444 /tmp/vss_fdw_regress/messages/m.db
SELECT vss_fdw_disconnect('messages');
DELETE FROM docs WHERE id = 1;
\! chmod 666 /tmp/vss_fdw_regress/messages/m.db
SELECT vss_fdw_disconnect('messages');
SELECT vss_exec('messages', 'VACUUM INTO ''/tmp/vss_fdw_regress/messages/copy.db''');

-- why an index is not used
CREATE FUNCTION not_used(query text, run boolean DEFAULT false) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF' || CASE WHEN run THEN ', ANALYZE, TIMING OFF' ELSE '' END || ') ' || query LOOP
		IF line ~ 'Index|Strategy' THEN
			RETURN NEXT trim(line);
		END IF;
	END LOOP;
END $$;
SELECT not_used($$ SELECT id FROM docs ORDER BY embedding <=> '[1,2]' LIMIT 3 $$);
SELECT not_used($$ SELECT id FROM docs ORDER BY embedding <-> '[1,2]' LIMIT 3 $$);
SELECT not_used($$ SELECT id FROM docs ORDER BY embedding <=> '[1,2]' $$);
SELECT not_used($$ SELECT id FROM docs ORDER BY lang, embedding <=> '[1,2]' LIMIT 3 $$);
SELECT not_used($$ SELECT id FROM docs ORDER BY embedding <=> '[1,2]' DESC LIMIT 3 $$);
SELECT not_used($$ SELECT id FROM docs ORDER BY (embedding <=> '[1,2]') * id LIMIT 3 $$);
SELECT not_used($$ SELECT DISTINCT embedding <=> '[1,2]' AS d FROM docs ORDER BY d LIMIT 3 $$);
SELECT not_used($$ SELECT id, ntile(3) OVER (ORDER BY id) FROM docs ORDER BY embedding <=> '[1,2]' LIMIT 3 $$);
SELECT not_used($$ SELECT a.id FROM docs a, docs b WHERE b.lang = a.lang ORDER BY a.embedding <=> b.embedding LIMIT 3 $$);
SELECT not_used($$ SELECT id FROM docs WHERE id = 7 ORDER BY embedding <=> '[1,2]' LIMIT 3 $$);
SELECT not_used($$ SELECT rowid FROM vss ORDER BY distance LIMIT 3 $$);
SELECT not_used($$ SELECT id FROM docs ORDER BY lang LIMIT 3 $$);
-- known when it runs
SELECT not_used($$ SELECT id FROM docs ORDER BY embedding <=> (SELECT NULL::vss_vector) LIMIT 3 $$, true);
SELECT not_used($$ SELECT id FROM docs ORDER BY embedding <=> (SELECT '[0,0]'::vss_vector) LIMIT 3 $$, true);
-- rows that SQLite tested are counted
CREATE FUNCTION filtered(query text) RETURNS TABLE (strategy text, filtered boolean) LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
	plan := jsonb_path_query_first(plan, 'strict $.** ? (@."Metric" != "")');
	RETURN QUERY SELECT plan->>'Strategy', (plan->>'Rows Filtered')::int > 0;
END $$;
ANALYZE docs;
SELECT * FROM filtered($$ SELECT id FROM docs ORDER BY embedding <=> '[1,2]' LIMIT 3 $$);
SELECT * FROM filtered($$ SELECT id FROM docs WHERE lang = 'en' ORDER BY embedding <=> '[1,2]' LIMIT 30 $$);
-- the graph is gone
\! rm -f /tmp/vss_fdw_regress/messages/m.db-vss.hnsw*
SELECT vss_fdw_disconnect('messages');
SELECT not_used($$ SELECT id FROM docs ORDER BY embedding <=> '[1,2]' LIMIT 3 $$);
SELECT not_used($$ SELECT id FROM docs ORDER BY embedding <=> '[1,2]' LIMIT 3 $$, true);
SELECT vss_merge('vss');
SELECT not_used($$ SELECT id FROM docs ORDER BY embedding <=> '[1,2]' LIMIT 3 $$, true);

SET client_min_messages = warning;
DROP FUNCTION not_used, filtered;
DROP SERVER messages CASCADE;
DROP SERVER messages_ro CASCADE;
\! rm -rf /tmp/vss_fdw_regress/messages
