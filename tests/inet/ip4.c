/* SPDX-License-Identifier: MIT */
/* IPv4 and ICMP: validation, echo, errors, fragmentation and reassembly. */
#include "wire.h"

#include "inet/ip/ip4_fragment.h"

#define HEADERS (ETH_HEADER_BYTES + IP4_HEADER_BYTES)

/* Writes a frame with an echo request of `bytes` bytes after the ICMP header. Returns the frame's length. */
static uint32_t write_echo(uint8_t *p, uint32_t bytes) {
    uint8_t *icmp = p + HEADERS;
    uint32_t len = frame_ip4(p, IP_ICMP, ICMP_HEADER_BYTES + bytes);
    icmp_emit(icmp, ICMP_ECHO_REQUEST, 0);
    wire_put32(icmp + 4, 0x12345678);
    for (uint32_t i = 0; i < bytes; i++)
        icmp[ICMP_HEADER_BYTES + i] = (uint8_t)(i * 7 + i / 256);
    wire_store16(icmp + 2, csum_finish(csum_add(0, icmp, ICMP_HEADER_BYTES + bytes)));
    return len;
}

/* Recomputes the IP header checksum after a change. */
static void update_header_checksum(uint8_t *p) {
    uint32_t bytes = (p[ETH_HEADER_BYTES] & 15u) * 4;
    wire_store16(p + ETH_HEADER_BYTES + 10, 0);
    wire_store16(p + ETH_HEADER_BYTES + 10, csum_finish(csum_add(0, p + ETH_HEADER_BYTES, bytes)));
}

static void expect_echo_reply(struct host *h, uint32_t bytes) {
    static uint8_t whole[65536];
    uint32_t have = 0;
    for (bool more = true; more;) {
        const struct wire_frame *f = host_sent(h);
        struct ip4_header ip = {0};
        assert_non_null(f);
        assert_true(f->len <= ETH_HEADER_BYTES + h->config.mtu);
        assert_true(ip4_parse(&ip, f->bytes + ETH_HEADER_BYTES, f->len - ETH_HEADER_BYTES));
        assert_true(ip4_checksum_ok(f->bytes + ETH_HEADER_BYTES, IP4_HEADER_BYTES));
        assert_int_equal(ip.fragment_offset, have);
        memcpy(whole + have, f->bytes + HEADERS, ip.total_bytes - IP4_HEADER_BYTES);
        have += ip.total_bytes - IP4_HEADER_BYTES;
        more = ip.fragment_flags & IP4_MF;
    }
    assert_int_equal(have, ICMP_HEADER_BYTES + bytes);
    assert_int_equal(csum_fold(csum_add(0, whole, have)), 0xffff);
    assert_int_equal(whole[0], ICMP_ECHO_REPLY);
    assert_int_equal(wire_get32(whole + 4), 0x12345678);
    for (uint32_t i = 0; i < bytes; i++)
        assert_int_equal(whole[ICMP_HEADER_BYTES + i], (uint8_t)(i * 7 + i / 256));
}

static void echo_is_answered_after_a_long_idle_time(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    static uint8_t p[2048];
    for (uint32_t i = 0; i < 20; i++) {
        host_receive(&w->hosts[0], p, write_echo(p, i * 73 % 1400));
        expect_echo_reply(&w->hosts[0], i * 73 % 1400);
        wire_run(w, w->now + 100 * SEC);
    }
    wire_delete(w);
}

static void padding_after_the_packet_is_ignored(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    uint8_t p[128] = {0};
    write_echo(p, 3);
    host_receive(&w->hosts[0], p, 60);
    expect_echo_reply(&w->hosts[0], 3);
    wire_delete(w);
}

static void packet_truncated_at_any_byte_is_refused(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    uint8_t p[128];
    uint32_t len = write_echo(p, 20);
    for (uint32_t cut = 1; cut < len; cut++)
        host_receive(&w->hosts[0], p, cut);
    host_expect_silence(&w->hosts[0]);
    assert_int_equal(counted(&w->hosts[0], ip_bad_header), len - ETH_HEADER_BYTES);
    /* inconsistent lengths: total length below the header length, header length below 20 */
    wire_put16(p + ETH_HEADER_BYTES + 2, 19);
    host_receive(&w->hosts[0], p, len);
    p[ETH_HEADER_BYTES] = 0x44;
    host_receive(&w->hosts[0], p, len);
    /* the total length leaves no room for an ICMP header */
    for (uint16_t total = 20; total < 28; total++) {
        write_echo(p, 20);
        wire_put16(p + ETH_HEADER_BYTES + 2, total);
        update_header_checksum(p);
        host_receive(&w->hosts[0], p, len);
    }
    assert_int_equal(counted(&w->hosts[0], icmp_bad), 8);
    host_expect_silence(&w->hosts[0]);
    wire_delete(w);
}

