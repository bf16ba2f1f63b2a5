/* SPDX-License-Identifier: MIT */
/* A host of the simulated network as a netdev. */
#include "netdev/device.h"
#include "netdev/options.h"
#include "netdev/sim/network.h"
#include "netdev/wrap/cut.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <string.h>

#define TSO_MAX (65535u + NETDEV_HEADER_BYTES)

struct sim_device {
    struct netdev dev;
    struct sim *sim;
    struct sim_node *host;
};

struct sim_options {
    char host[SIM_NAME_MAX];
    bool csum;
    uint64_t tso;
};

static const struct netdev_option options_table[] = {
    {"host", NETDEV_OPTION_TEXT, offsetof(struct sim_options, host), 0, SIM_NAME_MAX, "NAME", NULL, NULL,
     "Host of the simulated network whose interface this device is"},
    {"csum", NETDEV_OPTION_FLAG, offsetof(struct sim_options, csum), 0, 0, "", "no", NULL, "Offer checksum offload"},
    {"tso", NETDEV_OPTION_NUMBER, offsetof(struct sim_options, tso), 0, TSO_MAX, "bytes", "0", NULL,
     "Longest TCP frame that the device segments, which needs csum=yes; 0 offers no segmentation"},
};

static int device_update(struct netdev *dev, uint64_t now_ns) {
    struct sim_device *d = (struct sim_device *)dev;
    (void)now_ns;
    dev->mtu = d->host->mtu;
    netdev_set_link(dev, d->host->ports > 0 && !d->host->unplugged);
    return 0;
}

static int device_open(const struct netdev_args *args, struct netdev **dev) {
    struct sim_options o = {0};
    struct sim_device *d;
    struct sim_node *host;
    int r = netdev_options(args, options_table, sizeof options_table / sizeof *options_table, &o);
    if (r < 0) return r;
    if (!args->sim) return netdev_refuse(args, -EINVAL, "sim: no network was given");
    host = sim_find_host(args->sim, o.host);
    if (!host) return netdev_refuse(args, -ENODEV, "sim: there is no host \"%s\"", o.host);
    if (o.tso && !o.csum) return netdev_refuse(args, -EINVAL, "sim: tso requires csum=yes");
    if (host->dev) return netdev_refuse(args, -EBUSY, "sim: host \"%s\" is already open", o.host);
    d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    netdev_init(&d->dev, &netdev_sim);
    d->dev.wire = true;
    d->sim = args->sim;
    d->host = host;
    memcpy(d->dev.mac, host->mac, sizeof d->dev.mac);
    d->dev.offloads = (uint16_t)((o.csum ? NETDEV_CSUM : 0) | (o.tso ? NETDEV_TSO4 : 0));
    d->dev.tso_bytes = (uint32_t)o.tso;
    d->dev.virtual_time = true;
    device_update(&d->dev, 0);
    host->dev = &d->dev;
    *dev = &d->dev;
    return 0;
}

static void device_close(struct netdev *dev) {
    struct sim_device *d = (struct sim_device *)dev;
    for (; d->host->queued; d->host->queued--) {
        heap_free(d->host->queue[d->host->head].data);
        d->host->head = (d->host->head + 1) % d->sim->config.host_queue_max;
    }
    d->host->dev = NULL;
    sys_free(d);
}

static int device_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    struct sim_device *d = (struct sim_device *)dev;
    uint32_t received = 0;
    sim_advance(d->sim, now_ns);
    device_update(dev, now_ns);
    for (; received < n && d->host->queued; d->host->queued--) {
        frames[received] = d->host->queue[d->host->head];
        d->host->head = (d->host->head + 1) % d->sim->config.host_queue_max;
        netdev_count_rx(dev, frames[received++].bytes);
    }
    return received || dev->link_up ? (int)received : -ENETDOWN;
}

static void send(struct sim_device *d, struct netdev_buffer frame) {
    sim_send(d->sim, (uint32_t)(d->host - d->sim->nodes), 0, 0, frame);
}

/* Sends the segments of a TSO frame. Segments without memory are lost. */
static void send_segments(struct sim_device *d, const struct netdev_frame *f, const void *whole) {
    for (uint32_t i = 0; i < netdev_cut_count(f); i++) {
        struct netdev_buffer piece = {.bytes = netdev_cut_bytes(f, i)};
        if (!(piece.data = heap_alloc(piece.bytes))) return;
        netdev_cut(f, whole, i, piece.data);
        send(d, piece);
    }
}

static int device_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    struct sim_device *d = (struct sim_device *)dev;
    sim_advance(d->sim, now_ns);
    device_update(dev, now_ns);
    if (!dev->link_up) return -ENETDOWN;
    for (uint32_t i = 0; i < n; i++) {
        struct netdev_buffer copy = {.bytes = frames[i].bytes};
        if (!netdev_frame_fits(dev, &frames[i])) continue;
        copy.data = heap_alloc(copy.bytes);
        if (!copy.data) return (int)i;
        netdev_gather(&frames[i], copy.data);
        netdev_count_tx(dev, copy.bytes);
        if (frames[i].offloads & NETDEV_TSO4) {
            send_segments(d, &frames[i], copy.data);
            heap_free(copy.data);
            continue;
        }
        if (frames[i].offloads & NETDEV_CSUM) netdev_finish_csum(&frames[i], copy.data);
        send(d, copy);
    }
    return (int)n;
}

/* A frame queued at this host is due now; otherwise the network's next event counts. */
static uint64_t device_next_ns(const struct netdev *dev) {
    const struct sim_device *d = (const struct sim_device *)dev;
    return d->host->queued ? d->sim->now_ns : sim_next_ns(d->sim);
}

const struct netdev_ops netdev_sim = {
    .name = "sim",
    .text = "A host of a simulated network, for tests",
    .options = options_table,
    .options_count = sizeof options_table / sizeof *options_table,
    .open = device_open,
    .close = device_close,
    .rx = device_rx,
    .tx = device_tx,
    .update = device_update,
    .next_ns = device_next_ns,
};
