#!/bin/sh
# SPDX-License-Identifier: MIT
# lwip.sh: fetches the source of Debian's package lwip, for the meson feature `lwip`, into build-lwip/ if it is missing.
# apt verifies the source. The script does not change the machine's package lists and needs no privileges.
set -eu
cd "$(dirname "$0")/../.."
target=build-lwip
[ ! -e $target/src/core/init.c ] || exit 0

fail() {
    echo "lwip.sh: $1; libos lwip and comparisons with it will be left out" >&2
    exit 1
}
for program in apt-get dpkg-source; do
    command -v $program >/dev/null || fail "no $program here"
done

types=deb-src
. scripts/setup/own-apt.sh

echo "fetching: the source of lwip" >&2
apt get update 2>/dev/null || true # it may fail for a repository without source packages
(cd "$work" && apt get source lwip >"$work/log" 2>&1) || {
    cat "$work/log" >&2
    fail "the source package lwip cannot be fetched (is the network there?)"
}
rm -rf $target
mv "$work"/lwip-*/ $target
