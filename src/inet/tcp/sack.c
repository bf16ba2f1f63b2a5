/* SPDX-License-Identifier: MIT */
/* The scoreboard of what was sent. */
#include "inet/tcp/sack.h"

#define REORDERING_MAX 300u /* as Linux counts to */

static void by_time_unlink(struct tcp_conn *c, const struct tcp_sent *e) {
    if (e->older == TCP_SENT_NONE)
        c->flight->oldest = e->newer;
    else
        sent_at(c, e->older)->newer = e->newer;
    if (e->newer == TCP_SENT_NONE)
        c->flight->newest = e->older;
    else
        sent_at(c, e->newer)->older = e->older;
}

static void by_time_append(struct tcp_conn *c, uint32_t position) {
    struct tcp_sent *e = sent_at(c, position);
    e->older = c->flight->newest;
    e->newer = TCP_SENT_NONE;
    if (c->flight->newest == TCP_SENT_NONE)
        c->flight->oldest = position;
    else
        sent_at(c, c->flight->newest)->newer = position;
    c->flight->newest = position;
}

/* On its way, as far as we know: linked by time. */
static bool on_its_way(const struct tcp_sent *e) {
    return !(e->flags & TCP_SENT_SACKED) && (!(e->flags & TCP_SENT_LOST) || (e->flags & TCP_SENT_RETRANSMITTED));
}

/* Takes n of its sequence numbers out of the sums that its flags have put them into. */
static void uncount(struct tcp_conn *c, const struct tcp_sent *e, uint32_t n) {
    if (e->flags & TCP_SENT_SACKED) c->flight->sacked_bytes -= n;
    if (e->flags & TCP_SENT_LOST) c->flight->lost_bytes -= n;
    if (e->flags & TCP_SENT_RETRANSMITTED) c->flight->retransmitted_bytes -= n;
}

bool sent_add(struct tcp_conn *c, uint32_t len, bool fin) {
    if (!transmit_state_allocate(c)) return false;
    if (c->flight->sent.count == 0) {
        c->flight->sent.first = c->flight->lost_from = 0;
        c->flight->oldest = c->flight->newest = TCP_SENT_NONE;
    }
    uint32_t position = sent_end(c);
    if (position == TCP_SENT_NONE) return false; /* after 2^32 segments without a pause: waits for one */
    struct tcp_sent *e = fifo_add(&c->flight->sent, sizeof *e, TCP_QUEUE_MAX);
    if (!e) return false;
    *e = (struct tcp_sent){
        .sent_ns = c->stack->now, .seq = c->snd_nxt, .len = len & 0xffffff, .flags = fin ? TCP_SENT_FIN : 0};
    by_time_append(c, position);
    c->snd_nxt += len;
    return true;
}

void sent_take_back(struct tcp_conn *c) {
    struct tcp_sent *e = sent_at(c, sent_end(c) - 1);
    by_time_unlink(c, e);
    c->snd_nxt -= e->len;
    c->flight->sent.count--;
}

void sent_again(struct tcp_conn *c, uint32_t position) {
    struct tcp_sent *e = sent_at(c, position);
    if (on_its_way(e)) by_time_unlink(c, e);
    if ((e->flags & (TCP_SENT_LOST | TCP_SENT_RETRANSMITTED)) == TCP_SENT_LOST) {
        e->flags |= TCP_SENT_RETRANSMITTED;
        c->flight->retransmitted_bytes += e->len;
    }
    e->flags |= TCP_SENT_EVER_RETRANSMITTED;
    e->sent_ns = c->stack->now;
    by_time_append(c, position);
}

/* It has arrived, by whatever we know that. */
static void delivered(struct tcp_conn *c, const struct tcp_sent *e, struct tcp_delivery *d) {
    uint32_t end = e->seq + e->len;
    d->bytes += e->len;
    if (!(e->flags & TCP_SENT_EVER_RETRANSMITTED)) {
        if (e->sent_ns >= d->rtt_sent_ns) {
            d->rtt_sent_ns = e->sent_ns;
            d->rtt_us = (c->stack->now - e->sent_ns) / 1000;
            if (d->rtt_us == 0) d->rtt_us = 1;
        }
        if (seq_lt(end, d->high)) { /* RFC 8985 section 6.2 step 3 */
            uint32_t segments = (d->high - e->seq + c->mss - 1) / c->mss;
            c->reordering = true;
            if (segments > c->reordering_segments)
                c->reordering_segments = segments < REORDERING_MAX ? (uint16_t)segments : REORDERING_MAX;
        }
        d->original |= seq_le(end, c->flight->recover);
    }
    c->flight->sack_high = seq_max(c->flight->sack_high, end);
    rack_delivered(c, e);
}

