// The headers from C++: every call is declared and links, and the layouts are those of C.
#include <demi/libos.h>
#include <demi/sga.h>
#include <demi/wait.h>

#include <cstddef>

static_assert(sizeof(demi_sgarray_t) == 40, "binary interface");
static_assert(sizeof(demi_qresult_t) == 64, "binary interface");
static_assert(offsetof(demi_qresult_t, qr_value) == 24, "binary interface");

template <typename... Calls> static bool all_linked(Calls... calls) {
    return (... && (calls != nullptr));
}

int main() {
    const struct demi_args args = {};
    if (!all_linked(demi_init, demi_create_pipe, demi_open_pipe, demi_socket, demi_bind, demi_listen, demi_accept,
                    demi_connect, demi_close, demi_push, demi_pushto, demi_pop, demi_setsockopt, demi_getsockopt,
                    demi_getsockname, demi_getpeername, demi_sgaalloc, demi_sgafree, demi_wait, demi_wait_any,
                    demi_wait_next_n))
        return 1;
    if (demi_init(&args) != 0) return 1;
    demi_sgarray_t sga = demi_sgaalloc(64);
    return sga.sga_numsegs == 1 && demi_sgafree(&sga) == 0 ? 0 : 1;
}
