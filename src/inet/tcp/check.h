/* SPDX-License-Identifier: MIT */
/*
 * Invariants of a TCP connection, which hold between any two calls. The stack asserts the cheap ones where the state
 * changes; debug builds also assert the others, which compute every sum anew.
 */
#ifndef INET_TCP_CHECK_H
#define INET_TCP_CHECK_H

#include "inet/tcp/conn.h"

#include <assert.h>

/* NULL: all holds; else what does not. */
const char *tcp_check(const struct tcp_conn *c);

/* The same of all connections and listeners of a stack. */
const char *tcp_check_all(const struct inet *s);

/* tcp_check as an assertion; of a connection with long queues only sometimes, so that its cost does not grow. */
void tcp_check_assert(const struct tcp_conn *c);

/* A call, a segment or a timer has changed the connection on the short way, on which every instruction counts. */
static inline void conn_changed_shortly(const struct tcp_conn *c) {
    (void)c;
#ifdef DMTR_DEBUG
    tcp_check_assert(c);
#endif
}

/* The same on the long way. */
static inline void conn_changed(const struct tcp_conn *c) {
    assert(seq_le(c->send.una, c->send.nxt));
    assert(c->send.una == c->send.nxt || timers_pending(&c->timers, TCP_TIMER_SEND));
    conn_changed_shortly(c);
}

#endif
