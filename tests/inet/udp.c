/* SPDX-License-Identifier: MIT */
/* UDP sockets between two stacks, and with malformed and unmatched datagrams. */
#include "wire.h"

#include "inet/udp/udp.h"
#include "inet/wire/udp.h"

#define HEADERS (ETH_HEADER_BYTES + IP4_HEADER_BYTES + UDP_HEADER_BYTES)

static struct inet_endpoint endpoint(uint8_t host, uint16_t port) {
    return (struct inet_endpoint){inet_addr_ip4(IP(10, 0, 0, host)), port};
}

static struct udp_socket *open_bound(struct host *h, uint16_t port) {
    struct udp_socket *u;
    struct inet_endpoint any = {.port = port};
    assert_int_equal(udp_open(h->stack, &u, NULL), 0);
    assert_int_equal(udp_bind(u, &any), 0);
    return u;
}

static struct wire *new_pair(void) {
    struct wire *w = wire_new(1);
    host_start(w, 0);
    host_start(w, 1);
    wire_join(w);
    return w;
}

static void send_bytes(struct host *h, struct udp_socket *u, const struct inet_endpoint *to, uint32_t bytes) {
    uint8_t *p = heap_alloc(bytes);
    for (uint32_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(i * 31 + i / 256);
    uint32_t third = bytes / 3;
    struct inet_segment segments[2] = {{p, third}, {p + third, bytes - third}};
    assert_int_equal(udp_send(u, segments, 2, to, h->wire->now), 0);
    heap_free(p); /* the stack holds no reference */
}

static void expect_bytes(struct udp_socket *u, uint32_t bytes) {
    struct udp_datagram d;
    assert_int_equal(udp_receive(u, &d), 0);
    assert_int_equal(d.payload.len, bytes);
    for (uint32_t i = 0; i < bytes; i++)
        assert_int_equal(((uint8_t *)d.payload.base)[i], (uint8_t)(i * 31 + i / 256));
    if (d.payload.base) heap_free(d.payload.base);
}

static void datagrams_of_all_sizes_arrive_with_their_sender(void **state) {
    (void)state;
    struct wire *w = new_pair();
    static const uint32_t sizes[] = {0, 1, 2, 63, 1471, 1472, 1473, 2945, 9000, 40001, UDP_PAYLOAD_MAX};
    struct udp_socket *a = open_bound(&w->hosts[0], 1000), *b = open_bound(&w->hosts[1], 2000);
    struct inet_endpoint to = endpoint(2, 2000);
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct udp_datagram d;
        uint32_t events;
        send_bytes(&w->hosts[0], a, &to, sizes[i]);
        wire_run(w, w->now + SEC);
        assert_ptr_equal(inet_next_event(w->hosts[1].stack, &events), b);
        assert_int_equal(events, INET_EVENT_READABLE);
        expect_bytes(b, sizes[i]);
        assert_int_equal(udp_receive(b, &d), -EAGAIN);
    }
    send_bytes(&w->hosts[0], a, &to, 5);
    wire_run(w, w->now + SEC);
    struct udp_datagram d;
    assert_true(udp_readable(b));
    assert_int_equal(udp_receive(b, &d), 0);
    assert_int_equal(d.from.port, 1000);
    assert_int_equal(inet_addr_to_ip4(&d.from.addr), IP(10, 0, 0, 1));
    assert_int_equal(inet_addr_to_ip4(&d.to), IP(10, 0, 0, 2));
    heap_free(d.payload.base);
    udp_close(a);
    udp_close(b);
    wire_delete(w);
}

static void invalid_sends_are_refused(void **state) {
    (void)state;
    struct wire *w = new_pair();
    struct udp_socket *u = open_bound(&w->hosts[0], 0);
    struct inet_endpoint to = endpoint(2, 2000), nowhere = {inet_addr_ip4(IP(224, 0, 0, 1)), 1}, port0 = endpoint(2, 0);
    uint8_t *p = heap_alloc(65536);
    struct inet_segment large = {p, UDP_PAYLOAD_MAX + 1}, many[INET_FRAME_SEGMENTS];
    for (uint32_t i = 0; i < INET_FRAME_SEGMENTS; i++)
        many[i] = (struct inet_segment){p, 1};
    assert_int_equal(udp_send(u, &large, 1, &to, w->now), -EMSGSIZE);
    assert_int_equal(udp_send(u, many, INET_FRAME_SEGMENTS, &to, w->now), -EINVAL);
    assert_int_equal(udp_send(u, many, 1, NULL, w->now), -EDESTADDRREQ);
    assert_int_equal(udp_send(u, many, 1, &port0, w->now), -EINVAL);
    assert_int_equal(udp_send(u, many, 1, &nowhere, w->now), -ENETUNREACH);
    w->hosts[0].refuse = 2;
    assert_int_equal(udp_send(u, many, 0, &to, w->now), 0); /* queued until the neighbour is resolved */
    heap_free(p);
    udp_close(u);
    wire_delete(w);
}

