/* SPDX-License-Identifier: MIT */
/* Deadlines, the user timeout, retry limits and keepalive without a connection. */
#include "inet/tcp/timers.h"

#include "part.h"

static void never_called(struct inet *s, struct inet_timer *t) {
    (void)s;
    (void)t;
    fail();
}

static void start(struct tcp_timers *t, struct wheel *w) {
    *t = (struct tcp_timers){.keep_idle_s = 100, .keep_interval_s = 10, .keep_count = 2};
    wheel_init(w, 0);
    timers_init(t, never_called, 5 * SEC);
}

static void timer_is_armed_for_the_earliest_deadline_and_never_moved_later(void **state) {
    (void)state;
    struct tcp_timers t;
    struct wheel w;
    start(&t, &w);
    for (uint32_t i = 0; i < TCP_TIMER_COUNT; i++)
        assert_false(timers_pending(&t, i));
    timers_set(&t, &w, TCP_TIMER_LIFE, UINT64_MAX);
    assert_false(t.timer.timer.armed);
    timers_set(&t, &w, TCP_TIMER_LIFE, 20 * SEC);
    timers_set(&t, &w, TCP_TIMER_SEND, 10 * SEC);
    assert_int_equal(t.timer.timer.deadline_ns, 10 * SEC);
    timers_set(&t, &w, TCP_TIMER_SEND, 15 * SEC);
    assert_int_equal(t.timer.timer.deadline_ns, 10 * SEC);
    timers_clear(&t, TCP_TIMER_SEND);
    assert_false(timers_pending(&t, TCP_TIMER_SEND));
    assert_true(t.timer.timer.armed);
    timers_resume(&t, &w);
    assert_int_equal(t.timer.timer.deadline_ns, 20 * SEC);
}

static void deadline_expires_once(void **state) {
    (void)state;
    struct tcp_timers t;
    struct wheel w;
    start(&t, &w);
    timers_set(&t, &w, TCP_TIMER_DELACK, 10 * SEC);
    assert_false(timers_expire(&t, TCP_TIMER_DELACK, 10 * SEC - 1));
    assert_false(timers_expire(&t, TCP_TIMER_SEND, 10 * SEC));
    assert_true(timers_expire(&t, TCP_TIMER_DELACK, 10 * SEC));
    assert_false(timers_expire(&t, TCP_TIMER_DELACK, 10 * SEC));
}

static void suspended_timers_resume_and_stopped_ones_do_not(void **state) {
    (void)state;
    struct tcp_timers t;
    struct wheel w;
    start(&t, &w);
    timers_resume(&t, &w);
    assert_false(t.timer.timer.armed);
    timers_set(&t, &w, TCP_TIMER_ROOM, 9 * SEC);
    timers_set(&t, &w, TCP_TIMER_TRIM, 8 * SEC);
    timers_suspend(&t, &w);
    assert_false(t.timer.timer.armed);
    timers_resume(&t, &w);
    assert_true(t.timer.timer.armed);
    assert_int_equal(t.timer.timer.deadline_ns, 8 * SEC);
    timers_stop(&t, &w);
    assert_false(t.timer.timer.armed);
    timers_resume(&t, &w);
    assert_false(t.timer.timer.armed);
}

