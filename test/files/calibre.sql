-- A library of books; its triggers and one of its views call functions that only the program has.
CREATE TABLE authors(id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, sort TEXT COLLATE NOCASE, link TEXT NOT NULL DEFAULT '', UNIQUE(name));
INSERT INTO authors(name, sort) VALUES ('Ada Smith', 'Smith, Ada'), ('Émile Roux', 'Roux, Émile'), ('anon', 'anon');
CREATE TABLE books(id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL DEFAULT 'Unknown' COLLATE NOCASE, sort TEXT COLLATE NOCASE, timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP, pubdate TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  series_index REAL NOT NULL DEFAULT 1.0, author_sort TEXT COLLATE NOCASE, path TEXT NOT NULL DEFAULT '', uuid TEXT, has_cover BOOL DEFAULT 0, last_modified TIMESTAMP NOT NULL DEFAULT '2000-01-01 00:00:00+00:00');
INSERT INTO books(title, sort, timestamp, pubdate, series_index, author_sort, path, uuid, has_cover, last_modified) VALUES
  ('The Sea', 'Sea, The', '2024-02-29 12:34:56.123456+00:00', '0101-01-01 00:00:00+00:00', 1.0, 'Smith, Ada', 'a/1', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1, '2024-02-29 12:34:56+00:00'),
  ('Été', 'Été', '2024-02-29 12:34:57+00:00', '1999-12-31 23:00:00+00:00', 2.5, 'Roux, Émile', 'b/2', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', 0, '2024-03-01 00:00:00.500000+00:00');
CREATE TABLE books_authors_link(id INTEGER PRIMARY KEY, book INTEGER NOT NULL, author INTEGER NOT NULL, UNIQUE(book, author));
INSERT INTO books_authors_link(book, author) VALUES (1, 1), (2, 2), (2, 3);
CREATE TABLE comments(id INTEGER PRIMARY KEY, book INTEGER NOT NULL, text TEXT NOT NULL COLLATE NOCASE, UNIQUE(book));
INSERT INTO comments(book, text) VALUES (1, '<p>long</p>');
CREATE TABLE data(id INTEGER PRIMARY KEY, book INTEGER NOT NULL, format TEXT NOT NULL COLLATE NOCASE, uncompressed_size INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE(book, format));
INSERT INTO data(book, format, uncompressed_size, name) VALUES (1, 'EPUB', 12345, 'sea'), (1, 'pdf', 4, 'sea');
CREATE TABLE preferences(id INTEGER PRIMARY KEY, key TEXT NOT NULL, val TEXT NOT NULL, UNIQUE(key));
INSERT INTO preferences(key, val) VALUES ('sort', '["title", true]');
CREATE INDEX authors_idx ON books (author_sort COLLATE NOCASE);
CREATE INDEX books_idx ON books (sort COLLATE NOCASE);
CREATE VIEW meta AS SELECT id, title, (SELECT sortconcat(bal.id, name) FROM books_authors_link AS bal JOIN authors ON author = authors.id WHERE book = books.id) authors FROM books;
CREATE VIEW plain_meta AS SELECT id, title, (SELECT group_concat(name, ' & ') FROM books_authors_link AS bal JOIN authors ON author = authors.id WHERE book = books.id) authors FROM books;
CREATE TRIGGER books_insert_trg AFTER INSERT ON books BEGIN
  UPDATE books SET sort = title_sort(NEW.title), uuid = uuid4() WHERE id = NEW.id;
END;
CREATE TRIGGER books_update_trg AFTER UPDATE OF title ON books WHEN OLD.title <> NEW.title BEGIN
  UPDATE books SET sort = title_sort(NEW.title) WHERE id = NEW.id;
END;
CREATE TRIGGER books_delete_trg AFTER DELETE ON books BEGIN
  DELETE FROM books_authors_link WHERE book = OLD.id;
  DELETE FROM data WHERE book = OLD.id;
  DELETE FROM comments WHERE book = OLD.id;
END;
