-- Hosts that bind every number as a REAL, attach copies, and map result codes to
-- classes of exceptions.
.load ./hnsw
CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2);

.print whole REALs are whole numbers: ids, rowids, k, ef, LIMIT
SELECT hnsw_add(1.0, '[1,0]'), hnsw_add(2e0, '[2,0]'), typeof(hnsw_add(3.0, '[3,0]'));
INSERT INTO vss(rowid, embedding) VALUES (4.0, '[4,0]'), (5.0, '[5,0]');
UPDATE vss SET rowid = 6.0 WHERE rowid = 5.0;
SELECT rowid, typeof(rowid) FROM vss;
SELECT rowid FROM vss('[0,0]', 2.0, 100.0);
SELECT rowid FROM vss_knn('[0,0]', 2.0, 100.0, 'vss');
SELECT rowid FROM vss WHERE q = '[0,0]' AND k = 1.0;
SELECT rowid FROM vss('[0,0]') WHERE rowid IN (2.0, 4.0, 4.5);
SELECT rowid FROM vss('[0,0]') ORDER BY distance LIMIT 2.0 OFFSET 1.0;
SELECT hnsw_del(6.0), hnsw_del(7.0);
SELECT hnsw_recall(2.0, 3.0, 'vss', 50.0);
SELECT embed_config('batch_size', 10.0), embed_config('timeout', 2e3);

.print others are not
SELECT hnsw_add(1.5, '[1,0]');
SELECT hnsw_add(1e19, '[1,0]');
INSERT INTO vss(rowid, embedding) VALUES (1.5, '[1,0]');
SELECT rowid FROM vss('[0,0]', 1.5);
SELECT rowid FROM vss('[0,0]', 1, 2.5);
SELECT hnsw_recall(1.5);
SELECT embed_config('batch_size', 10.5);
SELECT embed_table('t', 'a', 'b', '1', 1.5);

.print a wrong question is an error (1), a wrong stored value a mismatch (20)
SELECT rowid FROM vss('[0,0,0]', 1);
SELECT rowid FROM vss_knn('[0,0,0]', 1);
SELECT rowid FROM vss('[0,', 1);
SELECT rowid FROM vss('[0,0]', 0);
SELECT rowid FROM vss('[0,0]', 1, 10, 'fast');
SELECT l2_distance('[1]', '[1,2]');
SELECT hnsw_add(9, '[0,0,0]');
INSERT INTO vss(rowid, embedding) VALUES (9, '[0,0,0]');

.print a name means main's table, whatever copies are attached
VACUUM INTO 'copy.db';
ATTACH 'copy.db' AS copy;
DELETE FROM copy.vss WHERE rowid < 3;
SELECT rowid FROM vss_knn('[0,0]', 1, NULL, 'vss');
SELECT rowid FROM vss_knn('[0,0]', 1);
SELECT rowid FROM vss_knn('[0,0]', 1, NULL, 'copy.vss');
SELECT hnsw_save('vss'), hnsw_save('copy.vss'), hnsw_check('vss'), hnsw_check();
.print ... except where a trigger of the copy may be asking
SELECT hnsw_add(9, '[9,9]', 'vss');
SELECT hnsw_del(1);
SELECT hnsw_add(9, '[9,9]', 'main.vss'), hnsw_del(9, 'main.vss'), hnsw_del(9, 'copy.vss');
.print ... and tables of different names stay several
CREATE VIRTUAL TABLE copy.other USING hnsw(dim = 2);
SELECT rowid FROM vss_knn('[0,0]', 1);
SELECT rowid FROM vss_knn('[0,0]', 1, NULL, 'other');
DETACH copy;
ATTACH ':memory:' AS one;
ATTACH ':memory:' AS two;
CREATE VIRTUAL TABLE one.same USING hnsw(dim = 2);
CREATE VIRTUAL TABLE two.same USING hnsw(dim = 2);
SELECT rowid FROM vss_knn('[0,0]', 1, NULL, 'same');
