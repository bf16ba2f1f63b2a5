/* SPDX-License-Identifier: MIT */
/* Waits: time limits, tokens that are none, several results at a time. */
#include "demi_test.h"

static const struct timespec soon = {.tv_nsec = 1000000};

/* An in-memory queue of the other interface: its operations complete when the test says so. */
static int new_queue(void) {
    int qd = -1;
    assert_ok(dmtr_queue(&qd));
    return qd;
}

static void drop_sga(demi_qresult_t *qr) {
    assert_int_equal(qr->qr_opcode, DEMI_OPC_POP);
    assert_ok(demi_sgafree(&qr->qr_value.sga));
}

static void time_out_leaves_the_token_outstanding(void **state) {
    (void)state;
    int qd = new_queue(), offset;
    demi_qresult_t qr;
    demi_qtoken_t qt = pop_begin(qd);
    assert_int_equal(demi_wait(&qr, qt, &now), ETIMEDOUT);
    assert_int_equal(demi_wait(&qr, qt, &soon), ETIMEDOUT);
    assert_int_equal(demi_wait_any(&qr, &offset, &qt, 1, &soon), ETIMEDOUT);
    push_wait(qd, 1, 'x');
    qr = wait_for(qt);
    drop_sga(&qr);
}

static void no_limit_waits_until_done(void **state) {
    (void)state;
    int qd = new_queue(), offset = -1;
    const struct timespec longest = {.tv_sec = INT64_MAX, .tv_nsec = 999999999};
    demi_qresult_t qr;
    demi_qtoken_t qts[2] = {pop_begin(qd), pop_begin(qd)};
    push_wait(qd, 1, 'x');
    push_wait(qd, 1, 'y');
    assert_ok(demi_wait(&qr, qts[0], NULL));
    drop_sga(&qr);
    assert_ok(demi_wait_any(&qr, &offset, &qts[1], 1, &longest));
    assert_int_equal(offset, 0);
    drop_sga(&qr);
}

static void used_and_invented_tokens_are_refused(void **state) {
    (void)state;
    int qd = new_queue();
    demi_qresult_t qr;
    demi_qtoken_t qt = pop_begin(qd);
    push_wait(qd, 1, 'x');
    qr = wait_for(qt);
    drop_sga(&qr);
    const demi_qtoken_t invalid[] = {qt, 0, 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        int offset;
        assert_int_equal(demi_wait(&qr, invalid[i], &now), EINVAL);
        assert_int_equal(demi_wait_any(&qr, &offset, &invalid[i], 1, &now), EINVAL);
    }
}

static void malformed_times_are_refused(void **state) {
    (void)state;
    const struct timespec malformed[] = {{.tv_sec = -1}, {.tv_nsec = -1}, {.tv_nsec = 1000000000}};
    demi_qresult_t qr;
    demi_qtoken_t qt = pop_begin(new_queue());
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        int out;
        assert_int_equal(demi_wait(&qr, qt, &malformed[i]), EINVAL);
        assert_int_equal(demi_wait_any(&qr, &out, &qt, 1, &malformed[i]), EINVAL);
        assert_int_equal(demi_wait_next_n(&qr, 1, &out, &malformed[i]), EINVAL);
    }
}

static void wait_any_tells_which(void **state) {
    (void)state;
    int qds[3], offset = -1;
    demi_qtoken_t qts[3];
    demi_qresult_t qr;
    for (int i = 0; i < 3; i++) {
        qds[i] = new_queue();
        qts[i] = pop_begin(qds[i]);
    }
    push_wait(qds[1], 5, 'x');
    assert_ok(demi_wait_any(&qr, &offset, qts, 3, &hang));
    assert_int_equal(offset, 1);
    assert_int_equal(qr.qr_qd, qds[1]);
    assert_true(qr.qr_qt == qts[1]);
    drop_sga(&qr);
}

static void failure_is_in_the_result_of_every_wait(void **state) {
    (void)state;
    demi_qresult_t qr[3];
    demi_qtoken_t qts[3];
    int offset, got;
    for (int i = 0; i < 3; i++) {
        int qd = new_queue();
        qts[i] = pop_begin(qd);
        assert_ok(demi_close(qd));
    }
    assert_ok(demi_wait(&qr[0], qts[0], &hang));
    assert_ok(demi_wait_any(&qr[1], &offset, &qts[1], 1, &hang));
    assert_ok(demi_wait_next_n(&qr[2], 1, &got, &hang));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(qr[i].qr_opcode, DEMI_OPC_FAILED);
        assert_int_equal(qr[i].qr_ret, ECANCELED);
        assert_true(qr[i].qr_qt == qts[i]);
    }
}

#define MANY 50 /* more than are fetched at a time */

static void next_n_gives_all_in_order_of_completion(void **state) {
    (void)state;
    int qd = new_queue(), got = -1;
    demi_qtoken_t qts[MANY];
    demi_qresult_t qrs[MANY];
    for (int i = 0; i < MANY; i++)
        qts[i] = pop_begin(qd);
    for (int i = 0; i < MANY; i++)
        push_wait(qd, (size_t)i + 1, 'x');
    assert_ok(demi_wait_next_n(qrs, MANY, &got, &hang));
    assert_int_equal(got, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_true(qrs[i].qr_qt == qts[i]);
        assert_int_equal(qrs[i].qr_value.sga.sga_segs[0].sgaseg_len, i + 1);
        drop_sga(&qrs[i]);
    }
}

static void next_n_hands_out_what_completed_before_the_time_ran_out(void **state) {
    (void)state;
    int qd = new_queue(), got = -1;
    demi_qresult_t qrs[3];
    for (int i = 0; i < 3; i++)
        pop_begin(qd);
    push_wait(qd, 1, 'x');
    assert_int_equal(demi_wait_next_n(qrs, 3, &got, &soon), ETIMEDOUT);
    assert_int_equal(got, 1);
    drop_sga(&qrs[0]);
    assert_int_equal(demi_wait_next_n(qrs, 3, &got, &now), ETIMEDOUT);
    assert_int_equal(got, 0);
}

static void next_n_without_limit_does_not_wait_for_nothing(void **state) {
    (void)state;
    int qd = new_queue(), got = -1;
    demi_qresult_t qrs[3];
    assert_int_equal(demi_wait_next_n(qrs, 3, &got, NULL), EINVAL);
    pop_begin(qd);
    push_wait(qd, 1, 'x');
    assert_ok(demi_wait_next_n(qrs, 3, &got, NULL));
    assert_int_equal(got, 1);
    drop_sga(&qrs[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        demi_test(time_out_leaves_the_token_outstanding),
        demi_test(no_limit_waits_until_done),
        demi_test(used_and_invented_tokens_are_refused),
        demi_test(malformed_times_are_refused),
        demi_test(wait_any_tells_which),
        demi_test(failure_is_in_the_result_of_every_wait),
        demi_test(next_n_gives_all_in_order_of_completion),
        demi_test(next_n_hands_out_what_completed_before_the_time_ran_out),
        demi_test(next_n_without_limit_does_not_wait_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
