/* SPDX-License-Identifier: MIT */
/* Code that wrappers share: a wrapper mirrors the state of the device below it. */
#ifndef NETDEV_WRAP_WRAPPER_H
#define NETDEV_WRAP_WRAPPER_H

#include "netdev/device.h"

/* Every wrapper's structure starts with this. */
struct netdev_wrapper {
    struct netdev dev;
    struct netdev *lower;
    struct netdev_stats lower_stats; /* the part of lower's counters that is already added to dev's */
};

void wrapper_init(struct netdev_wrapper *w, const struct netdev_ops *ops, struct netdev *lower);

/* Copies the lower device's state (MTU, link, offloads, counters ...). Call it after each call of the lower device. */
void wrapper_mirror(struct netdev_wrapper *w);

int wrapper_prepare(struct netdev *dev);
int wrapper_claim(struct netdev *dev, uint8_t protocol, uint16_t port, bool on);
uint32_t wrapper_own(struct netdev *dev, char (*names)[NETDEV_OWN_BYTES], uint64_t *values, uint32_t n);
int wrapper_update(struct netdev *dev, uint64_t now_ns);
uint64_t wrapper_next_ns(const struct netdev *dev);

/* rx and tx of the lower device, with counting and mirroring. */
int wrapper_rx(struct netdev_wrapper *w, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns);
int wrapper_tx(struct netdev_wrapper *w, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns);

#endif
