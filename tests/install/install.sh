#!/bin/sh
# install.sh SOURCE BUILD PREFIX: pkg-config finds what `meson install` writes; programs link with it in each way, load
# plug-ins, and see nothing but the public names. Speaks TAP.
set -u
source=$1 build=$2 prefix=$3 number=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo 1..11

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

awk '/^```c$/ { f = 1; next } /^```$/ { if (f) exit } f' "$source/README.md" >"$dir/hello.c"
DESTDIR=$dir/root meson install -C "$build" --no-rebuild --quiet >"$dir/install.log" 2>&1 || {
    sed 's/^/# /' "$dir/install.log"
    echo 'Bail out! meson install fails'
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
