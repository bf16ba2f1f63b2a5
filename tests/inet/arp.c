/* SPDX-License-Identifier: MIT */
/* Ethernet and ARP: what is answered, learnt, aged, queued and refused. */
#include "inet/tcp/tcp.h"
#include "inet/udp/udp.h"
#include "wire.h"

#define CONNECTS 50u

static uint32_t arp_frame(uint8_t *p, const uint8_t *to, const struct arp_packet *a) {
    eth_emit(p, to, a->sender_mac, ETH_TYPE_ARP);
    arp_emit(p + ETH_HEADER_BYTES, a);
    return ETH_HEADER_BYTES + ARP_BYTES;
}

static struct arp_packet arp_of_peer(uint16_t operation) {
    struct arp_packet a = {.operation = operation, .sender_ip = IP(10, 0, 0, 2), .target_ip = IP(10, 0, 0, 1)};
    memcpy(a.sender_mac, mac_of[1], INET_MAC_BYTES);
    return a;
}

static void receive_arp(struct host *h, const struct arp_packet *a) {
    uint8_t frame[64];
    host_receive(h, frame, arp_frame(frame, mac_all, a));
}

/* An echo request, whose reply needs the neighbour at `from`. */
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

static struct wire *alone(void) {
    struct wire *w = wire_new(1);
    host_start(w, 0);
    return w;
}

static void request_for_our_address_is_answered_to_the_asker(void **state) {
    (void)state;
    struct wire *w = alone();
    struct arp_packet a = arp_of_peer(ARP_REQUEST);
    receive_arp(&w->hosts[0], &a);
    a = expect_arp(&w->hosts[0], ARP_REPLY, mac_of[1]);
    assert_memory_equal(a.sender_mac, mac_of[0], INET_MAC_BYTES);
    assert_int_equal(a.sender_ip, IP(10, 0, 0, 1));
    assert_int_equal(a.target_ip, IP(10, 0, 0, 2));
    wire_delete(w);
}

static void request_for_another_address_is_not_answered(void **state) {
    (void)state;
    struct wire *w = alone();
    struct arp_packet a = arp_of_peer(ARP_REQUEST);
    a.target_ip = IP(10, 0, 0, 7);
    receive_arp(&w->hosts[0], &a);
    host_expect_silence(&w->hosts[0]);
    assert_int_equal(counted(&w->hosts[0], arp_not_for_us), 1);
    wire_delete(w);
}

static void probe_is_answered_and_leaves_no_entry(void **state) {
    (void)state;
    struct wire *w = alone();
    struct arp_packet a = arp_of_peer(ARP_REQUEST);
    a.sender_ip = 0;
    receive_arp(&w->hosts[0], &a);
    expect_arp(&w->hosts[0], ARP_REPLY, mac_of[1]);
    assert_int_equal(inet_next_ns(w->hosts[0].stack), UINT64_MAX);
    wire_delete(w);
}

static void malformed_and_foreign_packets_are_counted(void **state) {
    (void)state;
    struct wire *w = alone();
    struct host *h = &w->hosts[0];
    uint8_t frame[64];
    struct arp_packet a = arp_of_peer(ARP_REQUEST);
    uint32_t len = arp_frame(frame, mac_all, &a);
    for (uint32_t cut = ETH_HEADER_BYTES; cut < len; cut++)
        host_receive(h, frame, cut);
    assert_int_equal(counted(h, arp_bad), ARP_BYTES);
    frame[ETH_HEADER_BYTES + 4] = 8; /* hardware address length */
    host_receive(h, frame, len);
    a.sender_mac[0] = 3;
    receive_arp(h, &a); /* also refused as the source of a frame */
    assert_int_equal(counted(h, eth_bad_source), 1);
    a = arp_of_peer(ARP_REQUEST);
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
    struct wire *w = alone();
    uint8_t frame[64];
    struct arp_packet a = arp_of_peer(ARP_REQUEST);
    uint32_t len = arp_frame(frame, mac_of[1], &a);
    host_receive(&w->hosts[0], frame, len);
    assert_int_equal(counted(&w->hosts[0], eth_other_host), 1);
    host_expect_silence(&w->hosts[0]);
    wire_delete(w);
}

