/* SPDX-License-Identifier: MIT */
/* Congestion control without a connection: slow start, NewReno and CUBIC. */
#include "inet/tcp/cc.h"
#include "inet/tcp/option.h"

#include "part.h"

#include <errno.h>

#define MSS 1000u
#define RTT 100000u /* microseconds */

static void initial_window_is_at_most_ten_segments(void **state) {
    (void)state;
    assert_int_equal(tcp_cc_initial(536), 5360);
    assert_int_equal(tcp_cc_initial(1460), 14600);
    assert_int_equal(tcp_cc_initial(1461), 14600);
    assert_int_equal(tcp_cc_initial(8960), 17920); /* two segments */
}

static void algorithms_are_found_by_name(void **state) {
    (void)state;
    assert_int_equal(tcp_congestion_find(cc_cubic.name), 0);
    assert_string_equal(tcp_congestion_name(0), "cubic");
    assert_int_equal(tcp_congestion_find(cc_newreno.name), 1);
    assert_string_equal(tcp_congestion_name(1), "reno");
    assert_int_equal(tcp_congestion_find("vegas"), -ENOENT);
    assert_null(tcp_congestion_name(2));
}

static void slow_start_grows_up_to_the_threshold(void **state) {
    (void)state;
    struct tcp_cc cc = {.ops = &cc_newreno, .cwnd = 4 * MSS, .ssthresh = 10 * MSS};
    tcp_cc_grow(&cc, 4 * MSS, MSS, RTT, SEC);
    assert_int_equal(cc.cwnd, 8 * MSS);
    tcp_cc_grow(&cc, 8 * MSS, MSS, RTT, SEC); /* the bytes above the threshold count for congestion avoidance */
    assert_int_equal(cc.cwnd, 10 * MSS);
    assert_int_equal(cc.newreno.acked, 6 * MSS);
}

static void newreno_grows_by_one_segment_per_round_trip(void **state) {
    (void)state;
    struct tcp_cc cc = {.ops = &cc_newreno, .cwnd = 10 * MSS, .ssthresh = 10 * MSS};
    for (uint32_t i = 0; i < 9; i++)
        tcp_cc_grow(&cc, MSS, MSS, RTT, SEC);
    assert_int_equal(cc.cwnd, 10 * MSS);
    tcp_cc_grow(&cc, MSS, MSS, RTT, SEC);
    assert_int_equal(cc.cwnd, 11 * MSS);
}

static void newreno_reduces_to_half_of_the_bytes_in_flight(void **state) {
    (void)state;
    struct tcp_cc cc = {.ops = &cc_newreno, .cwnd = 20 * MSS};
    assert_int_equal(cc_newreno.reduce(&cc, 12 * MSS, MSS), 6 * MSS);
    assert_int_equal(cc_newreno.reduce(&cc, 30 * MSS, MSS), 10 * MSS); /* in flight is limited to the window */
    assert_int_equal(cc_newreno.reduce(&cc, 3 * MSS, MSS), 2 * MSS);   /* at least two segments */
}

static void cubic_reduces_to_seven_tenths(void **state) {
    (void)state;
    struct tcp_cc cc = {.ops = &cc_cubic, .cwnd = 100 * MSS};
    assert_int_equal(cc_cubic.reduce(&cc, 0, MSS), 70 * MSS);
    assert_true(cc.cubic.w_max > 99.9f && cc.cubic.w_max < 100.1f);
    cc.cwnd = 80 * MSS; /* below the window of the last loss: fast convergence */
    assert_int_equal(cc_cubic.reduce(&cc, 0, MSS), 56 * MSS);
    assert_true(cc.cubic.w_max > 67.9f && cc.cubic.w_max < 68.1f);
    cc.cwnd = MSS;
    assert_int_equal(cc_cubic.reduce(&cc, 0, MSS), 2 * MSS);
}

/* Acknowledges a full window in each round trip for `seconds`. */
static void acknowledge_for(struct tcp_cc *cc, uint64_t *now, uint32_t seconds) {
    for (uint32_t i = 0; i < seconds * 10; i++, *now += RTT * 1000ull)
        tcp_cc_grow(cc, cc->cwnd, MSS, RTT, *now);
}

static void cubic_regains_the_window_of_the_last_loss_and_exceeds_it(void **state) {
    (void)state;
    struct tcp_cc cc = {.ops = &cc_cubic, .cwnd = 1000 * MSS};
    uint64_t now = SEC;
    cc.cwnd = cc.ssthresh = cc_cubic.reduce(&cc, 0, MSS);
    acknowledge_for(&cc, &now, 9); /* the cube root of 300 / 0.4 is 9.1 s */
    assert_uint_in_range(cc.cwnd, 990 * MSS, 1005 * MSS);
    acknowledge_for(&cc, &now, 9);
    assert_true(cc.cwnd > 1200 * MSS);
}

static void cubic_is_never_slower_than_reno(void **state) {
    (void)state;
    struct tcp_cc cc = {.ops = &cc_cubic, .cwnd = 10 * MSS};
    uint64_t now = SEC;
    cc.cwnd = cc.ssthresh = cc_cubic.reduce(&cc, 0, MSS); /* 7 segments; 3 (1 - b) / (1 + b) = 0.53 a round trip */
    acknowledge_for(&cc, &now, 2);
    assert_uint_in_range(cc.cwnd, 16 * MSS, 18 * MSS);
}

static void cubic_does_not_count_idle_time(void **state) {
    (void)state;
    struct tcp_cc cc = {.ops = &cc_cubic, .cwnd = 1000 * MSS};
    uint64_t now = SEC;
    cc_cubic.idle(&cc, SEC); /* congestion avoidance has not begun */
    assert_int_equal(cc.cubic.epoch_ns, 0);
    cc.cwnd = cc.ssthresh = cc_cubic.reduce(&cc, 0, MSS);
    acknowledge_for(&cc, &now, 1);
    uint32_t before = cc.cwnd;
    cc_cubic.idle(&cc, 100 * SEC);
    now += 100 * SEC;
    tcp_cc_grow(&cc, cc.cwnd, MSS, RTT, now);
    assert_uint_in_range(cc.cwnd, before, before + 20 * MSS);
    cc_cubic.timeout(&cc);
    assert_true(cc.cubic.w_max < 0.1f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initial_window_is_at_most_ten_segments),
        cmocka_unit_test(algorithms_are_found_by_name),
        cmocka_unit_test(slow_start_grows_up_to_the_threshold),
        cmocka_unit_test(newreno_grows_by_one_segment_per_round_trip),
        cmocka_unit_test(newreno_reduces_to_half_of_the_bytes_in_flight),
        cmocka_unit_test(cubic_reduces_to_seven_tenths),
        cmocka_unit_test(cubic_regains_the_window_of_the_last_loss_and_exceeds_it),
        cmocka_unit_test(cubic_is_never_slower_than_reno),
        cmocka_unit_test(cubic_does_not_count_idle_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
