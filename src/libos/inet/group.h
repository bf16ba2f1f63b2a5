/* SPDX-License-Identifier: MIT */
/*
 * The runtimes of this process on one device (inet.queues > 1). Each has a stack with the same addresses and a part of
 * the flows; a frame that belongs to another one's goes to it through a ring. Which one that is:
 *
 * - a port that only some have open is theirs; among those, and where nobody has it, the symmetric Toeplitz hash of the
 *   flow decides, as a device that spreads flows over its queues does, so that few frames need the ring then;
 * - ARP, and ICMP errors, are told to all;
 * - whoever finds no socket for a frame gives it to the next one, so that a connection is found wherever it is; the
 *   last one refuses it.
 *
 * Devices with queues enough are opened once by each runtime; others are shared, and polled by whoever finds them free.
 *
 * A group and its rings are the only state that runtimes share on the way of a frame, and of those a frame that arrives
 * at the right one touches only what is rarely written: the ports that are open.
 */
#ifndef LIBOS_INET_GROUP_H
#define LIBOS_INET_GROUP_H

#include "libos/link.h"

#define GROUP_MEMBERS_MAX 64u

struct net;
struct parcel;
struct group;

/*
 * Makes net a member of the group of its device and opens the device, as link_open. 0, or a negative errno with a log
 * line: -ENOSPC: there are inet.queues members already.
 */
int group_join(struct net *net, const struct link_options *o, struct inet_config *c,
               struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX]);
/* Leaves, and closes the device. What others had for it is lost, as on the wire. */
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

/* Whether the frame is another's, and was given to it (or lost, where its ring is full). */
bool group_forward(struct net *net, const struct netdev_buffer *frame);
/* Wakes those that were given something. */
void group_flush(struct net *net);
/* Takes in what others have for us: frames, and connections. How much it was. */
uint32_t group_take(struct net *net, uint64_t now);

/* The stack's own hooks: see struct inet_config. */
void group_port_used(struct net *net, uint8_t protocol, uint16_t port, bool on);
bool group_stray(struct net *net, void *frame, uint32_t len, uint32_t flags);
bool group_flow_ours(const struct net *net, const struct inet_flow *flow);

/* Gives a connection to the member that is runtime `id`. -EXDEV: none is; -EAGAIN: its ring is full. */
int group_give_stream(struct net *net, struct parcel *p, uint32_t id);

#endif
