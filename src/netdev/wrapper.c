/* What wrappers share. */
#include "netdev/wrapper.h"

#include <string.h>

void wrapper_mirror(struct netdev_wrapper *w) {
    const struct netdev *lower = w->lower;
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
    wrapper_mirror(w);
}

int wrapper_prepare(struct netdev *dev) {
    struct netdev_wrapper *w = (struct netdev_wrapper *)dev;
    int r = netdev_prepare(w->lower);
    wrapper_mirror(w);
    return r;
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
    int taken = netdev_rx(w->lower, frames, n, now_ns);
    wrapper_mirror(w);
    for (int i = 0; i < taken; i++)
        netdev_count_rx(&w->dev, frames[i].bytes);
    return taken;
}

int wrapper_tx(struct netdev_wrapper *w, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    int taken = netdev_tx(w->lower, frames, n, now_ns);
    wrapper_mirror(w);
    for (int i = 0; i < taken; i++)
        netdev_count_tx(&w->dev, frames[i].bytes);
    return taken;
}