void sent_acked(struct tcp_conn *c, uint32_t ack, struct tcp_delivery *d) {
    struct tcp_delivery before = *d;
    bool repaired = false;
    while (c->flight->sent.count > 0) {
        struct tcp_sent *e = sent_at(c, c->flight->sent.first);
        if (seq_le(ack, e->seq)) break;
        uint32_t n = ack - e->seq;
        repaired |= (e->flags & TCP_SENT_EVER_RETRANSMITTED) != 0;
        if (n < e->len) { /* in part: the rest stays as it is */
            if (!(e->flags & TCP_SENT_SACKED)) d->bytes += n;
            uncount(c, e, n);
            e->seq += n;
            e->len -= n & 0xffffff;
            break;
        }
        if (on_its_way(e)) by_time_unlink(c, e);
        if (!(e->flags & TCP_SENT_SACKED)) delivered(c, e, d);
        uncount(c, e, e->len);
        fifo_drop_first(&c->flight->sent);
    }
    if (!repaired) return;
    d->rtt_us = before.rtt_us; /* the ACK has waited for what was repeated: it tells nothing of the round trip */
    d->rtt_sent_ns = before.rtt_sent_ns;
}

/* The first position whose segment begins at or behind seq. */
static uint32_t position_of(const struct tcp_conn *c, uint32_t seq) {
    uint32_t low = 0, high = c->flight->sent.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (seq_lt(sent_at(c, c->flight->sent.first + middle)->seq, seq))
            low = middle + 1;
        else
            high = middle;
    }
    return c->flight->sent.first + low;
}

/*
 * The first position from `at` on that has not been reported. A reported one is in no order of time; its `newer` is a
 * position further on, before which all have been reported too, and is moved on with each look. So the work for an ACK
 * is bounded by what it newly reports, whatever blocks it repeats.
 */
static uint32_t skip_sacked(const struct tcp_conn *c, uint32_t at) {
    while (at != sent_end(c)) {
        struct tcp_sent *e = sent_at(c, at);
        inet_count(c->stack, tcp_scoreboard_steps);
        if (!(e->flags & TCP_SENT_SACKED)) return at;
        at = e->newer;
        if (at == sent_end(c)) return at;
        const struct tcp_sent *next = sent_at(c, at);
        if (next->flags & TCP_SENT_SACKED) e->newer = next->newer;
    }
    return at;
}

/* Only segments that lie in the block as a whole count as arrived. */
static void block_sacked(struct tcp_conn *c, const struct tcp_range *block, struct tcp_delivery *d) {
    for (uint32_t at = position_of(c, block->start); (at = skip_sacked(c, at)) != sent_end(c); at++) {
        struct tcp_sent *e = sent_at(c, at);
        if (seq_lt(block->end, e->seq + e->len)) return;
        if (on_its_way(e)) by_time_unlink(c, e);
        delivered(c, e, d);
        uncount(c, e, e->len);
        e->flags = (uint8_t)((e->flags & ~(TCP_SENT_LOST | TCP_SENT_RETRANSMITTED)) | TCP_SENT_SACKED);
        e->newer = at + 1;
        c->flight->sacked_bytes += e->len;
    }
}

void sent_sacked(struct tcp_conn *c, const struct tcp_options *o, uint32_t ack, struct tcp_delivery *d) {
    for (uint32_t i = 0; i < o->sack_count; i++) {
        const struct tcp_range *b = &o->sack[i];
        if (!seq_lt(b->start, b->end) || seq_lt(c->snd_nxt, b->end)) continue;
        /* RFC 2883 section 4: below the ACK, or within the second block */
        if (i == 0 && (seq_le(b->end, ack) ||
                       (o->sack_count > 1 && seq_le(o->sack[1].start, b->start) && seq_le(b->end, o->sack[1].end)))) {
            d->duplicate = true;
            d->twice = *b;
            continue;
        }
        if (!seq_lt(b->start, c->snd_una)) block_sacked(c, b, d);
    }
}

