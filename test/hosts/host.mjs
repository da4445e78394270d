// node host.mjs DRIVER HNSW DATABASE STEPS; DRIVER: better-sqlite3, libsql, node:sqlite or bun:sqlite
import { readFileSync } from "node:fs";

const [driver, hnsw, database, steps] = process.argv.slice(2);
const module = await import(driver);

function connect() {
    const db = driver === "node:sqlite" ? new module.DatabaseSync(database, { allowExtension: true })
                                        : new (module.Database ?? module.default)(database);
    db.loadExtension(hnsw);
    db.exec("PRAGMA busy_timeout = 5000");
    return db;
}

let db = connect();
// better-sqlite3 takes ?1 for a name
const plain = (sql) => (driver === "better-sqlite3" ? sql.replace(/\?\d/g, "?") : sql);
const show = (sql, ...args) => console.log(db.prepare(plain(sql)).all(...args).map((row) => Object.values(row)[0]).join(" "));
const blob = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const bytes = (hex) => (driver === "better-sqlite3" || driver === "libsql" ? Buffer.from(hex, "hex") : blob(hex));
for (const line of readFileSync(steps, "utf8").split("\n")) {
    const [op, a, b] = line.split("\t");
    if (op === "E") db.exec(a);
    else if (op === "Q") show(a);
    else if (op === "B") show(b, bytes(a), 3);
    else if (op === "T") show(b, a, 3);
    else if (op === "F") {
        try {
            show(b, bytes(a), 3);
        } catch (e) {
            console.log(e.message.includes("dimensions") ? "refused" : e.message);
        }
    } else if (op === "C") {
        db.close();
        db = connect();
    }
}
db.close();
