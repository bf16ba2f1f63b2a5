/* SPDX-License-Identifier: MIT */
/* Ethernet and ARP: replies, the neighbour cache, packets queued for a neighbour, conflicts, malformed frames. */
#include "inet/tcp/tcp.h"
#include "inet/udp/udp.h"
#include "wire.h"

#define CONNECTS 50u

static uint32_t write_arp_frame(uint8_t *p, const uint8_t *to, const struct arp_packet *a) {
    eth_emit(p, to, a->sender_mac, ETH_TYPE_ARP);
    arp_emit(p + ETH_HEADER_BYTES, a);
    return ETH_HEADER_BYTES + ARP_BYTES;
}

static struct arp_packet peer_arp(uint16_t operation) {
    struct arp_packet a = {.operation = operation, .sender_ip = IP(10, 0, 0, 2), .target_ip = IP(10, 0, 0, 1)};
    memcpy(a.sender_mac, mac_of[1], INET_MAC_BYTES);
    return a;
}

static void receive_arp(struct host *h, const struct arp_packet *a) {
    uint8_t frame[64];
    host_receive(h, frame, write_arp_frame(frame, mac_all, a));
}

/* Receives an echo request from `from`. The stack must resolve that address before it can reply. */
static void receive_echo_from(struct host *h, uint32_t from, uint16_t sequence) {
    uint8_t p[64] = {0}, *icmp = p + 34;
    uint32_t len = frame_ip4(p, IP_ICMP, 8);
    wire_store32(p + 26, from);
    wire_store16(p + 24, 0);
    wire_store16(p + 24, csum_finish(csum_add(0, p + 14, 20)));
    icmp_emit(icmp, ICMP_ECHO_REQUEST, 0);
    wire_put16(icmp + 6, sequence);
    wire_store16(icmp + 2, csum_finish(csum_add(0, icmp, 8)));
    host_receive(h, p, len);
}

static void receive_echo(struct host *h, uint16_t sequence) {
    receive_echo_from(h, IP(10, 0, 0, 2), sequence);
}

static struct arp_packet expect_arp(struct host *h, uint16_t operation, const uint8_t *to) {
    struct arp_packet a = {0};
    struct eth_header eth = {0};
    const struct wire_frame *f = host_sent(h);
    assert_non_null(f);
    assert_true(eth_parse(&eth, f->bytes, f->len));
    assert_int_equal(eth.type, ETH_TYPE_ARP);
    assert_memory_equal(eth.to, to, INET_MAC_BYTES);
    assert_true(arp_parse(&a, f->bytes + ETH_HEADER_BYTES, f->len - ETH_HEADER_BYTES));
    assert_int_equal(a.operation, operation);
    return a;
}

static void expect_echo_reply(struct host *h, uint16_t sequence) {
    const struct wire_frame *f = host_sent(h);
    assert_non_null(f);
    assert_int_equal(wire_get16(f->bytes + 12), ETH_TYPE_IP4);
    assert_int_equal(f->bytes[34], ICMP_ECHO_REPLY);
    assert_int_equal(wire_get16(f->bytes + 40), sequence);
}

static struct wire *start_single_host(void) {
    struct wire *w = wire_new(1);
    host_start(w, 0);
    return w;
}

static void request_for_our_address_is_answered_with_unicast(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    struct arp_packet a = peer_arp(ARP_REQUEST);
    receive_arp(&w->hosts[0], &a);
    a = expect_arp(&w->hosts[0], ARP_REPLY, mac_of[1]);
    assert_memory_equal(a.sender_mac, mac_of[0], INET_MAC_BYTES);
    assert_int_equal(a.sender_ip, IP(10, 0, 0, 1));
    assert_int_equal(a.target_ip, IP(10, 0, 0, 2));
    wire_delete(w);
}

static void request_for_another_address_is_not_answered(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    struct arp_packet a = peer_arp(ARP_REQUEST);
    a.target_ip = IP(10, 0, 0, 7);
    receive_arp(&w->hosts[0], &a);
    host_expect_silence(&w->hosts[0]);
    assert_int_equal(counted(&w->hosts[0], arp_not_for_us), 1);
    wire_delete(w);
}