static void user_timeout_bounds_the_send_timer(void **state) {
    (void)state;
    struct tcp_timers t;
    struct wheel w;
    start(&t, &w);
    timers_arm_send(&t, &w, TCP_SEND_PERSIST, 60 * SEC);
    assert_int_equal(t.send_timer, TCP_SEND_PERSIST);
    assert_int_equal(t.deadlines[TCP_TIMER_SEND], 60 * SEC);
    timers_user_timeout_changed(&t, &w); /* no user timeout is set */
    assert_int_equal(t.deadlines[TCP_TIMER_SEND], 60 * SEC);
    t.user_timeout_ms = 30000;
    timers_user_timeout_changed(&t, &w);
    assert_int_equal(t.deadlines[TCP_TIMER_SEND], 35 * SEC); /* counted from the last progress */
    timers_arm_send(&t, &w, TCP_SEND_RTO, 34 * SEC);
    assert_int_equal(t.deadlines[TCP_TIMER_SEND], 34 * SEC);
    timers_user_timeout_changed(&t, &w);
    assert_int_equal(t.deadlines[TCP_TIMER_SEND], 34 * SEC);
    timers_arm_send(&t, &w, TCP_SEND_RTO, 36 * SEC);
    assert_int_equal(t.deadlines[TCP_TIMER_SEND], 35 * SEC);
    timers_clear(&t, TCP_TIMER_SEND);
    timers_user_timeout_changed(&t, &w); /* no timer is pending */
    assert_false(timers_pending(&t, TCP_TIMER_SEND));
}

static void retries_are_limited(void **state) {
    (void)state;
    struct tcp_timers t;
    struct wheel w;
    start(&t, &w);
    assert_true(timers_tried(&t, 0));
    assert_false(timers_tried(&t, 1));
    for (uint32_t i = 0; i < 300; i++)
        timers_count_try(&t);
    assert_int_equal(t.tries, UINT8_MAX);
    assert_int_equal(t.backoff, TCP_BACKOFF_MAX);
    assert_true(timers_tried(&t, UINT8_MAX));
    t.user_timeout_ms = 1;
    assert_false(timers_tried(&t, 1)); /* the user timeout replaces the retry limit */
}

static void keepalive_probes_a_silent_peer_and_then_ends_the_connection(void **state) {
    (void)state;
    struct tcp_timers t;
    struct wheel w;
    uint64_t next;
    start(&t, &w); /* the last segment of the peer arrived at 5 s */
    assert_int_equal(timers_keepalive(&t, 105 * SEC - 1, false, &next), TCP_KEEPALIVE_WAIT);
    assert_int_equal(next, 105 * SEC);
    assert_int_equal(timers_keepalive(&t, 105 * SEC, true, &next), TCP_KEEPALIVE_WAIT); /* data is in flight */
    assert_int_equal(next, 115 * SEC);
    assert_int_equal(timers_keepalive(&t, 105 * SEC, false, &next), TCP_KEEPALIVE_PROBE);
    assert_int_equal(next, 115 * SEC);
    assert_int_equal(timers_keepalive(&t, 115 * SEC, false, &next), TCP_KEEPALIVE_PROBE);
    assert_int_equal(t.probes, 2);
    assert_int_equal(timers_keepalive(&t, 125 * SEC, false, &next), TCP_KEEPALIVE_END);
    t.received_ns = 124 * SEC; /* the peer has answered */
    assert_int_equal(timers_keepalive(&t, 125 * SEC, false, &next), TCP_KEEPALIVE_WAIT);
    assert_int_equal(next, 224 * SEC);
}

static void orphans_and_fin_wait_2_have_deadlines(void **state) {
    (void)state;
    struct tcp_timers t;
    struct wheel w;
    start(&t, &w);
    t.received_ns = 50 * SEC; /* a segment of the peer does not extend the deadline of an orphan */
    assert_int_equal(timers_orphan_ns(&t), 125 * SEC);
    t.fin_wait_2_s = 60;
    assert_int_equal(timers_fin_wait_2_ns(&t), 60 * SEC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer_is_armed_for_the_earliest_deadline_and_never_moved_later),
        cmocka_unit_test(deadline_expires_once),
        cmocka_unit_test(suspended_timers_resume_and_stopped_ones_do_not),
        cmocka_unit_test(user_timeout_bounds_the_send_timer),
        cmocka_unit_test(retries_are_limited),
        cmocka_unit_test(keepalive_probes_a_silent_peer_and_then_ends_the_connection),
        cmocka_unit_test(orphans_and_fin_wait_2_have_deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
