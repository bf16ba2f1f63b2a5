/* SPDX-License-Identifier: MIT */
/* Invariants of a TCP connection. */
#include "inet/tcp/check.h"

#include "inet/tcp/calm.h"

#include <stdio.h>

#define CHEAP_ENTRIES  64u  /* entries of all queues up to which each call checks them */
#define CHARGE_OF_MANY 512u /* the bytes that an out-of-order segment pins at least, about */

/* Returns the condition's text from the function if it does not hold. */
#define HOLDS(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) return #condition;                                                                           \
    } while (0)

static bool on_its_way(const struct tcp_sent *e) {
    return !(e->flags & TCP_SENT_SACKED) && (!(e->flags & TCP_SENT_LOST) || (e->flags & TCP_SENT_RETRANSMITTED));
}

/* The chunks hold the pushed bytes from send.una on, without a hole. */
static const char *check_chunks(const struct tcp_conn *c) {
    uint32_t next = c->send.una;
    for (uint32_t i = 0; i < c->recovery.flight->queue.chunks.count; i++) {
        const struct tcp_chunk *chunk =
            fifo_at(&c->recovery.flight->queue.chunks, sizeof *chunk, c->recovery.flight->queue.chunks.first + i);
        HOLDS(i == 0 ? seq_le(chunk->seq, c->send.una) && seq_lt(c->send.una, chunk->seq + chunk->len)
                     : chunk->seq == next);
        next = chunk->seq + chunk->len;
    }
    HOLDS(c->recovery.flight->queue.chunks.count == 0 || next == c->send.end);
    return NULL;
}

/* The scoreboard has the segments from send.una to send.nxt, and the sums over their flags are right. */
static const char *check_sent(const struct tcp_conn *c) {
    uint32_t next = c->send.una, sacked = 0, lost = 0, again = 0, travelling = 0;
    for (uint32_t i = 0; i < c->recovery.flight->scoreboard.sent.count; i++) {
        const struct tcp_sent *e =
            scoreboard_at(&c->recovery.flight->scoreboard, c->recovery.flight->scoreboard.sent.first + i);
        HOLDS(e->seq == next && e->len > 0);
        HOLDS(!(e->flags & TCP_SENT_RETRANSMITTED) || (e->flags & TCP_SENT_LOST));
        HOLDS(!(e->flags & TCP_SENT_SACKED) || !(e->flags & TCP_SENT_LOST));
        HOLDS(!(e->flags & TCP_SENT_FIN) || i + 1 == c->recovery.flight->scoreboard.sent.count);
        HOLDS(e->sent_ns <= c->stack->now);
        if (e->flags & TCP_SENT_SACKED) /* skip_sacked passes over reported segments only */
            HOLDS(e->newer - c->recovery.flight->scoreboard.sent.first > i &&
                  e->newer - c->recovery.flight->scoreboard.sent.first <= c->recovery.flight->scoreboard.sent.count);
        next += e->len;
        sacked += e->flags & TCP_SENT_SACKED ? e->len : 0;
        lost += e->flags & TCP_SENT_LOST ? e->len : 0;
        again += e->flags & TCP_SENT_RETRANSMITTED ? e->len : 0;
        travelling += on_its_way(e);
    }
    HOLDS(c->recovery.flight->scoreboard.sent.count == 0 || next == c->send.nxt);
    HOLDS(sacked == c->recovery.flight->scoreboard.sacked_bytes && lost == c->recovery.flight->scoreboard.lost_bytes &&
          again == c->recovery.flight->scoreboard.retransmitted_bytes);
    uint32_t linked = 0, before = TCP_SENT_NONE;
    for (uint32_t at = c->recovery.flight->scoreboard.sent.count ? c->recovery.flight->scoreboard.oldest
                                                                 : TCP_SENT_NONE;
         at != TCP_SENT_NONE;) {
        const struct tcp_sent *e = scoreboard_at(&c->recovery.flight->scoreboard, at);
        HOLDS(at - c->recovery.flight->scoreboard.sent.first < c->recovery.flight->scoreboard.sent.count &&
              on_its_way(e) && e->older == before);
        HOLDS(linked++ < c->recovery.flight->scoreboard.sent.count);
        before = at;
        at = e->newer;
    }
    HOLDS(linked == travelling &&
          (c->recovery.flight->scoreboard.sent.count == 0 || c->recovery.flight->scoreboard.newest == before));
    return NULL;
}

static const char *check_sender(const struct tcp_conn *c) {
    HOLDS(seq_le(c->send.una, c->send.nxt));
    if (!conn_synchronized(c)) return NULL;
    HOLDS(seq_le(c->send.nxt, c->send.end + c->send.fin_sent));
    HOLDS(!c->send.fin_sent || c->send.fin_queued);
    HOLDS((c->send.una != c->send.nxt) == (c->recovery.flight->scoreboard.sent.count > 0));
    HOLDS(conn_in_flight(c) <= c->send.nxt - c->send.una);
    HOLDS(c->recovery.state == TCP_RECOVERY ||
          c->cc.cwnd >= c->send.mss); /* in TCP_RECOVERY it follows what is in flight */
    /* A timer is armed while data is out or waits to be sent. */
    HOLDS(c->send.una == c->send.nxt || timers_pending(&c->timers, TCP_TIMER_SEND));
    HOLDS(c->state == TCP_STATE_TIME_WAIT || c->send.end == c->send.nxt || c->send.fin_sent ||
          timers_pending(&c->timers, TCP_TIMER_SEND) || timers_pending(&c->timers, TCP_TIMER_ROOM) || c->marked);
    const char *wrong = check_chunks(c);
    return wrong ? wrong : check_sent(c);
}

