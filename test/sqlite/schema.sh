# ALTER TABLE RENAME, DROP, VACUUM, ATTACH, .dump and reload, databases without
# a file, DEFENSIVE and trusted_schema=OFF.
sql() {
	db=$1
	shift
	{
		echo '.load ./hnsw'
		for line; do
			case $line in
				.*) printf '%s\n' "$line" ;;
				*) printf '%s;\n' "$line" ;;
			esac
		done
	} | sqlite3 -batch -init /dev/null "$db" 2>&1
}
files() {
	ls | grep -E 'hnsw|idx' | grep -v '\.so' | sed -E 's/-[0-9a-f]{16}$/-TOKEN/'
}
near="SELECT '   ' || coalesce(group_concat(rowid || '@' || CAST(distance AS INTEGER), ' '), 'nothing') FROM"

echo "- rename: data, shadow tables, delta's index; the old name is free again"
sql a.db "CREATE VIRTUAL TABLE vss USING hnsw(dim = 1, metric = l2)" \
	"INSERT INTO vss(rowid, embedding) VALUES (1, '[1]'), (2, '[2]')" \
	"SELECT hnsw_save()" \
	"INSERT INTO vss(rowid, embedding) VALUES (3, '[3]')" \
	"ALTER TABLE vss RENAME TO \"new name\"" \
	"INSERT INTO \"new name\"(rowid, embedding) VALUES (4, '[4]')" \
	"$near \"new name\"('[0]', 9)" \
	"CREATE VIRTUAL TABLE vss USING hnsw(dim = 2)" \
	"SELECT name FROM sqlite_schema ORDER BY name"
files
sql a.db "$near \"new name\"('[0]', 9)" "DROP TABLE vss"
echo "- rename rolled back"
sql a.db "BEGIN" "ALTER TABLE \"new name\" RENAME TO other" "INSERT INTO other(rowid, embedding) VALUES (5, '[5]')" \
	"$near other('[0]', 9)" "ROLLBACK" "$near \"new name\"('[0]', 9)" "$near vss_knn('[0]', 9)"

echo "- VACUUM within a connection that has searched; schema changed by another process"
sql a.db "$near \"new name\"('[0]', 9)" "VACUUM" "$near \"new name\"('[0]', 9)" \
	".shell sqlite3 -batch -init /dev/null a.db 'CREATE TABLE unrelated(x)'" \
	"$near \"new name\"('[0]', 9)" "INSERT INTO \"new name\"(rowid, embedding) VALUES (5, '[5]')" \
	"$near vss_knn('[0]', 9)"

echo "- drop: shadow tables and files go, unless rolled back"
sql a.db "SELECT hnsw_save()" ".shell ls | grep -c a.db-new" \
	"BEGIN" "DROP TABLE \"new name\"" "SELECT count(*) FROM sqlite_schema" "ROLLBACK" \
	"$near \"new name\"('[0]', 9)" "DROP TABLE \"new name\"" "SELECT name FROM sqlite_schema" \
	"SELECT * FROM vss_knn('[0]', 9)"
files

echo "- dropped and made anew with another dimension, while another connection knows the old one"
sql a.db "CREATE VIRTUAL TABLE vss USING hnsw(dim = 1, metric = l2)" "INSERT INTO vss(rowid, embedding) VALUES (1, '[1]')" \
	"SELECT hnsw_save()" "$near vss('[0]', 9)" "$near vss_knn('[0]', 9)" \
	".shell sqlite3 -batch -init /dev/null a.db '.load ./hnsw' 'DROP TABLE vss' 'CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2)' \"INSERT INTO vss(rowid, embedding) VALUES (7, '[3,4]')\"" \
	"$near vss('[0,0]', 9)" "$near vss_knn('[0,0]', 9)" "$near vss('[0]', 9)"

echo "- an attached copy is an index of its own: it does not use the original's graph file, nor write to it"
rm -f a.db*
sql a.db "CREATE VIRTUAL TABLE vss USING hnsw(dim = 1, metric = l2, path = 'x.idx')" \
	"INSERT INTO vss(rowid, embedding) VALUES (1, '[1]'), (2, '[2]')" "SELECT hnsw_save()"
