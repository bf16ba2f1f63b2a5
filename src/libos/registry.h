/* SPDX-License-Identifier: MIT */
/* The libOSes of this build. To add one, add its files and a line in registry.c. */
#ifndef LIBOS_REGISTRY_H
#define LIBOS_REGISTRY_H

#include "base/log.h"
#include "core/libos.h"
#include "core/option.h"

#include <stddef.h>

/* Finds a libos by name or alias; NULL: not in this build. libos_want then logs the text of libos_explain. */
const struct libos *libos_find(const char *name);
const struct libos *libos_want(const char *name, const struct log *log);

/* Explains why libos_find has no libos of that name: what it requires, or which libOSes exist. */
void libos_explain(const char *name, char *why, size_t bytes);

/* The i-th libos, from 0; NULL: no more. */
const struct libos *libos_at(size_t i);

/* The options of all libOSes; ends with NULL. Includes those of optional parts that the build lacks. */
extern const struct config_group *const libos_option_groups[];

#endif
