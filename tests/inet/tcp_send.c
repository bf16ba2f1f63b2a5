/* SPDX-License-Identifier: MIT */
/* The send side without a connection: the peer's window, the MSS, and when a segment may be sent. */
#include "inet/tcp/send.h"

#include "part.h"

#define ISS 0xfffffff0u /* sequence numbers wrap soon */
#define AT  (ISS + 1)   /* of the first byte */
#define MSS 1000u

/* Returns the state after the handshake. The peer's window is 10,000 bytes. */
static struct tcp_send make_established(void) {
    struct tcp_send s = {.mss = MSS, .offered = MSS, .limit = 5000};
    send_init(&s, ISS);
    send_syn(&s);
    s.una = s.nxt;
    send_window_start(&s, 0, AT, 10000);
    return s;
}

static void handshake_takes_one_sequence_number(void **state) {
    (void)state;
    struct tcp_send s = {.mss = MSS};
    send_init(&s, ISS);
    assert_int_equal(send_out(&s), 0);
    send_syn(&s);
    send_syn(&s); /* a retransmission takes no further sequence number */
    assert_int_equal(send_out(&s), 1);
    assert_int_equal(send_unsent(&s), 0);
}

static void unacknowledged_bytes_do_not_count_the_fin(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    send_pushed(&s, 100, false);
    assert_int_equal(send_unacked(&s), 100);
    assert_int_equal(send_unsent(&s), 100);
    s.nxt = s.end + 1; /* data and FIN are sent */
    assert_int_equal(send_unsent(&s), 0);
    s.una += 40;
    assert_int_equal(send_unacked(&s), 60);
    s.una = s.nxt;
    assert_int_equal(send_unacked(&s), 0);
}

static void acks_of_unsent_or_very_old_data_are_not_acceptable(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    s.nxt += 500;
    assert_true(send_ack_acceptable(&s, s.nxt));
    assert_false(send_ack_acceptable(&s, s.nxt + 1));
    assert_true(send_ack_acceptable(&s, s.una - 10000));
    assert_false(send_ack_acceptable(&s, s.una - 10001));
}

static void window_is_taken_from_the_latest_segment(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    send_window_start(&s, 100, AT, 0);
    s.shift = 2;
    assert_true(send_window_note(&s, 101, AT, 50)); /* the window has opened */
    assert_int_equal(s.wnd, 200);
    assert_false(send_window_note(&s, 100, AT + 10, 9)); /* an older segment */
    assert_int_equal(s.wnd, 200);
    assert_false(send_window_note(&s, 101, AT - 1, 9)); /* the same sequence number with an older ACK */
    assert_int_equal(s.wnd, 200);
    assert_false(send_window_note(&s, 101, AT, 9)); /* an update without data */
    assert_int_equal(s.wnd, 36);
    assert_int_equal(s.max_wnd, 200);
    assert_false(send_window_note(&s, 102, AT, 0));
    assert_false(send_window_note(&s, 103, AT, 0)); /* still closed */
}

static void mss_is_the_minimum_of_path_peer_and_user(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    send_offered(&s, 0);
    assert_int_equal(s.offered, 536);
    send_offered(&s, 10);
    assert_int_equal(s.offered, 48);
    send_offered(&s, 1400);
    assert_false(send_set_mss(&s, 1460));
    assert_int_equal(s.mss, 1400);
    assert_true(send_set_mss(&s, 1300)); /* smaller than before */
    assert_int_equal(s.mss, 1300);
    s.maxseg = 1200;
    assert_true(send_set_mss(&s, 1300));
    assert_int_equal(s.mss, 1200);
    s.timestamps = true;
    assert_true(send_set_mss(&s, 1300));
    assert_int_equal(s.mss, 1188);
    assert_false(send_set_mss(&s, 1300)); /* unchanged */
}

static void pushes_are_limited_unless_the_queue_is_empty(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    assert_false(send_is_full(&s, 6000));
    send_pushed(&s, 1000, false);
    assert_false(send_is_full(&s, 4000));
    assert_true(send_is_full(&s, 4001));
    send_pushed(&s, 4000, false);
    assert_true(send_is_full(&s, 0));
}