static void packet_with_any_corrupted_byte_is_refused(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    uint8_t p[128];
    uint32_t len = write_echo(p, 20);
    for (uint32_t at = ETH_HEADER_BYTES; at < len; at++) {
        p[at] ^= 0x10;
        host_receive(&w->hosts[0], p, len);
        p[at] ^= 0x10;
    }
    host_expect_silence(&w->hosts[0]);
    wire_delete(w);
}

static void invalid_source_and_destination_addresses_are_refused(void **state) {
    (void)state;
    const struct {
        uint32_t from, to;
        enum inet_counter counter;
    } cases[] = {
        {IP(127, 0, 0, 1), IP(10, 0, 0, 1), INET_COUNTER_ip_bad_source},
        {IP(224, 0, 0, 1), IP(10, 0, 0, 1), INET_COUNTER_ip_bad_source},
        {IP(255, 255, 255, 255), IP(10, 0, 0, 1), INET_COUNTER_ip_bad_source},
        {IP(10, 0, 0, 255), IP(10, 0, 0, 1), INET_COUNTER_ip_bad_source},
        {IP(10, 0, 0, 1), IP(10, 0, 0, 1), INET_COUNTER_ip_bad_source},
        {0, IP(10, 0, 0, 1), INET_COUNTER_ip_bad_source},
        {IP(10, 0, 0, 2), IP(10, 0, 0, 3), INET_COUNTER_ip_other_host},
        {IP(10, 0, 0, 2), IP(127, 0, 0, 1), INET_COUNTER_ip_other_host},
        {IP(10, 0, 0, 2), IP(224, 0, 0, 1), INET_COUNTER_ip_other_host},
    };
    struct wire *w = wire_new_scripted();
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t p[128];
        uint32_t len = write_echo(p, 4);
        uint64_t before = host_counter(&w->hosts[0], cases[i].counter);
        wire_store32(p + ETH_HEADER_BYTES + 12, cases[i].from);
        wire_store32(p + ETH_HEADER_BYTES + 16, cases[i].to);
        update_header_checksum(p);
        host_receive(&w->hosts[0], p, len);
        assert_int_equal(host_counter(&w->hosts[0], cases[i].counter), before + 1);
    }
    host_expect_silence(&w->hosts[0]);
    wire_delete(w);
}

static void broadcast_is_not_answered(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    uint8_t p[128];
    uint32_t len = write_echo(p, 4);
    memcpy(p, mac_all, INET_MAC_BYTES);
    host_receive(&w->hosts[0], p, len); /* a unicast IP address in an Ethernet broadcast */
    assert_int_equal(counted(&w->hosts[0], ip_link_broadcast), 1);
    wire_store32(p + ETH_HEADER_BYTES + 16, IP(10, 0, 0, 255));
    update_header_checksum(p);
    host_receive(&w->hosts[0], p, len);
    p[ETH_HEADER_BYTES + 9] = 99; /* an unknown protocol in a broadcast causes no ICMP error */
    update_header_checksum(p);
    host_receive(&w->hosts[0], p, len);
    assert_int_equal(counted(&w->hosts[0], ip_unknown_protocol), 1);
    host_expect_silence(&w->hosts[0]);
    wire_delete(w);
}

/* Writes an echo request with IP options. Returns the frame's length. */
static uint32_t write_echo_with_options(uint8_t *p, const uint8_t *options, uint32_t bytes) {
    uint32_t len = write_echo(p, 4);
    memmove(p + HEADERS + bytes, p + HEADERS, len - HEADERS);
    memcpy(p + HEADERS, options, bytes);
    p[ETH_HEADER_BYTES] = (uint8_t)(0x45 + bytes / 4);
    wire_put16(p + ETH_HEADER_BYTES + 2, (uint16_t)(len - ETH_HEADER_BYTES + bytes));
    update_header_checksum(p);
    return len + bytes;
}

