/* SPDX-License-Identifier: MIT */
/* What the segments of one received burst, and the pushes of one turn, cause to be sent. */
#include "inet/tcp/conn.h"
#include "tcp_script.h"

static const struct tcp_options sack = {.mss = 1000, .sack_permitted = true}, plain = {.mss = 1000};

/* The quick ACKs of the start are over. */
static struct script *accepted(const struct tcp_options *options) {
    struct script *s = script_new();
    script_accept(s, *options);
    s->conn->receive.quick = 0;
    return s;
}

static void begin_burst(struct script *s) {
    s->h->burst = true;
}

static void end_burst(struct script *s) {
    s->h->burst = false;
    inet_flush(s->h->stack, s->w->now);
}

/* What the stack sends within a burst. */
static uint32_t sent_in_burst(const struct script *s) {
    return s->h->frame_count;
}

static void data_in_order_is_acknowledged_once(void **state) {
    (void)state;
    struct script *s = accepted(&plain);
    begin_burst(s);
    for (uint32_t i = 0; i < 10; i++)
        in_data(s, 1 + i * 1000, 1000, 1);
    assert_int_equal(sent_in_burst(s), 0);
    end_burst(s);
    expect(s, TCP_ACK, 1, 0, 10001);
    expect_nothing(s);
    script_delete(s);
}

/* A peer without SACK counts duplicate ACKs: the ACK of what came in order must not be one of them. */
static void each_segment_behind_a_loss_is_acknowledged(void **state) {
    (void)state;
    struct script *s = accepted(&plain);
    begin_burst(s);
    in_data(s, 1, 1000, 1);
    in_data(s, 1001, 1000, 1);
    for (uint32_t i = 3; i < 6; i++)
        in_data(s, 1 + i * 1000, 1000, 1);
    end_burst(s);
    for (uint32_t i = 0; i < 4; i++)
        expect(s, TCP_ACK, 1, 0, 2001);
    expect_nothing(s);
    script_delete(s);
}

static void a_segment_that_fills_the_hole_is_acknowledged_at_once(void **state) {
    (void)state;
    struct script *s = accepted(&sack);
    in_data(s, 1001, 1000, 1);
    drain(s);
    begin_burst(s);
    in_data(s, 1, 1000, 1);
    assert_int_equal(sent_in_burst(s), 1);
    in_data(s, 2001, 1000, 1);
    in_data(s, 3001, 1000, 1);
    end_burst(s);
    expect(s, TCP_ACK, 1, 0, 2001);
    expect(s, TCP_ACK, 1, 0, 4001);
    expect_nothing(s);
    script_delete(s);
}

static void duplicates_are_acknowledged_each(void **state) {
    (void)state;
    struct script *s = accepted(&sack);
    in_data(s, 1, 1000, 1);
    in_data(s, 1001, 1000, 1);
    drain(s);
    begin_burst(s);
    in_data(s, 1, 1000, 1);
    in_data(s, 1001, 1000, 1);
    assert_int_equal(sent_in_burst(s), 2);
    end_burst(s);
    script_delete(s);
}

static void data_that_the_acks_of_a_burst_allow_leaves_at_its_end(void **state) {
    (void)state;
    struct script *s = accepted(&plain);
    push(s, 20000);
    uint32_t out_first = drain(s);
    assert_int_equal(out_first, 10); /* the initial window */
    begin_burst(s);
    in_ack(s, 2001);
    in_ack(s, 4001);
    assert_int_equal(sent_in_burst(s), 0);
    end_burst(s);
    assert_true(drain(s) >= 4);
    script_delete(s);
}

/* Nothing is delayed, only joined: also while Nagle's rule would hold back a second small segment. */
static void small_pushes_share_a_segment(void **state) {
    (void)state;
    struct script *s = accepted(&plain);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(push_unsent(s, 100), 0);
    assert_int_equal(s->h->frame_count, 0);
    inet_flush(s->h->stack, s->w->now);
    expect(s, TCP_ACK, 1, 500, 1);
    expect_nothing(s);
    script_delete(s);
}

static void the_answer_carries_the_ack_of_the_burst(void **state) {
    (void)state;
    struct script *s = accepted(&plain);
    begin_burst(s);
    for (uint32_t i = 0; i < 3; i++)
        in_data(s, 1 + i * 1000, 1000, 1);
    assert_int_equal(pop(s), 3000);
    s->h->burst = false;
    drain(s);
    in_data(s, 3001, 100, 1);
    assert_int_equal(pop(s), 100);
    assert_int_equal(push_unsent(s, 50), 0);
    inet_flush(s->h->stack, s->w->now);
    expect(s, TCP_ACK, 1, 50, 3101);
    expect_nothing(s);
    script_delete(s);
}

static void sending_time_counts_from_the_flush(void **state) {
    (void)state;
    struct script *s = accepted(&plain);
    assert_int_equal(push_unsent(s, 100), 0);
    s->w->now += 50 * MS;
    inet_flush(s->h->stack, s->w->now);
    expect(s, TCP_ACK, 1, 100, 1);
    assert_int_equal(s->conn->send.sent_ns, s->w->now);
    s->w->now += 10 * MS;
    in_ack(s, 101);
    struct tcp_status status;
    tcp_get_status(s->conn, &status);
    assert_true(status.min_rtt_us <= 10 * 1000);
    script_delete(s);
}

static void a_marked_connection_may_end_before_the_flush(void **state) {
    (void)state;
    struct script *s = accepted(&plain);
    assert_int_equal(push_unsent(s, 100), 0);
    begin_burst(s);
    in(s, (struct seg){.flags = TCP_RST, .seq = 1});
    end_burst(s);
    assert_int_equal(tcp_error(s->conn), -ECONNRESET);
    expect_nothing(s);
    script_delete(s);
}

static void a_marked_connection_that_is_detached_sends_first(void **state) {
    (void)state;
    struct script *s = accepted(&plain);
    assert_int_equal(push_unsent(s, 100), 0);
    assert_int_equal(tcp_detach(s->conn), 0);
    expect(s, TCP_ACK, 1, 100, 1);
    assert_int_equal(tcp_attach(s->h->stack, s->conn, NULL, s->w->now), 0);
    tcp_detached(s->h->stack, s->port);
    in_ack(s, 101);
    script_delete(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_in_order_is_acknowledged_once),
        cmocka_unit_test(each_segment_behind_a_loss_is_acknowledged),
        cmocka_unit_test(a_segment_that_fills_the_hole_is_acknowledged_at_once),
        cmocka_unit_test(duplicates_are_acknowledged_each),
        cmocka_unit_test(data_that_the_acks_of_a_burst_allow_leaves_at_its_end),
        cmocka_unit_test(small_pushes_share_a_segment),
        cmocka_unit_test(the_answer_carries_the_ack_of_the_burst),
        cmocka_unit_test(sending_time_counts_from_the_flush),
        cmocka_unit_test(a_marked_connection_may_end_before_the_flush),
        cmocka_unit_test(a_marked_connection_that_is_detached_sends_first),
    };
    return cmocka_run_group_tests_name("tcp_burst", tests, NULL, NULL);
}