/* Returns the length of the next segment. A FIN counts as one. 0 if no segment may be sent. */
static uint32_t next_segment_length(const struct tcp_send *s) {
    uint32_t len;
    bool fin;
    return send_next(s, &len, &fin) ? len + fin : 0;
}

static void full_segments_are_sent_and_a_small_one_waits_for_the_ack_of_another(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    assert_int_equal(next_segment_length(&s), 0);
    send_pushed(&s, 1500, false);
    assert_int_equal(next_segment_length(&s), MSS);
    s.nxt += MSS;
    send_left(&s, MSS);
    assert_int_equal(next_segment_length(&s), 500); /* only a full segment is in flight (Minshall) */
    s.nxt += 500;
    send_left(&s, 500);
    send_pushed(&s, 10, false);
    assert_int_equal(next_segment_length(&s), 0); /* Nagle */
    s.nodelay = true;
    assert_int_equal(next_segment_length(&s), 10);
    s.nodelay = false;
    s.una += 1500;
    assert_int_equal(next_segment_length(&s), 10);
    send_pushed(&s, 10, true); /* with the flag for more data */
    assert_int_equal(next_segment_length(&s), 0);
    s.more = false;
    s.cork = true;
    assert_int_equal(next_segment_length(&s), 0);
    s.fin_queued = true; /* after a FIN no more data follows */
    assert_int_equal(next_segment_length(&s), 21);
}

static void peer_window_limits_segments(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    send_pushed(&s, 3000, false);
    s.wnd = 999;
    assert_int_equal(next_segment_length(&s), 0); /* less than half of the largest window */
    s.max_wnd = 1998;
    assert_int_equal(next_segment_length(&s), 999);
    s.max_wnd = 2000;
    assert_int_equal(next_segment_length(&s), 0);
    assert_int_equal(send_forced(&s), 999);
    assert_true(send_possible(&s));
    s.nxt += 999;
    assert_int_equal(send_forced(&s), 0);
    assert_false(send_possible(&s));
    s.wnd = 500; /* the peer has shrunk the window */
    assert_int_equal(next_segment_length(&s), 0);
    assert_int_equal(send_forced(&s), 0);
}

static void forced_segments_are_limited_by_the_mss_and_the_data(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    assert_int_equal(send_forced(&s), 0);
    assert_false(send_possible(&s));
    send_pushed(&s, 10, true);
    assert_int_equal(send_forced(&s), 10);
    send_pushed(&s, 5000, true);
    assert_int_equal(send_forced(&s), MSS);
}

static void fin_needs_room_in_the_window_and_is_sent_once(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    s.fin_queued = true;
    assert_int_equal(next_segment_length(&s), 1);
    send_pushed(&s, 500, false);
    s.wnd = 500;
    assert_int_equal(next_segment_length(&s), 500); /* data without the FIN */
    s.wnd = 501;
    assert_int_equal(next_segment_length(&s), 501);
    s.fin_sent = true;
    assert_int_equal(next_segment_length(&s), 0);
}

static void tso_frames_respect_all_limits(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    send_pushed(&s, 8500, false);
    assert_int_equal(send_together(&s, 65000, UINT32_MAX), 8);
    assert_int_equal(send_together(&s, 3999, UINT32_MAX), 3);
    assert_int_equal(send_together(&s, 65000, 5500), 5);
    s.wnd = 2999;
    assert_int_equal(send_together(&s, 65000, UINT32_MAX), 2);
    s.wnd = 10000;
    send_pushed(&s, 500, false);
    assert_int_equal(send_together(&s, 65000, UINT32_MAX), 9);
    s.fin_queued = true; /* the last segment is sent with the FIN */
    assert_int_equal(send_together(&s, 65000, UINT32_MAX), 8);
}

static bool sends(const struct tcp_send *s, uint32_t bytes) {
    uint32_t len;
    bool fin;
    return send_next(s, &len, &fin) && len == bytes;
}

