/* SPDX-License-Identifier: MIT */
/* Code that wrappers share. */
#include "netdev/wrap/wrapper.h"

#include <string.h>

/*
 * Adds the lower device's counters, except frames, bytes, short transmits and link changes, which the wrapper counts
 * itself.
 */
static void mirror_stats(struct netdev_wrapper *w) {
    const struct netdev_stats *now = &w->lower->stats, *before = &w->lower_stats;
    struct netdev_stats *to = &w->dev.stats;
#define ADD(name) to->name += now->name - before->name;
    ADD(rx_no_memory)
    ADD(rx_too_long)
    ADD(rx_malformed)
    ADD(rx_other_vlan)
    ADD(rx_held)
    ADD(rx_overrun)
    ADD(tx_refused)
    ADD(tx_errors)
    ADD(rx_copied)
    ADD(tx_copied)
    ADD(wakes)
    ADD(capture_lost)
#undef ADD
    w->lower_stats = *now;
}

void wrapper_mirror(struct netdev_wrapper *w) {
    const struct netdev *lower = w->lower;
    mirror_stats(w);
    w->dev.virtual_time = lower->virtual_time;
    w->dev.mtu = lower->mtu;
    w->dev.offloads = lower->offloads;
    w->dev.fd = lower->fd;
    w->dev.tso_bytes = lower->tso_bytes;
    memcpy(w->dev.mac, lower->mac, sizeof w->dev.mac);
    netdev_set_link(&w->dev, lower->link_up);
}

void wrapper_init(struct netdev_wrapper *w, const struct netdev_ops *ops, struct netdev *lower) {
    netdev_init(&w->dev, ops);
    w->lower = lower;
    w->dev.interface = lower->interface;
    w->dev.engine = lower->engine;
    w->dev.wire = lower->wire;
    wrapper_mirror(w);
}

int wrapper_prepare(struct netdev *dev) {
    struct netdev_wrapper *w = (struct netdev_wrapper *)dev;
    int r = netdev_prepare(w->lower);
    wrapper_mirror(w);
    return r;
}

int wrapper_claim(struct netdev *dev, uint8_t protocol, uint16_t port, bool on) {
    return netdev_claim(((struct netdev_wrapper *)dev)->lower, protocol, port, on);
}

uint32_t wrapper_own(struct netdev *dev, char (*names)[NETDEV_OWN_BYTES], uint64_t *values, uint32_t n) {
    return netdev_own(((struct netdev_wrapper *)dev)->lower, names, values, n);
}

int wrapper_update(struct netdev *dev, uint64_t now_ns) {
    struct netdev_wrapper *w = (struct netdev_wrapper *)dev;
    int r = netdev_update(w->lower, now_ns);
    wrapper_mirror(w);
    return r;
}

uint64_t wrapper_next_ns(const struct netdev *dev) {
    return netdev_next_ns(((const struct netdev_wrapper *)dev)->lower);
}

int wrapper_rx(struct netdev_wrapper *w, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    int count = netdev_rx(w->lower, frames, n, now_ns);
    wrapper_mirror(w);
    for (int i = 0; i < count; i++)
        netdev_count_rx(&w->dev, frames[i].bytes);
    return count;
}

int wrapper_tx(struct netdev_wrapper *w, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    int count = netdev_tx(w->lower, frames, n, now_ns);
    wrapper_mirror(w);
    for (int i = 0; i < count; i++)
        netdev_count_tx(&w->dev, frames[i].bytes);
    return count;
}
