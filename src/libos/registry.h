/* The libOSes of this build. To add one is to add its files and a line in registry.c. */
#ifndef LIBOS_REGISTRY_H
#define LIBOS_REGISTRY_H

#include "core/libos.h"

#include <stddef.h>

/* By name or alias; NULL: not in this build. */
const struct libos *libos_find(const char *name);

/* The i-th, from 0; NULL: there are no more. */
const struct libos *libos_at(size_t i);

#endif