static void unasked_reply_makes_no_entry_but_refreshes_one(void **state) {
    (void)state;
    struct wire *w = alone();
    struct host *h = &w->hosts[0];
    struct arp_packet a = arp_of_peer(ARP_REPLY);
    receive_arp(h, &a);
    assert_int_equal(inet_next_ns(h->stack), UINT64_MAX);
    a.operation = ARP_REQUEST;
    receive_arp(h, &a);
    expect_arp(h, ARP_REPLY, mac_of[1]);
    /* the peer has moved to another card and says so */
    a = arp_of_peer(ARP_REPLY);
    a.sender_mac[5] = 9;
    receive_arp(h, &a);
    receive_echo(h, 1);
    const struct wire_frame *f = host_sent(h);
    assert_non_null(f);
    assert_int_equal(f->bytes[5], 9);
    wire_delete(w);
}

static void packets_wait_for_the_answer_and_the_oldest_is_dropped(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct host *h = &w->hosts[0];
    h->config.limits.neighbour_queue = 4096;
    host_start(w, 0);
    for (uint16_t i = 1; i <= 5; i++)
        receive_echo(h, i);
    expect_arp(h, ARP_REQUEST, mac_all); /* once, however many wait */
    host_expect_silence(h);
    assert_int_equal(counted(h, neighbour_queue_limit), 0);
    uint16_t last = 5;
    while (counted(h, neighbour_queue_limit) < 2 && last < 100)
        receive_echo(h, ++last);
    assert_int_equal(counted(h, neighbour_queue_limit), 2);
    struct arp_packet a = arp_of_peer(ARP_REPLY);
    receive_arp(h, &a);
    for (uint16_t i = 3; i <= last; i++)
        expect_echo_reply(h, i);
    host_expect_silence(h);
    wire_delete(w);
}

/* CONNECTS connections begun to a neighbour that is not known; its address is asked for once. */
static void connect_many(struct host *h, struct tcp_conn **c) {
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, 2)), 80};
    for (uint32_t i = 0; i < CONNECTS; i++)
        assert_int_equal(tcp_connect(h->stack, &c[i], &to, NULL, NULL, NULL, h->wire->now), 0);
    expect_arp(h, ARP_REQUEST, mac_all);
    host_expect_silence(h);
}

