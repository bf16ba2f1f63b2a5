/* SPDX-License-Identifier: MIT */
/* RACK: a segment is lost if it was sent clearly before one that has arrived (RFC 8985 section 6.2). */
#include "inet/tcp/recovery.h"

#define REORDER_STEPS_MAX 16u
#define REORDER_PERSIST   16u /* recoveries without a duplicate until the reordering window is reset */

/* How long a segment may be overtaken before it is lost. */
static uint64_t reorder_window_ns(const struct tcp_recovery *r, const struct tcp_recovery_context *x) {
    if (!r->reordering && (r->state != TCP_OPEN || r->flight->scoreboard.sacked_bytes >= TCP_DUP_THRESHOLD * x->mss))
        return 0;
    uint64_t window_us = (uint64_t)rtt_min_us(x->rtt) / 4 * (r->reorder_steps + 1u);
    return (window_us < x->rtt->srtt_us ? window_us : x->rtt->srtt_us) * 1000;
}

void rack_duplicate(struct tcp_recovery *r, uint32_t una, uint32_t nxt) {
    struct tcp_flight *f = r->flight;
    if (f->dsack_round && seq_lt(una, f->dsack_round_end)) return;
    f->dsack_round = true;
    f->dsack_round_end = nxt;
    if (r->reorder_steps < REORDER_STEPS_MAX) r->reorder_steps++;
    r->reorder_persist = REORDER_PERSIST;
}

void rack_recovered(struct tcp_recovery *r) {
    if (r->reorder_persist > 0 && --r->reorder_persist == 0) r->reorder_steps = 0;
}

bool rack_detect(struct tcp_recovery *r, struct tcp_recovery_context *x, const struct tcp_delivery *d) {
    struct tcp_scoreboard *b = &r->flight->scoreboard;
    x->reorder_ns = UINT64_MAX;
    if (d->duplicate) rack_duplicate(r, x->una, x->nxt);
    if (b->rack_ns == 0 || b->sent.count == 0) return false;
    uint64_t patience = (uint64_t)b->rack_rtt_us * 1000 + reorder_window_ns(r, x);
    bool any = false;
    while (b->oldest != TCP_SENT_NONE) {
        const struct tcp_sent *e = scoreboard_at(b, b->oldest);
        inet_count(x, tcp_scoreboard_steps);
        if (!scoreboard_sent_after(b->rack_ns, b->rack_end, e->sent_ns, e->seq + e->len)) break;
        uint64_t lost_ns = e->sent_ns + patience;
        if (lost_ns > x->now) {
            x->reorder_ns = lost_ns;
            break;
        }
        scoreboard_mark_lost(b, b->oldest);
        any = true;
    }
    return any;
}
