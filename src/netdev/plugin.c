/* SPDX-License-Identifier: MIT */
/*
 * The plug-in's side of netdev/plugin.h: its entry function, and the library's functions as calls through the host's
 * table.
 */
#include "netdev/plugin.h"

#include <string.h>

static const struct netdev_host *host;

__attribute__((visibility("default"))) plugin_entry_fn dmtr_plugin;

void dmtr_plugin(const struct plugin_host *library, struct plugin *plugin) {
    *plugin = (struct plugin){.version = DMTR_VERSION, .host_bytes = sizeof *host};
    if (library->bytes != sizeof *host || strcmp(library->version, DMTR_VERSION) != 0) return;
    host = (const struct netdev_host *)library;
    plugin->ops = netdev_plugin_ops;
}

#define X(type, name, parameters, arguments)                                                                           \
    type name parameters {                                                                                             \
        return host->name arguments;                                                                                   \
    }
#define V(name, parameters, arguments)                                                                                 \
    void name parameters {                                                                                             \
        host->name arguments;                                                                                          \
    }
NETDEV_HOST(X, V)
#undef X
#undef V

/* For a function with a variable argument list, the table has a variant that takes a va_list. */

void log_write(const struct log *l, enum log_level level, struct log_site *site, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    log_vwrite(l, level, site, fmt, args);
    va_end(args);
}

int netdev_refuse(const struct netdev_args *args, int error, const char *fmt, ...) {
    va_list list;
    va_start(list, fmt);
    int r = netdev_vrefuse(args, error, fmt, list);
    va_end(list);
    return r;
}
