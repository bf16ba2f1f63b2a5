/* SPDX-License-Identifier: MIT */
/* The scoreboard of what was sent. */
#include "inet/tcp/scoreboard.h"

static void by_time_unlink(struct tcp_scoreboard *b, const struct tcp_sent *e) {
    if (e->older == TCP_SENT_NONE)
        b->oldest = e->newer;
    else
        scoreboard_at(b, e->older)->newer = e->newer;
    if (e->newer == TCP_SENT_NONE)
        b->newest = e->older;
    else
        scoreboard_at(b, e->newer)->older = e->older;
}

static void by_time_append(struct tcp_scoreboard *b, uint32_t position) {
    struct tcp_sent *e = scoreboard_at(b, position);
    e->older = b->newest;
    e->newer = TCP_SENT_NONE;
    if (b->newest == TCP_SENT_NONE)
        b->oldest = position;
    else
        scoreboard_at(b, b->newest)->newer = position;
    b->newest = position;
}

/* On its way, as far as we know: linked by time. */
static bool on_its_way(const struct tcp_sent *e) {
    return !(e->flags & TCP_SENT_SACKED) && (!(e->flags & TCP_SENT_LOST) || (e->flags & TCP_SENT_RETRANSMITTED));
}

/* Takes n of its sequence numbers out of the sums that its flags have put them into. */
static void uncount(struct tcp_scoreboard *b, const struct tcp_sent *e, uint32_t n) {
    if (e->flags & TCP_SENT_SACKED) b->sacked_bytes -= n;
    if (e->flags & TCP_SENT_LOST) b->lost_bytes -= n;
    if (e->flags & TCP_SENT_RETRANSMITTED) b->retransmitted_bytes -= n;
}

bool scoreboard_add(struct tcp_scoreboard *b, uint64_t now, uint32_t seq, uint32_t len, bool fin) {
    if (b->sent.count == 0) {
        b->sent.first = b->lost_from = 0;
        b->oldest = b->newest = TCP_SENT_NONE;
        b->disturbed = false;
    }
    uint32_t position = scoreboard_end(b);
    if (position == TCP_SENT_NONE) return false; /* after 2^32 segments without a pause: waits for one */
    struct tcp_sent *e = fifo_add(&b->sent, sizeof *e, TCP_QUEUE_MAX);
    if (!e) return false;
    *e = (struct tcp_sent){.sent_ns = now, .seq = seq, .len = len & 0xffffff, .flags = fin ? TCP_SENT_FIN : 0};
    by_time_append(b, position);
    return true;
}

uint32_t scoreboard_take_back(struct tcp_scoreboard *b) {
    struct tcp_sent *e = scoreboard_at(b, scoreboard_end(b) - 1);
    by_time_unlink(b, e);
    b->sent.count--;
    return e->len;
}

void scoreboard_resent(struct tcp_scoreboard *b, uint64_t now, uint32_t position) {
    struct tcp_sent *e = scoreboard_at(b, position);
    b->disturbed = true;
    if (on_its_way(e)) by_time_unlink(b, e);
    if ((e->flags & (TCP_SENT_LOST | TCP_SENT_RETRANSMITTED)) == TCP_SENT_LOST) {
        e->flags |= TCP_SENT_RETRANSMITTED;
        b->retransmitted_bytes += e->len;
    }
    e->flags |= TCP_SENT_EVER_RETRANSMITTED;
    e->sent_ns = now;
    by_time_append(b, position);
}

/* Notes which of the segments that have arrived was sent last (RFC 8985 section 6.2 step 2). */
static void rack_delivered(struct tcp_scoreboard *b, const struct tcp_sent *e, const struct tcp_delivery *d) {
    uint64_t rtt_us = (d->now - e->sent_ns) / 1000;
    /* Retransmitted, and acknowledged too soon: it is the original that has arrived. */
    if ((e->flags & TCP_SENT_EVER_RETRANSMITTED) && rtt_us < rtt_min_us(d->rtt)) return;
    uint32_t end = e->seq + e->len;
    if (b->rack_ns != 0 && !scoreboard_sent_after(e->sent_ns, end, b->rack_ns, b->rack_end)) return;
    b->rack_ns = e->sent_ns;
    b->rack_end = end;
    b->rack_rtt_us = rtt_us < UINT32_MAX ? (uint32_t)rtt_us : UINT32_MAX;
}

