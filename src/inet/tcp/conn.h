/* SPDX-License-Identifier: MIT */
/*
 * A TCP connection, which consists of its parts, and the functions of the files that bring them together: input, ack,
 * output, timeouts, lifecycle, socket, settings, listen, check, calm and the fast paths. An idle connection has no
 * memory but this structure: its queues are allocated while they have entries, and freed shortly after.
 */
#ifndef INET_TCP_CONN_H
#define INET_TCP_CONN_H

#include "base/hash.h"
#include "inet/socket_event.h"
#include "inet/tcp/cc.h"
#include "inet/tcp/receive.h"
#include "inet/tcp/recovery.h"
#include "inet/tcp/send.h"
#include "inet/tcp/statistics.h"
#include "inet/tcp/tcp.h"
#include "inet/tcp/timers.h"
#include "inet/tcp/timestamps.h"

#define TCP_TIME_WAIT_NS      (60 * NS_PER_S)
#define TCP_ROOM_RETRY_NS     (50 * 1000ull) /* a refused frame is offered again after this, then after twice it */
#define TCP_ROOM_RETRY_MAX_NS (10 * NS_PER_MS)
#define TCP_STALE_MS          500u     /* empty unacceptable segments are answered once in this time */
#define TCP_TRIM_NS           NS_PER_S /* queues that stay empty are freed after this */
#define TCP_SYN_ACK_TRIES     5u
#define TCP_DATA_TRIES        15u
#define TCP_ORPHAN_TRIES      8u
#define TCP_CONNS_MAX         (1u << 22)
#define TCP_HALF_OPEN_MAX     65536u /* of one listener, also if its backlog is larger */

/* How the packets of a connection travel. */
struct tcp_path {
    uint16_t epoch; /* the stack's when the MSS was last found */
    uint8_t tos, ttl;
    bool discover : 1;      /* path MTU discovery */
    bool dont_fragment : 1; /* routers must not fragment */
};

/* In the order of use, so that an echo of a calm connection reaches its first eight cache lines, in which it begins. */
struct tcp_conn {
    struct inet_flow_ip4 key; /* by which the stack finds the connection */
    struct tcp_path path;
    uint8_t state;        /* enum tcp_state */
    bool calm;            /* the fast paths may serve it; see calm.h */
    bool orphan : 1;      /* nobody owns it */
    bool abandoned : 1;   /* its owner has closed it: it counts in the stack's tcp_orphans */
    bool undelivered : 1; /* it has ended before all that was pushed was acknowledged */
    bool loopback : 1;    /* its peer is this host: no segment of it comes from the link */
    bool marked : 1;      /* it is in the stack's tcp_marked */
    struct inet *stack;   /* NULL: it is detached, on its way from one stack to another */
    struct list link; /* among its listener's half-open or waiting connections; tcp_marked or tcp_dead of the stack */
    struct tcp_recovery recovery;

    struct tcp_send send;
    struct tcp_listener *listener;

    struct tcp_receive receive;
    struct tcp_timestamps ts;
    int error;
    uint32_t stale_ms; /* when an empty unacceptable segment was last answered, in milliseconds; 0: never */

    struct inet_socket socket;
    struct tcp_timers timers;
    struct tcp_rtt rtt;
    struct tcp_statistics statistics;
    struct tcp_cc cc;
    struct inet_flow flow; /* as key */
};
_Static_assert(offsetof(struct tcp_conn, send) == 64 && offsetof(struct tcp_conn, receive) == 128 &&
                   offsetof(struct tcp_conn, socket) == 256,
               "what sends, what receives, and the rest begin with a line");
_Static_assert(offsetof(struct tcp_conn, timers.timer.timer.deadline_ns) == 320, "the list is seldom used");
_Static_assert(offsetof(struct tcp_conn, cc.cubic) <= 512, "only congestion avoidance uses more lines");

struct tcp_listener {
    struct inet_socket socket;
    struct inet *stack;
    struct inet_endpoint local;
    struct inet_flow key; /* in the stack's table: local, or zeros for the wildcard */
    struct tcp_settings settings;
    uint32_t backlog, half_open_count, waiting_count;
    struct list half_open, waiting;
};

/* A slow path changes the connection. */
static inline void calm_end(struct tcp_conn *c) {
    c->calm = false;
}

