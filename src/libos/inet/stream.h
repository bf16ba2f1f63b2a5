/* SPDX-License-Identifier: MIT */
/*
 * TCP sockets of libos inet: stream.c is the table of operations, names and options, stream_data.c pushes and pops,
 * stream_open.c connects, listens and accepts, stream_close.c closes.
 */
#ifndef LIBOS_INET_STREAM_H
#define LIBOS_INET_STREAM_H

#include "base/clock.h"
#include "inet/tcp/tcp.h"
#include "libos/address.h"
#include "libos/inet/net.h"
#include "libos/stream_options.h"

enum stream_state { STREAM_NEW, STREAM_LISTENING, STREAM_CONNECTING, STREAM_CONNECTED };

struct stream {
    struct queue q;
    struct net *net;
    struct tcp_conn *conn;         /* while CONNECTING or CONNECTED */
    struct tcp_listener *listener; /* while LISTENING */
    struct list link;              /* net->streams */
    struct list arrived;           /* net->arrived */
    struct list bound;             /* net->bound: the program has bound an address and port */
    struct list waiters;           /* pops, or accepts of a listener */
    struct list pushes;            /* pushes that the stack has not accepted completely */
    struct list sent;              /* accepted pushes that complete when they are acknowledged */
    uint64_t taken_bytes;          /* bytes of all pushes that the stack has accepted */
    struct op *connect_op, *close_op;
    struct runtime_timer timer; /* once closed: gives up a peer that makes no progress */
    uint32_t left;              /* unacknowledged bytes when the timer was armed */
    enum stream_state state;
    struct inet_endpoint local; /* as bound */
    struct tcp_settings settings;
    int send_error; /* the stream ended within a push */
    int linger_s;   /* -1: SO_LINGER is off */
    bool shut_read, shut_write, fin_sent, closed;
};

static inline struct stream *to_stream(struct queue *q) {
    return list_entry(q, struct stream, q);
}

int stream_make(struct net *net, struct stream **out);
void stream_free(struct stream *s);

int stream_push(struct queue *q, struct op *op);
int stream_pop(struct queue *q, struct op *op);
void stream_serve_pops(struct stream *s, uint64_t now);
/* Continues pushes, then a shutdown. */
void stream_send(struct stream *s, uint64_t now);
void stream_end_pushes(struct stream *s, int error);

int stream_bind(struct queue *q, const struct sockaddr *addr, socklen_t len);
int stream_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len);
int stream_listen(struct queue *q, int backlog);
int stream_accept(struct queue *q, struct op *op);
void stream_serve_accepts(struct stream *s);
void stream_connected(struct stream *s, uint64_t now);
void stream_connect_failed(struct stream *s, int error, uint64_t now);

/* stream_transfer.c */
int stream_transfer(struct queue *q, uint32_t runtime);
int handover_new(struct net *net, struct queue **q_out);
void handover_lost(struct net *net);
/* Takes the connections transferred to this runtime, and sets *now to the current time. Returns their number. */
uint32_t migrations_take(struct net *net, uint64_t *now);
/* The runtime ends: accepts no more migrations, and resets connections that were not accepted. */
void migrations_end(struct net *net);

void stream_close(struct queue *q, struct op *op);
/* Ends a closed stream if the peer has all data and the FIN, or if a reset is due. True: the stream is freed. */
bool stream_linger(struct stream *s, uint64_t now);
/* Ends a closed stream; if there is an error, resets its connection. */
void stream_finish(struct stream *s, int error, uint64_t now);
/* The same with a reset; reports the error unless the peer has acknowledged everything that was pushed. */
void stream_give_up(struct stream *s, int error, uint64_t now);

#endif
