/* SPDX-License-Identifier: MIT */
/* TCP packet scripts: the stack's segments in response to a slow, broken or hostile peer. */
#include "tcp_script.h"

static const struct tcp_options plain = {0},
                                modern = {.has_window_shift = true, .window_shift = 2, .sack_permitted = true};

static void syn_offers_all_options_and_syn_ack_only_those_of_the_peer(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, 2)), PEER_PORT};
    assert_int_equal(tcp_connect(s->h->stack, &s->conn, &to, NULL, NULL, NULL, s->w->now), 0);
    struct seg g = expect(s, TCP_SYN, 0, 0, 0);
    assert_int_equal(g.options.mss, 1460);
    assert_true(g.options.has_timestamp && g.options.sack_permitted && g.options.has_window_shift);
    assert_int_equal(g.window, 65535); /* the window in a SYN is not scaled */
    script_delete(s);
    s = script_new();
    struct inet_endpoint any = {.port = STACK_PORT};
    assert_int_equal(tcp_listen(s->h->stack, &s->listener, &any, 4, NULL, NULL), 0);
    in(s, (struct seg){.flags = TCP_SYN, .window = 1000});
    g = expect(s, TCP_SYN | TCP_ACK, 0, 0, 1);
    assert_false(g.options.has_timestamp || g.options.sack_permitted || g.options.has_window_shift);
    script_delete(s);
}

static void window_of_a_syn_is_never_scaled(void **state) {
    (void)state;
    struct script *s = script_new();
    s->window = 500;
    script_connect(s, modern);
    assert_int_equal(push(s, 3000), 0);
    expect(s, TCP_ACK, 1, 500, 1); /* sender SWS avoidance allows half of the largest window */
    expect_nothing(s);
    in_ack(s, 501); /* from here on the window is 500 << 2 */
    expect(s, TCP_ACK, 501, 1000, 1);
    expect(s, TCP_ACK, 1501, 1000, 1);
    expect_nothing(s);
    script_delete(s);
}

static void old_and_unacceptable_acks_are_ignored(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, plain);
    push(s, 2000);
    assert_int_equal(drain(s), 2);
    in_ack(s, 1001);
    in_ack(s, 1); /* an old duplicate */
    assert_int_equal(tcp_unacked(s->conn), 1000);
    in_ack(s, 0x80000000u); /* far outside the acceptable range */
    in_ack(s, 2002);        /* acknowledges unsent data */
    assert_int_equal(tcp_unacked(s->conn), 1000);
    assert_int_equal(counted(s->h, tcp_bad_ack), 2);
    script_delete(s);
}

static void closed_window_is_probed_while_the_peer_answers(void **state) {
    (void)state;
    struct script *s = script_new();
    s->window = 1000;
    script_accept(s, plain);
    push(s, 3000);
    expect(s, TCP_ACK, 1, 1000, 1);
    s->window = 0;
    in_ack(s, 1001);
    expect_nothing(s);
    for (uint32_t i = 0; i < 40; i++) {
        for (uint32_t k = 0; k < 130 && s->h->frame_count == 0; k++)
            pass(s, SEC);
        expect(s, TCP_ACK, 1000, 0, 1); /* sequence number SND.NXT - 1: the peer must answer with an ACK */
        in_ack(s, 1001);
    }
    s->window = 1000; /* a window update that acknowledges nothing new */
    in_ack(s, 1001);
    expect(s, TCP_ACK, 1001, 1000, 1);
    in_ack(s, 2001);
    expect(s, TCP_ACK, 2001, 1000, 1);
    script_delete(s);
}

static void fin_without_data_waits_for_the_window(void **state) {
    (void)state;
    struct script *s = script_new();
    s->window = 1000;
    script_accept(s, plain);
    push(s, 1000);
    expect(s, TCP_ACK, 1, 1000, 1);
    s->window = 0;
    in_ack(s, 1001);
    tcp_shutdown(s->conn, s->w->now);
    expect_nothing(s);
    pass(s, 5 * SEC);
    expect(s, TCP_ACK, 1000, 0, 1);
    drain(s);
    s->window = 10;
    in_ack(s, 1001);
    expect(s, TCP_ACK | TCP_FIN, 1001, 0, 1);
    in_ack(s, 1002);
    script_delete(s);
}

