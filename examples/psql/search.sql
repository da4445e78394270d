-- psql -v database=FILE -f search.sql: the three words nearest to a question, in
-- a file that one of the other programs wrote.
CREATE SERVER words FOREIGN DATA WRAPPER vss_fdw OPTIONS (database :'database');
CREATE SCHEMA words;
IMPORT FOREIGN SCHEMA main FROM SERVER words INTO words;

SELECT content || ' ' || round((embedding <=> '[0.9, 0.2, 0.3]')::numeric, 4)
FROM   words.documents
ORDER  BY embedding <=> '[0.9, 0.2, 0.3]'
LIMIT  3;
