/* SPDX-License-Identifier: MIT */
/* NewReno's window (RFC 5681, with appropriate byte counting in congestion avoidance), and slow start. */
#include "inet/tcp/cc.h"

#include <stddef.h>

static void newreno_avoid(struct tcp_cc *cc, uint32_t bytes, uint32_t mss, uint32_t srtt_us, uint64_t now) {
    (void)srtt_us, (void)now;
    cc->newreno.acked += bytes;
    if (cc->newreno.acked < cc->cwnd) return;
    cc->newreno.acked -= cc->cwnd;
    cc->cwnd += mss;
}

static uint32_t newreno_reduce(struct tcp_cc *cc, uint32_t flight, uint32_t mss) {
    cc->newreno.acked = 0;
    if (flight > cc->cwnd) flight = cc->cwnd; /* what duplicate ACKs let out does not count (RFC 5681 section 3.2) */
    return flight / 2 > 2 * mss ? flight / 2 : 2 * mss;
}

const struct tcp_cc_ops cc_newreno = {"reno", newreno_avoid, newreno_reduce, NULL, NULL};

void tcp_cc_grow(struct tcp_cc *cc, uint32_t bytes, uint32_t mss, uint32_t srtt_us, uint64_t now) {
    if (cc->cwnd < cc->ssthresh) {
        uint32_t n = bytes < cc->ssthresh - cc->cwnd ? bytes : cc->ssthresh - cc->cwnd;
        cc->cwnd += n;
        bytes -= n;
    }
    if (bytes > 0 && cc->cwnd >= cc->ssthresh) cc->ops->avoid(cc, bytes, mss, srtt_us, now);
}