static void pushed_data_is_sent_immediately_if_nothing_delays_it(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    send_pushed(&s, 100, false);
    assert_true(sends(&s, 100));
    s.wnd = 99;
    assert_false(sends(&s, 100));
    s.wnd = 100;
    assert_true(sends(&s, 100));
    s.cork = true;
    assert_false(sends(&s, 100));
    s.cork = false;
    s.more = true;
    assert_false(sends(&s, 100));
    s.more = false;
    s.mss = 99;
    assert_false(sends(&s, 100)); /* more than one segment */
    s.mss = MSS;
    s.wnd = 10000;
    s.nxt += 100;
    send_left(&s, 100); /* a small segment is in flight */
    send_pushed(&s, 100, false);
    assert_false(sends(&s, 100));
    s.nodelay = true;
    assert_true(sends(&s, 100));
    s.nodelay = false;
    send_pushed(&s, MSS - 100, false);
    assert_true(sends(&s, MSS)); /* a full segment */
}

static void limit_that_delays_the_sender_is_reported(void **state) {
    (void)state;
    struct tcp_send s = make_established();
    assert_int_equal(send_limited_by(&s), TCP_LIMIT_IDLE);
    send_pushed(&s, 1500, false);
    assert_int_equal(send_limited_by(&s), TCP_LIMIT_PATH); /* the congestion window */
    s.wnd = 999;
    assert_int_equal(send_limited_by(&s), TCP_LIMIT_WINDOW);
    s.wnd = 1000;
    assert_int_equal(send_limited_by(&s), TCP_LIMIT_PATH);
    s.nxt = s.end; /* all data is sent */
    assert_int_equal(send_limited_by(&s), TCP_LIMIT_PATH);
    s.refused = true;
    assert_int_equal(send_limited_by(&s), TCP_LIMIT_BUFFER);
    s.nxt = s.end + 1; /* the FIN is sent, too */
    s.una = s.nxt;
    assert_int_equal(send_limited_by(&s), TCP_LIMIT_IDLE);
}

static void time_under_each_limit_is_counted(void **state) {
    (void)state;
    struct tcp_statistics s = {.limit = TCP_LIMIT_IDLE};
    statistics_limit(&s, TCP_LIMIT_PATH, 5 * MS);
    statistics_limit(&s, TCP_LIMIT_PATH, 6 * MS); /* the same limit continues */
    assert_int_equal(statistics_limited_us(&s, TCP_LIMIT_PATH, 8 * MS), 3000);
    statistics_limit(&s, TCP_LIMIT_WINDOW, 9 * MS);
    assert_int_equal(statistics_limited_us(&s, TCP_LIMIT_PATH, 20 * MS), 4000);
    assert_int_equal(statistics_limited_us(&s, TCP_LIMIT_WINDOW, 20 * MS), 11000);
    statistics_limit(&s, TCP_LIMIT_IDLE, 10 * MS);
    statistics_limit(&s, TCP_LIMIT_PATH, 30 * MS);
    assert_int_equal(statistics_limited_us(&s, TCP_LIMIT_WINDOW, 40 * MS), 1000);
    assert_int_equal(statistics_limited_us(&s, TCP_LIMIT_PATH, 40 * MS), 14000);
    assert_int_equal(statistics_limited_us(&s, TCP_LIMIT_BUFFER, 40 * MS), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake_takes_one_sequence_number),
        cmocka_unit_test(unacknowledged_bytes_do_not_count_the_fin),
        cmocka_unit_test(acks_of_unsent_or_very_old_data_are_not_acceptable),
        cmocka_unit_test(window_is_taken_from_the_latest_segment),
        cmocka_unit_test(mss_is_the_minimum_of_path_peer_and_user),
        cmocka_unit_test(pushes_are_limited_unless_the_queue_is_empty),
        cmocka_unit_test(full_segments_are_sent_and_a_small_one_waits_for_the_ack_of_another),
        cmocka_unit_test(peer_window_limits_segments),
        cmocka_unit_test(forced_segments_are_limited_by_the_mss_and_the_data),
        cmocka_unit_test(fin_needs_room_in_the_window_and_is_sent_once),
        cmocka_unit_test(tso_frames_respect_all_limits),
        cmocka_unit_test(pushed_data_is_sent_immediately_if_nothing_delays_it),
        cmocka_unit_test(limit_that_delays_the_sender_is_reported),
        cmocka_unit_test(time_under_each_limit_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
