/* SPDX-License-Identifier: MIT */
/*
 * A TCP connection, and what its parts offer each other. An idle one holds nothing but this structure: the queues
 * have memory only while they have entries, and shortly after.
 */
#ifndef INET_TCP_CONN_H
#define INET_TCP_CONN_H

#include "inet/fifo.h"
#include "inet/socket_event.h"
#include "inet/tcp/cc.h"
#include "inet/tcp/tcp.h"
#include "inet/tcp/timers.h"
#include "inet/wire/tcp.h"

#define TCP_MSS_DEFAULT       536u /* RFC 9293 section 3.7.1 */
#define TCP_MSS_OVERHEAD      40u  /* IP and TCP headers without options */
#define TCP_MSS_MIN           48u  /* a smaller one offered is taken for this: tiny segments cost us, not the peer */
#define TCP_TIME_WAIT_NS      (60 * NS_PER_S)
#define TCP_ROOM_RETRY_NS     (50 * 1000ull) /* a device without room is tried again after this, then after twice it */
#define TCP_ROOM_RETRY_MAX_NS (10 * NS_PER_MS)
#define TCP_STALE_MS          500u     /* empty segments out of place are answered once in this time */
#define TCP_TRIM_NS           NS_PER_S /* queues that stay empty give their memory back after this */
#define TCP_SYN_ACK_TRIES     5u
#define TCP_DATA_TRIES        15u
#define TCP_ORPHAN_TRIES      8u
#define TCP_RECEIVE_FIRST     65535u /* window before it is tuned */
#define TCP_RECEIVE_MAX       (6u << 20)
#define TCP_WINDOW_MAX        (65535u << TCP_WINDOW_SHIFT_MAX) /* RFC 7323 section 2.3 */
#define TCP_SEND_MAX          (4u << 20)
#define TCP_QUEUE_MAX         (1u << 20) /* entries of any queue of a connection */
#define TCP_QUICK_ACKS        16u        /* segments acknowledged at once in a row */
#define TCP_CONNS_MAX         (1u << 22)
#define TCP_HALF_OPEN_MAX     65536u /* of one listener, whatever backlog it asks for */

/* Pushed bytes, held. */
struct tcp_chunk {
    const uint8_t *base;
    uint32_t seq, len;
};

/* Received bytes in order, in a block that is ours. */
struct tcp_slice {
    uint8_t *base;
    uint32_t len, charge; /* charge: of the block */
};

/* A segment that was sent and not yet acknowledged as a whole. */
enum tcp_sent_flags {
    TCP_SENT_FIN = 1, /* the last of its sequence numbers is the FIN */
    TCP_SENT_SACKED = 2,
    TCP_SENT_LOST = 4,                /* taken for lost */
    TCP_SENT_RETRANSMITTED = 8,       /* lost, and sent again since */
    TCP_SENT_EVER_RETRANSMITTED = 16, /* sent more than once: tells nothing of the round trip */
};

#define TCP_SENT_NONE UINT32_MAX

struct tcp_sent {
    uint64_t sent_ns;
    uint32_t seq;
    uint32_t len : 24, flags : 8; /* length in sequence numbers */
    uint32_t older, newer;        /* positions by time of sending, of those that are on their way; tcp_sack.c */
};
_Static_assert(sizeof(struct tcp_sent) == 24, "many of them");

/* F-RTO (RFC 5682) after a timeout: nothing; the first segment was sent again; an ACK came, so new ones are sent. */
enum tcp_frto { TCP_FRTO_NONE, TCP_FRTO_REPEATED, TCP_FRTO_NEW };

/* What holds the sender up, as TCP_INFO tells the time of each: nothing to send; the path; the peer's window; our
 * limit. */
enum tcp_limit { TCP_LIMIT_IDLE, TCP_LIMIT_PATH, TCP_LIMIT_WINDOW, TCP_LIMIT_BUFFER, TCP_LIMIT_COUNT };

