/* SPDX-License-Identifier: MIT */
/* The scoreboard without a connection: which sent segments an ACK delivers, and which are lost. */
#include "inet/tcp/scoreboard.h"

#include "part.h"

#define FIRST 0xfffff000u /* sequence numbers wrap soon */
#define SEG   1000u
#define OF(i) (FIRST + (i) * SEG) /* sequence number of the i-th segment */

struct fixture {
    struct tcp_scoreboard b;
    struct tcp_rtt rtt;
    uint32_t una, nxt;
    uint64_t now;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->b = (struct tcp_scoreboard)TCP_SCOREBOARD_EMPTY;
    f->b.high = f->una = f->nxt = FIRST;
    f->now = SEC;
    rtt_init(&f->rtt, f->now);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    fifo_free(&f->b.sent);
    free(f);
    return 0;
}

/* Recomputes all totals and compares them with the scoreboard. */
static void check(const struct fixture *f) {
    uint32_t next = f->una, sacked = 0, lost = 0, again = 0, in_flight = 0, linked = 0;
    uint64_t last_ns = 0;
    for (uint32_t i = 0; i < f->b.sent.count; i++) {
        const struct tcp_sent *e = scoreboard_at(&f->b, f->b.sent.first + i);
        bool is_lost = e->flags & TCP_SENT_LOST, is_again = e->flags & TCP_SENT_RETRANSMITTED;
        assert_int_equal(e->seq, next);
        next += e->len;
        sacked += e->flags & TCP_SENT_SACKED ? e->len : 0;
        lost += is_lost ? e->len : 0;
        again += is_again ? e->len : 0;
        in_flight += !(e->flags & TCP_SENT_SACKED) && (!is_lost || is_again);
    }
    assert_int_equal(next, f->nxt);
    assert_int_equal(f->b.sacked_bytes, sacked);
    assert_int_equal(f->b.lost_bytes, lost);
    assert_int_equal(f->b.retransmitted_bytes, again);
    assert_true(scoreboard_sums_hold(&f->b, f->nxt - f->una));
    for (uint32_t at = f->b.sent.count ? f->b.oldest : TCP_SENT_NONE; at != TCP_SENT_NONE; linked++) {
        const struct tcp_sent *e = scoreboard_at(&f->b, at);
        assert_true(e->sent_ns >= last_ns);
        last_ns = e->sent_ns;
        at = e->newer;
    }
    assert_int_equal(linked, in_flight);
}

static void send(struct fixture *f, uint32_t segments) {
    for (uint32_t i = 0; i < segments; i++) {
        assert_true(scoreboard_add(&f->b, f->now, f->nxt, SEG, false));
        f->nxt += SEG;
        f->now += MS;
    }
    check(f);
}

static struct tcp_delivery delivery(const struct fixture *f) {
    return (struct tcp_delivery){.now = f->now, .rtt = &f->rtt, .high = f->b.high};
}

static struct tcp_delivery ack(struct fixture *f, uint32_t to) {
    struct tcp_delivery d = delivery(f);
    scoreboard_acked(&f->b, to, &d);
    f->una = to;
    check(f);
    return d;
}

static struct tcp_delivery sack2(struct fixture *f, struct tcp_range first, struct tcp_range second) {
    struct tcp_delivery d = delivery(f);
    struct tcp_options o = {.sack_count = second.start == second.end ? 1 : 2, .sack = {first, second}};
    scoreboard_sacked(&f->b, &o, f->una, f->nxt, f->una, &d);
    check(f);
    return d;
}

static struct tcp_delivery sack(struct fixture *f, uint32_t from, uint32_t to) {
    return sack2(f, (struct tcp_range){from, to}, (struct tcp_range){0, 0});
}

static uint8_t flags(const struct fixture *f, uint32_t i) {
    return scoreboard_at(&f->b, f->b.sent.first + i)->flags;
}

