/* SPDX-License-Identifier: MIT */
/* TCP under attack: forged segments have no effect, and a hostile peer uses a bounded amount of resources. */
#include "tcp_script.h"

#include "inet/tcp/check.h"
#include "inet/tcp/cookies.h"

#ifdef TEST_SANITIZED
#define FLOOD 50000u
#else
#define FLOOD 1000000u
#endif

static const struct tcp_options modern = {.has_window_shift = true, .window_shift = 2, .sack_permitted = true};

static size_t heap_used(void) {
    struct heap_stats stats;
    heap_get_stats(&stats);
    return stats.used_bytes + stats.large_bytes;
}

static struct script *accept_target(void) {
    struct script *s = script_new();
    script_accept(s, modern);
    return s;
}

static void assert_unaffected(struct script *s) {
    struct tcp_status status;
    tcp_get_status(s->conn, &status);
    assert_int_equal(status.state, TCP_STATE_ESTABLISHED);
    assert_int_equal(pop(s), 0);
    assert_null(tcp_check(s->conn));
}

/* Sets the source of the ith segment of a flood: an address that is not on our link. */
static void set_flood_source(struct script *s, uint32_t i) {
    s->peer_ip = htobe32(0x0b000000 + i / 60000);
    s->peer_port = (uint16_t)(1024 + i % 60000);
}

/* An honest client completes the handshake and sends data. With timestamps its options survive a SYN cookie. */
static void connect_honest_client(struct script *s, uint16_t port, bool timestamps) {
    struct tcp_options options = {.mss = 1000, .sack_permitted = true, .has_window_shift = true, .window_shift = 9};
    s->peer_ip = IP(10, 0, 0, 2);
    s->peer_port = port;
    s->timestamps = timestamps;
    in(s, (struct seg){.flags = TCP_SYN, .window = 65535, .options = options});
    s->ts_echo = expect(s, TCP_SYN | TCP_ACK, 0, 0, 1).options.ts_value;
    in_ack(s, 1);
    in_data(s, 1, 100, 1);
    s->timestamps = false;
    struct tcp_conn *c;
    struct inet_slice slice;
    struct tcp_status status;
    assert_int_equal(tcp_accept(s->listener, &c, NULL), 0);
    assert_int_equal(tcp_pop(c, &slice, 1000, s->w->now), 0);
    assert_int_equal(slice.len, 100);
    heap_free(slice.base);
    tcp_get_status(c, &status);
    assert_true(!timestamps || (status.sack && status.window_scale && status.send_shift == 9));
    tcp_abort(c, s->w->now);
    drain(s);
}

static void syn_flood_uses_bounded_memory_and_honest_clients_connect(void **state) {
    (void)state;
    enum { BACKLOG = 128 };
    struct script *s = script_new();
    struct inet_endpoint any = {.port = STACK_PORT};
    const struct hash *conns = &s->h->stack->tcp_conns;
    assert_int_equal(tcp_listen(s->h->stack, &s->listener, &any, BACKLOG, NULL, NULL), 0);
    size_t most = 0;
    for (uint32_t i = 0; i < FLOOD; i++) {
        set_flood_source(s, i);
        in(s, (struct seg){.flags = TCP_SYN, .window = 1000, .options = {.mss = 1460}});
        drain(s);
        if (i % 10 == 0) pass(s, 1000); /* ten million SYNs a second */
        if (i % 1000) continue;
        connect_honest_client(s, (uint16_t)(2000 + i / 1000), i % 2000 == 0);
        if (heap_used() > most) most = heap_used();
        assert_true(hash_count(conns) <= BACKLOG + 1);
    }
    assert_true(most < 1u << 20); /* includes the packets that wait for the gateway's MAC address */
    assert_null(tcp_check_all(s->h->stack));
    script_delete(s);
}

static void forged_final_acks_of_the_handshake_make_no_connection(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet_endpoint any = {.port = STACK_PORT};
    struct rng r = test_rng();
    assert_int_equal(tcp_listen(s->h->stack, &s->listener, &any, 1, NULL, NULL), 0);
    for (uint32_t i = 0; i < 2; i++) { /* the second SYN is answered with a cookie */
        set_flood_source(s, i);
        in(s, (struct seg){.flags = TCP_SYN, .window = 1000});
        drain(s);
    }
    for (uint32_t i = 0; i < 100000; i++) {
        set_flood_source(s, i);
        in(s, (struct seg){.flags = TCP_ACK, .seq = (uint32_t)rng_next(&r), .ack = (uint32_t)rng_next(&r)});
        drain(s);
    }
    assert_int_equal(tcp_accept(s->listener, &s->conn, NULL), -EAGAIN);
    script_delete(s);
}

