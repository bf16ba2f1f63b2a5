/* SPDX-License-Identifier: MIT */
/* Loss recovery without a connection: RACK, loss probes, PRR, F-RTO, undo, and peers without SACK. */
#include "inet/tcp/recovery.h"

#include "part.h"

#define FIRST 0xfffff000u /* sequence numbers wrap soon */
#define SEG   1000u
#define OF(i) (FIRST + (i) * SEG) /* sequence number of the i-th segment */
#define RTT   (10 * MS)

struct fixture {
    struct tcp_recovery r;
    struct tcp_recovery_context x;
    struct tcp_rtt rtt;
    struct tcp_cc cc;
    uint64_t counters[INET_COUNTER_COUNT];
};

static const struct tcp_options no_options;

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    recovery_init(&f->r);
    f->r.sack = true;
    f->cc = (struct tcp_cc){.ops = &cc_newreno, .cwnd = 20 * SEG, .ssthresh = UINT32_MAX};
    rtt_init(&f->rtt, SEC);
    rtt_sample(&f->rtt, SEC, RTT / 1000);
    f->x = (struct tcp_recovery_context){
        .now = SEC, .counters = f->counters, .rtt = &f->rtt, .cc = &f->cc, .una = FIRST, .nxt = FIRST, .mss = SEG};
    assert_true(recovery_allocate(&f->r, FIRST));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    recovery_free(&f->r);
    assert_ptr_equal(f->r.flight, &tcp_no_flight);
    recovery_free(&f->r);
    free(f);
    return 0;
}

static struct tcp_scoreboard *board(struct fixture *f) {
    return &f->r.flight->scoreboard;
}

static void send(struct fixture *f, uint32_t segments) {
    for (uint32_t i = 0; i < segments; i++) {
        assert_true(scoreboard_add(board(f), f->x.now, f->x.nxt, SEG, false));
        f->x.nxt += SEG;
        f->r.flight->prr.out += SEG;
    }
}

static void resend(struct fixture *f) {
    uint32_t at = scoreboard_first_lost(board(f));
    assert_int_not_equal(at, TCP_SENT_NONE);
    recovery_resent(&f->r, f->x.now, at, (uint32_t)(f->x.now / MS));
}

static struct tcp_delivery delivery(struct fixture *f) {
    return (struct tcp_delivery){.now = f->x.now, .rtt = &f->rtt, .high = board(f)->high};
}

static struct tcp_delivery sack(struct fixture *f, uint32_t from, uint32_t to) {
    struct tcp_delivery d = delivery(f);
    struct tcp_options o = {.sack_count = 1, .sack = {{from, to}}};
    scoreboard_sacked(board(f), &o, f->x.una, f->x.nxt, f->x.una, &d);
    if (d.reordered) recovery_reordered(&f->r, d.reordered, SEG);
    return d;
}

static struct tcp_delivery ack(struct fixture *f, uint32_t to) {
    struct tcp_delivery d = delivery(f);
    scoreboard_acked(board(f), to, &d);
    f->x.una = to;
    return d;
}

static bool detect_loss(struct fixture *f, const struct tcp_delivery *d) {
    return recovery_detect(&f->r, &f->x, false, d);
}

/* Sends ten segments, loses the first one and enters recovery. */
static void send_and_enter_recovery(struct fixture *f) {
    send(f, 10);
    f->x.now += RTT;
    struct tcp_delivery d = sack(f, OF(1), OF(4));
    assert_true(detect_loss(f, &d));
    recovery_begin(&f->r, &f->x);
    assert_int_equal(f->r.state, TCP_RECOVERY);
    assert_int_equal(f->cc.ssthresh, 5 * SEG);
    recovery_prr(&f->r, &f->x, d.bytes, false);
}

static void segment_is_lost_when_three_later_segments_are_delivered(void **state) {
    struct fixture *f = *state;
    send(f, 10);
    f->x.now += RTT;
    struct tcp_delivery d = sack(f, OF(1), OF(3)); /* two segments above the hole: not lost yet */
    assert_false(detect_loss(f, &d));
    assert_int_equal(f->x.reorder_ns, SEC + RTT + RTT / 4); /* after a quarter of the minimum RTT */
    d = sack(f, OF(1), OF(4));
    assert_true(detect_loss(f, &d));
    assert_int_equal(board(f)->lost_bytes, SEG);
    assert_int_equal(f->counters[INET_COUNTER_tcp_scoreboard_steps], 3);
}

