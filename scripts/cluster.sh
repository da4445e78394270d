# scripts/cluster.sh: a PostgreSQL server of one's own, for one run.  To be
# sourced by bash scripts.
#
# Nothing is installed into the system and nothing is left behind: PostgreSQL
# finds its files relative to its own program, so a tree of copied programs and
# symbolic links to everything else, below a temporary folder, is a full
# installation into which `make install` can put the extension.  The server
# listens on a Unix socket in that folder only, so no port can clash.
#
#	run_folder [keep]		make $RUN, or use that of the last run that kept it
#	copy_sources FOLDER		copy the sources there, of $top, for the server's user
#	regress_folder SOURCES	a folder of this run's own for the SQL tests there
#	cluster_init			make the tree and $PG_CONFIG of it, the cluster
#	cluster_start			start the server; PGHOST, PGPORT, PGUSER, PATH are set
#	cluster_stop
#	as_server COMMAND...	run as the server's user
#
# PostgreSQL refuses to run as root: called by root, the server's user is
# postgres or else nobody, and $RUN belongs to that user.  Everything ends and
# $RUN is removed when the shell exits, however it does; commands to run
# before that can be added by on_exit.
#
# The caller's language, umask, CDPATH and repository have no say: output of
# programs is read, and files must be readable for the server's user.

export LC_ALL=C.UTF-8
unset CDPATH LANGUAGE GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
set +o noclobber
umask 022
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

RUN=
KEEP=
SERVER_USER=
EXIT_COMMANDS=()

on_exit() {
	EXIT_COMMANDS+=("$*")
}

# Remove what a run leaves: all of $RUN, but the sources' copy where it is kept.
discard_run() {
	chmod -R u+rwx "$RUN" 2>/dev/null
	if [ -n "$KEEP" ]; then
		find "$RUN" -mindepth 1 -maxdepth 1 ! -name src ! -name lock -exec rm -rf {} +
	else
		rm -rf "$RUN"
	fi
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
		discard_run
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

# Can the run's files be below this folder?  The server's user must pass it and
# run programs there; make, sockets and the server's settings want a short path
# of plain characters.
folder_will_do() {
	local probe works=1
	[ -d "$1" ] && [ -w "$1" ] && [ ${#1} -le 50 ] && [[ $1 =~ ^/[A-Za-z0-9._/-]*$ ]] || return 1
	probe=$(mktemp "$1/vss.XXXXXX" 2>/dev/null) || return 1
	printf '#!/bin/sh\n' >"$probe" && chmod 755 "$probe" && as_server "$probe" 2>/dev/null && works=0
	rm -f "$probe"
	return $works
}

# The user that runs the server, when this is root.
choose_server_user() {
	id -un >/dev/null 2>&1 ||
		die "user $(id -u) has no name here, and PostgreSQL wants one; please call this as a user that is in /etc/passwd"
	[ "$(id -u)" -eq 0 ] || return 0
	for SERVER_USER in postgres nobody ''; do
		[ -z "$SERVER_USER" ] || ! id -u "$SERVER_USER" >/dev/null 2>&1 || break
	done
	[ -n "$SERVER_USER" ] || die "called by root, and there is neither a user postgres nor nobody to run a server"
	as_server true 2>/dev/null ||
		die "called by root that may not become another user here, such as $SERVER_USER; please call this as an ordinary user"
}

# The folder of this run: $RUN, below TMPDIR or another temporary folder.
run_folder() {
	local parent
	choose_server_user
	for parent in "${TMPDIR:-}" /tmp /var/tmp /dev/shm ''; do
		! folder_will_do "$parent" || break
	done
	[ -n "$parent" ] ||
		die "no temporary folder will do; please set TMPDIR to one with a short, plain path in which ${SERVER_USER:-you} may write and run programs"
	if [ -n "${1:-}" ]; then
		# Of this user and these sources.
		RUN=$parent/vss.$(id -un).$(cksum <<<"$top" | cut -d ' ' -f 1)
		[ -d "$RUN" ] || mkdir "$RUN" || die "cannot make $RUN"
		case $(stat -c %F:%U "$RUN") in
			"directory:$(id -un)" | "directory:${SERVER_USER:-$(id -un)}") ;;
			*) RUN= && die "$parent has a folder of another user in the way of --keep" ;;
		esac
		KEEP=yes
		exec 9>>"$RUN/lock"
		flock -n 9 || { RUN= && die "another run with --keep over these sources has not ended"; }
		discard_run
	else
		RUN=$(mktemp -d "$parent/vss.XXXXXX") || die "cannot make a temporary folder in $parent"
	fi
	chmod 755 "$RUN"
	[ -z "$SERVER_USER" ] || chown "$SERVER_USER" "$RUN" 2>/dev/null ||
		die "called by root that may not give files to another user here; please call this as an ordinary user"
	mkdir -m 1777 "$RUN/tmp"
	chmod 1777 "$RUN/tmp"
	export TMPDIR=$RUN/tmp
}

# Copy the sources of $top: what git would put into a commit, or else all but
# what is built.
copy_sources() {
	mkdir -p "$1" || die "cannot make $1"
	# What was built of an earlier copy stays.
	find "$1" -path "$1/build" -prune -o -type f ! -name '*.so' -exec rm -f {} +
	if (cd "$top" && git ls-files -co --exclude-standard) 2>/dev/null | grep -q .; then
		(cd "$top" && git ls-files -zco --exclude-standard | while IFS= read -r -d '' file; do
			[ ! -e "$file" ] || printf '%s\0' "$file"
		done | tar -cf - --null --no-recursion -T -) | tar -xf - -C "$1"
	else
		(cd "$top" && tar -cf - --exclude=./.git --exclude=./build --exclude='*.o' --exclude='*.so' .) |
			tar -xf - -C "$1"
	fi
	[ -e "$1/Makefile" ] || die "the sources could not be copied from $top to $1"
	[ -z "$SERVER_USER" ] || chown -R "$SERVER_USER" "$1"
}

# The SQL tests keep their databases in a folder whose name shows in their
# output.  Each run has one of its own, with a name as long as the tests' own.
regress_folder() {
	local named=/tmp/vss_fdw_regress parent pattern regress
	for parent in /tmp /var/tmp /dev/shm; do
		pattern=$parent/vss_XXXXXXXXXXXXXXX
		regress=$(mktemp -d "${pattern:0:${#named}}" 2>/dev/null) && break
	done
	[ -n "$regress" ] || die "none of /tmp, /var/tmp and /dev/shm can be written"
	on_exit "rm -rf '$regress'"
	chmod 777 "$regress"
	[ -z "$SERVER_USER" ] || chown "$SERVER_USER" "$regress"
	grep -rlF "$named" "$1"/{sql,expected,test/isolation} | xargs -r sed -i "s,$named,$regress,g"
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
	local config real
	config=$(find_server) ||
		die "PostgreSQL will not do, it lacks $(server_lacks "${PG_CONFIG:-pg_config}"); run scripts/deps or set PG_CONFIG"
	# Debian's pg_config in PATH is a wrapper; the server's own is relocatable.
	real=$("$config" --bindir)/pg_config
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
