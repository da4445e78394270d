-- A browser's history and bookmarks: microseconds since 1970.
CREATE TABLE moz_origins(id INTEGER PRIMARY KEY, prefix TEXT NOT NULL, host TEXT NOT NULL, frecency INTEGER NOT NULL, UNIQUE (prefix, host));
INSERT INTO moz_origins VALUES (1, 'https://', 'example.org', 100), (2, 'http://', 'example.com', 0);
CREATE TABLE moz_places(id INTEGER PRIMARY KEY, url LONGVARCHAR, title LONGVARCHAR, rev_host LONGVARCHAR, visit_count INTEGER DEFAULT 0, hidden INTEGER DEFAULT 0 NOT NULL, typed INTEGER DEFAULT 0 NOT NULL, frecency INTEGER DEFAULT -1 NOT NULL,
  last_visit_date INTEGER, guid TEXT, foreign_count INTEGER DEFAULT 0 NOT NULL, url_hash INTEGER DEFAULT 0 NOT NULL, description TEXT, origin_id INTEGER REFERENCES moz_origins(id));
INSERT INTO moz_places VALUES (1, 'https://example.org/', 'Example', 'gro.elpmaxe.', 3, 0, 1, 2000, 1709210096789000, 'aaaaaaaaaaaa', 1, 125508604483323, NULL, 1), (2, 'http://example.com/ä?q=1', NULL, 'moc.elpmaxe.', 0, 1, 0, -1, NULL, 'bbbbbbbbbbbb', 0, -47356411089529, 'words', 2);
CREATE INDEX moz_places_url_hashindex ON moz_places (url_hash);
CREATE INDEX moz_places_lastvisitdateindex ON moz_places (last_visit_date);
CREATE UNIQUE INDEX moz_places_guid_uniqueindex ON moz_places (guid);
CREATE TABLE moz_historyvisits(id INTEGER PRIMARY KEY, from_visit INTEGER, place_id INTEGER, visit_date INTEGER, visit_type INTEGER, session INTEGER);
INSERT INTO moz_historyvisits VALUES (1, 0, 1, 1709210096789000, 1, 0), (2, 1, 1, 1709210097000001, 2, 0);
CREATE TABLE moz_bookmarks(id INTEGER PRIMARY KEY, type INTEGER, fk INTEGER DEFAULT NULL, parent INTEGER, position INTEGER, title LONGVARCHAR, dateAdded INTEGER, lastModified INTEGER, guid TEXT);
INSERT INTO moz_bookmarks VALUES (1, 2, NULL, 0, 0, '', 1709210096789000, 1709210096789000, 'root________'), (2, 1, 1, 1, 0, 'Example', 1709210096789000, 1709210096789001, 'cccccccccccc');
CREATE TABLE moz_meta(key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
INSERT INTO moz_meta VALUES ('origin_frecency_count', 2), ('sync/lastSync', '1709210096.79'), ('stats', 1.5);
CREATE TABLE moz_cookies(id INTEGER PRIMARY KEY, originAttributes TEXT NOT NULL DEFAULT '', name TEXT, value TEXT, host TEXT, path TEXT, expiry INTEGER, lastAccessed INTEGER, isSecure INTEGER, inBrowserElement INTEGER DEFAULT 0,
  CONSTRAINT moz_uniqueid UNIQUE (name, host, path, originAttributes));
INSERT INTO moz_cookies VALUES (1, '', 'sid', 'abc=', '.example.org', '/', 1740746096, 1709210096789000, 1, 0);
CREATE TABLE moz_icons(id INTEGER PRIMARY KEY, icon_url TEXT NOT NULL, width INTEGER NOT NULL DEFAULT 0, data BLOB);
INSERT INTO moz_icons VALUES (1, 'https://example.org/i.svg', 65535, x'3c7376673e');
