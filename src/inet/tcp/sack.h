/* SPDX-License-Identifier: MIT */
/*
 * The scoreboard: what was sent and is not acknowledged as a whole, by sequence number and, of what is on its way, by
 * time of sending. It says what has arrived, what is taken for lost, and what to send again.
 */
#ifndef INET_TCP_SACK_H
#define INET_TCP_SACK_H

#include "inet/tcp/conn.h"

/* What an ACK told. */
struct tcp_delivery {
    uint32_t bytes;  /* that newly arrived */
    uint64_t rtt_us; /* of the segment sent last among those; 0: no sample */
    uint64_t rtt_sent_ns;
    uint32_t high;  /* end of what had arrived before */
    bool duplicate; /* the peer has received something twice (RFC 2883): */
    struct tcp_range twice;
    bool original; /* some of it was out when recovery began, and was sent once */
};

static inline struct tcp_sent *sent_at(const struct tcp_conn *c, uint32_t position) {
    return fifo_at(&c->flight->sent, sizeof(struct tcp_sent), position);
}
/* What has arrived, and what is lost and not sent again, is part of what is out. */
static inline bool sent_sums_hold(const struct tcp_conn *c) {
    const struct tcp_flight *f = c->flight;
    return f->retransmitted_bytes <= f->lost_bytes && f->sacked_bytes + f->lost_bytes <= c->snd_nxt - c->snd_una;
}
static inline uint32_t sent_end(const struct tcp_conn *c) {
    return c->flight->sent.first + c->flight->sent.count; /* behind the last position */
}

/* A new segment, at snd_nxt; false: no room or memory. */
bool sent_add(struct tcp_conn *c, uint32_t len, bool fin);
/* Takes the last one back: the device has refused it. */
void sent_take_back(struct tcp_conn *c);
/* It was sent again. */
void sent_again(struct tcp_conn *c, uint32_t position);

void sent_acked(struct tcp_conn *c, uint32_t ack, struct tcp_delivery *d);
void sent_sacked(struct tcp_conn *c, const struct tcp_options *o, uint32_t ack, struct tcp_delivery *d);

void sent_mark_lost(struct tcp_conn *c, uint32_t position);
/* All that has not arrived. The peer may have dropped what it had told to have (RFC 2018 section 8), if it shows so. */
void sent_mark_all_lost(struct tcp_conn *c);
/* It was not lost after all. */
void sent_unmark_lost(struct tcp_conn *c);
/* Cuts what is larger than the MSS now is; all that has not arrived is to be sent again. Without memory: nothing. */
void sent_cut(struct tcp_conn *c);
/* The first segment to send again; TCP_SENT_NONE: there is none. */
uint32_t sent_first_lost(const struct tcp_conn *c);

/* tcp_rack.c: RACK (RFC 8985). */
/* A segment that was sent at sent_ns and ended at `end` has arrived. */
void rack_delivered(struct tcp_conn *c, const struct tcp_sent *e);
/* The peer reports that something came twice: segments were taken for lost too soon. */
void rack_duplicate(struct tcp_conn *c);
/* A recovery has ended. */
void rack_recovered(struct tcp_conn *c);
/* Marks what was sent long enough before something that has arrived. Whether there was any. */
bool rack_detect(struct tcp_conn *c, const struct tcp_delivery *d);

#endif
