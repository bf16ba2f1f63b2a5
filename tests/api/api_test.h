/* SPDX-License-Identifier: MIT */
/* Shared by the tests of the public API: a runtime for each test, and helpers for small messages. */
#ifndef TESTS_API_TEST_H
#define TESTS_API_TEST_H

#include <dmtr/dmtr.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS   1000000ull
#define HANG (10000 * MS) /* limit of a wait; a test that reaches it has failed */

#define assert_ok(call) assert_int_equal(call, 0)

static inline int test_setup(void **state) {
    (void)state;
    return dmtr_init(0, NULL);
}

static inline int test_teardown(void **state) {
    (void)state;
    return dmtr_fini();
}

/* Ends the runtime and starts another with this option. */
static inline void restart_with(const char *option) {
    char *argv[] = {(char *)"test", (char *)"--dmtr-set", (char *)option};
    assert_ok(dmtr_fini());
    assert_ok(dmtr_init(3, argv));
}

#define api_test(fn) cmocka_unit_test_setup_teardown(fn, test_setup, test_teardown)

static inline dmtr_sgarray_t message(const char *text) {
    dmtr_sgarray_t sga = dmtr_sgaalloc(strlen(text));
    assert_int_equal(sga.sga_numsegs, 1);
    memcpy(sga.sga_segs[0].sgaseg_buf, text, strlen(text));
    return sga;
}

static inline dmtr_qtoken_t push_text(int qd, const char *text) {
    dmtr_sgarray_t sga = message(text);
    dmtr_qtoken_t qt = 0;
    assert_ok(dmtr_push(&qt, qd, &sga));
    assert_ok(dmtr_sgafree(&sga));
    return qt;
}

static inline void push_wait(int qd, const char *text) {
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_timed(&qr, push_text(qd, text), HANG));
    assert_int_equal(qr.qr_opcode, DMTR_OPC_PUSH);
}

static inline dmtr_qtoken_t pop_begin(int qd) {
    dmtr_qtoken_t qt = 0;
    assert_ok(dmtr_pop(&qt, qd));
    assert_true(qt != 0);
    return qt;
}

/* Checks that the result holds exactly `text`, and frees it. */
static inline void expect_text(dmtr_qresult_t *qr, const char *text) {
    assert_int_equal(qr->qr_opcode, DMTR_OPC_POP);
    size_t len = 0, at = 0;
    assert_ok(dmtr_sgalen(&len, &qr->qr_value.sga));
    assert_int_equal(len, strlen(text));
    for (uint32_t i = 0; i < qr->qr_value.sga.sga_numsegs; i++) {
        const dmtr_sgaseg_t *seg = &qr->qr_value.sga.sga_segs[i];
        assert_memory_equal(seg->sgaseg_buf, text + at, seg->sgaseg_len);
        at += seg->sgaseg_len;
    }
    assert_ok(dmtr_sgafree(&qr->qr_value.sga));
}

static inline void expect_wait_text(dmtr_qtoken_t qt, const char *text) {
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    assert_true(qr.qr_qt == qt);
    expect_text(&qr, text);
}

static inline void expect_pop_text(int qd, const char *text) {
    expect_wait_text(pop_begin(qd), text);
}

static inline void expect_wait_error(dmtr_qtoken_t qt, int error) {
    dmtr_qresult_t qr;
    assert_int_equal(dmtr_wait_timed(&qr, qt, HANG), error);
    assert_int_equal(qr.qr_error, error);
    assert_true(qr.qr_qt == qt);
}

static inline int new_queue(void) {
    int qd = -1;
    assert_ok(dmtr_queue(&qd));
    return qd;
}

#endif
