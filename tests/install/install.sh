#!/bin/sh
# install.sh SOURCE BUILD: what `meson install` puts down is found by pkg-config, links both ways, and shows nothing but
# the public names. Speaks TAP.
set -u
source=$1 build=$2 number=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo 1..6

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

link_static() {
    # shellcheck disable=SC2046
    cc "$dir/hello.c" -o "$dir/static" $(flags --cflags dmtr) "$lib/libdmtr.a" \
        $(flags --static --libs dmtr | sed 's/-ldmtr//') && "$dir/static" | grep -qx hello
}

link_demi() {
    echo '#include <demi/libos.h>
int main(void) { struct demi_args a = {0}; return demi_init(&a); }' >"$dir/demi.c"
    # shellcheck disable=SC2046
    cc "$dir/demi.c" -o "$dir/demi" $(flags --cflags --libs demikernel) && LD_LIBRARY_PATH=$lib "$dir/demi"
}

# The names that a file defines for others, without those that begin with $2.
others() {
    nm "$@" --defined-only --extern-only | awk 'NF == 3 && $2 != "A" { print $3 }' | grep -v "^${prefix}_"
}

only_public() {
    prefix=$1
    shift
    ! others "$@"
}

awk '/^```c$/ { f = 1; next } /^```$/ { if (f) exit } f' "$source/README.md" >"$dir/hello.c"
DESTDIR=$dir/root meson install -C "$build" --no-rebuild --quiet >"$dir/install.log" 2>&1
lib=$(dirname "$(find "$dir/root" -name libdmtr.a)")
check 'a program links against the shared library by pkg-config' link_shared
check 'a program links against the static library' link_static
check 'a Demikernel program links by pkg-config' link_demi
check 'libdmtr.so shows its public names alone' only_public dmtr -D "$lib/libdmtr.so"
check 'libdmtr.a shows its public names alone' only_public dmtr "$lib/libdmtr.a"
check 'libdemikernel.so shows its public names alone' only_public demi -D "$lib/libdemikernel.so"
