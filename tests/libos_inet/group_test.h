/* SPDX-License-Identifier: MIT */
/*
 * Shared by the tests of several runtimes on one device. All runtimes run on the test's thread. The test plays the
 * peer: it sends segments one by one, and decides which runtime polls next.
 */
#ifndef TESTS_GROUP_TEST_H
#define TESTS_GROUP_TEST_H

#include "api/api.h"
#include "base/clock.h"
#include "base/csum.h"
#include "base/toeplitz.h"
#include "inet/tcp/tcp.h"
#include "inet/wire/eth.h"
#include "inet/wire/ip4.h"
#include "inet/wire/tcp.h"
#include "libos/inet/device_group.h"
#include "libos/inet/net.h"
#include "mem/heap.h"
#include "net_test.h"

#define MEMBERS 3u
#define PORT    80
#define HEADERS (ETH_HEADER_BYTES + IP4_HEADER_BYTES)
#define MAC     "02:00:00:00:00:99"

static const uint8_t our_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 1}, peer_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 0x99};

static struct netdev *wire;
static struct dmtr_runtime *members[MEMBERS];
static uint64_t wire_ns = 1;

/* The last segment that the test received, and their number. If `only_port` is not 0, other ports are ignored. */
static uint16_t only_port;
static struct tcp_header last_segment;
static uint32_t segment_count, payload_bytes;
static uint8_t payload_first_byte;

static inline struct net *net_of(uint32_t i) {
    return members[i]->libos[0].state;
}

static inline struct steering *steering(void) {
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (members[i]) return &net_of(i)->group->steering;
    return NULL;
}

static inline void start_member(uint32_t i) {
    static const char address[] = "inet.address=" OUR_ADDRESS "/24";
    static const char neighbour[] = "inet.neighbours=" PEER_ADDRESS "=" MAC;
    char device[96];
    snprintf(device, sizeof device, "inet.device_options=path=/tmp/dmtr-inet.%d", wire_owner());
    api_runtime = NULL;
    assert_ok(start_with_options((const char *const[]){"libos=inet", "inet.device=shm", "log.sink=none", device,
                                                       address, "inet.mac=02:00:00:00:00:01", neighbour,
                                                       "inet.queues=3", "core.linger_ms=0", NULL}));
    members[i] = api_runtime;
    assert_int_equal(net_of(i)->member, i);
}

static inline void stop_member(uint32_t i) {
    api_runtime = members[i];
    assert_ok(dmtr_fini());
    members[i] = NULL;
}

static inline void poll_member(uint32_t i) {
    runtime_poll(members[i]);
}

static inline void poll_all_members(void) {
    for (uint32_t n = 0; n < 4 * MEMBERS; n++)
        if (members[n % MEMBERS]) poll_member(n % MEMBERS);
}

static inline void setup(uint32_t count) {
    char options[64], why[160] = "";
    struct netdev_args args = {.options = options, .why = why, .why_bytes = sizeof why};
    snprintf(options, sizeof options, "path=/tmp/dmtr-inet.%d,listen=yes", wire_owner());
    if (netdev_open("shm", &args, &wire) < 0) fail_msg("%s", why);
    for (uint32_t i = 0; i < count; i++)
        start_member(i);
    for (uint32_t i = 0; i < 1000 && !wire->link_up; i++) {
        netdev_update(wire, wire_ns++);
        poll_all_members();
    }
    assert_true(wire->link_up);
}

/* Receives the segments that the runtimes have sent to the test. Other frames are ignored. */
static inline void receive_segments(void) {
    struct netdev_buffer b;
    segment_count = payload_bytes = 0;
    while (netdev_rx(wire, &b, 1, wire_ns++) == 1) {
        const uint8_t *p = b.data;
        if (b.bytes > HEADERS && wire_get16(p + ETH_HEADER_BYTES - 2) == ETH_TYPE_IP4 && p[HEADERS - 11] == IP_TCP) {
            uint32_t bytes = wire_get16(p + ETH_HEADER_BYTES + 2) - IP4_HEADER_BYTES;
            struct tcp_header h;
            assert_true(tcp_parse(&h, p + HEADERS, bytes));
            if (only_port == 0 || h.to_port == only_port) {
                last_segment = h;
                segment_count++;
                payload_bytes = bytes - h.header_bytes;
                if (payload_bytes) payload_first_byte = p[HEADERS + h.header_bytes];
            }
        }
        heap_free(b.data);
    }
}

static inline void teardown(void) {
    if (steering()) assert_int_equal(flow_count(steering()->flows), 0);
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (members[i]) stop_member(i);
    receive_segments();
    netdev_close(wire);
}