cp a.db b.db
sql a.db "ATTACH 'b.db' AS b" "DELETE FROM b.vss WHERE rowid = 1" "INSERT INTO main.vss(rowid, embedding) VALUES (3, '[3]')" \
	"$near main.vss('[0]', 9)" "$near b.vss('[0]', 9)" \
	"SELECT * FROM vss_knn('[0]', 9)" "SELECT * FROM vss_knn('[0]', 9, NULL, 'vss')" \
	"SELECT hnsw_add(9, '[9]')" "SELECT hnsw_add(9, '[9]', 'vss')" \
	"SELECT hnsw_add(9, '[9]', 'b.vss')" \
	"$near vss_knn('[0]', 9, NULL, 'main.vss')" "$near vss_knn('[0]', 9, NULL, 'b.vss')" \
	"DETACH b" "$near vss_knn('[0]', 9)"

echo "- an older backup beside a newer graph file"
cp a.db old.db
sql a.db "INSERT INTO vss(rowid, embedding) VALUES (4, '[4]')" "SELECT hnsw_save()"
cat old.db >a.db
sql a.db "$near vss('[0]', 9)" "SELECT hnsw_save()" "$near vss('[0]', 9)"

echo "- .dump and reload"
sql a.db "INSERT INTO vss(rowid, embedding) VALUES (5, '[5]')"
sqlite3 -batch -init /dev/null a.db .dump | sqlite3 -batch -init /dev/null c.db
sql c.db "$near vss('[0]', 9)" "INSERT INTO vss(rowid, embedding) VALUES (6, '[6]')" "SELECT hnsw_save()" "$near vss('[0]', 9)" \
	"PRAGMA integrity_check"

echo "- VACUUM INTO"
sql a.db "VACUUM INTO 'd.db'"
sql d.db "$near vss('[0]', 9)"

echo "- databases without a file keep their graph in memory"
sql :memory: "CREATE VIRTUAL TABLE vss USING hnsw(dim = 1, metric = l2, path = 'm.idx')" \
	"INSERT INTO vss(rowid, embedding) VALUES (1, '[1]'), (2, '[2]')" "SELECT hnsw_save()" "$near vss('[0]', 9)" \
	"UPDATE vss SET embedding = '[3]' WHERE rowid = 1" "$near vss('[0]', 9)" \
	"CREATE VIRTUAL TABLE temp.t USING hnsw(dim = 1, metric = l2)" \
	"INSERT INTO t(rowid, embedding) VALUES (8, '[8]')" "$near vss_knn('[0]', 9, NULL, 't')"
ls m.idx* 2>&1

echo "- DEFENSIVE and trusted_schema=OFF: the module works, shadow tables are out of reach"
sql :memory: ".dbconfig defensive on" "PRAGMA trusted_schema = OFF" \
	"CREATE TABLE docs(id INTEGER PRIMARY KEY, v TEXT)" \
	"CREATE VIRTUAL TABLE vss USING hnsw(dim = 1, metric = l2)" \
	"CREATE TRIGGER d AFTER INSERT ON docs BEGIN SELECT hnsw_add(NEW.id, NEW.v); END" \
	"CREATE VIEW near AS SELECT rowid AS id, distance FROM vss('[0]', 2)" \
	"INSERT INTO docs VALUES (1, '[1]'), (2, '[2]'), (3, '[3]')" \
	"SELECT id FROM near" \
	"UPDATE vss_config SET value = 9" "DELETE FROM vss_delta" "INSERT INTO vss_vectors VALUES (9, x'00')"

echo "- a read-only connection"
chmod 0444 d.db
sql 'file:d.db?mode=ro' "$near vss('[0]', 9)" "INSERT INTO vss(rowid, embedding) VALUES (9, '[9]')"

echo "- damaged tables are reported, not believed"
# newer shells are defensive of themselves
writable=".dbconfig defensive off"
sql c.db "$writable" "UPDATE vss_config SET value = 'nonsense' WHERE key = 'current'"
sql c.db "SELECT * FROM vss('[0]', 9)"
sql c.db "$writable" "UPDATE vss_config SET value = '' WHERE key = 'current'" "UPDATE vss_vectors SET vector = x'0000' WHERE rowid = 2"
sql c.db "SELECT * FROM vss('[0]', 9)"
sql c.db "$writable" "UPDATE vss_config SET value = 'x' WHERE key = 'dim'"
sql c.db "SELECT * FROM vss('[0]', 9)"
sql c.db "$writable" "UPDATE vss_config SET value = 99 WHERE key = 'format'" "UPDATE vss_config SET value = 1 WHERE key = 'dim'"
sql c.db "SELECT * FROM vss('[0]', 9)"