static void segment_is_lost_when_the_reordering_timer_expires(void **state) {
    struct fixture *f = *state;
    struct tcp_delivery none = {.bytes = 0};
    send(f, 10);
    f->x.now += RTT;
    struct tcp_delivery d = sack(f, OF(1), OF(2));
    assert_false(detect_loss(f, &d));
    f->x.now = f->x.reorder_ns - 1;
    assert_false(detect_loss(f, &none));
    f->x.now++;
    assert_true(detect_loss(f, &none));
    assert_int_equal(f->x.reorder_ns, UINT64_MAX);
}

static void observed_reordering_makes_rack_wait_for_the_timer(void **state) {
    struct fixture *f = *state;
    send(f, 10);
    f->x.now += RTT;
    sack(f, OF(4), OF(5));
    sack(f, OF(1), OF(2));
    assert_true(f->r.reordering);
    assert_int_equal(f->r.reordering_segments, 4);
    struct tcp_delivery d = sack(f, OF(5), OF(9));
    assert_false(detect_loss(f, &d)); /* more than three segments above the hole, but RACK waits for the timer */
    recovery_reordered(&f->r, UINT32_MAX / 2, SEG);
    assert_int_equal(f->r.reordering_segments, 300);
    recovery_reordered(&f->r, 1, SEG);
    assert_int_equal(f->r.reordering_segments, 300);
}

static void reordering_window_grows_once_per_round_trip_and_shrinks_after_16_recoveries(void **state) {
    struct fixture *f = *state;
    send(f, 3);
    for (uint32_t i = 0; i < 3; i++)
        rack_duplicate(&f->r, f->x.una, f->x.nxt);
    assert_int_equal(f->r.reorder_steps, 1);
    rack_duplicate(&f->r, f->x.nxt, f->x.nxt + SEG); /* in the next round trip */
    assert_int_equal(f->r.reorder_steps, 2);
    for (uint32_t i = 2; i < 100; i++)
        rack_duplicate(&f->r, f->x.nxt + i * SEG, f->x.nxt + (i + 1) * SEG);
    assert_int_equal(f->r.reorder_steps, 16);
    for (uint32_t i = 0; i < 15; i++)
        rack_recovered(&f->r);
    assert_int_equal(f->r.reorder_steps, 16);
    rack_recovered(&f->r);
    assert_int_equal(f->r.reorder_steps, 0);
}

static void recovery_ends_when_the_data_sent_before_it_is_acknowledged(void **state) {
    struct fixture *f = *state;
    send_and_enter_recovery(f);
    assert_int_equal(f->counters[INET_COUNTER_tcp_recoveries], 1);
    recovery_begin(&f->r, &f->x); /* recovery has begun already */
    assert_int_equal(f->counters[INET_COUNTER_tcp_recoveries], 1);
    resend(f);
    ack(f, OF(10) - 1);
    recovery_check_end(&f->r, &f->x);
    assert_int_equal(f->r.state, TCP_RECOVERY);
    ack(f, OF(10));
    recovery_check_end(&f->r, &f->x);
    assert_int_equal(f->r.state, TCP_OPEN);
    assert_int_equal(f->cc.cwnd, f->cc.ssthresh);
    assert_true(recovery_is_calm(&f->r));
}

static void prr_window_follows_the_delivered_bytes(void **state) {
    struct fixture *f = *state;
    send_and_enter_recovery(f); /* 10 sent: 1 lost, 3 delivered, 6 in flight, which is above ssthresh */
    assert_int_equal(recovery_pipe(&f->r, 10 * SEG, SEG), 6 * SEG);
    assert_int_equal(f->cc.cwnd, 7500); /* half of the 3 delivered may be sent */
    resend(f);
    assert_int_equal(f->r.flight->prr.out, SEG);
    struct tcp_delivery d = sack(f, OF(1), OF(5)); /* one more segment is delivered */
    recovery_prr(&f->r, &f->x, d.bytes, false);
    assert_int_equal(f->cc.cwnd, 7 * SEG); /* 6 in flight, plus half of the 4 delivered, minus the 1 sent */
    d = sack(f, OF(1), OF(6));
    recovery_prr(&f->r, &f->x, d.bytes, false);
    assert_int_equal(f->cc.cwnd, 5 * SEG); /* the bytes in flight have reached ssthresh */
}