static void full_device_is_reported_to_the_sender(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct udp_socket *u = open_bound(&w->hosts[0], 0);
    struct inet_endpoint to = endpoint(2, 2000);
    w->hosts[0].refuse = 1;
    assert_int_equal(udp_send(u, NULL, 0, &to, w->now), -EAGAIN);
    assert_int_equal(udp_send(u, NULL, 0, &to, w->now), 0);
    assert_int_equal(w->hosts[0].frame_count, 1);
    udp_close(u);
    wire_delete(w);
}

static void connected_socket_receives_only_from_its_peer_and_reports_refusals(void **state) {
    (void)state;
    struct wire *w = new_pair();
    struct udp_socket *a = open_bound(&w->hosts[0], 1000), *b = open_bound(&w->hosts[1], 2000),
                      *c = open_bound(&w->hosts[1], 3000);
    struct inet_endpoint b_at = endpoint(2, 2000), a_at = endpoint(1, 1000);
    struct udp_datagram d;
    assert_int_equal(udp_connect(a, &b_at), 0);
    send_bytes(&w->hosts[1], c, &a_at, 4);
    wire_run(w, w->now + SEC);
    assert_int_equal(udp_receive(a, &d), -EAGAIN);
    send_bytes(&w->hosts[1], b, &a_at, 4);
    wire_run(w, w->now + SEC);
    expect_bytes(a, 4);
    udp_close(b);
    send_bytes(&w->hosts[0], a, NULL, 4);
    wire_run(w, w->now + SEC);
    assert_int_equal(counted(&w->hosts[1], udp_no_port), 1);
    assert_true(udp_readable(a));
    assert_int_equal(udp_receive(a, &d), -ECONNREFUSED);
    assert_false(udp_readable(a));
    assert_int_equal(udp_receive(a, &d), -EAGAIN);
    udp_close(a);
    udp_close(c);
    wire_delete(w);
}

static void unreachable_neighbour_is_reported_to_a_connected_socket(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    host_start(w, 0);
    struct udp_socket *u = open_bound(&w->hosts[0], 0);
    struct inet_endpoint to = endpoint(9, 9);
    struct udp_datagram d;
    assert_int_equal(udp_connect(u, &to), 0);
    send_bytes(&w->hosts[0], u, NULL, 4);
    wire_run(w, w->now + 5 * SEC);
    assert_int_equal(udp_receive(u, &d), -EHOSTUNREACH);
    udp_close(u);
    wire_delete(w);
}

static void ports_are_exclusive_and_chosen_at_random(void **state) {
    (void)state;
    struct wire *w = new_pair();
    struct udp_socket *u = open_bound(&w->hosts[0], 1000), *v;
    struct inet_endpoint same = endpoint(1, 1000), foreign = endpoint(2, 1001), specific = endpoint(1, 1002),
                         any = {.port = 1002};
    assert_int_equal(udp_open(w->hosts[0].stack, &v, NULL), 0);
    assert_int_equal(udp_bind(v, &same), -EADDRINUSE);
    assert_int_equal(udp_bind(v, &foreign), -EADDRNOTAVAIL);
    assert_int_equal(udp_bind(v, &specific), 0);
    assert_int_equal(udp_bind(v, &specific), -EINVAL);
    udp_close(u);
    assert_int_equal(udp_open(w->hosts[0].stack, &u, NULL), 0);
    assert_int_equal(udp_bind(u, &any), -EADDRINUSE);
    udp_close(u);
    udp_close(v);
    uint32_t in_sequence = 0, last = 0;
    for (uint32_t i = 0; i < 100; i++) {
        u = open_bound(&w->hosts[0], 0);
        uint32_t port = udp_local(u).port;
        assert_true(port >= 32768 && port < 61000);
        in_sequence += port == last + 1;
        last = port;
        udp_close(u);
    }
    assert_true(in_sequence < 5);
    wire_delete(w);
}