static void cumulative_ack_removes_whole_and_partial_segments(void **state) {
    struct fixture *f = *state;
    send(f, 3); /* at 1.000, 1.001, 1.002 s; now it is 1.003 s */
    struct tcp_delivery d = ack(f, OF(1) + 300);
    assert_int_equal(d.bytes, 1300);
    assert_int_equal(d.rtt_us, 3000); /* the sample is of the completely acknowledged segment */
    assert_int_equal(f->b.sent.count, 2);
    assert_int_equal(scoreboard_at(&f->b, f->b.sent.first)->len, 700);
    d = ack(f, OF(3));
    assert_int_equal(d.bytes, 1700);
    assert_int_equal(d.rtt_us, 1000); /* the sample is of the segment sent last */
    assert_int_equal(f->b.sent.count, 0);
    assert_int_equal(f->b.high, OF(3));
}

static void rtt_below_the_clock_resolution_is_a_sample(void **state) {
    struct fixture *f = *state;
    send(f, 1);
    f->now -= MS;
    assert_int_equal(ack(f, OF(1)).rtt_us, 1);
}

static void sack_blocks_deliver_whole_segments_only(void **state) {
    struct fixture *f = *state;
    send(f, 5);
    struct tcp_delivery d = sack(f, OF(1), OF(3) - 1);
    assert_int_equal(d.bytes, SEG);
    assert_int_equal(f->b.sacked_bytes, SEG);
    assert_int_equal(flags(f, 1), TCP_SENT_SACKED);
    assert_int_equal(flags(f, 2), 0);
    assert_int_equal(scoreboard_in_flight(&f->b, f->nxt - f->una), 4 * SEG);
    d = sack(f, OF(1), OF(3));
    assert_int_equal(d.bytes, SEG); /* only newly reported bytes count */
    d = ack(f, OF(5));
    assert_int_equal(d.bytes, 3 * SEG);
    assert_int_equal(f->b.sacked_bytes, 0);
}

static void invalid_sack_blocks_are_ignored(void **state) {
    struct fixture *f = *state;
    send(f, 3);
    assert_int_equal(sack(f, OF(2), OF(2)).bytes, 0);
    assert_int_equal(sack(f, OF(2), OF(1)).bytes, 0);
    assert_int_equal(sack(f, OF(2), OF(3) + 1).bytes, 0); /* beyond what was sent */
    ack(f, OF(1));
    struct tcp_delivery d = sack2(f, (struct tcp_range){OF(2), OF(3)}, (struct tcp_range){OF(0), OF(2)});
    assert_int_equal(d.bytes, SEG); /* the second block starts below SND.UNA */
    assert_false(d.duplicate);
}

static void dsack_is_a_first_block_below_the_ack_or_within_the_second(void **state) {
    struct fixture *f = *state;
    send(f, 4);
    ack(f, OF(2));
    struct tcp_delivery d = sack(f, OF(1), OF(2));
    assert_true(d.duplicate);
    assert_int_equal(d.twice.start, OF(1));
    assert_int_equal(d.twice.end, OF(2));
    assert_int_equal(d.bytes, 0);
    d = sack2(f, (struct tcp_range){OF(3), OF(3) + 10}, (struct tcp_range){OF(3), OF(4)});
    assert_true(d.duplicate);
    assert_int_equal(d.bytes, SEG);
    d = sack2(f, (struct tcp_range){OF(3), OF(4)}, (struct tcp_range){OF(3) + 1, OF(4)});
    assert_false(d.duplicate);
}

static void late_segments_count_as_reordering_unless_retransmitted(void **state) {
    struct fixture *f = *state;
    send(f, 5);
    assert_int_equal(sack(f, OF(4), OF(5)).reordered, 0);
    assert_int_equal(sack(f, OF(1), OF(2)).reordered, OF(5) - OF(1));
    scoreboard_mark_lost(&f->b, f->b.sent.first);
    scoreboard_resent(&f->b, f->now, f->b.sent.first);
    check(f);
    struct tcp_delivery d = ack(f, OF(1));
    assert_int_equal(d.reordered, 0);
    assert_int_equal(d.rtt_us, 0); /* Karn's algorithm */
    assert_int_equal(d.bytes, SEG);
}