static void options_are_skipped_and_source_routes_are_refused(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct host *h = &w->hosts[0];
    uint8_t p[128];
    static const uint8_t good[][8] = {{1, 1, 1, 0}, {7, 7, 4, 0, 0, 0, 0, 0}, {222, 8}, {0, 131, 200, 1}};
    static const uint8_t bad[][8] = {{131, 7, 4}, {137, 7, 4}, {7, 0}, {7, 1}, {7, 9}, {1, 1, 1, 1, 1, 1, 1, 7}};
    for (uint32_t i = 0; i < sizeof good / sizeof *good; i++) {
        host_receive(h, p, write_echo_with_options(p, good[i], 8));
        expect_echo_reply(h, 4);
    }
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++)
        host_receive(h, p, write_echo_with_options(p, bad[i], 8));
    assert_int_equal(counted(h, ip_bad_options), sizeof bad / sizeof *bad);
    host_expect_silence(h);
    wire_delete(w);
}

static void unknown_protocol_causes_rate_limited_icmp_errors(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct host *h = &w->hosts[0];
    uint8_t p[1400] = {0};
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t len = frame_ip4(p, 99, 1000);
        host_receive(h, p, len);
    }
    const struct wire_frame *f;
    uint32_t errors = 0;
    while ((f = host_sent(h))) {
        assert_int_equal(f->len, ETH_HEADER_BYTES + 576);
        assert_int_equal(f->bytes[HEADERS], ICMP_UNREACHABLE);
        assert_int_equal(f->bytes[HEADERS + 1], ICMP_PROTOCOL_UNREACHABLE);
        assert_memory_equal(f->bytes + HEADERS + ICMP_HEADER_BYTES, p + ETH_HEADER_BYTES, 500);
        errors++;
    }
    assert_uint_in_range(errors, 1, 100);
    assert_int_equal(counted(h, icmp_rate_limit), 200 - errors);
    w->now += 2 * SEC;
    host_receive(h, p, frame_ip4(p, 99, 8));
    assert_non_null(host_sent(h));
    wire_delete(w);
}

static void icmp_error_does_not_cause_an_icmp_error(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct host *h = &w->hosts[0];
    uint8_t p[128] = {0};
    uint32_t len = frame_ip4(p, IP_ICMP, 36);
    struct ip4_header about = {.from = IP(10, 0, 0, 1), .to = IP(10, 0, 0, 2), .protocol = IP_UDP, .total_bytes = 500};
    icmp_emit(p + HEADERS, ICMP_UNREACHABLE, ICMP_PORT_UNREACHABLE);
    ip4_emit(p + HEADERS + ICMP_HEADER_BYTES, &about);
    wire_store16(p + HEADERS + 2, csum_finish(csum_add(0, p + HEADERS, 36)));
    host_receive(h, p, len);
    assert_int_equal(counted(h, icmp_unmatched), 1);
    host_expect_silence(h);
    wire_delete(w);
}

/* A quote needs the IP header and the eight bytes after it, which identify the flow. */
static void icmp_errors_with_a_short_quote_are_refused(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct host *h = &w->hosts[0];
    for (uint32_t quoted = 0; quoted <= IP4_HEADER_BYTES + 8; quoted++) {
        uint8_t p[128] = {0};
        uint32_t bytes = ICMP_HEADER_BYTES + quoted, len = frame_ip4(p, IP_ICMP, bytes);
        struct ip4_header about = {
            .from = IP(10, 0, 0, 1), .to = IP(10, 0, 0, 2), .protocol = IP_UDP, .total_bytes = 500};
        icmp_emit(p + HEADERS, ICMP_UNREACHABLE, ICMP_PORT_UNREACHABLE);
        ip4_emit(p + HEADERS + ICMP_HEADER_BYTES, &about);
        wire_store16(p + HEADERS + 2, csum_finish(csum_add(0, p + HEADERS, bytes)));
        host_receive(h, p, len);
    }
    assert_int_equal(counted(h, icmp_bad), IP4_HEADER_BYTES + 8);
    assert_int_equal(counted(h, icmp_unmatched), 1);
    wire_delete(w);
}

/* Receives the part [from, to) of the packet in `whole` as a fragment. */
static void receive_fragment(struct host *h, const uint8_t *whole, uint32_t from, uint32_t to, bool more, uint16_t id) {
    static uint8_t p[65536];
    uint32_t len = frame_ip4(p, whole[ETH_HEADER_BYTES + 9], to - from);
    memcpy(p + HEADERS, whole + HEADERS + from, to - from);
    wire_put16(p + ETH_HEADER_BYTES + 4, id);
    wire_put16(p + ETH_HEADER_BYTES + 6, (uint16_t)((more ? IP4_MF : 0) | from / 8));
    update_header_checksum(p);
    host_receive(h, p, len);
}

