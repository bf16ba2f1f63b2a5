/* SPDX-License-Identifier: MIT */
/*
 * TCP sockets of libos lwip: stream.c is the table of operations, names and options, stream_open.c connects, listens,
 * accepts and hears what lwIP tells, stream_data.c pushes and pops, stream_close.c closes.
 *
 * A closed stream is kept until the peer has acknowledged what was pushed, as libos inet does.
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
    struct tcp_pcb *pcb;   /* NULL: none yet, or lwIP has ended it */
    struct list link;      /* net->streams */
    struct list news;      /* net->news, while lwIP has told something */
    struct list finishing; /* net->finishing, from our FIN until its acknowledgement */
    struct list waiters;   /* pops, or accepts of a listener */
    struct list pushes;    /* not all taken by lwIP */
    struct list sent;      /* taken, and to complete when acknowledged */
    struct list held;      /* struct held_push: memory that lwIP refers to until it is acknowledged */
    struct list accepted;  /* listener: streams that wait for an accept */
    uint32_t accepted_count, backlog;
    struct lw_stream *listener; /* whose `accepted` this stands on, by its `link` */
    struct pbuf *first, *last;  /* received; linked by `next`, their total lengths mean nothing */
    uint64_t taken_bytes, acked_bytes;
    struct op *connect_op, *close_op;
    struct runtime_timer timer; /* once closed: gives up a peer that takes nothing */
    uint64_t left;              /* bytes not acknowledged when it was armed */
    enum lw_state state;
    struct inet_endpoint local, remote;
    int values[LW_SETTINGS]; /* of options, as stream.c has them in its table */
    int error;               /* how the connection ended */
    int linger_s;
    bool established, ended, bound, shut_read, shut_write, fin_sent, closed;
    bool cut;    /* a push failed with the connection */
    bool unread; /* closed with data that no pop was given, or some came since */
};

static inline struct lw_stream *to_lw_stream(struct queue *q) {
    return list_entry(q, struct lw_stream, q);
}

int lw_stream_make(struct lw_net *net, struct lw_stream **out);
/* Gives the connection the options that were set. */
void lw_stream_apply(struct lw_stream *s);

/* What lwIP tells of a connection comes to this stream from here on. */
void lw_stream_attach(struct lw_stream *s, struct tcp_pcb *pcb);
/* lwIP tells of it no more; its connection, which is the caller's to end. NULL: it has none. */
struct tcp_pcb *lw_stream_detach(struct lw_stream *s);
/* lwIP has told something: to be looked at when it has returned. */
void lw_stream_note(struct lw_stream *s);

int lw_stream_bind(struct queue *q, const struct sockaddr *addr, socklen_t len);
int lw_stream_listen(struct queue *q, int backlog);
int lw_stream_accept(struct queue *q, struct op *op);
int lw_stream_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len);

int lw_stream_push(struct queue *q, struct op *op);
int lw_stream_pop(struct queue *q, struct op *op);
void lw_stream_serve_pops(struct lw_stream *s);
/* Goes on with pushes, then with a shutdown. */
void lw_stream_send(struct lw_stream *s);
void lw_stream_end_pushes(struct lw_stream *s, int error);
/* Takes over what lwIP received, a chain. */
void lw_stream_received(struct lw_stream *s, struct pbuf *p);
/* Frees it without opening the window. True: there was data. */
bool lw_stream_discard_received(struct lw_stream *s);
/* Gives up the memory of pushes up to this byte of the stream. */
void lw_stream_release_held(struct lw_stream *s, uint64_t acked_bytes);

int lw_stream_shutdown(struct queue *q, int how);
void lw_stream_close(struct queue *q, struct op *op);
/* A closed stream: ends it if the peer has all and our FIN, or is to be reset. */
void lw_stream_linger(struct lw_stream *s);
/* Ends a closed stream with a reset; the error is told unless the peer has acknowledged all that was pushed. */
void lw_stream_give_up(struct lw_stream *s, int error);
/* Frees one that was never accepted. */
void lw_stream_free(struct lw_stream *s);

#endif
