/* SPDX-License-Identifier: MIT */
/* The table of libOSes. */
#include "libos/registry.h"

#include "libos/inet/libos.h"
#include "libos/inet/options.h"
#include "libos/lwip/libos.h"
#include "libos/lwip/options.h"
#include "libos/memory/options.h"
#include "libos/posix/libos.h"
#include "libos/posix/options.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WHY_MAX 160

static const struct libos *const table[] = {
    &libos_posix,
    &libos_inet,
#ifdef DMTR_LWIP
    &libos_lwip,
#endif
    NULL,
};

const struct config_group *const libos_option_groups[] = {
    &memory_options_group, &posix_options_group, &inet_options_group, &lwip_options_group, NULL,
};

const struct libos *libos_at(size_t i) {
    for (size_t k = 0; table[k]; k++)
        if (k == i) return table[k];
    return NULL;
}

static bool has_name(const struct libos *libos, const char *name) {
    if (strcmp(libos->name, name) == 0) return true;
    for (const char *const *alias = libos->aliases; *alias; alias++)
        if (strcmp(*alias, name) == 0) return true;
    return false;
}

const struct libos *libos_find(const char *name) {
    const struct libos *libos;
    for (size_t i = 0; (libos = libos_at(i)); i++)
        if (has_name(libos, name)) return libos;
    return NULL;
}

/* Optional parts that a build may lack. */
static const struct {
    const char *name, *remedy;
} optional[] = {
    {"lwip", "this build is without lwIP: scripts/setup/lwip.sh fetches it, and the next build has it"},
};

void libos_explain(const char *name, char *why, size_t bytes) {
    const struct libos *libos;
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
        if (strcmp(optional[i].name, name) == 0) {
            snprintf(why, bytes, "%s", optional[i].remedy);
            return;
        }
    int at = snprintf(why, bytes, "there is none of this name; this build has:");
    for (size_t i = 0; (libos = libos_at(i)) && at > 0 && (size_t)at < bytes; i++)
        at += snprintf(why + at, bytes - (size_t)at, " %s", libos->name);
}

const struct libos *libos_want(const char *name, const struct log *log) {
    const struct libos *libos = libos_find(name);
    char why[WHY_MAX];
    if (libos) return libos;
    libos_explain(name, why, sizeof why);
    log_error(log, "libos cannot be \"%s\": %s", name, why);
    return NULL;
}
