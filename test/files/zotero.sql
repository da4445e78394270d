-- A bibliography: values of any type in one column, checks in triggers.
CREATE TABLE version(schema TEXT PRIMARY KEY, version INT NOT NULL);
INSERT INTO version VALUES ('userdata', 120), ('compatibility', 7);
CREATE TABLE settings(setting TEXT, key TEXT, value, PRIMARY KEY (setting, key));
INSERT INTO settings VALUES ('account', 'userID', 12345), ('account', 'username', 'ann'), ('fulltext', 'ratio', 0.5), ('sync', 'blob', x'00ff'), ('sync', 'none', NULL);
CREATE TABLE items(itemID INTEGER PRIMARY KEY, itemTypeID INT NOT NULL, dateAdded TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, dateModified TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, clientDateModified TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  libraryID INT NOT NULL, key TEXT NOT NULL, version INT NOT NULL DEFAULT 0, synced INT NOT NULL DEFAULT 0, UNIQUE (libraryID, key));
INSERT INTO items VALUES (1, 2, '2024-02-29 12:34:56', '2024-02-29 12:34:57', '2024-02-29 12:34:57', 1, 'ABCD2345', 0, 0), (2, 14, '2024-03-01 00:00:00', '2024-03-01 00:00:00', '2024-03-01 00:00:00', 1, 'EFGH6789', 12, 1);
CREATE TABLE itemDataValues(valueID INTEGER PRIMARY KEY, value UNIQUE);
INSERT INTO itemDataValues VALUES (1, 'The Sea'), (2, 1999), (3, '1998'), (4, 'é');
CREATE TABLE itemData(itemID INT, fieldID INT, valueID, PRIMARY KEY (itemID, fieldID), FOREIGN KEY (itemID) REFERENCES items(itemID) ON DELETE CASCADE, FOREIGN KEY (valueID) REFERENCES itemDataValues(valueID));
INSERT INTO itemData VALUES (1, 1, 1), (1, 6, 2), (2, 1, 4);
CREATE TABLE creators(creatorID INTEGER PRIMARY KEY, firstName TEXT, lastName TEXT, fieldMode INT, UNIQUE (lastName, firstName, fieldMode));
INSERT INTO creators VALUES (1, 'Ada', 'Smith', 0), (2, '', 'WHO', 1);
CREATE TABLE itemAttachments(itemID INTEGER PRIMARY KEY, linkMode INT, contentType TEXT, path TEXT, syncState INT DEFAULT 0, storageModTime INT, lastRead INT, FOREIGN KEY (itemID) REFERENCES items(itemID) ON DELETE CASCADE);
INSERT INTO itemAttachments VALUES (2, 0, 'application/pdf', 'storage:sea.pdf', 2, 1709210096789, NULL);
CREATE TRIGGER fki_attachments BEFORE INSERT ON itemAttachments WHEN NEW.linkMode > 3 BEGIN
  SELECT RAISE(ABORT, 'linkMode must be 0 to 3');
END;
CREATE TABLE fulltextItemWords(wordID INT, itemID INT, PRIMARY KEY (wordID, itemID)) WITHOUT ROWID;
INSERT INTO fulltextItemWords VALUES (1, 2), (2, 2);
