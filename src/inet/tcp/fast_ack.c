/* SPDX-License-Identifier: MIT */
/*
 * Fast path of tcp_ack and of what follows it, for calm connections: an ACK without SACK blocks that ends with a
 * segment. Segments have arrived in the order in which they were sent, so that the last one gives the sample of the
 * round-trip time and is RACK's newest, and nothing was overtaken.
 */
#include "inet/tcp/calm.h"

/* The last segment that the ACK covers. NULL: the ACK covers a segment in part. */
static inline const struct tcp_sent *last_acked(const struct tcp_scoreboard *b, uint32_t ack, uint32_t *count) {
    const struct tcp_sent *e;
    uint32_t n = 0;
    do {
        e = scoreboard_at(b, b->sent.first + n++);
    } while (seq_lt(e->seq + e->len, ack));
    *count = n;
    return e->seq + e->len == ack ? e : NULL;
}

/* Takes the first `count` segments off. The sums do not count segments in flight, and stay. */
static inline void segments_acked(struct tcp_scoreboard *b, uint32_t count) {
    b->sent.first += count;
    b->sent.count -= count;
    if (b->sent.count == 0) return; /* scoreboard_add resets the order of time */
    b->oldest = b->sent.first;
    scoreboard_at(b, b->oldest)->older = TCP_SENT_NONE;
}

bool tcp_ack_expected(struct tcp_conn *c, uint32_t ack) {
    struct tcp_flight *f = c->recovery.flight;
    struct tcp_scoreboard *b = &f->scoreboard;
    uint32_t acked = ack - c->send.una, count;
    uint64_t now = c->stack->now;
    const struct tcp_sent *last = last_acked(b, ack, &count);
    if (!last || c->stack->neighbours.probing > 0) return false;
    uint64_t rtt_us = (now - last->sent_ns) / 1000;
    b->rack_ns = last->sent_ns;
    b->rack_rtt_us = rtt_us < UINT32_MAX ? (uint32_t)rtt_us : UINT32_MAX;
    b->high = b->rack_end = c->send.una = ack;
    segments_acked(b, count);
    c->timers.progress_ns = now;
    rtt_sample(&c->rtt, now, rtt_us ? rtt_us : 1);
    if (recovery_window_full(&c->recovery, &c->cc)) tcp_cc_grow(&c->cc, acked, c->send.mss, c->rtt.srtt_us, now);
    if (ack == c->send.end)
        timers_clear(&c->timers, TCP_TIMER_SEND);
    else
        tcp_arm_send(c);
    c->statistics.bytes_acked += acked;
    if (send_queue_acked(&f->queue, ack)) socket_event(c->stack, &c->socket, INET_EVENT_WRITABLE);
    if (ack != c->send.nxt) return true;
    conn_idle(c);
    if (ack == c->send.end) conn_limited_by(c, TCP_LIMIT_IDLE);
    return true;
}
