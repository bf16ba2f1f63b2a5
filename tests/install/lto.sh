#!/bin/sh
# SPDX-License-Identifier: MIT
# lto.sh SOURCE: install.sh on a build with link-time optimisation, as distributions make it. Speaks TAP.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
if ! { meson setup --buildtype=release -Db_lto=true -Dtests=disabled "$dir/build" "$1" && ninja -C "$dir/build"; } \
    >"$dir/log" 2>&1; then
    tail -n 20 "$dir/log" | sed 's/^/# /'
    echo 'Bail out! a build with link-time optimisation fails'
    exit 1
fi
"$1/tests/install/install.sh" "$1" "$dir/build" /usr/local