static void ack_of_a_retransmission_is_not_an_rtt_sample(void **state) {
    struct fixture *f = *state;
    send(f, 3);
    scoreboard_mark_lost(&f->b, f->b.sent.first);
    scoreboard_resent(&f->b, f->now, f->b.sent.first);
    struct tcp_delivery d = ack(f, OF(3));
    assert_int_equal(d.bytes, 3 * SEG);
    assert_int_equal(d.rtt_us, 0);
}

static void originals_sent_before_the_recovery_are_recognised(void **state) {
    struct fixture *f = *state;
    send(f, 3);
    f->b.recover = OF(2);
    assert_false(sack(f, OF(2), OF(3)).original);
    assert_true(sack(f, OF(1), OF(2)).original);
    scoreboard_mark_lost(&f->b, f->b.sent.first);
    scoreboard_resent(&f->b, f->now, f->b.sent.first);
    assert_false(ack(f, OF(1)).original); /* the segment was sent twice */
}

static void rack_remembers_the_delivered_segment_that_was_sent_last(void **state) {
    struct fixture *f = *state;
    send(f, 3);
    sack(f, OF(2), OF(3));
    assert_int_equal(f->b.rack_ns, SEC + 2 * MS);
    assert_int_equal(f->b.rack_end, OF(3));
    assert_int_equal(f->b.rack_rtt_us, 1000);
    ack(f, OF(1)); /* sent earlier than the SACKed segment */
    assert_int_equal(f->b.rack_end, OF(3));
    assert_true(scoreboard_sent_after(2, 0, 1, 5));
    assert_true(scoreboard_sent_after(1, 6, 1, 5));
    assert_false(scoreboard_sent_after(1, 5, 1, 5));
    assert_false(scoreboard_sent_after(1, 9, 2, 5));
}

static void rack_ignores_a_retransmission_acknowledged_before_the_minimum_rtt(void **state) {
    struct fixture *f = *state;
    rtt_sample(&f->rtt, f->now, 10000);
    send(f, 1);
    scoreboard_mark_lost(&f->b, f->b.sent.first);
    scoreboard_resent(&f->b, f->now, f->b.sent.first);
    f->now += 9 * MS; /* less than the minimum RTT */
    ack(f, OF(1));
    assert_int_equal(f->b.rack_ns, 0);
    send(f, 1);
    scoreboard_mark_lost(&f->b, f->b.sent.first);
    scoreboard_resent(&f->b, f->now, f->b.sent.first);
    f->now += 10 * MS;
    ack(f, OF(2));
    assert_int_equal(f->b.rack_ns, f->now - 10 * MS);
}

static void lost_segments_are_retransmitted_in_order_and_once(void **state) {
    struct fixture *f = *state;
    send(f, 4);
    assert_int_equal(scoreboard_first_lost(&f->b), TCP_SENT_NONE);
    scoreboard_mark_lost(&f->b, 2);
    scoreboard_mark_lost(&f->b, 1);
    scoreboard_mark_lost(&f->b, 1); /* marked already: nothing changes */
    check(f);
    assert_int_equal(f->b.lost_bytes, 2 * SEG);
    assert_int_equal(scoreboard_in_flight(&f->b, f->nxt - f->una), 2 * SEG);
    assert_int_equal(scoreboard_first_lost(&f->b), 1);
    scoreboard_resent(&f->b, f->now, 1);
    check(f);
    assert_int_equal(scoreboard_first_lost(&f->b), 2);
    scoreboard_resent(&f->b, f->now, 2);
    check(f);
    assert_int_equal(scoreboard_first_lost(&f->b), TCP_SENT_NONE);
    assert_int_equal(scoreboard_in_flight(&f->b, f->nxt - f->una), 4 * SEG);
    scoreboard_mark_lost(&f->b, 1); /* the retransmission is lost, too */
    check(f);
    assert_int_equal(scoreboard_first_lost(&f->b), 1);
    assert_int_equal(f->b.lost_bytes, 2 * SEG);
}

