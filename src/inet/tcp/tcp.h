/* SPDX-License-Identifier: MIT */
/*
 * TCP sockets (RFC 9293). Ports are in host order. Nothing blocks: what a call cannot do now it refuses with -EAGAIN,
 * and an event tells when to try again.
 */
#ifndef INET_TCP_TCP_H
#define INET_TCP_TCP_H

#include "inet/socket.h"
#include "inet/tcp/option.h"

struct tcp_conn;
struct tcp_listener;

/*
 * Listens; the wildcard on all addresses. At most `backlog` connections (at least one) wait to be accepted, and as
 * many are half open. `settings` (NULL: the defaults) go to the connections. -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL (port
 * 0), -ENOMEM.
 */
int tcp_listen(struct inet *s, struct tcp_listener **out, const struct inet_endpoint *local, uint32_t backlog,
               const struct tcp_settings *settings, void *user);

/* Other settings for the connections that are going to be asked for. */
void tcp_listener_set_backlog(struct tcp_listener *l, uint32_t backlog);
void tcp_listener_configure(struct tcp_listener *l, const struct tcp_settings *settings);

/* What tcp_listen would say of that address and port now, but for the memory. */
int tcp_can_listen(const struct inet *s, const struct inet_endpoint *local);

/* Connections that were not accepted are reset. */
void tcp_listener_close(struct tcp_listener *l, uint64_t now);

/*
 * The connection that has waited longest. 0, -EAGAIN. One that its peer has reset meanwhile is given as well, as in
 * Linux: tcp_pop gives the data that came before, then -ECONNRESET.
 */
int tcp_accept(struct tcp_listener *l, struct tcp_conn **out, void *user);
/* Whether there is one. */
bool tcp_acceptable(const struct tcp_listener *l);

/*
 * Begins to connect, from `local` or, where its parts are zero, from the route's address and a random port, with
 * `settings` (NULL: the defaults). INET_EVENT_CONNECTED tells the end of it: tcp_error is 0, or says why it failed.
 * -ENETUNREACH, -EADDRNOTAVAIL (no port left), -EADDRINUSE, -EINVAL, -ENOMEM, -ENOBUFS (a table of flows is full).
 */
int tcp_connect(struct inet *s, struct tcp_conn **out, const struct inet_endpoint *remote,
                const struct inet_endpoint *local, const struct tcp_settings *settings, void *user, uint64_t now);

/*
 * Pushes bytes that lie in a heap block; the stack holds the block until they are acknowledged. 0; -EAGAIN: as much as
 * the send limit allows waits already, none was taken; -EPIPE: shut down; -ENOTCONN: not yet; -ENOMEM; or what ended
 * the connection. inet_flush sends the bytes, unless `more`.
 */
int tcp_push(struct tcp_conn *c, const struct inet_segment *data, bool more, uint64_t now);
/* The same for at least one byte, but on success the stack takes over a hold that the caller has on the block. */
int tcp_push_held(struct tcp_conn *c, const struct inet_segment *data, bool more, uint64_t now);

/*
 * Pops the next bytes, at most `limit`: a slice of the received frame, which the caller owns. 0; length 0: the end of
 * the stream; -EAGAIN: nothing there yet; or what ended the connection, after the data that came before.
 */
int tcp_pop(struct tcp_conn *c, struct inet_slice *out, uint32_t limit, uint64_t now);

/* Whether tcp_pop would return something other than -EAGAIN. */
bool tcp_readable(const struct tcp_conn *c);

/*
 * Shows bytes that tcp_pop is going to give, from `offset` behind the next one on, as many as lie together; valid until
 * the next call of the stack. 0; -EAGAIN: there are not so many.
 */
int tcp_peek(const struct tcp_conn *c, uint32_t offset, struct inet_segment *out);

/* Bytes that tcp_pop is going to give. */
uint32_t tcp_available(const struct tcp_conn *c);

/* Ends our direction: inet_flush sends a FIN behind what was pushed. -ENOTCONN. */
int tcp_shutdown(struct tcp_conn *c, uint64_t now);

/*
 * Nobody reads any more: what was received is freed, and payload that comes later is dropped and not acknowledged.
 * `unread`: the caller has popped data that nobody was given. If there was or comes any unread data, tcp_close resets
 * the connection (RFC 1122 section 4.2.2.13, RFC 2525 section 2.17). A FIN is no data.
 */
void tcp_stop_reading(struct tcp_conn *c, bool unread);

/*
 * Stops reading and gives the socket up; no event of it is told from here on. What was pushed is still delivered, and
 * followed by a FIN, or by a reset if there was unread data or some comes later.
 */
