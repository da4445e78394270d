-- A phone's contacts: LOCALIZED and PHONEBOOK are collations of the phone.
CREATE TABLE android_metadata(locale TEXT);
INSERT INTO android_metadata VALUES ('de_DE');
CREATE TABLE contacts(_id INTEGER PRIMARY KEY AUTOINCREMENT, name_raw_contact_id INTEGER, starred INTEGER NOT NULL DEFAULT 0, lookup TEXT, contact_last_updated_timestamp INTEGER);
INSERT INTO contacts VALUES (1, 1, 0, '1r1', 1709210096789), (2, 2, 1, '2r2', 1709210097000);
CREATE TABLE raw_contacts(_id INTEGER PRIMARY KEY AUTOINCREMENT, contact_id INTEGER REFERENCES contacts(_id), display_name TEXT, phonetic_name TEXT COLLATE NOCASE, sort_key TEXT COLLATE NOCASE, dirty INTEGER NOT NULL DEFAULT 0);
INSERT INTO raw_contacts VALUES (1, 1, 'Zoë', NULL, 'Zoë', 0), (2, 2, 'anna', 'anna', 'anna', 1), (3, 2, 'Bob', 'bob', 'Bob', 0), (4, NULL, NULL, NULL, NULL, 0), (5, 1, 'Anna', 'x', 'Anna', 0);
CREATE INDEX raw_contacts_sort_key ON raw_contacts (sort_key);
CREATE TABLE data(_id INTEGER PRIMARY KEY AUTOINCREMENT, raw_contact_id INTEGER REFERENCES raw_contacts(_id) NOT NULL, mimetype_id INTEGER NOT NULL, is_primary INTEGER NOT NULL DEFAULT 0, data1 TEXT, data2 TEXT, data15 BLOB);
INSERT INTO data VALUES (1, 1, 5, 1, '+49 123', '2', NULL), (2, 2, 10, 0, NULL, NULL, x'ffd8ff');
CREATE TABLE groups(title TEXT COLLATE NOCASE, members INTEGER, PRIMARY KEY (title)) WITHOUT ROWID;
INSERT INTO groups VALUES ('Family', 2), ('work', 5), ('Ännchen', 1);
CREATE TABLE phone_lookup(data_id INTEGER REFERENCES data(_id) NOT NULL, normalized_number TEXT NOT NULL, min_match TEXT NOT NULL);
INSERT INTO phone_lookup VALUES (1, '+49123', '321');
CREATE INDEX phone_lookup_index ON phone_lookup (normalized_number, data_id);
CREATE VIRTUAL TABLE search_index USING fts4(contact_id INTEGER REFERENCES contacts(_id) NOT NULL, content TEXT, name TEXT, tokens TEXT);
INSERT INTO search_index VALUES (1, 'Zoë', 'zoe', '49123');
CREATE VIEW view_raw_contacts AS SELECT r._id AS _id, r.display_name, r.sort_key, c.starred FROM raw_contacts r LEFT OUTER JOIN contacts c ON r.contact_id = c._id;
CREATE TRIGGER raw_contacts_deleted BEFORE DELETE ON raw_contacts BEGIN
  DELETE FROM data WHERE raw_contact_id = OLD._id;
END;
PRAGMA writable_schema = 1;
UPDATE sqlite_schema SET sql = replace(replace(sql, 'sort_key TEXT COLLATE NOCASE', 'sort_key TEXT COLLATE PHONEBOOK'), 'COLLATE NOCASE', 'COLLATE LOCALIZED') WHERE tbl_name IN ('raw_contacts', 'groups');
