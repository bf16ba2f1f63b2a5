#!/bin/sh
# debian.sh [GROUP...]: installs the Debian packages of each group (build, test, devices, vm, bench, develop; default
# build) that are missing, and nothing else. Needs root or sudo only if something is missing.
set -eu

packages() {
    case $1 in
    build) echo gcc libc6-dev binutils meson ninja-build pkg-config liburing-dev libyaml-dev ;;
    test) echo dpkg-dev g++ clang libclang-rt-14-dev libcmocka-dev python3 mandoc iproute2 ethtool
        echo curl iperf3 netcat-openbsd nftables redis-tools ;;
    devices) echo libdpdk-dev ;;
    vm) echo qemu-system-x86 busybox-static kmod dpkg-dev python3 ;;
    bench) echo python3 valgrind util-linux iproute2 ethtool libmimalloc2.0 libjemalloc2 ;;
    develop) echo clang-format clang-tidy gcovr make shellcheck ;;
    *)
        echo "debian.sh: no group \"$1\"; there are build, test, devices, vm, bench, develop" >&2
        exit 2
        ;;
    esac
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

[ $# -gt 0 ] || set -- build
wanted=
for group; do
    wanted="$wanted $(packages "$group")"
done
if ! command -v apt-get >/dev/null; then
    echo "debian.sh: no apt-get here; these Debian packages, or what they are called here, are needed:$wanted" >&2
    exit 0
fi
missing=
for package in $wanted; do
    installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "debian.sh: run as root, or install sudo; missing:$missing" >&2
        exit 1
    fi
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
    if ! install; then
        echo "debian.sh: could not install:$missing (is the network there?)" >&2
        exit 1
    fi
fi
