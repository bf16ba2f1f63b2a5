/* SPDX-License-Identifier: MIT */
/* The wait calls: order, timeouts, lists, errors. */
#include "api_test.h"

static void poll_returns_eagain_and_then_the_result(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t qt = pop_begin(qd);
    dmtr_qresult_t qr;
    assert_int_equal(dmtr_poll(&qr, qt), EAGAIN);
    push_wait(qd, "x");
    assert_ok(dmtr_poll(&qr, qt));
    expect_text(&qr, "x");
}

static void timeout_leaves_tokens_outstanding(void **state) {
    (void)state;
    int qd = new_queue(), offset;
    dmtr_qtoken_t qt = pop_begin(qd);
    dmtr_qresult_t qr;
    assert_int_equal(dmtr_wait_timed(&qr, qt, 2 * MS), ETIMEDOUT);
    assert_true(qr.qr_qt == 0);
    assert_int_equal(dmtr_wait_any_timed(&qr, &offset, &qt, 1, 2 * MS), ETIMEDOUT);
    assert_int_equal(dmtr_wait_all_timed(&qr, &qt, 1, 2 * MS), ETIMEDOUT);
    assert_int_equal(dmtr_wait_timed(&qr, qt, 0), ETIMEDOUT);
    push_wait(qd, "late");
    expect_wait_text(qt, "late");
}

static void wait_any_returns_results_in_order_of_completion(void **state) {
    (void)state;
    enum { N = 50 };
    int qd[N];
    dmtr_qtoken_t qts[N];
    for (int i = 0; i < N; i++) {
        qd[i] = new_queue();
        qts[i] = pop_begin(qd[i]);
    }
    for (int i = 0; i < N; i++)
        push_wait(qd[(i * 7) % N], "m");
    for (int i = 0; i < N; i++) {
        dmtr_qresult_t qr;
        int offset = -1;
        assert_ok(dmtr_wait_any_timed(&qr, &offset, qts, N, HANG));
        assert_int_equal(offset, (i * 7) % N);
        assert_int_equal(qr.qr_qd, qd[offset]);
        expect_text(&qr, "m");
        qts[offset] = 0;
    }
}

static void wait_any_finds_tokens_in_a_reordered_list(void **state) {
    (void)state;
    enum { N = 40 };
    int qd[N], n = N;
    dmtr_qtoken_t qts[N];
    for (int i = 0; i < N; i++) {
        qd[i] = new_queue();
        qts[i] = pop_begin(qd[i]);
    }
    unsigned seed = 12345;
    while (n > 0) {
        for (int i = n - 1; i > 0; i--) {
            int j = (int)((seed = seed * 1103515245u + 12345u) >> 16) % (i + 1);
            dmtr_qtoken_t t = qts[i];
            qts[i] = qts[j], qts[j] = t;
            int q = qd[i];
            qd[i] = qd[j], qd[j] = q;
        }
        int target = (int)(seed >> 16) % n, offset = -1;
        push_wait(qd[target], "m");
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_any_timed(&qr, &offset, qts, n, HANG));
        assert_int_equal(offset, target);
        expect_text(&qr, "m");
        memmove(&qts[target], &qts[target + 1], sizeof qts[0] * (size_t)(n - target - 1));
        memmove(&qd[target], &qd[target + 1], sizeof qd[0] * (size_t)(n - target - 1));
        n--;
    }
}

static void wait_any_returns_an_earlier_completion_once_it_is_listed(void **state) {
    (void)state;
    int a = new_queue(), b = new_queue(), offset;
    dmtr_qtoken_t qa = pop_begin(a), qb = pop_begin(b);
    push_wait(a, "early");
    push_wait(b, "listed");
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_any_timed(&qr, &offset, &qb, 1, HANG));
    expect_text(&qr, "listed");
    qb = pop_begin(b);
    dmtr_qtoken_t both[2] = {qb, qa};
    assert_ok(dmtr_wait_any_timed(&qr, &offset, both, 2, HANG));
    assert_int_equal(offset, 1);
    expect_text(&qr, "early");
}

static void unlisted_completions_do_not_block_and_are_not_lost(void **state) {
    (void)state;
    int qd = new_queue(), other = new_queue(), offset;
    dmtr_qtoken_t unlisted[200];
    for (int i = 0; i < 200; i++)
        unlisted[i] = push_text(other, "u");
    for (int i = 0; i < 100; i++) {
        dmtr_qtoken_t qt = pop_begin(qd);
        push_wait(qd, "m");
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_any_timed(&qr, &offset, &qt, 1, HANG));
        expect_text(&qr, "m");
    }
    dmtr_qresult_t qrs[200];
    assert_ok(dmtr_wait_all_timed(qrs, unlisted, 200, HANG));
}

static void wait_any_refuses_invalid_tokens_if_no_operation_is_complete(void **state) {
    (void)state;
    int qd = new_queue(), offset;
    dmtr_qtoken_t qts[300];
    dmtr_qresult_t qr;
    for (int i = 0; i < 300; i++)
        qts[i] = pop_begin(qd);
    dmtr_qtoken_t stale = qts[299];
    assert_ok(dmtr_drop(stale));
    assert_int_equal(dmtr_wait_any(&qr, &offset, qts, 300), EINVAL);
    assert_int_equal(dmtr_wait_any(&qr, &offset, &stale, 1), EINVAL);
    dmtr_qtoken_t zeros[3] = {0};
    assert_int_equal(dmtr_wait_any(&qr, &offset, zeros, 3), EINVAL);
}

