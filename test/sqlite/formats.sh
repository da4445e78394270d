# A database of each format that was ever written: its answers are right at once, and the
# first merge makes a graph (one that was copied counts as another file's).
sql() { # [-readonly] STATEMENT...
	local how=
	[ "$1" != -readonly ] || { how=$1; shift; }
	{
		echo '.timeout 60000'
		echo '.load ./hnsw'
		for line; do
			printf '%s;\n' "$line"
		done
	} | sqlite3 -batch -init /dev/null $how "$file" 2>&1
}
questions=(
	"SELECT rowid, round(distance, 3) FROM docs('[3,1,4,1.5]', 3)"
	"SELECT rowid, round(distance, 4) FROM own('[3,1,4,1.5]', 2)"
	"SELECT hnsw_info('docs') ->> '$.rows', hnsw_info('own') ->> '$.rows'"
	"SELECT hnsw_check('docs'), hnsw_check('own')"
)
for format in 1 2; do
	file=format-$format.db
	cp "data/$file" .
	echo "- $file"
	# as it is: what can be written is brought up to date on a thread, whenever that comes to it
	sql -readonly "${questions[@]}"
	changes=("INSERT INTO documents SELECT 501, 'new', embedding FROM documents WHERE id = 50" "DELETE FROM documents WHERE id = 2")
	if [ $format = 1 ]; then
		echo "- ... written with the extension, which its triggers need, read, and merged"
		sql "${changes[@]}"
	else
		echo "- ... written by a program without the extension, read, and merged"
		printf '%s;\n' "${changes[@]}" | sqlite3 -batch -init /dev/null "$file"
	fi
	# not hnsw_check, which says whether the thread has come to it
	sql "${questions[@]:0:3}" "SELECT hnsw_save('docs'), hnsw_save('own')" \
		"SELECT hnsw_info('docs') ->> '$.graph.state', hnsw_info('own') ->> '$.graph.state'" "${questions[@]}"
	echo "- ... and since then by any program"
	sqlite3 -batch -init /dev/null "$file" "INSERT INTO documents SELECT 502, 'new', embedding FROM documents WHERE id = 50"
	sql "${questions[@]}"
done
