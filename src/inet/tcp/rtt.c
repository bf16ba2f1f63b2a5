/* SPDX-License-Identifier: MIT */
/* Estimates the round-trip time (RFC 6298 section 2). */
#include "inet/tcp/rtt.h"

#define TICK_SHIFT    30
#define MIN_SPAN      140u /* ticks: the least round-trip time is that of the last 140 to 280 ticks (150 to 300 s) */
#define SAMPLE_MAX_US 60000000u

void rtt_init(struct tcp_rtt *r, uint64_t now_ns) {
    *r = (struct tcp_rtt){.rto_us = TCP_RTO_INITIAL_US,
                          .min_us = UINT32_MAX,
                          .min_before_us = UINT32_MAX,
                          .min_since = (uint32_t)(now_ns >> TICK_SHIFT)};
}

void rtt_sample(struct tcp_rtt *r, uint64_t now_ns, uint64_t sample_us) {
    uint32_t us = sample_us < SAMPLE_MAX_US ? (uint32_t)sample_us : SAMPLE_MAX_US;
    uint32_t tick = (uint32_t)(now_ns >> TICK_SHIFT);
    if (tick - r->min_since > MIN_SPAN) {
        r->min_before_us = r->min_us;
        r->min_us = UINT32_MAX;
        r->min_since = tick;
    }
    if (us < r->min_us) r->min_us = us;
    if (r->srtt_us == 0) {
        r->srtt_us = us;
        r->rttvar_us = us / 2;
    } else {
        uint32_t error = us > r->srtt_us ? us - r->srtt_us : r->srtt_us - us;
        r->rttvar_us = (uint32_t)((3ull * r->rttvar_us + error) / 4);
        r->srtt_us = (uint32_t)((7ull * r->srtt_us + us) / 8);
    }
    /* The lower limit applies to the variation's part, as in Linux, so that a long path keeps its margin. */
    uint32_t margin = 4 * r->rttvar_us;
    r->rto_us = r->srtt_us + (margin > TCP_RTO_MIN_US ? margin : TCP_RTO_MIN_US);
    if (r->rto_us > TCP_RTO_MAX_US) r->rto_us = TCP_RTO_MAX_US;
}