/* A segment has arrived. */
static void delivered(struct tcp_scoreboard *b, const struct tcp_sent *e, struct tcp_delivery *d) {
    uint32_t end = e->seq + e->len;
    d->bytes += e->len;
    if (!(e->flags & TCP_SENT_EVER_RETRANSMITTED)) {
        if (e->sent_ns >= d->rtt_sent_ns) {
            d->rtt_sent_ns = e->sent_ns;
            d->rtt_us = (d->now - e->sent_ns) / 1000;
            if (d->rtt_us == 0) d->rtt_us = 1;
        }
        if (seq_lt(end, d->high)) { /* RFC 8985 section 6.2 step 3 */
            if (d->high - e->seq > d->reordered) d->reordered = d->high - e->seq;
        }
        d->original |= seq_le(end, b->recover);
    }
    b->high = seq_max(b->high, end);
    rack_delivered(b, e, d);
}

void scoreboard_acked(struct tcp_scoreboard *b, uint32_t ack, struct tcp_delivery *d) {
    struct tcp_delivery before = *d;
    bool repaired = false;
    while (b->sent.count > 0) {
        struct tcp_sent *e = scoreboard_at(b, b->sent.first);
        if (seq_le(ack, e->seq)) break;
        uint32_t n = ack - e->seq;
        repaired |= (e->flags & TCP_SENT_EVER_RETRANSMITTED) != 0;
        if (n < e->len) { /* in part: the rest stays as it is */
            if (!(e->flags & TCP_SENT_SACKED)) d->bytes += n;
            uncount(b, e, n);
            e->seq += n;
            e->len -= n & 0xffffff;
            break;
        }
        if (on_its_way(e)) by_time_unlink(b, e);
        if (!(e->flags & TCP_SENT_SACKED)) delivered(b, e, d);
        uncount(b, e, e->len);
        fifo_drop_first(&b->sent);
    }
    if (b->sent.count == 0) b->disturbed = false;
    if (!repaired) return;
    d->rtt_us = before.rtt_us; /* the ACK has waited for what was repeated: it tells nothing of the round trip */
    d->rtt_sent_ns = before.rtt_sent_ns;
}

/* The first position whose segment begins at or behind seq. */
static uint32_t position_of(const struct tcp_scoreboard *b, uint32_t seq) {
    uint32_t low = 0, high = b->sent.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (seq_lt(scoreboard_at(b, b->sent.first + middle)->seq, seq))
            low = middle + 1;
        else
            high = middle;
    }
    return b->sent.first + low;
}

/*
 * The first position from `at` on that has not been reported. A reported one is in no order of time; its `newer` is a
 * position further on, before which all have been reported too, and is moved on with each look. So the work for an ACK
 * is bounded by what it newly reports, whatever blocks it repeats.
 */
static uint32_t skip_sacked(const struct tcp_scoreboard *b, uint32_t at, struct tcp_delivery *d) {
    while (at != scoreboard_end(b)) {
        struct tcp_sent *e = scoreboard_at(b, at);
        d->steps++;
        if (!(e->flags & TCP_SENT_SACKED)) return at;
        at = e->newer;
        if (at == scoreboard_end(b)) return at;
        const struct tcp_sent *next = scoreboard_at(b, at);
        if (next->flags & TCP_SENT_SACKED) e->newer = next->newer;
    }
    return at;
}

/* Only segments that lie in the block as a whole count as arrived. */
static void block_sacked(struct tcp_scoreboard *b, const struct tcp_range *block, struct tcp_delivery *d) {
    for (uint32_t at = position_of(b, block->start); (at = skip_sacked(b, at, d)) != scoreboard_end(b); at++) {
        struct tcp_sent *e = scoreboard_at(b, at);
        if (seq_lt(block->end, e->seq + e->len)) return;
        b->disturbed = true;
        if (on_its_way(e)) by_time_unlink(b, e);
        delivered(b, e, d);
        uncount(b, e, e->len);
        e->flags = (uint8_t)((e->flags & ~(TCP_SENT_LOST | TCP_SENT_RETRANSMITTED)) | TCP_SENT_SACKED);
        e->newer = at + 1;
        b->sacked_bytes += e->len;
    }
}

void scoreboard_sacked(struct tcp_scoreboard *b, const struct tcp_options *o, uint32_t una, uint32_t nxt, uint32_t ack,
                       struct tcp_delivery *d) {
    for (uint32_t i = 0; i < o->sack_count; i++) {
        const struct tcp_range *block = &o->sack[i];
        if (!seq_lt(block->start, block->end) || seq_lt(nxt, block->end)) continue;
        /* RFC 2883 section 4: below the ACK, or within the second block */
        if (i == 0 && (seq_le(block->end, ack) || (o->sack_count > 1 && seq_le(o->sack[1].start, block->start) &&
                                                   seq_le(block->end, o->sack[1].end)))) {
            d->duplicate = true;
            d->twice = *block;
            continue;
        }
        if (!seq_lt(block->start, una)) block_sacked(b, block, d);
    }
}