void sent_mark_lost(struct tcp_conn *c, uint32_t position) {
    struct tcp_sent *e = sent_at(c, position);
    if (!on_its_way(e)) return;
    by_time_unlink(c, e);
    if (e->flags & TCP_SENT_RETRANSMITTED)
        c->flight->retransmitted_bytes -= e->len;
    else
        c->flight->lost_bytes += e->len;
    e->flags = (uint8_t)((e->flags & ~TCP_SENT_RETRANSMITTED) | TCP_SENT_LOST);
    if (position < c->flight->lost_from) c->flight->lost_from = position;
}

void sent_mark_all_lost(struct tcp_conn *c) {
    bool reneged = c->flight->sent.count > 0 && (sent_at(c, c->flight->sent.first)->flags & TCP_SENT_SACKED);
    for (uint32_t at = c->flight->sent.first; at != sent_end(c); at++) {
        struct tcp_sent *e = sent_at(c, at);
        if (reneged && (e->flags & TCP_SENT_SACKED)) {
            c->flight->sacked_bytes -= e->len;
            e->flags &= (uint8_t)~TCP_SENT_SACKED;
            by_time_append(c, at);
        }
        sent_mark_lost(c, at);
    }
}

void sent_unmark_lost(struct tcp_conn *c) {
    for (uint32_t at = c->flight->sent.first; at != sent_end(c); at++) {
        struct tcp_sent *e = sent_at(c, at);
        inet_count(c->stack, tcp_scoreboard_steps);
        if (!(e->flags & TCP_SENT_LOST)) continue;
        if (!on_its_way(e)) by_time_append(c, at);
        e->flags &= (uint8_t)~(TCP_SENT_LOST | TCP_SENT_RETRANSMITTED);
    }
    c->flight->lost_bytes = c->flight->retransmitted_bytes = 0;
}

/* Adds e in pieces; false: no memory. */
static bool cut_one(const struct tcp_conn *c, struct fifo *to, const struct tcp_sent *e) {
    uint32_t fin = (e->flags & TCP_SENT_FIN) != 0, payload = e->len - fin, at = 0;
    do {
        struct tcp_sent *piece = fifo_add(to, sizeof *piece, TCP_QUEUE_MAX);
        if (!piece) return false;
        uint32_t n = payload - at < c->mss ? payload - at : c->mss;
        bool last = at + n == payload;
        *piece = *e;
        piece->seq = e->seq + at;
        piece->len = (n + (last ? fin : 0)) & 0xffffff;
        if (!last) piece->flags &= (uint8_t)~TCP_SENT_FIN;
        at += n;
    } while (at < payload);
    return true;
}

static bool too_large(const struct tcp_conn *c, const struct tcp_sent *e) {
    return e->len > c->mss + ((e->flags & TCP_SENT_FIN) != 0);
}

void sent_cut(struct tcp_conn *c) {
    struct fifo pieces = {.base = NULL};
    uint32_t at = c->flight->sent.first;
    while (at != sent_end(c) && !too_large(c, sent_at(c, at)))
        at++;
    if (at == sent_end(c)) return;
    for (at = c->flight->sent.first; at != sent_end(c); at++)
        if (!cut_one(c, &pieces, sent_at(c, at))) {
            fifo_free(&pieces);
            return;
        }
    fifo_free(&c->flight->sent);
    c->flight->sent = pieces;
    c->flight->oldest = c->flight->newest = TCP_SENT_NONE;
    c->flight->lost_bytes = c->flight->retransmitted_bytes = 0;
    c->flight->lost_from = 0;
    for (at = 0; at != sent_end(c); at++) {
        struct tcp_sent *e = sent_at(c, at);
        e->newer = at + 1; /* of those that have been reported: see skip_sacked */
        if (e->flags & TCP_SENT_SACKED) continue;
        e->flags = (uint8_t)((e->flags & ~TCP_SENT_RETRANSMITTED) | TCP_SENT_LOST);
        c->flight->lost_bytes += e->len;
    }
}

uint32_t sent_first_lost(const struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    if (f->lost_bytes == f->retransmitted_bytes) return TCP_SENT_NONE;
    if (f->lost_from < f->sent.first) f->lost_from = f->sent.first;
    for (; f->lost_from != sent_end(c); f->lost_from++)
        if ((sent_at(c, f->lost_from)->flags & (TCP_SENT_LOST | TCP_SENT_RETRANSMITTED)) == TCP_SENT_LOST)
            return f->lost_from;
    return TCP_SENT_NONE;
}
