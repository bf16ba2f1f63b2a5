/* SPDX-License-Identifier: MIT */
/* The libOSes of this build. To add one is to add its files and a line in registry.c. */
#ifndef LIBOS_REGISTRY_H
#define LIBOS_REGISTRY_H

#include "base/log.h"
#include "core/libos.h"
#include "core/option.h"

#include <stddef.h>

/* By name or alias; NULL: not in this build. libos_want logs what libos_explain says then. */
const struct libos *libos_find(const char *name);
const struct libos *libos_want(const char *name, const struct log *log);

/* What is to be said where libos_find knows none of that name: what it wants, or which there are. */
void libos_explain(const char *name, char *why, size_t bytes);

/* The i-th, from 0; NULL: there are no more. */
const struct libos *libos_at(size_t i);

/* The options of all libOSes; ends with NULL. Those of optional parts are there even if the part is not. */
extern const struct config_group *const libos_option_groups[];

#endif
