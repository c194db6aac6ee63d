#!/bin/sh
# Makes borg-test-runners: borg-base with node, cargo and go beside Python, as the distribution packages them. What the suite of planted
# cheats (tests/cheats/) runs in; nothing of borg itself uses it.
#
# Packages come from wherever this machine's own apt takes them. Run as root on Debian or a derivative with debootstrap and docker.
#
#   sudo tests/image/make.sh
set -eu

cd "$(dirname "$0")/../.."
tag=${1:-borg-test-runners:latest}
suite=${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}

# Go's own tests, and its compiler as a library, are for those who build Go.
rootfs=$(SUITE="$suite" IMAGE="borg-rootfs-runners:$suite" MORE=nodejs,cargo,rustc,golang-go \
    WITHOUT='usr/share/go-*/test usr/share/go-*/src/cmd/compile usr/lib/go-*/pkg/linux_*/cmd' \
    container/base/make-base.sh | tail -n 1)
[ -n "$rootfs" ] || exit 1
# Everything is there already, so this needs no network.
docker build --quiet --build-arg BASE_IMAGE="$rootfs" --tag "$tag" container/base >/dev/null

# A runner that is missing would make a cheat look caught.
docker run --rm --network none --entrypoint /bin/sh "$tag" -euc '
    python3 --version; python3 -m pytest --version; node --version; cargo --version; rustc --version; go version; make --version | head -n 1' >&2
echo "$tag"
