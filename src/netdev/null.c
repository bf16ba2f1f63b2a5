/* SPDX-License-Identifier: MIT */
/*
 * A device without a wire: it receives nothing and discards all frames. The stack over it still delivers packets to its
 * own addresses and to 127.0.0.0/8.
 */
#include "netdev/device.h"
#include "netdev/options.h"

#include "base/sys.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define QUEUES_MAX 64u

struct null_options {
    uint64_t mtu;
    uint8_t mac[NETDEV_MAC_BYTES];
};

static const struct netdev_option options_table[] = {
    {"mtu", NETDEV_OPTION_NUMBER, offsetof(struct null_options, mtu), NETDEV_MTU_MIN, NETDEV_MTU_MAX, "bytes", "9216",
     NULL, "MTU of the device"},
    {"mac", NETDEV_OPTION_MAC, offsetof(struct null_options, mac), 0, 0, "", NULL, "random", "Own MAC address"},
};

static int device_open(const struct netdev_args *args, struct netdev **dev) {
    struct null_options o = {0};
    int r = netdev_random_mac(o.mac);
    if (r == 0) r = netdev_options(args, options_table, sizeof options_table / sizeof *options_table, &o);
    if (r < 0) return r;
    struct netdev *d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    netdev_init(d, &netdev_null);
    d->fd = SYS(eventfd, 0, EFD_CLOEXEC | EFD_NONBLOCK); /* never readable */
    if (d->fd < 0) {
        r = d->fd;
        sys_free(d);
        return netdev_refuse(args, r, "null: cannot make a descriptor to sleep on: %s", strerror(-r));
    }
    memcpy(d->mac, o.mac, sizeof o.mac);
    d->mtu = (uint32_t)o.mtu;
    d->offloads = NETDEV_CSUM;
    d->wire = true; /* no other host can have our addresses, so the stack need not probe for them */
    d->link_up = true;
    *dev = d;
    return 0;
}

static void device_close(struct netdev *dev) {
    close(dev->fd);
    sys_free(dev);
}

static int device_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    (void)dev;
    (void)frames;
    (void)n;
    (void)now_ns;
    return 0;
}

static int device_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    (void)now_ns;
    for (uint32_t i = 0; i < n; i++)
        if (netdev_frame_fits(dev, &frames[i])) netdev_count_tx(dev, frames[i].bytes);
    return (int)n;
}

static int device_prepare(struct netdev *dev) {
    (void)dev;
    return 0;
}

const struct netdev_ops netdev_null = {
    .name = "null",
    .text = "No wire: the stack reaches only its own addresses and 127.0.0.0/8",
    .options = options_table,
    .options_count = sizeof options_table / sizeof *options_table,
    .queues_max = QUEUES_MAX,
    .open = device_open,
    .close = device_close,
    .rx = device_rx,
    .tx = device_tx,
    .prepare = device_prepare,
};
