/* SPDX-License-Identifier: MIT */
/* The stack under the fuzz targets, and what must hold of it. */
#include "stack.h"

#include "inet/ip/ip4_output.h"
#include "inet/tcp/check.h"
#include "inet/wire/arp.h"
#include "inet/wire/eth.h"
#include "inet/wire/icmp.h"
#include "inet/wire/ip4.h"
#include "inet/wire/udp.h"
#include "leaks.h"

#define START_NS     (1000 * NS_PER_S)
#define FORGET_NS    (2000 * NS_PER_S)
#define HELD_MOST    (64u << 20) /* bytes of payload memory */
#define FIRINGS_MOST 100000u     /* of timers in one pass of time */

static const uint8_t our_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 1}, peer_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 2};

static uint32_t our_ip(void) {
    return htobe32(0x0a000001);
}
static uint32_t peer_ip(void) {
    return htobe32(0x0a000002);
}

static void check_tcp(struct stack *s, const uint8_t *p, uint32_t bytes) {
    struct tcp_header h;
    must(tcp_parse(&h, p, bytes));
    must(csum_fold(csum_add(ip4_pseudo_sum(our_ip(), peer_ip(), IP_TCP, bytes), p, bytes)) == 0xffff);
    struct inet_flow flow = {inet_addr_ip4(our_ip()), inet_addr_ip4(peer_ip()), h.from_port, h.to_port};
    const struct tcp_conn *c = hash_find(&s->inet->tcp_conns, &flow);
    for (uint32_t i = 0; c && i < bytes - h.header_bytes; i++)
        must(p[h.header_bytes + i] == (uint8_t)(h.seq - c->send.iss - 1 + i));
    uint32_t k = h.to_port - PEER_PORT;
    if (k < STACK_CONNS && h.options.has_timestamp) s->conns[k].ts = h.options.ts_value;
}

static int transmit(void *ctx, const struct inet_frame *f) {
    static uint8_t p[FRAME_MOST];
    struct stack *s = ctx;
    struct ip4_header ip;
    struct arp_packet arp;
    uint32_t len = 0;
    if (s->refuse > 0) {
        s->refuse--;
        return -EAGAIN;
    }
    must(f->bytes <= STACK_MTU + ETH_HEADER_BYTES && f->count <= INET_FRAME_SEGMENTS);
    for (uint32_t i = 0; i < f->count; len += f->segments[i++].len)
        memcpy(p + len, f->segments[i].base, f->segments[i].len);
    must(len == f->bytes);
    if (wire_get16(p + 12) == ETH_TYPE_ARP) {
        must(arp_parse(&arp, p + ETH_HEADER_BYTES, len - ETH_HEADER_BYTES));
        return 0;
    }
    must(wire_get16(p + 12) == ETH_TYPE_IP4 && ip4_parse(&ip, p + ETH_HEADER_BYTES, len - ETH_HEADER_BYTES));
    must(ip4_checksum_ok(p + ETH_HEADER_BYTES, ip.header_bytes) && ip.total_bytes == len - ETH_HEADER_BYTES);
    if (ip.protocol == IP_TCP && ip.from == our_ip() && ip.to == peer_ip() && !(ip.fragment_flags & IP4_MF) &&
        ip.fragment_offset == 0)
        check_tcp(s, p + ETH_IP_BYTES, ip.total_bytes - IP4_HEADER_BYTES);
    return 0;
}

void stack_begin(struct stack *s) {
    struct inet_static_neighbour peer = {.addr = inet_addr_ip4(peer_ip())};
    struct inet_config config = {
        .mtu = STACK_MTU,
        .addrs = {{inet_addr_ip4(our_ip()), 24}},
        .addr_count = 1,
        .gateway = inet_addr_ip4(htobe32(0x0a0000fe)),
        .neighbours = &peer,
        .neighbour_count = 1,
        .limits = {.neighbours = 16, .fragment_bytes = 1u << 20},
        .transmit = transmit,
        .ctx = s,
    };
    struct inet_endpoint listen = {.port = LISTEN_PORT}, udp = {.port = UDP_PORT};
    memcpy(peer.mac, peer_mac, sizeof peer_mac);
    memcpy(config.mac, our_mac, sizeof our_mac);
    *s = (struct stack){.now = START_NS};
    must(inet_new(&s->inet, &config, s->now) == 0);
    must(tcp_listen(s->inet, &s->listener, &listen, 2, NULL, NULL) == 0);
    must(udp_open(s->inet, &s->udp, NULL) == 0 && udp_bind(s->udp, &udp) == 0);
    for (uint32_t k = 0; k < STACK_CONNS; k++)
        s->conns[k].port = LISTEN_PORT;
}

/* Accepted connections take the place of their peer's port; what has no place is reset. */
static void accept_all(struct stack *s) {
    struct tcp_conn *c;
    while (tcp_accept(s->listener, &c, NULL) == 0) {
        uint32_t k = tcp_remote(c).port - PEER_PORT;
        if (k >= STACK_CONNS || s->conns[k].conn) {
            tcp_abort(c, s->now);
            continue;
        }
        s->conns[k] = (struct peer_conn){.conn = c, .port = LISTEN_PORT};
        c->socket.user = &s->conns[k];
    }
}

