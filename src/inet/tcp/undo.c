/* SPDX-License-Identifier: MIT */
/*
 * Repairs that were needless are undone. They are found out by the peer's timestamp (Eifel, RFC 3522), by what it
 * reports to have come twice (RFC 2883, RFC 3708), or after a timeout by what it acknowledges although it was sent
 * once (F-RTO with SACK, RFC 5682 section 3.1).
 */
#include "inet/tcp/recovery.h"

void undo_remember(struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    c->undo = c->timestamps;
    f->undo_ts = 0; /* the time of the first segment sent again */
    f->undo_cwnd = c->cc.cwnd;
    f->undo_ssthresh = c->cc.ssthresh;
    f->undo_from = c->snd_una;
    f->undo_again = 0;
}

/* Not twice in a round trip, because it visits the whole scoreboard: a peer could ask for it with each ACK. */
static void undo(struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    if (f->undo_round && seq_lt(c->snd_una, f->undo_round_end)) return;
    f->undo_round = true;
    f->undo_round_end = c->snd_nxt;
    if (c->cc.cwnd < f->undo_cwnd) c->cc.cwnd = f->undo_cwnd;
    c->cc.ssthresh = f->undo_ssthresh;
    if (c->recovery != TCP_OPEN) {
        sent_unmark_lost(c);
        f->rack_ns = 0; /* what has arrived was not the repetition, so its time says nothing */
        c->recovery = TCP_OPEN;
        c->dup_acks = 0;
    }
    f->undo_again = 0;
    f->frto = TCP_FRTO_NONE;
    inet_count(c->stack, tcp_undone);
}

/* The ACK echoes a time before anything was sent again, so the original had arrived. */
static void eifel_check(struct tcp_conn *c, const struct tcp_options *o) {
    if (!c->undo || c->flight->undo_ts == 0 || c->recovery == TCP_OPEN || !o->has_timestamp) return;
    if (o->ts_echo != 0 && seq_lt(o->ts_echo, c->flight->undo_ts)) undo(c);
    c->undo = false;
}

/* All that was sent again in the last recovery has come twice. It may be over by now. */
static void twice_check(struct tcp_conn *c, const struct tcp_delivery *d) {
    struct tcp_flight *f = c->flight;
    if (!d->duplicate || f->undo_again == 0) return;
    if (seq_lt(d->twice.start, f->undo_from) || seq_lt(f->recover, d->twice.end)) return;
    uint32_t segments = (d->twice.end - d->twice.start + c->mss - 1) / c->mss;
    f->undo_again -= segments < f->undo_again ? segments : f->undo_again;
    if (f->undo_again == 0) undo(c);
}

static bool may_send_new(const struct tcp_conn *c) {
    return c->snd_nxt != c->snd_end && seq_lt(c->snd_nxt, c->snd_una + c->snd_wnd);
}

/*
 * Step 2: the first ACK after the repetition moves on, but not to the end: new segments show more than further
 * repetitions would. Step 3: the next one speaks of what was sent once, so that the timer was too early; or it does
 * not.
 */
static void frto_check(struct tcp_conn *c, bool advanced, const struct tcp_delivery *d) {
    struct tcp_flight *f = c->flight;
    if (f->frto == TCP_FRTO_NONE) return;
    if (f->frto == TCP_FRTO_NEW && d->original && c->recovery == TCP_LOSS) {
        undo(c);
        return;
    }
    bool goes_on = f->frto == TCP_FRTO_REPEATED && c->recovery == TCP_LOSS && advanced &&
                   seq_lt(c->snd_una, f->recover) && may_send_new(c);
    f->frto = goes_on ? TCP_FRTO_NEW : TCP_FRTO_NONE;
}

void undo_check(struct tcp_conn *c, bool advanced, const struct tcp_options *o, const struct tcp_delivery *d) {
    if (advanced) eifel_check(c, o);
    twice_check(c, d);
    frto_check(c, advanced, d);
}

void undo_timeout(struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    bool first = c->recovery == TCP_OPEN, head_alone = c->recovery == TCP_LOSS && f->frto == TCP_FRTO_REPEATED;
    if (first) undo_remember(c);
    f->frto = c->sack && !c->timestamps && (first || head_alone) ? TCP_FRTO_REPEATED : TCP_FRTO_NONE;
}
