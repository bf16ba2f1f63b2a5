/* SPDX-License-Identifier: MIT */
/*
 * The receive side of a connection: its sequence space and the window that was advertised, the data that waits to be
 * popped, when ACKs are due, and the tuning of the receive buffer. Out-of-order data is in `reassembly`.
 */
#ifndef INET_TCP_RECEIVE_H
#define INET_TCP_RECEIVE_H

#include "inet/fifo.h"
#include "inet/tcp/limits.h"
#include "inet/tcp/memory.h"
#include "inet/tcp/reassembly.h"
#include "inet/tcp/segment.h"

#define TCP_RECEIVE_FIRST 65535u /* window before it is tuned */
#define TCP_RECEIVE_MAX   (6u << 20)
#define TCP_WINDOW_MAX    (65535u << TCP_WINDOW_SHIFT_MAX) /* RFC 7323 section 2.3 */
#define TCP_TUNE_ROUND    100000u /* ticks of 1,024 ns: a round of tuning before the round trip is measured */
#define TCP_QUICK_ACKS    16u     /* segments that are acknowledged at once in a row */

/* Bytes received in order, in a block that the connection owns. */
struct tcp_slice {
    uint8_t *base;
    uint32_t len, charge; /* charge: bytes of the block */
};

struct tcp_receive {
    struct fifo slices;
    struct tcp_slice first_slice; /* the first entry of slices, so that one segment needs no array */
    struct tcp_reassembly reassembly;
    uint32_t irs, nxt;                /* initial sequence number, next one expected (RCV.NXT) */
    uint32_t adv;                     /* end of the advertised window, before the field was rounded up */
    uint32_t last_ack;                /* nxt as last acknowledged */
    uint32_t limit, max;              /* bytes: the buffer's size now, and the most it may be tuned to */
    uint32_t bytes, charged;          /* of slices: payload, and memory that it pins */
    uint32_t tuned_bytes, tuned_tick; /* bytes popped in this round of tuning, and its start in ticks of 1,024 ns */
    uint16_t mss;                     /* largest segment received */
    uint16_t delayed_ack_ms;
    uint8_t shift;         /* window scale */
    uint8_t quick;         /* segments that are still acknowledged at once */
    bool fin_received : 1; /* nxt is behind it */
    bool ack_now : 1, ack_later : 1;
    bool interactive : 1;            /* the application answers what it receives: an ACK may wait for the answer */
    bool shut : 1;                   /* nobody reads any more: payload is dropped and not acknowledged */
    bool unread : 1;                 /* payload was received that nobody has read: the connection ends with a reset */
    bool window_scale : 1, sack : 1; /* negotiated options */
};

/* Gives the slices, of which there are none, the place for the first. */
static inline void receive_start_slices(struct tcp_receive *r) {
    fifo_start(&r->slices, &r->first_slice);
}

/* The handshake: the peer's initial sequence number is known. A SYN's window is not scaled. */
void receive_start(struct tcp_receive *r, uint32_t irs);

/* The least window scale by which a window of receive_max bytes can be advertised. */
static inline uint8_t receive_shift_for(uint32_t receive_max) {
    uint8_t shift = 0;
    while (65535u << shift < receive_max)
        shift++;
    return shift;
}

/* Sets the most that the buffer may be tuned to. */
static inline void receive_set_max(struct tcp_receive *r, uint32_t bytes) {
    r->max = bytes;
    if (r->limit > bytes) r->limit = bytes;
}

/* ---- the window ---- */

/* What is left of the advertised window. */
static inline uint32_t receive_advertised(const struct tcp_receive *r) {
    return seq_lt(r->nxt, r->adv) ? r->adv - r->nxt : 0;
}
/*
 * The window to advertise. It never shrinks, and grows by no less than the smaller of a segment and half the buffer
 * (RFC 9293 section 3.8.6.2.2). `mss`: the largest segment that the peer may send.
 */
