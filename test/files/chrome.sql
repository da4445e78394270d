-- Another browser's: microseconds since 1601, also in a column that is declared DATETIME.
CREATE TABLE meta(key LONGVARCHAR NOT NULL UNIQUE PRIMARY KEY, value LONGVARCHAR);
INSERT INTO meta VALUES ('version', '66'), ('mmap_status', '-1');
CREATE TABLE urls(id INTEGER PRIMARY KEY AUTOINCREMENT, url LONGVARCHAR, title LONGVARCHAR, visit_count INTEGER DEFAULT 0 NOT NULL, typed_count INTEGER DEFAULT 0 NOT NULL, last_visit_time INTEGER NOT NULL, hidden INTEGER DEFAULT 0 NOT NULL);
INSERT INTO urls VALUES (1, 'https://example.org/', 'Example', 2, 1, 13353683696789000, 0), (2, 'chrome://newtab/', '', 1, 0, 0, 1);
CREATE INDEX urls_url_index ON urls (url);
CREATE TABLE visits(id INTEGER PRIMARY KEY AUTOINCREMENT, url INTEGER NOT NULL, visit_time INTEGER NOT NULL, from_visit INTEGER, transition INTEGER DEFAULT 0 NOT NULL, segment_id INTEGER, visit_duration INTEGER DEFAULT 0 NOT NULL, incremented_omnibox_typed_score BOOLEAN DEFAULT FALSE NOT NULL);
INSERT INTO visits VALUES (1, 1, 13353683696789000, 0, 805306368, 0, 1500000, 0), (2, 1, 13353683699789001, 1, -2147483648, 0, 0, 1);
CREATE INDEX visits_time_index ON visits (visit_time);
CREATE TABLE cookies(creation_utc INTEGER NOT NULL, host_key TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, encrypted_value BLOB NOT NULL, expires_utc INTEGER NOT NULL, is_secure INTEGER NOT NULL, samesite INTEGER NOT NULL);
INSERT INTO cookies VALUES (13353683696789000, '.example.org', 'sid', '', x'763130ff00', 13385219696789000, 1, -1), (13353683696789001, 'example.com', 'a', 'b', x'', 0, 0, 1);
CREATE UNIQUE INDEX cookies_unique_index ON cookies (host_key, name);
CREATE TABLE downloads(id INTEGER PRIMARY KEY, guid VARCHAR NOT NULL, current_path LONGVARCHAR NOT NULL, start_time DATETIME NOT NULL, received_bytes INTEGER NOT NULL, hash BLOB NOT NULL, end_time DATETIME, opened INTEGER NOT NULL);
INSERT INTO downloads VALUES (1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '/home/a/x.zip', 13353683696789000, 100, x'aa', 13353683697789000, 0), (2, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', '/home/a/y.zip', 13353683698000000, 0, x'', NULL, 1);
CREATE TABLE keyword_search_terms(keyword_id INTEGER NOT NULL, url_id INTEGER NOT NULL, term LONGVARCHAR NOT NULL, normalized_term LONGVARCHAR NOT NULL);
INSERT INTO keyword_search_terms VALUES (2, 1, 'Sea', 'sea'), (2, 2, 'ÉTÉ', 'été');
CREATE TABLE clusters_and_visits(cluster_id INTEGER NOT NULL, visit_id INTEGER NOT NULL, score NUMERIC DEFAULT 0 NOT NULL, PRIMARY KEY (cluster_id, visit_id)) WITHOUT ROWID;
INSERT INTO clusters_and_visits VALUES (1, 1, 0.5), (1, 2, 1), (2, 2, 0.25);
