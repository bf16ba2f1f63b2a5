/* SPDX-License-Identifier: MIT */
/* Path MTU discovery: ICMP messages are validated, applied and forgotten again (RFC 1191, RFC 5927). */
#include "inet/ip/path.h"
#include "tcp_script.h"

#define HEADERS (ETH_HEADER_BYTES + IP4_HEADER_BYTES)

/* A router reports that it could not forward the packet of `packet_bytes` with relative sequence number `seq`. */
static void receive_fragmentation_needed(struct script *s, uint32_t seq, uint16_t packet_bytes, uint16_t mtu) {
    uint8_t p[128] = {0}, *icmp = p + HEADERS, *quote = icmp + ICMP_HEADER_BYTES;
    struct ip4_header h = {
        .from = IP(10, 0, 0, 1), .to = IP(10, 0, 0, 2), .protocol = IP_TCP, .ttl = 60, .total_bytes = packet_bytes};
    uint32_t bytes = ICMP_HEADER_BYTES + IP4_HEADER_BYTES + 8, len = frame_ip4(p, IP_ICMP, bytes);
    icmp_emit(icmp, ICMP_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED);
    wire_put16(icmp + 6, mtu);
    ip4_emit(quote, &h);
    wire_put16(quote + IP4_HEADER_BYTES, s->port);
    wire_put16(quote + IP4_HEADER_BYTES + 2, s->peer_port);
    wire_put32(quote + IP4_HEADER_BYTES + 4, s->iss + seq);
    wire_store16(icmp + 2, csum_finish(csum_add(0, icmp, bytes)));
    host_receive(s->h, p, len);
}

static struct script *connect_and_push(uint32_t bytes) {
    struct script *s = script_new();
    script_connect(s, (struct tcp_options){.mss = 1460, .sack_permitted = true});
    if (bytes > 0) assert_int_equal(push(s, bytes), 0);
    return s;
}

static void smaller_path_mtu_splits_and_retransmits_segments_immediately(void **state) {
    (void)state;
    struct script *s = connect_and_push(4380);
    struct tcp_status before, after;
    for (uint32_t i = 0; i < 3; i++)
        expect(s, TCP_ACK, 1 + i * 1460, 1460, 1);
    tcp_get_status(s->conn, &before);
    receive_fragmentation_needed(s, 1, 1500, 1000);
    for (uint32_t i = 0; i < 3; i++) {
        expect(s, TCP_ACK, 1 + i * 1460, 960, 1);
        expect(s, TCP_ACK, 961 + i * 1460, 500, 1);
    }
    expect_nothing(s);
    tcp_get_status(s->conn, &after);
    assert_int_equal(after.path_mtu, 1000);
    assert_int_equal(after.mss, 960);
    assert_int_equal(after.cwnd, before.cwnd); /* an MTU change is not a congestion signal */
    in_ack(s, 4381);
    assert_int_equal(tcp_unacked(s->conn), 0);
    assert_int_equal(push(s, 2000), 0);
    expect(s, TCP_ACK, 4381, 960, 1);
    script_delete(s);
}

static void split_keeps_sacked_segments_and_the_fin(void **state) {
    (void)state;
    struct script *s = connect_and_push(2920);
    assert_int_equal(tcp_shutdown(s->conn, s->w->now), 0);
    expect(s, TCP_ACK, 1, 1460, 1);
    expect(s, TCP_ACK, 1461, 1460, 1);
    expect(s, TCP_ACK | TCP_FIN, 2921, 0, 1);
    in(s, (struct seg){.flags = TCP_ACK,
                       .seq = 1,
                       .ack = 1,
                       .window = s->window,
                       .options = {.sack_count = 1, .sack = {{s->iss + 1461, s->iss + 2921}}}});
    drain(s);
    receive_fragmentation_needed(s, 1, 1500, 800);
    expect(s, TCP_ACK, 1, 760, 1);
    expect(s, TCP_ACK, 761, 700, 1);
    expect(s, TCP_ACK | TCP_FIN, 2921, 0, 1);
    expect_nothing(s);
    in_ack(s, 2922);
    assert_int_equal(tcp_unacked(s->conn), 0);
    script_delete(s);
}

static void invalid_mtu_reports_are_ignored(void **state) {
    (void)state;
    struct script *s = connect_and_push(1460);
    struct tcp_status status;
    expect(s, TCP_ACK, 1, 1460, 1);
    receive_fragmentation_needed(s, 1461, 1500,
                                 600); /* not in flight: the sender of the message does not see our segments */
    receive_fragmentation_needed(s, UINT32_MAX, 1500, 600); /* already acknowledged */
    receive_fragmentation_needed(s, 1, 1500, 1500);         /* not smaller than the current MTU */
    receive_fragmentation_needed(s, 1, 1500, 9000);
    expect_nothing(s);
    tcp_get_status(s->conn, &status);
    assert_int_equal(status.path_mtu, 1500);
    assert_int_equal(counted(s->h, icmp_unmatched), 2);
    receive_fragmentation_needed(s, 1, 1500, 68); /* below the minimum: routers may fragment from here on */
    for (uint32_t at = 0; at < 1460; at += 512) {
        const struct wire_frame *f = host_sent(s->h);
        struct ip4_header h = {0};
        assert_non_null(f);
        assert_true(ip4_parse(&h, f->bytes + ETH_HEADER_BYTES, f->len - ETH_HEADER_BYTES));
        assert_true(h.total_bytes <= 552);
        assert_int_equal(h.fragment_flags, 0);
    }
    receive_fragmentation_needed(s, 1, 552, 68);
    expect_nothing(s);
    assert_int_equal(counted(s->h, path_mtu_lowered), 1);
    script_delete(s);
}

