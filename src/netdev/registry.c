/* SPDX-License-Identifier: MIT */
/* The table of network devices: those inside the library, and those in plug-ins. */
#include "netdev/address_lock.h"
#include "netdev/linux_if.h"
#include "netdev/plugin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WHY_MAX 320

/* A plug-in's row has no ops. Its device is in netdev-NAME.so, which is built if `package` is installed. */
static const struct {
    const struct netdev_ops *ops;
    const char *plugin, *package;
} table[] = {
    {.ops = &netdev_sim},    {.ops = &netdev_null},
    {.ops = &netdev_shm},    {.ops = &netdev_tap},
    {.ops = &netdev_packet}, {.ops = &netdev_xdp},
    {.ops = &netdev_pcap},   {.ops = &netdev_fault},
    {.ops = &netdev_trace},  {.plugin = "dpdk", .package = "libdpdk-dev"},
};
#define ROWS (sizeof table / sizeof *table)

static const char *name_of(size_t row) {
    return table[row].ops ? table[row].ops->name : table[row].plugin;
}

/* Returns the row of this name, or ROWS. */
static size_t find_row(const char *name) {
    size_t i = 0;
    while (i < ROWS && strcmp(name_of(i), name) != 0)
        i++;
    return i;
}

static int refuse_plugin(const struct netdev_args *args, size_t row, int error, const char *why) {
    if (error == -ENOENT || error == -ELIBACC)
        return netdev_refuse(args, -ENODEV,
                             "%s: %s; install the package that contains it, or install %s and rebuild the library",
                             table[row].plugin, why, table[row].package);
    if (error == -ELIBBAD)
        return netdev_refuse(args, -ENODEV, "%s: %s; install the plug-in's package in the library's version",
                             table[row].plugin, why);
    return netdev_refuse(args, -ENODEV, "%s: %s", table[row].plugin, why);
}

/* Returns 0 and *ops, or -ENODEV and args->why. */
static int load_plugin(const struct netdev_args *args, size_t row, const struct netdev_ops **ops) {
    static const struct netdev_host host = {.head = {DMTR_VERSION, sizeof host},
#define X(type, name, parameters, arguments) .name = name,
#define V(name, parameters, arguments)       .name = name,
                                            NETDEV_HOST(X, V)
#undef X
#undef V
    };
    char why[WHY_MAX], name[32];
    const void *loaded;
    snprintf(name, sizeof name, "netdev-%s", table[row].plugin);
    int r = plugin_load(name, &host.head, &loaded, why, sizeof why);
    if (r) return refuse_plugin(args, row, r, why);
    *ops = loaded;
    return 0;
}

static int get_row(const struct netdev_args *args, size_t row, const struct netdev_ops **ops) {
    *ops = table[row].ops;
    return *ops ? 0 : load_plugin(args, row, ops);
}

static int find(const char *name, const struct netdev_args *args, const struct netdev_ops **ops) {
    char names[128] = "";
    size_t row = find_row(name);
    if (row < ROWS) return get_row(args, row, ops);
    for (size_t i = 0, at = 0; i < ROWS && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, " %s", name_of(i));
    netdev_refuse(args, -ENODEV, "there is no network device \"%.32s\"; there are:%s", name, names);
    return -ENODEV;
}

static const struct netdev_args silent = {.why = NULL};

const struct netdev_ops *netdev_at(size_t i) {
    const struct netdev_ops *ops;
    for (size_t row = 0; row < ROWS; row++)
        if (get_row(&silent, row, &ops) == 0 && i-- == 0) return ops;
    return NULL;
}

const struct netdev_ops *netdev_find(const char *name) {
    const struct netdev_ops *ops;
    return find(name, &silent, &ops) == 0 ? ops : NULL;
}

/*
 * Warns if the kernel has one of our addresses, because it would answer our peers with resets. A kind with `claim`
 * shares the address with the kernel and needs no warning.
 */
static void warn_if_kernel_has(const struct netdev_ops *ops, const struct netdev_args *args, const char *interface) {
    struct linux_if i;
    if (ops->claim || !args->log || linux_if_open(&i, interface) < 0) return;
    for (uint32_t k = 0; k < args->ip4_count; k++) {
        char address[INET_ADDRSTRLEN];
        if (linux_if_has_address(&i, args->ip4[k]) != 1) continue;
        inet_ntop(AF_INET, &args->ip4[k], address, sizeof address);
        log_warn(
            args->log,
            "%s: the kernel also has %s on %s and will reset our connections: ip addr del %s dev %s, or choose another "
            "address",
            ops->name, address, interface, address, interface);
    }
    linux_if_close(&i);
}

/* Locks the addresses before opening the device; if opening creates the interface, after that. */
static int open_locked(const struct netdev_ops *ops, const struct netdev_args *args, struct netdev **dev) {
    char interface[IFNAMSIZ];
    struct address_lock *lock = NULL;
    bool named = ops->interface_option && netdev_option_find(args, ops->interface_option, interface, sizeof interface);
    int r = named ? address_lock_acquire(&lock, args, ops->name, interface) : 0;
    if (r < 0) return r;
    r = ops->open(args, dev);
    if (r == 0 && named && !lock) r = address_lock_acquire(&lock, args, ops->name, interface);
    if (r == 0 && named) warn_if_kernel_has(ops, args, interface);
    if (r == 0) {
        (*dev)->lock = lock;
        return 0;
    }
    if (*dev) ops->close(*dev);
    *dev = NULL;
    address_lock_release(lock);
    return r;
}

int netdev_open_kind(const struct netdev_ops *ops, const struct netdev_args *args, struct netdev **dev) {
    *dev = NULL;
    if (ops->wraps && !args->lower)
        return netdev_refuse(args, -EINVAL, "%s wraps another device, and none was given", ops->name);
    if (!ops->wraps && args->lower) return netdev_refuse(args, -EINVAL, "%s does not wrap another device", ops->name);
    if (args->queues > 1 && args->queues > ops->queues_max)
        return netdev_refuse(args, -EINVAL, "%s has %u queue%s, and %u are requested", ops->name,
                             ops->queues_max ? ops->queues_max : 1, ops->queues_max > 1 ? "s" : "", args->queues);
    return open_locked(ops, args, dev);
}

int netdev_open(const char *name, const struct netdev_args *args, struct netdev **dev) {
    const struct netdev_ops *ops;
    *dev = NULL;
    int r = find(name, args, &ops);
    return r ? r : netdev_open_kind(ops, args, dev);
}

void netdev_close(struct netdev *dev) {
    if (!dev) return;
    struct address_lock *lock = dev->lock;
    dev->ops->close(dev);
    address_lock_release(lock);
}
