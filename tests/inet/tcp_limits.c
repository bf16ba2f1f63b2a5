/* SPDX-License-Identifier: MIT */
/* TCP limits other than memory: challenge ACKs, ICMP errors, orphans, TIME_WAIT, retries on a full device, RACK. */
#include "tcp_script.h"

#include "inet/tcp/check.h"

static const struct tcp_options modern = {.has_window_shift = true, .window_shift = 2, .sack_permitted = true};

/* Accepts another connection of the peer, from `port`. */
static struct tcp_conn *accept_from(struct script *s, uint16_t port) {
    struct tcp_conn *c;
    s->peer_port = port;
    in(s, (struct seg){.flags = TCP_SYN, .window = s->window, .options = modern});
    expect(s, TCP_SYN | TCP_ACK, 0, 0, 1);
    in_ack(s, 1);
    assert_int_equal(tcp_accept(s->listener, &c, NULL), 0);
    return c;
}

static uint32_t count_challenges(struct script *s, uint16_t port, uint32_t syns) {
    uint64_t before = counted(s->h, tcp_challenges);
    s->peer_port = port;
    for (uint32_t i = 0; i < syns; i++) {
        in(s, (struct seg){.flags = TCP_SYN, .seq = 1, .window = 1000});
        drain(s);
    }
    return (uint32_t)(counted(s->h, tcp_challenges) - before);
}

static void challenge_limit_of_one_connection_does_not_affect_others(void **state) {
    (void)state;
    struct script *s = script_new();
    struct tcp_conn *conns[20];
    script_accept(s, modern);
    for (uint32_t i = 0; i < 20; i++)
        conns[i] = accept_from(s, (uint16_t)(3000 + i));
    uint32_t first = count_challenges(s, 3000, 1000);
    assert_uint_in_range(first, 1, 30);
    assert_int_equal(count_challenges(s, 3000, 1000), 0);
    uint32_t others = 0;
    for (uint32_t i = 1; i < 20; i++)
        others += count_challenges(s, (uint16_t)(3000 + i), 1) >
                  0; /* a few connections may share a bucket with the first one */
    assert_uint_in_range(others, 15, 19);
    pass(s, 2 * SEC);
    assert_uint_in_range(count_challenges(s, 3000, 1000), 1, 30);
    for (uint32_t i = 0; i < 20; i++)
        tcp_abort(conns[i], s->w->now);
    drain(s);
    script_delete(s);
}

/* An attacker must not learn from the number of its own challenge ACKs how many others have received. */
static void challenge_limit_is_random(void **state) {
    (void)state;
    uint32_t least = UINT32_MAX, most = 0;
    struct script *s = script_new();
    script_accept(s, modern);
    for (uint32_t i = 0; i < 50; i++) {
        uint32_t n = count_challenges(s, PEER_PORT, 1000);
        if (n < least) least = n;
        if (n > most) most = n;
        pass(s, 5 * SEC);
    }
    assert_true(most > least);
    script_delete(s);
}

static void icmp_error_limit_of_one_destination_does_not_affect_others(void **state) {
    (void)state;
    struct script *s = script_new();
    uint64_t before;
    s->h->stack->config.limits.icmp_per_second = 1000;
    for (uint32_t round = 0; round < 2; round++) {
        before = counted(s->h, icmp_errors_out);
        for (uint32_t i = 0; i < 1000; i++) { /* datagrams to closed ports */
            uint8_t p[64] = {0};
            uint32_t len = frame_ip4(p, 17, 8);
            uint8_t *ip = p + ETH_HEADER_BYTES, *udp = ip + IP4_HEADER_BYTES;
            if (round == 1) {
                wire_store32(ip + 12, IP(10, 0, 0, 3));
                wire_store16(ip + 10, 0);
                wire_store16(ip + 10, csum_finish(csum_add(0, ip, IP4_HEADER_BYTES)));
            }
            wire_put16(udp, 5000);
            wire_put16(udp + 2, (uint16_t)(6000 + i));
            wire_put16(udp + 4, 8);
            host_receive(s->h, p, len);
            drain(s);
        }
        assert_uint_in_range(counted(s->h, icmp_errors_out) - before, 1, 100);
    }
    script_delete(s);
}

