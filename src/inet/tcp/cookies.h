/* SPDX-License-Identifier: MIT */
/*
 * SYN cookies (RFC 4987 section 3.6): when too many handshakes are half open, a SYN is answered without keeping
 * anything; what must be known is in the initial sequence number, and comes back with the ACK: the MSS, rounded down.
 * Where both ends have timestamps, the last bits of ours bring back the other options.
 */
#ifndef INET_TCP_COOKIES_H
#define INET_TCP_COOKIES_H

#include "inet/tcp/conn.h"

#define COOKIE_PERIOD_NS (64 * NS_PER_S) /* a cookie is good for one to two of these */

/* A cookie is about to be sent: until all that were sent have expired, they may come back, to any stack of the group.
 */
void cookies_sent(const struct inet *s);
/* Whether any may come back; at other times none is accepted, so that none can be guessed. */
static inline bool cookies_may_come(const struct inet *s) {
    return s->now < atomic_load_explicit(s->config.cookies_until_ns, memory_order_relaxed);
}

/* The initial sequence number for the SYN of a flow. */
uint32_t cookie_make(const struct inet *s, const struct inet_flow *flow, uint32_t irs, uint16_t mss);

/* The MSS that the cookie was made with, rounded down; 0: not a cookie of this flow, or too old. */
uint16_t cookie_check(const struct inet *s, const struct inet_flow *flow, uint32_t irs, uint32_t cookie);

/* The timestamp, at or shortly before clock_ms, that keeps what the SYN has offered; and what it has kept. */
uint32_t cookie_stamp(uint32_t clock_ms, const struct tcp_options *offered);
void cookie_options(uint32_t stamp, struct tcp_options *o);

#endif