/* Without a flood, even an ACK with a valid cookie is refused, so that an attacker cannot guess one. */
static void cookie_is_refused_while_none_is_outstanding(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet_endpoint any = {.port = STACK_PORT};
    struct inet_flow flow = {inet_addr_ip4(IP(10, 0, 0, 1)), inet_addr_ip4(IP(10, 0, 0, 2)), STACK_PORT, PEER_PORT};
    assert_int_equal(tcp_listen(s->h->stack, &s->listener, &any, 1, NULL, NULL), 0);
    s->port = STACK_PORT;
    s->iss = cookie_make(s->h->stack, &flow, PEER_ISN, 1460);
    in_ack(s, 1);
    assert_int_equal(out(s).flags, TCP_RST);
    for (s->peer_port = 3000; s->peer_port < 3002; s->peer_port++) {
        in(s, (struct seg){.flags = TCP_SYN, .window = 1000});
        drain(s);
    }
    s->peer_port = PEER_PORT;
    s->iss = cookie_make(s->h->stack, &flow, PEER_ISN, 1460);
    in_ack(s, 1);
    drain(s);
    assert_int_equal(counted(s->h, tcp_cookies_in), 1);
    script_delete(s);
}

static void cookie_timestamp_is_not_in_the_future_and_encodes_the_options(void **state) {
    (void)state;
    for (uint32_t clock = 0u - 500; clock != 500; clock++)
        for (uint8_t i = 0; i < 32; i++) {
            struct tcp_options offered = {
                .has_window_shift = i / 2 < 15, .window_shift = i / 2, .sack_permitted = i % 2};
            struct tcp_options kept = {.mss = 7};
            uint32_t stamp = cookie_stamp(clock, &offered);
            assert_true(seq_le(stamp, clock) && clock - stamp < 64);
            cookie_options(stamp, &kept);
            assert_int_equal(kept.sack_permitted, offered.sack_permitted);
            assert_int_equal(kept.has_window_shift, offered.has_window_shift);
            assert_int_equal(kept.window_shift, offered.has_window_shift ? offered.window_shift : 0);
        }
}

/* A client that has received a cookie can forge the options in its timestamp. It affects only its own connection. */
static void options_forged_in_a_cookie_timestamp_are_bounded(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet_endpoint any = {.port = STACK_PORT};
    assert_int_equal(tcp_listen(s->h->stack, &s->listener, &any, 1, NULL, NULL), 0);
    in(s, (struct seg){.flags = TCP_SYN, .window = 1000});
    drain(s);
    for (uint32_t i = 0; i < 64; i++) {
        struct tcp_conn *c;
        struct tcp_status status;
        s->peer_port = (uint16_t)(3000 + i);
        s->timestamps = i < 32;
        in(s, (struct seg){.flags = TCP_SYN, .window = 1000});
        expect(s, TCP_SYN | TCP_ACK, 0, 0, 1);
        s->timestamps = true;
        s->ts_echo = i;
        in_ack(s, 1);
        assert_int_equal(tcp_accept(s->listener, &c, NULL), 0);
        tcp_get_status(c, &status);
        assert_true(status.send_shift <= TCP_WINDOW_SHIFT_MAX && status.send_window == 65535u << status.send_shift);
        assert_null(tcp_check(c));
        tcp_abort(c, s->w->now);
        drain(s);
    }
    script_delete(s);
}

/* RFC 5961 section 3: only a RST with exactly the next expected sequence number resets the connection. */
static void blind_reset_needs_the_exact_next_sequence_number(void **state) {
    (void)state;
    struct script *s = accept_target();
    for (uint32_t seq = 1u - 70000; seq != 1 + 140000; seq++) {
        if (seq == 1) continue;
        in(s, (struct seg){.flags = TCP_RST, .seq = seq});
        in(s, (struct seg){.flags = TCP_RST | TCP_ACK, .seq = seq, .ack = 1});
        drain(s);
    }
    assert_unaffected(s);
    in(s, (struct seg){.flags = TCP_RST, .seq = 1});
    assert_int_equal(tcp_error(s->conn), -ECONNRESET);
    script_delete(s);
}

/* RFC 5961 section 4. */
static void blind_syn_never_resets_the_connection(void **state) {
    (void)state;
    struct script *s = accept_target();
    for (uint32_t seq = 0u - 70000; seq != 140000; seq++) {
        in(s, (struct seg){.flags = TCP_SYN, .seq = seq, .window = 100});
        in(s, (struct seg){.flags = TCP_SYN | TCP_ACK, .seq = seq, .ack = 1, .window = 100});
        drain(s);
    }
    assert_unaffected(s);
    script_delete(s);
}