/* The neighbour answers: within 50 ms each connection has sent its SYN, once. */
static void expect_every_syn(struct host *h, struct tcp_conn **c) {
    const struct wire_frame *f;
    bool came[CONNECTS] = {false};
    struct arp_packet a = arp_of_peer(ARP_REPLY);
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

static void many_connections_at_once_wait_for_one_answer(void **state) {
    (void)state;
    struct wire *w = alone();
    struct tcp_conn *c[CONNECTS];
    connect_many(&w->hosts[0], c);
    expect_every_syn(&w->hosts[0], c);
    wire_delete(w);
}

static void connections_that_find_the_queue_full_send_when_the_neighbour_answers(void **state) {
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

static void what_waited_for_the_neighbour_waits_for_the_device_too(void **state) {
    (void)state;
    struct wire *w = alone();
    struct host *h = &w->hosts[0];
    struct tcp_conn *c[CONNECTS];
    connect_many(h, c);
    h->refuse = 5;
    expect_every_syn(h, c);
    assert_int_equal(counted(h, transmit_refused), 5);
    wire_delete(w);
}

static void answers_waiting_for_neighbours_leave_others_half_of_the_memory(void **state) {
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
    struct arp_packet a = arp_of_peer(ARP_REPLY);
    receive_arp(h, &a);
    assert_non_null(host_sent(h));
    tcp_abort(c, w->now);
    wire_run(w, w->now + 10 * SEC); /* nobody answers for the others */
    while (host_sent(h))
        continue;
    assert_int_equal(inet_waiting(h->stack), 0);
    wire_delete(w);
}

static void answers_to_strangers_ask_for_neighbours_at_a_bounded_rate(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct host *h = &w->hosts[0];
    h->config.addrs[0].bits = 8;
    host_start(w, 0);
    for (uint32_t i = 0; i < 4000; i++) { /* forged, in one second */
        receive_echo_from(h, IP(10, 9, i / 200, 1 + i % 200), 1);
        w->now += SEC / 4000;
    }
    assert_uint_in_range(counted(h, arp_requests_out), 64, 512);
    assert_int_equal(counted(h, arp_requests_out) + counted(h, arp_rate_limit), 4000);
    while (host_sent(h))
        continue;
    /* what we begin ourselves is not held up */
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

static void request_is_repeated_each_second_and_given_up(void **state) {
    (void)state;
    struct wire *w = alone();
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

static void used_neighbour_is_asked_one_to_one_before_it_expires(void **state) {
    (void)state;
    struct wire *w = alone();
    struct host *h = &w->hosts[0];
    struct arp_packet a = arp_of_peer(ARP_REQUEST);
    receive_arp(h, &a);
    expect_arp(h, ARP_REPLY, mac_of[1]);
    receive_echo(h, 1);
    expect_echo_reply(h, 1);
    for (uint32_t i = 0; i < 46 && h->frame_count == 0; i++)
        wire_run(w, w->now + SEC);
    expect_arp(h, ARP_REQUEST, mac_of[1]);
    receive_echo(h, 2); /* the entry serves while it is asked for */
    const struct wire_frame *f;
    bool replied = false;
    while ((f = host_sent(h)))
        replied |= wire_get16(f->bytes + 12) == ETH_TYPE_IP4;
    assert_true(replied);
    /* no answer: everybody is asked, then it is forgotten */
    wire_run(w, w->now + 10 * SEC);
    bool broadcast = false;
    while ((f = host_sent(h)))
        broadcast |= memcmp(f->bytes, mac_all, INET_MAC_BYTES) == 0;
    assert_true(broadcast);
    assert_int_equal(inet_next_ns(h->stack), UINT64_MAX);
    /* and is found again when needed, with the packet kept meanwhile */
    receive_echo(h, 3);
    expect_arp(h, ARP_REQUEST, mac_all);
    a.operation = ARP_REPLY;
    receive_arp(h, &a);
    expect_echo_reply(h, 3);
    wire_delete(w);
}

static void unused_neighbour_expires_in_silence(void **state) {
    (void)state;
    struct wire *w = alone();
    struct arp_packet a = arp_of_peer(ARP_REQUEST);
    receive_arp(&w->hosts[0], &a);
    expect_arp(&w->hosts[0], ARP_REPLY, mac_of[1]);
    wire_run(w, w->now + 60 * SEC);
    host_expect_silence(&w->hosts[0]);
    assert_int_equal(inet_next_ns(w->hosts[0].stack), UINT64_MAX);
    wire_delete(w);
}

static void static_neighbour_is_never_asked_nor_overwritten(void **state) {
    (void)state;
    struct wire *w = conversation();
    struct host *h = &w->hosts[0];
    struct arp_packet a = arp_of_peer(ARP_REPLY);
    a.sender_mac[5] = 9;
    receive_arp(h, &a);
    wire_run(w, w->now + 100 * SEC);
    receive_echo(h, 1);
    const struct wire_frame *f = host_sent(h);
    assert_memory_equal(f->bytes, mac_of[1], INET_MAC_BYTES);
    wire_delete(w);
}

static void cache_is_bounded(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct host *h = &w->hosts[0];
    h->config.limits.neighbours = 8;
    host_start(w, 0);
    for (uint8_t i = 10; i < 110; i++) {
        struct arp_packet a = arp_of_peer(ARP_REQUEST);
        a.sender_ip = IP(10, 0, 0, i);
        receive_arp(h, &a);
        expect_arp(h, ARP_REPLY, mac_of[1]);
    }
    assert_int_equal(counted(h, neighbour_limit), 92);
    wire_delete(w);
}

static void conflict_is_counted_and_defended_once_in_ten_seconds(void **state) {
    (void)state;
    struct wire *w = alone();
    struct host *h = &w->hosts[0];
    struct arp_packet a = arp_of_peer(ARP_REQUEST);
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

static void addresses_are_announced_twice_if_wished(void **state) {
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

/* What the stack has told of conflicts. */
static struct {
    uint32_t count;
    uint32_t ip;
    uint8_t mac[INET_MAC_BYTES];
    bool probing;
} told;

static void tell(void *ctx, const struct inet_addr *addr, const uint8_t *mac, bool probing) {
    (void)ctx;
    told.count++;
    told.ip = inet_addr_to_ip4(addr);
    memcpy(told.mac, mac, INET_MAC_BYTES);
    told.probing = probing;
}

/* A host that probes for its address, or for two, 10.0.0.1 and 10.0.0.9. */
static struct wire *prober(uint32_t addresses) {
    struct wire *w = wire_new(1);
    memset(&told, 0, sizeof told);
    w->hosts[0].config.probe = true;
    w->hosts[0].config.conflict = tell;
    if (addresses == 2) w->hosts[0].config.addrs[1] = (struct inet_prefix){inet_addr_ip4(IP(10, 0, 0, 9)), 24};
    w->hosts[0].config.addr_count = addresses;
    host_start(w, 0);
    return w;
}

/* The next request that the host sends: a probe for `ip`. When it was sent. */
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

static void probes_are_sent_three_times_while_the_stack_works(void **state) {
    (void)state;
    struct wire *w = prober(1);
    uint64_t start = w->now, at[3];
    struct arp_packet a = arp_of_peer(ARP_REQUEST);
    receive_arp(&w->hosts[0], &a);
    expect_arp(&w->hosts[0], ARP_REPLY, mac_of[1]); /* at once */
    for (uint32_t i = 0; i < 3; i++)
        at[i] = expect_probe(w, IP(10, 0, 0, 1));
    assert_uint_in_range(at[0] - start, 0, SEC + MS);
    for (uint32_t i = 1; i < 3; i++)
        assert_uint_in_range(at[i] - at[i - 1], SEC - MS, 2 * SEC + MS);
    wire_run(w, w->now + 10 * SEC);
    host_expect_silence(&w->hosts[0]);
    assert_int_equal(told.count, 0);
    wire_delete(w);
}

static void answer_to_a_probe_is_a_conflict_told_once_and_not_defended(void **state) {
    (void)state;
    struct wire *w = prober(1);
    struct host *h = &w->hosts[0];
    struct arp_packet a = arp_of_peer(ARP_REPLY);
    expect_probe(w, IP(10, 0, 0, 1));
    a.sender_ip = IP(10, 0, 0, 1);
    a.target_ip = 0;
    for (uint32_t i = 0; i < 3; i++)
        receive_arp(h, &a);
    assert_int_equal(told.count, 1);
    assert_true(told.probing);
    assert_int_equal(told.ip, IP(10, 0, 0, 1));
    assert_memory_equal(told.mac, mac_of[1], INET_MAC_BYTES);
    assert_int_equal(counted(h, arp_conflicts), 3);
    wire_run(w, w->now + 20 * SEC);
    host_expect_silence(h); /* it was the other's before: no more probes, no defence */
    receive_arp(h, &a);
    host_expect_silence(h);
    assert_int_equal(told.count, 2); /* the conflict goes on */
    assert_false(told.probing);
    a = arp_of_peer(ARP_REQUEST);
    receive_arp(h, &a);
    expect_arp(h, ARP_REPLY, mac_of[1]); /* and so do we */
    wire_delete(w);
}

static void probe_of_another_host_meanwhile_is_a_conflict(void **state) {
    (void)state;
    struct wire *w = prober(1);
    struct host *h = &w->hosts[0];
    struct arp_packet a = arp_of_peer(ARP_REQUEST);
    a.sender_ip = 0;
    receive_arp(h, &a);
    expect_arp(h, ARP_REPLY, mac_of[1]);
    assert_int_equal(told.count, 1);
    assert_true(told.probing);
    memcpy(a.sender_mac, mac_of[0], INET_MAC_BYTES); /* our own, which came back */
    receive_arp(h, &a);
    assert_int_equal(told.count, 1);
    wire_delete(w);
    w = prober(1);
    wire_run(w, w->now + 10 * SEC);
    while (host_sent(&w->hosts[0]))
        continue;
    a = arp_of_peer(ARP_REQUEST);
    a.sender_ip = 0;
    receive_arp(&w->hosts[0], &a); /* later it is the other's first question, and is answered */
    expect_arp(&w->hosts[0], ARP_REPLY, mac_of[1]);
    assert_int_equal(told.count, 0);
    wire_delete(w);
}

static void only_the_address_in_conflict_is_probed_no_more(void **state) {
    (void)state;
    struct wire *w = prober(2);
    struct host *h = &w->hosts[0];
    struct arp_packet a = arp_of_peer(ARP_REPLY);
    expect_probe(w, IP(10, 0, 0, 1));
    expect_probe(w, IP(10, 0, 0, 9));
    a.sender_ip = IP(10, 0, 0, 9);
    receive_arp(h, &a);
    assert_int_equal(told.ip, IP(10, 0, 0, 9));
    expect_probe(w, IP(10, 0, 0, 1));
    expect_probe(w, IP(10, 0, 0, 1));
    wire_run(w, w->now + 10 * SEC);
    host_expect_silence(h);
    a.sender_ip = IP(10, 0, 0, 1); /* that one we had first */
    receive_arp(h, &a);
    struct arp_packet defence = expect_arp(h, ARP_REQUEST, mac_all);
    assert_int_equal(defence.sender_ip, IP(10, 0, 0, 1));
    assert_int_equal(told.count, 2);
    assert_false(told.probing);
    wire_delete(w);
}

static void later_conflict_is_told_once_in_ten_seconds(void **state) {
    (void)state;
    struct wire *w = prober(1);
    struct host *h = &w->hosts[0];
    struct arp_packet a = arp_of_peer(ARP_REQUEST);
    wire_run(w, w->now + 10 * SEC);
    while (host_sent(h))
        continue;
    a.sender_ip = IP(10, 0, 0, 1);
    for (uint32_t i = 0; i < 5; i++)
        receive_arp(h, &a);
    assert_int_equal(told.count, 1);
    assert_false(told.probing);
    expect_arp(h, ARP_REQUEST, mac_all);
    host_expect_silence(h);
    w->now += 11 * SEC;
    receive_arp(h, &a);
    assert_int_equal(told.count, 2);
    wire_delete(w);
}

static void announcements_end_where_another_has_the_address(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    struct host *h = &w->hosts[0];
    struct arp_packet a = arp_of_peer(ARP_REPLY);
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

static void bad_configurations_are_refused(void **state) {
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
        cmocka_unit_test(request_for_our_address_is_answered_to_the_asker),
        cmocka_unit_test(request_for_another_address_is_not_answered),
        cmocka_unit_test(probe_is_answered_and_leaves_no_entry),
        cmocka_unit_test(malformed_and_foreign_packets_are_counted),
        cmocka_unit_test(frame_for_another_mac_is_not_processed),
        cmocka_unit_test(unasked_reply_makes_no_entry_but_refreshes_one),
        cmocka_unit_test(packets_wait_for_the_answer_and_the_oldest_is_dropped),
        cmocka_unit_test(many_connections_at_once_wait_for_one_answer),
        cmocka_unit_test(connections_that_find_the_queue_full_send_when_the_neighbour_answers),
        cmocka_unit_test(what_waited_for_the_neighbour_waits_for_the_device_too),
        cmocka_unit_test(answers_waiting_for_neighbours_leave_others_half_of_the_memory),
        cmocka_unit_test(answers_to_strangers_ask_for_neighbours_at_a_bounded_rate),
        cmocka_unit_test(request_is_repeated_each_second_and_given_up),
        cmocka_unit_test(used_neighbour_is_asked_one_to_one_before_it_expires),
        cmocka_unit_test(unused_neighbour_expires_in_silence),
        cmocka_unit_test(static_neighbour_is_never_asked_nor_overwritten),
        cmocka_unit_test(cache_is_bounded),
        cmocka_unit_test(conflict_is_counted_and_defended_once_in_ten_seconds),
        cmocka_unit_test(addresses_are_announced_twice_if_wished),
        cmocka_unit_test(probes_are_sent_three_times_while_the_stack_works),
        cmocka_unit_test(answer_to_a_probe_is_a_conflict_told_once_and_not_defended),
        cmocka_unit_test(probe_of_another_host_meanwhile_is_a_conflict),
        cmocka_unit_test(only_the_address_in_conflict_is_probed_no_more),
        cmocka_unit_test(later_conflict_is_told_once_in_ten_seconds),
        cmocka_unit_test(announcements_end_where_another_has_the_address),
        cmocka_unit_test(bad_configurations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
