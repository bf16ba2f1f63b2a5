/* SPDX-License-Identifier: MIT */
/*
 * Stream sockets over a user-space stack, from socket to close. A libos embeds a struct stream in its own structure and
 * supplies a struct stream_transport, the calls of its stack.
 *
 * A closed stream is kept until the peer has acknowledged what was pushed, and then the FIN. If there is received data
 * that was not popped, or if data arrives later, a reset replaces the FIN (RFC 1122 section 4.2.2.13).
 *
 *   stream.c        creation, names, options, events of the stack
 *   stream_open.c   bind, connect, listen, accept
 *   stream_data.c   pushes, pops, shutdown
 *   stream_call.c   the fast paths of pushes and pops
 *   stream_close.c  closing
 *
 * Functions return 0 or a negative errno. Only the thread of the stream's runtime calls them.
 */
#ifndef LIBOS_SOCKET_STREAM_H
#define LIBOS_SOCKET_STREAM_H

#include "core/completion.h"
#include "core/timer.h"
#include "libos/socket/socket_set.h"
#include "libos/stream_options.h"

struct stream;

enum stream_write_flag {
    STREAM_WRITE_FIRST = 1, /* the bytes begin a push: -ENOMEM fails only this push */
    STREAM_WRITE_MORE = 2,  /* more bytes of the push follow */
    STREAM_WRITE_HELD = 4,  /* on success the stack takes all bytes, and takes over a hold on their block */
};

/*
 * The calls of a stack. `now` is the current time. None of them completes operations, calls stream_ready or frees a
 * stream, except `free`. After a sequence of them set->settle is called, or is already running.
 */
struct stream_transport {
    /* ---- a CONNECTED stream, whose connection may have ended ---- */

    /*
     * Takes bytes of a push, at most STREAM_PIECE_BYTES, copies them or holds their memory until they are acknowledged,
     * and counts copies. Returns how many it has taken, at least 1; -EAGAIN: none, and an event follows; any other
     * error ends the stream, except -ENOMEM for the first bytes of a push.
     */
    int (*write)(struct stream *s, const void *base, uint32_t bytes, uint32_t flags, uint64_t now);
    bool takes_holds; /* `write` knows STREAM_WRITE_HELD */
    /* Sends what was written. NULL: `write` does. */
    void (*flush)(struct stream *s);
    /* Whether there is data to pop, the end of the stream, or an error. */
    bool (*readable)(const struct stream *s);
    /* Fills a pop (op_set_popped); fills nothing at the end of the stream. -EAGAIN: it is not readable. */
    int (*pop)(struct stream *s, struct op *op, uint64_t now);
    /* Written bytes that the peer has not acknowledged. */
    uint64_t (*unacked)(const struct stream *s);
    /* Whether the peer has acknowledged all that was written; still valid after the connection has ended. */
    bool (*delivered)(const struct stream *s);
    /* The error that ended the connection; 0: it has not ended, or in order. */
    int (*error)(const struct stream *s);
    /* Sends a FIN after what was written. */
    void (*shutdown)(struct stream *s, uint64_t now);

    /* The other end of the connection. */
    struct inet_endpoint (*remote)(const struct stream *s);
    /* Discards received data, now and later. `unread`: data was received that no pop has returned. */
    void (*stop_reading)(struct stream *s, bool unread);
    /* After stop_reading: whether there was or came unread data. */
    bool (*unread)(const struct stream *s);
    /* Whether the peer has acknowledged the FIN, or the connection has ended. */
    bool (*finished)(const struct stream *s);

    /* ---- a NEW stream, or as said ---- */

    /* Whether a stream may bind this address and port: 0, -EADDRNOTAVAIL, -EADDRINUSE. */
    int (*can_bind)(const struct stream *s, const struct inet_endpoint *local);
    /*
     * Binds; `chosen`: the application has chosen the port. -EADDRINUSE, -ENOBUFS. NULL: there is nothing to do before
     * `listen` or `connect`, which read s->local.
     */
    int (*bind)(struct stream *s, const struct inet_endpoint *local, bool chosen);
    /* Begins to listen on s->local, or, LISTENING, changes the backlog, which is at least 1. */
    int (*listen)(struct stream *s, uint32_t backlog);
    /*
     * LISTENING. Makes a CONNECTED stream in the set, with the listener's options, for the connection that has waited
     * longest. -EAGAIN: there is none.
     */
    int (*accept)(struct stream *s, struct stream **fresh);
    /* Begins to connect; stream_connected follows. After an error the stream has no connection. */
    int (*connect)(struct stream *s, const struct inet_endpoint *remote, uint64_t now);

    /* ---- in any state ---- */

    /* The address and port of this end of the connection; without a connection, s->local. */
    struct inet_endpoint (*local)(const struct stream *s);
    /*
     * Gives up the connection, of which everything written is acknowledged, or the listener, if there is one. The stack
     * ends the connection with a FIN, or with a reset if there is unread data, and resets connections that were not
     * accepted.
     */
    void (*close)(struct stream *s, uint64_t now);
    /* Resets the connection, if there is one, and gives it up. */
    void (*abort)(struct stream *s, uint64_t now);
    /* Frees the structure; the stream is in no list. */
    void (*free)(struct stream *s);

