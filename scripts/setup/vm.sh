#!/bin/sh
# SPDX-License-Identifier: MIT
# vm.sh: fetches Debian's kernel (package linux-image-amd64) for the tests in a virtual machine, into build-vm/ if it is
# missing: vmlinux, and lib/modules/RELEASE. It installs nothing and needs no privileges.
set -eu
cd "$(dirname "$0")/../.."
target=build-vm
[ ! -e $target/vmlinux ] || exit 0

fail() {
    echo "vm.sh: $1; the tests in a virtual machine will be skipped" >&2
    exit 1
}
[ "$(uname -m)" = x86_64 ] || fail "this is not x86-64"
for program in apt-get dpkg-deb depmod python3; do
    PATH=$PATH:/sbin:/usr/sbin command -v $program >/dev/null || fail "no $program here"
done

types=deb
. scripts/setup/own-apt.sh

echo "fetching: a kernel for virtual machines" >&2
apt get update 2>/dev/null || true
package=$(apt cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
[ -n "$package" ] || fail "no package linux-image-amd64 is to be had (is the network there?)"
(cd "$work" && apt get download "$package") >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    fail "the package $package cannot be fetched"
}
mkdir "$work/root"
dpkg-deb --fsys-tarfile "$work"/linux-image-*.deb |
    tar -x -C "$work/root" --exclude='*/sound' --exclude='*/drivers/gpu' --exclude='*/drivers/media' ./boot ./lib/modules
release=$(ls "$work/root/lib/modules")
PATH=$PATH:/sbin:/usr/sbin depmod -b "$work/root" "$release"
rm -rf $target
mkdir $target
mv "$work/root/lib" $target
python3 scripts/setup/vmlinux.py "$work/root/boot/vmlinuz-$release" $target/vmlinux
