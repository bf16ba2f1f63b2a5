/* SPDX-License-Identifier: MIT */
/* Packet scripts against one TCP stack. */
#include "tcp_script.h"

#include <stdlib.h>

#define HEADERS (ETH_HEADER_BYTES + IP4_HEADER_BYTES)

struct script *script_new(void) {
    struct script *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->w = wire_new_scripted();
    s->h = &s->w->hosts[0];
    s->window = 65535;
    s->port = STACK_PORT;
    s->peer_port = PEER_PORT;
    s->peer_ip = IP(10, 0, 0, 2);
    return s;
}

void script_delete(struct script *s) {
    if (s->conn) tcp_abort(s->conn, s->w->now);
    if (s->listener) tcp_listener_close(s->listener, s->w->now);
    drain(s);
    wire_delete(s->w);
    free(s);
}

void in(struct script *s, struct seg g) {
    static uint8_t p[65536];
    struct tcp_header h = {
        .from_port = s->peer_port,
        .to_port = s->port,
        .seq = g.seq + PEER_ISN,
        .ack = g.flags & TCP_ACK ? g.ack + s->iss : 0,
        .flags = g.flags,
        .window = g.window,
        .options = g.options,
    };
    if (s->timestamps) {
        h.options.has_timestamp = true;
        h.options.ts_value = s->ts;
        h.options.ts_echo = s->ts_echo;
    }
    h.header_bytes = (uint8_t)(TCP_HEADER_BYTES + tcp_options_bytes(&h.options));
    uint32_t bytes = h.header_bytes + g.len, len = frame_ip4(p, IP_TCP, bytes);
    tcp_emit(p + HEADERS, &h);
    for (uint32_t i = 0; i < g.len; i++)
        p[HEADERS + h.header_bytes + i] = (uint8_t)(g.seq - 1 + i);
    if (s->peer_ip != IP(10, 0, 0, 2)) {
        uint8_t *ip = p + ETH_HEADER_BYTES;
        wire_store32(ip + 12, s->peer_ip);
        wire_store16(ip + 10, 0);
        wire_store16(ip + 10, csum_finish(csum_add(0, ip, IP4_HEADER_BYTES)));
    }
    uint64_t sum = ip4_pseudo_sum(s->peer_ip, IP(10, 0, 0, 1), IP_TCP, bytes);
    wire_store16(p + HEADERS + TCP_CHECKSUM_OFFSET, csum_finish(csum_add(sum, p + HEADERS, bytes)));
    host_receive(s->h, p, len);
}

void in_data(struct script *s, uint32_t seq, uint32_t len, uint32_t ack) {
    in(s, (struct seg){.flags = TCP_ACK, .seq = seq, .len = len, .ack = ack, .window = s->window});
}

void in_ack(struct script *s, uint32_t ack) {
    in_data(s, 1, 0, ack);
}

void in_sack(struct script *s, uint32_t ack, uint32_t from, uint32_t to) {
    in(s, (struct seg){.flags = TCP_ACK,
                       .seq = 1,
                       .ack = ack,
                       .window = s->window,
                       .options = {.sack_count = 1, .sack = {{s->iss + from, s->iss + to}}}});
}

struct seg out(struct script *s) {
    const struct wire_frame *f = host_sent(s->h);
    struct tcp_header h;
    struct ip4_header ip = {0};
    assert_non_null(f);
    assert_true(ip4_parse(&ip, f->bytes + ETH_HEADER_BYTES, f->len - ETH_HEADER_BYTES));
    uint32_t bytes = ip.total_bytes - IP4_HEADER_BYTES;
    assert_true(tcp_parse(&h, f->bytes + HEADERS, bytes));
    assert_int_equal(csum_fold(csum_add(ip4_pseudo_sum(ip.from, ip.to, IP_TCP, bytes), f->bytes + HEADERS, bytes)),
                     0xffff);
    if (h.flags & TCP_SYN) {
        s->iss = h.seq;
        s->port = h.from_port;
    }
    struct seg g = {
        .flags = h.flags,
        .seq = h.seq - s->iss,
        .ack = h.flags & TCP_ACK ? h.ack - PEER_ISN : 0,
        .len = bytes - h.header_bytes,
        .window = h.window,
        .options = h.options,
    };
    for (uint32_t i = 0; i < g.len; i++)
        assert_int_equal(f->bytes[HEADERS + h.header_bytes + i], (uint8_t)(g.seq - 1 + i));
    return g;
}

struct seg expect(struct script *s, uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack) {
    struct seg g = out(s);
    assert_int_equal(g.flags & ~TCP_PSH, flags);
    assert_int_equal(g.seq, seq);
    assert_int_equal(g.len, len);
    assert_int_equal(g.ack, ack);
    return g;
}

void expect_nothing(struct script *s) {
    host_expect_silence(s->h);
}

uint32_t drain(struct script *s) {
    uint32_t n = 0;
    for (; s->h->frame_count > 0; n++)
        host_sent(s->h);
    return n;
}

void script_accept(struct script *s, struct tcp_options options) {
    struct inet_endpoint any = {.port = STACK_PORT};
    if (options.mss == 0) options.mss = 1000;
    assert_int_equal(tcp_listen(s->h->stack, &s->listener, &any, 4, NULL, NULL), 0);
    in(s, (struct seg){.flags = TCP_SYN, .window = s->window, .options = options});
    expect(s, TCP_SYN | TCP_ACK, 0, 0, 1);
    assert_false(tcp_acceptable(s->listener));
    in_ack(s, 1);
    assert_true(tcp_acceptable(s->listener));
    assert_int_equal(tcp_accept(s->listener, &s->conn, NULL), 0);
    expect_nothing(s);
}

void script_connect(struct script *s, struct tcp_options options) {
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, 2)), PEER_PORT};
    if (options.mss == 0) options.mss = 1000;
    assert_int_equal(tcp_connect(s->h->stack, &s->conn, &to, NULL, NULL, NULL, s->w->now), 0);
    expect(s, TCP_SYN, 0, 0, 0);
    in(s, (struct seg){.flags = TCP_SYN | TCP_ACK, .ack = 1, .window = s->window, .options = options});
    expect(s, TCP_ACK, 1, 0, 1);
}

int push_unsent(struct script *s, uint32_t bytes) {
    uint8_t *p = heap_alloc(bytes);
    for (uint32_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(s->pushed + i);
    struct inet_segment data = {p, bytes};
    int error = tcp_push(s->conn, &data, false, s->w->now);
    if (!error) s->pushed += bytes;
    heap_free(p);
    return error;
}

int push(struct script *s, uint32_t bytes) {
    int error = push_unsent(s, bytes);
    inet_flush(s->h->stack, s->w->now);
    return error;
}

int64_t pop(struct script *s) {
    struct inet_slice slice;
    int64_t n = 0;
    while (tcp_pop(s->conn, &slice, UINT32_MAX, s->w->now) == 0) {
        if (slice.len == 0) return n > 0 ? n : -1;
        for (uint32_t i = 0; i < slice.len; i++)
            assert_int_equal(((uint8_t *)slice.base)[i], (uint8_t)(s->popped + i));
        s->popped += slice.len;
        n += slice.len;
        heap_free(slice.base);
    }
    inet_flush(s->h->stack, s->w->now);
    return n;
}

void pass(struct script *s, uint64_t ns) {
    wire_run(s->w, s->w->now + ns);
}
