/* SPDX-License-Identifier: MIT */
/* Listeners: connections that others open. */
#ifndef INET_TCP_LISTEN_H
#define INET_TCP_LISTEN_H

#include "inet/tcp/conn.h"

/* The listener for a local address and port; NULL: none. */
struct tcp_listener *listener_find(const struct inet *s, const struct inet_addr *addr, uint16_t port);

/*
 * A segment that belongs to no connection has come for the listener. NULL: it is done with; else it completes the
 * handshake of the connection returned, which was made of a cookie.
 */
struct tcp_conn *listener_input(struct tcp_listener *l, const struct rx_packet *p, const struct tcp_segment *g);

/* A half-open connection's handshake is complete. False: too many wait to be accepted; it stays half open. */
bool listener_establish(struct tcp_conn *c);

void listener_free(struct tcp_listener *l);

#endif
