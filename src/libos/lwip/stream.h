/* SPDX-License-Identifier: MIT */
/*
 * TCP sockets of libos lwip. stream.c has the table of operations, names and options; stream_open.c connects, listens,
 * accepts and handles lwIP's callbacks; stream_data.c pushes and pops; stream_close.c closes.
 *
 * A closed stream is kept until the peer has acknowledged the pushed data, as in libos inet.
 */
#ifndef LIBOS_LWIP_STREAM_H
#define LIBOS_LWIP_STREAM_H

#include "libos/address.h"
#include "libos/lwip/net.h"

#define LW_SETTINGS 7

struct pbuf;
struct tcp_pcb;

enum lw_state { LW_NEW, LW_LISTENING, LW_CONNECTING, LW_CONNECTED };

struct lw_stream {
    struct queue q;
    struct lw_net *net;
    struct tcp_pcb *pcb;   /* NULL: none yet, or lwIP has freed it */
    struct list link;      /* net->streams */
    struct list pending;   /* net->pending, while it has unprocessed events */
    struct list finishing; /* net->finishing, from our FIN until its acknowledgement */
    struct list waiters;   /* pops; for a listener, accepts */
    struct list pushes;    /* not completely accepted by lwIP */
    struct list sent;      /* accepted by lwIP, to complete when acknowledged */
    struct list held;      /* struct held_push: memory that lwIP refers to until it is acknowledged */
    struct list accepted;  /* listener: streams that wait for an accept */
    uint32_t accepted_count, backlog;
    struct lw_stream *listener; /* the listener whose `accepted` list this stream is on, by `link` */
    struct pbuf *first, *last;  /* received data, linked by `next`; tot_len is not maintained */
    uint64_t sent_bytes, acked_bytes;
    struct op *connect_op, *close_op;
    struct runtime_timer timer; /* closed: gives up on a peer that acknowledges nothing */
    uint64_t left;              /* unacknowledged bytes when the timer was armed */
    enum lw_state state;
    struct inet_endpoint local, remote;
    int values[LW_SETTINGS]; /* of the options in stream.c's table */
    int error;               /* the error with which the connection ended */
    int linger_s;
    bool established, ended, bound, shut_read, shut_write, fin_sent, closed;
    bool push_failed; /* a push failed with the connection */
    bool unread;      /* data was not popped before the close, or arrived after it */
};

static inline struct lw_stream *to_lw_stream(struct queue *q) {
    return list_entry(q, struct lw_stream, q);
}

int lw_stream_make(struct lw_net *net, struct lw_stream **out);
/* Applies the stored options to the connection. */
void lw_stream_apply(struct lw_stream *s);

/* Directs lwIP's callbacks for this connection to the stream. */
void lw_stream_attach(struct lw_stream *s, struct tcp_pcb *pcb);
/* Ends lwIP's callbacks for the stream. Returns its connection, which the caller must end, or NULL. */
struct tcp_pcb *lw_stream_detach(struct lw_stream *s);
/* Records an event of the stream. The net processes it after lwIP has returned. */
void lw_stream_add_event(struct lw_stream *s);

int lw_stream_bind(struct queue *q, const struct sockaddr *addr, socklen_t len);
int lw_stream_listen(struct queue *q, int backlog);
int lw_stream_accept(struct queue *q, struct op *op);
int lw_stream_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len);

int lw_stream_push(struct queue *q, struct op *op);
int lw_stream_pop(struct queue *q, struct op *op);
void lw_stream_serve_pops(struct lw_stream *s);
/* Continues with pushes, then with a shutdown. */
void lw_stream_send(struct lw_stream *s);
void lw_stream_end_pushes(struct lw_stream *s, int error);
/* Takes ownership of a chain of received pbufs. */
void lw_stream_received(struct lw_stream *s, struct pbuf *p);
/* Frees received data without opening the window. Returns whether there was any. */
bool lw_stream_discard_received(struct lw_stream *s);
/* Releases the memory of pushes up to this byte of the stream. */
void lw_stream_release_held(struct lw_stream *s, uint64_t acked_bytes);

int lw_stream_shutdown(struct queue *q, int how);
void lw_stream_close(struct queue *q, struct op *op);
/* Ends a closed stream if the peer has acknowledged everything with our FIN, or if it is to be reset. */
void lw_stream_linger(struct lw_stream *s);
/* Ends a closed stream with a reset. The close fails with `error` unless the peer has acknowledged all pushed data. */
void lw_stream_abort(struct lw_stream *s, int error);
/* Frees a stream that was never accepted. */
void lw_stream_free(struct lw_stream *s);

#endif
