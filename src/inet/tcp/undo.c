/* SPDX-License-Identifier: MIT */
/*
 * Undoes recoveries that were not needed. The peer's timestamp shows it (Eifel, RFC 3522), its report of duplicates
 * (RFC 2883, RFC 3708), or after a timeout an ACK of segments that were sent once (F-RTO with SACK, RFC 5682 section
 * 3.1).
 */
#include "inet/tcp/recovery.h"

void undo_begin(struct tcp_recovery *r, const struct tcp_recovery_context *x) {
    struct tcp_undo *u = &r->flight->undo;
    r->undo = x->timestamps;
    u->ts = 0;
    u->cwnd = x->cc->cwnd;
    u->ssthresh = x->cc->ssthresh;
    u->from = x->una;
    u->again = 0;
}

/* At most once in a round trip, because it visits the whole scoreboard: a peer could cause it with each ACK. */
static void undo(struct tcp_recovery *r, const struct tcp_recovery_context *x) {
    struct tcp_undo *u = &r->flight->undo;
    if (u->round && seq_lt(x->una, u->round_end)) return;
    u->round = true;
    u->round_end = x->nxt;
    if (x->cc->cwnd < u->cwnd) x->cc->cwnd = u->cwnd;
    x->cc->ssthresh = u->ssthresh;
    if (r->state != TCP_OPEN) {
        x->counters[INET_COUNTER_tcp_scoreboard_steps] += scoreboard_unmark_lost(&r->flight->scoreboard);
        r->flight->scoreboard.rack_ns = 0; /* the original has arrived: the time of the retransmission says nothing */
        r->state = TCP_OPEN;
        r->dup_acks = 0;
    }
    u->again = 0;
    r->flight->frto = TCP_FRTO_NONE;
    inet_count(x, tcp_undone);
}

/* The ACK echoes a timestamp from before the first retransmission: the original had arrived. */
static void eifel_check(struct tcp_recovery *r, const struct tcp_recovery_context *x, const struct tcp_options *o) {
    uint32_t first = r->flight->undo.ts;
    if (!r->undo || first == 0 || r->state == TCP_OPEN || !o->has_timestamp) return;
    if (o->ts_echo != 0 && seq_lt(o->ts_echo, first)) undo(r, x);
    r->undo = false;
}

/* All that was retransmitted in the last recovery was received twice. The recovery may be over by now. */
static void twice_check(struct tcp_recovery *r, const struct tcp_recovery_context *x, const struct tcp_delivery *d) {
    struct tcp_undo *u = &r->flight->undo;
    if (!d->duplicate || u->again == 0) return;
    if (seq_lt(d->twice.start, u->from) || seq_lt(r->flight->scoreboard.recover, d->twice.end)) return;
    uint32_t segments = (d->twice.end - d->twice.start + x->mss - 1) / x->mss;
    u->again -= segments < u->again ? segments : u->again;
    if (u->again == 0) undo(r, x);
}

/*
 * Step 2: the first ACK after the retransmission advances, but not to the end: new segments show more than further
 * retransmissions would. Step 3: the next ACK covers something that was sent once, so that the timer was too early; or
 * it does not.
 */
static void frto_check(struct tcp_recovery *r, const struct tcp_recovery_context *x, bool advanced,
                       const struct tcp_delivery *d) {
    struct tcp_flight *f = r->flight;
    if (f->frto == TCP_FRTO_NONE) return;
    if (f->frto == TCP_FRTO_NEW && d->original && r->state == TCP_LOSS) {
        undo(r, x);
        return;
    }
    bool goes_on = f->frto == TCP_FRTO_REPEATED && r->state == TCP_LOSS && advanced &&
                   seq_lt(x->una, f->scoreboard.recover) && x->can_send;
    f->frto = goes_on ? TCP_FRTO_NEW : TCP_FRTO_NONE;
}

void undo_check(struct tcp_recovery *r, const struct tcp_recovery_context *x, bool advanced,
                const struct tcp_options *o, const struct tcp_delivery *d) {
    if (advanced) eifel_check(r, x, o);
    twice_check(r, x, d);
    frto_check(r, x, advanced, d);
}

void undo_timeout(struct tcp_recovery *r, const struct tcp_recovery_context *x) {
    struct tcp_flight *f = r->flight;
    bool first = r->state == TCP_OPEN, head_alone = r->state == TCP_LOSS && f->frto == TCP_FRTO_REPEATED;
    if (first) undo_begin(r, x);
    f->frto = r->sack && !x->timestamps && (first || head_alone) ? TCP_FRTO_REPEATED : TCP_FRTO_NONE;
}
