/* SPDX-License-Identifier: MIT */
/* The proof that a connection is calm. */
#include "inet/tcp/calm.h"

static bool send_is_calm(const struct tcp_send *s) {
    return !s->fin_queued && !s->cork && s->wnd > 0;
}

/* Segments in flight were sent once, in the order of their sequence numbers, and none has arrived out of order. */
static bool flight_is_calm(const struct tcp_recovery *r, uint32_t una) {
    const struct tcp_scoreboard *b = &r->flight->scoreboard;
    return r->sack && !r->probe_sent && recovery_is_calm(r) && !b->disturbed &&
           (r->flight == &tcp_no_flight || seq_le(b->high, una));
}

static bool receive_is_calm(const struct tcp_receive *r) {
    return !r->shut && !r->fin_received && !reassembly_has_blocks(&r->reassembly);
}

/* The next timeout of the sender is the first one, or a loss probe. */
static bool timers_are_calm(const struct tcp_timers *t) {
    return t->backoff == 0 && t->send_timer != TCP_SEND_REORDER && t->user_timeout_ms == 0;
}

bool calm_holds(const struct tcp_conn *c) {
    return c->state == TCP_STATE_ESTABLISHED && !c->error && !c->orphan && !c->loopback &&
           !c->stack->config.slow_only && send_is_calm(&c->send) && flight_is_calm(&c->recovery, c->send.una) &&
           receive_is_calm(&c->receive) && timers_are_calm(&c->timers);
}

bool calm_prove(struct tcp_conn *c) {
    return c->calm = calm_holds(c);
}