static void mtu_report_without_a_value_uses_the_next_plateau(void **state) {
    (void)state;
    struct script *s = connect_and_push(1460);
    expect(s, TCP_ACK, 1, 1460, 1);
    receive_fragmentation_needed(s, 1, 1500, 0);
    expect(s, TCP_ACK, 1, 1452, 1); /* the next smaller plateau is 1492 */
    expect(s, TCP_ACK, 1453, 8, 1);
    receive_fragmentation_needed(s, 1, 1492, 0);
    expect(s, TCP_ACK, 1, 966, 1);
    script_delete(s);
}

static void larger_mtu_is_tried_again_after_ten_minutes(void **state) {
    (void)state;
    struct script *s = connect_and_push(1460);
    expect(s, TCP_ACK, 1, 1460, 1);
    receive_fragmentation_needed(s, 1, 1500, 1000);
    drain(s);
    in_ack(s, 1461);
    pass(s, 601 * SEC);
    assert_int_equal(push(s, 1460), 0);
    expect(s, TCP_ACK, 1461, 1460, 1);
    script_delete(s);
}

static void without_discovery_df_is_clear_and_mtu_reports_are_ignored(void **state) {
    (void)state;
    struct script *s = connect_and_push(0);
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_PMTU_DISCOVER, 0, s->w->now), 0);
    assert_int_equal(push(s, 1460), 0);
    const struct wire_frame *f = host_sent(s->h);
    struct ip4_header h = {0};
    assert_true(ip4_parse(&h, f->bytes + ETH_HEADER_BYTES, f->len - ETH_HEADER_BYTES));
    assert_int_equal(h.fragment_flags, 0);
    receive_fragmentation_needed(s, 1, 1500, 1000);
    expect_nothing(s);
    script_delete(s);
}

static void new_link_mtu_applies_to_new_segments(void **state) {
    (void)state;
    struct script *s = connect_and_push(1460);
    expect(s, TCP_ACK, 1, 1460, 1);
    assert_int_equal(inet_set_mtu(s->h->stack, INET_MTU_MIN - 1), -EINVAL);
    assert_int_equal(inet_set_mtu(s->h->stack, 600), 0);
    in_ack(s, 1461);
    assert_int_equal(push(s, 1460), 0);
    expect(s, TCP_ACK, 1461, 560, 1);
    script_delete(s);
}

static void segments_larger_than_the_new_link_mtu_are_split_and_retransmitted(void **state) {
    (void)state;
    struct script *s = connect_and_push(1460);
    expect(s, TCP_ACK, 1, 1460, 1);
    assert_int_equal(inet_set_mtu(s->h->stack, 600), 0);
    pass(s, 300 * MS);
    expect(s, TCP_ACK, 1121, 340, 1); /* the probe */
    pass(s, 300 * MS);
    expect(s, TCP_ACK, 1, 560, 1);
    in_ack(s, 561);
    expect(s, TCP_ACK, 561, 560, 1);
    expect(s, TCP_ACK, 1121, 340, 1);
    script_delete(s);
}

static void path_table_is_bounded(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct inet *stack = w->hosts[0].stack;
    bool fragment;
    for (uint32_t i = 0; i < PATHS_MAX + 76; i++) {
        struct inet_addr to = inet_addr_ip4(IP(10, 1, i >> 8, i));
        assert_true(path_learn(stack, &to, 1000, 1500));
        assert_int_equal(path_mtu(stack, &to, &fragment), 1000);
    }
    struct inet_addr first = inet_addr_ip4(IP(10, 1, 0, 0)), last = inet_addr_ip4(IP(10, 1, 4, 75));
    assert_int_equal(path_mtu(stack, &first, &fragment), 1500); /* the oldest entry was evicted */
    assert_int_equal(path_mtu(stack, &last, &fragment), 1000);
    wire_delete(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smaller_path_mtu_splits_and_retransmits_segments_immediately),
        cmocka_unit_test(split_keeps_sacked_segments_and_the_fin),
        cmocka_unit_test(invalid_mtu_reports_are_ignored),
        cmocka_unit_test(mtu_report_without_a_value_uses_the_next_plateau),
        cmocka_unit_test(larger_mtu_is_tried_again_after_ten_minutes),
        cmocka_unit_test(without_discovery_df_is_clear_and_mtu_reports_are_ignored),
        cmocka_unit_test(new_link_mtu_applies_to_new_segments),
        cmocka_unit_test(segments_larger_than_the_new_link_mtu_are_split_and_retransmitted),
        cmocka_unit_test(path_table_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
