import sqlite3
import sys

hnsw, database, steps = sys.argv[1:]


def connect():
    db = sqlite3.connect(database, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(hnsw)
    return db


def show(sql, *args):
    print(*[row[0] for row in db.execute(sql, args)])


db = connect()
for line in open(steps):
    op, *rest = line.rstrip("\n").split("\t")
    if op == "E":
        db.execute(rest[0]).fetchall()
    elif op == "Q":
        show(rest[0])
    elif op == "B":
        show(rest[1], bytes.fromhex(rest[0]), 3)
    elif op == "T":
        show(rest[1], rest[0], 3)
    elif op == "F":
        try:
            show(rest[1], bytes.fromhex(rest[0]), 3)
        except sqlite3.OperationalError as e:
            print("refused" if "dimensions" in str(e) else e)
    elif op == "C":
        db.close()
        db = connect()
db.close()