static void probe_is_answered_without_creating_an_entry(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    struct arp_packet a = peer_arp(ARP_REQUEST);
    a.sender_ip = 0;
    receive_arp(&w->hosts[0], &a);
    expect_arp(&w->hosts[0], ARP_REPLY, mac_of[1]);
    assert_int_equal(inet_next_ns(w->hosts[0].stack), UINT64_MAX);
    wire_delete(w);
}

static void malformed_and_off_link_packets_are_counted(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    struct host *h = &w->hosts[0];
    uint8_t frame[64];
    struct arp_packet a = peer_arp(ARP_REQUEST);
    uint32_t len = write_arp_frame(frame, mac_all, &a);
    for (uint32_t cut = ETH_HEADER_BYTES; cut < len; cut++)
        host_receive(h, frame, cut);
    assert_int_equal(counted(h, arp_bad), ARP_BYTES);
    frame[ETH_HEADER_BYTES + 4] = 8; /* hardware address length */
    host_receive(h, frame, len);
    a.sender_mac[0] = 3;
    receive_arp(h, &a); /* the Ethernet source address is refused, too */
    assert_int_equal(counted(h, eth_bad_source), 1);
    a = peer_arp(ARP_REQUEST);
    a.sender_ip = IP(192, 168, 0, 1);
    receive_arp(h, &a);
    assert_int_equal(counted(h, arp_off_link), 1);
    for (uint32_t cut = 0; cut < ETH_HEADER_BYTES; cut++)
        host_receive(h, frame, cut + 1 < ETH_HEADER_BYTES ? cut + 1 : cut);
    assert_int_equal(counted(h, eth_short), ETH_HEADER_BYTES);
    host_expect_silence(h);
    wire_delete(w);
}

static void frame_for_another_mac_is_not_processed(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    uint8_t frame[64];
    struct arp_packet a = peer_arp(ARP_REQUEST);
    uint32_t len = write_arp_frame(frame, mac_of[1], &a);
    host_receive(&w->hosts[0], frame, len);
    assert_int_equal(counted(&w->hosts[0], eth_other_host), 1);
    host_expect_silence(&w->hosts[0]);
    wire_delete(w);
}

static void unsolicited_reply_updates_an_entry_but_creates_none(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    struct host *h = &w->hosts[0];
    struct arp_packet a = peer_arp(ARP_REPLY);
    receive_arp(h, &a);
    assert_int_equal(inet_next_ns(h->stack), UINT64_MAX);
    a.operation = ARP_REQUEST;
    receive_arp(h, &a);
    expect_arp(h, ARP_REPLY, mac_of[1]);
    /* the peer announces a new MAC address */
    a = peer_arp(ARP_REPLY);
    a.sender_mac[5] = 9;
    receive_arp(h, &a);
    receive_echo(h, 1);
    const struct wire_frame *f = host_sent(h);
    assert_non_null(f);
    assert_int_equal(f->bytes[5], 9);
    wire_delete(w);
}

static void packets_are_queued_until_the_reply_and_the_oldest_is_dropped(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct host *h = &w->hosts[0];
    h->config.limits.neighbour_queue = 4096;
    host_start(w, 0);
    for (uint16_t i = 1; i <= 5; i++)
        receive_echo(h, i);
    expect_arp(h, ARP_REQUEST, mac_all); /* one request for all queued packets */
    host_expect_silence(h);
    assert_int_equal(counted(h, neighbour_queue_limit), 0);
    uint16_t last = 5;
    while (counted(h, neighbour_queue_limit) < 2 && last < 100)
        receive_echo(h, ++last);
    assert_int_equal(counted(h, neighbour_queue_limit), 2);
    struct arp_packet a = peer_arp(ARP_REPLY);
    receive_arp(h, &a);
    for (uint16_t i = 3; i <= last; i++)
        expect_echo_reply(h, i);
    host_expect_silence(h);
    wire_delete(w);
}

/* Begins CONNECTS connections to an unresolved neighbour and expects one ARP request. */
static void connect_many(struct host *h, struct tcp_conn **c) {
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, 2)), 80};
    for (uint32_t i = 0; i < CONNECTS; i++)
        assert_int_equal(tcp_connect(h->stack, &c[i], &to, NULL, NULL, NULL, h->wire->now), 0);
    expect_arp(h, ARP_REQUEST, mac_all);
    host_expect_silence(h);
}

