/* SPDX-License-Identifier: MIT */
/*
 * Fast path of output, for calm connections: what was just pushed leaves at once as one segment, with the headers of
 * the connection's template. It is a header because tcp_push alone uses it, and both need one stack frame then.
 */
#ifndef INET_TCP_FAST_OUTPUT_H
#define INET_TCP_FAST_OUTPUT_H

#include "inet/ip/neighbour.h"
#include "inet/tcp/calm.h"
#include "inet/tcp/output.h"

/*
 * Writes all fields, with the zero checksums that the sums are for. False: the next hop is not a known neighbour, or
 * the packet needs an IP identification.
 */
static __attribute__((noinline)) bool template_write(struct tcp_conn *c, struct tcp_template *t) {
    struct inet *s = c->stack;
    uint32_t from = inet_addr_to_ip4(&c->flow.local), to = inet_addr_to_ip4(&c->flow.remote);
    struct neighbour *n = dest_find(s, to)->neighbour;
    if (!c->path.dont_fragment || !neighbour_is_known(n)) return false;
    uint32_t tcp_bytes = TCP_HEADER_BYTES + (c->send.timestamps ? TCP_TIMESTAMP_BYTES : 0);
    uint8_t *ip = t->headers + TCP_TEMPLATE_IP, *p = t->headers + TCP_TEMPLATE_TCP;
    const struct ip4_header h = {
        .from = from, .to = to, .tos = c->path.tos, .ttl = c->path.ttl, .protocol = IP_TCP, .fragment_flags = IP4_DF};
    eth_emit(t->headers, n->mac, s->config.mac, ETH_TYPE_IP4);
    ip4_emit(ip, &h);
    wire_store16(ip + IP4_CHECKSUM_OFFSET, 0);
    tcp_emit_fixed(p, c->flow.local_port, c->flow.remote_port, 0, 0, tcp_bytes, TCP_PSH | TCP_ACK, 0);
    if (c->send.timestamps) wire_put32(p + TCP_HEADER_BYTES, TCP_TIMESTAMP_ALONE);
    t->bytes = (uint8_t)(TCP_TEMPLATE_TCP + tcp_bytes);
    t->csum = s->config.offloads & INET_OFFLOAD_CSUM;
    t->ip_sum = csum_fold(ip4_header_sum(ip));
    uint64_t sum = ip4_pseudo_sum(from, to, IP_TCP, 0);
    if (!t->csum) { /* the fields that change count as zero */
        sum += wire_load32(p) + (uint64_t)wire_load16(p + 12);
        if (c->send.timestamps) sum += wire_load32(p + TCP_HEADER_BYTES);
    }
    t->tcp_sum = csum_fold(sum);
    t->payload = UINT32_MAX;
    t->neighbour = n;
    t->epoch = s->dest_epoch;
    return true;
}

/* Sets the lengths, and the checksums that depend on nothing else. */
static inline void template_resize(struct tcp_template *t, uint32_t payload) {
    uint32_t tcp_bytes = t->bytes - TCP_TEMPLATE_TCP + payload;
    t->payload = payload;
    ip4_patch(t->headers + TCP_TEMPLATE_IP, t->ip_sum, (uint16_t)(IP4_HEADER_BYTES + tcp_bytes), 0);
    if (t->csum)
        wire_store16(t->headers + TCP_TEMPLATE_TCP + TCP_CHECKSUM_OFFSET,
                     csum_fold((uint64_t)t->tcp_sum + htobe16((uint16_t)tcp_bytes)));
}

/* Patches the headers for the next segment. */
static inline void template_fill(struct tcp_conn *c, struct tcp_template *t, uint16_t window,
                                 const struct inet_segment *data) {
    uint8_t *p = t->headers + TCP_TEMPLATE_TCP;
    uint32_t seq = htobe32(c->send.nxt), ack = htobe32(c->receive.nxt), value = 0, echo = 0;
    if (t->payload != data->len) template_resize(t, data->len);
    wire_store32(p + 4, seq);
    wire_store32(p + 8, ack);
    wire_put16(p + 14, window);
    if (c->send.timestamps) {
        value = htobe32(conn_clock_ms(c));
        echo = htobe32(c->ts.recent);
        wire_store32(p + TCP_HEADER_BYTES + 4, value);
        wire_store32(p + TCP_HEADER_BYTES + 8, echo);
    }
    if (t->csum) return;
    uint64_t sum = (uint64_t)t->tcp_sum + htobe16((uint16_t)(t->bytes - TCP_TEMPLATE_TCP + data->len)) + seq + ack +
                   htobe16(window) + value + echo;
    wire_store16(p + TCP_CHECKSUM_OFFSET, csum_finish(csum_add(sum, data->base, data->len)));
}

