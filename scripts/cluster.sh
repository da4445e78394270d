# scripts/cluster.sh: a PostgreSQL server of one's own, for one run.  To be
# sourced by bash scripts.
#
# Nothing is installed into the system and nothing is left behind: PostgreSQL
# finds its files relative to its own program, so a tree of copied programs and
# symbolic links to everything else, below a temporary folder, is a full
# installation into which `make install` can put the extension.  The server
# listens on a Unix socket in that folder only, so no port can clash.
#
#	cluster_init			make $RUN, the tree and $PG_CONFIG of it, the cluster
#	cluster_start			start the server; PGHOST, PGPORT, PGUSER, PATH are set
#	cluster_stop
#	as_server COMMAND...	run as the server's user
#
# PostgreSQL refuses to run as root: called by root, the server's user is
# postgres or else nobody, and $RUN belongs to that user.  Everything ends and
# $RUN is removed when the shell exits, however it does; commands to run
# before that can be added by on_exit.

RUN=
SERVER_USER=
EXIT_COMMANDS=()

on_exit() {
	EXIT_COMMANDS+=("$*")
}

cluster_cleanup() {
	local status=$? command
	trap - EXIT
	trap '' INT TERM HUP
	for command in "${EXIT_COMMANDS[@]}"; do
		eval "$command"
	done
	if [ -n "$RUN" ]; then
		cluster_stop immediate
		cd /
		chmod -R u+rwx "$RUN" 2>/dev/null
		rm -rf "$RUN"
	fi
	exit $status
}
trap cluster_cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

as_server() {
	if [ -n "$SERVER_USER" ]; then
		setpriv --reuid="$SERVER_USER" --regid="$(id -g "$SERVER_USER")" --clear-groups \
			env HOME="$RUN" USER="$SERVER_USER" LOGNAME="$SERVER_USER" "$@"
	else
		"$@"
	fi
}

# The folder of this run.  A socket's path may have only about 100 bytes, so a
# long TMPDIR is passed over for /tmp.
run_folder() {
	local parent=${TMPDIR:-/tmp}
	if [ ${#parent} -gt 60 ] || ! [ -d "$parent" ] || ! [ -w "$parent" ]; then
		parent=/tmp
	fi
	if [ "$(id -u)" -eq 0 ]; then
		for SERVER_USER in postgres nobody ''; do
			[ -z "$SERVER_USER" ] || ! id -u "$SERVER_USER" >/dev/null 2>&1 || break
		done
		[ -n "$SERVER_USER" ] || die "called by root, and there is neither a user postgres nor nobody to run a server"
		# Every folder above must let that user pass.
		setpriv --reuid="$SERVER_USER" --regid="$(id -g "$SERVER_USER")" --clear-groups \
			test -x "$parent" || parent=/tmp
	fi
	RUN=$(mktemp -d "$parent/vss.XXXXXX") || die "cannot make a temporary folder in $parent"
	chmod 755 "$RUN"
	[ -z "$SERVER_USER" ] || chown "$SERVER_USER" "$RUN"
	mkdir "$RUN/tmp"
	chmod 1777 "$RUN/tmp"
	export TMPDIR=$RUN/tmp
}

# Programs are copied, the rest is linked; $1: pg_config of the original.
private_tree() {
	local config=$1 dir
	PG_BIN=$RUN/pg$("$config" --bindir)
	mkdir -p "$PG_BIN"
	cp -a "$("$config" --bindir)/." "$PG_BIN/"
	for dir in "$("$config" --pkglibdir)" "$("$config" --sharedir)"; do
		mkdir -p "$RUN/pg$dir"
		cp -as "$dir/." "$RUN/pg$dir/"
	done
	for dir in "$("$config" --includedir)" "$("$config" --includedir-server)"; do
		[ -e "$RUN/pg$dir" ] && continue
		mkdir -p "$(dirname "$RUN/pg$dir")"
		ln -s "$dir" "$RUN/pg$dir"
	done
	[ -z "$SERVER_USER" ] || chown -R -h "$SERVER_USER" "$RUN/pg"
	export PG_CONFIG=$PG_BIN/pg_config
	[ "$("$PG_CONFIG" --bindir)" = "$PG_BIN" ] ||
		die "this PostgreSQL cannot be relocated ($PG_BIN says its programs are in $("$PG_CONFIG" --bindir))"
}

cluster_init() {
	local config=${PG_CONFIG:-pg_config} real
	"$config" --version >/dev/null 2>&1 || die "no pg_config ($config); run scripts/deps or set PG_CONFIG"
	# Debian's pg_config in PATH is a wrapper; the server's own is relocatable.
	real=$("$config" --bindir)/pg_config
	[ -x "$real" ] && [ -x "${real%/*}/postgres" ] || die "no PostgreSQL server in ${real%/*}; run scripts/deps or set PG_CONFIG"
	[ -n "$RUN" ] || run_folder
	private_tree "$real"

	# A user's settings for other servers must not steer this one.
	unset PGDATABASE PGPASSWORD PGPASSFILE PGSERVICE PGSERVICEFILE PGOPTIONS PGSSLMODE PGAPPNAME \
		PGDATA PGHOSTADDR PGCLIENTENCODING PGTZ PGDATESTYLE PGCONNECT_TIMEOUT
	export LC_ALL=C.UTF-8 PGHOST=$RUN PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	export PSQLRC=/dev/null PATH=$PG_BIN:$PATH
	as_server "$PG_BIN/initdb" -D "$RUN/data" -A trust -U postgres --no-sync -E UTF8 --locale=C.UTF-8 \
		>"$RUN/initdb.log" 2>&1 ||
		{ cat "$RUN/initdb.log" >&2; die "initdb failed (above)"; }
	cat >>"$RUN/data/postgresql.conf" <<-END
	listen_addresses = ''
	unix_socket_directories = '$RUN'
	port = 5432
	fsync = off
	full_page_writes = off
	shared_buffers = 64MB
	max_worker_processes = 16
	log_min_messages = warning
	END
}

cluster_start() {
	as_server "$PG_BIN/pg_ctl" -D "$RUN/data" -w -l "$RUN/server.log" start >"$RUN/pg_ctl.log" 2>&1 ||
		{ cat "$RUN/pg_ctl.log" "$RUN/server.log" >&2; die "the server did not start (above)"; }
}

cluster_stop() {
	[ -e "$RUN/data/postmaster.pid" ] || return 0
	as_server "$PG_BIN/pg_ctl" -D "$RUN/data" -w -m "${1:-fast}" stop >/dev/null 2>&1
}
