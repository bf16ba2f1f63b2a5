# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034 # the sourcing script reads $why
# chroot.sh, to be sourced in the root of the tree: makes chroots of Debian releases with debootstrap, and copies the tree
# into them.

suite_of() {
    case $1 in
    debian-12) echo bookworm ;;
    debian-13) echo trixie ;;
    unstable) echo sid ;;
    esac
}

# make_chroot RELEASE DIR: makes the chroot if it is missing. On failure $why has the reason.
make_chroot() {
    [ ! -e "$2/.complete" ] || return 0
    why="this needs root"
    [ "$(id -u)" = 0 ] || return 1
    why="namespaces cannot be made here (unshare)"
    unshare --mount --pid --fork true 2>/dev/null || return 1
    why="debootstrap cannot be installed"
    scripts/setup/debian.sh distributions && command -v debootstrap >/dev/null || return 1
    why="/etc/apt names no mirror of Debian"
    for mirror in $(python3 scripts/setup/mirrors.py); do
        # Nothing is ever mounted here: in-chroot keeps its mounts to itself.
        rm -rf --one-file-system "$2"
        mkdir -p "$2"
        echo "making: $1 in $2, from $mirror" >&2
        if timeout 1800 debootstrap --variant=minbase "$(suite_of "$1")" "$2" "$mirror" >"$2.log" 2>&1; then
            apt-config dump Acquire >"$2/etc/apt/apt.conf.d/10machine"
            touch "$2/.complete"
            return 0
        fi
        why="debootstrap $(suite_of "$1") from $mirror failed: $(grep -v '^I: ' "$2.log" | tail -n 1)"
    done
    return 1
}

# copy_tree DIR: copies the tree without builds; builds of earlier runs in DIR are kept.
copy_tree() {
    mkdir -p "$1"
    find "$1" -mindepth 1 -maxdepth 1 ! -name 'build*' -exec rm -rf --one-file-system {} +
    tar -c --exclude=./.git --exclude='./build*' . | tar -x -C "$1"
}