/* Whether the push is all there is to send, and nothing delays it. */
static inline bool leaves_at_once(struct tcp_conn *c, uint32_t len) {
    const struct tcp_send *s = &c->send;
    uint32_t out = send_out(s);
    if (!calm_is(c) || s->more || s->nxt + len != s->end || len > s->mss || out + len > s->wnd) return false;
    if (c->path.epoch != c->stack->path_epoch) return false;
    if (out == 0) return c->stack->now - s->sent_ns <= (uint64_t)c->rtt.rto_us * 1000;
    return out + len <= c->cc.cwnd && (s->nodelay || len == s->mss || !seq_lt(s->una, s->small_end));
}

/* As scoreboard_add, for a scoreboard in the order of time. False: there is no room without an allocation. */
static inline bool scoreboard_append(struct tcp_scoreboard *b, uint64_t now, uint32_t seq, uint32_t len) {
    if (b->sent.count == b->sent.room) return false;
    if (b->sent.count == 0) b->sent.first = b->lost_from = b->oldest = 0;
    uint32_t position = scoreboard_end(b);
    if (position == TCP_SENT_NONE) return false;
    struct tcp_sent *e = scoreboard_at(b, position);
    *e = (struct tcp_sent){
        .sent_ns = now, .seq = seq, .len = len & 0xffffff, .older = TCP_SENT_NONE, .newer = TCP_SENT_NONE};
    if (b->sent.count > 0) {
        e->older = position - 1;
        scoreboard_at(b, position - 1)->newer = position;
    }
    b->newest = position;
    b->sent.count++;
    return true;
}

/*
 * As tcp_arm_new. With backoff 0 the retransmission timeout is below its limit; without user timeout no deadline is
 * moved forward.
 */
static inline void arm_new(struct tcp_conn *c) {
    if (timers_pending(&c->timers, TCP_TIMER_SEND) && c->timers.send_timer == TCP_SEND_RTO) return;
    if (c->rtt.srtt_us == 0) {
        tcp_arm_send(c);
        return;
    }
    uint64_t probe_ns = recovery_probe_ns(&c->recovery, &c->rtt), rto_ns = (uint64_t)c->rtt.rto_us * 1000;
    c->timers.send_timer = TCP_SEND_PROBE;
    conn_deadline(c, TCP_TIMER_SEND, c->stack->now + (probe_ns < rto_ns ? probe_ns : rto_ns));
}

/* The device has refused the segment. */
static __attribute__((noinline)) void refused(struct tcp_conn *c) {
    sent_take_back(c);
    output_blocked(c);
    output_ended(c, c->send.nxt, false);
}

/*
 * `data` was just pushed. Sends it if it is all there is to send, nothing delays it and the connection is calm. False:
 * nothing was done.
 */
static inline __attribute__((always_inline)) bool tcp_output_expected(struct tcp_conn *c,
                                                                      const struct inet_segment *data) {
    struct inet *s = c->stack;
    struct tcp_flight *f = c->recovery.flight;
    struct tcp_template *t = &f->template;
    uint32_t seq = c->send.nxt, len = data->len;
    if (!leaves_at_once(c, len)) return false;
    if (__builtin_expect(t->epoch != s->dest_epoch, 0) && !template_write(c, t)) return false;
    if (!scoreboard_append(&f->scoreboard, s->now, seq, len)) return false;
    uint32_t promise = conn_receive_window(c);
    template_fill(c, t, receive_window_field(&c->receive, promise), data);
    c->send.nxt = seq + len;
    t->neighbour->used = true;
    if (link_transmit_headers(s, t->headers, t->bytes, data, t->csum ? INET_FRAME_CSUM : 0, TCP_CHECKSUM_OFFSET)) {
        refused(c);
        return true;
    }
    segment_left(c, promise);
    ack_done(c);
    c->send.sent_ns = s->now;
    new_left(c, c->send.una == seq, len);
    statistics_limit(&c->statistics, TCP_LIMIT_PATH, s->now);
    recovery_window_used(&c->recovery, c->send.una, c->send.nxt, send_out(&c->send) >= c->cc.cwnd);
    arm_new(c);
    return true;
}

#endif
