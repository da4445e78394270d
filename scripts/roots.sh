# scripts/roots.sh: small Debian systems in folders, to try things in.  To be
# sourced by bash scripts, after cluster.sh; needs root and mmdebstrap.
#
#	root_base SUITE					make the smallest system of that suite, once
#	root_layer NAME FROM COMMAND...	make the system that FROM is after the command, once
#	root_with NAME FROM [+SUITE] PACKAGES...
#									likewise after the packages were installed;
#									PACKAGE/SUITE takes one of a further suite
#	in_root NAME COMMAND...			run the command in a copy of that system, which
#									is gone afterwards, in namespaces of its own
#
# The systems and the packages that were fetched stay below $ROOTS, by default
# /var/cache/vss_fdw-roots, so that a second run is quick; remove it to get new
# packages.  A copy costs nothing: it is an overlay.  $ROOT_SHARED, a folder, is
# at /shared in it.  Both end with all that they started when the shell exits.

ROOTS=${ROOTS:-/var/cache/vss_fdw-roots}
# Where this machine's own packages come from.
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(SITE)' 2>/dev/null | head -n 1)}

# The process and the layer of the copy that is in use.
ROOT_PID=
ROOT_LAYER=

root_base() {
	local suite=$1
	[ ! -e "$ROOTS/$suite/etc/debian_version" ] || return 0
	[ "$(id -u)" -eq 0 ] || die "making systems needs root"
	command -v mmdebstrap >/dev/null || die "making systems needs mmdebstrap; please install it"
	[ -n "$MIRROR" ] || die "apt names no mirror here; please set MIRROR"
	mkdir -p "$ROOTS"
	rm -rf "$ROOTS/$suite.new"
	# A mirror that stands still may serve lists that have expired.
	env -u TMPDIR mmdebstrap --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' \
		"$suite" "$ROOTS/$suite.new" "$MIRROR" >"$ROOTS/$suite.log" 2>&1 ||
		{ tail -n 20 "$ROOTS/$suite.log" >&2; die "mmdebstrap $suite failed (above)"; }
	# No service is started in there, and no package waits for the disk.
	printf '#!/bin/sh\nexit 101\n' >"$ROOTS/$suite.new/usr/sbin/policy-rc.d"
	chmod 755 "$ROOTS/$suite.new/usr/sbin/policy-rc.d"
	echo force-unsafe-io >"$ROOTS/$suite.new/etc/dpkg/dpkg.cfg.d/unsafe-io"
	echo "$suite" >"$ROOTS/$suite.suite"
	mv "$ROOTS/$suite.new" "$ROOTS/$suite"
}

# A layer is the difference to its ground; NAME.ground is the ground's name.
root_layer() {
	local name=$1 from=$2
	shift 2
	[ ! -e "$ROOTS/$name" ] || return 0
	root_open || return 1
	root_run "$from" "$@" >"$ROOTS/$name.log" 2>&1 ||
		{ root_end; tail -n 20 "$ROOTS/$name.log" >&2; die "making the system $name failed (above)"; }
	echo "$from" >"$ROOTS/$name.ground"
	cp "$ROOTS/$from.suite" "$ROOTS/$name.suite"
	mv "$ROOT_LAYER/upper" "$ROOTS/$name"
	root_end
}

root_with() {
	local name=$1 from=$2
	shift 2
	root_layer "$name" "$from" bash -c '
		set -e
		export DEBIAN_FRONTEND=noninteractive
		mirror=$1
		shift
		case $1 in
			+*)
				echo "deb $mirror ${1#+} main" >/etc/apt/sources.list.d/further.list
				shift ;;
		esac
		apt-get -q update
		apt-get -q -y install --no-install-recommends "$@"
		# The lists of a new machine are empty.
		rm -rf /var/lib/apt/lists/* /etc/apt/sources.list.d/further.list
	' - "$MIRROR" "$@"
}

in_root() {
	local status
	root_open || return 1
	root_run "$@"
	status=$?
	root_end
	return $status
}

root_open() {
	ROOT_LAYER=$(mktemp -d "$ROOTS/layer.XXXXXX") || return 1
	mkdir "$ROOT_LAYER/upper" "$ROOT_LAYER/work" "$ROOT_LAYER/root"
	chmod 755 "$ROOT_LAYER/upper"
}

# In the background, so that a signal to this shell is answered at once.
root_run() {
	local name=$1 below suite status
	shift
	below=$ROOTS/$name
	suite=$(cat "$ROOTS/$name.suite") || return 1
	mkdir -p "$ROOTS/archives/$suite/partial"
	while [ -e "$ROOTS/$name.ground" ]; do
		name=$(cat "$ROOTS/$name.ground")
		below+=:$ROOTS/$name
	done
	unshare --mount --propagation private --pid --fork --kill-child bash -c '
		set -e
		below=$1 layer=$2 archives=$3 shared=$4
		shift 4
		root=$layer/root
		mount -t overlay overlay -o "lowerdir=$below,upperdir=$layer/upper,workdir=$layer/work" "$root"
		mount -t proc proc "$root/proc"
		mount --bind /dev "$root/dev"
		mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
		mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
		mount --bind "$archives" "$root/var/cache/apt/archives"
		mkdir -p "$root/shared"
		[ -z "$shared" ] || mount --bind "$shared" "$root/shared"
		cp /etc/resolv.conf "$root/etc/resolv.conf"
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb chroot "$root" "$@"
	' - "$below" "$ROOT_LAYER" "$ROOTS/archives/$suite" "${ROOT_SHARED:-}" "$@" &
	ROOT_PID=$!
	wait "$ROOT_PID"
	status=$?
	ROOT_PID=
	return $status
}

# End what runs in the copy and remove it.
root_end() {
	if [ -n "$ROOT_PID" ]; then
		kill -KILL "$ROOT_PID" 2>/dev/null
		wait "$ROOT_PID" 2>/dev/null
		ROOT_PID=
	fi
	if [ -n "$ROOT_LAYER" ]; then
		# The last process may need a moment to end.
		rm -rf --one-file-system "$ROOT_LAYER" 2>/dev/null || { sleep 1; rm -rf --one-file-system "$ROOT_LAYER"; }
		ROOT_LAYER=
	fi
}
on_exit root_end