static void prr_window_grows_to_the_threshold_and_no_further(void **state) {
    struct fixture *f = *state;
    send_and_enter_recovery(f);
    resend(f);
    struct tcp_delivery d = sack(f, OF(1), OF(9)); /* 2 in flight: the retransmission and the last segment */
    recovery_prr(&f->r, &f->x, d.bytes, true);
    assert_int_equal(recovery_pipe(&f->r, 10 * SEG, SEG), 2 * SEG);
    assert_int_equal(f->cc.cwnd, 5 * SEG);
    recovery_prr(&f->r, &f->x, 0, false); /* never less than one segment */
    assert_true(f->cc.cwnd >= SEG);
}

static void timeout_marks_all_segments_lost_and_enters_slow_start(void **state) {
    struct fixture *f = *state;
    send(f, 10);
    recovery_timeout(&f->r, &f->x);
    assert_int_equal(f->r.state, TCP_LOSS);
    assert_int_equal(f->cc.cwnd, SEG);
    assert_int_equal(f->cc.ssthresh, 5 * SEG);
    assert_int_equal(board(f)->lost_bytes, 10 * SEG);
    f->cc.cwnd = 3 * SEG;
    recovery_timeout(&f->r, &f->x); /* one loss reduces ssthresh once */
    assert_int_equal(f->cc.ssthresh, 5 * SEG);
    assert_int_equal(f->counters[INET_COUNTER_tcp_rto], 2);
    assert_true(recovery_window_full(&f->r, &f->cc));
}

static void duplicate_acks_are_counted_for_peers_without_sack(void **state) {
    struct fixture *f = *state;
    struct tcp_delivery none = {.bytes = 0};
    f->r.sack = false;
    send(f, 10);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_false(recovery_detect(&f->r, &f->x, false, &none));
        assert_int_equal(recovery_reno_delivered(&f->r, 0, SEG), SEG);
        assert_int_equal(recovery_pipe(&f->r, 10 * SEG, SEG), (10 - i) * SEG);
    }
    assert_false(recovery_is_calm(&f->r));
    assert_true(recovery_detect(&f->r, &f->x, false, &none));
    recovery_begin(&f->r, &f->x);
    assert_false(recovery_detect(&f->r, &f->x, true, &none)); /* the first segment is marked lost already */
    resend(f);
    ack(f, OF(2)); /* a partial ACK (RFC 6582) */
    assert_int_equal(recovery_reno_delivered(&f->r, 2 * SEG, SEG), SEG);
    assert_int_equal(f->r.dup_acks, 2);
    assert_false(recovery_detect(&f->r, &f->x, false, &none));
    assert_true(recovery_detect(&f->r, &f->x, true, &none));
}

static void duplicate_ack_counter_does_not_overflow(void **state) {
    struct fixture *f = *state;
    f->r.sack = false;
    for (uint32_t i = 0; i < 300; i++)
        recovery_reno_delivered(&f->r, 0, SEG);
    assert_int_equal(f->r.dup_acks, UINT8_MAX);
    assert_int_equal(recovery_pipe(&f->r, SEG, SEG), 0);
}

static void loss_probe_is_allowed_while_no_segment_is_missing(void **state) {
    struct fixture *f = *state;
    send(f, 1);
    assert_true(recovery_may_probe(&f->r));
    assert_int_equal(recovery_probe_ns(&f->r, &f->rtt), 2 * RTT + 200 * MS); /* the peer may delay its ACK */
    send(f, 1);
    assert_int_equal(recovery_probe_ns(&f->r, &f->rtt), 2 * RTT + 2 * MS);
    recovery_probed(&f->r, f->x.nxt, true);
    assert_false(recovery_may_probe(&f->r));
    f->r.probe_sent = false;
    sack(f, OF(1), OF(2));
    assert_false(recovery_may_probe(&f->r));
}

