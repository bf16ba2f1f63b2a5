/* SPDX-License-Identifier: MIT */
/* The state of a kernel interface: MAC address, MTU, whether it is up, whether it exists. */
#ifndef NETDEV_LINUX_IF_H
#define NETDEV_LINUX_IF_H

#include "netdev/netdev.h"

#include <net/if.h>

struct linux_if {
    int sock; /* for ioctls; stays in the network namespace in which it was created */
    int index;
    char name[IFNAMSIZ];
};

struct linux_if_state {
    uint8_t mac[NETDEV_MAC_BYTES];
    uint32_t mtu;
    bool up;
};

/* name is shorter than IFNAMSIZ. Returns 0, -ENODEV (no such interface) or another negative errno. */
int linux_if_open(struct linux_if *i, const char *name);
void linux_if_close(struct linux_if *i);

/* Returns 0, or -ENODEV if the interface was removed or another one has its name now. */
int linux_if_read(const struct linux_if *i, struct linux_if_state *state);

/* As linux_if_read; also sets dev's link state. */
int linux_if_refresh(const struct linux_if *i, struct netdev *dev, struct linux_if_state *state);

/* Whether the interface has this IPv4 address, in network order: 1, 0 or a negative errno. */
int linux_if_has_address(const struct linux_if *i, uint32_t ip4);

/* Receive queues in use; 1 if the driver does not report them. */
uint32_t linux_if_queues(const struct linux_if *i);

/* A number that identifies the interface's network namespace. */
uint64_t linux_if_network(const struct linux_if *i);

#endif
