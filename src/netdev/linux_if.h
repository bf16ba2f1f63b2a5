/* SPDX-License-Identifier: MIT */
/* What the kernel says of one of its interfaces: address, MTU, whether it is up, whether it is there at all. */
#ifndef NETDEV_LINUX_IF_H
#define NETDEV_LINUX_IF_H

#include "netdev/netdev.h"

#include <net/if.h>

struct linux_if {
    int sock; /* to ask through; it stays in the network namespace it was made in */
    int index;
    char name[IFNAMSIZ];
};

struct linux_if_state {
    uint8_t mac[NETDEV_MAC_BYTES];
    uint32_t mtu;
    bool up;
};

/* name: shorter than IFNAMSIZ. 0; -ENODEV: there is none of that name. */
int linux_if_open(struct linux_if *i, const char *name);
void linux_if_close(struct linux_if *i);

/* 0; -ENODEV: it was removed, or another has its name now. */
int linux_if_read(const struct linux_if *i, struct linux_if_state *state);

/* The same, and dev's link follows it. */
int linux_if_look(const struct linux_if *i, struct netdev *dev, struct linux_if_state *state);

/* Whether the kernel has this IPv4 address, in network order, on it: 1, 0 or a negative errno. */
int linux_if_carries(const struct linux_if *i, uint32_t ip4);

/* Receive queues in use; 1 where the driver does not say. */
uint32_t linux_if_queues(const struct linux_if *i);

/* A number for the network namespace that it is in. */
uint64_t linux_if_network(const struct linux_if *i);

#endif