/* The neighbour replies. Each connection must send one SYN within 50 ms. */
static void expect_every_syn(struct host *h, struct tcp_conn **c) {
    const struct wire_frame *f;
    bool came[CONNECTS] = {false};
    struct arp_packet a = peer_arp(ARP_REPLY);
    receive_arp(h, &a);
    wire_run(h->wire, h->wire->now + 50 * MS);
    while ((f = host_sent(h))) {
        uint32_t i = 0;
        assert_int_equal(wire_get16(f->bytes + 12), ETH_TYPE_IP4);
        while (i < CONNECTS && tcp_local(c[i]).port != wire_get16(f->bytes + 34))
            i++;
        assert_true(i < CONNECTS && !came[i]);
        came[i] = true;
    }
    for (uint32_t i = 0; i < CONNECTS; i++) {
        assert_true(came[i]);
        tcp_abort(c[i], h->wire->now);
    }
}

static void many_connections_share_one_arp_request(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    struct tcp_conn *c[CONNECTS];
    connect_many(&w->hosts[0], c);
    expect_every_syn(&w->hosts[0], c);
    wire_delete(w);
}

static void connections_dropped_from_a_full_queue_send_their_syn_after_the_reply(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct host *h = &w->hosts[0];
    struct tcp_conn *c[CONNECTS];
    h->config.limits.neighbour_queue = 4096;
    host_start(w, 0);
    connect_many(h, c);
    wire_run(w, w->now + 100 * MS);
    host_expect_silence(h);
    assert_true(counted(h, neighbour_queue_limit) > 0);
    expect_every_syn(h, c);
    wire_delete(w);
}

static void packets_queued_for_a_neighbour_are_sent_again_after_the_device_refuses_them(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    struct host *h = &w->hosts[0];
    struct tcp_conn *c[CONNECTS];
    connect_many(h, c);
    h->refuse = 5;
    expect_every_syn(h, c);
    assert_int_equal(counted(h, transmit_refused), 5);
    wire_delete(w);
}

static void queued_replies_use_at_most_half_of_the_neighbour_memory(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct host *h = &w->hosts[0];
    h->config.limits.neighbour_memory = 16384;
    host_start(w, 0);
    for (uint16_t i = 0; i < 200; i++)
        receive_echo_from(h, IP(10, 0, 0, 3 + i % 4), i);
    assert_true(counted(h, neighbour_queue_limit) > 100);
    while (host_sent(h))
        continue;
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, 2)), 80};
    struct tcp_conn *c;
    uint64_t dropped = counted(h, neighbour_queue_limit);
    assert_int_equal(tcp_connect(h->stack, &c, &to, NULL, NULL, NULL, w->now), 0);
    assert_int_equal(counted(h, neighbour_queue_limit), dropped);
    expect_arp(h, ARP_REQUEST, mac_all);
    struct arp_packet a = peer_arp(ARP_REPLY);
    receive_arp(h, &a);
    assert_non_null(host_sent(h));
    tcp_abort(c, w->now);
    wire_run(w, w->now + 10 * SEC); /* no ARP replies for the other addresses */
    while (host_sent(h))
        continue;
    assert_int_equal(inet_waiting(h->stack), 0);
    wire_delete(w);
}

static void arp_requests_caused_by_received_packets_are_rate_limited(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct host *h = &w->hosts[0];
    h->config.addrs[0].bits = 8;
    host_start(w, 0);
    for (uint32_t i = 0; i < 4000; i++) { /* from forged addresses, in one second */
        receive_echo_from(h, IP(10, 9, i / 200, 1 + i % 200), 1);
        w->now += SEC / 4000;
    }
    assert_uint_in_range(counted(h, arp_requests_out), 64, 512);
    assert_int_equal(counted(h, arp_requests_out) + counted(h, arp_rate_limit), 4000);
    while (host_sent(h))
        continue;
    /* connections of our own application are not limited */
    struct tcp_conn *c[20];
    for (uint32_t i = 0; i < 20; i++) {
        struct inet_endpoint to = {inet_addr_ip4(IP(10, 8, 0, 1 + i)), 80};
        assert_int_equal(tcp_connect(h->stack, &c[i], &to, NULL, NULL, NULL, w->now), 0);
        expect_arp(h, ARP_REQUEST, mac_all);
    }
    for (uint32_t i = 0; i < 20; i++)
        tcp_abort(c[i], w->now);
    wire_delete(w);
}

