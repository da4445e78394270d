-- What the clients' programs find: a table of their own making, and those of the vector stores.
CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT UNIQUE, embedding BLOB);
CREATE VIRTUAL TABLE items_l2 USING hnsw(dim = 3, metric = l2, content = items, content_vector = embedding);
CREATE VIRTUAL TABLE items_cosine USING hnsw(dim = 3, content = items, content_vector = embedding);
CREATE TABLE testlangchain(id UUID PRIMARY KEY, text TEXT, metadata JSON, embedding BLOB);
CREATE VIRTUAL TABLE testlangchain_index USING hnsw(dim = 3, content = testlangchain, content_vector = embedding);
CREATE TABLE llamaindex_embedding(id UUID PRIMARY KEY, external_id TEXT, collection TEXT, document TEXT,
	metadata JSON DEFAULT '{}', embeddings BLOB);
CREATE VIRTUAL TABLE llamaindex_index USING hnsw(dim = 3, content = llamaindex_embedding, content_vector = embeddings);