/* RFC 5961 section 5: data is accepted only if its acknowledgement number lies in the send window. */
static void blind_data_needs_an_acceptable_acknowledgement_number(void **state) {
    (void)state;
    struct script *s = accept_target();
    push(s, 1000);
    drain(s);
    uint32_t oldest = 1 - (65535u << modern.window_shift); /* SND.UNA - MAX.SND.WND */
    for (uint32_t i = 1; i < 100000; i++) {
        in_data(s, 1, 10, oldest - i);
        in_data(s, 1, 10, 1001 + i);
        drain(s);
    }
    struct rng r = test_rng();
    for (uint32_t i = 0; i < 100000; i++) { /* data outside the receive window, with any acknowledgement number */
        uint32_t seq = 1 + 70000 + (uint32_t)rng_below(&r, UINT32_MAX - 140000);
        in(s, (struct seg){.flags = TCP_ACK, .seq = seq, .len = 10, .ack = (uint32_t)rng_next(&r), .window = 1});
        drain(s);
    }
    assert_unaffected(s);
    in_data(s, 1, 10, 1001);
    assert_int_equal(pop(s), 10);
    assert_int_equal(tcp_unacked(s->conn), 0);
    script_delete(s);
}

static void challenge_acks_to_forged_segments_are_rate_limited(void **state) {
    (void)state;
    struct script *s = accept_target();
    uint32_t answers = 0;
    for (uint32_t i = 0; i < 100000; i++) { /* within one second */
        in(s, (struct seg){.flags = TCP_SYN, .seq = 1, .window = 1});
        in(s, (struct seg){.flags = TCP_RST, .seq = 2});
        in_data(s, 1, 0, 5000);
        answers += drain(s);
        pass(s, 10000);
    }
    assert_true(answers <= 1100);
    assert_true(counted(s->h, tcp_challenge_limit) > 100000);
    script_delete(s);
}

/* Two desynchronised ends answer each other's ACKs. */
static void ack_storm_is_rate_limited(void **state) {
    (void)state;
    struct script *s = accept_target();
    uint32_t answers = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        in_data(s, 1u - 100000, 0, 1);
        answers += drain(s);
        pass(s, MS);
    }
    assert_uint_in_range(answers, 1, 25); /* within ten seconds */
    in_data(s, 1, 10, 1);
    expect(s, TCP_ACK, 1, 0, 11);
    script_delete(s);
}

static void optimistic_acks_do_not_open_the_congestion_window(void **state) {
    (void)state;
    struct script *s = accept_target();
    struct tcp_status before, after;
    push(s, 50000);
    uint32_t sent = drain(s);
    tcp_get_status(s->conn, &before);
    for (uint32_t i = 1; i < 1000; i++)
        in_ack(s, sent * 1000 + 1 + i * 100);
    tcp_get_status(s->conn, &after);
    assert_int_equal(after.cwnd, before.cwnd);
    assert_int_equal(tcp_unacked(s->conn), 50000);
    /* many small ACKs open the congestion window no further than one ACK (RFC 3465) */
    for (uint32_t ack = 2; ack <= 1001; ack++)
        in_ack(s, ack);
    tcp_get_status(s->conn, &after);
    assert_true(after.cwnd <= before.cwnd + 1000);
    script_delete(s);
}

static void spoofed_duplicate_acks_do_not_exceed_the_send_window(void **state) {
    (void)state;
    static const struct tcp_options plain = {.mss = 1000};
    struct script *s = script_new();
    script_accept(s, plain);
    push(s, 500000);
    uint32_t furthest = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        while (s->h->frame_count > 0) {
            struct seg g = out(s);
            if (g.seq + g.len > furthest) furthest = g.seq + g.len;
        }
        in_ack(s, 1);
    }
    assert_true(furthest <= 65536);
    script_delete(s);
}

static void random_sack_blocks_keep_the_scoreboard_consistent(void **state) {
    (void)state;
    struct script *s = accept_target();
    struct rng r = test_rng();
    push(s, 200000);
    drain(s);
    for (uint32_t i = 0; i < 20000; i++) {
        struct seg g = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 65535};
        for (; g.options.sack_count < 4; g.options.sack_count++) {
            uint32_t from = s->iss + (uint32_t)rng_below(&r, 20000);
            g.options.sack[g.options.sack_count] = (struct tcp_range){from, from + (uint32_t)rng_below(&r, 3000)};
        }
        in(s, g);
        drain(s);
        if (i % 100 == 0) {
            assert_null(tcp_check(s->conn));
            pass(s, MS);
        }
    }
    assert_true(tcp_unacked(s->conn) == 200000);
    script_delete(s);
}

/* Memory stays in proportion to the window for segments of one byte, in order or not. */
static void tiny_segments_use_bounded_memory(void **state) {
    (void)state;
    for (uint32_t step = 1; step <= 2; step++) { /* with step 2 every second byte is missing */
        struct script *s = accept_target();
        for (uint32_t i = 1; i < 65000; i += step) {
            in_data(s, i + step - 1, 1, 1);
            drain(s);
        }
        assert_true(heap_used() < 16u << 20);
        assert_null(tcp_check(s->conn));
        script_delete(s);
    }
}