static void datagram_to_our_own_address_does_not_use_the_device(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct udp_socket *a = open_bound(&w->hosts[0], 0), *b = open_bound(&w->hosts[0], 2000);
    struct inet_endpoint own = endpoint(1, 2000), local = {inet_addr_ip4(IP(127, 0, 0, 1)), 2000};
    struct udp_datagram d;
    send_bytes(&w->hosts[0], a, &own, 30000);
    send_bytes(&w->hosts[0], a, &local, 300);
    assert_int_equal(udp_receive(b, &d), -EAGAIN);
    assert_int_equal(inet_next_ns(w->hosts[0].stack), w->now);
    wire_run(w, w->now + 1);
    expect_bytes(b, 30000);
    expect_bytes(b, 300);
    host_expect_silence(&w->hosts[0]);
    udp_close(a);
    udp_close(b);
    wire_delete(w);
}

static void loopback_queue_is_bounded(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    w->hosts[0].config.limits.loopback = 3;
    host_start(w, 0);
    struct udp_socket *a = open_bound(&w->hosts[0], 0), *b = open_bound(&w->hosts[0], 2000);
    struct inet_endpoint own = endpoint(1, 2000);
    struct udp_datagram d;
    for (uint32_t i = 0; i < 4; i++)
        send_bytes(&w->hosts[0], a, &own, 100);
    assert_int_equal(counted(&w->hosts[0], loopback_limit), 1);
    wire_run(w, w->now + 1);
    for (uint32_t i = 0; i < 3; i++)
        expect_bytes(b, 100);
    assert_int_equal(udp_receive(b, &d), -EAGAIN);
    udp_close(a);
    udp_close(b);
    wire_delete(w);
}

/*
 * The test sends two zero bytes and then uses their checksum as payload, so that the computed checksum is 0. On the
 * wire 0 means that there is no checksum.
 */
static void expect_checksum_of_0_as_all_ones(bool slow_only) {
    struct wire *w = wire_new_scripted();
    struct host *h = &w->hosts[0];
    host_stop(w, 0);
    h->config.slow_only = slow_only;
    host_start(w, 0);
    struct udp_socket *u = open_bound(h, 1000);
    struct inet_endpoint to = endpoint(2, 2000);
    uint8_t *p = heap_alloc_zeroed(2);
    struct inet_segment segment = {p, 2};
    const uint32_t place = HEADERS - UDP_HEADER_BYTES + UDP_CHECKSUM_OFFSET;
    assert_int_equal(udp_send(u, &segment, 1, &to, w->now), 0);
    memcpy(p, host_sent(h)->bytes + place, 2);
    assert_true(p[0] || p[1]);
    assert_int_equal(udp_send(u, &segment, 1, &to, w->now), 0);
    assert_int_equal(wire_get16(host_sent(h)->bytes + place), 0xffff);
    heap_free(p);
    udp_close(u);
    wire_delete(w);
}

static void checksum_of_0_is_sent_as_all_ones(void **state) {
    (void)state;
    expect_checksum_of_0_as_all_ones(false);
    expect_checksum_of_0_as_all_ones(true);
}

static void unread_datagrams_use_bounded_memory(void **state) {
    (void)state;
    struct wire *w = new_pair();
    struct udp_socket *a = open_bound(&w->hosts[0], 0), *b = open_bound(&w->hosts[1], 2000);
    struct inet_endpoint to = endpoint(2, 2000);
    send_bytes(&w->hosts[0], a, &to, 1); /* resolves the neighbour */
    wire_run(w, w->now + SEC);
    expect_bytes(b, 1);
    udp_set_receive_limit(b, 20000);
    for (uint32_t i = 0; i < 1000; i++)
        send_bytes(&w->hosts[0], a, &to, 1000);
    wire_run(w, w->now + SEC);
    assert_true(counted(&w->hosts[1], udp_receive_limit) > 900);
    expect_bytes(b, 1000);
    send_bytes(&w->hosts[0], a, &to, 700); /* there is room again */
    wire_run(w, w->now + SEC);
    struct udp_datagram d, last = {0};
    while (udp_receive(b, &d) == 0) {
        last = d;
        heap_free(d.payload.base);
    }
    assert_int_equal(last.payload.len, 700);
    udp_close(a);
    udp_close(b);
    wire_delete(w);
}

