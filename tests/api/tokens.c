/* SPDX-License-Identifier: MIT */
/* A token is valid while its operation is outstanding, and never again. */
#include "api_test.h"

static void a_token_is_invalid_after_the_wait_that_returns_it(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t qt = push_text(qd, "x");
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    assert_int_equal(dmtr_wait_timed(&qr, qt, HANG), EINVAL);
    assert_true(qr.qr_qt == 0);
    assert_int_equal(dmtr_poll(&qr, qt), EINVAL);
    assert_int_equal(dmtr_drop(qt), EINVAL);
}

static void forged_tokens_are_refused(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t qt = pop_begin(qd);
    dmtr_qresult_t qr;
    for (int bit = 0; bit < 64; bit++) {
        assert_int_equal(dmtr_poll(&qr, qt ^ 1ull << bit), EINVAL);
        assert_int_equal(dmtr_drop(qt ^ 1ull << bit), EINVAL);
    }
    assert_int_equal(dmtr_poll(&qr, 0), EINVAL);
    assert_int_equal(dmtr_poll(&qr, UINT64_MAX), EINVAL);
    assert_int_equal(dmtr_poll(&qr, qt), EAGAIN);
}

static void a_stale_token_stays_invalid_when_its_slot_is_reused(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t first = pop_begin(qd);
    assert_ok(dmtr_drop(first));
    dmtr_qresult_t qr;
    for (int i = 0; i < 1000; i++) {
        dmtr_qtoken_t qt = pop_begin(qd);
        assert_true(qt != first);
        assert_int_equal(dmtr_poll(&qr, first), EINVAL);
        assert_ok(dmtr_drop(qt));
    }
}

static void tokens_of_an_ended_runtime_are_invalid(void **state) {
    (void)state;
    dmtr_qtoken_t old[64];
    int qd = new_queue();
    for (int i = 0; i < 64; i++)
        old[i] = pop_begin(qd);
    assert_ok(dmtr_fini());
    assert_ok(dmtr_init(0, NULL));
    qd = new_queue();
    for (int i = 0; i < 64; i++)
        pop_begin(qd);
    dmtr_qresult_t qr;
    for (int i = 0; i < 64; i++)
        assert_int_equal(dmtr_poll(&qr, old[i]), EINVAL);
}

static void operations_beyond_the_limit_are_refused_until_one_is_dropped(void **state) {
    (void)state;
    restart_with("core.max_operations=32");
    int qd = new_queue();
    dmtr_qtoken_t qts[32], more;
    for (int i = 0; i < 32; i++)
        qts[i] = pop_begin(qd);
    assert_int_equal(dmtr_pop(&more, qd), ENOBUFS);
    assert_ok(dmtr_drop(qts[7]));
    assert_ok(dmtr_pop(&more, qd));
    assert_int_equal(dmtr_pop(&qts[7], qd), ENOBUFS);
}

static void a_dropped_pop_loses_no_data(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t a = pop_begin(qd), b = pop_begin(qd);
    assert_ok(dmtr_drop(a));
    push_wait(qd, "one");
    expect_wait_text(b, "one");
    push_wait(qd, "two");
    expect_pop_text(qd, "two");
}

static void a_dropped_push_is_delivered(void **state) {
    (void)state;
    int qd = new_queue();
    assert_ok(dmtr_drop(push_text(qd, "kept")));
    expect_pop_text(qd, "kept");
}

static void dropping_a_complete_pop_frees_its_data(void **state) {
    (void)state;
    int qd = new_queue();
    push_wait(qd, "gone");
    assert_ok(dmtr_drop(pop_begin(qd)));
    push_wait(qd, "next");
    expect_pop_text(qd, "next");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        api_test(a_token_is_invalid_after_the_wait_that_returns_it),
        api_test(forged_tokens_are_refused),
        api_test(a_stale_token_stays_invalid_when_its_slot_is_reused),
        api_test(tokens_of_an_ended_runtime_are_invalid),
        api_test(operations_beyond_the_limit_are_refused_until_one_is_dropped),
        api_test(a_dropped_pop_loses_no_data),
        api_test(a_dropped_push_is_delivered),
        api_test(dropping_a_complete_pop_frees_its_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
