/* SPDX-License-Identifier: MIT */
/* Periodic timers: one token for all results, one result at a time, and only dmtr_drop ends the timer. */
#include "api_test.h"

#include <poll.h>
#include <time.h>

static void sleep_ns(uint64_t ns) {
    uint64_t end = dmtr_now_ns() + ns;
    struct timespec ts = {.tv_nsec = (long)ns};
    while (dmtr_now_ns() < end)
        nanosleep(&ts, NULL);
}

static dmtr_qtoken_t start_periodic(uint64_t ns, uint64_t period_ns) {
    dmtr_qtoken_t qt;
    assert_ok(dmtr_timer_periodic(&qt, ns, period_ns));
    return qt;
}

/* Checks the result. Returns its number of expirations. */
static uint64_t check_expirations(const dmtr_qresult_t *qr, dmtr_qtoken_t qt) {
    assert_int_equal(qr->qr_opcode, DMTR_OPC_TIMER);
    assert_int_equal(qr->qr_qd, -1);
    assert_int_equal(qr->qr_error, 0);
    assert_true(qr->qr_qt == qt);
    assert_true(qr->qr_value.expirations >= 1);
    return qr->qr_value.expirations;
}

enum { ONE, ANY, ALL, NEXT, WAITS };

static void every_wait_returns_the_token_repeatedly(void **state) {
    (void)state;
    static int mine;
    for (int kind = 0; kind < WAITS; kind++) {
        dmtr_qresult_t qr;
        uint64_t begin = dmtr_now_ns(), sum = 0;
        dmtr_qtoken_t qt = start_periodic(MS, MS / 4);
        assert_ok(dmtr_set_token_user(qt, &mine));
        for (int i = 0, at; i < 20; i++) {
            if (kind == ONE) assert_ok(dmtr_wait_timed(&qr, qt, HANG));
            if (kind == ANY) assert_ok(dmtr_wait_any_timed(&qr, &at, &qt, 1, HANG));
            if (kind == ALL) assert_ok(dmtr_wait_all_timed(&qr, &qt, 1, HANG));
            if (kind == NEXT) assert_ok(dmtr_wait_next_n(&qr, 1, &at, HANG));
            sum += check_expirations(&qr, qt);
            assert_ptr_equal(qr.qr_user, &mine);
            /* Never early: the last reported expiration is in the past. */
            assert_true(dmtr_now_ns() - begin >= MS + (sum - 1) * (MS / 4));
        }
        assert_ok(dmtr_drop(qt));
        assert_int_equal(dmtr_drop(qt), EINVAL);
        assert_int_equal(dmtr_wait_timed(&qr, qt, 0), EINVAL);
    }
}

static void a_late_wait_gets_one_result_with_all_missed_expirations(void **state) {
    (void)state;
    dmtr_qresult_t qrs[4];
    int got;
    uint64_t begin = dmtr_now_ns();
    dmtr_qtoken_t qt = start_periodic(0, MS);
    sleep_ns(20 * MS);
    assert_ok(dmtr_wait_next_n(qrs, 4, &got, HANG));
    assert_int_equal(got, 1);
    uint64_t n = check_expirations(&qrs[0], qt);
    assert_true(n >= 21); /* expirations at 0, 1, ... 20 ms */
    assert_true(n - 1 <= (dmtr_now_ns() - begin) / MS);
    /* The same if the first result was complete before the delay. */
    assert_ok(dmtr_drop(qt));
    qt = start_periodic(0, MS);
    dmtr_qtoken_t other;
    dmtr_qresult_t qr;
    assert_ok(dmtr_timer(&other, 0));
    assert_ok(dmtr_wait_timed(&qr, other, HANG));
    sleep_ns(20 * MS);
    assert_ok(dmtr_wait_timed(&qr, qt, 0));
    assert_true(check_expirations(&qr, qt) >= 21);
    assert_ok(dmtr_drop(qt));
}

/* The sum of all expirations matches the clock, to within one expiration. */
static void delays_do_not_accumulate(void **state) {
    (void)state;
    dmtr_qresult_t qr;
    uint64_t begin = dmtr_now_ns(), sum = 0;
    dmtr_qtoken_t qt = start_periodic(MS, MS);
    uint64_t begun = dmtr_now_ns();
    for (int i = 0; i < 10; i++) {
        sleep_ns((uint64_t)i * MS / 3);
        uint64_t before = dmtr_now_ns();
        assert_ok(dmtr_wait_timed(&qr, qt, HANG));
        sum += check_expirations(&qr, qt);
        /* The sum contains every expiration that was due before the wait, and none that is due later than now. */
        assert_true(sum >= (before - begun) / MS);
        assert_true(sum <= (dmtr_now_ns() - begin) / MS);
    }
    assert_ok(dmtr_drop(qt));
}

static void dropping_the_timer_discards_its_result(void **state) {
    (void)state;
    dmtr_qtoken_t qt = start_periodic(0, MS), other;
    dmtr_qresult_t qr;
    int got;
    assert_ok(dmtr_timer(&other, MS));
    assert_ok(dmtr_wait_timed(&qr, other, HANG)); /* the periodic timer has a result now */
    assert_ok(dmtr_drop(qt));
    assert_int_equal(dmtr_wait_next_n(&qr, 1, &got, 3 * MS), ETIMEDOUT);
    /* No operation is outstanding. */
    assert_int_equal(dmtr_wait_next_n(&qr, 1, &got, UINT64_MAX), EINVAL);
}

