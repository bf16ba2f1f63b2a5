/* SPDX-License-Identifier: MIT */
/*
 * Fast paths: headers that were written once are written again when what they are made of changes. That both paths do
 * the same is tested by tests/simulation.
 */
#include "inet/tcp/calm.h"
#include "inet/udp/udp.h"
#include "tcp_script.h"

#define PORT 9u

static const uint8_t other_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 0x77};

/* Host 1 says that it has another MAC address. */
static void mac_changes(struct wire *w) {
    uint8_t frame[64];
    struct arp_packet a = {.operation = ARP_REPLY, .sender_ip = IP(10, 0, 0, 2), .target_ip = IP(10, 0, 0, 1)};
    memcpy(a.sender_mac, other_mac, INET_MAC_BYTES);
    memcpy(a.target_mac, mac_of[0], INET_MAC_BYTES);
    eth_emit(frame, mac_of[0], other_mac, ETH_TYPE_ARP);
    arp_emit(frame + ETH_HEADER_BYTES, &a);
    host_receive(&w->hosts[0], frame, ETH_HEADER_BYTES + ARP_BYTES);
}

/* The frame that host 0 has sent last is for this MAC address. */
static void expect_last_to(struct wire *w, const uint8_t *mac) {
    inet_flush(w->hosts[0].stack, w->now);
    assert_true(w->hosts[0].frame_count > 0);
    assert_memory_equal(w->hosts[0].frames[w->hosts[0].frame_count - 1].bytes, mac, INET_MAC_BYTES);
}

/* Two stacks that find each other by ARP. */
static struct wire *pair(void) {
    struct wire *w = wire_new(1);
    host_start(w, 0);
    host_start(w, 1);
    wire_join(w);
    return w;
}

static void datagrams_follow_a_neighbour_that_changes_its_mac_address(void **state) {
    (void)state;
    struct wire *w = pair();
    struct udp_socket *u;
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, 2)), PORT};
    struct inet_segment data = {heap_alloc_zeroed(10), 10};
    assert_int_equal(udp_open(w->hosts[0].stack, &u, NULL), 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(udp_send(u, &data, 1, &to, w->now), 0);
        wire_run(w, w->now + MS);
    }
    assert_int_equal(udp_send(u, &data, 1, &to, w->now), 0);
    expect_last_to(w, mac_of[1]);
    mac_changes(w);
    assert_int_equal(udp_send(u, &data, 1, &to, w->now), 0);
    expect_last_to(w, other_mac);
    heap_free((void *)(uintptr_t)data.base);
    udp_close(u);
    wire_delete(w);
}

static void datagrams_have_the_options_of_their_socket(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct udp_socket *u;
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, 2)), PORT};
    struct inet_segment data = {heap_alloc_zeroed(10), 10};
    struct ip4_header h = {0};
    assert_int_equal(udp_open(w->hosts[0].stack, &u, NULL), 0);
    for (uint8_t i = 0; i < 4; i++) { /* the usual ones at first and at last */
        udp_set_tos(u, i == 1 ? 0x20 : 0);
        udp_set_ttl(u, i == 2 ? 7 : IP4_TTL);
        assert_int_equal(udp_send(u, &data, 1, &to, w->now), 0);
        const struct wire_frame *f = host_sent(&w->hosts[0]);
        assert_non_null(f);
        assert_true(ip4_parse(&h, f->bytes + ETH_HEADER_BYTES, f->len - ETH_HEADER_BYTES));
        assert_true(ip4_checksum_ok(f->bytes + ETH_HEADER_BYTES, h.header_bytes));
        assert_int_equal(h.tos, i == 1 ? 0x20 : 0);
        assert_int_equal(h.ttl, i == 2 ? 7 : IP4_TTL);
    }
    heap_free((void *)(uintptr_t)data.base);
    udp_close(u);
    wire_delete(w);
}

/* Makes a datagram from host 1 to `to`, from which `from_mac` sends. Returns its length. */
static uint32_t make_datagram(uint8_t p[64], const uint8_t *from_mac, uint32_t to) {
    uint8_t *ip = p + ETH_HEADER_BYTES;
    memset(p, 0, 64);
    uint32_t len = frame_ip4(p, IP_UDP, 9);
    memcpy(p + INET_MAC_BYTES, from_mac, INET_MAC_BYTES);
    wire_store32(ip + 16, to);
    wire_store16(ip + IP4_CHECKSUM_OFFSET, 0);
    wire_store16(ip + IP4_CHECKSUM_OFFSET, csum_finish(csum_add(0, ip, IP4_HEADER_BYTES)));
    wire_put16(p + 34, 1000);
    wire_put16(p + 36, PORT);
    wire_put16(p + 38, 9);
    return len;
}

