/* SPDX-License-Identifier: MIT */
/*
 * TCP sockets of libos inet: stream.c is the transport of src/libos/socket/stream.h over the stack, and the options
 * that only this stack has; stream_transfer.c moves connections between runtimes.
 */
#ifndef LIBOS_INET_STREAM_H
#define LIBOS_INET_STREAM_H

#include "inet/tcp/tcp.h"
#include "libos/inet/net.h"
#include "libos/socket/stream.h"

/* For the stack, `user` is its `stream`. */
struct net_stream {
    struct stream stream;
    struct net *net;
    struct tcp_conn *conn;         /* while CONNECTING or CONNECTED */
    struct tcp_listener *listener; /* while LISTENING */
    struct list arrived;           /* net->arrived */
    struct tcp_settings settings;
};

static inline struct net_stream *net_stream_of(const struct stream *s) {
    return list_entry(s, struct net_stream, stream);
}

/* Makes a NEW stream in the set. */
int net_stream_make(struct net *net, struct net_stream **out);

/* stream_transfer.c */
int net_stream_transfer(struct queue *q, uint32_t runtime);
int handover_new(struct net *net, struct queue **q_out);
void handover_lost(struct net *net);
/* Takes the connections transferred to this runtime, and sets *now to the current time. Returns their number. */
uint32_t migrations_take(struct net *net, uint64_t *now);
/* The runtime ends: accepts no more migrations, and resets connections that were not accepted. */
void migrations_end(struct net *net);

#endif
