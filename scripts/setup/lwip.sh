#!/bin/sh
# lwip.sh: fetches the source of Debian's package lwip, for the meson feature `lwip`, into build-lwip/ unless it is there.
# apt checks what it fetches. The machine's lists of packages stay as they are, and no privileges are needed.
set -eu
cd "$(dirname "$0")/../.."
target=build-lwip
[ ! -e $target/src/core/init.c ] || exit 0

fail() {
    echo "lwip.sh: $1; libos lwip and what is compared with it will be left out" >&2
    exit 1
}
for program in apt-get dpkg-source; do
    command -v $program >/dev/null || fail "no $program here"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial"
# The machine's own sources, with source packages in place of binary ones.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    case $file in
    *.sources) sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/parts/${file##*/}" ;;
    *.list) [ ! -f "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >"$work/parts/${file##*/}" ;;
    esac
done
apt() {
    apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/parts" \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User= "$@"
}

echo "fetching: the source of lwip" >&2
apt update 2>/dev/null || true # a source without source packages is no harm
(cd "$work" && apt source lwip >"$work/log" 2>&1) || {
    cat "$work/log" >&2
    fail "the source package lwip cannot be fetched (is the network there?)"
}
rm -rf $target
mv "$work"/lwip-*/ $target
