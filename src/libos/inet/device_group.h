/* SPDX-License-Identifier: MIT */
/*
 * The runtimes of this process on one device (inet.queues > 1). Each has a stack with the same addresses and a part of
 * the flows. A frame of another one's goes to it through its mailbox (mailbox.h); which one that is, steering.h says.
 * ARP, and ICMP errors, are told to all.
 *
 * Devices with queues enough are opened once by each runtime; others are shared, and polled by whoever finds them free.
 *
 * device_group.c joins, leaves and shares the device; forward.c moves frames between members.
 */
#ifndef LIBOS_INET_DEVICE_GROUP_H
#define LIBOS_INET_DEVICE_GROUP_H

#include "core/config.h"
#include "libos/inet/mailbox.h"
#include "libos/inet/steering.h"
#include "libos/link.h"

#define GROUP_MEMBERS_MAX 64u

struct net;

struct member {
    struct net *net; /* NULL: not joined; changes under the mutex of all groups alone, as the next one */
    bool made;       /* the mailbox */
    int poll_fd;
    struct netdev *dev;
    struct mailbox mailbox;
};

struct device_group {
    struct list link;
    size_t bytes; /* of all this */
    char device[CONFIG_STRING_MAX], options[CONFIG_STRING_MAX], wrappers[CONFIG_STRING_MAX];
    uint32_t queues, joined;
    bool opened; /* once: then there are the next two, of the first member */
    uint8_t mac[INET_MAC_BYTES];
    uint8_t seed[INET_SEED_BYTES]; /* the others have its second half */
    struct netdev *shared;
    _Atomic bool busy;         /* somebody is at the shared device */
    _Atomic uint32_t sleepers; /* on the shared device */
    _Atomic uint64_t cookies_until_ns;
    struct steering steering;
    struct member members[];
};

/*
 * Makes net a member of the group of its device and opens the device, as link_open; *c gets what the stacks of a group
 * have in common. 0, or a negative errno with a log line: -ENOSPC: there are inet.queues members already.
 */
int group_join(struct net *net, const struct link_options *o, struct inet_config *c,
               struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX]);
/* Leaves, and closes the device. The stack is gone by then, and group_close was called. */
void group_leave(struct net *net);

/* The descriptor to sleep on, and what makes it tell of frames from others; the device's own is among it. */
int group_fd(const struct net *net);
/* As netdev_prepare. */
int group_prepare(struct net *net);
/* Not asleep any more: before what follows group_prepare. */
void group_awake(struct net *net);
/* As netdev_rx and netdev_tx, for a shared device: busy with another runtime it has nothing to receive. */
int group_rx(struct net *net, struct netdev_buffer *frames, uint32_t n, uint64_t now);
int group_tx(struct net *net, const struct netdev_frame *frames, uint32_t n, uint64_t now);

/* The device's own counters, and whether its link is up at that moment. */
void group_stats(struct net *net, struct netdev_stats *out, bool *up);
/* As netdev_own. */
uint32_t group_own(struct net *net, char (*names)[NETDEV_OWN_BYTES], uint64_t *values, uint32_t n);

/* Our place. */
struct member *group_self(const struct net *net);
/* The mailbox of that runtime, and its place; NULL: it has none. */
struct mailbox *group_mailbox(const struct net *net, uint32_t runtime, uint32_t *member);

/* ---- forward.c ---- */

/*
 * Whether the frame is another's, and was put into its mailbox (or lost, where that is full). *now becomes later where
 * a connection is attached: its times are of another thread, and may be later than when this one began to poll.
 */
bool group_forward(struct net *net, const struct netdev_buffer *frame, uint64_t *now);
/* Something was put into that member's mailbox, or is in ours: it is told by group_flush. */
void group_note(struct net *net, uint32_t member);
void group_flush(struct net *net);
/* Takes in what others have for us: migrations, and frames. How much it was. */
uint32_t group_take(struct net *net, uint64_t *now);

/* The stack's own hooks: see struct inet_config. */
void group_port_used(struct net *net, uint8_t protocol, uint16_t port, bool on);
int group_endpoint_used(struct net *net, uint8_t protocol, const struct inet_endpoint *local, bool on);
int group_flow_used(struct net *net, uint8_t protocol, const struct inet_flow *flow, enum inet_flow_event event);
bool group_flow_ours(const struct net *net, const struct inet_flow *flow);
bool group_steer(struct net *net, void *frame, uint32_t len, uint32_t flags);
bool group_unmatched(struct net *net, void *frame, uint32_t len, uint32_t flags);

struct flow_key group_key(uint8_t protocol, const struct inet_flow *flow);

#endif