/* What matters only while something is pushed and not acknowledged: made with the first push, given back when idle. */
struct tcp_flight {
    struct fifo chunks, sent;
    uint32_t oldest, newest; /* of sent, by time */
    uint32_t lost_from;      /* no position before this one waits to be sent again */
    uint32_t sacked_bytes, lost_bytes, retransmitted_bytes;
    uint32_t recover; /* recovery ends here */
    uint32_t prr_delivered, prr_out, prr_flight;
    uint32_t rack_end, rack_rtt_us, probe_end, sack_high;
    uint64_t rack_ns;
    uint32_t undo_ts, undo_cwnd, undo_ssthresh, undo_from;
    uint32_t undo_again;         /* segments sent again in the last recovery, and not reported to have come twice */
    uint8_t frto;                /* enum tcp_frto */
    bool undo_round;             /* a recovery was undone in this round trip, */
    uint32_t undo_round_end;     /* which ends when this is acknowledged */
    bool dsack_round;            /* RFC 8985 section 6.2: the reordering window grew in this round trip, */
    uint32_t dsack_round_end;    /* which ends when this is acknowledged */
    uint32_t most_out, used_end; /* most bytes out in the present round, which ends when used_end is acknowledged */
};

/* The flight of connections that have none: never written. */
extern const struct tcp_flight tcp_no_flight;

struct tcp_ooo;

struct tcp_conn {
    struct inet_socket socket;
    struct inet *stack; /* NULL: it is on its way from one to another */
    struct list link;   /* among its listener's half-open or waiting ones; among the stack's dead ones */
    struct tcp_listener *listener;
    struct tcp_timers timers;
    struct tcp_rtt rtt;
    struct inet_flow flow;
    int error;
    uint8_t state;    /* enum tcp_state */
    uint8_t recovery; /* enum tcp_recovery */
    uint8_t send_shift, receive_shift;
    uint8_t quick, dup_acks, reorder_steps, reorder_persist;
    uint8_t tos, ttl;
    uint8_t limit;                /* enum tcp_limit: now */
    uint16_t reordering_segments; /* how far a segment was overtaken at most */
    uint16_t delayed_ack_ms, maxseg;
    uint16_t path_epoch; /* the stack's when mss was last found */
    uint16_t offered;    /* MSS of the peer's SYN */

    bool orphan : 1;      /* nobody owns it */
    bool abandoned : 1;   /* its owner has closed it: one of the stack's tcp_orphans */
    bool deaf : 1;        /* nobody reads any more: payload that comes is dropped and not acknowledged */
    bool unread : 1;      /* payload was received that nobody has read: the peer is told by a reset */
    bool undelivered : 1; /* it has ended before all that was pushed was acknowledged */
    bool loopback : 1;    /* its peer is this host: nothing of it comes from the link */
    bool fin_queued : 1;  /* a FIN follows the last pushed byte */
    bool fin_sent : 1;
    bool fin_received : 1; /* rcv_nxt is behind it */
    bool ack_now : 1, ack_later : 1;
    bool sack : 1, timestamps : 1, window_scale : 1;
    bool nodelay : 1, more : 1, cork : 1;
    bool pmtu_discover : 1, dont_fragment : 1;
    bool interactive : 1; /* it answers what it receives: an ACK may wait for the answer */
    bool limited : 1;     /* the congestion window was full in the present round */
    bool reordering : 1, probe_sent : 1, probe_again : 1;
    bool undo : 1;     /* undo_* can be gone back to */
    bool unmarked : 1; /* pushed with more to come: its end is not marked with PSH */
    bool refused : 1;  /* the last push met the send limit */

    /* sending */
    uint32_t iss, snd_una, snd_nxt, snd_end; /* snd_end: behind the last pushed byte, without FIN */
    uint32_t snd_wnd, snd_wl1, snd_wl2, max_wnd;
    uint32_t small_end; /* behind the last segment smaller than the MSS (Minshall's variant of Nagle) */
    uint32_t send_limit;
    uint16_t mss; /* payload of a full segment, options already subtracted */

    /* receiving */
    uint32_t irs, rcv_nxt, rcv_adv, last_ack;      /* rcv_adv: edge of the window as promised, before rounding */
    uint32_t receive_limit, receive_max, received; /* bytes: the window's size now and at most; not yet popped */
    uint32_t ts_recent, ts_offset;
    uint64_t ts_recent_ns, sent_ns; /* when ts_recent last changed, and when data was last sent */
    uint16_t peer_mss;              /* largest segment received */
    uint32_t stale_ms;    /* when an empty segment out of place was last answered, in milliseconds; 0: never */
    uint32_t tune_popped; /* receive auto-tuning: bytes popped since the measured round began, and when it did */
    uint32_t tune_tick;   /* of 1,024 ns */

    /* recovery, congestion */
    uint32_t retransmits, segments_in, segments_out;
    uint64_t bytes_acked, bytes_received;
    uint64_t limit_ns[TCP_LIMIT_COUNT - 1], limit_since_ns; /* but for TCP_LIMIT_IDLE */
    struct tcp_cc cc;

