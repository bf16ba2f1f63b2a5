/* SPDX-License-Identifier: MIT */
/*
 * Sockets over lwIP and one network device. lwIP calls back during its own processing. The callbacks record the event
 * and put the socket on a list; the socket processes the event after lwIP has returned.
 *
 * net.c starts, polls and stops; host.h drives lwIP itself; datagram.c and stream.h are UDP and TCP sockets over lwIP,
 * as src/libos/socket has them.
 */
#ifndef LIBOS_LWIP_NET_H
#define LIBOS_LWIP_NET_H

#include "core/completion.h"
#include "inet/addr.h"
#include "libos/link.h"
#include "libos/lwip/counters.h"
#include "libos/lwip/options.h"
#include "libos/socket/socket_set.h"
#include "netdev/netdev.h"

struct lw_net {
    struct dmtr_runtime *rt;
    const struct lwip_options *options;
    uint64_t *counters; /* [LW_COUNTER_COUNT] */
    struct netdev *dev;
    struct poller poller;
    struct runtime_timer timer;
    struct socket_set sockets; /* lw_datagram and lw_stream; `lost` is here */
    struct list pending;       /* streams with unprocessed events */
    struct list finishing;     /* streams whose FIN is not acknowledged */
    bool answering;            /* counted in rt->answering: a closed connection has not ended on both sides */
    struct link_watch watch;
    uint64_t watch_ns; /* when `watch` must be called next */
};

/* Whether a socket may bind to this address: 0, or -EADDRNOTAVAIL if it is not ours. */
int lw_net_local(const struct lw_net *net, const struct inet_endpoint *local);

/* Converts lwIP's error to an errno. */
int lw_error(int err);

int lw_stream_new(struct lw_net *net, struct queue **q_out);
/* Processes the events of the first stream that has some. Returns false if there is none. */
bool lw_stream_process_event(struct lw_net *net, uint64_t now);
/* Records the event for streams whose FIN was acknowledged, because lwIP does not report that. */
void lw_stream_find_ended(struct lw_net *net);
/* Sends again after the device had no room. */
void lw_stream_retry(struct lw_net *net);

int lw_datagram_new(struct lw_net *net, struct queue **q_out);

#endif
