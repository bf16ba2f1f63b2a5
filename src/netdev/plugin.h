/* SPDX-License-Identifier: MIT */
/*
 * Network devices as plug-ins (base/plugin.h): the library functions that such a device calls.
 *
 * NETDEV_HOST lists them once. The library fills a table with them (registry.c). A plug-in compiles plugin.c, which
 * defines each function under its own name as a call through that table. So the same files of a device work in a
 * plug-in and in a unit test that links them directly.
 */
#ifndef NETDEV_PLUGIN_H
#define NETDEV_PLUGIN_H

#include "base/log.h"
#include "base/plugin.h"
#include "base/sys.h"
#include "mem/heap.h"
#include "netdev/device.h"
#include "netdev/options.h"

#include <stdarg.h>

/* Only in builds with fault points. The size of the table rejects a plug-in of the other kind of build. */
#ifdef DMTR_FAULT
#define NETDEV_HOST_FAULT(X) X(int, fault_point, (const char *name), (name))
#else
#define NETDEV_HOST_FAULT(X)
#endif

/* X(type, name, parameters, arguments) for functions that return a value, V(name, parameters, arguments) for others. */
#define NETDEV_HOST(X, V)                                                                                              \
    X(void *, sys_calloc, (size_t count, size_t size), (count, size))                                                  \
    V(sys_free, (void *p), (p))                                                                                        \
    V(log_vwrite, (const struct log *l, enum log_level level, struct log_site *site, const char *fmt, va_list args),   \
      (l, level, site, fmt, args))                                                                                     \
    X(void *, heap_alloc, (size_t size), (size))                                                                       \
    X(int, heap_free, (void *p), (p))                                                                                  \
    X(bool, heap_hold, (const void *p), (p))                                                                           \
    V(heap_release, (const void *p), (p))                                                                              \
    X(bool, heap_reclaim, (const void *p), (p))                                                                        \
    X(int, heap_range, (void **base, size_t *bytes), (base, bytes))                                                    \
    X(int, heap_device_add, (const struct heap_device *d), (d))                                                        \
    V(heap_device_remove, (const struct heap_device *d), (d))                                                          \
    V(netdev_init, (struct netdev * dev, const struct netdev_ops *ops), (dev, ops))                                    \
    V(netdev_set_link, (struct netdev * dev, bool up), (dev, up))                                                      \
    X(int, netdev_vrefuse, (const struct netdev_args *args, int error, const char *fmt, va_list list),                 \
      (args, error, fmt, list))                                                                                        \
    X(int, netdev_options, (const struct netdev_args *args, const struct netdev_option *table, size_t n, void *to),    \
      (args, table, n, to))                                                                                            \
    X(bool, netdev_any_frame_fits, (struct netdev * dev, const struct netdev_frame *frame), (dev, frame))              \
    V(netdev_gather, (const struct netdev_frame *frame, void *to), (frame, to))                                        \
    NETDEV_HOST_FAULT(X)

struct netdev_host {
    struct plugin_host head;
#define X(type, name, parameters, arguments) type(*name) parameters;
#define V(name, parameters, arguments)       void(*name) parameters;
    NETDEV_HOST(X, V)
#undef X
#undef V
};

/* The plug-in's device, defined by the plug-in's own files. */
extern const struct netdev_ops *const netdev_plugin_ops;

#endif
