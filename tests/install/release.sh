#!/bin/sh
# SPDX-License-Identifier: MIT
# release.sh SOURCE BUILD: install.sh on a build of scripts/run/release, which must have the symbols of the plain BUILD.
# Speaks TAP.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

bail_out() {
    sed 's/^/# /' "$dir/log"
    echo "Bail out! $1"
    exit 1
}

# symbols BUILD: the public names of the libraries, with their versions.
symbols() {
    for library in libdmtr.so src/demi/libdemikernel.so; do
        nm -D --with-symbol-versions --defined-only "$1/$library"
    done | awk '{ print $2, $3 }'
    nm --extern-only --defined-only "$1/libdmtr.a" | awk 'NF == 3 { print $3 }'
}

"$1/scripts/run/release" --dir "$dir/build" >"$dir/log" 2>&1 || bail_out 'scripts/run/release fails'
symbols "$2" >"$dir/plain"
symbols "$dir/build" >"$dir/release"
[ -s "$dir/plain" ] || bail_out "no symbols in $2"
diff "$dir/plain" "$dir/release" >"$dir/log" || bail_out 'the release build exports other symbols than the plain build'
"$1/tests/install/install.sh" "$1" "$dir/build" /usr/local
