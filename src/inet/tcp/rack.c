/* SPDX-License-Identifier: MIT */
/* RACK: what was sent clearly before something that has arrived, and has not, is lost (RFC 8985 section 6.2). */
#include "inet/tcp/sack.h"

#define REORDER_STEPS_MAX 16u
#define REORDER_PERSIST   16u /* recoveries without a duplicate after which the window is what it was */
#define DUP_THRESHOLD     3u

/* Sent later, or at the same time and behind. */
static bool sent_after(uint64_t a_ns, uint32_t a_end, uint64_t b_ns, uint32_t b_end) {
    return a_ns > b_ns || (a_ns == b_ns && seq_lt(b_end, a_end));
}

void rack_delivered(struct tcp_conn *c, const struct tcp_sent *e) {
    uint64_t rtt_us = (c->stack->now - e->sent_ns) / 1000;
    /* Sent more than once, and back too soon: it is the first one that has arrived. */
    if ((e->flags & TCP_SENT_EVER_RETRANSMITTED) && rtt_us < rtt_min_us(&c->rtt)) return;
    uint32_t end = e->seq + e->len;
    if (c->flight->rack_ns != 0 && !sent_after(e->sent_ns, end, c->flight->rack_ns, c->flight->rack_end)) return;
    c->flight->rack_ns = e->sent_ns;
    c->flight->rack_end = end;
    c->flight->rack_rtt_us = rtt_us < UINT32_MAX ? (uint32_t)rtt_us : UINT32_MAX;
}

/* How long a segment may be overtaken before it is lost. */
static uint64_t reorder_window_ns(const struct tcp_conn *c) {
    if (!c->reordering && (c->recovery != TCP_OPEN || c->flight->sacked_bytes >= DUP_THRESHOLD * (uint32_t)c->mss))
        return 0;
    uint64_t window_us = (uint64_t)rtt_min_us(&c->rtt) / 4 * (c->reorder_steps + 1u);
    return (window_us < c->rtt.srtt_us ? window_us : c->rtt.srtt_us) * 1000;
}

void rack_duplicate(struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    if (f->dsack_round && seq_lt(c->snd_una, f->dsack_round_end)) return;
    f->dsack_round = true;
    f->dsack_round_end = c->snd_nxt;
    if (c->reorder_steps < REORDER_STEPS_MAX) c->reorder_steps++;
    c->reorder_persist = REORDER_PERSIST;
}

void rack_recovered(struct tcp_conn *c) {
    if (c->reorder_persist > 0 && --c->reorder_persist == 0) c->reorder_steps = 0;
}

bool rack_detect(struct tcp_conn *c, const struct tcp_delivery *d) {
    if (d->duplicate) rack_duplicate(c);
    if (c->flight->rack_ns == 0 || c->flight->sent.count == 0) return false;
    uint64_t patience = (uint64_t)c->flight->rack_rtt_us * 1000 + reorder_window_ns(c);
    bool any = false;
    while (c->flight->oldest != TCP_SENT_NONE) {
        const struct tcp_sent *e = sent_at(c, c->flight->oldest);
        inet_count(c->stack, tcp_scoreboard_steps);
        if (!sent_after(c->flight->rack_ns, c->flight->rack_end, e->sent_ns, e->seq + e->len)) break;
        uint64_t lost_ns = e->sent_ns + patience;
        if (lost_ns > c->stack->now) {
            c->timers.send_timer = TCP_SEND_REORDER;
            conn_deadline(c, TCP_TIMER_SEND, lost_ns);
            break;
        }
        sent_mark_lost(c, c->flight->oldest);
        any = true;
    }
    return any;
}
