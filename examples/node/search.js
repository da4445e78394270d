// search.js HNSW DATABASE: the three words nearest to a question.
import Database from "better-sqlite3";

const [hnsw, file] = process.argv.slice(2);
const words = [
    ["pear", [0.8, 0.2, 0.3]], ["Birne", [0.8, 0.2, 0.35]], ["lemon", [0.1, 0.9, 0.1]],
    ["Zitrone", [0.1, 0.9, 0.15]], ["carrot", [0.4, 0.1, 0.9]], ["Möhre", [0.4, 0.1, 0.95]],
];
// a vector as the extension stores it: float32, little-endian
const blob = (vector) => Buffer.from(new Float32Array(vector).buffer);

const db = new Database(file);
db.loadExtension(hnsw);
db.exec(`
    CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT NOT NULL, embedding BLOB);
    CREATE VIRTUAL TABLE vss USING hnsw(dim = 3, content = documents, content_rowid = id, content_vector = embedding);
`);
const insert = db.prepare("INSERT INTO documents(content, embedding) VALUES (?, ?)");
db.transaction(() => words.forEach(([word, vector]) => insert.run(word, blob(vector))))();

const nearest = db.prepare(`
    SELECT d.content, k.distance FROM vss_knn(?, 3) AS k JOIN documents d ON d.id = k.rowid ORDER BY k.distance`);
for (const row of nearest.all(blob([0.9, 0.2, 0.3])))
    console.log(`${row.content} ${row.distance.toFixed(4)}`);
db.close();
