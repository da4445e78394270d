-- A messenger: JSON beside columns made of it, full text that triggers keep, indexes on expressions.
CREATE TABLE conversations(id STRING PRIMARY KEY ASC, json TEXT, active_at INTEGER, type STRING, members TEXT, name TEXT, profileName TEXT, e164 TEXT, serviceId TEXT, expireTimerVersion INTEGER NOT NULL DEFAULT 1);
INSERT INTO conversations VALUES ('6f1a', '{"id":"6f1a"}', 1709210096789, 'private', NULL, 'Ann', NULL, '+4912345', 'aaaa-bbbb', 1), ('7', '{"id":"7"}', NULL, 'group', 'x y', NULL, 'Bø', NULL, NULL, 2);
CREATE INDEX conversations_active ON conversations (active_at) WHERE active_at IS NOT NULL;
CREATE TABLE messages(rowid INTEGER PRIMARY KEY ASC, id STRING UNIQUE, json TEXT, readStatus INTEGER, expires_at INTEGER, sent_at INTEGER, received_at INTEGER, conversationId STRING, type STRING, body TEXT,
  hasAttachments INTEGER, isErased INTEGER, expireTimer INTEGER,
  isStory INTEGER GENERATED ALWAYS AS (type IS 'story'), hasPreview INTEGER GENERATED ALWAYS AS (json_extract(json, '$.preview') IS NOT NULL) VIRTUAL);
CREATE VIRTUAL TABLE messages_fts USING fts5(body, tokenize = 'unicode61');
CREATE TRIGGER messages_on_insert AFTER INSERT ON messages WHEN new.isErased IS NOT 1 AND new.body IS NOT NULL BEGIN
  INSERT INTO messages_fts(rowid, body) VALUES (new.rowid, new.body);
END;
CREATE TRIGGER messages_on_update AFTER UPDATE ON messages WHEN (new.body IS NULL OR new.body IS NOT old.body) BEGIN
  DELETE FROM messages_fts WHERE rowid = old.rowid;
  INSERT INTO messages_fts(rowid, body) SELECT new.rowid, new.body WHERE new.body IS NOT NULL;
END;
CREATE TRIGGER messages_on_delete AFTER DELETE ON messages BEGIN
  DELETE FROM messages_fts WHERE rowid = old.rowid;
END;
INSERT INTO messages(id, json, readStatus, sent_at, received_at, conversationId, type, body, hasAttachments) VALUES
  ('m1', '{"id":"m1"}', 0, 1709210096789, 1, '6f1a', 'incoming', 'hello world', 0), ('m2', '{"id":"m2","preview":[1]}', 1, 1709210097000, 2, '6f1a', 'outgoing', 'how are you', 1),
  ('m3', '{"id":"m3"}', NULL, 1709210098000, 3, '7', 'story', NULL, NULL);
CREATE INDEX messages_conversation ON messages (conversationId, received_at, sent_at);
CREATE INDEX messages_preview ON messages (json_extract(json, '$.preview')) WHERE type = 'outgoing';
CREATE TABLE sessions(id STRING PRIMARY KEY, conversationId TEXT, record BLOB) WITHOUT ROWID;
INSERT INTO sessions VALUES ('a:1', '6f1a', x'0102'), ('a:2', '7', NULL);
CREATE TABLE reactions(conversationId STRING, emoji STRING, fromId STRING, messageReceivedAt INTEGER, unread INTEGER);
INSERT INTO reactions VALUES ('6f1a', '👍', '7', 1709210096789, 1), ('7', '❤', '6f1a', 5, 0);
CREATE VIEW unread AS SELECT c.name, count(*) AS n, max(m.sent_at) AS last FROM messages m JOIN conversations c ON c.id = m.conversationId WHERE m.readStatus = 0 GROUP BY c.id;
