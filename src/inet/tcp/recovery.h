/* SPDX-License-Identifier: MIT */
/* Loss recovery and the congestion window around it (RFC 5681, RFC 6937, RFC 8985, RFC 3522). */
#ifndef INET_TCP_RECOVERY_H
#define INET_TCP_RECOVERY_H

#include "inet/tcp/sack.h"

/*
 * An acceptable ACK: takes what it acknowledges off the scoreboard, finds losses, moves the windows. `o`: the segment's
 * options. `duplicate`: it is a duplicate ACK in the sense of RFC 5681 section 2.
 */
void recovery_ack(struct tcp_conn *c, uint32_t ack, const struct tcp_options *o, bool duplicate);

/* An ACK that comes when nothing is out: the peer may report what it has received twice. */
void recovery_report(struct tcp_conn *c, const struct tcp_options *o);

/* Looks for losses again, because time has passed. */
void recovery_detect(struct tcp_conn *c, const struct tcp_delivery *d);

/* The retransmission timer has expired: all that is out is taken for lost. */
void recovery_timeout(struct tcp_conn *c);

/* tcp_undo.c */
/* A recovery begins: what to go back to. */
void undo_remember(struct tcp_conn *c);
/* The same for a timeout, which may come within a recovery. */
void undo_timeout(struct tcp_conn *c);
/* Undoes the recovery that an ACK shows to have been needless. `advanced`: it acknowledges something new. */
void undo_check(struct tcp_conn *c, bool advanced, const struct tcp_options *o, const struct tcp_delivery *d);

#endif