static void receive_datagram(struct wire *w, const uint8_t *from_mac, uint32_t to) {
    uint8_t p[64];
    uint32_t len = make_datagram(p, from_mac, to);
    host_receive(&w->hosts[0], p, len);
}

static void expect_datagrams(struct udp_socket *u, uint32_t count) {
    struct udp_datagram d;
    for (; count > 0; count--) {
        assert_int_equal(udp_receive(u, &d), 0);
        heap_free(d.payload.base);
    }
    assert_int_equal(udp_receive(u, &d), -EAGAIN);
}

static void datagrams_that_are_not_ours_are_dropped(void **state) {
    (void)state;
    static const uint8_t group_mac[INET_MAC_BYTES] = {3, 0, 0, 0, 0, 2};
    struct wire *w = wire_new_scripted();
    struct udp_socket *u;
    struct inet_endpoint any = {.port = PORT};
    assert_int_equal(udp_open(w->hosts[0].stack, &u, NULL), 0);
    assert_int_equal(udp_bind(u, &any), 0);
    for (uint32_t i = 0; i < 2; i++) /* the second takes the fast path */
        receive_datagram(w, mac_of[1], IP(10, 0, 0, 1));
    expect_datagrams(u, 2);
    receive_datagram(w, mac_of[1], IP(10, 0, 0, 3));
    assert_int_equal(counted(&w->hosts[0], ip_other_host), 1);
    receive_datagram(w, group_mac, IP(10, 0, 0, 1));
    assert_int_equal(counted(&w->hosts[0], eth_bad_source), 1);
    expect_datagrams(u, 0);
    udp_close(u);
    wire_delete(w);
}

/* The socket may be another stack's as well, and the caller steers the datagram. */
static void a_datagram_is_never_a_frame_of_the_stack_alone(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct udp_socket *u;
    struct inet_endpoint any = {.port = PORT};
    assert_int_equal(udp_open(w->hosts[0].stack, &u, NULL), 0);
    assert_int_equal(udp_bind(u, &any), 0);
    receive_datagram(w, mac_of[1], IP(10, 0, 0, 1));
    expect_datagrams(u, 1);
    uint8_t *p = heap_alloc(64);
    uint32_t len = make_datagram(p, mac_of[1], IP(10, 0, 0, 1));
    assert_false(inet_input(w->hosts[0].stack, p, len, INET_INPUT_OWN, w->now));
    expect_datagrams(u, 0);
    assert_int_equal(heap_free(p), 0);
    udp_close(u);
    wire_delete(w);
}

static void segments_follow_a_neighbour_that_changes_its_mac_address(void **state) {
    (void)state;
    struct wire *w = pair();
    struct tcp_listener *l;
    struct tcp_conn *c;
    struct inet_endpoint at = {inet_addr_ip4(IP(10, 0, 0, 2)), PORT};
    struct inet_segment data = {heap_alloc_zeroed(10), 10};
    assert_int_equal(tcp_listen(w->hosts[1].stack, &l, &at, 1, NULL, NULL), 0);
    assert_int_equal(tcp_connect(w->hosts[0].stack, &c, &at, NULL, NULL, NULL, w->now), 0);
    wire_run(w, w->now + 10 * MS);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(tcp_push(c, &data, false, w->now), 0);
        wire_run(w, w->now + 100 * MS);
    }
    assert_int_equal(tcp_push(c, &data, false, w->now), 0);
    inet_flush(w->hosts[0].stack, w->now);
    assert_true(c->calm && c->recovery.flight->template.epoch == w->hosts[0].stack->dest_epoch);
    expect_last_to(w, mac_of[1]);
    wire_run(w, w->now + 100 * MS);
    mac_changes(w);
    assert_int_equal(tcp_push(c, &data, false, w->now), 0);
    expect_last_to(w, other_mac);
    heap_free((void *)(uintptr_t)data.base);
    tcp_abort(c, w->now);
    tcp_listener_close(l, w->now);
    wire_delete(w);
}

/* Connected and calm, with headers that were written for segments of 10 bytes, which are acknowledged. */
static struct script *with_headers(void) {
    struct script *s = script_new();
    script_connect(s, (struct tcp_options){.mss = 1000, .sack_permitted = true});
    drain(s);
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_NODELAY, 1, s->w->now), 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(push(s, 10), 0);
        expect(s, TCP_ACK, 1 + 10 * i, 10, 1);
        in_ack(s, 11 + 10 * i);
    }
    assert_true(s->conn->calm && s->conn->recovery.flight->template.epoch != 0);
    return s;
}

static struct ip4_header sent_header(struct script *s, const uint8_t *from_mac) {
    const struct wire_frame *f = host_sent(s->h);
    struct ip4_header h = {0};
    assert_non_null(f);
    assert_memory_equal(f->bytes + INET_MAC_BYTES, from_mac, INET_MAC_BYTES);
    assert_true(ip4_parse(&h, f->bytes + ETH_HEADER_BYTES, f->len - ETH_HEADER_BYTES));
    assert_true(ip4_checksum_ok(f->bytes + ETH_HEADER_BYTES, h.header_bytes));
    return h;
}