/* Which of the packets it is shows by its length. */
static void check_datagram(const struct stack *s, const struct udp_datagram *d) {
    uint32_t bytes = d->payload.len + UDP_HEADER_BYTES;
    uint16_t id = (uint16_t)((bytes - FRAGMENTED_LEAST) / FRAGMENTED_STEP);
    for (uint32_t i = 0; s->datagram && i < d->payload.len; i++)
        must(((uint8_t *)d->payload.base)[i] == s->datagram(id, bytes, UDP_HEADER_BYTES + i));
}

static void settle(struct stack *s) {
    struct inet_socket *k;
    struct udp_datagram d;
    uint32_t events;
    while ((k = inet_next_event(s->inet, &events)))
        if (k->kind == INET_TCP_LISTENER) accept_all(s);
    while (udp_receive(s->udp, &d) == 0) {
        check_datagram(s, &d);
        if (d.payload.base) heap_free(d.payload.base);
    }
    inet_flush(s->inet, s->now);
    const char *wrong = tcp_check_all(s->inet);
    if (wrong) fprintf(stderr, "not so: %s\n", wrong);
    must(!wrong);
    must(heap_used() < HELD_MOST);
}

void stack_receive(struct stack *s, const uint8_t *frame, uint32_t len, uint32_t flags) {
    uint8_t *p = heap_alloc(len);
    memcpy(p, frame, len);
    inet_input(s->inet, p, len, flags, s->now);
    settle(s);
}

void stack_receive_ip(struct stack *s, uint8_t *frame, uint8_t protocol, uint32_t bytes) {
    struct ip4_header h = {.from = peer_ip(),
                           .to = our_ip(),
                           .ttl = IP4_TTL,
                           .protocol = protocol,
                           .total_bytes = (uint16_t)(IP4_HEADER_BYTES + bytes)};
    eth_emit(frame, our_mac, peer_mac, ETH_TYPE_IP4);
    ip4_emit(frame + ETH_HEADER_BYTES, &h);
    stack_receive(s, frame, ETH_IP_BYTES + bytes, INET_INPUT_CSUM_OK);
}

void stack_pass(struct stack *s, uint64_t ns) {
    uint64_t until = s->now + ns;
    for (uint32_t i = 0; inet_next_ns(s->inet) <= until; i++) {
        must(i < FIRINGS_MOST);
        uint64_t next = inet_next_ns(s->inet);
        if (next > s->now) s->now = next;
        inet_timers(s->inet, s->now);
        settle(s);
    }
    s->now = until;
}

void stack_push(struct stack *s, uint32_t k, uint32_t bytes, bool more) {
    struct peer_conn *e = &s->conns[k];
    if (!e->conn) return;
    uint8_t *p = heap_alloc(bytes);
    for (uint32_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(e->pushed + i);
    struct inet_segment data = {p, bytes};
    if (tcp_push(e->conn, &data, more, s->now) == 0) e->pushed += bytes;
    must(heap_free(p) == 0);
    settle(s);
}

void stack_pop(struct stack *s, uint32_t k, uint32_t limit) {
    struct peer_conn *e = &s->conns[k];
    struct inet_slice slice;
    while (e->conn && tcp_pop(e->conn, &slice, limit, s->now) == 0) {
        must(slice.len <= limit && (!e->ended || slice.len == 0));
        if (slice.len == 0) {
            e->ended = true;
            break;
        }
        for (uint32_t i = 0; i < slice.len; i++)
            must(((uint8_t *)slice.base)[i] == (uint8_t)(e->popped + i));
        e->popped += slice.len;
        must(heap_free(slice.base) == 0);
    }
    settle(s);
}

void stack_connect(struct stack *s, uint32_t k) {
    struct peer_conn *e = &s->conns[k];
    struct inet_endpoint to = {inet_addr_ip4(peer_ip()), (uint16_t)(PEER_PORT + k)};
    if (e->conn) return;
    *e = (struct peer_conn){.conn = NULL};
    must(tcp_connect(s->inet, &e->conn, &to, NULL, NULL, e, s->now) == 0);
    e->port = tcp_local(e->conn).port;
    settle(s);
}

void stack_close(struct stack *s, uint32_t k, bool abort) {
    struct peer_conn *e = &s->conns[k];
    if (!e->conn) return;
    if (abort)
        tcp_abort(e->conn, s->now);
    else
        tcp_close(e->conn, s->now);
    e->conn = NULL;
    settle(s);
}

void stack_end(struct stack *s) {
    s->refuse = 0;
    for (uint32_t k = 0; k < STACK_CONNS; k++)
        stack_close(s, k, false);
    stack_pass(s, FORGET_NS);
    tcp_listener_close(s->listener, s->now);
    udp_close(s->udp);
    must(hash_count(&s->inet->tcp_conns) == 0 && list_empty(&s->inet->tcp_dead) && s->inet->fragments.bytes == 0);
    inet_delete(s->inet);
}
