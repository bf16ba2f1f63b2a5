/* SPDX-License-Identifier: MIT */
/*
 * The scoreboard: segments that were sent and are not acknowledged as a whole, by sequence number and, of those in
 * flight, by time of transmission. It knows which have arrived, which are marked lost, and which to retransmit.
 */
#ifndef INET_TCP_SCOREBOARD_H
#define INET_TCP_SCOREBOARD_H

#include "inet/fifo.h"
#include "inet/tcp/limits.h"
#include "inet/tcp/rtt.h"
#include "inet/wire/tcp.h"

enum tcp_sent_flags {
    TCP_SENT_FIN = 1, /* its last sequence number is the FIN */
    TCP_SENT_SACKED = 2,
    TCP_SENT_LOST = 4,                /* marked lost */
    TCP_SENT_RETRANSMITTED = 8,       /* marked lost, and sent again since */
    TCP_SENT_EVER_RETRANSMITTED = 16, /* sent more than once: its ACK is no round-trip sample (Karn's algorithm) */
};

#define TCP_SENT_NONE UINT32_MAX

/* A segment. */
struct tcp_sent {
    uint64_t sent_ns;
    uint32_t seq;
    uint32_t len : 24, flags : 8; /* len in sequence numbers */
    uint32_t older, newer;        /* positions by time of transmission, of segments in flight; see skip_sacked */
};
_Static_assert(sizeof(struct tcp_sent) == 24, "a scoreboard has many of them");

struct tcp_scoreboard {
    struct fifo sent;
    uint32_t oldest, newest; /* positions by time of transmission, of segments in flight */
    uint32_t lost_from;      /* no position before this one waits to be retransmitted */
    uint32_t sacked_bytes, lost_bytes, retransmitted_bytes; /* sums over segments with these flags */
    uint32_t recover;               /* recovery ends when this is acknowledged (RecoveryPoint of RFC 6675) */
    uint32_t high;                  /* end of the highest segment that has arrived (RACK.fack) */
    uint32_t rack_end, rack_rtt_us; /* of the segment sent last among those that have arrived */
    bool disturbed;                 /* order of time and sequence may differ, or something was sent again */
    uint64_t rack_ns;               /* when that was sent (RACK.xmit_ts); 0: none */
};

/* What an ACK reports. */
struct tcp_delivery {
    /* the caller sets: */
    uint64_t now;
    const struct tcp_rtt *rtt;
    uint32_t high; /* scoreboard.high before the ACK */
    /* the scoreboard sets: */
    uint32_t bytes;       /* newly arrived */
    uint64_t rtt_us;      /* of the newly arrived segment that was sent last; 0: no sample */
    uint64_t rtt_sent_ns; /* when that was sent */
    uint32_t steps;       /* segments that were visited */
    uint32_t reordered;   /* bytes by which a newly arrived segment was overtaken at most; 0: none was */
    bool duplicate;       /* the peer has received something twice (RFC 2883): */
    bool original;        /* some of it was sent before recovery began, and once */
    struct tcp_range twice;
};

#define TCP_SCOREBOARD_EMPTY {.oldest = TCP_SENT_NONE, .newest = TCP_SENT_NONE}

static inline struct tcp_sent *scoreboard_at(const struct tcp_scoreboard *b, uint32_t position) {
    return fifo_at(&b->sent, sizeof(struct tcp_sent), position);
}
/* The position behind the last one. */
static inline uint32_t scoreboard_end(const struct tcp_scoreboard *b) {
    return b->sent.first + b->sent.count;
}
/* Whether segment a was sent later than b, or at the same time and behind it. */
static inline bool scoreboard_sent_after(uint64_t a_ns, uint32_t a_end, uint64_t b_ns, uint32_t b_end) {
    return a_ns > b_ns || (a_ns == b_ns && seq_lt(b_end, a_end));
}
/* Of `out` sequence numbers that are not acknowledged, those in flight as far as the scoreboard knows. */
static inline uint32_t scoreboard_in_flight(const struct tcp_scoreboard *b, uint32_t out) {
    return out - b->sacked_bytes - (b->lost_bytes - b->retransmitted_bytes);
}
/* Whether the sums fit to `out` sequence numbers that are not acknowledged. */
static inline bool scoreboard_sums_hold(const struct tcp_scoreboard *b, uint32_t out) {
    return b->retransmitted_bytes <= b->lost_bytes && b->sacked_bytes + b->lost_bytes <= out;
}

/* Adds a segment that is sent now. False: no memory, or TCP_QUEUE_MAX segments. */
bool scoreboard_add(struct tcp_scoreboard *b, uint64_t now, uint32_t seq, uint32_t len, bool fin);
/* Removes the segment that was added last, because the device has refused it. Returns its length. */
uint32_t scoreboard_take_back(struct tcp_scoreboard *b);
/* A segment was retransmitted. */
void scoreboard_resent(struct tcp_scoreboard *b, uint64_t now, uint32_t position);

/* A cumulative ACK: what lies below `ack` has arrived. */
void scoreboard_acked(struct tcp_scoreboard *b, uint32_t ack, struct tcp_delivery *d);
/*
 * SACK blocks: segments that lie in one as a whole have arrived. `una` and `nxt` bound what is not acknowledged; `ack`:
 * the cumulative ACK of the segment that brings the blocks.
 */
void scoreboard_sacked(struct tcp_scoreboard *b, const struct tcp_options *o, uint32_t una, uint32_t nxt, uint32_t ack,
                       struct tcp_delivery *d);

void scoreboard_mark_lost(struct tcp_scoreboard *b, uint32_t position);
/*
 * Marks all that has not arrived. If the first segment was reported as arrived but not acknowledged, the peer may have
 * dropped all that it had reported (RFC 2018 section 8): then that is marked, too.
 */
void scoreboard_mark_all_lost(struct tcp_scoreboard *b);
/* Nothing was lost. Returns how many segments were visited. */
uint32_t scoreboard_unmark_lost(struct tcp_scoreboard *b);
/*
 * Splits segments that are larger than the MSS, and marks all that has not arrived as lost. Changes nothing if there is
 * no such segment or no memory.
 */
void scoreboard_cut(struct tcp_scoreboard *b, uint32_t mss);
/* The first segment to retransmit; TCP_SENT_NONE: there is none. */
uint32_t scoreboard_first_lost(struct tcp_scoreboard *b);

#endif
