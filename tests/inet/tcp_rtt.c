/* SPDX-License-Identifier: MIT */
/* The RTT estimate and the retransmission timeout without a connection. */
#include "inet/tcp/rtt.h"

#include "part.h"

static void first_sample_sets_the_estimate(void **state) {
    (void)state;
    struct tcp_rtt r;
    rtt_init(&r, 0);
    assert_int_equal(r.rto_us, 1000000);
    assert_int_equal(rtt_min_us(&r), UINT32_MAX);
    rtt_sample(&r, 0, 100000);
    assert_int_equal(r.srtt_us, 100000);
    assert_int_equal(r.rttvar_us, 50000);
    assert_int_equal(r.rto_us, 300000); /* RFC 6298 section 2.2: SRTT + 4 * RTTVAR */
    assert_int_equal(rtt_min_us(&r), 100000);
}

static void later_samples_are_weighted(void **state) {
    (void)state;
    struct tcp_rtt r;
    rtt_init(&r, 0);
    rtt_sample(&r, 0, 100000);
    rtt_sample(&r, 0, 180000); /* a longer RTT */
    assert_int_equal(r.srtt_us, 110000);
    assert_int_equal(r.rttvar_us, 57500);
    rtt_sample(&r, 0, 30000); /* a shorter RTT */
    assert_int_equal(r.srtt_us, 100000);
    assert_int_equal(r.rttvar_us, 63125);
    assert_int_equal(r.rto_us, 352500);
    assert_int_equal(rtt_min_us(&r), 30000);
}

static void timeout_keeps_a_margin_on_a_steady_path(void **state) {
    (void)state;
    struct tcp_rtt r;
    rtt_init(&r, 0);
    for (uint32_t i = 0; i < 100; i++)
        rtt_sample(&r, 0, 500000);
    assert_true(r.rttvar_us < 10);
    assert_int_equal(r.rto_us, 500000 + TCP_RTO_MIN_US);
}

static void timeout_and_samples_are_limited(void **state) {
    (void)state;
    struct tcp_rtt r;
    rtt_init(&r, 0);
    rtt_sample(&r, 0, UINT64_MAX);
    assert_int_equal(r.srtt_us, 60000000);
    assert_int_equal(r.rto_us, TCP_RTO_MAX_US); /* less than SRTT + 4 * RTTVAR */
    assert_int_equal(rtt_timeout_ns(&r, 0), TCP_RTO_MAX_US * 1000ull);
}

static void backoff_doubles_up_to_the_limit(void **state) {
    (void)state;
    struct tcp_rtt r;
    rtt_init(&r, 0);
    assert_int_equal(rtt_timeout_ns(&r, 0), SEC);
    assert_int_equal(rtt_timeout_ns(&r, 1), 2 * SEC);
    assert_int_equal(rtt_timeout_ns(&r, 6), 64 * SEC);
    assert_int_equal(rtt_timeout_ns(&r, 7), 120 * SEC);
    r.rto_us = 1;
    assert_int_equal(rtt_timeout_ns(&r, TCP_BACKOFF_MAX), 65536 * 1000);
    assert_int_equal(rtt_timeout_ns(&r, UINT8_MAX), 65536 * 1000);
}

static void minimum_rtt_covers_the_last_minutes(void **state) {
    (void)state;
    struct tcp_rtt r;
    uint64_t now = 77 * SEC;
    rtt_init(&r, now);
    rtt_sample(&r, now, 100);
    rtt_sample(&r, now + 151 * SEC, 5000); /* 140 ticks: the same interval */
    assert_int_equal(rtt_min_us(&r), 100);
    now += 200 * SEC;
    rtt_sample(&r, now, 5000);
    assert_int_equal(rtt_min_us(&r), 100); /* the minimum of the previous interval */
    now += 200 * SEC;
    rtt_sample(&r, now, 6000);
    assert_int_equal(rtt_min_us(&r), 5000);
    rtt_sample(&r, now, 4000);
    assert_int_equal(rtt_min_us(&r), 4000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_sample_sets_the_estimate),
        cmocka_unit_test(later_samples_are_weighted),
        cmocka_unit_test(timeout_keeps_a_margin_on_a_steady_path),
        cmocka_unit_test(timeout_and_samples_are_limited),
        cmocka_unit_test(backoff_doubles_up_to_the_limit),
        cmocka_unit_test(minimum_rtt_covers_the_last_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
