/* The table of network devices. */
#include "netdev/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct netdev_ops *const table[] = {
    &netdev_sim,  &netdev_shm, &netdev_tap, &netdev_packet, &netdev_xdp, &netdev_pcap, &netdev_fault, &netdev_trace,
#ifdef DMTR_DPDK
    &netdev_dpdk,
#endif
};

/* What this build has not, and the package that it wants. */
static const struct {
    const char *name, *package;
} left_out[] = {
#ifndef DMTR_DPDK
    {"dpdk", "libdpdk-dev"},
#endif
    {NULL, NULL},
};

const struct netdev_ops *netdev_at(size_t i) {
    return i < sizeof table / sizeof *table ? table[i] : NULL;
}

const struct netdev_ops *netdev_find(const char *name) {
    const struct netdev_ops *ops;
    for (size_t i = 0; (ops = netdev_at(i)); i++)
        if (strcmp(ops->name, name) == 0) return ops;
    return NULL;
}

static int refuse_name(const char *name, const struct netdev_args *args) {
    char names[128] = "";
    const struct netdev_ops *ops;
    for (size_t i = 0; left_out[i].name; i++)
        if (strcmp(left_out[i].name, name) == 0)
            return netdev_refuse(args, -ENODEV, "%s was left out of this build: install %s and build anew", name,
                                 left_out[i].package);
    for (size_t i = 0, at = 0; (ops = netdev_at(i)) && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, " %s", ops->name);
    return netdev_refuse(args, -ENODEV, "no network device is called \"%.32s\"; this build has:%s", name, names);
}

int netdev_open(const char *name, const struct netdev_args *args, struct netdev **dev) {
    const struct netdev_ops *ops = netdev_find(name);
    *dev = NULL;
    if (!ops) return refuse_name(name, args);
    if (ops->wraps && !args->lower)
        return netdev_refuse(args, -EINVAL, "%s goes over another device, and none was given", name);
    if (!ops->wraps && args->lower) return netdev_refuse(args, -EINVAL, "%s goes over no other device", name);
    if (args->queues > 1 && args->queues > ops->queues_max)
        return netdev_refuse(args, -EINVAL, "%s has %u queue%s, and %u are wanted", name,
                             ops->queues_max ? ops->queues_max : 1, ops->queues_max > 1 ? "s" : "", args->queues);
    return ops->open(args, dev);
}

void netdev_close(struct netdev *dev) {
    if (dev) dev->ops->close(dev);
}