static void orphan_limit_resets_the_newest_connection(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet *stack = s->h->stack;
    uint32_t first = 0;
    stack->config.limits.tcp_orphans = 2;
    script_accept(s, modern);
    for (uint16_t i = 0; i < 4; i++) {
        struct tcp_conn *c = accept_from(s, (uint16_t)(3000 + i));
        if (i == 0) first = s->iss;
        tcp_close(c, s->w->now);
        struct seg g = out(s);
        assert_int_equal(g.flags & (TCP_FIN | TCP_RST), i < 2 ? TCP_FIN : TCP_RST);
    }
    assert_int_equal(stack->tcp_orphans, 2);
    assert_int_equal(counted(s->h, tcp_orphan_limit), 2);
    s->iss = first;
    s->peer_port = 3000; /* the peer acknowledges our FIN and sends its own: TIME_WAIT is not an orphan */
    in(s, (struct seg){.flags = TCP_ACK | TCP_FIN, .seq = 1, .ack = 2, .window = 1000});
    assert_int_equal(stack->tcp_orphans, 1);
    drain(s);
    tcp_close(accept_from(s, 3010), s->w->now);
    assert_int_equal(out(s).flags & TCP_FIN, TCP_FIN);
    pass(s, 1000 * SEC);
    drain(s);
    assert_int_equal(stack->tcp_orphans, 0);
    assert_int_equal(stack->tcp_time_waits, 0);
    script_delete(s);
}

static void full_time_wait_table_frees_connections_immediately(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet *stack = s->h->stack;
    stack->config.limits.tcp_time_wait = 1;
    script_accept(s, modern);
    for (uint16_t i = 0; i < 3; i++) {
        struct tcp_conn *c = accept_from(s, (uint16_t)(3000 + i));
        tcp_close(c, s->w->now);
        drain(s);
        in(s, (struct seg){.flags = TCP_ACK, .seq = 1, .ack = 2, .window = 1000});
        in(s, (struct seg){.flags = TCP_ACK | TCP_FIN, .seq = 1, .ack = 2, .window = 1000});
        expect(s, TCP_ACK, 2, 0, 2); /* the FIN is acknowledged even if TIME_WAIT is full */
    }
    assert_int_equal(stack->tcp_time_waits, 1);
    assert_int_equal(counted(s->h, tcp_time_wait_limit), 2);
    script_delete(s);
}

/* The peer acknowledges one byte a minute. It is slow but alive, so the stack keeps the connection. */
static void closed_connection_with_a_slow_peer_is_kept(void **state) {
    (void)state;
    struct script *s = script_new();
    s->window = 1;
    script_accept(s, (struct tcp_options){.mss = 1000});
    struct tcp_conn *c = s->conn;
    assert_int_equal(push(s, 20), 0);
    tcp_close(c, s->w->now);
    s->conn = NULL;
    for (uint32_t i = 0; i < 20; i++) {
        pass(s, 60 * SEC);
        drain(s);
        in_ack(s, 2 + i);
    }
    assert_int_equal(counted(s->h, tcp_orphans_ended), 0);
    assert_int_equal(s->h->stack->tcp_orphans, 1);
    script_delete(s);
}

static void loopback_connection_receives_no_segments_from_the_link(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet *stack = s->h->stack;
    struct inet_endpoint any = {.port = STACK_PORT}, to = {inet_addr_ip4(IP(10, 0, 0, 1)), STACK_PORT};
    struct tcp_conn *client, *server;
    assert_int_equal(tcp_listen(stack, &s->listener, &any, 4, NULL, NULL), 0);
    assert_int_equal(tcp_connect(stack, &client, &to, NULL, NULL, NULL, s->w->now), 0);
    pass(s, SEC);
    assert_int_equal(tcp_accept(s->listener, &server, NULL), 0);
    /* A forged segment with the correct ports and sequence numbers. */
    s->peer_ip = IP(10, 0, 0, 1);
    s->peer_port = client->flow.local_port;
    s->iss = server->send.iss;
    in(s, (struct seg){.flags = TCP_ACK, .seq = server->receive.nxt - PEER_ISN, .len = 10, .ack = 1, .window = 1000});
    assert_int_equal(tcp_available(server), 0);
    assert_int_equal(counted(s->h, ip_bad_source), 1);
    tcp_abort(client, s->w->now);
    tcp_abort(server, s->w->now);
    pass(s, SEC);
    script_delete(s);
}

/* The device refuses an ACK every 100 ms. The stack must still retransmit its own lost segment. */
static void refused_acks_do_not_delay_a_retransmission(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, modern);
    assert_int_equal(push(s, 1000), 0);
    drain(s); /* lost */
    bool retransmitted = false;
    for (uint32_t i = 0; i < 50 && !retransmitted; i++) {
        s->h->refuse = 1;
        in_data(s, 1 + i * 10, 10, 1);
        pass(s, 100 * MS);
        pop(s);
        while (s->h->frame_count > 0)
            retransmitted |= out(s).len == 1000;
    }
    assert_true(retransmitted);
    script_delete(s);
}