/* lifecycle.c */
/* Finds the connection of a flow; NULL: there is none. */
struct tcp_conn *conn_find(struct inet *s, const struct inet_flow *flow);
/* The same by its key: a struct inet_flow_ip4, which need not be aligned. */
static inline struct tcp_conn *conn_find_ip4(struct inet *s, const void *key) {
    struct tcp_conn *c = s->tcp_last;
    if (c && hash_keys_equal(&c->key, key, sizeof c->key)) return c;
    c = hash_find_n(&s->tcp_conns, key, sizeof c->key);
    if (c) s->tcp_last = c;
    return c;
}
/* 0; -ENOMEM; -EADDRINUSE and -ENOBUFS: as `flow_used` of the configuration says. */
int conn_new(struct inet *s, struct tcp_conn **out, const struct inet_flow *flow, const struct tcp_settings *settings,
             void *user);
/*
 * Ends the connection: it leaves the tables, and its memory is freed except the structure and unread data. error 0: it
 * ends in order. conn_reap frees orphans.
 */
void conn_end(struct tcp_conn *c, int error);
void conn_reap(struct inet *s);
/* Sets a deadline; UINT64_MAX: none. */
static inline void conn_deadline(struct tcp_conn *c, enum tcp_deadline which, uint64_t at_ns) {
    timers_set(&c->timers, &c->stack->wheel, which, at_ns);
}
/* The connection is idle: if it stays idle, conn_trim frees its queues. */
static inline void conn_idle(struct tcp_conn *c) {
    if (!timers_pending(&c->timers, TCP_TIMER_TRIM)) conn_deadline(c, TCP_TIMER_TRIM, c->stack->now + TCP_TRIM_NS);
}
/* The clock of timestamps. Each connection adds its own offset. */
static inline uint32_t stack_clock_ms(const struct inet *s) {
    return (uint32_t)(s->now / NS_PER_MS);
}
static inline uint32_t conn_clock_ms(const struct tcp_conn *c) {
    return stack_clock_ms(c->stack) + c->ts.offset;
}
/* The largest segment, options included, that the path or the user's option allows the peer to send. */
static inline uint16_t conn_mss_told(const struct tcp_conn *c) {
    uint16_t most = (uint16_t)(c->stack->config.mtu - TCP_MSS_OVERHEAD);
    return (uint16_t)(c->send.maxseg - 1) < most ? c->send.maxseg : most; /* maxseg 0: none */
}
/* The window to advertise. */
static inline uint32_t conn_receive_window(const struct tcp_conn *c) {
    return receive_window(&c->receive, conn_mss_told(c));
}
/* The stack's memory; NULL: the connection is detached. */
static inline struct tcp_memory *conn_memory(const struct tcp_conn *c) {
    return c->stack ? &c->stack->tcp_memory : NULL;
}
/* Sets what the SYNs of both ends have negotiated. Called once, with the peer's SYN. */
void negotiate_options(struct tcp_conn *c, const struct tcp_header *syn);
/* The path or the options have changed: sets the MSS, and splits sent segments that are larger. */
void conn_path_changed(struct tcp_conn *c);
void conn_configure(struct tcp_conn *c, const struct tcp_settings *settings);
uint32_t conn_isn(const struct inet *s, const struct inet_flow *flow, uint32_t *ts_offset);
/* The peer has sent a segment with so many bytes of payload. */
void conn_peer_mss(struct tcp_conn *c, uint32_t bytes);
/* Frees empty queues if nothing was sent or received for TCP_TRIM_NS; else waits for that. */
void conn_trim(struct tcp_conn *c);
/* Bytes that are sent and not acknowledged, and not known to have arrived or to be lost. */
static inline uint32_t conn_in_flight(const struct tcp_conn *c) {
    return recovery_in_flight(&c->recovery, send_out(&c->send));
}
/* The same as the congestion window counts them. */
static inline uint32_t conn_pipe(const struct tcp_conn *c) {
    return recovery_pipe(&c->recovery, send_out(&c->send), c->send.mss);
}
static inline bool conn_synchronized(const struct tcp_conn *c) {
    return c->state >= TCP_STATE_ESTABLISHED;
}
/* From now on `limit` delays the sender. */
static inline void conn_limited_by(struct tcp_conn *c, enum tcp_limit limit) {
    statistics_limit(&c->statistics, limit, c->stack->now);
}
void conn_established(struct tcp_conn *c);
/* Enters TIME_WAIT, or ends if too many connections are in that state. */
void conn_time_wait(struct tcp_conn *c);
/* The owner has closed the connection: it becomes an orphan. False: there are too many orphans. */
bool conn_abandon(struct tcp_conn *c);