static void small_mss_is_raised_to_the_minimum(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, (struct tcp_options){.mss = 1, .sack_permitted = true});
    push(s, 10000);
    uint32_t full = out(s).len;
    assert_true(full >= 48 && full <= 64);
    script_delete(s);
}

static void peer_that_never_reads_pins_at_most_the_send_limit(void **state) {
    (void)state;
    struct script *s = accept_target();
    uint32_t taken = 0;
    s->window = 0;
    in_ack(s, 1);
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_SEND_LIMIT, 1u << 20, s->w->now), 0);
    while (push(s, 10000) == 0 && taken < 1000)
        taken++;
    assert_true(taken <= 104);
    for (uint32_t i = 0; i < 1000; i++) { /* the peer answers each window probe */
        pass(s, 10 * SEC);
        if (drain(s) > 0) in_ack(s, 1);
    }
    assert_unaffected(s);
    assert_true(heap_used() < 4u << 20);
    script_delete(s);
}

static void forged_icmp_errors_do_not_end_a_connection(void **state) {
    (void)state;
    struct script *s = accept_target();
    push(s, 1000);
    drain(s);
    for (uint32_t type = 3; type <= 12; type++)
        for (uint32_t code = 0; code < 16; code++)
            for (uint32_t seq = 1u - 3; seq != 1 + 1004; seq++) {
                uint8_t p[128] = {0}, *icmp = p + ETH_HEADER_BYTES + IP4_HEADER_BYTES,
                        *quote = icmp + ICMP_HEADER_BYTES;
                uint32_t bytes = ICMP_HEADER_BYTES + IP4_HEADER_BYTES + ICMP_QUOTE_MIN;
                struct ip4_header h = {
                    .from = IP(10, 0, 0, 1), .to = IP(10, 0, 0, 2), .ttl = 60, .protocol = IP_TCP, .total_bytes = 1040};
                uint32_t len = frame_ip4(p, IP_ICMP, bytes);
                icmp_emit(icmp, (uint8_t)type, (uint8_t)code);
                ip4_emit(quote, &h);
                wire_put16(quote + IP4_HEADER_BYTES, s->port);
                wire_put16(quote + IP4_HEADER_BYTES + 2, s->peer_port);
                wire_put32(quote + IP4_HEADER_BYTES + 4, s->iss + seq);
                wire_store16(icmp + 2, csum_finish(csum_add(0, icmp, bytes)));
                host_receive(s->h, p, len);
                drain(s);
            }
    assert_unaffected(s);
    script_delete(s);
}

static void data_after_the_fin_is_discarded(void **state) {
    (void)state;
    struct script *s = accept_target();
    in_data(s, 301, 100, 1);
    in(s, (struct seg){.flags = TCP_ACK | TCP_FIN, .seq = 101, .len = 100, .ack = 1, .window = 65535});
    in_data(s, 1, 100, 1);
    drain(s);
    assert_int_equal(pop(s), 200);
    assert_int_equal(pop(s), -1);
    assert_int_equal(heap_used(), 0);
    assert_null(tcp_check(s->conn));
    script_delete(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syn_flood_uses_bounded_memory_and_honest_clients_connect),
        cmocka_unit_test(forged_final_acks_of_the_handshake_make_no_connection),
        cmocka_unit_test(cookie_is_refused_while_none_is_outstanding),
        cmocka_unit_test(cookie_timestamp_is_not_in_the_future_and_encodes_the_options),
        cmocka_unit_test(options_forged_in_a_cookie_timestamp_are_bounded),
        cmocka_unit_test(blind_reset_needs_the_exact_next_sequence_number),
        cmocka_unit_test(blind_syn_never_resets_the_connection),
        cmocka_unit_test(blind_data_needs_an_acceptable_acknowledgement_number),
        cmocka_unit_test(challenge_acks_to_forged_segments_are_rate_limited),
        cmocka_unit_test(ack_storm_is_rate_limited),
        cmocka_unit_test(optimistic_acks_do_not_open_the_congestion_window),
        cmocka_unit_test(spoofed_duplicate_acks_do_not_exceed_the_send_window),
        cmocka_unit_test(random_sack_blocks_keep_the_scoreboard_consistent),
        cmocka_unit_test(tiny_segments_use_bounded_memory),
        cmocka_unit_test(small_mss_is_raised_to_the_minimum),
        cmocka_unit_test(peer_that_never_reads_pins_at_most_the_send_limit),
        cmocka_unit_test(forged_icmp_errors_do_not_end_a_connection),
        cmocka_unit_test(data_after_the_fin_is_discarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
