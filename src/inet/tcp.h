/*
 * TCP sockets (RFC 9293). Ports are in host order. Nothing blocks: what a call cannot do now it refuses with -EAGAIN,
 * and an event tells when to try again.
 */
#ifndef INET_TCP_H
#define INET_TCP_H

#include "inet/socket.h"

struct tcp_conn;
struct tcp_listener;

/*
 * Listens; the wildcard on all addresses. At most `backlog` connections (at least one) wait to be accepted, and as
 * many are half open. -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL (port 0), -ENOMEM.
 */
int tcp_listen(struct inet *s, struct tcp_listener **out, const struct inet_endpoint *local, uint32_t backlog,
               void *user);

/* Connections that were not accepted are reset. */
void tcp_listener_close(struct tcp_listener *l, uint64_t now);

/* The connection that has waited longest. 0, -EAGAIN. */
int tcp_accept(struct tcp_listener *l, struct tcp_conn **out, void *user);

/*
 * Begins to connect, from `local` or, where its parts are zero, from the route's address and a random port.
 * INET_EVENT_CONNECTED tells the end of it: tcp_error is 0, or says why it failed. -ENETUNREACH, -EADDRNOTAVAIL (no
 * port left), -EADDRINUSE, -EINVAL, -ENOMEM.
 */
int tcp_connect(struct inet *s, struct tcp_conn **out, const struct inet_endpoint *remote,
                const struct inet_endpoint *local, void *user, uint64_t now);

/*
 * Pushes bytes that lie in a heap block; the stack holds the block until they are acknowledged. 0; -EAGAIN: as much as
 * the send limit allows waits already, none was taken; -EPIPE: shut down; -ENOTCONN: not yet; -ENOMEM; or what ended
 * the connection. Bytes are sent at once unless `more`.
 */
int tcp_push(struct tcp_conn *c, const struct inet_segment *data, bool more, uint64_t now);

/*
 * Pops the next bytes, at most `limit`: a slice of the received frame, which the caller owns. 0; length 0: the end of
 * the stream; -EAGAIN: nothing there yet; or what ended the connection, after the data that came before.
 */
int tcp_pop(struct tcp_conn *c, struct inet_slice *out, uint32_t limit, uint64_t now);

/* Ends our direction: a FIN follows what was pushed. -ENOTCONN. */
int tcp_shutdown(struct tcp_conn *c, uint64_t now);

/*
 * Gives the socket up; no event of it is told from here on. What was pushed is still delivered. Data that was
 * received and not popped, or comes later, resets the connection (RFC 1122 section 4.2.2.13).
 */
void tcp_close(struct tcp_conn *c, uint64_t now);

/* As tcp_close, but resets the connection at once. */
void tcp_abort(struct tcp_conn *c, uint64_t now);

/* Why the connection ended: -ECONNRESET, -ECONNREFUSED, -ETIMEDOUT, -EHOSTUNREACH ...; 0: it has not, or in order. */
int tcp_error(const struct tcp_conn *c);

/* Bytes pushed and not yet acknowledged. */
uint32_t tcp_unacked(const struct tcp_conn *c);

struct inet_endpoint tcp_local(const struct tcp_conn *c);
struct inet_endpoint tcp_remote(const struct tcp_conn *c);

enum tcp_option {
    TCP_OPTION_NODELAY,         /* 1: small segments do not wait (Nagle off) */
    TCP_OPTION_KEEPALIVE,       /* 1: an idle peer is asked whether it lives */
    TCP_OPTION_KEEP_IDLE_S,     /* seconds of silence before (7200); 1 ... 32767, as the next */
    TCP_OPTION_KEEP_INTERVAL_S, /* seconds between (75) */
    TCP_OPTION_KEEP_COUNT,      /* questions without an answer that end the connection (9); 1 ... 127 */
    TCP_OPTION_USER_TIMEOUT_MS, /* unacknowledged data ends the connection after this (0: after 15 repetitions) */
    TCP_OPTION_SEND_LIMIT,      /* bytes that may wait to be acknowledged (4 MiB) */
    TCP_OPTION_RECEIVE_LIMIT,   /* bytes the window may open to (6 MiB) */
};

/* -EINVAL: out of range. */
int tcp_set_option(struct tcp_conn *c, enum tcp_option option, uint32_t value);

/* Chooses the congestion control by name: "cubic" (at first), "reno". The window stays. -ENOENT: none of that name. */
int tcp_set_congestion(struct tcp_conn *c, const char *name);

enum tcp_state {
    TCP_CLOSED,
    TCP_SYN_SENT,
    TCP_SYN_RECEIVED,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT_1,
    TCP_FIN_WAIT_2,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_LAST_ACK,
    TCP_TIME_WAIT,
};

/* What a connection shows of itself. */
struct tcp_info {
    enum tcp_state state;
    uint32_t srtt_us, rttvar_us, rto_us, min_rtt_us;
    uint32_t cwnd, ssthresh; /* bytes */
    uint32_t mss, send_window, receive_window, in_flight;
    uint32_t retransmits; /* segments, since it began */
    uint8_t send_shift, receive_shift, backoff;
    bool timestamps, sack;
    const char *congestion; /* name of the algorithm */
    const char *recovery;   /* "open", "recovery" or "loss" */
};
void tcp_get_info(const struct tcp_conn *c, struct tcp_info *info);

#endif