static inline uint32_t receive_window(const struct tcp_receive *r, uint32_t mss) {
    uint32_t told = receive_advertised(r), used = r->bytes + reassembly_bytes(&r->reassembly);
    uint32_t space = r->limit > used ? r->limit - used : 0;
    uint32_t step = r->limit / 2 < mss ? r->limit / 2 : mss;
    return space < told + step ? told : space;
}
/*
 * A window as the field of a segment, in units of the window scale, rounded up. `adv` is kept exact: the field may
 * exceed it by less than a unit, and the excess does not add up from segment to segment.
 */
static inline uint16_t receive_window_field(const struct tcp_receive *r, uint32_t window) {
    uint32_t field = (window + (1u << r->shift) - 1) >> r->shift;
    return field < 65535 ? (uint16_t)field : 65535;
}
/* The end of the window as the peer may have understood it. */
static inline uint32_t receive_edge(const struct tcp_receive *r) {
    return seq_max(r->adv + (1u << r->shift) - 1, r->nxt);
}
/* Whether a segment is in the window (RFC 9293 section 3.10.7.4). */
static inline bool receive_acceptable(const struct tcp_receive *r, uint32_t seq, uint32_t end) {
    return seq_le(r->last_ack, end) && seq_le(seq, receive_edge(r));
}
/* Whether a reset is in the window that the next segment advertises: an attacker must hit it (RFC 5961 section 3.2). */
static inline bool receive_reset_acceptable(const struct tcp_receive *r, uint32_t seq, uint32_t mss) {
    return seq_le(r->nxt, seq) &&
           seq_lt(seq, r->nxt + ((uint32_t)receive_window_field(r, receive_window(r, mss)) << r->shift));
}
/* Whether at most half the buffer is advertised, so that popping may make an update of the window due. */
static inline bool receive_is_low(const struct tcp_receive *r) {
    return receive_advertised(r) <= r->limit / 2;
}
/* Whether the window has opened so far that the peer is told (RFC 1122 section 4.2.3.3). The window was low. */
bool receive_update_due(const struct tcp_receive *r, uint32_t mss);

/* ---- segments ---- */

/* A segment that came before as a whole: the next ACK reports it (RFC 2883 section 4). */
static inline void receive_note_old(struct tcp_receive *r, const struct tcp_segment *g) {
    if (r->sack && g->len > 0 && seq_le(g->end, r->nxt))
        reassembly_set_duplicate(&r->reassembly, g->seq, g->seq + g->len);
}
/* Leaves of the segment and its packet what is new and in the window. False: something lay beyond the window. */
bool receive_trim(struct tcp_receive *r, struct rx_packet *p, struct tcp_segment *g);
/*
 * Takes in the payload of a trimmed segment, and its FIN. Moves nxt over all that is in order now, and returns whether
 * it moved. What there is no memory for is dropped and counted.
 */
bool receive_add(struct tcp_receive *r, struct tcp_memory *m, struct rx_packet *p, const struct tcp_segment *g);
/* Queues the bytes that come next, and becomes the owner of their block. False: no memory; nothing has changed. */
bool receive_queue(struct tcp_receive *r, struct tcp_memory *m, uint8_t *base, uint32_t len);

/* The same, if the bytes stay in their block and nothing has to be allocated or dropped. False: nothing has changed. */
static inline bool receive_queue_in_place(struct tcp_receive *r, struct tcp_memory *m, uint8_t *base, uint32_t len) {
    uint32_t pinned = memory_pinned(base);
    if (r->slices.count == r->slices.room || r->charged + pinned > r->limit || memory_is_full(m, pinned)) return false;
    struct tcp_slice *slice = fifo_at(&r->slices, sizeof *slice, r->slices.first + r->slices.count++);
    *slice = (struct tcp_slice){base, len, pinned};
    memory_charge(m, &r->charged, pinned);
    r->bytes += len;
    r->nxt += len;
    return true;
}

/* ---- acknowledgements ---- */

