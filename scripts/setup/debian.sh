#!/bin/sh
# SPDX-License-Identifier: MIT
# debian.sh [GROUP...]: installs the Debian packages of each group (default build) that are missing, and nothing else.
# Needs root or sudo only if a package is missing. On another system it prints the names of that system's packages and the
# command that installs them, and installs nothing. scripts/setup/packages lists the groups and names. OS_RELEASE names
# another file than /etc/os-release.
set -eu
table=$(dirname "$0")/packages

fail() {
    echo "debian.sh: $1" >&2
    exit "${2:-1}"
}

# packages COLUMN GROUP...: prints the package names, each once.
packages() {
    column=$1
    shift
    for group; do
        awk -v group="$group" -v column="$column" '$1 == group && $column != "-" { print $column }' "$table"
    done | awk '!seen[$0]++'
}

[ $# -gt 0 ] || set -- build
groups=$(awk '!/^#/ && NF && !seen[$1]++ { print $1 }' "$table" | tr '\n' ' ')
for group; do
    case " $groups" in
    *" $group "*) ;;
    *) fail "no group \"$group\"; there are: $groups" 2 ;;
    esac
done

# The first known word decides: the system's ID, then the systems in ID_LIKE.
os_release=${OS_RELEASE:-/etc/os-release}
# shellcheck disable=SC1090 # the system's own file
systems=$([ ! -r "$os_release" ] || { . "$os_release" && echo "${ID-} ${ID_LIKE-}"; })
column=
for system in $systems; do
    case $system in
    debian | ubuntu) column=2 ;;
    fedora | rhel | centos) column=3 command='dnf install' ;;
    arch) column=4 command='pacman -S --needed' ;;
    alpine) column=5 command='apk add' ;;
    esac
    [ -z "$column" ] || break
done
if [ -z "$column" ]; then
    echo "debian.sh: this system (${systems:-no $os_release}) is not known; what Debian calls these packages is needed:" \
        "$(packages 2 "$@" | tr '\n' ' ')" >&2
    exit 0
fi
if [ "$column" != 2 ]; then
    names=$(packages "$column" "$@" | tr '\n' ' ')
    [ -z "$names" ] || echo "debian.sh: needed here, unless installed: $command $names" >&2
    exit 0
fi
command -v apt-get >/dev/null || fail "this is a Debian, but there is no apt-get"

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}
missing=
for package in $(packages 2 "$@"); do
    installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "run as root, or install sudo; missing:$missing"
    root=sudo
fi
install() {
    # shellcheck disable=SC2086 # a list of words, all of them ours
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
}
echo "installing:$missing" >&2
# The lists of packages may be missing or old: fetched only when installing fails without.
if ! install 2>/dev/null; then
    $root apt-get update -qq || true
    install || fail "apt-get could not install:$missing (is the network there?)"
fi