static void request_is_repeated_each_second_and_fails_after_three(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    struct host *h = &w->hosts[0];
    receive_echo(h, 1);
    uint64_t start = w->now;
    for (uint32_t i = 0; i < 3; i++) {
        wire_run(w, start + i * SEC + SEC / 2);
        expect_arp(h, ARP_REQUEST, mac_all);
        host_expect_silence(h);
    }
    wire_run(w, start + 4 * SEC);
    host_expect_silence(h);
    assert_int_equal(counted(h, neighbour_failed), 1);
    assert_int_equal(inet_next_ns(h->stack), UINT64_MAX);
    wire_delete(w);
}

static void used_neighbour_is_verified_with_unicast_before_it_expires(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    struct host *h = &w->hosts[0];
    struct arp_packet a = peer_arp(ARP_REQUEST);
    receive_arp(h, &a);
    expect_arp(h, ARP_REPLY, mac_of[1]);
    receive_echo(h, 1);
    expect_echo_reply(h, 1);
    for (uint32_t i = 0; i < 46 && h->frame_count == 0; i++)
        wire_run(w, w->now + SEC);
    expect_arp(h, ARP_REQUEST, mac_of[1]);
    receive_echo(h, 2); /* the entry stays usable while it is being verified */
    const struct wire_frame *f;
    bool replied = false;
    while ((f = host_sent(h)))
        replied |= wire_get16(f->bytes + 12) == ETH_TYPE_IP4;
    assert_true(replied);
    /* without a reply the stack broadcasts the request, then removes the entry */
    wire_run(w, w->now + 10 * SEC);
    bool broadcast = false;
    while ((f = host_sent(h)))
        broadcast |= memcmp(f->bytes, mac_all, INET_MAC_BYTES) == 0;
    assert_true(broadcast);
    assert_int_equal(inet_next_ns(h->stack), UINT64_MAX);
    /* the next packet is queued and resolves the neighbour again */
    receive_echo(h, 3);
    expect_arp(h, ARP_REQUEST, mac_all);
    a.operation = ARP_REPLY;
    receive_arp(h, &a);
    expect_echo_reply(h, 3);
    wire_delete(w);
}

static void unused_neighbour_expires_without_a_request(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    struct arp_packet a = peer_arp(ARP_REQUEST);
    receive_arp(&w->hosts[0], &a);
    expect_arp(&w->hosts[0], ARP_REPLY, mac_of[1]);
    wire_run(w, w->now + 60 * SEC);
    host_expect_silence(&w->hosts[0]);
    assert_int_equal(inet_next_ns(w->hosts[0].stack), UINT64_MAX);
    wire_delete(w);
}

static void static_neighbour_is_never_verified_or_overwritten(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct host *h = &w->hosts[0];
    struct arp_packet a = peer_arp(ARP_REPLY);
    a.sender_mac[5] = 9;
    receive_arp(h, &a);
    wire_run(w, w->now + 100 * SEC);
    receive_echo(h, 1);
    const struct wire_frame *f = host_sent(h);
    assert_memory_equal(f->bytes, mac_of[1], INET_MAC_BYTES);
    wire_delete(w);
}

static void neighbour_cache_is_bounded(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct host *h = &w->hosts[0];
    h->config.limits.neighbours = 8;
    host_start(w, 0);
    for (uint8_t i = 10; i < 110; i++) {
        struct arp_packet a = peer_arp(ARP_REQUEST);
        a.sender_ip = IP(10, 0, 0, i);
        receive_arp(h, &a);
        expect_arp(h, ARP_REPLY, mac_of[1]);
    }
    assert_int_equal(counted(h, neighbour_limit), 92);
    wire_delete(w);
}