/* A segment has left that acknowledges nxt and advertises `window` bytes. */
static inline void receive_acknowledged(struct tcp_receive *r, uint32_t window) {
    uint32_t edge = r->nxt + window;
    assert(seq_le(r->adv, edge)); /* the window is never shrunk */
    r->adv = edge;
    r->last_ack = r->nxt;
}
/*
 * A segment was received: decides whether its ACK is due now. RFC 1122 section 4.2.3.2: every second full segment is
 * acknowledged at once; every segment at the start, and while something is out of order. Returns whether the timer of
 * the delayed ACK has to be armed.
 */
static inline bool receive_ack_schedule(struct tcp_receive *r) {
    if (r->reassembly.ooo || r->nxt - r->last_ack > r->mss || (r->quick > 0 && !r->interactive)) r->ack_now = true;
    if (r->quick > 0) r->quick--;
    if (r->delayed_ack_ms == 0) r->ack_now = true;
    if (r->ack_now || r->ack_later) return false;
    r->ack_later = true;
    return true;
}

/* ---- the application's side ---- */

/* Bytes that can be popped. */
static inline uint32_t receive_available(const struct tcp_receive *r) {
    return r->bytes;
}
/* Whether anything is held, in order or not. */
static inline bool receive_holds_data(const struct tcp_receive *r) {
    return r->slices.count > 0 || r->reassembly.ooo;
}
/* Memory that all data pins, in order or not. */
static inline uint32_t receive_charged(const struct tcp_receive *r) {
    return r->charged + reassembly_charged(&r->reassembly);
}
/* What out-of-order data may pin: all data may pin a multiple of the window. */
static inline uint64_t receive_allowance(const struct tcp_receive *r) {
    uint64_t most = (uint64_t)r->limit * TCP_CHARGE_RATIO + TCP_CHARGE_LEAST;
    return most > r->charged ? most - r->charged : 0;
}
/* Pops at most `limit` bytes of the first slice; there is one. 0; -ENOMEM. m NULL: the connection is detached. */
static inline int receive_pop(struct tcp_receive *r, struct tcp_memory *m, struct inet_slice *out, uint32_t limit) {
    struct tcp_slice *first = fifo_at(&r->slices, sizeof *first, r->slices.first);
    *out = (struct inet_slice){first->base, first->len};
    if (first->len > limit) {
        if (!heap_share(first->base)) return -ENOMEM;
        out->len = limit;
        first->base += limit;
        first->len -= limit;
    } else {
        memory_uncharge(m, &r->charged, first->charge);
        fifo_drop_first(&r->slices);
    }
    r->bytes -= out->len;
    return 0;
}
/* Shows the bytes from `offset` on, as many as lie together. 0; -EAGAIN: there are not so many. */
int receive_peek(const struct tcp_receive *r, uint32_t offset, struct inet_segment *out);
/* Starts the tuning of the buffer. */
static inline void receive_tune_start(struct tcp_receive *r, uint64_t now_ns) {
    r->tuned_tick = (uint32_t)(now_ns >> 10);
}
/* Makes the buffer four times tuned_bytes, within its limits. */
void receive_grow(struct tcp_receive *r, const struct tcp_memory *m);
/*
 * Bytes were popped: the buffer becomes four times what is popped in a round trip, so that it never limits the peer.
 * srtt_us 0: not measured.
 */
static inline void receive_tune(struct tcp_receive *r, const struct tcp_memory *m, uint32_t popped, uint64_t now_ns,
                                uint32_t srtt_us) {
    uint32_t round = srtt_us ? srtt_us : TCP_TUNE_ROUND, tick = (uint32_t)(now_ns >> 10);
    r->tuned_bytes += popped;
    if (tick - r->tuned_tick < round) return;
    if (r->tuned_bytes > r->limit / 4) receive_grow(r, m);
    r->tuned_bytes = 0;
    r->tuned_tick = tick;
}
/* Frees all data. m NULL: the connection is detached. */
void receive_clear(struct tcp_receive *r, struct tcp_memory *m);

#endif