static void fragments_are_reassembled_in_any_order(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    static uint8_t p[65536];
    struct rng r = test_rng();
    for (uint16_t round = 0; round < 50; round++) {
        uint32_t bytes = (uint32_t)rng_below(&r, 20000), total = ICMP_HEADER_BYTES + bytes, n = (total + 799) / 800;
        uint32_t order[32];
        write_echo(p, bytes);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t k = (uint32_t)rng_below(&r, i + 1);
            order[i] = order[k];
            order[k] = i;
        }
        for (uint32_t i = 0; i < n; i++) {
            uint32_t from = order[i] * 800, to = from + 800 < total ? from + 800 : total;
            receive_fragment(&w->hosts[0], p, from, to, to < total, round);
            if (i + 1 < n) receive_fragment(&w->hosts[0], p, from, to, to < total, round); /* a duplicate */
        }
        expect_echo_reply(&w->hosts[0], bytes);
    }
    host_expect_silence(&w->hosts[0]);
    assert_int_equal(inet_next_ns(w->hosts[0].stack), UINT64_MAX);
    wire_delete(w);
}

static void largest_packet_is_answered_in_fragments(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    static uint8_t p[65536 + ETH_HEADER_BYTES];
    uint32_t total = 65535 - IP4_HEADER_BYTES;
    write_echo(p, total - ICMP_HEADER_BYTES);
    for (uint32_t from = 0; from < total; from += 1480)
        receive_fragment(&w->hosts[0], p, from, from + 1480 < total ? from + 1480 : total, from + 1480 < total, 7);
    expect_echo_reply(&w->hosts[0], total - ICMP_HEADER_BYTES);
    wire_delete(w);
}

static void overlapping_fragments_discard_the_packet(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct host *h = &w->hosts[0];
    uint8_t p[512];
    write_echo(p, 100);
    receive_fragment(h, p, 0, 48, true, 1);
    receive_fragment(h, p, 40, 108, false, 1);
    assert_int_equal(counted(h, ip_fragment_overlap), 1);
    receive_fragment(h, p, 48, 108, false, 2);
    receive_fragment(h, p, 0, 56, true, 2);
    assert_int_equal(counted(h, ip_fragment_overlap), 2);
    /* two last fragments that disagree on the end, and bytes beyond the end */
    receive_fragment(h, p, 48, 96, false, 3);
    receive_fragment(h, p, 96, 104, true, 3);
    receive_fragment(h, p, 96, 104, true, 4);
    receive_fragment(h, p, 48, 80, false, 4);
    receive_fragment(h, p, 8, 15, true, 5); /* the length is not a multiple of eight */
    assert_int_equal(counted(h, ip_fragment_bad), 3);
    host_expect_silence(h);
    wire_delete(w);
}

static void reassembly_timeout_sends_an_icmp_error_only_after_the_first_fragment(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct host *h = &w->hosts[0];
    uint8_t p[512];
    write_echo(p, 100);
    receive_fragment(h, p, 48, 108, false, 1);
    receive_fragment(h, p, 0, 48, true, 2);
    wire_run(w, w->now + 29 * SEC);
    host_expect_silence(h);
    wire_run(w, w->now + 2 * SEC);
    assert_int_equal(counted(h, ip_fragment_timeout), 2);
    const struct wire_frame *f = host_sent(h);
    assert_non_null(f);
    assert_int_equal(f->bytes[HEADERS], ICMP_TIME_EXCEEDED);
    assert_int_equal(f->bytes[HEADERS + 1], ICMP_REASSEMBLY_TIMEOUT);
    host_expect_silence(h);
    wire_delete(w);
}

static void incomplete_packets_use_bounded_memory(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct host *h = &w->hosts[0];
    h->config.limits.fragment_bytes = 100000;
    host_start(w, 0);
    uint8_t p[512];
    write_echo(p, 400);
    for (uint16_t i = 0; i < 1000; i++)
        receive_fragment(h, p, 0, 400, true, i);
    assert_true(counted(h, ip_fragment_limit) > 900);
    struct heap_stats stats;
    heap_get_stats(&stats);
    assert_true(stats.used_bytes < 200000);
    wire_delete(w);
}