static void options_change_the_headers(void **state) {
    (void)state;
    struct script *s = with_headers();
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_TOS, 0x20, s->w->now), 0);
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_TTL, 7, s->w->now), 0);
    push(s, 10);
    struct ip4_header h = sent_header(s, mac_of[0]);
    assert_int_equal(h.tos, 0x20);
    assert_int_equal(h.ttl, 7);
    assert_int_equal(h.fragment_flags, IP4_DF);
    in_ack(s, 31);
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_PMTU_DISCOVER, 0, s->w->now), 0);
    push(s, 10);
    assert_int_equal(sent_header(s, mac_of[0]).fragment_flags, 0);
    script_delete(s);
}

/* A segment with data acknowledges and does not report the duplicate; after the next segment no ACK does (RFC 2883). */
static void next_segment_replaces_a_duplicate(void **state) {
    (void)state;
    struct script *s = with_headers();
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_NODELAY, 0, s->w->now), 0);
    in_data(s, 1, 10, 21);
    drain(s);
    push(s, 10);
    push(s, 10);
    expect(s, TCP_ACK, 21, 10, 11);
    in_data(s, 1, 10, 31);
    expect(s, TCP_ACK, 31, 10, 11);
    assert_true(reassembly_has_duplicate(&s->conn->receive.reassembly));
    in_data(s, 11, 10, 41);
    expect(s, TCP_ACK, 41, 0, 21);
    in(s, (struct seg){.flags = TCP_ACK, .seq = 20, .ack = 41, .window = s->window}); /* before the window */
    assert_int_equal(expect(s, TCP_ACK, 41, 0, 21).options.sack_count, 0);
    script_delete(s);
}

/* Segments in flight that are too large are sent again in pieces, without waiting for an ACK that is due. */
static void smaller_path_is_seen_at_the_next_segment(void **state) {
    (void)state;
    struct script *s = with_headers();
    assert_int_equal(tcp_set_option(s->conn, TCP_OPTION_QUICKACK, 0, s->w->now), 0);
    assert_int_equal(push(s, 1000), 0);
    expect(s, TCP_ACK, 21, 1000, 1);
    assert_int_equal(inet_set_mtu(s->h->stack, 640), 0);
    in_data(s, 1, 10, 21);
    expect(s, TCP_ACK, 21, 600, 11);
    script_delete(s);
}

/* The other stack has another MAC address, and its device completes checksums; its destinations have the same epoch. */
static void another_stack_writes_its_own_headers(void **state) {
    (void)state;
    struct script *s = with_headers();
    struct inet *first = s->h->stack, *second;
    struct inet_static_neighbour peer = {inet_addr_ip4(IP(10, 0, 0, 2)), {2, 0, 0, 0, 0, 2}};
    struct inet_config config = s->h->config;
    memcpy(config.mac, other_mac, INET_MAC_BYTES);
    config.offloads = INET_OFFLOAD_CSUM;
    config.neighbours = &peer;
    config.neighbour_count = 1;
    assert_int_equal(inet_new(&second, &config, s->w->now), 0);
    assert_int_equal(first->dest_epoch, second->dest_epoch);
    assert_int_equal(tcp_detach(s->conn), 0);
    tcp_detached(first, s->port);
    assert_int_equal(tcp_attach(second, s->conn, NULL, s->w->now), 0);
    for (uint32_t i = 0; i < 2; i++) {
        push(s, 10);
        inet_flush(second, s->w->now);
        const struct wire_frame *f = host_sent(s->h);
        assert_non_null(f);
        assert_memory_equal(f->bytes + INET_MAC_BYTES, other_mac, INET_MAC_BYTES);
        assert_int_equal(f->flags, INET_FRAME_CSUM);
    }
    tcp_abort(s->conn, s->w->now);
    s->conn = NULL;
    inet_delete(second);
    drain(s);
    script_delete(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_follow_a_neighbour_that_changes_its_mac_address),
        cmocka_unit_test(datagrams_that_are_not_ours_are_dropped),
        cmocka_unit_test(datagrams_have_the_options_of_their_socket),
        cmocka_unit_test(a_datagram_is_never_a_frame_of_the_stack_alone),
        cmocka_unit_test(segments_follow_a_neighbour_that_changes_its_mac_address),
        cmocka_unit_test(options_change_the_headers),
        cmocka_unit_test(next_segment_replaces_a_duplicate),
        cmocka_unit_test(smaller_path_is_seen_at_the_next_segment),
        cmocka_unit_test(another_stack_writes_its_own_headers),
    };
    return cmocka_run_group_tests_name("fast", tests, NULL, NULL);
}