/* Sends a segment with the payload `text`. */
static inline void send_segment(uint16_t from_port, uint16_t to_port, uint8_t flags, uint32_t seq, uint32_t ack,
                                const char *text) {
    uint32_t payload = (uint32_t)strlen(text), bytes = HEADERS + TCP_HEADER_BYTES + payload;
    uint8_t *p = heap_alloc(bytes), *t = p + HEADERS;
    struct ip4_header ip = {.from = inet_addr(PEER_ADDRESS),
                            .to = inet_addr(OUR_ADDRESS),
                            .ttl = 64,
                            .protocol = IP_TCP,
                            .total_bytes = (uint16_t)(bytes - ETH_HEADER_BYTES)};
    eth_emit(p, our_mac, peer_mac, ETH_TYPE_IP4);
    ip4_emit(p + ETH_HEADER_BYTES, &ip);
    tcp_emit_fixed(t, from_port, to_port, seq, ack, TCP_HEADER_BYTES, flags, 65535);
    memcpy(t + TCP_HEADER_BYTES, text, payload);
    uint64_t sum = ip4_pseudo_sum(ip.from, ip.to, IP_TCP, TCP_HEADER_BYTES + payload);
    wire_store16(t + TCP_CHECKSUM_OFFSET, csum_finish(csum_add(sum, t, TCP_HEADER_BYTES + payload)));
    struct netdev_seg seg = {p, bytes};
    struct netdev_frame frame = {.segs = &seg, .bytes = bytes, .segs_count = 1};
    assert_int_equal(netdev_tx(wire, &frame, 1, wire_ns++), 1);
    heap_free(p);
}

/* Returns the nth source port for which a flow to `to_port` hashes to member `home`. */
static inline uint16_t port_with_home(uint32_t home, uint16_t to_port, uint32_t n) {
    struct flow_key k = {inet_addr(OUR_ADDRESS), inet_addr(PEER_ADDRESS), to_port, 2000, IP_TCP};
    for (;; k.remote_port++)
        if (toeplitz_queue(toeplitz_ip4(k.local, k.remote, k.local_port, k.remote_port), MEMBERS) == home && n-- == 0)
            return k.remote_port;
}

static inline int listen_on_member(uint32_t i, uint16_t port, int backlog) {
    struct sockaddr_in a = address_of(OUR_ADDRESS, port);
    int qd;
    api_runtime = members[i];
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(qd, (struct sockaddr *)&a, sizeof a));
    assert_ok(dmtr_listen(qd, backlog));
    return qd;
}

static inline dmtr_qtoken_t begin_accept(uint32_t i, int qd) {
    dmtr_qtoken_t qt;
    api_runtime = members[i];
    assert_ok(dmtr_accept(&qt, qd));
    return qt;
}

static inline int wait_accepted(uint32_t i, dmtr_qtoken_t qt) {
    dmtr_qresult_t qr;
    api_runtime = members[i];
    assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    assert_int_equal(qr.qr_error, 0);
    return qr.qr_value.ares.qd;
}

/* Completes a handshake. Returns the initial sequence number of the stack. */
static inline uint32_t complete_handshake(uint16_t from_port, uint16_t to_port) {
    send_segment(from_port, to_port, TCP_SYN, 100, 0, "");
    poll_all_members();
    only_port = from_port;
    receive_segments();
    assert_int_equal(segment_count, 1);
    assert_int_equal(last_segment.flags, TCP_SYN | TCP_ACK);
    send_segment(from_port, to_port, TCP_ACK, 101, last_segment.seq + 1, "");
    poll_all_members();
    receive_segments();
    assert_int_equal(segment_count, 0);
    only_port = 0;
    return last_segment.seq;
}

/* Connects to a listener of member i and accepts the connection. */
static inline int connect_and_accept(uint32_t i, int listener, uint16_t from_port, uint32_t *iss) {
    dmtr_qtoken_t qt = begin_accept(i, listener);
    *iss = complete_handshake(from_port, PORT);
    return wait_accepted(i, qt);
}

/* Pops `text`, in one or more pieces. */
static inline void expect_text_on_member(uint32_t i, int qd, const char *text) {
    api_runtime = members[i];
    for (size_t at = 0, len = strlen(text); at < len;) {
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), HANG));
        assert_int_equal(qr.qr_error, 0);
        const dmtr_sgaseg_t *seg = &qr.qr_value.sga.sga_segs[0];
        assert_uint_in_range(seg->sgaseg_len, 1, len - at);
        assert_memory_equal(seg->sgaseg_buf, text + at, seg->sgaseg_len);
        at += seg->sgaseg_len;
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
}

static inline void expect_reset(void) {
    receive_segments();
    assert_int_equal(segment_count, 1);
    assert_true(last_segment.flags & TCP_RST);
}

static inline void reset_and_close(uint32_t i, int qd) {
    const struct linger none = {.l_onoff = 1};
    api_runtime = members[i];
    assert_ok(dmtr_setsockopt(qd, SOL_SOCKET, SO_LINGER, &none, sizeof none));
    assert_ok(dmtr_close(qd));
    receive_segments();
}

static inline uint64_t count_frames_in(void) {
    uint64_t all = 0;
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (members[i]) all += inet_counters(net_of(i)->stack)[INET_COUNTER_frames_in];
    return all;
}

static inline uint64_t sum_counter(enum net_counter c) {
    uint64_t all = 0;
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (members[i]) all += net_of(i)->counters[c];
    return all;
}

static inline int open_handover(uint32_t i) {
    int qd;
    api_runtime = members[i];
    assert_ok(dmtr_handover(&qd));
    return qd;
}

static inline int transfer_to_member(uint32_t from, int qd, uint32_t to) {
    api_runtime = members[from];
    return dmtr_transfer(qd, members[to]->id);
}

#endif