static void conflict_is_counted_and_defended_once_in_ten_seconds(void **state) {
    (void)state;
    struct wire *w = start_single_host();
    struct host *h = &w->hosts[0];
    struct arp_packet a = peer_arp(ARP_REQUEST);
    a.sender_ip = IP(10, 0, 0, 1);
    for (uint32_t i = 0; i < 5; i++)
        receive_arp(h, &a);
    struct arp_packet defence = expect_arp(h, ARP_REQUEST, mac_all);
    assert_int_equal(defence.sender_ip, defence.target_ip);
    host_expect_silence(h);
    assert_int_equal(counted(h, arp_conflicts), 5);
    w->now += 11 * SEC;
    receive_arp(h, &a);
    expect_arp(h, ARP_REQUEST, mac_all);
    wire_delete(w);
}

static void addresses_are_announced_twice_if_configured(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    w->hosts[0].config.announce = true;
    host_start(w, 0);
    wire_run(w, w->now + 10 * SEC);
    for (uint32_t i = 0; i < 2; i++) {
        struct arp_packet a = expect_arp(&w->hosts[0], ARP_REQUEST, mac_all);
        assert_int_equal(a.sender_ip, IP(10, 0, 0, 1));
        assert_int_equal(a.target_ip, IP(10, 0, 0, 1));
    }
    host_expect_silence(&w->hosts[0]);
    wire_delete(w);
}

/* The conflicts that the stack has reported. */
static struct {
    uint32_t count;
    uint32_t ip;
    uint8_t mac[INET_MAC_BYTES];
    bool probing;
} last_conflict;

static void record_conflict(void *ctx, const struct inet_addr *addr, const uint8_t *mac, bool probing) {
    (void)ctx;
    last_conflict.count++;
    last_conflict.ip = inet_addr_to_ip4(addr);
    memcpy(last_conflict.mac, mac, INET_MAC_BYTES);
    last_conflict.probing = probing;
}

/* Starts a host that probes for 10.0.0.1, or for 10.0.0.1 and 10.0.0.9. */
static struct wire *start_probing_host(uint32_t addresses) {
    struct wire *w = wire_new(1);
    memset(&last_conflict, 0, sizeof last_conflict);
    w->hosts[0].config.probe = true;
    w->hosts[0].config.conflict = record_conflict;
    if (addresses == 2) w->hosts[0].config.addrs[1] = (struct inet_prefix){inet_addr_ip4(IP(10, 0, 0, 9)), 24};
    w->hosts[0].config.addr_count = addresses;
    host_start(w, 0);
    return w;
}

/* Expects a probe for `ip` as the host's next request. Returns the time at which the host sent it. */
static uint64_t expect_probe(struct wire *w, uint32_t ip) {
    struct host *h = &w->hosts[0];
    for (uint64_t end = w->now + 3 * SEC; h->frame_count == 0 && w->now < end;)
        wire_run(w, w->now + MS);
    struct arp_packet a = expect_arp(h, ARP_REQUEST, mac_all);
    assert_int_equal(a.sender_ip, 0);
    assert_int_equal(a.target_ip, ip);
    assert_memory_equal(a.sender_mac, mac_of[0], INET_MAC_BYTES);
    return w->now;
}

static void stack_sends_three_probes_and_replies_meanwhile(void **state) {
    (void)state;
    struct wire *w = start_probing_host(1);
    uint64_t start = w->now, at[3];
    struct arp_packet a = peer_arp(ARP_REQUEST);
    receive_arp(&w->hosts[0], &a);
    expect_arp(&w->hosts[0], ARP_REPLY, mac_of[1]); /* without waiting for the probes */
    for (uint32_t i = 0; i < 3; i++)
        at[i] = expect_probe(w, IP(10, 0, 0, 1));
    assert_uint_in_range(at[0] - start, 0, SEC + MS);
    for (uint32_t i = 1; i < 3; i++)
        assert_uint_in_range(at[i] - at[i - 1], SEC - MS, 2 * SEC + MS);
    wire_run(w, w->now + 10 * SEC);
    host_expect_silence(&w->hosts[0]);
    assert_int_equal(last_conflict.count, 0);
    wire_delete(w);
}

