# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# lint-build.sh, to be sourced after steps.sh with $root set: the build that the static checks share. It has debug
# information for the ABI, and compiles all optional parts.
lint_dir=${root:?}/build-lint

configure_lint() {
    [ -f "$lint_dir/build.ninja" ] || quiet_step "configure $lint_dir" env CC=gcc meson setup --buildtype=debug \
        -Dtests=enabled -Dfault=true -Dchecks=true "$lint_dir" "$root"
    # Files may have come and gone since.
    quiet_step "configure $lint_dir again" ninja -C "$lint_dir" build.ninja
}