/* Connections back off while the device is full. */
static void retries_on_a_full_device_back_off(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, modern);
    s->h->refuse = UINT32_MAX;
    uint64_t before = counted(s->h, transmit_refused);
    assert_int_equal(push(s, 1000), 0);
    pass(s, SEC);
    uint64_t tries = counted(s->h, transmit_refused) - before;
    assert_uint_in_range(tries, 10, 200);
    s->h->refuse = 0;
    pass(s, 20 * MS);
    assert_true(drain(s) > 0);
    script_delete(s);
}

/* The application sets an option of a connection that the peer has reset. */
static void setting_an_option_after_a_reset_arms_no_timer(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, modern);
    assert_int_equal(push(s, 1000), 0);
    drain(s);
    in(s, (struct seg){.flags = TCP_RST, .seq = 1});
    assert_int_equal(tcp_error(s->conn), -ECONNRESET);
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_USER_TIMEOUT_MS, 1, s->w->now), 0);
    assert_false(s->conn->timers.timer.timer.armed);
    script_delete(s);
}

static void duplicates_widen_the_reordering_window_once_per_round_trip(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, (struct tcp_options){.mss = 1000, .sack_permitted = true});
    uint32_t una = 1;
    for (uint32_t round = 1; round <= 3; round++) {
        assert_int_equal(push(s, 5000), 0);
        pass(s, 10 * MS);
        drain(s);
        in_ack(s, una + 1000);
        for (uint32_t i = 0; i < 4; i++) /* the peer sends several D-SACKs in one round trip */
            in_sack(s, una + 1000, una, una + 500);
        assert_int_equal(s->conn->recovery.reorder_steps, round);
        una += 5000;
        in_ack(s, una);
        drain(s);
        assert_null(tcp_check(s->conn));
    }
    for (uint32_t i = 0; i < 16; i++)
        rack_recovered(&s->conn->recovery);
    assert_int_equal(s->conn->recovery.reorder_steps, 0);
    script_delete(s);
}

/*
 * Both ends have filled the other's receive window, and a segment is lost in each direction. The peer's ACKs then have
 * the sequence number at the right edge of our window. The stack must process them.
 */
static void acks_at_the_edge_of_a_full_window_are_processed(void **state) {
    (void)state;
    struct script *s = script_new();
    s->window = 3000;
    script_accept(s, (struct tcp_options){.mss = 1000, .sack_permitted = true});
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_RECEIVE_LIMIT, 4096, s->w->now), 0);
    assert_int_equal(push(s, 3000), 0);
    assert_int_equal(drain(s), 3); /* the first segment is lost */
    in_data(s, 1001, 64535, 1);    /* the peer's first segment is lost, too; it has filled our window */
    drain(s);
    uint32_t edge = s->conn->receive.adv - PEER_ISN;
    in(s, (struct seg){.flags = TCP_ACK,
                       .seq = edge,
                       .ack = 1,
                       .window = 3000,
                       .options = {.sack_count = 1, .sack = {{s->iss + 1001, s->iss + 3001}}}});
    assert_int_equal(s->conn->recovery.flight->scoreboard.sacked_bytes, 2000);
    in(s, (struct seg){.flags = TCP_ACK, .seq = edge, .ack = 3001, .window = 3000});
    assert_int_equal(tcp_unacked(s->conn), 0);
    script_delete(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(challenge_limit_of_one_connection_does_not_affect_others),
        cmocka_unit_test(challenge_limit_is_random),
        cmocka_unit_test(icmp_error_limit_of_one_destination_does_not_affect_others),
        cmocka_unit_test(orphan_limit_resets_the_newest_connection),
        cmocka_unit_test(full_time_wait_table_frees_connections_immediately),
        cmocka_unit_test(closed_connection_with_a_slow_peer_is_kept),
        cmocka_unit_test(loopback_connection_receives_no_segments_from_the_link),
        cmocka_unit_test(refused_acks_do_not_delay_a_retransmission),
        cmocka_unit_test(retries_on_a_full_device_back_off),
        cmocka_unit_test(setting_an_option_after_a_reset_arms_no_timer),
        cmocka_unit_test(duplicates_widen_the_reordering_window_once_per_round_trip),
        cmocka_unit_test(acks_at_the_edge_of_a_full_window_are_processed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
