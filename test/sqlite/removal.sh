# A program without the extension removes indexes by plain SQL: the recipe of docs/sqlite.md.
plain() {
	db=$1
	shift
	for line; do printf '%s;\n' "$line"; done | sqlite3 -batch -bail -init /dev/null "$db" 2>&1
}
loaded() {
	db=$1
	shift
	{
		echo '.load ./hnsw'
		for line; do printf '%s;\n' "$line"; done
	} | sqlite3 -batch -init /dev/null "$db" 2>&1
}
# A newer shell is defensive: the manual says how that is ended.
edit() { sqlite3 -batch -bail -init /dev/null -cmd '.dbconfig defensive off' "$@" 2>&1 | grep -v '^ *defensive off$'; }
# The two blocks of the manual, with the index's name in them.
manual=$(dirname "$0")/../../docs/sqlite.md
recipe() {
	sed -n '/^## How is an index removed without the extension/,/^Then delete/p' "$manual" |
		sed -n '/^```sql/,/^```$/p' | grep -v '^```' | sed "s/vss_/$1_/g; s/'vss'/'$1'/"
}

loaded a.db "CREATE TABLE docs(id INTEGER PRIMARY KEY, v TEXT)" "CREATE TABLE pairs(a TEXT, b INT, v TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID" \
	"CREATE TABLE loose(v TEXT)" "INSERT INTO docs VALUES (1, '[1,2]'), (2, '[2,1]')" "INSERT INTO pairs VALUES ('x', 1, '[1,2]')" "INSERT INTO loose VALUES ('[1,2]')" \
	"CREATE VIRTUAL TABLE vd USING hnsw(dim = 2, content = docs, content_vector = v)" \
	"CREATE VIRTUAL TABLE vp USING hnsw(dim = 2, content = pairs, content_vector = v)" \
	"CREATE VIRTUAL TABLE vl USING hnsw(dim = 2, content = loose, content_vector = v)" \
	"CREATE VIRTUAL TABLE own USING hnsw(dim = 2)" "INSERT INTO own(rowid, embedding) VALUES (1, '[1,2]')" \
	"SELECT hnsw_save('vd') + hnsw_save('vp') + hnsw_save('vl') + hnsw_save('own')"
echo "- without the module the table cannot be dropped"
plain a.db "DROP TABLE vd" | sed 's/^.*no such/no such/'
echo "- all but the entry goes by DROP alone, and the entry hinders nothing"
for index in vd vp vl own; do
	recipe $index | sed '/^PRAGMA/d; /^DELETE/d' >drop.sql
	sqlite3 -batch -bail -init /dev/null a.db <drop.sql 2>&1
done
plain a.db "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY name)" \
	"INSERT INTO docs VALUES (3, 'x')" "UPDATE pairs SET b = 2" "DELETE FROM loose" "ALTER TABLE docs RENAME TO texts" "ALTER TABLE texts RENAME COLUMN v TO w" \
	"CREATE TABLE other(a)" "DROP TABLE other" "VACUUM" "PRAGMA integrity_check" "SELECT count(*) FROM texts"
echo "- the entry"
for index in vd vp vl own; do
	recipe $index | sed -n '/^PRAGMA/p; /^DELETE/p' >entry.sql
	edit a.db <entry.sql
done
plain a.db "SELECT name FROM sqlite_schema ORDER BY name" "PRAGMA integrity_check"
echo "- the whole recipe at once, in a WAL database; afterwards the name is free"
loaded b.db "PRAGMA journal_mode = WAL" "CREATE TABLE docs(id INTEGER PRIMARY KEY, v TEXT)" "INSERT INTO docs VALUES (1, '[1,2]'), (2, '[2,1]')" \
	"CREATE VIRTUAL TABLE vd USING hnsw(dim = 2, content = docs, content_vector = v)" "SELECT hnsw_save()"
recipe vd >all.sql
edit b.db <all.sql
loaded b.db "SELECT count(*) FROM hnsw_indexes" "SELECT group_concat(name) FROM sqlite_schema" \
	"CREATE VIRTUAL TABLE vd USING hnsw(dim = 2, content = docs, content_vector = v)" \
	"INSERT INTO docs VALUES (3, '[1,1]')" "SELECT rowid FROM vd('[1,1]', 1)" "SELECT hnsw_save(), hnsw_check()"
