-- Fixture of sql/modify.sql.
PRAGMA foreign_keys = on;
CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'unnamed', price REAL CHECK (price IS NULL OR price >= 0),
	doubled REAL GENERATED ALWAYS AS (price * 2));
CREATE TABLE child(id INTEGER PRIMARY KEY, item INTEGER REFERENCES items(id));
CREATE TABLE with_defaults(v TEXT, n INT DEFAULT (40 + 2), t TEXT DEFAULT 'none');
CREATE TABLE loose(a INTEGER, b TEXT);
CREATE TABLE keyless(v TEXT);
INSERT INTO keyless(rowid, v) VALUES (1, 'one'), (-5, 'minus'), (9223372036854775807, 'huge'),
	(-9223372036854775808, 'lowest'), (140737488355328, '2^47'), (140737488355327, '2^47-1');
CREATE TABLE numbers(id INTEGER PRIMARY KEY, v INT);
INSERT INTO numbers WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i, i FROM n;
CREATE TABLE pairs(k1 TEXT, k2 INT, v TEXT, PRIMARY KEY (k1, k2)) WITHOUT ROWID;
CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);
CREATE TABLE watched(id INTEGER PRIMARY KEY, v TEXT);
CREATE TABLE watched_log(rowid INTEGER PRIMARY KEY, v TEXT);
CREATE TRIGGER watched_ai AFTER INSERT ON watched BEGIN
	INSERT INTO watched_log(v) VALUES ('inserted ' || NEW.v);
END;
CREATE TRIGGER watched_au AFTER UPDATE ON watched BEGIN
	INSERT INTO watched_log(v) VALUES (OLD.id || ' became ' || NEW.id);
END;
CREATE TABLE guarded(v TEXT);
CREATE TRIGGER guarded_bi BEFORE INSERT ON guarded BEGIN
	SELECT CASE NEW.v WHEN 'refused' THEN RAISE(ABORT, 'not that one') ELSE RAISE(IGNORE) END;
END;
CREATE VIEW item_names AS SELECT id, name FROM items;
CREATE TRIGGER item_names_ii INSTEAD OF INSERT ON item_names BEGIN
	INSERT INTO items(name) VALUES (NEW.name);
END;
CREATE TABLE part(id INTEGER PRIMARY KEY, region TEXT, v INT);
CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT, embedding BLOB);
CREATE VIRTUAL TABLE vss USING hnsw(dim=3, content=documents, content_rowid=id, content_vector=embedding);
CREATE TABLE picky(id INTEGER PRIMARY KEY ON CONFLICT IGNORE);
