-- The first lines of the documentation, as typed.
.load ./hnsw
.headers on
CREATE TABLE IF NOT EXISTS documents(
  id INTEGER PRIMARY KEY, content TEXT NOT NULL, embedding TEXT NOT NULL);

CREATE VIRTUAL TABLE IF NOT EXISTS vss USING hnsw(
    dim       = 384,      -- embedding size
    m         = 16,       -- graph degree
    ef        = 200,      -- build accuracy
    path      = 'hnsw.idx'-- on-disk snapshot (optional)
);

CREATE TRIGGER IF NOT EXISTS docs_ai AFTER INSERT ON documents BEGIN
  SELECT hnsw_add(NEW.id, NEW.embedding);
END;
CREATE TRIGGER IF NOT EXISTS docs_ad AFTER DELETE ON documents BEGIN
  SELECT hnsw_del(OLD.id);
END;

-- Document n turns away from axis 0 towards axis 1 as n grows.
WITH RECURSIVE
  n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25),
  axis(a) AS (SELECT 0 UNION ALL SELECT a + 1 FROM axis WHERE a < 383)
INSERT INTO documents(content, embedding)
SELECT 'document ' || i,
       json((SELECT json_group_array(CASE a WHEN 0 THEN 50 - i WHEN 1 THEN i ELSE 0 END)
             FROM axis))
FROM n;

.parameter init
INSERT INTO temp.sqlite_parameters VALUES(':query_vec', json('[1' || replace(hex(zeroblob(383)), '00', ',0') || ']'));

SELECT d.id, d.content, k.distance
FROM   vss_knn(:query_vec, 10) AS k
JOIN   documents d ON d.id = k.rowid
ORDER  BY k.distance;

-- Distances are 1 - cos of the angle.
SELECT count(*), max(abs(distance - (1 - (50 - rowid) / sqrt((50 - rowid) * (50 - rowid) + rowid * rowid)))) < 1e-9
  AS right FROM vss_knn(:query_vec, 25);

-- The same from the graph, now in the file that path names.
SELECT hnsw_save();
.shell ls hnsw.idx
SELECT d.content FROM vss_knn(:query_vec, 3) AS k JOIN documents d ON d.id = k.rowid ORDER BY k.distance;

-- The triggers at work.
DELETE FROM documents WHERE id = 2;
INSERT INTO documents SELECT 100, 'document 100', embedding FROM documents WHERE id = 1;
SELECT d.content FROM vss_knn(:query_vec, 3) AS k JOIN documents d ON d.id = k.rowid ORDER BY k.distance;

-- Everything again: IF NOT EXISTS.
CREATE VIRTUAL TABLE IF NOT EXISTS vss USING hnsw(dim = 384);
