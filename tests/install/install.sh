#!/bin/sh
# SPDX-License-Identifier: MIT
# install.sh SOURCE BUILD PREFIX: pkg-config finds what `make install` writes; programs link with it in each way, load
# plug-ins, and see nothing but the public names; `make uninstall` removes it. Speaks TAP.
set -u
source=$1 build=$2 prefix=$3 number=0
dir=$(mktemp -d)
log=$build/meson-logs/install-log.txt # what `make uninstall` goes by: it stays that of the user's own installation
[ ! -f "$log" ] || cp "$log" "$dir/log.before"
trap 'rm -f "$log"; [ ! -f "$dir/log.before" ] || mv "$dir/log.before" "$log"; rm -rf "$dir"' EXIT
echo 1..17

check() {
    number=$((number + 1))
    name=$1
    shift
    if "$@" >"$dir/log" 2>&1; then
        echo "ok $number - $name"
    else
        sed 's/^/# /' "$dir/log"
        echo "not ok $number - $name"
    fi
}

flags() {
    # The .pc files name the final prefix; what was installed lies below DESTDIR.
    PKG_CONFIG_PATH=$(dirname "$(find "$dir/root" -name dmtr.pc)") PKG_CONFIG_SYSROOT_DIR=$dir/root \
        PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config "$@"
}

link_shared() {
    # shellcheck disable=SC2046
    cc "$dir/hello.c" -o "$dir/shared" $(flags --cflags --libs dmtr) && LD_LIBRARY_PATH=$lib "$dir/shared" | grep -qx hello
}

link_static_to() {
    # shellcheck disable=SC2046
    cc "$dir/hello.c" -o "$dir/$1" $(flags --cflags dmtr) "$lib/libdmtr.a" \
        $(flags --static --libs dmtr | sed 's/-ldmtr//')
}

link_static() {
    link_static_to static && "$dir/static" | grep -qx hello
}

link_fully_static() {
    # shellcheck disable=SC2046
    cc -static "$dir/hello.c" -o "$dir/fully" $(flags --static --cflags --libs dmtr) -Wl,--fatal-warnings &&
        "$dir/fully" | grep -qx hello
}

# Runs a program over the device dpdk with the plug-ins of a folder; what it prints.
over_dpdk() {
    env DMTR_LIBOS=inet DMTR_INET_DEVICE=dpdk DMTR_INET_DEVICE_OPTIONS=vdev=net_null0 DMTR_INET_ADDRESS=10.0.0.1/24 \
        DMTR_PLUGIN_PATH="$1" "$2" 2>&1
}

static_cannot_load() {
    over_dpdk "$plugins" "$dir/fully" | grep 'a statically linked program cannot load the plug-in'
}

missing_is_named() {
    over_dpdk /nonexistent "$dir/static" | grep '/nonexistent/netdev-dpdk.so is missing.*libdpdk-dev'
}

# The stack has no 127.0.0.1: the program talks to the address that over_dpdk configures.
static_loads() {
    sed -i 's/INADDR_LOOPBACK/0x0a000001/' "$dir/hello.c"
    link_static_to own && over_dpdk "$plugins" "$dir/own" | grep -x hello
}

end_server() {
    kill "$server"
    wait "$server"
    cat "$dir/server.log"
}

echo_over_memif() {
    wire="vdev=net_memif0;socket=@$dir/wire;role"
    common="DMTR_LIBOS=inet DMTR_INET_DEVICE=dpdk DMTR_PLUGIN_PATH=$plugins LD_LIBRARY_PATH=$lib"
    # shellcheck disable=SC2086 # a list of words, all of them ours
    env $common DMTR_INET_DEVICE_OPTIONS="$wire=server" DMTR_INET_ADDRESS=10.77.0.1/24 \
        "$dir/root$prefix/bin/echo-server" --address 10.77.0.1 --port 7 >"$dir/server.log" 2>&1 &
    server=$!
    for _ in $(seq 600); do
        grep -q listening "$dir/server.log" && break
        sleep 0.1
    done
    # shellcheck disable=SC2086 # as above
    env $common DMTR_INET_DEVICE_OPTIONS="$wire=client" DMTR_INET_ADDRESS=10.77.0.2/24 \
        timeout 60 "$dir/root$prefix/bin/echo-client" --address 10.77.0.1 --port 7 --count 1000
    status=$?
    end_server
    return $status
}

link_demi() {
    echo '#include <demi/libos.h>
int main(void) { struct demi_args a = {0}; return demi_init(&a); }' >"$dir/demi.c"
    # shellcheck disable=SC2046
    cc "$dir/demi.c" -o "$dir/demi" $(flags --cflags --libs demikernel) && LD_LIBRARY_PATH=$lib "$dir/demi"
}

# The same, for what needs the plug-in of DPDK.
check_dpdk() {
    if [ -f "$plugins/netdev-dpdk.so" ]; then
        check "$@"
    else
        number=$((number + 1))
        echo "ok $number - $1 # SKIP this build is without DPDK"
    fi
}

