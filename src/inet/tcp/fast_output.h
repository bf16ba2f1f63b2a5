/* SPDX-License-Identifier: MIT */
/*
 * Fast path of output, for calm connections: what was just pushed leaves at once as one segment, with the headers of
 * the connection's template. It is a header because conn_flush alone uses it, and both need one stack frame then.
 */
#ifndef INET_TCP_FAST_OUTPUT_H
#define INET_TCP_FAST_OUTPUT_H

#include "inet/tcp/calm.h"
#include "inet/tcp/fast_headers.h"
#include "inet/tcp/output.h"

/* Whether the push is all there is to send, and nothing delays it. */
static inline bool leaves_at_once(struct tcp_conn *c, uint32_t len) {
    const struct tcp_send *s = &c->send;
    uint32_t out = send_out(s);
    if (!calm_is(c) || s->unmarked || s->nxt + len != s->end || len > s->mss || out + len > s->wnd) return false;
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
    if (!template_ready(c, t)) return false;
    if (!scoreboard_append(&f->scoreboard, s->now, seq, len)) return false;
    uint32_t promise = conn_receive_window(c);
    uint64_t sum = template_patch(c, t, seq, TCP_PSH | TCP_ACK, receive_window_field(&c->receive, promise), len);
    if (!t->csum) template_checksum(t, csum_add(sum, data->base, len));
    c->send.nxt = seq + len;
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
