/* SPDX-License-Identifier: MIT */
/* The course of a recovery: its beginning, Proportional Rate Reduction, its end. */
#include "inet/tcp/recovery.h"

#include "base/sys.h"

#define REORDERING_MAX 300u /* segments, as in Linux */

#define NO_FLIGHT (struct tcp_flight *)(uintptr_t)&tcp_no_flight

const struct tcp_flight tcp_no_flight = {.scoreboard = TCP_SCOREBOARD_EMPTY};

void recovery_init(struct tcp_recovery *r) {
    r->flight = NO_FLIGHT;
}

bool recovery_flight_new(struct tcp_recovery *r, uint32_t una) {
    struct tcp_flight *f = sys_calloc_lines(sizeof *f);
    if (!f) return false;
    *f = tcp_no_flight;
    fifo_start(&f->queue.chunks, &f->first_chunk);
    fifo_start(&f->scoreboard.sent, &f->first_sent);
    f->scoreboard.high = una;
    r->flight = f;
    return true;
}

void recovery_free(struct tcp_recovery *r) {
    if (r->flight != &tcp_no_flight) {
        fifo_free(&r->flight->queue.chunks);
        fifo_free(&r->flight->scoreboard.sent);
        sys_free_lines(r->flight);
    }
    r->flight = NO_FLIGHT;
}

void recovery_begin(struct tcp_recovery *r, const struct tcp_recovery_context *x) {
    struct tcp_flight *f = r->flight;
    if (r->state != TCP_OPEN) return;
    undo_begin(r, x);
    r->state = TCP_RECOVERY;
    f->scoreboard.recover = x->nxt;
    f->prr = (struct tcp_prr){.flight = x->nxt - x->una};
    x->cc->ssthresh = x->cc->ops->reduce(x->cc, f->prr.flight, x->mss);
    r->probe_sent = false;
    inet_count(x, tcp_recoveries);
}

void recovery_timeout(struct tcp_recovery *r, const struct tcp_recovery_context *x) {
    struct tcp_cc *cc = x->cc;
    undo_timeout(r, x);
    if (r->state != TCP_LOSS) cc->ssthresh = cc->ops->reduce(cc, x->nxt - x->una, x->mss);
    if (cc->ops->timeout) cc->ops->timeout(cc);
    r->state = TCP_LOSS;
    r->flight->scoreboard.recover = x->nxt;
    cc->cwnd = x->mss;
    r->dup_acks = 0;
    r->probe_sent = false;
    scoreboard_mark_all_lost(&r->flight->scoreboard);
    inet_count(x, tcp_rto);
}

void recovery_check_end(struct tcp_recovery *r, const struct tcp_recovery_context *x) {
    if (r->state == TCP_OPEN || seq_lt(x->una, r->flight->scoreboard.recover)) return;
    if (r->state == TCP_RECOVERY) x->cc->cwnd = x->cc->ssthresh;
    r->state = TCP_OPEN;
    r->dup_acks = 0;
    r->undo = false;
    rack_recovered(r);
}

void recovery_prr(struct tcp_recovery *r, const struct tcp_recovery_context *x, uint32_t delivered, bool advanced) {
    struct tcp_prr *p = &r->flight->prr;
    uint32_t pipe = recovery_pipe(r, x->nxt - x->una, x->mss), ssthresh = x->cc->ssthresh, mss = x->mss;
    uint64_t send;
    p->delivered += delivered;
    if (pipe > ssthresh) {
        uint64_t due = ((uint64_t)p->delivered * ssthresh + p->flight - 1) / (p->flight ? p->flight : 1);
        send = due > p->out ? due - p->out : 0;
    } else {
        uint64_t behind = p->delivered > p->out ? p->delivered - p->out : 0;
        send = behind > delivered ? behind : delivered;
        if (advanced) send += mss;
        if (send > ssthresh - pipe) send = ssthresh - pipe;
    }
    if (p->out == 0 && send < mss) send = mss;                     /* the first retransmission leaves at once */
    x->cc->cwnd = pipe + send > mss ? pipe + (uint32_t)send : mss; /* one segment may always be in flight */
}

/* Without SACK: three duplicates show a loss, and so does an ACK that advances to less than all (RFC 6582). */
static bool reno_detect(struct tcp_recovery *r, bool advanced) {
    struct tcp_scoreboard *b = &r->flight->scoreboard;
    bool lost = r->state == TCP_OPEN ? r->dup_acks >= TCP_DUP_THRESHOLD : advanced;
    if (!lost || b->sent.count == 0 || (scoreboard_at(b, b->sent.first)->flags & TCP_SENT_LOST)) return false;
    scoreboard_mark_lost(b, b->sent.first);
    return true;
}

bool recovery_detect(struct tcp_recovery *r, struct tcp_recovery_context *x, bool advanced,
                     const struct tcp_delivery *d) {
    x->reorder_ns = UINT64_MAX;
    return r->sack ? rack_detect(r, x, d) : reno_detect(r, advanced);
}

void recovery_reordered(struct tcp_recovery *r, uint32_t bytes, uint32_t mss) {
    uint32_t segments = (bytes + mss - 1) / mss;
    if (segments > REORDERING_MAX) segments = REORDERING_MAX;
    r->reordering = true;
    if (segments > r->reordering_segments) r->reordering_segments = (uint16_t)segments;
}

uint32_t recovery_reno_delivered(struct tcp_recovery *r, uint32_t acked, uint32_t mss) {
    if (acked == 0) {
        if (r->dup_acks < UINT8_MAX) r->dup_acks++;
        return mss;
    }
    uint32_t told = r->state == TCP_RECOVERY ? (acked - 1) / mss : UINT8_MAX;
    if (told > r->dup_acks) told = r->dup_acks;
    r->dup_acks = (uint8_t)(r->dup_acks - told);
    return acked > told * mss ? acked - told * mss : 0;
}

void recovery_probe_acked(struct tcp_recovery *r, const struct tcp_recovery_context *x, const struct tcp_delivery *d) {
    struct tcp_cc *cc = x->cc;
    if (!r->probe_sent || seq_lt(x->una, r->flight->probe_end)) return;
    r->probe_sent = false;
    if (!r->probe_again || d->duplicate || r->state != TCP_OPEN) return;
    cc->ssthresh = cc->ops->reduce(cc, x->nxt - x->una, x->mss);
    if (cc->cwnd > cc->ssthresh) cc->cwnd = cc->ssthresh;
}

void recovery_resent(struct tcp_recovery *r, uint64_t now, uint32_t position, uint32_t clock) {
    struct tcp_flight *f = r->flight;
    if (r->undo && f->undo.ts == 0) f->undo.ts = clock ? clock : 1;
    if (r->state != TCP_OPEN) f->undo.again++;
    f->prr.out += scoreboard_at(&f->scoreboard, position)->len;
    scoreboard_resent(&f->scoreboard, now, position);
}