/* The runs lie behind receive.nxt with holes between them, and each is the sum of its segments. */
static const char *check_out_of_order(const struct tcp_conn *c, uint32_t *bytes, uint32_t *charged) {
    const struct tcp_ooo *o = c->receive.reassembly.ooo;
    uint32_t runs = 0, all = 0, pinned = 0, next = c->receive.nxt;
    HOLDS(o->owner == &c->receive.reassembly && o->runs && !c->receive.fin_received);
    for (struct tree_node *n = tree_first(o->runs); n; n = tree_after(o->runs, n->key)) {
        const struct tcp_ooo_run *run = reassembly_run(n);
        uint32_t sum = 0;
        HOLDS(seq_lt(next, n->key) && seq_lt(n->key, run->end));
        for (const struct tcp_ooo_slice *slice = run->first; slice; slice = slice->next) {
            HOLDS(slice->len > 0 && heap_owns(slice->base) && (slice->next || slice == run->last));
            sum += slice->len;
            pinned += slice->charge;
        }
        HOLDS(sum == run->end - n->key);
        HOLDS(!run->fin || !tree_after(o->runs, n->key));
        all += sum;
        next = run->end;
        runs++;
    }
    HOLDS(runs == o->run_count && all == o->bytes && pinned == o->charged);
    HOLDS(seq_le(next, receive_edge(&c->receive)));
    *bytes += all;
    *charged += pinned;
    return NULL;
}

static const char *check_receiver(const struct tcp_conn *c) {
    uint32_t bytes = 0, charged = 0;
    for (uint32_t i = 0; i < c->receive.slices.count; i++) {
        const struct tcp_slice *slice = fifo_at(&c->receive.slices, sizeof *slice, c->receive.slices.first + i);
        HOLDS(slice->len > 0 && heap_owns(slice->base));
        bytes += slice->len;
        charged += slice->charge;
    }
    const char *wrong = c->receive.reassembly.ooo ? check_out_of_order(c, &bytes, &charged) : NULL;
    if (wrong) return wrong;
    HOLDS(bytes == c->receive.bytes + reassembly_bytes(&c->receive.reassembly) &&
          charged == receive_charged(&c->receive));
    if (!conn_synchronized(c)) return NULL;
    HOLDS(seq_le(c->receive.last_ack, c->receive.nxt));
    HOLDS(!c->receive.ack_later || c->receive.ack_now || timers_pending(&c->timers, TCP_TIMER_DELACK));
    /* An ACK that is due waits for the flush, or for room at the device. */
    HOLDS(!c->receive.ack_now || c->marked || timers_pending(&c->timers, TCP_TIMER_ROOM));
    return NULL;
}

const char *tcp_check(const struct tcp_conn *c) {
    if (c->state == TCP_STATE_CLOSED) {
        HOLDS(c->recovery.flight->queue.chunks.count == 0 && c->recovery.flight->scoreboard.sent.count == 0 &&
              !c->timers.timer.timer.armed);
        return NULL;
    }
    for (uint32_t i = 0; i < TCP_TIMER_COUNT; i++)
        HOLDS(c->timers.deadlines[i] == UINT64_MAX ||
              (c->timers.timer.timer.armed && c->timers.timer.timer.deadline_ns <= c->timers.deadlines[i]));
    HOLDS(!c->calm || calm_holds(c));
    const char *wrong = check_sender(c);
    return wrong ? wrong : check_receiver(c);
}

void tcp_check_assert(const struct tcp_conn *c) {
    uint32_t entries =
        c->recovery.flight->queue.chunks.count + c->recovery.flight->scoreboard.sent.count + c->receive.slices.count;
    if (c->receive.reassembly.ooo)
        entries += c->receive.reassembly.ooo->run_count + c->receive.reassembly.ooo->charged / CHARGE_OF_MANY;
    if (entries > CHEAP_ENTRIES &&
        (c->statistics.segments_in + c->statistics.segments_out) % (entries / CHEAP_ENTRIES) != 0)
        return;
    const char *wrong = tcp_check(c);
    if (wrong) fprintf(stderr, "tcp_check: not so: %s\n", wrong);
    assert(!wrong);
}

static const char *check_listener(const struct tcp_listener *l) {
    uint32_t half_open = 0, waiting = 0;
    struct list *node;
    for (node = l->half_open.next; node != &l->half_open; node = node->next)
        half_open++;
    for (node = l->waiting.next; node != &l->waiting; node = node->next)
        waiting++;
    HOLDS(half_open == l->half_open_count && waiting == l->waiting_count);
    HOLDS(half_open <= l->backlog + 1 && waiting <= l->backlog); /* a cookie is half open for a moment */
    return NULL;
}

const char *tcp_check_all(const struct inet *s) {
    const char *wrong = NULL;
    const struct tcp_conn *c;
    const struct tcp_listener *l;
    for (uint64_t at = 0; !wrong && (c = hash_next(&s->tcp_conns, &at));)
        wrong = tcp_check(c);
    for (uint64_t at = 0; !wrong && (l = hash_next(&s->tcp_listeners, &at));)
        wrong = check_listener(l);
    return wrong;
}