static void popping_data_reopens_the_window(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, plain);
    uint32_t at = 1;
    while (at < 65536) { /* fills the window, which is not scaled */
        in_data(s, at, 1000 < 65536 - at ? 1000 : 65536 - at, 1);
        at += 1000 < 65536 - at ? 1000 : 65536 - at;
    }
    struct seg g = {0};
    while (s->h->frame_count > 0)
        g = out(s);
    assert_int_equal(g.window, 0);
    in_data(s, at, 1, 1); /* a window probe */
    g = expect(s, TCP_ACK, 1, 0, at);
    assert_int_equal(g.window, 0);
    assert_int_equal(pop(s), 65535);
    while (s->h->frame_count > 0)
        g = out(s);
    assert_true(g.window >= 30000);
    script_delete(s);
}

static void exact_reset_closes_the_connection_and_blind_resets_do_not(void **state) {
    (void)state;
    struct script *s = script_new();
    uint32_t events = 0;
    script_accept(s, plain);
    push(s, 100);
    drain(s);
    in(s, (struct seg){.flags = TCP_RST, .seq = 2}); /* in the window, but not the next sequence number */
    expect(s, TCP_ACK, 101, 0, 1);
    in(s, (struct seg){.flags = TCP_RST, .seq = 70000}); /* outside the window */
    expect_nothing(s);
    assert_int_equal(tcp_error(s->conn), 0);
    in(s, (struct seg){.flags = TCP_SYN, .seq = 5});
    expect(s, TCP_ACK, 101, 0, 1); /* a challenge ACK, not a reset */
    while (inet_next_event(s->h->stack, &events)) {
    }
    in(s, (struct seg){.flags = TCP_RST, .seq = 1});
    assert_non_null(inet_next_event(s->h->stack, &events));
    assert_true(events & INET_EVENT_CLOSED);
    assert_int_equal(tcp_error(s->conn), -ECONNRESET);
    assert_int_equal(push(s, 1), -ECONNRESET);
    assert_int_equal(tcp_unacked(s->conn), 0);
    script_delete(s);
}

static void data_is_sent_and_retransmitted_after_the_peers_fin(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, plain);
    in(s, (struct seg){.flags = TCP_ACK | TCP_FIN, .seq = 1, .ack = 1, .window = 65535});
    expect(s, TCP_ACK, 1, 0, 2);
    assert_int_equal(pop(s), -1);
    push(s, 1500);
    expect(s, TCP_ACK, 1, 1000, 2);
    expect(s, TCP_ACK, 1001, 500, 2);
    in(s, (struct seg){.flags = TCP_ACK, .seq = 2, .ack = 1001, .window = 65535});
    pass(s, 2 * SEC);
    expect(s, TCP_ACK, 1001, 500, 2);
    drain(s);
    in(s, (struct seg){.flags = TCP_ACK, .seq = 2, .ack = 1501, .window = 65535});
    tcp_shutdown(s->conn, s->w->now);
    expect(s, TCP_ACK | TCP_FIN, 1501, 0, 2);
    in(s, (struct seg){.flags = TCP_ACK, .seq = 2, .ack = 1502, .window = 65535});
    assert_int_equal(tcp_error(s->conn), 0);
    script_delete(s);
}

static void only_the_ack_of_the_fin_enters_fin_wait_2_and_data_is_received_until_then(void **state) {
    (void)state;
    struct script *s = script_new();
    struct tcp_status info;
    script_accept(s, plain);
    push(s, 500);
    tcp_shutdown(s->conn, s->w->now);
    expect(s, TCP_ACK, 1, 500, 1);
    expect(s, TCP_ACK | TCP_FIN, 501, 0, 1);
    in_ack(s, 501); /* acknowledges the data, not the FIN */
    tcp_get_status(s->conn, &info);
    assert_int_equal(info.state, TCP_STATE_FIN_WAIT_1);
    in_data(s, 1, 300, 501);
    in_data(s, 301, 200, 502);
    tcp_get_status(s->conn, &info);
    assert_int_equal(info.state, TCP_STATE_FIN_WAIT_2);
    assert_int_equal(pop(s), 500);
    drain(s);
    in(s, (struct seg){.flags = TCP_ACK | TCP_FIN, .seq = 501, .ack = 502, .window = 65535});
    expect(s, TCP_ACK, 502, 0, 502);
    assert_int_equal(pop(s), -1);
    /* in TIME_WAIT a retransmitted FIN is acknowledged again */
    in(s, (struct seg){.flags = TCP_ACK | TCP_FIN, .seq = 501, .ack = 502, .window = 65535});
    expect(s, TCP_ACK, 502, 0, 502);
    /* a SYN with a newer sequence number opens a new connection */
    in(s, (struct seg){.flags = TCP_SYN, .seq = 100000, .window = 65535});
    expect(s, TCP_SYN | TCP_ACK, 0, 0, 100001);
    script_delete(s);
}