/* input.c */
/* An ACK of new data without SACK blocks, on the slow path. */
void tcp_ack_advance(struct tcp_conn *c, uint32_t ack);
/* A segment with len bytes of payload was received: its ACK is due now or later. */
void ack_schedule(struct tcp_conn *c, uint32_t len);

/* ack.c */
/*
 * An acceptable ACK while something is out: takes what it acknowledges off the scoreboard, finds losses, sets the
 * congestion window. `o`: the segment's options. `duplicate`: a duplicate ACK as RFC 5681 section 2 defines it.
 */
void tcp_ack(struct tcp_conn *c, uint32_t ack, const struct tcp_options *o, bool duplicate);
/* An ACK with SACK blocks while nothing is out: the peer may report a duplicate. */
void tcp_ack_idle(struct tcp_conn *c, const struct tcp_options *o);
/* Looks for losses again, because time has passed. */
void tcp_find_losses(struct tcp_conn *c);
/* The retransmission timer has expired: all that is out is marked lost. */
void tcp_all_lost(struct tcp_conn *c);

/* output.c */
/* Sends what may be sent now, and the ACK that is due if no segment with data carries it. */
void tcp_output(struct tcp_conn *c);
void tcp_send_syn(struct tcp_conn *c);
void tcp_send_ack(struct tcp_conn *c);
void tcp_send_probe(struct tcp_conn *c); /* an empty segment that the peer must answer */
void tcp_send_reset(struct tcp_conn *c);
/* Resets an orphan that has received data nobody read, once all that was pushed is acknowledged. */
void tcp_reset_if_unread(struct tcp_conn *c);
/* Answers a segment that belongs to no connection with a reset (RFC 9293 section 3.10.7.1). */
void tcp_reset_segment(struct inet *s, const struct rx_packet *p, const struct tcp_segment *g);
/* A segment for which there is no connection and no listener: it is offered to other stacks, or refused. */
void tcp_unknown(struct inet *s, struct rx_packet *p, const struct tcp_segment *g);
/* Answers a SYN without keeping state: the initial sequence number iss is a cookie. */
void tcp_answer_syn(struct inet *s, const struct inet_flow *flow, const struct tcp_segment *g, uint32_t iss,
                    const struct tcp_options *options);
/* Retransmits a segment of the scoreboard. False: the device has no room. */
bool tcp_resend(struct tcp_conn *c, uint32_t position);
/* Sends one new segment, also beyond the congestion window. False: there is none, or no room. */
bool tcp_send_one(struct tcp_conn *c);
/* As tcp_send_one, but also a segment that the rules of send_next would delay. */
bool tcp_send_forced(struct tcp_conn *c);

/* flush.c */
/* There may be something to send: tcp_output is called by the next tcp_flush, or now if the listener has c. */
void conn_mark(struct tcp_conn *c);
/* The same if there is an ACK, data or a FIN to send. */
static inline void conn_mark_due(struct tcp_conn *c) {
    if (c->receive.ack_now || c->send.nxt != c->send.end || c->send.fin_queued) conn_mark(c);
}
/* Sends at once what a marked connection has to send. */
void conn_flush(struct tcp_conn *c);
static inline void conn_unmark(struct tcp_conn *c) {
    if (!c->marked) return;
    list_remove(&c->link);
    c->marked = false;
}

/* timeouts.c */
void tcp_timer_fire(struct inet *s, struct inet_timer *t);
/* Arms the send timer for what is due next: loss probe, retransmission timeout, window probe, or nothing. */
void tcp_arm_send(struct tcp_conn *c);
/* The same after new data was sent, which postpones a loss probe and does not postpone a retransmission. */
static inline void tcp_arm_new(struct tcp_conn *c) {
    if (!timers_pending(&c->timers, TCP_TIMER_SEND) || c->timers.send_timer == TCP_SEND_PERSIST ||
        c->timers.send_timer == TCP_SEND_PROBE)
        tcp_arm_send(c);
}

#endif