static void loss_probe_that_repaired_a_loss_reduces_the_window(void **state) {
    struct fixture *f = *state;
    struct tcp_delivery d = {.bytes = 0};
    send(f, 10);
    recovery_probed(&f->r, f->x.nxt, true);
    ack(f, OF(9));
    recovery_probe_acked(&f->r, &f->x, &d);
    assert_true(f->r.probe_sent);
    f->x.una = OF(10);
    f->x.nxt = OF(20);
    recovery_probe_acked(&f->r, &f->x, &d);
    assert_false(f->r.probe_sent);
    assert_int_equal(f->cc.cwnd, 5 * SEG);
}

static void duplicate_or_new_loss_probe_does_not_reduce_the_window(void **state) {
    struct fixture *f = *state;
    struct tcp_delivery once = {.bytes = 0}, twice = {.duplicate = true};
    send(f, 2);
    f->x.una = f->x.nxt;
    recovery_probed(&f->r, f->x.nxt, true);
    recovery_probe_acked(&f->r, &f->x, &twice); /* a D-SACK shows that the original had arrived */
    assert_int_equal(f->cc.cwnd, 20 * SEG);
    recovery_probed(&f->r, f->x.nxt, false);
    recovery_probe_acked(&f->r, &f->x, &once);
    assert_int_equal(f->cc.cwnd, 20 * SEG);
}

static void echoed_timestamp_of_the_original_undoes_the_recovery(void **state) {
    struct fixture *f = *state;
    f->x.timestamps = true;
    send_and_enter_recovery(f);
    resend(f); /* with timestamp 1,010 */
    struct tcp_delivery d = ack(f, OF(1));
    struct tcp_options o = {.has_timestamp = true, .ts_echo = 1009};
    undo_check(&f->r, &f->x, false, &o, &d); /* an ACK that does not advance SND.UNA is ignored */
    assert_int_equal(f->r.state, TCP_RECOVERY);
    undo_check(&f->r, &f->x, true, &o, &d);
    assert_int_equal(f->r.state, TCP_OPEN);
    assert_int_equal(f->cc.cwnd, 20 * SEG);
    assert_int_equal(f->cc.ssthresh, UINT32_MAX);
    assert_int_equal(board(f)->lost_bytes, 0);
    assert_int_equal(f->counters[INET_COUNTER_tcp_undone], 1);
}

static void echoed_timestamp_of_the_retransmission_does_not_undo_the_recovery(void **state) {
    struct fixture *f = *state;
    f->x.timestamps = true;
    send_and_enter_recovery(f);
    resend(f);
    struct tcp_delivery d = ack(f, OF(1));
    struct tcp_options o = {.has_timestamp = true, .ts_echo = 1010};
    undo_check(&f->r, &f->x, true, &o, &d);
    assert_int_equal(f->r.state, TCP_RECOVERY);
    o.ts_echo = 1009; /* only the first ACK is examined */
    undo_check(&f->r, &f->x, true, &o, &d);
    assert_int_equal(f->r.state, TCP_RECOVERY);
}

static void dsacks_for_all_retransmissions_undo_the_recovery(void **state) {
    struct fixture *f = *state;
    send_and_enter_recovery(f);
    resend(f);
    struct tcp_delivery d = {.duplicate = true, .twice = {OF(0) - SEG, OF(0)}};
    undo_check(&f->r, &f->x, false, &no_options, &d); /* a duplicate of a segment sent before the recovery */
    assert_int_equal(f->r.state, TCP_RECOVERY);
    d.twice = (struct tcp_range){OF(0), OF(1)};
    undo_check(&f->r, &f->x, false, &no_options, &d);
    assert_int_equal(f->r.state, TCP_OPEN);
    assert_int_equal(f->counters[INET_COUNTER_tcp_undone], 1);
}

static void undo_happens_once_per_round_trip(void **state) {
    struct fixture *f = *state;
    struct tcp_delivery d = {.duplicate = true, .twice = {OF(0), OF(1)}};
    send_and_enter_recovery(f);
    resend(f);
    undo_check(&f->r, &f->x, false, &no_options, &d);
    f->r.flight->undo.again = 1;
    undo_check(&f->r, &f->x, false, &no_options, &d);
    assert_int_equal(f->counters[INET_COUNTER_tcp_undone], 1);
    f->r.flight->undo.again = 1;
    f->x.una = OF(10);
    undo_check(&f->r, &f->x, false, &no_options, &d);
    assert_int_equal(f->counters[INET_COUNTER_tcp_undone], 2);
}