static void segments_to_a_closed_port_are_reset_with_the_right_sequence_numbers(void **state) {
    (void)state;
    struct script *s = script_new();
    in(s, (struct seg){.flags = TCP_SYN, .seq = 5, .window = 100});
    expect(s, TCP_RST | TCP_ACK, 0, 0, 6);
    in(s, (struct seg){.flags = TCP_ACK, .seq = 5, .ack = 77, .len = 10});
    expect(s, TCP_RST, 77, 0, 0);
    in(s, (struct seg){.flags = TCP_RST, .seq = 5});
    expect_nothing(s);
    script_delete(s);
}

static void pure_acks_are_never_acknowledged(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, modern);
    for (uint32_t i = 0; i < 10; i++) {
        push(s, 100);
        drain(s);
        in_ack(s, 1 + (i + 1) * 100);
        pass(s, 100 * MS);
    }
    expect_nothing(s);
    script_delete(s);
}

static void every_second_segment_is_acknowledged_after_the_quick_acks(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, plain);
    uint32_t at = 1;
    for (uint32_t i = 0; i < 16; i++, at += 1460) {
        in_data(s, at, 1460, 1);
        expect(s, TCP_ACK, 1, 0, at + 1460);
        pop(s);
    }
    for (uint32_t i = 0; i < 5; i++, at += 2920) {
        in_data(s, at, 1460, 1);
        expect_nothing(s);
        in_data(s, at + 1460, 1460, 1);
        expect(s, TCP_ACK, 1, 0, at + 2920);
        pop(s);
    }
    in_data(s, at, 100, 1);
    expect_nothing(s);
    pass(s, 41 * MS);
    expect(s, TCP_ACK, 1, 0, at + 100);
    script_delete(s);
}

static void overlapping_out_of_order_segments_are_reassembled(void **state) {
    (void)state;
    struct rng r = test_rng();
    for (uint32_t round = 0; round < 200; round++) {
        struct script *s = script_new();
        script_accept(s, modern);
        int64_t popped = 0;
        for (uint32_t i = 0; i < 200; i++) {
            uint32_t from = (uint32_t)rng_below(&r, 3000), len = 1 + (uint32_t)rng_below(&r, 3000 - from);
            if (len > 400) len = 400;
            in_data(s, 1 + from, len, 1);
            if (rng_below(&r, 4) == 0) popped += pop(s);
        }
        in_data(s, 1, 1460, 1);
        in_data(s, 1401, 1460, 1);
        in_data(s, 2801, 200, 1);
        popped += pop(s);
        assert_int_equal(popped, 3000);
        script_delete(s);
    }
}

static void unknown_and_malformed_options_do_not_drop_the_segment(void **state) {
    (void)state;
    struct script *s = script_new();
    struct tcp_header h;
    uint8_t p[60] = {0};
    p[12] = 15 << 4;
    static const uint8_t cases[][40] = {
        {253, 40}, {254, 4, 1, 2, 30, 3, 0, 2, 4, 5, 0xb4}, {2, 0}, {2, 1}, {8, 10, 1}, {1, 1, 1, 1, 5, 9, 1}, {3, 200},
        {77},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(p + 20, cases[i], 40);
        assert_true(tcp_parse(&h, p, 60));
    }
    memcpy(p + 20, cases[1], 40);
    assert_true(tcp_parse(&h, p, 60));
    assert_int_equal(h.options.mss, 0x5b4);
    for (uint32_t len = 0; len < 60; len++)
        assert_false(tcp_parse(&h, p, len));
    script_delete(s);
}