    struct tcp_flight *flight; /* tcp_no_flight: none */
    struct fifo slices;
    struct tcp_ooo *ooo;    /* segments received out of order; NULL: none */
    struct tcp_range dsack; /* received twice, to be told with the next ACK */
    uint32_t charged;       /* bytes that its received data pins: tcp_memory.h */
};

struct tcp_listener {
    struct inet_socket socket;
    struct inet *stack;
    struct inet_endpoint local;
    struct tcp_settings settings;
    uint32_t backlog, half_open_count, waiting_count;
    struct list half_open, waiting;
};

/* A segment received, options and all. */
struct tcp_segment {
    struct tcp_header h;
    uint32_t seq, end; /* payload [seq, seq + len), and one more for SYN and for FIN */
    uint32_t len;
    bool fin;
};

/* The place of a flow in the stack's tcp_flows. It may be guessed: what collides there is still found in the table. */
static inline uint32_t conn_place(const struct inet_flow *flow) {
    uint32_t ports;
    memcpy(&ports, &flow->local_port, sizeof ports);
    return ((ports ^ flow->remote.words[3]) * 0x9e3779b1u) >> 22;
}
_Static_assert(TCP_FLOWS == 1u << 10, "ten bits of the product");

/* tcp_conn.c */
/* The connection of that flow; NULL: none. */
struct tcp_conn *conn_find(struct inet *s, const struct inet_flow *flow);
/* 0; -ENOMEM; -EADDRINUSE and -ENOBUFS: as `flow_used` of the configuration says. */
int conn_new(struct inet *s, struct tcp_conn **out, const struct inet_flow *flow, const struct tcp_settings *settings,
             void *user);
/* Leaves the tables and gives all memory but the structure back; error 0: in order. Orphans are freed by conn_reap. */
void conn_end(struct tcp_conn *c, int error);
void conn_reap(struct inet *s);
/* Sets a deadline; UINT64_MAX: none. */
static inline void conn_deadline(struct tcp_conn *c, enum tcp_deadline which, uint64_t at_ns) {
    timers_set(&c->timers, &c->stack->wheel, which, at_ns);
}
/* The connection is idle at this moment; if it stays so, its queues are going to be trimmed. */
static inline void conn_idle(struct tcp_conn *c) {
    if (!timers_pending(&c->timers, TCP_TIMER_TRIM)) conn_deadline(c, TCP_TIMER_TRIM, c->stack->now + TCP_TRIM_NS);
}
/* For timestamps, to which each flow adds an offset of its own. */
static inline uint32_t stack_clock_ms(const struct inet *s) {
    return (uint32_t)(s->now / NS_PER_MS);
}
static inline uint32_t conn_clock_ms(const struct tcp_conn *c) {
    return stack_clock_ms(c->stack) + c->ts_offset;
}
/* Bytes behind rcv_nxt that may come: what was promised, or more if there is room for a good deal more. */
uint32_t conn_receive_window(const struct tcp_conn *c);
/*
 * A window as the field of a segment, in units of the window scale, rounded up. The promise itself is kept exact in
 * rcv_adv: the field may exceed it by less than a unit, and the excess does not add up from segment to segment.
 */
static inline uint16_t conn_window_field(const struct tcp_conn *c, uint32_t window) {
    uint32_t field = (window + (1u << c->receive_shift) - 1) >> c->receive_shift;
    return field < 65535 ? (uint16_t)field : 65535;
}
/* Behind the last byte that the peer may have been promised. */
static inline uint32_t conn_receive_edge(const struct tcp_conn *c) {
    return seq_max(c->rcv_adv + (1u << c->receive_shift) - 1, c->rcv_nxt);
}
/* What the two ends have agreed on: called once, with the peer's SYN. */
void negotiate_options(struct tcp_conn *c, const struct tcp_header *syn);
/* Finds the MSS anew, because the path or the options have changed, and cuts again what was sent in larger pieces. */
void conn_path_changed(struct tcp_conn *c);
void conn_configure(struct tcp_conn *c, const struct tcp_settings *settings);
uint32_t conn_isn(const struct inet *s, const struct inet_flow *flow, uint32_t *ts_offset);
/* The least window shift by which all of a window of so many bytes can be told. */
static inline uint8_t conn_shift_for(uint32_t receive_max) {
    uint8_t shift = 0;
    while (65535u << shift < receive_max)
        shift++;
    return shift;
}
/* Largest segment, options included, that the path or the user's option allows. */
uint16_t conn_mss_told(const struct tcp_conn *c);

