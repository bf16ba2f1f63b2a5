/* SPDX-License-Identifier: MIT */
/*
 * Sockets over the library's own stack and one network device: pulls bursts of frames from the device, hands them to
 * the stack, turns the stack's events into completed operations, and gives the stack's frames to the device in bursts.
 *
 * net.c starts, polls and stops; setup.c reads the configuration; transmit.c is the queue before the device; publish.c
 * shows the counters;
 * datagram.c is UDP sockets, stream.h TCP sockets.
 */
#ifndef LIBOS_INET_NET_H
#define LIBOS_INET_NET_H

#include "core/completion.h"
#include "inet/udp/udp.h"
#include "libos/inet/counters.h"
#include "libos/inet/options.h"
#include "libos/link.h"
#include "netdev/netdev.h"

#include <stdatomic.h>

#define NET_RX_BURST     32u  /* frames taken from the device in one poll */
#define NET_TX_SLOTS     256u /* frames that wait for room at the device; a power of two */
#define PUBLISH_EVERY_NS 100000000u
#define OWN_EVERY_NS     1000000000u /* a card is asked for its own counters, which takes it long */

/* Frames on their way to the device, in order. Headers are heap blocks of ours; payload is held. */
struct transmit_queue {
    struct netdev_frame frames[NET_TX_SLOTS];
    struct netdev_seg segs[NET_TX_SLOTS][INET_FRAME_SEGMENTS];
    uint32_t first, count; /* first runs on; its slot is first % NET_TX_SLOTS */
};

struct net {
    struct dmtr_runtime *rt;
    const struct inet_options *options;
    uint64_t *counters; /* [NET_COUNTER_COUNT] */
    struct netdev *dev;
    struct device_group *group; /* NULL: the device is ours alone */
    uint32_t member;            /* our place in the group */
    struct mailbox *mailbox;    /* what the others of the group have for us */
    bool shares;                /* the device, with others of the group */
    bool link_up;               /* of a shared device, as last seen, like the next */
    uint32_t device_mtu;
    uint64_t device_next_ns; /* as netdev_next_ns */
    uint64_t noted;          /* whose mailboxes something was put into since the last group_flush */
    bool asleep;
    bool asked; /* the stack's input is a segment that the home of its flow had no use for: see steering.h */
    struct handover *handover;
    struct list arrived; /* struct stream: transferred to us, not yet accepted */
    uint32_t arrived_count;
    struct inet *stack;
    uint64_t no_memory; /* frames that the device lost for want of memory, as last told */
    struct poller poller;
    struct runtime_timer timer;
    uint32_t mtu;          /* of the IP packet */
    uint32_t mtu_followed; /* the device's, from which it comes */
    uint64_t next_ns;      /* when stack or device are next worth calling; what the timer is armed for */
    bool lingering;        /* counted in rt->lingering: frames before device or neighbour */
    bool answering;        /* counted in rt->answering: a connection that is closed has not ended on both sides */
    bool lost;             /* the device is gone for good */
    struct list sockets;   /* struct datagram */
    struct list streams;   /* struct stream */
    struct list bound;     /* those of them that have an address of their own choice */
    struct list blocked;   /* those whose pushes wait for room in tx */
    uint64_t *shown_stack, *shown_device, *shown_own; /* counters, where other processes see them; NULL: no room */
    uint32_t own_count;                               /* of the device's own */
    uint64_t publish_ns, publish_own_ns;              /* when that is due */
    struct link_watch watch;
    struct transmit_queue tx;
};

/* Opens the device and makes the stack, as configured. 0, or a negative errno with a log line. */
int net_setup(struct net *net);

/* After calls of the stack: tells its events, gives its frames to the device, and arms the timer. */
void net_settle(struct net *net, uint64_t now);

/* Makes room for the counters of stack and device among the runtime's; then shows what they are now. */
void publish_init(struct net *net);
void publish(struct net *net, uint64_t now);

/* The device failed for good: what waits for it ends with -ENETDOWN. Tells once. */
void net_lost(struct net *net, int error);

/*
 * The stack's transmit function; ctx is the struct net. -EAGAIN: the queue is full; -ENOMEM. What does not fit while
 * the link is down is lost, as on the wire, and counted.
 */
int transmit_frame(void *ctx, const struct inet_frame *frame);
/* Whether all fragments of a datagram with this payload fit: a part of them would be sent in vain. */
bool transmit_has_room(const struct net *net, uint64_t bytes);
/* Gives the device what it takes. */
void transmit_flush(struct net *net, uint64_t now);
/* Gives up what the device did not take. */
void transmit_fini(struct net *net);

static inline uint32_t net_device_mtu(const struct net *net) {
    return net->shares ? net->device_mtu : net->dev->mtu;
}

static inline bool net_link_up(const struct net *net) {
    return net->shares ? net->link_up : net->dev->link_up;
}

/* As netdev_claim. */
static inline int net_claim(const struct net *net, uint8_t protocol, uint16_t port, bool on) {
    return net->lost ? 0 : netdev_claim(net->dev, protocol, port, on);
}

/* Whether there is something to give to a device that might take it. */
static inline bool transmit_pending(const struct net *net) {
    return net->tx.count > 0 && net_link_up(net) && !net->lost;
}

int datagram_new(struct net *net, struct queue **q_out);
/* The stack has news of this socket, a struct datagram. */
void datagram_ready(void *socket);
/* The device is lost: ends what waits, on all sockets. */
void datagram_lost(struct net *net);
/* The device has room: goes on with pushes that waited. */
void datagram_unblock(struct net *net, uint64_t now);
/* Ends all sockets that are left, pushes that still wait included. */
void datagram_fini(struct net *net);

/* The same for TCP; `socket` is a struct stream. */
int stream_new(struct net *net, struct queue **q_out);
void stream_ready(void *socket, uint32_t events, uint64_t now);
void stream_lost(struct net *net, uint64_t now);
void stream_fini(struct net *net);

#endif
