/* SPDX-License-Identifier: MIT */
/* What a connection counts, for TCP_INFO: segments, bytes, and the time that each limit has delayed the sender. */
#ifndef INET_TCP_STATISTICS_H
#define INET_TCP_STATISTICS_H

#include <stdint.h>

/* What delays the sender: there is nothing to send; the path; the peer's window; the send limit. */
enum tcp_limit { TCP_LIMIT_IDLE, TCP_LIMIT_PATH, TCP_LIMIT_WINDOW, TCP_LIMIT_BUFFER, TCP_LIMIT_COUNT };

struct tcp_statistics {
    uint64_t bytes_acked, bytes_received;
    uint32_t segments_in, segments_out;
    uint64_t limited_since_ns;                /* the present limit began */
    uint64_t limited_ns[TCP_LIMIT_COUNT - 1]; /* of each limit except TCP_LIMIT_IDLE, without the present one's */
    uint32_t retransmits;
    uint8_t limit; /* enum tcp_limit: the present one */
};

/* From now on `limit` delays the sender. */
static inline void statistics_limit(struct tcp_statistics *s, enum tcp_limit limit, uint64_t now_ns) {
    if (s->limit == limit) return;
    if (s->limit != TCP_LIMIT_IDLE) s->limited_ns[s->limit - 1] += now_ns - s->limited_since_ns;
    s->limited_since_ns = now_ns;
    s->limit = (uint8_t)limit;
}

/* How long a limit, which is not TCP_LIMIT_IDLE, has delayed the sender. */
static inline uint64_t statistics_limited_us(const struct tcp_statistics *s, enum tcp_limit limit, uint64_t now_ns) {
    uint64_t ns = s->limited_ns[limit - 1];
    if (s->limit == limit) ns += now_ns - s->limited_since_ns;
    return ns / 1000;
}

#endif
