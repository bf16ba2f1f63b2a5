/* SPDX-License-Identifier: MIT */
/*
 * Output that waits, so that what the application pushes in one turn, and the ACKs of one burst, leave together. A
 * connection is marked when it has something to send, and tcp_flush sends for all marked connections in their order.
 */
#include "inet/tcp/check.h"
#include "inet/tcp/fast_output.h"
#include "inet/tcp/input.h"

void conn_mark(struct tcp_conn *c) {
    if (c->listener) { /* its link is in the listener's list */
        tcp_output(c);
    } else if (!c->marked) {
        c->marked = true;
        c->stack->unsent_frames++;
        list_push_back(&c->stack->tcp_marked, &c->link);
    }
}

/* Whether one push is all that is unsent, and was sent by the fast path. */
static bool last_push_sent(struct tcp_conn *c) {
    const struct tcp_send_queue *q = &c->recovery.flight->queue;
    if (send_queue_is_empty(q) || c->send.fin_queued) return false;
    const struct tcp_chunk *last = send_queue_at(q, q->chunks.first + q->chunks.count - 1);
    struct inet_segment data = {last->base, last->len};
    return last->seq == c->send.nxt && tcp_output_expected(c, &data);
}

void conn_flush(struct tcp_conn *c) {
    conn_unmark(c);
    if (last_push_sent(c)) {
        conn_changed_shortly(c);
        return;
    }
    tcp_output(c);
    conn_changed(c);
}

void tcp_flush(struct inet *s) {
    for (struct list *node; (node = list_first(&s->tcp_marked));)
        conn_flush(list_entry(node, struct tcp_conn, link));
    s->unsent_frames = 0;
}