static void invalid_lengths_and_checksums_are_refused_and_checksum_0_is_accepted(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct host *h = &w->hosts[0];
    struct udp_socket *u = open_bound(h, 2000);
    struct udp_datagram d;
    uint8_t p[HEADERS + 16] = {0}, *udp = p + HEADERS - UDP_HEADER_BYTES;
    for (uint16_t said = 0; said < 40; said++) {
        struct udp_header header = {7, 2000, said, false};
        uint32_t len = frame_ip4(p, IP_UDP, 24);
        udp_emit(udp, &header);
        host_receive(h, p, len);
        bool good = said >= UDP_HEADER_BYTES && said <= 24;
        assert_int_equal(udp_receive(u, &d), good ? 0 : -EAGAIN);
        if (good) assert_int_equal(d.payload.len, said - UDP_HEADER_BYTES);
        if (good && d.payload.base) heap_free(d.payload.base);
    }
    for (uint16_t bytes = 0; bytes < UDP_HEADER_BYTES; bytes++)
        host_receive(h, p, frame_ip4(p, IP_UDP, bytes));
    struct udp_header header = {7, 2000, 24, true};
    uint32_t len = frame_ip4(p, IP_UDP, 24);
    udp_emit(udp, &header);
    wire_put16(udp + UDP_CHECKSUM_OFFSET, 0x1234);
    host_receive(h, p, len);
    assert_int_equal(counted(h, udp_bad_checksum), 1);
    assert_int_equal(counted(h, udp_bad_header), 8 + 15 + 8);
    assert_int_equal(udp_receive(u, &d), -EAGAIN);
    udp_close(u);
    wire_delete(w);
}

static void checksum_offload_is_requested_with_its_offsets(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    w->hosts[0].config.offloads = INET_OFFLOAD_CSUM;
    static struct inet_static_neighbour peer;
    peer.addr = inet_addr_ip4(IP(10, 0, 0, 2));
    w->hosts[0].config.neighbours = &peer;
    w->hosts[0].config.neighbour_count = 1;
    host_start(w, 0);
    struct udp_socket *u = open_bound(&w->hosts[0], 1000);
    struct inet_endpoint to = endpoint(2, 2000);
    send_bytes(&w->hosts[0], u, &to, 101);
    const struct wire_frame *f = host_sent(&w->hosts[0]);
    assert_int_equal(f->flags, INET_FRAME_CSUM);
    /* computes the checksum as a device does; it must be valid */
    uint8_t *check = f->bytes + f->csum_start + f->csum_offset;
    wire_store16(check, csum_finish(csum_add(0, f->bytes + f->csum_start, f->len - f->csum_start)));
    uint64_t sum = ip4_pseudo_sum(IP(10, 0, 0, 1), IP(10, 0, 0, 2), IP_UDP, 109);
    assert_int_equal(csum_fold(csum_add(sum, f->bytes + 34, 109)), 0xffff);
    /* the stack computes the checksum of a fragmented datagram itself */
    send_bytes(&w->hosts[0], u, &to, 3000);
    f = host_sent(&w->hosts[0]);
    assert_int_equal(f->flags, 0);
    assert_int_not_equal(wire_get16(f->bytes + 40), 0);
    udp_close(u);
    wire_delete(w);
}

static void expect_local(const struct udp_socket *u, uint32_t ip, bool port) {
    struct inet_endpoint local = udp_local(u);
    assert_int_equal(inet_addr_to_ip4(&local.addr), ip);
    assert_int_equal(local.port != 0, port);
}

static void connect_chooses_a_local_address_and_disconnect_releases_it(void **state) {
    (void)state;
    struct wire *w = new_pair();
    struct inet *s = w->hosts[0].stack;
    struct inet_endpoint to = endpoint(2, 2000), own = endpoint(1, 0), given = {.port = 1000};
    struct udp_socket *plain, *at_own, *at_port;
    assert_int_equal(udp_open(s, &plain, NULL) + udp_open(s, &at_own, NULL) + udp_open(s, &at_port, NULL), 0);
    assert_int_equal(udp_bind(at_own, &own), 0);
    assert_int_equal(udp_bind(at_port, &given), 0);
    udp_disconnect(at_own); /* no effect: the socket is not connected */
    expect_local(at_own, IP(10, 0, 0, 1), true);
    struct udp_socket *all[] = {plain, at_own, at_port};
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(udp_connect(all[i], &to), 0);
        expect_local(all[i], IP(10, 0, 0, 1), true);
        udp_disconnect(all[i]);
        assert_int_equal(udp_remote(all[i]).port, 0);
    }
    expect_local(plain, 0, false);
    expect_local(at_own, IP(10, 0, 0, 1), false);
    expect_local(at_port, 0, true);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(udp_send(all[i], NULL, 0, NULL, w->now), -EDESTADDRREQ);
        assert_int_equal(udp_send(all[i], NULL, 0, &to, w->now), 0);
    }
    expect_local(plain, 0, true);
    expect_local(at_own, IP(10, 0, 0, 1), true);
    for (uint32_t i = 0; i < 3; i++)
        udp_close(all[i]);
    assert_int_equal(inet_waiting(s), 3);
    wire_run(w, w->now + 10 * SEC);
    assert_int_equal(inet_waiting(s), 0);
    assert_int_equal(counted(&w->hosts[1], udp_no_port), 3);
    wire_delete(w);
}

