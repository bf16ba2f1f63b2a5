/* SPDX-License-Identifier: MIT */
/* Loss recovery bugs that the simulation found, each as a packet script. */
#include "inet/tcp/cc.h"
#include "tcp_script.h"

static const struct tcp_options with_sack = {.mss = 1000, .sack_permitted = true};

/* Makes a connection with an RTT sample of 10 ms and nothing in flight. */
static struct script *accept_with_rtt(void) {
    struct script *s = script_new();
    script_accept(s, with_sack);
    push(s, 1000);
    pass(s, 10 * MS);
    drain(s);
    in_ack(s, 1001);
    return s;
}

static void data_from_the_peer_does_not_delay_our_retransmission(void **state) {
    (void)state;
    struct script *s = accept_with_rtt();
    push(s, 2000);
    assert_int_equal(drain(s), 2); /* both segments are lost */
    bool retransmitted = false;
    for (uint32_t i = 0; i < 2000 && !retransmitted; i++) {
        pass(s, MS);
        in_data(s, 1 + i * 10, 10, 1001);
        pop(s);
        while (s->h->frame_count > 0)
            retransmitted |= out(s).len == 1000;
    }
    assert_true(retransmitted);
    script_delete(s);
}

static void ack_of_a_retransmission_is_not_an_rtt_sample(void **state) {
    (void)state;
    struct script *s = accept_with_rtt();
    struct tcp_status info;
    push(s, 3000); /* the path is down for 20 s; then the peer acknowledges all three */
    pass(s, 20 * SEC);
    drain(s);
    in_ack(s, 4001);
    tcp_get_status(s->conn, &info);
    assert_true(info.srtt_us < 100000);
    assert_true(info.rto_us < 1000000);
    script_delete(s);
}

static void loss_probe_does_not_retransmit_sacked_segments(void **state) {
    (void)state;
    struct script *s = accept_with_rtt();
    push(s, 2000);
    assert_int_equal(drain(s), 2);
    pass(s, MS);                  /* earlier than the loss probe */
    in_sack(s, 1001, 2001, 3001); /* the first segment may only be reordered */
    for (uint32_t i = 0; i < 20; i++) {
        pass(s, 10 * MS);
        while (s->h->frame_count > 0)
            assert_int_equal(out(s).seq, 1001);
    }
    in_ack(s, 5001);
    script_delete(s);
}

/* At any clock value: RFC 3522 compares the timestamp of the retransmission with the echoed one. */
static void necessary_recovery_is_not_undone(void **state) {
    (void)state;
    struct tcp_status status;
    for (uint32_t i = 0; i < 4; i++) {
        struct script *s = script_new();
        s->timestamps = true;
        s->ts = 5000;
        script_accept(s, with_sack);
        push(s, 4000);
        pass(s, (20 + i) * MS); /* all but the last segment are lost; SACK or the timer detects it */
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

static void newreno_reduces_from_the_window_if_more_is_in_flight(void **state) {
    (void)state;
    struct tcp_cc cc = {.ops = &cc_newreno, .cwnd = 20000};
    assert_int_equal(cc.ops->reduce(&cc, 26000, 1000), 10000);
    assert_int_equal(cc.ops->reduce(&cc, 12000, 1000), 6000);
    assert_int_equal(cc.ops->reduce(&cc, 1000, 1000), 2000);
}

/* RFC 9438 section 4.3: on a short path CUBIC grows by 0.53 segments per round trip, like Reno. */
static void cubic_grows_like_reno_on_a_short_path(void **state) {
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

static void window_holds_a_segment_after_the_mss_grows(void **state) {
    (void)state;
    struct script *s = accept_with_rtt();
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

static void window_holds_a_segment_after_the_mss_grows_in_recovery(void **state) {
    (void)state;
    struct script *s = accept_with_rtt();
    struct tcp_status status;
    uint32_t reno = (uint32_t)tcp_congestion_find("reno");
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_CONGESTION, reno, s->w->now), 0);
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_MAXSEG, 88, s->w->now), 0);
    push(s, 880);
    assert_int_equal(drain(s), 10);
    pass(s, 10 * MS);
    in_sack(s, 1001, 1001 + 88, 1881); /* the first segment is lost */
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
        cmocka_unit_test(data_from_the_peer_does_not_delay_our_retransmission),
        cmocka_unit_test(ack_of_a_retransmission_is_not_an_rtt_sample),
        cmocka_unit_test(loss_probe_does_not_retransmit_sacked_segments),
        cmocka_unit_test(necessary_recovery_is_not_undone),
        cmocka_unit_test(newreno_reduces_from_the_window_if_more_is_in_flight),
        cmocka_unit_test(cubic_grows_like_reno_on_a_short_path),
        cmocka_unit_test(window_holds_a_segment_after_the_mss_grows),
        cmocka_unit_test(window_holds_a_segment_after_the_mss_grows_in_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
