/* SPDX-License-Identifier: MIT */
/* Data received: in order, waiting to be popped; and out of order, waiting for what is missing. */
#ifndef INET_TCP_REASSEMBLY_H
#define INET_TCP_REASSEMBLY_H

#include "inet/tcp/conn.h"

/*
 * Takes in the payload of g, which lies in the window, and its FIN. Moves rcv_nxt over all that is in order now.
 * Whether rcv_nxt moved.
 */
bool reassembly_add(struct tcp_conn *c, struct rx_packet *p, const struct tcp_segment *g);

/*
 * Fills in SACK blocks: what came twice (RFC 2883), once; then the run that changed last, which holds what came twice
 * if that is above rcv_nxt; then the others.
 */
void reassembly_sack(struct tcp_conn *c, struct tcp_options *o);

/* Frees all data. */
void reassembly_clear(struct tcp_conn *c);

/* Queues the bytes that come next, and takes over the ownership of their block; false: no memory. */
bool reassembly_next(struct tcp_conn *c, uint8_t *base, uint32_t len);

#endif
