/* SPDX-License-Identifier: MIT */
/*
 * Loss recovery. OPEN: nothing is missing. RECOVERY: losses were found by what came after them; the window follows
 * Proportional Rate Reduction. LOSS: the timer expired; slow start. Both end when all that was out at their beginning
 * is acknowledged, or when it shows that nothing was lost: then all is undone (tcp_undo.c).
 */
#include "inet/tcp/recovery.h"

#include "inet/ip/neighbour.h"

#include <assert.h>

#define DUP_THRESHOLD 3u

static void recovery_begin(struct tcp_conn *c) {
    undo_remember(c);
    c->recovery = TCP_RECOVERY;
    c->flight->recover = c->snd_nxt;
    c->flight->prr_flight = c->snd_nxt - c->snd_una;
    c->flight->prr_delivered = c->flight->prr_out = 0;
    c->cc.ssthresh = c->cc.ops->reduce(&c->cc, c->flight->prr_flight, c->mss);
    c->probe_sent = false;
    inet_count(c->stack, tcp_recoveries);
}

void recovery_timeout(struct tcp_conn *c) {
    undo_timeout(c);
    if (c->recovery != TCP_LOSS) c->cc.ssthresh = c->cc.ops->reduce(&c->cc, c->snd_nxt - c->snd_una, c->mss);
    if (c->cc.ops->timeout) c->cc.ops->timeout(&c->cc);
    c->recovery = TCP_LOSS;
    c->flight->recover = c->snd_nxt;
    c->cc.cwnd = c->mss;
    c->dup_acks = 0;
    c->probe_sent = false;
    sent_mark_all_lost(c);
    inet_count(c->stack, tcp_rto);
}

static void recovery_end(struct tcp_conn *c) {
    if (c->recovery == TCP_RECOVERY) c->cc.cwnd = c->cc.ssthresh;
    c->recovery = TCP_OPEN;
    c->dup_acks = 0;
    c->undo = false;
    rack_recovered(c);
}

/* RFC 6937: what is sent follows what is delivered, so that the window has reached ssthresh when recovery ends. */
static void prr(struct tcp_conn *c, uint32_t delivered, bool advanced) {
    uint32_t pipe = conn_on_path(c), ssthresh = c->cc.ssthresh, mss = c->mss;
    uint64_t send;
    c->flight->prr_delivered += delivered;
    if (pipe > ssthresh) {
        uint64_t due = ((uint64_t)c->flight->prr_delivered * ssthresh + c->flight->prr_flight - 1) /
                       (c->flight->prr_flight ? c->flight->prr_flight : 1);
        send = due > c->flight->prr_out ? due - c->flight->prr_out : 0;
    } else {
        uint64_t behind =
            c->flight->prr_delivered > c->flight->prr_out ? c->flight->prr_delivered - c->flight->prr_out : 0;
        send = behind > delivered ? behind : delivered;
        if (advanced) send += mss;
        if (send > ssthresh - pipe) send = ssthresh - pipe;
    }
    if (c->flight->prr_out == 0 && send < mss) send = mss;        /* the first one goes at once */
    c->cc.cwnd = pipe + send > mss ? pipe + (uint32_t)send : mss; /* a segment may always be on its way */
}

/* Without SACK: three duplicates mean a loss, and so does an ACK that advances to less than all (RFC 6582). */
static bool reno_detect(struct tcp_conn *c, bool advanced) {
    bool lost = c->recovery == TCP_OPEN ? c->dup_acks >= DUP_THRESHOLD : advanced;
    if (!lost || c->flight->sent.count == 0 || (sent_at(c, c->flight->sent.first)->flags & TCP_SENT_LOST)) return false;
    sent_mark_lost(c, c->flight->sent.first);
    return true;
}

/*
 * Without SACK a duplicate ACK tells of one segment, and one that advances of those that no duplicate has told of
 * (RFC 6937 section 2): the bytes that have newly arrived.
 */
static uint32_t reno_delivered(struct tcp_conn *c, uint32_t acked) {
    if (acked == 0) {
        if (c->dup_acks < UINT8_MAX) c->dup_acks++;
        return c->mss;
    }
    uint32_t told = c->recovery == TCP_RECOVERY ? (acked - 1) / c->mss : UINT8_MAX;
    if (told > c->dup_acks) told = c->dup_acks;
    c->dup_acks = (uint8_t)(c->dup_acks - told);
    return acked > told * c->mss ? acked - told * c->mss : 0;
}

void recovery_detect(struct tcp_conn *c, const struct tcp_delivery *d) {
    if (rack_detect(c, d) && c->recovery == TCP_OPEN) {
        recovery_begin(c);
        prr(c, d->bytes, false);
    }
}

