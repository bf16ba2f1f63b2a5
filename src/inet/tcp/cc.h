/* SPDX-License-Identifier: MIT */
/* Congestion control: one table of functions per algorithm. Windows are in bytes. */
#ifndef INET_TCP_CC_H
#define INET_TCP_CC_H

#include <stdint.h>

struct tcp_cc;

struct tcp_cc_ops {
    const char *name;
    /* `bytes` were newly acknowledged while the window was full; cc->cwnd is at or above cc->ssthresh. */
    void (*avoid)(struct tcp_cc *cc, uint32_t bytes, uint32_t mss, uint32_t srtt_us, uint64_t now);
    /* A loss was found: the new ssthresh, at least two segments. */
    uint32_t (*reduce)(struct tcp_cc *cc, uint32_t flight, uint32_t mss);
    /* The timer expired: what was known of the path is worth nothing any more. NULL: nothing to do. */
    void (*timeout)(struct tcp_cc *cc);
    /* Nothing was sent for idle_ns, so that time must not count as growth. NULL: nothing to do. */
    void (*idle)(struct tcp_cc *cc, uint64_t idle_ns);
};

struct tcp_cc {
    const struct tcp_cc_ops *ops;
    uint32_t cwnd, ssthresh;
    union {
        struct {
            uint32_t acked; /* bytes since the window last grew */
        } newreno;
        struct {               /* RFC 9438; windows in segments, times in seconds */
            uint64_t epoch_ns; /* 0: congestion avoidance has not begun since the last loss */
            float w_max, k, w_est, credit;
            float cwnd_epoch; /* window when the epoch began */
        } cubic;
    };
};

extern const struct tcp_cc_ops cc_newreno, cc_cubic;

/* `bytes` were newly acknowledged while the window was full: slow start, then congestion avoidance. */
void tcp_cc_grow(struct tcp_cc *cc, uint32_t bytes, uint32_t mss, uint32_t srtt_us, uint64_t now);

/* The initial window (RFC 6928). */
static inline uint32_t tcp_cc_initial(uint32_t mss) {
    uint32_t most = 2 * mss > 14600 ? 2 * mss : 14600;
    return 10 * mss < most ? 10 * mss : most;
}

#endif
