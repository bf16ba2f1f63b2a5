/* SPDX-License-Identifier: MIT */
/* What the slow and the fast path of output share: what changes when a segment leaves, or does not. */
#ifndef INET_TCP_OUTPUT_H
#define INET_TCP_OUTPUT_H

#include "inet/tcp/conn.h"

/* The device has no room, or there is no memory: sending is tried again later. Other timers keep running. */
static inline void output_blocked(struct tcp_conn *c) {
    conn_deadline(c, TCP_TIMER_ROOM, c->stack->now + c->stack->room_retry_ns);
}

/* A segment has left that advertises a window and acknowledges what was received. */
static inline void segment_left(struct tcp_conn *c, uint32_t promise) {
    receive_acknowledged(&c->receive, promise);
    c->statistics.segments_out++;
}

static inline void ack_done(struct tcp_conn *c) {
    c->receive.ack_now = c->receive.ack_later = false;
    timers_clear(&c->timers, TCP_TIMER_DELACK);
}

/* New data has left. first: nothing was out before. */
static inline void new_left(struct tcp_conn *c, bool first, uint32_t len) {
    if (first) c->timers.progress_ns = c->stack->now;
    send_left(&c->send, len);
}

/* Sending has ended for now. before: send.nxt when it began; room: the device has accepted all. */
void output_ended(struct tcp_conn *c, uint32_t before, bool room);

/* The device has refused the segment that was added to the scoreboard last. */
void sent_take_back(struct tcp_conn *c);

#endif