static void connected_socket_receives_only_datagrams_to_its_local_address(void **state) {
    (void)state;
    struct wire *w = wire_new(1);
    w->hosts[0].config.addrs[1] = (struct inet_prefix){inet_addr_ip4(IP(10, 0, 0, 9)), 24};
    w->hosts[0].config.addr_count = 2;
    host_start(w, 0);
    host_start(w, 1);
    wire_join(w);
    struct udp_socket *a = open_bound(&w->hosts[0], 1000), *b = open_bound(&w->hosts[1], 2000);
    struct inet_endpoint first = endpoint(1, 1000), second = endpoint(9, 1000), to = endpoint(2, 2000);
    struct udp_datagram d;
    send_bytes(&w->hosts[1], b, &second, 3);
    wire_run(w, w->now + SEC);
    expect_bytes(a, 3);
    assert_int_equal(udp_connect(a, &to), 0);
    send_bytes(&w->hosts[1], b, &second, 4);
    send_bytes(&w->hosts[1], b, &first, 5);
    wire_run(w, w->now + SEC);
    expect_bytes(a, 5);
    assert_int_equal(udp_receive(a, &d), -EAGAIN);
    udp_disconnect(a);
    send_bytes(&w->hosts[1], b, &second, 6);
    wire_run(w, w->now + SEC);
    expect_bytes(a, 6);
    udp_close(a);
    udp_close(b);
    wire_delete(w);
}

static void tos_and_ttl_of_the_socket_are_sent(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct udp_socket *u = open_bound(&w->hosts[0], 0);
    struct inet_endpoint to = endpoint(2, 2000);
    const uint8_t *ip;
    send_bytes(&w->hosts[0], u, &to, 10);
    ip = host_sent(&w->hosts[0])->bytes + ETH_HEADER_BYTES;
    assert_int_equal(ip[1], udp_tos(u));
    assert_int_equal(ip[8], udp_ttl(u));
    udp_set_tos(u, 0xb8);
    udp_set_ttl(u, 3);
    send_bytes(&w->hosts[0], u, &to, 10);
    ip = host_sent(&w->hosts[0])->bytes + ETH_HEADER_BYTES;
    assert_int_equal(ip[1], 0xb8);
    assert_int_equal(ip[8], 3);
    udp_close(u);
    wire_delete(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_chooses_a_local_address_and_disconnect_releases_it),
        cmocka_unit_test(connected_socket_receives_only_datagrams_to_its_local_address),
        cmocka_unit_test(tos_and_ttl_of_the_socket_are_sent),
        cmocka_unit_test(datagrams_of_all_sizes_arrive_with_their_sender),
        cmocka_unit_test(invalid_sends_are_refused),
        cmocka_unit_test(full_device_is_reported_to_the_sender),
        cmocka_unit_test(connected_socket_receives_only_from_its_peer_and_reports_refusals),
        cmocka_unit_test(unreachable_neighbour_is_reported_to_a_connected_socket),
        cmocka_unit_test(ports_are_exclusive_and_chosen_at_random),
        cmocka_unit_test(datagram_to_our_own_address_does_not_use_the_device),
        cmocka_unit_test(loopback_queue_is_bounded),
        cmocka_unit_test(checksum_of_0_is_sent_as_all_ones),
        cmocka_unit_test(unread_datagrams_use_bounded_memory),
        cmocka_unit_test(invalid_lengths_and_checksums_are_refused_and_checksum_0_is_accepted),
        cmocka_unit_test(checksum_offload_is_requested_with_its_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