static void timeout_marks_all_segments_lost_that_are_not_sacked(void **state) {
    struct fixture *f = *state;
    send(f, 4);
    sack(f, OF(1), OF(2));
    scoreboard_mark_all_lost(&f->b);
    check(f);
    assert_int_equal(f->b.lost_bytes, 3 * SEG);
    assert_int_equal(f->b.sacked_bytes, SEG);
    assert_int_equal(scoreboard_unmark_lost(&f->b), 4);
    check(f);
    assert_int_equal(f->b.lost_bytes, 0);
    assert_int_equal(scoreboard_in_flight(&f->b, f->nxt - f->una), 3 * SEG);
}

static void timeout_marks_all_segments_lost_after_sack_reneging(void **state) {
    struct fixture *f = *state;
    send(f, 3);
    sack(f, OF(0), OF(2)); /* SACKed, but not cumulatively acknowledged */
    scoreboard_mark_all_lost(&f->b);
    check(f);
    assert_int_equal(f->b.sacked_bytes, 0);
    assert_int_equal(f->b.lost_bytes, 3 * SEG);
}

static void segment_refused_by_the_device_is_removed(void **state) {
    struct fixture *f = *state;
    send(f, 2);
    f->nxt -= scoreboard_take_back(&f->b);
    check(f);
    assert_int_equal(f->b.sent.count, 1);
    f->nxt -= scoreboard_take_back(&f->b);
    assert_int_equal(f->nxt, FIRST);
    send(f, 1);
}

static void segments_are_split_to_a_smaller_mss(void **state) {
    struct fixture *f = *state;
    send(f, 3);
    assert_true(scoreboard_add(&f->b, f->now, f->nxt, SEG + 1, true));
    f->nxt += SEG + 1;
    sack(f, OF(1), OF(2));
    scoreboard_cut(&f->b, SEG); /* the FIN does not count */
    assert_int_equal(f->b.sent.count, 4);
    scoreboard_cut(&f->b, 400);
    check(f);
    assert_int_equal(f->b.sent.count, 12);
    assert_int_equal(f->b.sacked_bytes, SEG);
    assert_int_equal(f->b.lost_bytes, 3 * SEG + 1);
    assert_int_equal(scoreboard_at(&f->b, 11)->len, 201);
    assert_true(flags(f, 11) & TCP_SENT_FIN);
    assert_false(flags(f, 10) & TCP_SENT_FIN);
    assert_int_equal(scoreboard_first_lost(&f->b), 0);
    assert_int_equal(ack(f, f->nxt).bytes, 3 * SEG + 1);
}

static void repeated_sack_blocks_cost_a_constant_number_of_steps(void **state) {
    struct fixture *f = *state;
    send(f, 1000);
    uint32_t steps = sack(f, OF(1), OF(999)).steps;
    for (uint32_t i = 0; i < 1000; i++)
        steps += sack(f, OF(1), OF(999)).steps;
    assert_true(steps < 3 * 1000 + 8 * 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(cumulative_ack_removes_whole_and_partial_segments),
        TEST(rtt_below_the_clock_resolution_is_a_sample),
        TEST(sack_blocks_deliver_whole_segments_only),
        TEST(invalid_sack_blocks_are_ignored),
        TEST(dsack_is_a_first_block_below_the_ack_or_within_the_second),
        TEST(late_segments_count_as_reordering_unless_retransmitted),
        TEST(ack_of_a_retransmission_is_not_an_rtt_sample),
        TEST(originals_sent_before_the_recovery_are_recognised),
        TEST(rack_remembers_the_delivered_segment_that_was_sent_last),
        TEST(rack_ignores_a_retransmission_acknowledged_before_the_minimum_rtt),
        TEST(lost_segments_are_retransmitted_in_order_and_once),
        TEST(timeout_marks_all_segments_lost_that_are_not_sacked),
        TEST(timeout_marks_all_segments_lost_after_sack_reneging),
        TEST(segment_refused_by_the_device_is_removed),
        TEST(segments_are_split_to_a_smaller_mss),
        TEST(repeated_sack_blocks_cost_a_constant_number_of_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