void tcp_close(struct tcp_conn *c, uint64_t now);

/* As tcp_close, but resets the connection at once. */
void tcp_abort(struct tcp_conn *c, uint64_t now);

/*
 * Takes a connection off its stack, so that another one, which may be another thread's, can attach it; nothing is told
 * of it or sent until then. -EINVAL: it is not established, or not accepted yet.
 *
 * The flow stays this stack's for flow_used of the configuration, and the port in use: whoever gives the connection to
 * the other stack gives it the flow, and then calls tcp_detached.
 */
int tcp_detach(struct tcp_conn *c);
void tcp_detached(struct inet *s, uint16_t local_port);
/*
 * Whatever the error (-ENOMEM, -EADDRINUSE, or of flow_used) the connection is gone then, and its peer is refused when
 * it next sends.
 */
int tcp_attach(struct inet *s, struct tcp_conn *c, void *user, uint64_t now);

/* Frees a detached connection, which nobody is told of. */
void tcp_discard(struct tcp_conn *c);

/* Why the connection ended: -ECONNRESET, -ECONNREFUSED, -ETIMEDOUT, -EHOSTUNREACH ...; 0: it has not, or in order. */
int tcp_error(const struct tcp_conn *c);

/* Bytes pushed and not yet acknowledged. */
uint32_t tcp_unacked(const struct tcp_conn *c);

/* Whether the peer has acknowledged all that was pushed. It still tells when the connection has ended, however. */
bool tcp_delivered(const struct tcp_conn *c);

/* Whether the peer has acknowledged our FIN, or the connection has ended. INET_EVENT_WRITABLE tells of it. */
bool tcp_finished(const struct tcp_conn *c);

/* After tcp_stop_reading: whether there was or came unread data. INET_EVENT_READABLE tells of data that comes. */
bool tcp_unread(const struct tcp_conn *c);

struct inet_endpoint tcp_local(const struct tcp_conn *c);
struct inet_endpoint tcp_remote(const struct tcp_conn *c);

/* Sets an option, with effect from now on. -EINVAL: no such option, or out of range. */
int tcp_set_option(struct tcp_conn *c, enum tcp_option option, uint32_t value, uint64_t now);
/* -EINVAL: no such option. */
int tcp_get_option(const struct tcp_conn *c, enum tcp_option option, uint32_t *value);

enum tcp_state {
    TCP_STATE_CLOSED,
    TCP_STATE_SYN_SENT,
    TCP_STATE_SYN_RECEIVED,
    TCP_STATE_ESTABLISHED,
    TCP_STATE_FIN_WAIT_1,
    TCP_STATE_FIN_WAIT_2,
    TCP_STATE_CLOSE_WAIT,
    TCP_STATE_CLOSING,
    TCP_STATE_LAST_ACK,
    TCP_STATE_TIME_WAIT,
};

enum tcp_recovery_state {
    TCP_OPEN,     /* nothing is missing */
    TCP_RECOVERY, /* losses were found by what came after them */
    TCP_LOSS,     /* the retransmission timer has expired */
};

/* What a connection shows of itself. */
struct tcp_status {
    enum tcp_state state;
    enum tcp_recovery_state recovery;
    uint32_t srtt_us, rttvar_us, rto_us, min_rtt_us;
    uint32_t cwnd, ssthresh;                /* bytes */
    uint32_t mss;                           /* payload of a full segment sent */
    uint32_t receive_mss;                   /* of the largest received */
    uint32_t path_mtu, advertised_mss;      /* bytes */
    uint32_t send_window, receive_window;   /* bytes: as the peer tells it, and as we do */
    uint32_t in_flight;                     /* bytes on their way, as far as is known */
    uint32_t unacked_segments;              /* sent and not acknowledged */
    uint32_t sacked, lost, again, not_sent; /* bytes: arrived out of order, taken for lost, sent again, waiting */
    uint32_t retransmits;                   /* segments, since it began */
    uint32_t segments_in, segments_out;
    uint64_t bytes_acked, bytes_received;
    uint64_t sent_ns, received_ns; /* when anything was, last */
    uint8_t send_shift, receive_shift, backoff, probes;
    uint16_t delayed_ack_ms;
    bool timestamps, sack, window_scale, reordering;
    uint16_t reordering_segments; /* how far a segment was overtaken at most; 0: not at all */
    /* while something waited; of that while the peer's window, or our send limit, held it up */
    uint64_t busy_us, window_limited_us, buffer_limited_us;
    const char *congestion; /* name of the algorithm */
};
void tcp_get_status(const struct tcp_conn *c, struct tcp_status *out);

#endif
