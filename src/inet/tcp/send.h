/* SPDX-License-Identifier: MIT */
/*
 * The send side of a connection: its sequence space, the peer's window, the maximum segment size, and the rules that
 * decide when a segment is sent (Nagle, silly window avoidance, TCP_CORK). The pushed bytes are in send_queue.h.
 */
#ifndef INET_TCP_SEND_H
#define INET_TCP_SEND_H

#include "inet/tcp/limits.h"
#include "inet/tcp/statistics.h"
#include "inet/wire/tcp.h"

#define TCP_SEND_MAX (4u << 20) /* default of the send limit */

struct tcp_send {
    uint32_t iss, una, nxt; /* SND.UNA, SND.NXT */
    uint32_t end;           /* end of the pushed bytes, without FIN */
    uint32_t wnd, wl1, wl2; /* SND.WND, SND.WL1, SND.WL2 */
    uint32_t max_wnd;       /* the largest window that the peer has advertised */
    uint32_t small_end;     /* end of the last segment smaller than the MSS (Minshall's variant of Nagle) */
    uint32_t limit;         /* bytes that may wait to be acknowledged */
    uint64_t sent_ns;       /* when data was last sent */
    uint16_t mss;           /* payload of a full segment, without options */
    uint16_t offered;       /* MSS option of the peer's SYN */
    uint16_t maxseg;        /* MSS that the user has set; 0: none */
    uint8_t shift;          /* the peer's window scale */
    bool timestamps : 1;    /* negotiated: segments carry the option */
    bool fin_queued : 1;    /* a FIN follows the last pushed byte */
    bool fin_sent : 1;
    bool nodelay : 1, cork : 1;
    bool more : 1;     /* the last push was made with more to come */
    bool unmarked : 1; /* and that more has not come: its end is not marked with PSH */
    bool refused : 1;  /* the last push met the limit */
};

/* Nothing is sent yet. */
static inline void send_init(struct tcp_send *s, uint32_t iss) {
    s->iss = s->una = s->nxt = s->end = s->small_end = iss;
}
/* The SYN is sent, also again. */
static inline void send_syn(struct tcp_send *s) {
    s->nxt = s->end = s->iss + 1;
}
/* Sequence numbers that are sent and not acknowledged. */
static inline uint32_t send_out(const struct tcp_send *s) {
    return s->nxt - s->una;
}
static inline uint32_t send_unsent(const struct tcp_send *s) {
    return seq_lt(s->nxt, s->end) ? s->end - s->nxt : 0;
}
/* Pushed bytes that are not acknowledged. */
static inline uint32_t send_unacked(const struct tcp_send *s) {
    return s->end - (seq_lt(s->una, s->end) ? s->una : s->end);
}
/* Whether there is unsent data that the peer's window allows. */
static inline bool send_possible(const struct tcp_send *s) {
    return s->nxt != s->end && seq_lt(s->nxt, s->una + s->wnd);
}

/* ---- what the peer tells ---- */

/* Whether an ACK is acceptable (RFC 5961 section 5.2). */
static inline bool send_ack_acceptable(const struct tcp_send *s, uint32_t ack) {
    return !seq_lt(ack, s->una - s->max_wnd) && !seq_lt(s->nxt, ack);
}
/* The window of the handshake. */
static inline void send_window_start(struct tcp_send *s, uint32_t seq, uint32_t ack, uint32_t window) {
    s->wnd = s->max_wnd = window;
    s->wl1 = seq;
    s->wl2 = ack;
}
/*
 * The window field of an acceptable segment. A segment that is older than the one that the window is from is ignored
 * (RFC 9293 section 3.10.7.4). Returns whether a closed window has opened.
 */
static inline bool send_window_note(struct tcp_send *s, uint32_t seq, uint32_t ack, uint16_t field) {
    if (!seq_lt(s->wl1, seq) && (s->wl1 != seq || seq_lt(ack, s->wl2))) return false;
    uint32_t window = (uint32_t)field << s->shift;
    bool opened = s->wnd == 0 && window > 0;
    s->wnd = window;
    s->wl1 = seq;
    s->wl2 = ack;
    if (window > s->max_wnd) s->max_wnd = window;
    return opened;
}

/* ---- the maximum segment size ---- */

/* The MSS option of the peer's SYN; 0: there was none. */
static inline void send_offered(struct tcp_send *s, uint16_t mss) {
    s->offered = mss ? mss : TCP_MSS_DEFAULT;
    if (s->offered < TCP_MSS_MIN) s->offered = TCP_MSS_MIN;
}
/* Sets the MSS anew for a path that carries segments of path_mss bytes. Returns whether it is smaller than before. */
bool send_set_mss(struct tcp_send *s, uint16_t path_mss);

/* ---- the application's side ---- */

/* Whether a push of len bytes meets the limit. If nothing waits it is taken, so that a limit cannot stop the stream. */
static inline bool send_is_full(const struct tcp_send *s, uint32_t len) {
    uint32_t waiting = send_unacked(s);
    return waiting > 0 && (waiting >= s->limit || len > s->limit - waiting);
}
static inline void send_pushed(struct tcp_send *s, uint32_t len, bool more) {
    s->end += len;
    s->more = s->unmarked = more;
}

/* ---- what may be sent ---- */

/*
 * The next new segment: its payload, and whether the FIN goes with it. False: there is nothing to send, or it has to
 * wait for the peer's window, for more data, or for an ACK.
 */
bool send_next(const struct tcp_send *s, uint32_t *len, bool *fin);
/* Bytes that fit in the peer's window and a segment, however small a part of either. */
uint32_t send_forced(const struct tcp_send *s);
/*
 * Full segments that may be sent as one frame, which the device cuts. `most`: bytes that the frame has room for;
 * `allowed`: bytes that the congestion window allows. The segment that the FIN goes with is left out.
 */
uint32_t send_together(const struct tcp_send *s, uint32_t most, uint32_t allowed);
/* A segment with len bytes of new data has left; nxt is behind it. */
static inline void send_left(struct tcp_send *s, uint32_t len) {
    if (len < s->mss) s->small_end = s->nxt;
}
/* What delays the data that there is to send, after all was sent that may be. */
enum tcp_limit send_limited_by(const struct tcp_send *s);

#endif