# The names that a file defines for others, without those that begin with $2.
others() {
    nm "$@" --defined-only --extern-only | awk 'NF == 3 && $2 != "A" { print $3 }' | grep -v "^${public}_"
}

only_public() {
    public=$1
    shift
    nm "$@" | grep -q " T ${public}_" && ! others "$@"
}

# soname LIBRARY
soname() {
    readelf -d "$lib/$1.so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p'
}

named_for_version_0() {
    [ "$(soname libdmtr)" = libdmtr.so.0 ] && [ "$(soname libdemikernel)" = libdemikernel.so.0 ]
}

versioned() {
    for library in libdmtr:DMTR_0.1 libdemikernel:DEMIKERNEL_1.5; do
        nm -D --with-symbol-versions --defined-only "$lib/${library%:*}.so" >"$dir/symbols" || return 1
        grep -q "@@${library#*:}\$" "$dir/symbols" && ! grep -v "@@${library#*:}\$" "$dir/symbols" | grep ' T ' || return 1
    done
}

preloaded() {
    [ ! -e "$lib/libdmtr-malloc.so" ] || return 1
    # shellcheck disable=SC2016 # awk's
    LD_LIBRARY_PATH=$lib LD_PRELOAD=$plugins/libdmtr-malloc.so LD_DEBUG=bindings LD_DEBUG_OUTPUT=$dir/bindings \
        awk 'BEGIN { for (i = 0; i < 1000; i++) t[i] = i; print length(t) }' | grep -qx 1000 || return 1
    grep -q "awk.*libdmtr-malloc.so.*\`malloc'" "$dir"/bindings.*
}

has_documents() {
    for file in LICENSE doc/INET.md doc/PORTING.md doc/devices/PACKET.md; do
        cmp "$source/$file" "$(find "$dir/root" -path "*/doc/dmtr/${file#doc/}")" || return 1
    done
}

# Nothing but the folders that an installation shares with others.
nothing_is_left() {
    make -C "$source" uninstall BUILD="$build" DESTDIR="$dir/root" || return 1
    ! find "$dir/root" ! -type d | grep . && ! find "$dir/root" -name '*dmtr*' | grep .
}

# As root into the machine's own folders, in a mount namespace that keeps what is written from them.
ready_at_once() {
    cat >"$dir/as-root" <<'END'
set -e
mount -t tmpfs tmpfs "$dir/layers"
for folder in etc usr; do
    mkdir "$dir/layers/$folder" "$dir/layers/$folder.work"
    mount -t overlay overlay "/$folder" \
        -o "lowerdir=/$folder,upperdir=$dir/layers/$folder,workdir=$dir/layers/$folder.work"
done
make -C "$source" install BUILD="$build" DESTDIR=
cd "$dir"
# shellcheck disable=SC2046
cc first.c -o ready $(pkg-config --cflags --libs dmtr)
./ready | grep -qx hello
END
    mkdir "$dir/layers"
    env source="$source" build="$build" dir="$dir" unshare -m sh "$dir/as-root"
}

awk '/^```c$/ { f = 1; next } /^```$/ { if (f) exit } f' "$source/README.md" >"$dir/first.c"
cp "$dir/first.c" "$dir/hello.c" # which some checks change
make -C "$source" install BUILD="$build" DESTDIR="$dir/root" >"$dir/install.log" 2>&1 || {
    sed 's/^/# /' "$dir/install.log"
    echo 'Bail out! make install fails'
    exit 1
}
lib=$(dirname "$(find "$dir/root" -name libdmtr.a)")
plugins=$lib/dmtr
check 'a program links against the shared library by pkg-config' link_shared
check 'a program links against the static library' link_static
check 'a program links without any shared library' link_fully_static
check 'a statically linked program is told that it cannot load a plug-in' static_cannot_load
check 'a missing plug-in is named, and what brings it' missing_is_named
check_dpdk 'a program that contains the static library loads a plug-in' static_loads
check_dpdk 'installed programs load a plug-in: an echo over memif' echo_over_memif
check 'a Demikernel program links by pkg-config' link_demi
check 'libdmtr.so shows its public names alone' only_public dmtr -D "$lib/libdmtr.so"
check 'libdmtr.a shows its public names alone' only_public dmtr "$lib/libdmtr.a"
check 'libdemikernel.so shows its public names alone' only_public demi -D "$lib/libdemikernel.so"
check 'the libraries have the names of version 0.x' named_for_version_0
check 'each symbol has a version' versioned
check 'a program runs with libdmtr-malloc.so, which the linker does not find' preloaded
check 'documents and licence are installed' has_documents
check 'make uninstall leaves nothing' nothing_is_left
if unshare -m mount -t tmpfs tmpfs /mnt 2>/dev/null; then
    check 'an installation as root is ready to use' ready_at_once
else
    number=$((number + 1))
    echo "ok $number - an installation as root is ready to use # SKIP mount namespaces are not permitted"
fi
