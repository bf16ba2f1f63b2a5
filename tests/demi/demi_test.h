/* SPDX-License-Identifier: MIT */
/* What the tests of the demi calls share: a runtime per test, loopback sockets, waits that cannot hang. */
#ifndef TESTS_DEMI_TEST_H
#define TESTS_DEMI_TEST_H

#include <demi/libos.h>
#include <demi/sga.h>
#include <demi/wait.h>
#include <dmtr/libos.h>

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_ok(call) assert_int_equal(call, 0)

static const struct timespec hang = {.tv_sec = 20}; /* nothing takes that long */
static const struct timespec now = {0};

static inline int test_setup(void **state) {
    (void)state;
    return demi_init(NULL);
}

/* Demikernel has no call for it: a runtime ends with its thread's program, or with the other interface's call. */
static inline int test_teardown(void **state) {
    (void)state;
    return dmtr_fini();
}

#define demi_test(fn) cmocka_unit_test_setup_teardown(fn, test_setup, test_teardown)

static inline demi_qresult_t wait_for(demi_qtoken_t qt) {
    demi_qresult_t qr;
    memset(&qr, 0xff, sizeof qr);
    assert_ok(demi_wait(&qr, qt, &hang));
    assert_true(qr.qr_qt == qt);
    return qr;
}

static inline void expect_failed(demi_qtoken_t qt, int error) {
    demi_qresult_t qr = wait_for(qt);
    assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
    assert_int_equal(qr.qr_ret, error);
}

static inline demi_qtoken_t pop_begin(int qd) {
    demi_qtoken_t qt = 0;
    assert_ok(demi_pop(&qt, qd));
    return qt;
}

static inline demi_sgarray_t filled(size_t len, int byte) {
    demi_sgarray_t sga = demi_sgaalloc(len);
    assert_int_equal(sga.sga_numsegs, 1);
    memset(sga.sga_segs[0].sgaseg_buf, byte, len);
    return sga;
}

/* Pushes len equal bytes and gives the buffer up at once, as free-protection allows. */
static inline demi_qtoken_t push_begin(int qd, size_t len, int byte) {
    demi_sgarray_t sga = filled(len, byte);
    demi_qtoken_t qt = 0;
    assert_ok(demi_push(&qt, qd, &sga));
    assert_ok(demi_sgafree(&sga));
    return qt;
}

static inline void push_wait(int qd, size_t len, int byte) {
    demi_qresult_t qr = wait_for(push_begin(qd, len, byte));
    assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
    assert_int_equal(qr.qr_ret, 0);
}

/* Pops a stream until len bytes came, each of them `byte`. */
static inline void pop_exactly(int qd, size_t len, int byte) {
    while (len > 0) {
        demi_qresult_t qr = wait_for(pop_begin(qd));
        assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
        const unsigned char *at = qr.qr_value.sga.sga_segs[0].sgaseg_buf;
        size_t got = qr.qr_value.sga.sga_segs[0].sgaseg_len;
        assert_uint_in_range(got, 1, len);
        for (size_t i = 0; i < got; i++)
            assert_int_equal(at[i], byte);
        assert_ok(demi_sgafree(&qr.qr_value.sga));
        len -= got;
    }
}

static inline struct sockaddr_in loopback(void) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return addr;
}

/* A socket of this type bound to a free port, which is stored. */
static inline int bound(int type, struct sockaddr_in *addr) {
    int qd = -1;
    socklen_t len = sizeof *addr;
    *addr = loopback();
    assert_ok(demi_socket(&qd, AF_INET, type, 0));
    assert_ok(demi_bind(qd, (struct sockaddr *)addr, sizeof *addr));
    assert_ok(demi_getsockname(qd, (struct sockaddr *)addr, &len));
    assert_int_equal(len, sizeof *addr);
    return qd;
}

static inline int listening(struct sockaddr_in *addr) {
    int qd = bound(SOCK_STREAM, addr);
    assert_ok(demi_listen(qd, 16));
    return qd;
}

/* Both ends of a connection over loopback. */
static inline void connected(int *client, int *server) {
    struct sockaddr_in addr;
    demi_qtoken_t connect, accept;
    int listener = listening(&addr);
    assert_ok(demi_accept(&accept, listener));
    assert_ok(demi_socket(client, AF_INET, SOCK_STREAM, 0));
    assert_ok(demi_connect(&connect, *client, (struct sockaddr *)&addr, sizeof addr));
    demi_qresult_t qr = wait_for(connect);
    assert_int_equal(qr.qr_opcode, DEMI_OPC_CONNECT);
    assert_int_equal(qr.qr_qd, *client);
    qr = wait_for(accept);
    assert_int_equal(qr.qr_opcode, DEMI_OPC_ACCEPT);
    assert_int_equal(qr.qr_qd, listener);
    *server = qr.qr_value.ares.qd;
    assert_ok(demi_close(listener));
}

#endif
