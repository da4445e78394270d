# scripts/roots.sh: small Debian systems in folders, to try things in.  To be
# sourced by bash scripts, after cluster.sh; needs root and mmdebstrap.
#
#	root_base SUITE				make the smallest system of that suite, once
#	in_root SUITE COMMAND...	run the command in a copy of it that is gone
#								afterwards, in namespaces of its own
#
# The systems and the packages that were fetched stay below $ROOTS, by default
# /var/cache/vss_fdw-roots, so that a second run is quick.  A copy costs nothing: it is
# an overlay.  $ROOT_SHARED, a folder, is at /shared in it.

ROOTS=${ROOTS:-/var/cache/vss_fdw-roots}
# Where this machine's own packages come from.
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(SITE)' 2>/dev/null | head -n 1)}

root_base() {
	local suite=$1
	[ ! -e "$ROOTS/$suite/etc/debian_version" ] || return 0
	[ "$(id -u)" -eq 0 ] || die "making systems needs root"
	command -v mmdebstrap >/dev/null || die "making systems needs mmdebstrap; please install it"
	[ -n "$MIRROR" ] || die "apt names no mirror here; please set MIRROR"
	mkdir -p "$ROOTS/archives/$suite/partial"
	rm -rf "$ROOTS/$suite.new"
	env -u TMPDIR mmdebstrap --quiet --variant=minbase "$suite" "$ROOTS/$suite.new" "$MIRROR" >"$ROOTS/$suite.log" 2>&1 ||
		{ tail -n 20 "$ROOTS/$suite.log" >&2; die "mmdebstrap $suite failed (above)"; }
	# No service is started in there.
	printf '#!/bin/sh\nexit 101\n' >"$ROOTS/$suite.new/usr/sbin/policy-rc.d"
	chmod 755 "$ROOTS/$suite.new/usr/sbin/policy-rc.d"
	mv "$ROOTS/$suite.new" "$ROOTS/$suite"
}

in_root() {
	local suite=$1 layer status
	shift
	layer=$(mktemp -d "$ROOTS/layer.XXXXXX") || return 1
	mkdir "$layer/upper" "$layer/work" "$layer/root"
	unshare --mount --propagation private --pid --fork --kill-child bash -c '
		set -e
		base=$1 layer=$2 archives=$3 shared=$4
		shift 4
		root=$layer/root
		mount -t overlay overlay -o "lowerdir=$base,upperdir=$layer/upper,workdir=$layer/work" "$root"
		mount -t proc proc "$root/proc"
		mount --bind /dev "$root/dev"
		mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
		mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
		mount --bind "$archives" "$root/var/cache/apt/archives"
		mkdir -p "$root/shared"
		[ -z "$shared" ] || mount --bind "$shared" "$root/shared"
		cp /etc/resolv.conf "$root/etc/resolv.conf"
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb chroot "$root" "$@"
	' - "$ROOTS/$suite" "$layer" "$ROOTS/archives/$suite" "${ROOT_SHARED:-}" "$@"
	status=$?
	rm -rf --one-file-system "$layer"
	return $status
}