static void frto_detects_a_spurious_timeout(void **state) {
    struct fixture *f = *state;
    send(f, 10);
    recovery_timeout(&f->r, &f->x);
    assert_int_equal(f->r.flight->frto, TCP_FRTO_REPEATED);
    resend(f);
    f->x.can_send = true;
    struct tcp_delivery d = ack(f, OF(1));
    undo_check(&f->r, &f->x, true, &no_options, &d);
    assert_int_equal(f->r.flight->frto, TCP_FRTO_NEW);
    d = ack(f, OF(2)); /* the segment was not retransmitted */
    assert_true(d.original);
    undo_check(&f->r, &f->x, true, &no_options, &d);
    assert_int_equal(f->r.state, TCP_OPEN);
    assert_int_equal(f->cc.cwnd, 20 * SEG);
}

static void frto_ends_without_new_data_and_is_not_used_with_timestamps(void **state) {
    struct fixture *f = *state;
    send(f, 10);
    recovery_timeout(&f->r, &f->x);
    struct tcp_delivery d = ack(f, OF(1));
    undo_check(&f->r, &f->x, true, &no_options, &d); /* no new data to send */
    assert_int_equal(f->r.flight->frto, TCP_FRTO_NONE);
    f->x.timestamps = true;
    f->r.state = TCP_OPEN;
    recovery_timeout(&f->r, &f->x);
    assert_int_equal(f->r.flight->frto, TCP_FRTO_NONE);
    assert_true(f->r.undo);
}

static void window_grows_only_while_it_is_fully_used(void **state) {
    struct fixture *f = *state;
    f->cc.ssthresh = 30 * SEG;
    recovery_window_used(&f->r, FIRST, FIRST + 10 * SEG, false);
    assert_false(recovery_window_full(&f->r, &f->cc)); /* half of the window is used */
    recovery_window_used(&f->r, FIRST, FIRST + 11 * SEG, false);
    assert_true(recovery_window_full(&f->r, &f->cc));
    recovery_window_used(&f->r, FIRST + 1, FIRST + 2, false); /* a smaller use in the same round trip changes nothing */
    assert_int_equal(f->r.flight->most_out, 11 * SEG);
    f->cc.ssthresh = 10 * SEG; /* congestion avoidance */
    assert_false(recovery_window_full(&f->r, &f->cc));
    recovery_window_used(&f->r, FIRST, FIRST + 12 * SEG, true);
    assert_true(recovery_window_full(&f->r, &f->cc));
    recovery_window_used(&f->r, FIRST + 11 * SEG, FIRST + 13 * SEG,
                         false); /* the window was full earlier in this round trip */
    assert_true(recovery_window_full(&f->r, &f->cc));
    recovery_window_used(&f->r, FIRST + 12 * SEG, FIRST + 13 * SEG, false);
    assert_false(recovery_window_full(&f->r, &f->cc));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(segment_is_lost_when_three_later_segments_are_delivered),
        TEST(segment_is_lost_when_the_reordering_timer_expires),
        TEST(observed_reordering_makes_rack_wait_for_the_timer),
        TEST(reordering_window_grows_once_per_round_trip_and_shrinks_after_16_recoveries),
        TEST(recovery_ends_when_the_data_sent_before_it_is_acknowledged),
        TEST(prr_window_follows_the_delivered_bytes),
        TEST(prr_window_grows_to_the_threshold_and_no_further),
        TEST(timeout_marks_all_segments_lost_and_enters_slow_start),
        TEST(duplicate_acks_are_counted_for_peers_without_sack),
        TEST(duplicate_ack_counter_does_not_overflow),
        TEST(loss_probe_is_allowed_while_no_segment_is_missing),
        TEST(loss_probe_that_repaired_a_loss_reduces_the_window),
        TEST(duplicate_or_new_loss_probe_does_not_reduce_the_window),
        TEST(echoed_timestamp_of_the_original_undoes_the_recovery),
        TEST(echoed_timestamp_of_the_retransmission_does_not_undo_the_recovery),
        TEST(dsacks_for_all_retransmissions_undo_the_recovery),
        TEST(undo_happens_once_per_round_trip),
        TEST(frto_detects_a_spurious_timeout),
        TEST(frto_ends_without_new_data_and_is_not_used_with_timestamps),
        TEST(window_grows_only_while_it_is_fully_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