static void fast_retransmit_does_not_resend_sacked_segments(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, modern);
    push(s, 10000);
    assert_int_equal(drain(s), 10);
    for (uint32_t i = 2; i <= 5; i++) /* the first segment is missing */
        in(s, (struct seg){.flags = TCP_ACK,
                           .seq = 1,
                           .ack = 1,
                           .window = 65535,
                           .options = {.sack_count = 1, .sack = {{s->iss + 1001, s->iss + 1 + i * 1000}}}});
    expect(s, TCP_ACK, 1, 1000, 1);
    uint32_t others = 0;
    while (s->h->frame_count > 0) {
        struct seg g = out(s);
        others += g.len > 0 && g.seq < 5001;
    }
    assert_int_equal(others, 0);
    in_ack(s, 5001);
    script_delete(s);
}

static void three_duplicate_acks_retransmit_the_first_segment_without_sack(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, plain);
    push(s, 10000);
    assert_int_equal(drain(s), 10);
    for (uint32_t i = 0; i < 2; i++)
        in_ack(s, 1);
    expect_nothing(s);
    in_ack(s, 1);
    expect(s, TCP_ACK, 1, 1000, 1);
    drain(s);
    in_ack(s, 3001); /* a partial ACK: the next hole is retransmitted immediately */
    expect(s, TCP_ACK, 3001, 1000, 1);
    script_delete(s);
}

static void timeout_backs_off_and_a_late_ack_of_the_original_undoes_it(void **state) {
    (void)state;
    struct script *s = script_new();
    struct tcp_options o = modern;
    struct tcp_status before, info;
    s->timestamps = true;
    s->ts = 5000;
    script_accept(s, o);
    push(s, 3000);
    struct seg first = out(s);
    drain(s);
    tcp_get_status(s->conn, &before);
    pass(s, 20 * SEC);
    tcp_get_status(s->conn, &info);
    assert_true(info.backoff >= 4);
    assert_int_equal(info.recovery, TCP_LOSS);
    assert_true(drain(s) >= 4);
    s->ts_echo = first.options.ts_value; /* the ACK echoes the timestamp of the originals */
    in_ack(s, 3001);
    tcp_get_status(s->conn, &info);
    assert_true(info.cwnd >= before.cwnd);
    assert_int_equal(info.ssthresh, before.ssthresh);
    assert_int_equal(counted(s->h, tcp_undone), 1);
    script_delete(s);
}

static void segment_with_an_old_timestamp_is_dropped_and_acknowledged(void **state) {
    (void)state;
    struct script *s = script_new();
    s->timestamps = true;
    s->ts = 5000;
    script_accept(s, modern);
    s->ts = 4000;
    in_data(s, 1, 100, 1);
    expect(s, TCP_ACK, 1, 0, 1);
    assert_int_equal(counted(s->h, tcp_paws), 1);
    s->ts = 5001;
    in_data(s, 1, 100, 1);
    struct seg g = expect(s, TCP_ACK, 1, 0, 101);
    assert_int_equal(g.options.ts_echo, 5001);
    script_delete(s);
}

static void keepalive_probes_the_peer_and_ends_a_dead_connection(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, plain);
    tcp_set_option(s->conn, TCP_OPTION_KEEP_IDLE_S, 10, s->w->now);
    tcp_set_option(s->conn, TCP_OPTION_KEEP_INTERVAL_S, 2, s->w->now);
    tcp_set_option(s->conn, TCP_OPTION_KEEP_COUNT, 3, s->w->now);
    tcp_set_option(s->conn, TCP_OPTION_KEEPALIVE, 1, s->w->now);
    for (uint32_t i = 0; i < 5; i++) {
        pass(s, 11 * SEC);
        expect(s, TCP_ACK, 0, 0, 1);
        in_ack(s, 1);
    }
    pass(s, 30 * SEC);
    for (uint32_t i = 0; i < 3; i++)
        expect(s, TCP_ACK, 0, 0, 1);
    assert_true(out(s).flags & TCP_RST);
    assert_int_equal(tcp_error(s->conn), -ETIMEDOUT);
    script_delete(s);
}

static void small_segments_wait_for_the_ack_unless_nodelay_is_set(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, plain);
    push(s, 10);
    push(s, 10);
    push(s, 10);
    expect(s, TCP_ACK, 1, 10, 1);
    expect_nothing(s);
    in_ack(s, 11);
    expect(s, TCP_ACK, 11, 20, 1);
    tcp_set_option(s->conn, TCP_OPTION_NODELAY, 1, s->w->now);
    push(s, 10);
    expect(s, TCP_ACK, 31, 10, 1);
    script_delete(s);
}

