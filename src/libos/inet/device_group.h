/* SPDX-License-Identifier: MIT */
/*
 * The runtimes of this process on one device (inet.queues > 1) are the members of its group. Each has a stack with the
 * same addresses and a part of the flows. A member puts a frame of another member into that member's mailbox
 * (mailbox.h); steering.h selects the member. All members receive ARP packets and ICMP errors.
 *
 * If a device has enough queues, each runtime opens one; otherwise they share the device, and a runtime polls it if no
 * other runtime is using it.
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
    struct net *net; /* NULL: not joined. groups_mutex protects this and the next field */
    bool made;       /* the mailbox is initialised */
    int poll_fd;
    struct mailbox mailbox;
};

struct device_group {
    struct list link;
    size_t bytes; /* of the mapping with this structure and its members */
    char device[CONFIG_STRING_MAX], options[CONFIG_STRING_MAX], wrappers[CONFIG_STRING_MAX];
    uint32_t queues, joined;
    bool opened; /* a member has opened the device and set the next two fields */
    uint8_t mac[INET_MAC_BYTES];
    uint8_t seed[INET_SEED_BYTES]; /* of the first member; the others share its second half */
    struct netdev *shared;
    _Atomic bool busy;         /* a runtime uses the shared device */
    _Atomic uint32_t sleepers; /* runtimes that sleep on the shared device */
    _Atomic uint64_t cookies_until_ns;
    struct steering steering;
    struct member members[];
};

/*
 * Makes net a member of the group of its device and opens the device, as link_open; *c gets the settings that the
 * stacks of a group share. 0, or a negative errno with a log line. -ENOSPC: there are inet.queues members already.
 */
int group_join(struct net *net, const struct link_options *o, struct inet_config *c,
               struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX]);
/* Leaves the group, and closes the device unless others share it. Call after the stack has ended. */
void group_leave(struct net *net);

/* The descriptor to sleep on: readable for frames of the device and for mail; -1: the device has no descriptor. */
int group_fd(const struct net *net);
/* As netdev_prepare. */
int group_prepare(struct net *net);
/* Ends the state that group_prepare began; call before the device is polled again. */
void group_awake(struct net *net);
/* As netdev_rx and netdev_tx, for a shared device. group_rx returns 0 while another runtime uses the device. */
int group_rx(struct net *net, struct netdev_buffer *frames, uint32_t n, uint64_t now);
int group_tx(struct net *net, const struct netdev_frame *frames, uint32_t n, uint64_t now);
/* As netdev_ops.put and kick. A kick passes on what any runtime has put. */
int group_put(struct net *net, const struct netdev_frame *frame);
int group_kick(struct net *net, uint64_t now);

/* The device's statistics and the state of its link at the same moment. */
void group_stats(struct net *net, struct netdev_stats *out, bool *up);
/* As netdev_own. */
uint32_t group_own(struct net *net, char (*names)[NETDEV_OWN_BYTES], uint64_t *values, uint32_t n);

/* The mailbox of that runtime, and its number as a member; NULL: it is not a member. */
struct mailbox *group_mailbox(const struct net *net, uint32_t runtime, uint32_t *member);

/* ---- forward.c ---- */

/*
 * True: the frame belonged to another member and was put into its mailbox, or dropped because that was full. If it
 * attaches a connection, it advances *now, because the other thread may have recorded later times in the connection.
 */
bool group_forward(struct net *net, const struct netdev_buffer *frame, uint64_t *now);
/* Records that the member's mailbox (it may be this one's) has new mail, for group_flush. */
void group_note(struct net *net, uint32_t member);
void group_flush(struct net *net);
/* Takes migrations and frames from this member's mailbox. Returns their number. */
uint32_t group_take(struct net *net, uint64_t *now);

/* Hooks of the stack: see struct inet_config. */
void group_port_used(struct net *net, uint8_t protocol, uint16_t port, bool on);
int group_endpoint_used(struct net *net, uint8_t protocol, const struct inet_endpoint *local, bool on);
int group_flow_used(struct net *net, uint8_t protocol, const struct inet_flow *flow, enum inet_flow_event event);
bool group_flow_ours(const struct net *net, const struct inet_flow *flow);
bool group_steer(struct net *net, void *frame, uint32_t len, uint32_t flags);
bool group_unmatched(struct net *net, void *frame, uint32_t len, uint32_t flags);

struct flow_key group_key(uint8_t protocol, const struct inet_flow *flow);

#endif
