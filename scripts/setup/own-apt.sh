# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# own-apt.sh, to be sourced with $types set to deb or deb-src: defines `apt` as apt-get with the machine's sources of that
# type, but with separate lists in the folder $work, which is removed at the end. It needs no privileges.

: "${types:?}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    case $file in
    *.sources) sed "s/^Types:.*/Types: $types/" "$file" >"$work/parts/${file##*/}" ;;
    *.list) [ ! -f "$file" ] || sed -n "s/^deb /$types /p" "$file" >"$work/parts/${file##*/}" ;;
    esac
done
apt() {
    tool=$1
    shift
    "apt-$tool" -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/parts" \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User= "$@"
}
