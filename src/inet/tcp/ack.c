/* SPDX-License-Identifier: MIT */
/* What an ACK or a passed deadline changes: the scoreboard, loss recovery, the congestion window, the send timer. */
#include "inet/tcp/conn.h"

#include "inet/ip/neighbour.h"

#include <assert.h>

static struct tcp_recovery_context context_of(struct tcp_conn *c) {
    return (struct tcp_recovery_context){
        .now = c->stack->now,
        .counters = c->stack->counters,
        .rtt = &c->rtt,
        .cc = &c->cc,
        .una = c->send.una,
        .nxt = c->send.nxt,
        .mss = c->send.mss,
        .timestamps = c->send.timestamps,
        .can_send = send_possible(&c->send),
        .reorder_ns = UINT64_MAX,
    };
}

static inline struct tcp_delivery delivery_of(const struct tcp_conn *c) {
    return (struct tcp_delivery){.now = c->stack->now, .rtt = &c->rtt, .high = c->recovery.flight->scoreboard.high};
}

/* Takes in the SACK blocks of an ACK. */
static void blocks_input(struct tcp_conn *c, const struct tcp_options *o, uint32_t ack, struct tcp_delivery *d) {
    scoreboard_sacked(&c->recovery.flight->scoreboard, o, c->send.una, c->send.nxt, ack, d);
    c->stack->counters[INET_COUNTER_tcp_scoreboard_steps] += d->steps;
}

/* The cumulative ACK advances. */
static void advance(struct tcp_conn *c, uint32_t ack, struct tcp_delivery *d) {
    scoreboard_acked(&c->recovery.flight->scoreboard, ack, d);
    c->send.una = ack;
    c->send.more = false; /* as in Linux: the data that was to follow is late */
    c->timers.backoff = 0;
    c->timers.progress_ns = c->stack->now;
    neighbour_progress(c->stack, &c->flow.remote);
}

static inline void grow(struct tcp_conn *c, uint32_t acked) {
    if (!recovery_window_full(&c->recovery, &c->cc)) return;
    tcp_cc_grow(&c->cc, acked, c->send.mss, c->rtt.srtt_us, c->stack->now);
}

/* Looks for losses, and begins a recovery if there are any. */
static bool losses_found(struct tcp_conn *c, struct tcp_recovery_context *x, bool advanced,
                         const struct tcp_delivery *d) {
    bool lost = recovery_detect(&c->recovery, x, advanced, d);
    if (x->reorder_ns != UINT64_MAX) {
        c->timers.send_timer = TCP_SEND_REORDER;
        conn_deadline(c, TCP_TIMER_SEND, x->reorder_ns);
    }
    assert(scoreboard_sums_hold(&c->recovery.flight->scoreboard, x->nxt - x->una));
    if (lost) recovery_begin(&c->recovery, x);
    return lost;
}

/* Something may be missing, or was. */
static void recover(struct tcp_conn *c, uint32_t acked, bool repairs, const struct tcp_options *o,
                    const struct tcp_delivery *d) {
    struct tcp_recovery *r = &c->recovery;
    struct tcp_recovery_context x = context_of(c);
    recovery_probe_acked(r, &x, d);
    undo_check(r, &x, acked > 0, o, d);
    if (acked > 0) {
        recovery_check_end(r, &x);
        if (!repairs) grow(c, d->bytes);
        tcp_arm_send(c);
    }
    bool lost = losses_found(c, &x, acked > 0, d);
    if (r->state == TCP_RECOVERY) recovery_prr(r, &x, d->bytes, acked > 0 && !lost);
    /* If something is missing the retransmission timer replaces the probe (RFC 8985 section 7.2). */
    bool probing =
        c->timers.send_timer == TCP_SEND_PROBE && (r->state != TCP_OPEN || r->flight->scoreboard.sacked_bytes > 0);
    if (probing || !timers_pending(&c->timers, TCP_TIMER_SEND)) tcp_arm_send(c);
}

void tcp_ack(struct tcp_conn *c, uint32_t ack, const struct tcp_options *o, bool duplicate) {
    struct tcp_recovery *r = &c->recovery;
    uint32_t acked = ack - c->send.una;
    assert(acked <= send_out(&c->send)); /* the caller has refused what was never sent */
    bool repairs = r->state == TCP_RECOVERY, reordering = c->timers.send_timer == TCP_SEND_REORDER;
    bool calm = acked > 0 && o->sack_count == 0 && !r->probe_sent && !reordering && recovery_is_calm(r);
    struct tcp_delivery d = delivery_of(c);
    if (reordering) timers_clear(&c->timers, TCP_TIMER_SEND); /* recover sets it again */
    if (r->sack && o->sack_count > 0) blocks_input(c, o, ack, &d);
    if (acked > 0) advance(c, ack, &d);
    if (d.reordered > 0) recovery_reordered(r, d.reordered, c->send.mss);
    if (!r->sack && (acked > 0 || duplicate)) d.bytes = recovery_reno_delivered(r, acked, c->send.mss);
    if (d.rtt_us) rtt_sample(&c->rtt, c->stack->now, d.rtt_us);
    if (calm) {
        grow(c, acked);
        tcp_arm_send(c);
    } else {
        recover(c, acked, repairs, o, &d);
    }
}

void tcp_ack_idle(struct tcp_conn *c, const struct tcp_options *o) {
    struct tcp_delivery d = delivery_of(c);
    struct tcp_recovery_context x = context_of(c);
    blocks_input(c, o, c->send.una, &d);
    undo_check(&c->recovery, &x, false, o, &d);
    if (d.duplicate) rack_duplicate(&c->recovery, x.una, x.nxt);
}

void tcp_find_losses(struct tcp_conn *c) {
    const struct tcp_delivery none = {.bytes = 0};
    struct tcp_recovery_context x = context_of(c);
    bool open = c->recovery.state == TCP_OPEN;
    if (losses_found(c, &x, false, &none) && open) recovery_prr(&c->recovery, &x, 0, false);
}

void tcp_all_lost(struct tcp_conn *c) {
    struct tcp_recovery_context x = context_of(c);
    recovery_timeout(&c->recovery, &x);
}
