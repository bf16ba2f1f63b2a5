/* SPDX-License-Identifier: MIT */
/*
 * Sockets over the library's own stack and one network device: receives bursts of frames from the device, passes them
 * to the stack, completes operations by the stack's events, and transmits the stack's frames in bursts.
 *
 * libos.c starts, polls and stops; setup.c reads the configuration; transmit.c implements the transmit queue; publish.c
 * publishes the counters; datagram.c and stream.h are UDP and TCP sockets over the stack, as src/libos/socket has them.
 */
#ifndef LIBOS_INET_NET_H
#define LIBOS_INET_NET_H

#include "core/completion.h"
#include "inet/socket.h"
#include "libos/inet/counters.h"
#include "libos/inet/options.h"
#include "libos/link.h"
#include "libos/socket/socket_set.h"
#include "netdev/netdev.h"

#include <stdatomic.h>

#define NET_RX_BURST     32u  /* frames received from the device in one poll */
#define NET_TX_SLOTS     256u /* frames that wait for room at the device; a power of two */
#define PUBLISH_EVERY_NS 100000000u
#define OWN_EVERY_NS     1000000000u /* interval of reading a card's own counters, which is slow */

/*
 * Frames that wait for the device, in order. While there are any, later frames are queued behind them and not put into
 * the device. The queue owns their headers (heap blocks) and holds their payload.
 */
struct transmit_queue {
    struct netdev_frame frames[NET_TX_SLOTS];
    struct netdev_seg segs[NET_TX_SLOTS][INET_FRAME_SEGMENTS];
    uint32_t first, count; /* first only increases; its slot is first % NET_TX_SLOTS */
};

struct net {
    struct dmtr_runtime *rt;
    const struct inet_options *options;
    uint64_t *counters; /* [NET_COUNTER_COUNT] */
    struct netdev *dev;
    struct device_group *group; /* NULL: no other runtime uses the device */
    uint32_t member;            /* this runtime's number in the group */
    struct mailbox *mailbox;    /* this member's mailbox */
    bool shares;                /* the members share one queue of the device */
    bool link_up;               /* this and the next two: of a shared device, when last used */
    uint32_t device_mtu;
    uint64_t device_next_ns; /* as netdev_next_ns */
    uint64_t noted;          /* the members that have new mail since the last group_flush */
    bool asleep;
    bool asked; /* the stack's input is a segment that its home did not match: see steering.h */
    struct handover *handover;
    struct list arrived; /* struct net_stream: transferred to this runtime, not yet accepted */
    uint32_t arrived_count;
    struct inet *stack;
    uint64_t no_memory; /* frames that the device dropped for lack of memory, when last logged */
    struct poller poller;
    struct runtime_timer timer;
    struct sender sender;
    uint32_t unsent;           /* frames that the turn has counted since the last flush */
    uint32_t put;              /* frames put into the device since its last kick */
    uint32_t mtu;              /* of the IP packet */
    uint32_t mtu_followed;     /* the device's MTU from which mtu was derived */
    uint64_t next_ns;          /* when stack or device next need a call */
    uint64_t armed_ns;         /* for when the timer is armed; UINT64_MAX: it is not */
    bool lingering;            /* counted in rt->lingering: frames wait for the device or a neighbour */
    bool answering;            /* counted in rt->answering: a closed connection has not ended on both sides */
    struct socket_set sockets; /* net_datagram and net_stream; `lost` is here */
    uint64_t *shown_stack, *shown_device, *shown_own; /* counters in the shared page; NULL: no room */
    uint32_t own_count;                               /* number of the device's own counters */
    uint64_t publish_ns, publish_own_ns;              /* when the next update is due */
    struct link_watch watch;
    struct transmit_queue tx;
};

/* Opens the device and makes the stack, as configured. 0, or a negative errno with a log line. */
int net_setup(struct net *net);

/* After calls of the stack: handles its events and transmits its frames. */
void net_settle(struct net *net, uint64_t now);

/* How API calls take effect: connects the sockets and the runtime's turns with net_settle. */
void net_turns_init(struct net *net);

/* publish_init adds the counters of stack and device to the runtime's page; publish updates them. */
void publish_init(struct net *net);
void publish(struct net *net, uint64_t now);

/* The device has failed permanently: logs it once, and fails outstanding operations with -ENETDOWN. */
void net_lost(struct net *net, int error);

/*
 * The stack's transmit function; ctx is the struct net. -EAGAIN: the queue is full; -ENOMEM. While the link is down, it
 * drops and counts frames that do not fit.
 */
int transmit_frame(void *ctx, const struct inet_frame *frame);
/* Whether the queue has room for all fragments of a datagram with this payload: some of them would be useless. */
bool transmit_has_room(const struct net *net, uint64_t bytes);
/* Transmits frames until the device accepts no more. */
void transmit_flush(struct net *net, uint64_t now);
/* Continues the datagram pushes that wait for room, and transmits their frames. */
void transmit_blocked(struct net *net, uint64_t now);
/* Frees the frames that the device has not accepted. */
void transmit_fini(struct net *net);

static inline uint32_t net_device_mtu(const struct net *net) {
    return net->shares ? net->device_mtu : net->dev->mtu;
}

static inline bool net_link_up(const struct net *net) {
    return net->shares ? net->link_up : net->dev->link_up;
}

/* As netdev_claim. */
static inline int net_claim(const struct net *net, uint8_t protocol, uint16_t port, bool on) {
    return net->sockets.lost ? 0 : netdev_claim(net->dev, protocol, port, on);
}

/* Whether frames wait and the device may accept them. */
static inline bool transmit_pending(const struct net *net) {
    return net->tx.count > 0 && net_link_up(net) && !net->sockets.lost;
}

int net_datagram_new(struct net *net, struct queue **q_out);
int net_stream_new(struct net *net, struct queue **q_out);
/* The stack has events for this TCP socket, the `user` of its connection or listener. */
void net_stream_ready(void *socket, uint32_t events, uint64_t now);

#endif