static void reply_to_a_probe_is_reported_as_one_conflict_and_not_defended(void **state) {
    (void)state;
    struct wire *w = start_probing_host(1);
    struct host *h = &w->hosts[0];
    struct arp_packet a = peer_arp(ARP_REPLY);
    expect_probe(w, IP(10, 0, 0, 1));
    a.sender_ip = IP(10, 0, 0, 1);
    a.target_ip = 0;
    for (uint32_t i = 0; i < 3; i++)
        receive_arp(h, &a);
    assert_int_equal(last_conflict.count, 1);
    assert_true(last_conflict.probing);
    assert_int_equal(last_conflict.ip, IP(10, 0, 0, 1));
    assert_memory_equal(last_conflict.mac, mac_of[1], INET_MAC_BYTES);
    assert_int_equal(counted(h, arp_conflicts), 3);
    wire_run(w, w->now + 20 * SEC);
    host_expect_silence(h); /* the other host had the address first: no more probes, no defence */
    receive_arp(h, &a);
    host_expect_silence(h);
    assert_int_equal(last_conflict.count, 2); /* the conflict persists and is reported again */
    assert_false(last_conflict.probing);
    a = peer_arp(ARP_REQUEST);
    receive_arp(h, &a);
    expect_arp(h, ARP_REPLY, mac_of[1]); /* the stack keeps using the address */
    wire_delete(w);
}

static void probe_from_another_host_during_our_probes_is_a_conflict(void **state) {
    (void)state;
    struct wire *w = start_probing_host(1);
    struct host *h = &w->hosts[0];
    struct arp_packet a = peer_arp(ARP_REQUEST);
    a.sender_ip = 0;
    receive_arp(h, &a);
    expect_arp(h, ARP_REPLY, mac_of[1]);
    assert_int_equal(last_conflict.count, 1);
    assert_true(last_conflict.probing);
    memcpy(a.sender_mac, mac_of[0], INET_MAC_BYTES); /* our own probe, which the link has looped back */
    receive_arp(h, &a);
    assert_int_equal(last_conflict.count, 1);
    wire_delete(w);
    w = start_probing_host(1);
    wire_run(w, w->now + 10 * SEC);
    while (host_sent(&w->hosts[0]))
        continue;
    a = peer_arp(ARP_REQUEST);
    a.sender_ip = 0;
    receive_arp(&w->hosts[0], &a); /* after our probes, a probe of another host is a request, which is answered */
    expect_arp(&w->hosts[0], ARP_REPLY, mac_of[1]);
    assert_int_equal(last_conflict.count, 0);
    wire_delete(w);
}

static void conflict_stops_the_probes_of_that_address_only(void **state) {
    (void)state;
    struct wire *w = start_probing_host(2);
    struct host *h = &w->hosts[0];
    struct arp_packet a = peer_arp(ARP_REPLY);
    expect_probe(w, IP(10, 0, 0, 1));
    expect_probe(w, IP(10, 0, 0, 9));
    a.sender_ip = IP(10, 0, 0, 9);
    receive_arp(h, &a);
    assert_int_equal(last_conflict.ip, IP(10, 0, 0, 9));
    expect_probe(w, IP(10, 0, 0, 1));
    expect_probe(w, IP(10, 0, 0, 1));
    wire_run(w, w->now + 10 * SEC);
    host_expect_silence(h);
    a.sender_ip = IP(10, 0, 0, 1); /* its probes are over, so the stack defends it */
    receive_arp(h, &a);
    struct arp_packet defence = expect_arp(h, ARP_REQUEST, mac_all);
    assert_int_equal(defence.sender_ip, IP(10, 0, 0, 1));
    assert_int_equal(last_conflict.count, 2);
    assert_false(last_conflict.probing);
    wire_delete(w);
}

static void later_conflict_is_reported_once_in_ten_seconds(void **state) {
    (void)state;
    struct wire *w = start_probing_host(1);
    struct host *h = &w->hosts[0];
    struct arp_packet a = peer_arp(ARP_REQUEST);
    wire_run(w, w->now + 10 * SEC);
    while (host_sent(h))
        continue;
    a.sender_ip = IP(10, 0, 0, 1);
    for (uint32_t i = 0; i < 5; i++)
        receive_arp(h, &a);
    assert_int_equal(last_conflict.count, 1);
    assert_false(last_conflict.probing);
    expect_arp(h, ARP_REQUEST, mac_all);
    host_expect_silence(h);
    w->now += 11 * SEC;
    receive_arp(h, &a);
    assert_int_equal(last_conflict.count, 2);
    wire_delete(w);
}

