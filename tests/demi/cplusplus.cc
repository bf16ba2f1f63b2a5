/* SPDX-License-Identifier: MIT */
// The headers from C++: every call is declared and links, and the layouts are those of C.
#include <demi/libos.h>
#include <demi/sga.h>
#include <demi/wait.h>

#include <cstddef>

static_assert(sizeof(demi_sgarray_t) == 40, "binary interface");
static_assert(sizeof(demi_qresult_t) == 64, "binary interface");
static_assert(offsetof(demi_qresult_t, qr_value) == 24, "binary interface");

using any_call = void (*)();
template <typename Call> static any_call linked(Call *call) {
    return reinterpret_cast<any_call>(call);
}

static const any_call calls[] = {
    linked(demi_init),        linked(demi_create_pipe), linked(demi_open_pipe),   linked(demi_socket),
    linked(demi_bind),        linked(demi_listen),      linked(demi_accept),      linked(demi_connect),
    linked(demi_close),       linked(demi_push),        linked(demi_pushto),      linked(demi_pop),
    linked(demi_setsockopt),  linked(demi_getsockopt),  linked(demi_getsockname), linked(demi_getpeername),
    linked(demi_sgaalloc),    linked(demi_sgafree),     linked(demi_wait),        linked(demi_wait_any),
    linked(demi_wait_next_n),
};

int main() {
    for (any_call call : calls)
        if (!call) return 1;
    const struct demi_args args = {};
    if (demi_init(&args) != 0) return 1;
    demi_sgarray_t sga = demi_sgaalloc(64);
    return sga.sga_numsegs == 1 && demi_sgafree(&sga) == 0 ? 0 : 1;
}
