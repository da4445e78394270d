# Where libcurl is missing or cannot be used, only what asks an embedding server
# fails, and says so.
mkdir broken
for name in libcurl.so.4 libcurl-gnutls.so.4 libcurl-nss.so.4; do
	echo "no library" >broken/$name
done
sql() {
	printf '%s\n' '.load ./hnsw' "$1;" |
		LD_LIBRARY_PATH=$PWD/broken sqlite3 -batch -init /dev/null :memory: 2>&1 |
		sed -E 's,: (Error loading shared library )?[^ ]*libcurl\.so\.4: (.*short|Exec format error),: (why),'
}
echo "- vectors need no libcurl"
sql "SELECT vector_json(vector('[1,2]'))"
echo "- embeddings do"
sql "SELECT get_embedding('a text')"
sql "CREATE TABLE t(x TEXT, v BLOB); INSERT INTO t VALUES ('a', NULL); SELECT embed_table('t', 'x', 'v')"