static void conflict_stops_the_announcements(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct host *h = &w->hosts[0];
    struct arp_packet a = peer_arp(ARP_REPLY);
    h->config.announce = h->config.probe = true;
    host_start(w, 0);
    wire_run(w, w->now + MS);
    assert_int_equal(expect_arp(h, ARP_REQUEST, mac_all).sender_ip, IP(10, 0, 0, 1));
    a.sender_ip = IP(10, 0, 0, 1);
    receive_arp(h, &a);
    wire_run(w, w->now + 10 * SEC);
    host_expect_silence(h);
    wire_delete(w);
}

static void invalid_configurations_are_refused(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct inet *s;
    struct inet_config c = w->hosts[0].config;
    c.mtu = INET_MTU_MIN - 1;
    assert_int_equal(inet_new(&s, &c, 0), -EINVAL);
    c = w->hosts[0].config;
    c.addrs[0].bits = 33;
    assert_int_equal(inet_new(&s, &c, 0), -EINVAL);
    c = w->hosts[0].config;
    c.addrs[0].addr = inet_addr_ip4(__builtin_bswap32(0xe0000001)); /* multicast */
    assert_int_equal(inet_new(&s, &c, 0), -EINVAL);
    c = w->hosts[0].config;
    c.transmit = NULL;
    assert_int_equal(inet_new(&s, &c, 0), -EINVAL);
    c = w->hosts[0].config;
    c.offloads = INET_OFFLOAD_TSO;
    assert_int_equal(inet_new(&s, &c, 0), -EINVAL);
    c = w->hosts[0].config;
    c.tso_frame_bytes = INET_HEADER_MAX - 1;
    assert_int_equal(inet_new(&s, &c, 0), -EINVAL);
    struct inet_static_neighbour many[3] = {{.addr = inet_addr_ip4(1)}, {.addr = inet_addr_ip4(2)}};
    c = w->hosts[0].config;
    c.limits.neighbours = 2;
    c.neighbours = many;
    c.neighbour_count = 3;
    assert_int_equal(inet_new(&s, &c, 0), -ENOMEM);
    wire_delete(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_for_our_address_is_answered_with_unicast),
        cmocka_unit_test(request_for_another_address_is_not_answered),
        cmocka_unit_test(probe_is_answered_without_creating_an_entry),
        cmocka_unit_test(malformed_and_off_link_packets_are_counted),
        cmocka_unit_test(frame_for_another_mac_is_not_processed),
        cmocka_unit_test(unsolicited_reply_updates_an_entry_but_creates_none),
        cmocka_unit_test(packets_are_queued_until_the_reply_and_the_oldest_is_dropped),
        cmocka_unit_test(many_connections_share_one_arp_request),
        cmocka_unit_test(connections_dropped_from_a_full_queue_send_their_syn_after_the_reply),
        cmocka_unit_test(packets_queued_for_a_neighbour_are_sent_again_after_the_device_refuses_them),
        cmocka_unit_test(queued_replies_use_at_most_half_of_the_neighbour_memory),
        cmocka_unit_test(arp_requests_caused_by_received_packets_are_rate_limited),
        cmocka_unit_test(request_is_repeated_each_second_and_fails_after_three),
        cmocka_unit_test(used_neighbour_is_verified_with_unicast_before_it_expires),
        cmocka_unit_test(unused_neighbour_expires_without_a_request),
        cmocka_unit_test(static_neighbour_is_never_verified_or_overwritten),
        cmocka_unit_test(neighbour_cache_is_bounded),
        cmocka_unit_test(conflict_is_counted_and_defended_once_in_ten_seconds),
        cmocka_unit_test(addresses_are_announced_twice_if_configured),
        cmocka_unit_test(stack_sends_three_probes_and_replies_meanwhile),
        cmocka_unit_test(reply_to_a_probe_is_reported_as_one_conflict_and_not_defended),
        cmocka_unit_test(probe_from_another_host_during_our_probes_is_a_conflict),
        cmocka_unit_test(conflict_stops_the_probes_of_that_address_only),
        cmocka_unit_test(later_conflict_is_reported_once_in_ten_seconds),
        cmocka_unit_test(conflict_stops_the_announcements),
        cmocka_unit_test(invalid_configurations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
