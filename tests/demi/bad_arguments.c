/* SPDX-License-Identifier: MIT */
/* Every call with every bad argument gives its documented errno. */
#define DEMI_IMPLEMENTATION /* the point is to break what callers promise */
#include "demi_test.h"

#define CLOSED_QD 999999

static struct sockaddr_in v4;
static struct sockaddr_in6 v6;
static struct sockaddr_storage other = {.ss_family = AF_UNIX};
static demi_sgarray_t good, empty, wide, many, none, nowhere, foreign;
static demi_qtoken_t qt;
static demi_qresult_t qr;
static struct linger linger;
static int tcp, udp, out, flag;
static socklen_t len, tiny = 1;
static char text[16];

#define V4 ((struct sockaddr *)&v4)
#define V6 ((struct sockaddr *)&v6)

/* A call, what it must return, and its text. */
#define expect(error, call)                                                                                            \
    do {                                                                                                               \
        int expect_r = call;                                                                                           \
        if (expect_r != (error)) fail_msg("%s: %d (%s), expected %s", #call, expect_r, strerror(expect_r), #error);    \
    } while (0)

static int setup(void **state) {
    test_setup(state);
    v4 = loopback();
    v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    good = filled(8, 'x');
    empty = wide = many = none = nowhere = good;
    empty.sga_segs[0].sgaseg_len = 0;
    wide.sga_segs[0].sgaseg_len = DEMI_SGASEG_MAXLEN + 1;
    many.sga_numsegs = 2;
    none.sga_numsegs = 0;
    nowhere.sga_buf = NULL;
    nowhere.sga_segs[0].sgaseg_buf = NULL;
    memset(&foreign, 0, sizeof foreign);
    foreign.sga_numsegs = 1;
    foreign.sga_segs[0].sgaseg_buf = text;
    foreign.sga_segs[0].sgaseg_len = sizeof text;
    len = sizeof flag;
    assert_ok(demi_socket(&tcp, AF_INET, SOCK_STREAM, 0));
    assert_ok(demi_socket(&udp, AF_INET, SOCK_DGRAM, 0));
    return 0;
}

static int teardown(void **state) {
    assert_ok(demi_sgafree(&good));
    return test_teardown(state);
}

static void before_init_all_is_enosys(void **state) {
    (void)state;
    const demi_qtoken_t token = 1;
    demi_sgarray_t sga = demi_sgaalloc(1);
    v4 = loopback();
    len = sizeof v4;
    expect(ENOSYS, demi_create_pipe(&out, "name"));
    expect(ENOSYS, demi_open_pipe(&out, "name"));
    expect(ENOSYS, demi_socket(&out, AF_INET, SOCK_STREAM, 0));
    expect(ENOSYS, demi_bind(1, V4, sizeof v4));
    expect(ENOSYS, demi_listen(1, 1));
    expect(ENOSYS, demi_getsockname(1, V4, &len));
    expect(ENOSYS, demi_getpeername(1, V4, &len));
    expect(ENOSYS, demi_setsockopt(1, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    expect(ENOSYS, demi_getsockopt(1, SOL_SOCKET, SO_LINGER, &linger, &len));
    expect(ENOSYS, demi_accept(&qt, 1));
    expect(ENOSYS, demi_connect(&qt, 1, V4, sizeof v4));
    expect(ENOSYS, demi_close(1));
    expect(ENOSYS, demi_push(&qt, 1, &sga));
    expect(ENOSYS, demi_pushto(&qt, 1, &sga, V4, sizeof v4));
    expect(ENOSYS, demi_pop(&qt, 1));
    expect(ENOSYS, demi_wait(&qr, 1, &now));
    expect(ENOSYS, demi_wait_any(&qr, &out, &token, 1, &now));
    expect(ENOSYS, demi_wait_next_n(&qr, 1, &out, &now));
    assert_ok(demi_sgafree(&sga));
}

static void init_is_checked(void **state) {
    (void)state;
    struct demi_args negative = {.argc = -1}, missing = {.argc = 1};
    expect(EINVAL, demi_init(&negative));
    expect(EINVAL, demi_init(&missing));
    assert_ok(demi_init(NULL));
    expect(EEXIST, demi_init(NULL));
    assert_ok(dmtr_fini());
}

static void descriptors_must_be_open(void **state) {
    (void)state;
    const int bad[] = {-1, CLOSED_QD, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int qd = bad[i];
        len = sizeof v4;
        expect(EBADF, demi_bind(qd, V4, sizeof v4));
        expect(EBADF, demi_listen(qd, 1));
        expect(EBADF, demi_getsockname(qd, V4, &len));
        expect(EBADF, demi_getpeername(qd, V4, &len));
        expect(EBADF, demi_setsockopt(qd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
        expect(EBADF, demi_getsockopt(qd, SOL_SOCKET, SO_LINGER, &linger, &len));
        expect(EBADF, demi_accept(&qt, qd));
        expect(EBADF, demi_connect(&qt, qd, V4, sizeof v4));
        expect(EBADF, demi_close(qd));
        expect(EBADF, demi_push(&qt, qd, &good));
        expect(EBADF, demi_pushto(&qt, qd, &good, V4, sizeof v4));
        expect(EBADF, demi_pop(&qt, qd));
    }
}

static void pointers_must_not_be_null(void **state) {
    (void)state;
    demi_qtoken_t *no_token = NULL;
    demi_qresult_t *no_result = NULL;
    struct sockaddr *no_address = NULL;
    demi_sgarray_t *no_array = NULL;
    const demi_qtoken_t *no_tokens = NULL;
    const char *no_name = NULL;
    void *no_value = NULL;
    socklen_t *no_length = NULL;
    int *no_int = NULL;
    len = sizeof v4;
    expect(EINVAL, demi_create_pipe(no_int, "name"));
    expect(EINVAL, demi_create_pipe(&out, no_name));
    expect(EINVAL, demi_open_pipe(no_int, "name"));
    expect(EINVAL, demi_open_pipe(&out, no_name));
    expect(EINVAL, demi_socket(no_int, AF_INET, SOCK_STREAM, 0));
    expect(EINVAL, demi_bind(tcp, no_address, sizeof v4));
    expect(EINVAL, demi_getsockname(tcp, no_address, &len));
    expect(EINVAL, demi_getsockname(tcp, V4, no_length));
    expect(EINVAL, demi_getpeername(tcp, no_address, &len));
    expect(EINVAL, demi_getpeername(tcp, V4, no_length));
    expect(EINVAL, demi_setsockopt(tcp, SOL_SOCKET, SO_LINGER, no_value, sizeof linger));
    expect(EINVAL, demi_getsockopt(tcp, SOL_SOCKET, SO_LINGER, no_value, &len));
    expect(EINVAL, demi_getsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, no_length));
    expect(EINVAL, demi_accept(no_token, tcp));
    expect(EINVAL, demi_connect(no_token, tcp, V4, sizeof v4));
    expect(EINVAL, demi_connect(&qt, tcp, no_address, sizeof v4));
    expect(EINVAL, demi_push(no_token, tcp, &good));
    expect(EINVAL, demi_push(&qt, tcp, no_array));
    expect(EINVAL, demi_pushto(no_token, udp, &good, V4, sizeof v4));
    expect(EINVAL, demi_pushto(&qt, udp, no_array, V4, sizeof v4));
    expect(EINVAL, demi_pushto(&qt, udp, &good, no_address, sizeof v4));
    expect(EINVAL, demi_pop(no_token, tcp));
    expect(EINVAL, demi_sgafree(no_array));
    expect(EINVAL, demi_wait(no_result, 1, &now));
    expect(EINVAL, demi_wait_any(no_result, &out, &qt, 1, &now));
    expect(EINVAL, demi_wait_any(&qr, no_int, &qt, 1, &now));
    expect(EINVAL, demi_wait_any(&qr, &out, no_tokens, 1, &now));
    expect(EINVAL, demi_wait_next_n(no_result, 1, &out, &now));
    expect(EINVAL, demi_wait_next_n(&qr, 1, no_int, &now));
}

static void addresses_must_be_whole(void **state) {
    (void)state;
    struct sockaddr *un = (struct sockaddr *)&other;
    const socklen_t short4 = sizeof v4 - 1, long4 = sizeof v4 + 1, short6 = sizeof v6 - 1;
    expect(EINVAL, demi_bind(tcp, V4, 0));
    expect(EINVAL, demi_bind(tcp, V4, tiny));
    expect(EINVAL, demi_bind(tcp, V4, short4));
    expect(EINVAL, demi_bind(tcp, V4, long4));
    expect(EINVAL, demi_bind(tcp, V6, short6));
    expect(ENOTSUP, demi_bind(tcp, un, sizeof other));
    expect(EINVAL, demi_connect(&qt, tcp, V4, short4));
    expect(ENOTSUP, demi_connect(&qt, tcp, un, sizeof other));
    expect(EINVAL, demi_pushto(&qt, udp, &good, V4, short4));
    expect(ENOTSUP, demi_pushto(&qt, udp, &good, un, sizeof other));
    len = short4;
    expect(EINVAL, demi_getsockname(tcp, V4, &len));
    expect(EINVAL, demi_getpeername(tcp, V4, &len));
}

static void arrays_must_be_one_segment(void **state) {
    (void)state;
    const demi_sgarray_t bad[] = {empty, wide, many, none, nowhere};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect(EINVAL, demi_push(&qt, tcp, &bad[i]));
        expect(EINVAL, demi_pushto(&qt, udp, &bad[i], V4, sizeof v4));
    }
    expect(EINVAL, demi_sgafree(&many));
    expect(EINVAL, demi_sgafree(&foreign));
}

static void kinds_and_numbers_must_be_known(void **state) {
    (void)state;
    flag = 1;
    len = sizeof flag;
    expect(ENOTSUP, demi_socket(&out, AF_UNIX, SOCK_STREAM, 0));
    expect(ENOTSUP, demi_socket(&out, -1, SOCK_STREAM, 0));
    expect(ENOTSUP, demi_socket(&out, AF_INET, SOCK_RAW, 0));
    expect(ENOTSUP, demi_socket(&out, AF_INET, -1, 0));
    expect(EINVAL, demi_listen(tcp, 0));
    expect(EINVAL, demi_listen(tcp, -1));
    expect(ENOTSUP, demi_setsockopt(tcp, IPPROTO_UDP, 1, &flag, sizeof flag));
    expect(ENOTSUP, demi_setsockopt(tcp, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &flag, sizeof flag));
    expect(ENOTSUP, demi_getsockopt(tcp, -1, 1, &flag, &len));
    expect(ENOPROTOOPT, demi_setsockopt(tcp, SOL_SOCKET, 9999, &flag, sizeof flag));
    expect(ENOPROTOOPT, demi_getsockopt(tcp, SOL_SOCKET, 9999, &flag, &len));
    expect(EINVAL, demi_setsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, sizeof linger - 1));
    expect(EINVAL, demi_setsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, sizeof linger + 1));
    expect(EINVAL, demi_wait_any(&qr, &out, &qt, 0, &now));
    expect(EINVAL, demi_wait_any(&qr, &out, &qt, -1, &now));
    expect(EINVAL, demi_wait_next_n(&qr, 0, &out, &now));
    expect(EINVAL, demi_wait_next_n(&qr, -1, &out, &now));
}

static void sockets_must_be_in_the_right_state(void **state) {
    (void)state;
    len = sizeof v4;
    expect(ENOTCONN, demi_getpeername(tcp, V4, &len));
    expect(ENOTCONN, demi_push(&qt, tcp, &good));
    expect(ENOTCONN, demi_pop(&qt, tcp));
    v4 = loopback();
    expect(EOPNOTSUPP, demi_pushto(&qt, tcp, &good, V4, sizeof v4));
    expect(EOPNOTSUPP, demi_listen(udp, 1));
    expect(EOPNOTSUPP, demi_accept(&qt, udp));
}

static void pipes_are_not_supported(void **state) {
    (void)state;
    expect(ENOTSUP, demi_create_pipe(&out, "name"));
    expect(ENOTSUP, demi_open_pipe(&out, "name"));
}

#define checked(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_init_all_is_enosys),
        cmocka_unit_test(init_is_checked),
        checked(descriptors_must_be_open),
        checked(pointers_must_not_be_null),
        checked(addresses_must_be_whole),
        checked(arrays_must_be_one_segment),
        checked(kinds_and_numbers_must_be_known),
        checked(sockets_must_be_in_the_right_state),
        checked(pipes_are_not_supported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
