#!/bin/sh
# Makes a Debian root file system with what borg-base needs and imports it into Docker, where no registry is in reach.
#
# Packages come from wherever this machine's own apt takes them. Run as root on Debian or a derivative with debootstrap and docker.
#
#   sudo container/base/make-base.sh                  # prints the name of the image on its last line
#   SUITE=trixie sudo -E container/base/make-base.sh  # another suite that apt knows here
#
# MORE names further packages, with commas between them; WITHOUT paths below the root that are left out; IMAGE the image to make.
set -eu

SUITE=${SUITE:-bookworm}
IMAGE=${IMAGE:-borg-rootfs:$SUITE}
PACKAGES=ca-certificates,git,python3,python3-pytest,make,gcc,libc6-dev${MORE:+,$MORE}

fail() {
    echo "make-base.sh: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "debootstrap needs root: run it with sudo"
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
command -v docker >/dev/null || fail "docker is missing: apt-get install docker.io"

# All mirrors apt knows for the suite's main component; the first one serves.
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
    awk -v suite="$SUITE" '$2 == suite && $3 == "main" { print $1; exit }')}
[ -n "$MIRROR" ] || fail "apt has no source for the suite $SUITE here: set SUITE to one that it has, or MIRROR to a mirror"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"

echo "debootstrap $SUITE from $MIRROR" >&2
debootstrap --variant=minbase --include="$PACKAGES" "$SUITE" "$work/root" "$MIRROR" >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    fail "debootstrap failed; the end of its log is above"
}

# What nobody reads in a sandbox, and what apt can fetch again.
cd "$work/root"
rm -rf usr/share/doc/* usr/share/man/* usr/share/info/* usr/share/lintian usr/share/locale/* \
    var/cache/apt/*.bin var/cache/apt/archives/*.deb var/lib/apt/lists/* var/log/*.log var/log/apt
for path in ${WITHOUT:-}; do rm -rf --one-file-system "./$path"; done
find . -xdev -name __pycache__ -type d -prune -exec rm -rf {} +

tar --numeric-owner --one-file-system -c . |
    docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$IMAGE" >&2
echo "$IMAGE"
