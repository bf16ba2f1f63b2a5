/* SPDX-License-Identifier: MIT */
/* TCP repairing a path: findings of the simulation, each as a conversation. */
#include "inet/tcp/cc.h"
#include "tcp_script.h"

static const struct tcp_options with_sack = {.mss = 1000, .sack_permitted = true};

/* A round trip of a few milliseconds is known, and nothing is out. */
static struct script *with_round_trip(void) {
    struct script *s = script_new();
    script_accept(s, with_sack);
    push(s, 1000);
    pass(s, 10 * MS);
    drain(s);
    in_ack(s, 1001);
    return s;
}

static void peer_that_goes_on_talking_does_not_put_off_our_repetition(void **state) {
    (void)state;
    struct script *s = with_round_trip();
    push(s, 2000);
    assert_int_equal(drain(s), 2); /* lost */
    bool repeated = false;
    for (uint32_t i = 0; i < 2000 && !repeated; i++) {
        pass(s, MS);
        in_data(s, 1 + i * 10, 10, 1001);
        pop(s);
        while (s->h->frame_count > 0)
            repeated |= out(s).len == 1000;
    }
    assert_true(repeated);
    script_delete(s);
}

static void ack_that_waited_for_a_repetition_is_no_round_trip(void **state) {
    (void)state;
    struct script *s = with_round_trip();
    struct tcp_status info;
    push(s, 3000); /* all three lost to a path that is down for long; the peer has the last two from before */
    pass(s, 20 * SEC);
    drain(s);
    in_ack(s, 4001);
    tcp_get_status(s->conn, &info);
    assert_true(info.srtt_us < 100000);
    assert_true(info.rto_us < 1000000);
    script_delete(s);
}

static void probe_does_not_repeat_what_has_arrived(void **state) {
    (void)state;
    struct script *s = with_round_trip();
    push(s, 2000);
    assert_int_equal(drain(s), 2);
    pass(s, MS);                  /* before the probe */
    in_sack(s, 1001, 2001, 3001); /* the first is late: it may still come */
    for (uint32_t i = 0; i < 20; i++) {
        pass(s, 10 * MS);
        while (s->h->frame_count > 0)
            assert_int_equal(out(s).seq, 1001);
    }
    in_ack(s, 5001);
    script_delete(s);
}

/* Whatever the clock shows at the time: RFC 3522 compares it with what the peer echoes. */
static void repair_that_was_needed_is_not_undone(void **state) {
    (void)state;
    struct tcp_status status;
    for (uint32_t i = 0; i < 4; i++) {
        struct script *s = script_new();
        s->timestamps = true;
        s->ts = 5000;
        script_accept(s, with_sack);
        push(s, 4000);
        pass(s, (20 + i) * MS); /* all lost but the last, and found by it or by the timer */
        drain(s);
        in_sack(s, 1, 3001, 4001);
        pass(s, 10 * MS);
        while (s->h->frame_count > 0)
            s->ts_echo = out(s).options.ts_value;
        in_ack(s, 4001);
        tcp_get_status(s->conn, &status);
        assert_int_equal(counted(s->h, tcp_undone), 0);
        assert_true(status.ssthresh < UINT32_MAX);
        script_delete(s);
    }
}

static void what_duplicate_acks_let_out_does_not_soften_the_reduction(void **state) {
    (void)state;
    struct tcp_cc cc = {.ops = &cc_newreno, .cwnd = 20000};
    assert_int_equal(cc.ops->reduce(&cc, 26000, 1000), 10000);
    assert_int_equal(cc.ops->reduce(&cc, 12000, 1000), 6000);
    assert_int_equal(cc.ops->reduce(&cc, 1000, 1000), 2000);
}

/* RFC 9438 section 4.3: on a short path 0.53 segments a round trip, as Reno with this reduction would reach. */
static void cubic_is_no_faster_than_reno_would_be_where_that_is_what_counts(void **state) {
    (void)state;
    struct tcp_cc cc = {.ops = &cc_cubic, .cwnd = 20000};
    cc.cwnd = cc.ops->reduce(&cc, 20000, 1000);
    assert_int_equal(cc.cwnd, 14000);
    uint64_t now = SEC;
    for (uint32_t round = 0; round < 20; round++, now += MS)
        for (uint32_t i = 0, n = cc.cwnd / 1000; i < n; i++)
            cc.ops->avoid(&cc, 1000, 1000, 1000, now);
    assert_uint_in_range(cc.cwnd, 23000, 25000);
}

static void window_has_room_for_a_segment_when_segments_grow(void **state) {
    (void)state;
    struct script *s = with_round_trip();
    struct tcp_status status;
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_MAXSEG, 88, s->w->now), 0);
    push(s, 1000);
    pass(s, 10 * SEC);
    drain(s);
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_MAXSEG, 0, s->w->now), 0);
    tcp_get_status(s->conn, &status);
    assert_int_equal(status.mss, 1000);
    assert_true(status.cwnd >= status.mss);
    script_delete(s);
}

static void window_has_room_for_a_segment_when_segments_grow_in_a_recovery(void **state) {
    (void)state;
    struct script *s = with_round_trip();
    struct tcp_status status;
    uint32_t reno = (uint32_t)tcp_congestion_find("reno");
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_CONGESTION, reno, s->w->now), 0);
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_MAXSEG, 88, s->w->now), 0);
    push(s, 880);
    assert_int_equal(drain(s), 10);
    pass(s, 10 * MS);
    in_sack(s, 1001, 1001 + 88, 1881); /* the first is lost */
    pass(s, 10 * MS);
    drain(s);
    tcp_get_status(s->conn, &status);
    assert_true(status.ssthresh < 1000);
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_MAXSEG, 0, s->w->now), 0);
    in_ack(s, 1881); /* ends the recovery */
    tcp_get_status(s->conn, &status);
    assert_int_equal(status.mss, 1000);
    assert_true(status.cwnd >= status.mss);
    script_delete(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer_that_goes_on_talking_does_not_put_off_our_repetition),
        cmocka_unit_test(ack_that_waited_for_a_repetition_is_no_round_trip),
        cmocka_unit_test(probe_does_not_repeat_what_has_arrived),
        cmocka_unit_test(repair_that_was_needed_is_not_undone),
        cmocka_unit_test(what_duplicate_acks_let_out_does_not_soften_the_reduction),
        cmocka_unit_test(cubic_is_no_faster_than_reno_would_be_where_that_is_what_counts),
        cmocka_unit_test(window_has_room_for_a_segment_when_segments_grow),
        cmocka_unit_test(window_has_room_for_a_segment_when_segments_grow_in_a_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