void scoreboard_mark_lost(struct tcp_scoreboard *b, uint32_t position) {
    struct tcp_sent *e = scoreboard_at(b, position);
    if (!on_its_way(e)) return;
    b->disturbed = true;
    by_time_unlink(b, e);
    if (e->flags & TCP_SENT_RETRANSMITTED)
        b->retransmitted_bytes -= e->len;
    else
        b->lost_bytes += e->len;
    e->flags = (uint8_t)((e->flags & ~TCP_SENT_RETRANSMITTED) | TCP_SENT_LOST);
    if (position < b->lost_from) b->lost_from = position;
}

void scoreboard_mark_all_lost(struct tcp_scoreboard *b) {
    bool reneged = b->sent.count > 0 && (scoreboard_at(b, b->sent.first)->flags & TCP_SENT_SACKED);
    for (uint32_t at = b->sent.first; at != scoreboard_end(b); at++) {
        struct tcp_sent *e = scoreboard_at(b, at);
        if (reneged && (e->flags & TCP_SENT_SACKED)) {
            b->sacked_bytes -= e->len;
            e->flags &= (uint8_t)~TCP_SENT_SACKED;
            by_time_append(b, at);
        }
        scoreboard_mark_lost(b, at);
    }
}

uint32_t scoreboard_unmark_lost(struct tcp_scoreboard *b) {
    for (uint32_t at = b->sent.first; at != scoreboard_end(b); at++) {
        struct tcp_sent *e = scoreboard_at(b, at);
        if (!(e->flags & TCP_SENT_LOST)) continue;
        if (!on_its_way(e)) by_time_append(b, at);
        e->flags &= (uint8_t)~(TCP_SENT_LOST | TCP_SENT_RETRANSMITTED);
    }
    b->lost_bytes = b->retransmitted_bytes = 0;
    return b->sent.count;
}

/* Adds e in pieces; false: no memory. */
static bool cut_one(struct fifo *to, const struct tcp_sent *e, uint32_t mss) {
    uint32_t fin = (e->flags & TCP_SENT_FIN) != 0, payload = e->len - fin, at = 0;
    do {
        struct tcp_sent *piece = fifo_add(to, sizeof *piece, TCP_QUEUE_MAX);
        if (!piece) return false;
        uint32_t n = payload - at < mss ? payload - at : mss;
        bool last = at + n == payload;
        *piece = *e;
        piece->seq = e->seq + at;
        piece->len = (n + (last ? fin : 0)) & 0xffffff;
        if (!last) piece->flags &= (uint8_t)~TCP_SENT_FIN;
        at += n;
    } while (at < payload);
    return true;
}

static bool too_large(const struct tcp_sent *e, uint32_t mss) {
    return e->len > mss + ((e->flags & TCP_SENT_FIN) != 0);
}

void scoreboard_cut(struct tcp_scoreboard *b, uint32_t mss) {
    struct fifo pieces = {.base = NULL};
    uint32_t at = b->sent.first;
    while (at != scoreboard_end(b) && !too_large(scoreboard_at(b, at), mss))
        at++;
    if (at == scoreboard_end(b)) return;
    for (at = b->sent.first; at != scoreboard_end(b); at++)
        if (!cut_one(&pieces, scoreboard_at(b, at), mss)) {
            fifo_free(&pieces);
            return;
        }
    fifo_free(&b->sent);
    b->sent = pieces;
    b->disturbed = true;
    b->oldest = b->newest = TCP_SENT_NONE;
    b->lost_bytes = b->retransmitted_bytes = 0;
    b->lost_from = 0;
    for (at = 0; at != scoreboard_end(b); at++) {
        struct tcp_sent *e = scoreboard_at(b, at);
        e->newer = at + 1; /* of those that have been reported: see skip_sacked */
        if (e->flags & TCP_SENT_SACKED) continue;
        e->flags = (uint8_t)((e->flags & ~TCP_SENT_RETRANSMITTED) | TCP_SENT_LOST);
        b->lost_bytes += e->len;
    }
}

uint32_t scoreboard_first_lost(struct tcp_scoreboard *b) {
    if (b->lost_bytes == b->retransmitted_bytes) return TCP_SENT_NONE;
    if (b->lost_from < b->sent.first) b->lost_from = b->sent.first;
    for (; b->lost_from != scoreboard_end(b); b->lost_from++)
        if ((scoreboard_at(b, b->lost_from)->flags & (TCP_SENT_LOST | TCP_SENT_RETRANSMITTED)) == TCP_SENT_LOST)
            return b->lost_from;
    return TCP_SENT_NONE;
}