/* The peer has sent a segment of so many bytes. */
void conn_peer_mss(struct tcp_conn *c, uint32_t bytes);
/* Gives the memory of empty queues back, once nothing has happened for a while. */
void conn_trim(struct tcp_conn *c);
bool conn_flight_new(struct tcp_conn *c);
/* Makes sure that there is a flight to write to; false: no memory. */
static inline bool transmit_state_allocate(struct tcp_conn *c) {
    return c->flight != &tcp_no_flight || conn_flight_new(c);
}
static inline uint32_t conn_in_flight(const struct tcp_conn *c) {
    return c->snd_nxt - c->snd_una - c->flight->sacked_bytes - (c->flight->lost_bytes - c->flight->retransmitted_bytes);
}
/* The same, each duplicate ACK of a peer without SACK standing for a segment that has left the network. */
static inline uint32_t conn_on_path(const struct tcp_conn *c) {
    uint32_t bytes = conn_in_flight(c), gone = c->sack ? 0 : c->dup_acks * (uint32_t)c->mss;
    return bytes > gone ? bytes - gone : 0;
}
static inline bool conn_synchronized(const struct tcp_conn *c) {
    return c->state >= TCP_STATE_ESTABLISHED;
}
/* From now on this holds the sender up. */
static inline void conn_limited_by(struct tcp_conn *c, enum tcp_limit limit) {
    if (c->limit == limit) return;
    if (c->limit != TCP_LIMIT_IDLE) c->limit_ns[c->limit - 1] += c->stack->now - c->limit_since_ns;
    c->limit_since_ns = c->stack->now;
    c->limit = (uint8_t)limit;
}
void conn_established(struct tcp_conn *c);
/* Enters TIME_WAIT, or ends where there are too many. */
void conn_time_wait(struct tcp_conn *c);
/* The owner gives the connection up. False: there are too many such. */
bool conn_abandon(struct tcp_conn *c);

/* tcp_output.c */
/* Sends what may be sent now, or at least the ACK that is due. */
void tcp_output(struct tcp_conn *c);
/*
 * The short way out, as tcp_input_expected is in: the data was just pushed, is all there is to send, and nothing is in
 * its way. False: tcp_output is to see to it.
 */
bool tcp_output_expected(struct tcp_conn *c, const struct inet_segment *data);
void tcp_send_syn(struct tcp_conn *c);
void tcp_send_ack(struct tcp_conn *c);
void tcp_send_probe(struct tcp_conn *c); /* an empty segment that must be answered */
void tcp_send_reset(struct tcp_conn *c);
/* Ends a closed connection with a reset, if payload was lost and all that was pushed is acknowledged. */
void tcp_reset_if_unread(struct tcp_conn *c);
/* RST to what belongs to no connection (RFC 9293 section 3.10.7.1). */
void tcp_reset_segment(struct inet *s, const struct rx_packet *p, const struct tcp_segment *g);
/* A segment that no connection and no listener of ours wants: another stack's, or refused. */
void tcp_unknown(struct inet *s, struct rx_packet *p, const struct tcp_segment *g);
/* The answer to a SYN of which nothing is kept, with that initial sequence number. */
void tcp_answer_syn(struct inet *s, const struct inet_flow *flow, const struct tcp_segment *g, uint32_t iss,
                    const struct tcp_options *options);
/* Sends one that was sent before; false: the device has no room. */
bool tcp_resend(struct tcp_conn *c, uint32_t position);
/* One new segment whatever the congestion window says; false: there is none, or no room. */
bool tcp_send_one(struct tcp_conn *c);
/* As tcp_send_one, however small the segment. */
bool tcp_send_forced(struct tcp_conn *c);

/* timeouts.c */
void tcp_timer_fire(struct inet *s, struct inet_timer *t);
/* Arms what the state of sending asks for: loss probe, RTO, persist, or nothing. */
void tcp_arm_send(struct tcp_conn *c);
/* The same after new data was sent. It moves the loss probe; what arrives does not, or it would never fire. */
static inline void tcp_arm_new(struct tcp_conn *c) {
    if (!timers_pending(&c->timers, TCP_TIMER_SEND) || c->timers.send_timer == TCP_SEND_PERSIST ||
        c->timers.send_timer == TCP_SEND_PROBE)
        tcp_arm_send(c);
}

#endif
