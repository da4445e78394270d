# scripts/server.sh: which PostgreSQL to build with.  To be sourced by scripts and
# by the Makefile, so it keeps to sh.
#
#	find_server				print the pg_config to use; 1 if there is none
#	server_lacks CONFIG [build]	print what CONFIG's server lacks, nothing if it will
#							do; building needs no program postgres
#
# A server will do when its version is one of those below and both its programs
# and its headers are there.  pg_config and pgxs.mk prove neither: libpq-dev and
# postgresql-common bring them, too.  PG_CONFIG decides when it is set; then the
# pg_config in PATH, then the newest of /usr/lib/postgresql that will do.

SERVER_OLDEST=15
SERVER_NEWEST=19

# The folder where Debian keeps its servers (a test has another).
SERVER_FOLDER=${SERVER_FOLDER:-/usr/lib/postgresql}

# The major version of what CONFIG belongs to, or nothing.
server_major() {
	"$1" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9][0-9]*\).*/\1/p'
}

server_supported() {
	[ -n "$1" ] && [ "$1" -ge $SERVER_OLDEST ] && [ "$1" -le $SERVER_NEWEST ]
}

server_lacks() {
	local config=$1 major
	major=$(server_major "$config")
	if [ -z "$major" ]; then
		echo "a pg_config that runs ($config does not)"
	elif ! server_supported "$major"; then
		echo "a version from $SERVER_OLDEST to $SERVER_NEWEST (it is $major)"
	elif [ "${2:-}" != build ] && ! [ -x "$("$config" --bindir)/postgres" ]; then
		echo "the program postgres in $("$config" --bindir)"
	elif ! [ -e "$("$config" --includedir-server)/postgres.h" ]; then
		echo "the header postgres.h in $("$config" --includedir-server)"
	elif ! [ -e "$("$config" --pgxs)" ]; then
		echo "the makefile $("$config" --pgxs)"
	fi
}

find_server() {
	local config
	if [ -n "${PG_CONFIG:-}" ]; then
		[ -z "$(server_lacks "$PG_CONFIG")" ] && command -v "$PG_CONFIG"
		return
	fi
	for config in pg_config $(printf '%s\n' "$SERVER_FOLDER"/*/bin/pg_config | sort -V -r); do
		if [ -z "$(server_lacks "$config")" ]; then
			command -v "$config"
			return
		fi
	done
	return 1
}