static void a_packet_of_very_many_fragments_is_given_up(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct host *h = &w->hosts[0];
    uint8_t p[2048];
    uint32_t end = 0, bytes = write_echo(p, 1700) - HEADERS;
    for (; end < bytes / 8 * 8 && counted(h, ip_fragment_limit) == 0; end += 8)
        receive_fragment(h, p, end, end + 8, true, 1);
    assert_int_equal(end / 8, FRAGMENTS_MAX + 1);
    for (; end < bytes / 8 * 8; end += 8)
        receive_fragment(h, p, end, end + 8, true, 1);
    receive_fragment(h, p, end, bytes, false, 1);
    assert_int_equal(counted(h, ip_fragment_limit), 1);
    assert_int_equal(counted(h, ip_reassembled), 0);
    host_expect_silence(h);
    wire_delete(w);
}

static void frame_refused_by_the_device_counts_as_not_sent(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    uint8_t p[128];
    w->hosts[0].refuse = 1;
    host_receive(&w->hosts[0], p, write_echo(p, 4));
    assert_int_equal(counted(&w->hosts[0], transmit_refused), 1);
    assert_int_equal(counted(&w->hosts[0], transmit_dropped), 1);
    assert_int_equal(counted(&w->hosts[0], frames_out), 0);
    wire_delete(w);
}

static void packets_to_off_link_peers_go_to_the_gateway(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    host_start(w, 0);
    uint8_t p[128];
    uint32_t len = write_echo(p, 4);
    wire_store32(p + ETH_HEADER_BYTES + 12, IP(192, 0, 2, 1));
    update_header_checksum(p);
    host_receive(&w->hosts[0], p, len);
    struct arp_packet a = {0};
    const struct wire_frame *f = host_sent(&w->hosts[0]);
    assert_true(arp_parse(&a, f->bytes + ETH_HEADER_BYTES, f->len - ETH_HEADER_BYTES));
    assert_int_equal(a.target_ip, IP(10, 0, 0, 254));
    assert_int_equal(a.sender_ip, IP(10, 0, 0, 1));
    wire_delete(w);
}

static void random_frames_do_not_crash_the_stack(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct rng r = test_rng();
    static uint8_t p[4096];
    for (uint32_t i = 0; i < 50000; i++) {
        uint32_t len = write_echo(p, (uint32_t)rng_below(&r, 200));
        for (uint64_t changes = rng_below(&r, 6); changes > 0; changes--)
            p[ETH_HEADER_BYTES - 2 + rng_below(&r, 60)] = (uint8_t)rng_next(&r);
        if (rng_below(&r, 2)) update_header_checksum(p);
        host_receive(&w->hosts[0], p, 1 + (uint32_t)rng_below(&r, len + 60));
        while (host_sent(&w->hosts[0])) {
        }
        if (i % 64 == 0) wire_run(w, w->now + SEC);
    }
    wire_delete(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_is_answered_after_a_long_idle_time),
        cmocka_unit_test(padding_after_the_packet_is_ignored),
        cmocka_unit_test(packet_truncated_at_any_byte_is_refused),
        cmocka_unit_test(packet_with_any_corrupted_byte_is_refused),
        cmocka_unit_test(invalid_source_and_destination_addresses_are_refused),
        cmocka_unit_test(broadcast_is_not_answered),
        cmocka_unit_test(options_are_skipped_and_source_routes_are_refused),
        cmocka_unit_test(unknown_protocol_causes_rate_limited_icmp_errors),
        cmocka_unit_test(icmp_error_does_not_cause_an_icmp_error),
        cmocka_unit_test(icmp_errors_with_a_short_quote_are_refused),
        cmocka_unit_test(fragments_are_reassembled_in_any_order),
        cmocka_unit_test(largest_packet_is_answered_in_fragments),
        cmocka_unit_test(overlapping_fragments_discard_the_packet),
        cmocka_unit_test(reassembly_timeout_sends_an_icmp_error_only_after_the_first_fragment),
        cmocka_unit_test(incomplete_packets_use_bounded_memory),
        cmocka_unit_test(a_packet_of_very_many_fragments_is_given_up),
        cmocka_unit_test(frame_refused_by_the_device_counts_as_not_sent),
        cmocka_unit_test(packets_to_off_link_peers_go_to_the_gateway),
        cmocka_unit_test(random_frames_do_not_crash_the_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
