/* SPDX-License-Identifier: MIT */
/*
 * Sockets over lwIP and one network device. lwIP calls back in the middle of its work; what it tells is noted there,
 * the socket is put on a list, and acted upon when lwIP has returned.
 *
 * net.c starts, polls and stops, host.h is lwIP itself; stream.h is TCP sockets, datagram.c UDP sockets.
 */
#ifndef LIBOS_LWIP_NET_H
#define LIBOS_LWIP_NET_H

#include "core/completion.h"
#include "inet/addr.h"
#include "libos/link.h"
#include "libos/lwip/options.h"
#include "netdev/netdev.h"

struct lw_net {
    struct dmtr_runtime *rt;
    const struct lwip_options *options;
    struct netdev *dev;
    struct poller poller;
    struct runtime_timer timer;
    struct inet_addr address;
    bool lost;             /* the device is gone for good */
    struct list streams;   /* struct lw_stream */
    struct list news;      /* those of them that lwIP has told something of */
    struct list finishing; /* those whose FIN is not acknowledged */
    bool answering;        /* counted in rt->answering: a connection that is closed has not ended on both sides */
    struct list datagrams; /* struct lw_datagram */
    struct link_watch watch;
    uint64_t watch_ns; /* when that is due */
};

/* After calls of lwIP: acts upon what it has told. */
void lw_net_settle(struct lw_net *net);

/* Whether a socket may be bound there: -EADDRNOTAVAIL where the address is not ours. */
int lw_net_local(const struct lw_net *net, const struct inet_endpoint *local);

/* lwIP's error as an errno. */
int lw_error(int err);

int lw_stream_new(struct lw_net *net, struct queue **q_out);
/* The first stream with news, which are acted upon. False: there is none. */
bool lw_stream_settle(struct lw_net *net);
/* Notes streams whose FIN was acknowledged, of which lwIP does not tell. */
void lw_stream_look_for_ends(struct lw_net *net);
/* The device may have room again. */
void lw_stream_retry(struct lw_net *net);
/* The device is lost: ends what waits. */
void lw_stream_lost(struct lw_net *net);
/* Ends all that are left. */
void lw_stream_fini(struct lw_net *net);

int lw_datagram_new(struct lw_net *net, struct queue **q_out);
void lw_datagram_retry(struct lw_net *net);
void lw_datagram_lost(struct lw_net *net);
void lw_datagram_fini(struct lw_net *net);

#endif
