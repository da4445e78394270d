# Schemas that make an index use itself: an error, not the end of the stack.
# One statement a line: the shell leaves a line at its first error.
# Newer shells say less before a line's number: made equal before lines are cut.
shell() { sed 's/; /;\n/g' | sqlite3 -batch -init /dev/null "$@" 2>&1 | sed 's/^Error near line/Runtime error near line/'; }
base="CREATE TABLE docs(id INTEGER PRIMARY KEY, e TEXT);
INSERT INTO docs VALUES (1, '[1,2,3]'), (2, '[3,2,1]');
CREATE VIRTUAL TABLE vss USING hnsw(dim=3);
SELECT hnsw_add(id, e, 'vss') FROM docs;"
content="INSERT OR REPLACE INTO vss_config VALUES ('content', 'NAME'), ('content_rowid', 'id'), ('content_vector', 'e');"

# Hostile changes are made without defensive mode, then the file is opened anew.
try() {
	echo "-- $1"
	rm -f try.db*
	{ echo ".dbconfig defensive off"; echo ".output"; echo ".load ./hnsw"; echo "$base"; echo "$2"; } | shell try.db | grep -v 'defensive\|^[12]$'
	{ echo ".load ./hnsw"; echo "$3"; } | shell try.db | tee said | cut -c1-200
	awk '{ if (length($0) > longest) longest = length($0) } END { print longest < 1200 ? "of readable length" : "too long" }' said
}
reads="SELECT count(*) FROM vss; SELECT rowid FROM vss('[1,1,1]', 1); SELECT rowid FROM vss_knn('[1,1,1]', 1); SELECT hnsw_add(3, '[1,1,1]');"

try 'content is the index itself' "${content//NAME/vss} UPDATE vss_config SET value = 'rowid' WHERE key = 'content_rowid'; UPDATE vss_config SET value = 'embedding' WHERE key = 'content_vector';" "$reads"
try 'content is a view of the index' "CREATE VIEW round AS SELECT rowid AS id, distance AS e FROM vss_knn('[1,2,3]', 5); ${content//NAME/round}" "$reads"
try 'content is another virtual table' "CREATE VIRTUAL TABLE ft USING fts5(id, e); ${content//NAME/ft}" "$reads"
try 'a trigger on a table of the index' "CREATE TRIGGER deeper AFTER INSERT ON vss_delta BEGIN SELECT hnsw_add(new.label + 1, '[1,2,3]'); END;" "$reads"
try 'a trigger on the numbers of keys' "CREATE TABLE k(a TEXT PRIMARY KEY, e TEXT) WITHOUT ROWID; INSERT INTO k VALUES ('x', '[1,2,3]'); CREATE VIRTUAL TABLE kv USING hnsw(dim=3, content=k, content_rowid=a, content_vector=e); CREATE TRIGGER deeper AFTER INSERT ON kv_keys BEGIN SELECT 1; END;" "SELECT count(*) FROM kv;"
try 'a long name in every message' "CREATE VIEW \"$(printf '%5000s' | tr ' ' n)\" AS SELECT 1; ${content//NAME/$(printf '%5000s' | tr ' ' n)}" "$reads"
views=
for i in $(seq 1 40); do
	views="$views CREATE VIRTUAL TABLE v$i USING hnsw(dim=3);"
done
for i in $(seq 1 39); do
	views="$views DROP TABLE v${i}_config; CREATE VIEW v${i}_config AS SELECT rowid AS key, embedding AS value FROM v$((i + 1));"
done
try 'parameters that another index gives, 40 deep' "$views" "SELECT count(*) FROM v1;"

echo "-- the same trigger, made while the index is open"
rm -f try.db*
{ echo ".load ./hnsw"; echo "$base"; echo "CREATE TRIGGER deeper AFTER INSERT ON vss_delta BEGIN SELECT hnsw_add(new.label + 1, '[1,2,3]'); END;"
	echo "SELECT hnsw_add(3, '[1,1,1]'); SELECT count(*) FROM vss_vectors; SELECT count(*) FROM vss_delta;"; } | shell try.db | grep -v '^[12]$' | cut -c1-300
echo "-- dropped, all is well"
{ echo ".load ./hnsw"; echo "DROP TRIGGER deeper; SELECT hnsw_add(3, '[1,1,1]'); SELECT count(*) FROM vss;"; } | shell try.db
echo "-- triggers that only this connection has, made while the index is open"
for what in "hnsw_add(new.label + 1, '[1,2,3]')" "hnsw_del(1)"; do
	for table in vss_delta vss_config; do
		rm -f try.db*
		{ echo ".load ./hnsw"; echo "$base"; echo "CREATE TEMP TRIGGER deeper AFTER $([ $table = vss_delta ] && echo INSERT || echo UPDATE) ON $table BEGIN SELECT ${what//new.label/$([ $table = vss_delta ] && echo new.label || echo 7)}; END;"
			echo "SELECT hnsw_add(3, '[1,1,1]'); INSERT INTO vss(rowid, embedding) VALUES (4, '[2,2,2]'); DROP TRIGGER temp.deeper; SELECT 'rows', count(*) FROM vss; SELECT hnsw_check('vss');"; } | shell try.db | grep -v '^[1234]$' | cut -c1-200
	done
done

echo "-- an owner who puts a view in the place of the table can drop both"
rm -f try.db*
{ echo ".load ./hnsw"; echo "CREATE TABLE docs(id INTEGER PRIMARY KEY, e TEXT); INSERT INTO docs VALUES (1, '[1,2,3]'); CREATE VIRTUAL TABLE vss USING hnsw(dim=3, content=docs, content_rowid=id, content_vector=e);"; echo "DROP TABLE docs; CREATE VIEW docs AS SELECT 1 AS id, '[1,2,3]' AS e;"; } | shell try.db
{ echo ".load ./hnsw"; echo "SELECT count(*) FROM vss; DROP VIEW docs; DROP TABLE vss; SELECT count(*) FROM sqlite_schema;"; } | shell try.db

echo "-- a graph file does not lie where a database's files do"
for name in other.db-wal other.db-journal other.db-shm try.db-wal; do
	{ echo ".load ./hnsw"; echo "CREATE VIRTUAL TABLE p USING hnsw(dim=3, path='$name');"; } | shell try.db
done
