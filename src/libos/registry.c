/* The table of libOSes. */
#include "libos/registry.h"

#include "libos/inet/libos.h"
#include "libos/lwip/libos.h"
#include "libos/posix/libos.h"

#include <stdbool.h>
#include <string.h>

static const struct libos *const table[] = {
    &libos_posix,
    &libos_inet,
#ifdef DMTR_LWIP
    &libos_lwip,
#endif
    NULL,
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
