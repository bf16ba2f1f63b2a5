/* SPDX-License-Identifier: MIT */
/*
 * Loss recovery (RFC 5681, RFC 6675, RFC 8985, RFC 6937, RFC 5682, RFC 3522). TCP_OPEN: nothing is missing.
 * TCP_RECOVERY: segments that were sent later have shown a loss; the congestion window follows Proportional Rate
 * Reduction. TCP_LOSS: the retransmission timer has expired; slow start. Both end when all that was out at their start
 * is acknowledged, or are undone when an ACK shows that nothing was lost.
 */
#ifndef INET_TCP_RECOVERY_H
#define INET_TCP_RECOVERY_H

#include "inet/state.h"
#include "inet/tcp/cc.h"
#include "inet/tcp/scoreboard.h"
#include "inet/tcp/send_queue.h"
#include "inet/tcp/tcp.h"
#include "inet/tcp/template.h"

#define TCP_DUP_THRESHOLD 3u

/* F-RTO (RFC 5682) after a timeout: not active; the first segment was retransmitted; an ACK has let out new ones. */
enum tcp_frto { TCP_FRTO_NONE, TCP_FRTO_REPEATED, TCP_FRTO_NEW };

/* Proportional Rate Reduction: bytes since recovery began that were delivered and sent, and in flight at its start. */
struct tcp_prr {
    uint32_t delivered, out, flight;
};

/* What the last reduction of the congestion window is undone to. */
struct tcp_undo {
    uint32_t ts; /* timestamp of the first retransmission; 0: none yet */
    uint32_t cwnd, ssthresh, from;
    uint32_t again;     /* retransmitted segments that were not reported as duplicates yet */
    bool round;         /* a recovery was undone in this round trip, ... */
    uint32_t round_end; /* ... which ends when this is acknowledged */
};

/* What matters only while something is pushed and not acknowledged: allocated with the first push, freed when idle. */
struct tcp_flight {
    struct tcp_send_queue queue;  /* of the send side, which needs it as long */
    struct tcp_chunk first_chunk; /* its first entry, so that one push in flight needs no array */
    struct tcp_scoreboard scoreboard;
    uint32_t most_out, round_end; /* most bytes out in this round trip, which ends when round_end is acknowledged */
    struct tcp_sent first_sent;   /* as first_chunk, for one segment */
    struct tcp_template template;
    /* not used as long as nothing is lost: */
    uint32_t probe_end;       /* the loss probe is over when this is acknowledged */
    uint8_t frto;             /* enum tcp_frto */
    bool dsack_round;         /* the reordering window grew in this round trip, ... */
    uint32_t dsack_round_end; /* ... which ends when this is acknowledged (RFC 8985 section 6.2) */
    struct tcp_prr prr;
    struct tcp_undo undo;
};
_Static_assert(offsetof(struct tcp_flight, first_sent) == 128 && offsetof(struct tcp_flight, probe_end) <= 256,
               "four cache lines of it serve an echo");

/* What the headers of segments contain, or who they are sent to, has changed. */
static inline void flight_forget_headers(struct tcp_flight *f) {
    if (f->template.epoch != 0) f->template.epoch = 0;
}

/* The flight of connections that have none: never written. */
extern const struct tcp_flight tcp_no_flight;

struct tcp_recovery {
    struct tcp_flight *flight;    /* tcp_no_flight: none */
    uint16_t reordering_segments; /* the most segments by which one was overtaken */
    uint8_t state;                /* enum tcp_recovery_state */
    uint8_t dup_acks;             /* duplicate ACKs in a row; of a peer without SACK */
    uint8_t reorder_steps;        /* the reordering window, in quarters of the least round-trip time, less one */
    uint8_t reorder_persist;      /* recoveries after which the reordering window shrinks again */
    bool sack : 1;                /* negotiated: the peer reports what it has received */
    bool reordering : 1;          /* segments have overtaken each other */
    bool probe_sent : 1, probe_again : 1; /* a loss probe is out; it was a retransmission */
    bool undo : 1;                        /* the timestamp of an ACK may undo this recovery */
    bool limited : 1;                     /* the congestion window was full in this round trip */
};

/* The connection as its recovery sees it. */
struct tcp_recovery_context {
    uint64_t now;
    uint64_t *counters; /* [INET_COUNTER_COUNT] */
    const struct tcp_rtt *rtt;
    struct tcp_cc *cc;
    uint32_t una, nxt, mss; /* of the send side */
    bool timestamps;        /* negotiated */
    bool can_send;          /* there is unsent data that the peer's window allows */
    uint64_t reorder_ns;    /* set by rack_detect: when to look for losses again; UINT64_MAX: no need */
};

void recovery_init(struct tcp_recovery *r);
/* Allocates the flight of a connection whose first unacknowledged sequence number is `una`. False: no memory. */
bool recovery_flight_new(struct tcp_recovery *r, uint32_t una);
/* Makes sure that there is a flight to write to. False: no memory. */
static inline bool recovery_allocate(struct tcp_recovery *r, uint32_t una) {
    return r->flight != &tcp_no_flight || recovery_flight_new(r, una);
}
/* Frees the flight; the caller has cleared the send queue. */
void recovery_free(struct tcp_recovery *r);