static void zero_tokens_are_skipped(void **state) {
    (void)state;
    int qd = new_queue(), offset;
    dmtr_qtoken_t qts[5] = {0, 0, pop_begin(qd), 0, 0};
    push_wait(qd, "x");
    dmtr_qresult_t qr, qrs[3];
    assert_ok(dmtr_wait_any_timed(&qr, &offset, qts, 5, HANG));
    assert_int_equal(offset, 2);
    expect_text(&qr, "x");
    dmtr_qtoken_t all[3] = {0, push_text(qd, "y"), 0};
    assert_ok(dmtr_wait_all_timed(qrs, all, 3, HANG));
    assert_true(qrs[0].qr_qt == 0 && qrs[1].qr_qt == all[1] && qrs[2].qr_qt == 0);
}

static void wait_all_returns_every_result_in_list_order(void **state) {
    (void)state;
    int a = new_queue(), b = new_queue();
    dmtr_qtoken_t qts[4] = {pop_begin(a), pop_begin(b), push_text(b, "b"), push_text(a, "a")};
    dmtr_qresult_t qrs[4];
    assert_ok(dmtr_wait_all_timed(qrs, qts, 4, HANG));
    for (int i = 0; i < 4; i++)
        assert_true(qrs[i].qr_qt == qts[i]);
    expect_text(&qrs[0], "a");
    expect_text(&qrs[1], "b");
}

static void wait_all_refuses_a_token_listed_twice(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t qt = push_text(qd, "x"), twice[2] = {qt, qt};
    dmtr_qresult_t qrs[2];
    assert_int_equal(dmtr_wait_all(qrs, twice, 2), EINVAL);
    assert_ok(dmtr_wait_timed(qrs, qt, HANG));
}

static void every_wait_returns_operation_errors(void **state) {
    (void)state;
    int offset, got;
    for (int kind = 0; kind < 4; kind++) {
        int qd = new_queue();
        dmtr_qtoken_t qt = pop_begin(qd);
        assert_ok(dmtr_close(qd));
        dmtr_qresult_t qr;
        if (kind == 0) assert_int_equal(dmtr_wait(&qr, qt), ECANCELED);
        if (kind == 1) assert_int_equal(dmtr_wait_any(&qr, &offset, &qt, 1), ECANCELED);
        if (kind == 2) assert_int_equal(dmtr_wait_all(&qr, &qt, 1), ECANCELED);
        if (kind == 3) assert_ok(dmtr_wait_next_n(&qr, 1, &got, HANG));
        assert_int_equal(qr.qr_error, ECANCELED);
        assert_int_equal(qr.qr_qd, qd);
        assert_int_equal(qr.qr_opcode, DMTR_OPC_POP);
        assert_true(qr.qr_qt == qt);
    }
}

static void wait_next_n_returns_results_in_order_of_completion(void **state) {
    (void)state;
    int qd = new_queue(), got;
    dmtr_qtoken_t pops[10];
    for (int i = 0; i < 10; i++)
        pops[i] = pop_begin(qd);
    for (int i = 0; i < 10; i++)
        assert_ok(dmtr_drop(push_text(qd, "m")));
    dmtr_qresult_t qrs[16];
    assert_ok(dmtr_wait_next_n(qrs, 4, &got, HANG));
    assert_int_equal(got, 4);
    assert_ok(dmtr_wait_next_n(qrs + 4, 12, &got, HANG));
    assert_int_equal(got, 6);
    for (int i = 0; i < 10; i++) {
        assert_true(qrs[i].qr_qt == pops[i]);
        expect_text(&qrs[i], "m");
    }
    assert_int_equal(dmtr_wait_next_n(qrs, 16, &got, 0), ETIMEDOUT);
    assert_int_equal(got, 0);
}

static void wait_next_n_without_operations_and_timeout_is_refused(void **state) {
    (void)state;
    dmtr_qresult_t qr;
    int got = 7;
    assert_int_equal(dmtr_wait_next_n(&qr, 1, &got, UINT64_MAX), EINVAL);
    assert_int_equal(got, 0);
    assert_int_equal(dmtr_wait_next_n(&qr, 1, &got, MS), ETIMEDOUT);
}

static void every_policy_waits_and_times_out(void **state) {
    (void)state;
    static char *const policies[] = {"wait.policy=spin", "wait.policy=adaptive", "wait.policy=block"};
    for (int i = 0; i < 3; i++) {
        restart_with(policies[i]);
        int qd = new_queue();
        dmtr_qtoken_t qt = pop_begin(qd), timer;
        dmtr_qresult_t qr;
        assert_int_equal(dmtr_wait_timed(&qr, qt, MS), ETIMEDOUT);
        assert_ok(dmtr_timer(&timer, MS));
        assert_ok(dmtr_wait_timed(&qr, timer, HANG));
        push_wait(qd, "x");
        expect_wait_text(qt, "x");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        api_test(poll_returns_eagain_and_then_the_result),
        api_test(timeout_leaves_tokens_outstanding),
        api_test(wait_any_returns_results_in_order_of_completion),
        api_test(wait_any_finds_tokens_in_a_reordered_list),
        api_test(wait_any_returns_an_earlier_completion_once_it_is_listed),
        api_test(unlisted_completions_do_not_block_and_are_not_lost),
        api_test(wait_any_refuses_invalid_tokens_if_no_operation_is_complete),
        api_test(zero_tokens_are_skipped),
        api_test(wait_all_returns_every_result_in_list_order),
        api_test(wait_all_refuses_a_token_listed_twice),
        api_test(every_wait_returns_operation_errors),
        api_test(wait_next_n_returns_results_in_order_of_completion),
        api_test(wait_next_n_without_operations_and_timeout_is_refused),
        api_test(every_policy_waits_and_times_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
