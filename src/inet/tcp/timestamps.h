/* SPDX-License-Identifier: MIT */
/* Timestamps (RFC 7323): the peer's value to echo, the offset of ours, and protection against wrapped sequence numbers.
 */
#ifndef INET_TCP_TIMESTAMPS_H
#define INET_TCP_TIMESTAMPS_H

#include "inet/state.h"
#include "inet/wire/tcp.h"

#define PAWS_MAX_AGE_NS (24ull * 86400 * NS_PER_S) /* section 5.5 */

struct tcp_timestamps {
    uint64_t recent_ns; /* when `recent` was last set */
    uint32_t recent;    /* the peer's last value (TS.Recent) */
    uint32_t offset;    /* of our clock, different for each flow */
};

static inline void timestamps_take(struct tcp_timestamps *t, uint32_t value, uint64_t now_ns) {
    t->recent = value;
    t->recent_ns = now_ns;
}

/* Whether a value is older than the last one. After a long pause it says nothing: the peer's clock may have wrapped. */
static inline bool timestamps_old(const struct tcp_timestamps *t, uint32_t value, uint64_t now_ns) {
    return seq_lt(value, t->recent) && now_ns - t->recent_ns < PAWS_MAX_AGE_NS;
}

/*
 * A segment from seq on has brought a value: it is the one to echo if the segment contains what the last ACK asked for,
 * last_ack (section 4.3).
 */
static inline void timestamps_note(struct tcp_timestamps *t, uint32_t value, uint32_t seq, uint32_t last_ack,
                                   uint64_t now_ns) {
    if (seq_lt(last_ack, seq) || timestamps_old(t, value, now_ns)) return;
    timestamps_take(t, value, now_ns);
}

#endif