/* Of `out` sequence numbers that are not acknowledged, those in flight. */
static inline uint32_t recovery_in_flight(const struct tcp_recovery *r, uint32_t out) {
    return scoreboard_in_flight(&r->flight->scoreboard, out);
}
/* The same (RFC 6675's pipe). Each duplicate ACK of a peer without SACK counts as a segment that has arrived. */
static inline uint32_t recovery_pipe(const struct tcp_recovery *r, uint32_t out, uint32_t mss) {
    uint32_t bytes = recovery_in_flight(r, out), gone = r->sack ? 0 : r->dup_acks * mss;
    return bytes > gone ? bytes - gone : 0;
}
/* Nothing is missing, and nothing is suspected to be. */
static inline bool recovery_is_calm(const struct tcp_recovery *r) {
    const struct tcp_scoreboard *b = &r->flight->scoreboard;
    return r->state == TCP_OPEN && b->sacked_bytes == 0 && b->lost_bytes == 0 && (r->sack || r->dup_acks == 0);
}

/* ---- what an ACK changes, in this order ---- */

/* A segment was overtaken by `bytes`, which is more than 0. */
void recovery_reordered(struct tcp_recovery *r, uint32_t bytes, uint32_t mss);
/*
 * For a peer without SACK: a duplicate ACK (acked 0) reports one segment, and an ACK that advances reports those that
 * no duplicate has reported (RFC 6937 section 2). Returns the bytes that have newly arrived.
 */
uint32_t recovery_reno_delivered(struct tcp_recovery *r, uint32_t acked, uint32_t mss);
/* A loss probe that is acknowledged has repaired a loss that nothing else has shown (RFC 8985 section 7.4). */
void recovery_probe_acked(struct tcp_recovery *r, const struct tcp_recovery_context *x, const struct tcp_delivery *d);
/* Undoes the recovery if an ACK shows that it was not needed. `advanced`: the ACK acknowledges new data. */
void undo_check(struct tcp_recovery *r, const struct tcp_recovery_context *x, bool advanced,
                const struct tcp_options *o, const struct tcp_delivery *d);
/* Ends the recovery if `una` has reached its end. */
void recovery_check_end(struct tcp_recovery *r, const struct tcp_recovery_context *x);
/*
 * Whether the congestion window may grow. In slow start a window of which half is used may double: it is known to fit
 * the path.
 */
static inline bool recovery_window_full(const struct tcp_recovery *r, const struct tcp_cc *cc) {
    return r->limited || r->state == TCP_LOSS || (cc->cwnd < cc->ssthresh && cc->cwnd / 2 < r->flight->most_out);
}
/* Marks segments that are lost, as RACK or the duplicate ACKs show. Whether there were any. */
bool recovery_detect(struct tcp_recovery *r, struct tcp_recovery_context *x, bool advanced,
                     const struct tcp_delivery *d);
/* Segments were marked lost: begins the recovery if there is none. */
void recovery_begin(struct tcp_recovery *r, const struct tcp_recovery_context *x);
/*
 * RFC 6937: sets the congestion window so that what is sent follows what is delivered, and reaches ssthresh when
 * recovery ends. `advanced`: the ACK acknowledges new data and no loss was found.
 */
void recovery_prr(struct tcp_recovery *r, const struct tcp_recovery_context *x, uint32_t delivered, bool advanced);

/* ---- other events ---- */

/* The retransmission timer has expired: all that is out is marked lost. */
void recovery_timeout(struct tcp_recovery *r, const struct tcp_recovery_context *x);
/* A segment was retransmitted; clock: the timestamp that it carries. */
void recovery_resent(struct tcp_recovery *r, uint64_t now, uint32_t position, uint32_t clock);
/* Whether a loss probe is due before the retransmission timeout (RFC 8985 section 7.2). */
static inline bool recovery_may_probe(const struct tcp_recovery *r) {
    return r->sack && !r->probe_sent && r->state == TCP_OPEN && r->flight->scoreboard.sacked_bytes == 0;
}
/* How long to wait for the probe: two round trips, and the peer's delayed ACK if one segment is out. */
static inline uint64_t recovery_probe_ns(const struct tcp_recovery *r, const struct tcp_rtt *rtt) {
    return 2000ull * rtt->srtt_us + (r->flight->scoreboard.sent.count == 1 ? TCP_RTO_MIN_US * 1000ull : 2 * NS_PER_MS);
}
/* A probe has left; `again`: it was a retransmission. */
static inline void recovery_probed(struct tcp_recovery *r, uint32_t nxt, bool again) {
    r->probe_sent = true;
    r->probe_again = again;
    r->flight->probe_end = nxt;
}
/* Notes how much of the window is used: one that is not must not grow (RFC 9438 section 5.8, RFC 7661). */
static inline void recovery_window_used(struct tcp_recovery *r, uint32_t una, uint32_t nxt, bool limited) {
    struct tcp_flight *f = r->flight;
    uint32_t out = nxt - una;
    if (seq_lt(una, f->round_end) && !limited && (r->limited || out <= f->most_out)) return;
    r->limited = limited;
    f->most_out = out;
    f->round_end = nxt;
}

/* ---- RACK (RFC 8985), rack.c ---- */

/* The peer reports a duplicate: segments were marked lost too soon, so the reordering window grows. */
void rack_duplicate(struct tcp_recovery *r, uint32_t una, uint32_t nxt);
/* A recovery has ended: without duplicates the reordering window shrinks after some of them. */
void rack_recovered(struct tcp_recovery *r);
/* Marks what was sent long enough before something that has arrived. Whether there was any. */
bool rack_detect(struct tcp_recovery *r, struct tcp_recovery_context *x, const struct tcp_delivery *d);

/* ---- undo, undo.c ---- */

/* A recovery begins: notes what it is undone to. */
void undo_begin(struct tcp_recovery *r, const struct tcp_recovery_context *x);
/* The same for a timeout, which may come within a recovery. */
void undo_timeout(struct tcp_recovery *r, const struct tcp_recovery_context *x);

#endif