/* RFC 8985 section 7.4: the probe repaired a loss that nothing else has told of. */
static void probe_check(struct tcp_conn *c, uint32_t ack, const struct tcp_delivery *d) {
    if (!c->probe_sent || seq_lt(ack, c->flight->probe_end)) return;
    c->probe_sent = false;
    if (!c->probe_again || d->duplicate || c->recovery != TCP_OPEN) return;
    c->cc.ssthresh = c->cc.ops->reduce(&c->cc, c->snd_nxt - c->snd_una, c->mss);
    if (c->cc.cwnd > c->cc.ssthresh) c->cc.cwnd = c->cc.ssthresh;
}

/* In slow start a window of which half is used may double: it is known to fit the path. */
static bool window_full(const struct tcp_conn *c) {
    return c->limited || c->recovery == TCP_LOSS ||
           (c->cc.cwnd < c->cc.ssthresh && c->cc.cwnd / 2 < c->flight->most_out);
}

static void window_grow(struct tcp_conn *c, uint32_t acked) {
    struct tcp_cc *cc = &c->cc;
    if (cc->cwnd < cc->ssthresh) {
        uint32_t n = acked < cc->ssthresh - cc->cwnd ? acked : cc->ssthresh - cc->cwnd;
        cc->cwnd += n;
        acked -= n;
    }
    if (acked > 0 && cc->cwnd >= cc->ssthresh) cc->ops->avoid(cc, acked, c->mss, c->rtt.srtt_us, c->stack->now);
}

/* Nothing was missing before this ACK, and it tells of nothing that is: there are no losses to look for. */
static bool in_order(const struct tcp_conn *c, uint32_t ack, const struct tcp_options *o) {
    const struct tcp_flight *f = c->flight;
    return c->recovery == TCP_OPEN && ack != c->snd_una && o->sack_count == 0 && !c->probe_sent &&
           c->timers.send_timer != TCP_SEND_REORDER && f->sacked_bytes == 0 && f->lost_bytes == 0 &&
           (c->sack || c->dup_acks == 0);
}

void recovery_ack(struct tcp_conn *c, uint32_t ack, const struct tcp_options *o, bool duplicate) {
    uint32_t acked = ack - c->snd_una;
    assert(acked <= c->snd_nxt - c->snd_una); /* the caller has refused what was never sent */
    bool repairs = c->recovery == TCP_RECOVERY, calm = in_order(c, ack, o);
    struct tcp_delivery d = {.high = c->flight->sack_high};
    if (c->timers.send_timer == TCP_SEND_REORDER) timers_clear(&c->timers, TCP_TIMER_SEND); /* found anew below */
    if (c->sack && o->sack_count > 0) sent_sacked(c, o, ack, &d);
    if (acked > 0) {
        sent_acked(c, ack, &d);
        c->snd_una = ack;
        c->more = false; /* as in Linux: what was to come has had its time */
        c->timers.backoff = 0;
        c->timers.progress_ns = c->stack->now;
        neighbour_progress(c->stack, &c->flow.remote);
    }
    if (!c->sack && (acked > 0 || duplicate)) d.bytes = reno_delivered(c, acked);
    if (d.rtt_us) rtt_sample(&c->rtt, c->stack->now, d.rtt_us);
    if (calm) {
        if (window_full(c)) window_grow(c, acked);
        tcp_arm_send(c);
        return;
    }
    probe_check(c, ack, &d);
    undo_check(c, acked > 0, o, &d);
    if (acked > 0) {
        if (c->recovery != TCP_OPEN && seq_le(c->flight->recover, ack)) recovery_end(c);
        if (!repairs && window_full(c)) window_grow(c, d.bytes);
        tcp_arm_send(c);
    }
    bool lost = c->sack ? rack_detect(c, &d) : reno_detect(c, acked > 0);
    assert(sent_sums_hold(c));
    if (lost && c->recovery == TCP_OPEN) recovery_begin(c);
    if (c->recovery == TCP_RECOVERY) prr(c, d.bytes, acked > 0 && !lost);
    /* Where something is known to be missing its timer takes the place of the probe (RFC 8985 section 7.2). */
    bool probing = c->timers.send_timer == TCP_SEND_PROBE && (c->recovery != TCP_OPEN || c->flight->sacked_bytes > 0);
    if (probing || !timers_pending(&c->timers, TCP_TIMER_SEND)) tcp_arm_send(c);
}

void recovery_report(struct tcp_conn *c, const struct tcp_options *o) {
    struct tcp_delivery d = {.high = c->flight->sack_high};
    sent_sacked(c, o, c->snd_una, &d);
    undo_check(c, false, o, &d);
    if (d.duplicate) rack_duplicate(c);
}