static void initial_sequence_numbers_are_not_predictable(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, 2)), PEER_PORT};
    uint32_t last = 0, near = 0;
    for (uint32_t i = 0; i < 50; i++) {
        struct tcp_conn *c;
        assert_int_equal(tcp_connect(s->h->stack, &c, &to, NULL, NULL, NULL, s->w->now), 0);
        out(s);
        near += s->iss - last < 0x1000000;
        last = s->iss;
        tcp_abort(c, s->w->now);
    }
    assert_true(near < 5);
    script_delete(s);
}

static void close_with_unread_data_resets_the_connection(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, plain);
    in_data(s, 1, 100, 1);
    drain(s);
    tcp_close(s->conn, s->w->now);
    s->conn = NULL;
    assert_true(out(s).flags & TCP_RST);
    script_delete(s);
}

static void syn_flood_is_answered_with_cookies_and_honest_peers_connect(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet_endpoint any = {.port = STACK_PORT};
    struct heap_stats stats;
    assert_int_equal(tcp_listen(s->h->stack, &s->listener, &any, 4, NULL, NULL), 0);
    for (uint16_t i = 0; i < 5000; i++) { /* from clients that never answer */
        s->peer_port = (uint16_t)(3000 + i);
        in(s, (struct seg){.flags = TCP_SYN, .window = 1000, .options = {.mss = 1460}});
        expect(s, TCP_SYN | TCP_ACK, 0, 0, 1);
    }
    assert_int_equal(counted(s->h, tcp_cookies_out), 4996);
    heap_get_stats(&stats);
    assert_int_equal(stats.used_bytes, 0);
    s->peer_port = PEER_PORT;
    in(s, (struct seg){.flags = TCP_SYN, .window = 1000, .options = {.mss = 1300}});
    struct seg g = expect(s, TCP_SYN | TCP_ACK, 0, 0, 1);
    assert_int_equal(g.options.mss, 1460);
    in_ack(s, 2); /* refused: a wrong cookie, another port's cookie, a wrong sequence number */
    assert_int_equal(out(s).flags, TCP_RST);
    s->peer_port++;
    in_ack(s, 1);
    assert_int_equal(out(s).flags, TCP_RST);
    s->peer_port--;
    in_data(s, 2, 0, 1);
    assert_int_equal(out(s).flags, TCP_RST);
    in_data(s, 1, 100, 1); /* the ACK was lost: data completes the handshake */
    expect(s, TCP_ACK, 1, 0, 101);
    assert_int_equal(tcp_accept(s->listener, &s->conn, NULL), 0);
    assert_int_equal(counted(s->h, tcp_cookies_in), 1);
    assert_int_equal(pop(s), 100);
    push(s, 3000);
    in_ack(s, 1);                     /* a duplicate ACK */
    expect(s, TCP_ACK, 1, 1220, 101); /* the MSS of the cookie, rounded down */
    script_delete(s);
}

static void syn_cookies_expire(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet_endpoint any = {.port = STACK_PORT};
    assert_int_equal(tcp_listen(s->h->stack, &s->listener, &any, 1, NULL, NULL), 0);
    for (s->peer_port = 3000; s->peer_port < 3002; s->peer_port++) {
        in(s, (struct seg){.flags = TCP_SYN, .window = 1000});
        expect(s, TCP_SYN | TCP_ACK, 0, 0, 1);
    }
    s->peer_port = 3001;
    uint32_t iss = s->iss;
    pass(s, 129 * SEC);
    drain(s);
    s->iss = iss;
    in_ack(s, 1);
    assert_int_equal(out(s).flags, TCP_RST);
    assert_int_equal(tcp_accept(s->listener, &s->conn, NULL), -EAGAIN);
    script_delete(s);
}

