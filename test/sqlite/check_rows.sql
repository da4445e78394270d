-- hnsw_check: each kind of drift, row by row; damage; the limit; what mends it.
.load ./hnsw
CREATE TABLE d(id INTEGER PRIMARY KEY, e);
CREATE VIRTUAL TABLE v USING hnsw(dim=2, metric=l2, content=d, content_vector=e);
CREATE TEMP VIEW findings AS SELECT value AS finding FROM json_each('[' || replace(json_quote(hnsw_check('v')), '\n', '","') || ']')
;
SELECT 'empty', hnsw_check();
INSERT INTO d WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT i, vector('[' || i || ',' || (i % 7) || ']') FROM n;
SELECT 'never merged', hnsw_check();
SELECT hnsw_save();
SELECT 'merged', hnsw_check();
INSERT INTO d VALUES (301, '[1,1]'), (302, '[2,2]'), (303, NULL);
UPDATE d SET e = '[3,3]' WHERE id = 10;
DELETE FROM d WHERE id = 11;
SELECT 'changed since', hnsw_check();

.print -- changes that pass the index by
.dbconfig enable_trigger off
UPDATE d SET e = '[9,9]' WHERE id IN (20, 301);
UPDATE d SET e = NULL WHERE id IN (21, 302);
UPDATE d SET e = '[5,5]' WHERE id = 303;
DELETE FROM d WHERE id IN (22, 10);
INSERT INTO d VALUES (11, '[1,2]'), (400, '[2,2]'), (-5, '[0,0]');
UPDATE d SET id = 500 WHERE id = 23;
SELECT finding FROM findings;

.print -- rows that are no vectors
UPDATE d SET e = '[1,2,3]' WHERE id = 30;
UPDATE d SET e = 'nonsense' WHERE id = 31;
UPDATE d SET e = x'0102' WHERE id = 32;
UPDATE d SET e = 7 WHERE id = 400;
SELECT finding FROM findings WHERE finding GLOB 'row 3[012]:*' OR finding GLOB 'row 400:*';
SELECT hnsw_rebuild(), hnsw_info() ->> 'bad_rows';
UPDATE d SET e = '[1,2]' WHERE id IN (30, 31, 32, 400);
SELECT count(*) FROM d WHERE e IS NOT NULL;
SELECT hnsw_rebuild();
SELECT hnsw_check();

.print -- up to a limit
DELETE FROM d WHERE id BETWEEN 40 AND 239;
SELECT count(DISTINCT finding), min(finding GLOB 'row [0-9]*: in the index, but not in the table')
FROM findings WHERE finding LIKE 'row %';
SELECT finding FROM findings WHERE finding NOT LIKE 'row %';
SELECT hnsw_rebuild() > 0, hnsw_check();

.dbconfig enable_trigger on
.print -- a damaged file
.shell printf 'XXXXXXXX' | dd of=test.db-v.hnsw bs=1 seek=5000 conv=notrunc 2>/dev/null
SELECT finding LIKE 'graph: block % has a wrong checksum' FROM findings LIMIT 1;
SELECT hnsw_save('v', 'due') IS NULL;
SELECT hnsw_save('v', 'damaged') > 0;
SELECT hnsw_info() ->> '$.graph.state', hnsw_info() ->> '$.graph.reason';
SELECT hnsw_check();
.shell printf 'XXXXXXXX' | dd of=test.db-v.hnsw bs=1 seek=5000 conv=notrunc 2>/dev/null
SELECT finding LIKE 'graph: block % has a wrong checksum' FROM findings LIMIT 1;
SELECT 'exact then', rowid FROM v('[9,9]', 1);
SELECT hnsw_save() > 0, hnsw_check();
.shell rm test.db-v.hnsw*
SELECT hnsw_save() > 0, hnsw_check();
