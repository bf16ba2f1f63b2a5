/* SPDX-License-Identifier: MIT */
/*
 * Fast path of input, for calm connections (header prediction: Jacobson, in 4.3BSD). Most segments are the next one,
 * with no flags but ACK and PSH and no option but the timestamp. Few comparisons tell them apart, and they need few of
 * the steps of the slow path. It leaves all others, and all that is not clear, to the slow path. It is a header because
 * inet_input alone uses it, and both need one stack frame then.
 */
#ifndef INET_TCP_FAST_INPUT_H
#define INET_TCP_FAST_INPUT_H

#include "inet/tcp/calm.h"
#include "inet/tcp/check.h"
#include "inet/wire/ip4.h"

/* ---- ACKs: as tcp_ack and what ack_input does after it ---- */

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

/*
 * The ACK has no SACK blocks and acknowledges new data. Segments have arrived in the order in which they were sent, so
 * that the last one gives the sample of the round-trip time and is RACK's newest, and nothing was overtaken. *events:
 * what the application is told. False: it ends within a segment; nothing was done.
 */
static inline bool ack_expected(struct inet *s, struct tcp_conn *c, uint32_t ack, uint8_t *events) {
    struct tcp_flight *f = c->recovery.flight;
    struct tcp_scoreboard *b = &f->scoreboard;
    uint32_t acked = ack - c->send.una, count;
    uint64_t now = s->now;
    const struct tcp_sent *last = last_acked(b, ack, &count);
    if (!last || s->neighbours.probing > 0) return false;
    uint64_t rtt_us = (now - last->sent_ns) / 1000;
    b->rack_ns = last->sent_ns;
    b->rack_rtt_us = rtt_us < UINT32_MAX ? (uint32_t)rtt_us : UINT32_MAX;
    b->high = b->rack_end = c->send.una = ack;
    segments_acked(b, count);
    c->send.more = false;
    c->timers.progress_ns = now;
    rtt_sample(&c->rtt, now, rtt_us ? rtt_us : 1);
    if (recovery_window_full(&c->recovery, &c->cc)) tcp_cc_grow(&c->cc, acked, c->send.mss, c->rtt.srtt_us, now);
    if (ack == c->send.end)
        timers_clear(&c->timers, TCP_TIMER_SEND);
    else
        tcp_arm_send(c);
    c->statistics.bytes_acked += acked;
    if (send_queue_acked(&f->queue, ack)) *events |= INET_EVENT_WRITABLE;
    if (ack != c->send.nxt) return true;
    conn_idle(c);
    if (ack == c->send.end) statistics_limit(&c->statistics, TCP_LIMIT_IDLE, now);
    return true;
}

/* ---- segments ---- */

/* Whether it is the next segment, in the window, and says something new. */
static inline bool is_expected(const struct tcp_conn *c, const struct tcp_plain *e) {
    return e->seq == c->receive.nxt && e->ack - c->send.una <= send_out(&c->send) && e->window > 0 &&
           !seq_lt(c->receive.adv, e->seq + e->len) && (e->len > 0 || e->ack != c->send.una) &&
           (!c->send.timestamps || !seq_lt(e->ts_value, c->ts.recent));
}

static inline bool tcp_checksum_ok(const struct tcp_conn *c, const uint8_t *t, uint32_t bytes) {
    uint64_t sum = ip4_pseudo_sum(c->key.remote, c->key.local, IP_TCP, bytes);
    return csum_fold(csum_add(sum, t, bytes)) == 0xffff;
}

static inline bool payload_queue(struct tcp_conn *c, uint8_t *base, uint32_t len) {
    struct tcp_memory *m = &c->stack->tcp_memory;
    return receive_queue_in_place(&c->receive, m, base, len) || receive_queue(&c->receive, m, base, len);
}

/*
 * A segment of `bytes` bytes, at least 8, behind an IPv4 header without options. checked: its checksum is known to be
 * right. False: nothing was done; else the block is taken over.
 */
static inline bool tcp_input_expected(struct inet *s, uint8_t *t, uint32_t bytes, bool checked) {
    struct tcp_plain e;
    uint8_t events = 0;
    struct tcp_conn *c = conn_find_ip4(s, t - 8);
    if (!c || !calm_is(c) || c->path.epoch != s->path_epoch) return false;
    if (!tcp_parse_plain(&e, t, bytes, c->send.timestamps) || !is_expected(c, &e)) return false;
    if (!checked && !tcp_checksum_ok(c, t, bytes)) return false;
    if (e.len > 0 && !payload_queue(c, t + bytes - e.len, e.len)) return false;
    c->timers.received_ns = s->now;
    c->timers.probes = c->timers.tries = 0;
    c->statistics.segments_in++;
    if (c->send.timestamps && seq_le(e.seq, c->receive.last_ack)) timestamps_take(&c->ts, e.ts_value, s->now);
    send_window_note(&c->send, e.seq, e.ack, e.window);
    if (e.ack != c->send.una && !ack_expected(s, c, e.ack, &events)) tcp_ack_advance(c, e.ack);
    if (e.len > 0) {
        c->statistics.bytes_received += e.len;
        ack_schedule(c, e.len);
        events |= INET_EVENT_READABLE;
    } else {
        heap_free(t);
    }
    if (events) socket_event(s, &c->socket, events);
    conn_mark_due(c);
    conn_changed_shortly(c);
    return true;
}

#endif