static void a_periodic_timer_keeps_its_slot_until_it_is_dropped(void **state) {
    (void)state;
    enum { MOST = 16 };
    restart_with("core.max_operations=16");
    dmtr_qtoken_t qt = start_periodic(0, MS / 10), others[MOST], none;
    dmtr_qresult_t qr;
    for (int i = 0; i < 100; i++) {
        assert_ok(dmtr_wait_timed(&qr, qt, HANG));
        check_expirations(&qr, qt);
        for (int k = 1; k < MOST; k++)
            assert_ok(dmtr_timer(&others[k], HANG));
        assert_int_equal(dmtr_timer(&none, HANG), ENOBUFS);
        for (int k = 1; k < MOST; k++) {
            assert_true(others[k] != qt);
            assert_ok(dmtr_drop(others[k]));
        }
    }
    assert_ok(dmtr_drop(qt));
    for (int k = 0; k < MOST; k++)
        assert_ok(dmtr_timer(&others[k], HANG));
    assert_int_equal(dmtr_timer(&none, HANG), ENOBUFS);
}

static void many_timers_keep_their_own_periods(void **state) {
    (void)state;
    enum { N = 50 };
    dmtr_qtoken_t qts[N];
    uint64_t sums[N] = {0}, begin = dmtr_now_ns(), all = 0;
    for (uint64_t i = 0; i < N; i++) {
        qts[i] = start_periodic(MS, (i + 1) * MS / 10);
        assert_ok(dmtr_set_token_user(qts[i], &sums[i]));
    }
    uint64_t begun = dmtr_now_ns();
    while (all < 5 * N) {
        dmtr_qresult_t qrs[16];
        int got;
        assert_ok(dmtr_wait_next_n(qrs, 16, &got, HANG));
        for (int k = 0; k < got; k++) {
            uint64_t *sum = qrs[k].qr_user;
            *sum += check_expirations(&qrs[k], qts[sum - sums]);
            all++;
        }
    }
    sleep_ns(MS);
    for (uint64_t i = 0; i < N; i++) {
        dmtr_qresult_t qr;
        uint64_t period = (i + 1) * MS / 10, before = dmtr_now_ns();
        assert_ok(dmtr_wait_timed(&qr, qts[i], HANG));
        sums[i] += check_expirations(&qr, qts[i]);
        assert_true(sums[i] >= 1 + (before - begun - MS) / period);
        assert_true(sums[i] <= 1 + (dmtr_now_ns() - begin - MS) / period);
        assert_ok(dmtr_drop(qts[i]));
    }
}

static void the_event_descriptor_is_readable_for_each_expiration(void **state) {
    (void)state;
    int fd, got;
    dmtr_qresult_t qr;
    assert_ok(dmtr_event_fd(&fd));
    dmtr_qtoken_t qt = start_periodic(MS, MS);
    for (int i = 0; i < 5; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int r;
        do {
            assert_int_equal(poll(&p, 1, (int)(HANG / MS)), 1);
            r = dmtr_wait_next_n(&qr, 1, &got, 0);
        } while (r == ETIMEDOUT);
        assert_ok(r);
        check_expirations(&qr, qt);
    }
}

static void a_one_shot_timer_reports_one_expiration(void **state) {
    (void)state;
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    assert_ok(dmtr_timer(&qt, 0));
    sleep_ns(2 * MS);
    assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    assert_int_equal(check_expirations(&qr, qt), 1);
    assert_int_equal(dmtr_drop(qt), EINVAL);
}

static void timers_that_never_expire_again_end_with_the_runtime(void **state) {
    (void)state;
    dmtr_qresult_t qr;
    dmtr_qtoken_t once = start_periodic(0, UINT64_MAX);
    assert_ok(dmtr_wait_timed(&qr, once, HANG));
    assert_int_equal(check_expirations(&qr, once), 1);
    assert_int_equal(dmtr_wait_timed(&qr, once, MS), ETIMEDOUT);
    dmtr_qtoken_t never = start_periodic(UINT64_MAX, 1);
    assert_int_equal(dmtr_wait_timed(&qr, never, MS), ETIMEDOUT);
    start_periodic(0, MS); /* dmtr_fini ends it, complete or not */
    assert_int_equal(dmtr_wait_timed(&qr, never, MS), ETIMEDOUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        api_test(every_wait_returns_the_token_repeatedly),
        api_test(a_late_wait_gets_one_result_with_all_missed_expirations),
        api_test(delays_do_not_accumulate),
        api_test(dropping_the_timer_discards_its_result),
        api_test(a_periodic_timer_keeps_its_slot_until_it_is_dropped),
        api_test(many_timers_keep_their_own_periods),
        api_test(the_event_descriptor_is_readable_for_each_expiration),
        api_test(a_one_shot_timer_reports_one_expiration),
        api_test(timers_that_never_expire_again_end_with_the_runtime),
    };
    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
