# A SQLite that was built with OMIT flags (better-sqlite3's, for one), and one
# that is newer than the headers hnsw.so was built with.
cc -shared -fPIC -o omit.so "$TOP/test/sqlite/omit.c" || exit 1
sql() {
	{
		echo '.load ./omit'
		for line; do
			case $line in
				.*) printf '%s\n' "$line" ;;
				*) printf '%s;\n' "$line" ;;
			esac
		done
	} | sqlite3 -batch -init /dev/null test.db 2>&1
}
echo "- the whole way: merges on a thread and on request, searches, a table rolled back, check"
sql "PRAGMA journal_mode = wal" \
	"CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)" \
	"CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2, content = t, content_rowid = id, content_vector = v)" \
	"INSERT INTO t SELECT value, vector('[' || value || ',1]') FROM generate_series(1, 12000)" \
	"SELECT hnsw_save() IS NOT NULL" \
	"SELECT rowid FROM vss('[7.2,1]', 3)" \
	"SELECT hnsw_recall(10, 5) > 0.9" \
	"BEGIN" "UPDATE t SET v = vector('[7.2,1]') WHERE id = 9000" "SELECT rowid FROM vss('[7.2,1]', 1)" "ROLLBACK" \
	"UPDATE t SET v = NULL WHERE id % 2 = 0" \
	"SELECT hnsw_save() IS NOT NULL" \
	"SELECT rowid FROM vss('[7.2,1]', 3)" \
	"SELECT hnsw_check()"
echo "- a process that is ended while its thread merges"
sql "INSERT INTO t SELECT value, vector('[' || value || ',2]') FROM generate_series(20001, 32000)" "SELECT count(*) FROM t"
sql "SELECT hnsw_check()"
