/* SPDX-License-Identifier: MIT */
/* The round-trip time of a connection, and the retransmission timeout that follows from it (RFC 6298). */
#ifndef INET_TCP_RTT_H
#define INET_TCP_RTT_H

#include <stdint.h>

#define TCP_RTO_INITIAL_US 1000000u
#define TCP_RTO_MIN_US     200000u
#define TCP_RTO_MAX_US     120000000u
#define TCP_BACKOFF_MAX    16u

struct tcp_rtt {
    uint32_t srtt_us, rttvar_us; /* smoothed round-trip time, 0 before the first sample, and its variation */
    uint32_t rto_us;
    uint32_t min_us, min_before_us; /* the least samples of this interval and of the one before; UINT32_MAX: none */
    uint32_t min_since;             /* start of this interval, in ticks of 2^30 ns */
};

void rtt_init(struct tcp_rtt *r, uint64_t now_ns);

/* Takes a sample. A sample above one minute counts as one minute. */
void rtt_sample(struct tcp_rtt *r, uint64_t now_ns, uint64_t sample_us);

/* The least round-trip time of the last minutes (RFC 8985 section 6.2 step 1); UINT32_MAX: no sample. */
static inline uint32_t rtt_min_us(const struct tcp_rtt *r) {
    return r->min_us < r->min_before_us ? r->min_us : r->min_before_us;
}

/* The retransmission timeout, doubled `backoff` times (RFC 6298 section 5.5), with a limit. */
static inline uint64_t rtt_timeout_ns(const struct tcp_rtt *r, uint8_t backoff) {
    uint64_t rto_us = (uint64_t)r->rto_us << (backoff < TCP_BACKOFF_MAX ? backoff : TCP_BACKOFF_MAX);
    return (rto_us < TCP_RTO_MAX_US ? rto_us : TCP_RTO_MAX_US) * 1000;
}

#endif
