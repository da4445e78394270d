"""search.py HNSW DATABASE: the three words nearest to a question."""
import array
import sqlite3
import sys

hnsw, database = sys.argv[1:]
words = [
    ("pear", [0.8, 0.2, 0.3]), ("Birne", [0.8, 0.2, 0.35]), ("lemon", [0.1, 0.9, 0.1]),
    ("Zitrone", [0.1, 0.9, 0.15]), ("carrot", [0.4, 0.1, 0.9]), ("Möhre", [0.4, 0.1, 0.95]),
]


def blob(vector):
    """A vector as the extension stores it: float32, little-endian."""
    floats = array.array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tobytes()


db = sqlite3.connect(database)
db.enable_load_extension(True)
db.load_extension(hnsw)
db.enable_load_extension(False)

with db:
    db.execute("CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT NOT NULL, embedding BLOB)")
    db.execute("CREATE VIRTUAL TABLE vss USING hnsw(dim = 3, content = documents, content_rowid = id,"
               " content_vector = embedding)")
    db.executemany("INSERT INTO documents(content, embedding) VALUES (?, ?)",
                   [(word, blob(vector)) for word, vector in words])

for content, distance in db.execute(
        "SELECT d.content, k.distance FROM vss_knn(?, 3) AS k JOIN documents d ON d.id = k.rowid"
        " ORDER BY k.distance", (blob([0.9, 0.2, 0.3]),)):
    print(f"{content} {distance:.4f}")
db.close()