/* One random step of a hostile peer, the application, the device or the clock. */
static void random_step(struct script *s, struct rng *r, bool *shut) {
    struct seg g = {
        .flags = (uint8_t)(rng_below(r, 12) ? TCP_ACK : rng_next(r)),
        .seq = (uint32_t)(rng_below(r, 10) ? s->popped + rng_below(r, 5000) : rng_next(r)),
        .ack = (uint32_t)(rng_below(r, 10) ? 1 + rng_below(r, s->pushed + 3) : rng_next(r)),
        .len = rng_below(r, 2) ? (uint32_t)rng_below(r, 1460) : 0,
        .window = (uint16_t)(rng_below(r, 3) ? 65535 : rng_below(r, 3000)),
    };
    if (rng_below(r, 300)) g.flags &= (uint8_t)~(TCP_RST | TCP_SYN);
    if (rng_below(r, 100)) g.flags &= (uint8_t)~TCP_FIN;
    const uint8_t blocks = (uint8_t)rng_below(r, 4);
    for (g.options.sack_count = 0; g.options.sack_count < blocks; g.options.sack_count++) {
        uint32_t from = 1 + (uint32_t)rng_below(r, s->pushed + 2);
        g.options.sack[g.options.sack_count] =
            (struct tcp_range){s->iss + from, s->iss + from + (uint32_t)rng_below(r, 4000)};
    }
    switch (rng_below(r, 8)) {
    case 0:
        if (!*shut) push(s, 1 + (uint32_t)rng_below(r, 5000));
        break;
    case 1:
        pop(s);
        break;
    case 2:
        pass(s, rng_below(r, 300 * MS));
        break;
    case 3:
        s->h->refuse = (uint32_t)rng_below(r, 3);
        break;
    default:
        in(s, g);
    }
    if (rng_below(r, 500) == 0) *shut = tcp_shutdown(s->conn, s->w->now) == 0;
    drain(s);
}

static void random_segments_and_calls_keep_the_invariants(void **state) {
    (void)state;
    struct rng r = test_rng();
    for (uint32_t round = 0; round < 300; round++) {
        struct script *s = script_new();
        bool shut = false;
        if (rng_below(&r, 2))
            script_accept(s, modern);
        else
            script_connect(s, rng_below(&r, 2) ? plain : modern);
        for (uint32_t i = 0; i < 400; i++) {
            struct tcp_status info;
            random_step(s, &r, &shut);
            tcp_get_status(s->conn, &info);
            assert_true(info.in_flight <= s->pushed + 2);
            assert_true(info.cwnd >= info.mss || info.state < TCP_STATE_ESTABLISHED);
        }
        s->h->refuse = 0;
        script_delete(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syn_offers_all_options_and_syn_ack_only_those_of_the_peer),
        cmocka_unit_test(window_of_a_syn_is_never_scaled),
        cmocka_unit_test(old_and_unacceptable_acks_are_ignored),
        cmocka_unit_test(closed_window_is_probed_while_the_peer_answers),
        cmocka_unit_test(fin_without_data_waits_for_the_window),
        cmocka_unit_test(popping_data_reopens_the_window),
        cmocka_unit_test(exact_reset_closes_the_connection_and_blind_resets_do_not),
        cmocka_unit_test(data_is_sent_and_retransmitted_after_the_peers_fin),
        cmocka_unit_test(only_the_ack_of_the_fin_enters_fin_wait_2_and_data_is_received_until_then),
        cmocka_unit_test(segments_to_a_closed_port_are_reset_with_the_right_sequence_numbers),
        cmocka_unit_test(pure_acks_are_never_acknowledged),
        cmocka_unit_test(every_second_segment_is_acknowledged_after_the_quick_acks),
        cmocka_unit_test(overlapping_out_of_order_segments_are_reassembled),
        cmocka_unit_test(unknown_and_malformed_options_do_not_drop_the_segment),
        cmocka_unit_test(fast_retransmit_does_not_resend_sacked_segments),
        cmocka_unit_test(three_duplicate_acks_retransmit_the_first_segment_without_sack),
        cmocka_unit_test(timeout_backs_off_and_a_late_ack_of_the_original_undoes_it),
        cmocka_unit_test(segment_with_an_old_timestamp_is_dropped_and_acknowledged),
        cmocka_unit_test(keepalive_probes_the_peer_and_ends_a_dead_connection),
        cmocka_unit_test(small_segments_wait_for_the_ack_unless_nodelay_is_set),
        cmocka_unit_test(initial_sequence_numbers_are_not_predictable),
        cmocka_unit_test(close_with_unread_data_resets_the_connection),
        cmocka_unit_test(syn_flood_is_answered_with_cookies_and_honest_peers_connect),
        cmocka_unit_test(syn_cookies_expire),
        cmocka_unit_test(random_segments_and_calls_keep_the_invariants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