    /* -ENOPROTOOPT: the stack does not have the option; -EINVAL: out of range. */
    int (*set_option)(struct stream *s, enum tcp_option option, uint32_t value, uint64_t now);
    int (*get_option)(const struct stream *s, enum tcp_option option, uint32_t *value);
};

enum stream_state { STREAM_NEW, STREAM_LISTENING, STREAM_CONNECTING, STREAM_CONNECTED };

/* The transport reads it. It writes a field only in a stream that it makes for `accept` or for a transfer. */
struct stream {
    struct queue q;
    const struct stream_transport *transport;
    struct socket_set *set;
    struct list pushes;     /* pushes that the stack has not taken completely */
    struct list sent;       /* pushes that it has taken; they complete when they are acknowledged */
    struct list waiters;    /* pops, or accepts of a listener */
    uint64_t written_bytes; /* bytes of all pushes that the stack has taken */
    enum stream_state state;
    int send_error; /* the stream ended within a push */
    bool shut_read, shut_write, fin_sent, closed;
    int linger_s;               /* LINGER_OFF, or as set by SO_LINGER */
    struct inet_endpoint local; /* as bound; port 0: not bound */
    struct list link;           /* set->streams */
    struct list bound;          /* set->bound */
    struct op *connect_op, *close_op;
    struct runtime_timer timer; /* once closed: gives up a peer that makes no progress */
    uint64_t left;              /* unacknowledged bytes when the timer was armed */
};

/* The largest piece of a push for one write. See STREAM_SEND_LEAST. */
#define STREAM_PIECE_BYTES 32768u

/* The entries of a struct queue_ops. */
#define STREAM_OPS                                                                                                     \
    .socket = true, .stream = true, .push_call = stream_push_call, .pop_call = stream_pop_call, .push = stream_push,   \
    .pop = stream_pop, .accept = stream_accept, .connect = stream_connect, .cancel = stream_cancel,                    \
    .close = stream_close, .bind = stream_bind, .listen = stream_listen, .shutdown = stream_shutdown,                  \
    .getsockname = stream_getsockname, .getpeername = stream_getpeername

static inline struct stream *stream_of_queue(struct queue *q) {
    return list_entry(q, struct stream, q);
}

/* ---- for the libos ---- */

/* Makes a zeroed structure a NEW stream, which is in no list. */
void stream_init(struct stream *s, struct dmtr_runtime *rt, struct socket_set *set, const struct queue_ops *ops,
                 const struct stream_transport *transport);
/* The stack has news of the stream: data, room, acknowledgements, an end, or a connection to accept. May free s. */
void stream_ready(struct stream *s, uint64_t now);
/* A CONNECTING stream is connected, or has failed to. */
void stream_connected(struct stream *s, int error, uint64_t now);
/* Sets an option that stream_setsockopt does not have. */
int stream_set_option(struct stream *s, enum tcp_option option, uint32_t value);
/* Frees a stream that is not queued for a close; its transport has no connection. */
void stream_free(struct stream *s);
/* set->lost has become true: fails the outstanding operations of all streams. */
void streams_lost(struct socket_set *set, uint64_t now);
/* Called when the runtime ends: ends the remaining streams, which the application has closed. */
void streams_fini(struct socket_set *set);

/* ---- queue operations; see core/queue.h ---- */

int stream_push_call(struct queue *q, const dmtr_sgarray_t *sga, dmtr_qtoken_t *qt_out);
int stream_pop_call(struct queue *q, dmtr_qtoken_t *qt_out);
int stream_push(struct queue *q, struct op *op);
int stream_pop(struct queue *q, struct op *op);
int stream_accept(struct queue *q, struct op *op);
int stream_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len);
bool stream_cancel(struct queue *q, struct op *op);
void stream_close(struct queue *q, struct op *op);
int stream_bind(struct queue *q, const struct sockaddr *addr, socklen_t len);
int stream_listen(struct queue *q, int backlog);
int stream_shutdown(struct queue *q, int how);
int stream_getsockname(struct queue *q, struct sockaddr *addr, socklen_t *len);
int stream_getpeername(struct queue *q, struct sockaddr *addr, socklen_t *len);
int stream_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len);
int stream_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len);

/* ---- shared by the files of this folder ---- */

/* Continues pushes, then a shutdown. */
void stream_send(struct stream *s, uint64_t now);
void stream_end_pushes(struct stream *s, int error);
void stream_serve_pops(struct stream *s, uint64_t now);
void stream_serve_accepts(struct stream *s);
/* Ends a closed stream if the peer has all data and the FIN, or if a reset is due. May free s. */
void stream_linger(struct stream *s, uint64_t now);
/* Ends a closed stream with a reset; reports the error unless the peer has acknowledged everything. Frees s. */
void stream_give_up(struct stream *s, int error, uint64_t now);

#endif
